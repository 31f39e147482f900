package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// FeedbackMode says what the reader of the original is told of a second opinion.
type FeedbackMode string

// The modes. In none of them is there a score, an expectedness, or who read.
const (
	FeedbackOff        FeedbackMode = "off"
	FeedbackDifference FeedbackMode = "difference"    // whether the readings agree, and in what they differ
	FeedbackLearning   FeedbackMode = "peer-learning" // besides, a good call and the learning points
)

// findingFeedback is what who signed a report is told of a quality sample that
// differs from it in something major, whatever the policy says of feedback.
const findingFeedback FeedbackMode = "finding"

// Feedback is what one reader is told of one signed version.
type Feedback struct {
	ID         uuid.UUID `db:"feedback_id"`
	CaseID     uuid.UUID
	ReportNo   int
	ReaderID   uuid.UUID
	Kind       FeedbackMode
	MadeAt     time.Time
	OpenedAt   *time.Time
	AnsweredAt *time.Time
	Agrees     *bool
	Answer     string
}

const feedbackColumns = `f.feedback_id, f.case_id, f.report_no, f.reader_id, f.kind, f.made_at, f.opened_at, f.answered_at, f.agrees, f.answer`

// mayKnow is the condition that the reader @reader of the feedback of case c may
// know of it now: not while they have another case of the patient, or of the study,
// whose original is withheld from them.
const mayKnow = `NOT EXISTS (
		SELECT FROM case_file mine
		WHERE mine.tenant_id = c.tenant_id AND mine.case_id <> c.case_id
		  AND (mine.patient_id = c.patient_id OR mine.study_uid = c.study_uid)
		  AND mine.protocol <> 'unblinded' AND mine.revealed_at IS NULL
		  AND mine.state NOT IN ('rejected', 'cancelled', 'failed', 'entered-in-error')
		  AND (mine.reader_id = @reader OR mine.offered_to = @reader))`

// giveFeedback keeps for those who read the original that there is something to
// tell them of this version, as the policy has it. What they were to be told of an
// earlier version and have not opened is told no more.
func (t *turn) giveFeedback(ctx context.Context, r Report) error {
	c := t.c
	_, err := t.tx.Exec(ctx, `
		UPDATE feedback
		SET withdrawn_at = @now
		WHERE case_id = @case_id AND withdrawn_at IS NULL AND (opened_at IS NULL OR @error)`,
		pgx.NamedArgs{"case_id": c.CaseID, "now": t.now, "error": r.Status == "entered-in-error"})
	if err != nil {
		return fmt.Errorf("withdraw feedback: %w", err)
	}
	kind := c.Policy.feedback()
	if c.SampleOf != nil && r.Level == LevelMajor {
		kind = findingFeedback
	}
	if kind == FeedbackOff || r.Status == "entered-in-error" || r.Level == LevelNoComparison {
		return nil
	}
	readers, err := t.firstReaders(ctx)
	if err != nil {
		return err
	}
	for _, reader := range readers {
		_, err := t.tx.Exec(ctx, `
			INSERT INTO feedback (tenant_id, feedback_id, case_id, report_no, reader_id, kind, made_at)
			VALUES (overread_tenant(), @id, @case_id, @report_no, @reader, @kind, @now)`,
			pgx.NamedArgs{"id": newID(), "case_id": c.CaseID, "report_no": r.No, "reader": reader.ID, "kind": kind, "now": t.now})
		if err != nil {
			return fmt.Errorf("insert feedback: %w", err)
		}
	}
	return nil
}

// firstReaders are those who read what this case was compared with, as far as they
// are readers here: of a quality sample, who answer for the sampled report.
func (t *turn) firstReaders(ctx context.Context) ([]Reader, error) {
	readers, err := t.ledger.readers(ctx)
	if err != nil {
		return nil, err
	}
	authors := t.c.Exam.OriginalAuthors
	if t.c.Exam.OriginalNow == 0 { // noted before authors were told from other first readers
		authors = t.c.Exam.OriginalReaders
	}
	first := func(r Reader) bool { return meet(authors, r.names()) }
	if t.c.SampleOf != nil {
		sampled, err := CaseByIDTx(ctx, t.tx, *t.c.SampleOf)
		if err != nil {
			return nil, err
		}
		first = func(r Reader) bool { return slices.Contains(sampled.readBy(), r.ID) }
	}
	return slices.DeleteFunc(readers, func(r Reader) bool { return !first(r) }), nil
}

// FeedbackForTx is what a reader may be told now, the newest first: at most so many
// that come after a place. The zero place is before the first.
func FeedbackForTx(ctx context.Context, tx pgx.Tx, reader uuid.UUID, after Place, most int) ([]Feedback, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+feedbackColumns+`
		FROM feedback f
		JOIN case_file c USING (tenant_id, case_id)
		WHERE f.reader_id = @reader AND f.withdrawn_at IS NULL AND `+mayKnow+`
		  AND (@at::timestamptz IS NULL OR f.made_at < @at OR f.made_at = @at AND f.feedback_id > @id)
		ORDER BY f.made_at DESC, f.feedback_id
		LIMIT @most`,
		pgx.NamedArgs{"reader": reader, "at": after.at(), "id": after.ID, "most": most})
	if err != nil {
		return nil, fmt.Errorf("feedback: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Feedback])
}

// OneFeedbackTx is one of those that a reader may be told now. It returns a fault of
// kind NotFound for what is not theirs, or not theirs to know now.
func OneFeedbackTx(ctx context.Context, tx pgx.Tx, reader, id uuid.UUID) (f Feedback, err error) {
	rows, err := tx.Query(ctx, `
		SELECT `+feedbackColumns+`
		FROM feedback f
		JOIN case_file c USING (tenant_id, case_id)
		WHERE f.feedback_id = @id AND f.reader_id = @reader AND f.withdrawn_at IS NULL AND `+mayKnow,
		pgx.NamedArgs{"id": id, "reader": reader})
	if err == nil {
		f, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Feedback])
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return f, fault.New(fault.NotFound, "there is no such feedback, or it is not yours")
	}
	if err != nil {
		return f, fmt.Errorf("feedback: %w", err)
	}
	return f, nil
}

// FeedbackOfCaseTx is all that was told of a case, for the quality role.
func FeedbackOfCaseTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Feedback, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+feedbackColumns+`
		FROM feedback f
		WHERE f.case_id = $1
		ORDER BY f.made_at, f.feedback_id`, caseID)
	if err != nil {
		return nil, fmt.Errorf("feedback: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Feedback])
}

// OpenFeedbackTx notes that a reader has been shown these.
func (e *Engine) OpenFeedbackTx(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		UPDATE feedback
		SET opened_at = @now
		WHERE feedback_id = ANY (@ids) AND opened_at IS NULL`, pgx.NamedArgs{"ids": ids, "now": e.moment()})
	if err != nil {
		return fmt.Errorf("open feedback: %w", err)
	}
	return nil
}

// AnswerFeedbackTx keeps what a reader says to what they were told, once. Where
// they disagree, the quality role has a review of the case to conclude. It returns
// a fault of kind NotFound for what is not theirs, or not theirs to know now, and
// Conflict where they have answered.
func (e *Engine) AnswerFeedbackTx(ctx context.Context, tx pgx.Tx, reader, id uuid.UUID, agrees bool, answer string) (Case, error) {
	if len(answer) > longestNote {
		return Case{}, refuse("the answer is longer than %d bytes", longestNote)
	}
	var caseID uuid.UUID
	err := tx.QueryRow(ctx, `
		SELECT f.case_id
		FROM feedback f
		JOIN case_file c USING (tenant_id, case_id)
		WHERE f.feedback_id = @id AND f.reader_id = @reader AND f.withdrawn_at IS NULL AND `+mayKnow,
		pgx.NamedArgs{"id": id, "reader": reader}).Scan(&caseID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Case{}, fault.New(fault.NotFound, "there is no such feedback, or it is not yours")
	}
	if err != nil {
		return Case{}, fmt.Errorf("feedback: %w", err)
	}
	c, err := lockCase(ctx, tx, caseID)
	if err != nil {
		return c, err
	}
	tag, err := tx.Exec(ctx, `
		UPDATE feedback
		SET answered_at = @now, agrees = @agrees, answer = @answer, opened_at = coalesce(opened_at, @now)
		WHERE feedback_id = @id AND answered_at IS NULL`,
		pgx.NamedArgs{"id": id, "now": e.moment(), "agrees": agrees, "answer": answer})
	if err != nil {
		return c, fmt.Errorf("answer feedback: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return c, fault.New(fault.Conflict, "you have answered this already")
	}
	if agrees {
		return c, nil
	}
	if open, err := reviewOpen(ctx, tx, caseID); err != nil || open {
		return c, err
	}
	_, err = e.fire(ctx, &turn{ledger: sqlLedger{tx}, tx: tx, actor: access.SystemActor(c.TenantID), c: &c, event: "open-review",
		in: Input{Reason: OriginalReaderDisagrees}, now: e.moment(), detail: map[string]any{}})
	return c, err
}
