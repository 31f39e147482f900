package fhir

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// All pages of a search look at one moment, that of its first page. The moment
// is a snapshot of PostgreSQL's: which transactions had ended. Each version of a
// resource knows the transaction that wrote it (resource.xid), so a later page
// is made of two parts. What has not changed since then is read in order, from
// the place where the page before ended. What has changed is taken from its
// history as it was, and judged here; if it was deleted, it is left out. So
// whatever is written meanwhile, no resource comes twice, and none that was
// there at the beginning and still is gets lost.
//
// Two things are as of now on every page: what blinding hides, and whether a
// changed resource meets a chain or _has.

// cursor is where a page ended; it travels in the next link.
type cursor struct {
	Search   string    `json:"q"` // digest of the question, so that it is not asked of another
	Snapshot string    `json:"s"`
	Type     string    `json:"t"`
	Place    []*string `json:"p"`
	Total    *int      `json:"n,omitempty"` // where it was asked for

	snapshot snapshot
}

func (c cursor) String() string {
	text, _ := json.Marshal(c) // strings and a number only
	return base64.RawURLEncoding.EncodeToString(text)
}

// hit stands for the last resource of the page before in comparisons.
func (c *cursor) hit() hit { return hit{Stored: Stored{Type: c.Type}, Place: c.Place} }

// snapshotOnly is the cursor without its place.
func (c *cursor) snapshotOnly() *cursor { return &cursor{snapshot: c.snapshot} }

// parseCursor reads _after for a question whose other parameters have been read.
func parseCursor(value string, a *inquiry) (*cursor, error) {
	refusal := fault.New(fault.Value, "_after must come, unchanged, from the next link of a page of the same search")
	text, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil, refusal
	}
	var c cursor
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil || decoder.More() {
		return nil, refusal
	}
	var ok bool
	c.snapshot, ok = parseSnapshot(c.Snapshot)
	if !ok || c.Search != a.digest() || !a.by.checkPlace(c.Place) || a.queryOf(c.Type) == nil || c.Total != nil && *c.Total < 0 {
		return nil, refusal
	}
	return &c, nil
}

// snapshot is PostgreSQL's pg_snapshot: all transactions before least have
// ended, those from most on had not begun, and of those between some were
// running.
type snapshot struct {
	text  string
	least uint64
}

// parseSnapshot reads least:most:running,running.
func parseSnapshot(text string) (snapshot, bool) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return snapshot{}, false
	}
	least, err1 := strconv.ParseUint(parts[0], 10, 63)
	most, err2 := strconv.ParseUint(parts[1], 10, 63)
	if err1 != nil || err2 != nil || least == 0 || least > most {
		return snapshot{}, false
	}
	last := least
	for i, part := range strings.Split(parts[2], ",") {
		if parts[2] == "" {
			break
		}
		running, err := strconv.ParseUint(part, 10, 63)
		if err != nil || running < last || running >= most || i > 0 && running == last {
			return snapshot{}, false
		}
		last = running
	}
	return snapshot{text, least}, true
}

// now is the snapshot of a transaction (pg.DB.Snapshot).
func now(ctx context.Context, tx pgx.Tx) (snapshot, error) {
	var text string
	if err := tx.QueryRow(ctx, `SELECT pg_current_snapshot()::text`).Scan(&text); err != nil {
		return snapshot{}, fmt.Errorf("take snapshot: %w", err)
	}
	s, ok := parseSnapshot(text)
	if !ok {
		return snapshot{}, fmt.Errorf("take snapshot: %q is none", text)
	}
	return s, nil
}

// old is the condition that a transaction had ended at the snapshot. A database
// that was restored from a dump counts its transactions anew; a number that it
// has not reached yet is of the time before.
func (b *sqlBuilder) old(xid string, s snapshot) string {
	return `(` + xid + ` < ` + b.arg(strconv.FormatUint(s.least, 10)) + `::xid8
			OR pg_visible_in_snapshot(` + xid + `, ` + b.arg(s.text) + `::pg_snapshot)
			OR ` + xid + ` >= pg_snapshot_xmax(pg_current_snapshot()))`
}

// mostChanged bounds how many resources may have changed since a search began;
// after that its cursors have expired.
const mostChanged = 20_000

// changed are those that come after the cursor among the resources that have
// changed since, as they were at its snapshot; at most limit of them.
func (q *query) changed(ctx context.Context, tx pgx.Tx, actor access.Actor, by ordering, after *cursor, limit int) ([]hit, error) {
	b := &sqlBuilder{args: pgx.NamedArgs{"type": q.row.name}}
	for _, h := range q.hops {
		b.where = append(b.where, b.hop(q.row, h, actor))
	}
	if q.within != nil {
		b.where = append(b.where, b.within(q.row, q.within))
	}
	b.visible(actor, access.Search, q.row.name)
	was := fenceOf(actor, access.Search)
	rows, err := tx.Query(ctx, `
		SELECT h.type, h.id, h.version, h.last_updated, h.deleted, h.body
		FROM `+q.row.table()+` r
		CROSS JOIN LATERAL (
			SELECT h.type, h.id, h.version, h.last_updated, h.deleted, h.body
			FROM history_search h
			WHERE h.tenant_id = r.tenant_id AND h.type = r.type AND h.id = r.id AND `+b.old("h.xid", after.snapshot)+`
			ORDER BY h.version DESC
			LIMIT 1
		) h
		WHERE r.type = @type AND NOT r.deleted AND r.version > 1 AND NOT h.deleted
		  AND r.xid >= `+b.arg(strconv.FormatUint(after.snapshot.least, 10))+`::xid8
		  AND NOT `+b.old("r.xid", after.snapshot)+b.conditions()+`
		LIMIT `+b.arg(mostChanged+1), planned, b.args)
	if err != nil {
		return nil, fmt.Errorf("search changed %s: %w", q.row.name, err)
	}
	defer rows.Close()
	var hits []hit
	size := 0
	for seen := 1; rows.Next(); seen++ {
		if seen > mostChanged {
			return nil, fault.New(fault.Gone, "more than %d resources have changed since this search began: search again from its first page", mostChanged)
		}
		r, err := pgx.RowToStructByName[Stored](rows)
		if err != nil {
			return nil, fmt.Errorf("search changed %s: %w", q.row.name, err)
		}
		if h, ok := q.judge(r, by); ok && was.admitsBody(r.Body) && by.compare(h, after.hit()) > 0 {
			hits = append(hits, h)
			size += h.size()
		}
		if len(hits) > 4*limit || size > 4*pageBytes { // keep what this page needs
			slices.SortFunc(hits, by.compare)
			hits, size = slices.Clone(hits[:min(len(hits), pageEnd(hits, limit)+1)]), 0
			for _, h := range hits {
				size += h.size()
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("search changed %s: %w", q.row.name, err)
	}
	return hits, nil
}

// judge tells whether a version that is no longer the current one meets the
// criteria, and its place in the order.
func (q *query) judge(r Stored, by ordering) (hit, bool) {
	n, err := Parse(r.Body, Limits{})
	if err != nil || !q.matches(n) {
		return hit{}, false
	}
	return hit{r, by.placeOf(q.tenant, q.row, r)}, true
}
