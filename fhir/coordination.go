package fhir

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// An EHR that works by HL7 Clinical Order Workflows (COW 1.0, "Task at
// Fulfiller") sends a Coordination Task: it opens a case on that very Task,
// whether the ServiceRequest comes along, is here already, is contained in the
// Task, or stays at the EHR. Later it speaks to the case through the Task, or,
// once work has begun, through a Task that asks for cancellation.

// taskCreated is the hook of the table of resources.
func (s *Server) taskCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	switch {
	case n.Text("status") != "requested":
		return nil, nil
	case hasCode(n.Get("code"), taskCode, "fulfill") && meansServiceRequest(n):
		return s.coordinate(ctx, tx, actor, n)
	case hasCode(n.Get("code"), taskCode, "abort"):
		return nil, s.answerCancellation(ctx, tx, actor, n)
	}
	return nil, nil
}

// focusOf is the order of a Coordination Task. The guide's text says basedOn,
// its profile focus.
func focusOf(task *Node) *Node {
	if focus := task.Get("focus"); focus != nil {
		return focus
	}
	for _, ref := range task.Each("basedOn") {
		return ref
	}
	return nil
}

// meansServiceRequest: what is to be fulfilled is a ServiceRequest, or does not
// say what it is (then it cannot be anything else here).
func meansServiceRequest(task *Node) bool {
	typ := targetType(focusOf(task), task)
	return typ == "ServiceRequest" || typ == ""
}

// coordinate opens a case on the placer's Task. A Task for an order that has a
// case already leads to the Task of that case.
func (s *Server) coordinate(ctx context.Context, tx pgx.Tx, actor access.Actor, task *Node) (*Stored, error) {
	order, err := s.coordinatedOrder(ctx, tx, actor, task)
	if err != nil {
		return nil, err
	}
	c, opened, err := s.engine.OpenTx(ctx, tx, actor, order)
	switch {
	case err != nil:
		return nil, err
	case opened && c.Protocol == workflow.Blinded && containsReport(task):
		return nil, fault.At(fault.BusinessRule, "Task.contained", "the case is read blinded, and its reader works by this Task: send the original report as a resource of its own, which can be withheld")
	case opened && c.Protocol == workflow.Blinded && (tellsOfOriginal(task) || slices.ContainsFunc(task.Each("contained"), tellsOfOriginal)):
		return nil, fault.At(fault.BusinessRule, "Task.reasonCode", "the case is read blinded, and its reader works by this Task: give the reason in a ServiceRequest of its own, which can be withheld")
	case opened:
		return nil, s.withholdEarly(ctx, tx, c)
	}
	if c.TaskID == task.Text("id") {
		return nil, nil
	}
	existing, err := s.store.Get(ctx, tx, "Task", c.TaskID)
	return &existing, err
}

// coordinatedOrder maps a Coordination Task to the order of a case. It returns
// a fault of kind Required when nothing in it names the order.
func (s *Server) coordinatedOrder(ctx context.Context, tx pgx.Tx, actor access.Actor, task *Node) (workflow.Order, error) {
	if err := understood(task); err != nil {
		return workflow.Order{}, err
	}
	focus := focusOf(task)
	if focus == nil {
		return workflow.Order{}, fault.At(fault.Required, "Task.focus", "a Task with code fulfill needs focus (and basedOn): a reference to the ServiceRequest that is to be fulfilled")
	}
	r, err := s.resolver(ctx, tx, actor.Tenant)
	if err != nil {
		return workflow.Order{}, err
	}
	sr, err := r.follow(ctx, focus, task)
	if err != nil {
		return workflow.Order{}, err
	}
	if err := inForce(sr.Node); err != nil {
		return workflow.Order{}, err
	}
	if err := samePatient(ctx, r, task, sr.Node, "Task.for"); err != nil {
		return workflow.Order{}, err
	}
	if sr.id() != "" { // kept here
		order, err := orderOf(sr.Node, task.Text("id"))
		order.Priority = priorityOf(moreUrgent(task, sr.Node))
		return order, err
	}
	placer, err := orderNumber(task, focus, sr.Node)
	if err == nil {
		err = placer.checkLength("Task.focus")
	}
	if err != nil {
		return workflow.Order{}, err
	}
	order := workflow.Order{
		PlacerSystem: placer.system,
		PlacerValue:  placer.value,
		TaskID:       task.Text("id"),
		PatientID:    localID(task.Text("for", "reference"), "Patient"),
		Priority:     priorityOf(moreUrgent(task, sr.Node)),
	}
	if literal := focus.Text("reference"); isAbsolute(literal) {
		order.ServiceRequestRef = literal
	}
	return order, nil
}

// samePatient refuses a Task that is for another patient than its order; at is
// the element to mend.
func samePatient(ctx context.Context, r resolver, task, sr *Node, at string) error {
	of, err := r.patientKey(ctx, task.Get("for"), task)
	if err != nil {
		return err
	}
	ordered, err := r.patientKey(ctx, sr.Get("subject"), sr)
	if err == nil && of != "" && ordered != "" && of != ordered {
		err = fault.At(fault.BusinessRule, at, "the Task is for another patient than the order in its focus: send both for the same patient")
	}
	return err
}

// inForce refuses a Task for an order that is over, or that forbids. An order
// that stays at the EHR (nil) is for the EHR to know.
func inForce(sr *Node) error {
	switch status := sr.Text("status"); {
	case status == "revoked", status == "completed", status == "entered-in-error", sr.Text("doNotPerform") == "true":
		return fault.At(fault.BusinessRule, "Task.focus", "the order that is to be fulfilled is not in force: its status ends it, or doNotPerform forbids it")
	case sr != nil:
		return understood(sr)
	}
	return nil
}

// moreUrgent is the one of Task and order that says a priority; the order first.
func moreUrgent(task, sr *Node) *Node {
	if sr.Text("priority") != "" {
		return sr
	}
	return task
}

// orderNumber is the placer's number of an order that is not kept here: what a
// contained order says, what a logical reference says, or the order's address.
func orderNumber(task, focus, sr *Node) (businessIdentifier, error) {
	if sr != nil {
		if id, err := placerIdentifier(sr); err == nil {
			return id, nil
		}
	}
	if system, value := focus.Text("identifier", "system"), focus.Text("identifier", "value"); system != "" && value != "" {
		return businessIdentifier{system, value}, nil
	}
	if literal := focus.Text("reference"); isAbsolute(literal) {
		address, _, _ := strings.Cut(literal, "/_history/")
		return businessIdentifier{uriSystem, address}, nil
	}
	for _, id := range task.Each("identifier") { // of the Task itself: the guide demands one
		if id.Text("system") != "" && id.Text("value") != "" {
			return businessIdentifier{id.Text("system"), id.Text("value")}, nil
		}
	}
	return businessIdentifier{}, fault.At(fault.Required, "Task.focus.identifier",
		"nothing names the order: give focus an address (reference) or the placer's order number (identifier with system and value), so that the same order sent twice opens one case")
}

// answerCancellation asks the case to end, and says on the placer's own Task
// whether it did (COW CancellationRequest): a refusal is an answer, not an
// error.
func (s *Server) answerCancellation(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) error {
	id := localID(focusOf(n).Text("reference"), "Task")
	if id == nil {
		return fault.At(fault.Value, "Task.focus", "a Task with code abort needs focus: Task/{id} of the Coordination Task that is to be cancelled")
	}
	c, err := workflow.CaseByTaskTx(ctx, tx, *id)
	if fault.Is(err, fault.NotFound) {
		return fault.At(fault.BusinessRule, "Task.focus", "this is no Task of a second opinion; name the Coordination Task that is to be cancelled")
	}
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		_, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "cancel", workflow.Input{Reason: n.Text("statusReason", "text")})
		return err
	})
	answer := n.Clone()
	var refused *fault.Error
	switch {
	case err == nil:
		answer.Set("status", "accepted")
	case errors.As(err, &refused):
		answer.Set("status", "rejected")
		answer.Set("statusReason", Object("text", refused.Issues[0].Text))
	default:
		return err
	}
	_, err = s.store.Put(ctx, tx, access.SystemActor(actor.Tenant), answer, nil)
	return err
}

// taskEvents is what a new status on the Task of a case means. Everything else
// that happens to a case is an operation.
var taskEvents = map[string]workflow.Event{
	"cancelled": "cancel",
	"on-hold":   "hold",
	"requested": "resume",
}

// placersElements are what the placer may change on the Task of a case.
var placersElements = []string{"status", "statusReason", "priority", "note", "text", "meta", "lastModified"}

// taskUpdated is the hook of the table of resources.
func (s *Server) taskUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	c, err := workflow.CaseByTaskTx(ctx, tx, after.Text("id"))
	if fault.Is(err, fault.NotFound) {
		return s.becomesCoordination(ctx, tx, actor, before, after)
	}
	if err != nil {
		return err
	}
	for _, name := range changed(before, after) {
		if !slices.Contains(placersElements, name) {
			return fault.At(fault.BusinessRule, "Task."+name, "this Task follows a case: change only its status (cancelled, on-hold, requested) and priority, and use the operations for all else")
		}
	}
	if before.Text("priority") != after.Text("priority") && !over(c) {
		if err := s.reprioritise(ctx, tx, actor, c, request{Input: workflow.Input{Priority: priorityOf(after)}}); err != nil {
			return err
		}
	}
	status := after.Text("status")
	if before.Text("status") == status || c.State.Info().Task == status { // the order may have said it already
		return nil
	}
	event, ok := taskEvents[status]
	switch {
	case !ok:
		return fault.At(fault.BusinessRule, "Task.status", "the case itself says how it goes on: use the operations, such as $claim or $sign; a placer may set cancelled, on-hold or requested")
	case event == "cancel" && before.Text("status") == "in-progress": // FHIR R4 task.html#statemachine
		return fault.At(fault.BusinessRule, "Task.status", "work has begun, and R4 knows no way from in-progress to cancelled: send a Task with code abort and focus on this one, or use $cancel")
	}
	_, err = s.engine.FireTx(ctx, tx, actor, c.CaseID, event, workflow.Input{Reason: after.Text("statusReason", "text")})
	return err
}

// becomesCoordination: a Task that was a draft is requested now.
func (s *Server) becomesCoordination(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	if before.Text("status") == after.Text("status") {
		return nil
	}
	existing, err := s.taskCreated(ctx, tx, actor, after)
	if err == nil && existing != nil {
		return fault.At(fault.Conflict, "Task.focus", "the order has a case already, on %s", existing.Reference())
	}
	return err
}

// changed lists the elements in which two versions of a resource differ.
func changed(before, after *Node) []string {
	var names []string
	for _, name := range append(before.Names(), after.Names()...) {
		if slices.Contains(names, name) {
			continue
		}
		if string(before.Get(name).Bytes()) != string(after.Get(name).Bytes()) {
			names = append(names, name)
		}
	}
	return names
}
