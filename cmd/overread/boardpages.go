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
		Candidates: func(ctx context.Context, actor access.Actor, task string, from web.Caller) (screen.Candidates, error) {
			return surface().CaseCandidates(ctx, actor, task, asked(from))
		},
		Expiring: func(ctx context.Context, actor access.Actor, days int) ([]screen.Expiring, error) {
			return surface().ExpiringCredentials(ctx, actor, days)
		},
		Escalations: func(ctx context.Context, actor access.Actor, f workflow.EscalationFilter, from web.Caller) (screen.Escalations, error) {
			return surface().Escalations(ctx, actor, f, asked(from))
		},
		Deliveries: func(ctx context.Context, actor access.Actor, f workflow.DeliveryFilter, from web.Caller) (screen.Deliveries, error) {
			return surface().Deliveries(ctx, actor, f, asked(from))
		},
		Settle: func(ctx context.Context, actor access.Actor, task string, done workflow.Settlement, from web.Caller) error {
			return surface().SettleDelivery(ctx, actor, task, done, asked(from))
		},
	}
}
