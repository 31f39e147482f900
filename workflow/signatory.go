package workflow

import (
	"cmp"
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A report is of who signed its first version, and stays theirs: they answer, verify and
// change it, whoever has signed a later version in their place. Each version names who
// signed it. Who stood in for them keeps what they began, and whatever comes to the report
// they have signed, as long as what made them stand in holds: the other is away, or the
// coordinator has given it to them. When the other signs again, it is theirs alone.

// signatories are who signed the first version of a report, and who signed the last.
type signatories struct {
	first, last uuid.UUID
	given       bool // who signed the last one did so though the other was there: it was given to them
}

func (t *turn) signatories(ctx context.Context) (s signatories, err error) {
	last, err := t.ledger.lastReport(ctx, t.c.CaseID)
	if err != nil {
		return s, err
	}
	first := last
	if last.No > 1 {
		if first, err = t.ledger.report(ctx, t.c.CaseID, 1); err != nil {
			return s, err
		}
	}
	return signatoriesOf(first, last), nil
}

// signatoriesOf: of versions from before it was noted why somebody stood in, it is
// taken that it was given to them.
func signatoriesOf(first, last Report) signatories {
	return signatories{first.SignedBy, last.SignedBy, last.StandIn == "" || last.StandIn == StandInNamed}
}

// stoodIn: somebody else signed the last version than whose report it is.
func (s signatories) stoodIn() bool { return s.first != s.last }

var isSignatory = Guard{"isSignatory", "the report is the actor's, who signed its first version and has not turned out to be the original reader; or they stand in for who did: as the one whom the coordinator has named, as who signed the version in force while the other cannot, or as an eligible supervisor or adjudicator where neither can, being no reader here any more, without a licence, absent or the original reader",
	func(ctx context.Context, t *turn) error {
		s, err := t.signatories(ctx)
		if err != nil {
			return err
		}
		me := t.actor.ID
		if me == s.first || me == s.last {
			why, err := t.readFirst(ctx, me)
			if err == nil && why != "" {
				err = forbid("the original report, which came or changed late, may be your own (the reader %s): a supervisor or adjudicator who is independent stands in for you", why)
			}
			if err != nil {
				return err
			}
		}
		if me == s.first {
			return nil
		}
		away, err := t.cannotAct(ctx, s.first)
		if err != nil {
			return err
		}
		if me == s.last && (away || s.given || t.isStandIn(s)) {
			return t.stillStandsIn(ctx)
		}
		return t.mayStandIn(ctx, s, away)
	}}

// mayStandIn refuses who did not sign the version in force, or did so for somebody who
// is here again.
func (t *turn) mayStandIn(ctx context.Context, s signatories, away bool) error {
	duty, ok := standInDuty(t.actor.Role)
	switch {
	case t.actor.ID == s.last:
		return forbid("whose report it is, and for whom you have signed, is here again and may change it; the coordinator can give an amendment to you (reassign, once it is open)")
	case !ok:
		return forbid("only who signed the report may change it")
	}
	if away && s.stoodIn() {
		var err error
		if away, err = t.cannotAct(ctx, s.last); err != nil {
			return err
		}
	}
	if away || t.isStandIn(s) {
		return t.eligible(ctx, t.actor.ID, duty)
	}
	return forbid("only who signed the report may change it; while they are here, a supervisor stands in where the coordinator says so (reassign, once the amendment is open)")
}

// stillStandsIn: whoever signed in the place of another needs the credential for it as
// before. That they have a part in the case now is no reason against them.
func (t *turn) stillStandsIn(ctx context.Context) error {
	r, err := t.ledger.reader(ctx, t.actor.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return forbid("you are no longer credentialed for this tenant")
	}
	if err == nil && !r.mayStandIn(DateOf(r.local(t.now))) {
		err = forbid("you are no longer credentialed to supervise or to adjudicate, as whoever stands in for another needs")
	}
	return err
}

func (r Reader) mayStandIn(today Date) bool {
	return r.is(IsSupervisor, today) || r.is(IsAdjudicator, today)
}

// isStandIn: the amendment is open, and was given to the actor, or begun or taken over by
// them. Of one that was given before that was noted, the case's supervisor says so.
func (t *turn) isStandIn(s signatories) bool { return t.c.amendsInstead(t.actor.ID, s) }

func (c *Case) amendsInstead(who uuid.UUID, s signatories) bool {
	if c.State != Amending || who == s.first {
		return false
	}
	if by := c.Exam.AmendedBy; by != nil {
		return *by == who
	}
	return c.Exam.Signer == nil && !s.stoodIn() && c.SupervisorID != nil && *c.SupervisorID == who
}

// cannotAct: somebody is no reader here any more, may not practise on the case's
// exam today, is absent, or has turned out to be the original reader. Who is merely off
// shift comes back in time.
func (t *turn) cannotAct(ctx context.Context, who uuid.UUID) (bool, error) {
	why, err := t.whyAway(ctx, who)
	return why != "", err
}

func (t *turn) whyAway(ctx context.Context, who uuid.UUID) (WhyStandIn, error) {
	r, err := t.ledger.reader(ctx, who)
	if errors.Is(err, pgx.ErrNoRows) {
		return StandInGone, nil
	}
	if err != nil {
		return "", err
	}
	return t.c.whyAway(r, t.now), nil
}

// noteWhose notes in a version that it is signed in the place of somebody, and why; and
// whom the case has from then on.
func (t *turn) noteWhose(ctx context.Context, r *Report) error {
	c := t.c
	r.StandIn, c.Exam.AmendedBy = "", nil
	if r.No == 1 || r.Status == "entered-in-error" {
		return nil
	}
	first, err := t.ledger.report(ctx, c.CaseID, 1)
	if err != nil {
		return err
	}
	c.Exam.Signer = &t.actor.ID
	if first.SignedBy == t.actor.ID {
		if is := first.SupervisorID; is != nil && *is == t.actor.ID {
			c.SupervisorID = is
		}
		return nil
	}
	r.StandIn, err = t.whyAway(ctx, first.SignedBy)
	if err == nil && r.StandIn == "" {
		r.StandIn = StandInNamed
	}
	return err
}

// signerOrStandIn is who has the amendment that is open, or signed the version in force.
func (c *Case) signerOrStandIn() *uuid.UUID {
	if c.State == Amending && c.Exam.AmendedBy != nil {
		return c.Exam.AmendedBy
	}
	return cmp.Or(c.Exam.Signer, c.SupervisorID, c.AdjudicatorID, c.ReaderID)
}

// whoAnswers is whom the clocks of a signed case are for: to whom its amendment was given,
// who signed the version in force in the place of another while that holds, or whose
// report it is.
func (t *turn) whoAnswers(ctx context.Context, clock ClockName) (*uuid.UUID, error) {
	usual := t.c.responsible(clock)
	if t.c.ReportNo < 2 || t.c.State == Amending && t.c.Exam.AmendedBy != nil {
		return usual, nil
	}
	s, err := t.signatories(ctx)
	if err != nil || !s.stoodIn() {
		return usual, err
	}
	gone, err := t.cannotAct(ctx, s.last)
	if err != nil {
		return nil, err
	}
	away, err := t.cannotAct(ctx, s.first)
	if !away && (gone || !s.given) {
		return &s.first, err
	}
	return usual, err
}
