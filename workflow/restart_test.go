package workflow

import (
	"testing"
)

// What a director or the ladder decided of one reading says nothing of the next.
func TestWhatWasDoneWithoutForOneReadingIsNotDoneWithoutForTheNext(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	h.stands(c, Adjudication)
	h.fire(h.director, c, "forgo-third", Input{Reason: "nobody is there"})
	h.exec(`UPDATE case_file SET exam = exam || '{"thirdDowngrade": "t", "downgrade": "d", "broadened": {"to": "general"}}' WHERE case_id = $1`, c.CaseID)
	h.facts[c.PlacerValue].Study.UID = newUID()
	h.recheck(c)
	h.stands(c, OnHold)
	h.fire(h.coordinator, c, "restart-reading", Input{Reason: "the wrong study"})
	h.tick()
	if e := h.stands(c, Ready).Exam; e.AboutReaders() != "" || e.Broadened != nil {
		t.Errorf("the next report would say %q; it is broadened: %v", e.AboutReaders(), e.Broadened)
	}
	h.comparing(h.ben, c)
	h.fire(h.ben, c, "grade", Input{Grade: &majorMiss})
	h.stands(c, Adjudication) // a third reader decides
}
