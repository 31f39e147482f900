package fhir

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
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
		c.mustAct(access.Reader, task, "$grade")
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
	opened := c.do(access.Auditor, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|quality-opened&entity=Task/"+task, "")
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

func TestAMeetingPackNamesNobodyAndStaysAsItWasMade(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"grading": "peer-learning"}'`)
	task := c.order(chestXray(t, "1")...)
	c.tick()
	c.read(task)
	scored := missed("unimportant")
	if got := c.act(access.Reader, task, "$grade", "discrepancy", scored, "difference", "A nodule is not mentioned."); !strings.Contains(got.body, "leave expectedness out") {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.mustAct(access.Reader, task, "$grade", "discrepancy", scored[:4], "difference", "Ms Baxter has a nodule that Ronald Bone does not mention.")
	c.mustAct(access.Reader, task, "$sign")
	if got := c.do(access.Quality, "GET", "/fhir/Task/"+task+"/$quality", ""); strings.Contains(got.body, "radpeer") || strings.Contains(got.body, "fivePoint") {
		t.Errorf("a score under peer learning: %s", got.body)
	}
	unsigned := c.order(chestXray(t, "2")...)
	make := func(params ...any) response {
		return c.do(access.Quality, "POST", "/fhir/Task/$make-meeting-pack", parametersBody(params...))
	}
	title := value("valueString", "November")
	make("title", title).want(t, http.StatusUnprocessableEntity, "business-rule") // nothing to learn yet
	c.mustAct(access.Reader, task, "$add-learning-point", "text", "Look behind the heart.", "tag", "lung-nodule")
	make("title", title, "case", value("valueReference", Object("reference", "Task/"+unsigned))).want(t, http.StatusUnprocessableEntity, "business-rule")
	make("title", value("valueString", "The case of Baxter")).want(t, http.StatusUnprocessableEntity, "business-rule")
	make("title", title, "tag", value("valueCode", "brain")).want(t, http.StatusUnprocessableEntity, "business-rule")
	make("title", title, "to", value("valueDate", "2020-01-01")).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Placer, task, "$outcome", "right", "second", "source", "pathology", "date", value("valueDate", "2026-01-02"))
	got := make("title", title, "tag", value("valueCode", "lung-nodule"), "from", value("valueDate", "2020-01-01"))
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if err := Validate(got.node); err != nil {
		t.Error(issueLines(err))
	}
	text := got.body
	kinds := []string{}
	for _, p := range got.node.Each("parameter") {
		if p.Text("name") == "document" {
			raw, err := base64.StdEncoding.DecodeString(p.Text("valueAttachment", "data"))
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, p.Text("valueAttachment", "contentType"))
			text += string(raw)
			if p.Text("valueAttachment", "contentType") == "application/pdf" && !bytes.HasPrefix(raw, []byte("%PDF-")) {
				t.Error("it is no PDF")
			}
		}
	}
	if diff := cmp.Diff([]string{"text/html", "application/pdf"}, kinds); diff != "" {
		t.Error(diff)
	}
	for _, word := range []string{"Look behind the heart.", "lung-nodule", "perception", "left out: it names somebody", "30 to 39"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in it: %s", word, got.body)
		}
	}
	for _, word := range []string{"Baxter", "Shaw", "1032702", "Ronald", "Second Reader", "1987", task, c.task(task).Text("for", "reference"), "most-of-the-time"} {
		if strings.Contains(text, word) {
			t.Errorf("%q is in it", word)
		}
	}
	id := c.do(access.Quality, "GET", "/fhir/Task/$meeting-pack", "").node
	first := saidIn(id, "pack", "id")
	c.mustAct(access.Quality, task, "$withdraw-learning-point", "number", value("valuePositiveInt", 1))
	if again := c.do(access.Quality, "GET", "/fhir/Task/$meeting-pack?id="+first, ""); again.body != got.body {
		t.Errorf("it has changed:\n%s\n%s", got.body, again.body)
	}
	c.do(access.Quality, "GET", "/fhir/Task/$meeting-pack?id="+uuid.NewString(), "").want(t, http.StatusNotFound, "not-found")
	if err := c.server.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if opened := c.do(access.Auditor, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|quality-opened&entity:identifier="+Canonical+"/sid/meeting-pack|"+first, ""); !strings.Contains(opened.body, first) {
		t.Errorf("its opening is not recorded: %s", opened.body)
	}
}

// sampledChest has a signed case and the Task of its second read, which waits in
// the pool.
func (c *clinic) sampledChest() (task, sample string) {
	c.t.Helper()
	c.meets(`{"sampling": {"rates": [{"perThousand": 1000}]}}`)
	task = c.signedChest("1", "")
	c.sql(`UPDATE agenda SET due_at = now() WHERE kind = 'open-sample'`)
	c.tick()
	c.tick()
	got := c.do(access.Quality, "GET", "/fhir/Task/$samples", "")
	sample = strings.TrimPrefix(saidIn(got.node, "sample", "secondRead"), "Task/")
	if sample == "" {
		c.t.Fatalf("nothing was drawn: %s", got.body)
	}
	return task, sample
}

func TestASecondReadForQualityIsInNobodysChartAndLooksToItsReaderAsAnyCase(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task, sample := c.sampledChest()
	patient := strings.TrimPrefix(c.task(task).Text("for", "reference"), "Patient/")
	at := c.do(another, "GET", "/fhir/Task/"+sample, "").node
	order := strings.TrimPrefix(at.Text("focus", "reference"), "ServiceRequest/")
	if at.Text("businessStatus", "coding", "code") != "ready" || at.Text("for", "reference") != "Patient/"+patient {
		t.Fatalf("%s", at.jsonText())
	}
	own := c.report(task).Text("id")
	for _, path := range []string{"DiagnosticReport/" + own, "DiagnosticReport?patient=Patient/" + patient, "Task/" + sample + "/$everything"} {
		if got := c.do(another, "GET", "/fhir/"+path, ""); strings.Contains(got.body, "Solitary pulmonary nodule") {
			t.Errorf("%s gives the report that is sampled", path)
		}
	}
	for _, n := range []*Node{at, c.do(another, "GET", "/fhir/ServiceRequest/"+order, "").node} {
		if text := strings.ToLower(n.jsonText()); strings.Contains(text, "quality") || strings.Contains(text, "sample") {
			t.Errorf("it says what it is for: %s", text)
		}
	}
	c.act(access.Reader, sample, "$claim", "independent", true).want(t, http.StatusNotFound, "not-found") // read what is sampled
	c.act(ronald, sample, "$claim", "independent", true).want(t, http.StatusNotFound, "not-found")        // read the original
	c.mustAct(another, sample, "$claim", "independent", true)
	c.mustAct(another, sample, "$lock", "findings", "A mass of 3 cm.", "impression", "SCANARY mass.")
	c.mustAct(another, sample, "$reveal")
	if got := c.do(another, "GET", "/fhir/DiagnosticReport/"+own, ""); got.status != http.StatusOK {
		t.Errorf("the report is withheld after the reveal: %d", got.status)
	}
	c.mustAct(another, sample, "$grade", "discrepancy", missed("unimportant")[:3], "difference", "SCANARY a mass is not mentioned.")
	c.mustAct(another, sample, "$sign")
	c.tick()
	if got := c.do(another, "GET", "/fhir/Task/"+sample, "").node.Text("businessStatus", "coding", "code"); got != "closed" {
		t.Errorf("it is %s", got)
	}
	// Nothing of it is there for the placer's side, in any interaction.
	ids := []string{sample, order, "SCANARY"}
	rows := c.do(access.Quality, "GET", "/fhir/DiagnosticReport?patient=Patient/"+patient+"&_count=100", "")
	for _, n := range rows.node.Each("entry", "resource") {
		if strings.Contains(n.jsonText(), "SCANARY") {
			ids = append(ids, n.Text("id"))
		}
	}
	if len(ids) != 4 {
		t.Fatalf("the quality role finds %d reports of it", len(ids)-3)
	}
	report := ids[3]
	paths := []string{"Patient/" + patient + "/$everything", "Patient/" + patient + "/*", "_history?_count=500", "Task?_count=100", "Task/_history?_count=500", "ServiceRequest?_count=100&_include=*&_revinclude=*",
		"Task?patient=Patient/" + patient, "DiagnosticReport?_count=100", "Observation?_count=500", "Provenance?_count=500", "Observation?_has:DiagnosticReport:result:status=final&_count=100",
		"Patient?_revinclude=*&_count=50", "Task/" + sample + "/_history", "Task/" + sample + "/_history/1", "Task/" + sample, "Task/" + sample + "/$everything", "ServiceRequest/" + order, "DiagnosticReport/" + report,
		"DiagnosticReport/" + report + "/_history", "DiagnosticReport/" + report + "/_history/1", "DiagnosticReport?identifier=" + sidReport + "|&_count=100", "Task/" + task + "/$everything"}
	for _, role := range []access.Role{access.Placer, access.Auditor} {
		for _, path := range paths {
			got := c.do(role, "GET", "/fhir/"+path, "")
			body := strings.ReplaceAll(got.body, "/fhir/"+path, "") // its own address
			for _, id := range ids {
				if strings.Contains(body, id) && !strings.HasPrefix(path, "AuditEvent") {
					t.Errorf("%s by %s gives %s: %d %.300s", path, role, id, got.status, body)
				}
			}
		}
	}
	for _, name := range []string{"$hold", "$cancel", "$acknowledge", "$judge-management"} {
		if got := c.act(access.Placer, sample, name, "management", "none"); got.status < 400 {
			t.Errorf("%s by the placer: %d", name, got.status)
		}
	}
	c.do(access.Placer, "DELETE", "/fhir/Task/"+sample, "")
	c.do(access.Placer, "PUT", "/fhir/ServiceRequest/"+order, `{"resourceType":"ServiceRequest","id":"`+order+`","status":"revoked","intent":"order","subject":{"reference":"Patient/`+patient+`"}}`)
	if got := c.do(access.Quality, "GET", "/fhir/ServiceRequest/"+order, "").node.Text("status"); got != "active" {
		t.Errorf("the placer has made the order %s", got)
	}
	for _, form := range c.sentForms() {
		if strings.Contains(form, "SCANARY") || strings.Contains(form, sample) {
			t.Error("it was sent to the EHR")
		}
	}
	if got := c.report(task).Text("conclusion"); strings.Contains(got, "SCANARY") {
		t.Error("it has changed the chart")
	}
	// Who reads here is not told which cases are samples, in whatever role.
	c.do(c.hat(c.readers[another], access.Quality), "GET", "/fhir/Task/$samples", "").want(t, http.StatusForbidden, "forbidden")
	// And in no export.
	for _, role := range []access.Role{access.Placer, access.Coordinator, access.Director} {
		for _, lines := range c.exported(role, "/fhir/$export") {
			for _, id := range ids {
				if strings.Contains(lines, id) {
					t.Errorf("an export by %s has %s", role, id)
				}
			}
		}
	}
}

// Neither the pool nor the case that is read again tells which one is a sample, in
// whatever role somebody comes who may read it; and who may not does not learn of it.
func TestWhoMayReadASampleDoesNotFindTheFirstReadingNorWhoSignedItTheSample(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"sampling": {"rates": [{"perThousand": 1000}]}}'`)
	entries := chestXray(t, "1")
	entries[len(entries)-1].Get("resource").Get("identifier").Items()[0].Set("value", "PO-4711")
	entries[len(entries)-1].Get("resource").Set("requisition", Object("system", "urn:placer", "value", "group-1"))
	task := c.order(entries...)
	first := c.task(task)
	original := "DiagnosticReport/" + c.get("/fhir/DiagnosticReport?status=final").ids()[0]
	c.tick()
	c.read(task)
	c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("important")[:3], "difference", "A nodule is not mentioned.")
	c.mustAct(access.Adjudicator, task, "$adjudicate", "discrepancy", missed("important")[:3], "difference", "A nodule is not mentioned.")
	c.mustAct(access.Adjudicator, task, "$sign")
	own := "DiagnosticReport/" + c.report(task).Text("id")
	c.tokens[another], c.readers[another] = pgtest.AddReader(t, c.db, c.tenant, "Dr Fourth Reader", everything)
	hats := []access.Role{another, c.hat(c.readers[another], access.Adjudicator), c.hat(c.readers[another], access.Supervisor)}
	signer := []access.Role{access.Reader, access.Adjudicator, c.hat(c.readers[access.Reader], access.Coordinator)}
	for _, hat := range append(slices.Clone(hats), signer...) {
		if c.reads(hat, original) == nil {
			t.Errorf("%s does not see the original of a case that nobody reads any more", hat)
		}
	}
	c.sql(`UPDATE agenda SET due_at = now() WHERE kind = 'open-sample'`)
	c.tick()
	got := c.do(access.Quality, "GET", "/fhir/Task/$samples", "")
	sample := strings.TrimPrefix(saidIn(got.node, "sample", "secondRead"), "Task/")
	order := first.Text("focus", "reference")
	hidden := func(when string) {
		t.Helper()
		for _, hat := range hats {
			for _, ref := range []string{"Task/" + task, "Task/" + task + "/_history", "Task/" + task + "/_history/1", order, original, own} {
				if got := c.do(hat, "GET", "/fhir/"+ref, ""); got.status != http.StatusNotFound {
					t.Errorf("%s: %s to the %s: %d", when, ref, hat, got.status)
				}
			}
			for _, path := range []string{"Task?_count=100", "Task/_history?_count=100", "_history?_count=500", "Task?_include=*&_revinclude=*&_count=100", "ServiceRequest?_count=100", "Provenance?_count=100",
				"Communication?_count=100", "Task/" + sample + "/$everything", "Patient/" + localPart(first.Text("for", "reference")) + "/$everything"} {
				got := c.do(hat, "GET", "/fhir/"+path, "")
				for _, word := range []string{task, localPart(order), "PO-4711", "group-1", "adjudication", "A nodule is not mentioned."} {
					if strings.Contains(strings.ReplaceAll(got.body, path, ""), word) {
						t.Errorf("%s: %s by the %s has %s", when, path, hat, word)
					}
				}
			}
			for _, op := range []string{"$claim", "$amend", "$adjudicate"} {
				if got := c.act(hat, task, op, "independent", true); got.status < 400 || got.status == http.StatusUnprocessableEntity {
					t.Errorf("%s: %s on the first case by the %s: %d %s", when, op, hat, got.status, got.body)
				}
			}
			for _, op := range []string{"$triage", "$matters", "$quality", "$check", "$readings"} {
				if got := c.do(hat, "GET", "/fhir/Task/"+task+"/"+op, ""); got.status == http.StatusOK {
					t.Errorf("%s: %s on the first case by the %s: %s", when, op, hat, got.body)
				}
			}
		}
		for _, who := range signer {
			for _, ref := range []string{"Task/" + task, original, own, own + "/_history/1"} {
				if got := c.do(who, "GET", "/fhir/"+ref, ""); got.status != http.StatusOK {
					t.Errorf("%s: %s to the %s who answers for it: %d", when, ref, who, got.status)
				}
			}
			for _, path := range []string{"Task/" + sample, "Task/" + sample + "/_history", "Task?_count=100", "_history?_count=500", "ServiceRequest?_count=100", "Task/" + sample + "/$everything", "Task/" + sample + "/$triage"} {
				if got := c.do(who, "GET", "/fhir/"+path, ""); strings.Contains(strings.ReplaceAll(got.body, path, ""), sample) {
					t.Errorf("%s: %s by the %s has the sample", when, path, who)
				}
			}
			c.act(who, sample, "$claim", "independent", true).want(t, http.StatusNotFound, "not-found")
		}
	}
	hidden("when it comes")
	c.tick()
	hidden("in the pool")
	c.mustAct(another, sample, "$claim", "independent", true)
	hidden("claimed")
	c.mustAct(another, sample, "$lock", "findings", "f", "impression", "i")
	hidden("locked")
	c.mustAct(another, sample, "$reveal")
	for _, ref := range []string{"Task/" + task, original, own} {
		if c.reads(another, ref) == nil {
			t.Errorf("%s is withheld after the reveal", ref)
		}
	}
	// What is asked for where a sample lacks something is the coordinator's to find.
	if at := c.do(access.Coordinator, "GET", "/fhir/Task/"+sample, "").node; at.Text("identifier", "value") == "PO-4711" || c.do(access.Coordinator, "GET", "/fhir/ServiceRequest?identifier=PO-4711", "").ids()[0] != localPart(order) {
		t.Error("the sample has the number of the order that it repeats")
	}
}

func TestSomethingMajorInASecondReadReachesTheClinicianThroughAnAmendment(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task, sample := c.sampledChest()
	c.mustAct(another, sample, "$claim", "independent", true)
	c.mustAct(another, sample, "$lock", "findings", "A mass of 3 cm.", "impression", "Mass.")
	c.mustAct(another, sample, "$reveal")
	c.mustAct(another, sample, "$grade", "discrepancy", missed("important")[:3], "difference", "A mass is not mentioned.")
	c.mustAct(access.Adjudicator, sample, "$adjudicate", "discrepancy", missed("important")[:3], "difference", "A mass is not mentioned.")
	c.mustAct(access.Adjudicator, sample, "$sign")
	c.tick()
	c.tick()
	c.wantState(task, "amending")
	got := c.do(access.Reader, "GET", "/fhir/Communication/$feedback", "")
	if !strings.Contains(got.body, "A mass is not mentioned.") || strings.Contains(got.body, "Fourth") {
		t.Fatalf("who signed is told: %s", got.body)
	}
	if got := c.do(ronald, "GET", "/fhir/Communication/$feedback", ""); len(got.node.Each("entry")) != 0 {
		t.Error("the reader of the original is told, though the policy says off")
	}
	sent := len(c.deliveries())
	c.mustAct(access.Reader, task, "$sign", "kind", "amendment", "reason", "second look", "text", "There is a mass in the left upper lobe.")
	c.wantState(task, "final")
	if len(c.deliveries()) != sent+1 {
		t.Error("the amendment is not sent")
	}
	if got := c.do(access.Quality, "GET", "/fhir/Task/$samples", ""); saidIn(got.node, "sample", "settledAt") == "" || saidIn(got.node, "sample", "level") != "major" {
		t.Errorf("%s", got.body)
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
