package main

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

var (
	behindLink = regexp.MustCompile(`<a href="(figures/cases\?[^"]+)">([\d,]+)</a>`)
	listedCase = regexp.MustCompile(`<tr data-row="([^"]+)"><th scope="row"><a href="([^"]+)">`)
	groupTab   = regexp.MustCompile(`(?s)<a class="button small" href="(\?[^"]+)"( aria-current="true")?>([^<]+) <b>([\d,]+)</b></a>`)
	nextCases  = regexp.MustCompile(`href="([^"]+)" rel="next"`)
)

// The drill-down of the role quality: each number of cases on a page of figures leads to so
// many cases, in pages, each of them once, and each leads to its case in the peer-learning
// room. They are those that the API lists (reportType=subject-list).
func TestAFigureLeadsToAsManyCasesAsItCounts(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, func(database string) string { return database })
	c.grow(1000)
	quality := c.come("", access.Quality)
	owner := c.database.Owner(t)
	var changed time.Time // at some moment before which cases were known otherwise
	if err := owner.QueryRow(t.Context(), `SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY known_until) - interval '1 ms' FROM measure_fact_past WHERE tenant_id = $1`, c.tenants["mercy"]).Scan(&changed); err != nil {
		t.Fatal(err)
	}
	const rooms = "/at/mercy/quality/"
	get := func(path string) string {
		t.Helper()
		body, there := c.get(pageOf{path, path, quality})
		if !there {
			t.Fatalf("%s: there is no such page; %s", path, c.log.text())
		}
		return string(body)
	}
	number := func(text string) int {
		n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	list := func(path string) (tasks []string, first string) {
		t.Helper()
		for next := path; next != ""; {
			text := get(next)
			if first == "" {
				first = text
			}
			for _, row := range listedCase.FindAllStringSubmatch(text, -1) {
				if row[2] != rooms+"learning/case/"+row[1] {
					t.Errorf("the line of %s leads to %s", row[1], row[2])
				}
				tasks = append(tasks, row[1])
			}
			if next = ""; nextCases.MatchString(text) {
				next = html.UnescapeString(nextCases.FindStringSubmatch(text)[1])
			}
		}
		slices.Sort(tasks)
		if len(slices.Compact(slices.Clone(tasks))) != len(tasks) {
			t.Errorf("%s: a case is listed twice", path)
		}
		return tasks, first
	}
	var opened string
	day := func(before time.Duration) string { return time.Now().Add(-before).Format(time.DateOnly) }
	short := "&from=" + day(4*24*time.Hour) + "&to=" + day(0)
	for _, tt := range []struct {
		asked string
		links int // at the least
	}{
		{"measure=discrepancy-any" + short, 3},
		{"measure=discrepancy-any&by=modality" + short, 5},
		{"measure=discrepancy-important&by=month&by2=modality&only=priority%7Curgent&from=" + day(60*24*time.Hour) + "&to=" + day(0), 5},
		{"measure=turnaround&by=modality" + short, 5},
		{"measure=unread&by=blinding&asOf=" + url.QueryEscape(changed.UTC().Format(time.RFC3339Nano)) + short, 3},
		{"measure=adjudication-overturn&only=priority%7Croutine" + short, 2},
	} {
		page := get(rooms + "figures?" + tt.asked)
		links := behindLink.FindAllStringSubmatch(page, -1)
		if len(links) < tt.links {
			t.Errorf("%s: %d numbers lead to cases: %s", tt.asked, len(links), page)
		}
		listed := 0
		for i, link := range links {
			if i > 12 { // of many groups
				break
			}
			address := rooms + html.UnescapeString(link[1])
			tasks, first := list(address)
			listed += len(tasks)
			if len(tasks) != number(link[2]) {
				t.Errorf("%s: %s cases are counted, and %d are listed", address, link[2], len(tasks))
			}
			if i == 0 {
				opened = address
				for _, tab := range groupTab.FindAllStringSubmatch(first, -1) {
					if tasks, _ := list(rooms + "figures/cases" + html.UnescapeString(tab[1])); len(tasks) != number(tab[4]) {
						t.Errorf("%s, %s: %s cases are counted, and %d are listed", address, tab[3], tab[4], len(tasks))
					}
				}
				c.sameAsOfTheAPI(t, address, list)
			}
		}
		if listed == 0 {
			t.Errorf("%s: no case is listed", tt.asked)
		}
	}
	text := get(rooms + "figures?measure=discrepancy-any&by=second-reader" + short)
	if _, groups, listed := strings.Cut(text, `id="groups"`); !listed || behindLink.MatchString(groups) || !strings.Contains(groups, "readers have pseudonyms") {
		t.Error("the cases of a reader are offered, or nothing is said of why they are not")
	}
	for _, role := range []access.Role{access.Auditor, access.Director, access.Coordinator} {
		if _, there := c.get(pageOf{string(role), strings.Replace(opened, "/quality/", "/"+string(role)+"/", 1), c.come("", role)}); there {
			t.Errorf("%s has the list", role)
		}
	}
	auditor, there := c.get(pageOf{"auditor's figures", "/at/mercy/auditor/figures?measure=discrepancy-any", c.come("", access.Auditor)})
	if !there || strings.Contains(string(auditor), "figures/cases") {
		t.Error("an auditor is led to cases")
	}
}

// sameAsOfTheAPI holds the list of the page to that of $evaluate-measure.
func (c *crowd) sameAsOfTheAPI(t *testing.T, address string, list func(string) ([]string, string)) {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	asked := at.Query()
	query := url.Values{"periodStart": asked["from"], "periodEnd": asked["to"], "filter": asked["only"], "asOf": asked["asOf"], "reportType": {"subject-list"}}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, c.root+"/fhir/Measure/"+asked.Get("measure")+"/$evaluate-measure?"+query.Encode(), nil)
	r.Header.Set("Authorization", "Bearer "+c.clients["mercy-quality"].token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var report struct {
		Contained []struct {
			ID    string
			Entry []struct{ Item struct{ Reference string } }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&report); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", r.URL, answer.StatusCode, err)
	}
	lists := map[string]string{"initial-population": "all", "denominator": "denominator", "measure-population": "denominator", "denominator-exclusion": "excluded", "measure-population-exclusion": "excluded", "numerator": "counted"}
	for _, one := range report.Contained {
		var want []string
		for _, e := range one.Entry {
			want = append(want, strings.TrimPrefix(e.Item.Reference, "Task/"))
		}
		slices.Sort(want)
		asked.Set("of", lists[one.ID])
		at.RawQuery = asked.Encode()
		if got, _ := list(at.String()); cmp.Diff(want, got) != "" {
			t.Errorf("%s: %s of the API differs: %s", at, one.ID, cmp.Diff(want, got))
		}
	}
	if len(report.Contained) == 0 {
		t.Error(fmt.Sprint("the API lists nothing: ", r.URL))
	}
}
