package fhir

import (
	"encoding/xml"
	"errors"
	"html"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

const asBrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// pagePaths are the index and the page of each type.
func (r *rest) pagePaths() []string {
	paths := []string{"/fhir/docs"}
	for _, typ := range r.server.typeNames {
		paths = append(paths, "/fhir/docs/"+typ)
	}
	return paths
}

func TestABrowserIsLedToTheIndex(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, path := range []string{"/", "/fhir", "/fhir/"} {
		got := r.do("", "GET", path, "", "Accept", asBrowser) // follows the redirect
		if got.status != http.StatusOK || !strings.Contains(got.body, "<h1>Radiology second opinions over FHIR</h1>") {
			t.Errorf("%s: %d %.200s", path, got.status, got.body)
		}
	}
	for _, accept := range []string{"application/fhir+json", "application/json, text/html;q=0.5", "*/*", ""} {
		if got := r.do("", "GET", "/fhir", "", "Accept", accept); got.node.Type() == "" {
			t.Errorf("Accept %q: %d %.200s", accept, got.status, got.body)
		}
	}
}

func TestThePagesAreWellFormedAndLoadNothing(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, path := range r.pagePaths() {
		got := r.do("", "GET", path, "", "Accept", asBrowser)
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "text/html; charset=UTF-8" || len(got.body) > 150_000 {
			t.Errorf("%s: %d %s, %d bytes", path, got.status, got.header.Get("Content-Type"), len(got.body))
		}
		if strings.Contains(got.body, "ZgotmplZ") {
			t.Errorf("%s: the template has escaped something away", path)
		}
		for _, tag := range []string{"style", "script"} {
			_, text, _ := strings.Cut(got.body, "<"+tag+">")
			text, _, _ = strings.Cut(text, "</"+tag+">")
			if csp := got.header.Get("Content-Security-Policy"); !strings.Contains(csp, tag+"-src "+sourceHash(text)) || !strings.HasPrefix(csp, "default-src 'none';") {
				t.Errorf("%s: the policy does not allow its %s: %s", path, tag, csp)
			}
		}
		wellFormed(t, path, got.body)
		if again := r.do("", "GET", path, "", "If-None-Match", got.header.Get("ETag")); again.status != http.StatusNotModified {
			t.Errorf("%s again: %d", path, again.status)
		}
	}
	r.do("", "GET", "/fhir/docs/Banana", "").want(t, http.StatusNotFound, "not-found")
}

// wellFormed reads the page with a strict reader: each element is closed, each
// id is there once, each link within the page leads somewhere, and nothing is
// fetched from elsewhere.
func wellFormed(t *testing.T, path, page string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(strings.Replace(withoutRaw(page), "<!doctype html>", "", 1)))
	dec.Strict = true
	dec.Entity = xml.HTMLEntity
	ids := map[string]bool{}
	var anchors []string
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range start.Attr {
			switch {
			case a.Name.Local == "id" && ids[a.Value]:
				t.Errorf("%s: the id %s is there twice", path, a.Value)
			case a.Name.Local == "id":
				ids[a.Value] = true
			case a.Name.Local == "src", a.Name.Local == "href" && start.Name.Local == "link" && !strings.HasPrefix(a.Value, "data:"):
				t.Errorf("%s loads %s", path, a.Value)
			case a.Name.Local == "href" && strings.HasPrefix(a.Value, "#"), a.Name.Local == "href" && strings.Contains(a.Value, "/fhir/docs#") && path == "/fhir/docs":
				_, anchor, _ := strings.Cut(a.Value, "#")
				anchors = append(anchors, anchor)
			}
		}
	}
	for _, anchor := range anchors {
		if !ids[anchor] {
			t.Errorf("%s: there is no #%s", path, anchor)
		}
	}
}

var rawElements = regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`)

func withoutRaw(page string) string { return rawElements.ReplaceAllString(page, "") }

func TestEveryLinkBetweenThePagesLeadsSomewhere(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	link := regexp.MustCompile(`href="([^"#]*)#?([^"]*)"`)
	bodies := map[string]string{}
	for _, path := range r.pagePaths() {
		bodies[path] = r.do("", "GET", path, "").body
	}
	for path, page := range bodies {
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			at := strings.TrimPrefix(html.UnescapeString(m[1]), r.url)
			if !strings.HasPrefix(at, "/fhir/docs") {
				continue
			}
			if target, ok := bodies[at]; !ok || m[2] != "" && !strings.Contains(target, `id="`+m[2]+`"`) {
				t.Errorf("%s: %s leads nowhere", path, m[0])
			}
		}
	}
}

// samplesOf are the commands of a page, as a person copies them.
func samplesOf(page string) (commands []string) {
	for _, m := range regexp.MustCompile(`(?s)<pre [^>]*><code>(.*?)</code></pre>`).FindAllStringSubmatch(page, -1) {
		commands = append(commands, html.UnescapeString(m[1]))
	}
	return commands
}

// TestEveryExampleOfThePagesWorks runs the commands of all pages as they stand,
// with a shell and with curl, against a whole reading service.
func TestEveryExampleOfThePagesWorks(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is needed to run the examples", program)
		}
	}
	c := startClinic(t)
	index := samplesOf(c.do("", "GET", "/fhir/docs", "").body)
	setup := index[0]
	for i, command := range index[1:] { // each stands on its own, after those before it
		if out, err := c.shell(access.Placer, setup+"\n"+command); err != nil {
			t.Errorf("example %d of the index: %v\n%s\n%s", i+1, err, command, out)
		}
	}
	for _, typ := range c.server.typeNames {
		samples := samplesOf(c.do("", "GET", "/fhir/docs/"+typ, "").body)
		if len(samples) == 0 {
			t.Errorf("the page of %s has no example", typ)
		}
		as := access.Placer
		if readers := c.server.resources[typ].readers; readers != nil {
			as = readers[0]
		}
		if out, err := c.shell(as, setup+"\n"+strings.Join(samples, "\n")); err != nil {
			t.Errorf("the examples of %s: %v\n%s", typ, err, out)
		}
	}
}

// shell runs commands, of which each curl must be answered by a success.
func (c *clinic) shell(as access.Role, commands string) (string, error) {
	c.t.Helper()
	const strict = `set -eu
curl() { command curl --fail-with-body "$@" || { echo "FAILED: $*" >&2; exit 22; }; }
`
	run := exec.Command("sh", "-c", strict+commands)
	run.Env = append(os.Environ(), "OVERREAD_TOKEN="+c.tokens[as])
	out, err := run.CombinedOutput()
	if err == nil && strings.Contains(string(out), "FAILED: ") { // inside $(...) | ...
		err = io.ErrUnexpectedEOF
	}
	return string(out), err
}

func TestEveryKindOfErrorIsExplained(t *testing.T) {
	t.Parallel()
	told := map[fault.Kind]bool{}
	for kind, text := range errorTexts {
		told[kind] = text != ""
	}
	known := map[fault.Kind]bool{}
	for kind := range kinds {
		known[kind] = true
	}
	if diff := cmp.Diff(known, told); diff != "" {
		t.Error(diff)
	}
}
