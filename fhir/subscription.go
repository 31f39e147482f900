package fhir

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// A Subscription is kept, and nobody is notified yet. FHIR R4
// subscription.html#status: a client asks for one with requested, and it is the
// server that makes it active. One that said active would look as if it worked.

func (s *Server) subscriptionCreated(_ context.Context, _ pgx.Tx, _ access.Actor, n *Node) (*Stored, error) {
	return nil, notActive(n)
}

func (s *Server) subscriptionUpdated(_ context.Context, _ pgx.Tx, _ access.Actor, _, after *Node) error {
	return notActive(after)
}

func notActive(n *Node) error {
	if n.Text("status") == "active" {
		return fault.At(fault.BusinessRule, "Subscription.status", "this release sends no notifications, so no Subscription is active: ask with status requested, or send off")
	}
	return nil
}
