package disclosure

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"
)

func mustScheme(t testing.TB, leaves []string, levels ...[][]string) *Scheme {
	t.Helper()
	s, err := NewScheme(leaves, levels...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// graded is a scheme like the one of discrepancies: excluded, none, unimportant,
// important.
func graded(t testing.TB) *Scheme {
	return mustScheme(t, []string{"excluded", "none", "unimportant", "important"},
		[][]string{{"excluded"}, {"none", "unimportant", "important"}},
		[][]string{{"excluded"}, {"none"}, {"unimportant", "important"}},
		[][]string{{"excluded"}, {"none"}, {"unimportant"}, {"important"}})
}

// family makes tables of cases: of each combination of values of the
// dimensions, the counts. So they add up.
func family(s *Scheme, names []string, sizes []int, pairs [][2]string, counts func(at []int) Counts) Family {
	f := Family{Scheme: s, Total: make(Counts, len(s.names))}
	code := func(d, v int) string { return fmt.Sprintf("%s%d", names[d], v) }
	for d, name := range names {
		f.Dimensions = append(f.Dimensions, Dimension{Name: name})
		for v := range sizes[d] {
			f.Dimensions[d].Values = append(f.Dimensions[d].Values, Value{Code: code(d, v), Counts: make(Counts, len(s.names))})
		}
	}
	cells := make([]map[[2]string]Counts, len(pairs))
	for at := make([]int, len(sizes)); ; {
		c := counts(at)
		_ = f.Total.add(c)
		where := map[string]string{}
		for d, v := range at {
			_ = f.Dimensions[d].Values[v].Counts.add(c)
			where[names[d]] = code(d, v)
		}
		for i, p := range pairs {
			if cells[i] == nil {
				cells[i] = map[[2]string]Counts{}
			}
			key := [2]string{where[p[0]], where[p[1]]}
			if cells[i][key] == nil {
				cells[i][key] = make(Counts, len(s.names))
			}
			_ = cells[i][key].add(c)
		}
		d := 0
		for ; d < len(at); d++ {
			if at[d]++; at[d] < sizes[d] {
				break
			}
			at[d] = 0
		}
		if d == len(at) {
			break
		}
	}
	for i, p := range pairs {
		pair := Pair{Row: p[0], Column: p[1]}
		for key, c := range cells[i] {
			pair.Cells = append(pair.Cells, Cell{key[0], key[1], c})
		}
		f.Pairs = append(f.Pairs, pair)
	}
	return f
}

func protect(t testing.TB, rule Rule, f Family) *Published {
	t.Helper()
	p, err := Protect(rule, f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// drawn draws a family of three dimensions and the pairs of a path, whose
// counts are often 0 or small, sometimes large.
func drawn(t *rapid.T, s *Scheme) Family {
	scale := rapid.SampledFrom([]int{1, 4, 12, 40}).Draw(t, "scale")
	sizes := []int{rapid.IntRange(2, 4).Draw(t, "a"), rapid.IntRange(2, 3).Draw(t, "b"), rapid.IntRange(2, 3).Draw(t, "c")}
	rare := rapid.IntRange(1, 12).Draw(t, "rare")
	return family(s, []string{"a", "b", "c"}, sizes, [][2]string{{"a", "b"}, {"b", "c"}}, func([]int) Counts {
		c := make(Counts, len(s.names))
		for i := range c {
			n := scale * rapid.SampledFrom([]int{0, 0, 1, 2, 5, 9, 30}).Draw(t, "n")
			if i > 1 {
				n /= rare
			}
			c[i] = n
		}
		return c
	})
}

func TestNoSolverFindsASmallCountInTheFiguresOfAFamily(t *testing.T) {
	t.Parallel()
	s := mustScheme(t, []string{"none", "unimportant", "important"},
		[][]string{{"none"}, {"unimportant", "important"}}, [][]string{{"none"}, {"unimportant"}, {"important"}})
	rapid.Check(t, func(r *rapid.T) {
		f := drawn(r, s)
		p, err := Protect(Standard, f)
		if err != nil {
			r.Fatal(err)
		}
		if found := newAttacker(f, p).found(t, Standard, small(Standard, f)); found != "" {
			r.Fatalf("found: %s", found)
		}
	})
}

// croydon are the counts of the audit of Croydon University Hospital 2020.
func croydon(t testing.TB) (*Scheme, Counts) {
	raw, err := os.ReadFile("testdata/croydon.json")
	if err != nil {
		t.Fatal(err)
	}
	var study struct{ Radpeer map[string]int }
	if err := json.Unmarshal(raw, &study); err != nil {
		t.Fatal(err)
	}
	leaves := []string{"1", "2a", "2b", "3a", "3b"}
	s := mustScheme(t, leaves, [][]string{{"1"}, {"2a", "2b", "3a", "3b"}}, [][]string{{"1"}, {"2a"}, {"2b", "3a", "3b"}},
		[][]string{{"1"}, {"2a"}, {"2b"}, {"3a", "3b"}}, [][]string{{"1"}, {"2a"}, {"2b"}, {"3a"}, {"3b"}})
	c := make(Counts, 0, len(leaves))
	for _, leaf := range leaves {
		c = append(c, study.Radpeer[leaf])
	}
	return s, c
}

func TestOfCroydonOnlyThatThereAreTwentySixDiscrepanciesIsShown(t *testing.T) {
	t.Parallel()
	s, c := croydon(t)
	p := protect(t, Standard, Family{Scheme: s, Total: c})
	for _, tt := range []struct {
		leaves []string
		want   int
		shown  bool
	}{
		{[]string{"1", "2a", "2b", "3a", "3b"}, 448, true},
		{[]string{"1"}, 422, true},
		{[]string{"2a", "2b", "3a", "3b"}, 26, true},
		{[]string{"2a"}, 22, false}, // 26 − 22 would tell 4
		{[]string{"2b", "3a", "3b"}, 4, false},
		{[]string{"2b"}, 2, false},
		{[]string{"3a"}, 1, false},
		{[]string{"3b"}, 1, false},
	} {
		set, err := s.Leaves(tt.leaves...)
		if err != nil {
			t.Fatal(err)
		}
		if n, shown := p.Total.Of(set); shown != tt.shown || shown && n != tt.want {
			t.Errorf("%v: %d, shown %v; want %d, %v", tt.leaves, n, shown, tt.want, tt.shown)
		}
	}
}

// Croydon spread over quarters, sites and modalities, whichever way the cases
// fall.
func TestNoSolverFindsASmallCountOfCroydon(t *testing.T) {
	t.Parallel()
	s, c := croydon(t)
	rapid.Check(t, func(r *rapid.T) {
		left := append(Counts{}, c...)
		sizes := []int{4, 2, 3} // quarters, sites, modalities
		at, cells := 0, 4*2*3
		f := family(s, []string{"quarter", "site", "modality"}, sizes, [][2]string{{"quarter", "site"}, {"site", "modality"}}, func([]int) Counts {
			at++
			here := make(Counts, len(left))
			for i := range left {
				here[i] = left[i]
				if at < cells {
					here[i] = rapid.IntRange(0, min(left[i], 1+2*c[i]/cells)).Draw(r, "n")
				}
				left[i] -= here[i]
			}
			return here
		})
		p, err := Protect(Standard, f)
		if err != nil {
			r.Fatal(err)
		}
		a := newAttacker(f, p)
		qs := small(Standard, f)
		if len(qs) > 12 {
			qs = rapid.Permutation(qs).Draw(r, "asked")[:12]
		}
		if found := a.found(t, Standard, qs); found != "" {
			r.Fatalf("found: %s", found)
		}
	})
}
