package pg_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/overread/overread/internal/pgtest"
)

// A replica that stands still holds a lock; the others must not wait for ever.
func TestATransactionDoesNotWaitForEverForALock(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	tenant := addRows(t, db.Owner(t))
	const lock = `SELECT FROM case_file FOR UPDATE`

	held, err := db.Owner(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Exec(ctx, lock); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err = db.Tenant(ctx, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, lock)
		return err
	})
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "55P03" || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestATransactionThatStandsStillIsEnded(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	for _, setting := range []string{"lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"} {
		var value string
		err := db.System(ctx, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `SELECT current_setting($1)`, setting).Scan(&value)
		})
		if err != nil || value == "0" {
			t.Errorf("%s is %q (%v)", setting, value, err)
		}
	}
}
