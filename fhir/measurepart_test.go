package fhir

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/facts"
)

// First by second readers of a national service are more strata than one answer lists: it
// lists the largest, says how many there are, and the others are on further pages. Each is
// what counting in SQL gives.
func TestMoreStrataThanAnAnswerListsAreOnPages(t *testing.T) {
	t.Parallel()
	c := nationClinic(t, 80_000)
	type row struct{ Of, Counted int }
	want := map[string]row{}
	var first, second string
	var one row
	rows, err := c.db.Owner(t).Query(t.Context(), `
		SELECT a.word, b.word, count(*) FILTER (WHERE excluded = 0), count(*) FILTER (WHERE excluded = 0 AND significance = 2)
		FROM measure_fact f
		JOIN measure_word a ON a.tenant_id = f.tenant_id AND a.word_no = original_reader
		JOIN measure_word b ON b.tenant_id = f.tenant_id AND b.word_no = second_reader
		WHERE period_at < '2026-01-01Z'
		GROUP BY 1, 2`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		if err := rows.Scan(&first, &second, &one.Of, &one.Counted); err != nil {
			t.Fatal(err)
		}
		want[first+" "+second] = one
	}
	if rows.Err() != nil || len(want) < 60_000 {
		t.Fatalf("%d %v", len(want), rows.Err())
	}
	c.at("2026-06-01T00:00:00Z")
	const by = "periodStart=2025&periodEnd=2025&stratifier=original-reader&stratifier=second-reader&readers=open"
	file := func(page int) []map[string]string {
		t.Helper()
		got := c.do(access.Quality, "GET", "/fhir/Measure/$measure-table?measure=Measure/discrepancy-important&format=csv&asOf=2026-06-01T00:00:00Z&"+by+"&page="+strconv.Itoa(page), "")
		if got.status != http.StatusOK {
			t.Fatalf("page %d: %d %s", page, got.status, got.body)
		}
		return csvRows(t, got.body)
	}
	got, pages := map[string]row{}, (len(want)+9999)/10000
	for page := 1; page <= pages; page++ {
		if !wholeAttack && page > 1 && page < pages { // the long form reads them all
			continue
		}
		for _, line := range file(page) {
			if line["strata"] != strconv.Itoa(len(want)) || line["note"] != facts.NotePart {
				t.Fatalf("page %d: %v", page, line)
			}
			if line["value_1"] == "" || line["dimension_1"] == "exclusion-reason" || line["dimension_1"] == "no-comparison-reason" {
				continue
			}
			one.Of, _ = strconv.Atoi(line["denominator"])
			one.Counted, _ = strconv.Atoi(line["numerator"])
			got[line["value_1"]+" "+line["value_2"]] = one
		}
	}
	strata := len(want)
	if !wholeAttack {
		listed := strata - 10000*(pages-2)
		maps.DeleteFunc(want, func(key string, _ row) bool { _, there := got[key]; return !there })
		if len(got) != listed {
			t.Errorf("%d strata are on the first and the last page, not %d", len(got), listed)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%d strata are listed on %d pages, of %d: %s", len(got), pages, strata, cmp.Diff(got, want)[:500])
	}
	ask := "/fhir/Measure/discrepancy-important/$evaluate-measure?" + strings.TrimSuffix(by, "&readers=open")
	opened := c.openings("discrepancy-important")
	report := c.do(access.Quality, "GET", ask, "")
	for _, told := range []string{`measure-strata","valueInteger":` + strconv.Itoa(strata), `measure-listed","valueRange":{"low":{"value":1},"high":{"value":10000}}`, "&page=1 sha256:"} {
		if !strings.Contains(report.body, told) {
			t.Errorf("%s is not told: %.3000s", told, report.body)
		}
	}
	if c.openings("discrepancy-important") != opened+1 {
		t.Error("what tells small counts is not recorded as opened")
	}
	for page, code := range map[string]int{strconv.Itoa(pages + 1): http.StatusBadRequest, "0": http.StatusBadRequest, "x": http.StatusBadRequest} {
		if got := c.do(access.Quality, "GET", ask+"&page="+page, ""); got.status != code {
			t.Errorf("page %s: %d %s", page, got.status, got.body)
		}
	}
	few := c.do(access.Quality, "GET", "/fhir/Measure/discrepancy-important/$evaluate-measure?periodStart=2025&periodEnd=2025&stratifier=modality", "")
	if strings.Contains(few.body, "measure-strata") || strings.Contains(few.body, "page=") {
		t.Errorf("a report that has all strata: %.2000s", few.body)
	}
	for page, code := range map[string]int{"1": http.StatusNotFound, "2": http.StatusForbidden} { // nothing is published of it
		if got := c.do(access.Auditor, "GET", ask+"&page="+page, ""); got.status != code {
			t.Errorf("an auditor, page %s: %d %s", page, got.status, got.body)
		}
	}
}
