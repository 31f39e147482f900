package workflow

// Words are the words that an element of a discrepancy may say (see
// vocabulary), the weakest first.
func Words(element string) []string {
	if element == "noComparisonReason" { // of the grade as a whole
		return noComparisonReasons
	}
	for _, v := range vocabulary {
		if v.element == element {
			return v.words
		}
	}
	panic("workflow: a discrepancy has no element " + element)
}

// Meanings are what codes of a discrepancy mean, in words (docs/grading.md): its nature, its
// direction, and what the first reader lacked.
var Meanings = map[string]string{
	"detection": "it was not seen", "interpretation": "it was seen and understood otherwise", "communication": "it was understood and not clearly said", "technique": "technique of the images",
	"miss": "missed", "undercall": "called too little", "overcall": "called too much", "misinterpretation": "taken for something else", "location": "elsewhere",
	"priors": "earlier examinations", "history": "the history", "pathology": "the pathology",
}

// IntakeCodes are the codes of the intake checks, each with what it checks.
func IntakeCodes() []Coding {
	var codes []Coding
	for _, c := range checks {
		codes = append(codes, Coding{Code: c.code, Display: c.doc})
	}
	return append(codes, Coding{Code: OrderCorrected, Display: "patient, study, body part or side of the order, or the patient's consent, were corrected while it was read"},
		Coding{Code: StudyLarger, Display: "the PACS has more images than the ImagingStudy says"})
}

// StudyLarger is what a Task says besides its state where Exam.MoreImages.
const StudyLarger = "pacs-study-larger"

// DeclinedForConflict is the code of a reader who may have no part in a case.
const DeclinedForConflict = "conflict"

// DeclineCodes say why a reader declines an offer.
var DeclineCodes = []string{"workload", "off-duty", "outside-expertise", DeclinedForConflict, "images-inadequate", "other"}
