package administration

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Roles are those that a person may have at a tenant (migration 00060).
var Roles = []access.Role{access.Coordinator, access.Reader, access.Adjudicator, access.Supervisor, access.Director, access.Auditor, access.Quality, access.Admin}

// personal are the roles that rest on credentials as a reader besides.
var personal = []access.Role{access.Reader, access.Adjudicator, access.Supervisor}

// Member is a person who belongs to a tenant.
type Member struct {
	PersonID     uuid.UUID
	Display      string
	Provider     string // name for people of the identity provider; its issuer where it was removed
	ProviderName string // its short name, "" where it was removed
	Subject      string // what the provider calls them
	Since        time.Time
	LastLogin    *time.Time // with a role here
	Reads        bool       // they are a reader of the tenant
	Ended        bool       // their access was ended everywhere
	Sessions     int        // in force, with a role here
	Reasons      []Reason   // for and against each role
}

// Reason is why a member has a role, or has it not.
type Reason struct {
	Role       access.Role `json:"role"`
	Way        string      `json:"way"` // claim, granted, withheld
	ClaimValue string      `json:"claim_value"`
	SetBy      string      `json:"set_by"`
	SetAt      time.Time   `json:"set_at"`
	Reason     string      `json:"reason"`
}

// Roles are those that the member has, in the order of the table; credentials as a
// reader are looked at besides, with each request.
func (m Member) Roles() (all []access.Role) {
	for _, role := range Roles {
		if m.Has(role) {
			all = append(all, role)
		}
	}
	return all
}

// Has tells whether the member has a role.
func (m Member) Has(role access.Role) bool {
	has := false
	for _, r := range m.Reasons {
		if r.Role == role && r.Way == "withheld" {
			return false
		}
		has = has || r.Role == role
	}
	return has
}

// For are the reasons for and against one role.
func (m Member) For(role access.Role) (all []Reason) {
	for _, r := range m.Reasons {
		if r.Role == role {
			all = append(all, r)
		}
	}
	return all
}

// Members are the people of a tenant, by name.
func (k Keeper) Members(ctx context.Context, tenant uuid.UUID) ([]Member, error) {
	return k.members(ctx, tenant, uuid.Nil)
}

// Member is one of them; NotFound where there is none.
func (k Keeper) Member(ctx context.Context, tenant, person uuid.UUID) (Member, error) {
	all, err := k.members(ctx, tenant, person)
	if err == nil && len(all) == 0 {
		err = noMember()
	}
	if err != nil {
		return Member{}, err
	}
	return all[0], nil
}

func noMember() error { return fault.New(fault.NotFound, "There is no such person here.") }

func (k Keeper) members(ctx context.Context, tenant, person uuid.UUID) (all []Member, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT m.person_id, p.display, coalesce(v.display, p.issuer) AS provider, coalesce(v.name, '') AS provider_name, p.subject, m.since, m.last_login_at AS last_login, p.ended_at IS NOT NULL AS ended,
			       EXISTS (SELECT FROM reader r WHERE r.tenant_id = m.tenant_id AND r.reader_id = p.reader_id AND r.active) AS reads,
			       (SELECT count(DISTINCT s.session_id)
			        FROM session s
			        JOIN session_actor a ON a.session_id = s.session_id AND a.tenant_id = m.tenant_id
			        WHERE s.person_id = m.person_id AND s.ended_at IS NULL AND s.ends_at > now()) AS sessions,
			       coalesce((SELECT jsonb_agg(jsonb_build_object('role', r.role, 'way', r.way, 'claim_value', r.claim_value, 'set_by', r.set_by, 'set_at', r.set_at, 'reason', r.reason) ORDER BY r.way, r.claim_value)
			                 FROM member_role r
			                 WHERE r.tenant_id = m.tenant_id AND r.person_id = m.person_id), '[]') AS reasons
			FROM member m
			JOIN person p ON p.person_id = m.person_id
			LEFT JOIN provider v ON v.issuer = p.issuer
			WHERE m.tenant_id = @tenant AND (@person = '00000000-0000-0000-0000-000000000000'::uuid OR m.person_id = @person)
			ORDER BY p.display, m.person_id
			LIMIT 2000`, pgx.NamedArgs{"tenant": tenant, "person": person})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Member])
		return err
	})
	return all, wrapped("members", err)
}

// Open is a session of a member that is in force.
type Open struct {
	SessionID uuid.UUID
	Browser   string
	OpenedAt  time.Time
	SeenAt    time.Time
	EndsAt    time.Time
	Roles     []string // here
}

// Sessions are those of a member with a role at the tenant, the last used first.
func (k Keeper) Sessions(ctx context.Context, tenant, person uuid.UUID) (all []Open, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT s.session_id, s.browser, s.opened_at, s.seen_at, s.ends_at, array_agg(a.role ORDER BY a.role) AS roles
			FROM session s
			JOIN session_actor a ON a.session_id = s.session_id AND a.tenant_id = @tenant
			WHERE s.person_id = @person AND s.ended_at IS NULL AND s.ends_at > now()
			GROUP BY s.session_id
			ORDER BY s.seen_at DESC, s.session_id`, pgx.NamedArgs{"tenant": tenant, "person": person})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Open])
		return err
	})
	return all, wrapped("sessions", err)
}

// EndSessions ends one session of a member, or all with a role at the tenant
// (uuid.Nil), at once and on every replica.
func (k Keeper) EndSessions(ctx context.Context, by By, person, id uuid.UUID) (ended int, err error) {
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		ended, err = endSessions(ctx, tx, by.Actor.Tenant, person, id, Roles)
		if err == nil && ended == 0 {
			err = fault.New(fault.Conflict, "There is no such session in force any more.")
		}
		return by.event(access.SessionsEnded, person.String()), err
	})
	return ended, wrapped("end sessions", err)
}

// endSessions ends those in which the person has one of the roles at the tenant.
func endSessions(ctx context.Context, tx pgx.Tx, tenant, person, id uuid.UUID, with []access.Role) (int, error) {
	tag, err := tx.Exec(ctx, `
		UPDATE session s
		SET ended_at = now(), end_reason = 'operator'
		WHERE s.person_id = @person AND s.ended_at IS NULL AND (@id = '00000000-0000-0000-0000-000000000000'::uuid OR s.session_id = @id)
		  AND EXISTS (SELECT FROM session_actor a WHERE a.session_id = s.session_id AND a.tenant_id = @tenant AND a.role = ANY (@roles))`,
		pgx.NamedArgs{"person": person, "id": id, "tenant": tenant, "roles": with})
	return int(tag.RowsAffected()), err
}

// Grant gives a person a role by name, or gives back one that was withheld. It counts
// from their next sign-in. Nobody gives one to themselves.
func (k Keeper) Grant(ctx context.Context, by By, person uuid.UUID, role access.Role, reason string) error {
	reason, err := mayTurn(by, person, role, reason)
	if err != nil {
		return err
	}
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		return by.roleEvent(access.RoleGranted, person, role, reason), grantTx(ctx, tx, by, person, role, reason)
	})
	return wrapped("grant a role", err)
}

func grantTx(ctx context.Context, tx pgx.Tx, by By, person uuid.UUID, role access.Role, reason string) error {
	args := pgx.NamedArgs{"tenant": by.Actor.Tenant, "person": person, "role": role, "by": by.Actor.Display, "reason": reason}
	var reads, claimed bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM reader r WHERE r.tenant_id = m.tenant_id AND r.reader_id = p.reader_id AND r.active),
		       EXISTS (SELECT FROM member_role r WHERE r.tenant_id = m.tenant_id AND r.person_id = m.person_id AND r.role = @role AND r.way = 'claim')
		FROM member m
		JOIN person p ON p.person_id = m.person_id
		WHERE m.tenant_id = @tenant AND m.person_id = @person
		FOR UPDATE OF m`, args).Scan(&reads, &claimed)
	if err = found(err, "There is no such person here."); err != nil {
		return err
	}
	if slices.Contains(personal, role) && !reads {
		return fault.At(fault.Value, "role", "This person is no reader of this hospital, and the role rests on a reader's credentials. First say which reader they are, at the page of people.")
	}
	if _, err := tx.Exec(ctx, `DELETE FROM member_role WHERE tenant_id = @tenant AND person_id = @person AND role = @role AND way = 'withheld'`, args); err != nil || claimed {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO member_role (tenant_id, person_id, role, way, set_by, reason)
		VALUES (@tenant, @person, @role, 'granted', @by, @reason)
		ON CONFLICT DO NOTHING`, args)
	return err
}

// Newcomer is somebody who is to have a role and has not signed in yet.
type Newcomer struct {
	Provider string // short name
	Subject  string // what the provider calls them: the sub of its ID tokens
	Display  string
}

// Invite gives a role to somebody who may never have been here.
func (k Keeper) Invite(ctx context.Context, by By, who Newcomer, role access.Role, reason string) (person uuid.UUID, err error) {
	who.Subject, who.Display = strings.TrimSpace(who.Subject), strings.TrimSpace(who.Display)
	switch {
	case who.Subject == "" || len(who.Subject) > 255:
		return person, fault.At(fault.Required, "subject", "Say what the provider calls the person (the sub of its ID tokens), in at most 255 letters.")
	case who.Display == "" || len(who.Display) > longestText:
		return person, fault.At(fault.Required, "display", "Give the person's name, in at most 300 letters.")
	}
	if reason, err = mayTurn(by, uuid.Max, role, reason); err != nil {
		return person, err
	}
	fresh, err := uuid.NewV7()
	if err != nil {
		return person, err
	}
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		err := tx.QueryRow(ctx, `
			INSERT INTO person (person_id, issuer, subject, display)
			SELECT @fresh, issuer, @subject, @display
			FROM provider
			WHERE name = @provider
			ON CONFLICT (issuer, subject) DO UPDATE SET subject = excluded.subject
			RETURNING person_id`, pgx.NamedArgs{"fresh": fresh, "subject": who.Subject, "display": who.Display, "provider": who.Provider}).Scan(&person)
		if err = found(err, "There is no such identity provider."); err == nil && person == by.Person {
			err = errOwnRole()
		}
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO member (tenant_id, person_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, by.Actor.Tenant, person)
		}
		if err == nil {
			err = grantTx(ctx, tx, by, person, role, reason)
		}
		return by.roleEvent(access.RoleGranted, person, role, reason), err
	})
	return person, wrapped("invite somebody", err)
}

// Revoke takes a role from a person at once: what was granted is gone, and what their
// provider says is withheld. Sessions with that role end. It refuses to take the
// tenant's last administrator.
func (k Keeper) Revoke(ctx context.Context, by By, person uuid.UUID, role access.Role, reason string) (ended int, err error) {
	if reason, err = mayTurn(by, person, role, reason); err != nil {
		return 0, err
	}
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		ended, err = revokeTx(ctx, tx, by, person, role, reason)
		return by.roleEvent(access.RoleRevoked, person, role, reason), err
	})
	return ended, wrapped("revoke a role", err)
}

func revokeTx(ctx context.Context, tx pgx.Tx, by By, person uuid.UUID, role access.Role, reason string) (ended int, err error) {
	args := pgx.NamedArgs{"tenant": by.Actor.Tenant, "person": person, "role": role, "by": by.Actor.Display, "reason": reason}
	err = tx.QueryRow(ctx, `SELECT person_id FROM member WHERE tenant_id = @tenant AND person_id = @person FOR UPDATE`, args).Scan(&person)
	if err = found(err, "There is no such person here."); err != nil {
		return 0, err
	}
	for _, sql := range []string{
		`DELETE FROM member_role WHERE tenant_id = @tenant AND person_id = @person AND role = @role AND way = 'granted'`, `
		INSERT INTO member_role (tenant_id, person_id, role, way, set_by, reason)
		VALUES (@tenant, @person, @role, 'withheld', @by, @reason)
		ON CONFLICT DO NOTHING`,
	} {
		if _, err := tx.Exec(ctx, sql, args); err != nil {
			return 0, err
		}
	}
	if ended, err = endSessions(ctx, tx, by.Actor.Tenant, person, uuid.Nil, []access.Role{role}); err != nil || role != access.Admin {
		return ended, err
	}
	return ended, mustHaveAdministrator(ctx, tx, by)
}

// mayTurn refuses what nobody may do, before anything is asked.
func mayTurn(by By, person uuid.UUID, role access.Role, reason string) (string, error) {
	switch {
	case !slices.Contains(Roles, role):
		return "", fault.At(fault.Value, "role", "Choose one of the roles that are listed.")
	case by.Person == person:
		return "", errOwnRole()
	}
	return reasonOf(reason)
}

func errOwnRole() error {
	return fault.At(fault.Forbidden, "role", "Nobody changes their own roles: ask another administrator, or the operator.")
}

func (b By) roleEvent(kind access.EventKind, person uuid.UUID, role access.Role, reason string) access.Event {
	e := b.event(kind, person.String())
	e.Scopes, e.Reason = string(role), reason
	return e
}

// mustHaveAdministrator refuses a change after which nobody would be left at the
// tenant who has signed in, or was named, and may administer it. Operators may do so:
// they need no page.
func mustHaveAdministrator(ctx context.Context, tx pgx.Tx, by By) error {
	if by.Person == uuid.Nil {
		return nil
	}
	var left bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT
			FROM member_role r
			JOIN person p ON p.person_id = r.person_id AND p.ended_at IS NULL
			WHERE r.tenant_id = @tenant AND r.role = 'admin'
			  AND (r.way = 'granted' OR r.way = 'claim' AND EXISTS (
				SELECT
				FROM provider_role m
				JOIN provider v ON v.name = m.provider
				WHERE m.tenant_id = r.tenant_id AND m.role = r.role AND m.claim_value = r.claim_value AND v.issuer = p.issuer
				  AND m.set_by IS DISTINCT FROM r.person_id))
			  AND NOT EXISTS (
				SELECT FROM member_role w
				WHERE w.tenant_id = r.tenant_id AND w.person_id = r.person_id AND w.role = r.role AND w.way = 'withheld'))`,
		pgx.NamedArgs{"tenant": by.Actor.Tenant}).Scan(&left)
	if err == nil && !left {
		err = fault.New(fault.Conflict, "Nobody would be left who may administer this hospital. Make somebody else an administrator first, who has signed in.")
	}
	return err
}
