package fhir

import (
	"slices"
	"strconv"
	"time"

	"github.com/overread/overread/measure/facts"
)

// Why a month is not finished: it is shown, and no chart judges it. What is counted of it may
// still change, or it is a part, so it is no month like those beside it.
const (
	monthRuns    = "month-runs"    // it had not ended at the as-of moment
	partOfMonth  = "part-of-month" // the period begins or ends within it
	moreToFollow = "to-follow"     // what the measure counts of its cases is not known yet
)

// markUnfinished says of the months of a report which are not finished, and why.
func (a askedMeasure) markUnfinished(groups []*Node) error {
	at := slices.Index(a.By, facts.Month)
	if at < 0 {
		return nil
	}
	for _, group := range groups {
		for _, stratifier := range group.Each("stratifier") {
			if dimensions := textsOf(stratifier.Each("code", "coding", "code")); !slices.Equal(dimensions, a.By) {
				continue
			}
			for _, stratum := range stratifier.Each("stratum") {
				why, err := a.unfinished(stratumValues(stratum)[at], stratum)
				if err != nil {
					return err
				}
				if why != "" {
					stratum.Append("extension", ownValue("measure-not-finished", "valueCode", why))
				}
			}
		}
	}
	return nil
}

// unfinished says why a month is not finished; "" where it is. A case belongs to the month of its
// first signature (of turnaround: of its order), so a share of signed cases is whole when the month
// has ended. What becomes known later is waited for: of a measure that counts that, as long as
// publications wait (facts.FollowUp); of a time, until each case of the month has been followed for
// the percentile that is told, so that none that is open can move it.
func (a askedMeasure) unfinished(month string, stratum *Node) (string, error) {
	begins, err := time.ParseInLocation("2006-01", month, a.Zone)
	if err != nil {
		return "", err
	}
	ends := begins.AddDate(0, 1, 0)
	switch {
	case ends.After(a.AsOf):
		return monthRuns, nil
	case begins.Before(a.From) || ends.After(a.To):
		return partOfMonth, nil
	case a.Measure.Late && ends.Add(facts.FollowUp).After(a.AsOf):
		return moreToFollow, nil
	case !a.Measure.Timed():
		return "", nil
	}
	score := stratum.Text("measureScore", "value")
	if score == "" { // not reached
		return moreToFollow, nil
	}
	hours, err := strconv.ParseFloat(score, 64)
	if err != nil {
		return "", err
	}
	if ends.Add(time.Duration(hours * float64(time.Hour))).After(a.AsOf) {
		return moreToFollow, nil
	}
	return "", nil
}

// runsOn says that the period of a report had not ended at its moment.
func runsOn(report *Node) bool {
	_, notes := reportRead(report)
	return slices.Contains(notes, facts.NoteRuns)
}
