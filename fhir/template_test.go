package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// chestForm is the template of a tenant for the exam of the tests.
const chestForm = `
title: X-ray of the chest
when: {bodySite: [chest]}
sections:
- id: lungs
  title: Lungs
  required: true
  site: {system: "http://snomed.info/sct", code: "39607008", display: Lung structure}
  normal: No nodule.
  findings: [{id: nodule, text: Solid nodule, code: {system: "http://radlex.org", code: RID3875, display: nodule}}]
  measurements:
  - {id: size, title: Largest nodule, unit: mm, low: 1, high: 300, code: {system: "http://loinc.org", code: "21889-1", display: Size Tumor}}
- {id: pleura, title: Pleura, required: true, normal: No effusion.}
`

func (c *clinic) setTemplate(name, text string) {
	c.t.Helper()
	d, err := workflow.ReadTemplate([]byte(text))
	if err == nil {
		err = c.db.System(context.Background(), func(tx pgx.Tx) error {
			_, _, err := workflow.SetTemplateTx(context.Background(), tx, c.tenant, name, d, "test", "")
			return err
		})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func formAnswered(questionnaire string, items ...*Node) *Node {
	return Object("resourceType", "QuestionnaireResponse", "questionnaire", questionnaire, "status", "in-progress", "item", items)
}

func answerItem(id, element string, value any) *Node {
	return Object("linkId", id, "answer", []*Node{Object(element, value)})
}

// send calls an operation with parameters that are resources or words.
func (c *clinic) send(as access.Role, id, name string, rows ...*Node) response {
	return c.do(as, "POST", "/fhir/Task/"+id+"/"+name, Object("resourceType", "Parameters", "parameter", rows).jsonText())
}

func TestAReportIsWrittenByTheSectionsOfItsTemplate(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.setTemplate("chest", chestForm)
	id := c.order(chestXray(t, "form")...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	form := c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$template", "").node
	if _, err := Decode(form.Bytes(), "Questionnaire"); err != nil {
		t.Fatalf("%v: %s", err, form.Bytes())
	}
	canonical := form.Text("url") + "|" + form.Text("version")
	if !strings.HasSuffix(canonical, "/Questionnaire/chest|1") {
		t.Error(canonical)
	}

	size := Object("linkId", "lungs.measure.size", "answer", []*Node{Object("valueQuantity", Object("value", Number("8.0"), "unit", "mm", "system", ucum, "code", "mm"))})
	lungs := Object("linkId", "lungs", "item", []*Node{answerItem("lungs.findings", "valueCoding", Object("code", "nodule")), size})
	answers := func(items ...*Node) *Node {
		return Object("name", "answers", "resource", formAnswered(canonical, items...))
	}
	word := func(name, text string) *Node { return Object("name", name, "valueString", text) }
	for name, test := range map[string]struct {
		answers *Node
		want    string
	}{
		"another form":       {Object("name", "answers", "resource", formAnswered(Canonical+"/Questionnaire/mr-brain|0", lungs)), "no template for the exam"},
		"no form of ours":    {Object("name", "answers", "resource", formAnswered("https://x.example/Questionnaire/1", lungs)), "must be the url"},
		"no such version":    {Object("name", "answers", "resource", formAnswered(form.Text("url")+"|7", lungs)), "no template for the exam"},
		"an unknown item":    {answers(answerItem("heart.normal", "valueBoolean", true)), "heart.normal is no item"},
		"an unknown choice":  {answers(answerItem("lungs.findings", "valueCoding", Object("code", "mass"))), "no such choice"},
		"no form at all":     {Object("name", "answers", "resource", Object("resourceType", "Patient")), "must be a QuestionnaireResponse"},
		"an answer of dates": {answers(answerItem("lungs.text", "valueDate", "2026-11-25")), "an answer is a valueBoolean"},
	} {
		if got := c.send(access.Reader, id, "$draft", test.answers); got.status/100 != 4 || !strings.Contains(got.body, test.want) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	got := c.send(access.Reader, id, "$draft", answers(lungs), word("impression", "Nodule."))
	if got.status != http.StatusOK || got.node.Each("parameter")[1].Text("valueInteger") != "1" {
		t.Fatal(got.body)
	}
	c.act(access.Reader, id, "$lock").want(t, http.StatusUnprocessableEntity, "business-rule") // of the pleura nothing is said
	kept := c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$drafts", "").node
	var again *Node
	for _, part := range kept.Get("parameter").Items()[0].Get("part").Items() {
		if part.Text("name") == "answers" {
			again = part.Get("resource")
		}
	}
	again.Append("item", Object("linkId", "pleura", "item", []*Node{answerItem("pleura.normal", "valueBoolean", true)}))
	got = c.send(access.Reader, id, "$lock", Object("name", "follows", "valueInteger", 1), Object("name", "answers", "resource", again), word("findings", "The image is rotated."), word("impression", "Nodule."))
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	c.mustAct(access.Reader, id, "$reveal")
	c.mustAct(access.Reader, id, "$grade", "agreement", true)
	c.mustAct(access.Reader, id, "$sign")

	report := c.report(id)
	for _, want := range []string{"<p>Lungs: Solid nodule. Largest nodule: 8.0 mm.</p><p>Pleura: No effusion.</p><p>The image is rotated.</p>"} {
		if !strings.Contains(report.Text("text", "div"), want) {
			t.Errorf("the report lacks %q: %s", want, report.Text("text", "div"))
		}
	}
	var measured *Node
	for _, ref := range report.Each("result") {
		if o := c.get("/fhir/" + ref.Text("reference")).node; o.Get("valueQuantity") != nil {
			measured = o
		}
	}
	if measured == nil {
		t.Fatalf("no measurement among the results: %s", report.Bytes())
	}
	if _, err := Decode(measured.Bytes(), "Observation"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"8.0", "mm", ucum, "39607008", "21889-1", "final"}, []string{measured.Text("valueQuantity", "value"), measured.Text("valueQuantity", "code"),
		measured.Text("valueQuantity", "system"), measured.Text("bodySite", "coding", "code"), measured.Text("code", "coding", "code"), measured.Text("status")}); diff != "" {
		t.Error(diff)
	}
	sent := c.deliveries()[0].resources(t, "Observation")
	if n := len(sent); n != len(report.Each("result")) {
		t.Errorf("%d Observations are sent, the report has %d", n, len(report.Each("result")))
	}

	c.mustAct(access.Reader, id, "$amend", "reason", "the nodule is a vessel")
	got = c.send(access.Reader, id, "$sign", Object("name", "kind", "valueCode", "correction"), word("reason", "a vessel"), word("text", "No nodule."), word("impression", "Normal."), Object("name", "gradeStands", "valueBoolean", true),
		answers(answerItem("lungs.normal", "valueBoolean", true), answerItem("pleura.normal", "valueBoolean", true)))
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	gone := c.get("/fhir/Observation/" + measured.Text("id")).node
	if gone.Text("status") != "entered-in-error" || gone.Get("valueQuantity") != nil {
		t.Errorf("what was measured and is no more: %s", gone.Bytes())
	}
}

func TestATemplateIsATenantsOwnAndFreeTextIsWelcome(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.setTemplate("chest", strings.Replace(chestForm, "bodySite: [chest]", "modality: [MG]", 1))
	id := c.order(chestXray(t, "free")...)
	c.tick()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.do(access.Reader, "GET", "/fhir/Task/"+id+"/$template", "").want(t, http.StatusNotFound, "not-found")
	c.mustAct(access.Reader, id, "$lock", "findings", "f", "impression", "i")
	err := c.db.Tenant(context.Background(), uuid.New(), func(tx pgx.Tx) error {
		others, err := workflow.TemplatesTx(context.Background(), tx, c.tenant)
		if len(others) != len(workflow.ProgramTemplates()) {
			t.Errorf("another tenant sees %d templates", len(others))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, v := range workflow.ProgramTemplates() {
		if _, err := Decode(questionnaire(v).Bytes(), "Questionnaire"); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}
