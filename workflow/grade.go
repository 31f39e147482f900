package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// storedGrade is one grade with who gave it.
type storedGrade struct {
	GradedBy uuid.UUID
	Role     string // reader, adjudicator
	GradedAt time.Time
	Level    Level
	Content  Grade
}

func insertGradeTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, g storedGrade) (no int, err error) {
	err = tx.QueryRow(ctx, `
		INSERT INTO grade (tenant_id, case_id, grade_no, graded_by, role, graded_at, level, content)
		SELECT overread_tenant(), @case_id, coalesce(max(grade_no), 0) + 1, @graded_by, @role, @graded_at, @level, @content
		FROM grade
		WHERE case_id = @case_id
		RETURNING grade_no`,
		pgx.NamedArgs{"case_id": caseID, "graded_by": g.GradedBy, "role": g.Role, "graded_at": g.GradedAt, "level": g.Level, "content": g.Content}).
		Scan(&no)
	if err != nil {
		return 0, fmt.Errorf("insert grade: %w", err)
	}
	return no, nil
}

var errNoGrade = fault.New(fault.BusinessRule, "grade the discrepancy before you sign")

// lastGradeTx returns the grade in force, errNoGrade before the first.
func lastGradeTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (storedGrade, error) {
	rows, err := tx.Query(ctx, `
		SELECT graded_by, role, graded_at, level, content
		FROM grade
		WHERE case_id = $1
		ORDER BY grade_no DESC
		LIMIT 1`, caseID)
	if err != nil {
		return storedGrade{}, fmt.Errorf("grade: %w", err)
	}
	grade, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[storedGrade])
	if errors.Is(err, pgx.ErrNoRows) {
		return grade, errNoGrade
	}
	if err != nil {
		return grade, fmt.Errorf("grade: %w", err)
	}
	return grade, nil
}
