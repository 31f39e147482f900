package pg

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A Check is asked at the beginning of a transaction, before anything else is done
// in it: whether what was known a moment ago still holds. It does while the access
// mark of the transaction's tenant is what it was (tenant.access_mark, migration
// 00027, which says what changes it), until a time; that is known by the way, from
// what every transaction reads of its tenant. Else SQL is asked, as overread_system,
// and judged; an error of Judge ends the transaction.
type Check struct {
	Marks map[uuid.UUID]uuid.UUID // by tenant; what is not here is asked
	Till  time.Time               // by the database's clock; zero: without end
	SQL   string
	Args  pgx.NamedArgs
	Judge func(pgx.Rows) error
}

// holds tells whether the check need not be asked.
func (c *Check) holds(tenant uuid.UUID, now standing) bool {
	mark, known := c.Marks[tenant]
	return known && now.there && mark == now.mark && (c.Till.IsZero() || now.at.Before(c.Till))
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

// ask is a transaction's part in what is still to be checked. settle is called when
// it has taken its role, then done.
func ask(ctx context.Context) (a *asking, failed error) {
	c := checksOf(ctx)
	if c == nil {
		return &asking{}, nil
	}
	c.mu.Lock()
	if c.pending == nil {
		defer c.mu.Unlock()
		return &asking{}, c.failed
	}
	return &asking{of: c, check: c.pending}, nil
}

// holds tells whether there is nothing to ask, as the transaction's tenant stands.
func (a *asking) holds(f footing, now standing) bool {
	return a.check == nil || a.check.holds(f.id, now)
}

// settle asks the check, unless it is known to hold. Afterwards the transaction has
// its own role again.
func (a *asking) settle(ctx context.Context, tx *transaction, f footing, now standing) error {
	if a.holds(f, now) {
		return nil
	}
	batch := &pgx.Batch{}
	batch.Queue(`SELECT set_config('role', 'overread_system', true)`)
	batch.Queue(a.check.SQL, a.check.Args).Query(func(rows pgx.Rows) error {
		a.err = a.check.Judge(rows)
		return a.err
	})
	batch.Queue(`SELECT set_config('role', $1, true)`, f.role)
	err := tx.SendBatch(ctx, batch).Close()
	if a.err != nil {
		return a.err
	}
	return err
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
