package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// Verdict is what becomes of a delivery after an attempt.
type Verdict string

// The verdicts, as delivery_attempt keeps them.
const (
	Delivered Verdict = "delivered" // the destination has it, and said so
	Retry     Verdict = "retry"     // it may have it or not: the same bytes again, later
	Parked    Verdict = "parked"    // it will never take these bytes: a person must look
	Released  Verdict = "released"  // the courier stopped before it knew: again, at once
)

// Receipt is what came of one attempt.
type Receipt struct {
	Verdict  Verdict
	Status   int           // HTTP status, 0 when there was no answer
	Reason   string        // a code of ours, never the destination's text
	Location string        // where the destination keeps the report
	Wait     time.Duration // the destination asked not to be called again before; 0 when it did not
	Sick     bool          // the fault seems to be the destination's, not this report's
}

// record writes down what came of an attempt. It returns a fault of kind
// Conflict, and changes nothing, when the lease ran out and another courier
// has the delivery by now: that one's outcome counts.
func (c *Courier) record(ctx context.Context, p Parcel, r Receipt, took time.Duration) error {
	return c.db.Finish(ctx, p.TenantID, func(tx pgx.Tx) error {
		// The destination before the delivery: the order in which claim locks them.
		if err := recordHealthTx(ctx, tx, p, r); err != nil {
			return err
		}
		if err := recordOutcomeTx(ctx, tx, p, r); err != nil {
			return err
		}
		if r.Verdict == Delivered || r.Verdict == Parked {
			if err := c.ended(ctx, tx, p, r); err != nil {
				return err
			}
		}
		return recordAttemptTx(ctx, tx, p, r, took)
	})
}

func recordOutcomeTx(ctx context.Context, tx pgx.Tx, p Parcel, r Receipt) error {
	tag, err := tx.Exec(ctx, `
		UPDATE delivery d
		SET state = CASE
		        WHEN @verdict::text = 'delivered' THEN 'done'
		        WHEN EXISTS (
		            SELECT FROM delivery later
		            WHERE later.tenant_id = d.tenant_id AND later.case_id = d.case_id
		              AND later.report_no > d.report_no AND later.destination = d.destination AND later.lane = d.lane
		              AND (later.withdraws OR d.report_no < 0)) THEN 'withdrawn'
		        WHEN @verdict::text = 'parked' THEN 'parked'
		        ELSE 'queued'
		    END,
		    next_attempt_at = now() + @wait::interval,
		    lease_until = NULL,
		    done_at = CASE @verdict::text WHEN 'delivered' THEN now() END,
		    location = nullif(@location, '')
		WHERE tenant_id = @tenant AND case_id = @case AND report_no = @report_no AND destination = @destination
		  AND epoch = @epoch AND state = 'queued'`,
		pgx.NamedArgs{
			"tenant": p.TenantID, "case": p.CaseID, "report_no": p.ReportNo, "destination": p.Destination,
			"epoch": p.Epoch, "verdict": r.Verdict, "location": r.Location, "wait": untilNext(p, r),
		})
	if err != nil {
		return fmt.Errorf("record the outcome: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "the lease of this delivery has gone to another courier")
	}
	return nil
}

func recordAttemptTx(ctx context.Context, tx pgx.Tx, p Parcel, r Receipt, took time.Duration) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO delivery_attempt (tenant_id, case_id, report_no, destination, attempt, outcome, status, reason, duration_ms)
		VALUES (@tenant, @case, @report_no, @destination, @attempt, @verdict, nullif(@status, 0), @reason, @duration_ms)`,
		pgx.NamedArgs{
			"tenant": p.TenantID, "case": p.CaseID, "report_no": p.ReportNo, "destination": p.Destination,
			"attempt": p.Attempt, "verdict": r.Verdict, "status": r.Status, "reason": r.Reason,
			"duration_ms": took.Milliseconds(),
		})
	if err != nil {
		return fmt.Errorf("record the attempt: %w", err)
	}
	return nil
}

// untilNext is how long the delivery rests before its next attempt.
func untilNext(p Parcel, r Receipt) time.Duration {
	switch {
	case r.Verdict != Retry:
		return 0
	case r.Wait > 0:
		return r.Wait
	default:
		return backoff(p.Attempt)
	}
}
