package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/overread/overread/integrations/oidc"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

type providerCmd struct {
	Add    providerAddCmd    `cmd:"" help:"Add an identity provider (OpenID Connect) by which people sign in, or change one: with --role all that its claims mean is replaced, and who had a role by what is gone is signed out."`
	List   providerListCmd   `cmd:"" help:"List the identity providers, and what their claims mean here."`
	Remove providerRemoveCmd `cmd:"" help:"Remove an identity provider. Who signed in by it is signed out."`
}

type providerAddCmd struct {
	Database   databaseFlags `embed:""`
	Name       string        `arg:"" help:"Short name: small letters, digits and hyphens. It is part of the redirect URI."`
	Issuer     string        `arg:"" placeholder:"URL" help:"The provider's issuer, exactly as it calls itself."`
	ClientID   string        `name:"client-id" required:"" help:"What Overread is called there."`
	SecretFile string        `name:"client-secret-file" type:"path" placeholder:"FILE" help:"A file on the server with the client secret; read at each sign-in. Without it the variable OVERREAD_PROVIDER_<NAME>_SECRET of the server's environment has it; without both the client is public."`
	Display    string        `name:"display" help:"Name for people; the short name when it is left out."`
	Scopes     string        `name:"scopes" default:"openid profile" help:"What is asked of the provider."`
	RolesClaim string        `name:"roles-claim" default:"groups" help:"The claim whose values mean roles; with dots for one within another (realm_access.roles)."`
	Role       []string      `name:"role" sep:"none" placeholder:"VALUE=TENANT:ROLE" help:"What a value of the claim means: a role at a tenant. May be given several times. Without it what the claims mean here stays as it is, and of a new provider they mean nothing yet. Roles: coordinator, reader, adjudicator, supervisor, auditor, quality, director, admin."`
	JSON       bool          `name:"json" help:"Print JSON."`
}

// providerRow is a provider as --json prints it.
type (
	providerRow = administration.IdentityProvider
	meaning     = administration.Meaning
)

// claimed are the roles that a claim can mean.
var claimed = []access.Role{access.Coordinator, access.Reader, access.Adjudicator, access.Supervisor, access.Auditor, access.Quality, access.Director, access.Admin}

// readMeaning reads VALUE=TENANT:ROLE. A value may have an equals sign in it, as
// the groups of an LDAP directory do.
func readMeaning(text string) (meaning, error) {
	at := strings.LastIndex(text, "=")
	if at <= 0 {
		return meaning{}, fmt.Errorf("--role: %q is not VALUE=TENANT:ROLE", text)
	}
	tenant, role, ok := strings.Cut(text[at+1:], ":")
	m := meaning{Value: text[:at], Tenant: tenant, Role: access.Role(role)}
	if !ok || !shortName.MatchString(tenant) || !slices.Contains(claimed, m.Role) {
		return meaning{}, fmt.Errorf("--role: %q is not VALUE=TENANT:ROLE with one of the roles %v", text, claimed)
	}
	return m, nil
}

func (c providerAddCmd) Run(ctx context.Context, t terminal) error {
	row := providerRow{Name: c.Name, Issuer: c.Issuer, Display: c.Display, ClientID: c.ClientID, Scopes: c.Scopes, RolesClaim: c.RolesClaim}
	if c.SecretFile != "" {
		file, err := filepath.Abs(c.SecretFile)
		if err != nil {
			return err
		}
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("--client-secret-file: %w", err)
		}
		row.SecretFile = &file
	}
	for _, text := range c.Role {
		m, err := readMeaning(text)
		if err != nil {
			return err
		}
		row.Roles = append(row.Roles, m)
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := addProvider(ctx, db, &row); err != nil {
		return err
	}
	t.tellNeeds(row.Issuer)
	if c.JSON {
		return printJSON(t, row)
	}
	if len(row.Roles) == 0 {
		t.printf("nobody has a role by it yet: give --role, or import a tenant whose roles name it\n")
	}
	t.printf("provider %s added, sessions ended: %d\nregister there: redirect URI WEB-URL/login/%s/callback, after logout WEB-URL/signed-out (overread serve --web-url)\nnext, for readers: overread person add %s SUBJECT --reader UUID\n", row.Name, row.Ended, row.Name, row.Name)
	return nil
}

// providerFlags are the arguments for the fields that package administration refuses.
var providerFlags = map[string]string{"name": "NAME", "issuer": "ISSUER", "client-id": "--client-id", "display": "--display", "scopes": "--scopes", "roles-claim": "--roles-claim", "role": "--role"}

// addProvider adds a provider or changes it.
func addProvider(ctx context.Context, db *pg.DB, row *providerRow) error {
	return byFlag(office(db).AddProvider(ctx, operatorOfAll(), row), providerFlags)
}

type providerListCmd struct {
	Database databaseFlags `embed:""`
	JSON     bool          `name:"json" help:"Print JSON."`
}

func (c providerListCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	found, err := office(db).IdentityProviders(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, append([]providerRow{}, found...))
	}
	for _, row := range found {
		secret := "by the environment (" + oidc.SecretVariable(row.Name) + "), or none"
		if row.SecretFile != nil {
			secret = *row.SecretFile
		}
		t.printf("%s  %s  client %s  secret: %s\n", row.Name, row.Issuer, row.ClientID, secret)
		for _, m := range row.Roles {
			t.printf("    %s %q means %s at %s\n", row.RolesClaim, m.Value, m.Role, m.Tenant)
		}
	}
	return nil
}

type providerRemoveCmd struct {
	Database databaseFlags `embed:""`
	Name     string        `arg:"" help:"Short name of the provider."`
}

// Run removes it with all that its claims mean. Persons stay, as what they did
// names them.
func (c providerRemoveCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	ended, err := office(db).RemoveProvider(ctx, operatorOfAll(), c.Name)
	if fault.Is(err, fault.NotFound) {
		return fmt.Errorf("NAME: there is no provider %q (overread provider list)", c.Name)
	}
	if err != nil {
		return byFlag(err, providerFlags)
	}
	t.printf("provider %s removed, sessions ended: %d\n", c.Name, ended)
	return nil
}
