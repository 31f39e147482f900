package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// What somebody was writing when the case was taken from them is not lost. On hold it
// is the next version of the draft. Of a case that was reassigned, released, cancelled
// or begun anew, the reading was sealed as it was, an empty one where nothing of it had
// been sent: what comes later is a further version of its draft, which stays its
// author's alone and changes nothing of what was sealed.

var heldWhileWritten = Guard{"heldWhileWritten", "an opinion was being written when the case was put on hold: the reader's, or the third reader's whose turn it was",
	func(_ context.Context, t *turn) error {
		writing := in(Accepted, Reading)
		if t.actor.Role == access.Adjudicator {
			writing = third
		}
		if t.c.ResumeState == nil || !slices.Contains(writing, *t.c.ResumeState) {
			return refuse("the case is on hold, and was not being written when it was put there")
		}
		return nil
	}}

// errNotLate: the case is the actor's, or never was.
var errNotLate = fault.New(fault.NotFound, "you have no reading of this case that was ended")

// KeepLateTx keeps what somebody has written for a case that is no longer theirs to
// write, as a sealed version of the draft that they had: a fault of kind NotFound
// where they have none that was ended, of kind BusinessRule where it is too long, or
// one version too many.
func (e *Engine) KeepLateTx(ctx context.Context, tx pgx.Tx, actor access.Actor, caseID uuid.UUID, o Opinion) (Draft, error) {
	c, err := lockCase(ctx, tx, caseID)
	if err != nil {
		return Draft{}, err
	}
	d, last, err := endedDraftTx(ctx, tx, caseID, actor.ID)
	if err != nil {
		return d, err
	}
	if d.OpinionNo == 0 {
		if d, err = unbegunTx(ctx, tx, &c, actor.ID, e.moment()); err != nil {
			return d, err
		}
	}
	if d.OwnNo, err = OwnNumberTx(ctx, tx, caseID, d.OpinionNo); err != nil {
		return d, err
	}
	text, sum, err := canonical(o)
	switch {
	case err != nil:
		return d, err
	case len(text) > longestDraft:
		return d, refuse("an opinion has at most %d kB; this one is longer", longestDraft>>10)
	case hexOf(sum) == last:
		return d, nil
	}
	d.DraftNo, d.SavedAt, d.SHA256, d.Content = d.DraftNo+1, e.moment(), hexOf(sum), o
	if d.DraftNo > mostDrafts {
		return d, refuse("%d versions of this draft are kept, and no more are taken", mostDrafts)
	}
	return d, saveDraftTx(ctx, tx, &c, d) // which changes no opinion that is sealed
}

// WrittenBy tells whether the case is being read, and somebody has a part in that.
func (c *Case) WrittenBy(who uuid.UUID) bool { return c.beingRead() && slices.Contains(c.hands(), who) }

// unbegunTx is an empty reading, sealed as it was, of somebody who had the case and
// had sent nothing of what they wrote before it was taken from them: errNotLate where
// the case is theirs, or never was.
func unbegunTx(ctx context.Context, tx pgx.Tx, c *Case, author uuid.UUID, now time.Time) (d Draft, err error) {
	if c.WrittenBy(author) {
		return d, errNotLate
	}
	nothing, sum, err := canonical(Opinion{})
	if err != nil {
		return d, err
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO opinion (tenant_id, case_id, opinion_no, reader_id, part, status, content, saved_at, sealed_at, content_sha256)
		SELECT @tenant, @case, 1 + (SELECT coalesce(max(opinion_no), 0) FROM opinion WHERE case_id = @case), @author,
		       CASE WHEN actor_role <> 'adjudicator' THEN @first WHEN to_state = 'arbitration' THEN @arbitration ELSE @adjudication END,
		       'released', @nothing, @now, @now, @sum
		FROM case_event
		WHERE case_id = @case AND actor_id = @author AND event = 'claim'
		ORDER BY seq DESC
		LIMIT 1
		RETURNING opinion_no, part`,
		pgx.NamedArgs{"tenant": c.TenantID, "case": c.CaseID, "author": author, "first": PartFirst, "arbitration": PartArbitration,
			"adjudication": PartAdjudication, "nothing": nothing, "now": now, "sum": sum[:]}).Scan(&d.OpinionNo, &d.Part)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return d, errNotLate
	case err != nil:
		return d, fmt.Errorf("keep what came late: %w", err)
	}
	return d, nil
}

// endedDraftTx is the latest version of the draft of somebody's latest reading of a
// case, where that was sealed unfinished, and its digest; none where they wrote nothing.
func endedDraftTx(ctx context.Context, tx pgx.Tx, caseID, author uuid.UUID) (d Draft, sum string, err error) {
	var status string
	var saved *time.Time
	err = tx.QueryRow(ctx, `
		SELECT o.opinion_no, o.part, o.status, coalesce(d.draft_no, 0), d.saved_at, coalesce(encode(d.content_sha256, 'hex'), '')
		FROM opinion o
		LEFT JOIN opinion_draft d ON d.tenant_id = o.tenant_id AND d.case_id = o.case_id AND d.opinion_no = o.opinion_no
		WHERE o.case_id = @case AND o.reader_id = @author
		ORDER BY o.opinion_no DESC, d.draft_no DESC NULLS LAST
		LIMIT 1`, pgx.NamedArgs{"case": caseID, "author": author}).Scan(&d.OpinionNo, &d.Part, &status, &d.DraftNo, &saved, &sum)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return d, "", nil
	case err != nil:
		return d, "", fmt.Errorf("the draft of a reading that was ended: %w", err)
	case status != "released":
		return d, "", errNotLate
	}
	if d.SHA256 = sum; saved != nil {
		d.SavedAt = *saved
	}
	return d, sum, nil
}

// RaiseLateTx raises the finding of an opinion that its author seals when the case is no
// longer theirs: had it been sealed in time, somebody would have been told. It tells
// whether the finding is on record.
func (e *Engine) RaiseLateTx(ctx context.Context, tx pgx.Tx, actor access.Actor, caseID uuid.UUID, o Opinion) (raised bool, err error) {
	if !slices.Contains(pressing, o.Actionable) || strings.TrimSpace(o.Impression) == "" {
		return false, nil
	}
	c, err := lockCase(ctx, tx, caseID)
	if err != nil {
		return false, err
	}
	all, err := MattersTx(ctx, tx, caseID)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(c.Choosable(all, actor), func(m KnownMatter) bool { return !m.Withdrawn() && m.tellsOf(o.Actionable, o.Impression) }) {
		return true, nil
	}
	_, err = e.RaiseTx(ctx, tx, actor, caseID, RaisedFinding{Category: o.Actionable, Text: o.Impression})
	return err == nil, err
}
