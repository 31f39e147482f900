package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/session"
)

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
	if got := home.header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") || !strings.Contains(got, "script-src 'self';") {
		t.Errorf("the policy is %q", got)
	}
	script := regexp.MustCompile(`<script type="module" src="(/assets/[0-9a-f]+\.js)"></script>`).FindStringSubmatch(home.text)
	if script == nil || strings.Count(home.text, "<script") != 1 {
		t.Fatal("there is another script than our file")
	}
	if got := v.get(script[1]); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/javascript") || len(got.text) > 10<<10 {
		t.Errorf("the script: %d %v, %d bytes", got.status, got.header, len(got.text))
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
