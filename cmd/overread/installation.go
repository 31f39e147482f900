package main

import (
	"context"
	"fmt"
	"time"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
)

type operatorCmd struct {
	Grant  operatorGrantCmd  `cmd:"" help:"Let somebody add, suspend and resume tenants and change identity providers by pages, for a time. Every tenant's audit log says so."`
	List   operatorListCmd   `cmd:"" help:"List who may."`
	Revoke operatorRevokeCmd `cmd:"" help:"Take it from somebody, at once."`
}

type operatorGrantCmd struct {
	Database databaseFlags `embed:""`
	Person   string        `arg:"" placeholder:"UUID" help:"The person's id, as overread person list prints it."`
	Reason   string        `name:"reason" required:"" help:"Why, for the audit log of every tenant."`
	For      time.Duration `name:"for" default:"720h" help:"For how long: between an hour and a year."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

func (c operatorGrantCmd) Run(ctx context.Context, t terminal) error {
	id, err := personID(c.Person)
	if err != nil {
		return err
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	o, err := office(db).Appoint(ctx, operatorOfAll(), id, c.Reason, c.For)
	if fault.Is(err, fault.NotFound) {
		return fmt.Errorf("PERSON: %s is nobody whose access is in force (overread person list)", id)
	}
	if err != nil {
		return byFlag(err, map[string]string{"reason": "--reason", "for": "--for"})
	}
	if c.JSON {
		return printJSON(t, o)
	}
	t.printf("%s (%s at %s) may operate the installation by pages until %s: WEB-URL/installation\n", o.Display, o.Subject, o.Issuer, o.EndsAt.UTC().Format(time.RFC3339))
	return nil
}

type operatorListCmd struct {
	Database databaseFlags `embed:""`
	JSON     bool          `name:"json" help:"Print JSON."`
}

func (c operatorListCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := office(db).Operators(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, append([]administration.Operator{}, all...))
	}
	for _, o := range all {
		t.printf("%s  %s (%s at %s)  until %s  by %s: %s\n", o.PersonID, o.Display, o.Subject, o.Issuer, o.EndsAt.UTC().Format(time.RFC3339), o.GrantedBy, o.Reason)
	}
	return nil
}

type operatorRevokeCmd struct {
	Database databaseFlags `embed:""`
	Person   string        `arg:"" placeholder:"UUID" help:"The person's id, as overread operator list prints it."`
}

func (c operatorRevokeCmd) Run(ctx context.Context, t terminal) error {
	id, err := personID(c.Person)
	if err != nil {
		return err
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := office(db).Dismiss(ctx, operatorOfAll(), id); err != nil {
		return byFlag(err, nil)
	}
	t.printf("%s operates the installation no longer\n", id)
	return nil
}
