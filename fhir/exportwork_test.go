package fhir

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// What is exported is what was so at transactionTime, whatever is written while
// the export runs.
func TestAnExportIsOfOneMoment(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	before := map[string]string{}
	for _, name := range []string{"Patient/" + id["patient"], "ServiceRequest/" + id["order"], "Condition/" + id["condition"], "Task/" + id["task"]} {
		before[name] = r.get("/fhir/" + name).body
	}
	status := r.startExport(access.Placer, "/fhir/Patient/$export")
	order := `{"resourceType":"ServiceRequest","id":"` + id["order"] + `","status":"revoked","intent":"order","subject":{"reference":"Patient/` + id["stranger"] + `"}}`
	for step := range 3 { // some of it before the first batch, some between the batches
		if got := r.put("/fhir/ServiceRequest/"+id["order"], order); got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		r.delete("Condition", id["condition"])
		r.mustCreate("ServiceRequest", orderJSON("Patient/"+id["patient"]))
		if _, err := r.server.ExportTick(context.Background()); err != nil {
			t.Fatal(step, err)
		}
	}
	r.work()
	lines := r.lines(access.Placer, r.manifest(access.Placer, status).Output)
	for name, body := range before {
		if lines[name] != body {
			t.Errorf("%s is exported as %q", name, lines[name])
		}
	}
	if len(lines) != 7 {
		t.Errorf("%v", names(lines))
	}
}

// delete marks a resource as deleted, once.
func (r *rest) delete(typ, id string) {
	r.t.Helper()
	_, err := r.db.Owner(r.t).Exec(context.Background(), `
		WITH old AS (
			INSERT INTO resource_history (tenant_id, type, id, version, last_updated, deleted, body, xid)
			SELECT tenant_id, type, id, version, last_updated, deleted, body, xid FROM resource WHERE type = $1 AND id = $2 AND NOT deleted
			RETURNING type, id
		)
		UPDATE resource r SET version = version + 1, last_updated = now(), deleted = true, body = NULL, xid = pg_current_xact_id()
		FROM old WHERE r.type = old.type AND r.id = old.id`, typ, id)
	if err != nil {
		r.t.Fatal(err)
	}
}

// A transaction that wrote before the moment of an export, and is not over yet,
// is waited for: else the next export with _since would lack what it wrote.
func TestAnExportWaitsForWhatWasBeingWritten(t *testing.T) {
	t.Parallel()
	r, _ := filled(t)
	ctx := context.Background()
	tx, err := r.db.Owner(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO resource (tenant_id, type, id, version, last_updated, body)
		VALUES ($1, 'Patient', 'late', 1, $2, '{"resourceType":"Patient","id":"late"}')`, r.tenant, time.Now().UTC().Truncate(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	status := r.startExport(access.Placer, "/fhir/$export?_type=Patient")
	for range 3 {
		if worked, err := r.server.ExportTick(ctx); worked != 0 || err != nil {
			t.Fatalf("%d batches before it may begin (%v)", worked, err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	r.work()
	if got := names(r.lines(access.Placer, r.manifest(access.Placer, status).Output)); !slices.Contains(got, "Patient/late") {
		t.Errorf("lost: %v", got)
	}
}

func TestAnExportSinceAMomentHasWhatChangedAndWhatWasDeleted(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	first := r.startExport(access.Placer, "/fhir/$export")
	r.work()
	since := r.manifest(access.Placer, first).TransactionTime
	created := r.mustCreate("Patient", patientJSON("new"))
	r.delete("Condition", id["condition"])
	second := r.startExport(access.Placer, "/fhir/$export?_since="+since)
	r.work()
	m := r.manifest(access.Placer, second)
	if diff := cmp.Diff([]string{"Patient/" + created}, names(r.lines(access.Placer, m.Output))); diff != "" {
		t.Error(diff)
	}
	want := map[string]string{"Bundle/": `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Condition/` + id["condition"] + `"}}]}`}
	if diff := cmp.Diff(want, r.lines(access.Placer, m.Deleted)); diff != "" {
		t.Error(diff)
	}
}

// Two workers, and one that dies in every other batch, make each file once and
// whole; and large exports have several files.
func TestTwoWorkersAndOneThatDiesWriteEveryResourceOnce(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	const patients = 10_300
	_, err := r.db.Owner(t).Exec(context.Background(), `
		INSERT INTO resource (tenant_id, type, id, version, last_updated, body, indexed)
		SELECT $1, 'Patient', 'p' || n, 1, now() - interval '1 hour', convert_to('{"resourceType":"Patient","id":"p' || n || '"}', 'UTF8'), $3
		FROM generate_series(1, $2::int) AS n`, r.tenant, patients, indexVersion)
	if err != nil {
		t.Fatal(err)
	}
	statuses := []string{r.startExport(access.Placer, "/fhir/$export"), r.startExport(access.Placer, "/fhir/Patient/$export")}
	var group sync.WaitGroup
	var died atomic.Int64
	for worker := range 3 {
		group.Go(func() {
			for r.running() {
				ctx, cancel := context.Background(), func() {}
				if worker == 2 { // it goes in the middle of a batch
					ctx, cancel = context.WithTimeout(ctx, time.Duration(1+died.Load()%8)*time.Millisecond)
				}
				_, err := r.server.ExportTick(ctx)
				cancel()
				switch {
				case err != nil && worker == 2:
					died.Add(1)
				case err != nil:
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if died.Load() == 0 {
		t.Error("no worker died")
	}
	for _, status := range statuses {
		m := r.manifest(access.Placer, status)
		if len(m.Output) != 2 || m.Output[0].Count != 10_000 {
			t.Errorf("%+v", m.Output)
		}
		if got := len(r.lines(access.Placer, m.Output)); got != patients {
			t.Errorf("%d patients", got)
		}
	}
}

// A batch that fails leaves nothing behind, is tried again, and is given up in
// the end.
func TestAnExportWhoseBatchFailsIsTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	r, _ := filled(t)
	owner, ctx := r.db.Owner(t), context.Background()
	run := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	status := r.startExport(access.Placer, "/fhir/$export")
	run(`ALTER TABLE export_chunk ADD CONSTRAINT broken CHECK (octet_length(body) = 0) NOT VALID`)
	later := func() { run(`UPDATE export_job SET worked_at = now() - interval '1 hour'`) }
	fail := func() {
		t.Helper()
		for r.running() { // until it may begin and meets what has content
			if _, err := r.server.ExportTick(ctx); err != nil {
				return
			}
		}
		t.Fatal("no batch fails")
	}
	fail()
	later()
	fail()
	if worked, err := r.server.ExportTick(ctx); err != nil || worked != 0 {
		t.Errorf("it is tried again at once (%v)", err)
	}
	later()
	run(`ALTER TABLE export_chunk DROP CONSTRAINT broken`)
	r.work()
	if got := len(r.lines(access.Placer, r.manifest(access.Placer, status).Output)); got != 11 {
		t.Errorf("%d resources after two failures", got)
	}
	status = r.startExport(access.Placer, "/fhir/$export")
	run(`ALTER TABLE export_chunk ADD CONSTRAINT broken CHECK (octet_length(body) = 0) NOT VALID`)
	for range exportPatience {
		fail()
		later()
	}
	got := r.get(status)
	if got.status != http.StatusInternalServerError || got.node.Type() != "OperationOutcome" {
		t.Errorf("given up: %d %s", got.status, got.body)
	}
	if strings.Contains(got.body, "broken") || strings.Contains(got.body, "constraint") {
		t.Errorf("the client sees why: %s", got.body)
	}
}

// BenchmarkExport exports 10,000 patients, each with the order, study and report
// of a chest X-ray. It is done in a loop like the job's, and reports the most
// memory that the heap had meanwhile.
func BenchmarkExport(b *testing.B) {
	r := startREST(b)
	const patients = 10_000
	for _, e := range chestXray(b, "1") {
		n := e.Get("resource")
		typ := n.Type()
		if typ != "Patient" && typ != "ServiceRequest" && typ != "ImagingStudy" && typ != "DiagnosticReport" {
			continue
		}
		n.Set("id", "@id")
		_, err := r.db.Owner(b).Exec(context.Background(), `
			WITH stored AS (
				INSERT INTO resource (tenant_id, type, id, version, last_updated, body, indexed)
				SELECT $1, $2, 'p' || n, 1, now() - interval '1 hour', convert_to(replace($3, '@id', 'p' || n), 'UTF8'), $5
				FROM generate_series(1, $4::int) AS n
				RETURNING tenant_id, type, id
			)
			INSERT INTO resource_reference (tenant_id, type, id, param, target_type, target_id)
			SELECT tenant_id, type, id, param, 'Patient', id
			FROM stored, unnest(ARRAY['subject', 'patient']) AS param
			WHERE type <> 'Patient'`, r.tenant, typ, n.jsonText(), patients, indexVersion)
		if err != nil {
			b.Fatal(err)
		}
	}
	if _, err := r.db.Owner(b).Exec(context.Background(), `ANALYZE resource, resource_reference`); err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{"/fhir/$export", "/fhir/Patient/$export"} {
		b.Run(path, func(b *testing.B) {
			var peak uint64
			var bytes int64
			for b.Loop() {
				status := r.startExport(access.Director, path)
				for r.running() {
					if _, err := r.server.ExportTick(context.Background()); err != nil {
						b.Fatal(err)
					}
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					peak = max(peak, m.HeapInuse)
				}
				if got := r.do(access.Director, "GET", status, ""); got.status != http.StatusOK {
					b.Fatal(got.body)
				}
				if err := r.db.Owner(b).QueryRow(context.Background(), `SELECT sum(bytes) FROM export_file`).Scan(&bytes); err != nil {
					b.Fatal(err)
				}
				r.t = b
				r.do(access.Director, "DELETE", status, "")
				for worked := 1; worked > 0; {
					var err error
					if worked, err = r.server.ExpireExports(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(4*patients*float64(b.N)/b.Elapsed().Seconds(), "resources/s")
			b.ReportMetric(float64(bytes)/1e6, "MB/export")
			b.ReportMetric(float64(peak)/1e6, "heap-MB")
		})
	}
}
