package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// at signs somebody in at the first hospital in a role, as a reader there too where
// reads says so, and returns their browser with the address of their rooms.
func (w *world) at(t *testing.T, role access.Role, reads ...string) (v *visitor, rooms string) {
	t.Helper()
	ctx := t.Context()
	store := session.NewStore(session.Config{DB: w.database.DB, BaseURL: w.base})
	value := ""
	who := session.Person{Issuer: "https://idp.example", Subject: string(role) + strings.Join(reads, ""), Display: "Somebody"}
	if len(reads) > 0 {
		err := w.database.System(ctx, func(tx pgx.Tx) error {
			_, _, err := store.Known(ctx, tx, who)
			return err
		})
		if err == nil {
			_, err = w.database.Owner(t).Exec(ctx, `UPDATE person SET reader_id = (SELECT reader_id FROM reader WHERE display LIKE '%' || $2 LIMIT 1) WHERE subject = $1`, who.Subject, reads[0])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err := w.database.System(ctx, func(tx pgx.Tx) error {
		a, like := access.Actor{Role: role}, role
		if role == access.Admin { // who comes by pages alone, and has no token here
			like = access.Coordinator
		}
		err := tx.QueryRow(ctx, `
			SELECT k.tenant_id, k.actor_id, k.display
			FROM token k
			JOIN tenant n ON n.tenant_id = k.tenant_id
			WHERE n.name = 'mercy' AND k.role = $1
			LIMIT 1`, string(like)).Scan(&a.Tenant, &a.ID, &a.Display)
		if err != nil {
			return err
		}
		person, _, err := store.Known(ctx, tx, who)
		if err == nil {
			_, value, err = store.Open(ctx, tx, person, session.FromOIDC, "test", []access.Actor{a})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	people := &peopleWorld{t: t, db: w.database, root: strings.TrimSuffix(w.base, "/fhir")}
	v = people.visitor()
	v.jar.SetCookies(must(url.Parse(people.root)), []*http.Cookie{{Name: store.CookieName(), Value: value, Path: "/"}})
	return v, "/at/mercy/" + string(role)
}

// do sends the form of an operation that a page has, and fails the test unless it
// leads back to the page.
func (v *visitor) does(page seenPage, operation string, fields url.Values) seenPage {
	v.w.t.Helper()
	action, _, found := strings.Cut(page.text, "/do/"+operation+`"`)
	if !found {
		v.w.t.Fatalf("%s has no form for %s: %s", page.at, operation, page.text)
	}
	action = action[strings.LastIndex(action, `"`)+1:] + "/do/" + operation
	fields.Set("csrf", page.csrf())
	fields.Set("then", page.at)
	after := v.post(action, fields)
	if after.status != http.StatusOK || after.at != page.at {
		v.w.t.Fatalf("%s: %d at %s: %s", operation, after.status, after.at, after.text)
	}
	return after
}

func wants(t *testing.T, page seenPage, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page.text, text) {
			t.Errorf("%s does not say %q:\n%s", page.at, text, page.text)
		}
	}
}

// A coordinator goes from the board to a case in doubt, sees both sides of it and
// settles it, all by forms; and the case is rejected in the end.
func TestACoordinatorSettlesADoubtAtTheBoard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("BOARD-1")
	o.quirk = otherSide
	task := w.sends(t, o)
	w.live(t, o, task, chapter{"", "", nil, workflow.IntakeReview})
	v, rooms := w.at(t, access.Coordinator)
	board := v.get(rooms + "/board?state=intake&party=coordinator")
	wants(t, board, "BOARD-1", "different side", "/board/"+task)
	if empty := v.get(rooms + "/board?state=closed"); !strings.Contains(empty.text, "No case is like this") {
		t.Errorf("closed ones: %s", empty.text)
	}
	if wrong := v.get(rooms + "/board?after=x"); wrong.status != http.StatusBadRequest {
		t.Errorf("a page that is none: %d", wrong.status)
	}
	page := v.get(rooms + "/board/" + task)
	wants(t, page, "What stands in the way", "different side", `class="differs"`, "Body part", "The order came in", "The intake checks are in doubt", o.patient.family)
	if strings.Contains(page.text, "/do/sign") || strings.Contains(page.text, "/do/cancel") {
		t.Error("what others may do is offered")
	}
	v.does(page, "resolve", url.Values{"reason": {"The order was mistyped, the ward says"}})
	w.live(t, o, task, chapter{"", "", nil, workflow.Ready})
	page = v.get(rooms + "/board/" + task)
	wants(t, page, "The doubt was settled", "The order was mistyped, the ward says")
	v.does(page, "reject", url.Values{"reason": {"The ward has withdrawn it"}})
	w.live(t, o, task, chapter{"", "", nil, workflow.Rejected})
	if page = v.get(rooms + "/board/" + task); !strings.Contains(page.text, "Nothing, in your role") {
		t.Errorf("after its end: %s", page.text)
	}
	for _, asked := range []string{"$comparison", "board of cases of the role coordinator"} {
		if !w.recordedAsking(t, asked) {
			t.Errorf("%q is not recorded", asked)
		}
	}
}

// recordedAsking tells whether the log has, or waits to have, that somebody asked this.
func (w *world) recordedAsking(t *testing.T, asked string) (is bool) {
	t.Helper()
	err := w.database.Owner(t).QueryRow(t.Context(), `
		SELECT EXISTS (
			SELECT FROM (SELECT convert_from(body, 'UTF8') AS text FROM audit_event
			             UNION ALL SELECT convert_from(records, 'UTF8') FROM audit_inbox) e
			WHERE e.text LIKE '%' || $1 || '%' OR e.text LIKE '%' || replace(encode(convert_to($1, 'UTF8'), 'base64'), E'\n', '') || '%')`, asked).Scan(&is)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// Only who leads cases has these rooms, and whoever reads too is not told of an
// original, nor who has read, before its reader may know.
func TestWhoReadsTooSeesNothingOfTheOriginalAtTheBoard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("BOARD-2")
	o.quirk = otherSide
	task := w.sends(t, o)
	w.live(t, o, task, chapter{"", "", nil, workflow.IntakeReview})
	both, rooms := w.at(t, access.Coordinator, "Petrov")
	if page := both.get(rooms + "/board/" + task); page.status == http.StatusOK {
		wants(t, page, "You read at this hospital too")
		if strings.Contains(page.text, `class="differs"`) || strings.Contains(page.text, "What happened") || strings.Contains(page.text, "What was asked of whom") {
			t.Errorf("a coordinator who reads: %s", page.text)
		}
	}
	for _, role := range []access.Role{access.Reader, access.Auditor} {
		v, other := w.at(t, role)
		for _, path := range []string{"/board", "/board/" + task} {
			if page := v.get(other + path); page.status != http.StatusNotFound {
				t.Errorf("%s at %s: %d", role, path, page.status)
			}
			if page := v.get(rooms + path); page.status != http.StatusNotFound {
				t.Errorf("%s at the coordinator's %s: %d", role, path, page.status)
			}
		}
	}
}

// Each desk opens; and a case is offered to a candidate by the form of its row.
func TestACoordinatorOffersACaseToACandidateAtTheBoard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("BOARD-3")
	task := w.sends(t, o)
	w.live(t, o, task, chapter{"", "", nil, workflow.Ready})
	v, rooms := w.at(t, access.Coordinator)
	wants(t, v.get(rooms+"/matching"), "BOARD-3", "/board/"+task+"/candidates", "Credentials that end")
	wants(t, v.get(rooms+"/deliveries"), "No delivery is like this")
	wants(t, v.get(rooms+"/missing"), "Nothing is missing")
	page := v.get(rooms + "/board/" + task + "/candidates")
	wants(t, page, "Rank", "fit ", `name="reader"`)
	form, _, _ := strings.Cut(page.text[strings.Index(page.text, `name="reader" value="`)+len(`name="reader" value="`):], `"`)
	after := v.post(rooms+"/case/"+task+"/do/offer", url.Values{"csrf": {page.csrf()}, "then": {rooms + "/board/" + task}, "reader": {form}})
	wants(t, after, "Offered to", "Offered to Dr. ")
	w.live(t, o, task, chapter{"", "", nil, workflow.Offered})
	if wrong := v.post(rooms+"/board/"+task+"/settle", url.Values{"csrf": {page.csrf()}, "number": {"1"}, "destination": {"x"}, "how": {"arrived"}, "reason": {"phoned"}}); wrong.status != http.StatusNotFound {
		t.Errorf("a delivery that is none: %d", wrong.status)
	}
}

// A coordinator finds a case by its number, which stands in no address; and takes note
// of an escalation at its desk, which tells whom was told.
func TestACoordinatorFindsACaseAndTakesNoteOfAnEscalation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("BOARD-4")
	task := w.sends(t, o)
	w.live(t, o, task, chapter{"", "", nil, workflow.Ready})
	v, rooms := w.at(t, access.Coordinator)
	board := v.get(rooms + "/board")
	find := func(number string) seenPage {
		return v.post(rooms+"/board/find", url.Values{"csrf": {board.csrf()}, "number": {number}})
	}
	if page := find("board-4"); page.at != rooms+"/board/"+task {
		t.Errorf("by its number: %d at %s", page.status, page.at)
	}
	wants(t, find("BOARD-5<b>"), "No case has the number BOARD-5&lt;b&gt;.")
	wants(t, find("  "), "escalations open")
	if none := v.get(rooms + "/escalations"); !strings.Contains(none.text, "Nothing like this") {
		t.Errorf("nothing is late: %s", none.text)
	}
	_, err := w.database.Owner(t).Exec(t.Context(), `
		INSERT INTO escalation (tenant_id, case_id, clock, clock_started_at, stage, rule, link, escalation_id, tell, ways, told_at)
		SELECT tenant_id, case_id, 'assign', opened_at, 100, 0, 0, gen_random_uuid(), 'coordinator', '{page,mail}', now() FROM case_file WHERE task_id = $1`, task)
	if err != nil {
		t.Fatal(err)
	}
	page := v.get(rooms + "/escalations?which=open&clock=assign")
	wants(t, page, "BOARD-4", "Assignment", "100 %", "coordinators", "on the worklist, by mail", "the chain is at its end")
	if other := v.get(rooms + "/escalations?clock=final"); strings.Contains(other.text, "BOARD-4") {
		t.Error("the filter by clock lets another one in")
	}
	after := v.post(rooms+"/case/"+task+"/do/heed", url.Values{"csrf": {page.csrf()}, "then": {page.at}})
	wants(t, after, "Nothing like this")
	if wrong := v.get(rooms + "/escalations?after=x"); wrong.status != http.StatusBadRequest {
		t.Errorf("a page that is none: %d", wrong.status)
	}
	director, theirs := w.at(t, access.Director)
	wants(t, director.get(theirs+"/escalations"), "Escalations")
	reader, his := w.at(t, access.Reader)
	if page := reader.get(his + "/escalations"); page.status != http.StatusNotFound {
		t.Errorf("a reader at the desk: %d", page.status)
	}
}

// A medical director is told of an emergency of a case that was cancelled: from the line
// on their first page they come to the case, see what was found, and record the call that
// ends it. A second person of the office sees it at the board and at the desk until then.
func TestADirectorEndsAnEmergencyFromTheirPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("BOARD-6")
	task := w.sends(t, o)
	for _, c := range []chapter{{"", "", nil, workflow.Ready}, {"tanaka", "claim", deeds["claim"].with(o.sample), workflow.Accepted}, {"tanaka", "start", nil, workflow.Reading},
		{"tanaka", "raise-finding", deeds["raise-finding"].with(o.sample), workflow.Reading}, {"placer", "cancel", deeds["cancel"].with(o.sample), workflow.Cancelled}} {
		w.live(t, o, task, c)
	}
	for _, kind := range []string{"clock-finding-emergent/1", "escalate", "escalate", "escalate"} {
		eventually(t, kind, func() error { return w.comesDue(t.Context(), "mercy", task, kind) })
	}
	desk, office := w.at(t, access.Coordinator)
	board := desk.get(office + "/board")
	wants(t, board, "BOARD-6", "an emergent finding is not acknowledged", "the clinician")
	wants(t, desk.get(office+"/escalations?which=open"), "BOARD-6", "Emergent finding acknowledged", "reminder 1", "Cancelled", "Call the clinician, and record it")

	v, rooms := w.at(t, access.Director)
	home := v.get("/home")
	wants(t, home, "BOARD-6", "An emergent finding is not acknowledged.", "reminder 1", `href="`+rooms+"/board/"+task+`"`, "call whoever cares for the patient")
	if german := v.get("/home", "Accept-Language", "de"); !strings.Contains(german.text, "Ein Notfallbefund ist nicht zur Kenntnis genommen.") {
		t.Errorf("in German: %s", german.text)
	}
	page := v.get(rooms + "/board/" + task)
	wants(t, page, "An emergent finding is not acknowledged.", "Acute pulmonary embolism", o.patient.family, "Record the call", `name="readBack"`)
	v.does(page, "heed", url.Values{}) // which ends nothing
	wants(t, v.get(rooms+"/board/"+task), "An emergent finding is not acknowledged.")
	wants(t, desk.get(office+"/board"), "BOARD-6")
	v.does(v.get(rooms+"/board/"+task), "communicate", url.Values{"finding": {"1"}, "recipient": {"Dr. Paul Berger"}, "medium": {"phone"}, "reached": {"true"}, "readBack": {"true"}})
	wants(t, v.get(rooms+"/board/"+task), "acknowledged", "Dr. Paul Berger")
	for _, gone := range []seenPage{v.get("/home"), desk.get(office + "/board"), desk.get(office + "/escalations")} {
		if strings.Contains(gone.text, "BOARD-6") {
			t.Errorf("acknowledged, and still there: %s", gone.text)
		}
	}
}
