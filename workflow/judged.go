package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A finding comes with a text. Where another text is signed, by a third reader's decision,
// a supervisor's edit, a correction, or since the case went on to somebody else, nobody
// but whoever signs can say whether the emergency is over: the signature says of each
// such finding whether it stands or is withdrawn. Of a text that says the same of it,
// nobody is asked.

// FindingOutcome is what whoever signs says of a finding.
type FindingOutcome struct {
	Number  int    // by which they know it
	Outcome string // stands or withdrawn; "": nothing is said of it
}

// Outcomes are what can be said of a finding.
var Outcomes = []string{"stands", "withdrawn"}

// LetStand is who has let a finding stand that came from another text.
type LetStand struct {
	By uuid.UUID `json:"by"`
	At time.Time `json:"at"`
}

// signedText is what is about to be signed: the text, and how it differs from the original.
type signedText struct {
	Opinion    Opinion
	Difference string
	Compared   string  // how soon somebody must act on what differs
	edited     bool    // by who signs
	before     *Report // the version in force; nil before the first
}

// textToSign is the text that a signature would sign now.
func (t *turn) textToSign(ctx context.Context) (now signedText, err error) {
	if t.c.ReportNo > 0 {
		before, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return now, err
		}
		now = signedText{before.Opinion, before.Difference, before.Compared, false, &before}
		if t.in.Amendment == nil {
			return now, nil
		}
		if changed, ok := t.amendedOpinion(before.Opinion); ok {
			now.Opinion, now.edited = changed, true
		}
		if t.in.Grade != nil {
			now.Difference, now.Compared = t.in.Grade.Difference, t.in.Grade.Actionable()
		}
		return now, nil
	}
	text, err := t.lockedOpinion(ctx)
	now.Opinion = text.Content
	if err == nil && t.c.State == AwaitingCosign && t.in.Opinion != nil {
		now.Opinion, now.edited = t.in.Opinion.over(text.Content), true
	}
	return now, err
}

// undecided are the findings that came from another text than is to be signed, and of
// which the new one does not say the same.
func (t *turn) undecided(ctx context.Context) ([]KnownMatter, error) {
	now, err := t.textToSign(ctx)
	if err != nil {
		return nil, err
	}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return nil, err
	}
	sealed, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(t.c.Choosable(all, t.actor), func(m KnownMatter) bool {
		return !m.isFinding() || t.saysTheSame(m.Matter, now, sealed)
	}), nil
}

// saysTheSame: the text that is to be signed says of the finding what the one said with
// which it came.
func (t *turn) saysTheSame(m Matter, now signedText, sealed []Sealed) bool {
	if SameSentence(m.Content.Text, now.Opinion.Impression) && mostPressing(m.Category, now.Opinion.Actionable) == now.Opinion.Actionable {
		return true
	}
	came, ok := Opinion{}, false
	switch before := now.before; {
	case before != nil && (before.tells(m) || m.OpenedBy == nil):
		came, ok = before.Opinion, true
		if SameSentence(m.Content.Text, before.Difference) && (!SameSentence(before.Difference, now.Difference) ||
			lessPressing(mostPressing(now.Opinion.Actionable, now.Compared), before.urgency())) {
			return false
		}
	case t.ofActor(m) && (before != nil || !slices.ContainsFunc(sealed, func(o Sealed) bool { return o.ReaderID == t.actor.ID })):
		return true // they have just raised it themselves
	case m.OpenedBy != nil:
		came, ok = textOf(m, sealed)
	}
	if !ok {
		return false
	}
	if now.before == nil && !now.edited && t.c.settledBy(settledPressing) && t.c.IsOneOfTwo(*m.OpenedBy) {
		return true // by rule, nobody overrules anybody
	}
	return SameSentence(came.Impression, now.Opinion.Impression) && !lessPressing(now.Opinion.Actionable, came.Actionable)
}

// lessPressing: nothing said is none.
func lessPressing(category, than string) bool {
	return max(0, slices.Index(actionables, category)) < max(0, slices.Index(actionables, than))
}

// textOf is the text with which somebody's finding came: what they sealed with it or
// after it, else what they had sealed before.
func textOf(m Matter, sealed []Sealed) (text Opinion, ok bool) {
	for _, o := range sealed {
		if o.ReaderID != *m.OpenedBy || o.Status != "locked" {
			continue
		}
		text, ok = o.Content, true
		if !o.SealedAt.Before(m.OpenedAt) {
			break
		}
	}
	return text, ok
}

var findingsJudged = Guard{"findingsJudged", "of each finding that came from another text than is signed, and of which that does not say the same, it is said whether it stands or is withdrawn; the text that is signed does not say itself what is withdrawn",
	func(ctx context.Context, t *turn) error {
		undecided, err := t.undecided(ctx)
		if err != nil {
			return err
		}
		if err := t.checkOutcomes(ctx); err != nil {
			return err
		}
		var open []string
		for _, m := range undecided {
			if t.outcomeOf(m.Number) == "" {
				open = append(open, fmt.Sprintf("%d (%s: %s)", m.Number, m.Category, strings.TrimRight(m.Content.Text, ". ")))
			}
		}
		if open != nil {
			return refuse("the text that you sign is another than the one with which these findings came, and does not say the same of them: %s. Say of each whether it stands or is withdrawn: finding, with its number, and outcome (stands or withdrawn)", strings.Join(open, "; "))
		}
		return nil
	}}

// checkOutcomes: what is said is said of a finding of the case, once, and not against
// the text.
func (t *turn) checkOutcomes(ctx context.Context) error {
	if len(t.in.Outcomes) == 0 {
		return nil
	}
	now, err := t.textToSign(ctx)
	if err != nil {
		return err
	}
	said := map[int]bool{}
	for _, o := range t.in.Outcomes {
		if o.Outcome == "" {
			continue
		}
		m, err := t.findingOf(ctx, o.Number)
		switch {
		case err != nil:
			return err
		case !slices.Contains(Outcomes, o.Outcome):
			return refuse("the outcome of a finding is one of %s", strings.Join(Outcomes, ", "))
		case said[o.Number]:
			return refuse("finding %d is named twice", o.Number)
		case m.Withdrawn():
			return refuse("finding %d was withdrawn before", o.Number)
		case o.Outcome == "withdrawn" && (SameSentence(m.Content.Text, now.Opinion.Impression) || SameSentence(m.Content.Text, now.Difference)):
			return refuse("finding %d cannot be withdrawn by a report that says it itself: change the impression, or what differs", o.Number)
		}
		said[o.Number] = true
	}
	return nil
}

// findingOf is the finding that the actor knows by a number.
func (t *turn) findingOf(ctx context.Context, number int) (Matter, error) {
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return Matter{}, err
	}
	for _, m := range t.c.Choosable(all, t.actor) {
		if m.Number == number && m.Kind == FindingMatter {
			return m.Matter, nil
		}
	}
	return Matter{}, refuse("this case has no %s of the number %d", FindingMatter, number)
}

func (t *turn) outcomeOf(number int) string {
	for _, o := range t.in.Outcomes {
		if o.Number == number && o.Outcome != "" {
			return o.Outcome
		}
	}
	return ""
}

var judgeFindings = Effect{"judgeFindings", "each finding that is said to be withdrawn is taken back, and whoever was told of it is told so; one that is said to stand is from now on that of who signs. What waited for a supervisor's signature is told now",
	func(ctx context.Context, t *turn) error {
		for _, o := range t.in.Outcomes {
			if o.Outcome == "" {
				continue
			}
			m, err := t.findingOf(ctx, o.Number)
			if err != nil {
				return err
			}
			if o.Outcome == "withdrawn" {
				reason := "The report that was signed does not say so."
				if a := t.in.Amendment; a != nil {
					reason = a.Reason
				}
				if err := t.settleMatter(ctx, m, "withdrawn", m.withdrawn(reason), 0); err != nil {
					return err
				}
				continue
			}
			if t.ofActor(m) {
				continue
			}
			m.Content.Stands = &LetStand{t.actor.ID, t.now}
			if err := t.ledger.updateMatter(ctx, t.c.CaseID, m); err != nil {
				return err
			}
			t.touch(m)
		}
		return t.countersign(ctx)
	}}

// countersign: what the reader has found is told as that of a report that is signed.
func (t *turn) countersign(ctx context.Context) error {
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.isFinding() && m.Content.Uncosigned {
			m.Content.Uncosigned = false
			if err := t.ledger.updateMatter(ctx, t.c.CaseID, m); err != nil {
				return err
			}
			t.touch(m)
		}
	}
	return nil
}

// WaitsForSignature tells whether a finding is of a trainee or a locum and not pressing:
// it goes to nobody before somebody has signed it, or the case is over without.
func (c Case) WaitsForSignature(m Matter) bool {
	return m.Kind == FindingMatter && m.Content.Uncosigned && !m.isPressing() && (m.Withdrawn() || !c.State.Ended())
}

// tellUnsigned: the case is over, and nobody will countersign what was found.
func (t *turn) tellUnsigned(ctx context.Context) error {
	if t.c.ReportNo > 0 {
		return nil
	}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.isFinding() && m.Open() && m.Content.Uncosigned && !m.isPressing() {
			t.touch(m)
		}
	}
	return nil
}
