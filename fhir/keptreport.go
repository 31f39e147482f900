package fhir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// Reports that are kept of saved queries: one of each period, made by the clock when it
// has ended, as it was then.

// How many reports of one query are made at once, the oldest first, and how many periods
// back one is still made that was missed.
const (
	mostKeptAtOnce = 12
	mostMissed     = 60
)

// ReportTick evaluates the scheduled queries for each period that has ended since the one
// before they were saved, and of which no report was kept: also while the server was
// away, or when a quarter was published later than the next one ended. Each is made in a
// transaction of its own, once whatever the number of replicas. What is kept stays, so
// it is as of a moment at which nobody is still writing, and a period is reported when its
// end is so long ago.
func (s *Server) ReportTick(ctx context.Context) (worked int, err error) {
	settled := s.now().Add(-facts.SettledAfter)
	type due struct {
		tenant  uuid.UUID
		query   savedQuery
		periods []period
	}
	var list []due
	_, err = s.eachTenant(ctx, func(tx pgx.Tx, tenant uuid.UUID) (int, error) {
		if err := workflow.FactsReadyTx(ctx, tx); fault.Is(err, fault.Unavailable) {
			return 0, nil // later
		} else if err != nil {
			return 0, err
		}
		queries, err := queriesTx(ctx, tx, "")
		if err != nil {
			return 0, err
		}
		for _, q := range queries {
			if q.Every == nil {
				continue
			}
			missed, err := q.missedTx(ctx, tx, settled)
			if err != nil {
				return 0, err
			}
			list = append(list, due{tenant, q, missed})
		}
		return 0, nil
	})
	if err != nil {
		return 0, err
	}
	for _, d := range list {
		made := 0
		for _, p := range d.periods {
			if made == mostKeptAtOnce {
				break // the next tick goes on
			}
			err := s.db.Tenant(ctx, d.tenant, func(tx pgx.Tx) error {
				n, err := s.keepReport(ctx, tx, d.tenant, d.query, p, settled)
				made += n
				return err
			})
			if err != nil {
				return worked + made, err
			}
		}
		worked += made
	}
	return worked, nil
}

// missedTx are the periods that have ended and of which there is no report, the oldest
// first: from the last one that had ended when the query was saved.
func (q savedQuery) missedTx(ctx context.Context, tx pgx.Tx, now time.Time) (missed []period, err error) {
	p, err := q.lastPeriod(q.MadeAt)
	if err != nil {
		return nil, err
	}
	last, err := q.lastPeriod(now)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT to_char(starts_on, 'YYYY-MM-DD') FROM kept_report WHERE query_id = @id`, pgx.NamedArgs{"id": q.QueryID})
	if err != nil {
		return nil, fmt.Errorf("kept reports: %w", err)
	}
	kept, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("kept reports: %w", err)
	}
	for ; !p.start.After(last.start); p = p.next() {
		missed = append(missed, p)
	}
	missed = missed[max(0, len(missed)-mostMissed):]
	return slices.DeleteFunc(missed, func(p period) bool { return slices.Contains(kept, p.first()) }), nil
}

// keepReport evaluates a query for a period as of a moment, keeps what it gives, and has its
// owner told. What two replicas do at once stands once. What was published for auditors has a
// moment of its own.
func (s *Server) keepReport(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, q savedQuery, p period, asOf time.Time) (int, error) {
	role := access.Role(q.Role)
	in, err := q.parameters(role, p)
	if err != nil {
		return 0, err
	}
	if role == access.Quality {
		in.Append("parameter", Object("name", "asOf", "valueDateTime", instant(asOf)))
	}
	report, err := s.scheduled(ctx, tx, access.Actor{Tenant: tenant, Role: role}, in)
	if _, refused := errors.AsType[*fault.Error](err); refused {
		return 0, nil // not published yet, or such as a pair that the policy has no more: whoever opens the query is told
	}
	if err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO kept_report (tenant_id, query_id, starts_on, made_at, report)
		SELECT tenant_id, query_id, @day::date, @now, @report
		FROM saved_query
		WHERE query_id = @id AND withdrawn_at IS NULL
		ON CONFLICT DO NOTHING`, pgx.NamedArgs{"id": q.QueryID, "day": p.first(), "now": s.now(), "report": report.Bytes()})
	if err != nil {
		return 0, fmt.Errorf("keep a report: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return 0, nil
	}
	return 1, workflow.QueueReportMailTx(ctx, tx, q.QueryID, p.first(), q.Mail, q.MadeBy)
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

// openKept gives a report that was kept. The role quality is given it as it was kept, which is
// recorded as what is counted for them is (evaluation). An auditor is told of those of their
// role what is published of the period: that is counted once, so it is what was kept, but for
// what the rules of disclosure have come to hide since. What was kept by the rules of then is
// for no auditor.
func (s *Server) openKept(ctx context.Context, tx pgx.Tx, actor access.Actor, asked Asked, q savedQuery, day string) (*Node, error) {
	if actor.Role != access.Quality && q.Role != string(actor.Role) {
		return nil, fault.New(fault.Forbidden, "this report was made for another role; without startsOn the query is evaluated for yours")
	}
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return nil, fault.At(fault.Value, paramAt("startsOn"), "startsOn is a day, such as 2026-10-01")
	}
	var report []byte
	err := tx.QueryRow(ctx, `
		UPDATE kept_report
		SET opened_at = CASE WHEN @own THEN coalesce(opened_at, @now) ELSE opened_at END
		WHERE query_id = @id AND starts_on = @day::date
		RETURNING report`, pgx.NamedArgs{"id": q.QueryID, "day": day, "now": s.now(), "own": q.Role == string(actor.Role)}).Scan(&report)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound()
	}
	if err != nil {
		return nil, fmt.Errorf("kept report: %w", err)
	}
	if actor.Role != access.Quality {
		return s.keptToday(ctx, tx, actor, q, day)
	}
	kept, err := Parse(report, Limits{})
	if err != nil || !tellsFew(kept) {
		return kept, err
	}
	canonical, _, _ := strings.Cut(kept.Text("measure"), "|")
	return kept, s.measureOpened(ctx, tx, actor, asked, strings.TrimPrefix(canonical, Canonical+"/Measure/"), "")
}

// keptToday is what auditors may be told today of a period of a scheduled query.
func (s *Server) keptToday(ctx context.Context, tx pgx.Tx, actor access.Actor, q savedQuery, day string) (*Node, error) {
	p, err := q.periodOf(day)
	if err != nil {
		return nil, err
	}
	in, err := q.parameters(actor.Role, p)
	if err != nil {
		return nil, err
	}
	return s.scheduled(ctx, tx, actor, in)
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
