package fhir

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/auditlog"
)

// An AuditEvent is written twice. First its facts (auditfacts.go), with what they
// tell or within a moment, into audit_inbox: one row without an index to speak of,
// so that whoever waits for it waits little. Then a job takes them from there, makes
// the AuditEvent of them, and writes it into audit_event, where it is read, found and
// gets its place in the log.

// putEvents writes events of one tenant, whose transaction it is.
func putEvents(ctx context.Context, tx pgx.Tx, events []recordedEvent) error {
	text, err := records(events)
	if err == nil {
		_, err = tx.Exec(ctx, `
			INSERT INTO audit_inbox (tenant_id, batch_id, recorded_at, size, records)
			VALUES (overread_tenant(), $1, $2, $3, $4)`, events[0].ID, events[0].At, len(events), text)
	}
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
			FROM (SELECT batch_id, sum(size) OVER (ORDER BY batch_id) - size AS before
			      FROM (SELECT batch_id, size
			            FROM audit_inbox
			            WHERE tenant_id = @tenant
			            ORDER BY batch_id
			            LIMIT @limit) AS first) AS counted
			WHERE before < @limit)
		RETURNING size, records`, pgx.NamedArgs{"tenant": tenant, "limit": inboxBatch})
	if err != nil {
		return 0, err
	}
	type batch struct {
		Size    int
		Records []byte
	}
	taken, err := pgx.CollectRows(rows, pgx.RowToStructByName[batch])
	if err != nil {
		return 0, err
	}
	var events []auditFacts
	for _, b := range taken {
		some, err := readRecords(b.Records)
		if err == nil && len(some) != b.Size {
			err = fmt.Errorf("%d events where %d were written", len(some), b.Size)
		}
		if err != nil { // nothing is taken away
			return 0, err
		}
		events = append(events, some...)
	}
	if len(events) == 0 {
		return 0, nil
	}
	return len(events), s.writeEvents(ctx, tx, tenant, events)
}
