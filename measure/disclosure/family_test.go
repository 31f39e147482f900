package disclosure

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTheYearFromItsQuartersTellsNothingMore(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"none", "important"}, [][]string{{"none"}, {"important"}})
	rapid.Check(t, func(r *rapid.T) {
		counts := func(at []int) Counts { // site, modality, quarter
			return Counts{rapid.SampledFrom([]int{0, 4, 15, 30}).Draw(r, "none"), rapid.SampledFrom([]int{0, 3, 12, 20}).Draw(r, "important")}
		}
		pair := [][2]string{{"site", "modality"}}
		all := map[string]Counts{}
		year := family(s, []string{"site", "modality", "quarter"}, []int{3, 2, 2}, pair, func(at []int) Counts {
			c := counts(at)
			all[string([]byte{byte(at[0]), byte(at[1]), byte(at[2])})] = c
			return append(Counts{}, c...)
		})
		var parts []*Published
		var qs []question
		a := newAttacker(year, &Published{})
		for q := range 2 {
			f := family(s, []string{"site", "modality"}, []int{3, 2}, pair, func(at []int) Counts {
				return append(Counts{}, all[string([]byte{byte(at[0]), byte(at[1]), byte(q)})]...)
			})
			p, err := Protect(Standard, f)
			if err != nil {
				r.Fatal(err)
			}
			parts = append(parts, p)
			a.about = map[string][]string{"quarter": {year.Dimensions[2].Values[q].Code}}
			a.hear(p)
			for _, one := range small(Standard, f) {
				if one.where.values == nil {
					one.where.values = map[string][]string{}
				}
				one.where.values["quarter"] = a.about["quarter"]
				qs = append(qs, one)
			}
		}
		a.about = nil
		sum := Sum(parts...)
		a.hear(sum)
		for _, q := range small(Standard, year) {
			if q.where.values["quarter"] == nil {
				qs = append(qs, q)
			}
		}
		if len(qs) > 10 {
			qs = rapid.Permutation(qs).Draw(r, "asked")[:10]
		}
		if found := a.found(t, Standard, qs); found != "" {
			r.Fatalf("found: %s", found)
		}
	})
}

func TestAYearIsTheSumOfWhatAllItsQuartersShow(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"none", "important"}, [][]string{{"none"}, {"important"}})
	of := func(counts ...Counts) *Published {
		return protect(t, Standard, family(s, []string{"site"}, []int{len(counts)}, nil, func(at []int) Counts { return append(Counts{}, counts[at[0]]...) }))
	}
	sum := Sum(
		of(Counts{100, 20}, Counts{100, 20}, Counts{100, 30}),
		of(Counts{100, 20}, Counts{100, 5}, Counts{100, 30}),
		of(Counts{100, 20}, Counts{100, 20}), // the third site has no cases
	)
	site := sum.Dimensions[0]
	if n, shown := site.Values[1].Figures.Of(2); shown {
		t.Errorf("a count that a quarter hides is %d in the year", n)
	}
	if n, shown := site.Values[1].Figures.Of(3); !shown || n != 120+105+120 {
		t.Errorf("cases of the second site: %d, %v", n, shown)
	}
	if n, shown := sum.Total.Of(2); !shown || n != 70+55+40 {
		t.Errorf("important in the year: %d, %v", n, shown)
	}
}

// A policy may publish other pairs from some quarter on, and in another order.
func TestAYearHasTheTablesThatAllItsQuartersHave(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"none", "important"}, [][]string{{"none"}, {"important"}})
	of := func(pairs ...[2]string) *Published {
		return protect(t, Standard, family(s, []string{"a", "b", "c"}, []int{2, 2, 2}, pairs, func([]int) Counts { return Counts{40, 40} }))
	}
	sum := Sum(of([2]string{"a", "b"}, [2]string{"b", "c"}), of([2]string{"b", "c"}), of([2]string{"b", "c"}, [2]string{"a", "b"}))
	if len(sum.Pairs) != 1 || sum.Pairs[0].Row != "b" || sum.Pairs[0].Column != "c" || len(sum.Dimensions) != 3 {
		t.Fatalf("%+v", sum.Pairs)
	}
	for _, cell := range sum.Pairs[0].Cells {
		if n, shown := cell.Figures.Of(3); !shown || n != 3*2*80 {
			t.Errorf("%s, %s: %d, %v", cell.Row, cell.Column, n, shown)
		}
	}
}

func TestWhatDoesNotFitTogetherIsRefused(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"none", "important"}, [][]string{{"none"}, {"important"}})
	whole := func() Family {
		return family(s, []string{"a", "b", "c"}, []int{2, 2, 2}, [][2]string{{"a", "b"}, {"b", "c"}}, func([]int) Counts { return Counts{20, 20} })
	}
	for _, tt := range []struct {
		name, want string
		change     func(*Family)
	}{
		{"a table that does not add up", "does not add up to the total", func(f *Family) { f.Dimensions[0].Values[0].Counts[0]++ }},
		{"a pair that does not add up", "does not add up to the one by a", func(f *Family) { f.Pairs[0].Cells[0].Counts[0]++ }},
		{"a pair of an unknown dimension", "no table by d", func(f *Family) { f.Pairs[0].Row = "d" }},
		{"a circle", "closes a circle", func(f *Family) {
			f.Pairs = append(f.Pairs, family(s, []string{"a", "b", "c"}, []int{2, 2, 2}, [][2]string{{"c", "a"}}, func([]int) Counts { return Counts{20, 20} }).Pairs...)
		}},
		{"a dimension with itself", "", func(f *Family) { f.Pairs[0].Column = "a" }},
		{"a dimension twice", "there twice", func(f *Family) { f.Dimensions = append(f.Dimensions, f.Dimensions[0]) }},
		{"a value twice", "twice", func(f *Family) { f.Dimensions[0].Values[1].Code = "a0" }},
		{"a value called like all others", "all others", func(f *Family) { f.Dimensions[0].Values[1].Code = Other }},
		{"a count below 0", "below 0", func(f *Family) { f.Dimensions[0].Values[0].Counts[0] = -1 }},
		{"counts of another scheme", "2 outcomes", func(f *Family) { f.Dimensions[0].Values[0].Counts = Counts{1, 2, 3} }},
	} {
		f := whole()
		tt.change(&f)
		if _, err := Protect(Standard, f); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := Protect(Rule{Limit: 10, Width: 11}, whole()); err == nil {
		t.Error("a rule that promises more than it can was accepted")
	}
}

func TestATableWithoutCasesIsNotRefused(t *testing.T) {
	t.Parallel()
	p := protect(t, Standard, Family{Scheme: two(t), Total: Counts{0}, Dimensions: []Dimension{{Name: "a"}, {Name: "b", Values: []Value{{Code: "b0", Counts: Counts{0}}}}}})
	if p.Dimensions[0].Refused != "" || p.Dimensions[1].Refused != "" || p.Dimensions[1].Values[0].Figures.Level == 0 {
		t.Errorf("%v", p)
	}
}

func TestASchemeIsLevelsThatDivideEachOther(t *testing.T) {
	t.Parallel()
	leaves := []string{"a", "b", "c"}
	for name, levels := range map[string][][][]string{
		"a leaf that is missing": {{{"a"}, {"b"}}},
		"a leaf twice":           {{{"a", "b"}, {"b", "c"}}},
		"an unknown leaf":        {{{"a", "b"}, {"d"}}},
		"an empty block":         {{{"a", "b", "c"}, {}}},
		"levels that cross":      {{{"a", "b"}, {"c"}}, {{"a"}, {"b", "c"}}},
	} {
		if _, err := NewScheme(leaves, levels...); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestAMeasureIsToldWhereItsOutcomesAre(t *testing.T) {
	t.Parallel()
	f := Figures{Level: 2, Blocks: []Block{{0b0011, 40}, {0b0100, 12}, {0b1000, 0}}}
	for _, tt := range []struct {
		leaves Leaves
		want   int
		shown  bool
	}{
		{0b0011, 40, true}, {0b0111, 52, true}, {0b1000, 0, true},
		{0b0001, 0, false}, {0b0101, 0, false},
	} {
		if n, shown := f.Of(tt.leaves); shown != tt.shown || shown && n != tt.want {
			t.Errorf("%04b: %d, %v", tt.leaves, n, shown)
		}
	}
	if _, shown := (Figures{}).Of(1); shown {
		t.Error("hidden figures told something")
	}
}

func TestAReaderWithFewCasesIsNeverShown(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"excluded", "none"}, [][]string{{"excluded"}, {"none"}})
	f := family(s, []string{"reader"}, []int{4}, nil, func(at []int) Counts {
		return []Counts{{40, 29}, {20, 30}, {30, 250}, {30, 90}}[at[0]]
	})
	f.Dimensions[0].Least, f.Dimensions[0].LeastOf = ReaderShown, 2
	p := protect(t, Standard, f)
	if p.Dimensions[0].Values[0].Figures.Level != 0 {
		t.Error("29 comparable cases are shown")
	}
	hidden := 0
	for _, v := range p.Dimensions[0].Values {
		if v.Figures.Level == 0 {
			hidden++
		}
	}
	if hidden != 2 {
		t.Errorf("%d are hidden; the one and one besides were to be", hidden)
	}
	want := []Standing{Withheld, Shown, Shown, Judged}
	for i, n := range []int{29, 30, 199, 200} {
		if got := StandingOf(n); got != want[i] {
			t.Errorf("%d cases: %s", n, got)
		}
	}
}

func TestTheOrderOfWhatIsHiddenBesidesComesFromTheKey(t *testing.T) {
	t.Parallel()
	s := two(t)
	f := family(s, []string{"site"}, []int{6}, nil, func(at []int) Counts { return Counts{[]int{5, 20, 30, 40, 50, 60}[at[0]]} })
	besides := map[int]bool{}
	for k := range 40 {
		f.Key = []byte{byte(k)}
		p := protect(t, Standard, f)
		if diff := cmp.Diff(p, protect(t, Standard, f)); diff != "" {
			t.Fatal("the same key gave something else")
		}
		besides[slices.IndexFunc(p.Dimensions[0].Values[1:], func(v PublishedValue) bool { return v.Figures.Level == 0 })] = true
	}
	if len(besides) != 5 {
		t.Errorf("in 40 keys, %d of 5 sites were hidden besides", len(besides))
	}
}

func TestPseudonymsHoldWithinAnExportAndNotBetweenTwo(t *testing.T) {
	t.Parallel()
	one, other := NewPseudonyms(), NewPseudonyms()
	first := one.Of("reader", "anna")
	switch {
	case one.Of("reader", strings.Clone("anna")) != first:
		t.Error("one person has two names in an export")
	case one.Of("reader", "anna") == one.Of("reader", "ben"):
		t.Error("two people have one name")
	case one.Of("reader", "anna") == other.Of("reader", "anna"):
		t.Error("two exports can be joined")
	case strings.TrimPrefix(one.Of("reader", "anna"), "reader-") == strings.TrimPrefix(one.Of("site", "anna"), "site-"):
		t.Error("kinds can be joined")
	}
}
