package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	south := pgtest.AddTenant(t, r.db, "south")
	token, _ := pgtest.AddToken(t, r.db, south, access.Placer)
	as := []string{"Authorization", "Bearer " + token}
	id := r.mustCreate("Patient", patientJSON("1"))

	r.get("/fhir/Patient/"+id, as...).want(t, http.StatusNotFound, "not-found")
	r.get("/fhir/Patient/"+id+"/_history/1", as...).want(t, http.StatusNotFound, "not-found")
	for _, question := range []string{"", "?identifier=urn:mrn|1", "?_id=" + id, "?family=mull", "?birthdate=1970"} {
		if got := r.get("/fhir/Patient"+question, as...); got.status != http.StatusOK || len(got.ids()) != 0 {
			t.Errorf("%s: %d %s", question, got.status, got.body)
		}
	}
	r.post("/fhir/ServiceRequest", orderJSON("Patient/"+id), as...).want(t, http.StatusUnprocessableEntity, "business-rule")
	if got := r.post("/fhir/Patient", patientJSON("1"), append(as, "If-None-Exist", "identifier=urn:mrn|1")...); got.status != http.StatusCreated {
		t.Errorf("the other tenant's patient stood in the way: %d %s", got.status, got.body)
	}
	r.patch("/fhir/Patient/"+id, `[]`, as...).want(t, http.StatusNotFound, "not-found")
	r.get("/fhir/Patient/"+id+"/_history", as...).want(t, http.StatusNotFound, "not-found")
	if got := r.remove("/fhir/Patient/"+id, as...); got.status != http.StatusNoContent || got.header.Get("ETag") != "" {
		t.Errorf("a delete: %d %v", got.status, got.header)
	}
	if got := r.get("/fhir/Patient/" + id); got.status != http.StatusOK {
		t.Errorf("the other tenant deleted it: %d", got.status)
	}
	for _, path := range []string{"/fhir/_history", "/fhir/Patient/_history"} {
		if got := r.get(path, as...); got.status != http.StatusOK || strings.Contains(got.body, id) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	first, second := r.post("/fhir", orderTransaction("1")), r.post("/fhir", orderTransaction("1"), as...)
	if first.status != http.StatusOK || second.status != http.StatusOK || first.body == second.body {
		t.Errorf("the same bytes of two tenants: %d %d", first.status, second.status)
	}
}
