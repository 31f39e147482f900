package fhir

import (
	"strconv"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
)

// What auditors are shown of the whole alone: adjudication and who was right as counts;
// what is not acknowledged, and times, as shares in whole per cent without a count
// (docs/disclosure.md).

// publishedWhole are the groups of a measure that is published of the whole alone.
func (a askedMeasure) publishedWhole(p *facts.Publication) ([]*Node, error) {
	if len(a.By) > 0 {
		return nil, fault.At(fault.Forbidden, paramAt("stratifier"), "%s is published of the whole alone: tables of it beside those of discrepancies would be a second scheme over the same cases, from which together hidden counts can be computed (docs/disclosure.md)", a.Measure.ID)
	}
	if p.Whole == nil {
		return nil, fault.New(fault.NotFound, "of this period %s has not been published: it is of quarters that were published since the release that publishes it, and of years of which all quarters were; what was published before stays as it is", a.Measure.ID)
	}
	if f, of, counted, found := p.Whole.Of(a.Measure.ID); found {
		group, err := a.toldPopulations(f, of, counted)
		return []*Node{group}, err
	}
	if a.Measure.ID == facts.Turnaround {
		return courseGroups(p.Whole.Turnaround, leastOf(p.Whole.Turnaround)), nil
	}
	// Of signed cases no more is said than what other figures say: those with and those
	// without comparison.
	known, _ := p.Tables.Total.Of(facts.Every())
	if p.NoComparison != nil {
		known += *p.NoComparison
	}
	least := disclosure.AtLeast(known)
	if a.Measure.ID == facts.Unread {
		group, err := a.unreadGroup(p.Whole.Acknowledged, least)
		return []*Node{group}, err
	}
	return courseGroups(p.Whole.Acknowledged, least), nil
}

// leastOf is the round number of cases that a course has at the least.
func leastOf(c *disclosure.Course) int {
	if c == nil {
		return 0
	}
	return disclosure.AtLeast(c.Cases)
}

// maskedGroup is one of which nothing is shown.
func maskedGroup() *Node {
	return Object("extension", []*Node{Object("url", extAbsent, "valueCode", "masked")})
}

// toldPopulations are the denominator and the numerator as far as figures tell them.
func (a askedMeasure) toldPopulations(f disclosure.Figures, denominator, numerator disclosure.Leaves) (*Node, error) {
	of, told := f.Of(denominator)
	counted, countedTold := f.Of(numerator)
	n := &Node{kind: objectNode}
	if !told || !countedTold {
		n = maskedGroup()
	}
	var rows []*Node
	if told {
		rows = append(rows, population("denominator", of, nil))
	}
	if countedTold {
		rows = append(rows, population("numerator", counted, nil))
	}
	n.Set("population", rows)
	if !told || !countedTold {
		return n, nil
	}
	score, err := a.share(facts.Counts{Denominator: of, Numerator: counted})
	n.Set("measureScore", score)
	return n, err
}

// unreadGroup is the share in whole per cent. Its interval is that of as many cases as
// are known from other figures, so it is too wide rather than too narrow.
func (a askedMeasure) unreadGroup(c *disclosure.Course, least int) (*Node, error) {
	if c == nil || c.Ended == nil {
		return maskedGroup(), nil
	}
	percent, defined := c.Share(c.Cases - *c.Ended)
	if !defined { // a zero is shown
		return Object("population", []*Node{population("denominator", 0, nil), population("numerator", 0, nil)}), nil
	}
	score, err := a.roundShare(percent, least)
	if err != nil {
		return nil, err
	}
	n := Object("extension", atLeast(least))
	n.Set("measureScore", score)
	return n, nil
}

// roundShare is a share in whole per cent with its interval, which is of all shares that
// are rounded so; without one where it is not known of how many it is.
func (a askedMeasure) roundShare(percent, least int) (*Node, error) {
	score := figure(float64(percent), "%")
	if least == 0 {
		return score, nil
	}
	fewest := max(0, (2*percent-1)*least/200) // the least and the largest count that is rounded so
	most := min(least, ((2*percent+1)*least+199)/200)
	low, err := a.method.Interval(fewest, least, confidence)
	if err != nil {
		return nil, err
	}
	high, err := a.method.Interval(most, least, confidence)
	if err != nil {
		return nil, err
	}
	score.Set("extension", []*Node{ownValue("measure-interval", "valueRange", Object("low", figure(100*low.Low, "%"), "high", figure(100*high.High, "%")))})
	return score, nil
}

func atLeast(least int) []*Node {
	if least == 0 {
		return nil
	}
	return []*Node{ownValue("measure-at-least", "valueInteger", least)}
}

// withinDimension is by what shares of a course are told apart: hours.
const withinDimension = "within-hours"

// courseGroups are, for each percentile, within how many hours so many had ended, and in
// a last one which share had ended within so many hours.
func courseGroups(c *disclosure.Course, least int) (groups []*Node) {
	for _, percent := range percents {
		group := Object("code", groupCode(percent))
		groups = append(groups, group)
		if c == nil {
			group.Set("extension", maskedGroup().Get("extension").Items())
			continue
		}
		group.Set("extension", atLeast(least))
		p, _ := strconv.Atoi(percent) // of the table
		after, within, reached := c.By(p)
		if !reached {
			if c.Cases > 0 {
				group.Set("extension", append(atLeast(least), maskedGroup().Get("extension").Items()...))
			}
			continue
		}
		score := figure(float64(within), "h")
		score.Set("comparator", "<=")
		score.Set("extension", []*Node{ownValue("measure-between", "valueRange", Object("low", figure(float64(after), "h"), "high", figure(float64(within), "h")))})
		group.Set("measureScore", score)
	}
	if c == nil || len(c.Within) == 0 {
		return groups
	}
	var strata []*Node
	for _, w := range c.Within {
		if percent, defined := c.Share(w.Cases); defined {
			strata = append(strata, Object("value", Object("text", strconv.Itoa(w.Hours)), "measureScore", figure(float64(percent), "%")))
		}
	}
	if strata == nil {
		return groups
	}
	last := Object("code", Object("text", sharesGroup), "stratifier", []*Node{Object("code", []*Node{dimensionCode(withinDimension)}, "stratum", strata)})
	return append(groups, last)
}

// sharesGroup is the code of the group of a time that has shares by hours.
const sharesGroup = "shares"
