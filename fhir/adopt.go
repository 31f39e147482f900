package fhir

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// A Coordination Task may open a case before its order is here (coordination.go).
// The order that comes later is adopted: from then on it speaks to the case as
// any order does. The placer's Task stays as the placer wrote it, and is found
// by the order all the same (searchquery.go).

// coordinated is the case that a Coordination Task has opened on this order when
// it knew of it nothing but its number or its address at the EHR; a fault of
// kind NotFound when there is none.
func (s *Server) coordinated(ctx context.Context, tx pgx.Tx, n *Node) (workflow.Case, error) {
	if number, err := placerIdentifier(n); err == nil {
		c, err := workflow.CaseByPlacerTx(ctx, tx, number.system, number.value)
		if !fault.Is(err, fault.NotFound) {
			return c, err
		}
	}
	address, err := s.addressAtEHR(ctx, tx, n)
	if err != nil {
		return workflow.Case{}, err
	}
	return workflow.CaseByPlacerTx(ctx, tx, uriSystem, address)
}

// addressAtEHR is where the EHR keeps the resource, "" where that is unknown.
func (s *Server) addressAtEHR(ctx context.Context, tx pgx.Tx, n *Node) (string, error) {
	base, err := s.ehrBase(ctx, tx)
	if err != nil || base == "" {
		return "", err
	}
	ehrID, known, err := originOf(ctx, tx, n.Type(), n.Text("id"))
	if err != nil || !known {
		return "", err
	}
	return base + "/" + n.Type() + "/" + ehrID, nil
}

// adopt makes this the order of the case. A case that has an order here already
// keeps it, and that one is returned.
func (s *Server) adopt(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, n *Node) (*Stored, error) {
	if err := s.mayAdopt(ctx, tx, c, n); err != nil {
		return nil, err
	}
	c, adopted, err := workflow.AdoptOrderTx(ctx, tx, c.CaseID, n.Text("id"))
	switch {
	case err != nil:
		return nil, err
	case !adopted && *c.ServiceRequestID == n.Text("id"):
		return nil, nil
	case !adopted:
		existing, err := s.store.Get(ctx, tx, "ServiceRequest", *c.ServiceRequestID)
		return &existing, err
	}
	if err := s.withholdEarly(ctx, tx, c); err != nil {
		return nil, err
	}
	return nil, s.followOrder(ctx, tx, actor, c, Object("resourceType", "ServiceRequest", "status", "active"), n)
}

// mayAdopt refuses an order that is not understood, and as the first one of its
// case one that forbids, or is for another patient than the Task.
func (s *Server) mayAdopt(ctx context.Context, tx pgx.Tx, c workflow.Case, n *Node) error {
	if err := understood(n); err != nil {
		return err
	}
	if c.ServiceRequestID != nil {
		return nil
	}
	if n.Text("doNotPerform") == "true" {
		return fault.At(fault.BusinessRule, "ServiceRequest.doNotPerform", "a Task asks for what this order forbids: cancel the Task first")
	}
	r, err := s.resolver(ctx, tx, c.TenantID)
	if err != nil {
		return err
	}
	task, err := r.get(ctx, "Task", c.TaskID)
	if err != nil {
		return err
	}
	return samePatient(ctx, r, task.Node, n, "ServiceRequest.subject")
}

// tasksOfOrders are the Tasks whose cases run on these ServiceRequests, as the
// cases know them: a placer's own Task may name its order in another way, or
// contain it.
func tasksOfOrders(ctx context.Context, tx pgx.Tx, references []string) ([]string, error) {
	ids := []string{}
	for _, ref := range references {
		switch id := localID(ref, "ServiceRequest"); {
		case id != nil:
			ids = append(ids, *id)
		case idPattern.MatchString(ref): // an id of any type
			ids = append(ids, ref)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT task_id
		FROM case_file
		WHERE service_request_id = ANY (@orders)`,
		pgx.NamedArgs{"orders": ids})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
