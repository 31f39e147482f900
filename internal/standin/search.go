package standin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// param is a search parameter: what kind it is, and which elements it looks at.
type param struct {
	kind     string // token, reference
	elements []string
}

// params is the one table of search parameters, the same for every type.
var params = map[string]param{
	"_id":        {"token", []string{"id"}},
	"_tag":       {"token", []string{"meta.tag"}},
	"identifier": {"token", []string{"identifier"}},
	"status":     {"token", []string{"status"}},
	"code":       {"token", []string{"code"}},
	"category":   {"token", []string{"category"}},
	"patient":    {"reference", []string{"patient", "subject", "for"}},
	"subject":    {"reference", []string{"subject"}},
	"based-on":   {"reference", []string{"basedOn"}},
	"focus":      {"reference", []string{"focus"}},
	"target":     {"reference", []string{"target"}},
	"result":     {"reference", []string{"result"}},
}

// types are the resource types that this EHR knows.
var types = []string{
	"Communication", "Condition", "Consent", "Device", "DiagnosticReport", "DocumentReference", "Encounter", "Endpoint", "ImagingStudy",
	"Location", "Media", "Observation", "Organization", "Patient", "Practitioner", "PractitionerRole", "Provenance",
	"ServiceRequest", "Task",
}

func (e *EHR) search(w http.ResponseWriter, r *http.Request) error {
	typ := r.PathValue("type")
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "invalid", "unreadable parameters")
	}
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	found, err := e.store.find(typ, r.Form)
	if err != nil {
		return err
	}
	entries := []object{}
	for _, rec := range found {
		v := rec.newest()
		entries = append(entries, object{
			"fullUrl": base(r) + "/" + v.Type + "/" + v.ID, "resource": v.Body, "search": object{"mode": "match"},
		})
	}
	self := base(r) + "/" + typ + "?" + r.Form.Encode()
	bundle := object{
		"resourceType": "Bundle", "type": "searchset", "total": len(entries),
		"link": []object{{"relation": "self", "url": self}},
	}
	if len(entries) > 0 { // FHIR JSON has no empty arrays (json.html)
		bundle["entry"] = entries
	}
	answer(w, http.StatusOK, bundle)
	return nil
}

// find is the resources of a type that match every parameter, oldest first.
func (s *store) find(typ string, query url.Values) ([]*record, error) {
	if !slices.Contains(types, typ) {
		return nil, refuse(http.StatusNotFound, "not-supported", "this EHR has no %s", typ)
	}
	for name := range query {
		if _, ok := params[name]; !ok {
			return nil, refuse(http.StatusBadRequest, "not-supported", "unknown search parameter %q", name)
		}
	}
	var found []*record
	for _, key := range s.candidates(typ, query) {
		if rec := s.records[key]; rec.newest().Type == typ && matches(rec.current, query) {
			found = append(found, rec)
		}
	}
	return found, nil
}

// candidates narrows the search down where the index can.
func (s *store) candidates(typ string, query url.Values) []string {
	for _, name := range []string{"identifier", "_tag"} {
		if values := query[name]; len(values) > 0 && strings.Contains(values[0], "|") && !strings.Contains(values[0], ",") {
			return s.tokens[typ+" "+name+" "+values[0]]
		}
	}
	return s.order
}

// matches: a repeated parameter means and, a comma means or (FHIR R4 search.html#combining).
func matches(resource object, query url.Values) bool {
	for name, values := range query {
		p := params[name]
		for _, value := range values {
			if !slices.ContainsFunc(strings.Split(value, ","), func(one string) bool { return p.matches(resource, one) }) {
				return false
			}
		}
	}
	return true
}

func (p param) matches(resource object, value string) bool {
	if p.kind == "token" {
		return slices.ContainsFunc(tokensOf(resource, p), func(token string) bool {
			return token == value || !strings.Contains(value, "|") && strings.HasSuffix(token, "|"+value)
		})
	}
	for _, path := range p.elements {
		for _, at := range elements(resource, strings.Split(path, ".")...) {
			ref, _ := at.(object)
			text, _ := ref["reference"].(string)
			if text != "" && (text == value || strings.HasSuffix(text, "/"+value) || strings.HasSuffix(value, "/"+text)) {
				return true
			}
		}
	}
	return false
}

// tokensOf is the values of a token parameter as system|value.
func tokensOf(resource object, p param) []string {
	var out []string
	for _, path := range p.elements {
		for _, at := range elements(resource, strings.Split(path, ".")...) {
			out = append(out, tokens(at)...)
		}
	}
	return out
}

func tokens(at any) []string {
	switch at := at.(type) {
	case string: // code, id
		return []string{"|" + at}
	case object: // Identifier, Coding, CodeableConcept
		if codings, ok := at["coding"]; ok {
			var out []string
			for _, coding := range elements(object{"coding": codings}, "coding") {
				out = append(out, tokens(coding)...)
			}
			return out
		}
		system, _ := at["system"].(string)
		for _, name := range []string{"value", "code"} {
			if value, ok := at[name].(string); ok {
				return []string{system + "|" + value}
			}
		}
	}
	return nil
}

// elements walks down the names and opens arrays on the way.
func elements(at any, names ...string) []any {
	switch at := at.(type) {
	case []any:
		var out []any
		for _, item := range at {
			out = append(out, elements(item, names...)...)
		}
		return out
	case object:
		if len(names) > 0 {
			return elements(at[names[0]], names[1:]...)
		}
	case nil:
		return nil
	}
	if len(names) > 0 {
		return nil
	}
	return []any{at}
}

// identifiers is the business identifiers of a resource as system|value.
func identifiers(resource object) []string { return tokensOf(resource, params["identifier"]) }
