package fhir

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// resourceType is one row of the table of resources: what may be done with a
// type, how it can be found, and what else happens when one is written.
type resourceType struct {
	name         string
	interactions []string // codes of http://hl7.org/fhir/restful-interaction
	search       []searchParam
	onCreate     createHook
	onUpdate     updateHook
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

var (
	readWrite = []string{"read", "vread", "create", "update", "search-type"}
	readOnly  = []string{"read", "search-type"}
)

// resourceTable says all that is served. Adding a type or a search parameter is
// one row here. The names of search parameters are those of FHIR R4
// (searchparameter-registry.html), which a test holds them to; note basedon
// without a hyphen on ImagingStudy, and patient for Task.for.
//
// ImagingStudy has no parameter for its instances: a CT has thousands.
func resourceTable() []resourceType {
	return []resourceType{
		{name: "ServiceRequest", interactions: readWrite, onCreate: (*Server).orderCreated, onUpdate: (*Server).orderUpdated,
			search: []searchParam{
				byToken("identifier", "identifier").as("clinical-identifier"),
				byReference("patient", "subject").only("Patient").as("clinical-patient"),
				byReference("subject", "subject"),
				byToken("status", "status"),
				byToken("intent", "intent"),
				byToken("priority", "priority"),
				byToken("category", "category"),
				byToken("code", "code").as("clinical-code"),
				byDate("authored", "authoredOn"),
				byDate("occurrence", "occurrenceDateTime", "occurrencePeriod", "occurrenceTiming"),
				byReference("requester", "requester"),
				byReference("performer", "performer"),
				byToken("performer-type", "performerType"),
				byReference("based-on", "basedOn"),
				byReference("replaces", "replaces"),
				byToken("requisition", "requisition"),
				byReference("encounter", "encounter").as("clinical-encounter"),
				byToken("body-site", "bodySite"),
			}},
		{name: "Task", interactions: readWrite, onCreate: (*Server).taskCreated, onUpdate: (*Server).taskUpdated,
			search: []searchParam{
				byToken("identifier", "identifier"),
				byToken("status", "status"),
				byToken("business-status", "businessStatus"),
				byToken("code", "code"),
				byToken("intent", "intent"),
				byToken("priority", "priority"),
				byReference("focus", "focus"),
				byReference("based-on", "basedOn"),
				byReference("part-of", "partOf"),
				byReference("patient", "for").only("Patient"),
				byReference("subject", "for"),
				byReference("owner", "owner"),
				byReference("requester", "requester"),
				byToken("performer", "performerType"),
				byToken("group-identifier", "groupIdentifier"),
				byReference("encounter", "encounter"),
				byDate("authored-on", "authoredOn"),
				byDate("modified", "lastModified"),
				byDate("period", "executionPeriod"),
			}},
		{name: "DiagnosticReport", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated,
			search: []searchParam{
				byToken("identifier", "identifier").as("clinical-identifier"),
				byReference("patient", "subject").only("Patient").as("clinical-patient"),
				byReference("subject", "subject"),
				byToken("status", "status"),
				byToken("category", "category"),
				byToken("code", "code").as("clinical-code"),
				byToken("conclusion", "conclusionCode"),
				byDate("date", "effectiveDateTime", "effectivePeriod").as("clinical-date"),
				byDate("issued", "issued"),
				byReference("based-on", "basedOn"),
				// IHE RAD-143 spells it so, and finds reports by study; R4 has neither.
				byReference("basedOn", "basedOn").aliasOf("based-on"),
				byReference("imaging-study", "imagingStudy").at(Canonical + "/SearchParameter/DiagnosticReport-imaging-study"),
				byReference("performer", "performer"),
				byReference("results-interpreter", "resultsInterpreter"),
				byReference("result", "result"),
				byReference("media", "media.link"),
				byReference("encounter", "encounter").as("clinical-encounter"),
			}},
		{name: "ImagingStudy", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated,
			search: []searchParam{
				byToken("identifier", "identifier").as("clinical-identifier"),
				byReference("patient", "subject").only("Patient").as("clinical-patient"),
				byReference("subject", "subject"),
				byToken("status", "status"),
				byToken("modality", "series.modality"),
				byToken("bodysite", "series.bodySite"),
				byToken("series", "series.uid"),
				byToken("dicom-class", "series.instance.sopClass"),
				byToken("reason", "reasonCode"),
				byDate("started", "started"),
				byReference("basedon", "basedOn"),
				byReference("endpoint", "endpoint", "series.endpoint"),
				byReference("interpreter", "interpreter"),
				byReference("performer", "series.performer.actor"),
				byReference("referrer", "referrer"),
				byReference("encounter", "encounter"),
			}},
		{name: "Observation", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated,
			search: []searchParam{
				byToken("identifier", "identifier").as("clinical-identifier"),
				byReference("patient", "subject").only("Patient").as("clinical-patient"),
				byReference("subject", "subject"),
				byToken("status", "status"),
				byToken("category", "category"),
				byToken("code", "code").as("clinical-code"),
				byToken("value-concept", "valueCodeableConcept"),
				byToken("component-code", "component.code"),
				byDate("date", "effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming").as("clinical-date"),
				byReference("based-on", "basedOn"),
				byReference("focus", "focus"),
				byReference("derived-from", "derivedFrom"),
				byReference("part-of", "partOf"),
				byReference("has-member", "hasMember"),
				byReference("performer", "performer"),
				byReference("encounter", "encounter").as("clinical-encounter"),
			}},
		{name: "Provenance", interactions: readWrite, onCreate: (*Server).tellerCreated, onUpdate: (*Server).tellerUpdated,
			search: []searchParam{
				byReference("target", "target"),
				byReference("patient", "target").only("Patient"),
				byReference("agent", "agent.who"),
				byToken("agent-role", "agent.role"),
				byToken("agent-type", "agent.type"),
				byReference("entity", "entity.what"),
				byDate("recorded", "recorded"),
				byDate("when", "occurredDateTime"),
			}},
		{name: "Patient", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated,
			search: append(personParams(),
				byToken("identifier", "identifier"),
				byDate("birthdate", "birthDate").as("individual-birthdate"),
				byDate("death-date", "deceasedDateTime"),
				byReference("general-practitioner", "generalPractitioner"),
				byReference("organization", "managingOrganization"),
				byReference("link", "link.other"),
				byToken("language", "communication.language"),
			)},
		{name: "Practitioner", interactions: readWrite,
			search: append(personParams(),
				byToken("identifier", "identifier"),
				byToken("communication", "communication"),
			)},
		{name: "PractitionerRole", interactions: readWrite,
			search: []searchParam{
				byToken("identifier", "identifier"),
				byToken("active", "active"),
				byReference("practitioner", "practitioner"),
				byReference("organization", "organization"),
				byToken("role", "code"),
				byToken("specialty", "specialty"),
				byReference("location", "location"),
				byReference("endpoint", "endpoint"),
				byDate("date", "period"),
				byToken("telecom", "telecom").as("individual-telecom"),
			}},
		{name: "Organization", interactions: readWrite,
			search: []searchParam{
				byToken("identifier", "identifier"),
				byToken("active", "active"),
				byText("name", "name", "alias"),
				byToken("type", "type"),
				byReference("partof", "partOf"),
				byReference("endpoint", "endpoint"),
				byText("address", "address"),
			}},
		{name: "Endpoint", interactions: readWrite,
			search: []searchParam{
				byToken("identifier", "identifier"),
				byToken("status", "status"),
				byToken("connection-type", "connectionType"),
				byToken("payload-type", "payloadType"),
				byText("name", "name"),
				byReference("organization", "managingOrganization"),
			}},
		{name: "Encounter", interactions: readWrite,
			search: []searchParam{
				byToken("identifier", "identifier").as("clinical-identifier"),
				byReference("patient", "subject").only("Patient").as("clinical-patient"),
				byReference("subject", "subject"),
				byToken("status", "status"),
				byToken("class", "class"),
				byDate("date", "period").as("clinical-date"),
				byReference("service-provider", "serviceProvider"),
			}},
		{name: "Condition", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated,
			search: []searchParam{
				byToken("identifier", "identifier").as("clinical-identifier"),
				byReference("patient", "subject").only("Patient").as("clinical-patient"),
				byReference("subject", "subject"),
				byToken("code", "code").as("clinical-code"),
				byToken("category", "category"),
				byToken("clinical-status", "clinicalStatus"),
				byToken("verification-status", "verificationStatus"),
				byDate("recorded-date", "recordedDate"),
				byReference("encounter", "encounter"),
			}},
		{name: "Consent", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated,
			search: []searchParam{
				byToken("identifier", "identifier").as("clinical-identifier"),
				byReference("patient", "patient").as("clinical-patient"),
				byToken("status", "status"),
				byToken("scope", "scope"),
				byToken("category", "category"),
				byDate("date", "dateTime").as("clinical-date"),
				byDate("period", "provision.period"),
				byReference("organization", "organization"),
			}},
		{name: "DocumentReference", interactions: readWrite, onCreate: (*Server).factCreated, onUpdate: (*Server).factUpdated,
			search: []searchParam{
				byToken("identifier", "masterIdentifier", "identifier").as("clinical-identifier"),
				byReference("patient", "subject").only("Patient").as("clinical-patient"),
				byReference("subject", "subject"),
				byToken("status", "status"),
				byToken("type", "type").as("clinical-type"),
				byToken("category", "category"),
				byDate("date", "date"),
				byReference("author", "author"),
				byReference("related", "context.related"),
			}},
		{name: "Media", interactions: readWrite, onCreate: (*Server).tellerCreated, onUpdate: (*Server).tellerUpdated,
			search: []searchParam{
				byToken("identifier", "identifier"),
				byReference("patient", "subject").only("Patient"),
				byReference("subject", "subject"),
				byToken("status", "status"),
				byToken("modality", "modality"),
				byReference("based-on", "basedOn"),
				byDate("created", "createdDateTime", "createdPeriod"),
			}},
		{name: "Location", interactions: readWrite,
			search: []searchParam{
				byToken("identifier", "identifier"),
				byToken("status", "status"),
				byText("name", "name", "alias"),
				byToken("type", "type"),
				byReference("organization", "managingOrganization"),
				byReference("partof", "partOf"),
			}},

		// What this product publishes of itself (definition.go).
		{name: "CapabilityStatement", interactions: readOnly, search: definitionParams(), content: func() []*Node { return nil }}, // made by New
		{name: "CodeSystem", interactions: readOnly, search: definitionParams(), content: codeSystems},
		{name: "ValueSet", interactions: readOnly, search: definitionParams(), content: func() []*Node { return valueSets(SecondOpinionCodes) }},
		{name: "OperationDefinition", interactions: readOnly, search: definitionParams(), content: operationDefinitions},
		{name: "SearchParameter", interactions: readOnly, search: definitionParams(), content: searchParameters},
	}
}

// commonParams are searchable on every type, FHIR R4 search.html#all. _id and
// _lastUpdated are columns and stand in search.go.
func commonParams() []searchParam {
	return []searchParam{
		byToken("_tag", "meta.tag").as("Resource-tag"),
		byToken("_security", "meta.security").as("Resource-security"),
		byURI("_profile", "meta.profile").as("Resource-profile"),
	}
}

// personParams are the parameters that Patient and Practitioner share.
func personParams() []searchParam {
	return []searchParam{
		byToken("active", "active"),
		byText("name", "name"),
		byText("family", "name.family").as("individual-family"),
		byText("given", "name.given").as("individual-given"),
		byToken("gender", "gender").as("individual-gender"),
		byText("address", "address").as("individual-address"),
		byText("address-city", "address.city").as("individual-address-city"),
		byText("address-postalcode", "address.postalCode").as("individual-address-postalcode"),
		byToken("telecom", "telecom").as("individual-telecom"),
		byToken("phone", "telecom").only("phone").as("individual-phone"),
		byToken("email", "telecom").only("email").as("individual-email"),
	}
}

// definitionParams find what has a canonical URL.
func definitionParams() []searchParam {
	return []searchParam{
		byURI("url", "url").as("conformance-url"),
		byToken("status", "status").as("conformance-status"),
		byToken("version", "version").as("conformance-version"),
	}
}
