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
		"a question": func(ctx context.Context, fn func(pgx.Tx) error) error {
			return db.Ask(ctx, north, `SELECT 1`, nil, func(rows pgx.Rows) error { rows.Close(); return fn(nil) })
		},
		"a snapshot": func(ctx context.Context, fn func(pgx.Tx) error) error { return db.Snapshot(ctx, north, fn) },
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

// Whoever asks sees what a transaction of the tenant would, changes nothing, and
// leaves nothing of it on the connection, a pooler's too.
func TestAQuestionIsATransactionOfItsTenant(t *testing.T) {
	t.Parallel()
	direct := pgtest.New(t)
	owner := direct.Owner(t)
	north, south := addRows(t, owner), addRows(t, owner)
	const connections = 2
	pooled := pg.BehindPooler(pgtest.Pooler(t, direct.URL, connections))
	db, err := pg.Open(t.Context(), pooled)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	stranger, err := pgx.Connect(t.Context(), pooled)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Close(context.Background()) })
	failed := errors.New("as asked")
	for range 3 * connections {
		for _, tenant := range []uuid.UUID{north, south} {
			var seen []uuid.UUID
			err := db.Ask(t.Context(), tenant, `SELECT tenant_id FROM resource WHERE type = @type`, pgx.NamedArgs{"type": "Patient"}, func(rows pgx.Rows) (err error) {
				seen, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
				return err
			})
			if err != nil || len(seen) != 1 || seen[0] != tenant {
				t.Errorf("%v sees the resources of %v (%v)", tenant, seen, err)
			}
		}
		nothing := func(rows pgx.Rows) error { rows.Close(); return rows.Err() }
		for sql, code := range map[string]string{`SELECT 1/0`: "22012", `DELETE FROM audit_inbox`: "25006", `SELECT FROM token`: "42501"} {
			if err := db.Ask(t.Context(), north, sql, nil, nothing); pg.State(err) != code {
				t.Errorf("%s: %v", sql, err)
			}
		}
		if err := db.Ask(t.Context(), north, `SELECT 1`, nil, func(rows pgx.Rows) error { rows.Close(); return failed }); !errors.Is(err, failed) {
			t.Errorf("%v", err)
		}
		var role, tenant, readOnly string
		err := stranger.QueryRow(t.Context(), `SELECT current_user, coalesce(current_setting('overread.tenant', true), ''), current_setting('transaction_read_only')`).Scan(&role, &tenant, &readOnly)
		if err != nil || role == "overread_app" || tenant != "" || readOnly != "off" {
			t.Errorf("after it: role %q, tenant %q, read only %s, %v", role, tenant, readOnly, err)
		}
	}
	if _, err := owner.Exec(t.Context(), `UPDATE tenant SET state = 'suspended' WHERE tenant_id = $1`, north); err != nil {
		t.Fatal(err)
	}
	err = db.Ask(t.Context(), north, `SELECT 1`, nil, func(pgx.Rows) error { t.Error("a suspended tenant is answered"); return nil })
	if !errors.Is(err, pg.ErrSuspended) {
		t.Errorf("%v", err)
	}
}
