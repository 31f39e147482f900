package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/integrations/oidc"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/outbound"
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
type providerRow struct {
	Name       string    `json:"name"`
	Issuer     string    `json:"issuer"`
	Display    string    `json:"display"`
	ClientID   string    `json:"clientId"`
	SecretFile *string   `json:"clientSecretFile,omitempty"`
	Scopes     string    `json:"scopes"`
	RolesClaim string    `json:"rolesClaim"`
	Roles      []meaning `json:"roles" db:"-"`
	Ended      int64     `json:"sessionsEnded,omitempty" db:"-"` // of who had a role that is meant no more
}

// meaning is what a value of the roles claim means.
type meaning struct {
	Value  string      `json:"value"`
	Tenant string      `json:"tenant"`
	Role   access.Role `json:"role"`
}

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

// addProvider adds a provider or changes it: what its claims mean is replaced as a
// whole where the row says it, and else stays.
// The issuer of one that is there does not change, as persons are known by it.
func addProvider(ctx context.Context, db *pg.DB, row *providerRow) error {
	switch {
	case !shortName.MatchString(row.Name):
		return fmt.Errorf("provider name %q: use small letters, digits and hyphens, at most 63", row.Name)
	case !slices.Contains(strings.Fields(row.Scopes), "openid"):
		return fmt.Errorf("--scopes: %q has no openid", row.Scopes)
	}
	if err := outbound.WellFormed(row.Issuer); err != nil {
		return fmt.Errorf("ISSUER: %w", err)
	}
	if row.Display == "" {
		row.Display = row.Name
	}
	err := db.System(ctx, func(tx pgx.Tx) error {
		var claim string // of before; the lock keeps sign-ins away (integrations/oidc)
		err := tx.QueryRow(ctx, `SELECT roles_claim FROM provider WHERE name = $1 FOR UPDATE`, row.Name).Scan(&claim)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		otherClaim := err == nil && claim != row.RolesClaim
		tag, err := tx.Exec(ctx, `
			INSERT INTO provider (name, issuer, display, client_id, secret_file, scopes, roles_claim)
			VALUES (@name, @issuer, @display, @client_id, @secret_file, @scopes, @roles_claim)
			ON CONFLICT (name) DO UPDATE SET
				display = excluded.display, client_id = excluded.client_id, secret_file = excluded.secret_file,
				scopes = excluded.scopes, roles_claim = excluded.roles_claim
			WHERE provider.issuer = excluded.issuer`,
			pgx.NamedArgs{"name": row.Name, "issuer": row.Issuer, "display": row.Display, "client_id": row.ClientID,
				"secret_file": row.SecretFile, "scopes": row.Scopes, "roles_claim": row.RolesClaim})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("ISSUER: provider %s has another issuer; remove it first, or choose another name", row.Name)
		}
		switch {
		case len(row.Roles) > 0:
			err = setMeanings(ctx, db, tx, row, otherClaim)
		case otherClaim:
			err = fmt.Errorf("--roles-claim: it was %s, whose values mean something here; say with --role what those of %s mean", claim, row.RolesClaim)
		}
		if err == nil {
			row.Roles, err = meanings(ctx, tx, row.Name)
		}
		return err
	})
	if pg.Constraint(err) == "provider_issuer_key" {
		return fmt.Errorf("ISSUER: %s is there already by another name (overread provider list)", row.Issuer)
	}
	return err
}

// setMeanings replaces what the provider's claims mean, tells each tenant that had
// or has a part in it, and ends the sessions that rest on what is gone. Which
// values somebody's claims had is not kept, so all end that have such a role there.
func setMeanings(ctx context.Context, db *pg.DB, tx pgx.Tx, row *providerRow, otherClaim bool) error {
	type mapped struct {
		TenantID   uuid.UUID
		ClaimValue string
		Role       access.Role
	}
	rows, err := tx.Query(ctx, `DELETE FROM provider_role WHERE provider = $1 RETURNING tenant_id, claim_value, role`, row.Name)
	if err != nil {
		return err
	}
	gone, err := pgx.CollectRows(rows, pgx.RowToStructByName[mapped])
	if err != nil {
		return err
	}
	var tenants []uuid.UUID
	for _, m := range gone {
		tenants = append(tenants, m.TenantID)
	}
	for _, m := range row.Roles {
		tenant, err := tenantToChange(ctx, tx, m.Tenant)
		if err != nil {
			return fmt.Errorf("--role: %w", err)
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO provider_role (tenant_id, provider, claim_value, role)
			VALUES (@tenant, @provider, @value, @role)
			ON CONFLICT DO NOTHING`,
			pgx.NamedArgs{"tenant": tenant, "provider": row.Name, "value": m.Value, "role": m.Role})
		if err != nil {
			return err
		}
		tenants = append(tenants, tenant)
		if is := (mapped{tenant, m.Value, m.Role}); !otherClaim {
			gone = slices.DeleteFunc(gone, func(m mapped) bool { return m == is })
		}
	}
	for _, m := range gone {
		ended, err := administration.EndByRoleTx(ctx, tx, m.TenantID, row.Issuer, m.Role)
		if err != nil {
			return err
		}
		row.Ended += ended
	}
	return recordAtEach(ctx, db, tx, tenants, access.Event{Kind: access.ProviderSet, Object: row.Name})
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
	found, err := listProviders(ctx, db)
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

func listProviders(ctx context.Context, db *pg.DB) (found []providerRow, err error) {
	err = db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT name, issuer, display, client_id, secret_file, scopes, roles_claim
			FROM provider
			ORDER BY name`)
		if err != nil {
			return err
		}
		if found, err = pgx.CollectRows(rows, pgx.RowToStructByName[providerRow]); err != nil {
			return err
		}
		for i := range found {
			if found[i].Roles, err = meanings(ctx, tx, found[i].Name); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// meanings is what the claims of a provider mean, at all tenants.
func meanings(ctx context.Context, tx pgx.Tx, provider string) ([]meaning, error) {
	rows, err := tx.Query(ctx, `
		SELECT m.claim_value AS value, n.name AS tenant, m.role
		FROM provider_role m
		JOIN tenant n ON n.tenant_id = m.tenant_id
		WHERE m.provider = $1
		ORDER BY m.claim_value, n.name, m.role`, provider)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[meaning])
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
	var ended int64
	err = db.System(ctx, func(tx pgx.Tx) error {
		var tenants []uuid.UUID
		err := tx.QueryRow(ctx, `
			SELECT coalesce(array_agg(DISTINCT tenant_id), '{}')
			FROM provider_role
			WHERE provider = $1`, c.Name).Scan(&tenants)
		if err != nil {
			return err
		}
		var issuer string
		err = tx.QueryRow(ctx, `DELETE FROM provider WHERE name = $1 RETURNING issuer`, c.Name).Scan(&issuer)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("NAME: there is no provider %q (overread provider list)", c.Name)
		}
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE session
			SET ended_at = now(), end_reason = 'operator'
			WHERE ended_at IS NULL AND came_from = 'oidc' AND person_id IN (SELECT person_id FROM person WHERE issuer = $1)`, issuer)
		if err != nil {
			return err
		}
		ended = tag.RowsAffected()
		return recordAtEach(ctx, db, tx, tenants, access.Event{Kind: access.ProviderRemoved, Object: c.Name})
	})
	if err != nil {
		return err
	}
	t.printf("provider %s removed, sessions ended: %d\n", c.Name, ended)
	return nil
}
