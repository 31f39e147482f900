package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

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
