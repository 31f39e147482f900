package fhir

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// manifest is what the answer to a finished export says.
type manifest struct {
	TransactionTime     string         `json:"transactionTime"`
	Request             string         `json:"request"`
	RequiresAccessToken bool           `json:"requiresAccessToken"`
	Output              []manifestFile `json:"output"`
	Deleted             []manifestFile `json:"deleted"`
	Error               []manifestFile `json:"error"`
}

type manifestFile struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count int    `json:"count"`
}

// startExport asks for an export and returns the path of its status.
func (r *rest) startExport(as access.Role, path string, header ...string) string {
	r.t.Helper()
	got := r.do(as, "GET", path, "", append([]string{"Prefer", "respond-async"}, header...)...)
	if got.status != http.StatusAccepted {
		r.t.Fatalf("%s: %d %s", path, got.status, got.body)
	}
	return strings.TrimPrefix(got.header.Get("Content-Location"), r.url)
}

// work does all that is left to do. The other tests write to the same server, and
// an export begins only when what was being written has ended, everywhere.
func (r *rest) work() {
	r.t.Helper()
	for r.running() {
		if _, err := r.server.ExportTick(context.Background()); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rest) running() (any bool) {
	r.t.Helper()
	err := r.db.Tenant(context.Background(), r.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT EXISTS (SELECT FROM export_job WHERE state = 'running')`).Scan(&any)
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return any
}

func (r *rest) manifest(as access.Role, status string) (m manifest) {
	r.t.Helper()
	got := r.do(as, "GET", status, "")
	if err := json.Unmarshal([]byte(got.body), &m); err != nil || got.status != http.StatusOK {
		r.t.Fatalf("manifest: %d %s", got.status, got.body)
	}
	return m
}

// lines are the lines of files, by Type/id where they are resources.
func (r *rest) lines(as access.Role, files []manifestFile) map[string]string {
	r.t.Helper()
	all := map[string]string{}
	for _, f := range files {
		got := r.do(as, "GET", strings.TrimPrefix(f.URL, r.url), "", "Accept", ndjson)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != ndjson {
			r.t.Fatalf("%s: %d %s", f.URL, got.status, got.header.Get("Content-Type"))
		}
		count := 0
		for line := range strings.Lines(got.body) {
			count++
			n := mustParse(r.t, line)
			name := n.Type() + "/" + n.Text("id")
			if _, twice := all[name]; twice || n.Type() != f.Type {
				r.t.Errorf("%s comes twice, or in a file of %s", name, f.Type)
			}
			all[name] = strings.TrimSuffix(line, "\n")
		}
		if count != f.Count {
			r.t.Errorf("%s has %d lines, and says %d", f.URL, count, f.Count)
		}
	}
	return all
}

// exported starts an export, does it, and returns what it gave.
func (r *rest) exported(as access.Role, path string) map[string]string {
	r.t.Helper()
	status := r.startExport(as, path)
	r.work()
	return r.lines(as, r.manifest(as, status).Output)
}

func names(lines map[string]string) []string {
	list := []string{}
	for name := range lines {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func TestAnExportIsStartedAskedAfterFetchedAndRemoved(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	status := r.startExport(access.Placer, "/fhir/$export?_outputFormat=ndjson")
	running := r.get(status)
	if running.status != http.StatusAccepted || running.header.Get("X-Progress") == "" || running.header.Get("Retry-After") == "" || running.body != "" {
		t.Errorf("while it runs: %d %v %s", running.status, running.header, running.body)
	}
	r.work()
	done := r.get(status)
	if done.header.Get("Expires") == "" || done.header.Get("Content-Type") != "application/json" {
		t.Errorf("when it is done: %v", done.header)
	}
	m := r.manifest(access.Placer, status)
	if m.Request != r.url+"/fhir/$export?_outputFormat=ndjson" || !m.RequiresAccessToken || m.TransactionTime == "" || m.Error == nil || m.Deleted == nil {
		t.Errorf("%+v", m)
	}
	lines := r.lines(access.Placer, m.Output)
	want := []string{"Condition/" + id["condition"], "Organization/" + id["clinic"], "Organization/" + id["elsewhere"], "Organization/" + id["parent"],
		"Patient/" + id["patient"], "Patient/" + id["stranger"], "Practitioner/" + id["doctor"],
		"ServiceRequest/" + id["old"], "ServiceRequest/" + id["order"], "ServiceRequest/" + id["others"], "Task/" + id["task"]}
	if diff := cmp.Diff(sorted(want), names(lines)); diff != "" {
		t.Error(diff)
	}
	for name, line := range lines {
		if got := r.get("/fhir/" + name).body; got != line {
			t.Errorf("%s is exported as %s", name, line)
		}
	}
	file := strings.TrimPrefix(m.Output[0].URL, r.url)
	r.do("", "GET", file, "").want(t, http.StatusUnauthorized, "login")
	if n := r.audited("$export"); n != 1+len(m.Output) {
		t.Errorf("%d AuditEvents for a start and %d files", n, len(m.Output))
	}
	if got := r.do(access.Placer, "DELETE", status, ""); got.status != http.StatusAccepted {
		t.Errorf("DELETE: %d %s", got.status, got.body)
	}
	for _, path := range []string{status, file} {
		r.get(path).want(t, http.StatusNotFound, "not-found")
	}
	r.do(access.Placer, "DELETE", status, "").want(t, http.StatusNotFound, "not-found")
	r.wantSwept()
}

// audited counts the AuditEvents whose query begins so.
func (r *rest) audited(query string) (n int) {
	r.t.Helper()
	r.settle()
	err := r.db.Owner(r.t).QueryRow(context.Background(), `
		SELECT count(*)
		FROM audit_event, jsonb_path_query(convert_from(body, 'UTF8')::jsonb, '$.entity[*].query') AS q
		WHERE starts_with(convert_from(decode(q #>> '{}', 'base64'), 'UTF8'), $1)`, query).Scan(&n)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// wantSwept lets what has ended be removed, and looks whether it is.
func (r *rest) wantSwept() {
	r.t.Helper()
	for {
		worked, err := r.server.ExpireExports(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		if worked == 0 {
			break
		}
	}
	var left int
	err := r.db.Owner(r.t).QueryRow(context.Background(), `
		SELECT (SELECT count(*) FROM export_job) + (SELECT count(*) FROM export_file) + (SELECT count(*) FROM export_chunk)`).Scan(&left)
	if err != nil || left != 0 {
		r.t.Errorf("%d rows are left (%v)", left, err)
	}
}

func TestAnExportThatCannotBeDoneIsRefused(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	group := r.mustCreate("Group", `{"resourceType":"Group","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/`+id["patient"]+`"}}]}`)
	patients := func(ref string) string {
		return Object("resourceType", "Parameters", "parameter", []*Node{Object("name", "patient", "valueReference", Object("reference", ref))}).jsonText()
	}
	for _, test := range []struct {
		as           access.Role
		path, body   string
		prefer, code string
		status       int
	}{
		{access.Placer, "/fhir/$export", "", "", "value", 400},
		{access.Placer, "/fhir/$export", "", "handling=lenient", "value", 400},
		{access.Placer, "/fhir/$export?_outputFormat=text/csv", "", "respond-async", "not-supported", 400},
		{access.Placer, "/fhir/$export?_type=Measles", "", "respond-async", "not-supported", 400},
		{access.Placer, "/fhir/$export?_type=CodeSystem", "", "respond-async", "not-supported", 400},
		{access.Placer, "/fhir/$export?_type=AuditEvent", "", "respond-async", "not-supported", 400},
		{access.Placer, "/fhir/$export?_since=2026", "", "respond-async", "value", 400},
		{access.Placer, "/fhir/$export?_elements=id", "", "respond-async", "not-supported", 400},
		{access.Placer, "/fhir/$export?_typeFilter=active%3Dtrue", "", "respond-async", "value", 400},
		{access.Placer, "/fhir/$export?_typeFilter=Patient%3F", "", "respond-async", "value", 400},
		{access.Placer, "/fhir/$export?_type=Task&_typeFilter=Patient%3Factive%3Dtrue", "", "respond-async", "value", 400},
		{access.Placer, "/fhir/$export?_typeFilter=Patient%3Fshoe-size%3D43", "", "respond-async", "not-supported", 400},
		{access.Placer, "/fhir/$export?_typeFilter=Task%3Fsubject:Patient.name%3Dx", "", "respond-async", "not-supported", 400},
		{access.Placer, "/fhir/$export?patient=x", "", "respond-async", "value", 400},
		{access.Placer, "/fhir/Patient/$export?_type=Practitioner", "", "respond-async", "not-supported", 400},
		{access.Placer, "/fhir/Group/none/$export", "", "respond-async", "not-found", 404},
		{access.Placer, "/fhir/Patient/$export", patients("Patient/none"), "respond-async", "value", 400},
		{access.Placer, "/fhir/Patient/$export", patients("Practitioner/" + id["doctor"]), "respond-async", "value", 400},
		{access.Placer, "/fhir/Group/" + group + "/$export", patients("Patient/" + id["stranger"]), "respond-async", "value", 400},
		{access.Reader, "/fhir/$export", "", "respond-async", "forbidden", 403},
		{access.Adjudicator, "/fhir/Patient/$export", "", "respond-async", "forbidden", 403},
		{access.Supervisor, "/fhir/Group/" + group + "/$export", "", "respond-async", "forbidden", 403},
		{"", "/fhir/$export", "", "respond-async", "login", 401},
	} {
		method := "GET"
		if test.body != "" {
			method = "POST"
		}
		got := r.do(test.as, method, test.path, test.body, "Prefer", test.prefer)
		if got.status != test.status || got.node.Text("issue", "code") != test.code {
			t.Errorf("%s as %s: %d %s, want %d %s", test.path, test.as, got.status, got.body, test.status, test.code)
		}
	}
	r.startExport(access.Placer, "/fhir/$export?_elements=id", "Prefer", "respond-async, handling=lenient")
}

func TestAnExportIsOfWhoStartedItAndOfNobodyElse(t *testing.T) {
	t.Parallel()
	r, _ := filled(t)
	status := r.startExport(access.Placer, "/fhir/Patient/$export")
	south := pgtest.AddTenant(t, r.db, "south")
	own, others := r.tokens[access.Placer], map[string]string{}
	others["another tenant"], _ = pgtest.AddToken(t, r.db, south, access.Placer)
	others["another role"] = r.tokens[access.Coordinator]
	others["another of the same role"], _ = pgtest.AddToken(t, r.db, r.tenant, access.Placer)
	r.work()
	file := strings.TrimPrefix(r.manifest(access.Placer, status).Output[0].URL, r.url)
	for who, token := range others {
		r.tokens[access.Placer] = token
		for _, path := range []string{status, file} {
			if got := r.get(path); got.status != http.StatusNotFound {
				t.Errorf("%s gets %d of %s", who, got.status, path)
			}
		}
		if got := r.do(access.Placer, "DELETE", status, ""); got.status != http.StatusNotFound {
			t.Errorf("%s cancels: %d", who, got.status)
		}
	}
	r.tokens[access.Placer] = r.tokens[r.with(access.Placer, "system/*.cruds")]
	for _, path := range []string{status, file} {
		if got := r.get(path); got.status != http.StatusNotFound {
			t.Errorf("another client gets %d of %s", got.status, path)
		}
	}
	if got := r.do(access.Placer, "DELETE", status, ""); got.status != http.StatusNotFound {
		t.Errorf("another client cancels: %d", got.status)
	}
	for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
		r.do(role, "GET", file, "").want(t, http.StatusForbidden, "forbidden")
	}
	r.tokens[access.Placer] = own
	r.expire()
	for _, path := range []string{status, file} {
		r.get(path).want(t, http.StatusNotFound, "not-found")
	}
	r.wantSwept()
}

// expire lets the time of all exports be over.
func (r *rest) expire() {
	r.t.Helper()
	if _, err := r.db.Owner(r.t).Exec(context.Background(), `UPDATE export_job SET expires_at = now() - interval '1 second'`); err != nil {
		r.t.Fatal(err)
	}
}

func TestAnExportIsOfThePatientsAskedFor(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	own := []string{"Condition/" + id["condition"], "Patient/" + id["patient"], "ServiceRequest/" + id["old"], "ServiceRequest/" + id["order"], "Task/" + id["task"]}
	strangers := []string{"Patient/" + id["stranger"], "ServiceRequest/" + id["others"]}
	group := func(member string) string {
		return r.mustCreate("Group", `{"resourceType":"Group","type":"person","actual":true,"member":[`+member+`]}`)
	}
	member := `{"entity":{"reference":"Patient/` + id["patient"] + `"}}`
	for path, want := range map[string][]string{
		"/fhir/Patient/$export":                                                         append(slices.Clone(own), strangers...),
		"/fhir/Patient/$export?_type=Patient,Task":                                      {"Patient/" + id["patient"], "Patient/" + id["stranger"], "Task/" + id["task"]},
		"/fhir/Group/" + group(member) + "/$export":                                     own,
		"/fhir/Group/" + group(member) + "/$export?_type=Patient":                       {"Patient/" + id["patient"]},
		"/fhir/Group/" + group(member[:len(member)-1]+`,"inactive":true}`) + "/$export": {},
	} {
		if diff := cmp.Diff(sorted(want), names(r.exported(access.Coordinator, path))); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	body := Object("resourceType", "Parameters", "parameter", []*Node{
		Object("name", "patient", "valueReference", Object("reference", "Patient/"+id["stranger"])),
		Object("name", "_type", "valueString", "Patient,ServiceRequest")}).jsonText()
	got := r.do(access.Coordinator, "POST", "/fhir/Patient/$export", body, "Prefer", "respond-async")
	r.work()
	m := r.manifest(access.Coordinator, strings.TrimPrefix(got.header.Get("Content-Location"), r.url))
	if diff := cmp.Diff(sorted(strangers), names(r.lines(access.Coordinator, m.Output))); diff != "" {
		t.Errorf("by the parameter patient: %s", diff)
	}
}

// A filter is judged on the version that is exported: here on the one before the
// change that comes while the export runs.
func TestAnExportIsOfWhatItsFiltersFind(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	filter := func(search string) string { return "&_typeFilter=" + url.QueryEscape(search) }
	status := r.startExport(access.Placer, "/fhir/$export?_type=Patient,ServiceRequest,Task"+filter("Patient?family=Stranger")+
		filter("ServiceRequest?status=completed")+filter("ServiceRequest?authored=2026-03&status=active"))
	order := `{"resourceType":"ServiceRequest","id":"` + id["order"] + `","status":"revoked","intent":"order","subject":{"reference":"Patient/` + id["patient"] + `"}}`
	if got := r.put("/fhir/ServiceRequest/"+id["order"], order); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	r.work()
	want := []string{"Patient/" + id["stranger"], "ServiceRequest/" + id["old"], "ServiceRequest/" + id["order"], "Task/" + id["task"]}
	if diff := cmp.Diff(sorted(want), names(r.lines(access.Placer, r.manifest(access.Placer, status).Output))); diff != "" {
		t.Error(diff)
	}
}

func TestAMomentLaterFourRunningExportsAreOneTooMany(t *testing.T) {
	t.Parallel()
	r, _ := filled(t)
	var group sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		group.Go(func() {
			statuses[i] = r.do(access.Placer, "GET", "/fhir/$export", "", "Prefer", "respond-async").status
		})
	}
	group.Wait()
	slices.Sort(statuses)
	if diff := cmp.Diff([]int{202, 202, 202, 429, 429, 429, 429, 429}, statuses); diff != "" {
		t.Error(diff)
	}
	got := r.do(access.Placer, "GET", "/fhir/$export", "", "Prefer", "respond-async")
	got.want(t, http.StatusTooManyRequests, "throttled")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	r.work()
	r.startExport(access.Placer, "/fhir/$export")
}

// Grades are quality work: they are in no resource, and so in no export.
func TestGradesAreNotExported(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "exported")...)
	c.tick()
	c.read(id)
	const secret = "Grade-Comment-7731"
	c.mustAct(access.Reader, id, "$grade", "discrepancy", missed("unimportant"), "difference", "A nodule is not mentioned.", "comment", secret, "goodCall", true)
	c.mustAct(access.Reader, id, "$sign")
	lines := c.exported(access.Director, "/fhir/$export")
	report := c.report(id)
	if lines["DiagnosticReport/"+report.Text("id")] != report.jsonText() {
		t.Error("the report is not exported as it is")
	}
	for name, line := range lines {
		for _, word := range []string{secret, "most-of-the-time", "detection", "goodCall"} {
			if strings.Contains(line, word) && !strings.HasPrefix(name, "OperationDefinition") {
				t.Errorf("%s tells of the grade: %s", name, word)
			}
		}
	}
}

func TestAuditEventsAreExportedToDirectorsWhoNameThem(t *testing.T) {
	t.Parallel()
	r, _ := filled(t)
	if all := names(r.exported(access.Director, "/fhir/$export")); slices.ContainsFunc(all, func(name string) bool { return strings.HasPrefix(name, "AuditEvent/") }) {
		t.Error("they are exported without being named")
	}
	events := r.exported(access.Director, "/fhir/$export?_type=AuditEvent")
	if len(events) < 11 {
		t.Errorf("%d AuditEvents", len(events))
	}
	for name, line := range events {
		if _, err := Decode([]byte(line), "AuditEvent"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}
