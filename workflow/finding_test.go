package workflow

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/calls"
	"github.com/overread/overread/internal/fault"
)

var (
	bleeding = Input{Finding: &RaisedFinding{Category: "emergent", Text: "Acute subdural haematoma."}}
	phoned   = Input{Call: &Call{Reached: true, Content: CallContent{Recipient: "Dr Jones", Role: "emergency physician", Medium: "phone", ReadBack: true}}}
)

// matters are those of a case.
func (h *house) matters(c Case) (all []Matter) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		all, err = MattersTx(ctx, tx, c.CaseID)
		return err
	})
	return all
}

func (h *house) readingCase() Case {
	h.Helper()
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "start", Input{})
	return c
}

func TestAnEmergentFindingIsToldLongBeforeTheReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.readingCase()
	h.refused(fault.Forbidden, h.ben, c, "raise-finding", bleeding)
	h.refused(fault.BusinessRule, h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "huge", Text: "x"}})
	ch := h.fire(h.anna, c, "raise-finding", bleeding)
	if len(ch.Matters) != 1 || ch.Matters[0].Category != "emergent" || ch.Case.State != Reading {
		t.Fatalf("%+v", ch.Matters)
	}
	h.fire(h.anna, c, "communicate", Input{Call: &Call{Content: CallContent{Recipient: "Dr Who", Medium: "phone", Note: "no answer"}}})
	h.refused(fault.BusinessRule, h.anna, c, "communicate", Input{Call: &Call{Content: CallContent{Recipient: "Dr Who", Medium: "phone", ReadBack: true}}})
	if m := h.matters(c)[0]; !m.Open() || len(m.Calls) != 1 {
		t.Errorf("nobody was reached: %+v", m)
	}
	h.fire(h.anna, c, "communicate", phoned)
	m := h.matters(c)[0]
	if m.Open() || *m.Settlement != "acknowledged" || m.Closing.Person != "Dr Jones" || !m.Closing.Spoken {
		t.Errorf("what was read back is acknowledged: %+v", m)
	}

	h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
	h.fire(h.anna, c, "reveal", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	r := h.fire(h.anna, c, "sign", Input{}).Report
	if len(r.Findings) != 1 || len(r.Findings[0].Calls) != 2 || r.Findings[0].AcknowledgedBy != "Dr Jones" || r.Actionable != "emergent" {
		t.Errorf("the report tells whom somebody told: %+v", r.Findings)
	}
	if got := r.Findings[0].Calls[1].Told().Words(calls.English, time.UTC); !strings.HasPrefix(got, "Told to Dr Jones (emergency physician) by phone on ") || !strings.HasSuffix(got, ", read back") {
		t.Error(got)
	}
	h.fire(h.placer, c, "acknowledge", Input{})
	h.stands(c, Closed)
	h.replays(c)
}

func TestACaseIsNotClosedWhileAnEmergentFindingWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "sign", Input{})
	h.refused(fault.BusinessRule, h.placer, c, "acknowledge", Input{})
	h.refused(fault.Forbidden, h.anna, c, "acknowledge-finding", Input{})
	h.fire(h.placer, c, "acknowledge-finding", Input{Acknowledged: Acknowledged{Person: "Dr Jones"}})
	h.refused(fault.BusinessRule, h.placer, c, "acknowledge-finding", Input{Matter: 1})
	h.fire(h.placer, c, "acknowledge", Input{})
	h.stands(c, Closed)

	// A closed case opens again when its signatory sees something more.
	second := Input{Finding: &RaisedFinding{Category: "emergent", Text: "Tension pneumothorax."}}
	h.refused(fault.Forbidden, h.ben, c, "raise-finding", second)
	r := h.fire(h.anna, c, "raise-finding", second).Report
	if r == nil || r.Status != "appended" || !strings.Contains(r.Amendment.Text, "pneumothorax") || len(r.Findings) != 2 {
		t.Errorf("%+v", r)
	}
	h.stands(c, Final)
	r = h.fire(h.anna, c, "communicate", Input{Matter: 2, Call: phoned.Call}).Report
	if r == nil || r.No != 3 || !strings.Contains(r.Amendment.Text, "Told to Dr Jones") {
		t.Errorf("who tells of it after the signature signs that: %+v", r)
	}
	h.replays(c)
}

func TestWhatTheDeskTellsAfterTheSignatureIsLinkedAndNotSigned(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "sign", Input{})
	if ch := h.fire(h.coordinator, c, "communicate", phoned); ch.Report != nil || len(ch.Matters) == 0 {
		t.Errorf("a desk signs no report: %+v", ch.Report)
	}
	if !h.matters(c)[0].Open() {
		return
	}
	t.Error("it was read back")
}

func TestAMajorDiscrepancyIsItselfAFinding(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		name, actionable, want string
	}{
		{"as pressing as the grade says", "emergent", "emergent"},
		{"urgent where the grade does not say", "", "urgent"},
		{"of days where the grade says so", "non-critical", "non-critical"},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"adjudicateOn": "never"}`)
			c := h.ready()
			h.comparing(h.anna, c)
			grade := majorMiss
			grade.Discrepancies = []Discrepancy{{Finding: "nodule", Significance: "important", Nature: "detection", Actionable: one.actionable}}
			h.fire(h.anna, c, "grade", Input{Grade: &grade})
			if len(h.matters(c)) > 0 {
				t.Error("before the signature the grade may still change")
			}
			r := h.fire(h.anna, c, "sign", Input{}).Report
			m := h.matters(c)
			if len(m) != 1 || m[0].Category != one.want || m[0].Content.Text != majorMiss.Difference || !m[0].Content.FromReport || r.Actionable != one.want {
				t.Fatalf("%+v %s", m, r.Actionable)
			}
			if one.want == "emergent" {
				h.refused(fault.BusinessRule, h.placer, c, "acknowledge", Input{})
				return
			}
			h.fire(h.placer, c, "acknowledge", Input{Acknowledged: Acknowledged{Person: "Dr Jones", Role: "attending"}})
			if m := h.matters(c)[0]; m.Open() || m.Closing.Person != "Dr Jones" {
				t.Errorf("who has read the report has read of it: %+v", m)
			}
			h.in(func(ctx context.Context, tx pgx.Tx) error {
				acks, err := AcknowledgementsTx(ctx, tx, c.CaseID)
				if len(acks) != 1 || acks[0].ReportNo != 1 || acks[0].Content.Role != "attending" || acks[0].ActorRole != "placer" {
					t.Errorf("%+v", acks)
				}
				return err
			})
		})
	}
}

func TestWhatTheReaderHasRaisedIsNotRaisedAgainByTheReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"adjudicateOn": "never"}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	h.fire(h.anna, c, "sign", Input{})
	if m := h.matters(c); len(m) != 1 {
		t.Errorf("%+v", m)
	}
}

func TestAFindingEscalatesUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	h.setPolicy(chainOfThree) // has chains of its own, none of findings: the default ones hold
	c := h.readingCase()
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.fire(h.placer, c, "hold", Input{}) // the patient's emergency is not on hold
	h.pass(14 * time.Minute)
	h.wasTold(c)
	h.pass(2 * time.Minute)
	h.wasTold(c, "reader")
	h.pass(6 * time.Minute)
	h.wasTold(c, "reader", "coordinator")
	h.pass(11 * time.Minute)
	h.wasTold(c, "reader", "coordinator", "director")
	h.fire(h.placer, c, "cancel", Input{})
	if !h.matters(c)[0].Open() || len(h.pages(h.coordinator)) != 1 {
		t.Error("an order that is cancelled cancels no finding")
	}
	h.fire(h.coordinator, c, "communicate", phoned)
	if len(h.pages(h.coordinator)) != 0 {
		t.Error("acknowledged, and still on the worklist")
	}
	h.skip(1000 * time.Hour)
	if h.tick() != 0 {
		t.Error("a clock of a finding that is acknowledged")
	}
	h.replays(c)
}

func TestEachFindingHasAClockOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.readingCase()
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.pass(16 * time.Minute)
	h.wasTold(c, "reader")
	h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "emergent", Text: "Free air."}})
	h.refused(fault.BusinessRule, h.anna, c, "communicate", phoned) // of which?
	h.fire(h.anna, c, "communicate", Input{Matter: 1, Call: phoned.Call})
	h.pass(16 * time.Minute)
	h.wasTold(c, "reader", "reader")
	h.refused(fault.BusinessRule, h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "emergent", Text: "Free air."}})
	h.fire(h.anna, c, "withdraw-finding", Input{Reason: "motion artefact"})
	h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "emergent", Text: "Free air."}}) // after all
	if m := h.matters(c); len(m) != 3 || !m[1].Withdrawn() || !m[2].Open() {
		t.Errorf("%+v", m)
	}
	h.replays(c)
}

func TestARaisedFindingOutlivesItsReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.readingCase()
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.fire(h.anna, c, "release", Input{Reason: "ill"})
	h.refused(fault.BusinessRule, as(h.ben, access.Reader), c, "communicate", phoned) // who knows of none
	h.fire(h.anna, c, "communicate", phoned)                                          // who raised it may say whom they told
	h.fire(h.director, c, "declare-error", Input{Reason: "wrong patient"})
	h.replays(c)
}

func TestAnErrorWithdrawsWhatIsOpen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.readingCase()
	h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "non-critical", Text: "A cyst."}})
	if ch := h.fire(h.director, c, "declare-error", Input{Reason: "wrong patient"}); len(ch.Matters) != 1 {
		t.Error("the EHR must learn it")
	}
	if m := h.matters(c)[0]; !m.Withdrawn() {
		t.Errorf("%+v", m)
	}
}

var bled = Opinion{Findings: "Dense crescent on the left.", Impression: "Acute subdural haematoma.", Actionable: "emergent"}

func TestAnEmergentOpinionIsToldWhenItIsSealed(t *testing.T) {
	t.Parallel()
	t.Run("and outlives the cancellation", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{}`)
		c := h.readingCase()
		ch := h.fire(h.anna, c, "lock", Input{Opinion: &bled})
		if len(ch.Matters) != 1 || ch.Matters[0].Category != "emergent" || ch.Matters[0].Content.Text != bled.Impression {
			t.Fatalf("%+v", ch.Matters)
		}
		h.fire(h.placer, c, "cancel", Input{})
		if m := h.matters(c); len(m) != 1 || !m[0].Open() {
			t.Errorf("%+v", m)
		}
		h.replays(c)
	})
	t.Run("once, also at the signature", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{}`)
		c := h.readingCase()
		h.fire(h.anna, c, "lock", Input{Opinion: &bled})
		h.fire(h.anna, c, "reveal", Input{})
		h.fire(h.anna, c, "grade", Input{Grade: &agreement})
		r := h.fire(h.anna, c, "sign", Input{}).Report
		if m := h.matters(c); len(m) != 1 || len(r.Findings) != 1 || !r.Findings[0].FromReport {
			t.Errorf("%+v %+v", m, r.Findings)
		}
	})
	t.Run("unless its reader has raised it", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{}`)
		c := h.readingCase()
		h.fire(h.anna, c, "raise-finding", bleeding)
		h.fire(h.anna, c, "lock", Input{Opinion: &bled})
		if m := h.matters(c); len(m) != 1 {
			t.Errorf("%+v", m)
		}
	})
	t.Run("of the first of two, and the second is told nothing", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"reading": "mixed"}`)
		c := h.readingCase()
		h.fire(h.anna, c, "lock", Input{Opinion: &bled})
		h.stands(c, Ready)
		if m := h.matters(c); len(m) != 1 {
			t.Fatalf("%+v", m)
		}
		h.fire(h.ben, c, "claim", Input{Independent: true})
		h.exec(`UPDATE agenda SET due_at = now() WHERE kind = 'clock-finding-emergent/1'`)
		h.tick()
		var told int
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, `SELECT count(*) FROM escalation WHERE clock = 'finding-emergent/1' AND person_id = $1`, h.ben.ID).Scan(&told)
		})
		if told != 0 {
			t.Error("the clock of the first reader's finding tells the second reader")
		}
		h.fire(h.ben, c, "lock", Input{Opinion: &bled})
		if m := h.matters(c); len(m) != 1 {
			t.Errorf("the same words of both: %+v", m)
		}
	})
	t.Run("of a next reader in the same words", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{}`)
		c := h.readingCase()
		h.fire(h.anna, c, "lock", Input{Opinion: &bled})
		h.fire(h.anna, c, "release", Input{Reason: "ill"})
		h.fire(h.ben, c, "claim", Input{Independent: true})
		h.fire(h.ben, c, "lock", Input{Opinion: &bled})
		if m := h.matters(c); len(m) != 1 {
			t.Errorf("%+v", m)
		}
	})
}

func TestWhoeverHasReadRaisesAFindingInAnyState(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.readingCase()
	h.fire(h.anna, c, "release", Input{Reason: "ill"})
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.refused(fault.Forbidden, h.ben, c, "raise-finding", bleeding)
	h.fire(h.placer, c, "cancel", Input{})
	h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "urgent", Text: "A fracture."}})
	h.replays(c)

	h = newHouse(t, `{"reading": "consensus"}`)
	c = h.readingCase()
	h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
	h.fire(h.anna, c, "raise-finding", bleeding) // it is ready for the second
	h.fire(h.ben, c, "claim", Input{Independent: true})
	h.fire(h.ben, c, "lock", Input{Opinion: &opinion})
	h.stands(c, Conferring)
	h.fire(h.ben, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "urgent", Text: "A fracture."}})
	h.replays(c)
}

func TestAFindingThatWasToldIsTakenBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.readingCase()
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.refused(fault.BusinessRule, h.director, c, "declare-error", Input{Reason: "wrong patient"})
	h.fire(h.anna, c, "communicate", phoned)
	h.fire(h.anna, c, "withdraw-finding", Input{Matter: 1, Reason: "an artefact"})
	if m := h.matters(c)[0]; !m.Withdrawn() || m.Closing.Person != "Dr Jones" {
		t.Errorf("%+v", m)
	}
	h.refused(fault.BusinessRule, h.anna, c, "withdraw-finding", Input{Matter: 1, Reason: "again"})
	h.fire(h.director, c, "declare-error", Input{Reason: "wrong patient"})
}

func TestAnAmendmentIsNotDroppedWithAFindingThatNoVersionTells(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.signed(c)
	h.fire(h.anna, c, "amend", Input{Reason: "more to say"})
	h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "urgent", Text: "A fracture."}})
	h.refused(fault.BusinessRule, h.anna, c, "withdraw-amendment", Input{Reason: "nothing"})
	h.fire(h.anna, c, "withdraw-finding", Input{Matter: 1, Reason: "an artefact"})
	h.fire(h.anna, c, "withdraw-amendment", Input{Reason: "nothing"})
}

// What is as pressing as what was told before may be another emergency: whoever
// changes the text has it told.
func TestAnotherEmergencyIsToldThoughOneWasToldBefore(t *testing.T) {
	t.Parallel()
	embolism := Opinion{Findings: "f", Impression: "Pulmonary embolism.", Actionable: "emergent"}
	dissection := Opinion{Findings: "g", Impression: "Acute aortic dissection type A.", Actionable: "emergent"}
	reported := func(h *house, reader access.Actor) Case {
		c := h.ready()
		h.fire(reader, c, "claim", Input{Independent: true})
		h.fire(reader, c, "lock", Input{Opinion: &embolism})
		h.fire(reader, c, "reveal", Input{})
		h.fire(reader, c, "grade", Input{Grade: &agreement})
		h.fire(reader, c, "sign", Input{})
		return c
	}
	correct := func(h *house, c Case, text Opinion, outcomes ...FindingOutcome) {
		h.fire(h.anna, c, "amend", Input{Reason: "second look"})
		h.fire(h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "correction", Reason: "missed", Text: "Not described before."}, Opinion: &text, GradeStands: true, Outcomes: outcomes})
	}
	t.Run("a correction", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"assignment": "pool"}`)
		c := reported(h, h.anna)
		h.fire(h.placer, c, "acknowledge-finding", Input{Acknowledged: Acknowledged{Person: "Dr W"}})
		correct(h, c, dissection, letStand.Outcomes...)
		h.wantFindings(c, "Pulmonary embolism.", "Acute aortic dissection type A.")
		h.refused(fault.BusinessRule, h.placer, c, "acknowledge", Input{})
	})
	t.Run("a correction of the spelling is none", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"assignment": "pool"}`)
		c := reported(h, h.anna)
		correct(h, c, Opinion{Findings: "Described at length.", Impression: "pulmonary  embolism", Actionable: "emergent"})
		h.wantFindings(c, "Pulmonary embolism.")
	})
	t.Run("the supervisor", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"assignment": "pool"}`)
		c := reported(h, h.trainee)
		h.stands(c, AwaitingCosign)
		h.fire(as(h.carl, access.Supervisor), c, "sign", Input{Opinion: &dissection, Grade: &agreement, Outcomes: letStand.Outcomes})
		h.wantFindings(c, "Pulmonary embolism.", "Acute aortic dissection type A.")
	})
	t.Run("the supervisor's full stop is none", func(t *testing.T) {
		t.Parallel()
		for name, edit := range map[string]Input{
			"alone":                   {Opinion: &Opinion{Impression: "pulmonary embolism"}, GradeStands: true},
			"with what differs":       {Opinion: &Opinion{Impression: "pulmonary embolism"}, Grade: &majorMiss},
			"and something else said": {Opinion: &Opinion{Impression: "Pulmonary embolism and dissection."}, GradeStands: true, Outcomes: letStand.Outcomes},
		} {
			h := newHouse(t, `{"assignment": "pool", "adjudicateOn": "never"}`)
			c := reported(h, h.trainee)
			h.fire(as(h.carl, access.Supervisor), c, "sign", edit)
			if name == "and something else said" {
				h.wantFindings(c, "Pulmonary embolism.", "Pulmonary embolism and dissection.")
				continue
			}
			h.wantFindings(c, "Pulmonary embolism.")
		}
	})
	t.Run("the third reader", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"assignment": "pool", "reading": "arbitration"}`)
		carl := as(h.carl, access.Adjudicator)
		c := h.ready()
		h.conferring(c, &embolism, &opinion)
		h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
		h.fire(carl, c, "claim", Input{Independent: true})
		h.fire(carl, c, "arbitrate", Input{Decision: "own", Opinion: &dissection})
		h.wantFindings(c, "Pulmonary embolism.", "Acute aortic dissection type A.")
	})
}

func (h *house) wantFindings(c Case, want ...string) {
	h.Helper()
	var got []string
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		all, err := MattersTx(ctx, tx, c.CaseID)
		for _, m := range all {
			if m.isFinding() {
				got = append(got, m.Content.Text)
			}
		}
		return err
	})
	if !slices.Equal(got, want) {
		h.Errorf("findings %q, want %q", got, want)
	}
}

// Who reads takes note of a page about a finding; the clinician knows nothing of that,
// and the others are told all the same, the last of them again and again.
func TestAPressingFindingIsToldUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "lock", Input{Opinion: &Opinion{Findings: "f", Impression: "Pulmonary embolism.", Actionable: "emergent"}})
	for range 40 { // the reader, then nobody heeds
		h.pass(15 * time.Minute)
		if h.toldTo(c, TellReader) == 1 && h.toldTo(c, TellCoordinator) == 0 {
			_, _ = h.engine.Fire(context.Background(), h.anna, c.CaseID, "heed", Input{})
		}
	}
	if n := h.toldTo(c, TellCoordinator); n != 1 {
		t.Errorf("coordinators were told %d times", n)
	}
	directors := h.toldTo(c, TellDirector)
	if directors < 3 || directors > 40 {
		t.Errorf("in ten hours directors were told %d times", directors)
	}
	h.fire(h.placer, c, "acknowledge-finding", Input{Acknowledged: Acknowledged{Person: "Dr W"}})
	for range 20 {
		h.pass(15 * time.Minute)
	}
	if n := h.toldTo(c, TellDirector); n != directors {
		t.Errorf("after the acknowledgement directors were told %d times more", n-directors)
	}
}

// toldTo is how often somebody was told of a finding of the case.
func (h *house) toldTo(c Case, who Addressee) (n int) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM escalation WHERE case_id = $1 AND tell = $2 AND clock LIKE 'finding-%'`, c.CaseID, who).Scan(&n)
	})
	return n
}
