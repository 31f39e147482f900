package screen

import "time"

// CaseFile is one case before whoever coordinates. What is in words is said in the
// words of its source; codes are told by the page.
type CaseFile struct {
	Task     string // id
	Version  int64  // of the Task
	Number   string // ours
	Order    string // the placer's
	Exam     string
	Priority string
	State    string
	Held     string // on hold: the state to which it goes back
	Protocol string
	TwoRead  bool
	Sample   bool // a second read for quality
	Opened   time.Time
	WaitsFor string // of workflow.BoardParties
	Reason   string // why, as a code
	Since    time.Time
	Due      *time.Time
	Now      time.Time
	Zone     *time.Location // of the hospital

	Escalated bool // somebody was told of a clock, and nobody has taken note

	Veiled  bool // whoever looks reads here too, and is not to know yet: nothing of the original, and who has a part, is told
	People  []CasePerson
	Patient CasePatient
	Clocks  []CaseClock
	Waits   []CaseWait
	Gross   time.Duration // since the order came
	Net     time.Duration // since it was complete, less the pauses that stop the clock

	Findings   []CaseFinding
	Asked      []CaseAsked
	Doubts     []Doubt
	Matters    []CaseMatter
	Deliveries []CaseDelivery
	History    []Happened // the last first
	Deeds      []Deed     // what can be done now
	Barred     []string   // why what somebody would look for is not among them, and what to do instead
}

// CasePerson is somebody who has a part in a case.
type CasePerson struct{ Part, Name string }

// CasePatient is whose case it is.
type CasePatient struct{ Name, Born, Sex, Record string }

// CaseClock is a clock of a case.
type CaseClock struct {
	Clock    string // the family of workflow.ClockName
	Started  time.Time
	Deadline *time.Time
	Stage    int  // the percent that spoke last
	Paused   bool // it stands still
}

// CaseWait is a time that a case has waited for somebody outside of the reading.
type CaseWait struct {
	Party, Reason string
	Stops         bool // the clock of the report stands still
	Began         time.Time
	Ended         *time.Time
}

// CaseFinding is what the intake checks or the matching have found.
type CaseFinding struct{ Code, Kind, Element, Text string }

// CaseAsked is what was asked of somebody for a case.
type CaseAsked struct {
	Finding string // its code
	Of      string // whom, as the order says it
	At      time.Time
	Status  string // active, on-hold, completed, revoked
	Why     string
	Text    string
}

// CaseMatter is a finding that somebody must be told of, a question, or a changed study.
type CaseMatter struct {
	No       int
	Kind     string
	Category string
	Text     string
	Person   string // who asks
	Opened   time.Time
	Due      time.Time
	Settled  *time.Time
	How      string
	Closing  string
	Calls    []Told
	May      map[string]bool // what may be done about it now

	ForDirector bool // of those who may dismiss it a director alone
}

// Deliveries are a page of the desk of deliveries.
type Deliveries struct {
	All  []CaseDelivery
	Next string         // the place after which the next page begins; "" at the end
	Zone *time.Location // of the hospital
}

// Told is that somebody was told of a finding, or that it was tried.
type Told struct {
	Recipient, Role, Medium string
	Reached, ReadBack       bool
	At                      time.Time
	Note                    string
}

// CaseDelivery is one thing on its way to a destination.
type CaseDelivery struct {
	Task        string
	Order, Exam string
	No          int    // of the signed version; below 0 for a preliminary report, from workflow.FirstMessage on for messages
	Kind        string // report, preliminary, message
	Destination string
	State       string // queued, parked, done, withdrawn
	Uncertain   bool   // an attempt has ended without an answer: the destination may have it
	UnderWay    bool
	Queued      time.Time
	Next        *time.Time
	Done        *time.Time
	Settled     *SettledDelivery
	Attempts    []Attempt
}

// SettledDelivery is what a person has decided of a delivery.
type SettledDelivery struct {
	How, Reason, Role string
	At                time.Time
}

// Attempt is one try to deliver, and the answer.
type Attempt struct {
	No      int
	At      time.Time
	Outcome string // delivered, retry, parked, released
	Status  int    // of HTTP; 0 without an answer
	Reason  string // a code of ours
	Took    time.Duration
}

// Happened is an event of a case.
type Happened struct {
	At      time.Time
	Event   string
	From    string
	To      string
	Role    string
	Who     string // by name, where it was a reader
	Reader  string // whom it was offered or given to, or whose offer ended
	Another bool   // it had been offered to another reader before
	Reason  string
	Clock   string
	Percent int
}

// Deed is an operation of a case that the table of transitions has for a role now.
type Deed struct {
	Name   string
	Fields []DeedField
}

// DeedField is a parameter of it.
type DeedField struct {
	Name     string
	Kind     string // text, line, choice, check, number
	Required bool
	Choices  []Choice
}

// Choice is one of the values of a field.
type Choice struct{ Value, Words string }

// Doubt is a doubt of the intake checks with what each source says, side by side.
type Doubt struct {
	Codes   []string // the findings: several may be of one mismatch
	Sources []string // the columns
	Rows    []DoubtRow
}

// DoubtRow is one thing that is compared.
type DoubtRow struct {
	Element   string
	Agreement string     // equal, differs, unknown
	Said      [][]string // by source
}

// Candidates are the readers of a hospital for a case.
type Candidates struct {
	File   CaseFile // its head alone
	Duty   string
	Offers string // the operation that gives it to one of them now: offer, reassign; "" none
	All    []Candidate
}

// Candidate is one of them.
type Candidate struct {
	ID, Name                        string // Practitioner
	Eligible                        bool
	Reasons, Unavailable            []string
	Rank, Open, Capacity            int
	Score, Fit, Load, Fairness, Due float64
}

// Expiring is a credential of a reader that ends, or has ended.
type Expiring struct {
	Name, What string
	Last       time.Time
	Past       bool
}
