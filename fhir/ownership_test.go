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

// The report names the study of its order: it must be the one that was read.
func TestTheStudyOfAnOrderStaysOnceAReaderHasIt(t *testing.T) {
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
	c.put("/fhir/"+focus, order.jsonText()).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Reader, id, "$release", "reason", "off duty")
	if got := c.put("/fhir/"+focus, order.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	c.tick()
	c.wantState(id, "ready")
}
