package measure_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/overread/overread/measure"
)

// update writes testdata/peer.jsonl anew; it needs OVERREAD_STATISTICS_PEER.
var update = flag.Bool("update", false, "write testdata/peer.jsonl")

// question is one input of a figure, as the peer reads it. A table may be of counts,
// of units, of strata or of times, as the figure has it.
type question struct {
	Figure string    `json:"figure"`
	Level  float64   `json:"level,omitempty"`
	Counts []int     `json:"counts,omitempty"`
	Values []float64 `json:"values,omitempty"`
	Table  [][]int   `json:"table,omitempty"`
}

// answered is a line of testdata/peer.jsonl.
type answered struct {
	question
	Answer []*float64 `json:"answer"`
}

// TestAnIndependentImplementationAgrees compares every figure with what Python's
// scipy, statsmodels and irrCAC say (internal/peers/statistics). `make test` reads a
// table of their answers; `make test-statistics` asks them, of thousands of inputs,
// and of those of the table.
func TestAnIndependentImplementationAgrees(t *testing.T) {
	t.Parallel()
	python := os.Getenv("OVERREAD_STATISTICS_PEER")
	kept := readAnswers(t)
	if python == "" {
		judge(t, kept)
		return
	}
	short := ask(t, python, questions(20, 1))
	if *update {
		writeAnswers(t, short)
		return
	}
	if got, want := lines(t, short), lines(t, kept); !alikeButRounding(short, kept) {
		t.Errorf("testdata/peer.jsonl is not what the peer says now (%d and %d bytes): make test-statistics UPDATE=1", len(want), len(got))
	}
	judge(t, ask(t, python, questions(400, 2)))
}

// judge compares, and says how many of each figure were.
func judge(t *testing.T, all []answered) {
	t.Helper()
	seen := map[string]int{}
	for _, a := range all {
		f := figures[a.Figure]
		got, err := f.ours(a.question)
		if err != nil {
			t.Errorf("%+v: %v", a.question, err)
			continue
		}
		if len(got) != len(a.Answer) {
			t.Errorf("%+v: %d figures, the peer has %d", a.question, len(got), len(a.Answer))
			continue
		}
		for i := range got {
			if !near(got[i], a.Answer[i], f.tolerance) {
				t.Errorf("%+v: figure %d is %v, the peer says %v", a.question, i, show(got[i]), show(a.Answer[i]))
			}
		}
		seen[a.Figure]++
	}
	for name := range figures {
		if seen[name] < 15 {
			t.Errorf("%s was compared %d times only", name, seen[name])
		}
	}
	t.Logf("%d inputs of %d figures", len(all), len(seen))
}

// near allows a relative difference above 1, an absolute one below.
func near(a, b *float64, tolerance float64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return math.Abs(*a-*b) <= tolerance*max(1, math.Abs(*b))
}

func show(x *float64) any {
	if x == nil {
		return nil
	}
	return *x
}

// figure is one that the peer has too.
type figure struct {
	tolerance float64
	input     func(*rand.Rand, *question)
	ours      func(question) ([]*float64, error)
}

func some(values ...float64) []*float64 {
	out := make([]*float64, len(values))
	for i := range values {
		out[i] = &values[i]
	}
	return out
}

func ends(i *measure.Interval) []*float64 {
	if i == nil {
		return []*float64{nil, nil}
	}
	return some(i.Low, i.High)
}

func intervalOf(m measure.Method) figure {
	return figure{tolerance: 1e-10, input: proportionInput, ours: func(q question) ([]*float64, error) {
		i, err := m.Interval(q.Counts[0], q.Counts[1], q.Level)
		return ends(i), err
	}}
}

func chiSquareOf(yates bool) figure {
	return figure{1e-9, func(r *rand.Rand, q *question) {
		size := 2
		if !yates {
			size = 2 + r.IntN(3)
		}
		q.Table = tableInput(r, size, 2)
	}, func(q question) ([]*float64, error) {
		test, err := measure.ChiSquare(q.Table, yates)
		if test == nil {
			return make([]*float64, 3), err
		}
		return some(test.Statistic, float64(test.Freedom), test.P), err
	}}
}

// kappaOf compares variances: statsmodels takes the root of what is less than 0.
func kappaOf(w measure.Weights) figure {
	return figure{1e-10, func(r *rand.Rand, q *question) {
		size := 2 + r.IntN(4)
		q.Table = tableInput(r, size, size)
	}, func(q question) ([]*float64, error) {
		k, err := measure.CohenKappa(q.Table, w, 0.95)
		if err != nil || k.Kappa == nil {
			return make([]*float64, 4), err
		}
		return some(*k.Kappa, *k.SE**k.SE, *k.SE0**k.SE0, float64(k.N)), nil
	}}
}

// figures are all, each with what a difference may be.
var figures = map[string]figure{
	"wilson":          intervalOf(measure.MethodWilson),
	"wilson-cc":       intervalOf(measure.MethodWilsonCC),
	"clopper-pearson": intervalOf(measure.MethodClopperPearson),
	"two-proportions": {1e-9, func(r *rand.Rand, q *question) {
		proportionInput(r, q)
		first := q.Counts
		proportionInput(r, q)
		q.Counts = append(first, q.Counts...)
	}, func(q question) ([]*float64, error) {
		d, err := measure.TwoProportions(q.Counts[0], q.Counts[1], q.Counts[2], q.Counts[3], q.Level)
		if err != nil {
			return nil, err
		}
		if d.Test == nil {
			return append(ends(&d.Interval), nil, nil), nil
		}
		return append(ends(&d.Interval), &d.Test.Statistic, &d.Test.P), nil
	}},
	"chi-square":      chiSquareOf(false),
	"yates":           chiSquareOf(true),
	"fisher":          {1e-9, func(r *rand.Rand, q *question) { q.Table = tableInput(r, 2, 2) }, fisherOurs},
	"kappa":           kappaOf(measure.Unweighted),
	"kappa-linear":    kappaOf(measure.Linear),
	"kappa-quadratic": kappaOf(measure.Quadratic),
	"bias":            {1e-10, func(r *rand.Rand, q *question) { q.Table = tableInput(r, 2, 2) }, biasOurs},
	"fleiss":          {1e-9, ratingsInput, fleissOurs},
	"ac1":             {1e-9, ratingsInput, ac1Ours},
	"funnel":          {1e-9, targetInput, funnelOurs},
	"dispersion":      {1e-9, dispersionInput, dispersionOurs},
	"p-chart":         {1e-10, unitsInput, pChartOurs},
	"xmr":             {1e-7, valuesInput, xmrOurs},
	"cusum":           {1e-8, cusumInput, cusumOurs},
	"margins":         {1e-9, marginsInput, marginsOurs},
	"poisson":         {1e-9, countInput, poissonOurs},
	"standard":        {1e-10, strataInput, standardOurs},
	"survival":        {1e-9, timesInput, survivalOurs},
}

// questions are so many of each figure, always the same for a seed.
func questions(each int, seed uint64) []question {
	var all []question
	for _, name := range sortedNames() {
		r := rand.New(rand.NewPCG(seed, uint64(len(all))))
		for range each {
			q := question{Figure: name, Level: []float64{0.8, 0.9, 0.95, 0.99, 0.998}[r.IntN(5)]}
			figures[name].input(r, &q)
			all = append(all, q)
		}
	}
	return all
}

// ask gives questions to the peer, all at once.
func ask(t *testing.T, python string, all []question) []answered {
	t.Helper()
	var in bytes.Buffer
	for _, q := range all {
		line, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	peer := exec.CommandContext(t.Context(), python, "../internal/peers/statistics/judge.py")
	peer.Stdin, peer.Stderr = &in, os.Stderr
	out, err := peer.Output()
	if err != nil {
		t.Fatalf("the peer: %v", err)
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(answers) != len(all) {
		t.Fatalf("%d answers to %d questions", len(answers), len(all))
	}
	done := make([]answered, len(all))
	for i, line := range answers {
		done[i].question = all[i]
		if err := json.Unmarshal([]byte(line), &done[i].Answer); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return done
}

const keptAnswers = "testdata/peer.jsonl"

func readAnswers(t *testing.T) (all []answered) {
	t.Helper()
	file, err := os.Open(keptAnswers)
	if err != nil {
		if *update {
			return nil
		}
		t.Fatal(err)
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		var a answered
		if err := json.Unmarshal(s.Bytes(), &a); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		all = append(all, a)
	}
	return all
}

func writeAnswers(t *testing.T, all []answered) {
	t.Helper()
	if err := os.WriteFile(keptAnswers, lines(t, all), 0o644); err != nil {
		t.Fatal(err)
	}
}

func lines(t *testing.T, all []answered) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, a := range all {
		line, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.Bytes()
}

// alikeButRounding says whether two tables have the same questions and answers.
func alikeButRounding(a, b []answered) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		one, err1 := json.Marshal(a[i].question)
		two, err2 := json.Marshal(b[i].question)
		if err1 != nil || err2 != nil || !bytes.Equal(one, two) || len(a[i].Answer) != len(b[i].Answer) {
			return false
		}
		for j := range a[i].Answer {
			if !near(a[i].Answer[j], b[i].Answer[j], 1e-12) {
				return false
			}
		}
	}
	return true
}
