package fhir

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// at sends the same request from many clients at one moment.
func (r *rest) atOnce(n int, send func(i int) response) []response {
	got := make([]response, n)
	var ready, all sync.WaitGroup
	ready.Add(1)
	for i := range n {
		all.Go(func() {
			ready.Wait()
			got[i] = send(i)
		})
	}
	ready.Done()
	all.Wait()
	return got
}

// count counts the rows of a table of this test's database.
func (r *rest) count(table string) (n int) {
	r.t.Helper()
	if strings.Contains(table, "udit") {
		r.settle()
	}
	if err := r.db.Owner(r.t).QueryRow(context.Background(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestManyIdenticalConditionalCreatesMakeOneResource(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.atOnce(32, func(int) response {
		return r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", "identifier=urn:mrn%7C1")
	})
	created, locations := 0, map[string]bool{}
	for _, each := range got {
		locations[each.header.Get("Location")] = true
		switch each.status {
		case http.StatusCreated:
			created++
		case http.StatusOK:
		default:
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if created != 1 || len(locations) != 1 || r.count("resource") != 1 {
		t.Errorf("%d created, %d locations, %d resources", created, len(locations), r.count("resource"))
	}
}

func TestAConditionThatSeveralMeetIsRefused(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.mustCreate("Patient", patientJSON("1"))
	r.mustCreate("Patient", patientJSON("1"))
	r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", "identifier=urn:mrn|1").want(t, http.StatusPreconditionFailed, "multiple-matches")
	r.put("/fhir/Patient?identifier=urn:mrn%7C1", patientJSON("1")).want(t, http.StatusPreconditionFailed, "multiple-matches")
}

func TestAConditionMustChoose(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for condition, code := range map[string]string{
		"?": "value", "identifier=": "value", "colour=red": "not-supported", "_count=1": "value", "_sort=_id&identifier=x": "value",
		"identifier=%zz": "value", "identifier=%00": "value",
	} {
		got := r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", condition, "Prefer", "handling=lenient")
		if got.status != http.StatusBadRequest || got.node.Text("issue", "code") != code {
			t.Errorf("%s: %d %s", condition, got.status, got.body)
		}
	}
	r.put("/fhir/Patient", patientJSON("1")).want(t, http.StatusBadRequest, "value")
}

func TestAConditionalUpdateCreatesUpdatesOrRefuses(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	first := r.put("/fhir/Patient?identifier=urn:mrn%7C1", patientJSON("1"))
	second := r.put("/fhir/Patient?identifier=urn:mrn%7C1", patientJSON("1"))
	if first.status != http.StatusCreated || second.status != http.StatusOK || second.node.Text("id") != first.node.Text("id") || second.node.Text("meta", "versionId") != "2" {
		t.Errorf("%d %s then %d %s", first.status, first.body, second.status, second.body)
	}
	other := strings.Replace(patientJSON("1"), `"Patient",`, `"Patient","id":"other",`, 1)
	r.put("/fhir/Patient?identifier=urn:mrn%7C1", other).want(t, http.StatusBadRequest, "value")
	if got := r.put("/fhir/Patient?identifier=urn:mrn%7C2", strings.Replace(other, `"1"`, `"2"`, 1)); got.status != http.StatusCreated || got.node.Text("id") != "other" {
		t.Errorf("with an id of its own: %d %s", got.status, got.body)
	}
}

func TestManyUpdatesAtOnceMakeAsManyVersions(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	body := `{"resourceType":"Organization","id":"one","name":"Radiology"}`
	for _, each := range r.atOnce(16, func(int) response { return r.put("/fhir/Organization/one", body) }) {
		if each.status != http.StatusOK && each.status != http.StatusCreated {
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if got := r.get("/fhir/Organization/one").node.Text("meta", "versionId"); got != "16" {
		t.Errorf("version %s", got)
	}
	won := 0
	for _, each := range r.atOnce(8, func(int) response { return r.put("/fhir/Organization/one", body, "If-Match", `W/"16"`) }) {
		switch each.status {
		case http.StatusOK:
			won++
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if won != 1 {
		t.Errorf("%d clients changed the same version", won)
	}
}

func TestAReferenceMustLeadSomewhere(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := r.mustCreate("Patient", patientJSON("1"))
	refused := r.post("/fhir/ServiceRequest", orderJSON("Patient/none"))
	refused.want(t, http.StatusUnprocessableEntity, "business-rule")
	if at := refused.node.Text("issue", "expression"); at != "ServiceRequest.subject.reference" {
		t.Errorf("the refusal is at %s", at)
	}
	for _, lost := range []string{"urn:uuid:0190aaaa-0000-7000-8000-000000000000", r.url + "/fhir/Patient/none", "Patient?identifier=urn:mrn|1"} {
		if got := r.post("/fhir/ServiceRequest", orderJSON(lost)); got.status < 400 || got.status > 499 {
			t.Errorf("%s: %d", lost, got.status)
		}
	}
	for sent, want := range map[string]string{
		"Patient/" + patient:                                "Patient/" + patient,
		r.url + "/fhir/Patient/" + patient:                  "Patient/" + patient,
		"Patient/" + patient + "/_history/1":                "Patient/" + patient + "/_history/1",
		"https://elsewhere.example/fhir/Patient/" + patient: "https://elsewhere.example/fhir/Patient/" + patient,
		"https://ehr.example/north/Patient/unknown":         "https://ehr.example/north/Patient/unknown",
	} {
		got := r.post("/fhir/ServiceRequest", orderJSON(sent))
		if got.status != http.StatusCreated || got.node.Text("subject", "reference") != want {
			t.Errorf("%s became %s (%d)", sent, got.node.Text("subject", "reference"), got.status)
		}
	}
	logical := strings.Replace(orderJSON("x"), `"reference":"x"`, `"type":"Patient","identifier":{"system":"urn:mrn","value":"9"}`, 1)
	if got := r.post("/fhir/ServiceRequest", logical); got.status != http.StatusCreated {
		t.Errorf("logical: %d %s", got.status, got.body)
	}
}

// What the EHR has sent is known by the EHR's own name for it.
func TestReferencesToTheEHRLeadToOurCopy(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	ours := r.mustCreate("Patient", strings.Replace(patientJSON("1"), `"Patient",`, `"Patient","id":"p9",`, 1))
	if ours == "p9" {
		t.Fatal("the client's id was kept")
	}
	order := r.post("/fhir/ServiceRequest", orderJSON("https://ehr.example/north/Patient/p9"))
	if got := order.node.Text("subject", "reference"); got != "Patient/"+ours {
		t.Errorf("the reference became %s", got)
	}
	for _, question := range []string{"Patient/" + ours, "https://ehr.example/north/Patient/p9"} {
		if got := r.get("/fhir/ServiceRequest?patient=" + question); len(got.ids()) != 1 {
			t.Errorf("not found by %s: %s", question, got.body)
		}
	}
	// Sent again it is another copy, and the name means the latest.
	again := r.mustCreate("Patient", strings.Replace(patientJSON("1"), `"Patient",`, `"Patient","id":"p9",`, 1))
	if got := r.post("/fhir/ServiceRequest", orderJSON("https://ehr.example/north/Patient/p9")); got.node.Text("subject", "reference") != "Patient/"+again {
		t.Errorf("the reference became %s", got.node.Text("subject", "reference"))
	}
}

func TestAHookMayFindThatAResourceExists(t *testing.T) {
	t.Parallel()
	var first *Stored
	r := startREST(t, func(s *Server) {
		s.resources["ServiceRequest"].onCreate = func(s *Server, ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
			if n.Text("priority") == "stat" {
				return nil, fault.At(fault.Required, "ServiceRequest.identifier", "no number")
			}
			return first, nil
		}
		s.resources["ServiceRequest"].onUpdate = func(s *Server, ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
			if before.Text("status") != "active" || after.Text("status") != "revoked" {
				return fault.New(fault.BusinessRule, "before and after are mixed up")
			}
			after.Set("status", "on-hold") // a hook may write again, as the case does
			_, err := s.store.Put(ctx, tx, actor, after, nil)
			return err
		}
	})
	patient := r.mustCreate("Patient", patientJSON("1"))
	created := r.post("/fhir/ServiceRequest", orderJSON("Patient/"+patient))
	first = &Stored{Type: "ServiceRequest", ID: created.node.Text("id"), Version: 1}
	again := r.post("/fhir/ServiceRequest", orderJSON("Patient/"+patient))
	if again.status != http.StatusOK || again.body != created.body || again.header.Get("Location") != created.header.Get("Location") {
		t.Errorf("%d %s", again.status, again.body)
	}
	if n := r.count("resource WHERE type = 'ServiceRequest'"); n != 1 {
		t.Errorf("%d orders are kept", n)
	}
	bundle := bundleJSON(
		entryJSON("urn:uuid:0190aaaa-0000-7000-8000-000000000001", "POST", "ServiceRequest", "", orderJSON("Patient/"+patient)),
		entryJSON("", "POST", "Task", "", `{"resourceType":"Task","status":"requested","intent":"order","focus":{"reference":"urn:uuid:0190aaaa-0000-7000-8000-000000000001"}}`))
	got := r.post("/fhir", bundle)
	if got.status != http.StatusOK || !strings.HasPrefix(got.node.Text("entry", "response", "location"), "ServiceRequest/"+first.ID+"/") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if n := len(r.get("/fhir/Task?focus=ServiceRequest/" + first.ID).ids()); n != 1 {
		t.Errorf("%d Tasks lead to the existing order", n)
	}
	r.post("/fhir", bundleJSON(entryJSON("", "POST", "ServiceRequest", "", strings.Replace(orderJSON("Patient/"+patient), `"status"`, `"priority":"stat","status"`, 1)))).
		wantAt(t, http.StatusBadRequest, "required", "Bundle.entry[0].resource.identifier")

	revoked := strings.Replace(strings.Replace(orderJSON("Patient/"+patient), `"ServiceRequest",`, `"ServiceRequest","id":"`+first.ID+`",`, 1), "active", "revoked", 1)
	updated := r.put("/fhir/ServiceRequest/"+first.ID, revoked)
	if updated.status != http.StatusOK || updated.node.Text("status") != "on-hold" || updated.node.Text("meta", "versionId") != "3" {
		t.Errorf("%d %s", updated.status, updated.body)
	}
	other := strings.Replace(orderJSON("Patient/"+patient), `"ServiceRequest",`, `"ServiceRequest","id":"other",`, 1)
	r.put("/fhir/ServiceRequest/other", other).want(t, http.StatusConflict, "conflict")
}

func (a response) wantAt(t *testing.T, status int, code, expression string) {
	t.Helper()
	a.want(t, status, code)
	if diff := cmp.Diff(expression, a.node.Text("issue", "expression")); diff != "" {
		t.Error(diff)
	}
}

func entryJSON(fullURL, method, url, more, resource string) string {
	full := ""
	if fullURL != "" {
		full = `"fullUrl":` + quoted(fullURL) + `,`
	}
	return fmt.Sprintf(`{%s"request":{"method":%s,"url":%s%s},"resource":%s}`, full, quoted(method), quoted(url), more, resource)
}

func bundleJSON(entries ...string) string {
	return `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(entries, ",") + `]}`
}

func TestIfNoneMatchOnlyCreates(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	body := `{"resourceType":"Organization","id":"a","name":"A"}`
	if got := r.put("/fhir/Organization/a", body, "If-None-Match", "*"); got.status != http.StatusCreated {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.put("/fhir/Organization/a", body, "If-None-Match", "*").want(t, http.StatusPreconditionFailed, "conflict")
	r.put("/fhir/Organization/a", body, "If-None-Match", `W/"1"`).want(t, http.StatusBadRequest, "not-supported")
}

// An entry of an index has its limits, a name has not.
func TestLongTextsAreFoundByTheirBeginning(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	long := strings.Repeat("Ünlängst", 2000)
	id := r.mustCreate("Organization", `{"resourceType":"Organization","name":`+quoted(long)+`}`)
	for _, question := range []string{long[:900], "unlang"} {
		if diff := cmp.Diff([]string{id}, r.get("/fhir/Organization?name="+question).ids()); diff != "" {
			t.Error(diff)
		}
	}
}
