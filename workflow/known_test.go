package workflow

import (
	"slices"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Whether another has found something, and what, a blinded reader neither learns nor
// touches: each answer is that of a case in which nothing was found.
func TestABlindedReaderNeitherLearnsOfAnothersFindingNorTouchesIt(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(h *house, c Case){
		"of the first of two": func(h *house, c Case) { h.fire(h.anna, c, "lock", Input{Opinion: &bled}) },
		"of who released it": func(h *house, c Case) {
			h.fire(h.anna, c, "raise-finding", bleeding)
			h.fire(h.anna, c, "release", Input{Reason: "ill"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := `{"reading": "arbitration"}`
			if name == "of who released it" {
				policy = `{}`
			}
			h := newHouse(t, policy)
			found, nothing := h.readingCase(), h.readingCase()
			before(h, found)
			h.fire(h.anna, nothing, "release", Input{Reason: "ill"})
			for _, c := range []Case{found, nothing} {
				h.fire(h.ben, c, "claim", Input{Independent: true})
				h.fire(h.ben, c, "start", Input{})
			}
			refused := func(event Event, in Input) {
				t.Helper()
				if there, empty := h.refused(fault.BusinessRule, h.ben, found, event, in), h.refused(fault.BusinessRule, h.ben, nothing, event, in); there != empty {
					t.Errorf("%s: %q, and of nothing %q", event, there, empty)
				}
			}
			for _, no := range []int{0, 1, 2} {
				refused("communicate", Input{Matter: no, Call: phoned.Call})
				refused("withdraw-finding", Input{Matter: no, Reason: "a probe"})
			}

			// The same words are a finding of their own, under a number of their own.
			h.fire(h.ben, found, "raise-finding", bleeding)
			h.wantFindings(found, "Acute subdural haematoma.", "Acute subdural haematoma.")
			known := h.find(found).Known(h.matters(found), h.ben)
			if len(known) != 1 || known[0].Number != 1 || known[0].No != 2 {
				t.Fatalf("%+v", known)
			}
			h.fire(h.ben, found, "communicate", phoned)
			if m := h.matters(found); !m[0].Open() || m[1].Open() {
				t.Errorf("the wrong one was told: %+v", m)
			}
			h.fire(h.ben, found, "withdraw-finding", Input{Matter: 1, Reason: "an artefact"})
			if m := h.matters(found); m[0].Withdrawn() || !m[1].Withdrawn() {
				t.Errorf("the wrong one was taken back: %+v", m)
			}
			h.replays(found)
		})
	}
}

// After the reveal the others come under further numbers: whoever has written one
// down does not take the call of somebody else's finding for theirs.
func TestANumberNeverComesToMeanAnotherFinding(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.readingCase()
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.fire(h.anna, c, "release", Input{Reason: "ill"})
	h.fire(h.ben, c, "claim", Input{Independent: true})
	h.fire(h.ben, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "urgent", Text: "A fracture."}})
	h.fire(h.ben, c, "lock", Input{Opinion: &opinion})
	h.fire(h.ben, c, "reveal", Input{})
	h.fire(h.ben, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "urgent", Text: "Free air."}})
	for _, one := range []struct {
		who  access.Actor
		want []int
	}{{h.ben, []int{2, 1, 3}}, {h.placer, []int{1, 2, 3}}, {h.anna, []int{1}}} {
		var got []int
		for _, m := range h.find(c).Known(h.matters(c), one.who) {
			got = append(got, m.No)
		}
		if !slices.Equal(got, one.want) {
			t.Errorf("%s: %v, want %v", one.who.Role, got, one.want)
		}
	}
}

func TestWhoMerelyHadTheCaseTakesNothingBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.fire(h.ben, c, "claim", Input{Independent: true})
	h.fire(h.ben, c, "release", Input{Reason: "no time"})
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "lock", Input{Opinion: &bled})
	h.fire(h.anna, c, "reveal", Input{})
	h.refused(fault.BusinessRule, h.ben, c, "withdraw-finding", Input{Matter: 1, Reason: "I think not"})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "sign", Input{})
	h.refused(fault.BusinessRule, h.ben, c, "withdraw-finding", Input{Matter: 1, Reason: "I think not"})
	h.refused(fault.Forbidden, h.director, c, "withdraw-finding", Input{Matter: 1, Reason: "I think not"}) // the report would go on saying so

	// Who signed takes it back: the report says so in the same moment, and calls nothing pressing any more.
	r := h.fire(h.anna, c, "withdraw-finding", Input{Reason: "It is an artefact."}).Report
	if r == nil || r.Status != "corrected" || len(r.Findings) != 0 || r.Actionable != "" || r.Amendment.Text != "Withdrawn: the emergent finding (Acute subdural haematoma). It is an artefact." {
		t.Fatalf("%+v", r)
	}
	h.wantFindings(c)
	if r := h.fire(h.placer, c, "acknowledge", Input{}); r.Case.State != Closed {
		t.Error(r.Case.State)
	}
	h.replays(c)

	// While the report is amended too; the amendment is not dropped then.
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.fire(h.anna, c, "amend", Input{Reason: "more to say"})
	h.refused(fault.Forbidden, h.director, c, "withdraw-finding", Input{Matter: 2, Reason: "I think not"})
	h.fire(h.anna, c, "withdraw-finding", Input{Matter: 2, Reason: "after all an artefact"})
	h.refused(fault.BusinessRule, h.anna, c, "withdraw-amendment", Input{Reason: "nothing"})
	r = h.fire(h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "addition", Reason: "an artefact", Text: "No haematoma."}}).Report
	if len(r.Findings) != 0 || r.Actionable != "" {
		t.Errorf("%+v", r)
	}
}

// Another finding that presses as much says nothing of this one.
func TestAnUrgentDiscrepancyIsToldThoughAnotherFindingPressesAsMuch(t *testing.T) {
	t.Parallel()
	missed := majorMiss
	missed.Difference = "An acute infarct is not mentioned."
	aneurysm := Input{Finding: &RaisedFinding{Category: "urgent", Text: "Aneurysm of the basilar tip."}}
	sign := func(h *house, c Case, reader access.Actor, outcomes ...FindingOutcome) {
		h.fire(reader, c, "lock", Input{Opinion: &opinion})
		h.fire(reader, c, "reveal", Input{})
		h.fire(reader, c, "grade", Input{Grade: &missed})
		h.fire(reader, c, "sign", Input{Outcomes: outcomes})
	}
	t.Run("of another reader", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"adjudicateOn": "never"}`)
		c := h.readingCase()
		h.fire(h.anna, c, "raise-finding", aneurysm)
		h.fire(h.anna, c, "communicate", phoned)
		h.fire(h.anna, c, "release", Input{Reason: "ill"})
		h.fire(h.ben, c, "claim", Input{Independent: true})
		sign(h, c, h.ben, letStand.Outcomes...)
		h.wantFindings(c, "Aneurysm of the basilar tip.", missed.Difference)
		h.replays(c)
	})
	t.Run("that is settled", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"adjudicateOn": "never"}`)
		c := h.readingCase()
		h.fire(h.anna, c, "raise-finding", aneurysm)
		h.fire(h.anna, c, "communicate", phoned)
		sign(h, c, h.anna)
		h.wantFindings(c, "Aneurysm of the basilar tip.", missed.Difference)
	})
	t.Run("but not again what waited when it was sealed in other words", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"adjudicateOn": "never"}`)
		c := h.readingCase()
		h.fire(h.anna, c, "raise-finding", bleeding)
		h.fire(h.anna, c, "lock", Input{Opinion: &Opinion{Findings: "f", Impression: "Haematoma on the left.", Actionable: "emergent"}})
		h.fire(h.anna, c, "communicate", phoned)
		h.fire(h.anna, c, "reveal", Input{})
		h.fire(h.anna, c, "grade", Input{Grade: &agreement})
		h.fire(h.anna, c, "sign", Input{})
		h.wantFindings(c, "Acute subdural haematoma.")
	})
}
