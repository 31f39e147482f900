package auditlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/overread/overread/internal/pg"
)

// dumpBatch is how many events are read in one transaction.
const dumpBatch = 1000

// Dump writes the log of a tenant up to its last checkpoint, as lines in their
// order. It returns how many events it should have written: that one is missing,
// the proof finds.
func Dump(ctx context.Context, db *pg.DB, tenant uuid.UUID, w io.Writer) (int64, error) {
	return dump(ctx, tenant, w, func(fn func(tx pgx.Tx) error) error { return db.Finish(ctx, tenant, fn) })
}

// DumpTx is Dump in a transaction that is there already.
func DumpTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, w io.Writer) (int64, error) {
	return dump(ctx, tenant, w, func(fn func(tx pgx.Tx) error) error { return fn(tx) })
}

// dump reads a batch in each transaction, so that none is long.
func dump(ctx context.Context, tenant uuid.UUID, w io.Writer, in func(fn func(tx pgx.Tx) error) error) (int64, error) {
	var last Checkpoint
	err := in(func(tx pgx.Tx) (err error) {
		last, err = lastTx(ctx, tx, tenant)
		return err
	})
	if err == nil && last.Size == 0 {
		err = errors.New("this log has no checkpoint yet: overread serve signs one each minute, with --audit-key")
	}
	if err == nil {
		_, err = w.Write(AppendHeader(nil, Origin(tenant), last.Size))
	}
	for from := int64(0); from < last.Size && err == nil; from += dumpBatch {
		var lines []byte
		err = in(func(tx pgx.Tx) (err error) {
			lines, err = linesTx(ctx, tx, tenant, from, min(from+dumpBatch, last.Size))
			return err
		})
		if err == nil {
			_, err = w.Write(lines)
		}
	}
	return last.Size, err
}

// linesTx are the lines of the records from one index to before another.
func linesTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, from, to int64) ([]byte, error) {
	rows, err := tx.Query(ctx, `
		SELECT l.index, e.salt, l.leaf, e.body
		FROM audit_leaf l
		JOIN audit_event e USING (tenant_id, audit_id, recorded_at)
		WHERE l.tenant_id = @tenant AND l.index >= @from AND l.index < @to
		ORDER BY l.index`, pgx.NamedArgs{"tenant": tenant, "from": from, "to": to})
	if err != nil {
		return nil, err
	}
	var lines []byte
	var index int64
	var salt, leaf, body []byte
	_, err = pgx.ForEachRow(rows, []any{&index, &salt, &leaf, &body}, func() error {
		lines = AppendRecord(lines, Record{Index: index, Salt: salt, Leaf: tlog.Hash(leaf), Event: body})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("events of the audit log: %w", err)
	}
	return lines, nil
}

// Checkpoints are those that the database has of a tenant's log, as a file of
// them is written.
func Checkpoints(ctx context.Context, db *pg.DB, tenant uuid.UUID) (string, error) {
	var notes []string
	err := db.Finish(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT note || E'\n'
			FROM audit_checkpoint
			WHERE tenant_id = $1
			ORDER BY size`, tenant)
		if err != nil {
			return err
		}
		notes, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return strings.Join(notes, ""), err
}
