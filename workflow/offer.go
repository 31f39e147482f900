package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Offers tell what somebody may do with a case as it stands: the rows of the table for
// the state and the role, and of their guards those that look at the case and at who
// asks. What is to be given with an event is looked at when it is fired.
type Offers struct {
	t     turn
	seen  map[string]error // what a guard said, by its name and the matter
	facts *Facts           // what the order means now, where it is known
}

// Knowing has the guards that look at what the order means now asked as well.
func (o *Offers) Knowing(f Facts) { o.facts = &f }

// ofWhatIsGiven are the guards that look at what is given with an event: of them nothing
// can be told before, but what beforehand has. Every other one is asked; each test that fires something (house.fire) holds that it was offered.
var ofWhatIsGiven = []Guard{
	reasonGiven, candidateEligible, standInEligible, declineCodeKnown, independenceAttested, draftFollows, opinionGiven, opinionComplete, proposalComplete, knowsTheText,
	gradeComplete, decisionGiven, decidesForIndependent, amendsInForce, amendmentComplete, amendmentGraded, verifiesWhatIsOpen, comparesFirstReport, editComplete, editGraded, findingsJudged, sameImages,
	findingComplete, callComplete, questionGiven, answerGiven, priorityGiven, judgementGiven, truthGiven, pointGiven, concluded,
}

// beforehand is what can be known of such guards without anything that is given.
var beforehand = map[string]func(context.Context, *turn) error{
	broadens.Name:        broadensSomehow,
	sameImages.Name:      sameImagesAsKnown,
	standInEligible.Name: anyStandIn,
	concluded.Name:       anyReview,
}

// OffersTx are those of a case for an actor in this moment.
func OffersTx(tx pgx.Tx, actor access.Actor, c Case, now time.Time) *Offers {
	return offersOf(sqlLedger{tx}, tx, actor, c, now)
}

func offersOf(l ledger, tx pgx.Tx, actor access.Actor, c Case, now time.Time) *Offers {
	return &Offers{t: turn{ledger: recollection{l, map[string]any{}}, tx: tx, actor: actor, c: &c, now: now, detail: map[string]any{}}, seen: map[string]error{}}
}

// May tells why the event would be refused to the actor whatever they give with it, by
// a fault of FireTx; nil where it is offered. matter is the number of the finding, question or
// verification that is meant, 0 for the one that is open.
func (o *Offers) May(ctx context.Context, ev Event, matter int) (why *fault.Error, err error) {
	err = o.refusal(ctx, ev, matter)
	if errors.As(err, &why) {
		return why, nil
	}
	return nil, err
}

// Findings are those of which a signature may say whether they stand; undecided tells of
// which it must, as the text is now.
func (o *Offers) Findings(ctx context.Context) (all []KnownMatter, undecided map[int]bool, err error) {
	t := &o.t
	t.event, t.in = "sign", Input{}
	matters, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return nil, nil, err
	}
	must, err := t.undecided(ctx)
	undecided = map[int]bool{}
	for _, m := range must {
		undecided[m.Number] = true
	}
	return slices.DeleteFunc(t.c.Choosable(matters, t.actor), func(m KnownMatter) bool { return !m.isFinding() }), undecided, err
}

func (o *Offers) refusal(ctx context.Context, ev Event, matter int) error {
	t := &o.t
	// Somebody was reached, as far as a choice between rows asks for it: who signed writes an addendum.
	t.event, t.in = ev, Input{Matter: matter, Call: &Call{Reached: true}, Facts: o.facts}
	row, err := choose(ctx, t)
	if err != nil {
		return err
	}
	for _, g := range row.Guards {
		check, known := beforehand[g.Name]
		if !known && slices.ContainsFunc(ofWhatIsGiven, func(given Guard) bool { return given.Name == g.Name }) {
			continue
		}
		key := fmt.Sprint(g.Name, matter)
		if _, asked := o.seen[key]; !asked {
			if !known {
				check = g.Check
			}
			o.seen[key] = check(ctx, t)
		}
		if err := o.seen[key]; err != nil {
			return err
		}
	}
	return nil
}

// broadensSomehow: one of the two steps is still to be taken.
func broadensSomehow(ctx context.Context, t *turn) (err error) {
	for _, t.in.Breadth = range []Breadth{ToRelated, ToGeneral} {
		if err = broadens.Check(ctx, t); err == nil {
			return nil
		}
	}
	return err
}

// sameImagesAsKnown asks where it is known what the order means now.
func sameImagesAsKnown(ctx context.Context, t *turn) error {
	if t.in.Facts == nil {
		return nil
	}
	return sameImages.Check(ctx, t)
}

// anyStandIn: there is somebody to whom the amendment can be given.
func anyStandIn(ctx context.Context, t *turn) error {
	if t.tx == nil {
		return nil // a simulated one
	}
	all, err := StandInsTx(ctx, t.tx, *t.c, t.now)
	if err == nil && len(all) == 0 {
		err = refuse("%s", Phrase("nobody is eligible to stand in for who signed: give somebody who had no part in the case the privilege to supervise or to adjudicate"))
	}
	return err
}

// anyReview: one is open of which something may come.
func anyReview(ctx context.Context, t *turn) error {
	if t.tx == nil {
		return nil
	}
	open, err := reviewOpen(ctx, t.tx, t.c.CaseID)
	if err == nil && !open {
		err = refuse("no review of this case is open")
	}
	return err
}

// All are the events of the table for the role in the state, and whether each is offered;
// of those about a matter, about the one that is open.
func (o *Offers) All(ctx context.Context) (map[string]bool, error) {
	may := EventsFor(o.t.c.State, o.t.actor.Role)
	for name := range may {
		refused, err := o.May(ctx, Event(name), 0)
		if err != nil {
			return nil, err
		}
		may[name] = refused == nil
	}
	return may, nil
}

// recollection asks a ledger for each thing once: many guards look at the same.
type recollection struct {
	ledger

	known map[string]any
}

type answer[T any] struct {
	is  T
	err error
}

func recalled[T any](r recollection, key string, ask func() (T, error)) (T, error) {
	if a, ok := r.known[key].(answer[T]); ok {
		return a.is, a.err
	}
	is, err := ask()
	r.known[key] = answer[T]{is, err}
	return is, err
}

func (r recollection) reader(ctx context.Context, id uuid.UUID) (Reader, error) {
	return recalled(r, "reader "+id.String(), func() (Reader, error) { return r.ledger.reader(ctx, id) })
}

func (r recollection) need(ctx context.Context, c *Case, duty Duty) (Need, error) {
	return recalled(r, fmt.Sprint("need ", duty), func() (Need, error) { return r.ledger.need(ctx, c, duty) })
}

func (r recollection) sealed(ctx context.Context, id uuid.UUID) ([]Sealed, error) {
	return recalled(r, "sealed", func() ([]Sealed, error) { return r.ledger.sealed(ctx, id) })
}

func (r recollection) lastGrade(ctx context.Context, id uuid.UUID) (GivenGrade, error) {
	return recalled(r, "grade", func() (GivenGrade, error) { return r.ledger.lastGrade(ctx, id) })
}

func (r recollection) lastReport(ctx context.Context, id uuid.UUID) (Report, error) {
	return recalled(r, "report", func() (Report, error) { return r.ledger.lastReport(ctx, id) })
}

func (r recollection) report(ctx context.Context, id uuid.UUID, no int) (Report, error) {
	return recalled(r, fmt.Sprint("report ", no), func() (Report, error) { return r.ledger.report(ctx, id, no) })
}

func (r recollection) matters(ctx context.Context, id uuid.UUID) ([]Matter, error) {
	all, err := recalled(r, "matters", func() ([]Matter, error) { return r.ledger.matters(ctx, id) })
	return slices.Clone(all), err
}

func (r recollection) hasRead(ctx context.Context, id, who uuid.UUID) (bool, error) {
	return recalled(r, "read "+who.String(), func() (bool, error) { return r.ledger.hasRead(ctx, id, who) })
}
