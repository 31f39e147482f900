package measure_test

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// Eakins et al., AJR 2012;199:916: major discrepancies in 54 of 427 neuro and 99 of 305
// body studies. A reader who has 100 of the first and 20 of the second, and 15 major
// ones, has a crude rate of 12.5 % instead of 20.9 %, and yet as many as expected are.
func ExampleStandardise() {
	s, _ := measure.Standardise([]measure.Stratum{
		{Observed: measure.Unit{Events: 10, Trials: 100}, Reference: measure.Unit{Events: 54, Trials: 427}},
		{Observed: measure.Unit{Events: 5, Trials: 20}, Reference: measure.Unit{Events: 99, Trials: 305}},
	}, measure.PoissonExact, 0.95)
	fmt.Printf("observed %d, expected %.1f, ratio %.2f (%.2f to %.2f), rate %.1f %%\n",
		s.Observed, *s.Expected, *s.Ratio, s.Interval.Low, s.Interval.High, 100**s.Rate)
	// Output: observed 15, expected 19.1, ratio 0.78 (0.44 to 1.29), rate 16.4 %
}

// The exact limits of 0, 1 and 10 events, as tables print them since Garwood 1936: 0 to
// 3.69, 0.025 to 5.57, 4.80 to 18.39. Byar's are near from a few events on.
func ExamplePoissonLimits() {
	for _, n := range []int{0, 1, 10} {
		exact, _ := measure.PoissonLimits(n, measure.PoissonExact, 0.95)
		byar, _ := measure.PoissonLimits(n, measure.PoissonByar, 0.95)
		fmt.Printf("%d: %.3f to %.3f, Byar %.3f to %.3f\n", n, exact.Low, exact.High, byar.Low, byar.High)
	}
	// Output:
	// 0: 0.000 to 3.689, Byar 0.000 to 3.668
	// 1: 0.025 to 5.572, Byar 0.013 to 5.564
	// 10: 4.795 to 18.390, Byar 4.787 to 18.391
}

func TestExactPoissonLimitsAreNeverBelowTheLevel(t *testing.T) {
	t.Parallel()
	limits := make([]measure.Interval, 200)
	for k := range limits {
		l, err := measure.PoissonLimits(k, measure.PoissonExact, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		limits[k] = *l
	}
	for step := range 400 {
		mean, covered := 0.1*float64(step+1), 0.0
		for k, l := range limits {
			if l.Contains(mean) {
				covered += distuv.Poisson{Lambda: mean}.Prob(float64(k))
			}
		}
		if covered < 0.95-1e-9 {
			t.Errorf("mean %.1f: covers %.4f", mean, covered)
		}
	}
}

func TestByarIsNearTheExactLimitsAndBothAreMonotone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(0, 30), rapid.IntRange(0, 1_000_000)).Draw(r, "count")
		level := rapid.Float64Range(0.5, 0.998).Draw(r, "level")
		for _, m := range []measure.PoissonMethod{measure.PoissonExact, measure.PoissonByar} {
			l, err1 := measure.PoissonLimits(n, m, level)
			more, err2 := measure.PoissonLimits(n+1, m, level)
			if err1 != nil || err2 != nil {
				r.Fatal(err1, err2)
			}
			if more.Low < l.Low || more.High < l.High || !l.Contains(float64(n)) || (l.Low == 0) != (n == 0) && m == measure.PoissonExact {
				r.Errorf("%s: %d has %v, one more %v", m, n, *l, *more)
			}
		}
		if n >= 10 && level <= 0.95 {
			exact, _ := measure.PoissonLimits(n, measure.PoissonExact, level)
			byar, _ := measure.PoissonLimits(n, measure.PoissonByar, level)
			if math.Abs(byar.Low/exact.Low-1) > 0.01 || math.Abs(byar.High/exact.High-1) > 0.01 {
				r.Errorf("%d: exact %v, Byar %v", n, *exact, *byar)
			}
		}
	})
}

func TestStandardisedByItselfIsOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var strata []measure.Stratum
		events, trials := 0, 0
		for range rapid.IntRange(1, 8).Draw(r, "strata") {
			n := rapid.IntRange(0, 200).Draw(r, "n")
			u := measure.Unit{Events: rapid.IntRange(0, n).Draw(r, "k"), Trials: n}
			strata = append(strata, measure.Stratum{Observed: u, Reference: u})
			events, trials = events+u.Events, trials+n
		}
		s, err := measure.Standardise(strata, measure.PoissonByar, 0.95)
		if err != nil {
			r.Fatal(err)
		}
		if events == 0 {
			if s.Ratio != nil || s.Interval != nil || s.Rate != nil {
				r.Fatalf("nothing expected: %+v", s)
			}
			return
		}
		if math.Abs(*s.Ratio-1) > 1e-9 || math.Abs(*s.Rate-float64(events)/float64(trials)) > 1e-9 || !s.Interval.Contains(1) {
			r.Errorf("ratio %v %v, rate %v", *s.Ratio, *s.Interval, *s.Rate)
		}
	})
}

func TestWhatTheReferenceDoesNotKnowIsNamedAndNotGuessed(t *testing.T) {
	t.Parallel()
	s, err := measure.Standardise([]measure.Stratum{
		{Observed: measure.Unit{Events: 1, Trials: 10}, Reference: measure.Unit{Events: 1, Trials: 10}},
		{Observed: measure.Unit{Events: 1, Trials: 10}},
		{},
	}, "", 0.95)
	if err != nil || s.Ratio != nil || s.Expected != nil || len(s.Unknown) != 1 || s.Unknown[0] != 1 || s.Observed != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := measure.Standardise(nil, "", 0.95); err != nil || s.Ratio != nil {
		t.Errorf("no stratum: %+v, %v", s, err)
	}
	for name, err := range map[string]error{
		"method": second(measure.PoissonLimits(1, "wald", 0.95)), "count": second(measure.PoissonLimits(-1, "", 0.95)),
		"level": second(measure.PoissonLimits(1, "", 2)), "of a standard": second(measure.Standardise(nil, "", 0)),
		"reference": second(measure.Standardise([]measure.Stratum{{Reference: measure.Unit{Events: 2, Trials: 1}}}, "", 0.95)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
