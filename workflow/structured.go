package workflow

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
)

// Structured are findings that were given by the sections of a template. They
// say in their own words what the report will say, so that what is sealed can be
// read without the template.
type Structured struct {
	Template    string       `json:"template"` // its name
	Version     int          `json:"version"`  // of the tenant's; 0: the program's
	Sections    []FilledPart `json:"sections,omitempty"`
	Missing     []string     `json:"missing,omitempty"`     // required sections that say nothing, by their titles
	Implausible []string     `json:"implausible,omitempty"` // measurements that are outside of what is plausible, by their titles
	Comparison  bool         `json:"comparisonRequired,omitempty"`
}

// FilledPart is one section that says something.
type FilledPart struct {
	ID           string         `json:"id"`
	Title        string         `json:"title"`
	Site         *Coding        `json:"site,omitempty"`
	Normal       string         `json:"normal,omitempty"` // the words for it, where it is
	Findings     []FilledChoice `json:"findings,omitempty"`
	Text         string         `json:"text,omitempty"`
	Measurements []Measured     `json:"measurements,omitempty"`
}

// FilledChoice is a finding that was chosen.
type FilledChoice struct {
	ID   string  `json:"id"`
	Text string  `json:"text"`
	Code *Coding `json:"code,omitempty"`
}

// Measured is a measurement. Value is a decimal number, as it was given: 8.0 is
// not 8.
type Measured struct {
	ID    string  `json:"id"`
	Title string  `json:"title"`
	Value string  `json:"value"`
	Unit  Unit    `json:"unit"`
	Code  *Coding `json:"code,omitempty"`
	Site  *Coding `json:"site,omitempty"`
}

// Answer is what the reader says to one item of the form of a template, by its
// link id.
type Answer struct {
	LinkID string
	Values []string // codes of findings, text, "true"; of a measurement its number
	Unit   string   // of a measurement
}

// Fill makes findings of the answers to a template's form. It returns a fault of
// kind Value that names the item which is not of the template, or has an answer
// that it does not take. What is only not complete yet is noted in the result, and
// refused when the opinion is sealed.
func (t Template) Fill(name string, version int, answers []Answer) (Structured, error) {
	filled := Structured{Template: name, Version: version, Comparison: t.Comparison}
	byID := map[string]Answer{}
	for _, a := range answers {
		if _, twice := byID[a.LinkID]; twice {
			return filled, wrongItem(a.LinkID, "is answered twice")
		}
		byID[a.LinkID] = a
	}
	for _, s := range t.Sections {
		part := FilledPart{ID: string(s.ID), Title: s.Title, Site: s.Site.coding()}
		if err := part.fill(s, byID); err != nil {
			return filled, err
		}
		for _, m := range part.Measurements {
			i := slices.IndexFunc(s.Measurements, func(row TemplateMeasurement) bool { return string(row.ID) == m.ID })
			if !s.Measurements[i].plausible(m.Value) {
				filled.Implausible = append(filled.Implausible, s.Measurements[i].bounds())
			}
		}
		switch said := part.says(); {
		case said:
			filled.Sections = append(filled.Sections, part)
		case s.Required:
			filled.Missing = append(filled.Missing, s.Title)
		}
	}
	for _, a := range answers {
		if _, left := byID[a.LinkID]; left {
			return filled, wrongItem(a.LinkID, "is no item of the template "+name)
		}
	}
	return filled, nil
}

func wrongItem(linkID, what string) error {
	return fault.At(fault.Value, "QuestionnaireResponse.item.where(linkId = '"+linkID+"')", "the item %s %s", linkID, what)
}

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// fill takes the answers of one section out of those that are left.
func (p *FilledPart) fill(s TemplateSection, answers map[string]Answer) error {
	take := func(id string) []string {
		a := answers[id]
		delete(answers, id)
		return a.Values
	}
	switch normal := take(s.NormalID()); {
	case len(normal) == 0 || normal[0] == "false":
	case s.Normal == "":
		return wrongItem(s.NormalID(), "is no item of the template")
	default:
		p.Normal = s.Normal
	}
	for _, chosen := range take(s.FindingsID()) {
		i := slices.IndexFunc(s.Findings, func(f TemplateFinding) bool { return string(f.ID) == chosen })
		if i < 0 {
			return wrongItem(s.FindingsID(), "has no such choice; GET Task/{id}/$template shows those there are")
		}
		f := s.Findings[i]
		p.Findings = append(p.Findings, FilledChoice{ID: string(f.ID), Text: f.Text, Code: f.Code.coding()})
	}
	if text := take(s.TextID()); len(text) > 0 {
		p.Text = strings.TrimSpace(strings.Join(text, "\n"))
	}
	if p.Normal != "" && len(p.Findings) > 0 {
		return wrongItem(s.NormalID(), "says that the section is normal, and there are findings")
	}
	for _, m := range s.Measurements {
		id := s.MeasurementID(m)
		unit := answers[id].Unit
		value := take(id)
		if len(value) == 0 {
			continue
		}
		if len(value) > 1 || len(value[0]) > 30 || !decimal.MatchString(value[0]) {
			return wrongItem(id, "must be one number")
		}
		if unit != "" && unit != string(m.Unit) {
			return wrongItem(id, fmt.Sprintf("must be in %s (UCUM)", m.Unit))
		}
		site := m.Site
		if site == nil {
			site = s.Site
		}
		p.Measurements = append(p.Measurements, Measured{ID: string(m.ID), Title: m.Title, Value: value[0], Unit: m.Unit, Code: m.Code.coding(), Site: site.coding()})
	}
	return nil
}

func (p FilledPart) says() bool {
	return p.Normal != "" || p.Text != "" || len(p.Findings) > 0 || len(p.Measurements) > 0
}

func (m TemplateMeasurement) plausible(value string) bool {
	v, ok := new(big.Rat).SetString(value)
	return ok && (m.Signed || v.Cmp(big.NewRat(int64(m.Low), 1)) >= 0) && (m.High == 0 || v.Cmp(big.NewRat(int64(m.High), 1)) <= 0)
}

// bounds says what is plausible, and nothing of what was measured.
func (m TemplateMeasurement) bounds() string {
	switch {
	case m.Signed:
		return strings.TrimSpace(fmt.Sprintf("%s (%d %s at most)", m.Title, m.High, m.Unit.Name()))
	case m.High == 0:
		return strings.TrimSpace(fmt.Sprintf("%s (%d %s or more)", m.Title, m.Low, m.Unit.Name()))
	}
	return fmt.Sprintf("%s (%s)", m.Title, strings.TrimSpace(fmt.Sprintf("%d to %d %s", m.Low, m.High, m.Unit.Name())))
}

// Text is what the report says, a paragraph for each section.
func (s *Structured) Text() string {
	if s == nil {
		return ""
	}
	var lines []string
	for _, p := range s.Sections {
		lines = append(lines, p.Title+": "+p.text())
	}
	return strings.Join(lines, "\n")
}

func (p FilledPart) text() string {
	var parts []string
	if p.Normal != "" {
		parts = append(parts, sentence(p.Normal))
	}
	for _, f := range p.Findings {
		parts = append(parts, sentence(f.Text))
	}
	if p.Text != "" {
		parts = append(parts, sentence(p.Text))
	}
	for _, m := range p.Measurements {
		parts = append(parts, sentence(strings.TrimSpace(m.Title+": "+m.Value+" "+m.Unit.Name())))
	}
	return strings.Join(parts, " ")
}

func sentence(text string) string {
	if text = strings.TrimSpace(text); text == "" || strings.ContainsAny(text[len(text)-1:], ".!?:") {
		return text
	}
	return text + "."
}

// AllFindings are the findings as the report says them: by the sections of the
// template, and the free text after them.
func (o Opinion) AllFindings() string {
	return strings.TrimSpace(strings.TrimSpace(o.Structured.Text()) + "\n" + strings.TrimSpace(o.Findings))
}

// incomplete says what the template wants and the opinion does not have; "" for
// nothing.
func (o Opinion) incomplete() string {
	s := o.Structured
	switch {
	case s == nil:
		return ""
	case len(s.Missing) > 0:
		return "the template wants something said of: " + strings.Join(s.Missing, ", ")
	case len(s.Implausible) > 0:
		return "these measurements are outside of what is plausible: " + strings.Join(s.Implausible, ", ")
	case s.Comparison && strings.TrimSpace(o.Comparison) == "":
		return "the template wants the comparison: with which examinations, or that there are none"
	}
	return ""
}
