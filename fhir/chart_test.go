package fhir

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

// TestWhoIsMeantByAnEHR: by its id there, by an identifier, never by a name, and
// never another tenant's.
func TestWhoIsMeantByAnEHR(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	other := pgtest.AddTenant(t, r.db, "south")
	for id, body := range map[string]string{
		"one":   `"identifier":[{"system":"urn:mrn","value":"1"},{"system":"urn:ins","value":"shared"}]`,
		"two":   `"identifier":[{"system":"urn:mrn","value":"2"},{"system":"urn:ins","value":"shared"}]`,
		"odd":   `"identifier":[{"system":"urn:mrn","value":"a|b,c$d\\\\e"}]`,
		"known": `"name":[{"family":"Quillfeather"}]`,
		"gone":  `"identifier":[{"system":"urn:mrn","value":"9"}]`,
	} {
		if a := r.do(access.Placer, http.MethodPut, "/fhir/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`",`+body+`}`); a.status != http.StatusCreated {
			t.Fatalf("%s: %d %s", id, a.status, a.body)
		}
	}
	if a := r.do(access.Placer, http.MethodDelete, "/fhir/Patient/gone", ""); a.status >= 300 {
		t.Fatal(a.status, a.body)
	}
	_, err := r.db.Owner(t).Exec(context.Background(), `
		INSERT INTO resource_origin (tenant_id, type, id, ehr_id)
		SELECT $1, 'Patient', id, ehr FROM (VALUES ('known', 'e1'), ('one', 'twice'), ('two', 'twice'), ('gone', 'e9')) AS v (id, ehr)
		ON CONFLICT (tenant_id, type, id) DO UPDATE SET ehr_id = excluded.ehr_id`, r.tenant)
	if err != nil {
		t.Fatal(err)
	}
	const base = "https://ehr.example/north"
	here := access.Actor{Tenant: r.tenant, Role: access.Placer}
	there := access.Actor{Tenant: other, Role: access.Placer}
	for _, c := range []struct {
		name        string
		actor       access.Actor
		base, id    string
		identifiers []string
		want        []string
	}{
		{"by its number", here, "https://else.example", "x", []string{"urn:mrn|1"}, []string{"Patient/one"}},
		{"by its id there", here, base, "e1", nil, []string{"Patient/known"}},
		{"by both", here, base, "twice", []string{"urn:mrn|1"}, []string{"Patient/one", "Patient/two"}},
		{"its id at another EHR", here, "https://else.example", "e1", nil, nil},
		{"its id at another base of the EHR", here, base + "/", "e1", nil, nil},
		{"its id here", here, base, "one", nil, nil},
		{"an id that two have", here, base, "twice", nil, []string{"Patient/one", "Patient/two"}},
		{"a number that two have", here, "", "", []string{"urn:ins|shared"}, []string{"Patient/one", "Patient/two"}},
		{"numbers of two", here, "", "", []string{"urn:mrn|1", "urn:mrn|2"}, []string{"Patient/one", "Patient/two"}},
		{"a number of nobody beside one", here, "", "", []string{"urn:x|1", "urn:mrn|2"}, []string{"Patient/two"}},
		{"the number in another system", here, "", "", []string{"urn:other|1"}, nil},
		{"a number without a system", here, "", "", []string{"|1", "1"}, nil},
		{"a system without a number", here, "", "", []string{"urn:mrn|"}, nil},
		{"a part of a number", here, "", "", []string{"urn:mrn|a"}, nil},
		{"characters that a search knows", here, "", "", []string{`urn:mrn|a|b,c$d\\e`}, []string{"Patient/odd"}},
		{"two numbers in one", here, "", "", []string{"urn:mrn|1,urn:mrn|2"}, nil},
		{"a number with NUL", here, "", "", []string{"urn:mrn|1\x00"}, nil},
		{"deleted, by its number", here, "", "", []string{"urn:mrn|9"}, nil},
		{"deleted, by its id there", here, base, "e9", nil, nil},
		{"another tenant's number", there, "", "", []string{"urn:mrn|1"}, nil},
		{"another tenant's id", there, base, "e1", nil, nil},
	} {
		got, err := r.server.PatientHere(t.Context(), c.actor, c.base, c.id, c.identifiers)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v (%v), want %v", c.name, got, err, c.want)
		}
	}
}

// TestAChartNeedsAPatient: an actor who is bound to none sees no chart, and no
// form of a report.
func TestAChartNeedsAPatient(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, patient := range []string{"", "Patient/", "Patient/a/b", "Group/1", "Patient/x?y"} {
		actor := access.Actor{Tenant: r.tenant, Role: access.Placer, Patient: patient}
		if _, err := r.server.Chart(t.Context(), actor, ""); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%q: %v", patient, err)
		}
	}
	r.do(access.Placer, http.MethodPut, "/fhir/Patient/one", `{"resourceType":"Patient","id":"one"}`)
	r.do(access.Placer, http.MethodPut, "/fhir/DiagnosticReport/theirs", fmt.Sprintf(`{"resourceType":"DiagnosticReport","id":"theirs","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/one"},"presentedForm":[{"contentType":"text/html","data":"%s"}]}`, "PGI+eDwvYj4="))
	actor := access.Actor{Tenant: r.tenant, Role: access.Placer, Patient: "Patient/one"}
	chart, err := r.server.Chart(t.Context(), actor, "")
	if err != nil || len(chart.Opinions) != 0 {
		t.Errorf("%+v (%v)", chart, err)
	}
	for _, c := range [][3]string{{"theirs", "1", "html"}, {"theirs", "9", "html"}, {"x", "1", "html"}, {"theirs", "1", "xml"}, {"../Patient/one", "1", "html"}} {
		if _, err := r.server.Form(t.Context(), actor, c[0], c[1], c[2], "en"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v: %v", c, err)
		}
	}
	for _, task := range []string{"", "x", "../Patient/one", "a/b"} {
		if _, err := r.server.Acknowledge(t.Context(), actor, task, "1", ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %v", task, err)
		}
	}
}
