package measure

// Bias tells why a kappa is low although the readings agree. Kappa falls as one
// category becomes rare (prevalence), and rises as the readers' margins differ (bias).
type Bias struct {
	Prevalence float64   // (a - d)/n: 0 where both categories are as frequent; sign: which is
	Bias       float64   // (b - c)/n: 0 where both readers use them as often
	PABAK      float64   // kappa if prevalence and bias were 0: 2·po - 1
	Interval   *Interval // of PABAK: that of Wilson of po, on PABAK's scale
	Most       *float64  // the highest kappa that these margins allow; nil where kappa is undefined
}

// PrevalenceAndBias explains the kappa of the two by two table
//
//	a b
//	c d
//
// of two readings, a and d being agreement. Nil where there is no case.
// Source: Byrt, Bishop, Carlin 1993, Journal of Clinical Epidemiology 46:423. The
// highest kappa: Cohen 1960.
func PrevalenceAndBias(a, b, c, d int, level float64) (*Bias, error) {
	if err := checkLevel(level); err != nil {
		return nil, err
	}
	rows, columns, n, err := margins([][]int{{a, b}, {c, d}})
	if err != nil || n == 0 {
		return nil, err
	}
	agreed, err := Wilson(a+d, n, level)
	if err != nil {
		return nil, err
	}
	total := float64(n)
	bias := &Bias{
		Prevalence: float64(a-d) / total,
		Bias:       float64(b-c) / total,
		PABAK:      float64(a-b+d-c) / total,
		Interval:   &Interval{Low: 2*agreed.Low - 1, High: 2*agreed.High - 1},
	}
	// What chance agrees and disagrees on, times n².
	agree := float64(rows[0])*float64(columns[0]) + float64(rows[1])*float64(columns[1])
	differ := float64(rows[0])*float64(columns[1]) + float64(rows[1])*float64(columns[0])
	if differ > 0 {
		most := (float64(min(rows[0], columns[0])+min(rows[1], columns[1]))*total - agree) / differ
		bias.Most = &most
	}
	return bias, nil
}

// PABAK is kappa adjusted for prevalence and bias of a table of K categories:
// (K·po - 1)/(K - 1), which for two is 2·po - 1. Its interval is that of Wilson of
// po, on the same scale. Nil where there is no case.
// Source: Brennan, Prediger 1981, Educational and Psychological Measurement 41:687;
// Byrt, Bishop, Carlin 1993 for two categories.
func PABAK(table [][]int, level float64) (*float64, *Interval, error) {
	if err := checkLevel(level); err != nil {
		return nil, nil, err
	}
	rows, columns, n, err := margins(table)
	if err != nil {
		return nil, nil, err
	}
	k := len(rows)
	if k != len(columns) || k < 2 {
		return nil, nil, wrong("two readings of the same cases make a square of two categories or more, not %d rows and %d columns", k, len(columns))
	}
	agreed := 0
	for i := range table {
		agreed += table[i][i]
	}
	interval, err := Wilson(agreed, n, level)
	if err != nil || interval == nil {
		return nil, nil, err
	}
	scale := func(p float64) float64 { return (float64(k)*p - 1) / float64(k-1) }
	value := scale(float64(agreed) / float64(n))
	return &value, &Interval{Low: scale(interval.Low), High: scale(interval.High)}, nil
}
