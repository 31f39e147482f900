package fhir

import (
	"slices"
	"strings"

	"github.com/overread/overread/workflow"
)

// What this product publishes, made from the tables that the program itself
// runs on, so that it cannot say anything else. Nobody writes it.

func codeSystems() []*Node {
	var all []*Node
	for _, cs := range ourCodeSystems {
		all = append(all, cs.node())
	}
	return all
}

func valueSets(secondOpinion ValueSet) []*Node {
	all := []*Node{secondOpinionValueSet(secondOpinion)}
	for _, cs := range ourCodeSystems {
		all = append(all, cs.valueSet())
	}
	return all
}

func operationDefinitions() []*Node {
	var all []*Node
	for _, op := range operations {
		all = append(all, operationDefinition(op))
	}
	for _, v := range services() {
		all = append(all, serviceDefinition(v))
	}
	return all
}

// codeSystem is a code system of ours; everything in it is listed.
type codeSystem struct {
	id, title, about string
	codes            []workflow.Coding // System is not used
}

// ourCodeSystems is the table of our code systems.
var ourCodeSystems = []codeSystem{
	{"case-state", "Case state", "Where a second opinion stands: Task.businessStatus.", caseStates()},
	{"second-opinion-agreement", "Agreement of a second opinion", "How the second reading relates to the original report, in the words of the clinical record.",
		[]workflow.Coding{
			agreementCodes[workflow.LevelNone], agreementCodes[workflow.LevelMinor],
			agreementCodes[workflow.LevelMajor], agreementCodes[workflow.LevelNoComparison],
		}},
	{"second-opinion-observation", "Observations of a second opinion", "What the Observations of a second opinion are about, where LOINC has no code.",
		[]workflow.Coding{
			{Code: "agreement", Display: "Second reading compared with the original report"},
			{Code: "management-change", Display: "What the difference may change"},
			{Code: "actionable-category", Display: "Category of actionable finding"},
		}},
	{"management-change", "Change of management", "What the difference between two readings may change for the patient.", managementChanges()},
	{"intake-finding", "Intake finding", "What the intake checks may find in an order: Task.statusReason and Task.output.", intakeFindings()},
	{"task-output", "Task output", "What a Task of a second opinion gives back.",
		[]workflow.Coding{
			{Code: "report", Display: "Second-opinion report"},
			{Code: "finding", Display: "What the intake checks found"},
		}},
}

func caseStates() []workflow.Coding {
	var codes []workflow.Coding
	for _, s := range workflow.States {
		codes = append(codes, workflow.Coding{Code: string(s.State), Display: s.Meaning})
	}
	return codes
}

func intakeFindings() []workflow.Coding {
	return append(workflow.IntakeCodes(), workflow.Coding{Code: "nobody-eligible", Display: "No eligible reader is available at present"})
}

func managementChanges() []workflow.Coding {
	var codes []workflow.Coding
	for _, code := range []string{"none", "work-up", "treatment", "staging", "referral"} {
		codes = append(codes, workflow.Coding{Code: code, Display: managementCodes[code]})
	}
	return codes
}

func (cs codeSystem) node() *Node {
	var concepts []*Node
	for _, c := range cs.codes {
		concepts = append(concepts, Object("code", c.Code, "display", c.Display))
	}
	n := conformance("CodeSystem", cs.id, cs.title, cs.about)
	n.Set("caseSensitive", true)
	n.Set("valueSet", Canonical+"/ValueSet/"+cs.id)
	n.Set("content", "complete")
	n.Set("count", len(concepts))
	n.Set("concept", concepts)
	return n
}

func (cs codeSystem) valueSet() *Node {
	n := conformance("ValueSet", cs.id, cs.title, cs.about)
	n.Set("compose", Object("include", []*Node{Object("system", Canonical+"/CodeSystem/"+cs.id)}))
	return n
}

// secondOpinionValueSet shows which codes open a case on this server.
func secondOpinionValueSet(codes ValueSet) *Node {
	var include []*Node
	for _, c := range append(slices.Clone(codes), workflow.Coding{System: v2Referral, Code: "S", Display: "Second Opinion"}) {
		include = append(include, Object("system", c.System, "concept", []*Node{Object("code", c.Code, "display", c.Display)}))
	}
	n := conformance("ValueSet", "second-opinion-request", "Requests for a second opinion",
		"The codes of ServiceRequest.category and ServiceRequest.code that ask for a second opinion here; v2-0336|S counts in ServiceRequest.reasonCode.")
	n.Set("compose", Object("include", include))
	return n
}

// conformance is the head that all definitions have in common.
func conformance(typ, id, title, about string) *Node {
	return Object(
		"resourceType", typ,
		"id", id,
		"url", Canonical+"/"+typ+"/"+id,
		"version", "1.0.0",
		"name", machineName(id),
		"title", title,
		"status", "active",
		"experimental", false,
		"date", "2026-11-23",
		"publisher", "Overread",
		"description", about,
	)
}

// machineName is a name that code generators can use: CaseState.
func machineName(id string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(id, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// operationDefinition is the OperationDefinition of a row of the table.
func operationDefinition(op operation) *Node {
	n := conformance("OperationDefinition", op.id(), "$"+op.Name, op.Does)
	n.Set("kind", "operation")
	n.Set("affectsState", true)
	n.Set("code", op.Name)
	n.Set("resource", []string{"Task"})
	n.Set("system", false)
	n.Set("type", false)
	n.Set("instance", true)
	rows := parameterDefinitions(op.Takes)
	n.Set("parameter", append(rows, Object("name", "return", "use", "out", "min", 1, "max", "1",
		"documentation", "The Task after the operation.", "type", "Task")))
	return n
}

// id is that of the OperationDefinition.
func (op operation) id() string { return "task-" + op.Name }

func parameterDefinitions(rows []parameter) []*Node {
	var out []*Node
	for _, row := range rows {
		most := "1"
		if row.Many {
			most = "*"
		}
		doc := row.Doc
		if row.Codes != nil {
			doc += " One of: " + strings.Join(row.Codes, ", ") + "."
		}
		out = append(out, Object("name", row.Name, "use", "in", "min", row.Min, "max", most,
			"documentation", doc, "type", row.Type, "part", parameterDefinitions(row.Parts)))
	}
	return out
}

// searchParameters are those that FHIR R4 does not have.
func searchParameters() []*Node {
	return []*Node{
		searchParameter("DiagnosticReport", "imaging-study", "imagingStudy", []string{"ImagingStudy"},
			"Finds the reports of an ImagingStudy. FHIR R4 has no parameter for it; IHE RAD-143 asks for one."),
		searchParameter("Binary", "security-context", "securityContext", []string{"Resource"},
			"Finds what is protected as another resource is. FHIR R4 has no parameter for it."),
	}
}

// searchParameter is the definition of a reference parameter of ours.
func searchParameter(base, code, element string, targets []string, about string) *Node {
	n := conformance("SearchParameter", base+"-"+code, "", about)
	n.Set("code", code)
	n.Set("base", []string{base})
	n.Set("type", "reference")
	n.Set("expression", base+"."+element)
	n.Set("target", targets)
	return n
}

// structureDefinitions are our profiles.
func structureDefinitions() []*Node { return nil }

// conceptMaps are our maps between code systems.
func conceptMaps() []*Node { return nil }
