package fhir

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/overread/overread/workflow"
)

// exam is what is read, for matching and for the report. The name and code are
// those of the original report, else of what the order or the study calls it.
func (d *dossier) exam(codes ValueSet) workflow.Exam {
	e := workflow.Exam{
		Display:      d.study.Text("description"),
		BodySite:     bodySite(d.study.Node),
		Laterality:   seriesLaterality(d.study.Node),
		Setting:      d.setting,
		Jurisdiction: d.jurisdiction,
		PatientAge:   -1,
	}
	for _, c := range d.order.Each("reasonCode", "coding") {
		if c.Text("code") != "" {
			e.Reasons = append(e.Reasons, c.Text("system")+"|"+c.Text("code"))
		}
	}
	for _, prior := range d.priors {
		e.Priors = append(e.Priors, "ImagingStudy/"+prior.id())
	}
	e.Asked = protocolAsked(d.order)
	if c := d.examConcept(codes); c != nil {
		e.Display = conceptText(c)
		e.CodeSystem, e.Code = c.Text("coding", "system"), c.Text("coding", "code")
	}
	if all := modalities(d.study.Node); len(all) > 0 {
		e.Modality = all[0]
	} else {
		e.Modality = orderModality(d.order)
	}
	if e.BodySite == "" {
		e.BodySite = conceptText(d.order.Get("bodySite"))
	}
	if e.Laterality == "" {
		e.Laterality = laterality(d.order.Get("bodySite"))
	}
	e.Ordered = orderedSite(d.order)
	if e.Ordered != nil {
		e.Ordered.Exams = orderedExams(d.order, codes)
		asked := questionOf(d.order, d.task)
		e.Question = &asked
	}
	if at, ok := moment(d.study.Text("started")); ok {
		e.StudyStarted = &at
		e.PatientAge = yearsBetween(d.patient.Text("birthDate"), at)
	}
	return e
}

// orderedSite is which part of the body an order names: by each bodySite, and by the
// side that the name of what is ordered tells ("XR knee left"). Displays of codes do
// not count, which a system may word anew.
func orderedSite(order *Node) *workflow.OrderedSite {
	if order.Type() != "ServiceRequest" {
		return nil
	}
	o := &workflow.OrderedSite{Side: laterality(order.Get("bodySite"))}
	for _, site := range order.Each("bodySite") {
		if text := strings.ToLower(strings.TrimSpace(site.Text("text"))); text != "" {
			o.Parts = append(o.Parts, text)
		}
		for _, c := range site.Each("coding") {
			part := c.Text("system") + "|" + c.Text("code")
			if c.Text("code") == "" {
				part = strings.ToLower(c.Text("display"))
			}
			o.Parts = append(o.Parts, part)
		}
	}
	for _, what := range append(order.Each("code"), order.Each("orderDetail")...) {
		if side := laterality(what); side != "" {
			o.Parts = append(o.Parts, "ordered "+side)
		}
	}
	slices.Sort(o.Parts)
	o.Parts = slices.Compact(o.Parts)
	return o
}

// orderedExams is which exam an order names: by codes, whose displays a system may
// word anew, and by words where there is no code.
func orderedExams(order *Node, codes ValueSet) (exams []string) {
	for _, concept := range append(order.Each("code"), order.Each("orderDetail")...) {
		what := without(codes, concept)
		if what == nil || asksProtocol(concept) {
			continue
		}
		coded := false
		for _, c := range what.Each("coding") {
			if c.Text("code") != "" {
				exams, coded = append(exams, c.Text("system")+"|"+c.Text("code")), true
			}
		}
		if text := strings.ToLower(strings.TrimSpace(conceptText(what))); !coded && text != "" {
			exams = append(exams, text)
		}
	}
	slices.Sort(exams)
	return slices.Compact(exams)
}

// examConcept is the first CodeableConcept that names the exam.
func (d *dossier) examConcept(codes ValueSet) *Node {
	named := d.original.Each("code")
	if d.order.Type() == "ServiceRequest" {
		for _, detail := range d.order.Each("orderDetail") {
			if !asksProtocol(detail) {
				named = append(named, detail)
			}
		}
		named = append(named, d.order.Each("code")...)
	}
	for _, c := range append(named, d.study.Each("procedureCode")...) {
		if exam := without(codes, c); exam != nil {
			return exam
		}
	}
	return nil
}

// without is a CodeableConcept less the codings of a set: an order may say in
// one breath what was examined and that it wants a second opinion. It is nil
// when nothing else was said.
func without(codes ValueSet, concept *Node) *Node {
	if !codes.Has(concept) {
		return concept
	}
	var rest []*Node
	for _, c := range concept.Each("coding") {
		if !codes.Has(Object("coding", []*Node{c})) {
			rest = append(rest, c)
		}
	}
	if rest == nil {
		return nil
	}
	return Object("coding", rest)
}

// conceptText is a CodeableConcept, or the first of a list, in words.
func conceptText(concept *Node) string {
	for _, c := range concept.Each() {
		if text := c.Text("text"); text != "" {
			return text
		}
		for _, each := range c.Each("coding") {
			if text := codingText(each); text != "" {
				return text
			}
		}
	}
	return ""
}

func codingText(c *Node) string {
	if text := c.Text("display"); text != "" {
		return text
	}
	return c.Text("code")
}

func number(n *Node) int {
	i, _ := strconv.Atoi(n.Text())
	return i
}

// moment reads a dateTime that has a time; one of a day or less is not a
// moment, and is not made one.
func moment(text string) (time.Time, bool) {
	before, leap := withoutLeap(text)
	at, err := time.Parse(time.RFC3339, before)
	if leap {
		at = at.Add(time.Second)
	}
	return at, err == nil
}

// yearsBetween is an age in full years, -1 where the birth date does not tell.
func yearsBetween(birthDate string, at time.Time) int {
	for _, layout := range []string{time.DateOnly, "2006-01", "2006"} {
		born, err := time.Parse(layout, birthDate)
		if err != nil {
			continue
		}
		years := at.Year() - born.Year()
		if at.YearDay() < born.YearDay() && layout == time.DateOnly {
			years--
		}
		return years
	}
	return -1
}
