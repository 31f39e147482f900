package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/overread/overread/workflow/simulation"
)

// simulateCmd lives through some weeks of a national service (docs/simulation.md).
type simulateCmd struct {
	Cases     int                 `name:"cases" default:"100000" help:"How many orders."`
	Readers   int                 `name:"readers" default:"300" help:"How many readers."`
	Hospitals int                 `name:"hospitals" default:"40" help:"How many hospitals."`
	Days      int                 `name:"days" default:"30" help:"In how many days the orders come."`
	Seed      uint64              `name:"seed" default:"1" help:"The same seed gives the same result."`
	Strategy  simulation.Strategy `name:"strategy" enum:"pool,greedy,batch" default:"greedy" help:"How cases find readers: pool, greedy (the best reader at once) or batch (a plan for the whole pool)."`
	Compare   bool                `name:"compare" help:"All three strategies, on the same orders."`
	Policy    string              `name:"policy" help:"A policy as JSON or YAML, to try it. Its assignment is that of the strategy."`
	JSON      bool                `name:"json" help:"Print JSON."`
	Plot      string              `name:"plot" type:"path" help:"Also draw the result as SVG into this file."`
}

func (c simulateCmd) Run(ctx context.Context, t terminal) error {
	cfg := simulation.Default()
	cfg.Cases, cfg.Readers, cfg.Hospitals, cfg.Days, cfg.Seed, cfg.Strategy = c.Cases, c.Readers, c.Hospitals, c.Days, c.Seed, c.Strategy
	if c.Policy != "" {
		document, err := readPolicy(c.Policy)
		if err != nil {
			return fmt.Errorf("%s: %w (overread policy check says more)", c.Policy, err)
		}
		cfg.Policy = document.Policy
	}
	strategies := []simulation.Strategy{c.Strategy}
	if c.Compare {
		strategies = simulation.Strategies
	}
	debug.SetGCPercent(200) // a run holds little and throws away much
	results := make([]simulation.Result, len(strategies))
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i, strategy := range strategies {
		one := cfg
		one.Strategy = strategy
		group.Go(func() (err error) {
			results[i], err = simulation.Run(ctx, one)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("simulation: %w", err)
	}
	if c.Plot != "" {
		var plot bytes.Buffer
		if err := simulation.WritePlot(&plot, results...); err != nil {
			return err
		}
		if err := os.WriteFile(c.Plot, plot.Bytes(), 0o644); err != nil { //nolint:gosec // a drawing, for everybody
			return fmt.Errorf("plot: %w", err)
		}
	}
	if c.JSON {
		return printJSON(t, results)
	}
	if err := simulation.WriteText(t.stdout, results...); err != nil {
		return err
	}
	t.printf("\nin %s\n", time.Since(began).Round(100*time.Millisecond))
	return nil
}
