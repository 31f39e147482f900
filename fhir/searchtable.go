package fhir

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// searchtable.tsv are the search parameters that FHIR R4 gives to the types of
// the table of resources: type, name, kind, last part of the URL of the
// definition, types that a reference may lead to, and the expression as far as
// it is of that type. "Resource" has those of every type. It is made from the
// specification's own list by
//
//	go test ./fhir -run TestTheTableOfSearchParameters -update
//
//go:embed searchtable.tsv
var searchTable string

// searchconformance.tsv has, in the same columns, those of the conformance types
// alone, which the list that the other is made from leaves out. They were taken
// from the search-parameters.json of FHIR R4 (4.0.1) once, and do not change.
// Not among them are ConceptMap's source-uri and target-uri: references by their
// kind, to what is no reference.
//
//go:embed searchconformance.tsv
var searchConformance string

// standardParams are the search parameters that FHIR R4 gives to a type,
// compiled. A mistake in the table panics when the program starts.
func standardParams(typ string) []searchParam {
	params := slices.Clone(parsedTable()[typ])
	for i := range params {
		p := &params[i]
		if err := p.compile(typ); err != nil {
			panic("fhir: searchtable.tsv: " + typ + " " + p.name + ": " + err.Error())
		}
	}
	return params
}

// commonParams are searchable on every type, FHIR R4 search.html#all. _id and
// _lastUpdated are columns and have criteria of their own.
func commonParams(typ string) []searchParam {
	params := slices.Clone(parsedTable()["Resource"])
	for i := range params {
		p := &params[i]
		p.expression = strings.Replace(p.expression, "Resource.", typ+".", 1)
		if err := p.compile(typ); err != nil {
			panic("fhir: searchtable.tsv: Resource " + p.name + ": " + err.Error())
		}
	}
	return params
}

var parsedTable = sync.OnceValue(func() map[string][]searchParam {
	types := map[string][]searchParam{}
	for line := range strings.Lines(searchTable + searchConformance) {
		column := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		typ, name := column[0], column[1]
		if typ == "Resource" && (name == "_id" || name == "_lastUpdated") {
			continue
		}
		types[typ] = append(types[typ], searchParam{
			name: name, kind: column[2], key: name, definition: coreDefinition + column[3],
			targets: strings.Fields(column[4]), expression: column[5],
		})
	}
	return types
})
