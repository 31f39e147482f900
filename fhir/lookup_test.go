package fhir

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answered are the out parameters of an answer, as text.
func (a response) answered() map[string]string {
	got := map[string]string{}
	for _, p := range a.node.Get("parameter").Items() {
		for _, m := range p.members {
			if m.name != "name" && m.name != "part" {
				got[p.Text("name")] = m.value.Text()
			}
		}
		for _, part := range p.Get("part").Items() {
			for _, m := range part.members {
				if m.name == "name" {
					continue
				}
				got[p.Text("name")+"."+part.Text("name")] += m.value.Text() + m.value.Text("code") + " "
			}
		}
	}
	return got
}

func TestTerminologyOperationsAnswerForWhatWePublish(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	const (
		states  = "https://overread.org/fhir/CodeSystem/case-state"
		ready   = "Ready"
		agreeVS = "https://overread.org/fhir/ValueSet/second-opinion-agreement"
		agreeCS = "https://overread.org/fhir/CodeSystem/second-opinion-agreement"
	)
	coding := `{"resourceType":"Parameters","parameter":[{"name":"coding","valueCoding":{"system":"` + states + `","code":"ready","display":"Bereit"}}]}`
	concept := `{"resourceType":"Parameters","parameter":[{"name":"url","valueUri":"` + agreeVS + `"},{"name":"codeableConcept","valueCodeableConcept":{"coding":[{"system":"http://a","code":"b"},{"system":"` + agreeCS + `","code":"agreement"}]}}]}`
	score := func(significance, expectedness string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"code","valueCode":"` + significance + `"},{"name":"system","valueUri":"https://overread.org/fhir/CodeSystem/discrepancy-significance"},` +
			`{"name":"dependency","part":[{"name":"element","valueUri":"https://overread.org/fhir/CodeSystem/discrepancy-expectedness"},{"name":"concept","valueCodeableConcept":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/discrepancy-expectedness","code":"` + expectedness + `"}]}}]}]}`
	}
	const radpeer = "https://overread.org/fhir/ConceptMap/significance-to-radpeer "
	for _, c := range []struct {
		name, path, body string
		want             map[string]string
	}{
		{"a score that depends on more", "ConceptMap/significance-to-radpeer/$translate", score("important", "most-of-the-time"),
			map[string]string{"result": "true", "match.equivalence": "narrower ", "match.concept": "3b ", "match.source": radpeer}},
		{"a score that depends on nothing", "ConceptMap/significance-to-radpeer/$translate?code=none&system=https://overread.org/fhir/CodeSystem/discrepancy-significance", "",
			map[string]string{"result": "true", "match.equivalence": "equivalent ", "match.concept": "1 ", "match.source": radpeer}},
		{"what it depends on is not said", "ConceptMap/significance-to-radpeer/$translate?code=important&system=https://overread.org/fhir/CodeSystem/discrepancy-significance", "",
			map[string]string{"result": "false", "message": "the translation depends on more than the code; give as dependency: https://overread.org/fhir/CodeSystem/discrepancy-expectedness"}},
		{"what it depends on is unknown", "ConceptMap/significance-to-radpeer/$translate", score("important", "sometimes"),
			map[string]string{"result": "false", "message": "no map that is published here has a translation of this code"}},
		{"look up", "CodeSystem/$lookup?code=ready&system=" + states, "", map[string]string{"name": "Case state", "version": "1.0.0", "display": ready, "property.code": "definition ", "property.value": "complete; in the pool "}},
		{"look up a coding", "CodeSystem/$lookup", coding, map[string]string{"name": "Case state", "version": "1.0.0", "display": ready, "property.code": "definition ", "property.value": "complete; in the pool "}},
		{"a code of a system", "CodeSystem/$validate-code?code=ready&url=" + states, "", map[string]string{"result": "true", "display": ready}},
		{"at the instance", "CodeSystem/case-state/$validate-code?code=ready", "", map[string]string{"result": "true", "display": ready}},
		{"with another display", "CodeSystem/$validate-code", coding, map[string]string{"result": "true", "display": ready, "message": "the display is not the one that the code system has"}},
		{"no such code", "CodeSystem/case-state/$validate-code?code=READY", "", map[string]string{"result": "false", "message": "the code system has no such code"}},
		{"a system of somebody else", "CodeSystem/$validate-code?code=x&url=http://loinc.org", "", map[string]string{"result": "false", "message": "the code system is not published here, so nothing can be said of its codes"}},
		{"a code of a set", "ValueSet/$validate-code?code=111418&system=http://dicom.nema.org/resources/ontology/DCM&url=https://overread.org/fhir/ValueSet/second-opinion-request", "", map[string]string{"result": "true", "display": "Review of an outside study"}},
		{"a concept of a set", "ValueSet/$validate-code", concept, map[string]string{"result": "true", "display": "The second reading agrees with the original report"}},
		{"the code of another system", "ValueSet/second-opinion-agreement/$validate-code?code=agreement&system=" + states, "", map[string]string{"result": "false", "message": "the value set has no such code"}},
		{"translate", "ConceptMap/$translate?code=locked&system=" + states + "&targetsystem=http://hl7.org/fhir/task-status", "",
			map[string]string{"result": "true", "match.equivalence": "wider ", "match.concept": "in-progress ", "match.source": "https://overread.org/fhir/ConceptMap/case-state-to-task-status "}},
		{"translate by one map", "ConceptMap/case-state-to-report-status/$translate?code=locked&system=" + states, "",
			map[string]string{"result": "true", "match.equivalence": "wider ", "match.concept": "registered ", "match.source": "https://overread.org/fhir/ConceptMap/case-state-to-report-status "}},
		{"nothing to translate into", "ConceptMap/case-state-to-report-status/$translate?code=final&system=" + states, "",
			map[string]string{"result": "false", "message": "no map that is published here has a translation of this code"}},
		{"translate back", "ConceptMap/case-state-to-task-status/$translate?code=accepted&system=http://hl7.org/fhir/task-status&reverse=true", "",
			map[string]string{"result": "true", "match.equivalence": "narrower ", "match.concept": "accepted ", "match.source": "https://overread.org/fhir/ConceptMap/case-state-to-task-status "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.get("/fhir/" + c.path)
			if c.body != "" {
				got = r.post("/fhir/"+c.path, c.body)
			}
			if diff := cmp.Diff(c.want, got.answered()); got.status != http.StatusOK || diff != "" {
				t.Errorf("%d %s\n%s", got.status, got.body, diff)
			}
			if err := Validate(got.node); err != nil {
				t.Error(issueLines(err))
			}
		})
	}
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"CodeSystem/$lookup?code=lost&system=" + states:                 {404, "not-found"},
		"CodeSystem/$lookup?code=x&system=http://loinc.org":             {404, "not-found"},
		"CodeSystem/$lookup?code=ready&version=2&system=" + states:      {404, "not-found"},
		"CodeSystem/$lookup?code=ready":                                 {400, "required"},
		"CodeSystem/$lookup?system=" + states:                           {400, "required"},
		"CodeSystem/none/$validate-code?code=x":                         {404, "not-found"},
		"ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/task-status": {404, "not-found"},
		"ValueSet/$expand":                                          {400, "required"},
		"ValueSet/case-state/$expand?count=-1":                      {400, "value"},
		"ValueSet/case-state/$expand?coun=1":                        {400, "value"},
		"ValueSet/case-state/$validate-code?code=ready":             {400, "required"},
		"ConceptMap/$translate?url=http://a&code=x&system=http://b": {404, "not-found"},
		"ConceptMap/$translate?code=x":                              {400, "required"},
	} {
		r.get("/fhir/"+path).want(t, want.status, want.code)
	}
}

func TestAValueSetIsExpandedInParts(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	codes := func(query string) (got []string, total string) {
		answer := r.get("/fhir/ValueSet/" + query)
		if err := Validate(answer.node); err != nil {
			t.Errorf("%s: %s", query, issueLines(err))
		}
		for _, c := range answer.node.Each("expansion", "contains", "code") {
			got = append(got, c.Text())
		}
		return got, answer.node.Text("expansion", "total")
	}
	all, total := codes("$expand?url=https://overread.org/fhir/ValueSet/case-state")
	if len(all) != 23 || total != "23" {
		t.Errorf("%s %v", total, all)
	}
	for query, want := range map[string]struct {
		codes []string
		total string
	}{
		"case-state/$expand?count=2":                     {all[:2], "23"},
		"case-state/$expand?count=2&offset=20":           {all[20:22], "23"},
		"case-state/$expand?count=0":                     {nil, "23"},
		"case-state/$expand?offset=99":                   {nil, "23"},
		"case-state/$expand?filter=AWAITING":             {[]string{"awaiting-information", "awaiting-images", "awaiting-cosign"}, "3"},
		"authorising-intent/$expand":                     {[]string{"order", "original-order", "reflex-order", "filler-order", "instance-order"}, "5"},
		"actionable-category/$expand?filter=emergent":    {[]string{"RID49480"}, "1"},
		"second-opinion-request/$expand?filter=outside":  {[]string{"111418"}, "1"},
		"case-state/$expand?filter=nothing%20of%20these": {nil, "0"},
	} {
		got, total := codes(query)
		if diff := cmp.Diff(want.codes, got); diff != "" || total != want.total {
			t.Errorf("%s: %s %s", query, total, diff)
		}
	}
}
