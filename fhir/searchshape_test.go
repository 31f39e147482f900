package fhir

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// ward is a server with resources that refer to each other, by name.
type ward struct {
	*rest
	names map[string]string // reference -> name
	ids   map[string]string // name -> id
}

func startWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{rest: startREST(t), names: map[string]string{}, ids: map[string]string{}}
	w.add("region", "Organization", `"name":"Region"`)
	w.add("hospital", "Organization", `"name":"North Hospital","partOf":{"reference":"Organization/{region}"}`)
	w.add("gp", "Practitioner", `"name":[{"family":"Good"}]`)
	w.add("radiologist", "Practitioner", `"name":[{"family":"Ray"}],"identifier":[{"system":"urn:npi","value":"7"}]`)
	w.add("zoe", "Patient", `"identifier":[{"system":"urn:mrn","value":"1"}],"name":[{"family":"Zoll"}],"birthDate":"1970-05-02","gender":"female",
		"managingOrganization":{"reference":"Organization/{hospital}"},"generalPractitioner":[{"reference":"Practitioner/{gp}"}]`)
	w.add("max", "Patient", `"identifier":[{"system":"urn:mrn","value":"2"}],"name":[{"family":"Adler"},{"family":"Zz"}],"birthDate":"1990",
		"managingOrganization":{"reference":"Organization/{region}"}`)
	w.add("nobody", "Patient", `"active":false`)
	w.add("study", "ImagingStudy", `"status":"available","subject":{"reference":"Patient/{zoe}"},"started":"2026-02-01T08:30:00Z",
		"interpreter":[{"reference":"Practitioner/{radiologist}"}]`)
	w.add("order", "ServiceRequest", `"status":"active","intent":"order","priority":"stat","authoredOn":"2026-02-01","subject":{"reference":"Patient/{zoe}"},
		"requester":{"reference":"Practitioner/{gp}"},"code":{"coding":[{"system":"http://loinc.org","code":"24627-2"}]}`)
	w.add("later", "ServiceRequest", `"status":"active","intent":"order","priority":"urgent","authoredOn":"2026-03-01","subject":{"reference":"Patient/{max}"},
		"code":{"coding":[{"system":"http://loinc.org","code":"30799-1"}]},"basedOn":[{"reference":"ServiceRequest/{order}"}]`)
	w.add("undated", "ServiceRequest", `"status":"draft","intent":"plan","subject":{"reference":"Patient/{max}"}`)
	w.add("bone", "Observation", `"status":"final","code":{"coding":[{"code":"bone"}]},"subject":{"reference":"Patient/{zoe}"},"effectiveDateTime":"2026-02-02","performer":[{"reference":"Practitioner/{radiologist}"}]`)
	w.add("lung", "Observation", `"status":"preliminary","code":{"coding":[{"code":"lung"}]},"subject":{"reference":"Patient/{max}"},"effectiveDateTime":"2026-02-03"`)
	w.add("report", "DiagnosticReport", `"status":"final","code":{"text":"CT"},"subject":{"reference":"Patient/{zoe}"},"basedOn":[{"reference":"ServiceRequest/{order}"}],
		"result":[{"reference":"Observation/{bone}"}],"imagingStudy":[{"reference":"ImagingStudy/{study}"}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">CT</div>"},
		"conclusion":"fine","effectiveDateTime":"2026-02-02"`)
	return w
}

func (w *ward) add(name, typ, members string) {
	w.t.Helper()
	id := w.mustCreate(typ, w.fill(`{"resourceType":"`+typ+`",`+members+`}`))
	w.ids[name], w.names[typ+"/"+id] = id, name
}

// fill puts ids in the place of {names}.
func (w *ward) fill(text string) string {
	for name, id := range w.ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	return text
}

// finds are the names on a page by their mode: "zoe max +hospital" where + is
// included, and ! for an outcome.
func (w *ward) finds(answer response) string {
	var names []string
	for _, e := range answer.node.Each("entry") {
		name := w.names[e.Text("resource", "resourceType")+"/"+e.Text("resource", "id")]
		switch e.Text("search", "mode") {
		case "match":
		case "include":
			name = "+" + name
		case "outcome":
			name = "!"
		default:
			name = "?" + name
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// link is the address of a link of a page, below the server.
func (a response) link(relation string) string {
	for _, l := range a.node.Each("link") {
		if l.Text("relation") == relation {
			return l.Text("url")
		}
	}
	return ""
}

type finding struct{ question, want string }

func (w *ward) check(as access.Role, findings []finding) {
	w.t.Helper()
	for _, f := range findings {
		got := w.do(as, "GET", "/fhir"+w.fill(f.question), "")
		if found := w.finds(got); got.status != http.StatusOK || found != f.want {
			w.t.Errorf("%s finds %q, want %q (%d %.300s)", f.question, found, f.want, got.status, got.body)
			continue
		}
		self := strings.TrimPrefix(got.link("self"), w.url)
		if again := w.do(as, "GET", self, ""); again.body != got.body {
			w.t.Errorf("%s: its self link %s answers something else", f.question, self)
		}
	}
}

// refusal is a question, the code of its refusal and a part of its text.
type refusal struct{ question, code, says string }

func (w *ward) refuses(as access.Role, refusals []refusal) {
	w.t.Helper()
	for _, f := range refusals {
		got := w.do(as, "GET", "/fhir"+w.fill(f.question), "")
		if text := got.node.Text("issue", "details", "text"); got.status < 400 || got.status >= 500 || got.node.Text("issue", "code") != f.code || !strings.Contains(text, f.says) {
			w.t.Errorf("%s is answered %d %.300s, want %s with %q", f.question, got.status, got.body, f.code, f.says)
		}
	}
}

// FHIR R4 search.html#chaining and #has.
func TestChainsGoOverReferencesInBothDirections(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.check(access.Placer, []finding{
		{"/ServiceRequest?subject:Patient.family=zoll", "order"},
		{"/ServiceRequest?subject:Patient.family=adler", "undated later"},
		{"/ServiceRequest?patient.identifier=urn:mrn|1", "order"},
		{"/ServiceRequest?patient.birthdate=1990&status=draft", "undated"},
		{"/ServiceRequest?patient.family:exact=Zoll", "order"},
		{"/ServiceRequest?patient._id={zoe}", "order"},
		{"/ServiceRequest?patient.organization.name=north", "order"},
		{"/ServiceRequest?patient.organization.name=r", "undated later"},
		{"/ServiceRequest?patient.organization.partof.name=region", "order"},
		{"/ServiceRequest?patient.family=zoll,adler", "undated later order"},
		{"/ServiceRequest?patient.family=zoll&patient.family=adler", ""},
		{"/ServiceRequest?patient.family=adler&patient.birthdate=1990", "undated later"},
		{"/ServiceRequest?based-on.patient.family=zoll", "later"},
		{"/ServiceRequest?based-on.based-on.based-on.status=active", ""},
		{"/DiagnosticReport?result.code=bone", "report"},
		{"/DiagnosticReport?result.code=lung", ""},
		{"/Patient?general-practitioner:Practitioner.family=good", "zoe"},

		{"/Patient?_has:Observation:patient:code=bone", "zoe"},
		{"/Patient?_has:Observation:subject:code=bone,lung", "max zoe"},
		{"/Patient?_has:Observation:patient:code=bone&_has:Observation:patient:code=lung", ""},
		{"/Patient?_has:ServiceRequest:patient:requester:Practitioner.family=good", "zoe"},
		{"/Practitioner?_has:ServiceRequest:requester:patient.family=zoll", "gp"},
		{"/Organization?_has:Patient:organization:_has:Observation:patient:code=bone", "hospital"},
		{"/Organization?_has:Patient:organization:_has:Observation:patient:performer:Practitioner.identifier=7", "hospital"},
		{"/ServiceRequest?patient._has:Observation:patient:code=lung", "undated later"},
		{"/Organization?_has:Patient:organization:birthdate=gt1980", "region"},
	})
	w.refuses(access.Placer, []refusal{
		{"/ServiceRequest?subject.name=x", "value", "subject:"},
		{"/ServiceRequest?subject:Group.colour=x", "not-supported", "Group cannot search by the search parameter colour"},
		{"/ServiceRequest?subject:Practitioner.name=x", "value", "does not lead"},
		{"/ServiceRequest?patient.colour=x", "not-supported", "Patient cannot search by"},
		{"/ServiceRequest?colour.name=x", "not-supported", "ServiceRequest cannot search by"},
		{"/ServiceRequest?status.name=x", "not-supported", "no reference"},
		{"/ServiceRequest?patient.birthdate=yesterday", "value", ""},
		{"/ServiceRequest?based-on.based-on.based-on.based-on.status=active", "not-supported", "3 references"},
		{"/Patient?_has:Observation:patient", "value", "_has:Type"},
		{"/Patient?_has:Colour:patient:code=x", "not-supported", "_has"},
		{"/Patient?_has:Observation:code:code=x", "not-supported", "reference parameter"},
		{"/Patient?_has:Observation:encounter:code=x", "value", "never leads"},
		{"/Patient?_has:Observation:patient:colour=x", "not-supported", "Observation cannot"},
		{"/Patient?_has:Observation:patient:_has:DiagnosticReport:result:_has:Provenance:target:_has:Provenance:entity:agent=x", "not-supported", "3 references"},
		{"/Patient?_has:Observation:patient:code=", "value", "no value"},
		{"/Patient?_id=1" + strings.Repeat("&_has:Observation:patient:code=x", 21), "not-supported", "20 chains"},
	})
	got := w.get("/fhir/ServiceRequest?patient.colour=red&status=draft", "Prefer", "handling=lenient")
	if found := w.finds(got); found != "undated !" {
		t.Errorf("a lenient search finds %q", found)
	}
}

// FHIR R4 search.html#revinclude.
func TestIncludesBringWhatIsReferredTo(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.check(access.Placer, []finding{
		{"/ServiceRequest?_include=ServiceRequest:patient", "undated later order +max +zoe"},
		{"/ServiceRequest?_include=ServiceRequest:subject:Patient&status=draft", "undated +max"},
		{"/ServiceRequest?_include=ServiceRequest:subject:Group&status=draft", "undated"},
		{"/ServiceRequest?_include=ServiceRequest:based-on", "undated later order"},
		{"/ServiceRequest?_include=ServiceRequest:based-on&_id={later}", "later +order"},
		{"/ServiceRequest?_include=ServiceRequest:*&_id={order}", "order +zoe +gp"},
		{"/ServiceRequest?_include=*&_id={order}", "order +zoe +gp"},
		{"/ServiceRequest?_include=ServiceRequest:patient&_include=Patient:organization&_id={order}", "order +zoe"},
		{"/ServiceRequest?_include=ServiceRequest:patient&_include:iterate=Patient:organization&_id={order}", "order +zoe +hospital"},
		{"/ServiceRequest?_include=ServiceRequest:patient&_include:iterate=Patient:organization&_include:iterate=Organization:partof&_id={order}", "order +zoe +hospital +region"},
		{"/Patient?_revinclude=Observation:patient&_id={zoe}", "zoe +bone"},
		{"/Patient?_revinclude=Observation:subject:Patient&_id={zoe}", "zoe +bone"},
		{"/Patient?_revinclude=Observation:subject:Group&_id={zoe}", "zoe"},
		{"/Patient?_revinclude=Observation:patient&_revinclude:iterate=DiagnosticReport:result&_id={zoe}", "zoe +bone +report"},
		{"/Patient?_revinclude=*&_id={zoe}", "zoe +report +study +bone +order"},
		{"/Organization?_revinclude:iterate=Organization:partof&_id={region}", "region +hospital"},
		{"/ServiceRequest?_include=Observation:patient&_id={order}", "order"},
		{"/ServiceRequest?_count=1&_include=ServiceRequest:patient", "undated +max"},
	})
	w.refuses(access.Placer, []refusal{
		{"/ServiceRequest?_include:recurse=ServiceRequest:patient", "not-supported", ":iterate"},
		{"/ServiceRequest?_include:exact=ServiceRequest:patient", "not-supported", ":iterate"},
		{"/ServiceRequest?_include=ServiceRequest:colour", "not-supported", "patient"},
		{"/ServiceRequest?_include=ServiceRequest:status", "not-supported", "patient"},
		{"/ServiceRequest?_include=ServiceRequest", "value", "Type:parameter"},
		{"/ServiceRequest?_include=", "value", "Type:parameter"},
		{"/ServiceRequest?_include=:patient", "value", "Type:parameter"},
		{"/ServiceRequest?_include=ServiceRequest:", "value", "Type:parameter"},
		{"/ServiceRequest?_include=ServiceRequest:patient:", "value", "Type:parameter"},
		{"/ServiceRequest?_include=Colour:patient", "not-supported", "type"},
		{"/ServiceRequest?_include=ServiceRequest:patient:Colour", "not-supported", "type"},
		{"/ServiceRequest?_include=ServiceRequest:patient&_summary=text", "value", "_summary=text"},
		{"/ServiceRequest?_id=1" + strings.Repeat("&_include=*", 21), "not-supported", "20 includes"},
	})
}

// What is included is bounded, and it is said that more was left out.
func TestIncludesEndSomewhere(t *testing.T) {
	t.Parallel()
	r := startLibrary(t, maxIncluded+200)
	got := r.get("/fhir/Observation?_count=500&_sort=_id&_include=Observation:patient&_revinclude:iterate=ServiceRequest:patient")
	modes := map[string]int{}
	seen := map[string]bool{}
	for _, e := range got.node.Each("entry") {
		modes[e.Text("search", "mode")]++
		if url := e.Text("fullUrl"); url != "" && seen[url] {
			t.Errorf("%s comes twice", url)
		} else {
			seen[url] = true
		}
	}
	if diff := cmp.Diff(map[string]int{"match": 500, "include": maxIncluded, "outcome": 1}, modes); diff != "" {
		t.Error(diff)
	}
	if text := got.node.Each("entry")[500+maxIncluded].Text("resource", "issue", "code"); text != "incomplete" {
		t.Errorf("the outcome says %q", text)
	}
	chain := ""
	for i := range maxRounds + 3 {
		chain += fmt.Sprintf(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012d","resource":{"resourceType":"Organization","name":"o","partOf":{"reference":"urn:uuid:00000000-0000-4000-8000-%012d"}},"request":{"method":"POST","url":"Organization"}},`, i, i+1)
	}
	chain += fmt.Sprintf(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012d","resource":{"resourceType":"Organization","name":"end"},"request":{"method":"POST","url":"Organization"}}`, maxRounds+3)
	r.expect(http.StatusOK, r.post("/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[`+chain+`]}`))
	got = r.get("/fhir/Organization?name=end&_revinclude:iterate=Organization:partof")
	if n := len(got.node.Each("entry")); n != 1+maxRounds+1 {
		t.Errorf("an endless iteration has %d entries", n)
	}
}

// _total=estimate counts what is little and asks the planner for the rest.
func TestAnEstimateIsNearTheTruth(t *testing.T) {
	t.Parallel()
	r := startLibrary(t, 5000)
	for question, want := range map[string][2]int{
		"ServiceRequest?_total=estimate&_count=1":                       {8000, 12000},
		"ServiceRequest?status=draft&_total=estimate&_count=1":          {1000, 1000},
		"ServiceRequest?_total=accurate&_count=1":                       {10000, 10000},
		"ServiceRequest?_total=estimate&_summary=count":                 {8000, 12000},
		"ServiceRequest?_summary=count":                                 {10000, 10000},
		"?_type=Patient,Observation&_total=estimate&_count=1":           {8000, 12000},
		"ServiceRequest?patient.family=family&_total=estimate&_count=1": {1001, 12000},
	} {
		got, err := strconv.Atoi(r.get("/fhir" + strings.Replace("/"+question, "/?", "?", 1)).node.Text("total"))
		if err != nil || got < want[0] || got > want[1] {
			t.Errorf("%s: %d, want %v", question, got, want)
		}
	}
	if got := r.do(access.Reader, "GET", "/fhir/ServiceRequest?_total=estimate&_count=1", ""); got.node.Text("total") != "10000" {
		t.Errorf("the estimate of a reader is %s", got.node.Text("total"))
	}
}

// What a reader may not learn of a study is not learnt on a detour.
func TestAReaderDoesNotLearnWhoReadAStudyFromTheShapeOfASearch(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	questions := []string{
		"/ImagingStudy?interpreter={radiologist}",
		"/ImagingStudy?interpreter:Practitioner.family=ray",
		"/DiagnosticReport?imaging-study.interpreter={radiologist}",
		"/DiagnosticReport?imaging-study.interpreter:Practitioner.family=ray",
		"/Practitioner?_has:ImagingStudy:interpreter:status=available",
		"/Practitioner?_revinclude=ImagingStudy:interpreter",
		"/ImagingStudy?_include=ImagingStudy:interpreter",
		"/ImagingStudy?_include:iterate=ImagingStudy:interpreter",
	}
	for _, q := range questions {
		if got := w.get("/fhir" + w.fill(q)); got.status != http.StatusOK {
			t.Errorf("the placer is answered %d to %s: %s", got.status, q, got.body)
		}
		for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
			got := w.do(role, "GET", "/fhir"+w.fill(q), "")
			got.want(t, http.StatusForbidden, "forbidden")
		}
	}
	w.check(access.Reader, []finding{
		{"/ImagingStudy?_include=*", "study +zoe"},
		{"/Practitioner?_revinclude=*&_id={radiologist}", "radiologist +bone"},
		{"/Practitioner?_revinclude=ImagingStudy:*&_id={radiologist}", "radiologist"},
	})
	if got := w.do(access.Reader, "GET", w.fill("/fhir/Patient?_revinclude=ImagingStudy:patient&_id={zoe}"), ""); strings.Contains(got.body, w.ids["radiologist"]) || len(got.ids()) != 2 {
		t.Errorf("an included study is not redacted: %s", got.body)
	}
}

// What blinding hides is found by no chain, comes with no include, and is not
// counted.
func TestWhatIsHiddenIsNotSeenThroughChainsIncludesAndTotals(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.hide("DiagnosticReport", w.ids["report"])
	w.hide("Observation", w.ids["bone"])
	asked := []struct{ question, placer, reader string }{
		{"/DiagnosticReport", "report", ""},
		{"/DiagnosticReport?result.code=bone", "report", ""},
		{"/Patient?_has:Observation:patient:code=bone", "zoe", ""},
		{"/Patient?_has:DiagnosticReport:patient:status=final", "zoe", ""},
		{"/Practitioner?_has:Observation:performer:patient.family=zoll", "radiologist", ""},
		{"/ServiceRequest?_has:DiagnosticReport:based-on:status=final", "order", ""},
		{"/Patient?_id={zoe}&_revinclude=Observation:patient", "zoe +bone", "zoe"},
		{"/Patient?_id={zoe}&_revinclude=*", "zoe +report +study +bone +order", "zoe +study +order"},
		{"/ServiceRequest?_id={order}&_revinclude=DiagnosticReport:based-on&_include:iterate=DiagnosticReport:result", "order +report +bone", "order"},
		{"/Patient/{zoe}/Observation", "bone", ""},
		{"?_type=Observation,DiagnosticReport", "report lung bone", "lung"},
	}
	for _, a := range asked {
		w.check(access.Placer, []finding{{a.question, a.placer}})
		w.check(access.Reader, []finding{{a.question, a.reader}})
	}
	for _, total := range []string{"_summary=count", "_count=0", "_total=accurate", "_total=estimate", "_total=estimate&_summary=count"} {
		if got := w.do(access.Reader, "GET", "/fhir/Observation?"+total, ""); got.node.Text("total") != "1" {
			t.Errorf("with %s the reader is told of %s Observations", total, got.node.Text("total"))
		}
	}
}

// FHIR R4 search.html#sort. Without a value is last in both directions.
func TestASearchIsSortedByAnyKeys(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.check(access.Placer, []finding{
		{"/ServiceRequest?_sort=authored", "order later undated"},
		{"/ServiceRequest?_sort=-authored", "later order undated"},
		{"/ServiceRequest?_sort=-priority", "order later undated"},
		{"/ServiceRequest?_sort=priority", "later order undated"},
		{"/ServiceRequest?_sort=status,-authored", "later order undated"},
		{"/ServiceRequest?_sort=-status,authored", "undated order later"},
		{"/ServiceRequest?_sort=code", "order later undated"},
		{"/ServiceRequest?_sort=intent,_id", "order later undated"},
		{"/ServiceRequest?_sort=-intent,-_id", "undated later order"},
		{"/ServiceRequest?_sort=_lastUpdated", "order later undated"},
		{"/ServiceRequest?_sort=-_lastUpdated", "undated later order"},
		{"/Patient?_sort=family", "max zoe nobody"},
		{"/Patient?_sort=-family", "max zoe nobody"}, // Zz is the last of Adler's
		{"/Patient?_sort=birthdate", "zoe max nobody"},
		{"/Patient?_sort=-birthdate", "max zoe nobody"},
		{"/Patient?_sort=gender,-birthdate", "zoe max nobody"},
		{"/Patient?_sort=-birthdate&organization.name=region", "max"},
		{"/Organization?_sort=name", "hospital region"},
		{"/OperationDefinition?_sort=-url&_id=nothing", ""},
	})
	w.refuses(access.Placer, []refusal{
		{"/ServiceRequest?_sort=subject", "not-supported", "authored, code"},
		{"/ServiceRequest?_sort=colour", "not-supported", "authored"},
		{"/ServiceRequest?_sort=", "not-supported", "authored"},
		{"/ServiceRequest?_sort=status,-status", "value", "twice"},
		{"/ServiceRequest?_sort=status&_sort=code", "value", "once"},
		{"/ServiceRequest?_sort:desc=status", "not-supported", "modifier"},
		{"/ServiceRequest?_sort=status,priority,intent,code,authored,occurrence", "not-supported", "5 keys"},
		{"?_type=Patient,ServiceRequest&_sort=birthdate", "not-supported", "ServiceRequest"},
	})
}

// http.html#vsearch, search.html#all
func TestSeveralTypesAndCompartmentsAreSearchedAtOnce(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.check(access.Placer, []finding{
		{"?_type=Patient,Organization", "nobody max zoe hospital region"},
		{"?_type=Patient,Organization&_sort=_id", "region hospital zoe max nobody"},
		{"?_type=Patient,Organization,Patient&_id={zoe},{region}", "zoe region"},
		{"?_type=ServiceRequest,Observation&patient={zoe}", "bone order"},
		{"?_type=ServiceRequest,Observation&patient.family=zoll", "bone order"},
		{"?_type=ServiceRequest,Observation&_include=*&patient={zoe}", "bone order +zoe +radiologist +gp"},
		{"?_id={zoe},{region},{report}", "report zoe region"},
		{"/?_id={zoe}", "zoe"},
		{"/Patient/{zoe}/ServiceRequest", "order"},
		{"/Patient/{zoe}/ServiceRequest?status=draft", ""},
		{"/Patient/{zoe}/Observation?_include=Observation:performer", "bone +radiologist"},
		{"/Patient/{zoe}/*", "report bone order study zoe"},
		{"/Patient/{zoe}/*?_sort=_id", "zoe study order bone report"},
		{"/Patient/{max}/*", "lung undated later max"},
		{"/Patient/{max}/*?_type=Patient,Observation", "lung max"},
		{"/Patient/{zoe}/Patient", "zoe"},
		{"/Practitioner/{gp}/ServiceRequest", "order"},
		{"/Practitioner/{gp}/Patient", "zoe"},
		{"/Practitioner/{radiologist}/*", "bone radiologist"},
		{"/Patient/none/ServiceRequest", ""},
	})
	w.refuses(access.Placer, []refusal{
		{"?_type=Patient,Colour", "not-supported", "_type"},
		{"?_type=", "not-supported", "_type"},
		{"?_type=Patient,ServiceRequest&birthdate=1970", "not-supported", "ServiceRequest cannot search by"},
		{"/Patient?_type=Patient", "not-supported", "several types"},
		{"/Patient/{zoe}/Task", "not-found", "compartment"},
		{"/Patient/{zoe}/Colour", "not-found", "compartment"},
		{"/Organization/{region}/Patient", "not-found", "Practitioner"},
		{"/Patient/{zoe}/Observation?colour=x", "not-supported", "Observation cannot"},
	})
	form := func(path, form string) response {
		return w.post(w.fill(path), w.fill(form), "Content-Type", "application/x-www-form-urlencoded")
	}
	for path, values := range map[string]string{
		"/fhir/_search": "_type=Patient&_id={zoe}", "/fhir/Patient/{zoe}/Patient/_search": "", "/fhir/Patient/_search?_id={zoe}": "family=zoll",
	} {
		got := form(path, values)
		if found := w.finds(got); found != "zoe" {
			t.Errorf("POST %s finds %q: %d %s", path, found, got.status, got.body)
		}
		if self := w.get(strings.TrimPrefix(got.link("self"), w.url)); self.body != got.body {
			t.Errorf("POST %s has the self link %s, which answers %s", path, got.link("self"), self.body)
		}
	}
}

func TestAPageOfSeveralTypesGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	for _, sort := range []string{"-_id", "_id", "_lastUpdated", "-_lastUpdated"} {
		question := "?_type=Patient,Organization,Observation,ServiceRequest&_sort=" + sort
		want := w.finds(w.get("/fhir" + question))
		var got []string
		for next := "/fhir" + question + "&_count=3"; next != ""; {
			page := w.get(next)
			got = append(got, strings.Fields(w.finds(page))...)
			next = strings.TrimPrefix(page.link("next"), w.url)
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", sort, diff)
		}
	}
	w.put("/fhir/Patient/same", `{"resourceType":"Patient","id":"same"}`)
	w.put("/fhir/Organization/same", `{"resourceType":"Organization","id":"same","name":"x"}`)
	var got []string
	for next := "/fhir?_id=same&_count=1&_sort=-_id"; next != ""; {
		page := w.get(next)
		for _, e := range page.node.Each("entry", "fullUrl") {
			got = append(got, strings.TrimPrefix(e.Text(), w.url+"/fhir/"))
		}
		next = strings.TrimPrefix(page.link("next"), w.url)
	}
	if diff := cmp.Diff([]string{"Organization/same", "Patient/same"}, got); diff != "" {
		t.Errorf("two types with the same id: %s", diff)
	}
}

// FHIR R4 search.html#total: a total is told where it is known or asked for.
func TestATotalIsToldWhereItIsKnownOrAskedFor(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	for question, total := range map[string]string{
		"Patient":                                   "3",
		"Patient?_total=none":                       "3",
		"Patient?_count=1":                          "",
		"Patient?_count=1&_total=none":              "",
		"Patient?_count=1&_total=accurate":          "3",
		"Patient?_count=1&_total=estimate":          "3",
		"Patient?_summary=count":                    "3",
		"Patient?_count=0":                          "3",
		"Patient?family=zoll&_summary=count":        "1",
		"ServiceRequest?_include=*&_total=accurate": "3",
		"Patient?_count=0&_count=0&_total=none":     "refused",
	} {
		got := w.get("/fhir/" + question)
		if total == "refused" {
			got.want(t, http.StatusBadRequest, "value")
			continue
		}
		if got.node.Text("total") != total {
			t.Errorf("%s has the total %q, want %q", question, got.node.Text("total"), total)
		}
		for next := got.link("next"); next != ""; {
			page := w.get(strings.TrimPrefix(next, w.url))
			if page.node.Text("total") != total {
				t.Errorf("a page of %s has the total %q, want %q", question, page.node.Text("total"), total)
			}
			next = page.link("next")
		}
	}
	w.refuses(access.Placer, []refusal{
		{"/Patient?_total=exact", "value", "accurate"},
		{"/Patient?_summary=most", "value", "true, text"},
		{"/Patient?_elements=colour", "value", "_elements"},
		{"/Patient?_elements=", "value", "_elements"},
		{"/Patient?_elements=name&_summary=true", "value", "together"},
		{"/Patient?_elements=name.family", "value", "top"},
		{"/Patient?_contained=true", "not-supported", "contained"},
		{"/Patient?_filter=name%20eq%20x", "not-supported", "_filter"},
		{"/Patient?_query=x", "not-supported", "named"},
		{"/Patient?_list=x", "not-supported", "lists"},
		{"/Patient?_foo=x", "not-supported", "_foo"},
	})
}

// FHIR R4 search.html#conformance and #errors.
func TestTheLinksOfAPageSayWhatWasUsed(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	got := w.get("/fhir/Patient?_count=9999&gender=female&_sort=-birthdate,_id&_include=Patient:organization&_format=json&_elements=name&_total=accurate")
	self, err := url.Parse(got.link("self"))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"_count": {"500"}, "gender": {"female"}, "_sort": {"-birthdate"}, "_include": {"Patient:organization"}, "_format": {"json"}, "_elements": {"name"}, "_total": {"accurate"}}
	if diff := cmp.Diff(want, self.Query()); diff != "" {
		t.Error(diff)
	}
	got = w.get("/fhir/Patient?colour=red&_foo=1&gender=female", "Prefer", "respond-async, handling=lenient")
	if found := w.finds(got); found != "zoe !" {
		t.Errorf("a lenient search finds %q: %s", found, got.body)
	}
	if issues := got.node.Each("entry", "resource", "issue", "details", "text"); len(issues) != 2 || strings.Contains(got.body, "red") {
		t.Errorf("a lenient search remarks %s", got.body)
	}
	if _, err := Decode([]byte(got.body), "Bundle"); err != nil {
		t.Errorf("%+v", err)
	}
	got = w.get("/fhir/Patient?colour=red&_count=0", "Prefer", "handling=lenient")
	if w.finds(got) != "!" || got.node.Text("total") != "3" {
		t.Errorf("a lenient count: %s", got.body)
	}
	got = w.get("/fhir/Patient?_count=1&_sort=_id")
	next := w.get(strings.TrimPrefix(got.link("next"), w.url))
	if first := w.get(strings.TrimPrefix(next.link("first"), w.url)); first.body != got.body {
		t.Errorf("first leads to %s", first.body)
	}
	if head := w.do(access.Placer, "HEAD", "/fhir/Patient?_id="+w.ids["zoe"], ""); head.status != http.StatusOK || head.body != "" {
		t.Errorf("HEAD: %d %s", head.status, head.body)
	}
}

// FHIR R4 search.html#summary and #elements.
func TestAViewShowsPartOfEachResource(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	for question, want := range map[string]string{
		"_summary=false":           "resourceType id meta status code subject basedOn result imagingStudy text conclusion effectiveDateTime",
		"_summary=true":            "resourceType id meta status code subject effectiveDateTime",
		"_summary=text":            "resourceType id meta status code text",
		"_summary=data":            "resourceType id meta status code subject basedOn result imagingStudy conclusion effectiveDateTime",
		"_elements=conclusion":     "resourceType id meta status code conclusion",
		"_elements=effective,text": "resourceType id meta status code text effectiveDateTime",
		"_elements=effective[x]":   "resourceType id meta status code effectiveDateTime",
	} {
		wanted := strings.Fields(want)
		slices.Sort(wanted)
		bundle := w.get("/fhir/DiagnosticReport?" + question)
		whole := question == "_summary=false"
		for where, n := range map[string]*Node{
			"a search": bundle.node.Each("entry", "resource")[0],
			"a read":   w.get(w.fill("/fhir/DiagnosticReport/{report}?") + question).node,
			"a vread":  w.get(w.fill("/fhir/DiagnosticReport/{report}/_history/1?") + question).node,
		} {
			names := n.Names()
			slices.Sort(names)
			if diff := cmp.Diff(wanted, names); diff != "" {
				t.Errorf("%s with %s: %s", where, question, diff)
			}
			if tagged := n.Text("meta", "tag", "code") == "SUBSETTED"; tagged == whole {
				t.Errorf("%s with %s is tagged: %v", where, question, tagged)
			}
			if _, err := Decode(n.Bytes(), "DiagnosticReport"); err != nil {
				t.Errorf("%s with %s is not valid: %v", where, question, err)
			}
		}
	}
	got := w.get(w.fill("/fhir/Observation?_id={bone}&_revinclude=DiagnosticReport:result&_summary=true"))
	if included := got.node.Each("entry", "resource"); len(included) != 2 || included[1].Get("conclusion") != nil || included[1].Text("meta", "tag", "code") != "SUBSETTED" {
		t.Errorf("what is included is whole: %s", got.body)
	}
	w.get(w.fill("/fhir/Patient/{zoe}?_summary=count")).want(t, http.StatusBadRequest, "value")
	w.get(w.fill("/fhir/Patient/{zoe}?_elements=colour")).want(t, http.StatusBadRequest, "value")
	if got := w.get("/fhir/CodeSystem/case-state?_summary=true"); got.status != http.StatusOK || got.node.Get("concept") != nil || got.node.Get("url") == nil {
		t.Errorf("a summary of what is ours: %d %s", got.status, got.body)
	}
}

// hide withholds a resource from readers, as a blinded case does.
func (w *ward) hide(typ, id string) {
	w.t.Helper()
	owner, ctx, caseID := w.db.Owner(w.t), context.Background(), uuid.New()
	if _, err := owner.Exec(ctx, `INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, protocol, policy, opened_at)
		VALUES ($1, $2, 1, 'ready', 'routine', 's', $3, 'ServiceRequest/1', $3, 'blinded', '{}', now())`, w.tenant, caseID, id); err != nil {
		w.t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, `INSERT INTO case_original (tenant_id, case_id, type, id) VALUES ($1, $2, $3, $4)`, w.tenant, caseID, typ, id); err != nil {
		w.t.Fatal(err)
	}
}

// What the CapabilityStatement says can be included is served.
func TestTheIncludesOfTheCapabilityStatementAreServed(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	listed := 0
	for _, resource := range r.get("/fhir/metadata").node.Each("rest", "resource") {
		for element, parameter := range map[string]string{"searchInclude": "_include", "searchRevInclude": "_revinclude"} {
			for chunk := range slices.Chunk(resource.Each(element), maxIncludes) {
				question := "/fhir/" + resource.Text("type") + "?_id=none"
				for _, value := range chunk {
					question += "&" + parameter + "=" + value.Text()
					listed++
				}
				got := r.do(access.Auditor, "GET", question, "")
				if got.status != http.StatusOK {
					t.Errorf("%s: %d %s", question, got.status, got.body)
				}
			}
		}
	}
	if listed < 200 {
		t.Errorf("only %d includes are listed", listed)
	}
}
