package workflow

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Who read a study first may come to light after the second opinion is signed: its
// report arrives late, or names its readers otherwise. Was it one of those who had a
// part in the signed report, the patient has no independent opinion: whoever
// ordered it is told, and the coordinator at once; an independent reader says whether
// the report holds, or amends it. Who read first changes it no more.

// notIndependent is what everybody is told. It names nobody.
var notIndependent = Phrase("who has read, or countersigned, this second opinion turns out to be, or may be, who read the study first")

// hadPart are those who had a part in the signed report: whose text it is, whoever
// decided or countersigned, and who signed.
func (r Report) hadPart() []uuid.UUID {
	people := withAuthor(r.AuthoredBy(), r.SignedBy)
	for _, id := range []*uuid.UUID{r.AdjudicatorID, r.SupervisorID} {
		if id != nil {
			people = withAuthor(people, *id)
		}
	}
	return people
}

var readersIndependent = Guard{"readersIndependent", "neither the actor nor anybody whose text is in force has turned out to be the original reader",
	func(ctx context.Context, t *turn) error {
		authors, err := t.authors(ctx)
		if err != nil {
			return err
		}
		for _, who := range append(authors, t.actor.ID) {
			why, err := t.readFirst(ctx, who)
			if err != nil {
				return err
			}
			if why != "" {
				return refuse("the original report, which came or changed late, may be of one of those who read again (the reader %s): release the case, or ask the coordinator to; a third reader decides by an opinion of their own, or for the other one", why)
			}
		}
		return nil
	}}

// A third reader does not decide for the one who made the original.
var decidesForIndependent = Guard{"decidesForIndependent", "whose opinion stands has not turned out to be the original reader",
	func(ctx context.Context, t *turn) error {
		if t.in.Opinion != nil || t.in.Decision == "own" {
			return nil
		}
		chosen, err := t.chosenAuthors(ctx)
		if err != nil {
			return err
		}
		for _, who := range chosen {
			why, err := t.readFirst(ctx, who)
			if err != nil {
				return err
			}
			if why != "" {
				return refuse("the original report, which came or changed late, may be of one of those for whom you decide (the reader %s): decide for the other one of two who differ, or give an opinion of your own (decision own)", why)
			}
		}
		return nil
	}}

// chosenAuthors are those whose text stands by the decision: of two who differ the one,
// of a text that is both of theirs both.
func (t *turn) chosenAuthors(ctx context.Context) ([]uuid.UUID, error) {
	if t.c.State == Arbitration {
		first, second, err := t.twoOpinions(ctx)
		if t.in.Decision == "second" {
			first = second
		}
		return []uuid.UUID{first.ReaderID}, err
	}
	all, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return nil, err
	}
	text, ok := t.c.readersText(all)
	if !ok {
		return nil, nil
	}
	return t.c.authorsOf(text, all), nil
}

// What is dropped when a case of two goes back is the reading that came last, but where
// the first of them has turned out to be the original reader.
var keepIndependent = Effect{"keepIndependent", "where the first of two has turned out to be the original reader, it is their reading that is dropped, and the other's is kept, if it is sealed",
	func(ctx context.Context, t *turn) error {
		c := t.c
		if c.ReaderID == nil || c.OtherReaderID == nil {
			return nil
		}
		why, err := t.readFirst(ctx, *c.OtherReaderID)
		if err != nil || why == "" {
			return err
		}
		all, err := t.ledger.sealed(ctx, c.CaseID)
		if err != nil {
			return err
		}
		if _, sealed := lastLocked(all, *c.ReaderID, PartFirst, PartSecond); sealed {
			c.ReaderID, c.OtherReaderID = c.OtherReaderID, c.ReaderID
			return nil
		}
		c.Declined, c.OtherReaderID = append(c.Declined, *c.OtherReaderID), nil // neither is kept: two read it anew
		return nil
	}}

// sameReader is what a director sets aside who finds, in spite of the names, that the
// report is independent.
const sameReader = "same-reader"

// readFirst says why somebody is, or may be, who read the study first as the case knows
// it; "" when not, or when a director has found otherwise.
func (t *turn) readFirst(ctx context.Context, who uuid.UUID) (string, error) {
	return t.readFirstOf(ctx, who, t.c.doubtedOf())
}

// doubtedOf is the exam with those of its first readers who are not set aside: a director's
// finding is about names, and no finding holds against an identifier.
func (c *Case) doubtedOf() Exam {
	exam := c.Exam
	if c.SetAside(sameReader) {
		exam.OriginalNames, exam.OriginalGroups = nil, nil
	}
	return exam
}

// anyIdentified tells whether one of these people is named as the original reader by an
// identifier.
func (t *turn) anyIdentified(ctx context.Context, people []uuid.UUID) (bool, error) {
	for _, who := range people {
		r, err := t.ledger.reader(ctx, who)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil || t.c.Exam.identifies(r) {
			return err == nil, err
		}
	}
	return false, nil
}

// readFirstOf says it of an exam; "" also of somebody who is no reader here any more:
// other guards say what follows from that.
func (t *turn) readFirstOf(ctx context.Context, who uuid.UUID, exam Exam) (string, error) {
	r, err := t.ledger.reader(ctx, who)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return exam.readFirst(r, t.c.Policy.unnamed()), nil
}

var restsOnFirstReader = &Choice{"restsOnFirstReader", "somebody who had a part in the report is, or may be, the original reader, which was not known before",
	func(ctx context.Context, t *turn) (bool, error) {
		first := t.in.Facts.First
		now := t.c.Exam.of(first)
		report, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return false, err
		}
		for _, who := range report.hadPart() {
			if doubted, err := t.doubtedAnew(ctx, who, now, first); err != nil || doubted {
				return doubted, err
			}
		}
		return false, nil
	}}

// doubtedAnew: somebody may be one of the first readers as they are named now, which was
// not known before. Whom a director has found to be somebody else is so only by those
// who were not named then.
func (t *turn) doubtedAnew(ctx context.Context, who uuid.UUID, now Exam, first FirstReaders) (bool, error) {
	after, err := t.readFirstOf(ctx, who, now)
	if err != nil || after == "" || t.identified(who) {
		return err == nil && after != "", err
	}
	before, err := t.readFirstOf(ctx, who, t.c.Exam)
	if err != nil || before == "" || !t.c.SetAside(sameReader) {
		return err == nil && before == "", err
	}
	anew, err := t.readFirstOf(ctx, who, t.c.Exam.namedAnew(first))
	return anew != "", err
}

var noteFirstNamed = Effect{"noteFirstNamed", "who read first is noted again",
	func(ctx context.Context, t *turn) error { return t.noteFirstReaders(ctx, t.in.Facts.First) }}

var doubtIndependence = Effect{"doubtIndependence", "the report is not independent: an eligible supervisor or adjudicator must say whether it holds, or amend it; the clock runs, and the coordinator is told at once",
	func(ctx context.Context, t *turn) error {
		t.c.Waived = slices.DeleteFunc(t.c.Waived, func(code string) bool { return code == sameReader }) // which was said of others
		read := t.c.Exam.imagesRead()
		if err := t.openVerification(ctx, StudyChange{Images: read, ImagesThen: read, SameReader: true}); err != nil {
			return err
		}
		m, err := t.chosen(ctx, VerificationMatter) // the open one
		if err != nil {
			return err
		}
		return t.tellCoordinator(ctx, m.clock())
	}}
