package fhir

import (
	"slices"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Readers need the study itself, so it cannot be withheld as its report is. They
// get it without who has read it first and what they noted, under every protocol
// and at any time, in whatever role they come: whoever may know it finds it in the
// report.

// redactions are, by type, the elements that are not for readers, and the search
// parameters that would reveal them.
var redactions = map[string]struct {
	elements [][]string
	params   []string
}{
	"ImagingStudy": {
		elements: [][]string{{"text"}, {"note"}, {"interpreter"}, {"series", "performer"}},
		params:   []string{"interpreter", "performer"},
	},
}

// redacts tells whether the actor gets resources of the type without some of it.
func redacts(actor access.Actor, typ string) bool {
	_, ok := redactions[typ]
	return ok && actor.HidesOriginals()
}

// redacted is the resource as the actor may have it. What was taken out of is
// tagged.
func redacted(actor access.Actor, r Stored) (Stored, error) {
	if !redacts(actor, r.Type) || r.Body == nil {
		return r, nil
	}
	if slices.Contains(actor.Opened, patientIn(r)) { // in an emergency nothing is
		return r, nil
	}
	n, err := Parse(r.Body, Limits{})
	if err != nil {
		return Stored{}, err
	}
	whole := string(n.Bytes())
	for _, path := range redactions[r.Type].elements {
		last := len(path) - 1
		for _, parent := range n.Each(path[:last]...) {
			parent.Remove(path[last])
			parent.Remove("_" + path[last])
		}
	}
	if string(n.Bytes()) != whole {
		dropUnused(n)
		subset(n)
		r.Body = n.Bytes()
	}
	return r, nil
}

// dropUnused takes out contained resources to which nothing leads any more, such
// as the Practitioner who interpreted, and then those to which only they led.
func dropUnused(n *Node) {
	for had := -1; had != len(n.Each("contained")); {
		had = len(n.Each("contained"))
		used := map[string]bool{}
		n.Walk(func(_ string, v *Node) {
			if ref := v.Get("reference"); ref.IsString() {
				used[ref.Text()] = true
			}
		})
		n.Set("contained", slices.DeleteFunc(n.Each("contained"), func(c *Node) bool { return !used["#"+c.Text("id")] }))
	}
}

// mayAsk refuses a search that would tell a reader what is redacted, or that goes
// over a type which the scopes do not cover, wherever on its way it asks.
func (s *Server) mayAsk(actor access.Actor, q *query) error {
	if err := s.mayRead(actor, q.row); err != nil {
		return err
	}
	if err := covered(actor, q.row.name, access.Search); err != nil {
		return err
	}
	for _, c := range q.criteria {
		if err := s.mayUse(actor, q.row, c.param); err != nil {
			return err
		}
	}
	if q.within != nil {
		for _, key := range q.within.params {
			if err := s.mayUse(actor, q.row, key); err != nil {
				return err
			}
		}
	}
	for _, h := range q.hops {
		owner := q.row
		if h.back {
			owner = h.to.row
		}
		if err := s.mayUse(actor, owner, h.param); err != nil {
			return err
		}
		if err := s.mayAsk(actor, h.to); err != nil {
			return err
		}
	}
	return nil
}

// mayRead refuses a type of resource that is not for the actor at all.
func (s *Server) mayRead(actor access.Actor, row *resourceType) error {
	if row.isFor(actor.Role) {
		return nil
	}
	return fault.New(fault.Forbidden, "%s is not for the role %s", row.name, actor.Role)
}

// opens tells whether the actor may read resources of the type that come along
// with what it asked for.
func (s *Server) opens(actor access.Actor, typ string) bool {
	row := s.resources[typ]
	return row != nil && row.isFor(actor.Role) && actor.May(typ, access.Read)
}

// mayUse refuses a search parameter that would tell a reader what is redacted.
func (s *Server) mayUse(actor access.Actor, row *resourceType, key string) error {
	if err := s.mayRead(actor, row); err != nil {
		return err
	}
	if !actor.HidesOriginals() || !slices.Contains(redactions[row.name].params, key) {
		return nil
	}
	return fault.New(fault.Forbidden, "who has read a study is not for readers, in whatever role: %s cannot be searched by %s", row.name, key)
}
