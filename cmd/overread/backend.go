package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/oauth"
	"github.com/overread/overread/internal/pg"
)

type clientCmd struct {
	Add    clientAddCmd    `cmd:"" help:"Add a system that gets its tokens by SMART Backend Services, with a key of its own."`
	List   clientListCmd   `cmd:"" help:"List the clients of a tenant."`
	Revoke clientRevokeCmd `cmd:"" help:"End a client: its tokens are good no longer, and it gets no more."`
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

// backendClient is a client as `overread client add --json` and list print it.
type backendClient struct {
	ClientID  uuid.UUID   `json:"clientId"`
	Tenant    string      `json:"tenant"`
	Name      string      `json:"name"`
	Role      access.Role `json:"role"`
	Scopes    string      `json:"scopes"`
	JWKSURL   *string     `json:"jwksUrl,omitempty"`
	JWKS      *string     `json:"-"`
	CreatedAt *time.Time  `json:"createdAt,omitempty"`
	RevokedAt *time.Time  `json:"revokedAt,omitempty"`
}

func (c clientAddCmd) Run(ctx context.Context, t terminal) error {
	row := backendClient{Tenant: c.Tenant, Name: c.Name, Role: access.Role(c.Role), Scopes: strings.Join(c.Scope, " ")}
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

func (c clientAddCmd) keys(row *backendClient) error {
	switch {
	case (c.JWKS == "") == (c.JWKSURL == ""):
		return errors.New("--jwks, --jwks-url: give one of the two")
	case c.JWKSURL != "":
		if err := wellFormed(c.JWKSURL); err != nil {
			return fmt.Errorf("--jwks-url: %w", err)
		}
		row.JWKSURL = &c.JWKSURL
		return nil
	}
	text, err := os.ReadFile(c.JWKS)
	if err != nil {
		return fmt.Errorf("--jwks: %w", err)
	}
	if err := oauth.CheckKeys(text); err != nil {
		return fmt.Errorf("--jwks: %w", err)
	}
	keys := string(text)
	row.JWKS = &keys
	return nil
}

// addClient adds a client and fills in its id. It refuses scopes that cannot be
// read.
func addClient(ctx context.Context, db *pg.DB, row *backendClient) error {
	grant, err := access.ParseSystemGrant(row.Scopes)
	if err == nil {
		err = fhir.CheckNewGrant(grant)
	}
	if err != nil {
		return fmt.Errorf("--scope: %w", err)
	}
	row.Scopes = grant.String()
	if row.ClientID, err = uuid.NewV7(); err != nil {
		return err
	}
	return db.System(ctx, func(tx pgx.Tx) error {
		tenant, err := tenantToChange(ctx, tx, row.Tenant)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO client (tenant_id, client_id, name, role, scopes, jwks, jwks_url)
			VALUES (@tenant, @client, @name, @role, @scopes, @jwks, @jwks_url)`,
			pgx.NamedArgs{"tenant": tenant, "client": row.ClientID, "name": row.Name, "role": row.Role, "scopes": row.Scopes, "jwks": row.JWKS, "jwks_url": row.JWKSURL})
		if err != nil {
			return err
		}
		return record(ctx, db, tx, access.Event{Kind: access.ClientAdded, Tenant: tenant, Object: row.ClientID.String(), Scopes: string(row.Role) + " " + row.Scopes})
	})
}

type clientListCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run lists clients in the order in which they were added, with those that were
// revoked.
func (c clientListCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var found []backendClient
	err = db.System(ctx, func(tx pgx.Tx) error {
		tenant, err := tenantID(ctx, tx, c.Tenant)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT client_id, @name AS tenant, name, role, scopes, jwks_url, NULL AS jwks, created_at, revoked_at
			FROM client
			WHERE tenant_id = @tenant
			ORDER BY client_id`, pgx.NamedArgs{"tenant": tenant, "name": c.Tenant})
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[backendClient])
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, append([]backendClient{}, found...))
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
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var revoked bool
	err = db.System(ctx, func(tx pgx.Tx) error {
		tenant, err := tenantToChange(ctx, tx, c.Tenant)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE client
			SET revoked_at = now()
			WHERE tenant_id = $1 AND client_id = $2 AND revoked_at IS NULL`, tenant, id)
		if revoked = tag.RowsAffected() == 1; err != nil || !revoked {
			return err
		}
		return record(ctx, db, tx, access.Event{Kind: access.ClientRevoked, Tenant: tenant, Object: id.String()})
	})
	switch {
	case err != nil:
		return err
	case !revoked:
		return fmt.Errorf("CLIENT: %s is no client of tenant %s that is in force", id, c.Tenant)
	}
	t.printf("revoked: %s\n", id)
	return nil
}
