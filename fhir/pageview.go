package fhir

import (
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// What the pages about the API show: the tables of this package, in the words
// that the templates in docs/ want.

type docsView struct {
	Title, Docs, Base, Version, Access string
	Style                              template.CSS
	Script                             template.JS
	Current                            string // the type of the page, "" for the index
	Type                               docsType
	Types                              []docsType
	Params                             int
	Setup, First                       sample
	HowTo                              []sample
	System                             []docsRequest
	Operations                         []docsOperations
	Kinds                              []docsKind
	Common                             []docsParam
	Errors                             []docsError
	SMART                              bool
	Profiles                           []string
}

type docsType struct {
	Name, Lower, About string
	Has                string // interactions
	Profiles           []string
	Interactions       []docsRequest
	Examples           []sample
	MakesID            bool
	Params             []docsParam
	Includes           []docsInclude
	Operations         []docsOperation
}

// docsRequest is a row of a table of requests.
type docsRequest struct{ Method, Address, Does, Who string }

type docsParam struct{ Name, Kind, Where, Definition string }

type docsInclude struct {
	Name   string
	Values []string
}

type docsKind struct{ Kind, Values, Example string }

type docsError struct {
	Status     int
	Code, When string
}

type docsOperations struct {
	ID, Title, About string
	Rows             []docsOperation
}

type docsOperation struct {
	ID, Name, Does string
	Page           string // the type on whose page it stands
	Requests       []docsRequest
	Takes          []docsParameter
}

type docsParameter struct{ Name, Type, Times, Doc string }

// sample is a command to copy.
type sample struct{ ID, Title, About, Command string }

func (s *Server) docsView(typ string) docsView {
	v := docsView{
		Title: "Overread FHIR API", Docs: s.baseURL + "/docs", Base: s.baseURL, Version: s.version,
		Access: s.securityStatement().Text("description"), Current: typ, SMART: s.smart != nil,
	}
	for _, name := range s.typeNames {
		v.Types = append(v.Types, docsType{Name: name, About: exampleOf(name).about})
		v.Profiles = append(v.Profiles, s.profilesOf(name)...)
		v.Params += len(s.resources[name].searchable())
	}
	if typ != "" {
		v.Title = typ + " · " + v.Title
		v.Type = s.docsType(s.resources[typ])
		return v
	}
	v.Setup, v.First = s.setup(), firstCall
	v.HowTo = s.howTos()
	for i, t := range v.Types {
		v.Types[i].Has = strings.Join(s.interactionsOf(s.resources[t.Name]), ", ")
	}
	v.System = s.docsSystem()
	v.Operations = s.docsOperationLists()
	v.Kinds, v.Errors = docsKinds, docsErrors()
	v.Common = docsParams(s.commonSearch())
	return v
}

// interactionsOf are the interactions of a type in short words.
func (s *Server) interactionsOf(r *resourceType) (words []string) {
	for _, i := range interactions {
		word, _, _ := strings.Cut(i.code, "-")
		if s.has(r, i) && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

func (s *Server) docsSystem() (rows []docsRequest) {
	for _, i := range interactions {
		if by, routed := s.may(i); routed && !i.ofType() {
			rows = append(rows, docsRequest{i.method, i.at(""), i.does, whoMay(by)})
		}
	}
	return rows
}

func whoMay(by []access.Role) string {
	if by == nil {
		return "everybody"
	}
	return roleNames(by)
}

func (s *Server) docsType(r *resourceType) docsType {
	e := exampleOf(r.name)
	t := docsType{Name: r.name, Lower: strings.ToLower(r.name), About: e.about, Profiles: s.profilesOf(r.name), Params: docsParams(r.searchable())}
	for _, i := range interactions {
		if by, _ := s.may(i); s.has(r, i) {
			t.Interactions = append(t.Interactions, docsRequest{i.method, i.at(r.name), i.does, whoMay(r.narrow(by))})
		}
	}
	t.Examples = s.typeExamples(r)
	t.MakesID = r.allows("create") && e.body != ""
	for name, element := range map[string]string{"_include": "searchInclude", "_revinclude": "searchRevInclude"} {
		var values []string
		for _, v := range s.capability(r).Each(element) {
			values = append(values, v.Text())
		}
		if values != nil {
			t.Includes = append(t.Includes, docsInclude{name, values})
		}
	}
	slices.SortFunc(t.Includes, func(a, b docsInclude) int { return strings.Compare(a.Name, b.Name) })
	t.Operations = operationsOf(r.name)
	return t
}

func docsParams(params []searchParam) (rows []docsParam) {
	for _, p := range params {
		rows = append(rows, docsParam{p.name, p.kind, p.expression, p.definition})
	}
	return rows
}

// operationsOf are the operations of a type, those on a case last.
func operationsOf(typ string) (rows []docsOperation) {
	for _, v := range services() {
		if paths := v.pathsOf(typ); len(paths) > 0 {
			rows = append(rows, v.docs(typ, paths))
		}
	}
	if typ == "Task" {
		for _, op := range operations {
			rows = append(rows, docsOperation{ID: "op-" + op.Name, Name: "$" + op.Name, Does: op.Does, Page: "Task", Takes: docsTakes(op.Takes, ""),
				Requests: []docsRequest{{Method: http.MethodPost, Address: "Task/{id}/$" + op.Name}}})
		}
	}
	return rows
}

func (v service) docs(page string, paths []string) docsOperation {
	row := docsOperation{ID: "op-" + v.id, Name: "$" + v.name, Does: v.does, Page: page, Takes: docsTakes(v.takes, "")}
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if method == http.MethodPost || !v.affects {
				row.Requests = append(row.Requests, docsRequest{Method: method, Address: addressOf(path, "")})
			}
		}
	}
	return row
}

func docsTakes(rows []parameter, owner string) (takes []docsParameter) {
	for _, p := range rows {
		most := "1"
		if p.Many {
			most = "*"
		}
		doc := p.Doc
		if p.Codes != nil {
			doc += " One of: " + strings.Join(p.Codes, ", ") + "."
		}
		typ := p.Type
		if typ == "" {
			typ = "has parts"
		}
		takes = append(takes, docsParameter{owner + p.Name, typ, fmt.Sprintf("%d..%s", p.Min, most), doc})
		takes = append(takes, docsTakes(p.Parts, owner+p.Name+".")...)
	}
	return takes
}

// docsOperationLists are all operations, for the index.
func (s *Server) docsOperationLists() (lists []docsOperations) {
	var general []docsOperation
	for _, v := range services() {
		page := ""
		if len(v.types) > 0 {
			page = v.types[0]
		}
		general = append(general, v.docs(page, v.paths()))
	}
	if len(general) > 0 {
		lists = append(lists, docsOperations{"general-operations", "On all data", "As FHIR and its guides define them; each page says what is taken.", general})
	}
	var ofCases []docsOperation
	for _, o := range operationsOf("Task") {
		if o.Requests[0].Address == "Task/{id}/"+o.Name && slices.ContainsFunc(operations, func(op operation) bool { return "$"+op.Name == o.Name }) {
			ofCases = append(ofCases, o)
		}
	}
	return append(lists, docsOperations{"case-operations", "On a case", "POST to the Task of the case: /Task/{id}/$claim. Each is allowed in some states only, and to some roles; what is refused says why.", ofCases})
}

// docsKinds say how each kind of search parameter is asked for, FHIR R4
// search.html#ptypes.
var docsKinds = []docsKind{
	{"token", "A code or an identifier: code, system|code, |code for one without a system, system| for any of a system.", "identifier=urn:example:mrn|1001"},
	{"reference", "The resource that is referred to: Type/id, its URL, or its id alone.", "patient=Patient/1001"},
	{"date", "A date or time as precise as you like; what is asked for covers the whole of it. Before it eq, ne, gt, lt, ge, le, sa, eb or ap.", "authored=ge2026-11-01"},
	{"string", "The beginning of a text, in any case and without accents.", "family=mull"},
	{"quantity", "A number with or without system and unit, with the prefixes of dates.", "value-quantity=gt5|http://unitsofmeasure.org|mm"},
	{"number", "A number, with the prefixes of dates.", "probability=gt0.8"},
	{"uri", "The whole of a URL or a URN.", "url=https://overread.org/fhir/CodeSystem/case-state"},
	{"composite", "Several values that must hold of one and the same element, joined by a dollar sign.", "code-value-quantity=21889-1$gt5"},
}

// errorTexts say when a refusal comes. The kinds themselves, with code and
// status, are the table of outcome.go.
var errorTexts = map[fault.Kind]string{
	fault.Structure:        "The body is not well-formed, or not FHIR.",
	fault.Required:         "An element or a parameter is missing.",
	fault.ProfileRequired:  "A profile that the resource claims demands an element.",
	fault.ProfileValue:     "A profile that the resource claims demands another value.",
	fault.ProfileCode:      "A profile that the resource claims demands a code of a value set.",
	fault.ProfileRule:      "A rule of a profile that the resource claims does not hold.",
	fault.CodeInvalid:      "A code is not one of those that must be used there.",
	fault.Invariant:        "A rule of FHIR or of a profile does not hold; the text names it.",
	fault.Value:            "An element or a parameter has a value that it may not have.",
	fault.TooLarge:         "The body is too large or too deep.",
	fault.NotSupported:     "Well-formed, but not served here: an unknown search parameter, for one.",
	fault.MediaType:        "The Content-Type is not one that is read here.",
	fault.NotAcceptable:    "The Accept header asks for something else than JSON.",
	fault.MethodNotAllowed: "The type does not have this interaction; Allow says which methods the address takes.",
	fault.NotFound:         "It is not here, or not for you to see.",
	fault.Gone:             "It was deleted; its versions can still be read.",
	fault.MultipleMatches:  "A condition that must find one found several.",
	fault.VersionConflict:  "If-Match names another version: read it again, and decide again.",
	fault.Conflict:         "Somebody else was faster, or the state of the case does not allow it.",
	fault.BusinessRule:     "Understood, and refused by a rule.",
	fault.Unauthenticated:  "There is no token, or it is not known.",
	fault.Forbidden:        "Your role may not do this.",
	fault.Throttled:        "Too many requests: wait as long as Retry-After says.",
	fault.TooSlow:          "The body came too slowly, or not at all: send the request again.",
	fault.Unavailable:      "It will pass: try again after Retry-After. The text says whether repeating is safe.",
}

func docsErrors() []docsError {
	var rows []docsError
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		rows = append(rows, docsError{kinds[kind].status, kinds[kind].code, errorTexts[kind]})
	}
	rows = append(rows, docsError{http.StatusInternalServerError, "exception", "A mistake of ours. It shows nothing but the request's id: tell it to the operator."})
	slices.SortStableFunc(rows, func(a, b docsError) int { return a.Status - b.Status })
	return rows
}
