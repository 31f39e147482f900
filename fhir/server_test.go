package fhir

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/overread/overread/internal/access"
)

func TestWhatIsCreatedIsReadBackByteForByte(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	created := r.post("/fhir/Patient", patientJSON("1"))
	id := created.node.Text("id")
	if created.status != http.StatusCreated {
		t.Fatal(created.status, created.body)
	}
	want := map[string]string{
		"Location":     r.url + "/fhir/Patient/" + id + "/_history/1",
		"Etag":         `W/"1"`,
		"Content-Type": "application/fhir+json; charset=utf-8",
	}
	for name, value := range want {
		if got := created.header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	read := r.get("/fhir/Patient/" + id)
	if diff := cmp.Diff(created.body, read.body); diff != "" {
		t.Error(diff)
	}
	if read.header.Get("Last-Modified") == "" || read.header.Get("ETag") != `W/"1"` {
		t.Errorf("headers of the read: %v", read.header)
	}
}

func TestAnUpdateMakesAVersionAndKeepsTheOneBefore(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	first := r.get("/fhir/Patient/" + id)

	changed := `{"resourceType":"Patient","id":"` + id + `","meta":{"versionId":"77","lastUpdated":"1999-01-01T00:00:00Z","tag":[{"code":"x"}]},"active":true}`
	updated := r.put("/fhir/Patient/"+id, changed, "If-Match", `W/"1"`)
	if updated.status != http.StatusOK || updated.node.Text("meta", "versionId") != "2" || updated.node.Text("meta", "tag", "code") != "x" {
		t.Fatal(updated.status, updated.body)
	}
	if got := r.get("/fhir/Patient/" + id + "/_history/1"); got.body != first.body {
		t.Errorf("version 1 is now %s", got.body)
	}
	if got := r.get("/fhir/Patient/" + id + "/_history/2"); got.body != updated.body {
		t.Errorf("version 2 is %s", got.body)
	}
	r.put("/fhir/Patient/"+id, changed, "If-Match", `W/"1"`).want(t, http.StatusPreconditionFailed, "conflict")
	r.get("/fhir/Patient/"+id+"/_history/3").want(t, http.StatusNotFound, "not-found")
	if got := r.get("/fhir/Patient?identifier=urn:mrn|1"); len(got.ids()) != 0 {
		t.Errorf("found by an identifier that it no longer has: %s", got.body)
	}
}

func TestAPutOfAnUnknownIDCreatesIt(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	body := `{"resourceType":"Organization","id":"radiology","name":"Radiology"}`
	if got := r.put("/fhir/Organization/radiology", body); got.status != http.StatusCreated || got.header.Get("Location") != r.url+"/fhir/Organization/radiology/_history/1" {
		t.Fatal(got.status, got.header, got.body)
	}
	if got := r.put("/fhir/Organization/radiology", body); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	r.put("/fhir/Organization/other", body).want(t, http.StatusBadRequest, "value")
	r.put("/fhir/Organization/other", `{"resourceType":"Organization","name":"x"}`).want(t, http.StatusBadRequest, "required")
	if got := r.put("/fhir/Organization/radiology", body, "If-Match", "*"); got.status != http.StatusOK {
		t.Errorf("what is there: %d %s", got.status, got.body)
	}
	r.put("/fhir/Organization/absent", `{"resourceType":"Organization","id":"absent","name":"x"}`, "If-Match", "*").want(t, http.StatusPreconditionFailed, "conflict")
	r.put("/fhir/Organization?name=absent", `{"resourceType":"Organization","name":"x"}`, "If-Match", "*").want(t, http.StatusPreconditionFailed, "conflict")
	r.put("/fhir/Organization/absent", `{"resourceType":"Organization","id":"absent","name":"x"}`, "If-Match", `W/"1"`).want(t, http.StatusPreconditionFailed, "conflict")
}

func TestAnUnchangedResourceIsNotSentAgain(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	path := "/fhir/Patient/" + r.mustCreate("Patient", patientJSON("1"))
	modified := r.get(path).header.Get("Last-Modified")
	for _, header := range [][]string{{"If-None-Match", `W/"1"`}, {"If-None-Match", `W/"0", W/"1"`}, {"If-Modified-Since", modified}} {
		if got := r.get(path, header...); got.status != http.StatusNotModified || got.body != "" {
			t.Errorf("%v: %d %s", header, got.status, got.body)
		}
	}
	if got := r.get(path, "If-None-Match", `W/"2"`, "If-Modified-Since", modified); got.status != http.StatusOK {
		t.Errorf("another version: %d", got.status)
	}
}

func TestPreferSaysHowMuchComesBack(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	if got := r.post("/fhir/Patient", patientJSON("1"), "Prefer", "return=minimal"); got.status != http.StatusCreated || got.body != "" || got.header.Get("ETag") == "" {
		t.Errorf("minimal: %d %q", got.status, got.body)
	}
	if got := r.post("/fhir/Patient", patientJSON("1"), "Prefer", "return=OperationOutcome"); got.node.Type() != "OperationOutcome" {
		t.Errorf("OperationOutcome: %d %q", got.status, got.body)
	}
}

// Every refusal is an OperationOutcome, whoever made it: the handler, the
// router, or net/http.
func TestEveryRefusalIsAnOperationOutcome(t *testing.T) {
	t.Parallel()
	r := startREST(t, func(s *Server) { s.maxBody = 2000 })
	id := r.mustCreate("Patient", patientJSON("1"))
	fhirBody := []string{"Content-Type", "application/fhir+json"}
	cases := []struct {
		name         string
		as           access.Role
		method, path string
		body         string
		header       []string
		status       int
		code         string
	}{
		{"no such address", "placer", "GET", "/nowhere", "", nil, 404, "not-found"},
		{"no such type", "placer", "GET", "/fhir/Banana/1", "", nil, 404, "not-found"},
		{"a type that is not stored", "placer", "POST", "/fhir/Banana", "{}", nil, 404, "not-found"},
		{"no such id", "placer", "GET", "/fhir/Patient/none", "", nil, 404, "not-found"},
		{"an id with NUL", "placer", "GET", "/fhir/Patient/%00", "", nil, 404, "not-found"},
		{"an id with a slash", "placer", "GET", "/fhir/Patient/a%2fb", "", nil, 404, "not-found"},
		{"an operation on an id with NUL", "placer", "POST", "/fhir/Task/%00/$claim", "", nil, 404, "not-found"},
		{"an update of an id with NUL", "placer", "PUT", "/fhir/Patient/%00", patientJSON("1"), nil, 404, "not-found"},
		{"no such version", "placer", "GET", "/fhir/Patient/" + id + "/_history/9", "", nil, 404, "not-found"},
		{"a version that is no number", "placer", "GET", "/fhir/Patient/" + id + "/_history/x", "", nil, 404, "not-found"},
		{"a method that is not served", "placer", "TRACE", "/fhir/Patient/" + id, "", nil, 405, "not-supported"},
		{"a delete of what is read-only", "placer", "DELETE", "/fhir/CodeSystem/x", "", nil, 405, "not-supported"},
		{"a patch in XML", "placer", "PATCH", "/fhir/Patient/" + id, "<diff/>", []string{"Content-Type", "application/xml-patch+xml"}, 415, "not-supported"},
		{"a write to what is read-only", "placer", "POST", "/fhir/CodeSystem", "{}", nil, 405, "not-supported"},
		{"no token", "", "GET", "/fhir/Patient/" + id, "", nil, 401, "login"},
		{"a wrong token", "", "GET", "/fhir/Patient/" + id, "", []string{"Authorization", "Bearer nobody"}, 401, "login"},
		{"basic authentication", "", "GET", "/fhir/Patient/" + id, "", []string{"Authorization", "Basic eDp5"}, 401, "login"},
		{"a reader writes", "reader", "POST", "/fhir/Patient", patientJSON("2"), nil, 403, "forbidden"},
		{"an auditor writes", "auditor", "PUT", "/fhir/Patient/" + id, patientJSON("2"), nil, 403, "forbidden"},
		{"XML", "placer", "POST", "/fhir/Patient", "<Patient/>", []string{"Content-Type", "application/fhir+xml"}, 415, "not-supported"},
		{"no Content-Type", "placer", "POST", "/fhir/Patient", "{}", []string{"Content-Type", ""}, 415, "not-supported"},
		{"latin-1", "placer", "POST", "/fhir/Patient", "{}", []string{"Content-Type", "application/json; charset=latin1"}, 415, "not-supported"},
		{"deflate", "placer", "POST", "/fhir/Patient", "{}", []string{"Content-Encoding", "deflate"}, 415, "not-supported"},
		{"gzip that is none", "placer", "POST", "/fhir/Patient", "{}", []string{"Content-Encoding", "gzip"}, 400, "structure"},
		{"a search in JSON", "placer", "POST", "/fhir/Patient/_search", "{}", fhirBody, 415, "not-supported"},
		{"a history parameter of no history", "placer", "GET", "/fhir/Patient/_history?name=x", "", nil, 400, "not-supported"},
		{"XML wanted", "placer", "GET", "/fhir/Patient/" + id, "", []string{"Accept", "application/fhir+xml"}, 406, "not-supported"},
		{"XML wanted by _format", "placer", "GET", "/fhir/Patient/" + id + "?_format=xml", "", nil, 406, "not-supported"},
		{"FHIR 5 wanted", "placer", "GET", "/fhir/Patient/" + id, "", []string{"Accept", "application/fhir+json; fhirVersion=5.0"}, 406, "not-supported"},
		{"too large", "placer", "POST", "/fhir/Patient", strings.Repeat(" ", 3000), nil, 413, "too-long"},
		{"no body", "placer", "POST", "/fhir/Patient", "", fhirBody, 400, "structure"},
		{"not JSON", "placer", "POST", "/fhir/Patient", "hello", nil, 400, "structure"},
		{"another type", "placer", "POST", "/fhir/Patient", `{"resourceType":"Organization","name":"x"}`, nil, 400, "structure"},
		{"If-Match that is no ETag", "placer", "PUT", "/fhir/Patient/" + id, `{"resourceType":"Patient","id":"` + id + `"}`, []string{"If-Match", "x"}, 400, "value"},
		{"a Bundle of another type", "placer", "POST", "/fhir", `{"resourceType":"Bundle","type":"collection"}`, nil, 400, "not-supported"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := r.do(c.as, c.method, c.path, c.body, c.header...)
			got.want(t, c.status, c.code)
			if got.node.Type() != "OperationOutcome" || got.header.Get("Content-Type") != fhirJSON || got.header.Get("X-Request-Id") == "" {
				t.Errorf("not an OperationOutcome with its request id: %v %s", got.header, got.body)
			}
			if got.status == 401 && got.header.Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
			if got.status == 405 && got.header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
}

func TestWhatAnyClientMayAcceptIsServed(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	path := "/fhir/Patient/" + r.mustCreate("Patient", patientJSON("1"))
	for _, accept := range []string{"", "*/*", "application/json", "application/fhir+json; fhirVersion=4.0", "text/html, application/xhtml+xml, */*;q=0.8", "application/fhir+xml;q=0.5, application/fhir+json"} {
		if got := r.get(path, "Accept", accept); got.status != http.StatusOK {
			t.Errorf("Accept %q: %d", accept, got.status)
		}
	}
	if got := r.get(path, "Accept", "application/json;q=0"); got.status != http.StatusNotAcceptable {
		t.Errorf("q=0: %d", got.status)
	}
	if got := r.get(path + "?_format=application/fhir%2Bjson"); got.status != http.StatusOK {
		t.Errorf("_format: %d", got.status)
	}
	if got := r.do("placer", "HEAD", path, ""); got.status != http.StatusOK || got.header.Get("ETag") == "" {
		t.Errorf("HEAD: %d %v", got.status, got.header)
	}
}

func TestTheLogHasTheRouteAndNothingOfThePatient(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := startREST(t, func(s *Server) { s.log = slog.New(slog.NewTextHandler(&log, nil)) })
	got := r.get("/fhir/Patient?family=Secretname&identifier=urn:mrn|4711", "X-Request-Id", "abc-1")
	if got.header.Get("X-Request-Id") != "abc-1" {
		t.Errorf("X-Request-Id is %q", got.header.Get("X-Request-Id"))
	}
	if hostile := r.get("/fhir/Patient/x4711", "X-Request-Id", "a b=c"); hostile.header.Get("X-Request-Id") == "a b=c" {
		t.Error("a request id that could forge a log line was taken over")
	}
	r.get("/nowhere/4711?x=Secretname")
	r.do("placer", "DELETE", "/fhir/Patient/4711", "")
	line := log.String()
	for _, want := range []string{"method=GET", "route=/fhir/:type", "status=200", "request_id=abc-1", "route=/fhir/:type/:id", "status=404"} {
		if !strings.Contains(line, want) {
			t.Errorf("the log has no %s: %s", want, line)
		}
	}
	for _, secret := range []string{"Secretname", "4711", "a b=c"} {
		if strings.Contains(line, secret) {
			t.Errorf("the log has %s: %s", secret, line)
		}
	}
}

func TestAPanicTellsTheClientNothing(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := startREST(t, func(s *Server) {
		s.log = slog.New(slog.NewTextHandler(&log, nil))
		s.resources["Patient"].content = func() []*Node { panic("Jane Doe") }
	})
	got := r.get("/fhir/Patient/1")
	got.want(t, http.StatusInternalServerError, "exception")
	if strings.Contains(got.body+log.String(), "Jane") {
		t.Errorf("the panic's value got out: %s %s", got.body, log.String())
	}
	if !strings.Contains(log.String(), "panic") {
		t.Error("nothing was logged")
	}
}

func TestAnInternalErrorIsLoggedWithItsRequestAndShownWithout(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := startREST(t, func(s *Server) {
		s.log = slog.New(slog.NewTextHandler(&log, nil))
		s.resources["Patient"].name = "Patient\x00" // makes PostgreSQL refuse
	})
	got := r.get("/fhir/Patient/1", "X-Request-Id", "abc-2")
	got.want(t, http.StatusInternalServerError, "exception")
	if !strings.Contains(log.String(), "request_id=abc-2") || !strings.Contains(log.String(), "internal error") {
		t.Errorf("log: %s", log.String())
	}
}

func TestWhatPassesByItselfIsUnavailableAndNotAnInternalError(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&pgconn.PgError{Code: "57P01"}, &pgconn.PgError{Code: "53100"}, &pgconn.PgError{Code: "25006"}, &pgconn.PgError{Code: "40P01"},
		&net.OpError{Op: "read", Err: syscall.ECONNRESET}, fmt.Errorf("read resource: %w", io.ErrUnexpectedEOF), context.Canceled,
	} {
		if status, _ := Outcome(explain(fmt.Errorf("publish: %w", err)), ""); status != http.StatusServiceUnavailable {
			t.Errorf("%v: %d", err, status)
		}
	}
	if status, _ := Outcome(explain(&pgconn.PgError{Code: "23505"}), ""); status != http.StatusInternalServerError {
		t.Errorf("a constraint: %d", status)
	}
}

func TestNobodyNeedsATokenToSeeWhetherTheServerIsUp(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, path := range []string{"/healthz", "/readyz", "/fhir/metadata"} {
		if got := r.do("", "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestEachRouteIsRegisteredOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range (&Server{}).routes() {
		name := fmt.Sprint(r.method, " ", r.path)
		if seen[name] {
			t.Errorf("%s stands twice in the table", name)
		}
		seen[name] = true
	}
}
