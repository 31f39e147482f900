package workflow

import (
	"slices"
	"strings"
	"time"
)

// mostDaysAhead is how far a reader's work is planned.
const mostDaysAhead = 21

// worked is when a reader will have worked so long, from a moment on: in their
// shifts, and not while absent. What would take longer than three weeks is done
// then at the earliest, and is said to be done then.
func (r Reader) worked(from time.Time, work time.Duration) time.Time {
	local := r.local(from)
	if len(r.Shifts) == 0 && len(r.Absences) == 0 {
		return from.Add(work)
	}
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, local.Location())
	for range mostDaysAhead {
		for _, span := range r.workOn(midnight) {
			begin, end := latest(span[0], from), span[1]
			if !end.After(begin) {
				continue
			}
			if has := end.Sub(begin); has < work {
				work -= has
				continue
			}
			return begin.Add(work)
		}
		midnight = midnight.AddDate(0, 0, 1)
	}
	return latest(midnight, from.Add(work))
}

// workOn are the times of a day on which the reader works, in order and apart.
// covers (reader.go) says the same of a moment.
func (r Reader) workOn(midnight time.Time) (spans [][2]time.Time) {
	date := DateOf(midnight)
	if slices.ContainsFunc(r.Absences, func(a Absence) bool { return a.From <= date && date <= a.To }) {
		return nil
	}
	next := midnight.AddDate(0, 0, 1)
	if len(r.Shifts) == 0 {
		return [][2]time.Time{{midnight, next}}
	}
	on := func(s Shift, t time.Time) bool {
		return slices.Contains(s.Days, strings.ToLower(t.Weekday().String()))
	}
	for _, s := range r.Shifts {
		from, to := clockOn(midnight, s.From), clockOn(midnight, s.To)
		switch today, yesterday := on(s, midnight), on(s, midnight.AddDate(0, 0, -1)); {
		case s.From <= s.To && today:
			spans = append(spans, [2]time.Time{from, to})
		case s.From > s.To:
			if yesterday {
				spans = append(spans, [2]time.Time{midnight, to})
			}
			if today {
				spans = append(spans, [2]time.Time{from, next})
			}
		}
	}
	slices.SortFunc(spans, func(a, b [2]time.Time) int { return a[0].Compare(b[0]) })
	for i := 1; i < len(spans); i++ { // what overlaps is worked once
		spans[i][0] = latest(spans[i][0], spans[i-1][1])
		spans[i][1] = latest(spans[i][0], spans[i][1])
	}
	return spans
}

// clockOn is when the clock on the wall shows 15:04 on a day.
func clockOn(midnight time.Time, clock string) time.Time {
	t, err := time.Parse("15:04", clock)
	if err != nil {
		return midnight
	}
	return time.Date(midnight.Year(), midnight.Month(), midnight.Day(), t.Hour(), t.Minute(), 0, 0, midnight.Location())
}
