package fhir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Reports that are kept of saved queries: one of each period, made by the clock when it
// has ended, as it was then.

// ReportTick evaluates the scheduled queries whose period has ended, once for each
// period whatever the number of replicas.
func (s *Server) ReportTick(ctx context.Context) (worked int, err error) {
	return s.eachTenant(ctx, func(tx pgx.Tx, tenant uuid.UUID) (int, error) {
		if err := workflow.FactsReadyTx(ctx, tx); fault.Is(err, fault.Unavailable) {
			return 0, nil // later
		} else if err != nil {
			return 0, err
		}
		queries, err := queriesTx(ctx, tx, "")
		if err != nil {
			return 0, err
		}
		made := 0
		for _, q := range queries {
			if q.Every == nil {
				continue
			}
			n, err := s.keepReport(ctx, tx, tenant, q)
			if err != nil {
				return made, err
			}
			made += n
		}
		return made, nil
	})
}

// keepReport evaluates a query for its last period unless that has been done. What two
// replicas do at once stands once.
func (s *Server) keepReport(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, q savedQuery) (int, error) {
	in, period, err := q.parameters(ctx, tx, s.now())
	if err != nil {
		return 0, err
	}
	var done bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM kept_report WHERE query_id = @id AND starts_on = @day::date)`, pgx.NamedArgs{"id": q.QueryID, "day": period[0]}).Scan(&done)
	if err != nil || done {
		return 0, err
	}
	report, err := s.scheduled(ctx, tx, access.Actor{Tenant: tenant, Role: access.Role(q.Role)}, in)
	if _, refused := errors.AsType[*fault.Error](err); refused {
		return 0, nil // not published yet, or such as a pair that the policy has no more: whoever opens the query is told
	}
	if err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO kept_report (tenant_id, query_id, starts_on, made_at, report)
		VALUES (overread_tenant(), @id, @day::date, @now, @report)
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{"id": q.QueryID, "day": period[0], "now": s.now(), "report": report.Bytes()})
	if err != nil {
		return 0, fmt.Errorf("keep a report: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// scheduled is the report for a role, asked by the clock.
func (s *Server) scheduled(ctx context.Context, tx pgx.Tx, actor access.Actor, in *Node) (*Node, error) {
	d, err := measureAsked("", given(in, "measure").Text())
	if err != nil {
		return nil, err
	}
	report, _, _, err := s.evaluationUnseen(ctx, tx, actor, d, in)
	return report, err
}

// openKept gives a kept report to who has the role that it was made for. It is recorded
// as what is counted for somebody is (evaluation).
func (s *Server) openKept(ctx context.Context, tx pgx.Tx, actor access.Actor, asked Asked, q savedQuery, day string) (*Node, error) {
	if q.Role != string(actor.Role) {
		return nil, fault.New(fault.Forbidden, "this report was made for another role; without startsOn the query is evaluated for yours")
	}
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return nil, fault.At(fault.Value, paramAt("startsOn"), "startsOn is a day, such as 2026-10-01")
	}
	var report []byte
	err := tx.QueryRow(ctx, `
		UPDATE kept_report
		SET opened_at = coalesce(opened_at, @now)
		WHERE query_id = @id AND starts_on = @day::date
		RETURNING report`, pgx.NamedArgs{"id": q.QueryID, "day": day, "now": s.now()}).Scan(&report)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound()
	}
	if err != nil {
		return nil, fmt.Errorf("kept report: %w", err)
	}
	kept, err := Parse(report, Limits{})
	if err != nil || actor.Role != access.Quality || !tellsFew(kept) {
		return kept, err
	}
	canonical, _, _ := strings.Cut(kept.Text("measure"), "|")
	return kept, s.measureOpened(ctx, tx, actor, asked, strings.TrimPrefix(canonical, Canonical+"/Measure/"), "")
}

// keptParts are the reports that were kept of queries, as parameters, by query.
func keptParts(ctx context.Context, tx pgx.Tx, queries []savedQuery) (map[uuid.UUID][]*Node, error) {
	ids := make([]uuid.UUID, len(queries))
	for i, q := range queries {
		ids[i] = q.QueryID
	}
	rows, err := tx.Query(ctx, `
		SELECT query_id, starts_on, made_at, opened_at IS NOT NULL
		FROM kept_report
		WHERE query_id = ANY (@ids)
		ORDER BY query_id, starts_on`, pgx.NamedArgs{"ids": ids})
	if err != nil {
		return nil, fmt.Errorf("kept reports: %w", err)
	}
	parts := map[uuid.UUID][]*Node{}
	var query uuid.UUID
	var starts, made time.Time
	var opened bool
	_, err = pgx.ForEachRow(rows, []any{&query, &starts, &made, &opened}, func() error {
		parts[query] = append(parts[query], Object("name", "report", "part", []*Node{
			Object("name", "startsOn", "valueDate", starts.Format(time.DateOnly)),
			Object("name", "madeAt", "valueInstant", instant(made)),
			Object("name", "opened", "valueBoolean", opened),
		}))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("kept reports: %w", err)
	}
	return parts, nil
}
