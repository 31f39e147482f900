package workflow

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Policy is how a tenant wants its cases to run: tenant.policy, laid over the
// defaults. A case keeps the policy that was in force when it was opened.
type Policy struct {
	Protocol                Protocol     `json:"protocol"`
	Assignment              Assignment   `json:"assignment"`
	AdjudicateOn            AdjudicateOn `json:"adjudicateOn"`
	ServiceRequestAuthority Authority    `json:"serviceRequestAuthority"`
	Clocks                  Clocks       `json:"clocks"`
	Calendar                Calendar     `json:"calendar"`
	DuplicateWithinDays     int          `json:"duplicateWithinDays"` // 0: only open cases count as duplicates
	ImagesGiveUpDays        int          `json:"imagesGiveUpDays"`
	ImagesSteadyMinutes     int          `json:"imagesSteadyMinutes,omitzero"` // 0 for 5 (the release before knows it not, and reads policies strictly); so long the PACS must show the same number of images, where it has more than was said
	OriginalReportWait      *Span        `json:"originalReportWait,omitempty"` // nil: as long as intake may take
	QuestionRequired        bool         `json:"questionRequired"`
	HistoryRequired         bool         `json:"historyRequired"`
	RequesterRequired       bool         `json:"requesterRequired"`
	ConsentRequired         bool         `json:"consentRequired"`
	SameGroupForbidden      bool         `json:"sameGroupForbidden"` // no reader of the original reader's group
}

// Assignment says how a case finds its reader.
type Assignment string

// The ways of assignment.
const (
	ByOffer  Assignment = "offer" // offered to the best one, then the next
	FromPool Assignment = "pool"  // claimed by whoever is eligible
)

// AdjudicateOn is the least level of discrepancy that demands a third reader.
type AdjudicateOn string

// The thresholds of adjudication.
const (
	AdjudicateMajor AdjudicateOn = "major"
	AdjudicateMinor AdjudicateOn = "minor"
	AdjudicateNever AdjudicateOn = "never"
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
	Intake      Span `json:"intake"`      // opened to complete
	Offer       Span `json:"offer"`       // how long an offer stands
	Assign      Span `json:"assign"`      // complete to accepted
	Final       Span `json:"final"`       // complete to signed, less the pauses
	Acknowledge Span `json:"acknowledge"` // signed to read by the clinician
	Adjudicate  Span `json:"adjudicate"`  // graded to adjudicated
}

// DefaultPolicy is the policy of a tenant that has said nothing.
func DefaultPolicy() Policy {
	return Policy{
		Protocol:                Blinded,
		Assignment:              FromPool,
		AdjudicateOn:            AdjudicateMajor,
		ServiceRequestAuthority: PlacerSets,
		Clocks: Clocks{
			Stat:    Limits{Intake: minutes(10), Offer: minutes(5), Assign: minutes(15), Final: hours(2), Acknowledge: minutes(30), Adjudicate: hours(1)},
			Asap:    Limits{Intake: minutes(30), Offer: minutes(15), Assign: hours(1), Final: hours(8), Acknowledge: hours(4), Adjudicate: hours(4)},
			Urgent:  Limits{Intake: hours(2), Offer: hours(1), Assign: hours(4), Final: hours(24), Acknowledge: hours(24), Adjudicate: hours(12)},
			Routine: Limits{Intake: businessDays(1), Offer: hours(8), Assign: businessDays(1), Final: hours(72), Acknowledge: hours(7 * 24), Adjudicate: hours(48)},
		},
		Calendar:            Calendar{Zone: "UTC", Weekend: []string{"saturday", "sunday"}},
		DuplicateWithinDays: 30,
		ImagesGiveUpDays:    30,
		QuestionRequired:    true,
		HistoryRequired:     true,
	}
}

// ParsePolicy reads tenant.policy: what it does not say is as in
// DefaultPolicy. The error names the setting that is wrong.
func ParsePolicy(raw []byte) (Policy, error) {
	var p Policy
	if err := json.Unmarshal(raw, &p); err != nil {
		return Policy{}, fmt.Errorf("policy: %w", err)
	}
	return p, p.Validate()
}

// UnmarshalJSON lays the JSON over the defaults, so that a policy kept with an
// old case gains the settings that were added since.
func (p *Policy) UnmarshalJSON(raw []byte) error {
	type plain Policy // without this method
	laid := plain(DefaultPolicy())
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&laid); err != nil {
		return err
	}
	*p = Policy(laid)
	return nil
}

// Validate returns an error that names every setting with a value it may not
// have.
func (p Policy) Validate() error {
	var wrong []string
	oneOf := func(name, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			wrong = append(wrong, fmt.Sprintf("%s must be one of %s", name, strings.Join(allowed, ", ")))
		}
	}
	oneOf("protocol", string(p.Protocol), string(Unblinded), string(Blinded))
	oneOf("assignment", string(p.Assignment), string(ByOffer), string(FromPool))
	oneOf("adjudicateOn", string(p.AdjudicateOn), string(AdjudicateMajor), string(AdjudicateMinor), string(AdjudicateNever))
	oneOf("serviceRequestAuthority", string(p.ServiceRequestAuthority), string(PlacerSets), string(FillerSets))
	for _, priority := range Priorities {
		for _, clock := range clockNames {
			if p.Clocks.For(priority).named(clock).Length <= 0 {
				wrong = append(wrong, fmt.Sprintf("clocks.%s.%s must be more than nothing", priority, clock))
			}
		}
	}
	if p.OriginalReportWait != nil && p.OriginalReportWait.Length <= 0 {
		wrong = append(wrong, "originalReportWait must be more than nothing")
	}
	if p.DuplicateWithinDays < 0 {
		wrong = append(wrong, "duplicateWithinDays must not be negative")
	}
	if p.ImagesGiveUpDays < 1 {
		wrong = append(wrong, "imagesGiveUpDays must be at least 1")
	}
	if p.ImagesSteadyMinutes < 0 {
		wrong = append(wrong, "imagesSteadyMinutes must not be negative")
	}
	wrong = append(wrong, p.Calendar.faults()...)
	if wrong != nil {
		return fmt.Errorf("policy: %s", strings.Join(wrong, "; "))
	}
	return nil
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
