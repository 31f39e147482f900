package fhir

import (
	"fmt"
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

const parametersExample = `{"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"..."}]}`

// readParameters reads the body of an operation by its row of the table. An
// empty body is a Parameters without parameters. Every refusal names the
// parameter and what is allowed.
func readParameters(op operation, body []byte) (request, error) {
	var r request
	var given []*Node
	if len(strings.TrimSpace(string(body))) > 0 {
		n, err := Parse(body, Limits{})
		if err != nil {
			return r, err
		}
		if n.Type() != "Parameters" {
			return r, fault.New(fault.Structure, "the body of $%s must be a FHIR Parameters resource, for example %s; or empty", op.Name, parametersExample)
		}
		if n, err = Decode(body, "Parameters"); err != nil {
			return r, err
		}
		given = n.Get("parameter").Items()
	}
	if err := fill(&r, "$"+op.Name, op.Takes, given, "Parameters.parameter"); err != nil {
		return r, err
	}
	return r, r.agreementFits()
}

// agreementFits refuses an agreement beside what says that the readings differ, and the
// word that they do not agree without any.
func (r *request) agreementFits() error {
	if r.agrees == nil {
		return nil
	}
	switch differs := r.Grade != nil && r.Grade.Level() != workflow.LevelNone; {
	case *r.agrees && differs:
		return fault.At(fault.BusinessRule, atAgreement, "%s", workflow.Phrase("agreement and a discrepancy (or noComparisonReason) contradict each other: give the one or the other"))
	case !*r.agrees && !r.compared():
		return notCompared()
	}
	return nil
}

const atAgreement = "Parameters.parameter.where(name = 'agreement')"

// compared tells that the grade says of itself how the readings compare.
func (r *request) compared() bool {
	return r.Grade != nil && (len(r.Grade.Discrepancies) > 0 || r.Grade.Level() == workflow.LevelNoComparison)
}

// unsaid tells that nothing was said of how the readings compare: an empty call, or one
// with a comment alone, is no agreement, from a program as little as from a page.
func (r *request) unsaid() bool { return r.agrees == nil && !r.compared() }

func notCompared() error {
	return naming(workflow.ErrNotCompared, atAgreement)
}

// fill gives each parameter to its row. owner is what takes the rows: "$claim",
// or "discrepancy" for parts.
func fill(r *request, owner string, rows []parameter, given []*Node, path string) error {
	count := map[string]int{}
	for i, p := range given {
		at := fmt.Sprintf("%s[%d]", path, i)
		row, ok := rowOf(rows, p.Text("name"))
		if !ok {
			return fault.At(fault.Value, at+".name", "%s knows no parameter of this name; %s", owner, allowed(rows))
		}
		if count[row.Name]++; count[row.Name] > 1 && !row.Many {
			return fault.At(fault.Value, at, "%s takes the parameter %s once only", owner, row.Name)
		}
		if err := give(r, row, p, at); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if count[row.Name] < row.Min {
			return fault.Lacks(path, owner, row.Name, row.Doc)
		}
	}
	return nil
}

func give(r *request, row parameter, p *Node, at string) error {
	if row.Type == "" {
		row.Set(r, p)
		return fill(r, row.Name, row.Parts, p.Get("part").Items(), at+".part")
	}
	if row.Type == "QuestionnaireResponse" {
		n := p.Get("resource")
		if n.Type() != row.Type {
			return fault.At(fault.Value, at, "the parameter %s must be a %s, in resource", row.Name, row.Type)
		}
		row.Set(r, n)
		return nil
	}
	for _, element := range valueElements(row.Type) {
		v := p.Get(element)
		if v == nil {
			continue
		}
		if row.Codes != nil && !slices.Contains(row.Codes, v.Text()) {
			return fault.At(fault.Value, at+"."+element, "the parameter %s is one of: %s", row.Name, strings.Join(row.Codes, ", "))
		}
		row.Set(r, v)
		return nil
	}
	return fault.At(fault.Value, at, "the parameter %s must have its value in %s", row.Name, valueElements(row.Type)[0])
}

// valueElements are where the value of a type may stand. Clients often send a
// code as a string, which means the same here.
func valueElements(typ string) []string {
	switch typ {
	case "code":
		return []string{"valueCode", "valueString"}
	case "string":
		return []string{"valueString", "valueMarkdown"}
	}
	return []string{"value" + strings.ToUpper(typ[:1]) + typ[1:]}
}

func rowOf(rows []parameter, name string) (parameter, bool) {
	for _, row := range rows {
		if row.Name == name {
			return row, true
		}
	}
	return parameter{}, false
}

func allowed(rows []parameter) string {
	if len(rows) == 0 {
		return "it takes none"
	}
	names := make([]string, len(rows))
	for i, row := range rows {
		names[i] = row.Name
	}
	return "it takes: " + strings.Join(names, ", ")
}
