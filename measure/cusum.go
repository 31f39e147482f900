package measure

import "math"

// Step is one thing that a CUSUM looks at: Trials cases, most often one, that had
// Events, where each had the probability Expected of one.
type Step struct {
	Events, Trials int
	Expected       float64
}

// CUSUM adds up the evidence that the odds of an event have changed.
type CUSUM struct {
	Points  []float64 // after each step, never below 0; the one that signals is shown before it starts again
	Signals []int     // the steps, from 0, at which it reached the threshold
}

// NewCUSUM is the risk-adjusted CUSUM for a change of the odds by a factor: above 1
// it watches for more events than expected, below 1 for fewer. With p expected and R
// the factor, a case with an event adds the first, one without the second:
//
//	ln(R/(1 - p + R·p))      ln(1/(1 - p + R·p))
//
// The sum never falls below 0. At the threshold it signals, and starts again at 0. Of a
// step of several cases the order is not known; it counts as a whole, so that a signal
// within it may be missed. RunLength tells how often a threshold signals without a cause.
// Source: Steiner, Cook, Farewell, Treasure 2000, Biostatistics 1:441; the binomial
// likelihood ratio of Page 1954, Biometrika 41:100, where all p are the same.
func NewCUSUM(steps []Step, odds, threshold float64) (*CUSUM, error) {
	if err := checkCUSUM(odds, threshold); err != nil {
		return nil, err
	}
	c := &CUSUM{Points: make([]float64, len(steps))}
	sum := 0.0
	for i, s := range steps {
		if err := checkProportion(s.Events, s.Trials); err != nil {
			return nil, err
		}
		if err := checkExpected(s.Expected); err != nil {
			return nil, err
		}
		event, none := evidence(s.Expected, odds)
		sum = max(sum+float64(s.Events)*event+float64(s.Trials-s.Events)*none, 0)
		c.Points[i] = sum
		if sum >= threshold {
			c.Signals = append(c.Signals, i)
			sum = 0
		}
	}
	return c, nil
}

// evidence is what a case with an event adds, and one without.
func evidence(expected, odds float64) (event, none float64) {
	none = -math.Log1p((odds - 1) * expected)
	return math.Log(odds) + none, none
}

func checkCUSUM(odds, threshold float64) error {
	switch {
	case !(odds > 0) || odds == 1 || math.IsInf(odds, 1):
		return wrong("%v: the factor of the odds to watch for is above 0 and not 1, as 2 for twice the odds", odds)
	case !(threshold > 0) || math.IsInf(threshold, 1):
		return wrong("%v: a threshold is above 0", threshold)
	}
	return nil
}

func checkExpected(p float64) error {
	if !(p > 0 && p < 1) {
		return wrong("%v: the expected probability of an event is above 0 and below 1", p)
	}
	return nil
}

// RunLength is the mean number of cases until a CUSUM signals that watches for odds
// changed by a factor, cases being expected to have an event with probability expected
// while they have it with probability actual. With actual = expected it is how often
// nothing causes a signal; with the changed odds, how long a change goes unnoticed.
//
// It solves L(x) = 1 + actual·L(x + event) + (1 - actual)·L(x + none), where below 0 is 0, L being 0
// from the threshold on, on a grid with linear interpolation; within 2 % of a simulation
// where the threshold is above three steps of an event. Nil where it never signals, or
// so rarely that the number means nothing (above 1e12).
// Source: Brook, Evans 1972, Biometrika 59:539, for the idea.
func RunLength(expected, actual, odds, threshold float64) (*float64, error) {
	if err := checkCUSUM(odds, threshold); err != nil {
		return nil, err
	}
	if err := checkExpected(expected); err != nil {
		return nil, err
	}
	if !(actual >= 0 && actual <= 1) {
		return nil, wrong("%v: the actual probability of an event is from 0 to 1", actual)
	}
	event, none := evidence(expected, odds)
	rows := make([][]float64, gridPoints)
	for i := range rows {
		x := threshold * float64(i) / gridPoints
		row := make([]float64, gridPoints+1)
		row[i], row[gridPoints] = 1, 1
		spread(row, (x+event)/threshold, -actual)
		spread(row, (x+none)/threshold, actual-1)
		rows[i] = row
	}
	length, ok := solve(rows)
	if !ok || !(length >= 1 && length < 1e12) {
		return nil, nil
	}
	return &length, nil
}

const gridPoints = 400

// spread adds a share to the two grid points beside a place, which is in thresholds.
// Beyond the threshold nothing remains, below 0 it is 0.
func spread(row []float64, place, share float64) {
	if place >= 1-1e-12 {
		return
	}
	at := max(place, 0) * gridPoints
	i := int(at)
	row[i] += share * (1 - (at - float64(i)))
	if i+1 < gridPoints {
		row[i+1] += share * (at - float64(i))
	}
}

// solve is the first unknown of linear equations, the last column being the right
// side, by elimination with row pivots.
func solve(rows [][]float64) (float64, bool) {
	n := len(rows)
	for c := n - 1; c >= 0; c-- {
		best := c
		for r := range c {
			if math.Abs(rows[r][c]) > math.Abs(rows[best][c]) {
				best = r
			}
		}
		rows[c], rows[best] = rows[best], rows[c]
		if math.Abs(rows[c][c]) < 1e-13 {
			return 0, false
		}
		for r := range c {
			factor := rows[r][c] / rows[c][c]
			if factor == 0 {
				continue
			}
			for k := range c {
				rows[r][k] -= factor * rows[c][k]
			}
			rows[r][n] -= factor * rows[c][n]
		}
	}
	return rows[0][n] / rows[0][0], true
}
