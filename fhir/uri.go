package fhir

import (
	"regexp"
	"strings"
	"unicode"
)

// FHIR R4 datatypes.html#primitive: id, uuid, oid.
var (
	validID   = regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`)
	validUUID = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	validOID  = regexp.MustCompile(`^urn:oid:[0-2](\.(0|[1-9][0-9]*))+$`)
)

// activeSchemes run or smuggle content when a page makes a link of them. Inline
// content has an element of its own, Attachment.data.
var activeSchemes = map[string]bool{"javascript": true, "vbscript": true, "data": true, "blob": true}

// uriProblem says what is wrong with a uri, url or canonical and what to do; "" if nothing.
func uriProblem(text string) string {
	switch {
	case strings.IndexFunc(text, isBlank) >= 0:
		return "an address has no spaces or control characters: percent-encode them"
	case activeSchemes[scheme(text)]:
		return "scripts and inline data are not accepted as an address: give the address of the content"
	case strings.HasPrefix(text, "urn:uuid:") && !validUUID.MatchString(text):
		return "a UUID is written urn:uuid: and 36 characters in lower case"
	case strings.HasPrefix(text, "urn:oid:") && !validOID.MatchString(text):
		return "an OID is written urn:oid: and numbers between dots, without leading zeros"
	}
	return ""
}

func isBlank(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// scheme of an address in lower case, "" if it is relative.
func scheme(text string) string {
	end := strings.IndexAny(text, ":/?#")
	if end < 1 || text[end] != ':' {
		return ""
	}
	return strings.ToLower(text[:end])
}

// scope is what a reference may point at from where it stands.
type scope struct {
	inContained bool              // the resource is itself contained
	id          string            // and this is its id
	ids         map[string]string // of the contained resources of the same container, and their types
	used        map[string]bool   // of them, those that somebody refers to, and those that refer to their container
	transaction bool              // conditional references are allowed
}

// use notes that something refers to a contained resource, or from one to its
// container (invariant dom-3).
func (in *scope) use(text string) {
	fragment, ok := strings.CutPrefix(text, "#")
	switch {
	case !ok || in.used == nil:
	case fragment == "":
		in.used[in.id] = true
	default:
		in.used[fragment] = true
	}
}

// referenceProblem says what is wrong with Reference.reference, "" if nothing.
// FHIR R4 references.html#literal, and http.html#transaction for Patient?identifier=...
func referenceProblem(text string, in *scope) string {
	if fragment, ok := strings.CutPrefix(text, "#"); ok {
		if in.ids[fragment] != "" || fragment == "" && in.inContained {
			return ""
		}
		return "no contained resource has this id: add it to contained, or refer to a resource of its own (ref-1)"
	}
	if problem := uriProblem(text); problem != "" {
		return problem
	}
	if scheme(text) != "" {
		return ""
	}
	if typ, _, ok := strings.Cut(text, "?"); ok && resourceTypes()[typ] != nil {
		if in.transaction {
			return ""
		}
		return "a conditional reference is for transaction Bundles: refer by id, or use Reference.identifier"
	}
	parts := strings.Split(text, "/")
	versioned := len(parts) == 4 && parts[2] == "_history" && validID.MatchString(parts[3])
	if (len(parts) == 2 || versioned) && resourceTypes()[parts[0]] != nil && validID.MatchString(parts[1]) {
		return ""
	}
	return "a reference is written Type/id, as an absolute URL, urn:uuid:..., urn:oid:..., or #id of a contained resource"
}
