package measure

// Unit is what one department, reader or month has: so many events in so many trials.
type Unit struct{ Events, Trials int }

// FunnelLimits are where a unit of so many trials is expected if its rate is the target.
type FunnelLimits struct {
	Trials  int
	Warning Interval // 95 %: one unit in twenty is outside by chance
	Alarm   Interval // 99.8 %: one in five hundred
}

// The levels of funnel plots, about two and three standard deviations.
const (
	warningLevel = 0.95
	alarmLevel   = 0.998
)

// Standing is where a unit stands in a funnel.
type Standing string

// The standings.
const (
	Inside      Standing = "inside"
	HighWarning Standing = "high-warning"
	HighAlarm   Standing = "high-alarm"
	LowWarning  Standing = "low-warning"
	LowAlarm    Standing = "low-alarm"
)

// Standing is that of a rate. On a limit is inside.
func (l FunnelLimits) Standing(rate float64) Standing {
	switch {
	case rate > l.Alarm.High:
		return HighAlarm
	case rate < l.Alarm.Low:
		return LowAlarm
	case rate > l.Warning.High:
		return HighWarning
	case rate < l.Warning.Low:
		return LowWarning
	}
	return Inside
}

// Funnel is the limits around a target rate for a unit of so many trials, by the exact
// binomial distribution, interpolated so that they are smooth in the number of trials.
// With X binomial and r the least number with P(X <= r) >= p:
//
//	limit(p) = (r - (P(X <= r) - p)/P(X = r)) / n,   at least 0
//
// for p of 0.025 and 0.975, and of 0.001 and 0.999. Nil where there is no trial, or
// where the target is 0 or 1: there is no chance to judge by.
// Source: Spiegelhalter 2005, Statistics in Medicine 24:1185, appendix A.1.1.
func Funnel(target float64, trials int) (*FunnelLimits, error) {
	if err := checkTarget(target, trials); err != nil {
		return nil, err
	}
	if trials == 0 || target == 0 || target == 1 {
		return nil, nil
	}
	limit := func(p float64) float64 { return binomialLimit(p, trials, target) }
	return &FunnelLimits{
		Trials:  trials,
		Warning: Interval{Low: limit((1 - warningLevel) / 2), High: limit((1 + warningLevel) / 2)},
		Alarm:   Interval{Low: limit((1 - alarmLevel) / 2), High: limit((1 + alarmLevel) / 2)},
	}, nil
}

func checkTarget(target float64, trials int) error {
	if !(target >= 0 && target <= 1) {
		return wrong("%v: a target rate is from 0 to 1", target)
	}
	return checkCount("trials", trials)
}

// binomialLimit is the interpolated quantile of a binomial proportion.
func binomialLimit(p float64, trials int, target float64) float64 {
	r := binomialQuantile(p, trials, target)
	upTo, below := binomialAtMost(r, trials, target), binomialAtMost(r-1, trials, target)
	share := 0.0
	if upTo > below {
		share = min(max((upTo-p)/(upTo-below), 0), 1)
	}
	return max((float64(r)-share)/float64(trials), 0)
}

// binomialQuantile is the least r with P(X <= r) >= p.
func binomialQuantile(p float64, trials int, target float64) int {
	low, high := 0, trials
	for low < high {
		middle := low + (high-low)/2
		if binomialAtMost(middle, trials, target) >= p {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}
