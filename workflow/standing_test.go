package workflow

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// standing is how a case stands as of a moment.
func (h *house) standing(c Case, at time.Time) (s Standing) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		all, err := StandingsTx(ctx, tx, at)
		i := slices.IndexFunc(all, func(s Standing) bool { return s.CaseID == c.CaseID })
		if err == nil && i >= 0 {
			s = all[i]
		}
		return err
	})
	return s
}

// now is the database's clock, between what was done and what will be.
func (h *house) moment() (at time.Time) {
	h.Helper()
	time.Sleep(2 * time.Millisecond) // events are told apart by their times
	at = time.Now()
	time.Sleep(2 * time.Millisecond)
	return at
}

func TestAStandingIsThatOfItsDate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	carl := as(h.carl, access.Adjudicator)
	var when []time.Time
	mark := func() { when = append(when, h.moment()) }
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	mark()
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(carl, c, "adjudicate", Input{Grade: &minorMiss})
	h.fire(carl, c, "sign", Input{})
	mark()
	h.fire(h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "work-up"}})
	h.fire(h.placer, c, "outcome", Input{Truth: &Truth{Right: "second", Source: "pathology", FoundOn: "2026-01-02"}})
	mark()
	h.fire(carl, c, "amend", Input{Reason: "a prior came"})
	h.fire(carl, c, "sign", Input{Amendment: &Amendment{Kind: "correction", Reason: "a prior", Text: "Compared."}, Grade: &agreement})
	h.fire(h.placer, c, "outcome", Input{Truth: &Truth{Right: "first", Source: "surgery", FoundOn: "2026-02-02"}})
	mark()
	h.fire(h.director, c, "declare-error", Input{Reason: "wrong patient"})
	h.fire(h.director2, c, "declare-error", Input{Reason: "wrong patient"})
	mark()
	var got []string
	for _, at := range when {
		s := h.standing(c, at)
		level, role := Level(""), ""
		if s.Grade != nil {
			level, role = s.Grade.Level, s.Grade.Role
		}
		got = append(got, fmt.Sprintf("%s|%s|%s|%s|%s", s.Excluded, level, role, s.Clinician, s.Right))
	}
	want := []string{"not-final||||", "|minor|adjudicator||", "|minor|adjudicator|work-up|second", "|none|adjudicator|work-up|first", "entered-in-error|none|adjudicator|work-up|first"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := h.standing(c, c.OpenedAt.Add(-time.Second)); s.CaseID != uuid.Nil {
		t.Error("it stood before it was opened")
	}
}

func TestAnAdjudicatedGradeBeatsTheReaders(t *testing.T) {
	now := time.Now()
	at := func(no int, role string, minutes int) GivenGrade {
		return GivenGrade{GradeNo: no, Role: role, GradedAt: now.Add(time.Duration(minutes) * time.Minute)}
	}
	grades := []GivenGrade{at(1, "reader", 0), at(2, "adjudicator", 10), at(3, "reader", 20), at(4, "adjudicator", 30)}
	for minutes, want := range map[int]int{-1: 0, 0: 1, 5: 1, 10: 2, 25: 2, 30: 4, 99: 4} {
		g, ok := InForce(grades, now.Add(time.Duration(minutes)*time.Minute))
		if g.GradeNo != want || ok != (want > 0) {
			t.Errorf("after %d minutes grade %d is in force, want %d", minutes, g.GradeNo, want)
		}
	}
}

func TestOnlyTheJudgementOfAStudyThatCountsIsInTheDenominator(t *testing.T) {
	now := time.Now()
	s := func(study, excluded string, adjudicated bool, minutes int) Standing {
		return Standing{Study: study, Excluded: excluded, adjudicated: adjudicated, lastGradedOrEnd: now.Add(time.Duration(minutes) * time.Minute)}
	}
	all := []Standing{s("a", "", false, 1), s("a", "", false, 2), s("b", "", true, 1), s("b", "", false, 9), s("c", ExcludedNoComparison, true, 9), s("c", "", false, 1), s("", "", false, 1), s("", "", false, 1)}
	onePerStudy(all)
	var got []string
	for _, s := range all {
		got = append(got, s.Excluded)
	}
	want := []string{ExcludedSameStudy, "", "", ExcludedSameStudy, ExcludedNoComparison, "", "", ""}
	if diff := cmp.Diff(want, got); diff != "" || len(Counted(all)) != 5 {
		t.Error(diff)
	}
}
