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
	next := ""
	messages, err := inTenant(ctx, s, actor, func(tx pgx.Tx) ([]*Node, error) {
		told, err := workflow.FeedbackForTx(ctx, tx, viewerOf(actor), asked.after, asked.count+1)
		if err != nil {
			return nil, err
		}
		if len(told) == 0 {
			return nil, nil
		}
		next = ""
		if len(told) > asked.count {
			told = told[:asked.count]
			last := told[asked.count-1]
			next = nextPage(workflow.Place{At: last.MadeAt, ID: last.ID})
		}
		p, err := s.partiesTo(ctx, tx, actor)
		if err != nil {
			return nil, err
		}
		var messages []*Node
		var ids []uuid.UUID
		for _, f := range told {
			n, file, err := p.message(ctx, tx, f)
			if err != nil {
				return nil, err
			}
			if !fenceOf(actor, access.Read).admits(n) {
				continue
			}
			if err := s.qualityOpened(ctx, tx, c, actor, file); err != nil {
				return nil, err
			}
			messages, ids = append(messages, n), append(ids, f.ID)
		}
		return messages, s.engine.OpenFeedbackTx(ctx, tx, ids)
	})
	if err != nil {
		return err
	}
	b := Object("resourceType", "Bundle", "meta", Object("security", verySensitive), "type", "collection")
	if next != "" {
		b.Append("link", Object("relation", "next", "url", withQuery(s.baseURL+"/Communication/$feedback",
			url.Values{"_count": {strconv.Itoa(asked.count)}, "_after": {next}})))
	}
	for _, n := range messages {
		b.Append("entry", Object("resource", n))
	}
	return write(c, http.StatusOK, b.Bytes())
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
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		file, err := s.engine.AnswerFeedbackTx(ctx, tx, viewerOf(actor), id, agrees == "true", given(in, "text").Text())
		if err != nil {
			return nil, err
		}
		told, err := workflow.OneFeedbackTx(ctx, tx, viewerOf(actor), id)
		if err != nil {
			return nil, err
		}
		p, err := s.partiesTo(ctx, tx, actor)
		if err != nil {
			return nil, err
		}
		n, _, err := p.message(ctx, tx, told)
		if err != nil {
			return nil, err
		}
		return n, s.qualityOpened(ctx, tx, c, actor, file)
	})
}

// qualityOpened records that something of the quality compartment was shown.
func (s *Server) qualityOpened(ctx context.Context, tx pgx.Tx, c echo.Context, actor access.Actor, file workflow.Case) error {
	return s.RecordEvent(ctx, tx, access.Event{Kind: access.QualityOpened, Tenant: actor.Tenant, Actor: actor, Case: "Task/" + file.TaskID,
		Patient: casePatient(file), Client: clientAddress(c), RequestID: requestID(ctx)})
}

// parties are who tells, and the reader who is told.
type parties struct{ service, reader *Node }

func (s *Server) partiesTo(ctx context.Context, tx pgx.Tx, actor access.Actor) (p parties, err error) {
	if p.service, err = s.service(ctx, tx, actor.Tenant); err != nil {
		return p, err
	}
	me := viewerOf(actor)
	p.reader, err = s.practitioner(ctx, tx, actor.Tenant, &me)
	return p, err
}

// message is what one reader is told of one signed version.
func (p parties) message(ctx context.Context, tx pgx.Tx, f workflow.Feedback) (*Node, workflow.Case, error) {
	c, err := workflow.CaseByIDTx(ctx, tx, f.CaseID)
	if err != nil {
		return nil, c, err
	}
	reports, err := workflow.ReportsTx(ctx, tx, f.CaseID)
	if err != nil || len(reports) < f.ReportNo {
		return nil, c, err
	}
	texts, err := tellDifference(ctx, tx, f, c, reports[f.ReportNo-1])
	if err != nil {
		return nil, c, err
	}
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
	for _, text := range texts {
		n.Append("payload", Object("contentString", text))
	}
	if f.AnsweredAt != nil {
		said := map[bool]string{true: "You agreed.", false: "You disagreed."}[*f.Agrees]
		n.Append("note", Object("time", instant(*f.AnsweredAt), "text", strings.TrimSpace(said+" "+f.Answer)))
	}
	return n, c, nil
}

// tellDifference is the text of a message: what the chart says of the difference,
// and by the policy what is to be learnt.
func tellDifference(ctx context.Context, tx pgx.Tx, f workflow.Feedback, c workflow.Case, r workflow.Report) ([]string, error) {
	if f.Kind == "finding" {
		return []string{"The study of your report (" + examName(c.Exam) + ") was read again for quality, and this reading differs in something that may change management. " +
			"Your report is open for an amendment: sign one, or withdraw it if you stand by the report.", r.Difference}, nil
	}
	texts := []string{"The study of your report (" + examName(c.Exam) + ") was read a second time. " + agreementCodes[r.Level].Display + "."}
	if r.Difference != "" && r.Level != workflow.LevelNone {
		texts = append(texts, r.Difference)
	}
	if f.Kind != workflow.FeedbackLearning {
		return texts, nil
	}
	grades, err := workflow.GradesTx(ctx, tx, c.CaseID)
	if err != nil {
		return nil, err
	}
	if g, ok := workflow.InForce(grades, r.SignedAt); ok && g.Content.GoodCall {
		texts = append(texts, "A good call: your report saw what is easily missed.")
	}
	points, err := workflow.PointsTx(ctx, tx, c.CaseID)
	for _, p := range points {
		texts = append(texts, "To be learnt: "+p.Text)
	}
	return texts, err
}
