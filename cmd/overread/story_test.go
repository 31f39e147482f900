package main

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

// chapter is one step of a story: who does what, and where the case then is.
type chapter struct {
	who  string // a token's name, without the hospital; "" when the jobs do it
	does string // an operation; or "send study"
	with []*fhir.Node
	then workflow.State
}

// tale is a whole story.
type tale struct {
	name     string
	sample   string
	quirk    string
	chapters []chapter
	versions []string // statuses of the report's versions in the EHR
	messages []string // and the Communications there, sorted: topic and status
}

func reads(who, sample string) []chapter {
	s := samples[sample]
	return []chapter{
		{who, "claim", deeds["claim"].with(s), workflow.Accepted},
		{who, "start", nil, workflow.Reading},
		{who, "lock", deeds["lock"].with(s), workflow.Locked},
		{who, "reveal", nil, workflow.Comparing},
	}
}

// tales are the stories of the product's main job, and of what comes between and after.
func tales() []tale {
	text := func(name, value string) *fhir.Node { return param(name, "valueString", value) }
	ready := []chapter{{"", "", nil, workflow.Ready}}
	emergency := reads("haddad", "abdomen")
	return []tale{
		{"agreement", "abdomen", asItShouldBe, slices.Concat(ready, reads("haddad", "abdomen"), []chapter{
			{"haddad", "grade", agreement(), workflow.Comparing},
			{"haddad", "sign", nil, workflow.Final},
			{"placer", "acknowledge", readByWeiss(), workflow.Closed},
		}), []string{"final"}, nil},
		{"a major discrepancy with adjudication", "chest-ct", asItShouldBe, slices.Concat(ready, reads("lindqvist", "chest-ct"), []chapter{
			{"lindqvist", "grade", gradeParameters(samples["chest-ct"].Diff), workflow.Adjudication},
			{"petrov-adjudicator", "claim", independent(), workflow.Adjudication},
			{"petrov-adjudicator", "adjudicate", gradeParameters(samples["chest-ct"].Diff), workflow.Adjudication},
			{"petrov-adjudicator", "sign", nil, workflow.Final},
		}), []string{"final"}, []string{"actionable-finding in-progress"}},
		{"missing images, then their arrival", "liver", noStudy, slices.Concat(
			[]chapter{{"", "", nil, workflow.AwaitingImages}, {"placer", "send study", nil, workflow.Ready}}, reads("haddad", "liver"), []chapter{
				{"haddad", "grade", agreement(), workflow.Comparing},
				{"haddad", "sign", nil, workflow.Final},
			}), []string{"final"}, nil},
		{"a correction, acknowledged anew", "knee", asItShouldBe, slices.Concat(ready, reads("tanaka", "knee"), []chapter{
			{"tanaka", "grade", gradeParameters(samples["knee"].Diff), workflow.Comparing},
			{"tanaka", "sign", nil, workflow.Final},
			{"placer", "acknowledge", readByWeiss(), workflow.Closed},
			{"tanaka", "amend", []*fhir.Node{text("reason", "The side was dictated wrongly.")}, workflow.Amending},
			{"tanaka", "sign", []*fhir.Node{
				param("kind", "valueCode", "correction"),
				text("reason", "The side was dictated wrongly."),
				text("text", "It is the right knee throughout."),
			}, workflow.Final},
			{"placer", "acknowledge", readByWeiss(), workflow.Closed},
		}), []string{"final", "corrected"}, nil},
		{"two readers, and a third who decides", "head-ct", twoRead, slices.Concat(ready, []chapter{
			{"okafor", "claim", independent(), workflow.Accepted},
			{"okafor", "start", nil, workflow.Reading},
			{"okafor", "lock", deeds["lock second"].with(samples["head-ct"]), workflow.Ready},
			{"sato", "claim", independent(), workflow.Accepted},
			{"sato", "start", nil, workflow.Reading},
			{"sato", "lock", deeds["lock"].with(samples["head-ct"]), workflow.Conferring},
			{"okafor", "refer", because("We do not see the same."), workflow.Arbitration},
			{"petrov-adjudicator", "claim", independent(), workflow.Arbitration},
			{"petrov-adjudicator", "arbitrate", []*fhir.Node{param("decision", "valueCode", "second")}, workflow.Locked},
			{"petrov-adjudicator", "reveal", nil, workflow.Comparing},
			{"petrov-adjudicator", "grade", agreement(), workflow.Comparing},
			{"petrov-adjudicator", "sign", nil, workflow.Final},
		}), []string{"final"}, nil},
		{"a trainee's report, returned once", "spine", asItShouldBe, slices.Concat(ready, reads("ruiz", "spine"), []chapter{
			{"ruiz", "grade", agreement(), workflow.Comparing},
			{"ruiz", "sign", nil, workflow.AwaitingCosign},
			{"petrov-supervisor", "return", because("Look at the sacrum again."), workflow.Comparing},
			{"ruiz", "sign", nil, workflow.AwaitingCosign},
			{"petrov-supervisor", "sign", nil, workflow.Final},
		}), []string{"final"}, nil},
		{"an emergency, and a question", "abdomen", asItShouldBe, slices.Concat(ready, emergency[:2], []chapter{
			{"haddad", "raise-finding", []*fhir.Node{param("category", "valueCode", "emergent"), text("text", "Active bleeding into the retroperitoneum.")}, workflow.Reading},
			{"haddad", "communicate", called(true), workflow.Reading},
		}, emergency[2:], []chapter{
			{"haddad", "grade", agreement(), workflow.Comparing},
			{"haddad", "sign", nil, workflow.Final},
			{"placer", "acknowledge", []*fhir.Node{text("clinician", "Dr. Jones")}, workflow.Closed},
			{"placer", "ask", []*fhir.Node{text("question", "From which vessel?"), text("clinician", "Dr. Jones")}, workflow.Closed},
			{"haddad", "answer", []*fhir.Node{text("answer", "The second lumbar artery on the left.")}, workflow.Final},
		}), []string{"final", "appended"}, []string{
			"actionable-finding completed", "actionable-finding completed", // the alert, and the call
			"answer completed", "question completed",
		}},
	}
}

func TestOrderInReportOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	serveInProcess(t, w.database.URL) // a second replica works on the same jobs
	for i, tale := range tales() {
		t.Run(tale.name, func(t *testing.T) {
			t.Parallel()
			o := w.orderFor(tale, 100+i)
			task := w.send(t, o)
			for _, c := range tale.chapters {
				w.live(t, o, task, c)
			}
			w.checkReport(t, o, tale)
			w.checkMessages(t, o, tale)
		})
	}
}

// checkMessages waits until the EHR has the messages of a tale, each once.
func (w *world) checkMessages(t *testing.T, o order, tale tale) {
	t.Helper()
	eventually(t, "the messages are to stand in the EHR, each once", func() error {
		found, err := w.chart.get(t.Context(), "Communication?subject=Patient/"+o.patient.id())
		if err != nil {
			return err
		}
		var got []string
		for _, n := range found.Each("entry", "resource") {
			got = append(got, n.Text("topic", "coding", "code")+" "+n.Text("status"))
		}
		if slices.Sort(got); !slices.Equal(got, tale.messages) {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	})
}

func (w *world) orderFor(tale tale, number int) order {
	return order{ehr: w.chart.base, number: fmt.Sprintf("E2E-%d", number), hospital: "mercy", priority: "urgent",
		patient: person{fmt.Sprint(200000 + number), "Test", "Person", "female", "1960-01-31"},
		sample:  samples[tale.sample], quirk: tale.quirk, at: time.Now()}
}

func (w *world) send(t *testing.T, o order) (task string) {
	t.Helper()
	task, err := w.order(t.Context(), o, w.clients["mercy-placer"])
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// live does what the chapter says and waits until the case is where it says.
func (w *world) live(t *testing.T, o order, task string, c chapter) {
	t.Helper()
	if c.does != "" {
		if err := w.perform(t, o, task, c); err != nil {
			t.Fatalf("%s %s: %v", c.who, c.does, err)
		}
	}
	eventually(t, fmt.Sprintf("after %q the case is to be %s", c.does, c.then), func() error {
		return w.mustBe(t, o, task, c)
	})
}

// mustBe is an error unless the case is where the chapter leads.
func (w *world) mustBe(t *testing.T, o order, task string, c chapter) error {
	t.Helper()
	state, err := w.state(t.Context(), o.hospital, task)
	if err == nil && state != c.then {
		err = fmt.Errorf("it is %s", state)
	}
	return err
}

func (w *world) perform(t *testing.T, o order, task string, c chapter) error {
	t.Helper()
	actor := w.clients[o.hospital+"-"+c.who]
	if c.does == "send study" {
		o.quirk = asItShouldBe
		_, err := actor.send(t.Context(), http.MethodPost, "", fhir.Object("resourceType", "Bundle", "type", "transaction",
			"entry", []*fhir.Node{o.entry(o.patient.resource(), mrnSystem+"|"+o.patient.mrn), o.entry(o.study(), "urn:dicom:uid|urn:oid:"+o.studyUID())}))
		return err
	}
	if c.does == "acknowledge" {
		w.hasArrived(t, o.hospital, task)
	}
	_, err := actor.op(t.Context(), task, c.does, c.with...)
	return err
}

// hasArrived waits until the EHR has every version of the report: whoever reads before
// has read the one before.
func (w *world) hasArrived(t *testing.T, hospital, task string) {
	t.Helper()
	eventually(t, "the report is to arrive", func() error {
		var waiting int
		err := w.db.Tenant(t.Context(), w.tenants[hospital], func(tx pgx.Tx) error {
			return tx.QueryRow(t.Context(), `
				SELECT count(*) FROM delivery d JOIN case_file c ON c.tenant_id = d.tenant_id AND c.case_id = d.case_id
				WHERE c.task_id = $1 AND d.lane = 'report' AND d.state = 'queued'`, task).Scan(&waiting)
		})
		if err == nil && waiting > 0 {
			err = fmt.Errorf("%d versions wait", waiting)
		}
		return err
	})
}

// reportInChart waits for the report in the EHR: one report, each version once.
func (w *world) reportInChart(t *testing.T, o order, versions []string) (report *fhir.Node) {
	t.Helper()
	last := versions[len(versions)-1]
	eventually(t, "the report is to stand in the EHR", func() error {
		found, err := w.chart.get(t.Context(), "DiagnosticReport?based-on=ServiceRequest/order-"+o.number)
		if err != nil {
			return err
		}
		entries := found.Each("entry")
		if len(entries) > 1 {
			t.Fatalf("%d reports of one order", len(entries))
		}
		if len(entries) == 0 || entries[0].Text("resource", "status") != last {
			return fmt.Errorf("there are %d reports, the status is %q", len(entries), found.Text("entry", "resource", "status"))
		}
		report = entries[0].Get("resource")
		return nil
	})
	w.checkVersions(t, report.Text("id"), versions)
	return report
}

// checkReport waits for the report in the EHR and looks at it with the EHR's
// eyes: one report, in the EHR's own ids, each version once.
func (w *world) checkReport(t *testing.T, o order, tale tale) {
	t.Helper()
	report := w.reportInChart(t, o, tale.versions)
	for _, c := range []struct{ what, got, want string }{
		{"subject", report.Text("subject", "reference"), "Patient/" + o.patient.id()},
		{"imagingStudy", report.Text("imagingStudy", "reference"), "ImagingStudy/study-" + o.number},
		{"category", report.Text("category", "coding", "code"), "LP29684-5"},
	} {
		if !strings.HasSuffix(c.got, c.want) {
			t.Errorf("%s is %q, want %q", c.what, c.got, c.want)
		}
	}
	if !strings.Contains(report.Text("conclusion"), strings.SplitN(o.sample.Second.Impression, "\n", 2)[0]) {
		t.Errorf("the conclusion is not the impression: %q", report.Text("conclusion"))
	}
	if ref := extends(report); !strings.HasSuffix(ref, "DiagnosticReport/report-"+o.number) {
		t.Errorf("it extends %q, not the original report", ref)
	}
	checkForms(t, report)
}

// checkVersions reads every version that the EHR has kept.
func (w *world) checkVersions(t *testing.T, id string, want []string) {
	t.Helper()
	for i := 1; ; i++ {
		version, err := w.chart.get(t.Context(), fmt.Sprintf("DiagnosticReport/%s/_history/%d", id, i))
		if i > len(want) {
			if err == nil {
				t.Errorf("the EHR got version %d with status %s, one more than was signed", i, version.Text("status"))
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := version.Text("status"); got != want[i-1] {
			t.Errorf("version %d is %s, want %s", i, got, want[i-1])
		}
	}
}

func extends(report *fhir.Node) string {
	for _, e := range report.Each("extension") {
		if e.Text("url") == "http://hl7.org/fhir/StructureDefinition/diagnosticReport-extends" {
			return e.Text("valueReference", "reference")
		}
	}
	return ""
}

// checkForms checks HTML and PDF against their size and hash (FHIR R4
// datatypes.html#Attachment: SHA-1 of the content, base64).
func checkForms(t *testing.T, report *fhir.Node) {
	t.Helper()
	starts := map[string]string{"text/html": "<!DOCTYPE html>", "application/pdf": "%PDF-"}
	for _, form := range report.Each("presentedForm") {
		kind, _, _ := strings.Cut(form.Text("contentType"), ";")
		data, err := base64.StdEncoding.DecodeString(form.Text("data"))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum(data)
		if form.Text("hash") != base64.StdEncoding.EncodeToString(sum[:]) || form.Text("size") != fmt.Sprint(len(data)) {
			t.Errorf("%s: size or hash are wrong", kind)
		}
		if !strings.HasPrefix(strings.ToLower(string(data[:min(40, len(data))])), strings.ToLower(starts[kind])) {
			t.Errorf("%s begins with %q", kind, data[:min(20, len(data))])
		}
		delete(starts, kind)
	}
	if len(starts) > 0 {
		t.Errorf("missing forms: %v", starts)
	}
}

// readByWeiss is who has read the report, as a system says it for them.
func readByWeiss() []*fhir.Node {
	return []*fhir.Node{param("clinician", "valueString", "Dr. Hannah Weiss")}
}
