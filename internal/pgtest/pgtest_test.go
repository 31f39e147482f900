package pgtest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

func TestTwoTestsAtOnceHaveDatabasesOfTheirOwn(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	counts := make([]int, 6)
	for i := range counts {
		db := pgtest.New(t)
		all.Go(func() {
			pgtest.AddTenant(t, db, "north")
			_ = db.System(context.Background(), func(tx pgx.Tx) error {
				return tx.QueryRow(context.Background(), `SELECT count(*) FROM tenant`).Scan(&counts[i])
			})
		})
	}
	all.Wait()
	if diff := cmp.Diff([]int{1, 1, 1, 1, 1, 1}, counts); diff != "" {
		t.Error(diff)
	}
}

func TestATokenIsKnownAsTheActorItWasMadeFor(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	tenant := pgtest.AddTenant(t, db, "north")
	token, want := pgtest.AddToken(t, db, tenant, access.Coordinator)
	got, err := access.Identify(context.Background(), db.DB, token, access.Choice{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	token, want = pgtest.AddReader(t, db, tenant, "Dr. Reader", map[string]any{"capacity": 3})
	want.Reader = want.ID
	if got, err = access.Identify(context.Background(), db.DB, token, access.Choice{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
