package pg

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
)

// A Check is asked at the beginning of a transaction, on the same way to
// PostgreSQL, before anything else is done in it: whether what was known a moment
// ago still holds. It is asked as overread_system. An error of Judge ends the
// transaction.
type Check struct {
	SQL   string
	Args  pgx.NamedArgs
	Judge func(pgx.Rows) error
}

// checks is what is still to be checked for a request.
type checks struct {
	mu      sync.Mutex // held while a transaction begins that asks
	pending *Check
	failed  error
}

type checksKey struct{}

// WithChecks has room for a Check of a request. It keeps the room that there is.
func WithChecks(ctx context.Context) context.Context {
	if checksOf(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, checksKey{}, &checks{})
}

func checksOf(ctx context.Context) *checks {
	c, _ := ctx.Value(checksKey{}).(*checks)
	return c
}

// CheckLater has the first transaction of the request that works for a tenant
// (Tenant, Snapshot) ask the check, and fail if it fails, as all after it do. It
// returns false where there is no room: then it is for the caller to ask.
func CheckLater(ctx context.Context, check Check) bool {
	c := checksOf(ctx)
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.failed = &check, nil
	return true
}

// Checked asks what no transaction of the request has asked yet, and returns how
// that was judged, now or before.
func Checked(ctx context.Context, db *DB) error {
	c := checksOf(ctx)
	if c == nil {
		return nil
	}
	c.mu.Lock()
	idle := c.pending == nil
	failed := c.failed
	c.mu.Unlock()
	if idle {
		return failed
	}
	return db.run(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly}, footing{role: allTenants.role, checked: true}, func(pgx.Tx) error { return nil })
}

// asking is a transaction's part in the checks of its request.
type asking struct {
	of    *checks
	check *Check
	err   error // of Judge
}

// ask puts the check into the beginning of a transaction. done is called when it
// has begun, or not.
func ask(ctx context.Context, batch *pgx.Batch) (a *asking, failed error) {
	c := checksOf(ctx)
	if c == nil {
		return &asking{}, nil
	}
	c.mu.Lock()
	if c.pending == nil {
		defer c.mu.Unlock()
		return &asking{}, c.failed
	}
	a = &asking{of: c, check: c.pending}
	batch.Queue(`SELECT set_config('role', 'overread_system', true)`)
	batch.Queue(a.check.SQL, a.check.Args).Query(func(rows pgx.Rows) error {
		a.err = a.check.Judge(rows)
		return a.err
	})
	return a, nil
}

func (a *asking) done(began bool) {
	if a.of == nil {
		return
	}
	if began || a.err != nil { // else it was not answered, and is asked again
		a.of.pending, a.of.failed = nil, a.err
	}
	a.of.mu.Unlock()
}
