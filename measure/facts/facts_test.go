package facts

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/measure/facts/factstest"
	"github.com/overread/overread/workflow"
)

// nation is a database with made-up facts of one tenant, a year of them, and some of
// another tenant.
type nation struct {
	testing.TB
	db     *pgtest.Database
	tenant uuid.UUID
}

// january is the beginning of the year of the cases.
var january = factstest.January

// newNation makes so many cases; of one in fifty something else was known before.
func newNation(t testing.TB, cases int) nation {
	t.Helper()
	n := nation{t, pgtest.New(t), uuid.Nil}
	n.tenant = pgtest.AddTenant(t, n.db, "north")
	south := pgtest.AddTenant(t, n.db, "south")
	factstest.Fill(t, n.db, n.tenant, cases)
	factstest.Fill(t, n.db, south, cases/20+1)
	return n
}

func (n nation) in(fn func(ctx context.Context, tx pgx.Tx) error) {
	n.Helper()
	ctx := context.Background()
	if err := n.db.Tenant(ctx, n.tenant, func(tx pgx.Tx) error { return fn(ctx, tx) }); err != nil {
		n.Fatal(err)
	}
}

func (n nation) count(q Query) (t Table) {
	n.Helper()
	n.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		t, err = Count(ctx, tx, q)
		return err
	})
	return t
}

func measureNamed(t testing.TB, id string) Definition {
	t.Helper()
	d, ok := DefinitionOf(id)
	if !ok {
		t.Fatal(id)
	}
	return d
}

// row is a fact as a test reads it, one by one.
type row struct {
	period, opened                                       time.Time
	signed, acknowledged                                 *time.Time
	excluded                                             int
	significance, management, reader, adjudicator, right *int
	words                                                map[string]string
}

// rowsAsOf are all facts as of a moment, found without what is tested.
func (n nation) rowsAsOf(at time.Time) (all []row) {
	n.in(func(ctx context.Context, tx pgx.Tx) error {
		columns := "period_at, opened_at, signed_at, acknowledged_at, excluded, significance, management, reader_level, adjudicator_level, verified"
		for _, d := range workflow.FactDimensions {
			columns += ", (SELECT word FROM measure_word WHERE word_no = " + d.Column + ")"
		}
		found, err := tx.Query(ctx, `SELECT `+columns+` FROM measure_fact WHERE known_from <= $1
			UNION ALL SELECT `+columns+` FROM measure_fact_past WHERE known_from <= $1 AND $1 < known_until`, at)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(found, func(c pgx.CollectableRow) (r row, err error) {
			words := make([]string, len(workflow.FactDimensions))
			into := []any{&r.period, &r.opened, &r.signed, &r.acknowledged, &r.excluded, &r.significance, &r.management, &r.reader, &r.adjudicator, &r.right}
			for i := range words {
				into = append(into, &words[i])
			}
			err = c.Scan(into...)
			r.words = map[string]string{}
			for i, d := range workflow.FactDimensions {
				r.words[d.Name] = words[i]
			}
			return r, err
		})
		return err
	})
	return all
}

// judged is how a row counts for a measure, as the documents say it: the reason of
// exclusion, or whether it is in the numerator.
func judged(id string, r row) (reason string, numerator bool) {
	reason = []string{"", "not-final", "cancelled", "entered-in-error", "no-comparison", "same-study", "quality-sample"}[r.excluded]
	keep := func(codes ...string) {
		if !slices.Contains(codes, reason) {
			reason = ""
		}
	}
	if reason == "" && id == "adjudication-overturn" && (r.reader == nil || r.adjudicator == nil) {
		reason = "not-adjudicated"
	}
	if reason == "" && id == "second-opinion-correct" {
		switch {
		case *r.significance == 0:
			reason = "no-discrepancy"
		case r.right == nil:
			reason = "not-verified"
		case *r.right == 0:
			reason = "undetermined"
		}
	}
	switch id {
	case "no-comparison":
		keep("not-final", "cancelled", "entered-in-error", "quality-sample", "same-study")
	case "unread", "acknowledgement":
		keep("not-final", "cancelled", "entered-in-error", "quality-sample")
	case "turnaround":
		keep("cancelled", "entered-in-error", "quality-sample")
	}
	if reason != "" {
		return reason, false
	}
	switch id {
	case "discrepancy-any":
		return "", *r.significance > 0
	case "discrepancy-important":
		return "", *r.significance == 2
	case "discrepancy-management":
		return "", r.management != nil && *r.management > 0
	case "agreement":
		return "", *r.significance == 0
	case "no-comparison":
		return "", r.excluded == 4
	case "adjudication-overturn":
		return "", *r.reader != *r.adjudicator
	case "second-opinion-correct":
		return "", *r.right == 2
	case "unread":
		return "", r.acknowledged == nil
	case "turnaround":
		return "", r.signed != nil
	case "acknowledgement":
		return "", r.acknowledged != nil
	}
	return "", false
}

// Every measure, by every dimension and some pairs, over whole and broken periods, as of
// several moments: what one pass of SQL counts is what counting row by row gives.
func TestCountsAreWhatCountingOneByOneGives(t *testing.T) {
	t.Parallel()
	n := newNation(t, 3000)
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	moments := []time.Time{january.AddDate(0, 4, 0), january.AddDate(0, 9, 3), january.AddDate(2, 0, 0)}
	known := map[time.Time][]row{}
	for _, at := range moments {
		known[at] = n.rowsAsOf(at)
	}
	for i, d := range Definitions {
		for j, by := range append([]string{""}, Dimensions()...) {
			from := time.Date(2025, time.Month(1+r.IntN(6)), 1+r.IntN(20), 0, 0, 0, 0, zone)
			q := Query{Measure: d, From: from, To: from.AddDate(0, 1+r.IntN(9), r.IntN(9)), AsOf: moments[(i+j)%3], Zone: zone, Where: map[string]string{}}
			if by != "" {
				q.By = append(q.By, by)
				if other := Dimensions()[r.IntN(len(Dimensions()))]; other != by && j%2 == 0 {
					q.By = append(q.By, other)
				}
			}
			if j%5 == 1 {
				q.Where["modality"] = "w0002"
			}
			want := byHand(q, known[q.AsOf])
			got := n.count(q)
			if diff := cmp.Diff(want, flat(got)); diff != "" {
				t.Fatalf("%s by %v from %s to %s: %s", d.ID, q.By, q.From, q.To, diff)
			}
		}
	}
}

// flat is a table as counts by text.
func flat(t Table) map[string]int {
	counts := map[string]int{"initial": t.Initial, "denominator": t.Denominator, "numerator": t.Numerator}
	for _, r := range t.Reasons {
		counts["excluded "+r.Code] += r.Cases
	}
	for _, s := range t.Strata {
		key := strings.Join(s.Key, " ")
		counts[key+" initial"], counts[key+" denominator"], counts[key+" numerator"] = s.Initial, s.Denominator, s.Numerator
	}
	for i, line := range t.Pairs {
		for j, k := range line {
			counts[fmt.Sprint("pair ", i, j)] += k
		}
	}
	for key, k := range counts {
		if k == 0 {
			delete(counts, key)
		}
	}
	return counts
}

func byHand(q Query, all []row) map[string]int {
	counts := map[string]int{}
	for _, r := range all {
		basis := r.period
		if q.Measure.ID == "turnaround" {
			basis = r.opened
		}
		if basis.Before(q.From) || !basis.Before(q.To) || q.Where["modality"] != "" && r.words["modality"] != q.Where["modality"] {
			continue
		}
		var key []string
		for _, name := range q.By {
			if name == Month {
				key = append(key, basis.In(q.Zone).Format("2006-01"))
				continue
			}
			key = append(key, r.words[name])
		}
		groups := []string{""}
		if len(key) > 0 {
			groups = append(groups, strings.Join(key, " ")+" ")
		}
		reason, numerator := judged(q.Measure.ID, r)
		for _, g := range groups {
			counts[g+"initial"]++
			if reason == "" {
				counts[g+"denominator"]++
			}
			if numerator {
				counts[g+"numerator"]++
			}
		}
		if reason != "" {
			counts["excluded "+reason]++
		}
		if reason == "" && q.Measure.Pairs {
			counts[fmt.Sprint("pair ", *r.reader, *r.adjudicator)]++
		}
	}
	return counts
}

func TestDurationsAreThoseOfTheCasesAndOpenOnesAreOpen(t *testing.T) {
	t.Parallel()
	n := newNation(t, 1000)
	at := january.AddDate(0, 9, 0)
	q := Query{Measure: measureNamed(t, "turnaround"), From: january.AddDate(0, -1, 0), To: january.AddDate(1, 0, 0), AsOf: at, Zone: time.UTC, By: []string{"modality"}}
	want := map[string]int{}
	for _, r := range n.rowsAsOf(at) {
		if reason, _ := judged("turnaround", r); reason != "" {
			continue
		}
		end, state := at, "open"
		if r.signed != nil {
			end, state = *r.signed, "ended"
		}
		want[fmt.Sprintf("%s %s %.0f", r.words["modality"], state, max(0, ceilMinutes(end.Sub(r.opened))))]++
	}
	got, together := map[string]int{}, map[string]int{}
	table := n.count(q)
	for _, s := range table.Strata {
		tell(got, s.Key[0]+" ", s.Durations)
		tell(together, "", s.Durations)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	whole := map[string]int{}
	tell(whole, "", table.Durations)
	if diff := cmp.Diff(together, whole); diff != "" {
		t.Errorf("the whole: %s", diff)
	}
	if !slices.IsSortedFunc(table.Durations, func(a, b Duration) int { return a.Minutes - b.Minutes }) {
		t.Error("the whole is in no order")
	}
}

func tell(counts map[string]int, key string, durations []Duration) {
	for _, d := range durations {
		if d.Ended > 0 {
			counts[fmt.Sprintf("%sended %d", key, d.Minutes)] += d.Ended
		}
		if d.Open > 0 {
			counts[fmt.Sprintf("%sopen %d", key, d.Minutes)] += d.Open
		}
	}
}

func ceilMinutes(d time.Duration) float64 {
	m := d.Minutes()
	if m > float64(int(m)) {
		return float64(int(m) + 1)
	}
	return m
}

func TestAQueryThatAsksForWhatThereIsNotIsRefused(t *testing.T) {
	t.Parallel()
	n := newNation(t, 10)
	good := Query{Measure: measureNamed(t, "agreement"), From: january, To: january.AddDate(1, 0, 0), AsOf: january.AddDate(1, 0, 0), Zone: time.UTC}
	for name, spoil := range map[string]func(*Query){
		"a period that ends before it begins": func(q *Query) { q.To = q.From },
		"a period of a century":               func(q *Query) { q.To = q.From.AddDate(100, 0, 0) },
		"three dimensions":                    func(q *Query) { q.By = []string{"modality", "site", "month"} },
		"one dimension twice":                 func(q *Query) { q.By = []string{"site", "site"} },
		"an unknown dimension":                func(q *Query) { q.By = []string{"case_id"} },
		"a filter by what is none":            func(q *Query) { q.Where = map[string]string{"month": "2025-01"} },
	} {
		q := good
		spoil(&q)
		err := n.db.Tenant(t.Context(), n.tenant, func(tx pgx.Tx) error { _, err := Count(t.Context(), tx, q); return err })
		if !fault.Is(err, fault.Value) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkCount is `make bench-measures`: facts of a year, by pairs of dimensions.
func BenchmarkCount(b *testing.B) {
	sizes := []int{10_000}
	if text := os.Getenv("OVERREAD_FINALS"); text != "" {
		sizes = nil
		for size := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(size)
			if err != nil {
				b.Fatal(err)
			}
			sizes = append(sizes, n)
		}
	}
	for _, size := range sizes {
		n := newNation(b, size)
		for _, by := range [][]string{{"modality", "body-region"}, {"site", "month"}, {"site", "modality"}, {"second-reader", "month"}, {"original-reader", "modality"}, {"original-reader", "body-region"}} {
			for _, id := range []string{"discrepancy-important", "turnaround"} {
				b.Run(fmt.Sprintf("%d/%s/%s", size, id, strings.Join(by, "-")), func(b *testing.B) {
					q := Query{Measure: measureNamed(b, id), From: january, To: january.AddDate(1, 0, 0), AsOf: january.AddDate(1, 1, 0), Zone: time.UTC, By: by}
					for b.Loop() {
						if got := n.count(q); len(got.Strata) == 0 {
							b.Fatal("nothing was counted")
						}
					}
				})
			}
		}
	}
}
