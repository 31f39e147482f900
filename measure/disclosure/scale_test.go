package disclosure

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// national is a year of a national service: so many cases of 300 readers, 40
// hospitals and 8 modalities, some of which are many times as large as others.
func national(t testing.TB, cases int) Family {
	s := graded(t)
	random := rand.New(rand.NewPCG(1, 2))
	zipf := func(n int) func() int {
		z := rand.NewZipf(random, 1.1, 8, uint64(n-1))
		return func() int { return int(z.Uint64()) }
	}
	reader, hospital, modality := zipf(300), zipf(40), zipf(8)
	outcome := func() int { // as often as at Johns Hopkins (Zan 2010): 7.7 % important
		switch x := random.Float64(); {
		case x < 0.1:
			return 0
		case x < 0.79:
			return 1
		case x < 0.93:
			return 2
		}
		return 3
	}
	counts := map[[3]int]Counts{}
	for range cases {
		at := [3]int{reader(), hospital(), modality()}
		if counts[at] == nil {
			counts[at] = make(Counts, 4)
		}
		counts[at][outcome()]++
	}
	f := family(s, []string{"reader", "hospital", "modality"}, []int{300, 40, 8},
		[][2]string{{"reader", "hospital"}, {"hospital", "modality"}}, func(at []int) Counts {
			if c := counts[[3]int{at[0], at[1], at[2]}]; c != nil {
				return c
			}
			return make(Counts, 4)
		})
	f.Dimensions[0].Least = ReaderShown
	f.Dimensions[0].LeastOf = 0b1110
	return f
}

// told is how much of a family is shown: of each table, the share of cases whose
// value or cell is shown at the best level.
func told(p *Published) (text string) {
	for _, d := range p.Dimensions {
		levels := map[int]int{}
		for _, v := range d.Values {
			levels[v.Figures.Level]++
		}
		text += fmt.Sprintf("%s: values by level %v %s; ", d.Name, levels, d.Refused)
	}
	for _, pair := range p.Pairs {
		shown, hidden := 0, 0
		for _, c := range pair.Cells {
			if c.Figures.Level > 0 {
				shown++
			} else {
				hidden++
			}
		}
		text += fmt.Sprintf("%s and %s: %d cells shown, %d hidden %s; ", pair.Row, pair.Column, shown, hidden, pair.Refused)
	}
	return text
}

// at 20,000 cases readers by hospital are too thin for any cell; at 250,000 nothing is.
// BenchmarkProtect says how long it takes.
func TestMostOfANationalServiceIsShown(t *testing.T) {
	t.Parallel()
	for _, cases := range []int{20_000, 250_000} {
		p := protect(t, Standard, national(t, cases))
		t.Logf("%d cases: %s", cases, told(p))
		shown := 0
		for _, pair := range p.Pairs {
			if pair.Refused != "" && cases == 250_000 {
				t.Errorf("%d cases: %s and %s are refused: %s", cases, pair.Row, pair.Column, pair.Refused)
			}
			for _, c := range pair.Cells {
				if c.Figures.Level > 0 {
					shown++
				}
			}
		}
		if shown == 0 {
			t.Errorf("%d cases: no cell of a pair is shown", cases)
		}
	}
}

func BenchmarkProtect(b *testing.B) {
	for _, cases := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(cases), func(b *testing.B) {
			f := national(b, cases)
			for b.Loop() {
				protect(b, Standard, f)
			}
		})
	}
}
