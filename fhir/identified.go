package fhir

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// identified: a Practitioner came or changed. By what they are called now they may be who
// read a study first of which a report is signed (workflow/identified.go).
func (s *Server) identified(ctx context.Context, tx pgx.Tx, before, after *Node) error {
	was, is := calledBy(before), calledBy(after)
	return workflow.IdentifiedTx(ctx, tx, workflow.Identity{Practitioner: after.Text("id"), Names: slices.Concat(was, is), Gained: gained(was, is)}, s.now().UTC())
}

// roleIdentified: a PractitionerRole says of whom it is, and may say otherwise now.
func (s *Server) roleIdentified(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	r, err := s.resolver(ctx, tx, actor.Tenant)
	if err != nil {
		return err
	}
	var names [2][]string
	for i, role := range []*Node{before, after} {
		person, err := r.follow(ctx, role.Get("practitioner"), role)
		if err != nil {
			return err
		}
		names[i] = appendNames(calledBy(role), person, role.Get("practitioner"))
	}
	return workflow.IdentifiedTx(ctx, tx, workflow.Identity{Names: slices.Concat(names[0], names[1]), Gained: gained(names[0], names[1])}, s.now().UTC())
}

// calledBy are those by which a case knows a person or their role.
func calledBy(n *Node) []string {
	if n == nil {
		return nil
	}
	return append([]string{n.Type() + "/" + n.Text("id")}, identifierKeys(n)...)
}

func gained(was, is []string) []string {
	return slices.DeleteFunc(slices.Clone(is), func(name string) bool { return slices.Contains(was, name) })
}
