package workflow

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// Whoever is an author of a report answers for its text: it is theirs, or they have
// agreed to it word by word. Where a third reader gives their own, it is nobody else's;
// where they leave a reader's, or a supervisor signs it as it is, they have decided and
// signed, and it is not theirs. A text of two that one of them changes later in what
// readings are compared by is that one's: the other has not seen it.

// authorsOf are those whose text a sealed opinion is that a reader gave.
func (c *Case) authorsOf(text Sealed, all []Sealed) []uuid.UUID {
	alone := []uuid.UUID{text.ReaderID}
	if !c.both() || !c.IsOneOfTwo(text.ReaderID) {
		return alone
	}
	if text.Part == PartRevision {
		before, ok := lastLocked(all, text.ReaderID, c.agreedParts()...)
		if ok && changesWeight(before.Content, text.Content) {
			return alone
		}
	}
	return []uuid.UUID{*c.ReaderID, *c.OtherReaderID}
}

// agreedParts are what the text may be that the readers came to.
func (c *Case) agreedParts() []ReadingPart {
	if c.settledBy(settledConsensus) {
		return []ReadingPart{PartProposal}
	}
	return []ReadingPart{PartFirst, PartSecond}
}

// authors are those whose text is in force.
func (t *turn) authors(ctx context.Context) ([]uuid.UUID, error) {
	all, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return nil, err
	}
	text, err := standing(t.c, all)
	if err != nil {
		return nil, err
	}
	if text.Part == PartCosign { // in this very event
		return withAuthor(t.authored, text.ReaderID), nil
	}
	return t.c.authorsOf(text, all), nil
}

// AuthoredBy are those whose text the report is. Versions of before it was noted name
// everybody who had a part.
func (r Report) AuthoredBy() []uuid.UUID {
	if len(r.Authors) > 0 {
		return r.Authors
	}
	authors := []uuid.UUID{r.ReaderID}
	for _, id := range []*uuid.UUID{r.OtherReaderID, r.AdjudicatorID} {
		if id != nil {
			authors = append(authors, *id)
		}
	}
	if r.SupervisorID != nil && len(r.Cosigned) > 0 {
		authors = append(authors, *r.SupervisorID)
	}
	return authors
}

// amendedBy notes whose the text is after somebody has changed it.
func (r *Report) amendedBy(c *Case, who uuid.UUID, before, after Opinion) {
	if c.both() && c.IsOneOfTwo(who) && changesWeight(before, after) {
		r.Authors = slices.DeleteFunc(slices.Clone(r.AuthoredBy()), func(id uuid.UUID) bool { return id != who && c.IsOneOfTwo(id) })
		return
	}
	r.Authors = withAuthor(r.AuthoredBy(), who)
}

func withAuthor(authors []uuid.UUID, who uuid.UUID) []uuid.UUID {
	if slices.Contains(authors, who) {
		return authors
	}
	return append(slices.Clone(authors), who)
}
