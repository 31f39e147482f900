package fhir

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/overread/overread/internal/fault"
)

const requestHead = `{"resourceType":"ServiceRequest",`

func nestedExtensions(levels int) string {
	return requestHead + strings.Repeat(`"extension":[{"url":"u",`, levels) + `"valueBoolean":true` + strings.Repeat(`}]`, levels) + `}`
}

func manyNames(count int) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"ServiceRequest"`)
	for i := range count {
		fmt.Fprintf(&b, `,"n%d":1`, i)
	}
	return b.String() + "}"
}

func TestTextThatIsNotFHIRsJSONIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		body       string
		kind       fault.Kind
		expression string
	}{
		"empty body":                 {"", fault.Structure, ""},
		"blank body":                 {" \n\t", fault.Structure, ""},
		"no JSON":                    {"hello", fault.Structure, ""},
		"cut off":                    {requestHead, fault.Structure, "ServiceRequest"},
		"cut off in a string":        {requestHead + `"status":"act`, fault.Structure, "ServiceRequest.status"},
		"byte order mark":            {"\xEF\xBB\xBF{}", fault.Structure, ""},
		"trailing garbage":           {requestHead + `"id":"a"} x`, fault.Structure, ""},
		"a second resource":          {requestHead + `"id":"a"}{}`, fault.Structure, ""},
		"array at the top":           {`[{"resourceType":"Task"}]`, fault.Structure, ""},
		"string at the top":          {`"Task"`, fault.Structure, ""},
		"null at the top":            {`null`, fault.Structure, ""},
		"empty object at the top":    {`{}`, fault.Structure, ""},
		"null":                       {requestHead + `"status":null}`, fault.Structure, "ServiceRequest.status"},
		"empty string":               {requestHead + `"status":""}`, fault.Structure, "ServiceRequest.status"},
		"empty array":                {requestHead + `"identifier":[]}`, fault.Structure, "ServiceRequest.identifier"},
		"array of nulls":             {requestHead + `"instantiatesUri":[null,null]}`, fault.Structure, "ServiceRequest.instantiatesUri"},
		"empty object":               {requestHead + `"code":{}}`, fault.Structure, "ServiceRequest.code"},
		"empty object in an array":   {requestHead + `"code":{"coding":[{"code":"a"},{}]}}`, fault.Structure, "ServiceRequest.code.coding[1]"},
		"array in an array":          {requestHead + `"identifier":[[{"value":"a"}]]}`, fault.Structure, "ServiceRequest.identifier[0]"},
		"duplicate name":             {requestHead + `"status":"draft","status":"active"}`, fault.Structure, "ServiceRequest.status"},
		"duplicate by escape":        {requestHead + `"status":"draft","st\u0061tus":"active"}`, fault.Structure, "ServiceRequest.status"},
		"duplicate below":            {requestHead + `"code":{"coding":[{"code":"a","code":"b"}]}}`, fault.Structure, "ServiceRequest.code.coding[0].code"},
		"invalid UTF-8":              {requestHead + "\"status\":\"\xff\xfe\"}", fault.Structure, "ServiceRequest.status"},
		"overlong UTF-8":             {requestHead + "\"status\":\"\xc0\x80\"}", fault.Structure, "ServiceRequest.status"},
		"lone high surrogate":        {requestHead + `"status":"\ud800"}`, fault.Structure, "ServiceRequest.status"},
		"lone low surrogate":         {requestHead + `"status":"\udc00x"}`, fault.Structure, "ServiceRequest.status"},
		"NUL":                        {requestHead + `"status":"a\u0000b"}`, fault.Value, "ServiceRequest.status"},
		"raw control character":      {requestHead + "\"status\":\"a\x01b\"}", fault.Structure, "ServiceRequest.status"},
		"escaped control character":  {requestHead + `"valueString":"a\u001bb"}`, fault.Value, "ServiceRequest"},
		"huge number":                {requestHead + `"quantityQuantity":{"value":` + strings.Repeat("9", 5000) + `}}`, fault.Value, "ServiceRequest.quantity.value"},
		"huge exponent":              {requestHead + `"quantityQuantity":{"value":1e999999999}}`, fault.Value, "ServiceRequest.quantity.value"},
		"number with leading zero":   {requestHead + `"quantityQuantity":{"value":01}}`, fault.Structure, "ServiceRequest.quantity"},
		"NaN":                        {requestHead + `"quantityQuantity":{"value":NaN}}`, fault.Structure, "ServiceRequest.quantity.value"},
		"comment":                    {requestHead + `/* x */ "status":"draft"}`, fault.Structure, "ServiceRequest"},
		"deep extensions":            {nestedExtensions(4000), fault.TooLarge, "ServiceRequest" + strings.Repeat(".extension[0]", 31) + ".extension[0]"},
		"deep arrays":                {requestHead + `"identifier":` + strings.Repeat("[", 90000), fault.Structure, "ServiceRequest.identifier[0]"},
		"100,000 names":              {manyNames(100_000), fault.TooLarge, "ServiceRequest"},
		"more values than the limit": {requestHead + `"instantiatesUri":["a"` + strings.Repeat(`,"a"`, 100_000) + `]}`, fault.TooLarge, "ServiceRequest.instantiatesUri[99997]"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.body), Limits{})
			wantIssue(t, err, c.kind, c.expression)
		})
	}
}

func wantIssue(t *testing.T, err error, kind fault.Kind, expression string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a fault", err)
	}
	for _, issue := range f.Issues {
		if issue.Kind == kind && issue.Expression == expression {
			return
		}
	}
	t.Errorf("want %s at %q, got\n%s", kind, expression, issueLines(err))
}

func TestWhatJSONAllowsAndFHIRToo(t *testing.T) {
	for _, body := range []string{
		requestHead + `"given":["a",null]}`,
		requestHead + `"note":[{"text":"tab\tline\nsurrogates \ud83d\ude00 \u00e9 \ufffd"}]}`,
		requestHead + `"quantityQuantity":{"value":-1.000000000000000000E-245}}`,
		nestedExtensions(31),
		"\r\n" + requestHead + `"id":"a"}` + "\n",
	} {
		if _, err := Parse([]byte(body), Limits{}); err != nil {
			t.Errorf("%.60s: %v", body, err)
		}
	}
}

func TestRefusalsSayWhereAndRepeatNothing(t *testing.T) {
	_, err := Parse([]byte("{\"resourceType\":\"Patient\",\n  \"name\":[{\"family\":\"Secret\", \"Secret name\":\"a\\u0000\"}]}"), Limits{})
	wantIssue(t, err, fault.Value, "Patient.name[0]")
	if text := issueLines(err); strings.Contains(text, "Secret") || !strings.Contains(text, "line 2, column") {
		t.Error(text)
	}
}
