package workflow

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
)

// A trainee or a locum reads, and a supervisor signs: as it is, with changes of
// the supervisor's own, or not, and then the reader may revise it. Both texts are
// kept, and the history says which sections differ.

var (
	errGradeStands   = refuse("gradeStands says that the grade in force holds: leave it out where another grade is given")
	errRegradeChange = refuse("findings, impression or actionable change, and so the grade must be given with them: discrepancy and difference; agreement, where the two readings agree; noComparisonReason; or gradeStands, where the grade in force holds for the changed text too")
)

// What a trainee or a locum wrote leaves the house with the signature of somebody who
// answers for it: a supervisor; or one who wrote it with them, and needs none. A third
// reader who decides for it has not written it, and signs for them only as a supervisor.
var textNeedsCosign = &Choice{"textNeedsCosign", "whoever signs is a trainee or a locum; or all are whose text it is, and whoever signs may not supervise them",
	func(ctx context.Context, t *turn) (bool, error) {
		signs, err := t.ledger.reader(ctx, t.actor.ID)
		if errors.Is(err, pgx.ErrNoRows) {
			return true, nil // no longer credentialed here: not without a supervisor
		}
		if err != nil || signs.needsCosign(t.now) {
			return err == nil, err
		}
		if signs.is(IsSupervisor, DateOf(signs.local(t.now))) {
			return false, nil
		}
		authors, err := t.authors(ctx)
		if err != nil {
			return false, err
		}
		for _, who := range authors {
			r, err := t.ledger.reader(ctx, who)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return false, err
			}
			if err == nil && !r.needsCosign(t.now) {
				return false, nil
			}
		}
		return true, nil
	}}

var editComplete = Guard{"editComplete", "the text, with the sections that are changed now, has findings and an impression",
	func(ctx context.Context, t *turn) error {
		if t.in.Opinion == nil {
			return nil
		}
		before, err := t.lockedOpinion(ctx)
		if err != nil {
			return err
		}
		return complete(t.in.Opinion.over(before.Content))
	}}

// weighty are the sections by which two readings are compared: where one of them
// changes, the grade before says nothing of it.
var weighty = []string{"findings", "impression", "actionable", "structured"}

func changesWeight(before, after Opinion) bool {
	return slices.ContainsFunc(ChangedSections(before, after), func(s string) bool { return slices.Contains(weighty, s) })
}

var editGraded = Guard{"editGraded", "where the supervisor changes findings, impression or how soon somebody must act, the grade is given with it, or it is said that the reader's stands; a first report that has come since is compared; a grade that demands a third reader is the reader's to give",
	func(ctx context.Context, t *turn) error {
		switch {
		case t.in.Grade != nil && t.in.GradeStands:
			return errGradeStands
		case t.in.Grade != nil:
			if err := gradeComplete.Check(ctx, t); err != nil {
				return err
			}
			if t.c.adjudicated() {
				return refuse("a third reader has graded this: return the report to them ($return), or say that the grade stands (gradeStands)")
			}
			if third, err := policyDemandsThirdReader.Holds(ctx, t); err != nil || third {
				return cmp.Or(err, refuse("a discrepancy of this level goes to a third reader before it is signed: return the report to its reader ($return), who revises and grades it; what cannot wait, tell at once ($raise-finding)"))
			}
			return nil
		case !t.c.comparable():
			return nil
		}
		grade, err := t.ledger.lastGrade(ctx, t.c.CaseID)
		switch {
		case errors.Is(err, errNoGrade) || err == nil && t.c.olderThanOriginal(grade):
			return refuse("the first report of the study has come since the reader signed, and is not compared: return the report to its reader ($return), who compares and grades it, or give the grade with the signature")
		case err != nil:
			return err
		case t.c.ofFormerOriginal(grade):
			return refuse("the first report says something else now than when it was compared: return the report to who graded it ($return), who compares and grades it again; or, where no third reader has graded it, give the grade with the signature")
		}
		if t.in.Opinion == nil || t.in.GradeStands {
			return nil
		}
		before, err := t.lockedOpinion(ctx)
		if err == nil && changesWeight(before.Content, t.in.Opinion.over(before.Content)) {
			err = errRegradeChange
		}
		return err
	}}

// gradedBeforeRevision tells that what the reader has revised since the grade was
// given is of weight.
func (t *turn) gradedBeforeRevision(ctx context.Context, grade GivenGrade) (bool, error) {
	if t.c.ReturnedAt == nil {
		return false, nil
	}
	all, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return false, err
	}
	var before *Sealed
	for i, o := range all {
		if o.Status != "locked" || o.Part == PartProposal && t.c.Settled == nil {
			continue
		}
		if o.Part == PartRevision && o.SealedAt.After(grade.GradedAt) && (before == nil || changesWeight(before.Content, o.Content)) {
			return true, nil
		}
		before = &all[i]
	}
	return false, nil
}

var recordEditGrade = Effect{"recordEditGrade", "a grade that the supervisor gives is recorded and in force; the reader's is kept",
	func(ctx context.Context, t *turn) error {
		if t.in.Grade == nil {
			return nil
		}
		_, err := t.recordGrade(ctx)
		return err
	}}

var wasReturned = Guard{"wasReturned", "a supervisor has returned the report",
	func(_ context.Context, t *turn) error {
		if t.c.ReturnedAt == nil {
			return refuse("the opinion was sealed when it was locked; it is revised only after a supervisor has returned it")
		}
		return nil
	}}

var noteReturn = Effect{"noteReturn", "the reader may revise the text; the sealed opinion stays on record",
	func(_ context.Context, t *turn) error {
		t.c.ReturnedAt = &t.now
		return nil
	}}

var sealEdit = Effect{"sealEdit", "what is changed is sealed as an opinion of its own and in force; the sections that differ are noted, and the text before is kept",
	func(ctx context.Context, t *turn) error {
		if t.in.Opinion == nil {
			return nil
		}
		before, err := t.lockedOpinion(ctx)
		if err != nil {
			return err
		}
		part := PartRevision
		if t.c.State == AwaitingCosign {
			part = PartCosign
		}
		after := t.in.Opinion.over(before.Content)
		t.changed, t.reworded = ChangedSections(before.Content, after), !SameSentence(before.Content.Impression, after.Impression)
		t.detail["changed"] = t.changed
		if len(t.changed) == 0 {
			return nil
		}
		if t.authored, err = t.authors(ctx); err != nil {
			return err
		}
		opinion, err := t.sealInForce(ctx, part, after)
		if err != nil || part == PartCosign { // which is signed in this moment
			return err
		}
		return t.raiseFromOpinion(ctx, opinion, func(Matter) bool { return !t.reworded })
	}}
