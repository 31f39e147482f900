package fhir

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

// An AuditEvent is written twice. First, with what it tells or within a moment,
// into audit_inbox: one row without an index to speak of, so that whoever waits
// for it waits little. Then a job takes it from there into audit_event, where it
// is read, found and gets its place in the log.

// inboxInsert writes events of the tenant whose transaction it is.
const inboxInsert = `
		INSERT INTO audit_inbox (tenant_id, batch_id, recorded_at, ids, times, bodies)
		VALUES (overread_tenant(), @audit_batch, @audit_at, @audit_ids, @audit_times, @audit_bodies)`

// inboxArgs are the arguments of inboxInsert.
func inboxArgs(events []recordedEvent) pgx.NamedArgs {
	return withInboxArgs(pgx.NamedArgs{}, events)
}

func withInboxArgs(args pgx.NamedArgs, events []recordedEvent) pgx.NamedArgs {
	args["audit_batch"], args["audit_at"] = events[0].id, events[0].at
	args["audit_ids"] = column(events, func(e recordedEvent) uuid.UUID { return e.id })
	args["audit_times"] = column(events, func(e recordedEvent) time.Time { return e.at })
	args["audit_bodies"] = column(events, func(e recordedEvent) []byte { return e.body })
	return args
}

// putEvents writes AuditEvents of one tenant, whose transaction it is.
func putEvents(ctx context.Context, tx pgx.Tx, events []recordedEvent) error {
	_, err := tx.Exec(ctx, inboxInsert, inboxArgs(events))
	return err
}

// inboxBatch is about how many events are taken in one transaction.
const inboxBatch = 500

// Settle is the job that takes AuditEvents from where they were written to where
// they are found. It returns how many it has taken; of two who do it at once for a
// tenant, one leaves it to the other.
func (s *Server) Settle(ctx context.Context) (worked int, err error) {
	var tenants []uuid.UUID
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT DISTINCT tenant_id FROM audit_inbox`)
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("AuditEvents that were written: %w", err)
	}
	for _, tenant := range tenants {
		n := 0
		err := s.db.Finish(ctx, tenant, func(tx pgx.Tx) (err error) {
			n, err = s.settleBatch(ctx, tx, tenant)
			return err
		})
		if err != nil {
			return worked, fmt.Errorf("AuditEvents that were written: %w", err)
		}
		worked += n
	}
	return worked, nil
}

func (s *Server) settleBatch(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (int, error) {
	if mine, err := auditlog.Alone(ctx, tx, tenant); err != nil || !mine {
		return 0, err
	}
	rows, err := tx.Query(ctx, `
		DELETE FROM audit_inbox
		WHERE tenant_id = @tenant AND batch_id IN (
			SELECT batch_id
			FROM (SELECT batch_id, sum(cardinality(ids)) OVER (ORDER BY batch_id) - cardinality(ids) AS before
			      FROM (SELECT batch_id, ids
			            FROM audit_inbox
			            WHERE tenant_id = @tenant
			            ORDER BY batch_id
			            LIMIT @limit) AS first) AS counted
			WHERE before < @limit)
		RETURNING ids, times, bodies`, pgx.NamedArgs{"tenant": tenant, "limit": inboxBatch})
	if err != nil {
		return 0, err
	}
	type batch struct {
		IDs    []uuid.UUID `db:"ids"`
		Times  []time.Time
		Bodies [][]byte
	}
	taken, err := pgx.CollectRows(rows, pgx.RowToStructByName[batch])
	if err != nil {
		return 0, err
	}
	var events []recordedEvent
	for _, b := range taken {
		for i := range b.IDs {
			events = append(events, recordedEvent{access.Actor{Tenant: tenant}, b.IDs[i], b.Times[i], b.Bodies[i]})
		}
	}
	if len(events) == 0 {
		return 0, nil
	}
	return len(events), s.writeEvents(ctx, tx, events)
}
