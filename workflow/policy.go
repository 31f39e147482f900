package workflow

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync/atomic"
)

// Policy is how a tenant wants its cases to run: a version of tenant_policy,
// laid over the defaults. A case keeps the one that was in force when it began.
// What each setting means and may be is said in policyschema.go.
type Policy struct {
	Protocol                Protocol        `json:"protocol"`
	Reading                 ReadingProtocol `json:"reading,omitzero"`           // "" for single
	ConferWithin            *Span           `json:"conferWithin,omitempty"`     // nil: half of what adjudication may take
	BlindAdjudication       bool            `json:"blindAdjudication,omitzero"` // a third reader reads before they see what the others say
	OrderMayAskProtocol     bool            `json:"orderMayAskProtocol,omitzero"`
	Assignment              Assignment      `json:"assignment"`
	OfferRounds             int             `json:"offerRounds"`
	AdjudicateOn            AdjudicateOn    `json:"adjudicateOn"`
	ServiceRequestAuthority Authority       `json:"serviceRequestAuthority"`
	Clocks                  Clocks          `json:"clocks"`
	Calendar                Calendar        `json:"calendar"`
	DuplicateWithinDays     int             `json:"duplicateWithinDays"` // 0: only open cases count as duplicates
	ImagesGiveUpDays        int             `json:"imagesGiveUpDays"`
	ImagesSteadyMinutes     int             `json:"imagesSteadyMinutes,omitzero"` // 0 for 5 (the release before knows it not, and reads policies strictly); so long the PACS must show the same number of images, where it has more than was said
	OriginalReportWait      *Span           `json:"originalReportWait,omitempty"` // nil: as long as intake may take
	QuestionRequired        bool            `json:"questionRequired"`
	HistoryRequired         bool            `json:"historyRequired"`
	RequesterRequired       bool            `json:"requesterRequired"`
	UnnamedOriginalReader   UnnamedReader   `json:"unnamedOriginalReader,omitempty"` // "" for compare
	ConsentRequired         bool            `json:"consentRequired"`
	Requesters              []string        `json:"requesters,omitempty"` // who may order; empty: whomever the placer lets
	OutOfScope              []TriageWhen    `json:"outOfScope,omitempty"` // exams that are not read here, unless the coordinator says so
	SameGroupForbidden      bool            `json:"sameGroupForbidden"`   // no reader of the original reader's group
	Findings                FindingLimits   `json:"findings"`
	PreliminaryOn           PreliminaryOn   `json:"preliminaryOn"`
	CredentialNoticeDays    int             `json:"credentialNoticeDays"` // so many days before it is told that a credential ends of who has a case
	Triage                  []TriageRule    `json:"triage,omitempty"`
	Matching                Matching        `json:"matching"`
	Broaden                 []Rung          `json:"broaden,omitempty"` // none: only the coordinator broadens
	Related                 []Kinship       `json:"related,omitempty"`
	Escalations             []Escalation    `json:"escalations"`
	Grading                 GradingMode     `json:"grading,omitempty"`         // "": scored (the release before knows it not, and reads policies strictly)
	Feedback                FeedbackMode    `json:"feedback,omitempty"`        // "": off
	QualityNames            NameMode        `json:"qualityNames,omitempty"`    // "": open
	Sampling                *Sampling       `json:"sampling,omitempty"`        // nil: none
	Publication             *Publication    `json:"publication,omitempty"`     // nil: 30 days, and the default pairs
	PatientSummary          *PatientSummary `json:"patientSummary,omitempty"`  // nil: none
	LetterLanguages         []string        `json:"letterLanguages,omitempty"` // in which a signed report is written for people; empty: English
	Viewer                  *HospitalViewer `json:"viewer,omitempty"`          // nil: none; read from the version in force, for cases of every version
	Contacts                Contacts        `json:"contacts"`                  // read from the version in force, for cases of every version
}

// LetterLanguages are those that a signed report can be written in (internal/letter).
var LetterLanguages = []string{"en", "de"}

// Languages are those in which a signed report is written for people, the first one first.
func (p Policy) Languages() []string {
	if len(p.LetterLanguages) == 0 {
		return LetterLanguages[:1]
	}
	return p.LetterLanguages
}

// PatientSummary lets a patient have a summary of the signed report in plain words.
type PatientSummary struct {
	NameReaders bool   `json:"nameReaders,omitzero"` // it says who has read and signed
	Contact     string `json:"contact,omitempty"`    // whom to ask; "": the doctor who asked for the second opinion
}

// Assignment says how a case finds its reader.
type Assignment string

// The ways of assignment.
const (
	ByOffer  Assignment = "offer" // offered to the best one, then the next
	FromPool Assignment = "pool"  // claimed by whoever is eligible
	ByBatch  Assignment = "batch" // offered, after a look at all cases that wait and all readers at once
)

// Matching says how the best of the eligible readers is chosen (rank.go).
type Matching struct {
	Weights    Weights `json:"weights"`
	FairDays   int     `json:"fairDays"`   // so far back fairness looks
	BatchEvery Span    `json:"batchEvery"` // how often the pool is assigned, where assignment is batch
}

// AdjudicateOn is the least level of discrepancy that demands a third reader.
type AdjudicateOn string

// The thresholds of adjudication.
const (
	AdjudicateMajor AdjudicateOn = "major"
	AdjudicateMinor AdjudicateOn = "minor"
	AdjudicateNever AdjudicateOn = "never"
)

// GradingMode says whether readings are scored.
type GradingMode string

// The modes of grading.
const (
	GradingScored       GradingMode = "scored"
	GradingPeerLearning GradingMode = "peer-learning" // no scores and no expectedness; learning points instead
)

// Authority says who sets ServiceRequest.status. It is the placer's; the
// filler's only where our copy is the authoritative store (COW 1.0,
// cancelling-and-modifying-requests).
type Authority string

// The authorities.
const (
	PlacerSets Authority = "placer"
	FillerSets Authority = "filler"
)

// Clocks are the time limits, by priority (FHIR request-priority).
type Clocks struct {
	Stat    Limits `json:"stat"`
	Asap    Limits `json:"asap"`
	Urgent  Limits `json:"urgent"`
	Routine Limits `json:"routine"`
}

// Limits are the time limits of one priority.
type Limits struct {
	Intake      Span  `json:"intake"`          // opened to complete
	Offer       Span  `json:"offer"`           // how long an offer stands
	Assign      Span  `json:"assign"`          // complete to accepted
	Final       Span  `json:"final"`           // complete to signed, less the pauses
	Gross       *Span `json:"gross,omitempty"` // opened to signed, whatever it waited for; nil: no limit
	Acknowledge Span  `json:"acknowledge"`     // signed to read by the clinician
	Adjudicate  Span  `json:"adjudicate"`      // graded to adjudicated
	Question    Span  `json:"question"`        // asked about a signed report to answered
	Reverify    Span  `json:"reverify"`        // the study changed to looked at by who signed
}

// DefaultPolicy is the policy of a tenant that has said nothing.
func DefaultPolicy() Policy {
	return Policy{
		Protocol:                Blinded,
		Assignment:              FromPool,
		OfferRounds:             2,
		AdjudicateOn:            AdjudicateMajor,
		ServiceRequestAuthority: PlacerSets,
		Clocks: Clocks{
			Stat:    Limits{Intake: minutes(10), Offer: minutes(5), Assign: minutes(15), Final: hours(2), Acknowledge: minutes(30), Adjudicate: hours(1), Question: minutes(30), Reverify: hours(1)},
			Asap:    Limits{Intake: minutes(30), Offer: minutes(15), Assign: hours(1), Final: hours(8), Acknowledge: hours(4), Adjudicate: hours(4), Question: hours(4), Reverify: hours(4)},
			Urgent:  Limits{Intake: hours(2), Offer: hours(1), Assign: hours(4), Final: hours(24), Acknowledge: hours(24), Adjudicate: hours(12), Question: hours(24), Reverify: hours(24)},
			Routine: Limits{Intake: businessDays(1), Offer: hours(8), Assign: businessDays(1), Final: hours(72), Acknowledge: hours(7 * 24), Adjudicate: hours(48), Question: businessDays(2), Reverify: businessDays(2)},
		},
		Calendar:             Calendar{Zone: "UTC", Weekend: []string{"saturday", "sunday"}},
		Matching:             Matching{Weights: DefaultWeights(), FairDays: 14, BatchEvery: minutes(2)},
		DuplicateWithinDays:  30,
		ImagesGiveUpDays:     30,
		QuestionRequired:     true,
		HistoryRequired:      true,
		Findings:             FindingLimits{Emergent: minutes(30), Urgent: hours(6), NonCritical: hours(7 * 24)},
		PreliminaryOn:        PreliminaryNever,
		CredentialNoticeDays: 14,
		Escalations:          defaultEscalations(),
	}
}

// defaultEscalations are those of a tenant that has said nothing.
func defaultEscalations() []Escalation {
	wait := func(s Span) *Span { return &s }
	pressing, others := []string{"stat", "asap"}, []string{"urgent", "routine"}
	return []Escalation{
		{Clock: ClockIntake, At: 100, Chain: []Link{{TellCoordinator, []Way{ByPage}, nil}}},
		{Clock: ClockAssign, At: 75, Chain: []Link{{TellCoordinator, []Way{ByPage}, nil}}},
		{Clock: ClockFinal, Priorities: pressing, At: 75, Chain: []Link{
			{TellReader, []Way{ByPage, ByMail}, wait(minutes(10))}, {TellCoordinator, []Way{ByPage, ByMail}, wait(minutes(15))}, {TellDirector, []Way{ByPage, ByMail}, nil}}},
		{Clock: ClockFinal, Priorities: others, At: 90, Chain: []Link{
			{TellReader, []Way{ByPage, ByMail}, wait(hours(2))}, {TellCoordinator, []Way{ByPage}, nil}}},
		{Clock: ClockFinal, At: 100, Chain: []Link{
			{TellCoordinator, []Way{ByPage, ByMail}, wait(hours(1))}, {TellDirector, []Way{ByPage, ByMail}, nil}}},
		{Clock: ClockAdjudicate, At: 75, Chain: []Link{
			{TellReader, []Way{ByPage, ByMail}, wait(minutes(30))}, {TellCoordinator, []Way{ByPage}, wait(hours(4))}, {TellDirector, []Way{ByPage}, nil}}},
		{Clock: ClockAcknowledge, At: 100, Chain: []Link{
			{TellCoordinator, []Way{ByPage, ByNotification}, wait(hours(4))}, {TellDirector, []Way{ByPage, ByMail}, nil}}},
	}
}

// defaultMatterEscalations are those of findings, questions and re-verifications, and
// of credentials that end, also of tenants that have said who else is told of other clocks: of what
// touches a patient somebody is told in any case.
func defaultMatterEscalations() []Escalation {
	wait := func(s Span) *Span { return &s }
	page, mail, every := []Way{ByPage}, []Way{ByPage, ByMail}, []Way{ByPage, ByNotification, ByMail}
	return []Escalation{
		{Clock: ClockEmergent, At: 50, Chain: []Link{
			{TellReader, mail, wait(minutes(5))}, {TellCoordinator, mail, wait(minutes(10))}, {TellDirector, mail, nil}}},
		{Clock: ClockUrgent, At: 75, Chain: []Link{
			{TellReader, mail, wait(minutes(30))}, {TellCoordinator, mail, wait(hours(2))}, {TellDirector, mail, nil}}},
		{Clock: ClockNonCritical, At: 90, Chain: []Link{
			{TellReader, page, wait(hours(24))}, {TellCoordinator, page, wait(hours(24))}, {TellDirector, page, nil}}},
		{Clock: ClockQuestion, At: 50, Chain: []Link{
			{TellReader, mail, wait(hours(4))}, {TellCoordinator, page, wait(hours(24))}, {TellDirector, page, nil}}},
		{Clock: ClockReverify, At: 50, Chain: []Link{
			{TellReader, mail, wait(hours(4))}, {TellCoordinator, page, wait(hours(24))}, {TellDirector, page, nil}}},
		{Clock: ClockCredential, At: endsSoon, Chain: []Link{{TellCoordinator, every, nil}}},
		{Clock: ClockCredential, At: endsToday, Chain: []Link{{TellCoordinator, every, nil}}},
	}
}

// rules are the escalations in force: the policy's, and the default ones of the
// clocks of matters, and of credentials that end, for which it has none.
func (p Policy) rules() []Escalation {
	all := slices.Clone(p.Escalations)
	for _, rule := range defaultMatterEscalations() {
		if !slices.ContainsFunc(p.Escalations, func(own Escalation) bool { return own.Clock == rule.Clock }) {
			all = append(all, rule)
		}
	}
	return all
}

// ParsePolicy is ReadPolicy for whoever wants nothing but the policy.
func ParsePolicy(raw []byte) (Policy, error) {
	d, err := ReadPolicy(raw)
	return d.Policy, err
}

// UnmarshalJSON lays the JSON over the defaults, so that a policy kept with an
// old case gains the settings that were added since. It reads what was judged
// when it was set (ReadPolicy), perhaps by a later release while this one still
// runs; so it passes over settings that it does not know.
func (p *Policy) UnmarshalJSON(raw []byte) error {
	if last := lastPolicy.Load(); last != nil && string(raw) == last.text {
		*p = last.policy
		return nil
	}
	type plain Policy // without this method
	laid := plain(DefaultPolicy())
	var said struct {
		Escalations json.RawMessage `json:"escalations"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return err
	}
	if said.Escalations != nil { // a list is said as a whole; its items are not laid over those of the default
		laid.Escalations = nil
	}
	if err := json.Unmarshal(raw, &laid); err != nil {
		return err
	}
	*p = Policy(laid)
	lastPolicy.Store(&readPolicy{string(raw), *p})
	return nil
}

// lastPolicy is the one that was read last: each case keeps its policy, and those of a
// list mostly the same. What was read is shared, and nobody changes it.
var lastPolicy atomic.Pointer[readPolicy]

type readPolicy struct {
	text   string
	policy Policy
}

// faults is what is wrong with a policy that fits the schema: what the schema
// cannot say.
func (p Policy) faults() (wrong PolicyErrors) {
	return slices.Concat(p.Calendar.faults(), p.triageFaults(), p.ladderFaults(), p.escalationFaults(), p.samplingFaults(), p.publicationFaults())
}

// Priorities are the codes of FHIR R4 request-priority, the most pressing first.
var Priorities = []string{"stat", "asap", "urgent", "routine"}

// For returns the limits of a priority; an unknown one is routine.
func (c Clocks) For(priority string) Limits {
	switch priority {
	case "stat":
		return c.Stat
	case "asap":
		return c.Asap
	case "urgent":
		return c.Urgent
	}
	return c.Routine
}

// NameMode says how the readers of a case are named to the quality role.
type NameMode string

// The modes.
const (
	NamesOpen      NameMode = "open"
	NamesPseudonym NameMode = "pseudonym" // of one answer or page: nobody can tell who it is, nor whether it is the same in two cases
)

// namesOpen tells whether the quality role is told who has read.
func (p Policy) namesOpen() bool { return p.QualityNames != NamesPseudonym }

// NamesOpen tells whether the quality role is told who has read the case.
func (c Case) NamesOpen() bool { return c.Policy.namesOpen() }

// scored tells whether grades have scores.
func (p Policy) scored() bool { return p.Grading != GradingPeerLearning }

// Scored tells whether grades of the case have scores.
func (c Case) Scored() bool { return c.Policy.scored() }

// feedback is what original readers are told.
func (p Policy) feedback() FeedbackMode { return cmp.Or(p.Feedback, FeedbackOff) }

// imagesSteady is how many minutes a study that has more images than was said must
// have stayed the same.
func (p Policy) imagesSteady() int { return cmp.Or(p.ImagesSteadyMinutes, 5) }

// informationWait is how long a case waits for what it may go on without.
func (p Policy) informationWait(priority string) Span {
	if p.OriginalReportWait != nil {
		return *p.OriginalReportWait
	}
	return p.Clocks.For(priority).Intake
}

// conferWithin is how long two readers may confer before a third decides.
func (p Policy) conferWithin(priority string) Span {
	if p.ConferWithin != nil {
		return *p.ConferWithin
	}
	return p.Clocks.For(priority).Adjudicate.Percent(50)
}
