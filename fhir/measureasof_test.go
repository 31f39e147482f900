package fhir

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/facts"
)

// asOfOf is by what moment a report knows.
func asOfOf(t *testing.T, report *Node) string {
	t.Helper()
	asOf, _, err := reportAsked(report)
	if err != nil {
		t.Fatal(err)
	}
	return asOf.UTC().Format("2006-01-02T15:04:05.000Z")
}

// restated is a report without when it was asked.
func restated(report *Node) string {
	report = report.Clone()
	report.Set("date", nil)
	report.Set("extension", slices.DeleteFunc(report.Each("extension"), func(e *Node) bool { return strings.HasSuffix(e.Text("url"), "measure-settled") }))
	return string(report.Bytes())
}

// What a report says that it was asked can be asked as it is, and gives the same.
func TestTheQueryOfAReportCanBeAskedAgain(t *testing.T) {
	t.Parallel()
	c, id, _ := counting(t)
	for _, more := range [][]string{nil, {"reportType", "subject-list"}, {"subject", c.task(id).Text("for", "reference")}} {
		first := c.evaluate(access.Quality, "agreement", more...)
		_, query, err := reportAsked(first.node)
		text, _, found := strings.Cut(query, " sha256:")
		if err != nil || !found {
			t.Fatal(err, first.body)
		}
		again := c.do(access.Quality, "GET", "/fhir/Measure/$evaluate-measure?"+strings.ReplaceAll(text, "+", "%2B"), "")
		if again.status != http.StatusOK || restated(again.node) != restated(first.node) {
			t.Errorf("%s: %d %s", text, again.status, again.body)
		}
	}
}

// What somebody has read is counted as it was when they read here no more; of who never did, what is
// asked wrongly is named.
func TestAReportOfAReaderIsTheSameWhenTheyHaveLeft(t *testing.T) {
	t.Parallel()
	c, _, _ := counting(t)
	reader, practitioner := c.readers[access.Reader].ID.String(), ""
	if err := c.db.Owner(t).QueryRow(t.Context(), `SELECT practitioner_id FROM reader WHERE reader_id = $1`, reader).Scan(&practitioner); err != nil {
		t.Fatal(err)
	}
	ask := func(more ...string) response {
		return c.evaluate(access.Quality, "agreement", append(more, "practitioner", "Practitioner/"+practitioner)...)
	}
	first := ask()
	if first.status != http.StatusOK || countsOf(first.node.Each("group")[0])["initial-population"] == "0" {
		t.Fatal(first.status, first.body)
	}
	c.sql(`UPDATE reader SET active = false WHERE reader_id = '` + reader + `'`)
	again := ask("asOf", asOfOf(t, first.node))
	if again.status != http.StatusOK || restated(again.node) != restated(first.node) {
		t.Errorf("when they have left: %d %s", again.status, again.body)
	}
	for _, practitioner := range []string{"Practitioner/nobody", "Patient/1"} {
		if got := c.evaluate(access.Quality, "agreement", "practitioner", practitioner); got.status < 400 || got.status > 422 || !strings.Contains(got.body, "name = 'practitioner'") {
			t.Errorf("%s: %d %s", practitioner, got.status, got.body)
		}
	}
}

// A merge of records moves cases: reports of a patient as of before would be of others.
func TestAReportOfAPatientIsRefusedAsOfBeforeAMergeOfRecords(t *testing.T) {
	t.Parallel()
	c, id, _ := counting(t)
	old := parseReference(c.task(id).Text("for", "reference")).id
	stays := c.mustCreate("Patient", `{"resourceType":"Patient","identifier":[{"system":"urn:mrn:new","value":"N1"}],"name":[{"family":"Stays"}]}`)
	ask := func(patient, asOf string) response {
		return c.evaluate(access.Quality, "discrepancy-important", "subject", "Patient/"+patient, "asOf", asOf)
	}
	before := asOfOf(t, c.evaluate(access.Quality, "discrepancy-important").node)
	if got := ask(old, before); got.status != http.StatusOK || countsOf(got.node.Each("group")[0])["numerator"] != "1" {
		t.Fatalf("before the merge: %d %s", got.status, got.body)
	}
	for i, into := range []string{stays, ""} {
		if got := c.mergeInto(old, into); got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		for _, patient := range []string{old, stays} {
			if got := ask(patient, before); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "merge of records") {
				t.Errorf("change %d: %d %s", i, got.status, got.body)
			}
		}
		if i > 0 {
			continue
		}
		// An older release has not written down whose the case was: the Task of then says it.
		forgotten := c.moves(`UPDATE case_event SET detail = detail - 'patientWas' WHERE detail ? 'patientWas' RETURNING 1`)
		if forgotten == 0 {
			t.Error("no event says whose the case was")
		}
		for _, patient := range []string{old, stays} {
			if got := ask(patient, before); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "merge of records") {
				t.Errorf("a merge of before: %d %s", got.status, got.body)
			}
		}
		if got := ask(stays, asOfOf(t, c.evaluate(access.Quality, "discrepancy-important").node)); got.status != http.StatusOK {
			t.Errorf("after a merge of before: %d %s", got.status, got.body)
		}
	}
	later := asOfOf(t, c.evaluate(access.Quality, "discrepancy-important").node)
	if got := ask(old, later); got.status != http.StatusOK || countsOf(got.node.Each("group")[0])["numerator"] != "1" {
		t.Errorf("after they were parted: %d %s", got.status, got.body)
	}
}

// moves is how many rows a statement returns.
func (c *clinic) moves(sql string) (n int) {
	c.t.Helper()
	if err := c.db.Owner(c.t).QueryRow(c.t.Context(), `WITH done AS (`+sql+`) SELECT count(*) FROM done`).Scan(&n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// A grade is amended twice over HTTP, and acknowledged, and somebody says who was right. Each measure, asked for as of each moment
// between these, is afterwards what it was then, with the same query and digest, as MeasureReport and as
// file; so it is when the facts are made again from the history. Only later moments are other.
func TestWhatHappensLaterRestatesLaterMomentsAlone(t *testing.T) {
	t.Parallel()
	c, id, _ := counting(t)
	ask := func(measure, by, asOf string) response {
		t.Helper()
		query := url.Values{"periodStart": {"2026"}, "periodEnd": {"2070"}, "stratifier": {by}}
		if asOf != "" {
			query.Set("asOf", asOf)
		}
		got := c.do(access.Quality, "GET", "/fhir/Measure/"+measure+"/$evaluate-measure?"+query.Encode(), "")
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", measure, got.status, got.body)
		}
		return got
	}
	file := func(measure, asOf string) string {
		t.Helper()
		got := c.do(access.Quality, "GET", "/fhir/Measure/$measure-table?format=csv&measure=Measure/"+measure+"&periodStart=2026&periodEnd=2070&stratifier=site&asOf="+asOf, "")
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", measure, got.status, got.body)
		}
		return got.body
	}
	type told struct{ asOf, report, file string }
	then := map[string][]told{} // by measure and dimension, in the order of the moments
	look := func() {
		t.Helper()
		for _, d := range facts.Definitions {
			for _, by := range []string{"modality", facts.Month} {
				got := ask(d.ID, by, "")
				asOf := asOfOf(t, got.node)
				then[d.ID+" "+by] = append(then[d.ID+" "+by], told{asOf, restated(got.node), file(d.ID, asOf)})
			}
		}
	}
	important := func(asOf string) string {
		return countsOf(ask("discrepancy-important", "modality", asOf).node.Each("group")[0])["numerator"]
	}
	look()
	for _, significance := range []string{"unimportant", "important"} {
		c.mustAct(access.Reader, id, "$amend", "reason", "looked again")
		c.mustAct(access.Reader, id, "$sign", "kind", "amendment", "reason", "looked again", "text", "It is "+significance+".", "difference", "A nodule is not mentioned.",
			"discrepancy", []*Node{Object("name", "description", "valueString", "n"), Object("name", "significance", "valueCode", significance), Object("name", "nature", "valueCode", "detection")})
		look()
	}
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
	look()
	moments := then["discrepancy-important modality"]
	var seen []string
	for _, m := range moments {
		seen = append(seen, important(m.asOf))
	}
	if diff := cmp.Diff([]string{"1", "0", "1", "1"}, seen); diff != "" {
		t.Fatalf("important discrepancies as of each moment: %s", diff)
	}
	hold := func(when string) {
		t.Helper()
		for name, all := range then {
			measure, by, _ := strings.Cut(name, " ")
			for i, m := range all {
				got := ask(measure, by, m.asOf)
				if diff := cmp.Diff(m.report, restated(got.node)); diff != "" {
					t.Errorf("%s: %s as of moment %d: %s", when, name, i, diff)
				}
				if file(measure, m.asOf) != m.file {
					t.Errorf("%s: the file of %s as of moment %d is another", when, name, i)
				}
				_, query, err := reportAsked(got.node)
				text, digest, found := strings.Cut(query, " sha256:")
				sum := sha256.Sum256([]byte(text))
				if err != nil || !found || digest != hex.EncodeToString(sum[:]) || !strings.Contains(text, "asOf="+m.asOf) {
					t.Errorf("%s: the digest of %q: %v", when, query, err)
				}
			}
		}
	}
	hold("afterwards")
	c.server.now = func() time.Time { return time.Now().AddDate(1, 0, 0) }
	hold("a year later")
	if err := c.engine.RebuildFacts(t.Context(), c.tenant, func(int) {}); err != nil {
		t.Fatal(err)
	}
	hold("made again from the history")
}
