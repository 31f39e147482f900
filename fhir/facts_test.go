package fhir

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/workflow"
)

func parsed(t testing.TB, body string) *Node {
	t.Helper()
	n, err := Parse([]byte(body), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestInstancesAreCountedAsTheStudyTellsThem(t *testing.T) {
	for _, test := range []struct {
		name, study string
		had, said   int
	}{
		{"nothing said", `{"resourceType":"ImagingStudy"}`, 0, 0},
		{"no series listed", `{"resourceType":"ImagingStudy","numberOfInstances":86}`, 86, 86},
		{"series with counts", `{"resourceType":"ImagingStudy","numberOfInstances":86,"series":[{"numberOfInstances":50},{"numberOfInstances":36}]}`, 86, 86},
		{"a series is missing", `{"resourceType":"ImagingStudy","numberOfInstances":86,"series":[{"numberOfInstances":50}]}`, 50, 86},
		{"series with instances only", `{"resourceType":"ImagingStudy","series":[{"instance":[{"uid":"1"},{"uid":"2"}]}]}`, 2, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if had, said := instances(parsed(t, test.study)); had != test.had || said != test.said {
				t.Errorf("got %d of %d", had, said)
			}
		})
	}
}

func TestTheExamIsThatOfTheOriginalElseOfTheOrderElseOfTheStudy(t *testing.T) {
	study := parsed(t, `{"resourceType":"ImagingStudy","started":"2024-03-01T10:00:00Z","description":"Study A","procedureCode":[{"text":"Head CT"}],
		"series":[{"modality":{"code":"CT"},"bodySite":{"code":"1","display":"Head"},"laterality":{"code":"7771000"}}]}`)
	order := parsed(t, `{"resourceType":"ServiceRequest","code":{"coding":[{"system":"http://loinc.org","code":"73575-3"},{"system":"http://loinc.org","code":"24725-4","display":"CT Head"}]}}`)
	original := parsed(t, `{"resourceType":"DiagnosticReport","code":{"coding":[{"system":"http://loinc.org","code":"30799-1","display":"CT Head WO contr"}]}}`)
	patient := parsed(t, `{"resourceType":"Patient","birthDate":"1980-06-01"}`)
	for _, test := range []struct {
		name    string
		d       dossier
		display string
		code    string
	}{
		{"original", dossier{order: order, study: found{study, 1}, original: found{original, 1}, patient: patient}, "CT Head WO contr", "30799-1"},
		{"order", dossier{order: order, study: found{study, 1}, patient: patient}, "CT Head", "24725-4"},
		{"study", dossier{order: Object("resourceType", "Task"), study: found{study, 1}, patient: patient}, "Head CT", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := (&test.d).exam(SecondOpinionCodes)
			if e.Display != test.display || e.Code != test.code || e.Modality != "CT" || e.BodySite != "Head" || e.Laterality != "left" || e.PatientAge != 43 {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestWhatAnOrderSaysAndDoesNotSay(t *testing.T) {
	for _, test := range []struct {
		name, order       string
		question, history bool
	}{
		{"the bare code of a second opinion", `{"resourceType":"ServiceRequest","reasonCode":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0336","code":"S"}]}]}`, false, false},
		{"a question in words", `{"resourceType":"ServiceRequest","reasonCode":[{"text":"Fracture?"}]}`, true, false},
		{"a coded reason", `{"resourceType":"ServiceRequest","reasonCode":[{"coding":[{"system":"http://snomed.info/sct","code":"386663009"}]}]}`, true, true},
		{"a note", `{"resourceType":"ServiceRequest","note":[{"text":"Fell off a bicycle."}]}`, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			order := parsed(t, test.order)
			f := (&dossier{order: order}).facts(SecondOpinionCodes)
			if f.Question != test.question || f.History != test.history {
				t.Errorf("question %v, history %v", f.Question, f.History)
			}
		})
	}
}

func TestOneDenialOutweighsEveryPermission(t *testing.T) {
	consent := func(status, provision string) *Node {
		return Object("resourceType", "Consent", "status", status, "provision", Object("type", provision))
	}
	for _, test := range []struct {
		consents []*Node
		want     string
	}{
		{nil, ""},
		{[]*Node{consent("active", "permit")}, "permit"},
		{[]*Node{consent("inactive", "deny"), consent("active", "permit")}, "permit"},
		{[]*Node{consent("active", "permit"), consent("active", "deny")}, "deny"},
		{[]*Node{nil}, ""},
	} {
		if got := consentSays(test.consents); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestThePlacerNumberIsTheOneOfItsType(t *testing.T) {
	for _, test := range []struct {
		name, identifiers string
		want              businessIdentifier
	}{
		{"PLAC wins", `[{"system":"a","value":"1"},{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"PLAC"}]},"system":"b","value":"2"}]`, businessIdentifier{"b", "2"}},
		{"accession and filler numbers do not count", `[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"ACSN"}]},"system":"a","value":"1"},{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"FILL"}]},"system":"b","value":"2"},{"system":"c","value":"3"}]`, businessIdentifier{"c", "3"}},
		{"no system, no number", `[{"value":"1"}]`, businessIdentifier{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := placerIdentifier(parsed(t, `{"resourceType":"ServiceRequest","identifier":`+test.identifiers+`}`))
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(businessIdentifier{})); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != (test.want == businessIdentifier{}) {
				t.Error(err)
			}
		})
	}
}

func TestNumbersOfACaseNeverChangeAndAreReadable(t *testing.T) {
	c := workflow.Case{}
	c.CaseID[15], c.CaseID[11] = 1, 0xff
	if got := c.Number(); got != c.Number() || len(got) != len("OR261123-AAAA-AAAA") {
		t.Errorf("got %s", got)
	}
}

func TestWhoThePatientIsIsReadFromThePatientAndTheOrder(t *testing.T) {
	for name, c := range map[string]struct {
		patient, order string
		want           workflow.Person
	}{
		"whole": {`{"resourceType":"Patient","identifier":[{"system":"urn:mercy","value":"100"},{"value":"7"},{"system":"urn:x"}],
			"name":[{"use":"official","family":"Lindgren","given":["Harriet","Ann"]},{"use":"maiden","family":"Ek"},{"use":"old","text":"Harriet Holm"}],
			"gender":"female","birthDate":"1959-03"}`,
			`{"resourceType":"ServiceRequest","subject":{"reference":"Patient/1"}}`,
			workflow.Person{IDs: []workflow.PersonID{{System: "urn:mercy", Value: "100"}, {Value: "7"}},
				Names:     []workflow.PersonName{{Family: "Lindgren", Given: "Harriet Ann"}, {Family: "Ek"}, {Family: "Harriet Holm"}},
				BirthDate: "1959-03", Sex: "female"}},
		"an identifier in the order alone": {`null`, `{"resourceType":"ServiceRequest","subject":{"identifier":{"system":"urn:mercy","value":"100"}}}`,
			workflow.Person{IDs: []workflow.PersonID{{System: "urn:mercy", Value: "100"}}}},
		"nothing": {`{"resourceType":"Patient","name":[{"use":"official"}]}`, `{"resourceType":"ServiceRequest"}`, workflow.Person{}},
	} {
		d := dossier{order: parsed(t, c.order)}
		if c.patient != "null" {
			d.patient = parsed(t, c.patient)
		}
		if diff := cmp.Diff(c.want, d.person()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTheAccessionNumberIsTheIdentifierOfItsType(t *testing.T) {
	study := parsed(t, `{"resourceType":"ImagingStudy","identifier":[{"system":"urn:dicom:uid","value":"urn:oid:2.25.1"},
		{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"ACSN"}]},"system":"urn:ris","value":"A1"}]}`)
	f := (&dossier{study: found{Node: study}}).studyFacts()
	if f.UID != "2.25.1" || f.Accession != "A1" || f.AccessionOf != "urn:ris" {
		t.Errorf("%+v", f)
	}
}

func TestTheClassOfTheVisitTellsInpatientsFromOutpatients(t *testing.T) {
	for class, want := range map[string]string{"IMP": "inpatient", "OBSENC": "inpatient", "EMER": "emergency", "AMB": "outpatient", "VR": "outpatient", "PRENC": ""} {
		d := dossier{task: Object("resourceType", "Task"), order: Object("resourceType", "ServiceRequest",
			"contained", []*Node{Object("resourceType", "Encounter", "id", "v", "class", Object("code", class))}, "encounter", Object("reference", "#v"))}
		if err := d.findSetting(t.Context(), resolver{}); err != nil || d.setting != want {
			t.Errorf("%s: %q, want %q (%v)", class, d.setting, want, err)
		}
	}
}
