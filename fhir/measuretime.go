package fhir

import (
	"strconv"

	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

// timedGroups are the groups of a measure of time: one for each percentile.
func (a askedMeasure) timedGroups(t facts.Table, lists map[string]*Node, names func(dimension, word string) string) ([]*Node, error) {
	curve, err := survivalOf(t.Durations)
	if err != nil {
		return nil, err
	}
	curves := make([]*measure.Survival, len(t.Strata))
	for i, one := range t.Strata {
		if curves[i], err = survivalOf(one.Durations); err != nil {
			return nil, err
		}
	}
	made := a.strata(names)
	counts := make([][]*Node, len(t.Strata)) // the same in each group
	for i, one := range t.Strata {
		counts[i] = populations(a.Measure, one.Counts, nil)
	}
	var groups []*Node
	for _, percent := range percents {
		group := Object("code", groupCode(percent), "population", populations(a.Measure, t.Counts, lists))
		score, err := percentileOf(curve, percent)
		if err != nil {
			return nil, err
		}
		group.Set("measureScore", score)
		list := make([]*Node, len(t.Strata))
		for i, one := range t.Strata {
			score, err := percentileOf(curves[i], percent)
			if err != nil {
				return nil, err
			}
			list[i] = made.one(one.Key, counts[i], score)
		}
		sortStrata(list)
		group.Set("stratifier", a.stratifiers(list, t))
		groups = append(groups, group)
	}
	return groups, nil
}

// survivalOf is the Kaplan-Meier curve of durations, in hours.
func survivalOf(durations []facts.Duration) (*measure.Survival, error) {
	times := make([]measure.Times, len(durations))
	for i, d := range durations {
		times[i] = measure.Times{At: float64(d.Minutes) / 60, Events: d.Ended, Censored: d.Open}
	}
	return measure.KaplanMeier(times, confidence)
}

// percentileOf is the hours by which so many per cent have ended; nil where open cases do
// not let anybody know.
func percentileOf(curve *measure.Survival, percent string) (*Node, error) {
	if curve == nil {
		return nil, nil
	}
	p, err := strconv.ParseFloat(percent, 64)
	if err != nil {
		return nil, err
	}
	q, err := curve.Quantile(p / 100)
	if err != nil || q.At == nil {
		return nil, err
	}
	hours := func(x *float64) *Node {
		if x == nil {
			return nil
		}
		return figure(*x, "h")
	}
	n := hours(q.At)
	if q.From != nil || q.To != nil {
		n.Set("extension", []*Node{ownValue("measure-interval", "valueRange", Object("low", hours(q.From), "high", hours(q.To)))})
	}
	return n, nil
}
