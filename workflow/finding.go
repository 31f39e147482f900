package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

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

// Call is one attempt to tell somebody of a finding: a row of matter_call.
type Call struct {
	MatterNo     int
	No           int
	MadeAt       time.Time
	RecordedAt   time.Time
	RecordedBy   uuid.UUID
	RecordedRole string
	Reached      bool
	Content      CallContent
}

// CallContent is whom somebody tried to tell, and how.
type CallContent struct {
	Recipient string `json:"recipient"`
	Role      string `json:"role,omitempty"`     // the recipient's function: "ward physician"
	Medium    string `json:"medium"`             // phone, in-person, secure-message
	ReadBack  bool   `json:"readBack,omitempty"` // the recipient said it again, and it was right
	Note      string `json:"note,omitempty"`
}

// Media are the ways of telling somebody.
var Media = []string{"phone", "in-person", "secure-message"}

// ReportedFinding is a finding as the report tells it.
type ReportedFinding struct {
	No             int            `json:"no"`
	Category       string         `json:"category"`
	Text           string         `json:"text"`
	FromReport     bool           `json:"fromReport,omitempty"`
	RaisedAt       time.Time      `json:"raisedAt"`
	RaisedBy       *uuid.UUID     `json:"raisedBy,omitempty"`
	Calls          []ReportedCall `json:"calls,omitempty"`
	AcknowledgedAt *time.Time     `json:"acknowledgedAt,omitempty"`
	AcknowledgedBy string         `json:"acknowledgedBy,omitempty"`
}

// ReportedCall is an attempt as the report tells it.
type ReportedCall struct {
	At      time.Time  `json:"at"`
	By      *uuid.UUID `json:"by,omitempty"`
	Reached bool       `json:"reached"`
	CallContent
}

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

// hasReadTx tells whether somebody has ever had a part in the reading of a case.
func hasReadTx(ctx context.Context, tx pgx.Tx, caseID, who uuid.UUID) (had bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM case_event
			WHERE case_id = @case AND actor_id = @who AND event IN ('claim', 'adjudicate', 'sign', 'return'))`,
		pgx.NamedArgs{"case": caseID, "who": who}).Scan(&had)
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

var raiseFinding = Effect{"raiseFinding", "the finding is on record; its clock runs until somebody who cares for the patient has acknowledged it",
	func(ctx context.Context, t *turn) error {
		f := t.in.Finding
		m := Matter{Kind: FindingMatter, Category: f.Category, Content: MatterContent{Text: f.Text, Doubtful: t.c.Correction != nil}}
		if err := t.openMatter(ctx, m, f.RequestKey()); err != nil {
			return err
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

var mayCall = Guard{"mayCall", "the actor has a part in the case, raised the finding, or is a coordinator",
	func(ctx context.Context, t *turn) error {
		m, err := t.called(ctx)
		if err != nil || t.actor.Role == access.Coordinator || m.OpenedBy != nil && *m.OpenedBy == t.actor.ID {
			return err
		}
		if t.c.SupervisorID != nil && *t.c.SupervisorID == t.actor.ID {
			return nil
		}
		return mayRaise.Check(ctx, t)
	}}

// called is the finding of which somebody was told. It may have been
// acknowledged before.
func (t *turn) called(ctx context.Context) (Matter, error) {
	m, err := t.chosen(ctx, FindingMatter)
	if err == nil && m.Withdrawn() {
		err = refuse("finding %d was withdrawn", m.No)
	}
	return m, err
}

var callComplete = Guard{"callComplete", "it says whom, how and when, which is not to come and not before the finding; what was read back was told by word of mouth to somebody who was reached",
	func(ctx context.Context, t *turn) error {
		call := t.in.Call
		if call == nil {
			return refuse("communicate needs whom, how, and whether somebody was reached")
		}
		m, err := t.called(ctx)
		switch {
		case err != nil:
			return err
		case strings.TrimSpace(call.Content.Recipient) == "":
			return refuse("say whom: the recipient's name")
		case !slices.Contains(Media, call.Content.Medium):
			return refuse("medium must be one of %s", strings.Join(Media, ", "))
		case call.MadeAt.After(t.now):
			return refuse("at is in the future")
		case !call.MadeAt.IsZero() && call.MadeAt.Before(m.OpenedAt.Add(-24*time.Hour)):
			return refuse("at is more than a day before the finding")
		case call.Content.ReadBack && (!call.Reached || call.Content.Medium == "secure-message"):
			return refuse("only who was reached by word of mouth reads back")
		}
		return nil
	}}

var recordCall = Effect{"recordCall", "the attempt is on record. What was told by word of mouth and read back is acknowledged; else the clock goes on until the clinician acknowledges it",
	func(ctx context.Context, t *turn) error {
		m, err := t.called(ctx)
		if err != nil {
			return err
		}
		call := *t.in.Call
		if call.MadeAt.IsZero() {
			call.MadeAt = t.now
		}
		call.MatterNo, call.No = m.No, len(m.Calls)+1
		call.RecordedAt, call.RecordedBy, call.RecordedRole = t.now, t.actor.ID, string(t.actor.Role)
		if err := t.ledger.insertCall(ctx, t.c.CaseID, call); err != nil {
			return err
		}
		t.touch(m)
		t.addendum = &Amendment{Kind: "addition", Reason: "communication of a finding", Text: call.Reported().sentence(m, t.c.Policy.Calendar.location())}
		if m.Open() && call.Content.ReadBack {
			return t.settleMatter(ctx, m, "acknowledged", Closing{Person: call.Content.Recipient, Role: call.Content.Role, Spoken: true}, 0)
		}
		return nil
	}}

// Reported is the attempt as the report tells it.
func (c Call) Reported() ReportedCall {
	r := ReportedCall{At: c.MadeAt, Reached: c.Reached, CallContent: c.Content}
	if c.RecordedBy != uuid.Nil {
		r.By = &c.RecordedBy
	}
	return r
}

func (r ReportedCall) sentence(m Matter, zone *time.Location) string {
	return capital(m.Category) + " finding (" + m.Content.Text + "): " + r.Words(zone) + "."
}

// Words say whom somebody told, how and when, without a full stop.
func (r ReportedCall) Words(zone *time.Location) string {
	who := r.Recipient
	if r.Role != "" {
		who += " (" + r.Role + ")"
	}
	how := map[string]string{"phone": "by phone", "in-person": "in person", "secure-message": "by secure message"}[r.Medium]
	text := "told to " + who + " " + how
	if !r.Reached {
		text = "could not reach " + who + " " + how
	}
	text += " on " + r.At.In(zone).Format("2 January 2006 at 15:04 MST")
	switch {
	case r.ReadBack:
		text += ", read back"
	case r.Reached && r.Medium != "secure-message":
		text += ", not read back"
	}
	if r.Note != "" {
		text += " (" + r.Note + ")"
	}
	return text
}

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

// toldBySignatory: then the report itself tells at once of a communication.
var toldBySignatory = &Choice{"toldBySignatory", "somebody was reached, and it is the signatory who says so and may practise: the report gets an addendum",
	func(ctx context.Context, t *turn) (bool, error) {
		if t.in.Call == nil || !t.in.Call.Reached {
			return false, nil
		}
		return bySignatory.Holds(ctx, t)
	}}

// raiseFromReport: a signed report that calls for action within minutes or hours,
// or has a major discrepancy, is a finding of which somebody must be told, unless
// its reader has raised one already.
func (t *turn) raiseFromReport(ctx context.Context, r Report) error {
	if t.c.SampleOf != nil {
		return nil // it opens the report that was sampled (sampling.go)
	}
	category := r.Actionable
	if !slices.Contains(pressing, category) {
		switch {
		case r.Level != LevelMajor:
			return nil
		case category == "":
			category = "urgent"
		default:
			category = "non-critical"
		}
	}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(m Matter) bool {
		return m.Kind == FindingMatter && !m.Withdrawn() && mostPressing(m.Category, category) == m.Category
	}) {
		return nil
	}
	text := r.Opinion.Impression
	if r.Level == LevelMajor && r.Difference != "" {
		text = r.Difference
	}
	if key := keyOf(category, text); r.No > 1 && slices.ContainsFunc(all, func(m Matter) bool { return m.Kind == FindingMatter && m.isOf(key) }) {
		return nil // taken back since it was signed
	}
	m := Matter{Kind: FindingMatter, Category: category, Content: MatterContent{Text: text, FromReport: true}}
	return t.openMatter(ctx, m, keyOf(category, text))
}

// raiseFromOpinion: an opinion that is sealed and calls for action within minutes
// or hours is a finding of which somebody must be told now: until the signature it
// may be another reader's turn, or a supervisor's, and the order may be cancelled.
// It is not raised twice: known says of a finding that is on record that it tells
// the same.
func (t *turn) raiseFromOpinion(ctx context.Context, no int, known func(Matter) bool) error {
	if t.c.SampleOf != nil {
		return nil // the patient's clinicians have the report that was sampled
	}
	sealed, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(sealed, func(o Sealed) bool { return o.OpinionNo == no })
	if i < 0 || !slices.Contains(pressing, sealed[i].Content.Actionable) {
		return nil
	}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	category, text := sealed[i].Content.Actionable, sealed[i].Content.Impression
	key := keyOf(category, text)
	if slices.ContainsFunc(all, func(m Matter) bool {
		return m.Kind == FindingMatter && !m.Withdrawn() && (m.isOf(key) || mostPressing(m.Category, category) == m.Category && known(m))
	}) {
		return nil
	}
	if err := t.openMatter(ctx, Matter{Kind: FindingMatter, Category: category, Content: MatterContent{Text: text, FromReport: true}}, key); err != nil {
		return err
	}
	t.preliminary(category)
	return nil
}

// ofActor: of two who read, each tells of what they have seen themselves.
func (t *turn) ofActor(m Matter) bool { return m.OpenedBy != nil && *m.OpenedBy == t.actor.ID }

// ofAnybody: who knows what the others have found has nothing new to tell.
func ofAnybody(Matter) bool { return true }

// reportedFindings are the findings of the case as its report tells them: in words
// of its own but where the text of the report is that of the finding.
func (t *turn) reportedFindings(ctx context.Context, r Report) (out []ReportedFinding, err error) {
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	for _, m := range all {
		if m.Kind != FindingMatter || m.Withdrawn() {
			continue
		}
		f := ReportedFinding{No: m.No, Category: m.Category, Text: m.Content.Text, RaisedAt: m.OpenedAt.UTC(), RaisedBy: m.OpenedBy}
		f.FromReport = m.Content.FromReport && (f.Text == r.Opinion.Impression || f.Text == r.Difference)
		for _, call := range m.Calls {
			call.MadeAt = call.MadeAt.UTC()
			f.Calls = append(f.Calls, call.Reported())
		}
		if m.SettledAt != nil {
			at := m.SettledAt.UTC()
			f.AcknowledgedAt, f.AcknowledgedBy = &at, m.Closing.Person
		}
		out = append(out, f)
	}
	return out, err
}

var noOpenEmergency = Guard{"noOpenEmergency", "no emergent finding of the case waits to be acknowledged",
	func(ctx context.Context, t *turn) error {
		open, err := t.emergencyOpen(ctx)
		if err == nil && open {
			err = refuse("an emergent finding of this case has not been acknowledged: $acknowledge-finding first")
		}
		return err
	}}

func (t *turn) emergencyOpen(ctx context.Context) (bool, error) {
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	return slices.ContainsFunc(all, func(m Matter) bool { return m.Open() && m.Category == "emergent" }), err
}

// noPressingFinding: that the order was an error does not mean that nobody bleeds.
var noPressingFinding = Guard{"noPressingFinding", "no urgent or emergent finding of the case waits to be acknowledged: the images are somebody's",
	func(ctx context.Context, t *turn) error {
		all, err := t.ledger.matters(ctx, t.c.CaseID)
		if err == nil && slices.ContainsFunc(all, func(m Matter) bool { return m.Open() && slices.Contains(pressing, m.Category) }) {
			err = refuse("an urgent or emergent finding of this case is open, and may be true of another patient: have it acknowledged ($communicate, $acknowledge-finding), or take it back with a reason of its own ($withdraw-finding), and then declare the error")
		}
		return err
	}}

var findingsReported = Guard{"findingsReported", "the report in force tells of every finding of the case",
	func(ctx context.Context, t *turn) error {
		report, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		all, err := t.ledger.matters(ctx, t.c.CaseID)
		if err == nil && slices.ContainsFunc(all, func(m Matter) bool {
			return m.Kind == FindingMatter && !m.Withdrawn() && !slices.ContainsFunc(report.Findings, func(f ReportedFinding) bool { return f.No == m.No })
		}) {
			err = refuse("no version of the report tells of a finding that was raised meanwhile: sign the amendment, or take the finding back ($withdraw-finding)")
		}
		return err
	}}

func insertCallTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, call Call) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO matter_call (tenant_id, case_id, matter_no, call_no, made_at, recorded_at, recorded_by, recorded_role, reached, content)
		VALUES (overread_tenant(), @case, @matter, @no, @made, @now, @by, @role, @reached, @content)`,
		pgx.NamedArgs{"case": caseID, "matter": call.MatterNo, "no": call.No, "made": call.MadeAt, "now": call.RecordedAt,
			"by": call.RecordedBy, "role": call.RecordedRole, "reached": call.Reached, "content": call.Content})
	if err != nil {
		return fmt.Errorf("record a communication: %w", err)
	}
	return nil
}

func callsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Call, error) {
	rows, err := tx.Query(ctx, `
		SELECT matter_no, call_no AS no, made_at, recorded_at, recorded_by, recorded_role, reached, content
		FROM matter_call
		WHERE case_id = $1
		ORDER BY matter_no, call_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("communications: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Call])
}
