package fhir

import (
	"fmt"
	"testing"

	"github.com/overread/overread/measure"
)

// countsReport is a report of a measure by a dimension, of groups of so many events of so many cases.
func countsReport(t *testing.T, by string, groups ...[2]int) *Node {
	t.Helper()
	part := func(events, cases int) string {
		return fmt.Sprintf(`"population":[{"code":{"coding":[{"code":"denominator"}]},"count":%d},{"code":{"coding":[{"code":"numerator"}]},"count":%d}]`, cases, events)
	}
	strata, events, cases := "", 0, 0
	for i, g := range groups {
		if i > 0 {
			strata += ","
		}
		strata += fmt.Sprintf(`{"value":{"text":"g%02d"},%s}`, i, part(g[0], g[1]))
		events, cases = events+g[0], cases+g[1]
	}
	report, err := Decode(fmt.Appendf(nil, `{"resourceType":"MeasureReport","status":"complete","type":"summary","measure":"http://example.org/m","period":{"start":"2026-01-01","end":"2026-12-31"},
		"group":[{%s,"stratifier":[{"code":[{"coding":[{"code":%q}]}],"stratum":[%s]}]}]}`, part(events, cases), by, strata), "MeasureReport")
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Of five sites one has 31 % and the others 16: the answer judges it by the exact limits, and says so.
func TestAFunnelSaysWhichLimitsCountAndWhy(t *testing.T) {
	t.Parallel()
	few := [][2]int{{93, 300}, {48, 300}, {47, 300}, {49, 300}, {48, 300}}
	var alike, apart [][2]int
	for i := range 12 {
		alike, apart = append(alike, [2]int{46 + i%5, 300}), append(apart, [2]int{20 + 6*i, 300})
	}
	for _, tt := range []struct {
		groups         [][2]int
		by, why        string
		overdispersed  any
		outside, exact int // of those that count, of the exact
	}{
		{few, "exact-limits", "few-groups", nil, 1, 1},
		{alike, "exact-limits", "no-heterogeneity", false, 0, 0},
		{apart, "adjusted-limits", "heterogeneity", true, 0, 6},
	} {
		st, err := funnelOf(countsReport(t, "site", tt.groups...), -1)
		if err != nil {
			t.Fatal(err)
		}
		h := st.heads
		if h["judgedBy"] != tt.by || h["judgedWhy"] != tt.why || h["overdispersed"] != tt.overdispersed || h["outside"] != tt.outside || h["outsideUnadjusted"] != tt.exact || h["q"] == nil || h["qP"] == nil {
			t.Errorf("%s: %v", tt.why, h)
		}
		if _, wide := st.rows[0]["wideStanding"]; wide != (tt.by == "adjusted-limits") {
			t.Errorf("%s: %v", tt.why, st.rows[0])
		}
	}
}

func TestChiSquareIsLeftOutWhereFewAreExpectedAndThatIsSaid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		groups   [][2]int
		smallest float64
		given    bool
	}{{[][2]int{{3, 100}, {5, 200}}, 8.0 / 3, false}, {[][2]int{{5, 100}, {10, 200}}, 5, true}} {
		st, err := compareOf(countsReport(t, "site", tt.groups...), measure.MethodWilson, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := st.heads
		for _, name := range []string{"chiSquare", "chiSquareP", "yates", "yatesP", "z", "p", "allChiSquare", "allP", "allFreedom"} {
			if _, given := h[name]; given != tt.given {
				t.Errorf("%v: %s is given: %v", tt.groups, name, given)
			}
		}
		for _, name := range []string{"leftOut", "allLeftOut"} {
			if (h[name] == "expected-below-5") == tt.given {
				t.Errorf("%v: %s: %v", tt.groups, name, h[name])
			}
		}
		if h["smallestExpected"] != tt.smallest || h["allSmallestExpected"] != tt.smallest || h["fisherP"] == nil || h["low"] == nil {
			t.Errorf("%v", h)
		}
	}
}

func TestTheLimitsOfARateOfMonthsAreRates(t *testing.T) {
	t.Parallel()
	for _, groups := range [][][2]int{{{0, 50}, {6, 50}, {0, 50}, {5, 50}}, {{50, 50}, {44, 50}, {50, 50}, {45, 50}}} {
		st, err := controlOf(countsReport(t, "month", groups...), 0, 2, 4.5)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range st.rows {
			low, high := row["xLow"].(float64), row["xHigh"].(float64)
			if low < 0 || high > 100 || low != 0 && high != 100 {
				t.Errorf("%v: %v to %v", groups, low, high)
			}
		}
	}
}
