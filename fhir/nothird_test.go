package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

func TestTheTaskSaysThatThereIsNoThirdReaderAndTheReportThatNobodyDecided(t *testing.T) {
	t.Parallel()
	for _, state := range []workflow.State{workflow.Arbitration, workflow.Adjudication} {
		c := workflow.Case{State: state}
		if statusReason(Object(), c, taskSources{}) != nil {
			t.Errorf("%s: a reason without a finding", state)
		}
		c.Findings = []workflow.Finding{{Code: "no-third-reader", Text: "as the third reader, none of 3 readers is eligible: is the original reader (1)"}}
		said := string(statusReason(Object(), c, taskSources{}).Bytes())
		if !strings.Contains(said, "no-third-reader") || strings.Contains(said, "original reader") {
			t.Errorf("%s: %s", state, said)
		}
	}
	src := reportSources{}
	src.Report.Opinion.Impression = "Nodule."
	src.Case.Exam.ThirdForgone = "No third reader was available."
	if got := conclusion(src); !strings.Contains(got, "No third reader was available.") {
		t.Error(got)
	}
}

// lacksThird has the only one who might be the third reader be the one who read first.
func (c *clinic) lacksThird() {
	c.sql(`UPDATE reader SET credential = credential || '{"mayAdjudicate": false}' WHERE reader_id = '` + c.readers[access.Adjudicator].ID.String() + `'`)
}

// A reader grades an important difference, and nobody here may decide. The office is
// told, nobody but a director may do without, and the report that goes out says so.
func TestADirectorDoesWithoutAThirdReaderAndTheClinicianReadsIt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.lacksThird()
	task := c.toAdjudication("71")
	c.tick()
	if got := c.task(task); got.Text("statusReason", "coding", "code") != "no-third-reader" {
		t.Errorf("the Task does not say what it waits for: %s", got.jsonText())
	}
	c.act(access.Reader, task, "$sign").want(t, http.StatusForbidden, "forbidden")
	why := []any{"reason", "nobody who may adjudicate is licensed here; the surgeon operates tomorrow"}
	for _, role := range []access.Role{access.Reader, access.Coordinator, access.Placer, access.Quality} {
		c.act(role, task, "$forgo-third", why...).want(t, http.StatusForbidden, "forbidden")
	}
	c.act(access.Director, task, "$forgo-third").want(t, http.StatusBadRequest, "required")
	c.wantState(task, "adjudication")
	c.mustAct(access.Director, task, "$forgo-third", why...)
	c.wantState(task, "comparing")
	if got := c.task(task); got.Get("statusReason") != nil {
		t.Errorf("the Task still waits: %s", got.jsonText())
	}
	c.act(access.Director, task, "$forgo-third", why...).want(t, http.StatusConflict, "conflict")
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("important"), "difference", differs) // it demands nobody any more
	c.wantState(task, "comparing")
	c.mustAct(access.Reader, task, "$sign")
	c.wantState(task, "final")
	if got := c.report(task).Text("conclusion"); !strings.Contains(got, "No third reader was available") || !strings.Contains(got, "the surgeon operates tomorrow") {
		t.Errorf("the report does not say that nobody decided: %q", got)
	}
	sent := false
	for _, d := range c.deliveries() {
		sent = sent || strings.Contains(string(d.Body), "No third reader was available")
	}
	if !sent {
		t.Error("what goes to the hospital does not say it")
	}
	c.mustAct(access.Placer, task, "$acknowledge", "clinician", "Dr Jones")
	c.wantState(task, "closed")
}

// differ has two read a case, each their own text, and one of them refer it to a third.
func (c *clinic) differ(placer, first, second string, one, other []any) (task string) {
	c.t.Helper()
	task = c.order(chestXray(c.t, placer)...)
	c.tick()
	c.by(first).mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$lock", one...)
	c.by(second).mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$lock", other...)
	c.mustAct(access.Reader, task, "$refer", "reason", "we differ")
	c.tick()
	c.wantState(task, "arbitration")
	return task
}

func TestOfTwoWithoutAThirdTheMorePressingOpinionGoesOn(t *testing.T) {
	t.Parallel()
	c, first, second := twoReaders(t, `{"reading": "arbitration"}`)
	c.lacksThird()
	task := c.differ("72", first, second, []any{"findings", "Clear.", "impression", "Clear."},
		[]any{"findings", "Pneumothorax.", "impression", "Pneumothorax.", "actionable", Object("valueCode", "urgent")})
	c.mustAct(access.Director, task, "$forgo-third", "reason", "nobody can come")
	c.wantState(task, "locked")
	c.by(first).act(access.Reader, task, "$reveal").want(t, http.StatusForbidden, "forbidden")
	c.by(second).mustAct(access.Reader, task, "$reveal")
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("important"), "difference", differs)
	c.mustAct(access.Reader, task, "$sign")
	c.wantState(task, "final")
	if got := c.report(task).Text("conclusion"); !strings.Contains(got, "Pneumothorax.") || !strings.Contains(got, "nobody can come") {
		t.Errorf("%q", got)
	}
}

// Who arbitrates sees where two differ, word by word, once they have the case; before
// that neither they nor the office, and never whose it is or what the original says.
func TestWhoArbitratesIsShownWhereTwoDiffer(t *testing.T) {
	t.Parallel()
	c, first, second := twoReaders(t, `{"reading": "arbitration"}`)
	task := c.differ("73", first, second, []any{"findings", "A nodule.", "impression", "Nodule on the left."}, []any{"findings", "A nodule.", "impression", "Nodule on the right."})
	readings := func(as access.Role) response { return c.do(as, "GET", "/fhir/Task/"+task+"/$readings", "") }
	if got := valuesOfPart(readings(access.Adjudicator).node, "difference", "text"); got != nil {
		t.Errorf("who has not claimed it is shown %q", got)
	}
	readings(access.Coordinator).want(t, http.StatusForbidden, "forbidden")
	c.mustAct(access.Adjudicator, task, "$claim", "independent", true)
	got := readings(access.Adjudicator)
	if err := Validate(got.node); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"Nodule on the [-left.-] {+right.+}"}, valuesOfPart(got.node, "difference", "text")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"first", "second"}, valuesOfPart(got.node, "reading", "part")); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{"Dr Second Reader", "Dr Blind Twin", "Practitioner/", `"original"`} {
		if strings.Contains(got.body, secret) {
			t.Errorf("who arbitrates is told %q: %s", secret, got.body)
		}
	}
	for _, token := range []string{first, second} {
		c.by(token)
		if got := valuesOfPart(readings(access.Reader).node, "difference", "text"); got != nil {
			t.Errorf("one of the two is shown the comparison of who decides: %q", got)
		}
	}
	c.mustAct(access.Adjudicator, task, "$arbitrate", "decision", Object("valueCode", "second"))
	c.wantState(task, "locked")
}
