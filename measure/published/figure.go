package published

import (
	"errors"

	"github.com/overread/overread/measure"
)

// figure is how one printed figure comes from counts.
type figure struct {
	study, name string
	path        string   // where it stands in published-rates.json
	method      string   // of ours
	counts      []string // paths of the counts that compute takes
	compute     func([]int) ([]float64, error)
	slip        string // what is wrong in print
}

// wibmer are the cells of the table, by row.
var wibmer = []string{
	"table_2x2.initial_pos_second_pos", "table_2x2.initial_pos_second_neg",
	"table_2x2.initial_neg_second_pos", "table_2x2.initial_neg_second_neg",
}

// figures are all that a study prints, and all that exact arithmetic makes of it.
var figures = []figure{
	{"guerin-2015", "concordance, %", "published.concordance_pct", "rate", []string{"concordant", "n"}, percent, ""},
	{"guerin-2015", "its interval, %", "published.ci95_pct", "Wilson", []string{"concordant", "n"}, interval(measure.MethodWilson), ""},
	{"guerin-2015", "its interval, %", "expect.ci95_pct", "Wilson", []string{"concordant", "n"}, interval(measure.MethodWilson), ""},

	{"wibmer-2015", "disagreement, of cases", "published.disagree", "counts", []string{wibmer[1] + "+" + wibmer[2], wibmer[0] + "+" + wibmer[1] + "+" + wibmer[2] + "+" + wibmer[3]}, asCounted, ""},
	{"wibmer-2015", "kappa", "published.kappa", "Cohen", wibmer, kappa, ""},
	{"wibmer-2015", "kappa", "expect.kappa", "Cohen", wibmer, kappa, ""},
	{"wibmer-2015", "its standard error", "expect.se", "Fleiss, Cohen, Everitt", wibmer, kappaError, ""},
	{"wibmer-2015", "its interval", "expect.ci95", "kappa ± z·SE", wibmer, kappaInterval, ""},

	{"zan-2010", "important, %", "published.important_pct", "rate", []string{"important", "comparable"}, percent, ""},
	{"zan-2010", "important, %", "expect.important_pct", "rate", []string{"important", "comparable"}, percent, ""},
	{"zan-2010", "its interval, %", "expect.wilson_pct", "Wilson", []string{"important", "comparable"}, interval(measure.MethodWilson), ""},
	{"zan-2010", "its interval, %", "expect.wilson_cc_pct", "Wilson, corrected", []string{"important", "comparable"}, interval(measure.MethodWilsonCC), ""},
	{"zan-2010", "second opinion correct, %", "published.second_correct_pct", "rate", []string{"second_correct", "verified"}, percent, ""},

	{"chalian-2016", "with a report, %", "published.with_report_pct", "rate", []string{"comparable", "submitted"}, percent, ""},
	{"chalian-2016", "important, %", "published.important_pct", "rate", []string{"important", "comparable"}, percent, ""},
	{"chalian-2016", "its interval, %", "expect.wilson_pct", "Wilson", []string{"important", "comparable"}, interval(measure.MethodWilson), ""},
	{"chalian-2016", "important, oncologic, %", "published.oncologic_pct", "rate", []string{"oncologic.important", "oncologic.n"}, percent, ""},
	{"chalian-2016", "its interval, %", "expect.oncologic_wilson_pct", "Wilson", []string{"oncologic.important", "oncologic.n"}, interval(measure.MethodWilson), ""},
	{
		"chalian-2016", "oncologic against other", "expect.chi2_oncologic_vs_other", "chi-square",
		[]string{"oncologic.important", "oncologic.n", "important-oncologic.important", "comparable-oncologic.n"}, chiSquare, "",
	},

	{"eakins-2012", "major, %", "published.major_pct", "rate", []string{"major", "n"}, percent, ""},
	{"eakins-2012", "its interval, %", "expect.major_wilson_pct", "Wilson", []string{"major", "n"}, interval(measure.MethodWilson), ""},
	{"eakins-2012", "minor, %", "published.minor_pct", "rate", []string{"minor", "n"}, percent, "155 of 773 is 20.05 %, which rounds to 20.1"},
	{"eakins-2012", "minor, %", "expect.minor_pct", "rate", []string{"minor", "n"}, percent, ""},
	{"eakins-2012", "major, body, %", "published.body_major_pct", "rate", []string{"body.major", "body.n"}, percent, "99 of 305 is 32.46 %, which rounds to 32.5"},
	{"eakins-2012", "major, body, %", "expect.body_major_pct", "rate", []string{"body.major", "body.n"}, percent, ""},
	{
		"eakins-2012", "neuro against body, major", "expect.chi2_neuro_vs_body_major", "chi-square",
		[]string{"neuro.major", "neuro.n", "body.major", "body.n"}, chiSquare, "",
	},

	{"croydon-2020", "discrepant, cases and %", "published.discrepant", "rate", []string{discrepant, "n"}, countAndPercent, ""},
	{"croydon-2020", "its interval, %", "expect.discrepant_wilson_pct", "Wilson", []string{discrepant, "n"}, interval(measure.MethodWilson), ""},
	{"croydon-2020", "significant, cases", "published.significant", "counts", []string{significant}, asCounted, ""},
	{"croydon-2020", "its interval, %", "expect.significant_wilson_pct", "Wilson", []string{significant, "n"}, interval(measure.MethodWilson), ""},
}

// Of RADPEER's scores, all but 1 are discrepant. Croydon's poster has three significant
// ones, which the b of clinical significance gives: 2b and 3b.
const (
	discrepant  = "radpeer.2a+radpeer.2b+radpeer.3a+radpeer.3b"
	significant = "radpeer.2b+radpeer.3b"
)

func asCounted(n []int) ([]float64, error) {
	out := make([]float64, len(n))
	for i := range n {
		out[i] = float64(n[i])
	}
	return out, nil
}

func countAndPercent(n []int) ([]float64, error) {
	p, err := percent(n)
	return append([]float64{float64(n[0])}, p...), err
}

func interval(m measure.Method) func([]int) ([]float64, error) {
	return func(n []int) ([]float64, error) {
		i, err := m.Interval(n[0], n[1], level)
		if err != nil || i == nil {
			return nil, errors.Join(err, errUndefined)
		}
		return []float64{100 * i.Low, 100 * i.High}, nil
	}
}

// chiSquare compares k1 of n1 with k2 of n2.
func chiSquare(n []int) ([]float64, error) {
	test, err := measure.ChiSquare([][]int{{n[0], n[1] - n[0]}, {n[2], n[3] - n[2]}}, false)
	if err != nil || test == nil {
		return nil, errors.Join(err, errUndefined)
	}
	return []float64{test.Statistic}, nil
}

func kappaOf(n []int) (*measure.Kappa, error) {
	k, err := measure.CohenKappa([][]int{{n[0], n[1]}, {n[2], n[3]}}, measure.Unweighted, level)
	if err != nil || k.Interval == nil {
		return nil, errors.Join(err, errUndefined)
	}
	return k, nil
}

func kappa(n []int) ([]float64, error) {
	k, err := kappaOf(n)
	if err != nil {
		return nil, err
	}
	return []float64{*k.Kappa}, nil
}

func kappaError(n []int) ([]float64, error) {
	k, err := kappaOf(n)
	if err != nil {
		return nil, err
	}
	return []float64{*k.SE}, nil
}

func kappaInterval(n []int) ([]float64, error) {
	k, err := kappaOf(n)
	if err != nil {
		return nil, err
	}
	return []float64{k.Interval.Low, k.Interval.High}, nil
}

// level is that of all printed intervals.
const level = 0.95

var errUndefined = errors.New("the figure is undefined")
