package workflow

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

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
	c, sample = h.drawn()
	h.comparing(h.ben, sample)
	h.fire(h.ben, sample, "grade", Input{Grade: grade})
	if h.find(sample).State == Adjudication {
		carl := as(h.carl, access.Adjudicator)
		h.fire(carl, sample, "claim", Input{Independent: true})
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

// drawn lives a case to its final, of which a second read was drawn, which waits in
// the pool.
func (h *house) drawn() (c, sample Case) {
	h.Helper()
	h.engine.hooks.Sample = func(_ context.Context, _ pgx.Tx, of *Case) (Order, string, error) {
		n := uuid.NewString()
		h.facts[n] = h.facts[of.PlacerValue]
		return Order{PlacerSystem: "urn:quality", PlacerValue: n, ServiceRequestRef: "ServiceRequest/" + n, TaskID: n, Priority: "routine", PatientID: of.PatientID}, "", nil
	}
	c = h.ready()
	h.signed(c)
	h.pass(6 * 24 * time.Hour)
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
	return c, sample
}

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
