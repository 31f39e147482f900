package fhir

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// What the reader of an original is told of the second opinion is a Communication
// that is made when it is opened, for that reader alone, and kept nowhere: it is
// part of the quality compartment, so it is in no chart, search or export.

// sidFeedback is the system of its identifiers.
const sidFeedback = Canonical + "/sid/feedback"

var whoRead = []access.Role{access.Reader, access.Adjudicator, access.Supervisor}

func feedbackServices() []service {
	return []service{
		{name: "feedback", id: "communication-feedback", types: []string{"Communication"}, atType: true, recorded: true, by: whoRead, scope: reading, gives: "Bundle",
			does: "What you are told, as the reader of an original report, of the second opinions on it: as the tenant's policy has it, whether they agree and in what they differ, " +
				"without score and without a name. Not while you read another case of the patient blind. Each opening is recorded. The newest first; where there are more, the link next of the Bundle leads on.",
			takes: pageParameters(), handle: (*Server).feedback},
		{name: "respond", id: "communication-respond", types: []string{"Communication"}, instance: true, affects: true, recorded: true, by: whoRead, scope: []access.Permission{access.Update}, gives: "Communication",
			does: "Your answer to what you were told, once: whether you agree, and why. The quality role reads it; where you disagree, it has a review to conclude.",
			takes: []parameter{
				{Name: "agrees", Type: "boolean", Min: 1, Doc: "Whether you agree."},
				{Name: "text", Type: "string", Doc: "Why, in your words; of other readers nothing."},
			},
			handle: (*Server).respond},
	}
}

// feedback is Communication/$feedback.
func (s *Server) feedback(c echo.Context, actor access.Actor, in *Node) error {
	ctx := c.Request().Context()
	note(c, auditEntry{Interaction: "operation", Query: "$feedback"})
	asked, err := pageOf(in)
	if err != nil {
		return err
	}
	page, err := s.feedbackTold(ctx, actor, asked)
	if err != nil {
		return err
	}
	b := Object("resourceType", "Bundle", "meta", Object("security", verySensitive), "type", "collection")
	if page.next != "" {
		b.Append("link", Object("relation", "next", "url", withQuery(s.baseURL+"/Communication/$feedback",
			url.Values{"_count": {strconv.Itoa(asked.count)}, "_after": {page.next}})))
	}
	for _, told := range page.told {
		b.Append("entry", Object("resource", told.message))
	}
	return write(c, http.StatusOK, b.Bytes())
}

// toldPage is a page of what a reader is told; next is the place of the page behind it.
type toldPage struct {
	told []toldReader
	next string
}

// feedbackTold is what the actor may be told now. That they were shown it, and of which
// cases, is recorded with it.
func (s *Server) feedbackTold(ctx context.Context, actor access.Actor, asked answerPage) (toldPage, error) {
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (page toldPage, err error) {
		all, err := workflow.FeedbackForTx(ctx, tx, actor.Viewer(), asked.after, asked.count+1)
		if err != nil || len(all) == 0 {
			return page, err
		}
		if len(all) > asked.count {
			all = all[:asked.count]
			last := all[asked.count-1]
			page.next = nextPage(workflow.Place{At: last.MadeAt, ID: last.ID})
		}
		p, err := s.partiesTo(ctx, tx, actor)
		if err != nil {
			return page, err
		}
		cases, err := workflow.ToldCasesTx(ctx, tx, column(all, func(f workflow.Feedback) uuid.UUID { return f.CaseID }))
		if err != nil {
			return page, err
		}
		var ids []uuid.UUID
		var files []workflow.Case
		for _, f := range all {
			one, ok := p.message(f, cases[f.CaseID])
			if !ok {
				continue // it was signed, so this does not happen
			}
			if !fenceOf(actor, access.Read).admits(one.message) {
				continue
			}
			page.told, ids, files = append(page.told, one), append(ids, f.ID), append(files, one.file)
		}
		if err := s.qualityOpened(ctx, tx, actor, files...); err != nil {
			return page, err
		}
		return page, s.engine.OpenFeedbackTx(ctx, tx, ids)
	})
}

// respond is Communication/{id}/$respond.
func (s *Server) respond(c echo.Context, actor access.Actor, in *Node) error {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return fault.New(fault.NotFound, "there is no such feedback, or it is not yours")
	}
	agrees := given(in, "agrees").Text()
	if agrees != "true" && agrees != "false" {
		return fault.At(fault.Value, "Parameters.parameter.where(name = 'agrees')", "say true or false in valueBoolean")
	}
	n, err := s.answerFeedback(c.Request().Context(), actor, id, agrees == "true", given(in, "text").Text())
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, n.Bytes())
}

// answerFeedback keeps an answer and gives the message with it.
func (s *Server) answerFeedback(ctx context.Context, actor access.Actor, id uuid.UUID, agrees bool, text string) (*Node, error) {
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (*Node, error) {
		file, err := s.engine.AnswerFeedbackTx(ctx, tx, actor.Viewer(), id, agrees, text)
		if err != nil {
			return nil, err
		}
		f, err := workflow.OneFeedbackTx(ctx, tx, actor.Viewer(), id)
		if err != nil {
			return nil, err
		}
		p, err := s.partiesTo(ctx, tx, actor)
		if err != nil {
			return nil, err
		}
		cases, err := workflow.ToldCasesTx(ctx, tx, []uuid.UUID{f.CaseID})
		if err != nil {
			return nil, err
		}
		one, ok := p.message(f, cases[f.CaseID])
		if !ok {
			return nil, fault.New(fault.NotFound, "there is no such feedback, or it is not yours")
		}
		return one.message, s.qualityOpened(ctx, tx, actor, file)
	})
}

// qualityOpened records that something of the quality compartment was shown: an event
// for each case.
func (s *Server) qualityOpened(ctx context.Context, tx pgx.Tx, actor access.Actor, files ...workflow.Case) error {
	var events []access.Event
	for _, file := range files {
		events = append(events, access.Event{Kind: access.QualityOpened, Tenant: actor.Tenant, Actor: actor, Case: "Task/" + file.TaskID, Patient: casePatient(file)})
	}
	return s.recordEvents(ctx, tx, actor.Tenant, events)
}

// parties are who tells, and the reader who is told.
type parties struct{ service, reader *Node }

func (s *Server) partiesTo(ctx context.Context, tx pgx.Tx, actor access.Actor) (p parties, err error) {
	if p.service, err = s.service(ctx, tx, actor.Tenant); err != nil {
		return p, err
	}
	me := actor.Viewer()
	p.reader, err = s.practitioner(ctx, tx, actor.Tenant, &me)
	return p, err
}

// toldReader is what one reader is told of one signed version.
type toldReader struct {
	workflow.Feedback

	file    workflow.Case
	message *Node

	level      workflow.Level
	difference string
	goodCall   bool
	points     []string // to be learnt
}

// message makes it; ok is false where that version is not there.
func (p parties) message(f workflow.Feedback, from *workflow.ToldCase) (one toldReader, ok bool) {
	if from == nil || len(from.Reports) < f.ReportNo {
		return one, false
	}
	c := from.Case
	one.Feedback, one.file = f, c
	one.tellDifference(from)
	n := Object(
		"resourceType", "Communication",
		"id", f.ID.String(),
		"meta", Object("security", verySensitive),
		"identifier", []*Node{Object("system", sidFeedback, "value", f.ID.String())},
		"status", "completed",
		"category", []*Node{concept(communicationCategory, "notification", "Notification")},
		"sent", instant(f.MadeAt),
		"recipient", []*Node{resourceReference(p.reader)},
		"sender", resourceReference(p.service),
	)
	if patient := casePatient(c); patient != "" {
		n.Set("subject", refer(patient, "", ""))
	}
	if c.OriginalReportID != nil {
		n.Set("about", []*Node{refer("DiagnosticReport/"+*c.OriginalReportID, "", "")})
	}
	for _, text := range one.texts() {
		n.Append("payload", Object("contentString", text))
	}
	if f.AnsweredAt != nil {
		said := map[bool]string{true: "You agreed.", false: "You disagreed."}[*f.Agrees]
		n.Append("note", Object("time", instant(*f.AnsweredAt), "text", strings.TrimSpace(said+" "+f.Answer)))
	}
	one.message = n
	return one, true
}

// tellDifference finds what is told: what the chart says of the difference, and by the
// policy what is to be learnt.
func (t *toldReader) tellDifference(from *workflow.ToldCase) {
	r := from.Reports[t.ReportNo-1]
	t.level, t.difference = r.Level, r.Difference
	if t.Kind != workflow.FeedbackLearning {
		return
	}
	if g, ok := workflow.InForce(from.Grades, r.SignedAt); ok {
		t.goodCall = g.Content.GoodCall
	}
	for _, p := range from.Points {
		t.points = append(t.points, p.Text)
	}
}

// texts are those of the message.
func (t *toldReader) texts() []string {
	if t.Kind == "finding" {
		return []string{"The study of your report (" + examName(t.file.Exam) + ") was read again for quality, and this reading differs in something that may change management. " +
			"Your report is open for an amendment: sign one, or withdraw it if you stand by the report.", t.difference}
	}
	texts := []string{"The study of your report (" + examName(t.file.Exam) + ") was read a second time. " + agreementCodes[t.level].Display + "."}
	if t.difference != "" && t.level != workflow.LevelNone {
		texts = append(texts, t.difference)
	}
	if t.goodCall {
		texts = append(texts, "A good call: your report saw what is easily missed.")
	}
	for _, point := range t.points {
		texts = append(texts, "To be learnt: "+point)
	}
	return texts
}
