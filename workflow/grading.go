package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// Level is the most significant discrepancy between the two readings.
type Level string

// The levels; the last stays out of every rate.
const (
	LevelNone         Level = "none"
	LevelMinor        Level = "minor"
	LevelMajor        Level = "major"
	LevelNoComparison Level = "no-comparison"
)

// Grade is how far the second opinion differs from the original. It is quality
// work product: only Difference, Management and Actionable ever reach the
// chart (docs/decisions, design section 5).
type Grade struct {
	NoComparisonReason string        `json:"noComparisonReason,omitempty"` // why no comparison is possible; grades of before have the words alone
	NoComparison       string        `json:"noComparison,omitempty"`       // the same in words
	Discrepancies      []Discrepancy `json:"discrepancies,omitempty"`
	GoodCall           bool          `json:"goodCall,omitempty"`   // the original saw what is easily missed
	Difference         string        `json:"difference,omitempty"` // for the chart: what differs and why it matters, in plain words
	Comment            string        `json:"comment,omitempty"`    // never for the chart
}

// Discrepancy is one point in which the two readings differ.
type Discrepancy struct {
	Finding      string   `json:"finding"`                // what it is about, in a few words
	Significance string   `json:"significance"`           // none, unimportant, important
	Nature       string   `json:"nature,omitempty"`       // detection, interpretation, communication, technique
	Direction    string   `json:"direction,omitempty"`    // miss, undercall, overcall, misinterpretation, location
	Expectedness string   `json:"expectedness,omitempty"` // not-ordinarily, most-of-the-time
	Management   string   `json:"management,omitempty"`   // none, work-up, treatment, staging, referral
	Actionable   string   `json:"actionable,omitempty"`   // none, non-critical, urgent, emergent
	Asymmetry    []string `json:"asymmetry,omitempty"`    // what the first reader lacked: priors, history, pathology
}

// vocabulary is the table of what each element of a discrepancy may say, the
// weakest first. RadLex names for actionable: RID50261 none, RID49482
// non-critical, RID49481 urgent, RID49480 emergent.
var vocabulary = []struct {
	element  string
	required bool
	words    []string
	of       func(Discrepancy) []string
}{
	{"significance", true, []string{"none", "unimportant", "important"}, func(d Discrepancy) []string { return []string{d.Significance} }},
	{"nature", true, []string{"detection", "interpretation", "communication", "technique"}, func(d Discrepancy) []string { return []string{d.Nature} }},
	{"direction", false, []string{"miss", "undercall", "overcall", "misinterpretation", "location"}, func(d Discrepancy) []string { return []string{d.Direction} }},
	{"expectedness", false, []string{"not-ordinarily", "most-of-the-time"}, func(d Discrepancy) []string { return []string{d.Expectedness} }},
	{"management", false, managements, func(d Discrepancy) []string { return []string{d.Management} }},
	{"actionable", false, actionables, func(d Discrepancy) []string { return []string{d.Actionable} }},
	{"asymmetry", false, []string{"priors", "history", "pathology"}, func(d Discrepancy) []string { return d.Asymmetry }},
}

// noComparisonReasons are why two readings cannot be compared.
var noComparisonReasons = []string{"no-original", "original-unusable", "original-preliminary", "different-images", "different-question",
	"images-inadequate", "reader-knew-original", "other"}

var (
	managements = []string{"none", "work-up", "staging", "referral", "treatment"}
	actionables = []string{"none", "non-critical", "urgent", "emergent"}

	// What makes a discrepancy important: a report must not call small what
	// changes the patient's care (Zan 2010: important is what is likely to
	// change management).
	careChanges = []string{"staging", "treatment"}
	pressing    = []string{"urgent", "emergent"}
)

// Pressing tells whether an actionable category is one of minutes or hours.
func Pressing(category string) bool { return slices.Contains(pressing, category) }

// Level is that of the most significant discrepancy.
func (g Grade) Level() Level {
	level := LevelNone
	if g.incomparable() {
		return LevelNoComparison
	}
	for _, d := range g.Discrepancies {
		switch d.Significance {
		case "important":
			return LevelMajor
		case "unimportant":
			level = LevelMinor
		}
	}
	return level
}

// incomparable tells that no comparison was possible.
func (g Grade) incomparable() bool { return g.NoComparisonReason != "" || g.NoComparison != "" }

// Asymmetric tells that the second reader had what the first lacked, in a point in
// which they differ.
func (g Grade) Asymmetric() bool {
	return slices.ContainsFunc(g.Discrepancies, func(d Discrepancy) bool { return len(d.Asymmetry) > 0 })
}

// Management is the weightiest change of management, "" when nothing was said.
func (g Grade) Management() string {
	return g.weightiest(managements, func(d Discrepancy) string { return d.Management })
}

// Actionable is the most pressing actionable category, "" when nothing was said.
func (g Grade) Actionable() string {
	return g.weightiest(actionables, func(d Discrepancy) string { return d.Actionable })
}

// mostPressing is the more pressing of actionable categories, "" when nothing
// was said.
func mostPressing(categories ...string) string {
	most := ""
	for _, c := range categories {
		if slices.Index(actionables, c) > slices.Index(actionables, most) {
			most = c
		}
	}
	return most
}

func (g Grade) weightiest(words []string, of func(Discrepancy) string) string {
	best := -1
	for _, d := range g.Discrepancies {
		best = max(best, slices.Index(words, of(d)))
	}
	if best < 0 {
		return ""
	}
	return words[best]
}

// RADPEER is the score of the ACR's programme (2016): 1 concur; 2 not
// ordinarily expected to be made; 3 should be made most of the time; a
// unlikely and b likely to be clinically significant. "" when no comparison is
// possible or a discrepancy does not say what was to be expected.
func (g Grade) RADPEER() string {
	if g.incomparable() {
		return ""
	}
	score := "1"
	for _, d := range g.Discrepancies {
		s := d.radpeer()
		if s == "" {
			return ""
		}
		score = max(score, s) // "1" < "2a" < "2b" < "3a" < "3b"
	}
	return score
}

func (d Discrepancy) radpeer() string {
	return map[[2]string]string{
		{"unimportant", "not-ordinarily"}: "2a", {"important", "not-ordinarily"}: "2b",
		{"unimportant", "most-of-the-time"}: "3a", {"important", "most-of-the-time"}: "3b",
		{"none", ""}: "1", {"none", "not-ordinarily"}: "1", {"none", "most-of-the-time"}: "1",
	}[[2]string{d.Significance, d.Expectedness}]
}

// FivePoint is the scale of Zan et al. (Radiology 2010;255:135): 1 no
// difference, 2 detection and 3 interpretation without clinical importance, 4
// detection and 5 interpretation with it. 0 when no comparison is possible, and
// where all that differs is communication or technique, which are not on the scale.
func (g Grade) FivePoint() int {
	if g.incomparable() {
		return 0
	}
	score, off := 0, false
	for _, d := range g.Discrepancies {
		s := d.fivePoint()
		score, off = max(score, s), off || s == 0
	}
	if score <= 1 && off {
		return 0
	}
	return max(score, 1)
}

func (d Discrepancy) fivePoint() int {
	if d.Significance == "none" {
		return 1
	}
	return map[[2]string]int{
		{"unimportant", "detection"}: 2, {"unimportant", "interpretation"}: 3,
		{"important", "detection"}: 4, {"important", "interpretation"}: 5,
	}[[2]string{d.Significance, d.Nature}]
}

// Check says what is wrong with a grade, "" when it is complete.
func (g Grade) Check() string {
	if g.incomparable() {
		return g.checkIncomparable()
	}
	for i, d := range g.Discrepancies {
		if d.Finding == "" {
			return fmt.Sprintf("discrepancies[%d].finding is missing: say in a few words what it is about", i)
		}
		if d.Significance != "important" && (slices.Contains(careChanges, d.Management) || Pressing(d.Actionable)) {
			return fmt.Sprintf("discrepancies[%d] changes treatment or staging, or is urgent, and so its significance is important", i)
		}
		for _, v := range vocabulary {
			for _, word := range v.of(d) {
				if word == "" && !v.required || slices.Contains(v.words, word) {
					continue
				}
				return fmt.Sprintf("discrepancies[%d].%s must be one of %s", i, v.element, strings.Join(v.words, ", "))
			}
		}
	}
	if len(g.Discrepancies) == 0 && strings.TrimSpace(g.Difference) != "" {
		return Phrase("difference says in words that the readings differ: give the discrepancy too, or leave difference out where they agree")
	}
	if level := g.Level(); level != LevelNone && strings.TrimSpace(g.Difference) == "" {
		return fmt.Sprintf("a %s discrepancy needs the difference in plain words, for the chart", level)
	}
	return ""
}

func (g Grade) checkIncomparable() string {
	switch {
	case !slices.Contains(noComparisonReasons, g.NoComparisonReason):
		return "noComparisonReason must be one of " + strings.Join(noComparisonReasons, ", ")
	case g.NoComparisonReason == "other" && strings.TrimSpace(g.NoComparison) == "":
		return "noComparison must say in words why no comparison is possible, where its reason is other"
	case len(g.Discrepancies) > 0:
		return "a grade of no comparison has no discrepancies"
	case g.GoodCall:
		return "a grade of no comparison is no good call: nothing was compared"
	}
	return ""
}

// LearningCause is the family of causes to which a word of a discrepancy belongs in
// a learning meeting (RCR, Standards for radiology events and learning meetings,
// 2020); it is no score. element is nature or asymmetry.
func LearningCause(element, word string) string {
	if element == "asymmetry" {
		return "system"
	}
	return map[string]string{"detection": "perception", "interpretation": "interpretation", "communication": "communication", "technique": "system"}[word]
}
