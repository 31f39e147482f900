package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Person is somebody as an issuer knows them.
type Person struct {
	Issuer, Subject string
	Display         string
}

// Known finds the person of an issuer's subject, or makes them, and notes the
// login. It refuses (Forbidden) a person whom the operator has ended.
func (s *Store) Known(ctx context.Context, tx pgx.Tx, p Person) (id uuid.UUID, reader *uuid.UUID, err error) {
	fresh, err := uuid.NewV7()
	if err != nil {
		return id, nil, err
	}
	var ended *time.Time
	err = tx.QueryRow(ctx, `
		INSERT INTO person (person_id, issuer, subject, display, last_login_at)
		VALUES (@fresh, @issuer, @subject, @display, now())
		ON CONFLICT (issuer, subject) DO UPDATE SET
			last_login_at = CASE WHEN person.ended_at IS NULL THEN now() ELSE person.last_login_at END
		RETURNING person_id, reader_id, ended_at`,
		pgx.NamedArgs{"fresh": fresh, "issuer": p.Issuer, "subject": p.Subject, "display": p.Display}).
		Scan(&id, &reader, &ended)
	if err != nil {
		return id, nil, fmt.Errorf("find a person: %w", err)
	}
	if ended != nil {
		return id, nil, fault.New(fault.Forbidden, "your access here has been ended; ask the operator")
	}
	return id, reader, nil
}

// Open opens a session for a person with these actors, in a transaction of
// System, and returns its id and its cookie. The actors of a launch may be bounded
// by scopes and to a patient.
func (s *Store) Open(ctx context.Context, tx pgx.Tx, person uuid.UUID, cameFrom, browser string, actors []access.Actor) (id uuid.UUID, cookie string, err error) {
	return s.open(ctx, tx, person, cameFrom, browser, actors, s.life)
}

func (s *Store) open(ctx context.Context, tx pgx.Tx, person uuid.UUID, cameFrom, browser string, actors []access.Actor, life time.Duration) (id uuid.UUID, cookie string, err error) {
	if id, err = uuid.NewV7(); err != nil {
		return id, "", err
	}
	cookie = access.NewToken()
	sum := sha256.Sum256([]byte(cookie))
	_, err = tx.Exec(ctx, `
		INSERT INTO session (session_id, cookie_sha256, person_id, came_from, browser, ends_at)
		VALUES (@id, @sum, @person, @from, @browser, now() + @life * interval '1 second')`,
		pgx.NamedArgs{"id": id, "sum": sum[:], "person": person, "from": cameFrom, "browser": browser, "life": life.Seconds()})
	if err != nil {
		return id, "", fmt.Errorf("open a session: %w", err)
	}
	for _, a := range actors {
		var scopes *string
		if a.Limited() {
			text := a.Scopes()
			scopes = &text
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO session_actor (tenant_id, session_id, actor_id, role, patient, scopes)
			VALUES (@tenant, @session, @actor, @role, nullif(@patient, ''), @scopes)`,
			pgx.NamedArgs{"tenant": a.Tenant, "session": id, "actor": a.ID, "role": a.Role, "patient": a.Patient, "scopes": scopes})
		if err != nil {
			return id, "", fmt.Errorf("open a session at a tenant: %w", err)
		}
	}
	return id, cookie, nil
}

// seenEvery is how exactly it is known when a session was last used: not every
// request is a write.
const seenEvery = 20 * time.Second

// Find finds the session of a cookie, and notes that it is used. It returns
// ErrNone where there is none that is in force.
func (s *Store) Find(ctx context.Context, cookie string) (*Session, error) {
	return s.find(ctx, cookie, true)
}

func (s *Store) find(ctx context.Context, cookie string, used bool) (*Session, error) {
	sum := sha256.Sum256([]byte(cookie))
	var found *Session
	err := s.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT s.session_id AS id, s.person_id, p.reader_id, p.issuer, p.display, s.came_from, s.browser, s.opened_at, s.seen_at, s.ends_at
			FROM session s
			JOIN person p ON p.person_id = s.person_id
			WHERE s.cookie_sha256 = @sum AND s.ended_at IS NULL AND p.ended_at IS NULL
			  AND s.ends_at > now() AND s.seen_at > now() - @idle * interval '1 second'`,
			pgx.NamedArgs{"sum": sum[:], "idle": s.idle.Seconds()})
		if err != nil {
			return err
		}
		if found, err = pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Session]); err != nil {
			return err
		}
		if found.Places, err = places(ctx, tx, found); err != nil || !used {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE session
			SET seen_at = now()
			WHERE session_id = @id AND seen_at < now() - @every * interval '1 second'`,
			pgx.NamedArgs{"id": found.ID, "every": min(seenEvery, s.idle/10).Seconds()})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("find a session: %w", err)
	}
	found.cookie = cookie
	return found, nil
}

// places are what a session's person may be, of what they were when it was
// opened. A personal role rests on credentials: the reader must be active at the
// tenant, and for adjudicating and supervising have that privilege. Who is a reader
// there is one in every role, since what is withheld from a reader is not theirs to
// see in another one.
func places(ctx context.Context, tx pgx.Tx, s *Session) ([]access.Place, error) {
	rows, err := tx.Query(ctx, `
		SELECT a.tenant_id, n.name AS tenant_name, n.display AS tenant_display, n.state <> 'active' AS suspended, a.actor_id, me.reader_id, a.role, coalesce(a.patient, '') AS patient, a.scopes,
		       ARRAY(SELECT DISTINCT 'Patient/' || g.patient_id
		             FROM break_glass g
		             WHERE g.tenant_id = a.tenant_id AND g.person_id = @person AND g.till > now()
		             ORDER BY 1) AS opened
		FROM session_actor a
		JOIN tenant n ON n.tenant_id = a.tenant_id
		LEFT JOIN reader r ON r.tenant_id = a.tenant_id AND r.reader_id = a.actor_id AND r.active
		LEFT JOIN reader me ON me.tenant_id = a.tenant_id AND me.reader_id = coalesce(
			(SELECT p.actor_id
			 FROM session_actor p
			 WHERE p.session_id = a.session_id AND p.tenant_id = a.tenant_id AND p.role IN ('reader', 'adjudicator', 'supervisor')
			 LIMIT 1), @reader)
		WHERE a.session_id = @session
		  AND CASE a.role
			WHEN 'reader' THEN r.active
			WHEN 'adjudicator' THEN (r.credential->>'mayAdjudicate')::boolean
			WHEN 'supervisor' THEN (r.credential->>'maySupervise')::boolean
			ELSE true
		  END
		ORDER BY n.name, a.role`,
		pgx.NamedArgs{"session": s.ID, "person": s.PersonID, "reader": s.ReaderID})
	if err != nil {
		return nil, err
	}
	type row struct {
		TenantID                  uuid.UUID
		TenantName, TenantDisplay string
		Suspended                 bool
		ActorID                   uuid.UUID
		ReaderID                  *uuid.UUID
		Role                      access.Role
		Patient                   string
		Scopes                    *string
		Opened                    []string
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, err
	}
	all := make([]access.Place, len(found))
	for i, r := range found {
		a := access.Actor{Tenant: r.TenantID, ID: r.ActorID, Role: r.Role, Display: s.Display, Patient: r.Patient, Opened: r.Opened, Token: access.SessionURN(s.ID)}
		if r.ReaderID != nil {
			a.Reader = *r.ReaderID
		}
		if r.Scopes != nil {
			if a.Grant, err = access.ParseGrant(*r.Scopes); err != nil {
				return nil, err
			}
		}
		all[i] = access.Place{Actor: a, TenantName: r.TenantName, TenantDisplay: r.TenantDisplay, Suspended: r.Suspended}
	}
	return all, nil
}

// Renew gives a session a new cookie; the one of before is good no longer.
func (s *Store) Renew(ctx context.Context, tx pgx.Tx, id uuid.UUID) (cookie string, err error) {
	cookie = access.NewToken()
	sum := sha256.Sum256([]byte(cookie))
	tag, err := tx.Exec(ctx, `
		UPDATE session
		SET cookie_sha256 = @sum
		WHERE session_id = @id AND ended_at IS NULL`,
		pgx.NamedArgs{"id": id, "sum": sum[:]})
	if err != nil {
		return "", fmt.Errorf("renew a session: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return "", ErrNone
	}
	return cookie, nil
}

// From is the request that ends a session, for the audit.
type From struct{ Address, RequestID string }

// End ends a session of a person's, records it in the same transaction at each
// tenant of the session, and tells whether it was in force.
func (s *Store) End(ctx context.Context, person, id uuid.UUID, why string, from From) (ended bool, err error) {
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		ended = false
		tag, err := tx.Exec(ctx, `
			UPDATE session
			SET ended_at = now(), end_reason = @why
			WHERE session_id = @id AND person_id = @person AND ended_at IS NULL`,
			pgx.NamedArgs{"id": id, "person": person, "why": why})
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		ended = true
		return s.tellEnd(ctx, tx, id, from)
	})
	if err != nil {
		return false, fmt.Errorf("end a session: %w", err)
	}
	return ended, nil
}

// tellEnd records a logout at each tenant where the session had a place, also where
// nothing else is done now because it is suspended. To what was moved away nothing
// is added.
func (s *Store) tellEnd(ctx context.Context, tx pgx.Tx, id uuid.UUID, from From) error {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (a.tenant_id) a.tenant_id AS tenant, a.actor_id AS id, a.role, p.display
		FROM session_actor a
		JOIN session s ON s.session_id = a.session_id
		JOIN person p ON p.person_id = s.person_id
		JOIN tenant n ON n.tenant_id = a.tenant_id AND n.state <> 'moved'
		WHERE a.session_id = $1
		ORDER BY a.tenant_id, a.role`, id)
	if err != nil {
		return err
	}
	type place struct {
		Tenant, ID uuid.UUID
		Role       access.Role
		Display    string
	}
	places, err := pgx.CollectRows(rows, pgx.RowToStructByName[place])
	if err != nil {
		return err
	}
	for _, p := range places {
		e := access.Event{Kind: access.Logout, Tenant: p.Tenant, Token: access.SessionURN(id), Client: from.Address, RequestID: from.RequestID,
			Actor: access.Actor{Tenant: p.Tenant, ID: p.ID, Role: p.Role, Display: p.Display}}
		if err := s.record(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

// Of are the sessions of a person that are in force, the last used first.
func (s *Store) Of(ctx context.Context, person uuid.UUID) (all []Session, err error) {
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT s.session_id AS id, s.person_id, p.reader_id, p.issuer, p.display, s.came_from, s.browser, s.opened_at, s.seen_at, s.ends_at
			FROM session s
			JOIN person p ON p.person_id = s.person_id
			WHERE s.person_id = @person AND s.ended_at IS NULL
			  AND s.ends_at > now() AND s.seen_at > now() - @idle * interval '1 second'
			ORDER BY s.seen_at DESC, s.session_id`,
			pgx.NamedArgs{"person": person, "idle": s.idle.Seconds()})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Session])
		return err
	})
	return all, err
}

// Sweep ends sessions that nobody has used for a while or whose time is over, up to
// a bound, records it, and removes those that ended long ago. It says how many it
// ended.
func (s *Store) Sweep(ctx context.Context) (ended int, err error) {
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		type over struct {
			SessionID uuid.UUID
			TenantID  uuid.UUID
			ActorID   uuid.UUID
			Role      access.Role
			Display   string
			Idle      bool
		}
		rows, err := tx.Query(ctx, `
			WITH over AS (
				UPDATE session
				SET ended_at = now(), end_reason = CASE WHEN ends_at <= now() THEN 'time' ELSE 'idle' END
				WHERE session_id IN (
					SELECT session_id
					FROM session
					WHERE ended_at IS NULL AND (ends_at <= now() OR seen_at <= now() - @idle * interval '1 second')
					LIMIT 200
					FOR UPDATE SKIP LOCKED)
				RETURNING session_id, person_id, end_reason)
			SELECT DISTINCT ON (o.session_id, a.tenant_id) o.session_id, a.tenant_id, a.actor_id, a.role, p.display, o.end_reason = 'idle' AS idle
			FROM over o
			JOIN session_actor a ON a.session_id = o.session_id
			JOIN person p ON p.person_id = o.person_id
			JOIN tenant n ON n.tenant_id = a.tenant_id AND n.state <> 'moved' -- as in tellEnd
			ORDER BY o.session_id, a.tenant_id, a.role`,
			pgx.NamedArgs{"idle": s.idle.Seconds()})
		if err != nil {
			return err
		}
		gone, err := pgx.CollectRows(rows, pgx.RowToStructByName[over])
		if err != nil {
			return err
		}
		for _, o := range gone {
			e := access.Event{Kind: access.IdleLogoff, Tenant: o.TenantID, Token: access.SessionURN(o.SessionID),
				Actor: access.Actor{Tenant: o.TenantID, ID: o.ActorID, Role: o.Role, Display: o.Display}}
			if !o.Idle {
				e.Kind = access.Logout
			}
			if err := s.record(ctx, tx, e); err != nil {
				return err
			}
		}
		ended = len(gone)
		_, err = tx.Exec(ctx, `DELETE FROM session WHERE ended_at < now() - interval '30 days'`)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("end idle sessions: %w", err)
	}
	return ended, nil
}
