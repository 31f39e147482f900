// Package pgtest gives each test a database of its own: migrated, empty, and
// gone when the test ends. There are no mocks of PostgreSQL here.
//
// The server is the one of OVERREAD_TEST_DATABASE_URL (a superuser's), else a
// private PostgreSQL that lives as long as the test process. Databases are
// cloned from a template that holds the migrated schema, which takes some
// hundredths of a second; so tests may call t.Parallel freely.
package pgtest

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

// Database is a migrated database that belongs to one test.
type Database struct {
	*pg.DB
	URL string // as its owner, a superuser
}

// New makes a database and drops it when the test ends.
func New(t testing.TB) *Database {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatalf("test server: %v", err)
	}
	return server.copy(t, server.template)
}

// Copy makes a database that has what d has. It ends all connections to d.
func (d *Database) Copy(t testing.TB) *Database {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatalf("test server: %v", err)
	}
	d.Close()
	name := d.URL[strings.LastIndex(d.URL, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	err = server.withAdmin(context.Background(), func(admin *pgx.Conn) error {
		_, err := admin.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return server.copy(t, name)
}

func (s server) copy(t testing.TB, template string) *Database {
	t.Helper()
	ctx := context.Background()
	name := "overread_test_" + strings.ToLower(rand.Text())
	if err := s.withAdmin(ctx, func(admin *pgx.Conn) error { return s.clone(ctx, admin, template, name) }); err != nil {
		t.Fatalf("clone the template database: %v", err)
	}
	t.Cleanup(func() {
		err := s.withAdmin(ctx, func(admin *pgx.Conn) error {
			_, err := admin.Exec(ctx, `DROP DATABASE `+pgx.Identifier{name}.Sanitize()+` WITH (FORCE)`)
			return err
		})
		if err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	db, err := pg.Open(ctx, s.database(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return &Database{DB: db, URL: s.database(name)}
}

// Owner connects as the owner of the tables, whom no row-level security
// holds: for what a test must see or set behind the server's back.
func (d *Database) Owner(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), d.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
