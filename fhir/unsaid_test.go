package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// refusesUnsaid expects that what was sent is no grade, and that the answer says what is.
func (c *clinic) refusesUnsaid(got response) {
	c.t.Helper()
	got.want(c.t, http.StatusUnprocessableEntity, "business-rule")
	for _, word := range []string{"agreement", "discrepancy", "noComparisonReason"} {
		if !strings.Contains(got.node.Each("issue")[0].Text("details", "text"), word) {
			c.t.Errorf("the refusal does not name %s: %s", word, got.body)
		}
	}
	if at := got.node.Each("issue")[0].Text("expression"); at != atAgreement {
		c.t.Errorf("the refusal is at %q", at)
	}
}

// grades tells how often the case was graded.
func (c *clinic) grades(task string) (n int) {
	c.t.Helper()
	if err := c.db.Owner(c.t).QueryRow(c.t.Context(), `SELECT count(*) FROM grade g JOIN case_file c USING (tenant_id, case_id) WHERE c.task_id = $1`, task).Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

func TestACallThatSaysNothingIsNoAgreement(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "1")...)
	c.tick()
	c.read(task)
	for _, given := range [][]any{nil, {"comment", "see you"}, {"goodCall", true}, {"difference", "It differs."}} {
		c.refusesUnsaid(c.act(access.Reader, task, "$grade", given...))
	}
	c.refusesUnsaid(c.do(access.Reader, "POST", "/fhir/Task/"+task+"/$grade", `{"resourceType":"Parameters"}`))
	c.refusesUnsaid(c.act(access.Reader, task, "$grade", "agreement", false))
	c.act(access.Placer, task, "$grade").want(t, http.StatusForbidden, "forbidden") // who may not grade is told that, and no more
	if c.grades(task) != 0 {
		t.Fatal("nothing said was kept as a grade")
	}
	c.mustAct(access.Reader, task, "$grade", "agreement", true, "goodCall", true)
	c.mustAct(access.Reader, task, "$sign")

	c.mustAct(access.Reader, task, "$amend", "reason", "an addition")
	c.refusesUnsaid(c.act(access.Reader, task, "$sign", "kind", "addition", "reason", "r", "text", "t", "comment", "for quality"))
	c.mustAct(access.Reader, task, "$sign", "kind", "addition", "reason", "r", "text", "t")
	if n := c.grades(task); n != 1 {
		t.Errorf("%d grades, and an addendum gives none", n)
	}
}

func TestAThirdReaderWhoSaysNothingDoesNotAgree(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.toAdjudication("1")
	c.mustAct(access.Adjudicator, task, "$claim", "independent", true)
	for _, given := range [][]any{nil, {"decision", "first"}, {"decision", "own", "findings", "f", "impression", "i"}} {
		c.refusesUnsaid(c.act(access.Adjudicator, task, "$adjudicate", given...))
	}
	if n := c.grades(task); n != 1 {
		t.Errorf("%d grades", n)
	}
	c.mustAct(access.Adjudicator, task, "$adjudicate", "decision", "first", "agreement", true)
}

func TestWithoutAFirstReportAnEmptyGradeIsToldSo(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "1")...)
	c.tick()
	c.read(task)
	c.sql(`UPDATE case_file SET comparable = false`)
	got := c.act(access.Reader, task, "$grade")
	got.want(t, http.StatusUnprocessableEntity, "business-rule")
	if !strings.Contains(got.body, "there is no original report") {
		t.Error(got.body)
	}
	c.mustAct(access.Reader, task, "$grade", "noComparisonReason", "no-original")
}
