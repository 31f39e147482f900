package administration

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Provider is an identity provider as a tenant may know it.
type Provider struct {
	Name       string
	Display    string
	RolesClaim string // the claim whose values mean roles
}

// Providers are those by which people sign in.
func (k Keeper) Providers(ctx context.Context) (all []Provider, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT name, display, roles_claim FROM provider ORDER BY display, name`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Provider])
		return err
	})
	return all, wrapped("providers", err)
}

// Group is what a value of a provider's claim means at a tenant.
type Group struct {
	Provider   string
	Display    string // of the provider
	ClaimValue string
	Role       access.Role
	SetBy      string // "" for the operator
	Own        bool   // the one who looks has set it: it does not count for them
	Members    int    // who had it at their last sign-in
}

// Groups are the meanings of a tenant.
func (k Keeper) Groups(ctx context.Context, by By) (all []Group, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT m.provider, v.display, m.claim_value, m.role, m.set_by_name AS set_by, coalesce(m.set_by = @me, false) AS own,
			       (SELECT count(*)
			        FROM member_role r
			        JOIN person p ON p.person_id = r.person_id AND p.issuer = v.issuer
			        WHERE r.tenant_id = m.tenant_id AND r.role = m.role AND r.way = 'claim' AND r.claim_value = m.claim_value) AS members
			FROM provider_role m
			JOIN provider v ON v.name = m.provider
			WHERE m.tenant_id = @tenant
			ORDER BY v.display, m.claim_value, m.role`, pgx.NamedArgs{"tenant": by.Actor.Tenant, "me": by.Person})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Group])
		return err
	})
	return all, wrapped("groups", err)
}

// AddGroup says what a value of a provider's claim means. It counts from the next
// sign-in of whoever has it, and never for the one who says so.
func (k Keeper) AddGroup(ctx context.Context, by By, g Group) error {
	if g.ClaimValue = strings.TrimSpace(g.ClaimValue); g.ClaimValue == "" || len(g.ClaimValue) > longestText {
		return fault.At(fault.Required, "value", "Name the group as the provider does, in at most 300 letters.")
	}
	if !slices.Contains(Roles, g.Role) {
		return fault.At(fault.Value, "role", "Choose one of the roles that are listed.")
	}
	err := k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		err := tx.QueryRow(ctx, `SELECT name FROM provider WHERE name = $1 FOR UPDATE`, g.Provider).Scan(&g.Provider) // against sign-ins, as setMeanings
		if err = found(err, "There is no such identity provider."); err != nil {
			return access.Event{}, err
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO provider_role (tenant_id, provider, claim_value, role, set_by, set_by_name)
			VALUES (@tenant, @provider, @value, @role, nullif(@me, '00000000-0000-0000-0000-000000000000'::uuid), @by)
			ON CONFLICT DO NOTHING`,
			pgx.NamedArgs{"tenant": by.Actor.Tenant, "provider": g.Provider, "value": g.ClaimValue, "role": g.Role, "me": by.Person, "by": by.Actor.Display})
		if err == nil && tag.RowsAffected() == 0 {
			err = fault.At(fault.Conflict, "value", "This group means this role already.")
		}
		return by.groupEvent(access.GroupSet, g), err
	})
	return wrapped("say what a group means", err)
}

// RemoveGroup takes a meaning away. Sessions of those who have the role by it end at
// once. It refuses where nobody would be left who administers the tenant.
func (k Keeper) RemoveGroup(ctx context.Context, by By, g Group) (ended int64, err error) {
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		args := pgx.NamedArgs{"tenant": by.Actor.Tenant, "provider": g.Provider, "value": g.ClaimValue, "role": g.Role}
		var issuer string
		err := tx.QueryRow(ctx, `SELECT issuer FROM provider WHERE name = @provider FOR UPDATE`, args).Scan(&issuer)
		if err = found(err, "There is no such identity provider."); err != nil {
			return access.Event{}, err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM provider_role WHERE tenant_id = @tenant AND provider = @provider AND claim_value = @value AND role = @role`, args)
		if err == nil && tag.RowsAffected() == 0 {
			err = fault.New(fault.Conflict, "This group does not mean this role any more.")
		}
		if err == nil {
			ended, err = EndByRoleTx(ctx, tx, by.Actor.Tenant, issuer, g.Role)
		}
		if err == nil && g.Role == access.Admin {
			err = mustHaveAdministrator(ctx, tx, by)
		}
		return by.groupEvent(access.GroupRemoved, g), err
	})
	return ended, wrapped("take the meaning of a group away", err)
}

// EndByRoleTx ends the sessions of all who signed in by an issuer and have a role at a
// tenant: which values their claims had beside the one that is gone is asked at their
// next sign-in.
func EndByRoleTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, issuer string, role access.Role) (int64, error) {
	tag, err := tx.Exec(ctx, `
		UPDATE session s
		SET ended_at = now(), end_reason = 'operator'
		FROM person p, session_actor a
		WHERE s.ended_at IS NULL AND s.came_from = 'oidc'
		  AND p.person_id = s.person_id AND p.issuer = @issuer
		  AND a.session_id = s.session_id AND a.tenant_id = @tenant AND a.role = @role`,
		pgx.NamedArgs{"issuer": issuer, "tenant": tenant, "role": role})
	return tag.RowsAffected(), err
}

func (b By) groupEvent(kind access.EventKind, g Group) access.Event {
	e := b.event(kind, g.Provider)
	e.Scopes = string(g.Role) + " " + g.ClaimValue
	return e
}
