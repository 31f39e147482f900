package main

import (
	"crypto/sha256"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// readingRoom is a world with a case in the pool, and those who come to its pages.
type readingRoom struct {
	*world
	t    *testing.T
	o    order
	task string
}

func newReadingRoom(t *testing.T, sample, quirk string) *readingRoom {
	t.Helper()
	return newReadingRoomWith(t, sample, quirk, "")
}

// newReadingRoomWith has a policy of its own, where one is given.
func newReadingRoomWith(t *testing.T, sample, quirk, policy string) *readingRoom {
	t.Helper()
	w := newWorld(t)
	if policy != "" {
		if out, err := overreadOutput(t, "policy", "set", "mercy", written(t, "policy.json", policy), "--database-url", w.database.URL); err != nil {
			t.Fatal(err, out)
		}
	}
	r := &readingRoom{world: w, t: t}
	r.o = order{ehr: w.chart.base, number: "ROOM-1", hospital: "mercy", priority: "urgent", patient: person{"777001", "Room", "Person", "female", birth(sample)}, sample: samples[sample], quirk: quirk, at: time.Now()}
	task, err := w.order(t.Context(), r.o, w.clients["mercy-placer"])
	if err != nil {
		t.Fatal(err)
	}
	r.task = task
	r.is(workflow.Ready)
	return r
}

func (r *readingRoom) is(state workflow.State) {
	r.t.Helper()
	r.live(r.t, r.o, r.task, chapter{then: state})
}

// comes is somebody at the pages, in a session as one of their roles.
func (r *readingRoom) comes(who string, role access.Role) *readerAt {
	r.t.Helper()
	sum := sha256.Sum256([]byte(r.clients["mercy-"+who].token))
	store := session.NewStore(session.Config{DB: r.database.DB, BaseURL: r.base})
	var cookie string
	err := r.database.System(r.t.Context(), func(tx pgx.Tx) error {
		a := access.Actor{Role: role}
		if err := tx.QueryRow(r.t.Context(), `SELECT tenant_id, actor_id, display FROM token WHERE token_sha256 = $1`, sum[:]).Scan(&a.Tenant, &a.ID, &a.Display); err != nil {
			return err
		}
		person, _, err := store.Known(r.t.Context(), tx, session.Person{Issuer: "https://idp.example", Subject: who, Display: a.Display})
		if err == nil {
			_, cookie, err = store.Open(r.t.Context(), tx, person, session.FromOIDC, "a browser", []access.Actor{a})
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	v := (&peopleWorld{t: r.t, root: strings.TrimSuffix(r.base, "/fhir")}).visitor()
	v.jar.SetCookies(must(url.Parse(v.w.root)), []*http.Cookie{{Name: store.CookieName(), Value: cookie}})
	return &readerAt{visitor: v, r: r, base: "/at/mercy/" + string(role)}
}

// readerAt is one of them.
type readerAt struct {
	*visitor
	r    *readingRoom
	base string
}

func (a *readerAt) page() seenPage {
	a.w.t.Helper()
	p := a.get(a.base + "/case/" + a.r.task)
	if p.status != http.StatusOK {
		a.w.t.Fatalf("the page of the case: %d %s", p.status, p.text)
	}
	return p
}

// does sends a form of the page of the case; what is not done ends the test.
func (a *readerAt) does(path string, fields url.Values, header ...string) seenPage {
	a.w.t.Helper()
	got := a.tries(path, fields, header...)
	if got.status != http.StatusOK {
		a.w.t.Fatalf("%s: %d %s", path, got.status, got.text)
	}
	return got
}

func (a *readerAt) tries(path string, fields url.Values, header ...string) seenPage {
	a.w.t.Helper()
	form := url.Values{"csrf": {a.get(a.base + "/worklist").csrf()}, "then": {a.base + "/case/" + a.r.task}}
	maps.Copy(form, fields)
	return a.post(a.base+"/case/"+a.r.task+path, form, header...)
}

func TestAReaderReadsACaseByTheFormsOfThePages(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", asItShouldBe)
	tanaka := r.comes("tanaka", access.Reader)
	original := r.o.sample.Impression

	list := tanaka.get(tanaka.base + "/worklist")
	for _, want := range []string{r.o.sample.Exam.Display, "I had no part in the first reading", `formaction="` + tanaka.base + "/case/" + r.task + `/claim"`} {
		if !strings.Contains(list.text, want) {
			t.Errorf("the worklist does not say %q", want)
		}
	}
	blind := func(when string, p seenPage) {
		t.Helper()
		if strings.Contains(p.text, original) || strings.Contains(p.text, "Boyd") || strings.Contains(p.text, r.o.sample.Findings[:20]) {
			t.Errorf("%s: the page tells of the original", when)
		}
	}
	blind("in the pool", tanaka.page())
	opened := tanaka.does("/claim", nil)
	r.is(workflow.Reading)
	blind("while reading", opened)
	for _, want := range []string{r.o.sample.Question, r.o.sample.History, "The first report is withheld", `name="findings"`} {
		if !strings.Contains(opened.text, strings.ReplaceAll(want, "'", "&#39;")) {
			t.Errorf("the reading page does not say %q", want)
		}
	}

	// What is saved is there again; a window that follows another draft is told so.
	saved := tanaka.does("/write/draft", url.Values{"follows": {"0"}, "findings": {"A tear of the meniscus."}, "comparison": {"None."}}, "Accept", "application/json")
	if !strings.Contains(saved.text, `"draftNo":1`) {
		t.Errorf("saved: %s", saved.text)
	}
	if got := tanaka.tries("/write/draft", url.Values{"follows": {"0"}, "findings": {"Something else."}}, "Accept", "application/json"); got.status != http.StatusConflict {
		t.Errorf("a draft that follows another: %d %s", got.status, got.text)
	}
	if p := tanaka.page(); !strings.Contains(p.text, "A tear of the meniscus.") || !strings.Contains(p.text, `name="follows" value="1"`) {
		t.Error("the draft is not on the page again")
	}

	locked := tanaka.does("/write/lock", url.Values{"follows": {"1"}, "findings": {"A tear of the medial meniscus."}, "impression": {"Meniscal tear."}, "comparison": {"None."}})
	r.is(workflow.Locked)
	blind("locked", locked)
	compared := tanaka.does("/do/reveal", nil)
	for _, want := range []string{"Boyd", "<del>", "<ins>", "They agree"} {
		if !strings.Contains(compared.text, want) {
			t.Errorf("the comparison has no %q", want)
		}
	}
	if strings.Contains(compared.text, `id="signing"`) && strings.Contains(compared.text, `data-dialog="signing"`) {
		t.Error("it can be signed before it is graded")
	}
	graded := tanaka.does("/do/grade", url.Values{"agreement": {"true"}})
	if !strings.Contains(graded.text, `data-dialog="signing"`) {
		t.Error("it cannot be signed after the grade")
	}
	signed := tanaka.does("/do/sign", nil)
	r.is(workflow.Final)
	if !strings.Contains(signed.text, "Report, version 1") || !strings.Contains(signed.text, "Meniscal tear.") {
		t.Error("the signed report is not on the page")
	}

	// An amendment, by its form.
	tanaka.does("/do/amend", url.Values{"reason": {"a second look"}})
	again := tanaka.does("/write/sign", url.Values{"kind": {"correction"}, "reason": {"a second look"}, "text": {"The side was wrong."}, "impression": {"Meniscal tear, medial."}, "gradeStands": {"true"}})
	if !strings.Contains(again.text, "What the last version changed") || !strings.Contains(again.text, "version 2") {
		t.Error("the amendment is not on the page")
	}
}

func TestATemplateIsAnsweredByThePagesOwnFields(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "chest-ct", asItShouldBe)
	lindqvist := r.comes("lindqvist", access.Reader)
	page := lindqvist.does("/claim", nil)
	form := regexp.MustCompile(`name="questionnaire" value="([^"]+)"`).FindStringSubmatch(page.text)
	if form == nil || !strings.Contains(page.text, `name="q.boolean.lungs.normal"`) {
		t.Fatalf("the page has no template: %v", form)
	}
	fields := url.Values{"follows": {"0"}, "questionnaire": form[1:2], "q.boolean.mediastinum.normal": {"true"}, "q.choice.lungs.findings": {"solid-nodule"}, "q.decimal.lungs.measure.largest-nodule": {"8,5"}, "q.text.lungs.text": {"In the left upper lobe."}}
	lindqvist.does("/write/draft", fields, "Accept", "application/json")
	again := lindqvist.page()
	for _, want := range []string{`value="solid-nodule" checked`, `name="q.decimal.lungs.measure.largest-nodule" value="8.5"`, "In the left upper lobe."} {
		if !strings.Contains(again.text, want) {
			t.Errorf("the page does not have %q again", want)
		}
	}
	fields.Set("follows", "1")
	fields.Set("q.decimal.lungs.measure.largest-nodule", "large")
	if got := lindqvist.tries("/write/draft", fields, "Accept", "application/json"); got.status != http.StatusBadRequest || !strings.Contains(got.text, "must be a number") {
		t.Errorf("a measurement that is no number: %d %s", got.status, got.text)
	}
}

func TestNobodyElseSeesADraftOrAnotherTenantsWorklist(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", asItShouldBe)
	tanaka := r.comes("tanaka", access.Reader)
	tanaka.does("/claim", nil)
	tanaka.does("/write/draft", url.Values{"follows": {"0"}, "findings": {"Seen by its author alone."}}, "Accept", "application/json")
	for _, who := range []struct {
		name string
		role access.Role
	}{{"petrov", access.Reader}, {"petrov", access.Supervisor}, {"petrov", access.Adjudicator}} {
		p := r.comes(who.name, who.role).page()
		if strings.Contains(p.text, "Seen by its author alone.") || strings.Contains(p.text, r.o.sample.Impression) || strings.Contains(p.text, `name="findings"`) {
			t.Errorf("%s as %s sees what is not theirs", who.name, who.role)
		}
	}
	if got := tanaka.get("/at/lakeside/reader/worklist"); got.status != http.StatusNotFound {
		t.Errorf("another hospital's worklist: %d", got.status)
	}
	if got := r.comes("petrov", access.Reader).tries("/write/draft", url.Values{"follows": {"1"}, "findings": {"x"}}); got.status == http.StatusOK {
		t.Error("somebody else has written into the draft")
	}
}

func TestAViewOfTheWorklistIsKeptForItsOwner(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", asItShouldBe)
	tanaka, petrov := r.comes("tanaka", access.Reader), r.comes("petrov", access.Reader)
	keep := func(a *readerAt, name, filters string) seenPage {
		return a.post(a.base+"/worklist/view", url.Values{"csrf": {a.get(a.base + "/worklist").csrf()}, "name": {name}, "filters": {filters}})
	}
	kept := keep(tanaka, "Urgent MR", "modality=MR&priority=urgent&nothing=of-ours")
	if kept.at != tanaka.base+"/worklist?modality=MR&priority=urgent" || !strings.Contains(kept.text, "Urgent MR") || !strings.Contains(kept.text, r.task) {
		t.Errorf("kept: %s", kept.at)
	}
	link := regexp.MustCompile(`href="([^"]+)"[^>]*>Urgent MR<`).FindStringSubmatch(tanaka.get(tanaka.base + "/worklist").text)
	if link == nil || html.UnescapeString(link[1]) != tanaka.base+"/worklist?modality=MR&priority=urgent" {
		t.Errorf("the link of the view: %q", link)
	}
	if strings.Contains(petrov.get(petrov.base+"/worklist").text, "Urgent MR") {
		t.Error("somebody else has the view")
	}
	if got := tanaka.get(tanaka.base + "/worklist?modality=CT"); strings.Contains(got.text, r.task) || !strings.Contains(got.text, "No case fits") {
		t.Error("the filter filters nothing")
	}
	for n := range 11 {
		keep(tanaka, fmt.Sprint("View ", n), "whose=mine")
	}
	if got := keep(tanaka, "One too many", "whose=pool"); got.status != http.StatusBadRequest {
		t.Errorf("the thirteenth view: %d", got.status)
	}
	if got := keep(tanaka, " ", "whose=pool"); got.status != http.StatusBadRequest {
		t.Errorf("a view without a name: %d", got.status)
	}
}

// opinionOf is what somebody writes into the form of a report.
func opinionOf(findings, impression string) url.Values {
	return url.Values{"follows": {"0"}, "comparison": {"None."}, "findings": {findings}, "impression": {impression}}
}

func TestTwoConferAndAThirdDecidesAtThePages(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "brain", twoRead)
	okafor, sato, petrov := r.comes("okafor", access.Reader), r.comes("ruiz", access.Reader), r.comes("petrov", access.Adjudicator)
	okafor.does("/claim", nil)
	okafor.does("/write/lock", opinionOf("A sclerosis on the left.", "Left hippocampal sclerosis."))
	r.is(workflow.Ready)
	second := sato.does("/claim", nil)
	if strings.Contains(second.text, "sclerosis") {
		t.Error("the second reader sees what the first has written")
	}
	both := sato.does("/write/lock", opinionOf("All is normal.", "Normal brain."))
	r.is(workflow.Conferring)
	for _, want := range []string{"A sclerosis on the left.", "All is normal.", "I stand by this text", "Refer it to a third reader", "You stand by this text already.", "Mark what differs", "<ins>A sclerosis on the left.</ins>", "<del>All is normal.</del>"} {
		if !strings.Contains(both.text, want) {
			t.Errorf("the page of the two does not say %q", want)
		}
	}
	if strings.Contains(both.text, "Boyd") {
		t.Error("the page of the two tells of the original")
	}
	if got := okafor.tries("/do/concur", url.Values{"sha256": {"0000"}}); got.status == http.StatusOK {
		t.Error("somebody agrees to a text that is not on the table")
	}
	okafor.does("/do/refer", url.Values{"reason": {"We see it differently."}})
	r.is(workflow.Arbitration)
	decides := petrov.does("/claim", nil)
	if !strings.Contains(decides.text, "Whose opinion stands?") || !strings.Contains(decides.text, "<del>A sclerosis on the left.</del>") || !strings.Contains(decides.text, "<ins>All is normal.</ins>") {
		t.Fatalf("the third reader does not have both opinions: %s", decides.text)
	}
	petrov.does("/write/arbitrate", url.Values{"decision": {"first"}})
	r.is(workflow.Locked)
}

func TestASupervisorChangesAndSignsAtThePages(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "brain", asItShouldBe)
	ruiz, petrov := r.comes("ruiz", access.Reader), r.comes("petrov", access.Supervisor)
	ruiz.does("/claim", nil)
	ruiz.does("/write/lock", opinionOf("All is normal.", "Normal brain."))
	ruiz.does("/do/reveal", nil)
	ruiz.does("/do/grade", url.Values{"agreement": {"true"}})
	ruiz.does("/do/sign", nil)
	r.is(workflow.AwaitingCosign)
	waits := petrov.page()
	if !strings.Contains(waits.text, "Normal brain.") || !strings.Contains(waits.text, "Change the text and sign") {
		t.Fatal("the supervisor does not have the report")
	}
	petrov.does("/do/return", url.Values{"reason": {"Look at the hippocampus."}})
	if p := ruiz.page(); !strings.Contains(p.text, "A supervisor has returned this report") {
		t.Error("the reader is not told that it was returned")
	}
	ruiz.does("/write/revise", url.Values{"impression": {"Left hippocampal sclerosis."}})
	ruiz.does("/do/grade", url.Values{"discrepancy.0.description": {"Sclerosis"}, "discrepancy.0.significance": {"unimportant"}, "discrepancy.0.nature": {"detection"}, "difference": {"A sclerosis is not mentioned."}})
	ruiz.does("/do/sign", nil)
	petrov.does("/write/sign", url.Values{"recommendation": {"Epilepsy conference."}, "impression": {"Left hippocampal sclerosis, mild."}, "agreement": {"true"}})
	r.is(workflow.Final)
	if p := ruiz.page(); !strings.Contains(p.text, "Epilepsy conference.") || !strings.Contains(p.text, "Left hippocampal sclerosis, mild.") || strings.Contains(p.text, "A sclerosis is not mentioned.") {
		t.Error("the signed report does not have what was revised and changed")
	}
}

func TestAFindingThatCannotWaitAndOnesOwnStatistics(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", asItShouldBe)
	tanaka, petrov := r.comes("tanaka", access.Reader), r.comes("petrov", access.Reader)
	tanaka.does("/claim", nil)
	told := tanaka.does("/do/raise-finding", url.Values{"category": {"urgent"}, "text": {"A fracture that was not known."}})
	if !strings.Contains(told.text, "A fracture that was not known.") || !strings.Contains(told.text, "Somebody was told") {
		t.Error("the finding is not on the page")
	}
	if strings.Contains(petrov.page().text, "A fracture that was not known.") {
		t.Error("another reader knows of the finding before the reveal")
	}
	called := tanaka.does("/do/communicate", url.Values{"finding": {"1"}, "recipient": {"Dr. Marchetti"}, "medium": {"phone"}, "reached": {"true"}, "readBack": {"true"}})
	if !strings.Contains(called.text, "Dr. Marchetti") {
		t.Error("the call is not on the page")
	}
	tanaka.does("/write/lock", opinionOf("A fracture.", "Fracture."))
	tanaka.does("/do/reveal", nil)
	tanaka.does("/do/grade", url.Values{"discrepancy.0.description": {"the fracture"}, "discrepancy.0.significance": {"unimportant"}, "discrepancy.0.nature": {"detection"}, "difference": {"A fracture was not mentioned."}})
	tanaka.does("/do/sign", nil)
	r.is(workflow.Final)
	own := tanaka.get(tanaka.base + "/statistics")
	if !regexp.MustCompile(`(?s)MR</th><td>1</td><td>0</td><td>1</td><td>0</td><td>0</td>`).MatchString(own.text) || !strings.Contains(own.text, "<svg") {
		t.Errorf("the statistics of who has signed one with a minor difference: %s", own.text)
	}
	if other := petrov.get(petrov.base + "/statistics"); !strings.Contains(other.text, "Nothing is signed yet.") {
		t.Error("somebody else's statistics have it")
	}
}

// A doubt of the side that a coordinator has settled is no doubt of the intake any more,
// and the first thing to know for who reads.
func TestWhoReadsIsToldThatOrderAndImagesNameDifferentSides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("SIDE-1")
	o.quirk = otherSide
	r := &readingRoom{world: w, t: t, o: o, task: w.sends(t, o)}
	r.is(workflow.IntakeReview)
	desk, rooms := w.at(t, access.Coordinator)
	desk.does(desk.get(rooms+"/board/"+r.task), "resolve", url.Values{"reason": {"the first report is of the left one"}})
	r.is(workflow.Ready)
	tanaka := r.comes("tanaka", access.Reader)
	tanaka.does("/claim", url.Values{"independent": {"true"}})
	page := tanaka.page()
	wants(t, page, "name different sides", "Side of the images", "Side that was ordered")
	if strings.Contains(page.text, "the first report is of the left one") {
		t.Error("a blinded reader is told what the coordinator wrote of the first report")
	}
}

// A form in which nothing is filled in is no agreement; the third reader begins with what
// the reader graded; and whoever signs is told before what the report will say.
func TestAGradeIsSaidAtThePagesAndNeverLeftOut(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "head-ct", asItShouldBe)
	okafor, petrov := r.comes("okafor", access.Reader), r.comes("petrov", access.Adjudicator)
	okafor.does("/claim", nil)
	okafor.does("/write/lock", opinionOf("A subdural haematoma.", "Subdural haematoma."))
	okafor.does("/do/reveal", nil)
	for _, fields := range []url.Values{nil, {"agreement": {"false"}}, {"comment": {"none yet"}}, {"agreement": {"false"}, "difference": {"A haematoma is not mentioned."}}, {"difference": {"A haematoma is not mentioned."}}} {
		refused := okafor.tries("/do/grade", fields)
		if refused.status == http.StatusOK || !strings.Contains(refused.text, "say whether the readings agree (agreement)") {
			t.Errorf("%v is a grade: %d %s", fields, refused.status, refused.text)
		}
		wants(t, refused, `id="refused"`, `again"`) // the form is there again
		if text := fields.Get("difference"); text != "" {
			wants(t, refused, text) // it is not lost
		}
	}
	if both := okafor.tries("/do/grade", url.Values{"agreement": {"true"}, "difference": {"A haematoma is not mentioned."}}); both.status == http.StatusOK {
		t.Error("they agree, and differ")
	}
	if strings.Contains(okafor.page().text, "You have graded it.") {
		t.Error("it is graded after all")
	}

	missed := url.Values{"agreement": {"false"}, "discrepancy.0.description": {"Subdural haematoma"}, "discrepancy.0.significance": {"important"}, "discrepancy.0.nature": {"detection"}, "difference": {"A haematoma is not mentioned."}, "comment": {"For quality alone."}}
	okafor.does("/do/grade", missed)
	r.is(workflow.Adjudication)
	petrov.does("/claim", nil)
	decides := petrov.page()
	wants(t, decides, `value="Subdural haematoma"`)
	wants(t, decides, `value="important" checked`)
	wants(t, decides, `<option value="detection" selected>`)
	wants(t, decides, "A haematoma is not mentioned.</textarea>")
	wants(t, decides, "It is filled in as the reader graded it.")
	if strings.Contains(decides.text, "For quality alone.") {
		t.Error("the third reader has the reader's comment for quality")
	}
	if empty := petrov.tries("/write/adjudicate", url.Values{"decision": {"first"}}); empty.status == http.StatusOK {
		t.Error("a decision without a grade")
	}
	filled := maps.Clone(missed)
	filled.Set("agreement", "true") // what stands below does not count then
	filled.Set("decision", "first")
	wants(t, petrov.does("/write/adjudicate", filled), "The report will say: the second reading agrees with the first report.")
	filled.Set("agreement", "false")
	wants(t, petrov.does("/write/adjudicate", filled), "The report will say: the readings differ in a way that may change management.")
	petrov.does("/do/sign", nil)
	r.is(workflow.Final)
}
