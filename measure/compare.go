package measure

import (
	"math"
	"slices"
)

// Test is the outcome of a test of significance.
type Test struct {
	Statistic float64 // z, or chi-square
	Freedom   int     // degrees of freedom of a chi-square; 0 for z
	P         float64 // two-sided
}

// Difference is how two proportions differ: the first less the second.
type Difference struct {
	First, Second float64
	Difference    float64
	Interval      Interval // Newcombe's, from the two Wilson intervals
	Test          *Test    // nil where both are 0, or both 1: there is no variance to judge by
}

// TwoProportions compares k1 of n1 with k2 of n2, of independent cases. Nil where
// either has no trials.
//
// The test is the pooled z test, whose square is the chi-square without Yates'
// correction:
//
//	z = (p1 - p2) / sqrt(p(1-p)(1/n1 + 1/n2)),   p = (k1 + k2)/(n1 + n2)
//
// The interval is the hybrid score interval, of the Wilson intervals [l1, u1] and [l2, u2]:
//
//	d - sqrt((p1-l1)² + (u2-p2)²)   to   d + sqrt((u1-p1)² + (p2-l2)²)
//
// Source: Newcombe 1998, Statistics in Medicine 17:873, method 10; Fleiss, Levin,
// Paik 2003, Statistical Methods for Rates and Proportions, 3.3.
func TwoProportions(k1, n1, k2, n2 int, level float64) (*Difference, error) {
	first, err := Wilson(k1, n1, level)
	if err != nil {
		return nil, err
	}
	second, err := Wilson(k2, n2, level)
	if err != nil || first == nil || second == nil {
		return nil, err
	}
	p1, p2 := float64(k1)/float64(n1), float64(k2)/float64(n2)
	d := Difference{First: p1, Second: p2, Difference: p1 - p2}
	d.Interval = Interval{
		Low:  max(d.Difference-math.Hypot(p1-first.Low, second.High-p2), -1),
		High: min(d.Difference+math.Hypot(first.High-p1, p2-second.Low), 1),
	}
	if events, trials := k1+k2, n1+n2; events > 0 && events < trials {
		p := float64(events) / float64(trials)
		z := d.Difference / math.Sqrt(p*(1-p)*(1/float64(n1)+1/float64(n2)))
		d.Test = &Test{Statistic: z, P: beyond(z)}
	}
	return &d, nil
}

// ChiSquare is Pearson's test whether the rows of a table of counts have the same
// distribution over its columns:
//
//	sum of (observed - expected)² / expected,   expected = row · column / n
//
// With yates, which only a table of two by two may have, every difference is made
// smaller by a half (or to 0). Rows and columns without any count say nothing and
// are left out; nil where fewer than two of either remain. The distribution is an
// approximation: where an expected count is below 5, prefer FisherExact.
// Source: Pearson 1900, Philosophical Magazine 50:157; Yates 1934, Supplement to JRSS 1:217.
func ChiSquare(table [][]int, yates bool) (*Test, error) {
	rows, columns, n, err := margins(table)
	if err != nil {
		return nil, err
	}
	if yates && (len(rows) != 2 || len(columns) != 2) {
		return nil, wrong("Yates' correction is for two rows and two columns, not %d and %d", len(rows), len(columns))
	}
	r, c := filled(rows), filled(columns)
	if r < 2 || c < 2 {
		return nil, nil
	}
	sum := 0.0
	for i, row := range table {
		for j, observed := range row {
			expected := float64(rows[i]) * float64(columns[j]) / float64(n)
			if expected == 0 {
				continue
			}
			off := math.Abs(float64(observed) - expected)
			if yates {
				off = max(off-0.5, 0)
			}
			sum += off * off / expected
		}
	}
	freedom := (r - 1) * (c - 1)
	return &Test{Statistic: sum, Freedom: freedom, P: chiSquareAbove(sum, freedom)}, nil
}

// EnoughExpected is the expected count in every cell from which on chi-square is near
// enough (Cochran 1954, Biometrics 10:417).
const EnoughExpected = 5

// SmallestExpected is the smallest count that ChiSquare expects in a cell of a table.
// Nil where it has no test.
func SmallestExpected(table [][]int) (*float64, error) {
	rows, columns, n, err := margins(table)
	if err != nil || filled(rows) < 2 || filled(columns) < 2 {
		return nil, err
	}
	smallest := func(sums []int) int {
		return slices.Min(slices.DeleteFunc(slices.Clone(sums), func(sum int) bool { return sum == 0 }))
	}
	expected := float64(smallest(rows)) * float64(smallest(columns)) / float64(n)
	return &expected, nil
}

// margins are the sums of rows and columns of a table that has both.
func margins(table [][]int) (rows, columns []int, n int, err error) {
	if len(table) == 0 || len(table[0]) == 0 {
		return nil, nil, 0, wrong("a table of counts has at least one row and one column")
	}
	rows, columns = make([]int, len(table)), make([]int, len(table[0]))
	for i, row := range table {
		if len(row) != len(columns) {
			return nil, nil, 0, wrong("row %d has %d columns, the first has %d", i+1, len(row), len(columns))
		}
		for j, count := range row {
			if err := checkCount("a cell", count); err != nil {
				return nil, nil, 0, err
			}
			rows[i] += count
			columns[j] += count
			n += count
		}
	}
	return rows, columns, n, checkCount("the table's sum", n)
}

func filled(sums []int) int {
	n := 0
	for _, s := range sums {
		if s > 0 {
			n++
		}
	}
	return n
}
