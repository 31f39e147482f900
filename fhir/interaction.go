package fhir

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/overread/overread/internal/access"
)

// interaction is one way to ask for what FHIR R4 http.html calls by its code. A
// code may have several: an update goes to an id, or to a condition.
type interaction struct {
	code         string // of http://hl7.org/fhir/restful-interaction
	method, path string // as in the table of routes
	does         string
}

// interactions is the table of them. With the table of routes, which says who
// may, and the rows of the types, which say what each type has, it is all that
// the CapabilityStatement, the OpenAPI document and the pages know.
var interactions = []interaction{
	{"read", http.MethodGet, "/fhir/:type/:id", "Reads the current version. If-None-Match and If-Modified-Since answer 304 when nothing has changed."},
	{"vread", http.MethodGet, "/fhir/:type/:id/_history/:version", "Reads one version, as it was."},
	{"search-type", http.MethodGet, "/fhir/:type", "Finds resources by the search parameters below, page by page: follow the link \"next\"."},
	{"search-type", http.MethodPost, "/fhir/:type/_search", "The same with the parameters in a form, which keeps them out of logs on the way."},
	{"create", http.MethodPost, "/fhir/:type", "Creates a resource under an id of the server's. With If-None-Exist it is created only when nothing fits the condition."},
	{"update", http.MethodPut, "/fhir/:type/:id", "Replaces a resource. With If-Match only when the version is still the one that was changed."},
	{"update", http.MethodPut, "/fhir/:type", "Replaces the one resource that fits the condition in the address, or creates it."},
	{"patch", http.MethodPatch, "/fhir/:type/:id", "Changes parts of a resource by a JSON Patch, or by the Parameters of a FHIRPath Patch."},
	{"patch", http.MethodPatch, "/fhir/:type", "Changes parts of the one resource that fits the condition in the address."},
	{"delete", http.MethodDelete, "/fhir/:type/:id", "Deletes a resource: a read answers 410 then, and its versions stay."},
	{"delete", http.MethodDelete, "/fhir/:type", "Deletes the one resource that fits the condition in the address."},
	{"history-instance", http.MethodGet, "/fhir/:type/:id/_history", "Lists the versions of a resource, newest first."},
	{"history-type", http.MethodGet, "/fhir/:type/_history", "Lists the versions of all resources of the type, newest first."},

	{searchCompartment, http.MethodGet, compartmentPath, "Finds what belongs to one of them: the resources of a type, or of all types with *."},
	{searchCompartment, http.MethodPost, compartmentPath + "/_search", "The same with the parameters in a form."},

	{"capabilities", http.MethodGet, "/fhir/metadata", "The CapabilityStatement: all that is served."},
	{"transaction", http.MethodPost, "/fhir", "Does all entries of a transaction Bundle, or none."},
	{"batch", http.MethodPost, "/fhir", "Does each entry of a batch Bundle by itself, as the request that it is."},
	{"history-system", http.MethodGet, "/fhir/_history", "Lists the versions of all resources, newest first."},
	{"search-system", http.MethodGet, "/fhir", "Finds resources of several types: _type=ServiceRequest,Task."},
	{"search-system", http.MethodPost, "/fhir/_search", "The same with the parameters in a form."},
}

// searchCompartment has no code of its own in FHIR R4: the CapabilityStatement
// names the compartments instead.
const searchCompartment = "search-compartment"

// ofType tells whether the interaction is with one type of resource.
func (i interaction) ofType() bool { return strings.Contains(i.path, ":type") }

// at is the address of the interaction with a type, as people write it:
// Patient/{id}. It is relative to the base.
func (i interaction) at(typ string) string { return addressOf(i.path, typ) }

var pathParameter = regexp.MustCompile(`:(\w+)`)

// addressOf turns the path of a route into an address for people.
func addressOf(path, typ string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/fhir"), "/")
	path = strings.Replace(path, ":type", typ, 1)
	return pathParameter.ReplaceAllString(path, "{$1}")
}

// has tells whether the type has the interaction, and a route leads to it.
func (s *Server) has(r *resourceType, i interaction) bool {
	_, routed := s.may(i)
	if i.code == searchCompartment {
		return routed && compartments[r.name] != nil
	}
	return routed && i.ofType() && r.allows(i.code)
}

// may says who may ask so, and whether a route leads there at all.
func (s *Server) may(i interaction) (by []access.Role, routed bool) {
	rows := s.routes()
	at := slices.IndexFunc(rows, func(r route) bool { return r.method == i.method && r.path == i.path })
	if at < 0 {
		return nil, false
	}
	return rows[at].by, true
}

// narrow leaves those of the roles to whom the type is open.
func (r *resourceType) narrow(by []access.Role) []access.Role {
	return slices.DeleteFunc(slices.Clone(by), func(role access.Role) bool { return !r.isFor(role) })
}

// isFor tells whether a type is open to a role at all. An admin has the directory,
// and what the program publishes of itself; an auditor has that too, and of what is
// kept only what names auditors: nothing of the clinical record (decision 18).
func (r *resourceType) isFor(role access.Role) bool {
	switch role {
	case access.Admin:
		return r.directory || !r.kept()
	case access.Auditor:
		return !r.kept() || slices.Contains(r.readers, role)
	}
	return r.readers == nil || slices.Contains(r.readers, role)
}
