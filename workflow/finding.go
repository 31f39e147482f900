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

var mayWithdraw = Guard{"mayWithdraw", "the actor raised the finding, has a part in the reading, or is a director",
	func(ctx context.Context, t *turn) error {
		if t.actor.Role == access.Director {
			return nil
		}
		return mayCall.Check(ctx, t)
	}}

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
