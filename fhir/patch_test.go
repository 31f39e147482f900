package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

func (r *rest) patch(path, operations string, header ...string) response {
	r.t.Helper()
	return r.do(access.Placer, "PATCH", path, operations, append([]string{"Content-Type", "application/json-patch+json"}, header...)...)
}

const weight = `{"resourceType":"Observation","id":"w","meta":{"tag":[{"code":"x"}]},"status":"final","code":{"text":"weight <b> & \u00e9"},"valueQuantity":{"value":1.50,"unit":"kg"},"referenceRange":[{"low":{"value":1.0E+1}},{"low":{"value":3}}]}`

func TestAPatchChangesWhatItNamesAndKeepsTheRestAsWritten(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	before := r.put("/fhir/Observation/w", weight)
	got := r.patch("/fhir/Observation/w", `[
		{"op":"test","path":"/status","value":"final"},
		{"op":"test","path":"/meta/versionId","value":"1"},
		{"op":"replace","path":"/status","value":"amended"},
		{"op":"add","path":"/referenceRange/1","value":{"low":{"value":2.50}}},
		{"op":"remove","path":"/referenceRange/0"},
		{"op":"move","from":"/referenceRange/1","path":"/referenceRange/0"},
		{"op":"copy","from":"/code/text","path":"/code/coding","value":0},
		{"op":"remove","path":"/code/coding"},
		{"op":"add","path":"/note","value":[{"text":"a/b~c"}]},
		{"op":"add","path":"/note/-","value":{"text":"last"}}]`, "If-Match", `W/"1"`)
	if got.status != http.StatusOK || got.header.Get("ETag") != `W/"2"` {
		t.Fatal(got.status, got.body)
	}
	want := before.body
	for _, each := range [][2]string{
		{`"versionId":"1"`, `"versionId":"2"`},
		{before.node.Text("meta", "lastUpdated"), got.node.Text("meta", "lastUpdated")},
		{`"final"`, `"amended"`},
		{`[{"low":{"value":1.0E+1}},{"low":{"value":3}}]`, `[{"low":{"value":3}},{"low":{"value":2.50}}],"note":[{"text":"a/b~c"},{"text":"last"}]`},
	} {
		want = strings.Replace(want, each[0], each[1], 1)
	}
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Error(diff)
	}
	if read := r.get("/fhir/Observation/w"); read.body != got.body {
		t.Errorf("read back: %s", read.body)
	}
	if got := r.patch("/fhir/Observation?status=amended", `[{"op":"replace","path":"/status","value":"corrected"}]`, "Prefer", "return=minimal"); got.status != http.StatusOK || got.body != "" {
		t.Errorf("conditional: %d %s", got.status, got.body)
	}
	if got := r.get("/fhir/Observation?status=corrected"); len(got.ids()) != 1 {
		t.Errorf("not found by what was patched: %s", got.body)
	}
}

func TestAPatchThatCannotBeDoneChangesNothing(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.put("/fhir/Observation/w", weight)
	r.put("/fhir/Observation/w2", strings.Replace(weight, `"w"`, `"w2"`, 1))
	r.put("/fhir/Organization/gone", `{"resourceType":"Organization","id":"gone","name":"Gone"}`)
	r.remove("/fhir/Organization/gone")
	big := strings.Repeat(`{"op":"test","path":"/status","value":"final"},`, maxPatchOperations)
	cases := []struct {
		name, path, patch string
		header            []string
		status            int
		code, says        string
	}{
		{"a test that does not hold", "Observation/w", `[{"op":"replace","path":"/status","value":"amended"},{"op":"test","path":"/status","value":"final"}]`, nil, 422, "business-rule", "operation 1 of the patch fails: the test does not hold"},
		{"a path to nothing", "Observation/w", `[{"op":"remove","path":"/note/0"}]`, nil, 422, "business-rule", "operation 0"},
		{"an index beyond the end", "Observation/w", `[{"op":"add","path":"/referenceRange/9","value":{}}]`, nil, 422, "business-rule", "operation 0"},
		{"an index from the end", "Observation/w", `[{"op":"remove","path":"/referenceRange/-1"}]`, nil, 422, "business-rule", "operation 0"},
		{"another id", "Observation/w", `[{"op":"replace","path":"/id","value":"x"}]`, nil, 422, "business-rule", "cannot change what resource"},
		{"no id", "Observation/w", `[{"op":"remove","path":"/id"}]`, nil, 422, "business-rule", "cannot change what resource"},
		{"another type", "Observation/w", `[{"op":"replace","path":"/resourceType","value":"Patient"}]`, nil, 422, "business-rule", "cannot change what resource"},
		{"another version", "Observation/w", `[{"op":"replace","path":"/meta/versionId","value":"7"}]`, nil, 422, "business-rule", "the version is counted here"},
		{"what is no status", "Observation/w", `[{"op":"replace","path":"/status","value":"sleeping"}]`, nil, 422, "business-rule", "would not be valid"},
		{"what is no element", "Observation/w", `[{"op":"add","path":"/colour","value":"red"}]`, nil, 422, "business-rule", "would not be valid"},
		{"an empty object", "Observation/w", `[{"op":"add","path":"/subject","value":{}}]`, nil, 422, "business-rule", "would not be valid"},
		{"a lost reference", "Observation/w", `[{"op":"add","path":"/subject","value":{"reference":"Patient/none"}}]`, nil, 422, "business-rule", "no such resource"},
		{"no array", "Observation/w", `{"op":"remove","path":"/status"}`, nil, 400, "structure", "array of operations"},
		{"no JSON", "Observation/w", `hello`, nil, 400, "structure", "array of operations"},
		{"an unknown operation", "Observation/w", `[{"op":"increment","path":"/status"}]`, nil, 400, "structure", "operation 0 of the patch: op must be"},
		{"no path", "Observation/w", `[{"op":"remove"}]`, nil, 400, "structure", "remove needs path"},
		{"no value", "Observation/w", `[{"op":"add","path":"/status"}]`, nil, 400, "structure", "add needs value"},
		{"no pointer", "Observation/w", `[{"op":"remove","path":"status"}]`, nil, 400, "structure", "JSON Pointer"},
		{"the whole resource", "Observation/w", `[{"op":"replace","path":"","value":{}}]`, nil, 400, "structure", "JSON Pointer"},
		{"too many operations", "Observation/w", "[" + big + `{"op":"remove","path":"/note"}]`, nil, 413, "too-long", "operations"},
		{"another version expected", "Observation/w", `[]`, []string{"If-Match", `W/"9"`}, 412, "conflict", "version 9"},
		{"nothing there", "Observation/none", `[]`, nil, 404, "not-found", ""},
		{"deleted", "Organization/gone", `[]`, nil, 410, "deleted", ""},
		{"nobody meets the condition", "Observation?status=amended", `[]`, nil, 404, "not-found", ""},
		{"two meet the condition", "Observation?status=final", `[]`, nil, 412, "multiple-matches", ""},
		{"no condition", "Observation", `[]`, nil, 400, "value", ""},
	}
	before := r.get("/fhir/Observation/w").body
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := r.patch("/fhir/"+c.path, c.patch, c.header...)
			got.want(t, c.status, c.code)
			if !strings.Contains(got.node.Text("issue", "details", "text"), c.says) {
				t.Errorf("it says: %s", got.body)
			}
		})
	}
	if after := r.get("/fhir/Observation/w").body; after != before {
		t.Errorf("it became %s", after)
	}
	r.do(access.Reader, "PATCH", "/fhir/Observation/w", `[]`, "Content-Type", "application/json-patch+json").want(t, http.StatusForbidden, "forbidden")
}

// FHIR R4 http.html#patch: the narrative must not become unsafe.
func TestAPatchDoesNotLeaveANarrativeThatSaysSomethingElse(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	div := `"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">1.50 kg</div>"`
	text := func(status string) string {
		return strings.Replace(weight, `"status":"final"`, `"text":{"status":"`+status+`",`+div+`},"status":"final"`, 1)
	}
	change := `{"op":"replace","path":"/valueQuantity/value","value":2}`
	for _, c := range []struct {
		name, status, patch string
		want                int
		kept                bool
	}{
		{"generated", "generated", "[" + change + "]", 200, false},
		{"generated with extensions", "extensions", "[" + change + "]", 200, false},
		{"nothing but meta", "generated", `[{"op":"add","path":"/meta/tag/-","value":{"code":"y"}}]`, 200, true},
		{"written by somebody", "additional", "[" + change + "]", 422, true},
		{"patched too", "additional", "[" + change + `,{"op":"replace","path":"/text","value":{"status":"additional",` + strings.Replace(div, "1.50", "2", 1) + `}}]`, 200, true},
		{"empty", "empty", "[" + change + "]", 200, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.put("/fhir/Observation/w", text(c.status))
			got := r.patch("/fhir/Observation/w", c.patch)
			if got.status != c.want || (r.get("/fhir/Observation/w").node.Get("text") != nil) != c.kept {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

// What holds for an update holds for a patch: hooks, ownership, the case's rules.
func TestAPatchOfACaseKeepsItsRules(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "patch")...)
	c.tick()
	c.patch("/fhir/Task/"+id, `[{"op":"replace","path":"/status","value":"completed"}]`).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.patch("/fhir/Task/"+id, `[{"op":"replace","path":"/intent","value":"plan"}]`).want(t, http.StatusUnprocessableEntity, "business-rule")
	if got := c.patch("/fhir/Task/"+id, `[{"op":"replace","path":"/status","value":"on-hold"}]`); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	c.wantState(id, "on-hold")
	focus := c.task(id).Text("focus", "reference")
	c.patch("/fhir/"+focus, `[{"op":"remove","path":"/identifier"}]`).want(t, http.StatusUnprocessableEntity, "business-rule")
	if got := c.patch("/fhir/"+focus, `[{"op":"replace","path":"/status","value":"revoked"}]`); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	c.wantState(id, "cancelled")

	report := c.report(c.signed("owned"))
	c.patch("/fhir/DiagnosticReport/"+report.Text("id"), `[{"op":"replace","path":"/conclusion","value":"fine"}]`).want(t, http.StatusForbidden, "forbidden")
	c.patch("/fhir/"+report.Text("resultsInterpreter", "reference"), `[{"op":"add","path":"/language","value":"fr"}]`).want(t, http.StatusForbidden, "forbidden")
}
