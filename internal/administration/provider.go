package administration

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
)

// IdentityProvider is one as it is set, as `overread provider add --json` and list print it,
// too. It is the installation's: people of several hospitals may sign in by it.
type IdentityProvider struct {
	Name       string    `json:"name"`
	Issuer     string    `json:"issuer"`
	Display    string    `json:"display"`
	ClientID   string    `json:"clientId"`
	SecretFile *string   `json:"clientSecretFile,omitempty"` // on the server; only the command line names one
	Scopes     string    `json:"scopes"`
	RolesClaim string    `json:"rolesClaim"`
	Roles      []Meaning `json:"roles" db:"-"`
	Ended      int64     `json:"sessionsEnded,omitempty" db:"-"` // of who had a role that is meant no more
	People     int       `json:"-"`                              // who are known by it
}

// Meaning is what a value of the roles claim means.
type Meaning struct {
	Value  string      `json:"value"`
	Tenant string      `json:"tenant"`
	Role   access.Role `json:"role"`
}

// Check refuses what is no provider; it fills in what was left out.
func (row *IdentityProvider) Check() error {
	row.Name, row.Issuer, row.Display, row.ClientID = strings.TrimSpace(row.Name), strings.TrimSpace(row.Issuer), strings.TrimSpace(row.Display), strings.TrimSpace(row.ClientID)
	if row.Display == "" {
		row.Display = row.Name
	}
	switch {
	case !ShortName.MatchString(row.Name):
		return checkShortName(row.Name)
	case row.ClientID == "" || len(row.ClientID) > longestText:
		return fault.At(fault.Required, "client-id", "Say by which client id Overread was registered at the provider.")
	case len(row.Display) > longestText:
		return errDisplay()
	case !slices.Contains(strings.Fields(row.Scopes), "openid"):
		return fault.At(fault.Value, "scopes", "The scopes have no openid among them.")
	case strings.TrimSpace(row.RolesClaim) == "" || len(row.RolesClaim) > longestText:
		return fault.At(fault.Required, "roles-claim", "Name the claim whose values mean roles.")
	}
	return checkAddress("issuer", row.Issuer)
}

// CheckProvider refuses what AddProvider would at a page, and returns the provider of the name
// as it is now, with an empty name where there is none. Beyond what the operator's command
// refuses, it refuses an issuer that this server does not call.
func (k Keeper) CheckProvider(ctx context.Context, row *IdentityProvider) (now IdentityProvider, err error) {
	if err := row.Check(); err != nil {
		return now, err
	}
	if _, err := k.Guard.Check(row.Issuer); err != nil {
		if refusal := outbound.Refused(err); refusal != nil {
			return now, &fault.Error{Issues: []fault.Issue{{Kind: fault.Value, Expression: "issuer", Text: refusal.Text}}}
		}
		return now, err
	}
	all, err := k.IdentityProviders(ctx)
	for _, p := range all {
		switch {
		case p.Name == row.Name:
			now = p
		case p.Issuer == row.Issuer:
			return now, errIssuerTaken()
		}
	}
	switch {
	case now.Name != "" && now.Issuer != row.Issuer:
		return now, errOtherIssuer()
	case now.RolesClaim != "" && now.RolesClaim != row.RolesClaim && len(now.Roles) > 0:
		return now, errOtherClaim()
	}
	return now, err
}

func errIssuerTaken() error {
	return fault.At(fault.Conflict, "issuer", "This issuer is there already by another name.")
}

func errOtherIssuer() error {
	return fault.At(fault.Conflict, "issuer", "The provider of this name has another issuer; remove it first, or choose another name.")
}

func errOtherClaim() error {
	return fault.At(fault.Conflict, "roles-claim", "It was another claim, whose values mean something here. Say at the command line what those of this one mean: overread provider add --roles-claim CLAIM --role VALUE=TENANT:ROLE.")
}

// AddProvider adds a provider or changes it: what its claims mean is replaced as a
// whole where the row says it, and else stays.
// The issuer of one that is there does not change, as persons are known by it.
func (k Keeper) AddProvider(ctx context.Context, by By, row *IdentityProvider) error {
	if err := row.Check(); err != nil {
		return err
	}
	err := k.DB.System(ctx, func(tx pgx.Tx) error {
		if err := MustOperateTx(ctx, tx, by); err != nil {
			return err
		}
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
			return errOtherIssuer()
		}
		switch {
		case len(row.Roles) > 0:
			err = k.setMeanings(ctx, tx, by, row, otherClaim)
		case otherClaim:
			if row.Roles, err = meanings(ctx, tx, row.Name); err == nil && len(row.Roles) > 0 {
				err = errOtherClaim()
			}
		}
		if err == nil {
			row.Roles, err = meanings(ctx, tx, row.Name)
		}
		if err == nil && by.atPages() { // whom it may let in is the business of all of them
			err = k.tellProvider(ctx, tx, by, access.ProviderSet, row.Name)
		}
		return err
	})
	if pg.Constraint(err) == "provider_issuer_key" {
		return errIssuerTaken()
	}
	return wrapped("add a provider", err)
}

func (k Keeper) tellProvider(ctx context.Context, tx pgx.Tx, by By, what access.EventKind, name string) error {
	var all []uuid.UUID
	if err := tx.QueryRow(ctx, `SELECT coalesce(array_agg(tenant_id), '{}') FROM tenant`).Scan(&all); err != nil {
		return err
	}
	return k.RecordAtEach(ctx, tx, all, by.event(what, name))
}

// setMeanings replaces what the provider's claims mean, tells each tenant that had
// or has a part in it, and ends the sessions that rest on what is gone. Which
// values somebody's claims had is not kept, so all end that have such a role there.
func (k Keeper) setMeanings(ctx context.Context, tx pgx.Tx, by By, row *IdentityProvider, otherClaim bool) error {
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
		var tenant uuid.UUID
		err := tx.QueryRow(ctx, `SELECT tenant_id FROM tenant WHERE name = $1`, m.Tenant).Scan(&tenant)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fault.At(fault.NotFound, "role", "tenant %q: there is none of this name; add it with: overread tenant create %s", m.Tenant, m.Tenant)
		}
		if err == nil {
			err = HoldTx(ctx, tx, tenant)
		}
		if err != nil {
			return err
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
		ended, err := EndByRoleTx(ctx, tx, m.TenantID, row.Issuer, m.Role)
		if err != nil {
			return err
		}
		row.Ended += ended
	}
	return k.RecordAtEach(ctx, tx, tenants, by.event(access.ProviderSet, row.Name))
}

// IdentityProviders are all of them, with what their claims mean.
func (k Keeper) IdentityProviders(ctx context.Context) (all []IdentityProvider, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT name, issuer, display, client_id, secret_file, scopes, roles_claim,
			       (SELECT count(*) FROM person WHERE issuer = v.issuer AND ended_at IS NULL) AS people
			FROM provider v
			ORDER BY name`)
		if err != nil {
			return err
		}
		if all, err = pgx.CollectRows(rows, pgx.RowToStructByName[IdentityProvider]); err != nil {
			return err
		}
		for i := range all {
			if all[i].Roles, err = meanings(ctx, tx, all[i].Name); err != nil {
				return err
			}
		}
		return nil
	})
	return all, wrapped("providers", err)
}

// meanings is what the claims of a provider mean, at all tenants.
func meanings(ctx context.Context, tx pgx.Tx, provider string) ([]Meaning, error) {
	rows, err := tx.Query(ctx, `
		SELECT m.claim_value AS value, n.name AS tenant, m.role
		FROM provider_role m
		JOIN tenant n ON n.tenant_id = m.tenant_id
		WHERE m.provider = $1
		ORDER BY m.claim_value, n.name, m.role`, provider)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Meaning])
}

// RemoveProvider removes one with all that its claims mean, and signs out who signed in by
// it. Persons stay, as what they did names them.
func (k Keeper) RemoveProvider(ctx context.Context, by By, name string) (ended int64, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		if err := MustOperateTx(ctx, tx, by); err != nil {
			return err
		}
		var tenants []uuid.UUID
		err := tx.QueryRow(ctx, `
			SELECT coalesce(array_agg(DISTINCT tenant_id), '{}')
			FROM provider_role
			WHERE provider = $1`, name).Scan(&tenants)
		if err != nil {
			return err
		}
		var issuer string
		err = tx.QueryRow(ctx, `DELETE FROM provider WHERE name = $1 RETURNING issuer`, name).Scan(&issuer)
		if err = found(err, "There is no such identity provider."); err != nil {
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
		if by.atPages() {
			return k.tellProvider(ctx, tx, by, access.ProviderRemoved, name)
		}
		return k.RecordAtEach(ctx, tx, tenants, by.event(access.ProviderRemoved, name))
	})
	return ended, wrapped("remove a provider", err)
}
