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
	n, issues, err := parse(body, documentLimits)
	if err != nil {
		return nil, err
	}
	c := &checker{}
	c.all(n)
	for _, found := range c.issues {
		if found.Kind != fault.Required && found.Text != nullInArray || !toldOf(issues, found.Expression) {
			issues = append(issues, found)
		}
	}
	if len(issues) > 0 {
		return nil, &fault.Error{Issues: issues[:min(len(issues), maxIssues)]}
	}
	if wantType != "" && n.Type() != wantType {
		return nil, fault.At(fault.Structure, n.Type()+".resourceType", "the type of the body is %s, but this address takes %s", n.Type(), wantType)
	}
	return n, nil
}

// toldOf: that there is no value at the element, or at one in it, is said already.
func toldOf(issues []fault.Issue, expression string) bool {
	return slices.ContainsFunc(issues, func(i fault.Issue) bool {
		return i.Expression == expression || strings.HasPrefix(i.Expression, expression+".")
	})
}

// Validate checks a tree that the program built or changed, as Decode checks a body.
func Validate(n *Node) error {
	_, err := Decode(n.Bytes(), "")
	return err
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

// unmarshalIssues is what google/fhir finds in one resource where the checker found
// nothing: a second line, by other hands.
//
// Resources within it are checked by themselves: google/fhir does not validate
// contained resources, and reads Parameters.parameter.resource not at all.
func unmarshalIssues(l located) []fault.Issue {
	r := &reporter{located: l}
	if _, err := unmarshaller().UnmarshalWithErrorReporter(alone(l.resource, resourceShape(l.resource.Type())).Bytes(), r); err != nil {
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
	return fault.Issue{Kind: fault.Value, Expression: expression, Text: "not a valid value of this element: compare it with its definition in FHIR R4"}
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

// alone is n without the resources in it, and without what google/fhir does not
// read: gaps in arrays of primitives, which it takes for dates and codes of no
// value, leap seconds, and base64 in lines.
func alone(n *Node, in *shape) *Node {
	c := &Node{kind: n.kind, text: n.text}
	for _, m := range n.members {
		twin := n.member(strings.TrimPrefix(m.name, "_"))
		var e *element
		if in != nil {
			e = in.elements[m.name]
		}
		switch {
		case m.name == "contained", m.name == "resource" && m.value.Type() != "":
		case hasGap(m.value) && m.name[0] == '_', m.name[0] == '_' && hasGap(twin):
		default:
			c.members = append(c.members, member{m.name, aloneIn(m.value, e)})
		}
	}
	return c
}

func aloneIn(n *Node, e *element) *Node {
	switch {
	case n.IsArray():
		c := &Node{kind: n.kind}
		for _, item := range n.items {
			if !item.IsNull() {
				c.items = append(c.items, aloneIn(item, e))
			}
		}
		return c
	case n.IsObject() && e != nil:
		return alone(n, e.shape())
	case n.IsObject():
		return alone(n, nil)
	case n.IsString() && e != nil && e.primitive == "Base64Binary":
		return String(packedBase64(n.text))
	case n.IsString() && e != nil && (e.primitive == "DateTime" || e.primitive == "Instant" || e.primitive == "Time"):
		text, _ := withoutLeap(n.text)
		return String(text)
	}
	return n
}

func hasGap(n *Node) bool {
	return n.IsArray() && slices.ContainsFunc(n.items, (*Node).IsNull)
}
