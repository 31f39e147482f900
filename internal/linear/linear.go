// Package linear says between which values a sum of unknowns lies of which other sums
// are known: linear programming, for the tests that attack what is published.
//
// It is the simplex method over a whole tableau (Dantzig 1951; Bland's rule, Mathematics
// of Operations Research 1977;2:103, once steps bring nothing). Every answer is held to the
// equations as they were given: the unknowns that reach it must meet them, and the prices
// of the equations (the dual solution) must show that no others reach more. Where rounding
// has spoilt that, the tableau is made anew in another order; an answer that cannot be
// shown is an error, and never a guess.
package linear

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Row is something known: the sum of unknowns, each times its factor, is (or is at most)
// so much.
type Row struct {
	Factors map[int]float64
	Is      float64
	AtMost  bool
}

// Why there is no answer.
var (
	ErrImpossible = errors.New("no unknowns meet what is known")
	ErrUncertain  = errors.New("rounding spoilt every try")
)

const (
	tolerance = 1e-9 // of a step
	slackness = 1e-6 // of an answer, for each unit of what is known
	tries     = 8    // orders of the unknowns that are tried
)

// Solver knows the rows. It is not for several goroutines.
type Solver struct {
	size   int
	zero   []bool // unknowns that can only be 0
	rows   []Row
	width  float64 // the largest number that is known, 1 at the least
	random *rand.Rand
	t      *tableau // which has a solution; nil: to be made
}

// New takes what is known of so many unknowns, none below 0.
func New(size int, rows []Row) *Solver {
	s := &Solver{size: size, zero: make([]bool, size), width: 1, random: rand.New(rand.NewPCG(1, 1))}
	for changed := true; changed; {
		changed = false
		for _, r := range rows {
			if r.Is != 0 || !s.positive(r) {
				continue
			}
			for i, f := range r.Factors {
				if f > 0 && !s.zero[i] {
					s.zero[i], changed = true, true
				}
			}
		}
	}
	for _, r := range rows {
		s.width = max(s.width, math.Abs(r.Is))
		kept := Row{Factors: map[int]float64{}, Is: r.Is, AtMost: r.AtMost}
		for i, f := range r.Factors {
			if f != 0 && !s.zero[i] {
				kept.Factors[i] = f
			}
		}
		if len(kept.Factors) > 0 || r.Is != 0 && !(r.AtMost && r.Is > 0) {
			s.rows = append(s.rows, kept)
		}
	}
	return s
}

// positive says that no factor of a row is below 0, but of unknowns that are 0.
func (s *Solver) positive(r Row) bool {
	for i, f := range r.Factors {
		if f < 0 && !s.zero[i] {
			return false
		}
	}
	return true
}

// Bounds is what the sum of unknowns, each times its factor, is at the least and at the
// most; infinite where nothing holds it.
func (s *Solver) Bounds(target map[int]float64) (least, most float64, err error) {
	if least, err = s.Least(target); err != nil {
		return 0, 0, err
	}
	negative := make(map[int]float64, len(target))
	for i, f := range target {
		negative[i] = -f
	}
	most, err = s.Least(negative)
	return least, -most, err
}

// Least is the least value of a sum.
func (s *Solver) Least(target map[int]float64) (float64, error) {
	for range tries {
		if s.t == nil {
			var err error
			if s.t, err = s.start(); errors.Is(err, errSpoilt) {
				continue
			} else if err != nil {
				return 0, err
			}
		}
		value, err := s.t.least(target)
		if err == nil {
			return value, nil
		}
		s.t = nil
	}
	return 0, fmt.Errorf("%d unknowns, %d rows: %w", s.size, len(s.rows), ErrUncertain)
}
