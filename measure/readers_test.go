package measure_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// The table of Fleiss 1971 as it is often retold: ten cases, fourteen readers, five
// categories.
var fleiss = []measure.Ratings{
	{Counts: []int{0, 0, 0, 0, 14}, Times: 1}, {Counts: []int{0, 2, 6, 4, 2}, Times: 1},
	{Counts: []int{0, 0, 3, 5, 6}, Times: 1}, {Counts: []int{0, 3, 9, 2, 0}, Times: 1},
	{Counts: []int{2, 2, 8, 1, 1}, Times: 1}, {Counts: []int{7, 7, 0, 0, 0}, Times: 1},
	{Counts: []int{3, 2, 6, 3, 0}, Times: 1}, {Counts: []int{2, 5, 3, 2, 2}, Times: 1},
	{Counts: []int{6, 5, 2, 1, 0}, Times: 1}, {Counts: []int{0, 2, 2, 3, 7}, Times: 1},
}

func ExampleFleissKappa() {
	a, _ := measure.FleissKappa(fleiss, 0.95)
	fmt.Printf("observed %.3f, expected %.3f, kappa %.3f\n", *a.Observed, *a.Expected, *a.Value)
	// Output: observed 0.378, expected 0.213, kappa 0.210
}

// Where one category is rare, kappa says that two readers who agree in 118 of 125
// cases do so by chance; AC1 does not (Gwet 2008, table 3).
func ExampleGwetAC1() {
	pairs := []measure.Ratings{{Counts: []int{2, 0}, Times: 118}, {Counts: []int{1, 1}, Times: 7}, {Counts: []int{0, 2}, Times: 0}}
	ac1, _ := measure.GwetAC1(pairs, 0.95)
	kappa, _ := measure.FleissKappa(pairs, 0.95)
	fmt.Printf("AC1 %.3f, kappa %.3f\n", *ac1.Value, *kappa.Value)
	// Output: AC1 0.941, kappa -0.029
}

func anyRatings(r *rapid.T) []measure.Ratings {
	categories := rapid.IntRange(2, 4).Draw(r, "categories")
	rows := rapid.IntRange(0, 12).Draw(r, "rows")
	out := make([]measure.Ratings, rows)
	for i := range out {
		out[i] = measure.Ratings{
			Counts: rapid.SliceOfN(rapid.IntRange(0, 4), categories, categories).Draw(r, "counts"),
			Times:  rapid.IntRange(0, 5).Draw(r, "times"),
		}
	}
	return out
}

func TestAgreementOfManyReadersIsANumberOrNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		ratings := anyRatings(r)
		for name, f := range map[string]func([]measure.Ratings, float64) (*measure.Agreement, error){
			"Fleiss": measure.FleissKappa, "AC1": measure.GwetAC1,
		} {
			a, err := f(ratings, 0.95)
			if err != nil {
				r.Fatal(err)
			}
			for _, x := range []*float64{a.Observed, a.Expected, a.Value, a.SE, a.SE0} {
				if x != nil && (math.IsNaN(*x) || math.IsInf(*x, 0)) {
					r.Fatalf("%s: %+v has %v", name, a, *x)
				}
			}
			if a.Value == nil && (a.SE != nil || a.Interval != nil) {
				r.Errorf("%s: an error of nothing: %+v", name, a)
			}
			if a.Interval != nil && !a.Interval.Contains(*a.Value) {
				r.Errorf("%s: %v is not in %v", name, *a.Value, *a.Interval)
			}
			// Grouping is a matter of cost only.
			var single []measure.Ratings
			for _, x := range ratings {
				for range x.Times {
					single = append(single, measure.Ratings{Counts: x.Counts, Times: 1})
				}
			}
			if b, err := f(single, 0.95); err != nil || !alike(a.Value, b.Value) || !alike(a.SE, b.SE) || !alike(a.SE0, b.SE0) || a.Cases != b.Cases {
				r.Errorf("%s: grouped %+v, single %+v, %v", name, a, b, err)
			}
		}
	})
}

func alike(a, b *float64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return math.Abs(*a-*b) <= 1e-9*max(1, math.Abs(*a))
}

func TestTheErrorOfManyReadersIsThatOfABootstrap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2008, 29))
	var cases []measure.Ratings
	for range 300 { // three to five readers, who agree fairly well on three categories
		truth, counts := random.IntN(3), make([]int, 3)
		for range 3 + random.IntN(3) {
			if random.Float64() < 0.7 {
				counts[truth]++
			} else {
				counts[random.IntN(3)]++
			}
		}
		cases = append(cases, measure.Ratings{Counts: counts, Times: 1})
	}
	for name, f := range map[string]func([]measure.Ratings, float64) (*measure.Agreement, error){
		"Fleiss": measure.FleissKappa, "AC1": measure.GwetAC1,
	} {
		a, err := f(cases, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float64, 2000)
		for i := range values {
			drawn := make([]measure.Ratings, len(cases))
			for j := range drawn {
				drawn[j] = cases[random.IntN(len(cases))]
			}
			b, err := f(drawn, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			values[i] = *b.Value
		}
		if spread := deviation(values); math.Abs(spread / *a.SE - 1) > 0.08 {
			t.Errorf("%s: SE %.4f, bootstrap %.4f", name, *a.SE, spread)
		}
	}
}

func TestManyReadersOfOneCategoryHaveNoKappaButAC1(t *testing.T) {
	t.Parallel()
	all := []measure.Ratings{{Counts: []int{3, 0}, Times: 20}}
	kappa, err := measure.FleissKappa(all, 0.95)
	if err != nil || kappa.Value != nil || *kappa.Observed != 1 {
		t.Errorf("kappa %+v, %v", kappa, err)
	}
	ac1, err := measure.GwetAC1(all, 0.95)
	if err != nil || *ac1.Value != 1 || ac1.Interval != nil {
		t.Errorf("AC1 %+v, %v", ac1, err)
	}
	lonely, err := measure.GwetAC1([]measure.Ratings{{Counts: []int{1, 0}, Times: 20}}, 0.95)
	if err != nil || lonely.Value != nil || lonely.Observed != nil || lonely.Cases != 20 {
		t.Errorf("one reader each: %+v, %v", lonely, err)
	}
	if none, err := measure.GwetAC1(nil, 0.95); err != nil || none.Value != nil {
		t.Errorf("nothing: %+v, %v", none, err)
	}
	for name, bad := range map[string][]measure.Ratings{
		"ragged": {{Counts: []int{1, 1}, Times: 1}, {Counts: []int{1}, Times: 1}}, "one category": {{Counts: []int{1}, Times: 1}},
		"negative": {{Counts: []int{1, -1}, Times: 1}}, "less than no case": {{Counts: []int{1, 1}, Times: -1}},
	} {
		if _, err := measure.FleissKappa(bad, 0.95); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
