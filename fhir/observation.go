package fhir

import (
	"strconv"

	"github.com/overread/overread/workflow"
)

// section is one part of the reading that is also an Observation of its own.
type section struct {
	slot string // names the Observation within the case
	code workflow.Coding
	text func(workflow.Opinion) string
}

// sections is the table of what is said in words, in reading order.
var sections = []section{
	{"findings", workflow.Coding{System: loinc, Code: "59776-5", Display: "Procedure findings"},
		workflow.Opinion.AllFindings},
	{"impression", workflow.Coding{System: loinc, Code: "19005-8", Display: "Radiology Imaging study [Impression] (narrative)"},
		func(o workflow.Opinion) string { return o.Impression }},
	{"recommendation", workflow.Coding{System: loinc, Code: "18783-1", Display: "Radiology Study recommendation (narrative)"},
		func(o workflow.Opinion) string { return o.Recommendation }},
}

// agreementCodes say how the two readings relate, in the words of the clinical
// record. The grade behind it (workflow.Grade) is quality work product and is
// never part of any resource.
var agreementCodes = map[workflow.Level]workflow.Coding{
	workflow.LevelNone:         {System: csAgreement, Code: "agreement", Display: "The second reading agrees with the original report"},
	workflow.LevelMinor:        {System: csAgreement, Code: "minor-difference", Display: "The readings differ in a point of lesser importance"},
	workflow.LevelMajor:        {System: csAgreement, Code: "major-difference", Display: "The readings differ in a way that may change management"},
	workflow.LevelNoComparison: {System: csAgreement, Code: "no-comparison", Display: "The second reading could not be compared with an original report"},
}

// managementCodes say what the difference may change for the patient.
var managementCodes = map[string]string{
	"none":      "No change of management",
	"work-up":   "Further work-up",
	"treatment": "Change of treatment",
	"staging":   "Change of staging",
	"referral":  "Referral",
}

// observations are the parts of the report that a machine may want one by one, each with
// the status of what has become of it (observationstatus.go).
func observations(src reportSources) []*Node {
	out := parts(src)
	if withdrawn(src) {
		for _, o := range out {
			takenBack(o)
		}
		return out
	}
	mended(src, out)
	return out
}

// parts are the Observations of one version as that version alone has them.
func parts(src reportSources) []*Node {
	var out []*Node
	for _, s := range sections {
		if text := s.text(src.Report.Opinion); text != "" {
			o := observationFrame(src, s.slot, s.code)
			o.Set("valueString", text)
			out = append(out, o)
		}
	}
	for _, m := range measurementsOf(src.Report.Opinion) {
		out = append(out, measurement(src, m))
	}
	out = append(out, agreement(src))
	for _, f := range src.Report.Findings {
		by := f.RaisedBy
		if f.StandsBy != nil {
			by = f.StandsBy
		}
		out = append(out, findingObservation(src, f.No, f.Category, f.Text, f.RaisedAt, by))
	}
	for _, a := range amendments(src) {
		o := observationFrame(src, "addendum-"+strconv.Itoa(a.No), workflow.Coding{System: loinc, Code: "55107-7", Display: "Addendum Document"})
		o.Set("issued", instant(a.At))
		o.Set("valueString", a.Text)
		out = append(out, o)
	}
	return out
}

// formerObservations are those that an earlier version may have had and this
// one has not, as entered in error; so are all of a report that is withdrawn.
// Their content is gone from the current version.
func formerObservations(src reportSources) []*Node {
	var out []*Node
	for _, s := range sections {
		if s.text(src.Report.Opinion) == "" {
			out = append(out, takenBack(observationFrame(src, s.slot, s.code)))
		}
	}
	return append(out, formerMeasurements(src)...)
}

func takenBack(o *Node) *Node {
	o.Set("status", "entered-in-error")
	for _, content := range []string{"valueString", "valueCodeableConcept", "valueQuantity", "note", "component"} {
		o.Remove(content)
	}
	o.Set("dataAbsentReason", concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "error", "Error"))
	return o
}

// agreement is the comparison with the original report. The original is its
// focus: derivedFrom may not name a DiagnosticReport in FHIR R4.
func agreement(src reportSources) *Node {
	o := observationFrame(src, "agreement", workflow.Coding{System: csObservation, Code: "agreement", Display: "Second reading compared with the original report"})
	if src.Original != nil {
		o.Set("focus", []*Node{src.Original.Clone()})
	}
	code := agreementCodes[src.Report.Level]
	o.Set("valueCodeableConcept", concept(code.System, code.Code, code.Display))
	if src.Report.Difference != "" {
		o.Append("note", Object("text", src.Report.Difference))
	}
	if seen := unveiling(src); seen != "" {
		o.Append("note", Object("text", seen))
	}
	var components []*Node
	if display, ok := managementCodes[src.Report.Management]; ok {
		components = append(components, Object(
			"code", concept(csObservation, "management-change", "What the difference may change"),
			"valueCodeableConcept", concept(csManagement, src.Report.Management, display)))
	}
	if c, ok := actionableCodes[src.Report.Actionable]; ok {
		components = append(components, Object(
			"code", concept(csObservation, "actionable-category", "Category of actionable finding"),
			"valueCodeableConcept", concept(c.System, c.Code, c.Display)))
	}
	o.Set("component", components)
	return o
}

// observationFrame is what all Observations of a report have in common.
func observationFrame(src reportSources, slot string, code workflow.Coding) *Node {
	c := src.Case
	o := Object(
		"resourceType", "Observation",
		"id", derivedID(c, slot),
		"identifier", []*Node{Object("system", sidObservation, "value", c.CaseID.String()+"/"+slot)},
		"basedOn", []*Node{src.Order.Clone()},
		"status", unmended(src.Report.Status),
		"category", []*Node{concept(obsCategory, "imaging", "Imaging")},
		"code", concept(code.System, code.Code, code.Display),
		"subject", src.Subject.Clone(),
		"encounter", src.Encounter.Clone(),
		"effectiveDateTime", effective(src),
		"issued", instant(src.Report.SignedAt),
		"performer", performers(src),
	)
	if src.Study != nil {
		o.Set("partOf", []*Node{src.Study.Clone()})
		o.Set("derivedFrom", []*Node{src.Study.Clone()})
	}
	return o
}
