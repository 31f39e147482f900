package fhir

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// What a case waits for may come by any route and at any time: whenever a
// study, report, patient, condition or consent arrives or changes, the cases
// that it may concern look at their order again.

// factCreated is the hook of the table of resources.
func (s *Server) factCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	return nil, s.arrived(ctx, tx, actor, n)
}

// factUpdated is the hook of the table of resources.
func (s *Server) factUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, _, after *Node) error {
	return s.arrived(ctx, tx, actor, after)
}

func (s *Server) arrived(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) error {
	for _, patient := range patientKeysOf(n) {
		waiting, err := workflow.CasesWaitingTx(ctx, tx, patient)
		if err != nil {
			return err
		}
		if err := s.engine.RecheckTx(ctx, tx, actor.Tenant, waiting...); err != nil {
			return err
		}
	}
	return nil
}

// patientKeysOf are the ways in which a case may know the patient of a
// resource (workflow.Facts.OrderPatient): the id here, or system|value.
func patientKeysOf(n *Node) []string {
	var keys []string
	add := func(key string) {
		if key != "" {
			keys = append(keys, key)
		}
	}
	if n.Type() == "Patient" {
		add(n.Text("id"))
		for _, id := range n.Each("identifier") {
			add(identifierKey(id))
		}
		return keys
	}
	for _, element := range []string{"subject", "patient"} {
		ref := n.Get(element)
		if id := localID(ref.Text("reference"), "Patient"); id != nil {
			add(*id)
		}
		add(identifierKey(ref.Get("identifier")))
	}
	return keys
}
