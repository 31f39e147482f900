package workflow

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/overread/overread/internal/pgtest"
)

// A look at a whole pool, PostgreSQL and the offers included: so long is its
// transaction, in which the pool's cases are locked. What publishing their Tasks costs is
// not in it (fhir).
//
//	go test ./workflow -run xxx -bench ABatchOf -benchtime 1x
func BenchmarkABatchOf(b *testing.B) {
	for _, size := range []struct{ cases, readers int }{{100, 30}, {300, 100}, {1000, 100}, {1000, 300}} {
		b.Run(fmt.Sprintf("cases=%d/readers=%d", size.cases, size.readers), func(b *testing.B) {
			h := newHouse(b, batchPolicy)
			for i := range size.readers {
				pgtest.AddReader(b, h.db, h.tenant, fmt.Sprint("Reader ", i), []byte(`{"subspecialties": ["neuro"], "capacity": 40}`))
			}
			for range size.cases {
				h.open()
			}
			for h.number(`SELECT count(*) FROM agenda WHERE kind = 'await-batch'`) < size.cases {
				h.tick()
			}
			h.exec(`ANALYZE`)
			offered := 0
			began := time.Now()
			for b.Loop() { // the second look finds nobody to offer: one is what is measured
				n, err := h.engine.BatchTick(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				offered += n
			}
			took := time.Since(began)
			if offered == 0 {
				b.Error("no offers")
			}
			b.ReportMetric(float64(took.Milliseconds()), "ms-look")
			b.ReportMetric(float64(offered), "offers")
			b.ReportMetric(took.Seconds()*1000/float64(offered), "ms-offer")
		})
	}
}
