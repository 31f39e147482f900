package fhir

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

func TestReferencesAreTranslatedIntoTheEHRsIDSpace(t *testing.T) {
	names := ehrNames{
		base: "https://ehr.example", ours: "https://us.example/fhir",
		known: map[string]string{"Patient/1": "Patient/p", "DiagnosticReport/5": "DiagnosticReport/old"},
		id:    map[string]*Node{"Encounter/2": Object("system", "urn:visit", "value", "v2")},
	}
	inside := map[string]string{"Observation/3": "urn:uuid:aaaa"}
	for _, test := range []struct{ name, in, want string }{
		{"what the EHR sent goes back under its own id", `{"reference":"Patient/1"}`, `{"reference":"Patient/p"}`},
		{"an address below its base becomes relative", `{"reference":"https://ehr.example/ServiceRequest/9"}`, `{"reference":"ServiceRequest/9"}`},
		{"another server's address stays", `{"reference":"https://pacs.example/ImagingStudy/1"}`, `{"reference":"https://pacs.example/ImagingStudy/1"}`},
		{"what the parcel brings is an entry of it", `{"reference":"Observation/3","display":"x"}`, `{"reference":"urn:uuid:aaaa","display":"x"}`},
		{"what the EHR cannot know by id is named by identifier", `{"reference":"Encounter/2","type":"Encounter"}`, `{"type":"Encounter","identifier":{"system":"urn:visit","value":"v2"}}`},
		{"and what has none, by its address here", `{"reference":"Location/7"}`, `{"reference":"https://us.example/fhir/Location/7"}`},
		{"a logical reference stays", `{"identifier":{"value":"1"}}`, `{"identifier":{"value":"1"}}`},
		{"our version is said as an identifier", `{"reference":"DiagnosticReport/5/_history/3"}`,
			`{"reference":"DiagnosticReport/old","identifier":{"system":"https://overread.org/fhir/sid/version","value":"DiagnosticReport/5/_history/3"}}`},
		{"a version of what the parcel brings", `{"reference":"Observation/3/_history/2"}`, `{"reference":"urn:uuid:aaaa"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			ref, err := Parse([]byte(test.in), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			n := Object("resourceType", "Provenance", "id", "1", "target", []*Node{ref})
			got := names.translate(n, inside)
			if diff := cmp.Diff(`{"resourceType":"Provenance","target":[`+test.want+`]}`, string(got.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An EHR that takes no transactions gets the report alone; its parts stay here
// and are named by their address.
func TestAReportCanBePackedAlone(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	if _, err := c.db.Owner(t).Exec(context.Background(), `UPDATE destination SET packaging = 'report'`); err != nil {
		t.Fatal(err)
	}
	id := c.signed("1")
	sent := c.deliveries()[0]
	report, err := Decode(sent.Body, "DiagnosticReport")
	if err != nil {
		t.Fatalf("%+v", err)
	}
	path, err := url.Parse(sent.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := sidReport + "|" + c.report(id).Text("identifier", "value")
	if sent.Method != http.MethodPut || path.Path != "DiagnosticReport" || path.Query().Get("identifier") != want {
		t.Errorf("%s %s", sent.Method, sent.Path)
	}
	for _, ref := range report.Each("result", "reference") {
		if !strings.HasPrefix(ref.Text(), c.url+"/fhir/Observation/") {
			t.Errorf("result %s", ref.Text())
		}
	}
	if report.Text("subject", "reference") != "Patient/example" {
		t.Errorf("%s", report.Get("subject").Bytes())
	}
}

func TestTheOrderIsCompletedOnlyWhereWeAreItsAuthority(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		authority workflow.Authority
		want      string
	}{{workflow.PlacerSets, "active"}, {workflow.FillerSets, "completed"}} {
		t.Run(string(test.authority), func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			if _, err := c.db.Owner(t).Exec(context.Background(), `UPDATE tenant SET policy = jsonb_build_object('serviceRequestAuthority', $1::text)`, string(test.authority)); err != nil {
				t.Fatal(err)
			}
			id := c.signed("1")
			if got := c.get("/fhir/" + c.task(id).Text("focus", "reference")).node.Text("status"); got != test.want {
				t.Errorf("the order is %s", got)
			}
		})
	}
}

func TestEveryAuditEventIsValidAndEveryWriteHasOne(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.signed("1")
	c.settle()
	owner := c.db.Owner(t)
	var writes, audited int
	err := owner.QueryRow(context.Background(), `
		SELECT (SELECT count(*) FROM resource) + (SELECT count(*) FROM resource_history),
		       (SELECT count(*) FROM audit_event WHERE convert_from(body, 'UTF8') ~ '"code":"(create|update)"')`).Scan(&writes, &audited)
	if err != nil || writes != audited {
		t.Errorf("%d versions written, %d audited: %v", writes, audited, err)
	}
	rows, err := owner.Query(context.Background(), `SELECT body FROM audit_event`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(body, "AuditEvent"); err != nil {
			t.Fatalf("%+v: %s", err, body)
		}
	}
}

func TestRedeliveryIsTheCoordinators(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("1")
	if _, err := c.db.Owner(t).Exec(context.Background(), `UPDATE delivery SET state = 'parked'`); err != nil {
		t.Fatal(err)
	}
	c.act(access.Reader, id, "$redeliver").want(t, http.StatusForbidden, "forbidden")
	c.mustAct(access.Coordinator, id, "$redeliver")
	c.act(access.Coordinator, id, "$redeliver").want(t, http.StatusUnprocessableEntity, "business-rule")
	c.act(access.Reader, id, "$sign", "findings", "x").want(t, http.StatusUnprocessableEntity, "business-rule")
}
