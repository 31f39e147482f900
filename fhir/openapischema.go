package fhir

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// openAPISchemas are the types of resource: what they are called and where FHIR
// defines them, not what is in them.
func (s *Server) openAPISchemas() object {
	all := object{}
	for _, typ := range slices.Concat(s.typeNames, []string{"Bundle", "Parameters", "CapabilityStatement"}) {
		all[typ] = openAPIResource(typ, nil)
	}
	for _, v := range services() {
		if v.gives != "" && all[v.gives] == nil {
			all[v.gives] = openAPIResource(v.gives, nil)
		}
	}
	all["OperationOutcome"] = openAPIResource("OperationOutcome", object{"issue": object{
		"type": "array", "minItems": 1,
		"items": object{
			"type": "object", "required": []string{"severity", "code"},
			"properties": object{
				"severity":   object{"enum": []string{"fatal", "error", "warning", "information"}},
				"code":       object{"type": "string", "description": "http://hl7.org/fhir/R4/valueset-issue-type.html"},
				"details":    object{"type": "object", "properties": object{"text": object{"type": "string", "description": "What is wrong and what to do."}}},
				"expression": object{"type": "array", "items": object{"type": "string"}, "description": "FHIRPath of the element."},
			},
		},
	}})
	return all
}

func openAPIResource(typ string, properties object) object {
	all := object{
		"resourceType": object{"const": typ},
		"id":           object{"type": "string", "pattern": `^[A-Za-z0-9\-.]{1,64}$`},
		"meta":         object{"type": "object"},
	}
	maps.Copy(all, properties)
	if typ == "Resource" { // any type
		all["resourceType"] = object{"type": "string"}
	}
	return object{
		"type": "object", "title": typ, "required": []string{"resourceType"}, "properties": all,
		"externalDocs": object{"url": "http://hl7.org/fhir/R4/" + strings.ToLower(typ) + ".html"},
	}
}

// openAPIErrors are the refusals by HTTP status, with the issue codes that
// FHIR has for them. They are made from the one table of errors.
func openAPIErrors() object {
	codes := map[int][]string{http.StatusInternalServerError: {"exception"}}
	for _, row := range kinds {
		if !slices.Contains(codes[row.status], row.code) {
			codes[row.status] = append(codes[row.status], row.code)
		}
	}
	all := object{"error": answer("Refused", "OperationOutcome")}
	for status, known := range codes {
		slices.Sort(known)
		all[fmt.Sprint("e", status)] = answer(http.StatusText(status)+". Issue code: "+strings.Join(known, ", ")+".", "OperationOutcome")
	}
	return all
}

// openAPIParameters are the headers and parameters that many interactions take.
func openAPIParameters() object {
	text := object{"type": "string"}
	return object{
		"id":              object{"name": "id", "in": "path", "required": true, "schema": text},
		"type":            object{"name": "type", "in": "path", "required": true, "schema": text, "description": "A type of resource."},
		"member":          object{"name": "member", "in": "path", "required": true, "schema": text, "description": "A type of resource, or *."},
		"file":            object{"name": "file", "in": "path", "required": true, "schema": text},
		"version":         object{"name": "version", "in": "path", "required": true, "schema": text},
		"prefer":          object{"name": "Prefer", "in": "header", "schema": text, "description": "return=minimal, return=representation or return=OperationOutcome; handling=strict or handling=lenient.", "example": "return=minimal"},
		"ifMatch":         object{"name": "If-Match", "in": "header", "schema": text, "description": "The ETag of the version that is to be changed.", "example": `W/"3"`},
		"ifNoneMatch":     object{"name": "If-None-Match", "in": "header", "schema": text, "description": "The ETag of the version that the client has.", "example": `W/"3"`},
		"ifModifiedSince": object{"name": "If-Modified-Since", "in": "header", "schema": text},
		"ifNoneExist":     object{"name": "If-None-Exist", "in": "header", "schema": text, "description": "A search; the resource is created only when nothing fits.", "example": "identifier=urn:example:mrn|1001"},
		"count":           object{"name": "_count", "in": "query", "schema": object{"type": "integer", "minimum": 0, "maximum": maxCount, "default": defaultCount}, "description": "How many resources a page may have; 0 asks for the total only."},
		"pretty":          object{"name": "_pretty", "in": "query", "schema": object{"type": "boolean"}, "description": "Indented for people."},
	}
}
