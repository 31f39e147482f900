package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// perTick bounds how long one tick goes on.
const perTick = 1000

// Tick does what is due on the agenda, one row a transaction, until nothing is
// due or the context ends. Any number of engines may tick at once: a row is
// claimed and worked in the same transaction. A row that fails is put off and
// does not keep the others; the errors are joined. What is due is decided by
// the database's clock.
func (e *Engine) Tick(ctx context.Context) (worked int, err error) {
	var failures []error
	for range perTick {
		row, err := e.tickOne(ctx)
		switch {
		case errors.Is(err, errNothingDue):
			return worked, errors.Join(failures...)
		case err == nil:
			worked++
			e.forget(*row)
		case row == nil || ctx.Err() != nil:
			return worked, errors.Join(append(failures, err)...)
		default:
			e.log.ErrorContext(ctx, "agenda row failed", slog.String("kind", row.Kind), slog.String("case", row.CaseID.String()), slog.String("error", pg.Describe(err)))
			failures = append(failures, fmt.Errorf("agenda %s of case %s: %w", row.Kind, row.CaseID, err))
			if err := e.putOff(ctx, *row); err != nil {
				return worked, errors.Join(append(failures, err)...)
			}
		}
	}
	return worked, errors.Join(failures...)
}

var errNothingDue = errors.New("nothing is due")

// tickOne claims the row that is due longest and works it. No row with an
// error means that the claim itself failed.
func (e *Engine) tickOne(ctx context.Context) (claimed *entry, err error) {
	err = e.db.System(ctx, func(tx pgx.Tx) error {
		claimed = nil
		row, err := claimDue(ctx, tx)
		if err != nil {
			return err
		}
		claimed = &row
		if err := pg.EnterTenant(ctx, tx, row.TenantID); err != nil {
			return err
		}
		return e.work(ctx, tx, row)
	})
	return claimed, err
}

func claimDue(ctx context.Context, tx pgx.Tx) (entry, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+entryColumns+`
		FROM agenda
		WHERE due_at <= now() AND `+pg.AtWork+`
		ORDER BY due_at
		LIMIT 1
		FOR UPDATE SKIP LOCKED`)
	if err != nil {
		return entry{}, fmt.Errorf("claim agenda: %w", err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[entry])
	if errors.Is(err, pgx.ErrNoRows) {
		return entry{}, errNothingDue
	}
	if err != nil {
		return entry{}, fmt.Errorf("claim agenda: %w", err)
	}
	return row, nil
}

// work does one claimed row. Whoever fires an event holds the case and then
// writes its agenda; here the agenda row is held first, so a case that is busy
// is not waited for (a deadlock otherwise) but tried again in a second.
func (e *Engine) work(ctx context.Context, tx pgx.Tx, row entry) error {
	c, err := tryLockCase(ctx, tx, row.CaseID)
	if fault.Is(err, fault.NotFound) {
		return e.comeAgain(ctx, tx, row, time.Second)
	}
	if err != nil {
		return err
	}
	it, known := e.item(row.Kind)
	if !known || !slices.Contains(it.While, c.State) {
		return deleteEntry(ctx, tx, row)
	}
	return e.perform(ctx, it, job{ledger: sqlLedger{tx}, tx: tx, c: &c, row: row, now: e.moment()})
}

// perform does what a row of the agenda is there for.
func (e *Engine) perform(ctx context.Context, it item, j job) error {
	if it.Clock != "" {
		return e.speak(ctx, j, j.row.clock())
	}
	again, err := it.do(e, ctx, j)
	if err != nil {
		return err
	}
	row := j.row
	if again.IsZero() {
		return j.ledger.deleteEntry(ctx, row)
	}
	row.DueAt, row.Stage = &again, row.Stage+1
	return j.ledger.updateEntry(ctx, row)
}

// speak fires the next stage of a clock, and waits for the one after it.
func (e *Engine) speak(ctx context.Context, j job, clock ClockName) error {
	stage, ok := nextStage(j.row.Stage)
	if !ok {
		return j.ledger.deleteEntry(ctx, j.row)
	}
	event := Event("warn")
	if stage == 100 {
		event = "breach"
	}
	if err := e.fireSystem(ctx, j, event, Input{Clock: clock, Percent: stage, ClockStarted: &j.row.StartedAt}); err != nil {
		return err
	}
	row := j.row
	row.Stage, row.DueAt = stage, nil // after the last the row stays, so that the clock does not start anew
	if next, ok := nextStage(stage); ok {
		due := stageAt(j.c.Policy.Calendar, *row.DeadlineAt, j.c.limit(clock), next)
		row.DueAt = &due
	}
	return j.ledger.updateEntry(ctx, row)
}

// comeAgain puts a row off by the database's clock.
func (e *Engine) comeAgain(ctx context.Context, tx pgx.Tx, row entry, pause time.Duration) error {
	_, err := tx.Exec(ctx, `
		UPDATE agenda
		SET due_at = now() + make_interval(secs => @pause)
		WHERE tenant_id = @tenant_id AND case_id = @case_id AND kind = @kind AND due_at <= now()`,
		pgx.NamedArgs{"tenant_id": row.TenantID, "case_id": row.CaseID, "kind": row.Kind, "pause": pause.Seconds()})
	if err != nil {
		return fmt.Errorf("put off agenda %s: %w", row.Kind, err)
	}
	return nil
}

// putOff is comeAgain for a row whose transaction was undone. How often it
// has failed is remembered here alone: another engine begins with a short
// pause again, which does no harm.
func (e *Engine) putOff(ctx context.Context, row entry) error {
	key := failureKey{row.CaseID, row.Kind}
	e.mu.Lock()
	e.failed[key] = min(e.failed[key]+1, 10)
	pause := 5 * time.Second << (e.failed[key] - 1) // 5 s, 10 s, ... 43 min
	e.mu.Unlock()
	return e.db.System(ctx, func(tx pgx.Tx) error { return e.comeAgain(ctx, tx, row, pause) })
}

// forget drops the count of failures of a row that went well.
func (e *Engine) forget(row entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.failed, failureKey{row.CaseID, row.Kind})
}

type failureKey struct {
	caseID uuid.UUID
	kind   string
}
