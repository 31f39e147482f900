package measure

import "math"

// ChartPoint is one point of a control chart.
type ChartPoint struct {
	Value   *float64  // nil where nothing was counted
	Limits  *Interval // where it is expected; nil with Value
	Signals []Signal  // why it is not chance; empty where it may be
}

// Signal is a rule of control charts that found something.
type Signal string

// The rules.
const (
	BeyondLimits Signal = "beyond-limits" // outside the limits of three sigma
	Run          Signal = "run"           // the eighth, or later, in a row on one side of the centre
	WideStep     Signal = "wide-step"     // of an XmR chart: further from the one before than chance goes
)

// runLength is the rule of the Western Electric Statistical Quality Control Handbook
// (1956): by chance, one of 128 rows of eight is on one side.
const runLength = 8

// PChart is a control chart of rates over time.
type PChart struct {
	Centre *float64 // nil where the baseline has no trial, and then no point has limits
	Points []ChartPoint
}

// NewPChart charts the rates of periods in their order. Centre is the rate of the
// first baseline of them, or of all where baseline is 0; the limits of a period of n:
//
//	centre ± 3·sqrt(centre(1 - centre)/n),   within 0 and 1
//
// These are limits of where rates of a stable process fall, not an interval of a rate.
// Where centre·n or (1 - centre)·n is below 5 they are rough (Rough): chart longer periods, or use CUSUM. Periods
// without a trial have no value; they and values on the centre neither make nor break a
// run.
// Source: Shewhart 1931, Economic Control of Quality of Manufactured Product; Montgomery
// 2013, Introduction to Statistical Quality Control, 7.2.
func NewPChart(periods []Unit, baseline int) (*PChart, error) {
	baseline, err := checkBaseline(baseline, len(periods))
	if err != nil {
		return nil, err
	}
	chart := &PChart{Points: make([]ChartPoint, len(periods))}
	var base Unit
	for i, u := range periods {
		if err := checkProportion(u.Events, u.Trials); err != nil {
			return nil, err
		}
		chart.Points[i].Value = Proportion(u.Events, u.Trials)
		if i < baseline {
			base.Events += u.Events
			base.Trials += u.Trials
		}
	}
	if chart.Centre = Proportion(base.Events, base.Trials); chart.Centre == nil {
		return chart, nil
	}
	centre := *chart.Centre
	for i, u := range periods {
		if u.Trials > 0 {
			wide := 3 * math.Sqrt(centre*(1-centre)/float64(u.Trials))
			chart.Points[i].Limits = &Interval{Low: max(centre-wide, 0), High: min(centre+wide, 1)}
		}
	}
	markSignals(chart.Points, centre)
	return chart, nil
}

// Rough tells whether the limits of a period are: fewer than 5 of its cases are expected to be
// counted, or not to be, so that three sigma of a normal distribution are not those of so few.
func (c *PChart) Rough(u Unit) bool {
	return u.Trials > 0 && c.Centre != nil && float64(u.Trials)*min(*c.Centre, 1-*c.Centre) < 5
}

func checkBaseline(baseline, points int) (int, error) {
	if baseline < 0 || baseline > points {
		return 0, wrong("%d: a baseline is the first so many of %d points, or 0 for all", baseline, points)
	}
	if baseline == 0 {
		return points, nil
	}
	return baseline, nil
}

// markSignals marks points beyond their limits, and runs on one side of the centre.
func markSignals(points []ChartPoint, centre float64) {
	run := 0 // positive above, negative below
	for i := range points {
		p := &points[i]
		if p.Value == nil || p.Limits == nil {
			continue
		}
		if !p.Limits.Contains(*p.Value) {
			p.Signals = append(p.Signals, BeyondLimits)
		}
		switch {
		case *p.Value > centre:
			run = max(run, 0) + 1
		case *p.Value < centre:
			run = min(run, 0) - 1
		default:
			continue
		}
		if run >= runLength || run <= -runLength {
			p.Signals = append(p.Signals, Run)
		}
	}
}
