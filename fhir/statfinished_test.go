package fhir

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/facts"
)

// monthsOf are the rows of a chart by month.
func monthsOf(n *Node) map[string]map[string]string {
	rows := map[string]map[string]string{}
	for _, p := range n.Get("parameter").Items() {
		if p.Text("name") != "month" {
			continue
		}
		row := map[string]string{}
		for _, part := range p.Each("part") {
			row[part.Text("name")] = parameterValue(part).Text()
		}
		rows[row["value"]] = row
	}
	return rows
}

// A chart of a period that has not ended is that of the months before, and the month that runs is
// shown beside them without limits, steps, sums and signals.
func TestAMonthThatIsNotFinishedIsShownAndNotJudged(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	const asOf = "2025-03-20T00:00:00Z"
	judged := []string{"low", "high", "signal", "xLow", "xHigh", "range", "xSignal", "cusum", "cusumSignal"}
	c.sql(`UPDATE measure_fact SET known_from = '2025-01-01'`)
	for _, measure := range []string{"discrepancy-any", "agreement", "no-comparison", "turnaround"} {
		got := c.stat(access.Quality, measure+"/$control-chart", "asOf", asOf)
		before := c.do(access.Quality, "GET", "/fhir/Measure/"+measure+"/$control-chart?periodStart=2025-01&periodEnd=2025-02&asOf="+asOf, "")
		if got.status != http.StatusOK || before.status != http.StatusOK {
			t.Fatalf("%s: %d %s %s", measure, got.status, got.body, before.body)
		}
		rows, finished := monthsOf(got.node), monthsOf(before.node)
		march := rows["2025-03"]
		if march["notFinished"] != monthRuns || march["cases"] == "" || headOf(got.node, "notFinished") != "1" || headOf(got.node, "notTold") != "0" || headOf(got.node, "baseline") != "2" {
			t.Errorf("%s: %s", measure, got.body)
		}
		for _, name := range judged {
			if march[name] != "" {
				t.Errorf("%s: the month that runs has %s %s", measure, name, march[name])
			}
		}
		for _, name := range []string{"centre", "mean", "meanRange", "rangeLimit", "monthSize", "runLengthIn", "runLengthOut", "signals"} {
			if headOf(got.node, name) != headOf(before.node, name) {
				t.Errorf("%s: %s is %s, and of the finished months alone %s", measure, name, headOf(got.node, name), headOf(before.node, name))
			}
		}
		for _, month := range []string{"2025-01", "2025-02"} {
			for name, value := range finished[month] {
				if rows[month][name] != value {
					t.Errorf("%s: %s of %s is %s, not %s", measure, name, month, rows[month][name], value)
				}
			}
		}
	}
	// A part of a month is none, and what is known later is waited for.
	part := c.do(access.Quality, "GET", "/fhir/Measure/discrepancy-any/$control-chart?periodStart=2025-01-15&periodEnd=2025-03-31&asOf=2025-05-01T00:00:00Z", "")
	if rows := monthsOf(part.node); rows["2025-01"]["notFinished"] != partOfMonth || rows["2025-01"]["low"] != "" || rows["2025-03"]["notFinished"] != "" || rows["2025-03"]["low"] == "" {
		t.Errorf("%s", part.body)
	}
	for measure, days := range map[string]string{"unread": "2025-04-20T00:00:00Z", "adjudication-overturn": "2025-04-20T00:00:00Z", "second-opinion-correct": "2025-04-20T00:00:00Z", "turnaround": "2025-04-01T06:00:00Z", "acknowledgement": "2025-04-01T00:30:00Z"} {
		if rows := monthsOf(c.stat(access.Quality, measure+"/$control-chart", "asOf", days).node); rows["2025-03"]["notFinished"] != moreToFollow || rows["2025-03"]["cusum"]+rows["2025-03"]["xLow"] != "" {
			t.Errorf("%s as of %s: %v", measure, days, rows)
		}
		if rows := monthsOf(c.stat(access.Quality, measure+"/$control-chart", "asOf", "2025-05-02T00:00:00Z").node); rows["2025-03"]["notFinished"] != "" || rows["2025-03"]["xLow"] == "" {
			t.Errorf("%s: %v", measure, rows)
		}
	}
	// Where fewer than 5 are expected three sigma is rough, and the answer says of how many months.
	for measure, rough := range map[string]string{"discrepancy-any": "", "turnaround": ""} {
		got := c.stat(access.Quality, measure+"/$control-chart", "asOf", "2025-05-02T00:00:00Z")
		if rate := headOf(got.node, "centre"); rate != "" {
			p, err := strconv.ParseFloat(rate, 64)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, row := range monthsOf(got.node) {
				if cases, _ := strconv.Atoi(row["cases"]); float64(cases)*min(p/100, 1-p/100) < 5 {
					n++
				}
			}
			rough = strconv.Itoa(n)
		}
		if headOf(got.node, "roughLimits") != rough {
			t.Errorf("%s: %s", measure, got.body)
		}
		if timed := measure == "turnaround"; (headOf(got.node, "odds") == "") != timed {
			t.Errorf("%s: %s", measure, got.body)
		}
	}
	if got := c.stat(access.Quality, "no-comparison/$control-chart", "asOf", "2025-05-02T00:00:00Z"); headOf(got.node, "roughLimits") != "3" {
		t.Errorf("%s", got.body)
	}
	// A month without a case of the measure is no month that has not ended.
	if none := c.stat(access.Quality, "discrepancy-any/$control-chart", "filter", "modality|none"); none.status != http.StatusUnprocessableEntity || !strings.Contains(none.body, "without a case") {
		t.Errorf("%d %s", none.status, none.body)
	}
	// Published months are all finished.
	if got := c.stat(access.Auditor, "discrepancy-any/$evaluate-measure", "stratifier", "month"); got.status != http.StatusOK || !strings.Contains(got.body, "2025-03") || strings.Contains(got.body, "not-finished") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// The report, both files, the page and a funnel over such a period say so too.
func TestWhatIsNotFinishedIsMarkedInEveryWayOut(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	c.sql(`UPDATE measure_fact SET known_from = '2025-01-01'`)
	const asOf = "2025-03-20T00:00:00Z"
	report := c.stat(access.Quality, "discrepancy-any/$evaluate-measure", "stratifier", "month", "asOf", asOf)
	if strings.Count(report.body, "measure-not-finished") != 1 || !strings.Contains(report.body, facts.NoteRuns) {
		t.Errorf("%s", report.body)
	}
	if _, err := Decode([]byte(report.body), "MeasureReport"); err != nil {
		t.Error(issueLines(err))
	}
	two := c.stat(access.Quality, "turnaround/$evaluate-measure", "stratifier", "modality", "stratifier", "month", "asOf", asOf)
	if n := strings.Count(two.body, `"valueCode":"month-runs"`); n != 3*3 { // of three modalities, in three percentiles
		t.Errorf("%d in %s", n, two.body)
	}
	if ended := c.stat(access.Quality, "discrepancy-any/$evaluate-measure", "stratifier", "month", "asOf", "2025-04-01T00:00:00Z"); strings.Contains(ended.body, "not-finished") || strings.Contains(ended.body, facts.NoteRuns) {
		t.Errorf("of an ended period: %s", ended.body)
	}
	for _, ask := range [][]string{{"$measure-table", "stratifier", "month"}, {"$statistic-table", "statistic", "control-chart"}} {
		file := c.stat(access.Quality, ask[0], append(ask[1:], "measure", "Measure/discrepancy-any", "format", "csv", "asOf", asOf)...)
		lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file.body, "\ufeff"))).ReadAll()
		if err != nil || file.status != http.StatusOK {
			t.Fatalf("%v %s", err, file.body)
		}
		at := slices.Index(lines[0], "not_finished")
		if at < 0 || lines[len(lines)-1][at] != monthRuns && !strings.Contains(file.body, monthRuns) || strings.Count(file.body, monthRuns) != 1 {
			t.Errorf("%s", file.body)
		}
	}
	if funnel := c.stat(access.Quality, "discrepancy-any/$funnel", "stratifier", "site", "asOf", asOf); headOf(funnel.node, "notFinished") != "true" {
		t.Errorf("%s", funnel.body)
	}
	f, err := c.server.Figures(t.Context(), access.Actor{Tenant: c.tenant, ID: uuid.New(), Role: access.Quality, Display: "somebody"}, map[string][]string{
		"measure": {"Measure/discrepancy-any"}, "periodStart": {"2025-01"}, "periodEnd": {"2025-03"}, "stratifier": {"month"}, "asOf": {asOf}}, Asked{})
	if err != nil || len(f.Statistics) != 1 || !slices.Contains(f.Statistics[0].Columns, "notFinished") || !slices.Contains(f.Notes, facts.NoteRuns) || f.Rows[2].NotFinished != monthRuns || f.Rows[1].NotFinished != "" {
		t.Errorf("%v %+v", err, f)
	}
}
