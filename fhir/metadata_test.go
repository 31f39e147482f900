package fhir

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

func TestTheCapabilityStatementIsValidAndTellsTheTable(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.do("", "GET", "/fhir/metadata", "")
	if _, err := Decode([]byte(got.body), "CapabilityStatement"); err != nil {
		t.Errorf("%+v", err)
	}
	var types []string
	for _, n := range got.node.Each("rest", "resource", "type") {
		types = append(types, n.Text())
	}
	if diff := cmp.Diff(r.server.typeNames, types); diff != "" {
		t.Error(diff)
	}
}

func TestTheCapabilityStatementHasAnETagAndIsAResourceLikeOthers(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.do("", "GET", "/fhir/metadata", "")
	etag := got.header.Get("ETag")
	if same := r.do("", "GET", "/fhir/metadata", "", "If-None-Match", etag); etag == "" || same.status != http.StatusNotModified || same.body != "" {
		t.Errorf("the same again: %d %s", same.status, same.body)
	}
	if other := r.do("", "GET", "/fhir/metadata", "", "If-None-Match", `W/"x"`); other.status != http.StatusOK {
		t.Errorf("another: %d", other.status)
	}
	other := startREST(t, func(s *Server) { s.baseURL, s.version = r.server.baseURL, "2" })
	if changed := other.do("", "GET", "/fhir/metadata", ""); changed.header.Get("ETag") == etag {
		t.Error("another version has the same ETag")
	}
	if read := r.get("/fhir/CapabilityStatement/" + statementID); read.body != got.body {
		t.Errorf("read by its id it is %s", read.body)
	}
	if found := r.get("/fhir/CapabilityStatement?url=" + url.QueryEscape(got.node.Text("url"))); len(found.ids()) != 1 {
		t.Errorf("by its URL: %s", found.body)
	}
}

func TestOnlyTheFullCapabilityStatementIsServed(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	if got := r.do("", "GET", "/fhir/metadata?mode=full", ""); got.status != http.StatusOK {
		t.Error(got.status, got.body)
	}
	for _, mode := range []string{"normative", "terminology", "x"} {
		r.do("", "GET", "/fhir/metadata?mode="+mode, "").want(t, http.StatusBadRequest, "not-supported")
	}
}

// attempt is a request for an interaction, with what must be there for it.
type attempt struct {
	method, path, body string
	header             []string
	wants              []int // statuses
}

// attemptsOf are the requests that show that a type has an interaction. id is
// of a resource of it that is there.
func attemptsOf(code, typ, id string) []attempt {
	e := exampleOf(typ)
	patch := `[{"op":"add","path":"/language","value":"en"}]`
	patchType := []string{"Content-Type", "application/json-patch+json"}
	condition := "?_id=" + id
	return map[string][]attempt{
		"read":             {{"GET", typ + "/" + id, "", nil, []int{200}}},
		"vread":            {{"GET", typ + "/" + id + "/_history/1", "", nil, []int{200}}},
		"search-type":      {{"GET", typ, "", nil, []int{200}}, {"POST", typ + "/_search", "_count=1", []string{"Content-Type", "application/x-www-form-urlencoded"}, []int{200}}},
		"create":           {{"POST", typ, e.body, nil, []int{201}}},
		"update":           {{"PUT", typ + "/" + id, e.withID(id), nil, []int{200}}, {"PUT", typ + condition, e.withID(id), nil, []int{200}}},
		"patch":            {{"PATCH", typ + "/" + id, patch, patchType, []int{200}}, {"PATCH", typ + condition, patch, patchType, []int{200}}},
		"history-instance": {{"GET", typ + "/" + id + "/_history", "", nil, []int{200}}},
		"history-type":     {{"GET", typ + "/_history", "", nil, []int{200}}},
		"delete":           {{"DELETE", typ + condition, "", nil, []int{200, 204}}, {"DELETE", typ + "/" + id, "", nil, []int{200, 204}}},
	}[code]
}

// TestTheCapabilityStatementCannotLie does everything that it says, and asks
// for everything that it does not say, which must be refused.
func TestTheCapabilityStatementCannotLie(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	statement := r.do("", "GET", "/fhir/metadata", "").node
	for _, row := range statement.Each("rest", "resource") {
		t.Run(row.Text("type"), func(t *testing.T) {
			t.Parallel()
			c := *r
			c.t = t
			c.doesWhatIsSaidOf(t, row)
		})
	}
}

// codesOfTypes are the interactions with a type, in an order in which each
// leaves what the next one needs.
var codesOfTypes = []string{"read", "vread", "search-type", "create", "update", "patch", "history-instance", "history-type", "delete"}

func (r *rest) doesWhatIsSaidOf(t *testing.T, row *Node) {
	typ := row.Text("type")
	said := map[string]bool{}
	for _, i := range row.Each("interaction") {
		said[i.Text("code")] = true
		if !slices.Contains(codesOfTypes, i.Text("code")) {
			t.Errorf("the test does not know the interaction %s", i.Text("code"))
		}
	}
	id := r.oneOf(t, typ, said)
	for _, code := range codesOfTypes {
		for _, a := range attemptsOf(code, typ, id) {
			got := r.do(r.allowed(a), a.method, "/fhir/"+a.path, a.body, a.header...)
			switch {
			case said[code] && id != "" && !slices.Contains(a.wants, got.status):
				t.Errorf("%s is said, but %s %s: %d %s", code, a.method, a.path, got.status, got.body)
			case !said[code] && got.status < 400:
				t.Errorf("%s is not said, but %s %s: %d", code, a.method, a.path, got.status)
			}
		}
	}
	r.searchesAsSaid(t, typ, row)
	r.operatesAsSaid(t, typ, row)
}

// oneOf is the id of a resource of the type that is there: created now, or part
// of the program; "" where the type has neither.
func (r *rest) oneOf(t *testing.T, typ string, said map[string]bool) string {
	t.Helper()
	if said["create"] {
		if exampleOf(typ).body == "" {
			t.Fatalf("example.go has no body for %s", typ)
		}
		return r.mustCreate(typ, exampleOf(typ).body)
	}
	as := access.Director
	if typ == auditEventType {
		as = r.allowed(attempt{path: typ})
		r.do(as, "GET", "/fhir/"+typ, "") // what an auditor asks is told of, to auditors too
		if err := r.server.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ids := r.do(as, "GET", "/fhir/"+typ, "").ids()
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}

// allowed is a role that may do this, the placer where it is one of them.
func (r *rest) allowed(a attempt) access.Role {
	path, _, _ := strings.Cut(a.path, "?")
	if strings.HasPrefix(path, "AuditEvent") {
		return access.Auditor
	}
	return access.Placer
}

func (r *rest) searchesAsSaid(t *testing.T, typ string, row *Node) {
	for _, p := range row.Each("searchParam") {
		param, ok := r.server.resources[typ].param(p.Text("name"))
		if !ok {
			param = searchParam{name: p.Text("name"), kind: p.Text("type")}
		}
		got := r.do(r.allowed(attempt{path: typ}), "GET", "/fhir/"+typ+"?"+param.name+"="+url.QueryEscape(plausible(param)), "")
		if got.status != http.StatusOK {
			t.Errorf("%s?%s=%s: %d %s", typ, param.name, plausible(param), got.status, got.body)
		}
		if self := got.node.Each("link"); len(self) == 0 || !strings.Contains(self[0].Text("url"), param.name+"=") {
			t.Errorf("%s?%s= was not used: %s", typ, param.name, got.body)
		}
	}
	r.do(r.allowed(attempt{path: typ}), "GET", "/fhir/"+typ+"?no-such-parameter=1", "").want(t, http.StatusBadRequest, "not-supported")
	for name, rows := range map[string][]*Node{"_include": row.Each("searchInclude"), "_revinclude": row.Each("searchRevInclude")} {
		for _, include := range rows {
			as := r.allowed(attempt{path: typ})
			if typ == auditEventType || strings.HasPrefix(include.Text(), auditEventType) { // who may read both ends
				as = access.Director
			}
			if got := r.do(as, "GET", "/fhir/"+typ+"?"+name+"="+url.QueryEscape(include.Text()), ""); got.status != http.StatusOK {
				t.Errorf("%s?%s=%s: %d %s", typ, name, include.Text(), got.status, got.body)
			}
		}
	}
}

// operatesAsSaid calls every operation of a type, with nothing to work on: what
// is there refuses that in its own words, what is not answers that it is not.
func (r *rest) operatesAsSaid(t *testing.T, typ string, row *Node) {
	for _, o := range row.Each("operation") {
		id := strings.TrimPrefix(o.Text("definition"), Canonical+"/OperationDefinition/")
		definition := r.get("/fhir/OperationDefinition/" + id).node
		if definition.Text("code") != o.Text("name") {
			t.Errorf("$%s: its definition %s is not served", o.Text("name"), o.Text("definition"))
			continue
		}
		for level, path := range map[string]string{"type": typ + "/$", "instance": typ + "/none/$"} {
			got := r.post("/fhir/"+path+o.Text("name"), "")
			unknown := got.status == http.StatusMethodNotAllowed || got.status >= 500 || strings.Contains(got.body, "no operation of this name")
			if definition.Text(level) == "true" && unknown {
				t.Errorf("$%s is said, but %s%s: %d %s", o.Text("name"), path, o.Text("name"), got.status, got.body)
			}
		}
	}
	got := r.post("/fhir/"+typ+"/none/$no-such-operation", "")
	if got.status < 400 || got.status >= 500 {
		t.Errorf("an operation that nobody said: %d", got.status)
	}
}

func TestTheCapabilityStatementDoesNotLieOfTheSystem(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	rest := r.do("", "GET", "/fhir/metadata", "").node.Each("rest")[0]
	said := map[string]bool{}
	for _, i := range rest.Each("interaction") {
		said[i.Text("code")] = true
	}
	bundle := func(typ string) string {
		return `{"resourceType":"Bundle","type":"` + typ + `","entry":[{"request":{"method":"POST","url":"Patient"},"resource":` + exampleOf("Patient").body + `}]}`
	}
	for code, a := range map[string]attempt{
		"transaction":    {"POST", "", bundle("transaction"), nil, []int{200}},
		"batch":          {"POST", "", bundle("batch"), nil, []int{200}},
		"history-system": {"GET", "/_history", "", nil, []int{200}},
		"search-system":  {"GET", "?_type=Patient,Task", "", nil, []int{200}},
	} {
		got := r.do(access.Placer, a.method, "/fhir"+a.path, a.body)
		if ok := slices.Contains(a.wants, got.status); ok != said[code] {
			t.Errorf("%s is said: %v; %s /fhir%s: %d %s", code, said[code], a.method, a.path, got.status, got.body)
		}
		delete(said, code)
	}
	if len(said) > 0 {
		t.Errorf("the test does not know %v", slices.Collect(maps.Keys(said)))
	}
	for _, o := range rest.Each("operation") {
		if got := r.post("/fhir/$"+o.Text("name"), ""); got.status == http.StatusMethodNotAllowed || got.status >= 500 || strings.Contains(got.body, "is served at this address") {
			t.Errorf("$%s: %d %s", o.Text("name"), got.status, got.body)
		}
	}
}
