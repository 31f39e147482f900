package fhir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
)

// BenchmarkSearchAtScale measures what EHRs, worklists and auditors ask, over a
// private PostgreSQL with OVERREAD_BENCH_CASES cases (1,000 when it is not
// set) of five resources each:
//
//	make bench-search CASES=100000
//
// It prints a line for each question, in the form of docs/performance.md, and
// with OVERREAD_BENCH_PLANS=100ms the plans of the statements that took longer.
func BenchmarkSearchAtScale(b *testing.B) {
	cases := 1000
	if text := os.Getenv("OVERREAD_BENCH_CASES"); text != "" {
		var err error
		if cases, err = strconv.Atoi(text); err != nil || cases < 100 {
			b.Fatalf("OVERREAD_BENCH_CASES must be a number from 100: %q", text)
		}
	}
	w := startScale(b, cases)
	fmt.Printf("\n%d cases, %d resources, loaded in %s; the database has %s\n\n", cases, 5*cases, w.took.Round(time.Second), w.size)
	fmt.Printf("| question | matches on the page | p50 | p99 |\n|---|---|---|---|\n")
	for _, q := range scaleQuestions {
		b.Run(q.name, func(b *testing.B) { w.ask(b, q) })
	}
}

// scaleQuestion is one of them. Its path may differ from request to request:
// which asks about the i-th of the cases.
type scaleQuestion struct {
	name string
	path func(w *scaleWorld, i int) string
}

func asked(format string, parts ...func(w *scaleWorld, i int) any) func(w *scaleWorld, i int) string {
	return func(w *scaleWorld, i int) string {
		var values []any
		for _, part := range parts {
			values = append(values, part(w, i))
		}
		return fmt.Sprintf(format, values...)
	}
}

func theNumber(_ *scaleWorld, i int) any  { return i }
func thePatient(_ *scaleWorld, i int) any { return scaleID("Patient", i) }
func theFamily(_ *scaleWorld, i int) any  { return url.QueryEscape(scaleFamily(i)[:4]) }
func theMonth(w *scaleWorld, i int) any   { return scaleTime(w.cases, i).Format("2006-01") }
func theDay(w *scaleWorld, i int) any     { return scaleTime(w.cases, i).Format("2006-01-02") }

var scaleQuestions = []scaleQuestion{
	{"a read by id", asked("Patient/%s", thePatient)},
	{"an order by its number", asked("ServiceRequest?identifier=urn:order%%7C%d", theNumber)},
	{"a patient's active orders", asked("ServiceRequest?patient=Patient/%s&status=active", thePatient)},
	{"the reports of a patient, newest first", asked("DiagnosticReport?patient=Patient/%s&_sort=-issued", thePatient)},
	{"worklist: Tasks in a state, oldest first", asked("Task?business-status=ready&_sort=authored-on&_count=20")},
	{"worklist: Tasks in a state, by urgency", asked("Task?business-status=ready&_sort=priority,authored-on&_count=20")},
	{"orders of a day", asked("ServiceRequest?authored=%s&_count=50", theDay)},
	{"active orders of a month, newest first", asked("ServiceRequest?authored=%s&status=active&_sort=-authored&_count=50", theMonth)},
	{"patients by the beginning of a name", asked("Patient?family=%s&_count=20", theFamily)},
	{"chain: orders by the patient's number", asked("ServiceRequest?patient.identifier=urn:mrn%%7C%d", theNumber)},
	{"chain: active orders by the patient's name", asked("ServiceRequest?patient.family=%s&status=active&_count=20", theFamily)},
	{"_has: patients with an active order, by name", asked("Patient?family=%s&_has:ServiceRequest:patient:status=active&_count=20", theFamily)},
	{"_has: patients with an active order, newest first", asked("Patient?_has:ServiceRequest:patient:status=active&_count=20")},
	{"_include: reports with order, study and patient", asked("DiagnosticReport?status=final&_include=DiagnosticReport:based-on&_include=DiagnosticReport:imaging-study&_include=DiagnosticReport:patient&_count=20")},
	{"_revinclude: orders of a day with their Tasks", asked("ServiceRequest?authored=%s&_revinclude=Task:based-on&_count=20", theDay)},
	{"the first page of all Tasks", asked("Task?_count=50")},
	{"the 100th page of the final reports", (*scaleWorld).deepPage},
	{"_total=accurate of the active orders", asked("ServiceRequest?status=active&_count=20&_total=accurate")},
	{"_summary=count of all final reports", asked("DiagnosticReport?status=final&_summary=count")},
	{"changes since yesterday", asked("Task?_lastUpdated=gt%s&_count=50", func(w *scaleWorld, _ int) any {
		return scaleTime(w.cases, w.cases-1).Add(-24 * time.Hour).Format(time.RFC3339)
	})},
	{"Patient/$everything", asked("Patient/%s/$everything", thePatient)},
}

// scaleWorld is the server over all those cases.
type scaleWorld struct {
	*rest
	cases int
	took  time.Duration
	size  string
	deep  string
}

func startScale(b *testing.B, cases int) *scaleWorld {
	b.Helper()
	dir := scaleFolder(b)
	settings := []string{"shared_buffers=1GB", "effective_cache_size=4GB", "random_page_cost=1.1", "work_mem=16MB", "max_wal_size=8GB", "synchronous_commit=off"}
	plans := os.Getenv("OVERREAD_BENCH_PLANS")
	if plans != "" {
		settings = append(settings, "session_preload_libraries=auto_explain", "auto_explain.log_min_duration="+plans,
			"auto_explain.log_analyze=on", "auto_explain.log_buffers=on", "auto_explain.log_timing=off")
	}
	postgres, err := pg.StartPrivate(b.Context(), filepath.Join(dir, "pg"), io.Discard, settings...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := postgres.Stop(); err != nil {
			b.Error(err)
		}
		if log, err := os.ReadFile(filepath.Join(postgres.Dir(), "postgres.log")); err == nil && plans != "" {
			fmt.Printf("\n%s\n", log)
		}
	})
	target := postgres.URL(pg.PrivateDatabase)
	if _, err := pg.Migrate(context.Background(), target); err != nil {
		b.Fatal(err)
	}
	db, err := pg.Open(b.Context(), target)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	w := &scaleWorld{cases: cases, rest: &rest{t: b, db: &pgtest.Database{DB: db, URL: target}, tokens: map[access.Role]string{}}}
	owner := w.db.Owner(b)
	loaded := owner.QueryRow(b.Context(), `SELECT tenant_id FROM tenant WHERE name = 'north'`).Scan(&w.tenant) == nil
	if !loaded {
		w.tenant = pgtest.AddTenant(b, w.db, "north")
	}
	var actor access.Actor
	w.tokens[access.Placer], actor = pgtest.AddToken(b, w.db, w.tenant, access.Placer)
	e := echo.New()
	web := httptest.NewServer(e)
	b.Cleanup(web.Close)
	w.url = web.URL
	if w.server, err = New(Config{DB: db, BaseURL: web.URL + "/fhir", Log: slog.New(slog.DiscardHandler), Version: "bench"}); err != nil {
		b.Fatal(err)
	}
	w.server.Register(e)
	if began := time.Now(); !loaded {
		w.load(b, actor)
		w.took = time.Since(began)
	}
	if err := owner.QueryRow(b.Context(), `SELECT pg_size_pretty(pg_database_size(current_database()))`).Scan(&w.size); err != nil {
		b.Fatal(err)
	}
	return w
}

// scaleFolder is where the database is: a new folder, or that of
// OVERREAD_BENCH_DATA, in which what is loaded stays for the next time.
func scaleFolder(b *testing.B) string {
	b.Helper()
	dir := os.Getenv("OVERREAD_BENCH_DATA")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "overread-scale"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil { // as root, PostgreSQL is another user
		b.Fatal(err)
	}
	return dir
}

// deepPage walks 100 pages once, and then asks for the last of them.
func (w *scaleWorld) deepPage(int) string {
	if w.deep == "" {
		w.deep = "DiagnosticReport?status=final&_count=20"
		for range min(99, w.cases/40) {
			next := ""
			for _, link := range w.get("/fhir/" + w.deep).node.Each("link") {
				if link.Text("relation") == "next" {
					next = strings.TrimPrefix(link.Text("url"), w.url+"/fhir/")
				}
			}
			if next == "" {
				w.t.Fatal("there are fewer pages")
			}
			w.deep = next
		}
	}
	return w.deep
}

// Each question is asked as often as this, or for as long, whichever ends first.
const (
	scaleTimes    = 200
	scalePatience = 8 * time.Second
)

func (w *scaleWorld) ask(b *testing.B, q scaleQuestion) {
	if b.N > 1 {
		return // one round has measured all that is wanted
	}
	random := rand.New(rand.NewPCG(7, 7))
	q.path(w, 0) // what it has to prepare
	var took []time.Duration
	var matches int
	for deadline := time.Now().Add(scalePatience); len(took) < scaleTimes && (len(took) < 3 || time.Now().Before(deadline)); {
		path := q.path(w, random.IntN(w.cases))
		began := time.Now()
		got := w.get("/fhir/" + path)
		took = append(took, time.Since(began))
		if got.status != http.StatusOK {
			b.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		matches = max(matches, len(got.node.Each("entry")))
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	b.ReportMetric(p50.Seconds()*1000, "p50-ms")
	b.ReportMetric(p99.Seconds()*1000, "p99-ms")
	fmt.Printf("| %s | %d | %.1f ms | %.1f ms |\n", q.name, matches, p50.Seconds()*1000, p99.Seconds()*1000)
}

// scaleID is the id of the i-th resource of a type: as UUIDv7 are, it grows
// with time.
func scaleID(typ string, i int) string {
	var id uuid.UUID
	at := uint64(1_700_000_000_000) + uint64(i)*5 + uint64(slices.Index(scaleTypes, typ))
	for k := range 6 {
		id[k] = byte(at >> (8 * (5 - k)))
	}
	id[6], id[8] = 0x70, 0x80
	id[15], id[14], id[13] = byte(i), byte(i>>8), byte(i>>16)
	return id.String()
}

// The orders of three years, evenly.
func scaleTime(cases, i int) time.Time {
	begin := time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC)
	return begin.Add(time.Duration(float64(i) / float64(cases) * float64(3*365*24*time.Hour))).Truncate(time.Second)
}

var (
	scaleOnsets = []string{"Al", "Ber", "Cas", "Del", "Er", "Fal", "Gar", "Hol", "Iv", "Jan", "Kar", "Lin", "Mor", "Nor", "Ol", "Pet", "Ros", "San", "Tor", "Ul", "Var", "Wil", "Yan", "Zel"}
	scaleMiddle = []string{"ba", "da", "en", "go", "ha", "is", "ka", "le", "mi", "no", "or", "ra", "se", "ta", "vi"}
	scaleEnds   = []string{"berg", "dez", "feld", "gren", "holm", "kova", "land", "mann", "nen", "quist", "rossi", "sen", "son", "stein", "ström", "wicz"}
)

// scaleFamily is one of some 5,700 names.
func scaleFamily(i int) string {
	i *= 7919
	return scaleOnsets[i%len(scaleOnsets)] + scaleMiddle[i/31%len(scaleMiddle)] + scaleEnds[i/977%len(scaleEnds)]
}
