package measure

// Quantile is a time by which a share of cases has ended, with its interval. What open
// cases do not let anybody know is nil: the time itself, or how late it may be.
type Quantile struct {
	P        float64 // the share: 0.5 for the median
	At       *float64
	From, To *float64 // the interval
}

// Quantile is the first time at which the share p of cases has ended, for p above 0
// and below 1. Its interval has all times at which the ln(-ln) interval of the curve
// contains 1 - p: from the first time at which the lower limit of the share still open
// is at most 1 - p, to the first at which the upper one is.
// Source: Brookmeyer, Crowley 1982, Biometrics 38:29, with the transformation of
// Kalbfleisch, Prentice 2002, as SAS and R's survfit(conf.type = "log-log") do.
func (s *Survival) Quantile(p float64) (*Quantile, error) {
	if !(p > 0 && p < 1) {
		return nil, wrong("%v: a quantile is above 0 and below 1, as 0.5 for the median", p)
	}
	q := &Quantile{P: p}
	left := 1 - p + 1e-12 // the curve is a product, which has its rounding
	for _, step := range s.Steps {
		at := step.At
		if q.At == nil && step.Open <= left {
			q.At = &at
		}
		if step.Interval == nil {
			continue
		}
		if q.From == nil && step.Interval.Low <= left {
			q.From = &at
		}
		if q.To == nil && step.Interval.High <= left {
			q.To = &at
		}
	}
	return q, nil
}
