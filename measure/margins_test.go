package measure_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/overread/overread/measure"
)

// Unaided distance vision of 7,477 women, right eye by left eye: the example in which Stuart
// published the test (Biometrika 1955), 11.96 with three degrees of freedom.
func ExampleMarginalHomogeneity() {
	t, err := measure.MarginalHomogeneity([][]int{{1520, 266, 124, 66}, {234, 1512, 432, 78}, {117, 362, 1772, 205}, {36, 82, 179, 492}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f, %d, p %.4f\n", t.Statistic, t.Freedom, t.P)
	// Output: 11.96, 3, p 0.0075
}

// Of two categories it is McNemar's; where some are never used or never confused with others
// it is the sum of what it is of the others.
func TestMarginalHomogeneityIsThatOfCategoriesThatAreConfused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string, least int) int { return rapid.IntRange(least, 300).Draw(t, name) }
		one, two := [][]int{{n("a", 0), n("b", 1)}, {n("c", 1), n("d", 0)}}, [][]int{{n("e", 0), n("f", 1)}, {n("g", 1), n("h", 0)}}
		mcNemar := func(table [][]int) float64 {
			b, c := float64(table[0][1]), float64(table[1][0])
			return (b - c) * (b - c) / (b + c)
		}
		apart := [][]int{
			{one[0][0], 0, one[0][1], 0, 0},
			{0, two[0][0], 0, two[0][1], 0},
			{one[1][0], 0, one[1][1], 0, 0},
			{0, two[1][0], 0, two[1][1], 0},
			{0, 0, 0, 0, n("never", 0)},
		}
		for _, tt := range []struct {
			table   [][]int
			want    float64
			freedom int
		}{{one, mcNemar(one), 1}, {apart, mcNemar(one) + mcNemar(two), 2}} {
			got, err := measure.MarginalHomogeneity(tt.table)
			if err != nil || got == nil || got.Freedom != tt.freedom || math.Abs(got.Statistic-tt.want) > 1e-9*max(1, tt.want) {
				t.Fatalf("%v: %+v %v, not %v", tt.table, got, err, tt.want)
			}
		}
	})
	if got, err := measure.MarginalHomogeneity([][]int{{5, 0, 0}, {0, 3, 0}, {0, 0, 0}}); got != nil || err != nil {
		t.Errorf("where all agree: %+v %v", got, err)
	}
	for _, table := range [][][]int{nil, {{1}}, {{1, 2}}, {{1, -2}, {3, 4}}} {
		if _, err := measure.MarginalHomogeneity(table); err == nil {
			t.Errorf("%v has no fault", table)
		}
	}
}
