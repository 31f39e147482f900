package measure

import "math"

// XmR is a control chart of single values over time, whatever they measure: a mean
// turnaround of each month, a backlog of each day. Its limits come from how far
// neighbours are apart, so a slow drift does not widen them.
type XmR struct {
	Centre     float64 // mean of the baseline
	Range      float64 // mean of the moving ranges of the baseline
	RangeLimit float64 // a moving range above it is no chance
	Points     []ChartPoint
	Ranges     []*float64 // of each point to the one before; the first has none
}

// Constants of ranges of two normal values: mean and standard deviation of |a-b| of a
// standard normal. 3/d2 is the 2.66 of tables, 1 + 3·d3/d2 the 3.267.
var (
	d2 = 2 / math.Sqrt(math.Pi)
	d3 = math.Sqrt(2 - 4/math.Pi)
)

// NewXmR charts values in their order, the first baseline of them being the base, or
// all where it is 0.
//
//	limits of a value  = mean ± 3/d2 · mean moving range      (± 2.660)
//	limit of a range   = (1 + 3·d3/d2) · mean moving range    (3.267)
//
// Nil where the base has fewer than two values: there is no range. A value that is no
// finite number is an error.
// Source: Wheeler 1993, Understanding Variation; Montgomery 2013, 6.4.
func NewXmR(values []float64, baseline int) (*XmR, error) {
	baseline, err := checkBaseline(baseline, len(values))
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		if math.IsNaN(v) || math.Abs(v) > math.MaxFloat64/1e6 {
			return nil, wrong("value %d is %v, which is no number to chart", i+1, v)
		}
	}
	if baseline < 2 {
		return nil, nil
	}
	chart := &XmR{Points: make([]ChartPoint, len(values)), Ranges: make([]*float64, len(values))}
	for i, v := range values {
		chart.Points[i].Value = &v
		if i > 0 {
			step := math.Abs(v - values[i-1])
			chart.Ranges[i] = &step
		}
		if i < baseline {
			chart.Centre += v / float64(baseline)
			if i > 0 {
				chart.Range += *chart.Ranges[i] / float64(baseline-1)
			}
		}
	}
	wide := 3 / d2 * chart.Range
	chart.RangeLimit = (1 + 3*d3/d2) * chart.Range
	for i := range chart.Points {
		chart.Points[i].Limits = &Interval{Low: chart.Centre - wide, High: chart.Centre + wide}
	}
	markSignals(chart.Points, chart.Centre)
	for i, step := range chart.Ranges {
		if step != nil && *step > chart.RangeLimit {
			chart.Points[i].Signals = append(chart.Points[i].Signals, WideStep)
		}
	}
	return chart, nil
}

// Within draws in the limits of values that are never below low or above high: a share
// is never below 0, nor a time. It changes no signal, as such a value is beyond neither.
func (c *XmR) Within(low, high float64) {
	for _, p := range c.Points {
		p.Limits.Low, p.Limits.High = max(p.Limits.Low, low), min(p.Limits.High, high)
	}
}
