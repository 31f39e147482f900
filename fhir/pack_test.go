package fhir

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

func TestAMeetingPackNamesNobodyAndStaysAsItWasMade(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"grading": "peer-learning"}'`)
	task := c.order(chestXray(t, "1")...)
	c.tick()
	c.read(task)
	scored := missed("unimportant")
	if got := c.act(access.Reader, task, "$grade", "discrepancy", scored, "difference", "A nodule is not mentioned."); !strings.Contains(got.body, "leave expectedness out") {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.mustAct(access.Reader, task, "$grade", "discrepancy", scored[:4], "difference", "Ms Baxter has a nodule that Ronald Bone does not mention.")
	c.mustAct(access.Reader, task, "$sign")
	if got := c.do(access.Quality, "GET", "/fhir/Task/"+task+"/$quality", ""); strings.Contains(got.body, "radpeer") || strings.Contains(got.body, "fivePoint") {
		t.Errorf("a score under peer learning: %s", got.body)
	}
	unsigned := c.order(chestXray(t, "2")...)
	make := func(params ...any) response {
		return c.do(access.Quality, "POST", "/fhir/Task/$make-meeting-pack", parametersBody(params...))
	}
	title := value("valueString", "November")
	make("title", title).want(t, http.StatusUnprocessableEntity, "business-rule") // nothing to learn yet
	c.mustAct(access.Reader, task, "$add-learning-point", "text", "Look behind the heart.", "tag", "lung-nodule")
	make("title", title, "case", value("valueReference", Object("reference", "Task/"+unsigned))).want(t, http.StatusUnprocessableEntity, "business-rule")
	make("title", value("valueString", "The case of Baxter")).want(t, http.StatusUnprocessableEntity, "business-rule")
	make("title", title, "tag", value("valueCode", "brain")).want(t, http.StatusUnprocessableEntity, "business-rule")
	make("title", title, "to", value("valueDate", "2020-01-01")).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.mustAct(access.Placer, task, "$outcome", "right", "second", "source", "pathology", "date", value("valueDate", "2026-01-02"))
	got := make("title", title, "tag", value("valueCode", "lung-nodule"), "from", value("valueDate", "2020-01-01"))
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if err := Validate(got.node); err != nil {
		t.Error(issueLines(err))
	}
	text := got.body
	kinds := []string{}
	for _, p := range got.node.Each("parameter") {
		if p.Text("name") == "document" {
			raw, err := base64.StdEncoding.DecodeString(p.Text("valueAttachment", "data"))
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, p.Text("valueAttachment", "contentType"))
			text += string(raw)
			if p.Text("valueAttachment", "contentType") == "application/pdf" && !bytes.HasPrefix(raw, []byte("%PDF-")) {
				t.Error("it is no PDF")
			}
		}
	}
	if diff := cmp.Diff([]string{"text/html", "application/pdf"}, kinds); diff != "" {
		t.Error(diff)
	}
	for _, word := range []string{"Look behind the heart.", "lung-nodule", "perception", "left out: it names somebody", "30 to 39"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in it: %s", word, got.body)
		}
	}
	for _, word := range []string{"Baxter", "Shaw", "1032702", "Ronald", "Second Reader", "1987", task, c.task(task).Text("for", "reference"), "most-of-the-time"} {
		if strings.Contains(text, word) {
			t.Errorf("%q is in it", word)
		}
	}
	id := c.do(access.Quality, "GET", "/fhir/Task/$meeting-pack", "").node
	first := saidIn(id, "pack", "id")
	c.mustAct(access.Quality, task, "$withdraw-learning-point", "number", value("valuePositiveInt", 1))
	if again := c.do(access.Quality, "GET", "/fhir/Task/$meeting-pack?id="+first, ""); again.body != got.body {
		t.Errorf("it has changed:\n%s\n%s", got.body, again.body)
	}
	c.do(access.Quality, "GET", "/fhir/Task/$meeting-pack?id="+uuid.NewString(), "").want(t, http.StatusNotFound, "not-found")
	if err := c.server.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if opened := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|quality-opened&entity:identifier="+Canonical+"/sid/meeting-pack|"+first, ""); !strings.Contains(opened.body, first) {
		t.Errorf("its opening is not recorded: %s", opened.body)
	}
}

// A pack in German has no word of ours in English, whatever the codes are.
func TestAPackOnPaperIsInOneLanguage(t *testing.T) {
	t.Parallel()
	german := func(text string) {
		t.Helper()
		if text == "" || letter.In("de", text) == text {
			t.Errorf("%q has no German words", text)
		}
	}
	for _, element := range []string{"significance", "nature", "direction", "asymmetry"} {
		for _, code := range workflow.Words(element) {
			german(packWord(code))
			if cause := workflow.LearningCause(element, code); cause != "" {
				german(cause)
			}
		}
	}
	for _, code := range workflow.TruthSources {
		german(truthWords[code])
	}
	for _, code := range []string{"first", "second", "both", "neither", "undetermined"} {
		german(packWord(code))
	}
	for _, code := range agreementCodes {
		german(code.Display)
	}
	for _, text := range managementCodes {
		german(text)
	}
	p := workflow.Pack{Title: "Mappe", FiguresOf: "2026-07-01", Figures: []workflow.PackFigure{{Title: "x", Value: "1"}}, Cases: []workflow.PackCase{{Modality: "CT", Subspecialty: "neuro", Age: "60 to 69", Level: workflow.LevelMajor, GoodCall: true,
		Difference: "x", Clinician: "treatment", Right: "second", RightBy: "surgery", Tags: []string{"x"}, Points: []string{"x"},
		Discrepancies: []workflow.PackedDiscrepancy{{Finding: "x", Significance: "important", Nature: "detection", Direction: "miss", Lacked: []string{"priors"}, Causes: []string{"perception"}}}}}}
	english, page := string(paperOf(p, "en").HTML()), string(paperOf(p, "de").HTML())
	for _, said := range regexp.MustCompile(`(?s)<(?:h[123]|dt|dd|p)[^>]*>([^<]{4,})<`).FindAllStringSubmatch(english, -1) {
		if text := said[1]; text != "Mappe" && text != "neuro" && text != "60–69" && strings.Contains(page, text) {
			t.Errorf("the German pack says %q", text)
		}
	}
	if !strings.Contains(page, `lang="de"`) || !strings.Contains(page, "1. Juli 2026") || !strings.Contains(page, "Fall 1: Untersuchung") {
		t.Error(page)
	}
}
