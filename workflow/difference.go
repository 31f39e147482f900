package workflow

import (
	"slices"
	"strings"
	"unicode"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// Edit is what became of a run of words between two versions of a text.
type Edit string

// The edits.
const (
	Kept    Edit = "kept"
	Removed Edit = "removed"
	Added   Edit = "added"
)

// Run is a run of words with what became of it; the runs of a section, without
// those that were removed, are the text as it is now.
type Run struct {
	Edit Edit
	Text string
}

// SectionChange is a section that two versions of a report do not have in common.
type SectionChange struct {
	Section string // "Impression"
	Runs    []Run
}

// reportSections are the parts of a report that are compared, in reading order.
var reportSections = []struct {
	name string
	text func(Report) string
}{
	{"Technique", func(r Report) string { return r.Opinion.Technique }},
	{"Comparison", func(r Report) string { return r.Opinion.Comparison }},
	{"Findings", func(r Report) string { return r.Opinion.Findings }},
	{"Impression", func(r Report) string { return r.Opinion.Impression }},
	{"Compared with the original report", func(r Report) string { return r.Difference }},
	{"Level of the difference", func(r Report) string { return levelWords[r.Level] }},
	{"Effect on management", func(r Report) string { return r.Management }},
	{"Urgency", func(r Report) string { return r.Actionable }},
	{"Recommendation", func(r Report) string { return r.Opinion.Recommendation }},
	{"Coded conclusions", codedConclusions},
}

// ReportSections are the headings of what Changes compares, for those who translate
// them.
func ReportSections() (names []string) {
	for _, s := range reportSections {
		names = append(names, s.name)
	}
	return append(names, "Addendum")
}

// levelWords say a level as the chart says it.
var levelWords = map[Level]string{
	LevelNone: "agreement", LevelMinor: "minor difference", LevelMajor: "major difference", LevelNoComparison: "no comparison",
}

func codedConclusions(r Report) string {
	var texts []string
	for _, c := range r.Opinion.Conclusions {
		texts = append(texts, strings.TrimSpace(c.Display+" "+c.Code))
	}
	return strings.Join(texts, "\n")
}

// Changes are what a version changed against another one, section by section and
// word by word. What an addendum adds is a section of its own: it stands in no
// other.
func Changes(before, after Report) []SectionChange {
	var all []SectionChange
	for _, s := range reportSections {
		if was, is := s.text(before), s.text(after); was != is {
			all = append(all, SectionChange{s.name, CompareWords(was, is)})
		}
	}
	if a := after.Amendment; a != nil && a.Kind == "addition" && after.No != before.No {
		all = append(all, SectionChange{"Addendum", []Run{{Added, a.Text}}})
	}
	return all
}

// mostTokens bounds what is compared word by word: longer texts are compared line
// by line, since the effort grows with the square of what differs.
const mostTokens = 8000

// CompareWords compares two texts: the sentences that both have, in their order, are kept,
// and what lies between them is compared word by word. The same texts give the same runs,
// on every machine.
func CompareWords(was, is string) []Run {
	var runs []Run
	for _, part := range sharedSentences(sentencesOf(was), sentencesOf(is)) {
		for _, r := range wordRuns(sentencesText(part.was), sentencesText(part.is), !part.shared) {
			if last := len(runs) - 1; last >= 0 && runs[last].Edit == r.Edit {
				runs[last].Text += r.Text
				continue
			}
			runs = append(runs, r)
		}
	}
	return apart(runs)
}

// wordRuns are the runs of two texts, word by word. Of texts that say different things,
// what few words they have in common between others is no reading and goes with these.
func wordRuns(was, is string, different bool) (runs []Run) {
	split := tokensOf
	if len(tokensOf(was)) > mostTokens || len(tokensOf(is)) > mostTokens {
		split = func(s string) []string { return strings.SplitAfter(s, "\n") }
	}
	names := tokenNames{}
	a, b := names.of(split(was)), names.of(split(is))
	differ := diffmatchpatch.New()
	differ.DiffTimeout = 0 // else the clock has a say in what is shown
	diffs := differ.DiffMainRunes(a, b, false)
	if different {
		diffs = differ.DiffCleanupSemantic(diffs)
	}
	tokens := names.texts()
	for _, d := range diffs {
		var text strings.Builder
		for _, name := range d.Text {
			text.WriteString(tokens[name])
		}
		runs = append(runs, Run{map[diffmatchpatch.Operation]Edit{
			diffmatchpatch.DiffEqual: Kept, diffmatchpatch.DiffDelete: Removed, diffmatchpatch.DiffInsert: Added}[d.Type], text.String()})
	}
	return runs
}

// tokenNames gives every token a character, since those are what can be compared.
type tokenNames map[string]rune

func (names tokenNames) of(tokens []string) (out []rune) {
	for _, token := range tokens {
		if _, known := names[token]; !known {
			next := rune(len(names) + 1) //nolint:gosec // a report has fewer words than Unicode characters
			if next >= 0xD800 {          // surrogates stand for nothing
				next += 0x800
			}
			names[token] = next
		}
		out = append(out, names[token])
	}
	return out
}

func (names tokenNames) texts() map[rune]string {
	texts := map[rune]string{}
	for token, name := range names {
		texts[name] = token
	}
	return texts
}

// apart gives what was removed and what took its place the blanks that follow both, so
// that the two do not run together where they are shown one behind the other.
func apart(runs []Run) []Run {
	for i := range runs {
		if i < 2 || runs[i].Edit != Kept || runs[i-1].Edit == Kept || runs[i-2].Edit == Kept {
			continue
		}
		text := strings.TrimLeftFunc(runs[i].Text, unicode.IsSpace)
		blanks := runs[i].Text[:len(runs[i].Text)-len(text)]
		runs[i-2].Text, runs[i-1].Text, runs[i].Text = runs[i-2].Text+blanks, runs[i-1].Text+blanks, text
	}
	return slices.DeleteFunc(runs, func(r Run) bool { return r.Text == "" })
}

// tokensOf splits a text into words and the blanks between them, so that they make up
// the text again. A word is the same whatever blanks follow it.
func tokensOf(text string) (out []string) {
	start, blank := 0, false
	for i, r := range text {
		if i > 0 && blank != unicode.IsSpace(r) {
			out, start = append(out, text[start:i]), i
		}
		blank = unicode.IsSpace(r)
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// Marked is a comparison as plain text: [-what was removed-] {+what was added+}.
func Marked(runs []Run) string {
	var b strings.Builder
	for _, r := range runs {
		text := strings.TrimSpace(r.Text)
		switch {
		case r.Edit == Removed && text == "":
			continue // other blanks take their place, or none at an end
		case r.Edit == Kept || text == "":
			b.WriteString(r.Text)
			continue
		}
		before, after, _ := strings.Cut(r.Text, text)
		if made := b.String(); before == "" && (strings.HasSuffix(made, "-]") || strings.HasSuffix(made, "+}")) {
			before = " "
		}
		b.WriteString(before)
		if r.Edit == Removed {
			b.WriteString("[-" + text + "-]")
		} else {
			b.WriteString("{+" + text + "+}")
		}
		b.WriteString(after)
	}
	return strings.TrimSpace(b.String())
}
