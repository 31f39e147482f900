package measure

// FisherExact is the two-sided P of Fisher's exact test of the table
//
//	a b
//	c d
//
// given its margins: the sum of the hypergeometric probabilities of all tables that
// are no more probable than the one observed. Equal ones are told from others with a
// relative tolerance of 1e-7, as R does. Nil where a row or a column is empty, since
// then there is only one table. It costs the smallest margin.
// Source: Fisher 1935, JRSS 98:39; Agresti 2013, Categorical Data Analysis, 3.5.3.
func FisherExact(a, b, c, d int) (*float64, error) {
	rows, columns, n, err := margins([][]int{{a, b}, {c, d}})
	if err != nil {
		return nil, err
	}
	if filled(rows) < 2 || filled(columns) < 2 {
		return nil, nil
	}
	if smallest := min(rows[0], rows[1], columns[0], columns[1]); smallest > maxFisher {
		return nil, wrong("the smallest margin is %d: above %d use ChiSquare, which is as good then", smallest, maxFisher)
	}
	row, column := rows[0], columns[0]
	low, high := max(0, row+column-n), min(row, column)
	// Probabilities relative to that of the mode, by the ratio of neighbours.
	mode := min(max(int(float64(row+1)*float64(column+1)/float64(n+2)), low), high)
	relative := make([]float64, high-low+1)
	relative[mode-low] = 1
	ratio := func(x int) float64 { // of x to x-1
		return float64(row-x+1) / float64(x) * (float64(column-x+1) / float64(n-row-column+x))
	}
	for x := mode + 1; x <= high; x++ {
		relative[x-low] = relative[x-1-low] * ratio(x)
	}
	for x := mode - 1; x >= low; x-- {
		relative[x-low] = relative[x+1-low] / ratio(x+1)
	}
	const tie = 1 + 1e-7
	total, extreme, observed := 0.0, 0.0, relative[a-low]
	for _, p := range relative {
		total += p
		if p <= observed*tie {
			extreme += p
		}
	}
	p := min(extreme/total, 1)
	return &p, nil
}

// maxFisher keeps an answer within milliseconds.
const maxFisher = 1 << 20
