// Package pg is the way to PostgreSQL: the pool, the two kinds of transaction,
// the migrations, and a private PostgreSQL for demo and tests.
//
// Nothing runs outside a transaction, and every transaction first steps down
// from the login role: into overread_app with one tenant (Tenant), or into
// overread_system, which sees all tenants but no patient data (System). Both
// are set with SET LOCAL semantics, so a transaction-mode pooler may stand in
// between. A tenant that is not at work is let into none of them, save for what
// has to be written down nevertheless (Finish).
package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a pool of connections to Overread's database.
type DB struct {
	pool *pgxpool.Pool
}

// leastConns is the size of the pool on a machine with few processors: most of
// a transaction's time is the way to PostgreSQL and back.
const leastConns = 16

// Open connects to the migrated database of the URL and checks that it
// answers, and that the login may take both roles.
func Open(ctx context.Context, url string) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = max(leastConns, cfg.MaxConns)
	}
	cfg.ConnConfig.RuntimeParams["application_name"] = "overread"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	db := &DB{pool: pool}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("database does not answer: %w", err)
	}
	if err := db.checkRoles(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return db, nil
}

// BehindPooler is the URL as it must be where a pooler in transaction mode stands
// between (PgBouncer and others): statements are not prepared by name, as the next
// transaction has another connection, which does not know them.
func BehindPooler(target string) string {
	const mode = "default_query_exec_mode=cache_describe"
	switch {
	case !strings.Contains(target, "://"):
		return target + " " + mode
	case strings.Contains(target, "?"):
		return target + "&" + mode
	}
	return target + "?" + mode
}

// checkRoles refuses at the start what would fail at every request.
func (db *DB) checkRoles(ctx context.Context) error {
	nothing := func(pgx.Tx) error { return nil }
	err := errors.Join(db.System(ctx, nothing), db.Tenant(ctx, uuid.Nil, nothing))
	if err != nil {
		return fmt.Errorf("the database's login may not do its work, see overread doctor: %w", err)
	}
	return nil
}

// Close waits for running transactions and closes the connections.
func (db *DB) Close() { db.pool.Close() }

// Ping checks that the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.pool.Ping(ctx) }

// Tenant runs fn in a transaction that sees one tenant only. fn may be run
// again after a deadlock or serialization failure, so it must have no effect
// outside the transaction.
//
// It returns ErrSuspended, and does not run fn, while the tenant is not at work.
func (db *DB) Tenant(ctx context.Context, tenant uuid.UUID, fn func(tx pgx.Tx) error) error {
	return db.run(ctx, pgx.TxOptions{}, atWork(tenant), fn)
}

// Ask is Tenant for one statement that only reads, on one way to PostgreSQL and back:
// what is sent together is one transaction there (PostgreSQL, Protocol Flow, section
// Pipelining). What it answers is given to read when it is known that the tenant is
// at work and the request may ask; else it is thrown away. As with fn of Tenant,
// read may be called again.
func (db *DB) Ask(ctx context.Context, tenant uuid.UUID, sql string, args pgx.NamedArgs, read func(pgx.Rows) error) error {
	f := atWork(tenant)
	f.readOnly = true
	answered, err := db.askAtOnce(ctx, f, sql, args, read)
	if err == nil && !answered {
		err = db.Tenant(ctx, tenant, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, sql, args)
			if err != nil {
				return err
			}
			return read(rows)
		})
	}
	return err
}

// Finish is Tenant for what is to be written down although the tenant may be
// suspended: what came of a delivery that was under way, who read what, and the
// audit log; and for what an operator does.
func (db *DB) Finish(ctx context.Context, tenant uuid.UUID, fn func(tx pgx.Tx) error) error {
	return db.run(ctx, pgx.TxOptions{}, anyTenant(tenant), fn)
}

// Snapshot is Tenant for what only reads: all its statements see the same
// moment.
func (db *DB) Snapshot(ctx context.Context, tenant uuid.UUID, fn func(tx pgx.Tx) error) error {
	return db.run(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, atWork(tenant), fn)
}

// System runs fn in a transaction that sees every tenant, in the tables that
// hold no patient data. fn may be run again, as in Tenant.
func (db *DB) System(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return db.run(ctx, pgx.TxOptions{}, allTenants, fn)
}

// Whole is System for what goes over all that a tenant has and so may take long:
// with options of its own, and without the limits of time.
func (db *DB) Whole(ctx context.Context, options pgx.TxOptions, fn func(tx pgx.Tx) error) error {
	return db.run(ctx, options, allTenants, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`)
		if err != nil {
			return fmt.Errorf("take time: %w", err)
		}
		return fn(tx)
	})
}

// EnterTenant narrows a System transaction down to one tenant: what follows in
// it sees that tenant only, with all its tables. Whether the tenant is at work is
// the caller's to know: claims look (AtWork).
func EnterTenant(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	return step(ctx, tx, anyTenant(tenant))
}

// AtWork is the condition of a claim that nothing is done for a tenant that is
// suspended: its column tenant_id is not one of theirs.
const AtWork = `tenant_id NOT IN (SELECT s.tenant_id FROM tenant s WHERE s.state <> 'active')`

// ErrSuspended says that the tenant is not at work: nothing was done.
var ErrSuspended = errors.New("the tenant is suspended")

// footing is what a transaction steps down to.
type footing struct {
	role   string
	id     uuid.UUID // of the tenant, uuid.Nil for all
	tenant string    // the same, "" for all
	atWork bool      // refuse a tenant that is suspended, and a request that fails its Check

	readOnly bool // nothing is changed, see Ask

	checked bool // the request's Check is asked, though nothing is done for a tenant
}

var allTenants = footing{role: "overread_system"}

func anyTenant(tenant uuid.UUID) footing {
	return footing{role: "overread_app", id: tenant, tenant: tenant.String()}
}

func atWork(tenant uuid.UUID) footing {
	return footing{role: "overread_app", id: tenant, tenant: tenant.String(), atWork: true}
}

// AsTenant runs fn within a transaction of whichever role as one tenant, and then
// gives the transaction back the role and tenant that it had.
func AsTenant(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, fn func() error) error {
	var role, before string
	err := tx.QueryRow(ctx, `SELECT current_user, coalesce(current_setting('overread.tenant', true), '')`).Scan(&role, &before)
	if err != nil {
		return fmt.Errorf("as tenant: %w", err)
	}
	if err := become(ctx, tx, "overread_app", tenant.String()); err != nil {
		return err
	}
	if err := fn(); err != nil { // the transaction is undone
		return err
	}
	return become(ctx, tx, role, before)
}

func become(ctx context.Context, tx pgx.Tx, role, tenant string) error {
	_, err := tx.Exec(ctx, `SELECT set_config('role', $1, true), set_config('overread.tenant', $2, true)`, role, tenant)
	return err
}

// How long a transaction may hold others up. A replica that stands still in
// the middle of one (a paused machine, a lost network) would otherwise keep its
// locks until TCP gives up, and whoever waits for them would use up the
// connections of every other replica.
const (
	lockPatience      = "5s"  // for a lock that another transaction has
	statementPatience = "30s" // for one statement
	idlePatience      = "15s" // between two statements; then PostgreSQL ends the transaction
)

// step takes the role and the tenant for the rest of the transaction, and its
// limits: with SET LOCAL, as a pooler refuses them at the start of a session.
// Statements are not compiled (jit): ours are short, and a plan whose cost is
// estimated too high would wait a second for its compiler. Of what PostgreSQL
// logs, parameters of statements that fail are all that a login may refuse; the
// rest is the operator's (docs/security.md).
//
// Whether the tenant is at work is asked in the same trip to PostgreSQL, after
// the transaction has begun: so what begins after a tenant was suspended sees it,
// whoever let it in before.
func step(ctx context.Context, tx pgx.Tx, f footing) error {
	batch := &pgx.Batch{}
	now := queueStep(batch, f)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("take role %s: %w", f.role, err)
	}
	if now.suspended {
		return ErrSuspended
	}
	return nil
}

// standing is what a transaction finds out of its tenant when it begins.
type standing struct {
	there     bool      // there is such a tenant, and it was asked for
	suspended bool      // it is not at work
	mark      uuid.UUID // of what may be done there, see Check
	at        time.Time // when the transaction began
}

const takeStep = `
		SELECT set_config('role', $1, true), set_config('overread.tenant', $2, true),
		       set_config('lock_timeout', '` + lockPatience + `', true), set_config('statement_timeout', '` + statementPatience + `', true),
		       set_config('idle_in_transaction_session_timeout', '` + idlePatience + `', true), set_config('jit', 'off', true),
		       set_config('log_parameter_max_length_on_error', '0', true)`

// queueStep is step as a part of a batch. Afterwards it is known how the tenant
// stands.
func queueStep(batch *pgx.Batch, f footing) *standing {
	now := &standing{}
	if f.readOnly {
		batch.Queue(takeStep+`, set_config('transaction_read_only', 'on', true)`, f.role, f.tenant)
	} else {
		batch.Queue(takeStep, f.role, f.tenant)
	}
	if f.atWork {
		batch.Queue(`SELECT state <> 'active', access_mark, now() FROM tenant WHERE tenant_id = overread_tenant()`).
			Query(func(rows pgx.Rows) error {
				for rows.Next() {
					now.there = true
					if err := rows.Scan(&now.suspended, &now.mark, &now.at); err != nil {
						return err
					}
				}
				return rows.Err()
			})
	}
	return now
}

const maxAttempts = 5

// ErrAgain is returned by a function that met what another transaction was
// just doing, in a way that PostgreSQL does not notice: Tenant and System undo
// it and run it again, like after a deadlock. Who gets it from them has met the
// same thing maxAttempts times.
var ErrAgain = errors.New("another transaction was in the way each time")

func (db *DB) run(ctx context.Context, options pgx.TxOptions, f footing, fn func(tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := db.inTransaction(ctx, options, f, fn)
		if err == nil || attempt == maxAttempts || !mayRetry(err) {
			return explained(err)
		}
		pause := time.Duration(rand.Int64N(int64(attempt) * int64(20*time.Millisecond)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// explained says what to set where a statement that was prepared is not known, or
// is known already, on the connection that the transaction has: a pooler gave it
// another one.
func explained(err error) error {
	if state := State(err); state == "26000" || state == "42P05" {
		return fmt.Errorf("a pooler in transaction mode seems to stand before the database: set --database-pooler / OVERREAD_DATABASE_POOLER: %w", err)
	}
	return err
}

// mayRetry tells whether the whole transaction was undone for a reason that a
// second try may not meet: a deadlock or a serialization failure.
func mayRetry(err error) bool {
	var p *pgconn.PgError
	return errors.Is(err, ErrAgain) || errors.As(err, &p) && (p.Code == "40P01" || p.Code == "40001")
}

// Constraint returns the name of the constraint that err violates, or "".
func Constraint(err error) string {
	if p, ok := errors.AsType[*pgconn.PgError](err); ok {
		return p.ConstraintName
	}
	return ""
}
