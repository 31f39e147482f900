package fhir

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// That who read first is one of ours may come to light by what a Practitioner is called
// later; a number that has nothing to do with it asks nothing.
func TestAPractitionerWhoTurnsOutToBeBothReadersIsNoticed(t *testing.T) {
	t.Parallel()
	number := func(system, value string) func(n *Node) {
		return func(n *Node) { n.Append("identifier", Object("system", system, "value", value)) }
	}
	for name, row := range map[string]struct {
		performer func(c *clinic, other string) *Node // of the original
		change    func(c *clinic, other, own string)
		told      bool
	}{
		"the first reader gets our reader's number": {
			func(_ *clinic, other string) *Node { return Object("reference", "Practitioner/"+other) },
			func(c *clinic, other, _ string) { c.mustChange("Practitioner", other, number(npi, tanaka)) }, true},
		"our reader gets the number of the first": {
			func(*clinic, string) *Node {
				return Object("type", "Practitioner", "identifier", Object("system", "urn:staff", "value", "7"))
			},
			func(c *clinic, _, own string) {
				got := c.do(access.Admin, "GET", "/fhir/Practitioner/"+own, "").node
				number("urn:staff", "7")(got)
				c.do(access.Admin, "PUT", "/fhir/Practitioner/"+own, got.jsonText()).want(t, 200, "")
			}, true},
		"the role of the first reader turns out to be our reader's": {
			func(c *clinic, other string) *Node {
				return Object("reference", "PractitionerRole/"+c.mustCreate("PractitionerRole", Object("resourceType", "PractitionerRole", "practitioner", Object("reference", "Practitioner/"+other)).jsonText()))
			},
			func(c *clinic, _, own string) {
				c.mustChange("PractitionerRole", c.get("/fhir/PractitionerRole").ids()[0], func(n *Node) {
					n.Set("practitioner", Object("reference", "Practitioner/"+own))
				})
			}, true},
		"another number": {
			func(_ *clinic, other string) *Node { return Object("reference", "Practitioner/"+other) },
			func(c *clinic, other, _ string) { c.mustChange("Practitioner", other, number(npi, "1000000001")) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			c.numbered()
			other := c.mustCreate("Practitioner", `{"resourceType":"Practitioner","name":[{"family":"Elsewhere"}]}`)
			o := orderToSpoil(t, "both")
			performer := []*Node{row.performer(c, other)}
			o.send(c)
			original := c.get("/fhir/DiagnosticReport?imaging-study:missing=false").ids()[0]
			c.mustChange("DiagnosticReport", original, func(n *Node) {
				n.Set("performer", performer)
				n.Remove("resultsInterpreter")
				n.Remove("result")
			})
			c.tick()
			c.read(o.taskID)
			c.mustAct(access.Reader, o.taskID, "$grade", "agreement", true)
			c.mustAct(access.Reader, o.taskID, "$sign")
			row.change(c, other, c.practitionerOf("Dr Second Reader"))
			if n := c.count(`agenda WHERE kind = 'who-read-first'`); (n == 1) != row.told {
				t.Errorf("%d cases are to be looked at", n)
			}
			c.tick()
			if told := strings.Contains(c.task(o.taskID).jsonText(), "same-reader"); told != row.told {
				t.Errorf("told: %t", told)
			}
		})
	}
}

// A laboratory's Observation has no signed case looked at; one of the original has.
func TestOnlyAnObservationOfAReportOfTheStudyTellsWhoReadFirst(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.signed("91")
	patient := c.task(task).Text("for", "reference")
	signed := func(n *Node) (cases int) {
		t.Helper()
		actor := access.Actor{Tenant: c.tenant, Role: access.Placer}
		err := c.db.Tenant(t.Context(), c.tenant, func(tx pgx.Tx) error {
			patients, err := c.server.patientsOf(t.Context(), tx, actor, n)
			if err != nil {
				return err
			}
			ids, err := c.server.signedConcerned(t.Context(), tx, actor, n, patients)
			cases = len(ids)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return cases
	}
	lab := c.mustCreate("Observation", Object("resourceType", "Observation", "status", "final", "code", Object("text", "Sodium"), "subject", Object("reference", patient)).jsonText())
	c.mustCreate("DiagnosticReport", Object("resourceType", "DiagnosticReport", "status", "final", "code", Object("text", "Electrolytes"),
		"subject", Object("reference", patient), "result", []*Node{Object("reference", "Observation/"+lab)}).jsonText())
	if n := signed(c.get("/fhir/Observation/" + lab).node); n != 0 {
		t.Errorf("a laboratory's Observation concerns %d signed cases", n)
	}
	named := ""
	for _, id := range c.get("/fhir/DiagnosticReport?imaging-study:missing=false").node.Each("entry", "resource") {
		if !isOurs(id) {
			named = parseReference(id.Each("result")[0].Text("reference")).id
		}
	}
	if n := signed(c.get("/fhir/Observation/" + named).node); n != 1 {
		t.Errorf("an Observation of the original concerns %d signed cases", n)
	}
	c.mustChange("Observation", named, func(n *Node) { n.Set("performer", []*Node{Object("display", "Dr Second Reader")}) })
	if task := c.task(task).jsonText(); !strings.Contains(task, "same-reader") {
		t.Error("who made a result of the original is not looked at")
	}
}
