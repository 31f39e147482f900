package administration

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// What concerns the whole installation is done by its operator: at the command line by who
// may log in to the server, at the pages by who was named there (Appoint), for a time.
// Nobody is named at a page, so no page leads to more than what its reader was given by
// somebody with a shell (docs/decisions/0019-the-administrator.md).

// longestOffice is for how long somebody may be named at most.
const longestOffice = 366 * 24 * time.Hour

// Operator is a person who was named.
type Operator struct {
	PersonID  uuid.UUID `json:"personId"`
	Display   string    `json:"display"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	GrantedAt time.Time `json:"grantedAt"`
	GrantedBy string    `json:"grantedBy"`
	Reason    string    `json:"reason"`
	EndsAt    time.Time `json:"endsAt"`
}

// For is who does it, for the log of a tenant.
func (b By) For(tenant uuid.UUID) By {
	b.Actor.Tenant = tenant
	return b
}

// atPages tells whether somebody acts for the installation by a browser.
func (b By) atPages() bool { return b.Actor.Role == access.Operator && b.Person != uuid.Nil }

// MustOperateTx refuses somebody at a page who is the installation's operator no longer;
// for an administrator, who acts at their own tenant, and at the command line it does nothing.
func MustOperateTx(ctx context.Context, tx pgx.Tx, by By) error {
	if !by.atPages() {
		return nil
	}
	var person uuid.UUID
	err := tx.QueryRow(ctx, `SELECT person_id FROM installation_operator WHERE person_id = $1 AND ends_at > now() FOR SHARE`, by.Person).Scan(&person)
	return found(err, "There is no such page, or not in your role.")
}

// Operates tells whether somebody is the installation's operator at the pages, and until when.
func (k Keeper) Operates(ctx context.Context, person uuid.UUID) (is bool, till time.Time, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT ends_at FROM installation_operator WHERE person_id = $1 AND ends_at > now()`, person)
		if err != nil {
			return err
		}
		ends, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
		if is = len(ends) > 0; is {
			till = ends[0]
		}
		return err
	})
	return is, till, wrapped("the installation's operator", err)
}

// Operators are those who are named and whose time has not come.
func (k Keeper) Operators(ctx context.Context) (all []Operator, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT o.person_id, p.display, p.subject, p.issuer, o.granted_at, o.granted_by, o.reason, o.ends_at
			FROM installation_operator o
			JOIN person p ON p.person_id = o.person_id
			WHERE o.ends_at > now()
			ORDER BY p.display, o.person_id`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Operator])
		return err
	})
	return all, wrapped("operators", err)
}

// Appoint names somebody, for a time. Every hospital is told in its audit log. It is for
// the command line alone.
func (k Keeper) Appoint(ctx context.Context, by By, person uuid.UUID, reason string, span time.Duration) (o Operator, err error) {
	if by.Person != uuid.Nil {
		return o, fault.New(fault.Forbidden, "The installation's operators are named at the command line of the server.")
	}
	if reason, err = reasonOf(reason); err != nil {
		return o, err
	}
	if span < time.Hour || span > longestOffice {
		return o, fault.At(fault.Value, "for", "It is not between an hour and a year.")
	}
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH named AS (
				INSERT INTO installation_operator (person_id, granted_by, reason, ends_at)
				SELECT person_id, @by, @reason, now() + @span * interval '1 second'
				FROM person
				WHERE person_id = @person AND ended_at IS NULL
				ON CONFLICT (person_id) DO UPDATE SET
					granted_at = now(), granted_by = excluded.granted_by, reason = excluded.reason, ends_at = excluded.ends_at
				RETURNING *)
			SELECT o.person_id, p.display, p.subject, p.issuer, o.granted_at, o.granted_by, o.reason, o.ends_at
			FROM named o
			JOIN person p ON p.person_id = o.person_id`,
			pgx.NamedArgs{"person": person, "by": by.Actor.Display, "reason": reason, "span": span.Seconds()})
		if err != nil {
			return err
		}
		if o, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Operator]); err != nil {
			return found(err, "There is no such person whose access is in force.")
		}
		return k.tellAll(ctx, tx, by, access.OperatorNamed, person, reason)
	})
	return o, wrapped("name an operator", err)
}

// Dismiss ends it at once: the next request is refused.
func (k Keeper) Dismiss(ctx context.Context, by By, person uuid.UUID) error {
	err := k.DB.System(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM installation_operator WHERE person_id = $1`, person)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.NotFound, "This person is not named.")
		}
		return k.tellAll(ctx, tx, by, access.OperatorDismissed, person, "")
	})
	return wrapped("dismiss an operator", err)
}

// tellAll records it at every hospital: who may suspend it is its business.
func (k Keeper) tellAll(ctx context.Context, tx pgx.Tx, by By, what access.EventKind, person uuid.UUID, reason string) error {
	var all []uuid.UUID
	if err := tx.QueryRow(ctx, `SELECT coalesce(array_agg(tenant_id), '{}') FROM tenant`).Scan(&all); err != nil {
		return err
	}
	e := by.event(what, person.String())
	e.Reason = reason
	return k.RecordAtEach(ctx, tx, all, e)
}

// RecordAtEach writes an event at several tenants, in the order in which everybody holds
// their logs. Nothing is added to the log of one that was moved away.
func (k Keeper) RecordAtEach(ctx context.Context, tx pgx.Tx, tenants []uuid.UUID, e access.Event) error {
	rows, err := tx.Query(ctx, `
		SELECT tenant_id
		FROM tenant
		WHERE tenant_id = ANY ($1) AND state <> 'moved'
		ORDER BY tenant_id`, tenants)
	if err != nil {
		return err
	}
	here, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return err
	}
	for _, tenant := range here {
		e.Tenant, e.Actor.Tenant = tenant, tenant
		if err := k.Record(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

// At is the operator acting for the tenant of a name. It is for who acts for the installation.
func (k Keeper) At(ctx context.Context, by By, name string) (By, error) {
	var id uuid.UUID
	err := k.DB.System(ctx, func(tx pgx.Tx) error {
		if err := MustOperateTx(ctx, tx, by); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT tenant_id FROM tenant WHERE name = $1`, name).Scan(&id)
	})
	return by.For(id), wrapped("tenant", found(err, "There is no such hospital."))
}

// AddFirstAdministrators says which group of a provider administers a tenant that has no
// administrator yet; where there are some, it is theirs to say.
func (k Keeper) AddFirstAdministrators(ctx context.Context, by By, g Group) error {
	g.Role = access.Admin
	has, err := k.HasAdministrators(ctx, by.Actor.Tenant)
	if err == nil && has {
		err = fault.New(fault.Conflict, "This hospital has administrators, and these say who administers it.")
	}
	if err != nil {
		return err
	}
	return k.AddGroup(ctx, by, g)
}

// HasAdministrators tells whether a group or somebody by name administers a tenant.
func (k Keeper) HasAdministrators(ctx context.Context, tenant uuid.UUID) (has bool, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM provider_role WHERE tenant_id = $1 AND role = 'admin')
			    OR EXISTS (SELECT FROM member_role WHERE tenant_id = $1 AND role = 'admin' AND way = 'granted')`, tenant).Scan(&has)
	})
	return has, wrapped("administrators", err)
}
