package fhir

import (
	"crypto/sha1" //nolint:gosec // FHIR R4 Attachment.hash is SHA-1 by definition
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// presentedForm is the report as a person reads it: a page and a letter (IHE
// IMR wants text/html and knows application/pdf), in each language that the policy
// names, the hospital's own first. All say the same (FHIR R4
// diagnosticreport-definitions.html#DiagnosticReport.presentedForm).
func presentedForm(src reportSources) (forms []*Node, err error) {
	for _, language := range src.Case.Policy.Languages() {
		l := letterOf(src, language)
		pdf, err := l.PDF()
		if err != nil {
			return nil, fmt.Errorf("write the letter: %w", err)
		}
		forms = append(forms, attachment(src, language, "text/html", l.HTML()), attachment(src, language, "application/pdf", pdf))
	}
	return forms, nil
}

// attachment carries its content. Size and hash are those of the raw bytes,
// not of the base64 text (FHIR R4 datatypes.html#attachment).
func attachment(src reportSources, language, contentType string, raw []byte) *Node {
	sum := sha1.Sum(raw) //nolint:gosec // see above
	return Object(
		"contentType", contentType,
		"language", language,
		"data", base64.StdEncoding.EncodeToString(raw),
		"size", len(raw),
		"hash", base64.StdEncoding.EncodeToString(sum[:]),
		"title", title(src, language),
		"creation", instant(src.Report.SignedAt),
	)
}

// letterOf lays the report out for paper.
func letterOf(src reportSources, language string) letter.Letter {
	r := src.Report
	l := letter.Letter{
		Language:       language,
		From:           partyOf(src.Service),
		To:             letter.Party{Name: src.Requester.Text("display")},
		Exam:           examName(src.Case.Exam),
		Status:         src.Report.Status,
		Number:         r.No,
		PatientInBrief: patientInBrief(src.Patient, language),
		Patient:        patientLines(src.Patient, language),
		Study:          studyLines(src, language),
		Agreement:      agreementCodes[r.Level].Code,
		Difference:     r.Difference,
		Management:     r.Management,
		Recommendation: r.Opinion.Recommendation,
		Actionable:     r.Actionable,
		Question:       question(src),
		Original:       originalLines(src, language),
		History:        letterHistory(src),
		Changes:        letterChanges(textChanges(src)),
		Signatures:     signatures(src),
		Identifiers:    identifierLines(src),
		Told:           findingsTold(src),
		Zone:           zoneOf(src.Case.Policy),
	}
	for _, s := range []letter.Section{
		{Heading: "Technique", Text: r.Opinion.Technique},
		{Heading: "Comparison", Text: r.Opinion.Comparison},
		{Heading: "Findings", Text: r.Opinion.AllFindings()},
		{Heading: "Impression", Text: r.Opinion.Impression},
	} {
		if s.Text != "" {
			l.Sections = append(l.Sections, s)
		}
	}
	l.SealedAt, l.Unveiled = sealedAt(src), src.Unveiled
	return l
}

// sealedAt is when the opinion that the letter shows was sealed, if that was
// before the original was shown; one that an adjudicator or an amendment
// brought later was not.
func sealedAt(src reportSources) time.Time {
	c, r := src.Case, src.Report
	blind := c.Protocol == workflow.Blinded && r.Level != workflow.LevelNoComparison
	if !blind || c.RevealedAt == nil || !r.LockedAt.Before(*c.RevealedAt) {
		return time.Time{}
	}
	return r.LockedAt
}

func zoneOf(p workflow.Policy) *time.Location {
	zone, err := time.LoadLocation(p.Calendar.Zone)
	if err != nil {
		return time.UTC
	}
	return zone
}

func partyOf(org *Node) letter.Party {
	p := letter.Party{Name: displayOf(org)}
	for _, t := range append(org.Each("address", "text"), org.Each("telecom", "value")...) {
		p.Lines = append(p.Lines, t.Text())
	}
	return p
}

func patientInBrief(patient *Node, language string) string {
	var parts []string
	for _, part := range []string{humanName(patient), letter.Day(language, patient.Text("birthDate")), mrn(patient)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " · ")
}

func patientLines(patient *Node, language string) []letter.Line {
	return []letter.Line{
		{Label: "Name", Value: humanName(patient)},
		{Label: "Born", Value: letter.Day(language, patient.Text("birthDate"))},
		{Label: "Sex", Value: patient.Text("gender")},
		{Label: "Record number", Value: strings.TrimPrefix(mrn(patient), "MRN ")},
	}
}

// humanName is the usual or official name, else the first that is not old.
func humanName(n *Node) string {
	var best *Node
	for _, name := range n.Each("name") {
		use := name.Text("use")
		switch {
		case use == "old" || use == "maiden":
		case best == nil, use == "official", use == "usual" && best.Text("use") != "official":
			best = name
		}
	}
	if text := best.Text("text"); text != "" {
		return text
	}
	var parts []string
	for _, element := range []string{"prefix", "given", "family", "suffix"} {
		for _, p := range best.Each(element) {
			parts = append(parts, p.Text())
		}
	}
	return strings.Join(parts, " ")
}

// mrn is the medical record number, else the first identifier.
func mrn(patient *Node) string {
	for _, id := range patient.Each("identifier") {
		if hasCode(id.Get("type"), v2Identifier, "MR") {
			return "MRN " + id.Text("value")
		}
	}
	return patient.Text("identifier", "value")
}

// siteAndSide is the site with its side, which many sites have in their name.
func siteAndSide(e workflow.Exam) string {
	if strings.Contains(strings.ToLower(e.BodySite), strings.ToLower(e.Laterality)) {
		return e.BodySite
	}
	return e.BodySite + " " + e.Laterality
}

func studyLines(src reportSources, language string) []letter.Line {
	e := src.Case.Exam
	lines := []letter.Line{
		{Label: "Examination", Value: examName(e)},
		{Label: "Made on", Value: letter.Day(language, effective(src))},
		{Label: "Modality", Value: e.Modality},
		{Label: "Body site", Value: siteAndSide(e)},
	}
	if src.Case.Accession != nil {
		lines = append(lines, letter.Line{Label: "Accession number", Value: *src.Case.Accession})
	}
	return lines
}

// question is why the second opinion was asked for, in the words of the order
// and of the placer's Task.
func question(src reportSources) string {
	if read := src.Case.Exam.QuestionRead; read != nil {
		return *read
	}
	return questionOf(src.OrderResource, src.Task)
}

// questionOf is what order and Task say, as far as they are given.
func questionOf(said ...*Node) string {
	var parts []string
	add := func(text string) {
		if text != "" && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	for _, n := range said {
		for _, reason := range n.Each("reasonCode") {
			if reason.Text("text") != "" || !hasCode(reason, v2Referral, "S") {
				add(conceptText(reason))
			}
		}
		for _, note := range n.Each("note", "text") {
			add(note.Text())
		}
	}
	return strings.Join(parts, "\n")
}

func originalLines(src reportSources, language string) []letter.Line {
	if src.Original == nil {
		return nil
	}
	o := src.OriginalReport
	return []letter.Line{
		{Label: "Report", Value: conceptText(o.Get("code"))},
		{Label: "Issued", Value: letter.Day(language, o.Text("issued"))},
		{Label: "Status", Value: o.Text("status")},
		{Label: "Identifier", Value: o.Text("identifier", "value")},
	}
}

func letterHistory(src reportSources) []letter.Version {
	var out []letter.Version
	for _, r := range append(append([]workflow.Report{}, src.History...), src.Report) {
		v := letter.Version{Number: r.No, Status: r.Status, At: r.SignedAt, By: src.names[r.SignedBy]}
		if r.Amendment != nil {
			v.Reason, v.Text = r.Amendment.Reason, r.Amendment.Text
		}
		out = append(out, v)
	}
	return out
}

// signatures are those who answer for this version: the reader by the sealed
// opinion, whoever signed by the signature.
func signatures(src reportSources) []letter.Signature {
	var out []letter.Signature
	for _, p := range src.people() {
		at := src.Report.SignedAt
		if !p.signed && src.Case.LockedAt != nil {
			at = *src.Case.LockedAt
		}
		out = append(out, letter.Signature{Name: displayOf(p.Node), Qualification: conceptText(p.Get("qualification", "code")), Role: p.role, At: at})
	}
	return out
}

func identifierLines(src reportSources) []letter.Line {
	c := src.Case
	lines := []letter.Line{
		{Label: "Our number", Value: c.Number()},
		{Label: "Your order", Value: c.PlacerValue},
	}
	if c.StudyUID != nil {
		lines = append(lines, letter.Line{Label: "Study Instance UID", Value: *c.StudyUID})
	}
	return lines
}
