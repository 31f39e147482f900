// Package measure is the statistics of quality work, pure: counts and durations
// go in, figures come out. It knows no case, no database and no FHIR, so that
// an auditor can check it against any other program (make test-statistics) and
// against what papers print (overread verify-statistics).
//
// Three habits run through it. What is undefined is nil, never a number that
// somebody made up: a rate without a denominator, a kappa where chance agrees
// with everything, a median that half of the cases have not reached. What
// cannot be is an *InputError, which says what is wrong: more events than
// trials, a level that is no probability. And a proportion never gets the
// interval p +- z*sqrt(p*(1-p)/n) of Wald, which covers far less than it
// promises where events are few (Brown, Cai, DasGupta 2001, Statistical Science
// 16:101), which is where discrepancies are.
//
// Every figure names its formula and its source. docs/statistics.md says when to
// use which.
package measure

import "fmt"

// InputError says what of the input cannot be. Its text names no data but counts.
type InputError struct{ Text string }

func (e *InputError) Error() string { return e.Text }

func wrong(format string, args ...any) error {
	return &InputError{Text: fmt.Sprintf(format, args...)}
}

// MaxCount is the highest count that is understood. Up to it integers are exact
// as float64, and sums of their products stay far from overflow.
const MaxCount = 1 << 40

// checkProportion refuses counts that are no k of n.
func checkProportion(k, n int) error {
	switch {
	case n < 0 || k < 0:
		return wrong("%d of %d: a count is not negative", k, n)
	case k > n:
		return wrong("%d of %d: more events than there were trials", k, n)
	case n > MaxCount:
		return wrong("%d of %d: a count is at most %d", k, n, MaxCount)
	}
	return nil
}

// checkCount refuses what is no count; what says of what.
func checkCount(what string, n int) error {
	switch {
	case n < 0:
		return wrong("%s: %d is negative", what, n)
	case n > MaxCount:
		return wrong("%s: %d is more than %d", what, n, MaxCount)
	}
	return nil
}

// checkLevel refuses what is no level of confidence, and what nobody can compute:
// beyond 1 - 1e-9 tails are rounding.
func checkLevel(level float64) error {
	if !(level > 0 && level <= 1-1e-9) {
		return wrong("%v: a level of confidence is above 0 and below 1, as in 0.95", level)
	}
	return nil
}
