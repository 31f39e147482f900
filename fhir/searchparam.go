package fhir

import (
	"fmt"
	"slices"
)

// searchParam is one search parameter of a type: its name and kind as FHIR R4
// defines them, and the elements where its values stand.
type searchParam struct {
	name       string
	kind       string // http://hl7.org/fhir/search-param-type: token, reference, date, string, uri, number, quantity, composite
	expression string // FHIRPath
	paths      []valuePath
	targets    []string        // types that a reference may lead to; empty for any
	key        string          // the name that the index knows it by; an alias has its original's
	definition string          // canonical URL
	bases      []compositeBase // of a composite
}

const coreDefinition = "http://hl7.org/fhir/SearchParameter/"

// ownParam is a search parameter of ours, which FHIR R4 does not have; its
// SearchParameter is in definition.go.
func ownParam(typ, name, kind, expression string, targets ...string) searchParam {
	return searchParam{name: name, kind: kind, key: name, expression: expression, targets: targets,
		definition: Canonical + "/SearchParameter/" + typ + "-" + name}
}

// alias is another spelling of a standard parameter of the type.
func alias(name, of string) searchParam { return searchParam{name: name, key: of} }

// compile finds the paths of the expression.
func (p *searchParam) compile(typ string) error {
	if p.kind == "composite" {
		return p.compileComposite(typ)
	}
	paths, err := compilePaths(typ, p.expression)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if path.fits(p.kind) { // Consent.source may be an Attachment, which is no reference
			p.paths = append(p.paths, path)
		}
	}
	if p.paths == nil {
		return fmt.Errorf("no value of kind %s is at %s", p.kind, p.expression)
	}
	return nil
}

// complete gives a row its standard search parameters, before its own.
func (r *resourceType) complete() {
	own := r.search
	r.search = standardParams(r.name)
	for _, p := range own {
		if original, ok := r.param(p.key); ok {
			original.name = p.name
			p = original
		} else if err := p.compile(r.name); err != nil {
			panic("fhir: " + r.name + " " + p.name + ": " + err.Error())
		}
		r.search = append(r.search, p)
	}
	r.search = append(r.search, commonParams(r.name)...)
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
