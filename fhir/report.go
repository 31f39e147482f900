package fhir

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/workflow"
)

// reportSources is what a signed report is rendered from: the words that were
// signed, and around them what the case refers to. References are in our own
// id space; outgoing.go translates them for the EHR.
type reportSources struct {
	Case    workflow.Case
	Report  workflow.Report   // the version to render
	History []workflow.Report // the versions before it, oldest first

	Unveiled bool // the reader had seen the original, in an emergency, before their opinion was sealed

	Order     *Node // Reference to the ServiceRequest of the second opinion
	Subject   *Node // Reference
	Encounter *Node // Reference, nil when the order had none
	Requester *Node // Reference, nil when nobody said
	Study     *Node // Reference to the ImagingStudy, nil when there is none
	Original  *Node // Reference to the original report, nil when there is none

	// The resources behind them, nil when they are not kept here.
	OrderResource   *Node
	Task            *Node
	Patient         *Node
	StudyResource   *Node
	OriginalReport  *Node
	OriginalVersion int64 // the version that was compared with

	Service     *Node                // our Organization
	Reader      *Node                // Practitioner
	Other       *Node                // Practitioner or nil: the other of two who have read it
	Adjudicator *Node                // Practitioner or nil
	Supervisor  *Node                // Practitioner or nil
	names       map[uuid.UUID]string // of everybody who signed a version
	others      map[uuid.UUID]*Node  // Practitioners who raised findings, told of them, or answered
}

// diagnosticReport renders a signed version: shaped after IHE RAD IMR and the
// US Core DiagnosticReport profile for report and note exchange. It is the
// clinical record: what was seen, what differs from the original and why it
// matters; no score, no cause, no judgement of the first reader.
func diagnosticReport(src reportSources) (*Node, error) {
	r := reportFrame(src, reportText(src))
	r.Set("effectiveDateTime", effective(src))
	r.Set("issued", instant(src.Report.SignedAt))
	r.Set("performer", performers(src))
	r.Set("resultsInterpreter", interpreters(src))
	setStudy(r, src)
	if withdrawn(src) {
		return r, nil
	}
	var results []*Node
	for _, o := range observations(src) {
		results = append(results, refer("Observation/"+o.Text("id"), "", o.Text("code", "text")))
	}
	r.Set("result", results)
	r.Set("conclusion", conclusion(src))
	r.Set("conclusionCode", conclusionCodes(src.Report.Opinion.Conclusions))
	forms, err := presentedForm(src)
	r.Set("presentedForm", forms)
	return r, err
}

func setStudy(r *Node, src reportSources) {
	if src.Study != nil {
		r.Set("imagingStudy", []*Node{src.Study.Clone()})
	}
}

// registeredReport is the report before there is one: the EHR may show that a
// second opinion is on its way. Under a blinded protocol it must not point at
// the original, so it never does.
func registeredReport(src reportSources, status string) *Node {
	src.Original = nil
	r := reportFrame(src, nil)
	r.Set("status", status)
	r.Set("performer", []*Node{resourceReference(src.Service)})
	setStudy(r, src)
	return r
}

// reportFrame is what every version of the report has in common.
func reportFrame(src reportSources, text *Node) *Node {
	c := src.Case
	return Object(
		"resourceType", "DiagnosticReport",
		"id", reportID(c),
		"language", "en",
		"text", text,
		"extension", extendsOriginal(src.Original),
		"identifier", reportIdentifiers(c),
		"basedOn", []*Node{src.Order.Clone()},
		"status", src.Report.Status,
		"category", []*Node{
			Object("coding", []*Node{coding(loinc, "LP29684-5", "Radiology"), coding(v2Diagnostic, "RAD", "Radiology")}, "text", "Radiology"),
		},
		"code", examCode(c.Exam),
		"subject", src.Subject.Clone(),
		"encounter", src.Encounter.Clone(),
	)
}

// reportID is the id of the case's one DiagnosticReport, in all its versions.
func reportID(c workflow.Case) string {
	if c.ReportID != nil {
		return *c.ReportID
	}
	return c.CaseID.String()
}

// reportIdentifiers stay the same over all versions of a report: an EHR that
// got the first one finds it again, and no version becomes a second report.
func reportIdentifiers(c workflow.Case) []*Node {
	return []*Node{
		Object("use", "official", "system", sidReport, "value", c.CaseID.String()),
		Object("type", Object("coding", []*Node{coding(v2Identifier, "FILL", "Filler Identifier")}),
			"system", sidFiller, "value", c.Number()),
	}
}

// extendsOriginal says what this report is to the original: a sibling that
// carries the reading further. Never -replaces or -addendumOf: the original
// belongs to another author and stays as it is.
func extendsOriginal(original *Node) []*Node {
	if original == nil {
		return nil
	}
	return []*Node{Object("url", urlExtends, "valueReference", original.Clone())}
}

// withdrawn: the report was declared an error. Its content is gone from the
// current version; the versions before keep it.
func withdrawn(src reportSources) bool { return src.Report.Status == "entered-in-error" }

// examCode is the code of the original exam: the second opinion is about the
// same examination.
func examCode(e workflow.Exam) *Node {
	switch {
	case e.Code != "" && e.CodeSystem != "":
		return Object("coding", []*Node{coding(e.CodeSystem, e.Code, e.Display)}, "text", e.Display)
	case e.Display != "":
		return Object("coding", []*Node{coding(loinc, "18748-4", "Diagnostic imaging study")}, "text", e.Display)
	}
	return concept(loinc, "18748-4", "Diagnostic imaging study")
}

// effective is when the images were made, never when they were read; exactly as
// the study, or else the original report, says it.
func effective(src reportSources) string {
	for _, said := range []string{
		src.StudyResource.Text("started"),
		src.OriginalReport.Text("effectiveDateTime"),
		src.OriginalReport.Text("effectivePeriod", "start"),
	} {
		if said != "" {
			return said
		}
	}
	return ""
}

// performers are who answers for the report: our organisation first (IHE IMR
// demands one), then the people.
func performers(src reportSources) []*Node {
	return append([]*Node{resourceReference(src.Service)}, interpreters(src)...)
}

// interpreters are those who are responsible for its conclusions (FHIR R4
// DiagnosticReport.resultsInterpreter): whose text it is, who decided that it stands,
// and who signed. Provenance tells them apart.
func interpreters(src reportSources) []*Node {
	var out []*Node
	for _, p := range src.people() {
		out = append(out, resourceReference(p.Node))
	}
	return out
}

// author is somebody who answers for a version of the report.
type author struct {
	*Node         // Practitioner
	role   string // as the letter calls it
	wrote  bool   // it is their text; the others decided that it stands, or have countersigned it
	signed bool   // gave the signature
}

// people leaves out whoever read and was overruled, which is nobody's business, and whom
// an amendment was given to who has signed none.
func (src reportSources) people() []author {
	answer := src.Report.AuthoredBy()
	texts := len(answer)
	if src.Report.AdjudicatorID != nil {
		answer = append(slices.Clone(answer), *src.Report.AdjudicatorID)
	}
	for _, r := range src.History {
		answer = append(answer, r.SignedBy)
	}
	answer = append(answer, src.Report.SignedBy)
	var all []author
	var named []uuid.UUID
	for _, p := range []struct {
		id   *uuid.UUID
		n    *Node
		role string
	}{
		{src.Case.ReaderID, src.Reader, "Reader"}, {src.Case.OtherReaderID, src.Other, "Second reader"},
		{src.Case.AdjudicatorID, src.Adjudicator, "Third reader"}, {src.Case.SupervisorID, src.Supervisor, "Supervisor"},
	} {
		if p.id != nil && p.n != nil && slices.Contains(answer, *p.id) {
			all = append(all, author{p.n, p.role, slices.Contains(answer[:texts], *p.id), *p.id == src.Report.SignedBy})
			named = append(named, *p.id)
		}
	}
	for _, r := range src.History {
		if n := src.others[r.SignedBy]; n != nil && !slices.Contains(named, r.SignedBy) {
			all = append(all, author{n, "Supervisor", slices.Contains(answer[:texts], r.SignedBy), false})
			named = append(named, r.SignedBy)
		}
	}
	return all
}

// conclusion is the impression, before it what is urgent, and after it how the
// two readings differ and what to do: many EHRs show a report's conclusion and
// nothing else of it.
func conclusion(src reportSources) string {
	var parts []string
	if a := src.Report.Actionable; workflow.Pressing(a) {
		parts = append(parts, actionableCodes[a].Display+".")
	}
	parts = append(parts, src.Report.Opinion.Impression)
	if src.Report.Difference != "" && src.Report.Level != workflow.LevelNone {
		parts = append(parts, "Compared with the original report: "+src.Report.Difference)
	}
	if to := src.Report.Opinion.Recommendation; to != "" {
		parts = append(parts, "Recommendation: "+to)
	}
	if down := src.Case.Exam.AboutReaders(); down != "" {
		parts = append(parts, down)
	}
	for _, f := range findingLines(src) {
		parts = append(parts, f.Heading+". "+f.Text)
	}
	for _, a := range amendments(src) {
		parts = append(parts, a.Heading+": "+a.Text)
	}
	return strings.Join(parts, "\n\n")
}

// shownAmendment is an amendment as readers of the report see it.
type shownAmendment struct {
	No      int
	Heading string
	Text    string
	At      time.Time
}

// amendments are those of all versions up to the one rendered: an addendum
// never pushes an earlier one out of the report.
func amendments(src reportSources) []shownAmendment {
	words := map[string]string{"addition": "Addendum", "correction": "Correction", "amendment": "Amendment"}
	var out []shownAmendment
	for _, r := range append(append([]workflow.Report{}, src.History...), src.Report) {
		if r.Amendment == nil || words[r.Amendment.Kind] == "" { // "error" adds no text
			continue
		}
		heading := words[r.Amendment.Kind] + " of " + r.SignedAt.UTC().Format("2 January 2006, 15:04 MST")
		out = append(out, shownAmendment{No: r.No, Heading: heading, Text: r.Amendment.Text, At: r.SignedAt})
	}
	return out
}

// resourceReference refers to a resource that is kept here, with its name.
func resourceReference(n *Node) *Node {
	return refer(n.Type()+"/"+n.Text("id"), n.Type(), displayOf(n))
}

// displayOf is a name for people: of an Organization, or of a Practitioner.
func displayOf(n *Node) string {
	if n.Get("name").IsString() {
		return n.Text("name")
	}
	return humanName(n)
}

// derivedID is the id of something that a case has one of, the same in every
// version, on every replica and after every replay.
func derivedID(c workflow.Case, slot string) string {
	return uuid.NewSHA1(c.CaseID, []byte(slot)).String()
}

func releaseID(c workflow.Case, no int) string {
	return c.CaseID.String() + "." + strconv.Itoa(no)
}
