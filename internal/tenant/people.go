package tenant

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Person is somebody who signs in as one of the tenant's readers. Persons belong
// to no tenant, but without this nobody would know at the new place which reader
// they are, and what is blinded for the reader would not be for the person.
type Person struct {
	PersonID uuid.UUID `json:"personId"`
	Issuer   string    `json:"issuer"`
	Subject  string    `json:"subject"`
	ReaderID uuid.UUID `json:"readerId"`
	Display  string    `json:"display"`
	Ended    bool      `json:"ended,omitempty"`
}

// addPeople lists who the tenant's readers sign in as.
func (m *Manifest) addPeople(ctx context.Context, tx pgx.Tx) error {
	if err := as(ctx, tx, "overread_system", m.TenantID); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT p.person_id, p.issuer, p.subject, p.reader_id, p.display, p.ended_at IS NOT NULL AS ended
		FROM person p
		JOIN reader r ON r.reader_id = p.reader_id
		WHERE r.tenant_id = $1
		ORDER BY p.person_id`, m.TenantID)
	if err != nil {
		return fmt.Errorf("persons: %w", err)
	}
	if m.People, err = pgx.CollectRows(rows, pgx.RowToStructByName[Person]); err != nil {
		return fmt.Errorf("persons: %w", err)
	}
	return nil
}

// bringPeople links those who are unknown here, or no reader yet. Who is another
// reader here stays so, and is listed in Unlinked. Nobody whose access has ended,
// there or here, comes in again by it.
func (m *Manifest) bringPeople(ctx context.Context, tx pgx.Tx) error {
	if err := as(ctx, tx, "overread_system", m.TenantID); err != nil {
		return err
	}
	for _, p := range m.People {
		err := tx.QueryRow(ctx, `
			INSERT INTO person (person_id, issuer, subject, reader_id, display, ended_at)
			VALUES (@person, @issuer, @subject, @reader, @display, CASE WHEN @ended THEN now() END)
			ON CONFLICT (issuer, subject) DO UPDATE SET reader_id = excluded.reader_id
			WHERE person.reader_id IS NULL OR person.reader_id = excluded.reader_id
			RETURNING person_id`,
			pgx.NamedArgs{"person": p.PersonID, "issuer": p.Issuer, "subject": p.Subject, "reader": p.ReaderID, "display": p.Display, "ended": p.Ended}).
			Scan(new(uuid.UUID))
		if errors.Is(err, pgx.ErrNoRows) {
			m.Unlinked = append(m.Unlinked, p)
			continue
		}
		if err != nil {
			return fmt.Errorf("persons: %w", plain(err))
		}
	}
	return nil
}
