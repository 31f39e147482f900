package fhir

import (
	"context"
	"slices"
	"strconv"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// theForm is the template of the exam, with the answers of the draft. Who goes on with
// a draft has the version of the template by which it was begun.
func (p *readingPage) theForm(ctx context.Context) error {
	if !p.page.May["draft"] || p.page.Stage == screen.Claimable || p.page.Stage == screen.Waiting {
		return nil
	}
	v, err := workflow.CaseTemplateTx(ctx, p.tx, p.c)
	if begun := p.page.Draft.Structured; begun != nil {
		v, err = workflow.TemplateVersionTx(ctx, p.tx, p.c.TenantID, begun.Template, begun.Version)
	}
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p.page.Form = formOf(v, p.page.Draft.Structured)
	return nil
}

func formOf(v workflow.TemplateVersion, answered *workflow.Structured) *screen.Form {
	form := &screen.Form{Questionnaire: questionnaires + v.Name + "|" + strconv.Itoa(v.Version), Title: v.Template.Title, Comparison: v.Template.Comparison}
	for _, s := range v.Template.Sections {
		var given workflow.FilledPart
		if answered != nil {
			if at := slices.IndexFunc(answered.Sections, func(f workflow.FilledPart) bool { return f.ID == string(s.ID) }); at >= 0 {
				given = answered.Sections[at]
			}
		}
		row := screen.FormSection{ID: string(s.ID), Title: s.Title, Normal: s.Normal, Required: s.Required, IsNormal: given.Normal != "",
			NormalID: s.NormalID(), ChoiceID: s.FindingsID(), TextID: s.TextID(), Text: given.Text}
		for _, f := range s.Findings {
			row.Choices = append(row.Choices, screen.FormChoice{Code: string(f.ID), Text: f.Text,
				Chosen: slices.ContainsFunc(given.Findings, func(c workflow.FilledChoice) bool { return c.ID == string(f.ID) })})
		}
		for _, m := range s.Measurements {
			measure := screen.FormMeasure{ID: s.MeasurementID(m), Title: m.Title, Unit: unitName(m.Unit)}
			if at := slices.IndexFunc(given.Measurements, func(x workflow.Measured) bool { return x.ID == string(m.ID) }); at >= 0 {
				measure.Value = given.Measurements[at].Value
			}
			row.Measures = append(row.Measures, measure)
		}
		form.Sections = append(form.Sections, row)
	}
	return form
}
