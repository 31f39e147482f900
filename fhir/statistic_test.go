package fhir

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/measure/facts"
)

// stat asks for a statistic of the first quarter of 2025.
func (c *clinic) stat(as access.Role, operation string, params ...string) response {
	c.t.Helper()
	query := "periodStart=2025-01&periodEnd=2025-03"
	for i := 0; i < len(params); i += 2 {
		query += "&" + params[i] + "=" + params[i+1]
	}
	return c.do(as, "GET", "/fhir/Measure/"+operation+"?"+query, "")
}

// headOf is the value of a parameter of an answer; "" where it is not told.
func headOf(n *Node, name string) string {
	for _, p := range n.Get("parameter").Items() {
		if p.Text("name") == name {
			return parameterValue(p).Text()
		}
	}
	return ""
}

func floatOf(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Errorf("%q is no number", text)
	}
	return x
}

// smallOnes are counts of 1 to 10 in an answer.
func smallOnes(n *Node) (found []string) {
	for _, p := range n.Get("parameter").Items() {
		for _, part := range p.Get("part").Items() {
			if name := part.Text("name"); name == "cases" || name == "events" {
				if x, _ := strconv.Atoi(part.Text("valueInteger")); x > 0 && x <= 10 {
					found = append(found, p.Text("name")+" "+name+" "+part.Text("valueInteger"))
				}
			}
		}
	}
	return found
}

func TestStatisticsAreMadeOfWhatEachRoleMaySee(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	for _, tt := range []struct {
		operation string
		params    []string
		heads     []string // that are told to both
		quality   []string // to the role quality alone, who has more
	}{
		{"agreement/$funnel", []string{"stratifier", "site"}, []string{"target", "phi", "tau2", "units", "outside"}, nil},
		{"discrepancy-any/$compare-strata", []string{"stratifier", "site"}, []string{"difference", "low", "high", "z", "p", "chiSquare", "yatesP", "fisherP", "allP"}, nil},
		{"discrepancy-any/$control-chart", nil, []string{"notTold"}, []string{"centre", "mean", "meanRange", "runLengthIn"}},
		{"agreement/$standardise", []string{"stratifier", "site", "standardBy", "modality"}, nil, []string{"rate", "outside"}},
		{"turnaround/$control-chart", nil, nil, []string{"mean", "rangeLimit"}},
		{"agreement/$agreement-of-readers", nil, nil, []string{"measure"}},
	} {
		for _, role := range []access.Role{access.Quality, access.Auditor} {
			got := c.stat(role, tt.operation, tt.params...)
			if got.status != http.StatusOK {
				if role == access.Auditor && len(tt.quality) > 0 {
					continue // of unpublished tables
				}
				t.Errorf("%s for %s: %d %s", tt.operation, role, got.status, got.body)
				continue
			}
			if _, err := Decode([]byte(got.body), "Parameters"); err != nil {
				t.Errorf("%s: not valid: %v", tt.operation, issueLines(err))
			}
			heads := tt.heads
			if role == access.Quality {
				heads = append(append([]string{}, heads...), tt.quality...)
			} else if found := smallOnes(got.node); found != nil {
				t.Errorf("%s for an auditor: %v", tt.operation, found)
			}
			for _, name := range heads {
				if headOf(got.node, name) == "" {
					t.Errorf("%s for %s: no %s in %s", tt.operation, role, name, got.body)
				}
			}
		}
	}
	for _, role := range anybody {
		if role != access.Quality && role != access.Auditor {
			c.stat(role, "agreement/$funnel", "stratifier", "site").want(t, http.StatusForbidden, "forbidden")
		}
	}
}

// Six digits after the point are enough for a figure, and make 0 of a small P.
func TestASmallPIsNotZero(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value float64
		want  string
	}{
		{"qP", 2.14659e-7, "2.147e-07"}, {"p", 1e-200, "1e-200"}, {"allP", 0.0123456789, "0.012346"}, {"p", 0, "0"}, {"tau2", 2.1e-7, "0"}, {"rate", 18.2222222, "18.222222"},
	} {
		got := figureValue(flat.Column{Name: tt.name, Kind: flat.Decimal}, tt.value)
		if text := got.Text("valueDecimal"); text != tt.want {
			t.Errorf("%s %v is told as %s", tt.name, tt.value, text)
		}
		if _, err := Decode([]byte(`{"resourceType":"Parameters","parameter":[`+string(got.Bytes())+`]}`), "Parameters"); err != nil {
			t.Errorf("%s: not valid: %v", got.Bytes(), issueLines(err))
		}
	}
}

func TestAnAuditorHasNoStatisticOfWhatIsNotPublished(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	for _, tt := range [][]string{
		{"agreement/$funnel", "stratifier", "site", "filter", "modality|CT"},
		{"agreement/$funnel", "stratifier", "site", "asOf", "2025-06-01T00:00:00Z"},
		{"agreement/$compare-strata", "stratifier", "second-reader", "readers", "open"},
		{"unread/$funnel", "stratifier", "site"},
		{"agreement/$standardise", "stratifier", "site", "standardBy", "modality", "standardBy", "body-region"},
		{"agreement/$standardise", "stratifier", "site", "standardBy", "priority"},
		{"agreement/$agreement-of-readers"},
		{"turnaround/$control-chart"},
	} {
		c.stat(access.Auditor, tt[0], tt[1:]...).want(t, http.StatusForbidden, "forbidden")
	}
	// Nothing of the 4 important ones: their funnel has no target, and no rate stands in it.
	if got := c.stat(access.Auditor, "discrepancy-important/$funnel", "stratifier", "site"); got.status != http.StatusUnprocessableEntity || strings.Contains(got.body, `"rate"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := c.stat(access.Auditor, "discrepancy-important/$funnel", "stratifier", "site", "target", "2"); got.status != http.StatusOK || headOf(got.node, "units") != "0" || strings.Contains(got.body, `"rate"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestAComparisonIsThatOfTheTwoGroupsByTheirCounts(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	got := c.stat(access.Quality, "discrepancy-any/$compare-strata", "stratifier", "modality", "first", "CT", "second", "MR")
	counts := map[string][2]int{}
	for _, p := range got.node.Get("parameter").Items() {
		row := map[string]string{}
		for _, part := range p.Get("part").Items() {
			row[part.Text("name")] = parameterValue(part).Text()
		}
		if row["value"] != "" {
			counts[row["value"]] = [2]int{int(floatOf(t, row["events"])), int(floatOf(t, row["cases"]))}
		}
	}
	ct, mr := counts["CT"], counts["MR"]
	if len(counts) != 3 || ct[1] == 0 || mr[1] == 0 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	want := 100*float64(ct[0])/float64(ct[1]) - 100*float64(mr[0])/float64(mr[1])
	if x := floatOf(t, headOf(got.node, "difference")); x < want-1e-5 || x > want+1e-5 {
		t.Errorf("the difference is %v, not %v", x, want)
	}
	z, chi := floatOf(t, headOf(got.node, "z")), floatOf(t, headOf(got.node, "chiSquare"))
	if d := z*z - chi; d > 1e-4 || d < -1e-4 || headOf(got.node, "allFreedom") != "2" {
		t.Errorf("z² is %v, chi-square %v: %s", z*z, chi, got.body)
	}
	for _, wrong := range [][]string{{"first", "CT"}, {"first", "CT", "second", "CT"}, {"first", "CT", "second", "XA"}} {
		if got := c.stat(access.Quality, "discrepancy-any/$compare-strata", append([]string{"stratifier", "modality"}, wrong...)...); got.status != http.StatusBadRequest {
			t.Errorf("%v: %d %s", wrong, got.status, got.body)
		}
	}
	for _, wrong := range [][]string{
		{"agreement/$funnel"}, {"agreement/$funnel", "stratifier", "month"}, {"agreement/$funnel", "stratifier", "site", "target", "100"}, {"turnaround/$funnel", "stratifier", "site"},
		{"agreement/$control-chart", "stratifier", "site"}, {"agreement/$control-chart", "odds", "1"}, {"agreement/$control-chart", "baseline", "one"}, {"agreement/$control-chart", "threshold", "0"},
		{"agreement/$standardise"}, {"agreement/$standardise", "stratifier", "site", "standardBy", "site"},
	} {
		if got := c.stat(access.Quality, wrong[0], wrong[1:]...); got.status != http.StatusBadRequest {
			t.Errorf("%v: %d %s", wrong, got.status, got.body)
		}
	}
}

// By one and by two dimensions, all that is observed is expected of all together.
func TestWhatIsExpectedOfAllIsWhatIsObserved(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	for _, by := range [][]string{{"standardBy", "modality"}, {}, {"standardBy", "month", "standardBy", "modality"}} {
		got := c.stat(access.Quality, "discrepancy-any/$standardise", append([]string{"stratifier", "second-reader"}, by...)...)
		observed, expected, cases := 0.0, 0.0, 0.0
		for _, name := range []string{"events", "expected", "cases"} {
			for _, value := range valuesOfPart(got.node, "unit", name) {
				*map[string]*float64{"events": &observed, "expected": &expected, "cases": &cases}[name] += floatOf(t, value)
			}
		}
		if observed != 26 || cases != 448 || expected < 25.999 || expected > 26.001 {
			t.Errorf("by %v: %v observed, %v expected, of %v: %s", by, observed, expected, cases, got.body)
		}
		if strings.Contains(got.body, "reader-one") || len(valuesOfPart(got.node, "unit", "standing")) != 2 {
			t.Errorf("%s", got.body)
		}
	}
}

func TestAStatisticIsAFileTooAndRecordedAsOpened(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	before := c.openings("discrepancy-any")
	got := c.stat(access.Quality, "$statistic-table", "measure", "Measure/discrepancy-any", "statistic", "funnel", "format", "csv", "stratifier", "modality")
	if got.status != http.StatusOK || !strings.Contains(got.body, "whole_phi") || strings.Count(got.body, "\n") != 4 || !strings.Contains(got.body, "CT") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if c.openings("discrepancy-any") != before+1 {
		t.Error("a funnel with counts of few cases is not recorded as opened")
	}
	lines := c.stat(access.Auditor, "$statistic-table", "measure", "Measure/agreement", "statistic", "compare-strata", "format", "ndjson", "stratifier", "site")
	if lines.status != http.StatusOK || strings.Count(lines.body, "\n") != 2 || !strings.Contains(lines.body, "whole_fisher_p") {
		t.Errorf("%d %s", lines.status, lines.body)
	}
	c.stat(access.Quality, "$statistic-table", "measure", "Measure/agreement", "statistic", "horoscope", "format", "csv").want(t, http.StatusBadRequest, "value")
	before = c.openings("agreement-of-readers")
	if got := c.stat(access.Quality, "agreement/$agreement-of-readers"); got.status != http.StatusOK || c.openings("agreement-of-readers") != before+1 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A reader and a third one graded one case: the one as important, the other not.
func TestReadersOfOneCaseAreCompared(t *testing.T) {
	t.Parallel()
	c, first, _ := twoReaders(t, `{"blindAdjudication": true}`)
	id := c.order(chestXray(t, "agreed")...)
	c.tick()
	c.by(first)
	c.read(id)
	c.mustAct(access.Reader, id, "$grade", "discrepancy", missed("important"), "difference", "A nodule is not mentioned.")
	c.mustAct(access.Adjudicator, id, "$claim", "independent", true)
	c.mustAct(access.Adjudicator, id, "$lock", "findings", "third", "impression", "third", "actionable", "urgent")
	c.mustAct(access.Adjudicator, id, "$adjudicate", "decision", "own", "discrepancy", missed("unimportant"), "difference", "A small nodule is not mentioned.")
	c.mustAct(access.Adjudicator, id, "$sign")
	if _, err := c.engine.BuildFacts(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := func(year string) response {
		return c.do(access.Quality, "GET", "/fhir/Measure/agreement/$agreement-of-readers?periodStart="+year+"&periodEnd="+year, "")
	}
	got := ask(c.server.now().Format("2006"))
	for part, want := range map[string]string{"of": "actionable significance anybody", "compared": "0 1 0", "observed": "0"} {
		if values := strings.Join(valuesOfPart(got.node, "rating", part), " "); values != want {
			t.Errorf("%s: %q in %s", part, values, got.body)
		}
	}
	// A second case, with which nobody disagrees: who has two grades is now chosen by their outcome.
	other := c.order(chestXray(t, "alone")...)
	c.tick()
	c.by(first)
	c.read(other)
	c.mustAct(access.Reader, other, "$grade", "agreement", true)
	c.mustAct(access.Reader, other, "$sign")
	got = ask(c.server.now().Format("2006"))
	if fleiss := valuesOfPart(got.node, "rating", "fleiss"); len(fleiss) != 0 || headOf(got.node, "note") != facts.NoteRatings || strings.Join(valuesOfPart(got.node, "rating", "cases"), " ") != "0 2 0" {
		t.Errorf("%s", got.body)
	}
	if values := valuesOfPart(ask("2001").node, "rating", "cases"); strings.Join(values, " ") != "0 0 0" {
		t.Errorf("of another year: %v", values)
	}
}

// What is published, and statistics, are FHIR for the official validator too.
func TestFiguresAndStatisticsAreForTheValidatorToo(t *testing.T) {
	c, e := croydon(t), newEmitted(t)
	for _, d := range facts.Definitions {
		e.sound(c.server, []byte(c.published(d.ID).body))
	}
	for _, ask := range [][]string{
		{"agreement/$funnel", "stratifier", "site"}, {"discrepancy-any/$compare-strata", "stratifier", "modality", "first", "CT", "second", "MR"},
		{"discrepancy-any/$control-chart"}, {"turnaround/$control-chart"}, {"agreement/$standardise", "stratifier", "second-reader"}, {"agreement/$agreement-of-readers"},
	} {
		e.sound(c.server, []byte(c.stat(access.Quality, ask[0], ask[1:]...).body))
	}
	if e.count["sound MeasureReport"] != 10 || e.count["sound Parameters"] != 6 {
		t.Errorf("%v", e.count)
	}
}
