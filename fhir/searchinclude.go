package fhir

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// include is an _include or, with back, a _revinclude: FHIR R4
// search.html#revinclude.
type include struct {
	back    bool
	iterate bool   // of what was included, too
	source  string // type that has the reference; "" for any
	param   string // reference parameter of it; "" for each
	target  string // type to which the reference leads; "" for any
	pairs   []paramOf
}

// paramOf is a reference parameter of a type, by the name the index has for it.
type paramOf struct{ typ, key string }

// What one page includes is bounded, in all and in how far :iterate goes; and so
// is how many includes a search has.
const (
	maxIncluded = 1000
	maxRounds   = 10
	maxIncludes = 20
)

func (i include) name() string {
	name := map[bool]string{false: "_include", true: "_revinclude"}[i.back]
	if i.iterate {
		name += ":iterate"
	}
	return name
}

func (i include) String() string {
	if i.source == "" {
		return "*"
	}
	text := i.source + ":" + i.param
	if i.param == "" {
		text += "*"
	}
	if i.target != "" {
		text += ":" + i.target
	}
	return text
}

// readInclude reads Source:param, Source:param:Target, Source:* or *.
func (s *Server) readInclude(a *inquiry, actor access.Actor, name, modifier, value string) error {
	i := include{back: name == "_revinclude", iterate: modifier == "iterate"}
	switch {
	case modifier == "recurse":
		return fault.New(fault.NotSupported, "%s:recurse is how it was in STU3; in R4 it is %s:iterate", name, name)
	case modifier != "" && !i.iterate:
		return fault.New(fault.NotSupported, "%s has one modifier, :iterate", name)
	}
	parts := strings.Split(value, ":")
	if value != "*" {
		if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
			return fault.New(fault.Value, "%s is written Type:parameter, Type:parameter:TargetType, Type:* or *", name)
		}
		i.source = parts[0]
		if parts[1] != "*" {
			i.param = parts[1]
		}
		if len(parts) == 3 {
			i.target = parts[2]
		}
	}
	if row := s.resources[i.source]; i.source != "" && (row == nil || !row.kept()) {
		return fault.New(fault.NotSupported, "%s names a type that is not kept here; /fhir/metadata lists those that are", name)
	}
	if i.target != "" && s.resources[i.target] == nil {
		return fault.New(fault.NotSupported, "%s names a target type that is not served; /fhir/metadata lists those that are", name)
	}
	var err error
	if i.pairs, err = s.includePairs(actor, i); err != nil {
		return err
	}
	if a.includes = append(a.includes, i); len(a.includes) > maxIncludes {
		return fault.New(fault.NotSupported, "a search has up to %d includes", maxIncludes)
	}
	return nil
}

// includePairs are the parameters that an include means. What a reader may not
// learn is refused where it is named, and left out of *.
func (s *Server) includePairs(actor access.Actor, i include) ([]paramOf, error) {
	var pairs []paramOf
	for _, typ := range s.typeNames {
		row := s.resources[typ]
		if !row.kept() || i.source != "" && i.source != typ {
			continue
		}
		for _, p := range row.search {
			if p.kind != "reference" || i.param != "" && i.param != p.name || i.param == "" && p.name != p.key {
				continue
			}
			if i.back && !actor.May(typ, access.Search) {
				continue // left out without a word
			}
			err := s.mayUse(actor, row, p.key)
			if err != nil && i.param != "" {
				return nil, err
			}
			if err == nil {
				pairs = append(pairs, paramOf{typ, p.key})
			}
		}
	}
	if i.param != "" && len(pairs) == 0 && (!i.back || actor.May(i.source, access.Search)) {
		return nil, fault.New(fault.NotSupported, "%s has no reference parameter of this name to include by; it has: %s",
			i.source, strings.Join(s.resources[i.source].references(), ", "))
	}
	return pairs, nil
}

// company is what comes with the matches of a page.
type company struct {
	has      map[string]bool // references of all that is on the page
	included []Stored
	cut      bool // there is more than may be included
}

// included finds what goes with the matches, each once and none of them again.
func (s *Server) included(ctx context.Context, tx pgx.Tx, actor access.Actor, a *inquiry, matches []Stored) (*company, error) {
	g := &company{has: map[string]bool{}}
	for _, m := range matches {
		g.has[m.Reference()] = true
	}
	from := matches
	for round := 0; len(from) > 0 && !g.cut; round++ {
		if round == maxRounds {
			g.cut = true
			break
		}
		before := len(g.included)
		for _, i := range a.includes {
			if round > 0 && !i.iterate {
				continue
			}
			found, err := s.follow(ctx, tx, actor, i, from, g)
			if err != nil {
				return nil, err
			}
			if err := g.add(actor, found); err != nil {
				return nil, err
			}
		}
		from = slices.Clone(g.included[before:])
	}
	return g, nil
}

func (g *company) add(actor access.Actor, found []Stored) error {
	for _, r := range found {
		if len(g.included) == maxIncluded {
			g.cut = true
			return nil
		}
		r, err := redacted(actor, r)
		if err != nil {
			return err
		}
		g.has[r.Reference()] = true
		g.included = append(g.included, r)
	}
	return nil
}

// follow finds what one include adds to these resources, as far as there is
// room, and one more.
func (s *Server) follow(ctx context.Context, tx pgx.Tx, actor access.Actor, i include, from []Stored, g *company) ([]Stored, error) {
	if i.back {
		return s.pointingAt(ctx, tx, actor, i, from, g)
	}
	types, ids := []string{}, []string{}
	seen := map[string]bool{}
	for _, r := range from {
		for _, to := range s.leadingTo(actor, i, r) {
			reference := to.typ + "/" + to.id
			if !g.has[reference] && !seen[reference] {
				seen[reference] = true
				types, ids = append(types, to.typ), append(ids, to.id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return readVisible(ctx, tx, actor, types, ids, maxIncluded+1-len(g.included))
}

// leadingTo are the references of a resource that an include goes over: those
// of the very version that is on the page.
func (s *Server) leadingTo(actor access.Actor, i include, r Stored) []referenceRow {
	if i.source != "" && i.source != r.Type {
		return nil
	}
	n, err := Parse(r.Body, Limits{})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(indexOf(actor.Tenant, s.resources[r.Type], n).references, func(to referenceRow) bool {
		return !s.opens(actor, to.typ) || i.target != "" && i.target != to.typ || !slices.Contains(i.pairs, paramOf{r.Type, to.param})
	})
}

// pointingAt finds what points at these resources.
func (s *Server) pointingAt(ctx context.Context, tx pgx.Tx, actor access.Actor, i include, from []Stored, g *company) ([]Stored, error) {
	types, ids := []string{}, []string{}
	for _, r := range from {
		if i.target == "" || i.target == r.Type {
			types, ids = append(types, r.Type), append(ids, r.ID)
		}
	}
	tables := map[string][]paramOf{}
	for _, p := range i.pairs {
		table := s.resources[p.typ].table()
		tables[table] = append(tables[table], p)
	}
	var all []Stored
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		b := &sqlBuilder{args: pgx.NamedArgs{
			"types": types, "ids": ids, "room": maxIncluded + 1 - len(g.included), "has": slices.Collect(maps.Keys(g.has)),
			"sources": column(tables[table], func(p paramOf) string { return p.typ }),
			"params":  column(tables[table], func(p paramOf) string { return p.key }),
		}}
		typ := ""
		if table == s.resources[auditEventType].table() {
			typ = auditEventType // which has a table to itself
		}
		b.visible(actor, access.Search, typ)
		found, err := collect(tx.Query(ctx, `
			SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.body
			FROM `+table+` r
			WHERE NOT r.deleted AND r.type || '/' || r.id <> ALL (@has::text[])
			  AND (r.type, r.id) IN (
				SELECT f.type, f.id
				FROM unnest(@types::text[], @ids::text[]) AS at (type, id)
				JOIN reference_search f ON f.target_type = at.type COLLATE "C" AND f.target_id = at.id COLLATE "C"
				JOIN unnest(@sources::text[], @params::text[]) AS by (type, param)
				  ON f.type = by.type COLLATE "C" AND f.param = by.param COLLATE "C")`+b.conditions()+`
			ORDER BY r.type, r.id
			LIMIT @room`, planned, b.args))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// includesOf are what the CapabilityStatement lists of a type.
func (s *Server) includesOf(row *resourceType) (forward, backward []string) {
	if !row.kept() {
		return nil, nil
	}
	forward = append(forward, "*", row.name+":*")
	backward = append(backward, "*")
	for _, name := range row.references() {
		forward = append(forward, row.name+":"+name)
	}
	for _, typ := range s.typeNames {
		source := s.resources[typ]
		if !source.kept() {
			continue
		}
		for _, p := range source.search {
			if p.kind == "reference" && slices.Contains(s.leadsTo(p), row.name) {
				backward = append(backward, typ+":"+p.name)
			}
		}
	}
	return forward, backward
}
