package fhir

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// croydon is a clinic with the 448 cases of the audit of Croydon University Hospital 2020
// in the first quarter of 2025, over two sites, three modalities and the three months. It
// is published. Of the order, the third readers, who was right and the acknowledgement we
// make up what is easily counted.
func croydon(t *testing.T) *clinic {
	t.Helper()
	c := croydonOf(t, 1)
	c.publishDue(time.Date(2025, 5, 2, 0, 0, 0, 0, time.UTC))
	return c
}

// croydonOf has these cases in each of so many quarters of 2025, and nothing published.
func croydonOf(t *testing.T, quarters int) *clinic {
	t.Helper()
	c := startClinic(t)
	raw, err := os.ReadFile("../measure/disclosure/testdata/croydon.json")
	if err != nil {
		t.Fatal(err)
	}
	var study struct{ Radpeer map[string]int }
	if err := json.Unmarshal(raw, &study); err != nil {
		t.Fatal(err)
	}
	owner := c.db.Owner(t)
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := owner.Exec(context.Background(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(`SET session_replication_role = replica`) // no case behind a fact
	run(`INSERT INTO measure_word (tenant_id, word_no, word) SELECT $1, i, w FROM unnest($2::text[]) WITH ORDINALITY AS words (w, i)`, c.tenant,
		[]string{"not-said", "CT", "MR", "US", "site-north", "site-south", "reader-one", "reader-two"})
	run(`INSERT INTO measure_build (tenant_id, done_at) VALUES ($1, now()) ON CONFLICT (tenant_id) DO UPDATE SET done_at = now()`, c.tenant)
	random, n := rand.New(rand.NewPCG(3, 4)), 0
	for i := range quarters * len(study.Radpeer) {
		score := slices.Sorted(maps.Keys(study.Radpeer))[i/quarters]
		cases := study.Radpeer[score]
		significance, management := map[string]int{"1": 0, "2a": 1, "2b": 2, "3a": 2, "3b": 2}[score], 0
		if score == "3b" {
			management = 4
		}
		for range cases {
			n++
			at := time.Date(2025, 1, 3, 12, 0, 0, 0, time.UTC).AddDate(0, 3*(i%quarters), random.IntN(87))
			ordered := at.Add(-time.Duration([]int{3, 20, 20, 20, 30}[n%5]) * time.Hour) // four of five within a day
			var reader, third, right *int
			var read *time.Time
			if n%4 == 0 { // 112 adjudicated, 28 overturned
				reader, third = &significance, &significance
				if n%16 == 0 {
					other := (significance + 1) % 3
					reader = &other
				}
			}
			if significance > 0 {
				second := 2
				right = &second
			}
			if n%8 != 0 { // 56 unread
				soon := at.Add(time.Duration([]int{2, 60}[n%2]) * time.Hour)
				read = &soon
			}
			run(`INSERT INTO measure_fact (tenant_id, case_id, known_from, period_at, opened_at, signed_at, counts_at, excluded, significance, management, no_comparison,
				modality, body_region, subspecialty, site, original_reader, second_reader, reason, priority, oncologic, blinding, priors, asymmetry, setting, reading,
				reader_level, adjudicator_level, verified, acknowledged_at)
				VALUES ($1, gen_random_uuid(), $2, $2, $8, $2, $2, 0, $3, $4, 1, $5, 1, 1, $6, 1, $7, 1, 1, 1, 1, 1, 1, 1, 1, $9, $10, $11, $12)`,
				c.tenant, at, significance, management, 2+random.IntN(3), 5+random.IntN(2), 7+random.IntN(2), ordered, reader, third, right, read)
		}
	}
	return c
}

// publishDue publishes what is due.
func (c *clinic) publishDue(now time.Time) (published int) {
	c.t.Helper()
	for {
		one := 0
		err := c.db.Tenant(c.t.Context(), c.tenant, func(tx pgx.Tx) (err error) {
			one, err = facts.PublishTx(c.t.Context(), tx, now)
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
		if published += one; one == 0 {
			return published
		}
	}
}

func (c *clinic) published(measure string, params ...string) response {
	c.t.Helper()
	query := "periodStart=2025-01&periodEnd=2025-03"
	for i := 0; i < len(params); i += 2 {
		query += "&" + params[i] + "=" + params[i+1]
	}
	return c.do(access.Auditor, "GET", "/fhir/Measure/"+measure+"/$evaluate-measure?"+query, "")
}

// Whatever an auditor may ask of Croydon's figures, no count of 1 to 10 is in an answer.
// (That none can be computed is shown in measure/disclosure.)
func TestAnAuditorSeesOfCroydonTheRateAndNoSmallCount(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	whole := c.published("discrepancy-any")
	if _, err := Decode([]byte(whole.body), "MeasureReport"); err != nil {
		t.Errorf("not valid: %v", issueLines(err))
	}
	group := whole.node.Each("group")[0]
	if got := countsOf(group); got["denominator"] != "448" || got["numerator"] != "26" || !strings.HasPrefix(group.Text("measureScore", "value"), "5.80") {
		t.Errorf("any discrepancy: %s", whole.body)
	}
	important := c.published("discrepancy-important").node.Each("group")[0]
	if got := countsOf(important); got["numerator"] != "" || important.Get("measureScore") != nil || important.Text("extension", "valueCode") != "masked" {
		t.Errorf("the 4 important ones: %s", important.Bytes())
	}
	asked := 0
	for _, d := range facts.Definitions {
		measure := d.ID
		for i, one := range append([]string{""}, facts.Dimensions()...) {
			for _, other := range append([]string{""}, facts.Dimensions()[i:]...) {
				var params []string
				for _, name := range []string{one, other} {
					if name != "" {
						params = append(params, "stratifier", name)
					}
				}
				got := c.published(measure, params...)
				if got.status == http.StatusForbidden || got.status == http.StatusBadRequest {
					continue
				}
				asked++
				for _, n := range everyCount(got.node) {
					if n > 0 && n <= disclosure.Standard.Limit {
						t.Errorf("%s by %v: %d in %s", measure, params, n, got.body)
					}
				}
				if strings.Contains(got.body, "reader-one") {
					t.Errorf("%s by %v names a reader", measure, params)
				}
			}
		}
	}
	if asked < 100 {
		t.Errorf("only %d questions were answered", asked)
	}
}

// everyCount is each count in a report.
func everyCount(n *Node) (counts []int) {
	n.Walk(func(path string, one *Node) {
		if strings.HasSuffix(path, ".count") {
			if count, err := strconv.Atoi(one.Text()); err == nil {
				counts = append(counts, count)
			}
		}
	})
	return counts
}

func TestAnAuditorIsShownWhatWasPublishedAndNothingElse(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	for _, params := range [][]string{
		{"filter", "modality|CT"}, {"asOf", "2025-06-01T00:00:00Z"}, {"readers", "open"}, {"subject", "Patient/1"}, {"practitioner", "Practitioner/1"}, {"reportType", "subject-list"},
		{"stratifier", "site", "stratifier", "month"}, // no pair of the policy
	} {
		if got := c.published("discrepancy-any", params...); got.status != http.StatusForbidden {
			t.Errorf("%v: %d %s", params, got.status, got.body)
		}
	}
	whole := c.published("discrepancy-any")
	_, query, err := reportAsked(whole.node)
	text, _, _ := strings.Cut(query, " sha256:")
	if again := c.do(access.Auditor, "GET", "/fhir/Measure/$evaluate-measure?"+text, ""); err != nil || again.status != http.StatusOK || restated(again.node) != restated(whole.node) {
		t.Errorf("the query of what was published, asked again: %v %s %s", err, text, again.body)
	}
	for _, params := range [][]string{{"page", "2"}, {"zone", "Asia/Tokyo"}} {
		if got := c.published("discrepancy-any", params...); got.status != http.StatusForbidden {
			t.Errorf("%v: %d %s", params, got.status, got.body)
		}
	}
	for _, period := range []string{"periodStart=2025-01-02&periodEnd=2025-03-31", "periodStart=2025-02&periodEnd=2025-04", "periodStart=2025-01&periodEnd=2025-06", "periodStart=2025-01&periodEnd=2025-01"} {
		if got := c.do(access.Auditor, "GET", "/fhir/Measure/agreement/$evaluate-measure?"+period, ""); got.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", period, got.status, got.body)
		}
	}
	c.do(access.Auditor, "GET", "/fhir/Measure/agreement/$evaluate-measure?periodStart=2025&periodEnd=2025", "").want(t, http.StatusNotFound, "not-found")
	c.published("unread", "stratifier", "site").want(t, http.StatusForbidden, "forbidden")
	if got := c.published("agreement", "stratifier", "second-reader"); !strings.Contains(got.body, "reader-") || strings.Contains(got.body, "reader-one") || !strings.Contains(got.body, `"judged"`) {
		t.Errorf("readers: %d %s", got.status, got.body)
	}
	// Figures stay as they were published, whatever becomes of the cases.
	before := c.published("agreement", "stratifier", "modality")
	if _, err := c.db.Owner(t).Exec(t.Context(), `UPDATE measure_fact SET significance = 2`); err != nil {
		t.Fatal(err)
	}
	after := c.published("agreement", "stratifier", "modality")
	for _, r := range []response{before, after} {
		if r.node == nil {
			t.Fatalf("%d %s", r.status, r.body)
		}
		r.node.Set("date", nil)
	}
	if !slices.Equal(before.node.Bytes(), after.node.Bytes()) {
		t.Errorf("%s\n%s", before.body, after.body)
	}
}

func TestAPackHasThePublishedFiguresAndNoSmallCount(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	id := c.order(chestXray(t, "1")...)
	c.tick()
	got := c.do(access.Quality, "POST", "/fhir/Task/$make-meeting-pack", saving("title", "Spring", "figuresOf", "2025-02-01"))
	if got.status != http.StatusNotFound {
		t.Errorf("of a quarter that there is not: %d %s (%v)", got.status, got.body, id)
	}
	err := c.db.Tenant(t.Context(), c.tenant, func(tx pgx.Tx) error {
		figures, failed := packFigures(t.Context(), tx, Object("parameter", []*Node{Object("name", "figuresOf", "valueDate", "2025-01-01")}))
		values := map[string]string{}
		for _, f := range figures {
			values[f.Measure] = f.Value
		}
		pack, err := packNode(workflow.Pack{Title: "Spring", FiguresOf: "2025-01-01", Figures: figures})
		if err != nil || !strings.Contains(string(pack.Bytes()), `"name":"figure"`) {
			t.Errorf("%v %s", err, pack.Bytes())
		}
		if page := string(paperOf(workflow.Pack{FiguresOf: "2025-01-01", Figures: figures}, "en").HTML()); !strings.Contains(page, "26 of 448: 5.8 %") {
			t.Error(page)
		}
		if values["discrepancy-any"] != "26 of 448: 5.8 % (95 % interval 4.0 to 8.4)" || values["discrepancy-important"] != "not shown: few cases" {
			t.Errorf("%v", values)
		}
		return failed
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is published of the whole beside the tables of outcomes: counts that divide blocks
// of these, and of what other counts could be subtracted from, shares without counts.
func TestAnAuditorSeesTimesAndSharesOfTheWholeWithoutTheirCounts(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	group := func(measure string) []*Node {
		t.Helper()
		got := c.published(measure)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", measure, got.status, got.body)
		}
		if _, err := Decode([]byte(got.body), "MeasureReport"); err != nil {
			t.Errorf("%s: not valid: %v", measure, issueLines(err))
		}
		return got.node.Each("group")
	}
	overturn := group("adjudication-overturn")[0]
	// How many were upheld would tell how many are important: these are 4, and not told.
	if got := countsOf(overturn); got["denominator"] != "112" || got["numerator"] != "" || overturn.Text("extension", "valueCode") != "masked" {
		t.Errorf("overturn: %s", overturn.Bytes())
	}
	if got := group("second-opinion-correct")[0]; countsOf(got)["numerator"] != "26" || got.Text("measureScore", "value") != "100" {
		t.Errorf("correct: %s", got.Bytes())
	}
	unread := group("unread")[0]
	if unread.Get("population") != nil || unread.Text("measureScore", "value") != "13" || !strings.Contains(string(unread.Bytes()), `"valueInteger":200`) { // 56 of 448: 12.5 %
		t.Errorf("unread: %s", unread.Bytes())
	}
	if low := unread.Text("measureScore", "extension", "valueRange", "low", "value"); !strings.HasPrefix(low, "8.6") { // Wilson of 25 of 200, the fewest that are rounded to 13 %
		t.Errorf("unread from %s", low)
	}
	type percentile struct{ after, within string }
	for measure, want := range map[string][]percentile{"turnaround": {{"8", "24"}, {"8", "24"}, {"24", "48"}}, "acknowledgement": {{"48", "72"}, {"48", "72"}, {}}} {
		groups := group(measure)
		for i, p := range want {
			score := groups[i].Get("measureScore")
			if got := (percentile{score.Text("extension", "valueRange", "low", "value"), score.Text("value")}); got != p || score != nil && score.Text("comparator") != "<=" {
				t.Errorf("%s: %s", measure, groups[i].Bytes())
			}
		}
		if len(everyCount(c.published(measure).node)) > 0 || len(groups) != 4 {
			t.Errorf("%s has counts", measure)
		}
	}
	turnaround := group("turnaround")[3].Each("stratifier", "stratum")
	if got := turnaround[1].Text("value", "text") + " " + turnaround[1].Text("measureScore", "value"); got != "4 20" {
		t.Errorf("within hours: %s", got)
	}
	file := c.do(access.Auditor, "GET", "/fhir/Measure/$measure-table?measure=Measure/turnaround&format=csv&periodStart=2025-01&periodEnd=2025-03", "")
	if !strings.Contains(file.body, "percentile 50,") || !strings.Contains(file.body, "within-hours,24,") || !strings.Contains(file.body, "<=") {
		t.Errorf("as a file: %s", file.body)
	}
	// A quarter from before these were published has none, and says so.
	if _, err := c.db.Owner(t).Exec(t.Context(), `UPDATE measure_publication SET content = content - 'Whole'`); err != nil {
		t.Fatal(err)
	}
	if got := c.published("turnaround"); got.status != http.StatusNotFound || !strings.Contains(got.body, "since the release") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := c.published("agreement"); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// By quarters nothing is shown by two dimensions, and it is said why and what is shown;
// of the year at once everything is, and no quarter is published beside it.
func TestASmallServiceShowsMoreOfAYearAtOnce(t *testing.T) {
	t.Parallel()
	after := time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
	const pair = "&stratifier=site&stratifier=modality"
	ask := func(c *clinic, period string) response {
		return c.do(access.Auditor, "GET", "/fhir/Measure/discrepancy-any/$evaluate-measure?"+period, "")
	}
	byQuarter := croydonOf(t, 4)
	if n := byQuarter.publishDue(after); n != 4 {
		t.Fatalf("%d quarters were published", n)
	}
	for _, period := range []string{"periodStart=2025-01&periodEnd=2025-03", "periodStart=2025&periodEnd=2025"} {
		got := ask(byQuarter, period+pair)
		if got.status != http.StatusForbidden || !strings.Contains(got.body, "has a count of 1 to 10") || !strings.Contains(got.body, "there is a table: site, modality") || !strings.Contains(got.body, "publication.every") {
			t.Errorf("%s: %d %s", period, got.status, got.body)
		}
	}
	byYear := croydonOf(t, 4)
	if _, err := byYear.db.Owner(t).Exec(t.Context(), `UPDATE tenant SET policy = '{"publication": {"every": "year", "detail": "discrepancy"}}'`); err != nil {
		t.Fatal(err)
	}
	if n := byYear.publishDue(after.AddDate(0, 0, -3)); n != 0 {
		t.Errorf("%d were published before it was time", n)
	}
	if n := byYear.publishDue(after); n != 1 {
		t.Fatalf("%d years were published", n)
	}
	got := ask(byYear, "periodStart=2025&periodEnd=2025"+pair)
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	strata, told := got.node.Each("group", "stratifier", "stratum"), 0
	for _, one := range strata {
		if one.Get("measureScore") != nil {
			told++
		}
	}
	if countsOf(got.node.Each("group")[0])["denominator"] != "1792" || len(strata) != 6 || told != 6 {
		t.Errorf("%d of %d cells are shown: %s", told, len(strata), got.body)
	}
	for _, n := range everyCount(got.node) {
		if n > 0 && n <= disclosure.Standard.Limit {
			t.Errorf("%d is shown", n)
		}
	}
	if got := ask(byYear, "periodStart=2025-01&periodEnd=2025-03"); got.status != http.StatusNotFound || !strings.Contains(got.body, "by the year") {
		t.Errorf("a quarter beside its year: %d %s", got.status, got.body)
	}
	// Who changes the policy in a year of which a quarter is published changes the next one.
	if _, err := byQuarter.db.Owner(t).Exec(t.Context(), `DELETE FROM measure_publication WHERE starts_on > '2025-01-01'`); err != nil {
		t.Fatal(err)
	}
	if _, err := byQuarter.db.Owner(t).Exec(t.Context(), `UPDATE tenant SET policy = '{"publication": {"every": "year"}}'`); err != nil {
		t.Fatal(err)
	}
	if n := byQuarter.publishDue(after.AddDate(1, 0, 0)); n != 4 { // three quarters, and 2026
		t.Errorf("%d were published", n)
	}
	if got := ask(byQuarter, "periodStart=2025&periodEnd=2025"); got.status != http.StatusOK || countsOf(got.node.Each("group")[0])["denominator"] != "1792" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// An auditor who looks for a kappa is told why there is none, and who has it; and who has it has it.
func TestAnAuditorIsToldWhyThereIsNoKappaAndWhoHasIt(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	for _, measure := range []string{"agreement", "adjudication-overturn"} {
		for role, times := range map[access.Role]int{access.Auditor: 1, access.Quality: 0} {
			got := c.stat(role, measure+"/$evaluate-measure")
			if got.status != http.StatusOK || strings.Count(got.body, facts.NoteKappa) != times {
				t.Errorf("%s for %s: %d %s", measure, role, got.status, got.body)
			}
		}
	}
	refused := c.stat(access.Auditor, "agreement/$agreement-of-readers")
	if refused.want(t, http.StatusForbidden, "forbidden"); !strings.Contains(refused.body, "role quality") {
		t.Errorf("%s", refused.body)
	}
	if got := c.stat(access.Quality, "agreement/$agreement-of-readers"); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}
