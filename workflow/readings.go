package workflow

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// ReadingsTx returns the sealed opinions of a case that an actor may see, the
// oldest first. An opinion is no resource, and this is the only way to it before
// the report:
//
//   - everybody sees their own;
//   - the two who read a case see each other's when both have locked, and what
//     either has proposed since;
//   - the third reader who has the case sees those that they decide between, and
//     where the policy wants them to read for themselves first, once they have;
//   - a supervisor who may sign sees the one that waits for the signature;
//   - the role of quality sees all, with who gave them, which is recorded.
//
// It returns a fault of kind Forbidden for every other role. What is not for the
// actor is left out without a word: nobody can tell that it is there.
func ReadingsTx(ctx context.Context, tx pgx.Tx, actor access.Actor, c Case) ([]Sealed, error) {
	all, err := sealedTx(ctx, tx, c.CaseID)
	if err != nil || actor.Role == access.Quality {
		return all, err
	}
	var shown func(Sealed) bool
	switch actor.Role {
	case access.Reader, access.Adjudicator:
		shown = c.mutual(actor, all)
	case access.Supervisor:
		if shown, err = c.toSign(ctx, tx, actor, all); err != nil {
			return nil, err
		}
	default:
		return nil, fault.New(fault.Forbidden, "the role %s does not see the opinions of a case; its report has what was signed", actor.Role)
	}
	return slices.DeleteFunc(all, func(o Sealed) bool { return o.ReaderID != actor.ID && !shown(o) }), nil
}

// mutual is what readers see of each other.
func (c *Case) mutual(actor access.Actor, all []Sealed) func(Sealed) bool {
	nothing := func(Sealed) bool { return false }
	between := func(o Sealed) bool {
		return o.Status == "locked" && c.IsOneOfTwo(o.ReaderID) && slices.Contains([]ReadingPart{PartFirst, PartSecond, PartProposal, PartRevision}, o.Part)
	}
	conferred := c.double() && (c.Settled != nil || slices.Contains(in(Conferring, Arbitration), c.State) || c.heldIn(Conferring, Arbitration))
	switch {
	case c.IsOneOfTwo(actor.ID) && conferred:
		return between
	case c.AdjudicatorID == nil || *c.AdjudicatorID != actor.ID || !slices.Contains(third, c.State) && c.State != Locked && c.State != Comparing:
		return nothing
	case !c.Policy.BlindAdjudication:
		return between
	}
	if _, own := lastLocked(all, actor.ID, PartArbitration, PartAdjudication); own || c.Settled != nil && c.State != Adjudication {
		return between
	}
	return nothing
}

// heldIn: the case is on hold, from one of these states.
func (c *Case) heldIn(states ...State) bool {
	return c.State == OnHold && c.ResumeState != nil && slices.Contains(states, *c.ResumeState)
}

// toSign is what a supervisor sees who may sign.
func (c *Case) toSign(ctx context.Context, tx pgx.Tx, actor access.Actor, all []Sealed) (func(Sealed) bool, error) {
	nothing := func(Sealed) bool { return false }
	if c.State != AwaitingCosign {
		return nothing, nil
	}
	r, err := ReaderByIDTx(ctx, tx, actor.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nothing, nil
	}
	if err != nil {
		return nil, err
	}
	now, err := nowTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	need, err := needTx(ctx, tx, c, ToSupervise)
	if err != nil || len(Eligible(need, r, now)) > 0 {
		return nothing, err
	}
	toSign, err := standing(c, all)
	return func(o Sealed) bool { return o.OpinionNo == toSign.OpinionNo }, err
}

// ComparedTx returns how the reader graded what differs from the original, for whoever
// decides or signs next and is shown that reader's opinion: the third reader who has
// the case, and a supervisor who may sign. shown is what ReadingsTx gave them. ok is
// false for everybody else, and where there is no grade.
//
// What was to be expected, why it was missed, and the comment are of the quality
// compartment, and not here.
func ComparedTx(ctx context.Context, tx pgx.Tx, actor access.Actor, c Case, shown []Sealed) (g Grade, ok bool, err error) {
	decides := actor.Role == access.Adjudicator && (c.State == Adjudication || c.heldIn(Adjudication)) && c.AdjudicatorID != nil && *c.AdjudicatorID == actor.ID
	signs := actor.Role == access.Supervisor && c.State == AwaitingCosign
	lead := c.lead()
	if !decides && !signs || lead == nil || !slices.ContainsFunc(shown, func(o Sealed) bool { return o.ReaderID != actor.ID }) {
		return Grade{}, false, nil
	}
	all, err := GradesTx(ctx, tx, c.CaseID)
	if err != nil {
		return Grade{}, false, err
	}
	for _, given := range slices.Backward(all) {
		if given.GradedBy == *lead {
			return given.Content.clinical(), true, nil
		}
	}
	return Grade{}, false, nil
}

// clinical is a grade without what is of the quality compartment.
func (g Grade) clinical() Grade {
	g.Comment, g.GoodCall = "", false
	g.Discrepancies = slices.Clone(g.Discrepancies)
	for i := range g.Discrepancies {
		g.Discrepancies[i].Expectedness, g.Discrepancies[i].Asymmetry = "", nil
	}
	return g
}
