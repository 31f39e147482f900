package main

import (
	"context"

	"github.com/overread/overread/internal/pg"
)

type migrateCmd struct {
	Database databaseFlags `embed:""`
	DryRun   bool          `name:"dry-run" env:"OVERREAD_DRY_RUN" help:"Only say which version the schema has and which it would get."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// migrateResult is what `overread migrate --json` prints.
type migrateResult struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
	Want   int64 `json:"want"`
}

func (c migrateCmd) Run(ctx context.Context, t terminal) error {
	url, err := c.Database.url()
	if err != nil {
		return err
	}
	if c.Database.Pooler && !c.DryRun {
		return badSetting("database-pooler", "a pooler would mix up the lock of two migrations: give the database's own URL")
	}
	have, want, err := pg.SchemaVersion(ctx, url)
	if err != nil {
		return badSetting(c.Database.setting(), "%w", err)
	}
	result := migrateResult{Before: have, After: have, Want: want}
	if !c.DryRun && have < want {
		if result.After, err = pg.Migrate(ctx, url); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(t, result)
	}
	t.printf("schema: had version %d, has %d, this binary wants %d\n", result.Before, result.After, result.Want)
	return nil
}
