package fhir

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/fault"
)

func TestPrimitivesHaveTheFormatsOfFHIR(t *testing.T) {
	for typ, c := range map[string]struct{ good, bad []string }{
		"Date":         {[]string{"2024", "2024-02", "2024-02-29"}, []string{"0000", "24", "2024-13", "2023-02-29", "2024-02-29T10:00:00Z", " 2024"}},
		"DateTime":     {[]string{"2024", "2024-02-29T23:59:59.123Z", "2024-01-01T00:00:00+14:00", "2016-12-31T23:59:60Z", "2017-01-01T00:59:60.5+01:00"}, []string{"2024-02-29T10:00Z", "2024-02-29T10:00:00", "2024-02-30T10:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:61Z", "2024-01-01T00:00:00+14:30"}},
		"Instant":      {[]string{"2024-02-29T23:59:59Z", "2016-12-31T23:59:60Z"}, []string{"2024-02-29", "2024"}},
		"Time":         {[]string{"23:59:59", "00:00:00.1", "23:59:60"}, []string{"24:00:00", "10:00", "10:00:00Z"}},
		"Base64Binary": {[]string{"AAAA", "AA==", "AAAA AAAA", "AA\nAA\r\nA\tAA=", "AAA\n="}, []string{"A", "A===", "AA=A", "AAAA=AAA", "\n", "AA_A", "====", "AAAAA"}},
		"PositiveInt":  {[]string{"1", "2147483647"}, []string{"0", "-1", "1.0", "1e2", "2147483648"}},
		"UnsignedInt":  {[]string{"0"}, []string{"-1", "0.5"}},
		"Integer":      {[]string{"-2147483648", "0"}, []string{"1.0", "2147483648"}},
		"Code":         {[]string{"a", "a b"}, []string{" a", "a  b", "a\tb"}},
		"Id":           {[]string{"a.B-1"}, []string{"a_b", strings.Repeat("a", 65)}},
		"String":       {[]string{strings.Repeat("a", 1<<20)}, []string{strings.Repeat("a", 1<<20+1)}},
		"Uri":          {[]string{"urn:a", "a/b"}, []string{"http://a/%zz", ":a"}},
	} {
		for _, text := range c.good {
			if !formats[typ].fits(text) {
				t.Errorf("%s refuses %.40q", typ, text)
			}
		}
		for _, text := range c.bad {
			if formats[typ].fits(text) {
				t.Errorf("%s takes %.40q", typ, text)
			}
		}
	}
}

func TestEverythingThatIsWrongIsToldAtOnce(t *testing.T) {
	_, err := Decode([]byte(`{"resourceType":"ServiceRequest","priority":"q","authoredOn":"x","subject":{"reference":"Practitioner/1"},"requester":{"display":""},
		"code":{},"category":[{"text":""},{"text":"a"}],"note":[{}],"Status":"a","occurrenceTiming":{"event":["2024-13"]},"patientInstruction":null,
		"insurance":[{"reference":"#none"}]}`), "")
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatal(err)
	}
	got := map[string]fault.Kind{}
	for _, i := range f.Issues {
		if _, twice := got[i.Expression]; twice {
			t.Errorf("%s is told of twice:\n%s", i.Expression, issueLines(err))
		}
		got[i.Expression] = i.Kind
	}
	if diff := cmp.Diff(map[string]fault.Kind{
		"ServiceRequest.requester.display":      fault.Structure,
		"ServiceRequest.code":                   fault.Structure,
		"ServiceRequest.category[0].text":       fault.Structure,
		"ServiceRequest.note[0]":                fault.Structure,
		"ServiceRequest.patientInstruction":     fault.Structure,
		"ServiceRequest.priority":               fault.CodeInvalid,
		"ServiceRequest.authoredOn":             fault.Value,
		"ServiceRequest.subject":                fault.Value,
		"ServiceRequest.status":                 fault.Structure,
		"ServiceRequest.intent":                 fault.Required,
		"ServiceRequest.occurrence.event[0]":    fault.Value,
		"ServiceRequest.insurance[0].reference": fault.Value,
	}, got); diff != "" {
		t.Errorf("%s\n%s", diff, issueLines(err))
	}
}

func TestWhatReadersOfGoogleDoNotKnowIsKeptAsItWasSent(t *testing.T) {
	for _, body := range []string{
		`{"resourceType":"Patient","deceasedDateTime":"2016-12-31T23:59:60Z"}`,
		`{"resourceType":"Patient","meta":{"lastUpdated":"2016-12-31T23:59:60.25Z"}}`,
		`{"resourceType":"Binary","contentType":"a/b","data":"AAA\nA\r\nAAAA  A A = ="}`,
		`{"resourceType":"Patient","photo":[{"contentType":"a/b","data":"AA\r\nAA"}]}`,
	} {
		n, err := Decode([]byte(body), "")
		if err != nil {
			t.Errorf("%s: %s", body, issueLines(err))
		} else if string(n.Bytes()) != body {
			t.Errorf("%s became %s", body, n.Bytes())
		}
	}
}

func TestReferencesLeadWhereTheyMay(t *testing.T) {
	const contained = `"contained":[{"resourceType":"Practitioner","id":"p"},{"resourceType":"Patient","id":"q"}],"performer":[{"reference":"#p"}],"reasonReference":[{"reference":"#q"}],`
	for _, c := range []struct {
		subject, want string // want: the part of the expression after subject, "ok" for none
	}{
		{`{"reference":"Patient/1","type":"Patient"}`, "ok"},
		{`{"reference":"Patient/1","type":"http://hl7.org/fhir/StructureDefinition/Patient"}`, "ok"},
		{`{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520","type":"Group"}`, "ok"},
		{`{"identifier":{"value":"1"},"type":"Patient"}`, "ok"},
		{`{"identifier":{"value":"1"},"type":"http://example.org/Sample"}`, "ok"},
		{`{"reference":"https://ehr.example.org/Documents/1"}`, "ok"},
		{`{"reference":"Patient/1","type":"Practitioner"}`, ".type"},
		{`{"reference":"https://ehr.example.org/fhir/Patient/1","type":"Group"}`, ".type"},
		{`{"reference":"Patient/1","type":"Patience"}`, ".type"},
		{`{"identifier":{"value":"1"},"type":"patient"}`, ".type"},
		{`{"identifier":{"value":"1"},"type":"Practitioner"}`, ""},
		{`{"reference":"https://ehr.example.org/fhir/Practitioner/1"}`, ""},
		{`{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520","type":"Practitioner"}`, ""},
		{`{"reference":"#p"}`, ""},
	} {
		_, err := Decode([]byte(`{"resourceType":"ServiceRequest","status":"draft","intent":"order",`+strings.Replace(contained, `,"reasonReference":[{"reference":"#q"}]`, `,"replaces":[{"extension":[{"url":"http://a","valueReference":{"reference":"#q"}}]}]`, 1)+`"subject":`+c.subject+`}`), "")
		switch {
		case c.want == "ok" && err != nil:
			t.Errorf("%s: %s", c.subject, issueLines(err))
		case c.want != "ok":
			wantIssue(t, err, fault.Value, "ServiceRequest.subject"+c.want)
		}
	}
}

func TestALeapSecondIsTheSecondAfterIt(t *testing.T) {
	leap, ok := parseInterval("2016-12-31T23:59:60Z")
	if after, _ := parseInterval("2017-01-01T00:00:00Z"); !ok || leap != after {
		t.Errorf("got %v %v", leap, ok)
	}
	if at, ok := moment("2017-01-01T00:59:60+01:00"); !ok || instant(at) != "2017-01-01T00:00:00.000Z" {
		t.Errorf("got %s %v", at, ok)
	}
}
