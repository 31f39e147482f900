package measure

import (
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// RunLength is the mean number of cases until a CUSUM signals that watches for odds
// changed by a factor, cases being expected to have an event with probability expected
// while they have it with probability actual. With actual = expected it is how often
// nothing causes a signal; with the changed odds, how long a change goes unnoticed.
//
// It solves L(x) = 1 + actual·L(x + event) + (1 - actual)·L(x + none), where below 0 is 0, L being 0
// from the threshold on, on a grid with linear interpolation that is made finer until that changes
// less than 1 %; within 2 % of a simulation. Nil where it never signals, or so rarely that the
// number means nothing (above 1e12), and where the finest grid does not settle it.
// Source: Brook, Evans 1972, Biometrika 59:539, for the idea.
func RunLength(expected, actual, odds, threshold float64) (*float64, error) {
	if err := checkRunLength(expected, actual, odds, threshold); err != nil {
		return nil, err
	}
	event, none := evidence(expected, odds)
	return runLengthOf([]jump{{event, actual}, {none, 1 - actual}}, threshold), nil
}

// SteppedRunLength is the mean number of steps until a CUSUM signals that adds up so many
// trials at once, as a chart of months does: it looks at its sum when a step ends, so what
// RunLength says of single cases does not hold for it. Each step is one of the sizes, by
// chance: a chart whose months go on to be as large as these. Otherwise as RunLength, whose
// equation has a term for each number of events k of a size n, which adds k·event + (n - k)·none:
//
//	L(x) = 1 + mean over n of Σ_k P(k events of n) L(max(x + k·event + (n - k)·none, 0))
//
// The expected probability counts as known. Where it was estimated, single charts differ much
// from this mean, the more the shorter the baseline is (Jones, Champ, Rigdon 2004, Journal of
// Quality Technology 36:95).
// Source: Brook, Evans 1972, Biometrika 59:539; of binomial counts: Gan 1993, Journal of Applied
// Statistics 20:445.
func SteppedRunLength(sizes []int, expected, actual, odds, threshold float64) (*float64, error) {
	if err := checkRunLength(expected, actual, odds, threshold); err != nil {
		return nil, err
	}
	event, none := evidence(expected, odds)
	var jumps []jump
	for _, n := range sizes {
		if err := checkCount("trials", n); err != nil {
			return nil, err
		}
		jumps = append(jumps, jumpsOf(n, actual, event, none, 1/float64(len(sizes)), threshold)...)
	}
	if len(jumps) == 0 {
		return nil, nil
	}
	return runLengthOf(jumps, threshold), nil
}

// jump is what a step adds to a CUSUM, with the probability that it does.
type jump struct{ by, probability float64 }

// jumpsOf are those of a step of n trials. What ends the sum at 0, or beyond the threshold,
// from wherever it is, is one jump each; numbers of events twelve standard deviations from
// their mean are left out.
func jumpsOf(n int, actual, event, none, weight, threshold float64) (all []jump) {
	down, up := jump{by: -threshold}, jump{by: threshold}
	mean, far := float64(n)*actual, 12*math.Sqrt(float64(n)*actual*(1-actual))+20
	stays := 0.0
	for k := max(0, int(mean-far)); k <= min(n, int(mean+far)); k++ {
		p := distuv.Binomial{N: float64(n), P: actual}.Prob(float64(k))
		by := float64(k)*event + float64(n-k)*none
		switch {
		case by >= threshold:
			up.probability += p * weight
			continue
		case by <= -threshold:
			down.probability += p
		default:
			all = append(all, jump{by, p})
		}
		stays += p
	}
	all = append(all, down)
	if stays == 0 {
		return []jump{up}
	}
	for i := range all { // so that rounding takes nothing away, which would be a signal
		all[i].probability *= (weight - up.probability) / stays
	}
	return append(all, up)
}

// The grids on which a run length is sought, and by how much of it two in a row may differ. A
// grid is too coarse where a step is as short as its points are apart (odds near 1: the share that
// interpolation moves makes a sum wander further than it does), and where few cases have all
// their sums at few places. Of most charts the second one settles it; each takes eight times as
// long as the one before.
const (
	coarsest, finest    = 200, 1600
	settled, notSettled = 0.01, 0.02
)

// runLengthOf is the mean number of jumps from 0 to the threshold; nil where it is never reached,
// or hardly ever.
func runLengthOf(jumps []jump, threshold float64) *float64 {
	length, off := runLengthOn(jumps, threshold, coarsest), math.Inf(1)
	for points := 2 * coarsest; length != nil && points <= finest && off >= settled; points *= 2 {
		before := *length
		if length = runLengthOn(jumps, threshold, points); length != nil {
			off = math.Abs(*length/before - 1)
		}
	}
	if off >= notSettled {
		return nil
	}
	return length
}

// runLengthOn is the same on a grid of so many points.
func runLengthOn(jumps []jump, threshold float64, points int) *float64 {
	equations, ones := mat.NewDense(points, points, nil), mat.NewVecDense(points, nil)
	for i := range points {
		row := equations.RawRowView(i)
		row[i]++
		for _, j := range jumps {
			spread(row, float64(i)/float64(points)+j.by/threshold, -j.probability)
		}
		ones.SetVec(i, 1)
	}
	var lengths mat.VecDense
	if err := lengths.SolveVec(equations, ones); err != nil {
		return nil
	}
	if length := lengths.AtVec(0); length >= 1 && length < 1e12 {
		return &length
	}
	return nil
}

// spread adds a share to the two grid points beside a place, which is in thresholds. Beyond the threshold nothing remains, below 0 it is 0.
func spread(row []float64, place, share float64) {
	if place >= 1-1e-12 {
		return
	}
	points := len(row)
	at := max(place, 0) * float64(points)
	i := int(at)
	row[i] += share * (1 - (at - float64(i)))
	if i+1 < points {
		row[i+1] += share * (at - float64(i))
	}
}

func checkRunLength(expected, actual, odds, threshold float64) error {
	if err := checkCUSUM(odds, threshold); err != nil {
		return err
	}
	if err := checkExpected(expected); err != nil {
		return err
	}
	if !(actual >= 0 && actual <= 1) {
		return wrong("%v: the actual probability of an event is from 0 to 1", actual)
	}
	return nil
}
