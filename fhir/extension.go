package fhir

import "slices"

// ownExtension is an extension of ours, where R4 has no element.
type ownExtension struct {
	id      string
	context string // of which element
	value   string // type of the value
	many    bool
	does    string
}

// ownExtensions are the table of them; credential.go reads them.
var ownExtensions = []ownExtension{
	{"reader-modality", "PractitionerRole", "Coding", true, "A DICOM modality that the reader may read in this role; every one where it is left out."},
	{"reader-ages", "PractitionerRole", "Range", false, "The ages of patients, in full years and both included, that the reader may read in this role; every age where it is left out."},
	{"reader-capacity", "PractitionerRole", "positiveInt", false, "How many open cases the reader takes at once, at this hospital."},
	{"reader-conflict", "PractitionerRole", "Reference", true, "Whose readings this reader does not second: an Organization or a Practitioner."},
	{"reader-time-zone", "PractitionerRole", "code", false, "The time zone of availableTime and notAvailable, by its IANA name; UTC where it is left out."},
	{"licence-jurisdiction", "Practitioner.qualification", "CodeableConcept", false, "Where this qualification lets its holder practise: a code of ISO 3166-2 (US-NY) or ISO 3166-1 (FR). A qualification without it is no licence."},

	{"measure-as-of", "MeasureReport", "instant", false, "By what was known at this moment the cases were counted. The same query as of the same moment gives the same figures at any later time."},
	{"measure-settled", "MeasureReport", "boolean", false, "False: the as-of time is so near that what was being written then may still be missing; ask again in some minutes for figures that stay."},
	{"measure-query", "MeasureReport", "string", false, "The query in one form (measure, version, period, as-of time, stratifiers, filters), and its SHA-256."},
	{"measure-interval-method", "MeasureReport", "code", false, "How intervals were found: of proportions wilson, wilson-cc or clopper-pearson; of percentiles of times brookmeyer-crowley."},
	{"measure-note", "MeasureReport", "string", true, "What has to be known to read the figures right: why there is no kappa, that a stratifier is known of discrepancies alone, or that a part of the strata is listed."},
	{"measure-strata", "MeasureReport", "integer", false, "How many strata there are, where they are more than one answer lists and the report has a part of them (measure-listed, and the parameter page)."},
	{"measure-listed", "MeasureReport", "Range", false, "Which of these strata the report has: the first and the last, counted from 1 in the order of their numbers of cases, the largest first."},
	{"measure-interval", "Quantity", "Range", false, "The 95 % confidence interval of the value."},
	{"measure-between", "Quantity", "Range", false, "Of a percentile that is published by the hours of a table: after the first of them, and within the second, so many had ended."},
	{"measure-at-least", "MeasureReport.group", "integer", false, "Of a share in whole per cent that is published without its counts: of so many cases at the least, by which its interval was found."},
	{"measure-not-finished", "MeasureReport.group.stratifier.stratum", "code", false, "Why a month is shown and no chart judges it: month-runs (it had not ended at the as-of moment), part-of-month (the period begins or ends within it), to-follow (what the measure counts of its cases is not known yet)."},
	{"measure-standing", "MeasureReport.group.stratifier.stratum", "code", false, "What may be done with a reader's figures: shown (under 200 cases, not to be judged), judged (against funnel limits)."},
	{"measure-kappa", "MeasureReport.group", "Quantity", false, "Cohen's kappa of the two grades of each case, unweighted; left out where it is undefined, and where not every comparable case has both grades (measure-note). Its interval is kappa ± 1.96 standard errors (Fleiss, Cohen, Everitt 1969)."},
	{"measure-kappa-linear", "MeasureReport.group", "Quantity", false, "The same with linear weights."},
	{"measure-kappa-quadratic", "MeasureReport.group", "Quantity", false, "The same with quadratic weights."},
	{"measure-kappa-margins", "MeasureReport.group", "Quantity", false, "Beside a kappa: p of the test whether both grade as many cases into each category (Stuart 1955, Maxwell 1970); left out where no case has two different grades. It stands where the indices of prevalence and bias would be for two categories: these are not defined for three (measure-note)."},
}

// extensionDefinitions are the StructureDefinitions of our extensions.
func extensionDefinitions() []*Node {
	var all []*Node
	for _, e := range ownExtensions {
		all = append(all, e.definition())
	}
	return all
}

func (e ownExtension) definition() *Node {
	n := conformance("StructureDefinition", e.id, e.id, e.does)
	most := "1"
	if e.many {
		most = "*"
	}
	head := Object("id", "Extension", "path", "Extension", "short", e.does, "definition", e.does, "min", 0, "max", most)
	none := Object("id", "Extension.extension", "path", "Extension.extension", "max", "0")
	url := Object("id", "Extension.url", "path", "Extension.url", "fixedUri", Canonical+"/StructureDefinition/"+e.id)
	value := Object("id", "Extension.value[x]", "path", "Extension.value[x]", "min", 1, "max", "1", "type", []*Node{Object("code", e.value)})
	n.Set("fhirVersion", "4.0.1")
	n.Set("kind", "complex-type")
	n.Set("abstract", false)
	n.Set("context", []*Node{Object("type", "element", "expression", e.context)})
	n.Set("type", "Extension")
	n.Set("baseDefinition", "http://hl7.org/fhir/StructureDefinition/Extension")
	n.Set("derivation", "constraint")
	n.Set("differential", Object("element", cloned(head, none, url, value)))
	n.Set("snapshot", Object("element", e.snapshot(head, none, url, value)))
	return n
}

// snapshot is what the differential makes of FHIR's Extension. Each element of one has
// a definition, its cardinality and a type (sdf-3).
func (e ownExtension) snapshot(head, none, url, value *Node) []*Node {
	id := Object("id", "Extension.id", "path", "Extension.id", "representation", []string{"xmlAttr"}, "definition", "A name of the element, for references within the resource.",
		"min", 0, "max", "1", "base", Object("path", "Element.id", "min", 0, "max", "1"), "type", []*Node{systemString("string")})
	head.Set("base", Object("path", "Extension", "min", 0, "max", "*"))
	none.Set("definition", "It has no parts.")
	none.Set("min", 0)
	none.Set("base", Object("path", "Element.extension", "min", 0, "max", "*"))
	none.Set("type", []*Node{Object("code", "Extension")})
	url.Set("definition", "Which extension it is.")
	url.Set("min", 1)
	url.Set("max", "1")
	url.Set("base", Object("path", "Extension.url", "min", 1, "max", "1"))
	url.Set("type", []*Node{systemString("uri")})
	value.Set("definition", e.does)
	value.Set("base", Object("path", "Extension.value[x]", "min", 0, "max", "1"))
	return []*Node{head, id, none, url, value}
}

// systemString is the type of what is no element in XML but an attribute; in FHIR it
// is of the type named.
func systemString(fhirType string) *Node {
	return Object("extension", []*Node{Object("url", "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type", "valueUrl", fhirType)},
		"code", "http://hl7.org/fhirpath/System.String")
}

func cloned(all ...*Node) []*Node {
	all = slices.Clone(all)
	for i, n := range all {
		all[i] = n.Clone()
	}
	return all
}
