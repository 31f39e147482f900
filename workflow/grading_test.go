package workflow

import (
	"strings"
	"testing"
)

func TestLevelAndScoresAreDerivedFromTheDiscrepancies(t *testing.T) {
	d := func(significance, nature, expectedness string) Discrepancy {
		return Discrepancy{Finding: "nodule", Significance: significance, Nature: nature, Expectedness: expectedness}
	}
	for _, test := range []struct {
		name    string
		grade   Grade
		level   Level
		radpeer string
		five    int
	}{
		{"agreement", Grade{}, LevelNone, "1", 1},
		{"wording only", Grade{Discrepancies: []Discrepancy{d("none", "communication", "")}}, LevelNone, "1", 1},
		{"small miss", Grade{Discrepancies: []Discrepancy{d("unimportant", "detection", "not-ordinarily")}}, LevelMinor, "2a", 2},
		{"small misjudgement", Grade{Discrepancies: []Discrepancy{d("unimportant", "interpretation", "most-of-the-time")}}, LevelMinor, "3a", 3},
		{"hard miss", Grade{Discrepancies: []Discrepancy{d("important", "detection", "not-ordinarily")}}, LevelMajor, "2b", 4},
		{"plain misjudgement", Grade{Discrepancies: []Discrepancy{d("important", "interpretation", "most-of-the-time")}}, LevelMajor, "3b", 5},
		{"the worst counts", Grade{Discrepancies: []Discrepancy{d("important", "detection", "not-ordinarily"), d("unimportant", "interpretation", "most-of-the-time")}}, LevelMajor, "3a", 4},
		{"expectedness not said", Grade{Discrepancies: []Discrepancy{d("important", "detection", "")}}, LevelMajor, "", 4},
		{"technique is not on the five-point scale", Grade{Discrepancies: []Discrepancy{d("important", "technique", "")}}, LevelMajor, "", 0},
		{"what is on the scale counts", Grade{Discrepancies: []Discrepancy{d("important", "technique", ""), d("unimportant", "detection", "not-ordinarily")}}, LevelMajor, "", 2},
		{"no comparison", Grade{NoComparisonReason: "original-unusable"}, LevelNoComparison, "", 0},
		{"no comparison, of before there were reasons", Grade{NoComparison: "original in another language"}, LevelNoComparison, "", 0},
	} {
		if test.grade.Level() != test.level || test.grade.RADPEER() != test.radpeer || test.grade.FivePoint() != test.five {
			t.Errorf("%s: level %s, RADPEER %q, five-point %d; want %s, %q, %d", test.name,
				test.grade.Level(), test.grade.RADPEER(), test.grade.FivePoint(), test.level, test.radpeer, test.five)
		}
	}
}

func TestManagementAndActionableAreTheWeightiest(t *testing.T) {
	g := Grade{Discrepancies: []Discrepancy{
		{Management: "work-up", Actionable: "emergent"},
		{Management: "treatment", Actionable: "none"},
		{},
	}}
	if g.Management() != "treatment" || g.Actionable() != "emergent" {
		t.Error(g.Management(), g.Actionable())
	}
	if (Grade{}).Management() != "" || (Grade{}).Actionable() != "" {
		t.Error("nothing was said")
	}
}

func TestAnIncompleteGradeSaysWhatIsMissing(t *testing.T) {
	full := Discrepancy{Finding: "nodule", Significance: "important", Nature: "detection"}
	with := func(change func(*Discrepancy)) Grade {
		d := full
		change(&d)
		return Grade{Discrepancies: []Discrepancy{d}, Difference: "A nodule was not mentioned."}
	}
	for want, grade := range map[string]Grade{
		"":                              with(func(*Discrepancy) {}),
		"discrepancies[0].finding":      with(func(d *Discrepancy) { d.Finding = "" }),
		"discrepancies[0].significance": with(func(d *Discrepancy) { d.Significance = "" }),
		"discrepancies[0].nature":       with(func(d *Discrepancy) { d.Nature = "bad luck" }),
		"discrepancies[0].asymmetry":    with(func(d *Discrepancy) { d.Asymmetry = []string{"priors", "weather"} }),
		"discrepancies[0] changes":      with(func(d *Discrepancy) { d.Significance, d.Management = "unimportant", "treatment" }),
		"discrepancies[0] changes t":    with(func(d *Discrepancy) { d.Significance, d.Actionable = "none", "emergent" }),
		"in plain words":                {Discrepancies: []Discrepancy{full}},
		"give the discrepancy too":      {Difference: "A nodule was not mentioned."},
		"has no discrepancies":          {NoComparisonReason: "no-original", Discrepancies: []Discrepancy{full}},
		"noComparisonReason must be":    {NoComparison: "no original"},
		"noComparison must say":         {NoComparisonReason: "other"},
		"is no good call":               {NoComparisonReason: "different-images", GoodCall: true},
	} {
		got := grade.Check()
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
