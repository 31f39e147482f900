package fhir

import (
	"slices"
	"strings"
)

// searchParam is one search parameter of a type: its name and kind as FHIR R4
// defines them, and the elements where its values stand.
type searchParam struct {
	name       string
	kind       string // token, reference, date, string, uri: http://hl7.org/fhir/search-param-type
	paths      [][]string
	filter     string // references: of this type only; contact points: of this system only
	key        string // the name that the index knows it by; an alias has its original's
	definition string // canonical URL, or until defined its last part
}

func byToken(name string, paths ...string) searchParam     { return newParam(name, "token", paths) }
func byReference(name string, paths ...string) searchParam { return newParam(name, "reference", paths) }
func byDate(name string, paths ...string) searchParam      { return newParam(name, "date", paths) }
func byText(name string, paths ...string) searchParam      { return newParam(name, "string", paths) }
func byURI(name string, paths ...string) searchParam       { return newParam(name, "uri", paths) }

func newParam(name, kind string, paths []string) searchParam {
	p := searchParam{name: name, kind: kind, key: name}
	for _, path := range paths {
		p.paths = append(p.paths, strings.Split(path, "."))
	}
	return p
}

// only narrows a parameter to references to one type, or to contact points of
// one system.
func (p searchParam) only(filter string) searchParam { p.filter = filter; return p }

// as names the definition where several types share it: clinical-patient.
func (p searchParam) as(definition string) searchParam { p.definition = definition; return p }

// at gives the URL of a definition that is not in FHIR R4.
func (p searchParam) at(url string) searchParam { p.definition = url; return p }

// aliasOf makes another spelling of a parameter of the same type.
func (p searchParam) aliasOf(name string) searchParam {
	p.key, p.definition = name, name
	return p
}

const coreDefinition = "http://hl7.org/fhir/SearchParameter/"

// defined completes the definition URLs of a type's parameters: most are called
// after the type and the parameter, Task-status.
func defined(typ string, params []searchParam) []searchParam {
	for i := range params {
		p := &params[i]
		switch {
		case strings.Contains(p.definition, "://"):
		case p.definition == "":
			p.definition = coreDefinition + typ + "-" + p.name
		case p.name != p.key:
			p.definition = coreDefinition + typ + "-" + p.key
		default:
			p.definition = coreDefinition + p.definition
		}
	}
	return params
}

// param finds a search parameter of the type by its name.
func (r *resourceType) param(name string) (searchParam, bool) {
	for _, p := range r.search {
		if p.name == name {
			return p, true
		}
	}
	return searchParam{}, false
}

// allows tells whether the type has this interaction.
func (r *resourceType) allows(interaction string) bool {
	return slices.Contains(r.interactions, interaction)
}
