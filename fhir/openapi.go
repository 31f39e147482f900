package fhir

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
)

// The OpenAPI document says the same as the CapabilityStatement to those whose
// tools know OpenAPI and no FHIR. It is made from the same tables. What is
// inside a resource it leaves to FHIR: a schema of R4 as such has megabytes.

// object is a JSON object of the document. Go writes them in order of their
// names, so the text is the same each time.
type object = map[string]any

// openAPI is GET /fhir/openapi.json.
func (s *Server) openAPI(c echo.Context) error {
	return s.openAPIText.reply(c, "application/vnd.oai.openapi+json;version=3.1", func() []byte {
		text, _ := json.Marshal(s.openAPIDocument()) // maps of strings
		return text
	})
}

func (s *Server) openAPIDocument() object {
	a := &openAPIWriter{server: s, paths: map[string]object{}}
	a.system()
	var tags []object
	for _, typ := range s.typeNames {
		a.resource(s.resources[typ])
		tags = append(tags, object{"name": typ, "description": exampleOf(typ).about})
	}
	return object{
		"openapi":      "3.1.0",
		"info":         object{"title": "Overread FHIR R4", "version": s.version, "description": "Radiology second opinions over FHIR R4 (4.0.1). The CapabilityStatement at /metadata says the same in FHIR's own words, and /docs with examples.", "license": object{"name": "Apache License 2.0", "identifier": "Apache-2.0"}},
		"servers":      []object{{"url": s.baseURL}},
		"security":     s.openAPISecurity(),
		"externalDocs": object{"description": "The same for people, with examples", "url": s.baseURL + "/docs"},
		"tags":         append([]object{{"name": "system", "description": "The server as a whole."}}, tags...),
		"paths":        a.paths,
		"components": object{
			"securitySchemes": s.openAPISchemes(),
			"schemas":         s.openAPISchemas(),
			"responses":       openAPIErrors(),
			"parameters":      openAPIParameters(),
		},
	}
}

// openAPISchemes are the ways to a token: from the operator, and from the token
// endpoint where systems may go there by themselves.
func (s *Server) openAPISchemes() object {
	schemes := object{"bearer": object{"type": "http", "scheme": "bearer", "description": s.securityStatement().Text("description")}}
	if s.forSystems() {
		schemes["smart"] = object{"type": "oauth2", "description": "SMART Backend Services: private_key_jwt, see .well-known/smart-configuration.",
			"flows": object{"clientCredentials": object{"tokenUrl": s.smart.Token, "scopes": object{
				"system/*.cruds": "create, read, update, delete and search all types; also for one type, and with fewer letters in this order"}}}}
	}
	return schemes
}

func (s *Server) openAPISecurity() []object {
	ways := []object{{"bearer": []string{}}}
	if s.forSystems() {
		ways = append(ways, object{"smart": []string{}})
	}
	return ways
}

func (s *Server) forSystems() bool {
	return s.smart != nil && slices.Contains(s.smart.grants, "client_credentials")
}

// openAPIWriter collects the paths of the document.
type openAPIWriter struct {
	server *Server
	paths  map[string]object
}

// add puts an operation of OpenAPI on its path. address is as people write it,
// Patient/{id}.
func (a *openAPIWriter) add(method, address string, by []access.Role, operation object) {
	path := "/" + address
	if a.paths[path] == nil {
		a.paths[path] = object{}
		if shared := pathParameters(address); shared != nil {
			a.paths[path]["parameters"] = shared
		}
	}
	about, _ := operation["description"].(string)
	if by == nil {
		operation["security"] = []object{}
	} else {
		operation["description"] = strings.TrimSpace(about + " For: " + roleNames(by) + ".")
	}
	method = strings.ToLower(method)
	operation["operationId"] = method + ":" + address
	a.paths[path][method] = operation
}

func roleNames(by []access.Role) string {
	switch len(by) {
	case len(anybody):
		return "everybody with a token"
	case len(clinical):
		return "everybody with a token but admins"
	}
	var names []string
	for _, role := range by {
		names = append(names, string(role))
	}
	return strings.Join(names, ", ")
}

func pathParameters(address string) (rows []object) {
	for _, name := range []string{"type", "id", "version", "member", "file"} {
		if strings.Contains(address, "{"+name+"}") {
			rows = append(rows, reference("parameters", name))
		}
	}
	return rows
}

func reference(kind, name string) object {
	return object{"$ref": "#/components/" + kind + "/" + name}
}

// system is what is not done with one type.
func (a *openAPIWriter) system() {
	s := a.server
	for _, i := range interactions {
		by, routed := s.may(i)
		if i.ofType() || !routed {
			continue
		}
		a.add(i.method, i.at(""), by, a.operation(i, "system", systemAnswers[i.code]))
	}
	for _, v := range services() {
		if v.system {
			a.service(v, "$"+v.name, "system")
		}
	}
	for _, o := range openAPIOthers {
		by, routed := s.may(interaction{method: o.method, path: "/fhir/" + pathRoute(o.address)})
		if !routed && !slices.ContainsFunc(s.pages(), func(p page) bool { return p.path == "/fhir/"+pathRoute(o.address) }) {
			continue
		}
		success := object{"description": "Done"}
		if o.mediaType != "" {
			success = object{"description": "The document", "content": object{o.mediaType: object{"schema": object{}}}}
		}
		a.add(o.method, o.address, by, object{"tags": []string{"system"}, "summary": o.about, "responses": responses(o.status, success, 401, 403, 404)})
	}
}

// openAPIOthers are the addresses that are no interaction and no operation of
// FHIR.
var openAPIOthers = []struct {
	method, address, about, mediaType string
	status                            int
}{
	{http.MethodGet, ".well-known/smart-configuration", "SMART App Launch: where the authorization server is; 404 where there is none.", "application/json", 200},
	{http.MethodGet, "openapi.json", "This document.", "application/vnd.oai.openapi+json", 200},
	{http.MethodGet, "docs", "The index of the API for people.", "text/html", 200},
	{http.MethodGet, "docs/{type}", "What is served of one type, for people.", "text/html", 200},
	{http.MethodGet, "$export-status/{id}", "How far an export is: 202 while it goes on, and then the list of its files.", "application/json", 200},
	{http.MethodDelete, "$export-status/{id}", "Ends an export and deletes its files.", "", 202},
	{http.MethodGet, "$export-file/{id}/{file}", "One file of an export.", "application/fhir+ndjson", 200},
}

// pathRoute is an address in the form of the table of routes.
func pathRoute(address string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(address)
}

// systemAnswers are the types of resource that the interactions with the system
// answer with.
var systemAnswers = map[string]string{"capabilities": "CapabilityStatement"}

// resource is what is done with one type.
func (a *openAPIWriter) resource(r *resourceType) {
	for _, i := range interactions {
		if by, _ := a.server.may(i); a.server.has(r, i) {
			answer := r.name
			if strings.HasPrefix(i.code, "search") || strings.HasPrefix(i.code, "history") {
				answer = "Bundle"
			}
			operation := a.operation(i, r.name, answer)
			if i.method != http.MethodPost && !strings.Contains(i.path, ":id") && i.code != "history-type" {
				operation["parameters"] = append(operation["parameters"].([]object), searchParameterObjects(r)...)
			}
			a.add(i.method, i.at(r.name), r.narrow(by), operation)
		}
	}
	for _, v := range services() {
		for _, path := range v.pathsOf(r.name) {
			a.service(v, addressOf(path, r.name), r.name)
		}
	}
	if r.name == "Task" {
		for _, op := range operations {
			a.add(http.MethodPost, "Task/{id}/$"+op.Name, clinical, object{
				"tags": []string{"Task"}, "summary": "$" + op.Name, "description": op.Does + takesText(op.Takes),
				"requestBody": body("application/fhir+json", "Parameters", false),
				"responses":   responses(http.StatusOK, answer("The Task after the operation", "Task"), 400, 401, 403, 404, 409, 415, 422),
			})
		}
	}
}

// operation is an interaction in the words of OpenAPI.
func (a *openAPIWriter) operation(i interaction, tag, gives string) object {
	o := object{"tags": []string{tag}, "summary": i.code, "description": i.does, "parameters": references(askedWith[i.code]...)}
	if gives == "" {
		gives = "Bundle"
	}
	switch i.code {
	case "create":
		o["requestBody"] = body("application/fhir+json", tag, true)
		o["responses"] = responses(http.StatusCreated, created(gives), 400, 401, 403, 404, 409, 412, 413, 415, 422)
		o["responses"].(object)["200"] = answer("The condition of If-None-Exist found this resource; nothing was created", gives)
	case "update":
		o["requestBody"] = body("application/fhir+json", tag, true)
		o["responses"] = responses(http.StatusOK, answer("Updated", gives), 400, 401, 403, 404, 409, 412, 413, 415, 422)
		o["responses"].(object)["201"] = created(gives)
	case "patch":
		o["requestBody"] = object{"required": true, "content": object{
			"application/json-patch+json": object{"schema": object{"type": "array", "items": object{"type": "object"}}},
			"application/fhir+json":       object{"schema": reference("schemas", "Parameters")}}} // FHIRPath Patch
		o["responses"] = responses(http.StatusOK, answer("Patched", gives), 400, 401, 403, 404, 409, 410, 412, 413, 415, 422)
	case "delete":
		o["responses"] = responses(http.StatusNoContent, object{"description": "Deleted, or there was nothing to delete"}, 401, 403, 404, 409, 412)
		o["responses"].(object)["200"] = answer("Deleted, with an OperationOutcome", "OperationOutcome")
	case "transaction":
		o["requestBody"] = body("application/fhir+json", "Bundle", true)
		o["responses"] = responses(http.StatusOK, answer("What became of each entry", "Bundle"), 400, 401, 403, 404, 409, 412, 413, 415, 422)
	default:
		o["responses"] = responses(http.StatusOK, answer("Found", gives), 400, 401, 403, 404, 406, 410)
		if i.code == "read" || i.code == "capabilities" {
			o["responses"].(object)["304"] = object{"description": "Not changed since the version that the client has"}
		}
		if i.method == http.MethodPost {
			o["requestBody"] = object{"content": object{"application/x-www-form-urlencoded": object{"schema": object{"type": "object", "additionalProperties": object{"type": "string"}}}}}
		}
	}
	if tag == binaryType {
		nativeContent(o, i.code)
	}
	return o
}

// nativeContent adds the form that a Binary has besides the resource.
func nativeContent(o object, code string) {
	var in object
	switch code {
	case "create", "update":
		in = o["requestBody"].(object)
	case "read", "vread":
		in = o["responses"].(object)["200"].(object)
	default:
		return
	}
	o["description"] = fmt.Sprint(o["description"], " ", binaryDoc)
	in["content"].(object)["*/*"] = object{"schema": object{"type": "string", "format": "binary"}}
}

// service is an operation that is none on a case.
func (a *openAPIWriter) service(v service, address, tag string) {
	text := v.does + takesText(v.takes)
	gives := responses(http.StatusOK, answer("The result", v.gives), 400, 401, 403, 404, 415, 422)
	if v.gives == "" { // it is done later
		gives = responses(http.StatusAccepted, object{"description": "Begun; Content-Location says where to ask how it goes", "headers": object{"Content-Location": object{"schema": object{"type": "string", "format": "uri"}}}}, 400, 401, 403, 404)
	}
	a.add(http.MethodPost, address, v.by, object{"tags": []string{tag}, "summary": "$" + v.name, "description": text,
		"requestBody": body("application/fhir+json", "Parameters", false), "responses": gives})
	if v.affects {
		return
	}
	query := []object{}
	for _, p := range v.takes {
		if p.Type != "" && p.Type[0] >= 'a' {
			query = append(query, object{"name": p.Name, "in": "query", "required": p.Min > 0, "description": p.Doc, "schema": object{"type": "string"}})
		}
	}
	a.add(http.MethodGet, address, v.by, object{"tags": []string{tag}, "summary": "$" + v.name, "description": text, "parameters": query, "responses": gives})
}

// pathsOf are the routes of a service for one type.
func (v service) pathsOf(typ string) []string {
	return slices.DeleteFunc(v.paths(), func(path string) bool { return !strings.HasPrefix(path, "/fhir/"+typ+"/") })
}

// takesText lists the parameters of an operation.
func takesText(rows []parameter) string {
	if len(rows) == 0 {
		return ""
	}
	var names []string
	for _, p := range rows {
		name := p.Name
		if p.Min > 0 {
			name += " (required)"
		}
		names = append(names, name)
	}
	return " Parameters: " + strings.Join(names, ", ") + "."
}

// askedWith are the headers and parameters of each interaction, by their names
// in the components.
var askedWith = map[string][]string{
	"read":             {"ifNoneMatch", "ifModifiedSince", "pretty"},
	"vread":            {"pretty"},
	"search-type":      {"count", "prefer", "pretty"},
	searchCompartment:  {"count", "prefer", "pretty"},
	"search-system":    {"count", "prefer", "pretty"},
	"create":           {"ifNoneExist", "prefer"},
	"update":           {"ifMatch", "prefer"},
	"patch":            {"ifMatch", "prefer"},
	"delete":           {"ifMatch"},
	"history-instance": {"count", "pretty"},
	"history-type":     {"count", "pretty"},
	"history-system":   {"count", "pretty"},
	"capabilities":     {"ifNoneMatch", "pretty"},
	"transaction":      {"prefer"},
}

func references(names ...string) []object {
	rows := []object{}
	for _, name := range names {
		rows = append(rows, reference("parameters", name))
	}
	return rows
}

// searchParameterObjects are the search parameters of a type. A parameter that
// is given twice must hold twice; values between commas are alternatives.
func searchParameterObjects(r *resourceType) []object {
	var rows []object
	for _, p := range r.searchable() {
		rows = append(rows, object{"name": p.name, "in": "query", "description": strings.TrimSpace(p.kind + " " + p.expression),
			"schema": object{"type": "array", "items": object{"type": "string"}}})
	}
	return rows
}

func body(mediaType, schema string, required bool) object {
	return object{"required": required, "content": object{mediaType: object{"schema": reference("schemas", schema)}}}
}

func answer(about, schema string) object {
	return object{"description": about, "content": object{"application/fhir+json": object{"schema": reference("schemas", schema)}}}
}

func created(schema string) object {
	n := answer("Created", schema)
	n["headers"] = object{"Location": object{"schema": object{"type": "string", "format": "uri"}}, "ETag": object{"schema": object{"type": "string"}}}
	return n
}

// responses are the answer of a success and those of the refusals to expect; the
// default stands for all others.
func responses(status int, success object, refusals ...int) object {
	all := object{fmt.Sprint(status): success, "default": reference("responses", "error")}
	for _, code := range refusals {
		all[fmt.Sprint(code)] = reference("responses", fmt.Sprint("e", code))
	}
	return all
}
