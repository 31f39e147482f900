package workflow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

func TestMissingImagesAreLookedForAndFound(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	var study *StudyFacts
	c := h.open(func(f *Facts) { study, f.Study = f.Study, nil })
	h.tick()
	before := h.stands(c, AwaitingImages)
	if before.Findings[0].Code != "study-missing" {
		t.Error(before.Findings)
	}
	h.pass(2 * time.Minute)
	if after := h.find(c); after.Version != before.Version {
		t.Error("looking in vain leaves no trace")
	}
	h.recheck(c)
	h.stands(c, AwaitingImages)

	h.facts[c.PlacerValue].Study = study
	h.recheck(c)
	h.stands(c, Received)
	h.tick()
	if c := h.stands(c, Ready); len(c.Findings) != 0 || c.StudyUID == nil {
		t.Errorf("%+v", c)
	}
	h.replays(c)
}

func TestTheSystemLooksAgainByItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	var study *StudyFacts
	c := h.open(func(f *Facts) { study, f.Study = f.Study, nil })
	h.tick()
	h.facts[c.PlacerValue].Study = study
	h.tick()
	h.stands(c, AwaitingImages) // not due yet
	h.pass(2 * time.Minute)
	h.stands(c, Ready)
}

func TestTheCaseFailsWhenTheImagesDoNotComeInThirtyDays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open(func(f *Facts) { f.Study = nil })
	h.tick()
	h.pass(29 * 24 * time.Hour)
	h.stands(c, AwaitingImages)
	h.pass(25 * time.Hour)
	h.stands(c, Failed)
	h.replays(c)
	if n := h.agendaRows(c); n != 0 {
		t.Errorf("%d rows left on the agenda", n)
	}
}

func TestAMissingOriginalIsWaitedForAndThenDoneWithout(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"originalReportWait": "2h"}`)
	var original *OriginalFacts
	c := h.open(func(f *Facts) { original, f.Original = f.Original, nil })
	h.tick()
	h.stands(c, AwaitingInformation)
	h.pass(119 * time.Minute)
	h.stands(c, AwaitingInformation)
	h.pass(2 * time.Minute)
	if c := h.stands(c, Ready); *c.Comparable {
		t.Error("nothing to compare with")
	}
	h.fire(h.anna, c, "claim", Input{Independent: true})

	// It comes late, but before the reveal.
	h.facts[c.PlacerValue].Original = original
	h.recheck(c)
	if c := h.stands(c, Accepted); !c.comparable() || *c.OriginalReportID != "r1" {
		t.Errorf("%+v", c)
	}

	// And turns out to be the reader's own.
	own := *original
	other := h.open(func(f *Facts) { f.OriginalReferenced, f.Original = false, nil })
	h.tick()
	h.fire(h.anna, other, "claim", Input{Independent: true})
	h.facts[other.PlacerValue].Original = &own
	h.facts[other.PlacerValue].First.Readers = []string{"Practitioner/" + h.anna.ID.String()}
	h.recheck(other)
	h.refused(fault.BusinessRule, h.anna, other, "lock", Input{Opinion: &opinion})
	h.fire(h.anna, other, "release", Input{Reason: "my own report"})
	h.replays(c)
}

func TestAMissingQuestionIsNotTimedOutButTheCoordinatorMayProceed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"originalReportWait": "2h"}`)
	c := h.open(func(f *Facts) { f.Question = false })
	h.tick()
	h.pass(3 * time.Hour)
	h.stands(c, AwaitingInformation)
	h.refused(fault.BusinessRule, h.coordinator, c, "proceed", Input{})
	h.fire(h.coordinator, c, "proceed", Input{Reason: "asked by telephone"})
	h.tick()
	h.stands(c, Ready)
}

func TestADoubtIsResolvedByTheCoordinatorAndADenialIsNot(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open(func(f *Facts) { f.Study.Laterality, f.OrderLaterality = "left", "right" })
	denied := h.open(func(f *Facts) { f.Consent = "deny" })
	h.tick()
	h.stands(c, IntakeReview)
	h.fire(h.coordinator, c, "resolve", Input{Reason: "typing error"})
	h.tick()
	if c := h.stands(c, Ready); !cmp.Equal(c.Waived, []string{"laterality-mismatch"}) {
		t.Error(c.Waived)
	}
	f := h.facts[c.PlacerValue] // the order now means another patient, with the same doubt: nobody has looked at that
	f.OrderPatient, f.Study.Patient = "p2", "p2"
	h.recheck(c)
	h.tick()
	h.stands(c, IntakeReview)

	h.stands(denied, IntakeReview)
	h.refused(fault.BusinessRule, h.coordinator, denied, "resolve", Input{Reason: "whatever"})
	h.fire(h.coordinator, denied, "reject", Input{Reason: "no consent"})
	h.stands(denied, Rejected)
}

func TestASecondOrderForTheSameStudyIsADoubt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	same := func(f *Facts) { f.Study.UID = "2.25.77" }
	first := h.open(same)
	h.tick()
	second := h.open(same)
	h.tick()
	h.stands(first, Ready)
	if c := h.stands(second, IntakeReview); !strings.Contains(c.Findings[0].Text, "Task/"+first.TaskID) {
		t.Error(c.Findings)
	}
	h.fire(h.placer, first, "cancel", Input{Reason: "not needed"})
	h.recheck(second)
	h.tick()
	h.stands(second, Ready)
}

func TestASecondOrderForTheSameStudyWithAnotherQuestionIsNoDoubt(t *testing.T) {
	t.Parallel()
	const marker = "http://terminology.hl7.org/CodeSystem/v2-0336|S"
	for name, test := range map[string]struct {
		first, second []string
		want          State
	}{
		"another reason":              {[]string{marker, "s|staging"}, []string{marker, "s|transfer"}, Ready},
		"a reason in common":          {[]string{"s|staging"}, []string{"s|transfer", "s|staging"}, IntakeReview},
		"the second does not say":     {[]string{"s|staging"}, []string{marker}, IntakeReview},
		"the first does not say":      {[]string{marker}, []string{"s|staging"}, IntakeReview},
		"neither says what it is for": {nil, nil, IntakeReview},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{}`)
			asks := func(reasons []string) func(*Facts) {
				return func(f *Facts) { f.Study.UID, f.Exam.Reasons = "2.25.77", reasons }
			}
			h.open(asks(test.first))
			h.tick()
			second := h.open(asks(test.second))
			h.tick()
			h.stands(second, test.want)
		})
	}
}

func TestOffersGoRoundUntilNobodyIsLeft(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "offer"}`)
	c := h.ready()
	c = h.stands(c, Offered)
	first := h.anna
	other := h.ben
	if *c.OfferedTo != h.anna.ID {
		first, other = h.ben, h.anna
	}
	h.refused(fault.Forbidden, other, c, "claim", Input{Independent: true})
	h.fire(first, c, "decline", Input{})
	h.tick()
	if c := h.stands(c, Offered); *c.OfferedTo != other.ID {
		t.Error("offered to the same reader again")
	}
	h.pass(9 * time.Hour)
	if c := h.stands(c, Offered); *c.OfferedTo != other.ID || c.OfferRound != 2 {
		t.Error("who has let an offer expire is asked once more, since nobody else is left")
	}
	h.pass(9 * time.Hour)
	if c := h.stands(c, Unassignable); !strings.Contains(c.Findings[0].Text, "declined before (1)") || !strings.Contains(c.Findings[0].Text, "let an offer expire (1)") || !strings.Contains(c.Findings[0].Text, "absent until") {
		t.Error(c.Findings)
	}
	before := h.find(c).Version
	h.pass(6 * time.Minute)
	if h.find(c).Version != before {
		t.Error("matching in vain leaves no trace")
	}

	h.exec(`UPDATE reader SET credential = '{"subspecialties": ["neuro"]}' WHERE reader_id = $1`, h.carl.ID)
	h.pass(6 * time.Minute)
	if c := h.stands(c, Offered); *c.OfferedTo != h.carl.ID {
		t.Error("Carl is back from his absence")
	}
	h.fire(h.carl, c, "claim", Input{Independent: true})
	h.replays(c)
}

func TestTheCoordinatorOffersToWhomeverIsEligible(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.refused(fault.Forbidden, h.coordinator, c, "offer", Input{ReaderID: &h.placer.ID})
	h.fire(h.coordinator, c, "offer", Input{ReaderID: &h.carl.ID}) // absent, but asked in person
	h.fire(h.coordinator, c, "withdraw-offer", Input{})
	h.stands(c, Ready)
}

func TestEachStageOfAClockSpeaksOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"clocks": {"routine": {"final": "10h", "assign": "1000h"}}}`)
	c := h.ready()
	for range 25 {
		h.pass(30 * time.Minute)
	}
	want := []string{"warn 50", "warn 75", "warn 90", "breach 100"}
	if diff := cmp.Diff(want, h.spoken(c, "final")); diff != "" {
		t.Error(diff)
	}
	h.stands(c, Ready)
	h.replays(c)
}

func TestAClockThatSleptSpeaksEveryStageItMissed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open()
	h.pass(30 * 24 * time.Hour)
	if got := h.spoken(c, "intake"); len(got) != 0 && len(got) != 4 {
		t.Error("the intake clock either ended with the intake or spoke four times:", got)
	}
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.pass(30 * 24 * time.Hour)
	if got := h.spoken(c, "final"); len(got) != 4 {
		t.Error(got)
	}
}

func TestOnHoldTheFinalClockStandsStill(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"clocks": {"routine": {"final": "10h"}}}`)
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.skip(4 * time.Hour)
	h.fire(h.placer, c, "hold", Input{Reason: "patient moved"})
	h.stands(c, OnHold)
	h.pass(100 * time.Hour)
	if got := h.spoken(c, "final"); len(got) != 0 {
		t.Error(got)
	}
	h.fire(h.placer, c, "resume", Input{})
	h.stands(c, Accepted)
	h.pass(55 * time.Minute)
	if got := h.spoken(c, "final"); len(got) != 0 {
		t.Error("4 h 55 min of 10 h:", got)
	}
	h.pass(10 * time.Minute)
	if diff := cmp.Diff([]string{"warn 50"}, h.spoken(c, "final")); diff != "" {
		t.Error(diff)
	}
	h.replays(c)
}

func TestAHeldOfferIsWithdrawnAndMadeAnew(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "offer"}`)
	c := h.stands(h.ready(), Offered)
	h.fire(h.placer, c, "hold", Input{})
	if c := h.stands(c, OnHold); c.OfferedTo != nil || *c.ResumeState != Ready {
		t.Errorf("%+v", c)
	}
	h.tick()
	h.stands(c, OnHold)
	h.fire(h.placer, c, "resume", Input{})
	h.tick()
	h.stands(c, Offered)
	h.replays(c)
}

func TestWhatComesDuringTheHoldCountsAfterIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	var study *StudyFacts
	c := h.open(func(f *Facts) { study, f.Study = f.Study, nil })
	h.tick()
	h.fire(h.placer, c, "hold", Input{})
	h.facts[c.PlacerValue].Study = study
	h.recheck(c)
	h.tick()
	h.stands(c, OnHold)
	h.fire(h.placer, c, "resume", Input{})
	h.tick()
	h.stands(c, Ready)
	h.replays(c)
}

func TestAnOriginalThatComesDuringTheHoldIsNotedAfterIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	for _, reading := range []bool{false, true} {
		var original *OriginalFacts
		c := h.open(func(f *Facts) { original, f.OriginalReferenced, f.Original = f.Original, false, nil })
		h.tick()
		want := Ready
		if reading {
			h.fire(h.anna, c, "claim", Input{Independent: true})
			h.fire(h.anna, c, "start", Input{})
			want = Reading
		}
		h.fire(h.placer, c, "hold", Input{})
		h.facts[c.PlacerValue].Original = original
		h.recheck(c)
		h.fire(h.placer, c, "resume", Input{})
		h.tick()
		if c := h.stands(c, want); !c.comparable() {
			t.Errorf("%s: the original is forgotten", want)
		}
		h.replays(c)
	}
}

func TestAnOrderThatComesToMeanAnotherPatientIsCheckedAnew(t *testing.T) {
	t.Parallel()
	for _, assignment := range []string{"pool", "offer"} {
		h := newHouse(t, `{"assignment": "`+assignment+`"}`)
		c := h.ready()
		f := h.facts[c.PlacerValue]
		f.OrderPatient, f.Study.Patient, f.Study.ID, f.Study.UID, f.Original = "p2", "p2", "s2", "2.25.2", nil
		f.OriginalReferenced = false
		h.recheck(c)
		h.stands(c, Received)
		h.tick()
		if c := h.find(c); *c.PatientID != "p2" || *c.StudyUID != "2.25.2" {
			t.Errorf("%s: still of patient %s, study %s", assignment, *c.PatientID, *c.StudyUID)
		}
		h.replays(c)
	}
}

func TestTwoEnginesTickingAtOnceDoEachRowOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	var cases []Case
	for range 40 {
		cases = append(cases, h.open())
	}
	var both, met sync.WaitGroup
	worked := make([]int, 2)
	met.Add(len(worked))
	for i := range worked {
		e := h.newEngine()
		arrive := sync.OnceFunc(met.Done)
		e.Use(Hooks{
			Facts: func(_ context.Context, _ pgx.Tx, c *Case) (Facts, error) {
				arrive()
				met.Wait() // each has a row in hand before either goes on
				return *h.facts[c.PlacerValue], nil
			},
			Publish: func(context.Context, pgx.Tx, Change) error { return nil },
		})
		both.Go(func() {
			var err error
			if worked[i], err = e.Tick(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if worked[0]+worked[1] < 80 || worked[0] == 0 || worked[1] == 0 {
		t.Errorf("rows worked: %v, want 80 between the two", worked)
	}
	for _, c := range cases {
		c = h.stands(c, Ready)
		if c.Version != 2 {
			t.Errorf("%d events, want open and pass-checks", c.Version)
		}
	}
}

func TestARowThatFailsDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	sick, well := h.open(), h.open()
	broken := true
	h.engine.Use(Hooks{
		Facts: func(_ context.Context, _ pgx.Tx, c *Case) (Facts, error) {
			if broken && c.CaseID == sick.CaseID {
				return Facts{}, errors.New("out of order")
			}
			return *h.facts[c.PlacerValue], nil
		},
		Publish: func(context.Context, pgx.Tx, Change) error { return nil },
	})
	_, err := h.engine.Tick(context.Background())
	if err == nil {
		t.Error("the failure is told")
	}
	h.stands(well, Ready)
	h.stands(sick, Received)
	if n := h.tick(); n != 0 {
		t.Errorf("%d rows worked; the sick one is put off", n)
	}
	broken = false
	h.pass(time.Minute)
	h.stands(sick, Ready)
}

func TestABusyCaseIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		if _, err := lockCase(ctx, tx, c.CaseID); err != nil {
			return err
		}
		h.tick()
		return nil
	})
	h.stands(c, Received)
	h.pass(2 * time.Second)
	h.stands(c, Ready)
}

func (h *house) recheck(c Case) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		waiting, err := CasesWaitingTx(ctx, tx, "p1")
		if err != nil {
			return err
		}
		return h.engine.RecheckTx(ctx, tx, h.tenant, waiting...)
	})
}

func (h *house) recheckSigned(c Case) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		signed, err := CasesSignedTx(ctx, tx, "p1")
		if err == nil && !slices.Contains(signed, c.CaseID) {
			h.Error("the case is not among those of its patient")
		}
		return errors.Join(err, h.engine.RecheckTx(ctx, tx, h.tenant, signed...))
	})
}

// spoken lists what a clock of the case has said.
func (h *house) spoken(c Case, clock string) (said []string) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT event || ' ' || (detail->>'percent')
			FROM case_event
			WHERE case_id = $1 AND event IN ('warn', 'breach') AND detail->>'clock' = $2
			ORDER BY seq`, c.CaseID, clock)
		if err != nil {
			return err
		}
		said, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return said
}

func (h *house) agendaRows(c Case) (n int) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM agenda WHERE case_id = $1`, c.CaseID).Scan(&n)
	})
	return n
}
