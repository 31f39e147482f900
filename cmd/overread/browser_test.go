package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// inABrowser shows the pages to a real browser, with their policies, and says
// which of them ran something, asked for something, or broke their policy.
func (h *harvest) inABrowser() {
	browser := os.Getenv("OVERREAD_BROWSER")
	if browser == "" {
		return
	}
	// What must be noticed, or else nothing was looked at: one that runs, and one
	// that only its policy stops.
	controls := []shown{
		{"control: runs", "", `<!doctype html><title>x</title><img src=/none onerror="fetch('/owned')">`},
		{"control: is stopped", "default-src 'none'", `<!doctype html><title>x</title><img src=/none onerror="fetch('/owned')">`},
		{"control: quiet", "default-src 'none'", `<!doctype html><title>x</title><p>nothing</p>`},
	}
	pages := h.some()
	told := showAll(h.t, browser, append(controls, pages...))
	for i, want := range []string{"/owned", "/report", ""} {
		if got := told[i]; want == "" && got != "" || !strings.Contains(got, want) {
			h.t.Errorf("%s: the browser did %q", controls[i].name, got)
		}
	}
	for i, p := range pages {
		if did := told[len(controls)+i]; did != "" {
			h.t.Errorf("%s: the browser did %s", p.name, did)
		}
	}
	h.t.Logf("%d pages shown to %s", len(pages), browser)
}

// some are the pages without those that are like three others: the same page for
// other people, the pages about the types. Narratives are shown together.
func (h *harvest) some() (pages []shown) {
	like := map[string]int{}
	together := shown{name: "all narratives", policy: "default-src 'none'"}
	for _, p := range h.pages {
		path, _, _ := strings.Cut(p.name, " as ")
		if at := strings.Index(path, "/fhir/docs/"); at >= 0 {
			path = "docs"
		}
		switch like[path]++; {
		case strings.HasSuffix(p.name, "text.div"):
			together.body += p.body
		case like[path] <= 3:
			pages = append(pages, p)
		}
	}
	return append(pages, together)
}

// showAll shows pages, some at once, and returns what each made the browser ask
// for besides itself.
func showAll(t *testing.T, browser string, pages []shown) []string {
	t.Helper()
	told := make([]string, len(pages))
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i := 0; strings.HasPrefix(r.URL.Path, "/page/") {
			if _, err := fmt.Sscanf(r.URL.Path, "/page/%d", &i); err == nil && r.URL.Path == fmt.Sprint("/page/", i) && i < len(pages) {
				if pages[i].policy != "" {
					w.Header().Set("Content-Security-Policy", pages[i].policy+"; report-uri /report/"+fmt.Sprint(i))
				}
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = io.WriteString(w, pages[i].body)
				return
			}
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, 2000))
		if r.URL.Path == "/favicon.ico" || r.URL.Path == "/none" || strings.HasPrefix(r.URL.Path, "/assets/") { // our style sheet
			http.NotFound(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		i := -1
		if _, err := fmt.Sscanf(r.URL.Path, "/report/%d", &i); err != nil {
			_, _ = fmt.Sscanf(strings.TrimPrefix(r.Header.Get("Referer"), "http://"+r.Host), "/page/%d", &i)
		}
		if i < 0 || i >= len(pages) {
			t.Errorf("the browser asked for %s", r.URL.Path)
			return
		}
		told[i] += r.Method + " " + r.URL.Path + " " + string(body) + "; "
	}))
	t.Cleanup(server.Close)
	turns := make(chan struct{}, 2)
	var all sync.WaitGroup
	for i := range pages {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			show(t, browser, fmt.Sprint(server.URL, "/page/", i))
		})
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	return told
}

func show(t *testing.T, browser, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "overread-browser-")
	if err != nil {
		t.Error(err)
		return
	}
	defer os.RemoveAll(folder)
	cmd := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+folder, "--timeout=4000", "--virtual-time-budget=2500", "--dump-dom", address)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "<html") {
		t.Errorf("%s: the browser: %v, %d bytes", address, err, len(out))
	}
}
