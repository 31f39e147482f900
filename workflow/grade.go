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
	GradeNo  int
	GradedBy uuid.UUID
	Role     string // reader, adjudicator
	GradedAt time.Time
	Level    Level
	Content  Grade
}

// recordGrade records the actor's grade. Who is not the adjudicator grades in
// the reader's place.
func (t *turn) recordGrade(ctx context.Context) (storedGrade, error) {
	g := storedGrade{GradedBy: t.actor.ID, Role: "reader", GradedAt: t.now, Level: t.in.Grade.Level(), Content: *t.in.Grade}
	if t.c.AdjudicatorID != nil && *t.c.AdjudicatorID == t.actor.ID {
		g.Role = "adjudicator"
	}
	err := t.tx.QueryRow(ctx, `
		INSERT INTO grade (tenant_id, case_id, grade_no, graded_by, role, graded_at, level, content)
		SELECT overread_tenant(), @case_id, coalesce(max(grade_no), 0) + 1, @graded_by, @role, @graded_at, @level, @content
		FROM grade
		WHERE case_id = @case_id
		RETURNING grade_no`,
		pgx.NamedArgs{"case_id": t.c.CaseID, "graded_by": g.GradedBy, "role": g.Role, "graded_at": g.GradedAt, "level": g.Level, "content": g.Content}).
		Scan(&g.GradeNo)
	if err != nil {
		return g, fmt.Errorf("insert grade: %w", err)
	}
	t.detail["gradeNo"] = g.GradeNo
	return g, nil
}

var errNoGrade = fault.New(fault.BusinessRule, "grade the discrepancy before you sign")

// lastGradeTx returns the grade in force, errNoGrade before the first.
func lastGradeTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (storedGrade, error) {
	rows, err := tx.Query(ctx, `
		SELECT grade_no, graded_by, role, graded_at, level, content
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
