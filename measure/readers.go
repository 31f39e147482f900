package measure

import "math"

// Ratings are Times cases that were rated alike: Counts[c] readers put each of them
// into category c. Who they were does not matter, and cases may differ in how many.
type Ratings struct {
	Counts []int
	Times  int
}

// Agreement is agreement beyond chance of many readers.
type Agreement struct {
	Cases    int       // with a rating
	Compared int       // with two ratings or more
	Observed *float64  // the mean over compared cases of the share of pairs that agree
	Expected *float64  // by chance
	Value    *float64  // the coefficient; nil where chance agrees with everything, or nothing is compared. Below -1 only where cases differ in ratings
	SE       *float64  // of Value, over cases drawn at random, readers fixed; nil below two cases
	SE0      *float64  // Fleiss' kappa only, and the same number of ratings each: if kappa were 0
	Interval *Interval // Value ± t·SE with Cases - 1 degrees of freedom, not beyond ±1; nil where SE is 0 or nil
}

// FleissKappa is the agreement of many readers whose chance is that of the frequency
// of each category over all of them. Of case i, r_ic ratings of r_i are c:
//
//	po = mean of Σ_c r_ic(r_ic - 1)/(r_i(r_i - 1))     π_c = mean of r_ic/r_i
//	pe = Σ π_c²                                        kappa = (po - pe)/(1 - pe)
//
// Source: Fleiss 1971, Psychological Bulletin 76:378, which has the same number of
// ratings each; SE0: Fleiss, Nee, Landis 1979, Psychological Bulletin 86:974; any
// number of ratings, and the SE: Gwet 2014, Handbook of Inter-Rater Reliability, 4th
// edition, chapters 2 and 5.
func FleissKappa(ratings []Ratings, level float64) (*Agreement, error) {
	c, err := readings(ratings, level)
	if err != nil {
		return nil, err
	}
	chance, expected := make([]float64, len(c.share)), 0.0
	for i, p := range c.share {
		chance[i] = p // what a rating of it adds to the chance
		expected += p * p
	}
	only := 0 // categories in use
	for _, p := range c.share {
		if p > 0 {
			only++
		}
	}
	if only < 2 {
		return c.undefined(expected), nil
	}
	a := c.coefficient(expected, chance, level)
	a.SE0 = c.fleissNull()
	return a, nil
}

// GwetAC1 is the agreement of many readers whose chance is that of a guess: it does
// not fall where one category is rare, as kappa does. With π_c and po as of
// FleissKappa and K categories:
//
//	pe = Σ π_c(1 - π_c)/(K - 1)                        AC1 = (po - pe)/(1 - pe)
//
// All Ratings name all K categories, also those that nobody used; K is two at least.
// Source: Gwet 2008, British Journal of Mathematical and Statistical Psychology 61:29;
// the SE: Gwet 2014, chapter 5.
func GwetAC1(ratings []Ratings, level float64) (*Agreement, error) {
	c, err := readings(ratings, level)
	if err != nil {
		return nil, err
	}
	others := float64(len(c.share) - 1)
	chance, expected := make([]float64, len(c.share)), 0.0
	for i, p := range c.share {
		chance[i] = (1 - p) / others
		expected += p * (1 - p) / others
	}
	return c.coefficient(expected, chance, level), nil
}

// compared is what the coefficients of many readers have in common.
type compared struct {
	ratings []Ratings
	cases   int
	twice   int       // cases with two ratings or more
	share   []float64 // π_c
	agreed  float64   // po, if twice > 0
	each    int       // ratings of every case; 0 where cases differ
}

func readings(ratings []Ratings, level float64) (*compared, error) {
	if err := checkLevel(level); err != nil {
		return nil, err
	}
	if len(ratings) == 0 {
		return &compared{share: make([]float64, 2)}, nil
	}
	c := &compared{share: make([]float64, len(ratings[0].Counts)), each: -1}
	if len(c.share) < 2 {
		return nil, wrong("ratings have two categories or more, not %d", len(c.share))
	}
	for i, r := range ratings {
		if err := c.add(i, r); err != nil {
			return nil, err
		}
	}
	for i := range c.share {
		c.share[i] /= float64(max(c.cases, 1))
	}
	c.agreed /= float64(max(c.twice, 1))
	return c, checkCount("all cases", c.cases)
}

func (c *compared) add(i int, r Ratings) error {
	if len(r.Counts) != len(c.share) {
		return wrong("ratings %d have %d categories, the first have %d", i+1, len(r.Counts), len(c.share))
	}
	if err := checkCount("cases rated alike", r.Times); err != nil {
		return err
	}
	total := 0
	for _, n := range r.Counts {
		if err := checkCount("ratings of a case", n); err != nil {
			return err
		}
		total += n
	}
	if r.Times == 0 || total == 0 {
		return nil // nobody rated: no case
	}
	for j, n := range r.Counts {
		c.share[j] += float64(r.Times) * float64(n) / float64(total)
	}
	if total > 1 {
		c.agreed += float64(r.Times) * pairs(r.Counts, total)
		c.twice += r.Times
	}
	c.cases += r.Times
	switch c.each {
	case -1:
		c.each = total
	case total:
	default:
		c.each = 0
	}
	c.ratings = append(c.ratings, r)
	return nil
}

// pairs is the share of pairs of readers that agree on a case of so many ratings.
func pairs(counts []int, total int) float64 {
	same := 0.0
	for _, n := range counts {
		same += float64(n) * float64(n-1)
	}
	return same / (float64(total) * float64(total-1))
}

// undefined is the agreement of which there is no coefficient.
func (c *compared) undefined(expected float64) *Agreement {
	a := &Agreement{Cases: c.cases, Compared: c.twice}
	if c.cases > 0 {
		a.Expected = &expected
	}
	if c.twice > 0 {
		observed := c.agreed
		a.Observed = &observed
	}
	return a
}

// coefficient is (po - pe)/(1 - pe). chance[c] is what a rating of category c says of
// pe, which the error needs: both po and pe vary with the cases that are drawn.
func (c *compared) coefficient(expected float64, chance []float64, level float64) *Agreement {
	a := c.undefined(expected)
	if c.twice == 0 {
		return a
	}
	value := (c.agreed - expected) / (1 - expected)
	a.Value = &value
	if c.cases < 2 {
		return a
	}
	sum, scale := 0.0, float64(c.cases)/float64(c.twice)
	for _, r := range c.ratings {
		off := c.influence(r, scale, value, expected, chance) - value
		sum += float64(r.Times) * off * off
	}
	n := float64(c.cases)
	se := rootOf(sum/(n*(n-1)), 1/n)
	a.SE = &se
	if t := criticalT(level, c.cases-1); t != nil && se > 0 {
		a.Interval = &Interval{Low: max(value-*t*se, min(value, -1)), High: min(value+*t*se, 1)}
	}
	return a
}

// influence is the coefficient as one case sees it.
func (c *compared) influence(r Ratings, scale, value, expected float64, chance []float64) float64 {
	total, guessed := 0, 0.0
	for i, n := range r.Counts {
		total += n
		guessed += float64(n) * chance[i]
	}
	guessed /= float64(total)
	own := 0.0
	if total > 1 {
		own = scale * (pairs(r.Counts, total) - expected) / (1 - expected)
	}
	return own - 2*(1-value)*(guessed-expected)/(1-expected)
}

// fleissNull is the standard error of Fleiss' kappa of 0, where each case has the
// same number m of ratings:
//
//	sqrt(2/(N·m(m-1))) / Σ π_c(1-π_c) · sqrt((Σ π_c(1-π_c))² - Σ π_c(1-π_c)(1-2π_c))
func (c *compared) fleissNull() *float64 {
	if c.each < 2 {
		return nil
	}
	spread, skew := 0.0, 0.0
	for _, p := range c.share {
		spread += p * (1 - p)
		skew += p * (1 - p) * (1 - 2*p)
	}
	m := float64(c.each)
	se := math.Sqrt(2/(float64(c.cases)*m*(m-1))) / spread * rootOf(spread*spread-skew, spread*spread)
	return &se
}
