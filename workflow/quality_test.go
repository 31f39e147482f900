package workflow

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

func qualityOf(h *house) access.Actor {
	_, a := pgtest.AddToken(h, h.db, h.tenant, access.Quality)
	return a
}

// firstRead credentials the reader of the original of wholeFacts.
func (h *house) firstRead() access.Actor {
	h.Helper()
	_, a := pgtest.AddReader(h, h.db, h.tenant, "Olga", []byte(`{"subspecialties": ["neuro"], "identifiers": ["urn:npi|first"]}`))
	return a
}

func byOlga(f *Facts) {
	f.First.Readers = []string{"urn:npi|first"}
	f.First.Authors = f.First.Readers
}

func TestWhatBecameOfASecondOpinionIsKeptWordByWordAndTheLastCounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	quality := qualityOf(h)
	c := h.ready()
	h.refused(fault.Conflict, h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "none"}})
	h.signed(c)
	h.refused(fault.BusinessRule, h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "cured"}})
	h.refused(fault.Forbidden, h.anna, c, "judge-management", Input{Judgement: &Judgement{Management: "none"}})
	h.fire(h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "work-up", Note: "MRI ordered"}})
	h.fire(h.placer, c, "acknowledge", Input{})
	h.fire(h.placer, c, "judge-management", Input{Judgement: &Judgement{Management: "treatment"}})
	tomorrow := DateOf(time.Now().Add(72 * time.Hour))
	for want, o := range map[string]Truth{
		"right must be":    {Right: "me", Source: "pathology", FoundOn: "2026-01-02"},
		"source must be":   {Right: "first", Source: "a dream", FoundOn: "2026-01-02"},
		"date must be":     {Right: "first", Source: "pathology", FoundOn: "lately"},
		"of a day to come": {Right: "first", Source: "pathology", FoundOn: tomorrow},
	} {
		if got := h.refused(fault.BusinessRule, h.placer, c, "outcome", Input{Truth: &o}); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	h.fire(h.placer, c, "outcome", Input{Truth: &Truth{Right: "second", Source: "follow-up-imaging", FoundOn: "2026-01-02"}})
	h.fire(quality, c, "outcome", Input{Truth: &Truth{Right: "first", Source: "pathology", FoundOn: "2026-01-09", Evidence: []string{"DiagnosticReport/p"}}})
	h.stands(c, Closed)
	h.replays(c)
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		judgements, err := JudgementsTx(ctx, tx, c.CaseID)
		if err != nil || len(judgements) != 2 || judgements[0].Management != "work-up" || judgements[1].Management != "treatment" || judgements[0].JudgedBy != h.placer.ID {
			t.Errorf("%+v, %v", judgements, err)
		}
		truths, err := TruthsTx(ctx, tx, c.CaseID)
		if err != nil || len(truths) != 2 || truths[1].Right != "first" || truths[1].Role != "quality" || truths[0].FoundOn != "2026-01-02" || truths[1].Evidence[0] != "DiagnosticReport/p" {
			t.Errorf("%+v, %v", truths, err)
		}
		return nil
	})
	bare := h.open(func(f *Facts) { f.Original, f.OriginalReferenced = nil, false })
	h.tick()
	h.comparing(h.anna, bare)
	h.fire(h.anna, bare, "sign", Input{})
	h.refused(fault.BusinessRule, h.placer, bare, "outcome", Input{Truth: &Truth{Right: "first", Source: "pathology", FoundOn: "2026-01-02"}})
	h.fire(h.placer, bare, "outcome", Input{Truth: &Truth{Right: "second", Source: "pathology", FoundOn: "2026-01-02"}})
}

func TestALearningPointNamesNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "grading": "peer-learning"}`)
	quality := qualityOf(h)
	c := h.ready()
	h.comparing(h.anna, c)
	scored := majorMiss
	scored.Discrepancies = []Discrepancy{scored.Discrepancies[0]}
	scored.Discrepancies[0].Expectedness = "not-ordinarily"
	if got := h.refused(fault.BusinessRule, h.anna, c, "grade", Input{Grade: &scored}); !strings.Contains(got, "leave expectedness out") {
		t.Error(got)
	}
	h.fire(h.anna, c, "grade", Input{Grade: &minorMiss})
	h.fire(h.anna, c, "sign", Input{})
	names := []string{"Betsy", "Shaw-O'Neil", "MRN-1032702", "1987-02-20", "Li"}
	for _, text := range []string{"Seen in BETSY first.", "Mrs shaw o'neil had it.", "as in mrn 1032702", "on 1987-02-20", " "} {
		h.refused(fault.BusinessRule, h.anna, c, "add-learning-point", Input{Point: &LearningPoint{Text: text, Names: names}})
	}
	h.refused(fault.BusinessRule, h.anna, c, "add-learning-point", Input{Point: &LearningPoint{Text: "Look.", Tags: []string{"Two Words"}}})
	h.refused(fault.Forbidden, h.ben, c, "add-learning-point", Input{Point: &LearningPoint{Text: "Look."}})
	h.fire(h.anna, c, "add-learning-point", Input{Point: &LearningPoint{Text: "Li nes of the pleura hide nodules; the year 1987 is none of this.", Tags: []string{"lung-nodule"}, Names: names}})
	h.fire(quality, c, "add-learning-point", Input{Point: &LearningPoint{Text: "Compare with the prior."}})
	h.fire(quality, c, "withdraw-learning-point", Input{Point: &LearningPoint{No: 1}})
	h.refused(fault.BusinessRule, quality, c, "withdraw-learning-point", Input{Point: &LearningPoint{No: 1}})
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		points, err := PointsTx(ctx, tx, c.CaseID)
		if err != nil || len(points) != 1 || points[0].PointNo != 2 {
			t.Errorf("%+v %v", points, err)
		}
		return nil
	})
	if got := Anonymous("Betsy's nodule", names); strings.Contains(got, "Betsy") {
		t.Error(got)
	}
}

func (h *house) feedback(reader access.Actor) (list []Feedback) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		list, err = FeedbackForTx(ctx, tx, reader.ID, 10)
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

// The share that is drawn is the rate, for every secret and stratum; the same
// secret draws the same; and two secrets agree no more often than chance.
func TestSamplesAreDrawnAtTheirRateAndCannotBeForeseen(t *testing.T) {
	const n = 40_000
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = newID() // as cases have them: in the order of time
	}
	one, other := make([]byte, 32), make([]byte, 32)
	binary.BigEndian.PutUint64(one, 1)
	binary.BigEndian.PutUint64(other, 2)
	for _, rate := range []int{0, 1, 20, 50, 333, 999, 1000} {
		drawn, both, runs := 0, 0, 0
		delays := 0.0
		last := false
		for _, id := range ids {
			a, when := draws(one, id, rate)
			b, _ := draws(other, id, rate)
			again, _ := draws(one, id, rate)
			if a != again || when < 0 || when >= 1 {
				t.Fatal("a draw cannot be done again")
			}
			if a {
				drawn++
				delays += when
			}
			if a && b {
				both++
			}
			if a && last {
				runs++
			}
			last = a
		}
		p := float64(rate) / 1000
		within := func(what string, got int, p float64) {
			t.Helper()
			if sd := math.Sqrt(n * p * (1 - p)); math.Abs(float64(got)-n*p) > 5*sd+1 { // one in two million
				t.Errorf("rate %d: %s %d of %d, expected %.0f", rate, what, got, n, n*p)
			}
		}
		within("drawn", drawn, p)
		within("drawn by both secrets", both, p*p)
		within("drawn twice in a row", runs, p*p)
		if mean := delays / float64(max(drawn, 1)); drawn > 1000 && math.Abs(mean-0.5) > 0.05 {
			t.Errorf("rate %d: second reads begin after %.2f of the time", rate, mean)
		}
	}
}

func TestTheStratumDecidesTheRate(t *testing.T) {
	p := DefaultPolicy()
	p.Sampling = &Sampling{Rates: []SampleRate{
		{Modality: []string{"CT"}, Agreement: []Level{LevelMajor}, PerThousand: 1},
		{Subspecialty: []Privilege{"neuro"}, Priority: []string{"stat"}, PerThousand: 2},
		{PerThousand: 3},
	}}
	for want, c := range map[int]struct {
		Case
		level Level
	}{
		1: {Case{Exam: Exam{Modality: "CT", Subspecialty: "neuro"}, Priority: "stat"}, LevelMajor},
		2: {Case{Exam: Exam{Modality: "CT", Subspecialty: "neuro"}, Priority: "stat"}, LevelMinor},
		3: {Case{Exam: Exam{Modality: "MR", Subspecialty: "neuro"}, Priority: "routine"}, LevelMajor},
	} {
		i := slices.IndexFunc(p.Sampling.Rates, func(r SampleRate) bool { return r.holds(&c.Case, c.level) })
		if got := p.Sampling.Rates[i].PerThousand; got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	if got := p.Sampling.Rates[0].name(1) + "|" + p.Sampling.Rates[2].name(3); got != "rule 1: CT; major|rule 3: all others" {
		t.Error(got)
	}
	if _, err := ParsePolicy([]byte(`{"sampling": {"rates": [{"perThousand": 1}, {"perThousand": 2}]}}`)); err == nil || !strings.Contains(err.Error(), "sampling.rates[0] holds for all") {
		t.Errorf("%v", err)
	}
}

// sampled lives a case to its final, and the second read that was drawn to its end.
func (h *house) sampled(grade *Grade) (c, sample Case) {
	h.Helper()
	h.engine.hooks.Sample = func(_ context.Context, _ pgx.Tx, of *Case) (Order, string, error) {
		n := uuid.NewString()
		h.facts[n] = h.facts[of.PlacerValue]
		return Order{PlacerSystem: "urn:quality", PlacerValue: n, ServiceRequestRef: "ServiceRequest/" + n, TaskID: n, Priority: "routine", PatientID: of.PatientID}, "", nil
	}
	c = h.ready()
	h.signed(c)
	h.skip(6 * 24 * time.Hour)
	h.tick()
	h.tick()
	var of Sample
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		all, err := SamplesTx(ctx, tx, &c.CaseID)
		if err == nil && (len(all) != 1 || !all[0].Drawn || all[0].SampleCase == nil) {
			h.Fatalf("%+v", all)
		}
		of = all[0]
		return err
	})
	sample = h.find(Case{TenantID: h.tenant, CaseID: *of.SampleCase})
	if sample.State != Ready || sample.Protocol != Blinded || *sample.SampleOf != c.CaseID {
		h.Fatalf("%+v", sample)
	}
	h.refused(fault.BusinessRule, h.anna, sample, "claim", Input{Independent: true}) // she read what is sampled
	h.comparing(h.ben, sample)
	h.fire(h.ben, sample, "grade", Input{Grade: grade})
	if h.find(sample).State == Adjudication {
		carl := as(h.carl, access.Adjudicator)
		h.fire(carl, sample, "adjudicate", Input{Grade: grade})
		h.fire(carl, sample, "sign", Input{})
	} else {
		h.fire(h.ben, sample, "sign", Input{})
	}
	h.tick()
	h.stands(sample, Closed)
	h.replays(sample)
	return c, sample
}

const sampleAll = `{"assignment": "pool", "sampling": {"within": "5d", "rates": [{"perThousand": 1000}]}}`

func TestASecondReadForQualityThatAgreesChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sampleAll)
	c, sample := h.sampled(&minorMiss)
	h.stands(c, Final)
	if got := h.find(c); got.ReportNo != 1 {
		t.Errorf("version %d", got.ReportNo)
	}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		all, err := SamplesTx(ctx, tx, nil)
		if err != nil || len(all) != 1 || *all[0].Level != LevelMinor || all[0].FindingAt != nil || all[0].Stratum != "rule 1: all others" {
			t.Errorf("%+v %v", all, err)
		}
		return nil
	})
	if len(h.feedback(h.anna)) != 0 {
		t.Error("the reader is told though the policy says off")
	}
	if s := h.standing(sample, time.Now()); s.Excluded != ExcludedSample {
		t.Errorf("it counts: %+v", s)
	}
	if s := h.standing(c, time.Now()); s.Excluded != "" {
		t.Errorf("the sampled one does not count: %+v", s)
	}
	// No placer's order is a duplicate of it.
	again := h.open(func(f *Facts) { f.Study.UID = *h.find(c).StudyUID })
	h.exec(`UPDATE case_file SET final_at = final_at - interval '40 days' WHERE case_id = $1`, c.CaseID)
	h.tick()
	h.stands(again, Ready)
}

func TestSomethingMajorInASampleOpensTheReportForWhoSignedIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sampleAll)
	c, _ := h.sampled(&majorMiss)
	h.tick()
	h.stands(c, Amending)
	told := h.feedback(h.anna)
	if len(told) != 1 || told[0].Kind != findingFeedback {
		t.Fatalf("who signed is not told: %+v", told)
	}
	if len(h.feedback(h.ben)) != 0 {
		t.Error("who read the sample is told")
	}
	h.fire(h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "amendment", Reason: "second look", Text: "There is a nodule."}, Grade: &majorMiss})
	h.tick()
	h.stands(c, Final)
	sample := func() (s Sample) {
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			all, err := SamplesTx(ctx, tx, &c.CaseID)
			s = all[0]
			return err
		})
		return s
	}
	if s := sample(); s.FindingAt == nil || s.SettledAt == nil {
		t.Errorf("%+v", s)
	}
	h.replays(c)
}

func TestASamplesFindingThatIsSetAsideIsReviewed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sampleAll)
	c, _ := h.sampled(&majorMiss)
	h.tick()
	h.fire(h.anna, c, "withdraw-amendment", Input{Reason: "nothing to change"})
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		open, err := OpenReviewsTx(ctx, tx, 10)
		if err != nil || len(open) != 1 || open[0].Reason != FindingNotTold {
			t.Errorf("%+v %v", open, err)
		}
		return nil
	})
}

func TestWithoutRatesOrAtRateNoughtNothingIsDrawn(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]int{`{"assignment": "pool"}`: 0, `{"assignment": "pool", "sampling": {"rates": [{"perThousand": 0}]}}`: 1, `{"assignment": "pool", "sampling": {"rates": [{"modality": ["US"], "perThousand": 1000}]}}`: 0} {
		h := newHouse(t, policy)
		c := h.ready()
		h.signed(c)
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			all, err := SamplesTx(ctx, tx, nil)
			if err != nil || len(all) != want || want == 1 && all[0].Drawn {
				t.Errorf("%s: %+v %v", policy, all, err)
			}
			return nil
		})
	}
}
