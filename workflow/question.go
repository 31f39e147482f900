package workflow

import (
	"context"
	"strings"
)

// Asked is a question about a signed report.
type Asked struct {
	Text     string
	Person   string // who asks, as the EHR says it
	Key      string // of the EHR, by which it recognises the question; "": its words
	Resource string // "Communication/1" here, where the EHR sent one
	Follows  int    // the answered question that it goes on from; 0: none
}

// RequestKey is by what a question that is sent again is recognised.
func (a Asked) RequestKey() string {
	if a.Key != "" {
		return "key " + a.Key
	}
	return keyOf(a.Person, a.Text)
}

var questionGiven = Guard{"questionGiven", "the question has its text",
	func(_ context.Context, t *turn) error {
		if t.in.Question == nil || strings.TrimSpace(t.in.Question.Text) == "" {
			return refuse("ask needs the question")
		}
		return nil
	}}

var openQuestion = Effect{"openQuestion", "the question is on record; its clock runs until it is answered",
	func(ctx context.Context, t *turn) error {
		q := t.in.Question
		return t.openMatter(ctx, Matter{Kind: QuestionMatter, Content: MatterContent{Text: q.Text, Person: q.Person, Resource: q.Resource, Follows: q.Follows}}, q.RequestKey())
	}}

// What was asked before is kept: who answered may have read the one or the other.
var correctQuestion = Effect{"correctQuestion", "the open question says something else now; what it said before is kept with it, and its clock runs on",
	func(ctx context.Context, t *turn) error {
		m, err := t.chosen(ctx, QuestionMatter)
		if err != nil {
			return err
		}
		if m.Content.Text == t.in.Question.Text {
			return nil
		}
		m.Content.Earlier = append(m.Content.Earlier, m.Content.Text)
		m.Content.Text = t.in.Question.Text
		t.touch(m)
		return t.ledger.updateMatter(ctx, t.c.CaseID, m)
	}}

// asked is the question as the addendum that answers it says it.
func (m MatterContent) asked() string {
	if m.Earlier == nil {
		return m.Text
	}
	return m.Text + " (asked before it was corrected: " + strings.Join(m.Earlier, " / ") + ")"
}

var answerGiven = Guard{"answerGiven", "the answer has its text",
	func(_ context.Context, t *turn) error {
		if strings.TrimSpace(t.in.Answer) == "" {
			return refuse("answer needs the answer")
		}
		return nil
	}}

var answerQuestion = Effect{"answerQuestion", "the question is answered; the answer becomes an addendum of the report",
	func(ctx context.Context, t *turn) error {
		m, err := t.chosen(ctx, QuestionMatter)
		if err != nil {
			return err
		}
		who := m.Content.Person
		if who == "" {
			who = "the requester"
		}
		t.addendum = &Amendment{Kind: "addition", Reason: "question of " + who, Text: "Question: " + m.Content.asked() + "\nAnswer: " + t.in.Answer}
		t.afterSigning = append(t.afterSigning, func(ctx context.Context) error {
			return t.settleMatter(ctx, m, "answered", Closing{Text: t.in.Answer}, t.report.No)
		})
		return nil
	}}
