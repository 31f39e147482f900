package fhir

import (
	"context"
	"encoding/base64"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/bedside"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// patientSummaryServices are the rows of the table of services that give a report to
// the patient in plain words (docs/patient-summary.md).
func patientSummaryServices() []service {
	return []service{
		{name: "patient-summary", id: "report-patient-summary",
			does: "The signed report in plain words for the patient, as a page and as a PDF, where the policy of its case has patientSummary. It quotes what people wrote and says codes in fixed sentences; " +
				"it holds nothing else, and names who has read only where the policy says so. For a token of the patient, and for those who may give it to them.",
			types: []string{"DiagnosticReport"}, instance: true, by: []access.Role{access.Placer, access.Coordinator, access.Director}, scope: reading,
			takes: []parameter{{Name: "language", Type: "code", Codes: letter.PlainLanguages(), Doc: "In which it is; English where it is left out."}},
			tells: []parameter{
				{Name: "version", Type: "integer", Min: 1, Doc: "Of the report that it was made from."},
				{Name: "document", Type: "Attachment", Min: 1, Many: true, Doc: "The summary: text/html and application/pdf."},
			},
			handle: (*Server).patientSummary},
	}
}

// patientSummary is DiagnosticReport/{id}/$patient-summary.
func (s *Server) patientSummary(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		id := c.Param("id")
		if !idPattern.MatchString(id) {
			return nil, notFound()
		}
		if _, err := s.store.Visible(ctx, tx, actor, "DiagnosticReport", id); err != nil {
			return nil, err
		}
		p, err := s.plainly(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		p.Language = "en"
		if asked := given(in, "language").Text(); asked != "" {
			if !slices.Contains(letter.PlainLanguages(), asked) {
				return nil, fault.At(fault.Value, "Parameters.parameter.where(name = 'language')", "there is no summary in this language; there are: %v", letter.PlainLanguages())
			}
			p.Language = asked
		}
		pdf, err := p.PDF()
		if err != nil {
			return nil, err
		}
		told := []*Node{Object("name", "version", "valueInteger", p.Number)}
		for _, form := range []bedside.Form{{ContentType: "text/html", Content: p.HTML()}, {ContentType: "application/pdf", Content: pdf}} {
			told = append(told, Object("name", "document", "valueAttachment", Object(
				"contentType", form.ContentType, "language", p.Language, "data", base64.StdEncoding.EncodeToString(form.Content), "title", "Summary for the patient", "creation", instant(p.Signed))))
		}
		return Object("resourceType", "Parameters", "parameter", told), nil
	})
}

// plainly is the signed report of a case in plain words. It refuses (BusinessRule)
// what is not signed, was taken back, or is of a case whose policy has none.
func (s *Server) plainly(ctx context.Context, tx pgx.Tx, report string) (p letter.Plain, err error) {
	id, err := caseOf(ctx, tx, found{Object("resourceType", "DiagnosticReport", "id", report), 1}, "DiagnosticReport/"+report)
	if err != nil {
		return p, err
	}
	if id == uuid.Nil {
		return p, fault.New(fault.BusinessRule, "this is no report of a second opinion of ours")
	}
	c, err := workflow.CaseByIDTx(ctx, tx, id)
	if err != nil {
		return p, err
	}
	reports, err := workflow.ReportsTx(ctx, tx, c.CaseID)
	switch {
	case err != nil:
		return p, err
	case c.Policy.PatientSummary == nil:
		return p, fault.New(fault.BusinessRule, "the policy of this case has no summary for the patient (patientSummary)")
	case len(reports) == 0 || reports[len(reports)-1].Status == "entered-in-error":
		return p, fault.New(fault.BusinessRule, "there is no signed report in force, so there is no summary of it")
	}
	src, err := s.reportSources(ctx, tx, c)
	if err != nil {
		return p, err
	}
	last := len(reports) - 1
	src.Report, src.History = reports[last], reports[:last]
	if err := s.loadSigners(ctx, tx, &src); err != nil {
		return p, err
	}
	l := letterOf(src, "en")
	p = letter.Plain{
		From: l.From, Name: humanName(src.Patient), Born: src.Patient.Text("birthDate"), Exam: l.Exam, Made: effective(src),
		Number: l.Number, Changed: last > 0, Signed: src.Report.SignedAt,
		Question: l.Question, Agreement: l.Agreement, Management: l.Management, Actionable: l.Actionable,
		Difference: l.Difference, Impression: src.Report.Opinion.Impression, Recommendation: l.Recommendation,
		Requester: src.Requester.Text("display"), Contact: c.Policy.PatientSummary.Contact, Zone: l.Zone, Paper: l.Paper,
	}
	if c.Policy.PatientSummary.NameReaders {
		for _, s := range l.Signatures {
			p.Readers = append(p.Readers, s.Name)
		}
	}
	return p, nil
}

// PatientSummary is the summary of a signed report of the actor's patient, as a form
// (html or pdf) that can be printed and given to them.
func (s *Server) PatientSummary(ctx context.Context, actor access.Actor, task, language, form string) (bedside.Form, error) {
	contentType, ok := map[string]string{"html": "text/html", "pdf": "application/pdf"}[form]
	if !ok {
		return bedside.Form{}, notFound()
	}
	d := s.desk(actor)
	c, _, err := s.opinionSeen(ctx, d, actor, task)
	if err == nil && c.ReportID == nil {
		err = notFound()
	}
	if err != nil {
		return bedside.Form{}, err
	}
	told, err := d.get(ctx, "DiagnosticReport/"+*c.ReportID+"/$patient-summary", url.Values{"language": {language}})
	if err != nil {
		return bedside.Form{}, err
	}
	for _, document := range allGiven(told, "document") {
		if document.Text("contentType") == contentType {
			content, err := binaryContent(document)
			return bedside.Form{ContentType: contentType, Content: content}, err
		}
	}
	return bedside.Form{}, notFound()
}
