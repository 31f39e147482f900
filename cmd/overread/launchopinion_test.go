package main

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

var opinionInPage = regexp.MustCompile(`href="(/launched/[^"]+/opinion/[^"/#]+)"`)
var findingInPage = regexp.MustCompile(`name="finding" value="([^"]+)"`)

// opened is the page of the first second opinion of a chart.
func (c *clinic) opened(b *browser, chart page) page {
	b.t.Helper()
	link := opinionInPage.FindStringSubmatch(chart.text)
	if link == nil {
		b.t.Fatalf("no second opinion can be opened\n%s", chart.said())
	}
	return b.get(c.root + link[1])
}

func (p page) csrf() string { return csrfInPage.FindStringSubmatch(p.text)[1] }

// does sends a form of an opinion's page.
func (c *clinic) does(b *browser, at page, act string, fields url.Values) page {
	b.t.Helper()
	fields.Set("csrf", at.csrf())
	return b.do(http.MethodPost, c.root+at.url.Path+"/"+act, fields)
}

var ada = person{"700001", "Ada", "Quillfeather", "female", "1961-02-03"}

// TestASecondOpinionStandsBesideTheOriginalWithItsQuestionsAndVersions follows a
// clinician through the page of one second opinion.
func TestASecondOpinionStandsBesideTheOriginalWithItsQuestionsAndVersions(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	o := c.order(t, "mercy", "L-1", ada)
	task, err := taskOf(t.Context(), c.clients["mercy-placer"], o.number)
	if err != nil {
		t.Fatal(err)
	}
	c.live(t, o, task, chapter{"", "", nil, workflow.Ready}) // only then is it due
	b := newBrowser(t)
	early := c.opened(b, c.launch(b, "mercy", o))
	early.wants(t, http.StatusOK, "Not yet reported", "Progress", "Due by")
	early.lacks(t, "side by side", `action="`+early.url.Path+`/ask"`, samples["knee"].Impression)

	c.sign(t, o)
	seen := c.opened(b, c.launch(b, "mercy", o))
	seen.wants(t, http.StatusOK, "Both reports side by side", `<mark class="first">`, `<mark class="second">`, "Nobody has asked anything yet.", "Born", "3 Feb 1961", "What was asked")
	seen.lacks(t, "What changed from version", "score", "expectedness", "perceptual")
	if at := seen.url; strings.Contains(at.String(), "700001") || at.RawQuery != "" {
		t.Errorf("the page is at %s", at)
	}

	asked := c.does(b, seen, "ask", url.Values{"question": {"Is the root <b>torn</b>?"}, "clinician": {"Somebody Else"}})
	asked.wants(t, http.StatusOK, "Is the root &lt;b&gt;torn&lt;/b&gt;?", "Not answered yet", "Your question was sent")
	asked.lacks(t, "Somebody Else")
	c.does(b, asked, "ask", url.Values{"question": {" "}}).wants(t, http.StatusConflict, "Please say this too: Your question to who signed.", `id="refused"`)
	text := func(name, value string) *fhir.Node { return param(name, "valueString", value) }
	c.live(t, o, task, chapter{"tanaka", "answer", []*fhir.Node{text("answer", "The root is intact.")}, workflow.Final})
	answered := b.get(c.root + seen.url.Path)
	answered.wants(t, http.StatusOK, "The root is intact.", "addendum, version 2", "What changed from version 1 to version 2", "Addendum to version 1", "<ins>")

	c.live(t, o, task, chapter{"tanaka", "amend", []*fhir.Node{text("reason", "wrong side")}, workflow.Amending})
	c.live(t, o, task, chapter{"tanaka", "sign", []*fhir.Node{
		param("kind", "valueCode", "correction"), text("reason", "wrong side"), text("text", "It is the left one."), text("impression", "Torn meniscus on the left."), param("gradeStands", "valueBoolean", true)}, workflow.Final})
	b.get(c.root+seen.url.Path+"?from=1&to=3").wants(t, http.StatusOK, "What changed from version 1 to version 3", "Torn meniscus on the left.", "<del>")
	for _, odd := range []string{"?from=3&to=1", "?from=x&to=y", "?from=0&to=99", "?done=x"} {
		b.get(c.root+seen.url.Path+odd).wants(t, http.StatusOK, "What changed from version 2 to version 3")
	}

	judged := c.does(b, b.get(c.root+seen.url.Path), "judge-management", url.Values{"management": {"treatment"}, "note": {"Arthroscopy instead of physiotherapy."}})
	judged.wants(t, http.StatusOK, "Thank you.")
	judged.lacks(t, "Arthroscopy") // quality work product
	c.does(b, judged, "cancel", url.Values{}).wants(t, http.StatusNotFound)
	b.get(c.root+strings.Replace(seen.url.Path, task, "nobody", 1)).wants(t, http.StatusNotFound, "There is no such second opinion")
}

// TestAFindingIsAcknowledgedWithOneClick: before the report too, by name, and an
// emergency before the report can be.
func TestAFindingIsAcknowledgedWithOneClick(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	o := c.order(t, "mercy", "L-1", ada)
	task, err := taskOf(t.Context(), c.clients["mercy-placer"], o.number)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range append([]chapter{{"", "", nil, workflow.Ready}}, reads("tanaka", "knee")[:2]...) {
		c.live(t, o, task, each)
	}
	c.live(t, o, task, chapter{"tanaka", "raise-finding", []*fhir.Node{param("category", "valueCode", "emergent"), param("text", "valueString", "Popliteal artery is occluded.")}, workflow.Reading})
	b := newBrowser(t)
	chart := c.launch(b, "mercy", o)
	chart.wants(t, http.StatusOK, "EMERGENCY", "Popliteal artery is occluded.", "I know of this finding", "Nobody has acknowledged it yet")
	known := c.does(b, c.opened(b, chart), "acknowledge-finding", url.Values{"finding": {findingInPage.FindStringSubmatch(chart.text)[1]}})
	known.wants(t, http.StatusOK, "It is noted that you know of this finding.", "Acknowledged on")
	known.lacks(t, "I know of this finding")
}

// TestAPageOfAnotherPatientDoesNothing: whose Task it is does not rest on the page.
func TestAPageOfAnotherPatientDoesNothing(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	bo := person{"700002", "Bo", "Zimmerli", "male", "1970-05-06"}
	hers, his := c.order(t, "mercy", "L-1", ada), c.order(t, "mercy", "L-3", bo)
	c.sign(t, hers)
	c.sign(t, his)
	b := newBrowser(t)
	about, other := c.opened(b, c.launch(b, "mercy", hers)), c.opened(b, c.launch(b, "mercy", his))
	mine, _, _ := strings.Cut(about.url.Path, "/opinion/")
	_, foreign, _ := strings.Cut(other.url.Path, "/opinion/")
	at := c.root + mine + "/opinion/" + foreign
	b.get(at).wants(t, http.StatusNotFound)
	b.get(at+"/summary/en/html").wants(t, http.StatusNotFound)
	for act, fields := range map[string]url.Values{"ask": {"question": {"Whose is it?"}}, "judge-management": {"management": {"none"}}, "acknowledge-finding": {}} {
		fields.Set("csrf", about.csrf())
		b.do(http.MethodPost, at+"/"+act, fields).wants(t, http.StatusConflict, "This was not done")
	}
	b.do(http.MethodPost, c.root+about.url.Path+"/ask", url.Values{"question": {"x"}, "csrf": {other.csrf()}}).wants(t, http.StatusForbidden)
	b.get(c.root+other.url.Path).wants(t, http.StatusOK, "Nobody has asked anything yet.")
}

// asking is a browser that asks for languages.
type asking struct{ languages string }

func (a asking) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept-Language", a.languages)
	return http.DefaultTransport.RoundTrip(r)
}

// TestALaunchedPageSpeaksTheLanguageThatWasChosen: in the session, else the browser's.
func TestALaunchedPageSpeaksTheLanguageThatWasChosen(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	o := c.order(t, "mercy", "L-1", ada)
	c.sign(t, o)
	b := newBrowser(t)
	chart := c.launch(b, "mercy", o)
	speaks := func(p page, language string) {
		t.Helper()
		if !strings.Contains(p.text, `<html lang="`+language+`">`) {
			t.Errorf("the page is not in %s\n%s", language, p.said())
		}
	}
	speaks(chart, "en")
	german := b.do(http.MethodPost, c.root+chart.url.Path+"/language", url.Values{"csrf": {chart.csrf()}, "language": {"de"}})
	speaks(german, "de")
	german.wants(t, http.StatusOK, "<h1>Zweitmeinungen", "Ich habe diesen Befund gelesen", "03.02.1961", "weiblich")
	c.opened(b, german).wants(t, http.StatusOK, "Beide Befunde nebeneinander", "Rückfragen zum Befund")
	again := b.do(http.MethodPost, c.root+chart.url.Path+"/language", url.Values{"csrf": {chart.csrf()}, "language": {"xx"}})
	speaks(again, "de")
	speaks(b.get(c.root+"/launch"), "en")
	abroad := newBrowser(t)
	abroad.Transport = asking{"fr, de;q=0.8"}
	speaks(c.launch(abroad, "mercy", o), "de")
	abroad.get(c.root+"/launch").wants(t, http.StatusForbidden, "Zweitmeinungen können nicht gezeigt werden", "Es wurde nichts gezeigt.")
}

// TestASummaryForThePatientIsThereWhereThePolicyHasIt: at the page, and by the API as a
// form of the report.
func TestASummaryForThePatientIsThereWhereThePolicyHasIt(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	o := c.order(t, "mercy", "L-1", ada)
	c.sign(t, o)
	b := newBrowser(t)
	seen := c.opened(b, c.launch(b, "mercy", o))
	seen.wants(t, http.StatusOK, "For the patient", "/summary/de/pdf")
	page := b.get(c.root + seen.url.Path + "/summary/de/html")
	page.wants(t, http.StatusOK, "Ihre Zweitmeinung in einfachen Worten", "Ada Quillfeather", "3. Februar 1961", samples["knee"].Second.Impression, "telephone 555-0100")
	page.lacks(t, "Tanaka") // who has read is not named
	if pdf := b.get(c.root + seen.url.Path + "/summary/en/pdf"); pdf.status != http.StatusOK || !strings.HasPrefix(pdf.text, "%PDF-") {
		t.Errorf("%d %.80s", pdf.status, pdf.text)
	}
	for _, odd := range []string{"/summary/xx/html", "/summary/en/xml"} {
		b.get(c.root+seen.url.Path+odd).wants(t, http.StatusNotFound, "There is no summary for the patient")
	}

	task, err := taskOf(t.Context(), c.clients["mercy-placer"], o.number)
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.clients["mercy-placer"].get(t.Context(), "Task/"+task)
	if err != nil {
		t.Fatal(err)
	}
	var report string
	for _, out := range found.Each("output", "valueReference", "reference") {
		if strings.HasPrefix(out.Text(), "DiagnosticReport/") {
			report = out.Text()
		}
	}
	said, err := c.clients["mercy-placer"].get(t.Context(), report+"/$patient-summary?language=en")
	if err != nil {
		t.Fatal(err)
	}
	var forms []string
	for _, document := range said.Each("parameter", "valueAttachment") {
		content, err := base64.StdEncoding.DecodeString(document.Text("data"))
		if err != nil || len(content) < 1000 {
			t.Errorf("a form of %d bytes (%v)", len(content), err)
		}
		forms = append(forms, document.Text("contentType"))
	}
	if strings.Join(forms, " ") != "text/html application/pdf" {
		t.Errorf("the forms are %v", forms)
	}
	if _, err := c.clients["mercy-placer"].get(t.Context(), report+"/$patient-summary?language=xx"); err == nil {
		t.Error("there is a summary in a language that nobody has translated")
	}

	// Off: the case of a policy without it.
	c.behind(t, `UPDATE case_file SET policy = policy - 'patientSummary'`)
	b.get(c.root+seen.url.Path).lacks(t, "For the patient")
	b.get(c.root+seen.url.Path+"/summary/en/html").wants(t, http.StatusNotFound, "There is no summary for the patient")
	if _, err := c.clients["mercy-placer"].get(t.Context(), report+"/$patient-summary"); err == nil {
		t.Error("the API gives what the policy has not")
	}
}

// What has become of a signed report is said to the clinician in the words in which it is
// said to whoever looks at it again, and that it may be another patient's above all.
func TestAClinicianIsToldWhatHasChangedSinceTheSignature(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	o := c.order(t, "mercy", "L-9", ada)
	c.sign(t, o)
	placer := c.clients["mercy-placer"]
	first := func(path string) *fhir.Node {
		found, err := placer.get(t.Context(), path)
		if err != nil || len(found.Each("entry", "resource")) == 0 {
			t.Fatal(path, err)
		}
		return found.Each("entry", "resource")[0]
	}
	put := func(n *fhir.Node) {
		if _, err := placer.send(t.Context(), http.MethodPut, n.Text("resourceType")+"/"+n.Text("id"), n); err != nil {
			t.Fatal(err)
		}
	}
	report := first("DiagnosticReport?identifier=" + o.number)
	report.Set("status", "corrected")
	put(report)
	b := newBrowser(t)
	seen := c.opened(b, c.launch(b, "mercy", o))
	seen.wants(t, http.StatusOK, "Changed since this report was signed: the first report of the study was changed after", "Who signed it has been asked to look again.")
	seen.lacks(t, "may be of another patient")

	study := first("ImagingStudy?_id=" + strings.TrimPrefix(report.Each("imagingStudy")[0].Text("reference"), "ImagingStudy/"))
	study.Set("status", "entered-in-error")
	put(study)
	c.opened(b, c.launch(b, "mercy", o)).wants(t, http.StatusOK, "the hospital has filed the study under another patient, or declared it an error", "The report may be of another patient.")
}
