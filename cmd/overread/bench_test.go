package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/overread/overread/internal/pg"
)

// BenchmarkOrdersAsTransactionBundles sends whole orders, each with its own
// patient, study and report (7 resources, one case, one Task, the audit
// records), to a server whose PostgreSQL flushes every commit to disk. The
// jobs run as they always do: every order is checked and made ready meanwhile.
func BenchmarkOrdersAsTransactionBundles(b *testing.B) {
	url := durableDatabase(b)
	base := serveInProcess(b, url)
	db, err := pg.Open(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s := newSeeder(db, base, "http://127.0.0.1:9/fhir", b.TempDir())
	if err := s.addHospital(b.Context(), "mercy"); err != nil {
		b.Fatal(err)
	}
	var number atomic.Int64
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { sendOrders(b, s, clients, &number) })
	}
}

func sendOrders(b *testing.B, s *seeder, clients int, number *atomic.Int64) {
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	left := int64(b.N)
	begin := time.Now()
	for range clients {
		all.Go(func() {
			for atomic.AddInt64(&left, -1) >= 0 {
				n := number.Add(1)
				o := order{ehr: s.ehr, number: fmt.Sprintf("BENCH-%d", n), hospital: "mercy", priority: "routine",
					patient: person{fmt.Sprintf("9%07d", n), "Test", "Person", "female", "1960-01-31"}, sample: samples["brain"], at: begin}
				bundle := o.bundle()
				sent := time.Now()
				if _, err := s.clients["mercy-placer"].send(b.Context(), http.MethodPost, "", bundle); err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(sent))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	b.ReportMetric(float64(len(took))/time.Since(begin).Seconds(), "orders/s")
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
}

// durableDatabase is a private PostgreSQL with its own settings of durability,
// unlike the tests' one, which does not flush.
func durableDatabase(b *testing.B) (url string) {
	b.Helper()
	postgres, err := pg.StartPrivate(b.Context(), worldReadableDir(b), io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := postgres.Stop(); err != nil {
			b.Error(err)
		}
	})
	url = postgres.URL(pg.PrivateDatabase)
	if _, err := pg.Migrate(context.Background(), url); err != nil {
		b.Fatal(err)
	}
	return url
}
