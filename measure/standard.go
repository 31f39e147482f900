package measure

import "math"

// Stratum is a part of the cases that have about the same risk, as CT of the head:
// what was observed in it, and what the reference has.
type Stratum struct {
	Observed  Unit
	Reference Unit
}

// Standardised compares what was observed with what would be if each stratum had the
// rate of the reference.
type Standardised struct {
	Observed  int
	Expected  *float64  // nil where Unknown has a stratum
	Ratio     *float64  // observed over expected; nil where nothing, or nobody knows what, is expected
	Interval  *Interval // of Ratio; nil with it
	Rate      *float64  // Ratio times the rate of the whole reference; nil with Ratio
	Unknown   []int     // strata, from 0, with cases here and none in the reference: leave them out, and say so
	Reference *float64  // the rate of the whole reference
}

// PoissonMethod is a way to limits of a count.
type PoissonMethod string

// The methods.
const (
	PoissonExact PoissonMethod = "exact" // by the gamma distribution: never below the level
	PoissonByar  PoissonMethod = "byar"  // Byar's approximation, which papers print: within 1 % from 3 events on
)

// Standardise is indirect standardisation. With n_s cases here, and the reference's
// rate r_s, of stratum s:
//
//	expected = Σ n_s·r_s     ratio = observed/expected     rate = ratio · reference's rate
//
// The limits of the ratio are those of the observed count, as a Poisson variable, over
// the expected, which counts as known. A discrepancy is rare, and where it is not, these
// limits are wider than binomial ones. Two ratios have different weights: compare each
// with 1, never one with another.
// Source: Breslow, Day 1987, Statistical Methods in Cancer Research II, 2.2 and 2.3
// (Byar's limits); Ulm 1990, American Journal of Epidemiology 131:373 (exact ones).
func Standardise(strata []Stratum, method PoissonMethod, level float64) (*Standardised, error) {
	if err := checkLevel(level); err != nil {
		return nil, err
	}
	var s Standardised
	var whole Unit
	expected := 0.0
	for i, stratum := range strata {
		for _, u := range []Unit{stratum.Observed, stratum.Reference} {
			if err := checkProportion(u.Events, u.Trials); err != nil {
				return nil, err
			}
		}
		s.Observed += stratum.Observed.Events
		whole.Events += stratum.Reference.Events
		whole.Trials += stratum.Reference.Trials
		if stratum.Observed.Trials == 0 {
			continue
		}
		rate := Proportion(stratum.Reference.Events, stratum.Reference.Trials)
		if rate == nil {
			s.Unknown = append(s.Unknown, i)
			continue
		}
		expected += float64(stratum.Observed.Trials) * *rate
	}
	limits, err := PoissonLimits(s.Observed, method, level)
	if err != nil {
		return nil, err
	}
	s.Reference = Proportion(whole.Events, whole.Trials)
	if len(s.Unknown) > 0 {
		return &s, nil
	}
	s.Expected = &expected
	if expected > 0 {
		ratio := float64(s.Observed) / expected
		rate := ratio * *s.Reference
		s.Ratio, s.Rate = &ratio, &rate
		s.Interval = &Interval{Low: limits.Low / expected, High: limits.High / expected}
	}
	return &s, nil
}

// PoissonLimits is the interval of the mean of a count. Exact, with Q the quantile of
// the gamma distribution of that shape:
//
//	Q(alpha/2; count)   to   Q(1-alpha/2; count + 1)
//
// and Byar's, with o the count below and the count + 1 above:
//
//	o·(1 - 1/(9o) ∓ z/(3√o))³
//
// The lower one is 0 where the count is 0.
// Source: Garwood 1936, Biometrika 28:437; Breslow, Day 1987, 2.3.
func PoissonLimits(count int, method PoissonMethod, level float64) (*Interval, error) {
	if err := checkCount("events", count); err != nil {
		return nil, err
	}
	if err := checkLevel(level); err != nil {
		return nil, err
	}
	n, tail := float64(count), (1-level)/2
	limits := Interval{}
	switch method {
	case PoissonExact, "":
		if count > 0 {
			limits.Low = gammaQuantile(n, tail)
		}
		limits.High = gammaQuantile(n+1, 1-tail)
	case PoissonByar:
		z := critical(level)
		if count > 0 {
			limits.Low = n * max(cube(1-1/(9*n)-z/(3*math.Sqrt(n))), 0)
		}
		limits.High = (n + 1) * cube(1-1/(9*(n+1))+z/(3*math.Sqrt(n+1)))
	default:
		return nil, wrong("%q is no method of limits of a count: use %q or %q", string(method), PoissonExact, PoissonByar)
	}
	return &limits, nil
}

func cube(x float64) float64 { return x * x * x }
