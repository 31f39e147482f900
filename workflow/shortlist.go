package workflow

import (
	"slices"
	"strings"
)

// Who may have a case hangs on the day, on the case and on what readers have to do; but
// most readers may never have it: they have no licence there, or do not read such exams.
// Whoever looks for the readers of many cases keeps shortlists, and asks Eligible only of
// those on them. A shortlist leaves out nobody whom Eligible would ever let have the
// case, so that the answer is the same as among all.

// shortlists are those of some readers, as their credentials are: of other credentials
// there must be others.
type shortlists struct {
	readers []*Reader
	undated []Reader
	limits  []int // ageLimits
	known   map[caseKind]shortlist
}

// shortlist are the readers who may have cases of a kind some day.
type shortlist struct {
	readers []*Reader
	plain   []Reader // as they were when it was made: without their work
}

// caseKind is all that the rules for credentials look at in a case.
type caseKind struct {
	duty                                        Duty
	subspecialty, needs, modality, jurisdiction string
	age                                         int // its class
	broadened                                   string
}

func newShortlists(readers []*Reader) *shortlists {
	s := &shortlists{readers: readers, known: map[caseKind]shortlist{}}
	for _, r := range readers {
		s.undated = append(s.undated, r.undated())
	}
	s.limits = ageLimits(s.undated)
	return s
}

// of are the readers who may have the case some day, in the order of all.
func (s *shortlists) of(need Need) shortlist {
	e := need.Exam
	exam := Exam{Subspecialty: e.Subspecialty, Needs: e.Needs, Modality: e.Modality, Jurisdiction: e.Jurisdiction, PatientAge: e.PatientAge}
	of := caseKind{need.Duty, e.Subspecialty, strings.Join(e.Needs, "\x00"), e.Modality, e.Jurisdiction, s.ageClass(e.PatientAge), ""}
	if b := e.Broadened; b != nil {
		exam.Broadened = &Broadening{To: b.To, Related: b.Related}
		of.broadened = string(b.To) + "\x00" + strings.Join(b.Related, "\x00")
	}
	list, known := s.known[of]
	if !known {
		for i, r := range s.readers {
			if s.undated[i].everMay(need.Duty, exam) {
				list.readers = append(list.readers, r)
				list.plain = append(list.plain, *r)
			}
		}
		s.known[of] = list
	}
	return list
}

// everMay tells whether a reader who is undated has what Eligible wants for the exam. That
// a supervisor must sign may end, and is not looked at.
func (r Reader) everMay(duty Duty, exam Exam) bool {
	const anyDay Date = "2000-01-01"
	return len(unlicensed(exam, r, anyDay)) == 0 &&
		(duty != ToAdjudicate || r.is(IsAdjudicator, anyDay)) &&
		(duty != ToSupervise || r.is(IsSupervisor, anyDay)) &&
		len(r.unprivileged(exam, anyDay)) == 0
}

// ageLimits are the ages at which some reader's range of years begins or has ended,
// in order.
func ageLimits(readers []Reader) (limits []int) {
	for _, r := range readers {
		for _, s := range r.scopes() {
			if s.Ages != nil {
				limits = append(limits, s.Ages.From, s.Ages.To+1)
			}
		}
	}
	slices.Sort(limits)
	return slices.Compact(limits)
}

// ageClass is the same for two ages between which no reader makes a difference.
func (s *shortlists) ageClass(age int) int {
	if age < 0 {
		return -1
	}
	i, found := slices.BinarySearch(s.limits, age)
	if found {
		i++
	}
	return i
}

// undated is the reader as if all that they may do had neither begin nor end.
func (r Reader) undated() Reader {
	r.ValidFrom, r.ValidTo = "", ""
	r.Licences = slices.Clone(r.Licences)
	for i := range r.Licences {
		r.Licences[i].ValidFrom, r.Licences[i].ValidTo = "", ""
	}
	r.Privileges = slices.Clone(r.Privileges)
	for i := range r.Privileges {
		r.Privileges[i].ValidFrom, r.Privileges[i].ValidTo = "", ""
	}
	return r
}
