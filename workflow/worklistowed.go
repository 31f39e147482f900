package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Owed is what is to be done about a signed case by who signed it.
type Owed string

// What a matter that is open asks of who signed.
const (
	OwesAnswer     Owed = "answer"     // a clinician asks
	OwesComparison Owed = "comparison" // the first report has come, or was taken back
	OwesLook       Owed = "look"       // the study has changed since
	OwesCall       Owed = "call"       // nobody has taken note of a pressing finding
)

// owes is what an open matter asks of who signed, and the event by which they do it.
func (m Matter) owes() (Owed, Event) {
	switch {
	case m.Kind == QuestionMatter:
		return OwesAnswer, "answer"
	case m.isVerification() && m.Content.ToCompare():
		return OwesComparison, "amend"
	case m.isVerification():
		return OwesLook, "verify"
	case m.isPressing():
		return OwesCall, "communicate"
	}
	return "", ""
}

// signedInRole says in which of their roles somebody has the cases that they signed.
var signedInRole = map[access.Role]string{
	access.Reader:      `(reader_id = @me OR other_reader_id = @me)`,
	access.Adjudicator: `adjudicator_id = @me AND reader_id IS DISTINCT FROM @me AND other_reader_id IS DISTINCT FROM @me`,
	access.Supervisor:  `reader_id IS DISTINCT FROM @me AND other_reader_id IS DISTINCT FROM @me AND adjudicator_id IS DISTINCT FROM @me`,
}

// whoseSigned is signedInRole of somebody. Who stood in for another, and may adjudicate
// alone, has it where they adjudicate.
func whoseSigned(role access.Role, me Reader, today Date) string {
	if role == access.Adjudicator && !me.is(IsSupervisor, today) {
		return "(" + signedInRole[access.Adjudicator] + " OR " + signedInRole[access.Supervisor] + ")"
	}
	return signedInRole[role]
}

// owedTx are the signed cases on which something is open that the actor, whose report it is
// or who signed the version in force, can settle: each with the first of it that is due.
func owedTx(ctx context.Context, tx pgx.Tx, actor access.Actor) (owed []WorkItem, err error) {
	if _, ok := signedInRole[actor.Role]; !ok || actor.ID == uuid.Nil {
		return nil, nil
	}
	now, err := nowTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	me, err := ReaderByIDTx(ctx, tx, actor.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	items, err := workItems(ctx, tx, signed, whoseSigned(actor.Role, me, DateOf(me.local(now)))+`
		      AND EXISTS (SELECT 1 FROM matter m WHERE m.tenant_id = c.tenant_id AND m.case_id = c.case_id AND m.settled_at IS NULL)
		      AND EXISTS (SELECT 1 FROM signed_report r WHERE r.tenant_id = c.tenant_id AND r.case_id = c.case_id AND r.signed_by = @me AND r.report_no IN (1, c.report_no))`, actor, mostLooked)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	var ids []uuid.UUID
	for _, item := range items {
		ids = append(ids, item.CaseID)
	}
	cases, err := casesByIDTx(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	matters, err := MattersOfTx(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		c := cases[item.CaseID]
		if c == nil {
			continue
		}
		offers := OffersTx(tx, actor, *c, now)
		item.Due = nil
		for _, m := range c.Choosable(matters[c.CaseID], actor) {
			what, event := m.owes()
			if !m.Open() || what == "" || item.Due != nil && !m.DueAt.Before(*item.Due) {
				continue
			}
			refused, err := offers.May(ctx, event, m.Number)
			if err != nil {
				return nil, fmt.Errorf("what is owed: %w", err)
			}
			if refused == nil {
				item.Owed, item.Due = what, &m.DueAt
			}
		}
		if item.Owed != "" {
			owed = append(owed, item)
		}
	}
	slices.SortStableFunc(owed, morePressing)
	return owed, nil
}
