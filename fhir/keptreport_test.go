package fhir

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
)

// anOlderRelease makes what is kept for auditors what a release would have kept that hid
// nothing: of each scheduled report the exact one, with a mark in it, and in each quarter that is published
// a table by two dimensions with a cell of 4, by rules of before.
func (c *clinic) anOlderRelease(mark string) {
	c.t.Helper()
	owner, ctx := c.db.Owner(c.t), c.t.Context()
	rows, err := owner.Query(ctx, `SELECT k.query_id, k.starts_on::text, k.report FROM kept_report k JOIN saved_query q USING (tenant_id, query_id) WHERE q.role = 'auditor'`)
	if err != nil {
		c.t.Fatal(err)
	}
	type kept struct {
		query  uuid.UUID
		day    string
		report []byte
	}
	var all []kept
	for rows.Next() {
		var k kept
		if err := rows.Scan(&k.query, &k.day, &k.report); err != nil {
			c.t.Fatal(err)
		}
		all = append(all, k)
	}
	if rows.Err() != nil || len(all) == 0 {
		c.t.Fatalf("nothing is kept: %v", rows.Err())
	}
	for _, k := range all {
		report, err := Parse(k.report, Limits{})
		if err != nil {
			c.t.Fatal(err)
		}
		path := "/fhir/Measure/" + strings.TrimPrefix(strings.Split(report.Text("measure"), "|")[0], Canonical+"/Measure/") + "/$evaluate-measure?periodStart=" + report.Text("period", "start") + "&periodEnd=" + report.Text("period", "end")
		for _, code := range textsOf(report.Each("group", "stratifier", "code", "coding", "code")) {
			path += "&stratifier=" + code
		}
		exact := c.do(access.Quality, "GET", path, "")
		if exact.status != http.StatusOK {
			c.t.Fatalf("%s: %d %s", path, exact.status, exact.body)
		}
		exact.node.Append("extension", ownValue("measure-note", "valueString", mark))
		if _, err := owner.Exec(ctx, `UPDATE kept_report SET report = $3 WHERE query_id = $1 AND starts_on = $2::date`, k.query, k.day, exact.node.Bytes()); err != nil {
			c.t.Fatal(err)
		}
	}
	var content []byte
	if err := owner.QueryRow(ctx, `SELECT content FROM measure_publication WHERE starts_on = '2025-01-01'`).Scan(&content); err != nil {
		c.t.Fatal(err)
	}
	var p facts.Publication
	if err := json.Unmarshal(content, &p); err != nil {
		c.t.Fatal(err)
	}
	few := disclosure.Figures{Level: 1, Blocks: []disclosure.Block{{Leaves: facts.Every(), Count: 4}}}
	p.Tables.Pairs = []disclosure.PublishedPair{{Row: "modality", Column: "site", Cells: []disclosure.PublishedCell{{Row: "CT", Column: "site-north", Figures: few}}}}
	if content, err = json.Marshal(p); err != nil {
		c.t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, `UPDATE measure_publication SET content = $1, rules = 1 WHERE starts_on = '2025-01-01'`, content); err != nil {
		c.t.Fatal(err)
	}
}

// What was kept for auditors by rules that hid less is told by those of today: as
// MeasureReport and by the address in the mail, by GET and by POST, and by every way the
// query can be asked besides. The role quality has it as it was kept, and that is recorded.
func TestWhatAnOlderReleaseKeptIsToldAuditorsByTheRulesOfToday(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	c.at("2025-05-02T08:00:00Z")
	kept := map[string][2]string{} // id, link
	for _, measure := range []string{"discrepancy-any", "discrepancy-important", "no-comparison", "adjudication-overturn"} {
		params := []any{"title", "Each quarter", "measure", "Measure/" + measure, "every", "quarter", "mail", "auditor@clinic.example"}
		if strings.HasPrefix(measure, "discrepancy") {
			params = append(params, "stratifier", "site")
		}
		id, link := c.save(access.Auditor, params...)
		kept[measure] = [2]string{id, link}
	}
	c.reportTick()
	before := map[string]response{}
	for measure, q := range kept {
		before[measure] = c.do(access.Auditor, "GET", q[1]+"&startsOn=2025-01-01", "")
	}
	const mark = "kept-by-an-older-release"
	c.anOlderRelease(mark)
	small := func(name string, got response) {
		t.Helper()
		if got.node == nil || got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		for _, n := range everyCount(got.node) {
			if n > 0 && n <= disclosure.Standard.Limit {
				t.Errorf("%s: %d in %s", name, n, got.body)
			}
		}
		if strings.Contains(got.body, mark) {
			t.Errorf("%s is what was kept: %s", name, got.body)
		}
	}
	a := c.auditing([]string{"month", "modality", "site", "second-reader"}, func(map[string]string) bool { return false })
	for measure, q := range kept {
		address := q[1] + "&startsOn=2025-01-01" // as in the mail
		got := c.do(access.Auditor, "GET", address, "")
		small(measure, got)
		small(measure+" by POST", c.do(access.Auditor, "POST", "/fhir/Measure/$saved-query", saving("id", q[0], "startsOn", "2025-01-01")))
		if one, other := everyCount(before[measure].node), everyCount(got.node); !slices.Equal(one, other) || len(one) == 0 && measure != "no-comparison" {
			t.Errorf("%s: what today's rules kept told %v, and now %v", measure, one, other)
		}
		a.hear(measure, got.node)
		stratifiers := map[string][]string{}
		if strings.HasPrefix(measure, "discrepancy") {
			stratifiers["stratifier"] = []string{"site"}
		}
		a.otherWays(measure, stratifiers, got.node) // as files, page and statistics: the same
		exact := c.do(access.Quality, "GET", address, "")
		if exact.status != http.StatusOK || !strings.Contains(exact.body, mark) {
			t.Errorf("%s for quality: %d %s", measure, exact.status, exact.body)
		}
	}
	for _, way := range []string{"csv", "ndjson", "parquet", "saved query", "page", "funnel"} {
		if a.shapes[way] == 0 {
			t.Errorf("nothing was answered as %s", way)
		}
	}
	if n := c.openings("discrepancy-important"); n != 2 { // when it was made exact, and when it was opened as it was kept
		t.Errorf("%d openings are recorded", n)
	}
	pair := c.published("discrepancy-any", "stratifier", "modality", "stratifier", "site")
	if pair.status != http.StatusForbidden || !strings.Contains(pair.body, "rules of an older release") || !strings.Contains(pair.body, "there is a table: modality, site") {
		t.Errorf("a table of old rules: %d %s", pair.status, pair.body)
	}
	for _, path := range []string{"$measure-table?format=csv", "$measure-table?format=parquet", "$statistic-table?format=csv&statistic=standardise&standardBy=site"} {
		if got := c.do(access.Auditor, "GET", "/fhir/Measure/"+path+"&measure=Measure/discrepancy-any&"+firstQuarter+"&stratifier=modality&stratifier=site", ""); got.status < 400 || got.status >= 500 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}
