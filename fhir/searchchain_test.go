package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// FHIR R4 search.html#chaining and #has.
func TestChainsGoOverReferencesInBothDirections(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.check(access.Placer, []finding{
		{"/ServiceRequest?subject:Patient.family=zoll", "order"},
		{"/ServiceRequest?subject:Patient.family=adler", "undated later"},
		{"/ServiceRequest?patient.identifier=urn:mrn|1", "order"},
		{"/ServiceRequest?patient.birthdate=1990&status=draft", "undated"},
		{"/ServiceRequest?patient.family:exact=Zoll", "order"},
		{"/ServiceRequest?patient._id={zoe}", "order"},
		{"/ServiceRequest?patient.organization.name=north", "order"},
		{"/ServiceRequest?patient.organization.name=r", "undated later"},
		{"/ServiceRequest?patient.organization.partof.name=region", "order"},
		{"/ServiceRequest?patient.family=zoll,adler", "undated later order"},
		{"/ServiceRequest?patient.family=zoll&patient.family=adler", ""},
		{"/ServiceRequest?patient.family=adler&patient.birthdate=1990", "undated later"},
		{"/ServiceRequest?based-on.patient.family=zoll", "later"},
		{"/ServiceRequest?based-on.based-on.based-on.status=active", ""},
		{"/DiagnosticReport?result.code=bone", "report"},
		{"/DiagnosticReport?result.code=lung", ""},
		{"/Patient?general-practitioner:Practitioner.family=good", "zoe"},

		{"/Patient?_has:Observation:patient:code=bone", "zoe"},
		{"/Patient?_has:Observation:subject:code=bone,lung", "max zoe"},
		{"/Patient?_has:Observation:patient:code=bone&_has:Observation:patient:code=lung", ""},
		{"/Patient?_has:ServiceRequest:patient:requester:Practitioner.family=good", "zoe"},
		{"/Practitioner?_has:ServiceRequest:requester:patient.family=zoll", "gp"},
		{"/Organization?_has:Patient:organization:_has:Observation:patient:code=bone", "hospital"},
		{"/Organization?_has:Patient:organization:_has:Observation:patient:performer:Practitioner.identifier=7", "hospital"},
		{"/ServiceRequest?patient._has:Observation:patient:code=lung", "undated later"},
		{"/Organization?_has:Patient:organization:birthdate=gt1980", "region"},
	})
	w.refuses(access.Placer, []refusal{
		{"/ServiceRequest?subject.name=x", "value", "subject:"},
		{"/ServiceRequest?subject:Group.colour=x", "not-supported", "Group has no search parameter colour"},
		{"/ServiceRequest?subject:Practitioner.name=x", "value", "does not lead"},
		{"/ServiceRequest?patient.colour=x", "not-supported", "Patient has no search parameter colour"},
		{"/ServiceRequest?colour.name=x", "not-supported", "ServiceRequest has no search parameter colour.name"},
		{"/ServiceRequest?status.name=x", "not-supported", "no reference"},
		{"/ServiceRequest?patient.birthdate=yesterday", "value", ""},
		{"/ServiceRequest?based-on.based-on.based-on.based-on.status=active", "not-supported", "3 references"},
		{"/Patient?_has:Observation:patient", "value", "_has:Type"},
		{"/Patient?_has:Colour:patient:code=x", "not-supported", "_has"},
		{"/Patient?_has:Observation:code:code=x", "not-supported", "reference parameter"},
		{"/Patient?_has:Observation:encounter:code=x", "value", "never leads"},
		{"/Patient?_has:Observation:patient:colour=x", "not-supported", "Observation has no"},
		{"/Patient?_has:Observation:patient:_has:DiagnosticReport:result:_has:Provenance:target:_has:Provenance:entity:agent=x", "not-supported", "3 references"},
		{"/Patient?_has:Observation:patient:code=", "value", "no value"},
		{"/Patient?_id=1" + strings.Repeat("&_has:Observation:patient:code=x", 21), "not-supported", "20 chains"},
	})
	got := w.get("/fhir/ServiceRequest?patient.colour=red&status=draft", "Prefer", "handling=lenient")
	if found := w.finds(got); found != "undated !" {
		t.Errorf("a lenient search finds %q", found)
	}
}

// What a reader may not learn of a study is not learnt on a detour.
func TestAReaderDoesNotLearnWhoReadAStudyFromTheShapeOfASearch(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	questions := []string{
		"/ImagingStudy?interpreter={radiologist}",
		"/ImagingStudy?interpreter:Practitioner.family=ray",
		"/DiagnosticReport?imaging-study.interpreter={radiologist}",
		"/DiagnosticReport?imaging-study.interpreter:Practitioner.family=ray",
		"/Practitioner?_has:ImagingStudy:interpreter:status=available",
		"/Practitioner?_revinclude=ImagingStudy:interpreter",
		"/ImagingStudy?_include=ImagingStudy:interpreter",
		"/ImagingStudy?_include:iterate=ImagingStudy:interpreter",
	}
	for _, q := range questions {
		if got := w.get("/fhir" + w.fill(q)); got.status != http.StatusOK {
			t.Errorf("the placer is answered %d to %s: %s", got.status, q, got.body)
		}
		for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
			got := w.do(role, "GET", "/fhir"+w.fill(q), "")
			got.want(t, http.StatusForbidden, "forbidden")
		}
	}
	w.check(access.Reader, []finding{
		{"/ImagingStudy?_include=*", "study +zoe"},
		{"/Practitioner?_revinclude=*&_id={radiologist}", "radiologist +bone"},
		{"/Practitioner?_revinclude=ImagingStudy:*&_id={radiologist}", "radiologist"},
	})
	if got := w.do(access.Reader, "GET", w.fill("/fhir/Patient?_revinclude=ImagingStudy:patient&_id={zoe}"), ""); strings.Contains(got.body, w.ids["radiologist"]) || len(got.ids()) != 2 {
		t.Errorf("an included study is not redacted: %s", got.body)
	}
}

// What blinding hides is found by no chain, comes with no include, and is not
// counted.
func TestWhatIsHiddenIsNotSeenThroughChainsIncludesAndTotals(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.hide("DiagnosticReport", w.ids["report"])
	w.hide("Observation", w.ids["bone"])
	asked := []struct{ question, placer, reader string }{
		{"/DiagnosticReport", "report", ""},
		{"/DiagnosticReport?result.code=bone", "report", ""},
		{"/Patient?_has:Observation:patient:code=bone", "zoe", ""},
		{"/Patient?_has:DiagnosticReport:patient:status=final", "zoe", ""},
		{"/Practitioner?_has:Observation:performer:patient.family=zoll", "radiologist", ""},
		{"/ServiceRequest?_has:DiagnosticReport:based-on:status=final", "order", ""},
		{"/Patient?_id={zoe}&_revinclude=Observation:patient", "zoe +bone", "zoe"},
		{"/Patient?_id={zoe}&_revinclude=*", "zoe +report +study +bone +order", "zoe +study +order"},
		{"/ServiceRequest?_id={order}&_revinclude=DiagnosticReport:based-on&_include:iterate=DiagnosticReport:result", "order +report +bone", "order"},
		{"/Patient/{zoe}/Observation", "bone", ""},
		{"?_type=Observation,DiagnosticReport", "report lung bone", "lung"},
	}
	for _, a := range asked {
		w.check(access.Placer, []finding{{a.question, a.placer}})
		w.check(access.Reader, []finding{{a.question, a.reader}})
	}
	for _, total := range []string{"_summary=count", "_count=0", "_total=accurate", "_total=estimate", "_total=estimate&_summary=count"} {
		if got := w.do(access.Reader, "GET", "/fhir/Observation?"+total, ""); got.node.Text("total") != "1" {
			t.Errorf("with %s the reader is told of %s Observations", total, got.node.Text("total"))
		}
	}
}
