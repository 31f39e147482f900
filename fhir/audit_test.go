package fhir

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

func TestADirectorFindsWhoDidWhat(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := r.mustCreate("Patient", patientJSON("1"))
	order := r.mustCreate("ServiceRequest", orderJSON("Patient/"+patient))
	r.put("/fhir/Patient/"+patient, strings.Replace(patientJSON("2"), `"resourceType"`, `"id":"`+patient+`","resourceType"`, 1))

	for question, want := range map[string]int{
		"":               3,
		"action=C":       2,
		"action=U":       1,
		"type=rest":      3,
		"subtype=update": 1,
		"subtype=http://hl7.org/fhir/restful-interaction|create": 2,
		"outcome=0":                                           3,
		"outcome:not=0":                                       0,
		"patient=Patient/" + patient:                          3,
		"entity=ServiceRequest/" + order:                      1,
		"entity=" + patient:                                   3,
		"entity-role=1":                                       3,
		"agent-role:missing=true":                             0,
		"altid:missing=true":                                  3,
		"date=gt2020":                                         3,
		"date=lt2020":                                         0,
		"site=" + r.url + "/fhir":                             3,
		"source:missing=false":                                3,
		"policy:missing=true":                                 0,
		"policy=" + tokenOf(r, access.Placer):                 3,
		"policy=" + access.TokenURN("another"):                0,
		"_lastUpdated=gt2020":                                 3,
		"_profile:below=https://profiles.ihe.net/ITI/BALP/":   3,
		"agent:identifier=" + Canonical + "/sid/actor|nobody": 0,
		"patient=Patient/" + patient + "&action=U":            1,
	} {
		got := r.do(access.Director, "GET", "/fhir/AuditEvent?"+question, "")
		if got.status != http.StatusOK || len(got.ids()) != want {
			t.Errorf("%s finds %d, want %d: %d %s", question, len(got.ids()), want, got.status, got.node.Text("issue", "details", "text"))
		}
	}
	agents := r.do(access.Director, "GET", "/fhir/AuditEvent?action=U", "").node.Each("entry", "resource", "agent", "who", "identifier", "value")
	if got := r.do(access.Director, "GET", "/fhir/AuditEvent?agent:identifier="+agents[0].Text(), ""); len(got.ids()) != 3 {
		t.Errorf("by its agent: %s", got.body)
	}
}

// tokenOf is the name of a role's token.
func tokenOf(r *rest, role access.Role) string { return access.TokenURN(r.tokens[role]) }

func TestAnAuditEventIsReadAndNeverChanged(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.get("/fhir/Patient/" + r.mustCreate("Patient", patientJSON("1")))
	if err := r.server.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	page := r.do(access.Director, "GET", "/fhir/AuditEvent?action=R", "")
	path := "/fhir/AuditEvent/" + page.ids()[0]

	read := r.do(access.Auditor, "GET", path, "")
	if read.status != http.StatusOK || read.header.Get("ETag") != `W/"1"` || read.node.Text("meta", "versionId") != "1" {
		t.Errorf("%d %v %s", read.status, read.header, read.body)
	}
	if _, err := Decode([]byte(read.body), "AuditEvent"); err != nil {
		t.Errorf("not valid: %v", issueLines(err))
	}
	if diff := cmp.Diff(read.body, r.do(access.Auditor, "GET", path+"/_history/1", "").body); diff != "" {
		t.Error(diff)
	}
	if got := r.do(access.Auditor, "GET", path, "", "If-None-Match", `W/"1"`); got.status != http.StatusNotModified {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.do(access.Auditor, "GET", path+"/_history/2", "").want(t, http.StatusNotFound, "not-found")
	r.do(access.Auditor, "GET", "/fhir/AuditEvent/none", "").want(t, http.StatusNotFound, "not-found")

	for _, role := range anybody {
		if role == access.Auditor || role == access.Director {
			continue
		}
		for _, path := range []string{path, path + "/_history/1", "/fhir/AuditEvent", "/fhir/Patient?_revinclude=AuditEvent:entity", "/fhir/Patient?_has:AuditEvent:entity:action=C"} {
			r.do(role, "GET", path, "").want(t, http.StatusForbidden, "forbidden")
		}
	}
}

// By no interface can anybody make, change or remove an AuditEvent, whatever their
// role and scopes.
func TestNoInterfaceChangesAnAuditEvent(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.mustCreate("Patient", patientJSON("1"))
	id := r.do(access.Director, "GET", "/fhir/AuditEvent", "").ids()[0]
	event := r.do(access.Director, "GET", "/fhir/AuditEvent/"+id, "").body
	before := r.bodies(`SELECT body FROM audit_event WHERE audit_id = '` + id + `'`)
	patch := `[{"op":"replace","path":"/outcome","value":"8"}]`
	entry := func(method, url, resource string) string {
		if resource != "" {
			resource = `"resource":` + resource + `,`
		}
		return `{` + resource + `"request":{"method":"` + method + `","url":"` + url + `"}}`
	}
	binary := `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"` + base64.StdEncoding.EncodeToString([]byte(patch)) + `"}`
	changes := [][3]string{
		{"POST", "AuditEvent", event},
		{"PUT", "AuditEvent/" + id, event},
		{"PUT", "AuditEvent?subtype=create", event},
		{"PATCH", "AuditEvent/" + id, patch},
		{"PATCH", "AuditEvent?subtype=create", patch},
		{"DELETE", "AuditEvent/" + id, ""},
		{"DELETE", "AuditEvent?subtype=create", ""},
	}
	for _, role := range anybody {
		for _, c := range changes {
			header := []string{}
			if c[0] == "PATCH" {
				header = []string{"Content-Type", "application/json-patch+json"}
			}
			if got := r.do(role, c[0], "/fhir/"+c[1], c[2], header...); got.status < 400 || got.status > 405 {
				t.Errorf("%s: %s %s is answered %d", role, c[0], c[1], got.status)
			}
			resource := c[2]
			if c[0] == "PATCH" {
				resource = binary
			}
			for _, kind := range []string{"batch", "transaction"} {
				got := r.do(role, "POST", "/fhir", `{"resourceType":"Bundle","type":"`+kind+`","entry":[`+entry(c[0], c[1], resource)+`]}`)
				status := got.node.Text("entry", "response", "status")
				if got.status == http.StatusOK && (status == "" || status[0] == '2') {
					t.Errorf("%s: %s %s in a %s is answered %s", role, c[0], c[1], kind, status)
				}
			}
		}
	}
	if diff := cmp.Diff(before, r.bodies(`SELECT body FROM audit_event WHERE audit_id = '`+id+`'`)); diff != "" {
		t.Error(diff)
	}
	if n := r.count("resource WHERE type = 'AuditEvent'"); n != 0 {
		t.Errorf("%d were made", n)
	}
}

func TestAnAuditorSeesOnlyTheirOwnTenantAndNeedsTheScope(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.get("/fhir/Patient/" + r.mustCreate("Patient", patientJSON("1")))
	if err := r.server.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := r.do(access.Auditor, "GET", "/fhir/AuditEvent?action=R", "").ids()[0]
	r.asClient(access.Auditor, "system/Patient.rs system/Task.cruds")
	for _, path := range []string{"/AuditEvent", "/AuditEvent/" + id, "/AuditEvent/" + id + "/_history/1", "/Patient?_has:AuditEvent:entity:action=C"} {
		r.do(access.Auditor, "GET", "/fhir"+path, "").want(t, http.StatusForbidden, "forbidden")
	}
	r.asClient(access.Auditor, "system/AuditEvent.rs")
	if got := r.do(access.Auditor, "GET", "/fhir/AuditEvent/"+id, ""); got.status != http.StatusOK {
		t.Errorf("with the scope: %d", got.status)
	}
	r.tokens[access.Auditor], _ = pgtest.AddToken(t, r.db, pgtest.AddTenant(t, r.db, "south"), access.Auditor)
	r.do(access.Auditor, "GET", "/fhir/AuditEvent/"+id, "").want(t, http.StatusNotFound, "not-found")
	if got := r.do(access.Auditor, "GET", "/fhir/AuditEvent?patient:missing=false", ""); len(got.ids()) != 0 {
		t.Errorf("of another tenant: %v", got.ids())
	}
}
