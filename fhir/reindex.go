package fhir

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// reindexBatch is how many rows one transaction indexes again: few enough that
// nobody waits for them.
const reindexBatch = 100

// EventsToIndex and ResourcesToIndex are the conditions of what waits to be
// indexed: what an earlier release has written, or written after this one had.
// The partial indexes are used only where they stand literally.
var (
	EventsToIndex    = fmt.Sprintf("indexed < %d", eventIndexVersion)
	ResourcesToIndex = fmt.Sprintf("(indexed < %d OR indexed_version <> version) AND NOT deleted", indexVersion)
)

// mustBeIndexed refuses what would be answered wrongly until the job has been
// through: which resources refer to which is known of those only that are indexed.
func mustBeIndexed(ctx context.Context, tx pgx.Tx) error {
	var waiting bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM resource WHERE tenant_id = overread_tenant() AND `+ResourcesToIndex+`)`).Scan(&waiting)
	switch {
	case err != nil:
		return fmt.Errorf("is everything indexed: %w", err)
	case waiting:
		return fault.New(fault.Unavailable, "the search index is being renewed after an upgrade, and until that is done, which resources refer to which is not known for all: try again in some minutes. Nothing was changed")
	}
	return nil
}

// Reindex is the job that brings up to date what earlier releases have indexed.
// It makes no versions and no AuditEvents: nothing that a client sees changes but
// what is found. It returns how many rows it has indexed; two replicas share
// them.
func (s *Server) Reindex(ctx context.Context) (worked int, err error) {
	var tenants []uuid.UUID
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.tenant_id
			FROM tenant t
			WHERE t.state = 'active'
			  AND (EXISTS (SELECT FROM resource r WHERE r.tenant_id = t.tenant_id AND `+ResourcesToIndex+`)
			       OR EXISTS (SELECT FROM audit_event a WHERE a.tenant_id = t.tenant_id AND `+EventsToIndex+`))`)
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("what is to be indexed: %w", err)
	}
	for _, tenant := range tenants {
		for _, table := range reindexTables {
			n := 0
			err := s.db.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
				n, err = s.reindex(ctx, tx, tenant, table)
				return err
			})
			if err != nil {
				return worked, fmt.Errorf("index again: %w", err)
			}
			worked += n
		}
	}
	return worked, nil
}

// reindexTable is a table of which the rows are indexed.
type reindexTable struct{ claim, update string }

var reindexTables = []reindexTable{
	{
		claim: `
			SELECT type, id, version, last_updated, deleted, body
			FROM resource
			WHERE tenant_id = @tenant AND ` + ResourcesToIndex + `
			LIMIT @limit
			FOR UPDATE SKIP LOCKED`,
		update: `
			UPDATE resource
			SET keys = @keys, indexed = @indexed, indexed_version = @version
			WHERE tenant_id = @tenant AND type = @type AND id = @id
			RETURNING tenant_id, type, id`,
	},
	{
		claim: `
			SELECT 'AuditEvent' AS type, audit_id::text AS id, 1::bigint AS version, recorded_at AS last_updated, false AS deleted, body
			FROM audit_event
			WHERE tenant_id = @tenant AND ` + EventsToIndex + `
			LIMIT @limit
			FOR UPDATE SKIP LOCKED`,
		update: `
			UPDATE audit_event
			SET keys = @keys, indexed = @indexed
			WHERE tenant_id = @tenant AND audit_id = @id::text::uuid AND recorded_at = @last_updated
			RETURNING tenant_id, @type::text AS type, @id::text AS id`,
	},
}

// reindex claims rows that nobody else works on, and indexes them.
func (s *Server) reindex(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, table reindexTable) (int, error) {
	claimed, err := collect(tx.Query(ctx, table.claim, pgx.NamedArgs{"tenant": tenant, "limit": reindexBatch}))
	if err != nil {
		return 0, err
	}
	return len(claimed), s.indexAgain(ctx, tx, tenant, table, claimed)
}

// indexAgain indexes rows that are locked.
func (s *Server) indexAgain(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, table reindexTable, claimed []Stored) error {
	batch := &pgx.Batch{}
	var trees []*Node
	for _, r := range claimed {
		n, err := Parse(r.Body, Limits{})
		if err != nil { // it cannot be found, as before, but the others can
			s.log.Error("cannot index", "type", r.Type, "id", r.ID)
			n = Object("resourceType", r.Type, "id", r.ID)
		}
		trees = append(trees, n)
		x := indexOf(tenant, s.resources[r.Type], n)
		if err := x.follow(ctx, tx, tenant, r.Type); err != nil {
			return err
		}
		args := x.args(r, access.Actor{Tenant: tenant})
		for _, rows := range indexTables {
			batch.Queue(`DELETE FROM `+rows+` WHERE tenant_id = @tenant AND type = @type AND id = @id`, args)
		}
		batch.Queue(`WITH again AS (`+table.update+`)`+indexRows("again")+` SELECT 1 FROM again`, args)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	for _, n := range trees { // what an earlier release did not know to withhold
		if n.Type() == auditEventType {
			continue
		}
		if err := s.withholdTeller(ctx, tx, tenant, n); err != nil {
			return err
		}
	}
	return nil
}
