package fhir

import (
	"net/http"
	"testing"
)

// An EHR that fails to fill its condition in must not create without one (" " arrives as an empty header).
func TestAnEmptyConditionIsRefusedAndNotIgnored(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", " ").want(t, http.StatusBadRequest, "value")
	if n := r.count("resource"); n != 0 {
		t.Errorf("%d resources are left", n)
	}
}

func TestAVersionHasOneAddress(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	for version, status := range map[string]int{"1": http.StatusOK, "01": http.StatusNotFound, "+1": http.StatusNotFound, "2": http.StatusNotFound} {
		if got := r.get("/fhir/Patient/" + id + "/_history/" + version); got.status != status {
			t.Errorf("version %s: %d, want %d", version, got.status, status)
		}
	}
}

// The HAPI client sends the whole address of the search.
func TestIfNoneExistMayComeWithTheAddressOfItsSearch(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	first := r.mustCreate("Patient", patientJSON("1"))
	for _, address := range []string{"", "?", "Patient?", r.url + "/fhir/Patient?"} {
		got := r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", address+"identifier=urn:mrn%7C1")
		if got.status != http.StatusOK || got.node.Text("id") != first {
			t.Errorf("%s: %d %s", address, got.status, got.body)
		}
	}
	if got := r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", "https://elsewhere.example/fhir/Patient?identifier=urn:mrn%7C1"); got.status != http.StatusBadRequest {
		t.Errorf("another server's address: %d", got.status)
	}
}
