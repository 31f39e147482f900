package workflow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func numbered(kind byte, n int) uuid.UUID {
	return uuid.UUID{0: kind, 6: 0x70, 8: 0x80, 14: byte(n >> 8), 15: byte(n)}
}

// somePool draws a pool with readers of several kinds: some off shift, some
// full, some not licensed.
func somePool(rt *rapid.T, cases, readers int) ([]Waiting, []Desk) {
	areas := []string{"neuro", "chest", "breast"}
	var pool []Waiting
	for i := range rapid.SampledFrom([]int{0, 1, cases / 2, cases, cases}).Draw(rt, "cases") {
		c := Waiting{CaseID: numbered('c', i), Priority: rapid.SampledFrom(Priorities).Draw(rt, "priority"),
			Need: Need{Duty: ToRead, Offered: true, Exam: Exam{Subspecialty: rapid.SampledFrom(areas).Draw(rt, "area"), Jurisdiction: "US-NY", PatientAge: -1}}}
		if hours := rapid.IntRange(-2, 30).Draw(rt, "due"); hours != 0 {
			c.Due = tuesday.Add(time.Duration(hours) * time.Hour)
		}
		if who := rapid.IntRange(0, readers).Draw(rt, "original"); who < readers {
			c.Need.Exam.OriginalReaders = []string{fmt.Sprint("Practitioner/p", who)}
		}
		pool = append(pool, c)
	}
	var desks []Desk
	for i := range rapid.SampledFrom([]int{0, 1, readers - 1, readers, readers}).Draw(rt, "readers") {
		d := Desk{Offers: rapid.IntRange(0, 2).Draw(rt, "offers"), Given: rapid.IntRange(0, 9).Draw(rt, "given")}
		d.ID, d.PractitionerID = numbered('r', i), fmt.Sprint("p", i)
		d.Subspecialties = rapid.SampledFrom([][]string{{"neuro"}, {"chest", "neuro"}, {"breast", "chest", "neuro"}}).Draw(rt, "areas")
		d.Licences = []Licence{{Jurisdiction: "US-NY", ValidTo: Date(rapid.SampledFrom([]string{"", "2026-01-01"}).Draw(rt, "licence"))}}
		d.OpenCases, d.Capacity = rapid.IntRange(0, 3).Draw(rt, "open"), rapid.IntRange(0, 6).Draw(rt, "capacity")
		d.Shifts = rapid.SampledFrom([][]Shift{nil, {{Days: weekdays, From: "08:00", To: "16:30"}}, {{Days: weekdays, From: "22:00", To: "06:00"}}}).Draw(rt, "shifts")
		desks = append(desks, d)
	}
	return pool, desks
}

// worth orders plans: more cases, then more pressing ones, then less cost.
func worth(pool []Waiting, left map[uuid.UUID]bool, points int64, w AssignWeights) []int64 {
	score := make([]int64, 3)
	for _, c := range pool {
		if left[c.CaseID] {
			score[0]++
			score[1] += int64(len(Priorities) - slices.Index(Priorities, c.Priority))
			points += w.times(&c, tuesday.Add(day), tuesday)
		}
	}
	score[2] = points
	return score
}

// bestByTrying is the least cost of all plans that there are.
func bestByTrying(pool []Waiting, desks []Desk, w AssignWeights) []int64 {
	slots, _ := slotsOf(inOrder(desks, func(d *Desk) *uuid.UUID { return &d.ID }), w)
	taken, left := map[int]bool{}, map[uuid.UUID]bool{}
	var best []int64
	var try func(i int, points int64)
	try = func(i int, points int64) {
		if i == len(pool) {
			if now := worth(pool, left, points, w); best == nil || slices.Compare(now, best) < 0 {
				best = now
			}
			return
		}
		left[pool[i].CaseID] = true
		try(i+1, points)
		delete(left, pool[i].CaseID)
		for _, s := range slots {
			d := &desks[s.desk]
			if taken[s.column] || len(d.why(&pool[i], tuesday)) > 0 {
				continue
			}
			taken[s.column] = true
			try(i+1, points+w.points(&pool[i], d, s, tuesday))
			delete(taken, s.column)
		}
	}
	try(0, 0)
	return best
}

func leftBy(plan AssignPlan) map[uuid.UUID]bool {
	left := map[uuid.UUID]bool{}
	for _, id := range plan.Nobody {
		left[id] = true
	}
	for _, id := range plan.NoRoom {
		left[id] = true
	}
	return left
}

func TestThePlanForASmallPoolIsTheBestOfAllThatThereAre(t *testing.T) {
	t.Parallel()
	w := DefaultAssignWeights()
	w.MostOffers = 2
	rapid.Check(t, func(rt *rapid.T) {
		pool, desks := somePool(rt, 4, 3)
		plan := Assign(pool, desks, tuesday, w)
		got := worth(pool, leftBy(plan), plan.Points(), w)
		if diff := cmp.Diff(bestByTrying(pool, desks, w), got); diff != "" {
			rt.Errorf("left out, how pressing, points: %s", diff)
		}
	})
}

// greedily gives the most pressing case the cheapest place, then the next.
func greedily(pool []Waiting, desks []Desk, w AssignWeights) []int64 {
	pool = slices.Clone(pool)
	slices.SortStableFunc(pool, func(a, b Waiting) int {
		if n := slices.Index(Priorities, a.Priority) - slices.Index(Priorities, b.Priority); n != 0 {
			return n
		}
		return a.Due.Compare(b.Due)
	})
	slots, _ := slotsOf(inOrder(desks, func(d *Desk) *uuid.UUID { return &d.ID }), w)
	taken, left, sum := map[int]bool{}, map[uuid.UUID]bool{}, int64(0)
	for _, c := range pool {
		best, cost := -1, int64(0)
		for _, s := range slots {
			d := &desks[s.desk]
			if points := w.points(&c, d, s, tuesday); !taken[s.column] && len(d.why(&c, tuesday)) == 0 && (best < 0 || points < cost) {
				best, cost = s.column, points
			}
		}
		if best < 0 {
			left[c.CaseID] = true
			continue
		}
		taken[best] = true
		sum += cost
	}
	return worth(pool, left, sum, w)
}

func TestThePlanIsNeverWorseThanGreedyNeverIneligibleAndNeverTooMuch(t *testing.T) {
	t.Parallel()
	w, better := DefaultAssignWeights(), 0
	rapid.Check(t, func(rt *rapid.T) {
		pool, desks := somePool(rt, 25, 8)
		plan := Assign(pool, desks, tuesday, w)
		got, greedy := worth(pool, leftBy(plan), plan.Points(), w), greedily(pool, desks, w)
		switch slices.Compare(got, greedy) {
		case 1:
			rt.Errorf("greedy is better: %v, and the plan %v", greedy, got)
		case -1:
			better++
		}
		load, seen := map[uuid.UUID]int{}, leftBy(plan)
		for _, a := range plan.Assigned {
			c := pool[slices.IndexFunc(pool, func(c Waiting) bool { return c.CaseID == a.CaseID })]
			d := desks[slices.IndexFunc(desks, func(d Desk) bool { return d.ID == a.ReaderID })]
			if why := Eligible(c.Need, d.Reader, tuesday); why != nil {
				rt.Errorf("an ineligible reader: %v", why)
			}
			if load[d.ID]++; load[d.ID] > w.MostOffers || d.Capacity > 0 && d.OpenCases+d.Offers+load[d.ID] > d.Capacity {
				rt.Errorf("%d more for %d open and %d offered of %d", load[d.ID], d.OpenCases, d.Offers, d.Capacity)
			}
			if seen[c.CaseID] {
				rt.Errorf("a case is assigned twice, or assigned and left")
			}
			seen[c.CaseID] = true
		}
		if len(seen) != len(pool) {
			rt.Errorf("of %d cases %d are accounted for", len(pool), len(seen))
		}
		mixed, turned := slices.Clone(pool), slices.Clone(desks)
		slices.Reverse(mixed)
		slices.Reverse(turned)
		if diff := cmp.Diff(plan, Assign(mixed, turned, tuesday, w)); diff != "" {
			rt.Errorf("the order of the pool changes the plan: %s", diff)
		}
	})
	if better == 0 {
		t.Error("the plan was never better than greedy: then why plan?")
	}
}

func TestAPlanSparesTheOnlyReaderOfARareCase(t *testing.T) {
	desk := func(n int, areas ...string) Desk {
		d := Desk{}
		d.ID, d.Subspecialties, d.Capacity = numbered('r', n), areas, 1
		return d
	}
	waiting := func(n int, area, priority string) Waiting {
		return Waiting{CaseID: numbered('c', n), Priority: priority, Due: tuesday.Add(time.Hour), Need: Need{Duty: ToRead, Offered: true, Exam: Exam{Subspecialty: area, PatientAge: -1}}}
	}
	both, neuro := desk(1, "neuro", "breast"), desk(2, "chest", "neuro")
	later := waiting(4, "breast", "routine")
	later.Due = tuesday.Add(30 * time.Hour)
	plan := Assign([]Waiting{waiting(1, "neuro", "stat"), waiting(2, "breast", "routine"), waiting(3, "cardiac", "stat"), later}, []Desk{both, neuro}, tuesday, DefaultAssignWeights())
	got := map[uuid.UUID]uuid.UUID{}
	for _, a := range plan.Assigned {
		got[a.CaseID] = a.ReaderID
	}
	// Greedy would give the stat case to the one whom it fits best, and nobody were left for the breast.
	if diff := cmp.Diff(map[uuid.UUID]uuid.UUID{numbered('c', 1): neuro.ID, numbered('c', 2): both.ID}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uuid.UUID{numbered('c', 3)}, plan.Nobody); diff != "" {
		t.Error(diff)
	}
	want := map[uuid.UUID][]string{both.ID: {"no privilege for cardiac"}, neuro.ID: {"no privilege for cardiac"}}
	if diff := cmp.Diff(want, WhyNobody(waiting(3, "cardiac", "stat"), []Desk{both, neuro}, tuesday)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uuid.UUID{numbered('c', 4)}, plan.NoRoom); diff != "" {
		t.Error(diff)
	}
}

func TestWorkIsDoneInShiftsOnly(t *testing.T) {
	r := neuroReader() // New York: Monday and Tuesday 8 to 17, Friday 22 to Saturday 6; absent in July
	for _, test := range []struct {
		from string
		work time.Duration
		want string
	}{
		{"2026-06-01 09:00", time.Hour, "2026-06-01 10:00"},
		{"2026-06-01 07:00", time.Hour, "2026-06-01 09:00"},
		{"2026-06-01 16:00", 2 * time.Hour, "2026-06-02 09:00"},
		{"2026-06-02 16:30", 2 * time.Hour, "2026-06-05 23:30"},
		{"2026-06-05 23:00", 2 * time.Hour, "2026-06-06 01:00"},
		{"2026-06-30 16:00", 2 * time.Hour, "2026-07-17 23:00"},
	} {
		if got := r.worked(at(t, test.from), test.work); !got.Equal(at(t, test.want)) {
			t.Errorf("%s of work from %s: %s, want %s", test.work, test.from, got, test.want)
		}
	}
	always := Reader{}
	if got := always.worked(tuesday, time.Hour); !got.Equal(tuesday.Add(time.Hour)) {
		t.Errorf("without shifts: %s", got)
	}
}

func BenchmarkAssign500CasesTo300Readers(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var areas []string
	for _, s := range subspecialties {
		areas = append(areas, s.name)
	}
	var pool []Waiting
	for i := range 500 {
		pool = append(pool, Waiting{CaseID: numbered('c', i), Priority: Priorities[rnd.IntN(4)], Due: tuesday.Add(time.Duration(rnd.IntN(72)-4) * time.Hour),
			Need: Need{Duty: ToRead, Offered: true, Exam: Exam{Subspecialty: areas[rnd.IntN(len(areas))], Jurisdiction: "US-NY", PatientAge: 50}}})
	}
	var desks []Desk
	for i := range 300 {
		d := Desk{Given: rnd.IntN(20)}
		d.ID, d.Subspecialties = numbered('r', i), []string{areas[rnd.IntN(len(areas))], areas[rnd.IntN(len(areas))]}
		d.Licences, d.Capacity, d.OpenCases, d.Zone = []Licence{{Jurisdiction: "US-NY", ValidFrom: "", ValidTo: ""}}, 6, rnd.IntN(6), "America/New_York"
		d.Shifts = []Shift{{Days: weekdays, From: "06:00", To: "18:00"}}
		desks = append(desks, d)
	}
	b.ResetTimer()
	for range b.N {
		plan := Assign(pool, desks, tuesday, DefaultAssignWeights())
		b.ReportMetric(float64(len(plan.Assigned)), "assigned")
	}
}
