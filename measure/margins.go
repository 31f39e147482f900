package measure

import "gonum.org/v1/gonum/mat"

// MarginalHomogeneity tests whether two readings of the same cases use their categories as
// often, which for tables of more than two categories stands where Byrt's index of bias is
// for two: that is of one pair of cells that disagree, and of three categories there are
// three. table[i][j] is the number of cases that the first put into category i and the
// second into j. With d the differences of the margins:
//
//	chi² = d' S⁻ d,   d_i = n_i. - n_.i,   S_ii = n_i. + n_.i - 2 n_ii,   S_ij = -(n_ij + n_ji)
//
// S has no inverse: the d add up to 0 (among categories that are confused with each other,
// directly or by others). The sum is over its eigenvectors with an eigenvalue that is not 0;
// there are as many degrees of freedom. That is the statistic that one gets by leaving out a
// category, whichever, and of two it is McNemar's. Nil where no case disagrees.
// Source: Stuart 1955, Biometrika 42:412; Maxwell 1970, British Journal of Psychiatry 116:651.
func MarginalHomogeneity(table [][]int) (*Test, error) {
	rows, columns, _, err := margins(table)
	if err != nil {
		return nil, err
	}
	k := len(rows)
	if k != len(columns) || k < 2 {
		return nil, wrong("two readings of the same cases make a square of two categories or more, not %d rows and %d columns", k, len(columns))
	}
	s, d := mat.NewSymDense(k, nil), make([]float64, k)
	differ := false
	for i := range k {
		d[i] = float64(rows[i] - columns[i])
		s.SetSym(i, i, float64(rows[i]+columns[i]-2*table[i][i]))
		for j := range i {
			s.SetSym(i, j, -float64(table[i][j]+table[j][i]))
			differ = differ || table[i][j]+table[j][i] > 0
		}
	}
	if !differ {
		return nil, nil
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(s, true) {
		return nil, wrong("the differences of this table cannot be told apart")
	}
	values := eigen.Values(nil) // ascending
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	t := &Test{}
	for i, value := range values {
		if value <= 1e-12*values[k-1] {
			continue
		}
		along := 0.0
		for j := range k {
			along += vectors.At(j, i) * d[j]
		}
		t.Statistic += along * along / value
		t.Freedom++
	}
	t.P = chiSquareAbove(t.Statistic, t.Freedom)
	return t, nil
}
