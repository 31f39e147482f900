package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// commandLine stands in the audit log where the base of a server stands else:
// what an operator does needs no server.
const commandLine = "http://localhost/fhir"

// record writes what the operator did into the tenant's audit log, in the
// transaction in which they did it.
func record(ctx context.Context, db *pg.DB, tx pgx.Tx, e access.Event) error {
	log, err := fhir.New(fhir.Config{DB: db, BaseURL: commandLine})
	if err != nil {
		return err
	}
	e.Actor = access.OperatorActor(e.Tenant, operatorName())
	return log.RecordEvent(ctx, tx, e)
}

// office does what an administrator does, as the operator.
func office(db *pg.DB) administration.Keeper {
	return administration.Keeper{DB: db, CheckGrant: fhir.CheckNewGrant, CheckLaunch: checkLaunch,
		Record: func(ctx context.Context, tx pgx.Tx, e access.Event) error { return record(ctx, db, tx, e) }}
}

// operatorAt is the operator acting for the tenant of a name.
func operatorAt(ctx context.Context, db *pg.DB, tenant string) (administration.By, error) {
	id, err := findTenant(ctx, db, tenant)
	return administration.By{Actor: access.OperatorActor(id, operatorName())}, err
}

// operatorOfAll is the operator, where it is no single tenant's.
func operatorOfAll() administration.By {
	return administration.By{Actor: access.OperatorActor(uuid.Nil, operatorName())}
}

// officeAt opens the database for what the operator does at the tenant of a name; whoever
// calls closes the DB of the Keeper.
func officeAt(ctx context.Context, d databaseFlags, tenant string) (k administration.Keeper, by administration.By, err error) {
	db, err := d.open(ctx)
	if err != nil {
		return k, by, err
	}
	if by, err = operatorAt(ctx, db, tenant); err != nil {
		db.Close()
		return k, by, err
	}
	return office(db), by, nil
}

// byFlag is an error that names the flag or argument instead of the field of a form.
func byFlag(err error, flags map[string]string) error {
	refused, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	issue := refused.Issues[0]
	if flag := flags[issue.Expression]; flag != "" {
		return fmt.Errorf("%s: %s", flag, issue.Text)
	}
	return errors.New(issue.Text)
}

// recordAtEach writes it at several tenants, in the order in which everybody holds
// their logs. Nothing is added to the log of one that was moved away.
func recordAtEach(ctx context.Context, db *pg.DB, tx pgx.Tx, tenants []uuid.UUID, e access.Event) error {
	return office(db).RecordAtEach(ctx, tx, tenants, e)
}

// operatorName is who runs this program, as the machine knows them.
func operatorName() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if sudo := os.Getenv("SUDO_USER"); sudo != "" {
		name += " (sudo by " + sudo + ")"
	}
	if host, err := os.Hostname(); err == nil {
		name += " at " + host
	}
	return name
}
