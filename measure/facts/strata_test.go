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
