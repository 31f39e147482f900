package fhir

import (
	_ "embed"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/overread/overread/internal/fault"
)

// view is how much of each resource is answered: FHIR R4 search.html#summary
// and #elements. The zero view is all of it.
type view struct {
	summary  string // true, text or data
	elements []string
}

func (v view) whole() bool { return v.summary == "" && v.elements == nil }

// setSummary reads _summary; count is for searches only.
func (a *inquiry) setSummary(value string) error {
	if value == "count" {
		a.onlyHow = true
		return nil
	}
	return a.view.setSummary(value, "true, text, data, count or false")
}

func (v *view) setSummary(value, choices string) error {
	switch value {
	case "true", "text", "data":
		v.summary = value
	case "false":
	default:
		return fault.New(fault.Value, "_summary must be %s", choices)
	}
	return nil
}

func (a *inquiry) setElements(value string) error {
	var types []string
	for _, q := range a.queries {
		types = append(types, q.row.name)
	}
	return a.view.setElements(value, types)
}

// setElements reads _elements: names of elements at the top of the resource. A
// name that none of the types has is refused, as it would take away what was
// meant.
func (v *view) setElements(value string, types []string) error {
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSuffix(name, "[x]")
		if !slices.ContainsFunc(types, func(typ string) bool { return hasElement(typ, name) }) {
			return fault.New(fault.Value, "_elements must be names of elements at the top of the resource, such as identifier,status; one of these is none of %s", strings.Join(types, " or "))
		}
		v.elements = append(v.elements, name)
	}
	return nil
}

func hasElement(typ, name string) bool {
	shape := resourceShape(typ)
	if shape == nil || strings.HasPrefix(name, "_") {
		return false
	}
	_, ok := shape.elements[name]
	_, choice := shape.choices[name]
	return ok || choice
}

// check refuses what cannot go together. FHIR R4 search.html#summary: included
// resources are of no use without their data.
func (v view) check(includes []include) error {
	switch {
	case v.summary != "" && v.elements != nil:
		return fault.New(fault.Value, "_summary and _elements do not go together: choose one")
	case v.summary == "text" && includes != nil:
		return fault.New(fault.Value, "_summary=text cannot be mixed with _include and _revinclude")
	}
	return nil
}

func (v view) use(used url.Values) {
	if v.summary != "" {
		used.Set("_summary", v.summary)
	}
	if v.elements != nil {
		used.Set("_elements", strings.Join(v.elements, ","))
	}
}

// viewOf reads _summary and _elements of a read, which has them like a search.
func viewOf(typ string, asked url.Values) (view, error) {
	var v view
	var err error
	if asked.Has("_summary") {
		err = v.setSummary(asked.Get("_summary"), "true, text, data or false here")
	}
	if err == nil && asked.Has("_elements") {
		err = v.setElements(asked.Get("_elements"), []string{typ})
	}
	if err == nil {
		err = v.check(nil)
	}
	return v, err
}

// of is the body of a resource as it is to be answered. What is not whole is
// tagged, so that nobody sends it back as an update.
func (v view) of(r Stored) ([]byte, error) {
	if v.whole() {
		return r.Body, nil
	}
	n, err := Parse(r.Body, Limits{})
	if err != nil {
		return nil, err
	}
	if v.summary == "data" {
		n.Remove("text")
	} else {
		n.keep(v.outline(n.Type()))
	}
	subset(n)
	return n.Bytes(), nil
}

// subset tags a resource as not whole, FHIR R4 resource.html#simple-tags.
func subset(n *Node) {
	const system, code = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED"
	if slices.ContainsFunc(n.Each("meta", "tag"), func(tag *Node) bool { return tag.Text("system") == system && tag.Text("code") == code }) {
		return
	}
	meta := n.Get("meta")
	if meta == nil {
		meta = Object()
		n.Set("meta", meta)
	}
	meta.Append("tag", coding(system, code, ""))
}

// outline is a tree of the names of elements; one without names below it stands
// for all of the element.
type outline map[string]outline

func (o outline) add(path string) {
	name, rest, more := strings.Cut(path, ".")
	below := o[name]
	if below == nil {
		below = outline{}
		o[name] = below
	}
	if more {
		below.add(rest)
	}
}

// has finds a name of JSON: _status is status, and valueString is value[x].
func (o outline) has(name string) (outline, bool) {
	name = strings.TrimPrefix(name, "_")
	if below, ok := o[name]; ok {
		return below, true
	}
	for i, letter := range name {
		if i == 0 || !unicode.IsUpper(letter) {
			continue
		}
		if below, ok := o[name[:i]+"[x]"]; ok {
			return below, true
		}
	}
	return nil, false
}

// keep takes out of an object what the outline does not have.
func (n *Node) keep(o outline) {
	n.members = slices.DeleteFunc(n.members, func(m member) bool {
		if m.name == "resourceType" {
			return false
		}
		below, ok := o.has(m.name)
		if !ok || len(below) == 0 {
			return !ok
		}
		return !m.value.keepBelow(below)
	})
}

// keepBelow is keep for an object or the items of an array; false says that
// nothing is left.
func (n *Node) keepBelow(o outline) bool {
	switch {
	case n.IsObject():
		n.keep(o)
		return len(n.members) > 0
	case n.IsArray():
		n.items = slices.DeleteFunc(n.items, func(item *Node) bool { return !item.keepBelow(o) })
		return len(n.items) > 0
	}
	return true
}

// summaryText says for each type, a line each: its summary elements, its
// mandatory ones and its modifiers, as the StructureDefinitions of FHIR R4 have
// them. A test makes it of those.
//
//go:embed summary.tsv
var summaryText string

// summaryRow is one line of it. Only summary has elements below the top.
type summaryRow struct{ summary, mandatory, modifiers []string }

var summaries = sync.OnceValue(func() map[string]summaryRow {
	rows := map[string]summaryRow{}
	for line := range strings.Lines(summaryText) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		rows[columns[0]] = summaryRow{strings.Fields(columns[1]), strings.Fields(columns[2]), strings.Fields(columns[3])}
	}
	return rows
})

// outline are the elements of a type that the view shows: always id and meta,
// and what is mandatory (FHIR R4 search.html#elements).
func (v view) outline(typ string) outline {
	row := summaries()[typ]
	names := slices.Concat([]string{"id", "meta"}, row.mandatory)
	switch v.summary {
	case "true":
		names = append(names, row.summary...)
	case "text":
		names = append(names, "text")
	default:
		names = append(names, row.modifiers...)
		for _, name := range v.elements {
			names = append(names, name, name+"[x]")
		}
	}
	o := outline{}
	for _, name := range names {
		o.add(name)
	}
	return o
}
