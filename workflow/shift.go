package workflow

import (
	"math"
	"slices"
	"time"
)

// Shift is when a reader works, by the clock of the reader's zone; one that
// ends before it begins goes on to the next day.
type Shift struct {
	Days []string `json:"days"` // English names in lower case
	From string   `json:"from"` // 15:04
	To   string   `json:"to"`   // 24:00 is the end of the day

	ValidFrom Date `json:"validFrom,omitempty"` // the first day on which one begins
	ValidTo   Date `json:"validTo,omitempty"`   // and the last
}

// Absence is from one day to another, both included.
type Absence struct {
	From Date `json:"from"`
	To   Date `json:"to"`
}

// local is a moment in the reader's time zone.
func (r Reader) local(at time.Time) time.Time { return at.In(zone(r.Zone)) }

// absence is that of a day; ok is false where there is none.
func (r Reader) absence(day Date) (a Absence, ok bool) {
	i := slices.IndexFunc(r.Absences, func(a Absence) bool { return day.within(a.From, a.To) })
	if i < 0 {
		return Absence{}, false
	}
	return r.Absences[i], true
}

// midnight is when the reader's day begins in which a moment is.
func (r Reader) midnight(at time.Time) time.Time {
	at = r.local(at)
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, at.Location())
}

// away says why the reader is not at work, "" when at work.
func (r Reader) away(at time.Time) string {
	at = r.local(at)
	if a, ok := r.absence(DateOf(at)); ok {
		return Phrase("absent until %s", a.To)
	}
	if len(r.Shifts) > 0 && !slices.ContainsFunc(r.Shifts, func(s Shift) bool { return s.covers(at) }) {
		return Phrase("not on shift")
	}
	return ""
}

// covers tells whether a moment, by the clock of the reader, is within the shift.
func (s Shift) covers(at time.Time) bool {
	clock := at.Format("15:04")
	if s.From <= s.To {
		return s.begins(at) && s.From <= clock && clock < s.To
	}
	return s.begins(at) && s.From <= clock || s.begins(at.AddDate(0, 0, -1)) && clock < s.To
}

// begins: there is such a shift on the day.
func (s Shift) begins(day time.Time) bool {
	if !slices.Contains(s.Days, weekdays[(day.Weekday()+6)%7]) {
		return false
	}
	return s.ValidFrom == "" && s.ValidTo == "" || DateOf(day).within(s.ValidFrom, s.ValidTo)
}

// within: both days included; "" is without end.
func (d Date) within(from, to Date) bool { return (from == "" || d >= from) && (to == "" || d <= to) }

// mostDaysAhead is how far a reader's work is planned.
const mostDaysAhead = 21

// worked is when a reader will have worked so long, from a moment on: in their
// shifts, and not while absent. What would take longer than three weeks is done
// then at the earliest, and is said to be done then.
func (r Reader) worked(from time.Time, work time.Duration) time.Time {
	if len(r.Shifts) == 0 && len(r.Absences) == 0 {
		return from.Add(work)
	}
	midnight := r.midnight(from)
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
// covers says the same of a moment.
func (r Reader) workOn(midnight time.Time) (spans [][2]time.Time) {
	if _, absent := r.absence(DateOf(midnight)); absent {
		return nil
	}
	next := midnight.AddDate(0, 0, 1)
	if len(r.Shifts) == 0 {
		return [][2]time.Time{{midnight, next}}
	}
	for _, s := range r.Shifts {
		from, to := clockOn(midnight, s.From), clockOn(midnight, s.To)
		switch today, yesterday := s.begins(midnight), s.begins(midnight.AddDate(0, 0, -1)); {
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

// clockOn is when the clock on the wall shows 15:04 on a day; 24:00 is its end.
func clockOn(midnight time.Time, clock string) time.Time {
	if clock == "24:00" {
		return midnight.AddDate(0, 0, 1)
	}
	hour, minute, ok := hourAndMinute(clock)
	if !ok {
		return midnight
	}
	y, m, d := midnight.Date()
	return time.Date(y, m, d, hour, minute, 0, 0, midnight.Location())
}

// hourAndMinute reads 15:04.
func hourAndMinute(clock string) (hour, minute int, ok bool) {
	digits := func(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }
	if len(clock) != 5 || clock[2] != ':' {
		return 0, 0, false
	}
	for _, i := range []int{0, 1, 3, 4} {
		if clock[i] < '0' || clock[i] > '9' {
			return 0, 0, false
		}
	}
	hour, minute = digits(clock), digits(clock[3:])
	return hour, minute, hour < 24 && minute < 60
}

// atWork is how long a reader is at work between two moments, of which the later
// counts for half a year at most.
func (r Reader) atWork(from, to time.Time) time.Duration {
	return r.atWorkUpTo(from, to, math.MaxInt64)
}

// atWorkUpTo is atWork for whom so much is enough: it does not look at the days
// after that, and may say more than that or less than all.
func (r *Reader) atWorkUpTo(from, to time.Time, enough time.Duration) (sum time.Duration) {
	if len(r.Shifts) == 0 && len(r.Absences) == 0 {
		return max(0, to.Sub(from))
	}
	midnight := r.midnight(from)
	for range 184 {
		for _, span := range r.workOn(midnight) {
			begin, end := latest(span[0], from), span[1]
			if end.After(to) {
				end = to
			}
			sum += max(0, end.Sub(begin))
		}
		if midnight = midnight.AddDate(0, 0, 1); !midnight.Before(to) || sum >= enough {
			break
		}
	}
	return sum
}

// hoursAtWork is how long a reader was at work, for fairness. Who has no shifts
// counts as a third of the time: nobody reads around the clock.
func (r Reader) hoursAtWork(from, to time.Time) float64 {
	hours := r.atWork(from, to).Hours()
	if len(r.Shifts) == 0 {
		hours /= 3
	}
	return hours
}
