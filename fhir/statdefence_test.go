package fhir

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

// What an auditor would attack first: figures of cases that were chosen by their outcome,
// run lengths of another chart, an order that gives readers away.

// Of 448 cases 112 have a third reader's grade: their kappa would be that of the choice.
func TestThereIsNoKappaAmongCasesThatWereChosenForAThirdReader(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	ask := "/fhir/Measure/$measure-table?measure=Measure/adjudication-overturn&periodStart=2025-01&periodEnd=2025-03&format=csv"
	report := c.stat(access.Quality, "adjudication-overturn/$evaluate-measure")
	if strings.Contains(report.body, "/measure-kappa") || strings.Count(report.body, facts.NoteSelected) != 1 {
		t.Errorf("%s", report.body)
	}
	if _, err := Decode([]byte(report.body), "MeasureReport"); err != nil {
		t.Error(issueLines(err))
	}
	if row := csvRows(t, c.do(access.Quality, "GET", ask, "").body)[0]; row["kappa"] != "" || row["note"] != facts.NoteSelected || row["interval_method"] != "wilson" {
		t.Errorf("%v", row)
	}
	if _, err := c.db.Owner(t).Exec(t.Context(), `UPDATE measure_fact SET excluded = 3 WHERE adjudicator_level IS NULL`); err != nil {
		t.Fatal(err)
	}
	report = c.stat(access.Quality, "adjudication-overturn/$evaluate-measure")
	if strings.Count(report.body, "measure-note") != 1 || !strings.Contains(report.body, facts.NoteMargins) || strings.Count(report.body, "/measure-kappa") != 4 {
		t.Errorf("where all have both grades: %s", report.body)
	}
	// The file has the figures of the report.
	row := csvRows(t, c.do(access.Quality, "GET", ask, "").body)[0]
	for _, e := range report.node.Each("group", "extension") {
		name := strings.ReplaceAll(strings.TrimPrefix(e.Text("url"), Canonical+"/StructureDefinition/measure-"), "-", "_")
		if want := e.Text("valueQuantity", "value"); row[name] != want || want == "" || (row[name+"_low"] == "" || row[name+"_high"] == "") != (name == "kappa_margins") {
			t.Errorf("%s is %q, in the report %q", name, row[name], want)
		}
	}
}

func TestAsymmetryIsKnownOfDiscrepanciesAloneAndComparesNothing(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	for _, tt := range [][]string{
		{"discrepancy-any/$funnel", "stratifier", "asymmetry"}, {"agreement/$compare-strata", "stratifier", "asymmetry"}, {"discrepancy-important/$standardise", "stratifier", "asymmetry"},
		{"discrepancy-any/$standardise", "stratifier", "site", "standardBy", "asymmetry"}, {"discrepancy-any/$funnel", "stratifier", "site", "filter", "asymmetry%7Cno"},
	} {
		for _, role := range []access.Role{access.Quality, access.Auditor} {
			if role == access.Auditor && slices.Contains(tt, "filter") {
				continue // refused before
			}
			got := c.stat(role, tt[0], tt[1:]...)
			if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, facts.NoteAsymmetry) || !strings.Contains(got.body, "Parameters.parameter.where(name = '") {
				t.Errorf("%v for %s: %d %s", tt, role, got.status, got.body)
			}
		}
	}
	if got := c.stat(access.Quality, "second-opinion-correct/$compare-strata", "stratifier", "asymmetry"); got.status != http.StatusOK {
		t.Errorf("of discrepancies alone: %d %s", got.status, got.body)
	}
	for measure, said := range map[string]int{"agreement": 1, "second-opinion-correct": 0} {
		for _, role := range []access.Role{access.Quality, access.Auditor} {
			if got := c.stat(role, measure+"/$evaluate-measure", "stratifier", "asymmetry"); got.status == http.StatusOK && strings.Count(got.body, facts.NoteAsymmetry) != said {
				t.Errorf("%s for %s: %s", measure, role, got.body)
			}
		}
	}
}

// Readers stand in the order of their pseudonyms: in that of their ids, which is the same
// in each answer, two answers could be joined line by line.
func TestReadersStandInNoOrderOfTheirIDs(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	for _, ask := range [][]string{
		{"agreement/$evaluate-measure", "stratifier", "second-reader"}, {"turnaround/$evaluate-measure", "stratifier", "second-reader"},
		{"agreement/$evaluate-measure", "stratifier", "modality", "stratifier", "second-reader"}, {"agreement/$evaluate-measure", "stratifier", "second-reader", "stratifier", "modality"},
	} {
		for range 8 {
			got := c.stat(access.Quality, ask[0], ask[1:]...)
			for _, group := range got.node.Each("group") {
				var texts []string
				for _, stratum := range group.Each("stratifier")[0].Each("stratum") {
					texts = append(texts, strings.Join(stratumValues(stratum), "\x00"))
				}
				if len(texts) < 2 || !slices.IsSorted(texts) {
					t.Fatalf("%v: %q", ask, texts)
				}
			}
		}
	}
}

func TestTwoReadersAreComparedByTheirNamesAndNotByPseudonyms(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	got := c.stat(access.Quality, "agreement/$compare-strata", "stratifier", "second-reader")
	names := valuesOfPart(got.node, "group", "value")
	if len(names) != 2 || headOf(got.node, "difference") == "" {
		t.Fatalf("two readers in one answer: %s", got.body)
	}
	for role, status := range map[access.Role]int{access.Quality: http.StatusBadRequest, access.Auditor: http.StatusForbidden} {
		if got := c.stat(role, "agreement/$compare-strata", "stratifier", "second-reader", "first", names[0], "second", names[1]); got.status != status || !strings.Contains(got.body, "pseudonyms") {
			t.Errorf("%s: %d %s", role, got.status, got.body)
		}
	}
	before := c.openings("agreement")
	open := c.stat(access.Quality, "agreement/$compare-strata", "stratifier", "second-reader", "readers", "open", "first", "reader-one", "second", "reader-two")
	if open.status != http.StatusOK || headOf(open.node, "first") != "reader-one" || c.openings("agreement") != before+1 {
		t.Errorf("%d %s", open.status, open.body)
	}
}

// The run lengths are those of the chart that is shown: whole months, of its sizes.
func TestRunLengthsAreOfMonths(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	got := c.stat(access.Quality, "discrepancy-any/$control-chart", "threshold", "2")
	var sizes []int
	for _, n := range valuesOfPart(got.node, "month", "cases") {
		sizes = append(sizes, int(floatOf(t, n)))
	}
	centre := floatOf(t, headOf(got.node, "centre")) / 100
	for name, actual := range map[string]float64{"runLengthIn": centre, "runLengthOut": 2 * centre / (1 + centre)} {
		want, err := measure.SteppedRunLength(sizes, centre, actual, 2, 2)
		if err != nil || want == nil || headOf(got.node, name) == "" {
			t.Fatalf("%v %v %s", want, err, got.body)
		}
		if x := floatOf(t, headOf(got.node, name)); x / *want > 1.001 || x / *want < 0.999 {
			t.Errorf("%s is %v, not %v", name, x, *want)
		}
	}
	if x := floatOf(t, headOf(got.node, "monthSize")); len(sizes) != 3 || x < 149 || x > 150 {
		t.Errorf("%v cases a month of %v", x, sizes)
	}
}

// What is kept is as of a moment at which nobody was still writing, so that it can be had
// again, and a period that has just ended waits for that.
func TestAKeptReportIsSettledAndCanBeHadAgain(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	c.at("2025-03-31T12:00:00Z")
	id, link := c.save(access.Quality, "title", "Each month", "measure", "Measure/agreement", "every", "month", "stratifier", "site")
	c.at("2025-04-01T00:01:00Z")
	c.reportTick()
	if days := c.keptOf(access.Quality, id); slices.Contains(days, "2025-03-01") {
		t.Errorf("a month is reported while its last minute may be written: %v", days)
	}
	c.at("2025-04-01T01:00:00Z")
	c.reportTick()
	kept := c.do(access.Quality, "GET", link+"&startsOn=2025-03-01", "")
	if kept.status != http.StatusOK || !strings.Contains(kept.body, `measure-settled","valueBoolean":true`) || !strings.Contains(kept.body, `measure-as-of","valueInstant":"2025-04-01T00:58:00.000Z"`) {
		t.Fatalf("%d %s", kept.status, kept.body)
	}
	c.at("2025-04-20T00:00:00Z")
	again := c.do(access.Quality, "GET", "/fhir/Measure/agreement/$evaluate-measure?periodStart=2025-03&periodEnd=2025-03&stratifier=site&asOf=2025-04-01T00:58:00Z", "")
	for _, part := range []string{"extension", "group", "period"} {
		if diff := cmp.Diff(valueOfJSON(t, kept.node.Get(part)), valueOfJSON(t, again.node.Get(part))); diff != "" {
			t.Errorf("%s: %s", part, diff)
		}
	}
}

// valueOfJSON is a node without the order of its members.
func valueOfJSON(t *testing.T, n *Node) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(n.jsonText()), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// The pages of an answer to the role quality can be put together by the pseudonyms of readers;
// answers to other questions, of other moments and to other people cannot.
func TestReadersHaveOnePseudonymInOneAnswer(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	names := func(as access.Role, measure string, params ...string) string {
		t.Helper()
		got := c.stat(as, measure+"/$evaluate-measure", append([]string{"stratifier", "second-reader"}, params...)...)
		var texts []string
		for _, stratum := range got.node.Each("group")[0].Each("stratifier")[0].Each("stratum") {
			if name := stratumValues(stratum)[0]; strings.HasPrefix(name, "reader-") {
				texts = append(texts, name)
			}
		}
		if len(texts) != 2 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		return strings.Join(texts, " ")
	}
	const at, later = "2025-06-01T00:00:00Z", "2025-06-01T00:00:00.001Z"
	one := names(access.Quality, "agreement", "asOf", at)
	if again := names(access.Quality, "agreement", "asOf", at, "page", "1"); again != one {
		t.Errorf("one answer: %s, %s", one, again)
	}
	seen := map[string]string{one: "the answer"}
	for what, other := range map[string]string{
		"as of another moment": names(access.Quality, "agreement", "asOf", later), "of another measure": names(access.Quality, "unread", "asOf", at), "of other cases": names(access.Quality, "agreement", "asOf", at, "filter", "modality|CT"),
		"to somebody else": names(c.with(access.Quality, "system/Measure.r"), "agreement", "asOf", at), "an auditor's": names(access.Auditor, "agreement"), "an auditor's again": names(access.Auditor, "agreement"),
	} {
		for name := range strings.FieldsSeq(other) {
			if before := seen[name]; before != "" || strings.Contains(one, name) {
				t.Errorf("%s: %s is named as in %s", what, name, before)
			}
			seen[name] = what
		}
	}
}
