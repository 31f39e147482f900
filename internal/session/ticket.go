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
)

// A ticket leads from a session into the viewer, which is at an origin of its own: no
// cookie of a session goes there. It is for one case and to read only, good as long as
// the session and no longer than an hour. It begins as a code in an address, which is
// good once, for a minute; what the viewer's browser then has is a cookie that nobody
// else has seen.

const (
	codeLife   = time.Minute
	ticketLife = time.Hour
)

// Ticket is one that is in force.
type Ticket struct {
	ID    uuid.UUID
	Place access.Place // whose it is
	Task  string       // of the case
}

// GiveTicket makes a ticket for a place of a session, and returns its code.
func (s *Store) GiveTicket(ctx context.Context, id uuid.UUID, p access.Place, task string) (code string, err error) {
	ticket, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	code = access.NewToken()
	sum := sha256.Sum256([]byte(code))
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM viewer_ticket WHERE session_id = $1 AND expires_at <= now()`, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO viewer_ticket (tenant_id, ticket_id, session_id, role, task_id, code_sha256, expires_at)
			VALUES (@tenant, @ticket, @session, @role, @task, @sum, now() + @life * interval '1 second')`,
			pgx.NamedArgs{"tenant": p.Tenant, "ticket": ticket, "session": id, "role": p.Role, "task": task, "sum": sum[:], "life": codeLife.Seconds()})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("give a ticket to the viewer: %w", err)
	}
	return code, nil
}

// UseTicket takes a code, once, and returns the ticket with its cookie; ErrNone where
// it is none, or not any more.
func (s *Store) UseTicket(ctx context.Context, code string) (t Ticket, cookie string, err error) {
	cookie = access.NewToken()
	before, after := sha256.Sum256([]byte(code)), sha256.Sum256([]byte(cookie))
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		var id uuid.UUID
		err := tx.QueryRow(ctx, `
			UPDATE viewer_ticket
			SET code_sha256 = NULL, cookie_sha256 = @after, expires_at = now() + @life * interval '1 second'
			WHERE code_sha256 = @before AND expires_at > now()
			RETURNING ticket_id`,
			pgx.NamedArgs{"before": before[:], "after": after[:], "life": ticketLife.Seconds()}).Scan(&id)
		if err != nil {
			return err
		}
		t, err = s.ticket(ctx, tx, id, after[:])
		return err
	})
	return t, cookie, ticketError(err)
}

// OfTicket is the ticket of an address, by its cookie; ErrNone where it is not in force.
// It counts as using the session.
func (s *Store) OfTicket(ctx context.Context, id uuid.UUID, cookie string) (t Ticket, err error) {
	sum := sha256.Sum256([]byte(cookie))
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		t, err = s.ticket(ctx, tx, id, sum[:])
		return err
	})
	return t, ticketError(err)
}

func ticketError(err error) error {
	if err == nil || errors.Is(err, ErrNone) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNone
	}
	return fmt.Errorf("ticket to the viewer: %w", err)
}

// ticket reads one with the place that it is for, as it is now.
func (s *Store) ticket(ctx context.Context, tx pgx.Tx, id uuid.UUID, sum []byte) (Ticket, error) {
	var tenant uuid.UUID
	var role access.Role
	t, found := Ticket{ID: id}, &Session{}
	err := tx.QueryRow(ctx, `
		UPDATE session s
		SET seen_at = now()
		FROM viewer_ticket t, person p
		WHERE t.ticket_id = @id AND t.cookie_sha256 = @sum AND t.expires_at > now()
		  AND s.session_id = t.session_id AND s.ended_at IS NULL AND s.ends_at > now() AND s.seen_at > now() - @idle * interval '1 second'
		  AND p.person_id = s.person_id AND p.ended_at IS NULL
		RETURNING t.tenant_id, t.role, t.task_id, s.session_id, s.person_id, p.reader_id, p.display`,
		pgx.NamedArgs{"id": id, "sum": sum, "idle": s.idle.Seconds()}).
		Scan(&tenant, &role, &t.Task, &found.ID, &found.PersonID, &found.ReaderID, &found.Display)
	if err != nil {
		return t, err
	}
	all, err := places(ctx, tx, found)
	if err != nil {
		return t, err
	}
	for _, p := range all {
		if p.Tenant == tenant && p.Role == role && !p.Suspended {
			t.Place = p
			return t, nil
		}
	}
	return t, ErrNone
}
