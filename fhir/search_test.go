package fhir

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// shelf is a server with a few resources to search among, by name.
func shelf(t *testing.T) (*rest, map[string]string) {
	t.Helper()
	r := startREST(t)
	ids := map[string]string{}
	add := func(name, typ, body string) { ids[name] = r.mustCreate(typ, body) }
	add("zoe", "Patient", patientJSON("1"))
	add("max", "Patient", `{"resourceType":"Patient","active":true,"identifier":[{"system":"urn:mrn","value":"a|b,c"}],"name":[{"text":"Max  Mustermann"}],"birthDate":"1970-05-31","deceasedDateTime":"2026-03-01T10:00:00+02:00",
		"telecom":[{"system":"phone","value":"555"},{"system":"email","value":"max@example.org"}]}`)
	add("study", "ImagingStudy", `{"resourceType":"ImagingStudy","status":"available","subject":{"reference":"Patient/`+ids["zoe"]+`"},
		"identifier":[{"system":"urn:dicom:uid","value":"urn:oid:1.2.3"}],"started":"2026-02-01T08:30:00Z",
		"basedOn":[{"type":"ServiceRequest","identifier":{"system":"urn:orders","value":"77"}}],
		"series":[{"uid":"1.2.3.4","modality":{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"CT"}}]}`)
	add("report", "DiagnosticReport", `{"resourceType":"DiagnosticReport","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"24627-2"},{"code":"local"}]},
		"subject":{"reference":"Patient/`+ids["zoe"]+`"},"effectivePeriod":{"start":"2026-02-01","end":"2026-02-03"},"issued":"2026-02-04T00:00:00.123Z",
		"imagingStudy":[{"reference":"ImagingStudy/`+ids["study"]+`"}],
		"basedOn":[{"reference":"https://elsewhere.example/fhir/ServiceRequest/5/_history/2"}]}`)
	add("task", "Task", `{"resourceType":"Task","status":"requested","intent":"order","for":{"reference":"Patient/`+ids["zoe"]+`"},"authoredOn":"2026-02","executionPeriod":{"start":"2026-01-01"}}`)
	return r, ids
}

func TestSearchesFindWhatTheSpecificationSays(t *testing.T) {
	t.Parallel()
	r, ids := shelf(t)
	cases := map[string]string{ // query -> names of what is found, newest first
		// tokens
		"Patient?identifier=urn:mrn|1":                "zoe",
		"Patient?identifier=1":                        "zoe",
		"Patient?identifier=|1":                       "",
		"Patient?identifier=urn:mrn|":                 "max zoe",
		"Patient?identifier=urn:other|1":              "",
		"Patient?identifier=urn:mrn|a\\|b\\,c":        "max",
		"Patient?identifier=urn:mrn|1,urn:mrn|2":      "zoe",
		"Patient?identifier=1&identifier=2":           "",
		"Patient?active=true":                         "max",
		"Patient?active:not=true":                     "zoe",
		"Patient?phone=555":                           "max",
		"Patient?phone=max@example.org":               "",
		"Patient?telecom=max@example.org":             "max",
		"DiagnosticReport?code=http://loinc.org|":     "report",
		"DiagnosticReport?code=|local":                "report",
		"DiagnosticReport?status=final,amended":       "report",
		"DiagnosticReport?status:not=final,amended":   "",
		"ImagingStudy?identifier=urn:dicom:uid|1.2.3": "study",
		"ImagingStudy?identifier=urn:oid:1.2.3":       "study",
		"ImagingStudy?series=1.2.3.4":                 "study",
		"ImagingStudy?modality=CT":                    "study",

		// references
		"Task?patient=Patient/{zoe}":                                                "task",
		"Task?patient={zoe}":                                                        "task",
		"Task?patient:Patient={zoe}":                                                "task",
		"Task?patient={url}/fhir/Patient/{zoe}":                                     "task",
		"Task?patient=Patient/{max}":                                                "",
		"DiagnosticReport?imaging-study=ImagingStudy/{study}":                       "report",
		"DiagnosticReport?based-on=https://elsewhere.example/fhir/ServiceRequest/5": "report",
		"DiagnosticReport?basedOn=https://elsewhere.example/fhir/ServiceRequest/5":  "report",
		"ImagingStudy?basedon:identifier=urn:orders|77":                             "study",
		"ImagingStudy?basedon:identifier=77":                                        "study",
		"ImagingStudy?basedon:identifier=urn:other|77":                              "",

		// dates: a value is an interval
		"Patient?birthdate=1970":                           "max zoe",
		"Patient?birthdate=1970-05":                        "max zoe",
		"Patient?birthdate=1970-05-31":                     "max",
		"Patient?birthdate=ne1970-05-31":                   "zoe",
		"Patient?birthdate=lt1970-05-31":                   "zoe",
		"Patient?birthdate=ge1970-05-31":                   "max",
		"Patient?birthdate=gt1970-05-31":                   "",
		"Patient?birthdate=sa1969":                         "max zoe",
		"Patient?birthdate=eb1971&birthdate=sa1969":        "max zoe",
		"Patient?birthdate=1971,1970":                      "max zoe",
		"Patient?death-date=2026-03-01T08:00:00Z":          "max",
		"Patient?death-date=2026-03-01T10:00:00%2B02:00":   "max",
		"DiagnosticReport?date=2026-02":                    "report",
		"DiagnosticReport?date=2026-02-02":                 "",
		"DiagnosticReport?date=gt2026-02-02":               "report",
		"DiagnosticReport?date=le2026-02-03":               "report",
		"DiagnosticReport?date=le2026-02-01":               "", // the report's period neither begins before that day nor lies in it
		"DiagnosticReport?date=eb2026-02-02":               "",
		"DiagnosticReport?issued=2026-02-04T00:00:00Z":     "report",
		"DiagnosticReport?issued=2026-02-04T00:00:00.124Z": "",
		"Task?period=gt2099":                               "task",
		"Task?period=lt1999":                               "",
		"Task?authored-on=2026-02":                         "task",
		"Task?authored-on=2026-02-10":                      "",
		"Task?_lastUpdated=gt2020":                         "task",
		"Task?_lastUpdated=lt2020":                         "",

		// strings: from the beginning of a part, without case and accents
		"Patient?family=muller-odeg":       "zoe",
		"Patient?family=muller":            "zoe",
		"Patient?family=MÜLLER":            "zoe",
		"Patient?family=odegard":           "zoe",
		"Patient?family:contains=müller-ø": "zoe",
		"Patient?given:exact=Zoë":          "zoe",
		"Patient?given:exact=zoe":          "",
		"Patient?name=max%20m":             "max",
		"Patient?name=zo,max":              "max zoe",

		// ids, sorts and several at once
		"Patient?_id={zoe}":                                          "zoe",
		"Patient?_id={zoe},{max}&_sort=_lastUpdated":                 "zoe max",
		"Patient?_sort=_id":                                          "zoe max",
		"Patient?birthdate=1970&family=mu&active:not=true&_id={zoe}": "zoe",
		"Patient": "max zoe",
	}
	for question, want := range cases {
		for name, id := range ids {
			question = strings.ReplaceAll(question, "{"+name+"}", id)
		}
		question = strings.ReplaceAll(question, "{url}", r.url)
		got := r.get("/fhir/" + question)
		names := []string{}
		for _, id := range got.ids() {
			for name := range ids {
				if ids[name] == id {
					names = append(names, name)
				}
			}
		}
		if got.status != http.StatusOK || strings.Join(names, " ") != want {
			t.Errorf("%s finds %q, want %q (%d)", question, strings.Join(names, " "), want, got.status)
		}
	}
}

func TestASearchByPostIsTheSameSearch(t *testing.T) {
	t.Parallel()
	r, _ := shelf(t)
	byGet := r.get("/fhir/Patient?identifier=urn:mrn%7C1&birthdate=1970")
	byPost := r.post("/fhir/Patient/_search?birthdate=1970", "identifier=urn%3Amrn%7C1", "Content-Type", "application/x-www-form-urlencoded")
	if diff := cmp.Diff(byGet.body, byPost.body); diff != "" {
		t.Error(diff)
	}
	if _, err := Decode([]byte(byGet.body), "Bundle"); err != nil {
		t.Errorf("%+v", err)
	}
	r.post("/fhir/Patient/_search", "{}").want(t, http.StatusUnsupportedMediaType, "not-supported")
}

func TestWhatASearchCannotUnderstandIsRefused(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for question, code := range map[string]string{
		"colour=red":                 "not-supported",
		"active:missing=yes":         "value",
		"name=%25":                   "value",
		"_include=Patient:colour":    "not-supported",
		"identifier=":                "value",
		"identifier=|":               "value",
		"birthdate=yesterday":        "value",
		"birthdate=":                 "value",
		"birthdate=xx1970":           "value",
		"_id=a/b":                    "value",
		"_count=-1":                  "value",
		"_count=x":                   "value",
		"_sort=identifier":           "not-supported",
		"_after=zzz":                 "value",
		"identifier=%00":             "value",
		"family=%00":                 "value",
		"family=%ff":                 "value",
		"%ff=x":                      "value",
		"identifier=%zz":             "value",
		"identifier=a;b":             "value",
		"_format=json&_lastUpdated=": "value",
		"identifier=" + strings.Repeat("1,", 300): "too-long",
		"family=" + strings.Repeat("x", 9000):     "too-long",
	} {
		got := r.get("/fhir/Patient?" + question)
		if got.status < 400 || got.status >= 500 || got.node.Text("issue", "code") != code {
			t.Errorf("%.60s: %d %s", question, got.status, got.body)
		}
		if strings.Contains(got.body, "yesterday") {
			t.Errorf("the refusal repeats the value: %s", got.body)
		}
	}
}

func TestALenientSearchDropsWhatItDoesNotKnowAndSaysSo(t *testing.T) {
	t.Parallel()
	r, ids := shelf(t)
	got := r.get("/fhir/Patient?colour=red&identifier=urn:mrn%7C1", "Prefer", "handling=lenient")
	if diff := cmp.Diff([]string{ids["zoe"]}, got.ids()); diff != "" {
		t.Error(diff)
	}
	if self := got.node.Text("link", "url"); self != r.url+"/fhir/Patient?_count=50&_sort=-_id&identifier=urn%3Amrn%7C1" {
		t.Errorf("self is %s", self)
	}
	r.get("/fhir/Patient?birthdate=yesterday", "Prefer", "handling=lenient").want(t, http.StatusBadRequest, "value")
}

// FHIR R4 search.html#count: _count=0 is _summary=count.
func TestACountOfNothingTellsTheTotal(t *testing.T) {
	t.Parallel()
	r, _ := shelf(t)
	for question, total := range map[string]string{"Patient?_count=0": "2", "Patient?_count=0&active=true": "1", "Patient?_count=0&family=nobody": "0", "OperationDefinition?_count=0": fmt.Sprint(len(operationDefinitions()))} {
		got := r.get("/fhir/" + question)
		if got.status != http.StatusOK || got.node.Text("total") != total || got.node.Get("entry") != nil || got.node.Text("link", "relation") != "self" {
			t.Errorf("%s: %d %s", question, got.status, got.body)
		}
	}
}

// A page begins where the one before ended, whatever is created meanwhile.
func TestPagesHaveEveryResourceOnce(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	want := []string{}
	for i := range 7 {
		want = append(want, r.mustCreate("Organization", fmt.Sprintf(`{"resourceType":"Organization","name":"o%d"}`, i)))
	}
	for _, sort := range []string{"", "&_sort=-_id", "&_sort=_id", "&_sort=_lastUpdated", "&_sort=-_lastUpdated"} {
		got := []string{}
		next := "/fhir/Organization?name=o&_count=3" + sort
		for next != "" {
			page := r.get(next)
			if page.status != http.StatusOK {
				t.Fatal(page.status, page.body)
			}
			got = append(got, page.ids()...)
			next = ""
			for _, link := range page.node.Each("link") {
				if link.Text("relation") == "next" {
					next = strings.TrimPrefix(link.Text("url"), r.url)
				}
			}
			if sort == "" && len(got) == 3 { // comes too late for this search
				r.mustCreate("Organization", `{"resourceType":"Organization","name":"o-late","active":false}`)
			}
		}
		if sort == "" || strings.HasPrefix(sort, "&_sort=-") {
			slices.Reverse(got)
		}
		got = slices.DeleteFunc(got, func(id string) bool { return !slices.Contains(want, id) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", sort, diff)
		}
	}
}

func TestADateIsTheIntervalThatItMeans(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2024":                         "2024-01-01T00:00:00Z 2025-01-01T00:00:00Z",
		"2024-02":                      "2024-02-01T00:00:00Z 2024-03-01T00:00:00Z",
		"2024-02-29":                   "2024-02-29T00:00:00Z 2024-03-01T00:00:00Z",
		"2024-02-29T23:59Z":            "2024-02-29T23:59:00Z 2024-03-01T00:00:00Z",
		"2024-02-29T23:59:59+02:00":    "2024-02-29T21:59:59Z 2024-02-29T22:00:00Z",
		"2024-02-29T23:59:59.12Z":      "2024-02-29T23:59:59.12Z 2024-02-29T23:59:59.13Z",
		"2024-02-29T23:59:59.1234567Z": "2024-02-29T23:59:59.1234567Z 2024-02-29T23:59:59.1234577Z",
		"2024-13":                      "",
		"24":                           "",
		"":                             "",
	} {
		got := ""
		if i, ok := parseInterval(text); ok {
			const layout = "2006-01-02T15:04:05.999999999Z07:00"
			got = i.low.Time.Format(layout) + " " + i.high.Time.Format(layout)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestEscapesAreUndoneAndSeparatorsAreNot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.StringMatching(`[a,|$\\]{1,6}`), 1, 4).Draw(t, "values")
		escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)
		escaped := []string{}
		for _, v := range values {
			escaped = append(escaped, escape.Replace(v))
		}
		got := []string{}
		for _, v := range alternatives(strings.Join(escaped, ",")) {
			system, code, split := cutUnescaped(v)
			if system != "" || split {
				t.Fatalf("%q was cut", v)
			}
			got = append(got, code)
		}
		if diff := cmp.Diff(values, got); diff != "" {
			t.Fatal(diff)
		}
	})
}
