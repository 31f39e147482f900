package main

import (
	"context"
	"time"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/pg"
)

type destinationCmd struct {
	Add    destinationAddCmd    `cmd:"" help:"Add a FHIR server that gets a tenant's reports, or change it."`
	List   destinationListCmd   `cmd:"" help:"List where a tenant's reports go, and how it goes with each."`
	Pause  destinationPauseCmd  `cmd:"" help:"Send nothing there until it is resumed. What is signed meanwhile waits."`
	Resume destinationResumeCmd `cmd:"" help:"Send there again."`
	Try    destinationTryCmd    `cmd:"" help:"Ask it for what everybody may read there, as the server would. No secret is sent."`
}

type destinationAddCmd struct {
	Database       databaseFlags `embed:""`
	destinationRow `embed:""`
	JSON           bool `name:"json" help:"Print JSON."`
}

// destinationRow is a destination, as it is added and as `--json` prints it.
type destinationRow struct {
	Tenant      string        `arg:"" help:"Short name of the tenant." json:"tenant"`
	Name        string        `arg:"" help:"Short name of the destination, e.g. ehr." json:"name"`
	BaseURL     string        `arg:"" help:"Base of its FHIR server, e.g. https://ehr.example/fhir." json:"baseUrl"`
	Packaging   string        `name:"packaging" enum:"transaction,report" default:"transaction" help:"transaction: report, observations and provenance in one transaction Bundle. report: the DiagnosticReport alone." json:"packaging"`
	TokenFile   string        `name:"token-file" type:"path" placeholder:"FILE" help:"A file that holds the bearer token which the destination wants." json:"tokenFile,omitempty"`
	Timeout     time.Duration `name:"timeout" default:"10s" help:"How long one attempt may take." json:"-"`
	InFlightMax int           `name:"in-flight-max" default:"2" help:"How many reports are under way to it at once." json:"inFlightMax"`
}

func (c destinationAddCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := addDestination(ctx, db, c.destinationRow); err != nil {
		return err
	}
	t.tellNeeds(c.BaseURL)
	if c.JSON {
		return printJSON(t, c.destinationRow)
	}
	t.printf("reports of %s go to %s (%s)\n", c.Tenant, c.BaseURL, c.Name)
	return nil
}

// addDestination inserts the destination or changes the one of this name.
func addDestination(ctx context.Context, db *pg.DB, row destinationRow) error {
	by, err := operatorAt(ctx, db, row.Tenant)
	if err != nil {
		return err
	}
	d := administration.Destination{Name: row.Name, BaseURL: row.BaseURL, Packaging: row.Packaging, TokenFile: row.TokenFile, Timeout: row.Timeout, InFlightMax: row.InFlightMax}
	return byFlag(office(db).SetDestination(ctx, by, d), map[string]string{"name": "destination name", "base": "destination base", "timeout": "--timeout", "in-flight-max": "--in-flight-max", "packaging": "--packaging"})
}

type destinationListCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
}

func (c destinationListCmd) Run(ctx context.Context, t terminal) error {
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	all, err := k.Endpoints(ctx, by.Actor.Tenant)
	if err != nil {
		return err
	}
	for _, e := range all {
		t.printf("%s  %s  %s  queued %d, stopped %d\n", e.Name, e.BaseURL, e.State(time.Now()), e.Queued, e.Parked)
	}
	return nil
}

type destinationPauseCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Name     string        `arg:"" help:"Short name of the destination."`
	Reason   string        `name:"reason" required:"" help:"Why, for the audit log and whoever looks."`
}

func (c destinationPauseCmd) Run(ctx context.Context, t terminal) error {
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	if err := byFlag(k.Pause(ctx, by, c.Name, c.Reason), map[string]string{"reason": "--reason"}); err != nil {
		return err
	}
	t.printf("%s of %s is paused\n", c.Name, c.Tenant)
	return nil
}

type destinationResumeCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Name     string        `arg:"" help:"Short name of the destination."`
}

func (c destinationResumeCmd) Run(ctx context.Context, t terminal) error {
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	if err := byFlag(k.Resume(ctx, by, c.Name), nil); err != nil {
		return err
	}
	t.printf("%s of %s is resumed\n", c.Name, c.Tenant)
	return nil
}

type destinationTryCmd struct {
	Database databaseFlags `embed:""`
	Outbound outboundFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Name     string        `arg:"" help:"Short name of the destination."`
}

func (c destinationTryCmd) Run(ctx context.Context, t terminal) error {
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	if k.Guard, err = c.Outbound.guard(); err != nil {
		return err
	}
	got, err := k.Try(ctx, by, c.Name)
	if err != nil {
		return byFlag(err, nil)
	}
	t.printf("%s: %s, status %d in %s %s%s\n", c.Name, got.Outcome, got.Status, got.Took, got.Software, got.Why)
	return nil
}
