package fhir

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// Escalations are a page of what is late or was escalated at a coordinator's or
// director's hospital. Whoever reads here too is not told of findings and questions,
// nor who has a part, of a case whose original is not revealed, but where it has ended: nobody
// reads it any more, and somebody may bleed.
func (s *Server) Escalations(ctx context.Context, actor access.Actor, f workflow.EscalationFilter, asked Asked) (screen.Escalations, error) {
	if err := coordinates(actor); err != nil {
		return screen.Escalations{}, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (page screen.Escalations, err error) {
		if page.LateClocks, err = workflow.LateClocksTx(ctx, tx, f); err != nil {
			return page, err
		}
		if page.Zone, err = workflow.ZoneTx(ctx, tx); err != nil {
			return page, err
		}
		task := func(l workflow.LateClock) string { return "Task/" + l.TaskID }
		seen, err := inside(ctx, tx, actor, column(page.Lines, task), access.Search)
		if err != nil {
			return page, err
		}
		page.Lines = slices.DeleteFunc(page.Lines, func(l workflow.LateClock) bool {
			return !seen[task(l)] || actor.HidesOriginals() && l.Concealed && l.Clock.OfMatter() && !l.State.Ended()
		})
		for i := range page.Lines {
			if actor.HidesOriginals() && page.Lines[i].Concealed {
				page.Lines[i].Reader = nil
				for j := range page.Lines[i].Told {
					page.Lines[i].Told[j].Person, page.Lines[i].Told[j].HeededBy = nil, nil
				}
			}
		}
		return page, s.auditDesk(ctx, tx, actor, "escalations", column(page.Lines, func(l workflow.LateClock) string { return l.TaskID }), asked)
	})
}

// Pages are what somebody was told at the tenant of one of their places, and has not
// taken note of. Whoever leads cases and reads here too has none of a finding before the
// reveal, as at the desk of escalations.
func (s *Server) Pages(ctx context.Context, actor access.Actor, asked Asked) ([]workflow.Page, error) {
	return inTenant(ctx, s, actor, func(tx pgx.Tx) ([]workflow.Page, error) {
		pages, err := workflow.PagesTx(ctx, tx, actor)
		if err != nil || len(pages) == 0 {
			return nil, err
		}
		seen, err := inside(ctx, tx, actor, column(pages, func(p workflow.Page) string { return "Task/" + p.TaskID }), access.Search)
		pages = slices.DeleteFunc(pages, func(p workflow.Page) bool {
			office := !actor.ReadsHere() && actor.HidesOriginals()
			return !seen["Task/"+p.TaskID] || office && p.Concealed && p.Clock.OfMatter() && !p.State.Ended()
		})
		if err != nil || len(pages) == 0 {
			return nil, err
		}
		return pages, s.auditDesk(ctx, tx, actor, "pages", column(pages, func(p workflow.Page) string { return p.TaskID }), asked)
	})
}
