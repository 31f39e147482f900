package fhir

import (
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/fault"
)

// A query is what the resources of one type must meet: FHIR R4 search.html.
// Criteria and hops are all to be met; each by any of its alternatives. What
// else a search says (order, pages, includes) is in inquiry.
type query struct {
	row      *resourceType
	tenant   uuid.UUID
	criteria []criterion
	hops     []hop        // chains and _has: searchchain.go
	within   *compartment // nil: anywhere
}

// A lookup says in which ways a reference may stand in what is searched, and
// the ids of resources that are meant by it though it does not stand in them.
type lookup func(space keySpace, reference string) (ways, ids []string)

// maxValues bounds the alternatives in one question, all parameters together.
const maxValues = 200

// readable refuses what no stored text can be equal to, before PostgreSQL does.
// The text of the refusal does not repeat it.
func readable(name, value string) error {
	switch {
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return fault.New(fault.Value, "a search parameter is not valid UTF-8")
	case strings.ContainsRune(name, 0) || strings.ContainsRune(value, 0):
		return fault.New(fault.Value, "a search parameter contains a NUL character")
	case len(value) > 8192:
		return fault.New(fault.TooLarge, "a search parameter is longer than 8192 bytes")
	}
	return nil
}

// take adds one parameter of the type itself; taken is false when it has no such
// parameter.
func (q *query) take(name, value string, known lookup) (taken bool, err error) {
	name, modifier, _ := strings.Cut(name, ":")
	if value == "" { // ignoring it would answer with everything
		if _, ok := q.row.param(name); !ok && name != "_id" && name != "_lastUpdated" {
			return false, nil
		}
		return true, fault.New(fault.Value, "the search parameter %s has no value", name)
	}
	c := criterion{param: name}
	switch p, ok := q.row.param(name); {
	case name == "_id" && (modifier == "" || modifier == "not"):
		c.not = modifier == "not"
		c.ids, err = ids(value)
	case name == "_lastUpdated" && modifier == "":
		c.ofUpdated = true
		c.spans, err = spans(value)
	case name == "_id", name == "_lastUpdated":
		err = fault.New(fault.NotSupported, "the search parameter %s does not have this modifier here", name)
	case !ok:
		return false, nil
	default:
		c, err = q.leaf(p, modifier, value, known)
	}
	q.criteria = append(q.criteria, c)
	return true, err
}
