package workflow

import "strings"

// ReasonSystem is the code system of Reasons.
const ReasonSystem = "https://overread.org/fhir/CodeSystem/second-opinion-reason"

// Reason is why a second opinion is asked for, as a code. Exam.Reasons keeps those
// of an order, with the codes of others, for the rules of triage and for statistics.
type Reason struct {
	Code    string
	Display string
	Tells   bool // something of what the original report says: not for a blinded reader
}

// Reasons is the table of them.
var Reasons = []Reason{
	{"inconclusive-report", "The first report is inconclusive", true},
	{"rare-or-complex", "Rare disease or complex case", false},
	{"discordant", "Symptoms and imaging disagree", true},
	{"before-treatment", "Before a major treatment", false},
	{"persistent-symptoms", "Symptoms persist despite normal imaging", true},
	{"staging", "Staging of a tumour", false},
	{"transfer", "The patient was transferred to another institution", false},
	{"patient-wish", "The patient wishes it", false},
	{"quality-sample", "Drawn as a sample for quality", false},
}

// reasonWords are those of the reasons of an exam that are of our table, for people.
func (e Exam) reasonWords() (words []string) {
	for _, r := range Reasons {
		for _, said := range e.Reasons {
			if said == ReasonSystem+"|"+r.Code {
				words = append(words, r.Display)
			}
		}
	}
	return words
}

// secondOpinionMarker begins the codes that only say that a second opinion is asked
// for (HL7 v2 table 0336), and not what.
const secondOpinionMarker = "http://terminology.hl7.org/CodeSystem/v2-0336|"

// questions are the coded reasons that say what is asked.
func (e Exam) questions() []string {
	codes := []string{}
	for _, reason := range e.Reasons {
		if !strings.HasPrefix(reason, secondOpinionMarker) {
			codes = append(codes, reason)
		}
	}
	return codes
}
