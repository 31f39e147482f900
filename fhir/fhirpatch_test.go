package fhir

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// operationJSON is an operation of a FHIRPath Patch; parts are JSON members.
func operationJSON(parts ...string) string {
	return `{"name":"operation","part":[{` + strings.Join(parts, "},{") + `}]}`
}

func parametersJSON(operations ...string) string {
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(operations, ",") + `]}`
}

func part(name, value string) string { return `"name":"` + name + `",` + value }

func kind(name string) string { return part("type", `"valueCode":"`+name+`"`) }

func onPath(path string) string { return part("path", `"valueString":`+quoted(path)) }

const pathPatient = `{"resourceType":"Patient","id":"p","active":true,
	"identifier":[{"system":"urn:a","value":"1"},{"system":"urn:b","value":"2"}],
	"name":[{"family":"One","given":["A","B"],"_given":[null,{"id":"b"}]},{"use":"old","family":"Two"}],
	"extension":[{"url":"http://x.example/e","valueString":"x"}],"birthDate":"1970-05","deceasedBoolean":false}`

// FHIR R4 fhirpatch.html: what each operation makes of pathPatient.
func TestAFHIRPathPatchDoesItsOperations(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	cases := []struct {
		name       string
		operations []string
		before     string // of the resource as it is written
		after      string
	}{
		{"add a simple element", []string{operationJSON(kind("add"), onPath("Patient"), part("name", `"valueString":"gender"`), part("value", `"valueCode":"female"`))},
			`"deceasedBoolean":false`, `"deceasedBoolean":false,"gender":"female"`},
		{"add to a list", []string{operationJSON(kind("add"), onPath("Patient"), part("name", `"valueString":"identifier"`), part("value", `"valueIdentifier":{"value":"3"}`))},
			`{"system":"urn:b","value":"2"}`, `{"system":"urn:b","value":"2"},{"value":"3"}`},
		{"add deeper", []string{operationJSON(kind("add"), onPath("Patient.name.where(family = 'Two')"), part("name", `"valueString":"given"`), part("value", `"valueString":"C"`))},
			`"family":"Two"`, `"family":"Two","given":["C"]`},
		{"add what has no name of a type", []string{operationJSON(kind("add"), onPath("Patient"), part("name", `"valueString":"contact"`),
			`"name":"value","part":[{"name":"name","valueHumanName":{"text":"C"}},{"name":"gender","valueCode":"male"},{"name":"telecom","valueContactPoint":{"value":"1","system":"phone"}}]`)},
			`"deceasedBoolean":false`, `"deceasedBoolean":false,"contact":[{"name":{"text":"C"},"gender":"male","telecom":[{"value":"1","system":"phone"}]}]`},
		{"add an extension", []string{operationJSON(kind("add"), onPath("Patient.name[1]"), part("name", `"valueString":"extension"`), `"name":"value","part":[{"name":"url","valueUri":"http://x.example/f"},{"name":"value","valueInteger":1}]`)},
			`"family":"Two"`, `"family":"Two","extension":[{"url":"http://x.example/f","valueInteger":1}]`},
		{"insert", []string{operationJSON(kind("insert"), onPath("Patient.identifier"), part("index", `"valueInteger":1`), part("value", `"valueIdentifier":{"value":"3"}`))},
			`"value":"1"},`, `"value":"1"},{"value":"3"},`},
		{"insert before what has an id", []string{operationJSON(kind("insert"), onPath("Patient.name[0].given"), part("index", `"valueInteger":0`), part("value", `"valueString":"Z"`))},
			`["A","B"],"_given":[null,{"id":"b"}]`, `["Z","A","B"],"_given":[null,null,{"id":"b"}]`},
		{"insert into no list yet", []string{operationJSON(kind("insert"), onPath("Patient.photo"), part("index", `"valueInteger":0`), part("value", `"valueAttachment":{"title":"x"}`))},
			`"deceasedBoolean":false`, `"deceasedBoolean":false,"photo":[{"title":"x"}]`},
		{"delete", []string{operationJSON(kind("delete"), onPath("Patient.birthDate"))}, `"birthDate":"1970-05",`, ``},
		{"delete one of a list", []string{operationJSON(kind("delete"), onPath("Patient.identifier.where(system = 'urn:a')"))}, `{"system":"urn:a","value":"1"},`, ``},
		{"delete what has an id", []string{operationJSON(kind("delete"), onPath("Patient.name.first().given.last()"))}, `["A","B"],"_given":[null,{"id":"b"}]`, `["A"]`},
		{"delete the last of a list", []string{operationJSON(kind("delete"), onPath("Patient.extension('http://x.example/e')"))}, `"extension":[{"url":"http://x.example/e","valueString":"x"}],`, ``},
		{"delete what is not there", []string{operationJSON(kind("delete"), onPath("Patient.telecom"))}, ``, ``},
		{"replace", []string{operationJSON(kind("replace"), onPath("Patient.name.where(use = 'old').family"), part("value", `"valueString":"Three"`))}, `"Two"`, `"Three"`},
		{"replace one of a list", []string{operationJSON(kind("replace"), onPath("Patient.name[0].given[1]"), part("value", `"valueString":"C"`))}, `"B"`, `"C"`},
		{"replace by $this", []string{operationJSON(kind("replace"), onPath("Patient.name.given.where($this = 'A')"), part("value", `"valueString":"C"`))}, `"A"`, `"C"`},
		{"replace a choice by another type", []string{operationJSON(kind("replace"), onPath("Patient.deceased"), part("value", `"valueDateTime":"2020"`))}, `"deceasedBoolean":false`, `"deceasedDateTime":"2020"`},
		{"replace of one type", []string{operationJSON(kind("replace"), onPath("Patient.deceased.ofType(boolean)"), part("value", `"valueBoolean":true`))}, `"deceasedBoolean":false`, `"deceasedBoolean":true`},
		{"move", []string{operationJSON(kind("move"), onPath("Patient.identifier"), part("source", `"valueInteger":1`), part("destination", `"valueInteger":0`))},
			`{"system":"urn:a","value":"1"},{"system":"urn:b","value":"2"}`, `{"system":"urn:b","value":"2"},{"system":"urn:a","value":"1"}`},
		{"move what has an id", []string{operationJSON(kind("move"), onPath("Patient.name[0].given"), part("source", `"valueInteger":1`), part("destination", `"valueInteger":0`))},
			`["A","B"],"_given":[null,{"id":"b"}]`, `["B","A"],"_given":[{"id":"b"},null]`},
		{"several", []string{
			operationJSON(kind("delete"), onPath("Patient.identifier[0]")),
			operationJSON(kind("replace"), onPath("Patient.identifier[0].value"), part("value", `"valueString":"9"`)),
		}, `{"system":"urn:a","value":"1"},{"system":"urn:b","value":"2"}`, `{"system":"urn:b","value":"9"}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := r.put("/fhir/Patient/p", pathPatient)
			got := r.do("placer", "PATCH", "/fhir/Patient/p", parametersJSON(c.operations...))
			if got.status != http.StatusOK {
				t.Fatal(got.status, got.body)
			}
			before.node.Remove("meta")
			got.node.Remove("meta")
			if diff := cmp.Diff(strings.Replace(before.node.jsonText(), c.before, c.after, 1), got.node.jsonText()); diff != "" {
				t.Error(diff)
			}
		})
	}
	inBundle := r.post("/fhir", bundleJSON(entryJSON("", "PATCH", "Patient/p", "", parametersJSON(operationJSON(kind("delete"), onPath("Patient.active"))))))
	if inBundle.status != http.StatusOK || r.get("/fhir/Patient/p").node.Get("active") != nil {
		t.Errorf("in a transaction: %d %s", inBundle.status, inBundle.body)
	}
}

func TestAFHIRPathPatchThatCannotBeDoneChangesNothing(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	before := r.put("/fhir/Patient/p", pathPatient)
	value := part("value", `"valueString":"x"`)
	for _, c := range []struct {
		name, operation string
		status          int
		says            string
	}{
		{"a path to several", operationJSON(kind("replace"), onPath("Patient.identifier.value"), value), 422, "means 2 elements"},
		{"a path to nothing", operationJSON(kind("replace"), onPath("Patient.gender"), value), 422, "means 0 elements"},
		{"a delete of several", operationJSON(kind("delete"), onPath("Patient.identifier")), 422, "means 2 elements"},
		{"the whole resource", operationJSON(kind("delete"), onPath("Patient")), 422, ""},
		{"a replacement of the whole resource", operationJSON(kind("replace"), onPath("Patient"), value), 422, "PUT it instead"},
		{"an element of no Patient", operationJSON(kind("replace"), onPath("Patient.colour"), value), 422, "there is not in this type"},
		{"an element that is there", operationJSON(kind("add"), onPath("Patient"), part("name", `"valueString":"active"`), part("value", `"valueBoolean":true`)), 422, "is there already"},
		{"a choice that is there", operationJSON(kind("add"), onPath("Patient"), part("name", `"valueString":"deceased"`), part("value", `"valueDateTime":"2020"`)), 422, "is there already"},
		{"an index beyond the end", operationJSON(kind("insert"), onPath("Patient.identifier"), part("index", `"valueInteger":3`), part("value", `"valueIdentifier":{"value":"3"}`)), 422, "beyond the end"},
		{"a move from beyond the end", operationJSON(kind("move"), onPath("Patient.identifier"), part("source", `"valueInteger":2`), part("destination", `"valueInteger":0`)), 422, "beyond the end"},
		{"an insert into no list", operationJSON(kind("insert"), onPath("Patient.active"), part("index", `"valueInteger":0`), value), 422, "name of a list"},
		{"another id", operationJSON(kind("replace"), onPath("Patient.id"), value), 422, "cannot change what resource"},
		{"what is no gender", operationJSON(kind("add"), onPath("Patient"), part("name", `"valueString":"gender"`), value), 422, "would not be valid"},
		{"criteria that are none", operationJSON(kind("delete"), onPath("Patient.name.where(family =)")), 422, "criteria"},
		{"an unknown function", operationJSON(kind("delete"), onPath("Patient.name.repeat(given)")), 400, "the part path"},
		{"an open parenthesis", operationJSON(kind("delete"), onPath("Patient.name.where((family = 'One')")), 400, "the part path"},
		{"two expressions", operationJSON(kind("delete"), onPath("Patient.name | Patient.active")), 400, "the part path"},
		{"no type", operationJSON(onPath("Patient")), 400, "the part type"},
		{"no path", operationJSON(kind("delete")), 400, "needs the part path"},
		{"no value", operationJSON(kind("replace"), onPath("Patient.active")), 400, "needs the part value"},
		{"a value of another element", operationJSON(kind("add"), onPath("Patient"), part("name", `"valueString":"contact"`), `"name":"value","part":[{"name":"colour","valueString":"red"}]`), 400, "no value that this element"},
		{"two paths", operationJSON(kind("delete"), onPath("Patient.name"), onPath("Patient.active")), 400, "once only"},
		{"a negative index", operationJSON(kind("insert"), onPath("Patient.identifier"), part("index", `"valueInteger":-1`), value), 400, "from 0"},
		{"another parameter", `{"name":"change","valueString":"x"}`, 400, "named operation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.do("placer", "PATCH", "/fhir/Patient/p", parametersJSON(operationJSON(kind("delete"), onPath("Patient.birthDate")), c.operation))
			if got.status != c.status || !strings.Contains(got.node.Text("issue", "details", "text"), c.says) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	if after := r.get("/fhir/Patient/p"); after.body != before.body {
		t.Errorf("it became %s", after.body)
	}
	r.do("placer", "PATCH", "/fhir/Patient/p", pathPatient).want(t, http.StatusBadRequest, "structure")
	many := strings.Repeat(operationJSON(kind("delete"), onPath("Patient.telecom"))+",", maxPathOperations)
	r.do("placer", "PATCH", "/fhir/Patient/p", parametersJSON(many+operationJSON(kind("delete"), onPath("Patient.telecom")))).want(t, http.StatusRequestEntityTooLarge, "too-long")
}

// 100 operations that each look through 2,000 elements: it ends soon, with
// nothing done, and what it held is free again.
func TestThePathsOfAPatchMayLookAtSoManyElementsOnly(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	identifiers := strings.Repeat(`{"system":"urn:a","value":"1"},`, 2000)
	before := r.put("/fhir/Patient/p", `{"resourceType":"Patient","id":"p","identifier":[`+identifiers+`{"value":"2"}]}`)
	if before.status != http.StatusCreated {
		t.Fatal(before.status, before.body)
	}
	operations := make([]string, maxPathOperations)
	for i := range operations {
		operations[i] = operationJSON(kind("delete"), onPath("Patient.identifier.where(value = '3')"))
	}
	got := r.do("placer", "PATCH", "/fhir/Patient/p", parametersJSON(operations...))
	if got.want(t, http.StatusUnprocessableEntity, "business-rule"); !strings.Contains(got.body, "too many elements, or take too long") {
		t.Error(got.body)
	}
	one := operationJSON(kind("delete"), onPath("Patient.identifier.where(value = '2')"))
	if got := r.do("placer", "PATCH", "/fhir/Patient/p", parametersJSON(one)); got.status != http.StatusOK {
		t.Errorf("a patch of one operation: %d %s", got.status, got.body)
	}
}

func TestAnAllowanceEndsWithItsElementsItsTimeAndItsRequest(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(context.Background())
	a := newAllowance(ctx)
	if left, err := a.next(); err != nil || left != criteriaTime {
		t.Errorf("the first element: %s, %v", left, err)
	}
	a.left = 0
	if _, err := a.next(); !errors.Is(err, errSpent) {
		t.Errorf("no elements left: %v", err)
	}
	a.left, a.until = 10, time.Now().Add(-time.Second)
	if _, err := a.next(); !errors.Is(err, errSpent) {
		t.Errorf("no time left: %v", err)
	}
	a.until = time.Now().Add(time.Hour)
	leave()
	if _, err := a.next(); !errors.Is(err, context.Canceled) {
		t.Errorf("the client has gone: %v", err)
	}
}
