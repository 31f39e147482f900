package workflow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// turn is one firing in progress: what choices and guards look at, and effects
// change. Nothing of it outlives the transaction.
type turn struct {
	ledger       ledger
	tx           pgx.Tx // for the hooks, and for quality work, which the simulation does without; nil in memory
	actor        access.Actor
	c            *Case
	event        Event
	in           Input
	now          time.Time
	detail       map[string]any                 // of the case_event; no patient data
	report       *Report                        // when one is signed
	told         []Told                         // when somebody is told
	matters      []int                          // that are opened, changed or settled
	addendum     *Amendment                     // that signAddendum signs
	afterSigning []func(context.Context) error  // what needs the number of the version that is signed
	draft        *Draft                         // when one is saved
	changed      []string                       // sections that a supervisor or a returned reader has changed
	reworded     bool                           // the impression among them, and not by case, spaces or a full stop alone
	authored     []uuid.UUID                    // whose text it was before a supervisor changed it
	item         func(kind string) (item, bool) // of the agenda
	was          Description                    // of the case, before the event
	wasComplete  *time.Time
	wasOf        *string // whose case it was: the patient
}

// Guard refuses an event with a reason: a fault of kind Forbidden when the
// actor is the wrong one, BusinessRule when something else must be done first.
type Guard struct {
	Name  string
	Doc   string
	Check func(ctx context.Context, t *turn) error
}

// Choice picks between rows of the same state and event.
type Choice struct {
	Name  string
	Doc   string
	Holds func(ctx context.Context, t *turn) (bool, error)
}

func refuse(format string, args ...any) error { return fault.New(fault.BusinessRule, format, args...) }
func forbid(format string, args ...any) error { return fault.New(fault.Forbidden, format, args...) }

var reasonGiven = Guard{"reasonGiven", "a reason is given",
	func(_ context.Context, t *turn) error {
		if strings.TrimSpace(t.in.Reason) == "" {
			return refuse("%s needs a reason", t.event)
		}
		return nil
	}}

var canResolve = Guard{"canResolve", "every doubt is one that a human may resolve; so is what a second read for quality lacks",
	func(ctx context.Context, t *turn) error {
		if t.c.SampleOf != nil {
			if err := canProceed.Check(ctx, t); err != nil {
				return err
			}
		}
		return onlyWaivable(t, Doubtful, resolvedInReview)
	}}

var canProceed = Guard{"canProceed", "the case may go on without everything that is missing: the coordinator may decide that, and time only what the checks say so of",
	func(_ context.Context, t *turn) error {
		least := waivedByHuman
		if t.actor.Role == access.System {
			least = waivedByTimeToo
		}
		if err := onlyWaivable(t, MissingInformation, least); err != nil {
			return err
		}
		return onlyWaivable(t, MissingImages, least)
	}}

func onlyWaivable(t *turn, kind FindingKind, least waiver) error {
	for _, f := range t.c.Findings {
		if f.Kind == kind && waiverOf(f.Code) < least {
			return refuse("the case cannot go on with %s: %s", f.Code, f.Text)
		}
	}
	return nil
}

var candidateEligible = Guard{"candidateEligible", "the one to whom it is offered is eligible",
	func(ctx context.Context, t *turn) error {
		if t.in.ReaderID == nil {
			return refuse("offer needs the reader to whom")
		}
		// Whom the coordinator asks in person may have declined before, and
		// may be off shift.
		return t.eligible(ctx, *t.in.ReaderID, ToRead)
	}}

var declineCodeKnown = Guard{"declineCodeKnown", "the reason, where it is coded, is one of the codes",
	func(_ context.Context, t *turn) error {
		if t.in.Code != "" && !slices.Contains(DeclineCodes, t.in.Code) {
			return refuse("code must be one of %s", strings.Join(DeclineCodes, ", "))
		}
		return nil
	}}

var broadens = Guard{"broadens", "the case gets broader by it than it is",
	func(_ context.Context, t *turn) error {
		if t.in.Breadth != ToRelated && t.in.Breadth != ToGeneral {
			return refuse("to must be related or general")
		}
		if _, ok := t.c.broaden(t.in.Breadth, "", t.now); !ok {
			return refuse("the case is as broad as that already, or its subspecialty (%s) has no such step", t.c.Exam.Subspecialty)
		}
		return nil
	}}

var independenceAttested = Guard{"independenceAttested", "the reader attests that the reading is independent of the first",
	func(_ context.Context, t *turn) error {
		if !t.in.Independent {
			return refuse("claim needs your word that you read independently of the first reading")
		}
		return nil
	}}

var actorEligible = Guard{"actorEligible", "the actor is eligible to read this case (matching.go)",
	func(ctx context.Context, t *turn) error { return t.eligible(ctx, t.actor.ID, ToRead) }}

var offeredToActor = Guard{"offeredToActor", "it is offered to the actor",
	func(_ context.Context, t *turn) error {
		return t.actorIs(t.c.OfferedTo, "the case is offered to another reader")
	}}

var isReader = Guard{"isReader", "the actor is the reader who has the case, or the third reader who has decided between two",
	func(_ context.Context, t *turn) error {
		return t.actorIs(t.c.lead(), "another reader has this case")
	}}

var isReaderOrCoordinator = orCoordinator("isReaderOrCoordinator", "the actor is the reader who has the case, or a coordinator", isReader)

var stillIndependent = Guard{"stillIndependent", "the reader has not turned out to be the original reader, whose report came late",
	func(ctx context.Context, t *turn) error {
		r, err := t.ledger.reader(ctx, t.actor.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return forbid("you are no longer credentialed for this tenant; release the case")
		}
		if err != nil {
			return err
		}
		if why := t.c.Exam.readFirst(r, t.c.Policy.unnamed()); why != "" {
			return refuse("the original report, which came or changed late, may be your own (the reader %s); release the case", why)
		}
		return nil
	}}

var mayPractise = Guard{"mayPractise", "the actor is credentialed and licensed today: a licence may have expired since the case was taken. Drafts are saved all the same",
	func(ctx context.Context, t *turn) error {
		r, err := t.ledger.reader(ctx, t.actor.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return forbid("you are no longer credentialed for this tenant; the coordinator can release the case")
		}
		if err != nil {
			return err
		}
		if reasons := unlicensed(t.c.Exam, r, DateOf(r.local(t.now))); len(reasons) > 0 {
			return refuse("you may not %s: %s; what you have written is kept, and drafts can still be saved: release the case, or ask the coordinator to", t.event, strings.Join(reasons, "; "))
		}
		return nil
	}}

var opinionGiven = Guard{"opinionGiven", "there is text to save",
	func(_ context.Context, t *turn) error {
		if t.in.Opinion == nil {
			return refuse("draft needs the opinion so far")
		}
		return nil
	}}

var opinionComplete = Guard{"opinionComplete", "the opinion, given now or drafted before, has findings and an impression",
	func(ctx context.Context, t *turn) error {
		opinion := t.in.Opinion
		if opinion == nil {
			draft, err := t.ledger.draft(ctx, t.c.CaseID)
			if err != nil {
				return err
			}
			opinion = &draft.Content
		}
		return complete(*opinion)
	}}

func complete(o Opinion) error {
	if o.unknownCategory() {
		return errCategory
	}
	if o.AllFindings() == "" || strings.TrimSpace(o.Impression) == "" {
		return refuse("an opinion needs findings and an impression before it can be sealed")
	}
	if lacks := o.incomplete(); lacks != "" {
		return refuse("%s", lacks)
	}
	return nil
}

var gradeComplete = Guard{"gradeComplete", "the grade is complete, and fits whether there is an original to compare with",
	func(_ context.Context, t *turn) error {
		switch g := t.in.Grade; {
		case g == nil && !t.c.comparable():
			return refuse("there is no original report, so the grade can only be that no comparison is possible")
		case g == nil:
			return ErrNotCompared
		case g.Check() != "":
			return refuse("%s", g.Check())
		case !t.c.comparable() && !g.incomparable():
			return refuse("there is no original report, so the grade can only be that no comparison is possible")
		case t.c.comparable() && g.NoComparisonReason == "no-original":
			return refuse("there is an original report: say why it cannot be compared with")
		case !t.c.Policy.scored() && slices.ContainsFunc(g.Discrepancies, func(d Discrepancy) bool { return d.Expectedness != "" }):
			return refuse("this service works by peer learning and without scores: leave expectedness out, and add learning points instead")
		}
		return nil
	}}

var graded = Guard{"graded", "the reader has graded the discrepancy, and again where findings, impression or urgency were revised since, or what the first report says, unless there is no original to compare with",
	func(ctx context.Context, t *turn) error {
		if !t.c.comparable() {
			return nil
		}
		grade, err := t.ledger.lastGrade(ctx, t.c.CaseID)
		if err == nil && grade.GradedBy != *t.c.lead() {
			err = errNoGrade // it is of the reader before
		}
		if err == nil && t.c.olderThanOriginal(grade) {
			err = errGradeLate
		}
		if err == nil && t.c.ofFormerOriginal(grade) {
			err = errGradeOld
		}
		if err != nil {
			return err
		}
		stale, err := t.gradedBeforeRevision(ctx, grade)
		if err == nil && stale {
			err = errRegrade
		}
		return err
	}}

var maySupervise = Guard{"maySupervise", "the actor is credentialed to supervise, and has had no other part in the case",
	func(ctx context.Context, t *turn) error { return t.eligible(ctx, t.actor.ID, ToSupervise) }}

var notProposedYet = Guard{"notProposedYet", "the actor has not proposed it already; it takes a second director",
	func(_ context.Context, t *turn) error {
		if t.c.ErrorProposedBy != nil {
			return refuse("you have proposed this already; a signed report is declared an error by a second director")
		}
		return nil
	}}

var policyDemandsThirdReader = &Choice{"policyDemandsThirdReader", "the level of the discrepancy reaches the policy's adjudicateOn, and no third reader has decided before, nor was done without",
	func(_ context.Context, t *turn) (bool, error) {
		if t.in.Grade == nil || t.c.settledBy(settledArbitrated) || t.c.Exam.ThirdForgone != "" { // a third has read it already, or there is none
			return false, nil
		}
		switch level := t.in.Grade.Level(); t.c.Policy.AdjudicateOn {
		case AdjudicateMajor:
			return level == LevelMajor, nil
		case AdjudicateMinor:
			return level == LevelMajor || level == LevelMinor, nil
		}
		return false, nil
	}}

var proposedByAnother = &Choice{"proposedByAnother", "another director has proposed it",
	func(_ context.Context, t *turn) (bool, error) {
		return t.c.ErrorProposedBy != nil && *t.c.ErrorProposedBy != t.actor.ID, nil
	}}

var acknowledgedBefore = &Choice{"acknowledgedBefore", "the report in force was acknowledged, and no emergent finding waits to be",
	func(ctx context.Context, t *turn) (bool, error) {
		open, err := hasOpen(ctx, t.ledger, t.c.CaseID, Matter.isEmergent)
		return t.c.ClosedAt != nil && !open, err
	}}

// orCoordinator is a guard that lets the coordinator pass.
func orCoordinator(name, doc string, g Guard) Guard {
	return Guard{name, doc, func(ctx context.Context, t *turn) error {
		if t.actor.Role == access.Coordinator {
			return nil
		}
		return g.Check(ctx, t)
	}}
}

// actorIs refuses every actor but the one named.
func (t *turn) actorIs(who *uuid.UUID, otherwise string) error {
	if who == nil || *who != t.actor.ID {
		return forbid("%s", otherwise)
	}
	return nil
}

// eligible refuses a reader who may not have this part in the case, with every
// reason.
func (t *turn) eligible(ctx context.Context, reader uuid.UUID, duty Duty) error {
	r, err := t.ledger.reader(ctx, reader)
	if errors.Is(err, pgx.ErrNoRows) {
		return forbid("no active reader of this tenant has that id")
	}
	if err != nil {
		return err
	}
	need, err := t.ledger.need(ctx, t.c, duty)
	if err != nil {
		return err
	}
	if reasons := Eligible(need, r, t.now); len(reasons) > 0 {
		return refuse("not eligible for this case: %s", strings.Join(reasons, "; "))
	}
	return nil
}

// needTx is the case's need with those who have read the study before.
func needTx(ctx context.Context, tx pgx.Tx, c *Case, duty Duty) (Need, error) {
	needs, err := needsTx(ctx, tx, []*Case{c}, duty)
	if err != nil {
		return Need{}, err
	}
	return needs[0], nil
}

// needsTx is needTx of several cases, with as many questions to the database as of one.
func needsTx(ctx context.Context, tx pgx.Tx, cases []*Case, duty Duty) ([]Need, error) {
	before, err := pastReadersTx(ctx, tx, cases, duty)
	if err != nil {
		return nil, err
	}
	var dark []*Case // whose reader may not have had the record open
	for _, c := range cases {
		if duty == ToRead || duty == ToAdjudicate && c.thirdIsBlind() {
			dark = append(dark, c)
		}
	}
	opened, err := openedByTx(ctx, tx, dark)
	if err != nil {
		return nil, err
	}
	needs := make([]Need, len(cases))
	for i, c := range cases {
		needs[i] = c.need(duty)
		for _, id := range before[c.CaseID] {
			if !slices.Contains(needs[i].Involved, id) {
				needs[i].Involved = append(needs[i].Involved, id)
			}
		}
		needs[i].Opened = opened[c.CaseID]
	}
	return needs, nil
}

// comparable: there is an original report to compare with.
func (c *Case) comparable() bool { return c.Comparable != nil && *c.Comparable }
