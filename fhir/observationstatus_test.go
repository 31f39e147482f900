package fhir

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// An EHR shows a status beside each value: only what was mended is called so, and goes on
// being called so.
func TestEachObservationHasTheStatusOfWhatHasBecomeOfIt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("70")
	sign := func(kind string, params ...any) {
		c.mustAct(access.Reader, id, "$amend", "reason", "looked again")
		c.mustAct(access.Reader, id, "$sign", append([]any{"kind", kind, "reason", "looked again", "text", "Looked again: " + kind + "."}, params...)...)
	}
	want := map[string]string{"59776-5": "final", "19005-8": "final", "18783-1": "final", "agreement": "final"}
	check := func(when string) {
		t.Helper()
		sent := c.deliveries()
		for where, all := range map[string][]*Node{
			"here": c.get("/fhir/Observation?identifier="+sidObservation+"%7C").node.Each("entry", "resource"),
			"sent": sent[len(sent)-1].resources(t, "Observation"),
		} {
			got := map[string]string{}
			for _, o := range all {
				got[o.Text("code", "coding", "code")] += o.Text("status")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", when, where, diff)
			}
		}
	}
	check("signed")
	sign("correction", "impression", "Solitary pulmonary nodule, 19 mm.", "gradeStands", true)
	want["19005-8"], want["55107-7"] = "corrected", "final"
	check("the impression corrected")
	sign("addition")
	want["55107-7"] += "final"
	check("something added")
	sign("amendment", "findings", "A nodule of 19 mm, and a granuloma.", "gradeStands", true)
	want["59776-5"] = "amended"
	want["55107-7"] += "final"
	check("the findings amended")
	sign("correction", "remove", "recommendation")
	want["18783-1"] = "entered-in-error"
	want["55107-7"] += "final"
	check("the recommendation taken back")
	sign("amendment", "impression", "Solitary pulmonary nodule of the left lung, 19 mm.", "recommendation", "CT in six months.", "gradeStands", true)
	want["18783-1"] = "corrected" // taken back by a correction
	want["55107-7"] += "final"
	check("the impression amended, the recommendation given again")
}
