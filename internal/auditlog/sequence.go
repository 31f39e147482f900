package auditlog

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/overread/overread/internal/pg"
)

// sequenceBatch is how many events get their places in one transaction.
const sequenceBatch = 1000

// Sequence gives every committed AuditEvent its place in its tenant's log. It
// returns how many got theirs. Of two who do it at once for a tenant, one finds
// the other at work and leaves it alone.
func Sequence(ctx context.Context, db *pg.DB) (worked int, err error) {
	var tenants []uuid.UUID
	err = db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT DISTINCT tenant_id FROM audit_pending`)
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("what waits for its place in the audit log: %w", err)
	}
	for _, tenant := range tenants {
		n := 0
		err := db.Finish(ctx, tenant, func(tx pgx.Tx) (err error) {
			n, err = sequenceTx(ctx, tx, tenant)
			return err
		})
		if err != nil {
			return worked, fmt.Errorf("audit log: %w", err)
		}
		worked += n
	}
	return worked, nil
}

// place is an event with what the log keeps of it.
type place struct {
	AuditID    uuid.UUID
	RecordedAt time.Time
	Body       []byte
	Salt       []byte
}

func sequenceTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (int, error) {
	mine, err := Alone(ctx, tx, tenant)
	if err != nil || !mine {
		return 0, err
	}
	rows, err := tx.Query(ctx, `
		SELECT p.audit_id, p.recorded_at, e.body, e.salt
		FROM audit_pending p
		JOIN audit_event e USING (tenant_id, audit_id, recorded_at)
		WHERE p.tenant_id = @tenant
		ORDER BY p.audit_id
		LIMIT @limit`, pgx.NamedArgs{"tenant": tenant, "limit": sequenceBatch})
	if err != nil {
		return 0, err
	}
	places, err := pgx.CollectRows(rows, pgx.RowToStructByName[place])
	if err != nil || len(places) == 0 {
		return 0, err
	}
	size, err := sizeTx(ctx, tx, tenant)
	if err != nil {
		return 0, err
	}
	return len(places), appendTx(ctx, tx, tenant, size, places)
}

// Alone takes the log of the tenant for this transaction, unless another has it,
// or it goes on elsewhere. That no two have the same place holds without it: it is
// the primary key.
func Alone(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (mine bool, err error) {
	err = tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('overread.audit ' || $1::uuid, 0))`, tenant).Scan(&mine)
	if err != nil || !mine {
		return false, err
	}
	moved, err := movedTx(ctx, tx, tenant)
	return !moved, err
}

// movedTx tells whether the tenant's log goes on elsewhere.
func movedTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (moved bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM tenant WHERE tenant_id = $1 AND state = 'moved')`, tenant).Scan(&moved)
	return moved, err
}

// Leave waits for whoever writes the tenant's log, and keeps everybody out of it
// until the transaction ends.
func Leave(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('overread.audit ' || $1::uuid, 0))`, tenant)
	return err
}

// sizeTx is how many events the log has.
func sizeTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (size int64, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(index) + 1, 0) FROM audit_leaf WHERE tenant_id = $1`, tenant).Scan(&size)
	return size, err
}

// appendTx adds the events after the first size ones.
func appendTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, size int64, places []place) error {
	tree := hashes{ctx: ctx, tx: tx, tenant: tenant, known: map[int64]tlog.Hash{}}
	var (
		ids     []uuid.UUID
		times   []time.Time
		leaves  [][]byte
		indexes []int64
		added   [][]byte
	)
	for i, p := range places {
		n := size + int64(i)
		leaf, err := Record{Event: p.Body, Salt: p.Salt}.LeafHash()
		if err != nil {
			return fmt.Errorf("AuditEvent %s: %w", p.AuditID, err)
		}
		grown, err := tlog.StoredHashesForRecordHash(n, leaf, tree)
		if err != nil {
			return err
		}
		first := tlog.StoredHashIndex(0, n)
		for j, h := range grown {
			tree.known[first+int64(j)] = h
			indexes, added = append(indexes, first+int64(j)), append(added, h[:])
		}
		ids, times, leaves = append(ids, p.AuditID), append(times, p.RecordedAt), append(leaves, leaf[:])
	}
	batch := &pgx.Batch{}
	args := pgx.NamedArgs{"tenant": tenant, "size": size, "ids": ids, "times": times, "leaves": leaves, "indexes": indexes, "hashes": added}
	batch.Queue(`
		INSERT INTO audit_leaf (tenant_id, index, audit_id, recorded_at, leaf)
		SELECT @tenant, @size + n - 1, id, at, leaf
		FROM unnest(@ids::uuid[], @times::timestamptz[], @leaves::bytea[]) WITH ORDINALITY AS e (id, at, leaf, n)`, args)
	batch.Queue(`
		INSERT INTO audit_hash (tenant_id, hash_index, hash)
		SELECT @tenant, i, h
		FROM unnest(@indexes::bigint[], @hashes::bytea[]) AS t (i, h)`, args)
	batch.Queue(`
		DELETE FROM audit_pending
		WHERE tenant_id = @tenant AND audit_id = ANY (@ids::uuid[])`, args)
	return tx.SendBatch(ctx, batch).Close()
}

// hashes reads the tree of a tenant's log: a tlog.HashReader.
type hashes struct {
	ctx    context.Context //nolint:containedctx // tlog.HashReader has no room for one
	tx     pgx.Tx
	tenant uuid.UUID
	known  map[int64]tlog.Hash
}

// ReadHashes reads what is not known yet from the database.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var missing []int64
	for _, i := range indexes {
		if _, ok := h.known[i]; !ok {
			missing = append(missing, i)
		}
	}
	if len(missing) > 0 {
		rows, err := h.tx.Query(h.ctx, `
			SELECT hash_index, hash
			FROM audit_hash
			WHERE tenant_id = @tenant AND hash_index = ANY (@indexes)`, pgx.NamedArgs{"tenant": h.tenant, "indexes": missing})
		if err != nil {
			return nil, err
		}
		var index int64
		var hash []byte
		_, err = pgx.ForEachRow(rows, []any{&index, &hash}, func() error {
			h.known[index] = tlog.Hash(hash)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	found := make([]tlog.Hash, len(indexes))
	for n, i := range indexes {
		var ok bool
		if found[n], ok = h.known[i]; !ok {
			return nil, fmt.Errorf("the tree of the audit log lacks its hash %d", i)
		}
	}
	return found, nil
}
