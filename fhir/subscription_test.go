package fhir

import (
	"net/http"
	"strings"
	"testing"
)

func TestASubscriptionIsNotActiveBeforeItNotifies(t *testing.T) {
	t.Parallel()
	r := startClinic(t)
	body := exampleOf("Subscription").body
	active := strings.Replace(body, `"requested"`, `"active"`, 1)
	id := r.mustCreate("Subscription", body)
	r.post("/fhir/Subscription", active).wantAt(t, http.StatusUnprocessableEntity, "business-rule", "Subscription.status")
	r.put("/fhir/Subscription/new-one", strings.Replace(active, `{`, `{"id":"new-one",`, 1)).want(t, http.StatusUnprocessableEntity, "business-rule")
	r.put("/fhir/Subscription/"+id, strings.Replace(active, `{`, `{"id":"`+id+`",`, 1)).want(t, http.StatusUnprocessableEntity, "business-rule")
	if got := r.get("/fhir/Subscription/" + id); got.node.Text("status") != "requested" {
		t.Errorf("%s", got.body)
	}
}

func TestDefinitionsAreFoundByTheParametersOfTheirTypes(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for query, want := range map[string]string{
		"CodeSystem?code=awaiting-cosign":                                                 "case-state",
		"CodeSystem?system=https://overread.org/fhir/CodeSystem/case-state":               "case-state",
		"CodeSystem?content-mode=fragment":                                                "reading-subspecialty",
		"CodeSystem?content-mode=example":                                                 "",
		"ValueSet?code=111418":                                                            "second-opinion-request",
		"ValueSet?reference=http://hl7.org/fhir/request-intent":                           "authorising-intent",
		"OperationDefinition?code=claim&kind=operation":                                   "task-claim",
		"OperationDefinition?code=claim&type=true":                                        "",
		"SearchParameter?base=DiagnosticReport":                                           "DiagnosticReport-imaging-study",
		"SearchParameter?code=security-context&target=Patient":                            "",
		"StructureDefinition?type=Task":                                                   "second-opinion-task",
		"StructureDefinition?base=http://hl7.org/fhir/StructureDefinition/ServiceRequest": "second-opinion-request",
		"StructureDefinition?kind=logical":                                                "",
		"ConceptMap?target-system=http://hl7.org/fhir/task-status":                        "case-state-to-task-status",
		"CapabilityStatement?mode=client":                                                 "",
	} {
		got := r.get("/fhir/" + query)
		if ids := strings.Join(got.ids(), " "); got.status != http.StatusOK || ids != want {
			t.Errorf("%s finds %q, want %q: %d %s", query, ids, want, got.status, got.node.Text("issue", "details", "text"))
		}
	}
}
