package workflow

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// A draft is an opinion as it grows: the one unsealed row of opinion, and a
// row of opinion_draft for each version of it. It is its author's alone. Saving
// one is no event of the case: it goes on every few seconds.

// Draft is one version of a draft.
type Draft struct {
	OpinionNo int
	OwnNo     int // of the opinion, among those of its author: who reads blindly must not know how many there are
	Part      ReadingPart
	DraftNo   int // 0: begun, and nothing written yet
	SavedAt   time.Time
	SHA256    string // hex
	Content   Opinion
}

// Bounds of drafts: how long one is, in bytes of JSON, and how many versions
// are kept of each. Ten hours of writing that is saved every 15 seconds.
const (
	longestDraft = 256 << 10
	mostDrafts   = 2400
)

// draft is the one unsealed opinion of a case.
type draft struct {
	No       int
	ReaderID uuid.UUID
	Version  int // of the draft; 0: nothing is written yet
	Content  Opinion
}

var errNoDraft = fault.New(fault.BusinessRule, "there is no draft yet; give the opinion")

// draftTx returns the draft of a case, errNoDraft when there is none.
func draftTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (draft, error) {
	var d draft
	err := tx.QueryRow(ctx, `
		SELECT o.opinion_no, o.reader_id, o.content,
		       (SELECT coalesce(max(d.draft_no), 0)
		        FROM opinion_draft d
		        WHERE d.case_id = o.case_id AND d.opinion_no = o.opinion_no)
		FROM opinion o
		WHERE o.case_id = $1 AND o.status = 'draft'`, caseID).Scan(&d.No, &d.ReaderID, &d.Content, &d.Version)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, errNoDraft
	}
	if err != nil {
		return d, fmt.Errorf("draft: %w", err)
	}
	return d, nil
}

// openDraft begins an opinion of the actor, unless it is begun.
func (t *turn) openDraft(ctx context.Context, part ReadingPart) (draft, error) {
	d, err := t.ledger.draft(ctx, t.c.CaseID)
	if err == nil && d.ReaderID != t.actor.ID {
		return d, fmt.Errorf("case %s has an open draft of another reader", t.c.CaseID)
	}
	if !errors.Is(err, errNoDraft) {
		return d, err
	}
	no, err := t.ledger.openDraft(ctx, t.c, t.actor.ID, part, t.now)
	return draft{No: no, ReaderID: t.actor.ID}, err
}

func openDraftTx(ctx context.Context, tx pgx.Tx, c *Case, author uuid.UUID, part ReadingPart, now time.Time) (no int, err error) {
	err = tx.QueryRow(ctx, `
		INSERT INTO opinion (tenant_id, case_id, opinion_no, reader_id, part, status, content, saved_at)
		SELECT @tenant_id, @case_id, coalesce(max(opinion_no), 0) + 1, @reader_id, @part, 'draft', @content, @now
		FROM opinion
		WHERE case_id = @case_id
		RETURNING opinion_no`,
		pgx.NamedArgs{"tenant_id": c.TenantID, "case_id": c.CaseID, "reader_id": author, "part": part, "content": Opinion{}, "now": now}).Scan(&no)
	if err != nil {
		return 0, fmt.Errorf("open draft: %w", err)
	}
	return no, nil
}

// saveDraft makes an opinion the next version of the actor's draft. What is
// the same as the version before makes none.
func (t *turn) saveDraft(ctx context.Context, part ReadingPart, o Opinion) error {
	d, err := t.openDraft(ctx, part)
	if err != nil {
		return err
	}
	text, sum, err := canonical(o)
	switch {
	case err != nil:
		return err
	case len(text) > longestDraft:
		return refuse("an opinion has at most %d kB; this one is longer", longestDraft>>10)
	}
	t.draft = &Draft{OpinionNo: d.No, Part: part, DraftNo: d.Version, SavedAt: t.now, SHA256: hexOf(sum), Content: o}
	if d.Version > 0 {
		if _, before, err := canonical(d.Content); err != nil || before == sum {
			return err
		}
	}
	if t.draft.DraftNo++; t.draft.DraftNo > mostDrafts {
		return refuse("%d versions of this draft are kept, and no more are taken: lock the opinion, or release the case", mostDrafts)
	}
	return t.ledger.saveDraft(ctx, t.c, *t.draft)
}

// saveDraftTx writes the next version of a draft.
func saveDraftTx(ctx context.Context, tx pgx.Tx, c *Case, d Draft) error {
	_, err := tx.Exec(ctx, `
		WITH latest AS (
			UPDATE opinion
			SET content = @content, saved_at = @now
			WHERE case_id = @case AND opinion_no = @no AND status = 'draft')
		INSERT INTO opinion_draft (tenant_id, case_id, opinion_no, draft_no, saved_at, content, content_sha256)
		VALUES (overread_tenant(), @case, @no, @draft, @now, @content, decode(@sum, 'hex'))`,
		pgx.NamedArgs{"case": c.CaseID, "no": d.OpinionNo, "draft": d.DraftNo, "content": d.Content, "sum": d.SHA256, "now": d.SavedAt})
	if err != nil {
		return fmt.Errorf("save draft: %w", err)
	}
	return nil
}

var draftFollows = Guard{"draftFollows", "what is given follows the latest version of the draft, so that two windows do not overwrite each other",
	func(ctx context.Context, t *turn) error {
		if t.in.Opinion == nil && t.in.DraftNo == nil {
			return nil
		}
		d, err := t.ledger.draft(ctx, t.c.CaseID)
		if err != nil && !errors.Is(err, errNoDraft) {
			return err
		}
		switch given := t.in.DraftNo; {
		case given != nil && *given == d.Version, given == nil && d.Version == 0:
			return nil
		case given == nil:
			same, err := sameText(d.Content, t.in.Opinion)
			if same || err != nil {
				return err
			}
			return fault.New(fault.Conflict, "there is a draft already, and this would be written over it: say which one this follows (follows = %d is the latest; GET Task/{id}/$drafts shows them)", d.Version)
		}
		return fault.New(fault.Conflict, "the draft has gone on, perhaps in another window: this follows draft %d, and the latest is %d. Read it (GET Task/{id}/$drafts), put both together, and send it with follows = %d; nothing was overwritten", *t.in.DraftNo, d.Version, d.Version)
	}}

func sameText(a Opinion, b *Opinion) (bool, error) {
	_, first, err := canonical(a)
	if err != nil || b == nil {
		return false, err
	}
	_, second, err := canonical(*b)
	return first == second, err
}

// ownNumber is by which its author knows the opinion o.
const ownNumber = `(SELECT count(*) FROM opinion p WHERE p.tenant_id = o.tenant_id AND p.case_id = o.case_id AND p.reader_id = o.reader_id AND p.opinion_no <= o.opinion_no)`

// OwnNumberTx is by which somebody knows an opinion of theirs.
func OwnNumberTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, opinionNo int) (no int, err error) {
	err = tx.QueryRow(ctx, `SELECT `+ownNumber+` FROM opinion o WHERE o.case_id = $1 AND o.opinion_no = $2`, caseID, opinionNo).Scan(&no)
	if err != nil {
		return 0, fmt.Errorf("own number of an opinion: %w", err)
	}
	return no, nil
}

// DraftsTx returns the versions of what somebody has written for a case, of all
// of their opinions, the latest first. The content is left out unless one
// version is asked for by its opinion and number (0 for the latest).
func DraftsTx(ctx context.Context, tx pgx.Tx, caseID, author uuid.UUID) ([]Draft, error) {
	rows, err := tx.Query(ctx, `
		SELECT d.opinion_no, `+ownNumber+` AS own_no, o.part, d.draft_no, d.saved_at, encode(d.content_sha256, 'hex') AS sha256
		FROM opinion_draft d
		JOIN opinion o ON o.tenant_id = d.tenant_id AND o.case_id = d.case_id AND o.opinion_no = d.opinion_no
		WHERE d.case_id = @case AND o.reader_id = @author
		ORDER BY d.opinion_no DESC, d.draft_no DESC`, pgx.NamedArgs{"case": caseID, "author": author})
	if err != nil {
		return nil, fmt.Errorf("drafts: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByNameLax[Draft])
}

// DraftTx returns one version of somebody's own draft: a fault of kind NotFound
// when they have none of these numbers.
func DraftTx(ctx context.Context, tx pgx.Tx, caseID, author uuid.UUID, opinionNo, draftNo int) (Draft, error) {
	d := Draft{OpinionNo: opinionNo, DraftNo: draftNo}
	var sum []byte
	err := tx.QueryRow(ctx, `
		SELECT `+ownNumber+`, o.part, d.saved_at, d.content_sha256, d.content
		FROM opinion_draft d
		JOIN opinion o ON o.tenant_id = d.tenant_id AND o.case_id = d.case_id AND o.opinion_no = d.opinion_no
		WHERE d.case_id = @case AND o.reader_id = @author AND d.opinion_no = @opinion AND d.draft_no = @draft`,
		pgx.NamedArgs{"case": caseID, "author": author, "opinion": opinionNo, "draft": draftNo}).Scan(&d.OwnNo, &d.Part, &d.SavedAt, &sum, &d.Content)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, fault.New(fault.NotFound, "you have no such draft in this case")
	}
	if err != nil {
		return d, fmt.Errorf("draft: %w", err)
	}
	d.SHA256 = hex.EncodeToString(sum)
	return d, nil
}
