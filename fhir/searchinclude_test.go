package fhir

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// FHIR R4 search.html#revinclude.
func TestIncludesBringWhatIsReferredTo(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.check(access.Placer, []finding{
		{"/ServiceRequest?_include=ServiceRequest:patient", "undated later order +max +zoe"},
		{"/ServiceRequest?_include=ServiceRequest:subject:Patient&status=draft", "undated +max"},
		{"/ServiceRequest?_include=ServiceRequest:subject:Group&status=draft", "undated"},
		{"/ServiceRequest?_include=ServiceRequest:based-on", "undated later order"},
		{"/ServiceRequest?_include=ServiceRequest:based-on&_id={later}", "later +order"},
		{"/ServiceRequest?_include=ServiceRequest:*&_id={order}", "order +zoe +gp"},
		{"/ServiceRequest?_include=*&_id={order}", "order +zoe +gp"},
		{"/ServiceRequest?_include=ServiceRequest:patient&_include=Patient:organization&_id={order}", "order +zoe"},
		{"/ServiceRequest?_include=ServiceRequest:patient&_include:iterate=Patient:organization&_id={order}", "order +zoe +hospital"},
		{"/ServiceRequest?_include=ServiceRequest:patient&_include:iterate=Patient:organization&_include:iterate=Organization:partof&_id={order}", "order +zoe +hospital +region"},
		{"/Patient?_revinclude=Observation:patient&_id={zoe}", "zoe +bone"},
		{"/Patient?_revinclude=Observation:subject:Patient&_id={zoe}", "zoe +bone"},
		{"/Patient?_revinclude=Observation:subject:Group&_id={zoe}", "zoe"},
		{"/Patient?_revinclude=Observation:patient&_revinclude:iterate=DiagnosticReport:result&_id={zoe}", "zoe +bone +report"},
		{"/Patient?_revinclude=*&_id={zoe}", "zoe +report +study +bone +order"},
		{"/Organization?_revinclude:iterate=Organization:partof&_id={region}", "region +hospital"},
		{"/ServiceRequest?_include=Observation:patient&_id={order}", "order"},
		{"/ServiceRequest?_count=1&_include=ServiceRequest:patient", "undated +max"},
	})
	w.refuses(access.Placer, []refusal{
		{"/ServiceRequest?_include:recurse=ServiceRequest:patient", "not-supported", ":iterate"},
		{"/ServiceRequest?_include:exact=ServiceRequest:patient", "not-supported", ":iterate"},
		{"/ServiceRequest?_include=ServiceRequest:colour", "not-supported", "patient"},
		{"/ServiceRequest?_include=ServiceRequest:status", "not-supported", "patient"},
		{"/ServiceRequest?_include=ServiceRequest", "value", "Type:parameter"},
		{"/ServiceRequest?_include=", "value", "Type:parameter"},
		{"/ServiceRequest?_include=:patient", "value", "Type:parameter"},
		{"/ServiceRequest?_include=ServiceRequest:", "value", "Type:parameter"},
		{"/ServiceRequest?_include=ServiceRequest:patient:", "value", "Type:parameter"},
		{"/ServiceRequest?_include=Colour:patient", "not-supported", "type"},
		{"/ServiceRequest?_include=ServiceRequest:patient:Colour", "not-supported", "type"},
		{"/ServiceRequest?_include=ServiceRequest:patient&_summary=text", "value", "_summary=text"},
		{"/ServiceRequest?_id=1" + strings.Repeat("&_include=*", 21), "not-supported", "20 includes"},
	})
}

// What is included is bounded, and it is said that more was left out.
func TestIncludesEndSomewhere(t *testing.T) {
	t.Parallel()
	r := startLibrary(t, maxIncluded+200)
	got := r.get("/fhir/Observation?_count=500&_sort=_id&_include=Observation:patient&_revinclude:iterate=ServiceRequest:patient")
	modes := map[string]int{}
	seen := map[string]bool{}
	for _, e := range got.node.Each("entry") {
		modes[e.Text("search", "mode")]++
		if url := e.Text("fullUrl"); url != "" && seen[url] {
			t.Errorf("%s comes twice", url)
		} else {
			seen[url] = true
		}
	}
	if diff := cmp.Diff(map[string]int{"match": 500, "include": maxIncluded, "outcome": 1}, modes); diff != "" {
		t.Error(diff)
	}
	if text := got.node.Each("entry")[500+maxIncluded].Text("resource", "issue", "code"); text != "incomplete" {
		t.Errorf("the outcome says %q", text)
	}
	chain := ""
	for i := range maxRounds + 3 {
		chain += fmt.Sprintf(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012d","resource":{"resourceType":"Organization","name":"o","partOf":{"reference":"urn:uuid:00000000-0000-4000-8000-%012d"}},"request":{"method":"POST","url":"Organization"}},`, i, i+1)
	}
	chain += fmt.Sprintf(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012d","resource":{"resourceType":"Organization","name":"end"},"request":{"method":"POST","url":"Organization"}}`, maxRounds+3)
	r.expect(http.StatusOK, r.post("/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[`+chain+`]}`))
	got = r.get("/fhir/Organization?name=end&_revinclude:iterate=Organization:partof")
	if n := len(got.node.Each("entry")); n != 1+maxRounds+1 {
		t.Errorf("an endless iteration has %d entries", n)
	}
}

// What the CapabilityStatement says can be included is served.
func TestTheIncludesOfTheCapabilityStatementAreServed(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	listed := 0
	for _, resource := range r.get("/fhir/metadata").node.Each("rest", "resource") {
		for element, parameter := range map[string]string{"searchInclude": "_include", "searchRevInclude": "_revinclude"} {
			for chunk := range slices.Chunk(resource.Each(element), maxIncludes) {
				question := "/fhir/" + resource.Text("type") + "?_id=none"
				for _, value := range chunk {
					question += "&" + parameter + "=" + value.Text()
					listed++
				}
				got := r.do(access.Director, "GET", question, "")
				if got.status != http.StatusOK {
					t.Errorf("%s: %d %s", question, got.status, got.body)
				}
			}
		}
	}
	if listed < 200 {
		t.Errorf("only %d includes are listed", listed)
	}
}
