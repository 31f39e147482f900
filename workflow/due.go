package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// DueTx is when the report of a case is due: the deadline of its final clock.
// It is nil before the order is complete and after the signature.
func DueTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (*time.Time, error) {
	by, err := DueOfTx(ctx, tx, []uuid.UUID{caseID})
	return by[caseID], err
}

// DueOfTx is DueTx of several cases at once.
func DueOfTx(ctx context.Context, tx pgx.Tx, cases []uuid.UUID) (map[uuid.UUID]*time.Time, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id, deadline_at
		FROM agenda
		WHERE case_id = ANY (@cases) AND kind = @kind`,
		pgx.NamedArgs{"cases": cases, "kind": kindOf(ClockFinal)})
	if err != nil {
		return nil, fmt.Errorf("due times: %w", err)
	}
	by := map[uuid.UUID]*time.Time{}
	var id uuid.UUID
	var due *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &due}, func() error { by[id] = due; return nil }); err != nil {
		return nil, fmt.Errorf("due times: %w", err)
	}
	return by, nil
}

// deadlineOf is the deadline of the final clock among the rows of a case, nil where it
// does not run.
func deadlineOf(rows []entry) *time.Time {
	if row := rowOf(rows, kindOf(ClockFinal)); row != nil {
		return row.DeadlineAt
	}
	return nil
}

// due is DueTx by whatever ledger a turn has.
func due(ctx context.Context, l ledger, caseID uuid.UUID) (*time.Time, error) {
	rows, err := l.entries(ctx, caseID)
	if err != nil {
		return nil, err
	}
	return deadlineOf(rows), nil
}
