package fhir

import (
	"slices"
	"strings"
)

// example is what the pages about the API show of a type: what it is for here,
// and a resource that can be sent as it stands. A type that has no row is shown
// without.
type example struct {
	typ, about string
	body       string // "" where nothing can be sent
}

// patientElsewhere is how an example refers to its patient: by a number, since
// it cannot know the ids of the server that it is sent to.
const patientElsewhere = `{"type":"Patient","identifier":{"system":"urn:example:mrn","value":"1001"}}`

// examples is the table of them. All names in it are invented. The numbers are
// others than in howto.go: a second patient of the same number would make its
// conditional create fail.
var examples = []example{
	{"ServiceRequest", "An order of the EHR. One that is active and coded as a second opinion opens a case.",
		`{"resourceType":"ServiceRequest","identifier":[{"system":"urn:example:order","value":"A-77"}],"status":"active","intent":"order","priority":"routine","code":{"coding":[{"system":"http://loinc.org","code":"24627-2","display":"CT Chest"}]},"subject":` + patientElsewhere + `,"authoredOn":"2026-11-25T09:00:00Z"}`},
	{"Task", "The case as the EHR follows it: status for machines, businessStatus for the exact state, output for the report.",
		`{"resourceType":"Task","identifier":[{"system":"urn:example:task","value":"T-77"}],"status":"draft","intent":"order","description":"Second opinion, not sent yet","for":` + patientElsewhere + `}`},
	{"DiagnosticReport", "A report: the first reading as the EHR sends it, and the second one as it is signed here.",
		`{"resourceType":"DiagnosticReport","identifier":[{"system":"urn:example:report","value":"R-77"}],"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0074","code":"RAD"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"24627-2","display":"CT Chest"}]},"subject":` + patientElsewhere + `,"effectiveDateTime":"2026-11-24","conclusion":"No nodule is seen."}`},
	{"ImagingStudy", "The study that is read again: what it is and where the images are. The images themselves are not here.",
		`{"resourceType":"ImagingStudy","identifier":[{"system":"urn:dicom:uid","value":"urn:oid:2.25.77001"}],"status":"available","subject":` + patientElsewhere + `,"started":"2026-11-24T08:15:00Z","numberOfSeries":1,"numberOfInstances":120,"series":[{"uid":"2.25.77002","modality":{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"CT"},"numberOfInstances":120}]}`},
	{"Observation", "A finding or a measurement, and how the two readings of a case relate.",
		`{"resourceType":"Observation","identifier":[{"system":"urn:example:observation","value":"O-77"}],"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"21889-1","display":"Size Tumor"}]},"subject":` + patientElsewhere + `,"effectiveDateTime":"2026-11-24T08:15:00Z","valueQuantity":{"value":8,"unit":"mm","system":"http://unitsofmeasure.org","code":"mm"}}`},
	{"Patient", "The patient, as the EHR knows them.",
		`{"resourceType":"Patient","identifier":[{"system":"urn:example:mrn","value":"1077"}],"active":true,"name":[{"family":"Exemplar","given":["Ada"]}],"gender":"female","birthDate":"1970-05-17"}`},
	{"Practitioner", "A person who orders, reads or signs.",
		`{"resourceType":"Practitioner","identifier":[{"system":"urn:example:staff","value":"P-77"}],"active":true,"name":[{"family":"Sample","given":["Ines"]}]}`},
	{"PractitionerRole", "What a practitioner does where.",
		`{"resourceType":"PractitionerRole","identifier":[{"system":"urn:example:role","value":"PR-77"}],"active":true,"practitioner":{"type":"Practitioner","identifier":{"system":"urn:example:staff","value":"P-77"}},"code":[{"text":"Radiologist"}]}`},
	{"Organization", "A hospital, a department, the reading service.",
		`{"resourceType":"Organization","identifier":[{"system":"urn:example:org","value":"ORG-77"}],"active":true,"name":"Example Hospital, Radiology"}`},
	{"Location", "Where something is done.",
		`{"resourceType":"Location","identifier":[{"system":"urn:example:location","value":"L-77"}],"status":"active","name":"CT room 2","mode":"instance"}`},
	{"Endpoint", "Where images can be fetched, such as a DICOMweb service.",
		`{"resourceType":"Endpoint","identifier":[{"system":"urn:example:endpoint","value":"E-77"}],"status":"active","connectionType":{"system":"http://terminology.hl7.org/CodeSystem/endpoint-connection-type","code":"dicom-wado-rs"},"name":"Example archive","payloadType":[{"text":"DICOM"}],"address":"https://pacs.example/dicom-web"}`},
	{"Encounter", "The visit that an order belongs to.",
		`{"resourceType":"Encounter","identifier":[{"system":"urn:example:visit","value":"V-77"}],"status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":` + patientElsewhere + `,"period":{"start":"2026-11-24T08:00:00Z","end":"2026-11-24T09:30:00Z"}}`},
	{"Condition", "A diagnosis or a problem that matters for the reading.",
		`{"resourceType":"Condition","identifier":[{"system":"urn:example:problem","value":"C-77"}],"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"code":{"text":"Former smoker"},"subject":` + patientElsewhere + `}`},
	{"DocumentReference", "A document about the patient, such as the first report as a PDF.",
		`{"resourceType":"DocumentReference","identifier":[{"system":"urn:example:document","value":"D-77"}],"status":"current","type":{"coding":[{"system":"http://loinc.org","code":"18748-4","display":"Diagnostic imaging study"}]},"subject":` + patientElsewhere + `,"content":[{"attachment":{"contentType":"text/plain","data":"Tm8gbm9kdWxlIGlzIHNlZW4u"}}]}`},
	{"Binary", "Raw content that a document refers to.",
		`{"resourceType":"Binary","contentType":"text/plain","data":"Tm8gbm9kdWxlIGlzIHNlZW4u"}`},
	{"Media", "A key image or another picture.",
		`{"resourceType":"Media","identifier":[{"system":"urn:example:media","value":"M-77"}],"status":"completed","subject":` + patientElsewhere + `,"content":{"contentType":"text/plain","data":"a2V5IGltYWdl"}}`},
	{"Consent", "Whether the patient agrees that somebody else reads.",
		`{"resourceType":"Consent","identifier":[{"system":"urn:example:consent","value":"CO-77"}],"status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"treatment"}]},"category":[{"text":"Second opinion"}],"patient":` + patientElsewhere + `,"dateTime":"2026-11-20","policyRule":{"text":"Hospital policy 7"}}`},
	{"Communication", "A message that was sent: a critical finding told to the ward.",
		`{"resourceType":"Communication","identifier":[{"system":"urn:example:message","value":"CM-77"}],"status":"completed","subject":` + patientElsewhere + `,"sent":"2026-11-24T10:00:00Z","payload":[{"contentString":"The ward was told by telephone."}]}`},
	{"CommunicationRequest", "A message that is asked for.",
		`{"resourceType":"CommunicationRequest","identifier":[{"system":"urn:example:message","value":"CR-77"}],"status":"active","subject":` + patientElsewhere + `,"payload":[{"contentString":"Please tell the ward."}]}`},
	{"Provenance", "Who made what of what: a second opinion names the original report.",
		`{"resourceType":"Provenance","target":[{"type":"DiagnosticReport","identifier":{"system":"urn:example:report","value":"R-77"}}],"recorded":"2026-11-24T10:00:00Z","agent":[{"who":{"type":"Practitioner","identifier":{"system":"urn:example:staff","value":"P-77"}}}]}`},
	{"AuditEvent", "What was done, by whom and when. Written by the server only.", ""},
	{"Measure", "What is counted, of what, and who is excluded. Part of the program, read-only.", ""},
	{"MeasureReport", "The value of a measure in a period.",
		`{"resourceType":"MeasureReport","identifier":[{"system":"urn:example:measure-report","value":"MR-77"}],"status":"complete","type":"summary","measure":"urn:example:measure:agreement","period":{"start":"2026-10-01","end":"2026-10-31"}}`},
	{"Subscription", "A wish to be told. It is kept; notifications come with a later release.",
		`{"resourceType":"Subscription","status":"requested","reason":"To follow cases","criteria":"Task?status=completed","channel":{"type":"rest-hook","endpoint":"https://ehr.example/notify","payload":"application/fhir+json"}}`},
	{"Basic", "What no other type is for.",
		`{"resourceType":"Basic","identifier":[{"system":"urn:example:basic","value":"B-77"}],"code":{"text":"Note"},"subject":` + patientElsewhere + `}`},
	{"Group", "A list of patients, for an export.",
		`{"resourceType":"Group","identifier":[{"system":"urn:example:group","value":"G-77"}],"type":"person","actual":true,"name":"Lung screening 2026"}`},

	{"CapabilityStatement", "What this server does.", ""},
	{"StructureDefinition", "Our profiles: how a second opinion is written in FHIR.", ""},
	{"OperationDefinition", "The operations, with what they take and give.", ""},
	{"SearchParameter", "The search parameters that FHIR does not have.", ""},
	{"CodeSystem", "The codes that are ours.", ""},
	{"ValueSet", "Sets of codes, ours and of others.", ""},
	{"ConceptMap", "How our codes translate into others.", ""},
}

// exampleOf is the row of a type, an empty one where there is none.
func exampleOf(typ string) example {
	for _, e := range examples {
		if e.typ == typ {
			return e
		}
	}
	return example{typ: typ}
}

// withID is the body of an update: the example under this id.
func (e example) withID(id string) string {
	return strings.Replace(e.body, `"resourceType":"`+e.typ+`",`, `"resourceType":"`+e.typ+`","id":"`+id+`",`, 1)
}

// lines is the example for people to read: a line for each element, under this
// id where there is one.
func (e example) lines(id string) string {
	n, err := Parse([]byte(e.body), Limits{})
	if err != nil {
		return e.body
	}
	var lines []string
	for _, name := range n.Names() {
		lines = append(lines, "  "+quote(name)+": "+string(n.Get(name).Bytes()))
		if name == "resourceType" && id != "" {
			lines = append(lines, `  "id": "`+id+`"`)
		}
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n}"
}

func quote(text string) string { return string(appendQuoted(nil, text)) }

// plausible is a value that a search parameter may be asked with, in the form
// that its kind has (FHIR R4 search.html#ptypes).
func plausible(p searchParam) string {
	if value, ok := plausibleValues[p.name]; ok {
		return value
	}
	switch p.kind {
	case "token":
		return "example"
	case "reference":
		return append(slices.Clone(p.targets), "Patient")[0] + "/example"
	case "date":
		return "ge2026-11-01"
	case "uri":
		return "https://example.org/example"
	case "number":
		return "gt1"
	case "composite":
		parts := compositeParts[p.name]
		return plausible(searchParam{kind: parts[0].kind}) + "$" + plausible(searchParam{kind: parts[1].kind})
	case "quantity":
		return "gt5|http://unitsofmeasure.org|mm"
	}
	return "exam"
}

var plausibleValues = map[string]string{
	"_id": "example", "active": "true", "identifier": "urn:example:order|A-77", "status": "active", "patient": "Patient/example",
}
