package fhir

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// comparedReport is a signed case, and the hospital's report that it was compared with.
func comparedReport(t *testing.T) (c *clinic, task, original string) {
	c = startClinic(t)
	task = c.signed("1")
	for _, e := range c.get("/fhir/DiagnosticReport?_count=50").node.Each("entry", "resource") {
		if !isOurs(e) {
			original = e.Text("id")
		}
	}
	if original == "" {
		t.Fatal("there is no first report")
	}
	return c, task, original
}

// comparedWith is the version of the first report that the Provenance of ours names.
func (c *clinic) comparedWith(task, original string) (version string) {
	c.t.Helper()
	all := c.get("/fhir/Provenance?_sort=-_lastUpdated&target=DiagnosticReport/"+c.report(task).Text("id")).node.Each("entry", "resource")
	for _, what := range all[0].Each("entity", "what", "reference") {
		if _, after, found := strings.Cut(what.Text(), "DiagnosticReport/"+original+"/_history/"); found {
			version = after
		}
	}
	return version
}

// An EHR sends a report again for many reasons. Of those that change nothing that it says
// nobody hears, and nobody has to look.
func TestAFirstReportThatIsSentAgainUnchangedOpensNothing(t *testing.T) {
	t.Parallel()
	c, task, original := comparedReport(t)
	for name, change := range map[string]func(n *Node){
		"the same": func(*Node) {},
		"meta":     func(n *Node) { n.Set("meta", Object("tag", []*Node{coding("urn:ehr", "resent", "")})) },
		"narrative": func(n *Node) {
			n.Set("text", Object("status", "generated", "div", `<div xmlns="http://www.w3.org/1999/xhtml"><p>Printed anew</p></div>`))
		},
		"identifier": func(n *Node) { n.Append("identifier", Object("system", "urn:ehr:report", "value", "77")) },
	} {
		c.mustChange("DiagnosticReport", original, change)
		c.wantCount(access.Placer, "Communication", 0)
		if t.Failed() {
			t.Fatalf("%s: the EHR is told", name)
		}
	}
	if text := string(c.task(task).Bytes()); strings.Contains(text, "study-changed") {
		t.Error(text)
	}
}

// The hospital changes its report when ours is signed: in its words, its form, what its
// Observations say, or by its status. Whoever ordered is told, the desk and who signed have
// it, and the version that is signed then names what it was compared with.
func TestAFirstReportThatIsChangedAfterTheSignatureIsComparedAgain(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *clinic, original string){
		"words": func(c *clinic, original string) {
			c.mustChange("DiagnosticReport", original, func(n *Node) { n.Set("conclusion", "No nodule at all.") })
		},
		"form": func(c *clinic, original string) {
			c.mustChange("DiagnosticReport", original, func(n *Node) {
				n.Set("presentedForm", []*Node{Object("contentType", "text/plain", "data", base64.StdEncoding.EncodeToString([]byte("No nodule.")))})
			})
		},
		"status": func(c *clinic, original string) {
			c.mustChange("DiagnosticReport", original, func(n *Node) { n.Set("status", "corrected") })
		},
		"observation": func(c *clinic, original string) {
			ref := c.get("/fhir/DiagnosticReport/" + original).node.Each("result")[0].Text("reference")
			c.mustChange("Observation", parseReference(ref).id, func(n *Node) {
				n.Remove("valueCodeableConcept")
				n.Set("valueString", "No nodule.")
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, task, original := comparedReport(t)
			before, sent := c.comparedWith(task, original), len(c.messages())
			change(c, original)
			told := c.get("/fhir/Communication?status=in-progress").node.Each("entry", "resource")
			if len(told) != 1 || !hasCode(told[0].Get("topic"), csTopic, "original-changed") || !strings.Contains(told[0].jsonText(), "says how it differs from what the first one said before; who signed it has been asked to look at it again") {
				t.Fatalf("%s", c.get("/fhir/Communication").node.Bytes())
			}
			if len(c.messages()) != sent+1 {
				t.Error("it is not sent to the EHR")
			}
			if text := string(c.task(task).Bytes()); !strings.Contains(text, "The first report of the study was changed after this second opinion was signed") {
				t.Errorf("the Task does not say it: %s", text)
			}
			list, err := c.server.Worklist(t.Context(), c.readers[access.Reader], 10, Asked{})
			if err != nil || len(list) != 1 || list[0].Owed != "look" {
				t.Errorf("who signed finds %+v %v", list, err)
			}
			if !strings.Contains(fmt.Sprint(c.deedsOf(access.Director, task)), "dismiss-verification") {
				t.Error("the director is not offered to dismiss it")
			}
			// What is signed meanwhile for another reason was not compared again.
			c.mustAct(access.Placer, task, "$ask", "question", "Which side?")
			c.mustAct(access.Reader, task, "$answer", "answer", "Left.")
			if got := c.comparedWith(task, original); got != before {
				t.Errorf("an addendum is compared with version %s, not %s", got, before)
			}
			c.mustAct(access.Reader, task, "$amend", "reason", "the first report changed")
			sign := []any{"kind", "amendment", "reason", "the first report changed", "text", "The first report does not see the nodule any more.", "verifies", true}
			c.act(access.Reader, task, "$sign", sign...).want(t, http.StatusUnprocessableEntity, "business-rule")
			c.mustAct(access.Reader, task, "$sign", append(sign, "discrepancy", missed("important"), "difference", "The nodule is not mentioned.")...)
			if now := c.get("/fhir/DiagnosticReport/"+original).node.Text("meta", "versionId"); c.comparedWith(task, original) != now {
				t.Errorf("it is compared with version %s of %s", c.comparedWith(task, original), now)
			}
			for _, n := range c.get("/fhir/Communication?_count=50").node.Each("entry", "resource") {
				if hasCode(n.Get("topic"), csTopic, "original-changed") && n.Text("status") != "completed" {
					t.Errorf("it was compared: %s", n.Bytes())
				}
			}
		})
	}
}

// Each of these is an alarm for a reader, and another version for a clinician to read, or
// it is not.
func TestFormsThatSayTheSameAreTheSame(t *testing.T) {
	t.Parallel()
	text := func(kind, says string) *Node {
		return Object("contentType", kind, "data", base64.StdEncoding.EncodeToString([]byte(says)))
	}
	at := func(url, hash string) *Node {
		form := Object("contentType", "application/pdf", "url", url)
		if hash != "" {
			form.Set("hash", hash)
		}
		return form
	}
	broken := text("text/plain", "A nodule. No effusion.")
	broken.Set("data", broken.Text("data")[:8]+"\n"+broken.Text("data")[8:])
	for name, forms := range map[string]struct {
		one, other *Node
		same       bool
	}{
		"lines of a text":          {text("text/plain", "A nodule.\nNo effusion."), text("text/plain", "A nodule.\r\nNo effusion.\r\n"), true},
		"content type":             {text("text/plain", "A nodule."), text("text/plain; charset=UTF-8", "A nodule."), true},
		"lines of base64":          {text("text/plain", "A nodule. No effusion."), broken, true},
		"words of a text":          {text("text/plain", "A nodule."), text("text/plain", "No nodule."), false},
		"case of a binary":         {text("application/pdf", "AAAA"), text("application/pdf", "AAAa"), false},
		"spaces in a binary":       {text("application/pdf", "A A"), text("application/pdf", "A  A"), false},
		"address of the same":      {at("https://ehr.example/Binary/1?key=1", "YQ=="), at("https://ehr.example/Binary/1?key=2", "YQ=="), true},
		"another at the address":   {at("https://ehr.example/Binary/1", "YQ=="), at("https://ehr.example/Binary/1", "Yg=="), false},
		"at another, with no hash": {at("https://ehr.example/Binary/1", ""), at("https://ehr.example/Binary/2", ""), false},
	} {
		said := func(form *Node) string {
			return (&dossier{original: found{Node: Object("resourceType", "DiagnosticReport", "conclusion", "A nodule.", "presentedForm", []*Node{form})}}).saidOfOriginal()
		}
		if got := said(forms.one) == said(forms.other); got != forms.same {
			t.Errorf("%s: the same is %t", name, got)
		}
	}
}
