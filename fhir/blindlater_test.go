package fhir

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// later is all that came to be here since a moment, by type: what the service made,
// and what an EHR sent.
func (c *clinic) later(since string) (all []string) {
	c.t.Helper()
	rows, err := c.db.Owner(c.t).Query(context.Background(), `
		SELECT DISTINCT type || '/' || id FROM resource WHERE tenant_id = $1 AND last_updated > $2::timestamptz
		  AND type NOT IN ('AuditEvent') ORDER BY 1`, c.tenant, since)
	if err != nil {
		c.t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			c.t.Fatal(err)
		}
		all = append(all, name)
	}
	return all
}

// Whoever reads a second order of a study blind learns by no interface what becomes of
// the first one meanwhile: addenda, corrections, findings, questions, messages.
func TestTheReaderOfASecondOrderSeesNothingThatComesToTheFirstReportMeanwhile(t *testing.T) {
	t.Parallel()
	const canary = "zebrafish"
	c := startClinic(t)
	first := c.signed("blind-later")
	report := c.report(first)
	early := c.mustCreate("Communication", Object("resourceType", "Communication", "status", "completed", "subject", report.Get("subject").Clone(), // before there is a second order
		"about", []*Node{Object("identifier", Object("system", sidReport, "value", report.Text("identifier", "value")))}, "payload", says(canary)).jsonText())
	order := c.get("/fhir/" + c.task(first).Text("focus", "reference")).node
	order.Remove("id")
	order.Set("identifier", []*Node{Object("system", "urn:placer", "value", "later-2")})
	second := c.taskOf("ServiceRequest/" + c.mustCreate("ServiceRequest", order.jsonText()))
	c.tick()
	c.mustAct(access.Coordinator, second, "$resolve", "reason", "another question")
	c.tick()
	signatory := c.tokens[access.Reader]
	c.addColleague(access.Reader, "Dr Petrov", everything)
	petrov := c.readers[access.Reader]
	hats := []access.Role{access.Reader}
	for _, role := range otherHats {
		hats = append(hats, c.hat(petrov, role))
	}
	c.mustAct(access.Reader, second, "$claim", "independent", true)
	c.mustAct(access.Reader, second, "$start")
	var since string
	if err := c.db.Owner(t).QueryRow(context.Background(), `SELECT clock_timestamp()::text`).Scan(&since); err != nil {
		t.Fatal(err)
	}

	c.tokens["signatory"] = signatory
	question := c.mustCreate("Communication", Object("resourceType", "Communication", "status", "completed", "topic", concept(csTopic, "question", ""),
		"identifier", []*Node{Object("system", "urn:ehr:message", "value", "q-later")}, "subject", report.Get("subject").Clone(),
		"about", []*Node{Object("type", "DiagnosticReport", "identifier", Object("system", sidReport, "value", report.Text("identifier", "value")))},
		"sender", Object("display", "Dr Jones"), "payload", says(canary+"?")).jsonText())
	c.mustAct(access.Placer, first, "$ask", "question", canary+" again?")
	c.mustAct("signatory", first, "$answer", "number", 1, "answer", canary)
	c.mustAct("signatory", first, "$raise-finding", "category", "urgent", "text", canary)
	c.mustAct("signatory", first, "$communicate", "medium", "phone", "reached", true, "readBack", true, "recipient", canary)
	c.mustAct("signatory", first, "$amend", "reason", canary)
	c.mustAct("signatory", first, "$sign", "kind", "correction", "reason", canary, "text", canary, "impression", canary, "gradeStands", true,
		"finding", []*Node{Object("name", "number", "valuePositiveInt", 3), Object("name", "outcome", "valueCode", "stands")})
	patient := c.task(first).Text("for", "reference")
	for i := range 2 { // of others, about the report, and about no more than its patient and basis
		o := Object("resourceType", "Observation", "status", "final", "code", concept("http://loinc.org", "55107-7", ""),
			"subject", Object("reference", patient), "valueString", canary, "effectiveDateTime", "2026-01-01")
		o.Set([]string{"basedOn", "focus"}[i], []*Node{Object("reference", []string{c.task(first).Text("focus", "reference"), "DiagnosticReport/" + report.Text("id")}[i])})
		c.mustCreate("Observation", o.jsonText())
	}
	came := append(c.later(since), "Communication/"+early)
	if len(came) < 10 {
		t.Fatalf("too little came: %v", came)
	}
	if !strings.Contains(strings.Join(came, " "), "Communication/"+question) {
		t.Fatal("the question is not here")
	}

	for _, hat := range hats {
		get := func(path string) response { return c.do(hat, "GET", path, "") }
		for _, name := range came {
			if name == "Task/"+second || strings.HasPrefix(name, "Practitioner") || strings.HasPrefix(name, "Organization") {
				continue
			}
			typ, id, _ := strings.Cut(name, "/")
			for _, path := range []string{name, name + "/_history", name + "/_history/1", name + "/_history/2"} {
				if got := get("/fhir/" + path); got.status != http.StatusNotFound && got.status != http.StatusForbidden {
					t.Errorf("%s: %s is %d", hat, path, got.status)
				}
			}
			if got := get("/fhir/" + typ + "?_id=" + id); len(got.ids()) != 0 {
				t.Errorf("%s finds %s", hat, name)
			}
		}
		for _, path := range laterWays(second, patient) {
			got := get("/fhir/" + path)
			body := withoutAudit(got)
			if strings.Contains(body, canary) {
				t.Errorf("%s: %s tells of it", hat, path)
			}
			for _, name := range came {
				if _, id, _ := strings.Cut(name, "/"); name != "Task/"+second && !strings.HasPrefix(name, "Practitioner") && strings.Contains(body, id) {
					t.Errorf("%s: %s names %s", hat, path, name)
				}
			}
		}
		for _, operation := range []string{"$matters", "$difference?from=1&to=2", "$everything", "$case-history", "$drafts", "$quality", "$check", "$readings"} {
			if got := get("/fhir/Task/" + first + "/" + operation); got.status < 400 {
				t.Errorf("%s: %s of the first case is %d", hat, operation, got.status)
			}
		}
	}
	for _, how := range []string{"GET /fhir/DiagnosticReport/" + report.Text("id"), "GET /fhir/Task/" + first} {
		method, path, _ := strings.Cut(how, " ")
		batch := fmt.Sprintf(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":%q,"url":%q}}]}`, method, strings.TrimPrefix(path, "/fhir/"))
		if got := c.do(access.Reader, "POST", "/fhir", batch); strings.Contains(got.body, canary) || !strings.Contains(got.body, "404") {
			t.Errorf("by batch: %s", got.body)
		}
	}
	c.do(access.Reader, "GET", "/fhir/$export", "", "Prefer", "respond-async").want(t, http.StatusForbidden, "forbidden")
}

// withoutAudit is an answer without AuditEvents, in which the auditor, who alone has
// them, finds what was written by id.
func withoutAudit(got response) (text string) {
	if got.node.Type() != "Bundle" {
		return got.body
	}
	for _, e := range got.node.Each("entry") {
		if e.Text("resource", "resourceType") != auditEventType {
			text += e.jsonText()
		}
	}
	return text
}

// laterWays are the ways of reading that name no resource.
func laterWays(task, patient string) []string {
	return []string{
		"DiagnosticReport?_count=200", "Observation?_count=200", "Observation?code=55107-7", "Observation?code=http://loinc.org|55107-7&subject=" + patient,
		"Communication?_count=200", "Communication?topic=question", "Communication?_include=*", "Binary?_count=200", "Provenance?_count=200", "Task?_count=200", "ServiceRequest?_count=200&_include=*&_revinclude=*",
		"Task?_include=*&_revinclude=*&_include:iterate=*", "Patient?_revinclude=*", "CommunicationRequest?_count=200", "DocumentReference", "Media",
		patient + "/$everything", patient + "/Observation", patient + "/DiagnosticReport", patient + "/Communication", patient + "/*",
		"Task/" + task + "/$everything", "Task/" + task, "Task/" + task + "/_history", "Task/" + task + "/$matters", "Task/" + task + "/$check", "Task/" + task + "/$drafts", "Task/" + task + "/$readings",
		"_history?_count=200", "DiagnosticReport/_history", "Observation/_history", "Communication/_history", "Task/_history", "Binary/_history", "Provenance/_history",
		"Observation?_has:Provenance:target:_id=x", "?_type=Observation,Communication,DiagnosticReport", "Practitioner?_revinclude=*", "ImagingStudy?_revinclude=*&_include=*",
		"AuditEvent?_count=200", "Subscription?_count=200", "$feedback", "$worklist", "Task/$worklist",
	}
}
