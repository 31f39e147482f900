package fhir

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/fhir/go/fhirversion"
	"github.com/google/fhir/go/jsonformat"
	"github.com/overread/overread/internal/fault"
)

// Decode reads one resource of wantType, "" for any type of FHIR R4, and refuses
// what is not FHIR with a *fault.Error of up to maxIssues issues. Each names the
// element by a FHIRPath expression, says what to do, and repeats no value of the body.
func Decode(body []byte, wantType string) (*Node, error) {
	n, err := Parse(body, documentLimits)
	if err != nil {
		return nil, err
	}
	if err := check(n); err != nil {
		return nil, err
	}
	if wantType != "" && n.Type() != wantType {
		return nil, fault.At(fault.Structure, n.Type()+".resourceType", "the body is a %s, but this address takes a %s", n.Type(), wantType)
	}
	return n, nil
}

// Validate checks a tree that the program built or changed, as Decode checks a body.
func Validate(n *Node) error {
	_, err := Decode(n.Bytes(), "")
	return err
}

func check(n *Node) error {
	c := &checker{}
	c.all(n)
	if len(c.issues) > 0 {
		return &fault.Error{Issues: c.issues[:min(len(c.issues), maxIssues)]}
	}
	return nil
}

// all is everything that FHIR R4 itself demands of a resource.
func (c *checker) all(n *Node) {
	c.root(n)
	for _, each := range c.sound {
		if !c.full() {
			c.issues = append(c.issues, unmarshalIssues(each)...)
		}
	}
}

var unmarshaller = sync.OnceValue(func() *jsonformat.Unmarshaller {
	u, err := jsonformat.NewUnmarshaller("UTC", fhirversion.R4)
	if err != nil {
		panic(err) // R4 and UTC are always there
	}
	u.MaxNestingDepth = 2 * documentLimits.Depth // the scan was stricter; this is the second line
	return u
})

// unmarshalIssues is what google/fhir finds in one resource: values of primitives,
// required elements, the types that references may have.
//
// Resources within it are checked by themselves: google/fhir does not validate
// contained resources, and reads Parameters.parameter.resource not at all.
func unmarshalIssues(l located) []fault.Issue {
	r := &reporter{located: l}
	if _, err := unmarshaller().UnmarshalWithErrorReporter(alone(l.resource).Bytes(), r); err != nil {
		r.report(err)
	}
	return r.issues
}

// reporter collects google/fhir's errors as issues. (errorreporter.ErrorReporter)
type reporter struct {
	located
	issues []fault.Issue
}

func (r *reporter) ReportValidationError(_ string, err error) error {
	r.report(err)
	return nil
}

func (r *reporter) ReportValidationWarning(string, error) error { return nil }

// report reads the text of google/fhir's errors, whose type is internal there: one a
// line, `error at "path": details`. Its details are free of values of the body by
// that package's contract; even so only those of the table reach a client.
func (r *reporter) report(err error) {
	for line := range strings.Lines(err.Error()) {
		at, details := "", strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(details, `error at "`); ok {
			at, details, _ = strings.Cut(rest, `": `)
		}
		r.issues = append(r.issues, r.issue(at, details))
	}
}

func (r *reporter) issue(at, details string) fault.Issue {
	expression := r.expression(at)
	if name, ok := strings.CutPrefix(details, "missing required field "); ok {
		return fault.Issue{Kind: fault.Required, Expression: expression + "." + strings.Trim(name, `"`), Text: "this element is required: add it"}
	}
	if targets, ok := strings.CutPrefix(details, "invalid reference to a "); ok {
		_, want, _ := strings.Cut(targets, ", want ")
		return fault.Issue{Kind: fault.Value, Expression: expression, Text: "this may refer to " + strings.ReplaceAll(want, ", ", " or ") + " only"}
	}
	for _, row := range advice {
		if strings.Contains(strings.ToLower(details), row.details) {
			return fault.Issue{Kind: fault.Value, Expression: expression, Text: row.text}
		}
	}
	return fault.Issue{Kind: fault.Value, Expression: expression, Text: "not a valid value of this element: compare it with its definition in FHIR R4"}
}

// advice: what to do about each of google/fhir's complaints. The first row that fits counts.
var advice = []struct{ details, text string }{
	{"datetime", "write a date that exists, as YYYY, YYYY-MM, YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with Z or an offset as +02:00"},
	{"date", "write a date that exists, as YYYY, YYYY-MM or YYYY-MM-DD"},
	{"instant", "write a time that exists, as YYYY-MM-DDThh:mm:ss with Z or an offset as +02:00"},
	{"time", "write a time of day, as hh:mm:ss"},
	{"binary", "write the content in base64, with padding"},
	{"positive integer", "write a whole number from 1 to 2147483647"},
	{"non-negative integer", "write a whole number from 0 to 2147483647"},
	{"integer", "write a whole number from -2147483648 to 2147483647"},
	{"decimal", "write a decimal number"},
	{"invalid id format", "an id has 1 to 64 letters, digits, dots and hyphens"},
	{"invalid oid format", "an OID is written urn:oid: and numbers between dots, without leading zeros"},
	{"invalid uuid format", "a UUID is written urn:uuid: and 36 characters in lower case"},
	{"invalid code format", "a code has no blanks at its ends, and single spaces within"},
	{"maximum size", "a string is at most 1 MB long: send an Attachment"},
	{"invalid uri", "not a valid URI: percent-encode what needs it"},
	{"invalid url", "not a valid URL: percent-encode what needs it"},
	{"invalid canonical", "not a valid URL: percent-encode what needs it"},
}

// expression turns google/fhir's path below a resource into FHIRPath. While it reads
// it names elements as JSON does (valueQuantity, _birthDate), while it validates as
// protobuf does (value.quantity).
func (r *reporter) expression(at string) string {
	p := append(path{}, r.at...)
	in := resourceShape(r.resource.Type())
	names := strings.Split(at, ".")
	for i := 1; i < len(names) && in != nil; i++ {
		name, index := cutIndex(names[i])
		e := in.elements[name]
		if e == nil && in.choices[name] != nil && i+1 < len(names) {
			i++
			e = in.elements[name+strings.ToUpper(names[i][:1])+names[i][1:]]
		}
		if e == nil {
			break
		}
		p = append(p, segment{name: e.name, index: index})
		if in = e.shape(); e.primitive != "" {
			in = companionShape()
		}
	}
	return p.String()
}

func cutIndex(name string) (string, int) {
	name, number, ok := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	if !ok {
		return name, -1
	}
	index, err := strconv.Atoi(number)
	if err != nil {
		return name, -1
	}
	return name, index
}

// alone is n without the resources in it, and without the gaps in arrays of
// primitives, which google/fhir takes for dates and codes of no value.
func alone(n *Node) *Node {
	c := &Node{kind: n.kind, text: n.text}
	for _, m := range n.members {
		twin := n.member(strings.TrimPrefix(m.name, "_"))
		switch {
		case m.name == "contained", m.name == "resource" && m.value.Type() != "":
		case hasGap(m.value) && m.name[0] == '_', m.name[0] == '_' && hasGap(twin):
		default:
			c.members = append(c.members, member{m.name, alone(m.value)})
		}
	}
	for _, item := range n.items {
		if !item.IsNull() {
			c.items = append(c.items, alone(item))
		}
	}
	return c
}

func hasGap(n *Node) bool {
	return n.IsArray() && slices.ContainsFunc(n.items, (*Node).IsNull)
}
