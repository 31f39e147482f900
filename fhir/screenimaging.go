package fhir

import (
	"context"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// What a page of a case tells of examinations: the study, those of before, and the
// report that is read again.

// mostPriors is how many examinations of before are listed.
const mostPriors = 20

func (p *readingPage) theStudy(ctx context.Context) error {
	study, err := p.look(ctx, "ImagingStudy", p.c.StudyID)
	if study == nil || err != nil {
		return err
	}
	p.study = study.Text("id")
	add := func(label, value string) {
		if strings.TrimSpace(value) != "" {
			p.page.Study = append(p.page.Study, screen.Line{Label: label, Value: strings.TrimSpace(value)})
		}
	}
	add("Description", study.Text("description"))
	add("Made on", dayWritten(study.Text("started")))
	add("Modality", strings.Join(modalities(study), ", "))
	add("Body part", bodySite(study))
	p.theSide(seriesLaterality(study))
	add("Series", strconv.Itoa(len(study.Each("series"))))
	add("Images", study.Text("numberOfInstances"))
	return nil
}

// theSide says of which side the images are and which one was ordered. Where they differ, and
// the coordinator has settled that, whoever reads is told; without the reason, which may
// tell of the original.
func (p *readingPage) theSide(images string) {
	ordered := ""
	if site := p.c.Exam.Ordered; site != nil {
		ordered = site.Side
	}
	for _, side := range []struct{ label, value string }{{"Side of the images", images}, {"Side that was ordered", ordered}} {
		if side.value != "" {
			p.page.Study = append(p.page.Study, screen.Line{Label: side.label, Value: side.value})
		}
	}
	if p.c.SetAside("laterality-mismatch") || p.c.SetAside("pacs-laterality-mismatch") {
		p.page.Notices = append(p.page.Notices, workflow.Phrase("The order and the images name different sides. The coordinator has settled it: make sure of which side you write."))
	}
}

// dayWritten is the day of a FHIR date or dateTime, of whatever precision, which a page writes
// as its language has it.
func dayWritten(text string) string { return text[:min(len(text), len("2006-01-02"))] }

// examined is when an examination was made, or else reported; zero where neither is told.
func (p *readingPage) examined(n *Node) (on time.Time) {
	for _, at := range []string{n.Text("started"), n.Text("effectiveDateTime"), n.Text("effectivePeriod", "start"), n.Text("issued")} {
		if on := momentOf(at, p.page.Zone); on != nil {
			return *on
		}
	}
	return on
}

// ofPatient finds the patient's resources of a type, as a search of theirs would.
func (p *readingPage) ofPatient(ctx context.Context, typ string) ([]*Node, error) {
	b := &sqlBuilder{args: map[string]any{"type": typ, "patient": *p.c.PatientID, "most": mostPriors}}
	b.visible(p.actor, access.Search, typ)
	rows, err := collect(p.tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource r
		WHERE type = @type AND NOT deleted AND (type, id) IN (
			SELECT f.type, f.id FROM reference_search f WHERE f.target_type = 'Patient' AND f.target_id = @patient AND f.type = @type)`+b.conditions()+`
		ORDER BY last_updated DESC
		LIMIT @most`, b.args))
	var all []*Node
	for _, r := range rows {
		n, err := Parse(r.Body, Limits{})
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, err
}

// theOriginal is the report that is read again, once it may be seen, beside the opinion
// in force.
func (p *readingPage) theOriginal(ctx context.Context) error {
	if p.page.Hidden || p.page.Stage == screen.Waiting || p.page.Stage == screen.Claimable || p.page.Blinded && p.page.Stage == screen.Locked {
		return nil
	}
	report, err := p.look(ctx, "DiagnosticReport", p.c.OriginalReportID)
	if err != nil {
		return err
	}
	if report == nil && p.c.OriginalReportID == nil && p.order != nil { // the order contains it
		for _, inner := range p.order.Each("contained") {
			if inner.Type() == "DiagnosticReport" {
				report = inner
			}
		}
	}
	if report == nil {
		return nil
	}
	o := screen.Original{Title: conceptText(report.Get("code")), Status: report.Text("status")}
	if on := momentOf(report.Text("issued"), p.page.Zone); on != nil {
		o.On = *on
	}
	for _, by := range append(report.Each("resultsInterpreter"), report.Each("performer")...) {
		name := by.Text("display")
		if typ, id, ok := strings.Cut(by.Text("reference"), "/"); name == "" && ok {
			who, err := p.look(ctx, typ, &id)
			if err != nil {
				return err
			}
			name = displayOf(who)
		}
		if name != "" {
			o.By = name
			break
		}
	}
	if o.Text, o.Files, err = p.reportText(ctx, report); err != nil {
		return err
	}
	p.page.Original = append(p.page.Original, o)
	for _, own := range slices.Backward(p.page.Sealed) {
		if own.InForce || p.c.OpinionNo == nil {
			p.page.Compared = []screen.Pair{markedPair("", o.Text, strings.TrimSpace(own.Findings+"\n\n"+own.Content.Impression))}
			break
		}
	}
	return nil
}

// markedPair is two texts with what only one of them says.
func markedPair(title, left, right string) screen.Pair {
	pair := screen.Pair{Title: title}
	pair.Left, pair.Right = workflow.SideBySide(left, right)
	return pair
}

// reportText is what a report says in words: its results and conclusion, else its
// forms that are text, else its narrative; and the types of the forms that are not.
func (p *readingPage) reportText(ctx context.Context, report *Node) (text string, files []string, err error) {
	parts, files, err := p.reportParts(ctx, report)
	var all []string
	for _, part := range parts {
		if part.Label != "" {
			part.Value = part.Label + ": " + part.Value
		}
		all = append(all, part.Value)
	}
	return strings.Join(all, "\n\n"), files, err
}

// partCalled is what a result of a report is called: by the word of a report's heading
// where it has the code of one.
func partCalled(o *Node) string {
	for _, s := range sections {
		if hasCode(o.Get("code"), s.code.System, s.code.Code) {
			return capitalised(s.slot)
		}
	}
	return conceptText(o.Get("code"))
}

// reportParts are what a report says, each with what it is called.
func (p *readingPage) reportParts(ctx context.Context, report *Node) (parts []screen.Line, files []string, err error) {
	add := func(label, said string) {
		if said = strings.TrimSpace(said); said != "" && !slices.Contains(parts, screen.Line{Label: label, Value: said}) {
			parts = append(parts, screen.Line{Label: label, Value: said})
		}
	}
	for _, ref := range report.Each("result") {
		typ, id, ok := strings.Cut(ref.Text("reference"), "/")
		if !ok || typ != "Observation" {
			continue
		}
		o, err := p.look(ctx, typ, &id)
		if err != nil {
			return nil, nil, err
		}
		if value := valueText(o); value != "" {
			add(partCalled(o), value)
		}
	}
	add("", report.Text("conclusion"))
	for _, form := range report.Each("presentedForm") {
		kind := mediaType(form.Text("contentType"))
		content, err := binaryContent(form)
		switch {
		case err != nil || len(content) == 0:
		case kind == "text/plain" && len(parts) == 0:
			add("", string(content))
		case (kind == "text/html" || kind == "application/xhtml+xml") && len(parts) == 0:
			add("", wordsOf(string(content)))
		}
		if kind != "text/plain" && kind != "text/html" && kind != "" {
			files = append(files, kind)
		}
	}
	if len(parts) == 0 {
		add("", wordsOf(report.Text("text", "div")))
	}
	return parts, files, nil
}

// valueText is the value of an Observation in words.
func valueText(o *Node) string {
	if o == nil {
		return ""
	}
	if q := o.Get("valueQuantity"); q != nil {
		return strings.TrimSpace(q.Text("value") + " " + q.Text("unit"))
	}
	if text := conceptText(o.Get("valueCodeableConcept")); text != "" {
		return text
	}
	for _, element := range []string{"valueString", "valueInteger", "valueDateTime", "valueBoolean"} {
		if text := o.Text(element); text != "" {
			return text
		}
	}
	return ""
}

// wordsOf are the words of markup, with a line for each block.
func wordsOf(markup string) string {
	decoder := xml.NewDecoder(strings.NewReader(markup))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var words strings.Builder
	skip := 0
	for {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		switch t := token.(type) {
		case xml.StartElement:
			if slices.Contains([]string{"script", "style", "head"}, strings.ToLower(t.Name.Local)) {
				skip++
			}
		case xml.EndElement:
			switch name := strings.ToLower(t.Name.Local); {
			case slices.Contains([]string{"script", "style", "head"}, name):
				skip--
			case slices.Contains([]string{"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4"}, name):
				words.WriteByte('\n')
			default:
				words.WriteByte(' ')
			}
		case xml.CharData:
			if skip <= 0 {
				words.WriteString(strings.Join(strings.Fields(string(t)), " "))
			}
		}
	}
	return strings.TrimSpace(words.String())
}

// momentOf is a FHIR dateTime or instant in a zone, nil for what is none.
func momentOf(text string, zone *time.Location) *time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006-01", "2006"} {
		if at, err := time.Parse(layout, text); err == nil {
			if layout == time.RFC3339Nano {
				at = at.In(zone)
			} else {
				at = time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, zone)
			}
			return &at
		}
	}
	return nil
}
