package fhir

import (
	"net/http"
	"testing"
)

// lateOrder starts a case on a Coordination Task that names its order by focus,
// and then sends the order. It returns the Task and the order as they are here.
func (c *clinic) lateOrder(placer string, task *Node) (taskID, orderID string) {
	c.t.Helper()
	entries := chestXray(c.t, placer)
	c.chart(placer)
	posted := c.post("/fhir/Task", task.jsonText())
	if posted.status != http.StatusCreated {
		c.t.Fatal(posted.status, posted.body)
	}
	got := c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", entries[len(entries)-1:]).jsonText())
	if got.status != http.StatusOK {
		c.t.Fatal(got.status, got.body)
	}
	at := parseReference(got.node.Text("entry", "response", "location"))
	return posted.node.Text("id"), at.id
}

func TestAnOrderThatComesAfterItsTaskSpeaksToTheCase(t *testing.T) {
	t.Parallel()
	contained := Object("resourceType", "ServiceRequest", "id", "order", "status", "active", "intent", "order",
		"identifier", []*Node{Object("system", "urn:placer", "value", "late")}, "subject", Object("reference", ehrBase+"/Patient/example"))
	for _, test := range []struct {
		name string
		task *Node
	}{
		{"by its address", coordinationTask(Object("reference", ehrBase+"/ServiceRequest/chest-xray"))},
		{"by its number", coordinationTask(Object("type", "ServiceRequest", "identifier", Object("system", "urn:placer", "value", "late")))},
		{"contained", coordinationTask(Object("reference", "#order"), "contained", []*Node{contained})},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			task, order := c.lateOrder("late", test.task)
			if n := c.count("case_file"); n != 1 {
				t.Fatalf("%d cases", n)
			}
			written := c.task(task)
			if got, want := written.Get("focus").jsonText(), test.task.Get("focus").jsonText(); got != want {
				t.Errorf("focus was %s and is %s", want, got)
			}
			for _, question := range []string{"based-on=ServiceRequest/" + order, "focus=ServiceRequest/" + order, "focus=" + order, "based-on=" + ehrBase + "/ServiceRequest/chest-xray"} {
				if ids := c.get("/fhir/Task?" + question).ids(); len(ids) != 1 || ids[0] != task {
					t.Errorf("%s finds %v", question, ids)
				}
			}
			if ids := c.get("/fhir/Task?owner=ServiceRequest/" + order).ids(); len(ids) != 0 {
				t.Errorf("a Task owned by its order: %v", ids)
			}

			again := test.task.Clone() // the placer's Task as the placer has it
			again.Set("id", task)
			for _, id := range written.Each("identifier")[1:] {
				again.Append("identifier", id)
			}
			for _, name := range []string{"businessStatus", "owner", "restriction", "encounter", "requester"} {
				if n := written.Get(name); n != nil {
					again.Set(name, n)
				}
			}
			if got := c.put("/fhir/Task/"+task, again.jsonText()); got.status != http.StatusOK {
				t.Errorf("the placer's own Task: %d %s", got.status, got.body)
			}

			c.tick()
			c.wantState(task, "ready")
			n := c.get("/fhir/ServiceRequest/" + order).node
			for _, step := range []struct{ status, state string }{{"on-hold", "on-hold"}, {"active", "ready"}, {"revoked", "cancelled"}} {
				n.Set("status", step.status)
				if got := c.put("/fhir/ServiceRequest/"+order, n.jsonText()); got.status != http.StatusOK {
					t.Fatal(got.status, got.body)
				}
				c.wantState(task, step.state)
			}
		})
	}
}

func TestALateOrderIsHeldToItsTask(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.chart("held")
	entries := chestXray(t, "held")
	order := entries[len(entries)-1].Get("resource")
	order.Remove("encounter")
	order.Remove("supportingInfo")
	order.Set("requester", Object("display", "Dr Placer"))
	order.Set("subject", Object("reference", "Patient/"+c.mustCreate("Patient", patientJSON("other"))))
	posted := c.post("/fhir/Task", coordinationTask(Object("type", "ServiceRequest", "identifier", Object("system", "urn:placer", "value", "held"))).jsonText())

	got := c.post("/fhir/ServiceRequest", order.jsonText())
	got.want(t, http.StatusUnprocessableEntity, "business-rule")
	if at := got.node.Text("issue", "expression"); at != "ServiceRequest.subject" {
		t.Errorf("refused at %s", at)
	}
	order.Set("subject", Object("reference", ehrBase+"/Patient/example"))
	forbids := order.Clone()
	forbids.Set("doNotPerform", true)
	c.post("/fhir/ServiceRequest", forbids.jsonText()).want(t, http.StatusUnprocessableEntity, "business-rule")
	order.Set("status", "revoked")
	if got := c.post("/fhir/ServiceRequest", order.jsonText()); got.status != http.StatusCreated {
		t.Fatal(got.status, got.body)
	}
	c.wantState(posted.node.Text("id"), "cancelled")
}

func TestACaseThatHasEndedDoesNotBeginAgain(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "ended")...)
	address := "/fhir/" + c.task(id).Text("focus", "reference")
	order := c.get(address).node
	for _, step := range []struct {
		status string
		want   int
	}{
		{"revoked", http.StatusOK}, {"active", http.StatusUnprocessableEntity}, {"on-hold", http.StatusUnprocessableEntity},
		{"entered-in-error", http.StatusOK},
	} {
		order.Set("status", step.status)
		got := c.put(address, order.jsonText())
		if got.status != step.want || step.want != http.StatusOK && got.node.Text("issue", "expression") != "ServiceRequest.status" {
			t.Errorf("%s: %d %s", step.status, got.status, got.body)
		}
		c.wantState(id, "cancelled")
	}
}
