package workflow

import (
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

var (
	withdrawn = Input{Outcomes: []FindingOutcome{{Number: 1, Outcome: "withdrawn"}}}
	letStand  = Input{Outcomes: []FindingOutcome{{Number: 1, Outcome: "stands"}}}
	normal    = Opinion{Findings: "Nothing.", Impression: "No haemorrhage.", Actionable: "none"}
)

// arbitrated takes a case to where a third reader has decided for the second of two,
// who has seen no bleeding, and signs.
func (h *house) arbitrated(c Case) (third access.Actor) {
	h.Helper()
	third = as(h.carl, access.Adjudicator)
	h.conferring(c, &bled, &normal)
	h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
	h.fire(third, c, "claim", Input{Independent: true})
	h.fire(third, c, "arbitrate", Input{Decision: "second"})
	h.fire(third, c, "reveal", Input{})
	h.fire(third, c, "grade", Input{Grade: &agreement})
	return third
}

// The text that is signed is another than the one with which the emergency came:
// whoever signs says whether it stands.
func TestAnOverruledEmergencyIsNotSignedUnsaid(t *testing.T) {
	t.Parallel()
	t.Run("withdrawn by the third reader", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"reading": "arbitration"}`)
		c := h.ready()
		third := h.arbitrated(c)
		why := h.refused(fault.BusinessRule, third, c, "sign", Input{})
		if !strings.Contains(why, "1 (emergent: Acute subdural haematoma)") {
			t.Error(why)
		}
		for _, wrong := range []FindingOutcome{{2, "withdrawn"}, {1, "gone"}, {1, ""}} {
			h.refused(fault.BusinessRule, third, c, "sign", Input{Outcomes: []FindingOutcome{wrong}})
		}
		h.refused(fault.BusinessRule, third, c, "sign", Input{Outcomes: append(withdrawn.Outcomes, letStand.Outcomes...)})
		ch := h.fire(third, c, "sign", withdrawn)
		if r := ch.Report; len(r.Findings) != 0 || Pressing(r.Actionable) {
			t.Errorf("the report goes on saying so: %s %+v", r.Actionable, r.Findings)
		}
		if len(ch.Matters) != 1 || !ch.Matters[0].Withdrawn() || ch.Matters[0].SettledBy == nil || *ch.Matters[0].SettledBy != third.ID {
			t.Errorf("nobody is told of it: %+v", ch.Matters)
		}
		h.fire(h.placer, c, "acknowledge", Input{})
		h.stands(c, Closed)
		h.replays(c)
	})
	t.Run("or let stand, under the name of who does", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"reading": "arbitration"}`)
		c := h.ready()
		third := h.arbitrated(c)
		r := h.fire(third, c, "sign", letStand).Report
		if r.Actionable != "emergent" || len(r.Findings) != 1 || r.Findings[0].StandsBy == nil || *r.Findings[0].StandsBy != third.ID {
			t.Errorf("%s %+v", r.Actionable, r.Findings)
		}
		// An addition leaves the text as it is: nobody is asked again.
		h.fire(third, c, "amend", Input{Reason: "a prior came"})
		h.fire(third, c, "sign", Input{Amendment: &Amendment{Kind: "addition", Reason: "a prior", Text: "It is new."}})
	})
	t.Run("of a reader who has given the case back", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{}`)
		c := h.readingCase()
		h.fire(h.anna, c, "raise-finding", bleeding)
		h.fire(h.anna, c, "release", Input{Reason: "ill"})
		h.fire(h.ben, c, "claim", Input{Independent: true})
		h.fire(h.ben, c, "lock", Input{Opinion: &normal})
		h.fire(h.ben, c, "reveal", Input{})
		h.fire(h.ben, c, "grade", Input{Grade: &agreement})
		h.refused(fault.BusinessRule, h.ben, c, "sign", Input{})
		h.fire(h.ben, c, "sign", withdrawn)
		h.wantFindings(c)
	})
	t.Run("by the supervisor", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{}`)
		for _, edit := range []Opinion{{Impression: "An artefact."}, {Actionable: "none"}} {
			c := h.trainees(&bled)
			in := Input{Opinion: &edit, GradeStands: true}
			h.refused(fault.BusinessRule, as(h.carl, access.Supervisor), c, "sign", in)
			in.Outcomes = letStand.Outcomes
			h.fire(as(h.carl, access.Supervisor), c, "sign", in)
		}
		c := h.trainees(&bled)
		h.refused(fault.BusinessRule, as(h.carl, access.Supervisor), c, "sign", Input{Outcomes: withdrawn.Outcomes}) // the text says it itself
		r := h.fire(as(h.carl, access.Supervisor), c, "sign", Input{Opinion: &normal, GradeStands: true, Outcomes: withdrawn.Outcomes}).Report
		if len(r.Findings) != 0 || Pressing(r.Actionable) {
			t.Errorf("%s %+v", r.Actionable, r.Findings)
		}
	})
	t.Run("unless the text says the same of it", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{}`)
		c := h.trainees(&bled)
		h.fire(as(h.carl, access.Supervisor), c, "sign", Input{Opinion: &Opinion{Findings: "A dense crescent, 8 mm.", Technique: "CT."}, GradeStands: true})
		h.wantFindings(c, bled.Impression)
	})
	t.Run("by a correction", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{}`)
		c := h.readingCase()
		h.fire(h.anna, c, "lock", Input{Opinion: &bled})
		h.fire(h.anna, c, "communicate", phoned)
		h.fire(h.anna, c, "reveal", Input{})
		h.fire(h.anna, c, "grade", Input{Grade: &agreement})
		h.fire(h.anna, c, "sign", Input{})
		h.fire(h.anna, c, "amend", Input{Reason: "an artefact"})
		in := Input{Opinion: &normal, GradeStands: true, Amendment: &Amendment{Kind: "correction", Reason: "It is an artefact.", Text: "No haemorrhage."}}
		h.refused(fault.BusinessRule, h.anna, c, "sign", in)
		in.Outcomes = withdrawn.Outcomes
		r := h.fire(h.anna, c, "sign", in).Report
		if m := h.matters(c)[0]; len(r.Findings) != 0 || Pressing(r.Actionable) || !m.Withdrawn() || m.Closing.Text != "It is an artefact." || m.Closing.Person != "Dr Jones" {
			t.Errorf("%s %+v %+v", r.Actionable, r.Findings, m)
		}
		h.replays(c)
	})
	t.Run("by another comparison", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"adjudicateOn": "never"}`)
		c := h.ready()
		h.comparing(h.anna, c)
		h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
		h.fire(h.anna, c, "sign", Input{})
		h.fire(h.anna, c, "amend", Input{Reason: "it was mentioned"})
		in := Input{Grade: &agreement, Amendment: &Amendment{Kind: "correction", Reason: "It was mentioned.", Text: "The nodule is mentioned."}}
		h.refused(fault.BusinessRule, h.anna, c, "sign", in)
		in.Outcomes = withdrawn.Outcomes
		if r := h.fire(h.anna, c, "sign", in).Report; len(r.Findings) != 0 || Pressing(r.Actionable) {
			t.Errorf("%s %+v", r.Actionable, r.Findings)
		}
	})
	t.Run("but where the more pressing of two stands by rule", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"reading": "recall-if-one-suggests"}`)
		c := h.ready()
		h.conferring(c, &alarming, &bled)
		h.fire(h.ben, c, "reveal", Input{})
		h.fire(h.ben, c, "grade", Input{Grade: &agreement})
		h.fire(h.ben, c, "sign", Input{})
		h.wantFindings(c, alarming.Impression, bled.Impression)
	})
}

// trainees takes a case to where a supervisor is to sign what a trainee has read.
func (h *house) trainees(text *Opinion) Case {
	h.Helper()
	c := h.ready()
	h.fire(h.trainee, c, "claim", Input{Independent: true})
	h.fire(h.trainee, c, "lock", Input{Opinion: text})
	h.fire(h.trainee, c, "reveal", Input{})
	h.fire(h.trainee, c, "grade", Input{Grade: &agreement})
	h.fire(h.trainee, c, "sign", Input{})
	h.stands(c, AwaitingCosign)
	return c
}

// What a trainee has found goes out at once where it presses, and says that nobody has
// countersigned it; what can wait, waits for that.
func TestWhatATraineeHasFoundSaysThatItIsNotCountersigned(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	cyst := Input{Finding: &RaisedFinding{Category: "non-critical", Text: "A cyst."}}
	c := h.trainees(&bled)
	h.fire(h.trainee, c, "raise-finding", cyst)
	for i, waits := range []bool{false, true} {
		if m := h.matters(c)[i]; !m.Content.Uncosigned || h.find(c).WaitsForSignature(m) != waits {
			t.Errorf("%+v", m)
		}
	}
	if known := h.find(c).Known(h.matters(c), h.placer); len(known) != 1 || known[0].Number != 1 {
		t.Errorf("the placer is told: %+v", known)
	}
	ch := h.fire(as(h.carl, access.Supervisor), c, "sign", Input{})
	if len(ch.Matters) != 2 || ch.Matters[0].Content.Uncosigned || ch.Matters[1].Content.Uncosigned {
		t.Errorf("%+v", ch.Matters)
	}

	// Nobody signs a case that was cancelled: it is told as it is.
	c = h.ready()
	h.fire(h.trainee, c, "claim", Input{Independent: true})
	h.fire(h.trainee, c, "raise-finding", cyst)
	ch = h.fire(h.placer, c, "cancel", Input{})
	if len(ch.Matters) != 1 || !ch.Matters[0].Content.Uncosigned || ch.Case.WaitsForSignature(ch.Matters[0]) {
		t.Errorf("%+v", ch.Matters)
	}
	c = h.readingCase()
	h.fire(h.anna, c, "raise-finding", cyst)
	if m := h.matters(c)[0]; m.Content.Uncosigned {
		t.Error("a consultant needs nobody to countersign")
	}
}
