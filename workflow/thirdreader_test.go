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
