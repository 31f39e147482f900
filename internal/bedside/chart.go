// Package bedside is what a clinician sees of one patient's second opinions, as
// plain data: package fhir fills it from what the clinician may read, package web
// shows it. It holds no score and no judgement of the first reader, which are
// never part of the chart.
package bedside

import (
	"time"

	"github.com/overread/overread/internal/letter"
)

// Chart is one patient with all second opinions about them, the one that was
// asked for first, then the newest.
type Chart struct {
	Patient  []letter.Line
	Opinions []Opinion
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
	Urgent    bool       // ordered as urgent, asap or stat

	State   string // in words
	Next    string // who is to do what now, or why it ended; "" when nothing is left
	Steps   []Step // of its way, while it is on it
	Ended   bool   // without a report
	Signed  bool
	CanTell bool // the clinician may acknowledge it now
	SeenAt  *time.Time

	Report   string       // id of its DiagnosticReport, "" before the first signature
	Letter   letter.Brief // of the version in force
	Versions []Version    // the newest first
	Zone     *time.Location
}

// Step is a part of the way of a case.
type Step struct {
	Name string
	Done bool
	Now  bool
}

// Version is one signed version of a report.
type Version struct {
	ID     string // of the resource's version
	Number int
	Status string // in words
	At     time.Time
	By     string
	Change string // what was changed, or why; "" for the first
	Forms  []string
}

// Form is a report as a file.
type Form struct {
	ContentType string // text/html or application/pdf
	Content     []byte
}
