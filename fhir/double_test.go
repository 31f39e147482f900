package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// twoReaders is a clinic in which two read, with the tokens of both.
func twoReaders(t *testing.T, policy string) (c *clinic, first, second string) {
	t.Helper()
	c = startClinic(t)
	if _, err := c.db.Owner(t).Exec(context.Background(), `UPDATE tenant SET policy = $1`, policy); err != nil {
		t.Fatal(err)
	}
	first = c.tokens[access.Reader]
	c.addColleague(access.Reader, "Dr Blind Twin", everything)
	return c, first, c.tokens[access.Reader]
}

// by lets a token act as the reader.
func (c *clinic) by(token string) *clinic {
	c.tokens[access.Reader] = token
	return c
}

// valuesOfPart are the values of a part of each parameter of this name.
func valuesOfPart(n *Node, name, part string) (values []string) {
	for _, p := range n.Get("parameter").Items() {
		if p.Text("name") != name {
			continue
		}
		for _, one := range p.Get("part").Items() {
			if one.Text("name") == part {
				values = append(values, parameterValue(one).Text())
			}
		}
	}
	return values
}

// The second of two readers is told nothing of the first, by any interaction, until
// both have locked: neither what they wrote, draft or sealed, nor who they are; nor
// anything of the original.
func TestTheSecondReaderIsToldNothingOfTheFirst(t *testing.T) {
	t.Parallel()
	c, first, second := twoReaders(t, `{"reading": "mixed", "escalations": [{"clock": "final", "at": 50, "chain": [{"tell": "reader", "by": ["notification"]}]}]}`)
	id := c.order(chestXray(t, "two")...)
	c.tick()
	c.by(first)
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	if _, err := c.db.Owner(t).Exec(context.Background(), `UPDATE agenda SET due_at = now() WHERE kind = 'clock-final'`); err != nil {
		t.Fatal(err)
	}
	c.tick() // the first reader is told that half of the time has passed
	c.mustAct(access.Reader, id, "$start")
	c.mustAct(access.Reader, id, "$draft", "findings", "canary draft", "impression", "canary")
	c.mustAct(access.Reader, id, "$lock")
	c.wantState(id, "ready")
	practitioner := c.practitionerOf("Dr Second Reader")

	original := "DiagnosticReport/" + c.get("/fhir/DiagnosticReport?status=final").ids()[0]
	look := func(who string) {
		t.Helper()
		c.by(second)
		for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
			for _, path := range []string{
				"Task/" + id, "Task/" + id + "/_history", "Task/" + id + "/$everything", "Task/" + id + "/$readings", "Task/" + id + "/$drafts",
				"Task/_history", "_history", "Communication", "Communication/_history", "DiagnosticReport", "Observation", "Provenance", "Task?_include=*&_revinclude=*",
				"Task?owner=Practitioner/" + practitioner, "Task?owner.identifier=x", "Practitioner?_has:Task:owner:status=ready", "Communication?recipient=Practitioner/" + practitioner,
				"Practitioner/" + practitioner + "/*", "Patient/" + localPart(c.task(id).Text("for", "reference")) + "/$everything", original, "AuditEvent?entity=Task/" + id, "Task/" + id + "/$quality", "$export",
			} {
				got := c.do(role, "GET", "/fhir/"+path, "", "Prefer", "respond-async")
				body := got.body
				if strings.HasPrefix(path, "Patient/") || strings.HasPrefix(path, "Practitioner/") || strings.HasPrefix(path, "_history") { // who reads here is known to all; that they read this is not
					body = strings.Join(thatPointAt(got.node, "Practitioner/"+practitioner), " ")
				}
				for _, secret := range []string{"canary", "Practitioner/" + practitioner, "Dr Second Reader"} {
					if strings.Contains(strings.ReplaceAll(body, "fhir/"+path, ""), secret) && got.status == http.StatusOK {
						t.Errorf("%s: to the %s, %s tells %q: %.300s", who, role, path, secret, body)
					}
				}
			}
		}
		if there := c.reads(access.Reader, original); there != nil {
			t.Errorf("%s: the original is there", who)
		}
		task := c.do(access.Reader, "GET", "/fhir/Task/"+id, "").node
		if task.Get("executionPeriod") != nil {
			t.Errorf("%s: the Task says since when it is read: %s", who, task.Bytes())
		}
		if got := c.do(access.Reader, "GET", "/fhir/Task/"+id+"/_history", ""); len(got.node.Each("entry")) != 1 {
			t.Errorf("%s: the history of the Task tells of %d versions", who, len(got.node.Each("entry")))
		}
		if got := c.do(access.Reader, "GET", "/fhir/Task/"+id+"/_history/2", ""); got.status != http.StatusNotFound {
			t.Errorf("%s: an earlier version of the Task is %d", who, got.status)
		}
		if got := c.do(access.Placer, "GET", "/fhir/Task/"+id+"/_history", ""); len(got.node.Each("entry")) < 4 {
			t.Errorf("the placer has %d versions of the Task", len(got.node.Each("entry")))
		}
		c.by(first)
		if there := c.reads(access.Reader, original); there != nil {
			t.Errorf("%s: the original is there for the first", who)
		}
		c.by(second)
	}
	look("in the pool")
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	look("while the second reads")
	c.by(first)
	got := c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$readings", "")
	if diff := cmp.Diff([]string{"first"}, valuesOfPart(got.node, "reading", "part")); diff != "" {
		t.Error("the first sees their own:", diff)
	}
	if got := c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$drafts", ""); len(valuesOfPart(got.node, "draft", "number")) != 1 || !strings.Contains(got.body, "canary draft") {
		t.Error(got.body)
	}
	c.by(second)
	c.mustAct(access.Reader, id, "$lock", "findings", "other", "impression", "other")
	c.wantState(id, "conferring")
	got = c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$readings", "")
	if diff := cmp.Diff([]string{"canary", "other"}, valuesOfPart(got.node, "reading", "impression")); diff != "" {
		t.Error("both have locked, and see both:", diff)
	}
	if strings.Contains(got.body, "who") || strings.Contains(c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$drafts", "").body, "canary") {
		t.Error("who gave which is the quality role's, and a draft its author's")
	}
	if there := c.reads(access.Reader, original); there != nil {
		t.Error("the original is there before two have come to one opinion")
	}
	c.act(access.Coordinator, id, "$propose", "findings", "x", "impression", "y").want(t, http.StatusForbidden, "forbidden")
	c.do(access.Coordinator, "GET", "/fhir/Task/"+id+"/$readings", "").want(t, http.StatusForbidden, "forbidden")

	c.mustAct(access.Reader, id, "$propose", "findings", "common", "impression", "common")
	c.by(first)
	sums := valuesOfPart(c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$readings", "").node, "reading", "sha256")
	c.act(access.Reader, id, "$concur", "sha256", sums[1]).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Reader, id, "$concur", "sha256", sums[2])
	c.by(second)
	c.mustAct(access.Reader, id, "$reveal")
	if there := c.reads(access.Reader, original); there == nil {
		t.Error("after the reveal the original is not there")
	}
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")
	report := c.report(id)
	var names []string
	for _, p := range report.Each("resultsInterpreter") {
		names = append(names, p.Text("display"))
	}
	if diff := cmp.Diff([]string{"Dr Blind Twin", "Dr Second Reader"}, names); diff != "" || !strings.HasPrefix(report.Text("conclusion"), "common") {
		t.Errorf("both answer for the text: %s %s", diff, report.Bytes())
	}
	told := c.do(access.Quality, "GET", "/fhir/Task/"+id+"/$readings", "")
	if diff := cmp.Diff([]string{"first", "second", "proposal"}, valuesOfPart(told.node, "reading", "part")); diff != "" || len(valuesOfPart(told.node, "reading", "who")) != 3 {
		t.Errorf("quality sees all: %s %s", diff, told.body)
	}
}

// localPart is the id of a reference.
func localPart(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// thatPointAt are the resources of a Bundle, and but the directory's, that point at a reference.
func thatPointAt(bundle *Node, ref string) (found []string) {
	for _, n := range bundle.Each("entry", "resource") {
		if n.Type() != "Practitioner" && n.Type() != "PractitionerRole" && strings.Contains(n.jsonText(), ref) {
			found = append(found, n.jsonText())
		}
	}
	return found
}

func (c *clinic) practitionerOf(name string) (id string) {
	c.t.Helper()
	err := c.db.Owner(c.t).QueryRow(context.Background(), `SELECT practitioner_id FROM reader WHERE display = $1`, name).Scan(&id)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

// A third reader who is to read for themselves first finds neither the original nor
// what the reader has written, though the reader has both; then they find both.
func TestAThirdReaderIsBlindUntilTheyHaveLockedWhereThePolicySaysSo(t *testing.T) {
	t.Parallel()
	c, first, _ := twoReaders(t, `{"blindAdjudication": true}`)
	id := c.order(chestXray(t, "veiled")...)
	c.tick()
	c.by(first)
	c.read(id)
	c.mustAct(access.Reader, id, "$grade", "discrepancy", missed("important"), "difference", "A nodule is not mentioned.")
	c.wantState(id, "adjudication")
	original := "DiagnosticReport/" + c.get("/fhir/DiagnosticReport?status=final").ids()[0]
	if there := c.reads(access.Reader, original); there == nil {
		t.Error("the reader of the case compares, and does not find the original")
	}
	hidden := func() {
		t.Helper()
		if there := c.reads(access.Adjudicator, original, original+"/_history/1"); there != nil {
			t.Errorf("the third reader finds %v", there)
		}
		if got := c.do(access.Adjudicator, "GET", "/fhir/Task/"+id+"/$readings", ""); valuesOfPart(got.node, "reading", "part") != nil {
			t.Error(got.body)
		}
		if ids := c.do(access.Adjudicator, "GET", "/fhir/DiagnosticReport?status=final", "").ids(); len(ids) != 0 {
			t.Error(ids)
		}
	}
	hidden()
	c.act(access.Adjudicator, id, "$adjudicate", "decision", "own").want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Adjudicator, id, "$claim", "independent", true)
	hidden()
	c.mustAct(access.Adjudicator, id, "$lock", "findings", "third", "impression", "third")
	if there := c.reads(access.Adjudicator, original); there == nil {
		t.Error("after the lock the third reader does not find the original")
	}
	if diff := cmp.Diff([]string{"first", "adjudication"}, valuesOfPart(c.do(access.Adjudicator, "GET", "/fhir/Task/"+id+"/$readings", "").node, "reading", "part")); diff != "" {
		t.Error(diff)
	}
	c.mustAct(access.Adjudicator, id, "$adjudicate", "decision", "own", "discrepancy", missed("unimportant"), "difference", "A small nodule is not mentioned.")
	c.mustAct(access.Adjudicator, id, "$sign")
	if got := c.report(id).Text("conclusion"); !strings.HasPrefix(got, "third") {
		t.Error(got)
	}
	told := c.do(access.Quality, "GET", "/fhir/Task/"+id+"/$quality", "")
	if levels := valuesOfPart(told.node, "grade", "level"); !cmp.Equal(levels, []string{"major", "minor"}) {
		t.Errorf("both grades are kept: %v", levels)
	}
}

func TestAnOrderMayAskForAProtocolWhereThePolicyLetsIt(t *testing.T) {
	t.Parallel()
	for allowed, want := range map[string]string{"true": "arbitration order", "false": "single policy; the order asked for arbitration, which the policy does not allow"} {
		c, _, _ := twoReaders(t, `{"orderMayAskProtocol": `+allowed+`}`)
		entries := chestXray(t, "asks")
		order := entries[len(entries)-1].Get("resource")
		order.Append("orderDetail", concept(csProtocol, "arbitration", "Arbitration"))
		id := c.order(entries...)
		c.tick()
		c.wantState(id, "ready")
		var got string
		if err := c.db.Owner(t).QueryRow(context.Background(), `SELECT reading || ' ' || protocol_why FROM case_file WHERE task_id = $1`, id).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", allowed, got, want)
		}
	}
}
