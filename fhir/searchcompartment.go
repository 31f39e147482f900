package fhir

import (
	"slices"
	"strings"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// compartment narrows a search to what belongs to one Patient or Practitioner,
// FHIR R4 compartmentdefinition.html, http.html#vsearch.
type compartment struct {
	owner  string // type
	id     string
	params []string // by any of which a resource belongs to it
}

// compartmentOf are the queries of a compartment search: of one type, or of all
// that the actor may search so, with "*".
func (s *Server) compartmentOf(actor access.Actor, owner, id, typ string) ([]*query, error) {
	types := s.inCompartment(owner)
	switch {
	case types == nil:
		return nil, fault.New(fault.NotFound, "there are compartments of Patient and Practitioner only")
	case !idPattern.MatchString(id):
		return nil, notFound()
	}
	var queries []*query
	for _, name := range types {
		row := s.resources[name]
		if typ != "*" && typ != name || !row.kept() || !row.allows("search-type") {
			continue
		}
		q := &query{row: row, tenant: actor.Tenant, within: &compartment{owner: owner, id: id, params: row.keysOf(compartments[owner][name])}}
		switch err := s.mayAsk(actor, q); {
		case err != nil && typ != "*":
			return nil, err
		case err == nil:
			queries = append(queries, q)
		}
	}
	if len(queries) == 0 && typ == "*" {
		return nil, beyond("*", "s")
	}
	if len(queries) == 0 {
		return nil, fault.New(fault.NotFound, "this type is in no compartment of a %s, or is not served; use one of %s, or *", owner, strings.Join(types, ", "))
	}
	return queries, nil
}

// keysOf are the names in the index of those parameters that the type has here.
func (r *resourceType) keysOf(names []string) []string {
	keys := []string{}
	for _, name := range names {
		if p, ok := r.param(name); ok && !slices.Contains(keys, p.key) {
			keys = append(keys, p.key)
		}
	}
	return keys
}

// within is the condition to belong to a compartment.
func (b *sqlBuilder) within(row *resourceType, c *compartment) string {
	refers := `r.id IN (
			SELECT f.id
			FROM reference_search f
			WHERE f.type = ` + b.arg(row.name) + ` AND f.param = ANY (` + b.arg(c.params) + `::text[])
			  AND f.target_type = ` + b.arg(c.owner) + ` AND f.target_id = ` + b.arg(c.id) + `)`
	if row.name != c.owner {
		return refers
	}
	return `(r.id = ` + b.arg(c.id) + ` OR ` + refers + `)`
}
