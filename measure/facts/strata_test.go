package facts

import (
	"strings"
	"testing"

	"github.com/overread/overread/internal/fault"
)

func TestTooManyStrataAreRefusedWithHowToAskForFewer(t *testing.T) {
	t.Parallel()
	d, _ := DefinitionOf("agreement")
	sum := newTally(d)
	for site := range int32(300) {
		for reader := range int32(200) {
			sum.add(seen{key: [2]int32{site, reader}, counts: true})
		}
	}
	for _, tt := range []struct {
		by   []string
		want string
	}{
		{[]string{"site", "second-reader"}, "60000 strata, of 300 words of site by 200 of second-reader, and at most 50000 are listed in one answer: ask for filter=second-reader|… with each of its words (readers=open, which is recorded)"},
		{[]string{"original-reader", Month}, "ask for filter=original-reader|…"}, // the month is no filter
		{[]string{Month, "site"}, "ask for filter=site|… with each"},
		{[]string{"site"}, "ask for a shorter period"},
	} {
		if err := sum.tooMany(tt.by, mostStrata); !fault.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v", tt.by, err)
		}
	}
}

func TestPagesHaveEachStratumOnceTheLargestFirst(t *testing.T) {
	t.Parallel()
	d, _ := DefinitionOf("agreement")
	made := func() *tally {
		sum := newTally(d)
		for first := range int32(250) {
			for second := range int32(250) {
				for range 1 + (first*second)%7 {
					sum.add(seen{key: [2]int32{1 + first, 1 + second}, counts: true})
				}
			}
		}
		return sum
	}
	pages, last, seen := 7, 1<<30, map[[2]int32]bool{}
	for page := 1; page <= pages; page++ {
		sum := made()
		whole := sum.whole
		part, err := sum.cut(page, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if part.Strata != 62_500 || part.From != len(seen)+1 || part.To != len(seen)+len(sum.strata) || sum.whole != whole {
			t.Errorf("page %d: %+v, %d strata", page, part, len(sum.strata))
		}
		for _, g := range sum.strata {
			if seen[g.key] || g.Initial > last || g.Initial != 1+int(g.key[0]-1)*int(g.key[1]-1)%7 {
				t.Fatalf("page %d: %+v after %d", page, g, last)
			}
			seen[g.key], last = true, g.Initial
		}
		again := made()
		if _, err := again.cut(page, 10_000); err != nil || again.strata[0].key != sum.strata[0].key || again.strata[len(again.strata)-1].key != sum.strata[len(sum.strata)-1].key {
			t.Errorf("page %d has others when it is asked again: %v", page, err)
		}
	}
	if len(seen) != 62_500 {
		t.Errorf("%d strata", len(seen))
	}
	for _, page := range []int{pages + 1, 1 << 62} {
		if _, err := made().cut(page, 10_000); !fault.Is(err, fault.Value) || !strings.Contains(err.Error(), "they are on 7") {
			t.Errorf("page %d: %v", page, err)
		}
	}
}
