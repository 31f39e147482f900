package workflow

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Description is what statistics may tell cases apart by, as it is known of a case: words
// of a few letters, and ids of who and where. It is written down with each event that
// changes it, so that the facts of a case can be made again from its history.
type Description struct {
	Modality       string `json:"modality,omitempty"`
	BodyRegion     string `json:"bodyRegion,omitempty"`
	Subspecialty   string `json:"subspecialty,omitempty"`
	Site           string `json:"site,omitempty"`
	OriginalReader string `json:"originalReader,omitempty"`
	SecondReader   string `json:"secondReader,omitempty"`
	Reason         string `json:"reason,omitempty"`
	Priority       string `json:"priority,omitempty"`
	Oncologic      string `json:"oncologic,omitempty"`
	Blinding       string `json:"blinding,omitempty"`
	Priors         string `json:"priors,omitempty"`
	Setting        string `json:"setting,omitempty"`
	Reading        string `json:"reading,omitempty"`
}

// FactDimension is one of the dimensions of a fact.
type FactDimension struct {
	Name   string // as parameters and stratifiers say it
	Column string // of measure_fact
	Title  string
	Doc    string   // where its words come from
	Words  []string // all that there may be; nil: what the cases say
	word   func(*Fact) *string
}

// NotSaid is the word for what nobody has said.
const NotSaid = "not-said"

// FactDimensions is the table of them.
var FactDimensions = []FactDimension{
	{"modality", "modality", "Modality", "of the ImagingStudy, else of the order: a DICOM modality", nil, func(f *Fact) *string { return &f.Modality }},
	{"body-region", "body_region", "Body region", "of the body site, else of the name of the exam, by the words of workflow/matching.go", nil, func(f *Fact) *string { return &f.BodyRegion }},
	{"subspecialty", "subspecialty", "Subspecialty", "as triage decided (docs/matching.md)", nil, func(f *Fact) *string { return &f.Subspecialty }},
	{"site", "site", "Referring site", "the organisation that made the original report, else the system of the placer's order number", nil, func(f *Fact) *string { return &f.Site }},
	{"original-reader", "original_reader", "Original reader", "the author of the original report, else the first of its readers; shown as a pseudonym", nil, func(f *Fact) *string { return &f.OriginalReader }},
	{"second-reader", "second_reader", "Second reader", "who has the case, of two who leads it; shown as a pseudonym", nil, func(f *Fact) *string { return &f.SecondReader }},
	{"reason", "reason", "Reason", "the first code of second-opinion-reason that the order has; other: it has another code", append(reasonCodes(), "other", NotSaid), func(f *Fact) *string { return &f.Reason }},
	{"priority", "priority", "Priority", "of the order", Priorities, func(f *Fact) *string { return &f.Priority }},
	{"oncologic", "oncologic", "Oncologic", "yes: the reason is staging, or the order has a code of a neoplasm (ICD-10 C00 to D49); no: it has other codes", []string{"yes", "no", NotSaid}, func(f *Fact) *string { return &f.Oncologic }},
	{"blinding", "blinding", "Blinded", "blinded; unblinded; unveiled: blinded, but its reader had opened the record in an emergency before the lock", []string{"blinded", "unblinded", "unveiled"}, func(f *Fact) *string { return &f.Blinding }},
	{"priors", "priors", "Priors available", "whether the order named studies to compare with", []string{"yes", "no"}, func(f *Fact) *string { return &f.Priors }},
	{"asymmetry", "asymmetry", "Information asymmetry", "whether the grade says that the first reader lacked what the second had", []string{"yes", "no"}, func(f *Fact) *string { return &f.Asymmetry }},
	{"setting", "setting", "In- or outpatient", "the class of the order's Encounter (v3-ActCode): IMP, ACUTE, NONAC, OBSENC; EMER; AMB, HH, VR and others", []string{"inpatient", "outpatient", "emergency", NotSaid}, func(f *Fact) *string { return &f.Setting }},
	{"protocol", "reading", "Reading protocol", "how many read it, and how two opinions became one", protocolWords(), func(f *Fact) *string { return &f.Reading }},
}

func reasonCodes() (codes []string) {
	for _, r := range Reasons {
		codes = append(codes, r.Code)
	}
	return codes
}

func protocolWords() (words []string) {
	for _, p := range readingProtocols {
		words = append(words, string(p))
	}
	return words
}

// longestWord bounds what stands in the table of words, in bytes.
const longestWord = 200

// description is that of a case as it is now.
func (c *Case) description() Description {
	e := c.Exam
	d := Description{
		Modality:       strings.ToUpper(e.Modality),
		BodyRegion:     cmp.Or(bodyRegion(e.BodySite), bodyRegion(e.Display)),
		Subspecialty:   e.Subspecialty,
		Site:           c.PlacerSystem,
		OriginalReader: firstOf(e.OriginalAuthors, e.OriginalReaders),
		Reason:         e.reason(),
		Priority:       c.Priority,
		Oncologic:      e.oncologic(),
		Blinding:       string(c.Protocol),
		Priors:         "no",
		Setting:        e.Setting,
		Reading:        string(c.Reading),
	}
	if group := firstOf(e.OriginalGroups); group != "" {
		d.Site = group
	}
	if c.ReaderID != nil && *c.ReaderID != uuid.Nil {
		d.SecondReader = c.ReaderID.String()
	}
	if len(e.Priors) > 0 {
		d.Priors = "yes"
	}
	for _, word := range []*string{&d.Modality, &d.Site, &d.OriginalReader} {
		if len(*word) > longestWord {
			*word = strings.ToValidUTF8((*word)[:longestWord], "")
		}
	}
	return d
}

func firstOf(lists ...[]string) string {
	for _, list := range lists {
		if len(list) > 0 {
			return list[0]
		}
	}
	return ""
}

// reason is the first of ours that the order has.
func (e Exam) reason() string {
	for _, said := range e.Reasons {
		code, ours := strings.CutPrefix(said, ReasonSystem+"|")
		if ours && slices.ContainsFunc(Reasons, func(r Reason) bool { return r.Code == code }) {
			return code
		}
	}
	if len(e.questions()) > 0 {
		return "other"
	}
	return ""
}

// neoplasms: ICD-10 chapter II is C00 to D48; ICD-10-CM adds D49.
const neoplasms = "C00 D49"

// icd10 are the systems of ICD-10 in FHIR R4 (icd.html), with national editions.
var icd10 = []string{"http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10-us", "http://fhir.de/CodeSystem/bfarm/icd-10-gm", "http://hl7.org/fhir/sid/icd-10-am", "http://hl7.org/fhir/sid/icd-10-ca"}

// oncologic tells whether the question is about a tumour, as far as codes say it.
func (e Exam) oncologic() string {
	word := ""
	for _, said := range e.questions() {
		system, code, _ := strings.Cut(said, "|")
		code = strings.ToUpper(code)
		tumour := slices.Contains(icd10, system) && len(code) >= 3 && code[:3] >= neoplasms[:3] && code[:3] <= neoplasms[4:]
		if tumour || said == ReasonSystem+"|staging" {
			return "yes"
		}
		word = "no"
	}
	return word
}
