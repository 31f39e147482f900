package workflow

import (
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Who was matched as the third reader, and is a trainee or no adjudicator any more, does not
// decide: nobody would countersign it.
func TestWhoIsNoThirdReaderAnyMoreDecidesNothing(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]string{
		"a trainee since":           `{"subspecialties": ["neuro"], "mayAdjudicate": true, "trainee": true}`,
		"a locum since":             `{"subspecialties": ["neuro"], "mayAdjudicate": true, "locum": true}`,
		"no longer an adjudicator":  `{"subspecialties": ["neuro"]}`,
		"a trainee since yesterday": `{"subspecialties": ["neuro"], "mayAdjudicate": true, "privileges": [{"parts": ["trainee"], "validFrom": "2000-01-01"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			carl := as(h.carl, access.Adjudicator)
			c := h.ready()
			h.comparing(h.anna, c)
			h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
			h.stands(c, Adjudication)
			h.fire(carl, c, "claim", Input{Independent: true})
			h.fire(carl, c, "adjudicate", Input{Grade: &minorMiss})
			h.credential(h.carl.ID, lost)
			h.refused(fault.BusinessRule, carl, c, "adjudicate", Input{Grade: &majorMiss})
			h.refused(fault.BusinessRule, carl, c, "sign", Input{})
			h.fire(carl, c, "release", Input{Reason: "I may not decide it"})
			if now := h.find(c); now.State != Adjudication || now.AdjudicatorID != nil {
				t.Errorf("%s, %v", now.State, now.AdjudicatorID)
			}
			h.replays(c)
		})
	}
}

// A third reader who decides for a trainee's text has not written it: a supervisor signs,
// or the third reader is one.
func TestATraineesTextForWhichAThirdReaderDecidesWaitsForASupervisor(t *testing.T) {
	t.Parallel()
	const adjudicates = `{"subspecialties": ["neuro"], "mayAdjudicate": true}`
	adjudicated := func(h *house, adjudicator access.Actor) Case {
		c := h.ready()
		h.comparing(h.trainee, c)
		h.fire(h.trainee, c, "grade", Input{Grade: &majorMiss})
		h.fire(adjudicator, c, "claim", Input{Independent: true})
		h.fire(adjudicator, c, "adjudicate", Input{Grade: &minorMiss, Decision: "first"})
		h.fire(adjudicator, c, "sign", Input{})
		return h.find(c)
	}

	h := newHouse(t, `{"assignment": "pool"}`)
	h.credential(h.ben.ID, adjudicates)
	ben, carl := as(h.ben, access.Adjudicator), as(h.carl, access.Supervisor)
	c := adjudicated(h, ben)
	h.stands(c, AwaitingCosign)
	h.refused(fault.BusinessRule, carl, c, "sign", Input{Grade: &agreement}) // a third reader has graded it
	h.fire(carl, c, "return", Input{Reason: "look at the left apex"})
	h.stands(c, Adjudication)
	h.fire(ben, c, "sign", Input{}) // and leaves it
	r := h.fire(carl, c, "sign", Input{}).Report
	if r.Level != LevelMinor || *r.SupervisorID != h.carl.ID || *r.AdjudicatorID != h.ben.ID || r.SignedBy != h.carl.ID {
		t.Errorf("%+v", r)
	}
	h.replays(c)

	c = adjudicated(h, ben) // and it is taken from the third reader
	h.fire(h.coordinator, c, "release", Input{Reason: "no supervisor tonight"})
	if c := h.stands(c, Adjudication); c.AdjudicatorID != nil || c.ReaderID == nil || *c.ReaderID != h.trainee.ID {
		t.Errorf("%+v", c)
	}
	h.replays(c)

	h.credential(h.ben.ID, `{"subspecialties": ["neuro"], "mayAdjudicate": true, "maySupervise": true}`)
	h.stands(adjudicated(h, ben), Final) // who signs for them answers for them

	h.credential(h.ben.ID, adjudicates) // nor needs it a supervisor where the text is the third reader's own
	c = h.ready()
	h.comparing(h.trainee, c)
	h.fire(h.trainee, c, "grade", Input{Grade: &majorMiss})
	h.fire(ben, c, "claim", Input{Independent: true})
	h.fire(ben, c, "adjudicate", Input{Grade: &minorMiss, Decision: "own", Opinion: &opinion})
	h.fire(ben, c, "sign", Input{})
	h.stands(c, Final)
}

// What an amendment finds of weight does not wait for a third reader, and is not passed over.
func TestAnAmendmentThatGradesAMajorDiscrepancyOpensAReview(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	worse := opinion
	worse.Impression = "Acute infarct."
	amends := func(grade Grade, outcomes ...FindingOutcome) {
		h.fire(h.anna, c, "amend", Input{Reason: "I looked again"})
		h.fire(h.anna, c, "sign", Input{Opinion: &worse, Grade: &grade, Outcomes: outcomes, Amendment: &Amendment{Kind: "amendment", Reason: "I looked again", Text: "An infarct."}})
	}
	reviews := func() int {
		return h.number(`SELECT count(*) FROM quality_review WHERE reason = '` + AmendedToDiscrepancy + `'`)
	}
	amends(minorMiss)
	if n := reviews(); n != 0 {
		t.Errorf("%d reviews of a minor one", n)
	}
	worse.Impression = "Large acute infarct."
	amends(majorMiss)
	worse.Impression = "A large acute infarct."
	amends(majorMiss, letStand.Outcomes...)
	if n := reviews(); n != 1 {
		t.Errorf("%d reviews, want one", n)
	}
}
