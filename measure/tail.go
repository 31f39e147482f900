package measure

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// critical is z for a two-sided level: 1.96 for 0.95. Level is checked.
func critical(level float64) float64 { return -distuv.UnitNormal.Quantile((1 - level) / 2) }

// criticalT is the same of Student's t. It is nil without a degree of freedom.
func criticalT(level float64, freedom int) *float64 {
	if freedom < 1 {
		return nil
	}
	t := -distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(freedom)}.Quantile((1 - level) / 2)
	return &t
}

// beyond is the probability of a standard normal at least as far from 0 as z, on
// either side. Erfc keeps its digits in the tail, where 1 - Erf has none.
func beyond(z float64) float64 { return math.Erfc(math.Abs(z) / math.Sqrt2) }

// chiSquareAbove is the probability that a chi-square with so many degrees of
// freedom is at least x. Freedom is positive, x not negative.
func chiSquareAbove(x float64, freedom int) float64 {
	if x <= 0 {
		return 1
	}
	return mathext.GammaIncRegComp(float64(freedom)/2, x/2)
}

// binomialAtMost is P(X <= k) of n trials with probability p, by the regularised
// incomplete beta function, which costs the same for every n
// (Abramowitz, Stegun 1964, 26.5.24).
func binomialAtMost(k, n int, p float64) float64 {
	switch {
	case k < 0:
		return 0
	case k >= n || p <= 0:
		return 1
	case p >= 1:
		return 0
	}
	return mathext.RegIncBeta(float64(n-k), float64(k)+1, 1-p)
}

// bisect finds where f, which rises between low and high, comes to 0. It ends when
// two neighbouring numbers are left, or after 200 halvings.
func bisect(low, high float64, f func(float64) float64) float64 {
	for range 200 {
		middle := low + (high-low)/2
		if middle <= low || middle >= high {
			break
		}
		if f(middle) < 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return low + (high-low)/2
}

// betaQuantile is x with I_x(a, b) = p. gonum's inverse is the beginning; since its
// iterations may end early, the forward function has the last word.
func betaQuantile(a, b, p float64) float64 {
	x := mathext.InvRegIncBeta(a, b, p)
	off := func(x float64) float64 { return mathext.RegIncBeta(a, b, x) - p }
	const near = 1e-7
	low, high := max(x*(1-near), 0), min(x*(1+near), 1)
	if off(low) > 0 || off(high) < 0 {
		low, high = 0, 1
	}
	return bisect(low, high, off)
}

// gammaQuantile is x with P(a, x) = p of the regularised incomplete gamma function,
// checked in the same way.
func gammaQuantile(a, p float64) float64 {
	x := mathext.GammaIncRegInv(a, p)
	off := func(x float64) float64 { return mathext.GammaIncReg(a, x) - p }
	const near = 1e-7
	low, high := x*(1-near), x*(1+near)
	if off(low) > 0 || off(high) < 0 {
		low, high = 0, 2*(a+50*math.Sqrt(a)+50)
	}
	return bisect(low, high, off)
}
