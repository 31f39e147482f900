package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// A third reader decides against the emergency of the first: the report that is signed
// neither headlines nor lists it, and whoever was told of it is told so.
func TestAnOverruledEmergencyIsNotTheHeadlineOfTheSignedReport(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{"withdrawn", "stands"} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			c.sql(`UPDATE tenant SET policy = '{"assignment": "pool", "reading": "arbitration"}'`)
			task := c.order(chestXray(t, "overruled")...)
			c.tick()
			c.mustAct(access.Reader, task, "$claim", "independent", true)
			c.mustAct(access.Reader, task, "$start")
			c.mustAct(access.Reader, task, "$lock", "findings", "A crescent.", "impression", "Subdural haemorrhage.", "actionable", "emergent")
			c.mustAct(access.Placer, task, "$acknowledge-finding", "clinician", "Dr Ward")
			c.addColleague(access.Reader, "Dr Second", everything)
			c.mustAct(access.Reader, task, "$claim", "independent", true)
			c.mustAct(access.Reader, task, "$start")
			c.mustAct(access.Reader, task, "$lock", "findings", "Normal.", "impression", "No haemorrhage.")
			c.mustAct(access.Reader, task, "$refer", "reason", "we differ")
			c.mustAct(access.Adjudicator, task, "$claim", "independent", true)
			c.mustAct(access.Adjudicator, task, "$arbitrate", "decision", "second")
			c.mustAct(access.Adjudicator, task, "$reveal")
			c.mustAct(access.Adjudicator, task, "$grade", "agreement", true)
			if got := c.act(access.Adjudicator, task, "$sign"); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "1 (emergent: Subdural haemorrhage)") {
				t.Fatalf("%d %s", got.status, got.body)
			}
			c.mustAct(access.Adjudicator, task, "$sign", "finding", []*Node{Object("name", "number", "valuePositiveInt", 1), Object("name", "outcome", "valueCode", outcome)})
			report := c.report(task)
			said := report.Text("conclusion")
			o := c.wantCount(access.Placer, "Observation?code="+csObservation+"|actionable-finding", 1)[0]
			alert := c.wantCount(access.Placer, "Communication?category=alert&_sort=sent", map[string]int{"withdrawn": 2, "stands": 1}[outcome])
			if outcome == "withdrawn" {
				if strings.Contains(said, "Subdural") || strings.Contains(said, "Emergent") || o.Text("status") != "entered-in-error" || alert[0].Text("status") != "entered-in-error" ||
					!strings.Contains(string(alert[1].Bytes()), "Dr Ward") {
					t.Errorf("%s\n%s\n%s", said, o.Bytes(), alert[0].Bytes())
				}
				return
			}
			if !strings.HasPrefix(said, "Cat 1 Emergent Actionable Finding.\n\nNo haemorrhage.") || !strings.Contains(said, "was let stand, by ") || o.Text("status") != "final" {
				t.Errorf("%s\n%s", said, o.Bytes())
			}
			if by := o.Each("performer"); len(by) != 2 || by[1].Text("display") != "Dr Third Reader" {
				t.Errorf("it is not under the name of who signed: %s", o.Bytes())
			}
		})
	}
}

// What a trainee has found goes to the EHR marked until somebody has countersigned it,
// and not before where it can wait.
func TestWhatATraineeHasFoundIsMarkedUntilItIsCountersigned(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
	learner := everything
	learner.Trainee = true
	c.addColleague(access.Reader, "Dr Tina", learner)
	c.addColleague(access.Supervisor, "Dr Supervisor", everything)
	task := c.order(chestXray(t, "trainee-finding")...)
	c.tick()
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$start")
	c.mustAct(access.Reader, task, "$raise-finding", "category", "non-critical", "text", "A nodule.")
	if n := len(c.messages()); n != 0 {
		t.Errorf("%d messages of what can wait", n)
	}
	c.wantCount(access.Placer, "Communication?category=alert", 0)
	c.mustAct(access.Reader, task, "$lock", "findings", "f", "impression", "Infarct.", "actionable", "urgent")
	if alert := c.wantCount(access.Placer, "Communication?category=alert", 1)[0]; !strings.HasSuffix(alert.Text("payload", "contentString"), notCountersigned) {
		t.Errorf("%s", alert.Bytes())
	}
	c.mustAct(access.Reader, task, "$reveal")
	c.mustAct(access.Reader, task, "$grade", "agreement", true)
	c.mustAct(access.Reader, task, "$sign")
	c.wantState(task, "awaiting-cosign")
	c.mustAct(access.Supervisor, task, "$sign")
	for _, alert := range c.wantCount(access.Placer, "Communication?category=alert", 2) {
		if strings.Contains(alert.Text("payload", "contentString"), "countersigned") {
			t.Errorf("%s", alert.Bytes())
		}
	}
}
