package fhir

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
)

// An auditor knows how many cases are compared of a quarter (docs/disclosure.md). Who knew
// besides how many were ordered, and how many of these were taken back, would know the few that are
// left out of the figures. So the attack counts orders by the trail, as an auditor may ask it: totals,
// counts, every event by role, action, kind, type, record and time. What somebody places, reads,
// changes, takes back or deletes of orders must change none of them.
func TestAnAuditorCountsNoOrdersByTheTrail(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	c.sql(`UPDATE tenant SET policy = '{"patientSummary": {"contact": "the outpatient desk"}}'`)
	began := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	var records []string // all that was written with orders
	settled := func() {
		t.Helper()
		if err := c.server.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.settle()
	}
	// total is how many events somebody finds, and how many a page of them lists.
	total := func(who access.Role, query string) string {
		t.Helper()
		counted := c.do(who, "GET", "/fhir/AuditEvent?"+query+"&_summary=count", "")
		listed := c.do(who, "GET", "/fhir/AuditEvent?"+query+"&_count=500&_total=accurate", "")
		if counted.status != http.StatusOK || listed.status != http.StatusOK {
			t.Fatalf("%s: %d %s, %d %s", query, counted.status, counted.body, listed.status, listed.body)
		}
		return counted.node.Text("total") + " " + listed.node.Text("total")
	}
	attack := func(who access.Role) map[string]string {
		t.Helper()
		asked := []string{"date=ge" + url.QueryEscape(began)}
		for _, action := range []string{"C", "R", "U", "D", "E"} {
			asked = append(asked, "action="+action+"&actor-role=placer", "action="+action+"&actor-role=coordinator")
		}
		for _, kind := range []string{"create", "update", "patch", "delete", "read", "vread", "search-type", "history-instance", "transaction", "operation", "images-opened", "launch"} {
			asked = append(asked, "subtype="+kind+"&actor-role=placer", "subtype="+kind+"&actor-role=coordinator")
		}
		for _, record := range records {
			asked = append(asked, "entity="+record)
		}
		found := map[string]string{}
		for _, query := range asked {
			if query == asked[0] { // what the auditor asks is told, too
				query += "&actor-role=placer,coordinator,reader,adjudicator,admin,quality"
			}
			found[query] = total(who, query)
		}
		return found
	}
	must := func(got response, status int) {
		t.Helper()
		if got.status != status {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	orderOf := func(task string) string { return c.task(task).Text("focus", "reference") }
	entries := func(number string) []*Node { return chestXray(t, number) }
	var first, second, third string
	steps := []struct {
		name string
		do   func()
	}{
		{"an order as a transaction", func() { first = c.order(entries("one")...) }},
		{"one of a patient who is there", func() {
			all := entries("two")
			all[0].Get("request").Set("ifNoneExist", "identifier="+url.QueryEscape(all[0].Text("resource", "identifier", "system")+"|"+all[0].Text("resource", "identifier", "value")))
			second = c.order(all...)
		}},
		{"one that writes its patient again", func() {
			all := entries("three")
			patient := c.task(first).Text("for", "reference")
			all[0].Get("resource").Set("id", strings.TrimPrefix(patient, "Patient/"))
			all[0].Set("request", Object("method", "PUT", "url", patient))
			third = c.order(all...)
		}},
		{"reads of orders", func() {
			for _, order := range []string{first, second, third} {
				order = orderOf(order)
				for _, who := range []access.Role{access.Placer, access.Coordinator, access.Director} {
					must(c.do(who, "GET", "/fhir/"+order, ""), http.StatusOK)
					must(c.do(who, "GET", "/fhir/"+order+"/_history", ""), http.StatusOK)
					must(c.do(who, "GET", "/fhir/"+order+"/_history/1", ""), http.StatusOK)
					must(c.do(who, "GET", "/fhir/ServiceRequest?_id="+strings.TrimPrefix(order, "ServiceRequest/"), ""), http.StatusOK)
				}
			}
			for _, path := range []string{"ServiceRequest?identifier=one", "ServiceRequest?status=active", "ServiceRequest?_count=200", "ImagingStudy?_total=accurate", "ImagingStudy?based-on=" + orderOf(first), "DiagnosticReport?based-on=" + orderOf(first), "Task?focus=" + orderOf(first)} {
				c.do(access.Placer, "GET", "/fhir/"+path, "")
			}
			must(c.post("/fhir", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"`+orderOf(first)+`"}}]}`), http.StatusOK)
		}},
		{"a change", func() {
			order := c.get("/fhir/" + orderOf(first)).node
			order.Append("note", Object("text", "by phone"))
			must(c.put("/fhir/"+orderOf(first), order.jsonText()), http.StatusOK)
		}},
		{"one that is taken back", func() {
			order := c.get("/fhir/" + orderOf(first)).node
			order.Set("status", "revoked")
			must(c.put("/fhir/"+orderOf(first), order.jsonText()), http.StatusOK)
		}},
		{"one that is cancelled", func() { c.mustAct(access.Placer, second, "$cancel", "reason", "by phone") }},
		{"the reading", func() {
			c.tick()
			c.read(third)
			c.mustAct(access.Reader, third, "$grade", "agreement", true)
			c.mustAct(access.Reader, third, "$sign")
		}},
		{"what is asked of a single one", func() {
			order, report, patient := orderOf(third), "DiagnosticReport/"+c.report(third).Text("id"), c.task(third).Text("for", "reference")
			must(c.post("/fhir/"+order+"/$validate", `{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"delete"}]}`), http.StatusOK)
			must(c.do(access.Placer, "GET", "/fhir/"+report+"/$patient-summary?language=en", ""), http.StatusOK)
			must(c.post("/fhir/"+report+"/$validate", `{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"delete"}]}`), http.StatusOK)
			must(c.do(access.Coordinator, "GET", "/fhir/"+patient+"/DiagnosticReport?based-on="+order, ""), http.StatusOK)
			must(c.do(access.Coordinator, "GET", "/fhir/"+patient+"/ServiceRequest?identifier=three", ""), http.StatusOK)
		}},
		{"its images, and a launch for it", func() {
			clinician := c.somebody(access.Placer)
			if err := c.server.OpenImages(t.Context(), clinician, third, "1.2.3", Asked{}); err != nil {
				t.Fatal(err)
			}
			launch := access.Event{Kind: access.Launch, Tenant: c.tenant, Actor: clinician, Patient: c.task(third).Text("for", "reference"), Case: "Task/" + third}
			if err := c.server.RecordEvent(t.Context(), nil, launch); err != nil {
				t.Fatal(err)
			}
		}},
	}
	settled()
	none := attack(access.Auditor)
	written := 0
	for _, step := range steps {
		step.do()
		settled()
		for query, before := range none {
			if after := total(access.Auditor, query); after != before {
				t.Errorf("%s: by %s an auditor counts %s, and %s before", step.name, query, after, before)
				none[query] = after
			}
		}
		// The trail has them all the same, and directors are told.
		if n, err := strconv.Atoi(strings.Fields(total(access.Director, "actor-role=placer,coordinator,reader"))[0]); err != nil || n <= written {
			t.Errorf("%s: the trail has %d events, and had %d: the attack proves nothing", step.name, n, written)
		} else {
			written = n
		}
	}
	for _, task := range []string{first, second, third} {
		records = append(records, "Task/"+task, orderOf(task))
	}
	records = append(records, c.get("/fhir/ImagingStudy?_count=50").refs()...)
	for _, record := range records {
		if n := total(access.Auditor, "entity="+record+"&actor-role=placer,coordinator,director,reader"); n != "0 0" {
			t.Errorf("an auditor is told of %s: %s", record, n)
		}
	}
	// Nor is anything counted elsewhere.
	for _, typ := range []string{"ServiceRequest", "Task", "DiagnosticReport", "ImagingStudy", "Patient", "Encounter", "Provenance", "Communication"} {
		for _, query := range []string{"_summary=count", "_total=accurate&_count=0", "status=revoked&_summary=count", "_count=0"} {
			c.do(access.Auditor, "GET", "/fhir/"+typ+"?"+query, "").want(t, http.StatusForbidden, "forbidden")
		}
	}
	// An emergency, and who has looked at a patient, are told as before.
	patient := c.task(first).Text("for", "reference")
	must(c.do(access.Placer, "GET", "/fhir/"+patient, ""), http.StatusOK)
	must(c.do(access.Placer, "GET", "/fhir/ServiceRequest?patient="+patient, ""), http.StatusOK)
	settled()
	launch := access.Event{Kind: access.Launch, Tenant: c.tenant, Actor: c.somebody(access.Placer), Patient: patient}
	if err := c.server.RecordEvent(t.Context(), nil, launch); err != nil {
		t.Fatal(err)
	}
	settled()
	if got := c.do(access.Auditor, "GET", "/fhir/AuditEvent?actor-role=placer&patient="+patient, ""); len(got.ids()) != 3 {
		t.Errorf("who has looked at a patient: %s", got.body)
	}
	if told := slices.Compact([]string{total(access.Director, "entity="+orderOf(first))}); told[0] == "0 0" {
		t.Error("a director is told nothing of an order")
	}
}
