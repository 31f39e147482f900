package main

import (
	"context"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/web"
	"github.com/overread/overread/workflow"
)

// boardDesk is what the rooms of coordinators and directors ask the surface for.
func boardDesk(surface func() *fhir.Server, asked func(web.Caller) fhir.Asked) web.BoardDesk {
	return web.BoardDesk{
		Board: func(ctx context.Context, actor access.Actor, f workflow.BoardFilter, from web.Caller) (workflow.BoardPage, error) {
			return surface().Board(ctx, actor, f, asked(from))
		},
		Case: func(ctx context.Context, actor access.Actor, task string, from web.Caller) (screen.CaseFile, error) {
			return surface().CaseFile(ctx, actor, task, asked(from))
		},
	}
}
