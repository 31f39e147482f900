package fhir

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestABodyMayBeCompressed(t *testing.T) {
	t.Parallel()
	r := startREST(t, func(s *Server) { s.maxBody = 20_000 })
	if got := r.post("/fhir/Patient", zipped(t, patientJSON("1")), "Content-Encoding", "gzip"); got.status != http.StatusCreated {
		t.Errorf("%d %s", got.status, got.body)
	}
	bomb := zipped(t, strings.Repeat(" ", 10_000_000))
	if len(bomb) > 20_000 {
		t.Fatalf("%d bytes are too large anyway", len(bomb))
	}
	r.post("/fhir/Patient", bomb, "Content-Encoding", "gzip").want(t, http.StatusRequestEntityTooLarge, "too-long")
	r.post("/fhir/Patient", zipped(t, patientJSON("1"))[:40], "Content-Encoding", "gzip").want(t, http.StatusBadRequest, "structure")
	r.post("/fhir/Patient", strings.Repeat("x", 10_000), "Content-Encoding", "gzip").want(t, http.StatusBadRequest, "structure")
	if got := r.post("/fhir/Patient/_search", zipped(t, "identifier=urn:mrn|1"), "Content-Encoding", "x-gzip", "Content-Type", "application/x-www-form-urlencoded"); len(got.ids()) != 1 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// The client of net/http asks for gzip by itself, and hides that it was.
func TestLargeAnswersAreCompressedForWhoAcceptsIt(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	small := r.mustCreate("Patient", patientJSON("1"))
	large := r.mustCreate("Organization", `{"resourceType":"Organization","name":"`+strings.Repeat("Radiology ", 400)+`x"}`)
	for _, c := range []struct{ path, accept, encoding string }{
		{"Organization/" + large, "gzip", "gzip"},
		{"Organization/" + large, "identity", ""},
		{"Organization?name=radiology", "gzip, deflate, br", "gzip"},
		{"Patient/" + small, "gzip", ""},
		{"Patient/none", "gzip", ""},
	} {
		got := r.get("/fhir/"+c.path, "Accept-Encoding", c.accept)
		if got.header.Get("Content-Encoding") != c.encoding || got.header.Get("Vary") == "" || got.header.Get("Content-Type") != fhirJSON {
			t.Errorf("%s for %s: %v", c.path, c.accept, got.header)
		}
		if c.encoding == "gzip" {
			plain := r.get("/fhir/"+c.path, "Accept-Encoding", "identity")
			text, err := gzip.NewReader(strings.NewReader(got.body))
			if err != nil {
				t.Fatal(err)
			}
			if whole, err := io.ReadAll(text); err != nil || string(whole) != plain.body {
				t.Errorf("%s: %v", c.path, err)
			}
		}
	}
}

func TestAHeadHasTheHeadersOfAGetAndNoBody(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	r.put("/fhir/Patient/"+id, strings.Replace(patientJSON("1"), `"Patient",`, `"Patient","id":"`+id+`",`, 1))
	for _, path := range []string{
		"/fhir/Patient/" + id, "/fhir/Patient/" + id + "/_history/1", "/fhir/Patient/" + id + "/_history", "/fhir/Patient/_history", "/fhir/_history",
		"/fhir/Patient?identifier=urn:mrn|1", "/fhir/metadata", "/fhir/CodeSystem", "/fhir/Patient/none", "/fhir/Banana", "/healthz",
	} {
		get := r.get(path, "Accept-Encoding", "identity", "X-Request-Id", "one")
		head := r.do(access.Placer, "HEAD", path, "", "Accept-Encoding", "identity", "X-Request-Id", "one")
		get.header.Del("Date")
		head.header.Del("Date")
		if head.status != get.status || head.body != "" {
			t.Errorf("%s: %d %q", path, head.status, head.body)
		}
		for name := range get.header {
			if get.header.Get(name) != head.header.Get(name) {
				t.Errorf("%s: %s is %q, of a GET %q", path, name, head.header.Get(name), get.header.Get(name))
			}
		}
	}
}

func TestAnAddressHasOneMeaningHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.put("/fhir/Organization/a-b.c", `{"resourceType":"Organization","id":"a-b.c","name":"A"}`)
	for _, path := range []string{"/fhir/Organization/a-b.c/", "/fhir/Organization/a%2Db%2ec", "/fhir/%4Frganization/a-b.c", "/fhir/Organization/a-b.c/_history/1/"} {
		if got := r.get(path); got.status != http.StatusOK || got.node.Text("name") != "A" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := r.get("/fhir/Organization/?name=A"); len(got.ids()) != 1 {
		t.Errorf("a search: %d %s", got.status, got.body)
	}
	if got := r.post("/fhir/Patient/", patientJSON("1")); got.status != http.StatusCreated {
		t.Errorf("a create: %d %s", got.status, got.body)
	}
	for _, path := range []string{"/fhir/Organization/a%2Fb", "/fhir/Organization/a%20b", "/fhir/Organization//a-b.c", "/fhir/Organization/../Organization/a-b.c%00"} {
		if got := r.get(path); got.status != http.StatusNotFound || got.node.Type() != "OperationOutcome" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestPrettyIsTheSameJSONInLines(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.put("/fhir/Observation/w", weight)
	plain, pretty := r.get("/fhir/Observation/w"), r.get("/fhir/Observation/w?_pretty=true")
	if pretty.status != http.StatusOK || !strings.Contains(pretty.body, "\n  \"id\": \"w\"") || pretty.node.jsonText() != plain.body {
		t.Errorf("%d %s", pretty.status, pretty.body)
	}
	if got := r.get("/fhir/Observation?status=final&_pretty=true"); !strings.Contains(got.body, "\n") || len(got.ids()) != 1 {
		t.Errorf("a search: %s", got.body)
	}
	if got := r.get("/fhir/Observation/none?_pretty=true"); !strings.Contains(got.body, "\n") {
		t.Errorf("a refusal: %s", got.body)
	}
	if got := r.get("/fhir/Observation/w?_pretty=false"); got.body != plain.body {
		t.Errorf("not pretty: %s", got.body)
	}
}
