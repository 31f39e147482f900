package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// issueList is severity, code and expression of each issue.
func (a response) issueList() string {
	var lines []string
	for _, i := range a.node.Get("issue").Items() {
		lines = append(lines, strings.TrimSpace(i.Text("severity")+" "+i.Text("code")+" "+i.Text("expression")))
	}
	return strings.Join(lines, "\n")
}

func TestValidateTellsEverythingAndKeepsNothing(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	patient := c.mustCreate("Patient", patientJSON("1"))
	before, audits := c.count("resource"), c.count("audit_event")
	sound := strings.Replace(soundOrder, "Patient/1", "Patient/"+patient, 1)
	narrated := strings.Replace(sound, `"status"`, `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"},"status"`, 1)
	unclaimed := strings.Replace(narrated, `"meta":{"profile":["https://overread.org/fhir/StructureDefinition/second-opinion-request"]},`, "", 1)
	in := func(resource string, rows ...string) string {
		return `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":` + resource + `}` + strings.Join(rows, "") + `]}`
	}
	const profile = `,{"name":"profile","valueUri":"https://overread.org/fhir/StructureDefinition/second-opinion-request"}`
	for _, v := range []struct {
		name, path, body, want string
	}{
		{"nothing is wrong", "ServiceRequest/$validate", narrated, "information informational"},
		{"in Parameters", "ServiceRequest/$validate", in(narrated), "information informational"},
		{"no narrative", "ServiceRequest/$validate", sound, "warning invariant ServiceRequest"},
		{"several things at once, the errors first", "ServiceRequest/$validate",
			strings.NewReplacer(`"status":"active"`, `"status":"now"`, `"subject"`, `"orderDetail":[{"text":"a"}],"encounter":{"reference":"#none"},"subject"`).Replace(sound),
			"error code-invalid ServiceRequest.status\nerror value ServiceRequest.encounter.reference\nerror invariant ServiceRequest.orderDetail\nwarning invariant ServiceRequest"},
		{"a profile that is claimed", "ServiceRequest/$validate", strings.Replace(narrated, `"111418"`, `"1"`, 1), "error invariant ServiceRequest"},
		{"a profile that is named", "ServiceRequest/$validate", in(strings.Replace(unclaimed, `"urn:placer","value":"1"`, `"urn:placer"`, 1), profile), "error invariant ServiceRequest.identifier"},
		{"and not broken", "ServiceRequest/$validate", in(unclaimed, profile), "information informational"},
		{"a claim of others", "ServiceRequest/$validate", strings.Replace(narrated, `"https://overread.org/fhir/StructureDefinition/second-opinion-request"`, `"http://a/b"`, 1), "information informational ServiceRequest.meta.profile"},
		{"another type", "Patient/$validate", narrated, "error structure ServiceRequest.resourceType"},
		{"no type", "Patient/$validate", `{"resourceType":"Patience"}`, "error structure"},
		{"values of three kinds", "Patient/$validate", `{"resourceType":"Patient","gender":"q","birthDate":"x","contact":[{"organization":{"reference":"Patient/1"}}],"link":[{"type":"refer"}]}`,
			"error code-invalid Patient.gender\nerror value Patient.birthDate\nerror value Patient.contact[0].organization\nerror required Patient.link[0].other\nwarning invariant Patient"},
		{"a create", "ServiceRequest/$validate", in(unclaimed, `,{"name":"mode","valueCode":"create"}`), "information informational"},
		{"a create that refers to nobody", "ServiceRequest/$validate", in(strings.Replace(narrated, patient, "nobody", 1), `,{"name":"mode","valueCode":"create"}`), "error business-rule ServiceRequest.subject.reference"},
		{"a create that the hook refuses", "ServiceRequest/$validate", in(strings.Replace(unclaimed, `"urn:placer","value":"1"`, `"urn:placer"`, 1), `,{"name":"mode","valueCode":"create"}`), "error required ServiceRequest.identifier"},
		{"an update", "Patient/" + patient + "/$validate", in(`{"resourceType":"Patient","id":"`+patient+`","active":true}`, `,{"name":"mode","valueCode":"update"}`), "warning invariant Patient"},
		{"an update of another", "Patient/" + patient + "/$validate", in(`{"resourceType":"Patient","id":"x"}`, `,{"name":"mode","valueCode":"update"}`), "error value Patient.id\nwarning invariant Patient"},
	} {
		t.Run(v.name, func(t *testing.T) {
			got := c.post("/fhir/"+v.path, v.body)
			if diff := cmp.Diff(v.want, got.issueList()); got.status != http.StatusOK || diff != "" {
				t.Errorf("%d %s\n%s", got.status, got.body, diff)
			}
			if err := Validate(got.node); err != nil {
				t.Error(issueLines(err))
			}
		})
	}
	if got := c.get("/fhir/Patient/" + patient + "/$validate"); got.issueList() != "warning invariant Patient" {
		t.Errorf("what is stored: %s", got.body)
	}
	if after, and := c.count("resource"), c.count("audit_event"); after != before || c.count("case_file") != 0 || and != audits {
		t.Errorf("something was kept: %d resources, %d cases, %d audits", after-before, c.count("case_file"), and-audits)
	}
}

func TestValidateRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"Patient/$validate?profile=http://a/b", `{"resourceType":"Patient"}`, 400, "not-supported"},
		{"Patient/$validate?mode=profile", `{"resourceType":"Patient"}`, 400, "required"},
		{"Patient/$validate?mode=destroy", `{"resourceType":"Patient"}`, 400, "value"},
		{"Patient/$validate?mode=update", `{"resourceType":"Patient"}`, 400, "value"},
		{"Patient/1/$validate?mode=create", `{"resourceType":"Patient"}`, 400, "value"},
		{"Patient/$validate", `{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"create"}]}`, 400, "required"},
		{"Patient/none/$validate", "", 404, "not-found"},
		{"Patient/$validate", `{"resourceType":"Patient"`, 400, "structure"},
		{"Patient/$validate", `{"resourceType":"Patient","active":null,"gender":"q"}`, 400, "structure"},
	} {
		r.post("/fhir/"+c.path, c.body).want(t, c.status, c.code)
	}
}

func TestWhatIsNoValueIsToldWithTheRest(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.post("/fhir/Patient/$validate", `{"resourceType":"Patient","active":null,"gender":"q"}`)
	if diff := cmp.Diff("error structure Patient.active\nerror code-invalid Patient.gender", got.issueList()); diff != "" {
		t.Error(diff)
	}
}

func TestValidateShowsABlindedReaderNothing(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "1")...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	original := c.get("/fhir/DiagnosticReport?code=30746-2&status=final").ids()[0] // ours is registered
	c.do(access.Reader, "GET", "/fhir/DiagnosticReport/"+original+"/$validate", "").want(t, http.StatusNotFound, "not-found")
	got := c.do(access.Reader, "POST", "/fhir/DiagnosticReport/"+original+"/$validate?mode=delete", "")
	if strings.Contains(got.body, original) || got.issueList() == "information informational" {
		t.Errorf("a reader hears of the original: %s", got.body)
	}
}

func TestValidateSaysWhetherADeleteWouldBeRefused(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "1")...)
	c.tick()
	c.get("/fhir/Task/"+id+"/$validate?mode=delete").want(t, http.StatusOK, "conflict")
	free := c.mustCreate("Patient", patientJSON("1"))
	if got := c.get("/fhir/Patient/" + free + "/$validate?mode=delete"); got.issueList() != "information informational" {
		t.Errorf("%s", got.body)
	}
	if got := c.get("/fhir/Patient/" + free); got.status != http.StatusOK {
		t.Errorf("it was deleted: %d", got.status)
	}
	if got := c.do(access.Auditor, "GET", "/fhir/Patient/"+free+"/$validate?mode=delete", ""); got.issueList() != "error forbidden" {
		t.Errorf("%s", got.body)
	}
}

func TestAClaimThatIsNotKeptIsRefused(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	sound := strings.Replace(soundOrder, "Patient/1", "Patient/"+r.mustCreate("Patient", patientJSON("1")), 1)
	id := r.mustCreate("ServiceRequest", sound)
	r.do(access.Placer, "PATCH", "/fhir/ServiceRequest/"+id, `[{"op":"replace","path":"/intent","value":"proposal"}]`, "Content-Type", "application/json-patch+json").
		wantAt(t, http.StatusUnprocessableEntity, "code-invalid", "ServiceRequest.intent")
	body := strings.Replace(soundOrder, `"111418"`, `"1"`, 1)
	r.post("/fhir/ServiceRequest", body).wantAt(t, http.StatusUnprocessableEntity, "invariant", "ServiceRequest")
	r.post("/fhir", bundleJSON(entryJSON("", "POST", "ServiceRequest", "", body))).wantAt(t, http.StatusUnprocessableEntity, "invariant", "Bundle.entry[0].resource")
}
