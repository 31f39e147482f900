package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// Under a blinded protocol the original report does not exist for a reader
// before the reveal, whichever way they look.
func TestAReaderDoesNotFindTheOriginalBeforeTheReveal(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := r.mustCreate("Patient", patientJSON("1"))
	report := `{"resourceType":"DiagnosticReport","status":"final","code":{"text":"CT"},"subject":{"reference":"Patient/` + patient + `"}}`
	original, other := r.mustCreate("DiagnosticReport", report), r.mustCreate("DiagnosticReport", report)
	owner, ctx, caseID := r.db.Owner(t), context.Background(), uuid.New()
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := owner.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(`INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, protocol, policy, opened_at)
		VALUES ($1, $2, 1, 'ready', 'routine', 's', 'v', 'ServiceRequest/1', '1', 'blinded', '{}', now())`, r.tenant, caseID)
	run(`INSERT INTO case_original (tenant_id, case_id, type, id) VALUES ($1, $2, 'DiagnosticReport', $3)`, r.tenant, caseID, original)

	paths := []string{"/fhir/DiagnosticReport/" + original, "/fhir/DiagnosticReport/" + original + "/_history/1"}
	absent := r.do(access.Reader, "GET", "/fhir/DiagnosticReport/none", "")
	for _, path := range paths {
		hidden := r.do(access.Reader, "GET", path, "")
		if diff := cmp.Diff(absent.body, hidden.body); diff != "" || hidden.status != http.StatusNotFound {
			t.Errorf("%s can be told from what does not exist: %s", path, diff)
		}
		hidden = r.do(access.Reader, "GET", path, "", "If-None-Match", `W/"1"`)
		hidden.want(t, http.StatusNotFound, "not-found")
		if got := r.get(path); got.status != http.StatusOK {
			t.Errorf("the placer gets %d", got.status)
		}
	}
	for _, role := range []access.Role{access.Adjudicator, access.Supervisor} {
		if got := r.do(role, "GET", paths[0], ""); got.status != http.StatusNotFound {
			t.Errorf("a reader who is %s as well gets %d", role, got.status)
		}
	}
	search := "/fhir/DiagnosticReport?patient=" + patient
	if diff := cmp.Diff([]string{other}, r.do(access.Reader, "GET", search, "").ids()); diff != "" {
		t.Errorf("a search: %s", diff)
	}
	if diff := cmp.Diff([]string{other, original}, r.do(access.Coordinator, "GET", search, "").ids()); diff != "" {
		t.Errorf("a search of the coordinator: %s", diff)
	}

	run(`UPDATE case_file SET locked_at = now(), revealed_at = now() WHERE case_id = $1`, caseID)
	for _, path := range paths {
		if got := r.do(access.Reader, "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("after the reveal, %s is %d", path, got.status)
		}
	}
	if got := r.do(access.Reader, "GET", search, "").ids(); len(got) != 2 {
		t.Errorf("after the reveal, a search finds %d", len(got))
	}
}

// reads is what a role finds at these addresses: those that are there.
func (c *clinic) reads(as access.Role, references ...string) []string {
	c.t.Helper()
	var there []string
	for _, ref := range references {
		if c.do(as, "GET", "/fhir/"+ref, "").status == http.StatusOK {
			there = append(there, ref)
		}
	}
	return there
}

// An order that contains the original report is withheld with it; the reader
// still has the question, and the order is there after the reveal.
func TestAnOrderThatContainsTheOriginalIsWithheldAndItsQuestionIsNot(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	entries := chestXray(t, "contained")
	order := entries[len(entries)-1].Get("resource")
	original := entries[len(entries)-2].Get("resource")
	original.Remove("result")
	original.Set("id", "first")
	order.Set("contained", []*Node{original})
	order.Set("supportingInfo", []*Node{Object("reference", "ImagingStudy/xr1"), Object("reference", "#first")})
	id := c.order(append(entries[:4:4], entries[len(entries)-1])...)
	focus := c.task(id).Text("focus", "reference")
	addresses := []string{focus, focus + "/_history/1"}
	search := "/fhir/ServiceRequest?identifier=urn:placer%7Ccontained"
	hidden := func() {
		t.Helper()
		if there := c.reads(access.Reader, addresses...); there != nil {
			t.Errorf("the reader reads %v", there)
		}
		if ids := c.do(access.Reader, "GET", search, "").ids(); len(ids) != 0 {
			t.Errorf("the reader finds %v", ids)
		}
	}
	hidden()
	c.tick()
	c.wantState(id, "ready")
	hidden()
	task := c.do(access.Reader, "GET", "/fhir/Task/"+id, "")
	if got := task.node.Text("description"); got != "Bicycle accident\nIs there a fracture?" {
		t.Errorf("the reader's question is %q", got)
	}
	if got := c.get(search).ids(); len(got) != 1 {
		t.Errorf("the placer finds %v", got)
	}
	c.read(id)
	if there := c.reads(access.Reader, addresses...); len(there) != len(addresses) {
		t.Errorf("after the reveal the reader reads %v", there)
	}
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")
}

// The reader works by the Task, so it cannot be withheld.
func TestATaskThatContainsTheOriginalIsRefusedWhereTheReadingIsBlind(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := coordinationTask(Object("reference", ehrBase+"/ServiceRequest/9"))
	task.Set("contained", []*Node{Object("resourceType", "DiagnosticReport", "id", "first", "status", "final", "code", Object("text", "CT"))})
	task.Set("input", []*Node{Object("type", Object("text", "original"), "valueReference", Object("reference", "#first"))})
	c.post("/fhir/Task", task.jsonText()).want(t, http.StatusUnprocessableEntity, "business-rule")
	if ids := c.get("/fhir/Task").ids(); len(ids) != 0 {
		t.Errorf("half of it is stored: %v", ids)
	}
}

// A study has often more than one report, and a report more than its text.
func TestWhatElseTellsOfTheOriginalIsWithheldToo(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "siblings")...)
	subject := c.task(id).Get("for")
	study := Object("reference", "ImagingStudy/"+c.get("/fhir/ImagingStudy").ids()[0])
	original := "DiagnosticReport/" + c.get("/fhir/DiagnosticReport").ids()[0]
	create := func(n *Node) string { return n.Type() + "/" + c.mustCreate(n.Type(), n.jsonText()) }
	image := create(Object("resourceType", "Media", "status", "completed", "content", Object("url", "https://pacs.example/key")))
	preliminary := create(Object("resourceType", "DiagnosticReport", "status", "preliminary", "code", Object("text", "XR"), "subject", subject,
		"imagingStudy", []*Node{study}, "media", []*Node{Object("link", Object("reference", image))}))
	author := create(Object("resourceType", "Provenance", "recorded", "2024-10-13T12:00:00Z", "target", []*Node{Object("reference", original)},
		"agent", []*Node{Object("who", Object("display", "Dr First"))}))
	reference := Object("reference", original)
	letter := create(Object("resourceType", "DocumentReference", "status", "current", "content", []*Node{Object("attachment", Object("url", "https://ehr.example/letter"))},
		"context", Object("related", []*Node{reference})))
	measure := create(Object("resourceType", "Observation", "status", "final", "code", Object("text", "size"), "focus", []*Node{reference}))
	told := []string{original, preliminary, image, author, letter, measure}
	c.tick()
	later := create(Object("resourceType", "Media", "status", "completed", "content", Object("url", "https://pacs.example/key"), "partOf", []*Node{Object("reference", letter)}))
	told = append(told, later, create(Object("resourceType", "Observation", "status", "final", "code", Object("text", "size"), "derivedFrom", []*Node{Object("reference", measure)})))
	pdf := create(Object("resourceType", "Binary", "contentType", "application/pdf", "data", "UERG"))
	finding := create(Object("resourceType", "Observation", "status", "final", "code", Object("text", "finding")))
	amended := c.get("/fhir/" + original).node
	amended.Set("presentedForm", []*Node{Object("contentType", "application/pdf", "url", pdf)})
	amended.Append("result", Object("reference", finding))
	if got := c.put("/fhir/"+original, amended.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	told = append(told, pdf, finding,
		create(Object("resourceType", "Communication", "status", "completed", "about", []*Node{reference})),
		create(Object("resourceType", "Basic", "code", Object("text", "note"), "subject", reference)),
		create(Object("resourceType", "Binary", "contentType", "text/plain", "data", "UERG", "securityContext", reference)))
	for _, role := range []access.Role{access.Reader, access.Adjudicator} {
		if there := c.reads(role, told...); there != nil {
			t.Errorf("the %s reads %v", role, there)
		}
	}
	c.read(id)
	if there := c.reads(access.Reader, told...); len(there) != len(told) {
		t.Errorf("after the reveal the reader reads only %v", there)
	}
}

// orderedTwice has a study of which one order was read, and compared with its
// original, and a second order came.
func (c *clinic) orderedTwice() (first, original, second string) {
	c.t.Helper()
	first = c.order(chestXray(c.t, "twice")...)
	c.tick()
	c.read(first)
	order := c.get("/fhir/" + c.task(first).Text("focus", "reference")).node
	order.Remove("id")
	order.Set("identifier", []*Node{Object("system", "urn:placer", "value", "twice-more")})
	original = "DiagnosticReport/" + c.get("/fhir/DiagnosticReport?status=final").ids()[0]
	return first, original, c.taskOf("ServiceRequest/" + c.mustCreate("ServiceRequest", order.jsonText()))
}

// A second order for the same study neither hides the original for ever from
// who is comparing with it, nor is it read by them.
func TestADuplicateOrderDoesNotHideTheOriginalFromWhoHasSeenIt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	_, original, second := c.orderedTwice()
	if c.reads(access.Reader, original) == nil {
		t.Error("hidden from the reader who compares")
	}
	c.tick()
	c.wantState(second, "intake-review")
	c.mustAct(access.Coordinator, second, "$resolve", "reason", "another question")
	c.tick()
	c.wantState(second, "ready")
	c.act(access.Reader, second, "$claim", "independent", true).want(t, http.StatusUnprocessableEntity, "business-rule")

	c.addColleague(access.Reader, "Dr Fresh Reader", everything)
	if c.reads(access.Reader, original) != nil {
		t.Error("seen by a reader who may get the second case")
	}
	c.mustAct(access.Coordinator, second, "$reject", "reason", "duplicate")
	if c.reads(access.Reader, original) == nil {
		t.Error("a case that ended unread still hides the original")
	}
}

// What comes while the placer holds the case is withheld from the reader too.
func TestAnOriginalThatComesDuringTheHoldIsWithheld(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	entries := chestXray(t, "held")
	original, order := entries[len(entries)-2].Get("resource"), entries[len(entries)-1].Get("resource")
	order.Set("supportingInfo", []*Node{Object("reference", "ImagingStudy/xr1")})
	id := c.order(append(entries[:4:4], entries[len(entries)-1])...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Placer, id, "$hold")
	original.Remove("result")
	original.Remove("encounter")
	original.Set("subject", c.task(id).Get("for"))
	original.Set("imagingStudy", []*Node{Object("reference", "ImagingStudy/"+c.get("/fhir/ImagingStudy").ids()[0])})
	original.Remove("performer")
	original.Remove("resultsInterpreter")
	late := "DiagnosticReport/" + c.mustCreate("DiagnosticReport", original.jsonText())
	if there := c.reads(access.Reader, late); there != nil {
		t.Error("seen during the hold")
	}
	c.mustAct(access.Placer, id, "$resume")
	c.tick()
	if there := c.reads(access.Reader, late); there != nil {
		t.Error("seen after the hold")
	}
	c.mustAct(access.Reader, id, "$lock", "findings", "f", "impression", "i")
	c.mustAct(access.Reader, id, "$reveal")
	told := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype=unblinding&entity=Task/"+id+"&policy="+tokenOf(c.rest, access.Reader), "")
	if len(told.ids()) != 1 || !strings.Contains(told.body, `"reference":"Patient/`) {
		t.Errorf("unblinding is told %d times, of %q", len(told.ids()), c.events(c.tenant))
	}
	c.act(access.Reader, id, "$sign").want(t, http.StatusUnprocessableEntity, "business-rule") // there is one to compare with
}

// What points at the original may be here before the order is.
func TestWhatPointedAtTheOriginalBeforeTheOrderIsWithheld(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.chart("early")
	original := Object("reference", "DiagnosticReport/"+c.get("/fhir/DiagnosticReport").ids()[0])
	create := func(n *Node) string { return n.Type() + "/" + c.mustCreate(n.Type(), n.jsonText()) }
	letter := create(Object("resourceType", "DocumentReference", "status", "current", "content", []*Node{Object("attachment", Object("url", "https://ehr.example/letter"))},
		"context", Object("related", []*Node{original})))
	measure := create(Object("resourceType", "Observation", "status", "final", "code", Object("text", "size"), "focus", []*Node{original}))
	derived := create(Object("resourceType", "Observation", "status", "final", "code", Object("text", "size"), "derivedFrom", []*Node{Object("reference", measure)}))
	task := coordinationTask(Object("reference", ehrBase+"/ServiceRequest/9"), "input", withStudy(ehrBase+"/ImagingStudy/xr1"))
	if got := c.post("/fhir/Task", task.jsonText()); got.status != http.StatusCreated {
		t.Fatal(got.status, got.body)
	}
	if there := c.reads(access.Reader, letter, measure, derived); there != nil {
		t.Errorf("the reader reads %v", there)
	}
}

// tellers makes one of each that tells of the report or of its study.
func tellers(create func(n *Node) string, subject *Node, report, study, uid, accession string) map[string]string {
	text := Object("text", "secret")
	to := func(ref string) *Node { return Object("reference", ref) }
	list := func(n ...*Node) []*Node { return n }
	extension := list(Object("url", "https://x.example/e", "valueReference", to(report)))
	basic := Object("attachment", Object("url", "https://ehr.example/letter"))
	named := Object("type", "ImagingStudy", "identifier", Object("system", "urn:dicom:uid", "value", "urn:oid:"+uid))
	stranger := Object("display", "somebody else")
	told := map[string]string{}
	for name, n := range map[string]*Node{
		"payload":         Object("resourceType", "Communication", "status", "completed", "payload", list(Object("contentReference", to(report)))),
		"reason":          Object("resourceType", "Communication", "status", "completed", "reasonReference", list(to(report))),
		"reason to tell":  Object("resourceType", "CommunicationRequest", "status", "active", "reasonReference", list(to(report))),
		"extension":       Object("resourceType", "Communication", "status", "completed", "extension", extension),
		"media":           Object("resourceType", "Media", "status", "completed", "content", Object("url", "https://x.example/1"), "partOf", list(to(report))),
		"evidence":        Object("resourceType", "Condition", "subject", subject, "code", text, "evidence", list(Object("detail", list(to(report))))),
		"follow-up":       Object("resourceType", "ServiceRequest", "status", "active", "intent", "order", "subject", subject, "code", text, "reasonReference", list(to(report))),
		"consent":         Object("resourceType", "Consent", "status", "active", "scope", text, "category", list(text), "patient", subject, "policyRule", text, "provision", Object("data", list(Object("meaning", "related", "reference", to(report))))),
		"task":            Object("resourceType", "Task", "status", "requested", "intent", "order", "code", text, "input", list(Object("type", text, "valueReference", to(report)))),
		"group":           Object("resourceType", "Group", "type", "person", "actual", true, "extension", extension),
		"derived":         Object("resourceType", "Observation", "status", "final", "code", text, "derivedFrom", list(to(study))),
		"part":            Object("resourceType", "Observation", "status", "final", "code", text, "partOf", list(to(study))),
		"related":         Object("resourceType", "DocumentReference", "status", "current", "content", list(basic), "context", Object("related", list(to(study)))),
		"provenance":      Object("resourceType", "Provenance", "recorded", "2024-10-13T12:00:00Z", "target", list(to(study)), "agent", list(Object("who", Object("display", "Dr First")))),
		"by UID":          Object("resourceType", "DiagnosticReport", "status", "final", "code", text, "imagingStudy", list(named)),
		"of a stranger":   Object("resourceType", "DiagnosticReport", "status", "final", "code", text, "subject", stranger, "imagingStudy", list(to(study))),
		"by accession":    Object("resourceType", "DiagnosticReport", "status", "final", "code", text, "identifier", list(Object("type", concept(v2Identifier, "ACSN", ""), "system", "urn:accessions", "value", accession))),
		"contained study": Object("resourceType", "DiagnosticReport", "status", "final", "code", text, "imagingStudy", list(to("#s")), "contained", list(Object("resourceType", "ImagingStudy", "id", "s", "status", "available", "subject", stranger, "identifier", list(named.Get("identifier").Clone())))),
	} {
		told[name] = create(n.Clone())
	}
	return told
}

// Whatever points at the original or tells of its study is withheld, of every
// type, by every element, whether it was here before the order or comes while
// the case is read. What the reader works by stays.
func TestWhateverTellsOfTheOriginalIsWithheldBeforeAndAfterTheOrder(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	create := func(n *Node) string { return n.Type() + "/" + c.mustCreate(n.Type(), n.jsonText()) }
	entries := chestXray(t, "tellers")
	order := entries[len(entries)-1]
	for _, e := range entries {
		if n := e.Get("resource"); n.Type() == "ImagingStudy" {
			n.Set("identifier", []*Node{
				Object("system", "urn:dicom:uid", "value", "urn:oid:2.25.4711004711"),
				Object("type", concept(v2Identifier, "ACSN", ""), "system", "urn:accessions", "value", "A-1")})
		}
	}
	if got := c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", entries[:len(entries)-1]).jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	first := func(typ string) string { return typ + "/" + c.get("/fhir/" + typ).ids()[0] }
	report, study, patient := first("DiagnosticReport"), first("ImagingStudy"), first("Patient")
	subject := Object("reference", patient)
	send := func() map[string]string {
		return tellers(create, subject, report, study, "2.25.4711004711", "A-1")
	}
	check := func(when string, told map[string]string) {
		t.Helper()
		for name, ref := range told {
			if there := c.reads(access.Reader, ref); there != nil {
				t.Errorf("%s: the reader reads %s (%s)", when, name, ref)
			}
			if there := c.reads(access.Placer, ref); there == nil {
				t.Errorf("%s: the placer does not read %s", when, name)
			}
		}
	}
	before := send()
	unrelated := create(Object("resourceType", "DiagnosticReport", "status", "final", "code", Object("text", "CT"), "subject", subject,
		"identifier", []*Node{Object("type", concept(v2Identifier, "ACSN", ""), "system", "urn:other", "value", "A-1")}))
	sent := order.Get("resource")
	sent.Set("subject", subject)
	sent.Remove("encounter")
	sent.Remove("requester")
	sent.Set("supportingInfo", []*Node{Object("reference", study), Object("reference", report)})
	asked := "ServiceRequest/" + c.mustCreate("ServiceRequest", sent.jsonText())
	id := c.taskOf(asked)
	check("before the order", before)
	c.tick()
	c.wantState(id, "ready")
	check("before the order, checked", before)
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	after := send()
	check("while it is read", after)
	own := []string{asked, "Task/" + id, patient, study, unrelated}
	if there := c.reads(access.Reader, own...); len(there) != len(own) {
		t.Errorf("of what the reader works by there is only %v", there)
	}
	c.mustAct(access.Reader, id, "$lock", "findings", "f", "impression", "i")
	c.mustAct(access.Reader, id, "$reveal")
	for _, told := range []map[string]string{before, after} {
		for name, ref := range told {
			if c.reads(access.Reader, ref) == nil {
				t.Errorf("after the reveal the reader does not read %s", name)
			}
		}
	}
}

// A report that comes late brings with it what was here before and was nobody's.
func TestALateReportWithholdsTheChainBehindIt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "chain")...)
	c.tick()
	c.wantState(id, "ready")
	create := func(n *Node) string { return n.Type() + "/" + c.mustCreate(n.Type(), n.jsonText()) }
	report := "DiagnosticReport/" + c.get("/fhir/DiagnosticReport").ids()[0]
	finding := create(Object("resourceType", "Observation", "status", "final", "code", Object("text", "finding")))
	author := create(Object("resourceType", "Provenance", "recorded", "2024-10-13T12:00:00Z", "target", []*Node{Object("reference", finding)},
		"agent", []*Node{Object("who", Object("display", "Dr First"))}))
	if there := c.reads(access.Reader, finding, author); len(there) != 2 {
		t.Fatalf("what is nobody's is hidden: %v", there)
	}
	late := create(Object("resourceType", "DiagnosticReport", "status", "final", "code", Object("text", "XR"),
		"extension", []*Node{Object("url", "http://hl7.org/fhir/StructureDefinition/diagnosticReport-extends", "valueReference", Object("reference", report))},
		"result", []*Node{Object("reference", finding)}))
	if there := c.reads(access.Reader, late, finding, author); there != nil {
		t.Errorf("the reader reads %v", there)
	}
}

// A further order that names the original is another case's one day: then its
// reader has it.
func TestAnOrderThatIsWithheldForOneCaseIsThereForItsOwn(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "further")...)
	c.tick()
	c.wantState(id, "ready")
	draft := c.get("/fhir/" + c.task(id).Text("focus", "reference")).node
	draft.Remove("id")
	draft.Set("status", "draft")
	draft.Set("identifier", []*Node{Object("system", "urn:placer", "value", "further-2")})
	further := "ServiceRequest/" + c.mustCreate("ServiceRequest", draft.jsonText())
	if c.reads(access.Reader, further) != nil {
		t.Error("a draft that points at the original is seen")
	}
	draft = c.get("/fhir/" + further).node
	draft.Set("status", "active")
	if got := c.put("/fhir/"+further, draft.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	if c.reads(access.Reader, further, "Task/"+c.taskOf(further)) == nil {
		t.Error("an order is withheld from whom it is for")
	}
}

// A study says who read it first. Readers never get that from it.
func TestAReaderGetsAStudyWithoutWhoReadItFirst(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	study := Object("resourceType", "ImagingStudy", "status", "available", "subject", Object("display", "x"),
		"text", Object("status", "generated", "div", `<div xmlns="http://www.w3.org/1999/xhtml">Dr First</div>`),
		"contained", []*Node{
			Object("resourceType", "Practitioner", "id", "first", "name", []*Node{Object("text", "Dr First")}),
			Object("resourceType", "PractitionerRole", "id", "role", "practitioner", Object("reference", "#first")),
			Object("resourceType", "Practitioner", "id", "ordered", "name", []*Node{Object("text", "Dr Orders")})},
		"referrer", Object("reference", "#ordered"),
		"interpreter", []*Node{Object("reference", "#role", "display", "Dr First")},
		"note", []*Node{Object("text", "Dr First saw nothing")},
		"series", []*Node{Object("uid", "1.2", "modality", coding(dicom, "DX", ""), "performer", []*Node{Object("actor", Object("display", "Dr First"))})})
	id := r.mustCreate("ImagingStudy", study.jsonText())
	for _, path := range []string{"/fhir/ImagingStudy/" + id, "/fhir/ImagingStudy/" + id + "/_history/1", "/fhir/ImagingStudy?status=available"} {
		for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
			got := r.do(role, "GET", path, "")
			if got.status != http.StatusOK || strings.Contains(got.body, "Dr First") || !strings.Contains(got.body, "Dr Orders") || !strings.Contains(got.body, "SUBSETTED") {
				t.Errorf("%s as %s: %d %s", path, role, got.status, got.body)
			}
			if _, err := Decode([]byte(got.body), ""); err != nil {
				t.Errorf("%s: %+v", path, err)
			}
		}
		if got := r.get(path); !strings.Contains(got.body, "Dr First saw nothing") || strings.Contains(got.body, "SUBSETTED") {
			t.Errorf("the placer gets %s", got.body)
		}
	}
	for _, question := range []string{"interpreter=Practitioner/1", "performer=Practitioner/1", "interpreter:identifier=1"} {
		r.do(access.Reader, "GET", "/fhir/ImagingStudy?"+question, "").want(t, http.StatusForbidden, "forbidden")
		if got := r.get("/fhir/ImagingStudy?" + question); got.status != http.StatusOK {
			t.Errorf("the placer's %s: %d", question, got.status)
		}
	}
}
