package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Party is for whom a case waits.
type Party string

// The parties. The system is what lies between the other two: an archive that
// does not answer, for one.
const (
	WaitsForPlacer Party = "placer"
	WaitsForFiller Party = "filler"
	WaitsForSystem Party = "system"
)

// Parties are all of them, as they are told.
var Parties = []Party{WaitsForPlacer, WaitsForFiller, WaitsForSystem}

// waits is the table of the states in which a case waits, and for whom. The
// reason is the code of the first finding; where there is none, Reason.
var waits = []struct {
	State  State
	Party  Party
	Stops  bool // the final clock stands still (agenda.go says the same)
	Reason string
}{
	{IntakeReview, WaitsForFiller, false, "doubt"},
	{AwaitingInformation, WaitsForPlacer, true, "information-missing"},
	{AwaitingImages, WaitsForPlacer, true, "images-missing"},
	{Unassignable, WaitsForFiller, false, "nobody-eligible"},
	{OnHold, WaitsForPlacer, true, heldReason}, // for the filler, while the coordinator alone has a correction to decide
}

// heldReason is why a case waits on hold: all clocks but the gross one stand still.
const heldReason = "held"

// notThePlacers are the findings that are not of the placer's making, though
// the case waits where it waits for the placer.
var notThePlacers = map[string]Party{
	"pacs-unreachable": WaitsForSystem,
	"pacs-unreadable":  WaitsForSystem,
	"pacs-refused":     WaitsForFiller, // whoever runs the service must renew its rights there
}

// Wait is one time that a case waited: a row of case_wait.
type Wait struct {
	WaitNo  int
	Party   Party
	Reason  string
	Stops   bool
	BeganAt time.Time
	EndedAt *time.Time // nil: it still waits
}

// waitOf is for whom the case waits in its state; ok is false where it does not.
func (c *Case) waitOf() (w Wait, ok bool) {
	for _, row := range waits {
		if row.State != c.State {
			continue
		}
		w = Wait{Party: row.Party, Reason: row.Reason, Stops: row.Stops}
		if len(c.Findings) > 0 && c.State != OnHold {
			w.Reason = c.Findings[0].Code
		}
		if c.heldForCoordinator() {
			w.Party, w.Reason = WaitsForFiller, OrderCorrected
		}
		if party, not := notThePlacers[w.Reason]; not {
			w.Party = party
		}
		if c.SampleOf != nil && w.Party == WaitsForPlacer { // who does not know of it
			w.Party = WaitsForFiller
		}
		return w, true
	}
	return Wait{}, false
}

// heldForCoordinator: it is on hold because the coordinator has a correction to
// decide, and the placer does not hold it besides.
func (c *Case) heldForCoordinator() bool {
	return c.State == OnHold && c.Correction != nil && !c.Correction.Held
}

// keepWaits ends the wait that is over, and begins that of the state in which the
// case is now.
func (t *turn) keepWaits(ctx context.Context) error {
	if err := t.ledger.endWait(ctx, t.c.CaseID, t.now); err != nil {
		return err
	}
	w, waiting := t.c.waitOf()
	if !waiting {
		return nil
	}
	w.BeganAt = t.now
	return t.ledger.beginWait(ctx, t.c, w)
}

func endWaitTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE case_wait
		SET ended_at = @now
		WHERE case_id = @case AND ended_at IS NULL`, pgx.NamedArgs{"case": caseID, "now": now})
	if err != nil {
		return fmt.Errorf("end wait: %w", err)
	}
	return nil
}

func beginWaitTx(ctx context.Context, tx pgx.Tx, c *Case, w Wait) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO case_wait (tenant_id, case_id, wait_no, party, reason, stops, began_at)
		SELECT @tenant, @case, coalesce(max(wait_no), 0) + 1, @party, @reason, @stops, @now
		FROM case_wait
		WHERE case_id = @case`,
		pgx.NamedArgs{"tenant": c.TenantID, "case": c.CaseID, "party": w.Party, "reason": w.Reason, "stops": w.Stops, "now": w.BeganAt})
	if err != nil {
		return fmt.Errorf("begin wait: %w", err)
	}
	return nil
}

// WaitsTx returns when and for whom a case waited, the first time first.
func WaitsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Wait, error) {
	rows, err := tx.Query(ctx, `
		SELECT wait_no, party, reason, stops, began_at, ended_at
		FROM case_wait
		WHERE case_id = $1
		ORDER BY wait_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("waits: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Wait])
}
