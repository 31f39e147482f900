package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/web"
)

// settingDesk is what the rooms of policy and report templates ask for.
func settingDesk(db *pg.DB, surface func() *fhir.Server) web.SettingDesk {
	k := administration.Keeper{DB: db, Record: func(ctx context.Context, tx pgx.Tx, e access.Event) error { return surface().RecordEvent(ctx, tx, e) }}
	return web.SettingDesk{Policies: k.Policies, Policy: k.Policy, SetPolicy: k.SetPolicy, Templates: k.Templates, Template: k.Template, SetTemplate: k.SetTemplate}
}
