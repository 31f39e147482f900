package fhir

import (
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// statementID is the id of our one CapabilityStatement, which is found like any
// other definition of ours, and at /fhir/metadata.
const statementID = "overread"

// metadata is GET /fhir/metadata, FHIR R4 http.html#capabilities.
func (s *Server) metadata(c echo.Context, _ access.Actor) error {
	if mode := c.QueryParam("mode"); mode != "" && mode != "full" {
		return fault.New(fault.NotSupported, "only mode=full is served: this is a server of clinical resources, and its terminology is in /fhir/CodeSystem and /fhir/ValueSet")
	}
	return s.statement.reply(c, fhirJSON, func() []byte { return s.capabilities().Bytes() })
}

// capabilities is the CapabilityStatement, made from the tables of resources,
// routes, interactions and operations, so that it says what is there.
func (s *Server) capabilities() *Node {
	var resources []*Node
	for _, name := range s.typeNames {
		resources = append(resources, s.capability(s.resources[name]))
	}
	return Object(
		"resourceType", "CapabilityStatement",
		"id", statementID,
		"url", s.baseURL+"/CapabilityStatement/"+statementID,
		"version", s.version,
		"name", "Overread",
		"title", "Overread: radiology second opinions",
		"status", "active",
		"experimental", false,
		"date", instant(s.built),
		"publisher", "Overread",
		"description", "What this server does, made from the tables that it runs on. A readable form with examples: "+s.baseURL+"/docs",
		"kind", "instance",
		"software", Object("name", "Overread", "version", s.version),
		"implementation", Object("description", "Overread", "url", s.baseURL),
		"fhirVersion", "4.0.1",
		"format", []string{"application/fhir+json", "json"},
		"patchFormat", s.patchFormats(),
		"rest", []*Node{Object(
			"mode", "server",
			"documentation", "Unknown search parameters are refused unless Prefer: handling=lenient. "+
				"A transaction Bundle with an unconditional create is done once: the same bytes again get the same answer.",
			"security", s.securityStatement(),
			"resource", resources,
			"interaction", s.systemInteractions(),
			"searchParam", searchCapabilities(s.commonSearch()),
			"operation", serviceCapabilities(""),
			"compartment", s.compartmentDefinitions(),
		)},
	)
}

// patchFormats are the media types of a PATCH, where there is one.
func (s *Server) patchFormats() []string {
	if slices.ContainsFunc(s.typeNames, func(typ string) bool { return s.resources[typ].allows("patch") }) {
		return patchFormats
	}
	return nil
}

// securityStatement says how to be let in. The extension with the addresses of
// an authorization server is that of SMART App Launch.
func (s *Server) securityStatement() *Node {
	n := Object("cors", len(s.origins) > 0)
	about := "Every request needs a bearer token, which the operator of this server makes: Authorization: Bearer ..."
	if s.smart != nil {
		n.Set("extension", []*Node{s.smart.oauthURIs()})
		n.Set("service", []*Node{Object("coding", []*Node{Object(
			"system", "http://terminology.hl7.org/CodeSystem/restful-security-service", "code", "SMART-on-FHIR", "display", "SMART-on-FHIR")})})
		about = "Every request needs a bearer token, from the authorization server of .well-known/smart-configuration or made by the operator of this server: Authorization: Bearer ..."
	}
	n.Set("description", about)
	return n
}

func (s *Server) systemInteractions() []*Node {
	var rows []*Node
	for _, i := range interactions {
		if _, routed := s.may(i); !routed || i.ofType() || i.code == "capabilities" || told(rows, i.code) {
			continue
		}
		rows = append(rows, Object("code", i.code, "documentation", i.does))
	}
	return rows
}

func told(rows []*Node, code string) bool {
	return slices.ContainsFunc(rows, func(n *Node) bool { return n.Text("code") == code })
}

// compartmentDefinitions are the canonical URLs of the compartments that can be
// searched: GET /fhir/Patient/{id}/Task.
func (s *Server) compartmentDefinitions() []string {
	if !slices.ContainsFunc(s.routes(), func(r route) bool { return r.path == compartmentPath }) {
		return nil
	}
	var urls []string
	for root := range compartments {
		urls = append(urls, "http://hl7.org/fhir/CompartmentDefinition/"+strings.ToLower(root))
	}
	slices.Sort(urls)
	return urls
}

// compartmentPath is the route of a compartment search.
const compartmentPath = "/fhir/:type/:id/:member"

// capability is what the CapabilityStatement says of a type.
func (s *Server) capability(r *resourceType) *Node {
	n := Object("type", r.name, "profile", "http://hl7.org/fhir/StructureDefinition/"+r.name, "supportedProfile", s.profilesOf(r.name))
	if r.name == binaryType {
		n.Set("documentation", binaryDoc)
	}
	var codes []*Node
	for _, i := range interactions {
		if s.has(r, i) && i.code != searchCompartment && !told(codes, i.code) {
			codes = append(codes, Object("code", i.code))
		}
	}
	n.Set("interaction", codes)
	n.Set("versioning", "no-version")
	if r.allows("vread") {
		n.Set("versioning", "versioned")
		n.Set("readHistory", true)
	}
	n.Set("updateCreate", r.allows("update"))
	n.Set("conditionalCreate", r.allows("create"))
	if r.content == nil {
		n.Set("conditionalRead", "full-support")
	}
	n.Set("conditionalUpdate", r.allows("update"))
	n.Set("conditionalDelete", "not-supported")
	if r.allows("delete") {
		n.Set("conditionalDelete", "single")
	}
	if r.allows("create") {
		n.Set("referencePolicy", []string{"literal", "logical", "resolves", "enforced"})
	}
	if r.name == "Subscription" {
		n.Set("documentation", "Subscriptions are kept, and nobody is notified yet: status active is refused.")
	}
	forward, backward := s.includesOf(r)
	n.Set("searchInclude", forward)
	n.Set("searchRevInclude", backward)
	n.Set("searchParam", searchCapabilities(r.searchable()))
	n.Set("operation", slices.Concat(serviceCapabilities(r.name), caseOperations(r.name)))
	return n
}

// caseOperations are those on a case, which are operations of its Task.
func caseOperations(typ string) []*Node {
	if typ != "Task" {
		return nil
	}
	return operationCapabilities()
}

// commonSearch are the parameters that every type has.
func (s *Server) commonSearch() []searchParam {
	return append(slices.Clone(columnParams), parsedTable()["Resource"]...)
}

// columnParams are the parameters that are columns, not elements.
var columnParams = []searchParam{
	{name: "_id", kind: "token", definition: coreDefinition + "Resource-id"},
	{name: "_lastUpdated", kind: "date", definition: coreDefinition + "Resource-lastUpdated"},
}

// searchable are all parameters of a type. What is part of the program has no
// row, and so no columns.
func (r *resourceType) searchable() []searchParam {
	if r.content != nil {
		return r.search
	}
	return append(slices.Clone(columnParams), r.search...)
}

func searchCapabilities(params []searchParam) []*Node {
	var rows []*Node
	for _, p := range params {
		rows = append(rows, Object("name", p.name, "definition", p.definition, "type", p.kind, "documentation", p.expression))
	}
	return rows
}

// profilesOf are the profiles of ours on a type.
func (s *Server) profilesOf(typ string) []string {
	row, ok := s.resources["StructureDefinition"]
	if !ok {
		return nil
	}
	var urls []string
	for _, n := range row.content() {
		if n.Text("type") == typ && n.Text("derivation") == "constraint" {
			urls = append(urls, n.Text("url"))
		}
	}
	return urls
}
