package fhir

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
)

// metadata is GET /fhir/metadata, FHIR R4 http.html#capabilities.
func (s *Server) metadata(c echo.Context, _ access.Actor) error {
	return write(c, http.StatusOK, s.capabilities().Bytes())
}

// capabilities is the CapabilityStatement, made from the table of resources, so
// that it says what is there.
func (s *Server) capabilities() *Node {
	var resources []*Node
	for _, name := range s.typeNames {
		resources = append(resources, s.resources[name].capability())
	}
	return Object(
		"resourceType", "CapabilityStatement",
		"url", s.baseURL+"/metadata",
		"version", s.version,
		"name", "Overread",
		"title", "Overread: radiology second opinions",
		"status", "active",
		"date", instant(s.started),
		"kind", "instance",
		"software", Object("name", "Overread", "version", s.version),
		"implementation", Object("description", "Overread", "url", s.baseURL),
		"fhirVersion", "4.0.1",
		"format", []string{"application/fhir+json"},
		"rest", []*Node{Object(
			"mode", "server",
			"documentation", "Unknown search parameters are refused unless Prefer: handling=lenient. "+
				"A transaction Bundle with an unconditional create is done once: the same bytes again get the same answer.",
			"security", Object(
				"cors", false,
				"description", "A bearer token of 256 random bits, made by the operator: Authorization: Bearer ...",
			),
			"resource", resources,
			"interaction", []*Node{Object("code", "transaction")},
			"operation", serviceCapabilities(""),
		)},
	)
}

// capability is what the CapabilityStatement says of a type.
func (r *resourceType) capability() *Node {
	writable := r.allows("update")
	n := Object("type", r.name)
	var interactions, params []*Node
	for _, code := range r.interactions {
		interactions = append(interactions, Object("code", code))
	}
	n.Set("interaction", interactions)
	if writable {
		n.Set("versioning", "versioned")
		n.Set("readHistory", true)
		n.Set("updateCreate", true)
		n.Set("conditionalCreate", true)
		n.Set("conditionalRead", "full-support")
		n.Set("conditionalUpdate", true)
		n.Set("conditionalDelete", "not-supported")
		n.Set("referencePolicy", []string{"literal", "logical", "resolves", "enforced"})
	}
	for _, p := range r.search {
		params = append(params, Object("name", p.name, "definition", p.definition, "type", p.kind))
	}
	if r.content == nil {
		params = append(params,
			Object("name", "_id", "definition", coreDefinition+"Resource-id", "type", "token"),
			Object("name", "_lastUpdated", "definition", coreDefinition+"Resource-lastUpdated", "type", "date"))
	}
	n.Set("searchParam", params)
	operations := serviceCapabilities(r.name)
	if r.name == "Task" {
		operations = append(operations, operationCapabilities()...)
	}
	n.Set("operation", operations)
	return n
}
