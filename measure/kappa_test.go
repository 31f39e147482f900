package measure_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// Wibmer et al., AJR 2015;205:W73: extracapsular extension on prostate MRI. The paper
// prints 0.35.
func ExampleCohenKappa() {
	k, _ := measure.CohenKappa([][]int{{11, 1}, {20, 39}}, measure.Unweighted, 0.95)
	fmt.Printf("%.4f, SE %.4f (%.3f to %.3f)\n", *k.Kappa, *k.SE, k.Interval.Low, k.Interval.High)
	// Output: 0.3543, SE 0.0953 (0.167 to 0.541)
}

// What SAS's PROC FREQ prints of this table, as the tests of statsmodels have it:
// 0.4842, 0.1380, 0.2137, 0.7547; of the test 0.1484, 3.2626, 0.0011.
func ExampleCohenKappa_sas() {
	k, _ := measure.CohenKappa([][]int{{0, 4, 1}, {0, 8, 0}, {0, 1, 5}}, measure.Unweighted, 0.95)
	fmt.Printf("%.4f, ASE %.4f (%.4f to %.4f)\n", *k.Kappa, *k.SE, k.Interval.Low, k.Interval.High)
	fmt.Printf("ASE under H0 %.4f, Z %.4f, P %.4f\n", *k.SE0, k.Test.Statistic, k.Test.P)
	// Output:
	// 0.4842, ASE 0.1380 (0.2137 to 0.7547)
	// ASE under H0 0.1484, Z 3.2626, P 0.0011
}

// Byrt, Bishop and Carlin 1993 on why 2x2 tables with the same agreement have other kappas.
func ExamplePrevalenceAndBias() {
	for _, t := range [][4]int{{40, 9, 6, 45}, {80, 10, 5, 5}} { // Feinstein, Cicchetti 1990
		k, _ := measure.CohenKappa([][]int{{t[0], t[1]}, {t[2], t[3]}}, measure.Unweighted, 0.95)
		b, _ := measure.PrevalenceAndBias(t[0], t[1], t[2], t[3], 0.95)
		fmt.Printf("agreement %.2f, kappa %.2f, prevalence %.2f, bias %.2f, PABAK %.2f\n",
			k.Observed, *k.Kappa, b.Prevalence, b.Bias, b.PABAK)
	}
	// Output:
	// agreement 0.85, kappa 0.70, prevalence -0.05, bias 0.03, PABAK 0.70
	// agreement 0.85, kappa 0.32, prevalence 0.75, bias 0.05, PABAK 0.70
}

func anySquare(r *rapid.T) [][]int {
	size := rapid.IntRange(2, 5).Draw(r, "categories")
	most := rapid.SampledFrom([]int{2, 30, 5000}).Draw(r, "most")
	table := make([][]int, size)
	for i := range table {
		table[i] = rapid.SliceOfN(rapid.IntRange(0, most), size, size).Draw(r, "row")
	}
	return table
}

func TestKappaIsWhatItsDefinitionSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		table := anySquare(r)
		weights := rapid.SampledFrom([]measure.Weights{measure.Unweighted, measure.Linear, measure.Quadratic}).Draw(r, "weights")
		k, err := measure.CohenKappa(table, weights, 0.95)
		if err != nil {
			r.Fatal(err)
		}
		if k.Kappa == nil {
			return
		}
		for _, x := range []float64{*k.Kappa, *k.SE, *k.SE0, k.Observed, k.Expected} {
			if math.IsNaN(x) || math.IsInf(x, 0) || x > 1 && x != *k.SE && x != *k.SE0 {
				r.Fatalf("%+v: kappa %v, SE %v, SE0 %v", k, *k.Kappa, *k.SE, *k.SE0)
			}
		}
		if want := (k.Observed - k.Expected) / (1 - k.Expected); math.Abs(*k.Kappa-want) > 1e-9 {
			r.Errorf("kappa %v, by definition %v", *k.Kappa, want)
		}
		if k.Interval != nil && !k.Interval.Contains(*k.Kappa) {
			r.Errorf("%v is not in %v", *k.Kappa, *k.Interval)
		}
		// It is the same whoever is called the first, and from either end of the scale.
		turned, reversed := make([][]int, len(table)), make([][]int, len(table))
		for i := range table {
			turned[i], reversed[i] = make([]int, len(table)), make([]int, len(table))
			for j := range table {
				turned[i][j] = table[j][i]
				reversed[i][j] = table[len(table)-1-i][len(table)-1-j]
			}
		}
		for name, other := range map[string][][]int{"turned": turned, "reversed": reversed} {
			o, err := measure.CohenKappa(other, weights, 0.95)
			if err != nil || math.Abs(*o.Kappa-*k.Kappa) > 1e-9 || math.Abs(*o.SE-*k.SE) > 1e-7 || math.Abs(*o.SE0-*k.SE0) > 1e-7 {
				r.Errorf("%s: %+v, not %+v (%v)", name, o, k, err)
			}
		}
		if len(table) == 2 && weights != measure.Unweighted {
			plain, _ := measure.CohenKappa(table, measure.Unweighted, 0.95)
			if math.Abs(*plain.Kappa-*k.Kappa) > 1e-12 {
				r.Errorf("two categories: weighted %v, unweighted %v", *k.Kappa, *plain.Kappa)
			}
		}
	})
}

// A brute-force bootstrap knows no formula: it draws the cases again, with
// replacement, and looks at how kappa spreads.
func TestTheErrorOfKappaIsThatOfABootstrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		table   [][]int
		weights measure.Weights
	}{
		{"two categories", [][]int{{110, 10}, {60, 220}}, measure.Unweighted},
		{"three, unweighted", [][]int{{106, 10, 4}, {22, 28, 10}, {2, 12, 6}}, measure.Unweighted},
		{"three, linear", [][]int{{106, 10, 4}, {22, 28, 10}, {2, 12, 6}}, measure.Linear},
		{"three, quadratic", [][]int{{106, 10, 4}, {22, 28, 10}, {2, 12, 6}}, measure.Quadratic},
		{"four, linear", [][]int{{40, 12, 5, 3}, {9, 50, 14, 4}, {6, 11, 45, 10}, {1, 5, 12, 60}}, measure.Linear},
	} {
		k, err := measure.CohenKappa(c.table, c.weights, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		values := bootstrapped(t, c.table, c.weights, 4000)
		if spread := deviation(values); math.Abs(spread / *k.SE - 1) > 0.06 {
			t.Errorf("%s: SE %.4f, bootstrap %.4f", c.name, *k.SE, spread)
		}
		slices.Sort(values)
		low, high := values[len(values)/40], values[len(values)-len(values)/40]
		if math.Abs(low-k.Interval.Low) > *k.SE/3 || math.Abs(high-k.Interval.High) > *k.SE/3 {
			t.Errorf("%s: interval %v, bootstrap %.3f to %.3f", c.name, *k.Interval, low, high)
		}
		// SE0: the same margins, no association.
		if spread := deviation(bootstrapped(t, independent(c.table), c.weights, 4000)); math.Abs(spread / *k.SE0 - 1) > 0.08 {
			t.Errorf("%s: SE0 %.4f, bootstrap %.4f", c.name, *k.SE0, spread)
		}
	}
}

func bootstrapped(t *testing.T, table [][]int, weights measure.Weights, rounds int) []float64 {
	t.Helper()
	random := rand.New(rand.NewPCG(1969, 323))
	var cells [][2]int
	for i, row := range table {
		for j, count := range row {
			for range count {
				cells = append(cells, [2]int{i, j})
			}
		}
	}
	values := make([]float64, rounds)
	for r := range values {
		drawn := make([][]int, len(table))
		for i := range drawn {
			drawn[i] = make([]int, len(table))
		}
		for range cells {
			c := cells[random.IntN(len(cells))]
			drawn[c[0]][c[1]]++
		}
		k, err := measure.CohenKappa(drawn, weights, 0.95)
		if err != nil || k.Kappa == nil {
			t.Fatalf("%v: %+v, %v", drawn, k, err)
		}
		values[r] = *k.Kappa
	}
	return values
}

// independent is a table with about the margins of another and no association.
func independent(table [][]int) [][]int {
	rows, columns, n := make([]int, len(table)), make([]int, len(table)), 0
	for i, row := range table {
		for j, count := range row {
			rows[i] += count
			columns[j] += count
			n += count
		}
	}
	out := make([][]int, len(table))
	for i := range out {
		for j := range columns {
			out[i] = append(out[i], (rows[i]*columns[j]+n/2)/n)
		}
	}
	return out
}

func deviation(values []float64) float64 {
	mean, sum := 0.0, 0.0
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(values)-1))
}

func TestKappaIsUndefinedWhereChanceAgreesWithEverything(t *testing.T) {
	t.Parallel()
	for name, table := range map[string][][]int{
		"no case": {{0, 0}, {0, 0}}, "one category": {{12, 0}, {0, 0}}, "one of three": {{0, 0, 0}, {0, 0, 0}, {0, 0, 9}},
	} {
		k, err := measure.CohenKappa(table, measure.Linear, 0.95)
		if err != nil || k.Kappa != nil || k.SE != nil || k.SE0 != nil || k.Interval != nil || k.Test != nil {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
	}
	perfect, err := measure.CohenKappa([][]int{{5, 0}, {0, 7}}, measure.Unweighted, 0.95)
	if err != nil || *perfect.Kappa != 1 || perfect.Interval != nil || perfect.Test == nil {
		t.Errorf("all agree: %+v, %v", perfect, err)
	}
	// Each has a margin of one category, but not the same one: chance agrees never.
	never, err := measure.CohenKappa([][]int{{0, 8}, {0, 0}}, measure.Unweighted, 0.95)
	if err != nil || *never.Kappa != 0 || never.Interval != nil {
		t.Errorf("never agree: %+v, %v", never, err)
	}
}

func TestPABAKIsAgreementOnItsOwnScale(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		cell := rapid.IntRange(0, 50)
		a, b, c, d := cell.Draw(r, "a"), cell.Draw(r, "b"), cell.Draw(r, "c"), cell.Draw(r, "d")
		bias, err1 := measure.PrevalenceAndBias(a, b, c, d, 0.95)
		value, interval, err2 := measure.PABAK([][]int{{a, b}, {c, d}}, 0.95)
		k, err3 := measure.CohenKappa([][]int{{a, b}, {c, d}}, measure.Unweighted, 0.95)
		if err := errors.Join(err1, err2, err3); err != nil {
			r.Fatal(err)
		}
		if a+b+c+d == 0 {
			if bias != nil || value != nil || interval != nil {
				r.Fatalf("no case: %v, %v, %v", bias, value, interval)
			}
			return
		}
		if math.Abs(bias.PABAK-*value) > 1e-12 || math.Abs(bias.Interval.Low-interval.Low) > 1e-12 || !interval.Contains(*value) {
			r.Errorf("%+v, %v %v", bias, *value, *interval)
		}
		if (bias.Most == nil) != (k.Kappa == nil) {
			r.Fatalf("highest kappa %v, kappa %v", bias.Most, k.Kappa)
		}
		if k.Kappa == nil {
			return
		}
		if *k.Kappa > *bias.Most+1e-9 {
			r.Errorf("kappa %v is above the highest, %v", *k.Kappa, *bias.Most)
		}
		// Byrt, Bishop, Carlin 1993: kappa = (PABAK - PI² + BI²)/(1 - PI² + BI²).
		adjust := bias.Prevalence*bias.Prevalence - bias.Bias*bias.Bias
		if want := (bias.PABAK - adjust) / (1 - adjust); math.Abs(*k.Kappa-want) > 1e-9 {
			r.Errorf("kappa %v, by its indices %v", *k.Kappa, want)
		}
	})
}
