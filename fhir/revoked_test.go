package fhir

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/overread/overread/internal/access"
)

// A token that the server remembers is good for nothing from the moment on in which
// it is revoked, whatever is asked with it.
func TestARememberedTokenIsRefusedAtOnceWhenItIsRevoked(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.asClient(access.Placer, "system/*.cruds")
	id := r.mustCreate("Patient", patientJSON("1"))
	owner := r.db.Owner(t)
	entry := `{"request":{"method":"GET","url":"Patient/` + id + `"}},{"resource":` + patientJSON("3") + `,"request":{"method":"POST","url":"Patient"}}`
	requests := map[string]struct{ method, path, body string }{
		"a read":               {"GET", "/fhir/Patient/" + id, ""},
		"a search":             {"GET", "/fhir/Patient", ""},
		"a history":            {"GET", "/fhir/Patient/" + id + "/_history", ""},
		"a create":             {"POST", "/fhir/Patient", patientJSON("2")},
		"an update":            {"PUT", "/fhir/Patient/" + id, strings.Replace(patientJSON("2"), `"resourceType"`, `"id":"`+id+`","resourceType"`, 1)},
		"a delete":             {"DELETE", "/fhir/Patient/" + id, ""},
		"a batch":              {"POST", "/fhir", `{"resourceType":"Bundle","type":"batch","entry":[` + entry + `]}`},
		"a transaction":        {"POST", "/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[` + entry + `]}`},
		"an operation":         {"GET", "/fhir/Patient/" + id + "/$everything", ""},
		"an export":            {"GET", "/fhir/$export", ""},
		"what is none":         {"POST", "/fhir/Patient", "{"},
		"what is not allowed":  {"GET", "/fhir/AuditEvent", ""},
		"a type that is none":  {"GET", "/fhir/Nothing/1", ""},
		"an id that is none":   {"GET", "/fhir/Patient/_", ""},
		"a read of what is no": {"GET", "/fhir/Patient/none", ""},
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	before := r.count("resource") + r.count("resource_history")
	for name, q := range requests {
		for how, sql := range map[string]string{
			"revoked": `UPDATE client SET revoked_at = now()`,
			"expired": `UPDATE access_token SET expires_at = now() - interval '1 second'`,
		} {
			if got := r.get("/fhir/Patient/" + id); got.status != http.StatusOK { // it is remembered from now on
				t.Fatalf("%d %s", got.status, got.body)
			}
			exec(sql)
			header := []string{}
			if name == "an export" {
				header = []string{"Prefer", "respond-async"}
			}
			if got := r.do(access.Placer, q.method, q.path, q.body, header...); got.status != http.StatusUnauthorized {
				t.Errorf("%s with a token that is %s: %d %s", name, how, got.status, got.body)
			}
			exec(`UPDATE client SET revoked_at = NULL; UPDATE access_token SET expires_at = now() + interval '1 hour'`)
		}
	}
	if after := r.count("resource") + r.count("resource_history"); after != before || r.count("export_job") != 0 {
		t.Errorf("%d versions were there, now %d", before, after)
	}
}

func TestARememberedTokenAllowsNoMoreThanItDoesNow(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.asClient(access.Placer, "system/*.cruds")
	id := r.mustCreate("Patient", patientJSON("1"))
	owner := r.db.Owner(t)
	if _, err := owner.Exec(context.Background(), `UPDATE access_token SET scopes = 'system/Patient.r'`); err != nil {
		t.Fatal(err)
	}
	r.post("/fhir/Patient", patientJSON("2")).want(t, http.StatusServiceUnavailable, "transient")
	r.post("/fhir/Patient", patientJSON("2")).want(t, http.StatusForbidden, "forbidden")
	if got := r.get("/fhir/Patient/" + id); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, err := owner.Exec(context.Background(), `UPDATE tenant SET state = 'suspended'`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := r.get("/fhir/Patient/" + id); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "suspended") {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n := r.count("resource"); n != 1 {
		t.Errorf("%d resources", n)
	}
}

func TestManyRequestsOfOneTokenAreEachChecked(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.asClient(access.Placer, "system/*.cruds")
	id := r.mustCreate("Patient", patientJSON("1"))
	r.get("/fhir/Patient/" + id)
	if _, err := r.db.Owner(t).Exec(context.Background(), `UPDATE client SET revoked_at = now()`); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if got := r.get("/fhir/Patient/" + id); got.status != http.StatusUnauthorized {
				t.Errorf("%d", got.status)
			}
		})
	}
	all.Wait()
}
