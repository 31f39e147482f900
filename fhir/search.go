package fhir

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// search is GET /fhir/{type}?... and POST /fhir/{type}/_search, FHIR R4
// http.html#search.
func (s *Server) search(c echo.Context, actor access.Actor) error {
	row, err := s.rowFor(c, "search-type")
	if err != nil {
		return err
	}
	return s.answer(c, actor, row.name, []*query{{row: row, tenant: actor.Tenant}})
}

// searchSystem is GET /fhir?_type=... and POST /fhir/_search: several types at
// once, by the parameters that all of them have.
func (s *Server) searchSystem(c echo.Context, actor access.Actor) error {
	queries, err := s.typesAsked(c, actor)
	if err != nil {
		return err
	}
	return s.answer(c, actor, "", queries)
}

// searchCompartment is GET /fhir/Patient/{id}/{type}?..., FHIR R4
// http.html#vsearch; with * for the type, all types at once.
func (s *Server) searchCompartment(c echo.Context, actor access.Actor) error {
	owner, id, member := c.Param("type"), c.Param("id"), c.Param("member")
	if err := namesOperation(c, member); err != nil {
		return err
	}
	queries, err := s.compartmentOf(actor, owner, id, member)
	if err != nil {
		return err
	}
	if member == "*" {
		if queries, err = s.ofTypes(c, actor, queries); err != nil {
			return err
		}
	}
	return s.answer(c, actor, owner+"/"+id+"/"+member, queries)
}

// typesAsked are the types of _type, or all that the actor may search.
func (s *Server) typesAsked(c echo.Context, actor access.Actor) ([]*query, error) {
	var queries []*query
	for _, name := range s.typeNames {
		row := s.resources[name]
		if row.allows("search-type") && s.mayRead(actor, row) == nil && actor.May(name, access.Search) {
			queries = append(queries, &query{row: row, tenant: actor.Tenant})
		}
	}
	if len(queries) == 0 {
		return nil, beyond("*", "s")
	}
	return s.ofTypes(c, actor, queries)
}

// ofTypes are those of the queries whose types are named by _type, FHIR R4
// search.html#all; all of them where it is not given.
func (s *Server) ofTypes(c echo.Context, actor access.Actor, queries []*query) ([]*query, error) {
	asked, err := s.asked(c)
	if err != nil || !asked.Has("_type") {
		return queries, err
	}
	var chosen []*query
	for name := range strings.SplitSeq(strings.Join(asked["_type"], ","), ",") {
		i := slices.IndexFunc(queries, func(q *query) bool { return q.row.name == name })
		if i < 0 && s.resources[name] != nil && !actor.May(name, access.Search) {
			return nil, beyond(name, "s")
		}
		if i < 0 {
			return nil, fault.New(fault.NotSupported, "_type names a type that cannot be searched here; it can be: %s", strings.Join(column(queries, func(q *query) string { return q.row.name }), ", "))
		}
		if !slices.Contains(chosen, queries[i]) {
			chosen = append(chosen, queries[i])
		}
	}
	return chosen, nil
}

// answer is what all searches have in common.
func (s *Server) answer(c echo.Context, actor access.Actor, path string, queries []*query) error {
	asked, err := s.asked(c)
	if err != nil {
		return err
	}
	lenient := prefers(c, "handling=lenient")
	ctx := c.Request().Context()
	var shown []string
	bundle, err := inSnapshot(ctx, s, actor, func(tx pgx.Tx) ([]byte, error) {
		a := &inquiry{path: path, byType: path == "" || strings.HasSuffix(path, "/*")}
		for _, q := range queries {
			each := *q // the transaction may be run again
			a.queries = append(a.queries, &each)
		}
		if err := s.understand(ctx, tx, actor, a, asked, lenient); err != nil {
			return nil, err
		}
		page, err := s.searchset(ctx, tx, actor, a)
		shown = a.patients
		return page, err
	})
	if err != nil {
		return err
	}
	interaction := "search-type"
	if path == "" {
		interaction = "search-system"
	}
	note(c, auditEntry{Interaction: interaction, Patients: append(patientsAsked(path, asked), shown...), Query: asText(c, asked)})
	return write(c, http.StatusOK, bundle)
}

// asked are the parameters of the address and, of a POST, of the form.
func (s *Server) asked(c echo.Context) (url.Values, error) {
	if known, ok := c.Get("asked").(url.Values); ok {
		return known, nil // a body can be read once
	}
	asked, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err == nil && c.Request().Method == http.MethodPost {
		var body []byte
		if body, err = s.body(c, "application/x-www-form-urlencoded"); err != nil {
			return nil, err
		}
		var form url.Values
		form, err = url.ParseQuery(string(body))
		for name, values := range form {
			asked[name] = append(asked[name], values...)
		}
	}
	if err != nil {
		return nil, fault.New(fault.Value, "the search parameters are not escaped as a URL wants it: name=value&name=value")
	}
	c.Set("asked", asked)
	return asked, nil
}

// knownAs are the ways in which a reference may be stored here.
func (s *Server) knownAs(ctx context.Context, tx pgx.Tx, reference string) ([]string, error) {
	t := parseReference(reference)
	switch {
	case t.local(), t.absolute() && t.base == s.baseURL:
		return []string{t.relative()}, nil
	case !t.absolute():
		return []string{reference}, nil
	}
	ways := []string{t.base + "/" + t.relative()}
	base, err := s.ehrBase(ctx, tx)
	if err != nil || base != t.base {
		return ways, err
	}
	known, err := localsOf(ctx, tx, []string{t.relative()})
	if ours, ok := known[t.relative()]; ok {
		ways = append(ways, ours)
	}
	return ways, err
}

// inSnapshot is inTenant for what only reads, all of it of one moment.
func inSnapshot[T any](ctx context.Context, s *Server, actor access.Actor, fn func(tx pgx.Tx) (T, error)) (T, error) {
	if s.tx != nil { // within the transaction of a Bundle
		return fn(s.tx)
	}
	var result T
	err := s.db.Snapshot(ctx, actor.Tenant, func(tx pgx.Tx) (err error) {
		result, err = fn(tx)
		return err
	})
	return result, err
}
