package fhir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// What the server says is held to the same rules as what it is told: by the test
// here, and by the official validator when OVERREAD_EMIT names the folder to
// write it to (make test-validator).

// emitted is a folder of files for the official validator, one for each way of
// judging them (internal/peers/validator).
type emitted struct {
	t      *testing.T
	folder string
	count  map[string]int
}

func newEmitted(t *testing.T) *emitted {
	return &emitted{t, os.Getenv("OVERREAD_EMIT"), map[string]int{}}
}

// put adds a file; head is what the way of judging wants to know of it.
func (e *emitted) put(judged, head string, body []byte) {
	e.t.Helper()
	e.count[judged+" "+head]++
	if e.folder == "" {
		return
	}
	name := filepath.Join(e.folder, judged, fmt.Sprintf("%s.%s-%d.json", head, strings.ReplaceAll(e.t.Name(), "/", "-"), e.count[judged+" "+head]))
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, body, 0o600)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// sound is FHIR, and where it is of a case keeps our profile.
func (e *emitted) sound(s *Server, body []byte) {
	e.t.Helper()
	n, err := Decode(body, "")
	if err != nil {
		e.t.Errorf("%s\n%s", body, issueLines(err))
		return
	}
	e.put("sound", n.Type(), withoutBALP(n).Bytes())
	id := profileKept(n)
	if id == "" {
		return
	}
	e.put("profiled", id, body)
	c := &profileCheck{codes: s.valueSetCodes}
	if c.resource(profileOf(Canonical+"/StructureDefinition/"+id), n, n.Type()); len(c.issues) > 0 {
		e.t.Errorf("%s does not keep %s: %v", body, id, c.issues)
	}
}

// withoutBALP is an AuditEvent without its claim of an IHE profile, which cannot
// be had offline: the validator would look no further.
func withoutBALP(n *Node) *Node {
	if n.Type() != "AuditEvent" || n.Get("meta", "profile") == nil {
		return n
	}
	n = n.Clone()
	n.Get("meta").Remove("profile")
	n.Get("meta").Set("source", "urn:overread:test") // an empty object is no value
	return n
}

// profileKept is the profile that a resource of ours keeps, though it does not
// claim it (docs/decisions/0007-invariants-in-go.md).
func profileKept(n *Node) string {
	switch {
	case n.Type() == "Task" && n.Get("businessStatus") != nil:
		return "second-opinion-task"
	case n.Type() == "DiagnosticReport" && n.Text("identifier", "system") == sidReport:
		return "second-opinion-report"
	case n.Type() == "Observation" && hasCode(n.Get("code"), csObservation, "agreement"):
		return "second-opinion-comparison"
	}
	return ""
}

func TestWhatIsEmittedKeepsFHIRAndOurProfiles(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	amended := c.signed("1")
	c.mustAct(access.Reader, amended, "$amend", "reason", "prior CT became available")
	c.mustAct(access.Reader, amended, "$sign", "kind", "addition", "reason", "prior CT became available", "text", "The nodule was there in 2020, unchanged.")
	differing := c.order(chestXray(t, "2")...)
	c.tick()
	c.read(differing)
	c.mustAct(access.Reader, differing, "$grade", "discrepancy", missed("unimportant"), "difference", "A nodule is not mentioned.")
	c.mustAct(access.Reader, differing, "$sign")
	c.mustAct(access.Director, differing, "$declare-error", "reason", "wrong patient")
	c.order(withoutStudy(t, "3")...)
	c.tick()
	cancelled := c.order(chestXray(t, "4")...)
	c.tick()
	c.mustAct(access.Placer, cancelled, "$cancel", "reason", "no longer needed")

	c.mustCreate("Task", `{"resourceType":"Task","status":"requested","intent":"order","code":{"coding":[{"system":"http://hl7.org/fhir/CodeSystem/task-code","code":"fulfill"}]},`+
		`"focus":{"type":"ServiceRequest","identifier":{"system":"urn:placer","value":"9"}},"for":{"display":"x"},"authoredOn":"2099-01-01"}`)
	c.tick()

	c.settle()
	e := newEmitted(t)
	for _, sql := range []string{
		`SELECT body FROM resource_history WHERE body IS NOT NULL AND type IN ('Task', 'DiagnosticReport', 'Observation', 'Provenance', 'Practitioner', 'Organization') ORDER BY type, id, version`,
		`SELECT body FROM resource WHERE type IN ('Task', 'DiagnosticReport', 'Observation', 'Provenance', 'Practitioner', 'Organization') ORDER BY type, id`,
		`SELECT body FROM audit_event ORDER BY body LIMIT 60`,
		`SELECT body FROM delivery ORDER BY case_id, report_no`,
	} {
		for _, body := range c.bodies(sql) {
			if !sentByEHR(body) {
				e.sound(c.server, body)
			}
		}
	}
	for _, path := range []string{
		"metadata", "Task", "DiagnosticReport?_count=2", "Task/" + amended + "/_history", "Task/" + amended + "/$everything",
		"ValueSet/case-state/$expand", "ValueSet/$validate-code?code=x&system=http://a&url=" + Canonical + "/ValueSet/case-state",
		"CodeSystem/$lookup?code=ready&system=" + csCaseState, "ConceptMap/$translate?code=ready&system=" + csCaseState,
		"Task/" + amended + "/$validate", "Patient/none", "AuditEvent?_count=3", "Patient?birthdate=x",
	} {
		e.sound(c.server, []byte(c.get("/fhir/"+path).body))
	}
	if _, err := c.engine.BuildFacts(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"discrepancy-any/$evaluate-measure?stratifier=modality&stratifier=month", "turnaround/$evaluate-measure?stratifier=priority", "no-comparison/$evaluate-measure?reportType=subject-list",
		"adjudication-overturn/$evaluate-measure?interval=clopper-pearson", "agreement/$evaluate-measure?subject=" + c.task(amended).Text("for", "reference")} {
		e.sound(c.server, []byte(c.do(access.Quality, "GET", "/fhir/Measure/"+query+"&periodStart=2026&periodEnd=2070", "").body))
	}
	e.sound(c.server, []byte(c.post("/fhir", bundleJSON(entryJSON("", "POST", "Patient", "", patientJSON("9")))).body))
	e.sound(c.server, []byte(c.post("/fhir", bundleJSON(entryJSON("", "POST", "Patient", "", `{"resourceType":"Patient","active":"x"}`))).body))
	for _, row := range c.server.resources {
		if row.content != nil {
			for _, n := range row.content() {
				e.sound(c.server, n.Bytes())
			}
		}
	}
	for _, want := range []string{"sound Task", "sound Provenance", "sound AuditEvent", "sound OperationOutcome", "sound Bundle", "sound Parameters", "sound ValueSet",
		"sound CapabilityStatement", "sound Measure", "sound MeasureReport", "sound StructureDefinition", "sound OperationDefinition", "sound SearchParameter", "sound ConceptMap",
		"profiled second-opinion-task", "profiled second-opinion-report", "profiled second-opinion-comparison"} {
		if e.count[want] == 0 {
			t.Errorf("nothing was tried as %s", want)
		}
	}
}

// withoutStudy is an order that the intake checks cannot complete.
func withoutStudy(t *testing.T, placer string) []*Node {
	return slices.DeleteFunc(chestXray(t, placer), func(entry *Node) bool {
		switch entry.Get("resource").Type() {
		case "ServiceRequest":
			entry.Get("resource").Remove("supportingInfo")
			return false
		case "Patient", "Practitioner", "Encounter":
			return false
		}
		return true
	})
}

// sentByEHR tells the fixtures of US Core, which claim its profiles.
func sentByEHR(body []byte) bool {
	return strings.Contains(string(body), "us/core/StructureDefinition")
}

func (r *rest) bodies(sql string) [][]byte {
	r.t.Helper()
	rows, err := r.db.Owner(r.t).Query(context.Background(), sql)
	if err != nil {
		r.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// The official validator is given the examples of every invariant and every rule
// of our profiles too: it has to find each broken, and mended.
func TestTheExamplesOfTheRulesAreForTheValidatorToo(t *testing.T) {
	e := newEmitted(t)
	for _, c := range brokenRules() {
		if c.key == "ele-1" || c.key == "con-3" {
			continue // the validator takes an id for content, and never reports con-3
		}
		e.put("broken", c.key, []byte(c.bad))
		e.put("mended", c.key, []byte(strings.Replace(c.bad, c.mend, c.mended, 1)))
	}
	for _, sound := range []string{soundOrder, soundTask, soundReport, soundComparison} {
		e.put("sound", "profile", []byte(sound))
	}
	for _, c := range profileBreaks {
		broken := []byte(strings.Replace(c.sound, c.from, c.to, 1))
		switch c.key {
		case unjudged:
		case "":
			e.put("refused", "profile", broken)
		default:
			e.put("broken", c.key, broken)
		}
	}
	if len(e.count) < 60 {
		t.Errorf("only %d kinds of examples", len(e.count))
	}
}
