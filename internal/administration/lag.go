package administration

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Verdict is how something is: ok, warn or fail.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Graded is ok, warn or fail by two bounds.
func Graded(value, warnAbove, failAbove time.Duration) Verdict {
	switch {
	case value > failAbove:
		return Fail
	case value > warnAbove:
		return Warn
	}
	return OK
}

// Lag is how much waits, and for how long.
type Lag struct {
	Waiting int
	Stopped int           // until a person does something
	Failing int           // of those that wait, tried three times or more in vain
	Still   int           // of tenants that are suspended, which is no illness
	Oldest  time.Duration // of those that wait
}

func (l *Lag) scan(row pgx.Row) error {
	var seconds float64
	err := row.Scan(&l.Waiting, &l.Stopped, &l.Still, &seconds)
	l.Oldest = age(seconds)
	return err
}

func age(seconds float64) time.Duration {
	return max(time.Duration(seconds*float64(time.Second)), 0).Round(time.Second)
}

// ofTenant is the condition that a row is of the tenant @tenant, or that all are
// meant: uuid.Nil.
const ofTenant = `(@tenant = '00000000-0000-0000-0000-000000000000'::uuid OR t.tenant_id = @tenant)`

// AgendaLag is what the clock should have done by now, in a transaction of System;
// tenant uuid.Nil is all.
func AgendaLag(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (l Lag, v Verdict, err error) {
	err = l.scan(tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE t.state = 'active'), 0, count(*) FILTER (WHERE t.state <> 'active'),
		       coalesce(extract(epoch FROM now() - min(a.due_at) FILTER (WHERE t.state = 'active')), 0)
		FROM agenda a
		JOIN tenant t USING (tenant_id)
		WHERE a.due_at <= now() AND t.state <> 'moved' AND `+ofTenant, pgx.NamedArgs{"tenant": tenant}))
	return l, Graded(l.Oldest, time.Minute, 10*time.Minute), err
}

// OutboxLag is what still has to reach the endpoints, or one of them. What was tried in
// vain is a warning before it is old: it may be a finding that cannot wait.
func OutboxLag(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, endpoint string) (l Lag, v Verdict, err error) {
	var seconds float64
	err = tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE d.state = 'queued' AND t.state = 'active'), count(*) FILTER (WHERE d.state = 'parked' AND t.state = 'active'),
		       count(*) FILTER (WHERE d.state = 'queued' AND t.state = 'active' AND d.attempts >= 3 AND d.lease_until IS NULL),
		       count(*) FILTER (WHERE t.state <> 'active'),
		       coalesce(extract(epoch FROM now() - min(d.queued_at) FILTER (WHERE d.state = 'queued' AND t.state = 'active')), 0)
		FROM delivery d
		JOIN tenant t USING (tenant_id)
		WHERE d.state IN ('queued', 'parked') AND t.state <> 'moved' AND (@endpoint = '' OR d.destination = @endpoint) AND `+ofTenant,
		pgx.NamedArgs{"tenant": tenant, "endpoint": endpoint}).Scan(&l.Waiting, &l.Stopped, &l.Failing, &l.Still, &seconds)
	l.Oldest = age(seconds)
	if v = Graded(l.Oldest, 10*time.Minute, 24*time.Hour); l.Stopped+l.Failing > 0 && v == OK {
		v = Warn
	}
	return l, v, err
}

// AuditLag is how many AuditEvents wait for their place in the log.
func AuditLag(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (l Lag, v Verdict, err error) {
	err = l.scan(tx.QueryRow(ctx, `
		SELECT count(*), 0, 0, coalesce(extract(epoch FROM now() - min(t.recorded_at)), 0)
		FROM (SELECT tenant_id, recorded_at FROM audit_pending UNION ALL SELECT tenant_id, recorded_at FROM audit_inbox) AS t
		WHERE t.tenant_id NOT IN (SELECT tenant_id FROM tenant WHERE state = 'moved') AND `+ofTenant, pgx.NamedArgs{"tenant": tenant}))
	return l, Graded(l.Oldest, time.Minute, 10*time.Minute), err
}

// Signing is how far the audit logs are signed.
type Signing struct {
	Logs, Unsigned int            // those with events that no checkpoint covers
	Oldest         time.Duration  // since the first of these events
	Last           *time.Duration // since the last checkpoint; nil: there is none
}

// Checkpoints says how long ago the oldest event was recorded that no checkpoint
// covers.
func Checkpoints(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (s Signing, v Verdict, err error) {
	var oldest float64
	var last *float64
	err = tx.QueryRow(ctx, `
		WITH signed AS (
			SELECT tenant_id, max(size) AS size, max(signed_at) AS signed_at FROM audit_checkpoint GROUP BY tenant_id
		), log AS (
			SELECT t.tenant_id, max(t.index) + 1 AS size
			FROM audit_leaf t
			WHERE t.tenant_id NOT IN (SELECT tenant_id FROM tenant WHERE state = 'moved') AND `+ofTenant+`
			GROUP BY t.tenant_id
		)
		SELECT count(*) FILTER (WHERE l.size > coalesce(s.size, 0)), count(*),
		       coalesce(extract(epoch FROM now() - min((
		           SELECT recorded_at FROM audit_leaf f WHERE f.tenant_id = l.tenant_id AND f.index = coalesce(s.size, 0)))), 0),
		       extract(epoch FROM now() - max(s.signed_at))
		FROM log l
		LEFT JOIN signed s USING (tenant_id)`, pgx.NamedArgs{"tenant": tenant}).Scan(&s.Unsigned, &s.Logs, &oldest, &last)
	if s.Oldest = age(oldest); last != nil {
		since := age(*last)
		s.Last = &since
	}
	if v = OK; s.Oldest > 5*time.Minute {
		v = Warn
	}
	return s, v, err
}
