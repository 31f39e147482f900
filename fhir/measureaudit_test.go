package fhir

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

// cellOf is a cell of a file as JSON has it: text, number, or nil.
func cellOf(text string) any {
	if x, err := strconv.ParseFloat(text, 64); err == nil {
		return x
	}
	return text
}

// An auditor's walk: each measure by each dimension, in each way out, adds up, names its
// intervals and reasons, and is the same wherever it stands.
func TestEachMeasureByEachDimensionIsTheSameInEveryWayOut(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	if _, err := c.db.Owner(t).Exec(t.Context(), `
		UPDATE measure_fact SET excluded = (ARRAY[2, 3, 4, 6])[1 + abs(hashtext(case_id::text)) % 4], significance = NULL, management = NULL
		WHERE abs(hashtext(case_id::text || 'x')) % 9 = 0`); err != nil { // cases of every reason of exclusion
		t.Fatal(err)
	}
	const asOf = "2025-06-01T00:00:00Z"
	auditView(t, c, asOf)
	for _, d := range facts.Definitions {
		for _, by := range append([]string{""}, facts.Dimensions()...) {
			params := []string{"asOf", asOf}
			if by != "" {
				params = append(params, "stratifier", by)
			}
			report := c.stat(access.Quality, d.ID+"/$evaluate-measure", params...)
			name := d.ID + " by " + by
			if report.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, report.status, report.body)
				continue
			}
			auditReport(t, name, d, report.node)
			again := c.stat(access.Quality, d.ID+"/$evaluate-measure", params...)
			if facts.IsReader(by) { // pseudonyms of each answer
				continue
			}
			if one, other := withoutDate(report.body), withoutDate(again.body); one != other {
				t.Errorf("%s is another report as of the same moment:\n%s\n%s", name, one, other)
			}
			auditFiles(t, c, name, d, by, params, report.node)
		}
	}
}

// auditView holds the rows of the flat view to the report: which count, and why others do not.
func auditView(t *testing.T, c *clinic, asOf string) {
	t.Helper()
	report := c.stat(access.Quality, "agreement/$evaluate-measure", "asOf", asOf).node.Each("group")[0]
	want := map[string]int{}
	whole := map[string]any{}
	partRow(report, whole)
	want[""] = whole["denominator"].(int)
	for _, stratum := range report.Each("stratifier")[0].Each("stratum") {
		row := map[string]any{}
		partRow(stratum, row)
		want[stratumValues(stratum)[0]] = row["excluded"].(int)
	}
	got := map[string]int{}
	for _, row := range csvRows(t, c.stat(access.Quality, "$flat-view", "view", "cases", "format", "csv", "asOf", asOf).body) {
		got[row["excluded"]]++
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 5 {
		t.Errorf("rows of the view by why they do not count: %s", diff)
	}
}

func withoutDate(body string) string {
	before, rest, _ := strings.Cut(body, `"date":"`)
	_, after, _ := strings.Cut(rest, `"`)
	return before + after
}

// auditReport holds a report to its own figures.
func auditReport(t *testing.T, name string, d facts.Definition, report *Node) {
	t.Helper()
	method, _ := reportRead(report)
	if want := map[bool]string{true: "brookmeyer-crowley", false: "wilson"}[d.Timed()]; method != want {
		t.Errorf("%s: intervals are named %q", name, method)
	}
	for _, group := range report.Each("group") {
		whole := map[string]any{}
		partRow(group, whole)
		sums := map[string]map[string]int{}
		for _, stratifier := range group.Each("stratifier") {
			dimension := stratifier.Text("code", "coding", "code")
			sums[dimension] = map[string]int{}
			for _, stratum := range stratifier.Each("stratum") {
				row := map[string]any{}
				partRow(stratum, row)
				for _, column := range []string{"initial_population", "denominator", "excluded", "numerator"} {
					n, _ := row[column].(int)
					sums[dimension][column] += n
				}
				auditShare(t, name, d, row)
			}
		}
		excluded, _ := whole["excluded"].(int)
		if initial, of := whole["initial_population"].(int), whole["denominator"].(int); initial != of+excluded || excluded > 0 && sums["exclusion-reason"]["excluded"] != excluded {
			t.Errorf("%s: %v of which by reason %v", name, whole, sums["exclusion-reason"])
		}
		auditShare(t, name, d, whole)
		for dimension, sum := range sums {
			if dimension == "exclusion-reason" || dimension == "no-comparison-reason" {
				continue
			}
			for column, n := range sum {
				if n != whole[column] {
					t.Errorf("%s: strata have %d of %s, the whole %v", name, n, column, whole[column])
				}
			}
		}
	}
}

// auditShare is a rate with the interval of Wilson, worked out from its counts.
func auditShare(t *testing.T, name string, d facts.Definition, row map[string]any) {
	t.Helper()
	of, _ := row["denominator"].(int)
	counted, _ := row["numerator"].(int)
	if d.Timed() || of == 0 {
		return
	}
	i, err := measure.Wilson(counted, of, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	for column, want := range map[string]float64{"score": 100 * float64(counted) / float64(of), "low": 100 * i.Low, "high": 100 * i.High} {
		if got, ok := row[column].(float64); !ok || got-want > 1e-6 || want-got > 1e-6 {
			t.Errorf("%s: %s of %d in %d is %v, not %v", name, column, counted, of, row[column], want)
		}
	}
}

// auditFiles holds the files to the report.
func auditFiles(t *testing.T, c *clinic, name string, d facts.Definition, by string, params []string, report *Node) {
	t.Helper()
	table, err := reportTable(report)
	if err != nil {
		t.Fatal(err)
	}
	query := append([]string{"measure", "Measure/" + d.ID, "format", "csv"}, params...)
	rows := csvRows(t, c.stat(access.Quality, "$measure-table", query...).body)
	if len(rows) != len(table.Rows) {
		t.Fatalf("%s: %d rows of a file, %d of the report", name, len(rows), len(table.Rows))
	}
	for i, line := range table.Rows {
		for at, column := range table.Columns {
			if want := line[at]; column.Kind != "dateTime" && column.Name != "as_of" && want != nil && fmt.Sprint(cellOf(rows[i][column.Name])) != fmt.Sprint(cellOf(fmt.Sprint(want))) {
				t.Errorf("%s: %s of line %d is %q in CSV, %v in the report", name, column.Name, i, rows[i][column.Name], want)
			}
		}
	}
	lines := c.stat(access.Quality, "$measure-table", slices.Replace(slices.Clone(query), 3, 4, "ndjson")...)
	if strings.Count(lines.body, "\n") != len(rows) {
		t.Errorf("%s: %d lines of NDJSON, %d of CSV", name, strings.Count(lines.body, "\n"), len(rows))
	}
	if parquet := c.stat(access.Quality, "$measure-table", slices.Replace(slices.Clone(query), 3, 4, "parquet")...); !strings.HasPrefix(parquet.body, "PAR1") {
		t.Errorf("%s: no Parquet: %d", name, parquet.status)
	}
}
