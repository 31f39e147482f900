package fhir

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/measure/facts"
)

// Statistics of measures: funnel, comparison, control chart, standardisation, agreement of
// readers (package measure). All are made of, or told with, the report that the actor may
// have (evaluation), so who sees what, what is hidden and what is recorded is decided
// there; what a report does not tell, a statistic does not either.

// statKind is a statistic: its operation, what it takes besides the parameters of
// $evaluate-measure, and what it tells: figures of the whole, and rows.
type statKind struct {
	name  string
	title string
	does  string
	takes []parameter
	heads []flat.Column
	row   string // what a row is
	rows  []flat.Column
	make  func(s *Server, ctx context.Context, tx pgx.Tx, q statQuery) (*statistic, error)
}

// statQuery is what a statistic is asked for.
type statQuery struct {
	actor access.Actor
	asked Asked
	d     facts.Definition
	in    *Node  // all parameters
	plain *Node  // those of $evaluate-measure among them
	kind  string // the operation
}

// statistic is the figures: of the whole by name, and rows in the order of the columns.
type statistic struct {
	kind   statKind
	report *Node // what it is made of: measure, period, moment, query
	heads  map[string]any
	rows   []map[string]any
}

func decimals(names ...string) (all []flat.Column) {
	for pair := range slices.Chunk(names, 2) {
		all = append(all, flat.Column{Name: pair[0], Kind: flat.Decimal, Doc: pair[1]})
	}
	return all
}

// statKinds are the table of them.
func statKinds() []statKind {
	return []statKind{funnelKind(), compareKind(), controlKind(), standardKind(), agreementKind()}
}

// statParameters are those of $evaluate-measure that statistics take, too.
var statParameters = []string{"periodStart", "periodEnd", "stratifier", "filter", "asOf", "interval", "readers"}

func statisticServices(common []parameter) []service {
	var takes []parameter
	for _, p := range common {
		if slices.Contains(statParameters, p.Name) {
			takes = append(takes, p)
		}
	}
	who := []access.Role{access.Quality, access.Auditor}
	byName := parameter{Name: "measure", Type: "canonical", Min: 1, Doc: "The measure, by its canonical URL, or Measure/{id}."}
	var all []service
	own := []parameter{}
	for _, k := range statKinds() {
		row := service{name: k.name, id: "measure-" + k.name, types: []string{"Measure"}, by: who, scope: reading, does: k.does +
			" Made of the report of $evaluate-measure that who asks may have: for auditors of published figures alone, and recorded as it is.",
			tells: k.tells(), handle: func(s *Server, c echo.Context, actor access.Actor, in *Node) error {
				return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
					st, err := s.statisticAsked(ctx, tx, c, actor, k, in)
					if err != nil {
						return nil, err
					}
					return st.parameters(), nil
				})
			}}
		one, every := row, row
		one.instance, one.takes = true, slices.Concat(takes, k.takes)
		every.id, every.atType, every.takes = row.id+"-of", true, slices.Concat([]parameter{byName}, takes, k.takes)
		all = append(all, one, every)
		for _, p := range k.takes {
			if _, twice := rowOf(own, p.Name); !twice {
				own = append(own, p)
			}
		}
	}
	var names []string
	for _, k := range statKinds() {
		names = append(names, k.name)
	}
	return append(all, service{
		name: "statistic-table", id: "measure-statistic-table", types: []string{"Measure"}, atType: true, by: who, scope: reading,
		does: "Gives a statistic as a file: the rows of $funnel, $compare-strata, $control-chart, $standardise or $agreement-of-readers, each with the figures of the whole.",
		takes: slices.Concat([]parameter{byName,
			{Name: "statistic", Type: "code", Min: 1, Codes: names, Doc: "Which."},
			{Name: "format", Type: "code", Min: 1, Codes: flat.Formats(), Doc: "Of the file."},
		}, takes, own),
		handle: (*Server).statisticTable,
	})
}

// statisticAsked makes the statistic that a request asks for.
func (s *Server) statisticAsked(ctx context.Context, tx pgx.Tx, c echo.Context, actor access.Actor, k statKind, in *Node) (*statistic, error) {
	d, err := measureAsked(c.Param("id"), given(in, "measure").Text())
	if err != nil {
		return nil, err
	}
	return k.of(s, ctx, tx, statQuery{actor: actor, asked: askedBy(c), d: d, in: in})
}

// of makes the statistic, which says by what query it was made.
func (k statKind) of(s *Server, ctx context.Context, tx pgx.Tx, q statQuery) (*statistic, error) {
	q.kind, q.plain = k.name, Object("resourceType", "Parameters")
	for _, p := range q.in.Each("parameter") {
		if slices.Contains(statParameters, p.Text("name")) {
			q.plain.Append("parameter", p)
		}
	}
	st, err := k.make(s, ctx, tx, q)
	if err != nil {
		return nil, err
	}
	st.kind = k
	return st, nil
}

// statisticTable is Measure/$statistic-table.
func (s *Server) statisticTable(c echo.Context, actor access.Actor, in *Node) error {
	i := slices.IndexFunc(statKinds(), func(k statKind) bool { return k.name == given(in, "statistic").Text() })
	if i < 0 {
		return fault.At(fault.Value, paramAt("statistic"), "there is no such statistic")
	}
	ctx := c.Request().Context()
	st, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (*statistic, error) {
		return s.statisticAsked(ctx, tx, c, actor, statKinds()[i], in)
	})
	if err != nil {
		return err
	}
	t, err := st.table()
	if err != nil {
		return err
	}
	return replyFile(c, given(in, "format").Text(), t)
}

// tells are the out parameters.
func (k statKind) tells() []parameter {
	of := func(columns []flat.Column) (list []parameter) {
		for _, col := range columns {
			list = append(list, parameter{Name: col.Name, Type: string(col.Kind), Doc: col.Doc})
		}
		return list
	}
	list := []parameter{
		{Name: "measure", Type: "canonical", Min: 1, Doc: "Its canonical URL with its version."},
		{Name: "periodStart", Type: "date", Min: 1, Doc: "The first day."},
		{Name: "periodEnd", Type: "date", Min: 1, Doc: "The last day."},
		{Name: "asOf", Type: "instant", Min: 1, Doc: "By what was known at this moment."},
		{Name: "query", Type: "string", Min: 1, Doc: "The query of the report that it is made of, in one form, and its digest."},
	}
	return append(append(list, of(k.heads)...), parameter{Name: k.row, Many: true, Doc: "One of them.", Parts: of(k.rows)})
}

// figureValue is a figure as a parameter; nil where it is undefined or not told.
func figureValue(col flat.Column, v any) *Node {
	p := Object("name", col.Name)
	switch x := v.(type) {
	case float64:
		p.Set("valueDecimal", sixDigits(x))
		if isP := col.Name == "p" || strings.HasSuffix(col.Name, "P"); isP && x > 0 && x < 0.001 {
			p.Set("valueDecimal", &Node{kind: numberNode, text: strconv.FormatFloat(x, 'g', 4, 64)}) // never 0, which no P is
		}
	case int:
		p.Set("valueInteger", x)
	case bool:
		p.Set("valueBoolean", x)
	case string:
		if x == "" {
			return nil
		}
		p.Set("valueString", x)
	default:
		return nil
	}
	return p
}

// parameters is the statistic as FHIR.
func (st *statistic) parameters() *Node {
	asOf, query, _ := reportAsked(st.report) // of our own report
	n := Object("resourceType", "Parameters", "meta", Object("security", verySensitive))
	n.Append("parameter", Object("name", "measure", "valueCanonical", st.report.Text("measure")))
	n.Append("parameter", Object("name", "periodStart", "valueDate", st.report.Text("period", "start")))
	n.Append("parameter", Object("name", "periodEnd", "valueDate", st.report.Text("period", "end")))
	n.Append("parameter", Object("name", "asOf", "valueInstant", instant(asOf)))
	n.Append("parameter", Object("name", "query", "valueString", query))
	for _, col := range st.kind.heads {
		if p := figureValue(col, st.heads[col.Name]); p != nil {
			n.Append("parameter", p)
		}
	}
	for _, row := range st.rows {
		var parts []*Node
		for _, col := range st.kind.rows {
			if p := figureValue(col, row[col.Name]); p != nil {
				parts = append(parts, p)
			}
		}
		n.Append("parameter", Object("name", st.kind.row, "part", parts))
	}
	return n
}

// table is the statistic as rows, each with the figures of the whole.
func (st *statistic) table() (flat.Table, error) {
	asOf, query, err := reportAsked(st.report)
	if err != nil {
		return flat.Table{}, err
	}
	t := flat.Table{Name: st.kind.name, Columns: []flat.Column{
		{Name: "measure", Kind: flat.Text}, {Name: "period_start", Kind: flat.Text}, {Name: "period_end", Kind: flat.Text}, {Name: "as_of", Kind: flat.Instant}, {Name: "query", Kind: flat.Text},
	}}
	head := []any{st.report.Text("measure"), st.report.Text("period", "start"), st.report.Text("period", "end"), asOf, query}
	for _, col := range st.kind.heads {
		col.Name = "whole_" + snake(col.Name)
		t.Columns = append(t.Columns, col)
	}
	for _, col := range st.kind.rows {
		col.Name = snake(col.Name)
		t.Columns = append(t.Columns, col)
	}
	for _, row := range st.rows {
		line := slices.Clone(head)
		for _, col := range st.kind.heads {
			line = append(line, st.heads[col.Name])
		}
		for _, col := range st.kind.rows {
			line = append(line, row[col.Name])
		}
		t.Rows = append(t.Rows, line)
	}
	return t, nil
}

// snake is smallestExpected as smallest_expected.
func snake(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
