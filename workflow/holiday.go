package workflow

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Holiday is a day without business, as a policy says it: one date
// ("2026-12-25"), a date of each year ("12-25"), so many days from Easter
// Sunday ("easter-2") or a day of a week of a month ("fourth thursday of
// november"). With "observed" behind it, one that falls on a Saturday is kept
// on the Friday before and one on a Sunday on the Monday after, as in the USA;
// with "moved", one that falls on a day without business is kept on the next
// one with, as in Britain.
type Holiday string

var months = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}

var ordinals = []string{"first", "second", "third", "fourth", "last"}

// holidayPattern is the form of a Holiday, for the schema too.
var holidayPattern = fmt.Sprintf(`^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}-[0-9]{2}|easter([+-][0-9]{1,3})?|(%s) (%s) of (%s))( (observed|moved))?$`,
	strings.Join(ordinals, "|"), strings.Join(weekdays, "|"), strings.Join(months, "|"))

var holidayForm = regexp.MustCompile(holidayPattern)

// holiday is a Holiday that was read.
type holiday struct {
	in   func(year int) (date time.Time, ok bool) // of a year, which may have none
	kept string                                   // "", observed or moved
}

// read understands a Holiday.
func (h Holiday) read() (holiday, error) {
	if !holidayForm.MatchString(string(h)) {
		return holiday{}, fmt.Errorf("holiday %q: want 2026-12-25, 12-25, easter+1 or last monday of may", string(h))
	}
	words := strings.Fields(string(h))
	day := holiday{}
	if last := words[len(words)-1]; last == "observed" || last == "moved" {
		day.kept, words = last, words[:len(words)-1]
	}
	switch first := words[0]; {
	case len(words) == 4:
		nth, weekday, month := slices.Index(ordinals, first), weekdayOf(words[1]), time.Month(1+slices.Index(months, words[3]))
		day.in = func(year int) (time.Time, bool) { return nthOf(nth, weekday, year, month), true }
	case strings.HasPrefix(first, "easter"):
		days, _ := strconv.Atoi(strings.TrimPrefix(first, "easter")) // "" is 0
		day.in = func(year int) (time.Time, bool) { return easter(year).AddDate(0, 0, days), true }
	case len(first) == len("12-25"):
		if _, err := time.Parse(time.DateOnly, "2000-"+first); err != nil { // a leap year
			return holiday{}, fmt.Errorf("holiday %q is no date of the calendar", string(h))
		}
		day.in = func(year int) (time.Time, bool) {
			date, err := time.Parse(time.DateOnly, fmt.Sprintf("%04d-%s", year, first))
			return date, err == nil
		}
	default:
		date, err := time.Parse(time.DateOnly, first)
		if err != nil {
			return holiday{}, fmt.Errorf("holiday %q is no date of the calendar", string(h))
		}
		day.in = func(year int) (time.Time, bool) { return date, date.Year() == year }
	}
	return day, nil
}

func weekdayOf(name string) time.Weekday {
	return time.Weekday((1 + slices.Index(weekdays, name)) % 7)
}

// nthOf is the n-th such day of a month, from 0; 4 is the last.
func nthOf(n int, weekday time.Weekday, year int, month time.Month) time.Time {
	if n == len(ordinals)-1 {
		last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC)
		return last.AddDate(0, 0, -int(last.Weekday()-weekday+7)%7)
	}
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return first.AddDate(0, 0, int(weekday-first.Weekday()+7)%7+7*n)
}

// easter is Easter Sunday of the Gregorian calendar (the anonymous computus,
// Nature 13 (1876) 487).
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 19*l) / 433
	month := (h + l - 7*m + 90) / 25
	day := (h + l - 7*m + 33*month + 19) % 32
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}

// workdays tells the days of business of a calendar. Dates are midnights of
// UTC, whatever the zone of the calendar.
type workdays struct {
	weekend  [7]bool
	holidays []holiday
	kept     map[int]map[time.Time]bool // the holidays that each year brings, where they are kept
}

func (c Calendar) workdays() workdays {
	w := workdays{kept: map[int]map[time.Time]bool{}}
	for _, d := range c.Weekend {
		w.weekend[weekdayOf(d)] = true
	}
	for _, h := range c.Holidays {
		if day, err := h.read(); err == nil { // ReadPolicy has refused the others long before
			w.holidays = append(w.holidays, day)
		}
	}
	return w
}

func (w workdays) business(date time.Time) bool {
	if w.weekend[date.Weekday()] {
		return false
	}
	for year := date.Year() - 1; year <= date.Year()+1; year++ { // one may be kept in the year beside it
		if w.of(year)[date] {
			return false
		}
	}
	return true
}

// of are the days on which the holidays of a year are kept.
func (w workdays) of(year int) map[time.Time]bool {
	if kept, known := w.kept[year]; known || len(w.holidays) == 0 {
		return kept
	}
	kept := map[time.Time]bool{}
	taken := map[time.Time]bool{} // by holidays themselves, of this year and the next
	type toMove struct {
		date time.Time
		rule holiday
	}
	var moving []toMove
	for _, h := range w.holidays {
		if date, ok := h.in(year + 1); ok {
			taken[date] = true
		}
		date, ok := h.in(year)
		if !ok {
			continue
		}
		taken[date] = true
		kept[date] = true
		if h.kept != "" {
			moving = append(moving, toMove{date, h})
		}
	}
	slices.SortStableFunc(moving, func(a, b toMove) int { return a.date.Compare(b.date) })
	for _, m := range moving {
		date := m.date
		switch {
		case m.rule.kept == "moved" && w.weekend[date.Weekday()]:
			for range 14 {
				if date = date.AddDate(0, 0, 1); !w.weekend[date.Weekday()] && !taken[date] {
					break
				}
			}
		case m.rule.kept == "observed" && date.Weekday() == time.Saturday:
			date = date.AddDate(0, 0, -1)
		case m.rule.kept == "observed" && date.Weekday() == time.Sunday:
			date = date.AddDate(0, 0, 1)
		}
		kept[date], taken[date] = true, true
	}
	w.kept[year] = kept
	return kept
}
