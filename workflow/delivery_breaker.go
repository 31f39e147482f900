package workflow

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// How long to rest. A delivery is tried for as long as it takes: there is no
// last attempt.
const (
	backoffFirst = time.Second
	backoffMax   = 5 * time.Minute
	breakerTrip  = 5 // so many different cases failed in a row: it is the destination
	breakerFirst = 5 * time.Second
	breakerMax   = 2 * time.Minute
)

// backoff is the rest of a delivery after its nth attempt: exponential, half of
// it by chance, so that what failed together does not come back together, and
// nothing comes back at once.
func backoff(attempt int) time.Duration {
	half := doubled(backoffFirst, attempt-1, backoffMax) / 2
	return half + rand.N(half)
}

// doubled is first, doubled n times, and never more than limit.
func doubled(first time.Duration, n int, limit time.Duration) time.Duration {
	if n = max(n, 0); n > 30 || first<<n > limit {
		return limit
	}
	return first << n
}

// recordHealthTx keeps the destination's circuit breaker.
//
// Failures count once a case: a report that the EHR chokes on fails for ever,
// and must not close the destination for the others. When breakerTrip
// different cases have failed with no answer in between, the destination is
// closed for a while; then one delivery probes it (claim lets no more
// through), and each failed probe closes it for longer. Any answer that shows
// the destination well opens it again. A destination that asks for a pause
// (Retry-After) gets it for everything.
func recordHealthTx(ctx context.Context, tx pgx.Tx, p Parcel, r Receipt) error {
	args := pgx.NamedArgs{
		"tenant": p.TenantID, "destination": p.Destination, "case": p.CaseID, "trip": breakerTrip,
		"first": breakerFirst.Seconds(), "max": breakerMax.Seconds(), "wait": r.Wait,
	}
	if err := countHealthTx(ctx, tx, r, args); err != nil {
		return fmt.Errorf("record the destination's health: %w", err)
	}
	if r.Wait <= 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		UPDATE destination
		SET breaker_until = greatest(breaker_until, now() + @wait::interval)
		WHERE tenant_id = @tenant AND destination = @destination`, args)
	if err != nil {
		return fmt.Errorf("pause the destination: %w", err)
	}
	return nil
}

func countHealthTx(ctx context.Context, tx pgx.Tx, r Receipt, args pgx.NamedArgs) error {
	if r.Verdict == Released {
		return nil // nobody knows
	}
	if !r.Sick {
		_, err := tx.Exec(ctx, `
			UPDATE destination
			SET failures = 0, failed_lanes = '{}'
			WHERE tenant_id = @tenant AND destination = @destination AND failures > 0`, args)
		return err
	}
	// What was under way when the breaker opened does not count again.
	_, err := tx.Exec(ctx, `
		UPDATE destination
		SET failures = failures + 1,
		    failed_lanes = (failed_lanes || @case::uuid)[1:@trip],
		    breaker_until = CASE WHEN failures + 1 >= @trip
		        THEN now() + make_interval(secs => (0.5 + random() / 2) * least(@max, @first * 2 ^ least(failures + 1 - @trip, 20)))
		        ELSE breaker_until END
		WHERE tenant_id = @tenant AND destination = @destination
		  AND (breaker_until IS NULL OR breaker_until <= now())
		  AND (failures >= @trip OR @case::uuid <> ALL (failed_lanes))`, args)
	return err
}
