package fhir

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/calls"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// What the operations take that open and settle matters.

func numbered(what string) parameter {
	return parameter{Name: what, Type: "positiveInt", Doc: "Its number, as Task/{id}/$matters tells it. It may be left out where one alone is open.",
		Set: func(r *request, v *Node) { r.number(v) }}
}

func (r *request) number(v *Node) { r.Matter = smallNumber(v) }

// outcomeOfFinding is what whoever signs says of a finding that came from another text.
var outcomeOfFinding = parameter{Name: "finding", Many: true,
	Doc: "An actionable finding of the case, and whether it stands now that another text is signed than the one with which it came (of another reader, or before it was changed). " +
		"Each of which the new text does not say the same must be named. What is withdrawn is in the report no more, and whoever was told of it is told so; what stands is in it under the name of who signs.",
	Parts: []parameter{
		{Name: "number", Type: "positiveInt", Min: 1, Doc: "Its number, as Task/{id}/$matters tells it.", Set: func(r *request, v *Node) { r.outcome().Number = smallNumber(v) }},
		{Name: "outcome", Type: "code", Codes: workflow.Outcomes, Doc: "Whether it stands or is withdrawn; nothing is said of it where it is left out.", Set: func(r *request, v *Node) { r.outcome().Outcome = v.Text() }},
	},
	Set: func(r *request, _ *Node) { r.Outcomes = append(r.Outcomes, workflow.FindingOutcome{}) }}

func (r *request) outcome() *workflow.FindingOutcome { return &r.Outcomes[len(r.Outcomes)-1] }

// smallNumber is a number of which it does not matter how large it is beyond a million.
func smallNumber(v *Node) (number int) {
	for _, digit := range v.Text() {
		number = min(number*10+int(digit-'0'), 1_000_000)
	}
	return number
}

// raised is a finding.
var raised = []parameter{
	{Name: "category", Type: "code", Min: 1, Codes: workflow.Words("actionable")[1:],
		Doc: "How soon somebody must act (ACR): emergent within minutes, urgent within hours, non-critical within days.",
		Set: func(r *request, v *Node) { r.finding().Category = v.Text() }},
	{Name: "text", Type: "string", Min: 1, Doc: "What was seen, in words for the clinician: nothing of the original report.",
		Set: func(r *request, v *Node) { r.finding().Text = v.Text() }},
}

func (r *request) finding() *workflow.RaisedFinding {
	if r.Finding == nil {
		r.Finding = new(workflow.RaisedFinding)
	}
	return r.Finding
}

// spokenOf is an attempt to tell somebody of a finding.
var spokenOf = []parameter{
	numbered("finding"),
	{Name: "recipient", Type: "string", Min: 1, Doc: "Whom: the name.", Set: func(r *request, v *Node) { r.call().Content.Recipient = v.Text() }},
	{Name: "role", Type: "string", Doc: "The recipient's function, such as attending physician.", Set: func(r *request, v *Node) { r.call().Content.Role = v.Text() }},
	{Name: "medium", Type: "code", Min: 1, Codes: workflow.Media, Doc: "How.", Set: func(r *request, v *Node) { r.call().Content.Medium = v.Text() }},
	{Name: "reached", Type: "boolean", Min: 1, Doc: "Whether somebody was reached.", Set: func(r *request, v *Node) { r.call().Reached = v.Text() == "true" }},
	{Name: "readBack", Type: "boolean", Doc: "Whether the recipient said it again and it was right. What was read back is acknowledged.",
		Set: func(r *request, v *Node) { r.call().Content.ReadBack = v.Text() == "true" }},
	{Name: "at", Type: "dateTime", Doc: "When, with its time; now where it is left out.",
		Set: func(r *request, v *Node) {
			if at, err := time.Parse(time.RFC3339, v.Text()); err == nil {
				r.call().MadeAt = at
			} else {
				r.call().MadeAt = time.Unix(1<<40, 0) // a date without a time: the guard refuses what is to come
			}
		}},
	{Name: "note", Type: "string", Doc: "What else is to be said of it.", Set: func(r *request, v *Node) { r.call().Content.Note = v.Text() }},
}

func (r *request) call() *workflow.Call {
	if r.Call == nil {
		r.Call = new(workflow.Call)
	}
	return r.Call
}

// readBy is who has read something.
var readBy = []parameter{
	{Name: "clinician", Type: "string", Doc: "Who has read it, by name. This, or practitioner, is needed of a system; a person who is signed in is that themselves.", Set: func(r *request, v *Node) { r.Acknowledged.Person = v.Text() }},
	{Name: "practitioner", Type: "Reference", Doc: "The same by a reference to the Practitioner or PractitionerRole, here or at the EHR.", Set: func(r *request, v *Node) { r.readBy = v }},
	{Name: "role", Type: "string", Doc: "The clinician's function, such as attending physician.", Set: func(r *request, v *Node) { r.Acknowledged.Role = v.Text() }},
}

var versionRead = parameter{Name: "report", Type: "Reference",
	Doc: "Which version was read: DiagnosticReport/{id}/_history/{version}, or the address, with its version, at which the EHR keeps the copy that it was sent. " +
		"Where it is left out, or names no version, the last one that an EHR has got is meant; of a report that no EHR has got, the one in force.",
	Set: func(r *request, v *Node) { r.read = v }}

// questionAsked is a question.
var questionAsked = []parameter{
	{Name: "question", Type: "string", Min: 1, Doc: "What is asked.", Set: func(r *request, v *Node) { r.question().Text = v.Text() }},
	{Name: "clinician", Type: "string", Doc: "Who asks, by name.", Set: func(r *request, v *Node) { r.question().Person = v.Text() }},
	{Name: "identifier", Type: "Identifier", Doc: "The EHR's own of the question: sent again, it is the same question. Without it the same words of the same clinician are.",
		Set: func(r *request, v *Node) { r.question().Key = identifierKey(v) }},
	{Name: "follows", Type: "positiveInt", Doc: "The number of the answered question that this one goes on from.",
		Set: func(r *request, v *Node) { r.number(v); r.question().Follows, r.Matter = r.Matter, 0 }},
}

func (r *request) question() *workflow.Asked {
	if r.Question == nil {
		r.Question = new(workflow.Asked)
	}
	return r.Question
}

var answered = []parameter{
	numbered("number"),
	{Name: "answer", Type: "string", Min: 1, Doc: "The answer. It becomes an addendum of the report, signed in this moment.", Set: func(r *request, v *Node) { r.Answer = v.Text() }},
}

// amendmentOf keeps what one has written from being signed over what another has signed meanwhile.
var amendmentOf = parameter{Name: "amends", Type: "positiveInt",
	Doc: "The version of the report that the amendment was written against, by its number: 1 is the first that was signed. Is another in force by then, nothing is signed.",
	Set: func(r *request, v *Node) { r.Amends = smallNumber(v) }}

var amendmentVerifies = parameter{Name: "verifies", Type: "boolean",
	Doc: "This version takes into account what the study has become since the signature; that settles its re-verification.",
	Set: func(r *request, v *Node) { r.amendment().Verifies = v.Text() == "true" }}

// raiseFinding and ask do nothing the second time: whoever lost the answer asks
// again.
func (s *Server) raiseFinding(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	return unlessKnown(ctx, tx, actor, c, "raise-finding", workflow.FindingMatter, r.Finding.RequestKey(), func() error {
		_, err := s.engine.RaiseTx(ctx, tx, actor, c.CaseID, *r.Finding)
		return err
	})
}

func (s *Server) askQuestion(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	return unlessKnown(ctx, tx, actor, c, "ask", workflow.QuestionMatter, r.Question.RequestKey(), func() error {
		_, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "ask", r.Input)
		return err
	})
}

// communicate, answer and verify too, for a while (workflow.Matter.Repeats).
func (s *Server) communicate(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	return s.fireUnlessSaid(ctx, tx, actor, c, "communicate", workflow.FindingMatter, r.Input)
}

func (s *Server) answerQuestion(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	return s.fireUnlessSaid(ctx, tx, actor, c, "answer", workflow.QuestionMatter, r.Input)
}

func (s *Server) verify(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	return s.fireUnlessSaid(ctx, tx, actor, c, "verify", workflow.VerificationMatter, r.Input)
}

func (s *Server) dismissVerification(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error {
	return s.fireUnless(ctx, tx, actor, c, "dismiss-verification", r.Input, func(m workflow.KnownMatter) bool {
		return m.RepeatsDismissal(actor.ID, r.Input, s.now())
	})
}

func (s *Server) fireUnlessSaid(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, event workflow.Event, kind workflow.MatterKind, in workflow.Input) error {
	return s.fireUnless(ctx, tx, actor, c, event, in, func(m workflow.KnownMatter) bool {
		return m.Kind == kind && m.Repeats(actor.ID, in, s.now())
	})
}

func (s *Server) fireUnless(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, event workflow.Event, in workflow.Input, said func(workflow.KnownMatter) bool) error {
	all, err := workflow.MattersTx(ctx, tx, c.CaseID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.Choosable(all, actor), said) {
		return workflow.MayFire(actor, c.State, event)
	}
	_, err = s.engine.FireTx(ctx, tx, actor, c.CaseID, event, in)
	return err
}

func unlessKnown(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, event workflow.Event, kind workflow.MatterKind, key string, fire func() error) error {
	known, err := workflow.KnownMatterTx(ctx, tx, c, actor, kind, key)
	if err != nil {
		return err
	}
	if known {
		return workflow.MayFire(actor, c.State, event)
	}
	return fire()
}

// matterServices are the rows of the table of services that list what is open on
// a case.
func matterServices() []service {
	return []service{
		{name: "matters", id: "task-matters",
			does:  "What is or was open on a case besides its state: actionable findings, questions about the report, changes of the study after the signature. Before the reveal of a blinded reading, whoever reads is told of their own findings only.",
			types: []string{"Task"}, instance: true, by: []access.Role{access.Placer, access.Reader, access.Adjudicator, access.Supervisor, access.Coordinator, access.Director}, scope: reading,
			tells: []parameter{{Name: "matter", Many: true, Doc: "One of them.", Parts: []parameter{
				{Name: "number", Type: "positiveInt", Min: 1, Doc: "By which operations name it to the caller; another may know it by another one."},
				{Name: "kind", Type: "code", Min: 1, Doc: "finding, question or verification."},
				{Name: "category", Type: "code", Doc: "Of a finding."},
				{Name: "text", Type: "string", Doc: "The finding, the question, or what became of the study."},
				{Name: "earlier", Type: "string", Many: true, Doc: "What a question said before it was corrected, the first one first."},
				{Name: "opened", Type: "instant", Min: 1, Doc: "Since when."},
				{Name: "due", Type: "instant", Min: 1, Doc: "By when it is to be settled."},
				{Name: "settlement", Type: "code", Doc: "How it was settled: acknowledged, answered, valid, amended, withdrawn."},
				{Name: "settled", Type: "instant", Doc: "When."},
				{Name: "by", Type: "string", Doc: "Who acknowledged it, as far as they said."},
				{Name: "answer", Type: "string", Doc: "The answer, or the reason."},
				{Name: "told", Type: "string", Many: true, Doc: "Whom somebody told or tried to tell of a finding, how and when."},
			}}},
			handle: (*Server).matters},
	}
}

// matters is Task/{id}/$matters.
func (s *Server) matters(c echo.Context, actor access.Actor, _ *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		found, err := s.caseSeen(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return nil, err
		}
		if !actor.May("Communication", access.Read) {
			return nil, fault.New(fault.Forbidden, "the scopes of this token do not let it read Communications")
		}
		all, err := workflow.MattersTx(ctx, tx, found.CaseID)
		if err != nil {
			return nil, err
		}
		shown := []*Node{}
		for _, m := range found.Known(all, actor) {
			shown = append(shown, matterParts(found, m))
		}
		return Object("resourceType", "Parameters", "parameter", shown), nil
	})
}

func matterParts(c workflow.Case, m workflow.KnownMatter) *Node {
	text := m.Content.Text
	if m.Kind == workflow.VerificationMatter {
		text = m.Content.Words()
	}
	parts := []*Node{Object("name", "number", "valuePositiveInt", m.Number), Object("name", "kind", "valueCode", string(m.Kind))}
	add := func(name, element, value string) {
		if value != "" {
			parts = append(parts, Object("name", name, element, value))
		}
	}
	add("category", "valueCode", m.Category)
	add("text", "valueString", text)
	for _, text := range m.Content.Earlier {
		add("earlier", "valueString", text)
	}
	add("opened", "valueInstant", instant(m.OpenedAt))
	add("due", "valueInstant", instant(m.DueAt))
	if m.Settlement != nil {
		add("settlement", "valueCode", *m.Settlement)
		add("settled", "valueInstant", instant(*m.SettledAt))
	}
	add("by", "valueString", m.Closing.Person)
	add("answer", "valueString", m.Closing.Text)
	for _, call := range m.Calls {
		add("told", "valueString", call.Reported().Told().Words(calls.English, zoneOf(c.Policy))+".")
	}
	return Object("name", "matter", "part", parts)
}
