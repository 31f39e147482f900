package fhir

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// kept tells whether resources of the type are in the database; the others are
// part of the program.
func (r *resourceType) kept() bool { return r.content == nil }

// table is the view through which the type is searched (migrations 5 and 7).
func (r *resourceType) table() string {
	if r.name == auditEventType {
		return "audit_search"
	}
	return "resource_search"
}

// query adds the conditions of a query on what the actor may see. Its row is r,
// in a nested query the inner r.
func (b *sqlBuilder) query(q *query, actor access.Actor) {
	b.where = append(b.where, `r.type = `+b.arg(q.row.name), `NOT r.deleted`)
	for _, c := range q.criteria {
		b.criterion(c)
	}
	for _, h := range q.hops {
		b.where = append(b.where, b.hop(q.row, h, actor))
	}
	if q.within != nil {
		b.where = append(b.where, b.within(q.row, q.within))
	}
	b.visible(actor, access.Search, q.row.name)
}

// visible leaves out of what the actor may do this with what blinding and its
// fence hide. Where r is of one type only, that is given.
func (b *sqlBuilder) visible(actor access.Actor, do access.Permission, typ string) {
	switch {
	case typ != auditEventType: // no case withholds one
		b.unblinded(actor)
	case !trailWhole(actor):
		b.where = append(b.where, `r.keys @> `+b.arg([]uuid.UUID{auditorsKey(actor.Tenant)})+`::uuid[]`)
	}
	b.fence(fenceOf(actor, do), typ)
}

// unblinded leaves out what blinding hides from the actor, and what is kept aside.
func (b *sqlBuilder) unblinded(actor access.Actor) {
	if !seesAside(actor) {
		b.where = append(b.where, notAside)
	}
	if actor.HidesOriginals() {
		b.where = append(b.where, notHidden)
		viewArgs(actor, b.args)
	}
}

// unblindedVersions is unblinded for versions r that may be earlier ones.
func (b *sqlBuilder) unblindedVersions(actor access.Actor) {
	b.unblinded(actor)
	if actor.HidesOriginals() {
		b.where = append(b.where, notEarlierTask)
	}
}

// hit is a resource that was found, and what places it in the order.
type hit struct {
	Stored
	Place []*string // a value for each key of the order; nil: it has none
}

// find answers a query with up to limit resources that the actor may see,
// newest first.
func (q *query) find(ctx context.Context, tx pgx.Tx, actor access.Actor, limit int) ([]Stored, error) {
	if q.refers() {
		if err := mustBeIndexed(ctx, tx); err != nil {
			return nil, err
		}
	}
	hits, err := q.hits(ctx, tx, actor, newestFirst, nil, limit)
	found := make([]Stored, len(hits))
	for i, h := range hits {
		found[i] = h.Stored
	}
	return found, err
}

// hits are the first resources in this order that the actor may see, with a
// cursor those after it that have not changed since its search began.
func (q *query) hits(ctx context.Context, tx pgx.Tx, actor access.Actor, by ordering, after *cursor, limit int) ([]hit, error) {
	if !by[0].ofParam() {
		return q.read(ctx, tx, actor, by, after, limit, false)
	}
	// What lacks the first value comes last, and is looked for only when needed:
	// the rest can then be read in the order of an index.
	var hits []hit
	var err error
	if after == nil || after.Place[0] != nil {
		hits, err = q.read(ctx, tx, actor, by, after, limit, false)
	}
	if err != nil || len(hits) == limit {
		return hits, err
	}
	if after != nil && after.Place[0] != nil {
		after = after.snapshotOnly()
	}
	rest, err := q.read(ctx, tx, actor, by, after, limit-len(hits), true)
	return append(hits, rest...), err
}

// planned has the statement of a search planned with its values, each time. A
// plan for all values would be kept after five uses, and treats a number that
// one order has like a status that nine in ten have.
const planned = pgx.QueryExecModeCacheDescribe

// read is one statement of hits; lacking reads what has no value for the first
// key of the order.
func (q *query) read(ctx context.Context, tx pgx.Tx, actor access.Actor, by ordering, after *cursor, limit int, lacking bool) ([]hit, error) {
	sql, args := q.statement(actor, by, after, limit, lacking)
	rows, err := tx.Query(ctx, sql, planned, args)
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", q.row.name, err)
	}
	hits, err := readPage[hit](rows)
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", q.row.name, err)
	}
	for i := range hits {
		hits[i].Place = by.place(hits[i].Stored, hits[i].Place)
	}
	return hits, nil
}

func (q *query) statement(actor access.Actor, by ordering, after *cursor, limit int, lacking bool) (string, pgx.NamedArgs) {
	b := &sqlBuilder{args: pgx.NamedArgs{}}
	b.query(q, actor)
	o := b.order(q.row, by, lacking)
	if after != nil {
		b.where = append(b.where, b.old("r.xid", after.snapshot))
		if after.Place != nil {
			b.where = append(b.where, b.past(o.terms, after, q.row.name))
		}
	}
	return `
		SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.body, ARRAY[` + strings.Join(o.values, ", ") + `]::text[] AS place
		FROM ` + q.row.table() + ` r` + strings.Join(o.joins, "") + `
		WHERE true` + b.conditions() + `
		ORDER BY ` + strings.Join(o.by, ", ") + `
		LIMIT ` + b.arg(limit), b.args
}

// readVisible reads those of these resources that are not deleted and that the
// actor may see, in the order in which they are asked for, up to limit.
func readVisible(ctx context.Context, tx pgx.Tx, actor access.Actor, types, ids []string, limit int) ([]Stored, error) {
	b := &sqlBuilder{args: pgx.NamedArgs{"types": types, "ids": ids, "limit": limit}}
	b.visible(actor, access.Read, "")
	return collect(tx.Query(ctx, `
		SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.body
		FROM unnest(@types::text[], @ids::text[]) WITH ORDINALITY AS wanted (type, id, place)
		JOIN resource_search r ON r.type = wanted.type COLLATE "C" AND r.id = wanted.id COLLATE "C"
		WHERE NOT r.deleted`+b.conditions()+`
		ORDER BY wanted.place
		LIMIT @limit`, b.args))
}

// collect reads the rows of a query of resources.
func collect(rows pgx.Rows, err error) ([]Stored, error) {
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stored])
	if err != nil {
		return nil, fmt.Errorf("read resources: %w", err)
	}
	return found, nil
}

// total counts all that hits would find, page after page. It reads every match.
func (q *query) total(ctx context.Context, tx pgx.Tx, actor access.Actor) (n int, err error) {
	if !q.row.kept() {
		return len(q.findContent()), nil
	}
	b := &sqlBuilder{args: pgx.NamedArgs{}}
	b.query(q, actor)
	err = tx.QueryRow(ctx, `
		SELECT count(*)
		FROM `+q.row.table()+` r
		WHERE true`+b.conditions(), planned, b.args).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", q.row.name, err)
	}
	return n, nil
}

// findContent searches what is part of the program.
func (q *query) findContent() []Stored {
	var found []Stored
	for _, n := range q.row.content() {
		if len(q.hops) == 0 && q.within == nil && q.matches(n) {
			found = append(found, Stored{Type: n.Type(), ID: n.Text("id"), Body: n.Bytes()})
		}
	}
	return found
}

// page is what one page of a search has as its matches, and one more where
// there is a next page.
func (s *Server) page(ctx context.Context, tx pgx.Tx, actor access.Actor, a *inquiry) ([]hit, error) {
	var all []hit
	for _, q := range a.queries {
		hits, err := s.pageOf(ctx, tx, actor, q, a)
		if err != nil {
			return nil, err
		}
		all = append(all, hits...)
		slices.SortFunc(all, a.by.compare)
		all = all[:min(len(all), pageEnd(all, a.count)+1)] // of many types, no more than one page is held
	}
	return all, nil
}

func (s *Server) pageOf(ctx context.Context, tx pgx.Tx, actor access.Actor, q *query, a *inquiry) ([]hit, error) {
	if !q.row.kept() {
		var hits []hit
		for _, r := range q.findContent() {
			h := hit{r, a.by.placeOf(q.tenant, q.row, r)}
			if a.after == nil || a.by.compare(h, a.after.hit()) > 0 {
				hits = append(hits, h)
			}
		}
		return hits, nil
	}
	hits, err := q.hits(ctx, tx, actor, a.by, a.after, a.count+1)
	if err != nil || a.after == nil {
		return hits, err
	}
	changed, err := q.changed(ctx, tx, actor, a.by, a.after, a.count+1)
	return append(hits, changed...), err
}
