package auditlog

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"
)

// Status is how a tenant's log stands, as its database has it.
type Status struct {
	Size    int64
	Signed  []Checkpoint // the last one of each of the last days on which any was signed, newest first; their signatures are not proved
	Waiting *time.Time   // the oldest event that no checkpoint covers
	Outside bool         // the checkpoints are kept in a file outside the database too
	Moved   bool         // the log goes on elsewhere
}

// daysOfStatus is of how many days a Status has a checkpoint.
const daysOfStatus = 10

// StatusTx reads it, in a transaction of the tenant.
func StatusTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (s Status, err error) {
	if s.Size, err = sizeTx(ctx, tx, tenant); err != nil {
		return s, fmt.Errorf("size of the audit log: %w", err)
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (signed_at::date) size, root, signed_at, note
		FROM audit_checkpoint
		WHERE tenant_id = @tenant
		  AND signed_at > (SELECT max(signed_at) FROM audit_checkpoint WHERE tenant_id = @tenant) - interval '30 days'
		ORDER BY signed_at::date DESC, size DESC
		LIMIT @days`, pgx.NamedArgs{"tenant": tenant, "days": daysOfStatus})
	if err != nil {
		return s, fmt.Errorf("checkpoints of the audit log: %w", err)
	}
	s.Signed, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Checkpoint, err error) {
		var root []byte
		var text string
		err = row.Scan(&c.Size, &root, &c.At, &text)
		copy(c.Root[:], root)
		c.Key = keyOf(text)
		return c, err
	})
	if err != nil {
		return s, fmt.Errorf("checkpoints of the audit log: %w", err)
	}
	covered := int64(0)
	if len(s.Signed) > 0 {
		covered = s.Signed[0].Size
	}
	err = tx.QueryRow(ctx, `
		SELECT least(
			(SELECT recorded_at FROM audit_leaf WHERE tenant_id = @tenant AND index = @covered),
			(SELECT min(recorded_at) FROM audit_pending WHERE tenant_id = @tenant),
			(SELECT min(recorded_at) FROM audit_inbox WHERE tenant_id = @tenant))`,
		pgx.NamedArgs{"tenant": tenant, "covered": covered}).Scan(&s.Waiting)
	if err == nil {
		s.Outside, err = markedTx(ctx, tx, tenant)
	}
	if err == nil {
		s.Moved, err = movedTx(ctx, tx, tenant)
	}
	if err != nil {
		return s, fmt.Errorf("what waits for the audit log: %w", err)
	}
	return s, nil
}

// CompareTx looks whether the database itself still fits what was signed: each of the
// checkpoints is one of the log as it is now, and each of its last events, up to so many,
// is the one whose leaf stands in it. It returns how many events it looked at, and an
// error that tells which does not fit. It proves nothing to whoever does not trust the
// database: that is Verify.
func CompareTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, signed []Checkpoint, most int) (events int, err error) {
	for _, c := range signed {
		if err := holdsTx(ctx, tx, tenant, c, keptInDatabase); err != nil {
			return 0, err
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT l.index, l.leaf, h.hash, e.body, e.salt
		FROM (SELECT index, audit_id, recorded_at, leaf FROM audit_leaf WHERE tenant_id = @tenant ORDER BY index DESC LIMIT @most) AS l
		LEFT JOIN audit_hash h ON h.tenant_id = @tenant AND h.hash_index = 2 * l.index - bit_count(l.index::bit(64)) -- tlog.StoredHashIndex(0, index)
		LEFT JOIN audit_event e ON e.tenant_id = @tenant AND e.audit_id = l.audit_id AND e.recorded_at = l.recorded_at`,
		pgx.NamedArgs{"tenant": tenant, "most": most})
	if err != nil {
		return 0, fmt.Errorf("compare the audit log: %w", err)
	}
	var index int64
	var leaf, hash, body, salt []byte
	_, err = pgx.ForEachRow(rows, []any{&index, &leaf, &hash, &body, &salt}, func() error {
		events++
		computed, err := Record{Event: body, Salt: salt}.LeafHash()
		switch {
		case body == nil:
			return &ChangedError{index, "is not there any more"}
		case err != nil || computed != tlog.Hash(leaf):
			return &ChangedError{index, "was changed"}
		case hash == nil || tlog.Hash(hash) != computed:
			return &ChangedError{index, "is not the one of the tree"}
		}
		return nil
	})
	return events, err
}

// ChangedError says that an event is not what stands in the log.
type ChangedError struct {
	Index int64
	How   string
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the event with index %d %s", e.Index, e.How)
}
