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

// adminDesk is what the rooms of administrators ask for.
func adminDesk(db *pg.DB, surface func() *fhir.Server) web.AdminDesk {
	k := administration.Keeper{DB: db, Record: func(ctx context.Context, tx pgx.Tx, e access.Event) error { return surface().RecordEvent(ctx, tx, e) }}
	return web.AdminDesk{Hospital: k.Hospital}
}
