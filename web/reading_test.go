package web

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What was filled in under another choice does not count.
func TestTheChoiceHowTwoReadingsCompareSaysWhatCounts(t *testing.T) {
	t.Parallel()
	for chosen, want := range map[string]url.Values{
		"":             {"impression": {"A tear."}},
		"stands":       {"impression": {"A tear."}, "gradeStands": {"true"}},
		"agree":        {"impression": {"A tear."}, "agreement": {"true"}},
		"differ":       {"impression": {"A tear."}, "agreement": {"false"}, "difference": {"The tear."}, "goodCall": {"true"}, "comment": {"x"}, "discrepancy.0.nature": {"detection"}},
		"incomparable": {"impression": {"A tear."}, "noComparisonReason": {"other"}, "noComparison": {"blurred"}},
	} {
		fields := url.Values{"compared": {chosen}, "impression": {"A tear."}, "difference": {"The tear."}, "goodCall": {"true"}, "comment": {"x"}, "discrepancy.0.nature": {"detection"},
			"noComparisonReason": {"other"}, "noComparison": {"blurred"}}
		takeCompared(fields)
		if diff := cmp.Diff(want, fields); diff != "" {
			t.Errorf("%q: %s", chosen, diff)
		}
	}
}
