package oidc

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// personal are the roles that are a reader's at a tenant, by credentials and not
// by a claim alone.
var personal = map[access.Role]bool{access.Reader: true, access.Adjudicator: true, access.Supervisor: true}

// places are what a person may be: what the values of their claim mean, unless they
// have said that themselves, and what they were given by name, without what is
// withheld from them (migration 00060). A claim that maps to nothing gives nothing, and
// so does a personal role where the person is no reader that the tenant has credentialed.
// What the claims mean does not change before the session is there: who changes it
// ends the sessions that rest on what is gone (overread provider add).
func places(ctx context.Context, tx pgx.Tx, p Provider, who *claims, person uuid.UUID, reader *uuid.UUID) ([]access.Actor, error) {
	if _, err := tx.Exec(ctx, `SELECT FROM provider WHERE name = $1 FOR SHARE`, p.Name); err != nil {
		return nil, fmt.Errorf("hold a provider: %w", err)
	}
	if err := remember(ctx, tx, p, who, person); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT m.tenant_id, m.role, coalesce(r.display, '') AS display,
		       coalesce(CASE m.role
			WHEN 'reader' THEN r.active
			WHEN 'adjudicator' THEN r.active AND (r.credential->>'mayAdjudicate')::boolean
			WHEN 'supervisor' THEN r.active AND (r.credential->>'maySupervise')::boolean
		       END, false) AS credentialed
		FROM member_role m
		JOIN tenant n ON n.tenant_id = m.tenant_id AND n.state <> 'moved' -- of one that is suspended they have the role when it goes on
		LEFT JOIN reader r ON r.tenant_id = m.tenant_id AND r.reader_id = @reader
		WHERE m.person_id = @person AND m.way <> 'withheld'
		  AND NOT EXISTS (
			SELECT FROM member_role w
			WHERE w.tenant_id = m.tenant_id AND w.person_id = m.person_id AND w.role = m.role AND w.way = 'withheld')
		ORDER BY m.tenant_id, m.role`,
		pgx.NamedArgs{"person": person, "reader": reader})
	if err != nil {
		return nil, fmt.Errorf("what a person may be: %w", err)
	}
	type row struct {
		TenantID     uuid.UUID
		Role         access.Role
		Display      string
		Credentialed bool
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, fmt.Errorf("what a person may be: %w", err)
	}
	var actors []access.Actor
	for _, r := range found {
		a := access.Actor{Tenant: r.TenantID, ID: person, Role: r.Role, Display: who.display}
		if personal[r.Role] {
			if !r.Credentialed {
				continue
			}
			a.ID, a.Display = *reader, r.Display
		}
		actors = append(actors, a)
	}
	return actors, nil
}

// remember keeps what the person's claims mean now, at each tenant, in the place of
// what they meant at the last sign-in: so that who administers a tenant sees who may
// do what, and by which group.
func remember(ctx context.Context, tx pgx.Tx, p Provider, who *claims, person uuid.UUID) error {
	args := pgx.NamedArgs{"person": person, "provider": p.Name, "values": who.roles}
	for _, sql := range []string{`
		DELETE FROM member_role WHERE person_id = @person::uuid AND way = 'claim'`, `
		INSERT INTO member (tenant_id, person_id, last_login_at)
		SELECT tenant_id, @person::uuid, now()
		FROM provider_role
		WHERE provider = @provider AND claim_value = ANY (@values) AND set_by IS DISTINCT FROM @person::uuid
		UNION
		SELECT tenant_id, @person::uuid, now()
		FROM member_role
		WHERE person_id = @person::uuid AND way = 'granted'
		ON CONFLICT (tenant_id, person_id) DO UPDATE SET last_login_at = excluded.last_login_at`, `
		INSERT INTO member_role (tenant_id, person_id, role, way, claim_value)
		SELECT tenant_id, @person::uuid, role, 'claim', claim_value
		FROM provider_role
		WHERE provider = @provider AND claim_value = ANY (@values) AND set_by IS DISTINCT FROM @person::uuid`,
	} {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			return fmt.Errorf("keep what a person's claims mean: %w", err)
		}
	}
	return nil
}
