package pg_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pgtest"
)

// texts are the rows of a question with one column.
func texts(t *testing.T, conn *pgx.Conn, sql string, args ...any) []string {
	t.Helper()
	rows, err := conn.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// ofOneTenant is a policy for the tenant of the transaction: asked once a row, or once
// a statement (migrations/00041).
const ofOneTenant = `(coalesce(pg_get_expr(p.polqual, p.polrelid), '') LIKE '%tenant_id = overread_tenant()%'
	OR coalesce(pg_get_expr(p.polqual, p.polrelid), '') LIKE '(tenant_id = ( SELECT (NULLIF(current_setting(''overread.tenant''::text, true), ''''::text))::uuid AS "%"))')`

// TestTheServersRolesCanDoNothingBesides asks the catalogue.
func TestTheServersRolesCanDoNothingBesides(t *testing.T) {
	t.Parallel()
	owner := pgtest.New(t).Owner(t)
	for name, sql := range map[string]string{
		"is a superuser, passes row-level security by, logs in, or makes roles, databases or replicas": `
			SELECT rolname::text FROM pg_roles
			WHERE rolname LIKE 'overread\_%' AND rolname IN ('overread_app', 'overread_system', 'overread_search')
			  AND (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb OR rolreplication)`,
		"may become another role": `
			SELECT member::regrole || ' is ' || roleid::regrole FROM pg_auth_members
			WHERE member IN ('overread_app'::regrole, 'overread_system'::regrole, 'overread_search'::regrole)`,
		"owns a relation": `
			SELECT relname::text FROM pg_class WHERE relowner IN ('overread_app'::regrole, 'overread_system'::regrole)`,
		"owns a table or function": `
			SELECT relname::text FROM pg_class WHERE relowner = 'overread_search'::regrole AND relkind <> 'v'
			UNION ALL
			SELECT proname::text FROM pg_proc WHERE proowner IN ('overread_app'::regrole, 'overread_system'::regrole, 'overread_search'::regrole)`,
		"may create in the schema": `
			SELECT r FROM unnest(ARRAY['overread_app', 'overread_system', 'overread_search']) AS r WHERE has_schema_privilege(r, 'public', 'CREATE')`,
		"may truncate, or add triggers or foreign keys": `
			SELECT r || ' ' || c.relname FROM unnest(ARRAY['overread_app', 'overread_system', 'overread_search']) AS r, pg_class c
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
			  AND (has_table_privilege(r, c.oid, 'TRUNCATE') OR has_table_privilege(r, c.oid, 'TRIGGER') OR has_table_privilege(r, c.oid, 'REFERENCES'))`,
		"reaches a table of tenants that has no policy of one tenant": `
			SELECT c.relname::text
			FROM pg_class c
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
			  AND (has_any_column_privilege('overread_app', c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege('overread_app', c.oid, 'DELETE'))
			  AND NOT EXISTS (
				SELECT FROM pg_policy p
				WHERE p.polrelid = c.oid AND p.polroles @> ARRAY['overread_app'::regrole::oid] AND p.polpermissive
				  AND ` + ofOneTenant + `)`,
		"has a policy that is not of one tenant": `
			SELECT c.relname || ': ' || p.polname
			FROM pg_policy p
			JOIN pg_class c ON c.oid = p.polrelid
			WHERE (p.polroles @> ARRAY['overread_app'::regrole::oid] OR p.polroles = '{0}')
			  AND NOT ` + ofOneTenant,
		"has a policy of all tenants that holds before the role is taken": `
			SELECT c.relname || ': ' || p.polname
			FROM pg_policy p
			JOIN pg_class c ON c.oid = p.polrelid
			WHERE p.polroles @> ARRAY['overread_system'::regrole::oid]
			  AND pg_get_expr(p.polqual, p.polrelid) NOT LIKE '%CURRENT_USER = ''overread_system''::name%'`,
		"may write through a view": `
			SELECT c.relname::text FROM pg_class c
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'v'
			  AND (has_any_column_privilege('overread_app', c.oid, 'INSERT, UPDATE') OR has_table_privilege('overread_app', c.oid, 'DELETE'))`,
	} {
		if found := texts(t, owner, sql); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
	definers := texts(t, owner, `
		SELECT proname::text FROM pg_proc
		WHERE pronamespace = 'public'::regnamespace AND prosecdef AND has_function_privilege('overread_app', oid, 'EXECUTE')
		ORDER BY 1`)
	if diff := cmp.Diff([]string{"overread_schema_version"}, definers); diff != "" {
		t.Errorf("functions that run with their owner's rights: %s", diff)
	}
}

// TestNoStatementReachesAnotherTenant tries, on every table and view, and on each
// partition by its own name, every statement that the grants know, against rows of
// another tenant; and to give a row of one's own away.
func TestNoStatementReachesAnotherTenant(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := db.Owner(t)
	north, south := addRows(t, owner), addRows(t, owner)
	relations := texts(t, owner, `
		SELECT c.relname::text
		FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
		ORDER BY 1`)
	before := owned(t, owner, south)
	tried := 0
	for _, relation := range relations {
		name := pgx.Identifier{relation}.Sanitize()
		for _, column := range texts(t, owner, `SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped`, name) {
			for _, sql := range []string{
				`SELECT ` + column + ` FROM ` + name + ` WHERE tenant_id = $1`,
				`SELECT ` + column + ` FROM ` + name + ` WHERE tenant_id <> $2 AND tenant_id = $1`,
				`UPDATE ` + name + ` SET ` + column + ` = ` + column + ` WHERE tenant_id = $1`,
				`UPDATE ` + name + ` SET ` + column + ` = ` + column + ` WHERE tenant_id IS DISTINCT FROM $2 AND $1::uuid IS NOT NULL`,
			} {
				tried++
				mustTouchNothing(t, db, north, south, sql)
			}
		}
		for _, sql := range []string{
			`DELETE FROM ` + name + ` WHERE tenant_id = $1`,
			`DELETE FROM ` + name + ` WHERE tenant_id IS DISTINCT FROM $2 AND $1::uuid IS NOT NULL`,
			`SELECT tenant_id FROM ` + name + ` WHERE tenant_id = $1 FOR UPDATE`,
			`SELECT FROM ` + name + ` WHERE tenant_id = $1`,
			`UPDATE ` + name + ` SET tenant_id = $1 WHERE tenant_id = $2`,
			`INSERT INTO ` + name + ` SELECT * FROM ` + name + ` WHERE tenant_id = $1`,
		} {
			tried++
			mustTouchNothing(t, db, north, south, sql)
		}
	}
	if tried < 500 {
		t.Errorf("only %d statements were tried", tried)
	}
	if diff := cmp.Diff(before, owned(t, owner, south)); diff != "" {
		t.Errorf("the other tenant's rows have changed: %s", diff)
	}
}

var errUndone = errors.New("undone")

// mustTouchNothing runs a statement as north and undoes it.
func mustTouchNothing(t *testing.T, db *pgtest.Database, north, south uuid.UUID, sql string) {
	t.Helper()
	ctx := context.Background()
	_ = db.Tenant(ctx, north, func(tx pgx.Tx) error {
		args := []any{south, north}
		if !strings.Contains(sql, "$2") {
			args = args[:1]
		}
		tag, err := tx.Exec(ctx, sql, args...)
		if err == nil && tag.RowsAffected() > 0 {
			t.Errorf("%s: %s", sql, tag)
		}
		return errUndone
	})
}

// owned counts the rows of a tenant by table, as the owner sees them.
func owned(t *testing.T, owner *pgx.Conn, tenant uuid.UUID) map[string]int {
	t.Helper()
	counted := map[string]int{}
	for table, sql := range rows {
		if !strings.Contains(sql, "tenant_id") || slices.Contains([]string{"provider", "person", "session", "login"}, table) {
			continue
		}
		var n int
		if err := owner.QueryRow(context.Background(), `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()+` WHERE tenant_id = $1`, tenant).Scan(&n); err != nil {
			t.Fatal(err)
		}
		counted[table] = n
	}
	return counted
}
