package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// The third reader: between two readers (arbitration), or between the reader
// and the original (adjudication). Who it is has had no other part in the case.
// Whether they read for themselves before they see what the others say is the
// policy's (blindAdjudication).

var isThirdReader = Guard{"isThirdReader", "the actor may adjudicate, is neither of the two readers, and no other adjudicator has begun",
	func(ctx context.Context, t *turn) error {
		if t.c.AdjudicatorID != nil {
			return t.actorIs(t.c.AdjudicatorID, "another adjudicator has this case")
		}
		return t.eligible(ctx, t.actor.ID, ToAdjudicate)
	}}

var isAdjudicator = Guard{"isAdjudicator", "the actor is the third reader who has this case",
	func(_ context.Context, t *turn) error {
		if t.c.AdjudicatorID == nil {
			return refuse("no third reader has this case yet; claim it ($claim), see what the others say ($readings), and then decide")
		}
		return t.actorIs(t.c.AdjudicatorID, "another adjudicator has this case")
	}}

var isAdjudicatorOrCoordinator = orCoordinator("isAdjudicatorOrCoordinator", "the actor is the third reader who has this case, or a coordinator", isAdjudicator)

var hasDecided = Guard{"hasDecided", "the third reader has decided, and of what the first report says now",
	func(ctx context.Context, t *turn) error {
		grade, err := t.ledger.lastGrade(ctx, t.c.CaseID)
		if err == nil && grade.GradedBy != t.actor.ID {
			err = refuse("you have not adjudicated this case yet; adjudicate first")
		}
		if err == nil && t.c.ofFormerOriginal(grade) {
			err = refuse("the first report says something else now than when you decided: compare with it and decide again ($adjudicate) before you sign")
		}
		return err
	}}

// Who was matched as the third reader may have lost that since. It is no third reader's
// opinion, then, that would decide, and nobody countersigns one.
var mayDecide = Guard{"mayDecide", "the third reader is still credentialed to adjudicate, and writes nothing that a supervisor must sign",
	func(ctx context.Context, t *turn) error {
		r, err := t.ledger.reader(ctx, t.actor.ID)
		if err != nil {
			return err // mayPractise has asked whether they are here
		}
		if !r.is(IsAdjudicator, DateOf(r.local(t.now))) || r.needsCosign(t.now) {
			return refuse("you are no longer credentialed to decide as the third reader, or a supervisor must sign what you write; what you have written is kept: release the case, and another one decides")
		}
		return nil
	}}

var notLockedYet = Guard{"notLockedYet", "the actor has not locked an opinion as the third reader yet",
	func(ctx context.Context, t *turn) error {
		_, locked, err := t.ownOpinion(ctx)
		if err == nil && locked {
			err = refuse("your opinion is sealed already, and never changes")
		}
		return err
	}}

var ownOpinionFirst = Guard{"ownOpinionFirst", "where the policy wants it (blindAdjudication), the actor has locked an opinion of their own before they decide",
	func(ctx context.Context, t *turn) error {
		if !t.c.Policy.BlindAdjudication {
			return nil
		}
		_, locked, err := t.ownOpinion(ctx)
		if err == nil && !locked {
			err = refuse("a third reader reads for themselves first: lock your own opinion ($lock), then see the others ($readings), then decide")
		}
		return err
	}}

var decisionGiven = Guard{"decisionGiven", "whose opinion stands is said: the first, the second, or the actor's own, which is locked or given now",
	func(ctx context.Context, t *turn) error {
		allowed := []string{"first", "second", "own"}
		if t.c.State == Adjudication {
			allowed = []string{"", "first", "own"}
		}
		switch {
		case t.in.Decision == "" && t.c.State == Arbitration:
			return refuse("say whose opinion stands: decision is first, second or own")
		case !slices.Contains(allowed, t.in.Decision):
			return refuse("decision must be one of %s", strings.Join(allowed[len(allowed)-2:], ", "))
		case t.in.Opinion != nil && t.in.Decision == "first" || t.in.Opinion != nil && t.in.Decision == "second":
			return refuse("an opinion of your own goes with the decision own")
		case t.in.Opinion != nil:
			return complete(*t.in.Opinion)
		case t.in.Decision == "own":
			_, locked, err := t.ownOpinion(ctx)
			if err == nil && !locked {
				err = refuse("you have no opinion of your own in this case; give it")
			}
			return err
		}
		return nil
	}}

// thirdIsBlind: whoever becomes the third reader now is not to know what the original
// says. So who has revealed it may go on with their own decision, but once they have
// given the case back they do not decide it again.
func (c *Case) thirdIsBlind() bool { return c.Veiled || c.State == Arbitration }

// ownOpinion is what the actor has locked as the third reader.
func (t *turn) ownOpinion(ctx context.Context) (Sealed, bool, error) {
	all, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return Sealed{}, false, err
	}
	own, ok := lastLocked(all, t.actor.ID, PartArbitration, PartAdjudication)
	return own, ok, nil
}

var assignAdjudicator = Effect{"assignAdjudicator", "the actor is the third reader",
	func(ctx context.Context, t *turn) error {
		t.c.AdjudicatorID = &t.actor.ID
		t.detail["independent"] = true
		return t.noteThird(ctx)
	}}

var startArbitration = Effect{"startArbitration", "the case waits for a third reader; the adjudicate clock goes on",
	func(ctx context.Context, t *turn) error { return t.startClock(ctx, ClockAdjudicate, keepRunning) }}

var sealThirdOpinion = Effect{"sealThirdOpinion", "the third reader's own opinion is sealed; from now on they may see the others",
	func(ctx context.Context, t *turn) error {
		t.c.Veiled = false
		opinion, err := t.seal(ctx, "locked")
		if err != nil {
			return err
		}
		return t.raiseFromOpinion(ctx, opinion, t.waits)
	}}

var takeDecision = Effect{"takeDecision", "the opinion that the third reader has chosen, or their own, is in force; all others are kept",
	func(ctx context.Context, t *turn) error {
		first, second, err := t.twoOpinions(ctx)
		if err != nil {
			return err
		}
		text := first
		switch {
		case t.in.Opinion != nil:
			if text, err = t.sealNew(ctx, PartArbitration, *t.in.Opinion); err != nil {
				return err
			}
			if err := t.raiseFromOpinion(ctx, text, t.waits); err != nil {
				return err
			}
		case t.in.Decision == "own":
			if text, _, err = t.ownOpinion(ctx); err != nil {
				return err
			}
		case t.in.Decision == "second":
			text = second
		}
		t.detail["decision"] = t.in.Decision
		t.settle(text, settledArbitrated)
		return nil
	}}

var recordAdjudication = Effect{"recordAdjudication", "the actor is the adjudicator; the grade, and the opinion that stands if it is the adjudicator's own, are recorded and in force",
	func(ctx context.Context, t *turn) error {
		t.c.AdjudicatorID, t.c.Veiled = &t.actor.ID, false
		if err := t.noteThird(ctx); err != nil {
			return err
		}
		if _, err := t.recordGrade(ctx); err != nil {
			return err
		}
		switch {
		case t.in.Opinion != nil:
			opinion, err := t.sealInForce(ctx, PartAdjudication, *t.in.Opinion)
			if err != nil {
				return err
			}
			return t.raiseFromOpinion(ctx, opinion, t.waits)
		case t.in.Decision == "own":
			own, locked, err := t.ownOpinion(ctx)
			if err == nil && !locked {
				err = fmt.Errorf("case %s has no opinion of its adjudicator", t.c.CaseID)
			}
			t.c.OpinionNo = &own.OpinionNo
			return err
		}
		return t.restoreOpinion(ctx) // who had decided for their own thinks better of it
	}}

var unassignAdjudicator = Effect{"unassignAdjudicator", "the third reading is nobody's; what was given stays on record, and the next third reader begins anew",
	func(ctx context.Context, t *turn) error {
		c := t.c
		t.detail["adjudicator"] = c.AdjudicatorID
		c.Exam.ThirdDowngrade = ""
		adjudicates := c.State == Adjudication || c.adjudicated()
		c.AdjudicatorID, c.Veiled = nil, adjudicates && c.Policy.BlindAdjudication
		if adjudicates { // the reader's opinion is in force again
			return t.restoreOpinion(ctx)
		}
		c.OpinionNo, c.Settled, c.RevealedAt, c.ReturnedAt = nil, nil, nil, nil
		return nil
	}}

// restoreOpinion puts the opinion in force that was it before the adjudicator's.
func (t *turn) restoreOpinion(ctx context.Context) error {
	all, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	if text, ok := t.c.readersText(all); ok {
		t.c.OpinionNo = &text.OpinionNo
	}
	return nil
}

// readersText is what the reader of the case stands by, or both of two, before a third
// reader decides between it and the original.
func (c *Case) readersText(all []Sealed) (Sealed, bool) {
	return lastLocked(all, *c.ReaderID, append(c.agreedParts(), PartRevision)...)
}

var decidedByThird = &Choice{"decidedByThird", "a third reader has decided between two, and has the case",
	func(_ context.Context, t *turn) (bool, error) { return t.c.settledBy(settledArbitrated), nil }}

// adjudicated tells that a third reader has graded the case, and has it.
func (c *Case) adjudicated() bool {
	return c.AdjudicatorID != nil && (c.State == Adjudication || c.State == AwaitingCosign) && !c.settledBy(settledArbitrated)
}

var isAdjudicated = &Choice{"isAdjudicated", "a third reader has graded the case, and signed for a trainee or a locum",
	func(_ context.Context, t *turn) (bool, error) { return t.c.adjudicated(), nil }}

var askThirdAnew = Effect{"askThirdAnew", "the third reader who has the case decides it anew, or leaves their decision; the adjudicate clock starts again",
	func(ctx context.Context, t *turn) error { return t.startClock(ctx, ClockAdjudicate, restart) }}

var notDecidedByThird = Guard{"notDecidedByThird", "the case is with its reader, not with the third reader who has decided between two",
	func(_ context.Context, t *turn) error {
		if t.c.settledBy(settledArbitrated) {
			return refuse("a third reader has this case: release it, and another third reader takes it")
		}
		return nil
	}}
