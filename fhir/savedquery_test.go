package fhir

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/overread/overread/internal/access"
)

// save saves a query, and returns its id and its address below the server.
func (c *clinic) save(as access.Role, params ...any) (id, link string) {
	c.t.Helper()
	got := c.do(as, "POST", "/fhir/Measure/$save-query", saving(params...))
	if got.status != http.StatusOK {
		c.t.Fatalf("%d %s", got.status, got.body)
	}
	for _, p := range got.node.Each("parameter") {
		switch p.Text("name") {
		case "id":
			id = p.Text("valueId")
		case "link":
			u, err := url.Parse(p.Text("valueUrl"))
			if err != nil {
				c.t.Fatal(err)
			}
			link = u.RequestURI()
		}
	}
	return id, link
}

func saving(pairs ...any) string {
	in := Object("resourceType", "Parameters")
	for i := 0; i < len(pairs); i += 2 {
		in.Append("parameter", Object("name", pairs[i], "valueString", pairs[i+1]))
	}
	return string(in.Bytes())
}

func TestWhatASavedQueryGivesIsDecidedByWhoOpensIt(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	id, link := c.save(access.Quality, "title", "Important, first quarter", "measure", "Measure/discrepancy-important", "periodStart", "2025-01", "periodEnd", "2025-03", "stratifier", "site")
	exact := c.do(access.Quality, "GET", link, "")
	if got := countsOf(exact.node.Each("group")[0]); got["numerator"] != "4" {
		t.Errorf("for quality: %s", exact.body)
	}
	published := c.do(access.Auditor, "GET", link, "")
	if published.status != http.StatusOK || strings.Contains(published.body, `"count":4}`) || !strings.Contains(published.body, "masked") {
		t.Errorf("for an auditor: %d %s", published.status, published.body)
	}
	for _, role := range anybody {
		if role != access.Quality && role != access.Auditor {
			c.do(role, "GET", link, "").want(t, http.StatusForbidden, "forbidden")
		}
	}
	if list := c.do(access.Auditor, "GET", "/fhir/Measure/$saved-queries", ""); strings.Contains(list.body, id) {
		t.Errorf("the list of another role: %s", list.body)
	}
	c.do(access.Auditor, "POST", "/fhir/Measure/$withdraw-query", saving("id", id)).want(t, http.StatusForbidden, "forbidden")
	if got := c.do(access.Quality, "POST", "/fhir/Measure/$withdraw-query", saving("id", id)); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.do(access.Quality, "GET", link, "").want(t, http.StatusNotFound, "not-found")
}

func TestASavedQueryNamesNobodyAndAsksOnlyWhatMayBeAsked(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	fixed := []any{"title", "q", "measure", "Measure/agreement", "periodStart", "2025-01", "periodEnd", "2025-03"}
	for _, tt := range []struct {
		as     access.Role
		params []any
	}{
		{access.Quality, append(fixed, "subject", "Patient/1")},
		{access.Quality, append(fixed, "practitioner", "Practitioner/1")},
		{access.Quality, append(fixed, "readers", "open")},
		{access.Quality, append(fixed, "filter", "second-reader|reader-one")},
		{access.Quality, append(fixed, "every", "month")},
		{access.Quality, fixed[:4]},
		{access.Quality, []any{"title", "q", "measure", "Measure/agreement", "every", "week"}},
		{access.Quality, []any{"title", "q", "measure", "Measure/beauty", "every", "month"}},
		{access.Auditor, append(fixed, "filter", "modality|CT")},
		{access.Auditor, []any{"title", "q", "measure", "Measure/agreement", "every", "month"}},
	} {
		if got := c.do(tt.as, "POST", "/fhir/Measure/$save-query", saving(tt.params...)); got.status < 400 || got.status >= 500 {
			t.Errorf("%s %v: %d %s", tt.as, tt.params, got.status, got.body)
		}
	}
}

func TestAScheduledReportIsKeptOnceForItsPeriodAndItsRole(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	for { // until the last quarter is published
		if n, err := c.server.PublishTick(t.Context()); err != nil {
			t.Fatal(err)
		} else if n == 0 {
			break
		}
	}
	id, link := c.save(access.Auditor, "title", "Each quarter", "measure", "Measure/agreement", "every", "quarter", "stratifier", "modality")
	other, _ := c.save(access.Quality, "title", "Each month", "measure", "Measure/unread", "every", "month")
	var both sync.WaitGroup
	for range 2 { // two replicas
		both.Go(func() {
			if _, err := c.server.ReportTick(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if n, err := c.server.ReportTick(t.Context()); n != 0 || err != nil {
		t.Errorf("again: %d %v", n, err)
	}
	list := c.do(access.Auditor, "GET", "/fhir/Measure/$saved-queries", "")
	if strings.Count(list.body, `"report"`) != 1 || strings.Contains(list.body, other) || !strings.Contains(list.body, id) {
		t.Fatalf("%s", list.body)
	}
	day := ""
	for _, p := range list.node.Each("parameter", "part", "part") {
		if p.Text("name") == "startsOn" {
			day = p.Text("valueDate")
		}
	}
	report := c.do(access.Auditor, "GET", link+"&startsOn="+day, "")
	if report.status != http.StatusOK || report.node.Text("period", "start") != day {
		t.Errorf("%d %s", report.status, report.body)
	}
	if list := c.do(access.Auditor, "GET", "/fhir/Measure/$saved-queries", ""); !strings.Contains(list.body, `"name":"opened","valueBoolean":true`) {
		t.Errorf("that it was opened is not told: %s", list.body)
	}
	c.do(access.Quality, "GET", link+"&startsOn="+day, "").want(t, http.StatusForbidden, "forbidden")
	c.do(access.Auditor, "GET", link+"&startsOn=1999-01-01", "").want(t, http.StatusNotFound, "not-found")
}
