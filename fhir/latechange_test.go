package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// readTo takes a case of the reader to a state.
func (c *clinic) readTo(task string, state workflow.State) {
	c.t.Helper()
	for _, step := range []struct {
		after workflow.State
		do    func()
	}{
		{workflow.Ready, func() {}},
		{workflow.Reading, func() {
			c.mustAct(access.Reader, task, "$claim", "independent", true)
			c.mustAct(access.Reader, task, "$start")
		}},
		{workflow.Locked, func() { c.mustAct(access.Reader, task, "$lock", "findings", "None.", "impression", "Normal.") }},
		{workflow.Comparing, func() { c.mustAct(access.Reader, task, "$reveal") }},
	} {
		step.do()
		if step.after == state {
			return
		}
	}
}

// refusedFor wants the reader's next step to be refused for a reason.
func (c *clinic) refusedFor(task string, why string, operation string, params ...any) {
	c.t.Helper()
	if got := c.act(access.Reader, task, operation, params...); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, why) {
		c.t.Errorf("%s: %d %s", operation, got.status, got.body)
	}
}

var anOpinion = []any{"findings", "None.", "impression", "Normal."}

func TestAnOriginalThatTurnsOutToBeTheReadersOwnIsNoticedAtEveryMoment(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		state workflow.State
		next  string
		with  []any
	}{
		{workflow.Ready, "$claim", []any{"independent", true}},
		{workflow.Reading, "$lock", anOpinion},
		{workflow.Locked, "$reveal", nil},
		{workflow.Comparing, "$sign", nil},
	} {
		t.Run(string(row.state), func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			c.numbered()
			c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
			o := orderToSpoil(t, "late")
			o.send(c)
			c.tick()
			c.readTo(o.taskID, row.state)
			if row.state == workflow.Comparing {
				c.mustAct(access.Reader, o.taskID, "$grade", "discrepancy", missed("unimportant"), "difference", "A nodule.")
			}
			c.mustChange("DiagnosticReport", c.get("/fhir/DiagnosticReport?status=final").ids()[0], func(n *Node) {
				n.Set("status", "corrected")
				n.Set("resultsInterpreter", []*Node{Object("type", "Practitioner", "identifier", Object("system", npi, "value", tanaka))})
			})
			c.refusedFor(o.taskID, "the original reader", row.next, row.with...)
			if row.state != workflow.Ready {
				c.mustAct(access.Reader, o.taskID, "$release", "reason", "my own")
			}
		})
	}
}

func TestWhoseLicenceEndsReadsNoFurtherAndLosesNoDraft(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		state workflow.State
		next  string
		with  []any
	}{
		{workflow.Reading, "$lock", anOpinion},
		{workflow.Locked, "$reveal", nil},
		{workflow.Comparing, "$grade", []any{"discrepancy", missed("unimportant"), "difference", "A nodule."}},
	} {
		t.Run(string(row.state), func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			o := orderToSpoil(t, "licence")
			o.send(c)
			c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
			c.tick()
			c.readTo(o.taskID, row.state)
			c.sql(`UPDATE reader SET credential = credential || '{"validTo": "2020-01-01"}' WHERE reader_id = '` + c.readers[access.Reader].ID.String() + `'`)
			if row.state == workflow.Reading {
				c.mustAct(access.Reader, o.taskID, "$draft", anOpinion...)
			}
			c.refusedFor(o.taskID, "credentialed here until 2020-01-01", row.next, row.with...)
			c.mustAct(access.Reader, o.taskID, "$release", "reason", "my licence has ended")
		})
	}
}

func TestWhatThePatientDeniesIsHeededThoughTheOrderDoesNotNameIt(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(n *Node)
		want   string // the finding; "" for none
	}{
		"denial": {func(*Node) {}, "consent-denied"},
		"research": {func(n *Node) {
			n.Set("scope", concept("http://terminology.hl7.org/CodeSystem/consentscope", "research", ""))
		}, ""},
		"over":           {func(n *Node) { n.Get("provision").Set("period", Object("end", "2020-01-01")) }, ""},
		"of one purpose": {func(n *Node) { n.Get("provision").Set("purpose", []*Node{coding("urn:p", "x", "")}) }, workflow.ConsentDoubtful},
		"with an exception": {func(n *Node) {
			n.Set("provision", Object("type", "permit", "provision", []*Node{Object("type", "deny")}))
		}, workflow.ConsentDoubtful},
		"entered in error":   {func(n *Node) { n.Set("status", "entered-in-error") }, ""},
		"permits everything": {func(n *Node) { n.Get("provision").Set("type", "permit") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
			o := orderToSpoil(t, "denied")
			o.send(c)
			c.tick()
			c.readTo(o.taskID, workflow.Reading)
			denial := consented(c, o, "permit")
			c.wantState(o.taskID, "reading")
			c.mustChange("Consent", strings.TrimPrefix(denial, "Consent/"), func(n *Node) {
				n.Set("provision", Object("type", "deny"))
				row.change(n)
			})
			if row.want == "" {
				c.wantState(o.taskID, "reading")
				return
			}
			c.wantState(o.taskID, "on-hold")
			if got := c.do(access.Placer, "GET", "/fhir/Task/"+o.taskID+"/$check", ""); !strings.Contains(got.body, "the consent of the order") {
				t.Error(got.body)
			}
			if got := c.act(access.Reader, o.taskID, "$lock", anOpinion...); got.status == http.StatusOK {
				t.Error("locked against the patient's will")
			}
			got := c.act(access.Coordinator, o.taskID, "$continue-reading", "reason", "asked the patient")
			if may := row.want == workflow.ConsentDoubtful; may != (got.status == http.StatusOK) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if row.want == workflow.ConsentDoubtful {
				c.tick()
				c.wantState(o.taskID, "reading")
				return
			}
			c.mustAct(access.Coordinator, o.taskID, "$restart-reading", "reason", "denied")
			c.tick()
			c.wantState(o.taskID, "intake-review")
			if got := c.task(o.taskID).Text("statusReason", "coding", "code"); got != row.want {
				t.Error(got)
			}
		})
	}
}
