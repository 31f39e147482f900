package web

import (
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/measure/facts"
)

// figureCasesPage is the list of the cases behind a figure. Its address is that of the figure,
// with which of its cases (of) and the place in their list (after).
type figureCasesPage struct {
	screen.FigureCases
	At, Here string
	Asked    url.Values
	Within   []withinGroup
	First    string
	More     string
}

// membersWords are what the cases of a share, and of a time, are called by where they are counted.
var membersWords = map[bool]map[string]string{
	false: {"all": "All cases", "denominator": "In the denominator", "counted": "Counted", "others": "In it, not counted", "excluded": "Not in it"},
	true:  {"all": "All cases", "denominator": "Measured", "counted": "Ended", "others": "Still open", "excluded": "Not measured"},
}

func (s *Server) figureCases(c echo.Context, at seat) error {
	asked := c.QueryParams()
	of, after := asked.Get("of"), asked.Get("after")
	asked.Del("of")
	asked.Del("after")
	asked.Del("by") // the cases of a group are those of the filters that its figure is narrowed to
	asked.Del("by2")
	query, _ := figuresQuery(asked, periodsBefore(s.Now(), true))
	found, err := s.Desk.FigureCases(c.Request().Context(), at.place.Actor, query, of, after, s.caller(c))
	if err != nil {
		return err
	}
	page := figureCasesPage{FigureCases: found, At: s.at(at.place), Here: s.at(at.place) + "/figures", Asked: asked}
	asked.Set("asOf", found.AsOf.UTC().Format(time.RFC3339Nano)) // all lists and pages of one figure are of one moment
	for _, v := range query["filter"] {
		dimension, word, _ := strings.Cut(v, "|")
		if name := found.Sites[word]; name != "" {
			word = name
		}
		page.Within = append(page.Within, withinGroup{dimension, word, v})
	}
	if after != "" {
		page.First = page.Here + "/cases?" + string(page.Listed(found.Shown))
	}
	if found.Next != "" {
		more := maps.Clone(asked)
		more["of"], more["after"] = []string{found.Shown}, []string{found.Next}
		page.More = page.Here + "/cases?" + more.Encode()
	}
	for i := range page.Lines {
		page.Lines[i].At = page.Lines[i].At.In(found.Zone)
	}
	return s.show(c, at, "figurecases", "Figures", page)
}

// Listed is the address of the list of these cases, and Figure that of the figure.
func (p figureCasesPage) Listed(of string) template.URL {
	asked := maps.Clone(p.Asked)
	asked.Set("of", of)
	return template.URL(asked.Encode())
}

// Figure is the address of the figure that the cases are of.
func (p figureCasesPage) Figure() template.URL { return template.URL(p.Asked.Encode()) }

// Called is what cases are called by where they are counted.
func (p figureCasesPage) Called(of string) string { return membersWords[p.Timed][of] }

// behind adds to the address of figures which of their cases are listed, as of the moment of
// the figures: then there are as many as the figure says.
func (p *figuresPage) behind(address template.URL, of facts.Members) template.URL {
	asked, err := url.ParseQuery(string(address))
	if err != nil || !p.Choices.Exact || address == "" {
		return ""
	}
	asked.Set("of", string(of))
	asked.Set("asOf", p.AsOf.UTC().Format(time.RFC3339Nano))
	asked.Del("interval")
	return template.URL(asked.Encode())
}

// Behind is the address of the list of cases of the whole, by where they are counted.
func (p figuresPage) Behind(of string) template.URL {
	return p.behind(p.narrowedTo(nil), facts.Members(of))
}

// BehindRow is that of a row, which has one: it leads to what is counted, else to the denominator,
// and the list leads on to the others. Two would make a page of many groups too heavy.
func (p figuresPage) BehindRow(row int, of string) template.URL {
	if counts := p.Rows[row].Numerator; (counts != nil && *counts > 0 && len(p.Whole) == 1) != (of == string(facts.MembersCounted)) {
		return ""
	}
	return p.behind(p.Link(row), facts.Members(of))
}

// HasReaders tells whether groups are readers: they have pseudonyms, and their cases are not listed.
func (p figuresPage) HasReaders() bool { return slices.ContainsFunc(p.By, facts.IsReader) }

// casesBehind is a number of cases with the address of their list, if they may be listed.
type casesBehind struct {
	Address template.URL
	Cases   any
}
