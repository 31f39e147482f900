package fhir

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

// pageStatistics are the statistics that a page shows with its figures: made of the same
// report, so that nothing is told twice or by another way; standardisation asks for one of two
// dimensions, as its operation does. What cannot be made of these figures is left out.
func (s *Server) pageStatistics(ctx context.Context, tx pgx.Tx, q statQuery, report *Node, compared []string) (all []screen.Statistic, groups []string, err error) {
	_, by, found := units(report)
	add := func(k statKind, st *statistic, err error) error {
		if _, refused := errors.AsType[*fault.Error](err); refused {
			return nil
		}
		if err != nil {
			return err
		}
		st.kind = k
		all = append(all, st.screen())
		return nil
	}
	switch {
	case isPart(report): // a statistic is made of all groups
		return nil, nil, nil
	case len(by) == 1 && by[0] == facts.Month:
		st, err := controlOf(report, 0, 2, 4.5)
		err = add(controlKind(), st, err)
		return all, nil, err
	case q.d.Pairs && q.actor.Role == access.Quality && len(by) == 0:
		q.plain, q.kind = q.in, agreementKind().name
		q.in = Object("resourceType", "Parameters")
		st, err := s.agreementOfReaders(ctx, tx, q)
		err = add(agreementKind(), st, err)
		return all, nil, err
	case len(by) != 1 || q.d.Timed() || refusesAsymmetry(statQuery{d: q.d, plain: q.in}):
		return nil, nil, nil
	}
	for _, u := range found {
		if facts.IsReader(by[0]) {
			break // the page of the next choice would have other pseudonyms
		}
		if u.told && u.Trials > 0 && judged(by, u.Trials) {
			groups = append(groups, u.name())
		}
	}
	st, err := funnelOf(report, -1)
	if err := add(funnelKind(), st, err); err != nil {
		return nil, nil, err
	}
	if judgedUnits(by, found) > 1 {
		if compared[0] == "" || compared[1] == "" || compared[0] == compared[1] || !slices.Contains(groups, compared[0]) || !slices.Contains(groups, compared[1]) {
			compared = nil
		}
		st, err := compareOf(report, measure.MethodWilson, compared)
		if err := add(compareKind(), st, err); err != nil {
			return nil, nil, err
		}
	}
	if by[0] == "site" || facts.IsReader(by[0]) {
		st, err := s.pageStandard(ctx, tx, q)
		if err := add(standardKind(), st, err); err != nil {
			return nil, nil, err
		}
	}
	return all, groups, nil
}

// judgedUnits is how many groups may be compared.
func judgedUnits(by []string, found []statUnit) (n int) {
	for _, u := range found {
		if u.told && u.Trials > 0 && judged(by, u.Trials) {
			n++
		}
	}
	return n
}

// pageStandard is $standardise as its operation makes it.
func (s *Server) pageStandard(ctx context.Context, tx pgx.Tx, q statQuery) (*statistic, error) {
	in := Object("resourceType", "Parameters")
	for _, p := range q.in.Each("parameter") {
		if slices.Contains(statParameters, p.Text("name")) {
			in.Append("parameter", p)
		}
	}
	q.in = in
	return standardKind().of(s, ctx, tx, q)
}

// screen is the statistic as a page shows it.
func (st *statistic) screen() screen.Statistic {
	out := screen.Statistic{Name: st.kind.name, Title: st.kind.title}
	figure := func(col flat.Column, values map[string]any) screen.StatisticFigure {
		f := screen.StatisticFigure{Name: col.Name}
		switch x := values[col.Name].(type) {
		case float64:
			f.Number = &x
		case int:
			f.Count = &x
		case string:
			f.Text = x
		case bool:
			f.Text = map[bool]string{true: "yes", false: "no"}[x]
		}
		f.Flagged = slices.Contains([]string{"high-alarm", "low-alarm", "high", "low"}, f.Text) || col.Name == "signal" && f.Text != "" || col.Name == "xSignal" && f.Text != "" || col.Name == "cusumSignal" && f.Text == "yes"
		return f
	}
	told := func(col flat.Column) bool {
		return col.Name != "masked" && slices.ContainsFunc(st.rows, func(row map[string]any) bool { return row[col.Name] != nil })
	}
	for _, col := range st.kind.heads {
		if st.heads[col.Name] != nil {
			out.Whole = append(out.Whole, figure(col, st.heads))
		}
	}
	var columns []flat.Column
	for _, col := range st.kind.rows {
		if told(col) {
			columns = append(columns, col)
			out.Columns = append(out.Columns, col.Name)
		}
	}
	for _, row := range st.rows {
		var line []screen.StatisticFigure
		for _, col := range columns {
			line = append(line, figure(col, row))
		}
		out.Rows = append(out.Rows, line)
	}
	return out
}
