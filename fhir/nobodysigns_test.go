package fhir

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// An amendment is open with a finding that no version tells, who signed is no reader here any
// more, and nobody is eligible to stand in. The refusals and the director's page name what
// leads out, what the page offers can be done, and with somebody to stand in it goes on.
func TestWhereNobodyMaySignAnAmendmentTheDirectorIsToldWhatLeadsOut(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("1")
	c.mustAct(access.Reader, id, "$amend", "reason", "a prior came")
	c.mustAct(access.Reader, id, "$raise-finding", "category", "non-critical", "text", "A cyst.")
	c.sql(`UPDATE reader SET active = false WHERE reader_id = '` + c.readers[access.Reader].ID.String() + `'`)
	c.sql(`UPDATE reader SET credential = credential - 'mayAdjudicate' - 'maySupervise' WHERE active`)
	_, director := pgtest.AddToken(t, c.db, c.tenant, access.Director)
	page := func() (file screen.CaseFile) {
		file, err := c.server.CaseFile(t.Context(), director, id, Asked{})
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	offers := func(name string) bool {
		return slices.ContainsFunc(page().Deeds, func(d screen.Deed) bool { return d.Name == name })
	}
	for _, as := range []access.Role{access.Director, access.Coordinator} {
		got := c.act(as, id, "$withdraw-amendment", "reason", "nobody is here")
		got.want(t, http.StatusUnprocessableEntity, "business-rule")
		for _, remedy := range []string{"privilege to supervise or to adjudicate", "$withdraw-finding", "$declare-error"} {
			if !strings.Contains(got.body, remedy) {
				t.Errorf("the refusal to the %s does not name %s: %s", as, remedy, got.body)
			}
		}
	}
	if said := strings.Join(page().Barred, "\n"); !strings.Contains(said, "nobody may sign that") || !strings.Contains(said, "nobody is eligible to stand in for who signed") {
		t.Errorf("the page says %q", said)
	}
	for name, want := range map[string]bool{"withdraw-amendment": false, "reassign": false, "withdraw-finding": true, "declare-error": true} {
		if offers(name) != want {
			t.Errorf("%s is offered: %v", name, !want)
		}
	}
	// The finding is right. Somebody is given the privilege, and finds the amendment.
	c.addColleague(access.Supervisor, "Dr Stand In", everything)
	if !offers("reassign") || offers("withdraw-amendment") {
		t.Error("now it can be given to somebody, and is not dropped")
	}
	list, err := c.server.Worklist(t.Context(), c.readers[access.Supervisor], 10, Asked{})
	if err != nil || len(list) != 1 || list[0].Owed != workflow.OwesAmendment || list[0].StandIn != workflow.StandInGone {
		t.Errorf("%+v %v", list, err)
	}
	c.mustAct(access.Supervisor, id, "$amend", "reason", "who signed has left")
	c.mustAct(access.Supervisor, id, "$sign", "kind", "addition", "reason", "a finding", "text", "There is a cyst.")
	c.wantState(id, "final")
	if !strings.Contains(c.report(id).Text("conclusion"), "A cyst.") {
		t.Errorf("%s", c.report(id).Text("conclusion"))
	}
}
