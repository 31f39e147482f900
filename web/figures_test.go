package web

import (
	"net/url"
	"testing"
	"time"

	"github.com/overread/overread/internal/fault"
)

// An address that was kept has the figures of its period for as long as there are any, though
// it is no more among those that are offered; what names no period is refused, and not answered
// with the newest.
func TestAnAddressHasThePeriodThatItNames(t *testing.T) {
	t.Parallel()
	offered := periodsBefore(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC), true)
	for name, want := range map[string]period{
		"":         {"2026 Q4", "2026-10-01", "2026-12-31"},
		"2026 Q3":  {"2026 Q3", "2026-07-01", "2026-09-30"},
		"2021 Q1":  {"2021 Q1", "2021-01-01", "2021-03-31"},
		"2019":     {"2019", "2019-01-01", "2019-12-31"},
		"2026 Q5":  {"2026 Q5", "2026 Q5", "2026 Q5"},
		"2026 Q":   {"2026 Q", "2026 Q", "2026 Q"},
		"the last": {"the last", "the last", "the last"},
	} {
		query, chosen := figuresQuery(url.Values{"period": {name}}, offered)
		if got := (period{chosen, query.Get("periodStart"), query.Get("periodEnd")}); got != want {
			t.Errorf("%q is %v, not %v", name, got, want)
		}
		shown, known := 0, want.From != want.Name
		for _, p := range withPeriod(offered, chosen) {
			if p == want {
				shown++
			}
		}
		if known != (shown == 1) {
			t.Errorf("%q is among the periods %d times", name, shown)
		}
	}
}

// Figures of the quarter before are shown for an address that asks for nothing, while those of the
// last are not yet published, and for no question that was refused.
func TestNoOtherQuarterIsShownForAQuestionThatWasRefused(t *testing.T) {
	t.Parallel()
	unpublished, refused := fault.New(fault.NotFound, "not published"), fault.New(fault.Forbidden, "no filters")
	for _, one := range []struct {
		asked string
		err   error
		want  bool
	}{
		{"", nil, false}, {"", refused, false}, {"by=site&by2=modality", refused, false},
		{"", unpublished, true}, {"measure=agreement&by=site&interval=clopper-pearson&only=&from=", unpublished, true},
		{"period=2026+Q3", unpublished, false}, {"from=2026-01&to=2026-02", unpublished, false}, {"only=modality%7CCT", unpublished, false},
		{"dimension=modality&word=CT", unpublished, false}, {"asOf=2026-11-01T00:00", unpublished, false},
	} {
		asked, err := url.ParseQuery(one.asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := earlierWill(asked, one.err); got != one.want {
			t.Errorf("%q with %v: %t", one.asked, one.err, got)
		}
	}
}
