package fhir

import (
	"slices"
	"strconv"
	"strings"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// valueSetCodes are the codes of a value set of ours, false for others.
type valueSetCodes func(url string) (ValueSet, bool)

// profileCheck holds resources to profiles of ours.
type profileCheck struct {
	codes  valueSetCodes
	issues []fault.Issue
}

func (c *profileCheck) add(kind fault.Kind, at, text string) {
	c.issues = append(c.issues, fault.Issue{Kind: kind, Expression: at, Text: text})
}

// resource holds n, which lies at this path, to a profile.
func (c *profileCheck) resource(p *profile, n *Node, at string) {
	if n.Type() != p.typ {
		c.add(fault.ProfileValue, at, "the profile is one of "+p.typ+": leave it out of a "+n.Type())
		return
	}
	c.object(p.root, n, at)
}

func (c *profileCheck) object(d *demand, n *Node, at string) {
	for _, below := range d.below {
		found := below.in(n, at)
		c.count(below, len(found), at)
		for _, f := range found {
			c.value(below, f)
		}
		for _, slice := range below.slices {
			of := slices.DeleteFunc(slices.Clone(found), func(f foundAt) bool { return !slice.takes(f.n, below.slicing) })
			c.count(slice, len(of), at)
			for _, f := range of {
				c.value(slice, f)
			}
		}
	}
	for _, key := range d.keys {
		if rule := profileRule(key); !rule.holds(n, c.codes) {
			c.add(fault.ProfileRule, joined(at, rule.at), rule.text+" ("+rule.key+")")
		}
	}
}

func joined(at, below string) string {
	if below == "" {
		return at
	}
	return at + "." + below
}

func (c *profileCheck) count(d *demand, count int, at string) {
	at += "." + strings.TrimSuffix(d.name, "[x]")
	what := "this element"
	if d.slice != "" {
		what = "this element in its meaning " + d.slice
	}
	switch {
	case count < d.min:
		c.add(fault.ProfileRequired, at, "the profile demands "+what+": add it"+d.hint())
	case d.max == 0 && count > 0:
		c.add(fault.ProfileValue, at, "the profile does not have "+what+": leave it out")
	case d.max > 0 && count > d.max:
		c.add(fault.ProfileValue, at, "the profile has "+what+" at most "+strconv.Itoa(d.max)+" times")
	}
}

// hint is how a slice is recognised, where one short value says it.
func (d *demand) hint() string {
	if d.slice == "" {
		return ""
	}
	for _, below := range d.below {
		if below.fixed.IsString() {
			return ", with " + below.name + " " + below.fixed.Text()
		}
	}
	for _, code := range d.known().Each("coding", "code") {
		return ", with the code " + code.Text()
	}
	return ""
}

// known is the pattern of the element, or of the one below that tells a slice.
func (d *demand) known() *Node {
	if d.pattern != nil {
		return d.pattern
	}
	for _, below := range d.below {
		if below.pattern != nil {
			return below.pattern
		}
	}
	return nil
}

// foundAt is a value and where it stands; typ is that of a value[x].
type foundAt struct {
	n   *Node
	at  string
	typ string
}

// in are the values of the element in an object.
func (d *demand) in(n *Node, at string) []foundAt {
	name := strings.TrimSuffix(d.name, "[x]")
	at += "." + name
	var found []foundAt
	for _, m := range n.members {
		rest, ok := strings.CutPrefix(m.name, name)
		switch {
		case !ok || (rest != "") != d.choice || d.choice && (rest[0] < 'A' || rest[0] > 'Z'):
		case m.value.IsArray():
			for i, item := range m.value.Items() {
				found = append(found, foundAt{item, at + "[" + strconv.Itoa(i) + "]", ""})
			}
		default:
			found = append(found, foundAt{m.value, at, rest})
		}
	}
	return found
}

func (c *profileCheck) value(d *demand, f foundAt) {
	switch {
	case d.fixed != nil && !equal(d.fixed, f.n):
		c.add(fault.ProfileValue, f.at, "the profile has one value for this element: write "+shown(d.fixed))
	case d.pattern != nil && !matchesPattern(d.pattern, f.n):
		c.add(fault.ProfileValue, f.at, "the profile demands that this element has: write "+shown(d.pattern))
	}
	c.typed(d, f)
	if codes, ok := c.codes(d.valueSet); ok && !bound(codes, f.n) {
		c.add(fault.ProfileCode, f.at, "the profile demands a code of "+d.valueSet+" here: $expand lists them")
	}
	if f.n.IsObject() {
		c.object(d, f.n, f.at)
	}
}

// typed holds a value to the types and targets that the profile leaves.
func (c *profileCheck) typed(d *demand, f foundAt) {
	if len(d.types) == 0 {
		return
	}
	var names, targets []string
	for _, t := range d.types {
		names = append(names, t.Text("code"))
		for _, target := range t.Each("targetProfile") {
			targets = append(targets, target.Text()[strings.LastIndexByte(target.Text(), '/')+1:])
		}
	}
	if d.choice && !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, f.typ) }) {
		c.add(fault.ProfileValue, f.at, "the profile has this element as "+strings.Join(names, " or ")+" only")
		return
	}
	typ := parseReference(f.n.Text("reference")).typ
	if typ == "" {
		typ = f.n.Text("type")
	}
	if len(targets) > 0 && typ != "" && !slices.Contains(targets, typ) {
		c.add(fault.ProfileValue, f.at, "the profile lets this refer to "+strings.Join(targets, " or ")+" only")
	}
}

// takes tells whether a value is of this slice, FHIR R4 profiling.html#discriminator.
func (d *demand) takes(n *Node, slicing *Node) bool {
	for _, by := range slicing.Get("discriminator").Items() {
		at, path := d, by.Text("path")
		if path == "url" && len(d.types) > 0 { // a slice of extensions is told by its profile
			return n.Text("url") == d.types[0].Text("profile")
		}
		if path != "$this" {
			at, n = at.look(path), n.Get(path)
		}
		if at.fixed != nil && !equal(at.fixed, n) || at.pattern != nil && !matchesPattern(at.pattern, n) {
			return false
		}
	}
	return true
}

// look is the demand on an element below, an empty one where nothing is said.
func (d *demand) look(name string) *demand {
	for _, below := range d.below {
		if below.name == name {
			return below
		}
	}
	return &demand{}
}

// matchesPattern: what the pattern has, the value has too (FHIR R4
// elementdefinition-definitions.html#ElementDefinition.pattern_x_).
func matchesPattern(pattern, n *Node) bool {
	switch {
	case n == nil || pattern.kind != n.kind:
		return false
	case pattern.IsObject():
		for _, m := range pattern.members {
			if !matchesPattern(m.value, n.member(m.name)) {
				return false
			}
		}
		return true
	case pattern.IsArray():
		for _, want := range pattern.items {
			if !slices.ContainsFunc(n.items, func(item *Node) bool { return matchesPattern(want, item) }) {
				return false
			}
		}
		return true
	}
	return pattern.text == n.text
}

func equal(a, b *Node) bool { return matchesPattern(a, b) && matchesPattern(b, a) }

// bound tells whether a code, Coding or CodeableConcept has a code of the set.
func bound(codes ValueSet, n *Node) bool {
	switch {
	case n.IsString():
		return slices.ContainsFunc(codes, func(c workflow.Coding) bool { return c.Code == n.Text() })
	case n.Get("coding") != nil:
		return codes.Has(n)
	}
	return codes.Has(Object("coding", []*Node{n}))
}

// shown is a value of a profile of ours in a text.
func shown(n *Node) string {
	if n.IsObject() {
		return string(n.Bytes())
	}
	return n.Text()
}
