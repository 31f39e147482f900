package fhir

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// packFigures are the published figures of a quarter for a pack: those that auditors are
// shown, since a pack is shown to a room.
func packFigures(ctx context.Context, tx pgx.Tx, in *Node) ([]workflow.PackFigure, error) {
	day := given(in, "figuresOf").Text()
	if day == "" {
		return nil, nil
	}
	a := askedMeasure{}
	zone, err := workflow.ZoneTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	a.Zone = zone
	period := Object("parameter", []*Node{Object("name", "periodStart", "valueDate", day), Object("name", "periodEnd", "valueDate", day)})
	if err := a.readPeriod(period); err != nil {
		return nil, fault.At(fault.Value, paramAt("figuresOf"), "figuresOf is the first day of a published quarter, such as 2026-07-01")
	}
	p, err := facts.PublishedTx(ctx, tx, []string{a.start})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.At(fault.NotFound, paramAt("figuresOf"), "no figures are published of a quarter that begins on this day (where they are published by the year, a pack has none)")
	}
	if err != nil {
		return nil, err
	}
	var figures []workflow.PackFigure
	for _, d := range facts.Definitions {
		leaves, published := facts.Numerator(d.ID)
		if !published {
			continue
		}
		of, told := p.Tables.Total.Of(facts.Every())
		counted, countedTold := p.Tables.Total.Of(leaves)
		value := "not shown: few cases"
		if told && countedTold && of > 0 {
			interval, err := measure.MethodWilson.Interval(counted, of, confidence)
			if err != nil {
				return nil, err
			}
			value = fmt.Sprintf("%d of %d: %.1f %% (95 %% interval %.1f to %.1f)", counted, of, 100*float64(counted)/float64(of), 100*interval.Low, 100*interval.High)
		}
		figures = append(figures, workflow.PackFigure{Measure: d.ID, Title: d.Title, Value: value})
	}
	return figures, nil
}
