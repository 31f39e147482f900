package disclosure

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The attacker who knows besides what cannot be: how dimensions are made of one another,
// and which cells are empty because nothing like that exists.

// knowEmpty adds which cells of tables by two dimensions are empty: all of them, whatever
// is shown.
func (a *attacker) knowEmpty(f Family) {
	all := Leaves(1)<<len(f.Scheme.names) - 1
	for _, p := range f.Pairs {
		some := map[[2]string]bool{}
		for _, c := range p.Cells {
			some[[2]string{c.Row, c.Column}] = c.Counts.sum() > 0
		}
		for _, row := range a.codes[p.Row] {
			for _, column := range a.codes[p.Column] {
				if !some[[2]string{row, column}] {
					a.never(where{map[string][]string{p.Row: {row}, p.Column: {column}}, all})
				}
			}
		}
	}
}

func threeOutcomes(t testing.TB) *Scheme {
	return mustScheme(t, []string{"none", "unimportant", "important"},
		[][]string{{"none"}, {"unimportant", "important"}}, [][]string{{"none"}, {"unimportant"}, {"important"}})
}

// No mammography is of the knee: where every value is told by itself, who knows which cells
// are empty finds no cell. (Where values are hidden too, it is knowledge from elsewhere:
// docs/disclosure.md.)
func TestNoSolverFindsASmallCountThoughItKnowsWhatIsEmpty(t *testing.T) {
	t.Parallel()
	s, attacked := two(t), 0
	drawn := rapid.Custom(func(r *rapid.T) Family {
		sizes := []int{rapid.IntRange(3, 5).Draw(r, "a"), rapid.IntRange(3, 4).Draw(r, "b")}
		return family(s, []string{"a", "b"}, sizes, [][2]string{{"a", "b"}}, func([]int) Counts {
			return Counts{rapid.SampledFrom([]int{0, 0, 3, 8, 15, 30}).Draw(r, "n")}
		})
	})
	for seed := range 3000 {
		f := drawn.Example(seed)
		p := protect(t, Standard, f)
		short := func(f Figures) bool { return f.Level < p.Total.Level }
		if p.Pairs[0].Refused != "" || slices.ContainsFunc(p.Pairs[0].Cells, func(c PublishedCell) bool { return c.Row == Other || c.Column == Other }) ||
			slices.ContainsFunc(p.Dimensions, func(d PublishedDimension) bool {
				return slices.ContainsFunc(d.Values, func(v PublishedValue) bool { return short(v.Figures) })
			}) {
			continue
		}
		a := newAttacker(f, p)
		a.knowEmpty(f)
		qs := small(Standard, f)
		attacked += len(qs)
		if found := a.found(t, Standard, qs); found != "" {
			t.Fatalf("family %d: found: %s", seed, found)
		}
	}
	if attacked < 300 {
		t.Errorf("%d small counts were attacked: too few", attacked)
	}
}

// Where the first reader lacked something the two mostly differ, so who computes may take
// it that such a case has no agreement. A dimension of two values needs no more for that
// than any other: where one of them alone has an outcome, both are hidden (Rule.tight).
func TestNoSolverFindsASmallCountOfTwoValuesOfWhichOneNeverHasAnOutcome(t *testing.T) {
	t.Parallel()
	s := threeOutcomes(t)
	rapid.Check(t, func(r *rapid.T) {
		sizes := []int{2, rapid.IntRange(2, 3).Draw(r, "b")}
		scale, rare := rapid.SampledFrom([]int{1, 4, 12}).Draw(r, "scale"), rapid.IntRange(1, 12).Draw(r, "rare")
		f := family(s, []string{"asymmetry", "b"}, sizes, [][2]string{{"b", "asymmetry"}}, func(at []int) Counts {
			c := make(Counts, 3)
			for i := range c {
				if c[i] = scale * rapid.SampledFrom([]int{0, 1, 2, 5, 9, 30}).Draw(r, "n"); i > 0 {
					c[i] /= rare
				}
			}
			if at[0] == 1 {
				c[0] = 0
			}
			return c
		})
		p, err := Protect(Standard, f)
		if err != nil {
			r.Fatal(err)
		}
		a := newAttacker(f, p)
		a.never(where{map[string][]string{"asymmetry": {"asymmetry1"}}, 1})
		if found := a.found(t, Standard, small(Standard, f)); found != "" {
			r.Fatalf("found: %s", found)
		}
	})
}

// Two read blinded only, so there is no case of two that is unblinded: the tables by
// protocol and by blinding, each protected by itself, are subtracted. So dimensions that
// say something of one another are not published in one family (workflow.FactTies).
func TestTablesOfDimensionsThatAreTiedGiveAwayWhatEachHides(t *testing.T) {
	t.Parallel()
	s := threeOutcomes(t)
	drawn := rapid.Custom(func(r *rapid.T) Family {
		return family(s, []string{"protocol", "blinding"}, []int{3, 3}, nil, func(at []int) Counts {
			c := make(Counts, 3)
			if at[0] > 0 && at[1] == 0 { // two readers, unblinded
				return c
			}
			for i := range c {
				c[i] = rapid.SampledFrom([]int{0, 1, 2, 5, 9, 30, 200}).Draw(r, "n")
			}
			return c
		})
	})
	for seed := range 3000 {
		f := drawn.Example(seed)
		a := newAttacker(f, protect(t, Standard, f))
		qs := small(Standard, f)
		if found := a.found(t, Standard, qs); found != "" {
			t.Fatalf("found without knowing of the tie: %s", found)
		}
		a.never(where{map[string][]string{"protocol": {"protocol1", "protocol2"}, "blinding": {"blinding0"}}, 7})
		if found := a.found(t, Standard, qs); found != "" {
			t.Logf("family %d: %s", seed, found)
			return
		}
	}
	t.Error("of 3000 families nothing was found in tables of dimensions that are tied")
}
