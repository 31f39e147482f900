package fhir

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// wordSets are the value sets of what the elements of a grade may say, by the
// element.
var wordSets = map[string]string{
	"significance": "discrepancy-significance", "nature": "discrepancy-nature", "direction": "discrepancy-direction",
	"expectedness": "discrepancy-expectedness", "management": "management-change", "actionable": "actionability",
	"asymmetry": "information-asymmetry", "noComparisonReason": "no-comparison-reason",
}

// valueSetOf is the value set to which a parameter is bound: that of the element of
// a grade whose words it takes. "" for none.
func valueSetOf(p parameter) string {
	id := wordSets[p.Name]
	if id == "" || p.Type != "code" || !slices.Equal(p.Codes, workflow.Words(p.Name)) {
		return ""
	}
	return Canonical + "/ValueSet/" + id
}

// The parameters of the operations for quality work (operation.go).

var judgement = []parameter{
	{Name: "management", Type: "code", Min: 1, Codes: workflow.Words("management"), Doc: "What has changed for the patient.",
		Set: func(r *request, v *Node) { r.judgement().Management = v.Text() }},
	{Name: "note", Type: "string", Doc: "In words.",
		Set: func(r *request, v *Node) { r.judgement().Note = v.Text() }},
}

func (r *request) judgement() *workflow.Judgement {
	if r.Judgement == nil {
		r.Judgement = new(workflow.Judgement)
	}
	return r.Judgement
}

var truth = []parameter{
	{Name: "right", Type: "code", Min: 1, Codes: workflow.Rights, Doc: "Who was right: the first reading, the second, both, neither, or that it cannot be told.",
		Set: func(r *request, v *Node) { r.truth().Right = v.Text() }},
	{Name: "source", Type: "code", Min: 1, Codes: workflow.TruthSources, Doc: "What has shown it.",
		Set: func(r *request, v *Node) { r.truth().Source = v.Text() }},
	{Name: "date", Type: "date", Min: 1, Doc: "Day of the evidence.",
		Set: func(r *request, v *Node) { r.truth().FoundOn = workflow.Date(v.Text()) }},
	{Name: "evidence", Type: "Reference", Many: true, Doc: "The resource that has it and is kept here: an Observation or a DiagnosticReport.",
		Set: func(r *request, v *Node) {
			o := r.truth()
			o.Evidence = append(o.Evidence, v.Text("reference"))
		}},
	{Name: "note", Type: "string", Doc: "In words.",
		Set: func(r *request, v *Node) { r.truth().Note = v.Text() }},
}

func (r *request) truth() *workflow.Truth {
	if r.Truth == nil {
		r.Truth = new(workflow.Truth)
	}
	return r.Truth
}

var learningPoint = []parameter{
	{Name: "text", Type: "string", Min: 1, Doc: "What is to be learnt. It may name neither the patient nor who read.",
		Set: func(r *request, v *Node) { r.point().Text = v.Text() }},
	{Name: "tag", Type: "code", Many: true, Doc: "To find it by, such as lung-nodule.",
		Set: func(r *request, v *Node) { p := r.point(); p.Tags = append(p.Tags, v.Text()) }},
}

var pointNumber = parameter{Name: "number", Type: "positiveInt", Min: 1, Doc: "Which, as $quality tells it.",
	Set: func(r *request, v *Node) { r.point().No, _ = strconv.Atoi(v.Text()) }}

func (r *request) point() *workflow.LearningPoint {
	if r.Point == nil {
		r.Point = new(workflow.LearningPoint)
	}
	return r.Point
}

var reviewConclusion = []parameter{
	{Name: "conclusion", Type: "code", Min: 1, Codes: workflow.Conclusions, Doc: "What comes of it: the grade stands, the report is to be amended by who signed it, or there is something to learn and nothing to change.",
		Set: func(r *request, v *Node) { r.conclusion().Code = v.Text() }},
	{Name: "note", Type: "string", Doc: "In words.",
		Set: func(r *request, v *Node) { r.conclusion().Note = v.Text() }},
}

func (r *request) conclusion() *workflow.Conclusion {
	if r.Conclusion == nil {
		r.Conclusion = new(workflow.Conclusion)
	}
	return r.Conclusion
}

// completeQuality adds to what was asked for what only the resources know: who may
// not be named in a learning point, and that evidence is there for the actor.
func (s *Server) completeQuality(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r *request) (err error) {
	if r.Point != nil {
		r.Point.Names, err = s.namesIn(ctx, tx, c)
	}
	if r.Truth == nil {
		return err
	}
	for _, ref := range r.Truth.Evidence {
		typ, id, ok := strings.Cut(ref, "/")
		ok = ok && (typ == "Observation" || typ == "DiagnosticReport") && idPattern.MatchString(id)
		if ok {
			_, err := s.store.Visible(ctx, tx, actor, typ, id)
			ok = err == nil
		}
		if !ok {
			return fault.At(fault.Value, "Parameters.parameter.where(name = 'evidence')", "refer to an Observation or DiagnosticReport that is kept here, as Type/{id}")
		}
	}
	return nil
}

// namesIn are the names and numbers by which the patient of a case, the case itself
// and those who had a part in it are known.
func (s *Server) namesIn(ctx context.Context, tx pgx.Tx, c workflow.Case) ([]string, error) {
	d, err := s.dossier(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	names := []string{c.PlacerValue, c.Number()}
	for _, n := range []*string{c.Accession, c.StudyUID} {
		if n != nil {
			names = append(names, *n)
		}
	}
	names = append(names, namesOf(d.patient)...)
	readers, err := workflow.ReadersTx(ctx, tx, 1)
	if err != nil {
		return nil, err
	}
	for _, r := range readers {
		names = append(names, workflow.NameWords(r.Display)...)
	}
	r, err := s.resolver(ctx, tx, c.TenantID)
	if err != nil {
		return nil, err
	}
	for _, who := range []*uuid.UUID{c.ReaderID, c.OtherReaderID, c.AdjudicatorID, c.SupervisorID} { // also one who reads here no more
		n, err := s.practitioner(ctx, tx, c.TenantID, who)
		if err != nil {
			return nil, err
		}
		names = append(names, namesOf(n)...)
	}
	for _, by := range []struct {
		in   *Node
		path []string
	}{
		{d.original.Node, []string{"performer"}}, {d.original.Node, []string{"resultsInterpreter"}},
		{d.study.Node, []string{"interpreter"}}, {d.study.Node, []string{"series", "performer", "actor"}},
		{d.order, []string{"requester"}}, {d.order, []string{"performer"}}, {d.task, []string{"requester"}},
	} {
		for _, ref := range by.in.Each(by.path...) {
			named, err := namedBy(ctx, r, by.in, ref)
			if err != nil {
				return nil, err
			}
			names = append(names, named...)
		}
	}
	return names, nil
}

// namedBy are the names of the person whom a reference in a resource means: as it
// displays them, and as the Practitioner has them, if need be by a PractitionerRole.
func namedBy(ctx context.Context, r resolver, in, ref *Node) ([]string, error) {
	f, err := r.follow(ctx, ref, in)
	if err != nil || f.Type() == "Organization" || typeOf(ref) == "Organization" {
		return nil, err
	}
	names := workflow.NameWords(ref.Text("display"))
	if who := f.Get("practitioner"); who != nil {
		more, err := namedBy(ctx, r, f.Node, who)
		return append(names, more...), err
	}
	return append(names, namesOf(f.Node)...), nil
}

// namesOf are those of a Patient or Practitioner, with birth date and numbers. Of a
// patient each given or family name counts, also one that is a word besides.
func namesOf(n *Node) []string {
	if n == nil {
		return nil
	}
	var names []string
	for _, path := range [][]string{{"name", "family"}, {"name", "given"}, {"name", "text"}} {
		for _, each := range n.Each(path...) {
			if n.Type() == "Patient" {
				names = append(names, each.Text())
			}
			names = append(names, workflow.NameWords(each.Text())...)
		}
	}
	for _, path := range [][]string{{"identifier", "value"}, {"telecom", "value"}, {"address", "line"}} {
		for _, each := range n.Each(path...) {
			names = append(names, each.Text())
		}
	}
	if born := n.Text("birthDate"); born != "" {
		names = append(names, born, letter.Day("en", born))
	}
	return names
}
