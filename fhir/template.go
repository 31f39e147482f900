package fhir

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// A template of a report (workflow.Template) is given to clients as a
// Questionnaire, and answered with a QuestionnaireResponse: HL7 Structured Data
// Capture is what form fillers of EHRs can draw, and R4 itself has both resources.
// IHE MRRT, whose templates are HTML, has no answer that is data (docs/templates.md).

func templateServices() []service {
	return []service{{
		name: "template", id: "task-template",
		does: "The template for the exam of a case as a Questionnaire: sections with what can be found there, measurements with their units, and the words for what is normal. " +
			"Its answers go with $draft and $lock. 404 where no template fits: free text is always welcome.",
		types: []string{"Task"}, instance: true, by: []access.Role{access.Reader, access.Adjudicator, access.Supervisor, access.Coordinator}, scope: reading,
		gives: "Questionnaire", handle: (*Server).template,
	}}
}

const (
	urlUnit        = "http://hl7.org/fhir/StructureDefinition/questionnaire-unit"
	urlMinValue    = "http://hl7.org/fhir/StructureDefinition/minValue"
	urlMaxValue    = "http://hl7.org/fhir/StructureDefinition/maxValue"
	questionnaires = Canonical + "/Questionnaire/"
)

// template is Task/{id}/$template.
func (s *Server) template(c echo.Context, actor access.Actor, _ *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		file, err := s.caseSeen(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return nil, err
		}
		v, err := workflow.CaseTemplateTx(ctx, tx, file)
		if err != nil {
			return nil, err
		}
		return questionnaire(v), nil
	})
}

// questionnaire is the form of a template.
func questionnaire(v workflow.TemplateVersion) *Node {
	var items []*Node
	for _, s := range v.Template.Sections {
		items = append(items, sectionItem(s))
	}
	return Object(
		"resourceType", "Questionnaire",
		"id", v.Name,
		"url", questionnaires+v.Name,
		"version", strconv.Itoa(v.Version),
		"name", machineName(v.Name),
		"title", v.Template.Title,
		"status", "active",
		"experimental", false,
		"subjectType", []string{"Patient"},
		"publisher", v.SetBy,
		"item", items,
	)
}

func sectionItem(s workflow.TemplateSection) *Node {
	var inner []*Node
	if s.Normal != "" {
		inner = append(inner, Object("linkId", s.NormalID(), "text", s.Normal, "type", "boolean"))
	}
	if len(s.Findings) > 0 {
		var options []*Node
		for _, f := range s.Findings {
			options = append(options, Object("valueCoding", Object("code", string(f.ID), "display", f.Text)))
		}
		inner = append(inner, Object("linkId", s.FindingsID(), "text", "Findings", "type", "choice", "repeats", true, "answerOption", options))
	}
	for _, m := range s.Measurements {
		unit := Object("url", urlUnit, "valueCoding", Object("system", ucum, "code", string(m.Unit), "display", unitName(m.Unit)))
		extensions := []*Node{unit}
		if !m.Signed {
			extensions = append(extensions, Object("url", urlMinValue, "valueDecimal", Number(strconv.Itoa(m.Low))))
		}
		if m.High > 0 {
			extensions = append(extensions, Object("url", urlMaxValue, "valueDecimal", Number(strconv.Itoa(m.High))))
		}
		item := Object("extension", extensions, "linkId", s.MeasurementID(m), "code", codes(m.Code), "text", m.Title, "type", "decimal")
		inner = append(inner, item)
	}
	inner = append(inner, Object("linkId", s.TextID(), "text", "In words", "type", "text"))
	return Object("linkId", string(s.ID), "code", codes(s.Site), "text", s.Title, "type", "group", "required", s.Required, "item", inner)
}

func codes(c *workflow.TemplateCode) []*Node {
	if c == nil {
		return nil
	}
	return []*Node{coding(c.System, c.Code, c.Display)}
}

// unitName is a unit for people; of one that is not written, its code.
func unitName(u workflow.Unit) string {
	if name := u.Name(); name != "" {
		return name
	}
	return string(u)
}

// fillForm makes structured findings of the answers that came with a request, by
// the version of the template that they name.
func (s *Server) fillForm(ctx context.Context, tx pgx.Tx, c workflow.Case, r *request) error {
	if r.form == nil {
		return nil
	}
	name, version, err := templateNamed(r.form)
	if err != nil {
		return err
	}
	v, err := workflow.TemplateVersionTx(ctx, tx, c.TenantID, name, version)
	if fault.Is(err, fault.NotFound) || err == nil && !v.Template.Fits(c.Exam, c.Priority) {
		return fault.At(fault.Value, "QuestionnaireResponse.questionnaire", "this is no template for the exam of this case; GET Task/{id}/$template gives it, with its url and version")
	}
	if err != nil {
		return err
	}
	answers, err := answersIn(r.form.Each("item"), nil)
	if err != nil {
		return err
	}
	filled, err := v.Template.Fill(v.Name, v.Version, answers)
	r.opinion().Structured = &filled
	return err
}

// templateNamed is the template that a response answers: url|version, and without
// a version the one in force.
func templateNamed(response *Node) (name string, version int, err error) {
	at, said, versioned := strings.Cut(response.Text("questionnaire"), "|")
	name, ours := strings.CutPrefix(at, questionnaires)
	version = -1
	if versioned {
		version, err = strconv.Atoi(said)
	}
	if !ours || err != nil || version < -1 {
		return "", 0, fault.At(fault.Value, "QuestionnaireResponse.questionnaire", "must be the url of the Questionnaire that GET Task/{id}/$template gives, with |version")
	}
	return name, version, nil
}

// answersIn are the answers of items, at whatever depth they stand.
func answersIn(items []*Node, found []workflow.Answer) ([]workflow.Answer, error) {
	for _, item := range items {
		var err error
		if found, err = answersIn(item.Each("item"), found); err != nil {
			return nil, err
		}
		given := item.Each("answer")
		if given == nil {
			continue
		}
		a := workflow.Answer{LinkID: item.Text("linkId")}
		for _, one := range given {
			value, unit, ok := answerValue(one)
			if !ok {
				return nil, fault.At(fault.Value, "QuestionnaireResponse.item.where(linkId = '"+a.LinkID+"')", "an answer is a valueBoolean, valueCoding, valueString, valueDecimal, valueInteger or valueQuantity")
			}
			a.Values, a.Unit = append(a.Values, value), unit
		}
		found = append(found, a)
	}
	return found, nil
}

func answerValue(answer *Node) (value, unit string, ok bool) {
	for _, element := range []string{"valueBoolean", "valueString", "valueDecimal", "valueInteger"} {
		if v := answer.Get(element); v != nil {
			return v.Text(), "", true
		}
	}
	if q := answer.Get("valueQuantity"); q != nil {
		return q.Text("value"), q.Text("code"), true
	}
	c := answer.Get("valueCoding")
	return c.Text("code"), "", c != nil
}

// answersOf are structured findings as they were answered, so that whoever goes on
// with a draft can fill the form again.
func answersOf(s *workflow.Structured) *Node {
	var groups []*Node
	for _, p := range s.Sections {
		var inner []*Node
		add := func(id string, answers ...*Node) {
			inner = append(inner, Object("linkId", p.ID+"."+id, "answer", answers))
		}
		if p.Normal != "" {
			add("normal", Object("valueBoolean", true))
		}
		if len(p.Findings) > 0 {
			var chosen []*Node
			for _, f := range p.Findings {
				chosen = append(chosen, Object("valueCoding", Object("code", f.ID, "display", f.Text)))
			}
			add("findings", chosen...)
		}
		for _, m := range p.Measurements {
			add("measure."+m.ID, Object("valueQuantity", quantity(m)))
		}
		if p.Text != "" {
			add("text", Object("valueString", p.Text))
		}
		groups = append(groups, Object("linkId", p.ID, "text", p.Title, "item", inner))
	}
	return Object("resourceType", "QuestionnaireResponse", "questionnaire", questionnaires+s.Template+"|"+strconv.Itoa(s.Version), "status", "in-progress", "item", groups)
}

func quantity(m workflow.Measured) *Node {
	return Object("value", Number(m.Value), "unit", unitName(m.Unit), "system", ucum, "code", string(m.Unit))
}

// placed is a measurement with its place in the report.
type placed struct {
	slot string
	workflow.Measured
}

// measurementsOf are the measurements of an opinion, in reading order.
func measurementsOf(o workflow.Opinion) (all []placed) {
	if o.Structured == nil {
		return nil
	}
	for _, p := range o.Structured.Sections {
		for _, m := range p.Measurements {
			all = append(all, placed{"measurement-" + p.ID + "-" + m.ID, m})
		}
	}
	return all
}

// measurement is one as an Observation: a quantity of UCUM with its body site.
func measurement(src reportSources, m placed) *Node {
	o := measurementFrame(src, m)
	o.Set("valueQuantity", quantity(m.Measured))
	return o
}

func measurementFrame(src reportSources, m placed) *Node {
	o := observationFrame(src, m.slot, workflow.Coding{})
	code := Object("text", m.Title)
	if m.Code != nil {
		code = Object("coding", []*Node{coding(m.Code.System, m.Code.Code, m.Code.Display)}, "text", m.Title)
	}
	o.Set("code", code)
	if m.Site != nil {
		o.Set("bodySite", concept(m.Site.System, m.Site.Code, m.Site.Display))
	}
	return o
}

// formerMeasurements are those that an earlier version of the report had and this
// one has not, as entered in error.
func formerMeasurements(src reportSources) (out []*Node) {
	var seen []string
	for _, m := range measurementsOf(src.Report.Opinion) {
		seen = append(seen, m.slot)
	}
	for _, r := range src.History {
		for _, m := range measurementsOf(r.Opinion) {
			if !slices.Contains(seen, m.slot) {
				seen = append(seen, m.slot)
				out = append(out, takenBack(measurementFrame(src, m)))
			}
		}
	}
	return out
}
