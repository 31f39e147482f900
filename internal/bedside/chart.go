// Package bedside is what a clinician sees of one patient's second opinions, as
// plain data: package fhir fills it from what the clinician may read, package web
// shows it. What is a code here, the page says in the clinician's language; what
// people wrote is shown as they wrote it. It holds no score and no judgement of the
// first reader, which are never part of the chart.
package bedside

import (
	"slices"
	"time"

	"github.com/overread/overread/internal/letter"
)

// Chart is one patient with all second opinions about them, the one that was
// asked for first, then the newest.
type Chart struct {
	Patient  Patient
	Opinions []Opinion
}

// Patient is whom the page is about.
type Patient struct {
	Name   string
	Born   string // a FHIR date, of whatever precision
	Sex    string // FHIR administrative-gender
	Number string // of the record
}

// Opinion is one second opinion, from its order to its report.
type Opinion struct {
	Task      string // id of its Task
	InContext bool   // the clinician came from this order
	Exam      string
	Order     string // the number that the EHR gave the order
	Question  string
	Ordered   time.Time
	Due       *time.Time // while it is not signed
	Priority  string     // as it was ordered: routine, urgent, asap, stat

	State    string // in English words
	Next     string // who is to do what now, or why it ended; "" when nothing is left
	Steps    []Step // of its way, while it is on it
	Ended    bool   // without a report
	Signed   bool
	CanTell  bool // the clinician may acknowledge it now
	CanAsk   bool // about the signed report
	SeenAt   *time.Time
	Amending bool   // another version is being written, and this one holds meanwhile
	Changed  string // what has changed since the signature, and nobody has looked at again
	Astray   bool   // and that the report may be of another patient by it

	Findings  []Finding // actionable ones that were not taken back, those that wait first
	Questions []Question

	Report   string    // id of its DiagnosticReport, "" before the first signature
	Glance   Glance    // of the version in force
	Versions []Version // the newest first
	Zone     *time.Location
	ForThem  bool // the policy lets the patient have a summary of it
}

// Told tells whether a finding says already how pressing the report in force is: a page
// says it once.
func (o Opinion) Told() bool {
	return slices.ContainsFunc(o.Findings, func(f Finding) bool { return f.Category == o.Glance.Actionable })
}

// Glance is what a signed report says before anything else.
type Glance struct {
	Number         int
	Status         string // FHIR diagnostic-report-status
	Agreement      string // agreement, minor-difference, major-difference, no-comparison
	Difference     string // what differs and why it matters, in words
	Management     string // none, work-up, treatment, staging, referral; ""
	Recommendation string
	Actionable     string // none, non-critical, urgent, emergent; ""
	Impression     string
	Signatures     []letter.Signature
	Change         *Change // what made this version of an earlier one
}

// Withdrawn tells whether the report was taken back: nothing of it holds.
func (g Glance) Withdrawn() bool { return g.Status == "entered-in-error" }

// Change is what a version changed.
type Change struct {
	Status string // of the version that it made
	No     int    // the version that it replaced
	At     time.Time
	Text   string
	Reason string
}

// Finding is something that somebody has to act on.
type Finding struct {
	No       int    // by which it is acknowledged
	Category string // emergent, urgent, non-critical
	Text     string
	At       time.Time
	Open     bool
	Due      time.Time  // of its acknowledgement
	SeenAt   *time.Time // acknowledged
	SeenBy   string     // by whom, as far as they said
}

// Question is one about the report, with its answer.
type Question struct {
	No       int
	Text     string
	By       string
	At       time.Time
	Due      time.Time // while it is open
	Open     bool
	Taken    bool // it was taken back
	Answer   string
	Answered *time.Time
	Version  int // that the answer made, as an addendum
}

// Version is one signed version of a report.
type Version struct {
	ID     string // of the resource's version
	Number int
	Status string // FHIR diagnostic-report-status
	At     time.Time
	By     string
	Change string // what was changed, or why; "" for the first
	Read   []Reading
	Forms  []string
}

// Reading is that somebody acknowledged a version.
type Reading struct {
	At time.Time
	By string // "" where nobody said
}

// Opened is one second opinion, opened: both reports side by side, and what changed
// between two versions.
type Opened struct {
	Patient  Patient
	Opinion  Opinion
	Original *Original // nil where none may be shown, or before the signature
	Sides    []Side

	From, To int // the versions that are compared; 0 where there is one only
	Changes  []letter.Change
}

// Original is the report that was read a second time.
type Original struct {
	Title  string
	Issued string // a FHIR date, of whatever precision
	Status string
	Later  bool // it has been changed since it was compared
}

// Side is a part of both reports; the runs of each are its whole text.
type Side struct {
	Heading       string // in English
	First, Second []letter.Run
}

// Form is a report as a file.
type Form struct {
	ContentType string // text/html or application/pdf
	Content     []byte
}
