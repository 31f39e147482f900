package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// The first report of a study comes when the second opinion is signed: whoever signed
// compares the two by an amendment, by the forms of the page, which offers nothing that
// would be refused for it.
func TestAFirstReportThatCameLateIsComparedByTheFormsOfThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("LATE-1")
	o.quirk = noOriginal
	task, err := w.order(t.Context(), o, w.clients["mercy-placer"])
	if err != nil {
		t.Fatal(err)
	}
	r := &readingRoom{world: w, t: t, o: o, task: task}
	r.is(workflow.AwaitingInformation)
	r.live(t, o, task, chapter{"coordinator", "proceed", because("There is none, says the ward."), workflow.Ready})
	tanaka := r.comes("tanaka", access.Reader)
	tanaka.does("/claim", nil)
	tanaka.does("/write/lock", opinionOf("A tear of the medial meniscus.", "Torn medial meniscus."))
	tanaka.does("/do/reveal", nil)
	tanaka.does("/do/grade", url.Values{"noComparisonReason": {"no-original"}})
	tanaka.does("/do/sign", nil)
	r.is(workflow.Final)
	if p := tanaka.page(); strings.Contains(p.text, "/do/verify") || strings.Contains(p.text, "An amendment compares the two") {
		t.Error("there is nothing to compare, and the page asks for it")
	}

	o.quirk = asItShouldBe
	if _, err := w.clients["mercy-placer"].send(t.Context(), http.MethodPost, "", o.bundle()); err != nil {
		t.Fatal(err)
	}
	var page seenPage
	eventually(t, "the page is to say that the first report has come", func() error {
		if page = tanaka.page(); !strings.Contains(page.text, "The first report has come.") {
			return fmt.Errorf("it says %s", page.text)
		}
		return nil
	})
	if strings.Contains(page.text, "/do/verify") {
		t.Error("the page offers to verify the report without a comparison, which is refused")
	}
	if refused := tanaka.tries("/do/verify", nil); refused.status == http.StatusOK {
		t.Error("it is verified without a comparison")
	}
	amending := tanaka.does("/do/amend", url.Values{"reason": {"The first report has come."}})
	r.is(workflow.Amending)
	wants(t, amending, `name="amends" value="1"`, `value="amendment" checked`, `name="verifies" value="true" checked`, "It compares the report with the first one, which has come", "The two readings agree",
		`id="beside"`, "<del>")
	amendment := url.Values{"kind": {"amendment"}, "reason": {"The first report has come."}, "text": {"It was compared with the first report: they agree."}, "verifies": {"true"}}
	if refused := tanaka.tries("/write/sign", amendment); refused.status == http.StatusOK {
		t.Error("it is signed without a grade")
	}
	amendment.Set("agreement", "true")

	// What was written against another version is there again, now against the one in force.
	amendment.Set("amends", "7")
	stale := tanaka.tries("/write/sign", amendment)
	if stale.status != http.StatusConflict {
		t.Errorf("an amendment of another version is signed: %d", stale.status)
	}
	wants(t, stale, `id="refused"`, "written against version 7", "they agree.</textarea>", `name="amends" value="1"`)
	amendment.Del("amends")
	signed := tanaka.does("/write/sign", amendment)
	r.is(workflow.Final)
	wants(t, signed, "It was compared with the first report: they agree.", "Amend this report")
	if strings.Contains(signed.text, "An amendment compares the two") {
		t.Error("it was compared, and the page asks for it again")
	}
}

// What readers may do besides reading: each has a form where they would look for it.
func TestAReaderGivesBackTakesNoteTakesBackAndTeachesByTheForms(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", asItShouldBe)
	tanaka, petrov := r.comes("tanaka", access.Reader), r.comes("petrov", access.Reader)
	claim := chapter{"tanaka", "claim", []*fhir.Node{param("independent", "valueBoolean", true)}, workflow.Accepted}
	r.live(t, r.o, r.task, claim)
	wants(t, tanaka.page(), "Begin to read", "Give the case back")
	tanaka.does("/do/release", url.Values{"reason": {"I am called to the theatre."}, "then": {tanaka.base + "/worklist"}})
	r.is(workflow.Ready)

	r.live(t, r.o, r.task, claim)
	tanaka.does("/do/start", nil)
	if page := tanaka.page(); strings.Contains(page.text, "/do/heed") || strings.Contains(page.text, "/do/add-learning-point") {
		t.Error("nobody was told of anything, and nothing is signed")
	}
	_, err := r.database.Owner(t).Exec(t.Context(), `
		INSERT INTO escalation (tenant_id, case_id, clock, clock_started_at, stage, rule, link, escalation_id, tell, person_id, ways, told_at)
		SELECT tenant_id, case_id, 'final', opened_at, 90, 0, 0, gen_random_uuid(), 'reader', reader_id, '{notification}', now() FROM case_file WHERE task_id = $1`, r.task)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(petrov.page().text, "/do/heed") {
		t.Error("somebody takes note of what another was told")
	}
	wants(t, tanaka.page(), "A time limit of this case was escalated, and you were told.")
	if after := tanaka.does("/do/heed", nil); strings.Contains(after.text, "/do/heed") {
		t.Error("note was taken, and is asked for again")
	}

	raised := tanaka.does("/do/raise-finding", url.Values{"category": {"urgent"}, "text": {"A fracture that was not known."}})
	wants(t, raised, "Take the finding back")
	if strings.Contains(petrov.page().text, "/do/withdraw-finding") {
		t.Error("another reader takes a finding back")
	}
	if withdrawn := tanaka.does("/do/withdraw-finding", url.Values{"finding": {"1"}, "reason": {"It is the growth plate."}}); !strings.Contains(withdrawn.text, "It is the growth plate.") || strings.Contains(withdrawn.text, "/do/withdraw-finding") || strings.Contains(withdrawn.text, "/do/communicate") {
		t.Errorf("the finding was taken back: %s", withdrawn.text)
	}

	tanaka.does("/write/lock", opinionOf("No fracture.", "Normal knee."))
	tanaka.does("/do/reveal", nil)
	if page := tanaka.page(); strings.Contains(page.text, `href="#signing"`) {
		t.Error("a signature is offered before the grade")
	}
	tanaka.does("/do/grade", url.Values{"agreement": {"true"}})
	signed := tanaka.does("/do/sign", nil)
	r.is(workflow.Final)
	wants(t, signed, "Add a learning point")
	if strings.Contains(petrov.page().text, "/do/add-learning-point") || strings.Contains(petrov.page().text, "/do/amend") {
		t.Error("somebody without a part in the case is offered what is refused to them")
	}
	if named := tanaka.tries("/do/add-learning-point", url.Values{"text": {"Dr. Tanaka saw a growth plate"}}); named.status == http.StatusOK {
		t.Error("a learning point names somebody")
	}
	tanaka.does("/do/add-learning-point", url.Values{"text": {"Growth plates are no fractures"}, "tag": {"growth-plate"}})
	v, rooms := r.at(t, access.Quality)
	wants(t, v.get(rooms+"/learning/points"), "Growth plates are no fractures", "growth-plate")
}

// Whoever signs another text than the one with which an emergency came says of it at the
// signature whether it stands: the page asks them, and nobody else.
func TestThePageAsksWhoSignsAnotherTextWhetherAFindingStands(t *testing.T) {
	t.Parallel()
	r := newReadingRoom(t, "knee", asItShouldBe)
	tanaka, petrov := r.comes("tanaka", access.Reader), r.comes("petrov", access.Reader)
	claim := func(who string) chapter {
		return chapter{who, "claim", []*fhir.Node{param("independent", "valueBoolean", true)}, workflow.Accepted}
	}
	r.live(t, r.o, r.task, claim("tanaka"))
	tanaka.does("/do/start", nil)
	tanaka.does("/do/raise-finding", url.Values{"category": {"emergent"}, "text": {"A thrombus in the popliteal vein."}})
	tanaka.does("/do/release", url.Values{"reason": {"I am called to the theatre."}, "then": {tanaka.base + "/worklist"}})
	r.is(workflow.Ready)
	r.live(t, r.o, r.task, claim("petrov"))
	petrov.does("/do/start", nil)
	if page := petrov.page(); strings.Contains(page.text, "thrombus") || strings.Contains(page.text, "Does this finding stand?") {
		t.Error("a blinded reader is asked of what another has found")
	}
	petrov.does("/write/lock", opinionOf("The vein is patent.", "Normal knee."))
	petrov.does("/do/reveal", nil)
	page := petrov.does("/do/grade", url.Values{"agreement": {"true"}})
	wants(t, page, "Does this finding stand?", "A thrombus in the popliteal vein.", "It came from another text than the one that you sign.", `name="finding.1.outcome" value="withdrawn"`)
	if refused := petrov.tries("/do/sign", nil); refused.status == http.StatusOK {
		t.Error("it is signed without a word of the finding")
	}
	signed := petrov.does("/do/sign", url.Values{"finding.1.number": {"1"}, "finding.1.outcome": {"withdrawn"}})
	r.is(workflow.Final)
	if strings.Contains(signed.text, "Does this finding stand?") {
		t.Error("it is asked again")
	}
	wants(t, signed, "withdrawn")

	// An amendment may say so of what it changes.
	petrov.does("/do/raise-finding", url.Values{"category": {"urgent"}, "text": {"An effusion."}})
	amending := petrov.does("/do/amend", url.Values{"reason": {"A second look."}})
	wants(t, amending, "Say so where your text no longer says the same of it.", `name="finding.2.outcome" value="stands">`)
	petrov.does("/write/sign", url.Values{"kind": {"correction"}, "reason": {"There is no effusion."}, "text": {"No effusion."}, "impression": {"Normal."}, "gradeStands": {"true"},
		"finding.2.number": {"2"}, "finding.2.outcome": {"withdrawn"}})
	r.is(workflow.Final)
}
