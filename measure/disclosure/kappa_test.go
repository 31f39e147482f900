package disclosure_test

import (
	"math"
	"testing"

	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/disclosure"
)

// Why no kappa is published: whoever has it in two decimals, with the number of cases and the
// agreement, tries all tables of four counts, and few or one are left.
func TestARoundedKappaGivesAwayTheFewBehindIt(t *testing.T) {
	t.Parallel()
	for _, truth := range [][4]int{{8, 3, 4, 105}, {14, 6, 5, 175}, {5, 2, 3, 190}} {
		n := truth[0] + truth[1] + truth[2] + truth[3]
		told := func(c [4]int) (kappa, agreement float64, ok bool) {
			k, err := measure.CohenKappa([][]int{{c[0], c[1]}, {c[2], c[3]}}, measure.Unweighted, 0.95)
			if err != nil || k == nil || k.Kappa == nil {
				return 0, 0, false
			}
			return math.Round(100 * *k.Kappa), math.Round(100 * float64(c[0]+c[3]) / float64(n)), true
		}
		kappa, agreement, ok := told(truth)
		if !ok {
			t.Fatalf("%v has no kappa", truth)
		}
		least, most := n, 0 // how often the two disagree, in tables that look the same
		for a := range n + 1 {
			for b := range n + 1 - a {
				for c := range n + 1 - a - b {
					table := [4]int{a, b, c, n - a - b - c}
					if math.Round(100*float64(n-b-c)/float64(n)) != agreement {
						continue
					}
					if k, _, ok := told(table); ok && k == kappa {
						least, most = min(least, b+c), max(most, b+c)
					}
				}
			}
		}
		if width := most - least + 1; width >= disclosure.Standard.Width {
			t.Errorf("of %v disagreement is %d to %d: that would be wide enough, and kappa could be published", truth, least, most)
		}
	}
}
