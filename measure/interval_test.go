package measure_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// Guerin et al., AJNR 2015;36:24: 90 of 119 head CTs were read alike. The paper
// prints 67.2 to 82.5 %, which is Wilson's interval and nobody else's.
func ExampleWilson() {
	i, _ := measure.Wilson(90, 119, 0.95)
	fmt.Printf("%.2f %% (%.2f to %.2f)\n", 100*90.0/119, 100*i.Low, 100*i.High)
	// Output: 75.63 % (67.19 to 82.46)
}

// Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
func ExampleWilsonCC() {
	for _, c := range [][2]int{{81, 263}, {15, 148}, {0, 20}, {1, 29}} {
		i, _ := measure.WilsonCC(c[0], c[1], 0.95)
		fmt.Printf("%.4f to %.4f\n", i.Low, i.High)
	}
	// Output:
	// 0.2535 to 0.3682
	// 0.0598 to 0.1644
	// 0.0000 to 0.2005
	// 0.0018 to 0.1963
}

// Newcombe 1998, table I, again.
func ExampleClopperPearson() {
	for _, c := range [][2]int{{81, 263}, {15, 148}, {0, 20}, {1, 29}} {
		i, _ := measure.ClopperPearson(c[0], c[1], 0.95)
		fmt.Printf("%.4f to %.4f\n", i.Low, i.High)
	}
	// Output:
	// 0.2527 to 0.3676
	// 0.0578 to 0.1617
	// 0.0000 to 0.1684
	// 0.0009 to 0.1776
}

// coverage is the probability that the interval of a method contains p, summed over
// everything that n trials may give.
func coverage(t *testing.T, m measure.Method, n int, p, level float64) (sum float64) {
	t.Helper()
	for k := range n + 1 {
		i, err := m.Interval(k, n, level)
		if err != nil {
			t.Fatal(err)
		}
		if i.Contains(p) {
			sum += distuv.Binomial{N: float64(n), P: p}.Prob(float64(k))
		}
	}
	return sum
}

func TestClopperPearsonIsNeverBelowTheLevel(t *testing.T) {
	t.Parallel()
	for _, level := range []float64{0.8, 0.95, 0.998} {
		for _, n := range []int{1, 2, 3, 5, 8, 13, 21, 40} {
			for step := range 199 {
				p := float64(step+1) / 200
				if c := coverage(t, measure.MethodClopperPearson, n, p, level); c < level-1e-9 {
					t.Errorf("n %d, p %v: covers %v, below %v", n, p, c, level)
				}
			}
		}
	}
}

// Just inside and outside of an end, where the coverage jumps.
func TestClopperPearsonIsNotBelowTheLevelAtItsOwnEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(r, "n")
		k := rapid.IntRange(0, n).Draw(r, "k")
		level := rapid.Float64Range(0.5, 0.999).Draw(r, "level")
		i, err := measure.ClopperPearson(k, n, level)
		if err != nil {
			r.Fatal(err)
		}
		for _, p := range []float64{i.Low - 1e-9, i.Low + 1e-9, i.High - 1e-9, i.High + 1e-9} {
			if p <= 0 || p >= 1 {
				continue
			}
			if c := coverage(t, measure.MethodClopperPearson, n, p, level); c < level-1e-7 {
				r.Fatalf("%d of %d at %v: covers %v at %v", k, n, level, c, p)
			}
		}
	})
}

func TestWilsonIsNearTheLevelOnAverageAndWaldWouldNotBe(t *testing.T) {
	t.Parallel()
	const level, steps = 0.95, 499
	for _, n := range []int{5, 10, 20, 50} {
		var wilson, corrected, wald float64
		for step := range steps {
			p := (float64(step) + 0.5) / steps
			wilson += coverage(t, measure.MethodWilson, n, p, level) / steps
			corrected += coverage(t, measure.MethodWilsonCC, n, p, level) / steps
			for k := range n + 1 {
				hat := float64(k) / float64(n)
				if math.Abs(hat-p) <= 1.959964*math.Sqrt(hat*(1-hat)/float64(n)) {
					wald += distuv.Binomial{N: float64(n), P: p}.Prob(float64(k)) / steps
				}
			}
		}
		if math.Abs(wilson-level) > 0.01 {
			t.Errorf("n %d: Wilson covers %.4f on average", n, wilson)
		}
		if corrected < level {
			t.Errorf("n %d: Wilson with correction covers %.4f on average", n, corrected)
		}
		if wald > level-0.03 && n <= 20 {
			t.Errorf("n %d: Wald covers %.4f on average: this test cannot tell good from bad", n, wald)
		}
	}
}

func anyProportion(r *rapid.T) (k, n int, level float64) {
	n = rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 1_000_000)).Draw(r, "n")
	k = rapid.OneOf(rapid.IntRange(0, n), rapid.IntRange(0, min(n, 20))).Draw(r, "k")
	return k, n, rapid.Float64Range(0.5, 0.9999).Draw(r, "level")
}

func mustInterval(r *rapid.T, m measure.Method, k, n int, level float64) measure.Interval {
	i, err := m.Interval(k, n, level)
	if err != nil {
		r.Fatal(err)
	}
	return *i
}

func TestIntervalsAreSymmetricMonotoneAndNested(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		k, n, level := anyProportion(r)
		const eps = 1e-9
		for _, m := range measure.Methods() {
			i := mustInterval(r, m, k, n, level)
			p := float64(k) / float64(n)
			if !(0 <= i.Low && i.Low <= p && p <= i.High && i.High <= 1 && i.Low < i.High) {
				r.Errorf("%s of %d of %d: %v", m, k, n, i)
			}
			if (i.Low == 0) != (k == 0) || (i.High == 1) != (k == n) {
				r.Errorf("%s of %d of %d ends at %v", m, k, n, i)
			}
			mirror := mustInterval(r, m, n-k, n, level)
			if math.Abs(i.Low-(1-mirror.High)) > eps || math.Abs(i.High-(1-mirror.Low)) > eps {
				r.Errorf("%s of %d of %d is %v, of the opposite %v", m, k, n, i, mirror)
			}
			if k < n {
				next := mustInterval(r, m, k+1, n, level)
				if next.Low < i.Low || next.High < i.High {
					r.Errorf("%s of %d of %d is %v, of one more %v", m, k, n, i, next)
				}
			}
			wider := mustInterval(r, m, k, n, level+(1-level)/2)
			if wider.Low > i.Low+eps || wider.High < i.High-eps {
				r.Errorf("%s of %d of %d is %v at %v, and %v at a higher level", m, k, n, i, level, wider)
			}
		}
		plain, corrected := mustInterval(r, measure.MethodWilson, k, n, level), mustInterval(r, measure.MethodWilsonCC, k, n, level)
		if corrected.Low > plain.Low+eps || corrected.High < plain.High-eps {
			r.Errorf("corrected %v does not contain Wilson %v", corrected, plain)
		}
	})
}

// The ends are where they are by definition, whatever the inverse of the beta
// function was: P(X >= k) at the lower one and P(X <= k) at the upper are alpha/2.
func TestClopperPearsonEndsWhereTheTailIsHalfOfAlpha(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 400).Draw(r, "n")
		k := rapid.IntRange(0, n).Draw(r, "k")
		level := rapid.Float64Range(0.5, 0.999).Draw(r, "level")
		i := mustInterval(r, measure.MethodClopperPearson, k, n, level)
		tail := func(p float64, from, to int) (sum float64) {
			for x := from; x <= to; x++ {
				sum += distuv.Binomial{N: float64(n), P: p}.Prob(float64(x))
			}
			return sum
		}
		if got := tail(i.Low, k, n); k > 0 && math.Abs(got-(1-level)/2) > 1e-8 {
			r.Errorf("%d of %d: P(X >= k) is %v at %v", k, n, got, i.Low)
		}
		if got := tail(i.High, 0, k); k < n && math.Abs(got-(1-level)/2) > 1e-8 {
			r.Errorf("%d of %d: P(X <= k) is %v at %v", k, n, got, i.High)
		}
	})
}

func TestNothingOfNothingHasNoInterval(t *testing.T) {
	t.Parallel()
	for _, m := range measure.Methods() {
		if i, err := m.Interval(0, 0, 0.95); i != nil || err != nil {
			t.Errorf("%s: %v, %v", m, i, err)
		}
	}
	if p := measure.Proportion(0, 0); p != nil {
		t.Errorf("0 of 0 is %v", *p)
	}
}

func TestWrongInputIsAnErrorThatSaysWhat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method measure.Method
		k, n   int
		level  float64
	}{
		{"wilson", 3, 2, 0.95},
		{"wilson", -1, 2, 0.95},
		{"wilson-cc", 0, -2, 0.95},
		{"wilson-cc", 0, 2, 0},
		{"clopper-pearson", 0, 2, 1},
		{"clopper-pearson", 0, 2, math.NaN()},
		{"clopper-pearson", 0, measure.MaxCount + 1, 0.95},
		{"wald", 1, 2, 0.95},
	} {
		i, err := c.method.Interval(c.k, c.n, c.level)
		if _, ok := errors.AsType[*measure.InputError](err); !ok || i != nil {
			t.Errorf("%+v: %v, %v", c, i, err)
		}
	}
}
