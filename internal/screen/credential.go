package screen

import (
	"time"

	"github.com/overread/overread/workflow"
)

// ReaderCredentials are what a hospital knows of one who reads, as it counts now.
type ReaderCredentials struct {
	workflow.Reader

	Version int64             // of the Practitioner
	Missing []string          // why the matching would give them nothing now, in words
	Ends    []Expiring        // what ends within so many days, or has ended
	Roles   []ReaderRole      // the PractitionerRoles that say it; none: the operator did
	Said    []ReaderSaid      // by whom, the last first
	Today   workflow.Date     // in their time zone
	Parties []Party           // with whom a conflict may be declared
	Names   map[string]string // of those that one is declared with, as far as known
}

// ReaderRole is a PractitionerRole of a reader as its form has it.
type ReaderRole struct {
	ID             string // "" for a new one
	Version        int64
	Active         bool
	Parts          []string // codes of reader-role
	Subspecialties []string // the main one first
	Modalities     []string
	From, To       workflow.Date
	AgeFrom, AgeTo int // 0: without
	Capacity       int // 0: no limit
	Zone           string
	Absences       []workflow.Absence
	Shifts         []workflow.Shift // none: always at work
	Conflicts      []string         // Organization/{id}, Practitioner/{id} or system|value
	Mail           workflow.Address // where escalations go
}

// Party is somebody whose reports a reader may not second.
type Party struct{ Key, Name string }

// ReaderSaid is that something was said of a reader.
type ReaderSaid struct {
	At         time.Time
	Source, By string
	Gone       bool // the source is no more
}
