package fhir

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

// secrets are in every field of a grade that is not for the chart.
var secrets = []string{"QCANARY", "most-of-the-time", "undercall", "pathology", "radpeer", "fivePoint"}

func secretIn(text string) string {
	i := slices.IndexFunc(secrets, func(s string) bool { return strings.Contains(text, s) })
	if i < 0 {
		return ""
	}
	return secrets[i]
}

// gradedClinic has a case that was graded, signed, amended and graded again, and
// one in which there was nothing to compare with.
func gradedClinic(t *testing.T) (c *clinic, id, other string) {
	t.Helper()
	c = startClinic(t)
	point := func(significance string) []*Node {
		return []*Node{
			Object("name", "description", "valueString", "QCANARY-description"),
			Object("name", "significance", "valueCode", significance),
			Object("name", "nature", "valueCode", "detection"),
			Object("name", "direction", "valueCode", "undercall"),
			Object("name", "expectedness", "valueCode", "most-of-the-time"),
			Object("name", "asymmetry", "valueCode", "pathology"),
		}
	}
	id = c.order(chestXray(t, "1")...)
	c.tick()
	c.read(id)
	c.mustAct(access.Reader, id, "$grade", "discrepancy", point("unimportant"), "difference", "A nodule is not mentioned.", "comment", "QCANARY-comment", "goodCall", true)
	c.mustAct(access.Reader, id, "$sign")
	c.mustAct(access.Reader, id, "$amend", "reason", "prior CT became available")
	c.mustAct(access.Reader, id, "$sign", "kind", "amendment", "reason", "prior CT", "text", "A prior was compared.",
		"discrepancy", point("important"), "difference", "A nodule is not mentioned.", "comment", "QCANARY-second")
	other = c.order(chestXray(t, "2")...)
	c.tick()
	c.read(other)
	c.mustAct(access.Reader, other, "$grade", "noComparisonReason", "different-images", "noComparison", "QCANARY-none", "comment", "QCANARY-comment")
	c.mustAct(access.Reader, other, "$sign")
	return c, id, other
}

func TestTheQualityCompartmentIsOpenedByTheQualityRoleAloneAndEachOpeningIsRecorded(t *testing.T) {
	t.Parallel()
	c, id, other := gradedClinic(t)
	address := "/fhir/Task/" + id + "/$quality"
	got := c.do(access.Quality, "GET", address, "")
	if got.status != http.StatusOK || got.node.Type() != "Parameters" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if _, err := Decode([]byte(got.body), "Parameters"); err != nil {
		t.Errorf("not valid: %v", issueLines(err))
	}
	if label := got.node.Text("meta", "security", "code"); label != "V" {
		t.Errorf("labelled %q", label)
	}
	var found []string
	for _, grade := range got.node.Each("parameter") {
		if grade.Text("name") != "grade" {
			continue
		}
		text := ""
		for _, part := range grade.Each("part") {
			if v := parameterValue(part); v != nil && slices.Contains([]string{"number", "inForce", "level", "radpeer", "fivePoint", "comment"}, part.Text("name")) {
				text += part.Text("name") + "=" + v.Text() + " "
			}
		}
		found = append(found, text)
	}
	want := []string{
		"number=1 inForce=false level=minor radpeer=3a fivePoint=2 comment=QCANARY-comment ",
		"number=2 inForce=true level=major radpeer=3b fivePoint=4 comment=QCANARY-second ",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	for _, word := range []string{"QCANARY-description", "undercall", "most-of-the-time", "pathology", "goodCall", "Dr Second Reader", "Practitioner/" + c.readers[access.Reader].ID.String()} {
		if !strings.Contains(got.body, word) {
			t.Errorf("%s is not told: %s", word, got.body)
		}
	}
	if got := c.do(access.Quality, "GET", "/fhir/Task/"+other+"/$quality", ""); !strings.Contains(got.body, "QCANARY-none") || strings.Contains(got.body, "radpeer") {
		t.Errorf("no comparison: %s", got.body)
	}
	c.do(access.Quality, "GET", "/fhir/Task/none/$quality", "").want(t, http.StatusNotFound, "not-found")
	c.do(c.with(access.Quality, "system/Patient.rs"), "GET", address, "").want(t, http.StatusForbidden, "forbidden")
	if got := c.do(c.with(access.Quality, "system/Task.r"), "GET", address, ""); got.status != http.StatusOK {
		t.Errorf("with the scope that it needs: %d", got.status)
	}
	for _, role := range anybody {
		if role == access.Quality {
			continue
		}
		for _, method := range []string{"GET", "POST", "HEAD"} {
			if got := c.do(role, method, address, ""); got.status != http.StatusForbidden || secretIn(got.body) != "" {
				t.Errorf("%s by %s: %d %s", method, role, got.status, got.body)
			}
		}
		got := c.do(role, "POST", "/fhir", `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Task/`+id+`/$quality"}}]}`)
		if secretIn(got.body) != "" || !strings.Contains(got.body, `"403 `) {
			t.Errorf("in a batch by %s: %s", role, got.body)
		}
	}
	// Who has the role may read the record and change nothing.
	for path, status := range map[string]int{"Task/" + id: 200, "DiagnosticReport": 200, "Patient": 200, "AuditEvent": 403} {
		if got := c.do(access.Quality, "GET", "/fhir/"+path, ""); got.status != status {
			t.Errorf("%s by the quality role: %d", path, got.status)
		}
	}
	c.do(access.Quality, "POST", "/fhir/Patient", patientJSON("9")).want(t, http.StatusForbidden, "forbidden")
	c.act(access.Quality, id, "$acknowledge").want(t, http.StatusForbidden, "forbidden")

	opened := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|quality-opened&entity=Task/"+id, "")
	if len(opened.ids()) != 2 || opened.node.Text("entry", "resource", "action") != "R" {
		t.Errorf("%d openings are recorded: %s", len(opened.ids()), opened.body)
	}
}

// Nothing of a grade, but what is for the chart, is anywhere else: in no table, in
// no answer to anybody, in nothing that is sent.
func TestNothingOfAGradeIsOutsideTheQualityCompartment(t *testing.T) {
	t.Parallel()
	c, id, other := gradedClinic(t)
	var log bytes.Buffer
	c.server.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	patient := strings.TrimPrefix(c.task(id).Text("for", "reference"), "Patient/")
	paths := []string{"?_type=Patient,Task,DiagnosticReport,Observation,Provenance,Basic,MeasureReport", "/_history", "/Task/" + id + "/$everything", "/Task/" + other + "/$everything", "/Patient/" + patient + "/$everything", "/Patient/" + patient + "/*",
		"/Task?code:text=QCANARY", "/Task?_sort=-_lastUpdated&_total=accurate", "/Observation?code:text=QCANARY&_summary=count"}
	for _, typ := range c.server.typeNames {
		if !c.server.resources[typ].kept() {
			continue // they say which words a grade has, and nothing of any grade
		}
		paths = append(paths, "/"+typ+"?_count=500", "/"+typ+"?_include=*&_revinclude=*&_count=500", "/"+typ+"/_history?_count=500")
	}
	for _, role := range anybody {
		for _, path := range paths {
			if role != access.Placer && role != access.Director && (strings.Contains(path, "include") || strings.HasSuffix(path, "/_history?_count=500")) {
				continue // they read the same tables, of which the last check is
			}
			got := c.do(role, "GET", "/fhir"+path, "")
			if found := secretIn(strings.ReplaceAll(strings.ReplaceAll(got.body, "code:text=QCANARY", ""), "code%3Atext=QCANARY", "")); found != "" && !strings.HasPrefix(path, "/AuditEvent") {
				t.Errorf("%s by %s gives %s", path, role, found)
			}
			for _, form := range got.node.Each("entry", "resource", "presentedForm") {
				text, err := base64.StdEncoding.DecodeString(form.Text("data"))
				if found := secretIn(string(text)); err != nil || found != "" {
					t.Errorf("the letter of %s gives %s (%v)", path, found, err)
				}
			}
		}
	}
	// Grades are found by nothing: what is searched for in vain finds nothing.
	for _, path := range []string{"/fhir/Task?code:text=QCANARY", "/fhir/Observation?code:text=QCANARY", "/fhir/DiagnosticReport?identifier=QCANARY"} {
		if got := c.do(access.Placer, "GET", path, ""); len(got.ids()) != 0 {
			t.Errorf("%s finds %v", path, got.ids())
		}
	}
	for _, form := range c.sentForms() {
		if found := secretIn(form); found != "" {
			t.Errorf("what is sent to the EHR has %s", found)
		}
	}
	if found := secretIn(strings.ReplaceAll(log.String(), "code:text=QCANARY", "")); found != "" {
		t.Errorf("the log has %s", found)
	}
	if err := c.server.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, at := range c.tablesWith("QCANARY-", "most-of-the-time") {
		if at != "grade.content" {
			t.Errorf("a grade is in %s", at)
		}
	}
}

// sentForms are what was sent to EHRs, and the letters in it.
func (c *clinic) sentForms() []string {
	var all []string
	for _, d := range c.deliveries() {
		for _, typ := range []string{"DiagnosticReport", "Observation", "Provenance", "Practitioner", "Organization"} {
			for _, n := range d.resources(c.t, typ) {
				all = append(all, n.jsonText())
				for _, form := range n.Each("presentedForm") {
					text, _ := base64.StdEncoding.DecodeString(form.Text("data"))
					all = append(all, string(text))
				}
			}
		}
	}
	return all
}

// tablesWith are the columns of the database in which one of the words stands.
func (c *clinic) tablesWith(words ...string) []string {
	c.t.Helper()
	ctx, owner := context.Background(), c.db.Owner(c.t)
	rows, err := owner.Query(ctx, `
		SELECT c.table_name, c.column_name, c.data_type
		FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'`)
	if err != nil {
		c.t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Table, Column, Type string }])
	if err != nil {
		c.t.Fatal(err)
	}
	var found []string
	for _, at := range columns {
		table, column := pgx.Identifier{at.Table}.Sanitize(), pgx.Identifier{at.Column}.Sanitize()
		test := `position($1::text IN ` + column + `::text) > 0`
		if at.Type == "bytea" {
			test = `position(convert_to($1::text, 'UTF8') IN ` + column + `) > 0`
		}
		for _, word := range words {
			var n int
			if err := owner.QueryRow(ctx, `SELECT count(*) FROM `+table+` WHERE `+test, word).Scan(&n); err != nil {
				c.t.Fatal(err)
			}
			if name := at.Table + "." + at.Column; n > 0 && !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	}
	if !slices.Contains(found, "grade.content") {
		c.t.Errorf("the test finds no grade where it is: %v", found)
	}
	return found
}

// What an admin has is the directory, and nothing of patients in any interaction.
func TestEachRoleHasTheTypesThatAreItsOwnInEveryInteraction(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	reads := map[string]bool{"read": true, "vread": true, "search-type": true, "history-instance": true, "history-type": true}
	directory := []string{"Practitioner", "PractitionerRole", "Organization", "Location", "Endpoint"}
	tried := 0
	for _, row := range r.do("", "GET", "/fhir/metadata", "").node.Each("rest", "resource") {
		typ := row.Text("type")
		said := map[string]bool{}
		for _, i := range row.Each("interaction") {
			said[i.Text("code")] = true
		}
		for _, role := range anybody {
			id := r.oneOf(t, typ, said)
			if id == "" {
				continue
			}
			for _, code := range codesOfTypes {
				for _, a := range attemptsOf(code, typ, id) {
					if !said[code] {
						continue
					}
					kept := r.server.resources[typ].kept()
					var may bool
					switch {
					case typ == auditEventType:
						may = role == access.Auditor || role == access.Director
					case role == access.Admin:
						may = slices.Contains(directory, typ) || !kept
					case role == access.Auditor:
						may = !kept
					default:
						may = reads[code] || role == access.Placer || role == access.Coordinator
					}
					tried++
					got := r.do(role, a.method, "/fhir/"+a.path, a.body, a.header...)
					if (got.status == http.StatusForbidden) == may {
						t.Errorf("%s %s by %s: %d %s", a.method, a.path, role, got.status, got.body)
					}
					if code == "delete" {
						id = r.oneOf(t, typ, said)
					}
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d attempts", tried)
	}
	for _, path := range []string{"", "/_history", "/Practitioner?_revinclude=*&_include:iterate=*", "/Organization?_include=*"} {
		got := r.do(access.Admin, "GET", "/fhir"+path, "")
		for _, entry := range got.node.Each("entry") {
			if typ := entry.Text("resource", "resourceType"); typ != "" && !slices.Contains(directory, typ) && r.server.resources[typ].kept() {
				t.Errorf("%s gives an admin a %s", path, typ)
			}
		}
	}
	patient := r.mustCreate("Patient", patientJSON("1"))
	for _, path := range []string{"/Patient/" + patient + "/$everything", "/Practitioner/1/*", "/Task/1/$everything", "/$export", "/Task/1/$quality", "/Practitioner?_has:ServiceRequest:requester:status=active",
		"/?_type=Patient", "/Practitioner?_revinclude=" + url.QueryEscape("ServiceRequest:requester")} {
		if got := r.do(access.Admin, "GET", "/fhir"+path, "", "Prefer", "respond-async"); got.status < 400 {
			t.Errorf("%s by an admin: %d %s", path, got.status, got.body)
		}
	}
	r.do(access.Admin, "POST", "/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+patientJSON("2")+`,"request":{"method":"POST","url":"Patient"}}]}`).want(t, http.StatusForbidden, "forbidden")
	if got := r.do(access.Admin, "POST", "/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+exampleOf("Organization").body+`,"request":{"method":"POST","url":"Organization"}}]}`); got.status != http.StatusOK {
		t.Errorf("an Organization in a transaction: %d %s", got.status, got.body)
	}
}
