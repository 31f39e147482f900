package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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
			if err != nil || n < 0 || n > 3660 {
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
func DateOf(t time.Time) Date { return Date(t.Format(time.DateOnly)) }

func (d Date) valid() bool {
	_, err := time.Parse(time.DateOnly, string(d))
	return err == nil
}

// Calendar is when a tenant works.
type Calendar struct {
	Zone     string   `json:"zone"`               // IANA, e.g. America/New_York
	Weekend  []string `json:"weekend"`            // English names in lower case
	Holidays []Date   `json:"holidays,omitempty"` // no business on these days
}

func (c Calendar) faults() (wrong []string) {
	if _, err := time.LoadLocation(c.Zone); err != nil || c.Zone == "" {
		wrong = append(wrong, "calendar.zone must be an IANA time zone such as America/New_York")
	}
	known := map[string]bool{}
	for d := time.Sunday; d <= time.Saturday; d++ {
		known[strings.ToLower(d.String())] = true
	}
	seen := map[string]bool{}
	for _, d := range c.Weekend {
		if !known[d] {
			wrong = append(wrong, "calendar.weekend must hold days such as saturday")
			break
		}
		seen[d] = true
	}
	if len(seen) == 7 {
		wrong = append(wrong, "calendar.weekend must leave a day to work")
	}
	if slices.ContainsFunc(c.Holidays, func(d Date) bool { return !d.valid() }) {
		wrong = append(wrong, "calendar.holidays must hold dates such as 2026-12-25")
	}
	return wrong
}

func (c Calendar) location() *time.Location {
	if loc, err := time.LoadLocation(c.Zone); err == nil {
		return loc
	}
	return time.UTC // Validate has refused the policy long before
}

// IsBusinessDay tells whether the tenant works on the day of this moment.
func (c Calendar) IsBusinessDay(t time.Time) bool {
	t = t.In(c.location())
	return !slices.Contains(c.Weekend, strings.ToLower(t.Weekday().String())) && !slices.Contains(c.Holidays, DateOf(t))
}

// Add returns the moment that lies a span after t, or before it when the span
// is negative. A day has 24 hours of business time by the clock on the wall,
// also when it is set forward or back on that day.
func (c Calendar) Add(t time.Time, s Span) time.Time {
	if !s.Business {
		return t.Add(s.Length).UTC()
	}
	loc := c.location()
	date, clock := splitDay(t.In(loc))
	left := s.Length
	for range maxDays {
		if !c.IsBusinessDay(date) {
			date, clock = nextDay(date, left), edge(left)
			continue
		}
		if to := clock + left; 0 <= to && to <= day {
			return onDay(date, to).UTC()
		}
		left -= edge(-left) - clock // what this day still had
		date, clock = nextDay(date, left), edge(left)
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
	loc := c.location()
	from, fromClock := splitDay(a.In(loc))
	to, toClock := splitDay(b.In(loc))
	var sum time.Duration
	for d := from; !d.After(to); d = nextDay(d, 1) {
		if !c.IsBusinessDay(d) {
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

const maxDays = 20000 // a calendar without any business day ends here

// splitDay is the date of t, as its noon, and the clock on the wall at t. Not
// as its midnight: where clocks are set forward at midnight (Chile, Egypt),
// that date has none.
func splitDay(t time.Time) (date time.Time, clock time.Duration) {
	date = noon(t, 0)
	clock = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
		time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	return date, clock
}

// noon of the date of t, or of so many days later.
func noon(t time.Time, later int) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+later, 12, 0, 0, 0, t.Location())
}

func onDay(date time.Time, clock time.Duration) time.Time {
	s := clock / time.Second
	return time.Date(date.Year(), date.Month(), date.Day(), 0, 0, int(s), int(clock%time.Second), date.Location())
}

// nextDay is the date after or, for a negative direction, before.
func nextDay(date time.Time, direction time.Duration) time.Time {
	if direction < 0 {
		return noon(date, -1)
	}
	return noon(date, 1)
}

// edge is where a day is entered: at its begin, or going backwards at its end.
func edge(direction time.Duration) time.Duration {
	if direction < 0 {
		return day
	}
	return 0
}
