package pg_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
)

func TestAPoolerThatNobodyHasToldOfIsNamed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db, err := pg.Open(ctx, pgtest.Pooler(t, pgtest.New(t).URL, 2))
	for range 6 {
		if err == nil {
			err = db.System(ctx, func(tx pgx.Tx) error {
				var n int
				return tx.QueryRow(ctx, `SELECT count(*) FROM tenant`).Scan(&n)
			})
		}
	}
	if db != nil {
		db.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "OVERREAD_DATABASE_POOLER") || !strings.Contains(pg.Describe(err), "OVERREAD_DATABASE_POOLER") {
		t.Errorf("%v", err)
	}
}

func TestBehindAPoolerNothingIsLeftOfATransaction(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	direct := pgtest.New(t)
	north, south := addRows(t, direct.Owner(t)), addRows(t, direct.Owner(t))
	const connections = 3
	pooled := pgtest.Pooler(t, direct.URL, connections)
	db, err := pg.Open(ctx, pg.BehindPooler(pooled))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	failed := errors.New("as asked")
	ends := map[string]func(tx pgx.Tx) error{
		"it is committed":       func(pgx.Tx) error { return nil },
		"its function fails":    func(pgx.Tx) error { return failed },
		"a statement fails":     func(tx pgx.Tx) error { _, err := tx.Exec(ctx, `SELECT 1/0`); return err },
		"it is rolled back":     func(tx pgx.Tx) error { return tx.Rollback(ctx) },
		"it narrows":            func(tx pgx.Tx) error { return pg.EnterTenant(ctx, tx, south) },
		"its function panics":   func(pgx.Tx) error { panic(failed) },
		"it tries to stay so":   func(tx pgx.Tx) error { _, err := tx.Exec(ctx, `SET LOCAL overread.tenant = 'x'`); return err },
		"a savepoint goes back": func(tx pgx.Tx) error { return savepoint(ctx, tx, south) },
	}
	stranger, err := pgx.Connect(ctx, pg.BehindPooler(pooled))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Close(ctx) })
	for name, end := range ends {
		for range connections {
			func() {
				defer func() { _ = recover() }()
				_ = db.Tenant(ctx, north, end)
			}()
		}
		for range 2 * connections { // each of the connections
			var role, tenant string
			err := stranger.QueryRow(ctx, `SELECT current_user, coalesce(current_setting('overread.tenant', true), '')`).Scan(&role, &tenant)
			if err != nil || strings.HasPrefix(role, "overread_") || tenant != "" {
				t.Errorf("after a transaction of which %s: role %q, tenant %q, %v", name, role, tenant, err)
			}
		}
	}
}

func savepoint(ctx context.Context, tx pgx.Tx, other uuid.UUID) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	if err := pg.EnterTenant(ctx, inner, other); err != nil {
		return err
	}
	return inner.Rollback(ctx)
}

func TestBehindAPoolerTenantsThatTakeTurnsOnAConnectionSeeTheirOwn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	direct := pgtest.New(t)
	tenants := []uuid.UUID{addRows(t, direct.Owner(t)), addRows(t, direct.Owner(t)), addRows(t, direct.Owner(t))}
	db, err := pg.Open(ctx, pg.BehindPooler(pgtest.Pooler(t, direct.URL, 2)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	var all sync.WaitGroup
	for _, tenant := range tenants {
		all.Go(func() {
			for range 50 {
				var seen []uuid.UUID
				err := db.Tenant(ctx, tenant, func(tx pgx.Tx) error {
					rows, err := tx.Query(ctx, `SELECT DISTINCT tenant_id FROM resource_search UNION SELECT tenant_id FROM case_file`)
					if err != nil {
						return err
					}
					seen, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
					return err
				})
				if err != nil || len(seen) != 1 || seen[0] != tenant {
					t.Errorf("%s sees %v: %v", tenant, seen, err)
				}
			}
		})
	}
	all.Wait()
}

// TestStatementsPreparedByNameDoNotSurviveAPooler shows that the pooler of these
// tests is one.
func TestStatementsPreparedByNameDoNotSurviveAPooler(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	direct := pgtest.New(t)
	db, err := pg.Open(ctx, pgtest.Pooler(t, direct.URL, 3))
	if err != nil {
		return // it did not even begin
	}
	defer db.Close()
	for range 10 {
		if err := db.System(ctx, func(pgx.Tx) error { return nil }); err != nil {
			return
		}
	}
	t.Error("statements that were prepared on one connection are known on another")
}
