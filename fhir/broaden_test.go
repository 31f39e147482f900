package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

func TestThatACaseWasReadByAnotherThanItAskedForIsToldInTheTaskAndTheReport(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"triage": [{"when": {"bodySite": ["chest"]}, "then": {"subspecialty": "cardiac"}}]}'`)
	id := c.order(chestXray(t, "1")...)
	c.tick()
	c.wantState(id, "unassignable")
	broaden := func(as access.Role) response {
		return c.do(as, "POST", "/fhir/Task/"+id+"/$broaden", `{"resourceType": "Parameters", "parameter": [
			{"name": "to", "valueCode": "related"}, {"name": "reason", "valueString": "the tumour board is tomorrow"}]}`)
	}
	if got := broaden(access.Reader); got.status != http.StatusForbidden {
		t.Errorf("a reader: %d", got.status)
	}
	if got := broaden(access.Coordinator); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	c.tick()
	c.wantState(id, "ready")
	told := func() string {
		for _, out := range c.task(id).Each("output") {
			if hasCode(out.Get("type"), csOutput, "broadened") {
				return out.Text("valueString")
			}
		}
		return ""
	}
	if got, want := told(), "Open to radiologists of chest or vascular too, where cardiac is asked for: the tumour board is tomorrow"; got != want {
		t.Error(got)
	}
	c.read(id)
	want := "Read by a radiologist of the related subspecialty chest instead of one of the subspecialty cardiac, because the tumour board is tomorrow."
	if got := told(); got != want {
		t.Error(got)
	}
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")
	report := c.report(id)
	if got := report.Text("conclusion"); !strings.Contains(got, want) {
		t.Error(got)
	}
	if got := report.Text("text", "div"); !strings.Contains(got, want) {
		t.Error(got)
	}
}

func TestTheNextReaderNeverSeesWhatTheFormerOneWrote(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "1")...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	c.mustAct(access.Reader, id, "$draft", "findings", "Zanzibar sign in the left lung.")
	next := c.readers[access.Adjudicator]
	asReader := c.hat(next, access.Reader)
	got := c.do(access.Coordinator, "POST", "/fhir/Task/"+id+"/$reassign", Object("resourceType", "Parameters", "parameter", []*Node{
		Object("name", "reader", "valueReference", Object("reference", "Practitioner/"+next.ID.String())),
		Object("name", "reason", "valueString", "on leave")}).jsonText())
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	c.wantState(id, "offered")
	for _, step := range []string{"before", "$claim", "$start"} {
		if step != "before" {
			c.mustAct(asReader, id, step, inputOf(step)...)
		}
		for _, address := range []string{"Task/" + id, "Task/" + id + "/_history", "Patient/$everything", "DiagnosticReport", "Observation", "Provenance", "Communication", "DocumentReference", "Basic"} {
			if got := c.do(asReader, "GET", "/fhir/"+address, ""); strings.Contains(got.body, "Zanzibar") {
				t.Errorf("%s shows it after %s", address, step)
			}
		}
	}
	if got := c.act(asReader, id, "$lock"); got.status == http.StatusOK || strings.Contains(got.body, "Zanzibar") {
		t.Errorf("the former reader's draft is locked as the next one's: %d %s", got.status, got.body)
	}
	c.mustAct(asReader, id, "$lock", "findings", "Clear.", "impression", "Normal.")
	c.mustAct(asReader, id, "$reveal")
	c.mustAct(asReader, id, "$grade", "agreement", true)
	c.mustAct(asReader, id, "$sign")
	if body := string(c.report(id).Bytes()); strings.Contains(body, "Zanzibar") {
		t.Error("the report has it")
	}
}

func inputOf(operation string) []any {
	if operation == "$claim" {
		return []any{"independent", true}
	}
	return nil
}
