package fhir

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// startLibrary is a server with so many patients, two orders and an observation
// for each: enough that a search without an index is seen in its plan, and in
// the benchmarks.
func startLibrary(t testing.TB, patients int) *rest {
	t.Helper()
	r := startREST(t)
	owner, ctx := r.db.Owner(t), context.Background()
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := owner.Exec(ctx, sql, append([]any{r.tenant}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	space := func(typ, param string) keySpace { return keySpace{r.tenant, typ, param} }
	run(`INSERT INTO resource (tenant_id, type, id, version, last_updated, keys, body)
		SELECT $1, 'Patient', 'p' || i, 1, now() - i * interval '1 second', '{}',
		       convert_to(format('{"resourceType":"Patient","id":"p%s","meta":{"versionId":"1"},"name":[{"family":"Family%s"}],"birthDate":"%s"}', i, i, date '1930-01-01' + i % 30000), 'UTF8')
		FROM generate_series(1, $2) i`, patients)
	run(`INSERT INTO resource_string (tenant_id, type, id, param, folded, exact)
		SELECT $1, 'Patient', 'p' || i, param, 'family' || i, 'Family' || i FROM generate_series(1, $2) i, (VALUES ('family'), ('name')) p (param)`, patients)
	run(`INSERT INTO resource_sort (tenant_id, type, id, param, value, lowest, highest)
		SELECT $1, 'Patient', 'p' || i, 'family', 'family' || i, true, true FROM generate_series(1, $2) i`, patients)

	status := func(s string) []uuid.UUID {
		return codingKeys(space("ServiceRequest", "status"), "http://hl7.org/fhir/request-status", s)
	}
	run(`INSERT INTO resource (tenant_id, type, id, version, last_updated, keys, body)
		SELECT $1, 'ServiceRequest', 's' || i, 1, now() - i * interval '1 second', CASE i % 10 WHEN 0 THEN $3::uuid[] ELSE $4::uuid[] END,
		       convert_to(format('{"resourceType":"ServiceRequest","id":"s%s","meta":{"versionId":"1"},"status":"%s","intent":"order","subject":{"reference":"Patient/p%s"}}',
		           i, CASE i % 10 WHEN 0 THEN 'draft' ELSE 'active' END, (i + 1) / 2), 'UTF8')
		FROM generate_series(1, 2 * $2::integer) i`, patients, status("draft"), status("active"))
	run(`INSERT INTO resource_reference (tenant_id, type, id, param, target_type, target_id)
		SELECT $1, 'ServiceRequest', 's' || i, param, 'Patient', 'p' || (i + 1) / 2 FROM generate_series(1, 2 * $2::integer) i, (VALUES ('subject'), ('patient')) p (param)`, patients)
	run(`INSERT INTO resource_sort (tenant_id, type, id, param, value, lowest, highest)
		SELECT $1, 'ServiceRequest', 's' || i, 'authored', to_char(timestamp '2026-01-01' + (i * 7919 % 1000000) * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), true, true
		FROM generate_series(1, 2 * $2::integer) i WHERE i % 20 > 0`, patients)

	var codes []uuid.UUID
	for i := range 1000 {
		codes = append(codes, space("Observation", "code").key(formSystemCode, "http://loinc.org", fmt.Sprint(i)))
	}
	run(`INSERT INTO resource (tenant_id, type, id, version, last_updated, keys, body)
		SELECT $1, 'Observation', 'o' || i, 1, now() - i * interval '1 second', ARRAY[($3::uuid[])[1 + i % 1000]],
		       convert_to(format('{"resourceType":"Observation","id":"o%s","meta":{"versionId":"1"},"status":"final","subject":{"reference":"Patient/p%s"}}', i, i), 'UTF8')
		FROM generate_series(1, $2) i`, patients, codes)
	run(`INSERT INTO resource_reference (tenant_id, type, id, param, target_type, target_id)
		SELECT $1, 'Observation', 'o' || i, param, 'Patient', 'p' || i FROM generate_series(1, $2) i, (VALUES ('subject'), ('patient')) p (param)`, patients)
	run(`UPDATE resource SET indexed = ` + fmt.Sprint(indexVersion) + ` WHERE tenant_id = $1`)
	if _, err := owner.Exec(ctx, `VACUUM ANALYZE`); err != nil {
		t.Fatal(err)
	}
	return r
}

// plan is how PostgreSQL answers a search; lacking, its part for what has no
// value for the first key of its order.
func (r *rest) plan(role access.Role, address string, lacking bool) string {
	r.t.Helper()
	asked, err := url.Parse(address)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, actor := context.Background(), access.Actor{Tenant: r.tenant, Role: role}
	var lines []string
	err = r.db.Snapshot(ctx, r.tenant, func(tx pgx.Tx) error {
		a := &inquiry{path: asked.Path, queries: []*query{{row: r.server.resources[asked.Path], tenant: r.tenant}}}
		if err := r.server.understand(ctx, tx, actor, a, asked.Query(), false); err != nil {
			return err
		}
		sql, args := a.queries[0].statement(actor, a.by, a.after, a.count+1, lacking)
		rows, err := tx.Query(ctx, `EXPLAIN ANALYZE `+sql, args)
		if err != nil {
			return err
		}
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// librarySearches are those whose plans are looked at, and which are measured.
var librarySearches = []struct{ name, address, index string }{
	{"token", "ServiceRequest?status=draft", "resource_pkey"},
	{"token, rare", "Observation?code=http://loinc.org|7", "resource_keys"},
	{"token, sorted by date", "ServiceRequest?status=draft&_sort=-authored", "resource_sort_value"},
	{"all, sorted by name", "Patient?_sort=family", "resource_sort_value"},
	{"all, sorted by time", "Patient?_sort=-_lastUpdated", "resource_last_updated"},
	{"chain by name", "ServiceRequest?patient.family=family77", "resource_string_prefix"},
	{"_has", "Patient?_has:Observation:patient:code=http://loinc.org|7", "resource_keys"},
	{"two hops", "ServiceRequest?patient._has:Observation:patient:code=http://loinc.org|7", "resource_keys"},
	{"one with its orders", "Patient?_id=p77&_revinclude=ServiceRequest:patient", "resource_pkey"},
	{"50 with their patients", "ServiceRequest?status=active&_include=ServiceRequest:patient", "resource_pkey"},
}
