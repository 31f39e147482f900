package web

import (
	"maps"
	"slices"

	"github.com/overread/overread/workflow"
)

// strataWords are the words of a dimension as people say them (workflow/factdimension.go has
// them as codes, and so have the files and addresses of figures). What a hospital or a scanner
// named itself, as a subspecialty of its policy, is said as it is.
var strataWords = map[string]map[string]string{
	"body-region": {"abdomen": "Abdomen", "breast": "Breast", "chest": "Chest", "head": "Head", "heart": "Heart", "limb": "Limbs and joints", "neck": "Neck", "pelvis": "Pelvis", "spine": "Spine", "vessels": "Vessels"},
	"subspecialty": {
		"abdominal": "Abdominal radiology", "breast": "Breast imaging", "cardiac": "Cardiac imaging", "chest": "Chest radiology", "emergency": "Emergency radiology", workflow.General: "General radiology",
		"genitourinary": "Genitourinary radiology", "head-neck": "Head and neck radiology", "musculoskeletal": "Musculoskeletal radiology", "neuro": "Neuroradiology", "nuclear": "Nuclear medicine",
		"paediatric": "Paediatric radiology", "vascular": "Vascular imaging",
	},
	"reason":    reasonsInWords(),
	"priority":  {"routine": "routine", "urgent": "urgent", "asap": "asap", "stat": "stat"},
	"oncologic": answersInWords, "priors": answersInWords, "asymmetry": answersInWords,
	"blinding": {"blinded": "blinded", "unblinded": "not blinded", "unveiled": "blinded, but opened in an emergency"},
	"setting":  {"inpatient": "Inpatient", "outpatient": "Outpatient", "emergency": "Emergency department"},
	"protocol": {
		string(workflow.SingleReading): "One reads", string(workflow.RecallIfOne): "Two read, the more pressing opinion stands", string(workflow.ByConsensus): "Two read and come to one text",
		string(workflow.ByArbitration): "Two read, a third decides where they differ", string(workflow.MixedReading): "Two read and come to one text, else a third decides",
	},
}

var answersInWords = map[string]string{"yes": "yes", "no": "no"}

func reasonsInWords() map[string]string {
	all := map[string]string{"other": "Another reason"}
	for _, r := range workflow.Reasons {
		all[r.Code] = r.Display
	}
	return all
}

// stratum is a word of a dimension in the language.
func (c *catalogue) stratum(dimension, word string) string {
	if text, ok := strataWords[dimension][word]; ok {
		return c.say(text)
	}
	return word
}

// Told is the dimension that a table of groups is of, "" for none.
func (p figuresPage) Told() string {
	if len(p.By) == 0 {
		return ""
	}
	return p.By[0]
}

func strataTexts() (all []string) {
	for _, words := range strataWords {
		all = append(all, slices.Collect(maps.Values(words))...)
	}
	return all
}
