package workflow

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// workDone is what a reader has signed, for fairness: the relative value by day.
type workDone struct {
	days  []float64 // the last is of the day
	day   Date
	hours float64 // at work in the days that fairness looks back
	of    Date    // when hours were counted

	day0, day1 time.Time // the day of the times at work
	today      [][2]time.Time
}

// load counts a case in, or out, of the work of whoever has it, and of the pool.
func (m *Model) load(c *Case, by int) {
	value := float64(by) * c.Exam.RelativeValue()
	switch {
	case c.State != Ready:
	case by > 0:
		m.ready[c.CaseID] = true
	default:
		delete(m.ready, c.CaseID)
	}
	if c.ReaderID != nil && slices.Contains(atWork, c.State) {
		m.byID[*c.ReaderID].add(by, value)
	}
	if c.OfferedTo != nil && c.State == Offered {
		m.byID[*c.OfferedTo].add(by, value)
	}
}

func (r *Reader) add(cases int, value float64) {
	r.OpenCases += cases
	r.Queue += value
}

func (m *Model) noteDone(reader uuid.UUID, value float64) {
	w := m.work[reader]
	if w == nil {
		return
	}
	w.roll(DateOf(m.now))
	w.days[len(w.days)-1] += value
}

// roll begins the days since the last.
func (w *workDone) roll(today Date) {
	if w.day == today {
		return
	}
	missed := 1
	if last, err := time.Parse(time.DateOnly, string(w.day)); err == nil {
		now, _ := time.Parse(time.DateOnly, string(today))
		missed = int(now.Sub(last).Hours() / 24)
	}
	w.days = append(w.days, make([]float64, min(missed, 400))...)
	if extra := len(w.days) - 400; extra > 0 {
		w.days = slices.Delete(w.days, 0, extra)
	}
	w.day = today
}

// count fills in what ReadersTx counts: what a reader has done in the days that
// fairness looks back over, and the hours at work in them, by whole days.
func (m *Model) count(r *Reader, fairDays int, today Date) {
	w := m.work[r.ID]
	w.roll(today)
	r.Done = 0
	for _, value := range w.days[max(0, len(w.days)-fairDays-1):] {
		r.Done += value
	}
	if w.of != today {
		w.hours, w.of = r.hoursAtWork(m.now.AddDate(0, 0, -fairDays), m.now), today
	}
	r.Hours = w.hours
}

// readersFor are the readers whom nothing but the day or this one case can make
// ineligible. Whoever is left out is ineligible, so the choice is the same as among
// all. Where there is nobody, a few who come nearest are given, for their reasons. The
// list is good until the next one is asked for.
func (m *Model) readersFor(need Need, fairDays int, why bool) []Reader {
	list := m.lists.of(need).readers
	out, today := m.chosen[:0], DateOf(m.now)
	defer func() { m.chosen = out }()
	for _, r := range list {
		if need.Offered && (r.Capacity > 0 && r.OpenCases >= r.Capacity || !m.present(r)) {
			continue
		}
		m.count(r, fairDays, today)
		out = append(out, *r)
	}
	if len(out) > 0 || !why {
		return out
	}
	if len(list) == 0 {
		list = m.all
	}
	for _, r := range list[:min(len(list), fewest)] {
		out = append(out, *r)
	}
	return out
}

// fewest is how many readers are looked at for the reasons where nobody is eligible.
const fewest = 3

// present tells whether a reader is at work, as away does, from the times of the day
// that were counted once.
func (m *Model) present(r *Reader) bool {
	w := m.work[r.ID]
	if m.now.Before(w.day0) || !m.now.Before(w.day1) {
		midnight := r.midnight(m.now)
		w.day0, w.day1, w.today = midnight, midnight.AddDate(0, 0, 1), r.workOn(midnight)
	}
	for _, span := range w.today {
		if !m.now.Before(span[0]) && m.now.Before(span[1]) {
			return true
		}
	}
	return false
}
