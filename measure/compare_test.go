package measure_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// Chalian et al., AJR 2016: important discrepancies in 331 of 911 oncologic and in
// 279 of 1,415 other cases.
func ExampleChiSquare() {
	test, _ := measure.ChiSquare([][]int{{331, 911 - 331}, {610 - 331, 2326 - 911 - (610 - 331)}}, false)
	fmt.Printf("%.2f, %d degree of freedom, P < 1e-17: %v\n", test.Statistic, test.Freedom, test.P < 1e-17)
	// Output: 79.09, 1 degree of freedom, P < 1e-17: true
}

// Fisher's lady tastes tea: 3 of 4 cups right (Agresti 2013, table 3.9).
func ExampleFisherExact() {
	p, _ := measure.FisherExact(3, 1, 1, 3)
	fmt.Printf("%.4f\n", *p)
	// Output: 0.4857
}

// Newcombe 1998 (17:873), table II, method 10: 56/70 less 48/80, and 5/56 less 0/29.
func ExampleTwoProportions() {
	for _, c := range [][4]int{{56, 70, 48, 80}, {5, 56, 0, 29}} {
		d, _ := measure.TwoProportions(c[0], c[1], c[2], c[3], 0.95)
		fmt.Printf("%.4f (%.4f to %.4f)\n", d.Difference, d.Interval.Low, d.Interval.High)
	}
	// Output:
	// 0.2000 (0.0524 to 0.3339)
	// 0.0893 (-0.0381 to 0.1926)
}

func TestThePooledTestIsTheRootOfChiSquare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		k1, n1, level := anyProportion(r)
		k2, n2, _ := anyProportion(r)
		d, err := measure.TwoProportions(k1, n1, k2, n2, level)
		if err != nil {
			r.Fatal(err)
		}
		if !d.Interval.Contains(d.Difference) || d.Interval.Low < -1 || d.Interval.High > 1 {
			r.Errorf("%v is not in %v", d.Difference, d.Interval)
		}
		square, err := measure.ChiSquare([][]int{{k1, n1 - k1}, {k2, n2 - k2}}, false)
		if err != nil {
			r.Fatal(err)
		}
		if (d.Test == nil) != (square == nil) {
			r.Fatalf("z %v, chi-square %v", d.Test, square)
		}
		if square == nil {
			return
		}
		if z := d.Test.Statistic; math.Abs(z*z-square.Statistic) > 1e-6*max(square.Statistic, 1) {
			r.Errorf("z² %v, chi-square %v", z*z, square.Statistic)
		}
		if math.Abs(d.Test.P-square.P) > 1e-6 {
			r.Errorf("P %v and %v", d.Test.P, square.P)
		}
	})
}

func TestYatesNeverMakesATestMoreSignificant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		cell := rapid.IntRange(0, 60)
		table := [][]int{{cell.Draw(r, "a"), cell.Draw(r, "b")}, {cell.Draw(r, "c"), cell.Draw(r, "d")}}
		plain, err1 := measure.ChiSquare(table, false)
		yates, err2 := measure.ChiSquare(table, true)
		if err := errors.Join(err1, err2); err != nil {
			r.Fatal(err)
		}
		if (plain == nil) != (yates == nil) {
			r.Fatalf("%v and %v", plain, yates)
		}
		if plain != nil && (yates.Statistic > plain.Statistic || yates.P < plain.P) {
			r.Errorf("plain %v, corrected %v", *plain, *yates)
		}
	})
}

// FisherExact against all tables in exact rational arithmetic.
func TestFisherIsTheSumOverAllTables(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		cell := rapid.IntRange(0, 25)
		a, b, c, d := cell.Draw(r, "a"), cell.Draw(r, "b"), cell.Draw(r, "c"), cell.Draw(r, "d")
		got, err := measure.FisherExact(a, b, c, d)
		if err != nil {
			r.Fatal(err)
		}
		if a+b == 0 || c+d == 0 || a+c == 0 || b+d == 0 {
			if got != nil {
				r.Fatalf("an empty margin gives %v", *got)
			}
			return
		}
		ways := func(x int) *big.Int {
			first := new(big.Int).Binomial(int64(a+b), int64(x))
			return first.Mul(first, new(big.Int).Binomial(int64(c+d), int64(a+c-x)))
		}
		total, extreme := new(big.Int), new(big.Int)
		for x := max(0, a-d); x <= min(a+b, a+c); x++ {
			w := ways(x)
			total.Add(total, w)
			if w.Cmp(ways(a)) <= 0 {
				extreme.Add(extreme, w)
			}
		}
		want, _ := new(big.Rat).SetFrac(extreme, total).Float64()
		if math.Abs(*got-want) > 1e-12 {
			r.Errorf("%d %d %d %d: %v, exactly %v", a, b, c, d, *got, want)
		}
	})
}

func TestTestsWithoutVarianceAreUndefined(t *testing.T) {
	t.Parallel()
	none, err := measure.TwoProportions(0, 0, 1, 2, 0.95)
	if none != nil || err != nil {
		t.Errorf("no trials: %v, %v", none, err)
	}
	same, err := measure.TwoProportions(0, 3, 0, 4, 0.95)
	if err != nil || same.Test != nil {
		t.Errorf("never an event: %+v, %v", same, err)
	}
	one, err := measure.ChiSquare([][]int{{3, 4}, {0, 0}}, true)
	if one != nil || err != nil {
		t.Errorf("one row: %v, %v", one, err)
	}
	three, err := measure.ChiSquare([][]int{{3, 0, 4}, {0, 0, 0}, {5, 0, 1}}, false)
	if err != nil || three.Freedom != 1 {
		t.Errorf("empty row and column: %+v, %v", three, err)
	}
}

func TestTablesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for name, table := range map[string][][]int{
		"empty": {}, "no column": {{}}, "ragged": {{1, 2}, {3}}, "negative": {{1, 2}, {3, -4}},
	} {
		if _, err := measure.ChiSquare(table, false); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := measure.CohenKappa(table, measure.Unweighted, 0.95); err == nil {
			t.Errorf("%s: no error of kappa", name)
		}
	}
	if _, err := measure.ChiSquare([][]int{{1, 2, 3}, {4, 5, 6}}, true); err == nil {
		t.Error("Yates with three columns: no error")
	}
	if _, err := measure.FisherExact(1<<30, 1<<30, 1<<30, 1<<30); err == nil {
		t.Error("a table of billions: no error")
	}
}
