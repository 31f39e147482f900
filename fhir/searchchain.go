package fhir

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// A hop leads over one reference to a resource that must meet a query of its
// own: forwards in a chain (subject:Patient.name=x), backwards with _has
// (_has:Observation:patient:code=x). FHIR R4 search.html#chaining, #has. Each
// parameter of a search has its own hops: two chains over the same reference
// may be met by two different resources.
type hop struct {
	param string // that makes the reference: of the query's type, or with back of to's
	back  bool
	to    *query
}

// maxHops bounds the references that one parameter goes over, and maxChained how
// many parameters of a search go over any.
const (
	maxHops    = 3
	maxChained = 20
)

// unknownParamError says that a type has no such search parameter. A lenient search
// leaves the parameter out, another refuses it.
type unknownParamError struct {
	row  *resourceType
	name string
}

func (u *unknownParamError) Error() string { return "unknown search parameter of " + u.row.name }

// ask adds one parameter of a search, whatever its form. It returns an
// *unknownParamError where a type on its way does not have what is asked for.
func (s *Server) ask(q *query, name, value string, known lookup, hops int) error {
	if hops > maxHops {
		return fault.New(fault.NotSupported, "a search parameter can go over %d references, this one goes over more: ask in two steps", maxHops)
	}
	if back, ok := strings.CutPrefix(name, "_has:"); ok {
		return s.askBack(q, back, value, known, hops)
	}
	if head, rest, ok := strings.Cut(name, "."); ok {
		return s.askChain(q, head, rest, value, known, hops)
	}
	taken, err := q.take(name, value, known)
	if err == nil && !taken {
		return &unknownParamError{q.row, name}
	}
	return err
}

// askBack adds a _has: name is Type:reference:parameter.
func (s *Server) askBack(q *query, name, value string, known lookup, hops int) error {
	parts := strings.SplitN(name, ":", 3)
	if len(parts) < 3 {
		return fault.New(fault.Value, "_has is written _has:Type:reference:parameter=value, such as _has:Observation:patient:code=x")
	}
	row := s.resources[parts[0]]
	if row == nil || !row.kept() {
		return fault.New(fault.NotSupported, "_has begins with a type that is kept here, such as _has:Observation:patient:code; /fhir/metadata lists the types")
	}
	p, ok := row.param(parts[1])
	switch {
	case !ok || p.kind != "reference":
		return fault.New(fault.NotSupported, "%s has no reference parameter of this name for _has; it has: %s", row.name, strings.Join(row.references(), ", "))
	case !slices.Contains(s.leadsTo(p), q.row.name):
		return fault.New(fault.Value, "%s.%s never leads to a %s", row.name, p.name, q.row.name)
	}
	to := &query{row: row, tenant: q.tenant}
	if err := s.ask(to, parts[2], value, known, hops+1); err != nil {
		return err
	}
	q.hops = append(q.hops, hop{param: p.key, back: true, to: to})
	return nil
}

// askChain adds a chain: head is the reference parameter, with or without
// :Type, rest what its target must meet.
func (s *Server) askChain(q *query, head, rest, value string, known lookup, hops int) error {
	name, typ, typed := strings.Cut(head, ":")
	p, ok := q.row.param(name)
	switch {
	case !ok:
		return &unknownParamError{q.row, head + "." + rest}
	case p.kind != "reference":
		return fault.New(fault.NotSupported, "%s of %s is no reference, so nothing can be chained to it", p.name, q.row.name)
	}
	types := s.leadsTo(p)
	if typed {
		if !slices.Contains(types, typ) {
			return fault.New(fault.Value, "%s of %s does not lead to this type here; it leads to: %s", p.name, q.row.name, strings.Join(types, ", "))
		}
		types = []string{typ}
	}
	var ways []*query
	var missing error
	for _, typ := range types {
		to := &query{row: s.resources[typ], tenant: q.tenant}
		err := s.ask(to, rest, value, known, hops+1)
		var unknown *unknownParamError
		switch {
		case err == nil:
			ways = append(ways, to)
		case errors.As(err, &unknown):
			missing = err
		default:
			return err
		}
	}
	switch {
	case len(ways) == 1:
		q.hops = append(q.hops, hop{param: p.key, to: ways[0]})
		return nil
	case missing != nil && len(ways) == 0:
		return missing
	case len(ways) == 0:
		return fault.New(fault.NotSupported, "%s of %s leads to nothing that is kept here", p.name, q.row.name)
	}
	// FHIR R4 search.html#chaining: where a reference may be to several types,
	// the type is to be said.
	return fault.New(fault.Value, "%s of %s may lead to several types that can be searched so: say which, as in %s:%s.name; it leads to: %s",
		p.name, q.row.name, p.name, ways[0].row.name, strings.Join(types, ", "))
}

// leadsTo are the types to which a reference parameter may lead, as far as they
// are kept here.
func (s *Server) leadsTo(p searchParam) []string {
	types := p.targets
	if len(types) == 0 {
		types = s.typeNames
	}
	return slices.DeleteFunc(slices.Sorted(slices.Values(types)), func(typ string) bool {
		to := s.resources[typ]
		meant := func(path valuePath) bool { return path.only == "" || path.only == typ }
		return to == nil || !to.kept() || !slices.ContainsFunc(p.paths, meant)
	})
}

// references are the names of the reference parameters of a type.
func (r *resourceType) references() []string {
	var names []string
	for _, p := range r.search {
		if p.kind == "reference" {
			names = append(names, p.name)
		}
	}
	return names
}

// hop is the condition that a reference leads to, or comes from, what meets the
// query at its other end. Everything on the way must be visible to the actor.
func (b *sqlBuilder) hop(from *resourceType, h hop, actor access.Actor) string {
	inner := &sqlBuilder{args: b.args}
	inner.query(h.to, actor)
	met := fmt.Sprintf(`(
				SELECT r.id
				FROM %s r
				WHERE true%s)`, h.to.row.table(), inner.conditions())
	if h.back {
		return `r.id IN (
			SELECT f.target_id
			FROM reference_search f
			WHERE f.target_type = ` + b.arg(from.name) + ` AND f.type = ` + b.arg(h.to.row.name) + ` AND f.param = ` + b.arg(h.param) + `
			  AND f.id IN ` + met + `)`
	}
	return `r.id IN (
			SELECT f.id
			FROM reference_search f
			WHERE f.type = ` + b.arg(from.name) + ` AND f.param = ` + b.arg(h.param) + ` AND f.target_type = ` + b.arg(h.to.row.name) + `
			  AND f.target_id IN ` + met + `)`
}
