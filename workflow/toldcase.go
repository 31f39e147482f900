package workflow

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ToldCase is a case with what feedback on it is made of.
type ToldCase struct {
	Case    Case
	Reports []Report
	Grades  []GivenGrade
	Points  []GivenPoint
}

// ToldCasesTx are several of them, with as many questions to the database as one.
func ToldCasesTx(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]*ToldCase, error) {
	cases, err := casesByIDTx(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	told := map[uuid.UUID]*ToldCase{}
	for id, c := range cases {
		told[id] = &ToldCase{Case: *c}
	}
	if err := eachOf(ctx, tx, ids, `SELECT case_id, content FROM signed_report WHERE case_id = ANY ($1) ORDER BY case_id, report_no`,
		func(row pgx.Rows) error {
			var id uuid.UUID
			var r Report
			err := row.Scan(&id, &r)
			if t := told[id]; t != nil {
				t.Reports = append(t.Reports, r)
			}
			return err
		}); err != nil {
		return nil, err
	}
	if err := eachOf(ctx, tx, ids, `SELECT case_id, grade_no, graded_by, role, graded_at, level, content FROM grade WHERE case_id = ANY ($1) ORDER BY case_id, grade_no`,
		func(row pgx.Rows) error {
			var id uuid.UUID
			var g GivenGrade
			err := row.Scan(&id, &g.GradeNo, &g.GradedBy, &g.Role, &g.GradedAt, &g.Level, &g.Content)
			if t := told[id]; t != nil {
				t.Grades = append(t.Grades, g)
			}
			return err
		}); err != nil {
		return nil, err
	}
	return told, eachOf(ctx, tx, ids, `SELECT case_id, point_no, text, tags, added_by, added_at FROM learning_point WHERE case_id = ANY ($1) AND withdrawn_at IS NULL ORDER BY case_id, point_no`,
		func(row pgx.Rows) error {
			var id uuid.UUID
			var p GivenPoint
			err := row.Scan(&id, &p.PointNo, &p.Text, &p.Tags, &p.AddedBy, &p.AddedAt)
			if t := told[id]; t != nil {
				t.Points = append(t.Points, p)
			}
			return err
		})
}

// eachOf goes through the rows of a query about some cases.
func eachOf(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, query string, take func(pgx.Rows) error) error {
	rows, err := tx.Query(ctx, query, ids)
	if err != nil {
		return fmt.Errorf("what is told of cases: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return fmt.Errorf("what is told of cases: %w", err)
		}
	}
	return rows.Err()
}
