package fhir

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// interval is the half-open span of time that a FHIR date means: 2024 is the
// whole year, FHIR R4 search.html#date. Its ends may be infinite.
type interval struct{ low, high pgtype.Timestamptz }

var (
	beginning = pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	forever   = pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
)

func at(t time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: t.UTC(), Valid: true} }

// dateForms are the ways to write a date and how long each lasts. Fractions of
// a second count by their digits and are treated apart.
var dateForms = []struct {
	layout string
	end    func(time.Time) time.Time
}{
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{time.RFC3339, func(t time.Time) time.Time { return t.Add(time.Second) }},
	{"2006-01-02T15:04:05", func(t time.Time) time.Time { return t.Add(time.Second) }},
}

// parseInterval reads a date, dateTime or instant. A date without time zone is
// read in UTC; a leap second is the second after it, as in PostgreSQL.
func parseInterval(text string) (interval, bool) {
	if before, leap := withoutLeap(text); leap {
		i, ok := parseInterval(before)
		return interval{at(i.low.Time.Add(time.Second)), at(i.high.Time.Add(time.Second))}, ok
	}
	for _, form := range dateForms {
		t, err := time.Parse(form.layout, text)
		if err != nil {
			continue
		}
		if _, fraction, ok := strings.Cut(text, "."); ok {
			return interval{at(t), at(t.Add(lastDigit(fraction)))}, true
		}
		return interval{at(t), at(form.end(t))}, true
	}
	return interval{}, false
}

// lastDigit is how long the last digit of a fraction of a second lasts, but
// not less than PostgreSQL's microsecond.
func lastDigit(fraction string) time.Duration {
	unit := time.Second
	for _, r := range fraction {
		if r < '0' || r > '9' || unit <= time.Microsecond {
			break
		}
		unit /= 10
	}
	return unit
}

// instantOf is a moment. FHIR R4 search.html#date gives instants no width; here
// it is one microsecond, the least that PostgreSQL tells apart.
func instantOf(t time.Time) interval { return interval{at(t), at(t.Add(time.Microsecond))} }

// interval is the span of a date, dateTime, instant, Period or Timing (from its
// first to its last event).
func (p valuePath) interval(value *Node) (interval, bool) {
	switch p.typ {
	case "Instant":
		i, ok := parseInterval(value.Text())
		return instantOf(i.low.Time), ok
	case "Period":
		return periodOf(value)
	case "Timing":
		bounds, bounded := periodOf(value.Get("repeat", "boundsPeriod"))
		events, ok := spanOf(value.Each("event"))
		switch {
		case !ok:
			return bounds, bounded
		case !bounded:
			return events, true
		}
		return bounds.with(events), true
	}
	return parseInterval(value.Text())
}

// periodOf is the span of a Period; an end that is not there is infinitely far
// (FHIR R4 search.html#date).
func periodOf(value *Node) (interval, bool) {
	start, hasStart := parseInterval(value.Text("start"))
	end, hasEnd := parseInterval(value.Text("end"))
	i := interval{beginning, forever}
	if hasStart {
		i.low = start.low
	}
	if hasEnd {
		i.high = end.high
	}
	return i, (hasStart || hasEnd) && before(i.low, i.high)
}

func spanOf(events []*Node) (span interval, ok bool) {
	for _, event := range events {
		i, valid := parseInterval(event.Text())
		switch {
		case !valid:
		case !ok:
			span, ok = i, true
		default:
			span = span.with(i)
		}
	}
	return span, ok
}

// with is the least span that has both within it.
func (i interval) with(other interval) interval {
	if before(other.low, i.low) {
		i.low = other.low
	}
	if before(i.high, other.high) {
		i.high = other.high
	}
	return i
}

// before orders times, with the infinite ones at both ends.
func before(a, b pgtype.Timestamptz) bool {
	if a.InfinityModifier != pgtype.Finite || b.InfinityModifier != pgtype.Finite {
		return a.InfinityModifier < b.InfinityModifier
	}
	return a.Time.Before(b.Time)
}

// span is a date asked for, with its prefix.
type span struct {
	prefix string
	interval
}

// spanTests compare the half-open interval [low, high) of a value with the
// [@low, @high) that is asked for: FHIR R4 search.html#prefix. What is above a
// day begins when the day has ended, whatever the specification's example of a
// second leaves open. Some say a thing twice, so that an index bounds what is
// read: an interval is never empty.
var spanTests = map[string]string{
	"eq": `low >= @low AND low < @high AND high <= @high`,
	"ne": `NOT (low >= @low AND high <= @high)`,
	"gt": `high > @high`,
	"lt": `low < @low`,
	"ge": `high > @low AND (high > @high OR low >= @low)`,
	"le": `low < @high AND (low < @low OR high <= @high)`,
	"sa": `low >= @high`,
	"eb": `high <= @low`,
	"ap": `low < @high AND high > @low`, // widened by approximate
}

// holds is the test of the span in memory.
func (s span) holds(v interval) bool {
	within := !before(v.low, s.low) && !before(s.high, v.high)
	switch s.prefix {
	case "ne":
		return !within
	case "gt":
		return before(s.high, v.high)
	case "lt":
		return before(v.low, s.low)
	case "ge":
		return before(s.high, v.high) || !before(v.low, s.low)
	case "le":
		return before(v.low, s.low) || !before(s.high, v.high)
	case "sa":
		return !before(v.low, s.high)
	case "eb":
		return !before(s.low, v.high)
	case "ap":
		return before(v.low, s.high) && before(s.low, v.high)
	}
	return within
}

// approximate widens what ap asks for by a tenth of its own length. FHIR R4
// search.html#prefix leaves the width to the server.
func (s span) approximate() span {
	if s.prefix == "ap" {
		by := s.high.Time.Sub(s.low.Time) / 10
		s.interval = interval{at(s.low.Time.Add(-by)), at(s.high.Time.Add(by))}
	}
	return s
}
