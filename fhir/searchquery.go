package fhir

import (
	"slices"
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

// criterion is one parameter of the question; of its fields those of its kind
// are set.
type criterion struct {
	param     string
	not       bool // token with :not
	keys      []uuid.UUID
	spans     []span
	texts     []textMatch
	ids       []string // _id; with keys, what is found besides them
	ofUpdated bool     // spans are of _lastUpdated
}

// span is a date asked for, with its prefix.
type span struct {
	prefix string
	interval
}

type textMatch struct{ modifier, text string }

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
	case name == "_id" && modifier == "":
		c.ids, err = ids(value)
	case name == "_lastUpdated" && modifier == "":
		c.ofUpdated = true
		c.spans, err = spans(value)
	case !ok:
		return false, nil
	case p.kind == "date" && modifier == "":
		c.param = p.key
		c.spans, err = spans(value)
	case p.kind == "string" && (modifier == "" || modifier == "exact" || modifier == "contains"):
		c.param = p.key
		c.texts, err = texts(modifier, value)
	case p.kind == "token" && (modifier == "" || modifier == "not"):
		c.not = modifier == "not"
		c.keys, err = tokenQuestion(keySpace{q.tenant, q.row.name, p.key}, value)
	case p.kind == "reference" && (modifier == "" || modifier == "identifier" || typePattern.MatchString(modifier)):
		c.keys, c.ids, err = referenceQuestion(keySpace{q.tenant, q.row.name, p.key}, modifier, value, known)
	case p.kind == "uri" && modifier == "":
		for _, v := range alternatives(value) {
			c.keys = append(c.keys, keySpace{q.tenant, q.row.name, p.key}.key(formURI, unescape(v)))
		}
	default:
		return true, fault.New(fault.NotSupported, "the search parameter %s does not have this modifier here", name)
	}
	q.criteria = append(q.criteria, c)
	return true, err
}

func ids(value string) ([]string, error) {
	list := alternatives(value)
	for _, id := range list {
		if !idPattern.MatchString(id) {
			return nil, fault.New(fault.Value, "_id must be one or more ids, separated by commas")
		}
	}
	return list, nil
}

// datePrefixes are those of FHIR R4 search.html#prefix.
var datePrefixes = []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

func spans(value string) ([]span, error) {
	var list []span
	for _, v := range alternatives(value) {
		prefix := "eq"
		if len(v) > 2 && slices.Contains(datePrefixes, v[:2]) {
			prefix, v = v[:2], v[2:]
		}
		i, ok := parseInterval(strings.ReplaceAll(v, " ", "+")) // a + that was not escaped
		if !ok {
			return nil, fault.New(fault.Value, "a date must look like 2026, 2026-01, 2026-01-31 or 2026-01-31T09:30:00Z, after an optional prefix: %s", strings.Join(datePrefixes, ", "))
		}
		list = append(list, span{prefix, i})
	}
	return list, nil
}

func texts(modifier, value string) ([]textMatch, error) {
	var list []textMatch
	for _, v := range alternatives(value) {
		v = unescape(v)
		if modifier != "exact" {
			v = fold(v)
		}
		if v == "" {
			return nil, fault.New(fault.Value, "a text to search for is empty")
		}
		list = append(list, textMatch{modifier, v})
	}
	return list, nil
}

// tokenQuestion are the keys of code, system|code, |code and system|, FHIR R4
// search.html#token.
func tokenQuestion(space keySpace, value string) ([]uuid.UUID, error) {
	var keys []uuid.UUID
	for _, v := range alternatives(value) {
		system, code, split := cutUnescaped(v)
		code = bareUID(code)
		switch {
		case !split && code != "":
			keys = append(keys, space.key(formCode, code))
		case code != "":
			keys = append(keys, space.key(formSystemCode, system, code))
		case system != "":
			keys = append(keys, space.key(formSystem, system))
		default:
			return nil, fault.New(fault.Value, "a token must be a code, system|code, |code or system|")
		}
	}
	return keys, nil
}

// referenceQuestion are the keys of id, Type/id, a URL, or with :identifier of
// a logical reference, FHIR R4 search.html#reference; and the ids of what is
// meant besides.
func referenceQuestion(space keySpace, modifier, value string, known lookup) (keys []uuid.UUID, ids []string, err error) {
	for _, v := range alternatives(value) {
		if modifier == "identifier" {
			system, code, split := cutUnescaped(v)
			code = bareUID(code)
			switch {
			case code == "":
				return nil, nil, fault.New(fault.Value, "an identifier must be a value, system|value or |value")
			case split:
				keys = append(keys, space.key(formIdentifier, system, code))
			default:
				keys = append(keys, space.key(formIdentifier, code))
			}
			continue
		}
		v = unescape(v)
		if modifier != "" && !strings.Contains(v, "/") {
			v = modifier + "/" + v
		}
		if v == "" {
			return nil, nil, fault.New(fault.Value, "a reference must be an id, Type/id or a URL")
		}
		ways, others := known(space, v)
		ids = append(ids, others...)
		if !strings.ContainsAny(v, "/:") {
			keys = append(keys, space.key(formID, v))
			continue
		}
		for _, way := range ways {
			keys = append(keys, space.key(formReference, way))
		}
	}
	return keys, ids, nil
}

// matches tells whether a resource that is not in the database (part of the
// program, or of the Bundle at hand) meets the conditions, all of which must
// be of keys or ids.
func (q *query) matches(n *Node) bool {
	keys := indexOf(q.tenant, q.row, n).keys
	for _, c := range q.criteria {
		met := slices.Contains(c.ids, n.Text("id"))
		for _, key := range c.keys {
			met = met || slices.Contains(keys, key)
		}
		if met == c.not {
			return false
		}
	}
	return true
}

// byKeys tells whether matches can judge the query.
func (q *query) byKeys() bool {
	if len(q.hops) > 0 {
		return false
	}
	for _, c := range q.criteria {
		if c.spans != nil || c.texts != nil {
			return false
		}
	}
	return true
}

// alternatives splits at commas that are not escaped, FHIR R4
// search.html#escaping. What it returns is still escaped.
func alternatives(value string) []string {
	var list []string
	for {
		i := indexUnescaped(value, ',')
		if i < 0 {
			return append(list, value)
		}
		list, value = append(list, value[:i]), value[i+1:]
	}
}

// cutUnescaped cuts a token at its first | that is not escaped; without one,
// all of it is the code.
func cutUnescaped(value string) (system, code string, split bool) {
	if i := indexUnescaped(value, '|'); i >= 0 {
		return unescape(value[:i]), unescape(value[i+1:]), true
	}
	return "", unescape(value), false
}

// indexUnescaped is where b first stands without a backslash before it, or -1.
func indexUnescaped(value string, b byte) int {
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case b:
			return i
		}
	}
	return -1
}

var unescaper = strings.NewReplacer(`\\`, `\`, `\,`, `,`, `\|`, `|`, `\$`, `$`)

func unescape(value string) string { return unescaper.Replace(value) }
