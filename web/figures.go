package web

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// figureRooms are those of who asks for discrepancy rates: auditors and the role quality.
func (s *Server) figureRooms() []room {
	roles := []access.Role{access.Quality, access.Auditor}
	return []room{
		{http.MethodGet, "/figures", "Figures", roles, s.figures},
		{http.MethodGet, "/figures/cases", "", []access.Role{access.Quality}, s.figureCases},
		{http.MethodGet, "/figures/:file", "", roles, s.figuresFile},
	}
}

// figuresPage is what the page of figures shows. All that was asked for stands in its
// address, so that it can be kept and shared.
type figuresPage struct {
	screen.Figures
	Asked     url.Values
	Periods   []period
	Period    string
	Refused   string // why there are no figures
	Funnel    *chart
	Control   *chart
	Curve     *chart
	Formats   []string
	ByNames   []string // fields of the form for what cases are told apart by
	Compared  []string // fields of the form for what is compared
	Only      []onlyChoices
	Chosen    string         // of them, as dimension|word
	Within    []withinGroup  // what the figures are narrowed to besides it
	Links     []template.URL // for each of the rows: the figures narrowed to it
	Moment    string         // as of which is asked, as a field of a form has it
	Latest    string         // that may be asked
	MeasureID string
	Part      groupPage
	Here      string
	Address   template.URL // what is shown, as the address of a file asks for it
}

// period is a quarter or year to choose.
type period struct{ Name, From, To string }

// periodsBefore are the quarters and years that have ended, the last first, and the
// ones that run where they may be asked for.
func periodsBefore(now time.Time, running bool) (all []period) {
	quarter := time.Date(now.Year(), (now.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC)
	if !running {
		quarter = quarter.AddDate(0, -3, 0)
	}
	for range 8 {
		all = append(all, quarterFrom(quarter))
		quarter = quarter.AddDate(0, -3, 0)
	}
	year := now.Year()
	if !running {
		year--
	}
	for range 4 {
		all = append(all, periodOfYear(year))
		year--
	}
	return all
}

func quarterFrom(first time.Time) period {
	return period{fmt.Sprintf("%d Q%d", first.Year(), (int(first.Month())+2)/3), first.Format(time.DateOnly), first.AddDate(0, 3, -1).Format(time.DateOnly)}
}

func periodOfYear(year int) period {
	return period{strconv.Itoa(year), fmt.Sprintf("%d-01-01", year), fmt.Sprintf("%d-12-31", year)}
}

// periodNamed is the period that an address names, however long ago it was: an address that was
// kept has the same figures when its period is no more among those that are offered. What names
// none is asked for as it is, and refused.
func periodNamed(name string) period {
	year, quarter, quarterly := strings.Cut(name, " Q")
	first, err := time.Parse("2006", year)
	n := 1
	if quarterly && err == nil {
		n, err = strconv.Atoi(quarter)
	}
	switch {
	case err != nil || n < 1 || n > 4:
		return period{name, name, name}
	case quarterly:
		return quarterFrom(first.AddDate(0, 3*(n-1), 0))
	}
	return periodOfYear(first.Year())
}

// withPeriod are the periods to choose, and the one that is shown.
func withPeriod(periods []period, chosen string) []period {
	p := periodNamed(chosen)
	if p.From == chosen || slices.Contains(periods, p) {
		return periods
	}
	return append(periods, p)
}

// earlierWill tells that the figures of an earlier quarter are shown, since those of the last one are
// not yet published: where the address asks for none, nor for days, words of dimensions or a moment.
// What answers another question is shown for none of these.
func earlierWill(asked url.Values, err error) bool {
	known, ok := errors.AsType[*fault.Error](err)
	return ok && known.Kind() == fault.NotFound && !slices.ContainsFunc([]string{"period", "from", "to", "only", "word", "asOf"}, func(name string) bool {
		return slices.ContainsFunc(asked[name], func(v string) bool { return v != "" })
	})
}

func (s *Server) figures(c echo.Context, at seat) error {
	exact := at.place.Role == access.Quality
	page := figuresPage{Asked: c.QueryParams(), Periods: periodsBefore(s.Now(), exact), Formats: flat.Formats(), ByNames: []string{"by", "by2"}, Compared: []string{"first", "second"}, Here: s.at(at.place) + "/figures"}
	query, chosen := figuresQuery(page.Asked, page.Periods)
	page.Period, page.Periods = chosen, withPeriod(page.Periods, chosen)
	for _, name := range []string{"first", "second"} { // of the comparison that the page shows, too
		if v := page.Asked.Get(name); v != "" {
			query.Set(name, v)
		}
	}
	found, err := s.Desk.Figures(c.Request().Context(), at.place.Actor, query, s.caller(c))
	if !exact && earlierWill(page.Asked, err) { // the last quarter is published some weeks after its end
		before, _ := figuresQuery(url.Values{"measure": {strings.TrimPrefix(query.Get("measure"), "Measure/")}, "period": {page.Periods[1].Name}, "by": page.Asked["by"], "by2": page.Asked["by2"], "interval": page.Asked["interval"]}, page.Periods)
		if earlier, none := s.Desk.Figures(c.Request().Context(), at.place.Actor, before, s.caller(c)); none == nil {
			found, err, page.Period = earlier, nil, page.Periods[1].Name
		}
	}
	if err != nil {
		known, ok := errors.AsType[*fault.Error](err)
		if !ok || known.Kind() == fault.Unavailable {
			return err
		}
		page.Refused = known.Issues[0].Text
	}
	page.Figures = found
	part := c.QueryParam("page")
	page.Asked.Del("page")
	if page.AsOf.IsZero() {
		page.AsOf = s.Now()
	}
	page.MeasureID = strings.TrimPrefix(query.Get("measure"), "Measure/")
	page.Address = page.shownAs(nil)
	page.Asked.Set("measure", query.Get("measure"))
	page.Moment, page.Latest = asFormField(query.Get("asOf")), s.Now().UTC().Format(formMoment)
	page.charts(languageOf(c.Request()))
	page.list(part)
	page.drillDown()
	page.only(query["filter"])
	return s.show(c, at, "figures", "Figures", page)
}

// figuresFile is what the page shows, as a file; its address is the page's with the
// format at its end.
func (s *Server) figuresFile(c echo.Context, at seat) error {
	query, _ := figuresQuery(c.QueryParams(), periodsBefore(s.Now(), at.place.Role == access.Quality))
	f, err := s.Desk.FiguresFile(c.Request().Context(), at.place.Actor, query, c.Param("file"), s.caller(c))
	if err != nil {
		return err
	}
	return sendFile(c, f)
}

// figuresQuery is what is asked of the API: what the address leaves out is as a
// beginner wants it.
func figuresQuery(asked url.Values, periods []period) (query url.Values, chosen string) {
	query = url.Values{"measure": {"discrepancy-important"}}
	if m := asked.Get("measure"); m != "" {
		query.Set("measure", m)
	}
	query.Set("measure", "Measure/"+query.Get("measure"))
	p := periods[0]
	if name := asked.Get("period"); name != "" {
		p = periodNamed(name)
	}
	query.Set("periodStart", p.From)
	query.Set("periodEnd", p.To)
	if from, to := asked.Get("from"), asked.Get("to"); from != "" && to != "" {
		query.Set("periodStart", from)
		query.Set("periodEnd", to)
		p.Name = ""
	}
	if v := asked.Get("interval"); v != "" {
		query.Set("interval", v)
	}
	if v := asked.Get("asOf"); v != "" {
		query.Set("asOf", fromFormField(v))
	}
	for _, v := range asked["only"] {
		if v != "" {
			query.Add("filter", v)
		}
	}
	if word := asked.Get("word"); word != "" && !query.Has("filter") { // an address that was kept
		query.Set("filter", asked.Get("dimension")+"|"+word)
	}
	for _, by := range []string{asked.Get("by"), asked.Get("by2")} {
		if by != "" && !slices.Contains(query["stratifier"], by) {
			query.Add("stratifier", by)
		}
	}
	return query, p.Name
}

// Called is a word of a dimension as people call it: a site by its name.
func (p figuresPage) Called(word string) string { return cmp.Or(p.Sites[word], word) }

// formMoment is how a field for a moment has it (HTML datetime-local), here of UTC.
const formMoment = "2006-01-02T15:04"

func asFormField(moment string) string {
	at, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		return ""
	}
	return at.UTC().Format(formMoment)
}

// fromFormField is the moment for the API. What is none of a field is asked as it is.
func fromFormField(field string) string {
	for _, layout := range []string{formMoment, formMoment + ":05"} {
		if at, err := time.Parse(layout, field); err == nil {
			return at.Format(time.RFC3339)
		}
	}
	return field
}

// onlyChoices are the words of a dimension that figures can be narrowed to.
type onlyChoices struct {
	Dimension string
	Choices   []screen.Choice // their values are dimension|word
}

// only are the words to choose: those that are known, and what the page shows or asks for; of
// a dimension of very many words the latter alone.
func (p *figuresPage) only(chosen []string) {
	if len(chosen) > 0 { // the last is the one to choose, those before it stay
		p.Chosen = chosen[len(chosen)-1]
		for _, v := range chosen[:len(chosen)-1] {
			dimension, word, _ := strings.Cut(v, "|")
			p.Within = append(p.Within, withinGroup{dimension, word, v})
		}
	}
	for _, name := range p.Choices.Dimensions {
		if name == facts.Month { // a month is a period, and no filter
			continue
		}
		words := slices.Clone(p.Choices.Words[name])
		if len(words) > mostGroups {
			words = nil
		}
		if i := slices.Index(p.By, name); i >= 0 && !facts.IsReader(name) {
			for _, r := range p.Rows {
				words = append(words, r.Values[i])
			}
		}
		if dimension, word, _ := strings.Cut(p.Chosen, "|"); dimension == name {
			words = append(words, word)
		}
		for i, word := range words {
			words[i] = cmp.Or(word, workflow.NotSaid)
		}
		slices.Sort(words)
		group := onlyChoices{Dimension: name}
		for _, word := range slices.Compact(words) {
			group.Choices = append(group.Choices, screen.Choice{Value: name + "|" + strings.TrimSuffix(word, workflow.NotSaid), Words: p.Called(word)})
		}
		if group.Choices != nil {
			p.Only = append(p.Only, group)
		}
	}
}

// figureTexts are the texts of measures, dimensions and exclusions.
func figureTexts() (all []string) {
	for _, d := range workflow.FactDimensions {
		all = append(all, dimensionName(d.Name))
	}
	for _, m := range facts.Definitions {
		all = append(all, m.Title, m.Does, m.Of, m.Counts)
		for _, code := range m.Exclusions() {
			all = append(all, strings.ReplaceAll(code, "-", " "))
		}
	}
	for _, words := range membersWords {
		all = append(all, slices.Collect(maps.Values(words))...)
	}
	return append(append(append(all, strataTexts()...), facts.Month, "within hours", "cases", "months", "hours"), statisticTexts()...)
}
