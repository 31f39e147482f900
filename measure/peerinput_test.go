package measure_test

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/overread/overread/measure"
)

// What the peer is asked, and how the same is asked of us.

func sortedNames() []string { return slices.Sorted(maps.Keys(figures)) }

// upTo is small or large, and now and then an end.
func upTo(r *rand.Rand, most int) int {
	switch r.IntN(6) {
	case 0:
		return 0
	case 1:
		return most
	case 2:
		return r.IntN(min(most, 5) + 1)
	}
	return r.IntN(most + 1)
}

func proportionInput(r *rand.Rand, q *question) {
	n := 1 + r.IntN([]int{20, 500, 100_000}[r.IntN(3)])
	q.Counts = []int{upTo(r, n), n}
}

func tableInput(r *rand.Rand, rows, columns int) [][]int {
	most := []int{3, 30, 500}[r.IntN(3)]
	table := make([][]int, rows)
	for i := range table {
		for range columns {
			table[i] = append(table[i], upTo(r, most))
		}
	}
	return table
}

func fisherOurs(q question) ([]*float64, error) {
	p, err := measure.FisherExact(q.Table[0][0], q.Table[0][1], q.Table[1][0], q.Table[1][1])
	return []*float64{p}, err
}

func biasOurs(q question) ([]*float64, error) {
	b, err := measure.PrevalenceAndBias(q.Table[0][0], q.Table[0][1], q.Table[1][0], q.Table[1][1], q.Level)
	if b == nil {
		return make([]*float64, 5), err
	}
	return append(some(b.Prevalence, b.Bias, b.PABAK), ends(b.Interval)...), err
}

// marginsInput has in each pair of categories a case that disagrees: statsmodels inverts a
// matrix that otherwise may have no inverse.
func marginsInput(r *rand.Rand, q *question) {
	k := 2 + r.IntN(4)
	q.Table = tableInput(r, k, k)
	for i := range q.Table {
		for j := range q.Table {
			if i != j {
				q.Table[i][j]++
			}
		}
	}
}

func marginsOurs(q question) ([]*float64, error) {
	t, err := measure.MarginalHomogeneity(q.Table)
	if t == nil {
		return make([]*float64, 3), err
	}
	return some(t.Statistic, float64(t.Freedom), t.P), err
}

// ratingsInput has at least two cases that differ, and two ratings or more of each:
// irrCAC has no answer to less. Half of the tables have as many ratings of each case.
func ratingsInput(r *rand.Rand, q *question) {
	categories, same := 2+r.IntN(3), r.IntN(2) == 0
	readers := 2 + r.IntN(4)
	q.Table = [][]int{make([]int, categories), make([]int, categories)}
	q.Table[0][0], q.Table[1][0], q.Table[1][1] = readers, readers-1, 1
	for range 2 + r.IntN(40) {
		if !same {
			readers = 2 + r.IntN(4)
		}
		row, likely := make([]int, categories), r.IntN(categories)
		for range readers {
			if r.IntN(3) > 0 {
				row[likely]++
			} else {
				row[r.IntN(categories)]++
			}
		}
		q.Table = append(q.Table, row)
	}
}

func ratingsOf(q question) (ratings []measure.Ratings) {
	for _, row := range q.Table {
		ratings = append(ratings, measure.Ratings{Counts: row, Times: 1})
	}
	return ratings
}

func fleissOurs(q question) ([]*float64, error) {
	a, err := measure.FleissKappa(ratingsOf(q), q.Level)
	return []*float64{a.Value, a.SE, a.SE0}, err
}

func ac1Ours(q question) ([]*float64, error) {
	a, err := measure.GwetAC1(ratingsOf(q), q.Level)
	return []*float64{a.Value, a.SE}, err
}

func targetInput(r *rand.Rand, q *question) {
	q.Counts, q.Values = []int{1 + r.IntN([]int{30, 1000, 100_000}[r.IntN(3)])}, []float64{0.001 + 0.998*r.Float64()}
}

func funnelOurs(q question) ([]*float64, error) {
	l, err := measure.Funnel(q.Values[0], q.Counts[0])
	if err != nil {
		return nil, err
	}
	return append(ends(&l.Warning), ends(&l.Alarm)...), nil
}

func unitsInput(r *rand.Rand, q *question) {
	for range 3 + r.IntN(30) {
		n := 1 + r.IntN(500)
		q.Table = append(q.Table, []int{upTo(r, n/5), n})
	}
}

func unitsOf(q question) (units []measure.Unit) {
	for _, row := range q.Table {
		units = append(units, measure.Unit{Events: row[0], Trials: row[1]})
	}
	return units
}

func dispersionInput(r *rand.Rand, q *question) {
	unitsInput(r, q)
	q.Values = []float64{0.02 + 0.3*r.Float64()}
}

func dispersionOurs(q question) ([]*float64, error) {
	d, err := measure.Overdispersion(unitsOf(q), q.Values[0])
	if err != nil {
		return nil, err
	}
	limits, err := d.Limits(300)
	if err != nil {
		return nil, err
	}
	return append(some(d.Phi, d.Tau2), ends(&limits.Alarm)...), nil
}

func pChartOurs(q question) ([]*float64, error) {
	c, err := measure.NewPChart(unitsOf(q), 0)
	if err != nil {
		return nil, err
	}
	out := []*float64{c.Centre}
	for _, p := range c.Points {
		out = append(out, &p.Limits.Low)
	}
	return out, nil
}

func valuesInput(r *rand.Rand, q *question) {
	for range 2 + r.IntN(40) {
		q.Values = append(q.Values, 50+10*r.NormFloat64())
	}
}

func xmrOurs(q question) ([]*float64, error) {
	c, err := measure.NewXmR(q.Values, 0)
	if err != nil {
		return nil, err
	}
	return some(c.Centre, c.Range, c.Points[0].Limits.Low, c.RangeLimit), nil
}

func cusumInput(r *rand.Rand, q *question) {
	q.Values = []float64{[]float64{0.5, 1.5, 2, 3}[r.IntN(4)]}
	for range 1 + r.IntN(30) {
		n := 1 + r.IntN(4)
		q.Table = append(q.Table, []int{r.IntN(n + 1), n})
		q.Values = append(q.Values, 0.01+0.5*r.Float64())
	}
}

func cusumOurs(q question) ([]*float64, error) {
	var steps []measure.Step
	for i, row := range q.Table {
		steps = append(steps, measure.Step{Events: row[0], Trials: row[1], Expected: q.Values[i+1]})
	}
	c, err := measure.NewCUSUM(steps, q.Values[0], 2)
	if err != nil {
		return nil, err
	}
	return some(c.Points...), nil
}

func countInput(r *rand.Rand, q *question) {
	q.Counts = []int{upTo(r, []int{10, 300, 100_000}[r.IntN(3)])}
}

func poissonOurs(q question) ([]*float64, error) {
	exact, err := measure.PoissonLimits(q.Counts[0], measure.PoissonExact, q.Level)
	if err != nil {
		return nil, err
	}
	byar, err := measure.PoissonLimits(q.Counts[0], measure.PoissonByar, q.Level)
	return append(ends(exact), ends(byar)...), err
}

func strataInput(r *rand.Rand, q *question) {
	for range 1 + r.IntN(12) {
		n, of := r.IntN(300), 1+r.IntN(5000)
		q.Table = append(q.Table, []int{upTo(r, n), n, upTo(r, of), of})
	}
}

func standardOurs(q question) ([]*float64, error) {
	var strata []measure.Stratum
	for _, row := range q.Table {
		strata = append(strata, measure.Stratum{
			Observed: measure.Unit{Events: row[0], Trials: row[1]}, Reference: measure.Unit{Events: row[2], Trials: row[3]},
		})
	}
	s, err := measure.Standardise(strata, measure.PoissonExact, q.Level)
	if err != nil {
		return nil, err
	}
	return []*float64{s.Expected, s.Ratio, s.Rate}, nil
}

func timesInput(r *rand.Rand, q *question) {
	for range 1 + r.IntN(25) {
		q.Table = append(q.Table, []int{r.IntN(40), 1 + r.IntN(4), r.IntN(3)})
	}
	if r.IntN(2) == 0 {
		q.Table = append(q.Table, []int{45, 0, 1 + r.IntN(30)})
	}
}

// survivalOurs is the last step, and the median with its interval.
func survivalOurs(q question) ([]*float64, error) {
	var times []measure.Times
	for _, row := range q.Table {
		times = append(times, measure.Times{At: float64(row[0]), Events: row[1], Censored: row[2]})
	}
	s, err := measure.KaplanMeier(times, q.Level)
	if err != nil {
		return nil, err
	}
	last := s.Steps[len(s.Steps)-1]
	median, err := s.Quantile(0.5)
	return append(append([]*float64{&last.Open, last.SE}, ends(last.Interval)...), median.At, median.From, median.To), err
}
