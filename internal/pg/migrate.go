package pg

import (
	"context"
	"fmt"

	"database/sql"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"

	"github.com/overread/overread/migrations"
)

// Migrate brings the schema of the database up to this binary's and returns
// the version it then has. Several processes may call it at once.
func Migrate(ctx context.Context, url string) (int64, error) {
	return withGoose(ctx, url, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// SchemaVersion returns the version of the database's schema and the one that
// this binary wants.
func SchemaVersion(ctx context.Context, url string) (have, want int64, err error) {
	have, err = withGoose(ctx, url, func(p *goose.Provider) error {
		sources := p.ListSources()
		want = sources[len(sources)-1].Version
		return nil
	})
	return have, want, err
}

func withGoose(ctx context.Context, url string, fn func(*goose.Provider) error) (int64, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return 0, fmt.Errorf("database URL: %w", err)
	}
	defer db.Close()
	// Two migrations at once: the second waits for the first. Taken on a
	// connection of its own, for the length of the migration only.
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, fmt.Errorf("database does not answer: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(7238460)`); err != nil {
		return 0, fmt.Errorf("wait for another migration: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files)
	if err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	if err := fn(p); err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return p.GetDBVersion(ctx)
}
