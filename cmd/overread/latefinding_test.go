package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

// A third reader has signed. What the first of the two then finds cannot wait: the EHR has it
// at once, as an alert and an Observation, though nobody signs it into the report by that;
// who signed finds it on their list and, telling of it, signs the addendum.
func TestALateFindingOfWhoDidNotSignReachesTheEHRAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tale := tales()[1]
	o := w.orderFor(tale, 77)
	task := w.send(t, o)
	for _, c := range tale.chapters {
		if c.does == "acknowledge" {
			break
		}
		w.live(t, o, task, c)
	}
	for _, category := range []string{"urgent", "emergent"} {
		text := "A late " + category + " finding of who did not sign"
		w.live(t, o, task, chapter{"lindqvist", "raise-finding", []*fhir.Node{param("category", "valueCode", category), param("text", "valueString", text)}, workflow.Final})
		eventually(t, category+" is to be in the EHR", func() error {
			alerts, err := w.chart.get(t.Context(), "Communication?subject=Patient/"+o.patient.id())
			if err != nil {
				return err
			}
			seen, err := w.chart.get(t.Context(), "Observation?subject=Patient/"+o.patient.id())
			if err != nil {
				return err
			}
			if !strings.Contains(string(alerts.Bytes()), text) || !strings.Contains(string(seen.Bytes()), text) {
				return fmt.Errorf("the alert is there: %v; the Observation: %v", strings.Contains(string(alerts.Bytes()), text), strings.Contains(string(seen.Bytes()), text))
			}
			return nil
		})
		report := w.reportInChart(t, o, []string{"final"})
		if strings.Contains(report.Text("conclusion"), text) {
			t.Errorf("nobody has signed that: %s", report.Text("conclusion"))
		}
	}
	w.live(t, o, task, chapter{"petrov-adjudicator", "communicate", append([]*fhir.Node{param("finding", "valuePositiveInt", 3)}, called(true)...), workflow.Final})
	report := w.reportInChart(t, o, []string{"final", "appended"})
	for _, category := range []string{"urgent", "emergent"} {
		if text := "A late " + category + " finding of who did not sign"; !strings.Contains(report.Text("conclusion"), text) {
			t.Errorf("the addendum does not tell %q: %s", text, report.Text("conclusion"))
		}
	}
}
