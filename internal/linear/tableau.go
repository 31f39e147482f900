package linear

import (
	"errors"
	"math"
)

// errSpoilt is an answer that the equations do not bear out.
var errSpoilt = errors.New("spoilt by rounding")

// tableau is the rows solved for basic unknowns. Its columns are the unknowns that are not
// known to be 0, one for each inequality (what is left to it), one for each row (what it
// lacks, which is 0 in a solution), and what is known.
type tableau struct {
	s       *Solver
	column  []int       // of an unknown; -1: it is 0
	lacks   int         // the first column of what rows lack
	cells   [][]float64 // by row; the last column is what is known
	basic   []int       // by row: the column that it is solved for
	costs   []float64   // of this question, less the prices of the rows; the last is minus its value
	signs   []float64   // by row: -1 where it was turned round
	started bool        // it has a solution
}

// start makes a tableau that has a solution, in an order drawn by lot.
func (s *Solver) start() (*tableau, error) {
	t := &tableau{s: s, column: make([]int, s.size)}
	for i := range t.column {
		t.column[i] = -1
	}
	for _, i := range s.random.Perm(s.size) {
		if !s.zero[i] {
			t.column[i] = t.lacks
			t.lacks++
		}
	}
	left := t.lacks
	for _, r := range s.rows {
		if r.AtMost {
			t.lacks++
		}
	}
	last := t.lacks + len(s.rows)
	t.costs = make([]float64, last+1)
	for k, r := range s.rows {
		row, sign := make([]float64, last+1), 1.0
		if r.Is < 0 {
			sign = -1
		}
		for i, f := range r.Factors {
			row[t.column[i]] = sign * f
		}
		if r.AtMost {
			row[left] = sign
			left++
		}
		row[t.lacks+k], row[last] = 1, sign*r.Is
		t.cells, t.basic, t.signs = append(t.cells, row), append(t.basic, t.lacks+k), append(t.signs, sign)
		for j := range t.lacks {
			t.costs[j] -= row[j]
		}
		t.costs[last] -= row[last]
	}
	if err := t.descend(); err != nil {
		return nil, errSpoilt
	}
	if lack := -t.costs[last]; lack > slackness*s.width {
		return nil, ErrImpossible
	}
	t.started = true
	t.expel()
	return t, nil
}

// expel solves for unknowns what is still solved for what a row lacks. A row that has none
// says nothing that others do not.
func (t *tableau) expel() {
	for k := range t.cells {
		if t.basic[k] < t.lacks {
			continue
		}
		best := -1
		for j := range t.lacks {
			if math.Abs(t.cells[k][j]) > 1e-7 && (best < 0 || math.Abs(t.cells[k][j]) > math.Abs(t.cells[k][best])) {
				best = j
			}
		}
		if best >= 0 {
			t.pivot(k, best)
		}
	}
}

// least is the least value of a sum; minus infinity where nothing holds it.
func (t *tableau) least(target map[int]float64) (float64, error) {
	last := len(t.costs) - 1
	given := make([]float64, last+1)
	for i, f := range target {
		if c := t.column[i]; c >= 0 {
			given[c] += f
		}
	}
	copy(t.costs, given)
	for k, j := range t.basic {
		if f := given[j]; f != 0 {
			for c, cell := range t.cells[k] {
				t.costs[c] -= f * cell
			}
		}
	}
	err := t.descend()
	if errors.Is(err, errUnbounded) {
		return math.Inf(-1), nil
	}
	if err != nil {
		return 0, err
	}
	return t.shown(given)
}

// shown is the value that was found, if the rows as they were given bear it out: the
// unknowns meet them, and with the prices of the rows no unknown is worth raising.
func (t *tableau) shown(given []float64) (float64, error) {
	last, small := len(t.costs)-1, slackness*t.s.width
	values := make([]float64, last)
	for k, j := range t.basic {
		if values[j] = t.cells[k][last]; values[j] < -small || j >= t.lacks && values[j] > small {
			return 0, errSpoilt
		}
	}
	reduced := make([]float64, t.lacks)
	copy(reduced, given)
	left, dual, primal := t.free(), 0.0, 0.0
	for k, r := range t.s.rows {
		price := -t.costs[t.lacks+k] * t.signs[k] // of one more of what is known
		dual += price * r.Is
		sum := 0.0
		for i, f := range r.Factors {
			sum += f * values[t.column[i]]
			reduced[t.column[i]] -= price * f
		}
		if r.AtMost {
			sum += values[left]
			reduced[left] -= price
			left++
		}
		if math.Abs(sum-r.Is) > small {
			return 0, errSpoilt
		}
	}
	for j, cost := range reduced {
		if primal += given[j] * values[j]; cost < -slackness {
			return 0, errSpoilt
		}
	}
	if math.Abs(primal-dual) > small {
		return 0, errSpoilt
	}
	return primal, nil
}

// free is the first column of what is left to inequalities.
func (t *tableau) free() int {
	n := 0
	for _, c := range t.column {
		if c >= 0 {
			n++
		}
	}
	return n
}

var errUnbounded = errors.New("nothing holds it")

// descend lowers the value as far as it goes.
func (t *tableau) descend() error {
	last := len(t.costs) - 1
	for steps, idle := 0, 0; ; steps++ {
		if steps > 200*(len(t.cells)+last) {
			return errSpoilt
		}
		enter := t.enter(idle > 2*len(t.cells)+20)
		if enter < 0 {
			return nil
		}
		leave := t.leave(enter)
		if leave < 0 {
			return errUnbounded
		}
		before := t.costs[last]
		t.pivot(leave, enter)
		if idle++; t.costs[last] > before+tolerance {
			idle = 0
		}
	}
}

// enter is a column that lowers the value: the one that lowers it most by each unit, or
// (Bland) the first.
func (t *tableau) enter(first bool) int {
	best := -1
	for j := range t.lacks {
		if t.costs[j] < -tolerance && (best < 0 || t.costs[j] < t.costs[best]) {
			if best = j; first {
				break
			}
		}
	}
	return best
}

// leave is the row that first stops a column that enters; of several that with the largest
// cell, for the sake of rounding. What a row lacks stays 0 once there is a solution.
func (t *tableau) leave(enter int) int {
	last, best, bound := len(t.costs)-1, -1, 0.0
	for k, row := range t.cells {
		cell := row[enter]
		if t.started && t.basic[k] >= t.lacks && math.Abs(cell) > 1e-7 {
			return k
		}
		if cell <= tolerance {
			continue
		}
		ratio := max(row[last], 0) / cell
		if best < 0 || ratio < bound-tolerance || ratio < bound+tolerance && cell > t.cells[best][enter] {
			best, bound = k, ratio
		}
	}
	return best
}

func (t *tableau) pivot(k, j int) {
	row := t.cells[k]
	f := 1 / row[j]
	var some []int // columns that are not 0
	for c := range row {
		if row[c] *= f; math.Abs(row[c]) < 1e-12 {
			row[c] = 0
		} else {
			some = append(some, c)
		}
	}
	row[j] = 1
	clear := func(other []float64) {
		if g := other[j]; g != 0 {
			for _, c := range some {
				other[c] -= g * row[c]
			}
			other[j] = 0
		}
	}
	for i, other := range t.cells {
		if i != k {
			clear(other)
		}
	}
	clear(t.costs)
	t.basic[k] = j
}
