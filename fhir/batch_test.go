package fhir

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// binaryPatch is a JSON Patch as an entry of a Bundle carries it.
func binaryPatch(operations string) string {
	return `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"` + base64.StdEncoding.EncodeToString([]byte(operations)) + `"}`
}

func requestJSON(method, url string, more ...string) string {
	return fmt.Sprintf(`{"request":{"method":%s,"url":%s%s}}`, quoted(method), quoted(url), strings.Join(more, ""))
}

func batchJSON(entries ...string) string {
	return strings.Replace(bundleJSON(entries...), `"transaction"`, `"batch"`, 1)
}

// statuses are those of the entries of a response Bundle.
func (a response) statuses() []string {
	var found []string
	for _, status := range a.node.Each("entry", "response", "status") {
		code, _, _ := strings.Cut(status.Text(), " ")
		found = append(found, code)
	}
	return found
}

func TestEachEntryOfABatchIsDoneByItself(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	r.put("/fhir/Organization/a", `{"resourceType":"Organization","id":"a","name":"A"}`)
	got := r.post("/fhir", batchJSON(requestJSON("GET", "Patient"), requestJSON("TRACE", "Patient")))
	got.want(t, http.StatusBadRequest, "code-invalid") // TRACE is no method that an entry may have
	got = r.post("/fhir", batchJSON(
		entryJSON("", "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|1"`, patientJSON("1")),
		entryJSON("", "POST", "Patient", "", strings.Replace(patientJSON("2"), "1970-05", "never", 1)),
		entryJSON("", "POST", "Patient", "", patientJSON("2")),
		entryJSON("", "PUT", "Organization/a", `,"ifMatch":"W/\"1\""`, `{"resourceType":"Organization","id":"a","name":"B"}`),
		entryJSON("", "PUT", "Organization/a", `,"ifMatch":"W/\"1\""`, `{"resourceType":"Organization","id":"a","name":"C"}`),
		entryJSON("", "PATCH", "Organization/a", "", binaryPatch(`[{"op":"add","path":"/alias","value":["x"]}]`)),
		requestJSON("GET", "Organization/a"),
		requestJSON("GET", "Organization/a", `,"ifNoneMatch":"W/\"3\""`),
		requestJSON("HEAD", "Organization/a"),
		requestJSON("GET", "Patient?identifier=urn:mrn|2"),
		requestJSON("GET", r.url+"/fhir/Patient/"+id+"/_history"),
		requestJSON("GET", "Patient/none"),
		requestJSON("DELETE", "Organization/a"),
		requestJSON("GET", "Organization/a"),
		requestJSON("POST", "Patient/_search?identifier=urn:mrn|2"),
		requestJSON("GET", "Banana"),
		requestJSON("POST", "/"),
		entryJSON(urn+"1", "POST", "ServiceRequest", "", orderJSON(urn+"1")),
	))
	want := []string{"200", "400", "201", "200", "412", "200", "200", "304", "200", "200", "200", "404", "204", "410", "200", "404", "400", "422"}
	if diff := cmp.Diff(want, got.statuses()); diff != "" || got.node.Text("type") != "batch-response" {
		t.Fatalf("%s\n%s", diff, got.body)
	}
	if _, err := Decode([]byte(got.body), "Bundle"); err != nil {
		t.Errorf("%+v", err)
	}
	entries := got.node.Get("entry").Items()
	if location := entries[0].Text("response", "location"); location != "Patient/"+id+"/_history/1" {
		t.Errorf("the location of what exists is %s", location)
	}
	if e := entries[1]; e.Text("response", "outcome", "issue", "expression") != "Patient.birthDate" || e.Get("resource") != nil {
		t.Errorf("%s", e.Bytes())
	}
	if e := entries[6]; e.Text("resource", "name") != "B" || e.Text("resource", "alias") != "x" || e.Text("response", "etag") != `W/"3"` {
		t.Errorf("%s", e.Bytes())
	}
	if entries[8].Get("resource") != nil || entries[3].Get("resource") != nil {
		t.Error("a HEAD, or an update, came back with its resource")
	}
	if entries[9].Text("resource", "entry", "resource", "identifier", "value") != "2" || entries[10].Text("resource", "type") != "history" {
		t.Errorf("%s %s", entries[9].Bytes(), entries[10].Bytes())
	}
	got = r.post("/fhir", batchJSON(entryJSON("", "POST", "Patient", "", patientJSON("3"))), "Prefer", "return=representation")
	if got.node.Text("entry", "resource", "identifier", "value") != "3" {
		t.Errorf("no representation: %s", got.body)
	}
	got = r.post("/fhir", batchJSON(entryJSON("", "POST", "Patient", "", patientJSON("3"))), "Prefer", "return=OperationOutcome")
	if got.node.Text("entry", "response", "outcome", "issue", "severity") != "information" {
		t.Errorf("no outcome: %s", got.body)
	}
}

func TestWhoReadsOnlyMaySendABundleThatReadsOnly(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	read, write := requestJSON("GET", "Patient/"+id), entryJSON("", "POST", "Patient", "", patientJSON("2"))
	got := r.do(access.Reader, "POST", "/fhir", batchJSON(read, write))
	if diff := cmp.Diff([]string{"200", "403"}, got.statuses()); diff != "" {
		t.Error(diff)
	}
	if got := r.do(access.Reader, "POST", "/fhir", bundleJSON(read)); got.node.Text("entry", "resource", "id") != id {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.do(access.Reader, "POST", "/fhir", bundleJSON(read, write)).want(t, http.StatusForbidden, "forbidden")
}

// FHIR R4 http.html#trules: deletes, then creates, then updates and patches,
// then reads, whatever the order of the entries.
func TestATransactionIsDoneInTheOrderOfTheSpecification(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	old := r.mustCreate("Patient", patientJSON("1"))
	r.put("/fhir/Organization/a", `{"resourceType":"Organization","id":"a","name":"A"}`)
	got := r.post("/fhir", bundleJSON(
		requestJSON("GET", "Patient?identifier=urn:mrn|1"),
		requestJSON("GET", "Organization/a"),
		requestJSON("HEAD", "Organization/a"),
		entryJSON("", "PATCH", "Organization/a", "", binaryPatch(`[{"op":"replace","path":"/name","value":"B"}]`)),
		entryJSON(urn+"1", "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|1"`, patientJSON("1")),
		requestJSON("DELETE", "Patient?identifier=urn:mrn|1"),
		entryJSON(urn+"2", "POST", "ServiceRequest", "", orderJSON(urn+"1")),
	), "Prefer", "return=representation")
	if diff := cmp.Diff([]string{"200", "200", "200", "200", "201", "204", "201"}, got.statuses()); diff != "" {
		t.Fatalf("%s\n%s", diff, got.body)
	}
	if _, err := Decode([]byte(got.body), "Bundle"); err != nil {
		t.Errorf("%+v", err)
	}
	entries := got.node.Get("entry").Items()
	created := parseReference(entries[4].Text("response", "location")).id
	if created == old || entries[0].Text("resource", "entry", "resource", "id") != created || entries[1].Text("resource", "name") != "B" {
		t.Errorf("the entries that read did not see what was written: %s", got.body)
	}
	if to := entries[6].Text("resource", "subject", "reference"); to != "Patient/"+created {
		t.Errorf("the order is of %s", to)
	}
	r.get("/fhir/Patient/"+old).want(t, http.StatusGone, "deleted")
	minimal := r.post("/fhir", bundleJSON(entryJSON("", "PUT", "Organization/a", "", `{"resourceType":"Organization","id":"a","name":"C"}`)), "Prefer", "return=minimal")
	if minimal.node.Get("entry").Items()[0].Get("resource") != nil {
		t.Error("minimal came with the resource")
	}
	told := r.post("/fhir", bundleJSON(requestJSON("DELETE", "Organization/a")), "Prefer", "return=OperationOutcome")
	if told.node.Text("entry", "response", "outcome", "resourceType") != "OperationOutcome" {
		t.Errorf("%s", told.body)
	}
}

func TestEntriesOfATransactionDoNotWriteTheSameResource(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	put := entryJSON("", "PUT", "Patient/"+id, "", strings.Replace(patientJSON("1"), `"Patient",`, `"Patient","id":"`+id+`",`, 1))
	patch := entryJSON("", "PATCH", "Patient/"+id, "", binaryPatch(`[{"op":"add","path":"/active","value":true}]`))
	for name, entries := range map[string][]string{
		"a delete and an update":            {put, requestJSON("DELETE", "Patient/"+id)},
		"a patch and an update":             {patch, put},
		"two deletes":                       {requestJSON("DELETE", "Patient/"+id), requestJSON("DELETE", "Patient?identifier=urn:mrn|1")},
		"a create and a conditional update": {entryJSON("", "POST", "Patient", "", patientJSON("2")), entryJSON("", "PUT", "Patient?identifier=urn:mrn|2", "", patientJSON("2"))},
		"a create and a conditional patch":  {entryJSON("", "PATCH", "Patient?identifier=urn:mrn|2", "", binaryPatch(`[]`)), entryJSON("", "POST", "Patient", "", patientJSON("2"))},
	} {
		if got := r.post("/fhir", bundleJSON(entries...)); got.status != http.StatusBadRequest || got.node.Text("issue", "code") != "value" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if got := r.get("/fhir/Patient/"+id).node.Text("meta", "versionId"); got != "1" {
		t.Errorf("version %s", got)
	}
}

func TestLastModifiedInABundleHasItsMilliseconds(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	id := r.mustCreate("Patient", patientJSON("1"))
	want := r.get("/fhir/Patient/"+id).node.Text("meta", "lastUpdated")
	for name, send := range map[string]string{
		"batch": batchJSON(requestJSON("GET", "Patient/"+id)), "transaction": bundleJSON(requestJSON("GET", "Patient/"+id)), "HEAD": batchJSON(requestJSON("HEAD", "Patient/"+id)),
	} {
		if got := r.post("/fhir", send).node.Text("entry", "response", "lastModified"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
