package fhir

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// messages are what was queued in the lane of messages, and preliminary reports.
func (c *clinic) messages() (out []delivered) {
	for _, d := range c.deliveries() {
		if strings.Contains(string(d.Body), sidCommunication) || strings.Contains(string(d.Body), `"preliminary"`) {
			out = append(out, d)
		}
	}
	return out
}

// wantCount searches in a role and returns what was found.
func (c *clinic) wantCount(as access.Role, query string, want int) []*Node {
	c.t.Helper()
	got := c.do(as, "GET", "/fhir/"+query, "")
	found := got.node.Each("entry", "resource")
	if got.status != http.StatusOK || len(found) != want {
		c.t.Fatalf("%s as %s: %d, %d found, want %d: %s", query, as, got.status, len(found), want, got.body)
	}
	for _, n := range found {
		if err := Validate(n); err != nil {
			c.t.Errorf("%s: %v", n.Bytes(), err)
		}
	}
	return found
}

func TestAnEmergentFindingReachesTheClinicianBeforeTheReport(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "61")...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	raise := []any{"category", "emergent", "text", "Tension pneumothorax on the left."}
	c.act(access.Adjudicator, id, "$raise-finding", raise...).want(t, http.StatusForbidden, "forbidden")
	for range 2 { // the answer to the first one was lost
		c.mustAct(access.Reader, id, "$raise-finding", raise...)
	}
	alert := c.wantCount(access.Placer, "Communication?category=alert", 1)[0]
	if alert.Text("status") != "in-progress" || alert.Text("priority") != "stat" || alert.Text("payload", "contentString") != "Emergent finding: Tension pneumothorax on the left." {
		t.Errorf("%s", alert.Bytes())
	}
	o := c.wantCount(access.Placer, "Observation?code="+csObservation+"|actionable-finding", 1)[0]
	if o.Text("status") != "preliminary" || o.Text("component", "valueCodeableConcept", "coding", "code") != "RID49480" {
		t.Errorf("%s", o.Bytes())
	}

	// The reading is blinded: nobody who reads learns that something was found.
	for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
		c.wantCount(role, "Communication", 0)
		c.wantCount(role, "Observation?code="+csObservation+"|actionable-finding", 0)
		c.do(role, "GET", "/fhir/Communication/"+alert.Text("id"), "").want(t, http.StatusNotFound, "not-found")
		if body := c.do(role, "GET", "/fhir/Task/"+id, "").body; strings.Contains(body, "finding") {
			t.Errorf("the Task tells a reader of a finding: %s", body)
		}
	}
	if got := c.do(access.Adjudicator, "GET", "/fhir/Task/"+id+"/$matters", "").body; strings.Contains(got, "pneumothorax") {
		t.Errorf("%s", got)
	}
	if got := c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$matters", "").node; len(got.Each("parameter")) != 1 {
		t.Errorf("who raised it is told of it: %s", got.Bytes())
	}

	c.mustAct(access.Reader, id, "$communicate", "recipient", "Dr Who", "medium", "phone", "reached", false, "note", "no answer")
	c.mustAct(access.Reader, id, "$communicate", "recipient", "Dr Jones", "role", "emergency physician", "medium", "phone", "reached", true, "readBack", true)
	calls := c.wantCount(access.Placer, "Communication?part-of=Communication/"+alert.Text("id")+"&_sort=sent", 2)
	if calls[0].Text("status") != "not-done" || calls[1].Text("recipient", "display") != "Dr Jones (emergency physician)" ||
		calls[1].Text("medium", "coding", "code") != "PHONE" || !strings.HasSuffix(calls[1].Text("note", "text"), "read back.") {
		t.Errorf("%s\n%s", calls[0].Bytes(), calls[1].Bytes())
	}
	if alert = c.get("/fhir/Communication/" + alert.Text("id")).node; alert.Text("status") != "completed" || alert.Text("received") == "" {
		t.Errorf("what was read back is acknowledged: %s", alert.Bytes())
	}
	sent := c.messages()
	if len(sent) != 3 {
		t.Fatalf("%d messages for the EHR", len(sent))
	}
	for _, d := range sent {
		for _, n := range d.resources(t, "Communication") {
			if n.Text("subject", "reference") != "Patient/example" || n.Text("basedOn", "reference") != "ServiceRequest/chest-xray" || strings.Contains(string(d.Body), c.url) {
				t.Errorf("not in the EHR's own words: %s", n.Bytes())
			}
		}
	}

	c.mustAct(access.Reader, id, "$lock", "findings", "Collapsed left lung.", "impression", "Tension pneumothorax.")
	c.mustAct(access.Reader, id, "$reveal")
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")
	report := c.report(id)
	for _, want := range []string{"Told to Dr Jones (emergency physician) by phone on ", "Could not reach Dr Who by phone"} {
		if !strings.Contains(report.Text("conclusion"), want) {
			t.Errorf("the report does not say %q: %s", want, report.Text("conclusion"))
		}
	}
	if err := Validate(report); err != nil {
		t.Error(err)
	}
	if o := c.get("/fhir/Observation/" + o.Text("id")).node; o.Text("status") != "final" || !slices.ContainsFunc(report.Each("result", "reference"), func(r *Node) bool { return r.Text() == "Observation/"+o.Text("id") }) {
		t.Errorf("it is a result of the report: %s", o.Bytes())
	}
	c.wantCount(access.Reader, "Communication?category=alert", 3)
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones", "role", "emergency physician")
	c.wantState(id, "closed")
	if got := string(c.task(id).Bytes()); !strings.Contains(got, "Version 1 by Dr Jones (emergency physician) on ") {
		t.Errorf("the Task does not say who has read it: %s", got)
	}
}

func TestAnEmergentFindingThatNobodyKnowsOfKeepsTheCaseOpen(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("62")
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
	c.mustAct(access.Reader, id, "$raise-finding", "category", "emergent", "text", "Free air below the diaphragm.")
	c.wantState(id, "final")
	if r := c.report(id); r.Text("status") != "appended" || !strings.Contains(r.Text("conclusion"), "Free air below the diaphragm.") {
		t.Errorf("after the signature it is an addendum: %s", r.Text("conclusion"))
	}
	c.act(access.Placer, id, "$acknowledge", "clinician", "Dr Jones").want(t, http.StatusUnprocessableEntity, "business-rule")
	alert := c.wantCount(access.Placer, "Communication?category=alert", 1)[0]

	// The EHR acknowledges by a Communication of its own, twice.
	said := Object("resourceType", "Communication", "status", "completed", "topic", concept(csTopic, "acknowledgement", ""),
		"subject", alert.Get("subject").Clone(), "about", []*Node{refer("Task/"+id, "Task", "")}, "sender", Object("display", "Dr Jones"),
		"inResponseTo", []*Node{Object("type", "Communication", "identifier", alert.Get("identifier").Items()[0].Clone())})
	for range 2 {
		if got := c.post("/fhir/Communication", said.jsonText()); got.status != http.StatusCreated {
			t.Fatal(got.status, got.body)
		}
	}
	if got := c.get("/fhir/Communication/" + alert.Text("id")).node; got.Text("status") != "completed" {
		t.Errorf("%s", got.Bytes())
	}
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
	c.wantState(id, "closed")
}

func TestAQuestionIsOneThreadHoweverOftenItIsSent(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("63")
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
	report := c.report(id)
	question := Object("resourceType", "Communication", "status", "completed", "topic", concept(csTopic, "question", ""),
		"identifier", []*Node{Object("system", "urn:ehr:message", "value", "q-1")},
		"subject", report.Get("subject").Clone(), "about", []*Node{Object("type", "DiagnosticReport", "identifier", Object("system", sidReport, "value", report.Text("identifier", "value")))},
		"sender", Object("display", "Dr Jones"), "payload", says("Which segment is it in?"))
	first := c.post("/fhir/Communication", question.jsonText())
	if first.status != http.StatusCreated {
		t.Fatal(first.status, first.body)
	}
	again := c.post("/fhir/Communication", question.jsonText())
	if again.status != http.StatusOK || again.node.Text("id") != first.node.Text("id") {
		t.Errorf("sent again it is another: %d %s", again.status, again.body)
	}
	for range 2 {
		c.mustAct(access.Placer, id, "$ask", "question", "And how large?", "clinician", "Dr Jones")
	}
	matters := c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$matters", "").node
	if n := len(matters.Each("parameter")); n != 2 {
		t.Fatalf("%d matters: %s", n, matters.Bytes())
	}
	c.act(access.Reader, id, "$answer", "answer", "S1+2.").want(t, http.StatusUnprocessableEntity, "business-rule") // which?
	c.mustAct(access.Reader, id, "$answer", "number", 1, "answer", "S1+2.")
	report = c.report(id)
	if report.Text("status") != "appended" || !strings.Contains(report.Text("conclusion"), "Question: Which segment is it in?\nAnswer: S1+2.") {
		t.Errorf("%s", report.Text("conclusion"))
	}
	answer := c.wantCount(access.Placer, "Communication?identifier="+sidCommunication+"|", 2) // the answer, our copy of the second question, and none of the first
	i := slices.IndexFunc(answer, func(n *Node) bool { return hasCode(n.Get("topic"), csTopic, "answer") })
	if i < 0 || answer[i].Text("inResponseTo", "reference") != "Communication/"+first.node.Text("id") || answer[i].Text("sender", "display") != "Dr Second Reader" {
		t.Errorf("%v", i)
	}
	c.wantState(id, "final")
	c.mustAct(access.Reader, id, "$answer", "answer", "9 mm.")
	c.act(access.Reader, id, "$answer", "answer", "10 mm.").want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
	c.wantState(id, "closed")

	// A further one is taken back by its Communication.
	question.Set("identifier", []*Node{Object("system", "urn:ehr:message", "value", "q-2")})
	third := c.post("/fhir/Communication", question.jsonText())
	if third.status != http.StatusCreated {
		t.Fatal(third.status, third.body)
	}
	third.node.Set("status", "entered-in-error")
	if got := c.put("/fhir/Communication/"+third.node.Text("id"), third.node.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	if got := c.do(access.Placer, "GET", "/fhir/Task/"+id+"/$matters", "").body; !strings.Contains(got, "withdrawn") {
		t.Error(got)
	}
}

func TestWhatACorrectionChangedIsReadableWordByWord(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("64")
	c.act(access.Placer, id, "$difference")
	c.mustAct(access.Reader, id, "$amend", "reason", "typing error")
	c.mustAct(access.Reader, id, "$sign", "kind", "correction", "reason", "typing error", "text", "The nodule measures 19 mm.", "impression", "Solitary pulmonary nodule, 19 mm.", "gradeStands", true)
	c.mustAct(access.Reader, id, "$amend", "reason", "a question")
	c.mustAct(access.Reader, id, "$sign", "kind", "addition", "reason", "a question", "text", "No calcification.")

	report := c.get("/fhir/DiagnosticReport/" + c.report(id).Text("id") + "/_history/3").node // registered, 1, 2
	if report.Text("status") != "corrected" {
		t.Fatal(report.Text("status"))
	}
	page, err := base64.StdEncoding.DecodeString(report.Text("presentedForm", "data"))
	if err != nil || !strings.Contains(string(page), `nodule, <del><span class="aloud">[removed: </span>9 <span class="aloud">]</span></del><ins><span class="aloud">[added: </span>19 `) {
		t.Errorf("%v %s", err, page)
	}
	if text := report.Text("text", "div"); !strings.Contains(text, "Solitary pulmonary nodule, [-9-] {+19+} mm.") {
		t.Error(text)
	}
	for query, want := range map[string]string{
		"?from=1&to=2": "nodule, [-9-] {+19+} mm.", "?to=2": "nodule, [-9-] {+19+} mm.", "": "{+No calcification.+}", "?from=1&to=3": "nodule, [-9-] {+19+} mm.",
	} {
		got := c.do(access.Placer, "GET", "/fhir/Task/"+id+"/$difference"+query, "")
		if got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
	c.do(access.Placer, "GET", "/fhir/Task/"+id+"/$difference?from=1&to=9", "").want(t, http.StatusBadRequest, "value")
}

func TestAStudyThatGrowsAfterTheSignatureIsVerifiedAgain(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("65")
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
	ids := c.get("/fhir/ImagingStudy?identifier=urn:dicom:uid|1.2.3.65").ids()
	study := c.get("/fhir/ImagingStudy/" + ids[0]).node
	study.Set("numberOfInstances", 4)
	study.Get("series").Items()[0].Set("numberOfInstances", 4)
	for range 2 {
		if got := c.put("/fhir/ImagingStudy/"+ids[0], study.jsonText()); got.status != http.StatusOK {
			t.Fatal(got.status, got.body)
		}
	}
	if task := string(c.task(id).Bytes()); !strings.Contains(task, "The study has 4 images now, and had 2; the report is of the study as it was before.") {
		t.Errorf("the clinician does not see that the report predates images: %s", task)
	}
	told := c.wantCount(access.Placer, "Communication?status=in-progress", 1)[0]
	if !hasCode(told.Get("topic"), csTopic, "study-changed") || len(c.messages()) != 1 {
		t.Errorf("%s, %d messages", told.Bytes(), len(c.messages()))
	}
	c.mustAct(access.Reader, id, "$verify", "note", "A repeated view.")
	c.wantState(id, "final")
	if text := c.report(id).Text("conclusion"); !strings.Contains(text, "the report stands as it is. A repeated view.") {
		t.Error(text)
	}
	if task := string(c.task(id).Bytes()); strings.Contains(task, "study-changed") {
		t.Errorf("it was looked at: %s", task)
	}
}

func TestAPreliminaryReportGoesWhereThePolicyWantsOne(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"preliminaryOn": "urgent"}'`)
	id := c.order(chestXray(t, "66")...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	c.mustAct(access.Reader, id, "$raise-finding", "category", "non-critical", "text", "A small cyst.")
	c.wantCount(access.Placer, "DiagnosticReport?status=preliminary", 0)
	c.mustAct(access.Reader, id, "$raise-finding", "category", "urgent", "text", "Pneumothorax.")
	report := c.wantCount(access.Placer, "DiagnosticReport?status=preliminary", 1)[0]
	if !strings.Contains(report.Text("conclusion"), "Urgent finding: Pneumothorax.") || report.Get("extension") != nil {
		t.Errorf("%s", report.Bytes())
	}
	c.wantCount(access.Reader, "DiagnosticReport?status=preliminary", 0)
	c.mustAct(access.Reader, id, "$lock", "findings", "Pneumothorax.", "impression", "Pneumothorax.")
	c.mustAct(access.Reader, id, "$reveal")
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")
	if r := c.report(id); r.Text("status") != "final" || r.Text("id") != report.Text("id") {
		t.Errorf("%s", r.Bytes())
	}
	if got := c.withdrawnDeliveries(); got != 1 {
		t.Errorf("%d preliminary reports wait to be sent after the signed one", got)
	}
}

func (c *clinic) withdrawnDeliveries() (n int) {
	c.t.Helper()
	err := c.db.Owner(c.t).QueryRow(c.t.Context(), `SELECT count(*) FROM delivery WHERE report_no < 0 AND state = 'withdrawn'`).Scan(&n)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// grow makes the study of an order have so many images.
func (c *clinic) grow(uid string, images int) {
	c.t.Helper()
	id := c.get("/fhir/ImagingStudy?identifier=urn:dicom:uid|" + uid).ids()[0]
	study := c.get("/fhir/ImagingStudy/" + id).node
	study.Set("numberOfInstances", images)
	study.Get("series").Items()[0].Set("numberOfInstances", images)
	if got := c.put("/fhir/ImagingStudy/"+id, study.jsonText()); got.status != http.StatusOK {
		c.t.Fatal(got.status, got.body)
	}
}

// What comes before the opinion is sealed is read with the rest. What comes later,
// nobody has looked at when the report is signed.
func TestAStudyThatGrowsWhileItIsReadIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		sealed bool
		want   int // verifications that are open after the signature
	}{"before the opinion is sealed": {false, 0}, "after": {true, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			id := c.order(chestXray(t, "66")...)
			c.tick()
			c.mustAct(access.Reader, id, "$claim", "independent", true)
			c.mustAct(access.Reader, id, "$start")
			if !row.sealed {
				c.grow("1.2.3.66", 4)
			}
			c.mustAct(access.Reader, id, "$lock", "findings", "Clear.", "impression", "Normal.")
			c.mustAct(access.Reader, id, "$reveal")
			if row.sealed {
				c.grow("1.2.3.66", 4)
			}
			var told int
			if err := c.db.Owner(t).QueryRow(t.Context(), `SELECT count(*) FROM case_notice WHERE event = 'study-grows'`).Scan(&told); err != nil {
				t.Fatal(err)
			}
			c.mustAct(access.Reader, id, "$grade", "agreement", true)
			c.mustAct(access.Reader, id, "$sign")
			if got := strings.Count(string(c.task(id).Bytes()), "The study has 4 images now, and had 2"); got != row.want || told != 1 {
				t.Errorf("%d verifications are open, want %d; the reader was told %d times", got, row.want, told)
			}
		})
	}
}

// Whoever reads next is told nothing of what the reader before has found, though
// that one had revealed the original when they raised it.
func TestAReleaseWithholdsWhatTheReaderBeforeHasFound(t *testing.T) {
	t.Parallel()
	c, first, second := twoReaders(t, `{"reading": "single", "preliminaryOn": "urgent"}`)
	id := c.order(chestXray(t, "67")...)
	c.tick()
	c.by(first)
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$lock", "findings", "canary", "impression", "canary")
	c.mustAct(access.Reader, id, "$reveal")
	c.mustAct(access.Reader, id, "$raise-finding", "category", "emergent", "text", "canary")
	for range 2 { // the answer was lost
		c.mustAct(access.Reader, id, "$communicate", "recipient", "Dr Jones", "medium", "phone", "reached", true, "readBack", true)
	}
	alert := c.wantCount(access.Placer, "Communication?category=alert", 2)[0]
	finding := c.wantCount(access.Placer, "Observation?code="+csObservation+"|actionable-finding", 1)[0]
	c.mustAct(access.Reader, id, "$release", "reason", "ill")
	c.by(second)
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	patient := c.task(id).Text("for", "reference")
	for _, path := range []string{"Observation", "Communication", "Communication/_history", "Observation/" + finding.Text("id"), "Observation/" + finding.Text("id") + "/_history",
		"Communication/" + alert.Text("id"), "Communication?patient=" + patient, "DiagnosticReport", "DiagnosticReport/_history", "Task/" + id + "/_history", "Task?_revinclude=*", patient + "/$everything", "Task/" + id + "/$matters", "Task/" + id + "/$everything"} {
		if body := c.do(access.Reader, "GET", "/fhir/"+path, "").body; strings.Contains(body, "canary") || strings.Contains(body, "open-finding") || strings.Contains(body, "Dr Jones") {
			t.Errorf("%s tells the next reader of it: %s", path, body)
		}
	}
	c.by(first)
	c.mustAct(access.Reader, id, "$withdraw-finding", "finding", 1, "reason", "An artefact.")
	told := c.wantCount(access.Placer, "Communication?category=alert&status=completed", 1)[0]
	if !strings.Contains(told.Text("payload", "contentString"), "An artefact.") || told.Text("recipient", "display") != "Dr Jones" {
		t.Errorf("whoever was told is not told that it was taken back: %s", told.Bytes())
	}
}

// A report that comes after the signature may tell that who signed had read the study
// first. Whoever ordered the opinion hears that it is none, and somebody else answers
// for it from then on.
func TestAReportThatNamesWhoSignedAsItsReaderTellsThatTheOpinionIsNotIndependent(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addColleague(access.Supervisor, "Dr Fourth Reader", everything)
	id := c.signed("67")
	study := c.get("/fhir/ImagingStudy?identifier=urn:dicom:uid|1.2.3.67").ids()[0]
	report := func(performer string) {
		c.mustCreate("DiagnosticReport", Object("resourceType", "DiagnosticReport", "status", "final", "code", Object("text", "Chest X-ray"),
			"subject", c.task(id).Get("for"), "imagingStudy", []*Node{Object("reference", "ImagingStudy/"+study)},
			"issued", "2024-10-13T12:00:00-08:00", "performer", []*Node{Object("display", performer)}).jsonText())
	}
	report("Dr Third Reader") // who had no part in it
	if task := string(c.task(id).Bytes()); strings.Contains(task, "same-reader") {
		t.Fatal(task)
	}
	report("Dr Second Reader")
	if task := string(c.task(id).Bytes()); !strings.Contains(task, "Who has read, or countersigned, this second opinion turns out to be, or may be, who read the study first; the report is no independent opinion.") {
		t.Errorf("the clinician does not see it: %s", task)
	}
	told := c.wantCount(access.Placer, "Communication?status=in-progress", 1)[0]
	if !hasCode(told.Get("topic"), csTopic, "same-reader") || !strings.Contains(told.jsonText(), "an independent reader has been asked to look at it again") {
		t.Errorf("%s", told.Bytes())
	}
	c.act(access.Reader, id, "$verify", "note", "it holds").want(t, http.StatusForbidden, "forbidden")
	c.act(access.Reader, id, "$amend", "reason", "a word is missing").want(t, http.StatusForbidden, "forbidden")
	c.mustAct(access.Supervisor, id, "$verify", "note", "Read anew.")
	if text := c.report(id).Text("conclusion"); !strings.Contains(text, "the report stands as it is. Read anew.") {
		t.Error(text)
	}
	if task := string(c.task(id).Bytes()); strings.Contains(task, "same-reader") {
		t.Errorf("it was looked at: %s", task)
	}
}

// The first report comes late, by somebody of the same name. A director finds that it is
// somebody else; that the two reports are still to be compared is not lost by it, nor by
// a call that is repeated because its answer was.
func TestADirectorWhoFindsThatItIsSomebodyElseLeavesTheComparisonOpen(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	id := c.signedUncompared("69")
	c.reportComes(id, "69", "Dr Second Reader")
	told := c.wantCount(access.Placer, "Communication?status=in-progress", 1)[0]
	if !hasCode(told.Get("topic"), csTopic, "same-reader") {
		t.Errorf("%s", told.Bytes())
	}
	if deeds := c.deedsOf(access.Coordinator, id); slices.Contains(deeds, "dismiss-verification") {
		t.Error("the desk is offered what is a director's")
	}
	if deeds := c.deedsOf(access.Director, id); !slices.Contains(deeds, "dismiss-verification") {
		t.Errorf("a director is offered %v", deeds)
	}
	c.act(access.Coordinator, id, "$dismiss-verification", "reason", "no time").want(t, http.StatusForbidden, "forbidden")
	signer := c.hat(c.readers[access.Reader], access.Director)
	c.act(signer, id, "$dismiss-verification", "reason", "it holds").want(t, http.StatusForbidden, "forbidden")
	for range 2 {
		c.mustAct(access.Director, id, "$dismiss-verification", "reason", "Another doctor of that name.")
	}
	told = c.wantCount(access.Placer, "Communication?status=in-progress", 1)[0]
	if !hasCode(told.Get("topic"), csTopic, "first-report") || !strings.Contains(told.jsonText(), "Who read it did not read the study first, as the reading service finds: Another doctor of that name. The report does not say how the two differ; who signed it has been asked to look at it again.") {
		t.Errorf("%s", told.Bytes())
	}
	if task := string(c.task(id).Bytes()); strings.Contains(task, "independent opinion") || !strings.Contains(task, "does not say how the two differ") {
		t.Errorf("the Task: %s", task)
	}
	c.mustAct(access.Reader, id, "$amend", "reason", "the first report came")
	c.mustAct(access.Reader, id, "$sign", "kind", "amendment", "reason", "the first report came", "text", "The first report does not mention the nodule.", "verifies", true,
		"discrepancy", missed("unimportant"), "difference", "The nodule is not mentioned.")
	c.wantCount(access.Placer, "Communication?status=in-progress", 0)
}

// deedsOf are the operations that the file of a case offers to a role.
func (c *clinic) deedsOf(as access.Role, id string) (names []string) {
	c.t.Helper()
	_, actor := pgtest.AddToken(c.t, c.db, c.tenant, as)
	file, err := c.server.CaseFile(context.Background(), actor, id, Asked{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, d := range file.Deeds {
		names = append(names, d.Name)
	}
	return names
}

// What was found was told of one patient; the order turns out to be another's.
func TestWhoWasToldOfAFindingIsToldThatItMayBeAnotherPatients(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
	task := c.order(chestXray(t, "doubt")...)
	c.tick()
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$raise-finding", "category", Object("valueCode", "emergent"), "text", "Free air.")
	c.mustAct(access.Reader, task, "$release", "reason", "ill")
	before := len(c.messages())
	order := parseReference(c.task(task).Text("focus", "reference")).id
	other := "Patient/" + c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Other"}]}`)
	study := parseReference(c.get("/fhir/ServiceRequest/" + order).node.Each("supportingInfo")[0].Text("reference")).id
	for _, moved := range []response{
		c.change("ImagingStudy", study, func(n *Node) { n.Set("subject", Object("reference", other)) }),
		c.change("ServiceRequest", order, func(n *Node) { n.Set("subject", Object("reference", other)) }),
	} {
		if moved.status != http.StatusOK {
			t.Fatal(moved.status, moved.body)
		}
	}
	c.tick()
	if got := c.task(task).Text("for", "reference"); got != other {
		t.Errorf("the case is of %s", got)
	}
	told := c.messages()[before:]
	if len(told) != 1 || !strings.Contains(string(told[0].Body), "The identity is in doubt: the order or its study was corrected") {
		t.Errorf("the EHR was told %d times: %s", len(told), told)
	}
}

// signedUncompared is a signed case whose hospital has sent no report of the study.
func (c *clinic) signedUncompared(placer string) (task string) {
	c.t.Helper()
	entries := slices.DeleteFunc(chestXray(c.t, placer), func(e *Node) bool { return e.Get("resource").Type() == "DiagnosticReport" })
	for _, e := range entries {
		if n := e.Get("resource"); n.Type() == "ServiceRequest" {
			n.Set("supportingInfo", n.Each("supportingInfo")[:1])
		}
	}
	task = c.order(entries...)
	c.tick()
	c.read(task)
	c.mustAct(access.Reader, task, "$sign")
	return task
}

// reportComes: the hospital sends its report of the study after all.
func (c *clinic) reportComes(task, placer, performer string) {
	c.t.Helper()
	study := c.get("/fhir/ImagingStudy?identifier=urn:dicom:uid|1.2.3." + placer).ids()[0]
	c.mustCreate("DiagnosticReport", Object("resourceType", "DiagnosticReport", "status", "final", "code", Object("text", "Chest X-ray"),
		"subject", c.task(task).Get("for"), "imagingStudy", []*Node{Object("reference", "ImagingStudy/"+study)},
		"issued", "2024-10-13T12:00:00-08:00", "conclusion", "Clear.", "performer", []*Node{Object("display", performer)}).jsonText())
}

// The hospital sends its report of the study when the second opinion is signed.
func TestAFirstReportThatComesAfterTheSignatureIsComparedAndTheClinicianIsTold(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signedUncompared("68")
	c.reportComes(id, "68", "Dr Elsewhere")
	if task := string(c.task(id).Bytes()); !strings.Contains(task, "The first report of the study has come, and this second opinion was not compared with it; the report does not say how the two differ.") {
		t.Errorf("the clinician does not see it: %s", task)
	}
	told := c.wantCount(access.Placer, "Communication?status=in-progress", 1)[0]
	if !hasCode(told.Get("topic"), csTopic, "first-report") || !strings.Contains(told.jsonText(), "who signed it has been asked to look at it again") {
		t.Errorf("%s", told.Bytes())
	}
	c.act(access.Reader, id, "$verify", "note", "it holds").want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Reader, id, "$amend", "reason", "the first report came")
	amendment := []any{"kind", "amendment", "reason", "the first report came", "text", "The first report does not mention the nodule.", "verifies", true}
	c.act(access.Reader, id, "$sign", amendment...).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Reader, id, "$sign", append(amendment, "discrepancy", missed("important"), "difference", "The nodule is not mentioned.")...)
	if task := string(c.task(id).Bytes()); strings.Contains(task, "first-report") {
		t.Errorf("it was compared: %s", task)
	}
	if got := c.report(id).jsonText(); !strings.Contains(got, "The nodule is not mentioned.") {
		t.Errorf("the report does not say how the two differ: %s", got)
	}
}
