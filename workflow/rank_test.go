package workflow

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestACandidatesScoreIsMadeOfFourParts(t *testing.T) {
	due := func(d time.Duration) *time.Time { at := tuesday.Add(d); return &at }
	for _, test := range []struct {
		name   string
		change func(*Need, *Reader, *Workload)
		want   Parts
	}{
		{"nothing to do, and no deadline", func(*Need, *Reader, *Workload) {}, Parts{1, 1, 1, 1}},
		{"a second field", func(n *Need, _ *Reader, _ *Workload) { n.Exam.Subspecialty = "head-neck" }, Parts{0.5, 1, 1, 1}},
		{"general work", func(n *Need, _ *Reader, _ *Workload) { n.Exam.Subspecialty = General }, Parts{1, 1, 1, 1}},
		{"an hour of reading waits", func(_ *Need, r *Reader, _ *Workload) { r.Queue = 12 }, Parts{1, 0.5, 1, 1}},
		{"as busy as the others of late", func(_ *Need, r *Reader, w *Workload) { r.Done, r.Hours, *w = 20, 40, Workload{60, 120} }, Parts{1, 1, 0.5, 1}},
		{"twice as busy as all together", func(_ *Need, r *Reader, w *Workload) { r.Done, r.Hours, *w = 40, 40, Workload{60, 120} }, Parts{1, 1, 1.0 / 3, 1}},
		{"half an hour is left, of an hour that is needed", func(n *Need, r *Reader, _ *Workload) { r.Queue, n.Due = 6, due(30*time.Minute) }, Parts{1, 1 / 1.5, 1, 0.5}},
		{"the shift ends at 21:00 UTC, and the next begins after the deadline", func(n *Need, r *Reader, _ *Workload) { r.Queue, n.Due = 138, due(20*time.Hour) }, Parts{1, 1 / 12.5, 1, 0.5}},
		{"too late", func(n *Need, _ *Reader, _ *Workload) { n.Due = due(-time.Minute) }, Parts{1, 1, 1, 0}},
		{"broadened to a related field", func(n *Need, r *Reader, _ *Workload) {
			n.Exam.Subspecialty, n.Exam.Broadened = "chest", &Broadening{To: ToRelated, Related: []string{"neuro"}}
		}, Parts{0.25, 1, 1, 1}},
		{"broadened to everybody", func(n *Need, r *Reader, _ *Workload) {
			n.Exam.Subspecialty, n.Exam.Broadened = "chest", &Broadening{To: ToGeneral}
		}, Parts{0.125, 1, 1, 1}},
	} {
		need, reader, pool := headCT(), neuroReader(), Workload{}
		test.change(&need, &reader, &pool)
		got := Suit(need, &reader, pool, tuesday)
		if diff := cmp.Diff(test.want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	if got := (Parts{1, 0.5, 0, 0.5}).score(Weights{Fit: 2, Load: 1, Due: 1}); got != 0.75 {
		t.Errorf("the weighted mean is %v", got)
	}
}

func TestPrivilegesHaveDatesAndStandEachForItself(t *testing.T) {
	children := Scope{Subspecialties: []string{"chest"}, Ages: &Ages{0, 17}}
	adults := Scope{Subspecialties: []string{"neuro"}, Modalities: []string{"CT", "MR"}, Ages: &Ages{From: 18}}
	for _, test := range []struct {
		have []Scope
		exam Exam
		want []string
	}{
		{[]Scope{adults, children}, Exam{Subspecialty: "neuro", Modality: "CT", PatientAge: 40}, nil},
		{[]Scope{adults, children}, Exam{Subspecialty: "chest", Modality: "DX", PatientAge: 4}, nil},
		{[]Scope{adults, children}, Exam{Subspecialty: "neuro", Modality: "CT", PatientAge: 4}, []string{"no one privilege for subspecialty, modality and the patient's age together"}},
		{[]Scope{adults}, Exam{Subspecialty: "neuro", Modality: "US", PatientAge: 4}, []string{"no privilege for modality US", "no privilege for the patient's age"}},
		{[]Scope{{Subspecialties: []string{"neuro"}, ValidTo: "2026-03-01"}, children}, Exam{Subspecialty: "neuro", PatientAge: 4}, []string{"privilege for neuro ended 2026-03-01"}},
		{[]Scope{{Subspecialties: []string{"neuro"}, ValidFrom: "2026-07-01"}, children}, Exam{Subspecialty: "neuro", PatientAge: 4}, []string{"privilege for neuro begins 2026-07-01"}},
		{[]Scope{{Subspecialties: []string{"neuro"}, ValidTo: "2026-03-01"}}, Exam{Subspecialty: General, PatientAge: 4}, []string{"privilege ended 2026-03-01"}},
		{[]Scope{adults}, Exam{Subspecialty: "neuro", Needs: []string{"paediatric"}, PatientAge: 40}, []string{"no privilege for paediatric"}},
		{[]Scope{adults}, Exam{Subspecialty: "spine", PatientAge: 40, Broadened: &Broadening{To: ToRelated, Related: []string{"neuro"}}}, nil},
		{[]Scope{children}, Exam{Subspecialty: "spine", PatientAge: 4, Broadened: &Broadening{To: ToRelated, Related: []string{"neuro"}}}, []string{"no privilege for spine"}},
		{[]Scope{adults}, Exam{Subspecialty: "spine", PatientAge: 4, Broadened: &Broadening{To: ToGeneral}}, []string{"no privilege for the patient's age"}},
	} {
		if diff := cmp.Diff(test.want, Eligible(Need{Duty: ToRead, Exam: test.exam}, Reader{Privileges: test.have}, tuesday)); diff != "" {
			t.Errorf("%+v: %s", test.exam, diff)
		}
	}
}

func TestTimeAtWorkIsCountedByShiftsAndAbsences(t *testing.T) {
	newYork := zone("America/New_York")
	at := func(text string) time.Time {
		m, err := time.ParseInLocation("2006-01-02 15:04", text, newYork)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, test := range []struct {
		shifts   []Shift
		absences []Absence
		from, to string
		want     float64
	}{
		{nil, nil, "2026-06-02 10:00", "2026-06-03 10:00", 24},
		{nil, []Absence{{"2026-06-03", "2026-06-03"}}, "2026-06-02 10:00", "2026-06-04 10:00", 24},
		{[]Shift{{Days: weekdays, From: "08:00", To: "17:00"}}, nil, "2026-06-02 10:00", "2026-06-03 09:00", 8},
		{[]Shift{{Days: weekdays, From: "22:00", To: "06:00"}}, nil, "2026-06-02 00:00", "2026-06-03 00:00", 8},
		{[]Shift{{Days: weekdays, From: "22:00", To: "06:00"}}, []Absence{{"2026-06-02", "2026-06-02"}}, "2026-06-02 00:00", "2026-06-03 06:00", 6},
		{[]Shift{{Days: weekdays, From: "00:00", To: "24:00"}, {Days: weekdays, From: "08:00", To: "12:00"}}, nil, "2026-06-02 00:00", "2026-06-03 00:00", 24},
		{[]Shift{{Days: weekdays, From: "08:00", To: "12:00", ValidTo: "2026-06-02"}}, nil, "2026-06-02 00:00", "2026-06-04 00:00", 4},
		{[]Shift{{Days: weekdays, From: "00:00", To: "24:00"}}, nil, "2026-03-08 00:00", "2026-03-09 00:00", 23}, // clocks go forward
		{nil, nil, "2026-06-03 10:00", "2026-06-02 10:00", 0},
	} {
		r := Reader{Zone: "America/New_York", Shifts: test.shifts, Absences: test.absences}
		if got := r.atWork(at(test.from), at(test.to)).Hours(); got != test.want {
			t.Errorf("%s to %s with %v: %v hours, want %v", test.from, test.to, test.shifts, got, test.want)
		}
	}
}

// anyReader draws a reader of whom anything may be so.
func anyReader(rt *rapid.T, n int) Reader {
	pick := func(name string, of ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID).Draw(rt, name)
	}
	date := rapid.SampledFrom([]Date{"", "2026-01-01", "2026-06-01", "2026-06-02", "2027-01-01"})
	r := Reader{
		ID: numbered('r', n), PractitionerID: string(rune('a' + n)), Subspecialties: pick("fields", "neuro", "chest", "breast"),
		Licences:  []Licence{{Jurisdiction: "US-NY", ValidFrom: date.Draw(rt, "from"), ValidTo: date.Draw(rt, "to")}},
		Conflicts: pick("conflicts", "Organization/north", "Organization/south"),
		Capacity:  rapid.IntRange(0, 3).Draw(rt, "capacity"), OpenCases: rapid.IntRange(0, 3).Draw(rt, "open"),
		Queue: float64(rapid.IntRange(0, 40).Draw(rt, "queue")), Done: float64(rapid.IntRange(0, 200).Draw(rt, "done")), Hours: float64(rapid.IntRange(0, 80).Draw(rt, "hours")),
		Shifts: rapid.SampledFrom([][]Shift{nil, {{Days: weekdays, From: "08:00", To: "17:00"}}, {{Days: weekdays, From: "22:00", To: "06:00"}}}).Draw(rt, "shifts"),
	}
	if rapid.Bool().Draw(rt, "dated") {
		r.Privileges = []Scope{{Subspecialties: pick("more", "neuro", "abdominal"), ValidFrom: date.Draw(rt, "privilege from"), ValidTo: date.Draw(rt, "privilege to")}}
	}
	return r
}

func anyNeed(rt *rapid.T, readers []Reader) Need {
	need := Need{Duty: ToRead, Offered: true, Exam: Exam{Subspecialty: rapid.SampledFrom([]string{"neuro", "chest", General}).Draw(rt, "field"), Modality: "CT", Jurisdiction: "US-NY", PatientAge: 50},
		Weights: Weights{1 + rapid.IntRange(0, 9).Draw(rt, "fit"), rapid.IntRange(0, 9).Draw(rt, "load"), rapid.IntRange(0, 9).Draw(rt, "fairness"), rapid.IntRange(0, 9).Draw(rt, "due")}}
	if h := rapid.IntRange(-1, 72).Draw(rt, "due in hours"); h >= 0 {
		due := tuesday.Add(time.Duration(h) * time.Hour)
		need.Due = &due
	}
	if rapid.Bool().Draw(rt, "broadened") {
		need.Exam.Broadened = &Broadening{To: ToRelated, Related: []string{"breast"}}
	}
	for _, r := range readers {
		switch rapid.IntRange(0, 9).Draw(rt, "part") {
		case 0:
			need.Exam.OriginalReaders = append(need.Exam.OriginalReaders, "Practitioner/"+r.PractitionerID)
		case 1:
			need.Declined = append(need.Declined, r.ID)
		case 2:
			need.Conflicted = append(need.Conflicted, r.ID)
		}
	}
	return need
}

func TestTheChoiceIsAlwaysEligibleAndTheSameInWhateverOrderTheReadersCome(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var readers []Reader
		for i := range rapid.IntRange(0, 8).Draw(rt, "readers") {
			readers = append(readers, anyReader(rt, i))
		}
		need := anyNeed(rt, readers)
		ranked, reasons := Rank(need, readers, tuesday)
		if len(ranked)+len(reasons) != len(readers) {
			rt.Fatalf("%d ranked, %d refused, of %d", len(ranked), len(reasons), len(readers))
		}
		var first []uuid.UUID
		for i, c := range ranked {
			if why := Eligible(need, *c.Reader, tuesday); why != nil || reasons[c.Reader.ID] != nil {
				rt.Fatalf("not eligible: %v", why)
			}
			for _, part := range []float64{c.Parts.Fit, c.Parts.Load, c.Parts.Fairness, c.Parts.Due, c.Score} {
				if part < 0 || part > 1 || math.IsNaN(part) {
					rt.Fatalf("%+v", c)
				}
			}
			if i > 0 && ranked[i-1].Score < c.Score-1e-9 {
				rt.Fatalf("the better comes later: %v, %v", ranked[i-1].Score, c.Score)
			}
			first = append(first, c.Reader.ID)
		}
		shuffled := rapid.Permutation(readers).Draw(rt, "order")
		again, _ := Rank(need, shuffled, tuesday)
		var second []uuid.UUID
		for _, c := range again {
			second = append(second, c.Reader.ID)
		}
		if !slices.Equal(first, second) {
			rt.Fatalf("the order of the readers decides: %v, %v", first, second)
		}
	})
}

func TestMoreToDoNeverMakesAReaderMoreLikelyToBeChosen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var readers []Reader
		for i := range rapid.IntRange(1, 6).Draw(rt, "readers") {
			readers = append(readers, anyReader(rt, i))
		}
		need := anyNeed(rt, readers)
		place := func() int {
			ranked, _ := Rank(need, readers, tuesday)
			i := slices.IndexFunc(ranked, func(c Candidate) bool { return c.Reader.ID == readers[0].ID })
			if i < 0 {
				return math.MaxInt
			}
			return i
		}
		before := place()
		switch more := float64(rapid.IntRange(1, 50).Draw(rt, "more")); rapid.IntRange(0, 2).Draw(rt, "of what") {
		case 0:
			readers[0].Queue += more
			readers[0].OpenCases++
		case 1:
			readers[0].Done += more
		case 2:
			readers[0].Licences[0].ValidTo = "2026-01-01"
		}
		if after := place(); after < before {
			rt.Fatalf("from place %d to %d", before, after)
		}
	})
}
