package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// The texts of the pages are in catalogues (catalogue/LANGUAGE/*.json): what pages
// share in common.json, the others by the pages that say them. The key of a text is
// its English words, with the verbs of fmt for what is put in; so a template reads as
// its page does. A text that depends on a number,
// which is then its first argument, has a form for each plural category of CLDR.
//
// A test holds that each catalogue has every text of the templates and the code,
// and nothing else (catalogue_test.go).

//go:embed catalogue/*/*.json
var catalogues embed.FS

// catalogue is a language of the pages.
type catalogue struct {
	Code    string `json:"-"` // BCP 47, as in the name of the folder and in <html lang>
	Name    string `json:"name"`
	Day     string `json:"day"`   // layouts of package time
	Clock   string `json:"clock"` // hours and minutes
	Month   string `json:"month"`
	Moment  string `json:"moment"` // day and clock
	Texts   map[string]text
	forms   []phraseForm // of phrases.json
	tag     language.Tag
	printer *message.Printer
}

// text is one in a language: the same for every number, or by plural category.
type text map[string]string

func (t *text) UnmarshalJSON(raw []byte) error {
	var one string
	if err := json.Unmarshal(raw, &one); err == nil {
		*t = text{"other": one}
		return nil
	}
	return json.Unmarshal(raw, (*map[string]string)(t))
}

// languages are the catalogues by code, offered the same as a list to choose from.
var (
	languages = readCatalogues()
	offered   = slices.SortedFunc(maps.Values(languages), func(a, b *catalogue) int { return strings.Compare(a.Code, b.Code) })
)

// matcher finds the one of matched that fits what is asked for. English is the first.
var (
	matched = append([]*catalogue{languages[english]}, slices.DeleteFunc(slices.Clone(offered), func(c *catalogue) bool { return c.Code == english })...)
	matcher = newMatcher(matched)
)

const english = "en"

func readCatalogues() map[string]*catalogue {
	all := map[string]*catalogue{}
	names, _ := fs.Glob(catalogues, "catalogue/*/*.json") // embedded
	for _, name := range names {
		code := path.Base(path.Dir(name))
		if all[code] == nil {
			tag := language.MustParse(code)
			all[code] = &catalogue{Code: code, Texts: map[string]text{}, tag: tag, printer: message.NewPrinter(tag)}
		}
		raw, err := catalogues.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(raw, all[code]) // adds to the texts
		}
		if err != nil {
			panic(fmt.Sprintf("web: %s: %v", name, err)) // it is embedded
		}
		if path.Base(name) == phrasesFile {
			var phrases catalogue
			_ = json.Unmarshal(raw, &phrases) // it was read just now
			all[code].forms = formsOf(slices.Collect(maps.Keys(phrases.Texts)))
		}
	}
	return all
}

func newMatcher(all []*catalogue) language.Matcher {
	tags := make([]language.Tag, len(all))
	for i, c := range all {
		tags[i] = c.tag
	}
	return language.NewMatcher(tags)
}

// say is a text in the language. One that no catalogue has (a refusal of the case's
// rules, a name) is said as it is.
func (c *catalogue) say(key string, args ...any) string {
	forms, ok := c.Texts[key]
	if !ok && len(args) == 0 {
		return key
	}
	words, ok := forms[c.category(args)]
	if !ok {
		if words, ok = forms["other"]; !ok {
			words = key
		}
	}
	if len(args) == 0 {
		return words
	}
	return c.printer.Sprintf(words, args...)
}

var categories = map[plural.Form]string{plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other"}

func (c *catalogue) category(args []any) string {
	if len(args) > 0 {
		if n, ok := args[0].(int); ok && n >= 0 {
			return categories[plural.Cardinal.MatchPlural(c.tag, n, 0, 0, 0, 0)]
		}
	}
	return "other"
}

// functions are what templates call. A moment is shown in the location that it
// has: handlers give it that of the hospital.
func (c *catalogue) functions() template.FuncMap {
	here := func(t time.Time) time.Time {
		if t.Location() == time.Local {
			return t.UTC()
		}
		return t
	}
	return template.FuncMap{
		"t":         c.say,
		"written":   c.written,
		"number":    func(n any) string { return c.number(n) },
		"decimal":   c.decimal,
		"bytes":     c.bytes,
		"fixed":     func(x float64) string { return c.decimal(&x) },
		"figure":    func(x *float64) string { return c.printer.Sprintf("%.4g", *x) },
		"statWord":  func(name string) string { return c.say(wordOf(statisticWords, name)) },
		"standing":  func(name string) string { return c.say(wordOf(standingWords, name)) },
		"statNote":  func(name string) string { return c.say(wordOf(statisticNotes, name)) },
		"dimension": func(name string) string { return c.say(dimensionName(name)) },
		"stratum":   c.stratum,
		"exclusion": func(code string) string { return c.say(strings.ReplaceAll(code, "-", " ")) },
		"day":       func(t time.Time) string { return here(t).Format(c.Day) },
		"clock":     func(t time.Time) string { return here(t).Format(c.Clock) },
		"moment":    func(t time.Time) string { return here(t).Format(c.Moment) },
		"iso":       func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"role":      func(r any) string { return c.say(roleName(r)) },
		"state":     func(s any) string { return c.say(stateName(s)) },
		"owed":      func(o workflow.Owed) string { return c.say(owedWords[o]) },
		"instead":   func(why workflow.WhyStandIn) string { return c.say(standInWords[why]) },
		"words":     c.words,
		"said":      c.said,
		"add":       func(a, b int) int { return a + b },
		"span":      c.span,
		"date":      c.date,
		"encoded":   encoded,
		"cases":     func(address template.URL, n any) casesBehind { return casesBehind{address, n} },
		"agreed":    func(agrees *bool) bool { return *agrees },
		"less":      func(n, by int) int { return n - by },
	}
}

// decimal is a figure. The upper limit of a percentile may be none: so many cases are open that
// nobody knows.
func (c *catalogue) decimal(x *float64) string {
	if x == nil {
		return c.say("not reached")
	}
	return c.printer.Sprintf("%.2f", *x)
}

// bytes is a size in the units of storage, which are powers of ten (IEC 80000-13).
func (c *catalogue) bytes(n int64) string {
	const units = "kMGTP"
	if n < 1000 {
		return c.number(n) + " B"
	}
	size, unit := float64(n)/1000, 0
	for size >= 999.95 && unit < len(units)-1 { // it is rounded to tenths
		size, unit = size/1000, unit+1
	}
	return c.printer.Sprintf("%.1f", size) + " " + units[unit:unit+1] + "B"
}

// number is a count with the separators of the language.
func (c *catalogue) number(n any) string {
	if p, ok := n.(*int); ok {
		n = *p
	}
	return c.printer.Sprint(n)
}

// date is a day that was written as 2026-11-25, or a month as 2026-11, in the language;
// anything else as it is.
func (c *catalogue) date(day string) string { return c.written(day, time.UTC) }

// written is a date, dateTime or instant of FHIR (R4 datatypes.html#dateTime) in the
// language, as precise as it is and a moment in the zone; anything else as it is.
func (c *catalogue) written(text string, zone *time.Location) string {
	for _, form := range []struct{ in, out string }{{time.DateOnly, c.Day}, {"2006-01", c.Month}, {time.RFC3339, c.Moment}} {
		at, err := time.Parse(form.in, text)
		if err != nil {
			continue
		}
		if form.in == time.RFC3339 {
			at = at.In(zone)
		}
		return at.Format(form.out)
	}
	return text
}

// dimensionName is what cases are told apart by, in words.
func dimensionName(name string) string { return strings.ReplaceAll(name, "-", " ") }

// These cookies keep what a person chose, in their browser.
const (
	languageCookie = "overread-language"
	themeCookie    = "overread-theme"
	keysCookie     = "overread-keys"
)

// languageOf is what a browser's person chose, else what it asks for, else English.
func languageOf(r *http.Request) *catalogue {
	if chosen, err := r.Cookie(languageCookie); err == nil {
		if c, ok := languages[chosen.Value]; ok {
			return c
		}
	}
	if found := languageNamed(r.Header.Get("Accept-Language")); found != nil {
		return found
	}
	return languages[english]
}

// languageNamed is the catalogue that fits what a browser or an EHR asks for, written
// as in Accept-Language; nil where none does.
func languageNamed(asked string) *catalogue {
	wanted, _, _ := language.ParseAcceptLanguage(asked) // none is understood: none fits
	if len(wanted) == 0 {
		return nil
	}
	_, best, sure := matcher.Match(wanted...)
	if sure == language.No {
		return nil
	}
	return matched[best]
}

// textsOfTables are the texts that pages say and that stand in tables, here or in
// the engine: states, priorities, reasons, names of roles and rooms.
func textsOfTables() (all []string) {
	for _, state := range workflow.States {
		all = append(all, state.Display)
	}
	all = append(all, workflow.Priorities...)
	for _, role := range []access.Role{access.Placer, access.Reader, access.Adjudicator, access.Supervisor, access.Coordinator, access.Auditor, access.Director, access.Quality, access.Admin} {
		all = append(all, roleName(role))
	}
	for _, r := range (&Server{}).allRooms() {
		all = append(all, r.name)
	}
	all = append(all, stillIn)
	all = append(all, titled()...)
	all = append(all, textsOfBoard()...)
	all = append(all, textsOfQuality()...)
	all = append(all, textsOfAdmin()...)
	all = append(all, figureTexts()...)
	all = append(all, trailTexts()...)
	for _, words := range []map[string]string{notes, codeTexts} {
		all = append(all, slices.Collect(maps.Values(words))...)
	}
	all = slices.AppendSeq(all, maps.Values(owedWords))
	all = slices.AppendSeq(all, maps.Values(standInWords))
	all = slices.AppendSeq(all, maps.Values(titles))
	all = append(all, textsOfLaunched()...)
	return append(all, slices.Collect(maps.Values(elsewhere))...)
}

// encoded is a query that was kept, as part of an address: a template would take the whole
// of it for one value.
func encoded(query string) template.URL {
	asked, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return template.URL(asked.Encode())
}
