package main

import (
	"encoding/json"
	"log/slog"
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

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/viewer"
	"github.com/overread/overread/workflow"
)

// viewerAt is a folder as overread viewer install leaves it, with a page instead of the
// viewer: the tests are of the way there, and not of OHIF.
func viewerAt(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	about, _ := json.Marshal(map[string]any{"Package": viewer.Package, "Version": viewer.Version, "SHA256": viewer.SHA256})
	for name, text := range map[string]string{"overread-viewer.json": string(about), "index.html": `<script>window.x=1</script><script src="/app-config.js"></script>`, "app.bundle.0123456789abcdef.js": "let x", "secret.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTheViewerSeesOneCaseAndNoSession: the way from a page to the viewer, what it is
// given there, and when that ends.
func TestTheViewerSeesOneCaseAndNoSession(t *testing.T) {
	t.Parallel()
	w, _, _ := withPACS(t)
	o, other := w.knee("VIEW-1"), w.knee("VIEW-2")
	other.patient = people[""][1]
	w.becomes(t, w.sends(t, other, other.images()...), workflow.Ready, "", "")
	r := &readingRoom{world: w, t: t, o: o, task: w.sends(t, o, o.images()...)}
	r.is(workflow.Ready)

	// A second server over the same database, with a viewer: as any replica.
	database, err := (databaseFlags{URL: w.database.URL}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(database.Close)
	beside := httptest.NewUnstartedServer(nil)
	at := viewerURL(beside.Listener)
	listener, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flags := &serveCmd{Outbound: thisMachine, Viewer: viewerFlags{Dir: viewerAt(t), URL: at}}
	assembled, err := assemble(flags, database, listener.Addr(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	beside.Config.Handler = assembled.images.viewer.Handler()
	beside.Start()
	t.Cleanup(beside.Close)
	pages := httptest.NewUnstartedServer(assembled.handler(func() {}))
	pages.Listener = listener
	pages.Start()
	t.Cleanup(pages.Close)

	tanaka := r.comes("tanaka", access.Reader)
	tanaka.does("/claim", nil)
	cookies := tanaka.jar.Cookies(must(url.Parse(tanaka.w.root)))
	come := func() *http.Client {
		jar, _ := cookiejar.New(nil)
		jar.SetCookies(must(url.Parse(pages.URL)), cookies)
		return &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	browser := come()
	ask := func(c *http.Client, method, address string, header ...string) (int, http.Header, string) {
		t.Helper()
		v := &visitor{&peopleWorld{t: t}, c, nil}
		got := v.do(must(http.NewRequestWithContext(t.Context(), method, address, nil)))
		return got.status, got.header, got.text
	}
	page := tanaka.base + "/case/" + r.task
	_, _, text := ask(browser, http.MethodGet, pages.URL+page)
	if !strings.Contains(text, page+`/viewer" target="_blank" rel="noopener"`) {
		t.Fatalf("the page does not lead to the viewer: %s", text)
	}
	status, header, _ := ask(browser, http.MethodGet, pages.URL+page+"/viewer")
	code := header.Get("Location")
	if status != http.StatusSeeOther || !strings.HasPrefix(code, at+"/open/") {
		t.Fatalf("to the viewer: %d %v", status, header)
	}
	status, header, _ = ask(browser, http.MethodGet, code)
	given := header.Get("Set-Cookie")
	ticket := regexp.MustCompile(`^/viewer\?StudyInstanceUIDs=` + regexp.QuoteMeta(o.studyUID()) + `&case=([0-9a-f-]{36})$`).FindStringSubmatch(header.Get("Location"))
	if status != http.StatusSeeOther || ticket == nil || !strings.Contains(given, "Path=/c/"+ticket[1]+";") || !strings.Contains(given, "HttpOnly") || !strings.Contains(given, "SameSite=Strict") {
		t.Fatalf("opened: %d %v", status, header)
	}
	if status, _, _ := ask(browser, http.MethodGet, code); status != http.StatusGone {
		t.Errorf("the code a second time: %d", status)
	}
	root := at + "/c/" + ticket[1] + "/dicomweb"
	images := func(c *http.Client, want int, address string) string {
		t.Helper()
		status, header, text := ask(c, http.MethodGet, address)
		if status != want {
			t.Errorf("%s: %d %.200s", address, status, text)
		}
		if status == http.StatusOK && !strings.Contains(header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %v", address, header)
		}
		return text
	}
	if text := images(browser, http.StatusOK, root+"/studies/"+o.studyUID()+"/series"); !strings.Contains(text, dicomUID("series VIEW-1")) || strings.Contains(text, w.pacs.Base) {
		t.Errorf("the series: %s", text)
	}
	images(browser, http.StatusOK, root+"/studies/"+o.studyUID()+"/series/"+dicomUID("series VIEW-1")+"/metadata")
	images(browser, http.StatusNotFound, root+"/studies/"+other.studyUID()+"/series")
	images(come(), http.StatusGone, root+"/studies")                                                // a browser that has the session and not the ticket
	images(browser, http.StatusGone, at+"/c/00000000-0000-4000-8000-000000000000/dicomweb/studies") // another ticket
	if status, header, _ := ask(browser, http.MethodPost, root+"/studies"); status != http.StatusMethodNotAllowed || header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", status, header)
	}
	if status, _, _ := ask(browser, http.MethodGet, pages.URL+strings.Replace(page, r.task, "nobody", 1)+"/viewer"); status != http.StatusNotFound {
		t.Errorf("the viewer of no case: %d", status)
	}

	// What the viewer's origin serves besides.
	status, header, text = ask(browser, http.MethodGet, at+"/viewer")
	if policy := header.Get("Content-Security-Policy"); status != http.StatusOK || !strings.Contains(policy, "'sha256-") || strings.Contains(policy, "script-src 'unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(text, "app-config.js") {
		t.Errorf("the viewer: %d %v", status, header)
	}
	if _, header, text := ask(browser, http.MethodGet, at+"/app-config.js"); !strings.Contains(text, "/dicomweb") || strings.Contains(text, "https://") || !strings.Contains(header.Get("Content-Type"), "javascript") {
		t.Errorf("its configuration: %v %s", header, text)
	}
	if _, header, _ := ask(browser, http.MethodGet, at+"/app.bundle.0123456789abcdef.js"); !strings.Contains(header.Get("Cache-Control"), "immutable") {
		t.Errorf("a file that does not change: %v", header)
	}
	for _, address := range []string{"/overread-viewer.json", "/secret.txt", "/../secret.txt", "/%2e%2e/x.js", "/", "/case", "/fhir/metadata"} {
		if status, _, _ := ask(browser, http.MethodGet, at+address); status == http.StatusOK {
			t.Errorf("%s is served", address)
		}
	}

	// A session that has ended ends what was opened from it.
	if _, err := w.database.Owner(t).Exec(t.Context(), `UPDATE session SET ended_at = now(), end_reason = 'logout'`); err != nil {
		t.Fatal(err)
	}
	images(browser, http.StatusGone, root+"/studies")
}

// TestAViewerAtTheHostOfThePagesIsRefused: cookies know no ports.
func TestAViewerAtTheHostOfThePagesIsRefused(t *testing.T) {
	t.Parallel()
	for address, good := range map[string]bool{
		"https://viewer.overread.example": true, "https://viewer.overread.example:8443": true, "http://localhost:8086": true,
		"https://overread.example": false, "https://overread.example:8086": false, "http://viewer.overread.example": false, "https://viewer.overread.example/": false, "https://viewer.overread.example/x": false, "": false, "viewer": false,
	} {
		if err := (viewerFlags{Dir: "x", URL: address}).validate("https://overread.example"); (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
	}
}
