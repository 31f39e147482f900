package fhir

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// orderCreated is the hook of the table of resources: a ServiceRequest that
// asks for a second opinion opens a case with a Task of ours. The same order
// again leads to the ServiceRequest that is here already.
func (s *Server) orderCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	asks := asksForSecondOpinion(n, s.secondOpinion)
	c, err := s.coordinated(ctx, tx, n)
	switch {
	case err == nil && (asks || c.ServiceRequestID == nil):
		return s.adopt(ctx, tx, actor, c, n)
	case err != nil && !fault.Is(err, fault.NotFound):
		return nil, err
	case !asks:
		return nil, nil
	}
	task, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	order, err := orderOf(n, task.String())
	if err != nil {
		return nil, err
	}
	c, opened, err := s.engine.OpenTx(ctx, tx, actor, order)
	switch {
	case err != nil:
		return nil, err
	case opened:
		return nil, s.withholdEarly(ctx, tx, c)
	}
	return s.adopt(ctx, tx, actor, c, n) // the same order came in this moment
}

// withholdEarly hides the original report from blinded readers from the first
// moment, before the intake checks look at the order.
func (s *Server) withholdEarly(ctx context.Context, tx pgx.Tx, c workflow.Case) error {
	d, err := s.dossier(ctx, tx, c)
	if err != nil {
		return err
	}
	return s.withhold(ctx, tx, d)
}

// orderEvent is what a new status of an order means for its case.
type orderEvent struct {
	event  workflow.Event
	reason string
}

// orderEvents is the table of them. completed is the placer's to say, after we
// have finished; it changes nothing here.
var orderEvents = map[string]orderEvent{
	"revoked":          {"cancel", "the placer revoked the order"},
	"entered-in-error": {"cancel", "the placer entered the order in error"},
	"on-hold":          {"hold", "the placer suspended the order"},
	"active":           {"resume", ""},
}

// orderUpdated is the hook of the table of resources: the placer revokes,
// holds or resumes its order, or completes what was missing in it.
func (s *Server) orderUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	c, err := workflow.CaseByServiceRequestTx(ctx, tx, after.Text("id"))
	if fault.Is(err, fault.NotFound) {
		return s.becomesOrder(ctx, tx, actor, after)
	}
	if err != nil {
		return err
	}
	if err := sameOrder(c, before, after); err != nil {
		return err
	}
	return s.followOrder(ctx, tx, actor, c, before.Text("status"), after)
}

// followOrder makes the case do what its order says now; before is the status
// that the order had.
func (s *Server) followOrder(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, before string, order *Node) error {
	if err := s.sameStudy(ctx, tx, c); err != nil {
		return err
	}
	if status := order.Text("status"); status != before {
		e, ok := orderEvents[status]
		switch {
		case !ok:
		case e.tooLate(c):
			return fault.At(fault.BusinessRule, "ServiceRequest.status", "the case of this order has ended (it is %s) and does not begin again: send a new order", c.State)
		case e.applies(c):
			return s.fireOrderEvent(ctx, tx, actor, c, e)
		}
	}
	// The checks may find the same as before, which is no event: the Task follows its order all the same.
	if err := s.publishTask(ctx, tx, workflow.Change{Case: c, Actor: actor, At: s.now()}); err != nil {
		return err
	}
	return s.engine.RecheckTx(ctx, tx, actor.Tenant, c.CaseID)
}

// becomesOrder: a draft is activated, or an order is coded as a second opinion.
func (s *Server) becomesOrder(ctx context.Context, tx pgx.Tx, actor access.Actor, after *Node) error {
	existing, err := s.orderCreated(ctx, tx, actor, after)
	if err == nil && existing != nil {
		return fault.At(fault.Conflict, "ServiceRequest.identifier", "this order number has a case already, on %s", existing.Reference())
	}
	return err
}

// sameOrder: what makes it this order stays; anything else is a new order.
func sameOrder(c workflow.Case, before, after *Node) error {
	if c.AcceptedAt != nil && !sameReference(before.Get("subject"), after.Get("subject")) {
		return fault.At(fault.BusinessRule, "ServiceRequest.subject", "a reader has the case, and its patient cannot change any more; revoke this order and send a new one")
	}
	if after.Text("doNotPerform") == "true" {
		return fault.At(fault.BusinessRule, "ServiceRequest.doNotPerform", "a case runs on this order, and it cannot turn into its opposite; revoke it")
	}
	if err := understood(after); err != nil {
		return err
	}
	was, numbered := placerIdentifier(before)
	if is, err := placerIdentifier(after); numbered == nil && (err != nil || is != was) {
		return fault.At(fault.BusinessRule, "ServiceRequest.identifier", "the placer's order number names the case and cannot change; revoke this order and send a new one")
	}
	return nil
}

// sameReference: wherever two References say it, they say the same.
func sameReference(a, b *Node) bool {
	return a.Text("reference") == b.Text("reference") && identifierKey(a.Get("identifier")) == identifierKey(b.Get("identifier"))
}

// sameStudy: the report is of the study that was read.
func (s *Server) sameStudy(ctx context.Context, tx pgx.Tx, c workflow.Case) error {
	if c.AcceptedAt == nil || c.StudyID == nil {
		return nil
	}
	d, err := s.dossier(ctx, tx, c)
	if err == nil && d.study.id() != "" && d.study.id() != *c.StudyID {
		err = fault.At(fault.BusinessRule, "ServiceRequest.supportingInfo", "a reader has the case, and its study cannot change any more; revoke this order and send a new one")
	}
	return err
}

// tooLate: a case that has ended cannot be held, and does not begin again.
func (e orderEvent) tooLate(c workflow.Case) bool { return e.event != "cancel" && hasEnded(c) }

// applies: an order that is activated again resumes only what was on hold, and
// one that is revoked ends only what has not ended.
func (e orderEvent) applies(c workflow.Case) bool {
	return !hasEnded(c) && (e.event != "resume" || c.State == workflow.OnHold)
}

func hasEnded(c workflow.Case) bool {
	switch c.State {
	case workflow.Cancelled, workflow.Rejected, workflow.Failed, workflow.EnteredInError:
		return true
	}
	return false
}

// fireOrderEvent refuses to cancel what is signed with words that help.
func (s *Server) fireOrderEvent(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, e orderEvent) error {
	if c.ReportNo > 0 {
		return fault.At(fault.BusinessRule, "ServiceRequest.status",
			"the second opinion is signed (the case is %s), and a signed report is not undone by its order: leave the status active or set completed; for a mistake in the report ask for an amendment, for a wrong patient ask the medical director ($declare-error)", c.State)
	}
	_, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, e.event, workflow.Input{Reason: e.reason})
	return err
}
