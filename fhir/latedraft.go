package fhir

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// keepLate keeps the text of a $draft or $lock that was refused because the case is no
// longer its author's to write, and says so with the refusal. What was refused for
// another reason its author has still before them, and so has who never had the case.
func (s *Server) keepLate(ctx context.Context, actor access.Actor, taskID string, op operation, r request, refused error) error {
	var why *fault.Error
	if op.Name != "draft" && op.Name != "lock" || r.Opinion == nil || !errors.As(refused, &why) ||
		!slices.Contains([]fault.Kind{fault.Conflict, fault.BusinessRule, fault.Forbidden, fault.NotFound}, why.Kind()) {
		return refused
	}
	held, raised := false, false
	kept, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (workflow.Draft, error) {
		c, err := lockedCase(ctx, tx, taskID)
		if err != nil {
			return workflow.Draft{}, err
		}
		if held = c.State == workflow.OnHold && op.Name == "lock"; held {
			ch, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "draft", workflow.Input{Opinion: r.Opinion, DraftNo: r.DraftNo})
			if err == nil {
				raised, err = s.raisedLate(ctx, tx, actor, c, *r.Opinion)
				return *ch.Draft, err
			}
			held = false
		}
		kept, err := s.engine.KeepLateTx(ctx, tx, actor, c.CaseID, *r.Opinion)
		if err == nil && op.Name == "lock" {
			raised, err = s.raisedLate(ctx, tx, actor, c, *r.Opinion)
		}
		return kept, err
	})
	switch {
	case fault.Is(err, fault.NotFound):
		return s.raiseUnkept(ctx, actor, taskID, op, *r.Opinion, why)
	case err != nil:
		return err
	}
	told := urgency(op, *r.Opinion, raised)
	if held {
		return fault.At(fault.Conflict, "Task", "the case is on hold, and nothing was locked. What you have sent is kept as version %d of your draft; lock it when the case goes on%s", kept.DraftNo, told)
	}
	return fault.At(fault.Conflict, "Task", "the case is no longer yours to write. What you have sent is kept, sealed, as version %d of your draft of opinion %d: it is yours alone (Task/{id}/$drafts gives it back to you), the next reader does not see it, and it is no part of any report%s",
		kept.DraftNo, kept.OwnNo, told)
}

// raiseUnkept tells of the emergency in an opinion that was refused and could not be
// kept, where its author cannot just send it anew: the case is on hold, or not theirs.
func (s *Server) raiseUnkept(ctx context.Context, actor access.Actor, taskID string, op operation, o workflow.Opinion, refused *fault.Error) error {
	if op.Name != "lock" || !workflow.Pressing(o.Actionable) {
		return refused
	}
	raised, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (bool, error) {
		c, err := lockedCase(ctx, tx, taskID)
		if err != nil || c.State != workflow.OnHold && c.WrittenBy(actor.ID) {
			return false, err
		}
		return s.raisedLate(ctx, tx, actor, c, o)
	})
	if err != nil {
		return err
	}
	if !raised {
		return refused
	}
	return fault.At(refused.Kind(), refused.Issues[0].Expression, "%s%s", refused.Issues[0].Text, urgency(op, o, raised))
}

// raisedLate raises the finding of an opinion that came too late to be sealed, and is
// urgent or emergent. Where the table does not take it, its author must be told.
func (s *Server) raisedLate(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, o workflow.Opinion) (bool, error) {
	at, err := tx.Begin(ctx)
	if err != nil {
		return false, fmt.Errorf("raise a finding: %w", err)
	}
	raised, err := s.engine.RaiseLateTx(ctx, at, actor, c.CaseID, o)
	var why *fault.Error
	switch {
	case errors.As(err, &why):
		return false, at.Rollback(ctx)
	case err != nil:
		return false, err
	case !raised:
		return false, at.Rollback(ctx)
	}
	if err := s.audit(ctx, at, actor, auditEntry{Interaction: "operation", Target: "Task/" + c.TaskID, Patient: casePatient(c), Query: "$raise-finding", RequestID: requestID(ctx)}); err != nil {
		return false, err
	}
	return true, at.Commit(ctx)
}

// urgency is what follows of what the opinion says of its urgency.
func urgency(op operation, o workflow.Opinion, raised bool) string {
	switch {
	case raised:
		return ". Its impression was raised as a finding (" + o.Actionable + "), of which the clinician is told now: see Task/{id}/$matters, and take it back by $withdraw-finding if it does not hold"
	case workflow.Pressing(o.Actionable) && op.Name == "lock":
		return ". NOBODY HAS BEEN TOLD that it is " + o.Actionable + ": raise it by $raise-finding, or call the clinician"
	case workflow.Pressing(o.Actionable):
		return ". Nobody has been told that it is " + o.Actionable + ": raise it by $raise-finding"
	}
	return ""
}
