package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// DueTx is when the report of a case is due: the deadline of its final clock.
// It is nil before the order is complete and after the signature.
func DueTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (*time.Time, error) {
	var due *time.Time
	err := tx.QueryRow(ctx, `
		SELECT deadline_at
		FROM agenda
		WHERE case_id = @case AND kind = @kind`,
		pgx.NamedArgs{"case": caseID, "kind": kindOf(ClockFinal)}).Scan(&due)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("due time of case %s: %w", caseID, err)
	}
	return due, nil
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
