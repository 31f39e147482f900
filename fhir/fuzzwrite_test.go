package fhir

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
)

// forClients fails the test unless err is nil or a refusal that a client may
// read.
func forClients(t *testing.T, err error) {
	t.Helper()
	var refusal *fault.Error
	if err == nil {
		return
	}
	if !errors.As(err, &refusal) || len(refusal.Issues) == 0 {
		t.Fatalf("%T is not for clients: %v", err, err)
	}
	for _, issue := range refusal.Issues {
		if _, known := kinds[issue.Kind]; !known || issue.Text == "" {
			t.Fatalf("issue %+v", issue)
		}
	}
}

// fuzzPatch applies a patch in one of the formats to a resource, without a
// database.
func fuzzPatch(f *testing.F, format, resource string) {
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := readPatch(format, body)
		if err != nil {
			forClients(t, err)
			return
		}
		current := mustParse(t, resource)
		whole := string(current.Bytes())
		c := &change{method: http.MethodPatch, row: &resourceType{name: current.Type()}, path: current.Type(), patch: p}
		c.was = Stored{Type: current.Type(), ID: current.Text("id"), Version: 1, Body: []byte(whole)}
		c.current = &c.was
		err = c.applyPatch(context.Background(), newTurns())
		forClients(t, err)
		if string(c.was.Body) != whole {
			t.Fatal("the current version was changed")
		}
		if err == nil && c.sent.Text("id") != current.Text("id") {
			t.Fatal("another id")
		}
	})
}

func FuzzJSONPatch(f *testing.F) {
	for _, seed := range []string{
		`[{"op":"replace","path":"/status","value":"amended"},{"op":"remove","path":"/referenceRange/0"}]`,
		`[{"op":"move","from":"/referenceRange/1","path":"/referenceRange/-"},{"op":"copy","from":"/code","path":"/method"}]`,
		`[{"op":"test","path":"/valueQuantity/value","value":1.5},{"op":"add","path":"/note","value":[{"text":"a~1b"}]}]`,
		`[{"op":"add","path":"/referenceRange/999999999999999999999","value":{}}]`, `[{"op":"add","path":"/a~","value":null}]`, `[null]`, `[{}]`, `[]`,
		`[{"op":"copy","from":"/code","path":"/code/text"},{"op":"move","from":"/code","path":"/code/text"}]`,
	} {
		f.Add([]byte(seed))
	}
	fuzzPatch(f, patchFormats[0], weight)
}

func FuzzFHIRPathPatch(f *testing.F) {
	value := part("value", `"valueString":"x"`)
	for _, seed := range []string{
		operationJSON(kind("replace"), onPath("Patient.name.where(use = 'old' and family.exists()).family"), value),
		operationJSON(kind("delete"), onPath("Patient.extension('http://x.example/e').value.ofType(string)")),
		operationJSON(kind("insert"), onPath("Patient.name[0].given"), part("index", `"valueInteger":1`), value),
		operationJSON(kind("move"), onPath("Patient.identifier"), part("source", `"valueInteger":1`), part("destination", `"valueInteger":0`)),
		operationJSON(kind("add"), onPath("Patient"), part("name", `"valueString":"contact"`), `"name":"value","part":[{"name":"name","valueHumanName":{"text":"C"}}]`),
		operationJSON(kind("delete"), onPath("Patient.name.where(given.matches('(a+)+$'))")),
	} {
		f.Add([]byte(parametersJSON(seed)))
	}
	fuzzPatch(f, patchFormats[1], pathPatient)
}

func FuzzPatchPath(f *testing.F) {
	for _, seed := range []string{"Patient.name[0].given", "name.where($this is HumanName).first()", "Patient.name.where(a='(')", "Patient.deceased.as(boolean)", "a.b(c.d('e\\'f'))[1][2]", "Patient.where(1 = 1)"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		p, err := parsePath(text)
		if err != nil {
			return
		}
		root, err := Parse([]byte(pathPatient), Limits{})
		if err != nil {
			panic(err)
		}
		_, _ = p.find(root, newAllowance(context.Background())) // no panic, and no end later than its time
	})
}

func FuzzIfNoneExist(f *testing.F) {
	for _, seed := range []string{"identifier=urn:mrn%7C1", "identifier=a|b,c|d&birthdate=ge1970", "name:exact=x&_id=1", "_count=1", "?", "a=%zz", "identifier=\\", "general-practitioner:Practitioner.identifier=x", "_lastUpdated=gt2020-01-01T00:00:00 01:00", "_has:Observation:subject:code=x"} {
		f.Add(seed)
	}
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, text string) {
		asked, err := parseCondition(text)
		if err != nil {
			forClients(t, err)
			return
		}
		first := &change{row: s.resources["Patient"], condition: asked}
		again := &change{row: s.resources["Patient"], condition: asked}
		if !slices.EqualFunc(first.claimKeys(), again.claimKeys(), bytes.Equal) {
			t.Fatal("one condition, two claims")
		}
	})
}

// fuzzServer is a Server without a database: what reads and refuses needs none.
func fuzzServer(tb testing.TB) *Server {
	tb.Helper()
	r := &Server{baseURL: "https://overread.example/fhir", log: slog.New(slog.DiscardHandler), turns: newTurns(), resources: map[string]*resourceType{}}
	for _, row := range resourceTable() {
		r.resources[row.name] = &row
	}
	return r
}

func FuzzBundle(f *testing.F) {
	for _, seed := range []string{
		orderBundle, orderTransaction("1"),
		bundleJSON(requestJSON("DELETE", "Patient/1"), requestJSON("GET", "Patient?name=x", `,"ifNoneMatch":"W/\"1\""`), requestJSON("HEAD", "Patient/1")),
		bundleJSON(entryJSON("", "PATCH", "Patient/1", "", binaryPatch(`[{"op":"remove","path":"/name"}]`)), entryJSON("", "PATCH", "Patient/2", "", parametersJSON(operationJSON(kind("delete"), onPath("Patient.name"))))),
		batchJSON(entryJSON("", "PUT", "Patient?identifier=x", `,"ifMatch":"W/\"1\""`, patientJSON("1")), requestJSON("GET", "Patient/$everything"), requestJSON("POST", "Patient/_search?name=x")),
		batchJSON(requestJSON("GET", "https://overread.example/fhir/Patient/%zz"), requestJSON("GET", "//host/Patient"), requestJSON("GET", "?")),
	} {
		f.Add([]byte(seed))
	}
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		bundle, err := s.decodeBundle(context.Background(), body)
		if err != nil {
			forClients(t, err)
			return
		}
		c := echo.New().NewContext(httptest.NewRequest(http.MethodPost, "/fhir", strings.NewReader("")), httptest.NewRecorder())
		entries := bundle.Get("entry").Items()
		_, err = s.steps(c, entries)
		forClients(t, err)
		for _, entry := range entries {
			_, err := s.errandOf(c, entry, "Bundle.entry[0]")
			forClients(t, err)
		}
	})
}
