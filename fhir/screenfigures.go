package fhir

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// Figures evaluates a measure for a page, by the parameters of $evaluate-measure, with
// its rules and its record: auditors see what was published, the role quality what is
// counted now. Nothing of single cases is asked for here.
func (s *Server) Figures(ctx context.Context, actor access.Actor, query url.Values, asked Asked) (screen.Figures, error) {
	compared := []string{query.Get("first"), query.Get("second")}
	query = maps.Clone(query)
	query.Del("first")
	query.Del("second")
	d, in, err := figuresAsked(actor, query)
	f := screen.Figures{Choices: figureChoices(actor), Title: d.Title, Does: d.Does, Of: d.Of}
	if err != nil {
		return f, err
	}
	err = s.db.Tenant(ctx, actor.Tenant, func(tx pgx.Tx) error {
		if !f.Choices.Exact { // what was published under another policy may have fewer: then the answer says why
			p, _, err := workflow.PublicationTx(ctx, tx)
			if err != nil {
				return err
			}
			f.Choices.Dimensions = p.Dimensions
		} else if f.Choices.Words, err = facts.WordsTx(ctx, tx); err != nil {
			return err
		}
		report, times, err := s.evaluation(ctx, tx, actor, asked, d, in)
		if err != nil {
			return err
		}
		if f.Curve, err = openCurve(times); err != nil {
			return err
		}
		if err := figuresOf(&f, report); err != nil {
			return err
		}
		if f.Sites, err = siteNames(ctx, tx, actor, f); err != nil {
			return err
		}
		if f.Statistics, f.Groups, err = s.pageStatistics(ctx, tx, statQuery{actor: actor, asked: asked, d: d, in: in}, report, compared); err != nil {
			return err
		}
		return s.audit(ctx, tx, actor, figuresEntry(d, "$evaluate-measure", query, asked))
	})
	return f, err
}

// siteNames are the names of the organisations that the strata of sites are.
func siteNames(ctx context.Context, tx pgx.Tx, actor access.Actor, f screen.Figures) (map[string]string, error) {
	at := slices.Index(f.By, "site")
	if at < 0 {
		return nil, nil
	}
	var refs []string
	for _, row := range f.Rows {
		if localID(row.Values[at], "Organization") != nil {
			refs = append(refs, row.Values[at])
		}
	}
	seen, err := inside(ctx, tx, actor, refs, access.Read)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, ref := range refs {
		if seen[ref] {
			ids = append(ids, *localID(ref, "Organization"))
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT 'Organization/' || id, convert_from(body, 'UTF8')::jsonb->>'name'
		FROM resource
		WHERE tenant_id = $1 AND type = 'Organization' AND id = ANY ($2) AND NOT deleted AND convert_from(body, 'UTF8')::jsonb->>'name' <> ''`, actor.Tenant, ids)
	if err != nil {
		return nil, fmt.Errorf("names of sites: %w", err)
	}
	names := map[string]string{}
	var ref, name string
	if _, err := pgx.ForEachRow(rows, []any{&ref, &name}, func() error { names[ref] = name; return nil }); err != nil {
		return nil, fmt.Errorf("names of sites: %w", err)
	}
	return names, nil
}

// FiguresFile is the same as a file (Measure/$measure-table).
func (s *Server) FiguresFile(ctx context.Context, actor access.Actor, query url.Values, format string, asked Asked) (f screen.File, err error) {
	d, in, err := figuresAsked(actor, query)
	if err != nil {
		return f, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (screen.File, error) {
		report, _, err := s.evaluation(ctx, tx, actor, asked, d, in)
		if err != nil {
			return f, err
		}
		t, err := reportTable(report)
		if err != nil {
			return f, err
		}
		f.Name = d.ID + "." + format
		if f.ContentType, f.Content, err = flat.Write(format, t); err != nil {
			return f, err
		}
		return f, s.audit(ctx, tx, actor, figuresEntry(d, "$measure-table", query, asked))
	})
}

func figuresEntry(d facts.Definition, operation string, query url.Values, asked Asked) auditEntry {
	return auditEntry{Interaction: "operation", Target: "Measure/" + d.ID, Query: operation + "?" + query.Encode(), RequestID: asked.RequestID, Client: asked.Client}
}

// figuresAsked reads what a page asks.
func figuresAsked(actor access.Actor, query url.Values) (d facts.Definition, in *Node, err error) {
	if actor.Role != access.Quality && actor.Role != access.Auditor {
		return d, nil, fault.New(fault.Forbidden, "the role %s sees no figures", actor.Role)
	}
	if slices.ContainsFunc([]string{"reportType", "subject", "practitioner", "readers"}, query.Has) {
		return d, nil, fault.New(fault.Forbidden, "this page tells no cases and no readers; ask $evaluate-measure")
	}
	in = Object("resourceType", "Parameters")
	for name, values := range query {
		for _, value := range values {
			in.Append("parameter", Object("name", name, "valueString", value))
		}
	}
	evaluation := measureServices()[1] // at the type: the measure is a parameter
	if err := checkInput(evaluation, in); err != nil {
		return d, nil, err
	}
	d, err = measureAsked("", given(in, "measure").Text())
	return d, in, err
}

// openCurve is the share of cases that are still open, of a time.
func openCurve(times []facts.Duration) (points []screen.CurvePoint, err error) {
	curve, err := survivalOf(times)
	if err != nil || curve == nil {
		return nil, err
	}
	for _, step := range curve.Steps {
		points = append(points, screen.CurvePoint{Hours: step.At, Open: step.Open})
	}
	return points, nil
}

// figureChoices are what a role can ask for; of auditors, all that could be published.
func figureChoices(actor access.Actor) screen.FigureChoices {
	choices := screen.FigureChoices{Dimensions: facts.Dimensions(), Exact: actor.Role == access.Quality}
	for _, m := range measure.Methods() {
		choices.Intervals = append(choices.Intervals, string(m))
	}
	for _, d := range facts.Definitions {
		choices.Measures = append(choices.Measures, screen.FigureMeasure{ID: d.ID, Title: d.Title})
	}
	return choices
}

// figuresOf are the rows of a MeasureReport as the page shows them.
func figuresOf(f *screen.Figures, report *Node) (err error) {
	if f.AsOf, f.Query, err = reportAsked(report); err != nil {
		return err
	}
	f.Interval, f.Notes = reportRead(report)
	eachPart(report, func(percentile string, dimensions, values []string, part *Node) {
		row := figureOfPart(part)
		row.Values = values
		if percentile != sharesGroup {
			row.Percentile = strings.TrimPrefix(percentile, "percentile ")
		}
		switch strings.Join(dimensions, " ") {
		case "":
			f.Whole = append(f.Whole, row)
		case "exclusion-reason":
			whole := &f.Whole[len(f.Whole)-1]
			whole.Reasons = append(whole.Reasons, screen.FigureReason{Code: values[0], Cases: *row.Excluded})
		case "no-comparison-reason":
		default:
			f.By, f.Rows = dimensions, append(f.Rows, row)
		}
	})
	return nil
}

func figureOfPart(part *Node) (row screen.FigureRow) {
	cells := map[string]any{"masked": false}
	partRow(part, cells)
	number := func(name string) *int {
		if n, ok := cells[name].(int); ok {
			return &n
		}
		return nil
	}
	decimal := func(name string) *float64 {
		if x, ok := cells[name].(float64); ok {
			return &x
		}
		return nil
	}
	row.Initial, row.Counted, row.Excluded, row.Numerator = number("initial_population"), number("denominator"), number("excluded"), number("numerator")
	row.Score, row.Low, row.High = decimal("score"), decimal("low"), decimal("high")
	row.Unit, _ = cells["unit"].(string)
	row.Comparator, _ = cells["comparator"].(string)
	row.AtLeast = number("at_least")
	row.NotFinished, _ = cells["not_finished"].(string)
	for _, weights := range []string{"", "_linear", "_quadratic"} {
		if value := decimal("kappa" + weights); value != nil {
			row.Kappas = append(row.Kappas, screen.FigureKappa{Weights: cmp.Or(strings.TrimPrefix(weights, "_"), "unweighted"), Value: value, Low: decimal("kappa" + weights + "_low"), High: decimal("kappa" + weights + "_high")})
		}
	}
	row.Margins = decimal("kappa_margins")
	row.Masked, _ = cells["masked"].(bool)
	return row
}
