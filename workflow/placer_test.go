package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

const clocksOfTwo = `{"escalations": [], "clocks": {"routine": {"intake": "20h", "final": "100h", "assign": "40h"}, "stat": {"intake": "2h", "final": "10h", "assign": "4h"}}}`

// clockOf is a row of a case's agenda.
func (h *house) clockOf(c Case, kind string) (row entry, there bool) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		rows, err := entriesTx(ctx, tx, c.CaseID)
		for _, r := range rows {
			if r.Kind == kind {
				row, there = r, true
			}
		}
		return err
	})
	return row, there
}

// spoken are the percents that a clock has told, in their order.
func (h *house) percents(c Case, clock ClockName) (said []int) {
	for _, ch := range h.heard {
		if ch.Case.CaseID == c.CaseID && ch.Input.Clock == clock && (ch.Event == "warn" || ch.Event == "breach") {
			said = append(said, ch.Input.Percent)
		}
	}
	return said
}

func TestAnotherPriorityReckonsTheClocksFromTheBeginning(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		from, to    string
		passed      time.Duration // since the order was complete, of which
		held        time.Duration // on hold
		left        time.Duration // of the final clock
		said, after []int         // by the final clock, before the change and after it
	}{
		{"more pressing, early", "routine", "stat", 2 * time.Hour, 0, 8 * time.Hour, nil, nil},
		{"half of the new limit has passed", "routine", "stat", 6 * time.Hour, 0, 4 * time.Hour, nil, []int{50}},
		{"of what is past only the last is told", "routine", "stat", 8 * time.Hour, 0, 2 * time.Hour, nil, []int{75}},
		{"the new limit has passed", "routine", "stat", 20 * time.Hour, 0, -10 * time.Hour, nil, []int{100}},
		{"a hold does not count", "routine", "stat", 20 * time.Hour, 17 * time.Hour, 7 * time.Hour, nil, nil},
		{"less pressing: nothing is told twice", "stat", "routine", 8 * time.Hour, 0, 92 * time.Hour, []int{50, 75}, []int{50, 75}},
		{"a breach stays one", "stat", "routine", 11 * time.Hour, 0, -time.Hour, []int{50, 75, 90, 100}, []int{50, 75, 90, 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, clocksOfTwo)
			c := h.open()
			h.exec(`UPDATE case_file SET priority = $1`, test.from)
			h.tick()
			h.fire(h.anna, c, "claim", Input{Independent: true})
			if test.held > 0 {
				h.fire(h.placer, c, "hold", Input{})
				h.skip(test.held)
				h.fire(h.placer, c, "resume", Input{})
			}
			h.pass(test.passed - test.held)
			if diff := cmp.Diff(test.said, h.percents(c, ClockFinal)); diff != "" {
				t.Fatalf("before: %s", diff)
			}
			h.fire(h.placer, c, "reprioritise", Input{Priority: test.to})
			row, _ := h.clockOf(c, "clock-final")
			if off := time.Until(*row.DeadlineAt) - test.left; off.Abs() > 5*time.Second {
				t.Errorf("%s are left, want %s", time.Until(*row.DeadlineAt), test.left)
			}
			h.tick()
			if diff := cmp.Diff(test.after, h.percents(c, ClockFinal)); diff != "" {
				t.Errorf("after: %s", diff)
			}
			if got := h.find(c).Priority; got != test.to {
				t.Errorf("the priority is %s", got)
			}
		})
	}
}

func TestAnotherPriorityOnHoldReckonsWhatIsLeft(t *testing.T) {
	t.Parallel()
	h := newHouse(t, clocksOfTwo)
	c := h.ready()
	h.skip(3 * time.Hour)
	h.fire(h.placer, c, "hold", Input{})
	h.skip(50 * time.Hour)
	h.fire(h.placer, c, "reprioritise", Input{Priority: "stat"})
	h.fire(h.placer, c, "resume", Input{})
	row, _ := h.clockOf(c, "clock-final")
	if left := time.Until(*row.DeadlineAt); (left - 7*time.Hour).Abs() > 5*time.Second {
		t.Errorf("%s are left of 10 h, of which 3 were used", left)
	}
	h.replays(c)
}

func TestAGrossClockThatOnlyTheNewPriorityHasRunsFromTheOrderOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"escalations": [], "clocks": {"stat": {"gross": "30h"}}}`)
	c := h.ready()
	h.skip(20 * time.Hour)
	h.fire(h.placer, c, "reprioritise", Input{Priority: "stat"})
	row, there := h.clockOf(c, "clock-gross")
	if !there || (time.Until(*row.DeadlineAt)-10*time.Hour).Abs() > 5*time.Second {
		t.Errorf("%v %v", there, row.DeadlineAt)
	}
	h.fire(h.placer, c, "reprioritise", Input{Priority: "routine"})
	if _, there := h.clockOf(c, "clock-gross"); there {
		t.Error("a clock runs that the priority does not have")
	}
	h.refused(fault.BusinessRule, h.placer, c, "reprioritise", Input{Priority: "whenever"})
}

// atWorkOn takes a case to each state in which somebody reads it.
func (h *house) atWorkOn(state State) Case {
	h.Helper()
	c := h.ready()
	reader, grade := h.anna, &agreement
	if state == AwaitingCosign {
		reader = h.trainee
	}
	if state == Adjudication {
		grade = &majorMiss
	}
	way := []struct {
		to State
		do func()
	}{
		{Accepted, func() { h.fire(reader, c, "claim", Input{Independent: true}) }},
		{Reading, func() { h.fire(reader, c, "start", Input{}) }},
		{Locked, func() { h.fire(reader, c, "lock", Input{Opinion: &opinion}) }},
		{Comparing, func() { h.fire(reader, c, "reveal", Input{}) }},
		{Adjudication, func() { h.fire(reader, c, "grade", Input{Grade: grade}) }},
		{AwaitingCosign, func() { h.fire(reader, c, "sign", Input{}) }},
	}
	if state == AwaitingCosign && reader.ID == h.trainee.ID {
		h.fire(h.coordinator, c, "offer", Input{ReaderID: &reader.ID})
	}
	for _, step := range way {
		if got := h.find(c).State; got != state {
			step.do()
		}
	}
	return h.stands(c, state)
}

func (h *house) notices(who access.Actor) (events []Event) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		all, err := NoticesTx(ctx, tx, who, 0, 100)
		for _, n := range all {
			if n.Words() == "" {
				h.Errorf("%s has no words", n.Event)
			}
			events = append(events, n.Event)
		}
		return err
	})
	return events
}

func TestACorrectionOfAnOrderThatIsReadWaitsForTheCoordinatorAndTellsTheReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	for _, state := range in(Accepted, Reading, Locked, Comparing, Adjudication, AwaitingCosign) {
		c := h.atWorkOn(state)
		reader := h.anna
		if c.ReaderID != nil && *c.ReaderID == h.trainee.ID {
			reader = h.trainee
		}
		h.fire(reader, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "non-critical", Text: "A cyst."}})
		h.recheck(c)
		h.stands(c, state) // nothing has changed
		f := h.facts[c.PlacerValue]
		f.OrderPatient, f.Study.Patient, f.Original.Patient = "p2", "p2", "p2"
		h.recheck(c)
		h.recheck(c)
		held := h.stands(c, OnHold)
		if held.Findings[0].Code != OrderCorrected || *held.PatientID != "p1" || !slices.Equal(held.Correction.Of, []string{"patient"}) {
			t.Errorf("%s: %+v", state, held)
		}
		if !h.matters(c)[0].Content.Doubtful {
			t.Errorf("%s: the finding does not say that the images may be of another patient", state)
		}
		if got := h.notices(reader); len(got) == 0 || got[0] != "correct" {
			t.Errorf("%s: the reader is told %v", state, got)
		}
		h.refused(fault.Conflict, reader, c, "lock", Input{Opinion: &opinion})
		h.fire(h.placer, c, "resume", Input{}) // the placer's word is heard, and does not decide
		h.stands(c, OnHold)
		h.fire(h.coordinator, c, "continue-reading", Input{Reason: "a typing error", Facts: f})
		again := h.stands(c, state)
		if h.matters(c)[0].Content.Doubtful {
			t.Errorf("%s: the coordinator has decided whose the images are", state)
		}
		if *again.PatientID != "p2" || again.Correction != nil || again.ReaderID == nil {
			t.Errorf("%s: %+v", state, again)
		}
		h.replays(c)
		h.fire(h.placer, c, "cancel", Input{})
		if got := h.notices(reader); got[0] != "cancel" {
			t.Errorf("%s: the reader is told %v", state, got)
		}
	}
}

func TestAReadingOfTheWrongStudyBeginsAnew(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	for _, state := range in(Accepted, Reading, Locked, Comparing, Adjudication) {
		c := h.atWorkOn(state)
		f := h.facts[c.PlacerValue]
		f.Study.UID, f.Study.ID = newUID(), "s2"
		h.recheck(c)
		h.stands(c, OnHold)
		if got := h.refused(fault.BusinessRule, h.coordinator, c, "continue-reading", Input{Reason: "r", Facts: f}); !strings.Contains(got, "another study") {
			t.Error(got)
		}
		h.refused(fault.BusinessRule, h.coordinator, c, "restart-reading", Input{})
		h.fire(h.coordinator, c, "restart-reading", Input{Reason: "wrong study"})
		if got := h.stands(c, Received); got.ReaderID != nil || got.RevealedAt != nil || got.AdjudicatorID != nil {
			t.Errorf("%s: %+v", state, got)
		}
		h.tick()
		if got := h.stands(c, Ready); *got.StudyID != "s2" {
			t.Errorf("%s: it is of %s", state, *got.StudyID)
		}
		h.fire(h.ben, c, "claim", Input{Independent: true})
		h.replays(c)
		h.fire(h.placer, c, "cancel", Input{})
	}
}

func TestAnOrderOfAnotherSideStopsTheReading(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	for _, row := range []struct {
		study string // its side
		goes  bool   // the reading may go on
	}{{"", true}, {"right", true}, {"left", false}} {
		for _, state := range in(Accepted, Reading, Locked, Comparing, AwaitingCosign) {
			c := h.atWorkOn(state)
			f := h.facts[c.PlacerValue]
			h.exec(`UPDATE case_file SET exam = exam || '{"ordered": {"side": "left"}}', waived = '{laterality-mismatch}' WHERE case_id = $1`, c.CaseID)
			f.Exam.Ordered, f.OrderLaterality, f.Study.Laterality = &OrderedSite{Side: "right"}, "right", row.study
			h.recheck(c)
			held := h.stands(c, OnHold)
			if held.Correction == nil || held.Correction.Of[0] != bodySite || held.Findings[0].Element != "ServiceRequest.bodySite" {
				t.Errorf("%s: %+v", state, held)
			}
			reader := h.anna
			if state == AwaitingCosign {
				reader = h.trainee
			}
			if got := h.notices(reader); len(got) == 0 || got[0] != "correct" {
				t.Errorf("%s: the reader is told %v", state, got)
			}
			decide := Input{Reason: "seen", Facts: f}
			if !row.goes {
				if why := h.refused(fault.BusinessRule, h.coordinator, c, "continue-reading", decide); !strings.Contains(why, "the order's side is not that of the ImagingStudy") {
					t.Errorf("%s: %s", state, why)
				}
				h.fire(h.coordinator, c, "restart-reading", Input{Reason: "wrong side"})
				h.tick()
				h.stands(c, IntakeReview)
				h.fire(h.coordinator, c, "reject", Input{Reason: "r"})
				continue
			}
			h.fire(h.coordinator, c, "continue-reading", decide)
			h.recheck(c)
			h.stands(c, state)
			h.replays(c)
			h.fire(h.placer, c, "cancel", Input{})
		}
	}
}

func TestAnotherQuestionIsToldAndAnotherExamStopsTheReading(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	first, second := "Fracture?", "Aortic dissection?"
	for _, state := range in(Accepted, Reading, Comparing) {
		c := h.atWorkOn(state)
		f := h.facts[c.PlacerValue]
		h.exec(`UPDATE case_file SET exam = exam || '{"ordered": {"exams": ["mr brain"]}, "question": "Fracture?"}' WHERE case_id = $1`, c.CaseID)
		f.Exam.Ordered, f.Exam.Question = &OrderedSite{Exams: []string{"mr brain"}}, &first
		h.recheck(c)
		h.stands(c, state)
		f.Exam.Question = &second
		h.recheck(c)
		h.recheck(c)
		if got := h.stands(c, state); *got.Exam.Question != second {
			t.Errorf("%s: the case asks %s", state, *got.Exam.Question)
		}
		if got := h.notices(h.anna); len(got) == 0 || got[0] != "question-changes" || len(got) > 1 && got[1] == "question-changes" {
			t.Errorf("%s: the reader is told %v", state, got)
		}
		if state == Reading {
			h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
			if got := h.find(c); got.Exam.QuestionRead == nil || *got.Exam.QuestionRead != second {
				t.Errorf("the question that was read is not kept: %v", got.Exam.QuestionRead)
			}
		}
		f.Exam.Ordered = &OrderedSite{Exams: []string{"ct chest"}}
		h.recheck(c)
		held := h.stands(c, OnHold)
		if !slices.Equal(held.Correction.Of, []string{"exam"}) || held.Findings[0].Element != "ServiceRequest.code" {
			t.Errorf("%s: %+v", state, held)
		}
		h.fire(h.coordinator, c, "continue-reading", Input{Reason: "seen", Facts: f})
		h.recheck(c)
		if got := h.find(c).State; got == OnHold {
			t.Errorf("%s: it is held again", state)
		}
		h.fire(h.placer, c, "cancel", Input{})
	}
}

// A study that turns out to be somebody else's, though the order says the same.
func TestAStudyOfAnotherPatientStopsTheReading(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.atWorkOn(Reading)
	f := h.facts[c.PlacerValue]
	f.Study.Patient = "p9"
	h.recheck(c)
	h.stands(c, OnHold)
	if got := h.refused(fault.BusinessRule, h.coordinator, c, "continue-reading", Input{Reason: "r", Facts: f}); !strings.Contains(got, "another patient") {
		t.Error(got)
	}
	f.Study.Patient = "p1" // mended
	h.fire(h.coordinator, c, "continue-reading", Input{Reason: "the study was mended", Facts: f})
	h.stands(c, Reading)
}

func TestACorrectionDuringAHoldIsDecidedBeforeTheReadingGoesOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	for _, restarted := range []bool{false, true} {
		c := h.atWorkOn(Reading)
		f := h.facts[c.PlacerValue]
		h.fire(h.placer, c, "hold", Input{})
		h.refused(fault.BusinessRule, h.coordinator, c, "continue-reading", Input{Reason: "r", Facts: f})
		f.OrderPatient, f.Study.Patient, f.Original.Patient = "p2", "p2", "p2"
		h.recheck(c)
		h.stands(c, OnHold)
		event, then := Event("continue-reading"), Reading
		if restarted {
			event, then = "restart-reading", Received
		}
		h.fire(h.coordinator, c, event, Input{Reason: "r", Facts: f})
		h.stands(c, OnHold) // the placer holds it still
		h.tick()
		h.stands(c, OnHold)
		h.fire(h.placer, c, "resume", Input{})
		h.stands(c, then)
		h.replays(c)
		h.tick()
		h.fire(h.placer, c, "cancel", Input{})
	}
}

func TestTheWaitForTheCoordinatorIsNotThePlacers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.atWorkOn(Reading)
	f := h.facts[c.PlacerValue]
	f.OrderPatient, f.Study.Patient, f.Original.Patient = "p2", "p2", "p2"
	h.recheck(c)
	h.skip(2 * time.Hour)
	h.fire(h.placer, c, "hold", Input{})
	h.skip(3 * time.Hour)
	h.fire(h.placer, c, "resume", Input{})
	h.skip(4 * time.Hour)
	h.fire(h.coordinator, c, "continue-reading", Input{Reason: "the same images", Facts: f})
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		waits, err := WaitsTx(ctx, tx, c.CaseID)
		var told []string
		for _, w := range waits {
			told = append(told, fmt.Sprint(w.Party, " ", w.Reason, " ", w.Stops))
		}
		if diff := cmp.Diff([]string{"filler order-corrected true", "placer held true", "filler order-corrected true"}, told); diff != "" || err != nil {
			t.Error(diff, err)
		}
		times, err := timesTx(ctx, tx, c.CaseID, time.Now(), false)
		if got := times.Waited[WaitsForFiller].Round(time.Minute); got != 6*time.Hour || times.Waited[WaitsForPlacer].Round(time.Minute) != 3*time.Hour {
			t.Errorf("waited for: %v", times.Waited)
		}
		return err
	})
	h.replays(c)
}

func TestANoticeGoesWhenTheReaderDoesSomethingAndAfterAWeek(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.atWorkOn(Reading)
	h.fire(h.placer, c, "reprioritise", Input{Priority: "urgent"})
	if diff := cmp.Diff([]Event{"reprioritise"}, h.notices(h.anna)); diff != "" {
		t.Error(diff)
	}
	if got := h.notices(h.ben); got != nil {
		t.Errorf("another reader is told %v", got)
	}
	h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
	if got := h.notices(h.anna); got != nil {
		t.Errorf("done, and still told %v", got)
	}
	h.fire(h.placer, c, "cancel", Input{})
	h.exec(`UPDATE case_notice SET told_at = told_at - interval '8 days'`)
	if got := h.notices(h.anna); got != nil {
		t.Errorf("a week later still told %v", got)
	}
}
