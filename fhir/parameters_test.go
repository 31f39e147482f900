package fhir

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

func readFor(t *testing.T, name, body string) (request, error) {
	t.Helper()
	op, err := operationCalled(name)
	if err != nil {
		t.Fatal(err)
	}
	return readParameters(op, []byte(body))
}

func TestAGradeIsReadPartByPart(t *testing.T) {
	got, err := readFor(t, "$grade", `{"resourceType":"Parameters","parameter":[
		{"name":"discrepancy","part":[
			{"name":"description","valueString":"nodule, left upper lobe"},
			{"name":"significance","valueCode":"important"},
			{"name":"nature","valueCode":"detection"},
			{"name":"direction","valueString":"miss"},
			{"name":"expectedness","valueCode":"most-of-the-time"},
			{"name":"management","valueCode":"work-up"},
			{"name":"asymmetry","valueCode":"priors"}]},
		{"name":"discrepancy","part":[
			{"name":"description","valueString":"old rib fracture"},
			{"name":"significance","valueCode":"unimportant"},
			{"name":"nature","valueCode":"detection"}]},
		{"name":"difference","valueString":"A nodule of 9 mm needs follow-up."}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &workflow.Grade{
		Difference: "A nodule of 9 mm needs follow-up.",
		Discrepancies: []workflow.Discrepancy{
			{Finding: "nodule, left upper lobe", Significance: "important", Nature: "detection", Direction: "miss",
				Expectedness: "most-of-the-time", Management: "work-up", Asymmetry: []string{"priors"}},
			{Finding: "old rib fracture", Significance: "unimportant", Nature: "detection"},
		},
	}
	if diff := cmp.Diff(want, got.Grade); diff != "" {
		t.Error(diff)
	}
}

func TestAnOpinionIsPlainParameters(t *testing.T) {
	got, err := readFor(t, "$lock", `{"resourceType":"Parameters","parameter":[
		{"name":"findings","valueString":"Clear lungs."},
		{"name":"impression","valueMarkdown":"Normal."},
		{"name":"conclusion","valueCoding":{"system":"http://snomed.info/sct","code":"17621005","display":"Normal"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &workflow.Opinion{Findings: "Clear lungs.", Impression: "Normal.",
		Conclusions: []workflow.Coding{{System: snomed, Code: "17621005", Display: "Normal"}}}
	if diff := cmp.Diff(want, got.Opinion); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyBodyIsEnoughWhereNothingIsNeeded(t *testing.T) {
	for _, body := range []string{"", " \n", `{"resourceType":"Parameters"}`} {
		if r, err := readFor(t, "$lock", body); err != nil || r.Opinion != nil {
			t.Errorf("%q: %v %v", body, r, err)
		}
	}
}

func TestWhatIsWrongWithParametersIsNamed(t *testing.T) {
	for _, test := range []struct {
		name, op, body, expression, text string
		kind                             fault.Kind
	}{
		{"a parameter that the operation does not know", "$claim",
			`{"resourceType":"Parameters","parameter":[{"name":"independent","valueBoolean":true},{"name":"hurry","valueBoolean":true}]}`,
			"Parameters.parameter[1].name", "independent", fault.Value},
		{"a part that it does not know", "$grade",
			`{"resourceType":"Parameters","parameter":[{"name":"discrepancy","part":[{"name":"blame","valueString":"x"}]}]}`,
			"Parameters.parameter[0].part[0].name", "significance", fault.Value},
		{"a missing parameter", "$claim", "", "Parameters.parameter", "independent", fault.Required},
		{"a missing part", "$grade",
			`{"resourceType":"Parameters","parameter":[{"name":"discrepancy","part":[{"name":"description","valueString":"x"}]}]}`,
			"Parameters.parameter[0].part", "significance", fault.Required},
		{"a value of another type", "$claim",
			`{"resourceType":"Parameters","parameter":[{"name":"independent","valueString":"yes"}]}`,
			"Parameters.parameter[0]", "valueBoolean", fault.Value},
		{"a code that is not in the list", "$sign",
			`{"resourceType":"Parameters","parameter":[{"name":"kind","valueCode":"whim"}]}`,
			"Parameters.parameter[0].valueCode", "addition, correction, amendment", fault.Value},
		{"a parameter given twice", "$reject",
			`{"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"a"},{"name":"reason","valueString":"b"}]}`,
			"Parameters.parameter[1]", "once", fault.Value},
		{"plain JSON", "$claim", `{"independent":true}`, "", `"resourceType":"Parameters"`, fault.Structure},
		{"another resource", "$claim", `{"resourceType":"Patient"}`, "", "Parameters", fault.Structure},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := readFor(t, test.op, test.body)
			var f *fault.Error
			if !errors.As(err, &f) {
				t.Fatalf("got %v", err)
			}
			got := f.Issues[0]
			if got.Kind != test.kind || got.Expression != test.expression || !strings.Contains(got.Text, test.text) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
