package workflow

import (
	"slices"
	"testing"

	"github.com/overread/overread/internal/fault"
)

// What the placer corrects when the first of two readers has sealed and the second
// has not begun: the sealed opinion is of what the order was.

// toAnother: the order is corrected, to another study or to another patient.
var toAnother = map[string]func(f *Facts){
	"study":   func(f *Facts) { f.Study.UID, f.Study.ID = newUID(), "s2" },
	"patient": func(f *Facts) { f.OrderPatient, f.Study.Patient, f.Original.Patient = "p2", "p2", "p2" },
}

// oneOfTwo is a case that Anna has read as the first of two.
func (h *house) oneOfTwo() Case {
	h.Helper()
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "lock", Input{Opinion: &alarming})
	return h.stands(c, Ready)
}

func TestACorrectionBetweenTwoReadersWaitsForTheCoordinatorAndTellsTheFirst(t *testing.T) {
	t.Parallel()
	for what, corrected := range toAnother {
		for _, state := range betweenTwo {
			t.Run(what+" "+string(state), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, `{"reading": "recall-if-one-suggests", "assignment": "pool"}`)
				c := h.oneOfTwo()
				switch state {
				case Ready:
				case Offered:
					h.fire(h.coordinator, c, "offer", Input{ReaderID: &h.ben.ID})
				case Received:
					h.exec(`UPDATE case_file SET state = 'received' WHERE case_id = $1`, c.CaseID)
					h.exec(`UPDATE agenda SET kind = 'intake-checks' WHERE case_id = $1 AND kind = 'match'`, c.CaseID)
				default:
					h.exec(`UPDATE case_file SET state = $2 WHERE case_id = $1`, c.CaseID, state)
				}
				f := h.facts[c.PlacerValue]
				corrected(f)
				if state != Received { // where the checks that are about to run see it
					h.recheck(c)
				}
				h.tick()
				held := h.stands(c, OnHold)
				if held.Correction == nil || !slices.Equal(held.Correction.Of, []string{what}) {
					t.Fatalf("%+v", held)
				}
				if got := h.notices(h.anna); !slices.Contains(got, "correct") {
					t.Errorf("Anna is told %v", got)
				}
				h.refused(fault.Conflict, h.ben, c, "claim", Input{Independent: true})
				h.refused(fault.Conflict, h.coordinator, c, "forgo-second", Input{Reason: "r"})
				if what == "patient" { // the same images: Anna's opinion is of them
					h.fire(h.coordinator, c, "continue-reading", Input{Reason: "a typing error", Facts: f})
					if state == Unassignable {
						h.fire(h.coordinator, c, "rematch", Input{})
					}
					h.tick()
					if got := h.stands(c, Ready); *got.PatientID != "p2" || got.OtherReaderID == nil || *got.OtherReaderID != h.anna.ID {
						t.Errorf("%+v", got)
					}
					return
				}
				h.refused(fault.BusinessRule, h.coordinator, c, "continue-reading", Input{Reason: "r", Facts: f})
				h.fire(h.coordinator, c, "restart-reading", Input{Reason: "the wrong study"})
				h.tick()
				if got := h.stands(c, Ready); *got.StudyID != "s2" || got.OtherReaderID != nil {
					t.Errorf("%+v", got)
				}
				h.fire(h.ben, c, "claim", Input{Independent: true})
				h.fire(h.ben, c, "lock", Input{Opinion: &opinion})
				h.stands(c, Ready) // Ben is the first of two now, and nothing of Anna's is in force
			})
		}
	}
}

func TestACorrectionDuringAHoldBetweenTwoReadersIsDecidedBeforeTheSecondReads(t *testing.T) {
	t.Parallel()
	for what, corrected := range toAnother {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"reading": "consensus", "assignment": "pool"}`)
			c := h.oneOfTwo()
			h.fire(h.placer, c, "hold", Input{})
			corrected(h.facts[c.PlacerValue])
			h.recheck(c)
			h.fire(h.placer, c, "resume", Input{})
			h.tick()
			if held := h.stands(c, OnHold); held.Correction == nil || held.Correction.Held {
				t.Errorf("%+v", held.Correction)
			}
			h.fire(h.coordinator, c, "restart-reading", Input{Reason: "r"})
			h.tick()
			if got := h.stands(c, Ready); got.OtherReaderID != nil {
				t.Error("Anna's opinion is still the first of two")
			}
			h.replays(c)
		})
	}
}

func TestImagesThatComeBetweenTwoReadersAreVerifiedWhereTheFirstOpinionIsSigned(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "recall-if-one-suggests", "assignment": "pool"}`)
	c := h.oneOfTwo()
	read := h.find(c).Exam.imagesRead()
	h.grows(c, 500)
	if got := h.notices(h.anna); !slices.Contains(got, "study-grows") {
		t.Errorf("Anna is told %v", got)
	}
	h.fire(h.ben, c, "claim", Input{Independent: true})
	h.fire(h.ben, c, "lock", Input{Opinion: &opinion})
	h.fire(h.anna, c, "reveal", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "sign", Input{})
	all := h.matters(c)
	if !slices.ContainsFunc(all, func(m Matter) bool {
		return m.Kind == VerificationMatter && m.Content.Images == 500 && m.Content.ImagesThen == read
	}) {
		t.Errorf("%+v", all)
	}
	h.replays(c)
}

// Between two readers the order may come to lack something. What comes then of the first
// reading, or is asked anew, is noted as ever: the EHR that sends it is not refused.
func TestWhatChangesBetweenTwoReadersIsNotedWhereverTheCaseWaits(t *testing.T) {
	t.Parallel()
	for _, state := range betweenTwo {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"reading": "consensus", "assignment": "pool"}`)
			first := "Fracture?"
			c := h.open(func(f *Facts) { f.Exam.Question = &first })
			h.tick()
			h.fire(h.anna, c, "claim", Input{Independent: true})
			h.fire(h.anna, c, "lock", Input{Opinion: &alarming})
			if state == Offered {
				h.fire(h.coordinator, c, "offer", Input{ReaderID: &h.ben.ID})
			} else {
				h.exec(`UPDATE case_file SET state = $2 WHERE case_id = $1`, c.CaseID, state)
			}
			f := h.facts[c.PlacerValue]
			f.First = FirstReaders{Readers: []string{"Practitioner/other"}}
			asked := "And the ribs?"
			f.Exam.Question = &asked
			h.lookAt(c)
			if got := h.find(c); !slices.Contains(got.Exam.OriginalReaders, "Practitioner/other") || got.Exam.Question == nil || *got.Exam.Question != asked {
				t.Errorf("%+v", got.Exam)
			}
		})
	}
}
