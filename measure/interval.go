package measure

import "math"

// Interval is what a figure may be, from Low to High, both included.
type Interval struct{ Low, High float64 }

// Contains says whether x is in it.
func (i Interval) Contains(x float64) bool { return i.Low <= x && x <= i.High }

// Method is a way to an interval of a proportion.
type Method string

// The methods. Wald's is not among them, and never will be.
const (
	MethodWilson         Method = "wilson"          // the default: close to the level on average
	MethodWilsonCC       Method = "wilson-cc"       // with continuity correction: rarely below the level
	MethodClopperPearson Method = "clopper-pearson" // exact: never below the level, and so the widest
)

// Methods are all of them, the default first.
func Methods() []Method { return []Method{MethodWilson, MethodWilsonCC, MethodClopperPearson} }

// Interval is that of k of n at a level as 0.95. It is nil where n is 0. Another
// method than those of Methods is an *InputError; "" is Wilson's.
func (m Method) Interval(k, n int, level float64) (*Interval, error) {
	switch m {
	case MethodWilson, "":
		return Wilson(k, n, level)
	case MethodWilsonCC:
		return WilsonCC(k, n, level)
	case MethodClopperPearson:
		return ClopperPearson(k, n, level)
	}
	return nil, wrong("%q is no method of an interval: use one of %q", string(m), Methods())
}

// Proportion is k of n as a number, nil where n is 0.
func Proportion(k, n int) *float64 {
	if n == 0 {
		return nil
	}
	p := float64(k) / float64(n)
	return &p
}

// Wilson is the score interval: all p for which the normal test of p, with p's own
// variance, does not reject k of n.
//
//	(k + z²/2 ± z·sqrt(k(n-k)/n + z²/4)) / (n + z²)
//
// Its coverage is near the level on average over p, for single p a little above or
// below. Nil where n is 0.
// Source: Wilson 1927, JASA 22:209; Newcombe 1998, Statistics in Medicine 17:857, method 3.
func Wilson(k, n int, level float64) (*Interval, error) {
	if err := checkInterval(k, n, level); err != nil || n == 0 {
		return nil, err
	}
	z, events, trials := critical(level), float64(k), float64(n)
	middle := events + z*z/2
	half := z * math.Sqrt(events*(trials-events)/trials+z*z/4)
	return within(k, n, (middle-half)/(trials+z*z), (middle+half)/(trials+z*z)), nil
}

// WilsonCC is the score interval with continuity correction: Wilson's equation with
// the difference between k/n and p made smaller by 1/(2n).
//
//	low  = (2k + z² - 1 - z·sqrt(z² - 2 - 1/n + 4p(n(1-p) + 1))) / (2(n + z²))
//	high = (2k + z² + 1 + z·sqrt(z² + 2 - 1/n + 4p(n(1-p) - 1))) / (2(n + z²))
//
// low is 0 where k is 0, high is 1 where k is n. It contains Wilson's. Nil where n is 0.
// Source: Newcombe 1998, Statistics in Medicine 17:857, method 4.
func WilsonCC(k, n int, level float64) (*Interval, error) {
	if err := checkInterval(k, n, level); err != nil || n == 0 {
		return nil, err
	}
	z, events, trials := critical(level), float64(k), float64(n)
	p := events / trials
	failures := trials - events
	below := math.Sqrt(max(z*z-2-1/trials+4*p*(failures+1), 0))
	above := math.Sqrt(max(z*z+2-1/trials+4*p*(failures-1), 0))
	return within(k, n,
		(2*events+z*z-1-z*below)/(2*(trials+z*z)),
		(2*events+z*z+1+z*above)/(2*(trials+z*z))), nil
}

// ClopperPearson is the exact interval: low is the p with P(X >= k) = alpha/2, high
// the one with P(X <= k) = alpha/2, which are quantiles of beta distributions.
//
//	low = B(alpha/2; k, n-k+1)    high = B(1-alpha/2; k+1, n-k)
//
// low is 0 where k is 0, high is 1 where k is n. Its coverage is never below the
// level, whatever p is. Nil where n is 0.
// Source: Clopper, Pearson 1934, Biometrika 26:404.
func ClopperPearson(k, n int, level float64) (*Interval, error) {
	if err := checkInterval(k, n, level); err != nil || n == 0 {
		return nil, err
	}
	// The upper limit is one less the lower limit of what did not happen: a small
	// number has more digits near 0 than near 1.
	return within(k, n, exactLow(k, n, level), 1-exactLow(n-k, n, level)), nil
}

func exactLow(k, n int, level float64) float64 {
	if k == 0 {
		return 0
	}
	return betaQuantile(float64(k), float64(n-k)+1, (1-level)/2)
}

func checkInterval(k, n int, level float64) error {
	if err := checkProportion(k, n); err != nil {
		return err
	}
	return checkLevel(level)
}

// within makes an interval of what rounding may have put a hair beside 0, 1 or k/n.
func within(k, n int, low, high float64) *Interval {
	p := float64(k) / float64(n)
	i := Interval{Low: min(max(low, 0), p), High: max(min(high, 1), p)}
	if k == 0 {
		i.Low = 0
	}
	if k == n {
		i.High = 1
	}
	return &i
}
