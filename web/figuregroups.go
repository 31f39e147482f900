package web

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/overread/overread/internal/screen"
)

// mostGroups is how many groups one page of figures lists, in its table and in that of a
// statistic. Where there are more statistics, or several rows of a group, it is half of them:
// so the page stays as light as the others.
const mostGroups = 30

// groupPage is which groups a page of figures lists, of how many.
type groupPage struct {
	Groups, From, To int
	Largest          bool   // those with the most cases are first
	Alone            bool   // and there are no further pages
	First, More      string // addresses of the first and of the next page
}

// list leaves the groups of one page. What is made of all groups has to be made before: the
// pictures, and statistics, of which the same groups are left.
//
// Many readers stand in the order of how many cases they have. The role quality has the same
// pseudonyms on all pages, which are of one moment. Auditors have others in each answer: a second
// page would tell of readers who could not be found on the first. So theirs lists those with the
// most cases alone, and the file has all.
func (p *figuresPage) list(asked string) {
	each := max(1, len(p.Whole)) // of a time a group has a row for each percentile
	groups := mostGroups
	if each > 1 || len(p.Statistics) > 1 {
		groups = mostGroups / 2
	}
	if each > 1 { // a report has all groups of one percentile before those of the next
		place := map[string]int{}
		for _, r := range p.Rows {
			if key := strings.Join(r.Values, "\x00"); place[key] == 0 {
				place[key] = len(place) + 1
			}
		}
		slices.SortStableFunc(p.Rows, func(a, b screen.FigureRow) int {
			return place[strings.Join(a.Values, "\x00")] - place[strings.Join(b.Values, "\x00")]
		})
	}
	per := groups * each
	p.Part.Groups = (len(p.Rows) + each - 1) / each
	if len(p.Rows) <= per {
		return
	}
	page := 1
	if p.Part.Largest = p.HasReaders(); p.Part.Largest {
		slices.SortStableFunc(p.Rows, func(a, b screen.FigureRow) int { return casesOf(b) - casesOf(a) })
	}
	p.Part.Alone = p.Part.Largest && !p.Choices.Exact
	if n, err := strconv.Atoi(asked); err == nil && !p.Part.Alone {
		page = min(max(n, 1), (len(p.Rows)+per-1)/per)
	}
	from, to := (page-1)*per, min(page*per, len(p.Rows))
	p.Part.From, p.Part.To = from/each+1, to/each
	if page > 1 {
		p.Part.First = p.at(1)
	}
	if !p.Part.Alone && to < len(p.Rows) {
		p.Part.More = p.at(page + 1)
	}
	p.Rows = p.Rows[from:to]
	p.rest(groups)
}

// casesOf is how many cases a group has, as far as that is told.
func casesOf(r screen.FigureRow) int {
	for _, n := range []*int{r.Initial, r.Counted} {
		if n != nil {
			return *n
		}
	}
	return 0
}

// at is the address of another page of the same figures.
func (p *figuresPage) at(page int) string {
	asked := maps.Clone(p.Asked)
	asked.Set("measure", p.MeasureID)
	if asked.Del("page"); page > 1 {
		asked.Set("page", strconv.Itoa(page))
	}
	if !p.AsOf.IsZero() && p.Choices.Exact { // all pages are of one moment
		asked.Set("asOf", p.AsOf.UTC().Format(time.RFC3339Nano))
	}
	return "?" + asked.Encode() + "#groups"
}

// rest leaves of statistics, and of the groups to choose for a comparison, those that the page
// lists. The rows of a comparison say what the table of the groups does, which is enough then.
func (p *figuresPage) rest(groups int) {
	shown := map[string]bool{p.Asked.Get("first"): true, p.Asked.Get("second"): true}
	for _, r := range p.Rows {
		shown[strings.Join(r.Values, ", ")] = true
	}
	for i, s := range p.Statistics {
		apart := 0 // of many readers those who lie outside are told too, as far as there is room
		rows := slices.DeleteFunc(slices.Clone(s.Rows), func(row []screen.StatisticFigure) bool {
			if shown[figureNamed(row, "value").Text] {
				return false
			}
			outside := p.Part.Largest && (beyond(figureNamed(row, "standing").Text) || beyond(figureNamed(row, "wideStanding").Text))
			if outside {
				apart++
			}
			return !outside || apart > groups/2
		})
		switch {
		case s.Name == "compare-strata":
			rows = nil
		case len(rows) == 0 && len(s.Rows) > groups: // its readers have pseudonyms of their own
			rows = s.Rows[:groups]
		}
		p.Statistics[i].Rows = rows
	}
	p.Groups = slices.DeleteFunc(slices.Clone(p.Groups), func(name string) bool { return !shown[name] })
}
