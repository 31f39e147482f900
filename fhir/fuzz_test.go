package fhir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/overread/overread/internal/fault"
)

// orderBundle is what an EHR sends: the order with all that the reader needs.
const orderBundle = `{"resourceType":"Bundle","type":"transaction","entry":[
{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","identifier":[{"system":"http://ehr.example.org/mrn","value":"1"}],"name":[{"family":"Synthetic","given":["Ada"]}],"gender":"female","birthDate":"1970-01-02"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=http://ehr.example.org/mrn|1"}},
{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000002","resource":{"resourceType":"Practitioner","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"2"}],"name":[{"family":"Example"}]},"request":{"method":"POST","url":"Practitioner"}},
{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000003","resource":{"resourceType":"Organization","name":"Example hospital"},"request":{"method":"POST","url":"Organization"}},
{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000004","resource":{"resourceType":"ImagingStudy","identifier":[{"system":"urn:dicom:uid","value":"urn:oid:2.25.1"}],"status":"available","subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},"started":"2026-01-02T03:04:05Z","numberOfSeries":1,"series":[{"uid":"2.25.2","modality":{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"CT"},"numberOfInstances":120}]},"request":{"method":"POST","url":"ImagingStudy"}},
{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000005","resource":{"resourceType":"DiagnosticReport","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"24627-2","display":"CT Chest"}]},"subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},"effectiveDateTime":"2026-01-02","issued":"2026-01-02T05:00:00.000+01:00","imagingStudy":[{"reference":"urn:uuid:00000000-0000-4000-8000-000000000004"}],"conclusion":"No nodule."},"request":{"method":"POST","url":"DiagnosticReport"}},
{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000006","resource":{"resourceType":"ServiceRequest","identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"PLAC"}]},"system":"http://ehr.example.org/order","value":"6"}],"status":"active","intent":"order","priority":"urgent","code":{"coding":[{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"111418"}]},"subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},"requester":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000002"},"authoredOn":"2026-01-03T08:00:00Z","reasonCode":[{"text":"Second opinion"}],"supportingInfo":[{"reference":"urn:uuid:00000000-0000-4000-8000-000000000004"},{"reference":"urn:uuid:00000000-0000-4000-8000-000000000005"}]},"request":{"method":"POST","url":"ServiceRequest"}}]}`

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		orderBundle, orderHead + "}", nestedExtensions(3), nestedExtensions(40), manyNames(300),
		orderHead + `,"contained":[{"resourceType":"Patient","id":"a"}],"text":{"status":"generated","div":"` + `<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>` + `"}}`,
		`{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"b"}]}],"_birthDate":{"extension":[{"url":"a","valueDate":"2000"}]}}`,
		`{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","valueDecimal":1.0}]}]}`,
		`{"resourceType":"Binary","contentType":"a/b","data":"AA =="}`,
	} {
		f.Add([]byte(seed))
	}
	names, err := filepath.Glob(filepath.Join(fixtures, "fhir-r4/examples", "[DEILPST]*-[a-f]*.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(body) < 10_000 {
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := Decode(body, "")
		if err == nil {
			again, err := Decode(n.Bytes(), n.Type())
			if err != nil {
				t.Fatalf("its own bytes are refused: %v", err)
			}
			if !bytes.Equal(n.Bytes(), again.Bytes()) {
				t.Fatal("it changes when read again")
			}
			return
		}
		var refusal *fault.Error
		if !errors.As(err, &refusal) || len(refusal.Issues) == 0 {
			t.Fatalf("%T is not for clients: %v", err, err)
		}
		for _, issue := range refusal.Issues {
			if _, known := kinds[issue.Kind]; !known || issue.Text == "" {
				t.Fatalf("issue %+v", issue)
			}
		}
	})
}

func BenchmarkDecodeServiceRequest(b *testing.B) {
	body := mustParse(b, orderBundle).Each("entry", "resource")[5].Bytes()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body, "ServiceRequest"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeOrderBundle(b *testing.B) {
	body := []byte(orderBundle)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body, "Bundle"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeNestedExtensions(b *testing.B) {
	body := []byte(nestedExtensions(3800))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body, ""); !fault.Is(err, fault.TooLarge) {
			b.Fatal(err)
		}
	}
}
