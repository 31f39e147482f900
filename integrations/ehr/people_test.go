package ehr_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/standin"
)

// signedBy is a transaction with the Practitioner and the Organization that answer for
// its report, as fhir/outgoing.go packs it.
func signedBy(c uuid.UUID, no int) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Organization","identifier":[{"system":"urn:org","value":"us"}],"name":"Reading & Co"},
		 "request":{"method":"POST","url":"Organization","ifNoneExist":"identifier=urn%%3Aorg%%7Cus"}},
		{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000002","resource":{"resourceType":"Practitioner","identifier":[{"system":"urn:staff","value":"7"},{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000000061"}],
		 "name":[{"family":"Petrov","given":["Nikolai"],"prefix":["Dr."]}]},
		 "request":{"method":"POST","url":"Practitioner","ifNoneExist":"identifier=http%%3A%%2F%%2Fhl7.org%%2Ffhir%%2Fsid%%2Fus-npi%%7C1000000061"}},
		{"fullUrl":"urn:uuid:%[1]s","resource":{"resourceType":"DiagnosticReport","status":"final","code":{"text":"CT Head"},"conclusion":"a < b, version %[2]d",
		  "identifier":[{"system":"urn:overread","value":"%[1]s"}],
		  "performer":[{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},{"reference":"urn:uuid:00000000-0000-4000-8000-000000000002","display":"Dr. N. Petrov"}]},
		 "request":{"method":"PUT","url":"DiagnosticReport?identifier=urn:overread|%[1]s"}},
		{"resource":{"resourceType":"Provenance","recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000002"}}],
		  "meta":{"tag":[{"system":"urn:overread:version","code":"%[1]s-%[2]d"}]},"target":[{"reference":"urn:uuid:%[1]s"}]},
		 "request":{"method":"POST","url":"Provenance","ifNoneExist":"_tag=urn:overread:version|%[1]s-%[2]d"}}]}`, c, no)
}

// write makes a resource at the EHR; its own people do that as well.
func (h *house) write(typ, body string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+h.addr+"/fhir/"+typ, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		h.t.Fatalf("%s: %d", typ, res.StatusCode)
	}
}

// there are the resources of a type at the EHR.
func (h *house) there(typ string) []map[string]any {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, "http://"+h.addr+"/fhir/"+typ, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var found struct {
		Entry []struct{ Resource map[string]any }
	}
	if err := json.NewDecoder(res.Body).Decode(&found); err != nil {
		h.t.Fatal(err)
	}
	var all []map[string]any
	for _, e := range found.Entry {
		all = append(all, e.Resource)
	}
	return all
}

// wantOneReport: the doctor whom the EHR has twice is none of its reports.
func (h *house) wantOneReport(versions int) {
	h.t.Helper()
	if got := h.reports(); len(got) != 1 || got[0].Versions != versions {
		h.t.Errorf("the EHR has %+v", got)
	}
}

const petrov = `{"resourceType":"Practitioner","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000000061"}]}`

// Two records of one doctor are what every large EHR has.
func TestAReportArrivesWhereTheEHRHasItsReaderTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	h.write("Practitioner", petrov)
	h.write("Practitioner", petrov)
	c := h.newCase()
	for no := 1; no <= 2; no++ {
		h.queueBody(c, no, "POST", "", signedBy(c, no))
	}
	h.tick(2)
	h.wantStates(map[string]int{"done": 2})
	h.wantOneReport(2)
	h.wantAttempts("1 delivered 200 acknowledged-people-named", "1 delivered 200 acknowledged-people-named")
	if n := len(h.there("Practitioner")); n != 2 {
		t.Errorf("the EHR has %d Practitioners", n)
	}
	if n := len(h.there("Provenance")); n != 2 {
		t.Errorf("the EHR has %d Provenances of two versions", n)
	}
	got, err := json.Marshal(h.there("DiagnosticReport")[0]["performer"])
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"display":"Reading \u0026 Co","identifier":{"system":"urn:org","value":"us"},"type":"Organization"},` +
		`{"display":"Dr. N. Petrov","identifier":{"system":"http://hl7.org/fhir/sid/us-npi","value":"1000000061"},"type":"Practitioner"}]`
	if string(got) != want {
		t.Errorf("performer %s", got)
	}
	who, _ := json.Marshal(h.there("Provenance")[0]["agent"])
	if !bytes.Contains(who, []byte(`"display":"Dr. Nikolai Petrov"`)) || bytes.Contains(who, []byte("reference")) {
		t.Errorf("agent %s", who)
	}
}

// The answer to the second request may be lost as well.
func TestAReportWithoutItsPeopleIsThereOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	h.write("Practitioner", petrov)
	h.write("Practitioner", petrov)
	c := h.newCase()
	h.queueBody(c, 1, "POST", "", signedBy(c, 1))
	h.ehr.Order(standin.Fault{Mode: "cut-after", Times: 1, Contains: `Reading & Co","identifier`})
	h.tick(1)
	h.wantOneReport(1)
	h.passTime()
	h.tick(1)
	h.wantOneReport(1)
	h.wantAttempts("1 retry connection-cut", "2 delivered 200 acknowledged-people-named")
	if n := len(h.there("Provenance")); n != 1 {
		t.Errorf("the EHR has %d Provenances", n)
	}
}

// An EHR may let nobody else make a Practitioner.
func TestAReportArrivesWhereItsReaderIsRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 403, 422} {
		h := newHouse(t, standin.Options{})
		c := h.newCase()
		h.queueBody(c, 1, "POST", "", signedBy(c, 1))
		h.ehr.Order(standin.Fault{Mode: "status", Status: status, Contains: "ifNoneExist\":\"identifier"})
		h.tick(1)
		h.wantReports(1, 1)
		h.wantAttempts("1 delivered 200 acknowledged-people-named")
	}
}

// What is ambiguous at the EHR stays so: a person looks, and at once.
func TestAReportThatIsThereTwiceIsParked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, standin.Options{})
	c := h.newCase()
	for range 2 {
		h.write("DiagnosticReport", string(report(c, 1)))
	}
	h.queueBody(c, 1, "POST", "", signedBy(c, 1))
	h.tick(1)
	h.wantStates(map[string]int{"parked": 1})
	h.wantAttempts("1 parked 412 refused-ambiguous")
	if _, err := pgx.CollectOneRow(h.query(`SELECT case_id FROM delivery WHERE state = 'parked'`), pgx.RowTo[uuid.UUID]); err != nil {
		t.Error(err)
	}
}
