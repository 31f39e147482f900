package measure_test

import (
	"math/rand/v2"
	"testing"

	"github.com/overread/overread/measure"
)

// What figures cost where a national service asks for them.
func BenchmarkFigures(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	minutes := make([]measure.Times, 100_000) // distinct turnarounds, of a million cases
	for i := range minutes {
		minutes[i] = measure.Times{At: float64(i), Events: 1 + random.IntN(18), Censored: random.IntN(2)}
	}
	units := make([]measure.Unit, 2000)
	for i := range units {
		units[i] = measure.Unit{Events: random.IntN(60), Trials: 500}
	}
	for _, figure := range []struct {
		name string
		do   func() error
	}{
		{"Wilson of a million", func() error { return second(measure.Wilson(76_530, 1_000_000, 0.95)) }},
		{"Clopper-Pearson of a million", func() error { return second(measure.ClopperPearson(76_530, 1_000_000, 0.95)) }},
		{"Fisher of a million", func() error { return second(measure.FisherExact(40_000, 460_000, 41_000, 459_000)) }},
		{"funnel of a million", func() error { return second(measure.Funnel(0.077, 1_000_000)) }},
		{"over-dispersion of 2,000 units", func() error { return second(measure.Overdispersion(units, 0.06)) }},
		{"kappa of five categories", func() error {
			return second(measure.CohenKappa([][]int{{9, 1, 2, 1, 0}, {1, 8, 2, 1, 0}, {0, 1, 7, 1, 1}, {0, 0, 1, 9, 1}, {0, 1, 0, 1, 6}}, measure.Quadratic, 0.95))
		}},
		{"Kaplan-Meier of 100,000 distinct times", func() error { return second(measure.KaplanMeier(minutes, 0.95)) }},
		{"run length of a CUSUM", func() error { return second(measure.RunLength(0.077, 0.077, 2, 4)) }},
	} {
		b.Run(figure.name, func(b *testing.B) {
			for b.Loop() {
				if err := figure.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
