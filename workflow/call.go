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
	"github.com/overread/overread/internal/calls"
)

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

// ReportedCall is an attempt as the report tells it.
type ReportedCall struct {
	At      time.Time  `json:"at"`
	By      *uuid.UUID `json:"by,omitempty"`
	Reached bool       `json:"reached"`
	CallContent
}

var mayCall = Guard{"mayCall", "the actor has a part in the case, raised the finding, or is a coordinator or director, whom the chain tells of it",
	func(ctx context.Context, t *turn) error {
		m, err := t.called(ctx)
		if err != nil || t.actor.Role == access.Coordinator || t.actor.Role == access.Director || m.OpenedBy != nil && *m.OpenedBy == t.actor.ID {
			return err
		}
		return mayRaise.Check(ctx, t)
	}}

// called is the finding of which somebody was told. It may have been
// acknowledged before.
func (t *turn) called(ctx context.Context) (Matter, error) {
	m, err := t.chosen(ctx, FindingMatter)
	if err == nil && m.Withdrawn() {
		err = refuse("this finding was withdrawn")
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

// Told is the same for whoever says it in words.
func (r ReportedCall) Told() calls.Call {
	return calls.Call{At: r.At, Recipient: r.Recipient, Role: r.Role, Medium: r.Medium, Reached: r.Reached, ReadBack: r.ReadBack, Note: r.Note}
}

func (r ReportedCall) sentence(m Matter, zone *time.Location) string {
	return capital(m.Category) + " finding (" + m.Content.Text + "). " + r.Told().Words(calls.English, zone) + "."
}

// toldBySignatory: then the report itself tells at once of a communication.
var toldBySignatory = &Choice{"toldBySignatory", "somebody was reached, and it is the signatory who says so and may practise: the report gets an addendum",
	func(ctx context.Context, t *turn) (bool, error) {
		if t.in.Call == nil || !t.in.Call.Reached {
			return false, nil
		}
		return bySignatory.Holds(ctx, t)
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

// callsOfTx are what was said about the matters of cases.
func callsOfTx(ctx context.Context, tx pgx.Tx, cases []uuid.UUID) (map[uuid.UUID][]Call, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id, matter_no, call_no AS no, made_at, recorded_at, recorded_by, recorded_role, reached, content
		FROM matter_call
		WHERE case_id = ANY ($1)
		ORDER BY case_id, matter_no, call_no`, cases)
	if err != nil {
		return nil, fmt.Errorf("communications: %w", err)
	}
	return perCase(rows, func(r struct {
		CaseID uuid.UUID
		Call
	}) (uuid.UUID, Call) {
		return r.CaseID, r.Call
	})
}
