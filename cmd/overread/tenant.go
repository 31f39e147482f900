package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/pg"
)

type tenantCmd struct {
	Create  tenantCreateCmd  `cmd:"" help:"Add a tenant."`
	Set     tenantSetCmd     `cmd:"" help:"Change a tenant's settings."`
	List    tenantListCmd    `cmd:"" help:"List the tenants, with nothing of a patient's."`
	Suspend tenantSuspendCmd `cmd:"" help:"Stop everything that is done for a tenant, at once and everywhere. Nothing is lost."`
	Resume  tenantResumeCmd  `cmd:"" help:"Let a tenant go on where it stopped."`
	Export  tenantExportCmd  `cmd:"" help:"Write all that a tenant has to a file: patients' data, reports, its audit log."`
	Import  tenantImportCmd  `cmd:"" help:"Read a tenant from such a file. It stays suspended until it is resumed."`
}

type tenantSetCmd struct {
	Database databaseFlags `embed:""`
	Name     string        `arg:"" help:"Short name of the tenant."`
	Display  *string       `name:"display" help:"Name for people."`
	Update   *bool         `name:"update-create" negatable:"" help:"A PUT to an id that is not here yet creates it."`
}

func (c tenantSetCmd) Run(ctx context.Context, t terminal) error {
	if c.Display == nil && c.Update == nil {
		return errors.New("missing flags: give --display, --update-create or --no-update-create: nothing else is set here")
	}
	k, by, err := officeAt(ctx, c.Database, c.Name)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	if err := byFlag(k.SetTenant(ctx, by, administration.TenantSettings{Display: c.Display, CreatesByID: c.Update}), tenantFlags); err != nil {
		return err
	}
	if c.Display != nil {
		t.printf("tenant %s: people read %s\n", c.Name, *c.Display)
	}
	if c.Update != nil {
		t.printf("tenant %s: a PUT to an id that is not here yet %s\n", c.Name, map[bool]string{true: "creates it", false: "is refused"}[*c.Update])
	}
	return nil
}

type tenantCreateCmd struct {
	Database   databaseFlags `embed:""`
	Name       string        `arg:"" help:"Short name: small letters, digits and hyphens."`
	Display    string        `name:"display" help:"Name for people; the short name when it is left out."`
	EHRBase    string        `name:"ehr-base" placeholder:"URL" help:"The base of the tenant's own FHIR server: absolute references below it are the EHR's."`
	PolicyFile string        `name:"policy-file" type:"existingfile" placeholder:"FILE" help:"The tenant's policy as JSON or YAML (docs/policy.md); what it leaves out has its default."`
	Update     bool          `name:"update-create" default:"true" negatable:"" help:"A PUT to an id that is not here yet creates it."`
	JSON       bool          `name:"json" help:"Print JSON."`
}

// tenantRow is a tenant, as it is added and as `--json` prints it.
type tenantRow = administration.NewTenant

func (c tenantCreateCmd) Run(ctx context.Context, t terminal) error {
	policy, err := readPolicy(c.PolicyFile)
	if err != nil {
		return fmt.Errorf("--policy-file: %s: %w", c.PolicyFile, err)
	}
	row := tenantRow{Name: c.Name, Display: c.Display, EHRBase: strings.TrimRight(c.EHRBase, "/"), Policy: policy, OwnIDs: !c.Update}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := addTenant(ctx, db, &row); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, row)
	}
	t.printf("tenant %s created (%s)\nnext: overread token add %s placer, overread destination add %s ehr BASE-URL, overread reader add %s ...\n",
		row.Name, row.TenantID, row.Name, row.Name, row.Name)
	return nil
}

var shortName, baseURL = administration.ShortName, administration.BaseURL

// tenantFlags are the arguments for the fields that package administration refuses.
var tenantFlags = map[string]string{"name": "NAME", "display": "--display", "ehr-base": "--ehr-base"}

// addTenant inserts the tenant and fills in its id.
func addTenant(ctx context.Context, db *pg.DB, row *tenantRow) error {
	return byFlag(office(db).AddTenant(ctx, operatorOfAll(), row), tenantFlags)
}

// tenantID finds a tenant by its short name.
func tenantID(ctx context.Context, tx pgx.Tx, name string) (uuid.UUID, error) {
	var id uuid.UUID
	err := tx.QueryRow(ctx, `SELECT tenant_id FROM tenant WHERE name = $1`, name).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return id, fmt.Errorf("tenant %q: there is none of this name; add it with: overread tenant create %s", name, name)
	}
	return id, err
}

// tenantToChange is tenantID for verbs that change something of the tenant. It
// refuses one that was moved away: what is added here would be missing there, and
// the records of it would never get a place in the audit log. The tenant does not
// move until the transaction ends.
func tenantToChange(ctx context.Context, tx pgx.Tx, name string) (uuid.UUID, error) {
	id, err := tenantID(ctx, tx, name)
	if err != nil {
		return id, err
	}
	return id, byFlag(administration.HoldTx(ctx, tx, id), nil)
}

// findTenant is tenantID in a transaction of its own.
func findTenant(ctx context.Context, db *pg.DB, name string) (id uuid.UUID, err error) {
	err = db.System(ctx, func(tx pgx.Tx) error {
		id, err = tenantID(ctx, tx, name)
		return err
	})
	return id, err
}
