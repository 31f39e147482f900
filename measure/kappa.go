package measure

import "math"

// Weights say how much two categories agree: 1 where they are the same.
type Weights string

// The weights of a kappa, of categories i and j of K in their order.
const (
	Unweighted Weights = "unweighted" // 0 unless i = j; the order does not matter
	Linear     Weights = "linear"     // 1 - |i-j|/(K-1)
	Quadratic  Weights = "quadratic"  // 1 - (i-j)²/(K-1)²
)

func (w Weights) of(i, j, categories int) float64 {
	far := math.Abs(float64(i-j)) / float64(categories-1)
	switch {
	case i == j:
		return 1
	case w == Linear:
		return 1 - far
	case w == Quadratic:
		return 1 - far*far
	}
	return 0
}

// Kappa is agreement beyond chance of two readings of the same cases.
type Kappa struct {
	N        int
	Observed float64   // agreement, weighted
	Expected float64   // agreement by chance, of the two readers' own margins
	Kappa    *float64  // nil where chance agrees with everything, or there is no case
	SE       *float64  // standard error of Kappa as it is, for the interval
	SE0      *float64  // standard error if kappa were 0, for the test
	Interval *Interval // Kappa ± z·SE, no further than ±1; nil where SE is 0 or nil
	Test     *Test     // of kappa being 0: z = Kappa/SE0
}

// CohenKappa compares two readings. table[i][j] is the number of cases that the first
// put into category i and the second into j; it is square and has two categories at
// least. With p_ij of the cells, p_i. and p_.j of the margins and w_ij of the weights:
//
//	po = Σ w_ij p_ij      pe = Σ w_ij p_i. p_.j      kappa = (po - pe)/(1 - pe)
//
//	SE²  = (Σ p_ij (w_ij(1-pe) - (w̄_i. + w̄_.j)(1-po))² - (po·pe - 2pe + po)²) / (n (1-pe)⁴)
//	SE0² = (Σ p_i. p_.j (w_ij - (w̄_i. + w̄_.j))² - pe²) / (n (1-pe)²)
//
// where w̄_i. = Σ_j p_.j w_ij and w̄_.j = Σ_i p_i. w_ij. The interval is asymptotic:
// with fewer than some 30 cases, or kappa near 1, it is too narrow, and where all
// cases agree the SE is 0, which proves nothing, so that there is no interval then.
//
// Source: Cohen 1960, Educational and Psychological Measurement 20:37; Cohen 1968,
// Psychological Bulletin 70:213; Fleiss, Cohen, Everitt 1969, Psychological Bulletin
// 72:323 (the errors; those that Cohen gave are wrong).
func CohenKappa(table [][]int, weights Weights, level float64) (*Kappa, error) {
	if err := checkLevel(level); err != nil {
		return nil, err
	}
	if weights != Unweighted && weights != Linear && weights != Quadratic {
		return nil, wrong("%q are no weights of a kappa: use %q, %q or %q", string(weights), Unweighted, Linear, Quadratic)
	}
	rows, columns, n, err := margins(table)
	if err != nil {
		return nil, err
	}
	if len(rows) != len(columns) || len(rows) < 2 {
		return nil, wrong("two readings of the same cases make a square of two categories or more, not %d rows and %d columns", len(rows), len(columns))
	}
	if n == 0 {
		return &Kappa{}, nil
	}
	return newSquare(table, rows, columns, n, weights).kappa(level), nil
}

// square is a table of two readings in proportions.
type square struct {
	n            int
	cell         [][]float64
	row, column  []float64 // margins
	weight       [][]float64
	byRow, byCol []float64 // w̄_i. and w̄_.j
	observed     float64
	expected     float64
	disagreement float64 // 1 - expected, without the rounding of a difference
}

func newSquare(table [][]int, rows, columns []int, n int, weights Weights) *square {
	k := len(rows)
	s := &square{
		n: n, row: make([]float64, k), column: make([]float64, k),
		byRow: make([]float64, k), byCol: make([]float64, k),
	}
	for i := range k {
		s.row[i], s.column[i] = float64(rows[i])/float64(n), float64(columns[i])/float64(n)
	}
	for i := range k {
		cell, weight := make([]float64, k), make([]float64, k)
		for j := range k {
			cell[j], weight[j] = float64(table[i][j])/float64(n), weights.of(i, j, k)
			s.byRow[i] += weight[j] * s.column[j]
			s.byCol[j] += weight[j] * s.row[i]
			s.observed += weight[j] * cell[j]
			s.expected += weight[j] * s.row[i] * s.column[j]
			s.disagreement += (1 - weight[j]) * s.row[i] * s.column[j]
		}
		s.cell, s.weight = append(s.cell, cell), append(s.weight, weight)
	}
	return s
}

func (s *square) kappa(level float64) *Kappa {
	k := &Kappa{N: s.n, Observed: min(s.observed, 1), Expected: min(s.expected, 1)}
	if s.disagreement == 0 {
		return k
	}
	value := min(1-s.missed()/s.disagreement, 1)
	k.Kappa = &value
	se, se0 := s.errors()
	k.SE, k.SE0 = &se, &se0
	if se > 0 {
		z := critical(level)
		k.Interval = &Interval{Low: max(value-z*se, -1), High: min(value+z*se, 1)}
	}
	if se0 > 0 {
		k.Test = &Test{Statistic: value / se0, P: beyond(value / se0)}
	}
	return k
}

// missed is 1 - observed: exactly 0 where no case disagrees.
func (s *square) missed() (sum float64) {
	for i := range s.cell {
		for j := range s.cell {
			sum += (1 - s.weight[i][j]) * s.cell[i][j]
		}
	}
	return sum
}

// errors are SE and SE0.
func (s *square) errors() (se, se0 float64) {
	po, pe := s.observed, s.expected
	missed, chance := s.missed(), s.disagreement
	sum, sum0 := 0.0, 0.0
	for i := range s.cell {
		for j := range s.cell {
			mean := s.byRow[i] + s.byCol[j]
			off := s.weight[i][j]*chance - mean*missed
			sum += s.cell[i][j] * off * off
			off0 := s.weight[i][j] - mean
			sum0 += s.row[i] * s.column[j] * off0 * off0
		}
	}
	mean := po*pe - 2*pe + po
	n := float64(s.n)
	return rootOf(sum-mean*mean, sum) / (math.Sqrt(n) * chance * chance),
		rootOf(sum0-pe*pe, sum0) / (math.Sqrt(n) * chance)
}

// rootOf is the root of a difference of about so large a size, which is 0 where
// nothing but rounding is left of it.
func rootOf(difference, size float64) float64 {
	if difference <= 1e-14*size {
		return 0
	}
	return math.Sqrt(difference)
}
