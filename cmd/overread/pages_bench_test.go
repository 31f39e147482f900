package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkPages asks for every page of every role over HTTP, at a hospital with
// OVERREAD_PAGES (100000) cases. It tells the median time, the CPU time of this process
// (the server, and the client that asks) and of PostgreSQL for each, and the bytes of the
// page: on a machine that others use too, only the CPU times can be compared.
func BenchmarkPages(b *testing.B) {
	cases := 100_000
	if text := os.Getenv("OVERREAD_PAGES"); text != "" {
		cases, _ = strconv.Atoi(text)
	}
	c := newCrowd(b, func(database string) string { return database })
	began := time.Now()
	c.grow(cases)
	b.Logf("%d cases after %v", cases, time.Since(began).Round(time.Second))
	postgres := postmasterOf(b, c)
	weigh := weigher{c, map[string]int{}}
	for _, p := range c.pages() {
		if _, there := c.get(p); !there {
			continue
		}
		b.Run(strings.ReplaceAll(p.name, "/", "|"), func(b *testing.B) {
			body, _ := c.get(p)
			weight := weigh.weight(p, body)
			var took []time.Duration
			size := 0
			ours, theirs := cpuOfUs(b), cpuOf(b, postgres)
			for b.Loop() {
				began := time.Now()
				body, _ := c.get(p)
				took, size = append(took, time.Since(began)), len(body)
			}
			n := float64(len(took))
			slices.Sort(took)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "median-ms")
			b.ReportMetric((cpuOfUs(b)-ours).Seconds()*1000/n, "server-cpu-ms")
			b.ReportMetric((cpuOf(b, postgres)-theirs).Seconds()*1000/n, "postgres-cpu-ms")
			b.ReportMetric(float64(size)/1000, "kB")
			b.ReportMetric(float64(weight)/1000, "kB-in-all") // with style sheet and script
			if weight > mostPage {
				b.Errorf("%s weighs %d bytes", p.name, weight)
			}
		})
	}
}

func cpuOfUs(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// postmasterOf is the process whose children are PostgreSQL's of the crowd.
func postmasterOf(b *testing.B, c *crowd) (pid int) {
	b.Helper()
	var backend int
	if err := c.database.Owner(b).QueryRow(context.Background(), `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		b.Fatal(err)
	}
	return statOf(fmt.Sprint(backend)).parent
}

// cpuOf is what the children of a process have used: PostgreSQL's connections stay open
// while a page is measured.
func cpuOf(b *testing.B, parent int) (all time.Duration) {
	b.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range found {
		if s := statOf(filepath.Base(filepath.Dir(path))); s.parent == parent {
			all += s.used
		}
	}
	return all
}

type processStat struct {
	parent int
	used   time.Duration
}

// statOf reads /proc/PID/stat (proc(5)); a process that has gone has used nothing.
func statOf(pid string) (s processStat) {
	text, err := os.ReadFile("/proc/" + pid + "/schedstat")
	if err == nil { // in nanoseconds, where stat counts hundredths of a second
		ran, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(ran, 10, 64)
		s.used = time.Duration(ns)
	}
	text, err = os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return processStat{}
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	s.parent, _ = strconv.Atoi(fields[1])
	return s
}
