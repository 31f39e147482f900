package workflow

import (
	"slices"
	"time"
)

// Today is the day in the reader's time zone.
func (r Reader) Today(at time.Time) Date { return DateOf(r.local(at)) }

// Missing says why the matching would give a reader no case at all now, whatever its
// exam: one phrase a reason, of those that Eligible has where it has them.
func (r Reader) Missing(at time.Time) []string {
	today := r.Today(at)
	reasons := unlicensed(Exam{}, r, today)
	if !slices.ContainsFunc(r.Licences, func(l Licence) bool { return today.within(l.ValidFrom, l.ValidTo) }) {
		reasons = append(reasons, Phrase("no licence is valid today: no exam of a known place can be read"))
	}
	if r.inForce(today) == nil {
		reasons = append(reasons, r.lacks("", today))
	}
	if r.Capacity > 0 && r.OpenCases >= r.Capacity {
		reasons = append(reasons, Phrase("has %d open cases, at most %d", r.OpenCases, r.Capacity))
	}
	if away := r.away(at); away != "" {
		reasons = append(reasons, away)
	}
	return reasons
}

// InForceOn are the privileges of a day.
func (r Reader) InForceOn(day Date) []Scope { return r.inForce(day) }

// AllScopes are all privileges, those too that have ended or not begun.
func (r Reader) AllScopes() []Scope { return r.scopes() }

// Within tells whether a day is between two, both included; "" is without end.
func (d Date) Within(from, to Date) bool { return d.within(from, to) }
