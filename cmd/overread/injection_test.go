package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/injection"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// TestWhatIsWrittenInARecordRunsNowhere has the corpus of internal/injection
// written into every text of orders, first reports, opinions, gradings and
// amendments, and then looks at every page of ours, as everybody: each GET route
// of the router, so that a new page cannot be forgotten; the letters, narratives
// and PDFs of the reports; and the chart of the EHR that has got them.
//
// With OVERREAD_BROWSER (make test-web) a browser is shown all of it too.
func TestWhatIsWrittenInARecordRunsNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &harvest{t: t, world: w}
	for i := range 5 {
		h.liveACase(i)
	}
	if h.written < len(injection.Corpus) {
		t.Errorf("only %d texts were written", h.written) // each payload once, at least
	}
	h.readEverything()
	h.learn()
	h.signIn()
	h.crawl()
	h.readChart()
	t.Logf("%d texts written, %d pages, %d narratives, %d PDFs looked at; %d routes", h.written, len(h.pages), h.narratives, h.papers, h.routes)
	if len(h.pages) < 30 || h.narratives < 8 || h.papers < 4 {
		t.Error("too little was looked at")
	}
	h.inABrowser()
}

// harvest is what the people of a world are shown.
type harvest struct {
	*world
	t                                   *testing.T
	written, narratives, papers, routes int
	pages                               []shown
	ids                                 map[string]string // an id of each type
	cookies                             []*http.Cookie    // of people who are signed in
	launchedBy                          []*http.Cookie    // of sessions launched from an EHR
	launched                            []string          // their ids
	pack                                string            // the id of a meeting pack
	skeletons                           map[string]string // of a page, as the first of them sees it
}

// shown is a page as it was answered.
type shown struct{ name, policy, body string }

// next is the payload that stands next. It takes the place of the text.
func (h *harvest) next(string) string {
	h.written++
	return injection.Corpus[h.written%len(injection.Corpus)].Text
}

// beside is the text with the payload that stands next. What says which part of
// the body was examined stays: or else the case waits for a person to look at it.
func (h *harvest) beside(text string) string {
	if regexp.MustCompile(`(?i)knee|magnetic|MR|without|left|right`).MatchString(text) {
		return text
	}
	return strings.TrimSpace(text + " " + h.next(""))
}

func (h *harvest) liveACase(i int) {
	t, w := h.t, h.world
	s := samples["knee"]
	o := order{ehr: w.chart.base, number: fmt.Sprint("INJ-", i), hospital: "mercy", priority: "urgent",
		patient: person{fmt.Sprint("inj", i), "x", "y", "female", "1970-01-01"}, sample: s, at: time.Now()}
	bundle := o.bundle()
	for _, e := range bundle.Each("entry") {
		if p := e.Get("resource"); p.Type() == "Patient" {
			p.Set("text", fhir.Object("status", "additional", "div", `<div xmlns="http://www.w3.org/1999/xhtml">a patient</div>`))
			p.Set("address", []*fhir.Node{fhir.Object("text", "a", "line", []string{"b", "c"}, "city", "d", "district", "e", "postalCode", "f")})
			p.Set("contact", []*fhir.Node{fhir.Object("name", fhir.Object("text", "g", "family", "h", "given", []string{"i"}))})
		}
	}
	placer := w.clients["mercy-placer"]
	if err := o.keepAtEHR(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := placer.send(t.Context(), http.MethodPost, "", rewritten(t, bundle, h.beside)); err != nil {
		t.Fatal(err)
	}
	task, err := taskOf(t.Context(), placer, o.number)
	if err != nil {
		t.Fatal(err)
	}
	tale := append([]chapter{{"", "", nil, workflow.Ready}}, reads("petrov", "knee")...)
	tale = append(tale, chapter{"petrov", "grade", gradeParameters(s.Diff), workflow.Comparing}, chapter{"petrov", "sign", nil, workflow.Final},
		chapter{"petrov", "amend", []*fhir.Node{param("reason", "valueString", "x")}, workflow.Amending},
		chapter{"petrov", "sign", []*fhir.Node{param("kind", "valueCode", "correction"), param("reason", "valueString", "x"), param("text", "valueString", "x")}, workflow.Final})
	for _, c := range tale {
		for i, p := range c.with {
			if p.Get("valueString") != nil {
				c.with[i] = rewritten(t, p, h.next)
			}
		}
		w.live(t, o, task, c)
	}
}

// learn has the quality role write of the cases, and make a pack of them: what is told
// in the peer-learning room is what others wrote.
func (h *harvest) learn() {
	quality := h.clients["mercy-quality"]
	text := func(name string) *fhir.Node { return param(name, "valueString", h.next("")) }
	for _, does := range []struct {
		operation string
		with      []*fhir.Node
	}{
		{"open-review", []*fhir.Node{text("reason")}},
		{"close-review", []*fhir.Node{param("conclusion", "valueCode", "learning"), text("note")}},
		{"open-review", []*fhir.Node{text("reason")}},
		{"outcome", []*fhir.Node{param("right", "valueCode", "second"), param("source", "valueCode", "other"), param("date", "valueDate", "2026-01-01"), text("note")}},
	} {
		if _, err := quality.op(h.t.Context(), h.ids["Task"], does.operation, does.with...); err != nil {
			h.t.Fatal(err)
		}
	}
	var err error
	for range injection.Corpus { // it may not be what somebody here is called
		if _, err = quality.op(h.t.Context(), h.ids["Task"], "add-learning-point", text("text")); err == nil {
			break
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
	made, err := quality.get(h.t.Context(), "Task/$meeting-pack")
	if err == nil && made.Get("parameter") == nil {
		for range injection.Corpus {
			if _, err = quality.send(h.t.Context(), http.MethodPost, "Task/$make-meeting-pack", fhir.Object("resourceType", "Parameters", "parameter", []*fhir.Node{text("title")})); err == nil {
				break
			}
		}
	}
	if err == nil {
		made, err = quality.get(h.t.Context(), "Task/$meeting-pack")
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.pack = made.Text("parameter", "part", "valueId")
	if h.pack == "" {
		h.t.Fatalf("there is no pack: %s", made.Bytes())
	}
}

// readEverything reads all that the desk may, and judges narratives and forms.
func (h *harvest) readEverything() {
	h.ids, h.skeletons = map[string]string{}, map[string]string{}
	types, err := h.clients["mercy-coordinator"].get(h.t.Context(), "metadata")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, typ := range types.Each("rest", "resource", "type") {
		for _, who := range []string{"mercy-placer", "mercy-coordinator", "mercy-auditor"} {
			page, err := h.clients[who].get(h.t.Context(), typ.Text()+"?_count=500")
			if err != nil {
				continue // not theirs
			}
			for _, n := range page.Each("entry", "resource") {
				h.ids[n.Type()] = n.Text("id")
				h.judgeResource(n)
			}
		}
	}
}

func (h *harvest) judgeResource(n *fhir.Node) {
	h.t.Helper()
	at := n.Type() + "/" + n.Text("id")
	if div := n.Text("text", "div"); div != "" {
		h.narratives++
		h.judgePage(shown{at + " text.div", "default-src 'none'", "<!doctype html><title>x</title>" + div})
	}
	for i, form := range n.Each("presentedForm") {
		data, err := base64.StdEncoding.DecodeString(form.Text("data"))
		if err != nil {
			h.t.Fatal(err)
		}
		switch name := fmt.Sprintf("%s presentedForm[%d]", at, i); {
		case strings.HasPrefix(form.Text("contentType"), "text/html"):
			h.judgePage(shown{name, "default-src 'none'; style-src 'unsafe-inline'", string(data)})
		case form.Text("contentType") == "application/pdf":
			h.papers++
			paper, err := injection.ReadPaper(data)
			if err != nil || len(paper.Dangers()) > 0 {
				h.t.Errorf("%s: %v %v", name, paper.Dangers(), err)
			}
		}
	}
}

func (h *harvest) judgePage(p shown) {
	h.t.Helper()
	page, err := injection.ReadPage([]byte(p.body))
	if err != nil {
		h.t.Errorf("%s: %v", p.name, err)
	}
	for _, danger := range page.Dangers(p.policy) {
		h.t.Errorf("%s: %s", p.name, danger)
	}
	if strings.Contains(p.body, "ZgotmplZ") {
		h.t.Errorf("%s: the template has escaped something away", p.name)
	}
	h.pages = append(h.pages, p)
}

// signIn signs somebody in for each payload with a bracket or quote in it, whose
// name it is, as all that they may be at the hospital, which has such a name too;
// some of them open a record in an emergency, for such a reason.
func (h *harvest) signIn() {
	t, ctx := h.t, h.t.Context()
	store := session.NewStore(session.Config{DB: h.database.DB, BaseURL: h.base})
	if _, err := h.database.Owner(t).Exec(ctx, `UPDATE tenant SET display = $1`, `<img src=/owned onerror=fetch("/owned")>"'`); err != nil {
		t.Fatal(err)
	}
	actors := h.everybody()
	h.administer(actors[0].Tenant)
	for i, p := range injection.Corpus {
		if i%12 != 0 && !strings.HasPrefix(p.Name, "out of a") && !strings.HasPrefix(p.Name, "polyglot") {
			continue
		}
		had := h.open(store, actors, fmt.Sprint(i), p.Text)
		h.cookies = append(h.cookies, h.breakGlass(store, had, p.Text))
		if len(h.launched) < 4 {
			h.launch(store, actors[0].Tenant, fmt.Sprint("launched ", i), p.Text)
		}
		h.written += 2
	}
}

// everybody is an actor of each role that signs in, at the first hospital.
func (h *harvest) everybody() (actors []access.Actor) {
	ctx := h.t.Context()
	err := h.database.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT tenant_id, actor_id, role, display FROM token WHERE role IN ('reader', 'coordinator', 'director', 'auditor', 'quality') ORDER BY role, created_at`)
		if err != nil {
			return err
		}
		var a access.Actor
		_, err = pgx.ForEachRow(rows, []any{&a.Tenant, &a.ID, &a.Role, &a.Display}, func() error {
			if !slices.ContainsFunc(actors, func(b access.Actor) bool { return a.Role == b.Role }) {
				actors = append(actors, a)
			}
			return nil
		})
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return append(actors, access.Actor{Tenant: actors[0].Tenant, ID: uuid.New(), Role: access.Admin, Display: "admin"})
}

// administer has names and reasons as administrators and operators write them, or
// other systems say them, be such texts.
func (h *harvest) administer(tenant uuid.UUID) {
	h.ids["client"], h.ids["person"] = uuid.NewString(), uuid.NewString()
	owner := h.database.Owner(h.t)
	for _, sql := range []string{
		`INSERT INTO client (tenant_id, client_id, name, role, scopes, jwks_url) VALUES (@tenant, @client, @text, 'placer', 'system/Observation.rs?category=' || @text, 'https://ehr.example/' || @text)`,
		`INSERT INTO token (tenant_id, token_sha256, actor_id, role, display) VALUES (@tenant, sha256('x'), @client, 'placer', @text)`,
		`INSERT INTO ehr_issuer (tenant_id, issuer, client_id, authentication, scopes, frame_origins) VALUES (@tenant, 'https://ehr.example/' || @text || 'x', @text, 'public', 'launch', ARRAY[@text])`,
		`INSERT INTO provider (name, issuer, display, client_id) VALUES ('hostile', 'https://hostile.example', @text, @text)`,
		`INSERT INTO provider_role (tenant_id, provider, claim_value, role, set_by_name) VALUES (@tenant, 'hostile', @text, 'auditor', @text)`,
		`INSERT INTO person (person_id, issuer, subject, display) VALUES (@person, 'https://hostile.example', @text, @text)`,
		`INSERT INTO member (tenant_id, person_id) VALUES (@tenant, @person)`,
		`INSERT INTO member_role (tenant_id, person_id, role, way, set_by, reason, claim_value) VALUES (@tenant, @person, 'auditor', 'granted', @text, @text, ''), (@tenant, @person, 'auditor', 'claim', '', '', @text)`,
		`INSERT INTO destination (tenant_id, destination, base_url, paused_at, paused_by, pause_reason) VALUES (@tenant, 'hostile', 'https://ehr.example/' || @text || 'x', now(), @text, @text)`,
		`INSERT INTO destination_proposal (tenant_id, destination, base_url, packaging, timeout_ms, in_flight_max, reason, proposed_by, proposed_by_name) VALUES (@tenant, 'proposed', 'https://ehr.example/' || @text || 'x', 'report', 1000, 1, @text, @person, @text)`,
		`INSERT INTO replica (replica_id, host, version, schema, seen_at, mails, signs) VALUES (@client, @text, @text, 1, now() - interval '1 hour', true, true)`,
	} {
		text := h.next("")
		if _, err := owner.Exec(h.t.Context(), sql, pgx.NamedArgs{"tenant": tenant, "client": h.ids["client"], "person": h.ids["person"], "text": strings.ReplaceAll(text, "\x00", "")}); err != nil {
			h.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// open is the cookie of a new session of somebody with this name and browser.
func (h *harvest) open(store *session.Store, actors []access.Actor, subject, name string) *http.Cookie {
	ctx, value := h.t.Context(), ""
	err := h.database.System(ctx, func(tx pgx.Tx) error {
		person, _, err := store.Known(ctx, tx, session.Person{Issuer: "https://idp.example", Subject: subject, Display: name})
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO installation_operator (person_id, granted_by, reason, ends_at) VALUES ($1, $2, $2, now() + interval '1 hour')`, person, name)
		}
		if err == nil {
			_, value, err = store.Open(ctx, tx, person, session.FromOIDC, name, actors)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return &http.Cookie{Name: store.CookieName(), Value: value}
}

// launch opens a session as a launch from an EHR does, for somebody with this name.
func (h *harvest) launch(store *session.Store, tenant uuid.UUID, subject, name string) {
	ctx, answer := h.t.Context(), httptest.NewRecorder()
	err := h.database.System(ctx, func(tx pgx.Tx) error {
		person, _, err := store.Known(ctx, tx, session.Person{Issuer: "https://ehr.example", Subject: subject, Display: name})
		if err != nil {
			return err
		}
		actor := access.Actor{Tenant: tenant, ID: person, Role: access.Placer, Display: name, Patient: "Patient/" + h.ids["Patient"]}
		id, value, err := store.OpenLaunched(ctx, tx, person, name, actor, time.Hour)
		if err != nil {
			return err
		}
		store.SetLaunchCookie(answer, httptest.NewRequest(http.MethodGet, "/", nil), id, value, time.Hour)
		h.launched = append(h.launched, id.String())
		_, err = tx.Exec(ctx, `INSERT INTO launched (tenant_id, session_id, issuer, order_unknown) VALUES ($1, $2, 'https://ehr.example', true)`, tenant, id)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.launchedBy = append(h.launchedBy, answer.Result().Cookies()...)
}

// breakGlass opens a record, shows what the form says when it is wrong, and
// returns the session's new cookie.
func (h *harvest) breakGlass(store *session.Store, cookie *http.Cookie, text string) *http.Cookie {
	t := h.t
	found, err := store.Find(t.Context(), cookie.Value)
	if err != nil {
		t.Fatal(err)
	}
	for _, patient := range []string{text, h.ids["Patient"]} {
		form := url.Values{session.CSRFField: {found.CSRF()}, "patient": {patient}, "tenant": {"mercy"}, "reason": {"an emergency " + text}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.TrimSuffix(h.base, "/fhir")+"/break-glass", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(cookie)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if opened := answer.StatusCode == http.StatusOK; opened != (patient == h.ids["Patient"]) {
			t.Errorf("the record of %s: %d %s", patient, answer.StatusCode, body)
		}
		h.judgePage(shown{"/break-glass, sent", answer.Header.Get("Content-Security-Policy"), string(body)})
		for _, given := range answer.Cookies() {
			if given.Name == cookie.Name && given.Value != "" {
				cookie = given
			}
		}
	}
	return cookie
}

// visitors are everybody who may look at a page.
func (h *harvest) visitors() map[string]func(*http.Request) {
	all := map[string]func(*http.Request){"": func(*http.Request) {}}
	for _, who := range []string{"placer", "coordinator", "auditor", "director", "petrov"} {
		token := h.clients["mercy-"+who].token
		all[who] = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	for i, cookie := range h.launchedBy {
		all[fmt.Sprint("launched ", i)] = func(r *http.Request) { r.AddCookie(cookie) }
	}
	for i, cookie := range h.cookies {
		all[fmt.Sprint("person ", i)] = func(r *http.Request) { r.AddCookie(cookie) }
	}
	return all
}

// values are what the parameters of routes can be. A page with a parameter that
// is not here cannot be looked at: the test says so.
func (h *harvest) values() map[string][]string {
	return map[string][]string{
		":type": slices.Sorted(maps.Keys(h.ids)), ":id": {h.ids["Task"], h.ids["Patient"], h.ids["DiagnosticReport"], h.ids["Practitioner"]},
		":version": {"1", "2"}, ":file": {"1", "csv"}, ":operation": {"$claim"}, ":code": {"x"}, ":member": {"Observation"}, ":name": {"x"}, ":template": {"ct-chest", "x"}, "*": {"x"},
		":provider": {"<img src=%2Fowned>", "x", "hostile"}, ":tenant": {"mercy", "<img src=%2Fowned>"}, ":role": {"reader", "adjudicator", "supervisor", "coordinator", "director", "quality", "auditor", "admin"}, ":task": {h.ids["Task"]},
		":session": append([]string{"x"}, h.launched...), ":report": {h.ids["DiagnosticReport"]}, ":form": {"html", "pdf"}, ":pack": {h.pack, "x"}, ":language": {"en", "x"}, ":event": {h.ids["AuditEvent"]},
		":client": {h.ids["client"], "x"}, ":person": {h.ids["person"], "x"},
	}
}

var parameter = regexp.MustCompile(`:[A-Za-z]+|\*`)

// addresses are those of a route, with values for its parameters.
func (h *harvest) addresses(route string) []string {
	all := []string{route}
	for _, name := range parameter.FindAllString(route, -1) {
		values := h.values()[name]
		if name == ":type" && !strings.HasPrefix(route, "/fhir/docs") {
			values = []string{"Patient", "DiagnosticReport"} // the same handler, whatever the type
		}
		if len(values) == 0 {
			h.t.Errorf("the route %s has the parameter %s: add a value of it to values()", route, name)
		}
		var filled []string
		for _, at := range all {
			for _, v := range values {
				filled = append(filled, strings.Replace(at, name, v, 1))
			}
		}
		all = filled
	}
	return all
}

// crawl asks for every page that the router has, as everybody.
func (h *harvest) crawl() {
	t := h.t
	origin := strings.TrimSuffix(h.base, "/fhir")
	seen := map[string]bool{}
	for _, route := range routesOf(t, h.world) {
		h.routes++
		for _, at := range h.addresses(route) {
			for who, as := range h.visitors() {
				if isPage := !strings.HasPrefix(route, "/fhir/") || strings.HasPrefix(route, "/fhir/docs"); isPage || who == "coordinator" {
					h.look(origin+at, who, as, seen)
				}
			}
		}
	}
}

// look asks for an address as a browser does, and judges what is HTML.
func (h *harvest) look(address, who string, as func(*http.Request), seen map[string]bool) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, strings.NewReplacer("<", "%3C", ">", "%3E", " ", "%20").Replace(address), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	as(r)
	answer, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	name := address + " as " + who
	policy := answer.Header.Get("Content-Security-Policy")
	if answer.Header.Get("X-Content-Type-Options") != "nosniff" || policy == "" {
		h.t.Errorf("%s: its headers are %v", name, answer.Header)
	}
	kind := answer.Header.Get("Content-Type")
	isPage := strings.Contains(kind, "html") || strings.Contains(kind, "xml")
	if !isPage || len(answer.Header["Content-Disposition"]) > 0 || seen[string(body)] {
		return
	}
	seen[string(body)] = true
	if wrong := injection.WeakPolicy(policy); wrong != "" {
		h.t.Errorf("%s: its policy is weak, %s: %s", name, wrong, policy)
	}
	h.judgePage(shown{name, policy, string(body)})
	// What people are called, and all that they wrote, changes nothing but texts. The audit
	// trail is another one each time: that it was looked at is in it.
	if page, err := injection.ReadPage(body); err == nil && strings.HasPrefix(who, "person") && !strings.HasSuffix(address, "/trail") {
		if first, known := h.skeletons[address]; known && first != page.Skeleton() {
			h.t.Errorf("%s has other elements than for somebody else: %s", name, cmp.Diff(first, page.Skeleton()))
		}
		h.skeletons[address] = page.Skeleton()
	}
}

// routesOf are the addresses that the program answers a GET at.
func routesOf(t *testing.T, w *world) (routes []string) {
	t.Helper()
	database, err := (databaseFlags{URL: w.database.URL}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	o, err := assemble(&serveCmd{BaseURL: w.base, Outbound: thisMachine}, database, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return getsOf(t, o.handler(func() {}))
}

// getsOf are those of a handler.
func getsOf(t testing.TB, handler http.Handler) (routes []string) {
	t.Helper()
	router, ok := handler.(*echo.Echo)
	if !ok {
		t.Fatal("the handler is no router any more: tell this test what it serves")
	}
	for _, r := range router.Routes() {
		if r.Method == http.MethodGet && !slices.Contains(routes, r.Path) {
			routes = append(routes, r.Path)
		}
	}
	slices.Sort(routes)
	return routes
}

// readChart looks at the stand-in EHR's pages, when the reports have arrived.
func (h *harvest) readChart() {
	t := h.t
	eventually(t, "the reports are to stand in the EHR", func() error {
		found, err := h.chart.get(t.Context(), "DiagnosticReport?status=corrected")
		if err == nil && len(found.Each("entry")) < 5 {
			err = fmt.Errorf("there are %d", len(found.Each("entry")))
		}
		if err == nil {
			for _, n := range found.Each("entry", "resource") {
				h.judgeResource(n)
			}
		}
		return err
	})
	answer, err := http.Get(strings.TrimSuffix(h.chart.base, "/fhir") + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	// It frames the letters, in a sandbox.
	h.judgePage(shown{"the EHR's chart", answer.Header.Get("Content-Security-Policy"), regexp.MustCompile(`<iframe [^>]*></iframe>`).ReplaceAllString(string(body), "")})
}
