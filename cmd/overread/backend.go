package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

type clientCmd struct {
	Add    clientAddCmd    `cmd:"" help:"Add a system that gets its tokens by SMART Backend Services, with a key of its own."`
	List   clientListCmd   `cmd:"" help:"List the clients of a tenant."`
	Revoke clientRevokeCmd `cmd:"" help:"End a client: its tokens are good no longer, and it gets no more."`
	Rotate clientRotateCmd `cmd:"" help:"Give a client other keys: its tokens are good no longer, and it gets more by the new ones only."`
	Key    clientKeyCmd    `cmd:"" help:"Make a key pair for a client; the public half is printed."`
	Token  clientTokenCmd  `cmd:"" help:"Get a token as a client does, to try it out."`
}

type clientAddCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Name     string        `arg:"" help:"Whose it is, for logs and audit."`
	Role     string        `name:"role" enum:"placer,coordinator,auditor,quality,admin" default:"placer" help:"What it is in the life of a case: placer (the EHR), coordinator, auditor, quality or admin."`
	Scope    []string      `name:"scope" required:"" sep:"none" placeholder:"SCOPE" help:"What its tokens may do: system/Type.cruds or system/*.cruds, with the letters in this order, and restricted where a query follows: system/Observation.rs?category=laboratory; several between spaces, or by giving this several times."`
	JWKS     string        `name:"jwks" type:"existingfile" placeholder:"FILE" help:"Its public keys (JSON Web Key Set): RSA for RS384, EC P-384 for ES384, each with its kid."`
	JWKSURL  string        `name:"jwks-url" placeholder:"URL" help:"Where it publishes them instead, so that it can change them by itself."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

func (c clientAddCmd) Run(ctx context.Context, t terminal) error {
	row := administration.Client{Tenant: c.Tenant, Name: c.Name, Role: access.Role(c.Role), Scopes: strings.Join(c.Scope, " ")}
	if err := c.keys(&row); err != nil {
		return err
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := addClient(ctx, db, &row); err != nil {
		return err
	}
	if row.JWKSURL != nil {
		t.tellNeeds(*row.JWKSURL)
	}
	if c.JSON {
		return printJSON(t, row)
	}
	t.printf("%s\n", row.ClientID)
	return nil
}

func (c clientAddCmd) keys(row *administration.Client) error {
	switch {
	case (c.JWKS == "") == (c.JWKSURL == ""):
		return errors.New("--jwks, --jwks-url: give one of the two")
	case c.JWKSURL != "":
		row.JWKSURL = &c.JWKSURL
		return nil
	}
	text, err := os.ReadFile(c.JWKS)
	if err != nil {
		return fmt.Errorf("--jwks: %w", err)
	}
	keys := string(text)
	row.JWKS = &keys
	return nil
}

// clientFlags are the flags for the fields that package administration refuses.
var clientFlags = map[string]string{"name": "NAME", "scope": "--scope", "jwks": "--jwks", "jwks-url": "--jwks-url"}

// addClient adds a client and fills in its id.
func addClient(ctx context.Context, db *pg.DB, row *administration.Client) error {
	by, err := operatorAt(ctx, db, row.Tenant)
	if err != nil {
		return err
	}
	return byFlag(office(db).AddClient(ctx, by, row), clientFlags)
}

type clientListCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run lists clients in the order in which they were added, with those that were
// revoked.
func (c clientListCmd) Run(ctx context.Context, t terminal) error {
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	found, err := k.Clients(ctx, by.Actor.Tenant)
	if err != nil {
		return err
	}
	for i := range found {
		found[i].Tenant = c.Tenant
	}
	if c.JSON {
		return printJSON(t, append([]administration.Client{}, found...))
	}
	for _, row := range found {
		state := "in force"
		if row.RevokedAt != nil {
			state = "revoked"
		}
		t.printf("%s  %s  %s  %s  %s\n", row.ClientID, row.Role, state, row.Name, row.Scopes)
	}
	return nil
}

type clientRevokeCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Client   string        `arg:"" placeholder:"UUID" help:"The client's id, as overread client list prints it."`
}

// Run revokes at once: the next request with one of its tokens is refused.
func (c clientRevokeCmd) Run(ctx context.Context, t terminal) error {
	id, err := uuid.Parse(c.Client)
	if err != nil {
		return fmt.Errorf("CLIENT: %q is no UUID", c.Client)
	}
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	err = k.RevokeClient(ctx, by, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return fmt.Errorf("CLIENT: %s is no client of tenant %s that is in force", id, c.Tenant)
	case err != nil:
		return byFlag(err, nil)
	}
	t.printf("revoked: %s\n", id)
	return nil
}

type clientRotateCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Client   string        `arg:"" placeholder:"UUID" help:"The client's id, as overread client list prints it."`
	JWKS     string        `name:"jwks" type:"existingfile" placeholder:"FILE" help:"Its new public keys (JSON Web Key Set)."`
	JWKSURL  string        `name:"jwks-url" placeholder:"URL" help:"Where it publishes them from now on instead."`
}

// Run changes the keys at once: tokens that were had by the old ones end.
func (c clientRotateCmd) Run(ctx context.Context, t terminal) error {
	id, err := uuid.Parse(c.Client)
	if err != nil {
		return fmt.Errorf("CLIENT: %q is no UUID", c.Client)
	}
	var row administration.Client
	if err := (clientAddCmd{JWKS: c.JWKS, JWKSURL: c.JWKSURL}).keys(&row); err != nil {
		return err
	}
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	if err := byFlag(k.RotateClient(ctx, by, id, row.JWKS, row.JWKSURL), clientFlags); err != nil {
		return err
	}
	t.printf("its keys are others now: %s\n", id)
	return nil
}
