package fhir

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/measure/facts/factstest"
)

// nationClinic is a server with made-up facts of a year, the quarters of which are published.
func nationClinic(b testing.TB, finals int) *clinic {
	b.Helper()
	c := startClinic(b)
	factstest.Fill(b, c.db, c.tenant, finals)
	if _, err := c.db.Owner(b).Exec(context.Background(), `INSERT INTO measure_build (tenant_id, done_at) VALUES ($1, now()) ON CONFLICT (tenant_id) DO UPDATE SET done_at = now()`, c.tenant); err != nil {
		b.Fatal(err)
	}
	return c
}

// ask has the whole answer of an evaluation, which is read and not kept.
func (c *clinic) ask(as access.Role, path string, header ...string) (status int, size int64) {
	c.t.Helper()
	request, err := http.NewRequest(http.MethodGet, c.url+path, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.tokens[as])
	request.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := restClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	if size, err = io.Copy(io.Discard, answer.Body); err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, size
}

// cost is what something took: by the clock, and of processors here (the server, and
// the client beside it) and in PostgreSQL.
type cost struct{ clock, here, there time.Duration }

func costOf(b testing.TB, postmaster int, do func()) cost {
	b.Helper()
	own := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	here, there, began := own(), postgresTime(b, postmaster), time.Now()
	do()
	clock := time.Since(began)
	return cost{clock, own() - here, postgresTime(b, postmaster) - there}
}

// postgresTime is the processor time of a PostgreSQL on this machine, in hundredths of a
// second: of its processes, and of those that have ended (proc(5): utime, stime, cutime, cstime).
func postgresTime(b testing.TB, postmaster int) (sum time.Duration) {
	b.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		last := 13 // utime, stime
		switch {
		case pid == postmaster:
			last = 15 // those of its children that have ended, too
		case fields[1] != strconv.Itoa(postmaster):
			continue
		}
		for _, ticks := range fields[11:last] {
			n, err := strconv.Atoi(ticks)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// postmasterOf is the process whose children are the sessions of a database.
func postmasterOf(b testing.TB, c *clinic) int {
	b.Helper()
	var session int
	conn := c.db.Owner(b)
	if err := conn.QueryRow(context.Background(), `SELECT pg_backend_pid()`).Scan(&session); err != nil {
		b.Fatal(err)
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", session))
	if err != nil {
		b.Skip("PostgreSQL is on another machine: its processor time is not known")
	}
	var state string
	var parent int
	if _, err := fmt.Sscan(string(raw[bytes.LastIndexByte(raw, ')')+1:]), &state, &parent); err != nil {
		b.Fatal(err)
	}
	return parent
}

func (b *cost) add(c cost) { b.clock += c.clock; b.here += c.here; b.there += c.there }

func (b cost) report(t *testing.B) {
	n := float64(t.N)
	t.ReportMetric(b.here.Seconds()/n, "s-cpu-server")
	t.ReportMetric(b.there.Seconds()/n, "s-cpu-postgresql")
	t.ReportMetric(b.clock.Seconds()/n, "s")
	t.ReportMetric(0, "ns/op")
}

func benchSizes(b *testing.B) (sizes []int) {
	for text := range strings.SplitSeq(envOr("OVERREAD_FINALS", "10000"), ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		sizes = append(sizes, n)
	}
	return sizes
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// BenchmarkMeasureHTTP is `make bench-measures`: what a client waits for, and what it
// costs, to the last byte of the report, beside the count alone.
func BenchmarkMeasureHTTP(b *testing.B) {
	for _, size := range benchSizes(b) {
		c := nationClinic(b, size)
		postmaster := postmasterOf(b, c)
		for _, by := range [][]string{{"modality", "body-region"}, {"site", "month"}, {"original-reader", "body-region"}, {"site", "second-reader"}, {"original-reader", "second-reader"}} {
			for _, id := range []string{"discrepancy-important", "adjudication-overturn", "turnaround"} {
				name := fmt.Sprintf("%d/%s/%s", size, id, strings.Join(by, "-"))
				d, _ := facts.DefinitionOf(id)
				b.Run(name+"/count", func(b *testing.B) {
					q := facts.Query{Measure: d, From: factstest.January, To: factstest.January.AddDate(1, 0, 0), AsOf: time.Now(), Zone: time.UTC, By: by, Page: 1}
					var sum cost
					for b.Loop() {
						sum.add(costOf(b, postmaster, func() {
							err := c.db.Tenant(b.Context(), c.tenant, func(tx pgx.Tx) error {
								_, err := facts.Count(b.Context(), tx, q)
								return err
							})
							if err != nil {
								b.Fatal(err)
							}
						}))
					}
					sum.report(b)
				})
				b.Run(name+"/http", func(b *testing.B) {
					c.benchAsk(b, postmaster, access.Quality, "/fhir/Measure/"+id+"/$evaluate-measure?periodStart=2025&periodEnd=2025&stratifier="+strings.Join(by, "&stratifier="))
				})
			}
		}
	}
}

func (c *clinic) benchAsk(b *testing.B, postmaster int, as access.Role, path string) {
	var sum cost
	var bytes int64
	for b.Loop() {
		sum.add(costOf(b, postmaster, func() {
			status, size := c.ask(as, path)
			if status != http.StatusOK {
				b.Fatalf("%s: %d", path, status)
			}
			bytes = size
		}))
	}
	sum.report(b)
	b.ReportMetric(float64(bytes)/1e6, "MB")
}
