package fhir

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

func controlKind() statKind {
	return statKind{
		name: "control-chart", title: "Control charts", row: "month",
		does: "Charts the months of the period: a p-chart of the rates (three sigma), an XmR chart of the same as single values, or of a time of the median hours, and a CUSUM that adds up the evidence that the odds have changed (log-likelihood ratio, months as steps). Signals are a point beyond its limits, the eighth in a row on one side, a step that is too wide, a sum at its threshold. A month that is not finished (it had not ended at the as-of moment, the period has a part of it, or what is counted of its cases is not known yet) is shown and not judged: it is in no centre, no limit and no sum, and has none.",
		takes: []parameter{
			{Name: "baseline", Type: "integer", Doc: "The first so many finished months are what the others are compared with; all where it is left out. Fix it before looking."},
			{Name: "odds", Type: "decimal", Doc: "For which change of the odds CUSUM watches: 2 where it is left out, for twice the odds; below 1 for fewer."},
			{Name: "threshold", Type: "decimal", Doc: "Of CUSUM; 4.5 where it is left out. runLengthIn and runLengthOut say what that means, in months."},
		},
		heads: slices.Concat([]flat.Column{{Name: "limitsMethod", Kind: flat.Text, Doc: "How the limits of charts were found: three-sigma (p-chart: of a proportion; XmR: 2.66 times the mean moving range)."}, {Name: "baseline", Kind: flat.Integer, Doc: "Months that are the baseline."}},
			decimals("centre", "Of the p-chart: the rate of the baseline, per cent.", "mean", "Of the XmR chart: the mean of the baseline, per cent or hours.", "meanRange", "The mean moving range.", "rangeLimit", "A step above it is no chance.",
				"odds", "For which change CUSUM watches.", "threshold", "At which it signals.", "monthSize", "The mean number of cases of a charted month.", "runLengthIn", "The mean number of months, as large as those that are charted, until it signals without a cause (Brook, Evans 1972, of binomial counts: Gan 1993; the centre taken as known); left out where hardly ever, and where it is not found within 2 %.", "runLengthOut", "And until it signals when the odds have changed as it watches for."),
			[]flat.Column{{Name: "notTold", Kind: flat.Integer, Doc: "Months whose figures are not told: in no chart."}, {Name: "notFinished", Kind: flat.Integer, Doc: "Months that are shown and not judged, since they are not finished."}, {Name: "roughLimits", Kind: flat.Integer, Doc: "Charted months of which fewer than 5 cases are expected to be counted, or not to be. Three sigma is rough there, and a rate beyond it by chance is more frequent than once in 370 months: look at CUSUM, or chart longer periods."}, {Name: "signals", Kind: flat.Integer, Doc: "Months with a signal of any chart."}}),
		rows: slices.Concat(groupColumns, []flat.Column{{Name: "notFinished", Kind: flat.Text, Doc: "Why the month is shown and not judged: month-runs (it had not ended at the as-of moment), part-of-month (the period begins or ends within it), to-follow (what the measure counts of its cases is not known yet: of unread, adjudication-overturn and second-opinion-correct until 30 days after its end; of a time until each of its cases has been followed for its median)."}},
			decimals("low", "Limit of the p-chart.", "high", "Limit of the p-chart."), []flat.Column{{Name: "signal", Kind: flat.Text, Doc: "Of the p-chart: beyond-limits, run."}},
			decimals("x", "What the XmR chart charts: the rate in per cent, or the median hours.", "xLow", "Its limit, not below 0.", "xHigh", "Its limit; of a rate not above 100.", "range", "From the month before."), []flat.Column{{Name: "xSignal", Kind: flat.Text, Doc: "Of the XmR chart: beyond-limits, run, wide-step."}},
			decimals("cusum", "The sum after this month."), []flat.Column{{Name: "cusumSignal", Kind: flat.Boolean, Doc: "It has reached the threshold, and starts again."}}),
		make: (*Server).control,
	}
}

// control is $control-chart.
func (s *Server) control(ctx context.Context, tx pgx.Tx, q statQuery) (*statistic, error) {
	if by := allGiven(q.plain, "stratifier"); len(by) > 1 || len(by) == 1 && by[0].Text() != facts.Month {
		return nil, fault.At(fault.Value, paramAt("stratifier"), "$control-chart is by month")
	} else if by == nil {
		q.plain.Append("parameter", Object("name", "stratifier", "valueString", facts.Month))
	}
	baseline := 0
	if n := given(q.in, "baseline"); n != nil {
		var err error
		if baseline, err = strconv.Atoi(n.Text()); err != nil || baseline < 2 {
			return nil, fault.At(fault.Value, paramAt("baseline"), "baseline is a number of months, 2 or more")
		}
	}
	odds, err := decimalGiven(q.in, "odds", 2, func(x float64) bool { return x >= 0.01 && x <= 100 && x != 1 }, "from 0.01 to 100, and not 1")
	if err != nil {
		return nil, err
	}
	threshold, err := decimalGiven(q.in, "threshold", 4.5, func(x float64) bool { return x > 0 && x <= 50 }, "above 0, and at most 50")
	if err != nil {
		return nil, err
	}
	report, err := s.wholeReport(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	return controlOf(report, baseline, odds, threshold)
}

// controlOf are the charts of a report by months.
func controlOf(report *Node, baseline int, odds, threshold float64) (*statistic, error) {
	_, _, groups := units(report)
	slices.SortFunc(groups, func(a, b statUnit) int { return strings.Compare(a.name(), b.name()) })
	st := &statistic{report: report, heads: map[string]any{"limitsMethod": "three-sigma"}}
	if !timedReport(report) { // of a time there is no CUSUM
		st.heads["odds"], st.heads["threshold"] = odds, threshold
	}
	var shares, values []int // rows that are charted
	var rates []measure.Unit
	var singles []float64
	notFinished, untold := 0, 0
	for i, u := range groups {
		row := u.row()
		row["masked"] = !u.told && u.hours == nil
		st.rows = append(st.rows, row)
		if u.notFinished != "" {
			row["notFinished"] = u.notFinished
			notFinished++
			if timedReport(report) {
				delete(row, "rate")
			}
			if u.hours != nil {
				row["x"] = *u.hours
			}
			continue
		}
		switch {
		case u.hours != nil:
			delete(row, "rate")
			values, singles = append(values, i), append(singles, *u.hours)
		case u.told && u.Trials > 0 && !timedReport(report):
			shares, rates = append(shares, i), append(rates, u.Unit)
			values, singles = append(values, i), append(singles, 100*float64(u.Events)/float64(u.Trials))
		default:
			untold++
		}
	}
	st.heads["notTold"], st.heads["notFinished"] = untold, notFinished
	if len(values) < 2 || baseline > len(values) {
		return nil, fault.New(fault.BusinessRule, "there are %d finished months with a figure to chart: of fewer than two, or than the baseline, there is no chart. A month that had not ended at the as-of moment, or of which the period has a part, is not judged, nor is one without a case that the measure is of, or whose figures are not told", len(values))
	}
	st.heads["baseline"] = len(values)
	if baseline > 0 {
		st.heads["baseline"] = baseline
	}
	if err := st.single(values, singles, baseline); err != nil {
		return nil, err
	}
	if len(rates) > 0 {
		if err := st.rates(shares, rates, baseline, odds, threshold); err != nil {
			return nil, err
		}
	}
	signals := 0
	for _, row := range st.rows {
		if row["signal"] != nil || row["xSignal"] != nil || row["cusumSignal"] == true {
			signals++
		}
	}
	st.heads["signals"] = signals
	return st, nil
}

func timedReport(report *Node) bool {
	return strings.HasPrefix(report.Text("group", "code", "text"), "percentile")
}

// single is the XmR chart.
func (st *statistic) single(at []int, values []float64, baseline int) error {
	chart, err := measure.NewXmR(values, baseline)
	if err != nil || chart == nil {
		return err
	}
	if timedReport(st.report) {
		chart.Within(0, math.Inf(1)) // hours
	} else {
		chart.Within(0, 100) // per cent
	}
	st.heads["mean"], st.heads["meanRange"], st.heads["rangeLimit"] = chart.Centre, chart.Range, chart.RangeLimit
	for i, p := range chart.Points {
		row := st.rows[at[i]]
		row["x"], row["xLow"], row["xHigh"] = *p.Value, p.Limits.Low, p.Limits.High
		if r := chart.Ranges[i]; r != nil {
			row["range"] = *r
		}
		if text := signalText(p.Signals); text != "" {
			row["xSignal"] = text
		}
	}
	return nil
}

func signalText(signals []measure.Signal) string {
	var texts []string
	for _, s := range signals {
		texts = append(texts, string(s))
	}
	return strings.Join(texts, " ")
}

// rates is the p-chart, and CUSUM around its centre.
func (st *statistic) rates(at []int, units []measure.Unit, baseline int, odds, threshold float64) error {
	chart, err := measure.NewPChart(units, baseline)
	if err != nil || chart.Centre == nil {
		return err
	}
	centre := *chart.Centre
	st.heads["centre"] = 100 * centre
	rough := 0
	for i, p := range chart.Points {
		row := st.rows[at[i]]
		if chart.Rough(units[i]) {
			rough++
		}
		putInterval(row, "low", "high", p.Limits)
		if text := signalText(p.Signals); text != "" {
			row["signal"] = text
		}
	}
	st.heads["roughLimits"] = rough
	if centre == 0 || centre == 1 {
		return nil
	}
	steps, sizes, cases := make([]measure.Step, len(units)), make([]int, len(units)), 0
	for i, u := range units {
		sizes[i] = u.Trials
		cases += u.Trials
		steps[i] = measure.Step{Events: u.Events, Trials: u.Trials, Expected: centre}
	}
	sum, err := measure.NewCUSUM(steps, odds, threshold)
	if err != nil {
		return err
	}
	for i, x := range sum.Points {
		st.rows[at[i]]["cusum"], st.rows[at[i]]["cusumSignal"] = x, slices.Contains(sum.Signals, i)
	}
	st.heads["monthSize"] = float64(cases) / float64(len(units))
	changed := odds * centre / (1 - centre + odds*centre)
	for name, actual := range map[string]float64{"runLengthIn": centre, "runLengthOut": changed} {
		length, err := measure.SteppedRunLength(sizes, centre, actual, odds, threshold)
		if err != nil {
			return err
		}
		if length != nil {
			st.heads[name] = *length
		}
	}
	return nil
}
