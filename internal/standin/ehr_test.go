package standin_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/standin"
)

const reportBundle = `{
	"resourceType": "Bundle", "type": "transaction",
	"entry": [
		{"fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111",
		 "resource": {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "CT Head"},
		  "identifier": [{"system": "urn:overread", "value": "case-1"}],
		  "text": {"status": "generated", "div": "<div><a href=\"urn:uuid:22222222-2222-4222-8222-222222222222\">x</a></div>"},
		  "result": [{"reference": "urn:uuid:22222222-2222-4222-8222-222222222222"}],
		  "resultsInterpreter": [{"reference": "Practitioner?identifier=urn:npi|7"}]},
		 "request": {"method": "PUT", "url": "DiagnosticReport?identifier=urn:overread|case-1"}},
		{"fullUrl": "urn:uuid:22222222-2222-4222-8222-222222222222",
		 "resource": {"resourceType": "Observation", "status": "final", "code": {"text": "agreement"},
		  "identifier": [{"system": "urn:overread", "value": "case-1-agreement"}]},
		 "request": {"method": "PUT", "url": "Observation?identifier=urn:overread|case-1-agreement"}},
		{"fullUrl": "urn:uuid:33333333-3333-4333-8333-333333333333",
		 "resource": {"resourceType": "Provenance", "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"display": "R"}}],
		  "meta": {"tag": [{"system": "urn:overread:version", "code": "case-1-1"}]},
		  "target": [{"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"}]},
		 "request": {"method": "POST", "url": "Provenance", "ifNoneExist": "_tag=urn:overread:version|case-1-1"}}
	]
}`

func TestATransactionSentTwiceLeavesOneOfEach(t *testing.T) {
	ehr, url := start(t, standin.Options{StrictReferences: true})
	expect(t, 201, "POST", url+"/fhir/Practitioner", `{"resourceType":"Practitioner","identifier":[{"system":"urn:npi","value":"7"}]}`)
	var first, second map[string]any
	decode(t, expect(t, 200, "POST", url+"/fhir", reportBundle), &first)
	decode(t, expect(t, 200, "POST", url+"/fhir/", reportBundle), &second)

	if got := first["entry"].([]any)[0].(map[string]any)["response"].(map[string]any)["status"]; got != "201 Created" {
		t.Errorf("the report's entry answers %v", got)
	}
	log := ehr.Log()
	for _, r := range log.Resources {
		if r.Versions != 1 {
			t.Errorf("%s %v has %d versions", r.Type, r.Identifiers, r.Versions)
		}
	}
	if got := log.ByIdentifier["DiagnosticReport urn:overread|case-1"]; got != 1 {
		t.Errorf("%d reports of one identifier", got)
	}

	var found struct {
		Total int
		Entry []struct {
			Resource struct {
				Text               struct{ Div string }
				Result             []struct{ Reference string }
				ResultsInterpreter []struct{ Reference string }
			}
		}
	}
	decode(t, expect(t, 200, "GET", url+"/fhir/DiagnosticReport?identifier=urn:overread%7Ccase-1", ""), &found)
	if found.Total != 1 {
		t.Fatalf("search finds %d reports", found.Total)
	}
	got := found.Entry[0].Resource
	if got.Result[0].Reference != "Observation/10003" || got.ResultsInterpreter[0].Reference != "Practitioner/10001" {
		t.Errorf("references are not resolved: %+v", got)
	}
	if !strings.Contains(got.Text.Div, `href="Observation/10003"`) {
		t.Errorf("a link in the narrative is not resolved: %s", got.Text.Div)
	}
	decode(t, expect(t, 200, "GET", url+"/fhir/Provenance?target=DiagnosticReport/10002", ""), &found)
	if found.Total != 1 {
		t.Errorf("%d provenances for the report", found.Total)
	}
}

func TestATransactionIsDoneWhollyOrNotAtAll(t *testing.T) {
	ehr, url := start(t, standin.Options{})
	expect(t, 412, "POST", url+"/fhir", reportBundle) // there is no such practitioner
	if got := ehr.Log(); len(got.Writes) != 0 {
		t.Errorf("it wrote %+v", got.Writes)
	}
}

func TestWhatIsRefused(t *testing.T) {
	_, url := start(t, standin.Options{StrictReferences: true})
	report := `{"resourceType":"DiagnosticReport","status":"final","code":{"text":"x"}`
	for name, c := range map[string]struct {
		status             int
		method, path, body string
	}{
		"no JSON":                                {400, "POST", "/DiagnosticReport", `{`},
		"another type than the URL's":            {400, "POST", "/Observation", report + `}`},
		"a required element is missing":          {422, "POST", "/DiagnosticReport", `{"resourceType":"DiagnosticReport"}`},
		"an id that is not the URL's":            {400, "PUT", "/DiagnosticReport/a", report + `,"id":"b"}`},
		"a type that is not kept here":           {404, "POST", "/Basic", `{"resourceType":"Basic"}`},
		"a conditional update with no condition": {400, "PUT", "/DiagnosticReport", report + `}`},
		"a search parameter that is not known":   {400, "GET", "/DiagnosticReport?colour=red", ``},
		"a batch":                                {400, "POST", "", `{"resourceType":"Bundle","type":"batch"}`},
		"a reference to nothing":                 {422, "POST", "/DiagnosticReport", report + `,"subject":{"reference":"Patient/1"}}`},
		"a resource that is not there":           {404, "GET", "/Patient/1", ``},
	} {
		t.Run(name, func(t *testing.T) {
			if body := expect(t, c.status, c.method, url+"/fhir"+c.path, c.body); !bytes.Contains(body, []byte(`"OperationOutcome"`)) {
				t.Errorf("no OperationOutcome: %s", body)
			}
		})
	}
}

func TestAConditionThatMatchesTwoIsRefused(t *testing.T) {
	_, url := start(t, standin.Options{})
	patient := `{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"1"}]}`
	expect(t, 201, "POST", url+"/fhir/Patient", patient)
	expect(t, 201, "POST", url+"/fhir/Patient", patient)
	expect(t, 412, "PUT", url+"/fhir/Patient?identifier=urn:mrn|1", patient)
}

func TestTheJournalOutlivesARestartAndAHalfWrittenLine(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "ehr", "journal")
	ehr, url := start(t, standin.Options{Journal: journal})
	expect(t, 201, "POST", url+"/fhir/Practitioner", `{"resourceType":"Practitioner","identifier":[{"system":"urn:npi","value":"7"}]}`)
	expect(t, 200, "POST", url+"/fhir", reportBundle)
	before := ehr.Log()
	if err := ehr.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(journal, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"at":"2026-01-01T00:0`)
	_ = f.Close()

	ehr, url = start(t, standin.Options{Journal: journal})
	after := ehr.Log()
	if diff := cmp.Diff(before.Resources, after.Resources); diff != "" {
		t.Errorf("resources before and after (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before.Writes, after.Writes); diff != "" {
		t.Errorf("writes before and after (-before +after):\n%s", diff)
	}
	expect(t, 200, "POST", url+"/fhir", reportBundle)
	if got := ehr.Log().ByIdentifier["DiagnosticReport urn:overread|case-1"]; got != 1 {
		t.Errorf("%d reports after the restart", got)
	}
}

func TestEachFaultDoesWhatItSays(t *testing.T) {
	for name, c := range map[string]struct {
		fault   string
		status  int // 0: no answer
		written int
	}{
		"down":       {`{"mode":"down"}`, 0, 0},
		"cut-before": {`{"mode":"cut-before","times":1}`, 0, 0},
		"cut-after":  {`{"mode":"cut-after","times":1}`, 0, 1},
		"status":     {`{"mode":"status","status":503}`, 503, 0},
		"rate-limit": {`{"mode":"rate-limit","retry_after":7}`, 429, 0},
		"rubbish":    {`{"mode":"rubbish"}`, 200, 0},
		"slow":       {`{"mode":"slow","delay_ms":1}`, 201, 1},
		"elsewhere":  {`{"mode":"down","method":"GET"}`, 201, 1},
		"others":     {`{"mode":"down","contains":"somebody else"}`, 201, 1},
	} {
		t.Run(name, func(t *testing.T) {
			ehr, url := start(t, standin.Options{})
			expect(t, 200, "POST", url+"/control", c.fault)
			status := 0
			if res := do(t, "POST", url+"/fhir/Patient", `{"resourceType":"Patient"}`); res != nil {
				status = res.StatusCode
				_ = res.Body.Close()
			}
			if status != c.status || len(ehr.Log().Writes) != c.written {
				t.Errorf("status %d, %d written; want %d, %d", status, len(ehr.Log().Writes), c.status, c.written)
			}
			expect(t, 200, "DELETE", url+"/control", "")
			expect(t, 201, "POST", url+"/fhir/Patient", `{"resourceType":"Patient"}`)
		})
	}
}

func TestATokenIsAskedForWhenThereIsOne(t *testing.T) {
	_, url := start(t, standin.Options{Token: "secret"})
	expect(t, 401, "GET", url+"/fhir/Patient", "")
	expect(t, 200, "GET", url+"/fhir/metadata", "")
}

func TestThePageShowsReportsAndRunsNothingOfTheirs(t *testing.T) {
	_, url := start(t, standin.Options{})
	expect(t, 201, "POST", url+"/fhir/DiagnosticReport", `{"resourceType":"DiagnosticReport","status":"final",
		"code":{"text":"CT Head <b>"},"subject":{"display":"Smith, Ann"},"conclusion":"No bleed.",
		"presentedForm":[{"contentType":"text/html","data":"PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="}]}`)
	page := string(expect(t, 200, "GET", url+"/", ""))
	for _, want := range []string{"CT Head &lt;b&gt;", "Smith, Ann", "No bleed.", `sandbox title="The report"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	res := do(t, "GET", url+"/report/10001/form/0", "")
	defer res.Body.Close()
	if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "sandbox;") {
		t.Errorf("the form's policy is %q", csp)
	}
}

func start(t *testing.T, opts standin.Options) (*standin.EHR, string) {
	t.Helper()
	ehr, err := standin.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(ehr.Handler())
	t.Cleanup(server.Close)
	return ehr, server.URL
}

// do is one request; nil when the connection was cut.
func do(t *testing.T, method, url, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	return res
}

func expect(t *testing.T, status int, method, url, body string) []byte {
	t.Helper()
	res := do(t, method, url, body)
	if res == nil {
		t.Fatalf("%s %s: no answer", method, url)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status {
		t.Fatalf("%s %s: %d, want %d: %s", method, url, res.StatusCode, status, text)
	}
	return text
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
