package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

func (r *rest) remove(path string, header ...string) response {
	r.t.Helper()
	return r.do(access.Placer, "DELETE", path, "", header...)
}

func TestWhatIsDeletedIsGoneAndItsVersionsStay(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	path := "/fhir/Patient/" + id
	first := r.get(path)
	if got := r.remove(path); got.status != http.StatusNoContent || got.header.Get("ETag") != `W/"2"` || got.body != "" {
		t.Fatal(got.status, got.header, got.body)
	}
	r.get(path).want(t, http.StatusGone, "deleted")
	r.get(path+"/_history/2").want(t, http.StatusGone, "deleted")
	if got := r.get(path + "/_history/1"); got.body != first.body {
		t.Errorf("version 1: %d %s", got.status, got.body)
	}
	for _, question := range []string{"identifier=urn:mrn|1", "birthdate=1970-05", "family=muller", "_id=" + id} {
		if got := r.get("/fhir/Patient?" + question); len(got.ids()) != 0 {
			t.Errorf("still found by %s: %s", question, got.body)
		}
	}
	for _, table := range indexTables {
		if n := r.count(table + ` WHERE type = 'Patient'`); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if got := r.remove(path); got.status != http.StatusNoContent || got.header.Get("ETag") != `W/"2"` {
		t.Errorf("again: %d %v", got.status, got.header)
	}
	if got := r.remove("/fhir/Patient/never", "Prefer", "return=OperationOutcome"); got.status != http.StatusOK || got.node.Text("issue", "details", "text") != "deleted" {
		t.Errorf("what never was: %d %s", got.status, got.body)
	}
	r.post("/fhir/ServiceRequest", orderJSON("Patient/"+id)).want(t, http.StatusUnprocessableEntity, "business-rule")
	body := strings.Replace(patientJSON("1"), `"Patient",`, `"Patient","id":"`+id+`",`, 1)
	r.put(path, body, "If-Match", "*").want(t, http.StatusPreconditionFailed, "conflict")
	if got := r.put(path, body, "If-None-Match", "*"); got.status != http.StatusCreated || got.node.Text("meta", "versionId") != "3" {
		t.Errorf("brought back: %d %s", got.status, got.body)
	}
	if got := r.get("/fhir/Patient?identifier=urn:mrn|1"); len(got.ids()) != 1 {
		t.Errorf("brought back, and not found: %s", got.body)
	}
}

func TestADeleteIsAudited(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	r.remove("/fhir/Patient/" + id)
	r.remove("/fhir/Patient/" + id)
	r.settle()
	var body []byte
	if err := r.db.Owner(t).QueryRow(context.Background(), `SELECT body FROM audit_event ORDER BY audit_id DESC LIMIT 1`).Scan(&body); err != nil {
		t.Fatal(err)
	}
	n, err := Decode(body, "AuditEvent")
	if err != nil {
		t.Fatalf("%+v", err)
	}
	have := []string{n.Text("action"), n.Text("subtype", "code"), n.Text("entity", "what", "reference"), n.Text("meta", "profile")}
	for _, code := range n.Each("agent", "type", "coding", "code") {
		have = append(have, code.Text())
	}
	want := []string{"D", "delete", "Patient/" + id + "/_history/2", "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientDelete", "110150", "custodian", "AUT", "UserOauthAgent"}
	if diff := cmp.Diff(want, have); diff != "" || r.count("audit_event") != 2 {
		t.Errorf("%s, %d events", diff, r.count("audit_event"))
	}
}

func TestADeleteKeepsItsConditions(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	r.mustCreate("Patient", patientJSON("twin"))
	r.mustCreate("Patient", patientJSON("twin"))
	r.remove("/fhir/Patient/"+id, "If-Match", `W/"7"`).want(t, http.StatusPreconditionFailed, "conflict")
	r.remove("/fhir/Patient/never", "If-Match", `W/"1"`).want(t, http.StatusPreconditionFailed, "conflict")
	r.remove("/fhir/Patient?identifier=urn:mrn|twin").want(t, http.StatusPreconditionFailed, "multiple-matches")
	r.remove("/fhir/Patient").want(t, http.StatusBadRequest, "value")
	r.remove("/fhir/Patient?_count=1").want(t, http.StatusBadRequest, "value")
	r.remove("/fhir/Patient?colour=red").want(t, http.StatusBadRequest, "not-supported")
	for range 2 { // the second time nobody meets the condition
		if got := r.remove("/fhir/Patient?identifier=urn:mrn|1&birthdate=1970&_format=json"); got.status != http.StatusNoContent {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	r.get("/fhir/Patient/"+id).want(t, http.StatusGone, "deleted")
	r.do(access.Reader, "DELETE", "/fhir/Patient/"+id, "").want(t, http.StatusForbidden, "forbidden")
	r.do(access.Auditor, "DELETE", "/fhir/Patient?identifier=urn:mrn|twin", "").want(t, http.StatusForbidden, "forbidden")
}

func TestWhatOthersReferToIsNotDeletedWithoutThem(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := r.mustCreate("Patient", patientJSON("1"))
	order := r.mustCreate("ServiceRequest", orderJSON("Patient/"+patient))
	r.mustCreate("ServiceRequest", orderJSON("Patient/"+patient))
	r.mustCreate("Task", `{"resourceType":"Task","status":"draft","intent":"order","for":{"reference":"Patient/`+patient+`"}}`)
	got := r.remove("/fhir/Patient/" + patient)
	got.want(t, http.StatusConflict, "conflict")
	if text := got.node.Text("issue", "details", "text"); !strings.Contains(text, "2 ServiceRequest, 1 Task") {
		t.Error(text)
	}
	r.remove("/fhir/ServiceRequest/" + order)
	if text := r.remove("/fhir/Patient/"+patient).node.Text("issue", "details", "text"); !strings.Contains(text, "1 ServiceRequest, 1 Task") {
		t.Error(text)
	}
	var all []string
	for _, typ := range []string{"ServiceRequest", "Task"} {
		all = append(all, requestJSON("DELETE", typ+"/"+r.get("/fhir/" + typ).ids()[0]))
	}
	if got := r.post("/fhir", bundleJSON(append(all, requestJSON("DELETE", "Patient/"+patient))...)); got.status != http.StatusOK {
		t.Errorf("with all that refers to it: %d %s", got.status, got.body)
	}
	prior := r.mustCreate("Observation", `{"resourceType":"Observation","status":"final","code":{"text":"prior"}}`)
	patient = r.mustCreate("Patient", patientJSON("2"))
	r.mustCreate("ServiceRequest", strings.Replace(orderJSON("Patient/"+patient), `"subject"`, `"supportingInfo":[{"reference":"Observation/`+prior+`"}],"subject"`, 1))
	if text := r.remove("/fhir/Observation/"+prior).node.Text("issue", "details", "text"); !strings.Contains(text, "1 ServiceRequest") {
		t.Errorf("by an element without search parameter: %s", text)
	}
	content := r.mustCreate("Binary", `{"resourceType":"Binary","contentType":"text/plain","data":"eA=="}`)
	r.mustCreate("DocumentReference", `{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"url":"Binary/`+content+`"}}]}`)
	r.remove("/fhir/Binary/"+content).want(t, http.StatusConflict, "conflict")
	self := r.put("/fhir/Organization/self", `{"resourceType":"Organization","id":"self","name":"Self","partOf":{"reference":"Organization/self"}}`)
	if got := r.remove("/fhir/Organization/self"); self.status != http.StatusCreated || got.status != http.StatusNoContent {
		t.Errorf("%d, and of what refers to itself: %d %s", self.status, got.status, got.body)
	}
}

// A second opinion rests on its order, its Task, its study and its first report.
func TestWhatACaseRestsOnIsKept(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("kept")
	order := c.get("/fhir/" + c.task(id).Text("focus", "reference")).node
	report := c.report(id)
	keep := map[string]int{
		"Task/" + id: 409, "ServiceRequest/" + order.Text("id"): 409, order.Text("subject", "reference"): 409,
		"DiagnosticReport/" + report.Text("id"): 403, report.Text("result", "reference"): 403, report.Text("resultsInterpreter", "reference"): 403,
	}
	for _, ref := range order.Each("supportingInfo", "reference") {
		keep[ref.Text()] = 409
	}
	if len(keep) < 8 {
		t.Fatalf("the order names too little: %s", order.Bytes())
	}
	for name, status := range keep {
		if got := c.remove("/fhir/" + name); got.status != status {
			t.Errorf("%s: %d, want %d: %s", name, got.status, status, got.body)
		}
		if got := c.get("/fhir/" + name); got.status != http.StatusOK {
			t.Errorf("%s is gone: %d", name, got.status)
		}
	}
	if got := c.do(access.Coordinator, "DELETE", "/fhir/"+report.Text("resultsInterpreter", "reference"), ""); got.status != http.StatusConflict {
		t.Errorf("a reader of the service: %d %s", got.status, got.body)
	}
}

func TestATenantMayWantIdsOfOursOnly(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	if _, err := r.db.Owner(t).Exec(context.Background(), `UPDATE tenant SET update_create = false`); err != nil {
		t.Fatal(err)
	}
	body := `{"resourceType":"Organization","id":"a","name":"A"}`
	got := r.put("/fhir/Organization/a", body)
	got.want(t, http.StatusMethodNotAllowed, "not-supported")
	if got.header.Get("Allow") == "" {
		t.Error("no Allow")
	}
	r.put("/fhir/Organization?name=A", body).want(t, http.StatusMethodNotAllowed, "not-supported")
	r.post("/fhir", bundleJSON(entryJSON("", "PUT", "Organization/a", "", body))).wantAt(t, http.StatusMethodNotAllowed, "not-supported", "Bundle.entry[0].resource")
	made := r.put("/fhir/Organization?name=A", `{"resourceType":"Organization","name":"A"}`)
	if made.status != http.StatusCreated {
		t.Fatal(made.status, made.body)
	}
	path := "/fhir/Organization/" + made.node.Text("id")
	r.remove(path)
	if got := r.put(path, made.body); got.status != http.StatusCreated || got.node.Text("meta", "versionId") != "3" {
		t.Errorf("what was deleted cannot be brought back: %d %s", got.status, got.body)
	}
}
