package fhir

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// mostFilters bounds how many _typeFilter one export has.
const mostFilters = 50

// checkFilters refuses what cannot be filtered by: Bulk Data Access 2.0,
// "_typeFilter Query Parameter".
func (s *Server) checkFilters(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, job exportJob) error {
	if len(job.Filters) > mostFilters {
		return fault.New(fault.TooLarge, "more than %d values of _typeFilter: make several exports", mostFilters)
	}
	for _, filter := range job.Filters {
		typ, _, ok := strings.Cut(filter, "?")
		if !ok || !slices.Contains(job.Types, typ) {
			return fault.New(fault.Value, "_typeFilter must be a search, like Patient?active=true, of one of the types of the export")
		}
		q, err := s.parseFilter(ctx, tx, tenant, filter)
		if err != nil {
			return err
		}
		if len(q.hops) > 0 {
			return fault.New(fault.NotSupported, "_typeFilter cannot have chains and _has")
		}
	}
	return nil
}

func (s *Server) parseFilter(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, filter string) (*query, error) {
	typ, text, _ := strings.Cut(filter, "?")
	asked, err := url.ParseQuery(text)
	if err != nil || len(asked) == 0 {
		return nil, fault.New(fault.Value, "_typeFilter is not escaped as a URL wants it: Type?name=value&name=value, with & as %%26 in an address")
	}
	return s.parseQuery(ctx, tx, tenant, s.resources[typ], asked, false)
}

// filtersOf are the filters of a type, in which a resource must meet one; none:
// all are exported. They are judged on the version that is exported, which the
// index may no longer have.
func (s *Server) filtersOf(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, job exportJob, typ string) ([]*query, error) {
	var queries []*query
	for _, filter := range job.Filters {
		if !strings.HasPrefix(filter, typ+"?") {
			continue
		}
		q, err := s.parseFilter(ctx, tx, tenant, filter)
		if err != nil {
			return nil, err
		}
		queries = append(queries, q)
	}
	return queries, nil
}

func meetsOne(filters []*query, body []byte) bool {
	if len(filters) == 0 {
		return true
	}
	n, err := Parse(body, Limits{})
	return err == nil && slices.ContainsFunc(filters, func(q *query) bool { return q.matches(n) })
}
