package fhir

import (
	"cmp"
	"context"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// FigureCases are the cases that a figure is made of: for a page what $evaluate-measure lists
// with reportType=subject-list, in pages, as of the moment of the figure. It is recorded as an
// opening of the quality compartment, as that is, and besides for each case that is listed, as
// the lists of the peer-learning room are: that a case stands among discrepancies is its grade.
// Auditors have no list; they are shown what tells of no single case (docs/disclosure.md).
func (s *Server) FigureCases(ctx context.Context, actor access.Actor, query url.Values, of, after string, asked Asked) (page screen.FigureCases, err error) {
	if err := answersForQuality(actor); err != nil {
		return page, err
	}
	if query.Has("stratifier") || query.Has("page") {
		return page, fault.New(fault.Value, "the cases of a group are asked for by filters and a period")
	}
	d, in, err := figuresAsked(actor, query)
	if err != nil {
		return page, err
	}
	from, err := listPlace(after)
	if err != nil {
		return page, err
	}
	ctx = asked.within(ctx)
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (screen.FigureCases, error) {
		if err := workflow.FactsReadyTx(ctx, tx); err != nil {
			return page, err
		}
		ask, err := s.askMeasure(ctx, tx, d, in)
		if err != nil {
			return page, err
		}
		ask.kind, ask.Page = "subject-list", 0
		if err := ask.callReaders(ctx, tx); err != nil { // of this query
			return page, err
		}
		page = screen.FigureCases{Title: d.Title, Of: d.Of, Counts: d.Counts, Timed: d.Timed(), From: ask.start, To: ask.end, AsOf: ask.AsOf, Query: ask.query(),
			Zone: ask.Zone, Shown: cmp.Or(of, string(facts.MembersDenominator)), Withheld: actor.HidesOriginals()}
		if page.Sites, err = siteNames(ctx, tx, actor, screen.Figures{By: []string{"site"}, Rows: []screen.FigureRow{{Values: []string{ask.Where["site"]}}}}); err != nil {
			return page, err
		}
		if page.Groups, err = figureGroups(ctx, tx, ask.Query); err != nil {
			return page, err
		}
		members, err := facts.MembersTx(ctx, tx, ask.Query, facts.Members(page.Shown), from, linesAtOnce+1)
		var list screen.QualityList
		members, err = linesOf(ctx, qualityLister{s, tx, actor, from, &list}, members, err, facts.Member.Place)
		if err != nil {
			return page, err
		}
		page.Next = list.Next
		for _, m := range members {
			page.Lines = append(page.Lines, figureCase(d, m))
		}
		if err := s.measureOpened(ctx, tx, actor, asked, d.ID, ""); err != nil {
			return page, err
		}
		query.Set("reportType", "subject-list")
		return page, s.audit(ctx, tx, actor, figuresEntry(d, "$evaluate-measure", query, asked))
	})
}

func figureCase(d facts.Definition, m facts.Member) screen.FigureCase {
	one := screen.FigureCase{Task: m.TaskID, Order: m.OrderNumber, Exam: m.Exam, Modality: m.Modality, At: m.At, Excluded: m.Excluded(d), Counted: m.Counted()}
	if d.Timed() && one.Excluded == "" {
		hours := float64(m.Minutes) / 60
		one.Hours = &hours
	}
	return one
}

// figureGroups are how many cases there are of each group that can be listed.
func figureGroups(ctx context.Context, tx pgx.Tx, q facts.Query) (groups []screen.FigureMembers, err error) {
	counts, err := facts.MembersCountedTx(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	for _, of := range []facts.Members{facts.MembersAll, facts.MembersDenominator, facts.MembersCounted, facts.MembersOthers, facts.MembersExcluded} {
		groups = append(groups, screen.FigureMembers{Of: string(of), Cases: counts[of]})
	}
	for _, code := range q.Measure.Exclusions() {
		if cases := counts[facts.Members(code)]; cases > 0 {
			groups = append(groups, screen.FigureMembers{Of: code, Reason: true, Cases: cases})
		}
	}
	return groups, nil
}
