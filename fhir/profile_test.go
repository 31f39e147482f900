package fhir

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

// codesIn are the codes of a file, with their displays.
func codesIn(t *testing.T, typ, id string) []workflow.Coding {
	t.Helper()
	for _, n := range definitions()[typ] {
		switch {
		case n.Text("id") != id:
		case typ == "CodeSystem":
			return codesOfSystem(n)
		default:
			return codesOfValueSet(n)
		}
	}
	t.Fatalf("no %s/%s", typ, id)
	return nil
}

// The files say what the tables say that the program runs on.
func TestTheCodeSystemsAndValueSetsAreThoseOfTheProgram(t *testing.T) {
	system := func(id string, codes ...workflow.Coding) []workflow.Coding {
		for i := range codes {
			codes[i].System = Canonical + "/CodeSystem/" + id
		}
		return codes
	}
	var states, managements, intents []workflow.Coding
	for _, s := range workflow.States {
		states = append(states, workflow.Coding{Code: string(s.State), Display: s.Display})
		if got := definitionOf(ourCodeSystem(csCaseState), string(s.State)).Text(); got != s.Meaning {
			t.Errorf("%s is defined as %q, want %q", s.State, got, s.Meaning)
		}
	}
	for code, display := range managementCodes {
		managements = append(managements, workflow.Coding{Code: code, Display: display})
	}
	for code := range authorises {
		intents = append(intents, workflow.Coding{System: "http://hl7.org/fhir/request-intent", Code: code})
	}
	var actionable []workflow.Coding
	for _, c := range actionableCodes {
		actionable = append(actionable, c)
	}
	var reasons []workflow.Coding
	for _, r := range workflow.Reasons {
		reasons = append(reasons, workflow.Coding{Code: r.Code, Display: r.Display})
	}
	agreements := []workflow.Coding{}
	for _, c := range agreementCodes {
		agreements = append(agreements, c)
	}
	findings := append(workflow.IntakeCodes(), workflow.Coding{Code: "nobody-eligible", Display: "No eligible reader is available at present"},
		workflow.Coding{Code: "no-third-reader", Display: "No eligible third reader is available at present"})
	for _, c := range []struct {
		typ, id string
		want    []workflow.Coding
	}{
		{"CodeSystem", "case-state", system("case-state", states...)},
		{"CodeSystem", "second-opinion-agreement", agreements},
		{"CodeSystem", "management-change", system("management-change", managements...)},
		{"CodeSystem", "intake-finding", system("intake-finding", findings...)},
		{"CodeSystem", "second-opinion-reason", system("second-opinion-reason", reasons...)},
		{"ValueSet", "actionable-category", actionable},
		{"ValueSet", "second-opinion-request", append(slices.Clone(SecondOpinionCodes), workflow.Coding{System: v2Referral, Code: "S", Display: "Second Opinion"})},
		{"ValueSet", "authorising-intent", intents},
	} {
		got := codesIn(t, c.typ, c.id)
		if c.id == "authorising-intent" { // displays are those of R4
			for i := range got {
				got[i].Display = ""
			}
		}
		byCode := func(a, b workflow.Coding) int { return strings.Compare(a.Code, b.Code) }
		slices.SortFunc(got, byCode)
		slices.SortFunc(c.want, byCode)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s/%s: %s", c.typ, c.id, diff)
		}
	}
	for _, cs := range codeSystems() {
		if count := len(cs.Get("concept").Items()); cs.Text("content") == "complete" && cs.Text("count") != toNode(count).Text() {
			t.Errorf("%s has %d codes, and says %s", cs.Text("id"), count, cs.Text("count"))
		}
	}
}

func TestTheConceptMapsAreTheColumnsOfTheTableOfStates(t *testing.T) {
	for id, column := range map[string]func(workflow.StateInfo) string{
		"case-state-to-task-status":    func(s workflow.StateInfo) string { return s.Task },
		"case-state-to-request-status": func(s workflow.StateInfo) string { return s.ServiceRequest },
		"case-state-to-report-status":  func(s workflow.StateInfo) string { return s.Report },
	} {
		want, got := map[string]string{}, map[string]string{}
		for _, s := range workflow.States {
			if to := column(s); to != "" && to != "=" {
				want[string(s.State)] = to
			}
		}
		i := slices.IndexFunc(conceptMaps(), func(n *Node) bool { return n.Text("id") == id })
		for _, e := range conceptMaps()[i].Each("group", "element") {
			got[e.Text("code")] = e.Text("target", "code")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}

func TestTheInvariantsOfOurProfilesAreInTheirFiles(t *testing.T) {
	said := map[string]string{}
	for _, sd := range structureDefinitions() {
		for _, c := range sd.Each("differential", "element", "constraint") {
			said[c.Text("key")] = sd.Text("id") + ": " + c.Text("expression")
		}
	}
	for _, rule := range profileInvariants {
		if got := said[rule.key]; got != rule.profile+": "+rule.expression {
			t.Errorf("%s is there %s\nand here %s", rule.key, got, rule.expression)
		}
		delete(said, rule.key)
	}
	if len(said) > 0 {
		t.Errorf("not checked: %v", said)
	}
}

// Whoever changes a profile and forgets `make snapshots` hears of it here.
func TestEverySnapshotIsOfItsDifferential(t *testing.T) {
	for _, sd := range structureDefinitions() {
		whole := map[string]*Node{}
		for _, e := range sd.Get("snapshot", "element").Items() {
			whole[e.Text("id")] = e
		}
		for _, e := range sd.Get("differential", "element").Items() {
			got := whole[e.Text("id")]
			for _, m := range e.members {
				if m.name != "type" && !matchesPattern(m.value, got.Get(m.name)) {
					t.Errorf("%s of %s: run make snapshots", m.name, e.Text("id"))
				}
			}
		}
	}
}

// soundOrder keeps the profile of orders.
const soundOrder = `{"resourceType":"ServiceRequest","meta":{"profile":["https://overread.org/fhir/StructureDefinition/second-opinion-request"]},"status":"active","intent":"order",` +
	`"identifier":[{"system":"urn:placer","value":"1"}],"category":[{"coding":[{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"111418"}]}],"subject":{"reference":"Patient/1"}}`

// soundTask, soundReport and soundComparison keep theirs.
const (
	soundTask = `{"resourceType":"Task","meta":{"profile":["https://overread.org/fhir/StructureDefinition/second-opinion-task"]},"status":"requested","intent":"order",` +
		`"identifier":[{"system":"https://overread.org/fhir/sid/case","value":"1"},{"system":"https://overread.org/fhir/sid/filler","value":"2"}],` +
		`"businessStatus":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/case-state","code":"received"}]},` +
		`"code":{"coding":[{"system":"http://hl7.org/fhir/CodeSystem/task-code","code":"fulfill"}]},"focus":{"reference":"ServiceRequest/1"},` +
		`"lastModified":"2026-01-01T10:00:00Z","owner":{"display":"x"},` +
		`"output":[{"type":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/task-output","code":"report"}]},"valueReference":{"reference":"DiagnosticReport/1"}}]}`
	soundReport = `{"resourceType":"DiagnosticReport","meta":{"profile":["https://overread.org/fhir/StructureDefinition/second-opinion-report|1.0.0"]},"status":"registered",` +
		`"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/diagnosticReport-extends","valueReference":{"display":"x"}}],` +
		`"identifier":[{"system":"https://overread.org/fhir/sid/report","value":"1"},{"system":"https://overread.org/fhir/sid/filler","value":"2"}],` +
		`"basedOn":[{"reference":"ServiceRequest/1"}],"category":[{"coding":[{"system":"http://loinc.org","code":"LP29684-5"},{"system":"http://terminology.hl7.org/CodeSystem/v2-0074","code":"RAD"}]}],` +
		`"code":{"text":"x"},"subject":{"reference":"Patient/1"},"performer":[{"display":"x"}]}`
	soundComparison = `{"resourceType":"Observation","meta":{"profile":["https://overread.org/fhir/StructureDefinition/second-opinion-comparison"]},"status":"final",` +
		`"identifier":[{"value":"1"}],"basedOn":[{"reference":"ServiceRequest/1"}],"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"imaging"}]}],` +
		`"code":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/second-opinion-observation","code":"agreement"}]},"subject":{"reference":"Patient/1"},"issued":"2026-01-01T10:00:00Z","performer":[{"display":"x"}],` +
		`"valueCodeableConcept":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/second-opinion-agreement","code":"minor-difference"}]},"note":[{"text":"a"}],` +
		`"component":[{"code":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/second-opinion-observation","code":"management-change"}]},"valueCodeableConcept":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/management-change","code":"none"}]}}]}`
)

// unjudged: the official validator does not follow references that lead nowhere,
// and so cannot tell what they lead to.
const unjudged = "-"

// profileBreaks are ways to break our profiles, each by one change. The key is
// that of the invariant, empty where it is another rule.
var profileBreaks = []struct{ name, key, sound, from, to, expression, says string }{
	{"no placer's number", "", soundOrder, `"identifier":[{"system":"urn:placer","value":"1"}],`, ``, "ServiceRequest.identifier", "add it"},
	{"only a filler's number", "so-req-2", soundOrder, `[{"system":"urn:placer"`, `[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"FILL"}]},"system":"urn:placer"`, "ServiceRequest.identifier", "(so-req-2)"},
	{"no second opinion", "so-req-1", soundOrder, `"111418"`, `"111419"`, "ServiceRequest", "(so-req-1)"},
	{"a proposal", "", soundOrder, `"intent":"order"`, `"intent":"proposal"`, "ServiceRequest.intent", "authorising-intent"},
	{"doNotPerform", "", soundOrder, `"intent"`, `"doNotPerform":true,"intent"`, "ServiceRequest.doNotPerform", "write false"},
	{"implicitRules", "", soundOrder, `"status"`, `"implicitRules":"http://a/b","status"`, "ServiceRequest.implicitRules", "leave it out"},
	{"a modifier extension", "", soundOrder, `"status"`, `"modifierExtension":[{"url":"http://a/b","valueString":"c"}],"status"`, "ServiceRequest.modifierExtension", "leave it out"},
	{"a group", unjudged, soundOrder, `Patient/1`, `Group/1`, "ServiceRequest.subject", "Patient only"},
	{"another type", "", soundOrder, `second-opinion-request`, `second-opinion-task`, "ServiceRequest", "one of Task"},
	{"no number of the case", "", soundTask, `sid/case`, `sid/other`, "Task.identifier", "sid/case"},
	{"two numbers of the case", "", soundTask, `sid/filler"`, `sid/case"`, "Task.identifier", "at most 1"},
	{"an unknown state", "", soundTask, `"received"`, `"lost"`, "Task.businessStatus", "case-state"},
	{"no state", "", soundTask, `"businessStatus"`, `"statusReason"`, "Task.businessStatus", "add it"},
	{"another code", "", soundTask, `"fulfill"`, `"approve"`, "Task.code", "fulfill"},
	{"no order", "so-task-1", soundTask, `"focus"`, `"for"`, "Task", "(so-task-1)"},
	{"a report in words", "", soundTask, `"valueReference":{"reference":"DiagnosticReport/1"}`, `"valueString":"a"`, "Task.output[0].value", "Reference only"},
	{"a report that is none", unjudged, soundTask, `DiagnosticReport/1`, `Observation/1`, "Task.output[0].value", "DiagnosticReport only"},
	{"a report without category", "", soundReport, `"code":"RAD"`, `"code":"LAB"`, "DiagnosticReport.category", "LP29684-5"},
	{"a signed report without content", "so-rep-1", soundReport, `"registered"`, `"final"`, "DiagnosticReport", "(so-rep-1)"},
	{"a report in error with content", "so-rep-2", soundReport, `"registered"`, `"entered-in-error","conclusion":"a"`, "DiagnosticReport", "(so-rep-2)"},
	{"two originals", "", soundReport, `"extension":[`, `"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/diagnosticReport-extends","valueReference":{"display":"y"}},`, "DiagnosticReport.extension", "at most 1"},
	{"a period", "", soundReport, `"code":{`, `"effectivePeriod":{"start":"2026"},"code":{`, "DiagnosticReport.effective", "dateTime only"},
	{"a form without hash", "", soundReport, `"code":{`, `"presentedForm":[{"contentType":"text/plain","data":"QQ==","size":1}],"code":{`, "DiagnosticReport.presentedForm[0].hash", "add it"},
	{"no result", "so-cmp-1", soundComparison, `"valueCodeableConcept":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/second-opinion-agreement","code":"minor-difference"}]},`, ``, "Observation.value", "(so-cmp-1)"},
	{"no words", "so-cmp-2", soundComparison, `"note":[{"text":"a"}],`, ``, "Observation.note", "(so-cmp-2)"},
	{"another value", "", soundComparison, `"minor-difference"`, `"2b"`, "Observation.value", "second-opinion-agreement"},
	{"a value without code", "", soundComparison, `"valueCodeableConcept":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/management-change","code":"none"}]}`, `"valueCodeableConcept":{"text":"none"}`, "Observation.component[0].value", "management-change"},
	{"a component without value", "", soundComparison, `,"valueCodeableConcept":{"coding":[{"system":"https://overread.org/fhir/CodeSystem/management-change","code":"none"}]}}]`, `}]`, "Observation.component[0].value", "add it"},
}

func TestWhatClaimsAProfileOfOursKeepsIt(t *testing.T) {
	s, err := newBareServer()
	if err != nil {
		t.Fatal(err)
	}
	for _, sound := range []string{soundOrder, soundTask, soundReport, soundComparison} {
		if n, err := Decode([]byte(sound), ""); err != nil {
			t.Error(issueLines(err))
		} else if err := s.keepsItsClaims(n); err != nil {
			t.Errorf("%s\n%s", sound, issueLines(err))
		}
	}
	for _, c := range profileBreaks {
		t.Run(c.name, func(t *testing.T) {
			body := strings.Replace(c.sound, c.from, c.to, 1)
			if body == c.sound {
				t.Fatal("nothing was broken")
			}
			n, err := Decode([]byte(body), "")
			if err != nil {
				t.Fatal(issueLines(err))
			}
			got := issueLines(s.keepsItsClaims(n))
			if !strings.Contains(got, " "+c.expression+": ") || !strings.Contains(got, c.says) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestTheClaimsOfOthersAreLeftUnread(t *testing.T) {
	s, err := newBareServer()
	if err != nil {
		t.Fatal(err)
	}
	for _, claim := range []string{"http://hl7.org/fhir/us/core/StructureDefinition/us-core-servicerequest", Canonical + "/StructureDefinition/second-opinion-request|0.9.0"} {
		n := mustParse(t, `{"resourceType":"ServiceRequest","meta":{"profile":["`+claim+`"]},"status":"draft","intent":"plan","subject":{"display":"x"}}`)
		if err := s.keepsItsClaims(n); err != nil {
			t.Errorf("%s: %v", claim, err)
		}
	}
}

// newBareServer has the tables, and no database.
func newBareServer() (*Server, error) {
	return New(Config{DB: &pg.DB{}, BaseURL: "http://overread.example/fhir"})
}
