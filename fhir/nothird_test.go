package fhir

import (
	"strings"
	"testing"

	"github.com/overread/overread/workflow"
)

func TestTheTaskSaysThatThereIsNoThirdReaderAndTheReportThatNobodyDecided(t *testing.T) {
	t.Parallel()
	for _, state := range []workflow.State{workflow.Arbitration, workflow.Adjudication} {
		c := workflow.Case{State: state}
		if statusReason(Object(), c, taskSources{}) != nil {
			t.Errorf("%s: a reason without a finding", state)
		}
		c.Findings = []workflow.Finding{{Code: "no-third-reader", Text: "as the third reader, none of 3 readers is eligible: is the original reader (1)"}}
		said := string(statusReason(Object(), c, taskSources{}).Bytes())
		if !strings.Contains(said, "no-third-reader") || strings.Contains(said, "original reader") {
			t.Errorf("%s: %s", state, said)
		}
	}
	src := reportSources{}
	src.Report.Opinion.Impression = "Nodule."
	src.Case.Exam.ThirdForgone = "No third reader was available."
	if got := conclusion(src); !strings.Contains(got, "No third reader was available.") {
		t.Error(got)
	}
}
