package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

// fixture reads a copy of a public example.
func fixture(t *testing.T, name string) *fhir.Node {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	n, err := fhir.Parse(text, clientLimits)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// posted is an entry that creates the resource that the EHR knows at fullURL.
func posted(fullURL string, n *fhir.Node) *fhir.Node {
	return fhir.Object("fullUrl", fullURL, "resource", n, "request", fhir.Object("method", "POST", "url", n.Type()))
}

// asksForASecondOpinion makes an example order one for us, as an EHR would:
// the code, the placer's number, what is to be read, question and history.
func asksForASecondOpinion(sr *fhir.Node, number string, about ...*fhir.Node) {
	sr.Set("identifier", []*fhir.Node{typed("PLAC", placerSystem, number)})
	sr.Set("status", "active")
	sr.Set("code", fhir.Object("coding", []*fhir.Node{fhir.Object("system", dcm, "code", "111418")}, "text", "Second opinion"))
	sr.Set("reasonCode", []*fhir.Node{fhir.Object("text", "Is there something that was missed?")})
	sr.Set("note", []*fhir.Node{fhir.Object("text", "Fell from a bicycle; cough and fever since.")})
	sr.Set("supportingInfo", about)
}

// TestUSCoreChestXRayGoesInAndComesBack takes the US Core example as a US EHR
// would send it: relative references below the EHR's own base.
func TestUSCoreChestXRayGoesInAndComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var entries []*fhir.Node
	for _, name := range []string{
		"patient-example", "practitioner-1", "encounter-1036", "media-chest-xray",
		"observation-xray-chest-findings", "observation-xray-chest-impression", "DiagnosticReport-chest-xray-report",
	} {
		n := fixture(t, "us-core/"+name+".json")
		entries = append(entries, posted(w.chart.base+"/"+n.Type()+"/"+n.Text("id"), n))
	}
	study := order{ehr: w.chart.base, number: "US-1", patient: person{mrn: "x"}, sample: samples["chest-xray"], at: time.Now()}.study()
	study.Set("subject", fhir.Object("reference", "Patient/example"))
	sr := fixture(t, "us-core/servicerequest-chest-xray.json")
	asksForASecondOpinion(sr, "US-1",
		fhir.Object("reference", "ImagingStudy/study-US-1"), fhir.Object("reference", "DiagnosticReport/chest-xray-report"))
	entries = append(entries,
		posted(w.chart.base+"/ImagingStudy/study-US-1", study), posted(w.chart.base+"/ServiceRequest/chest-xray", sr))

	report := w.readFixture(t, "US-1", entries, "petrov", agreement())
	for _, c := range []struct{ what, got, want string }{
		{"subject", report.Text("subject", "reference"), "Patient/example"},
		{"basedOn", report.Text("basedOn", "reference"), "ServiceRequest/chest-xray"},
		{"extends", extends(report), "DiagnosticReport/chest-xray-report"},
		{"code", report.Text("code", "coding", "code"), "30746-2"},
	} {
		if !strings.HasSuffix(c.got, c.want) {
			t.Errorf("%s is %q, want %q", c.what, c.got, c.want)
		}
	}
}

// TestMADOStudyGoesInAndComesBack takes the IHE MADO document's resources, with
// the document's own fullUrls; there is no original report to compare with.
func TestMADOStudyGoesInAndComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept := map[string]bool{"Patient": true, "Organization": true, "Endpoint": true, "ImagingStudy": true, "ServiceRequest": true}
	var entries []*fhir.Node
	document := fixture(t, "ihe-mado/mado-1.2.250.1.59.40211.22756022.2.1.101-bundle.json")
	var patient, study string
	for _, e := range document.Each("entry") {
		n := e.Get("resource")
		switch n.Type() {
		case "Patient":
			patient = e.Text("fullUrl")
		case "ImagingStudy":
			study = e.Text("fullUrl")
		}
		if kept[n.Type()] {
			entries = append(entries, posted(e.Text("fullUrl"), n))
		}
	}
	sr := fhir.Object("resourceType", "ServiceRequest", "intent", "order", "priority", "stat", "subject", fhir.Object("reference", patient))
	asksForASecondOpinion(sr, "MADO-1", fhir.Object("reference", study))
	entries = append(entries, posted("urn:uuid:0f4be7a8-9d5c-4c1b-8f3e-6f3a9a0f7d11", sr))

	report := w.readFixture(t, "MADO-1", entries, "okafor",
		[]*fhir.Node{param("noComparisonReason", "valueCode", "no-original")})
	if got := extends(report); got != "" {
		t.Errorf("it extends %q, and there was no original report", got)
	}
	if got := report.Text("subject", "reference"); got != "Patient/pat-mrn--1097192655" {
		t.Errorf("subject is %q, want the id that the EHR sent it under", got)
	}
}

// readFixture sends the order, has it read and signed, and returns the report
// that stands in the EHR.
func (w *world) readFixture(t *testing.T, number string, entries []*fhir.Node, reader string, grade []*fhir.Node) *fhir.Node {
	t.Helper()
	placer := w.clients["mercy-placer"]
	if _, err := placer.send(t.Context(), http.MethodPost, "", fhir.Object("resourceType", "Bundle", "type", "transaction", "entry", entries)); err != nil {
		t.Fatal(err)
	}
	task, err := taskOf(t.Context(), placer, number)
	if err != nil {
		t.Fatal(err)
	}
	chapters := append([]chapter{{"", "", nil, workflow.Ready}}, reads(reader, "chest-xray")...)
	chapters = append(chapters, chapter{reader, "grade", grade, workflow.Comparing}, chapter{reader, "sign", nil, workflow.Final})
	for _, c := range chapters {
		w.live(t, order{hospital: "mercy"}, task, c)
	}
	var report *fhir.Node
	eventually(t, "the report is to stand in the EHR", func() error {
		found, err := w.chart.get(t.Context(), "DiagnosticReport?status=final")
		if err != nil {
			return err
		}
		entries := found.Each("entry")
		if len(entries) != 1 {
			return fmt.Errorf("there are %d", len(entries))
		}
		report = entries[0].Get("resource")
		return nil
	})
	checkForms(t, report)
	return report
}
