package fhir

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// valuePath is where values of a search parameter stand in a resource, and of
// which type they are there. It is made from the few forms of FHIRPath that the
// search parameters of FHIR R4 have.
type valuePath struct {
	steps  []pathStep
	typ    string // in protobuf's spelling: CodeableConcept, Period, DateTime, StatusCode
	within string // the type that it is an element of: HumanName
	at     *element
	only   string // where(resolve() is Patient): references to this type
	exists bool   // exists() and ... != false: whether there is one, as a boolean
}

// pathStep is one name in JSON; where, when set, chooses among the values by
// the text of one of their elements.
type pathStep struct{ name, where, is string }

// compilePaths translates an expression on a type; alternatives of it and
// elements of several types give a path each.
func compilePaths(typ, expression string) ([]valuePath, error) {
	var paths []valuePath
	for part := range strings.SplitSeq(expression, " | ") {
		compiled, err := compilePath(typ, part)
		if err != nil {
			return nil, err
		}
		paths = append(paths, compiled...)
	}
	return paths, nil
}

var (
	castForm  = regexp.MustCompile(`\(([A-Za-z.]+) as ([A-Za-z]+)\)`)
	truthForm = regexp.MustCompile(`^([A-Za-z.]+)\.exists\(\) and ([A-Za-z.]+) != false$`)
	stepForm  = regexp.MustCompile(`[A-Za-z]+(\([^()]*(\(\)[^()]*)?\))?`)
	whereForm = regexp.MustCompile(`^where\(([a-z]+)='([^']+)'\)$`)
	typeForm  = regexp.MustCompile(`^where\(resolve\(\) is ([A-Za-z]+)\)$`)
	asForm    = regexp.MustCompile(`^as\(([A-Za-z]+)\)$`)
)

func compilePath(typ, part string) ([]valuePath, error) {
	if m := truthForm.FindStringSubmatch(part); m != nil && m[1] == m[2] {
		return []valuePath{{
			steps: []pathStep{{name: strings.TrimPrefix(m[1], typ+".")}}, typ: "Boolean", exists: true,
		}}, nil
	}
	part = castForm.ReplaceAllString(part, "$1.as($2)")
	steps := stepForm.FindAllString(part, -1)
	if strings.Join(steps, ".") != part || len(steps) < 2 || steps[0] != typ {
		return nil, fmt.Errorf("cannot translate %q", part)
	}
	return walker{shape: resourceShape(typ)}.walk(steps[1:])
}

// kindTypes are the types of elements that parameters of a kind look at. Codes
// of a required binding have a type each, and are tokens.
var kindTypes = map[string][]string{
	"date":      {"Date", "DateTime", "Instant", "Period", "Timing"},
	"string":    {"String", "Markdown", "HumanName", "Address"},
	"reference": {"Reference", "Canonical"},
	"uri":       {"Uri", "Url", "Canonical"},
	"number":    {"Decimal", "Integer", "PositiveInt", "UnsignedInt"},
	"quantity":  {"Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "Money", "Range", "SampledData"},
	"token":     {"CodeableConcept", "Coding", "Identifier", "ContactPoint", "String", "Boolean", "Id", "Uri", "Code", "CodeType"},
}

// fits tells whether a parameter of the kind looks at what the path leads to.
func (p valuePath) fits(kind string) bool {
	return slices.Contains(kindTypes[kind], p.typ) || kind == "token" && strings.HasSuffix(p.typ, "Code")
}

// walker follows an expression through the shapes of the types.
type walker struct {
	path  valuePath
	shape *shape
}

func (w walker) walk(steps []string) ([]valuePath, error) {
	if len(steps) == 0 {
		return []valuePath{w.path}, nil
	}
	step, rest := steps[0], steps[1:]
	last := len(w.path.steps) - 1
	if m := typeForm.FindStringSubmatch(step); m != nil {
		w.path.only = m[1]
		return w.walk(rest)
	}
	if m := whereForm.FindStringSubmatch(step); m != nil && last >= 0 {
		w.path.steps[last].where, w.path.steps[last].is = m[1], m[2]
		return w.walk(rest)
	}
	names := []string{step}
	if w.shape == nil {
		return nil, fmt.Errorf("%s is below a primitive", step)
	}
	if choices := w.shape.choices[step]; choices != nil {
		names = choices
		if len(rest) > 0 {
			if m := asForm.FindStringSubmatch(rest[0]); m != nil {
				names, rest = []string{step + strings.ToUpper(m[1][:1]) + m[1][1:]}, rest[1:]
			}
		}
	}
	var paths []valuePath
	for _, name := range names {
		e := w.shape.elements[name]
		if e == nil {
			return nil, fmt.Errorf("%s has no %s", w.shape.name, name)
		}
		below := walker{path: w.path, shape: e.shape()}
		below.path.steps = append(append([]pathStep{}, w.path.steps...), pathStep{name: name})
		below.path.typ, below.path.within, below.path.at = e.primitive, w.shape.name, e
		if below.shape != nil {
			below.path.typ = below.shape.name
		}
		found, err := below.walk(rest)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

// values are the values of the path in a resource.
func (p valuePath) values(n *Node) []*Node {
	if p.exists {
		return []*Node{n.truth(p.steps[0].name)}
	}
	found := []*Node{n}
	for _, step := range p.steps {
		var next []*Node
		for _, each := range found {
			for _, value := range each.Each(step.name) {
				if step.where == "" || value.Text(step.where) == step.is {
					next = append(next, value)
				}
			}
		}
		found = next
	}
	return found
}

// truth is whether a choice of types stands in n and is not false:
// Patient.deceased[x].
func (n *Node) truth(choice string) *Node {
	is := false
	for _, m := range n.members {
		if strings.HasPrefix(m.name, choice) {
			is = is || m.value.Text() != "false"
		}
	}
	return toNode(is)
}
