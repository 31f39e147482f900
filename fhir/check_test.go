package fhir

import (
	"errors"
	"strings"
	"testing"

	"github.com/overread/overread/internal/fault"
)

const orderHead = `{"resourceType":"ServiceRequest","status":"active","intent":"order","subject":{"reference":"Patient/1"}`

func TestWhatIsNotFHIRIsRefusedWhereItStands(t *testing.T) {
	for name, c := range map[string]struct {
		body       string
		kind       fault.Kind
		expression string
	}{
		"no resourceType":            {`{"status":"active"}`, fault.Structure, ""},
		"RESOURCETYPE":               {`{"RESOURCETYPE":"Task"}`, fault.Structure, ""},
		"unknown type":               {`{"resourceType":"Patience"}`, fault.Structure, ""},
		"type in another case":       {`{"resourceType":"task"}`, fault.Structure, ""},
		"type of protobuf's":         {`{"resourceType":"ContainedResource"}`, fault.Structure, ""},
		"resourceType a number":      {`{"resourceType":1}`, fault.Structure, ""},
		"Status":                     {orderHead + `,"Priority":"stat"}`, fault.Structure, "ServiceRequest.priority"},
		"unknown element":            {orderHead + `,"imagingStudy":"x"}`, fault.Structure, "ServiceRequest.imagingStudy"},
		"unknown element below":      {orderHead + `,"code":{"coding":[{"code":"a"},{"cod":"a"}]}}`, fault.Structure, "ServiceRequest.code.coding[1].cod"},
		"resourceType in a datatype": {orderHead + `,"code":{"resourceType":"Task"}}`, fault.Structure, "ServiceRequest.code.resourceType"},
		"protobuf's reference parts": {`{"resourceType":"Task","for":{"patientId":"1"}}`, fault.Structure, "Task.for.patientId"},
		"protobuf's fragment":        {`{"resourceType":"Task","for":{"fragment":"1"}}`, fault.Structure, "Task.for.fragment"},
		"protobuf's name":            {`{"resourceType":"Task","for_value":{"reference":"Patient/1"}}`, fault.Structure, "Task.for_value"},
		"choice without type":        {orderHead + `,"occurrence":"2026"}`, fault.Structure, "ServiceRequest"},
		"choice of a wrong type":     {orderHead + `,"occurrenceString":"2026"}`, fault.Structure, "ServiceRequest.occurrenceString"},
		"choice in another case":     {orderHead + `,"occurrencedateTime":"2026"}`, fault.Structure, "ServiceRequest.occurrenceDateTime"},
		"two choices":                {orderHead + `,"occurrenceDateTime":"2026","occurrencePeriod":{"start":"2026"}}`, fault.Structure, "ServiceRequest"},
		"two choices by companion":   {orderHead + `,"occurrenceDateTime":"2026","_asNeededBoolean":{"id":"a"},"asNeededCodeableConcept":{"text":"b"}}`, fault.Structure, "ServiceRequest"},
		"array for one":              {orderHead + `,"priority":["stat"]}`, fault.Structure, "ServiceRequest.priority"},
		"one for an array":           {orderHead + `,"identifier":{"value":"a"}}`, fault.Structure, "ServiceRequest.identifier"},
		"object for a primitive":     {orderHead + `,"priority":{"extension":[{"url":"u","valueString":"x"}]}}`, fault.Value, "ServiceRequest.priority"},
		"primitive for an object":    {orderHead + `,"code":"CT"}`, fault.Structure, "ServiceRequest.code"},
		"string for a boolean":       {orderHead + `,"doNotPerform":"true"}`, fault.Value, "ServiceRequest.doNotPerform"},
		"boolean for a string":       {orderHead + `,"patientInstruction":true}`, fault.Value, "ServiceRequest.patientInstruction"},
		"string for a decimal":       {orderHead + `,"quantityQuantity":{"value":"1.0"}}`, fault.Value, "ServiceRequest.quantity.value"},
		"fraction for an integer":    {`{"resourceType":"ImagingStudy","status":"available","subject":{"display":"x"},"numberOfSeries":1.5}`, fault.Value, "ImagingStudy.numberOfSeries"},
		"too large an integer":       {`{"resourceType":"ImagingStudy","status":"available","subject":{"display":"x"},"numberOfSeries":2147483648}`, fault.Value, "ImagingStudy.numberOfSeries"},
		"negative unsigned":          {`{"resourceType":"ImagingStudy","status":"available","subject":{"display":"x"},"numberOfSeries":-1}`, fault.Value, "ImagingStudy.numberOfSeries"},
		"null among objects":         {orderHead + `,"identifier":[{"value":"a"},null]}`, fault.Structure, "ServiceRequest.identifier[1]"},
		"null without companion":     {orderHead + `,"instantiatesUri":["http://a",null]}`, fault.Structure, "ServiceRequest.instantiatesUri[1]"},
		"null in both":               {`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[{"id":"x"},null]}]}`, fault.Structure, "Patient.name[0].given[1]"},
		"companion of other length":  {`{"resourceType":"Patient","name":[{"given":["a"],"_given":[null,{"id":"x"}]}]}`, fault.Structure, "Patient.name[0].given"},
		"companion a string":         {`{"resourceType":"Patient","_birthDate":"x"}`, fault.Structure, "Patient.birthDate"},
		"companion with a value":     {`{"resourceType":"Patient","_birthDate":{"value":"x"}}`, fault.Structure, "Patient.birthDate.value"},
		"companion of an object":     {orderHead + `,"_code":{"id":"x"}}`, fault.Structure, "ServiceRequest._code"},
		"code in another case":       {orderHead + `,"priority":"STAT"}`, fault.CodeInvalid, "ServiceRequest.priority"},
		"code with underscore":       {`{"resourceType":"Task","status":"in_progress","intent":"order"}`, fault.CodeInvalid, "Task.status"},
		"a status of no system":      {`{"resourceType":"Condition","subject":{"display":"x"},"clinicalStatus":{"coding":[{"code":"active"}]}}`, fault.CodeInvalid, "Condition.clinicalStatus"},
		"an unknown notation":        {`{"resourceType":"Measure","status":"active","improvementNotation":{"text":"up"}}`, fault.CodeInvalid, "Measure.improvementNotation"},
		"unknown code":               {`{"resourceType":"Task","status":"done","intent":"order"}`, fault.CodeInvalid, "Task.status"},
		"required element missing":   {`{"resourceType":"Task","status":"requested"}`, fault.Required, "Task.intent"},
		"required element below":     {`{"resourceType":"Task","status":"requested","intent":"order","input":[{"type":{"text":"a"},"valueString":"b"},{"valueString":"c"}]}`, fault.Required, "Task.input[1].type"},
		"required choice missing":    {`{"resourceType":"Task","status":"requested","intent":"order","input":[{"type":{"text":"a"}}]}`, fault.Required, "Task.input[0].value"},
		"date that does not exist":   {`{"resourceType":"Patient","birthDate":"2026-02-30"}`, fault.Value, "Patient.birthDate"},
		"date in a choice":           {orderHead + `,"occurrencePeriod":{"start":"01/02/2026"}}`, fault.Value, "ServiceRequest.occurrence.start"},
		"time without zone":          {orderHead + `,"authoredOn":"2026-01-02T03:04:05"}`, fault.Value, "ServiceRequest.authoredOn"},
		"id too long":                {orderHead + `,"id":"` + strings.Repeat("a", 65) + `"}`, fault.Value, "ServiceRequest.id"},
		"blanks for a string":        {orderHead + `,"identifier":[{"value":" \t"}]}`, fault.Value, "ServiceRequest.identifier[0].value"},
		"blanks for a markdown":      {orderHead + `,"note":[{"text":"\u00a0"}]}`, fault.Value, "ServiceRequest.note[0].text"},
		"an identifier that turns":   {orderHead + `,"identifier":[{"value":"12\u202e34"}]}`, fault.Value, "ServiceRequest.identifier[0].value"},
		"a parameter that turns":     {`{"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"a"},{"name":"x","part":[{"name":"text","valueString":"a \u2067left"}]}]}`, fault.Value, "Parameters.parameter[1].part[0].value"},
		"code with blanks":           {orderHead + `,"language":" en"}`, fault.Value, "ServiceRequest.language"},
		"bad base64":                 {`{"resourceType":"DiagnosticReport","status":"final","code":{"text":"a"},"presentedForm":[{"contentType":"text/plain","data":"%%%"}]}`, fault.Value, "DiagnosticReport.presentedForm[0].data"},
		"javascript in a url":        {`{"resourceType":"DiagnosticReport","status":"final","code":{"text":"a"},"presentedForm":[{"url":"JavaScript:alert(1)"}]}`, fault.Value, "DiagnosticReport.presentedForm[0].url"},
		"blank in a uri":             {orderHead + `,"implicitRules":"http://a b"}`, fault.Value, "ServiceRequest.implicitRules"},
		"line feed in a canonical":   {orderHead + `,"instantiatesCanonical":["java\nscript:x"]}`, fault.Value, "ServiceRequest.instantiatesCanonical[0]"},
		"malformed OID":              {orderHead + `,"identifier":[{"system":"urn:oid:1.02","value":"a"}]}`, fault.Value, "ServiceRequest.identifier[0].system"},
		"malformed escape in a uri":  {orderHead + `,"implicitRules":"http://a/%zz"}`, fault.Value, "ServiceRequest.implicitRules"},
		"extension without url":      {orderHead + `,"extension":[{"valueString":"a"}]}`, fault.Required, "ServiceRequest.extension[0].url"},
		"extension of nothing":       {orderHead + `,"extension":[{"url":"http://a"}]}`, fault.Invariant, "ServiceRequest.extension[0]"},
		"extension of both":          {orderHead + `,"extension":[{"url":"http://a","valueString":"a","extension":[{"url":"b","valueString":"c"}]}]}`, fault.Invariant, "ServiceRequest.extension[0]"},
		"wrong value in extension":   {orderHead + `,"extension":[{"url":"http://a","valuePeriod":{"end":"x"}}]}`, fault.Value, "ServiceRequest.extension[0].value.end"},
		"in a companion's extension": {`{"resourceType":"Patient","birthDate":"2000","_birthDate":{"extension":[{"url":"http://a","valueDate":"x"}]}}`, fault.Value, "Patient.birthDate.extension[0].value"},
		"extension in a companion":   {`{"resourceType":"Patient","birthDate":"2000","_birthDate":{"extension":[{"valueDate":"2000"}]}}`, fault.Required, "Patient.birthDate.extension[0].url"},
		"reference to a wrong type":  {`{"resourceType":"ServiceRequest","status":"active","intent":"order","subject":{"reference":"Practitioner/1"}}`, fault.Value, "ServiceRequest.subject"},
		"in a contained resource":    {orderHead + `,"contained":[{"resourceType":"Task","id":"a","status":"x","intent":"order"}]}`, fault.CodeInvalid, "ServiceRequest.contained[0].status"},
		"required in contained":      {orderHead + `,"contained":[{"resourceType":"Task","id":"a","status":"draft"}]}`, fault.Required, "ServiceRequest.contained[0].intent"},
		"wrong target in contained":  {orderHead + `,"contained":[{"resourceType":"Task","id":"a","status":"draft","intent":"order","encounter":{"reference":"Task/1"}}]}`, fault.Value, "ServiceRequest.contained[0].encounter"},
		"contained without id":       {orderHead + `,"contained":[{"resourceType":"Patient"}]}`, fault.Required, "ServiceRequest.contained[0]"},
		"contained in contained":     {orderHead + `,"contained":[{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Patient","id":"b"}]}]}`, fault.Invariant, "ServiceRequest.contained[0].contained[0]"},
		"in an entry of a bundle":    {`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient"}},{"resource":` + orderHead + `,"priority":"soon"}}]}`, fault.CodeInvalid, "Bundle.entry[1].resource.priority"},
		"required in an entry":       {`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Task","status":"draft"}}]}`, fault.Required, "Bundle.entry[0].resource.intent"},
		"entry's request":            {`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST"}}]}`, fault.Required, "Bundle.entry[0].request.url"},
		"resource of unknown type":   {`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"X"}}]}`, fault.Structure, "Bundle.entry[0].resource"},
		"resource no object":         {`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":"X"}]}`, fault.Structure, "Bundle.entry[0].resource"},
		"in parameters":              {`{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Patient","birthDate":"x"}}]}]}`, fault.Value, "Parameters.parameter[0].part[0].resource.birthDate"},
		"script in the narrative":    {orderHead + `,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>"}}`, fault.Value, "ServiceRequest.text.div"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(c.body), "")
			wantIssue(t, err, c.kind, c.expression)
		})
	}
}

func TestReferencesInEveryFormThatFHIRKnows(t *testing.T) {
	contained := `,"contained":[{"resourceType":"Practitioner","id":"p1"},{"resourceType":"Provenance","id":"v","target":[{"reference":"#"}],"recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"reference":"#p1"}}]}]`
	for _, c := range []struct {
		reference string
		ok        bool
	}{
		{"Practitioner/1", true}, {"Practitioner/1/_history/2", true}, {"https://ehr.example.org/fhir/Practitioner/1", true},
		{"urn:uuid:c757873d-ec9a-4326-a141-556f43239520", true}, {"urn:oid:1.2.3.4", true}, {"#p1", true},
		{"#p2", false}, {"#", false}, {"Practitioner", false}, {"Practitioner/", false}, {"/Practitioner/1", false}, {"Doctor/1", false},
		{"practitioner/1", false}, {"Practitioner/a_b", false}, {"Practitioner/1/history/2", false}, {"urn:uuid:1", false}, {"urn:oid:1..2", false},
		{"urn:uuid:C757873D-EC9A-4326-A141-556F43239520", false},
		{"javascript:alert(1)", false}, {"JAVASCRIPT:alert(1)", false}, {"data:text/html,x", false}, {"Practitioner/1 ", false},
		{"Practitioner?identifier=a|b", false},
	} {
		_, err := Decode([]byte(orderHead+contained+`,"requester":{"reference":"`+c.reference+`"}}`), "ServiceRequest")
		if c.ok && err != nil {
			t.Errorf("%s: %s", c.reference, issueLines(err))
		} else if !c.ok {
			wantIssue(t, err, fault.Value, "ServiceRequest.requester.reference")
		}
	}
}

func TestConditionalReferencesAreForTransactions(t *testing.T) {
	entry := `"entry":[{"resource":{"resourceType":"Task","status":"draft","intent":"order","for":{"reference":"Patient?identifier=http://a/b|1"}}}]}`
	asked := strings.Replace(entry, `"entry":[{`, `"entry":[{"request":{"method":"POST","url":"Task"},`, 1)
	if _, err := Decode([]byte(`{"resourceType":"Bundle","type":"transaction",`+asked), ""); err != nil {
		t.Error(issueLines(err))
	}
	_, err := Decode([]byte(`{"resourceType":"Bundle","type":"collection",`+entry), "")
	wantIssue(t, err, fault.Value, "Bundle.entry[0].resource.for.reference")
}

func TestExtensionsStandInForValuesOfPrimitives(t *testing.T) {
	for _, body := range []string{
		`{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`,
		`{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"http://a","valueString":"b"}]}]}]}`,
		orderHead + `,"occurrenceTiming":{"event":[null,"2026-01-02"],"_event":[{"extension":[{"url":"http://a","valueString":"b"}]},null]}}`,
		orderHead + `,"_occurrenceDateTime":{"extension":[{"url":"http://a","valueString":"b"}]}}`,
		orderHead + `,"extension":[{"url":"http://a","_valueString":{"id":"x","extension":[{"url":"http://a","valueString":"b"}]}}]}`,
	} {
		n, err := Decode([]byte(body), "")
		if err != nil {
			t.Errorf("%s\n%s", body, issueLines(err))
		} else if string(n.Bytes()) != body {
			t.Errorf("%s became %s", body, n.Bytes())
		}
	}
}

func TestAnswersListSeveralFaultsButNotEndlessly(t *testing.T) {
	_, err := Decode([]byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+orderHead+`,"Priority":"x","code":"y","note":[{}`+`]}}]}`), "")
	if err == nil {
		t.Fatal("accepted")
	}
	_, err = Decode([]byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Task","Status":"x","code":"y","priority":"z"}}`+strings.Repeat(`,{"resource":{"resourceType":"Task"}}`, 50)+`]}`), "")
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Issues) != maxIssues {
		t.Fatalf("got %v", err)
	}
	wantIssue(t, err, fault.Structure, "Bundle.entry[0].resource.status")
	wantIssue(t, err, fault.Structure, "Bundle.entry[0].resource.code")
	wantIssue(t, err, fault.CodeInvalid, "Bundle.entry[0].resource.priority")
	wantIssue(t, err, fault.Required, "Bundle.entry[1].resource.status")
}

func TestRefusalsSayWhatToWrite(t *testing.T) {
	for body, want := range map[string]string{
		orderHead + `,"Priority":"stat"}`:         "write priority",
		orderHead + `,"occurrence":"2026"}`:       "write occurrenceDateTime",
		orderHead + `,"imagingStudy":"x"}`:        "ServiceRequest does not have imagingStudy",
		orderHead + `,"priority":"now"}`:          "use one of asap, routine, stat, urgent",
		orderHead + `,"John Smith's scan":"now"}`: "an element with this name",
	} {
		_, err := Decode([]byte(body), "")
		if text := issueLines(err); !strings.Contains(text, want) || strings.Contains(text, "Smith") {
			t.Errorf("want %q, got %s", want, text)
		}
	}
}

func TestATypeOtherThanTheAddressIsRefused(t *testing.T) {
	_, err := Decode([]byte(orderHead+"}"), "Task")
	wantIssue(t, err, fault.Structure, "ServiceRequest.resourceType")
	if err := Validate(Object("resourceType", "Task", "status", "draft")); !fault.Is(err, fault.Required) {
		t.Errorf("Validate: %v", err)
	}
}

func TestNoValueOfTheBodyIsRepeatedInARefusal(t *testing.T) {
	whole := mustParse(t, orderBundle)
	refused := 0
	for _, bad := range []string{"Zebra", "Zebra \n", "javascript:Zebra", "#Zebra", "<div>Zebra"} {
		for i := 0; ; i++ {
			n, at := whole.Clone(), 0
			n.Walk(func(_ string, v *Node) {
				if v.IsString() {
					if at == i {
						v.SetText(bad)
					}
					at++
				}
			})
			if i >= at {
				break
			}
			if _, err := Decode(n.Bytes(), ""); err != nil {
				refused++
				if text := issueLines(err); strings.Contains(text, "Zebra") {
					t.Fatal(text)
				}
			}
		}
	}
	if refused < 100 {
		t.Errorf("only %d bodies were refused: the test tests little", refused)
	}
}
