package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// FindingLimits are how soon a finding must have been acknowledged, by its
// category: minutes, hours, days (ACR Actionable Reporting Work Group, J Am Coll
// Radiol 2014;11:552). Which minutes is the tenant's to say.
type FindingLimits struct {
	Emergent    Span `json:"emergent"`
	Urgent      Span `json:"urgent"`
	NonCritical Span `json:"nonCritical"`
}

// PreliminaryOn is the least category of a finding for which an unsigned case
// has a preliminary report.
type PreliminaryOn string

// The thresholds of preliminary reports.
const (
	PreliminaryNever    PreliminaryOn = "never"
	PreliminaryUrgent   PreliminaryOn = "urgent"
	PreliminaryEmergent PreliminaryOn = "emergent"
)

// categories of findings are those of discrepancies but "none".
var categories = actionables[1:]

var mayRaise = Guard{"mayRaise", "the actor has or had a part in the reading: a reader, also one who has released it, the adjudicator, or a supervisor who may sign it",
	func(ctx context.Context, t *turn) error {
		switch c := t.c; {
		case c.ReaderID != nil && *c.ReaderID == t.actor.ID, c.AdjudicatorID != nil && *c.AdjudicatorID == t.actor.ID,
			c.SupervisorID != nil && *c.SupervisorID == t.actor.ID:
			return nil
		case c.State == AwaitingCosign && t.actor.Role == access.Supervisor:
			return t.eligible(ctx, t.actor.ID, ToSupervise)
		}
		had, err := t.ledger.hasRead(ctx, t.c.CaseID, t.actor.ID)
		if err == nil && !had {
			err = forbid("a finding is raised by who reads the case, or has read it")
		}
		return err
	}}

// partsInReading are the events by which somebody has a part in the reading of a case.
var partsInReading = []Event{"claim", "adjudicate", "sign", "return"}

// hasReadTx tells whether somebody has ever had a part in the reading of a case.
func hasReadTx(ctx context.Context, tx pgx.Tx, caseID, who uuid.UUID) (had bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM case_event
			WHERE case_id = @case AND actor_id = @who AND event = ANY (@parts))`,
		pgx.NamedArgs{"case": caseID, "who": who, "parts": partsInReading}).Scan(&had)
	if err != nil {
		return false, fmt.Errorf("who has read: %w", err)
	}
	return had, nil
}

// bySignatory: then the report itself tells at once of what was found.
var bySignatory = &Choice{"bySignatory", "the actor signed the report in force, or stands in for who did, and may practise: the report gets an addendum",
	func(ctx context.Context, t *turn) (bool, error) {
		return isSignatory.Check(ctx, t) == nil && mayPractise.Check(ctx, t) == nil, nil
	}}

var findingComplete = Guard{"findingComplete", "the finding has its text and a category: emergent, urgent or non-critical",
	func(_ context.Context, t *turn) error {
		f := t.in.Finding
		switch {
		case f == nil || strings.TrimSpace(f.Text) == "":
			return refuse("a finding needs its text: what was seen")
		case !slices.Contains(categories, f.Category):
			return refuse("the category of a finding must be one of %s", strings.Join(categories, ", "))
		}
		return nil
	}}

var raiseFinding = Effect{"raiseFinding", "the finding is on record; its clock runs until somebody who cares for the patient has acknowledged it; where the images may be of another patient it says so, and the coordinator is told at once",
	func(ctx context.Context, t *turn) error {
		f := t.in.Finding
		doubtful := f.Doubtful || t.c.Correction != nil && ofOthers(t.c.Correction.Of)
		m := Matter{Kind: FindingMatter, Category: f.Category, Content: MatterContent{Text: f.Text, Doubtful: doubtful}}
		if err := t.openMatter(ctx, m, f.RequestKey()); err != nil {
			return err
		}
		if doubtful {
			m.No = t.matters[len(t.matters)-1]
			if err := t.tellCoordinator(ctx, m.clock()); err != nil {
				return err
			}
		}
		t.preliminary(f.Category)
		t.addendum = &Amendment{Kind: "addition", Reason: "actionable finding", Text: capital(f.Category) + " finding: " + f.Text}
		return nil
	}}

// preliminary gives an unsigned case a preliminary report, where its policy wants
// one for such a finding.
func (t *turn) preliminary(category string) {
	if t.c.ReportNo > 0 || t.c.ClosedAt != nil || t.c.ReportID == nil || t.c.SampleOf != nil || t.c.Policy.PreliminaryOn == PreliminaryNever {
		return
	}
	if mostPressing(category, string(t.c.Policy.PreliminaryOn)) == category {
		status := "preliminary"
		t.c.ReportStatus = &status
	}
}

// RaisedFinding is what somebody who reads must tell at once.
type RaisedFinding struct {
	Category string
	Text     string
	Doubtful bool // the images may be of another patient than the order is now
}

// RequestKey is by what a finding that is raised again is recognised.
func (f RaisedFinding) RequestKey() string { return keyOf(f.Category, f.Text) }

// keyOf is the key of words: the same words have the same one.
func keyOf(words ...string) string {
	_, sum, err := canonical(words)
	if err != nil {
		panic("workflow: words have a canonical form: " + err.Error())
	}
	return hexOf(sum)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

var acknowledgeFinding = Effect{"acknowledgeFinding", "a clinician has taken note of the finding; its clock ends",
	func(ctx context.Context, t *turn) error {
		m, err := t.chosen(ctx, FindingMatter)
		if err != nil {
			return err
		}
		return t.settleMatter(ctx, m, "acknowledged", Closing{Person: t.in.Acknowledged.Person, Role: t.in.Acknowledged.Role, Resource: t.in.Acknowledged.Resource}, 0)
	}}

// mayWithdraw: whoever had a part once, and has given the case back, takes back nothing
// that another has found. What the report in force tells of is taken back by its
// signatory alone, so that the report says so too (withdrawnBySignatory).
var mayWithdraw = Guard{"mayWithdraw", "the actor raised the finding, signs the case, has decided it or supervises it, or is a director; of one that the report in force tells of, the actor signed the report, or stands in for who did",
	func(ctx context.Context, t *turn) error {
		m, err := t.called(ctx)
		if err != nil {
			return err
		}
		told, err := t.reportTells(ctx, m)
		switch {
		case err != nil:
			return err
		case told && isSignatory.Check(ctx, t) != nil:
			return forbid("the report in force tells of this finding: who signed it, or stands in, takes it back, and the report says so from then on")
		case told:
			return mayPractise.Check(ctx, t)
		}
		is := func(id *uuid.UUID) bool { return id != nil && *id == t.actor.ID }
		switch {
		case t.actor.Role == access.Director, is(m.OpenedBy), is(t.c.lead()), is(t.c.AdjudicatorID), is(t.c.SupervisorID):
			return nil
		case t.c.State == AwaitingCosign && t.actor.Role == access.Supervisor:
			return t.eligible(ctx, t.actor.ID, ToSupervise)
		}
		return forbid("a finding is taken back by who raised it, who signs or decides the case, or a director")
	}}

// reportTells tells whether the report in force tells of a finding.
func (t *turn) reportTells(ctx context.Context, m Matter) (bool, error) {
	if t.c.ReportNo == 0 {
		return false, nil
	}
	report, err := t.ledger.lastReport(ctx, t.c.CaseID)
	return report.tells(m), err
}

// withdrawnBySignatory: then the report itself says at once that it was taken back.
var withdrawnBySignatory = &Choice{"withdrawnBySignatory", "the report in force tells of the finding, and it is the signatory who takes it back and may practise: the report gets an addendum",
	func(ctx context.Context, t *turn) (bool, error) {
		m, err := t.chosen(ctx, FindingMatter)
		if err != nil {
			return false, nil // the guards of the next row say so
		}
		if told, err := t.reportTells(ctx, m); err != nil || !told {
			return false, err
		}
		return bySignatory.Holds(ctx, t)
	}}

// takenBack says in a report that a finding does not hold.
func (m Matter) takenBack(reason string) string {
	return "Withdrawn: the " + m.Category + " finding (" + strings.TrimRight(m.Content.Text, ". ") + "). " + reason
}

// withdrawn is how a finding or a question is closed that is taken back; who had
// acknowledged it is told so.
func (m Matter) withdrawn(reason string) Closing {
	return Closing{Text: reason, Person: m.Closing.Person, Role: m.Closing.Role}
}

var notTakenBack = Guard{"notTakenBack", "the finding was not taken back before; it may have been told and acknowledged",
	func(ctx context.Context, t *turn) error {
		_, err := t.called(ctx)
		return err
	}}

var noOpenEmergency = Guard{"noOpenEmergency", "no emergent finding of the case waits to be acknowledged",
	func(ctx context.Context, t *turn) error {
		open, err := hasOpen(ctx, t.ledger, t.c.CaseID, Matter.isEmergent)
		if err == nil && open {
			err = refuse("an emergent finding of this case has not been acknowledged: $acknowledge-finding first")
		}
		return err
	}}

// noPressingFinding: that the order was an error does not mean that nobody bleeds.
var noPressingFinding = Guard{"noPressingFinding", "no urgent or emergent finding of the case waits to be acknowledged: the images are somebody's",
	func(ctx context.Context, t *turn) error {
		open, err := hasOpen(ctx, t.ledger, t.c.CaseID, Matter.isPressing)
		if err == nil && open {
			err = refuse("an urgent or emergent finding of this case is open, and may be true of another patient: have it acknowledged ($communicate, $acknowledge-finding), or take it back with a reason of its own ($withdraw-finding), and then declare the error")
		}
		return err
	}}
