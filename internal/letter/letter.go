// Package letter writes a report the way a person reads it: as an HTML page
// and as a PDF, from the same plain data. It knows neither FHIR nor cases.
//
// The first page answers, before anything else: do the two readings agree,
// what differs, how much it matters, what to do, and whether to hurry. Then
// come examination, question, findings and impression, the identity of the
// report that was read a second time, the history of this one, and who signed
// it when. It carries no score and no judgement of the first reader: those are
// never part of the chart.
//
// The same Letter gives the same bytes, always: they are hashed and signed for.
package letter

import "time"

// Letter is one version of a report.
type Letter struct {
	Language string // one of Languages; "": en

	From   Party  // the service that gives the second opinion
	To     Party  // who asked for it
	Exam   string // what was read: "CT Head with contrast"
	Status string // FHIR diagnostic-report-status
	Number int    // version of the report, from 1

	PatientInBrief string // on every page: "Chalmers, Peter, born 25 December 1974, MRN 12345"
	Patient        []Line
	Study          []Line

	Agreement      string // agreement, minor-difference, major-difference, no-comparison
	Difference     string // in plain words what differs and why it matters
	Management     string // none, work-up, treatment, staging, referral; "" when not said
	Recommendation string
	Actionable     string // none, non-critical, urgent, emergent; "" when not said

	Question   string    // why the examination was made and what is asked now
	Told       []Finding // actionable findings, with whom somebody told of them
	Sections   []Section // history, technique, comparison, findings, impression: in reading order
	Original   []Line    // identity of the original report; empty when there was none
	History    []Version // every signed version, the oldest first, this one last
	Changes    []Change  // what this version changed in the text of the one before
	Signatures []Signature
	SealedAt   time.Time // when the opinion was sealed, before the original was shown; zero: not blinded
	Unveiled   bool      // but its reader had seen the original in an emergency before

	Identifiers []Line
	Zone        *time.Location // of the times shown; nil: UTC
	Paper       string         // "A4" or "Letter"; "": A4
}

// Party is an organisation or a person with an address.
type Party struct {
	Name  string
	Lines []string // department, street, town, telephone
}

// Line is a fact with its label.
type Line struct{ Label, Value string }

// Section is a part of the report with its heading. Line breaks in the text
// are kept.
type Section struct{ Heading, Text string }

// Version is one signed version in the report's history.
type Version struct {
	Number int
	Status string // FHIR diagnostic-report-status
	At     time.Time
	By     string
	Reason string // why it was changed; "" for the first
	Text   string // the addendum, or what was changed
}

// Signature is somebody who answers for the report.
type Signature struct {
	Name          string
	Qualification string // "MD, neuroradiology"
	Role          string // "Reader", "Third reader", "Supervisor"
	At            time.Time
}

// signedAt is when this version was signed: the date of the letter.
func (l Letter) signedAt() time.Time {
	if n := len(l.History); n > 0 {
		return l.History[n-1].At
	}
	if n := len(l.Signatures); n > 0 {
		return l.Signatures[n-1].At
	}
	return time.Time{}
}

// change is the change that made this version; ok is false for the first one.
func (l Letter) change() (v Version, ok bool) {
	if n := len(l.History); n > 1 {
		return l.History[n-1], true
	}
	return Version{}, false
}

func (l Letter) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return momentOf(l.Language, t.In(l.zone()))
}

func (l Letter) zone() *time.Location {
	if l.Zone == nil {
		return time.UTC
	}
	return l.Zone
}
