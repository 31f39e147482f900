package fhir

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/overread/overread/internal/access"
)

// chestXray is the US Core example of a chest X-ray as an order for a second
// opinion: the patient, the first reader, the order with the code for a second
// opinion and the placer's number, the study, and the original report with its
// Observations. fullUrls are the EHR's own.
func chestXray(t testing.TB, placer string) []*Node {
	t.Helper()
	order := fixture(t, "us-core-servicerequest-chest-xray")
	order.Set("identifier", []*Node{Object("type", Object("coding", []*Node{coding(v2Identifier, "PLAC", "")}), "system", "urn:placer", "value", placer)})
	order.Append("reasonCode", Object("coding", []*Node{coding(v2Referral, "S", "Second Opinion")}, "text", "Is there a fracture?"))
	order.Set("supportingInfo", []*Node{
		Object("reference", "ImagingStudy/xr1"),
		Object("reference", "DiagnosticReport/chest-xray-report"),
	})
	report := fixture(t, "us-core-DiagnosticReport-chest-xray-report")
	report.Remove("media")
	report.Set("imagingStudy", []*Node{Object("reference", "ImagingStudy/xr1")})
	encounter := Object("resourceType", "Encounter", "id", "1036", "status", "finished",
		"class", coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMP", ""), "subject", Object("reference", "Patient/example"))
	study := Object("resourceType", "ImagingStudy", "id", "xr1", "status", "available",
		"identifier", []*Node{Object("system", studyUIDSystem, "value", "urn:oid:1.2.3."+placer)},
		"subject", Object("reference", "Patient/example"), "started", "2024-10-13T11:05:00-08:00", "numberOfInstances", 2,
		"series", []*Node{Object("uid", "1.2.3.1", "modality", coding(dicom, "DX", ""), "numberOfInstances", 2,
			"bodySite", coding(snomed, "51185008", "Chest"))})
	var entries []*Node
	for _, n := range []*Node{
		fixture(t, "us-core-patient-example"), fixture(t, "us-core-practitioner-1"), encounter, study,
		fixture(t, "us-core-observation-xray-chest-findings"), fixture(t, "us-core-observation-xray-chest-impression"),
		report, order,
	} {
		entries = append(entries, entryOf(n, ehrBase+"/"+n.Type()+"/"+n.Text("id")))
	}
	return entries
}

func TestAnOrderComesBackAsAReport(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "1")...)
	c.wantState(id, "received")
	c.tick()
	c.wantState(id, "ready")
	if c.task(id).Text("restriction", "period", "end") == "" {
		t.Error("the Task does not say when the report is due")
	}
	c.read(id)
	c.mustAct(access.Reader, id, "$grade", "discrepancy", missed("unimportant"), "difference", "A nodule in the left upper lobe is not mentioned; a follow-up CT is advised.")
	c.mustAct(access.Reader, id, "$sign")
	c.wantState(id, "final")

	report := c.report(id)
	if err := Validate(report); err != nil {
		t.Errorf("%+v", err)
	}
	task := c.task(id)
	if due := task.Get("restriction"); due != nil {
		t.Errorf("signed, and still due: %s", due.Bytes())
	}
	order := task.Text("focus", "reference")
	for _, want := range []struct {
		what, got, want string
	}{
		{"status", report.Text("status"), "final"},
		{"basedOn", report.Text("basedOn", "reference"), order},
		{"subject", report.Text("subject", "reference"), task.Text("for", "reference")},
		{"code", report.Text("code", "coding", "code"), "30746-2"},
		{"effective", report.Text("effectiveDateTime"), "2024-10-13T11:05:00-08:00"},
		{"extends", report.Text("extension", "url"), urlExtends},
		{"first performer", typeOf(report.Get("performer").Items()[0]), "Organization"},
		{"interpreter", report.Text("resultsInterpreter", "display"), "Dr Second Reader"},
		{"task", task.Text("status"), "completed"},
	} {
		if want.got != want.want {
			t.Errorf("%s is %q, want %q", want.what, want.got, want.want)
		}
	}
	if !strings.HasPrefix(report.Text("encounter", "reference"), "Encounter/") {
		t.Error("no encounter")
	}
	if got := c.get("/fhir/Provenance?target=DiagnosticReport/" + report.Text("id")); len(got.ids()) != 1 {
		t.Errorf("provenance: %s", got.body)
	} else if what := got.node.Text("entry", "resource", "entity", "what", "reference"); !strings.HasSuffix(what, "/_history/1") {
		t.Errorf("the original is named without its version: %s", what)
	}
	for _, blame := range []string{"most-of-the-time", "important", "detection", "miss\"", "RADPEER"} {
		if strings.Contains(string(report.Bytes()), blame) {
			t.Errorf("the report says %s", blame)
		}
	}
	wantDelivery(t, c, report)
}

// wantDelivery checks what was queued for the EHR: everything in its own id
// space, and the identifier of the report.
func wantDelivery(t *testing.T, c *clinic, report *Node) {
	t.Helper()
	queued := c.deliveries()
	if len(queued) != 1 || queued[0].Method != http.MethodPost || queued[0].Path != "" {
		t.Fatalf("%d deliveries", len(queued))
	}
	sent := queued[0].resources(t, "DiagnosticReport")[0]
	for _, want := range []struct{ what, got, want string }{
		{"identifier", sent.Text("identifier", "value"), report.Text("identifier", "value")},
		{"id", sent.Text("id"), ""},
		{"basedOn", sent.Text("basedOn", "reference"), "ServiceRequest/chest-xray"},
		{"subject", sent.Text("subject", "reference"), "Patient/example"},
		{"encounter", sent.Text("encounter", "reference"), "Encounter/1036"},
		{"study", sent.Text("imagingStudy", "reference"), "ImagingStudy/xr1"},
		{"extends", sent.Text("extension", "valueReference", "reference"), "DiagnosticReport/chest-xray-report"},
		{"result", sent.Text("result", "reference")[:9], "urn:uuid:"},
	} {
		if want.got != want.want {
			t.Errorf("sent %s is %q, want %q", want.what, want.got, want.want)
		}
	}
	if n := len(queued[0].resources(t, "Observation")); n != 4 {
		t.Errorf("%d Observations sent", n)
	}
	if strings.Contains(string(queued[0].Body), c.url) {
		t.Error("the delivery refers to our own base")
	}
}

func TestAMajorDifferenceIsAdjudicatedByAThirdReader(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "2")...)
	c.tick()
	c.read(id)
	c.mustAct(access.Reader, id, "$grade", "discrepancy", missed("important"), "difference", "A nodule needs work-up.")
	c.wantState(id, "adjudication")
	c.act(access.Reader, id, "$sign").want(t, http.StatusForbidden, "forbidden")
	c.mustAct(access.Adjudicator, id, "$claim", "independent", true)
	c.mustAct(access.Adjudicator, id, "$adjudicate", "discrepancy", missed("important"), "difference", "A nodule needs work-up; the third reader agrees.")
	c.mustAct(access.Adjudicator, id, "$sign")
	report := c.report(id)
	if n := len(report.Each("resultsInterpreter")); n != 2 {
		t.Errorf("%d interpreters: %s", n, report.Get("resultsInterpreter").Bytes())
	}
	if !strings.Contains(report.Text("conclusion"), "the third reader agrees") {
		t.Errorf("conclusion: %s", report.Text("conclusion"))
	}
}

func TestALateStudyWakesTheCase(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	entries := chestXray(t, "3")
	study := entries[3].Get("resource")
	study.Set("status", "registered")
	id := c.order(entries...)
	c.tick()
	c.wantState(id, "awaiting-images")
	task := c.task(id)
	if task.Text("statusReason", "coding", "code") != "study-unavailable" || task.Text("status") != "on-hold" {
		t.Errorf("%s", task.Bytes())
	}
	ids := c.get("/fhir/ImagingStudy?identifier=urn:dicom:uid|1.2.3.3").ids()
	if len(ids) != 1 {
		t.Fatal(ids)
	}
	kept := c.get("/fhir/ImagingStudy/" + ids[0]).node
	kept.Set("status", "available")
	if got := c.put("/fhir/ImagingStudy/"+ids[0], kept.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	c.wantState(id, "received")
	c.tick()
	c.wantState(id, "ready")
	if got := c.task(id).Get("statusReason"); got != nil {
		t.Errorf("the Task still says %s", got.Bytes())
	}
}

func (c *clinic) signed(placer string) (task string) {
	c.t.Helper()
	id := c.order(chestXray(c.t, placer)...)
	c.tick()
	c.read(id)
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")
	return id
}

func TestAnAmendmentIsTheNextVersionOfTheSameReport(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("4")
	first := c.report(id)
	c.mustAct(access.Reader, id, "$amend", "reason", "prior CT became available")
	c.wantState(id, "amending")
	c.act(access.Reader, id, "$sign").want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Reader, id, "$sign", "kind", "addition", "reason", "prior CT became available", "text", "The nodule was there in 2020, unchanged.")
	c.wantState(id, "final")
	second := c.report(id)
	if second.Text("status") != "appended" || second.Text("id") != first.Text("id") || second.Text("identifier", "value") != first.Text("identifier", "value") {
		t.Errorf("second version: %s", second.Bytes())
	}
	if second.Text("issued") == first.Text("issued") || !strings.Contains(second.Text("conclusion"), "unchanged") || !strings.Contains(second.Text("conclusion"), "Solitary") {
		t.Errorf("issued or conclusion did not move on: %s %s", second.Text("issued"), second.Text("conclusion"))
	}

	c.mustAct(access.Reader, id, "$amend", "reason", "wrong recommendation")
	c.mustAct(access.Reader, id, "$sign", "kind", "correction", "reason", "wrong recommendation", "text", "No follow-up is needed.",
		"remove", "recommendation", "findings", "A 9 mm nodule, unchanged since 2020.", "impression", "Stable nodule.", "gradeStands", true)
	third := c.report(id)
	if third.Text("status") != "corrected" || !strings.Contains(third.Text("conclusion"), "Addendum of") || !strings.Contains(third.Text("conclusion"), "Correction of") {
		t.Errorf("third version: %s", third.Bytes())
	}
	dropped := c.get("/fhir/Observation?identifier=" + sidObservation + "|" + third.Text("identifier", "value") + "/recommendation")
	if dropped.node.Text("entry", "resource", "status") != "entered-in-error" {
		t.Errorf("the recommendation that was taken back: %s", dropped.body)
	}
	provenance := c.get("/fhir/Provenance?target=DiagnosticReport/" + first.Text("id"))
	if len(provenance.ids()) != 3 {
		t.Errorf("provenance: %s", provenance.body)
	}
	if got := c.activities(first); got != "CREATE UPDATE UPDATE" {
		t.Errorf("what was done, by Provenance: %s", got)
	}
	queued := c.deliveries()
	if len(queued) != 3 {
		t.Fatalf("%d deliveries", len(queued))
	}
	for i, want := range []string{"final", "appended", "corrected"} {
		sent := queued[i].resources(t, "DiagnosticReport")[0]
		if sent.Text("status") != want || sent.Text("identifier", "value") != first.Text("identifier", "value") {
			t.Errorf("delivery %d is %s", i, sent.Text("status"))
		}
	}
}

// activities are those of the Provenance of a report, the first version first.
func (c *clinic) activities(report *Node) string {
	c.t.Helper()
	var codes []string
	for _, code := range c.get("/fhir/Provenance?_sort=_lastUpdated&target=DiagnosticReport/"+report.Text("id")).node.Each("entry", "resource", "activity", "coding", "code") {
		codes = append(codes, code.Text())
	}
	return strings.Join(codes, " ")
}

func TestAReportIsRegisteredWhenAReaderHasTheCaseAndCancelledWithIt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	entries := chestXray(t, "5")
	id := c.order(entries...)
	c.tick()
	if got := c.get("/fhir/DiagnosticReport?status=registered").ids(); len(got) != 0 {
		t.Errorf("registered too early: %v", got)
	}
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	registered := c.get("/fhir/DiagnosticReport?status=registered")
	if len(registered.ids()) != 1 || strings.Contains(registered.body, urlExtends) {
		t.Fatalf("%s", registered.body)
	}
	if err := Validate(registered.node.Each("entry", "resource")[0]); err != nil {
		t.Errorf("%+v", err)
	}
	order := c.task(id).Text("focus", "reference")
	revoked := c.get("/fhir/" + order).node
	revoked.Set("status", "revoked")
	if got := c.put("/fhir/"+order, revoked.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	c.wantState(id, "cancelled")
	if task := c.task(id); task.Text("status") != "cancelled" || task.Text("statusReason", "text") == "" {
		t.Errorf("%s", task.Bytes())
	}
	if got := c.get("/fhir/DiagnosticReport?status=cancelled").ids(); len(got) != 1 {
		t.Errorf("cancelled reports: %v", got)
	}
}

func TestASignedCaseRefusesToBeCancelled(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("6")
	order := c.task(id).Text("focus", "reference")
	n := c.get("/fhir/" + order).node
	n.Set("status", "revoked")
	got := c.put("/fhir/"+order, n.jsonText())
	got.want(t, http.StatusUnprocessableEntity, "business-rule")
	if got.node.Text("issue", "expression") != "ServiceRequest.status" {
		t.Error(got.body)
	}
	n.Set("status", "completed") // that is the placer's to say
	if got := c.put("/fhir/"+order, n.jsonText()); got.status != http.StatusOK {
		t.Error(got.status, got.body)
	}
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
	c.wantState(id, "closed")
}

func TestAnOrderOnHoldRestsAndGoesOn(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "7")...)
	c.tick()
	order := c.task(id).Text("focus", "reference")
	n := c.get("/fhir/" + order).node
	for _, step := range []struct{ status, state, task string }{{"on-hold", "on-hold", "on-hold"}, {"active", "ready", "ready"}} {
		n.Set("status", step.status)
		if got := c.put("/fhir/"+order, n.jsonText()); got.status != http.StatusOK {
			t.Fatal(got.status, got.body)
		}
		c.wantState(id, step.state)
		if got := c.task(id).Text("status"); got != step.task {
			t.Errorf("Task is %s", got)
		}
	}
	n.Set("identifier", []*Node{Object("system", "urn:placer", "value", "other")})
	c.put("/fhir/"+order, n.jsonText()).want(t, http.StatusUnprocessableEntity, "business-rule")
}

func TestADeclaredErrorIsTakenBackEverywhere(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("8")
	c.mustAct(access.Director, id, "$declare-error", "reason", "wrong patient")
	c.wantState(id, "final")
	c.act(access.Director, id, "$declare-error", "reason", "wrong patient").want(t, http.StatusUnprocessableEntity, "business-rule")
	c.addDirector()
	c.mustAct(access.Director, id, "$declare-error", "reason", "wrong patient")
	c.wantState(id, "entered-in-error")
	report := c.report(id)
	if report.Text("status") != "entered-in-error" || report.Get("conclusion") != nil || report.Get("presentedForm") != nil {
		t.Errorf("%s", report.Bytes())
	}
	if err := Validate(report); err != nil {
		t.Errorf("%+v", err)
	}
	if got := c.activities(report); got != "CREATE NULLIFY" {
		t.Errorf("what was done, by Provenance: %s", got)
	}
	queued := c.deliveries()
	last := queued[len(queued)-1]
	for _, o := range last.resources(t, "Observation") {
		if o.Text("status") != "entered-in-error" || o.Get("valueString") != nil {
			t.Errorf("%s", o.Bytes())
		}
	}
	if strings.Contains(string(last.Body), "nodule") {
		t.Error("the error is sent with its content")
	}
}

func TestAnOperationHonoursIfMatch(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "9")...)
	c.tick()
	body := `{"resourceType":"Parameters","parameter":[{"name":"independent","valueBoolean":true}]}`
	c.do(access.Reader, "POST", "/fhir/Task/"+id+"/$claim", body, "If-Match", `W/"1"`).want(t, http.StatusPreconditionFailed, "conflict")
	current := c.get("/fhir/Task/" + id).header.Get("ETag")
	got := c.do(access.Reader, "POST", "/fhir/Task/"+id+"/$claim", body, "If-Match", current)
	if got.status != http.StatusOK || got.node.Type() != "Task" || got.header.Get("ETag") == current {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.act(access.Reader, id, "$claim", "independent", true).want(t, http.StatusConflict, "conflict")
	c.act(access.Placer, id, "$start").want(t, http.StatusForbidden, "forbidden")
	c.act(access.Reader, id, "$dance").want(t, http.StatusBadRequest, "not-supported")
	c.act(access.Reader, "none", "$start").want(t, http.StatusNotFound, "not-found")
	c.do(access.Reader, "POST", "/fhir/Task/"+id+"/$start", `{"a":1}`, "Content-Type", "application/json").want(t, http.StatusBadRequest, "structure")
}

// The blinded reader sees neither the original nor its Observations until the
// reveal, by no interaction.
func TestTheOriginalIsWithheldUntilTheReveal(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "10")...)
	original := c.get("/fhir/DiagnosticReport?status=final").ids()
	findings := c.get("/fhir/Observation?code=18782-3").ids()
	if len(original) != 1 || len(findings) != 1 {
		t.Fatal(original, findings)
	}
	sees := func() bool {
		return c.do(access.Reader, "GET", "/fhir/DiagnosticReport/"+original[0], "").status == http.StatusOK
	}
	if sees() {
		t.Error("seen before the intake checks ran")
	}
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	if got := c.do(access.Reader, "GET", "/fhir/DiagnosticReport?status=final", "").ids(); sees() || len(got) != 0 {
		t.Error("seen while reading")
	}
	if got := c.do(access.Reader, "GET", "/fhir/Observation/"+findings[0], ""); got.status != http.StatusNotFound {
		t.Errorf("its findings: %d", got.status)
	}
	c.mustAct(access.Reader, id, "$lock", "findings", "f", "impression", "i")
	if sees() {
		t.Error("seen before the reveal")
	}
	c.mustAct(access.Reader, id, "$reveal")
	if !sees() {
		t.Error("not seen after the reveal")
	}
}

// The IHE MADO example: an ImagingStudy with its patient and endpoint, and no
// original report.
func TestTheMADOStudyComesBackAsAReportWithoutComparison(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(madoOrder(t)...)
	c.tick()
	c.wantState(id, "ready")
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$lock", "findings", "No bleeding.", "impression", "Normal CT of the head.")
	c.mustAct(access.Reader, id, "$reveal")
	c.mustAct(access.Reader, id, "$sign")
	report := c.report(id)
	if err := Validate(report); err != nil {
		t.Errorf("%+v", err)
	}
	for _, want := range []struct{ what, got, want string }{
		{"code", report.Text("code", "text"), "Head CT"},
		{"effective", report.Text("effectiveDateTime"), "2022-08-22T08:31:17+02:00"},
		{"extends", report.Text("extension", "url"), ""},
	} {
		if want.got != want.want {
			t.Errorf("%s is %q, want %q", want.what, want.got, want.want)
		}
	}
	agreement := c.get("/fhir/Observation?value-concept=" + csAgreement + "|no-comparison")
	if len(agreement.ids()) != 1 {
		t.Errorf("%s", agreement.body)
	}
	queued := c.deliveries()
	if got := queued[0].resources(t, "DiagnosticReport"); len(queued) != 1 || len(got) != 1 {
		t.Errorf("%d deliveries", len(queued))
	}
}

// madoOrder is the MADO document as an order: its references have a form of
// their own ("urn:Patient/..."), which become UUIDs.
func madoOrder(t testing.TB) []*Node {
	t.Helper()
	document := fixture(t, "ihe-mado-ct")
	urns := map[string]string{}
	for _, e := range document.Each("entry") {
		urns[e.Text("fullUrl")] = newURN()
	}
	document.Walk(func(_ string, n *Node) {
		if to, ok := urns[n.Text()]; ok && n.IsString() {
			n.SetText(to)
		}
	})
	order := Object("resourceType", "ServiceRequest", "status", "active", "intent", "order", "priority", "urgent",
		"identifier", []*Node{Object("system", "urn:placer", "value", "mado-1")},
		"code", concept(dicom, "111418", "Review of an outside study"),
		"reasonCode", []*Node{Object("text", "Is there a bleeding?")},
		"note", []*Node{Object("text", "Fall two days ago; headache.")})
	var entries []*Node
	for _, e := range document.Each("entry") {
		n := e.Get("resource")
		switch n.Type() {
		case "Patient":
			order.Set("subject", Object("reference", e.Text("fullUrl")))
		case "ImagingStudy":
			order.Set("supportingInfo", []*Node{Object("reference", e.Text("fullUrl"))})
		case "ServiceRequest":
			n.Set("intent", "order")
		case "Composition", "Device":
			continue
		}
		entries = append(entries, entryOf(n, e.Text("fullUrl")))
	}
	return append([]*Node{entryOf(order, newURN())}, entries...)
}

func TestThirtyTwoClientsWithTheSameOrderGetOneCase(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	patient := c.mustCreate("Patient", patientJSON("1"))
	order := Object("resourceType", "ServiceRequest", "status", "active", "intent", "order",
		"identifier", []*Node{Object("system", "urn:placer", "value", "same")}, "code", concept(loinc, "73575-3", ""),
		"subject", Object("reference", "Patient/"+patient))
	var wg sync.WaitGroup
	answers := make([]response, 32)
	for i := range answers {
		wg.Go(func() {
			if i%2 == 0 {
				answers[i] = c.post("/fhir/ServiceRequest", order.jsonText())
				return
			}
			// Other bytes: no receipt helps.
			answers[i] = c.post("/fhir", Object("resourceType", "Bundle", "id", "b"+strconv.Itoa(i), "type", "transaction", "entry", []*Node{entryOf(order, newURN())}).jsonText())
		})
	}
	wg.Wait()
	created := 0
	places := map[string]bool{}
	for i, a := range answers {
		location := a.header.Get("Location")
		if i%2 == 1 {
			location = a.node.Text("entry", "response", "location")
			if strings.HasPrefix(a.node.Text("entry", "response", "status"), "201") {
				created++
			}
		} else if a.status == http.StatusCreated {
			created++
		}
		if a.status >= 300 {
			t.Errorf("client %d: %d %s", i, a.status, a.body)
		}
		place, _, _ := strings.Cut(location[strings.LastIndex(location, "ServiceRequest/"):], "/_history")
		places[place] = true
	}
	if created != 1 || len(places) != 1 {
		t.Errorf("%d created, %d places", created, len(places))
	}
	if got := c.get("/fhir/Task").ids(); len(got) != 1 {
		t.Errorf("%d Tasks", len(got))
	}
	if got := c.get("/fhir/ServiceRequest").ids(); len(got) != 1 {
		t.Errorf("%d orders", len(got))
	}
}

func TestManyFirstOrdersOfATenantAtOnce(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	var wg sync.WaitGroup
	for i := range 12 {
		entries := chestXray(t, "many-"+strconv.Itoa(i))
		wg.Go(func() {
			if got := c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", entries).jsonText()); got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	c.tick()
	if got := c.get("/fhir/Task?_count=50").ids(); len(got) != 12 {
		t.Errorf("%d Tasks", len(got))
	}
}
