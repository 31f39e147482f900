package fhir

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// reindexBatch is how many rows one transaction indexes again: few enough that
// nobody waits for them.
const reindexBatch = 100

// IndexedBefore is the condition of what waits to be indexed, in resource and in
// audit_event. Their partial indexes are used only where it stands literally.
var IndexedBefore = fmt.Sprintf("indexed < %d", indexVersion)

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
			WHERE EXISTS (SELECT FROM resource r WHERE r.tenant_id = t.tenant_id AND r.`+IndexedBefore+` AND NOT r.deleted)
			   OR EXISTS (SELECT FROM audit_event a WHERE a.tenant_id = t.tenant_id AND a.`+IndexedBefore+`)`)
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
			WHERE tenant_id = @tenant AND ` + IndexedBefore + ` AND NOT deleted
			LIMIT @limit
			FOR UPDATE SKIP LOCKED`,
		update: `
			UPDATE resource
			SET keys = @keys, indexed = @indexed
			WHERE tenant_id = @tenant AND type = @type AND id = @id
			RETURNING tenant_id, type, id`,
	},
	{
		claim: `
			SELECT 'AuditEvent' AS type, audit_id::text AS id, 1::bigint AS version, recorded_at AS last_updated, false AS deleted, body
			FROM audit_event
			WHERE tenant_id = @tenant AND ` + IndexedBefore + `
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
	batch := &pgx.Batch{}
	for _, r := range claimed {
		n, err := Parse(r.Body, Limits{})
		if err != nil { // it cannot be found, as before, but the others can
			s.log.Error("cannot index", "type", r.Type, "id", r.ID)
			n = Object("resourceType", r.Type, "id", r.ID)
		}
		args := indexOf(tenant, s.resources[r.Type], n).args(r, access.Actor{Tenant: tenant})
		for _, rows := range indexTables {
			batch.Queue(`DELETE FROM `+rows+` WHERE tenant_id = @tenant AND type = @type AND id = @id`, args)
		}
		batch.Queue(`WITH again AS (`+table.update+`)`+indexRows("again")+` SELECT 1 FROM again`, args)
	}
	return len(claimed), tx.SendBatch(ctx, batch).Close()
}
