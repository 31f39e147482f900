package fhir

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// kindsOfSearch is a search of each kind among the Observations of fill, and the
// index that must answer it.
var kindsOfSearch = []struct{ name, query, index string }{
	{"token", "code=http://loinc.org%7C29463-77", "resource_keys"},
	{"token_any_system", "code=29463-77", "resource_keys"},
	{"reference", "subject=Patient/p77", "resource_keys"},
	{"identifier", "identifier=urn:lab%7C77", "resource_keys"},
	{"date_day", "date=2020-03-18", "resource_date_range"},
	{"date_after", "date=gt2017-10", "resource_date_until"},
	{"date_from", "date=ge2017-11", "resource_date_until"},
	{"date_before", "date=lt2000-01-03", "resource_date_range"},
	{"string_start", "value-string=nodule%2077", "resource_string_prefix"},
	{"string_exact", "value-string:exact=Nodule%2077%20in%20lobe%201", "resource_string_prefix"},
	{"quantity", "value-quantity=77.5", "resource_quantity_range"},
	{"quantity_below", "value-quantity=lt3%7C%7Cmm", "resource_quantity_"},
	{"composite", "code-value-quantity=29463-77%24lt10000", "resource_quantity_range"},
	{"composite_of_tokens", "code-value-concept=29463-77%24yes", "resource_keys"},
	{"uri_below", "_source:below=http://lab.example/77/", "resource_string_prefix"},
	{"several", "code=29463-77&date=gt2001&value-quantity=lt10000", "resource_keys"},
	{"last_updated", "_lastUpdated=gt2090", "resource_last_updated"},
}

// fill stores n Observations, as the store would, in a few statements.
func (r *rest) fill(n int) {
	r.t.Helper()
	ctx := context.Background()
	actor := access.Actor{Tenant: r.tenant}
	err := r.db.Tenant(ctx, r.tenant, func(tx pgx.Tx) error {
		for from := 0; from < n; from += 500 {
			batch := &pgx.Batch{}
			for i := from; i < min(from+500, n); i++ {
				o := observation(i)
				args := indexOf(actor.Tenant, r.server.resources[o.Type()], o).args(r.server.store.stamp(o, Stored{}), actor)
				batch.Queue(`
					WITH created AS (
						INSERT INTO resource (tenant_id, type, id, version, last_updated, body, keys, indexed)
						VALUES (@tenant, @type, @id, 1, @last_updated, @body, @keys, @indexed)
						RETURNING tenant_id, type, id
					)`+indexRows("created")+`
					SELECT 1 FROM created`, args)
			}
			if err := tx.SendBatch(ctx, batch).Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.db.Owner(r.t).Exec(ctx, `VACUUM ANALYZE`); err != nil {
		r.t.Fatal(err)
	}
}

// observation is the i-th of many: each value of a kind is found a few times.
func observation(i int) *Node {
	value := fmt.Sprintf(`"valueQuantity":{"value":%d.5,"unit":"mm"}`, i)
	switch i % 3 {
	case 1:
		value = fmt.Sprintf(`"valueString":"Nodule %d in lobe %d"`, i, i%5)
	case 2:
		value = `"valueCodeableConcept":{"coding":[{"code":"yes"}]}`
	}
	n, err := Parse([]byte(fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"final","meta":{"source":"http://lab.example/%d/1"},
		"identifier":[{"system":"urn:lab","value":"%d"}],"subject":{"reference":"Patient/p%d"},
		"code":{"coding":[{"system":"http://loinc.org","code":"29463-%d","display":"Diameter"}]},
		"effectiveDateTime":"%04d-%02d-%02d",%s}`,
		uuid.Must(uuid.NewV7()), i, i, i/7, i/11, 2000+i/336%47, 1+i/28%12, 1+i%28, value)), Limits{})
	if err != nil {
		panic(err)
	}
	return n
}

// Of each kind there is an index, and the planner takes it.
func TestASearchOfEachKindUsesItsIndex(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.fill(6000)
	ctx := context.Background()
	row := r.server.resources["Observation"]
	for _, kind := range kindsOfSearch {
		asked, err := url.ParseQuery(kind.query)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		err = r.db.Tenant(ctx, r.tenant, func(tx pgx.Tx) error {
			q, err := r.server.parseQuery(ctx, tx, r.tenant, row, asked, false)
			if err != nil {
				return err
			}
			sql, args := q.statement(access.Actor{Tenant: r.tenant, Role: access.Placer}, newestFirst, nil, 51, false)
			rows, err := tx.Query(ctx, `EXPLAIN `+sql, args)
			if err != nil {
				return err
			}
			plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", kind.name, err)
		}
		if text := strings.Join(plan, "\n"); !strings.Contains(text, kind.index) {
			t.Errorf("%s does not use %s:\n%s", kind.name, kind.index, text)
		}
	}
}

// A search of each kind among 10,000 Observations:
//
//	go test ./fhir -run xxx -bench SearchOfEachKind -cpu 2
func BenchmarkSearchOfEachKind(b *testing.B) {
	r := startREST(b)
	r.fill(10_000)
	for _, kind := range kindsOfSearch {
		b.Run(kind.name, func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r.expect(http.StatusOK, r.get("/fhir/Observation?_count=20&"+kind.query))
				}
			})
		})
	}
}
