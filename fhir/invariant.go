package fhir

import (
	"slices"
	"strconv"

	"github.com/overread/overread/internal/fault"
)

// An invariant is a rule of FHIR R4 about several elements of one object: a
// constraint of the StructureDefinition of its type. The rules are written in Go
// and not evaluated from their FHIRPath, see docs/decisions/0007-invariants-in-go.md;
// a test holds the table to the published definitions, and another has an example
// that keeps each rule and one that breaks it.
type invariant struct {
	key        string
	on         string // the type, or type.element where the element alone has the rule
	warning    bool   // never refuses; told by $validate
	expression string // as the specification writes it
	at         string // the element below to blame, "" for the whole
	text       string // what to do
	holds      func(n *Node) bool
	breaker    func(n *Node) int // instead of holds, of a rule about each item of at: which breaks it, -1 for none
}

// invariants is the table of them. ele-1, ext-1, dom-2, dom-3, ref-1, txt-1 and
// txt-2 need more than the object they are about and stand in check.go.
func invariants() []invariant {
	return slices.Concat(datatypeInvariants(), domainInvariants(), clinicalInvariants(), administrativeInvariants(), bundleInvariants())
}

// broken is the issue of an element that breaks the invariant.
func (v invariant) broken(element string, n *Node) (fault.Issue, bool) {
	if v.at != "" {
		element += "." + v.at
	}
	switch {
	case v.breaker != nil:
		i := v.breaker(n)
		if i < 0 {
			return fault.Issue{}, false
		}
		element += "[" + strconv.Itoa(i) + "]"
	case v.holds(n):
		return fault.Issue{}, false
	}
	return fault.Issue{Kind: fault.Invariant, Expression: element, Text: v.text + " (" + v.key + ")"}, true
}
