package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// A canary is a word that stands for a patient's data: in every text of an
// order, in its ids and numbers, in what readers write, in searches, in broken
// requests and in what the EHR answers. Nothing that is kept beside the
// database may sing it.
const (
	canary     = "qzcanary"
	canaryBorn = "1931-07-19"
)

// TestNoPatientDataInAnyLog lives a whole case, and every kind of failure that
// a client can cause, on a PostgreSQL that logs all it can, and then looks for
// the canaries in the logs of server and PostgreSQL and in the doctor's words.
func TestNoPatientDataInAnyLog(t *testing.T) {
	t.Parallel()
	postgres, database := loggingPostgres(t)
	w := newEHRBeside(t, database)
	base, log := serveLogged(t, database.URL, "--log-level", "debug")
	w.settleIn(t, base)

	w.askCanaryPACS(t)
	w.liveCanaryCase(t)
	w.gossip(t)
	w.openInEmergency(t)
	w.bother(t)

	// Were there an error with a row in it, it would stand there.
	if _, err := database.Owner(t).Exec(t.Context(), `INSERT INTO tenant (tenant_id, name, display) SELECT tenant_id, name, 'heard' FROM tenant`); err == nil {
		t.Fatal("a tenant twice is taken")
	}

	var doctor strings.Builder
	for _, form := range []string{"--json=false", "--json"} {
		// It may find something to mend: the EHR that gossips.
		_ = run(t.Context(), []string{"doctor", "--destinations", "--outbound-allow", "127.0.0.1", "--outbound-http", "--database-url", database.URL, form}, &doctor, &doctor)
	}
	theirs, err := os.ReadFile(filepath.Join(postgres.Dir(), "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("PostgreSQL's log: %d bytes, %d errors, %d with details", len(theirs), strings.Count(string(theirs), "ERROR:"), strings.Count(string(theirs), "DETAIL:  "))
	for _, c := range []struct{ where, text, proof string }{
		{"the server's log", log.text(), `"msg":"request"`},
		{"PostgreSQL's log", string(theirs), "INSERT INTO resource"},
		{"PostgreSQL's log", string(theirs), "DETAIL:  Key"},
		{"the doctor's words", doctor.String(), "deliveries leave the house"},
		{"the server's log", log.text(), `"answer":"found"`},
		{"the server's log", log.text(), `"answer":"unreachable"`},
	} {
		if !strings.Contains(c.text, c.proof) {
			t.Errorf("%s has no %q: nothing was looked at", c.where, c.proof)
		}
		for _, line := range singing(c.text) {
			t.Errorf("%s: %s", c.where, line)
		}
	}
}

// singing are the lines in which a canary is, in any case, or in base64.
func singing(text string) (lines []string) {
	words := []string{canary, canaryBorn, strings.ReplaceAll(canaryBorn, "-", "")}
	for shift := range 3 {
		coded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat(" ", shift) + canary))
		words = append(words, strings.ToLower(coded[4:len(coded)-3]))
	}
	for line := range strings.Lines(text) {
		for _, word := range words {
			if at := strings.Index(strings.ToLower(line), word); at >= 0 {
				lines = append(lines, line[max(0, at-300):min(len(line), at+100)])
				break
			}
		}
	}
	return lines
}

func TestSingingIsHeard(t *testing.T) {
	t.Parallel()
	for i, line := range []string{"name=" + strings.ToUpper(canary), "born " + canaryBorn, "x " + base64.StdEncoding.EncodeToString([]byte("some text, "+canary+", more")),
		base64.StdEncoding.EncodeToString([]byte("1" + canary + "123")), base64.StdEncoding.EncodeToString([]byte("12" + canary + "123"))} {
		if len(singing("quiet\n"+line+"\n")) != 1 {
			t.Errorf("line %d is not heard: %s", i, line)
		}
	}
}

// loggingPostgres is a PostgreSQL that logs every statement and every error,
// and else as docs/security.md asks of an operator.
func loggingPostgres(t *testing.T) (*pg.Private, *pgtest.Database) {
	t.Helper()
	dir, err := os.MkdirTemp("", "overread-canary-")
	if err != nil {
		t.Fatal(err)
	}
	postgres, err := pg.StartPrivate(t.Context(), dir, io.Discard, append([]string{
		"fsync=off", "log_statement=all", "log_min_messages=info", "log_min_error_statement=error", "log_min_duration_statement=0", "log_lock_waits=on",
	}, quietPostgres...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgres.Stop(); err != nil {
			t.Error(err)
		}
		_, _ = os.RemoveAll(postgres.Dir()), os.RemoveAll(dir)
	})
	url := postgres.URL(pg.PrivateDatabase)
	if _, err := pg.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db, err := pg.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return postgres, &pgtest.Database{DB: db, URL: url}
}

// quietPostgres is what docs/security.md asks an operator to set.
var quietPostgres = []string{"log_error_verbosity=default", "log_parameter_max_length=0"}

func (w *world) canaryOrder(number string) order {
	return order{ehr: w.chart.base, number: number, hospital: "mercy", priority: "urgent",
		patient: person{canary + "-mrn", canary + "given", canary + "family", "female", canaryBorn},
		sample:  samples["knee"], at: time.Now()}
}

// machine are the elements whose values are a machine's, which a canary would
// make wrong. All others are marked.
var machine = map[string]bool{
	"resourceType": true, "id": true, "fullUrl": true, "reference": true, "system": true, "url": true, "method": true, "ifNoneExist": true,
	"status": true, "intent": true, "priority": true, "use": true, "gender": true, "code": true, "contentType": true, "language": true,
	"birthDate": true, "uid": true, "state": true, "country": true, "type": true, "versionId": true, "lastUpdated": true, "mode": true,
	"value": true, "valueCode": true, "valueUri": true, "valueDateTime": true, "started": true, "effectiveDateTime": true, "issued": true,
	"authoredOn": true, "occurrenceDateTime": true, "hash": true, "size": true, "profile": true, "start": true, "end": true,
}

// marked is a resource with a canary in each of its texts, and how many.
func marked(t *testing.T, n *fhir.Node) (out *fhir.Node, count int) {
	t.Helper()
	out = rewritten(t, n, func(text string) string {
		count++
		return strings.TrimSpace(fmt.Sprintf("%s %s%d", text, canary, count))
	})
	return out, count
}

// rewritten is a resource with each of its texts as write has it; of what is
// attached and of narratives write is given nothing.
func rewritten(t *testing.T, n *fhir.Node, write func(text string) string) *fhir.Node {
	t.Helper()
	var tree any
	if err := json.Unmarshal(n.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	var mark func(key string, v any) any
	mark = func(key string, v any) any {
		switch v := v.(type) {
		case map[string]any:
			_, parameter := v["valueString"]
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if k != "name" || !parameter {
					v[k] = mark(k, v[k])
				}
			}
		case []any:
			for i := range v {
				v[i] = mark(key, v[i])
			}
		case string:
			if _, err := time.Parse(time.DateOnly, v[:min(10, len(v))]); machine[key] || err == nil {
				return v
			}
			switch key {
			case "data":
				return base64.StdEncoding.EncodeToString([]byte("text " + write("")))
			case "div":
				return strings.Replace(v, "</div>", " "+html.EscapeString(write(""))+"</div>", 1)
			}
			return write(v)
		}
		return v
	}
	text, err := json.Marshal(mark("", tree))
	if err != nil {
		t.Fatal(err)
	}
	out, err := fhir.Parse(text, clientLimits)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// askCanaryPACS has a PACS say that the images are of somebody else, and then
// nothing at all.
func (w *world) askCanaryPACS(t *testing.T) {
	t.Helper()
	w.has(t, startOrthanc(t, t.TempDir()))
	o := w.canaryOrder(canary + "-pacs")
	other := o
	other.patient = person{canary + "-2", canary + "gone", canary + "other", "male", "1931-01-01"}
	w.becomes(t, w.sends(t, o, other.images()...), workflow.IntakeReview, "pacs-patient-mismatch", "identifier, name")
	if err := w.pacs.Stop(); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, w.sends(t, w.canaryOrder(canary+"-pacs-down")), workflow.AwaitingImages, "pacs-unreachable", "")
	out, _ := overreadOutput(t, "doctor", "--pacs", "--outbound-allow", "127.0.0.1", "--outbound-http", "--database-url", w.database.URL)
	for _, line := range singing(out) {
		t.Errorf("the doctor of the PACS: %s", line)
	}
	if _, err := overreadOutput(t, "pacs", "remove", "mercy", "archive", "--database-url", w.database.URL); err != nil {
		t.Fatal(err)
	}
}

// liveCanaryCase has a marked order read, with marked opinions, and its report
// stand in the EHR; then everything is looked at in every way.
func (w *world) liveCanaryCase(t *testing.T) {
	t.Helper()
	o := w.canaryOrder(canary + "-order")
	plain := o.bundle()
	for _, e := range plain.Each("entry") {
		if p := e.Get("resource"); p.Type() == "Patient" {
			p.Set("text", fhir.Object("status", "additional", "div", `<div xmlns="http://www.w3.org/1999/xhtml">a patient</div>`))
			p.Set("telecom", []*fhir.Node{fhir.Object("system", "phone", "value", canary+"-555")})
			p.Set("address", []*fhir.Node{fhir.Object("text", "a", "line", []string{"b", "c"}, "city", "d", "district", "e", "postalCode", "f")})
			p.Set("contact", []*fhir.Node{fhir.Object("name", fhir.Object("text", "g", "family", "h", "given", []string{"i"}))})
			p.Set("maritalStatus", fhir.Object("text", "j"))
			p.Set("photo", []*fhir.Node{fhir.Object("title", "k", "contentType", "text/plain", "data", "eA==")})
		}
	}
	bundle, count := marked(t, plain)
	if count < 30 {
		t.Fatalf("only %d texts are marked", count)
	}
	if err := o.keepAtEHR(t.Context()); err != nil {
		t.Fatal(err)
	}
	placer := w.clients["mercy-placer"]
	for range 2 { // the second time it is all here
		if _, err := placer.send(t.Context(), http.MethodPost, "", bundle); err != nil {
			t.Fatal(err)
		}
	}
	task, err := taskOf(t.Context(), placer, o.number)
	if err != nil {
		t.Fatal(err)
	}
	s := samples["knee"]
	tale := append([]chapter{{"", "", nil, workflow.Ready}}, reads("tanaka", "knee")...)
	tale = append(tale, chapter{"tanaka", "grade", gradeParameters(s.Diff), workflow.Comparing}, chapter{"tanaka", "sign", nil, workflow.Final},
		chapter{"tanaka", "amend", []*fhir.Node{param("reason", "valueString", "wrong side")}, workflow.Amending},
		chapter{"tanaka", "sign", []*fhir.Node{param("kind", "valueCode", "correction"), param("reason", "valueString", "wrong side"), param("text", "valueString", "It is the right knee.")}, workflow.Final})
	for _, c := range tale {
		for i, p := range c.with {
			if p.Get("valueString") != nil {
				c.with[i], _ = marked(t, p)
			}
		}
		w.live(t, o, task, c)
	}
	eventually(t, "the report is to stand in the EHR", func() error {
		found, err := w.chart.get(t.Context(), "DiagnosticReport?based-on=ServiceRequest/order-"+o.number)
		if err == nil && found.Text("entry", "resource", "status") != "corrected" {
			err = fmt.Errorf("its status is %q", found.Text("entry", "resource", "status"))
		}
		return err
	})
	for _, typ := range []string{"Patient", "ServiceRequest", "DiagnosticReport", "Observation", "ImagingStudy", "Task", "Provenance"} {
		if _, err := placer.get(t.Context(), typ+"?_include=*&_revinclude=*"); err != nil {
			t.Logf("%s: %v", typ, err) // some are not for placers
		}
	}
}

// gossip lets the EHR answer with a patient's data, and waits until the
// courier has asked it.
func (w *world) gossip(t *testing.T) {
	t.Helper()
	asked := make(chan struct{}, 16)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Location", "http://ehr/fhir/DiagnosticReport/"+canary)
		rw.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(rw, `{"resourceType":"OperationOutcome","issue":[{"diagnostics":"`+canary+`"}]}`)
		select {
		case asked <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(server.Close)
	ctx := t.Context()
	err := w.db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE destination SET base_url = $1`, server.URL)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	task, err := taskOf(ctx, w.clients["mercy-placer"], canary+"-order")
	if err != nil {
		t.Fatal(err)
	}
	addendum := []chapter{
		{"tanaka", "amend", []*fhir.Node{param("reason", "valueString", "more "+canary)}, workflow.Amending},
		{"tanaka", "sign", []*fhir.Node{param("kind", "valueCode", "addition"), param("reason", "valueString", "more "+canary), param("text", "valueString", "An addendum "+canary)}, workflow.Final},
	}
	for _, c := range addendum {
		w.live(t, order{hospital: "mercy"}, task, c)
	}
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Fatal("the courier does not call")
	}
}

// openInEmergency has people open the record for a reason that tells of the
// patient, mistype it, look at every page, and come to the door with the
// patient's data in what they bring.
func (w *world) openInEmergency(t *testing.T) {
	t.Helper()
	found, err := w.clients["mercy-placer"].get(t.Context(), "Patient?identifier="+canary+"-mrn")
	if err != nil {
		t.Fatal(err)
	}
	h := &harvest{t: t, world: w, ids: map[string]string{"Patient": found.Text("entry", "resource", "id")}, skeletons: map[string]string{}}
	store := session.NewStore(session.Config{DB: w.database.DB, BaseURL: w.base})
	cookie := h.breakGlass(store, h.open(store, h.everybody(), "1", "Dr. Ito"), canary+" "+canaryBorn)
	if found, err := store.Find(t.Context(), cookie.Value); err != nil || !slices.ContainsFunc(found.Places, func(p access.Place) bool { return len(p.Opened) > 0 }) {
		t.Fatalf("the record is not open: %v", err)
	}
	root := strings.TrimSuffix(w.base, "/fhir")
	for _, path := range []string{
		"/home", "/sessions", "/session", "/break-glass", "/signin?return=/" + canary + "&why=" + canary, "/login/" + canary, "/login/" + canary + "/callback?state=" + canary + "&code=" + canary + "&error=" + canary,
		"/" + canary, "/launch?iss=https://" + canary + ".example&launch=" + canary, "/launch/callback?state=" + canary + "&code=" + canary, "/fhir/Patient?family=" + canary,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r, err := http.NewRequestWithContext(t.Context(), method, root+path, strings.NewReader("session="+canary+"&csrf="+canary+"&patient="+canary+"&reason="+canary))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("User-Agent", canary)
			r.Header.Set(session.CSRFHeader, canary)
			r.AddCookie(cookie)
			r.AddCookie(&http.Cookie{Name: "overread-signin", Value: canary})
			answer, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
		}
	}
	for _, form := range []string{
		"grant_type=client_credentials&client_assertion=" + canary + "&client_assertion_type=" + canary, "grant_type=" + canary, canary, "token=" + canary + "&client_id=" + canary + "&scope=patient/" + canary,
	} {
		for _, path := range []string{"token", "introspect", "revoke"} {
			answer, err := http.Post(w.base+"/oauth/"+path, "application/x-www-form-urlencoded", strings.NewReader(form))
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
		}
	}
}

// nuisance is a request that goes wrong, or asks for a patient.
type nuisance struct{ method, path, body string }

// nuisances are what clients send by mistake, by malice and by day. %s is the
// canary's patient as it is kept here.
func nuisances(id string) []nuisance {
	var list []nuisance
	for _, query := range []string{
		"family=QZCANARYfamily", "family:exact=" + canary, "given:contains=" + canary, "name=" + canary + "%20x", "identifier=" + canary + "-mrn",
		"identifier=urn:x%7C" + canary, "birthdate=" + canaryBorn, "birthdate=gt" + canaryBorn, "birthdate=" + canary, "birthdate=" + canaryBorn + "T99:99",
		"_id=" + canary, "_id=" + canary + "%00", "_lastUpdated=" + canary, "_sort=" + canary, "_count=" + canary, "_include=" + canary, "_include=Patient:" + canary,
		"_revinclude=" + canary + ":x", "_has:" + canary + ":x:y=" + canary, "_has:Observation:subject:code=" + canary, "general-practitioner.name=" + canary,
		"general-practitioner." + canary + "=1", "organization:" + canary + "=1", "_elements=" + canary, "_summary=" + canary, "_total=" + canary, "_format=" + canary,
		canary + "=1", "family:" + canary + "=1", "_profile=" + canary, "_tag=" + canary, "_page=" + canary, "phone=" + canary, "address=" + canary + "&address-city=" + canary,
		"name=%ff" + canary, "name=" + canary + "%e2%82", "name=" + strings.Repeat(canary, 2000), "name=%zz" + canary, "deceased=" + canary, "link=" + canary + "/1", "gender=" + canary,
		"_list=" + canary, "_filter=" + canary, "_text=" + canary, "_content=" + canary, "_type=" + canary, "_elements=name&_summary=" + canary,
	} {
		list = append(list, nuisance{"GET", "Patient?" + query, ""}, nuisance{"GET", "Observation?subject:Patient." + query, ""})
	}
	for _, path := range []string{
		canary, canary + "/1", "Patient/" + id, "Patient/" + canary, "Patient/" + canary + "/_history/" + canary, "Patient/" + id + "/_history/" + canary, "Patient/" + canary + "%00", "Patient/%ff" + canary,
		"Patient/" + id + "/$" + canary, "Patient/" + id + "/" + canary, "$" + canary, "Patient/$" + canary, "Patient/" + id + "/$everything?_type=" + canary, "Patient/" + id + "/$everything?start=" + canary,
		"Patient/" + id + "/$everything", "$export?_typeFilter=Patient?family=" + canary, "$export?_since=" + canary, "$export?_type=" + canary, "Patient/" + id + "/Observation?code=" + canary,
		"Patient/" + id + "/" + canary + "?x", "docs/" + canary, "CodeSystem/$lookup?code=" + canary + "&system=http://" + canary, "ValueSet/$expand?url=http://" + canary + "&filter=" + canary,
		"_history?_since=" + canary, "Patient/_history?_count=" + canary, "AuditEvent?patient=Patient/" + canary, "../" + canary, "metadata?mode=" + canary, "_page/" + canary,
	} {
		list = append(list, nuisance{"GET", path, ""}, nuisance{"DELETE", path, ""}, nuisance{canary, path, ""})
	}
	patient := func(more string) string { return `{"resourceType":"Patient","id":"` + id + `",` + more + `}` }
	for _, body := range []string{
		canary, `{"` + canary, `{"resourceType":"` + canary + `"}`, `{"resourceType":"Patient","` + canary + `":1}`, `["` + canary + `"]`, `"` + canary + `"`,
		patient(`"birthDate":"` + canary + `"`), patient(`"birthDate":"` + canaryBorn + `T99"`), patient(`"gender":"` + canary + `"`), patient(`"active":"` + canary + `"`),
		patient(`"name":"` + canary + `"`), patient(`"name":[{"family":"` + canary + `\u0000"}]`), patient(`"name":[{"family":"` + canary + `\ud800"}]`), patient(`"name":[{"family":"` + canary + `","family":"` + canary + `2"}]`),
		patient(`"name":[{"given":["` + canary + `",null]}]`), patient(`"multipleBirthInteger":99999999999` + canary), patient(`"telecom":[{"value":"` + canary + `"}]`),
		patient(`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>` + canary + `</script></div>"}`),
		patient(`"managingOrganization":{"reference":"Organization/` + canary + `"}`), patient(`"managingOrganization":{"reference":"` + canary + `"}`), patient(`"contact":[{"period":{"start":"` + canary + `"}}]`),
		patient(`"extension":[{"url":"` + canary + `","valueDecimal":1e99999}]`), patient(`"extension":[{"url":"` + canary + `","valueDecimal":1e400}]`), patient(`"identifier":[{"system":"` + canary + `","value":"` + strings.Repeat(canary, 3000) + `"}]`),
		patient(`"name":[{"family":"` + strings.Repeat(canary, 3000) + `"}]`), patient(`"maritalStatus":{"coding":[{"system":"` + strings.Repeat(canary, 1000) + `","code":"` + strings.Repeat(canary, 2000) + `"}]}`),
		patient(`"meta":{"profile":["` + canary + `"],"versionId":"` + canary + `"}`), patient(`"name":[{"family":"` + canary + `"}]`),
		`{"resourceType":"Observation","status":"final","code":{"text":"` + canary + `"},"valueQuantity":{"value":1e300,"unit":"` + canary + `"}}`,
		`{"resourceType":"Observation","status":"final","code":{"text":"` + canary + `"},"effectiveDateTime":"9999-12-31T23:59:59Z","issued":"0001-01-01T00:00:00+14:00"}`,
		`{"resourceType":"Bundle","type":"` + canary + `"}`, `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient?family=` + canary + `"}},{"request":{"method":"` + canary + `","url":"` + canary + `"}},{"request":{"method":"GET","url":"Patient?birthdate=` + canary + `"}}]}`,
		`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:` + canary + `","resource":{"resourceType":"Patient","name":[{"family":"` + canary + `"}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=` + canary + `"}},{"request":{"method":"DELETE","url":"Patient/` + canary + `"}}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"` + canary + `","valueString":"` + canary + `"},{"name":"resource","resource":{"resourceType":"Patient","birthDate":"` + canary + `"}}]}`,
		`[{"op":"test","path":"/name/0/family","value":"` + canary + `"}]`, `[{"op":"replace","path":"/` + canary + `","value":"` + canary + `"}]`, `[{"op":"` + canary + `"}]`,
		`[{"op":"replace","path":"/birthDate","value":"` + canary + `"}]`,
	} {
		for _, to := range [][2]string{{"POST", "Patient"}, {"PUT", "Patient/" + id}, {"PUT", "Patient/" + canary + "-new"}, {"POST", ""}, {"POST", "Patient/$validate"}, {"PATCH", "Patient/" + id}, {"POST", "Task/" + canary + "/$lock"}, {"POST", "Patient/_search"}, {"PUT", "Patient?identifier=" + canary}} {
			list = append(list, nuisance{to[0], to[1], body})
		}
	}
	return list
}

// bother sends every nuisance as several people, and many at once.
func (w *world) bother(t *testing.T) {
	t.Helper()
	found, err := w.clients["mercy-placer"].get(t.Context(), "Patient?identifier="+canary+"-mrn")
	if err != nil {
		t.Fatal(err)
	}
	id := found.Text("entry", "resource", "id")
	list := nuisances(id)
	counted := map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, who := range []string{"mercy-placer", "mercy-coordinator", "mercy-tanaka", ""} {
		all.Go(func() {
			for j := range list {
				if who == "" && j%20 != 0 {
					continue
				}
				n := list[(j+i*7)%len(list)]
				for _, status := range w.annoy(who, n) {
					mu.Lock()
					counted[status]++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	w.rival(t)
	w.raw(t)
	t.Logf("%d nuisances, answers by status: %v", len(list), counted)
	for _, status := range []int{200, 201, 400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422} {
		if counted[status] == 0 {
			t.Errorf("nothing was answered %d", status)
		}
	}
}

// annoy sends one request in each of its kinds and returns their statuses.
func (w *world) annoy(who string, n nuisance) (statuses []int) {
	for _, kind := range kindsOf(n) {
		url := w.base
		if n.path != "" {
			url += "/" + n.path
		}
		r, err := http.NewRequest(n.method, url, strings.NewReader(n.body))
		if err != nil {
			r, _ = http.NewRequest(n.method, w.base, strings.NewReader(n.body))
			r.URL.Opaque = "/fhir/" + n.path
		}
		r.Header.Set("Authorization", "Bearer "+canary)
		if who != "" {
			r.Header.Set("Authorization", "Bearer "+w.clients[who].token)
		}
		for name, value := range map[string]string{"Content-Type": kind, "If-Match": `W/"` + canary + `"`, "If-None-Exist": "identifier=" + canary, "Prefer": "handling=" + canary, "Accept-Language": canary, "User-Agent": canary, "Referer": canary, "Cookie": canary, "Origin": canary} {
			r.Header.Set(name, value)
		}
		switch len(n.body) % 3 {
		case 0:
			r.Header.Del("If-Match")
		case 1:
			r.Header.Set("If-Match", `W/"99"`)
		}
		res, err := clientHTTP.Do(r)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		statuses = append(statuses, res.StatusCode)
	}
	return statuses
}

func kindsOf(n nuisance) []string {
	switch {
	case n.method == "PATCH":
		return []string{"application/fhir+json", "application/json-patch+json"}
	case strings.HasSuffix(n.path, "_search"):
		return []string{"application/x-www-form-urlencoded"}
	case n.path == "Patient" && n.method == "POST":
		return []string{canary + "/x", "application/fhir+json"}
	}
	return []string{"application/fhir+json"}
}

// rival sends the same orders many times at once, some of them different, so
// that unique keys are met in the database and not before.
func (w *world) rival(t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	for round := range 4 {
		for i := range 6 {
			all.Go(func() {
				o := w.canaryOrder(fmt.Sprint(canary, "-race-", round))
				o.patient.mrn = fmt.Sprint(canary, "-racer-", round)
				o.patient.family += fmt.Sprint(i)
				_, _ = w.clients["mercy-placer"].send(t.Context(), http.MethodPost, "", o.bundle())
				n := fhir.Object("resourceType", "ServiceRequest", "id", fmt.Sprint(canary, i), "status", "active", "intent", "order")
				asksForASecondOpinion(n, fmt.Sprint(canary, "-race-", round), fhir.Object("display", canary))
				n.Set("subject", fhir.Object("reference", "Patient/"+canary, "display", canary))
				_, _ = w.clients["mercy-placer"].send(t.Context(), http.MethodPost, "ServiceRequest", n)
				_, _ = w.clients["mercy-placer"].send(t.Context(), http.MethodPut, fmt.Sprint("Patient/", canary, "-twin-", round), fhir.Object("resourceType", "Patient", "id", fmt.Sprint(canary, "-twin-", round), "name", []*fhir.Node{fhir.Object("family", fmt.Sprint(canary, i))}))
			})
		}
	}
	all.Wait()
}

// raw sends what is no HTTP, or not quite.
func (w *world) raw(t *testing.T) {
	t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(w.base, "http://"), "/fhir")
	for _, text := range []string{
		canary + "\r\n\r\n", "GET /" + canary + " HTTP/9.9\r\n\r\n", "GET /fhir/" + canary + " HTTP/1.1\r\n" + canary + "\r\n\r\n",
		"GET /fhir/%zz" + canary + " HTTP/1.1\r\nHost: x\r\n\r\n", "POST /fhir HTTP/1.1\r\nHost: " + canary + "\r\nContent-Length: x" + canary + "\r\n\r\n",
		"POST /fhir HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: " + canary + "\r\n\r\n", "\x16\x03\x01" + canary, "GET /fhir HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat(canary, 20000) + "\r\n\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}
