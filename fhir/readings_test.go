package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

const differs = "A nodule is not mentioned."

// toAdjudication reads a case whose reader finds something important.
func (c *clinic) toAdjudication(placer string) (task string) {
	c.t.Helper()
	task = c.order(chestXray(c.t, placer)...)
	c.tick()
	c.read(task)
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("important"), "difference", differs, "comment", "For quality alone.")
	c.wantState(task, "adjudication")
	return task
}

// wantsDifference looks at what somebody is shown who decides or signs: opinion,
// difference, grade and original, and nothing of the quality compartment.
func (c *clinic) wantsDifference(as access.Role, task string) {
	c.t.Helper()
	got := c.do(as, "GET", "/fhir/Task/"+task+"/$readings", "")
	for name, want := range map[[2]string]string{
		{"reading", "impression"}: "Solitary pulmonary nodule, 9 mm.", {"grade", "difference"}: differs, {"grade", "level"}: "major",
	} {
		if said := saidIn(got.node, name[0], name[1]); said != want {
			c.t.Errorf("%s to the %s: %q, want %q: %s", name, as, said, want, got.body)
		}
	}
	original := saidIn(got.node, "original", "report")
	if c.reads(as, original) == nil {
		c.t.Errorf("the original to the %s: %q %s", as, original, got.body)
	}
	for _, word := range []string{"significance", "important", "management", "actionable"} {
		if !strings.Contains(got.body, word) {
			c.t.Errorf("the grade for the %s lacks its %s", as, word)
		}
	}
	for _, word := range []string{"expectedness", "most-of-the-time", "radpeer", "For quality alone.", "Dr Second Reader"} {
		if strings.Contains(got.body, word) {
			c.t.Errorf("the %s is shown %q of the quality compartment", as, word)
		}
	}
}

func (c *clinic) wantsNoDifference(as access.Role, task string) {
	c.t.Helper()
	got := c.do(as, "GET", "/fhir/Task/"+task+"/$readings", "")
	if strings.Contains(got.body, differs) || saidIn(got.node, "grade", "level") != "" || saidIn(got.node, "original", "report") != "" {
		c.t.Errorf("the %s is shown the difference: %s", as, got.body)
	}
}

func TestWhoAdjudicatesHasClaimedTheCaseAndSeesWhatDiffers(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.toAdjudication("91")
	c.wantsNoDifference(access.Adjudicator, task)
	decides := []any{"discrepancy", missed("important"), "difference", differs}
	c.act(access.Adjudicator, task, "$adjudicate", decides...).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Adjudicator, task, "$claim", "independent", true)
	c.wantsDifference(access.Adjudicator, task)
	c.mustAct(access.Adjudicator, task, "$adjudicate", decides...)
	c.mustAct(access.Adjudicator, task, "$sign")
	c.wantState(task, "final")
}

func TestABlindThirdReaderSeesWhatDiffersOnceTheirOwnIsSealed(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"blindAdjudication": true}'`)
	task := c.toAdjudication("92")
	c.mustAct(access.Adjudicator, task, "$claim", "independent", true)
	c.wantsNoDifference(access.Adjudicator, task)
	c.mustAct(access.Adjudicator, task, "$lock", "findings", "A nodule.", "impression", "Nodule.")
	c.wantsDifference(access.Adjudicator, task)
}

func TestWhoCosignsSeesTheGradeOfTheTrainee(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addColleague(access.Supervisor, "Dr Supervisor", everything)
	c.sql(`UPDATE tenant SET policy = '{"adjudicateOn": "never"}'`)
	c.sql(`UPDATE reader SET credential = credential || '{"trainee": true}' WHERE reader_id = '` + c.readers[access.Reader].ID.String() + `'`)
	task := c.order(chestXray(t, "93")...)
	c.tick()
	c.read(task)
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("important"), "difference", differs, "comment", "For quality alone.")
	c.wantsNoDifference(access.Supervisor, task)
	c.mustAct(access.Reader, task, "$sign")
	c.wantState(task, string(workflow.AwaitingCosign))
	c.wantsDifference(access.Supervisor, task)
	if got := c.act(access.Supervisor, task, "$sign", "impression", "No nodule."); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "gradeStands") {
		t.Errorf("another impression under the grade of the trainee: %d %s", got.status, got.body)
	}
	c.mustAct(access.Supervisor, task, "$sign", "impression", "No nodule.", "agreement", true)
	var levels string
	err := c.db.Owner(t).QueryRow(t.Context(), `
		SELECT string_agg(g.level || ' ' || (grade_no = (r.content->>'gradeNo')::int), ', ' ORDER BY grade_no)
		FROM grade g JOIN signed_report r USING (case_id)`).Scan(&levels)
	if err != nil || levels != "major false, none true" {
		t.Errorf("the grades: %s %v", levels, err)
	}
	c.wantsNoDifference(access.Supervisor, task)
}

func TestAThirdReaderBetweenTwoSeesWhatDiffersWordByWord(t *testing.T) {
	t.Parallel()
	first := workflow.Sealed{OpinionNo: 1, ReaderID: uuid.New(), Part: workflow.PartFirst, Content: workflow.Opinion{Impression: "Nodule on the left.", Actionable: "non-critical"}}
	second := workflow.Sealed{OpinionNo: 2, ReaderID: uuid.New(), Part: workflow.PartSecond, Content: workflow.Opinion{Impression: "Nodule on the right.", Actionable: "urgent"}}
	file := workflow.Case{ReaderID: &second.ReaderID, OtherReaderID: &first.ReaderID}
	rows := betweenTwo(file, []workflow.Sealed{first, second})
	if len(rows) != 2 || !strings.Contains(rows[0].jsonText(), "Nodule on the [-left.-] {+right.+}") || !strings.Contains(rows[1].jsonText(), "[-non-critical-] {+urgent+}") {
		t.Errorf("%v", Object("parameter", rows).jsonText())
	}
	if got := betweenTwo(file, []workflow.Sealed{first}); got != nil {
		t.Errorf("one opinion differs from none: %v", got)
	}
}
