package workflow

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

func TestADraftIsSavedAsVersionsAndIsNoEventOfTheCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "start", Input{})
	before, heard := h.find(c), len(h.heard)
	save := func(text string, follows int) *Draft {
		t.Helper()
		return h.fire(h.anna, c, "draft", Input{Opinion: &Opinion{Findings: text}, DraftNo: &follows}).Draft
	}
	if d := save("A", 0); d.DraftNo != 1 || d.Part != PartFirst {
		t.Errorf("%+v", d)
	}
	if d := save("A", 1); d.DraftNo != 1 {
		t.Errorf("the same again is version %d", d.DraftNo)
	}
	if d := save("A nodule", 1); d.DraftNo != 2 {
		t.Errorf("%+v", d)
	}
	if after := h.find(c); after.Version != before.Version || len(h.heard) != heard {
		t.Error("saving a draft is told to the outside")
	}
	stale := Input{Opinion: &Opinion{Findings: "A, from another window"}, DraftNo: new(1)}
	for _, event := range []Event{"draft", "lock"} {
		if why := h.refused(fault.Conflict, h.anna, c, event, stale); !strings.Contains(why, "follows draft 1, and the latest is 2") || !strings.Contains(why, "follows = 2") {
			t.Error(why)
		}
		h.refused(fault.Conflict, h.anna, c, event, Input{Opinion: stale.Opinion})
	}
	h.refused(fault.Forbidden, h.ben, c, "draft", Input{Opinion: &opinion})
	h.refused(fault.BusinessRule, h.anna, c, "draft", Input{Opinion: &Opinion{Findings: strings.Repeat("x", longestDraft)}, DraftNo: new(2)})

	h.in(func(ctx context.Context, tx pgx.Tx) error {
		mine, err := DraftsTx(ctx, tx, c.CaseID, h.anna.ID)
		if err != nil || len(mine) != 2 || mine[0].DraftNo != 2 || mine[0].Content.Findings != "" {
			t.Errorf("%+v %v", mine, err)
		}
		first, err := DraftTx(ctx, tx, c.CaseID, h.anna.ID, mine[1].OpinionNo, 1)
		if err != nil || first.Content.Findings != "A" || first.SHA256 != mine[1].SHA256 {
			t.Errorf("%+v %v", first, err)
		}
		if others, err := DraftsTx(ctx, tx, c.CaseID, h.ben.ID); err != nil || len(others) != 0 {
			t.Errorf("a draft is nobody else's to see: %+v %v", others, err)
		}
		if _, err := DraftTx(ctx, tx, c.CaseID, h.ben.ID, mine[0].OpinionNo, 1); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		return nil
	})
	h.exec(`INSERT INTO opinion_draft SELECT tenant_id, case_id, opinion_no, i, saved_at, content, content_sha256
		FROM opinion_draft, generate_series(3, 2400) i WHERE draft_no = 2`)
	h.refused(fault.BusinessRule, h.anna, c, "draft", Input{Opinion: &opinion, DraftNo: new(2400)})
	h.fire(h.anna, c, "release", Input{Reason: "called away"})
	if diff := cmp.Diff([]string{"first"}, h.readings(h.anna, c)); diff != "" {
		t.Error("a partial read is kept, and its author's:", diff)
	}
	if seen := h.readings(access.Actor{Tenant: h.tenant, ID: h.ben.ID, Role: access.Reader}, c); seen != nil {
		t.Errorf("another reader sees %v", seen)
	}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ReadingsTx(ctx, tx, h.coordinator, h.find(c))
		if !fault.Is(err, fault.Forbidden) {
			t.Error(err)
		}
		return nil
	})
}

// A case that is put on hold while a third reader has it is theirs to write, not its reader's.
func TestOnHoldTheOneWritesWhoseTurnItWas(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "blindAdjudication": true}`)
	carl := as(h.carl, access.Adjudicator)
	c := h.ready()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(h.placer, c, "hold", Input{})
	h.refused(fault.BusinessRule, h.anna, c, "draft", Input{Opinion: &opinion})
	h.fire(carl, c, "draft", Input{Opinion: &alarming})
	h.refused(fault.BusinessRule, h.anna, c, "draft", Input{Opinion: &opinion})
	h.fire(h.placer, c, "resume", Input{})
	h.tick()
	no := 1
	h.fire(carl, c, "lock", Input{DraftNo: &no, Opinion: &alarming})
	h.fire(carl, c, "adjudicate", Input{Decision: "own", Grade: &minorMiss})
	h.fire(carl, c, "sign", Input{})
	if all := h.sealed(c); len(all) != 2 || all[1].Part != PartAdjudication {
		t.Errorf("%+v", all)
	}
	h.replays(c)
}
