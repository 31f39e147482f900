package workflow

import (
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// filed: the hospital files the study, or its first report, under a patient; "" is who it
// was all the time.
func (h *house) filed(c Case, study, original string) {
	f := h.facts[c.PlacerValue]
	s, o := *f.Study, *f.Original
	s.Patient, o.Patient = f.OrderPatient, f.OrderPatient
	if study != "" {
		s.Patient = study
	}
	if original != "" {
		o.Patient = original
	}
	f.Study, f.Original = &s, &o
	h.lookAt(c)
}

func TestAStudyThatIsFiledUnderAnotherPatientAfterTheSignatureIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, stray := range map[string]struct {
		is    func(h *house, c Case)
		words string
	}{
		"study":        {func(h *house, c Case) { h.filed(c, "somebody else", "") }, strayedWords},
		"first report": {func(h *house, c Case) { h.filed(c, "", "somebody else") }, strayedOriginalWords},
		"void study": {func(h *house, c Case) {
			s := *h.facts[c.PlacerValue].Study
			s.Void = true
			h.facts[c.PlacerValue].Study = &s
			h.lookAt(c)
		}, strayedWords},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.comparedCase()
			h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "emergent", Text: "a bleeding"}})
			h.lookAt(c) // nothing has changed
			if all := h.matters(c); len(all) != 1 {
				t.Fatalf("%+v", all)
			}
			stray.is(h, c)
			stray.is(h, c)
			all := h.matters(c)
			if len(all) != 2 || !all[1].Open() || all[1].Content.Words() != stray.words {
				t.Fatalf("%+v", all)
			}
			if (all[0].Content.Doubtful) != (name != "first report") {
				t.Errorf("the finding: %+v", all[0].Content)
			}
			if got := h.owes(h.anna); !strings.Contains(got, "look") && !strings.Contains(got, "call") {
				t.Errorf("who signed has %q", got)
			}
			if told := h.told(all[1].clock()); len(told) != 1 || told[0] != TellCoordinator {
				t.Errorf("told are %v", told)
			}
			h.refused(fault.Forbidden, h.coordinator, c, "dismiss-verification", Input{Reason: "no time"})
			h.facts[c.PlacerValue].Study.Void = false
			h.filed(c, "", "")
			if all := h.matters(c); all[1].Open() || !all[1].Withdrawn() {
				t.Errorf("it is their patient's again, and open: %+v", all[1])
			}

			// Once more it is told again, and who signed says what is to be said.
			stray.is(h, c)
			if all := h.matters(c); len(all) != 3 || !all[2].Open() {
				t.Fatalf("%+v", all)
			}
			h.fire(h.anna, c, "verify", Input{Reason: "It is this patient, by the scar."})
			stray.is(h, c) // of which nobody hears twice
			if all := h.matters(c); len(all) != 3 || all[2].Open() {
				t.Errorf("%+v", all)
			}
			h.replays(c)
		})
	}
}

// What else the verification is open for stays open when the study is its patient's again.
func TestAStudyThatIsItsPatientsAgainIsStillLookedAtForTheRest(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.comparedCase()
	h.filed(c, "somebody else", "")
	h.rewritten(c, "no tear at all")
	h.filed(c, "", "")
	all := h.matters(c)
	if len(all) != 1 || !all[0].Open() || all[0].Content.Words() != originalRewritten {
		t.Errorf("%+v", all)
	}
	h.fire(as(h.director, access.Director), c, "dismiss-verification", Input{Reason: "the same in other words"})
	h.replays(c)
}

// While it is read it is held, and whoever ordered is told what has changed: not the order.
func TestAStudyThatIsFiledUnderAnotherPatientWhileItIsReadIsNoCorrectionOfTheOrder(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]func(h *house, c Case){
		"the study, or its first report, was filed under another patient": func(h *house, c Case) { h.filed(c, "somebody else", "") },
		"the patient of the order was corrected": func(h *house, c Case) {
			h.facts[c.PlacerValue].OrderPatient = "somebody else"
			h.lookAt(c)
		},
	} {
		h := newHouse(t, `{"assignment": "pool"}`)
		c := h.open()
		h.tick()
		h.comparing(h.anna, c)
		is(h, c)
		if got := h.find(c); got.State != OnHold || len(got.Findings) != 1 || !strings.HasPrefix(got.Findings[0].Text, name) {
			t.Errorf("%s: %s %+v", name, got.State, got.Findings)
		}
	}
}
