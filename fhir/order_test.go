package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What forbids, or may mean the opposite, opens no case.
func TestAnOrderThatForbidsOrIsNotUnderstoodOpensNoCase(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	patient := c.mustCreate("Patient", patientJSON("1"))
	order := func(placer string, more ...any) *Node {
		n := Object(
			"resourceType", "ServiceRequest", "status", "active", "intent", "order",
			"identifier", []*Node{Object("system", "urn:placer", "value", placer)},
			"code", concept(dicom, "111418", ""), "subject", Object("reference", "Patient/"+patient))
		for i := 0; i < len(more); i += 2 {
			n.Set(more[i].(string), more[i+1])
		}
		return n
	}
	stranger := []*Node{Object("url", "https://ehr.example/negated", "valueBoolean", true)}

	forbids := c.mustCreate("ServiceRequest", order("1", "doNotPerform", true).jsonText())
	if ids := c.get("/fhir/Task?focus=ServiceRequest/" + forbids).ids(); len(ids) != 0 {
		t.Errorf("an order not to perform has %d Tasks", len(ids))
	}
	c.post("/fhir/ServiceRequest", order("2", "modifierExtension", stranger).jsonText()).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.post("/fhir/ServiceRequest", order("2", "implicitRules", "https://ehr.example/rules").jsonText()).want(t, http.StatusUnprocessableEntity, "business-rule")

	revoked := c.mustCreate("ServiceRequest", order("3", "status", "revoked").jsonText())
	for _, id := range []string{forbids, revoked} {
		task := coordinationTask(Object("reference", "ServiceRequest/"+id)).jsonText()
		c.post("/fhir/Task", task).want(t, http.StatusUnprocessableEntity, "business-rule")
	}
	task := coordinationTask(Object("reference", ehrBase+"/ServiceRequest/9"), "modifierExtension", stranger).jsonText()
	c.post("/fhir/Task", task).want(t, http.StatusUnprocessableEntity, "business-rule")

	// Neither does what is only proposed, and what was ordered does not become that again.
	proposed := c.mustCreate("ServiceRequest", order("5", "intent", "proposal").jsonText())
	if ids := c.get("/fhir/Task?focus=ServiceRequest/" + proposed).ids(); len(ids) != 0 {
		t.Errorf("a proposal has %d Tasks", len(ids))
	}
	ordered := c.mustCreate("ServiceRequest", order("6").jsonText())
	for _, intent := range []string{"proposal", "plan", "directive", "option"} {
		got := c.put("/fhir/ServiceRequest/"+ordered, order("6", "id", ordered, "intent", intent).jsonText())
		got.want(t, http.StatusUnprocessableEntity, "business-rule")
		for _, says := range []string{`"ServiceRequest.intent"`, "does not become a " + intent, "set status revoked"} {
			if !strings.Contains(got.body, says) {
				t.Errorf("%s: it does not say %s: %s", intent, says, got.body)
			}
		}
	}
	c.wantState(c.taskOf("ServiceRequest/"+ordered), "received")
	if intent := c.get("/fhir/ServiceRequest/" + ordered).node.Text("intent"); intent != "order" {
		t.Errorf("it is a %s now", intent)
	}
	if got := c.put("/fhir/ServiceRequest/"+ordered, order("6", "id", ordered, "intent", "original-order").jsonText()); got.status != http.StatusOK {
		t.Errorf("which kind of order it is: %d %s", got.status, got.body)
	}
	if got := c.put("/fhir/ServiceRequest/"+ordered, order("6", "id", ordered, "intent", "original-order", "status", "revoked").jsonText()); got.status != http.StatusOK {
		t.Errorf("the remedy: %d %s", got.status, got.body)
	}
	c.wantState(c.taskOf("ServiceRequest/"+ordered), "cancelled")

	id := c.mustCreate("ServiceRequest", order("4").jsonText())
	turned := order("4", "id", id, "doNotPerform", true)
	c.put("/fhir/ServiceRequest/"+id, turned.jsonText()).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.wantState(c.taskOf("ServiceRequest/"+id), "received")
}

// Until a reader has the case, the placer may mend the patient of its order;
// the Task is found by the new one then, and not by the wrong one any more.
func TestTheTaskFollowsTheOrderToItsPatient(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	wrong, right := c.mustCreate("Patient", patientJSON("1")), c.mustCreate("Patient", patientJSON("2"))
	order := Object(
		"resourceType", "ServiceRequest", "status", "active", "intent", "order",
		"identifier", []*Node{Object("system", "urn:placer", "value", "1")},
		"code", concept(dicom, "111418", ""), "subject", Object("reference", "Patient/"+wrong))
	id := c.mustCreate("ServiceRequest", order.jsonText())
	task := c.taskOf("ServiceRequest/" + id)
	c.tick()
	order.Set("id", id)
	order.Set("subject", Object("reference", "Patient/"+right))
	if got := c.put("/fhir/ServiceRequest/"+id, order.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	c.tick()
	if ids := c.get("/fhir/Task?patient=" + wrong).ids(); len(ids) != 0 {
		t.Errorf("the Task is still found by the wrong patient: %s", c.task(task).Bytes())
	}
	if ids := c.get("/fhir/Task?patient=" + right).ids(); len(ids) != 1 {
		t.Errorf("the right patient has %d Tasks", len(ids))
	}
}

// What a urn:uuid leads to is known only when the Bundle is put together, and
// has to be of a type that the element may name.
func TestAReferenceWithinABundleLeadsToTheRightType(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.post("/fhir", bundleJSON(
		entryJSON(urn+"1", "POST", "Practitioner", "", `{"resourceType":"Practitioner"}`),
		entryJSON(urn+"2", "POST", "ServiceRequest", "", orderJSON(urn+"1")),
		entryJSON(urn+"3", "POST", "DiagnosticReport", "", `{"resourceType":"DiagnosticReport","status":"final","code":{"text":"CT"},"result":[{"display":"a"},{"reference":"`+urn+`1"}]}`)))
	got.want(t, http.StatusBadRequest, "value")
	var where []string
	for _, at := range got.node.Each("issue", "expression") {
		where = append(where, at.Text())
	}
	want := []string{"Bundle.entry[1].resource.subject.reference", "Bundle.entry[2].resource.result[1].reference"}
	if diff := cmp.Diff(want, where); diff != "" {
		t.Error(diff)
	}
	if n := r.count("resource"); n != 0 {
		t.Errorf("%d resources are left", n)
	}
}
