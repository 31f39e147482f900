package pg_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver that migrations run by
	"github.com/pressly/goose/v3"

	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/migrations"
)

// AuditEvents that waited in the inbox when 00027 came are still there, byte by
// byte, whoever owns the tables; and each tenant has a mark of its own.
func TestWhatWaitedInTheInboxStaysAsItWas(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	super := pgtest.New(t)
	admin := super.Owner(t)
	name := "mover_" + strings.ToLower(rand.Text())
	login(t, admin, name)
	run(t, admin, `GRANT overread_app, overread_system, overread_search TO `+name)
	run(t, admin, `CREATE DATABASE `+name+` OWNER `+name)
	t.Cleanup(func() { run(t, admin, `DROP DATABASE `+name+` WITH (FORCE)`) })
	db, err := sql.Open("pgx", loginURL(t, super.URL, name, name))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files)
	if err == nil {
		_, err = p.UpTo(ctx, 26)
	}
	if err != nil {
		t.Fatal(err)
	}
	owner, err := pgx.Connect(ctx, strings.Replace(super.URL, super.URL[strings.LastIndex(super.URL, "/"):], "/"+name, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close(ctx)
	events := []string{`{"resourceType":"AuditEvent","id":"a","outcomeDesc":"<é> & \"Zoë\" \\u003c \\ %s"}`, `{"resourceType":"AuditEvent","id":"b"}`}
	for _, tenant := range []string{"north", "south"} {
		_, err := owner.Exec(ctx, `
			WITH t AS (INSERT INTO tenant (tenant_id, name, display) VALUES (gen_random_uuid(), @name, 'T') RETURNING tenant_id)
			INSERT INTO audit_inbox (tenant_id, batch_id, recorded_at, ids, times, bodies)
			SELECT tenant_id, gen_random_uuid(), now(), @ids, ARRAY['2026-11-25 12:00:00.12+00', '2026-11-25 12:00:01.003+00']::timestamptz[], @bodies
			FROM t`, pgx.NamedArgs{"name": tenant, "ids": []uuid.UUID{{15: 1}, {15: 2}}, "bodies": [][]byte{[]byte(events[0]), []byte(events[1])}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		t.Fatal(err)
	}
	want := `{"id":"00000000-0000-0000-0000-000000000001","at":"2026-11-25T12:00:00.120Z","event":` + events[0] + "}\n" +
		`{"id":"00000000-0000-0000-0000-000000000002","at":"2026-11-25T12:00:01.003Z","event":` + events[1] + `}`
	var kept, marks int
	err = owner.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM audit_inbox WHERE size = 2 AND convert_from(records, 'UTF8') = $1),
		       (SELECT count(DISTINCT access_mark) FROM tenant)`, want).Scan(&kept, &marks)
	if err != nil || kept != 2 || marks != 2 {
		t.Errorf("%d batches are as they were, %d marks: %v", kept, marks, err)
	}
}
