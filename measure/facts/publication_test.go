package facts

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/measure/disclosure"
)

// builtNation is newNation whose facts are said to be all there.
func builtNation(t *testing.T, cases int) nation {
	n := newNation(t, cases)
	n.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO measure_build (tenant_id, done_at) VALUES (overread_tenant(), now())`)
		return err
	})
	return n
}

func (n nation) publish(now time.Time) (published int) {
	n.Helper()
	for {
		one := 0
		err := n.db.Tenant(context.Background(), n.tenant, func(tx pgx.Tx) (err error) {
			one, err = PublishTx(context.Background(), tx, now)
			return err
		})
		if err != nil {
			n.Fatal(err)
		}
		if published += one; one == 0 {
			return published
		}
	}
}

func (n nation) published(days ...string) (p *Publication) {
	n.Helper()
	err := n.db.Tenant(context.Background(), n.tenant, func(tx pgx.Tx) (err error) {
		p, err = PublishedTx(context.Background(), tx, days)
		return err
	})
	if err != nil {
		n.Fatal(err)
	}
	return p
}

func TestAQuarterIsPublishedOnceSomeDaysAfterItsEnd(t *testing.T) {
	t.Parallel()
	n := builtNation(t, 20_000)
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	// At the beginning of 1 May, of which it is, somebody may still be writing.
	for _, step := range []struct {
		now  string
		want int
	}{{"2025-04-30", 0}, {"2025-05-01", 0}, {"2025-05-02", 1}, {"2025-06-01", 0}, {"2026-02-01", 3}, {"2026-02-02", 0}} {
		if got := n.publish(day(step.now)); got != step.want {
			t.Errorf("on %s %d quarters were published, not %d", step.now, got, step.want)
		}
	}
	quarter := n.published("2025-01-01")
	if !quarter.AsOf.Equal(day("2025-05-01")) {
		t.Errorf("as of %s", quarter.AsOf)
	}
	// The whole is what the measure counts as of that moment.
	measure, _ := DefinitionOf("discrepancy-important")
	var counted Table
	err := n.db.Tenant(context.Background(), n.tenant, func(tx pgx.Tx) (err error) {
		counted, err = Count(context.Background(), tx, Query{Measure: measure, From: january, To: day("2025-04-01"), AsOf: day("2025-05-01"), Zone: time.UTC, By: []string{"modality"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	leaves, _ := Numerator(measure.ID)
	if of, _ := quarter.Tables.Total.Of(Every()); of != counted.Denominator {
		t.Errorf("%d cases are published, %d are counted", of, counted.Denominator)
	}
	if important, _ := quarter.Tables.Total.Of(leaves); important != counted.Numerator {
		t.Errorf("%d important ones are published, %d are counted", important, counted.Numerator)
	}
	rows, refused, ok := quarter.By([]string{"modality"})
	if refused != "" || !ok || len(rows) != len(counted.Strata) {
		t.Fatalf("%d rows, %q", len(rows), refused)
	}
	shown := 0
	for i, row := range rows {
		if important, told := row.Figures.Of(leaves); told {
			shown++
			if want := counted.Strata[i].Counts; important != want.Numerator {
				t.Errorf("%v: %d, not %d", row.Key, important, want.Numerator)
			}
		}
	}
	if shown < 4 {
		t.Errorf("of 8 modalities only %d are shown", shown)
	}
	year := n.published("2025-01-01", "2025-04-01", "2025-07-01", "2025-10-01")
	sum := 0
	for _, q := range []string{"2025-01-01", "2025-04-01", "2025-07-01", "2025-10-01"} {
		of, _ := n.published(q).Tables.Total.Of(Every())
		sum += of
	}
	if of, _ := year.Tables.Total.Of(Every()); of != sum {
		t.Errorf("the year has %d cases, its quarters %d", of, sum)
	}
}

// What one pass counts for all tables is what counting row by row gives.
// A tenant that moves from one zone to another has published the first quarter in the one and
// publishes the second in the other: each case is in one of the two, also those of the hours
// between the two midnights, and these are of April.
func TestWhereTheZoneChangesEachCaseIsInOneQuarter(t *testing.T) {
	t.Parallel()
	for _, zones := range [][2]string{{"UTC", "America/New_York"}, {"America/New_York", "Europe/Berlin"}} {
		n := builtNation(t, 20_000)
		zone := func(name string) {
			n.in(func(ctx context.Context, tx pgx.Tx) error {
				_, err := n.db.Owner(t).Exec(ctx, `UPDATE tenant SET policy = jsonb_build_object('calendar', jsonb_build_object('zone', $1::text, 'weekend', jsonb_build_array('sunday')))`, name)
				return err
			})
		}
		zone(zones[0])
		if got := n.publish(time.Date(2025, 5, 3, 0, 0, 0, 0, time.UTC)); got == 0 { // in New York some hours of 2024, too
			t.Fatal("nothing is published")
		}
		zone(zones[1])
		if got := n.publish(time.Date(2025, 8, 3, 0, 0, 0, 0, time.UTC)); got != 1 {
			t.Fatalf("%d quarters", got)
		}
		first, second := n.published("2025-01-01"), n.published("2025-04-01")
		one, _ := first.Tables.Total.Of(Every())
		two, _ := second.Tables.Total.Of(Every())
		old, err := time.LoadLocation(zones[0])
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.LoadLocation(zones[1])
		if err != nil {
			t.Fatal(err)
		}
		var want, late int
		err = n.db.Owner(t).QueryRow(t.Context(), `
			SELECT count(*), count(*) FILTER (WHERE signed_at BETWEEN least($3::timestamptz, $4) AND greatest($3, $4))
			FROM measure_fact WHERE tenant_id = $5 AND excluded = 0 AND signed_at >= $1 AND signed_at < $2`,
			time.Date(2025, 1, 1, 0, 0, 0, 0, old), time.Date(2025, 7, 1, 0, 0, 0, 0, now), time.Date(2025, 4, 1, 0, 0, 0, 0, old), time.Date(2025, 4, 1, 0, 0, 0, 0, now), n.tenant).Scan(&want, &late)
		if err != nil || late == 0 {
			t.Fatalf("%d cases of the hours between: %v", late, err)
		}
		if one+two != want {
			t.Errorf("%v: %d and %d cases are published, not %d", zones, one, two, want)
		}
		var months []string
		rows, _, _ := second.By([]string{Month})
		for _, r := range rows {
			months = append(months, r.Key[0])
		}
		if diff := cmp.Diff([]string{"2025-04", "2025-05", "2025-06"}, months); diff != "" {
			t.Errorf("%v: %s", zones, diff)
		}
	}
}

func TestTablesOfOutcomesAreWhatCountingOneByOneGives(t *testing.T) {
	t.Parallel()
	n := newNation(t, 3000)
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2025, 4, 1, 0, 0, 0, 0, zone)
	q := Query{From: from, To: from.AddDate(0, 3, 0), AsOf: from.AddDate(0, 3, 5), Zone: zone}
	pairs := [][2]string{{"modality", "month"}, {"site", "original-reader"}, {"priority", "setting"}}
	want, got := map[string]int{}, map[string]int{}
	for _, r := range n.rowsAsOf(q.AsOf) {
		if r.period.Before(q.From) || !r.period.Before(q.To) || r.excluded != 0 || r.signed == nil {
			continue
		}
		outcome := 2 * *r.significance
		if r.management != nil && *r.management > 0 {
			outcome++
		}
		r.words[Month] = r.period.In(zone).Format("2006-01")
		want[fmt.Sprint("all ", outcome)]++
		for _, name := range Dimensions() {
			want[fmt.Sprint(name, " ", r.words[name], " ", outcome)]++
		}
		for _, pair := range pairs {
			want[fmt.Sprint(pair, " ", r.words[pair[0]], " ", r.words[pair[1]], " ", outcome)]++
		}
	}
	n.in(func(ctx context.Context, tx pgx.Tx) error {
		words, err := wordsTx(ctx, tx)
		if err != nil {
			return err
		}
		tables, err := q.leaves(ctx, tx, Dimensions(), pairs, words)
		tell := func(key string, counts disclosure.Counts) {
			for outcome, cases := range counts {
				if cases > 0 {
					got[fmt.Sprint(key, " ", outcome)] = cases
				}
			}
		}
		tell("all", tables.total)
		for i, name := range Dimensions() {
			for _, r := range tables.dimensions[i] {
				tell(name+" "+r.key[0], r.counts)
			}
		}
		for i, pair := range pairs {
			for _, r := range tables.pairs[i] {
				tell(fmt.Sprint(pair, " ", r.key[0], " ", r.key[1]), r.counts)
			}
		}
		return err
	})
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 500 {
		t.Errorf("%d counts: %s", len(want), diff)
	}
}

// The key is random: if both replicas' versions stood, each would tell what the other hides.
func TestTwoReplicasPublishAQuarterOnce(t *testing.T) {
	t.Parallel()
	n := builtNation(t, 3000)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { n.publish(time.Date(2025, 5, 2, 0, 0, 0, 0, time.UTC)) })
	}
	both.Wait()
	before := n.published("2025-01-01")
	n.publish(time.Date(2025, 5, 3, 0, 0, 0, 0, time.UTC))
	if diff := cmp.Diff(before, n.published("2025-01-01")); diff != "" {
		t.Error(diff)
	}
}

// Every small count of the tables of a quarter is hidden.
func TestAPublishedQuarterShowsNoSmallCount(t *testing.T) {
	t.Parallel()
	n := builtNation(t, 20_000)
	n.publish(time.Date(2025, 5, 2, 0, 0, 0, 0, time.UTC))
	p := n.published("2025-01-01")
	shown, hidden := 0, 0
	see := func(f disclosure.Figures) {
		if f.Level == 0 {
			hidden++
		}
		for _, b := range f.Blocks {
			shown++
			if b.Count > 0 && b.Count <= disclosure.Standard.Limit {
				t.Errorf("%d is shown", b.Count)
			}
		}
	}
	see(p.Tables.Total)
	for _, d := range p.Tables.Dimensions {
		for _, v := range d.Values {
			see(v.Figures)
		}
	}
	for _, pair := range p.Tables.Pairs {
		for _, c := range pair.Cells {
			see(c.Figures)
		}
	}
	if shown < 100 || hidden == 0 {
		t.Errorf("%d counts are shown, %d rows hidden: the test sees too little", shown, hidden)
	}
}
