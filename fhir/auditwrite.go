package fhir

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// owned is a row of an index table with the id of its AuditEvent.
type owned[R any] struct {
	id  string
	row R
}

// eventRows are AuditEvents as columns for unnest, with what they are found by. An
// AuditEvent has nothing that is a number or a Quantity.
type eventRows struct {
	ids    []string
	at     []time.Time
	bodies [][]byte
	keys   []string // each a literal of an array
	dates  []owned[dateRow]
	texts  []owned[textRow]
	refs   []owned[referenceRow]
	sorts  []owned[sortRow]
}

func (w *eventRows) add(id string, at time.Time, body []byte, x *index) {
	w.ids, w.at, w.bodies = append(w.ids, id), append(w.at, at), append(w.bodies, body)
	w.keys = append(w.keys, "{"+strings.Join(column(x.keys, uuid.UUID.String), ",")+"}")
	w.dates = append(w.dates, ownedBy(id, x.dates)...)
	w.texts = append(w.texts, ownedBy(id, x.texts)...)
	w.refs = append(w.refs, ownedBy(id, x.references)...)
	w.sorts = append(w.sorts, ownedBy(id, x.sortRows())...)
}

func ownedBy[R any](id string, rows []R) []owned[R] {
	return column(rows, func(row R) owned[R] { return owned[R]{id, row} })
}

// each is a column of owned rows.
func each[R, V any](rows []owned[R], value func(R) V) []V {
	return column(rows, func(o owned[R]) V { return value(o.row) })
}

func owners[R any](rows []owned[R]) []string {
	return column(rows, func(o owned[R]) string { return o.id })
}

// writeEvents writes AuditEvents of one tenant, whose transaction it is, to where
// they are found, and has them wait for their place in the log: a statement for each table, however many
// events there are.
func (s *Server) writeEvents(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, events []auditFacts) error {
	var w eventRows
	for _, e := range events {
		id := e.ID.String()
		n, body, err := e.event()
		if err != nil { // it cannot be found, but the others can
			s.log.Error("cannot index", "type", auditEventType, "id", id)
			n = Object("resourceType", auditEventType, "id", id)
		}
		w.add(id, e.At, body, indexOf(tenant, s.resources[n.Type()], n))
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		WITH recorded AS (
			INSERT INTO audit_event (tenant_id, audit_id, recorded_at, body, keys, indexed)
			SELECT overread_tenant(), id::uuid, at, body, keys::uuid[], @indexed
			FROM unnest(@ids::text[], @at::timestamptz[], @bodies::bytea[], @keys::text[]) AS e (id, at, body, keys)
			RETURNING tenant_id, audit_id, recorded_at
		)
		INSERT INTO audit_pending (tenant_id, audit_id, recorded_at)
		SELECT tenant_id, audit_id, recorded_at
		FROM recorded`,
		pgx.NamedArgs{"ids": w.ids, "at": w.at, "bodies": w.bodies, "keys": w.keys, "indexed": eventIndexVersion})
	if len(w.dates) > 0 {
		batch.Queue(`
			INSERT INTO resource_date (tenant_id, type, id, param, low, high)
			SELECT overread_tenant(), 'AuditEvent', id, param, low, high
			FROM unnest(@ids::text[], @params::text[], @lows::timestamptz[], @highs::timestamptz[]) AS d (id, param, low, high)`,
			pgx.NamedArgs{"ids": owners(w.dates),
				"params": each(w.dates, func(d dateRow) string { return d.param }),
				"lows":   each(w.dates, func(d dateRow) pgtype.Timestamptz { return d.low }),
				"highs":  each(w.dates, func(d dateRow) pgtype.Timestamptz { return d.high })})
	}
	if len(w.texts) > 0 {
		batch.Queue(`
			INSERT INTO resource_string (tenant_id, type, id, param, folded, exact)
			SELECT overread_tenant(), 'AuditEvent', id, param, folded, exact
			FROM unnest(@ids::text[], @params::text[], @folded::text[], @exact::text[]) AS t (id, param, folded, exact)`,
			pgx.NamedArgs{"ids": owners(w.texts),
				"params": each(w.texts, func(t textRow) string { return t.param }),
				"folded": each(w.texts, func(t textRow) string { return t.folded }),
				"exact":  each(w.texts, func(t textRow) string { return t.exact })})
	}
	if len(w.refs) > 0 {
		batch.Queue(`
			INSERT INTO resource_reference (tenant_id, type, id, param, target_type, target_id)
			SELECT overread_tenant(), 'AuditEvent', id, param, target_type, target_id
			FROM unnest(@ids::text[], @params::text[], @types::text[], @targets::text[]) AS r (id, param, target_type, target_id)`,
			pgx.NamedArgs{"ids": owners(w.refs),
				"params":  each(w.refs, func(r referenceRow) string { return r.param }),
				"types":   each(w.refs, func(r referenceRow) string { return r.typ }),
				"targets": each(w.refs, func(r referenceRow) string { return r.id })})
	}
	if len(w.sorts) > 0 {
		batch.Queue(`
			INSERT INTO resource_sort (tenant_id, type, id, param, value, lowest, highest)
			SELECT overread_tenant(), 'AuditEvent', id, param, value, lowest, highest
			FROM unnest(@ids::text[], @params::text[], @values::text[], @lowests::boolean[], @highests::boolean[]) AS s (id, param, value, lowest, highest)`,
			pgx.NamedArgs{"ids": owners(w.sorts),
				"params":   each(w.sorts, func(r sortRow) string { return r.param }),
				"values":   each(w.sorts, func(r sortRow) string { return r.value }),
				"lowests":  each(w.sorts, func(r sortRow) bool { return r.lowest }),
				"highests": each(w.sorts, func(r sortRow) bool { return r.highest })})
	}
	return tx.SendBatch(ctx, batch).Close()
}
