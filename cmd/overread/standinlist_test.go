package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// A clinician asks, and who signed is on leave: a supervisor finds the question on their
// worklist, with why, and answers it from there; once who signed is back it is theirs alone.
func TestASupervisorFindsTheQuestionOfWhoIsAbsentAndAnswersIt(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", asItShouldBe)
	for _, c := range append(reads("tanaka", "knee"), chapter{"tanaka", "grade", agreement(), workflow.Comparing}, chapter{"tanaka", "sign", nil, workflow.Final},
		chapter{"placer", "ask", []*fhir.Node{param("question", "valueString", "Which meniscus?")}, workflow.Final}) {
		r.live(t, r.o, r.task, c)
	}
	a := r.comes("petrov", access.Supervisor)
	listed := func() string {
		page := a.get(a.base + "/worklist")
		_, row, found := strings.Cut(page.text, `data-row="`+r.task+`"`)
		if !found {
			return ""
		}
		row, _, _ = strings.Cut(row, "</tr>")
		return row
	}
	if row := listed(); row != "" {
		t.Errorf("who signed is here: %s", row)
	}
	r.sql(t, `UPDATE reader SET credential = credential || '{"absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}' WHERE display LIKE '%Tanaka'`)
	row := listed()
	for _, text := range []string{"A clinician asks: answer the question", "you may stand in: who signed is absent", `href="` + a.base + "/case/" + r.task + `"`} {
		if !strings.Contains(row, text) {
			t.Errorf("the row does not say %q: %s", text, row)
		}
	}
	if home := a.get("/at/mercy/supervisor"); home.status == http.StatusOK && strings.Contains(home.text, r.task) && !strings.Contains(home.text, "who signed is absent") {
		t.Errorf("the home page does not say why: %s", home.text)
	}
	wants(t, a.page(), "Which meniscus?", "/do/answer")
	r.sql(t, `UPDATE reader SET credential = credential - 'absences' WHERE display LIKE '%Tanaka'`)
	if row := listed(); row != "" {
		t.Errorf("who signed is back: %s", row)
	}
	if refused := a.tries("/do/answer", url.Values{"answer": {"The medial one."}, "number": {"1"}}); refused.status == http.StatusOK {
		t.Error("and is the one who answers")
	}
	r.sql(t, `UPDATE reader SET credential = credential || '{"absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}' WHERE display LIKE '%Tanaka'`)
	a.does("/do/answer", url.Values{"answer": {"The medial one."}, "number": {"1"}})
	if row := listed(); row != "" {
		t.Errorf("it is answered: %s", row)
	}
}
