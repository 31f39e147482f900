package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// signedWhileMerged is a case that was signed while its patient's record was merged into that
// of another one, who stays; and both.
func signedWhileMerged(t *testing.T) (c *clinic, task, old, stays string) {
	c = startClinic(t)
	c.addDirector()
	task = c.order(chestXray(t, "during")...)
	c.tick()
	old = parseReference(c.task(task).Text("for", "reference")).id
	stays = c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Stays"}]}`)
	c.mergeInto(old, stays)
	c.read(task)
	c.mustAct(access.Reader, task, "$grade", "agreement", true)
	c.mustAct(access.Reader, task, "$sign")
	return c, task, old, stays
}

func (c *clinic) offersDismissal(task string) bool {
	return strings.Contains(strings.Join(c.deedsOf(access.Director, task), " "), "dismiss-verification")
}

// A report in the record of another patient is not left there by dismissing that it is.
func TestAVerificationOfAReportInAnothersRecordIsNotDismissed(t *testing.T) {
	t.Parallel()
	c, task, old, stays := signedWhileMerged(t)
	c.mergeInto(old, "")
	got := c.act(access.Director, task, "$dismiss-verification", "reason", "It is the same.")
	got.want(t, http.StatusUnprocessableEntity, "business-rule")
	for _, remedy := range []string{"$verify", "$amend", "$declare-error"} {
		if !strings.Contains(got.body, remedy) {
			t.Errorf("it does not name %s: %s", remedy, got.body)
		}
	}
	if c.offersDismissal(task) {
		t.Error("the page offers it")
	}
	c.act(access.Coordinator, task, "$dismiss-verification", "reason", "It is the same.").want(t, http.StatusForbidden, "forbidden")

	// Merged again it is nobody else's, and parted again it is.
	c.mergeInto(old, stays)
	if !c.offersDismissal(task) {
		t.Error("it stands in the record that is in use, and can be dismissed")
	}
	c.mergeInto(old, "")
	if c.offersDismissal(task) {
		t.Error("it stands in the other record again")
	}

	// Whatever is signed since is in the record of its patient, and then it may be dismissed.
	c.mustAct(access.Placer, task, "$ask", "question", "Which side?")
	c.mustAct(access.Reader, task, "$answer", "answer", "Left.")
	if of := c.report(task).Text("subject", "reference"); of != "Patient/"+old {
		t.Fatalf("it is of %s", of)
	}
	if !c.offersDismissal(task) {
		t.Error("the page does not offer what can be done")
	}
	c.mustAct(access.Director, task, "$dismiss-verification", "reason", "It was signed anew.")
}

// What was told, answered and acknowledged while two records were merged is the patient's when
// they are parted, here and at the EHR.
func TestWhatIsSettledFollowsItsPatientWhenTheRecordsAreParted(t *testing.T) {
	t.Parallel()
	c, task, old, stays := signedWhileMerged(t)
	c.mustAct(access.Reader, task, "$raise-finding", "category", "urgent", "text", "Free air.")
	c.mustAct(access.Reader, task, "$communicate", "recipient", "Dr Jones", "medium", "phone", "reached", true, "readBack", true)
	c.mustAct(access.Placer, task, "$ask", "question", "Which side?", "clinician", "Dr Jones")
	c.mustAct(access.Reader, task, "$answer", "answer", "Left.")
	c.mustAct(access.Placer, task, "$acknowledge", "clinician", "Dr Jones", "report", Object("valueReference", Object("reference", c.versionRead(task, 1))))

	told := func(patient string) (all []*Node) {
		for _, typ := range []string{"Communication", "Observation"} {
			for _, n := range c.get("/fhir/"+typ+"?_count=100&subject=Patient/"+patient).node.Each("entry", "resource") {
				if n.Type() == "Communication" || strings.Contains(n.jsonText(), "actionable-finding") {
					all = append(all, n)
				}
			}
		}
		return all
	}
	before := told(stays)
	words := ""
	for _, n := range before {
		if n.Text("status") == "in-progress" {
			t.Errorf("not settled: %s", n.Bytes())
		}
		words += n.jsonText()
	}
	for _, what := range []string{"Free air", "Which side?", "Left.", "newer-version", "read back"} {
		if !strings.Contains(words, what) {
			t.Fatalf("nothing tells of %q: %s", what, words)
		}
	}
	sent := len(c.messages())
	c.mergeInto(old, "")
	if n := len(told(stays)); n != 0 {
		t.Errorf("%d are in the record of another patient", n)
	}
	after := told(old)
	if len(after) != len(before)+1 { // and the verification
		t.Errorf("%d are in the patient's, of %d", len(after), len(before))
	}
	var parcels string
	for _, m := range c.messages()[sent:] {
		parcels += string(m.Body)
	}
	for _, n := range before {
		if !strings.Contains(parcels, n.Each("identifier")[0].Text("value")) {
			t.Errorf("the EHR keeps it of the other patient: %s", n.Bytes())
		}
	}
	// What is part of the signed report follows it when it is signed anew.
	c.mustAct(access.Reader, task, "$verify")
	if n := len(c.get("/fhir/Observation?subject=Patient/" + stays).ids()); n != 0 {
		t.Errorf("%d Observations of the report are in the record of another patient", n)
	}

	// Once is enough.
	sent = len(c.messages())
	c.mustChange("Patient", old, func(n *Node) { n.Set("gender", "female") })
	if n := len(c.messages()); n != sent {
		t.Errorf("%d more are sent", n-sent)
	}
}
