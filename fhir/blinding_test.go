package fhir

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// Under a blinded protocol the original report does not exist for a reader
// before the reveal, whichever way they look.
func TestAReaderDoesNotFindTheOriginalBeforeTheReveal(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := r.mustCreate("Patient", patientJSON("1"))
	report := `{"resourceType":"DiagnosticReport","status":"final","code":{"text":"CT"},"subject":{"reference":"Patient/` + patient + `"}}`
	original, other := r.mustCreate("DiagnosticReport", report), r.mustCreate("DiagnosticReport", report)
	owner, ctx, caseID := r.db.Owner(t), context.Background(), uuid.New()
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := owner.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(`INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, protocol, policy, opened_at)
		VALUES ($1, $2, 1, 'ready', 'routine', 's', 'v', 'ServiceRequest/1', '1', 'blinded', '{}', now())`, r.tenant, caseID)
	run(`INSERT INTO case_original (tenant_id, case_id, type, id) VALUES ($1, $2, 'DiagnosticReport', $3)`, r.tenant, caseID, original)

	paths := []string{"/fhir/DiagnosticReport/" + original, "/fhir/DiagnosticReport/" + original + "/_history/1"}
	absent := r.do(access.Reader, "GET", "/fhir/DiagnosticReport/none", "")
	for _, path := range paths {
		hidden := r.do(access.Reader, "GET", path, "")
		if diff := cmp.Diff(absent.body, hidden.body); diff != "" || hidden.status != http.StatusNotFound {
			t.Errorf("%s can be told from what does not exist: %s", path, diff)
		}
		hidden = r.do(access.Reader, "GET", path, "", "If-None-Match", `W/"1"`)
		hidden.want(t, http.StatusNotFound, "not-found")
		if got := r.get(path); got.status != http.StatusOK {
			t.Errorf("the placer gets %d", got.status)
		}
	}
	search := "/fhir/DiagnosticReport?patient=" + patient
	if diff := cmp.Diff([]string{other}, r.do(access.Reader, "GET", search, "").ids()); diff != "" {
		t.Errorf("a search: %s", diff)
	}
	if diff := cmp.Diff([]string{other, original}, r.do(access.Coordinator, "GET", search, "").ids()); diff != "" {
		t.Errorf("a search of the coordinator: %s", diff)
	}

	run(`UPDATE case_file SET locked_at = now(), revealed_at = now() WHERE case_id = $1`, caseID)
	for _, path := range paths {
		if got := r.do(access.Reader, "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("after the reveal, %s is %d", path, got.status)
		}
	}
	if got := r.do(access.Reader, "GET", search, "").ids(); len(got) != 2 {
		t.Errorf("after the reveal, a search finds %d", len(got))
	}
}
