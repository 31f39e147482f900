package fhir

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
)

// What a developer reads when something is not as they thought.
func TestARefusalSaysWhatIsThere(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
		says               string
	}{
		{"GET", "/fhir/CodeSystem/case-state/$lookup", "", nil, 404, "no such operation of one CodeSystem"},
		{"GET", "/fhir/Task/x/$bogus", "", nil, 404, "no such operation of one Task"},
		{"GET", "/fhir/CodeSystem/$subsumes", "", nil, 400, "no such operation on the type as a whole"},
		{"GET", "/fhir/Organization/x/Patient", "", nil, 404, "compartments of Patient and Practitioner only"},
		{"POST", "/fhir/metadata", "{}", nil, 405, "GET /fhir/metadata"},
		{"PATCH", "/fhir/Patient/" + id, "[]", []string{"Content-Type", "text/plain"}, 415, "application/json-patch+json or application/fhir+json"},
		{"GET", "/fhir/Patient", "", []string{"Accept", "text/turtle"}, 406, "_format"},
		{"GET", "/fhir/Patient?foo=1", "", nil, 400, "Patient has no search parameter foo; it has: _has, _id"},
		{"GET", "/fhir/Patient?foo=1", "", nil, 400, "and for the answer: _count"},
		{"GET", "/fhir/Patient?4711=1", "", nil, 400, "Patient has no such search parameter;"},
		{"POST", "/fhir/Patient", orderJSON("Patient/" + id), nil, 400, "the type of the body is ServiceRequest, but this address takes Patient"},
		{"PUT", "/fhir/Organization/none", `{"resourceType":"Organization","id":"none","name":"A"}`, []string{"If-Match", `W/"3"`}, 412, "there is no such resource"},
	} {
		got := r.do(access.Placer, c.method, c.path, c.body, c.header...)
		if text := got.node.Text("issue", "details", "text"); got.status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s %s: %d %s", c.method, c.path, got.status, text)
		}
	}
	if allow := r.post("/fhir/metadata", "{}").header.Get("Allow"); allow != "GET, HEAD" {
		t.Errorf("POST /fhir/metadata: Allow is %q", allow)
	}
}

// A request has its time, whatever it asks for; in a batch each entry is told.
func TestARequestThatTakesTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	r := startREST(t, func(s *Server) { s.patience = time.Nanosecond })
	for _, got := range []response{r.get("/fhir/Patient/a"), r.get("/fhir/Patient"), r.post("/fhir/Patient", patientJSON("1"))} {
		got.want(t, http.StatusServiceUnavailable, "transient")
		if got.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

func TestVersionSpecificReferencesLeadToAVersionThatIsThere(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	r.put("/fhir/Patient/"+id, strings.Replace(patientJSON("1"), "{", `{"id":`+quoted(id)+",", 1))
	for version, status := range map[string]int{"1": 201, "2": 201, "3": 422, "999": 422, "0": 422, "01": 422, "x": 422} {
		for _, base := range []string{"", r.url + "/fhir/"} {
			got := r.post("/fhir/ServiceRequest", orderJSON(base+"Patient/"+id+"/_history/"+version))
			if got.status != status {
				t.Errorf("%s of %q: %d %s", version, base, got.status, got.body)
			}
			if status == 422 && got.node.Text("issue", "expression") != "ServiceRequest.subject.reference" {
				t.Errorf("%s: %s", version, got.body)
			}
		}
	}
}

// FHIR R4 bundle.html#references: links of a narrative lead where references do.
func TestLinksOfANarrativeKeepWhatFollows(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	link := func(to string) string { return `<a href=\"` + to + `\">x</a>` }
	patient := urn + "1"
	got := r.post("/fhir", bundleJSON(
		entryJSON(patient, "POST", "Patient", "", patientJSON("1")),
		entryJSON(urn+"2", "POST", "Organization", "", `{"resourceType":"Organization","name":"A","text":{"status":"additional","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">`+
			link(patient)+link(patient+"#p1")+link(patient+"/_history/1")+link("#here")+link("https://x.example/a#b")+`</div>"}}`)), "Prefer", "return=representation")
	if got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	here := "Patient/" + got.node.Each("entry", "resource")[0].Text("id")
	div := got.node.Each("entry", "resource")[1].Text("text", "div")
	for _, want := range []string{here, here + "#p1", here + "/_history/1", "#here", "https://x.example/a#b"} {
		if !strings.Contains(div, `href="`+want+`"`) {
			t.Errorf("no link to %s in %s", want, div)
		}
	}
}
