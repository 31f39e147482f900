package workflow

import (
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Template is how a report on an exam is laid out: regions in reading order with
// the findings that are chosen there, what each measures, and the words for what is
// normal. It is data: some are in the program (workflow/template), a tenant has
// its own, in versions. Free text is welcome in every section and beside them.
type Template struct {
	Title      string            `json:"title"`
	When       TriageWhen        `json:"when"`
	Comparison bool              `json:"comparisonRequired,omitempty"`
	Sections   []TemplateSection `json:"sections"`
}

// TemplateSection is a region of the body, or another part of the findings.
type TemplateSection struct {
	ID           ItemID                `json:"id"`
	Title        string                `json:"title"`
	Site         *TemplateCode         `json:"site,omitempty"`
	Required     bool                  `json:"required,omitempty"`
	Normal       string                `json:"normal,omitempty"`
	Findings     []TemplateFinding     `json:"findings,omitempty"`
	Measurements []TemplateMeasurement `json:"measurements,omitempty"`
}

// TemplateFinding is one that can be chosen.
type TemplateFinding struct {
	ID   ItemID        `json:"id"`
	Text string        `json:"text"`
	Code *TemplateCode `json:"code,omitempty"`
}

// TemplateMeasurement is a number with its unit. Low and High are what is
// plausible, not what is normal; High 0 is without end.
type TemplateMeasurement struct {
	ID     ItemID        `json:"id"`
	Title  string        `json:"title"`
	Unit   Unit          `json:"unit"`
	Low    int           `json:"low,omitempty"`
	High   int           `json:"high,omitempty"`
	Signed bool          `json:"signed,omitempty"` // it may be below zero: then Low is not looked at
	Code   *TemplateCode `json:"code,omitempty"`
	Site   *TemplateCode `json:"site,omitempty"`
}

// TemplateCode is a code of a terminology.
type TemplateCode struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

// ItemID names a part of a template.
type ItemID string

// Unit is a unit of UCUM.
type Unit string

// units are those that a measurement of images may have, with their names for
// people (UCUM 2.1, case sensitive).
var units = []struct {
	code Unit
	name string
}{
	{"mm", "mm"}, {"cm", "cm"}, {"mm2", "mm²"}, {"cm2", "cm²"}, {"mm3", "mm³"}, {"cm3", "cm³"}, {"mL", "mL"}, {"[hnsf'U]", "HU"}, {"%", "%"}, {"1", ""},
	{"deg", "°"}, {"s", "s"}, {"min", "min"}, {"mm2/s", "mm²/s"}, {"10*-6.mm2/s", "10⁻⁶ mm²/s"}, {"10*-3.mm2/s", "10⁻³ mm²/s"}, {"ng/mL", "ng/mL"}, {"ng/mL/cm3", "ng/mL/cm³"},
	{"cm/s", "cm/s"}, {"m/s", "m/s"}, {"kPa", "kPa"}, {"mg/mL", "mg/mL"}, {"[beth'U]", "Bethesda units"}, {"a", "years"}, {"wk", "weeks"}, {"d", "days"}, {"{score}", ""},
}

// Name is the unit for people, "" for one that is not written.
func (u Unit) Name() string {
	for _, row := range units {
		if row.code == u {
			return row.name
		}
	}
	return string(u)
}

func unitCodes() (codes []string) {
	for _, row := range units {
		codes = append(codes, string(row.code))
	}
	return codes
}

// templateSettings are the rows of the table of settings (policyschema.go) for
// templates.
var templateSettings = map[string]setting{
	"Template.title":              {doc: "What the template is for, for people.", must: true},
	"Template.when":               {doc: "For which exams: the conditions of a rule of triage, which must all hold. The first template that fits is taken, a tenant's before those of the program.", must: true},
	"Template.comparisonRequired": {doc: "The report must say with what it was compared."},
	"Template.sections":           {doc: "The parts of the findings, in reading order.", least: 1, most: 60, must: true},

	"TemplateSection.id":           {doc: "Names the section within the template.", must: true},
	"TemplateSection.title":        {doc: "Its heading in the report.", must: true},
	"TemplateSection.site":         {doc: "The region of the body."},
	"TemplateSection.required":     {doc: "It must say something before the opinion is locked."},
	"TemplateSection.normal":       {doc: "What the report says where the reader finds it normal."},
	"TemplateSection.findings":     {doc: "What can be chosen.", most: 60},
	"TemplateSection.measurements": {doc: "What is measured.", most: 30},

	"TemplateFinding.id":   {doc: "Names the finding within the section.", must: true},
	"TemplateFinding.text": {doc: "What the report says.", must: true},
	"TemplateFinding.code": {doc: "What it is in a terminology."},

	"TemplateMeasurement.id":     {doc: "Names the measurement within the section.", must: true},
	"TemplateMeasurement.title":  {doc: "What is measured, for people.", must: true},
	"TemplateMeasurement.unit":   {doc: "The unit, of UCUM.", oneOf: unitCodes(), must: true},
	"TemplateMeasurement.low":    {doc: "The least that is plausible.", most: 1000000},
	"TemplateMeasurement.high":   {doc: "The most that is plausible; 0: without end.", most: 1000000},
	"TemplateMeasurement.signed": {doc: "It may be below zero; then low is not looked at."},
	"TemplateMeasurement.code":   {doc: "What is measured in a terminology, LOINC where it has it."},
	"TemplateMeasurement.site":   {doc: "Where, if that is not the section's."},

	"TemplateCode.system":  {doc: "The address of the code system.", must: true},
	"TemplateCode.code":    {doc: "The code.", must: true},
	"TemplateCode.display": {doc: "What it means.", must: true},
}

// TemplateSchemaURL names the schema of templates.
const TemplateSchemaURL = "https://overread.org/schema/template.json"

var templateSchema = sync.OnceValues(func() (*jsonschema.Schema, []byte) {
	return compileSchema(TemplateSchemaURL, "Template of a report of Overread", "How a report on an exam is laid out: sections with findings, measurements and the words for what is normal.",
		schemaOf(reflect.TypeFor[Template](), setting{}, nil))
})

// TemplateSchema is the JSON Schema (draft 2020-12) of templates.
func TemplateSchema() []byte {
	_, text := templateSchema()
	return slices.Clone(text)
}

// TemplateDocument is a template as somebody has written it: JSON or YAML.
type TemplateDocument struct {
	Text     []byte
	JSON     []byte
	SHA256   [sha256.Size]byte // of the text
	Template Template
}

// ReadTemplate reads a template. The error is a PolicyErrors with everything
// that is wrong, each with its path and line.
func ReadTemplate(text []byte) (TemplateDocument, error) {
	d := TemplateDocument{Text: text, SHA256: sha256.Sum256(text)}
	tree, lines, faults := readDocument(text)
	if faults == nil {
		schema, _ := templateSchema()
		faults = judgeBy(schema, tree)
	}
	if faults == nil {
		var err error
		if d.JSON, _, err = canonical(tree); err != nil {
			return d, err
		}
		if err := json.Unmarshal(d.JSON, &d.Template); err != nil {
			return d, PolicyErrors{{Text: err.Error()}}
		}
		faults = d.Template.faults()
	}
	if faults != nil {
		return d, lines.place(faults)
	}
	return d, nil
}

// faults is what is wrong with a template that fits the schema.
func (t Template) faults() (wrong PolicyErrors) {
	twice := func(seen map[ItemID]bool, id ItemID, path string) {
		if seen[id] {
			wrong = append(wrong, PolicyFault{Path: path + ".id", Text: Phrase("is said twice: %v", id)})
		}
		seen[id] = true
	}
	if reflect.ValueOf(t.When).IsZero() {
		wrong = append(wrong, PolicyFault{Path: "when", Text: Phrase("must say for which exams the template is")})
	}
	sections := map[ItemID]bool{}
	for i, s := range t.Sections {
		at := element("sections", i)
		twice(sections, s.ID, at)
		if s.Normal == "" && s.Required && len(s.Findings) == 0 && len(s.Measurements) == 0 {
			wrong = append(wrong, PolicyFault{Path: at, Text: Phrase("is required, and so must have normal, findings or measurements")})
		}
		findings, measurements := map[ItemID]bool{}, map[ItemID]bool{}
		for j, f := range s.Findings {
			twice(findings, f.ID, element(at+".findings", j))
		}
		for j, m := range s.Measurements {
			path := element(at+".measurements", j)
			twice(measurements, m.ID, path)
			if m.High != 0 && m.High < m.Low {
				wrong = append(wrong, PolicyFault{Path: path + ".high", Text: Phrase("must not be below low (%d)", m.Low)})
			}
		}
	}
	return wrong
}

// Fits tells whether the template is for this exam.
func (t Template) Fits(e Exam, priority string) bool { return t.When.holds(e, priority) }

// NormalID is the link id of the item that says a section is normal, as the form
// has it (SDC Questionnaire.item.linkId).
func (s TemplateSection) NormalID() string { return string(s.ID) + ".normal" }

// FindingsID is the link id of the item with a section's coded findings.
func (s TemplateSection) FindingsID() string { return string(s.ID) + ".findings" }

// TextID is the link id of the item with a section's text.
func (s TemplateSection) TextID() string { return string(s.ID) + ".text" }

// MeasurementID is the link id of a measurement.
func (s TemplateSection) MeasurementID(m TemplateMeasurement) string {
	return strings.Join([]string{string(s.ID), "measure", string(m.ID)}, ".")
}

func (c *TemplateCode) coding() *Coding {
	if c == nil {
		return nil
	}
	return &Coding{System: c.System, Code: c.Code, Display: c.Display}
}
