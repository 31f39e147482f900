// Package tenant treats a tenant as a unit: it is suspended and resumed, listed,
// written to a file, and read from one into another database.
//
// What belongs to a tenant is not listed here but found in the catalogue: every
// table with a column tenant_id (table.go). export.go and import.go say what the
// file is; docs/tenants.md says it for operators.
package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
)

// State says whether a tenant is at work (migration 00021).
type State string

// The states.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Moved     State = "moved"  // goes on elsewhere
	Copied    State = "copied" // its like may be at work elsewhere
)

// Row is a tenant as it is listed: nothing of a patient's is in it.
type Row struct {
	TenantID     uuid.UUID  `json:"tenantId"`
	Name         string     `json:"name"`
	Display      string     `json:"display"`
	State        State      `json:"state"`
	Since        time.Time  `json:"since"`
	Reason       string     `json:"reason,omitempty"`
	CasesOpen    int        `json:"casesOpen" db:"-"`
	LastActivity *time.Time `json:"lastActivity,omitempty" db:"-"`
}

// Keeper does what is done to tenants.
type Keeper struct {
	DB     *pg.DB
	Record access.Recorder // it adds who does it
}

// record writes the AuditEvent of what was done, in its transaction.
func (k Keeper) record(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, name string, what access.EventKind, reason string) error {
	return k.Record(ctx, tx, access.Event{Kind: what, Tenant: tenant, Object: name, Reason: reason})
}

// List is every tenant, by name.
func (k Keeper) List(ctx context.Context) (tenants []Row, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT tenant_id, name, display, state, state_since AS since, state_reason AS reason
			FROM tenant
			ORDER BY name`)
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowToStructByName[Row])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	for i := range tenants {
		t := &tenants[i]
		err := k.DB.Finish(ctx, t.TenantID, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				SELECT (SELECT count(*)
				        FROM case_file
				        WHERE tenant_id = $1 AND state NOT IN ('closed', 'cancelled', 'rejected', 'failed', 'entered-in-error')),
				       (SELECT recorded_at
				        FROM audit_event
				        WHERE tenant_id = $1
				        ORDER BY audit_id DESC
				        LIMIT 1)`, t.TenantID).Scan(&t.CasesOpen, &t.LastActivity)
		})
		if err != nil {
			return nil, fmt.Errorf("tenant %s: %w", t.Name, err)
		}
	}
	return tenants, nil
}

// find is the tenant of a name, locked for a change of its state.
func find(ctx context.Context, tx pgx.Tx, name string) (Row, error) {
	rows, err := tx.Query(ctx, `
		SELECT tenant_id, name, display, state, state_since AS since, state_reason AS reason
		FROM tenant
		WHERE name = $1
		FOR NO KEY UPDATE`, name)
	if err != nil {
		return Row{}, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Row])
	if errors.Is(err, pgx.ErrNoRows) {
		return Row{}, fmt.Errorf("tenant %q: there is none of this name; see: overread tenant list", name)
	}
	return row, err
}

// turn changes a tenant's state, and records it, in one transaction.
func (k Keeper) turn(ctx context.Context, tx pgx.Tx, t Row, to State, what access.EventKind, reason string) error {
	_, err := tx.Exec(ctx, `
		UPDATE tenant
		SET state = @state, state_since = now(), state_reason = @reason
		WHERE tenant_id = @tenant`, pgx.NamedArgs{"tenant": t.TenantID, "state": to, "reason": reason})
	if err != nil {
		return fmt.Errorf("tenant %s: %w", t.Name, err)
	}
	return k.record(ctx, tx, t.TenantID, t.Name, what, reason)
}

// Suspend stops everything that is done for a tenant, on all replicas, and
// returns when what was being done at that moment has ended. Deliveries that are
// on the network are let finish; underway tells how many.
func (k Keeper) Suspend(ctx context.Context, name, reason string) (underway int, err error) {
	var t Row
	err = k.DB.System(ctx, func(tx pgx.Tx) (err error) {
		if t, err = find(ctx, tx, name); err != nil {
			return err
		}
		if t.State != Active {
			return fmt.Errorf("tenant %s is %s already, since %s", name, t.State, t.Since.UTC().Format(time.RFC3339))
		}
		return k.turn(ctx, tx, t, Suspended, access.TenantSuspended, reason)
	})
	if err != nil {
		return 0, err
	}
	if err := k.settle(ctx); err != nil {
		return 0, err
	}
	return k.underway(ctx, t.TenantID)
}

// Resume lets a tenant go on where it stopped. One that was moved or copied may be
// at work elsewhere, and both would send the same reports: anyway says that it is
// not.
func (k Keeper) Resume(ctx context.Context, name, reason string, anyway bool) error {
	return k.DB.System(ctx, func(tx pgx.Tx) error {
		t, err := find(ctx, tx, name)
		if err != nil {
			return err
		}
		switch {
		case t.State == Active:
			return fmt.Errorf("tenant %s is active", name)
		case t.State == Moved && !anyway:
			return fmt.Errorf("tenant %s was exported with --move, to go on elsewhere; were it resumed here, reports would be sent twice and its audit log would have two ends: if it was never resumed there, and never will be, give --anyway", name)
		case t.State == Copied && !anyway:
			return fmt.Errorf("tenant %s came from a file that was not written with --move, so the tenant that it is a copy of may be at work; both would send the same reports: if that one is suspended for good, give --anyway", name)
		}
		return k.turn(ctx, tx, t, Active, access.TenantResumed, reason)
	})
}

// underway is how many deliveries a courier has on the network.
func (k Keeper) underway(ctx context.Context, tenant uuid.UUID) (n int, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM delivery WHERE tenant_id = $1 AND lease_until > now()`, tenant).Scan(&n)
	})
	return n, err
}

// How long it is waited for transactions that began before a change of state. Each
// request ends within a minute.
const (
	settlePatience = 75 * time.Second
	settlePause    = 20 * time.Millisecond
)

// settle waits until every transaction on this database has ended that runs now:
// those that begin from now on see the tenant's new state.
func (k Keeper) settle(ctx context.Context) error {
	var running []string
	look := func(sql string, args ...any) error {
		return k.DB.System(ctx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, sql, args...)
			if err != nil {
				return err
			}
			running, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
	}
	err := look(`
		SELECT l.virtualtransaction
		FROM pg_locks l
		JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'virtualxid' AND a.datname = current_database() AND l.pid <> pg_backend_pid()`)
	for began := time.Now(); err == nil && len(running) > 0; {
		if time.Since(began) > settlePatience {
			return fmt.Errorf("%d transactions that began before are still running, and may still write: look for a session that hangs (pg_stat_activity), and try again", len(running))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePause):
		}
		err = look(`SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'virtualxid' AND virtualtransaction = ANY ($1)`, running)
	}
	if err != nil {
		return fmt.Errorf("wait for what runs: %w", err)
	}
	return nil
}
