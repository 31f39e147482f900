package fhir

import "github.com/overread/overread/workflow"

// Canonical is the base of everything that this product defines: its code
// systems, value sets, operations and identifier systems.
const Canonical = "https://overread.org/fhir"

// Systems of identifiers that we assign.
const (
	sidReport        = Canonical + "/sid/report"          // DiagnosticReport: the case id, the same in every version
	sidFiller        = Canonical + "/sid/filler"          // our order number, for people: printed, dictated, typed
	sidCase          = Canonical + "/sid/case"            // Task: the case id
	sidEscalation    = Canonical + "/sid/escalation"      // Communication: the escalation
	sidAsked         = Canonical + "/sid/asked"           // CommunicationRequest: the case id, the finding and a number
	sidCommunication = Canonical + "/sid/communication"   // Communication: the case id and the slot
	sidObservation   = Canonical + "/sid/observation"     // Observation: the case id and the slot
	sidVersion       = Canonical + "/sid/version"         // a version of a resource kept here
	sidRelease       = Canonical + "/sid/release"         // meta.tag of Provenance: the case id and the report's number
	sidReader        = Canonical + "/sid/reader"          // Practitioner
	sidFillerOrg     = Canonical + "/sid/reading-service" // Organization
)

// Code systems that we publish (definition.go).
const (
	csCaseState   = Canonical + "/CodeSystem/case-state"
	csAgreement   = Canonical + "/CodeSystem/second-opinion-agreement"
	csObservation = Canonical + "/CodeSystem/second-opinion-observation"
	csFinding     = Canonical + "/CodeSystem/intake-finding"
	csTopic       = Canonical + "/CodeSystem/communication-topic"
	csOutput      = Canonical + "/CodeSystem/task-output"
	csProtocol    = Canonical + "/CodeSystem/reading-protocol"
	csManagement  = Canonical + "/CodeSystem/management-change"
)

// Code systems of others.
const (
	uriSystem             = "urn:ietf:rfc:3986" // of an identifier that is a URI
	loinc                 = "http://loinc.org"
	snomed                = "http://snomed.info/sct"
	dicom                 = "http://dicom.nema.org/resources/ontology/DCM"
	actReason             = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	radlex                = "http://radlex.org"
	v2Diagnostic          = "http://terminology.hl7.org/CodeSystem/v2-0074"
	v2Identifier          = "http://terminology.hl7.org/CodeSystem/v2-0203"
	v2Referral            = "http://terminology.hl7.org/CodeSystem/v2-0336"
	taskCode              = "http://hl7.org/fhir/CodeSystem/task-code"
	obsCategory           = "http://terminology.hl7.org/CodeSystem/observation-category"
	communicationCategory = "http://terminology.hl7.org/CodeSystem/communication-category"
	participationMode     = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
	participant           = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	dataOperation         = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
	urlExtends            = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-extends"
	studyUIDSystem        = "urn:dicom:uid"
	npi                   = "http://hl7.org/fhir/sid/us-npi"
)

// coding is a Coding.
func coding(system, code, display string) *Node {
	o := Object("system", system, "code", code)
	if display != "" {
		o.Set("display", display)
	}
	return o
}

// concept is a CodeableConcept of one coding, with its display as the text.
func concept(system, code, display string) *Node {
	o := Object("coding", []*Node{coding(system, code, display)})
	if display != "" {
		o.Set("text", display)
	}
	return o
}

// hasCode tells whether a CodeableConcept (or an array of them) has this coding.
func hasCode(concept *Node, system, code string) bool {
	for _, c := range concept.Each("coding") {
		if c.Text("system") == system && c.Text("code") == code {
			return true
		}
	}
	return false
}

// conclusionCodes are the reader's coded conclusions.
func conclusionCodes(codes []workflow.Coding) []*Node {
	var out []*Node
	for _, c := range codes {
		out = append(out, concept(c.System, c.Code, c.Display))
	}
	return out
}

// actionableCodes are the RadLex categories of actionable findings (ACR), by
// the word of workflow.Report.Actionable.
var actionableCodes = map[string]workflow.Coding{
	"none":         {System: radlex, Code: "RID50261", Display: "Non-actionable"},
	"non-critical": {System: radlex, Code: "RID49482", Display: "Cat 3 Non-critical Actionable Finding"},
	"urgent":       {System: radlex, Code: "RID49481", Display: "Cat 2 Urgent Actionable Finding"},
	"emergent":     {System: radlex, Code: "RID49480", Display: "Cat 1 Emergent Actionable Finding"},
}
