package fhir

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// resourceType is one row of the table of resources: what may be done with a
// type, what else happens when one is written, and how it can be found beyond
// what FHIR R4 says.
type resourceType struct {
	name         string
	interactions []string      // codes of http://hl7.org/fhir/restful-interaction
	readers      []access.Role // who may read it; nil: everybody who may read the clinical record
	directory    bool          // holds nothing of patients: what an admin reads and keeps
	search       []searchParam
	onCreate     createHook
	onUpdate     updateHook
	onDelete     deleteHook
	content      func() []*Node // resources that are part of the program, read-only
}

// A createHook runs in the transaction of a create, after the new resource is
// stored; in a transaction Bundle, after all of its resources are. When the
// hook finds that the resource is one that exists already under another id, it
// returns that one: what was stored is then undone, references lead to the
// existing resource, and the client is told of it with status 200.
type createHook func(s *Server, ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (existing *Stored, err error)

// An updateHook runs in the transaction of an update, after the new version is
// stored.
type updateHook func(s *Server, ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error

// A deleteHook runs in the transaction of a delete, after the resource is gone.
type deleteHook func(s *Server, ctx context.Context, tx pgx.Tx, actor access.Actor, before *Node) error

var (
	readWrite = []string{"read", "vread", "create", "update", "patch", "delete", "history-instance", "history-type", "search-type"}
	recorded  = []string{"read", "vread", "search-type"} // by the server itself
	readOnly  = []string{"read", "search-type"}
)

// resourceTable says all that is served. Adding a type is one row here: every
// search parameter that FHIR R4 gives to the type comes with it, from
// searchtable.tsv and searchconformance.tsv. A row names only those that are ours.
//
// The hooks: orders and Tasks open cases. Facts are what the intake checks of a
// case may wait for (arrival.go). Practitioners and their roles are who may read
// (credential.go). Whatever is written of any type is withheld from
// blinded readers when it tells of the original report (blind.go): that is no hook.
func resourceTable() []resourceType {
	return []resourceType{
		{name: "ServiceRequest", interactions: readWrite, onCreate: (*Server).orderCreated, onUpdate: (*Server).orderUpdated},
		{name: "Task", interactions: readWrite, onCreate: (*Server).taskCreated, onUpdate: (*Server).taskUpdated},
		{name: "DiagnosticReport", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated,
			search: []searchParam{
				// IHE RAD-143 spells it so, and finds reports by study; R4 has neither.
				alias("basedOn", "based-on"),
				ownParam("DiagnosticReport", "imaging-study", "reference", "DiagnosticReport.imagingStudy", "ImagingStudy"),
			}},
		{name: "ImagingStudy", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated},
		{name: "Observation", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated},
		{name: "Condition", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated},
		{name: "Consent", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated},
		{name: "DocumentReference", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated},
		{name: "Media", interactions: readWrite},
		{name: "Provenance", interactions: readWrite},
		{name: "Communication", interactions: readWrite, onCreate: (*Server).communicationCreated, onUpdate: (*Server).communicationUpdated},
		{name: "CommunicationRequest", interactions: readWrite},
		{name: "MeasureReport", interactions: readWrite},
		{name: "Basic", interactions: readWrite},
		{name: "Binary", interactions: readWrite,
			search: []searchParam{
				ownParam("Binary", "security-context", "reference", "Binary.securityContext"),
			}},

		{name: "Patient", interactions: readWrite, onCreate: (*Server).patientCreated, onUpdate: (*Server).patientUpdated},
		{name: "Practitioner", interactions: readWrite, directory: true, onCreate: (*Server).practitionerCreated, onUpdate: (*Server).practitionerUpdated},
		{name: "PractitionerRole", interactions: readWrite, directory: true, onCreate: (*Server).roleCreated, onUpdate: (*Server).roleUpdated, onDelete: (*Server).roleDeleted},
		{name: "Organization", interactions: readWrite, directory: true},
		{name: "Location", interactions: readWrite, directory: true},
		{name: "Endpoint", interactions: readWrite, directory: true},
		{name: "Encounter", interactions: readWrite},
		{name: "Group", interactions: readWrite},
		{name: "Subscription", interactions: readWrite, onCreate: (*Server).subscriptionCreated, onUpdate: (*Server).subscriptionUpdated},

		// Who did what, when: one an access (audit.go).
		{name: "AuditEvent", interactions: recorded, readers: []access.Role{access.Auditor, access.Director},
			search: []searchParam{
				// In which role, and why: R4 finds events by neither.
				ownParam("AuditEvent", "actor-role", "token", "AuditEvent.agent.role.text"),
				ownParam("AuditEvent", "purpose", "token", "AuditEvent.purposeOfEvent | AuditEvent.agent.purposeOfUse"),
			}},

		// What this product publishes of itself (definition.go).
		{name: "CapabilityStatement", interactions: readOnly, content: func() []*Node { return nil }}, // made by New
		{name: "StructureDefinition", interactions: readOnly, content: func() []*Node { return slices.Concat(structureDefinitions(), extensionDefinitions()) }},
		{name: "CodeSystem", interactions: readOnly, content: codeSystems},
		{name: "ValueSet", interactions: readOnly, content: func() []*Node { return valueSets(SecondOpinionCodes) }}, // as configured, by New
		{name: "ConceptMap", interactions: readOnly, content: conceptMaps},
		{name: "OperationDefinition", interactions: readOnly, content: operationDefinitions},
		{name: "Measure", interactions: readOnly, content: measures},
		{name: "SearchParameter", interactions: readOnly, content: searchParameters},
	}
}
