package fhir

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/overread/overread/internal/access"
)

var scaleTypes = []string{"Patient", "ServiceRequest", "Task", "ImagingStudy", "DiagnosticReport"}

// load fills the database by COPY, with what the server would have written: the
// bodies and their rows in the index are made by its own code. The indexes are
// built when all is there.
func (w *scaleWorld) load(b *testing.B, actor access.Actor) {
	b.Helper()
	ctx := b.Context()
	owner := w.db.Owner(b)
	tables := append([]string{"resource"}, indexTables...)
	indexes := secondaryIndexes(b, owner, tables)
	for name := range indexes {
		if _, err := owner.Exec(ctx, `DROP INDEX `+name); err != nil {
			b.Fatal(err)
		}
	}
	const chunk = 2000
	var next atomic.Int64
	var all sync.WaitGroup
	for range 2 {
		conn := w.db.Owner(b)
		all.Go(func() {
			for {
				from := int(next.Add(chunk)) - chunk
				if from >= w.cases {
					return
				}
				if err := w.copyCases(ctx, conn, actor, from, min(from+chunk, w.cases)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
	for _, sql := range append([]string{`SET maintenance_work_mem = '1GB'`, `SET max_parallel_maintenance_workers = 2`}, valuesOf(indexes)...) {
		if _, err := owner.Exec(ctx, sql); err != nil {
			b.Fatal(err)
		}
	}
	for _, table := range tables {
		if _, err := owner.Exec(ctx, `VACUUM ANALYZE `+table); err != nil {
			b.Fatal(err)
		}
	}
}

func valuesOf(m map[string]string) (values []string) {
	for _, v := range m {
		values = append(values, v)
	}
	slices.Sort(values)
	return values
}

// secondaryIndexes are the definitions of all indexes but those of keys.
func secondaryIndexes(b *testing.B, owner *pgx.Conn, tables []string) map[string]string {
	b.Helper()
	rows, err := owner.Query(b.Context(), `
		SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
		FROM pg_index i
		WHERE i.indrelid = ANY ($1::text[]::regclass[]) AND NOT i.indisunique`, tables)
	if err != nil {
		b.Fatal(err)
	}
	found := map[string]string{}
	var name, definition string
	if _, err := pgx.ForEachRow(rows, []any{&name, &definition}, func() error { found[name] = definition; return nil }); err != nil {
		b.Fatal(err)
	}
	return found
}

// copyColumns are the columns of each table and the arguments of index.args
// that fill them; the first three of an index table are its owner's.
var copyColumns = map[string][2][]string{
	"resource":           {{"tenant_id", "type", "id", "version", "last_updated", "body", "keys", "indexed"}, nil},
	"resource_date":      {{"tenant_id", "type", "id", "param", "low", "high"}, {"date_params", "lows", "highs"}},
	"resource_string":    {{"tenant_id", "type", "id", "param", "folded", "exact"}, {"text_params", "folded", "exact"}},
	"resource_reference": {{"tenant_id", "type", "id", "param", "target_type", "target_id"}, {"reference_params", "target_types", "target_ids"}},
	"resource_sort":      {{"tenant_id", "type", "id", "param", "value", "lowest", "highest"}, {"sort_params", "sort_values", "lowests", "highests"}},
}

func (w *scaleWorld) copyCases(ctx context.Context, conn *pgx.Conn, actor access.Actor, from, to int) error {
	rows := map[string][][]any{}
	tenant := pgtype.UUID{Bytes: actor.Tenant, Valid: true}
	for i := from; i < to; i++ {
		for _, n := range w.scaleCase(i) {
			r := Stored{Type: n.Type(), ID: n.Text("id"), Version: 1, LastUpdated: scaleTime(w.cases, i), Body: n.Bytes()}
			args := indexOf(actor.Tenant, w.server.resources[n.Type()], n).args(r, actor)
			rows["resource"] = append(rows["resource"], []any{tenant, r.Type, r.ID, r.Version, r.LastUpdated, r.Body, encoded(args["keys"].([]uuid.UUID)), args["indexed"]})
			if len(args["quantity_params"].([]string)) > 0 {
				return fmt.Errorf("%s has quantities, which are not loaded", r.Type)
			}
			for table, columns := range copyColumns {
				if columns[1] == nil {
					continue
				}
				for k := range lengthOf(args[columns[1][0]]) {
					row := []any{tenant, r.Type, r.ID}
					for _, name := range columns[1] {
						row = append(row, elementOf(args[name], k))
					}
					rows[table] = append(rows[table], row)
				}
			}
		}
	}
	for table, columns := range copyColumns {
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{table}, columns[0], pgx.CopyFromRows(rows[table])); err != nil {
			return fmt.Errorf("copy into %s: %w", table, err)
		}
	}
	return nil
}

// encoded are UUIDs in the form that pgx copies fastest.
func encoded(ids []uuid.UUID) []pgtype.UUID {
	all := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		all[i] = pgtype.UUID{Bytes: id, Valid: true}
	}
	return all
}

// scaleCase are the resources of a case. One in ten is under way.
func (w *scaleWorld) scaleCase(i int) []*Node {
	at := scaleTime(w.cases, i)
	open := i%10 == 0
	pick := func(closed string, opened ...string) string {
		if open {
			return opened[i/10%len(opened)]
		}
		return closed
	}
	ref := func(typ string) *Node { return Object("reference", typ+"/"+scaleID(typ, i)) }
	id := func(system string) []*Node { return []*Node{Object("system", system, "value", fmt.Sprint(i))} }
	head := func(typ string) *Node {
		return Object("resourceType", typ, "id", scaleID(typ, i), "meta", Object("versionId", "1", "lastUpdated", instant(at)))
	}
	with := func(n *Node, members ...any) *Node {
		for k := 0; k+1 < len(members); k += 2 {
			n.Set(members[k].(string), members[k+1])
		}
		return n
	}
	code := []*Node{coding(loinc, []string{"24627-2", "36643-5", "30794-2", "24558-9"}[i%4], "")}
	return []*Node{
		with(head("Patient"), "identifier", id("urn:mrn"), "name", []*Node{Object("family", scaleFamily(i), "given", []string{scaleMiddle[i%15] + "na"})},
			"gender", []string{"female", "male"}[i%2], "birthDate", time.Date(1930+i%90, time.Month(1+i%12), 1+i%28, 0, 0, 0, 0, time.UTC).Format("2006-01-02")),
		with(head("ServiceRequest"), "identifier", id("urn:order"), "status", pick("completed", "active"), "intent", "order",
			"priority", pick("routine", "routine", "urgent", "stat"), "code", Object("coding", code), "subject", ref("Patient"), "authoredOn", instant(at)),
		with(head("Task"), "identifier", id("urn:task"), "basedOn", []*Node{ref("ServiceRequest")}, "status", pick("completed", "requested", "ready", "in-progress"),
			"businessStatus", Object("coding", []*Node{coding(csCaseState, pick("closed", "received", "ready", "offered", "accepted", "reading", "locked", "comparing"), "")}),
			"intent", "order", "priority", pick("routine", "routine", "urgent", "stat"), "focus", ref("ServiceRequest"), "for", ref("Patient"),
			"authoredOn", instant(at), "lastModified", instant(at.Add(time.Hour))),
		with(head("ImagingStudy"), "identifier", []*Node{Object("system", studyUIDSystem, "value", fmt.Sprintf("urn:oid:2.25.%d", i))}, "status", "available",
			"subject", ref("Patient"), "started", instant(at.Add(-24*time.Hour)), "basedOn", []*Node{ref("ServiceRequest")},
			"numberOfSeries", 1, "series", []*Node{Object("uid", fmt.Sprintf("2.25.%d.1", i), "modality", coding(dicom, []string{"CT", "MR", "DX", "MG"}[i%4], ""))}),
		with(head("DiagnosticReport"), "identifier", id("urn:report"), "basedOn", []*Node{ref("ServiceRequest")}, "status", pick("final", "preliminary"),
			"category", []*Node{Object("coding", []*Node{coding(v2Diagnostic, "RAD", "")})}, "code", Object("coding", code), "subject", ref("Patient"),
			"effectiveDateTime", instant(at), "issued", instant(at.Add(2*time.Hour)), "imagingStudy", []*Node{ref("ImagingStudy")},
			"conclusion", strings.Repeat("No acute finding. ", 1+i%4)),
	}
}

// A column of index.args is a slice of its type.
func lengthOf(column any) int { return reflect.ValueOf(column).Len() }

func elementOf(column any, k int) any { return reflect.ValueOf(column).Index(k).Interface() }
