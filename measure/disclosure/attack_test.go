package disclosure

import (
	"fmt"
	"maps"
	"math"
	"testing"

	"github.com/overread/overread/internal/linear"
)

// attacker has every figure that was ever published of a family, knows how the
// tables are made, and asks a solver what the counts could be. Its unknowns are
// the numbers of cases of every combination of a value of each dimension and a
// leaf, none below 0: no table is looked at alone.
type attacker struct {
	scheme *Scheme
	codes  map[string][]string // values by dimension
	names  []string            // dimensions
	size   int                 // unknowns
	rows   []linear.Row

	about map[string][]string // what all that is heard is about besides
}

// where is the set of cases that a figure is about: by dimension, the values;
// and the leaves.
type where struct {
	values map[string][]string
	leaves Leaves
}

// newAttacker knows all values that there are, those of a table that was refused
// too.
func newAttacker(f Family, p *Published) *attacker {
	a := &attacker{scheme: f.Scheme, codes: map[string][]string{}, size: len(f.Scheme.names)}
	for _, d := range f.Dimensions {
		a.names = append(a.names, d.Name)
		for _, v := range d.Values {
			a.codes[d.Name] = append(a.codes[d.Name], v.Code)
		}
		a.size *= len(d.Values)
	}
	a.hear(p)
	return a
}

// hear adds all that is published to what is known.
func (a *attacker) hear(p *Published) {
	a.hearFigures(p.Total, nil)
	for _, d := range p.Dimensions {
		for _, v := range d.Values {
			a.hearFigures(v.Figures, map[string][]string{d.Name: {v.Code}})
		}
	}
	for _, pair := range p.Pairs {
		for _, c := range pair.Cells {
			a.hearFigures(c.Figures, map[string][]string{
				pair.Row:    a.line(pair.Row, c.Row, pair.Cells, func(c PublishedCell) string { return c.Row }),
				pair.Column: a.line(pair.Column, c.Column, pair.Cells, func(c PublishedCell) string { return c.Column }),
			})
		}
	}
}

// line is the values that a line of a table of two dimensions has.
func (a *attacker) line(dimension, code string, cells []PublishedCell, of func(PublishedCell) string) []string {
	if code != Other {
		return []string{code}
	}
	own := map[string]bool{}
	for _, c := range cells {
		own[of(c)] = true
	}
	var others []string
	for _, c := range a.codes[dimension] {
		if !own[c] {
			others = append(others, c)
		}
	}
	return others
}

func (a *attacker) hearFigures(f Figures, values map[string][]string) {
	if a.about != nil {
		values = maps.Clone(values)
		if values == nil {
			values = map[string][]string{}
		}
		maps.Copy(values, a.about)
	}
	for _, b := range f.Blocks {
		a.rows = append(a.rows, linear.Row{Factors: a.factors(where{values, b.Leaves}, 1), Is: float64(b.Count)})
	}
}

// hearRate adds a rate that was printed with so many decimals.
func (a *attacker) hearRate(values map[string][]string, numerator, denominator Leaves, printed float64, decimals int) {
	half := math.Pow10(-decimals) / 2
	for _, side := range []float64{1, -1} { // side × (numerator − printed × denominator) ≤ half × denominator
		f := a.factors(where{values, denominator}, -side*printed-half)
		for i, n := range a.factors(where{values, numerator}, side) {
			f[i] += n
		}
		a.rows = append(a.rows, linear.Row{Factors: f, AtMost: true})
	}
}

// factors are the unknowns that a figure sums.
func (a *attacker) factors(w where, factor float64) map[int]float64 {
	out := map[int]float64{}
	for i := range a.size {
		if a.within(i, w) {
			out[i] = factor
		}
	}
	return out
}

func (a *attacker) within(unknown int, w where) bool {
	if w.leaves&(1<<(unknown%len(a.scheme.names))) == 0 {
		return false
	}
	unknown /= len(a.scheme.names)
	for _, d := range a.names {
		code := a.codes[d][unknown%len(a.codes[d])]
		unknown /= len(a.codes[d])
		if allowed, asked := w.values[d]; asked {
			found := false
			for _, c := range allowed {
				found = found || c == code
			}
			if !found {
				return false
			}
		}
	}
	return true
}

// never adds that there is no case like this: what whoever knows how dimensions are made
// knows besides.
func (a *attacker) never(w where) {
	a.rows = append(a.rows, linear.Row{Factors: a.factors(w, 1)})
}

// question is a count that is hidden because it is small.
type question struct {
	name  string
	where where
	truth int
}

// small lists every sum of outcomes of every stratum of the offered tables that
// is 1 to the limit.
func small(rule Rule, f Family) (qs []question) {
	all := Leaves(1)<<len(f.Scheme.names) - 1
	add := func(name string, c Counts, values map[string][]string) {
		for leaves := Leaves(1); leaves <= all; leaves++ {
			if n := c.Of(leaves); rule.small(n) {
				qs = append(qs, question{fmt.Sprintf("%s, outcomes %b", name, leaves), where{values, leaves}, n})
			}
		}
	}
	add("total", f.Total, nil)
	for _, d := range f.Dimensions {
		for _, v := range d.Values {
			add(d.Name+" "+v.Code, v.Counts, map[string][]string{d.Name: {v.Code}})
		}
	}
	for _, p := range f.Pairs {
		for _, c := range p.Cells {
			add(c.Row+" and "+c.Column, c.Counts, map[string][]string{p.Row: {c.Row}, p.Column: {c.Column}})
		}
	}
	return qs
}

// found says what the attacker finds, "" if nothing: a count of 1 to the limit
// that has fewer possible values than the rule promises.
func (a *attacker) found(t testing.TB, rule Rule, qs []question) string {
	solver := linear.New(a.size, a.rows)
	for _, q := range qs {
		least, most, err := solver.Bounds(a.factors(q.where, 1))
		switch {
		case err != nil:
			t.Fatalf("%s: the solver gave up: %v", q.name, err)
		case least > float64(q.truth)+1e-5 || most < float64(q.truth)-1e-5:
			t.Fatalf("%s: the truth, %d, is not within %g to %g: the attack is wrong", q.name, q.truth, least, most)
		case most-least < float64(rule.Width)-1e-5:
			return fmt.Sprintf("%s is %g to %g (it is %d)", q.name, least, most, q.truth)
		}
	}
	return ""
}
