package fhir

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// The terminology operations of FHIR R4 (terminology-service.html) on what we
// publish ourselves. Code systems of others are not here: of them only the codes
// are known that our value sets list.

func terminologyServices() []service {
	code := parameter{Name: "code", Type: "code", Doc: "The code."}
	coding := parameter{Name: "coding", Type: "Coding", Doc: "System and code, instead of the single parameters."}
	concept := parameter{Name: "codeableConcept", Type: "CodeableConcept", Doc: "A concept, one of whose codings has to fit."}
	display := parameter{Name: "display", Type: "string", Doc: "Is told when it is not the display of the code here."}
	version := func(name string) parameter {
		return parameter{Name: name, Type: "string", Doc: "Only in this version."}
	}
	unread := func(name, typ string) parameter {
		return parameter{Name: name, Type: typ, Doc: "Changes nothing: all codes are in English, active, and in one list."}
	}
	verdict := []parameter{
		{Name: "result", Type: "boolean", Min: 1, Doc: "True if it is valid."},
		{Name: "message", Type: "string", Doc: "What is wrong, or is to be noted."},
		{Name: "display", Type: "string", Doc: "The display of the code here."},
	}
	return []service{
		{name: "lookup", id: "code-system-lookup", base: coreOperations + "CodeSystem-lookup", types: []string{"CodeSystem"}, atType: true, by: anybody, scope: reading,
			does:  "What a code of a code system of ours means.",
			takes: []parameter{code, {Name: "system", Type: "uri", Doc: "The URL of the code system."}, version("version"), coding, unread("displayLanguage", "code"), unread("property", "code").many()},
			tells: []parameter{{Name: "name", Type: "string", Min: 1, Doc: "Of the code system."}, {Name: "version", Type: "string", Doc: "Of the code system."}, {Name: "display", Type: "string", Min: 1, Doc: "The display of the code."},
				{Name: "property", Doc: "The definition of the code, where it has one.", Many: true, Parts: []parameter{{Name: "code", Type: "code", Min: 1, Doc: "definition"}, {Name: "value", Type: "string", Doc: "The definition."}}}},
			handle: (*Server).lookUpCode},
		{name: "validate-code", id: "code-system-validate-code", base: coreOperations + "CodeSystem-validate-code", types: []string{"CodeSystem"}, atType: true, instance: true, by: anybody, scope: reading,
			does:  "Whether a code is in a code system of ours.",
			takes: []parameter{{Name: "url", Type: "uri", Doc: "The code system, unless it is in the address or the coding."}, code, version("version"), display, coding, concept, unread("displayLanguage", "code")},
			tells: verdict, handle: (*Server).validateSystemCode},
		{name: "expand", id: "value-set-expand", base: coreOperations + "ValueSet-expand", types: []string{"ValueSet"}, atType: true, instance: true, by: anybody, scope: reading, gives: "ValueSet",
			does: "The codes of a value set of ours.",
			takes: []parameter{{Name: "url", Type: "uri", Doc: "The value set, unless it is in the address."}, version("valueSetVersion"),
				{Name: "filter", Type: "string", Doc: "Only codes that have this text in code or display."},
				{Name: "offset", Type: "integer", Doc: "How many codes to leave out at the beginning."},
				{Name: "count", Type: "integer", Doc: "How many codes at most; 0 only counts them."},
				{Name: "includeDefinition", Type: "boolean", Doc: "Gives the rules of the value set too."},
				unread("includeDesignations", "boolean"), unread("activeOnly", "boolean"), unread("excludeNested", "boolean"), unread("displayLanguage", "code")},
			handle: (*Server).expand},
		{name: "validate-code", id: "value-set-validate-code", base: coreOperations + "ValueSet-validate-code", types: []string{"ValueSet"}, atType: true, instance: true, by: anybody, scope: reading,
			does: "Whether a code is in a value set of ours.",
			takes: []parameter{{Name: "url", Type: "uri", Doc: "The value set, unless it is in the address."}, version("valueSetVersion"), code,
				{Name: "system", Type: "uri", Doc: "The code system of the code."}, version("systemVersion"), display, coding, concept, unread("displayLanguage", "code")},
			tells: verdict, handle: (*Server).validateSetCode},
		translateService(code, coding, concept),
	}
}

const coreOperations = "http://hl7.org/fhir/OperationDefinition/"

func (p parameter) many() parameter {
	p.Many = true
	return p
}

// published finds a definition of ours by the id in the address, or by the URL
// that the parameter gives. It returns a fault of kind NotFound.
func (s *Server) published(c echo.Context, in *Node, typ, urlName, versionName string) (*Node, error) {
	id, url := c.Param("id"), given(in, urlName).Text()
	if id == "" && url == "" {
		return nil, fault.New(fault.Required, "say which %s: by its id in the address, or by the parameter %s", typ, urlName)
	}
	url, version, _ := strings.Cut(url, "|")
	if v := given(in, versionName).Text(); v != "" {
		version = v
	}
	for _, n := range s.resources[typ].content() {
		if (id == "" || n.Text("id") == id) && (url == "" || n.Text("url") == url) && (version == "" || n.Text("version") == version) {
			return n, nil
		}
	}
	return nil, fault.New(fault.NotFound, "this %s is not published here; /fhir/%s lists those that are", typ, typ)
}

// lookUpCode is CodeSystem/$lookup, FHIR R4 codesystem-operation-lookup.html.
func (s *Server) lookUpCode(c echo.Context, _ access.Actor, in *Node) error {
	asked, err := codingsGiven(in, "system")
	if err != nil {
		return err
	}
	if asked[0].System == "" {
		return fault.New(fault.Required, "$lookup needs the system of the code: in system, or in the coding")
	}
	version := given(in, "version").Text()
	if version == "" {
		version = given(in, "coding").Text("version")
	}
	cs := ourCodeSystem(asked[0].System)
	if cs == nil || version != "" && version != cs.Text("version") {
		return fault.New(fault.NotFound, "this code system is not published here; /fhir/CodeSystem lists those that are")
	}
	found, ok := codesOfSystem(cs).find(asked[0])
	if !ok {
		return fault.New(fault.NotFound, "the code system has no such code")
	}
	out := parametersOf("name", String(cs.Text("title")), "version", String(cs.Text("version")), "display", String(found.Display))
	if definition := definitionOf(cs, found.Code); definition != nil {
		// FHIR R4 codesystem-operation-lookup.html: a property that every code system has
		out.Append("parameter", Object("name", "property", "part", []*Node{
			Object("name", "code", "valueCode", "definition"), Object("name", "value", "valueString", definition),
		}))
	}
	return write(c, http.StatusOK, out.Bytes())
}

// definitionOf a code is what it means, in a sentence; nil where its display says all.
func definitionOf(cs *Node, code string) *Node {
	for _, concept := range cs.Each("concept") {
		if concept.Text("code") == code {
			return concept.Get("definition")
		}
	}
	return nil
}

// validateSystemCode is CodeSystem/$validate-code, FHIR R4
// codesystem-operation-validate-code.html. A code system that is not here is an
// answer, not an error: the code cannot be said to be valid.
func (s *Server) validateSystemCode(c echo.Context, _ access.Actor, in *Node) error {
	asked, err := codingsGiven(in, "url")
	if err != nil {
		return err
	}
	if given(in, "url") == nil && c.Param("id") == "" && asked[0].System != "" {
		in.Append("parameter", Object("name", "url", "valueUri", asked[0].System))
	}
	cs, err := s.published(c, in, "CodeSystem", "url", "version")
	switch {
	case fault.Is(err, fault.NotFound) && c.Param("id") == "":
		return write(c, http.StatusOK, verdict(false, "the code system is not published here, so nothing can be said of its codes", "").Bytes())
	case err != nil:
		return err
	}
	for i := range asked {
		if asked[i].System == "" {
			asked[i].System = cs.Text("url")
		}
	}
	return write(c, http.StatusOK, judge(codesOfSystem(cs), asked, given(in, "display").Text(), "the code system").Bytes())
}

// validateSetCode is ValueSet/$validate-code, FHIR R4
// valueset-operation-validate-code.html.
func (s *Server) validateSetCode(c echo.Context, _ access.Actor, in *Node) error {
	vs, err := s.published(c, in, "ValueSet", "url", "valueSetVersion")
	if err != nil {
		return err
	}
	asked, err := codingsGiven(in, "system")
	if err != nil {
		return err
	}
	if asked[0].System == "" {
		return fault.New(fault.Required, "$validate-code needs the system of the code: in system, or in the coding")
	}
	return write(c, http.StatusOK, judge(codesOfValueSet(vs), asked, given(in, "display").Text(), "the value set").Bytes())
}

// codingsGiven are the codes that are asked about: code with a system, coding,
// or the codings of codeableConcept. Exactly one of these has to be given.
func codingsGiven(in *Node, systemName string) ([]workflow.Coding, error) {
	var asked []workflow.Coding
	ways := 0
	take := func(codings []*Node) {
		ways++
		for _, c := range codings {
			asked = append(asked, workflow.Coding{System: c.Text("system"), Code: c.Text("code"), Display: c.Text("display")})
		}
	}
	if code := given(in, "code"); code != nil {
		ways++
		asked = append(asked, workflow.Coding{System: given(in, systemName).Text(), Code: code.Text()})
	}
	if coding := given(in, "coding"); coding != nil {
		take([]*Node{coding})
	}
	if concept := given(in, "codeableConcept"); concept != nil {
		take(concept.Each("coding"))
	}
	if ways != 1 || len(asked) == 0 || slices.ContainsFunc(asked, func(c workflow.Coding) bool { return c.Code == "" }) {
		return nil, fault.New(fault.Required, "give one of code (with its system), coding and codeableConcept, and in it a code")
	}
	return asked, nil
}

// find tells a code as it is listed.
func (v ValueSet) find(asked workflow.Coding) (workflow.Coding, bool) {
	i := slices.IndexFunc(v, func(c workflow.Coding) bool { return c.System == asked.System && c.Code == asked.Code })
	if i < 0 {
		return workflow.Coding{}, false
	}
	return v[i], true
}

func codesOfSystem(cs *Node) ValueSet {
	var codes ValueSet
	for _, concept := range cs.Get("concept").Items() {
		codes = append(codes, workflow.Coding{System: cs.Text("url"), Code: concept.Text("code"), Display: concept.Text("display")})
	}
	return codes
}

// judge tells whether one of the codes is among these. A display that is not
// ours is worth a message and no more: displays are for people, and may be in
// another language.
func judge(codes ValueSet, asked []workflow.Coding, display, of string) *Node {
	for _, each := range asked {
		found, ok := codes.find(each)
		if !ok {
			continue
		}
		if display == "" {
			display = each.Display
		}
		message := ""
		if display != "" && !strings.EqualFold(display, found.Display) {
			message = "the display is not the one that " + of + " has"
		}
		return verdict(true, message, found.Display)
	}
	return verdict(false, of+" has no such code", "")
}

func verdict(result bool, message, display string) *Node {
	return parametersOf("result", toNode(result), "message", toNode(message), "display", toNode(display))
}

// parametersOf builds Parameters from names and values: strings, and booleans.
// What is nil is left out.
func parametersOf(pairs ...any) *Node {
	out := Object("resourceType", "Parameters")
	for i := 0; i+1 < len(pairs); i += 2 {
		value, _ := pairs[i+1].(*Node)
		element := "valueString"
		if value.IsBool() {
			element = "valueBoolean"
		}
		if value != nil {
			out.Append("parameter", Object("name", pairs[i], element, value))
		}
	}
	return out
}
