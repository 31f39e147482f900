package fhir

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// sampledChest has a signed case and the Task of its second read, which waits in
// the pool.
func (c *clinic) sampledChest() (task, sample string) {
	c.t.Helper()
	c.meets(`{"sampling": {"rates": [{"perThousand": 1000}]}}`)
	task = c.signedChest("1", "")
	c.sql(`UPDATE agenda SET due_at = now() WHERE kind = 'open-sample'`)
	c.tick()
	c.tick()
	got := c.do(access.Quality, "GET", "/fhir/Task/$samples", "")
	sample = strings.TrimPrefix(saidIn(got.node, "sample", "secondRead"), "Task/")
	if sample == "" {
		c.t.Fatalf("nothing was drawn: %s", got.body)
	}
	return task, sample
}

func TestASecondReadForQualityIsInNobodysChartAndLooksToItsReaderAsAnyCase(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task, sample := c.sampledChest()
	patient := strings.TrimPrefix(c.task(task).Text("for", "reference"), "Patient/")
	at := c.do(another, "GET", "/fhir/Task/"+sample, "").node
	order := strings.TrimPrefix(at.Text("focus", "reference"), "ServiceRequest/")
	if at.Text("businessStatus", "coding", "code") != "ready" || at.Text("for", "reference") != "Patient/"+patient {
		t.Fatalf("%s", at.jsonText())
	}
	own := c.report(task).Text("id")
	for _, path := range []string{"DiagnosticReport/" + own, "DiagnosticReport?patient=Patient/" + patient, "Task/" + sample + "/$everything"} {
		if got := c.do(another, "GET", "/fhir/"+path, ""); strings.Contains(got.body, "Solitary pulmonary nodule") {
			t.Errorf("%s gives the report that is sampled", path)
		}
	}
	for _, n := range []*Node{at, c.do(another, "GET", "/fhir/ServiceRequest/"+order, "").node} {
		if text := strings.ToLower(n.jsonText()); strings.Contains(text, "quality") || strings.Contains(text, "sample") {
			t.Errorf("it says what it is for: %s", text)
		}
	}
	c.act(access.Reader, sample, "$claim", "independent", true).want(t, http.StatusNotFound, "not-found") // read what is sampled
	c.act(ronald, sample, "$claim", "independent", true).want(t, http.StatusNotFound, "not-found")        // read the original
	c.mustAct(another, sample, "$claim", "independent", true)
	c.mustAct(another, sample, "$lock", "findings", "A mass of 3 cm.", "impression", "SCANARY mass.")
	c.mustAct(another, sample, "$reveal")
	if got := c.do(another, "GET", "/fhir/DiagnosticReport/"+own, ""); got.status != http.StatusOK {
		t.Errorf("the report is withheld after the reveal: %d", got.status)
	}
	c.mustAct(another, sample, "$grade", "discrepancy", missed("unimportant")[:3], "difference", "SCANARY a mass is not mentioned.")
	c.mustAct(another, sample, "$sign")
	c.tick()
	if got := c.do(another, "GET", "/fhir/Task/"+sample, "").node.Text("businessStatus", "coding", "code"); got != "closed" {
		t.Errorf("it is %s", got)
	}
	// Nothing of it is there for the placer's side, in any interaction.
	ids := []string{sample, order, "SCANARY"}
	rows := c.do(access.Quality, "GET", "/fhir/DiagnosticReport?patient=Patient/"+patient+"&_count=100", "")
	for _, n := range rows.node.Each("entry", "resource") {
		if strings.Contains(n.jsonText(), "SCANARY") {
			ids = append(ids, n.Text("id"))
		}
	}
	if len(ids) != 4 {
		t.Fatalf("the quality role finds %d reports of it", len(ids)-3)
	}
	report := ids[3]
	paths := []string{"Patient/" + patient + "/$everything", "Patient/" + patient + "/*", "_history?_count=500", "Task?_count=100", "Task/_history?_count=500", "ServiceRequest?_count=100&_include=*&_revinclude=*",
		"Task?patient=Patient/" + patient, "DiagnosticReport?_count=100", "Observation?_count=500", "Provenance?_count=500", "Observation?_has:DiagnosticReport:result:status=final&_count=100",
		"Patient?_revinclude=*&_count=50", "Task/" + sample + "/_history", "Task/" + sample + "/_history/1", "Task/" + sample, "Task/" + sample + "/$everything", "ServiceRequest/" + order, "DiagnosticReport/" + report,
		"DiagnosticReport/" + report + "/_history", "DiagnosticReport/" + report + "/_history/1", "DiagnosticReport?identifier=" + sidReport + "|&_count=100", "Task/" + task + "/$everything"}
	for _, role := range []access.Role{access.Placer, access.Auditor} {
		for _, path := range paths {
			got := c.do(role, "GET", "/fhir/"+path, "")
			body := strings.ReplaceAll(got.body, "/fhir/"+path, "") // its own address
			for _, id := range ids {
				if strings.Contains(body, id) && !strings.HasPrefix(path, "AuditEvent") {
					t.Errorf("%s by %s gives %s: %d %.300s", path, role, id, got.status, body)
				}
			}
		}
	}
	for _, name := range []string{"$hold", "$cancel", "$acknowledge", "$judge-management"} {
		if got := c.act(access.Placer, sample, name, "management", "none"); got.status < 400 {
			t.Errorf("%s by the placer: %d", name, got.status)
		}
	}
	c.do(access.Placer, "DELETE", "/fhir/Task/"+sample, "")
	c.do(access.Placer, "PUT", "/fhir/ServiceRequest/"+order, `{"resourceType":"ServiceRequest","id":"`+order+`","status":"revoked","intent":"order","subject":{"reference":"Patient/`+patient+`"}}`)
	if got := c.do(access.Quality, "GET", "/fhir/ServiceRequest/"+order, "").node.Text("status"); got != "active" {
		t.Errorf("the placer has made the order %s", got)
	}
	for _, form := range c.sentForms() {
		if strings.Contains(form, "SCANARY") || strings.Contains(form, sample) {
			t.Error("it was sent to the EHR")
		}
	}
	if got := c.report(task).Text("conclusion"); strings.Contains(got, "SCANARY") {
		t.Error("it has changed the chart")
	}
	// Who reads here is not told which cases are samples, in whatever role.
	c.do(c.hat(c.readers[another], access.Quality), "GET", "/fhir/Task/$samples", "").want(t, http.StatusForbidden, "forbidden")
	// And in no export.
	for _, role := range []access.Role{access.Placer, access.Coordinator, access.Director} {
		for _, lines := range c.exported(role, "/fhir/$export") {
			for _, id := range ids {
				if strings.Contains(lines, id) {
					t.Errorf("an export by %s has %s", role, id)
				}
			}
		}
	}
}

// Neither the pool nor the case that is read again tells which one is a sample, in
// whatever role somebody comes who may read it; and who may not does not learn of it.
func TestWhoMayReadASampleDoesNotFindTheFirstReadingNorWhoSignedItTheSample(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"sampling": {"rates": [{"perThousand": 1000}]}}'`)
	entries := chestXray(t, "1")
	entries[len(entries)-1].Get("resource").Get("identifier").Items()[0].Set("value", "PO-4711")
	entries[len(entries)-1].Get("resource").Set("requisition", Object("system", "urn:placer", "value", "group-1"))
	task := c.order(entries...)
	first := c.task(task)
	original := "DiagnosticReport/" + c.get("/fhir/DiagnosticReport?status=final").ids()[0]
	c.tick()
	c.read(task)
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("important")[:3], "difference", "A nodule is not mentioned.")
	c.mustAct(access.Adjudicator, task, "$claim", "independent", true)
	c.mustAct(access.Adjudicator, task, "$adjudicate", "discrepancy", missed("important")[:3], "difference", "A nodule is not mentioned.")
	c.mustAct(access.Adjudicator, task, "$sign")
	own := "DiagnosticReport/" + c.report(task).Text("id")
	c.tokens[another], c.readers[another] = pgtest.AddReader(t, c.db, c.tenant, "Dr Fourth Reader", everything)
	hats := []access.Role{another, c.hat(c.readers[another], access.Adjudicator), c.hat(c.readers[another], access.Supervisor)}
	signer := []access.Role{access.Reader, access.Adjudicator, c.hat(c.readers[access.Reader], access.Coordinator)}
	for _, hat := range append(slices.Clone(hats), signer...) {
		if c.reads(hat, original) == nil {
			t.Errorf("%s does not see the original of a case that nobody reads any more", hat)
		}
	}
	c.sql(`UPDATE agenda SET due_at = now() WHERE kind = 'open-sample'`)
	c.tick()
	got := c.do(access.Quality, "GET", "/fhir/Task/$samples", "")
	sample := strings.TrimPrefix(saidIn(got.node, "sample", "secondRead"), "Task/")
	order := first.Text("focus", "reference")
	hidden := func(when string) {
		t.Helper()
		for _, hat := range hats {
			for _, ref := range []string{"Task/" + task, "Task/" + task + "/_history", "Task/" + task + "/_history/1", order, original, own} {
				if got := c.do(hat, "GET", "/fhir/"+ref, ""); got.status != http.StatusNotFound {
					t.Errorf("%s: %s to the %s: %d", when, ref, hat, got.status)
				}
			}
			for _, path := range []string{"Task?_count=100", "Task/_history?_count=100", "_history?_count=500", "Task?_include=*&_revinclude=*&_count=100", "ServiceRequest?_count=100", "Provenance?_count=100",
				"Communication?_count=100", "Task/" + sample + "/$everything", "Patient/" + localPart(first.Text("for", "reference")) + "/$everything"} {
				got := c.do(hat, "GET", "/fhir/"+path, "")
				for _, word := range []string{task, localPart(order), "PO-4711", "group-1", "adjudication", "A nodule is not mentioned."} {
					if strings.Contains(strings.ReplaceAll(got.body, path, ""), word) {
						t.Errorf("%s: %s by the %s has %s", when, path, hat, word)
					}
				}
			}
			for _, op := range []string{"$claim", "$amend", "$adjudicate"} {
				if got := c.act(hat, task, op, "independent", true); got.status < 400 || got.status == http.StatusUnprocessableEntity {
					t.Errorf("%s: %s on the first case by the %s: %d %s", when, op, hat, got.status, got.body)
				}
			}
			for _, op := range []string{"$triage", "$matters", "$quality", "$check", "$readings"} {
				if got := c.do(hat, "GET", "/fhir/Task/"+task+"/"+op, ""); got.status == http.StatusOK {
					t.Errorf("%s: %s on the first case by the %s: %s", when, op, hat, got.body)
				}
			}
		}
		for _, who := range signer {
			for _, ref := range []string{"Task/" + task, original, own, own + "/_history/1"} {
				if got := c.do(who, "GET", "/fhir/"+ref, ""); got.status != http.StatusOK {
					t.Errorf("%s: %s to the %s who answers for it: %d", when, ref, who, got.status)
				}
			}
			for _, path := range []string{"Task/" + sample, "Task/" + sample + "/_history", "Task?_count=100", "_history?_count=500", "ServiceRequest?_count=100", "Task/" + sample + "/$everything", "Task/" + sample + "/$triage"} {
				if got := c.do(who, "GET", "/fhir/"+path, ""); strings.Contains(strings.ReplaceAll(got.body, path, ""), sample) {
					t.Errorf("%s: %s by the %s has the sample", when, path, who)
				}
			}
			c.act(who, sample, "$claim", "independent", true).want(t, http.StatusNotFound, "not-found")
		}
	}
	hidden("when it comes")
	c.tick()
	hidden("in the pool")
	c.mustAct(another, sample, "$claim", "independent", true)
	hidden("claimed")
	c.mustAct(another, sample, "$lock", "findings", "f", "impression", "i")
	hidden("locked")
	c.mustAct(another, sample, "$reveal")
	for _, ref := range []string{"Task/" + task, original, own} {
		if c.reads(another, ref) == nil {
			t.Errorf("%s is withheld after the reveal", ref)
		}
	}
	// What is asked for where a sample lacks something is the coordinator's to find.
	if at := c.do(access.Coordinator, "GET", "/fhir/Task/"+sample, "").node; at.Text("identifier", "value") == "PO-4711" || c.do(access.Coordinator, "GET", "/fhir/ServiceRequest?identifier=PO-4711", "").ids()[0] != localPart(order) {
		t.Error("the sample has the number of the order that it repeats")
	}
}

func TestSomethingMajorInASecondReadReachesTheClinicianThroughAnAmendment(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task, sample := c.sampledChest()
	c.mustAct(another, sample, "$claim", "independent", true)
	c.mustAct(another, sample, "$lock", "findings", "A mass of 3 cm.", "impression", "Mass.")
	c.mustAct(another, sample, "$reveal")
	c.mustAct(another, sample, "$grade", "discrepancy", missed("important")[:3], "difference", "A mass is not mentioned.")
	c.mustAct(access.Adjudicator, sample, "$claim", "independent", true)
	c.mustAct(access.Adjudicator, sample, "$adjudicate", "discrepancy", missed("important")[:3], "difference", "A mass is not mentioned.")
	c.mustAct(access.Adjudicator, sample, "$sign")
	c.tick()
	c.tick()
	c.wantState(task, "amending")
	got := c.do(access.Reader, "GET", "/fhir/Communication/$feedback", "")
	if !strings.Contains(got.body, "A mass is not mentioned.") || strings.Contains(got.body, "Fourth") {
		t.Fatalf("who signed is told: %s", got.body)
	}
	if got := c.do(ronald, "GET", "/fhir/Communication/$feedback", ""); len(got.node.Each("entry")) != 0 {
		t.Error("the reader of the original is told, though the policy says off")
	}
	sent := len(c.deliveries())
	c.mustAct(access.Reader, task, "$sign", "kind", "amendment", "reason", "second look", "text", "There is a mass in the left upper lobe.")
	c.wantState(task, "final")
	if len(c.deliveries()) != sent+1 {
		t.Error("the amendment is not sent")
	}
	if got := c.do(access.Quality, "GET", "/fhir/Task/$samples", ""); saidIn(got.node, "sample", "settledAt") == "" || saidIn(got.node, "sample", "level") != "major" {
		t.Errorf("%s", got.body)
	}
}

// What a second read for quality finds that cannot wait reaches the EHR as a finding of
// the case that was sampled. Its reader learns nothing by it, nor who signed who read.
func TestAnEmergencyInASecondReadReachesTheClinicianAtOnce(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task, sample := c.sampledChest()
	sent := len(c.messages())
	c.mustAct(another, sample, "$claim", "independent", true)
	c.mustAct(another, sample, "$lock", "findings", "Collapsed left lung.", "impression", "Tension pneumothorax.", "actionable", Object("valueCode", "emergent"))
	c.tick()
	alert := c.wantCount(access.Placer, "Communication?category=alert", 1)[0]
	if alert.Text("payload", "contentString") != "Emergent finding: Tension pneumothorax." || !strings.Contains(alert.jsonText(), "Task/"+task) || len(c.messages()) != sent+1 {
		t.Errorf("%s, %d messages", alert.Bytes(), len(c.messages())-sent)
	}
	for _, word := range []string{sample, "sample", "quality", "Fourth"} {
		if strings.Contains(alert.jsonText(), word) || strings.Contains(string(c.messages()[sent].Body), word) {
			t.Errorf("the alert says %q: %s", word, alert.Bytes())
		}
	}
	if got := c.do(another, "GET", "/fhir/Task/"+sample+"/$matters", "").node; len(got.Each("parameter")) != 1 {
		t.Errorf("its reader has the finding, as of any case: %s", got.Bytes())
	}
	for _, path := range []string{"Communication", "Observation?code=" + csObservation + "|actionable-finding", "Task?_count=100", "_history?_count=500", "Task/" + sample + "/$everything"} {
		if got := c.do(another, "GET", "/fhir/"+path, ""); strings.Contains(got.body, alert.Text("id")) || strings.Contains(got.body, task) {
			t.Errorf("%s tells the sample's reader of the case that was sampled", path)
		}
	}
	if got := c.do(access.Reader, "GET", "/fhir/Task/"+task+"/$matters", ""); strings.Contains(got.body, sample) || strings.Contains(got.body, "Fourth") || !strings.Contains(got.body, "Tension pneumothorax.") {
		t.Errorf("who signed is told what was found, and not by whom: %s", got.body)
	}
	c.wantState(task, "final")
	c.act(access.Placer, task, "$acknowledge", "clinician", "Dr Jones").want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Placer, task, "$acknowledge-finding", "clinician", "Dr Jones")
	c.sql(`UPDATE agenda SET due_at = now() WHERE kind = 'sample-told'`)
	c.tick()
	if got := c.do(another, "GET", "/fhir/Task/"+sample+"/$matters", ""); saidIn(got.node, "matter", "settlement") != "acknowledged" {
		t.Errorf("%s", got.body)
	}
}

func TestSamplesAndFeedbackComeInPages(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.meets(`{"feedback": "difference", "sampling": {"rates": [{"perThousand": 0}]}}`)
	for _, number := range []string{"1", "2", "3"} {
		c.signedChest(number, "")
	}
	c.sql(`UPDATE quality_sample SET drawn_at = '2026-01-02T00:00:00.123456Z'`)
	c.sql(`UPDATE feedback SET made_at = '2026-01-02T00:00:00.123456Z'`)
	path, seen := "/fhir/Task/$samples?_count=2", 0
	for _, want := range []int{2, 1} {
		got := c.do(access.Quality, "GET", path, "")
		if Validate(got.node) != nil || strings.Count(got.body, `"sample"`) != want {
			t.Fatalf("%s: %s", path, got.body)
		}
		path = "/fhir/Task/$samples?_count=2&_after=" + saidIn(got.node, "next", "")
		if (saidIn(got.node, "next", "") != "") != (want == 2) {
			t.Errorf("%s", got.body)
		}
	}
	ids := map[string]bool{}
	for path = "/fhir/Communication/$feedback?_count=2"; path != ""; seen++ {
		got := c.do(ronald, "GET", path, "")
		if Validate(got.node) != nil || got.status != http.StatusOK || seen > 2 {
			t.Fatalf("%s: %s", path, got.body)
		}
		for _, n := range got.node.Each("entry", "resource") {
			ids[n.Text("id")] = true
		}
		path = ""
		if link := got.link("next"); link != "" {
			_, rest, _ := strings.Cut(link, "/fhir/")
			path = "/fhir/" + rest
		}
	}
	if len(ids) != 3 || seen != 2 {
		t.Errorf("%d messages on %d pages", len(ids), seen)
	}
	for _, bad := range []string{"_after=x", "_after=e30", "_count=0", "_count=x"} {
		c.do(access.Quality, "GET", "/fhir/Task/$samples?"+bad, "").want(t, http.StatusBadRequest, "value")
	}
}
