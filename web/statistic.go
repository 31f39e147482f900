package web

import "slices"

// statisticWords are the names of figures of statistics as a page says them.
var statisticWords = map[string]string{
	"target": "Target (%)", "phi": "φ (1: chance only)", "tau2": "τ², between groups", "overdispersed": "More than chance", "units": "Groups", "notTold": "Groups not told", "outside": "Outside of the limits",
	"value": "Group", "cases": "Cases", "events": "Counted", "rate": "Rate (%)", "low95": "95 % from", "high95": "95 % to", "low998": "99.8 % from", "high998": "99.8 % to",
	"wideLow95": "wide 95 % from", "wideHigh95": "wide 95 % to", "wideLow998": "wide 99.8 % from", "wideHigh998": "wide 99.8 % to", "z": "z", "standing": "Where it stands", "wideStanding": "In the wide limits",
	"first": "First", "second": "Second", "difference": "Difference (points)", "low": "from", "high": "to", "p": "P (two-proportion)", "chiSquare": "χ²", "chiSquareP": "P (χ²)", "yates": "χ² with Yates", "yatesP": "P (Yates)",
	"fisherP": "P (Fisher)", "allChiSquare": "χ² of all groups", "allP": "P of all groups", "allFreedom": "Degrees of freedom",
	"baseline": "Months of the baseline", "centre": "Centre of the p-chart (%)", "mean": "Mean (XmR)", "meanRange": "Mean moving range", "rangeLimit": "Limit of a step", "odds": "CUSUM: factor of the odds", "threshold": "CUSUM: threshold",
	"runLengthIn": "Cases until a false signal", "runLengthOut": "Cases until a true signal", "signals": "Months with a signal", "signal": "Signal", "x": "X", "xLow": "X from", "xHigh": "X to", "range": "Step", "xSignal": "Signal (XmR)", "cusum": "CUSUM", "cusumSignal": "Signal (CUSUM)",
	"standardBy": "Standardised by", "expected": "Expected", "ratio": "Observed / expected", "standardRate": "Standardised rate (%)",
	"of": "Of", "categories": "Categories", "compared": "Read by two or more", "observed": "Agreement (%)", "fleiss": "Fleiss’ κ", "fleissLow": "κ from", "fleissHigh": "κ to", "fleissChance": "By chance (%)", "ac1": "Gwet’s AC1", "ac1Low": "AC1 from", "ac1High": "AC1 to", "ac1Chance": "AC1: by chance (%)",
}

// standingWords are what a figure says in words.
var standingWords = map[string]string{
	"inside": "inside", "high-warning": "above 95 %", "high-alarm": "above 99.8 %", "low-warning": "below 95 %", "low-alarm": "below 99.8 %", "not-judged": "not judged: under 200 cases",
	"high": "more than expected", "low": "fewer than expected", "yes": "yes", "no": "no", "beyond-limits": "beyond the limits", "run": "eighth on one side", "wide-step": "a wide step", "beyond-limits run": "beyond the limits, eighth on one side",
	"beyond-limits wide-step": "beyond the limits, a wide step", "actionable": "how soon somebody must act", "significance": "significance",
}

// statisticNotes say in a sentence what a statistic is for.
var statisticNotes = map[string]string{
	"funnel":               "Limits are exact binomial ones around the rate of the whole. Where groups differ more than chance makes them, the wide limits have that in them: then look at these.",
	"compare-strata":       "Many comparisons find something by chance. The interval of the difference is Newcombe’s, of the two of Wilson.",
	"control-chart":        "A p-chart of the rates, an XmR chart of single values, and a CUSUM that watches for twice the odds.",
	"standardise":          "What there would be if each group’s cases had the rates of all. Compare a ratio with 1, never one with another.",
	"agreement-of-readers": "Of cases that two readers or more have read or graded. AC1 does not fall where one category is rare.",
}

// word is how a page says a name; itself where there is no other.
func wordOf(words map[string]string, name string) string {
	if text, ok := words[name]; ok {
		return text
	}
	return name
}

// statisticTexts are all of them, for the catalogue.
func statisticTexts() (all []string) {
	for _, words := range []map[string]string{statisticWords, standingWords, statisticNotes} {
		for _, text := range words {
			all = append(all, text)
		}
	}
	all = append(all, "Limits of the funnel", "Comparison", "Control charts", "Observed over expected", "Agreement of readers")
	slices.Sort(all)
	return slices.Compact(all)
}
