package fhir

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/overread/overread/internal/fault"
)

// heldElsewhere are the invariants that are no row of the table.
var heldElsewhere = map[string]string{
	"ele-1": "check.go, object and companion", "ext-1": "check.go, rule", "ref-1": "uri.go, referenceProblem",
	"dom-2": "check.go, nested", "dom-3": "check.go, referred", "txt-1": "narrative.go", "txt-2": "narrative.go",
}

// The table says what the published StructureDefinitions say, all of it.
func TestTheTableOfInvariantsIsThatOfTheSpecification(t *testing.T) {
	type published struct{ severity, expression string }
	said := map[string]published{}
	for name, body := range readFixtures(t, "fhir-r4/definitions") {
		if !strings.Contains(name, "StructureDefinition-") {
			continue
		}
		var sd struct {
			Type, Derivation string
			Snapshot         struct {
				Element []struct {
					Path       string
					Constraint []struct{ Key, Severity, Expression, Source string }
				}
			}
		}
		if err := json.Unmarshal(body, &sd); err != nil {
			t.Fatal(err)
		}
		for _, e := range sd.Snapshot.Element {
			for _, c := range e.Constraint {
				on := e.Path
				if strings.HasPrefix(c.Key, "dom-") {
					on = "DomainResource"
				}
				if heldElsewhere[c.Key] == "" {
					said[c.Key+" "+on] = published{c.Severity, c.Expression}
				}
			}
		}
	}
	for _, v := range invariants() {
		want, ok := said[v.key+" "+v.on]
		delete(said, v.key+" "+v.on)
		switch {
		case !ok && resourceShape(strings.Split(v.on, ".")[0]) != nil: // data types are not all in the fixtures
			t.Errorf("%s of %s is not in the specification", v.key, v.on)
		case ok && (want.expression != v.expression || (want.severity == "warning") != v.warning):
			t.Errorf("%s of %s is there: %+v", v.key, v.on, want)
		}
		if on, element, _ := strings.Cut(v.on, "."); on != "DomainResource" {
			s := resourceShape(on)
			if s != nil && element != "" && s.elements[element] == nil {
				t.Errorf("%s: %s has no %s", v.key, on, element)
			}
		}
	}
	for rule := range said {
		t.Errorf("%s is missing", rule)
	}
}

// broken is an example for each rule: what breaks it, and the same mended.
type brokenRule struct{ key, expression, bad, mend, mended string }

func brokenRules() []brokenRule {
	const (
		observation = `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]}`
		timing      = orderHead + `,"occurrenceTiming":{"repeat":{`
		patient     = `{"resourceType":"Patient"`
		condition   = `{"resourceType":"Condition","subject":{"display":"x"}`
		consent     = `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"something","code":"X"}]},"category":[{"text":"a"}],"policyRule":{"text":"b"}`
		list        = `{"resourceType":"List","status":"current","mode":"snapshot"`
		input       = `{"resourceType":"Task","status":"draft","intent":"order","input":[{"type":{"text":"a"},`
		measure     = `{"resourceType":"Measure","status":"active","name":"Turnaround"`
		report      = `{"resourceType":"MeasureReport","status":"complete","type":"individual","measure":"http://a/b","period":{"start":"2026","end":"2026"}`
		entry       = `"entry":[{"fullUrl":"http://a/Basic/1","resource":{"resourceType":"Basic","id":"1","code":{"text":"x"}}`
	)

	return []brokenRule{
		{"ele-1", "ServiceRequest.code", orderHead + `,"code":{"id":"a"}}`, `"id":"a"`, `"id":"a","text":"b"`},
		{"ext-1", "Patient.extension[0]", patient + `,"extension":[{"url":"http://a"}]}`, `"http://a"`, `"http://a","valueString":"b"`},
		{"ref-1", "ServiceRequest.requester.reference", orderHead + `,"requester":{"reference":"#a"}}`, `"reference":"#a"`, `"display":"a"`},
		{"dom-2", "ServiceRequest.contained[0].contained[0]", orderHead + `,"contained":[{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Patient","id":"b"}]}],"requester":{"reference":"#a"}}`,
			`,"contained":[{"resourceType":"Patient","id":"b"}]`, ``},
		{"dom-3", "ServiceRequest.contained[0]", orderHead + `,"contained":[{"resourceType":"Patient","id":"a"}]}`, `"id":"a"}]`, `"id":"a"}],"requester":{"reference":"#a"}`},
		{"dom-4", "ServiceRequest.contained", orderHead + `,"contained":[{"resourceType":"Patient","id":"a","meta":{"versionId":"1"}}],"requester":{"reference":"#a"}}`, `"versionId":"1"`, `"source":"http://a"`},
		{"dom-5", "ServiceRequest.contained", orderHead + `,"contained":[{"resourceType":"Patient","id":"a","meta":{"security":[{"code":"R"}]}}],"requester":{"reference":"#a"}}`, `"security"`, `"tag"`},
		{"dom-6", "ServiceRequest", orderHead + `}`, `"intent":"order"`, `"intent":"order","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"}`},
		{"att-1", "Patient.photo[0].contentType", patient + `,"photo":[{"data":"QQ=="}]}`, `"data"`, `"contentType":"image/png","data"`},
		{"cpt-2", "Patient.telecom[0].system", patient + `,"telecom":[{"value":"1"}]}`, `"value":"1"`, `"system":"phone","value":"1"`},
		{"exp-1", "Measure.group[0].population[0].criteria", measure + `,"group":[{"population":[{"criteria":{"language":"text/fhirpath"}}]}]}`, `"text/fhirpath"`, `"text/fhirpath","expression":"true"`},
		{"per-1", "Encounter.period.end", `{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"},"period":{"start":"2026-02-01","end":"2026-01-31"}}`, `"2026-01-31"`, `"2026-02-01"`},
		{"qty-3", "Observation.value.system", observation + `,"valueQuantity":{"value":1,"code":"mm"}}`, `"code":"mm"`, `"system":"http://unitsofmeasure.org","code":"mm"`},
		{"age-1", "Condition.onset", condition + `,"onsetAge":{"value":0,"code":"a","system":"http://unitsofmeasure.org"}}`, `"value":0`, `"value":1`},
		{"cnt-3", "Task.input[0].value", input + `"valueCount":{"value":1.5,"code":"1","system":"http://unitsofmeasure.org"}}]}`, `1.5`, `2`},
		{"dis-1", "Task.input[0].value", input + `"valueDistance":{"value":1}}]}`, `"value":1`, `"value":1,"code":"m","system":"http://unitsofmeasure.org"`},
		{"drt-1", "Task.input[0].value", input + `"valueDuration":{"code":"h","system":"http://unitsofmeasure.org"}}]}`, `"code"`, `"value":1,"code"`},
		{"drq-1", "Task.input[0].value.codeFilter[0]", input + `"valueDataRequirement":{"type":"Patient","codeFilter":[{"path":"a","searchParam":"b"}]}}]}`, `"path":"a",`, ``},
		{"drq-2", "Task.input[0].value.dateFilter[0]", input + `"valueDataRequirement":{"type":"Patient","dateFilter":[{"path":"a","searchParam":"b"}]}}]}`, `"path":"a",`, ``},
		{"rng-2", "Condition.onset.high", condition + `,"onsetRange":{"low":{"value":2},"high":{"value":1}}}`, `"value":1`, `"value":2`},
		{"sqty-1", "Condition.onset.low.comparator", condition + `,"onsetRange":{"low":{"value":2,"comparator":"<"}}}`, `,"comparator":"<"`, ``},
		{"trd-1", "Task.input[0].value.data", input + `"valueTriggerDefinition":{"type":"data-added","timingDate":"2026","data":[{"type":"Patient"}]}}]}`, `"timingDate":"2026",`, ``},
		{"trd-2", "Task.input[0].value.condition", input + `"valueTriggerDefinition":{"type":"periodic","timingDate":"2026","condition":{"language":"text/fhirpath","expression":"true"}}}]}`, `,"condition":{"language":"text/fhirpath","expression":"true"}`, ``},
		{"trd-3", "Task.input[0].value.type", input + `"valueTriggerDefinition":{"type":"named-event"}}]}`, `"named-event"`, `"named-event","name":"a"`},
		{"rat-1", "ServiceRequest.quantity", orderHead + `,"quantityRatio":{"numerator":{"value":1}}}`, `"numerator":{"value":1}`, `"numerator":{"value":1},"denominator":{"value":1}`},
		{"tim-1", "ServiceRequest.occurrence.repeat.durationUnit", timing + `"duration":1}}}`, `"duration":1`, `"duration":1,"durationUnit":"h"`},
		{"tim-2", "ServiceRequest.occurrence.repeat.periodUnit", timing + `"period":1}}}`, `"period":1`, `"period":1,"periodUnit":"h"`},
		{"tim-4", "ServiceRequest.occurrence.repeat.duration", timing + `"duration":-1,"durationUnit":"h"}}}`, `-1`, `0`},
		{"tim-5", "ServiceRequest.occurrence.repeat.period", timing + `"period":-0.5,"periodUnit":"h"}}}`, `-0.5`, `0.5`},
		{"tim-6", "ServiceRequest.occurrence.repeat.period", timing + `"periodMax":1}}}`, `"periodMax":1`, `"period":1,"periodUnit":"h","periodMax":2`},
		{"tim-7", "ServiceRequest.occurrence.repeat.duration", timing + `"durationMax":1}}}`, `"durationMax":1`, `"duration":1,"durationUnit":"h","durationMax":2`},
		{"tim-8", "ServiceRequest.occurrence.repeat.count", timing + `"countMax":2}}}`, `"countMax":2`, `"count":1,"countMax":2`},
		{"tim-9", "ServiceRequest.occurrence.repeat.offset", timing + `"offset":1,"when":["C"]}}}`, `"C"`, `"AC"`},
		{"tim-10", "ServiceRequest.occurrence.repeat.when", timing + `"timeOfDay":["10:00:00"],"when":["AC"]}}}`, `"timeOfDay":["10:00:00"],`, ``},
		{"app-1", "Appointment.participant[0]", `{"resourceType":"Appointment","status":"proposed","participant":[{"status":"accepted"}]}`, `"status":"accepted"`, `"status":"accepted","actor":{"display":"x"}`},
		{"app-2", "Appointment.end", `{"resourceType":"Appointment","status":"proposed","start":"2026-01-01T10:00:00Z","participant":[{"status":"accepted","actor":{"display":"x"}}]}`, `"start":"2026-01-01T10:00:00Z",`, ``},
		{"app-3", "Appointment.start", `{"resourceType":"Appointment","status":"booked","participant":[{"status":"accepted","actor":{"display":"x"}}]}`, `"booked"`, `"proposed"`},
		{"app-4", "Appointment.cancelationReason", `{"resourceType":"Appointment","status":"proposed","cancelationReason":{"text":"x"},"participant":[{"status":"accepted","actor":{"display":"x"}}]}`, `"proposed"`, `"cancelled"`},
		{"sev-1", "AuditEvent.entity[0].query", `{"resourceType":"AuditEvent","type":{"code":"rest"},"recorded":"2026-01-01T10:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"display":"x"}},"entity":[{"name":"a","query":"QQ=="}]}`, `"name":"a",`, ``},
		{"con-1", "Condition.stage[0]", condition + `,"stage":[{"type":{"text":"a"}}]}`, `"type"`, `"summary"`},
		{"con-2", "Condition.evidence[0]", condition + `,"evidence":[{"extension":[{"url":"http://a","valueString":"b"}]}]}`, `"valueString":"b"}]`, `"valueString":"b"}],"code":[{"text":"c"}]`},
		{"con-3", "Condition.clinicalStatus", condition + `,"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"problem-list-item"}]}]}`, `"problem-list-item"`, `"encounter-diagnosis"`},
		{"con-4", "Condition.clinicalStatus", condition + `,"abatementString":"x","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}}`, `"active"`, `"resolved"`},
		{"con-5", "Condition.clinicalStatus", condition + `,"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"entered-in-error"}]}}`, `"entered-in-error"`, `"confirmed"`},
		{"ppc-1", "Consent", strings.Replace(consent, `,"policyRule":{"text":"b"}`, "", 1) + `}`, `"category"`, `"policyRule":{"text":"b"},"category"`},
		{"ppc-2", "Consent.patient", strings.Replace(consent, "X", "patient-privacy", 1) + `}`, `"patient-privacy"`, `"y"`},
		{"ppc-3", "Consent.patient", strings.Replace(consent, "X", "research", 1) + `}`, `"research"`, `"y"`},
		{"ppc-4", "Consent.patient", strings.Replace(consent, "X", "adr", 1) + `}`, `"adr"`, `"y"`},
		{"ppc-5", "Consent.patient", strings.Replace(consent, "X", "treatment", 1) + `}`, `"treatment"`, `"y"`},
		{"grp-1", "Group.member", `{"resourceType":"Group","type":"person","actual":false,"member":[{"entity":{"display":"x"}}]}`, `false`, `true`},
		{"lst-1", "List.emptyReason", list + `,"emptyReason":{"text":"a"},"entry":[{"item":{"display":"x"}}]}`, `"emptyReason":{"text":"a"},`, ``},
		{"lst-2", "List.entry", list + `,"entry":[{"item":{"display":"x"},"deleted":true}]}`, `"snapshot"`, `"changes"`},
		{"lst-3", "List.entry", list + `,"entry":[{"item":{"display":"x"},"date":"2026"}]}`, `"snapshot"`, `"working"`},
		{"mea-0", "Measure.name", `{"resourceType":"Measure","status":"active","name":"not a name"}`, `not a name`, `AName`},
		{"mea-1", "Measure.group", measure + `,"group":[{"stratifier":[{"code":{"text":"a"},"component":[{"criteria":{"language":"text/cql","expression":"x"}}]}]}]}`, `"code":{"text":"a"},`, ``},
		{"mrp-1", "MeasureReport.group", strings.Replace(report, "individual", "data-collection", 1) + `,"group":[{"code":{"text":"a"}}]}`, `"data-collection"`, `"individual"`},
		{"mrp-2", "MeasureReport.group", report + `,"group":[{"stratifier":[{"stratum":[{"value":{"text":"a"},"component":[{"code":{"text":"b"},"value":{"text":"c"}}]}]}]}]}`, `"value":{"text":"a"},`, ``},
		{"obs-3", "Observation.referenceRange[0]", observation + `,"referenceRange":[{"type":{"text":"a"}}]}`, `"type":{"text":"a"}`, `"text":"a"`},
		{"obs-6", "Observation.dataAbsentReason", observation + `,"valueString":"a","dataAbsentReason":{"text":"b"}}`, `"valueString":"a",`, ``},
		{"obs-7", "Observation.component", observation + `,"valueString":"a","component":[{"code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},"valueString":"c"}]}`, `"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"1-8"`, `"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"2-6"`},
		{"org-1", "Organization", `{"resourceType":"Organization","active":true}`, `"active"`, `"name":"A","active"`},
		{"org-2", "Organization.address[0].use", `{"resourceType":"Organization","name":"A","address":[{"use":"home","text":"b"}]}`, `"home"`, `"work"`},
		{"org-3", "Organization.telecom[0].use", `{"resourceType":"Organization","name":"A","telecom":[{"use":"home","system":"phone","value":"1"}]}`, `"home"`, `"work"`},
		{"inv-1", "Parameters.parameter[0].part[0]", `{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b"}]}]}`, `"name":"b"`, `"name":"b","valueString":"c"`},
		{"inv-1", "Task.lastModified", `{"resourceType":"Task","status":"draft","intent":"order","authoredOn":"2026-02-01","lastModified":"2026-01-31"}`, `"2026-02-01"`, `"2026-01-01"`},
		{"pat-1", "Patient.contact[0]", patient + `,"contact":[{"gender":"male"}]}`, `"gender":"male"`, `"gender":"male","telecom":[{"system":"phone","value":"1"}]`},
		{"prr-1", "ServiceRequest.orderDetail", orderHead + `,"orderDetail":[{"text":"a"}]}`, `"orderDetail"`, `"code":{"text":"b"},"orderDetail"`},
		{"bdl-1", "Bundle.total", `{"resourceType":"Bundle","type":"collection","total":1}`, `"collection"`, `"searchset"`},
		{"bdl-2", "Bundle.entry[0]", `{"resourceType":"Bundle","type":"collection",` + entry + `,"search":{"mode":"match"}}]}`, `"collection"`, `"searchset"`},
		{"bdl-3", "Bundle.entry[0]", `{"resourceType":"Bundle","type":"transaction",` + entry + `}]}`, `"1","code":{"text":"x"}}`, `"1","code":{"text":"x"}},"request":{"method":"PUT","url":"Basic/1"}`},
		{"bdl-4", "Bundle.entry[0]", `{"resourceType":"Bundle","type":"collection",` + entry + `,"response":{"status":"200"}}]}`, `"collection"`, `"batch-response"`},
		{"bdl-5", "Bundle.entry[0]", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://a/Basic/1"}]}`, `,"entry":[{"fullUrl":"http://a/Basic/1"}]`, ``},
		{"bdl-7", "Bundle.entry[1]", `{"resourceType":"Bundle","type":"collection",` + entry + `},{"fullUrl":"http://a/Basic/1","resource":{"resourceType":"Basic","id":"1","code":{"text":"y"}}}]}`,
			`},{"fullUrl":"http://a/Basic/1","resource":{"resourceType":"Basic","id":"1"`, `},{"fullUrl":"http://a/Basic/2","resource":{"resourceType":"Basic","id":"2"`},
		{"bdl-8", "Bundle.entry[0].fullUrl", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://a/Basic/1/_history/2","resource":{"resourceType":"Basic","id":"1","code":{"text":"x"}}}]}`, `/_history/2`, ``},
		{"bdl-9", "Bundle.identifier", `{"resourceType":"Bundle","type":"document","timestamp":"2026-01-01T10:00:00Z",` + composition + `}`, `"timestamp"`, `"identifier":{"system":"urn:ietf:rfc:3986","value":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},"timestamp"`},
		{"bdl-10", "Bundle.timestamp", `{"resourceType":"Bundle","type":"document","identifier":{"system":"urn:ietf:rfc:3986","value":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},` + composition + `}`, `"identifier"`, `"timestamp":"2026-01-01T10:00:00Z","identifier"`},
		{"bdl-11", "Bundle.entry", `{"resourceType":"Bundle","type":"document","identifier":{"system":"urn:ietf:rfc:3986","value":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},"timestamp":"2026-01-01T10:00:00Z",` + entry + `}]}`, entry + `}]`, composition},
		{"bdl-12", "Bundle.entry", `{"resourceType":"Bundle","type":"message",` + entry + `}]}`, `"message"`, `"collection"`},
	}
}

const composition = `"entry":[{"fullUrl":"http://a/Composition/1","resource":{"resourceType":"Composition","id":"1","status":"final","type":{"text":"a"},"date":"2026","author":[{"display":"b"}],"title":"c"}}]`

func TestEachInvariantRefusesWhatBreaksItAndNothingElse(t *testing.T) {
	tried := map[string]bool{}
	for _, c := range brokenRules() {
		t.Run(c.key+" "+c.expression, func(t *testing.T) {
			typ, _, _ := strings.Cut(c.expression, ".")
			tried[c.key] = true
			if broken := rulesNamed(issuesOf(t, c.bad), c.expression); !slices.Contains(broken, c.key) {
				t.Errorf("%s %s\nbroke %v", typ, c.bad, broken)
			}
			mended := strings.Replace(c.bad, c.mend, c.mended, 1)
			if mended == c.bad {
				t.Fatal("nothing was mended")
			}
			for _, issue := range issuesOf(t, mended) {
				if issue.Kind != "warning" || strings.Contains(issue.Text, "("+c.key+")") {
					t.Errorf("mended: %+v", issue)
				}
			}
		})
	}
	for _, v := range invariants() {
		if !tried[v.key] {
			t.Errorf("%s has no example", v.key)
		}
	}
}

// issuesOf are errors and warnings; the kind of the latter is "warning" here.
func issuesOf(t *testing.T, body string) []fault.Issue {
	t.Helper()
	c := &checker{warn: true}
	c.all(mustParse(t, body))
	for _, w := range c.warnings {
		c.issues = append(c.issues, fault.Issue{Kind: "warning", Expression: w.Expression, Text: w.Text})
	}
	return c.issues
}

func rulesNamed(issues []fault.Issue, expression string) []string {
	var keys []string
	for _, issue := range issues {
		if i := strings.LastIndexByte(issue.Text, '('); i >= 0 && issue.Expression == expression {
			keys = append(keys, strings.Trim(issue.Text[i:], "()"))
		}
	}
	return keys
}

func TestWarningsRefuseNothing(t *testing.T) {
	if _, err := Decode([]byte(orderHead+"}"), ""); err != nil {
		t.Error(err)
	}
}

func TestDatesMayFollowEachOtherWhereTheyMayMeanIt(t *testing.T) {
	for _, c := range []struct {
		first, second string
		want          bool
	}{
		{"2026-01-31", "2026-01", true}, {"2026", "2026-01-01", true}, {"2026-02", "2026-01", false},
		{"2026-01-01T23:30:00-05:00", "2026-01-01", true}, // the next day in UTC
		{"2026-01-03T23:30:00-05:00", "2026-01-01", false},
		{"2026-01-01T10:00:00Z", "2026-01-01T12:00:00+03:00", false},
		{"2026-01-01T10:00:00.5Z", "2026-01-01T10:00:00Z", true},
		{"", "2026", true}, {"2026", "", true},
	} {
		if got := mayFollow(c.first, c.second); got != c.want {
			t.Errorf("%s to %s: %v", c.first, c.second, got)
		}
	}
}
