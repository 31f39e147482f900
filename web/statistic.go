package web

import (
	"slices"

	"github.com/overread/overread/measure/facts"
)

// statisticWords are the names of figures of statistics as a page says them.
var statisticWords = map[string]string{
	"target": "Target (%)", "phi": "φ (1: chance only)", "tau2": "τ², between groups", "overdispersed": "More than chance", "q": "Q", "qP": "P (Q)", "judgedBy": "Limits that count", "judgedWhy": "Why these", "units": "Groups", "notTold": "Groups not told", "notFinished": "Not finished", "roughLimits": "Months with rough limits (fewer than 5 expected)", "outside": "Outside of the limits that count",
	"value": "Group", "cases": "Cases", "events": "Counted", "rate": "Rate (%)", "low95": "unadjusted 95 % from", "high95": "unadjusted 95 % to", "low998": "unadjusted 99.8 % from", "high998": "unadjusted 99.8 % to",
	"wideLow95": "adjusted 95 % from", "wideHigh95": "adjusted 95 % to", "wideLow998": "adjusted 99.8 % from", "wideHigh998": "adjusted 99.8 % to", "z": "z", "standing": "In the unadjusted limits", "wideStanding": "In the adjusted limits",
	"limitsMethod": "Limits and intervals", "outsideUnadjusted": "Outside of the unadjusted limits", "note": "Note",
	"first": "First", "second": "Second", "difference": "Difference (points)", "low": "from", "high": "to", "p": "P (two-proportion)", "chiSquare": "χ²", "chiSquareP": "P (χ²)", "yates": "χ² with Yates", "yatesP": "P (Yates)",
	"fisherP": "P (Fisher)", "allChiSquare": "χ² of all groups", "allP": "P of all groups", "allFreedom": "Degrees of freedom",
	"smallestExpected": "Smallest expected count", "leftOut": "z and χ² left out", "allSmallestExpected": "Smallest expected count, all groups", "allLeftOut": "χ² of all groups left out",
	"baseline": "Months of the baseline", "centre": "Centre of the p-chart (%)", "mean": "Mean (XmR)", "meanRange": "Mean moving range", "rangeLimit": "Limit of a step", "odds": "CUSUM: factor of the odds", "threshold": "CUSUM: threshold", "monthSize": "CUSUM: cases of a month",
	"runLengthIn": "CUSUM: months until a false signal, on average", "runLengthOut": "CUSUM: months until a true signal, on average", "signals": "Months with a signal", "signal": "Signal", "x": "X", "xLow": "X from", "xHigh": "X to", "range": "Step", "xSignal": "Signal (XmR)", "cusum": "CUSUM", "cusumSignal": "Signal (CUSUM)",
	"standardBy": "Standardised by", "expected": "Expected", "ratio": "Observed / expected", "standardRate": "Standardised rate (%)",
	"of": "Of", "categories": "Categories", "compared": "Read by two or more", "observed": "Agreement (%)", "fleiss": "Fleiss’ κ", "fleissLow": "κ from", "fleissHigh": "κ to", "fleissChance": "By chance (%)", "ac1": "Gwet’s AC1", "ac1Low": "AC1 from", "ac1High": "AC1 to", "ac1Chance": "AC1: by chance (%)",
	"cohen": "Cohen’s κ", "cohenLow": "Cohen’s κ from", "cohenHigh": "Cohen’s κ to", "prevalence": "Prevalence index", "bias": "Bias index", "pabak": "κ without both (PABAK)",
}

// standingWords are what a figure says in words.
var standingWords = map[string]string{
	"inside": "inside", "high-warning": "above 95 %", "high-alarm": "above 99.8 %", "low-warning": "below 95 %", "low-alarm": "below 99.8 %", "not-judged": "not judged: under 200 cases",
	"high": "more than expected", "low": "fewer than expected", "yes": "yes", "no": "no", "beyond-limits": "beyond the limits", "run": "eighth on one side", "wide-step": "a wide step", "beyond-limits run": "beyond the limits, eighth on one side",
	"beyond-limits wide-step": "beyond the limits, a wide step", "run wide-step": "eighth on one side, a wide step", "beyond-limits run wide-step": "beyond the limits, eighth on one side, a wide step", "actionable": "how soon somebody must act", "anybody": "whether anybody must act", "significance": "significance",
	"month-runs": "not finished: the month had not ended", "part-of-month": "not finished: the period has a part of the month", "to-follow": "not finished: more of its cases is to become known",
	"exact-limits": "the exact, unadjusted ones", "adjusted-limits": "those adjusted for over-dispersion", "few-groups": "fewer than 10 groups, too few to tell over-dispersion from one that stands out",
	"no-heterogeneity": "the groups do not differ significantly more than chance makes them (Q, 5 %)", "heterogeneity": "the groups differ significantly more than chance makes them (Q, 5 %)",
	"expected-below-5": "a count below 5 is expected: χ² is too rough; use Fisher’s test of two groups",
	"binomial-exact":   "exact binomial, unadjusted", "binomial-exact additive-random-effects": "exact binomial, unadjusted; adjusted for over-dispersion by additive random effects", "garwood": "exact Poisson limits (Garwood)", "gwet-t": "t of the standard error (Gwet)",
	"three-sigma": "three sigma; XmR: 2.66 mean moving ranges", "wilson": "Wilson", "wilson-cc": "Wilson with continuity correction", "clopper-pearson": "Clopper-Pearson", "brookmeyer-crowley": "Brookmeyer-Crowley",
	"unweighted": "unweighted", "linear": "linear weights", "quadratic": "quadratic weights",
}

// statisticNotes say in a sentence what a statistic is for.
var statisticNotes = map[string]string{
	"funnel":               "Limits are exact binomial ones around the rate of the whole. Where ten groups or more differ significantly more than chance makes them (over-dispersion), there are limits adjusted for that beside these unadjusted ones: then look at the adjusted ones, which the picture flags by.",
	"compare-strata":       "Many comparisons find something by chance. The interval of the difference is Newcombe’s, of the two of Wilson.",
	"control-chart":        "A p-chart of the rates, an XmR chart of single values, and a CUSUM that adds up whole months and watches for twice the odds. Months until a signal are means of charts whose months are as large as these, the centre taken as known. A month that is not finished is shown and not judged, and is in no centre, limit or sum.",
	"standardise":          "What there would be if each group’s cases had the rates of all. Compare a ratio with 1, never one with another. Limits are exact ones of the observed count (Garwood).",
	"agreement-of-readers": "Of cases that two have read without knowing of each other, and of grades where every case has two. AC1 does not fall where one category is rare.",
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
	all = append(all, facts.NoteSelected, facts.NoteRatings, facts.NoteAsymmetry, facts.NoteMargins, facts.NotePart, facts.NoteRuns, facts.NoteKappa)
	all = append(all, "Limits of the funnel", "Comparison", "Control charts", "Observed over expected", "Agreement of readers")
	slices.Sort(all)
	return slices.Compact(all)
}
