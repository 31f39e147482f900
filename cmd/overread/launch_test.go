package main

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/standin"
	"github.com/overread/overread/workflow"
)

// clinic is a world in which clinicians open Overread from their EHR.
type clinic struct {
	*world

	root string
}

func newClinic(t *testing.T, hospitals ...string) *clinic {
	t.Helper()
	return clinicOf(t, newWorld(t, hospitals...))
}

// clinicOf has clinicians come to a world from its EHR.
func clinicOf(t *testing.T, w *world) *clinic {
	t.Helper()
	c := &clinic{world: w, root: strings.TrimSuffix(w.base, "/fhir")}
	for name := range w.tenants {
		id := "overread-" + name
		if err := addIssuer(t.Context(), w.db, administration.Launch{Tenant: name, Issuer: w.chart.base, ClientID: id, Authentication: "public", FrameOrigins: []string{c.ehrRoot()}}); err != nil {
			t.Fatal(err)
		}
		w.ehr.Register(standin.App{ClientID: id, Name: name, LaunchURL: c.root + "/launch/at/" + name, RedirectURI: c.root + "/launch/callback"})
	}
	return c
}

func (c *clinic) ehrRoot() string { return strings.TrimSuffix(c.chart.base, "/fhir") }

// order has an order placed for a patient, at the EHR and with us.
func (c *clinic) order(t *testing.T, hospital, number string, who person) order {
	t.Helper()
	o := order{ehr: c.chart.base, number: number, hospital: hospital, priority: "urgent", patient: who, sample: samples["knee"], at: time.Now()}
	if _, err := c.seeder.order(t.Context(), o, c.clients[hospital+"-placer"]); err != nil {
		t.Fatal(err)
	}
	return o
}

// browser is a clinician's.
type browser struct {
	http.Client

	t *testing.T
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{Client: http.Client{Jar: jar, Timeout: 30 * time.Second}, t: t}
}

// page is what a browser shows in the end.
type page struct {
	status int
	url    *url.URL
	header http.Header
	text   string
}

func (b *browser) do(method, address string, form url.Values) page {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := b.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{answer.StatusCode, answer.Request.URL, answer.Header, string(text)}
}

func (b *browser) get(address string) page { b.t.Helper(); return b.do(http.MethodGet, address, nil) }

// launch presses the button of the EHR's page.
func (c *clinic) launch(b *browser, hospital string, o order) page {
	b.t.Helper()
	return b.do(http.MethodPost, c.ehrRoot()+"/launch", url.Values{"app": {"overread-" + hospital}, "patient": {o.patient.id()}, "order": {"order-" + o.number}})
}

var csrfInPage = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
var taskInPage = regexp.MustCompile(`name="task" value="([^"]+)"`)
var versionInPage = regexp.MustCompile(`name="version" value="([^"]+)"`)

// said is a page without its style sheet.
func (p page) said() string {
	_, text, found := strings.Cut(p.text, "</style>")
	if !found {
		return p.text
	}
	return text
}

func (p page) wants(t *testing.T, status int, texts ...string) {
	t.Helper()
	if p.status != status {
		t.Errorf("status %d, want %d\n%s", p.status, status, p.said())
	}
	for _, text := range texts {
		if !strings.Contains(p.said(), text) {
			t.Errorf("the page does not say %q\n%s", text, p.said())
		}
	}
}

func (p page) lacks(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(p.said(), text) {
			t.Errorf("the page says %q\n%s", text, p.said())
		}
	}
}

// sign has an order of mercy's read and signed.
func (c *clinic) sign(t *testing.T, o order) {
	t.Helper()
	task, err := taskOf(t.Context(), c.clients["mercy-placer"], o.number)
	if err != nil {
		t.Fatal(err)
	}
	chapters := append([]chapter{{"", "", nil, workflow.Ready}}, reads("tanaka", "knee")...)
	for _, each := range append(chapters,
		chapter{"tanaka", "grade", gradeParameters(samples["knee"].Diff), workflow.Comparing}, chapter{"tanaka", "sign", nil, workflow.Final}) {
		c.live(t, o, task, each)
	}
}

// TestAClinicianOpensTheSecondOpinionsOfThePatientInContext does what a browser
// does: the button in the EHR, its authorization server, and back.
func TestAClinicianOpensTheSecondOpinionsOfThePatientInContext(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	ada, bo := person{"700001", "Ada", "Quillfeather", "female", "1961-02-03"}, person{"700002", "Bo", "Zimmerli", "male", "1970-05-06"}
	first, second, other := c.order(t, "mercy", "L-1", ada), c.order(t, "mercy", "L-2", ada), c.order(t, "mercy", "L-3", bo)
	c.sign(t, first)
	c.sign(t, other)

	b := newBrowser(t)
	seen := c.launch(b, "mercy", second)
	seen.wants(t, http.StatusOK, "Quillfeather", "L-1", "L-2", "The order open in your EHR", "I have read this report", "Read the report", "Dr. ")
	seen.lacks(t, "Zimmerli", "L-3", "score", "expectedness")
	if at, open := strings.Index(seen.text, "L-2"), strings.Index(seen.text, "L-1"); at > open {
		t.Error("the order in context does not come first")
	}
	if !strings.HasPrefix(seen.url.Path, "/launched/") || seen.url.RawQuery != "" || strings.Contains(seen.url.String(), "700001") {
		t.Errorf("the page is at %s", seen.url)
	}
	policy := seen.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "frame-ancestors "+c.ehrRoot()) || seen.header.Get("X-Frame-Options") != "" || seen.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", seen.header)
	}

	for form, beginning := range map[string]string{"html": "<!DOCTYPE html>", "pdf": "%PDF-"} {
		link := regexp.MustCompile(`/launched/[^"]+/` + form).FindString(seen.text)
		report := b.get(c.root + link)
		if report.status != http.StatusOK || !strings.HasPrefix(report.text, beginning) {
			t.Errorf("%s: %d %.80s", form, report.status, report.text)
		}
	}

	here := c.root + seen.url.Path
	task := taskInPage.FindStringSubmatch(seen.text)[1]
	b.do(http.MethodPost, here+"/acknowledge", url.Values{"task": {task}, "csrf": {"x"}}).wants(t, http.StatusForbidden)
	done := b.do(http.MethodPost, here+"/acknowledge", url.Values{"task": {task}, "version": {versionInPage.FindStringSubmatch(seen.text)[1]}, "csrf": {csrfInPage.FindStringSubmatch(seen.text)[1]}})
	done.wants(t, http.StatusOK, "Acknowledged on")
	done.lacks(t, "I have read this report")
	b.do(http.MethodPost, here+"/acknowledge", url.Values{"task": {task}, "version": {versionInPage.FindStringSubmatch(seen.text)[1]}, "csrf": {csrfInPage.FindStringSubmatch(seen.text)[1]}}).wants(t, http.StatusConflict)

	c.checkAudit(t, "mercy")
	b.do(http.MethodPost, here+"/end", url.Values{"csrf": {csrfInPage.FindStringSubmatch(seen.text)[1]}}).wants(t, http.StatusGone, "This view has ended")
	over := b.get(here)
	over.wants(t, http.StatusGone, "This view has ended")
	over.lacks(t, "Quillfeather", "L-1")
}

// TestAPageAcknowledgesTheVersionThatItHasShown: the report is corrected while the
// clinician reads.
func TestAPageAcknowledgesTheVersionThatItHasShown(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	o := c.order(t, "mercy", "L-1", person{"700001", "Ada", "Quillfeather", "female", "1961-02-03"})
	c.sign(t, o)
	b := newBrowser(t)
	seen := c.launch(b, "mercy", o)
	task, err := taskOf(t.Context(), c.clients["mercy-placer"], o.number)
	if err != nil {
		t.Fatal(err)
	}
	text := func(name, value string) *fhir.Node { return param(name, "valueString", value) }
	c.live(t, o, task, chapter{"tanaka", "amend", []*fhir.Node{text("reason", "wrong side")}, workflow.Amending})
	c.live(t, o, task, chapter{"tanaka", "sign", []*fhir.Node{
		param("kind", "valueCode", "correction"), text("reason", "wrong side"), text("text", "It is the left one."), text("impression", "Torn meniscus on the left."), param("gradeStands", "valueBoolean", true)}, workflow.Final})
	read := func(seen page) page {
		return b.do(http.MethodPost, c.root+seen.url.Path+"/acknowledge", url.Values{
			"task": {taskInPage.FindStringSubmatch(seen.text)[1]}, "version": {versionInPage.FindStringSubmatch(seen.text)[1]}, "csrf": {csrfInPage.FindStringSubmatch(seen.text)[1]}})
	}
	read(seen).wants(t, http.StatusOK, "A newer version must be read")
	again := b.get(c.root + seen.url.Path)
	again.wants(t, http.StatusOK, "I have read this report", "It is the left one.")
	again.lacks(t, "Acknowledged on")
	read(again).wants(t, http.StatusOK, "Acknowledged on")
}

// TestAPageAcknowledgesTheVersionInForceWhileItIsAmended, and not the one to come.
func TestAPageAcknowledgesTheVersionInForceWhileItIsAmended(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	o := c.order(t, "mercy", "L-1", ada)
	c.sign(t, o)
	task, err := taskOf(t.Context(), c.clients["mercy-placer"], o.number)
	if err != nil {
		t.Fatal(err)
	}
	text := func(name, value string) *fhir.Node { return param(name, "valueString", value) }
	c.live(t, o, task, chapter{"tanaka", "amend", []*fhir.Node{text("reason", "wrong side")}, workflow.Amending})
	b := newBrowser(t)
	seen := c.launch(b, "mercy", o)
	seen.wants(t, http.StatusOK, "I have read this report", "being changed")
	form := url.Values{"task": {task}, "version": {versionInPage.FindStringSubmatch(seen.text)[1]}, "csrf": {csrfInPage.FindStringSubmatch(seen.text)[1]}}
	read := b.do(http.MethodPost, c.root+seen.url.Path+"/acknowledge", form)
	read.wants(t, http.StatusOK, "Acknowledged on", "being changed")
	read.lacks(t, "I have read this report")
	c.live(t, o, task, chapter{"tanaka", "sign", []*fhir.Node{
		param("kind", "valueCode", "correction"), text("reason", "wrong side"), text("text", "It is the left one."), text("impression", "Torn meniscus on the left."), param("gradeStands", "valueBoolean", true)}, workflow.Final})
	next := b.get(c.root + seen.url.Path)
	next.wants(t, http.StatusOK, "I have read this report", "It is the left one.")
	next.lacks(t, "Acknowledged on", "being changed")
}

// checkAudit looks for who came, about whom, and that it was they who
// acknowledged.
func (c *clinic) checkAudit(t *testing.T, hospital string) {
	t.Helper()
	director := c.clients[hospital+"-director"] // who is told of operations on a case
	deadline := time.Now().Add(10 * time.Second)
	for {
		events, err := director.get(t.Context(), "AuditEvent?_count=200&_sort=-date")
		if err != nil {
			t.Fatal(err)
		}
		var launch, acknowledged bool
		for _, e := range events.Each("entry", "resource") {
			text := string(e.Bytes())
			byThem := strings.Contains(text, "(Practitioner/")
			about := strings.Contains(text, `"Patient/`)
			launch = launch || byThem && about && strings.Contains(text, `"launch"`)
			acknowledged = acknowledged || byThem && about && strings.Contains(text, `"operation"`)
		}
		if launch && acknowledged {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("launch recorded: %v, acknowledgement by the clinician: %v", launch, acknowledged)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestALaunchedSessionSeesItsPatientAndNothingElse tries every way to another
// patient: the pages, the API, another window.
func TestALaunchedSessionSeesItsPatientAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newClinic(t, "mercy", "lakeside")
	ada, bo := person{"700001", "Ada", "Quillfeather", "female", "1961-02-03"}, person{"700002", "Bo", "Zimmerli", "male", "1970-05-06"}
	hers, his := c.order(t, "mercy", "L-1", ada), c.order(t, "mercy", "L-3", bo)
	c.order(t, "lakeside", "L-9", ada)
	c.sign(t, hers)
	c.sign(t, his)

	b := newBrowser(t)
	about := map[string]page{"ada": c.launch(b, "mercy", hers), "bo": c.launch(b, "mercy", his)} // two windows
	for name, family := range map[string]string{"ada": "Quillfeather", "bo": "Zimmerli"} {
		again := b.get(c.root + about[name].url.Path)
		again.wants(t, http.StatusOK, family)
		about[name] = again
	}
	about["ada"].lacks(t, "Zimmerli", "L-3", "L-9")
	about["bo"].lacks(t, "Quillfeather", "L-1", "L-9")

	// The report of the one in the view of the other; the form of the one with the
	// other's token, and with its own for the other's Task.
	link := regexp.MustCompile(`/report/[^"]+/html`)
	foreign := c.root + about["ada"].url.Path + link.FindString(about["bo"].text)
	b.get(foreign).wants(t, http.StatusNotFound)
	csrf := func(name string) string { return csrfInPage.FindStringSubmatch(about[name].text)[1] }
	task := func(name string) string { return taskInPage.FindStringSubmatch(about[name].text)[1] }
	at := c.root + about["ada"].url.Path + "/acknowledge"
	b.do(http.MethodPost, at, url.Values{"task": {task("ada")}, "csrf": {csrf("bo")}}).wants(t, http.StatusForbidden)
	b.do(http.MethodPost, at, url.Values{"task": {task("bo")}, "version": {versionInPage.FindStringSubmatch(about["bo"].text)[1]}, "csrf": {csrf("ada")}}).wants(t, http.StatusConflict)
	b.get(c.root+about["bo"].url.Path).wants(t, http.StatusOK, "I have read this report")

	// The API is closed to a launched session, also where its cookie comes under the
	// name of another kind of session.
	where, _ := url.Parse(c.root)
	for _, cookie := range b.Jar.Cookies(where) {
		if !strings.HasPrefix(cookie.Name, "overread-launch-") {
			continue
		}
		for _, name := range []string{cookie.Name, "overread"} {
			for _, path := range []string{"/fhir/Patient", "/fhir/Task", "/fhir/DiagnosticReport"} {
				request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, c.root+path, http.NoBody)
				request.AddCookie(&http.Cookie{Name: name, Value: cookie.Value})
				answer, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s with the cookie %s: %d", path, name, answer.StatusCode)
				}
			}
		}
	}

	// Another browser with the address, and time.
	newBrowser(t).get(c.root+about["ada"].url.Path).wants(t, http.StatusGone)
	c.behind(t, `UPDATE session SET seen_at = now() - interval '16 minutes'`)
	ended := b.get(c.root + about["ada"].url.Path)
	ended.wants(t, http.StatusGone)
	ended.lacks(t, "Quillfeather")
}

func (c *clinic) behind(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := c.database.Owner(t).Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// TestASessionLastsNoLongerThanTheEHRLetsUsIn compares its end with the token's.
func TestASessionLastsNoLongerThanTheEHRLetsUsIn(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	o := c.order(t, "mercy", "L-1", person{"700001", "Ada", "Quillfeather", "female", "1961-02-03"})
	b := newBrowser(t)
	seen := c.launch(b, "mercy", o)
	seen.wants(t, http.StatusOK)
	var seconds float64
	err := c.database.Owner(t).QueryRow(t.Context(), `SELECT extract(epoch FROM ends_at - opened_at) FROM session`).Scan(&seconds)
	if err != nil || seconds != 600 {
		t.Errorf("it lasts %v seconds, want the token's 600 (%v)", seconds, err)
	}
	c.behind(t, `UPDATE session SET ends_at = now()`)
	b.get(c.root+seen.url.Path).wants(t, http.StatusGone, "This view has ended")
	c.behind(t, `UPDATE session SET ends_at = now() + interval '1 minute'`)
	b.get(c.root+seen.url.Path).wants(t, http.StatusOK)
	if err := run(t.Context(), []string{"issuer", "remove", "mercy", c.chart.base, "--database-url", c.database.URL}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	b.get(c.root+seen.url.Path).wants(t, http.StatusGone)
	c.launch(b, "mercy", o).wants(t, http.StatusForbidden, "does not know the EHR")
}
