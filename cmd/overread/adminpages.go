package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/integrations/smart"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/oauth"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/tenant"
	"github.com/overread/overread/web"
)

// adminDesk is what the rooms of administrators ask for.
func adminDesk(db *pg.DB, base string, guard *outbound.Guard, surface func() *fhir.Server) web.AdminDesk {
	return web.AdminDesk{
		Keeper: administration.Keeper{DB: db, CheckGrant: fhir.CheckNewGrant, CheckLaunch: checkLaunch, Guard: guard,
			Record: func(ctx context.Context, tx pgx.Tx, e access.Event) error { return surface().RecordEvent(ctx, tx, e) }},
		Tenants: func(by administration.By) tenant.Keeper {
			return tenant.Keeper{DB: db, Record: func(ctx context.Context, tx pgx.Tx, e access.Event) error {
				if err := administration.MustOperateTx(ctx, tx, by); err != nil {
					return err
				}
				e.Actor, e.Client, e.RequestID = by.For(e.Tenant).Actor, by.Client, by.RequestID
				return surface().RecordEvent(ctx, tx, e)
			}}
		},
		Version: version, Built: built(), TokenAt: base + oauth.TokenPath, LaunchScopes: smart.DefaultScopes,
	}
}
