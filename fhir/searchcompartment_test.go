package fhir

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// http.html#vsearch, search.html#all
func TestSeveralTypesAndCompartmentsAreSearchedAtOnce(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.check(access.Placer, []finding{
		{"?_type=Patient,Organization", "nobody max zoe hospital region"},
		{"?_type=Patient,Organization&_sort=_id", "region hospital zoe max nobody"},
		{"?_type=Patient,Organization,Patient&_id={zoe},{region}", "zoe region"},
		{"?_type=ServiceRequest,Observation&patient={zoe}", "bone order"},
		{"?_type=ServiceRequest,Observation&patient.family=zoll", "bone order"},
		{"?_type=ServiceRequest,Observation&_include=*&patient={zoe}", "bone order +zoe +radiologist +gp"},
		{"?_id={zoe},{region},{report}", "report zoe region"},
		{"/?_id={zoe}", "zoe"},
		{"/Patient/{zoe}/ServiceRequest", "order"},
		{"/Patient/{zoe}/ServiceRequest?status=draft", ""},
		{"/Patient/{zoe}/Observation?_include=Observation:performer", "bone +radiologist"},
		{"/Patient/{zoe}/*", "report bone order study zoe"},
		{"/Patient/{zoe}/*?_sort=_id", "zoe study order bone report"},
		{"/Patient/{max}/*", "lung undated later max"},
		{"/Patient/{max}/*?_type=Patient,Observation", "lung max"},
		{"/Patient/{zoe}/Patient", "zoe"},
		{"/Practitioner/{gp}/ServiceRequest", "order"},
		{"/Practitioner/{gp}/Patient", "zoe"},
		{"/Practitioner/{radiologist}/*", "bone radiologist"},
		{"/Patient/none/ServiceRequest", ""},
	})
	w.refuses(access.Placer, []refusal{
		{"?_type=Patient,Colour", "not-supported", "_type"},
		{"?_type=", "not-supported", "_type"},
		{"?_type=Patient,ServiceRequest&birthdate=1970", "not-supported", "ServiceRequest has no search parameter birthdate"},
		{"/Patient?_type=Patient", "not-supported", "several types"},
		{"/Patient/{zoe}/Task", "not-found", "compartment"},
		{"/Patient/{zoe}/Colour", "not-found", "compartment"},
		{"/Organization/{region}/Patient", "not-found", "Practitioner"},
		{"/Patient/{zoe}/Observation?colour=x", "not-supported", "Observation has no search parameter colour"},
	})
	form := func(path, form string) response {
		return w.post(w.fill(path), w.fill(form), "Content-Type", "application/x-www-form-urlencoded")
	}
	for path, values := range map[string]string{
		"/fhir/_search": "_type=Patient&_id={zoe}", "/fhir/Patient/{zoe}/Patient/_search": "", "/fhir/Patient/_search?_id={zoe}": "family=zoll",
	} {
		got := form(path, values)
		if found := w.finds(got); found != "zoe" {
			t.Errorf("POST %s finds %q: %d %s", path, found, got.status, got.body)
		}
		if self := w.get(strings.TrimPrefix(got.link("self"), w.url)); self.body != got.body {
			t.Errorf("POST %s has the self link %s, which answers %s", path, got.link("self"), self.body)
		}
	}
}

func TestAPageOfSeveralTypesGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	for _, sort := range []string{"-_id", "_id", "_lastUpdated", "-_lastUpdated"} {
		question := "?_type=Patient,Organization,Observation,ServiceRequest&_sort=" + sort
		want := w.finds(w.get("/fhir" + question))
		var got []string
		for next := "/fhir" + question + "&_count=3"; next != ""; {
			page := w.get(next)
			got = append(got, strings.Fields(w.finds(page))...)
			next = strings.TrimPrefix(page.link("next"), w.url)
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", sort, diff)
		}
	}
	w.put("/fhir/Patient/same", `{"resourceType":"Patient","id":"same"}`)
	w.put("/fhir/Organization/same", `{"resourceType":"Organization","id":"same","name":"x"}`)
	var got []string
	for next := "/fhir?_id=same&_count=1&_sort=-_id"; next != ""; {
		page := w.get(next)
		for _, e := range page.node.Each("entry", "fullUrl") {
			got = append(got, strings.TrimPrefix(e.Text(), w.url+"/fhir/"))
		}
		next = strings.TrimPrefix(page.link("next"), w.url)
	}
	if diff := cmp.Diff([]string{"Organization/same", "Patient/same"}, got); diff != "" {
		t.Errorf("two types with the same id: %s", diff)
	}
}
