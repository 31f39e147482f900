package fhir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// An EHR may talk with the reading service by Communications as well as by
// operations: one whose topic is a question about our report asks it ($ask), one
// whose topic is an acknowledgement acknowledges the finding that it is in
// response to, or else the report that it is about.

// communicationCreated is the hook of the table of resources.
func (s *Server) communicationCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	asks, acknowledges := hasCode(n.Get("topic"), csTopic, "question"), hasCode(n.Get("topic"), csTopic, "acknowledgement")
	if !asks && !acknowledges || !isSaid(n) {
		return nil, nil
	}
	c, err := s.caseOfCommunication(ctx, tx, actor, n)
	if err != nil {
		return nil, err
	}
	if asks {
		return s.askedBy(ctx, tx, actor, c, n)
	}
	if before, err := s.acknowledgedBefore(ctx, tx, actor, n); err != nil || before != nil {
		return before, err
	}
	return nil, s.acknowledgedBy(ctx, tx, actor, c, n)
}

// isSaid tells a Communication that says something from one that is prepared, or
// taken back (FHIR R4 valueset-event-status.html).
func isSaid(n *Node) bool {
	return slices.Contains([]string{"in-progress", "completed"}, n.Text("status"))
}

// questionIn is what a Communication asks.
func (s *Server) questionIn(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (workflow.Asked, error) {
	person, err := s.senderName(ctx, tx, actor, n)
	if err != nil {
		return workflow.Asked{}, err
	}
	q := workflow.Asked{Text: textIn(n), Person: person, Key: identifierKey(n.Get("identifier")), Resource: "Communication/" + n.Text("id")}
	if q.Text == "" {
		return q, fault.At(fault.Required, "Communication.payload.contentString", "a question has its text in payload.contentString")
	}
	return q, nil
}

// textIn are the words of a Communication.
func textIn(n *Node) string {
	var text []string
	for _, said := range n.Each("payload", "contentString") {
		text = append(text, said.Text())
	}
	return strings.Join(text, "\n")
}

// askedBy opens the question, unless it was asked before: then its Communication
// is the one that is here.
func (s *Server) askedBy(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, n *Node) (*Stored, error) {
	q, err := s.questionIn(ctx, tx, actor, n)
	if err != nil {
		return nil, err
	}
	all, err := workflow.MattersTx(ctx, tx, c.CaseID)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.Kind == workflow.QuestionMatter && respondsTo(n, derivedID(c, matterSlot(m.Kind, m.No)+"-answer")) {
			q.Follows = m.No
		}
		if m.Kind == workflow.QuestionMatter && m.Key == q.RequestKey() && !m.Withdrawn() {
			earlier := m.Content.Resource
			if earlier == "" {
				earlier = "Communication/" + derivedID(c, matterSlot(m.Kind, m.No))
			}
			stored, err := s.store.Get(ctx, tx, "Communication", strings.TrimPrefix(earlier, "Communication/"))
			return &stored, err
		}
	}
	_, err = s.engine.FireTx(ctx, tx, actor, c.CaseID, "ask", workflow.Input{Question: &q})
	return nil, naming(err, "Communication")
}

// acknowledgedBy acknowledges what the Communication is in response to. What was
// acknowledged before by another Communication is said a second time.
func (s *Server) acknowledgedBy(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, n *Node) error {
	person, named, err := s.clinicianMeant(ctx, tx, actor, n.Get("sender"), n)
	if err != nil {
		return err
	}
	if !named {
		return fault.At(fault.Required, "Communication.sender", "an acknowledgement says who has read it: a Practitioner or PractitionerRole, by reference or display")
	}
	in := workflow.Input{Acknowledged: workflow.Acknowledged{Person: person, Resource: "Communication/" + n.Text("id")}}
	if n.Get("inResponseTo") == nil {
		return naming(s.reportRead(ctx, tx, actor, c, n, in), "Communication")
	}
	all, err := workflow.MattersTx(ctx, tx, c.CaseID)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.Kind != workflow.FindingMatter || !respondsTo(n, derivedID(c, matterSlot(m.Kind, m.No))) {
			continue
		}
		if !m.Open() {
			return nil
		}
		in.Matter = m.No
		_, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "acknowledge-finding", in)
		return naming(err, "Communication")
	}
	return fault.At(fault.BusinessRule, "Communication.inResponseTo", "an acknowledgement is in response to the Communication of a finding of the case; for the report itself leave inResponseTo out")
}

// reportRead acknowledges the version of the report that the Communication is about,
// or that there was when it was sent.
func (s *Server) reportRead(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, n *Node, in workflow.Input) (err error) {
	if c.ReportNo > 0 {
		sent, _ := time.Parse(time.RFC3339, n.Text("sent")) // a dateTime without its time says nothing of two versions of one day
		if in.ReportNo, err = s.versionRead(ctx, tx, c, n.Each("about"), sent); err != nil {
			return naming(err, "Communication.about")
		}
	}
	if c.State == workflow.Closed && in.ReportNo == c.ReportNo {
		return nil
	}
	if err := s.acknowledge(ctx, tx, actor, c, request{Input: in}); err != nil {
		return err
	}
	return s.audit(ctx, tx, actor, auditEntry{
		Interaction: "operation", Target: "Task/" + c.TaskID, Patient: casePatient(c), Query: acknowledging(in.ReportNo), RequestID: requestID(ctx)})
}

// communicationUpdated is the hook of the table of resources: an EHR that says a
// question of which it had only prepared the words asks it, one that takes it back
// withdraws it, one that words it anew corrects it, and one that it is about another
// report asks it there.
func (s *Server) communicationUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	question := func(n *Node) bool { return hasCode(n.Get("topic"), csTopic, "question") }
	asked, asks := question(before) && isSaid(before), question(after) && isSaid(after)
	acknowledges := !isSaid(before) && isSaid(after) && hasCode(after.Get("topic"), csTopic, "acknowledgement")
	gone := slices.Contains([]string{"entered-in-error", "stopped", "not-done"}, after.Text("status")) || !question(after)
	if acknowledges {
		_, err := s.communicationCreated(ctx, tx, actor, after)
		return err
	}
	if !asks && (!question(before) || !gone) {
		return nil
	}
	about := after
	if gone {
		about = before
	}
	c, err := s.caseOfCommunication(ctx, tx, actor, about)
	if err != nil {
		if gone && !asked { // it was never a question of a case
			return nil
		}
		return err
	}
	if asked && asks {
		switch moved, err := s.movedFrom(ctx, tx, actor, c, before); {
		case err != nil:
			return err
		case !moved && textIn(before) == textIn(after):
			return nil
		}
	}
	last, there, err := s.lastQuestion(ctx, tx, c, after)
	switch {
	case err != nil:
		return err
	case gone && (!there || !last.Open()):
		return nil
	case gone:
		_, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "withdraw-question", workflow.Input{Matter: last.No, Reason: "the placer took the question back"})
		return naming(err, "Communication")
	case !there || last.Withdrawn():
		_, err := s.askedBy(ctx, tx, actor, c, after)
		return err
	}
	return s.askedOtherwise(ctx, tx, actor, c, last, after)
}

// movedFrom tells whether a question was of another case than it is about now, where
// it is withdrawn. What is answered stays: the answer is in that report.
func (s *Server) movedFrom(ctx context.Context, tx pgx.Tx, actor access.Actor, now workflow.Case, before *Node) (bool, error) {
	was, err := s.caseOfCommunication(ctx, tx, actor, before)
	if err != nil || was.CaseID == now.CaseID {
		return false, err
	}
	last, there, err := s.lastQuestion(ctx, tx, was, before)
	if err != nil || !there || !last.Open() {
		return true, err
	}
	_, err = s.engine.FireTx(ctx, tx, actor, was.CaseID, "withdraw-question", workflow.Input{Matter: last.No, Reason: "the placer asks it of another report"})
	return true, naming(err, "Communication")
}

// lastQuestion is the latest question that a Communication has asked.
func (s *Server) lastQuestion(ctx context.Context, tx pgx.Tx, c workflow.Case, n *Node) (last workflow.Matter, there bool, err error) {
	all, err := workflow.MattersTx(ctx, tx, c.CaseID)
	for _, m := range all {
		if m.Kind == workflow.QuestionMatter && m.Content.Resource == "Communication/"+n.Text("id") {
			last, there = m, true
		}
	}
	return last, there, err
}

// askedOtherwise: before the answer the question is corrected; after it, other words
// are another question, which goes on from the answer.
func (s *Server) askedOtherwise(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, last workflow.Matter, n *Node) error {
	q, err := s.questionIn(ctx, tx, actor, n)
	if err != nil || q.Text == last.Content.Text {
		return err
	}
	event, in := workflow.Event("correct-question"), workflow.Input{Question: &q, Matter: last.No}
	if !last.Open() {
		q.Key, q.Follows = fmt.Sprintf("%s after question %d", q.RequestKey(), last.No), last.No
		event, in = "ask", workflow.Input{Question: &q}
	}
	_, err = s.engine.FireTx(ctx, tx, actor, c.CaseID, event, in)
	return naming(err, "Communication")
}

// respondsTo tells whether a Communication is in response to one of ours.
func respondsTo(n *Node, id string) bool {
	return slices.Contains(localIDs(n.Each("inResponseTo"), "Communication"), id) ||
		slices.ContainsFunc(n.Each("inResponseTo"), func(ref *Node) bool {
			caseID, slot, _ := strings.Cut(ref.Text("identifier", "value"), "/")
			parsed, err := uuid.Parse(caseID)
			return err == nil && ref.Text("identifier", "system") == sidCommunication && uuid.NewSHA1(parsed, []byte(slot)).String() == id
		})
}

// caseOfCommunication is the case whose report, Task or order a Communication is
// about. The EHR may name the report by its own copy of it, or any of them by
// identifier.
func (s *Server) caseOfCommunication(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (workflow.Case, error) {
	r, err := s.resolver(ctx, tx, actor.Tenant)
	if err != nil {
		return workflow.Case{}, err
	}
	for _, ref := range slices.Concat(n.Each("about"), n.Each("basedOn")) {
		f, err := r.follow(ctx, ref, n)
		if err != nil {
			return workflow.Case{}, err
		}
		address, _, _ := strings.Cut(ref.Text("reference"), "/_history/") // the EHR may have versions of its own
		id, err := caseOf(ctx, tx, f, address)
		if err != nil {
			return workflow.Case{}, err
		}
		if id != uuid.Nil {
			c, err := workflow.CaseByIDTx(ctx, tx, id)
			if err == nil {
				err = mayOperate(ctx, tx, actor, c.TaskID)
			}
			return c, err
		}
	}
	return workflow.Case{}, fault.At(fault.BusinessRule, "Communication.about", "say what it is about: the DiagnosticReport or the Task of a second opinion, by reference or by identifier")
}

// caseOf finds the case that a resource belongs to; uuid.Nil for none.
func caseOf(ctx context.Context, tx pgx.Tx, f found, literal string) (id uuid.UUID, err error) {
	err = tx.QueryRow(ctx, `
		SELECT case_id
		FROM case_file
		WHERE CASE @type WHEN 'DiagnosticReport' THEN report_id = @id WHEN 'Task' THEN task_id = @id WHEN 'ServiceRequest' THEN service_request_id = @id END
		UNION ALL
		SELECT d.case_id
		FROM delivery d
		JOIN destination at ON at.tenant_id = d.tenant_id AND at.destination = d.destination
		WHERE @literal LIKE '%://%' AND d.lane = 'report' AND starts_with(at.base_url || '/' || d.location || '/', @literal || '/')
		LIMIT 1`,
		pgx.NamedArgs{"type": f.Type(), "id": f.id(), "literal": literal}).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, nil
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("case of a Communication: %w", err)
	}
	return id, nil
}

// senderName is who says it, as far as the EHR tells; "" where it does not.
func (s *Server) senderName(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (string, error) {
	ref := n.Get("sender")
	if name := ref.Text("display"); ref == nil || name != "" {
		return name, nil
	}
	r, err := s.resolver(ctx, tx, actor.Tenant)
	if err != nil {
		return "", err
	}
	f, err := r.follow(ctx, ref, n)
	if err != nil || f.Node == nil {
		return "", err
	}
	return displayOf(f.Node), nil
}
