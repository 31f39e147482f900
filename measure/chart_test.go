package measure_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// Montgomery 2013, example 7.1: cans of orange juice, 30 samples of 50. He prints a
// centre of 0.2313, limits of 0.0524 and 0.4102, and samples 15 and 23 beyond them.
func ExampleNewPChart() {
	var periods []measure.Unit
	for _, k := range []int{
		12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22,
		8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6,
	} {
		periods = append(periods, measure.Unit{Events: k, Trials: 50})
	}
	c, _ := measure.NewPChart(periods, 0)
	fmt.Printf("centre %.4f, limits %.4f and %.4f\n", *c.Centre, c.Points[0].Limits.Low, c.Points[0].Limits.High)
	for i, p := range c.Points {
		if slices.Contains(p.Signals, measure.BeyondLimits) {
			fmt.Println("beyond:", i+1)
		}
	}
	// Output:
	// centre 0.2313, limits 0.0524 and 0.4102
	// beyond: 15
	// beyond: 23
}

// NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2: flow rates; printed are
// 50.81 and, with tables' 1.128, limits of 45.8 and 55.8.
func ExampleNewXmR() {
	c, _ := measure.NewXmR([]float64{49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1}, 0)
	fmt.Printf("centre %.2f, mean range %.4f, limits %.1f and %.1f\n", c.Centre, c.Range, c.Points[0].Limits.Low, c.Points[0].Limits.High)
	// Output: centre 50.81, mean range 1.8778, limits 45.8 and 55.8
}

// With 2 % expected and an eye on twice the odds, an event adds ln(2/1.02) and each case
// without one takes ln(1.02) (Steiner et al. 2000).
func ExampleNewCUSUM() {
	var steps []measure.Step
	for _, events := range []int{1, 0, 1, 0, 0, 1} {
		steps = append(steps, measure.Step{Events: events, Trials: 1, Expected: 0.02})
	}
	c, _ := measure.NewCUSUM(steps, 2, 1.9)
	fmt.Printf("%.3f, signals at %v\n", c.Points, c.Signals)
	// Output: [0.673 0.654 1.327 1.307 1.287 1.961], signals at [5]
}

func TestARunOfEightIsASignalAndTheCentreNeitherMakesNorBreaksOne(t *testing.T) {
	t.Parallel()
	periods := []measure.Unit{{Events: 10, Trials: 100}, {Events: 10, Trials: 100}}
	for range 7 {
		periods = append(periods, measure.Unit{Events: 11, Trials: 100})
	}
	periods = append(periods,
		measure.Unit{},                        // nothing counted
		measure.Unit{Events: 10, Trials: 100}, // on the centre
		measure.Unit{Events: 11, Trials: 100}, // the eighth
		measure.Unit{Events: 9, Trials: 100},  // the end of the run
		measure.Unit{Events: 11, Trials: 100}, // alone
		measure.Unit{Events: 30, Trials: 100}) // beyond
	c, err := measure.NewPChart(periods, 2)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int][]measure.Signal{}
	for i, p := range c.Points {
		if len(p.Signals) > 0 {
			got[i] = p.Signals
		}
	}
	want := map[int][]measure.Signal{11: {measure.Run}, 14: {measure.BeyondLimits}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p := c.Points[9]; p.Value != nil || p.Limits != nil {
		t.Errorf("a period without a trial has %+v", p)
	}
}

func TestChartsOfNothingAreUndefined(t *testing.T) {
	t.Parallel()
	if c, err := measure.NewPChart([]measure.Unit{{}, {}}, 0); err != nil || c.Centre != nil || c.Points[0].Limits != nil {
		t.Errorf("no trials: %+v, %v", c, err)
	}
	if c, err := measure.NewPChart(nil, 0); err != nil || c.Centre != nil {
		t.Errorf("no periods: %+v, %v", c, err)
	}
	if c, err := measure.NewXmR([]float64{3}, 0); c != nil || err != nil {
		t.Errorf("one value: %v, %v", c, err)
	}
	if c, err := measure.NewXmR([]float64{3, 4, 5}, 1); c != nil || err != nil {
		t.Errorf("a base of one value: %v, %v", c, err)
	}
	for name, err := range map[string]error{
		"baseline":        second(measure.NewPChart([]measure.Unit{{}}, 2)),
		"negative":        second(measure.NewPChart([]measure.Unit{{}}, -1)),
		"counts":          second(measure.NewPChart([]measure.Unit{{Events: 2, Trials: 1}}, 0)),
		"no number":       second(measure.NewXmR([]float64{1, math.NaN()}, 0)),
		"infinite":        second(measure.NewXmR([]float64{1, math.Inf(-1)}, 0)),
		"same odds":       second(measure.NewCUSUM(nil, 1, 3)),
		"threshold":       second(measure.NewCUSUM(nil, 2, 0)),
		"expected":        second(measure.NewCUSUM([]measure.Step{{Expected: 1}}, 2, 3)),
		"actual":          second(measure.RunLength(0.1, 1.1, 2, 3)),
		"length expected": second(measure.RunLength(0, 0.1, 2, 3)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestChartsSayNothingButNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 2, 30).Draw(r, "values")
		c, err := measure.NewXmR(values, 0)
		if err != nil {
			r.Fatal(err)
		}
		for i, p := range c.Points {
			if math.IsNaN(p.Limits.Low) || p.Limits.Low > p.Limits.High || *p.Value != values[i] {
				r.Errorf("%d: %+v", i, p)
			}
		}
		// A constant more on each changes no range, and a factor all alike.
		moved := slices.Clone(values)
		for i := range moved {
			moved[i] = 2*moved[i] + 8
		}
		d, err := measure.NewXmR(moved, 0)
		if err != nil || math.Abs(d.Range-2*c.Range) > 1e-4 || math.Abs(d.Centre-2*c.Centre-8) > 1e-4 {
			r.Errorf("%v %v and %v %v, %v", c.Centre, c.Range, d.Centre, d.Range, err)
		}
	})
}

func TestACUSUMIsTheSumOfLogarithmsOfLikelihoodRatios(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		odds := rapid.SampledFrom([]float64{0.5, 1.5, 2, 4}).Draw(r, "odds")
		const threshold = 3.0
		var steps []measure.Step
		for range rapid.IntRange(0, 60).Draw(r, "steps") {
			steps = append(steps, measure.Step{
				Events: rapid.IntRange(0, 1).Draw(r, "event"), Trials: 1,
				Expected: rapid.Float64Range(0.001, 0.9).Draw(r, "expected"),
			})
		}
		c, err := measure.NewCUSUM(steps, odds, threshold)
		if err != nil {
			r.Fatal(err)
		}
		sum, signals := 0.0, []int(nil)
		for i, s := range steps {
			changed := odds * s.Expected / (1 - s.Expected)
			changed /= 1 + changed
			ratio := (1 - changed) / (1 - s.Expected)
			if s.Events == 1 {
				ratio = changed / s.Expected
			}
			sum = max(0, sum+math.Log(ratio))
			if math.Abs(sum-c.Points[i]) > 1e-9 {
				r.Fatalf("step %d: %v, by likelihoods %v", i, c.Points[i], sum)
			}
			if sum >= threshold {
				signals, sum = append(signals, i), 0
			}
		}
		if !slices.Equal(signals, c.Signals) {
			r.Errorf("signals %v, by likelihoods %v", c.Signals, signals)
		}
	})
}

func TestTheRunLengthIsThatOfASimulation(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1972, 539))
	for _, c := range []struct{ expected, actual, odds, threshold float64 }{
		{0.1, 0.1, 2, 2.5}, {0.1, 0.18, 2, 2.5}, {0.077, 0.077, 2, 3}, {0.3, 0.3, 0.5, 2}, {0.02, 0.04, 2, 3},
	} {
		got, err := measure.RunLength(c.expected, c.actual, c.odds, c.threshold)
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		const rounds = 4000
		mean := 0.0
		for range rounds {
			sum, n := 0.0, 0
			for sum < c.threshold {
				ratio := 1 / (1 - c.expected + c.odds*c.expected)
				if random.Float64() < c.actual {
					ratio *= c.odds
				}
				sum = max(0, sum+math.Log(ratio))
				n++
			}
			mean += float64(n) / rounds
		}
		if math.Abs(*got/mean-1) > 0.06 {
			t.Errorf("%+v: %.1f, simulated %.1f", c, *got, mean)
		}
	}
	never, err := measure.RunLength(0.1, 0, 2, 3)
	if never != nil || err != nil {
		t.Errorf("without an event: %v, %v", never, err)
	}
}

// What is told of a chart of months is how that chart behaves: simulated with the chart itself,
// on months of unequal size. Of single cases it would be another number.
func TestTheRunLengthOfMonthsIsThatOfTheChartOfMonths(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1993, 445))
	for _, c := range []struct {
		sizes                             []int
		expected, actual, odds, threshold float64
	}{
		{[]int{40, 60}, 0.1, 0.1, 2, 3}, {[]int{40, 60}, 0.1, 0.2 / 1.1, 2, 3}, {[]int{1}, 0.1, 0.1, 2, 2.5}, {[]int{30, 0, 12, 90}, 0.05, 0.05, 2, 2.5},
		{[]int{200}, 0.3, 0.3, 0.5, 2}, {[]int{500, 700, 300}, 0.05, 0.05, 1.3, 3}, {[]int{500, 700, 300}, 0.05, 0.065, 1.3, 3},
		{[]int{15}, 0.1, 0.1, 0.5, 1}, {[]int{15}, 0.1, 0.05 / 0.95, 0.5, 1}, // few cases, with all their sums at few places
	} {
		got, err := measure.SteppedRunLength(c.sizes, c.expected, c.actual, c.odds, c.threshold)
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		const months = 200_000
		steps := make([]measure.Step, months)
		for i := range steps {
			n := c.sizes[random.IntN(len(c.sizes))]
			events := distuv.Binomial{N: float64(n), P: c.actual, Src: random}.Rand()
			steps[i] = measure.Step{Trials: n, Events: int(events), Expected: c.expected}
		}
		chart, err := measure.NewCUSUM(steps, c.odds, c.threshold)
		if err != nil || len(chart.Signals) < 100 {
			t.Fatal(len(chart.Signals), err)
		}
		// It starts again at 0 after each signal, so that the mean run is the mean gap.
		mean := float64(chart.Signals[len(chart.Signals)-1]+1) / float64(len(chart.Signals))
		if math.Abs(*got/mean-1) > 0.01+4/math.Sqrt(float64(len(chart.Signals))) {
			t.Errorf("%+v: %.2f months, simulated %.2f", c, *got, mean)
		}
	}
	// Steps shorter than a coarse grid tells apart: some 66,800 months in a simulation of 473 runs, and 65,700 on a grid of 1,600.
	if rare, err := measure.SteppedRunLength([]int{10}, 0.03, 0.03, 1.1, 4.5); err != nil || rare == nil || math.Abs(*rare/66300-1) > 0.03 {
		t.Errorf("of odds near 1: %v %v", rare, err)
	}
	if wandering, err := measure.SteppedRunLength([]int{10}, 0.03, 0.03, 1.01, 4.5); wandering != nil || err != nil {
		t.Errorf("what no grid settles is told: %v %v", *wandering, err)
	}
	one, _ := measure.SteppedRunLength([]int{1}, 0.1, 0.1, 2, 2.5)
	if single, _ := measure.RunLength(0.1, 0.1, 2, 2.5); math.Abs(*one / *single - 1) > 1e-9 {
		t.Errorf("months of one case: %v, cases: %v", *one, *single)
	}
	if never, err := measure.SteppedRunLength([]int{83000}, 0.08, 0.08, 2, 4.5); never != nil || err != nil {
		t.Errorf("of a national service twice the odds are never there by chance: %v %v", never, err)
	}
	if soon, err := measure.SteppedRunLength([]int{83000}, 0.08, 0.16/1.08, 2, 4.5); err != nil || soon == nil || math.Abs(*soon-1) > 1e-9 {
		t.Errorf("of a national service twice the odds are seen in the first month: %v %v", soon, err)
	}
	if _, err := measure.SteppedRunLength([]int{-1}, 0.1, 0.1, 2, 3); err == nil {
		t.Error("a month of fewer than no case")
	}
}
