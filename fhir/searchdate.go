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
// read in UTC.
func parseInterval(text string) (interval, bool) {
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

// intervalOf is the span of a dateTime, Period or Timing (from its first to its
// last event).
func intervalOf(value *Node) (interval, bool) {
	if !value.IsObject() {
		return parseInterval(value.Text())
	}
	if events := value.Each("event"); len(events) > 0 {
		return spanOf(events)
	}
	if bounds := value.Get("repeat", "boundsPeriod"); bounds != nil {
		value = bounds
	}
	start, hasStart := parseInterval(value.Text("start"))
	end, hasEnd := parseInterval(value.Text("end"))
	i := interval{beginning, forever}
	if hasStart {
		i.low = start.low
	}
	if hasEnd {
		i.high = end.high
	}
	inOrder := !hasStart || !hasEnd || !i.high.Time.Before(i.low.Time)
	return i, (hasStart || hasEnd) && inOrder
}

func spanOf(events []*Node) (span interval, ok bool) {
	for _, event := range events {
		i, valid := parseInterval(event.Text())
		switch {
		case !valid:
		case !ok:
			span, ok = i, true
		default:
			if i.low.Time.Before(span.low.Time) {
				span.low = i.low
			}
			if i.high.Time.After(span.high.Time) {
				span.high = i.high
			}
		}
	}
	return span, ok
}
