package workflow

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

func TestAnAgreementGoesFromOrderToClosure(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	if c.State != Ready || !c.comparable() || *c.OriginalReportID != "r1" || c.CompleteAt == nil || c.Exam.Subspecialty != "neuro" {
		t.Fatalf("after intake: %+v", c)
	}
	h.fire(h.anna, c, "claim", Input{Independent: true})
	if c := h.stands(c, Accepted); c.ReportID == nil || *c.ReportStatus != "registered" {
		t.Error("an accepted case has a registered report")
	}
	h.fire(h.anna, c, "start", Input{})
	h.fire(h.anna, c, "draft", Input{Opinion: &Opinion{Findings: "So far."}})
	h.refused(fault.BusinessRule, h.anna, c, "lock", Input{})
	h.fire(h.anna, c, "draft", Input{Opinion: &opinion, DraftNo: new(1)})
	h.fire(h.anna, c, "lock", Input{})
	h.refused(fault.Conflict, h.anna, c, "draft", Input{Opinion: &opinion})
	h.fire(h.anna, c, "reveal", Input{})
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	ch := h.fire(h.anna, c, "sign", Input{})

	_, sum, err := canonical(opinion)
	if err != nil {
		t.Fatal(err)
	}
	want := &Report{No: 1, Status: "final", Opinion: opinion, Level: LevelNone, Authors: []uuid.UUID{h.anna.ID}, ReaderID: h.anna.ID, SignedBy: h.anna.ID,
		SignedAt: ch.At, GradeNo: 1, OpinionSHA256: hexOf(sum), LockedAt: *ch.Case.LockedAt}
	if diff := cmp.Diff(want, ch.Report); diff != "" {
		t.Error(diff)
	}
	h.fire(h.placer, c, "acknowledge", Input{})
	if c := h.stands(c, Closed); c.ClosedAt == nil || *c.ReportStatus != "final" {
		t.Error("closed:", c.ClosedAt, *c.ReportStatus)
	}
	h.replays(c)
}

func TestAMajorDiscrepancyIsDecidedByAThirdReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	h.stands(c, Adjudication)
	h.refused(fault.Conflict, h.anna, c, "reveal", Input{})
	h.refused(fault.Forbidden, h.anna, c, "sign", Input{})
	h.refused(fault.BusinessRule, as(h.carl, access.Adjudicator), c, "sign", Input{})
	h.refused(fault.BusinessRule, as(h.anna, access.Adjudicator), c, "claim", Input{Independent: true})
	h.refused(fault.BusinessRule, as(h.ben, access.Adjudicator), c, "claim", Input{Independent: true})
	h.fire(as(h.carl, access.Adjudicator), c, "claim", Input{Independent: true})
	h.fire(as(h.carl, access.Adjudicator), c, "adjudicate", Input{Grade: &agreement})
	h.fire(h.coordinator, c, "release", Input{Reason: "by mistake"})
	h.refused(fault.BusinessRule, as(h.carl, access.Adjudicator), c, "sign", Input{})
	h.refused(fault.BusinessRule, as(h.carl, access.Adjudicator), c, "adjudicate", Input{Grade: &minorMiss}) // who has not claimed it has seen nothing
	h.fire(as(h.carl, access.Adjudicator), c, "claim", Input{Independent: true})
	h.fire(as(h.carl, access.Adjudicator), c, "adjudicate", Input{Grade: &minorMiss})
	report := h.fire(as(h.carl, access.Adjudicator), c, "sign", Input{}).Report
	if report.Level != LevelMinor || report.Difference != minorMiss.Difference || *report.AdjudicatorID != h.carl.ID || report.ReaderID != h.anna.ID {
		t.Errorf("the adjudicator's grade decides: %+v", report)
	}
	h.replays(c)
}

func TestAMinorDiscrepancyNeedsNoThirdReaderByDefault(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &minorMiss})
	if r := h.fire(h.anna, c, "sign", Input{}).Report; r.Level != LevelMinor || r.Difference == "" {
		t.Errorf("%+v", r)
	}
}

func TestWithoutAnOriginalThereIsNothingToGrade(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open(func(f *Facts) { f.OriginalReferenced, f.Original = false, nil })
	h.tick()
	h.comparing(h.anna, c)
	h.refused(fault.BusinessRule, h.anna, c, "grade", Input{Grade: &agreement})
	if r := h.fire(h.anna, c, "sign", Input{}).Report; r.Level != LevelNoComparison {
		t.Errorf("%+v", r)
	}
}

func TestATraineesReportIsSignedByASupervisor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.trainee, c)
	h.fire(h.trainee, c, "grade", Input{Grade: &agreement})
	h.refused(fault.BusinessRule, h.trainee, c, "revise", Input{Opinion: &opinion})
	h.fire(h.trainee, c, "sign", Input{})
	h.stands(c, AwaitingCosign)
	h.refused(fault.BusinessRule, as(h.ben, access.Supervisor), c, "sign", Input{})
	if diff := cmp.Diff([]string{"first"}, h.readings(as(h.carl, access.Supervisor), c)); diff != "" {
		t.Error("a supervisor sees what waits for their signature:", diff)
	}
	if seen := h.readings(as(h.ben, access.Supervisor), c); seen != nil {
		t.Errorf("who may not supervise sees %v", seen)
	}
	h.fire(as(h.carl, access.Supervisor), c, "return", Input{Reason: "say more"})
	h.fire(h.trainee, c, "revise", Input{Opinion: &Opinion{Recommendation: "CT."}})
	h.refused(fault.Forbidden, h.ben, c, "revise", Input{Opinion: &opinion})
	h.fire(h.trainee, c, "sign", Input{})
	changed := &Opinion{Impression: "Nodule, 9 mm."}
	if got := h.refused(fault.BusinessRule, as(h.carl, access.Supervisor), c, "sign", Input{Opinion: changed}); !strings.Contains(got, "discrepancy") || !strings.Contains(got, "gradeStands") {
		t.Error("the refusal does not say what to give:", got)
	}
	h.refused(fault.BusinessRule, as(h.carl, access.Supervisor), c, "sign", Input{Opinion: changed, Grade: &minorMiss, GradeStands: true})
	h.refused(fault.BusinessRule, as(h.carl, access.Supervisor), c, "sign", Input{Opinion: changed, Grade: &majorMiss}) // which a third reader decides
	report := h.fire(as(h.carl, access.Supervisor), c, "sign", Input{Opinion: changed, Grade: &minorMiss}).Report
	if report.Level != LevelMinor || report.Difference != minorMiss.Difference || report.GradeNo != 2 {
		t.Errorf("the supervisor's grade is not in force: %+v", report)
	}
	want := Opinion{Findings: opinion.Findings, Impression: "Nodule, 9 mm.", Recommendation: "CT."}
	if diff := cmp.Diff(want, report.Opinion); diff != "" || !slices.Equal(report.Cosigned, []string{"impression"}) {
		t.Errorf("%s %v", diff, report.Cosigned)
	}
	var kept []string
	for _, o := range h.sealed(c) {
		kept = append(kept, string(o.Part)+" "+o.Content.Impression+o.Content.Recommendation)
	}
	if diff := cmp.Diff([]string{"first Nodule.", "revision Nodule.CT.", "cosign Nodule, 9 mm.CT."}, kept); diff != "" {
		t.Error("every text is kept:", diff)
	}
	h.replays(c)
	if *report.SupervisorID != h.carl.ID || report.SignedBy != h.carl.ID || report.ReaderID != h.trainee.ID {
		t.Errorf("%+v", report)
	}
	h.refused(fault.Forbidden, h.trainee, c, "amend", Input{Reason: "more"})
	h.fire(as(h.carl, access.Supervisor), c, "amend", Input{Reason: "more"})
}

func TestWhatIsRevisedIsGradedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.trainee, c)
	h.fire(h.trainee, c, "grade", Input{Grade: &agreement})
	h.fire(h.trainee, c, "sign", Input{})
	h.fire(as(h.carl, access.Supervisor), c, "return", Input{Reason: "it is more"})
	h.fire(h.trainee, c, "revise", Input{Opinion: &Opinion{Impression: "Nodule, 9 mm."}})
	h.refused(fault.BusinessRule, h.trainee, c, "sign", Input{})
	h.fire(h.trainee, c, "grade", Input{Grade: &minorMiss})
	h.fire(h.trainee, c, "revise", Input{Opinion: &Opinion{Recommendation: "CT."}})
	h.fire(h.trainee, c, "sign", Input{})
	if report := h.fire(as(h.carl, access.Supervisor), c, "sign", Input{Opinion: &Opinion{Findings: "A nodule of 9 mm."}, GradeStands: true}).Report; report.Level != LevelMinor || report.GradeNo != 2 {
		t.Errorf("%+v", report)
	}
	h.replays(c)
}

func TestALicenceThatHasExpiredSignsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.exec(`UPDATE reader SET credential = credential || '{"validTo": "2020-01-01"}' WHERE reader_id = $1`, h.anna.ID)
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{})
	h.fire(h.coordinator, c, "release", Input{Reason: "the credential has expired"})
	h.stands(c, Ready)
}

// Whoever must act next may have left the house.
func TestTheCoordinatorUnblocksWhatAPersonWhoIsGoneHolds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.trainee, c)
	h.fire(h.trainee, c, "grade", Input{Grade: &agreement})
	h.fire(h.trainee, c, "sign", Input{})
	h.stands(c, AwaitingCosign)
	h.refused(fault.BusinessRule, h.coordinator, c, "release", Input{})
	h.fire(h.coordinator, c, "release", Input{Reason: "no supervisor is left"})
	h.stands(c, Ready)
	h.refused(fault.BusinessRule, h.trainee, c, "claim", Input{Independent: true})

	h.signed(c)
	h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})
	h.fire(h.coordinator, c, "withdraw-amendment", Input{Reason: "nothing to change"})
	h.stands(c, Final)
	h.replays(c)
}

func TestARefusalSaysWhatIsPossible(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	got := h.refused(fault.Conflict, h.anna, c, "sign", Input{})
	want := "conflict: a case that is ready does not take the event sign; possible now: claim, communicate, heed, raise-finding, withdraw-finding"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	h.refused(fault.Forbidden, h.placer, c, "claim", Input{Independent: true})
	h.refused(fault.BusinessRule, h.anna, c, "claim", Input{})
	h.refused(fault.NotFound, h.anna, Case{CaseID: uuid.New()}, "claim", Input{})
	h.refused(fault.Forbidden, as(h.placer, access.Reader), c, "claim", Input{Independent: true})
}

func TestTheOriginalReaderMayNotReadAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open(func(f *Facts) { f.First.Readers = []string{"Practitioner/" + h.anna.ID.String()} })
	h.tick()
	if why := h.refused(fault.BusinessRule, h.anna, c, "claim", Input{Independent: true}); !strings.Contains(why, "is the original reader") {
		t.Error(why)
	}
	h.fire(h.ben, c, "claim", Input{Independent: true})
}

func TestOfTwoReadersWhoClaimAtOnceOneWins(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i, who := range []access.Actor{h.anna, h.ben} {
		both.Go(func() {
			_, errs[i] = h.engine.Fire(context.Background(), who, c.CaseID, "claim", Input{Independent: true})
		})
	}
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatal(errs)
	}
	for _, err := range errs {
		if err != nil && !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
	}
}

func TestTheSameOrderFrom32ClientsIsOneCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	ctx := context.Background()
	var all sync.WaitGroup
	var mu sync.Mutex
	ids, opened := map[uuid.UUID]bool{}, 0
	h.engine.Use(Hooks{Facts: nil, Publish: func(context.Context, pgx.Tx, Change) error { return nil }})
	for range 32 {
		all.Go(func() {
			err := h.db.Tenant(ctx, h.tenant, func(tx pgx.Tx) error {
				c, isNew, err := h.engine.OpenTx(ctx, tx, h.placer, Order{PlacerSystem: "urn:north", PlacerValue: "1", ServiceRequestRef: "x", TaskID: uuid.NewString()})
				mu.Lock()
				defer mu.Unlock()
				ids[c.CaseID] = true
				if isNew {
					opened++
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(ids) != 1 || opened != 1 {
		t.Errorf("%d cases, opened %d times", len(ids), opened)
	}
}

func TestATaskCoordinatesOneOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open()
	ctx := context.Background()
	err := h.db.Tenant(ctx, h.tenant, func(tx pgx.Tx) error {
		_, _, err := h.engine.OpenTx(ctx, tx, h.placer, Order{PlacerSystem: "urn:north", PlacerValue: "other", ServiceRequestRef: "x", TaskID: c.TaskID})
		return err
	})
	if !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
}

func TestAReleasedCaseBelongsToAnotherReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.coordinator, c, "release", Input{Reason: "ill"})
	if c := h.stands(c, Ready); c.ReaderID != nil || c.RevealedAt != nil || c.LockedAt != nil {
		t.Errorf("%+v", c)
	}
	h.refused(fault.BusinessRule, h.anna, c, "claim", Input{Independent: true})
	h.comparing(h.ben, c)
	h.refused(fault.BusinessRule, h.ben, c, "sign", Input{}) // Anna's grade does not count
	h.fire(h.ben, c, "grade", Input{Grade: &agreement})
	if r := h.fire(h.ben, c, "sign", Input{}).Report; r.ReaderID != h.ben.ID {
		t.Errorf("%+v", r)
	}
}

func TestEveryEventIsPublishedWithWhatItChanged(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	var got []string
	for _, ch := range h.heard {
		got = append(got, string(ch.Before)+" "+string(ch.Event)+" "+string(ch.Case.State))
	}
	want := []string{" open received", "received pass-checks ready", "ready claim accepted"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// replays: the history alone must lead to the state of the row, by rows of the
// table.
func (h *house) replays(c Case) {
	h.Helper()
	c = h.find(c)
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		history, err := HistoryTx(ctx, tx, c.CaseID)
		if err != nil {
			return err
		}
		var state, resume State
		for i, r := range history {
			if r.Seq != int64(i+1) {
				h.Errorf("event %d has seq %d", i+1, r.Seq)
			}
			if i == 0 {
				state = r.ToState
				continue
			}
			if *r.FromState != state || !allowed(r, resume) {
				h.Errorf("event %d: %s from %s to %s while %s", r.Seq, r.Event, *r.FromState, r.ToState, state)
			}
			switch {
			case r.ToState == OnHold && r.Event == "restart-reading": // while the placer holds it besides
				resume = Received
			case r.ToState == OnHold && state != OnHold:
				resume = resumes(state)
			}
			state = r.ToState
		}
		if state != c.State || int64(len(history)) != c.Version {
			h.Errorf("the history of %d events leads to %s; the row is %s at version %d", len(history), state, c.State, c.Version)
		}
		return nil
	})
}

func resumes(s State) State {
	switch s {
	case Offered:
		return Ready
	case IntakeReview, AwaitingInformation, AwaitingImages:
		return Received
	}
	return s
}

func allowed(r Record, resume State) bool {
	for _, row := range Transitions {
		if row.Event != r.Event || !slices.Contains(row.From, *r.FromState) || !slices.Contains(row.By, access.Role(r.ActorRole)) {
			continue
		}
		to := row.To
		switch to {
		case Same:
			to = *r.FromState
		case Resumed:
			to = resume
		}
		if to == r.ToState {
			return true
		}
	}
	return false
}
