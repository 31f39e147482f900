package fhir

import (
	"slices"
	"testing"

	"github.com/overread/overread/workflow"
)

func TestAReportPrintsTheQuestionThatWasRead(t *testing.T) {
	t.Parallel()
	read := "Fracture?"
	order := Object("resourceType", "ServiceRequest", "reasonCode", []*Node{Object("text", "Aortic dissection?")})
	if got := question(reportSources{OrderResource: order, Case: workflow.Case{Exam: workflow.Exam{QuestionRead: &read}}}); got != read {
		t.Errorf("the report prints %q", got)
	}
}

func TestAnExamIsNamedByCodesOrWords(t *testing.T) {
	t.Parallel()
	order := Object("resourceType", "ServiceRequest", "code", Object("coding", []*Node{coding("http://loinc.org", "24627-2", "CT Chest")}, "text", "worded anew"),
		"orderDetail", []*Node{Object("text", "With contrast")})
	if got := orderedExams(order, ValueSet{}); !slices.Equal(got, []string{"http://loinc.org|24627-2", "with contrast"}) {
		t.Errorf("%v", got)
	}
}
