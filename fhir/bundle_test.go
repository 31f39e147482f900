package fhir

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

const urn = "urn:uuid:0190aaaa-0000-7000-8000-00000000000"

// orderTransaction is an order with all that belongs to it, as an EHR sends it.
func orderTransaction(number string) string {
	return bundleJSON(
		entryJSON(urn+"5", "POST", "ServiceRequest", "", `{"resourceType":"ServiceRequest","status":"active","intent":"order",
			"identifier":[{"system":"urn:orders","value":`+quoted(number)+`}],
			"subject":{"reference":"`+urn+`1"},"requester":{"reference":"Practitioner?identifier=urn:npi|1"},
			"supportingInfo":[{"reference":"`+urn+`3"},{"reference":"`+urn+`4"}]}`),
		entryJSON(urn+"1", "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn%7C1"`, patientJSON("1")),
		entryJSON(urn+"2", "POST", "Practitioner", `,"ifNoneExist":"identifier=urn:npi|1"`, `{"resourceType":"Practitioner","identifier":[{"system":"urn:npi","value":"1"}]}`),
		entryJSON(urn+"3", "POST", "ImagingStudy", "", `{"resourceType":"ImagingStudy","status":"available","subject":{"reference":"`+urn+`1"}}`),
		entryJSON(urn+"4", "POST", "DiagnosticReport", "", `{"resourceType":"DiagnosticReport","status":"final","code":{"text":"CT"},"subject":{"reference":"`+urn+`1"},"imagingStudy":[{"reference":"`+urn+`3"}]}`),
		entryJSON(urn+"6", "PUT", "Organization/radiology", "", `{"resourceType":"Organization","id":"radiology","name":"Radiology"}`))
}

func TestATransactionAnswersEachEntryInItsOrder(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.post("/fhir", orderTransaction("1"))
	if got.status != http.StatusOK || got.node.Text("type") != "transaction-response" {
		t.Fatal(got.status, got.body)
	}
	if _, err := Decode([]byte(got.body), "Bundle"); err != nil {
		t.Errorf("%+v", err)
	}
	var types []string
	for _, location := range got.node.Each("entry", "response", "location") {
		types = append(types, parseReference(location.Text()).typ)
		read := r.get("/fhir/" + location.Text())
		if read.status != http.StatusOK {
			t.Errorf("%s: %d", location.Text(), read.status)
		}
		if strings.Contains(read.body, "urn:uuid") || strings.Contains(read.body, "Practitioner?") {
			t.Errorf("a reference was not rewritten: %s", read.body)
		}
	}
	if diff := cmp.Diff([]string{"ServiceRequest", "Patient", "Practitioner", "ImagingStudy", "DiagnosticReport", "Organization"}, types); diff != "" {
		t.Error(diff)
	}
	patient := r.get("/fhir/Patient?identifier=urn:mrn|1").ids()[0]
	if found := r.get("/fhir/ServiceRequest?patient=" + patient + "&identifier=urn:orders|1"); len(found.ids()) != 1 {
		t.Errorf("the order does not lead to its patient: %s", found.body)
	}
	if got := r.post("/fhir/", orderTransaction("2"), "Prefer", "return=representation"); got.node.Text("entry", "resource", "resourceType") != "ServiceRequest" {
		t.Errorf("no representation: %s", got.body)
	}
	if r.count("resource") != 9 { // Patient, Practitioner and Organization once
		t.Errorf("%d resources", r.count("resource"))
	}
}

func TestTheSameTransactionFromManyClientsIsDoneOnce(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.atOnce(32, func(int) response { return r.post("/fhir", orderTransaction("1")) })
	for _, each := range got {
		if each.status != http.StatusOK || each.body != got[0].body {
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if r.count("resource") != 6 || r.count("receipt") != 1 {
		t.Errorf("%d resources, %d receipts", r.count("resource"), r.count("receipt"))
	}
}

// Different transactions that share conditions and updates wait for each other
// in one order, so that none is a victim.
func TestDifferentTransactionsAtOnceShareWhatTheyHaveInCommon(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	forwards := []string{
		entryJSON("", "PUT", "Organization/a", "", `{"resourceType":"Organization","id":"a","name":"A"}`),
		entryJSON("", "PUT", "Organization/b", "", `{"resourceType":"Organization","id":"b","name":"B"}`),
		entryJSON("", "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|1"`, patientJSON("1")),
		entryJSON("", "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|2"`, patientJSON("2")),
	}
	backwards := []string{forwards[3], forwards[2], forwards[1], forwards[0]}
	got := r.atOnce(24, func(i int) response {
		if i%2 == 0 {
			return r.post("/fhir", bundleJSON(forwards...))
		}
		return r.post("/fhir", bundleJSON(backwards...))
	})
	for _, each := range got {
		if each.status != http.StatusOK {
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if r.count("resource") != 4 {
		t.Errorf("%d resources", r.count("resource"))
	}
	if got := r.get("/fhir/Organization/a").node.Text("meta", "versionId"); got != "24" {
		t.Errorf("version %s", got)
	}
}

// What was deleted may be sent again.
func TestATransactionWhoseResourcesWereDeletedIsDoneAgain(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	bundle := bundleJSON(entryJSON("", "POST", "Patient", "", patientJSON("1")), requestJSON("GET", "Patient?identifier=urn:mrn|1"))
	first := r.post("/fhir", bundle)
	if again := r.post("/fhir", bundle); again.body != first.body || r.count("resource") != 1 {
		t.Fatalf("the second time: %s", again.body)
	}
	r.remove("/fhir/Patient?identifier=urn:mrn|1")
	for range 2 {
		again := r.post("/fhir", bundle)
		if again.status != http.StatusOK || again.body == first.body || r.count("resource WHERE NOT deleted") != 1 {
			t.Errorf("after the delete: %d %s", again.status, again.body)
		}
	}
}

// An update may be meant a second time, so no receipt stands in its way.
func TestTheSameUpdateIsDoneAgain(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	hold := bundleJSON(entryJSON("", "PUT", "Organization/a", "", `{"resourceType":"Organization","id":"a","name":"A","active":false}`))
	active := bundleJSON(entryJSON("", "PUT", "Organization/a", "", `{"resourceType":"Organization","id":"a","name":"A","active":true}`))
	for _, bundle := range []string{hold, active, hold} {
		r.post("/fhir", bundle)
	}
	if got := r.get("/fhir/Organization/a"); got.node.Text("active") != "false" || got.node.Text("meta", "versionId") != "3" {
		t.Errorf("%s", got.body)
	}
}

func TestAFailedTransactionLeavesNothingAndNamesTheEntry(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.mustCreate("Patient", patientJSON("twin"))
	r.mustCreate("Patient", patientJSON("twin"))
	r.put("/fhir/Organization/b", `{"resourceType":"Organization","id":"b","name":"B"}`)
	r.put("/fhir/Organization/a", `{"resourceType":"Organization","id":"a","name":"A","partOf":{"reference":"Organization/b"}}`)
	good := entryJSON("", "POST", "Patient", "", patientJSON("good"))
	cases := []struct {
		name, entry      string
		status           int
		code, expression string
	}{
		{"a lost reference", entryJSON("", "POST", "ServiceRequest", "", orderJSON("Patient/none")), 422, "business-rule", "Bundle.entry[1].resource.subject.reference"},
		{"a lost urn", entryJSON("", "POST", "ServiceRequest", "", orderJSON(urn+"9")), 422, "business-rule", "Bundle.entry[1].resource.subject.reference"},
		{"a conditional reference to nobody", entryJSON("", "POST", "ServiceRequest", "", orderJSON("Patient?identifier=urn:mrn|0")), 422, "business-rule", "Bundle.entry[1].resource.subject.reference"},
		{"a conditional reference to twins", entryJSON("", "POST", "ServiceRequest", "", orderJSON("Patient?identifier=urn:mrn|twin")), 422, "business-rule", "Bundle.entry[1].resource.subject.reference"},
		{"a condition that twins meet", entryJSON("", "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|twin"`, patientJSON("twin")), 412, "multiple-matches", "Bundle.entry[1].resource"},
		{"another version", entryJSON("", "PUT", "Organization/a", `,"ifMatch":"W/\"7\""`, `{"resourceType":"Organization","id":"a","name":"B"}`), 412, "conflict", "Bundle.entry[1].resource"},
		{"an id that is not the address's", entryJSON("", "PUT", "Organization/a", "", `{"resourceType":"Organization","id":"b","name":"B"}`), 400, "value", "Bundle.entry[1].resource.id"},
		{"a read of nothing", `{"request":{"method":"GET","url":"Patient/none"}}`, 404, "not-found", "Bundle.entry[1]"},
		{"an operation", `{"request":{"method":"GET","url":"Patient/1/$everything"}}`, 400, "not-supported", "Bundle.entry[1].request.url"},
		{"a delete of another version", `{"request":{"method":"DELETE","url":"Organization/a","ifMatch":"W/\"7\""}}`, 412, "conflict", "Bundle.entry[1]"},
		{"a delete of what is referred to", `{"request":{"method":"DELETE","url":"Organization/b"}}`, 409, "conflict", "Bundle.entry[1]"},
		{"a delete of twins", `{"request":{"method":"DELETE","url":"Patient?identifier=urn:mrn|twin"}}`, 412, "multiple-matches", "Bundle.entry[1]"},
		{"a patch that is none", entryJSON("", "PATCH", "Organization/a", "", `{"resourceType":"Binary","contentType":"application/json","data":"W10="}`), 415, "not-supported", "Bundle.entry[1].resource"},
		{"a patch of nothing", entryJSON("", "PATCH", "Organization/none", "", binaryPatch(`[]`)), 404, "not-found", "Bundle.entry[1].resource"},
		{"a patch that fails", entryJSON("", "PATCH", "Organization/a", "", binaryPatch(`[{"op":"remove","path":"/alias"}]`)), 422, "business-rule", "Bundle.entry[1].resource"},
		{"a patch of a condition that nobody meets", entryJSON("", "PATCH", "Organization?name=nobody", "", binaryPatch(`[]`)), 404, "not-found", "Bundle.entry[1].resource"},
		{"an address of another type", entryJSON("", "POST", "Patient", "", `{"resourceType":"Organization","name":"x"}`), 400, "value", "Bundle.entry[1].request.url"},
		{"a post to an id", entryJSON("", "POST", "Patient/1", "", patientJSON("1")), 400, "value", "Bundle.entry[1].request.url"},
		{"a type that is not written", entryJSON("", "POST", "CodeSystem", "", `{"resourceType":"CodeSystem","status":"active","content":"complete"}`), 400, "not-supported", "Bundle.entry[1].request.url"},
		{"a post without resource", `{"request":{"method":"POST","url":"Patient"}}`, 400, "required", "Bundle.entry[1].resource"},
		{"the wrong status", entryJSON("", "POST", "ServiceRequest", "", strings.Replace(orderJSON("Patient/none"), "active", "sleeping", 1)), 400, "code-invalid", "Bundle.entry[1].resource.status"},
	}
	before, audits := r.count("resource"), r.count("audit_event")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r.post("/fhir", bundleJSON(good, c.entry)).wantAt(t, c.status, c.code, c.expression)
		})
	}
	r.post("/fhir", bundleJSON(
		entryJSON("", "PUT", "Organization/a", "", `{"resourceType":"Organization","id":"a","name":"B"}`),
		entryJSON("", "PUT", "Organization/a", "", `{"resourceType":"Organization","id":"a","name":"C"}`))).
		wantAt(t, 400, "value", "Bundle.entry[1].resource")
	r.post("/fhir", bundleJSON(entryJSON(urn+"1", "POST", "Patient", "", patientJSON("1")), entryJSON(urn+"1", "POST", "Patient", "", patientJSON("1")))).
		wantAt(t, 400, "invariant", "Bundle.entry[1]")
	r.post("/fhir", bundleJSON(
		entryJSON("", "PUT", "Patient?identifier=urn:mrn|new", "", patientJSON("new")),
		entryJSON("", "PUT", "Patient?identifier=urn:mrn|new", "", patientJSON("new")))).
		wantAt(t, 400, "value", "Bundle.entry[1].resource")
	if r.count("resource") != before || r.count("audit_event") != audits || r.count("receipt") != 0 || r.count("conditional_claim") != 0 {
		t.Errorf("something was left: %d resources, %d audits, %d receipts, %d claims", r.count("resource"), r.count("audit_event"), r.count("receipt"), r.count("conditional_claim"))
	}
	r.do(access.Reader, "POST", "/fhir", bundleJSON(good)).want(t, http.StatusForbidden, "forbidden")
}

// References are rewritten wherever they stand; what only looks like one is not.
func TestEveryLinkOfABundleIsRewritten(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.post("/fhir", bundleJSON(
		entryJSON("https://ehr.example/north/Patient/9", "POST", "Patient", "", `{"resourceType":"Patient","id":"9",
			"identifier":[{"system":"urn:ietf:rfc:3986","value":"`+urn+`2"}],
			"link":[{"other":{"reference":"Patient/9"},"type":"seealso"}]}`),
		entryJSON(urn+"2", "POST", "DocumentReference", "", `{"resourceType":"DocumentReference","status":"current","meta":{"source":"`+urn+`2"},
			"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"`+urn+`2\">this</a> <a href='Patient/1'>other</a></div>"},
			"contained":[{"resourceType":"Practitioner","id":"p","extension":[{"url":"http://x.example/e","valueReference":{"reference":"https://ehr.example/north/Patient/9"}}]}],
			"extension":[{"url":"http://x.example/a","extension":[{"url":"b","valueReference":{"reference":"https://ehr.example/north/Patient/9/_history/4"}},{"url":"c","valueUri":"`+urn+`2"}]}],
			"author":[{"reference":"#p"}],
			"content":[{"attachment":{"contentType":"application/pdf","url":"`+urn+`2"}}]}`),
		entryJSON("https://ehr.example/north/Observation/3", "POST", "Observation", "", `{"resourceType":"Observation","status":"final","code":{"text":"x"},
			"subject":{"reference":"Patient/9"},"performer":[{"reference":"Practitioner/unknown"}]}`)))
	if got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	var found []response
	for _, location := range got.node.Each("entry", "response", "location") {
		found = append(found, r.get("/fhir/"+location.Text()))
	}
	patient, document, observation := found[0].node, found[1].node, found[2].node
	ours, doc := "Patient/"+patient.Text("id"), "DocumentReference/"+document.Text("id")
	var inner []string
	for _, e := range document.Each("extension", "extension") {
		inner = append(inner, e.Text("valueReference", "reference")+e.Text("valueUri"))
	}
	want := []string{
		urn + "2", ours, ours, ours + "/_history/1", doc, "#p", doc,
		doc, `<div xmlns="http://www.w3.org/1999/xhtml"><a href="` + doc + `">this</a> <a href='Patient/1'>other</a></div>`,
		ours, "https://ehr.example/north/Practitioner/unknown",
	}
	have := []string{
		patient.Text("identifier", "value"), patient.Text("link", "other", "reference"),
		document.Text("contained", "extension", "valueReference", "reference"), inner[0], inner[1],
		document.Text("author", "reference"), document.Text("content", "attachment", "url"), document.Text("meta", "source"), document.Text("text", "div"),
		observation.Text("subject", "reference"), observation.Text("performer", "reference"),
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	// The EHR's names are remembered.
	if got := r.post("/fhir/ServiceRequest", orderJSON("https://ehr.example/north/Patient/9")); got.node.Text("subject", "reference") != ours {
		t.Errorf("%s", got.body)
	}
}

func TestTwoEntriesOnOneConditionAreOneResource(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	condition := `,"ifNoneExist":"identifier=urn:mrn|1"`
	got := r.post("/fhir", bundleJSON(
		entryJSON(urn+"1", "POST", "Patient", condition, patientJSON("1")),
		entryJSON(urn+"2", "POST", "Patient", condition, patientJSON("1")),
		entryJSON(urn+"3", "POST", "ServiceRequest", "", orderJSON(urn+"2"))))
	if got.status != http.StatusOK || r.count("resource") != 2 {
		t.Fatal(got.status, got.body)
	}
	var statuses []string
	for _, status := range got.node.Each("entry", "response", "status") {
		statuses = append(statuses, status.Text())
	}
	if diff := cmp.Diff([]string{"201 Created", "200 OK", "201 Created"}, statuses); diff != "" {
		t.Error(diff)
	}
}

func TestABundleOfTooManyEntriesIsRefused(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	entries := make([]string, maxEntries+1)
	for i := range entries {
		entries[i] = entryJSON("", "POST", "Organization", "", fmt.Sprintf(`{"resourceType":"Organization","name":"%d"}`, i))
	}
	r.post("/fhir", bundleJSON(entries...)).want(t, http.StatusRequestEntityTooLarge, "too-long")
}

// What a transaction rewrites: references, and uri and url that equal a fullUrl.
// Patient/1 is no uuid, and a canonical URL is the name of a definition.
func TestATransactionLeavesUUIDsAndCanonicalsAlone(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := urn + "1"
	got := r.post("/fhir", bundleJSON(
		entryJSON(patient, "POST", "Patient", "", `{"resourceType":"Patient","extension":[
			{"url":"urn:a","valueUuid":`+quoted(patient)+`},{"url":"urn:b","valueCanonical":`+quoted(patient)+`},
			{"url":"urn:c","valueUri":`+quoted(patient)+`},{"url":"urn:d","valueUrl":`+quoted(patient)+`}]}`)), "Prefer", "return=representation")
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	made := got.node.Each("entry", "resource")[0]
	here := "Patient/" + made.Text("id")
	for i, want := range []string{patient, patient, here, here} {
		extension := made.Each("extension")[i]
		value := extension.Text([]string{"valueUuid", "valueCanonical", "valueUri", "valueUrl"}[i])
		if value != want {
			t.Errorf("%s: %s, want %s", extension.Text("url"), value, want)
		}
	}
	if kept := r.get("/fhir/" + here); r.put("/fhir/"+here, kept.body).status != http.StatusOK {
		t.Errorf("what was stored cannot be sent back: %s", kept.body)
	}
}
