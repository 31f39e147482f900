package main

import (
	"context"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/web"
)

// trailDesk is what the rooms of the audit trail ask the surface for.
func trailDesk(surface func() *fhir.Server, asked func(web.Caller) fhir.Asked) web.TrailDesk {
	return web.TrailDesk{
		Trail: func(ctx context.Context, actor access.Actor, ask screen.TrailAsk, from web.Caller) (screen.Trail, error) {
			return surface().Trail(ctx, actor, ask, asked(from))
		},
		Event: func(ctx context.Context, actor access.Actor, id string, from web.Caller) (screen.TrailEvent, error) {
			return surface().TrailEvent(ctx, actor, id, asked(from))
		},
		Proof: func(ctx context.Context, actor access.Actor, tenant string, from web.Caller) (screen.Proof, error) {
			return surface().Proof(ctx, actor, tenant, asked(from))
		},
		Compare: func(ctx context.Context, actor access.Actor, from web.Caller) (string, error) {
			return surface().CompareLog(ctx, actor, asked(from))
		},
	}
}
