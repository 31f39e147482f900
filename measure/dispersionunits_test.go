package measure_test

import (
	"math/rand/v2"
	"testing"

	"github.com/overread/overread/measure"
)

// drawAround are units of 300 cases and 16 %, the first of them of another rate.
func drawAround(random *rand.Rand, n int, first float64) []measure.Unit {
	units := make([]measure.Unit, n)
	for i := range units {
		rate := 0.16
		if i == 0 {
			rate = first
		}
		units[i].Trials = 300
		for range 300 {
			if random.Float64() < rate {
				units[i].Events++
			}
		}
	}
	return units
}

// One unit of 31 % among others of 16 % was hidden wholly of 4 or 5 units, as it widened the
// funnel around itself, and tau² was above 0 in a fifth of the funnels of chance alone.
func TestOfFewUnitsTheExactLimitsJudge(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(14, 347))
	const rounds = 400
	for _, n := range []int{4, 5, 8, 10, 12, 20} {
		flagged, hidden, chance := 0, 0, 0
		for range rounds {
			units := drawAround(random, n, 0.31)
			var all measure.Unit
			for _, u := range units {
				all.Events, all.Trials = all.Events+u.Events, all.Trials+u.Trials
			}
			target := *measure.Proportion(all.Events, all.Trials)
			rate := float64(units[0].Events) / 300
			exact, err := measure.Funnel(target, 300)
			if err != nil {
				t.Fatal(err)
			}
			d, err := measure.Overdispersion(units, target)
			if err != nil {
				t.Fatal(err)
			}
			if exact.Standing(rate) == measure.HighAlarm {
				flagged++
				if limits, err := d.Limits(300); err != nil || d.Overdispersed && limits.Standing(rate) != measure.HighAlarm {
					hidden++
				}
			}
			d, err = measure.Overdispersion(drawAround(random, n, 0.16), 0.16)
			if err != nil {
				t.Fatal(err)
			}
			if d.Overdispersed {
				chance++
			}
		}
		t.Logf("%d units: %d flagged, %d hidden, %d over-dispersed by chance", n, flagged, hidden, chance)
		if flagged < rounds*9/10 && n >= 8 || flagged == 0 || hidden > flagged/50 || chance > rounds/20 || n < measure.DispersionUnits && hidden+chance > 0 {
			t.Errorf("%d units: of %d the exact limits flag %d are hidden, and %d of %d are over-dispersed by chance", n, flagged, hidden, chance, rounds)
		}
	}
}

// Units that do differ are still found, from ten on; a target that all are far from is no difference between them.
func TestUnitsThatDifferAreOverdispersedFromTenOn(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 177))
	found := map[int]int{}
	for range 200 {
		for _, n := range []int{9, 10, 30} {
			d, err := measure.Overdispersion(drawUnits(random, n, 600, 0.16, 0.12), 0.16)
			if err != nil {
				t.Fatal(err)
			}
			if d.Overdispersed {
				found[n]++
			}
		}
		d, err := measure.Overdispersion(drawAround(random, 20, 0.16), 0.30)
		if err != nil {
			t.Fatal(err)
		}
		if d.Overdispersed {
			found[20]++
		}
	}
	if found[9] > 0 || found[10] < 190 || found[30] < 200 || found[20] > 10 {
		t.Errorf("over-dispersed by number of units, of 200: %v", found)
	}
}

func TestTheLimitsOfSharesAndTimesStayWhereTheyCanBe(t *testing.T) {
	t.Parallel()
	values := []float64{1, 30, 0, 99, 2}
	wide, err := measure.NewXmR(values, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := measure.NewXmR(values, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Within(0, 100)
	for i, p := range c.Points {
		if wide.Points[i].Limits.Low >= 0 || wide.Points[i].Limits.High <= 100 || p.Limits.Low != 0 || p.Limits.High != 100 || len(p.Signals) != len(wide.Points[i].Signals) {
			t.Errorf("%d: %+v of %+v", i, p.Limits, wide.Points[i].Limits)
		}
	}
}

func TestTheSmallestExpectedCountIsOfRowsAndColumnsThatHaveAny(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		table [][]int
		want  float64 // below 0: none
	}{
		{[][]int{{3, 97}, {5, 195}}, 100 * 8 / 300.0}, {[][]int{{10, 10}, {30, 50}}, 8},
		{[][]int{{10, 0, 10}, {0, 0, 0}, {30, 0, 50}}, 8}, {[][]int{{0, 10}, {0, 20}}, -1},
	} {
		got, err := measure.SmallestExpected(tt.table)
		if err != nil || (got == nil) != (tt.want < 0) || got != nil && *got != tt.want {
			t.Errorf("%v: %v, %v", tt.table, got, err)
		}
	}
	if _, err := measure.SmallestExpected([][]int{{-1, 2}, {3, 4}}); err == nil {
		t.Error("a negative count has an expectation")
	}
}
