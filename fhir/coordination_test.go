package fhir

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// coordinationTask asks us to fulfill the order that focus names.
func coordinationTask(focus *Node, more ...any) *Node {
	return Object(append([]any{
		"resourceType", "Task", "status", "requested", "intent", "order", "code", concept(taskCode, "fulfill", ""),
		"identifier", []*Node{Object("system", "urn:ehr:task", "value", "t1")},
		"basedOn", []*Node{focus}, "focus", focus,
		"for", Object("reference", ehrBase+"/Patient/example"),
		"reasonCode", Object("text", "Is there a fracture?"), "note", []*Node{Object("text", "Fell off the bicycle.")},
	}, more...)...)
}

// withStudy lets the Task itself name what is to be read.
func withStudy(references ...string) []*Node {
	var inputs []*Node
	for _, ref := range references {
		inputs = append(inputs, Object("type", Object("text", "to be read"), "valueReference", Object("reference", ref)))
	}
	return inputs
}

// chart sends what the EHR's order is about, without the order.
func (c *clinic) chart(placer string) {
	c.t.Helper()
	entries := chestXray(c.t, placer)
	got := c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", entries[:len(entries)-1]).jsonText())
	if got.status != http.StatusOK {
		c.t.Fatal(got.status, got.body)
	}
}

func TestACoordinationTaskOpensACaseHoweverItNamesTheOrder(t *testing.T) {
	t.Parallel()
	atEHR := ehrBase + "/ServiceRequest/77"
	contained := Object("resourceType", "ServiceRequest", "id", "order", "status", "active", "intent", "order",
		"identifier", []*Node{Object("system", "urn:placer", "value", "77")}, "subject", Object("reference", ehrBase+"/Patient/example"),
		"supportingInfo", []*Node{Object("reference", ehrBase+"/ImagingStudy/xr1"), Object("reference", ehrBase+"/DiagnosticReport/chest-xray-report")})
	for _, test := range []struct {
		name  string
		task  *Node
		based string // what the report sent to the EHR is based on
	}{
		{"the order stays at the EHR", coordinationTask(Object("reference", atEHR, "type", "ServiceRequest"),
			"input", withStudy(ehrBase+"/ImagingStudy/xr1", ehrBase+"/DiagnosticReport/chest-xray-report")), "ServiceRequest/77"},
		{"the order is named by its number", coordinationTask(Object("type", "ServiceRequest", "identifier", Object("system", "urn:placer", "value", "77")),
			"input", withStudy(ehrBase+"/ImagingStudy/xr1", ehrBase+"/DiagnosticReport/chest-xray-report")), "77"},
		{"the order is contained", coordinationTask(Object("reference", "#order"), "contained", []*Node{contained}), "77"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			c.chart("1")
			posted := c.post("/fhir/Task", test.task.jsonText())
			if posted.status != http.StatusCreated || posted.node.Text("businessStatus", "coding", "code") != "received" {
				t.Fatal(posted.status, posted.body)
			}
			id := posted.node.Text("id")
			if again := c.post("/fhir/Task", test.task.jsonText()); again.status != http.StatusOK || again.node.Text("id") != id {
				t.Errorf("the same Task again: %d %s", again.status, again.body)
			}
			c.tick()
			c.wantState(id, "ready")
			c.read(id)
			c.mustAct(access.Reader, id, "$grade", "agreement", true)
			c.mustAct(access.Reader, id, "$sign")
			task := c.task(id)
			if task.Text("identifier", "value") != "t1" || task.Text("note", "text") == "" {
				t.Errorf("what the placer wrote is gone: %s", task.Bytes())
			}
			sent := c.deliveries()[0].resources(t, "DiagnosticReport")[0]
			based := sent.Text("basedOn", "reference") + sent.Text("basedOn", "identifier", "value")
			if based != test.based || sent.Text("subject", "reference") != "Patient/example" || sent.Text("extension", "valueReference", "reference") != "DiagnosticReport/chest-xray-report" {
				t.Errorf("sent: basedOn %s, subject %s, extends %s", based, sent.Get("subject").Bytes(), sent.Get("extension").Bytes())
			}
			if err := Validate(c.report(id)); err != nil {
				t.Errorf("%+v", err)
			}
		})
	}
}

func TestATaskForAnOrderOfTheSameBundleOpensOneCaseOnThatTask(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	entries := chestXray(t, "1")
	order := entries[len(entries)-1].Get("resource")
	order.Set("reasonCode", []*Node{Object("text", "Is there a fracture?")}) // nothing says second opinion but the Task
	order.Set("note", []*Node{Object("text", "Fell off the bicycle.")})
	task := coordinationTask(Object("reference", "ServiceRequest/chest-xray"))
	task.Set("for", Object("reference", "Patient/example"))
	id := c.order(append(entries, entryOf(task, ehrBase+"/Task/t1"))...)
	if got := c.task(id); got.Text("identifier", "value") != "t1" || !strings.HasPrefix(got.Text("for", "reference"), "Patient/") {
		t.Errorf("%s", got.Bytes())
	}
	c.tick()
	c.wantState(id, "ready")
}

func TestThePlacerSpeaksThroughTheTask(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.chart("1")
	posted := c.post("/fhir/Task", coordinationTask(Object("reference", ehrBase+"/ServiceRequest/77", "type", "ServiceRequest"), "input", withStudy(ehrBase+"/ImagingStudy/xr1")).jsonText())
	id := posted.node.Text("id")
	c.tick()
	put := func(change func(*Node)) response {
		n := c.task(id)
		change(n)
		return c.put("/fhir/Task/"+id, n.jsonText())
	}
	put(func(n *Node) { n.Set("status", "completed") }).want(t, http.StatusUnprocessableEntity, "business-rule")
	if got := put(func(n *Node) { n.Set("priority", "stat") }); got.status != http.StatusOK || c.task(id).Text("priority") != "stat" {
		t.Error(got.status, got.body)
	}
	for _, step := range []struct{ status, state string }{{"on-hold", "on-hold"}, {"requested", "ready"}} {
		got := put(func(n *Node) { n.Set("status", step.status) })
		if got.status != http.StatusOK || got.node.Text("businessStatus", "coding", "code") != step.state {
			t.Fatal(got.status, got.body)
		}
	}
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	put(func(n *Node) { n.Set("status", "cancelled") }).want(t, http.StatusUnprocessableEntity, "business-rule")

	abort := `{"resourceType":"Task","status":"requested","intent":"order","code":{"coding":[{"system":"` + taskCode + `","code":"abort"}]},"focus":{"reference":"Task/` + id + `"}}`
	answer := c.post("/fhir/Task", abort)
	if answer.status != http.StatusCreated || answer.node.Text("status") != "accepted" {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	c.wantState(id, "cancelled")
	if again := c.post("/fhir/Task", abort); again.status != http.StatusCreated || again.node.Text("status") != "rejected" || again.node.Text("statusReason", "text") == "" {
		t.Errorf("%d %s", again.status, again.body)
	}
}

func TestATaskThatNamesNoOrderIsRefused(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	got := c.post("/fhir/Task", `{"resourceType":"Task","status":"requested","intent":"order","code":{"coding":[{"system":"`+taskCode+`","code":"fulfill"}]}}`)
	if got.want(t, http.StatusBadRequest, "required"); got.node.Text("issue", "expression") != "Task.focus" {
		t.Error(got.body)
	}
	c.post("/fhir/Task", `{"resourceType":"Task","status":"requested","intent":"order","code":{"coding":[{"system":"`+taskCode+`","code":"abort"}]},"focus":{"reference":"Task/none"}}`)
	order := `{"resourceType":"ServiceRequest","status":"active","intent":"order","code":{"coding":[{"system":"http://loinc.org","code":"73575-3"}]},"subject":{"display":"x"}}`
	if got := c.post("/fhir/ServiceRequest", order); got.status != http.StatusBadRequest || got.node.Text("issue", "expression") != "ServiceRequest.identifier" {
		t.Errorf("an order without a number: %d %s", got.status, got.body)
	}
}

// What the order refers to may come later, and by another name.
func TestACaseFindsWhatItsOrderNamesOnlyByIdentifier(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	patient := Object("identifier", Object("system", "http://example.org/patient/identifiers", "value", "1032702"), "type", "Patient")
	order := Object("resourceType", "ServiceRequest", "status", "active", "intent", "order",
		"identifier", []*Node{Object("system", "urn:placer", "value", "logical")},
		"code", concept(loinc, "73575-3", ""), "subject", patient,
		"reasonCode", []*Node{Object("text", "Is there a fracture?")}, "note", []*Node{Object("text", "Fell.")},
		"supportingInfo", []*Node{
			Object("type", "ImagingStudy", "identifier", Object("system", studyUIDSystem, "value", "urn:oid:1.2.3.5")),
			Object("type", "DiagnosticReport", "identifier", Object("system", "urn:ris", "value", "R5")),
		})
	posted := c.post("/fhir/ServiceRequest", order.jsonText())
	if posted.status != http.StatusCreated {
		t.Fatal(posted.status, posted.body)
	}
	id := c.taskOf("ServiceRequest/" + posted.node.Text("id"))
	c.tick()
	c.wantState(id, "awaiting-information")
	var missing []string
	for _, out := range c.task(id).Each("output", "valueCodeableConcept", "coding", "code") {
		missing = append(missing, out.Text())
	}
	if got := strings.Join(missing, " "); got != "original-report-missing study-missing" {
		t.Errorf("missing: %s", got)
	}
	entries := chestXray(t, "5")
	report := entries[6].Get("resource")
	report.Set("identifier", []*Node{Object("system", "urn:ris", "value", "R5")})
	got := c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", entries[:len(entries)-1]).jsonText())
	if got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	c.tick()
	c.wantState(id, "ready")
	c.read(id)
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")
	sent := c.deliveries()[0].resources(t, "DiagnosticReport")[0]
	if sent.Text("imagingStudy", "reference") != "ImagingStudy/xr1" || sent.Text("subject", "identifier", "value") != "1032702" {
		t.Errorf("%s", sent.Bytes())
	}
}

func TestANumberTooLongForAKeyIsRefusedAndNotAnError(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.chart("1")
	var long strings.Builder
	for i := range 2000 { // text that PostgreSQL cannot compress away
		fmt.Fprintf(&long, "%x", sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
	}
	task := coordinationTask(Object("type", "ServiceRequest", "identifier", Object("system", "urn:placer", "value", long.String())))
	got := c.post("/fhir/Task", task.jsonText())
	if got.status != http.StatusBadRequest || got.node.Text("issue", "expression") != "Task.focus" {
		t.Errorf("a Task: %d %s", got.status, got.body)
	}
	entries := chestXray(t, long.String())
	got = c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", entries).jsonText())
	if got.status != http.StatusBadRequest || !strings.HasSuffix(got.node.Text("issue", "expression"), "identifier") {
		t.Errorf("an order: %d %s", got.status, got.body)
	}
}

// A Task may come before its order and know of it nothing but its address. The
// order is then the one that the case is on already.
func TestAnOrderThatComesAfterItsTaskOpensNoSecondCase(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	entries := chestXray(t, "late")
	address := entries[len(entries)-1].Text("fullUrl")
	c.chart("late")
	if got := c.post("/fhir/Task", coordinationTask(Object("reference", address)).jsonText()); got.status != http.StatusCreated {
		t.Fatal(got.status, got.body)
	}
	for range 2 {
		got := c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", entries[len(entries)-1:]).jsonText())
		if got.status != http.StatusOK {
			t.Fatal(got.status, got.body)
		}
	}
	if n := c.count("case_file"); n != 1 {
		t.Errorf("%d cases", n)
	}
}

// A placer's Task may come without identifiers: the first that it gets is ours,
// and the Task is the placer's all the same.
func TestATaskWithoutIdentifiersStaysThePlacers(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.chart("1")
	task := coordinationTask(Object("reference", ehrBase+"/ServiceRequest/77"), "input", withStudy(ehrBase+"/ImagingStudy/xr1"),
		"description", "Please be quick.", "restriction", Object("repetitions", 1), "requester", Object("display", "Dr Placer"))
	task.Remove("identifier")
	posted := c.post("/fhir/Task", task.jsonText())
	c.tick()
	got := c.task(posted.node.Text("id"))
	c.wantState(got.Text("id"), "ready")
	if got.Text("identifier", "system") != sidCase || got.Text("description") != "Please be quick." || got.Text("requester", "display") != "Dr Placer" || got.Text("restriction", "repetitions") != "1" {
		t.Errorf("%s", got.Bytes())
	}
}

// A report need not say whose it is: its study does, and without one it may be
// what any case waits for.
func TestAReportOfNobodyIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, study := range map[string]bool{"of the study": true, "of nothing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			entries := chestXray(t, "1")
			order := entries[len(entries)-1].Get("resource")
			order.Set("supportingInfo", []*Node{
				Object("reference", "ImagingStudy/xr1"),
				Object("type", "DiagnosticReport", "identifier", Object("system", "urn:ris", "value", "R5"))})
			id := c.order(append(entries[:4:4], entries[len(entries)-1])...)
			c.tick()
			c.wantState(id, "awaiting-information")
			report := Object("resourceType", "DiagnosticReport", "status", "final", "code", Object("text", "XR"),
				"identifier", []*Node{Object("system", "urn:ris", "value", "R5")})
			if study {
				report.Set("subject", Object("reference", "https://elsewhere.example/Patient/5"))
				report.Set("imagingStudy", []*Node{Object("reference", "ImagingStudy/"+c.get("/fhir/ImagingStudy").ids()[0])})
			}
			c.mustCreate("DiagnosticReport", report.jsonText())
			c.tick()
			if state := c.state(id); state == "awaiting-information" {
				t.Errorf("the report is here, and nobody has looked: %s", c.task(id).Bytes())
			}
		})
	}
}
