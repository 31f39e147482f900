package fhir

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Who decides between two readings, or signs one, needs both side by side, with what
// differs. Until the third reader may see the others' opinions they see none of it.

var differenceTold = parameter{Name: "difference", Many: true, Doc: "For a third reader between two: a section in which the second opinion differs from the first.", Parts: []parameter{
	{Name: "section", Type: "string", Min: 1, Doc: "Which."},
	{Name: "text", Type: "string", Min: 1, Doc: "[-of the first only-] {+of the second only+}."},
}}

var gradeTold = parameter{Name: "grade", Doc: "For a third reader between the reader and the original report, and for a supervisor: how the reader graded what differs. " +
	"What was to be expected, causes and comments are quality work product and not here.", Parts: []parameter{
	{Name: "level", Type: "code", Min: 1, Codes: []string{"none", "minor", "major", "no-comparison"}, Doc: "The most significant discrepancy."},
	{Name: "difference", Type: "string", Doc: "What differs and why it matters, in words: as the report will say it."},
	{Name: "noComparisonReason", Type: "code", Codes: workflow.Words("noComparisonReason"), Doc: "Why no comparison is possible."},
	{Name: "noComparison", Type: "string", Doc: "The same in words."},
	{Name: "discrepancy", Many: true, Doc: "One point in which the readings differ.", Parts: discrepancy},
}}

var originalTold = parameter{Name: "original", Doc: "With the grade: the original report, where the caller may see it.", Parts: []parameter{
	{Name: "report", Type: "Reference", Min: 1, Doc: "The DiagnosticReport."},
	{Name: "conclusion", Type: "string", Doc: "What it concludes, where it says so in words."},
}}

// compared adds to the opinions that somebody is shown what differs between them, or
// from the original.
func (s *Server) compared(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, shown []workflow.Sealed, told *Node) error {
	if actor.Role == access.Quality {
		return nil
	}
	if actor.Role == access.Adjudicator {
		for _, row := range betweenTwo(c, shown) {
			told.Append("parameter", row)
		}
	}
	g, ok, err := workflow.ComparedTx(ctx, tx, actor, c, shown)
	if err != nil || !ok {
		return err
	}
	told.Append("parameter", Object("name", "grade", "part", clinicalGrade(g)))
	if c.OriginalReportID == nil || !actor.May("DiagnosticReport", access.Read) {
		return nil
	}
	stored, err := s.store.Visible(ctx, tx, actor, "DiagnosticReport", *c.OriginalReportID)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return nil
	}
	if err != nil {
		return err
	}
	original, err := stored.found()
	if err != nil {
		return err
	}
	parts := []*Node{Object("name", "report", "valueReference", refer("DiagnosticReport/"+*c.OriginalReportID, "DiagnosticReport", ""))}
	parts = append(parts, partsOf("conclusion", "valueString", original.Text("conclusion"))...)
	told.Append("parameter", Object("name", "original", "part", parts))
	return nil
}

// betweenTwo is what differs between the two opinions that a third reader is shown.
func betweenTwo(c workflow.Case, shown []workflow.Sealed) (rows []*Node) {
	var first, second *workflow.Sealed
	for i, o := range shown {
		switch {
		case !c.IsOneOfTwo(o.ReaderID):
		case o.Part == workflow.PartFirst:
			first = &shown[i]
		case o.Part == workflow.PartSecond:
			second = &shown[i]
		}
	}
	if first == nil || second == nil {
		return nil
	}
	before, after := workflow.Report{Opinion: first.Content, Actionable: first.Content.Actionable}, workflow.Report{Opinion: second.Content, Actionable: second.Content.Actionable}
	for _, change := range workflow.Changes(before, after) {
		rows = append(rows, Object("name", "difference", "part", []*Node{
			Object("name", "section", "valueString", change.Section), Object("name", "text", "valueString", workflow.Marked(change.Runs))}))
	}
	return rows
}

func clinicalGrade(g workflow.Grade) []*Node {
	parts := append([]*Node{Object("name", "level", "valueCode", string(g.Level()))},
		partsOf("difference", "valueString", g.Difference, "noComparisonReason", "valueCode", g.NoComparisonReason, "noComparison", "valueString", g.NoComparison)...)
	for _, d := range g.Discrepancies {
		parts = append(parts, Object("name", "discrepancy", "part", discrepancyParts(d)))
	}
	return parts
}
