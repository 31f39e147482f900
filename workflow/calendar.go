package workflow

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Span is a length of time as a policy says it: "90m", "72h", "7d", or in
// business days, "1bd". Business time runs through the 24 hours of each
// business day and stands still on the others.
type Span struct {
	Length   time.Duration
	Business bool
}

func minutes(n int) Span      { return Span{Length: time.Duration(n) * time.Minute} }
func hours(n int) Span        { return Span{Length: time.Duration(n) * time.Hour} }
func businessDays(n int) Span { return Span{Length: time.Duration(n) * day, Business: true} }

const day = 24 * time.Hour

// Percent is a part of the span; negative percents go backwards.
func (s Span) Percent(p int) Span {
	return Span{Length: s.Length / 100 * time.Duration(p), Business: s.Business}
}

// String is the form that UnmarshalText reads.
func (s Span) String() string {
	switch {
	case s.Business && s.Length%day == 0:
		return fmt.Sprintf("%dbd", s.Length/day)
	case s.Business:
		return fmt.Sprintf("%gbd", s.Length.Hours()/24)
	case s.Length != 0 && s.Length%day == 0:
		return fmt.Sprintf("%dd", s.Length/day)
	case s.Length != 0 && s.Length%time.Hour == 0:
		return fmt.Sprintf("%dh", s.Length/time.Hour)
	case s.Length != 0 && s.Length%time.Minute == 0:
		return fmt.Sprintf("%dm", s.Length/time.Minute)
	}
	return s.Length.String()
}

// MarshalText writes the span as in a policy.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads "90m", "72h", "7d" or "1bd".
func (s *Span) UnmarshalText(text []byte) error {
	in := string(text)
	for _, unit := range []struct {
		suffix   string
		business bool
	}{{"bd", true}, {"d", false}} {
		if number, ok := strings.CutSuffix(in, unit.suffix); ok {
			n, err := strconv.ParseFloat(number, 64)
			if err != nil || n < 0 || n > 9999 {
				return fmt.Errorf("span %q: want a number of days, as in 7d or 1bd", in)
			}
			*s = Span{Length: time.Duration(n * float64(day)), Business: unit.business}
			return nil
		}
	}
	d, err := time.ParseDuration(in)
	if err != nil || d < 0 {
		return fmt.Errorf("span %q: want a duration, as in 90m, 72h, 7d or 1bd", in)
	}
	*s = Span{Length: d}
	return nil
}

// Date is a day of the calendar, as 2006-01-02; dates compare as strings.
type Date string

// DateOf is the day of a moment, in the moment's own location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	if y < 0 || y > 9999 {
		return Date(t.Format(time.DateOnly))
	}
	digit := func(n int) byte { return byte('0' + n%10) }
	return Date([]byte{digit(y / 1000), digit(y / 100), digit(y / 10), digit(y), '-', digit(int(m) / 10), digit(int(m)), '-', digit(d / 10), digit(d)})
}

// DayOf is the first or the last day of what a year (2006) or a month (2006-01) is;
// a date is itself.
func DayOf(text string, last bool) Date {
	for layout, next := range map[string][2]int{"2006": {1, 0}, "2006-01": {0, 1}} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if last {
			t = t.AddDate(next[0], next[1], -1)
		}
		return DateOf(t)
	}
	return Date(text)
}

// KnownZone tells whether there is a time zone of this name; "" is UTC.
func KnownZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil
}

// Calendar is when a tenant works.
type Calendar struct {
	Zone     string    `json:"zone"`               // IANA, e.g. America/New_York
	Weekend  []string  `json:"weekend"`            // English names in lower case
	Holidays []Holiday `json:"holidays,omitempty"` // no business on these days
}

// weekdays are the days of the week as policies and shifts say them.
var weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

func (c Calendar) faults() (wrong PolicyErrors) {
	if _, err := time.LoadLocation(c.Zone); err != nil || c.Zone == "" || c.Zone == "Local" {
		wrong = append(wrong, PolicyFault{Path: "calendar.zone", Text: Phrase("must be an IANA time zone such as America/New_York")})
	}
	for i, h := range c.Holidays {
		if _, err := h.read(); err != nil {
			wrong = append(wrong, PolicyFault{Path: element("calendar.holidays", i), Text: Phrase("is no date of the calendar")})
		}
	}
	return wrong
}

// location is UTC where the zone is none: such a policy was refused long before.
func (c Calendar) location() *time.Location { return zone(c.Zone) }

// zones keeps each time zone that was asked for: to read one takes longer than a
// hundred questions whether a reader is at work.
var zones sync.Map

// zone is a time zone by its IANA name, and UTC where there is none of that name.
func zone(name string) *time.Location {
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	zones.Store(name, loc)
	return loc
}

// IsBusinessDay tells whether the tenant works on the day of this moment.
func (c Calendar) IsBusinessDay(t time.Time) bool {
	return c.workdays().business(civil(t.In(c.location())))
}

// Add returns the moment that lies a span after t, or before it when the span
// is negative. A business day has 24 hours by the clock on the wall, also when
// that is set forward or back on it: what is due in one business day is due at
// the same time of the day. An hour that the clock leaves out passes at once,
// and while it shows an hour again business time stands still. So the moment is
// never before t, and a later t or a longer span never gives an earlier one.
func (c Calendar) Add(t time.Time, s Span) time.Time {
	if !s.Business || s.Length == 0 {
		return t.Add(s.Length).UTC()
	}
	loc, work := c.location(), c.workdays()
	date, clock := wallClock(t.In(loc))
	left := s.Length
	for range maxDays {
		to := clock + left
		switch {
		case !work.business(date):
			date, clock = nextDate(date, left), edge(left)
		case to < 0 || to > day:
			left -= edge(-left) - clock // what this day still had
			date, clock = nextDate(date, left), edge(left)
		case s.Length < 0:
			return earliest(t, moment(date, to, loc)).UTC()
		default:
			return latest(t, moment(date, to, loc)).UTC()
		}
	}
	return date.UTC()
}

// Between is how much time of the kind (business or not) lies from a to b;
// negative when b comes first.
func (c Calendar) Between(a, b time.Time, business bool) Span {
	if !business {
		return Span{Length: b.Sub(a)}
	}
	if b.Before(a) {
		return Span{Length: -c.Between(b, a, true).Length, Business: true}
	}
	loc, work := c.location(), c.workdays()
	from, fromClock := wallClock(a.In(loc))
	to, toClock := wallClock(b.In(loc))
	var sum time.Duration
	for d := from; !d.After(to); d = nextDate(d, 1) {
		if !work.business(d) {
			continue
		}
		begin, end := time.Duration(0), day
		if d.Equal(from) {
			begin = fromClock
		}
		if d.Equal(to) {
			end = toClock
		}
		sum += end - begin
	}
	return Span{Length: sum, Business: true}
}

// elapsed is Between where a comes first, else nothing.
func (c Calendar) elapsed(a, b time.Time, business bool) time.Duration {
	if !b.After(a) {
		return 0
	}
	return c.Between(a, b, business).Length
}

const maxDays = 20000 // a calendar without any business day ends here

// onTheWall is what the clock on the wall shows at t, as if it were UTC. Dates are
// counted there: where clocks are set forward at midnight (Chile, Egypt) a date
// has no midnight, and Samoa once left out a whole one.
func onTheWall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// civil is the date of t.
func civil(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// wallClock is the date and the clock on the wall at t, except that it never
// goes back: while it shows the hour before a change again, it is said to show
// what it showed when it was set back.
func wallClock(t time.Time) (date time.Time, clock time.Duration) {
	shows := onTheWall(t)
	start, back := setBack(t)
	if back > 0 && t.Sub(start) < back {
		shows = onTheWall(start).Add(back)
	}
	date = civil(shows)
	clock = shows.Sub(date)
	if clock == 0 && back > 0 && t.Sub(start) < back { // set back at midnight: still the day before
		return date.AddDate(0, 0, -1), day
	}
	return date, clock
}

// setBack is the last change of the clock before t, and by how much it was set
// back then; negative when it was set forward.
func setBack(t time.Time) (start time.Time, back time.Duration) {
	start, _ = t.ZoneBounds()
	if start.IsZero() {
		return start, 0
	}
	_, now := t.Zone()
	_, before := start.Add(-1).Zone()
	return start, time.Duration(before-now) * time.Second
}

// moment is when the clock on the wall first shows this on the date; where it
// leaves that out, when it is set forward.
func moment(date time.Time, clock time.Duration, loc *time.Location) time.Time {
	want := date.Add(clock)
	t := time.Date(want.Year(), want.Month(), want.Day(), want.Hour(), want.Minute(), want.Second(), want.Nanosecond(), loc)
	start, end := t.ZoneBounds()
	switch shows := onTheWall(t); {
	case shows.Before(want):
		return end
	case shows.After(want):
		return start
	}
	if start, back := setBack(t); back > 0 {
		if first := t.Add(-back); first.Before(start) {
			return first
		}
	}
	return t
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// nextDate is the date after or, for a negative direction, before.
func nextDate(date time.Time, direction time.Duration) time.Time {
	if direction < 0 {
		return date.AddDate(0, 0, -1)
	}
	return date.AddDate(0, 0, 1)
}

// edge is where a day is entered: at its begin, or going backwards at its end.
func edge(direction time.Duration) time.Duration {
	if direction < 0 {
		return day
	}
	return 0
}
