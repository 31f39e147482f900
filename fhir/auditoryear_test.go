package fhir

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/linear"
	"github.com/overread/overread/measure/facts"
)

// An auditor who takes their time: queries of each measure are saved before anything is published, the
// clock keeps their reports of each quarter and of the year, and all of it is asked for
// again after grades were amended and cases have come late. What is told of the year, of its
// quarters, before and after, as evaluated and as kept, goes to one solver.

// reads are the ways in which this auditor tells cases apart.
var reads = [][]string{nil, {"modality"}, {"site"}, {"modality", "site"}}

// saveEach saves a query of each measure by each of these for each quarter and each year, and
// returns their addresses with the measure.
func (c *clinic) saveEach() map[string]string {
	c.t.Helper()
	links := map[string]string{}
	for _, d := range facts.Definitions {
		for _, by := range reads {
			for _, every := range []string{"quarter", "year"} {
				params := []any{"title", d.ID, "measure", "Measure/" + d.ID, "every", every}
				for _, name := range by {
					params = append(params, "stratifier", name)
				}
				_, link := c.save(access.Auditor, params...)
				links[link] = d.ID
			}
		}
	}
	return links
}

// openEach opens every report that was kept, and hears it.
func (a *audited) openEach(links map[string]string) (opened int) {
	a.t.Helper()
	for _, q := range a.do(access.Auditor, "GET", "/fhir/Measure/$saved-queries", "").node.Each("parameter") {
		link := ""
		for _, p := range q.Each("part") {
			if p.Text("name") == "link" {
				u, err := url.Parse(p.Text("valueUrl"))
				if err != nil {
					a.t.Fatal(err)
				}
				link = u.RequestURI()
			}
		}
		for _, p := range q.Each("part", "part") {
			if p.Text("name") != "startsOn" {
				continue
			}
			got := a.do(access.Auditor, "GET", link+"&startsOn="+p.Text("valueDate"), "")
			if got.status != http.StatusOK || links[link] == "" {
				a.t.Fatalf("%s: %d %s", link, got.status, got.body)
			}
			a.hear(links[link], got.node)
			opened++
		}
	}
	return opened
}

// askTheYear asks for all quarters, for the year, and for what would tell differences.
func (a *audited) askTheYear() {
	a.t.Helper()
	for _, period := range []string{"periodStart=2025-01&periodEnd=2025-03", "periodStart=2025-04&periodEnd=2025-06", "periodStart=2025-07&periodEnd=2025-09", "periodStart=2025-10&periodEnd=2025-12", "periodStart=2025&periodEnd=2025"} {
		a.askAllOf(period, false)
		for _, more := range []string{"asOf=2025-08-01T00:00:00Z", "asOf=2026-04-01T00:00:00Z", "filter=site%7Csite-north", "zone=America/New_York", "practitioner=Practitioner/1", "readers=open", "page=2", "reportType=subject-list"} {
			want := http.StatusForbidden
			if more == "asOf=2026-04-01T00:00:00Z" && a.server.now().Before(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)) {
				want = http.StatusBadRequest // it is to come
			}
			if got := a.do(access.Auditor, "GET", "/fhir/Measure/discrepancy-any/$evaluate-measure?"+period+"&"+more, ""); got.status != want || strings.Contains(got.body, "population") {
				a.t.Errorf("%s %s: %d %s", period, more, got.status, got.body)
			}
		}
	}
	for _, period := range []string{"periodStart=2025-01&periodEnd=2025-06", "periodStart=2025-01&periodEnd=2025-09", "periodStart=2025-02&periodEnd=2025-04", "periodStart=2025-01&periodEnd=2025-02", "periodStart=2025-03-31&periodEnd=2025-06-30", "periodStart=2025-04&periodEnd=2026-03"} {
		for _, path := range []string{"discrepancy-any/$evaluate-measure?", "discrepancy-any/$control-chart?stratifier=month&", "discrepancy-any/$funnel?stratifier=site&", "$measure-table?format=csv&measure=Measure/discrepancy-any&"} {
			if got := a.do(access.Auditor, "GET", "/fhir/Measure/"+path+period, ""); got.status != http.StatusForbidden && got.status != http.StatusBadRequest {
				a.t.Errorf("%s%s: %d %s", path, period, got.status, got.body)
			}
		}
	}
}

func TestAnAuditorWhoAsksForAYearAndItsQuartersFindsNoSmallCount(t *testing.T) {
	t.Parallel()
	for _, scenario := range []struct{ name, policy, seed string }{
		// One quarter tells its important discrepancies, one has none, two hide four each; of one
		// almost everything is read.
		{"quarters unlike each other", `{"publication": {"dimensions": ["modality", "site"]}}`, `
			UPDATE measure_fact SET significance = 2
			WHERE case_id IN (SELECT case_id FROM measure_fact WHERE excluded = 0 AND significance = 1 AND signed_at >= '2025-04-01Z' AND signed_at < '2025-07-01Z' ORDER BY case_id LIMIT 11);
			UPDATE measure_fact SET significance = 1, management = 0 WHERE significance = 2 AND signed_at >= '2025-07-01Z' AND signed_at < '2025-10-01Z';
			UPDATE measure_fact SET acknowledged_at = signed_at + interval '1 hour' WHERE acknowledged_at IS NULL AND signed_at >= '2025-10-01Z' AND hashtext(case_id::text) % 9 <> 0`},
		// Four times as many, of which there are tables by two dimensions.
		{"four times as many", `{"publication": {"dimensions": ["modality", "site"], "detail": "discrepancy"}}`, `
			INSERT INTO measure_fact SELECT (jsonb_populate_record(f, jsonb_build_object('case_id', gen_random_uuid()))).* FROM measure_fact f, generate_series(1, 3);
			UPDATE measure_fact SET site = 5 WHERE signed_at >= '2025-07-01Z' AND signed_at < '2025-10-01Z' AND hashtext(case_id::text) % 40 <> 0`},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			t.Parallel()
			c := croydonOf(t, 4)
			c.excluding()
			owner := c.db.Owner(t)
			run := func(sql string, args ...any) {
				t.Helper()
				if _, err := owner.Exec(t.Context(), sql, args...); err != nil {
					t.Fatal(err)
				}
			}
			run(`UPDATE tenant SET policy = $1`, scenario.policy)
			run(`BEGIN; SET LOCAL session_replication_role = replica; ` + scenario.seed + `; COMMIT`)
			c.at("2025-04-10T08:00:00Z")
			links := c.saveEach()
			for _, day := range []string{"2025-05-02", "2025-08-02", "2025-11-02", "2026-02-02"} {
				c.at(day + "T08:00:00Z")
				if n, err := c.server.PublishTick(t.Context()); n != 1 || err != nil {
					t.Fatalf("%s: %d %v", day, n, err)
				}
				c.reportTick()
			}
			a := c.auditing([]string{quarterDimension, "modality", "site"}, func(map[string]string) bool { return false })
			kept := a.openEach(links)
			a.askTheYear()
			// Grades are amended, reports are read, cases come late and are excluded: figures that
			// were published stay, and hear holds them to what was so then.
			run(`BEGIN; SET LOCAL session_replication_role = replica;
				INSERT INTO measure_fact_past SELECT f.*, timestamptz '2026-03-01Z' FROM measure_fact f WHERE hashtext(case_id::text) % 5 = 0;
				UPDATE measure_fact SET known_from = '2026-03-01Z', significance = (significance + 1) % 3, acknowledged_at = '2026-03-01Z', excluded = CASE WHEN excluded = 0 AND hashtext(case_id::text) % 25 = 0 THEN 5 ELSE excluded END
				WHERE hashtext(case_id::text) % 5 = 0;
				INSERT INTO measure_fact SELECT (jsonb_populate_record(f, jsonb_build_object('case_id', gen_random_uuid(), 'known_from', '2026-03-02T00:00:00Z'))).* FROM measure_fact f WHERE hashtext(case_id::text) % 7 = 0;
				COMMIT`)
			c.at("2026-04-02T08:00:00Z")
			if _, err := c.server.PublishTick(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.reportTick()
			if again := a.openEach(links); again != kept || kept < 80 {
				t.Errorf("%d reports are kept, and then %d", kept, again)
			}
			a.askTheYear()
			attacked, found := a.solve(false)
			for _, one := range found {
				t.Error(one)
			}
			t.Logf("%d unknowns, %d figures, %d small counts attacked, %d reports kept", len(a.cells), len(a.known), attacked, kept)
			if attacked < 17 || wholeAttack && attacked < 50 || len(a.known) < 200 {
				t.Error("the attack sees too little")
			}
			if !strings.HasPrefix(scenario.name, "quarters") {
				return
			}
			// The year counted at once beside its quarters would tell what they hide: the attack sees that.
			in, _ := populationOf("discrepancy-important", "numerator")
			factors, n := a.sum(nil, in)
			a.known = append(a.known, linear.Row{Factors: factors, Is: float64(n)})
			if _, found := a.solve(true); len(found) == 0 {
				t.Error("the attack does not find what a year beside its quarters gives away")
			}
		})
	}
}
