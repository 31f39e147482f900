package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// transaction is a pgx.Tx that begins, takes its role, and finds out whether it
// may on one way to PostgreSQL; pgx's own would take two or three.
type transaction struct {
	*connection
	savepoints int
}

type connection = pgxpool.Conn

// begin steps down to the footing. What it could not begin is undone.
func (db *DB) begin(ctx context.Context, options pgx.TxOptions, f footing) (*transaction, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	tx := &transaction{connection: conn}
	batch := &pgx.Batch{}
	batch.Queue(strings.TrimSpace(fmt.Sprintf("begin %s %s", isolation[options.IsoLevel], options.AccessMode)))
	asked := &asking{}
	if f.atWork || f.checked {
		if asked, err = ask(ctx); err != nil {
			conn.Release()
			return nil, err
		}
	}
	now := queueStep(batch, f)
	err = tx.SendBatch(ctx, batch).Close()
	if err == nil {
		err = asked.settle(ctx, tx, f, *now)
	}
	asked.done(err == nil)
	switch {
	case asked.err != nil:
		err = asked.err
	case err != nil:
		err = fmt.Errorf("take role %s: %w", f.role, err)
	case now.suspended:
		err = ErrSuspended
	}
	if err != nil {
		tx.abandon(ctx)
		return nil, err
	}
	return tx, nil
}

// askAtOnce is Ask as long as nothing has changed. answered is false where something
// must be looked at first; then read has not been called, or in vain.
func (db *DB) askAtOnce(ctx context.Context, f footing, sql string, args pgx.NamedArgs, read func(pgx.Rows) error) (answered bool, err error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	asked, err := ask(ctx)
	if err != nil {
		return false, err
	}
	batch := &pgx.Batch{}
	now := queueStep(batch, f)
	var failed error // of read
	batch.Queue(sql, args).Query(func(rows pgx.Rows) error {
		if now.suspended || !asked.holds(f, *now) {
			rows.Close()
			return rows.Err()
		}
		failed = read(rows)
		return nil
	})
	err = conn.SendBatch(ctx, batch).Close()
	holds := err == nil && asked.holds(f, *now)
	asked.done(holds)
	switch {
	case err != nil:
		return false, explained(err)
	case !holds:
		return false, nil
	case now.suspended:
		return false, ErrSuspended
	}
	return true, failed
}

// isolation is how a level is asked for.
var isolation = map[pgx.TxIsoLevel]string{"": "", pgx.RepeatableRead: "isolation level repeatable read", pgx.Serializable: "isolation level serializable"}

// abandon undoes the transaction and gives the connection back. One whose
// transaction cannot be undone is closed by the pool.
func (tx *transaction) abandon(ctx context.Context) {
	defer tx.Release()
	if err := tx.Rollback(context.WithoutCancel(ctx)); err != nil {
		_ = tx.Conn().Close(context.WithoutCancel(ctx))
	}
}

// Commit is for this package: who is given a transaction does not end it.
func (tx *transaction) Commit(ctx context.Context) error {
	tag, err := tx.Exec(ctx, "commit")
	if err == nil && tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	return err
}

// Rollback is for this package, as Commit.
func (tx *transaction) Rollback(ctx context.Context) error {
	if tx.Conn().IsClosed() {
		return nil
	}
	_, err := tx.Exec(ctx, "rollback")
	return err
}

// Begin begins a part that can be undone by itself.
func (tx *transaction) Begin(ctx context.Context) (pgx.Tx, error) {
	tx.savepoints++
	part := &savepoint{transaction: tx, name: fmt.Sprintf("part_%d", tx.savepoints)}
	_, err := tx.Exec(ctx, "savepoint "+part.name)
	return part, err
}

// Prepare is none of what is done here.
func (tx *transaction) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	return tx.Conn().Prepare(ctx, name, sql)
}

// LargeObjects are none of what is kept here.
func (tx *transaction) LargeObjects() pgx.LargeObjects { panic("pg: there are no large objects here") }

// savepoint is a part of a transaction.
type savepoint struct {
	*transaction
	name  string
	ended bool
}

// Commit keeps what the part did, as far as the transaction is kept.
func (p *savepoint) Commit(ctx context.Context) error { return p.end(ctx, "release savepoint ") }

// Rollback undoes the part; after Commit it does nothing.
func (p *savepoint) Rollback(ctx context.Context) error {
	return p.end(ctx, "rollback to savepoint ")
}

func (p *savepoint) end(ctx context.Context, how string) error {
	if p.ended {
		return pgx.ErrTxClosed
	}
	p.ended = true
	_, err := p.Exec(ctx, how+p.name)
	return err
}

// inTransaction runs fn in a transaction.
func (db *DB) inTransaction(ctx context.Context, options pgx.TxOptions, f footing, fn func(tx pgx.Tx) error) error {
	tx, err := db.begin(ctx, options, f)
	if err != nil {
		return err
	}
	kept := false
	defer func() { // a panic of fn too
		if kept {
			tx.Release()
		} else {
			tx.abandon(ctx)
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	err = tx.Commit(ctx)
	kept = err == nil || errors.Is(err, pgx.ErrTxCommitRollback)
	return err
}
