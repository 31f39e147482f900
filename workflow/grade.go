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

// GivenGrade is one grade with who gave it. It is quality work product: nobody but
// the role of quality may be shown one.
type GivenGrade struct {
	GradeNo  int
	GradedBy uuid.UUID
	Role     string // reader, adjudicator
	GradedAt time.Time
	Level    Level
	Content  Grade
}

// recordGrade records the actor's grade. Who is not the adjudicator grades in
// the reader's place.
func (t *turn) recordGrade(ctx context.Context) (GivenGrade, error) {
	g := GivenGrade{GradedBy: t.actor.ID, Role: "reader", GradedAt: t.now, Level: t.in.Grade.Level(), Content: *t.in.Grade}
	if a := t.c.AdjudicatorID; a != nil && (*a == t.actor.ID || t.event == "sign" && t.c.State == Amending) { // an amendment of what was adjudicated is so too, whoever stands in
		g.Role = "adjudicator"
	}
	no, err := t.ledger.insertGrade(ctx, t.c.CaseID, g)
	if err != nil {
		return g, err
	}
	g.GradeNo = no
	t.detail["gradeNo"] = g.GradeNo
	return g, nil
}

// insertGradeTx records a grade as the case's next.
func insertGradeTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, g GivenGrade) (no int, err error) {
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

// GradesTx returns every grade of a case, the first one first; the last is in
// force.
func GradesTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]GivenGrade, error) {
	rows, err := tx.Query(ctx, `
		SELECT grade_no, graded_by, role, graded_at, level, content
		FROM grade
		WHERE case_id = $1
		ORDER BY grade_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("grades: %w", err)
	}
	grades, err := pgx.CollectRows(rows, pgx.RowToStructByName[GivenGrade])
	if err != nil {
		return nil, fmt.Errorf("grades: %w", err)
	}
	return grades, nil
}

// ErrNotCompared refuses a grade that does not say how the readings compare: nothing said
// is no agreement.
var ErrNotCompared = fault.New(fault.BusinessRule, "%s", Phrase("say whether the readings agree (agreement), in what they differ (discrepancy), or why no comparison is possible (noComparisonReason)"))

var (
	errNoGrade   = fault.New(fault.BusinessRule, "grade the discrepancy before you sign")
	errGradeLate = fault.New(fault.BusinessRule, "the first report of the study has come since the grade was given: compare your opinion with it and grade before you sign ($grade)")
	errGradeOld  = fault.New(fault.BusinessRule, "%s", Phrase("the first report has been changed since the grade was given, and says something else now: compare your opinion with it and grade again before you sign ($grade), also where the grade is the same"))
	errRegrade   = fault.New(fault.BusinessRule, "findings, impression or actionable were revised after the grade was given: grade again before you sign ($grade), also where the grade is the same")
)

// lastGradeTx returns the grade in force, errNoGrade before the first.
func lastGradeTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (GivenGrade, error) {
	rows, err := tx.Query(ctx, `
		SELECT grade_no, graded_by, role, graded_at, level, content
		FROM grade
		WHERE case_id = $1
		ORDER BY grade_no DESC
		LIMIT 1`, caseID)
	if err != nil {
		return GivenGrade{}, fmt.Errorf("grade: %w", err)
	}
	grade, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[GivenGrade])
	if errors.Is(err, pgx.ErrNoRows) {
		return grade, errNoGrade
	}
	if err != nil {
		return grade, fmt.Errorf("grade: %w", err)
	}
	return grade, nil
}
