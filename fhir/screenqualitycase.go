package fhir

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// QualityCase is a case before the quality role: all that $quality gives, and both
// readings beside each other as far as the role may read them. It is recorded as
// $quality is, and which resources were shown besides.
func (s *Server) QualityCase(ctx context.Context, actor access.Actor, task string, asked Asked) (screen.QualityCase, error) {
	if err := answersForQuality(actor); err != nil {
		return screen.QualityCase{}, err
	}
	ctx = asked.within(ctx)
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (page screen.QualityCase, err error) {
		c, shown, err := s.mayOpen(ctx, tx, actor, task)
		if err != nil {
			return page, err
		}
		if !shown {
			return page, noCase()
		}
		page = screen.QualityCase{Task: c.TaskID, Number: c.Number(), Order: c.PlacerValue, Exam: examName(c.Exam), Modality: c.Exam.Modality, State: string(c.State), Zone: zoneOf(c.Policy), Now: s.now(),
			Opened: c.OpenedAt, Scored: c.Scored(), Pseudonyms: !c.NamesOpen(), Sample: c.SampleOf != nil, May: map[string]bool{}}
		if c.Protocol == workflow.Blinded && c.LockedAt != nil {
			unveiled, err := workflow.UnveiledTx(ctx, tx, c)
			if err != nil {
				return page, err
			}
			page.Independent = new(bool)
			*page.Independent = !unveiled
		}
		for _, name := range []string{"open-review", "close-review", "outcome", "add-learning-point", "withdraw-learning-point"} {
			page.May[name] = workflow.MayFire(actor, c.State, workflow.Event(name)) == nil
		}
		if err := qualityPeople(ctx, tx, c, &page, s); err != nil {
			return page, err
		}
		if err := s.bothReadings(ctx, tx, actor, c, &page, asked); err != nil {
			return page, err
		}
		return page, s.qualityOpened(ctx, tx, actor, c)
	})
}

// qualityPeople is what $quality gives, with who it is of by name or pseudonym.
func qualityPeople(ctx context.Context, tx pgx.Tx, c workflow.Case, page *screen.QualityCase, s *Server) error {
	names, err := readersNamed(ctx, tx, c)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		who  *uuid.UUID
	}{{"reader", c.ReaderID}, {"second reader", c.OtherReaderID}, {"third reader", c.AdjudicatorID}, {"supervisor", c.SupervisorID}} {
		if part.who != nil {
			page.People = append(page.People, screen.CasePerson{Part: part.name, Name: names.name(*part.who)})
		}
	}
	grades, err := workflow.GradesTx(ctx, tx, c.CaseID)
	if err != nil {
		return err
	}
	inForce, _ := workflow.InForce(grades, s.now())
	for _, g := range grades {
		row := screen.QualityGrade{GivenGrade: g, By: names.name(g.GradedBy), InForce: g.GradeNo == inForce.GradeNo}
		if c.Scored() {
			row.RADPEER, row.FivePoint = g.Content.RADPEER(), g.Content.FivePoint()
		}
		page.Grades = append(page.Grades, row)
	}
	later, err := laterOf(ctx, tx, c.CaseID)
	if err != nil {
		return err
	}
	page.Acknowledged, page.Judgements, page.Truths, page.Points, page.Reviews = later.read, later.judgements, later.truths, later.points, later.reviews
	for _, f := range later.feedback {
		page.Told = append(page.Told, screen.QualityTold{Feedback: f, Who: names.name(f.ReaderID)})
	}
	return nil
}

// bothReadings lays the original and the second opinion side by side, as they stand
// beside each other before whoever reads (screenreading.go), once the report is signed.
func (s *Server) bothReadings(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, page *screen.QualityCase, asked Asked) error {
	if c.ReportNo == 0 {
		return nil
	}
	p := &readingPage{s: s, tx: tx, actor: actor, c: c, shown: []string{"Task/" + c.TaskID}}
	steps := []func(context.Context) error{p.theCase, p.theOpinions, p.theOriginal, p.theReport}
	if c.OriginalReportID == nil { // the order may contain it
		steps = slices.Insert(steps, 1, p.theOrder)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	page.Original, page.Compared, page.Report = p.page.Original, p.page.Compared, p.page.Report
	if page.Pseudonyms {
		for i := range page.Original {
			page.Original[i].By = ""
		}
	}
	return s.audit(ctx, tx, actor, auditEntry{Interaction: "operation", Target: "Task/" + c.TaskID, Patient: casePatient(c),
		Query: "page of the case: " + strings.Join(p.shown, ", "), RequestID: asked.RequestID, Client: asked.Client})
}

// OwnFeedback is what the actor is told as the reader of originals, by the rules and
// with the record of Communication/$feedback.
func (s *Server) OwnFeedback(ctx context.Context, actor access.Actor, after string, asked Asked) (page screen.OwnFeedback, err error) {
	if !actor.ReadsHere() {
		return page, fault.New(fault.Forbidden, "This page is for those who read.")
	}
	from, err := listPlace(after)
	if err != nil {
		return page, err
	}
	ctx = asked.within(ctx)
	all, err := s.feedbackTold(ctx, actor, answerPage{count: linesAtOnce, after: from})
	if err != nil {
		return page, err
	}
	page.Zone, err = inTenant(ctx, s, actor, func(tx pgx.Tx) (*time.Location, error) { return workflow.ZoneTx(ctx, tx) })
	page.Next = all.next
	for _, t := range all.told {
		page.Told = append(page.Told, screen.ToldReader{ID: t.ID, Kind: t.Kind, Exam: examName(t.file.Exam), MadeAt: t.MadeAt, New: t.OpenedAt == nil, Level: t.level,
			Difference: t.difference, GoodCall: t.goodCall, Points: t.points, AnsweredAt: t.AnsweredAt, Agrees: t.Agrees, Answer: t.Answer})
	}
	return page, err
}

// AnswerFeedback is Communication/{id}/$respond by a form.
func (s *Server) AnswerFeedback(ctx context.Context, actor access.Actor, id uuid.UUID, agrees bool, text string, asked Asked) error {
	if !actor.ReadsHere() {
		return fault.New(fault.Forbidden, "This page is for those who read.")
	}
	ctx = asked.within(ctx)
	_, err := s.answerFeedback(ctx, actor, id, agrees, text)
	return err
}
