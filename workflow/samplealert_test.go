package workflow

import (
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
)

// What a second read for quality finds concerns a patient: who cares for them is
// told by the case that was sampled, at once.
func TestAnEmergencyInASampleIsToldByTheCaseThatWasSampled(t *testing.T) {
	t.Parallel()
	bleeding := Opinion{Findings: "Blood in the left chest.", Impression: "Haemothorax.", Actionable: "emergent"}
	for name, row := range map[string]struct {
		category, text string // of a finding of the sampled case, "" for none
		over           bool   // it was acknowledged
		want           int    // findings of it in the end
	}{
		"nothing was known":                           {want: 1},
		"something less pressing was":                 {"urgent", "Something else.", false, 2},
		"something as pressing was":                   {"emergent", "Something else.", false, 2},
		"something as pressing was, and is over":      {"emergent", "Septic joint.", true, 2},
		"the same was, and is over":                   {"emergent", "Haemothorax.", true, 2},
		"the same is, and its clinicians are told it": {"emergent", "Haemothorax.", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, sampleAll)
			c, sample := h.drawn()
			if row.category != "" {
				h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: row.category, Text: row.text}})
			}
			if row.over {
				h.fire(h.placer, c, "acknowledge-finding", Input{Matter: 1, Acknowledged: Acknowledged{Person: "Dr Early"}})
				h.skip(time.Minute)
			}
			h.fire(h.ben, sample, "claim", Input{Independent: true})
			h.fire(h.ben, sample, "lock", Input{Opinion: &bleeding})
			own := h.matters(sample)
			if len(own) != 1 || own[0].Category != "emergent" || !own[0].Open() || own[0].DueAt.Sub(own[0].OpenedAt) > 30*time.Minute {
				t.Fatalf("a case that is no sample would have a finding here: %+v", own)
			}
			h.tick()
			told := h.matters(c)
			if len(told) != row.want {
				t.Fatalf("%+v", told)
			}
			h.stands(c, Final)
			h.skip(2 * time.Minute)
			h.tick()
			if !h.matters(sample)[0].Open() {
				t.Error("nobody was told of what the sample found")
			}
			alert := told[len(told)-1]
			if alert.Category != "emergent" || alert.Content.Text != "Haemothorax." || (alert.OpenedBy == nil) != (row.want > 1 || row.category == "") {
				t.Errorf("%+v", alert)
			}
			h.tick()
			if got := h.matters(c); len(got) != row.want {
				t.Errorf("it is told twice: %+v", got)
			}

			// The clinician acknowledges it there; nobody has to be called again.
			h.fire(h.placer, c, "acknowledge-finding", Input{Matter: alert.No, Acknowledged: Acknowledged{Person: "Dr Jones"}})
			h.skip(2 * time.Minute)
			h.tick()
			if m := h.matters(sample)[0]; m.Open() || m.Closing.Person != "Dr Jones" {
				t.Errorf("%+v", m)
			}
			h.replays(c)
			h.replays(sample)
		})
	}
}

// What its reader raises before they seal anything is told so too, of a case that
// the clinician had closed; what they take back before it was told is not.
func TestAFindingThatIsRaisedInASampleReachesTheClinicianToo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sampleAll)
	c, sample := h.drawn()
	h.fire(h.placer, c, "acknowledge", Input{})
	h.fire(h.ben, sample, "claim", Input{Independent: true})
	for _, f := range []RaisedFinding{{"emergent", "Taken for a bleeding.", false}, {"urgent", "Free air.", false}, {"non-critical", "A cyst.", false}} {
		h.fire(h.ben, sample, "raise-finding", Input{Finding: &f})
	}
	h.fire(h.ben, sample, "withdraw-finding", Input{Matter: 1, Reason: "a fold of the skin"})
	h.tick()
	if got := h.matters(c); len(got) != 1 || got[0].Content.Text != "Free air." {
		t.Errorf("%+v", got)
	}
	if c := h.stands(c, Final); c.ClosedAt != nil {
		t.Error("the clinician has not read of it")
	}
	h.skip(40 * time.Hour)
	h.tick()
	for _, page := range h.pages(as(h.anna, access.Reader)) {
		if strings.Contains(page, sample.Number()) {
			t.Errorf("who signed learns which case is the sample: %s", page)
		}
	}
}
