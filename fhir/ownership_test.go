package fhir

import (
	"net/http"
	"testing"

	"github.com/overread/overread/internal/access"
)

// What the reading service has signed, and who it is, is not the EHR's to
// rewrite; its own copies of it are.
func TestNobodyOverwritesWhatTheReadingServiceMade(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	report := c.report(c.signed("own"))
	provenance := c.get("/fhir/Provenance?target=DiagnosticReport/" + report.Text("id")).ids()
	for _, path := range []string{
		"DiagnosticReport/" + report.Text("id"),
		report.Text("result", "reference"),
		"Provenance/" + provenance[0],
		report.Text("resultsInterpreter", "reference"),
		report.Text("performer", "reference"),
	} {
		before := c.get("/fhir/" + path)
		changed := before.node.Clone()
		changed.Remove("identifier")
		changed.Set("language", "fr")
		c.put("/fhir/"+path, changed.jsonText()).want(t, http.StatusForbidden, "forbidden")
		if after := c.get("/fhir/" + path); after.body != before.body {
			t.Errorf("%s changed", path)
		}
	}
	byNumber := "/fhir/DiagnosticReport?identifier=" + sidReport + "%7C" + report.Text("identifier", "value")
	c.put(byNumber, report.jsonText()).want(t, http.StatusForbidden, "forbidden")

	reader := report.Text("resultsInterpreter", "reference")
	named := c.get("/fhir/" + reader).node
	if got := c.do(access.Coordinator, "PUT", "/fhir/"+reader, named.jsonText()); got.status != http.StatusOK {
		t.Errorf("the coordinator may not correct a reader's name: %d %s", got.status, got.body)
	}
	echo := report.Clone()
	echo.Set("id", "copy-at-the-ehr")
	for range 2 {
		if got := c.put("/fhir/DiagnosticReport/copy-at-the-ehr", echo.jsonText()); got.status >= 300 {
			t.Errorf("the EHR's own copy: %d %s", got.status, got.body)
		}
	}
}

// Ours is what the table of readers names, however the Practitioner is written;
// an EHR's copy is the EHR's, whatever tags it has.
func TestAReaderIsOursAndACopyOfOurProvenanceIsTheEHRs(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	reader := c.readers[access.Reader].ID.String()
	named := Object("resourceType", "Practitioner", "id", reader,
		"identifier", []*Node{Object("system", npi, "value", "1234567893")}, "name", []*Node{Object("text", "Dr Impostor")})
	c.put("/fhir/Practitioner/"+reader, named.jsonText()).want(t, http.StatusForbidden, "forbidden")
	if got := c.do(access.Coordinator, "PUT", "/fhir/Practitioner/"+reader, named.jsonText()); got.status != http.StatusCreated {
		t.Fatal(got.status, got.body)
	}
	c.put("/fhir/Practitioner/"+reader, named.jsonText()).want(t, http.StatusForbidden, "forbidden")
	service := serviceID(c.tenant)
	c.put("/fhir/Organization/"+service, Object("resourceType", "Organization", "id", service, "name", "Impostor").jsonText()).want(t, http.StatusForbidden, "forbidden")

	report := c.report(c.signed("copies"))
	ours := c.get("/fhir/Provenance?target=DiagnosticReport/"+report.Text("id")).node.Each("entry", "resource")[0]
	ours.Set("id", "origin-at-the-ehr")
	for range 2 {
		if got := c.put("/fhir/Provenance/origin-at-the-ehr", ours.jsonText()); got.status >= 300 {
			t.Errorf("the EHR's own copy: %d %s", got.status, got.body)
		}
	}
}

// The report names the study of its order: it must be the one that was read.
func TestAnotherStudyOfAnOrderThatIsReadHasTheReadingBeginAnew(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "study")...)
	c.tick()
	focus := c.task(id).Text("focus", "reference")
	order := c.get("/fhir/" + focus).node
	other := c.get("/fhir/ImagingStudy/" + c.get("/fhir/ImagingStudy").ids()[0]).node
	other.Remove("id")
	other.Set("identifier", []*Node{Object("system", studyUIDSystem, "value", "urn:oid:1.2.3.99")})
	order.Set("supportingInfo", []*Node{Object("reference", "ImagingStudy/"+c.mustCreate("ImagingStudy", other.jsonText()))})

	c.mustAct(access.Reader, id, "$claim", "independent", true)
	if got := c.put("/fhir/"+focus, order.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	c.wantState(id, "on-hold")
	c.act(access.Coordinator, id, "$continue-reading", "reason", "r").want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Coordinator, id, "$restart-reading", "reason", "another study is meant")
	c.wantState(id, "received")
	c.tick()
	c.wantState(id, "ready")
}
