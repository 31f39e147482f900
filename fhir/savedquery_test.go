package fhir

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
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
	if got := c.do(access.Quality, "GET", link+"&startsOn="+day, ""); got.status != http.StatusOK || got.node.Text("period", "start") != day {
		t.Errorf("for quality: %d %s", got.status, got.body)
	}
	c.do(access.Auditor, "GET", link+"&startsOn=1999-01-01", "").want(t, http.StatusNotFound, "not-found")
}

// keptOf are the first days of the periods of which reports of a query were kept.
func (c *clinic) keptOf(as access.Role, id string) (days []string) {
	c.t.Helper()
	for _, q := range c.do(as, "GET", "/fhir/Measure/$saved-queries", "").node.Each("parameter") {
		if !strings.Contains(string(q.Bytes()), id) {
			continue
		}
		for _, p := range q.Each("part", "part") {
			if p.Text("name") == "startsOn" {
				days = append(days, p.Text("valueDate"))
			}
		}
	}
	return days
}

// reportTick lets the clock make reports until it makes none, as two replicas at once.
func (c *clinic) reportTick() (made int) {
	c.t.Helper()
	for {
		var n [2]int
		var both sync.WaitGroup
		for i := range n {
			both.Go(func() {
				var err error
				if n[i], err = c.server.ReportTick(c.t.Context()); err != nil {
					c.t.Error(err)
				}
			})
		}
		both.Wait()
		if made += n[0] + n[1]; n[0]+n[1] == 0 {
			return made
		}
	}
}

func (c *clinic) at(text string) {
	c.t.Helper()
	now, err := time.Parse(time.RFC3339, text)
	if err != nil {
		c.t.Fatal(err)
	}
	c.server.now = func() time.Time { return now }
}

func TestAPeriodThatWasMissedIsCaughtUpAndItsOwnerIsToldOnce(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	c.at("2025-04-10T08:00:00Z")
	id, _ := c.save(access.Quality, "title", "Each month", "measure", "Measure/agreement", "every", "month", "stratifier", "site", "mail", "quality@clinic.example")
	silent, _ := c.save(access.Quality, "title", "Each year", "measure", "Measure/agreement", "every", "year")
	if made := c.reportTick(); made != 2 {
		t.Errorf("%d reports when it was saved", made)
	}
	c.at("2025-08-02T08:00:00Z") // the server was away for four months
	if made := c.reportTick(); made != 4 {
		t.Errorf("%d reports were caught up", made)
	}
	if made := c.reportTick(); made != 0 {
		t.Errorf("%d again", made)
	}
	if diff := cmp.Diff([]string{"2025-03-01", "2025-04-01", "2025-05-01", "2025-06-01", "2025-07-01"}, c.keptOf(access.Quality, id)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"2024-01-01"}, c.keptOf(access.Quality, silent)); diff != "" {
		t.Error(diff)
	}

	var mails []workflow.Mail
	var mu sync.Mutex
	send := func(_ context.Context, m workflow.Mail) workflow.MailVerdict {
		mu.Lock()
		defer mu.Unlock()
		mails = append(mails, m)
		return workflow.MailVerdict{Sent: true}
	}
	var postmen sync.WaitGroup
	for range 2 {
		postmen.Go(func() {
			if _, err := workflow.NewPostman(c.db.DB, send, slog.New(slog.DiscardHandler)).Tick(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	postmen.Wait()
	var told []string
	for _, m := range mails {
		if m.Recipient != "quality@clinic.example" || m.Report == nil || m.Report.QueryID.String() != id || m.Number != "" {
			t.Errorf("%+v", m)
			continue
		}
		told = append(told, m.Report.StartsOn)
	}
	if slices.Sort(told); !slices.Equal(told, c.keptOf(access.Quality, id)) {
		t.Errorf("of %v was told", told)
	}

	c.at("2045-08-02T08:00:00Z") // for twenty years: what is older than sixty periods is not made
	if made := c.reportTick(); made != 60+20 {
		t.Errorf("%d reports of twenty years", made)
	}
	if days := c.keptOf(access.Quality, id); days[len(days)-60] != "2040-08-01" || days[len(days)-1] != "2045-07-01" {
		t.Errorf("%v", days)
	}
}

// A quarter may be published when the next one has ended, too.
func TestAnAuditorsReportIsKeptWhenItsQuarterIsPublishedHoweverLate(t *testing.T) {
	t.Parallel()
	c := croydon(t) // the first quarter of 2025 is published
	if _, err := c.db.Owner(t).Exec(t.Context(), `UPDATE tenant SET policy = '{"publication":{"afterDays":100}}'`); err != nil {
		t.Fatal(err)
	}
	c.at("2025-07-02T08:00:00Z")
	id, _ := c.save(access.Auditor, "title", "Each quarter", "measure", "Measure/agreement", "every", "quarter")
	if made := c.reportTick(); made != 0 {
		t.Errorf("%d reports of a quarter that was not published", made)
	}
	c.at("2025-10-10T08:00:00Z") // the second is due, and the third has ended
	if _, err := c.server.PublishTick(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.reportTick()
	if diff := cmp.Diff([]string{"2025-04-01"}, c.keptOf(access.Auditor, id)); diff != "" {
		t.Error(diff)
	}
}

func TestWhereATenantIsLaterChangesNoReportOfASavedQuery(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	owner := c.db.Owner(t)
	run := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// A case in the night to February: in UTC it is one of February, in New York of January.
	run(`UPDATE measure_fact SET period_at = '2025-02-01T02:00:00Z', signed_at = '2025-02-01T02:00:00Z', known_from = '2025-02-01T02:00:00Z'
		WHERE case_id = (SELECT min(case_id::text)::uuid FROM measure_fact)`)
	c.at("2025-02-10T08:00:00Z")
	query := []any{"title", "January", "measure", "Measure/agreement", "stratifier", "month"}
	_, fixed := c.save(access.Quality, append(query, "periodStart", "2025-01", "periodEnd", "2025-02")...)
	id, link := c.save(access.Quality, append(query[:4:4], "every", "month")...)
	counts := func(address string) string {
		t.Helper()
		got := c.do(access.Quality, "GET", address, "")
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", address, got.status, got.body)
		}
		return string(Object("group", got.node.Get("group"), "period", got.node.Get("period")).Bytes())
	}
	before := counts(fixed)
	c.reportTick()
	january := counts(link + "&startsOn=2025-01-01")
	run(`UPDATE tenant SET policy = '{"calendar":{"zone":"America/New_York","weekend":["sunday"]}}'`)
	asked := "/fhir/Measure/agreement/$evaluate-measure?periodStart=2025-01&periodEnd=2025-02&stratifier=month"
	if counts(asked) == before {
		t.Fatal("the test cannot tell one zone from the other")
	}
	if after := counts(fixed); after != before {
		t.Errorf("%s\n%s", before, after)
	}
	if after := counts(asked + "&zone=UTC"); after != before {
		t.Errorf("with the zone of the report: %s\n%s", before, after)
	}
	if after := counts(link + "&startsOn=2025-01-01"); after != january {
		t.Errorf("%s\n%s", january, after)
	}
	c.at("2025-03-01T02:00:00Z") // in UTC February has ended, in New York it has not
	c.reportTick()
	if diff := cmp.Diff([]string{"2025-01-01", "2025-02-01"}, c.keptOf(access.Quality, id)); diff != "" {
		t.Error(diff)
	}
	if c.do(access.Auditor, "GET", fixed, "").status == http.StatusInternalServerError {
		t.Error("an auditor who opens it")
	}
	for _, zone := range []string{"Local", "Mars/Olympus", "../../etc/passwd"} {
		c.do(access.Quality, "GET", asked+"&zone="+url.QueryEscape(zone), "").want(t, http.StatusBadRequest, "value")
	}
}
