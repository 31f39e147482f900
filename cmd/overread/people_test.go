package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/devidp"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/session"
)

// hospitalsOf is a running server with two hospitals at which Dr. Ito reads, a third
// where she does not, and an identity provider that knows her.
type peopleWorld struct {
	t        *testing.T
	db       *pgtest.Database
	base     string // of the FHIR surface
	root     string // of the pages
	idp      *devidp.Server
	reader   uuid.UUID
	patients map[string]string // of each hospital one, by its name
}

func startPeople(t *testing.T) *peopleWorld {
	t.Helper()
	w := &peopleWorld{t: t, db: pgtest.New(t), patients: map[string]string{}, reader: uuid.New()}
	for _, name := range []string{"mercy", "lakeside", "county"} {
		w.must("tenant", "create", name, "--display", strings.ToUpper(name[:1])+name[1:]+" Hospital")
	}
	w.base = serveInProcess(t, w.db.URL)
	w.root = strings.TrimSuffix(w.base, "/fhir")
	for _, name := range []string{"mercy", "lakeside", "county"} {
		c := client{base: w.base, token: w.must("token", "add", name, "coordinator")}
		made, err := c.send(t.Context(), http.MethodPost, "Patient", fhir.Object("resourceType", "Patient", "gender", "female"))
		if err != nil {
			t.Fatal(err)
		}
		w.patients[name] = locationID(made.location, "Patient")
		if name == "county" {
			continue
		}
		made, err = c.send(t.Context(), http.MethodPost, "Practitioner", practitioner("ito", "1000000012", "Mei", "Ito"))
		if err != nil {
			t.Fatal(err)
		}
		w.must("reader", "add", name, locationID(made.location, "Practitioner"), "--display", "Dr. Mei Ito", "--credential-file", credential(t), "--id", w.reader.String())
	}

	var handler http.Handler
	provider := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(provider.Close)
	var err error
	w.idp, err = devidp.New(provider.URL, devidp.Client{ID: "overread", Secret: "s3cret", Redirects: []string{w.root + "/login/house/callback"}, AfterLogout: []string{w.root + "/signed-out"}},
		[]devidp.Person{
			{Subject: "ito", Name: "Ito", Groups: []string{"cn=readers,ou=x"}},
			{Subject: "kim", Name: "Kim at the desk", Groups: []string{"desk"}},
			{Subject: "both", Name: "Both", Groups: []string{"cn=readers,ou=x", "desk"}},
			{Subject: "doe", Name: "Doe"},
		}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	handler = w.idp.Handler()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must("provider", "add", "house", provider.URL, "--client-id", "overread", "--client-secret-file", secret,
		"--role", "cn=readers,ou=x=mercy:reader", "--role", "cn=readers,ou=x=lakeside:reader", "--role", "cn=readers,ou=x=county:reader", "--role", "desk=mercy:coordinator")
	w.must("person", "add", "house", "ito", "--reader", w.reader.String())
	return w
}

func (w *peopleWorld) must(args ...string) string {
	w.t.Helper()
	out, err := overreadOutput(w.t, append(args, "--database-url", w.db.URL)...)
	if err != nil {
		w.t.Fatalf("overread %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(out)
}

func (w *peopleWorld) behind(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Owner(w.t).Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// recorded is how many events of a kind a tenant's log has, with those that still
// wait for their place in it.
func (w *peopleWorld) recorded(kind access.EventKind, tenant string) (n int) {
	w.t.Helper()
	err := w.db.Owner(w.t).QueryRow(context.Background(), `
		SELECT count(*)
		FROM (SELECT tenant_id, convert_from(body, 'UTF8') AS text FROM audit_event
		      UNION ALL SELECT tenant_id, unnest(string_to_array(convert_from(records, 'UTF8'), E'\n')) FROM audit_inbox) e
		JOIN tenant n ON n.tenant_id = e.tenant_id
		WHERE n.name = $1 AND e.text LIKE '%"' || $2 || '"%'`, tenant, string(kind)).Scan(&n)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// visitor is a browser with its cookies.
type visitor struct {
	w      *peopleWorld
	client *http.Client
	jar    *cookiejar.Jar
}

func (w *peopleWorld) visitor() *visitor {
	jar, _ := cookiejar.New(nil) // never fails
	return &visitor{w, &http.Client{Jar: jar, Timeout: time.Minute}, jar}
}

// seenPage is what came back.
type seenPage struct {
	status int
	at     string
	header http.Header
	text   string
}

func (v *visitor) do(r *http.Request) seenPage {
	v.w.t.Helper()
	resp, err := v.client.Do(r)
	if err != nil {
		v.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.w.t.Fatal(err)
	}
	return seenPage{resp.StatusCode, strings.TrimPrefix(resp.Request.URL.String(), v.w.root), resp.Header, string(text)}
}

// get opens an address; header holds names and values in turn.
func (v *visitor) get(path string, header ...string) seenPage {
	v.w.t.Helper()
	return v.do(v.request(http.MethodGet, path, nil, header...))
}

func (v *visitor) post(path string, form url.Values, header ...string) seenPage {
	v.w.t.Helper()
	return v.do(v.request(http.MethodPost, path, form, header...))
}

func (v *visitor) request(method, path string, form url.Values, header ...string) *http.Request {
	v.w.t.Helper()
	r, err := http.NewRequest(method, v.w.root+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.w.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.w.root)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// signIn goes the whole way, by the links and forms of the pages.
func (v *visitor) signIn(who string) seenPage {
	v.w.t.Helper()
	listed := v.get("/home")
	link := regexp.MustCompile(`href="(/login/house[^"]*)"`).FindStringSubmatch(listed.text)
	if link == nil {
		v.w.t.Fatalf("no provider is listed at %s: %s", listed.at, listed.text)
	}
	choice := v.get(strings.ReplaceAll(link[1], "&amp;", "&"))
	r, err := http.NewRequest(http.MethodPost, choice.at, strings.NewReader(url.Values{"subject": {who}}.Encode()))
	if err != nil {
		v.w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

func (v *visitor) cookie() string {
	for _, c := range v.jar.Cookies(must(url.Parse(v.w.root))) {
		if c.Name == "overread" {
			return c.Value
		}
	}
	return ""
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// csrf is the token in the forms of a page.
func (p seenPage) csrf() string {
	found := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(p.text)
	if found == nil {
		return ""
	}
	return found[1]
}

func TestSomebodySignsInAndOut(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	v.jar.SetCookies(must(url.Parse(w.root)), []*http.Cookie{{Name: "overread", Value: access.NewToken(), Path: "/"}}) // fixed by somebody else
	fixed := v.cookie()
	home := v.signIn("ito")
	if home.status != http.StatusOK || home.at != "/home" || !strings.Contains(home.text, "Dr. Mei Ito") {
		t.Fatalf("%d %s: %s", home.status, home.at, home.text)
	}
	if v.cookie() == "" || v.cookie() == fixed {
		t.Error("the session has the cookie of before the login")
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
		if got := home.header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := home.header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") || strings.Contains(got, "script-src") {
		t.Errorf("the policy is %q", got)
	}
	if strings.Contains(home.text, "<script") {
		t.Error("there is a script")
	}
	if !strings.Contains(home.text, `http-equiv="refresh" content="905; url=/signin?why=idle"`) {
		t.Error("the page does not end with the session")
	}
	if style := v.get(regexp.MustCompile(`/assets/[0-9a-f]+\.css`).FindString(home.text)); style.status != http.StatusOK || !strings.HasPrefix(style.header.Get("Content-Type"), "text/css") {
		t.Errorf("the style: %d", style.status)
	}
	if at := v.get("/"); at.at != "/home" {
		t.Errorf("/ leads to %s", at.at)
	}

	for name, header := range map[string][]string{
		"without the token": nil, "with another token": {session.CSRFHeader, access.NewToken()},
		"from another origin": {session.CSRFHeader, home.csrf(), "Origin", "https://evil.example"},
		"from another site":   {session.CSRFHeader, home.csrf(), "Sec-Fetch-Site", "cross-site"},
	} {
		if got := v.post("/logout", url.Values{}, header...); got.status != http.StatusForbidden {
			t.Errorf("signed out %s: %d", name, got.status)
		}
	}
	before := v.cookie()
	out := v.post("/logout", url.Values{"csrf": {home.csrf()}})
	if out.status != http.StatusOK || !strings.Contains(out.text, "/logout?client_id=overread") || v.cookie() != "" {
		t.Errorf("%d %s", out.status, out.text)
	}
	stolen := w.visitor()
	stolen.jar.SetCookies(must(url.Parse(w.root)), []*http.Cookie{{Name: "overread", Value: before, Path: "/"}})
	if at := stolen.get("/home"); !strings.HasPrefix(at.at, "/signin?") || !strings.Contains(at.text, "You were signed out") {
		t.Errorf("the cookie is good after the logout: %s", at.at)
	}
}

func TestALoginIsOfTheBrowserThatBeganIt(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	attacker, victim := w.visitor(), w.visitor()
	attacker.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/callback") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	held := attacker.signIn("kim") // the attacker's own login, up to its last step
	victim.get("/login/house")     // the victim has begun one too
	link := strings.TrimPrefix(held.header.Get("Location"), w.root)
	if !strings.HasPrefix(link, "/login/house/callback?") {
		t.Fatalf("no way back: %q", link)
	}
	if got := victim.get(link); got.status != http.StatusForbidden || victim.cookie() != "" {
		t.Errorf("the victim is signed in as the attacker: %d", got.status)
	}
	if got := victim.signIn("doe"); got.status != http.StatusForbidden || !strings.Contains(got.text, "you have no role here") || victim.cookie() != "" {
		t.Errorf("somebody without a role: %d %s", got.status, got.text)
	}
	for _, back := range []string{"//evil.example", "https://evil.example/", `/\evil.example`} {
		u := w.visitor()
		choice := u.get("/login/house?return=" + url.QueryEscape(back))
		r, err := http.NewRequest(http.MethodPost, choice.at, strings.NewReader("subject=kim"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := u.do(r); got.at != "/home" { // by way of /
			t.Errorf("%s leads to %s", back, got.at)
		}
	}
}

func TestSessionsEndByTimeByTheirPersonAndByTheOperator(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	one, two := w.visitor(), w.visitor()
	one.signIn("ito")
	two.signIn("ito")
	list := one.get("/sessions")
	other := regexp.MustCompile(`name="session" value="([^"]+)"`).FindStringSubmatch(list.text)
	if other == nil || !strings.Contains(list.text, "this one") {
		t.Fatalf("the other session is not listed: %s", list.text)
	}
	stranger := w.visitor()
	theirs := stranger.signIn("kim")
	stranger.post("/sessions/end", url.Values{"csrf": {theirs.csrf()}, "session": {other[1]}})
	if at := two.get("/home"); at.at != "/home" {
		t.Error("somebody else ended the session")
	}
	one.post("/sessions/end", url.Values{"csrf": {list.csrf()}, "session": {other[1]}})
	if at := two.get("/home"); at.at == "/home" {
		t.Error("the other session goes on")
	}

	w.behind(`UPDATE session SET seen_at = now() - interval '16 minutes'`)
	if at := one.get("/home"); at.at == "/home" {
		t.Error("an idle session goes on")
	}
	one.signIn("ito")
	w.behind(`UPDATE session SET ends_at = now() WHERE ended_at IS NULL`)
	if at := one.get("/home"); at.at == "/home" {
		t.Error("a session goes on after its end")
	}
	one.signIn("ito")
	var persons []personRow
	if err := json.Unmarshal([]byte(w.must("person", "list", "--json")), &persons); err != nil {
		t.Fatal(err)
	}
	for _, p := range persons {
		if p.Subject == "ito" {
			w.must("person", "end", p.PersonID.String())
		}
	}
	if at := one.get("/home"); at.at == "/home" {
		t.Error("a session goes on after its person was ended")
	}
	if got := one.signIn("ito"); got.status != http.StatusForbidden {
		t.Errorf("the person comes in again: %d", got.status)
	}
	w.must("person", "add", "house", "ito", "--reader", w.reader.String())
	if got := one.signIn("ito"); got.at != "/home" {
		t.Errorf("added again: %s", got.at)
	}
	w.must("provider", "remove", "house")
	if at := one.get("/home"); at.at == "/home" || !strings.Contains(at.text, "No identity provider") {
		t.Errorf("after the provider was removed: %s", at.at)
	}
}

func TestAReaderWorksAtTwoHospitalsAndSeesNothingOfAThird(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	home := v.signIn("ito")
	for name, there := range map[string]bool{"Mercy Hospital": true, "Lakeside Hospital": true, "County Hospital": false} {
		if strings.Contains(home.text, name) != there {
			t.Errorf("%s is on the page: %v", name, !there)
		}
	}
	token := w.must("token", "add", "mercy,lakeside", "reader", "--person", w.reader.String())
	if _, err := overreadOutput(t, "token", "add", "mercy,county", "reader", "--person", w.reader.String(), "--database-url", w.db.URL); err == nil {
		t.Error("a token for a hospital that has not credentialed her")
	}
	bearer := w.visitor()
	for who, ask := range map[string]func(path string, header ...string) seenPage{
		"a session": v.get,
		"a token": func(path string, header ...string) seenPage {
			return bearer.get(path, append(header, "Authorization", "Bearer "+token)...)
		},
	} {
		if got := ask("/fhir/Patient"); got.status != http.StatusBadRequest || !strings.Contains(got.text, "lakeside reader, mercy reader") {
			t.Errorf("%s that names no hospital: %d %s", who, got.status, got.text)
		}
		for _, at := range []string{"mercy", "lakeside"} {
			for whose, id := range w.patients {
				want := http.StatusNotFound
				if whose == at {
					want = http.StatusOK
				}
				if got := ask("/fhir/Patient/"+id, access.TenantHeader, at); got.status != want {
					t.Errorf("%s at %s, a patient of %s: %d", who, at, whose, got.status)
				}
			}
		}
		if got := ask("/fhir/Patient", access.TenantHeader, "county"); got.status != http.StatusForbidden {
			t.Errorf("%s at county: %d", who, got.status)
		}
		if got := ask("/fhir/Patient", access.TenantHeader, "mercy", access.RoleHeader, "coordinator"); got.status != http.StatusForbidden {
			t.Errorf("%s in another role: %d", who, got.status)
		}
		w.behind(`UPDATE reader SET active = false WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name = 'lakeside')`)
		got := ask("/fhir/Patient", access.TenantHeader, "lakeside")
		if got.status == http.StatusServiceUnavailable { // a token that was remembered: it was noticed within the request
			got = ask("/fhir/Patient", access.TenantHeader, "lakeside")
		}
		if got.status != http.StatusForbidden {
			t.Errorf("%s at lakeside, which has ended her credentials: %d", who, got.status)
		}
		if got := ask("/fhir/Patient"); got.status != http.StatusOK { // one is left
			t.Errorf("%s with one hospital left: %d", who, got.status)
		}
		w.behind(`UPDATE reader SET active = true`)
	}
}

// Who reads at a hospital and coordinates there opens a record as its reader: so
// the cases that they read know it.
func TestWhoReadsAndCoordinatesOpensARecordAsTheReader(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	w.must("person", "add", "house", "both", "--reader", w.reader.String())
	v := w.visitor()
	v.signIn("both")
	form := v.get("/break-glass")
	fields := url.Values{"csrf": {form.csrf()}, "tenant": {"mercy"}, "patient": {w.patients["mercy"]}, "reason": {"The surgeon stands at the table"}}
	if got := v.post("/break-glass", fields); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.text)
	}
	var actor uuid.UUID
	var role string
	if err := w.db.Owner(t).QueryRow(t.Context(), `SELECT actor_id, role FROM break_glass`).Scan(&actor, &role); err != nil {
		t.Fatal(err)
	}
	if actor != w.reader || role != "reader" {
		t.Errorf("opened by %s %s, want reader %s", role, actor, w.reader)
	}
}

func TestARecordIsOpenedInAnEmergencyByAPage(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	v.signIn("ito")
	form := v.get("/break-glass")
	fields := url.Values{"csrf": {form.csrf()}, "tenant": {"mercy"}, "patient": {w.patients["mercy"]}, "reason": {"The patient is unconscious <b>now</b>"}}
	without := func(name, value string) url.Values {
		changed := maps.Clone(fields)
		changed[name] = []string{value}
		return changed
	}
	for name, wrong := range map[string]url.Values{
		"without a reason": without("reason", "now"), "another hospital's patient": without("patient", w.patients["lakeside"]),
		"another hospital": without("tenant", "county"), "without the token": without("csrf", ""),
	} {
		if got := v.post("/break-glass", wrong); got.status < 400 || got.status >= 500 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	before := v.cookie()
	opened := v.post("/break-glass", fields)
	if opened.status != http.StatusOK || !strings.Contains(opened.text, "The record is open") || strings.Contains(opened.at, w.patients["mercy"]) {
		t.Fatalf("%d %s", opened.status, opened.text)
	}
	if v.cookie() == before {
		t.Error("the session has the cookie of before")
	}
	if got := v.get("/home"); !strings.Contains(got.text, "open to you in an emergency") {
		t.Error("the home page does not say that a record is open")
	}
	desk := w.visitor()
	if got := desk.signIn("kim"); !strings.Contains(got.text, "The patient is unconscious &lt;b&gt;now&lt;/b&gt;") || !strings.Contains(got.text, "Dr. Mei Ito") {
		t.Errorf("the coordinator is not told: %s", got.text)
	}
	if got := w.must("break-glass", "list", "mercy"); !strings.Contains(got, "The patient is unconscious") {
		t.Errorf("listed: %s", got)
	}
	if got := w.must("break-glass", "list", "lakeside"); got != "" {
		t.Errorf("at lakeside: %s", got)
	}
	// However many harmless ones come after it, it is not out of sight.
	w.behind(`
		INSERT INTO break_glass (tenant_id, break_id, person_id, actor_id, role, display, patient_id, reason, opened_at, till)
		SELECT tenant_id, gen_random_uuid(), person_id, actor_id, role, display, patient_id, 'a harmless reason', opened_at + n * interval '1 microsecond', till
		FROM break_glass, generate_series(1, 60) n`)
	crowded := desk.get("/home")
	if !strings.Contains(crowded.text, "And 11 more in the last 7 days") || !strings.Contains(crowded.text, `href="/emergencies?tenant=mercy"`) {
		t.Errorf("the page does not say that there are more: %s", crowded.text)
	}
	first := desk.get("/emergencies?tenant=mercy")
	next := regexp.MustCompile(`href="(/emergencies\?tenant=mercy&amp;before=[^"]+)"`).FindStringSubmatch(first.text)
	if next == nil {
		t.Fatalf("no second page: %s", first.text)
	}
	if got := desk.get(strings.ReplaceAll(next[1], "&amp;", "&")); !strings.Contains(got.text, "The patient is unconscious") || strings.Contains(got.text, "before=") {
		t.Errorf("the second page: %s", got.text)
	}
	for _, path := range []string{"/emergencies", "/emergencies?tenant=lakeside", "/emergencies?tenant=mercy&before=x"} {
		if got := desk.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := v.get("/emergencies?tenant=mercy"); got.status != http.StatusNotFound {
		t.Errorf("to a reader: %d", got.status)
	}
	if got := w.must("break-glass", "list", "mercy"); strings.Count(got, "\n") != 60 || !strings.Contains(got, "The patient is unconscious") {
		t.Errorf("listed: %s", got)
	}
	w.behind(`DELETE FROM break_glass WHERE reason = 'a harmless reason'`)
	told, _ := overreadOutput(t, "doctor", "--database-url", w.db.URL)
	if !strings.Contains(told, "in the last 7 days, at mercy: 1") {
		t.Errorf("the doctor says %s", told)
	}
	w.behind(`UPDATE break_glass SET till = now()`)
	if got := v.get("/home"); strings.Contains(got.text, "open to you in an emergency") {
		t.Error("the home page says so after its end")
	}
}

func TestAProgramInTheBrowserLearnsItsTokenAndUsesIt(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	v.signIn("kim")
	var me struct {
		Display string
		CSRF    string
		Places  []struct{ Tenant, Role string }
	}
	if err := json.Unmarshal([]byte(v.get("/session").text), &me); err != nil || len(me.Places) != 1 || me.Display != "Kim at the desk" {
		t.Fatalf("%+v (%v)", me, err)
	}
	create := func(header ...string) seenPage {
		r := v.request(http.MethodPost, "/fhir/Patient", nil, append(header, "Content-Type", "application/fhir+json")...)
		r.Body = io.NopCloser(strings.NewReader(`{"resourceType":"Patient"}`))
		return v.do(r)
	}
	if got := create(); got.status != http.StatusForbidden {
		t.Errorf("without the token: %d", got.status)
	}
	if got := create(session.CSRFHeader, me.CSRF); got.status != http.StatusCreated {
		t.Errorf("with the token: %d %s", got.status, got.text)
	}
	if got := w.visitor().get("/session", "Accept", "application/json"); got.status != http.StatusUnauthorized {
		t.Errorf("signed out: %d", got.status)
	}
	opened := v.post("/break-glass", url.Values{"patient": {w.patients["mercy"]}, "reason": {"the patient is unconscious"}}, session.CSRFHeader, me.CSRF, "Accept", "application/json")
	if opened.status != http.StatusCreated || !strings.Contains(opened.text, `"till"`) {
		t.Errorf("%d %s", opened.status, opened.text)
	}
}

func TestOverPlainHTTPNobodySignsInFromElsewhere(t *testing.T) {
	t.Parallel()
	for root, safe := range map[string]bool{
		"https://overread.example": true, "http://127.0.0.1:8080": true, "http://localhost:8080": true, "http://[::1]:8080": true,
		"http://overread.example": false, "http://10.0.0.1:8080": false, "http://localhost.example": false,
	} {
		if safeForCookies(root) != safe {
			t.Errorf("%s: %v", root, !safe)
		}
	}
}

func TestWhatAClaimMeansIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"readers=mercy:reader":     "readers mercy reader",
		"cn=a,ou=b=mercy:director": "cn=a,ou=b mercy director",
		"x=mercy:admin":            "x mercy admin",
		"readers=mercy:placer":     "",
		"readers=mercy:system":     "",
		"readers=mercy":            "",
		"=mercy:reader":            "",
		"readers":                  "",
		"readers=Mercy:reader":     "",
	} {
		m, err := readMeaning(text)
		got := fmt.Sprintf("%s %s %s", m.Value, m.Tenant, m.Role)
		if (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %q (%v)", text, got, err)
		}
	}
}

func TestAMeaningThatIsTakenAwayEndsWhatRestedOnIt(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	var issuer string
	if err := w.db.Owner(t).QueryRow(t.Context(), `SELECT issuer FROM provider`).Scan(&issuer); err != nil {
		t.Fatal(err)
	}
	set := func(roles ...string) string {
		args := []string{"provider", "add", "house", issuer, "--client-id", "overread"}
		for _, role := range roles {
			args = append(args, "--role", role)
		}
		return w.must(args...)
	}
	told := func(tenant string) int { return w.recorded(access.ProviderSet, tenant) }
	desk, reader := w.visitor(), w.visitor()
	desk.signIn("kim")
	reader.signIn("ito")
	before := told("county")
	if got := set("cn=readers,ou=x=mercy:reader", "cn=readers,ou=x=lakeside:reader", "desk=mercy:coordinator"); !strings.Contains(got, "sessions ended: 0") {
		t.Errorf("nobody had a role at county: %s", got)
	}
	if told("county") != before+1 {
		t.Error("county, where nothing means anything any more, is not told")
	}
	if desk.get("/home").at != "/home" || reader.get("/home").at != "/home" {
		t.Error("who has what they had is signed out")
	}
	if got := set("cn=readers,ou=x=mercy:reader", "cn=readers,ou=x=lakeside:reader", "others=mercy:coordinator"); !strings.Contains(got, "sessions ended: 1") {
		t.Errorf("the desk's role is gone: %s", got)
	}
	if at := desk.get("/home"); at.at == "/home" {
		t.Error("a coordinator by what means nothing any more goes on")
	}
	if reader.get("/home").at != "/home" {
		t.Error("the reader is signed out too")
	}
}

func TestWhoIsEndedHasNoTokenLeft(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	token := w.must("token", "add", "mercy,lakeside", "reader", "--person", w.reader.String())
	ask := func() int {
		return w.visitor().get("/fhir/Patient", "Authorization", "Bearer "+token, access.TenantHeader, "mercy").status
	}
	if got := ask(); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}
	var persons []personRow
	if err := json.Unmarshal([]byte(w.must("person", "list", "--json")), &persons); err != nil || len(persons) != 1 {
		t.Fatalf("%v (%v)", persons, err)
	}
	if got := w.must("person", "end", persons[0].PersonID.String()); !strings.Contains(got, "tokens: 2") {
		t.Errorf("said: %s", got)
	}
	got := ask()
	if got == http.StatusServiceUnavailable { // it was remembered, and noticed within the request
		got = ask()
	}
	if got != http.StatusUnauthorized {
		t.Errorf("the token of who was ended: %d", got)
	}
	for _, tenant := range []string{"mercy", "lakeside"} {
		if n := w.recorded(access.KeysRevoked, tenant); n != 1 {
			t.Errorf("%s is told %d times", tenant, n)
		}
	}
}

func TestWhoSignsInAgainLeavesASessionThatIsRecordedAsEnded(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	v.signIn("ito")
	choice := v.get("/login/house")
	r, err := http.NewRequest(http.MethodPost, choice.at, strings.NewReader("subject=kim"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got := v.do(r); !strings.Contains(got.text, "Kim at the desk") {
		t.Fatalf("%d %s", got.status, got.text)
	}
	for _, tenant := range []string{"mercy", "lakeside"} {
		if n := w.recorded(access.Logout, tenant); n != 1 {
			t.Errorf("%d logouts are recorded at %s", n, tenant)
		}
	}
}

func TestAnAddressBeginsSoManySignInsAndNoMore(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	refused := 0
	for range 140 {
		v := w.visitor() // each without the cookie of the one before
		v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if got := v.get("/login/house"); got.status == http.StatusTooManyRequests {
			refused++
		}
	}
	var rows int
	if err := w.db.Owner(t).QueryRow(t.Context(), `SELECT count(*) FROM login`).Scan(&rows); err != nil || rows != 140-refused || refused == 0 {
		t.Errorf("%d refused, %d rows (%v)", refused, rows, err)
	}
}

func TestAPageThatClosesItselfTellsTheTruth(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	v.signIn("kim")
	if got := v.get("/signin?why=idle"); !strings.Contains(got.text, "still signed in") || strings.Contains(got.text, "You were signed out") {
		t.Errorf("the session is in force: %s", got.text)
	}
	w.behind(`UPDATE session SET seen_at = now() - interval '14 minutes'`)
	v.get("/signin?why=idle")
	var renewed bool
	if err := w.db.Owner(t).QueryRow(t.Context(), `SELECT bool_or(seen_at > now() - interval '13 minutes') FROM session`).Scan(&renewed); err != nil || renewed {
		t.Errorf("a page that closes itself keeps the session alive (%v)", err)
	}
	w.behind(`UPDATE session SET seen_at = now() - interval '16 minutes'`)
	if got := v.get("/signin?why=idle"); strings.Contains(got.text, "still signed in") || !strings.Contains(got.text, "You were signed out") {
		t.Errorf("the session has ended: %s", got.text)
	}
}

func TestAnAddressThatIsNoneIsAPageForABrowser(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	if got := v.get("/hoome", "Accept", "text/html,*/*;q=0.8"); got.status != http.StatusNotFound || !strings.Contains(got.text, "There is no page at this address") || got.header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", got.status, got.text)
	}
	for path, accept := range map[string]string{"/hoome": "*/*", "/fhir/Patient/1/2/3/4/5/6": "text/html"} {
		if got := v.get(path, "Accept", accept); got.status/100 != 4 || strings.Contains(got.text, "There is no page") {
			t.Errorf("%s as %s: %d %s", path, accept, got.status, got.text)
		}
	}
}

func TestWhoHasNoWorklistIsToldWhereTheirWorkIs(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	if got := v.signIn("kim"); !strings.Contains(got.text, "Nothing waits for you") || strings.Contains(got.text, "AuditEvent") {
		t.Errorf("a coordinator: %s", got.text)
	}
	w.behind(`UPDATE session_actor SET role = 'auditor'`)
	if got := v.get("/home"); strings.Contains(got.text, "Nothing waits for you") || !strings.Contains(got.text, "AuditEvent") {
		t.Errorf("an auditor: %s", got.text)
	}
}
