package fhir

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
)

// maxIssues is how many things to mend one answer lists.
const maxIssues = 20

// checker walks a tree beside the shapes of its types and tells all that it finds:
// names, kinds and formats of values, required elements, where references lead,
// unsafe narrative. It keeps the resources that were without fault.
type checker struct {
	at       path
	issues   []fault.Issue
	most     int  // how many issues are looked for; 0 for maxIssues
	warn     bool // looks also for what should be otherwise, and is not refused:
	warnings []fault.Issue
	sound    []located
}

// located is a resource and where it lies: Bundle.entry[2].resource.
type located struct {
	at       path
	resource *Node
}

func (c *checker) root(n *Node) {
	c.at = append(c.at[:0], segment{name: n.Type(), index: -1})
	if resourceShape(n.Type()) == nil {
		c.at = nil
	}
	conditional := n.Type() == "Bundle" && n.Text("type") == "transaction"
	c.resource(n, &scope{transaction: conditional})
}

func (c *checker) add(kind fault.Kind, format string, args ...any) {
	if !c.full() {
		c.issues = append(c.issues, fault.Issue{Kind: kind, Expression: c.at.String(), Text: fmt.Sprintf(format, args...)})
	}
}

// addBelow says what is wrong with the value of one element of the object.
func (c *checker) addBelow(name, problem string) { c.addOf(fault.Value, name, "%s", problem) }

// addOf is add about a member of the object at hand.
func (c *checker) addOf(kind fault.Kind, name, format string, args ...any) {
	c.at = append(c.at, segment{name: name, index: -1})
	c.add(kind, format, args...)
	c.at = c.at[:len(c.at)-1]
}

func (c *checker) full() bool {
	most := c.most
	if most == 0 {
		most = maxIssues
	}
	return len(c.issues) >= most
}

func (c *checker) resource(n *Node, in *scope) {
	s := resourceShape(n.Type())
	if s == nil {
		c.add(fault.Structure, "resourceType is missing or names no resource of FHIR R4: write it in exactly this case, as ServiceRequest")
		return
	}
	before := len(c.issues)
	if !in.inContained {
		in.ids, in.used = containedTypes(n), map[string]bool{}
	}
	c.object(n, s, in)
	if !in.inContained {
		c.referred(n, in)
	}
	if !slices.ContainsFunc(c.issues[before:], func(i fault.Issue) bool { return i.Kind != fault.Invariant }) {
		c.sound = append(c.sound, located{slices.Clone(c.at), n})
	}
}

// referred is invariant dom-3: a contained resource is there for somebody who
// refers to it, or refers to its container itself.
func (c *checker) referred(n *Node, in *scope) {
	for i, resource := range n.Get("contained").Items() {
		if id := resource.Text("id"); id != "" && !in.used[id] {
			c.at = append(c.at, segment{name: "contained", index: i})
			c.add(fault.Invariant, "nothing refers to this contained resource, by # and its id: refer to it, or leave it out (dom-3)")
			c.at = c.at[:len(c.at)-1]
		}
	}
}

// containedTypes are the types of the contained resources, by their ids.
func containedTypes(n *Node) map[string]string {
	contained := n.Get("contained").Items()
	ids := make(map[string]string, len(contained))
	for _, resource := range contained {
		ids[resource.Text("id")] = resource.Type()
	}
	delete(ids, "")
	return ids
}

func (c *checker) object(n *Node, s *shape, in *scope) {
	for i, m := range n.members {
		e := s.elements[m.name]
		switch {
		case c.full():
			return
		case s.resource && m.name == "resourceType":
			continue
		case e == nil:
			c.unknown(m.name, s)
			continue
		case e.choice:
			c.choice(n.members[:i], m.name, e, s)
		}
		c.at = append(c.at, segment{name: e.name, index: -1})
		c.member(n, m, e, in)
		c.at = c.at[:len(c.at)-1]
	}
	if !s.resource && onlyID(n) && s.name != "Element" {
		c.add(fault.Invariant, "an id alone is no content: add a value, or leave the element out (ele-1)")
	}
	c.missing(n, s)
	c.rule(n, s, in)
}

// missing tells the required elements that are not there under any spelling:
// one of a name in another case is told of already.
func (c *checker) missing(n *Node, s *shape) {
	for _, name := range s.required {
		there := slices.ContainsFunc(n.members, func(m member) bool {
			e := s.elements[m.name]
			return e != nil && e.name == name || strings.EqualFold(strings.TrimPrefix(m.name, "_"), name)
		})
		if !there {
			c.addOf(fault.Required, name, "this element is required: add it")
		}
	}
}

// onlyID tells an object that has nothing but an id.
func onlyID(n *Node) bool {
	return !slices.ContainsFunc(n.members, func(m member) bool { return strings.TrimPrefix(m.name, "_") != "id" })
}

const nullInArray = "null is no value: leave it out of the array"

func (c *checker) member(n *Node, m member, e *element, in *scope) {
	if m.value.IsArray() != e.list {
		if e.list {
			c.add(fault.Structure, "this element repeats: write its value in an array")
		} else {
			c.add(fault.Structure, "this element does not repeat: write its value without an array")
		}
		return
	}
	twin := n.member("_" + m.name)
	if e.companion {
		twin = n.member(m.name[1:])
	}
	if !e.list {
		c.item(m.value, e, in)
		c.companion(m.value, twin, e)
		return
	}
	if twin.IsArray() && len(twin.items) != len(m.value.items) {
		c.add(fault.Structure, "the values and their extensions are arrays of the same length: fill the gaps with null")
		return
	}
	last := len(c.at) - 1
	for i, item := range m.value.items {
		c.at[last].index = i
		if !item.IsNull() {
			c.item(item, e, in)
			c.companion(item, nth(twin, i), e)
		} else if e.primitive == "" || !twin.IsArray() || twin.items[i].IsNull() {
			c.add(fault.Structure, nullInArray)
		}
		if c.full() {
			return
		}
	}
}

// companion is ele-1 of a primitive without a value: _birthDate with an id and
// no extension.
func (c *checker) companion(v, twin *Node, e *element) {
	if e.companion && (twin == nil || twin.IsNull()) && onlyID(v) {
		c.add(fault.Invariant, "an id alone is no content: add a value, or leave the element out (ele-1)")
	}
}

func nth(list *Node, i int) *Node {
	if items := list.Items(); i < len(items) {
		return items[i]
	}
	return nil
}

func (c *checker) item(v *Node, e *element, in *scope) {
	switch {
	case e.resource && v.IsObject():
		c.nested(v, e, in)
	case e.primitive != "" && !e.companion:
		c.primitive(v, e, in)
	case v.IsObject():
		c.object(v, e.shape(), in)
		if e.shape().name == "Reference" {
			c.leads(v, e, in)
		}
		c.hold(v, e.invariants)
		if e.concepts != nil && !e.concepts.Has(v) {
			c.add(fault.CodeInvalid, "one of its codings must be a code of %s: %s", e.concepts[0].System, e.concepts.list())
		}
	default:
		c.add(fault.Structure, "this element has parts: write it as an object")
	}
}

func (c *checker) nested(v *Node, e *element, in *scope) {
	if e.name != "contained" {
		c.resource(v, &scope{transaction: in.transaction})
		return
	}
	// FHIR R4 domainresource.html dom-2; references.html#contained for the id
	if in.inContained {
		c.add(fault.Invariant, "a contained resource contains none itself: move it to the outer resource (dom-2)")
		return
	}
	if v.Text("id") == "" {
		c.add(fault.Required, "a contained resource needs an id, for references to it")
	}
	c.resource(v, &scope{inContained: true, id: v.Text("id"), ids: in.ids, used: in.used, transaction: in.transaction})
}

func (v ValueSet) list() string {
	codes := make([]string, len(v))
	for i, c := range v {
		codes[i] = c.Code
	}
	return strings.Join(codes, ", ")
}

var kindNames = map[nodeKind]string{stringNode: "a string, in quotes", numberNode: "a number, without quotes", boolNode: "true or false, without quotes"}

func (c *checker) primitive(v *Node, e *element, in *scope) {
	if want := jsonKinds[e.primitive]; v.kind != want && (want != nullNode || v.kind != stringNode) {
		if want == nullNode {
			want = stringNode
		}
		c.add(fault.Value, "write this value as %s", kindNames[want])
		return
	}
	problem, kind := "", fault.Value
	switch {
	case v.kind == stringNode && strings.TrimSpace(v.text) == "": // FHIR R4 datatypes.html#string
		problem = "blanks alone are no value: leave the element out"
	case c.at[0].name == "Parameters" && strings.ContainsFunc(v.text, turnsText):
		problem = turnedText
	case e.codes != nil && !e.codes[v.text]:
		problem, kind = "not a code of "+e.valueSet, fault.CodeInvalid
		if len(e.codes) <= 20 {
			problem += ": use one of " + strings.Join(slices.Sorted(maps.Keys(e.codes)), ", ")
		}
	case e.primitive == "Uri" || e.primitive == "Url" || e.primitive == "Canonical":
		in.use(v.text)
		problem = uriProblem(v.text)
	case e.primitive == "Xhtml":
		problem = narrativeProblem(v.text)
	}
	if f, ok := formats[e.primitive]; ok && problem == "" && e.codes == nil && !f.fits(v.text) {
		problem = f.text
	}
	if problem != "" {
		c.add(kind, "%s", problem)
	}
}

// leads checks that a Reference leads to a type that it may lead to, and that its
// type says the same as its reference. FHIR R4 references.html#Reference
func (c *checker) leads(v *Node, e *element, in *scope) {
	text, told := v.Text("reference"), strings.TrimPrefix(v.Text("type"), coreProfiles)
	typ := parseReference(text).typ
	if fragment, ok := strings.CutPrefix(text, "#"); ok {
		typ = in.ids[fragment]
	}
	if resourceTypes()[typ] == nil {
		typ = "" // an address that only looks like one of a FHIR server
	}
	switch {
	case told != "" && scheme(told) == "" && resourceTypes()[told] == nil:
		c.addBelow("type", "no resource of FHIR R4 is of this type: write it in exactly this case, as Patient")
		return
	case told != "" && typ != "" && scheme(told) == "" && told != typ:
		c.addBelow("type", "type and reference name different types: mend one, or leave type out")
		return
	case typ == "" && scheme(told) == "":
		typ = told
	}
	if typ != "" && len(e.targets) > 0 && !slices.Contains(e.targets, typ) {
		c.add(fault.Value, "this may refer to %s only", strings.Join(e.targets, " or "))
	}
}

// turnsText tells the control characters of Unicode that turn the direction of
// the text after them, so that 12 reads 21 and "left" stands where "right" was
// written (UTS 55, "Trojan Source"). They are refused in what is written for a
// report, which is what operations take, and in identifiers. The marks of single
// characters (U+200E, U+200F, U+061C), which Hebrew and Arabic need, are not
// among them.
func turnsText(r rune) bool {
	return r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069'
}

const turnedText = "the text has a control character that turns its direction (U+202A to U+202E, U+2066 to U+2069), and would not be read as it was written: leave the character out"

// rule checks what concerns several elements of one object.
func (c *checker) rule(n *Node, s *shape, in *scope) {
	switch s.name {
	case "Reference":
		text := n.member("reference")
		if !text.IsString() {
			return
		}
		in.use(text.text)
		if problem := referenceProblem(text.text, in); problem != "" {
			c.addBelow("reference", problem)
		}
	case "Identifier":
		for _, name := range []string{"system", "value"} {
			if strings.ContainsFunc(n.Text(name), turnsText) {
				c.addBelow(name, turnedText)
			}
		}
	case "Extension": // FHIR R4 extensibility.html ext-1
		hasValue := slices.ContainsFunc(n.members, func(m member) bool { return strings.HasPrefix(strings.TrimPrefix(m.name, "_"), "value") })
		if hasValue == (n.member("extension") != nil) {
			c.add(fault.Invariant, "an extension has either a value or extensions of its own: keep or add one of them (ext-1)")
		}
	}
	c.hold(n, s.invariants)
}

// hold tells which invariants the object breaks.
func (c *checker) hold(n *Node, rules []invariant) {
	for _, rule := range rules {
		if rule.warning && !c.warn || c.full() {
			continue
		}
		issue, broken := rule.broken("", n)
		switch issue.Expression = c.at.String() + issue.Expression; {
		case !broken:
		case rule.warning:
			c.warnings = append(c.warnings, issue)
		default:
			c.issues = append(c.issues, issue)
		}
	}
}
