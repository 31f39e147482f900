package screen

import "time"

// TrailAsk is what somebody looks for in the audit trail; what is empty is not asked for.
type TrailAsk struct {
	Record    string // an identifier of a patient as it was typed, or Type/id of a resource
	Person    string // a part of a name
	Actor     string // the id of a person or system, as an event has it
	Token     string // all that was done with one token or session
	Role      string
	Action    string // http://hl7.org/fhir/audit-event-action
	Kind      string // a row of TrailKinds
	Outcome   string // done or failed
	From, To  string // dates
	Emergency bool
	After     string // where the page before ended
}

// Trail is a page of the audit trail, newest first.
type Trail struct {
	Events  []TrailEvent
	Next    string // where this page ended; "" where there are no more
	Whole   bool   // the reader has all of it; else the part that is for auditors
	Unknown bool   // no patient is known by what was typed
	Zone    *time.Location
}

// TrailEvent is an AuditEvent, as it is told to people.
type TrailEvent struct {
	ID        string
	At        time.Time
	Person    string // "" for somebody who was not let in
	Known     string // what the EHR that they came from calls them, as Practitioner/1
	Role      string
	Actor     string
	Code      string // what was done: an interaction of FHIR, or a kind of event at the door
	Detail    string // which operation, or of what type
	Records   []TrailRecord
	Things    []TrailThing
	Query     string
	Failed    bool
	Why       string // it failed
	Reason    string // that whoever did it gave
	Emergency bool

	// Of one event alone.
	Address  string // where the request came from
	Token    string
	Request  string // its id
	Server   string
	Text     string     // the event as it stands in the log
	SignedAt *time.Time // the first checkpoint that covers it; nil: none yet
	Index    int64      // its place in the log; -1 where that is not for who asks, or there is none yet
	Whole    bool
	Zone     *time.Location
}

// TrailRecord is a resource that an event was about. Short tells it from others in a list.
type TrailRecord struct{ Type, Reference, Short, Version string }

// TrailThing is what else an event was about: a client, a reader, a policy's version, scopes.
type TrailThing struct{ Name, Value string }

// Proof is how the log of the audit trail stands.
type Proof struct {
	Tenant   string // the name of it, and its id
	TenantID string
	Whole    bool
	Size     int64 // 0 where it is not for who asks
	Signed   []SignedPart
	Waiting  *time.Time // the oldest event that is not signed yet
	Outside  bool
	Moved    bool
	Fits     bool   // the log begins with what was signed last
	Broken   string // what does not fit
	Compared *TrailEvent
	Losses   []TrailEvent
	Now      time.Time
	Zone     *time.Location
}

// SignedPart is a checkpoint.
type SignedPart struct {
	At   time.Time
	Size int64 // 0 where it is not for who asks
	Root string
	Key  string
}
