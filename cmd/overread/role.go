package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

type roleCmd struct {
	List   roleListCmd   `cmd:"" help:"List who has which role at a tenant, and by what."`
	Grant  roleGrantCmd  `cmd:"" help:"Give somebody a role by name, whatever their identity provider says. It counts from their next sign-in."`
	Revoke roleRevokeCmd `cmd:"" help:"Take a role from somebody, whatever their identity provider says. Their sessions in it end at once."`
}

type roleListCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run prints them by name.
func (c roleListCmd) Run(ctx context.Context, t terminal) error {
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	all, err := k.Members(ctx, by.Actor.Tenant)
	if err != nil {
		return err
	}
	type row struct {
		PersonID  uuid.UUID     `json:"personId"`
		Display   string        `json:"display"`
		Provider  string        `json:"provider"`
		Subject   string        `json:"subject"`
		Roles     []access.Role `json:"roles"`
		LastLogin *time.Time    `json:"lastLogin,omitempty"`
	}
	rows := []row{}
	for _, m := range all {
		rows = append(rows, row{m.PersonID, m.Display, m.Provider, m.Subject, m.Roles(), m.LastLogin})
	}
	if c.JSON {
		return printJSON(t, rows)
	}
	for _, r := range rows {
		var roles []string
		for _, role := range r.Roles {
			roles = append(roles, string(role))
		}
		t.printf("%s  %s (%s at %s)  %s\n", r.PersonID, r.Display, r.Subject, r.Provider, strings.Join(roles, " "))
	}
	return nil
}

// roleChange is what both commands that change a role take.
type roleChange struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Person   string        `arg:"" placeholder:"UUID" help:"The person's id, as overread role list and person list print it."`
	Role     string        `arg:"" enum:"coordinator,reader,adjudicator,supervisor,director,auditor,quality,admin" help:"coordinator, reader, adjudicator, supervisor, director, auditor, quality or admin."`
	Reason   string        `name:"reason" required:"" help:"Why, for the audit log."`
}

type roleGrantCmd struct {
	roleChange `embed:""`
}

func (c roleGrantCmd) Run(ctx context.Context, t terminal) error {
	id, err := personID(c.Person)
	if err != nil {
		return err
	}
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	if err := k.Grant(ctx, by, id, access.Role(c.Role), c.Reason); err != nil {
		return roleRefused(err, id)
	}
	t.printf("%s is %s at %s from their next sign-in\n", id, c.Role, c.Tenant)
	return nil
}

type roleRevokeCmd struct {
	roleChange `embed:""`
}

func (c roleRevokeCmd) Run(ctx context.Context, t terminal) error {
	id, err := personID(c.Person)
	if err != nil {
		return err
	}
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	ended, err := k.Revoke(ctx, by, id, access.Role(c.Role), c.Reason)
	if err != nil {
		return roleRefused(err, id)
	}
	t.printf("%s is not %s at %s any more, sessions ended: %d\n", id, c.Role, c.Tenant, ended)
	return nil
}

func roleRefused(err error, person uuid.UUID) error {
	if fault.Is(err, fault.NotFound) {
		return fmt.Errorf("PERSON: %s has never had a role there (overread role list)", person)
	}
	return byFlag(err, map[string]string{"role": "ROLE", "reason": "--reason"})
}
