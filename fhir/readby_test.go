package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/screen"
)

// A system acknowledges a report, or a finding, for somebody, and says for whom.
func TestASystemAcknowledgesNothingForNobody(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("1")
	c.mustAct(access.Reader, id, "$raise-finding", "category", "urgent", "text", "Free air.")
	for _, nobody := range [][]any{nil, {"clinician", "  "}, {"role", "attending"}} {
		for _, operation := range []string{"$acknowledge", "$acknowledge-finding"} {
			got := c.act(access.Placer, id, operation, nobody...)
			if got.status != http.StatusBadRequest || !strings.Contains(got.body, "clinician") && !strings.Contains(got.body, "blanks") {
				t.Errorf("%s by %v: %d %s", operation, nobody, got.status, got.body)
			}
		}
	}
	c.act(access.Placer, id, "$acknowledge").want(t, http.StatusBadRequest, "required")
	organization := c.mustCreate("Organization", `{"resourceType":"Organization","name":"Ward 3"}`)
	c.act(access.Placer, id, "$acknowledge", "practitioner", Object("valueReference", Object("reference", "Organization/"+organization))).want(t, http.StatusBadRequest, "value")
	c.wantState(id, "final")

	// Nor by a Communication.
	said := Object("resourceType", "Communication", "status", "completed", "topic", concept(csTopic, "acknowledgement", ""),
		"subject", c.report(id).Get("subject").Clone(), "about", []*Node{refer("Task/"+id, "Task", "")})
	c.post("/fhir/Communication", said.jsonText()).want(t, http.StatusBadRequest, "required")
	said.Set("sender", refer(c.task(id).Text("for", "reference"), "Patient", ""))
	c.post("/fhir/Communication", said.jsonText()).want(t, http.StatusBadRequest, "required")
	c.wantState(id, "final")

	// By a reference it is somebody: whom we know by name, or whom the EHR does.
	doctor := c.mustCreate("Practitioner", `{"resourceType":"Practitioner","name":[{"text":"Dr Hannah Weiss"}]}`)
	c.mustAct(access.Placer, id, "$acknowledge-finding", "practitioner", Object("valueReference", Object("reference", "Practitioner/"+doctor)))
	c.mustAct(access.Placer, id, "$acknowledge", "practitioner", Object("valueReference", Object("reference", ehrBase+"/Practitioner/77")))
	c.wantState(id, "closed")
	if got := c.answerOf(`SELECT content->>'person' FROM acknowledgement`); got != ehrBase+"/Practitioner/77" {
		t.Errorf("read by %s", got)
	}
	if got := c.answerOf(`SELECT closing->>'person' FROM matter`); got != "Dr Hannah Weiss" {
		t.Errorf("the finding is acknowledged by %s", got)
	}
}

// answerOf is what a query answers.
func (c *clinic) answerOf(sql string) (all string) {
	c.t.Helper()
	err := c.db.Tenant(c.t.Context(), c.tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(c.t.Context(), sql)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		all = strings.Join(found, ", ")
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// Who is signed in is who has read.
func TestAPersonWhoIsSignedInIsWhoHasRead(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("1")
	_, person := pgtest.AddToken(t, c.db, c.tenant, access.Placer)
	person.Token, person.Display, person.Patient = access.SessionURN(uuid.New()), "Dr Signed In", c.task(id).Text("for", "reference")
	err := c.server.Carry(t.Context(), person, screen.Errand{Task: id, Operation: "acknowledge"})
	if err != nil {
		t.Fatal(err)
	}
	c.wantState(id, "closed")
	if got := c.answerOf(`SELECT content->>'person' FROM acknowledgement`); got != "Dr Signed In" {
		t.Errorf("read by %s", got)
	}
}
