package workflow

import (
	"slices"
	"strings"
)

// FindingKind says what a finding leads to.
type FindingKind string

// The kinds of findings; the first that is present decides the next state.
const (
	Doubtful           FindingKind = "doubtful"    // a human must decide: intake-review
	MissingInformation FindingKind = "information" // the placer must send it: awaiting-information
	MissingImages      FindingKind = "images"      // the images must come: awaiting-images
	NobodyEligible     FindingKind = "assignment"  // no reader: unassignable
)

// Finding is one thing that stands in the way of a case, in words for the one
// who must mend it; never patient data.
type Finding struct {
	Code    string      `json:"code"`
	Kind    FindingKind `json:"kind"`
	Element string      `json:"element,omitempty"` // FHIRPath in the order
	Text    string      `json:"text"`              // what the EHR must mend
}

// who may set a check aside.
type waiver int

const (
	neverWaived      waiver = iota
	waivedByHuman           // the coordinator, with a reason
	waivedByTimeToo         // and the case goes on by itself when the wait is over
	resolvedInReview        // doubts: the coordinator resolves them, with a reason
)

const coordinatorWaives = "the coordinator"

func (w waiver) String() string {
	return [...]string{"nobody", coordinatorWaives, coordinatorWaives + ", or time", coordinatorWaives + " (resolve)"}[w]
}

// intakeCheck is one row of the intake checks. says is "" when all is well.
type intakeCheck struct {
	code    string
	kind    FindingKind
	element string
	waiver  waiver
	doc     string
	says    func(f Facts, p Policy) string
}

// checks are the intake checks, in the order in which their findings are shown.
var checks = []intakeCheck{
	{"patient-mismatch", Doubtful, "ServiceRequest.subject", resolvedInReview,
		"one patient across order, study and original report",
		func(f Facts, _ Policy) string {
			if f.Study != nil && differ(f.OrderPatient, f.Study.Patient) {
				return Phrase("the order and the ImagingStudy are of different patients; send the study of the order's patient")
			}
			if f.Original != nil && differ(f.OrderPatient, f.Original.Patient) {
				return Phrase("the order and the original DiagnosticReport are of different patients; send the report of the order's patient")
			}
			return ""
		}},
	{"modality-mismatch", Doubtful, "ServiceRequest.code", resolvedInReview,
		"order and study agree on the modality",
		func(f Facts, _ Policy) string {
			if f.Study == nil || f.OrderModality == "" || len(f.Study.Modalities) == 0 ||
				slices.ContainsFunc(f.Study.Modalities, func(m string) bool { return strings.EqualFold(m, f.OrderModality) }) {
				return ""
			}
			return Phrase("the order's modality is not among those of the ImagingStudy; refer to the right study or correct the order")
		}},
	{"body-site-mismatch", Doubtful, "ServiceRequest.bodySite", resolvedInReview,
		"order and study agree on the body part",
		func(f Facts, _ Policy) string {
			if f.Study == nil || !differ(bodyRegion(f.OrderBodySite), bodyRegion(f.Study.BodySite)) {
				return ""
			}
			return Phrase("the order's body site is not that of the ImagingStudy; refer to the right study or correct the order")
		}},
	{"laterality-mismatch", Doubtful, "ServiceRequest.bodySite", resolvedInReview,
		"order and study agree on the side",
		func(f Facts, _ Policy) string {
			if f.Study == nil || !differ(f.OrderLaterality, f.Study.Laterality) ||
				f.OrderLaterality == "bilateral" || f.Study.Laterality == "bilateral" {
				return ""
			}
			return Phrase("the order's side is not that of the ImagingStudy; refer to the right study or correct the order")
		}},
	{"duplicate-case", Doubtful, "ServiceRequest.supportingInfo", resolvedInReview,
		"no other case that asks the same of the same study is open or was final lately",
		func(f Facts, _ Policy) string {
			if len(f.Duplicates) == 0 {
				return ""
			}
			return Phrase("a second opinion on the same study is open or was given lately (Task/%s); cancel this order or say what it asks beyond that one", f.Duplicates[0])
		}},
	{"priors-doubtful", Doubtful, "ServiceRequest.supportingInfo", resolvedInReview,
		"the study that is to be read is named first, and those after it are its priors",
		func(f Facts, _ Policy) string {
			switch {
			case f.Study == nil:
			case slices.ContainsFunc(f.Priors, func(p PriorFacts) bool { return p.Reported }):
				return Phrase("the original report is of a study that the order names as a prior; name the study that is to be read first, and priors after it")
			case slices.ContainsFunc(f.Priors, func(p PriorFacts) bool { return p.Later }):
				return Phrase("a study that the order names as a prior was made after the one that is to be read; name the study that is to be read first, and priors after it")
			}
			return ""
		}},
	{"out-of-scope", Doubtful, "ServiceRequest.code", resolvedInReview,
		"the exam is none of those that the policy puts out of scope",
		func(f Facts, p Policy) string {
			if !slices.ContainsFunc(p.OutOfScope, func(w TriageWhen) bool { return w.holds(f.Exam, f.Priority) }) {
				return ""
			}
			return Phrase("exams of this kind are not read here; cancel the order, or ask the reading service whether it makes an exception")
		}},
	{"requester-not-authorised", Doubtful, "ServiceRequest.requester", resolvedInReview,
		"who asks may ask, where the policy lists who may",
		func(f Facts, p Policy) string {
			if len(p.Requesters) == 0 || !f.Requester || meet(p.Requesters, f.Requesters) {
				return ""
			}
			return Phrase("who asks is not among those who may order here; name a requester who is, by an identifier that the reading service knows")
		}},
	{"consent-denied", Doubtful, "ServiceRequest.supportingInfo", neverWaived,
		"no Consent that denies a second opinion",
		func(f Facts, _ Policy) string {
			if f.Consent != "deny" {
				return ""
			}
			return Phrase("the Consent denies it; send a Consent that permits it, or cancel the order")
		}},
	{ConsentDoubtful, Doubtful, "ServiceRequest.supportingInfo", resolvedInReview,
		"no other Consent of the patient denies what may be this: within limits, or against one that the order names",
		func(f Facts, _ Policy) string {
			if !f.ConsentDoubtful || f.Consent == "deny" {
				return ""
			}
			return Phrase("a Consent of the patient denies something that may be the second opinion; end it or limit it to what it means, or let the coordinator look at it")
		}},
	{"consent-missing", MissingInformation, "ServiceRequest.supportingInfo", neverWaived,
		"consent, where policy requires it",
		func(f Facts, p Policy) string {
			if !p.ConsentRequired || f.Consent != "" {
				return ""
			}
			return Phrase("the tenant's policy requires consent; refer to a Consent that permits the second opinion")
		}},
	{"study-not-named", MissingInformation, "ServiceRequest.supportingInfo", neverWaived,
		"the order says which study is to be read",
		func(f Facts, _ Policy) string {
			if f.StudyReferenced {
				return ""
			}
			return Phrase("refer to the ImagingStudy that is to be read")
		}},
	{"question-missing", MissingInformation, "ServiceRequest.reasonCode", waivedByHuman,
		"the clinical question, where policy requires it",
		func(f Facts, p Policy) string {
			if !p.QuestionRequired || f.Question {
				return ""
			}
			return Phrase("say what is asked: reasonCode.text, or note")
		}},
	{"history-missing", MissingInformation, "ServiceRequest.reasonReference", waivedByTimeToo,
		"the clinical history, where policy requires it",
		func(f Facts, p Policy) string {
			if !p.HistoryRequired || f.History {
				return ""
			}
			return Phrase("give the clinical history: reasonReference or supportingInfo to a Condition or Observation, or note")
		}},
	{"requester-missing", MissingInformation, "ServiceRequest.requester", waivedByHuman,
		"who asks, where policy requires it",
		func(f Facts, p Policy) string {
			if !p.RequesterRequired || f.Requester {
				return ""
			}
			return Phrase("say who asks: requester")
		}},
	{"original-report-missing", MissingInformation, "ServiceRequest.supportingInfo", waivedByTimeToo,
		"the original report, where the order refers to one; without any reference the case goes on as \"no comparison possible\"",
		func(f Facts, _ Policy) string {
			if !f.OriginalReferenced || f.Original != nil {
				return ""
			}
			return Phrase("the original DiagnosticReport that the order refers to is not here; send it")
		}},
	{"original-report-not-final", MissingInformation, "ServiceRequest.supportingInfo", waivedByTimeToo,
		"the original report is final",
		func(f Facts, _ Policy) string {
			if f.Original == nil || f.Original.Final {
				return ""
			}
			return Phrase("the original DiagnosticReport is not final yet; send it when it is")
		}},
	{OriginalReaderUnnamed, Doubtful, "ServiceRequest.supportingInfo", resolvedInReview,
		"the original says who read it, as far as the policy wants to know (unnamedOriginalReader)",
		func(f Facts, p Policy) string {
			if !f.unnamedReader(p) {
				return ""
			}
			return Phrase("the original report does not say who read it, so nobody can tell who must not read it again; send it with an identifier of its reader (resultsInterpreter), or let the coordinator look at it")
		}},
	{"study-missing", MissingImages, "ServiceRequest.supportingInfo", neverWaived,
		"the study that the order refers to is here",
		func(f Facts, _ Policy) string {
			if !f.StudyReferenced || f.Study != nil {
				return ""
			}
			return Phrase("the ImagingStudy that the order refers to is not here; send it")
		}},
	{"study-unavailable", MissingImages, "ServiceRequest.supportingInfo", neverWaived,
		"the images can be had; where the tenant has a PACS, that is asked instead",
		func(f Facts, _ Policy) string {
			if f.Study == nil || f.PACS != nil || f.Study.Available && f.Study.Instances > 0 {
				return ""
			}
			return Phrase("the ImagingStudy has no images that can be had; send it again with status available and its series")
		}},
	{"study-incomplete", MissingImages, "ServiceRequest.supportingInfo", waivedByHuman,
		"as many images as the ImagingStudy says; where the tenant has a PACS, that is asked instead",
		func(f Facts, _ Policy) string {
			if f.Study == nil || f.PACS != nil || f.Study.Instances <= 0 || f.Study.Instances >= f.Study.InstancesSaid {
				return ""
			}
			return Phrase("%d of the %d instances of the ImagingStudy are here; send the rest", f.Study.Instances, f.Study.InstancesSaid)
		}},

	// What the PACS says (pacs.go), where the tenant has one.
	{"pacs-patient-mismatch", Doubtful, "ServiceRequest.subject", resolvedInReview,
		"the patient of the order is that of the images in the PACS",
		func(f Facts, _ Policy) string {
			s := f.seen()
			if s == nil {
				return ""
			}
			switch differences, same := f.Person.compare(s.Patient); {
			case len(differences) > 0:
				return Phrase("the images in the PACS are of somebody who differs from the order's patient in %s; compare both, and correct the order or the PACS", strings.Join(differences, ", "))
			case !same:
				return Phrase("neither an identifier nor name and birth date show that the images in the PACS are of the order's patient; compare both")
			}
			return ""
		}},
	{"pacs-modality-mismatch", Doubtful, "ServiceRequest.code", resolvedInReview,
		"order and images in the PACS agree on the modality",
		func(f Facts, _ Policy) string {
			if s := f.seen(); s == nil || !noneMatches(f.wantedModalities(), s.Modalities, sameModality) {
				return ""
			}
			return Phrase("the modality is not among those of the images in the PACS; refer to the right study or correct the order")
		}},
	{"pacs-body-part-mismatch", Doubtful, "ServiceRequest.bodySite", resolvedInReview,
		"order and images in the PACS agree on the body part",
		func(f Facts, _ Policy) string {
			if s := f.seen(); s == nil || !noneMatches(f.wantedRegions(), s.regionsInPACS(), strings.EqualFold) {
				return ""
			}
			return Phrase("the body site is not that of the images in the PACS; refer to the right study or correct the order")
		}},
	{"pacs-laterality-mismatch", Doubtful, "ServiceRequest.bodySite", resolvedInReview,
		"order and images in the PACS agree on the side",
		func(f Facts, _ Policy) string {
			s := f.seen()
			if s == nil || f.wantedSide() == "" || len(s.Sides) == 0 || slices.Contains(s.Sides, f.wantedSide()) || slices.Contains(s.Sides, "bilateral") {
				return ""
			}
			return Phrase("the side is not that of the images in the PACS; refer to the right study or correct the order")
		}},
	{"pacs-study-ambiguous", Doubtful, "ServiceRequest.supportingInfo", resolvedInReview,
		"the PACS has one study of this accession number",
		func(f Facts, _ Policy) string {
			return f.whenPACS(PACSAmbiguous, Phrase("the PACS has several studies of this accession number; send the ImagingStudy with its Study Instance UID"))
		}},
	{"pacs-unreachable", MissingImages, "ServiceRequest.supportingInfo", waivedByHuman,
		"the PACS answers",
		func(f Facts, _ Policy) string {
			return f.whenPACS(PACSUnreachable, Phrase("the PACS does not answer; it is asked again"))
		}},
	{"pacs-refused", MissingImages, "ServiceRequest.supportingInfo", waivedByHuman,
		"the PACS lets the reading service ask",
		func(f Facts, _ Policy) string {
			return f.whenPACS(PACSRefused, Phrase("the PACS does not let the reading service ask; whoever runs the service must renew its credentials or rights"))
		}},
	{"pacs-unreadable", MissingImages, "ServiceRequest.supportingInfo", waivedByHuman,
		"the PACS answers as DICOMweb has it",
		func(f Facts, _ Policy) string {
			return f.whenPACS(PACSUnreadable, Phrase("the answer of the PACS cannot be understood; whoever runs the service must look at it"))
		}},
	{"pacs-study-missing", MissingImages, "ServiceRequest.supportingInfo", waivedByHuman,
		"the PACS has the study",
		func(f Facts, _ Policy) string {
			if s := f.seen(); s != nil && s.Instances == 0 {
				return Phrase("the study in the PACS has no instances yet; send the images there")
			}
			if text := f.whenPACS(pacsUnnamed, Phrase("the ImagingStudy has neither a Study Instance UID nor an accession number by which the PACS could be asked; send it with one")); text != "" {
				return text
			}
			return f.whenPACS(PACSAbsent, Phrase("the study is not in the PACS; send its images there"))
		}},
	{"pacs-study-incomplete", MissingImages, "ServiceRequest.supportingInfo", waivedByHuman,
		"as many images in the PACS as the ImagingStudy says",
		func(f Facts, _ Policy) string {
			s := f.seen()
			if s == nil || s.Instances == 0 || s.Instances >= f.Study.promised() {
				return ""
			}
			return Phrase("%d of the %d instances of the ImagingStudy are in the PACS; send the rest there", s.Instances, f.Study.promised())
		}},
	{"pacs-study-growing", MissingImages, "ServiceRequest.supportingInfo", waivedByHuman,
		"images have ceased to arrive in the PACS, where it has more than the ImagingStudy says, or that does not say how many",
		func(f Facts, _ Policy) string {
			if s := f.seen(); s == nil || f.PACS.Steady || s.Instances <= f.Study.promised() {
				return ""
			}
			return Phrase("images may still be arriving in the PACS; their number is looked at again")
		}},
}

// whenPACS is the text where the PACS answered so.
func (f Facts) whenPACS(answer PACSAnswer, text string) string {
	if f.PACS == nil || f.PACS.Answer != answer {
		return ""
	}
	return text
}

// EvalIntake runs the checks that nobody has waived. No findings: the order is
// complete.
func EvalIntake(f Facts, p Policy, waived []string) []Finding {
	var found []Finding
	for _, ch := range checks {
		if slices.Contains(waived, ch.code) {
			continue
		}
		if text := ch.says(f, p); text != "" {
			found = append(found, Finding{ch.code, ch.kind, ch.element, text})
		}
	}
	return found
}

// intakeEvent is the event that the findings call for.
func intakeEvent(found []Finding) Event {
	for _, row := range []struct {
		kind FindingKind
		then Event
	}{{Doubtful, "doubt"}, {MissingInformation, "miss-information"}, {MissingImages, "miss-images"}} {
		if slices.ContainsFunc(found, func(f Finding) bool { return f.Kind == row.kind }) {
			return row.then
		}
	}
	return "pass-checks"
}

// waiverOf says who may set the check with this code aside.
func waiverOf(code string) waiver {
	for _, ch := range checks {
		if ch.code == code {
			return ch.waiver
		}
	}
	return neverWaived
}

// OriginalMissing is the finding that the original report is not here yet.
const OriginalMissing = "original-report-missing"

// ConsentDoubtful is the finding that a Consent may deny the second opinion.
const ConsentDoubtful = "consent-doubtful"

// OriginalReaderUnnamed is the finding that nobody can tell who read first.
const OriginalReaderUnnamed = "original-reader-unnamed"

// PlacerMends tells whether the placer can do anything about a finding. It cannot
// where the archive does not answer, or only has to be looked at again.
func PlacerMends(code string) bool {
	return notThePlacers[code] == "" && code != "pacs-study-growing" && code != OrderCorrected
}

// SetAside tells whether the check with this code was set aside for the case.
func (c *Case) SetAside(code string) bool { return slices.Contains(c.Waived, code) }

// AwaitsOriginal tells that the case would still use an original report that is
// missing, if it came now (original-arrives).
func (c *Case) AwaitsOriginal() bool {
	return !c.comparable() && slices.Contains(join(beforeAcceptance, beforeReveal), c.State)
}

// differ: both are known and they are not the same.
func differ(a, b string) bool { return a != "" && b != "" && !strings.EqualFold(a, b) }
