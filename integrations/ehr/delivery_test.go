package ehr_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/integrations/ehr"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/standin"
	"github.com/overread/overread/workflow"
)

// The whole way: the outbox in PostgreSQL, the courier, the client, and a
// stand-in EHR behind real HTTP that falls ill in every way it knows.

func TestAnEHRThatIsDownGetsTheReportWhenItIsBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{Journal: filepath.Join(t.TempDir(), "journal")})
	h.queue(h.newCase(), 1)
	h.stop()
	h.tick(1)
	h.wantAttempts("1 retry unreachable")
	h.restart()
	h.tick(0) // not yet due
	h.passTime()
	h.tick(1)
	h.wantAttempts("1 retry unreachable", "2 delivered 200 acknowledged")
	h.wantReports(1, 1)
}

func TestAConnectionCutAfterTheWriteLeavesOneReportAndTwoAttempts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	h.queue(h.newCase(), 1)
	h.ehr.Order(standin.Fault{Mode: "cut-after", Times: 1})
	h.tick(1)
	h.wantReports(1, 1) // it is there, and we do not know
	h.passTime()
	h.tick(1)
	h.wantReports(1, 1)
	h.wantAttempts("1 retry connection-cut", "2 delivered 200 acknowledged")
}

func TestEachIllnessIsOutlastedAndLeavesOneReport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault standin.Fault
		first string
	}{
		"500":          {standin.Fault{Mode: "status", Status: 500}, "1 retry 500 server-error"},
		"503":          {standin.Fault{Mode: "status", Status: 503}, "1 retry 503 unavailable"},
		"401":          {standin.Fault{Mode: "status", Status: 401}, "1 retry 401 token-refused"},
		"409":          {standin.Fault{Mode: "status", Status: 409}, "1 retry 409 conflict"},
		"cut before":   {standin.Fault{Mode: "cut-before"}, "1 retry connection-cut"},
		"a login page": {standin.Fault{Mode: "rubbish"}, "1 retry 200 answer-not-understood"},
		"too slow":     {standin.Fault{Mode: "slow", DelayMS: 600}, "1 retry timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, standin.Options{})
			h.exec(`UPDATE destination SET timeout_ms = 300`)
			h.queue(h.newCase(), 1)
			c.fault.Times = 1
			h.ehr.Order(c.fault)
			h.tick(1)
			h.exec(`UPDATE destination SET timeout_ms = 10000`)
			h.passTime()
			h.tick(1)
			h.wantAttempts(c.first, "2 delivered 200 acknowledged")
			h.wantReports(1, 1)
		})
	}
}

func TestARateLimitPausesTheDestinationAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	h.exec(`UPDATE destination SET in_flight_max = 1`)
	h.queue(h.newCase(), 1)
	h.queue(h.newCase(), 1)
	h.ehr.Order(standin.Fault{Mode: "rate-limit", RetryAfter: 40, Times: 1})
	h.tick(1)
	h.tick(0)
	wait, err := pgx.CollectOneRow(h.query(`SELECT breaker_until - now() FROM destination`), pgx.RowTo[time.Duration])
	if err != nil || wait < 30*time.Second || wait > 40*time.Second {
		t.Errorf("paused for %v, %v", wait, err)
	}
	h.passTime()
	h.tick(2)
	h.wantReports(2, 1)
}

func TestAReportThatTheEHRRefusesParksOnlyItsOwnCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	poison := h.newCase()
	h.queue(poison, 1)
	h.queue(poison, 2)
	for range 5 {
		h.queue(h.newCase(), 1)
	}
	h.ehr.Order(standin.Fault{Mode: "status", Status: 422, Contains: poison.String()})
	h.tick(6)
	h.wantReports(5, 1)
	h.wantStates(map[string]int{"done": 5, "parked": 1, "queued": 1})

	h.ehr.Heal() // somebody mends the EHR, and then asks again
	err := h.db.Tenant(t.Context(), h.tenant, func(tx pgx.Tx) error {
		_, err := workflow.UnparkTx(t.Context(), tx, poison)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.tick(2)
	h.wantStates(map[string]int{"done": 7})
}

func TestTheVersionsOfACaseArriveInTheirOrderThroughEveryFault(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	var cases []uuid.UUID
	for range 6 {
		c := h.newCase()
		cases = append(cases, c)
		for no := 1; no <= 3; no++ {
			h.queue(c, no)
		}
	}
	for i, mode := range []string{"cut-after", "cut-before", "status", "rubbish", "cut-after", "rate-limit"} {
		h.ehr.Order(standin.Fault{Mode: mode, Status: 500, Times: 2, Contains: cases[i].String()})
	}
	h.until(func() bool { return h.open() == 0 }, h.courier(), h.courier())

	h.wantReports(6, 3)
	for _, w := range h.ehr.Log().Writes {
		if w.Type != "DiagnosticReport" {
			continue
		}
		if no := h.versionSent(w.ID, w.Version); no != w.Version {
			t.Errorf("version %d of report %s is our version %d", w.Version, w.ID, no)
		}
	}
}

func TestASickEHRDoesNotDelayAnother(t *testing.T) {
	t.Parallel()
	sick, well := newHouse(t, standin.Options{}), (*house)(nil)
	well = sick.neighbour(standin.Options{})
	for range 40 {
		sick.queue(sick.newCase(), 1)
		well.queue(well.newCase(), 1)
	}
	sick.ehr.Order(standin.Fault{Mode: "slow", DelayMS: 2000})
	ctx, stop := context.WithCancel(t.Context())
	var courier sync.WaitGroup
	courier.Go(func() { sick.courier().Run(ctx) })
	well.poll(func() bool { return len(well.reports()) == 40 })
	if got := len(sick.reports()); got > 10 {
		t.Errorf("the slow EHR has %d reports already: it was not slow", got)
	}
	sick.ehr.Heal()
	sick.poll(func() bool { return sick.open() == 0 })
	stop()
	courier.Wait()
	if peak := sick.ehr.Log().PeakInFlight; peak > 2 {
		t.Errorf("%d requests were under way to an EHR that bears 2", peak)
	}
	sick.wantReports(40, 1)
}

func TestACourierThatIsKilledBetweenSendingAndRecordingLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	h.queue(h.newCase(), 1)
	own, err := pg.Open(t.Context(), h.db.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := ehr.New("test", outbound.Loopback(), time.Now)
	killed := workflow.NewCourier(own, func(ctx context.Context, p workflow.Parcel) workflow.Receipt {
		defer own.Close()
		return client.Send(ctx, p)
	}, time.Now, slog.New(slog.DiscardHandler))
	if _, err := killed.Tick(t.Context()); err == nil {
		t.Error("it recorded without a database")
	}
	h.tick(0)
	h.exec(`UPDATE delivery SET lease_until = now() - interval '1 second'`)
	h.tick(1)
	h.wantReports(1, 1)
	h.wantAttempts("1 released lease-expired", "2 delivered 200 acknowledged")
}

func TestAnEHRThatIsDownIsLeftInPeaceAndProbed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	h.exec(`UPDATE destination SET in_flight_max = 1`)
	for range 20 {
		h.queue(h.newCase(), 1)
	}
	h.ehr.Order(standin.Fault{Mode: "down"})
	h.tick(5)
	h.passTime()
	h.tick(1)
	h.ehr.Heal()
	h.passTime()
	h.tick(20)
	h.wantReports(20, 1)
	if got := h.ehr.Log().Requests; got != 26 {
		t.Errorf("%d requests, want 26", got)
	}
}

func TestATokenThatIsRenewedIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{Token: "right"})
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong")
	h.exec(`UPDATE destination SET token_file = $1`, file)
	h.queue(h.newCase(), 1)
	h.tick(1)
	write("right")
	h.passTime()
	h.tick(1)
	h.wantAttempts("1 retry 401 token-refused", "2 delivered 200 acknowledged")
}

func TestAReportByItselfIsPutByItsIdentifier(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	h.exec(`UPDATE destination SET packaging = 'report'`)
	c := h.newCase()
	path := "DiagnosticReport?identifier=urn:overread%7C" + c.String()
	for no := 1; no <= 2; no++ {
		h.queueBody(c, no, "PUT", path, report(c, no))
	}
	h.ehr.Order(standin.Fault{Mode: "cut-after", Times: 1})
	h.tick(1)
	h.passTime()
	h.tick(2)
	h.wantReports(1, 2)
	location, err := pgx.CollectRows(h.query(`SELECT location FROM delivery ORDER BY report_no`), pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"DiagnosticReport/10001/_history/1", "DiagnosticReport/10001/_history/2"}
	if diff := cmp.Diff(want, location); diff != "" {
		t.Errorf("locations (-want +got):\n%s", diff)
	}
}

func TestNothingThatTheEHRWritesIsLoggedOrKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	const name = "Krankenhaus-Patientin"
	gossip := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://ehr/fhir/DiagnosticReport/"+name+"?"+name)
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"issue":[{"diagnostics":"` + name + `"}]}`))
	})
	base := h.serve(gossip)
	h.exec(`UPDATE destination SET base_url = $1`, base)
	h.queue(h.newCase(), 1)
	var log bytes.Buffer
	courier := workflow.NewCourier(h.db.DB, ehr.New("test", outbound.Loopback(), time.Now).Send, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
	if _, err := courier.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := pgx.CollectOneRow(h.query(`SELECT a::text || d.location FROM delivery_attempt a, delivery d`), pgx.RowTo[*string])
	if err != nil {
		t.Fatal(err)
	}
	if log.Len() == 0 || strings.Contains(log.String(), name) || kept != nil && strings.Contains(*kept, name) {
		t.Errorf("log: %s", log.String())
	}
}

// house is one tenant with one EHR and a database that it may share.
type house struct {
	t      testing.TB
	db     *pgtest.Database
	owner  *pgx.Conn
	tenant uuid.UUID
	opts   standin.Options
	ehr    *standin.EHR
	addr   string
	server *http.Server
}

func newHouse(t testing.TB, opts standin.Options) *house {
	t.Helper()
	db := pgtest.New(t)
	h := &house{t: t, db: db, owner: db.Owner(t)}
	h.settle("north", opts)
	return h
}

// neighbour is another tenant with an EHR of its own, in the same database.
func (h *house) neighbour(opts standin.Options) *house {
	n := &house{t: h.t, db: h.db, owner: h.owner}
	n.settle("south", opts)
	return n
}

func (h *house) settle(name string, opts standin.Options) {
	h.t.Helper()
	h.opts, h.addr, h.tenant = opts, "127.0.0.1:0", pgtest.AddTenant(h.t, h.db, name)
	h.restart()
	h.t.Cleanup(h.stop)
	pgtest.AddDestination(h.t, h.db, h.tenant, "ehr", "http://"+h.addr+"/fhir")
}

// restart starts the EHR at the address it had.
func (h *house) restart() {
	h.t.Helper()
	var err error
	if h.ehr, err = standin.New(h.opts); err != nil {
		h.t.Fatal(err)
	}
	base := h.serve(h.ehr.Handler())
	h.addr = strings.TrimPrefix(base, "http://")
}

// serve serves h.addr and returns the base.
func (h *house) serve(handler http.Handler) string {
	h.t.Helper()
	if h.server != nil {
		h.addr = "127.0.0.1:0"
	}
	listener, err := (&net.ListenConfig{}).Listen(h.t.Context(), "tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	h.server = server
	go func() { _ = server.Serve(listener) }()
	h.t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// stop takes the EHR off the network.
func (h *house) stop() {
	if h.server != nil {
		_ = h.server.Close()
		_ = h.ehr.Close()
		h.server = nil
	}
}

func (h *house) newCase() uuid.UUID {
	h.t.Helper()
	id := uuid.Must(uuid.NewV7())
	h.exec(`
		INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value,
		                       service_request_ref, task_id, protocol, policy, opened_at)
		VALUES ($1, $2, 1, 'ready', 'routine', 'urn:placer', $2::uuid::text,
		        'ServiceRequest/1', $2::uuid::text, 'blinded', '{}', now())`, h.tenant, id)
	return id
}

// queue queues version no of the case's report as a transaction Bundle.
func (h *house) queue(c uuid.UUID, no int) {
	h.t.Helper()
	h.queueBody(c, no, "POST", "", transaction(c, no))
}

func (h *house) queueBody(c uuid.UUID, no int, method, path string, body []byte) {
	h.t.Helper()
	h.exec(`
		INSERT INTO signed_report (tenant_id, case_id, report_no, status, signed_by, signed_at, content, content_sha256)
		VALUES ($1, $2, $3, 'final', $2, now(), '{}', sha256(''))`, h.tenant, c, no)
	err := h.db.Tenant(context.Background(), h.tenant, func(tx pgx.Tx) error {
		return workflow.QueueDeliveryTx(context.Background(), tx, workflow.Delivery{
			TenantID: h.tenant, CaseID: c, ReportNo: no, Destination: "ehr", Method: method, Path: path, Body: body,
		})
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func report(c uuid.UUID, no int) []byte {
	return fmt.Appendf(nil, `{"resourceType":"DiagnosticReport","status":"final","code":{"text":"CT Head"},
		"identifier":[{"system":"urn:overread","value":"%s"}],"conclusion":"version %d"}`, c, no)
}

func transaction(c uuid.UUID, no int) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:%[1]s","resource":%[3]s,
		 "request":{"method":"PUT","url":"DiagnosticReport?identifier=urn:overread|%[1]s"}},
		{"resource":{"resourceType":"Observation","status":"final","code":{"text":"agreement"},
		  "identifier":[{"system":"urn:overread:agreement","value":"%[1]s"}]},
		 "request":{"method":"PUT","url":"Observation?identifier=urn:overread:agreement|%[1]s"}},
		{"resource":{"resourceType":"Provenance","recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"display":"R"}}],
		  "meta":{"tag":[{"system":"urn:overread:version","code":"%[1]s-%[2]d"}]},"target":[{"reference":"urn:uuid:%[1]s"}]},
		 "request":{"method":"POST","url":"Provenance","ifNoneExist":"_tag=urn:overread:version|%[1]s-%[2]d"}}]}`,
		c, no, report(c, no))
}

func (h *house) courier() *workflow.Courier {
	return workflow.NewCourier(h.db.DB, ehr.New("test", outbound.Loopback(), time.Now).Send, time.Now, slog.New(slog.DiscardHandler))
}

func (h *house) tick(want int) {
	h.t.Helper()
	sent, err := h.courier().Tick(context.Background())
	if err != nil {
		h.t.Error(err)
	}
	if sent != want {
		h.t.Errorf("%d attempts, want %d", sent, want)
	}
}

// until lets the couriers work, and the time pass, until done says so.
func (h *house) until(done func() bool, couriers ...*workflow.Courier) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); h.passTime() {
		var all sync.WaitGroup
		for _, c := range couriers {
			all.Go(func() {
				if _, err := c.Tick(context.Background()); err != nil {
					h.t.Error(err)
				}
			})
		}
		all.Wait()
		if time.Now().After(deadline) {
			h.t.Fatal("not done in 30 s")
		}
	}
}

func (h *house) poll(done func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatal("not done in 60 s")
		}
	}
}

// passTime is time enough for everything that waits to become due.
func (h *house) passTime() {
	h.t.Helper()
	h.exec(`UPDATE delivery SET next_attempt_at = now() WHERE state = 'queued' AND lease_until IS NULL`)
	h.exec(`UPDATE destination SET breaker_until = now()`)
}

func (h *house) exec(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.owner.Exec(context.Background(), sql, args...); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) query(sql string, args ...any) pgx.Rows {
	rows, _ := h.owner.Query(context.Background(), sql, args...) // the collecting function returns the error
	return rows
}

// open is how many deliveries of the tenant are not done.
func (h *house) open() int {
	h.t.Helper()
	n, err := pgx.CollectOneRow(h.query(`SELECT count(*) FROM delivery WHERE state <> 'done' AND tenant_id = $1`, h.tenant), pgx.RowTo[int])
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func (h *house) reports() []standin.Resource {
	return slices.DeleteFunc(h.ehr.Log().Resources, func(r standin.Resource) bool { return r.Type != "DiagnosticReport" })
}

// wantReports: so many reports stand in the EHR, each in so many versions,
// each identifier once.
func (h *house) wantReports(n, versions int) {
	h.t.Helper()
	got := h.reports()
	if len(got) != n {
		h.t.Errorf("%d reports, want %d", len(got), n)
	}
	for _, r := range got {
		if r.Versions != versions {
			h.t.Errorf("report %s has %d versions, want %d", r.ID, r.Versions, versions)
		}
	}
	for name, count := range h.ehr.Log().ByIdentifier {
		if count != 1 {
			h.t.Errorf("%s exists %d times", name, count)
		}
	}
}

// versionSent is which of our versions a version at the EHR is.
func (h *house) versionSent(id string, version int) (no int) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet,
		fmt.Sprintf("http://%s/fhir/DiagnosticReport/%s/_history/%d", h.addr, id, version), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(res.Body)
	_, after, _ := strings.Cut(body.String(), `"conclusion":"version `)
	if _, err := fmt.Sscanf(after, "%d", &no); err != nil {
		h.t.Fatalf("no version in the report: %v", err)
	}
	return no
}

func (h *house) wantStates(want map[string]int) {
	h.t.Helper()
	got := map[string]int{}
	var state string
	var n int
	_, err := pgx.ForEachRow(h.query(`SELECT state, count(*) FROM delivery GROUP BY state`), []any{&state, &n},
		func() error { got[state] = n; return nil })
	if err != nil {
		h.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("deliveries (-want +got):\n%s", diff)
	}
}

// wantAttempts compares the history of the only delivery.
func (h *house) wantAttempts(want ...string) {
	h.t.Helper()
	got, err := pgx.CollectRows(h.query(`
		SELECT concat_ws(' ', attempt, outcome, status, reason) FROM delivery_attempt ORDER BY attempt`), pgx.RowTo[string])
	if err != nil {
		h.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("attempts (-want +got):\n%s", diff)
	}
}

// BenchmarkDelivery is reports a second to one fast EHR, with 64 KB of report
// each and everything recorded.
func BenchmarkDelivery(b *testing.B) {
	h := newHouse(b, standin.Options{})
	h.exec(`UPDATE destination SET in_flight_max = 8`)
	padding := bytes.Repeat([]byte("x"), 64<<10)
	for range b.N {
		c := h.newCase()
		body := bytes.Replace(transaction(c, 1), []byte("version 1"), padding, 1)
		h.queueBody(c, 1, "POST", "", body)
	}
	b.ResetTimer()
	h.tick(b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}
