package fhir

import (
	"context"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// The peer-learning room of the quality role (web/quality.go). It shows what $quality,
// $reviews, $samples and $meeting-pack give, by their rules; of each case that a list
// tells of, the opening is recorded as $quality records it.

// linesAtOnce is how many lines a list has.
const linesAtOnce = 50

// answersForQuality refuses everybody else, and tokens of less than the role's.
func answersForQuality(actor access.Actor) error {
	if actor.Role != access.Quality || actor.Limited() || actor.Patient != "" {
		return fault.New(fault.Forbidden, "the role %s does not open how readings were graded", actor.Role)
	}
	return nil
}

// QualityList is one of the lists of the room.
func (s *Server) QualityList(ctx context.Context, actor access.Actor, q screen.QualityAsked, asked Asked) (screen.QualityList, error) {
	if err := answersForQuality(actor); err != nil {
		return screen.QualityList{}, err
	}
	from, err := listPlace(q.After)
	if err != nil {
		return screen.QualityList{}, err
	}
	ctx = asked.within(ctx)
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (list screen.QualityList, err error) {
		list.Now = s.now()
		if list.Zone, err = workflow.ZoneTx(ctx, tx); err != nil {
			return list, err
		}
		if list.OpenReviews, err = workflow.OpenReviewsCountTx(ctx, tx); err != nil {
			return list, err
		}
		l := qualityLister{s, tx, actor, from, &list}
		switch q.List {
		case "reviews":
			all, err := workflow.ReviewLinesTx(ctx, tx, q.Shown != "closed", from, linesAtOnce+1)
			list.Reviews, err = linesOf(ctx, l, all, err, workflow.ReviewLine.Place)
			return list, err
		case "points":
			if list.Tags, err = workflow.LearningTagsTx(ctx, tx, linesAtOnce); err != nil {
				return list, err
			}
			all, err := workflow.PointLinesTx(ctx, tx, q.Tag, from, linesAtOnce+1)
			list.Points, err = linesOf(ctx, l, all, err, workflow.PointLine.Place)
			return list, err
		case "feedback":
			shown := workflow.FeedbackShown(q.Shown)
			all, err := workflow.FeedbackLinesTx(ctx, tx, shown, from, linesAtOnce+1)
			list.Feedback, err = linesOf(ctx, l, all, err, func(f workflow.FeedbackLine) workflow.Place { return f.PlaceIn(shown) })
			return list, err
		case "outcomes":
			all, err := workflow.TruthLinesTx(ctx, tx, from, linesAtOnce+1)
			list.Outcomes, err = linesOf(ctx, l, all, err, workflow.TruthLine.Place)
			return list, err
		case "samples":
			return list, l.samples(ctx, q.Shown != "all")
		case "packs":
			list.Packs, err = s.packsListed(ctx, tx, actor)
			return list, err
		}
		return list, fault.New(fault.NotFound, "There is no such page, or not in your role.")
	})
}

// listPlace reads a place, as the page before has given it.
func listPlace(text string) (workflow.Place, error) {
	if text == "" {
		return workflow.Place{}, nil
	}
	p, err := pageOf(Object("parameter", []*Node{Object("name", "_after", "valueString", text)}))
	return p.after, err
}

// qualityLister makes a list.
type qualityLister struct {
	s     *Server
	tx    pgx.Tx
	actor access.Actor
	from  workflow.Place
	list  *screen.QualityList
}

func (l qualityLister) samples(ctx context.Context, drawn bool) (err error) {
	if err := maySeeSamples(l.actor); err != nil {
		return err
	}
	if l.list.Strata, err = workflow.SampleStrataTx(ctx, l.tx, l.list.Now.AddDate(-1, 0, 0)); err != nil {
		return err
	}
	all, err := workflow.SampleLinesTx(ctx, l.tx, drawn, l.from, linesAtOnce+1)
	l.list.Samples, err = linesOf(ctx, l, all, err, workflow.SampleLine.Place)
	if err != nil {
		return err
	}
	return l.s.RecordEvent(ctx, l.tx, access.Event{Kind: access.QualityOpened, Tenant: l.actor.Tenant, Actor: l.actor}) // as $samples
}

// linesOf are the lines of a page that the actor may open; that they were opened is
// recorded. A line more than a page has means that another follows.
func linesOf[T interface{ Head() workflow.QualityHead }](ctx context.Context, l qualityLister, lines []T, err error, place func(T) workflow.Place) ([]T, error) {
	if err != nil {
		return nil, err
	}
	if len(lines) > linesAtOnce {
		lines = lines[:linesAtOnce]
		l.list.Next = nextPage(place(lines[linesAtOnce-1]))
	}
	originals := map[string]*string{}
	for _, line := range lines {
		originals[line.Head().TaskID] = line.Head().OriginalReportID
	}
	shown, err := openTo(ctx, l.tx, l.actor, originals)
	if err != nil {
		return nil, err
	}
	var files []workflow.Case
	seen := map[string]bool{}
	lines = slices.DeleteFunc(lines, func(line T) bool { return !shown[line.Head().TaskID] })
	for _, line := range lines {
		if h := line.Head(); !seen[h.TaskID] {
			seen[h.TaskID] = true
			files = append(files, workflow.Case{TaskID: h.TaskID, PatientID: h.PatientID})
		}
	}
	return lines, l.s.qualityOpened(ctx, l.tx, l.actor, files...)
}

// MakePack makes a pack by the fields of a form, which are the parameters of
// $make-meeting-pack.
func (s *Server) MakePack(ctx context.Context, actor access.Actor, fields url.Values, asked Asked) (uuid.UUID, error) {
	if err := answersForQuality(actor); err != nil {
		return uuid.Nil, err
	}
	operation := packServices()[0]
	given, err := fieldsOf(operation.takes, fields)
	if err != nil {
		return uuid.Nil, err
	}
	in := Object("resourceType", "Parameters", "parameter", given)
	if err := checkInput(operation, in); err != nil {
		return uuid.Nil, err
	}
	ctx = asked.within(ctx)
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (uuid.UUID, error) {
		p, err := s.packMade(ctx, tx, actor, in)
		return p.ID, err
	})
}

// Pack is a pack with the zone of its hospital, as $meeting-pack opens it.
func (s *Server) Pack(ctx context.Context, actor access.Actor, id uuid.UUID, asked Asked) (workflow.Pack, error) {
	if err := answersForQuality(actor); err != nil {
		return workflow.Pack{}, err
	}
	ctx = asked.within(ctx)
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (workflow.Pack, error) {
		p, err := s.packOpened(ctx, tx, actor, id)
		if err != nil {
			return p, err
		}
		zone, err := workflow.ZoneTx(ctx, tx)
		p.MadeAt = p.MadeAt.In(zone)
		return p, err
	})
}

// PackFile is a pack to keep, in a language: html or pdf.
func (s *Server) PackFile(ctx context.Context, actor access.Actor, id uuid.UUID, form, language string, asked Asked) (screen.File, error) {
	if form != "html" && form != "pdf" {
		return screen.File{}, fault.New(fault.NotFound, "There is no such page, or not in your role.")
	}
	p, err := s.Pack(ctx, actor, id, asked)
	if err != nil {
		return screen.File{}, err
	}
	paper := paperOf(p, language)
	f := screen.File{Name: "learning-meeting-" + p.MadeAt.Format("2006-01-02") + "." + form, ContentType: "text/html; charset=utf-8", Content: paper.HTML()}
	if form == "pdf" {
		f.ContentType = "application/pdf"
		f.Content, err = paper.PDF()
	}
	return f, err
}
