package web

import (
	"errors"
	"fmt"
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
	MeasureID string
	Here      string
	Address   string // what was asked, as it stands in the address
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
		last := quarter.AddDate(0, 3, -1)
		all = append(all, period{fmt.Sprintf("%d Q%d", quarter.Year(), (int(quarter.Month())+2)/3), quarter.Format(time.DateOnly), last.Format(time.DateOnly)})
		quarter = quarter.AddDate(0, -3, 0)
	}
	year := now.Year()
	if !running {
		year--
	}
	for range 4 {
		all = append(all, period{strconv.Itoa(year), fmt.Sprintf("%d-01-01", year), fmt.Sprintf("%d-12-31", year)})
		year--
	}
	return all
}

func (s *Server) figures(c echo.Context, at seat) error {
	exact := at.place.Role == access.Quality
	page := figuresPage{Asked: c.QueryParams(), Periods: periodsBefore(s.Now(), exact), Formats: flat.Formats(), ByNames: []string{"by", "by2"}, Compared: []string{"first", "second"}, Here: s.at(at.place) + "/figures"}
	page.Address = c.QueryString()
	query, chosen := figuresQuery(page.Asked, page.Periods)
	page.Period = chosen
	for _, name := range []string{"first", "second"} { // of the comparison that the page shows, too
		if v := page.Asked.Get(name); v != "" {
			query.Set(name, v)
		}
	}
	found, err := s.Desk.Figures(c.Request().Context(), at.place.Actor, query, s.caller(c))
	if err != nil {
		known, ok := errors.AsType[*fault.Error](err)
		if !ok || known.Kind() == fault.Unavailable {
			return err
		}
		page.Refused = known.Issues[0].Text
	}
	page.Figures = found
	if page.AsOf.IsZero() {
		page.AsOf = s.Now()
	}
	page.Asked.Set("measure", query.Get("measure"))
	page.MeasureID = strings.TrimPrefix(query.Get("measure"), "Measure/")
	page.charts()
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
	if i := slices.IndexFunc(periods, func(p period) bool { return p.Name == asked.Get("period") }); i >= 0 {
		p = periods[i]
	}
	query.Set("periodStart", p.From)
	query.Set("periodEnd", p.To)
	if from, to := asked.Get("from"), asked.Get("to"); from != "" && to != "" {
		query.Set("periodStart", from)
		query.Set("periodEnd", to)
		p.Name = ""
	}
	for _, name := range []string{"interval", "asOf"} {
		if v := asked.Get(name); v != "" {
			query.Set(name, v)
		}
	}
	if word := asked.Get("word"); word != "" {
		query.Set("filter", asked.Get("dimension")+"|"+word)
	}
	for _, by := range []string{asked.Get("by"), asked.Get("by2")} {
		if by != "" && !slices.Contains(query["stratifier"], by) {
			query.Add("stratifier", by)
		}
	}
	return query, p.Name
}

// figureTexts are the texts of measures, dimensions and exclusions.
func figureTexts() (all []string) {
	for _, d := range workflow.FactDimensions {
		all = append(all, dimensionName(d.Name))
	}
	for _, m := range facts.Definitions {
		all = append(all, m.Title, m.Does, m.Of)
		for _, code := range m.Exclusions() {
			all = append(all, strings.ReplaceAll(code, "-", " "))
		}
	}
	return append(append(all, facts.Month, "within hours", "cases", "months", "hours"), statisticTexts()...)
}
