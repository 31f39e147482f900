package access_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

func TestATokenIsItsActorAndNobodyElse(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	tenant := pgtest.AddTenant(t, db, "mercy")
	token, want := pgtest.AddToken(t, db, tenant, access.Coordinator)
	pgtest.AddToken(t, db, pgtest.AddTenant(t, db, "lakeside"), access.Director)

	got, err := access.Identify(t.Context(), db.DB, token, access.Choice{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, other := range []string{"", token + "x", token[1:], access.NewToken()} {
		if _, err := access.Identify(t.Context(), db.DB, other, access.Choice{}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a token that was never made: %v", err)
		}
	}
}

func TestARevokedTokenIsNobody(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	token, _ := pgtest.AddToken(t, db, pgtest.AddTenant(t, db, "mercy"), access.Placer)
	err := db.System(t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `UPDATE token SET revoked_at = now()`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := access.Identify(t.Context(), db.DB, token, access.Choice{}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a revoked token: %v", err)
	}
}
