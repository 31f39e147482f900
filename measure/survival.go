package measure

import (
	"math"
	"slices"
)

// Times is how many cases ended at a time since they began, and how many were still
// open when last looked at, at that time. The unit is the caller's.
type Times struct {
	At               float64
	Events, Censored int
}

// Survival is the share of cases that are still open, over time: of turnaround, whose
// open cases are neither left out, which would flatter, nor taken for done.
type Survival struct {
	Cases, Events int
	Last          float64 // the longest time at which a case was seen; nothing is known beyond
	Steps         []SurvivalStep
	level         float64
}

// SurvivalStep is what holds from a time, at which cases ended, to the next.
type SurvivalStep struct {
	At       float64
	AtRisk   int       // open just before
	Events   int       // ended at this time
	Open     float64   // share still open
	SE       *float64  // Greenwood's; nil where none is open
	Interval *Interval // by ln(-ln), so within 0 and 1; nil where none is open
}

// KaplanMeier is the product-limit estimate. With n at risk and d ended at each time:
//
//	S(t) = Π (1 - d/n)       SE² = S² · Σ d/(n(n - d))      (Greenwood)
//	interval = S^exp(±z·sqrt(Σ d/(n(n-d)))/ln S)
//
// A case that is open at the time at which others end was at risk of it. Censoring must
// not depend on how long a case would have taken; a case that was cancelled because it
// took too long breaks that. Nil where there is no case.
// Source: Kaplan, Meier 1958, JASA 53:457; Greenwood 1926; Kalbfleisch, Prentice 2002,
// The Statistical Analysis of Failure Time Data, 1.4 (the ln(-ln) interval).
func KaplanMeier(times []Times, level float64) (*Survival, error) {
	if err := checkLevel(level); err != nil {
		return nil, err
	}
	sorted, cases, err := byTime(times)
	if err != nil || cases == 0 {
		return nil, err
	}
	s := &Survival{Cases: cases, level: level, Last: sorted[len(sorted)-1].At}
	s.Steps = make([]SurvivalStep, 0, len(sorted))
	spreads, intervals := make([]float64, len(sorted)), make([]Interval, len(sorted)) // at once: there may be a million
	open, sum, atRisk, z := 1.0, 0.0, cases, critical(level)
	for i, t := range sorted {
		if t.Events > 0 {
			n, d := float64(atRisk), float64(t.Events)
			step := SurvivalStep{At: t.At, AtRisk: atRisk, Events: t.Events}
			if t.Events < atRisk {
				open *= (n - d) / n
				sum += d / (n * (n - d))
				spreads[i], intervals[i] = open*math.Sqrt(sum), logLog(open, math.Sqrt(sum), z)
				step.Open, step.SE, step.Interval = open, &spreads[i], &intervals[i]
			}
			s.Steps = append(s.Steps, step)
			s.Events += t.Events
		}
		atRisk -= t.Events + t.Censored
	}
	return s, nil
}

// byTime sorts times, adds up equal ones, and leaves out those without a case.
func byTime(times []Times) (sorted []Times, cases int, err error) {
	for _, t := range times {
		if !(t.At >= 0) || math.IsInf(t.At, 1) {
			return nil, 0, wrong("%v: a time since the beginning is 0 or more", t.At)
		}
		if err := checkCount("cases that ended", t.Events); err != nil {
			return nil, 0, err
		}
		if err := checkCount("open cases", t.Censored); err != nil {
			return nil, 0, err
		}
	}
	byAt := func(a, b Times) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(times, byAt) {
		times = slices.Clone(times)
		slices.SortFunc(times, byAt)
	}
	sorted = make([]Times, 0, len(times))
	for _, t := range times {
		if t.Events+t.Censored == 0 {
			continue
		}
		cases += t.Events + t.Censored
		if last := len(sorted) - 1; last >= 0 && sorted[last].At == t.At {
			sorted[last].Events += t.Events
			sorted[last].Censored += t.Censored
			continue
		}
		sorted = append(sorted, t)
	}
	return sorted, cases, checkCount("all cases", cases)
}

// logLog is open^exp(±z·spread/ln open).
func logLog(open, spread, z float64) Interval {
	ln := math.Log(open)
	factor := math.Exp(z * spread / -ln)
	return Interval{Low: math.Exp(ln * factor), High: math.Exp(ln / factor)}
}

// OpenAt is the share still open after a time, and its interval, which is nil before
// the first case ended and after the last. The share is nil after Last where cases
// were still open then: nobody knows.
func (s *Survival) OpenAt(t float64) (share *float64, interval *Interval) {
	open := 1.0
	for _, step := range s.Steps {
		if step.At > t {
			break
		}
		open, interval = step.Open, step.Interval
	}
	if t > s.Last && open > 0 {
		return nil, nil
	}
	return &open, interval
}
