package fhir

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// moments is a set of moments, by their places on a line of moments: all that
// any of the dates below begins or ends with, and one between each two of these.
// The oracle knows nothing but sets.
type moments map[int]bool

// meant is a date with the first moment that it means, and the first that it
// does not mean any more, worked out by hand; "" has no end.
type meant struct{ text, from, until string }

// FHIR R4 search.html#prefix, word by word: what each prefix says of the range of
// the search value, the ranges below and above it, and the range of the target.
var prefixWords = map[string]func(search, below, above, target moments) bool{
	"eq": func(search, _, _, target moments) bool { return search.contains(target) },
	"ne": func(search, _, _, target moments) bool { return !search.contains(target) },
	"gt": func(_, _, above, target moments) bool { return above.overlaps(target) },
	"lt": func(_, below, _, target moments) bool { return below.overlaps(target) },
	"ge": func(search, _, above, target moments) bool { return above.overlaps(target) || search.contains(target) },
	"le": func(search, below, _, target moments) bool { return below.overlaps(target) || search.contains(target) },
	"sa": func(search, _, above, target moments) bool {
		return !search.overlaps(target) && above.contains(target)
	},
	"eb": func(search, below, _, target moments) bool {
		return !search.overlaps(target) && below.contains(target)
	},
}

func (m moments) contains(other moments) bool {
	for i := range other {
		if !m[i] {
			return false
		}
	}
	return true
}

func (m moments) overlaps(other moments) bool {
	for i := range other {
		if m[i] {
			return true
		}
	}
	return false
}

// asked are the dates of the questions: year, month, day, second with zone, and
// with fractions.
var askedDates = []meant{
	{"2012", "2012-01-01T00:00:00Z", "2013-01-01T00:00:00Z"},
	{"2013", "2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z"},
	{"2013-02", "2013-02-01T00:00:00Z", "2013-03-01T00:00:00Z"},
	{"2013-03", "2013-03-01T00:00:00Z", "2013-04-01T00:00:00Z"},
	{"2013-03-13", "2013-03-13T00:00:00Z", "2013-03-14T00:00:00Z"},
	{"2013-03-14", "2013-03-14T00:00:00Z", "2013-03-15T00:00:00Z"},
	{"2013-03-15", "2013-03-15T00:00:00Z", "2013-03-16T00:00:00Z"},
	{"2013-03-14T10:00Z", "2013-03-14T10:00:00Z", "2013-03-14T10:01:00Z"},
	{"2013-03-14T12:00:00+02:00", "2013-03-14T10:00:00Z", "2013-03-14T10:00:01Z"},
	{"2013-03-14T10:00:00.000Z", "2013-03-14T10:00:00Z", "2013-03-14T10:00:00.001Z"},
	{"2013-03-14T10:00:00.001Z", "2013-03-14T10:00:00.001Z", "2013-03-14T10:00:00.002Z"},
	{"2013-03-14T23:59:59-05:00", "2013-03-15T04:59:59Z", "2013-03-15T05:00:00Z"},
	{"2014", "2014-01-01T00:00:00Z", "2015-01-01T00:00:00Z"},
}

// birthDates are values of type date.
var birthDates = []meant{
	{`"2013"`, "2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z"},
	{`"2013-03"`, "2013-03-01T00:00:00Z", "2013-04-01T00:00:00Z"},
	{`"2013-03-14"`, "2013-03-14T00:00:00Z", "2013-03-15T00:00:00Z"},
}

// effectives are values of Observation.effective[x]: dateTime, instant, Period
// closed and open at either end, Timing.
var effectives = []meant{
	{`DateTime":"2013"`, "2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z"},
	{`DateTime":"2013-03"`, "2013-03-01T00:00:00Z", "2013-04-01T00:00:00Z"},
	{`DateTime":"2013-03-14"`, "2013-03-14T00:00:00Z", "2013-03-15T00:00:00Z"},
	{`DateTime":"2013-03-14T10:00:00Z"`, "2013-03-14T10:00:00Z", "2013-03-14T10:00:01Z"},
	{`DateTime":"2013-03-14T11:00:00.001+01:00"`, "2013-03-14T10:00:00.001Z", "2013-03-14T10:00:00.002Z"},
	{`Instant":"2013-03-14T10:00:00Z"`, "2013-03-14T10:00:00Z", "2013-03-14T10:00:00.000001Z"},
	{`Instant":"2013-03-14T10:00:00.001Z"`, "2013-03-14T10:00:00.001Z", "2013-03-14T10:00:00.001001Z"},
	{`Period":{"start":"2013-03-14T08:00:00Z","end":"2013-03-15T08:00:00Z"}`, "2013-03-14T08:00:00Z", "2013-03-15T08:00:01Z"},
	{`Period":{"start":"2013-03-14","end":"2013-03-14"}`, "2013-03-14T00:00:00Z", "2013-03-15T00:00:00Z"},
	{`Period":{"start":"2013-02","end":"2013-03"}`, "2013-02-01T00:00:00Z", "2013-04-01T00:00:00Z"},
	{`Period":{"start":"2012","end":"2014"}`, "2012-01-01T00:00:00Z", "2015-01-01T00:00:00Z"},
	{`Period":{"start":"2013-01-21"}`, "2013-01-21T00:00:00Z", ""},
	{`Period":{"start":"2013-03-15"}`, "2013-03-15T00:00:00Z", ""},
	{`Period":{"end":"2013-01-21"}`, "", "2013-01-22T00:00:00Z"},
	{`Period":{"end":"2013-03-14"}`, "", "2013-03-15T00:00:00Z"},
	{`Timing":{"event":["2013-03-14","2013-03-13"]}`, "2013-03-13T00:00:00Z", "2013-03-15T00:00:00Z"},
	{`Timing":{"repeat":{"boundsPeriod":{"start":"2013-01-31","end":"2013-03-24"},"frequency":1,"period":2,"periodUnit":"d"}}`, "2013-01-31T00:00:00Z", "2013-03-25T00:00:00Z"},
}

// {eq, ne, gt, lt, ge, le, sa, eb, ap} by {date, dateTime, instant, Period closed,
// open at either end, Timing} by {year, month, day, second with zone}.
func TestDatesMatchAsThePrefixSays(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	line := lineOf(askedDates, birthDates, effectives)
	for _, kind := range []struct {
		search string
		values []meant
		body   string
	}{
		{"Patient?_count=100&birthdate=", birthDates, `{"resourceType":"Patient","birthDate":%s}`},
		{"Observation?_count=100&date=", effectives, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"effective%s}`},
	} {
		byID := map[string]meant{}
		for _, value := range kind.values {
			typ, _, _ := strings.Cut(kind.search, "?")
			byID[r.mustCreate(typ, fmt.Sprintf(kind.body, value.text))] = value
		}
		for _, asked := range askedDates {
			search := line.of(asked)
			below, above := line.around(asked)
			for prefix, says := range prefixWords {
				want := []string{}
				for _, value := range kind.values {
					if says(search, below, above, line.of(value)) {
						want = append(want, value.text)
					}
				}
				got := r.dates(kind.search+prefix+url.QueryEscape(asked.text), byID)
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s%s%s (-want +got):\n%s", kind.search, prefix, asked.text, diff)
				}
				if prefix == "eq" { // it is assumed
					if diff := cmp.Diff(got, r.dates(kind.search+url.QueryEscape(asked.text), byID)); diff != "" {
						t.Errorf("%s%s without a prefix:\n%s", kind.search, asked.text, diff)
					}
				}
			}
			// ap finds at least what overlaps, and nothing that is years away.
			got := r.dates(kind.search+"ap"+url.QueryEscape(asked.text), byID)
			for _, value := range kind.values {
				if found := slices.Contains(got, value.text); !found && search.overlaps(line.of(value)) || found && line.yearsApart(asked, value) > 3 {
					t.Errorf("%sap%s: %s is found: %t", kind.search, asked.text, value.text, found)
				}
			}
		}
	}
}

// dates are the values that a search finds, sorted.
func (r *rest) dates(search string, byID map[string]meant) []string {
	r.t.Helper()
	got := r.do(access.Placer, "GET", "/fhir/"+search, "")
	if got.status != http.StatusOK {
		r.t.Fatalf("%s: %d %s", search, got.status, got.body)
	}
	found := []string{}
	for _, id := range got.ids() {
		found = append(found, byID[id].text)
	}
	slices.Sort(found)
	return found
}

// momentLine is a line of moments; 0 and the last are before and after all dates.
type momentLine []time.Time

func lineOf(lists ...[]meant) momentLine {
	line := momentLine{}
	for _, m := range slices.Concat(lists...) {
		for _, text := range []string{m.from, m.until} {
			if text == "" {
				continue
			}
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				panic(err)
			}
			line = append(line, at, at.Add(-time.Nanosecond))
		}
	}
	slices.SortFunc(line, time.Time.Compare)
	ends := []time.Time{line[0].AddDate(-100, 0, 0), line[len(line)-1].AddDate(100, 0, 0)}
	return slices.Concat(ends[:1], slices.CompactFunc(line, time.Time.Equal), ends[1:])
}

// of is the set of moments that a date means.
func (l momentLine) of(m meant) moments {
	set := moments{}
	for i, at := range l {
		if m.from != "" && at.Before(mustTime(m.from)) || m.until != "" && !at.Before(mustTime(m.until)) {
			continue
		}
		set[i] = true
	}
	return set
}

// around are the moments before the first of a date, and after the last.
func (l momentLine) around(m meant) (below, above moments) {
	return l.of(meant{"", "", m.from}), l.of(meant{"", m.until, ""})
}

// yearsApart is how far two dates are from each other, 0 when they meet or an
// end is open.
func (l momentLine) yearsApart(a, b meant) float64 {
	const year = 365 * 24 * time.Hour
	switch {
	case b.from != "" && mustTime(b.from).After(mustTime(a.until)):
		return mustTime(b.from).Sub(mustTime(a.until)).Hours() / year.Hours()
	case b.until != "" && mustTime(b.until).Before(mustTime(a.from)):
		return mustTime(a.from).Sub(mustTime(b.until)).Hours() / year.Hours()
	}
	return 0
}

func mustTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return at
}
