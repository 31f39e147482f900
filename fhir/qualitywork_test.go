package fhir

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// The reader of the original in chestXray, who reads here too; and another one.
const (
	ronald  access.Role = "ronald"
	another access.Role = "another"
)

// meets credentials the reader of the original, under this policy.
func (c *clinic) meets(policy string) {
	c.t.Helper()
	c.sql(`UPDATE tenant SET policy = '` + policy + `'`)
	credential := everything
	credential.Identifiers = []string{npi + "|9941339100"}
	c.tokens[ronald], c.readers[ronald] = pgtest.AddReader(c.t, c.db, c.tenant, "Dr Ronald Bone", credential)
	c.tokens[another], c.readers[another] = pgtest.AddReader(c.t, c.db, c.tenant, "Dr Fourth Reader", everything)
}

// value is a value[x] as it stands in a parameter.
func value(element string, v any) *Node { return Object(element, v) }

// saidIn is what the first out parameter of a name says, or a part of it.
func saidIn(n *Node, name, of string) string {
	for _, p := range n.Each("parameter") {
		if p.Text("name") == name && of == "" {
			return parameterValue(p).Text()
		}
		if p.Text("name") == name {
			for _, inner := range p.Each("part") {
				if inner.Text("name") == of {
					v := parameterValue(inner)
					return v.Text() + v.Text("reference")
				}
			}
		}
	}
	return ""
}

func parametersBody(params ...any) string {
	var rows []*Node
	for i := 0; i < len(params); i += 2 {
		row := Object("name", params[i])
		for _, m := range params[i+1].(*Node).members {
			row.Set(m.name, m.value)
		}
		rows = append(rows, row)
	}
	return Object("resourceType", "Parameters", "parameter", rows).jsonText()
}

func (c *clinic) signedChest(placer string, significance string) (task string) {
	c.t.Helper()
	task = c.order(chestXray(c.t, placer)...)
	c.tick()
	c.read(task)
	if significance == "" {
		c.mustAct(access.Reader, task, "$grade", "agreement", true)
	} else {
		c.mustAct(access.Reader, task, "$grade", "discrepancy", missed(significance)[:3], "difference", "A nodule is not mentioned.", "comment", "QCANARY-comment")
	}
	c.mustAct(access.Reader, task, "$sign")
	return task
}

func TestWhatBecameOfACaseIsToldInTheQualityCompartmentAlone(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.signedChest("1", "unimportant")
	before := c.task(task).jsonText()
	report := c.report(task)
	c.mustAct(access.Placer, task, "$judge-management", "management", "treatment", "note", "QCANARY operated")
	original := report.Text("extension", "valueReference", "reference")
	c.mustAct(access.Placer, task, "$outcome", "right", "second", "source", "pathology", "date", value("valueDate", "2026-01-02"),
		"evidence", value("valueReference", Object("reference", original)), "note", "QCANARY adenocarcinoma")
	for _, bad := range []string{"Observation/none", "Patient/1", "https://elsewhere.example/Observation/1"} {
		if got := c.act(access.Placer, task, "$outcome", "right", "second", "source", "pathology", "date", value("valueDate", "2026-01-02"),
			"evidence", value("valueReference", Object("reference", bad))); got.status < 400 || !strings.Contains(got.body, "evidence") {
			t.Errorf("%s as evidence: %d %s", bad, got.status, got.body)
		}
	}
	c.mustAct(access.Quality, task, "$outcome", "right", "both", "source", "surgery", "date", value("valueDate", "2026-02-03"))
	c.act(access.Reader, task, "$judge-management", "management", "none").want(t, http.StatusForbidden, "forbidden")
	got := c.do(access.Quality, "GET", "/fhir/Task/"+task+"/$quality", "")
	if err := Validate(got.node); err != nil {
		t.Error(issueLines(err))
	}
	for name, want := range map[[2]string]string{
		{"judgement", "management"}: "treatment", {"judgement", "note"}: "QCANARY operated",
		{"outcome", "right"}: "second", {"outcome", "date"}: "2026-01-02", {"outcome", "evidence"}: original, {"outcome", "role"}: "placer",
	} {
		if saidIn(got.node, name[0], name[1]) != want {
			t.Errorf("%v is %q, want %q", name, saidIn(got.node, name[0], name[1]), want)
		}
	}
	if !strings.Contains(got.body, `"surgery"`) {
		t.Error("the second word is not told")
	}
	if after := c.task(task).jsonText(); after != before || c.report(task).jsonText() != report.jsonText() {
		t.Error("the chart has changed")
	}
}

func TestALearningPointIsRefusedWhereItNamesThePatientOrAReader(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.signedChest("1", "")
	for _, text := range []string{"Baxter had it.", "as in 1032702", "born 1987-02-20", "of 20 February 1987", "Dr Ronald Bone missed it", "seen by dr second reader"} {
		if got := c.act(access.Reader, task, "$add-learning-point", "text", text); got.status < 400 || strings.Contains(got.body, "Baxter") {
			t.Errorf("%q: %d %s", text, got.status, got.body)
		}
	}
	c.mustAct(access.Reader, task, "$add-learning-point", "text", "Look behind the heart.", "tag", "lung-nodule")
	c.act(access.Placer, task, "$add-learning-point", "text", "Look.").want(t, http.StatusForbidden, "forbidden")
	c.mustAct(access.Quality, task, "$withdraw-learning-point", "number", value("valuePositiveInt", 1))
	if got := c.do(access.Quality, "GET", "/fhir/Task/"+task+"/$quality", ""); strings.Contains(got.body, "behind the heart") {
		t.Error("it is told after it was withdrawn")
	}
}

// By whichever part of the name, and however the order and the original name them.
func TestALearningPointNamesNobodyWhoReadsOrAsked(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	_, _ = pgtest.AddReader(t, c.db, c.tenant, "Dr. med. Sofia Brandt", everything)
	_, _ = pgtest.AddReader(t, c.db, c.tenant, "Dr Luke Bone", everything)
	entries := chestXray(t, "1")
	first, asks := newURN(), newURN()
	for _, e := range entries {
		switch r := e.Get("resource"); r.Type() {
		case "DiagnosticReport":
			r.Set("performer", []*Node{Object("reference", first)})
			r.Set("resultsInterpreter", []*Node{Object("display", "Dr. Leonard Zwick")})
		case "ServiceRequest":
			r.Set("requester", Object("reference", asks))
		}
	}
	who := func(given, family string) *Node {
		return Object("resourceType", "Practitioner", "name", []*Node{Object("family", family, "given", []string{given})})
	}
	task := c.order(append([]*Node{entryOf(who("Nikolai", "Petrov"), first), entryOf(who("Maud", "Gonzalez-Lopez"), asks)}, entries...)...)
	c.tick()
	c.read(task)
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("unimportant")[:3], "difference", "PETROV did not mention a nodule.")
	c.mustAct(access.Reader, task, "$sign")
	for _, text := range []string{"Dr Petrov missed it", "PETROV", "nikolai's report", "Zwick missed it", "ask Brandt", "as Gonzalez said", "Dr. Bone saw it", "Luke saw it"} {
		c.act(access.Reader, task, "$add-learning-point", "text", text).want(t, http.StatusUnprocessableEntity, "business-rule")
	}
	for _, text := range []string{"Look behind the heart, at the bone and at the soft tissue.", "Any doctor may overlook the second nodule: do not be the next reader of one."} {
		c.mustAct(access.Reader, task, "$add-learning-point", "text", text)
	}
	pack := c.do(access.Quality, "POST", "/fhir/Task/$make-meeting-pack", parametersBody("title", value("valueString", "November")))
	if strings.Contains(strings.ToLower(pack.body), "petrov") || !strings.Contains(pack.body, "left out: it names somebody") || !strings.Contains(pack.body, "at the bone") {
		t.Errorf("%d %s", pack.status, pack.body)
	}
}

// Nothing of what comes after the signature is anywhere but in its tables.
func TestNothingOfQualityWorkIsOutsideItsCompartment(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.meets(`{"feedback": "peer-learning", "grading": "scored"}`)
	task := c.signedChest("1", "unimportant")
	patient := strings.TrimPrefix(c.task(task).Text("for", "reference"), "Patient/")
	c.mustAct(access.Placer, task, "$judge-management", "management", "treatment", "note", "QCANARY-note")
	c.mustAct(access.Placer, task, "$outcome", "right", "second", "source", "pathology", "date", value("valueDate", "2026-01-02"), "note", "QCANARY-truth")
	c.mustAct(access.Reader, task, "$add-learning-point", "text", "QCANARY-point", "tag", "qcanary-tag")
	c.mustAct(access.Quality, task, "$open-review", "reason", "QCANARY-reason")
	c.mustAct(access.Quality, task, "$close-review", "conclusion", "learning", "note", "QCANARY-conclusion")
	id := c.do(ronald, "GET", "/fhir/Communication/$feedback", "").node.Each("entry", "resource")[0].Text("id")
	c.do(ronald, "POST", "/fhir/Communication/"+id+"/$respond", parametersBody("agrees", value("valueBoolean", true), "text", value("valueString", "QCANARY-answer")))
	pack := c.do(access.Quality, "POST", "/fhir/Task/$make-meeting-pack", parametersBody("title", value("valueString", "QCANARY-title")))
	if pack.status != http.StatusOK || !strings.Contains(pack.body, "QCANARY-point") {
		t.Fatalf("%d %s", pack.status, pack.body)
	}
	for _, role := range anybody {
		paths := []string{"/Task/" + task, "/Task/" + task + "/_history", "/Task/" + task + "/$everything", "/Patient/" + patient + "/$everything", "/Patient/" + patient + "/*", "/_history?_count=500",
			"?_type=Task,Communication,DiagnosticReport,Observation,Provenance,Basic,MeasureReport"}
		if role == access.Placer || role == access.Director {
			paths = append(paths, "/Task?_include=*&_revinclude=*&_count=500", "/Communication?_count=500", "/Practitioner?_revinclude=*&_count=500")
		}
		for _, path := range paths {
			got := c.do(role, "GET", "/fhir"+path, "")
			if found := secretIn(got.body); found != "" || strings.Contains(got.body, id) || strings.Contains(got.body, "qcanary-tag") {
				t.Errorf("%s by %s gives it (%s)", path, role, found)
			}
		}
		for _, service := range []string{"$reviews", "$samples", "$meeting-pack", "$meeting-pack?id=" + saidIn(pack.node, "id", "")} {
			if got := c.do(role, "GET", "/fhir/Task/"+service, ""); role != access.Quality && got.status != http.StatusForbidden {
				t.Errorf("%s by %s: %d", service, role, got.status)
			}
		}
	}
	for _, form := range c.sentForms() {
		if found := secretIn(form); found != "" {
			t.Errorf("what is sent to the EHR has %s", found)
		}
	}
	if err := c.server.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	own := []string{"clinician_judgement.note", "feedback.answer", "ground_truth.note", "grade.content", "learning_point.tags", "learning_point.text", "meeting_pack.content", "meeting_pack.title", "quality_review.note", "quality_review.reason"}
	for _, at := range c.tablesWith("QCANARY-", "qcanary-tag", "most-of-the-time") {
		if !slices.Contains(own, at) {
			t.Errorf("it is in %s", at)
		}
	}
}

// The pages' examples of quality work, which need a signed case and other tokens
// than a placer's.
func TestTheExamplesOfQualityWorkDoWhatTheySay(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.meets(`{"feedback": "difference"}`)
	task := c.signedChest("1", "unimportant")
	c.mustAct(access.Reader, task, "$add-learning-point", "text", "Look behind the heart.")
	want := map[string]string{"say-what-became-of-it": `"Task"`, "quality-work": "Look behind the heart.", "read-feedback": "A nodule is not mentioned.", "translate-a-score": `"3b"`}
	for _, h := range howTos {
		word, ok := want[h.ID]
		if !ok {
			continue
		}
		delete(want, h.ID)
		tokens := "OVERREAD_QUALITY_TOKEN=" + c.tokens[access.Quality] + "\nOVERREAD_READER_TOKEN=" + c.tokens[ronald] + "\n"
		out, err := c.shell(access.Placer, tokens+c.server.setup().Command+"\n"+h.Command)
		if err != nil || !strings.Contains(out, word) {
			t.Errorf("%s: %v\n%s", h.ID, err, out)
		}
	}
	if len(want) > 0 {
		t.Errorf("the pages lack %v", want)
	}
	if got := c.do(access.Quality, "GET", "/fhir/Task/"+task+"/$quality", ""); saidIn(got.node, "judgement", "management") != "work-up" || saidIn(got.node, "outcome", "right") != "second" {
		t.Errorf("%s", got.body)
	}
}
