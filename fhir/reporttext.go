package fhir

import (
	"html"
	"strconv"
	"strings"

	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// shownSection is one heading of the report with its text.
type shownSection struct{ Heading, Text string }

// shownSections is the report in reading order; what is empty is left out.
func shownSections(src reportSources) []shownSection {
	o := src.Report.Opinion
	all := []shownSection{
		{"Technique", o.Technique},
		{"Comparison", o.Comparison},
		{"Findings", o.AllFindings()},
		{"Impression", o.Impression},
		{"Compared with the original report", difference(src)},
		{"Effect on management", managementCodes[src.Report.Management]},
		{"Urgency", actionableCodes[src.Report.Actionable].Display},
		{"Recommendation", o.Recommendation},
		{"About the reader", src.Case.Exam.AboutReaders()},
	}
	all = append(all, findingLines(src)...)
	for _, a := range amendments(src) {
		all = append(all, shownSection{a.Heading, a.Text})
	}
	var shown []shownSection
	for _, s := range all {
		if s.Text != "" {
			shown = append(shown, s)
		}
	}
	return shown
}

// unveiling says that the readings are not independent of each other, where the
// reader had seen the first one in an emergency; "" where they had not.
func unveiling(src reportSources) string {
	if !src.Unveiled || sealedAt(src).IsZero() {
		return ""
	}
	return "The reader had seen the original report in an emergency before sealing the opinion: it is no independent reading."
}

// difference says how the two readings relate and, where they differ, in what.
func difference(src reportSources) string {
	text := agreementCodes[src.Report.Level].Display + "."
	if src.Report.Difference != "" && src.Report.Level != workflow.LevelNoComparison {
		text += "\n" + src.Report.Difference
	}
	if seen := unveiling(src); seen != "" {
		text += "\n" + seen
	}
	return text
}

// reportText is the narrative: the report as every FHIR client can show it
// (FHIR R4 narrative.html), from the same words as the structured parts.
func reportText(src reportSources) *Node {
	var b strings.Builder
	b.WriteString(`<div xmlns="http://www.w3.org/1999/xhtml" lang="en" xml:lang="en">`)
	writeElement(&b, "h1", title(src, "en"))
	if withdrawn(src) {
		writeElement(&b, "p", "This report was entered in error and must not be used.")
	} else {
		for _, s := range shownSections(src) {
			writeElement(&b, "h2", s.Heading)
			writeLines(&b, s.Text)
		}
		for _, c := range textChanges(src) {
			writeElement(&b, "h2", "Changed against version "+strconv.Itoa(src.Report.No-1)+": "+c.Section)
			writeLines(&b, workflow.Marked(c.Runs))
		}
	}
	writeElement(&b, "p", signature(src))
	b.WriteString("</div>")
	return Object("status", "generated", "div", b.String())
}

func writeLines(b *strings.Builder, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			writeElement(b, "p", line)
		}
	}
}

func writeElement(b *strings.Builder, name, text string) {
	b.WriteString("<" + name + ">" + html.EscapeString(text) + "</" + name + ">")
}

// title is the report's, for people: the exam and what became of the report.
func title(src reportSources, language string) string {
	t := letter.In(language, "Radiology second opinion")
	if exam := examName(src.Case.Exam); exam != "" {
		t += ": " + exam
	}
	switch status := src.Report.Status; status {
	case "appended":
		t += letter.In(language, " (with addendum)")
	case "corrected", "amended":
		t += letter.In(language, " ("+status+")")
	case "entered-in-error":
		t += letter.In(language, " (entered in error)")
	}
	return t
}

func examName(e workflow.Exam) string {
	if e.Display != "" {
		return e.Display
	}
	return strings.TrimSpace(e.Modality + " " + e.BodySite)
}

// signature names who read and who signed, and when.
func signature(src reportSources) string {
	var readers, signer []string
	for _, p := range src.people() {
		if p.signed {
			signer = append(signer, displayOf(p.Node))
		} else {
			readers = append(readers, displayOf(p.Node))
		}
	}
	text := ""
	if len(readers) > 0 {
		text = "Read by " + strings.Join(readers, ", ") + ". "
	}
	at := displayOf(src.Service) + ", " + src.Report.SignedAt.UTC().Format("2 January 2006, 15:04 MST")
	if len(signer) == 0 { // the medical directors withdraw a report
		return text + at
	}
	return text + "Signed by " + signer[0] + " for " + at
}
