package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// What a blinded reader is answered is what they would be answered had nobody found
// anything before them: refusals, numbers, and what they find themselves.
func TestNothingThatABlindedReaderIsAnsweredTellsOfAnothersFinding(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"assignment": "pool", "reading": "arbitration"}'`)
	task := c.order(chestXray(t, "blind-finding")...)
	c.tick()
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$start")
	c.mustAct(access.Reader, task, "$lock", "findings", "A crescent.", "impression", "Subdural haemorrhage.", "actionable", "emergent")
	c.addColleague(access.Reader, "Dr Second", everything)
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$start")
	for _, one := range []struct {
		want   string
		name   string
		params []any
	}{
		{"this case has no finding of the number 1", "$communicate", []any{"finding", Object("valuePositiveInt", 1), "recipient", "Dr X", "medium", "phone", "reached", true, "readBack", true}},
		{"no finding is open on this case", "$communicate", []any{"recipient", "Dr X", "medium", "phone", "reached", true, "readBack", true}},
		{"this case has no finding of the number 1", "$withdraw-finding", []any{"finding", Object("valuePositiveInt", 1), "reason", "a probe"}},
		{"no finding is open on this case", "$withdraw-finding", []any{"reason", "a probe"}},
	} {
		if got := c.act(access.Reader, task, one.name, one.params...); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, one.want) {
			t.Errorf("%s: %d %s, want %q", one.name, got.status, got.body, one.want)
		}
	}
	if got := c.act(access.Reader, task, "$draft", "findings", "One."); !strings.Contains(got.body, `"name":"opinion","valueInteger":1`) {
		t.Errorf("the number of the opinion says that there is another: %s", got.body)
	}
	if got := c.do(access.Reader, "GET", "/fhir/Task/"+task+"/$drafts?opinion=1&number=1", ""); got.status != http.StatusOK || !strings.Contains(got.body, `"One."`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	for range 2 { // the second time it is known, and theirs
		c.mustAct(access.Reader, task, "$raise-finding", "category", "emergent", "text", "Subdural haemorrhage.")
	}
	mine := c.do(access.Reader, "GET", "/fhir/Task/"+task+"/$matters", "").node.Each("parameter")
	if len(mine) != 1 || mine[0].Each("part")[0].Text("valuePositiveInt") != "1" {
		t.Fatalf("%d findings", len(mine))
	}
	c.mustAct(access.Reader, task, "$withdraw-finding", "finding", Object("valuePositiveInt", 1), "reason", "an artefact")
	if all := c.do(access.Placer, "GET", "/fhir/Task/"+task+"/$matters", "").node.Each("parameter"); len(all) != 2 || strings.Contains(string(all[0].Bytes()), "settlement") {
		t.Errorf("the first reader's finding was settled, or there are %d", len(all))
	}
}
