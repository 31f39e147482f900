package fhir

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// ito is a Practitioner with a licence until that day.
func ito(until string) *Node {
	return Object("resourceType", "Practitioner",
		"identifier", []*Node{Object("system", npi, "value", "1234567893")},
		"name", []*Node{Object("family", "Ito", "given", []string{"Aya"}, "prefix", []string{"Dr."})},
		"qualification", []*Node{
			Object("code", concept("http://terminology.hl7.org/CodeSystem/v2-0360|2.7", "MD", "Doctor of Medicine")),
			Object("extension", []*Node{Object("url", extJurisdiction, "valueCodeableConcept", concept(iso3166two, "US-NY", ""))},
				"identifier", []*Node{Object("system", "urn:ny", "value", "NY-1")}, "code", Object("text", "Medical licence"),
				"period", Object("start", "2020-01-01", "end", until), "issuer", Object("display", "New York State")),
		})
}

func roleOf(practitioner string, change ...func(*Node)) *Node {
	n := Object("resourceType", "PractitionerRole",
		"practitioner", Object("reference", practitioner),
		"code", []*Node{concept(csReaderRole, "reader", ""), concept(csReaderRole, "adjudicator", "")},
		"specialty", []*Node{concept(nucc, "2085N0700X", "Neuroradiology"), concept(csSubspecialty, "chest", "")},
		"period", Object("start", "2026-01", "end", "2099"),
		"extension", []*Node{
			Object("url", extModality, "valueCoding", Object("system", dicom, "code", "DX")),
			Object("url", extAges, "valueRange", Object("low", Object("value", 18, "unit", "a"))),
			Object("url", extCapacity, "valuePositiveInt", 4),
			Object("url", extZone, "valueCode", "America/New_York"),
			Object("url", extConflict, "valueReference", Object("identifier", Object("system", "urn:org", "value", "rival"))),
		},
		"telecom", []*Node{Object("system", "email", "value", "ito@clinic.example")},
		"availableTime", []*Node{Object("daysOfWeek", []string{"mon", "tue"}, "availableStartTime", "08:00:00", "availableEndTime", "17:30:00"), Object("daysOfWeek", []string{"sat"}, "allDay", true)},
		"notAvailable", []*Node{Object("description", "holiday", "during", Object("start", "2026-07-01T00:00:00-04:00", "end", "2026-07-14"))})
	for _, fn := range change {
		fn(n)
	}
	return n
}

func TestAPractitionerAndARoleAreReadAsACredential(t *testing.T) {
	got, err := practitionerSays(ito("2026-12-31"))
	if err != nil {
		t.Fatal(err)
	}
	want := workflow.Reader{Identifiers: []string{npi + "|1234567893"},
		Licences: []workflow.Licence{{Jurisdiction: "US-NY", ValidFrom: "2020-01-01", ValidTo: "2026-12-31", Number: "NY-1", Issuer: "New York State"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	role, err := roleSays(roleOf("Practitioner/1"))
	if err != nil {
		t.Fatal(err)
	}
	want = workflow.Reader{
		Privileges: []workflow.Scope{{Subspecialties: []string{"neuro", "chest"}, Modalities: []string{"DX"}, Ages: &workflow.Ages{From: 18},
			ValidFrom: "2026-01-01", ValidTo: "2099-12-31", Parts: []workflow.Part{workflow.IsAdjudicator}}},
		Capacity: 4, Zone: "America/New_York", Conflicts: []string{"urn:org|rival"}, Mail: "ito@clinic.example",
		Shifts: []workflow.Shift{
			{Days: []string{"monday", "tuesday"}, From: "08:00", To: "17:30", ValidFrom: "2026-01-01", ValidTo: "2099-12-31"},
			{Days: []string{"saturday"}, From: "00:00", To: "24:00", ValidFrom: "2026-01-01", ValidTo: "2099-12-31"}},
		Absences: []workflow.Absence{{From: "2026-07-01", To: "2026-07-14"}},
	}
	if diff := cmp.Diff(want, role); diff != "" {
		t.Error(diff)
	}
}

// whoIs is what a coordinator is told of a candidate, "" of nobody.
func (c *clinic) whoIs(task, practitioner string) string {
	c.t.Helper()
	got := c.do(access.Coordinator, "GET", "/fhir/Task/"+task+"/$candidates", "")
	if got.status != http.StatusOK {
		c.t.Fatalf("$candidates: %d %s", got.status, got.body)
	}
	for _, p := range got.node.Each("parameter") {
		told := map[string][]string{}
		for _, part := range p.Each("part") {
			v := parameterValue(part)
			if ref := v.Text("reference"); ref != "" {
				told["reader"] = append(told["reader"], ref)
				continue
			}
			told[part.Text("name")] = append(told[part.Text("name")], v.Text())
		}
		if slices.Contains(told["reader"], practitioner) {
			if told["rank"] != nil {
				return "rank " + told["rank"][0]
			}
			return strings.Join(append(told["reason"], told["unavailable"]...), "; ")
		}
	}
	return ""
}

func TestWhatACoordinatorWritesOfAReaderCountsFromThenOn(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "1")...)
	c.tick()
	made := c.do(access.Coordinator, "POST", "/fhir/Practitioner", ito("2099-12-31").jsonText())
	if made.status != http.StatusCreated {
		t.Fatal(made.body)
	}
	who := "Practitioner/" + made.node.Text("id")
	if got := c.whoIs(task, who); got != "" {
		t.Fatalf("a Practitioner alone is no reader: %s", got)
	}
	role := c.do(access.Admin, "POST", "/fhir/PractitionerRole", roleOf(who, func(n *Node) { n.Remove("availableTime") }).jsonText())
	if role.status != http.StatusCreated {
		t.Fatal(role.body)
	}
	roleID := role.node.Text("id")
	if got := c.whoIs(task, who); !strings.HasPrefix(got, "rank ") {
		t.Fatalf("the new reader is told as %q", got)
	}
	put := func(as access.Role, n *Node, want int) {
		t.Helper()
		if got := c.do(as, "PUT", "/fhir/"+n.Type()+"/"+n.Text("id"), n.jsonText()); got.status != want {
			t.Errorf("PUT %s as %s: %d %s", n.Type(), as, got.status, got.body)
		}
	}
	changed := func(change func(*Node)) *Node {
		return roleOf(who, func(n *Node) { n.Remove("availableTime"); n.Set("id", roleID); change(n) })
	}
	practitioner := func(until string) *Node {
		n := ito(until)
		n.Set("id", made.node.Text("id"))
		return n
	}
	for _, step := range []struct {
		n    *Node
		want string
	}{
		{changed(func(n *Node) { n.Set("period", Object("start", "2025-01-01", "end", "2026-03-01")) }), "privilege for chest ended 2026-03-01"},
		{changed(func(n *Node) { n.Set("specialty", []*Node{concept(csSubspecialty, "neuro", "")}) }), "no privilege for chest"},
		{changed(func(n *Node) {
			n.Set("extension", []*Node{Object("url", extModality, "valueCoding", Object("system", dicom, "code", "MR"))})
		}), "no privilege for modality DX"},
		{changed(func(n *Node) {
			n.Set("notAvailable", []*Node{Object("description", "away", "during", Object("start", "2020-01-01", "end", "2098-12-31"))})
		}), "absent until 2098-12-31"},
		{changed(func(n *Node) {
			n.Set("location", []*Node{Object("reference", "#here")})
			n.Set("contained", []*Node{Object("resourceType", "Location", "id", "here", "address", Object("country", "US", "state", "NY"))})
		}), "rank "},
		{practitioner("2026-03-01"), "licence for US-NY expired 2026-03-01"},
		{changed(func(n *Node) { n.Set("active", false) }), ""},
		{changed(func(*Node) {}), "rank "},
		{practitioner("2099-12-31"), "rank "},
	} {
		put(access.Coordinator, step.n, http.StatusOK)
		if got := c.whoIs(task, who); got != step.want && (step.want != "rank " || !strings.HasPrefix(got, step.want)) {
			t.Errorf("told as %q, want %q", got, step.want)
		}
	}

	// Nobody else may say so, and what cannot be understood is refused.
	put(access.Placer, changed(func(n *Node) { n.Remove("period") }), http.StatusForbidden)
	put(access.Placer, practitioner("2099-12-31"), http.StatusForbidden)
	if got := c.do(access.Placer, "POST", "/fhir/PractitionerRole", roleOf(who).jsonText()); got.status != http.StatusForbidden {
		t.Errorf("an EHR credentials a reader: %d", got.status)
	}
	for _, wrong := range []func(*Node){
		func(n *Node) { n.Set("specialty", []*Node{concept(nucc, "207R00000X", "Internal medicine")}) },
		func(n *Node) { n.Set("code", []*Node{concept(csReaderRole, "boss", "")}) },
		func(n *Node) { n.Set("availableTime", []*Node{Object("daysOfWeek", []string{"mon"})}) },
		func(n *Node) { n.Set("extension", []*Node{Object("url", extZone, "valueCode", "Mars/Olympus")}) },
		func(n *Node) { n.Remove("practitioner") },
	} {
		put(access.Coordinator, changed(wrong), http.StatusBadRequest)
	}

	// A role that is deleted says nothing any more.
	if got := c.do(access.Coordinator, "DELETE", "/fhir/PractitionerRole/"+roleID, ""); got.status != http.StatusNoContent {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := c.whoIs(task, who); got != "" {
		t.Errorf("after the role: %q", got)
	}

	// All of it is kept, in order.
	var said []workflow.Said
	err := c.db.Tenant(context.Background(), c.tenant, func(tx pgx.Tx) error {
		id, err := readerIDOf(tx, made.node.Text("id"))
		if err == nil {
			said, err = workflow.StatementsTx(context.Background(), tx, id)
		}
		return err
	})
	if err != nil || len(said) != 12 || said[0].Source != "PractitionerRole/"+roleID || said[11].Document != nil {
		t.Errorf("%d statements: %v", len(said), err)
	}
}

func TestWhatTheOperatorSaysComesFirstAndRolesReplaceIt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "1")...)
	c.tick()
	second := "Practitioner/" + c.readers[access.Reader].ID.String()
	if got := c.whoIs(task, second); got == "" || got == "rank 0" {
		t.Fatalf("%q", got)
	}
	// EnsurePractitioner has made them on the way, or the first use does.
	if err := c.db.Tenant(context.Background(), c.tenant, func(tx pgx.Tx) error {
		return c.server.EnsurePractitioner(context.Background(), tx, c.tenant, c.readers[access.Reader].ID.String(), "Dr Second Reader")
	}); err != nil {
		t.Fatal(err)
	}
	role := roleOf(second, func(n *Node) {
		n.Remove("availableTime")
		n.Set("specialty", []*Node{concept(csSubspecialty, "neuro", "")})
	})
	if got := c.do(access.Coordinator, "POST", "/fhir/PractitionerRole", role.jsonText()); got.status != http.StatusCreated {
		t.Fatal(got.body)
	}
	if got := c.whoIs(task, second); got != "no privilege for chest" {
		t.Errorf("a role replaces what the operator said: %q", got)
	}
	var text string
	if err := c.db.Owner(t).QueryRow(context.Background(), `SELECT document FROM reader_credential WHERE seq = 1`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	var before workflow.Reader
	if err := json.Unmarshal([]byte(text), &before); err != nil || !slices.Contains(before.Subspecialties, "chest") {
		t.Errorf("what was before is kept: %s %v", text, err)
	}
}

func TestCandidatesAreToldToTheDeskAloneAndNotToWhoReadsHereBeforeTheReveal(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "1")...)
	if got := c.do(access.Coordinator, "GET", "/fhir/Task/"+task+"/$candidates", ""); got.status != http.StatusConflict {
		t.Errorf("before the checks: %d", got.status)
	}
	c.tick()
	for _, as := range []access.Role{access.Reader, access.Adjudicator, access.Placer, access.Auditor} {
		if got := c.do(as, "GET", "/fhir/Task/"+task+"/$candidates", ""); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", as, got.status)
		}
	}
	both := c.hat(c.readers[access.Adjudicator], access.Coordinator)
	if got := c.do(both, "GET", "/fhir/Task/"+task+"/$candidates", ""); got.status != http.StatusForbidden {
		t.Errorf("a coordinator who reads here learns who read first: %d %s", got.status, got.body)
	}
	got := c.do(access.Coordinator, "GET", "/fhir/Task/"+task+"/$candidates?duty=adjudicate", "")
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if _, err := Decode([]byte(got.body), "Parameters"); err != nil {
		t.Error(err)
	}
	if got := c.do(access.Coordinator, "GET", "/fhir/Task/"+task+"/$candidates?duty=dance", ""); got.status != http.StatusBadRequest {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := c.do(access.Coordinator, "GET", "/fhir/Task/nobody/$candidates", ""); got.status != http.StatusNotFound {
		t.Errorf("%d", got.status)
	}
	if err := c.server.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := c.audited("$candidates?duty=adjudicate"); n == 0 {
		t.Error("nobody can tell who has asked")
	}
}

func TestWhoseCredentialsEndIsAsked(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	made := c.do(access.Coordinator, "POST", "/fhir/Practitioner", ito(time.Now().AddDate(0, 0, 10).Format(time.DateOnly)).jsonText())
	if got := c.do(access.Coordinator, "POST", "/fhir/PractitionerRole", roleOf("Practitioner/"+made.node.Text("id")).jsonText()); got.status != http.StatusCreated {
		t.Fatal(got.body)
	}
	ends := func(query string) (what []string) {
		got := c.do(access.Admin, "GET", "/fhir/Practitioner/$expiring-credentials"+query, "")
		if got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		for _, p := range got.node.Each("parameter") {
			what = append(what, parameterValue(p.Each("part")[1]).Text())
		}
		return what
	}
	if diff := cmp.Diff([]string{"licence for US-NY"}, ends("")); diff != "" {
		t.Error(diff)
	}
	if got := ends("?days=9"); got != nil {
		t.Error(got)
	}
	named := func(role access.Role) (tasks []string) {
		for _, p := range c.do(role, "GET", "/fhir/Practitioner/$expiring-credentials", "").node.Each("parameter") {
			for _, part := range p.Each("part") {
				if part.Text("name") == "case" {
					tasks = append(tasks, parameterValue(part).Text("reference"))
				}
			}
		}
		return tasks
	}
	open := c.order(chestXray(t, "1")...)
	c.tick()
	c.sql(`UPDATE case_file SET state = 'accepted', reader_id = (SELECT reader_id FROM reader WHERE practitioner_id = '` + made.node.Text("id") + `')`)
	if got := named(access.Coordinator); len(got) != 1 || got[0] != "Task/"+open {
		t.Error("the coordinator is told of", got)
	}
	if got := named(access.Admin); got != nil {
		t.Error("an admin is told of", got)
	}
	if got := c.do(access.Reader, "GET", "/fhir/Practitioner/$expiring-credentials", ""); got.status != http.StatusForbidden {
		t.Error(got.status)
	}
}

func readerIDOf(tx pgx.Tx, practitioner string) (id uuid.UUID, err error) {
	err = tx.QueryRow(context.Background(), `SELECT reader_id FROM reader WHERE practitioner_id = $1`, practitioner).Scan(&id)
	return id, err
}

func TestACaseThatNobodyCouldReadIsLookedAtWhenAReaderComes(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"triage": [{"when": {"bodySite": ["chest"]}, "then": {"subspecialty": "cardiac"}}]}'`)
	task := c.order(chestXray(t, "1")...)
	c.tick()
	c.wantState(task, "unassignable")
	bundle := Object("resourceType", "Bundle", "type", "transaction", "entry", []*Node{
		entryOf(roleOf("urn:uuid:00000000-0000-4000-8000-000000000001", func(n *Node) {
			n.Set("specialty", []*Node{concept(csSubspecialty, "cardiac", "")})
		}), "urn:uuid:00000000-0000-4000-8000-000000000002"),
		entryOf(ito("2099-12-31"), "urn:uuid:00000000-0000-4000-8000-000000000001"),
	})
	if got := c.do(access.Coordinator, "POST", "/fhir", bundle.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	c.tick()
	c.wantState(task, "ready")
}
