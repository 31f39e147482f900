package workflow

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Where an order is moved to another patient or study, what was found in the images may
// be another patient's. It is told all the same: somebody bleeds. But whoever is told
// hears that the identity is in doubt.

// ofOthers: what was corrected says that the images may be of another patient. A
// consent, a side and an exam say nothing of whose they are.
func ofOthers(of []string) bool {
	return slices.Contains(of, "patient") || slices.Contains(of, "study")
}

// doubtFindings notes with the findings of the case that the images may be of
// another patient, or that they are not, and tells it whom they were told.
func (t *turn) doubtFindings(ctx context.Context, doubtful bool) error {
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.Kind != FindingMatter || !m.Open() || m.Content.Doubtful == doubtful {
			continue
		}
		m.Content.Doubtful = doubtful
		if err := t.ledger.updateMatter(ctx, t.c.CaseID, m); err != nil {
			return err
		}
		t.touch(m)
	}
	return nil
}

// doubtWhose: where nobody reads, and the order means another patient or study than was
// looked at when something was found, whoever is told of that is told so at once.
func (e *Engine) doubtWhose(ctx context.Context, j job, f Facts) error {
	if !ofOthers(j.c.corrections(f)) {
		return nil
	}
	sure, err := hasOpen(ctx, j.ledger, j.c.CaseID, func(m Matter) bool { return m.isFinding() && !m.Content.Doubtful })
	if err != nil || !sure {
		return err
	}
	return e.fireSystem(ctx, j, "doubt-findings", Input{Facts: &f})
}

var doubtOpenFindings = Effect{"doubtOpenFindings", "the open findings say that the images may be of another patient, and go on saying so",
	func(ctx context.Context, t *turn) error { return t.doubtFindings(ctx, true) }}

// RaiseTx raises a finding as FireTx does, and finds out whether the images that its
// author has looked at may be of another patient than the order is now: also where the
// case is no longer theirs, and went another way since.
func (e *Engine) RaiseTx(ctx context.Context, tx pgx.Tx, actor access.Actor, caseID uuid.UUID, f RaisedFinding) (Change, error) {
	c, err := lockCase(ctx, tx, caseID)
	if err != nil {
		return Change{}, err
	}
	if f.Doubtful, err = movedSinceTx(ctx, tx, caseID, actor.ID); err == nil && !f.Doubtful {
		f.Doubtful, err = e.meansOthers(ctx, tx, &c)
	}
	if err != nil {
		return Change{}, err
	}
	return e.FireTx(ctx, tx, actor, caseID, "raise-finding", Input{Finding: &f})
}

// meansOthers: the order means another patient or study than the case keeps, which
// nothing in the history says where nobody looks at the order any more.
func (e *Engine) meansOthers(ctx context.Context, tx pgx.Tx, c *Case) (bool, error) {
	f, err := e.hooks.Facts(ctx, tx, c)
	if err != nil {
		return false, fmt.Errorf("facts: %w", err)
	}
	return ofOthers(c.corrections(f)), nil
}

// movedSinceTx tells whether the case was moved to another patient or study since
// somebody had a part in its reading, and the coordinator has not found that the
// images are those of the order. Who looks for the first time looks at what the order
// means now.
func movedSinceTx(ctx context.Context, tx pgx.Tx, caseID, who uuid.UUID) (moved bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM case_event e
			WHERE case_id = @case
			  AND seq > (SELECT max(seq) FROM case_event WHERE case_id = @case AND actor_id = @who AND event = ANY (@parts))
			  AND (detail ? 'moved' OR event = 'doubt-findings'
			       OR event = 'correct' AND detail -> 'corrected' ?| @others
			          AND NOT EXISTS (SELECT FROM case_event d WHERE d.case_id = @case AND d.seq > e.seq AND d.event = 'continue-reading')))`,
		pgx.NamedArgs{"case": caseID, "who": who, "parts": partsInReading, "others": []string{"patient", "study"}}).Scan(&moved)
	if err != nil {
		return false, fmt.Errorf("was the order corrected: %w", err)
	}
	return moved, nil
}
