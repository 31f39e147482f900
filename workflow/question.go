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
		t.addendum = &Amendment{Kind: "addition", Reason: "question of " + who, Text: "Question: " + m.Content.Text + "\nAnswer: " + t.in.Answer}
		t.afterSigning = append(t.afterSigning, func(ctx context.Context) error {
			return t.settleMatter(ctx, m, "answered", Closing{Text: t.in.Answer}, t.report.No)
		})
		return nil
	}}
