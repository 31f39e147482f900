package fhir

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// ReadersWorklist is the worklist of one who reads, adjudicates or supervises, with
// the views that they have kept, in one transaction and recorded as Worklist is.
func (s *Server) ReadersWorklist(ctx context.Context, actor access.Actor, want screen.WorklistWanted, asked Asked) (screen.Worklist, error) {
	if !actor.ReadsHere() {
		return screen.Worklist{}, fault.New(fault.Forbidden, "This is the worklist of those who read.")
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (list screen.Worklist, err error) {
		inner := s.within(tx)
		list.Now = s.now()
		if list.Items, err = inner.Worklist(ctx, actor, want.Cases, asked); err != nil {
			return list, err
		}
		if list.Notices, err = inner.Notices(ctx, actor, want.SkipNotices, want.Notices, asked); err != nil {
			return list, err
		}
		if list.Views, err = workflow.SavedViewsTx(ctx, tx, actor); err != nil {
			return list, err
		}
		list.Zone, err = workflow.ZoneTx(ctx, tx)
		return list, err
	})
}

// SaveView keeps a view of a worklist for the actor, or throws it away (drop). It is
// about nobody's record, so it is not recorded.
func (s *Server) SaveView(ctx context.Context, actor access.Actor, v workflow.SavedView, drop bool) error {
	_, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (struct{}, error) {
		if drop {
			return struct{}{}, workflow.DropViewTx(ctx, tx, actor, v.Name)
		}
		return struct{}{}, workflow.SaveViewTx(ctx, tx, actor, v)
	})
	return err
}

// ownDays is how far back one's own statistics go.
const ownDays = 365

// OwnStatistics are the actor's own, of the last year; nobody can ask for another's.
// They name no patient and no case, so they are not recorded.
func (s *Server) OwnStatistics(ctx context.Context, actor access.Actor) (screen.OwnStatistics, error) {
	if !actor.ReadsHere() {
		return screen.OwnStatistics{}, fault.New(fault.Forbidden, "These statistics are for those who read.")
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (own screen.OwnStatistics, err error) {
		if own.Zone, err = workflow.ZoneTx(ctx, tx); err != nil {
			return own, err
		}
		own.Since = s.now().In(own.Zone).AddDate(0, 0, -ownDays)
		own.OwnStatistics, err = workflow.OwnStatisticsTx(ctx, tx, actor.Viewer(), own.Since, own.Zone)
		return own, err
	})
}
