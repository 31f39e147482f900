package workflow

import (
	"bytes"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Waiting is a case of the pool that waits for a reader.
type Waiting struct {
	CaseID   uuid.UUID
	Need     Need // Offered, so that shifts, absences and capacity count
	Priority string
	Due      time.Time // of its final clock; zero where there is none
}

// Desk is a reader with what they have to do already.
type Desk struct {
	Reader
	Offers int // that they have not answered yet; they take capacity too
	Given  int // cases that they were given of late, for fairness

	reads []string // the subspecialties in force, the main one first
}

// AssignWeights say what a choice costs, in points: a point is a minute by
// which a routine case is late.
type AssignWeights struct {
	Late       map[string]int64 // by priority, a minute after the due time
	Wait       map[string]int64 // by priority, an hour until it is read
	Fit        int64            // each place of the subspecialty behind the reader's first
	Load       int64            // each case that the reader has before this one
	Fair       int64            // each case that the reader was given of late
	Pace       time.Duration    // how long a reading takes
	MostOffers int              // to one reader at once
}

// DefaultAssignWeights are those of a tenant that has said nothing. A minute of a
// case that is late outweighs everything but itself; what is in time is shared by
// fit, then by load, then by who had less of late.
func DefaultAssignWeights() AssignWeights {
	return AssignWeights{
		Late: map[string]int64{"stat": 40, "asap": 10, "urgent": 4, "routine": 1},
		Wait: map[string]int64{"stat": 120, "asap": 20, "urgent": 4, "routine": 1},
		Fit:  20, Load: 10, Fair: 1, Pace: 20 * time.Minute, MostOffers: 3,
	}
}

// Pair is one case and who shall read it.
type Pair struct {
	CaseID   uuid.UUID
	ReaderID uuid.UUID
	Done     time.Time // when it should be read, by the reader's queue and shifts
	Points   int64
}

// AssignPlan is what is best for the whole pool.
type AssignPlan struct {
	Assigned []Pair
	Nobody   []uuid.UUID // cases for which nobody is eligible now; WhyNobody says why
	NoRoom   []uuid.UUID // cases whose eligible readers get all that they can take
}

// Points is what the plan costs.
func (p AssignPlan) Points() (sum int64) {
	for _, a := range p.Assigned {
		sum += a.Points
	}
	return sum
}

// Assign finds readers for a whole pool at once: as many cases as can be, the
// most pressing first, and of all the ways to do that the one of least cost. It
// never pairs a case with a reader whom Eligible refuses, and gives no reader
// more than the capacity leaves. The same pool gives the same plan, in whatever
// order it is given.
//
// Each reader has slots: the next place in their queue, the one after it, and so
// on. A slot says when its case would be read, so that a pair of case and slot
// has a cost, and the plan is an assignment problem (docs/decisions/0012).
func Assign(pool []Waiting, desks []Desk, at time.Time, w AssignWeights) AssignPlan {
	readers := make([]*Reader, len(desks))
	for i := range desks {
		readers[i] = &desks[i].Reader
	}
	return assign(pool, desks, newShortlists(readers), at, w)
}

// assign is Assign with shortlists on which are all who have a desk, as their credentials are.
func assign(waiting []Waiting, atDesks []Desk, lists *shortlists, at time.Time, w AssignWeights) AssignPlan {
	pool, desks := inOrder(waiting, func(c *Waiting) *uuid.UUID { return &c.CaseID }), inOrder(atDesks, func(d *Desk) *uuid.UUID { return &d.ID })
	columns, places := slotsOf(desks, w)
	deskOf := make(map[uuid.UUID]int, len(desks))
	idle := make([]bool, len(desks)) // who can be offered nothing now, whatever it is
	for k, d := range desks {
		deskOf[d.ID] = k
		idle[k] = len(places[k]) == 0 || d.away(at) != ""
	}

	plan := AssignPlan{}
	arcs := make([][]arc, len(pool))
	most := int64(1)
	for i, c := range pool {
		may := 0
		for _, r := range lists.of(c.Need).readers {
			k, here := deskOf[r.ID]
			if !here || c.Need.Offered && idle[k] || len(desks[k].why(c, at)) > 0 {
				continue
			}
			may++
			for _, s := range places[k] {
				points := w.points(c, desks[k], s, at)
				arcs[i] = append(arcs[i], arc{s.column, points})
				most = max(most, points)
			}
		}
		if may == 0 {
			plan.Nobody = append(plan.Nobody, c.CaseID)
		}
	}
	chosen := solve(arcs, len(columns), w.leftOut(pool, at, most))
	for i, c := range pool {
		switch j := chosen[i]; {
		case j >= 0:
			s := columns[j]
			d := desks[s.desk]
			plan.Assigned = append(plan.Assigned, Pair{c.CaseID, d.ID, s.readBy(d, at, w), w.points(c, d, s, at)})
		case !slices.Contains(plan.Nobody, c.CaseID):
			plan.NoRoom = append(plan.NoRoom, c.CaseID)
		}
	}
	return plan
}

// inOrder are the members of a list by their ids.
func inOrder[T any](list []T, id func(*T) *uuid.UUID) []*T {
	sorted := make([]*T, len(list))
	for i := range list {
		sorted[i] = &list[i]
	}
	slices.SortFunc(sorted, func(a, b *T) int { return bytes.Compare(id(a)[:], id(b)[:]) })
	return sorted
}

// slot is a place in a reader's queue.
type slot struct {
	column int
	desk   int
	place  int       // of those that are free, from 0
	done   time.Time // of readBy, once somebody has asked
}

// slotsOf are the free places of all, by their columns, and those of each reader.
func slotsOf(desks []*Desk, w AssignWeights) (columns []*slot, places [][]*slot) {
	places = make([][]*slot, len(desks))
	for i, d := range desks {
		free := w.MostOffers
		if d.Capacity > 0 {
			free = min(free, d.Capacity-d.OpenCases-d.Offers)
		}
		for place := range max(free, 0) {
			columns = append(columns, &slot{column: len(columns), desk: i, place: place})
		}
		places[i] = columns[len(columns)-max(free, 0):]
	}
	return columns, places
}

// readBy is when what stands in the slot has been read.
func (s *slot) readBy(d *Desk, at time.Time, w AssignWeights) time.Time {
	if s.done.IsZero() {
		before := d.OpenCases + d.Offers + s.place
		s.done = d.worked(at, time.Duration(before+1)*w.Pace)
	}
	return s.done
}

// points is what it costs to give a case to a slot.
func (w AssignWeights) points(c *Waiting, d *Desk, s *slot, at time.Time) int64 {
	before := int64(d.OpenCases + d.Offers + s.place)
	if d.reads == nil {
		d.reads = d.fields(DateOf(d.local(at)))
	}
	fit := int64(c.Need.Exam.places(d.reads))
	return w.times(c, s.readBy(d, at, w), at) + w.Fit*fit + w.Load*before + w.Fair*int64(d.Given+s.place)
}

// times is what it costs that a case is read at that time.
func (w AssignWeights) times(c *Waiting, done, at time.Time) int64 {
	points := w.Wait[c.Priority] * int64(done.Sub(at)/time.Minute) / 60
	if late := done.Sub(c.Due); !c.Due.IsZero() && late > 0 {
		points += w.Late[c.Priority] * int64(math.Ceil(late.Minutes()))
	}
	return points
}

// leftOut is what it costs to leave each case in the pool. It is more than any
// other choice for the whole pool can save, and the more the more pressing the
// case is. Costs that hang on the cases alone never leave out two to take one:
// the sets of cases that can be taken together are a matroid (Edmonds and
// Fulkerson 1965), and of a matroid each best set is a largest one.
func (w AssignWeights) leftOut(pool []*Waiting, at time.Time, most int64) []int64 {
	costs := make([]int64, len(pool))
	for i, c := range pool {
		costs[i] = w.times(c, at.Add(day), at)
		most = max(most, costs[i])
	}
	for i, c := range pool {
		pressing := len(Priorities) - slices.Index(Priorities, c.Priority)
		if slices.Index(Priorities, c.Priority) < 0 {
			pressing = 1
		}
		costs[i] += int64(pressing) * 2 * most * int64(len(pool)+1)
	}
	return costs
}

// why the reader may not have the case.
func (d *Desk) why(c *Waiting, at time.Time) []string {
	r := d.Reader
	r.OpenCases += d.Offers
	return Eligible(c.Need, r, at)
}

// WhyNobody says of each reader why they may not have the case.
func WhyNobody(c Waiting, desks []Desk, at time.Time) map[uuid.UUID][]string {
	reasons := map[uuid.UUID][]string{}
	for _, d := range desks {
		reasons[d.ID] = d.why(&c, at)
	}
	return reasons
}
