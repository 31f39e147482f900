package fhir

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// textChanges is what the version that is rendered changed against the one before it.
// What an addendum says stands in the report as it is.
func textChanges(src reportSources) []workflow.SectionChange {
	n := len(src.History)
	if n == 0 || withdrawn(src) || src.Report.Amendment == nil || src.Report.Amendment.Kind == "addition" {
		return nil
	}
	return workflow.Changes(src.History[n-1], src.Report)
}

// letterChanges is the same for the letter.
func letterChanges(all []workflow.SectionChange) (out []letter.Change) {
	for _, c := range all {
		row := letter.Change{Heading: c.Section}
		for _, r := range c.Runs {
			row.Runs = append(row.Runs, letter.Run{Text: r.Text, Added: r.Edit == workflow.Added, Removed: r.Edit == workflow.Removed})
		}
		out = append(out, row)
	}
	return out
}

// changeServices are the rows of the table of services that explain a report.
func changeServices() []service {
	return []service{
		{name: "difference", id: "task-difference",
			does:  "What a version of the report changed against an earlier one, section by section and word by word. Without parameters: the version in force against the one before it.",
			types: []string{"Task"}, instance: true, by: clinical, scope: reading,
			takes: []parameter{
				{Name: "from", Type: "integer", Doc: "The earlier version."},
				{Name: "to", Type: "integer", Doc: "The later version."},
			},
			tells: []parameter{
				{Name: "from", Type: "integer", Min: 1, Doc: "The earlier version."},
				{Name: "to", Type: "integer", Min: 1, Doc: "The later version."},
				{Name: "signed", Type: "instant", Min: 1, Doc: "When the later version was signed."},
				{Name: "reason", Type: "string", Doc: "Why it was made."},
				{Name: "change", Many: true, Doc: "A section that differs.", Parts: []parameter{
					{Name: "section", Type: "string", Min: 1, Doc: "Its heading."},
					{Name: "text", Type: "string", Min: 1, Doc: "Its words: [-what was removed-] {+what was added+}."},
					{Name: "html", Type: "string", Min: 1, Doc: "The same with the elements del and ins."},
				}},
			},
			handle: (*Server).difference},
	}
}

// difference is Task/{id}/$difference, for whoever may read the report.
func (s *Server) difference(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		if !idPattern.MatchString(c.Param("id")) {
			return nil, notFound()
		}
		found, err := workflow.CaseByTaskTx(ctx, tx, c.Param("id"))
		if err != nil {
			return nil, err
		}
		if !actor.May("DiagnosticReport", access.Read) {
			return nil, fault.New(fault.Forbidden, "the scopes of this token do not let it read DiagnosticReports")
		}
		if _, err := s.store.Visible(ctx, tx, actor, "DiagnosticReport", reportID(found)); err != nil {
			return nil, err
		}
		reports, err := workflow.ReportsTx(ctx, tx, found.CaseID)
		if err != nil {
			return nil, err
		}
		to, err := versionAsked(in, "to", len(reports))
		if err != nil {
			return nil, err
		}
		from, err := versionAsked(in, "from", max(to-1, 1))
		if err != nil {
			return nil, err
		}
		if from < 1 || to > len(reports) || from > to {
			return nil, fault.At(fault.Value, "Parameters.parameter", "there are %d signed versions of this report; compare an earlier one with a later one", len(reports))
		}
		return differenceOf(reports[from-1], reports[to-1]), nil
	})
}

func versionAsked(in *Node, name string, preset int) (int, error) {
	for _, p := range in.Get("parameter").Items() {
		if p.Text("name") == name {
			n, err := strconv.Atoi(parameterValue(p).Text())
			if err != nil {
				return 0, fault.At(fault.Value, "Parameters.parameter.where(name = '"+name+"')", "%s is the number of a version", name)
			}
			return n, nil
		}
	}
	return preset, nil
}

func differenceOf(from, to workflow.Report) *Node {
	told := []*Node{Object("name", "from", "valueInteger", from.No), Object("name", "to", "valueInteger", to.No),
		Object("name", "signed", "valueInstant", instant(to.SignedAt))}
	if a := to.Amendment; a != nil && a.Reason != "" {
		told = append(told, Object("name", "reason", "valueString", a.Reason))
	}
	all := workflow.Changes(from, to)
	for i, c := range letterChanges(all) {
		told = append(told, Object("name", "change", "part", []*Node{
			Object("name", "section", "valueString", c.Heading),
			Object("name", "text", "valueString", strings.TrimSpace(workflow.Marked(all[i].Runs))),
			Object("name", "html", "valueString", c.HTML()),
		}))
	}
	return Object("resourceType", "Parameters", "parameter", told)
}
