package fhir

import (
	"strconv"
	"strings"
	"sync"
)

// profile is one of our StructureDefinitions, as a tree of what it demands
// beyond FHIR R4: the elements of its differential. It does what our profiles
// use: cardinality, fixed and pattern, types and targets, slices by value,
// pattern or url, required bindings, invariants (FHIR R4 profiling.html).
type profile struct {
	url, version, typ string
	root              *demand
}

// demand is what a profile says of one element, or of one slice of it.
type demand struct {
	name     string // of the element, with [x]
	choice   bool
	min      int
	max      int // -1 where nothing is said
	types    []*Node
	fixed    *Node
	pattern  *Node
	valueSet string // of a required binding
	keys     []string
	slicing  *Node
	slices   []*demand
	below    []*demand
	slice    string
}

// profiles are ours, by canonical URL.
var profiles = sync.OnceValue(func() map[string]*profile {
	all := map[string]*profile{}
	for _, sd := range structureDefinitions() {
		p := newProfile(sd)
		all[p.url] = p
	}
	return all
})

func newProfile(sd *Node) *profile {
	p := &profile{url: sd.Text("url"), version: sd.Text("version"), typ: sd.Text("type"), root: &demand{name: sd.Text("type"), max: -1}}
	for _, e := range sd.Get("differential", "element").Items() {
		at := p.root
		for _, step := range strings.Split(e.Text("id"), ".")[1:] {
			at = at.child(step)
		}
		at.read(e)
	}
	return p
}

// child is the demand on an element below, or on a slice: identifier:case.
func (d *demand) child(step string) *demand {
	name, slice, sliced := strings.Cut(step, ":")
	below := find(&d.below, name, "")
	if !sliced {
		return below
	}
	return find(&below.slices, name, slice)
}

func find(among *[]*demand, name, slice string) *demand {
	for _, d := range *among {
		if d.name == name && d.slice == slice {
			return d
		}
	}
	d := &demand{name: name, slice: slice, max: -1, choice: strings.HasSuffix(name, "[x]")}
	*among = append(*among, d)
	return d
}

func (d *demand) read(e *Node) {
	d.min, _ = strconv.Atoi(e.Text("min"))
	if most, err := strconv.Atoi(e.Text("max")); err == nil {
		d.max = most
	}
	d.types = e.Get("type").Items()
	d.slicing = e.Get("slicing")
	if e.Text("binding", "strength") == "required" {
		d.valueSet = e.Text("binding", "valueSet")
	}
	for _, m := range e.members {
		switch {
		case strings.HasPrefix(m.name, "fixed"):
			d.fixed = m.value
		case strings.HasPrefix(m.name, "pattern"):
			d.pattern = m.value
		}
	}
	for _, key := range e.Each("constraint", "key") {
		d.keys = append(d.keys, key.Text())
	}
}
