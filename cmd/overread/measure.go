package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// measureCmd is about what statistics count (docs/measures.md).
type measureCmd struct {
	Rebuild measureRebuildCmd `cmd:"" help:"Make what is counted of a tenant's cases anew from their histories. Changes nothing that is as it should be; needed once after a release that counted nothing has still run beside this one."`
}

type measureRebuildCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
}

func (c measureRebuildCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var id uuid.UUID
	err = db.System(ctx, func(tx pgx.Tx) (err error) {
		id, err = tenantToChange(ctx, tx, c.Tenant)
		return err
	})
	if err != nil {
		return err
	}
	cases := 0
	engine := workflow.NewEngine(db, time.Now, slog.New(slog.DiscardHandler))
	if err := engine.RebuildFacts(ctx, id, func(n int) { cases += n }); err != nil {
		return err
	}
	t.printf("tenant %s: what is counted of %d %s is as their histories tell\n", c.Tenant, cases, plural(cases, "case"))
	return nil
}
