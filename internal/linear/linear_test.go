package linear

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestABoundIsWhatTryingAllWholeNumbersGives(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		// Sums of lines of a table: what is possible in fractions has its ends in whole numbers.
		rows, columns := 2+random.IntN(2), 2
		truth := make([]int, rows*columns)
		for i := range truth {
			truth[i] = random.IntN(5)
		}
		var known []Row
		sum := func(in func(r, c int) bool) {
			row := Row{Factors: map[int]float64{}}
			for i := range truth {
				if in(i/columns, i%columns) {
					row.Factors[i] = 1
					row.Is += float64(truth[i])
				}
			}
			known = append(known, row)
		}
		for r := range rows {
			sum(func(at, _ int) bool { return at == r })
		}
		for c := range columns {
			sum(func(_, at int) bool { return at == c })
		}
		sum(func(_, _ int) bool { return true }) // which follows
		cap := float64(truth[0] + random.IntN(3))
		known = append(known, Row{Factors: map[int]float64{0: 1}, Is: cap, AtMost: true})
		asked := random.IntN(len(truth))
		least, most := math.Inf(1), math.Inf(-1)
		guess := make([]int, len(truth))
		var try func(int)
		// Of a table by two columns the first column says all of it.
		try = func(at int) {
			if at < rows {
				total := int(known[at].Is)
				for guess[2*at] = 0; guess[2*at] <= total; guess[2*at]++ {
					guess[2*at+1] = total - guess[2*at]
					try(at + 1)
				}
				return
			}
			first := 0
			for r := range rows {
				first += guess[2*r]
			}
			if float64(first) == known[rows].Is && float64(guess[0]) <= cap {
				least, most = min(least, float64(guess[asked])), max(most, float64(guess[asked]))
			}
		}
		try(0)
		gotLeast, gotMost, err := New(len(truth), known).Bounds(map[int]float64{asked: 1})
		if err != nil || math.Abs(gotLeast-least) > 1e-6 || math.Abs(gotMost-most) > 1e-6 {
			t.Fatalf("%v: cell %d is %g to %g, not %g to %g (%v)", truth, asked, gotLeast, gotMost, least, most, err)
		}
	}
}

func TestWhatNothingHoldsIsInfiniteAndWhatCannotBeIsAnError(t *testing.T) {
	t.Parallel()
	s := New(3, []Row{{Factors: map[int]float64{0: 1, 1: -1}, Is: 2}})
	if least, most, err := s.Bounds(map[int]float64{0: 1}); err != nil || least != 2 || !math.IsInf(most, 1) {
		t.Errorf("%g to %g, %v", least, most, err)
	}
	if least, most, err := s.Bounds(map[int]float64{2: 1}); err != nil || least != 0 || !math.IsInf(most, 1) {
		t.Errorf("%g to %g, %v", least, most, err)
	}
	none := New(2, []Row{{Factors: map[int]float64{0: 1, 1: 1}, Is: 2}, {Factors: map[int]float64{0: 1}, Is: 3}})
	if _, _, err := none.Bounds(map[int]float64{0: 1}); !errors.Is(err, ErrImpossible) {
		t.Errorf("%v", err)
	}
	negative := New(1, []Row{{Factors: map[int]float64{0: -1}, Is: -4}, {Factors: map[int]float64{0: 1}, Is: 9, AtMost: true}})
	if least, most, err := negative.Bounds(map[int]float64{0: 2}); err != nil || least != 8 || most != 8 {
		t.Errorf("%g to %g, %v", least, most, err)
	}
}

// Numbers of very different size, and rows that nearly follow from others, as shares do.
func TestSharesBesideLargeCountsDoNotSpoilABound(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		truth := make([]float64, 40)
		for i := range truth {
			truth[i] = math.Floor(math.Pow(10, 6*random.Float64())) - 1
		}
		var known []Row
		for k := range 25 {
			row, sum, all := Row{Factors: map[int]float64{}}, 0.0, 0.0
			for i, n := range truth {
				in := random.IntN(3) > 0
				if all += n; in {
					sum += n
				}
				if k%2 == 0 && in {
					row.Factors[i] = 1
				} else if k%2 == 1 {
					row.Factors[i] = -0.37
					if in {
						row.Factors[i] = 0.63
					}
				}
			}
			row.Is, row.AtMost = sum, k%2 == 1
			if row.AtMost {
				row.Is = math.Ceil(sum - 0.37*all)
			}
			known = append(known, row)
		}
		asked := random.IntN(len(truth))
		least, most, err := New(len(truth), known).Bounds(map[int]float64{asked: 1})
		if err != nil || least > truth[asked]+1 || most < truth[asked]-1 {
			t.Fatalf("%g is %g to %g (%v)", truth[asked], least, most, err)
		}
	}
}
