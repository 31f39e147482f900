package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/internal/screen"
)

// Of many readers the page lists those with the most cases, and names besides who lies
// outside of the limits: in the picture, and in the table of the funnel.
func TestOfManyReadersWhoLiesOutsideIsNamedThoughOthersHaveMoreCases(t *testing.T) {
	t.Parallel()
	var rows []screen.FigureRow
	standing := map[string][2]string{}
	for i := range 400 {
		name := fmt.Sprintf("reader-%03d", i)
		r := row(name, 20, 200+i%100)
		r.Initial = r.Counted
		standing[name] = [2]string{"inside", "inside"}
		if i == 100 { // of the fewest cases
			standing[name] = [2]string{"high-alarm", "high-alarm"}
			r = row(name, 90, 200)
			r.Initial = r.Counted
		}
		rows = append(rows, r)
	}
	p := funnelOf(0.1, 0, standing, rows...)
	p.By, p.Asked = []string{"second-reader"}, url.Values{}
	p.list("2")
	if len(p.Rows) != mostGroups || p.Part != (groupPage{Groups: 400, From: 1, To: mostGroups, Largest: true, Alone: true}) || *p.Rows[0].Initial != 299 {
		t.Errorf("%d rows, %+v", len(p.Rows), p.Part)
	}
	if c := p.Funnel; len(c.Points) != 1 || c.Points[0].Name != "reader-100" || c.Flagged != 1 || len(c.Dots) != 1 || strings.Count(c.Dots[0].Path, "M") != 100 {
		t.Errorf("%d are named, %d drawn as %.200v", len(c.Points), len(c.Dots), c.Dots)
	}
	table := p.Statistics[0].Rows
	if len(table) != mostGroups+1 || standingIn(p.Statistics[0], "reader-100", "standing") != "high-alarm" {
		t.Errorf("the table of the funnel has %d rows", len(table))
	}
}

// Months and sites are on pages, in their order, each of which is of the same moment.
func TestManyGroupsAreOnPages(t *testing.T) {
	t.Parallel()
	var rows []screen.FigureRow
	for i := range 2*mostGroups + 3 {
		rows = append(rows, row(fmt.Sprintf("site %02d", i), 2, 20))
	}
	for asked, want := range map[string]struct {
		part  groupPage
		first string
	}{
		"":  {groupPage{63, 1, 30, false, false, "", "?by=site&measure=m&page=2#groups"}, "site 00"},
		"x": {groupPage{63, 1, 30, false, false, "", "?by=site&measure=m&page=2#groups"}, "site 00"},
		"2": {groupPage{63, 31, 60, false, false, "?by=site&measure=m#groups", "?by=site&measure=m&page=3#groups"}, "site 30"},
		"9": {groupPage{63, 61, 63, false, false, "?by=site&measure=m#groups", ""}, "site 60"},
	} {
		p := figuresBy("site", row("", 2, 20), rows...)
		p.Asked, p.MeasureID = url.Values{"by": {"site"}}, "m"
		p.list(asked)
		if p.Part != want.part || p.Rows[0].Values[0] != want.first {
			t.Errorf("page %q: %+v from %s", asked, p.Part, p.Rows[0].Values)
		}
	}
	p := figuresBy("site", row("", 2, 20), rows[:mostGroups]...)
	p.Asked = url.Values{}
	if p.list(""); len(p.Rows) != mostGroups || p.Part.To != 0 {
		t.Errorf("%d groups are on pages: %+v", mostGroups, p.Part)
	}
}

// Of a time a group has a row for each percentile, and they stand together: a page has whole groups.
func TestThePercentilesOfAGroupStandTogether(t *testing.T) {
	t.Parallel()
	var p figuresPage
	p.By, p.Asked, p.Whole = []string{"site"}, url.Values{}, make([]screen.FigureRow, 3)
	for _, percentile := range []string{"50", "75", "90"} {
		for i := range mostGroups {
			one := row(fmt.Sprintf("site %02d", i), 2, 20)
			one.Percentile = percentile
			p.Rows = append(p.Rows, one)
		}
	}
	p.list("2")
	if p.Part.From != mostGroups/2+1 || p.Part.To != mostGroups || len(p.Rows) != 3*mostGroups/2 {
		t.Fatalf("%+v, %d rows", p.Part, len(p.Rows))
	}
	for i, r := range p.Rows {
		if want := fmt.Sprintf("site %02d", mostGroups/2+i/3); r.Values[0] != want || r.Percentile != []string{"50", "75", "90"}[i%3] {
			t.Errorf("row %d: %v %s", i, r.Values, r.Percentile)
		}
	}
}
