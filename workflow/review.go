package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Review is what the quality role looks into.
type Review struct {
	ReviewNo   int
	Reason     string
	OpenedBy   *uuid.UUID // nil: by a rule
	OpenedAt   time.Time
	Conclusion *string
	Note       string
	ClosedBy   *uuid.UUID
	ClosedAt   *time.Time
}

// Conclusion is what comes of a review.
type Conclusion struct {
	Code string
	Note string
}

// Conclusions are what may come of a review: the grade stands, the report is to be
// amended by who signed it, or there is something to learn and nothing to change.
var Conclusions = []string{"stands", "to-be-amended", "learning"}

// Reasons of reviews that a rule opens.
const (
	OriginalReaderDisagrees = "the original reader disagrees"
	FindingNotTold          = "the finding of a quality sample was set aside without an amendment"
	AmendedToDiscrepancy    = "an amendment grades a discrepancy that before the signature would have gone to a third reader"
)

var reviewAmendedGrade = Effect{"reviewAmendedGrade", "where an amendment's grade reaches the policy's adjudicateOn, and no third reader has judged the case, the quality role has a review to conclude: a correction does not wait for one",
	func(ctx context.Context, t *turn) error {
		demands, err := policyDemandsThirdReader.Holds(ctx, t)
		if err != nil || !demands || t.c.AdjudicatorID != nil || t.tx == nil { // nil: a simulated one
			return err
		}
		if open, err := reviewOpen(ctx, t.tx, t.c.CaseID); err != nil || open {
			return err
		}
		return t.openReview(ctx, AmendedToDiscrepancy)
	}}

var noReviewOpen = Guard{"noReviewOpen", "no review of this case is open",
	func(ctx context.Context, t *turn) error {
		open, err := reviewOpen(ctx, t.tx, t.c.CaseID)
		if err == nil && open {
			err = refuse("a review of this case is open already")
		}
		return err
	}}

func reviewOpen(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (open bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM quality_review WHERE case_id = $1 AND closed_at IS NULL)`, caseID).Scan(&open)
	return open, err
}

var openReview = Effect{"openReview", "a review of the case is open until the quality role concludes it",
	func(ctx context.Context, t *turn) error { return t.openReview(ctx, t.in.Reason) }}

func (t *turn) openReview(ctx context.Context, reason string) error {
	var by *uuid.UUID
	if t.actor.Role == access.Quality {
		by = &t.actor.ID
	}
	var no int
	err := t.tx.QueryRow(ctx, `
		INSERT INTO quality_review (tenant_id, case_id, review_no, reason, opened_by, opened_at)
		SELECT overread_tenant(), @case_id, coalesce(max(review_no), 0) + 1, @reason, @by, @now
		FROM quality_review
		WHERE case_id = @case_id
		RETURNING review_no`,
		pgx.NamedArgs{"case_id": t.c.CaseID, "reason": reason, "by": by, "now": t.now}).Scan(&no)
	if err != nil {
		return fmt.Errorf("open review: %w", err)
	}
	t.detail["reviewNo"] = no
	return nil
}

var concluded = Guard{"concluded", "a review is open, and it is said what comes of it",
	func(ctx context.Context, t *turn) error {
		c := t.in.Conclusion
		switch {
		case c == nil || !slices.Contains(Conclusions, c.Code):
			return refuse("conclusion must be one of %s", strings.Join(Conclusions, ", "))
		case len(c.Note) > longestNote:
			return refuse("the note is longer than %d bytes", longestNote)
		}
		open, err := reviewOpen(ctx, t.tx, t.c.CaseID)
		if err == nil && !open {
			err = refuse("no review of this case is open")
		}
		return err
	}}

var closeReview = Effect{"closeReview", "the review is closed with its conclusion; grades and report are changed by nobody but who signed",
	func(ctx context.Context, t *turn) error {
		_, err := t.tx.Exec(ctx, `
			UPDATE quality_review
			SET conclusion = @conclusion, note = @note, closed_by = @by, closed_at = @now
			WHERE case_id = @case_id AND closed_at IS NULL`,
			pgx.NamedArgs{"case_id": t.c.CaseID, "conclusion": t.in.Conclusion.Code, "note": t.in.Conclusion.Note, "by": t.actor.ID, "now": t.now})
		if err != nil {
			return fmt.Errorf("close review: %w", err)
		}
		t.detail["conclusion"] = t.in.Conclusion.Code
		return nil
	}}

// ReviewsTx are the reviews of a case, the first one first.
func ReviewsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Review, error) {
	rows, err := tx.Query(ctx, `
		SELECT review_no, reason, opened_by, opened_at, conclusion, note, closed_by, closed_at
		FROM quality_review
		WHERE case_id = $1
		ORDER BY review_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("reviews: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Review])
}

// OpenReview is one that waits for the quality role.
type OpenReview struct {
	TaskID           string
	OriginalReportID *string
	Reason           string
	OpenedAt         time.Time
}

// OpenReviewsTx are the open reviews of the transaction's tenant, the oldest first.
func OpenReviewsTx(ctx context.Context, tx pgx.Tx, most int) ([]OpenReview, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.task_id, c.original_report_id, q.reason, q.opened_at
		FROM quality_review q
		JOIN case_file c USING (tenant_id, case_id)
		WHERE q.closed_at IS NULL
		ORDER BY q.opened_at, q.case_id
		LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("open reviews: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[OpenReview])
}
