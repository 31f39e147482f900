package fhir

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// twoOutcomes are two cases that differ in nothing that is not of the grade: in the one
// the readings agree, in the other they differ in something important, and a third
// reader has decided. What others did with them is the same.
func (c *clinic) twoOutcomes() (agreed, disagreed string) {
	c.t.Helper()
	agreed = c.signed("agreed")
	disagreed = c.toAdjudication("disagreed")
	c.mustAct(access.Adjudicator, disagreed, "$claim", "independent", true)
	c.mustAct(access.Adjudicator, disagreed, "$adjudicate", "discrepancy", missed("important"), "difference", differs)
	c.mustAct(access.Adjudicator, disagreed, "$sign")
	all := c.get("/fhir/Observation?_count=200").refs()
	for _, task := range []string{agreed, disagreed} {
		patient, report := c.task(task).Text("for", "reference"), "DiagnosticReport/"+c.report(task).Text("id")
		for _, who := range []access.Role{access.Placer, access.Coordinator, access.Director} {
			everything := append([]string{"Task/" + task, patient, report, report + "/_history", "Provenance?target=" + report, "DiagnosticReport?patient=" + patient, "ServiceRequest?patient=" + patient,
				"Observation?code=agreement&subject=" + patient, patient + "/$everything", "Task/" + task + "/$everything"}, c.report(task).refersTo("result")...)
			for _, path := range everything {
				if got := c.do(who, "GET", "/fhir/"+path, ""); got.status != http.StatusOK {
					c.t.Fatalf("%s by %s: %d %s", path, who, got.status, got.body)
				}
			}
		}
		c.do(access.Reader, "GET", "/fhir/"+report, "")
		c.do(access.Quality, "GET", "/fhir/Task/"+task+"/$quality", "")
		c.mustAct(access.Placer, task, "$acknowledge", "clinician", "Dr Jones")
	}
	for _, code := range []string{"agreement", "discrepancy", "second-opinion-agreement"} { // finds patients by what they are asked for
		c.get("/fhir/Observation?code=" + code)
		c.get("/fhir/Patient?_has:Observation:subject:code=" + code)
		c.get("/fhir/DiagnosticReport?result.code=" + code)
	}
	if len(all) < 4 {
		c.t.Fatalf("the cases have %v", all)
	}
	if err := c.server.Flush(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.settle()
	return agreed, disagreed
}

func (n *Node) refersTo(element string) (all []string) {
	for _, ref := range n.Each(element, "reference") {
		all = append(all, ref.Text())
	}
	return all
}

// idsInside are the ids in a text, of those that the server makes.
var idsInside = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// eventsAsShape are AuditEvents as they can be compared between cases: without ids and
// times, sorted. How many there are and all of their codes stay.
func eventsAsShape(n *Node) (all []string) {
	for _, e := range n.Each("entry", "resource") {
		parts := []string{e.Text("type", "code"), e.Text("action"), e.Text("outcome"), e.Text("outcomeDesc")}
		for _, c := range e.Each("subtype") {
			parts = append(parts, c.Text("code"))
		}
		for _, a := range e.Each("agent") {
			parts = append(parts, a.Text("type", "coding", "code")+" "+a.Text("role", "text"))
		}
		for _, x := range e.Each("entity") {
			query, _ := base64.StdEncoding.DecodeString(x.Text("query"))
			text := x.Text("what", "reference") + string(query)
			for _, d := range x.Each("detail") {
				text += string(d.Bytes())
			}
			parts = append(parts, x.Text("role", "code")+" "+idsInside.ReplaceAllString(text, "ID"))
		}
		all = append(all, strings.Join(parts, " | "))
	}
	slices.Sort(all)
	return all
}

// A part of the trail says that it is one, and who has the whole.
func TestAnAuditorIsToldThatThereIsMore(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	c.signed("one")
	said := func(who access.Role, query string) bool {
		t.Helper()
		got := c.do(who, "GET", "/fhir/AuditEvent?"+query, "")
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		for _, e := range got.node.Each("entry") {
			if e.Text("search", "mode") == "outcome" && e.Text("resource", "issue", "code") == "suppressed" && strings.Contains(e.Text("resource", "issue", "details", "text"), "medical director") {
				return true
			}
		}
		return false
	}
	for _, query := range []string{"_count=5", "_summary=count", "subtype=create", "date=lt2001-01-01"} {
		if !said(access.Auditor, query) || said(access.Director, query) {
			t.Errorf("%s: told to the auditor %v, to the director %v", query, said(access.Auditor, query), said(access.Director, query))
		}
	}
}

// The whole of what an auditor may be given of two cases is the same for both, and for
// who has all of the trail it is not: so the test would see a difference.
func TestTheTrailOfAnAuditorIsTheSameWhateverTheGrade(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	agreed, disagreed := c.twoOutcomes()
	trails := func(who access.Role, ask func(task string) string) (one, other []string) {
		one = eventsAsShape(c.do(who, "GET", "/fhir/AuditEvent?_count=500&"+ask(agreed), "").node)
		other = eventsAsShape(c.do(who, "GET", "/fhir/AuditEvent?_count=500&"+ask(disagreed), "").node)
		return one, other
	}
	questions := map[string]func(task string) string{
		"patient": func(task string) string { return "patient=" + c.task(task).Text("for", "reference") },
		"case":    func(task string) string { return "entity=Task/" + task },
		"report":  func(task string) string { return "entity=DiagnosticReport/" + c.report(task).Text("id") },
		"results": func(task string) string {
			return "entity=" + strings.Join(c.report(task).refersTo("result"), ",")
		},
	}
	for name, ask := range questions {
		one, other := trails(access.Auditor, ask)
		if diff := cmp.Diff(one, other); diff != "" {
			t.Errorf("by %s, agreed (-) and not (+):\n%s", name, diff)
		}
		if whole, and := trails(access.Director, ask); cmp.Equal(whole, and) {
			t.Errorf("by %s a director sees no difference either: the test proves nothing", name)
		}
	}
	if one, _ := trails(access.Auditor, questions["patient"]); len(one) < 10 {
		t.Errorf("an auditor is told too little of a patient: %q", one)
	}
	// Neither by an event itself, nor by any parameter.
	told := c.do(access.Auditor, "GET", "/fhir/AuditEvent?_count=500", "").ids()
	hidden := slices.DeleteFunc(c.do(access.Director, "GET", "/fhir/AuditEvent?_count=500", "").ids(), func(id string) bool { return slices.Contains(told, id) })
	if len(hidden) < 20 || len(told) < 20 {
		t.Fatalf("%d told and %d not", len(told), len(hidden))
	}
	for _, id := range hidden {
		for _, path := range []string{"AuditEvent/" + id, "AuditEvent/" + id + "/_history/1"} {
			c.do(access.Auditor, "GET", "/fhir/"+path, "").want(t, http.StatusNotFound, "not-found")
		}
		for _, path := range []string{"AuditEvent?_id=" + id, "AuditEvent?entity=AuditEvent/" + id + "&_revinclude=AuditEvent:entity&_include=AuditEvent:entity"} {
			if got := c.do(access.Auditor, "GET", "/fhir/"+path, ""); slices.Contains(got.ids(), id) {
				t.Errorf("%s: %s", path, got.body)
			}
		}
	}
	for _, asked := range []string{"subtype=unblinding", "subtype=report-delivered", "subtype=quality-opened", "agent-role=adjudicator", "entity:missing=true&subtype=operation", "action=U&entity=Task/" + disagreed, "_total=accurate&_count=0&entity=Task/" + disagreed} {
		if got := c.do(access.Auditor, "GET", "/fhir/AuditEvent?"+asked, ""); len(got.ids()) > 0 || got.status == http.StatusOK && got.node.Text("total") != "" && got.node.Text("total") != "0" {
			t.Errorf("%s: %s", asked, got.body)
		}
	}
}

// recordOf are the ids of all that is kept of the clinical record, by type.
func (c *clinic) recordOf() map[string][]string {
	record := map[string][]string{}
	for _, typ := range c.server.typeNames {
		if row := c.server.resources[typ]; row.kept() && typ != auditEventType {
			record[typ] = c.get("/fhir/" + typ + "?_count=200").ids()
		}
	}
	return record
}

// Every route of the router, every operation, condition, chain, include, Bundle and
// export, asked by an auditor with every scope there is, about everything that is kept of
// two cases: nothing of the record comes back.
func TestAnAuditorReachesNothingOfTheRecordByAnyRoute(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	agreed, disagreed := c.twoOutcomes()
	record := c.recordOf()
	var scopes []string
	for _, typ := range c.server.typeNames {
		scopes = append(scopes, "system/"+typ+".cruds")
	}
	auditors := []access.Role{access.Auditor, c.with(access.Auditor, "system/*.cruds"), c.with(access.Auditor, strings.Join(scopes, " ")), c.with(access.Auditor, "system/*.rs?_id=1 system/*.cruds")}
	tried := 0
	try := func(method, path, body string, header ...string) {
		t.Helper()
		for _, who := range auditors {
			tried++
			got := c.do(who, method, path, body, header...)
			if got.status == http.StatusAccepted {
				t.Errorf("%s %s is begun", method, path)
			}
			for _, entry := range append(got.node.Each("entry", "resource"), got.node) {
				if typ := entry.Type(); record[typ] != nil && typ != "OperationOutcome" {
					t.Errorf("%s %s by %s gives a %s", method, path, who, typ)
				}
			}
			for _, word := range []string{differs, "Solitary pulmonary nodule", "nodule, left upper lobe"} {
				if !strings.Contains(path+body, word) && strings.Contains(got.body, word) {
					t.Errorf("%s %s by %s says %q", method, path, who, word)
				}
			}
		}
	}
	of := func(typ string) string {
		switch {
		case typ == "Task":
			return disagreed
		case len(record[typ]) > 0:
			return record[typ][len(record[typ])-1]
		}
		return agreed
	}
	for _, r := range append(c.server.routes(), c.server.serviceRoutes()...) {
		for _, typ := range c.server.typeNames {
			if row := c.server.resources[typ]; !row.kept() || typ == auditEventType {
				continue
			}
			if !strings.Contains(r.path, ":type") && !strings.HasPrefix(r.path, "/fhir/"+typ+"/") && typ != "Task" {
				continue
			}
			path := strings.NewReplacer(":type", typ, ":id", of(typ), ":version", "1", ":member", "Observation", ":file", "Task.1.ndjson").Replace(r.path)
			if strings.Contains(path, ":operation") {
				for _, op := range operations {
					try(r.method, strings.Replace(path, ":operation", "$"+op.Name, 1), `{"resourceType":"Parameters"}`)
				}
				continue
			}
			body := ""
			if r.method != http.MethodGet {
				body = `{"resourceType":"Parameters"}`
			}
			try(r.method, path, body, "Prefer", "respond-async")
		}
	}
	for typ, ids := range record {
		try("GET", "/fhir/"+typ+"?_include=*&_revinclude=*", "")
		try("POST", "/fhir/"+typ+"/_search", "_count=5", "Content-Type", "application/x-www-form-urlencoded")
		for _, asker := range []string{"AuditEvent", "Measure", "CodeSystem"} {
			try("GET", "/fhir/"+asker+"?_revinclude=*&_include=*&_revinclude="+typ+":subject", "")
			try("GET", "/fhir/"+asker+"?_has:"+typ+":subject:_id="+of(typ), "")
		}
		try("GET", "/fhir/AuditEvent?entity:"+typ+"._id="+of(typ), "")
		try("GET", "/fhir?_type="+typ, "")
		try("GET", "/fhir/$export?_type="+typ, "", "Prefer", "respond-async")
		for _, kind := range []string{"batch", "transaction"} {
			for _, id := range append(ids[:min(1, len(ids))], "none") {
				for _, at := range []string{typ + "/" + id, typ + "?_id=" + id, typ + "/" + id + "/_history", typ} {
					try("POST", "/fhir", `{"resourceType":"Bundle","type":"`+kind+`","entry":[{"request":{"method":"GET","url":"`+at+`"}}]}`)
				}
			}
		}
	}
	patient := c.task(disagreed).Text("for", "reference")
	for _, path := range []string{"/", "/_history", "/" + patient + "/*", "/" + patient + "/Observation", "/AuditEvent?patient." + "identifier=1", "/AuditEvent?_include=AuditEvent:patient&_include:iterate=*",
		"/AuditEvent?patient:Patient.name=a", "/AuditEvent?entity.code=agreement", "/AuditEvent?_revinclude=Provenance:entity", "/?_has:Observation:subject:code=agreement",
		"/Measure/$flat-view?view=cases&format=ndjson", "/Task/$samples", "/Task/$reviews", "/Communication/$feedback", "/$export", "/$export?_type=AuditEvent",
		"/Measure/agreement/$evaluate-measure?reportType=subject-list&periodStart=2020-01-01&periodEnd=2039-12-31", "/Measure/agreement/$evaluate-measure?subject=" + url.QueryEscape(patient) + "&periodStart=2020-01-01&periodEnd=2039-12-31"} {
		try("GET", "/fhir"+path, "", "Prefer", "respond-async")
	}
	if tried < 3000 {
		t.Errorf("only %d were tried", tried)
	}
	// Neither by the functions that the pages call, in a session of theirs.
	auditor := access.Actor{Tenant: c.tenant, ID: c.readers[access.Reader].ID, Role: access.Auditor, Display: "Auditor"}
	if got := c.signIn(auditor).get("/fhir/Task/" + disagreed); got.status != http.StatusForbidden {
		t.Errorf("a session: %d", got.status)
	}
	if items, err := c.server.Worklist(t.Context(), auditor, 50, Asked{}); err != nil || len(items) > 0 {
		t.Errorf("a worklist of %d (%v)", len(items), err)
	}
	for what, err := range map[string]error{
		"case file": second(c.server.CaseFile(t.Context(), auditor, disagreed, Asked{})),
		"reading":   second(c.server.Reading(t.Context(), auditor, disagreed, Asked{})),
	} {
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A search that finds records by what they are counts the values of a dimension, and a read
// of our reports counts what is signed: auditors are told of neither, and of whom
// somebody has looked for they are.
func TestTheTrailOfAnAuditorCountsNoDimension(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.signed("counted")
	patient, report := c.task(task).Text("for", "reference"), c.report(task).Text("id")
	told := func() (n int) { // besides what the auditor has asked
		if err := c.server.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.settle()
		for _, e := range c.do(access.Auditor, "GET", "/fhir/AuditEvent?_count=500&patient="+patient, "").node.Each("entry", "resource") {
			if role, _ := whoseAccess(e); role != string(access.Auditor) {
				n++
			}
		}
		return n
	}
	before := told()
	for _, path := range []string{"ServiceRequest?priority=routine", "ServiceRequest?status=active,completed", "ServiceRequest?authored=ge2000", "ServiceRequest?_lastUpdated=ge2000",
		"ImagingStudy?modality=CT", "ImagingStudy?started=ge2000", "DiagnosticReport?status=final", "DiagnosticReport/" + report, "DiagnosticReport?_id=" + report} {
		if got := c.do(access.Placer, "GET", "/fhir/"+path, ""); got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		if n := told(); n != before {
			t.Errorf("%s: an auditor is told", path)
			before = n
		}
	}
	for i, path := range []string{patient, "ServiceRequest?patient=" + patient, "DiagnosticReport?patient=" + patient, "ImagingStudy?subject=" + patient} {
		c.do(access.Placer, "GET", "/fhir/"+path, "")
		if n := told(); n != before+i+1 {
			t.Errorf("%s: an auditor is told %d times, want %d", path, n, before+i+1)
		}
	}
}
