package pg_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
)

func TestTheLogNeverQuotesAValueThatPostgreSQLRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	var all []error
	for _, sql := range []string{
		`SELECT 'Vance 1931-07-19'::date`, `SELECT 'Vance'::uuid`, `SELECT '{"name": "Vance'::jsonb`,
		`INSERT INTO tenant (tenant_id, name, display) VALUES (overread_tenant(), 'Vance!', 'x')`,
	} {
		err := db.System(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		})
		if err == nil {
			t.Fatalf("%s is taken", sql)
		}
		all = append(all, fmt.Errorf("agenda checks of case 1: %w", err))
	}
	text := pg.Describe(fmt.Errorf("tick: %w", errors.Join(all...)))
	if strings.Contains(text, "Vance") || strings.Contains(text, "1931") {
		t.Error(text)
	}
	for _, want := range []string{"PostgreSQL 22007", "PostgreSQL 22P02", "tick: agenda checks of case 1"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in: %s", want, text)
		}
	}
}
