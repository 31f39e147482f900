package fhir

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
)

// A search key is a digest of what a token, reference or uri parameter may be
// asked for, tenant and type included; the values themselves are not in the
// index. A value has a key for each form of asking for it. The forms, FHIR R4
// search.html#token and #reference:
const (
	formCode       = "code"        // code, whatever the system
	formAnyCase    = "code~"       // the same in lower case, where case does not matter
	formSystemCode = "system|code" // also |code, with the system ""
	formSystem     = "system|"     // any code of the system
	formOfType     = "of-type"     // :of-type=system|code|value, the type's system and code
	formReference  = "reference"   // Type/id, or an absolute URL
	formID         = "id"          // id, whatever the type
	formIdentifier = "identifier"  // :identifier=system|value
	formURI        = "uri"
	formPair       = "pair"    // of a composite of two tokens or references
	formPresent    = "present" // :missing=false
)

// keySpace is where keys are made: one tenant, one type, one parameter.
type keySpace struct {
	tenant uuid.UUID
	typ    string
	param  string // searchParam.key
}

// key is the digest of one form of a value. Each part is preceded by its
// length, so that no two lists of parts read the same.
func (k keySpace) key(form string, parts ...string) uuid.UUID {
	var room [256]byte
	b := append(room[:0], k.tenant[:]...)
	for _, part := range append([]string{k.typ, k.param, form}, parts...) {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return uuid.UUID(sum[:16])
}

// bareUID drops the prefix that DICOM UIDs have in ImagingStudy.identifier and
// nowhere else, so that they are found by either spelling.
func bareUID(code string) string { return strings.TrimPrefix(code, "urn:oid:") }

// tokenKeys are the keys of a value of a token parameter.
func tokenKeys(space keySpace, path valuePath, value *Node) []uuid.UUID {
	switch path.typ {
	case "CodeableConcept":
		var keys []uuid.UUID
		for _, c := range value.Each("coding") {
			keys = append(keys, codingKeys(space, c.Text("system"), c.Text("code"))...)
		}
		return keys
	case "Coding":
		return codingKeys(space, value.Text("system"), value.Text("code"))
	case "Identifier":
		return identifierTokens(space, value)
	case "ContactPoint": // its system is no namespace, and case does not matter
		return plainKeys(space, strings.ToLower(value.Text("value")))
	case "String": // FHIR R4 search.html#token: not case sensitive
		return plainKeys(space, strings.ToLower(value.Text()))
	}
	keys := plainKeys(space, bareUID(value.Text()))
	if system := path.system(value.Text()); system != "" {
		keys = append(keys, space.key(formSystemCode, system, value.Text()), space.key(formSystem, system))
	}
	return keys
}

// plainKeys are those of what has no system.
func plainKeys(space keySpace, code string) []uuid.UUID {
	if code == "" {
		return nil
	}
	return []uuid.UUID{space.key(formCode, code)}
}

func codingKeys(space keySpace, system, code string) []uuid.UUID {
	var keys []uuid.UUID
	if code = bareUID(code); code != "" {
		form := formCode
		if anyCase(system) {
			form, code = formAnyCase, strings.ToLower(code)
		}
		keys = append(keys, space.key(form, code), space.key(formSystemCode, system, code))
	}
	if system != "" {
		keys = append(keys, space.key(formSystem, system))
	}
	return keys
}

// identifierTokens are the keys of an Identifier, whose value is case sensitive
// (FHIR R4 datatypes.html#Identifier).
func identifierTokens(space keySpace, value *Node) []uuid.UUID {
	var keys []uuid.UUID
	system, code := value.Text("system"), bareUID(value.Text("value"))
	if code != "" {
		keys = append(keys, space.key(formCode, code), space.key(formSystemCode, system, code))
		for _, c := range value.Each("type", "coding") {
			keys = append(keys, space.key(formOfType, c.Text("system"), c.Text("code"), code))
		}
	}
	if system != "" {
		keys = append(keys, space.key(formSystem, system))
	}
	return keys
}

// exactSystems begin the code systems whose codes are case sensitive. Of others
// we do not know, and then FHIR R4 search.html#token would have case ignored.
var exactSystems = []string{
	Canonical, "http://hl7.org/fhir/", "http://terminology.hl7.org/", "http://unitsofmeasure.org",
	"http://loinc.org", "http://snomed.info/sct", dicom, "urn:ietf:rfc:3986",
}

func anyCase(system string) bool {
	for _, known := range exactSystems {
		if strings.HasPrefix(system, known) {
			return false
		}
	}
	return true
}

// system is the code system of a code whose value set is fixed: for elements of
// type code it is implied (FHIR R4 search.html#token).
func (p valuePath) system(code string) string {
	if p.typ == "Boolean" {
		return "http://hl7.org/fhir/special-values"
	}
	if p.at == nil || p.at.message == nil {
		return ""
	}
	value := p.at.message.Fields().ByName("value")
	if value == nil || value.Enum() == nil {
		return ""
	}
	values := value.Enum().Values()
	for i := range values.Len() {
		options := values.Get(i).Options()
		own, _ := proto.GetExtension(options, apb.E_FhirOriginalCode).(string)
		if own == "" {
			own = strings.ReplaceAll(strings.ToLower(string(values.Get(i).Name())), "_", "-")
		}
		if own == code {
			if system, _ := proto.GetExtension(options, apb.E_SourceCodeSystem).(string); system != "" {
				return system
			}
			break
		}
	}
	system, _ := proto.GetExtension(value.Enum().Options(), apb.E_FhirCodeSystemUrl).(string)
	return system
}

// tokenTexts are what :text looks at (FHIR R4 search.html#modifiers). AuditEvents
// have none: there is one for each change, and their words are ours.
func tokenTexts(typ string, path valuePath, value *Node) []string {
	if typ == auditEventType {
		return nil
	}
	var texts []string
	add := func(nodes []*Node) {
		for _, n := range nodes {
			texts = append(texts, nonEmpty(n.Text())...)
		}
	}
	switch path.typ {
	case "CodeableConcept":
		add(value.Each("text"))
		add(value.Each("coding", "display"))
	case "Coding":
		add(value.Each("display"))
	case "Identifier":
		add(value.Each("type", "text"))
	}
	return texts
}

// referenceKeys are the keys of a Reference: by type and id, by id, by URL, and
// by the identifier of a logical one; or of a canonical, with and without its
// version. Contained resources cannot be found.
func referenceKeys(space keySpace, path valuePath, value *Node) []uuid.UUID {
	if path.typ == "Canonical" {
		var keys []uuid.UUID
		for _, url := range canonicals(value.Text()) {
			keys = append(keys, space.key(formReference, url))
		}
		return keys
	}
	var keys []uuid.UUID
	target := parseReference(value.Text("reference"))
	switch {
	case target.local():
		keys = append(keys, space.key(formReference, target.relative()), space.key(formID, target.id))
	case target.absolute():
		keys = append(keys, space.key(formReference, target.base+"/"+target.relative()))
	case target.other != "":
		keys = append(keys, space.key(formReference, target.other))
	}
	if id := value.Get("identifier"); id.Text("value") != "" {
		system, code := id.Text("system"), bareUID(id.Text("value"))
		keys = append(keys, space.key(formIdentifier, system, code), space.key(formIdentifier, code))
	}
	return keys
}

// leadsRight tells whether a reference may be to the type that the parameter is
// limited to: where(resolve() is Patient). Of some nobody can tell.
func (p valuePath) leadsRight(value *Node) bool {
	typ := parseReference(value.Text("reference")).typ
	if typ == "" {
		typ = value.Text("type")
	}
	return p.only == "" || typ == "" || typ == p.only
}

func uriKeys(space keySpace, uri string) []uuid.UUID {
	var keys []uuid.UUID
	for _, url := range canonicals(uri) {
		keys = append(keys, space.key(formURI, url))
	}
	return keys
}

// canonicals are a URL as it stands and, of a canonical one, without its
// version.
func canonicals(url string) []string {
	if bare, _, ok := strings.Cut(url, "|"); ok {
		return []string{url, bare}
	}
	return []string{url}
}
