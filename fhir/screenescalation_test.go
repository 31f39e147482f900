package fhir

import (
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

// A coordinator who reads here too is told nothing of a finding before the reveal; once
// the case has ended nobody reads it any more, and somebody may bleed.
func TestACoordinatorWhoReadsIsToldOfTheEmergencyOfACaseThatHasEnded(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "1")...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$raise-finding", "category", "emergent", "text", "Tension pneumothorax.")
	c.sql(`UPDATE agenda SET due_at = now() WHERE kind = 'clock-finding-emergent/1'`)
	c.tick()
	c.sql(`UPDATE agenda SET due_at = now() WHERE kind = 'escalate'`)
	c.sql(`UPDATE escalation SET next_at = now() WHERE next_at IS NOT NULL`)
	c.tick()
	_, both := pgtest.AddToken(t, c.db, c.tenant, access.Coordinator)
	_, desk := pgtest.AddToken(t, c.db, c.tenant, access.Coordinator)
	_, reader := pgtest.AddReader(t, c.db, c.tenant, "Dr Both", []byte(`{}`))
	both.Reader = reader.ID
	sees := func(who access.Actor) (lines, pages, matters int) {
		t.Helper()
		late, err := c.server.Escalations(t.Context(), who, workflow.EscalationFilter{Clock: "finding-emergent", Most: 9}, Asked{})
		if err != nil {
			t.Fatal(err)
		}
		told, err := c.server.Pages(t.Context(), who, Asked{})
		if err != nil {
			t.Fatal(err)
		}
		file, err := c.server.CaseFile(t.Context(), who, id, Asked{})
		if err != nil {
			t.Fatal(err)
		}
		return len(late.Lines), len(told), len(file.Matters)
	}
	for _, test := range []struct {
		who  access.Actor
		want int
	}{{desk, 1}, {both, 0}} {
		if lines, pages, matters := sees(test.who); lines != test.want || pages != test.want || matters != test.want {
			t.Errorf("while it is read, %d of each: %d lines, %d pages, %d matters", test.want, lines, pages, matters)
		}
	}
	c.wantAudited("pages of the role coordinator")
	c.mustAct(access.Placer, id, "$cancel", "reason", "moved")
	for _, who := range []access.Actor{desk, both} {
		if lines, pages, matters := sees(who); lines != 1 || pages != 1 || matters != 1 {
			t.Errorf("after the end: %d lines, %d pages, %d matters", lines, pages, matters)
		}
	}
}
