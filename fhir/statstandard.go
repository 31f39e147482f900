package fhir

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

func standardKind() statKind {
	return statKind{
		name: "standardise", title: "Observed over expected", row: "unit",
		does:  "Compares each group with what would be if its cases, by modality and region or other dimensions, had the rates of all (indirect standardisation): observed, expected, their ratio with exact limits of the observed count (Garwood 1936). For auditors of a published table by two dimensions; a group of which a cell is hidden has no ratio. Compare a ratio with 1, never one with another. A reader under 200 cases is not judged.",
		takes: []parameter{{Name: "standardBy", Type: "code", Many: true, Codes: facts.Dimensions(), Doc: "By what risks differ: one or two dimensions. Where it is left out, modality and body-region for the role quality; for auditors modality."}},
		heads: []flat.Column{
			{Name: "standardBy", Kind: flat.Text, Doc: "By what risks differ."},
			{Name: "limitsMethod", Kind: flat.Text, Doc: "How the limits of ratios were found: garwood (exact Poisson limits of the observed count)."},
			{Name: "rate", Kind: flat.Decimal, Doc: "Of all groups together, which are the reference: per cent."},
			{Name: "outside", Kind: flat.Integer, Doc: "Groups that may be judged whose interval is without 1."},
		},
		rows: slices.Concat(groupColumns[:4], decimals("expected", "Events that there would be with the rates of all.", "ratio", "Observed over expected.", "low", "Its 95 % limits, the expected taken as known.", "high", "Its 95 % limits.", "standardRate", "The ratio times the rate of all: per cent."),
			[]flat.Column{{Name: "standing", Kind: flat.Text, Doc: "low, inside or high: whether 1 is within the limits; not-judged of a reader under 200 cases."}}),
		make: (*Server).standard,
	}
}

// standardCells are the cases of each group by what risks differ, and which groups lack a
// part that is not told.
type standardCells struct {
	report *Node
	cells  map[string]map[string]measure.Unit // by group and stratum
	hidden map[string]bool
}

// standard is $standardise.
func (s *Server) standard(ctx context.Context, tx pgx.Tx, q statQuery) (*statistic, error) {
	group := allGiven(q.plain, "stratifier")
	if q.d.Timed() || len(group) != 1 {
		return nil, fault.At(fault.Value, paramAt("stratifier"), "$standardise is of shares, by one stratifier")
	}
	by := textsOf(allGiven(q.in, "standardBy"))
	if by == nil {
		by = []string{"modality", "body-region"}
		if q.actor.Role != access.Quality {
			by = by[:1]
		}
		by = slices.DeleteFunc(by, func(name string) bool { return name == group[0].Text() })
	}
	if len(by) == 0 || len(by) > 2 || slices.Contains(by, group[0].Text()) || len(by) == 2 && by[0] == by[1] || slices.ContainsFunc(by, func(name string) bool { return !slices.Contains(facts.Dimensions(), name) }) {
		return nil, fault.At(fault.Value, paramAt("standardBy"), "standardBy is one or two dimensions other than the stratifier: %s", strings.Join(facts.Dimensions(), ", "))
	}
	if err := refuseAsymmetry(q, by...); err != nil {
		return nil, err
	}
	cells, err := s.standardCells(ctx, tx, q, by)
	if err != nil {
		return nil, err
	}
	st, err := standardOf(cells, group[0].Text())
	if err == nil {
		st.heads["standardBy"] = strings.Join(by, ", ")
	}
	return st, err
}

// standardCells counts by the group and one or two dimensions.
func (s *Server) standardCells(ctx context.Context, tx pgx.Tx, q statQuery, by []string) (*standardCells, error) {
	if len(by) == 1 {
		q.plain.Append("parameter", Object("name", "stratifier", "valueString", by[0]))
		report, err := s.wholeReport(ctx, tx, q)
		if err != nil {
			return nil, err
		}
		c := &standardCells{report, map[string]map[string]measure.Unit{}, map[string]bool{}}
		_, _, groups := units(report)
		for _, u := range groups {
			if !u.told {
				c.hidden[u.values[0]] = true
				continue
			}
			c.add(u.values[0], u.values[1], u.Unit)
		}
		return c, nil
	}
	if q.actor.Role != access.Quality {
		return nil, fault.At(fault.Forbidden, paramAt("standardBy"), "tables of three dimensions are never published (docs/disclosure.md): standardise by one")
	}
	report, err := s.wholeReport(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	ask, err := s.askMeasure(ctx, tx, q.d, q.plain)
	if err != nil {
		return nil, err
	}
	if ask.AsOf, _, err = reportAsked(report); err != nil {
		return nil, err
	}
	return s.cellsByTwo(ctx, tx, q, ask, report, by)
}

// cellsByTwo counts once for each word of the second dimension.
func (s *Server) cellsByTwo(ctx context.Context, tx pgx.Tx, q statQuery, ask askedMeasure, report *Node, by []string) (*standardCells, error) {
	if by[1] == facts.Month {
		slices.Reverse(by)
	}
	names, err := s.stratumNames(ctx, tx, q.actor, ask)
	if err != nil {
		return nil, err
	}
	group := ask.By[0]
	ask.By = by[1:]
	words, err := facts.Count(ctx, tx, ask.Query)
	if err != nil {
		return nil, err
	}
	if len(words.Strata) > mostStandard {
		return nil, fault.At(fault.TooLarge, paramAt("standardBy"), "%s has more than %d words here; choose another dimension", by[1], mostStandard)
	}
	if word, filtered := ask.Where[by[1]]; filtered {
		words.Strata = slices.DeleteFunc(words.Strata, func(one facts.Stratum) bool { return one.Key[0] != word })
	}
	c := &standardCells{report, map[string]map[string]measure.Unit{}, map[string]bool{}}
	few := false
	for _, word := range words.Strata {
		one := ask.Query
		one.By, one.Where = []string{group, by[0]}, maps.Clone(ask.Where)
		one.Where[by[1]] = word.Key[0]
		t, err := facts.Count(ctx, tx, one)
		if err != nil {
			return nil, err
		}
		for _, cell := range t.Strata {
			c.add(names(group, cell.Key[0]), cell.Key[1]+"\x00"+word.Key[0], measure.Unit{Events: cell.Numerator, Trials: cell.Denominator})
			few = few || cell.Denominator > 0 && cell.Denominator <= disclosure.Standard.Limit
		}
	}
	if few && !tellsFew(report) && !ask.open { // the report was not recorded as opened, and this tells more
		err = s.measureOpened(ctx, tx, q.actor, q.asked, q.d.ID, "")
	}
	return c, err
}

// mostStandard bounds how often is counted.
const mostStandard = 60

func (c *standardCells) add(group, stratum string, u measure.Unit) {
	if c.cells[group] == nil {
		c.cells[group] = map[string]measure.Unit{}
	}
	sum := c.cells[group][stratum]
	c.cells[group][stratum] = measure.Unit{Events: sum.Events + u.Events, Trials: sum.Trials + u.Trials}
}

// standardOf compares each group with all that is told of all.
func standardOf(c *standardCells, dimension string) (*statistic, error) {
	reference := map[string]measure.Unit{}
	for _, strata := range c.cells {
		for stratum, u := range strata {
			sum := reference[stratum]
			reference[stratum] = measure.Unit{Events: sum.Events + u.Events, Trials: sum.Trials + u.Trials}
		}
	}
	st := &statistic{report: c.report, heads: map[string]any{"limitsMethod": "garwood"}}
	outside := 0
	names := maps.Clone(c.hidden)
	for name := range c.cells {
		names[name] = c.hidden[name]
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		row := map[string]any{"value": name, "masked": c.hidden[name]}
		st.rows = append(st.rows, row)
		if c.hidden[name] {
			continue
		}
		var strata []measure.Stratum
		cases := 0
		for _, stratum := range slices.Sorted(maps.Keys(reference)) { // in one order, since the last digit of a sum is that of its order
			strata = append(strata, measure.Stratum{Observed: c.cells[name][stratum], Reference: reference[stratum]})
			cases += c.cells[name][stratum].Trials
		}
		r, err := measure.Standardise(strata, measure.PoissonExact, confidence)
		if err != nil {
			return nil, err
		}
		if r.Reference != nil {
			st.heads["rate"] = 100 * *r.Reference
		}
		row["cases"], row["events"] = cases, r.Observed
		if r.Expected != nil {
			row["expected"] = *r.Expected
		}
		if r.Ratio == nil {
			continue
		}
		row["ratio"], row["low"], row["high"], row["standardRate"] = *r.Ratio, r.Interval.Low, r.Interval.High, 100**r.Rate
		row["standing"] = ratioStanding(dimension, name, cases, *r.Interval)
		if row["standing"] == "low" || row["standing"] == "high" {
			outside++
		}
	}
	st.heads["outside"] = outside
	return st, nil
}

func ratioStanding(dimension, name string, cases int, i measure.Interval) string {
	switch {
	case !judged([]string{dimension}, cases), name == workflow.NotSaid && facts.IsReader(dimension):
		return notJudged
	case i.Low > 1:
		return "high"
	case i.High < 1:
		return "low"
	}
	return "inside"
}
