package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Row-level security keeps the planner from using an index with operators that
// are not leakproof, so searches go through a view (migration 5). Should it
// ever stop to work, searches would still find everything, in seconds instead
// of a millisecond.
func TestASearchOfATenantUsesTheIndexOfKeys(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	ctx := context.Background()
	owner := r.db.Owner(t)
	if _, err := owner.Exec(ctx, `
		INSERT INTO resource (tenant_id, type, id, version, last_updated, body, keys)
		SELECT $1, 'Patient', gen_random_uuid(), 1, now(), '{}', ARRAY[gen_random_uuid()]
		FROM generate_series(1, 5000)`, r.tenant); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, `ANALYZE resource`); err != nil {
		t.Fatal(err)
	}
	var plan []string
	err := r.db.Tenant(ctx, r.tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			EXPLAIN SELECT id
			FROM resource_search
			WHERE type = 'Patient' AND keys @> ARRAY['5f0c6d30-0000-0000-0000-000000000000']::uuid[]
			ORDER BY id DESC
			LIMIT 51`)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "resource_keys") {
		t.Errorf("the search reads the table:\n%s", text)
	}
}

// No search of a common shape reads a whole table, nor does its second page.
func TestSearchesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	r := startLibrary(t, 10_000)
	for _, s := range librarySearches {
		address := strings.ReplaceAll(s.address, "|", "%7C")
		addresses := []string{address}
		page := r.get("/fhir/" + address)
		if page.status != http.StatusOK || len(page.ids()) == 0 {
			t.Errorf("%s: %d %.300s", s.name, page.status, page.body)
		}
		if next := page.link("next"); next != "" {
			addresses = append(addresses, strings.TrimPrefix(next, r.url+"/fhir/"))
		}
		for page, address := range addresses {
			for _, role := range []access.Role{access.Placer, access.Reader} {
				plan := r.plan(role, address, false)
				if page == 0 && !strings.Contains(plan, s.index) || strings.Contains(plan, "Seq Scan on resource ") {
					t.Errorf("%s as %s: %s\n%s", s.name, role, address, plan)
				}
			}
		}
	}
}
