package pg_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
)

// A check is asked in the transaction, unless the tenant's mark and the time say that
// it holds.
func TestACheckIsAskedUnlessItIsKnownToHold(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	north, south := pgtest.AddTenant(t, db, "north"), pgtest.AddTenant(t, db, "south")
	var mark uuid.UUID
	if err := db.Owner(t).QueryRow(t.Context(), `SELECT access_mark FROM tenant WHERE tenant_id = $1`, north).Scan(&mark); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("it has changed")
	works := map[string]func(ctx context.Context, fn func(pgx.Tx) error) error{
		"a transaction": func(ctx context.Context, fn func(pgx.Tx) error) error { return db.Tenant(ctx, north, fn) },
		"a snapshot":    func(ctx context.Context, fn func(pgx.Tx) error) error { return db.Snapshot(ctx, north, fn) },
	}
	for name, c := range map[string]struct {
		marks map[uuid.UUID]uuid.UUID
		till  time.Time
		asked bool
	}{
		"the mark is what it was":         {map[uuid.UUID]uuid.UUID{north: mark}, time.Time{}, false},
		"and its time is not over":        {map[uuid.UUID]uuid.UUID{north: mark}, time.Now().Add(time.Hour), false},
		"its time is over":                {map[uuid.UUID]uuid.UUID{north: mark}, time.Now().Add(-time.Hour), true},
		"the mark is another":             {map[uuid.UUID]uuid.UUID{north: uuid.New()}, time.Time{}, true},
		"the mark is another tenant's":    {map[uuid.UUID]uuid.UUID{south: mark}, time.Time{}, true},
		"no mark is known":                {nil, time.Time{}, true},
		"what is known of a mark is none": {map[uuid.UUID]uuid.UUID{north: {}}, time.Time{}, true},
	} {
		for how, work := range works {
			for _, verdict := range []error{nil, failed} {
				asked, done := 0, 0
				ctx := pg.WithChecks(t.Context())
				pg.CheckLater(ctx, pg.Check{Marks: c.marks, Till: c.till, SQL: `SELECT current_user::text = 'overread_system'`, Judge: func(rows pgx.Rows) error {
					asked++
					if as, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool]); err != nil || !as {
						t.Errorf("%s, %s: it is asked as somebody else (%v)", name, how, err)
					}
					return verdict
				}})
				for range 2 {
					err := work(ctx, func(pgx.Tx) error { done++; return nil })
					if refused := c.asked && verdict != nil; refused != errors.Is(err, failed) || !refused && err != nil {
						t.Errorf("%s, %s: %v", name, how, err)
					}
				}
				wantDone := 2
				if c.asked && verdict != nil {
					wantDone = 0
				}
				if (asked == 1) != c.asked || done != wantDone {
					t.Errorf("%s, %s: asked %d times, done %d times", name, how, asked, done)
				}
			}
		}
	}
}

// Where a request has no transaction, the check is asked at its end, whatever the
// marks are: what was refused may have been refused wrongly.
func TestACheckThatNoTransactionHasAskedIsAskedAtTheEnd(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	failed := errors.New("it has changed")
	ctx := pg.WithChecks(t.Context())
	pg.CheckLater(ctx, pg.Check{SQL: `SELECT true`, Judge: func(rows pgx.Rows) error { rows.Close(); return failed }})
	for range 2 {
		if err := pg.Checked(ctx, db.DB); !errors.Is(err, failed) {
			t.Errorf("%v", err)
		}
	}
}
