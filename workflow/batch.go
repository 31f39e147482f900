package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// Where a policy's assignment is batch, a case that is ready waits for the next
// look at the whole pool (Assign). A look at a tenant's pool is one transaction,
// under the tenant's row of batch_run: whoever holds it assigns, and a second
// replica passes by. Killed in the middle, nothing of it has happened.

// mostPooled is how many cases a look takes, the most pressing first. Where more
// wait it takes as many again of those behind, each time the next ones: none is
// kept from a reader by a thousand before it that nobody can read.
const mostPooled = 1000

// BatchTick assigns the pools that are due, and returns how many cases were
// offered. A tenant whose pool fails does not keep the others.
func (e *Engine) BatchTick(ctx context.Context) (offered int, err error) {
	tenants, err := e.pooled(ctx)
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, tenant := range tenants {
		n := 0
		err := e.db.Tenant(ctx, tenant, func(tx pgx.Tx) error {
			n, err = e.assignPool(ctx, tx, tenant)
			return err
		})
		switch {
		case errors.Is(err, pg.ErrSuspended):
		case err != nil:
			failures = append(failures, fmt.Errorf("pool of tenant %s: %w", tenant, err))
		default:
			offered += n
		}
	}
	return offered, errors.Join(failures...)
}

// pooled are the tenants with cases that wait for a batch which is due.
func (e *Engine) pooled(ctx context.Context) (tenants []uuid.UUID, err error) {
	err = e.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT DISTINCT tenant_id
			FROM agenda
			WHERE kind = @kind AND due_at = 'infinity' AND `+pg.AtWork+`
			  AND tenant_id NOT IN (SELECT b.tenant_id FROM batch_run b WHERE b.due_at > now())
			ORDER BY tenant_id`, pgx.NamedArgs{"kind": awaitBatch})
		if err != nil {
			return fmt.Errorf("pools that are due: %w", err)
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	return tenants, err
}

// assignPool looks at the whole pool of the transaction's tenant and makes the
// offers that are best for all of it; none when another replica is at it.
func (e *Engine) assignPool(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (offered int, err error) {
	mine, err := claimBatch(ctx, tx, tenant)
	if err != nil || !mine {
		return 0, err
	}
	current, err := policyTx(ctx, tx)
	if err != nil {
		return 0, err
	}
	matching, now := current.policy.Matching, e.moment()
	looked, offered, err := e.assignPage(ctx, tx, tenant, matching, 0, now)
	if err != nil {
		return 0, err
	}
	behind := 0
	if looked == e.mostPooled {
		if behind, err = behindTx(ctx, tx, tenant); err != nil {
			return 0, err
		}
		from := max(behind, e.mostPooled) - offered // as many as were offered have left the pool
		more, also, err := e.assignPage(ctx, tx, tenant, matching, from, now)
		if err != nil {
			return 0, err
		}
		offered += also
		if behind = from + more - also; more < e.mostPooled {
			behind = 0 // the end: from the top again
		}
	}
	_, err = tx.Exec(ctx, `
		UPDATE batch_run
		SET ran_at = now(), due_at = now() + make_interval(secs => @every), behind = @behind
		WHERE tenant_id = @tenant`,
		pgx.NamedArgs{"tenant": tenant, "every": matching.BatchEvery.Length.Seconds(), "behind": behind})
	if err != nil {
		return 0, fmt.Errorf("next batch: %w", err)
	}
	return offered, nil
}

// assignPage makes the best offers for as many cases as a look takes, from the one
// at this place of the pool.
func (e *Engine) assignPage(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, matching Matching, from int, now time.Time) (looked, offered int, err error) {
	readers, err := ReadersTx(ctx, tx, matching.FairDays)
	if err != nil {
		return 0, 0, err
	}
	desks, all := make([]Desk, len(readers)), make([]*Reader, len(readers))
	for i, r := range readers {
		desks[i], all[i] = Desk{Reader: r, Given: r.given()}, &readers[i]
	}
	lists := newShortlists(all)
	pool, err := poolTx(ctx, tx, lists, from, e.mostPooled, now)
	if err != nil {
		return 0, 0, err
	}
	for _, pair := range assign(pool, desks, lists, now, matching.Weights.assign()).Assigned {
		done, err := e.offerOf(ctx, tx, tenant, pair, now)
		if err != nil {
			return 0, 0, err
		}
		if done {
			offered++
		}
	}
	return len(pool), offered, nil
}

// behindTx is how far down its pool the last look at it has come.
func behindTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (behind int, err error) {
	err = tx.QueryRow(ctx, `SELECT behind FROM batch_run WHERE tenant_id = $1`, tenant).Scan(&behind)
	if err != nil {
		err = fmt.Errorf("place in the pool: %w", err)
	}
	return behind, err
}

// claimBatch holds the tenant's row until the transaction ends, when it is due and
// nobody else does.
func claimBatch(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (bool, error) {
	_, err := tx.Exec(ctx, `
		INSERT INTO batch_run (tenant_id, due_at)
		VALUES ($1, now())
		ON CONFLICT DO NOTHING`, tenant)
	if err != nil {
		return false, fmt.Errorf("claim a batch: %w", err)
	}
	rows, err := tx.Query(ctx, `
		SELECT tenant_id
		FROM batch_run
		WHERE tenant_id = $1 AND due_at <= now()
		FOR UPDATE SKIP LOCKED`, tenant)
	if err != nil {
		return false, fmt.Errorf("claim a batch: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	return len(claimed) == 1, err
}

// poolTx is what waits for a batch from a place on, as Assign wants it.
func poolTx(ctx context.Context, tx pgx.Tx, lists *shortlists, from, most int, now time.Time) (pool []Waiting, err error) {
	rows, err := tx.Query(ctx, `
		SELECT `+caseColumns+`
		FROM case_file
		WHERE state = 'ready' AND policy->>'assignment' = @batch
		ORDER BY array_position(ARRAY['stat', 'asap', 'urgent', 'routine'], priority), opened_at, case_id
		LIMIT @most OFFSET @from`, pgx.NamedArgs{"batch": ByBatch, "most": most, "from": from})
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	cases, err := pgx.CollectRows(rows, pgx.RowToStructByName[Case])
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	for i := range cases {
		c := &cases[i]
		need, err := needTx(ctx, tx, c, ToRead)
		if err != nil {
			return nil, err
		}
		if need.Due, err = DueTx(ctx, tx, c.CaseID); err != nil {
			return nil, err
		}
		pool = append(pool, c.waiting(need, lists, now))
	}
	return pool, nil
}

// waiting is the case as a batch wants it.
func (c *Case) waiting(need Need, lists *shortlists, now time.Time) Waiting {
	need.Offered, need.Declined, need.Lapsed = true, c.Declined, c.Lapsed
	somebody := func(need Need) bool {
		return slices.ContainsFunc(lists.of(need).readers, func(r *Reader) bool { return len(Eligible(need, *r, now)) == 0 })
	}
	w := Waiting{CaseID: c.CaseID, Priority: c.Priority, Need: c.inRound(need, somebody)}
	if need.Due != nil {
		w.Due = *need.Due
	}
	return w
}

// offerOf makes one offer of a plan, unless the case is somebody else's by now or
// the reader no longer may. What goes wrong with one case is logged and leaves the
// others as they are.
func (e *Engine) offerOf(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, pair Pair, now time.Time) (done bool, err error) {
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		return false, fmt.Errorf("offer of a batch: %w", err)
	}
	err = func() error {
		c, err := tryLockCase(ctx, savepoint, pair.CaseID)
		if err != nil {
			return err
		}
		j := job{tx: savepoint, ledger: sqlLedger{savepoint}, c: &c, now: now}
		return e.fireSystem(ctx, j, "offer", Input{ReaderID: &pair.ReaderID, Reason: "assigned with the whole pool"})
	}()
	switch {
	case err == nil:
		return true, savepoint.Commit(ctx)
	case ctx.Err() != nil:
		return false, err
	case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.BusinessRule):
		e.log.ErrorContext(ctx, "offer of a batch failed", slog.String("case", pair.CaseID.String()), slog.String("tenant", tenant.String()), slog.String("error", pg.Describe(err)))
	}
	return false, savepoint.Rollback(ctx)
}

// given is what the reader was given of late for each day at work, in CTs.
func (r Reader) given() int {
	const hoursOfDay, valueOfCT = 8, 6
	return int(math.Round(r.Done / valueOfCT * hoursOfDay / max(r.Hours, leastHours)))
}

// assign is what a policy's weights mean in Assign: those of DefaultAssignWeights,
// in tenths of a point, where the policy says nothing.
func (w Weights) assign() AssignWeights {
	a := DefaultAssignWeights()
	a.Fit, a.Load, a.Fair = int64(5*w.Fit), int64(5*w.Load), int64(w.Fairness)
	for _, list := range []map[string]int64{a.Late, a.Wait} {
		for priority := range list {
			list[priority] = list[priority] * int64(w.Due) / 3
		}
	}
	return a
}
