package fhir

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/workflow"
)

func TestTheOriginalReaderIsToldWithoutScoreOrNameAndAnswers(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.meets(`{"feedback": "peer-learning"}`)
	task := c.order(chestXray(t, "1")...)
	c.tick()
	c.read(task)
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("unimportant"), "difference", "A nodule is not mentioned.", "goodCall", true, "comment", "QCANARY-comment")
	c.mustAct(access.Reader, task, "$sign")
	c.mustAct(access.Reader, task, "$add-learning-point", "text", "Look behind the heart.")
	got := c.do(ronald, "GET", "/fhir/Communication/$feedback", "")
	if err := Validate(got.node); err != nil || got.status != http.StatusOK {
		t.Fatal(got.status, got.body, err)
	}
	messages := got.node.Each("entry", "resource")
	if len(messages) != 1 || messages[0].Text("meta", "security", "code") != "V" || !strings.HasPrefix(messages[0].Text("about", "reference"), "DiagnosticReport/") {
		t.Fatalf("%s", got.body)
	}
	for _, word := range []string{"A nodule is not mentioned.", "Look behind the heart.", "A good call"} {
		if !strings.Contains(got.body, word) {
			t.Errorf("%q is not told: %s", word, got.body)
		}
	}
	for _, word := range []string{"most-of-the-time", `"3a"`, "QCANARY", "Second Reader", c.readers[access.Reader].ID.String(), "unimportant"} {
		if strings.Contains(got.body, word) {
			t.Errorf("%q is told: %s", word, got.body)
		}
	}
	id := messages[0].Text("id")
	if c.do(access.Reader, "GET", "/fhir/Communication/$feedback", ""); len(c.do(another, "GET", "/fhir/Communication/$feedback", "").node.Each("entry")) != 0 {
		t.Error("somebody else is told")
	}
	disagree := parametersBody("agrees", value("valueBoolean", false), "text", value("valueString", "QCANARY it is a vessel"))
	c.do(another, "POST", "/fhir/Communication/"+id+"/$respond", disagree).want(t, http.StatusNotFound, "not-found")
	if got := c.do(ronald, "POST", "/fhir/Communication/"+id+"/$respond", disagree); got.status != http.StatusOK || Validate(got.node) != nil {
		t.Fatalf("%d %s", got.status, got.body)
	}
	c.do(ronald, "POST", "/fhir/Communication/"+id+"/$respond", disagree).want(t, http.StatusConflict, "conflict")
	// It is a resource for nobody.
	for _, role := range append(slices.Clone(clinical), ronald) {
		for _, path := range []string{"Communication/" + id, "Communication?identifier=" + sidFeedback + "|" + id} {
			if got := c.do(role, "GET", "/fhir/"+path, ""); got.status == http.StatusOK && (strings.Contains(got.body, `"Communication"`) || len(got.ids()) > 0) {
				t.Errorf("%s by %s: %s", path, role, got.body)
			}
		}
	}
	for _, role := range []access.Role{access.Placer, access.Coordinator, access.Auditor, access.Director, access.Quality, access.Admin} {
		c.do(role, "GET", "/fhir/Communication/$feedback", "").want(t, http.StatusForbidden, "forbidden")
	}
	// The quality role has the answer, and a review.
	if got := c.do(access.Quality, "GET", "/fhir/Task/"+task+"/$quality", ""); saidIn(got.node, "feedback", "answer") != "QCANARY it is a vessel" || saidIn(got.node, "feedback", "agrees") != "false" {
		t.Errorf("%s", got.body)
	}
	if got := c.do(access.Quality, "GET", "/fhir/Task/$reviews", ""); saidIn(got.node, "review", "case") != "Task/"+task || saidIn(got.node, "review", "reason") != workflow.OriginalReaderDisagrees {
		t.Errorf("%s", got.body)
	}
	c.mustAct(access.Quality, task, "$close-review", "conclusion", "stands", "note", "QCANARY it is none")
	if got := c.do(access.Quality, "GET", "/fhir/Task/$reviews", ""); strings.Contains(got.body, task) {
		t.Error("it is closed and waits still")
	}
	c.act(access.Director, task, "$open-review", "reason", "because").want(t, http.StatusForbidden, "forbidden")
	if err := c.server.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	opened := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|quality-opened&entity=Task/"+task, "")
	if len(opened.ids()) != 3 { // told, answered, and the quality role
		t.Errorf("%d openings are recorded", len(opened.ids()))
	}
}

func TestNothingIsToldToWhoReadsAnotherCaseOfThePatientBlind(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.meets(`{"feedback": "difference"}`)
	c.signedChest("1", "unimportant")
	told := func() int { return len(c.do(ronald, "GET", "/fhir/Communication/$feedback", "").node.Each("entry")) }
	if told() != 1 {
		t.Fatal("nothing is told at all")
	}
	entries := chestXray(t, "2")
	for _, e := range entries {
		r := e.Get("resource")
		if r.Type() == "Patient" {
			e.Get("request").Set("ifNoneExist", "identifier="+r.Text("identifier", "system")+"|"+r.Text("identifier", "value"))
		}
		if r.Type() == "DiagnosticReport" { // another reader's
			r.Set("performer", []*Node{Object("display", "Dr Another")})
			r.Remove("resultsInterpreter")
		}
		if r.Type() == "Observation" {
			r.Remove("performer")
		}
	}
	second := c.order(entries...)
	c.tick()
	c.mustAct(ronald, second, "$claim", "independent", true)
	if told() != 0 {
		t.Error("told while they read the patient blind")
	}
	c.mustAct(ronald, second, "$lock", "findings", "None.", "impression", "Normal.")
	c.mustAct(ronald, second, "$reveal")
	if told() != 1 {
		t.Error("not told after the reveal")
	}
}
