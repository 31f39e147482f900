package workflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// Two readers of one case, neither knowing of the other until both have locked:
// the case goes the way from the pool to the lock twice. What happens then is in
// this file: they confer until one text is both of theirs, or a third decides.
// docs/decisions/0014 says why the second reads after the first.

var secondIsToRead = &Choice{"secondIsToRead", "two are to read the case, and this is the first opinion",
	func(_ context.Context, t *turn) (bool, error) { return t.c.double() && t.c.OtherReaderID == nil, nil }}

var twoAreToConfer = &Choice{"twoAreToConfer", "this is the second opinion, and the two readers come to one by consensus or arbitration",
	func(_ context.Context, t *turn) (bool, error) {
		return t.c.OtherReaderID != nil && t.c.Reading != RecallIfOne, nil
	}}

var morePressingStands = &Choice{"morePressingStands", "this is the second opinion, and the protocol takes the more pressing one",
	func(_ context.Context, t *turn) (bool, error) {
		return t.c.OtherReaderID != nil && t.c.Reading == RecallIfOne, nil
	}}

var isOneOfTwo = Guard{"isOneOfTwo", "the actor is one of the two who have read the case",
	func(_ context.Context, t *turn) error {
		if !t.c.IsOneOfTwo(t.actor.ID) {
			return forbid("two other readers confer on this case")
		}
		return nil
	}}

var isOneOfTwoOrOffice = Guard{"isOneOfTwoOrOffice", "the actor is one of the two who have read the case, the coordinator, or the clock",
	func(ctx context.Context, t *turn) error {
		if t.actor.Role == access.Reader {
			return isOneOfTwo.Check(ctx, t)
		}
		return nil
	}}

var secondIsMissing = Guard{"secondIsMissing", "the first of two has read the case, and the second has not begun",
	func(_ context.Context, t *turn) error {
		if t.c.OtherReaderID == nil {
			return refuse("no reader has locked an opinion on this case yet, so there is no second one to do without")
		}
		return nil
	}}

var consensusIsSought = Guard{"consensusIsSought", "the reading protocol is consensus or mixed",
	func(_ context.Context, t *turn) error {
		if t.c.Reading != ByConsensus && t.c.Reading != MixedReading {
			return refuse("this case is read by %s: concur with the other opinion, or refer the case to a third reader", t.c.Reading)
		}
		return nil
	}}

var mayRefer = Guard{"mayRefer", "the reading protocol is arbitration or mixed; the coordinator may refer every case to a third reader",
	func(_ context.Context, t *turn) error {
		if t.actor.Role == access.Reader && t.c.Reading == ByConsensus {
			return refuse("this case is read by consensus: propose a text that both can stand by, or ask the coordinator to refer it")
		}
		return nil
	}}

var proposalComplete = Guard{"proposalComplete", "the text that is proposed has findings and an impression",
	func(_ context.Context, t *turn) error {
		if t.in.Opinion == nil {
			return refuse("propose needs the opinion that both of you are to stand by")
		}
		return complete(*t.in.Opinion)
	}}

var knowsTheText = Guard{"knowsTheText", "the actor names, by its SHA-256, the text of the other reader that is on the table",
	func(ctx context.Context, t *turn) error {
		text, err := t.onTheTable(ctx)
		if err != nil {
			return err
		}
		if t.in.SHA256 != text.SHA256 {
			return refuse("that is not the other reader's text, or no longer: read what is on the table (GET Task/{id}/$readings), and concur with its sha256")
		}
		return nil
	}}

// other is the one of the two who is not the actor.
func (t *turn) other() uuid.UUID {
	if *t.c.ReaderID == t.actor.ID {
		return *t.c.OtherReaderID
	}
	return *t.c.ReaderID
}

// onTheTable is what the other reader stands by: what they proposed last, or
// their own opinion.
func (t *turn) onTheTable(ctx context.Context) (Sealed, error) {
	all, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return Sealed{}, err
	}
	text, ok := lastLocked(all, t.other(), PartFirst, PartSecond, PartProposal)
	if !ok {
		return Sealed{}, fmt.Errorf("case %s has no opinion of its other reader", t.c.CaseID)
	}
	return text, nil
}

var passOn = Effect{"passOn", "the opinion is kept for itself; the case goes to a second reader, who is told nothing of it",
	func(_ context.Context, t *turn) error {
		t.c.OtherReaderID, t.c.ReaderID, t.c.LockedAt = t.c.ReaderID, nil, nil
		t.c.Lapsed, t.c.OfferRound = nil, 1
		return nil
	}}

var startConferring = Effect{"startConferring", "each of the two may see the other's opinion; the adjudicate clock starts; where a third reader may decide, the time for that runs",
	func(ctx context.Context, t *turn) error {
		if t.c.Reading != ByConsensus {
			until := t.c.Policy.Calendar.Add(t.now, t.c.Policy.conferWithin(t.c.Priority))
			if err := t.plan(ctx, conferTimeout, until, restart); err != nil {
				return err
			}
		}
		return t.startClock(ctx, ClockAdjudicate, restart)
	}}

var sealProposal = Effect{"sealProposal", "the text is put on the table and kept; it is the actor's until the other concurs",
	func(ctx context.Context, t *turn) error {
		text, err := t.sealNew(ctx, PartProposal, *t.in.Opinion)
		if err != nil {
			return err
		}
		first, second, err := t.twoOpinions(ctx)
		if err != nil {
			return err
		}
		same := SameSentence(text.Content.Impression, first.Content.Impression) || SameSentence(text.Content.Impression, second.Content.Impression)
		return t.raiseFromOpinion(ctx, text, func(m Matter) bool { return same || SameSentence(m.Content.Text, text.Content.Impression) })
	}}

var agree = Effect{"agree", "the other reader's text is both of theirs; its author leads the case on",
	func(ctx context.Context, t *turn) error {
		text, err := t.onTheTable(ctx)
		if err != nil {
			return err
		}
		how := settledAgreed
		if text.Part == PartProposal {
			how = settledConsensus
		}
		t.settle(text, how)
		return nil
	}}

var takeMorePressing = Effect{"takeMorePressing", "the opinion with the more pressing actionable category stands, the first where both are the same; its author leads the case on",
	func(ctx context.Context, t *turn) error {
		first, second, err := t.twoOpinions(ctx)
		if err != nil {
			return err
		}
		if pressing := second.Content.Actionable; mostPressing(first.Content.Actionable, pressing) == pressing && pressing != first.Content.Actionable {
			first = second
		}
		t.settle(first, settledPressing)
		return nil
	}}

var forgoSecond = Effect{"forgoSecond", "the first opinion stands alone, and the record says so; its reader goes on",
	func(ctx context.Context, t *turn) error {
		all, err := t.ledger.sealed(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		text, ok := lastLocked(all, *t.c.OtherReaderID, PartFirst, PartSecond)
		if !ok {
			return fmt.Errorf("case %s has no first opinion", t.c.CaseID)
		}
		t.c.ReaderID, t.c.OtherReaderID = t.c.OtherReaderID, nil
		t.settle(text, settledForgone)
		return nil
	}}

// settle makes a text the opinion in force, and its author the one who goes on.
func (t *turn) settle(text Sealed, how string) {
	c := t.c
	if c.OtherReaderID != nil && *c.OtherReaderID == text.ReaderID {
		c.ReaderID, c.OtherReaderID = c.OtherReaderID, c.ReaderID
	}
	c.OpinionNo, c.Settled = &text.OpinionNo, &how
	c.LockedAt = later(c.LockedAt, text.SealedAt)
	t.detail["settled"], t.detail["opinionNo"] = how, text.OpinionNo
}

func later(a *time.Time, b time.Time) *time.Time {
	if a != nil && a.After(b) {
		return a
	}
	return &b
}

// twoOpinions are those that the two readers have locked independently, in
// the order in which they were.
func (t *turn) twoOpinions(ctx context.Context) (first, second Sealed, err error) {
	all, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return first, second, err
	}
	one, ok1 := lastLocked(all, *t.c.ReaderID, PartFirst, PartSecond)
	two, ok2 := lastLocked(all, *t.c.OtherReaderID, PartFirst, PartSecond)
	if !ok1 || !ok2 {
		return first, second, fmt.Errorf("case %s lacks one of two opinions", t.c.CaseID)
	}
	if two.OpinionNo < one.OpinionNo {
		one, two = two, one
	}
	return one, two, nil
}

// timeOutConferring refers a case on which two readers have not come to one
// text in time to a third.
func (e *Engine) timeOutConferring(ctx context.Context, j job) (time.Time, error) {
	if !slices.Contains(in(Conferring), j.c.State) {
		return done, nil
	}
	return done, e.fireSystem(ctx, j, "refer", Input{Reason: "the two readers have not come to one text in time"})
}
