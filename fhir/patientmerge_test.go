package fhir

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// mergeInto makes the record of one patient replaced by another's, or parts them
// again with "".
func (c *clinic) mergeInto(patient, other string) response {
	c.t.Helper()
	return c.change("Patient", patient, func(n *Node) {
		n.Remove("link")
		n.Set("active", other == "")
		if other != "" {
			n.Set("link", []*Node{Object("other", Object("reference", "Patient/"+other), "type", "replaced-by")})
		}
	})
}

func TestCasesSearchesAndReportsFollowAPatientWhoWasMergedAndPartAgain(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	read := orderToSpoil(t, "read")
	read.send(c)
	signed := c.get("/fhir/ServiceRequest/" + read.orderID).node.Clone()
	signed.Remove("id")
	signed.Each("identifier")[0].Set("value", "signed")
	old := parseReference(c.task(read.taskID).Text("for", "reference")).id
	c.tick()
	c.read(read.taskID)
	c.mustAct(access.Reader, read.taskID, "$grade", "agreement", true)
	c.mustAct(access.Reader, read.taskID, "$sign")
	report := c.report(read.taskID)
	open := c.taskOf("ServiceRequest/" + c.mustCreate("ServiceRequest", signed.jsonText()))
	stays := c.mustCreate("Patient", `{"resourceType":"Patient","identifier":[{"system":"urn:mrn:new","value":"N1"}],"name":[{"family":"Stays"}]}`)

	find := func(path string) []string {
		found := slices.DeleteFunc(c.get(path).refs(), func(ref string) bool {
			return strings.HasPrefix(ref, "Patient/") || strings.HasPrefix(ref, "CommunicationRequest/")
		})
		slices.Sort(found)
		return found
	}
	ways := []string{"/fhir/DiagnosticReport?patient=PATIENT", "/fhir/DiagnosticReport?subject=Patient/PATIENT", "/fhir/Task?patient=PATIENT", "/fhir/ImagingStudy?subject=PATIENT",
		"/fhir/Patient/PATIENT/Observation", "/fhir/Patient/PATIENT/*", "/fhir/Patient/PATIENT/$everything"}
	of := func(patient string) map[string][]string {
		found := map[string][]string{}
		for _, way := range ways {
			found[way] = find(strings.ReplaceAll(way, "PATIENT", patient))
		}
		found["chain"] = find("/fhir/ServiceRequest?patient.identifier=urn:mrn:new|N1")
		return found
	}
	before, nobody := of(old), of(stays)
	if len(before[ways[1]]) != 2 || len(nobody["chain"]) != 0 || len(nobody[ways[0]]) != 0 {
		t.Fatalf("%v %v", before, nobody)
	}
	if got := c.mergeInto(old, stays); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	after := of(stays)
	if len(after["chain"]) != 2 {
		t.Errorf("by the identifier of who stays: %v", after["chain"])
	}
	for _, way := range ways {
		if diff := cmp.Diff(before[way], after[way]); diff != "" {
			t.Errorf("%s: %s", way, diff)
		}
	}
	for _, task := range []string{open, read.taskID} {
		if got := c.task(task).Text("for", "reference"); got != "Patient/"+stays {
			t.Errorf("the Task is for %s", got)
		}
	}
	if diff := cmp.Diff(report.jsonText(), c.report(read.taskID).jsonText()); diff != "" {
		t.Errorf("what is signed has changed: %s", diff)
	}

	c.tick() // the study is a possible duplicate, and of the same patient as its order
	if got := c.task(open).Text("statusReason", "coding", "code"); got != "duplicate-case" {
		t.Fatalf("the open case waits for %q", got)
	}
	c.mustAct(access.Coordinator, open, "$resolve", "reason", "another question")
	c.tick()
	c.wantState(open, "ready")
	if got := c.mergeInto(stays, old); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a circle: %d", got.status)
	}
	third := c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Third"}]}`)
	if got := c.mergeInto(stays, third); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if diff := cmp.Diff(before[ways[0]], of(third)[ways[0]]); diff != "" {
		t.Errorf("a chain of merges: %s", diff)
	}
	c.mergeInto(stays, "")
	if diff := cmp.Diff(after[ways[5]], of(stays)[ways[5]]); diff != "" || len(of(third)[ways[0]]) != 0 {
		t.Errorf("the second merge is undone: %s", diff)
	}
	c.mergeInto(old, "")
	if diff := cmp.Diff(nobody, of(stays)); diff != "" {
		t.Errorf("parted again, and still found: %s", diff)
	}
	if diff := cmp.Diff(before[ways[5]], of(old)[ways[5]]); diff != "" {
		t.Errorf("parted again: %s", diff)
	}
	if got := c.task(open).Text("for", "reference"); got != "Patient/"+old {
		t.Errorf("the Task is for %s", got)
	}
}

// The report that is signed after a merge is of who stays, and the reader hears of it.
func TestAReportThatIsSignedAfterAMergeIsOfWhoStays(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	o := orderToSpoil(t, "read")
	o.send(c)
	c.tick()
	c.mustAct(access.Reader, o.taskID, "$claim", "independent", true)
	old := parseReference(c.task(o.taskID).Text("for", "reference")).id
	stays := c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Stays"}]}`)
	c.mergeInto(old, stays)
	c.wantState(o.taskID, "accepted")
	registered := c.get("/fhir/DiagnosticReport?status=registered").node.Each("entry", "resource")
	if len(registered) != 1 || registered[0].Text("subject", "reference") != "Patient/"+stays {
		t.Errorf("registered for %s", registered[0].Text("subject", "reference"))
	}
	notices, err := c.server.Notices(t.Context(), c.readers[access.Reader], 0, 100, Asked{})
	if err != nil || len(notices) != 1 || notices[0].Event != "follow-patient" || notices[0].TaskID != o.taskID {
		t.Errorf("%v %v", notices, err)
	}
	c.mustChange("ServiceRequest", o.orderID, func(n *Node) { n.Set("subject", Object("reference", "Patient/"+stays)) })
	c.wantState(o.taskID, "accepted") // it is the same patient
	for _, step := range []string{"$start", "$lock", "$reveal", "$grade", "$sign"} {
		given := []any{}
		if step == "$lock" {
			given = []any{"findings", "f", "impression", "i"}
		}
		if step == "$grade" {
			given = []any{"agreement", true}
		}
		c.mustAct(access.Reader, o.taskID, step, given...)
	}
	if got := c.report(o.taskID).Text("subject", "reference"); got != "Patient/"+stays {
		t.Errorf("the report is of %s", got)
	}
}

// A report that is signed while two records are merged stands in the record of somebody
// else once they are parted: who signed is to look at it, the EHR is told, and what is
// signed then is of its patient.
func TestAReportThatWasSignedDuringAMergeIsLookedAtWhenTheRecordsAreParted(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	before, during := c.signed("before"), c.order(chestXray(t, "during")...)
	c.tick()
	old := parseReference(c.task(during).Text("for", "reference")).id
	stays := c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Stays"}]}`)
	c.mergeInto(old, stays)
	c.read(during)
	c.mustAct(access.Reader, during, "$grade", "agreement", true)
	c.mustAct(access.Reader, during, "$sign")
	if got := c.report(during).Text("subject", "reference"); got != "Patient/"+stays {
		t.Fatalf("the report is of %s", got)
	}
	verifications := func(task string) (open int) {
		for _, m := range c.do(access.Reader, "GET", "/fhir/Task/"+task+"/$matters", "").node.Each("parameter") {
			text := string(m.Bytes())
			if strings.Contains(text, `"verification"`) && !strings.Contains(text, `"settled"`) {
				open++
			}
		}
		return open
	}
	if n := verifications(during); n != 0 {
		t.Fatalf("%d verifications of a report in the record that is in use", n)
	}
	c.mergeInto(old, "")
	if n := verifications(before); n != 0 {
		t.Errorf("what was signed before the merge is of its patient, and is to be looked at (%d)", n)
	}
	if n := verifications(during); n != 1 {
		t.Fatalf("%d verifications of a report in the record of another patient", n)
	}
	if got := c.task(during).jsonText(); !strings.Contains(got, "signed into the record of the other one") {
		t.Errorf("the Task does not say so: %s", got)
	}
	told := c.get("/fhir/Communication?subject=Patient/" + old).body
	if !strings.Contains(told, "stands in the record of another patient") {
		t.Errorf("the EHR is not told: %s", told)
	}
	c.mustAct(access.Reader, during, "$verify")
	if got := c.report(during).Text("subject", "reference"); got != "Patient/"+old {
		t.Errorf("signed anew the report is of %s", got)
	}
	if n := len(c.get("/fhir/DiagnosticReport?_id=" + c.report(during).Text("id") + "&subject=Patient/" + stays).ids()); n != 0 || verifications(during) != 0 {
		t.Errorf("it stands in the other record still (%d)", n)
	}
}

// What somebody is told of an emergency follows the patient: it is in no record of another.
func TestAFindingThatWasRaisedDuringAMergeFollowsItsPatientWhenTheRecordsAreParted(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "during")...)
	c.tick()
	old := parseReference(c.task(task).Text("for", "reference")).id
	stays := c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Stays"}]}`)
	told := func(patient string) (n int) {
		for _, typ := range []string{"Communication", "Observation"} {
			for _, r := range c.get("/fhir/"+typ+"?subject=Patient/"+patient).node.Each("entry", "resource") {
				if strings.Contains(r.jsonText(), "tension pneumothorax") {
					n++
				}
			}
		}
		return n
	}
	c.mergeInto(old, stays)
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$start")
	c.mustAct(access.Reader, task, "$raise-finding", "category", Object("valueCode", "emergent"), "text", "tension pneumothorax")
	if n := told(stays); n != 2 {
		t.Fatalf("%d are in the record that is in use", n)
	}
	c.mergeInto(old, "")
	if there, here := told(stays), told(old); there != 0 || here != 2 {
		t.Errorf("%d are in the record of another patient, %d in the patient's", there, here)
	}
}

func TestAnOrderThatIsCorrectedWhileItIsReadIsDecidedByTheCoordinator(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	o := orderToSpoil(t, "read")
	o.send(c)
	c.tick()
	c.mustAct(access.Reader, o.taskID, "$claim", "independent", true)
	c.mustAct(access.Reader, o.taskID, "$start")
	right := "Patient/" + c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Right"}]}`)
	subject := func(n *Node) { n.Set("subject", Object("reference", right)) }
	c.mustChange("ServiceRequest", o.orderID, subject)
	c.wantState(o.taskID, "on-hold")
	if got := c.task(o.taskID); got.Text("statusReason", "coding", "code") != workflow.OrderCorrected || got.Text("status") != "on-hold" {
		t.Errorf("%s", got.Bytes())
	}
	if got := c.do(access.Placer, "GET", "/fhir/Task/"+o.taskID+"/$check", ""); !strings.Contains(got.body, workflow.OrderCorrected) || !strings.Contains(got.body, "ServiceRequest.subject") {
		t.Error(got.body)
	}
	if got := c.act(access.Reader, o.taskID, "$draft", "findings", "f"); got.status != http.StatusOK { // what is written meanwhile is kept
		t.Errorf("a draft on hold: %d %s", got.status, got.body)
	}
	c.act(access.Reader, o.taskID, "$lock", "findings", "f", "impression", "i").want(t, http.StatusConflict, "conflict")
	c.act(access.Coordinator, o.taskID, "$continue-reading", "reason", "r").want(t, http.StatusUnprocessableEntity, "business-rule") // the study is still the other patient's
	for typ, ids := range map[string][]string{"ImagingStudy": c.get("/fhir/ImagingStudy").ids(), "DiagnosticReport": c.get("/fhir/DiagnosticReport?status=final").ids()} {
		for _, id := range ids {
			c.mustChange(typ, id, subject)
		}
	}
	c.act(access.Placer, o.taskID, "$continue-reading", "reason", "r").want(t, http.StatusForbidden, "forbidden")
	c.mustAct(access.Coordinator, o.taskID, "$continue-reading", "reason", "the EHR had mixed up two patients; the images are right")
	c.wantState(o.taskID, "reading")
	if got := c.task(o.taskID).Text("for", "reference"); got != right {
		t.Errorf("the Task is for %s", got)
	}
	if got := c.get("/fhir/DiagnosticReport?status=registered").node.Each("entry", "resource")[0].Text("subject", "reference"); got != right {
		t.Errorf("the report is registered for %s", got)
	}
}

func TestATaskOfTheEHRsMakesACaseMorePressing(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.chart("early")
	task := coordinationTask(Object("reference", ehrBase+"/ServiceRequest/9"), "input", withStudy(ehrBase+"/ImagingStudy/xr1"))
	task.Set("priority", "routine")
	id := c.mustCreate("Task", task.jsonText())
	c.tick()
	c.wantState(id, "ready")
	due := c.task(id).Text("restriction", "period", "end")
	c.mustChange("Task", id, func(n *Node) { n.Set("priority", "stat") })
	if got := c.task(id); got.Text("priority") != "stat" || got.Text("restriction", "period", "end") >= due {
		t.Errorf("%s", got.Bytes())
	}
	body := Object("resourceType", "Parameters", "parameter", []*Node{Object("name", "priority", "valueCode", "urgent")}).jsonText()
	if got := c.do(access.Placer, "POST", "/fhir/Task/"+id+"/$reprioritise", body); got.status != http.StatusOK {
		t.Error(got.body)
	}
	order := c.order(chestXray(t, "here")...)
	if got := c.do(access.Placer, "POST", "/fhir/Task/"+order+"/$reprioritise", body); got.status != http.StatusUnprocessableEntity {
		t.Errorf("%d: the order is kept here, and says so itself", got.status)
	}
}
