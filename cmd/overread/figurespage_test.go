package main

import (
	"bytes"
	"html"
	"net/http"
	"regexp"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/measure/facts/factstest"
)

var (
	groupInPage = regexp.MustCompile(`(?m)^<tr><th scope="row">(?:<a href="[^"]+">)?(w\d+|reader-[a-z2-7]+|<span class="quiet">not said</span>)(?:</a>)?</th>(?:<td>(w\d+)</td>)?(?:<td>\d+</td>)?$`)
	nextInPage  = regexp.MustCompile(`href="(\?[^"]+)" rel="next"`)
)

// The figures of a national service, by what has hundreds or thousands of groups, are pages
// that are as light as all others. Together they have each group once.
func TestFiguresOfVeryManyGroupsAreLightPages(t *testing.T) {
	t.Parallel()
	c := noCrowd(t, func(database string) string { return database })
	tenant := c.tenants["mercy"]
	factstest.Fill(t, c.database, tenant, 60_000)
	if _, err := c.database.Owner(t).Exec(t.Context(), `INSERT INTO measure_build (tenant_id, done_at) VALUES ($1, now()) ON CONFLICT (tenant_id) DO UPDATE SET done_at = now()`, tenant); err != nil {
		t.Fatal(err)
	}
	weigh := weigher{c, map[string]int{}}
	quality := c.come("", access.Quality)
	const year = "&from=2025-01-01&to=2025-12-31"
	for _, tt := range []struct {
		asked        string
		pages, names int // 0 names: of no more than two pages
	}{
		{"?by=site" + year, 10, 150},
		{"?by=site&interval=clopper-pearson&measure=discrepancy-any" + year, 2, 0},
		{"?by=site&measure=turnaround" + year, 2, 0},
		{"?by=month" + year, 1, 0},
		{"?by=modality&by2=site" + year, 2, 0},
		{"?by=second-reader" + year, 20, 300}, // the same pseudonyms on each page
		{"?by=original-reader&measure=discrepancy-any" + year, 2, 0},
		{"?by=original-reader&by2=second-reader" + year, 2, 0},
	} {
		seen, pages := map[string]int{}, 0
		for next := tt.asked; next != "" && (tt.names > 0 || pages < 2); pages++ {
			at := "/at/mercy/quality/figures" + next
			body, there := c.get(pageOf{"figures " + next, at, quality})
			if !there || pages > 20 {
				t.Fatalf("%s: page %d", next, pages)
			}
			if pages == 0 {
				german, _ := c.get(pageOf{"figures in German", at, &http.Client{Jar: quality.Jar, Transport: asking{"de"}}})
				if weight := weigh.weight(pageOf{as: quality}, german); weight > mostPage || !bytes.Contains(german, []byte(`<html lang="de"`)) {
					t.Errorf("in German %s weighs %d bytes, %d of them its own", next, weight, len(german))
				}
			}
			weight := weigh.weight(pageOf{as: quality}, body)
			if weight > mostPage {
				t.Errorf("%s weighs %d bytes, %d of them its own", next, weight, len(body))
			}
			here := map[string]bool{}
			for _, found := range groupInPage.FindAllSubmatch(body, -1) {
				here[string(found[1])+" "+string(found[2])] = true
			}
			for name := range here {
				seen[name]++
			}
			next = ""
			if found := nextInPage.FindSubmatch(body); found != nil {
				next = html.UnescapeString(string(found[1]))
				next = next[:len(next)-len("#groups")]
			}
		}
		if pages != tt.pages || tt.names > 0 && len(seen) != tt.names {
			t.Errorf("%s: %d pages of %d groups", tt.asked, pages, len(seen))
		}
		for name, times := range seen {
			if times != 1 {
				t.Errorf("%s: %s stands on %d pages", tt.asked, name, times)
			}
		}
	}
}
