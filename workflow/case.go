package workflow

import (
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// Case is one second opinion, from order to closure: a row of case_file.
type Case struct {
	TenantID              uuid.UUID
	CaseID                uuid.UUID
	Version               int64 // counts the events; the seq of the last case_event
	State                 State
	ResumeState           *State
	Priority              string // FHIR request-priority: stat, asap, urgent, routine
	PlacerSystem          string
	PlacerValue           string
	ServiceRequestID      *string // our copy; nil while the order stays at the EHR
	ServiceRequestRef     string
	TaskID                string
	PatientID             *string
	StudyID               *string // ImagingStudy
	StudyUID              *string // without "urn:oid:"
	Accession             *string
	OriginalReportID      *string
	OriginalReportVersion *int64
	Exam                  Exam
	Protocol              Protocol
	Reading               ReadingProtocol
	ProtocolWhy           string // who has decided both, and by what
	Comparable            *bool  // nil until known; false: no original report to compare with
	Policy                Policy
	PolicyVersion         int    // of tenant_policy; 0: none, or before there were versions
	PolicySHA256          []byte // of the version's text
	Waived                []string
	Findings              []Finding
	Correction            *Correction // of the order, while it was read; on hold only
	ReaderID              *uuid.UUID  // who has the case; of two who have read it, who leads it on
	OtherReaderID         *uuid.UUID  // of two who read independently the other one
	OpinionNo             *int        // the opinion in force, once it is known
	Settled               *string     // how two opinions became one (protocol.go)
	ReturnedAt            *time.Time  // a supervisor has returned it to its reader, who may revise the text
	Veiled                bool        // a third reader is to read before they see what is known
	AdjudicatorID         *uuid.UUID
	SupervisorID          *uuid.UUID
	OfferedTo             *uuid.UUID
	Declined              []uuid.UUID
	Lapsed                []uuid.UUID // who let an offer expire in this round
	OfferRound            int         // of the policy's offerRounds, from 1
	Conflicted            []uuid.UUID // who has declined for a conflict in this case
	ReportID              *string
	ReportNo              int
	ReportStatus          *string
	ErrorProposedBy       *uuid.UUID
	OpenedAt              time.Time
	CompleteAt            *time.Time
	AcceptedAt            *time.Time
	LockedAt              *time.Time
	RevealedAt            *time.Time
	FinalAt               *time.Time
	ClosedAt              *time.Time
	SampleOf              *uuid.UUID // the case of which this is a second read for quality
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Number is our order number as people print, dictate and type it: the day the
// case was opened and 40 of the random bits of its id, in Crockford's alphabet.
// It never changes, and nothing but a search at the board takes it apart (boardfind.go).
func (c Case) Number() string {
	var bits uint64
	for _, b := range c.CaseID[11:] {
		bits = bits<<8 | uint64(b)
	}
	var digits [8]byte
	for i := range digits {
		digits[len(digits)-1-i] = crockford[bits>>(5*i)&31]
	}
	return "OR" + c.OpenedAt.UTC().Format("060102") + "-" + string(digits[:4]) + "-" + string(digits[4:])
}

// Concealed tells whether who reads is not to know yet what the original says: before
// the reveal, and then of a third reader who is to read first.
func (c Case) Concealed() bool { return c.RevealedAt == nil || c.Veiled }

// Exam is what is read: the study, and who read it first, as far as matching
// and the report need it.
type Exam struct {
	Display         string        `json:"display,omitempty"`    // "CT Head W contrast IV"
	CodeSystem      string        `json:"codeSystem,omitempty"` // of the original exam, e.g. http://loinc.org
	Code            string        `json:"code,omitempty"`
	Modality        string        `json:"modality,omitempty"` // DICOM: CT, MR, DX, ...
	BodySite        string        `json:"bodySite,omitempty"`
	Laterality      string        `json:"laterality,omitempty"`     // left, right, bilateral or ""
	Subspecialty    string        `json:"subspecialty,omitempty"`   // see triage.go
	Needs           []string      `json:"needs,omitempty"`          // what a reader must have besides
	Triage          *Triage       `json:"triage,omitempty"`         // why; nil where the facts said the subspecialty themselves
	Asked           *ProtocolWish `json:"asked,omitempty"`          // what the order wants of the protocol
	Broadened       *Broadening   `json:"broadened,omitempty"`      // who may read it besides; nil: only those who should
	Downgrade       string        `json:"downgrade,omitempty"`      // that its reader is none of those who should read it, and why: for the report
	ThirdDowngrade  string        `json:"thirdDowngrade,omitempty"` // the same of its third reader
	ThirdForgone    string        `json:"thirdForgone,omitempty"`   // that there was no third reader, and what the director decided: for the report
	Reasons         []string      `json:"reasons,omitempty"`        // of the request: system|code
	Priors          []string      `json:"priors,omitempty"`         // ImagingStudy/{id} of those that are only compared
	Setting         string        `json:"setting,omitempty"`        // inpatient, outpatient, emergency; "" when nobody says
	Jurisdiction    string        `json:"jurisdiction,omitempty"`   // where the images were made, e.g. US-NY; "" when unknown
	Images          int           `json:"images,omitempty"`         // instances in the PACS when the order was found complete
	ImagesSaid      int           `json:"imagesSaid,omitempty"`     // that the ImagingStudy said then
	ImagesSince     int           `json:"imagesSince,omitempty"`    // that the study has since it grew after an opinion was sealed
	ImagesSeen      int           `json:"imagesSeen,omitempty"`     // that the ImagingStudy said, and then the study had when it last changed after the signature
	Ordered         *OrderedSite  `json:"ordered,omitempty"`        // which part of the body the order names; nil where the order is not here
	Question        *string       `json:"question,omitempty"`       // that the order asks; nil where no case has taken it
	QuestionRead    *string       `json:"questionRead,omitempty"`   // that it asked when the opinion that is signed was sealed: for the report
	PatientAge      int           `json:"patientAge"`               // years at the time of the study; -1 when unknown
	StudyStarted    *time.Time    `json:"studyStarted,omitempty"`
	OriginalReaders []string      `json:"originalReaders,omitempty"` // Practitioner/{id} here, or system|value
	OriginalGroups  []string      `json:"originalGroups,omitempty"`  // Organization/{id} here, or system|value
	OriginalAuthors []string      `json:"originalAuthors,omitempty"` // of OriginalReaders, who made the report itself
	OriginalNow     int64         `json:"originalNow,omitempty"`     // the latest version of it that was noted
	OriginalNames   []string      `json:"originalNames,omitempty"`   // of readers whom only a name names
	OriginalUnclear []string      `json:"originalUnclear,omitempty"` // of a signed case: who may have read it first, or made a report of it since, as the coordinator was told
	OriginalSaid    string        `json:"originalSaid,omitempty"`    // a digest of what that version says
	OriginalStatus  string        `json:"originalStatus,omitempty"`  // that it had
	OriginalCame    *time.Time    `json:"originalCame,omitempty"`    // where it came after the reveal: what was graded before compares nothing
	Strayed         string        `json:"strayed,omitempty"`         // of a signed case: what of it is another patient's now, as was told
	OriginalRevised *time.Time    `json:"originalRevised,omitempty"` // where it says something else than when it was revealed: what was graded before compares what is no more said

	AmendedBy *uuid.UUID `json:"amendedBy,omitempty"` // who has the amendment that is open: has begun it, taken it over or been given it
	Signer    *uuid.UUID `json:"signer,omitempty"`    // who signed the version in force, where it is not the first
}

// Order is what a placer sends, mapped from FHIR (or, later, HL7 v2).
type Order struct {
	PlacerSystem      string // of the placer order number; never empty
	PlacerValue       string
	ServiceRequestID  *string
	ServiceRequestRef string
	TaskID            string // of the Coordination Task: the placer's own, or ours
	PatientID         *string
	Priority          string
	Asked             ProtocolWish // what the order wants; it counts where the policy lets it
	SampleOf          *uuid.UUID
}

// Opinion is what a reader makes of the images, section by section; plain text.
type Opinion struct {
	Technique      string      `json:"technique,omitempty"`
	Comparison     string      `json:"comparison,omitempty"` // priors looked at
	Findings       string      `json:"findings"`
	Impression     string      `json:"impression"`
	Recommendation string      `json:"recommendation,omitempty"`
	Actionable     string      `json:"actionable,omitempty"`  // how soon somebody must act: none, non-critical, urgent, emergent
	Conclusions    []Coding    `json:"conclusions,omitempty"` // DiagnosticReport.conclusionCode
	Structured     *Structured `json:"structured,omitempty"`  // findings by the sections of a template; Findings is free text after them
}

// MoreImages tells that the PACS has more images than the ImagingStudy says, which does not
// keep the case but is worth knowing.
func (e Exam) MoreImages() bool { return e.ImagesSaid > 0 && e.Images > e.ImagesSaid }

// Coding is a code of a terminology with its text.
type Coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

// Report is what is signed: word for word what the report says, before it is
// rendered. It is kept in signed_report and never changes.
type Report struct {
	No            int               `json:"no"`
	Status        string            `json:"status"` // final, appended, corrected, amended, entered-in-error
	Opinion       Opinion           `json:"opinion"`
	Level         Level             `json:"level"`
	Difference    string            `json:"difference,omitempty"`       // what differs from the original and why it matters; plain words, no blame
	Management    string            `json:"managementChange,omitempty"` // none, work-up, treatment, staging, referral
	Actionable    string            `json:"actionable,omitempty"`       // none, non-critical, urgent, emergent: the more pressing of the opinion's and Compared
	Compared      string            `json:"compared,omitempty"`         // how soon somebody must act on what differs
	Findings      []ReportedFinding `json:"findings,omitempty"`         // actionable ones, with whom somebody told of them
	Amendment     *Amendment        `json:"amendment,omitempty"`
	Authors       []uuid.UUID       `json:"authors,omitempty"` // whose text it is (authors.go); empty in reports of before it was noted
	ReaderID      uuid.UUID         `json:"readerId"`
	OtherReaderID *uuid.UUID        `json:"otherReaderId,omitempty"` // the second of two whose text it is
	AdjudicatorID *uuid.UUID        `json:"adjudicatorId,omitempty"`
	SupervisorID  *uuid.UUID        `json:"supervisorId,omitempty"`
	Cosigned      []string          `json:"cosigned,omitempty"` // the sections that the supervisor has changed
	SignedBy      uuid.UUID         `json:"signedBy"`
	StandIn       WhyStandIn        `json:"standIn,omitempty"` // why it was not signed by whose report it is (signatory.go)
	SignedAt      time.Time         `json:"signedAt"`
	GradeNo       int               `json:"gradeNo,omitempty"` // the grade that it was compared by; 0 when there was nothing to compare with
	OpinionSHA256 string            `json:"opinionSha256"`     // of the locked opinion, hex
	LockedAt      time.Time         `json:"lockedAt"`
}

// Amendment says what changed against the version before.
type Amendment struct {
	Kind     string   `json:"kind"` // addition, correction, amendment; error when the report is withdrawn
	Reason   string   `json:"reason"`
	Text     string   `json:"text"`               // the addendum itself, or what was changed
	Remove   []string `json:"remove,omitempty"`   // sections that are taken back (Removable)
	Verifies bool     `json:"verifies,omitempty"` // takes into account what the study has become since the signature
}

// Input is what the actor of an event gives with it; each event reads its own part.
type Input struct {
	Reason       string           // why, for whoever asks later; required by the guard reasonGiven
	Independent  bool             // claim: the reader attests independence from the first reading
	ReaderID     *uuid.UUID       // offer, reassign: to whom
	Code         string           // decline: why, one of DeclineCodes
	Breadth      Breadth          // broaden: how far
	Priority     string           // reprioritise
	Opinion      *Opinion         // draft, lock; adjudicate and amend: the corrected opinion, else nil
	DraftNo      *int             // draft, lock: the draft that it follows; nil: none
	SHA256       string           // concur: of the text that is agreed to, hex
	Decision     string           // arbitrate, adjudicate: whose opinion stands: first, second, own
	Grade        *Grade           // grade, adjudicate; sign, at co-signature or of an amendment: a new one
	GradeStands  bool             // sign, at co-signature: the reader's grade holds for the changed text
	Amendment    *Amendment       // sign, when amending
	Amends       int              // sign, when amending: the version that it was written against; 0: it is not said
	Judgement    *Judgement       // judge-management
	Truth        *Truth           // outcome
	Point        *LearningPoint   // add-learning-point, withdraw-learning-point
	Conclusion   *Conclusion      // close-review
	Matter       int              // of several, the number of the one that is meant; 0: the only open one
	Finding      *RaisedFinding   // raise-finding
	Call         *Call            // communicate
	Outcomes     []FindingOutcome // sign: which findings of another text stand
	Acknowledged Acknowledged     // acknowledge, acknowledge-finding: by whom
	ReportNo     int              // acknowledge: which version was read; 0: the one in force
	Question     *Asked           // ask
	Answer       string           // answer

	// Of the system's own events.
	Facts        *Facts                 // intake, correct, continue-reading: what the order means now
	PatientID    *string                // follow-patient
	Findings     []Finding              // intake and matching: what they said
	Candidates   map[uuid.UUID][]string // find-nobody: why not, by reader
	Clock        ClockName              // warn, breach, escalate
	Percent      int                    // warn, breach, escalate: of the limit
	ClockStarted *time.Time             // warn, breach
	Next         *Told                  // escalate: the link to be told
	Study        *StudyChange           // study-changed
}

// Change is one fired event, as the hooks and the caller see it.
type Change struct {
	Before  State // "" for the first event
	Case    Case  // after the event
	Event   Event
	Actor   access.Actor
	Input   Input
	At      time.Time // the transaction's one now
	Report  *Report   // set when the event signed one
	Draft   *Draft    // set when the event saved one
	Told    []Told    // who was told by the event
	Matters []Matter  // those that the event opened, changed or settled
}
