package simulation

import (
	"context"
	"testing"
)

// A tenth of the national service, by each strategy.
//
//	go test ./workflow/simulation -run xxx -bench OneTenth/batch -benchtime 1x -cpuprofile /tmp/cpu
func BenchmarkOneTenth(b *testing.B) {
	for _, strategy := range Strategies {
		b.Run(string(strategy), func(b *testing.B) {
			for b.Loop() {
				cfg := Default()
				cfg.Cases, cfg.Days, cfg.Strategy = cfg.Cases/10, cfg.Days/10, strategy
				if _, err := Run(context.Background(), cfg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
