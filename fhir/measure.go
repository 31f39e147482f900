package fhir

import (
	"slices"
	"strings"

	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// Code systems of measures: FHIR R4 valueset-measure-scoring.html,
// valueset-measure-population.html, valueset-measure-improvement-notation.html.
const (
	measureScoring     = "http://terminology.hl7.org/CodeSystem/measure-scoring"
	measurePopulation  = "http://terminology.hl7.org/CodeSystem/measure-population"
	measureImprovement = "http://terminology.hl7.org/CodeSystem/measure-improvement-notation"
	measureType        = "http://terminology.hl7.org/CodeSystem/measure-type"
	csDimension        = Canonical + "/CodeSystem/measure-dimension"
	csExclusion        = Canonical + "/CodeSystem/measure-exclusion"
)

// measures are the Measure resources, made from the table of definitions.
func measures() []*Node {
	var all []*Node
	for _, d := range facts.Definitions {
		all = append(all, measureResource(d))
	}
	return all
}

func measureURL(d facts.Definition) string { return Canonical + "/Measure/" + d.ID }

func measureResource(d facts.Definition) *Node {
	n := conformance("Measure", d.ID, d.Title, d.Does)
	n.Set("version", d.Version)
	n.Set("subjectCodeableConcept", Object("coding", []*Node{coding("http://hl7.org/fhir/resource-types", "Task", "")})) // what lists hold
	scoring, kind, better := "proportion", "outcome", "decrease"
	if d.Timed() {
		scoring, kind = "continuous-variable", "process"
	}
	if d.Higher {
		better = "increase"
	}
	n.Set("scoring", Object("coding", []*Node{coding(measureScoring, scoring, "")}))
	n.Set("type", []*Node{Object("coding", []*Node{coding(measureType, kind, "")})})
	n.Set("improvementNotation", improvementOf(better))
	n.Set("guidance", "Counted as of a moment, of one study the judgement that counts; exclusions by reason (docs/measures.md).")
	var groups []*Node
	for _, percent := range groupsOf(d) {
		group := Object("code", groupCode(percent))
		group.Set("description", percentWords(d, percent))
		group.Set("population", measurePopulations(d))
		group.Set("stratifier", measureStratifiers())
		groups = append(groups, group)
	}
	if d.Timed() {
		groups = append(groups, Object("code", Object("text", sharesGroup), "description", "For auditors: the share of the cases that had ended within so many hours, in whole per cent.",
			"stratifier", []*Node{Object("code", dimensionCode(withinDimension), "description", "Hours that all cases of the period have been followed for, and that tell nothing of few.")}))
	}
	n.Set("group", groups)
	return n
}

func improvementOf(code string) *Node {
	return Object("coding", []*Node{coding(measureImprovement, code, "")})
}

// percents are of which shares of cases a time is told.
var percents = []string{"50", "75", "90"}

// groupsOf are the groups of a measure: one of a share; of a time one for each percentile.
func groupsOf(d facts.Definition) []string {
	if d.Timed() {
		return percents
	}
	return []string{""}
}

func groupCode(percent string) *Node {
	if percent == "" {
		return nil
	}
	return Object("text", "percentile "+percent)
}

func percentWords(d facts.Definition, percent string) string {
	if percent == "" {
		return d.Title
	}
	return "The hours within which " + percent + " % of the cases had ended."
}

// populationCodes are the codes of populations: of a share, and of a time.
func populationCodes(d facts.Definition) (of, excluded, counted string) {
	if d.Timed() {
		return "measure-population", "measure-population-exclusion", "measure-observation"
	}
	return "denominator", "denominator-exclusion", "numerator"
}

// measurePopulations say in words and as the condition on measure_fact what is counted.
func measurePopulations(d facts.Definition) []*Node {
	of, excluded, counted := populationCodes(d)
	rows := []*Node{
		measureCriterion("initial-population", "Cases that belong to the period.", d.Basis()+" within the period, as of the moment"),
		measureCriterion(of, sentence(d.Of), d.Within()),
		measureCriterion(excluded, "Those that are not in it: "+strings.Join(d.Exclusions(), ", ")+".", "NOT ("+d.Within()+")"),
		measureCriterion(counted, sentence(d.Counts), d.Condition()),
	}
	return rows
}

func sentence(words string) string { return strings.ToUpper(words[:1]) + words[1:] + "." }

// criteriaLanguage: the conditions are for people, and no statement that a database takes. The
// binding of Expression.language is extensible: FHIR R4 valueset-expression-language.html.
const criteriaLanguage = "text/plain"

// measureCriterion is a population; its expression is a condition on a row of measure_fact, in the manner of SQL.
func measureCriterion(code, words, expression string) *Node {
	return Object("code", Object("coding", []*Node{coding(measurePopulation, code, "")}), "description", words,
		"criteria", Object("language", criteriaLanguage, "expression", expression))
}

func measureStratifiers() []*Node {
	var rows []*Node
	for _, name := range append(facts.Dimensions(), "exclusion-reason", "no-comparison-reason") {
		i := slices.IndexFunc(workflow.FactDimensions, func(d workflow.FactDimension) bool { return d.Name == name })
		words, column := "In the tenant's time zone.", "month"
		switch {
		case i >= 0:
			words, column = "From: "+workflow.FactDimensions[i].Doc+".", workflow.FactDimensions[i].Column
		case name == "exclusion-reason":
			words, column = "The first reason that holds.", "excluded"
		case name == "no-comparison-reason":
			words, column = "As the grade says.", "no_comparison"
		}
		rows = append(rows, Object("code", dimensionCode(name), "description", words,
			"criteria", Object("language", criteriaLanguage, "expression", column)))
	}
	return rows
}

func dimensionCode(name string) *Node {
	return Object("coding", []*Node{coding(csDimension, name, "")})
}
