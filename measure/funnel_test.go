package measure_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// A reader with 30 of 200 important discrepancies where 7.7 % are expected (Zan et al.
// 2010, Radiology 255:135) is outside of 99.8 %; one with 3 of 20, the same rate, is
// inside of 95 %.
func ExampleFunnel() {
	for _, u := range []measure.Unit{{Events: 30, Trials: 200}, {Events: 3, Trials: 20}} {
		l, _ := measure.Funnel(347.0/4534, u.Trials)
		rate := float64(u.Events) / float64(u.Trials)
		fmt.Printf("%.1f %%, limits %.1f to %.1f and %.1f to %.1f: %s\n", 100*rate,
			100*l.Warning.Low, 100*l.Warning.High, 100*l.Alarm.Low, 100*l.Alarm.High, l.Standing(rate))
	}
	// Output:
	// 15.0 %, limits 3.9 to 11.3 and 2.2 to 13.8: high-alarm
	// 15.0 %, limits 0.0 to 19.0 and 0.0 to 29.0: inside
}

func TestFunnelLimitsAreQuantilesBetweenTwoWholeCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(r, "n")
		target := rapid.Float64Range(0.001, 0.999).Draw(r, "target")
		l, err := measure.Funnel(target, n)
		if err != nil {
			r.Fatal(err)
		}
		for _, c := range []struct{ limit, p float64 }{
			{l.Warning.Low, 0.025}, {l.Warning.High, 0.975}, {l.Alarm.Low, 0.001}, {l.Alarm.High, 0.999},
		} {
			// Below r, the first count whose cumulative probability reaches p.
			cumulated, at := 0.0, 0
			for {
				cumulated += distuv.Binomial{N: float64(n), P: target}.Prob(float64(at))
				if cumulated >= c.p-1e-12 || at == n {
					break
				}
				at++
			}
			if count := c.limit * float64(n); count > float64(at)+1e-6 || count < float64(at)-1-1e-6 {
				r.Errorf("n %d, target %v: the limit of %v is at %v, the quantile is %d", n, target, c.p, count, at)
			}
		}
		if l.Alarm.Low > l.Warning.Low || l.Alarm.High < l.Warning.High {
			r.Errorf("alarm %v inside of warning %v", l.Alarm, l.Warning)
		}
	})
}

// Interpolated, the chance to be beyond a limit is about what it says for each n: with
// whole counts it would jump.
func TestFunnelLimitsAreBeyondByChanceAsOftenAsTheySay(t *testing.T) {
	t.Parallel()
	for _, n := range []int{50, 200, 1000} {
		sum := 0.0
		const steps = 200
		for step := range steps {
			target := 0.1 + 0.2*float64(step)/steps
			l, err := measure.Funnel(target, n)
			if err != nil {
				t.Fatal(err)
			}
			for k := range n + 1 {
				if s := l.Standing(float64(k) / float64(n)); s != measure.Inside {
					sum += distuv.Binomial{N: float64(n), P: target}.Prob(float64(k)) / steps
				}
			}
		}
		if sum < 0.035 || sum > 0.065 {
			t.Errorf("n %d: %.4f are beyond the limits of 95 %%", n, sum)
		}
	}
}

func TestAFunnelNarrows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(30, 200_000).Draw(r, "n")
		target := rapid.Float64Range(0.1, 0.9).Draw(r, "target")
		small, err1 := measure.Funnel(target, n)
		large, err2 := measure.Funnel(target, 4*n)
		if err1 != nil || err2 != nil {
			r.Fatal(err1, err2)
		}
		if width(large.Alarm) > width(small.Alarm)+1e-9 {
			r.Errorf("%d: %v, %d: %v", n, small.Alarm, 4*n, large.Alarm)
		}
	})
}

func width(i measure.Interval) float64 { return i.High - i.Low }

func drawUnits(random *rand.Rand, units, trials int, target, tau float64) []measure.Unit {
	out := make([]measure.Unit, units)
	for i := range out {
		y := math.Asin(math.Sqrt(target)) + tau*random.NormFloat64()
		rate, n := math.Pow(math.Sin(y), 2), trials/2+random.IntN(trials)
		events := 0
		for range n {
			if random.Float64() < rate {
				events++
			}
		}
		out[i] = measure.Unit{Events: events, Trials: n}
	}
	return out
}

func TestOverdispersionIsFoundWhereItIsAndNotWhereItIsNot(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2005, 347))
	found, mean := 0, 0.0
	const rounds = 200
	for range rounds {
		d, err := measure.Overdispersion(drawUnits(random, 40, 400, 0.1, 0), 0.1)
		if err != nil {
			t.Fatal(err)
		}
		if d.Tau2 > 0.0002 {
			found++
		}
		d, err = measure.Overdispersion(drawUnits(random, 40, 400, 0.1, 0.05), 0.1)
		if err != nil {
			t.Fatal(err)
		}
		mean += d.Tau2 / rounds
	}
	if found > rounds/10 {
		t.Errorf("chance alone was overdispersed in %d of %d", found, rounds)
	}
	// Winsorising takes some of it away: 0.0025 was put in.
	if mean < 0.0014 || mean > 0.0026 {
		t.Errorf("tau² of 0.0025 was estimated as %.5f", mean)
	}
}

func TestAnOutlierDoesNotHideItselfByWideningTheFunnel(t *testing.T) {
	t.Parallel()
	units := make([]measure.Unit, 0, 21)
	for i := range 20 {
		units = append(units, measure.Unit{Events: 38 + i%5, Trials: 400})
	}
	units = append(units, measure.Unit{Events: 120, Trials: 400})
	d, err := measure.Overdispersion(units, 0.1)
	if err != nil || d.Overdispersed {
		t.Fatalf("%+v, %v", d, err)
	}
	limits, err := d.Limits(400)
	if err != nil || limits.Standing(0.3) != measure.HighAlarm {
		t.Errorf("%+v, %v", limits, err)
	}
	z, err := d.Z(units[20])
	if err != nil || *z < 3.09 {
		t.Errorf("z %v, %v", z, err)
	}
}

func TestFunnelsWithoutChanceAreUndefined(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target float64
		n      int
	}{{0.5, 0}, {0, 10}, {1, 10}} {
		if l, err := measure.Funnel(c.target, c.n); l != nil || err != nil {
			t.Errorf("%+v: %v, %v", c, l, err)
		}
	}
	if d, err := measure.Overdispersion([]measure.Unit{{Events: 1, Trials: 3}, {}}, 0.2); d != nil || err != nil {
		t.Errorf("one unit: %v, %v", d, err)
	}
	if z, err := (measure.Dispersion{Target: 0.2}).Z(measure.Unit{}); z != nil || err != nil {
		t.Errorf("no trial: %v, %v", z, err)
	}
	for name, err := range map[string]error{
		"target": second(measure.Funnel(math.NaN(), 3)), "trials": second(measure.Funnel(0.2, -1)),
		"unit": second(measure.Overdispersion([]measure.Unit{{Events: 2, Trials: 1}}, 0.2)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }
