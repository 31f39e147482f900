package disclosure

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// The solver of attack_test.go knows what is published. This attacker also has
// the program, though not the key: of every data set that could be, it keeps
// those from which the program would publish exactly the same in some order. It
// shows that the choice of what is hidden besides does not give a count away.
//
// The rule is scaled down (1 and 2 are hidden) so that every data set can be
// tried.
var tiny = Rule{Limit: 2, Width: 2}

// orders are all orders of up to three values, as keys of a sort.
var orders = []string{"123", "132", "213", "231", "312", "321"}

func inOrder(k int) func(string, string) string {
	return func(_, code string) string { return orders[k][code[1]-'0' : code[1]-'0'+1] }
}

func TestWhoHasTheProgramFindsNoSmallCountEither(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"none", "important"}, [][]string{{"none"}, {"important"}})
	rapid.Check(t, func(r *rapid.T) {
		values := rapid.IntRange(2, 3).Draw(r, "values")
		counts := make([]int, 2*values)
		for i := range counts {
			counts[i] = rapid.IntRange(0, 5-i%2).Draw(r, "n")
		}
		thinks(r, counts, func(counts []int) Family {
			return family(s, []string{"a"}, []int{values}, nil, func(at []int) Counts {
				return Counts{counts[2*at[0]], counts[2*at[0]+1]}
			})
		})
	})
}

// The same for a table by two dimensions, whose cells have one outcome.
func TestWhoHasTheProgramFindsNoSmallCellEither(t *testing.T) {
	t.Parallel()
	s := two(t)
	rapid.Check(t, func(r *rapid.T) {
		sizes := []int{rapid.IntRange(2, 3).Draw(r, "rows"), 2}
		counts := make([]int, sizes[0]*sizes[1])
		for i := range counts {
			counts[i] = rapid.IntRange(0, 6).Draw(r, "n")
		}
		thinks(r, counts, func(counts []int) Family {
			return family(s, []string{"a", "b"}, sizes, [][2]string{{"a", "b"}}, func(at []int) Counts {
				return Counts{counts[at[0]*sizes[1]+at[1]]}
			})
		})
	})
}

// thinks goes through all data sets of as many cases as there are, and fails if
// a small count has only one value in those that would be published like the
// true one.
func thinks(r *rapid.T, truth []int, of func([]int) Family) {
	f := of(truth)
	p, err := protectIn(tiny, f, inOrder(rapid.IntRange(0, len(orders)-1).Draw(r, "order")))
	if err != nil {
		r.Fatal(err)
	}
	cases, told := p.Total.Of(Leaves(1)<<len(f.Total) - 1)
	if !told {
		return // nothing at all is told
	}
	qs := small(tiny, f)
	others := make([]bool, len(qs)) // another value is possible
	guess := make([]int, len(truth))
	var fill func(at, left int)
	fill = func(at, left int) {
		if at < len(guess)-1 {
			for guess[at] = 0; guess[at] <= left; guess[at]++ {
				fill(at+1, left-guess[at])
			}
			return
		}
		guess[at] = left
		g := of(guess)
		if !fits(p, g) {
			return
		}
		for k := range orders {
			other, _ := protectIn(tiny, g, inOrder(k))
			if reflect.DeepEqual(other, p) {
				for i, q := range qs {
					others[i] = others[i] || q.of(g) != q.truth
				}
				return
			}
		}
	}
	fill(0, cases)
	for i, q := range qs {
		if !others[i] {
			r.Fatalf("%s is found: %v\n%v", q.name, truth, p)
		}
	}
}

// of is what the answer would be in another family.
func (q question) of(f Family) int {
	switch len(q.where.values) {
	case 0:
		return f.Total.Of(q.where.leaves)
	case 1:
		for _, d := range f.Dimensions {
			for _, v := range d.Values {
				if codes := q.where.values[d.Name]; codes != nil && codes[0] == v.Code {
					return v.Counts.Of(q.where.leaves)
				}
			}
		}
	}
	for _, p := range f.Pairs {
		for _, c := range p.Cells {
			if q.where.values[p.Row][0] == c.Row && q.where.values[p.Column][0] == c.Column {
				return c.Counts.Of(q.where.leaves)
			}
		}
	}
	return 0
}

// fits says whether a family has the counts that are shown, tables by two
// dimensions aside.
func fits(p *Published, f Family) bool {
	same := func(f Figures, c Counts) bool {
		for _, b := range f.Blocks {
			if c.Of(b.Leaves) != b.Count {
				return false
			}
		}
		return true
	}
	if !same(p.Total, f.Total) {
		return false
	}
	for i, d := range p.Dimensions {
		for k, v := range d.Values {
			if !same(v.Figures, f.Dimensions[i].Values[k].Counts) {
				return false
			}
		}
	}
	return true
}
