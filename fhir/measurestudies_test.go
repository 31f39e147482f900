package fhir

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/published"
)

// pastCases are signed cases of one kind, as a study counted them.
type pastCases struct {
	count        int
	level        string // of the reader's grade: none, minor, major, no-comparison
	third        string // of a third reader's, "" for none
	right        string // as it turned out, "" for nobody knows
	reason       string // of the order
	subspecialty string
}

var significances = map[string]string{"minor": "unimportant", "major": "important"}

// gradeOf is the content of a grade of a level.
func gradeOf(level string) string {
	switch level {
	case "none":
		return `{}`
	case "no-comparison":
		return `{"noComparisonReason": "no-original"}`
	}
	return `{"discrepancies": [{"finding": "x", "significance": "` + significances[level] + `", "nature": "detection"}], "difference": "x"}`
}

// publish puts the cases of a study where cases are, signed in one year: with their
// histories, grades and truths, as an earlier release would have left them.
func (c *clinic) publish(year int, kinds ...pastCases) {
	c.t.Helper()
	owner := c.db.Owner(c.t)
	run := func(sql string, args ...any) {
		c.t.Helper()
		if _, err := owner.Exec(context.Background(), sql, args...); err != nil {
			c.t.Fatal(err)
		}
	}
	at := fmt.Sprintf("%d-06-15T12:00:00Z", year)
	for i, kind := range kinds {
		name := fmt.Sprintf("%d-%d-", year, i)
		exam := Object("modality", "MR", "subspecialty", kind.subspecialty, "reasons", []string{kind.reason}).jsonText()
		run(`INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, study_uid, exam, protocol, comparable, policy,
				reader_id, report_id, report_no, report_status, opened_at, complete_at, accepted_at, locked_at, revealed_at, final_at, closed_at)
			SELECT $1, gen_random_uuid(), 9, 'closed', 'routine', 'urn:study', $2::text || i, 'ServiceRequest/x', $2::text || i, $2::text || i, $3, 'unblinded', $4::text <> 'no-comparison', '{}',
				$5, gen_random_uuid()::text, 1, 'final', t - interval '2 days', t - interval '2 days', t - interval '1 day', t - interval '2 hours', t - interval '2 hours', t, t + interval '1 day'
			FROM generate_series(1, $6) i, (VALUES ($7::timestamptz)) AS at(t)`,
			c.tenant, name, exam, kind.level, c.readers[access.Reader].ID, kind.count, at)
		events := [][3]string{{"open", "2 days", "{}"}, {"lock", "2 hours", "{}"}, {"grade", "1 hour", `{"gradeNo": 1}`}}
		grades := []string{"reader " + kind.level}
		if kind.third != "" {
			events, grades = append(events, [3]string{"adjudicate", "10 minutes", `{"gradeNo": 2}`}), append(grades, "adjudicator "+kind.third)
		}
		events = append(events, [3]string{"sign", "0", "{}"})
		if kind.right != "" {
			events = append(events, [3]string{"outcome", "-7 days", `{"truthNo": 1}`})
			run(`INSERT INTO ground_truth (tenant_id, case_id, truth_no, who_right, source, found_on, recorded_by, role, recorded_at)
				SELECT tenant_id, case_id, 1, $2, 'pathology', final_at + interval '7 days', reader_id, 'placer', final_at + interval '7 days' FROM case_file WHERE placer_value LIKE $1 || '%'`, name, kind.right)
		}
		for no, e := range events {
			state := "comparing"
			if e[0] == "sign" || e[0] == "outcome" {
				state = "final"
			}
			run(`INSERT INTO case_event (tenant_id, case_id, seq, occurred_at, event, to_state, actor_role, detail)
				SELECT tenant_id, case_id, $2, final_at - $3::text::interval, $4, $5, 'reader', $6 FROM case_file WHERE placer_value LIKE $1 || '%'`, name, no+1, e[1], e[0], state, e[2])
		}
		for no, g := range grades {
			role, level, _ := strings.Cut(g, " ")
			run(`INSERT INTO grade (tenant_id, case_id, grade_no, graded_by, role, graded_at, level, content)
				SELECT tenant_id, case_id, $2, reader_id, $3, final_at - interval '1 hour', $4, $5 FROM case_file WHERE placer_value LIKE $1 || '%'`, name, no+1, role, level, gradeOf(level))
		}
	}
}

// figure is one of a MeasureReport: score, low, high, kappa, kappaLow, kappaHigh.
func figureOf(group *Node, name string) float64 {
	score, of := group.Get("measureScore"), name
	if strings.HasPrefix(name, "kappa") {
		for _, e := range group.Each("extension") {
			if strings.HasSuffix(e.Text("url"), "/measure-kappa") {
				score = e.Get("valueQuantity")
			}
		}
		of = strings.ToLower(strings.TrimPrefix(name, "kappa"))
	}
	text := score.Text("value")
	if of == "low" || of == "high" {
		text = score.Text("extension", "valueRange", of, "value")
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return x
}

// What six studies counted, as cases with their histories and grades, counted by the
// operation: what they print, and what exact arithmetic gives where they have a slip or
// print nothing.
func TestPublishedRatesComeOutOfTheirCases(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	studies, err := published.Studies()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]func(path string) int{}
	for _, s := range studies {
		n[s.ID] = func(path string) int {
			k, err := s.Count(path)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
	}
	guerin, wibmer, zan, chalian, eakins := n["guerin-2015"], n["wibmer-2015"], n["zan-2010"], n["chalian-2016"], n["eakins-2012"]
	const oncologic = "http://hl7.org/fhir/sid/icd-10|C41.9"
	const other = "http://hl7.org/fhir/sid/icd-10|M25.5"
	c.publish(2011, pastCases{count: guerin("concordant"), level: "none"}, pastCases{count: guerin("n") - guerin("concordant"), level: "minor"})
	// Of two readings of one thing: negative is no discrepancy, positive an important one.
	var square []pastCases
	for _, cell := range [][3]string{{"initial_pos_second_pos", "major", "major"}, {"initial_pos_second_neg", "major", "none"}, {"initial_neg_second_pos", "none", "major"}, {"initial_neg_second_neg", "none", "none"}} {
		square = append(square, pastCases{count: wibmer("table_2x2." + cell[0]), level: cell[1], third: cell[2]})
	}
	c.publish(2012, square...)
	// Zan: of the important ones verified, the second opinion was right in so many.
	c.publish(2013, pastCases{count: zan("submitted") - zan("comparable"), level: "no-comparison"},
		pastCases{count: zan("second_correct"), level: "major", right: "second"}, pastCases{count: zan("verified") - zan("second_correct"), level: "major", right: "first"},
		pastCases{count: zan("important") - zan("verified"), level: "major"}, pastCases{count: zan("comparable") - zan("important"), level: "none"})
	c.publish(2014, pastCases{count: chalian("submitted") - chalian("comparable"), level: "no-comparison"},
		pastCases{count: chalian("oncologic.important"), level: "major", reason: oncologic}, pastCases{count: chalian("oncologic.n") - chalian("oncologic.important"), level: "none", reason: oncologic},
		pastCases{count: chalian("important") - chalian("oncologic.important"), level: "major", reason: other},
		pastCases{count: chalian("comparable") - chalian("oncologic.n") - chalian("important") + chalian("oncologic.important"), level: "minor", reason: other})
	neuro, body := eakins("neuro.n"), eakins("body.n")
	c.publish(2015,
		pastCases{count: eakins("neuro.major"), level: "major", subspecialty: "neuro"}, pastCases{count: eakins("neuro.minor"), level: "minor", subspecialty: "neuro"}, pastCases{count: neuro - eakins("neuro.major") - eakins("neuro.minor"), level: "none", subspecialty: "neuro"},
		pastCases{count: eakins("body.major"), level: "major", subspecialty: "abdominal"}, pastCases{count: eakins("body.minor"), level: "minor", subspecialty: "abdominal"}, pastCases{count: body - eakins("body.major") - eakins("body.minor"), level: "none", subspecialty: "abdominal"},
		pastCases{count: eakins("major") - eakins("neuro.major") - eakins("body.major"), level: "major"}, pastCases{count: eakins("minor") - eakins("neuro.minor") - eakins("body.minor"), level: "minor"},
		pastCases{count: eakins("n") - neuro - body - eakins("major") + eakins("neuro.major") + eakins("body.major") - eakins("minor") + eakins("neuro.minor") + eakins("body.minor"), level: "none"})
	c.publish(2016, pastCases{count: 422, level: "none"}, pastCases{count: 22 + 1, level: "minor"}, pastCases{count: 2 + 1, level: "major"}) // RADPEER 1; 2a and 3a; 2b and 3b
	for {
		made, err := c.engine.BuildFacts(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if made == 0 {
			break
		}
	}
	for _, f := range []struct {
		study, measure, from, to, with, figure string
		want                                   float64
		digits                                 int
	}{
		{"guerin-2015", "agreement", "2011", "2011", "", "score", 75.6, 1},
		{"guerin-2015", "agreement", "2011", "2011", "", "low", 67.19, 2},
		{"guerin-2015", "agreement", "2011", "2011", "", "high", 82.46, 2},
		{"wibmer-2015", "adjudication-overturn", "2012", "2012", "", "score", 100 * 21.0 / 71, 3},
		{"wibmer-2015", "adjudication-overturn", "2012", "2012", "", "kappa", 0.3543, 4},
		{"wibmer-2015", "adjudication-overturn", "2012", "2012", "", "kappaLow", 0.167, 3},
		{"wibmer-2015", "adjudication-overturn", "2012", "2012", "", "kappaHigh", 0.541, 3},
		{"zan-2010", "discrepancy-important", "2013", "2013", "", "score", 7.653, 3},
		{"zan-2010", "discrepancy-important", "2013", "2013", "", "low", 6.91, 2},
		{"zan-2010", "discrepancy-important", "2013", "2013", "", "high", 8.46, 2},
		{"zan-2010", "discrepancy-important", "2013", "2013", "interval=wilson-cc", "low", 6.90, 2},
		{"zan-2010", "discrepancy-important", "2013", "2013", "interval=wilson-cc", "high", 8.47, 2},
		{"zan-2010", "second-opinion-correct", "2013", "2013", "", "score", 84.0, 1},
		{"chalian-2016", "no-comparison", "2014", "2014", "", "score", 100 - 73.5, 1},
		{"chalian-2016", "discrepancy-important", "2014", "2014", "", "score", 26.2, 1},
		{"chalian-2016", "discrepancy-important", "2014", "2014", "", "low", 24.48, 2},
		{"chalian-2016", "discrepancy-important", "2014", "2014", "", "high", 28.05, 2},
		{"chalian-2016", "discrepancy-important", "2014", "2014", "filter=oncologic|yes", "score", 36.3, 1},
		{"chalian-2016", "discrepancy-important", "2014", "2014", "filter=oncologic|yes", "low", 33.27, 2},
		{"chalian-2016", "discrepancy-important", "2014", "2014", "filter=oncologic|yes", "high", 39.51, 2},
		{"eakins-2012", "discrepancy-important", "2015", "2015", "", "score", 21.7, 1},
		{"eakins-2012", "discrepancy-important", "2015", "2015", "", "low", 18.97, 2},
		{"eakins-2012", "discrepancy-important", "2015", "2015", "", "high", 24.78, 2},
		{"eakins-2012", "discrepancy-important", "2015", "2015", "filter=subspecialty|abdominal", "score", 32.5, 1}, // 32.6 in print, a slip
		{"croydon-2020", "discrepancy-any", "2016", "2016", "", "score", 5.8, 1},
		{"croydon-2020", "discrepancy-any", "2016", "2016", "", "low", 3.99, 2},
		{"croydon-2020", "discrepancy-any", "2016", "2016", "", "high", 8.37, 2},
		{"croydon-2020", "discrepancy-important", "2016", "2016", "", "low", 0.23, 2},
		{"croydon-2020", "discrepancy-important", "2016", "2016", "", "high", 1.95, 2},
	} {
		with, err := url.ParseQuery(f.with)
		if err != nil {
			t.Fatal(err)
		}
		with.Set("periodStart", f.from)
		with.Set("periodEnd", f.to)
		got := c.do(access.Quality, "GET", "/fhir/Measure/"+f.measure+"/$evaluate-measure?"+with.Encode(), "")
		if got.status != http.StatusOK {
			t.Fatalf("%s %s: %d %s", f.study, f.measure, got.status, got.body)
		}
		x := figureOf(got.node.Each("group")[0], f.figure)
		if unit := math.Pow10(f.digits); math.Round(x*unit) != math.Round(f.want*unit) {
			t.Errorf("%s: %s of %s %s is %v, want %v", f.study, f.figure, f.measure, f.with, x, f.want)
		}
	}
}
