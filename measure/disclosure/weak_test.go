package disclosure

import (
	"testing"

	"pgregory.net/rapid"
)

// The attack must be able to succeed: each of these ways of hiding is one that
// is, or was, in use somewhere, and each is found out.

// weak are protectors that lack something.
var weak = []struct {
	name    string
	protect func(testing.TB, Rule, Family) *Published
}{
	{"hides small counts and nothing else", primaryOnly},
	{"hides one more cell of a row, and nothing of the column", rowsOnly},
	{"does not ask whether what is hidden is small together", noRests},
	{"hides in each table by two dimensions what is small and thinks of no squares", noSquares},
	{"prints the rate of a hidden cell", nil}, // attacked below with what it prints
	{"protects three tables of a circle each by itself", nil},
	{"protects a year and its quarters each by itself", nil},
}

func byCode(_, code string) string { return code }

// all is what a table shows, whether it is refused or not.
func all(t *table) PublishedDimension {
	d := PublishedDimension{Name: t.name}
	for _, v := range t.values {
		d.Values = append(d.Values, PublishedValue{v.Code, t.scheme.figures(v.Counts, v.level)})
	}
	return d
}

func primaryOnly(t testing.TB, rule Rule, f Family) *Published {
	p := &Published{Total: f.Scheme.figures(f.Total, len(f.Scheme.levels))}
	for _, d := range f.Dimensions {
		table := newTable(rule, f.Scheme, d, len(f.Scheme.levels), byCode)
		p.Dimensions = append(p.Dimensions, all(table))
	}
	return p
}

// rowsOnly shows the table by one dimension in which a second value is hidden
// with each hidden one, without looking at how far counts can move.
func rowsOnly(t testing.TB, rule Rule, f Family) *Published {
	p := primaryOnly(t, rule, f)
	for i, d := range f.Dimensions {
		table := newTable(rule, f.Scheme, d, len(f.Scheme.levels), byCode)
		hidden := 0
		for _, v := range table.values {
			if v.level < table.level {
				hidden++
			}
		}
		if hidden == 1 {
			table.lowerNext(table.level-1, table.parts[0][0])
		}
		p.Dimensions[i] = all(table)
	}
	return p
}

func noRests(t testing.TB, rule Rule, f Family) *Published {
	p := &Published{Total: f.Scheme.figures(f.Total, f.Scheme.finest(f.Total, rule))}
	for _, d := range f.Dimensions {
		table := newTable(rule, f.Scheme, d, p.Total.Level, byCode)
		hidden := 0
		for _, v := range table.values {
			if v.level < table.level {
				v.level = 0
				hidden++
			}
		}
		if hidden == 1 {
			table.lowerNext(0, table.parts[0][0])
		}
		p.Dimensions = append(p.Dimensions, all(table))
	}
	return p
}

func noSquares(t testing.TB, rule Rule, f Family) *Published {
	p, err := protectIn(rule, f, byCode)
	if err != nil {
		t.Fatal(err)
	}
	if p.Total.Level == 0 {
		return p
	}
	tables := map[string]*table{}
	for _, d := range f.Dimensions {
		tables[d.Name] = newTable(rule, f.Scheme, d, p.Total.Level, byCode)
		tables[d.Name].protect()
	}
	for i, pair := range f.Pairs {
		g := newGrid(rule, pair, tables[pair.Row], tables[pair.Column], merged{})
		p.Pairs[i] = g.published(f.Scheme, p.Total.Level, PublishedPair{Row: pair.Row, Column: pair.Column})
	}
	return p
}

func TestTheAttackFindsOutWhoHidesTooLittle(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"none", "unimportant", "important"},
		[][]string{{"none"}, {"unimportant", "important"}}, [][]string{{"none"}, {"unimportant"}, {"important"}})
	for _, w := range weak {
		if w.protect == nil {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			families := rapid.Custom(func(r *rapid.T) Family { return drawn(r, s) })
			for seed := range 200 {
				f := families.Example(seed)
				if newAttacker(f, w.protect(t, Standard, f)).found(t, Standard, small(Standard, f)) != "" {
					return
				}
			}
			t.Error("200 families were attacked, and nothing was found")
		})
	}
}

// two is a scheme of one leaf that matters and one that does not, for examples
// that can be followed by hand.
func two(t testing.TB) *Scheme {
	return mustScheme(t, []string{"all"})
}

func TestARateOfAHiddenCellGivesItAway(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"none", "important"}, [][]string{{"none"}, {"important"}})
	f := family(s, []string{"site"}, []int{3}, nil, func(at []int) Counts {
		return []Counts{{95, 5}, {90, 20}, {300, 40}}[at[0]]
	})
	p := protect(t, Standard, f)
	a := newAttacker(f, p)
	qs := small(Standard, f)
	if found := a.found(t, Standard, qs); found != "" {
		t.Fatalf("found before the rate was printed: %s", found)
	}
	a.hearRate(map[string][]string{"site": {"site0"}}, 2, 3, 0.050, 3)
	if a.found(t, Standard, qs) == "" {
		t.Error("the rate 5.0 % of 100 cases told nothing of the 5")
	}
}

// Each table by two dimensions is protected by itself; the three together give
// a count away. So pairs may not close a circle.
func TestTablesOfACircleGiveAwayWhatEachHides(t *testing.T) {
	t.Parallel()
	s := two(t)
	names := []string{"a", "b", "c"}
	circle := [][2]string{{"a", "b"}, {"b", "c"}, {"a", "c"}}
	counts := rapid.Custom(func(r *rapid.T) Family {
		return family(s, names, []int{3, 3, 3}, circle, func([]int) Counts {
			return Counts{rapid.SampledFrom([]int{0, 0, 0, 3, 8, 20}).Draw(r, "n")}
		})
	})
	for seed := range 2000 {
		f := counts.Example(seed)
		if _, err := Protect(Standard, f); err == nil {
			t.Fatal("a circle was published")
		}
		all := &Published{}
		for i := range f.Pairs {
			alone := f
			alone.Pairs = f.Pairs[i : i+1]
			p := protect(t, Standard, alone)
			if found := newAttacker(alone, p).found(t, Standard, small(Standard, alone)); found != "" {
				t.Fatalf("one table alone was found out: %s", found)
			}
			all.Total, all.Dimensions = p.Total, p.Dimensions
			all.Pairs = append(all.Pairs, p.Pairs...)
		}
		if found := newAttacker(f, all).found(t, Standard, small(Standard, f)); found != "" {
			t.Logf("family %d: %s", seed, found)
			return
		}
	}
	t.Error("of 2000 families nothing was found in the circle")
}

// A year that is published beside its quarters, each with its own hidden cells.
func TestAYearGivesAwayWhatItsQuartersHide(t *testing.T) {
	t.Parallel()
	s := two(t)
	shape := func(counts [4][3]int) (year Family, quarters [4]Family) {
		year = family(s, []string{"site", "quarter"}, []int{3, 4}, nil, func(at []int) Counts { return Counts{counts[at[1]][at[0]]} })
		for q := range quarters {
			quarters[q] = family(s, []string{"site"}, []int{3}, nil, func(at []int) Counts { return Counts{counts[q][at[0]]} })
		}
		return year, quarters
	}
	// Site 0 is small in the first quarter only; the year shows all of it.
	year, quarters := shape([4][3]int{{7, 20, 50}, {40, 30, 50}, {40, 30, 50}, {40, 30, 50}})
	p := protect(t, Standard, year)
	a := newAttacker(year, p)
	for q, f := range quarters {
		name := year.Dimensions[1].Values[q].Code
		for _, v := range protect(t, Standard, f).Dimensions[0].Values {
			a.hearFigures(v.Figures, map[string][]string{"site": {v.Code}, "quarter": {name}})
		}
	}
	q := question{"site0 in the first quarter", where{map[string][]string{"site": {"site0"}, "quarter": {"quarter0"}}, 1}, 7}
	if found := a.found(t, Standard, []question{q}); found == "" {
		t.Error("the year told nothing of the quarter")
	}
}
