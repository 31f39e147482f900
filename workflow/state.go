package workflow

// State is where a case stands.
type State string

// The states, in the order of a case's life.
const (
	Received            State = "received"
	IntakeReview        State = "intake-review"
	AwaitingInformation State = "awaiting-information"
	AwaitingImages      State = "awaiting-images"
	Ready               State = "ready"
	Unassignable        State = "unassignable"
	Offered             State = "offered"
	Accepted            State = "accepted"
	Reading             State = "reading"
	Conferring          State = "conferring"
	Arbitration         State = "arbitration"
	Locked              State = "locked"
	Comparing           State = "comparing"
	Adjudication        State = "adjudication"
	AwaitingCosign      State = "awaiting-cosign"
	Final               State = "final"
	Closed              State = "closed"
	Amending            State = "amending"
	OnHold              State = "on-hold"
	Rejected            State = "rejected"
	Cancelled           State = "cancelled"
	Failed              State = "failed"
	EnteredInError      State = "entered-in-error"
)

// StateInfo is what everybody needs to know of a state. The last three columns
// are codes of FHIR R4 value sets: request-status, task-status and
// diagnostic-report-status ("" where there is no report yet; "=" where the
// status of the last signed version stays).
type StateInfo struct {
	State          State
	Display        string // for people, short
	Meaning        string
	ActsNext       string
	ServiceRequest string
	Task           string
	Report         string
}

// States is the table of states, as docs/states.md shows it.
var States = []StateInfo{
	{Received, "Received", "order accepted and durable; the intake checks run", "system", "active", "requested", ""},
	{IntakeReview, "Intake review", "a check needs a human decision: identity, laterality, possible duplicate", "coordinator", "active", "received", ""},
	{AwaitingInformation, "Awaiting information", "the original report, the history, the question or the consent is missing and asked for", "placer", "active", "on-hold", ""},
	{AwaitingImages, "Awaiting images", "the study cannot be had yet, or has fewer instances than its ImagingStudy says", "placer, system", "active", "on-hold", ""},
	{Ready, "Ready", "complete; in the pool", "reader, system", "active", "ready", ""},
	{Unassignable, "Unassignable", "nobody is eligible; the reason for each candidate is recorded", "coordinator", "active", "ready", ""},
	{Offered, "Offered", "offered to one reader until the offer expires", "reader", "active", "ready", ""},
	{Accepted, "Accepted", "a reader has it and attested independence", "reader", "active", "accepted", "registered"},
	{Reading, "Reading", "first pass; under a blinded protocol the original report is withheld", "reader", "active", "in-progress", "registered"},
	{Conferring, "Conferring", "two independent opinions are sealed; their readers compare them, and may see both from now on", "reader", "active", "in-progress", "registered"},
	{Arbitration, "Arbitration", "the two readers differ; a third decides", "adjudicator", "active", "in-progress", "registered"},
	{Locked, "Locked", "the independent opinion is sealed with its hash and time", "reader", "active", "in-progress", "registered"},
	{Comparing, "Comparing", "the original is revealed; the discrepancy is graded", "reader", "active", "in-progress", "registered"},
	{Adjudication, "Adjudication", "policy demands a third reader", "adjudicator", "active", "in-progress", "registered"},
	{AwaitingCosign, "Awaiting co-signature", "a trainee's or locum's report waits for a supervisor's signature", "supervisor", "active", "in-progress", "registered"},
	{Final, "Final", "signed; delivery runs; waits for the clinician's acknowledgement", "placer", "completed", "completed", "="},
	{Closed, "Closed", "acknowledged", "none", "completed", "completed", "="},
	{Amending, "Amending", "a signed report gets an addendum, correction or amendment; the signed version stays in force", "reader", "completed", "completed", "="},
	{OnHold, "On hold", "suspended by the placer; the earlier state is resumed", "placer", "on-hold", "on-hold", "="},
	{Rejected, "Rejected", "never accepted: wrong patient, duplicate, out of scope, no consent, unreadable, jurisdiction", "none", "revoked", "rejected", "cancelled"},
	{Cancelled, "Cancelled", "revoked by the placer", "none", "revoked", "cancelled", "cancelled"},
	{Failed, "Failed", "accepted but cannot be done", "none", "revoked", "failed", "cancelled"},
	{EnteredInError, "Entered in error", "declared an error by the medical director; never deleted", "none", "entered-in-error", "entered-in-error", "entered-in-error"},
}

// Info returns the row of a state; it panics for a state that is not in the
// table, which the database's CHECK makes impossible.
func (s State) Info() StateInfo {
	for _, row := range States {
		if row.State == s {
			return row
		}
	}
	panic("workflow: no such state: " + string(s))
}
