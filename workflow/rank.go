package workflow

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Weights say how much each part of a candidate's score counts. Only their
// proportions matter.
type Weights struct {
	Fit      int `json:"fit"`
	Load     int `json:"load"`
	Fairness int `json:"fairness"`
	Due      int `json:"due"`
}

// DefaultWeights are those of a policy that says nothing: whose field it is comes
// first, then who can finish in time, then who has least to do.
func DefaultWeights() Weights { return Weights{Fit: 40, Load: 20, Fairness: 10, Due: 30} }

// Parts are what a candidate's score is made of, each from 0 to 1, more is better.
type Parts struct {
	Fit      float64 // 1 where it is the reader's main subspecialty, 1/2 the second, 1/3, ...; at most 1/4 where the case was broadened for them
	Load     float64 // 1/(1+h), h the hours of reading that wait for them
	Fairness float64 // m/(m+w), w what they have done for each hour at work, m the same of all candidates together
	Due      float64 // how much of what they have to read until the case is due, with the case, they are at work for
}

// score is the weighted mean, from 0 to 1.
func (p Parts) score(w Weights) float64 {
	if w == (Weights{}) {
		w = DefaultWeights()
	}
	sum := float64(w.Fit)*p.Fit + float64(w.Load)*p.Load + float64(w.Fairness)*p.Fairness + float64(w.Due)*p.Due
	return sum / float64(w.Fit+w.Load+w.Fairness+w.Due)
}

// Candidate is a reader who is eligible, and how well they suit.
type Candidate struct {
	Reader *Reader
	Parts  Parts
	Score  float64
}

// Rank says who is eligible, the best first, and for everybody else why not. It
// is a pure function: the same case, readers, weights and moment give the same
// answer, in whatever order the readers come. Equal scores are decided by who has
// waited longest for an offer, then by id.
//
// The formula is explained in docs/matching.md.
func Rank(need Need, readers []Reader, at time.Time) (ranked []Candidate, reasons map[uuid.UUID][]string) {
	reasons = map[uuid.UUID][]string{}
	var pool Workload
	for i := range readers {
		r := &readers[i]
		if why := Eligible(need, *r, at); len(why) > 0 {
			reasons[r.ID] = why
			continue
		}
		ranked = append(ranked, Candidate{Reader: r})
		pool.Add(r)
	}
	for i := range ranked {
		c := &ranked[i]
		c.Parts = Suit(need, c.Reader, pool, at)
		c.Score = c.Parts.score(need.Weights)
	}
	slices.SortFunc(ranked, preference)
	return ranked, reasons
}

// Choose picks the reader to offer a case to: the first of Rank. best is nil when
// nobody is eligible; reasons holds why for everybody who is not.
func Choose(need Need, readers []Reader, at time.Time) (best *Reader, reasons map[uuid.UUID][]string) {
	ranked, reasons := Rank(need, readers, at)
	if len(ranked) > 0 {
		best = ranked[0].Reader
	}
	return best, reasons
}

// preference compares scores as far as they mean anything.
func preference(a, b Candidate) int {
	const steps = 1e9
	waited := func(r *Reader) int64 {
		if r.LastOffered == nil {
			return 0
		}
		return r.LastOffered.UnixMicro()
	}
	return cmp.Or(
		cmp.Compare(math.Round(b.Score*steps), math.Round(a.Score*steps)),
		cmp.Compare(waited(a.Reader), waited(b.Reader)),
		slices.Compare(a.Reader.ID[:], b.Reader.ID[:]))
}

// Workload is what several readers have done together, and how long they were at
// work for it.
type Workload struct{ Done, Hours float64 }

// Add counts a reader in. One who was not at work counts with what they did.
func (w *Workload) Add(r *Reader) { w.Done, w.Hours = w.Done+r.Done, w.Hours+max(r.Hours, leastHours) }

// leastHours keeps a reader who has just begun from counting as overworked for
// one case.
const leastHours = 8

// Suit is how well an eligible reader suits a case. pool is the workload of all
// who are eligible.
func Suit(need Need, r *Reader, pool Workload, at time.Time) Parts {
	hours := func(value float64) float64 { return value * minutesPerValue / 60 }
	p := Parts{Fit: need.Exam.fit(r.fields(DateOf(r.local(at)))), Load: 1 / (1 + hours(r.Queue)), Fairness: 1, Due: 1}
	if mine := r.Done / max(r.Hours, leastHours); mine > 0 && pool.Hours > 0 {
		all := pool.Done / pool.Hours
		p.Fairness = all / (all + mine)
	}
	if need.Due != nil {
		left, work := 0.0, r.Queue+need.Exam.RelativeValue()
		if need.Due.After(at) {
			left = r.atWorkUpTo(at, *need.Due, time.Duration(hours(work)*float64(time.Hour))+time.Second).Hours()
		}
		p.Due = min(1, left/hours(work))
	}
	return p
}

// fit is how well a case suits a reader with these subspecialties, the main one
// first.
func (e Exam) fit(fields []string) float64 { return 1 / float64(1+e.places(fields)) }

// How far behind their own main one a case stands that somebody may read only
// because it was broadened.
const (
	placesRelated = 3
	placesGeneral = 7
)

// places is how far a case stands behind the main subspecialty of a reader with
// these. General work is everybody's.
func (e Exam) places(fields []string) int {
	if e.wanted() == nil && e.Broadened == nil {
		return 0
	}
	if i := slices.Index(fields, e.Subspecialty); i >= 0 {
		return i
	}
	if e.Broadened != nil {
		for i, field := range fields {
			if slices.Contains(e.Broadened.Related, field) {
				return placesRelated + i
			}
		}
	}
	return placesGeneral
}
