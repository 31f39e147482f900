package web

import (
	"maps"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// caseView is a case as its page shows it.
type caseView struct {
	screen.Reading

	Gallery *galleryView // nil: no images
	Base    string       // of the place
	Here    string       // of the page
	Urgency string
	Left    time.Duration // of its time, or how late it is

	Sealed        []sealedView
	Compared      []pairView
	Matters       []matterView
	Words         map[string][]codeWord // what each element of a grade may say
	Media         []codeWord
	Declines      []codeWord
	Discrepancies []discrepancyView
	Given         workflow.Grade // what the form of the grade is filled with
	Sections      []section      // of the text that may be changed, as it is
	Blank         []section      // the same without a text
}

// codeWord is a code with the words for it.
type codeWord struct{ Code, Text string }

type sealedView struct {
	screen.Sealed

	PartName string
}

type pairView struct {
	screen.Pair

	LeftTitle, RightTitle string
}

type matterView struct {
	screen.Matter

	Name string
}

// discrepancyView is the part of the form for one discrepancy.
type discrepancyView struct {
	workflow.Discrepancy // what is filled in

	No, Number int // from 0, from 1
	Words      map[string][]codeWord
}

// Lacked tells whether the first reader lacked this, as it is filled in.
func (d discrepancyView) Lacked(code string) bool { return slices.Contains(d.Asymmetry, code) }

// section is a field of an opinion.
type section struct {
	Name, Title, Text string
	Rows              int
}

// mostDiscrepancies is how many the form has room for.
const mostDiscrepancies = 3

// codeTexts are the words for codes that have none of their own in this language's
// field: those of grades (docs/grading.md), of parts, media, matters and declines.
var codeTexts = withMeanings(map[string]string{
	"none": "none", "unimportant": "unimportant", "important": "important",
	"not-ordinarily": "not ordinarily to be seen", "most-of-the-time": "should be seen most of the time",
	"work-up": "further work-up", "treatment": "treatment", "staging": "staging", "referral": "referral",
	"non-critical": "non-critical", "urgent": "urgent", "emergent": "emergent",
	"no-original": "there is no first report", "original-unusable": "the first report cannot be used", "original-preliminary": "the first report is preliminary only",
	"different-images": "it is about other images", "different-question": "it answers another question", "images-inadequate": "the images are not good enough",
	"reader-knew-original": "I knew the first report", "other": "another reason",
	"phone": "by telephone", "in-person": "in person", "secure-message": "by secure message",
	"first": "first reader", "second": "second reader", "proposal": "proposal", "arbitration": "third reader", "adjudication": "third reader", "revision": "revised", "cosign": "supervisor", "amendment": "amendment",
	"finding": "Finding", "question": "Question", "verification": "Changed since the signature",
	"workload": "too much to do", "off-duty": "off duty", "outside-expertise": "not my field", "conflict": "conflict of interest",
	"acknowledged": "acknowledged", "answered": "answered", "valid": "still valid", "amended": "amended", "withdrawn": "withdrawn",
	"final": "final", "appended": "appended", "corrected": "corrected", "addition": "Addition", "correction": "Correction", "error": "Error",
})

// withMeanings adds what the codes of a discrepancy mean; those of its nature say themselves
// too, since a list has nothing else to tell them by.
func withMeanings(texts map[string]string) map[string]string {
	maps.Copy(texts, workflow.Meanings)
	for _, code := range []string{"detection", "interpretation", "communication"} {
		texts[code] = code + ": " + texts[code]
	}
	return texts
}

// textsOfReading are texts that pages of readers say and that stand elsewhere.
var textsOfReading = []string{
	"Name", "Born", "Sex", "Record number", "male", "female", "unknown", "Description", "Made on", "Modality", "Body part", "Side of the images", "Side that was ordered", "left", "right", "bilateral", "Series", "Images",
	"Technique", "Comparison", "Findings", "Impression", "Recommendation", "Compared with the original report", "Level of the difference", "Effect on management", "Urgency", "Coded conclusions", "Addendum",
}

func words(codes []string) (all []codeWord) {
	for _, code := range codes {
		text := codeTexts[code]
		if text == "" {
			text = code
		}
		all = append(all, codeWord{code, text})
	}
	return all
}

// gradeWords are the codes of docs/grading.md, by element.
func gradeWords(scored bool) map[string][]codeWord {
	all := map[string][]codeWord{"noComparisonReason": words(workflow.Words("noComparisonReason"))}
	for _, element := range []string{"significance", "nature", "direction", "management", "actionable", "asymmetry"} {
		all[element] = words(workflow.Words(element))
	}
	if scored {
		all["expectedness"] = words(workflow.Words("expectedness"))
	}
	return all
}

func (s *Server) reading(c echo.Context, at seat) error {
	r, err := s.Desk.Readers.Reading(c.Request().Context(), at.place.Actor, c.Param("task"), s.caller(c))
	if err != nil {
		return err
	}
	title := r.Order
	if r.Exam != "" {
		title += ", " + r.Exam
	}
	view := viewOfCase(r, s.at(at.place))
	if view.Gallery, err = s.galleryOf(c, at, r); err != nil {
		return err
	}
	return s.show(c, at, "reading", title, view)
}

func viewOfCase(r screen.Reading, base string) caseView {
	v := caseView{Reading: r, Base: base, Here: base + "/case/" + r.Task, Words: gradeWords(r.Scored), Media: words(workflow.Media), Declines: words(workflow.DeclineCodes)}
	v.Opened = v.Opened.In(r.Zone)
	if r.State == workflow.Final || r.State == workflow.Closed {
		v.Due = nil // by then the clinician has to acknowledge it
	} else if r.Due != nil {
		v.Due, v.Urgency, v.Left = timeIn(r.Due, r.Zone), urgency(workflow.WorkItem{Due: r.Due, OpenedAt: r.Opened}, r.Now), leftOf(r.Due, r.Now)
	}
	for _, o := range r.Sealed {
		v.Sealed = append(v.Sealed, sealedView{o, codeTexts[string(o.Part)]})
	}
	for _, p := range r.Compared {
		v.Compared = append(v.Compared, pairView{p, "First report", "Second opinion"})
	}
	for _, m := range r.Matters {
		v.Matters = append(v.Matters, matterView{m, codeTexts[string(m.Kind)]})
	}
	if r.Grade != nil {
		v.Given = *r.Grade
	}
	for n := range max(mostDiscrepancies, len(v.Given.Discrepancies)) {
		row := discrepancyView{No: n, Number: n + 1, Words: v.Words}
		if n < len(v.Given.Discrepancies) {
			row.Discrepancy = v.Given.Discrepancies[n]
		}
		v.Discrepancies = append(v.Discrepancies, row)
	}
	v.Sections, v.Blank = sectionsOf(textBefore(r)), sectionsOf(workflow.Opinion{})
	return v
}

// Judging are the findings of which a signature asks whether they stand: those of which
// it must be said, or, where the text is changed with it, all.
func (v caseView) Judging(all bool) judging { return judging{v.Judged, all} }

type judging struct {
	Judged []screen.Judged
	All    bool
}

// textBefore is the text that somebody may change: the one in force, else the last
// that they see, their own first.
func textBefore(r screen.Reading) workflow.Opinion {
	best := -1
	for i, o := range r.Sealed {
		if best < 0 || o.InForce || !r.Sealed[best].InForce && (o.Own || !r.Sealed[best].Own) {
			best = i
		}
	}
	if best < 0 {
		return workflow.Opinion{}
	}
	return r.Sealed[best].Content
}

func sectionsOf(o workflow.Opinion) []section {
	return []section{
		{"technique", "Technique", o.Technique, 1}, {"comparison", "Comparison", o.Comparison, 1}, {"findings", "Findings", o.Findings, 6},
		{"impression", "Impression", o.Impression, 3}, {"recommendation", "Recommendation", o.Recommendation, 2},
	}
}

// titled are the texts of code that pages of readers say.
func titled() []string {
	return slices.Concat(textsOfReading, []string{"First report", "Second opinion"})
}
