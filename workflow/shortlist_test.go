package workflow

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var (
	someFields     = []string{"neuro", "chest", "breast"}
	someModalities = []string{"", "CT", "MR"}
	somePlaces     = []string{"", "US-NY", "us-ny", "US-NJ"}
)

// seldom is true once in four: readers are mostly free of each thing that forbids, or
// else hardly anybody may have anything.
func seldom(rt *rapid.T, label string) bool { return rapid.IntRange(0, 3).Draw(rt, label) == 3 }

// someDates are the first and the last day of something, in the days about tuesday: each
// is mostly open.
func someDates(rt *rapid.T) (from, to Date) {
	if seldom(rt, "begins") {
		from = DateOf(tuesday.AddDate(0, 0, rapid.IntRange(-6, 2).Draw(rt, "from")))
	}
	if seldom(rt, "ends") {
		to = DateOf(tuesday.AddDate(0, 0, rapid.IntRange(-4, 6).Draw(rt, "to")))
	}
	return from, to
}

// datedReader is somebody whose every permission may begin or end.
func datedReader(rt *rapid.T, i int) Reader {
	fields := func() []string {
		return slices.Clone(rapid.SampledFrom([][]string{{"neuro"}, {"chest", "neuro"}, {"breast", "chest", "neuro"}, {"breast"}}).Draw(rt, "fields"))
	}
	limits := func() (modalities []string, ages *Ages) {
		if seldom(rt, "one modality") {
			modalities = []string{rapid.SampledFrom(someModalities[1:]).Draw(rt, "modality")}
		}
		if seldom(rt, "some ages") {
			ages = rapid.SampledFrom([]*Ages{{From: 16}, {To: 17}, {From: 18, To: 60}}).Draw(rt, "ages")
		}
		return modalities, ages
	}
	r := Reader{ID: numbered('r', i), PractitionerID: fmt.Sprint("p", i), Display: rapid.SampledFrom([]string{"Jane Roe", "John Doe"}).Draw(rt, "name"),
		Zone: rapid.SampledFrom([]string{"", "America/New_York", "Pacific/Kiritimati"}).Draw(rt, "zone")}
	if seldom(rt, "sits elsewhere") {
		r.ReadsFrom = rapid.SampledFrom(somePlaces).Draw(rt, "sits")
	}
	if !seldom(rt, "privileges only") {
		r.Subspecialties = fields()
		r.Modalities, r.Ages = limits()
	}
	for range rapid.IntRange(0, 2).Draw(rt, "privileges") {
		s := Scope{Subspecialties: fields()}
		s.Modalities, s.Ages = limits()
		if seldom(rt, "parts") {
			s.Parts = []Part{rapid.SampledFrom([]Part{IsTrainee, IsLocum, IsAdjudicator, IsSupervisor}).Draw(rt, "part")}
		}
		s.ValidFrom, s.ValidTo = someDates(rt)
		r.Privileges = append(r.Privileges, s)
	}
	for _, where := range somePlaces[2:] {
		if !seldom(rt, "no licence") {
			l := Licence{Jurisdiction: where}
			l.ValidFrom, l.ValidTo = someDates(rt)
			r.Licences = append(r.Licences, l)
		}
	}
	r.ValidFrom, r.ValidTo = someDates(rt)
	r.MayAdjudicate, r.MaySupervise = rapid.Bool().Draw(rt, "adjudicates"), rapid.Bool().Draw(rt, "supervises")
	if seldom(rt, "shifts") {
		r.Shifts = []Shift{{Days: weekdays, From: "08:00", To: "20:00"}}
		r.Shifts[0].ValidFrom, r.Shifts[0].ValidTo = someDates(rt)
	}
	if seldom(rt, "absent") {
		first := tuesday.AddDate(0, 0, rapid.IntRange(-3, 3).Draw(rt, "absent from"))
		r.Absences = []Absence{{From: DateOf(first), To: DateOf(first.AddDate(0, 0, 1))}}
	}
	r.Capacity, r.OpenCases = rapid.IntRange(0, 4).Draw(rt, "capacity"), rapid.IntRange(0, 2).Draw(rt, "open")
	return r
}

// someNeed is what a case may ask: many cases are alike in what credentials they want, and
// differ in whose they may not be.
func someNeed(rt *rapid.T, readers int) Need {
	who := func(label string) (ids []uuid.UUID) {
		if n := rapid.IntRange(0, 5*readers).Draw(rt, label); n < readers {
			ids = append(ids, numbered('r', n))
		}
		return ids
	}
	exam := Exam{Subspecialty: rapid.SampledFrom([]string{"neuro", "neuro", "chest", "breast", General}).Draw(rt, "field"), Modality: rapid.SampledFrom([]string{"", "", "CT"}).Draw(rt, "modality"),
		Jurisdiction: rapid.SampledFrom([]string{"US-NY", "US-NY", "US-NY", "", "us-ny"}).Draw(rt, "made in"), PatientAge: rapid.SampledFrom([]int{-1, 15, 16, 17, 18, 60, 61}).Draw(rt, "age")}
	if seldom(rt, "needs") {
		exam.Needs = []string{rapid.SampledFrom(someFields).Draw(rt, "besides")}
	}
	switch rapid.IntRange(0, 5).Draw(rt, "broadened") {
	case 0, 1:
		exam.Broadened = &Broadening{To: ToRelated, Related: []string{rapid.SampledFrom(someFields).Draw(rt, "related")}}
	case 2:
		exam.Broadened = &Broadening{To: ToGeneral}
	}
	for _, id := range who("original") {
		exam.OriginalReaders = []string{fmt.Sprint("Practitioner/p", id[15])}
	}
	if seldom(rt, "named") {
		exam.OriginalNames = []string{"Roe"}
	}
	return Need{Duty: rapid.SampledFrom([]Duty{ToRead, ToRead, ToRead, ToAdjudicate, ToSupervise}).Draw(rt, "duty"), Exam: exam, Offered: rapid.Bool().Draw(rt, "offered"),
		Involved: who("involved"), Declined: who("declined"), Lapsed: who("lapsed"), Conflicted: who("conflicted")}
}

// The shortlists are kept for days while licences, privileges, shifts and absences begin
// and end, and cases of one kind differ in who may not have them: who is found by them is
// who is found among all, each time.
func TestWhoIsFoundByShortlistsThatWereKeptIsWhoIsFoundAmongAll(t *testing.T) {
	t.Parallel()
	found, leftOut := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var readers []*Reader
		for i := range rapid.IntRange(1, 8).Draw(rt, "readers") {
			r := datedReader(rt, i)
			readers = append(readers, &r)
		}
		lists := newShortlists(readers)
		now := tuesday.AddDate(0, 0, -6)
		for range rapid.IntRange(20, 50).Draw(rt, "questions") {
			now = now.Add(time.Duration(rapid.IntRange(0, 12*60).Draw(rt, "minutes")) * time.Minute)
			readers[0].OpenCases = rapid.IntRange(0, 3).Draw(rt, "open")
			need := someNeed(rt, len(readers))
			var among, by []uuid.UUID
			for _, r := range readers {
				if len(Eligible(need, *r, now)) == 0 {
					among = append(among, r.ID)
				}
			}
			short := lists.of(need).readers
			for _, r := range short {
				if len(Eligible(need, *r, now)) == 0 {
					by = append(by, r.ID)
				}
			}
			if diff := cmp.Diff(among, by); diff != "" {
				rt.Fatalf("at %s for %+v: %s", now, need, diff)
			}
			found, leftOut = found+len(by), leftOut+len(readers)-len(short)
		}
	})
	if found == 0 || leftOut == 0 {
		t.Errorf("%d were found, and %d were on no shortlist: the test shows little", found, leftOut)
	}
}

// The plan for a pool by shortlists of all readers that were kept, of whom some have no
// desk now, is that by shortlists made anew.
func TestThePlanByShortlistsThatWereKeptIsThePlanByNewOnes(t *testing.T) {
	t.Parallel()
	w, assigned := DefaultAssignWeights(), 0
	rapid.Check(t, func(rt *rapid.T) {
		var readers []*Reader
		for i := range rapid.IntRange(1, 8).Draw(rt, "readers") {
			r := datedReader(rt, i)
			readers = append(readers, &r)
		}
		lists := newShortlists(readers)
		now := tuesday.AddDate(0, 0, -6)
		for range rapid.IntRange(1, 5).Draw(rt, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "hours")) * time.Hour)
			var desks []Desk
			for _, r := range readers {
				if rapid.IntRange(0, 3).Draw(rt, "has a desk") > 0 {
					desks = append(desks, Desk{Reader: *r, Given: rapid.IntRange(0, 9).Draw(rt, "given")})
				}
			}
			var pool []Waiting
			for i := range rapid.IntRange(0, 8).Draw(rt, "cases") {
				need := someNeed(rt, len(readers))
				need.Duty, need.Offered = ToRead, true
				pool = append(pool, Waiting{CaseID: numbered('c', i), Need: need, Priority: rapid.SampledFrom(Priorities).Draw(rt, "priority"), Due: now.Add(3 * time.Hour)})
			}
			fresh := Assign(pool, desks, now, w)
			if diff := cmp.Diff(fresh, assign(pool, desks, lists, now, w)); diff != "" {
				rt.Fatalf("at %s: %s", now, diff)
			}
			for _, c := range fresh.Nobody {
				i := slices.IndexFunc(pool, func(w Waiting) bool { return w.CaseID == c })
				for _, d := range desks {
					if len(Eligible(pool[i].Need, d.Reader, now)) == 0 {
						rt.Fatalf("nobody, it says, may have a case that %s may have", d.ID)
					}
				}
			}
			assigned += len(fresh.Assigned)
		}
	})
	if assigned == 0 {
		t.Error("nothing was ever assigned: the test shows little")
	}
}
