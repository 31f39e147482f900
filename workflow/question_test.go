package workflow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

func TestAQuestionIsAnsweredByAnAddendum(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	ask := Input{Question: &Asked{Text: "Which segment?", Person: "Dr Jones"}}
	h.refused(fault.Conflict, h.placer, c, "ask", ask) // there is nothing to ask about yet
	first := h.signed(c)
	h.fire(h.placer, c, "acknowledge", Input{})
	h.fire(h.placer, c, "ask", ask)
	h.stands(c, Closed)
	h.refused(fault.BusinessRule, h.placer, c, "ask", ask) // is on record
	h.refused(fault.Forbidden, h.ben, c, "answer", Input{Answer: "S3."})
	h.refused(fault.BusinessRule, h.anna, c, "answer", Input{})
	r := h.fire(h.anna, c, "answer", Input{Answer: "S3."}).Report
	if r.Status != "appended" || r.Amendment.Reason != "question of Dr Jones" || r.Amendment.Text != "Question: Which segment?\nAnswer: S3." || r.OpinionSHA256 != first.OpinionSHA256 {
		t.Errorf("%+v", r)
	}
	if c := h.stands(c, Final); c.ClosedAt != nil {
		t.Error("the answer waits to be read")
	}
	if m := h.matters(c)[0]; m.Open() || *m.Settlement != "answered" || *m.ReportNo != 2 || m.Closing.Text != "S3." {
		t.Errorf("%+v", m)
	}
	h.refused(fault.BusinessRule, h.anna, c, "answer", Input{Answer: "S4."})
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "Is S4 free?", Follows: 1}})
	h.fire(h.anna, c, "answer", Input{Answer: "Yes."})
	h.replays(c)
}

// What is open on a signed case stands before who signed it, until it is settled, and
// before nobody else.
func TestWhatIsOpenOnASignedCaseIsOnTheWorklistOfWhoSigned(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"clocks": {"routine": {"question": "10h"}}}`)
	listed := func(who access.Actor) (owed []Owed, due *time.Time) {
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			items, err := WorklistTx(ctx, tx, who, 10)
			for _, item := range items {
				owed, due = append(owed, item.Owed), item.Due
			}
			return err
		})
		return owed, due
	}
	c := h.ready()
	h.signed(c)
	if owed, _ := listed(h.anna); owed != nil {
		t.Errorf("nothing is open: %v", owed)
	}
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "Which segment?"}})
	owed, due := listed(h.anna)
	if len(owed) != 1 || owed[0] != OwesAnswer || due == nil || !due.Equal(h.matters(c)[0].DueAt) {
		t.Errorf("the question: %v, due %v", owed, due)
	}
	for _, other := range []access.Actor{h.ben, as(h.anna, access.Supervisor)} {
		if owed, _ := listed(other); owed != nil {
			t.Errorf("%s has it too: %v", other.Role, owed)
		}
	}
	h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "emergent", Text: "Free air."}})
	if owed, _ := listed(h.anna); len(owed) != 1 || owed[0] != OwesCall {
		t.Errorf("the finding is due before the question: %v", owed)
	}
	h.fire(h.placer, c, "acknowledge-finding", Input{})
	h.fire(h.anna, c, "answer", Input{Answer: "S3."})
	if owed, _ := listed(h.anna); owed != nil {
		t.Errorf("it is answered: %v", owed)
	}
}

func TestAQuestionEscalatesToWhoSigned(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"clocks": {"routine": {"question": "10h"}}}`)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	h.fire(as(h.carl, access.Adjudicator), c, "claim", Input{Independent: true})
	h.fire(as(h.carl, access.Adjudicator), c, "adjudicate", Input{Grade: &minorMiss})
	h.fire(as(h.carl, access.Adjudicator), c, "sign", Input{})
	h.fire(h.placer, c, "acknowledge", Input{})
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "Which segment?"}})
	h.pass(6 * time.Hour)
	if len(h.pages(as(h.carl, access.Adjudicator))) != 1 || len(h.pages(h.anna)) != 0 {
		t.Error("who signed answers")
	}
	h.fire(h.placer, c, "withdraw-question", Input{Reason: "found it"})
	h.pass(100 * time.Hour)
	h.wasTold(c, "reader")
	h.fire(h.placer, c, "ask", Input{Question: &Asked{Text: "Which segment?"}}) // after all
	h.replays(c)
}

func TestAStudyThatGrowsAfterTheSignatureIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.signed(c)
	h.fire(h.placer, c, "acknowledge", Input{})
	changed := func(images int, replaced bool) {
		t.Helper()
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			return h.engine.StudyChangedTx(ctx, tx, h.tenant, "", h.facts[c.PlacerValue].Study.UID, images, replaced)
		})
	}
	read := h.find(c).Exam.imagesRead()
	if read == 0 {
		t.Fatal("the case does not know how many images were read")
	}
	changed(read, false)
	if len(h.matters(c)) != 0 {
		t.Error("nothing has changed")
	}
	for range 2 { // the same news twice
		changed(read+2, false)
	}
	changed(read+3, false)
	m := h.matters(c)
	if len(m) != 1 || !m[0].Open() || m[0].Content.Images != read+3 || m[0].Content.ImagesThen != read {
		t.Fatalf("%+v", m)
	}
	h.stands(c, Closed)
	h.refused(fault.Forbidden, h.ben, c, "verify", Input{})
	r := h.fire(h.anna, c, "verify", Input{Reason: "Repeated series only."}).Report
	if r.Status != "appended" || !strings.Contains(r.Amendment.Text, "the report stands as it is. Repeated series only.") {
		t.Errorf("%+v", r.Amendment)
	}
	h.stands(c, Final)

	changed(read+3, true)
	h.fire(h.anna, c, "amend", Input{Reason: "images replaced"})
	h.fire(h.anna, c, "sign", Input{Opinion: &Opinion{Impression: "Two nodules."}, GradeStands: true, Amendment: &Amendment{Kind: "correction", Reason: "images replaced", Text: "A second nodule.", Verifies: true}})
	if m := h.matters(c); len(m) != 2 || *m[1].Settlement != "amended" || *m[1].ReportNo != 3 {
		t.Errorf("%+v", m)
	}
	h.fire(h.anna, c, "amend", Input{Reason: "typo"})
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "addition", Reason: "r", Text: "t", Verifies: true}})
	h.fire(h.anna, c, "withdraw-amendment", Input{Reason: "nothing to change"})

	changed(read+9, false)
	h.fire(h.coordinator, c, "dismiss-verification", Input{Reason: "presentation states"})
	h.replays(c)
}

func TestAReportWhoseOrderNamesAnotherSideNowIsVerified(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open(func(f *Facts) { f.Exam.Ordered = &OrderedSite{Side: "left"} })
	h.tick()
	h.signed(c)
	order := func(side string) {
		h.facts[c.PlacerValue].Exam.Ordered = &OrderedSite{Side: side}
		h.in(func(ctx context.Context, tx pgx.Tx) error { return h.engine.RecheckTx(ctx, tx, h.tenant, c.CaseID) })
	}
	order("left")
	if m := h.matters(c); m != nil {
		t.Errorf("nothing changed, and there is %+v", m)
	}
	order("right")
	order("right")
	if m := h.matters(c); len(m) != 1 || m[0].Kind != VerificationMatter || m[0].Content.Words() != orderedWords {
		t.Fatalf("%+v", m)
	}
	r := h.fire(h.anna, c, "verify", Input{}).Report
	if a := r.Amendment; a.Reason != "the order was corrected after the signature" || !strings.HasSuffix(a.Text, "names another exam, or another part or side of the body now. This was looked at, and the report stands as it is.") {
		t.Errorf("%+v", a)
	}
	order("left") // and back
	if m := h.matters(c); len(m) != 2 || !m[1].Open() {
		t.Errorf("%+v", m)
	}
	h.replays(c)
}
