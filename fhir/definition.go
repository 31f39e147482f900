package fhir

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/overread/overread/workflow"
)

// What this product publishes. Code systems, value sets, concept maps and
// profiles are files, which a test holds to the tables that the program runs on;
// operations and search parameters are made from their tables, and cannot say
// anything else.

//go:embed definitions
var definitionFiles embed.FS

// definitions are the files, by type and in the order of their names, and the
// profiles with their snapshots. Nobody may change them.
var definitions = sync.OnceValue(func() map[string][]*Node {
	all := map[string][]*Node{}
	for _, file := range filesOf("definitions/*.json") {
		n := definitionFile(file)
		if n.Type() == "StructureDefinition" {
			// Made by the official Java tooling (make snapshots): clients that
			// validate, generate code or draw forms need one, and most cannot make it.
			n.Set("snapshot", definitionFile("definitions/snapshot/"+strings.TrimPrefix(file, "definitions/")).Get("snapshot"))
		}
		all[n.Type()] = append(all[n.Type()], n)
	}
	return all
})

func filesOf(pattern string) []string {
	names, err := fs.Glob(definitionFiles, pattern)
	if err != nil {
		panic(err) // the pattern is ours
	}
	return names
}

// definitionFile reads a file of the program, so that whatever is wrong with it
// was wrong when the program was built, and a test says so.
func definitionFile(name string) *Node {
	body, err := definitionFiles.ReadFile(name)
	if err != nil {
		panic(err)
	}
	n, err := Parse(body, documentLimits)
	if err != nil {
		panic(name + ": " + err.Error())
	}
	return n
}

func codeSystems() []*Node { return definitions()["CodeSystem"] }

func conceptMaps() []*Node { return definitions()["ConceptMap"] }

// structureDefinitions are our profiles.
func structureDefinitions() []*Node { return definitions()["StructureDefinition"] }

// valueSets are the files; the one of orders has the codes that are configured.
func valueSets(secondOpinion ValueSet) []*Node {
	var all []*Node
	for _, n := range definitions()["ValueSet"] {
		if n.Text("id") == "second-opinion-request" {
			n = requestValueSet(n, secondOpinion)
		}
		all = append(all, n)
	}
	return all
}

// requestValueSet shows which codes open a case on this server.
func requestValueSet(file *Node, codes ValueSet) *Node {
	var include []*Node
	for _, c := range append(slices.Clone(codes), workflow.Coding{System: v2Referral, Code: "S", Display: "Second Opinion"}) {
		include = append(include, Object("system", c.System, "concept", []*Node{Object("code", c.Code, "display", c.Display)}))
	}
	n := file.Clone()
	n.Set("compose", Object("include", include))
	return n
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
	rows := parameterDefinitions("in", op.Takes)
	if op.Name == "draft" {
		n.Set("parameter", append(rows, parameterDefinitions("out", draftRows)...))
		return n
	}
	n.Set("parameter", append(rows, Object("name", "return", "use", "out", "min", 1, "max", "1",
		"documentation", "The Task after the operation.", "type", "Task")))
	return n
}

// id is that of the OperationDefinition.
func (op operation) id() string { return "task-" + op.Name }

func parameterDefinitions(use string, rows []parameter) []*Node {
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
		n := Object("name", row.Name, "use", use, "min", row.Min, "max", most,
			"documentation", doc, "type", row.Type, "part", parameterDefinitions(use, row.Parts))
		if set := valueSetOf(row); set != "" {
			n.Set("binding", Object("strength", "required", "valueSet", set))
		}
		out = append(out, n)
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
