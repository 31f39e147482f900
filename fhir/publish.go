package fhir

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Publish is what every event of a case does to the FHIR resources
// (workflow.Hooks), in the transaction of the event: the Task says where the
// case stands, the DiagnosticReport keeps in step, and a signature renders the
// report once and queues exactly those bytes for the EHR.
func (s *Server) Publish(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	for _, step := range []func(context.Context, pgx.Tx, workflow.Change) error{
		s.publishTask, s.withholdSample, s.publishReport, s.publishMatters, s.publishNewer, s.publishOrder, s.publishAsked, s.publishTold, s.recordUnblinding,
	} {
		if err := step(ctx, tx, ch); err != nil {
			return fmt.Errorf("publish %s of case %s: %w", ch.Event, ch.Case.CaseID, err)
		}
	}
	return nil
}

// recordUnblinding tells the audit that the reader is shown from now on what
// blinding hid.
func (s *Server) recordUnblinding(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	if ch.Event != "reveal" || ch.Case.Protocol != workflow.Blinded || s.trail == nil {
		return nil
	}
	e := access.Event{Kind: access.Unblinding, Tenant: ch.Case.TenantID, Actor: ch.Actor, Case: "Task/" + ch.Case.TaskID}
	if ch.Case.PatientID != nil {
		e.Patient = "Patient/" + *ch.Case.PatientID
	}
	return s.RecordEvent(ctx, tx, e)
}

// withholdSample hides from the first moment what a second read for quality is not
// to know of: no order comes for it that would (orderCreated).
func (s *Server) withholdSample(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	if ch.Event != "open" || ch.Case.SampleOf == nil {
		return nil
	}
	return s.withholdEarly(ctx, tx, ch.Case)
}

func (s *Server) publishTask(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	c := ch.Case
	r, err := s.resolver(ctx, tx, c.TenantID)
	if err != nil {
		return err
	}
	d := &dossier{c: c}
	if err := d.findOrder(ctx, r); err != nil {
		return err
	}
	src := taskSources{
		Patient:   d.subjectReference(),
		Requester: portable(d.order.Get("requester"), d.order),
		Encounter: portable(d.order.Get("encounter"), d.order),
		Question:  questionOf(withoutTelling(d.order)),
		Reason:    ch.Input.Reason,
		At:        ch.At,
	}
	if c.ReportNo > 0 { // the Task goes on saying what was asked when it was read
		src.Question = ""
	}
	if src.Owner, err = s.owner(ctx, tx, c); err != nil {
		return err
	}
	if src.Due, err = workflow.DueTx(ctx, tx, c.CaseID); err != nil {
		return err
	}
	if c.FinalAt != nil {
		waits, err := workflow.WaitsTx(ctx, tx, c.CaseID)
		if err != nil {
			return err
		}
		times := workflow.TimesOf(c, waits, ch.At, false)
		src.Times = &times
	}
	if c.RevealedAt != nil && (c.Protocol != workflow.Blinded || c.ReportNo > 0) { // the Task tells a reader, and its history the next one, nothing of what another has found
		if src.Matters, err = workflow.MattersTx(ctx, tx, c.CaseID); err != nil {
			return err
		}
		if src.Unsent, err = workflow.UndeliveredTx(ctx, tx, c.CaseID); err != nil {
			return err
		}
	}
	if c.ReportNo > 0 {
		if src.Read, err = workflow.AcknowledgementsTx(ctx, tx, c.CaseID); err != nil {
			return err
		}
	}
	return s.putIfChanged(ctx, tx, c, ch.Actor, caseTask(d.task, c, src), d.task)
}

// owner answers for the case (workflow.Case.Owner), before there is anybody the service.
func (s *Server) owner(ctx context.Context, tx pgx.Tx, c workflow.Case) (*Node, error) {
	n, err := s.practitioner(ctx, tx, c.TenantID, c.Owner())
	if n == nil && err == nil {
		n, err = s.service(ctx, tx, c.TenantID)
	}
	if err != nil {
		return nil, err
	}
	return resourceReference(n), nil
}

// publishReport brings the DiagnosticReport to what the state says of it
// (workflow.States); a signature makes a new version of it.
func (s *Server) publishReport(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	status := ch.Case.State.Info().Report
	renew := status == "registered" && slices.Contains([]workflow.Event{"claim", "continue-reading", "follow-patient"}, ch.Event) // of another patient, perhaps
	if ch.Report == nil && !renew && (status == "" || status == "=" || ch.Before == ch.Case.State) {
		return nil
	}
	stored, err := s.store.Get(ctx, tx, "DiagnosticReport", reportID(ch.Case))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	before, err := stored.found()
	if err != nil {
		return err
	}
	if ch.Report != nil {
		return s.release(ctx, tx, ch, before)
	}
	preliminary := before.Text("status") == "preliminary"
	if before.Node == nil && status != "registered" || before.Text("status") == status && !renew || preliminary && status == "registered" {
		return nil
	}
	src, err := s.reportSources(ctx, tx, ch.Case)
	if err != nil {
		return err
	}
	if preliminary { // the EHR has it, and must learn that no other comes
		return s.keepPreliminary(ctx, tx, ch, src, registeredReport(src, status), nil)
	}
	after := registeredReport(src, status)
	if before.Node != nil && bytes.Equal(undated(after), undated(before.Node)) {
		return nil
	}
	_, err = s.putOf(ctx, tx, ch.Case, ch.Actor, after)
	return err
}

// release stores a signed version of the report with its Observations and
// Provenance, and queues it for every destination of the tenant.
func (s *Server) release(ctx context.Context, tx pgx.Tx, ch workflow.Change, before found) error {
	src, err := s.reportSources(ctx, tx, ch.Case)
	if err != nil {
		return err
	}
	src.Report = *ch.Report
	if src.History, err = workflow.ReportsTx(ctx, tx, ch.Case.CaseID); err != nil {
		return err
	}
	src.History = src.History[:ch.Report.No-1] // the last one is this version
	if err := s.loadSigners(ctx, tx, &src); err != nil {
		return err
	}
	for _, f := range src.Report.Findings {
		who := []*uuid.UUID{f.RaisedBy, f.StandsBy}
		for _, call := range f.Calls {
			who = append(who, call.By)
		}
		if err := s.loadPeople(ctx, tx, &src, who...); err != nil {
			return err
		}
	}
	report, err := diagnosticReport(src)
	if err != nil {
		return err
	}
	stored, err := s.putOf(ctx, tx, ch.Case, ch.Actor, report)
	if err != nil {
		return err
	}
	parts, err := s.releaseObservations(ctx, tx, ch.Actor, src)
	if err != nil {
		return err
	}
	previous := int64(0)
	if src.Report.No > 1 {
		previous = before.version
	}
	origin := provenance(src, stored.Version, previous)
	if _, err := s.putOf(ctx, tx, ch.Case, ch.Actor, origin); err != nil {
		return err
	}
	if ch.Case.SampleOf != nil {
		return nil // a second read for quality is sent to nobody
	}
	return s.deliver(ctx, tx, src, report, parts, origin)
}

// releaseObservations stores the Observations of this version, and takes back
// those of an earlier one that it no longer has.
func (s *Server) releaseObservations(ctx context.Context, tx pgx.Tx, actor access.Actor, src reportSources) ([]*Node, error) {
	parts := observations(src)
	for _, o := range formerObservations(src) {
		_, err := s.store.Get(ctx, tx, "Observation", o.Text("id"))
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, o)
	}
	for _, o := range parts {
		if _, err := s.putOf(ctx, tx, src.Case, actor, o); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// publishOrder sets the status of the ServiceRequest, but only where the
// tenant has made us its authority: an order belongs to its placer (COW 1.0).
func (s *Server) publishOrder(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	c := ch.Case
	if c.Policy.ServiceRequestAuthority != workflow.FillerSets || c.ServiceRequestID == nil {
		return nil
	}
	stored, err := s.store.Get(ctx, tx, "ServiceRequest", *c.ServiceRequestID)
	if err != nil {
		return err
	}
	before, err := stored.found()
	if err != nil {
		return err
	}
	after := before.Clone()
	after.Set("status", c.State.Info().ServiceRequest)
	return s.putIfChanged(ctx, tx, c, ch.Actor, after, before.Node)
}

// putIfChanged stores after, unless it says the same as before: a deadline
// that passes is an event of the case, and no change of its Task.
func (s *Server) putIfChanged(ctx context.Context, tx pgx.Tx, c workflow.Case, actor access.Actor, after, before *Node) error {
	if before != nil && bytes.Equal(undated(after), undated(before)) {
		return nil
	}
	_, err := s.putOf(ctx, tx, c, actor, after)
	return err
}

func undated(n *Node) []byte {
	n = n.Clone()
	n.Remove("meta")
	n.Remove("lastModified")
	return n.Bytes()
}
