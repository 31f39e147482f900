package fhir

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// Every chain and every _has that there is, with the types at both ends.
func TestASearchNeedsTheScopeOfEveryTypeOnItsWay(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	asked := 0
	for _, from := range r.server.typeNames {
		row := r.server.resources[from]
		if !row.kept() || from == auditEventType {
			continue
		}
		for _, p := range row.search {
			if p.kind != "reference" {
				continue
			}
			for _, to := range r.server.leadsTo(p) {
				if to == auditEventType || to == from {
					continue
				}
				chain, has := from+"?"+p.name+":"+to+"._id=1", to+"?_has:"+from+":"+p.name+":_id=1"
				for _, c := range [][2]string{{chain, from}, {chain, to}, {has, from}, {has, to}} {
					path, needed := c[0], c[1]
					asked++
					if got := r.do(r.with(access.Placer, r.allBut(needed, "s")), "GET", "/fhir/"+path, ""); got.status != http.StatusForbidden {
						t.Errorf("%s without %s.s: %d %s", path, needed, got.status, got.body)
					}
				}
			}
		}
	}
	if asked < 300 {
		t.Errorf("only %d searches", asked)
	}
	for path, scopes := range map[string]string{
		"ServiceRequest?subject:Patient.family=x":               "system/ServiceRequest.s system/Patient.s",
		"Patient?_has:ServiceRequest:subject:status=active":     "system/ServiceRequest.s system/Patient.s",
		"Task?based-on:ServiceRequest.subject:Patient.family=x": "system/Task.s system/ServiceRequest.s system/Patient.s",
	} {
		if got := r.do(r.with(access.Placer, scopes), "GET", "/fhir/"+path, ""); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		parts := strings.Fields(scopes)
		for i := range parts {
			fewer := strings.Join(slices.Delete(slices.Clone(parts), i, i+1), " ")
			if got := r.do(r.with(access.Placer, fewer), "GET", "/fhir/"+path, ""); got.status != http.StatusForbidden {
				t.Errorf("%s with %s: %d", path, fewer, got.status)
			}
		}
	}
}

// kinds are the types of what is on a page, each once, with how it came there.
func (a response) kinds() []string {
	found := map[string]bool{}
	for _, entry := range a.node.Each("entry") {
		found[strings.TrimSpace(entry.Text("resource", "resourceType")+" "+entry.Text("search", "mode"))] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// onePatient makes a patient, and a resource of several types of theirs.
func (r *rest) onePatient() string {
	patient := r.mustCreate("Patient", patientJSON("1"))
	subject := `{"reference":"Patient/` + patient + `"}`
	for _, typ := range []string{"Observation", "Condition", "Encounter", "Task"} {
		r.mustCreate(typ, strings.Replace(exampleOf(typ).body, patientElsewhere, subject, 1))
	}
	r.mustCreate("ServiceRequest", orderJSON("Patient/"+patient))
	return patient
}

func TestWhatTheScopesDoNotCoverIsLeftOutOfWhatComesAlong(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := r.onePatient()
	for _, c := range []struct {
		path, scopes string
		want         []string
	}{
		{"ServiceRequest?_include=ServiceRequest:subject", "system/ServiceRequest.s", []string{"ServiceRequest match"}},
		{"ServiceRequest?_include=ServiceRequest:subject", "system/ServiceRequest.s system/Patient.cuds", []string{"ServiceRequest match"}},
		{"ServiceRequest?_include=ServiceRequest:subject", "system/ServiceRequest.s system/Patient.r", []string{"Patient include", "ServiceRequest match"}},
		{"ServiceRequest?_include=*", "system/ServiceRequest.s", []string{"ServiceRequest match"}},
		{"Patient?_revinclude=Observation:subject", "system/Patient.rs", []string{"Patient match"}},
		{"Patient?_revinclude=Observation:subject", "system/Patient.rs system/Observation.crud", []string{"Patient match"}},
		{"Patient?_revinclude=Observation:subject", "system/Patient.rs system/Observation.s", []string{"Observation include", "Patient match"}},
		{"Patient?_revinclude=*", "system/Patient.rs system/Observation.s", []string{"Observation include", "Patient match"}},
		{"ServiceRequest?_include=ServiceRequest:subject&_revinclude:iterate=Observation:subject", "system/ServiceRequest.s system/Observation.s", []string{"ServiceRequest match"}},
		{"ServiceRequest?_include=ServiceRequest:subject&_revinclude:iterate=Observation:subject", "system/ServiceRequest.s system/Patient.r system/Observation.s", []string{"Observation include", "Patient include", "ServiceRequest match"}},
		{"Patient/" + patient + "/*", "system/Observation.s", []string{"Observation match"}},
		{"?_lastUpdated=gt2000", "system/Observation.s system/Patient.s", []string{"Observation match", "Patient match"}},
		{"_history", "system/Observation.s system/Patient.r", []string{"Observation"}},
		{"Patient/" + patient + "/$everything", "system/Patient.r", []string{"Patient match"}},
		{"Patient/" + patient + "/$everything", "system/Patient.r system/Observation.s system/Condition.r", []string{"Condition match", "Patient match"}},
	} {
		got := r.do(r.with(access.Placer, c.scopes), "GET", "/fhir/"+c.path, "")
		if diff := cmp.Diff(c.want, got.kinds()); got.status != http.StatusOK || diff != "" {
			t.Errorf("%s with %s: %d %s", c.path, c.scopes, got.status, diff)
		}
	}
	for path, scopes := range map[string]string{
		"?_type=Patient,Observation":          "system/Observation.s",
		"?_lastUpdated=gt2000":                "system/Observation.crud",
		"_history":                            "system/Observation.crud",
		"Patient/" + patient + "/Observation": "system/Patient.cruds",
		"Patient/" + patient + "/*":           "system/Observation.crud",
		"Patient/" + patient + "/$everything?_type=Patient,Observation": "system/Patient.r",
	} {
		if got := r.do(r.with(access.Placer, scopes), "GET", "/fhir/"+path, ""); got.status != http.StatusForbidden {
			t.Errorf("%s with %s: %d %s", path, scopes, got.status, got.body)
		}
	}
}

func TestAConditionalReferenceNeedsTheScopeOfWhatItFinds(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.mustCreate("Patient", patientJSON("1"))
	order := orderJSON("Patient?identifier=urn:mrn|1")
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + order + `,"request":{"method":"POST","url":"ServiceRequest"}}]}`
	for scopes, allowed := range map[string]bool{
		"system/ServiceRequest.cruds system/Patient.crud": false,
		"system/ServiceRequest.c system/Patient.s":        true,
	} {
		got := r.do(r.with(access.Placer, scopes), "POST", "/fhir", bundle)
		if allowed != (got.status < 300) || !allowed && got.status != http.StatusForbidden {
			t.Errorf("with %s: %d %s", scopes, got.status, got.body)
		}
	}
	exist := []string{"If-None-Exist", "identifier=urn:mrn|1"}
	if got := r.do(r.with(access.Placer, "system/Patient.crud"), "POST", "/fhir/Patient", patientJSON("1"), exist...); got.status != http.StatusForbidden {
		t.Errorf("If-None-Exist without s: %d", got.status)
	}
	if got := r.do(r.with(access.Placer, "system/Patient.cs"), "POST", "/fhir/Patient", patientJSON("1"), exist...); got.status != http.StatusOK {
		t.Errorf("If-None-Exist with s: %d %s", got.status, got.body)
	}
}
