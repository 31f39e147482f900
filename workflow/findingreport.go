package workflow

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// What is found and what the report says are kept together: what is sealed or signed
// as pressing is a finding, and the report tells of every finding.

// ReportedFinding is a finding as the report tells it.
type ReportedFinding struct {
	No             int            `json:"no"`
	Category       string         `json:"category"`
	Text           string         `json:"text"`
	FromReport     bool           `json:"fromReport,omitempty"`
	RaisedAt       time.Time      `json:"raisedAt"`
	RaisedBy       *uuid.UUID     `json:"raisedBy,omitempty"`
	StandsBy       *uuid.UUID     `json:"standsBy,omitempty"` // who signed another text and let it stand
	Calls          []ReportedCall `json:"calls,omitempty"`
	AcknowledgedAt *time.Time     `json:"acknowledgedAt,omitempty"`
	AcknowledgedBy string         `json:"acknowledgedBy,omitempty"`
}

// reportedFindings are the findings of the case as its report tells them: in words
// of its own but where the text of the report is that of the finding.
func (t *turn) reportedFindings(ctx context.Context, r Report) (out []ReportedFinding, err error) {
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	for _, m := range all {
		if !m.isFinding() {
			continue
		}
		f := ReportedFinding{No: m.No, Category: m.Category, Text: m.Content.Text, RaisedAt: m.OpenedAt.UTC(), RaisedBy: m.OpenedBy}
		if m.Content.Stands != nil {
			f.StandsBy = &m.Content.Stands.By
		}
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

// urgency is how soon somebody must act by the text of the report and its grade.
func (r Report) urgency() string { return mostPressing(r.Opinion.Actionable, r.Compared) }

// isToldBy: the finding says what the text of the report calls pressing.
func (r Report) isToldBy(m Matter) bool {
	return m.isFinding() && (m.tellsOf(r.urgency(), r.Opinion.Impression) || m.tellsOf(r.urgency(), r.Difference))
}

// wasTakenBack is isToldBy of a finding that was taken back.
func (r Report) wasTakenBack(m Matter) bool {
	withdrawn := m.Withdrawn()
	m.Settlement = nil
	return withdrawn && r.isToldBy(m)
}

// tells: this version tells of the finding.
func (r Report) tells(m Matter) bool {
	return slices.ContainsFunc(r.Findings, func(f ReportedFinding) bool { return f.No == m.No })
}

var findingsReported = Guard{"findingsReported", "the report in force tells of every finding of the case, and of none that was taken back",
	func(ctx context.Context, t *turn) error {
		report, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		all, err := t.ledger.matters(ctx, t.c.CaseID)
		if err == nil && slices.ContainsFunc(all, func(m Matter) bool {
			return m.isFinding() && !report.tells(m)
		}) {
			err = t.tellFirst(ctx, refuse("%s", Phrase("no version of the report tells of a finding that was raised meanwhile: sign the amendment, or take the finding back ($withdraw-finding)")))
		}
		if err == nil && slices.ContainsFunc(all, func(m Matter) bool { return m.Kind == FindingMatter && m.Withdrawn() && report.tells(m) }) {
			err = t.tellFirst(ctx, refuse("%s", Phrase("the report in force tells of a finding that was taken back meanwhile: sign the amendment")))
		}
		return err
	}}

// tellFirst is the refusal to drop an amendment that is to be signed; where nobody is there
// who may sign it, it says how somebody comes to be, and what else leads out.
func (t *turn) tellFirst(ctx context.Context, signIt error) error {
	if t.tx == nil {
		return signIt
	}
	s, err := t.signatories(ctx)
	if err != nil {
		return err
	}
	for _, who := range []uuid.UUID{s.first, s.last} {
		if gone, err := t.cannotAct(ctx, who); err != nil || !gone {
			return cmp.Or(err, signIt)
		}
	}
	instead, err := StandInsTx(ctx, t.tx, *t.c, t.now)
	if err != nil || len(instead) > 0 {
		return cmp.Or(err, signIt)
	}
	return refuse("%s", Phrase("the report does not say what was found or taken back meanwhile, and nobody may sign that: who signed cannot, and nobody is eligible to stand in. Give somebody who had no part in the case the privilege to supervise or to adjudicate (administration, people): they find the amendment on their worklist. A finding that is wrong, and in no report, a director takes back ($withdraw-finding). Else two directors declare the report an error ($declare-error), after what is urgent was acknowledged"))
}

// changedSince tells whether a report says something else than what somebody has been
// told of, and since when: another impression or difference than the version before, or
// more pressing; or an impression that its supervisor has changed. What is as pressing may then be
// another emergency.
func (t *turn) changedSince(ctx context.Context, r Report) (since time.Time, changed bool, err error) {
	if r.No == 1 {
		return time.Time{}, t.reworded, nil
	}
	before, err := t.ledger.lastReport(ctx, t.c.CaseID)
	if err != nil {
		return since, false, err
	}
	more := r.urgency() != before.urgency() && mostPressing(r.urgency(), before.urgency()) == r.urgency() || r.Level == LevelMajor && before.Level != LevelMajor
	return before.SignedAt, more || !SameSentence(before.Opinion.Impression, r.Opinion.Impression) || !SameSentence(before.Difference, r.Difference), nil
}

// SameSentence tells whether two texts say the same but for case, spaces and a full stop.
func SameSentence(a, b string) bool {
	plain := func(s string) string { return strings.TrimRight(strings.Join(strings.Fields(s), " "), ". ") }
	return strings.EqualFold(plain(a), plain(b))
}

// tellsOf: it is a finding in the same words, and as pressing at least. So is one that
// waited when its author sealed these words.
func (m Matter) tellsOf(category, text string) bool {
	return m.Kind == FindingMatter && (SameSentence(m.Content.Text, text) || m.Content.Sealed != "" && SameSentence(m.Content.Sealed, text)) &&
		m.asPressing(category)
}

func (m Matter) asPressing(category string) bool {
	return mostPressing(m.Category, category) == m.Category
}

// raiseFromReport: a signed report that calls for action within minutes or hours,
// or has a major discrepancy, is a finding of which somebody must be told, unless
// there is one in the same words, or its author has raised one that waits to be
// acknowledged; a version that says something else is one again.
func (t *turn) raiseFromReport(ctx context.Context, r Report) error {
	if t.c.SampleOf != nil {
		return nil // it opens the report that was sampled (sampling.go)
	}
	category := r.Actionable
	if !Pressing(category) {
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
	since, changed, err := t.changedSince(ctx, r)
	if err != nil || r.No > 1 && !changed {
		return err
	}
	known := func(m Matter) bool { // another may be as pressing, and something else
		switch {
		case m.tellsOf(category, r.Opinion.Impression), r.Difference != "" && m.tellsOf(category, r.Difference):
			return !m.Withdrawn() || r.No > 1 && !m.SettledAt.Before(since) // or taken back since it was signed
		case !m.isFinding() || !m.asPressing(category) || !m.OpenedAt.After(since):
			return false
		case r.No > 1:
			return t.ofActor(m)
		}
		return m.Open() && (t.ofActor(m) || !changed && m.OpenedBy != nil && slices.Contains(r.AuthoredBy(), *m.OpenedBy))
	}
	if slices.ContainsFunc(all, known) {
		return nil
	}
	text := r.Opinion.Impression
	if r.Level == LevelMajor && r.Difference != "" {
		text = r.Difference
	}
	return t.openMatter(ctx, Matter{Kind: FindingMatter, Category: category, Content: MatterContent{Text: text, FromReport: true}}, keyOf(category, text))
}

// raiseFromOpinion: an opinion that was just sealed and calls for action within minutes
// or hours is a finding of which somebody must be told now: until the signature it
// may be another reader's turn, or a supervisor's, and the order may be cancelled.
// It is not raised twice: known says of a finding that is on record that it tells
// the same. Of a second read for quality too: nothing tells it from another case,
// and a patient bleeds all the same (samplealert.go).
func (t *turn) raiseFromOpinion(ctx context.Context, o Sealed, known func(Matter) bool) error {
	if !Pressing(o.Content.Actionable) {
		return nil
	}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	category, text := o.Content.Actionable, o.Content.Impression
	if slices.ContainsFunc(all, func(m Matter) bool { return m.isFinding() && m.tellsOf(category, text) }) {
		return nil
	}
	for _, m := range slices.Backward(all) {
		if m.isFinding() && m.asPressing(category) && known(m) {
			if !m.Open() {
				return nil
			}
			m.Content.Sealed = text
			return t.ledger.updateMatter(ctx, t.c.CaseID, m)
		}
	}
	if err := t.openMatter(ctx, Matter{Kind: FindingMatter, Category: category, Content: MatterContent{Text: text, FromReport: true}}, keyOf(category, text)); err != nil {
		return err
	}
	t.preliminary(category)
	return nil
}

// waits: of two who read, each tells of what they have seen themselves. What was
// acknowledged before it was sealed may have been something else.
func (t *turn) waits(m Matter) bool { return m.Open() && t.ofActor(m) }

func (t *turn) ofActor(m Matter) bool { return m.OpenedBy != nil && *m.OpenedBy == t.actor.ID }
