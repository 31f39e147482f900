package fhir

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"
	sumnote "golang.org/x/mod/sumdb/note"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

// events are the AuditEvents of a tenant, oldest first, each as its interaction,
// outcome, profile, what was touched and asked, and the patients.
func (r *rest) events(tenant uuid.UUID) []string {
	r.t.Helper()
	if err := r.server.Flush(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.settle()
	rows, err := r.db.Owner(r.t).Query(context.Background(), `SELECT body FROM audit_event WHERE tenant_id = $1 ORDER BY audit_id`, tenant)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	var told []string
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			r.t.Fatal(err)
		}
		n, err := Decode(body, "AuditEvent")
		if err != nil {
			r.t.Errorf("%v: %s", err, body)
			continue
		}
		parts := []string{n.Text("subtype", "code"), n.Text("outcome"), restProfile(n)}
		for _, e := range n.Get("entity").Items() {
			query, _ := base64.StdEncoding.DecodeString(e.Text("query"))
			if of := e.Text("what", "reference") + string(query); of != "" {
				parts = append(parts, of)
			}
		}
		told = append(told, strings.Join(parts, " "))
	}
	return told
}

// restProfile is the profile of BALP that an AuditEvent claims for the interaction,
// besides that of the token.
func restProfile(event *Node) string {
	for _, p := range event.Each("meta", "profile") {
		if name := strings.TrimPrefix(p.Text(), balp); !strings.HasPrefix(name, "OAUTH") {
			return name
		}
	}
	return ""
}

func TestEveryWayOfReadingIsRecordedWithItsPatients(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	one := r.mustCreate("Patient", patientJSON("1"))
	two := r.mustCreate("Patient", patientJSON("2"))
	order := r.mustCreate("ServiceRequest", orderJSON("Patient/"+one))
	made := len(r.events(r.tenant))
	both := "Patient/" + one + " Patient/" + two

	cases := []struct{ method, path, body, want string }{
		{"GET", "/fhir/Patient/" + one, "", "read 0 PatientRead Patient/" + one + "/_history/1 Patient/" + one},
		{"HEAD", "/fhir/ServiceRequest/" + order, "", "read 0 PatientRead ServiceRequest/" + order + "/_history/1 Patient/" + one},
		{"GET", "/fhir/ServiceRequest/" + order + "/_history/1", "", "vread 0 PatientRead ServiceRequest/" + order + "/_history/1 Patient/" + one},
		{"GET", "/fhir/Patient", "", "search-type 0 Query GET /fhir/Patient " + both},
		{"GET", "/fhir/Patient?identifier=urn:mrn|nobody", "", "search-type 0 Query GET /fhir/Patient?identifier=urn:mrn|nobody"},
		{"GET", "/fhir/Task?patient=" + two, "", "search-type 0 PatientQuery GET /fhir/Task?patient=" + two + " Patient/" + two},
		{"GET", "/fhir/ServiceRequest?_include=ServiceRequest:patient", "", "search-type 0 PatientQuery GET /fhir/ServiceRequest?_include=ServiceRequest:patient Patient/" + one},
		{"POST", "/fhir/Patient/_search", "identifier=urn:mrn|2", "search-type 0 PatientQuery POST /fhir/Patient/_search\nidentifier=urn%3Amrn%7C2 Patient/" + two},
		{"GET", "/fhir/Patient/" + one + "/ServiceRequest", "", "search-type 0 PatientQuery GET /fhir/Patient/" + one + "/ServiceRequest Patient/" + one},
		{"GET", "/fhir?_type=Patient,ServiceRequest", "", "search-system 0 Query GET /fhir?_type=Patient,ServiceRequest " + both},
		{"GET", "/fhir/Patient/" + one + "/_history", "", "history-instance 0 PatientQuery GET /fhir/Patient/" + one + "/_history Patient/" + one},
		{"GET", "/fhir/Patient/_history", "", "history-type 0 Query GET /fhir/Patient/_history " + both},
		{"GET", "/fhir/_history?_count=1", "", "history-system 0 PatientQuery GET /fhir/_history?_count=1 Patient/" + one},
		{"GET", "/fhir/Patient/" + one + "/$everything?_count=5", "", "operation 0  Patient/" + one + " $everything?_count=5 Patient/" + one},
	}
	var want []string
	for _, c := range cases {
		header := []string{}
		if strings.HasSuffix(c.path, "_search") {
			header = []string{"Content-Type", "application/x-www-form-urlencoded"}
		}
		if got := r.do(access.Placer, c.method, c.path, c.body, header...); got.status != http.StatusOK {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, got.body)
		}
		want = append(want, c.want)
	}
	got := r.events(r.tenant)[made:]
	for i := range got {
		got[i] = strings.Join(slices.DeleteFunc(strings.Split(got[i], " "), func(part string) bool { return part == "" && i != len(got)-1 }), " ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadsWithinBundlesAreRecordedEachByItself(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	made := len(r.events(r.tenant))
	entries := `[{"request":{"method":"GET","url":"Patient/` + id + `"}},{"request":{"method":"GET","url":"Patient?_id=` + id + `"}}]`
	for _, kind := range []string{"batch", "transaction"} {
		if got := r.post("/fhir", `{"resourceType":"Bundle","type":"`+kind+`","entry":`+entries+`}`); got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", kind, got.status, got.body)
		}
	}
	read := "read 0 PatientRead Patient/" + id + "/_history/1 Patient/" + id
	query := "search-type 0 PatientQuery GET /fhir/Patient?_id=" + id + " Patient/" + id
	got := r.events(r.tenant)[made:]
	slices.Sort(got)
	if diff := cmp.Diff([]string{read, read, query, query}, got); diff != "" {
		t.Error(diff)
	}
}

func TestARefusalIsRecordedAndNobodyFillsTheDiskWithThem(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	r.do(access.Auditor, "PUT", "/fhir/Patient/"+id, patientJSON("2"))
	got := r.events(r.tenant)
	want := "update 4  PUT /fhir/Patient/" + id
	if len(got) != 2 || got[1] != want {
		t.Errorf("%q, want %q", got, want)
	}
	for range refusalBurst + 200 {
		r.get("/fhir/Patient/"+id, "Authorization", "Bearer nonsense")
	}
	stranger := r.events(auditlog.Installation)
	if n := len(stranger); n < refusalBurst || n > refusalBurst+30 || stranger[0] != "read 4  GET /fhir/:type/:id" {
		t.Errorf("%d are recorded: %q", n, stranger[0])
	}
	if untold := r.server.refusals.untold[knocker{}]; untold+len(stranger) < refusalBurst+200 {
		t.Logf("%d of them are counted, %d recorded", untold, len(stranger))
	}
}

// Whoever tries ids leaves a trace, with what they asked for and without what they sent.
func TestWhatWasAskedForAndNotGivenIsRecorded(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	r.mustCreate("Patient", patientJSON("2"))
	gone := r.mustCreate("Patient", patientJSON("3"))
	if got := r.do(access.Placer, "DELETE", "/fhir/Patient/"+gone, ""); got.status >= 300 {
		t.Fatal(got.status, got.body)
	}
	made := len(r.events(r.tenant))
	reads := `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"Patient/none"}}]}`
	cases := []struct {
		method, path, body, header, value string
		status                            int
		want                              []string
	}{
		{"GET", "/fhir/Patient/none", "", "", "", 404, []string{"read 4  GET /fhir/Patient/none"}},
		{"GET", "/fhir/Patient/" + gone, "", "", "", 410, []string{"read 4  GET /fhir/Patient/" + gone}},
		{"GET", "/fhir/Patient/" + id + "/_history/7", "", "", "", 404, []string{"vread 4  GET /fhir/Patient/" + id + "/_history/7"}},
		{"GET", "/fhir/Patient/none/_history", "", "", "", 404, []string{"history-instance 4  GET /fhir/Patient/none/_history Patient/none"}},
		{"GET", "/fhir/Task?patient=" + id + "&nonsense=1", "", "", "", 400, []string{"search-type 4  GET /fhir/Task?patient=" + id + "&nonsense=1 Patient/" + id}},
		{"POST", "/fhir/Patient/_search", "nonsense=secret", "Content-Type", "application/x-www-form-urlencoded", 400, []string{"search-type 4  POST /fhir/Patient/_search"}},
		{"GET", "/fhir/Task/none/$everything", "", "", "", 404, []string{"operation 4  GET /fhir/Task/none/$everything"}},
		{"PUT", "/fhir/Patient/" + id, `{"resourceType":"Patient","id":"` + id + `","gender":"secret"}`, "", "", 400, []string{"update 4  PUT /fhir/Patient/" + id}},
		{"PUT", "/fhir/Patient/" + id, `{"resourceType":"Patient","id":"` + id + `"}`, "If-Match", `W/"9"`, 412, []string{"update 4  PUT /fhir/Patient/" + id}},
		{"DELETE", "/fhir/Patient?birthdate=gt1900", "", "", "", 412, []string{"delete 4  DELETE /fhir/Patient"}},
		{"POST", "/fhir", reads, "", "", 404, []string{"read 4  GET /fhir/Patient/none", "refused 4  POST /fhir"}},
	}
	var want []string
	for _, c := range cases {
		header := []string{}
		if c.header != "" {
			header = []string{c.header, c.value}
		}
		if got := r.do(access.Placer, c.method, c.path, c.body, header...); got.status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, got.status, c.status, got.body)
		}
		want = append(want, c.want...)
	}
	if diff := cmp.Diff(want, r.events(r.tenant)[made:]); diff != "" {
		t.Error(diff)
	}
}

// What is recorded of a failure is the status that was answered, whichever part of
// the program it came from.
func TestTheRecordOfAFailureTellsTheStatusThatWasAnswered(t *testing.T) {
	t.Parallel()
	r := startREST(t, func(s *Server) { s.maxBody = 2 << 10 })
	id := r.mustCreate("Patient", patientJSON("1"))
	made := len(r.events(r.tenant))
	r.asClient(access.Placer, "system/*.cruds")
	if got := r.get("/fhir/Patient/" + id); got.status != http.StatusOK { // the token is remembered
		t.Fatal(got.status, got.body)
	}
	r.post("/fhir/Patient", `{"resourceType":"Patient","id":"`+strings.Repeat("x", 4<<10)+`"}`).want(t, http.StatusRequestEntityTooLarge, "too-long")
	if _, err := r.db.Owner(t).Exec(context.Background(), `UPDATE tenant SET state = 'suspended'`); err != nil {
		t.Fatal(err)
	}
	r.get("/fhir/Patient/"+id).want(t, http.StatusServiceUnavailable, "transient")
	var told []string
	if len(r.events(r.tenant)) == made {
		t.Fatal("nothing is recorded")
	}
	rows, err := r.db.Owner(t).Query(context.Background(), `SELECT convert_from(body, 'UTF8')::jsonb->>'outcomeDesc' FROM audit_event WHERE tenant_id = $1 ORDER BY audit_id`, r.tenant)
	if err != nil {
		t.Fatal(err)
	}
	var desc *string
	if _, err = pgx.ForEachRow(rows, []any{&desc}, func() error {
		if desc != nil {
			told = append(told, *desc)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"413 too-long", "503 transient"}, told); diff != "" {
		t.Error(diff)
	}
	for want, why := range map[string]error{
		"503 transient": &pgconn.PgError{Code: "57P01"}, // the database goes down
		"404 not-found": echo.ErrNotFound,
		"500 exception": errors.New("a nil pointer"),
	} {
		if got := statusText(fmt.Errorf("patients: %w", why)); got != want {
			t.Errorf("%v is told as %s, want %s", why, got, want)
		}
	}
}

// One who asks much for what is not theirs hides nobody else's refusal.
func TestTheRefusalsOfOneHideNobodyElses(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for range refusalBurst + 50 {
		r.do(access.Placer, "GET", "/fhir/Patient/none", "")
	}
	r.do(access.Coordinator, "GET", "/fhir/Patient/another", "")
	got := r.events(r.tenant)
	if len(got) < refusalBurst || len(got) > refusalBurst+30 || got[len(got)-1] != "read 4  GET /fhir/Patient/another" {
		t.Errorf("%d are recorded, the last is %q", len(got), got[len(got)-1])
	}
}

func TestWhatCannotBeRecordedIsNotRead(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	away, writes := true, r.server.trail.write
	r.server.trail.room, r.server.trail.batch = 5, 2
	r.server.trail.write = func(ctx context.Context, tenant uuid.UUID, events []recordedEvent) error {
		if away {
			return errors.New("the disk is full")
		}
		return writes(ctx, tenant, events)
	}
	served := 0
	for range 20 {
		got := r.get("/fhir/Patient/" + id)
		switch got.status {
		case http.StatusOK:
			served++
		default:
			got.want(t, http.StatusServiceUnavailable, "transient")
			if strings.Contains(got.body, "Müller") || strings.Contains(got.body, "disk") {
				t.Errorf("%s", got.body)
			}
		}
	}
	if served != 5 {
		t.Errorf("%d were answered, with room for 5", served)
	}
	r.server.trail.writing.Lock() // nobody is in the middle of a write
	away = false
	r.server.trail.writing.Unlock()
	if got := r.get("/fhir/Patient/" + id); got.status != http.StatusOK {
		t.Errorf("and when it works again: %d", got.status)
	}
	if got := r.events(r.tenant); len(got) != 1+5+1 {
		t.Errorf("%d events", len(got))
	}
}

func TestReadsComeIntoTheDatabaseByThemselves(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	r.server.trail.delay, r.server.trail.batch = trailDelay, trailBatch
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				r.get("/fhir/Patient/" + id)
			}
		})
	}
	all.Wait()
	owner, until := r.db.Owner(t), time.Now().Add(30*time.Second)
	for n := 0; n != 401; {
		r.settle()
		if err := owner.QueryRow(context.Background(), `SELECT count(*) FROM audit_event`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(until) {
			t.Fatalf("%d events", n)
		}
	}
	// The records are there a moment before their places are given back.
	places := func() int {
		r.server.trail.mu.Lock()
		defer r.server.trail.mu.Unlock()
		return r.server.trail.places
	}
	for places() != 0 {
		if time.Now().After(until) {
			t.Fatalf("%d still hold a place", places())
		}
		runtime.Gosched()
	}
}

func TestErasingAPatientsDetailsLeavesTheLogWhole(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	gone := r.mustCreate("Patient", patientJSON("1"))
	stays := r.mustCreate("Patient", patientJSON("2"))
	order := r.mustCreate("ServiceRequest", orderJSON("Patient/"+gone))
	for _, path := range []string{"/Patient/" + gone, "/Patient?name=Zo%C3%AB&_id=" + gone, "/ServiceRequest/" + order, "/Patient/" + stays, "/Task?subject:Patient=" + gone} {
		r.get("/fhir" + path)
	}
	before := len(r.events(r.tenant))
	private, public, err := auditlog.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := sumnote.NewSigner(private)
	key, _ := sumnote.NewVerifier(public)
	sealer := &auditlog.Sealer{DB: r.db.DB, Signer: signer, Dir: t.TempDir(), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	seal := func() {
		t.Helper()
		for n := 1; n > 0; {
			if n, err = auditlog.Sequence(context.Background(), r.db.DB); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sealer.Tick(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	seal()
	n, err := r.server.EraseAudit(context.Background(), access.OperatorActor(r.tenant, "root at host"), gone, "asked for by letter of 3 November")
	if err != nil || n != before-2 { // all but the create and the read of the other
		t.Fatalf("%d of %d: %v", n, before, err)
	}
	if again, err := r.server.EraseAudit(context.Background(), access.OperatorActor(r.tenant, "root at host"), gone, "again"); again != 0 || err != nil {
		t.Errorf("again: %d %v", again, err)
	}
	seal()
	if _, err := r.server.Reindex(context.Background()); err != nil {
		t.Fatal(err)
	}
	var export bytes.Buffer
	if _, err := auditlog.Dump(context.Background(), r.db.DB, r.tenant, &export); err != nil {
		t.Fatal(err)
	}
	for _, trace := range []string{gone, order} {
		if strings.Contains(export.String(), trace) || r.count(fmt.Sprintf("resource_reference WHERE type = 'AuditEvent' AND target_id = '%s'", trace)) > 0 {
			t.Errorf("%s is still there", trace)
		}
	}
	notes, err := auditlog.Checkpoints(context.Background(), r.db.DB, r.tenant)
	if err != nil {
		t.Fatal(err)
	}
	checkpoints, err := auditlog.ReadCheckpoints(strings.NewReader(notes), key)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := auditlog.Verify(&export, checkpoints, false)
	if err != nil || proof.Erased != int64(n) || proof.Size != int64(before)+1 || proof.Checkpoints != 2 {
		t.Errorf("%+v %v", proof, err)
	}
	if got := r.do(access.Auditor, "GET", "/fhir/AuditEvent?subtype=erase", ""); len(got.ids()) != 1 || !strings.Contains(got.body, "letter of 3 November") {
		t.Errorf("%s", got.body)
	}
	if got := r.do(access.Auditor, "GET", "/fhir/AuditEvent?patient="+gone, ""); len(got.ids()) != 0 {
		t.Errorf("still found by the patient: %v", got.ids())
	}
}
