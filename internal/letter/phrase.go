package letter

import (
	"maps"
	"slices"
)

// Phrase is what a code says to a clinician, for pages that say the same as the
// letter does.
type Phrase struct {
	Text string // in English
	Tone string // calm, caution, alarm or neutral
}

func (p phrase) public() Phrase { return Phrase{p.text, p.tone.name} }

// Agreement says how the two readings relate.
func Agreement(code string) Phrase { return say(agreements, code).public() }

// Urgency says how soon somebody must act.
func Urgency(code string) Phrase { return say(urgencies, code).public() }

// Status says what a FHIR diagnostic-report-status is.
func Status(code string) Phrase { return say(statuses, code).public() }

// Management says what the second opinion may change for the patient; a code that
// is not known speaks for itself.
func Management(code string) string {
	if text, ok := managements[code]; ok {
		return text
	}
	return code
}

// Phrases are all texts of these, for those who translate them.
func Phrases() []string {
	all := slices.Collect(maps.Values(managements))
	for _, table := range []map[string]phrase{agreements, urgencies, statuses} {
		for _, p := range table {
			all = append(all, p.text)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}
