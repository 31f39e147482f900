package workflow

import (
	"slices"
	"time"
)

// Scope is what a reader may read, and from when to when: one privilege of
// those that a hospital grants. Each stands for itself: who may read the brains
// of adults and the chests of children may not read the brains of children.
type Scope struct {
	Subspecialties []string `json:"subspecialties"`
	Modalities     []string `json:"modalities,omitempty"` // DICOM codes; none: every modality
	Ages           *Ages    `json:"ages,omitempty"`       // nil: every age
	ValidFrom      Date     `json:"validFrom,omitempty"`
	ValidTo        Date     `json:"validTo,omitempty"` // both days included
	Parts          []Part   `json:"parts,omitempty"`   // what the reader is besides, while it is in force
}

// Part is what a reader may be besides a reader, or is.
type Part string

// The parts.
const (
	IsTrainee     Part = "trainee"     // a supervisor must sign
	IsLocum       Part = "locum"       // a supervisor must sign
	IsAdjudicator Part = "adjudicator" // may adjudicate
	IsSupervisor  Part = "supervisor"  // may sign for trainees and locums
)

// is tells whether the reader is that on a day, by a privilege or without dates.
func (r Reader) is(part Part, on Date) bool {
	switch {
	case part == IsTrainee && r.Trainee, part == IsLocum && r.Locum, part == IsAdjudicator && r.MayAdjudicate, part == IsSupervisor && r.MaySupervise:
		return true
	}
	return slices.ContainsFunc(r.Privileges, func(s Scope) bool { // one without dates has no parts
		return on.within(s.ValidFrom, s.ValidTo) && slices.Contains(s.Parts, part)
	})
}

// needsCosign: a supervisor must sign what this reader writes at that time.
func (r Reader) needsCosign(at time.Time) bool {
	on := DateOf(r.local(at))
	return r.is(IsTrainee, on) || r.is(IsLocum, on)
}

// scopes are all the privileges of a reader, the one without dates first.
func (r Reader) scopes() []Scope {
	if r.Subspecialties == nil && len(r.Privileges) > 0 {
		return r.Privileges
	}
	return append([]Scope{{Subspecialties: r.Subspecialties, Modalities: r.Modalities, Ages: r.Ages}}, r.Privileges...)
}

// inForce are the privileges of a day.
func (r Reader) inForce(on Date) (now []Scope) {
	for _, s := range r.scopes() {
		if on.within(s.ValidFrom, s.ValidTo) {
			now = append(now, s)
		}
	}
	return now
}

// fields are the subspecialties that a reader may read on a day, the main one first.
func (r Reader) fields(on Date) (all []string) {
	for _, s := range r.inForce(on) {
		for _, name := range s.Subspecialties {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// unprivileged says why no privilege of the reader covers an exam on a day.
func (r Reader) unprivileged(exam Exam, on Date) []string {
	if len(exam.Needs) == 0 && r.privileged(&exam, on) {
		return nil
	}
	return r.whyUnprivileged(exam, on)
}

// privileged tells that one privilege covers the exam on the day.
func (r *Reader) privileged(exam *Exam, on Date) bool {
	wanted := exam.wanted()
	covers := func(s *Scope) bool {
		return (wanted == nil || slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(s.Subspecialties, w) })) &&
			(exam.Modality == "" || len(s.Modalities) == 0 || slices.Contains(s.Modalities, exam.Modality)) &&
			(exam.PatientAge < 0 || s.Ages.include(exam.PatientAge)) &&
			on.within(s.ValidFrom, s.ValidTo)
	}
	if r.Subspecialties != nil || len(r.Privileges) == 0 {
		if covers(&Scope{Subspecialties: r.Subspecialties, Modalities: r.Modalities, Ages: r.Ages}) {
			return true
		}
	}
	for i := range r.Privileges {
		if covers(&r.Privileges[i]) {
			return true
		}
	}
	return false
}

func (r Reader) whyUnprivileged(exam Exam, on Date) (reasons []string) {
	for _, need := range exam.Needs {
		if !slices.Contains(r.fields(on), need) {
			reasons = append(reasons, r.lacks(need, on))
		}
	}
	now := r.inForce(on)
	if now == nil {
		name := exam.Subspecialty
		if exam.wanted() == nil {
			name = ""
		}
		return append(reasons, r.lacks(name, on))
	}
	covered := func(by ...func(Scope) bool) bool {
		return slices.ContainsFunc(now, func(s Scope) bool {
			return !slices.ContainsFunc(by, func(covers func(Scope) bool) bool { return !covers(s) })
		})
	}
	field := func(s Scope) bool {
		return exam.wanted() == nil || slices.ContainsFunc(exam.wanted(), func(w string) bool { return slices.Contains(s.Subspecialties, w) })
	}
	modality := func(s Scope) bool {
		return exam.Modality == "" || len(s.Modalities) == 0 || slices.Contains(s.Modalities, exam.Modality)
	}
	age := func(s Scope) bool { return exam.PatientAge < 0 || s.Ages.include(exam.PatientAge) }
	if covered(field, modality, age) {
		return reasons
	}
	before := len(reasons)
	if !covered(field) {
		reasons = append(reasons, r.lacks(exam.Subspecialty, on))
	}
	if !covered(modality) {
		reasons = append(reasons, Phrase("no privilege for modality %s", exam.Modality))
	}
	if !covered(age) {
		reasons = append(reasons, Phrase("no privilege for the patient's age"))
	}
	if len(reasons) == before {
		reasons = append(reasons, Phrase("no one privilege for subspecialty, modality and the patient's age together"))
	}
	return reasons
}

// lacks says since when, or until when, there is no privilege for a
// subspecialty; "" is any.
func (r Reader) lacks(name string, on Date) string {
	said := Phrase("no privilege")
	if name != "" {
		said = Phrase("no privilege for %s", name)
	}
	for _, s := range r.scopes() {
		switch {
		case name != "" && !slices.Contains(s.Subspecialties, name):
		case s.ValidTo != "" && on > s.ValidTo:
			said = Phrase("privilege ended %s", s.ValidTo)
			if name != "" {
				said = Phrase("privilege for %s ended %s", name, s.ValidTo)
			}
		case s.ValidFrom != "" && on < s.ValidFrom:
			if name != "" {
				return Phrase("privilege for %s begins %s", name, s.ValidFrom)
			}
			return Phrase("privilege begins %s", s.ValidFrom)
		}
	}
	return said
}
