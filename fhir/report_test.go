package fhir

import (
	"strings"
	"testing"

	"github.com/overread/overread/workflow"
)

// Many EHRs show a report's conclusion or its narrative and nothing else: what
// is urgent, and what to do, must stand in both.
func TestConclusionAndNarrativeSayWhatIsUrgentAndWhatToDo(t *testing.T) {
	src := reportSources{Report: workflow.Report{
		Status: "final", Level: workflow.LevelMajor, Difference: "A pneumothorax is not mentioned.",
		Management: "treatment", Actionable: "emergent",
		Opinion: workflow.Opinion{Findings: "f", Impression: "Tension pneumothorax.", Recommendation: "Drain at once."},
	}}
	text := reportText(src).Text("div")
	for _, words := range []string{"Emergent Actionable Finding", "Tension pneumothorax.", "A pneumothorax is not mentioned.", "Drain at once."} {
		if !strings.Contains(conclusion(src), words) {
			t.Errorf("the conclusion does not say %q: %s", words, conclusion(src))
		}
		if !strings.Contains(text, words) {
			t.Errorf("the narrative does not say %q: %s", words, text)
		}
	}
	if !strings.Contains(text, "Change of treatment") {
		t.Errorf("the narrative does not say what may change: %s", text)
	}
}
