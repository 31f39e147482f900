package fhir

import (
	"strconv"
	"strings"

	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

// timedGroups are the groups of a measure of time: one for each percentile.
func (a askedMeasure) timedGroups(t facts.Table, times []facts.TimedStratum, lists map[string]*Node, names func(dimension, word string) string) ([]*Node, error) {
	whole := facts.Together(times)
	counts := t.Counts
	counts.Numerator = whole.Numerator
	curve, err := survivalOf(whole)
	if err != nil {
		return nil, err
	}
	type part struct {
		stratum facts.Stratum
		curve   *measure.Survival
	}
	var parts []part
	if len(a.By) > 0 {
		ended := map[string]facts.TimedStratum{}
		for _, one := range times {
			ended[keyText(one.Key)] = one
		}
		for _, one := range t.Strata {
			timed := ended[keyText(one.Key)]
			one.Numerator = timed.Numerator
			curve, err := survivalOf(timed)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part{one, curve})
		}
	}
	var groups []*Node
	for _, percent := range percents {
		group := Object("code", groupCode(percent), "population", populations(a.Measure, counts, lists))
		score, err := percentileOf(curve, percent)
		if err != nil {
			return nil, err
		}
		group.Set("measureScore", score)
		var strata []*Node
		for _, p := range parts {
			score, err := percentileOf(p.curve, percent)
			if err != nil {
				return nil, err
			}
			strata = append(strata, a.stratum(p.stratum.Key, names, populations(a.Measure, p.stratum.Counts, nil), score))
		}
		group.Set("stratifier", a.stratifiers(strata, t))
		groups = append(groups, group)
	}
	return groups, nil
}

func keyText(key []string) string {
	var text strings.Builder
	for _, word := range key {
		text.WriteString(strconv.Itoa(len(word)) + ":" + word)
	}
	return text.String()
}

// survivalOf is the Kaplan-Meier curve of durations, in hours.
func survivalOf(t facts.TimedStratum) (*measure.Survival, error) {
	times := make([]measure.Times, len(t.Durations))
	for i, d := range t.Durations {
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
