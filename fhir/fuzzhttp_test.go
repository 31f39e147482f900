package fhir

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/overread/overread/internal/access"
)

// These go the whole way, through HTTP to PostgreSQL and back: whatever a client
// sends, it gets an answer or a refusal of its own fault that says so.

// fuzzed is a clinic with a case in it, for the inputs of one process.
func fuzzed(f *testing.F) (c *clinic, task string) {
	f.Helper()
	c = startClinic(f)
	task = c.order(chestXray(f, "fuzzed")...)
	c.tick()
	return c, task
}

// sendAs sends one input, and fails the test on what no client may get.
func (c *clinic) sendAs(t *testing.T, as access.Role, method, path, query, body string, header ...string) {
	t.Helper()
	for i := 1; i < len(header); i += 2 {
		if strings.ContainsFunc(header[i], unicode.IsControl) {
			t.Skip("no header can hold it")
		}
	}
	r := *c.rest
	r.t = t
	address := url.URL{Path: path}
	got := r.do(as, method, address.EscapedPath()+"?"+escapeQuery(query), body, header...)
	switch {
	case got.status >= 500 || got.status < 200:
		t.Errorf("%s %s?%q %v %q: %d %s", method, path, query, header, body, got.status, got.body)
	case got.status >= 400 && (got.node.Type() != "OperationOutcome" || got.node.Text("issue", "details", "text") == ""):
		t.Errorf("%s %s?%q %v %q: %d without a reason: %s", method, path, query, header, body, got.status, got.body)
	}
}

// escapeQuery escapes what cannot be in the first line of a request, and leaves
// everything else as it is, broken escapes too.
func escapeQuery(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if ch := query[i]; ch <= ' ' || ch >= 0x7f || ch == '#' || ch == '"' || ch == '<' || ch == '>' {
			b.WriteString(url.QueryEscape(query[i : i+1]))
		} else {
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// fuzzPaths are where a search can be asked.
var fuzzPaths = []string{
	"/fhir/Patient", "/fhir/Observation", "/fhir/Task", "/fhir/ImagingStudy", "/fhir/AuditEvent", "/fhir/Measure", "/fhir/Group", "/fhir/Encounter",
	"/fhir", "/fhir/_history", "/fhir/Patient/_history", "/fhir/Patient/x/Observation", "/fhir/ValueSet", "/fhir/DiagnosticReport", "/fhir/Subscription",
}

func FuzzSearch(f *testing.F) {
	c, _ := fuzzed(f)
	for i, seed := range []string{
		"identifier=a|b", "birthdate=ge2020-01-01T00:00:00+25:00", "name:exact=%F0%9F%98%80", "_id=a,b&_count=1", "_after=MC94", "birthdate=0001,9999-12-31",
		"telecom=\\", "value-quantity=gt5.4e-3|http://unitsofmeasure.org|mg,ap1e308", "code-value-quantity=8480-6$lt60", "subject:Patient.name=x&_include=*",
		"_has:Observation:patient:code=x&_has:Provenance:target:agent.name=y", "_sort=-date,status,_id&_summary=count&_total=accurate", "_lastUpdated=sa2020&_lastUpdated=eb2020-13",
		"_type=Patient,Task&_elements=id,name", "based-on:missing=true&code:not=a|b&code:text=x&code:in=http://x", "_since=2020&_at=2019-02-30&_count=0", "identifier:of-type=a|b|c",
		"_revinclude:iterate=Provenance:target:Task&_include=Task:focus", "_profile:below=http://&_security:above=%zz", "probability=1e400,5.", "_include=:00", "organization:Organization.partof.name:exact=x", "organization.:=x&_has:::=x", "_filter=x&_list=y&_query=z", "series=%00",
	} {
		f.Add(uint8(i), seed, i%3 == 0)
	}
	f.Fuzz(func(t *testing.T, at uint8, query string, lenient bool) {
		prefer := "handling=strict"
		if lenient {
			prefer = "handling=lenient"
		}
		role := []access.Role{access.Placer, access.Reader, access.Auditor}[int(at)%3]
		c.sendAs(t, role, http.MethodGet, fuzzPaths[int(at)%len(fuzzPaths)], query, "", "Prefer", prefer)
	})
}

// What is in a cursor is ours, and a client can change it all the same.
func FuzzCursor(f *testing.F) {
	c, task := fuzzed(f)
	for _, seed := range []string{"0/x", "1700000000000000/Patient", "9223372036854775807/a", "Patient/x", "/", "", "{}", `{"keys":["a"],"snapshot":"10:20:10"}`, "Task/a/b"} {
		f.Add(seed, "_sort=-_lastUpdated")
	}
	page := c.get("/fhir/Patient?_count=1&_sort=birthdate")
	for _, link := range page.node.Each("link") {
		if u, err := url.Parse(link.Text("url")); err == nil {
			text, _ := base64.RawURLEncoding.DecodeString(u.Query().Get("_after"))
			f.Add(string(text), "_sort=birthdate")
		}
	}
	f.Fuzz(func(t *testing.T, text, query string) {
		after := "&_after=" + base64.RawURLEncoding.EncodeToString([]byte(text))
		for _, path := range []string{"/fhir/Observation", "/fhir", "/fhir/_history", "/fhir/Patient/" + task + "/$everything"} {
			c.sendAs(t, access.Placer, http.MethodGet, path, query+after, "")
		}
	})
}

// A date has one span of time, which is not empty, and PostgreSQL can hold it.
func FuzzDate(f *testing.F) {
	c, _ := fuzzed(f)
	for _, seed := range []string{"2020", "2020-02-30", "0001-01", "9999-12-31T23:59:59.999999999+14:00", "2016-12-31T23:59:60Z", "2020-01-01T24:00:00Z", "0000", "2020-01-01T10:00", "-2020", "2020-1", "2020-01-01T10:00:00.Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if i, ok := parseInterval(text); ok && !i.low.Time.Before(i.high.Time) {
			t.Errorf("%q is the empty span from %v to %v", text, i.low, i.high)
		}
		for _, prefix := range []string{"", "ap", "ne", "sa"} {
			c.sendAs(t, access.Placer, http.MethodGet, "/fhir/Patient", url.Values{"birthdate": {prefix + text}, "_lastUpdated": {prefix + text}}.Encode(), "")
		}
		person := Object("resourceType", "Patient", "birthDate", text, "deceasedDateTime", text)
		c.sendAs(t, access.Placer, http.MethodPost, "/fhir/Patient", "", person.jsonText(), "If-None-Exist", "birthdate="+url.QueryEscape(text))
	})
}

// fuzzWrites are the interactions that take a body.
var fuzzWrites = []struct{ method, path, contentType string }{
	{"POST", "/fhir", ""}, {"POST", "/fhir/Patient", ""}, {"POST", "/fhir/Observation", ""}, {"PUT", "/fhir/Patient/fuzz", ""}, {"PUT", "/fhir/Patient", ""},
	{"PATCH", "/fhir/Patient/fuzz", "application/json-patch+json"}, {"PATCH", "/fhir/Patient/fuzz", ""}, {"PATCH", "/fhir/Patient", "application/json-patch+json"},
	{"DELETE", "/fhir/Patient", ""}, {"POST", "/fhir/ServiceRequest", ""}, {"POST", "/fhir/Task", ""}, {"POST", "/fhir/Patient/_search", "application/x-www-form-urlencoded"},
	{"POST", "/fhir/DiagnosticReport", ""}, {"POST", "/fhir/Binary", ""}, {"POST", "/fhir/Binary", "text/plain"}, {"POST", "/fhir/Group", ""},
}

func FuzzWrite(f *testing.F) {
	c, _ := fuzzed(f)
	for i, seed := range []struct{ body, condition string }{
		{orderBundle, ""},
		{`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient?name=x"}},{"request":{"method":"DELETE","url":"Patient/fuzz"}}]}`, ""},
		{`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Patient?identifier=a|b","ifMatch":"W/\"1\""}}]}`, ""},
		{patientJSON("1"), "identifier=urn:mrn|1"}, {patientJSON("2"), "name:exact=x&birthdate=ap2020"}, {patientJSON("3"), "_id=x&_sort=name"},
		{`{"resourceType":"Patient","id":"fuzz","generalPractitioner":[{"reference":"Practitioner?identifier=x|y"}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"Patient/fuzz\">x</a></div>"}}`, ""},
		{`[{"op":"replace","path":"/name/0/family","value":"x"},{"op":"test","path":"/id","value":"fuzz"}]`, "identifier=a"},
		{`[{"op":"move","from":"/name","path":"/name/0"},{"op":"copy","from":"","path":"/contact"}]`, ""},
		{`{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.name[0].family"},{"name":"value","valueString":"x"}]}]}`, ""},
		{`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1e400,"unit":"mg"},"effectivePeriod":{"start":"9999","end":"0001"}}`, ""},
		{`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueSampledData":{"origin":{"value":0.00000000000000000000000000001},"period":1e-300,"dimensions":1}}`, ""},
		{orderJSON("Patient/fuzz"), ""}, {`{"resourceType":"Task","status":"requested","intent":"order","code":{"coding":[{"code":"abort"}]},"focus":{"reference":"Task/x"}}`, ""},
		{`{"resourceType":"Group","type":"person","actual":true,"quantity":99999999999999999999,"member":[{"entity":{"reference":"Patient/fuzz"},"period":{"start":"2020-13"}}]}`, ""},
		{"name=%zz&_id=\x00", ""}, {nestedExtensions(20), ""},
	} {
		for at := range fuzzWrites {
			if at%4 == i%4 {
				f.Add(uint8(at), []byte(seed.body), seed.condition, "")
			}
		}
	}
	f.Add(uint8(3), []byte(patientJSON("1")), "", `W/"1"`)
	f.Add(uint8(4), []byte(patientJSON("1")), "identifier=urn:mrn|1&name=x", `W/"99999999999999999999"`)
	f.Fuzz(func(t *testing.T, at uint8, body []byte, condition, ifMatch string) {
		w := fuzzWrites[int(at)%len(fuzzWrites)]
		header := []string{"If-None-Exist", condition, "If-Match", ifMatch}
		if w.contentType != "" {
			header = append(header, "Content-Type", w.contentType)
		}
		query := ""
		if w.method != http.MethodPost {
			query = condition
		}
		c.sendAs(t, access.Placer, w.method, w.path, query, string(body), header...)
	})
}

func FuzzOperation(f *testing.F) {
	c, task := fuzzed(f)
	var paths []string
	for _, v := range services() {
		for _, at := range v.paths() {
			paths = append(paths, strings.Replace(at, ":id", task, 1))
		}
	}
	for _, op := range operations {
		paths = append(paths, "/fhir/Task/"+task+"/$"+op.Name)
	}
	for at := range paths {
		f.Add(uint8(at), "", []byte(`{"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"x"},{"name":"discrepancy","part":[{"name":"significance","valueCode":"minor"}]}]}`))
		f.Add(uint8(at), "code=x&system=y&url=http://x&_since=2020-01-01T00:00:00Z&_type=Patient", []byte(nil))
		f.Add(uint8(at), "mode=create&profile=http://x&filter=a&count=1e9&offset=-1", []byte(patientJSON("1")))
		f.Add(uint8(at), "start=2020&end=2021-02-30&_count=99999999999999999999", []byte(`{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/x"}},{"name":"resource","resource":{"resourceType":"Patient"}}]}`))
	}
	roles := []access.Role{access.Placer, access.Reader, access.Coordinator, access.Director}
	f.Fuzz(func(t *testing.T, at uint8, query string, body []byte) {
		method := http.MethodPost
		if len(body) == 0 {
			method = http.MethodGet
		}
		c.sendAs(t, roles[int(at/3)%len(roles)], method, paths[int(at)%len(paths)], query, string(body), "Prefer", "respond-async")
	})
}
