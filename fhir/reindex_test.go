package fhir

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/overread/overread/internal/access"
)

// Two replicas index everything once, and nothing that a client reads changes.
func TestWhatAnEarlierReleaseStoredIsFoundAgain(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	const patients = 250
	for i := range patients {
		r.mustCreate("Patient", patientJSON(fmt.Sprint(i)))
	}
	gone := r.mustCreate("Patient", patientJSON("gone"))
	r.do(access.Placer, "DELETE", "/fhir/Patient/"+gone, "")
	ctx := context.Background()
	owner := r.db.Owner(t)
	before := r.state(owner)

	for _, sql := range []string{ // as if this release had not written them
		`UPDATE resource SET keys = '{}', indexed = 0`,
		`UPDATE audit_event SET keys = '{}', indexed = 0`,
		`DELETE FROM resource_date`, `DELETE FROM resource_string`, `DELETE FROM resource_reference`, `DELETE FROM resource_sort`,
		`INSERT INTO resource_string (tenant_id, type, id, param, folded, exact) SELECT tenant_id, type, id, 'family', 'stale', '' FROM resource`,
	} {
		if _, err := owner.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.get("/fhir/Patient?family=muller&_count=500"); len(got.ids()) != 0 {
		t.Fatalf("the index is not gone: %d", len(got.ids()))
	}

	done := make([]int, 2)
	var replicas errgroup.Group
	for i := range done {
		replicas.Go(func() error {
			for {
				n, err := r.server.Reindex(ctx)
				done[i] += n
				if err != nil || n == 0 {
					return err
				}
			}
		})
	}
	if err := replicas.Wait(); err != nil {
		t.Fatal(err)
	}
	// Every Patient but the one deleted, and an AuditEvent of each create and of the delete.
	if want := 2*patients + 2; done[0]+done[1] != want {
		t.Errorf("the replicas have indexed %d, want %d", done, want)
	}
	if diff := cmp.Diff(before, r.state(owner)); diff != "" {
		t.Errorf("versions, audit or index are not what they were:\n%s", diff)
	}
	for question, want := range map[string]int{"family=muller": patients, "family=stale": 0, "identifier=urn:mrn%7C7": 1, "birthdate=1970-05": patients} {
		if got := r.get("/fhir/Patient?_count=500&" + question); len(got.ids()) != want {
			t.Errorf("%s finds %d, want %d", question, len(got.ids()), want)
		}
	}
	if got := r.do(access.Director, "GET", "/fhir/AuditEvent?_count=500&action=C", ""); got.status != http.StatusOK || len(got.ids()) != patients+1 {
		t.Errorf("%d AuditEvents of creates are found", len(got.ids()))
	}
}

// While releases change, a replica of the earlier one may write over what this one
// has indexed. Until the job has been there, nothing is answered or deleted by
// references that may be those of another version.
func TestWhatAnEarlierReleaseWritesOverIsIndexedAgainAndNotTrustedBefore(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	ctx, owner := context.Background(), r.db.Owner(t)
	first, second := r.mustCreate("Patient", patientJSON("1")), r.mustCreate("Patient", patientJSON("2"))
	about := r.mustCreate("Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+first+`"}}`)
	questions := map[string]string{
		"a chain":          "/fhir/Observation?subject:Patient.identifier=urn:mrn%7C2",
		"_has":             "/fhir/Patient?_has:Observation:subject:status=final",
		"_revinclude":      "/fhir/Patient?_id=" + second + "&_revinclude=Observation:subject",
		"a compartment":    "/fhir/Patient/" + second + "/Observation",
		"a patient's file": "/fhir/Patient/" + second + "/$everything",
	}
	for name, path := range questions {
		if got := r.get(path); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}

	// The statement of release ab747c4, which knows of no index.
	if _, err := owner.Exec(ctx, `
		UPDATE resource
		SET version = 2, body = convert_to(replace(convert_from(body, 'UTF8'), $1, $2), 'UTF8')
		WHERE id = $3`, first, second, about); err != nil {
		t.Fatal(err)
	}
	for name, path := range questions {
		got := r.get(path)
		if got.want(t, http.StatusServiceUnavailable, "transient"); got.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
	}
	r.do(access.Placer, "DELETE", "/fhir/Patient/"+second, "").want(t, http.StatusServiceUnavailable, "transient")
	if got := r.get("/fhir/Patient?identifier=urn:mrn%7C2"); len(got.ids()) != 1 {
		t.Errorf("what rests on no reference: %d", got.status)
	}

	if n, err := r.server.Reindex(ctx); n != 1 || err != nil {
		t.Errorf("%d are indexed again: %v", n, err)
	}
	for name, path := range questions {
		if got := r.get(path); got.status != http.StatusOK || len(got.ids()) == 0 {
			t.Errorf("%s, afterwards: %d %v", name, got.status, got.ids())
		}
	}
	r.do(access.Placer, "DELETE", "/fhir/Patient/"+second, "").want(t, http.StatusConflict, "conflict")
}

// state is a digest of all that reindexing must leave as it is.
func (r *rest) state(owner *pgx.Conn) map[string]string {
	r.t.Helper()
	r.settle()
	state := map[string]string{}
	for name, sql := range map[string]string{
		"resources": `SELECT md5(string_agg(type || id || version || xid || indexed || keys::text || coalesce(convert_from(body, 'UTF8'), ''), ',' ORDER BY id)) FROM resource WHERE NOT deleted`,
		"history":   `SELECT count(*)::text FROM resource_history`,
		"audit":     `SELECT md5(string_agg(audit_id::text || keys::text || indexed || convert_from(body, 'UTF8'), ',' ORDER BY audit_id)) FROM audit_event`,
		"dates":     `SELECT md5(string_agg(d::text, ',' ORDER BY d::text)) FROM resource_date d`,
		"strings":   `SELECT md5(string_agg(s::text, ',' ORDER BY s::text)) FROM resource_string s WHERE id <> ALL (SELECT id FROM resource WHERE deleted)`,
		"sorts":     `SELECT md5(string_agg(s::text, ',' ORDER BY s::text)) FROM resource_sort s`,
		"refs":      `SELECT md5(string_agg(s::text, ',' ORDER BY s::text)) FROM resource_reference s`,
	} {
		var digest string
		if err := owner.QueryRow(context.Background(), sql).Scan(&digest); err != nil {
			r.t.Fatalf("%s: %v", name, err)
		}
		state[name] = digest
	}
	return state
}
