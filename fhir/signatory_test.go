package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// While who signed is on leave a supervisor answers for them; back, they answer on their own
// report again, and the version names both.
func TestWhoseReportItIsAnswersAgainAfterSomebodyStoodIn(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addColleague(access.Supervisor, "Dr Stand In", everything)
	id := c.signed("1")
	leave := func(change string) {
		c.sql(`UPDATE reader SET credential = credential ` + change + ` WHERE reader_id = '` + c.readers[access.Reader].ID.String() + `'`)
	}
	leave(`|| '{"absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}'`)
	c.mustAct(access.Placer, id, "$ask", "question", "Which segment?")
	c.mustAct(access.Supervisor, id, "$answer", "answer", "Segment three.")
	leave(`- 'absences'`)
	c.mustAct(access.Placer, id, "$ask", "question", "How large?")
	c.act(access.Supervisor, id, "$answer", "answer", "Eight.").want(t, http.StatusForbidden, "forbidden")
	c.mustAct(access.Reader, id, "$answer", "answer", "Eight millimetres.")
	c.mustAct(access.Reader, id, "$amend", "reason", "a slip")
	late := c.act(access.Reader, id, "$sign", "amends", 2, "kind", "addition", "reason", "a slip", "text", "On the left.")
	late.want(t, http.StatusConflict, "conflict")
	if !strings.Contains(late.body, "version 3") {
		t.Error(late.body)
	}
	c.mustAct(access.Reader, id, "$sign", "amends", 3, "kind", "addition", "reason", "a slip", "text", "On the left.")
	report := string(c.report(id).Get("resultsInterpreter").Bytes()) + string(c.report(id).Bytes())
	for _, name := range []string{"Dr Second Reader", "Dr Stand In"} {
		if !strings.Contains(report, name) {
			t.Errorf("the report does not name %s", name)
		}
	}
}
