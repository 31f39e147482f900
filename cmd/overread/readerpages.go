package main

import (
	"context"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/web"
	"github.com/overread/overread/workflow"
)

// readersDesk is what the pages of those who read ask of the FHIR surface.
func readersDesk(surface func() *fhir.Server, asked func(web.Caller) fhir.Asked) web.ReadersDesk {
	return web.ReadersDesk{
		Worklist: func(ctx context.Context, actor access.Actor, want screen.WorklistWanted, from web.Caller) (screen.Worklist, error) {
			return surface().ReadersWorklist(ctx, actor, want, asked(from))
		},
		SaveView: func(ctx context.Context, actor access.Actor, v workflow.SavedView, drop bool) error {
			return surface().SaveView(ctx, actor, v, drop)
		},
		Reading: func(ctx context.Context, actor access.Actor, task string, from web.Caller) (screen.Reading, error) {
			return surface().Reading(ctx, actor, task, asked(from))
		},
		Statistics: func(ctx context.Context, actor access.Actor) (screen.OwnStatistics, error) {
			return surface().OwnStatistics(ctx, actor)
		},
	}
}
