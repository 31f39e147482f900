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
// again leads to the ServiceRequest that is here already; so does one that is
// created under its number to end or to hold it, which is refused then
// (numberagain.go), for the case would go on.
func (s *Server) orderCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	asks := asksForSecondOpinion(n, s.secondOpinion)
	c, err := s.coordinated(ctx, tx, n)
	switch {
	case err == nil && (asks || c.ServiceRequestID == nil || authorises[n.Text("intent")] && meansSecondOpinion(n, s.secondOpinion)):
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

// orderEvents is the table of them. completed and draft are in unfinished; what is
// unknown changes nothing here.
var orderEvents = map[string]orderEvent{
	"revoked":          {"cancel", "the placer revoked the order"},
	"entered-in-error": {"cancel", "the placer entered the order in error"},
	"on-hold":          {"hold", "the placer suspended the order"},
	"active":           {"resume", ""},
}

// unfinished are the statuses that an order cannot have while its case is open, and
// what to do instead.
var unfinished = map[string]string{
	"completed": "the second opinion is not signed yet (the case is %s), so the order is not completed: wait for the report, or set revoked to cancel",
	"draft":     "the order is in work (the case is %s) and does not become a draft again: set on-hold, or revoked to cancel",
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
	if err := s.sameOrder(ctx, tx, c, before, after); err != nil {
		return err
	}
	return s.followOrder(ctx, tx, actor, c, before, after)
}

// followOrder makes the case do what its order says now; before is the order as it
// was.
func (s *Server) followOrder(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, before, order *Node) error {
	if err := s.sameStudy(ctx, tx, c); err != nil {
		return err
	}
	if err := s.followPriority(ctx, tx, actor, &c, before, order); err != nil {
		return err
	}
	if status := order.Text("status"); status != before.Text("status") {
		e, ok := orderEvents[status]
		switch {
		case unfinished[status] != "" && c.ReportNo == 0 && !hasEnded(c):
			return fault.At(fault.BusinessRule, "ServiceRequest.status", unfinished[status], c.State)
		case !ok:
		case e.tooLate(c):
			return fault.At(fault.BusinessRule, "ServiceRequest.status", "the case of this order has ended (it is %s) and does not begin again: send a new order", c.State)
		case e.applies(c):
			if err := s.fireOrderEvent(ctx, tx, actor, c, e); err != nil {
				return err
			}
			return s.engine.RecheckTx(ctx, tx, actor.Tenant, c.CaseID) // it may be corrected in the same breath
		}
	}
	// The checks may find the same as before, which is no event: the Task follows its order all the same.
	if err := s.publishTask(ctx, tx, workflow.Change{Case: c, Actor: actor, At: s.now()}); err != nil {
		return err
	}
	return s.engine.RecheckTx(ctx, tx, actor.Tenant, c.CaseID)
}

// followPriority: an order that becomes more or less urgent takes its case along.
func (s *Server) followPriority(ctx context.Context, tx pgx.Tx, actor access.Actor, c *workflow.Case, before, order *Node) error {
	priority := priorityOf(order)
	if order.Text("priority") == before.Text("priority") || priority == c.Priority || over(*c) {
		return nil
	}
	ch, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "reprioritise", workflow.Input{Priority: priority})
	if err == nil {
		*c = ch.Case
	}
	return err
}

// over: no clock runs any more that a priority could change.
func over(c workflow.Case) bool { return hasEnded(c) || c.State == workflow.Closed }

// becomesOrder: a draft is activated, or an order is coded as a second opinion.
func (s *Server) becomesOrder(ctx context.Context, tx pgx.Tx, actor access.Actor, after *Node) error {
	existing, err := s.orderCreated(ctx, tx, actor, after)
	if err == nil && existing != nil {
		return fault.At(fault.Conflict, "ServiceRequest.identifier", "this order number has a case already, on %s", existing.Reference())
	}
	return err
}

// sameOrder: what makes it this order stays; anything else is a new order.
func (s *Server) sameOrder(ctx context.Context, tx pgx.Tx, c workflow.Case, before, after *Node) error {
	if c.ReportNo > 0 && !sameReference(before.Get("subject"), after.Get("subject")) {
		same, err := s.samePatientNow(ctx, tx, c.TenantID, before, after)
		if err == nil && !same {
			err = fault.At(fault.BusinessRule, "ServiceRequest.subject", "the second opinion is signed, and its patient does not change by its order: for a wrong patient ask the medical director to declare the case an error ($declare-error), and send a new order for the right one")
		}
		if err != nil {
			return err
		}
	}
	if err := staysOrder(c, before, after); err != nil {
		return err
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

// staysOrder: an order does not become a proposal or a plan again (FHIR R4
// request-definitions.html#Request.intent: immutable, as a rule; another intent is another
// resource, basedOn this one). Of one order it may still be said which kind of order it is.
func staysOrder(c workflow.Case, before, after *Node) error {
	intent := after.Text("intent")
	if intent == before.Text("intent") || authorises[intent] || hasEnded(c) {
		return nil
	}
	if c.ReportNo > 0 {
		return fault.At(fault.BusinessRule, "ServiceRequest.intent", "the second opinion that was ordered is signed (the case is %s), and its order does not become a %s: leave intent as it was (%s)", c.State, intent, before.Text("intent"))
	}
	return fault.At(fault.BusinessRule, "ServiceRequest.intent", "the case of this order is %s, and an order does not become a %s: leave intent as it was (%s). Is it not to be done, set status revoked, which cancels it; a %s is a new ServiceRequest", c.State, intent, before.Text("intent"), intent)
}

// samePatientNow: the two orders are of one patient, whose records may have been merged.
func (s *Server) samePatientNow(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, before, after *Node) (bool, error) {
	r, err := s.resolver(ctx, tx, tenant)
	if err != nil {
		return false, err
	}
	was, err := r.patientKey(ctx, before.Get("subject"), before)
	if err != nil {
		return false, err
	}
	is, err := r.patientKey(ctx, after.Get("subject"), after)
	return was == is, err
}

// sameReference: wherever two References say it, they say the same.
func sameReference(a, b *Node) bool {
	return a.Text("reference") == b.Text("reference") && identifierKey(a.Get("identifier")) == identifierKey(b.Get("identifier"))
}

// sameStudy: a report is of the study that was read.
func (s *Server) sameStudy(ctx context.Context, tx pgx.Tx, c workflow.Case) error {
	if c.ReportNo == 0 || c.StudyID == nil {
		return nil
	}
	d, err := s.dossier(ctx, tx, c)
	if err == nil && d.study.id() != "" && d.study.id() != *c.StudyID {
		err = fault.At(fault.BusinessRule, "ServiceRequest.supportingInfo", "the second opinion is signed, and its study does not change by its order: for a wrong study ask the medical director to declare the case an error ($declare-error), and send a new order for the right one")
	}
	return err
}

// tooLate: a case that has ended cannot be held, and does not begin again.
func (e orderEvent) tooLate(c workflow.Case) bool { return e.event != "cancel" && hasEnded(c) }

// applies: an order that is activated again resumes only what was on hold, one that
// is held holds what is not, and one that is revoked ends only what has not ended.
func (e orderEvent) applies(c workflow.Case) bool {
	switch held := c.State == workflow.OnHold; e.event {
	case "resume":
		return held
	case "hold": // it may be on hold by its Task already
		return !hasEnded(c) && (!held || c.Correction != nil)
	}
	return !hasEnded(c)
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
