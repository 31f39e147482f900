package workflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Whose report it is answers for it, and changes it (signatory.go). Where they cannot (they are
// no reader here any more, may not practise, are absent, or turn out to have read the study first), or where the
// coordinator has given the amendment to somebody else, a supervisor or an
// adjudicator stands in who is eligible for the case. Whoever stands in is the
// case's supervisor from then on.

// standInDuty is what a role needs to be eligible for, to stand in for who signed.
func standInDuty(r access.Role) (Duty, bool) {
	switch r {
	case access.Supervisor:
		return ToSupervise, true
	case access.Adjudicator:
		return ToAdjudicate, true
	}
	return "", false
}

var standInEligible = Guard{"standInEligible", "the one to whom the amendment is given may supervise the case, or adjudicate it",
	func(ctx context.Context, t *turn) error {
		if t.in.ReaderID == nil {
			return refuse("reassign needs the reader to whom")
		}
		report, err := t.ledger.report(ctx, t.c.CaseID, 1)
		if err != nil {
			return err
		}
		if *t.in.ReaderID == report.SignedBy {
			return refuse("that is whose report it is, and has the amendment anyway")
		}
		wrong := t.eligible(ctx, *t.in.ReaderID, ToSupervise)
		if wrong != nil && t.eligible(ctx, *t.in.ReaderID, ToAdjudicate) == nil {
			return nil
		}
		return wrong
	}}

// StandInsTx are those to whom the amendment of a signed case can be given, as
// standInEligible has it.
func StandInsTx(ctx context.Context, tx pgx.Tx, c Case, now time.Time) (all []uuid.UUID, err error) {
	first, err := sqlLedger{tx}.report(ctx, c.CaseID, 1)
	if err != nil {
		return nil, err
	}
	readers, err := queryReaders(ctx, tx, nil)
	if err != nil {
		return nil, err
	}
	for _, duty := range []Duty{ToSupervise, ToAdjudicate} {
		need, err := needTx(ctx, tx, &c, duty)
		if err != nil {
			return nil, err
		}
		for _, r := range readers {
			if r.ID != first.SignedBy && !slices.Contains(all, r.ID) && len(Eligible(need, r, now)) == 0 {
				all = append(all, r.ID)
			}
		}
	}
	return all, nil
}

var nameStandIn = Effect{"nameStandIn", "the amendment is the one's to whom it is given; of a quality sample's finding they are told what it is",
	func(ctx context.Context, t *turn) error {
		t.c.SupervisorID, t.c.Exam.AmendedBy = t.in.ReaderID, t.in.ReaderID
		t.detail["standIn"] = t.in.ReaderID
		return t.tellStandIn(ctx, *t.in.ReaderID)
	}}

var noteStandIn = Effect{"noteStandIn", "who amends for somebody is the case's supervisor, and has the amendment until it is signed or dropped; of a quality sample's finding they are told what it is",
	func(ctx context.Context, t *turn) error {
		if t.event == "amend" {
			t.c.Exam.AmendedBy = &t.actor.ID
		}
		report, err := t.ledger.report(ctx, t.c.CaseID, 1)
		if err != nil || report.SignedBy == t.actor.ID {
			return err
		}
		t.c.SupervisorID = &t.actor.ID
		t.detail["standIn"] = t.actor.ID
		return t.tellStandIn(ctx, t.actor.ID)
	}}

var dropStandIn = Effect{"dropStandIn", "who was to stand in does so no more: the supervisor is that of the report in force",
	func(ctx context.Context, t *turn) error {
		t.c.Exam.AmendedBy = nil
		report, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err == nil {
			t.c.SupervisorID = report.SupervisorID
		}
		return err
	}}

// tellStandIn gives to who stands in what was told to who signed: in what a second
// read for quality differs from the report. Without it they would amend blindly.
func (t *turn) tellStandIn(ctx context.Context, who uuid.UUID) error {
	if t.tx == nil {
		return nil // a simulated one
	}
	_, err := t.tx.Exec(ctx, `
		INSERT INTO feedback (tenant_id, feedback_id, case_id, report_no, reader_id, kind, made_at)
		SELECT overread_tenant(), @id, s.case_id, s.report_no, @reader, @kind, @now
		FROM case_file s
		JOIN quality_sample q ON q.tenant_id = s.tenant_id AND q.case_id = s.sample_of
		WHERE s.sample_of = @case_id AND s.report_no > 0 AND s.state <> 'entered-in-error'
		  AND q.finding_at IS NOT NULL AND q.settled_at IS NULL
		  AND NOT EXISTS (
			SELECT FROM feedback f
			WHERE f.tenant_id = s.tenant_id AND f.case_id = s.case_id AND f.reader_id = @reader AND f.withdrawn_at IS NULL)`,
		pgx.NamedArgs{"id": newID(), "case_id": t.c.CaseID, "reader": who, "kind": findingFeedback, "now": t.now})
	if err != nil {
		return fmt.Errorf("tell who stands in: %w", err)
	}
	return nil
}

// Whether an amendment is dropped is a physician's decision where something was
// found that opened it, or a changed study waits to be looked at: the coordinator
// drops only one of which nothing of the kind is open.
var mayDropAmendment = Guard{"mayDropAmendment", "the report is the actor's, they stand in for whose it is, or are a director; a coordinator only where neither a finding of quality work nor a change of the study is the reason for it",
	func(ctx context.Context, t *turn) error {
		switch t.actor.Role {
		case access.Director:
			return nil
		case access.Coordinator:
			open, err := t.findingOpen(ctx)
			if err == nil && !open {
				open, err = hasOpen(ctx, t.ledger, t.c.CaseID, Matter.isVerification)
			}
			if err == nil && open {
				err = forbid("this amendment waits for a physician's decision: whose report it is, a supervisor who stands in, or a director may drop it; you may give it to another (reassign)")
			}
			return err
		}
		return isSignatory.Check(ctx, t)
	}}

// findingOpen: a second read for quality has found something, which nobody has
// answered yet.
func (t *turn) findingOpen(ctx context.Context) (open bool, err error) {
	if t.tx == nil {
		return false, nil
	}
	err = t.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM quality_sample WHERE case_id = $1 AND finding_at IS NOT NULL AND settled_at IS NULL)`, t.c.CaseID).Scan(&open)
	if err != nil {
		return false, fmt.Errorf("finding of a sample: %w", err)
	}
	return open, nil
}

var startAmendmentClock = Effect{"startAmendmentClock", "the acknowledge clock runs while the amendment is open, so that somebody is told of one that stays open",
	func(ctx context.Context, t *turn) error { return t.startClock(ctx, ClockAcknowledge, keepRunning) }}
