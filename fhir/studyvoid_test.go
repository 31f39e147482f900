package fhir

import (
	"net/http"
	"testing"

	"github.com/overread/overread/internal/access"
)

// What is read may turn out to be of somebody else, or void, without a word of the
// order: the case is held for the coordinator as when the order is corrected.
func TestAStudyThatTurnsOutToBeWrongHoldsItsCase(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(c *clinic, study *Node){
		"another patient's": func(c *clinic, study *Node) {
			made := c.do(access.Placer, "POST", "/fhir/Patient", `{"resourceType":"Patient","gender":"male"}`)
			study.Set("subject", Object("reference", "Patient/"+made.node.Text("id")))
		},
		"an error": func(_ *clinic, study *Node) { study.Set("status", "entered-in-error") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			id := c.order(chestXray(t, "67")...)
			c.tick()
			c.mustAct(access.Reader, id, "$claim", "independent", true)
			c.mustAct(access.Reader, id, "$start")
			study := c.get("/fhir/ImagingStudy/" + c.get("/fhir/ImagingStudy?identifier=urn:dicom:uid|1.2.3.67").ids()[0]).node
			wrong(c, study)
			if got := c.put("/fhir/ImagingStudy/"+study.Text("id"), study.jsonText()); got.status != http.StatusOK {
				t.Fatal(got.status, got.body)
			}
			c.tick()
			c.wantState(id, "on-hold")
			c.act(access.Coordinator, id, "$continue-reading", "reason", "It looks right.").want(t, http.StatusUnprocessableEntity, "business-rule")
			c.act(access.Reader, id, "$lock", "findings", "Clear.", "impression", "Normal.").want(t, http.StatusConflict, "conflict")
		})
	}
}
