package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// A tenant in which there is an original that blinding withholds, and one in which
// there is none: to a reader both are the same, in every interaction, whatever it
// tells (status, header, totals, history, refusals).
func TestToABlindedReaderTheOriginalDoesNotExistInAnyInteraction(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	owner, ctx, caseID := w.db.Owner(t), context.Background(), uuid.New()
	w.put(patientOfSex("ours", "female", "Visible"), false)
	for _, typ := range []string{"ServiceRequest", "Task", "ImagingStudy", "Condition", "Practitioner", "Organization"} {
		w.put(about(typ, "ours", "ours"), false)
	}
	for i, tenant := range w.tenants {
		if _, err := owner.Exec(ctx, `
			INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, service_request_id, patient_id, task_id, protocol, policy, opened_at)
			VALUES ($1, $2, 1, 'ready', 'routine', 's', 'v', 'ServiceRequest/ours', 'ours', 'ours', 'ours', 'blinded', '{}', now())`, tenant, caseID); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := owner.Exec(ctx, `INSERT INTO case_original (tenant_id, case_id, type, id) VALUES ($1, $2, 'DiagnosticReport', 'secret')`, tenant, caseID); err != nil {
				t.Fatal(err)
			}
		}
	}
	report := about("DiagnosticReport", "secret", "ours")
	report.Set("conclusion", "canary")
	report.Set("performer", []*Node{Object("reference", "Practitioner/ours", "display", "Dr canary")})
	report.Set("identifier", []*Node{Object("system", "urn:ris", "value", "canary")})
	w.put(report, true)
	w.put(report, true) // a second version
	toReport := []*Node{Object("reference", "DiagnosticReport/secret")}
	for typ, element := range map[string]string{"Observation": "", "Media": "", "Provenance": "target", "Communication": "about", "DocumentReference": "", "Basic": "", "Condition": ""} {
		n := about(typ, "secret", "ours")
		n.Set("language", "x-canary")
		if element != "" {
			n.Set(element, toReport)
		} else {
			n.Set("extension", []*Node{Object("url", "urn:of", "valueReference", toReport[0])})
		}
		w.put(n, true)
	}
	if got := w.at(0, "all", "GET", "/fhir/DiagnosticReport/secret", ""); !strings.Contains(got.body, "canary") {
		t.Fatalf("%d %s", got.status, got.body)
	}

	for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
		who := string(role)
		w.token(who, role, "", "")
		for _, path := range []string{
			"DiagnosticReport?_total=accurate", "DiagnosticReport?identifier=urn:ris|canary", "DiagnosticReport?performer=Practitioner/ours", "DiagnosticReport?performer:Practitioner._id=ours&_total=accurate",
			"Practitioner?_has:DiagnosticReport:performer:status=final", "Practitioner?_revinclude=DiagnosticReport:performer", "Patient?_has:DiagnosticReport:subject:identifier=canary", "Patient?_revinclude=*",
			"Patient/ours/$everything", "Patient/ours/$everything?_count=1", "Patient/ours/*", "Patient/ours/DiagnosticReport?_summary=count", "Practitioner/ours/*", "Practitioner/ours/DiagnosticReport",
			"Task/ours/$everything", "ServiceRequest?_revinclude=*&_include=*", "DiagnosticReport/_history?_total=accurate", "DiagnosticReport/secret/_history/2", "DiagnosticReport/secret/_history?_at=2999",
			"Observation?_language=x-canary", "_history?_count=2", "?_type=DiagnosticReport,Observation&_total=accurate", "$export", "Patient/$export", "AuditEvent?entity=DiagnosticReport/secret", "Task/ours/$quality",
			"DiagnosticReport?_sort=-date&_count=1", "DiagnosticReport?_id:not=ours&_total=estimate", "Binary?_total=accurate",
		} {
			w.same(who, "GET", "/fhir/"+path, "", "Prefer", "respond-async")
		}
		if role == access.Reader {
			w.everyWay(who, []string{"DiagnosticReport", "Observation", "Provenance"}, []string{"secret", "none", "ours"})
			w.everyWay(who, []string{"Media", "Communication", "DocumentReference", "Basic", "Condition", "Patient", "ImagingStudy"}, []string{"secret"})
		}
	}
	if got := w.at(0, "all", "GET", "/fhir/DiagnosticReport?_total=accurate", ""); got.status != http.StatusOK || len(got.ids()) != 1 {
		t.Errorf("the placer finds %v", got.ids())
	}
}
