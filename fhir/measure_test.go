package fhir

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

// counting is gradedClinic whose facts are ready to be counted: one case with an
// important discrepancy after an amendment, one without comparison, and a third that is
// still open.
func counting(t *testing.T) (c *clinic, id, other string) {
	t.Helper()
	c, id, other = gradedClinic(t)
	c.order(chestXray(t, "3")...)
	c.tick()
	if _, err := c.engine.BuildFacts(context.Background()); err != nil {
		t.Fatal(err)
	}
	return c, id, other
}

// evaluate asks for a measure over a period that the cases of these tests are in, whenever they run.
func (c *clinic) evaluate(as access.Role, measure string, params ...string) response {
	c.t.Helper()
	query := url.Values{"periodStart": {"2026"}, "periodEnd": {"2070"}}
	for i := 0; i < len(params); i += 2 {
		query.Add(params[i], params[i+1])
	}
	return c.do(as, "GET", "/fhir/Measure/"+measure+"/$evaluate-measure?"+query.Encode(), "")
}

func countsOf(group *Node) map[string]string {
	counts := map[string]string{}
	for _, p := range group.Each("population") {
		counts[p.Text("code", "coding", "code")] = p.Text("count")
	}
	return counts
}

// reasonsOf are the exclusions of a group by reason.
func reasonsOf(group *Node) (rows []string) {
	for _, s := range group.Each("stratifier") {
		for _, one := range s.Each("stratum") {
			if code := one.Text("value", "coding", "code"); s.Text("code", "coding", "code") == "exclusion-reason" {
				rows = append(rows, code+" "+one.Text("population", "count"))
			}
		}
	}
	return rows
}

func TestAMeasureIsCountedWithItsExclusionsAndItsInterval(t *testing.T) {
	t.Parallel()
	c, _, _ := counting(t)
	got := c.evaluate(access.Quality, "discrepancy-important", "stratifier", "modality", "stratifier", "month")
	if got.status != http.StatusOK || got.node.Type() != "MeasureReport" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if _, err := Decode([]byte(got.body), "MeasureReport"); err != nil {
		t.Errorf("not valid: %v", issueLines(err))
	}
	group := got.node.Each("group")[0]
	want := map[string]string{"initial-population": "3", "denominator": "1", "denominator-exclusion": "2", "numerator": "1"}
	if diff := cmp.Diff(want, countsOf(group)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"not-final 1", "no-comparison 1"}, reasonsOf(group)); diff != "" {
		t.Error(diff)
	}
	if score := group.Text("measureScore", "value"); score != "100" || group.Text("measureScore", "unit") != "%" {
		t.Errorf("score %s", score)
	}
	if low := group.Text("measureScore", "extension", "valueRange", "low", "value"); !strings.HasPrefix(low, "20.65") { // Wilson of 1 of 1
		t.Errorf("interval from %s", low)
	}
	stratum := group.Each("stratifier")[0].Each("stratum")
	if len(stratum) != 1 || stratum[0].Each("component")[0].Text("value", "coding", "code") != "DX" {
		t.Errorf("strata: %s", group.Get("stratifier").Bytes())
	}
	if !strings.Contains(got.body, "discrepancy-important|1.0.0") || got.node.Text("meta", "security", "code") != "V" {
		t.Error(got.body)
	}
	for method, low := range map[string]string{"wilson-cc": "5.46", "clopper-pearson": "2.5"} {
		got := c.evaluate(access.Quality, "discrepancy-important", "interval", method)
		if text := got.node.Each("group")[0].Text("measureScore", "extension", "valueRange", "low", "value"); !strings.HasPrefix(text, low) {
			t.Errorf("%s: from %s", method, text)
		}
	}
	got = c.evaluate(access.Quality, "agreement", "filter", "modality|CT")
	if group := got.node.Each("group")[0]; countsOf(group)["initial-population"] != "0" || group.Get("measureScore") != nil {
		t.Errorf("of nothing there is no score: %s", got.body)
	}
	for _, id := range []string{"turnaround", "acknowledgement", "unread", "no-comparison", "adjudication-overturn", "second-opinion-correct", "discrepancy-any", "discrepancy-management"} {
		got := c.evaluate(access.Quality, id, "stratifier", "second-reader")
		if got.status != http.StatusOK || strings.Contains(got.body, c.readers[access.Reader].ID.String()) || strings.Contains(got.body, "Dr Second") {
			t.Errorf("%s: %d %s", id, got.status, got.body)
		}
		if _, err := Decode([]byte(got.body), "MeasureReport"); err != nil {
			t.Errorf("%s: not valid: %v", id, issueLines(err))
		}
	}
}

// What is reported as of a moment is the same at any later time, whatever becomes of
// the cases.
func TestAReportAsOfAMomentStaysAsItWas(t *testing.T) {
	t.Parallel()
	c, id, _ := counting(t)
	first := c.evaluate(access.Quality, "discrepancy-important", "stratifier", "modality")
	asOf := ""
	for _, e := range first.node.Each("extension") {
		if e.Text("valueInstant") != "" {
			asOf = e.Text("valueInstant")
		}
	}
	c.mustAct(access.Reader, id, "$amend", "reason", "looked again")
	c.mustAct(access.Reader, id, "$sign", "kind", "amendment", "reason", "looked again", "text", "They agree.")
	c.mustAct(access.Reader, id, "$amend", "reason", "looked again")
	c.mustAct(access.Reader, id, "$sign", "kind", "amendment", "reason", "looked again", "text", "Smaller.", "difference", "A nodule is not mentioned.",
		"discrepancy", []*Node{Object("name", "description", "valueString", "n"), Object("name", "significance", "valueCode", "unimportant"), Object("name", "nature", "valueCode", "detection")})
	now := c.evaluate(access.Quality, "discrepancy-important", "stratifier", "modality")
	if countsOf(now.node.Each("group")[0])["numerator"] != "0" {
		t.Errorf("the amended grade: %s", now.body)
	}
	again := c.evaluate(access.Quality, "discrepancy-important", "stratifier", "modality", "asOf", asOf)
	for _, r := range []response{first, again} { // when it was asked, and whether that was soon after
		r.node.Set("date", nil)
		r.node.Set("extension", slices.DeleteFunc(r.node.Each("extension"), func(e *Node) bool { return strings.HasSuffix(e.Text("url"), "measure-settled") }))
	}
	if diff := cmp.Diff(string(first.node.Bytes()), string(again.node.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestWhoIsCountedIsToldToTheQualityRoleAloneAndThatIsRecorded(t *testing.T) {
	t.Parallel()
	c, id, other := counting(t)
	list := c.evaluate(access.Quality, "discrepancy-important", "reportType", "subject-list")
	if _, err := Decode([]byte(list.body), "MeasureReport"); err != nil {
		t.Errorf("not valid: %v", issueLines(err))
	}
	tasks := map[string][]string{}
	for _, l := range list.node.Each("contained") {
		for _, e := range l.Each("entry") {
			tasks[l.Text("id")] = append(tasks[l.Text("id")], e.Text("item", "reference"))
		}
	}
	if !slices.Equal(tasks["numerator"], []string{"Task/" + id}) || !slices.Contains(tasks["denominator-exclusion"], "Task/"+other) || len(tasks["initial-population"]) != 3 {
		t.Errorf("%v", tasks)
	}
	for _, task := range tasks["initial-population"] { // by the case, and so by the patient
		got := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|quality-opened&entity="+task, "")
		if n := len(got.node.Each("entry")); n != 1 {
			t.Errorf("that %s was listed is recorded %d times: %s", task, n, got.body)
		}
	}
	patient := c.task(id).Text("for", "reference")
	one := c.evaluate(access.Quality, "discrepancy-important", "subject", patient)
	if one.node.Text("type") != "individual" || one.node.Text("subject", "reference") != patient || countsOf(one.node.Each("group")[0])["numerator"] != "1" {
		t.Errorf("%s", one.body)
	}
	if got := c.evaluate(access.Quality, "discrepancy-important", "subject", "Patient/nobody"); got.status != http.StatusNotFound {
		t.Errorf("of somebody who is not known: %d %s", got.status, got.body)
	}
	open := c.evaluate(access.Quality, "discrepancy-important", "stratifier", "second-reader", "readers", "open")
	if !strings.Contains(open.body, "Dr Second Reader") {
		t.Errorf("opened readers: %s", open.body)
	}
	opened := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|measure-opened&entity:identifier="+Canonical+"/sid/measure|discrepancy-important", "")
	if n := len(opened.node.Each("entry")); n != 3 {
		t.Errorf("%d openings are recorded: %s", n, opened.body)
	}
	for _, role := range anybody {
		if role == access.Quality {
			continue
		}
		if got := c.evaluate(role, "discrepancy-important"); got.status != http.StatusForbidden || strings.Contains(got.body, "population") {
			t.Errorf("%s: %d %s", role, got.status, got.body)
		}
	}
	if got := c.evaluate(access.Auditor, "agreement"); !strings.Contains(got.body, "published figures") {
		t.Errorf("an auditor: %s", got.body)
	}
	if got := c.do(c.with(access.Quality, "system/Measure.r"), "GET", "/fhir/Measure/$evaluate-measure?measure="+Canonical+"/Measure/agreement|1.0.0&periodStart=2026-01-01&periodEnd=2026-12-31", ""); got.status != http.StatusOK {
		t.Errorf("by its canonical URL: %d %s", got.status, got.body)
	}
	c.do(c.with(access.Quality, "system/Patient.rs"), "GET", "/fhir/Measure/agreement/$evaluate-measure?periodStart=2026&periodEnd=2026", "").want(t, http.StatusForbidden, "forbidden")
}

func TestWhatAMeasureIsAskedWronglyIsNamed(t *testing.T) {
	t.Parallel()
	c, _, _ := counting(t)
	for _, params := range [][]string{
		{"stratifier", "shoe-size"}, {"stratifier", "month", "stratifier", "month"}, {"filter", "modality"}, {"filter", "second-reader|x"}, {"interval", "wald"}, {"asOf", "2126-01-01T00:00:00Z"},
		{"asOf", "2026-01-01"}, {"reportType", "subject"}, {"subject", "Patient"}, {"readers", "named"}, {"reportType", "whole"}, {"filter", "modality|CT", "filter", "modality|MR"},
		{"stratifier", "month", "stratifier", "modality", "stratifier", "priority"},
	} {
		if got := c.evaluate(access.Quality, "agreement", params...); got.status != http.StatusBadRequest {
			t.Errorf("%v: %d %s", params, got.status, got.body)
		}
	}
	c.do(access.Quality, "GET", "/fhir/Measure/agreement/$evaluate-measure?periodStart=2026", "").want(t, http.StatusBadRequest, "required")
	c.do(access.Quality, "GET", "/fhir/Measure/agreement/$evaluate-measure?periodStart=2027&periodEnd=2026", "").want(t, http.StatusBadRequest, "value")
	c.do(access.Quality, "GET", "/fhir/Measure/beauty/$evaluate-measure?periodStart=2026&periodEnd=2026", "").want(t, http.StatusNotFound, "not-found")
	c.do(access.Quality, "GET", "/fhir/Measure/$evaluate-measure?measure="+Canonical+"/Measure/agreement|2.0.0&periodStart=2026&periodEnd=2026", "").want(t, http.StatusNotFound, "not-found")
	if got := c.do(access.Quality, "GET", "/fhir/Measure?url="+Canonical+"/Measure/agreement&status=active&version=1.0.0", ""); got.node.Text("total") != "1" || len(got.node.Each("entry")) != 1 {
		t.Errorf("%s", got.body)
	}
}

// openings is how many openings of a measure are recorded.
func (c *clinic) openings(measure string) int {
	c.t.Helper()
	got := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|measure-opened&entity:identifier="+Canonical+"/sid/measure|"+measure, "")
	return len(got.node.Each("entry"))
}

// What is not shown to auditors because it is of few cases is opened by who is shown it.
func TestACountOfFewCasesIsRecordedAsOpenedAndALargeOneIsNot(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	query := "periodStart=2025-01&periodEnd=2025-03"
	for _, tt := range []struct {
		measure, more string
		opened        bool
	}{
		{"agreement", "", false},                          // 422 of 448
		{"agreement", "&stratifier=site", false},          // about half of them each
		{"discrepancy-any", "&filter=modality|CT", true},  // of 26 about a third
		{"discrepancy-any", "&filter=modality|XA", false}, // of no case
		{"discrepancy-any", "&stratifier=modality", true},
		{"discrepancy-important", "", true}, // 4
	} {
		before := c.openings(tt.measure)
		got := c.do(access.Quality, "GET", "/fhir/Measure/"+tt.measure+"/$evaluate-measure?"+query+tt.more, "")
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if opened := c.openings(tt.measure) > before; opened != tt.opened {
			t.Errorf("%s%s is recorded as opened: %v; %s", tt.measure, tt.more, opened, got.body)
		}
	}
}
