package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

// A day's emergency: the reader sees a bleeding, calls the ward long before the
// report, and answers a question when it is out. Two replicas work on it; the EHR
// has each thing once.
func TestAFindingAndAnAnswerStandInTheEHROnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	serveInProcess(t, w.database.URL)
	text := func(name, value string) *fhir.Node { return param(name, "valueString", value) }
	reading := reads("haddad", "abdomen")
	emergency := tale{"an emergency and a question", "abdomen", asItShouldBe, slices.Concat(
		[]chapter{{"", "", nil, workflow.Ready}}, reading[:2], []chapter{
			{"haddad", "raise-finding", []*fhir.Node{param("category", "valueCode", "emergent"), text("text", "Active bleeding into the retroperitoneum.")}, workflow.Reading},
			{"haddad", "communicate", []*fhir.Node{text("recipient", "Dr. Jones"), param("medium", "valueCode", "phone"),
				param("reached", "valueBoolean", true), param("readBack", "valueBoolean", true)}, workflow.Reading},
		}, reading[2:], []chapter{
			{"haddad", "grade", nil, workflow.Comparing},
			{"haddad", "sign", nil, workflow.Final},
			{"placer", "acknowledge", []*fhir.Node{text("clinician", "Dr. Jones")}, workflow.Closed},
			{"placer", "ask", []*fhir.Node{text("question", "From which vessel?"), text("clinician", "Dr. Jones")}, workflow.Closed},
			{"haddad", "answer", []*fhir.Node{text("answer", "The second lumbar artery on the left.")}, workflow.Final},
		}), []string{"final", "appended"}}
	o := w.orderFor(emergency, 301)
	task := w.send(t, o)
	for _, c := range emergency.chapters {
		w.live(t, o, task, c)
	}
	w.checkReport(t, o, emergency)
	want := []string{
		"actionable-finding completed", "actionable-finding completed", // the alert, and the call
		"answer completed", "question completed",
	}
	eventually(t, "the messages are to stand in the EHR, each once", func() error {
		found, err := w.chart.get(t.Context(), "Communication?subject=Patient/"+o.patientID())
		if err != nil {
			return err
		}
		var got []string
		for _, n := range found.Each("entry", "resource") {
			got = append(got, n.Text("topic", "coding", "code")+" "+n.Text("status"))
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	})
}
