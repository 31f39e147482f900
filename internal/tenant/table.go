package tenant

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// LeftOut are the tables of tenants that do not go into the file, and why.
var LeftOut = map[string]string{
	"export_job":           "a bulk export lives a day and looks at a snapshot of this database's; the client asks for it again",
	"export_file":          "as export_job",
	"export_chunk":         "as export_job",
	"mail":                 "mail that waits is news of a day, and is sent from where it was queued",
	"member":               "people are the installation's; who signs in there is a member there, by what its provider says",
	"member_role":          "as member; a role by name is granted anew there",
	"token_use":            "when a token was used here says nothing there",
	"session_actor":        "who is logged in logs in again: sessions are the installation's",
	"destination_proposal": "what waits for a second administrator, who is another person there, is proposed anew",
	"ehr_launch":           "a launch takes ten minutes, and is begun again",
	"launched":             "what a launched session shows goes with the session",
	"viewer_ticket":        "as launched",
	"image_opening":        "which images a session has shown already goes with the session; the audit log, which goes along, has it",
}

// NobodysTables have no tenant, and why.
var NobodysTables = map[string]string{
	"goose_db_version":      "which migrations the database has",
	"provider":              "identity providers are the installation's; those that the tenant's roles name must be there",
	"person":                "a person is the same at every tenant; their credentials as a reader are in reader",
	"session":               "of a person, not of a tenant",
	"installation_operator": "the operators of this installation are nobody's there",
	"replica":               "the servers that work on this database",
	"login":                 "nobody knows yet who is logging in",
}

// table is a table of tenants, as the catalogue has it.
type table struct {
	Name    string
	Columns []string
	Types   []string // of the columns
	Reader  string   // the role that may read all of its columns
	Writer  string   // the role that may insert into it
}

// tables are those that make up a tenant, those first that others refer to.
func tables(ctx context.Context, tx pgx.Tx) ([]table, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.relname AS name,
		       array_agg(a.attname::text ORDER BY a.attnum) AS columns,
		       array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types,
		       CASE WHEN has_table_privilege('overread_app', c.oid, 'SELECT') THEN 'overread_app'
		            WHEN has_table_privilege('overread_system', c.oid, 'SELECT') THEN 'overread_system' ELSE '' END AS reader,
		       CASE WHEN has_table_privilege('overread_app', c.oid, 'INSERT') THEN 'overread_app'
		            WHEN has_table_privilege('overread_system', c.oid, 'INSERT') THEN 'overread_system' ELSE '' END AS writer
		FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		GROUP BY c.oid, c.relname
		HAVING bool_or(a.attname = 'tenant_id')
		ORDER BY c.relname`)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[table])
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	all = slices.DeleteFunc(all, func(t table) bool { return LeftOut[t.Name] != "" })
	for _, t := range all {
		if t.Reader == "" || t.Writer == "" {
			return nil, fmt.Errorf("table %s: neither role of the server may read and insert all of its columns", t.Name)
		}
	}
	return inOrder(ctx, tx, all)
}

// inOrder puts tables behind those that their foreign keys lead to.
func inOrder(ctx context.Context, tx pgx.Tx, all []table) ([]table, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT r.relname, t.relname
		FROM pg_constraint f
		JOIN pg_class r ON r.oid = f.conrelid
		JOIN pg_class t ON t.oid = f.confrelid
		WHERE f.contype = 'f' AND f.conrelid <> f.confrelid`)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	needs := map[string][]string{}
	var from, to string
	if _, err := pgx.ForEachRow(rows, []any{&from, &to}, func() error {
		needs[from] = append(needs[from], to)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	var sorted []table
	placed := map[string]bool{}
	for len(sorted) < len(all) {
		before := len(sorted)
		for _, t := range all {
			waits := slices.ContainsFunc(needs[t.Name], func(other string) bool {
				return !placed[other] && slices.ContainsFunc(all, func(o table) bool { return o.Name == other })
			})
			if !placed[t.Name] && !waits {
				placed[t.Name] = true
				sorted = append(sorted, t)
			}
		}
		if len(sorted) == before {
			return nil, fmt.Errorf("the foreign keys of %d tables lead in a circle", len(all)-before)
		}
	}
	return sorted, nil
}

// as takes a role and the tenant within a transaction that goes over all of a
// tenant; its limits stay as they are. What a file holds is written in one way,
// whatever the login's settings.
func as(ctx context.Context, tx pgx.Tx, role string, tenant uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		SELECT set_config('role', $1, true), set_config('overread.tenant', $2, true), set_config('timezone', 'UTC', true),
		       set_config('datestyle', 'ISO, YMD', true), set_config('intervalstyle', 'iso_8601', true), set_config('bytea_output', 'hex', true)`,
		role, tenant.String())
	if err != nil {
		return fmt.Errorf("take role %s: %w", role, err)
	}
	return nil
}

// schemaVersion is the version of the schema of the database.
func schemaVersion(ctx context.Context, tx pgx.Tx) (version int64, err error) {
	err = tx.QueryRow(ctx, `SELECT overread_schema_version()`).Scan(&version)
	return version, err
}
