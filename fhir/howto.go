package fhir

import (
	"net/http"
	"slices"
	"strings"

	"github.com/overread/overread/workflow"
)

// setup is what all commands of the pages begin with.
func (s *Server) setup() sample {
	return sample{Title: "Address and token", Command: "BASE=" + s.baseURL + `
AUTH="Authorization: Bearer $OVERREAD_TOKEN"
JSON='Content-Type: application/fhir+json'`}
}

var firstCall = sample{Title: "A first search", Command: `curl -sS -H "$AUTH" "$BASE/Patient?_count=1"`}

// howTo is one frequent task with the command that does it. It is shown where
// the server has what it needs: an interaction, or an operation as $name.
type howTo struct {
	needs []string
	sample
}

// The command that puts the id of the answer's resource into a variable.
const intoID = ` | sed -n 's/^{"resourceType":"[A-Za-z]*","id":"\([^"]*\)".*/\1/p'`

// The same for the first resource that a search found.
const foundID = ` | sed -n 's/.*"resource":{"resourceType":"[A-Za-z]*","id":"\([^"]*\)".*/\1/p'`

// orderExample is a whole order: patient, study, first report and the order
// itself, coded as a second opinion. What is here already is found by its
// identifier, so the same order can be sent again and is one case.
const orderExample = `curl -sS -H "$AUTH" -H "$JSON" --data-binary @- "$BASE" <<'END'
{"resourceType": "Bundle", "type": "transaction", "entry": [
  {"fullUrl": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0001",
   "resource": {"resourceType": "Patient",
     "identifier": [{"system": "urn:example:mrn", "value": "1001"}],
     "name": [{"family": "Exemplar", "given": ["Ada"]}], "gender": "female", "birthDate": "1970-05-17"},
   "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:example:mrn|1001"}},
  {"fullUrl": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0002",
   "resource": {"resourceType": "ImagingStudy",
     "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.1001001"}], "status": "available",
     "subject": {"reference": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0001"},
     "started": "2026-11-24T08:15:00Z", "numberOfInstances": 120,
     "series": [{"uid": "2.25.1001002", "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}, "numberOfInstances": 120}]},
   "request": {"method": "POST", "url": "ImagingStudy", "ifNoneExist": "identifier=urn:dicom:uid|urn:oid:2.25.1001001"}},
  {"fullUrl": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0003",
   "resource": {"resourceType": "DiagnosticReport",
     "identifier": [{"system": "urn:example:report", "value": "R-1001"}], "status": "final",
     "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}],
     "code": {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}]},
     "subject": {"reference": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0001"},
     "imagingStudy": [{"reference": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0002"}],
     "effectiveDateTime": "2026-11-24T08:15:00Z", "conclusion": "No nodule is seen."},
   "request": {"method": "POST", "url": "DiagnosticReport", "ifNoneExist": "identifier=urn:example:report|R-1001"}},
  {"fullUrl": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0004",
   "resource": {"resourceType": "ServiceRequest",
     "identifier": [{"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}, "system": "urn:example:order", "value": "A-1001"}],
     "status": "active", "intent": "order", "priority": "routine",
     "code": {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}]},
     "reasonCode": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0336", "code": "S"}], "text": "Is there a nodule?"}],
     "subject": {"reference": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0001"},
     "supportingInfo": [{"reference": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0002"}, {"reference": "urn:uuid:5c2b7a10-7d7d-4d53-9d6e-0a8f5f1e0003"}],
     "authoredOn": "2026-11-25T09:00:00Z"},
   "request": {"method": "POST", "url": "ServiceRequest", "ifNoneExist": "identifier=urn:example:order|A-1001"}}
]}
END`

// howTos is the table of frequent tasks. Each command stands on its own after
// setup, save that those behind the first find what it has sent.
var howTos = []howTo{
	{[]string{"transaction"}, sample{"send-an-order", "Send an order",
		"One transaction brings the patient, the study, the first report and the ServiceRequest, and opens the case. Sent again, it is the same case.",
		orderExample}},
	{nil, sample{"follow-the-case", "Follow the case",
		"Find the order by your own number, and the Task of its case by the order. businessStatus tells the exact state.",
		`ORDER=$(curl -sS -H "$AUTH" "$BASE/ServiceRequest?identifier=urn:example:order|A-1001"` + foundID + `)
curl -sS -H "$AUTH" "$BASE/Task?based-on=ServiceRequest/$ORDER"`}},
	{[]string{"$check"}, sample{"mend-an-order", "Learn what an order lacks, and mend it",
		"What the intake checks find is told three times in the same codes and words: in the Task (statusReason, output), as an OperationOutcome by $check, and as a " +
			"CommunicationRequest for each thing that you can mend: active while it is missing, completed when it has come, revoked when the case ends or goes on without it. " +
			"They are not sent: search them. Nothing else has to be called: send what is missing, and the checks run again by themselves.",
		`ORDER=$(curl -sS -H "$AUTH" "$BASE/ServiceRequest?identifier=urn:example:order|A-1001"` + foundID + `)
TASK=$(curl -sS -H "$AUTH" "$BASE/Task?based-on=ServiceRequest/$ORDER"` + foundID + `)
curl -sS -H "$AUTH" "$BASE/Task/$TASK/\$check"
curl -sS -H "$AUTH" "$BASE/CommunicationRequest?status=active&based-on=ServiceRequest/$ORDER"
curl -sS -H "$AUTH" "$BASE/CommunicationRequest?status=active&_include=CommunicationRequest:based-on&_sort=-_lastUpdated"
# the history was missing: add it
curl -sS -X PATCH -H "$AUTH" -H 'Content-Type: application/json-patch+json' \
  --data '[{"op":"add","path":"/note","value":[{"text":"Coughs since spring; smoker."}]}]' "$BASE/ServiceRequest/$ORDER"`}},
	{[]string{"$comparison", "search-type"}, sample{"settle-a-doubt", "Settle a doubt of the intake checks",
		"With a token of a coordinator, here in OVERREAD_COORDINATOR_TOKEN: a case that waits for one, and for each doubt what order, Patient, ImagingStudy, original report, PACS or the other case say, side by side, with equal, differs or unknown. " +
			"Then $resolve goes on, $reject refuses, and for a correction of what is being read $continue-reading or $restart-reading decides. Who looks is recorded; a coordinator who reads here too is refused before the original is shown.",
		`if [ -n "${OVERREAD_COORDINATOR_TOKEN:-}" ]; then
  AUTH="Authorization: Bearer $OVERREAD_COORDINATOR_TOKEN"
  TASK=$(curl -sS -H "$AUTH" "$BASE/Task?business-status=intake-review&_count=1"` + foundID + `)
  curl -sS -H "$AUTH" "$BASE/Task/$TASK/\$comparison"
fi`}},
	{[]string{"patch"}, sample{"say-why", "Say why a second opinion is asked for",
		"reasonCode takes a code of ValueSet second-opinion-reason beside the question in words. Rules of triage know it, and it counts in statistics. " +
			"Codes that tell what the first report says (inconclusive-report, discordant, persistent-symptoms) withhold the order from blinded readers: " +
			"put the question into another reasonCode or a note, which the reader gets by the Task.",
		`ORDER=$(curl -sS -H "$AUTH" "$BASE/ServiceRequest?identifier=urn:example:order|A-1001"` + foundID + `)
curl -sS -H "$AUTH" "$BASE/ValueSet/second-opinion-reason/\$expand"
curl -sS -X PATCH -H "$AUTH" -H 'Content-Type: application/json-patch+json' \
  --data '[{"op":"add","path":"/reasonCode/-","value":{"coding":[{"system":"` + workflow.ReasonSystem + `","code":"staging"}]}}]' "$BASE/ServiceRequest/$ORDER"`}},
	{[]string{"update"}, sample{"change-an-order", "Cancel, hold or speed up an order, or put it right",
		"Write what the order says now: status on-hold, active or revoked, priority, subject, supportingInfo. The case follows in every state, or the answer says why not and what to do " +
			"(docs/placer-changes.md has all of them). Who is reading is told. A signed report never changes by its order.",
		`ORDER=$(curl -sS -H "$AUTH" "$BASE/ServiceRequest?identifier=urn:example:order|A-1001"` + foundID + `)
for CHANGE in '{"op":"replace","path":"/priority","value":"urgent"}' '{"op":"replace","path":"/status","value":"on-hold"}' '{"op":"replace","path":"/status","value":"active"}'; do
  curl -sS -X PATCH -H "$AUTH" -H 'Content-Type: application/json-patch+json' --data "[$CHANGE]" "$BASE/ServiceRequest/$ORDER"; echo
done
curl -sS -H "$AUTH" "$BASE/Task?based-on=ServiceRequest/$ORDER"`}},
	{[]string{"update"}, sample{"merge-patients", "Merge two records of one patient, and part them again",
		"The record that is no longer used says which one has taken its place. Everything that refers to it is then found under both, and cases follow. Without the link all of it goes back.",
		`KEEP=$(curl -sS -H "$AUTH" "$BASE/Patient?identifier=urn:example:mrn|1001"` + foundID + `)
OLD=$(curl -sS -H "$AUTH" -H "$JSON" --data '{"resourceType":"Patient","identifier":[{"system":"urn:example:mrn","value":"1002"}],"name":[{"family":"Exemplar"}]}' "$BASE/Patient"` + intoID + `)
curl -sS -X PUT -H "$AUTH" -H "$JSON" --data '{"resourceType":"Patient","id":"'$OLD'","identifier":[{"system":"urn:example:mrn","value":"1002"}],"active":false,"link":[{"other":{"reference":"Patient/'$KEEP'"},"type":"replaced-by"}]}' "$BASE/Patient/$OLD"
curl -sS -X PUT -H "$AUTH" -H "$JSON" --data '{"resourceType":"Patient","id":"'$OLD'","identifier":[{"system":"urn:example:mrn","value":"1002"}],"active":true}' "$BASE/Patient/$OLD"`}},
	{[]string{"_include"}, sample{"read-reports", "Read reports with what they refer to",
		"The newest reports of a patient with their orders and results in the same Bundle. Entries that were asked for have search.mode match, the others include.",
		`curl -sS -H "$AUTH" "$BASE/DiagnosticReport?patient.identifier=urn:example:mrn|1001&_include=DiagnosticReport:based-on&_include=DiagnosticReport:result&_sort=-date"`}},
	{nil, sample{"page", "Read all pages",
		"Follow the link next until there is none. What is written meanwhile neither repeats nor hides a match.",
		`URL="$BASE/ServiceRequest?status=active&_count=20"
while [ -n "$URL" ]; do
  PAGE=$(curl -sS -H "$AUTH" "$URL")
  printf '%s\n' "$PAGE" | head -c 160; echo
  URL=$(printf '%s' "$PAGE" | sed -n 's/.*"relation":"next","url":"\([^"]*\)".*/\1/p')
done`}},
	{[]string{"create"}, sample{"create-once", "Create only what is not there yet",
		"With If-None-Exist the server looks first: 201 when it has created, 200 with the one that it found.",
		`curl -sS -i -H "$AUTH" -H "$JSON" -H 'If-None-Exist: identifier=urn:example:org|ORG-1' \
  --data '{"resourceType":"Organization","identifier":[{"system":"urn:example:org","value":"ORG-1"}],"name":"Example Hospital"}' \
  "$BASE/Organization"`}},
	{[]string{"update"}, sample{"change-safely", "Change without overwriting others",
		"Read, change, and send back with If-Match and the ETag that you read. When somebody was faster the answer is 412.",
		`ID=$(curl -sS -H "$AUTH" "$BASE/Patient?identifier=urn:example:mrn|1001"` + foundID + `)
ETAG=$(curl -sS -I -H "$AUTH" "$BASE/Patient/$ID" | tr -d '\r' | sed -n 's/^[Ee][Tt][Aa][Gg]: //p')
curl -sS -X PUT -H "$AUTH" -H "$JSON" -H "If-Match: $ETAG" \
  --data '{"resourceType":"Patient","id":"'$ID'","identifier":[{"system":"urn:example:mrn","value":"1001"}],"name":[{"family":"Exemplar","given":["Ada","Mae"]}],"gender":"female","birthDate":"1970-05-17"}' \
  "$BASE/Patient/$ID"`}},
	{[]string{"patch"}, sample{"patch", "Change one element",
		"A JSON Patch (RFC 6902) changes what it names and leaves the rest. Here the resource is found by a condition.",
		`curl -sS -X PATCH -H "$AUTH" -H 'Content-Type: application/json-patch+json' \
  --data '[{"op":"add","path":"/telecom","value":[{"system":"phone","value":"+1 555 0100"}]}]' \
  "$BASE/Patient?identifier=urn:example:mrn|1001"`}},
	{[]string{"history-instance"}, sample{"history", "See how a resource came to be",
		"All versions, newest first; each can be read on its own as well.",
		`ID=$(curl -sS -H "$AUTH" "$BASE/Patient?identifier=urn:example:mrn|1001"` + foundID + `)
curl -sS -H "$AUTH" "$BASE/Patient/$ID/_history"`}},
	{[]string{"$matters", "search-type"}, sample{"open-findings", "Learn of actionable findings",
		"Alerts that nobody has acknowledged, before the report too. Acknowledge one by Task/{id}/$acknowledge-finding, or with a Communication of the topic acknowledgement in response to it.",
		`curl -sS -H "$AUTH" "$BASE/Communication?category=alert&status=in-progress"`}},
	{[]string{"$matters", "search-type"}, sample{"open-matters", "See what is open on a case",
		"Findings, questions and changes of the study, with their numbers and due times. Ask a question by Task/{id}/$ask, or with a Communication of the topic question about the report: the answer comes as an addendum.",
		`ORDER=$(curl -sS -H "$AUTH" "$BASE/ServiceRequest?identifier=urn:example:order|A-1001"` + foundID + `)
TASK=$(curl -sS -H "$AUTH" "$BASE/Task?based-on=ServiceRequest/$ORDER"` + foundID + `)
curl -sS -H "$AUTH" "$BASE/Task/$TASK/\$matters"`}},
	{[]string{"$validate"}, sample{"validate", "Check before you send",
		"$validate says what would be refused, and stores nothing.",
		`curl -sS -H "$AUTH" -H "$JSON" --data '{"resourceType":"Patient","gender":"female"}' "$BASE/Patient/\$validate"`}},
	{[]string{"$everything"}, sample{"everything", "Take out all that is here of a patient",
		"Everything of the patient's compartment, and what it refers to.",
		`ID=$(curl -sS -H "$AUTH" "$BASE/Patient?identifier=urn:example:mrn|1001"` + foundID + `)
curl -sS -H "$AUTH" "$BASE/Patient/$ID/\$everything"`}},
	{[]string{"$translate"}, sample{"translate-a-score", "Ask what a grade is on another scale",
		"The scales are concept maps. Where a score depends on two elements of a grade, the second is given as dependency.",
		`curl -sS -H "$AUTH" -H "$JSON" --data-binary @- "$BASE/ConceptMap/significance-to-radpeer/\$translate" <<'END'
{"resourceType": "Parameters", "parameter": [
  {"name": "code", "valueCode": "important"},
  {"name": "system", "valueUri": "https://overread.org/fhir/CodeSystem/discrepancy-significance"},
  {"name": "dependency", "part": [
    {"name": "element", "valueUri": "https://overread.org/fhir/CodeSystem/discrepancy-expectedness"},
    {"name": "concept", "valueCodeableConcept": {"coding": [{"code": "most-of-the-time"}]}}]}]}
END`}},
	{nil, sample{"say-what-became-of-it", "Say what became of a second opinion",
		"The clinician says what it changed for the patient; later somebody says who was right, and what showed it. Both are kept for quality work and are in no chart.",
		`TASK=$(curl -sS -H "$AUTH" "$BASE/Task?status=completed&_count=1"` + foundID + `)
if [ -n "$TASK" ]; then
  curl -sS -H "$AUTH" -H "$JSON" --data '{"resourceType":"Parameters","parameter":[{"name":"management","valueCode":"work-up"}]}' "$BASE/Task/$TASK/\$judge-management"
  curl -sS -H "$AUTH" -H "$JSON" --data '{"resourceType":"Parameters","parameter":[{"name":"right","valueCode":"second"},{"name":"source","valueCode":"pathology"},{"name":"date","valueDate":"2026-01-02"}]}' "$BASE/Task/$TASK/\$outcome"
fi`}},
	{[]string{"$make-meeting-pack"}, sample{"quality-work", "Work on quality",
		"With a token of the role quality, here in OVERREAD_QUALITY_TOKEN: the reviews that wait, the finals that were drawn for a second read, how one case was graded, and a pack of the cases with learning points for a meeting.",
		`if [ -n "${OVERREAD_QUALITY_TOKEN:-}" ]; then
  AUTH="Authorization: Bearer $OVERREAD_QUALITY_TOKEN"
  curl -sS -H "$AUTH" "$BASE/Task/\$reviews"
  curl -sS -H "$AUTH" "$BASE/Task/\$samples"
  TASK=$(curl -sS -H "$AUTH" "$BASE/Task?status=completed&_count=1"` + foundID + `)
  curl -sS -H "$AUTH" "$BASE/Task/$TASK/\$quality"
  curl -sS -H "$AUTH" -H "$JSON" --data '{"resourceType":"Parameters","parameter":[{"name":"title","valueString":"November"}]}' "$BASE/Task/\$make-meeting-pack"
  curl -sS -H "$AUTH" "$BASE/Task/\$meeting-pack"
fi`}},
	{[]string{"$evaluate-measure"}, sample{"count-discrepancies", "Count how often readings differ",
		"With a token of the role quality, here in OVERREAD_QUALITY_TOKEN: the measures that there are, and one of them over a year by modality and month, with exclusions by reason and confidence intervals. What was reported as of a moment is had again with asOf.",
		`curl -sS -H "$AUTH" "$BASE/Measure?_elements=url,version,title"
if [ -n "${OVERREAD_QUALITY_TOKEN:-}" ]; then
  AUTH="Authorization: Bearer $OVERREAD_QUALITY_TOKEN"
  curl -sS -H "$AUTH" "$BASE/Measure/discrepancy-important/\$evaluate-measure?periodStart=2026&periodEnd=2026&stratifier=modality&stratifier=month"
fi`}},
	{[]string{"$feedback"}, sample{"read-feedback", "Read what you are told as the reader of an original",
		"With a token of a reader, here in OVERREAD_READER_TOKEN. The answer, agrees or not and why, goes to Communication/{id}/$respond.",
		`if [ -n "${OVERREAD_READER_TOKEN:-}" ]; then
  curl -sS -H "Authorization: Bearer $OVERREAD_READER_TOKEN" "$BASE/Communication/\$feedback"
fi`}},
	{[]string{"$export"}, sample{"export", "Export in bulk",
		"The answer is 202; its Content-Location tells how far it is, and in the end where the NDJSON files are.",
		`curl -sS -i -H "$AUTH" -H 'Accept: application/fhir+json' -H 'Prefer: respond-async' "$BASE/\$export?_type=Patient,ServiceRequest"`}},
}

// howTos are those of the table that this server can do.
func (s *Server) howTos() (shown []sample) {
	for _, h := range howTos {
		if !slices.ContainsFunc(h.needs, func(need string) bool { return !s.offers(need) }) {
			shown = append(shown, h.sample)
		}
	}
	return shown
}

// offers tells whether the server has an interaction, an operation ($name), or
// includes.
func (s *Server) offers(what string) bool {
	switch {
	case what == "_include":
		return slices.ContainsFunc(s.typeNames, func(typ string) bool { return s.capability(s.resources[typ]).Get("searchInclude") != nil })
	case strings.HasPrefix(what, "$"):
		return slices.ContainsFunc(services(), func(v service) bool { return "$"+v.name == what })
	}
	return slices.ContainsFunc(interactions, func(i interaction) bool {
		_, routed := s.may(i)
		of := slices.ContainsFunc(s.typeNames, func(typ string) bool { return s.has(s.resources[typ], i) })
		return i.code == what && routed && (of || !i.ofType())
	})
}

// typeExamples are the commands on the page of a type, in the order in which
// they can be run one after the other.
func (s *Server) typeExamples(r *resourceType) (samples []sample) {
	e := exampleOf(r.name)
	at := `"$BASE/` + r.name
	get := `curl -sS -H "$AUTH" ` + at
	send := `curl -sS -H "$AUTH" -H "$JSON" `
	has := func(code, method, path string) bool {
		return slices.ContainsFunc(interactions, func(i interaction) bool {
			return i.code == code && i.method == method && i.path == path && s.has(r, i)
		})
	}
	show := func(ok bool, title, command string) {
		if ok {
			samples = append(samples, sample{Title: title, Command: command})
		}
	}
	stored := r.allows("create") && e.body != ""
	const one, all = "/fhir/:type/:id", "/fhir/:type"
	show(stored, "Create one, and keep its id", "ID=$("+send+"--data '"+e.lines("")+"' "+at+`"`+intoID+`)`+"\necho $ID")
	show(stored && has("read", http.MethodGet, one), "Read it", get+`/$ID"`)
	show(has("search-type", http.MethodGet, all), "Search", get+searchExample(r)+`"`)
	show(stored && has("update", http.MethodPut, one), "Replace it, if it is still version 1",
		`curl -sS -X PUT -H "$AUTH" -H "$JSON" -H 'If-Match: W/"1"' --data '`+e.lines("'$ID'")+`' `+at+`/$ID"`)
	show(stored && has("patch", http.MethodPatch, one), "Change one element",
		`curl -sS -X PATCH -H "$AUTH" -H 'Content-Type: application/json-patch+json' --data '[{"op":"add","path":"/language","value":"en"}]' `+at+`/$ID"`)
	show(stored && has("history-instance", http.MethodGet, "/fhir/:type/:id/_history"), "Its versions", get+`/$ID/_history"`)
	show(stored && has("vread", http.MethodGet, "/fhir/:type/:id/_history/:version"), "One version", get+`/$ID/_history/1"`)
	show(stored && has("delete", http.MethodDelete, one), "Delete it", `curl -sS -i -X DELETE -H "$AUTH" `+at+`/$ID"`)
	if r.content != nil {
		for _, n := range r.content()[:min(1, len(r.content()))] {
			show(has("read", http.MethodGet, one), "Read one", get+"/"+n.Text("id")+`"`)
		}
	}
	return samples
}

// searchExample is a question with parameters that the type has.
func searchExample(r *resourceType) string {
	asked := []string{}
	for _, name := range []string{"patient", "status", "active", "recorded", "name"} {
		if p, ok := r.param(name); ok && len(asked) < 2 {
			value := plausible(p)
			if n, err := Parse([]byte(exampleOf(r.name).body), Limits{}); err == nil && name == "status" {
				value = n.Text("status")
			}
			asked = append(asked, name+"="+value)
		}
	}
	return "?" + strings.Join(append(asked, "_count=10"), "&")
}
