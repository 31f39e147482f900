package measure_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// Remission of 21 patients with 6-mercaptopurine, in weeks (Freireich et al. 1963, Blood
// 21:699), as textbooks work it through: S(10) 0.753 with SE 0.0963, median 23.
func ExampleKaplanMeier() {
	var times []measure.Times
	for _, t := range []float64{6, 6, 6, 7, 10, 13, 16, 22, 23} {
		times = append(times, measure.Times{At: t, Events: 1})
	}
	for _, t := range []float64{6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35} {
		times = append(times, measure.Times{At: t, Censored: 1})
	}
	s, _ := measure.KaplanMeier(times, 0.95)
	for _, step := range s.Steps {
		fmt.Printf("%2.0f: %2d at risk, %.3f (%.4f), %.3f to %.3f\n", step.At, step.AtRisk, step.Open, *step.SE, step.Interval.Low, step.Interval.High)
	}
	median, _ := s.Quantile(0.5)
	fmt.Printf("median %.0f, from %.0f, until when is not known: %v\n", *median.At, *median.From, median.To == nil)
	// Output:
	//  6: 21 at risk, 0.857 (0.0764), 0.620 to 0.952
	//  7: 17 at risk, 0.807 (0.0869), 0.563 to 0.923
	// 10: 15 at risk, 0.753 (0.0963), 0.503 to 0.889
	// 13: 12 at risk, 0.690 (0.1068), 0.432 to 0.849
	// 16: 11 at risk, 0.627 (0.1141), 0.368 to 0.805
	// 22:  7 at risk, 0.538 (0.1282), 0.268 to 0.747
	// 23:  6 at risk, 0.448 (0.1346), 0.188 to 0.680
	// median 23, from 13, until when is not known: true
}

func anyTimes(r *rapid.T) []measure.Times {
	out := make([]measure.Times, rapid.IntRange(0, 15).Draw(r, "times"))
	for i := range out {
		out[i] = measure.Times{
			At:     float64(rapid.IntRange(0, 9).Draw(r, "at")),
			Events: rapid.IntRange(0, 4).Draw(r, "events"), Censored: rapid.IntRange(0, 3).Draw(r, "censored"),
		}
	}
	return out
}

// redistributed is the same curve by another way: the weight of a censored case goes in
// equal parts to all that are still to come (Efron 1967).
func redistributed(times []measure.Times, at float64) float64 {
	type one struct {
		at    float64
		event bool
	}
	var all []one
	for _, t := range times {
		for range t.Events {
			all = append(all, one{t.At, true})
		}
		for range t.Censored {
			all = append(all, one{t.At, false})
		}
	}
	slices.SortFunc(all, func(a, b one) int { // at one time, events come first
		switch {
		case a.at != b.at:
			return int(math.Copysign(1, a.at-b.at))
		case a.event == b.event:
			return 0
		case a.event:
			return -1
		}
		return 1
	})
	weight := make([]float64, len(all))
	for i := range weight {
		weight[i] = 1 / float64(len(all))
	}
	open := 1.0
	for i, x := range all {
		if x.event {
			if x.at <= at {
				open -= weight[i]
			}
			continue
		}
		for j := i + 1; j < len(all); j++ {
			weight[j] += weight[i] / float64(len(all)-i-1)
		}
	}
	return open
}

func TestTheCurveIsThatOfRedistributingWhatIsCensored(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		times := anyTimes(r)
		s, err := measure.KaplanMeier(times, 0.95)
		if err != nil {
			r.Fatal(err)
		}
		if s == nil {
			return
		}
		before := 1.0
		for _, step := range s.Steps {
			if want := redistributed(times, step.At); math.Abs(step.Open-want) > 1e-9 {
				r.Errorf("at %v: %v, redistributed %v", step.At, step.Open, want)
			}
			if step.Open >= before || (step.Open == 0) != (step.Interval == nil) {
				r.Errorf("at %v: %+v after %v", step.At, step, before)
			}
			if step.Interval != nil && !step.Interval.Contains(step.Open) {
				r.Errorf("%v is not in %v", step.Open, *step.Interval)
			}
			before = step.Open
		}
	})
}

func TestWithoutOpenCasesTheCurveIsTheShareAndTheErrorIsBinomial(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		times := anyTimes(r)
		n := 0
		for i := range times {
			times[i].Censored = 0
			n += times[i].Events
		}
		s, err := measure.KaplanMeier(times, 0.95)
		if err != nil {
			r.Fatal(err)
		}
		for at := range 10 {
			if s == nil {
				break
			}
			left := 0
			for _, x := range times {
				if x.At > float64(at) {
					left += x.Events
				}
			}
			share, _ := s.OpenAt(float64(at))
			p := float64(left) / float64(n)
			if math.Abs(*share-p) > 1e-9 {
				r.Errorf("at %d: %v, counted %v", at, *share, p)
			}
			for _, step := range s.Steps {
				if step.At == float64(at) && step.SE != nil && math.Abs(*step.SE-math.Sqrt(p*(1-p)/float64(n))) > 1e-9 {
					r.Errorf("at %d: SE %v", at, *step.SE)
				}
			}
		}
	})
}

func TestQuantilesRiseAndLieInTheirIntervals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		s, err := measure.KaplanMeier(anyTimes(r), 0.9)
		if err != nil {
			r.Fatal(err)
		}
		if s == nil {
			return
		}
		before := -1.0
		for _, p := range []float64{0.05, 0.25, 0.5, 0.75, 0.9, 0.95} {
			q, err := s.Quantile(p)
			if err != nil {
				r.Fatal(err)
			}
			if q.At == nil {
				before = math.Inf(1)
				continue
			}
			if *q.At < before {
				r.Errorf("%v of cases by %v, fewer by %v", p, *q.At, before)
			}
			before = *q.At
			if q.From != nil && *q.From > *q.At || q.To != nil && *q.To < *q.At {
				r.Errorf("%v: %v is not from %v to %v", p, *q.At, *q.From, *q.To)
			}
			if share, _ := s.OpenAt(*q.At); *share > 1-p+1e-9 {
				r.Errorf("%v: %v still open at %v", p, *share, *q.At)
			}
		}
	})
}

// Turnarounds with a known median, some cut off before they end: the interval of the
// median has it in about 95 of 100.
func TestTheIntervalOfTheMedianCoversIt(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1982, 38))
	const rounds, cases = 1500, 80
	covered, naive := 0, 0
	for range rounds {
		times := make([]measure.Times, cases)
		var done []float64
		for i := range times {
			took, until := random.ExpFloat64(), 2*random.Float64()
			if took <= until {
				times[i], done = measure.Times{At: took, Events: 1}, append(done, took)
			} else {
				times[i] = measure.Times{At: until, Censored: 1}
			}
		}
		s, err := measure.KaplanMeier(times, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		q, err := s.Quantile(0.5)
		if err != nil {
			t.Fatal(err)
		}
		if q.From != nil && *q.From <= math.Ln2 && (q.To == nil || math.Ln2 < *q.To) {
			covered++
		}
		slices.Sort(done)
		if done[len(done)/2] < 0.8*math.Ln2 {
			naive++ // the median of what is done: open cases left out
		}
	}
	if share := float64(covered) / rounds; share < 0.93 || share > 0.975 {
		t.Errorf("%.3f of the intervals have the median", share)
	}
	if naive < rounds/2 {
		t.Errorf("without open cases only %d of %d medians are too good: this test proves nothing", naive, rounds)
	}
}

func TestOfWhatNobodyHasSeenNothingIsSaid(t *testing.T) {
	t.Parallel()
	if s, err := measure.KaplanMeier([]measure.Times{{At: 3}}, 0.95); s != nil || err != nil {
		t.Errorf("no case: %v, %v", s, err)
	}
	open, err := measure.KaplanMeier([]measure.Times{{At: 3, Censored: 5}}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if share, i := open.OpenAt(2); *share != 1 || i != nil {
		t.Errorf("all open: %v, %v", *share, i)
	}
	if share, _ := open.OpenAt(4); share != nil {
		t.Errorf("after the last look: %v", *share)
	}
	if q, err := open.Quantile(0.5); err != nil || q.At != nil || q.From != nil || q.To != nil {
		t.Errorf("no case has ended: %+v, %v", q, err)
	}
	done, err := measure.KaplanMeier([]measure.Times{{At: 3, Events: 5}}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if share, i := done.OpenAt(4); *share != 0 || i != nil {
		t.Errorf("all ended: %v, %v", *share, i)
	}
	for name, err := range map[string]error{
		"before it began": second(measure.KaplanMeier([]measure.Times{{At: -1}}, 0.95)),
		"no time":         second(measure.KaplanMeier([]measure.Times{{At: math.NaN()}}, 0.95)),
		"negative":        second(measure.KaplanMeier([]measure.Times{{Events: -1}}, 0.95)),
		"negative open":   second(measure.KaplanMeier([]measure.Times{{Censored: -1}}, 0.95)),
		"level":           second(measure.KaplanMeier(nil, 0)),
		"quantile":        second(done.Quantile(1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
