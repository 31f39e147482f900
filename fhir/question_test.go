package fhir

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// clinicianAsks is a Communication about a report in a status, with its words.
func clinicianAsks(report *Node, number, status, text string) *Node {
	return Object("resourceType", "Communication", "status", status, "topic", concept(csTopic, "question", ""),
		"identifier", []*Node{Object("system", "urn:ehr:message", "value", number)}, "subject", report.Get("subject").Clone(),
		"about", []*Node{Object("reference", "DiagnosticReport/"+report.Text("id"))}, "sender", Object("display", "Dr Jones"), "payload", says(text))
}

// forms are the ways in which an EHR writes a Communication that is here: id is of
// the one that is, "" where this is the first.
var forms = map[string]func(c *clinic, n *Node, id, number string) response{
	"update": func(c *clinic, n *Node, id, _ string) response {
		if id == "" {
			return c.post("/fhir/Communication", n.jsonText())
		}
		n.Set("id", id)
		return c.put("/fhir/Communication/"+id, n.jsonText())
	},
	"conditional update": func(c *clinic, n *Node, _, number string) response {
		return c.put("/fhir/Communication?identifier=urn:ehr:message|"+number, n.jsonText())
	},
	"transaction": func(c *clinic, n *Node, id, number string) response {
		how := Object("method", "PUT", "url", "Communication?identifier=urn:ehr:message|"+number)
		if id != "" {
			n.Set("id", id)
			how.Set("url", "Communication/"+id)
		}
		return c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", []*Node{Object("resource", n, "request", how)}).jsonText())
	},
	"create then patch": func(c *clinic, n *Node, id, _ string) response {
		if id == "" {
			return c.post("/fhir/Communication", n.jsonText())
		}
		patch := fmt.Sprintf(`[{"op":"replace","path":"/status","value":%q},{"op":"replace","path":"/payload/0/contentString","value":%q}]`,
			n.Text("status"), n.Each("payload")[0].Text("contentString"))
		return c.do(access.Placer, "PATCH", "/fhir/Communication/"+id, patch, "Content-Type", "application/json-patch+json")
	},
}

func TestAQuestionThatIsPreparedCorrectedOrAskedAnewIsHeardInEveryForm(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	for name, write := range forms {
		number := strings.ReplaceAll(name, " ", "-")
		task := c.signed("q-" + number[:6])
		report := c.report(task)
		id := ""
		say := func(status, text string) {
			t.Helper()
			if got := write(c, clinicianAsks(report, number, status, text), id, number); got.status != http.StatusOK && got.status != http.StatusCreated {
				t.Fatalf("%s: %d %s", name, got.status, got.body)
			}
			id = c.get("/fhir/Communication?identifier=urn:ehr:message|" + number).ids()[0]
		}
		matters := func() (all []string) {
			n := c.do(access.Reader, "GET", "/fhir/Task/"+task+"/$matters", "").node
			texts := valuesOfPart(n, "matter", "text")
			for i, p := range n.Each("parameter") {
				one := Object("parameter", []*Node{p})
				all = append(all, strings.TrimSpace(texts[i]+" "+strings.Join(valuesOfPart(one, "matter", "settlement"), "")+strings.Join(valuesOfPart(one, "matter", "earlier"), "")))
			}
			return all
		}
		want := func(list ...string) {
			t.Helper()
			if diff := cmp.Diff(list, matters()); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		say("preparation", "Left?")
		want()
		say("completed", "Left?")
		want("Left?")
		say("completed", "Left?")
		want("Left?")
		say("completed", "Right?")
		want("Right? Left?")
		c.mustAct(access.Reader, task, "$answer", "answer", "Right.")
		if text := c.report(task).Text("conclusion"); !strings.Contains(text, "Question: Right? (asked before it was corrected: Left?)\nAnswer: Right.") {
			t.Errorf("%s: %s", name, text)
		}
		say("completed", "And the left?")
		say("completed", "And the left?")
		want("Right? answeredLeft?", "And the left?")
		say("completed", "Both?")
		want("Right? answeredLeft?", "Both? And the left?")
		say("entered-in-error", "Both?")
		want("Right? answeredLeft?", "Both? withdrawnAnd the left?")
		if got := c.get("/fhir/Communication/" + id + "/_history"); !strings.Contains(got.body, "Left?") {
			t.Errorf("%s: the words of before are not in the history", name)
		}
	}
}

// A question about the wrong report is moved: withdrawn there, and asked here. Taken
// back, it is withdrawn where it stands.
func TestAQuestionThatIsMovedToAnotherReportIsAskedThere(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	wrong, right := c.signed("q-wrong"), c.signed("q-right")
	id := ""
	say := func(task, status, text string) {
		t.Helper()
		n := clinicianAsks(c.report(task), "moved", status, text)
		if id == "" {
			c.post("/fhir/Communication", n.jsonText()).want(t, http.StatusCreated, "")
			id = c.get("/fhir/Communication?identifier=urn:ehr:message|moved").ids()[0]
			return
		}
		n.Set("id", id)
		c.put("/fhir/Communication/"+id, n.jsonText()).want(t, http.StatusOK, "")
	}
	want := func(task string, settlements ...string) {
		t.Helper()
		got := valuesOfPart(c.do(access.Placer, "GET", "/fhir/Task/"+task+"/$matters", "").node, "matter", "settlement")
		if strings.Join(got, ",") != strings.Join(settlements, ",") {
			t.Errorf("%q, want %q", got, settlements)
		}
	}
	texts := func(task string) string {
		return strings.Join(valuesOfPart(c.do(access.Placer, "GET", "/fhir/Task/"+task+"/$matters", "").node, "matter", "text"), ",")
	}
	say(wrong, "completed", "Left?")
	say(right, "completed", "Left?")
	want(wrong, "withdrawn")
	if got := texts(right); got != "Left?" {
		t.Errorf("%q", got)
	}
	say(right, "completed", "Right?")
	if got := texts(right); got != "Right?" {
		t.Errorf("%q", got)
	}
	say(right, "entered-in-error", "Right?")
	want(wrong, "withdrawn")
	want(right, "withdrawn")
}
