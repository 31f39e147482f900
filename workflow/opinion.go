package workflow

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// draft is the one unsealed opinion of a case.
type draft struct {
	No      int
	Content Opinion
}

var errNoDraft = fault.New(fault.BusinessRule, "there is no draft yet; give the opinion")

// draftTx returns the draft of a case, errNoDraft when there is none.
func draftTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (draft, error) {
	var d draft
	err := tx.QueryRow(ctx, `
		SELECT opinion_no, content
		FROM opinion
		WHERE case_id = $1 AND status = 'draft'`, caseID).Scan(&d.No, &d.Content)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, errNoDraft
	}
	if err != nil {
		return d, fmt.Errorf("draft: %w", err)
	}
	return d, nil
}

// saveDraftTx writes the draft of the case's reader, over an earlier one.
func saveDraftTx(ctx context.Context, tx pgx.Tx, c *Case, o Opinion, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO opinion (tenant_id, case_id, opinion_no, reader_id, status, content, saved_at)
		SELECT @tenant_id, @case_id, coalesce(max(opinion_no), 0) + 1, @reader_id, 'draft', @content, @now
		FROM opinion
		WHERE case_id = @case_id
		ON CONFLICT (tenant_id, case_id) WHERE status = 'draft' DO UPDATE
		SET content = EXCLUDED.content, saved_at = EXCLUDED.saved_at`,
		pgx.NamedArgs{"tenant_id": c.TenantID, "case_id": c.CaseID, "reader_id": c.ReaderID, "content": o, "now": now})
	if err != nil {
		return fmt.Errorf("save draft: %w", err)
	}
	return nil
}

// sealDraftTx closes the draft for good and returns its SHA-256 in hex. It
// returns errNoDraft when there is none.
func sealDraftTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, status string, now time.Time) (string, error) {
	d, err := draftTx(ctx, tx, caseID)
	if err != nil {
		return "", err
	}
	_, sum, err := canonical(d.Content)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `
		UPDATE opinion
		SET status = @status, sealed_at = @now, content_sha256 = @sum
		WHERE case_id = @case_id AND opinion_no = @no AND status = 'draft'`,
		pgx.NamedArgs{"case_id": caseID, "no": d.No, "status": status, "now": now, "sum": sum[:]})
	if err != nil {
		return "", fmt.Errorf("seal opinion: %w", err)
	}
	return hexOf(sum), nil
}

// sealedOpinion is an opinion that never changes again.
type sealedOpinion struct {
	Content  Opinion
	SealedAt time.Time
	SHA256   string // hex
}

// lockedOpinionTx returns the opinion in force: the one that was locked last
// by somebody who still has a part in the case.
func lockedOpinionTx(ctx context.Context, tx pgx.Tx, c *Case) (sealedOpinion, error) {
	var o sealedOpinion
	var sum []byte
	err := tx.QueryRow(ctx, `
		SELECT content, sealed_at, content_sha256
		FROM opinion
		WHERE case_id = @case_id AND status = 'locked' AND reader_id IN (@reader, @adjudicator, @supervisor)
		ORDER BY opinion_no DESC
		LIMIT 1`,
		pgx.NamedArgs{"case_id": c.CaseID, "reader": c.ReaderID, "adjudicator": c.AdjudicatorID, "supervisor": c.SupervisorID}).
		Scan(&o.Content, &o.SealedAt, &sum)
	if err != nil {
		return o, fmt.Errorf("locked opinion: %w", err)
	}
	o.SHA256, o.SealedAt = hex.EncodeToString(sum), o.SealedAt.UTC()
	return o, nil
}

// pastReadersTx returns who has sealed an opinion on the case or on another of
// the same study, whole or not, or has decided one: who has seen the original,
// or may have, does not read the study independently.
func pastReadersTx(ctx context.Context, tx pgx.Tx, c *Case) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		WITH same AS (
			SELECT case_id, adjudicator_id, supervisor_id
			FROM case_file
			WHERE case_id = @case OR study_uid = @study
		)
		SELECT o.reader_id
		FROM opinion o
		JOIN same ON same.case_id = o.case_id
		WHERE o.status <> 'draft'
		UNION
		SELECT decided.by
		FROM same
		CROSS JOIN LATERAL (VALUES (adjudicator_id), (supervisor_id)) AS decided (by)
		WHERE case_id <> @case AND decided.by IS NOT NULL`,
		pgx.NamedArgs{"case": c.CaseID, "study": c.StudyUID})
	if err != nil {
		return nil, fmt.Errorf("past readers: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// sections are the texts of an opinion. An amendment may change each, and take
// back those that a report can be without.
var sections = []struct {
	name      string
	removable bool
	text      func(*Opinion) *string
}{
	{"technique", true, func(o *Opinion) *string { return &o.Technique }},
	{"comparison", true, func(o *Opinion) *string { return &o.Comparison }},
	{"findings", false, func(o *Opinion) *string { return &o.Findings }},
	{"impression", false, func(o *Opinion) *string { return &o.Impression }},
	{"recommendation", true, func(o *Opinion) *string { return &o.Recommendation }},
	{"actionable", true, func(o *Opinion) *string { return &o.Actionable }},
}

const conclusion = "conclusion" // the one section that is a list of codes

// Removable are the sections that an amendment may take back.
func Removable() []string {
	var names []string
	for _, s := range sections {
		if s.removable {
			names = append(names, s.name)
		}
	}
	return append(names, conclusion)
}

// over lays an opinion over an earlier one: sections that it does not give
// stay as they were, so that an amendment never drops what it does not name.
func (o Opinion) over(earlier Opinion) Opinion {
	for _, s := range sections {
		if now := s.text(&o); strings.TrimSpace(*now) == "" {
			*now = *s.text(&earlier)
		}
	}
	if o.Conclusions == nil {
		o.Conclusions = earlier.Conclusions
	}
	return o
}

// without takes sections back.
func (o Opinion) without(names []string) Opinion {
	for _, s := range sections {
		if slices.Contains(names, s.name) {
			*s.text(&o) = ""
		}
	}
	if slices.Contains(names, conclusion) {
		o.Conclusions = nil
	}
	return o
}

func (o Opinion) unknownCategory() bool {
	return o.Actionable != "" && !slices.Contains(actionables, o.Actionable)
}

var errCategory = fault.New(fault.BusinessRule, "the opinion's actionable category must be one of %s", strings.Join(actionables, ", "))
