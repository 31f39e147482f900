package fhir

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// eraseBatch is how many AuditEvents are erased, and named by one event, in one
// transaction.
const eraseBatch = 500

// EraseAudit takes a patient's details out of the tenant's AuditEvents: those that
// name the patient, and those whose query has the patient's id in it. What is left
// of each is what the log has of it, so that the log still proves them. Each
// erasure is told by an AuditEvent that names the events and the reason, and not
// the patient. It returns how many events have lost their details.
func (s *Server) EraseAudit(ctx context.Context, actor access.Actor, patient, reason string) (erased int, err error) {
	if !idPattern.MatchString(patient) || reason == "" {
		return 0, fault.New(fault.Value, "give the id of a Patient, and a reason")
	}
	for n := 1; n > 0; { // what was just written is erased too
		if n, err = s.Settle(ctx); err != nil {
			return 0, err
		}
	}
	for {
		found, err := s.detailed(ctx, actor.Tenant, patient)
		if err != nil || len(found) == 0 {
			return erased, err
		}
		if err := s.erase(ctx, actor, found, reason); err != nil {
			return erased, err
		}
		erased += len(found)
	}
}

// detailedEvent is an AuditEvent that still has its details.
type detailedEvent struct {
	AuditID    uuid.UUID
	RecordedAt time.Time
	Body, Salt []byte
}

// detailed finds events of the patient that still have their details.
func (s *Server) detailed(ctx context.Context, tenant uuid.UUID, patient string) (found []detailedEvent, err error) {
	err = s.db.Finish(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT audit_id, recorded_at, body, salt
			FROM audit_event e
			WHERE tenant_id = @tenant AND salt IS NOT NULL
			  AND EXISTS (
				SELECT FROM jsonb_path_query(convert_from(body, 'UTF8')::jsonb, '$.entity[*]') x
				WHERE x #>> '{what,reference}' = 'Patient/' || @patient
				   OR x #>> '{what,reference}' LIKE 'Patient/' || @patient || '/%'
				   OR encode(decode(coalesce(x ->> 'query', ''), 'base64'), 'escape') ~ @words)
			ORDER BY audit_id
			LIMIT @limit`,
			pgx.NamedArgs{"tenant": tenant, "patient": patient, "words": wordOf(patient), "limit": eraseBatch})
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[detailedEvent])
		return err
	})
	return found, err
}

// wordOf is a pattern of an id that stands by itself in an address, where what
// comes before it may be escaped (%2F).
func wordOf(id string) string {
	return `(^|[^A-Za-z0-9.-]|%[0-9A-Fa-f][0-9A-Fa-f])` + strings.ReplaceAll(id, ".", "[.]") + `($|[^A-Za-z0-9.-])`
}

// erase replaces the details of the events by what the log has of them, in one
// transaction with the event that says so.
func (s *Server) erase(ctx context.Context, actor access.Actor, events []detailedEvent, reason string) error {
	tenant := actor.Tenant
	ids := make([]string, len(events))
	bodies := make([][]byte, len(events))
	for i, e := range events {
		var err error
		if bodies[i], err = auditlog.Canonical(e.Body, e.Salt); err != nil {
			return fmt.Errorf("AuditEvent %s: %w", e.AuditID, err)
		}
		ids[i] = e.AuditID.String()
	}
	times := column(events, func(e detailedEvent) time.Time { return e.RecordedAt })
	return s.db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE audit_event e
			SET body = n.body, salt = NULL, keys = '{}', indexed = 0
			FROM unnest(@ids::text[], @times::timestamptz[], @bodies::bytea[]) AS n (id, at, body)
			WHERE e.tenant_id = @tenant AND e.audit_id = n.id::uuid AND e.recorded_at = n.at`,
			pgx.NamedArgs{"tenant": tenant, "ids": ids, "times": times, "bodies": bodies})
		if err != nil {
			return fmt.Errorf("erase details: %w", err)
		}
		if err := pg.EnterTenant(ctx, tx, tenant); err != nil {
			return err
		}
		for _, table := range indexTables { // the job reindex writes what is left
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE tenant_id = $1 AND type = 'AuditEvent' AND id = ANY ($2)`, tenant, ids); err != nil {
				return fmt.Errorf("erase what details are found by: %w", err)
			}
		}
		return s.audit(ctx, tx, actor, auditEntry{
			Interaction: auditlog.EraseCode, Erased: slices.Clone(ids), Reason: reason})
	})
}
