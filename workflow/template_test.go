package workflow

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/fault"
)

func TestTheTemplatesOfTheProgramAreForTheExamsThatTheyAreFor(t *testing.T) {
	t.Parallel()
	fits := func(e Exam) string {
		e.PatientAge = -1
		for _, v := range ProgramTemplates() {
			if v.Template.Fits(e, "routine") {
				return v.Name
			}
		}
		return ""
	}
	for want, exam := range map[string]Exam{
		"ct-chest":    {Modality: "CT", Display: "CT Chest W contrast IV"},
		"mr-brain":    {Modality: "MR", Display: "MR Brain WO and W contrast IV"},
		"mammography": {Modality: "MG", Display: "MG Breast - bilateral Screening"},
		"mr-prostate": {Modality: "MR", Display: "MR Prostate WO and W contrast IV"},
		"ct-abdomen":  {Modality: "CT", Display: "CT Abdomen and Pelvis W contrast IV"},
		"":            {Modality: "DX", Display: "XR Knee"},
	} {
		if got := fits(exam); got != want {
			t.Errorf("%s: %q, want %q", exam.Display, got, want)
		}
	}
	for _, v := range ProgramTemplates() {
		if v.Version != 0 || len(v.Template.Sections) < 4 || v.Template.Title == "" {
			t.Errorf("%s: %+v", v.Name, v)
		}
	}
}

func TestWhatIsWrongWithATemplateIsSaidWithItsLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"no title":          {"when: {modality: [CT]}\nsections: [{id: a, title: A}]", "must have title"},
		"for everything":    {"title: T\nwhen: {}\nsections: [{id: a, title: A}]", "line 2: when must say for which exams"},
		"no sections":       {"title: T\nwhen: {modality: [CT]}\nsections: []", "line 3: sections must have at least 1"},
		"a word misspelt":   {"title: T\nwhen: {modality: [CT]}\nsections:\n- id: a\n  title: A\n  findngs: []", "line 6: sections[0].findngs is no setting; did you mean findings?"},
		"twice":             {"title: T\nwhen: {modality: [CT]}\nsections:\n- {id: a, title: A}\n- {id: a, title: B}", "line 5: sections[1].id is said twice: a"},
		"a finding twice":   {"title: T\nwhen: {modality: [CT]}\nsections:\n- {id: a, title: A, findings: [{id: x, text: X}, {id: x, text: Y}]}", "sections[0].findings[1].id is said twice: x"},
		"no unit of UCUM":   {"title: T\nwhen: {modality: [CT]}\nsections:\n- {id: a, title: A, measurements: [{id: x, title: X, unit: inch}]}", "must be one of mm, cm"},
		"a range":           {"title: T\nwhen: {modality: [CT]}\nsections:\n- {id: a, title: A, measurements: [{id: x, title: X, unit: mm, low: 9, high: 3}]}", "must not be below low (9)"},
		"nothing to say":    {"title: T\nwhen: {modality: [CT]}\nsections:\n- {id: a, title: A, required: true}", "is required, and so must have normal"},
		"a name in capital": {"title: T\nwhen: {modality: [CT]}\nsections:\n- {id: A b, title: A}", "must be a name of small letters"},
	} {
		_, err := ReadTemplate([]byte(test.text))
		var wrong PolicyErrors
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if CheckTemplateName("ct-chest") != nil || CheckTemplateName("CT chest") == nil {
		t.Error("names")
	}
}

func chestTemplate(t *testing.T) Template {
	t.Helper()
	d, err := ReadTemplate([]byte(`
title: Chest
when: {modality: [CT]}
comparisonRequired: true
sections:
- id: lungs
  title: Lungs
  required: true
  site: {system: "http://snomed.info/sct", code: "39607008", display: Lung structure}
  normal: No nodule
  findings: [{id: nodule, text: Solid nodule}, {id: mass, text: Mass}]
  measurements: [{id: size, title: Largest nodule, unit: mm, low: 1, high: 300}]
- {id: pleura, title: Pleura, required: true, normal: No effusion.}
- {id: bones, title: Bones, normal: No fracture.}
`))
	if err != nil {
		t.Fatal(err)
	}
	return d.Template
}

func TestTheAnswersToATemplateAreTheFindingsInItsOrder(t *testing.T) {
	t.Parallel()
	filled, err := chestTemplate(t).Fill("chest", 3, []Answer{
		{LinkID: "pleura.normal", Values: []string{"true"}},
		{LinkID: "lungs.text", Values: []string{"In the left upper lobe"}},
		{LinkID: "lungs.measure.size", Values: []string{"8.0"}, Unit: "mm"},
		{LinkID: "lungs.findings", Values: []string{"nodule"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Opinion{Structured: &filled, Findings: "Free text after it.", Impression: "Nodule.", Comparison: "None."}
	want := "Lungs: Solid nodule. In the left upper lobe. Largest nodule: 8.0 mm.\nPleura: No effusion.\nFree text after it."
	if diff := cmp.Diff(want, o.AllFindings()); diff != "" {
		t.Error(diff)
	}
	m := filled.Sections[0].Measurements[0]
	if m.Value != "8.0" || m.Unit != "mm" || m.Site == nil || m.Site.Code != "39607008" {
		t.Errorf("%+v", m)
	}
	if err := complete(o); err != nil {
		t.Error(err)
	}
	o.Comparison = ""
	if err := complete(o); !fault.Is(err, fault.BusinessRule) || !strings.Contains(err.Error(), "comparison") {
		t.Error(err)
	}
}

func TestWhatATemplateDoesNotTakeIsRefusedAndWhatItLacksOnlyAtTheLock(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []Answer
		refused string // at once
		lacks   string // when it is sealed
	}{
		"an unknown item":     {answers: []Answer{{LinkID: "heart.normal", Values: []string{"true"}}}, refused: "heart.normal is no item"},
		"twice":               {answers: []Answer{{LinkID: "lungs.text"}, {LinkID: "lungs.text"}}, refused: "answered twice"},
		"an unknown choice":   {answers: []Answer{{LinkID: "lungs.findings", Values: []string{"cyst"}}}, refused: "no such choice"},
		"normal, and not":     {answers: []Answer{{LinkID: "lungs.normal", Values: []string{"true"}}, {LinkID: "lungs.findings", Values: []string{"mass"}}}, refused: "there are findings"},
		"no number":           {answers: []Answer{{LinkID: "lungs.measure.size", Values: []string{"eight"}}}, refused: "one number"},
		"another unit":        {answers: []Answer{{LinkID: "lungs.measure.size", Values: []string{"1"}, Unit: "cm"}}, refused: "must be in mm"},
		"required":            {answers: []Answer{{LinkID: "lungs.normal", Values: []string{"true"}}}, lacks: "something said of: Pleura"},
		"not plausible":       {answers: []Answer{{LinkID: "lungs.measure.size", Values: []string{"900"}}, {LinkID: "pleura.text", Values: []string{"x"}}}, lacks: "Largest nodule (1 to 300 mm)"},
		"free text is enough": {answers: []Answer{{LinkID: "lungs.text", Values: []string{"x"}}, {LinkID: "pleura.text", Values: []string{"x"}}}},
	} {
		filled, err := chestTemplate(t).Fill("chest", 0, test.answers)
		switch {
		case test.refused != "":
			if !fault.Is(err, fault.Value) || !strings.Contains(err.Error(), test.refused) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", name, err)
		}
		err = complete(Opinion{Structured: &filled, Impression: "i", Comparison: "c"})
		if (err == nil) != (test.lacks == "") || err != nil && (!strings.Contains(err.Error(), test.lacks) || strings.Contains(err.Error(), "900")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
