package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// The hospital finds after the signature that the study, or its first report, was filed
// under the wrong patient, and moves it. It is taken, and everybody hears what that means.
func TestAStudyThatIsFiledUnderAnotherPatientAfterTheSignatureIsTold(t *testing.T) {
	t.Parallel()
	for kind, words := range map[string]string{
		"ImagingStudy":     "The hospital has filed the study under another patient, or declared it an error, after this second opinion was signed",
		"DiagnosticReport": "The hospital has filed the first report of the study under another patient after this second opinion was signed",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c, task, id := comparedReport(t)
			if kind == "ImagingStudy" {
				id = parseReference(c.get("/fhir/DiagnosticReport/" + id).node.Each("imagingStudy")[0].Text("reference")).id
			}
			other := c.post("/fhir/Patient", patientJSON("other")).node.Text("id")
			whose, sent := c.get("/fhir/"+kind+"/"+id).node.Get("subject").Clone(), len(c.messages())
			c.mustChange(kind, id, func(n *Node) { n.Set("subject", Object("reference", "Patient/"+other)) })
			told := c.get("/fhir/Communication?status=in-progress").node.Each("entry", "resource")
			if len(told) != 1 || !hasCode(told[0].Get("topic"), csTopic, "study-changed") || !strings.Contains(told[0].jsonText(), words) || !strings.Contains(told[0].jsonText(), "send a new order for the right one") {
				t.Fatalf("%s", c.get("/fhir/Communication").node.Bytes())
			}
			if len(c.messages()) != sent+1 {
				t.Error("it is not sent to the EHR")
			}
			if text := string(c.task(task).Bytes()); !strings.Contains(text, words) {
				t.Errorf("the Task does not say it: %s", text)
			}
			c.act(access.Coordinator, task, "$dismiss-verification", "reason", "no time").want(t, http.StatusForbidden, "forbidden")
			c.mustChange(kind, id, func(n *Node) { n.Set("subject", whose) })
			if open := c.get("/fhir/Communication?status=in-progress").node.Each("entry", "resource"); len(open) != 0 || strings.Contains(string(c.task(task).Bytes()), words) {
				t.Errorf("it is their patient's again: %s", c.get("/fhir/Communication").body)
			}
		})
	}
}
