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

func TestAnAmendmentIsANewVersionAndIsAcknowledgedAnew(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	first := h.signed(c)
	h.fire(h.placer, c, "acknowledge", Input{})
	h.refused(fault.Forbidden, h.ben, c, "amend", Input{Reason: "typo"})
	h.fire(h.anna, c, "amend", Input{Reason: "typo"})
	h.fire(h.anna, c, "withdraw-amendment", Input{Reason: "nothing to change"})
	h.stands(c, Closed)
	h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})

	mended := opinion
	mended.Impression = "Stable nodule."
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{})
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{Opinion: &mended, Amendment: &Amendment{Kind: "addition", Reason: "r", Text: "t"}})
	if why := h.refused(fault.BusinessRule, h.anna, c, "sign", Input{Opinion: &mended, Amendment: &Amendment{Kind: "correction", Reason: "a prior came", Text: "Stable."}}); !strings.Contains(why, "gradeStands") {
		t.Error(why)
	}
	second := h.fire(h.anna, c, "sign", Input{Opinion: &mended, GradeStands: true, Amendment: &Amendment{Kind: "correction", Reason: "a prior came", Text: "Stable."}}).Report
	if second.No != 2 || second.Status != "corrected" || second.Opinion.Impression != mended.Impression || second.OpinionSHA256 == first.OpinionSHA256 {
		t.Errorf("%+v", second)
	}
	if c := h.stands(c, Final); c.ClosedAt != nil {
		t.Error("a new version waits to be acknowledged")
	}
	h.fire(h.anna, c, "amend", Input{Reason: "answer"})
	third := h.fire(h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "addition", Reason: "asked", Text: "Yes."}}).Report
	if third.No != 3 || third.Status != "appended" || third.OpinionSHA256 != second.OpinionSHA256 {
		t.Errorf("%+v", third)
	}
	var kept []Report
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		kept, err = ReportsTx(ctx, tx, c.CaseID)
		return err
	})
	if diff := cmp.Diff([]Report{*first, *second, *third}, kept); diff != "" {
		t.Error(diff)
	}
	h.replays(c)
}

func TestACorrectionKeepsWhatItDoesNotNameAndMayGradeAnew(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	first := h.signed(c)
	h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})
	wrong := Grade{Discrepancies: []Discrepancy{{Finding: "nodule", Significance: "unimportant", Nature: "detection", Management: "treatment"}}, Difference: "A nodule."}
	correction := &Amendment{Kind: "correction", Reason: "a prior came", Text: "There is a nodule."}
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{Amendment: correction, Grade: &wrong})
	second := h.fire(h.anna, c, "sign", Input{Amendment: correction, Grade: &majorMiss,
		Opinion: &Opinion{Impression: "A nodule.", Actionable: "urgent"}}).Report

	want := first.Opinion
	want.Impression, want.Actionable = "A nodule.", "urgent"
	if diff := cmp.Diff(want, second.Opinion); diff != "" {
		t.Error(diff)
	}
	if second.Level != LevelMajor || second.Difference != majorMiss.Difference || second.GradeNo != first.GradeNo+1 || second.Actionable != "urgent" {
		t.Errorf("%+v", second)
	}
	h.replays(c)
}

func TestASupervisorAmendsForASignatoryWhoIsGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.signed(c)
	carl := as(h.carl, access.Supervisor)
	h.refused(fault.Forbidden, carl, c, "amend", Input{Reason: "a prior came"})
	h.exec(`UPDATE reader SET active = false WHERE reader_id = $1`, h.anna.ID)
	h.fire(carl, c, "amend", Input{Reason: "a prior came"})
	report := h.fire(carl, c, "sign", Input{Opinion: &Opinion{Impression: "Stable."}, GradeStands: true, Amendment: &Amendment{Kind: "correction", Reason: "a prior came", Text: "Stable."}}).Report
	if report.SignedBy != h.carl.ID || *report.SupervisorID != h.carl.ID || report.ReaderID != h.anna.ID || report.Opinion.Impression != "Stable." {
		t.Errorf("%+v", report)
	}
}

func TestASignedReportIsAnErrorOnlyByTwoDirectors(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.signed(c)
	h.fire(h.director, c, "declare-error", Input{Reason: "wrong patient"})
	h.stands(c, Final)
	h.refused(fault.BusinessRule, h.director, c, "declare-error", Input{Reason: "wrong patient"})
	report := h.fire(h.director2, c, "declare-error", Input{Reason: "wrong patient"}).Report
	if report.No != 2 || report.Status != "entered-in-error" {
		t.Errorf("the EHR must learn it: %+v", report)
	}
	if c := h.stands(c, EnteredInError); *c.ReportStatus != "entered-in-error" {
		t.Error(*c.ReportStatus)
	}
}
