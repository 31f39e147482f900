package workflow

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Who read a study first may come to light after the second opinion is signed: its
// report arrives late, or names its readers otherwise. Was it one of those on whose
// reading the signed report rests, the patient has no independent opinion: whoever
// ordered it is told, and the coordinator at once; an independent reader says whether
// the report holds, or amends it. Who read first changes it no more.

// notIndependent is what everybody is told. It names nobody.
var notIndependent = Phrase("who read this second opinion turns out to have read the study first")

// restsOn are those on whose reading the report rests.
func (c *Case) restsOn() (people []uuid.UUID) {
	for _, id := range []*uuid.UUID{c.ReaderID, c.OtherReaderID, c.AdjudicatorID} {
		if id != nil && !slices.Contains(people, *id) {
			people = append(people, *id)
		}
	}
	return people
}

// readFirst says why somebody is, or may be, who read the study first; "" when not,
// or when they are no reader here any more: other guards say what follows from that.
func (t *turn) readFirst(ctx context.Context, who uuid.UUID, exam Exam) (string, error) {
	r, err := t.ledger.reader(ctx, who)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return exam.readFirst(r, t.c.Policy.unnamed()), nil
}

var restsOnFirstReader = &Choice{"restsOnFirstReader", "the report rests on the reading of somebody who is, or may be, the original reader, which was not known before",
	func(ctx context.Context, t *turn) (bool, error) {
		now, first := t.c.Exam, t.in.Facts.First
		now.OriginalReaders, now.OriginalGroups, now.OriginalNames = first.Readers, first.Groups, first.Names
		for _, who := range t.c.restsOn() {
			before, err := t.readFirst(ctx, who, t.c.Exam)
			if err != nil {
				return false, err
			}
			after, err := t.readFirst(ctx, who, now)
			if err != nil || before == "" && after != "" {
				return err == nil, err
			}
		}
		return false, nil
	}}

var noteFirstNamed = Effect{"noteFirstNamed", "who read first is noted again",
	func(ctx context.Context, t *turn) error { return t.noteFirstReaders(ctx, t.in.Facts.First) }}

var doubtIndependence = Effect{"doubtIndependence", "the report is not independent: an eligible supervisor or adjudicator must say whether it holds, or amend it; the clock runs, and the coordinator is told at once",
	func(ctx context.Context, t *turn) error {
		read := t.c.Exam.imagesRead()
		if err := t.openVerification(ctx, StudyChange{Images: read, Then: read, Same: true}); err != nil {
			return err
		}
		all, err := t.ledger.matters(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		open := slices.IndexFunc(all, func(m Matter) bool { return m.isVerification() && m.Open() })
		return t.tellCoordinator(ctx, all[open].clock())
	}}
