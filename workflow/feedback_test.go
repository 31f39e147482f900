package workflow

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

func (h *house) feedback(reader access.Actor) (list []Feedback) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		list, err = FeedbackForTx(ctx, tx, reader.ID, Place{}, 10)
		return err
	})
	return list
}

func (h *house) answer(reader access.Actor, id uuid.UUID, agrees bool, text string) error {
	return h.db.Tenant(context.Background(), h.tenant, func(tx pgx.Tx) error {
		_, err := h.engine.AnswerFeedbackTx(context.Background(), tx, reader.ID, id, agrees, text)
		return err
	})
}

func TestTheOriginalReaderIsToldWhatThePolicySaysAndMayAnswerOnce(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]FeedbackMode{``: "", `, "feedback": "off"`: "", `, "feedback": "difference"`: FeedbackDifference, `, "feedback": "peer-learning"`: FeedbackLearning} {
		h := newHouse(t, `{"assignment": "pool"`+policy+`}`)
		olga := h.firstRead()
		c := h.open(byOlga)
		h.tick()
		h.signed(c)
		got := h.feedback(olga)
		if want == "" && len(got) != 0 || want != "" && (len(got) != 1 || got[0].Kind != want || got[0].CaseID != c.CaseID) {
			t.Fatalf("%s: %+v", policy, got)
		}
		if len(h.feedback(h.anna))+len(h.feedback(h.ben)) != 0 {
			t.Errorf("%s: somebody else is told", policy)
		}
		if want != FeedbackLearning {
			continue
		}
		if err := h.answer(h.anna, got[0].ID, false, "not mine"); !fault.Is(err, fault.NotFound) {
			t.Errorf("somebody else answers: %v", err)
		}
		if err := h.answer(olga, got[0].ID, false, "It is a vessel."); err != nil {
			t.Fatal(err)
		}
		if err := h.answer(olga, got[0].ID, true, "On second thoughts"); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second answer: %v", err)
		}
		quality := qualityOf(h)
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			open, err := OpenReviewsTx(ctx, tx, 10)
			if err != nil || len(open) != 1 || open[0].Reason != OriginalReaderDisagrees || open[0].TaskID != c.TaskID {
				t.Errorf("%+v %v", open, err)
			}
			return nil
		})
		h.refused(fault.BusinessRule, quality, c, "open-review", Input{Reason: "again"})
		h.refused(fault.BusinessRule, quality, c, "close-review", Input{Conclusion: &Conclusion{Code: "whatever"}})
		h.fire(quality, c, "close-review", Input{Conclusion: &Conclusion{Code: "stands", Note: "It is none."}})
		h.refused(fault.BusinessRule, quality, c, "close-review", Input{Conclusion: &Conclusion{Code: "stands"}})
		h.fire(quality, c, "open-review", Input{Reason: "for the meeting"})
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			reviews, err := ReviewsTx(ctx, tx, c.CaseID)
			if err != nil || len(reviews) != 2 || reviews[0].OpenedBy != nil || *reviews[0].Conclusion != "stands" || *reviews[1].OpenedBy != quality.ID {
				t.Errorf("%+v %v", reviews, err)
			}
			return nil
		})
		h.replays(c)
	}
}

func TestNobodyIsToldWhileTheyReadAnotherCaseOfThePatientBlind(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "feedback": "difference"}`)
	olga := h.firstRead()
	c := h.open(byOlga)
	h.tick()
	h.signed(c)
	id := h.feedback(olga)[0].ID
	another := h.ready() // the same patient, another study
	h.fire(h.coordinator, another, "offer", Input{ReaderID: &olga.ID})
	told := func() bool { return len(h.feedback(olga)) == 1 }
	if told() {
		t.Error("told while a case of the patient is offered to them")
	}
	h.fire(olga, another, "claim", Input{Independent: true})
	if err := h.answer(olga, id, true, ""); told() || !fault.Is(err, fault.NotFound) {
		t.Errorf("told while they read: %v", err)
	}
	h.fire(olga, another, "lock", Input{Opinion: &opinion})
	if told() {
		t.Error("told before the original is revealed to them")
	}
	h.fire(olga, another, "reveal", Input{})
	if !told() {
		t.Error("not told after the reveal")
	}
}

func TestFeedbackFollowsTheVersionsOfTheReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "feedback": "difference"}`)
	olga := h.firstRead()
	c := h.open(byOlga)
	h.tick()
	h.signed(c)
	amend := func() {
		h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})
		h.fire(h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "amendment", Reason: "a prior", Text: "Compared."}, Grade: &minorMiss})
	}
	amend()
	if got := h.feedback(olga); len(got) != 1 || got[0].ReportNo != 2 {
		t.Errorf("what nobody has opened stays: %+v", got)
	}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return h.engine.OpenFeedbackTx(ctx, tx, []uuid.UUID{h.feedback(olga)[0].ID})
	})
	amend()
	if got := h.feedback(olga); len(got) != 2 {
		t.Errorf("what was opened goes: %+v", got)
	}
	h.fire(h.director, c, "declare-error", Input{Reason: "wrong patient"})
	h.fire(h.director2, c, "declare-error", Input{Reason: "wrong patient"})
	if got := h.feedback(olga); len(got) != 0 {
		t.Errorf("told of an error: %+v", got)
	}
}
