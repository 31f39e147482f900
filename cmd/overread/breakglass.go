package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

type emergencyCmd struct {
	List emergencyListCmd `cmd:"" help:"List the records that were opened in an emergency at a tenant, the last first."`
}

type emergencyListCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Most     int           `name:"most" default:"0" help:"How many at most, the last ones; 0 for all. How many more there are is said on stderr."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run prints who, whom, when and why: the operator sees what a coordinator does.
func (c emergencyListCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	found, err := emergencies(ctx, db, c.Tenant, c.Most)
	if err != nil {
		return err
	}
	if found.More > 0 {
		_, _ = fmt.Fprintf(t.stderr, "and %d more; to see all: --most 0\n", found.More)
	}
	if c.JSON {
		return printJSON(t, append([]workflow.Emergency{}, found.Emergencies...))
	}
	for _, e := range found.Emergencies {
		t.printf("%s  %s, %s  Patient/%s  until %s  %s\n", e.OpenedAt.UTC().Format("2006-01-02 15:04:05Z"), e.Display, e.Role, e.PatientID, e.Till.UTC().Format("15:04Z"), e.Reason)
	}
	return nil
}

func emergencies(ctx context.Context, db *pg.DB, name string, most int) (found workflow.EmergencyList, err error) {
	tenant, err := findTenant(ctx, db, name)
	if err != nil {
		return found, err
	}
	err = db.Finish(ctx, tenant, func(tx pgx.Tx) error { // also of a tenant that is suspended
		found, err = workflow.EmergenciesTx(ctx, tx, workflow.EmergencyWindow{Most: most})
		return err
	})
	return found, err
}
