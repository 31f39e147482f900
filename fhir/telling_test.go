package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

func TestAnEscalationIsACommunicationAboutTheTaskAndNotInThePatientsRecord(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"clocks": {"routine": {"final": "100h", "assign": "1000h"}}, "escalations": [{"clock": "final", "at": 50, "chain": [
		{"tell": "reader", "by": ["notification"], "wait": "10m"}, {"tell": "coordinator", "by": ["page", "notification"]}]}]}'`)
	id := c.order(chestXray(t, "1")...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.sql(`UPDATE agenda SET due_at = due_at - interval '51 hours', deadline_at = deadline_at - interval '51 hours' WHERE kind = 'clock-final'`)
	c.tick()

	found := c.do(access.Placer, "GET", "/fhir/Communication?category=notification&part-of:missing=true", "").node.Each("entry", "resource")
	if len(found) != 1 {
		t.Fatalf("%d Communications", len(found))
	}
	told := found[0]
	number := identifierOf(c.task(id), sidFiller)
	if got := told.Text("payload", "contentString"); got != "Case "+number+": 50 % of the time for the report have passed. Told: the reader." {
		t.Error(got)
	}
	if got := told.Text("about", "reference") + " " + told.Text("status") + " " + told.Text("priority"); got != "Task/"+id+" completed routine" {
		t.Error(got)
	}
	if !strings.HasPrefix(told.Text("recipient", "reference"), "Practitioner/") || !strings.HasPrefix(told.Text("sender", "reference"), "Organization/") || told.Get("subject") != nil {
		t.Errorf("%s", told.Bytes())
	}
	if _, err := Decode(told.Bytes(), "Communication"); err != nil {
		t.Error(err)
	}

	address := "/fhir/Communication/" + told.Text("id")
	if got := c.do(access.Reader, "GET", address, ""); got.status != http.StatusOK {
		t.Errorf("the reader who is told may not read it: %d", got.status)
	}
	told.Set("status", "entered-in-error")
	if got := c.do(access.Placer, "PUT", address, string(told.Bytes())); got.status != http.StatusForbidden {
		t.Errorf("a client overwrites it: %d", got.status)
	}
	patient := c.task(id).Text("for", "reference")
	if got := c.do(access.Placer, "GET", "/fhir/"+patient+"/$everything", ""); got.status != http.StatusOK || strings.Contains(got.body, told.Text("id")) {
		t.Errorf("%d: how long the work takes is in the patient's record", got.status)
	}

	c.sql(`UPDATE agenda SET due_at = now() WHERE kind = 'escalate'`)
	c.sql(`UPDATE escalation SET next_at = now() WHERE next_at IS NOT NULL`)
	c.tick()
	if got := len(c.do(access.Placer, "GET", "/fhir/Communication?category=notification", "").ids()); got != 2 {
		t.Errorf("%d Communications after the second link", got)
	}
	before := c.task(id).Text("meta", "versionId")
	c.mustAct(access.Coordinator, id, "$heed")
	if got := c.act(access.Coordinator, id, "$heed"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("note is taken twice: %d", got.status)
	}
	if got := c.act(access.Placer, id, "$heed"); got.status != http.StatusForbidden {
		t.Errorf("the placer takes note: %d", got.status)
	}
	if c.task(id).Text("meta", "versionId") != before {
		t.Error("an escalation is no change of the Task")
	}
}

func TestTheTaskOfASignedCaseTellsItsTimes(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "1")...)
	c.tick()
	c.mustAct(access.Placer, id, "$hold")
	c.sql(`UPDATE case_wait SET began_at = began_at - interval '90 minutes'`)
	c.sql(`UPDATE case_file SET opened_at = opened_at - interval '100 minutes', complete_at = complete_at - interval '95 minutes'`)
	c.mustAct(access.Placer, id, "$resume")
	c.tick()
	c.read(id)
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")
	want := map[string]string{"gross-time": "100 min", "net-time": "5 min", "waited-for-placer": "90 min"}
	got := map[string]string{}
	for _, out := range c.task(id).Each("output") {
		if out.Get("valueDuration") != nil {
			got[out.Text("type", "coding", "code")] = out.Text("valueDuration", "value") + " " + out.Text("valueDuration", "code")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// sql runs a statement as the owner of the database.
func (c *clinic) sql(statement string) {
	c.t.Helper()
	if _, err := c.db.Owner(c.t).Exec(context.Background(), statement); err != nil {
		c.t.Fatal(err)
	}
}

func TestTheCoordinatorIsToldWhoShouldReadACaseAndWhy(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"triage": [{"when": {"reason": ["S"], "bodySite": ["chest"]}, "then": {"subspecialty": "chest", "needs": ["neuro"]}}]}'`)
	id := c.order(chestXray(t, "1")...)
	if got := c.do(access.Coordinator, "GET", "/fhir/Task/"+id+"/$triage", ""); got.status != http.StatusConflict {
		t.Errorf("%d before the checks have run", got.status)
	}
	c.tick()
	got := c.do(access.Coordinator, "GET", "/fhir/Task/"+id+"/$triage", "")
	told := map[string]string{}
	for _, p := range got.node.Each("parameter") {
		told[p.Text("name")] = parameterValue(p).Text()
	}
	want := map[string]string{"subspecialty": "chest", "needs": "neuro", "why": "rule 1: chest, reason S -> chest with neuro", "policy": "0"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(got.body, diff)
	}
	if _, err := Decode([]byte(got.body), "Parameters"); err != nil {
		t.Error(err)
	}
	for _, as := range []access.Role{access.Reader, access.Placer} {
		if got := c.do(as, "GET", "/fhir/Task/"+id+"/$triage", ""); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", as, got.status)
		}
	}
	if got := c.do(access.Coordinator, "GET", "/fhir/Task/nobody/$triage", ""); got.status != http.StatusNotFound {
		t.Errorf("an unknown case: %d", got.status)
	}
}
