package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"

	"github.com/overread/overread/migrations"
)

// Migrate brings the schema of the database up to this binary's and returns
// the version it then has. Several processes may call it at once. The login
// must own the schema.
func Migrate(ctx context.Context, url string) (int64, error) {
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
	if _, err := p.Up(ctx); err != nil {
		if isDenied(err) {
			err = fmt.Errorf("%w; migrate as the owner of the database, who either may create roles (CREATEROLE) "+
				"or has been granted overread_app, overread_system and overread_search by a superuser who made them", err)
		}
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return p.GetDBVersion(ctx)
}

// SchemaVersion returns the version of the database's schema, 0 for one that
// was never migrated, and the version that this binary wants. It changes
// nothing, waits for nobody, and any login may ask.
func SchemaVersion(ctx context.Context, url string) (have, want int64, err error) {
	if want, err = LatestSchema(); err != nil {
		return 0, 0, err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, want, fmt.Errorf("database does not answer: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var function, table bool
	err = conn.QueryRow(ctx, `
		SELECT to_regprocedure('overread_schema_version()') IS NOT NULL, to_regclass('goose_db_version') IS NOT NULL`).Scan(&function, &table)
	switch {
	case err != nil:
	case function:
		err = conn.QueryRow(ctx, `SELECT overread_schema_version()`).Scan(&have)
	case table: // a schema from before 00006, or a first migration that failed
		err = conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have)
	}
	if err != nil {
		return 0, want, fmt.Errorf("schema version: %w", err)
	}
	return have, want, nil
}

// LatestSchema is the number of the last embedded migration.
func LatestSchema() (int64, error) {
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("migrations: none (%w)", err)
	}
	return goose.NumericComponent(slices.Max(names)) // each begins with five digits
}

// isDenied tells whether PostgreSQL refused for want of a privilege.
func isDenied(err error) bool {
	p, ok := errors.AsType[*pgconn.PgError](err)
	return ok && p.Code == "42501"
}
