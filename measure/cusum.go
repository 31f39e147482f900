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
// within it may be missed. RunLength tells how often a threshold signals without a cause where
// steps are cases, SteppedRunLength where they are as large as these.
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
