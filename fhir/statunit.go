package fhir

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
)

// statUnit is one group of a report: so many events in so many cases; or of a time, the
// median hours.
type statUnit struct {
	values []string
	measure.Unit
	told  bool // cases and events are
	hours *float64

	notFinished string // why a month is shown and not judged
}

// units are the whole and the groups of a report. Of a time they are those of the median.
func units(report *Node) (whole statUnit, by []string, groups []statUnit) {
	eachPart(report, func(percentile string, dimensions, values []string, part *Node) {
		if percentile != "" && percentile != "percentile 50" {
			return
		}
		u := statUnit{values: values}
		cells := map[string]any{}
		partRow(part, cells)
		of, known := cells["denominator"].(int)
		counted, also := cells["numerator"].(int)
		u.Unit, u.told = measure.Unit{Events: counted, Trials: of}, known && also
		if x, ok := cells["score"].(float64); ok && cells["unit"] == "h" {
			u.hours = &x
		}
		u.notFinished, _ = cells["not_finished"].(string)
		switch {
		case dimensions == nil:
			whole = u
		case dimensions[0] == "exclusion-reason", dimensions[0] == "no-comparison-reason", dimensions[0] == withinDimension:
		default:
			by, groups = dimensions, append(groups, u)
		}
	})
	return whole, by, groups
}

func (u statUnit) name() string { return strings.Join(u.values, ", ") }

// head are the columns that all groups have.
func (u statUnit) row() map[string]any {
	row := map[string]any{"value": u.name(), "masked": !u.told}
	if u.told {
		row["cases"], row["events"] = u.Trials, u.Events
		if u.Trials > 0 {
			row["rate"] = 100 * float64(u.Events) / float64(u.Trials)
		}
	}
	return row
}

// judged says whether a group may be judged: a reader from so many cases on.
func judged(by []string, cases int) bool {
	for _, name := range by {
		if facts.IsReader(name) && disclosure.StandingOf(cases) != disclosure.Judged {
			return false
		}
	}
	return true
}

// refusesAsymmetry tells whether refuseAsymmetry has anything to say.
func refusesAsymmetry(q statQuery) bool { return refuseAsymmetry(q) != nil }

// refuseAsymmetry is of statistics that put rates beside each other by what is known of
// discrepancies alone (facts.NoteAsymmetry): the one group would have a discrepancy in each case
// by definition, and the other those of which nobody said it.
func refuseAsymmetry(q statQuery, standardBy ...string) error {
	if q.d.Discrepancies {
		return nil
	}
	for _, name := range []string{"stratifier", "filter"} {
		for _, v := range allGiven(q.plain, name) {
			if dimension, _, _ := strings.Cut(v.Text(), "|"); dimension == facts.Asymmetry {
				return fault.At(fault.BusinessRule, paramAt(name), "$%s does not compare by asymmetry: %s Ask second-opinion-correct, which is of discrepancies alone, or another %s", q.kind, facts.NoteAsymmetry, name)
			}
		}
	}
	if slices.Contains(standardBy, facts.Asymmetry) {
		return fault.At(fault.BusinessRule, paramAt("standardBy"), "$%s is by no asymmetry: %s Standardise by other dimensions", q.kind, facts.NoteAsymmetry)
	}
	return nil
}

// shareReport is the report of a share by one dimension that is, or is not, the month.
func (s *Server) shareReport(ctx context.Context, tx pgx.Tx, q statQuery) (*Node, error) {
	if q.d.Timed() {
		return nil, fault.New(fault.Value, "$%s is of shares, and %s is a time", q.kind, q.d.ID)
	}
	by := allGiven(q.plain, "stratifier")
	if len(by) != 1 || by[0].Text() == facts.Month {
		return nil, fault.At(fault.Value, paramAt("stratifier"), "$%s is asked by one stratifier, which is not the month", q.kind)
	}
	if err := refuseAsymmetry(q); err != nil {
		return nil, err
	}
	return s.wholeReport(ctx, tx, q)
}

// wholeReport is the report that a statistic is made of: of a part of the strata it would be
// another one.
func (s *Server) wholeReport(ctx context.Context, tx pgx.Tx, q statQuery) (*Node, error) {
	report, _, err := s.evaluation(ctx, tx, q.actor, q.asked, q.d, q.plain)
	if err == nil && isPart(report) {
		return nil, fault.New(fault.TooLarge, "there are more groups than one answer lists, and $%s is made of all of them: ask for a shorter period, or of fewer cases by a filter", q.kind)
	}
	return report, err
}

// decimalGiven is a number that was given; def where it was not.
func decimalGiven(in *Node, name string, def float64, ok func(float64) bool, rule string) (float64, error) {
	n := given(in, name)
	if n == nil {
		return def, nil
	}
	x, err := strconv.ParseFloat(n.Text(), 64)
	if err != nil || !ok(x) {
		return 0, fault.At(fault.Value, paramAt(name), "%s is %s", name, rule)
	}
	return x, nil
}

// interval puts limits into a row, in per cent.
func putInterval(row map[string]any, low, high string, i *measure.Interval) {
	if i != nil {
		row[low], row[high] = 100*i.Low, 100*i.High
	}
}
