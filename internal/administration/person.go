package administration

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// A person who signs in as a reader is that reader at every tenant where the reader is
// credentialed. So the operator may say it of anybody, and an administrator only where it
// concerns nobody but their own hospital.

// Identity is who of a provider's people is which reader.
type Identity struct {
	PersonID uuid.UUID
	Issuer   string
	Subject  string
	ReaderID uuid.UUID
	Display  string
	Reader   string      // the reader's name
	Others   []uuid.UUID // who else is that reader

	before  *uuid.UUID // which reader they were
	fresh   bool       // nobody has known them here
	ended   bool
	tenants []uuid.UUID
}

// LinkReader says which reader somebody is, or says it anew, and lets in again who was
// ended. It refuses a reader whom no tenant has credentialed; and an administrator, what
// checkLink says.
func (k Keeper) LinkReader(ctx context.Context, by By, provider, subject string, reader uuid.UUID) (who Identity, err error) {
	if subject = strings.TrimSpace(subject); subject == "" || len(subject) > 255 {
		return who, fault.At(fault.Required, "subject", "Say what the provider calls the person (the sub of its ID tokens), in at most 255 letters.")
	}
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		if by.Person != uuid.Nil {
			if err := HoldTx(ctx, tx, by.Actor.Tenant); err != nil {
				return err
			}
		}
		if who, err = identify(ctx, tx, provider, subject, reader); err != nil {
			return err
		}
		if by.Person != uuid.Nil {
			if err := checkLink(ctx, tx, by, who); err != nil {
				return err
			}
		}
		return k.link(ctx, tx, by, &who)
	})
	return who, wrapped("say who is which reader", err)
}

// CheckLink refuses what LinkReader would, and changes nothing.
func (k Keeper) CheckLink(ctx context.Context, by By, provider, subject string, reader uuid.UUID) (who Identity, err error) {
	if subject = strings.TrimSpace(subject); subject == "" || len(subject) > 255 {
		return who, fault.At(fault.Required, "subject", "Say what the provider calls the person (the sub of its ID tokens), in at most 255 letters.")
	}
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		if who, err = identify(ctx, tx, provider, subject, reader); err != nil {
			return err
		}
		return checkLink(ctx, tx, by, who)
	})
	return who, wrapped("say who is which reader", err)
}

// identify finds both, and locks the person.
func identify(ctx context.Context, tx pgx.Tx, provider, subject string, reader uuid.UUID) (who Identity, err error) {
	who.Subject, who.ReaderID = subject, reader
	err = tx.QueryRow(ctx, `SELECT issuer FROM provider WHERE name = $1`, provider).Scan(&who.Issuer)
	if err != nil {
		if err = found(err, "There is no such identity provider."); fault.Is(err, fault.NotFound) {
			err = fault.At(fault.NotFound, "provider", "There is no such identity provider.")
		}
		return who, err
	}
	rows, err := tx.Query(ctx, `
		SELECT r.tenant_id, r.display
		FROM reader r
		JOIN tenant n ON n.tenant_id = r.tenant_id
		WHERE r.reader_id = $1 AND n.state <> 'moved'
		ORDER BY 1`, reader)
	if err != nil {
		return who, err
	}
	var at uuid.UUID
	var display string
	_, err = pgx.ForEachRow(rows, []any{&at, &display}, func() error {
		if who.Reader == "" {
			who.Reader = display
		}
		who.tenants = append(who.tenants, at)
		return nil
	})
	if err != nil {
		return who, err
	}
	if len(who.tenants) == 0 {
		return who, fault.At(fault.Value, "reader", "This is no reader of any hospital that is here.")
	}
	who.Display = who.Reader
	err = tx.QueryRow(ctx, `
		SELECT person_id, reader_id, display, ended_at IS NOT NULL
		FROM person
		WHERE issuer = $1 AND subject = $2
		FOR UPDATE`, who.Issuer, subject).Scan(&who.PersonID, &who.before, &who.Display, &who.ended)
	if who.fresh = fault.Is(found(err, "none"), fault.NotFound); who.fresh {
		err = nil
	}
	if err == nil {
		who.Others, err = AlsoReader(ctx, tx, reader, who.PersonID)
	}
	return who, err
}

// checkLink is what an administrator may not: for themselves, for who was ended, for a reader
// or a person of another hospital, and for a reader whom somebody else signs in as. Of another
// hospital nothing is told but that there is one.
func checkLink(ctx context.Context, tx pgx.Tx, by By, who Identity) error {
	var elsewhere, here bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM reader WHERE reader_id = ANY (@readers) AND tenant_id <> @tenant),
		       EXISTS (SELECT FROM reader WHERE reader_id = @reader AND tenant_id = @tenant)`,
		pgx.NamedArgs{"tenant": by.Actor.Tenant, "reader": who.ReaderID, "readers": append([]uuid.UUID{who.ReaderID}, either(who.before)...)}).Scan(&elsewhere, &here)
	switch {
	case err != nil:
		return err
	case !here:
		return fault.At(fault.Value, "reader", "Choose a reader of this hospital.")
	case who.PersonID == by.Person:
		return fault.At(fault.Forbidden, "subject", "Nobody says of themselves who they are: another administrator does it.")
	case who.ended:
		return fault.At(fault.Forbidden, "subject", "The access of this person was ended. The operator of the installation lets them in again: overread person add.")
	case elsewhere:
		return fault.At(fault.Forbidden, "reader", "This reader reads at another hospital too, and who signs in as them is its business as well. The operator of the installation says it: overread person add.")
	case len(who.Others) > 0:
		return fault.At(fault.Forbidden, "reader", "Somebody signs in as this reader already, and two would sign by one name. If it is one human with two accounts, the operator says so: overread person add.")
	}
	return nil
}

func either(id *uuid.UUID) []uuid.UUID {
	if id == nil {
		return nil
	}
	return []uuid.UUID{*id}
}

// link writes it. Sessions as another reader end.
func (k Keeper) link(ctx context.Context, tx pgx.Tx, by By, who *Identity) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO person (person_id, issuer, subject, reader_id, display)
		VALUES (@id, @issuer, @subject, @reader, @display)
		ON CONFLICT (issuer, subject) DO UPDATE SET
			reader_id = excluded.reader_id, ended_at = NULL,
			display = CASE WHEN person.last_login_at IS NULL THEN excluded.display ELSE person.display END -- who has signed in has a name of their own
		RETURNING person_id, display`,
		pgx.NamedArgs{"id": id, "issuer": who.Issuer, "subject": who.Subject, "reader": who.ReaderID, "display": who.Reader}).
		Scan(&who.PersonID, &who.Display)
	if err != nil {
		return err
	}
	if who.before != nil && *who.before != who.ReaderID {
		_, err := tx.Exec(ctx, `
			UPDATE session
			SET ended_at = now(), end_reason = 'operator'
			WHERE person_id = $1 AND ended_at IS NULL`, who.PersonID)
		if err != nil {
			return err
		}
	}
	if by.Person != uuid.Nil { // who belongs to the hospital is listed there
		if _, err := tx.Exec(ctx, `INSERT INTO member (tenant_id, person_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, by.Actor.Tenant, who.PersonID); err != nil {
			return err
		}
	}
	if who.Others, err = AlsoReader(ctx, tx, who.ReaderID, who.PersonID); err != nil {
		return err
	}
	e := by.event(access.PersonSet, who.PersonID.String())
	e.Scopes = "reader " + who.ReaderID.String()
	return k.RecordAtEach(ctx, tx, who.tenants, e)
}

// AlsoReader are the other persons in force who are the same reader, as one who has two
// providers is.
func AlsoReader(ctx context.Context, tx pgx.Tx, reader, person uuid.UUID) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT person_id
		FROM person
		WHERE reader_id = $1 AND person_id <> $2 AND ended_at IS NULL
		ORDER BY person_id`, reader, person)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// Seat is a reader of a tenant, and who signs in as them.
type Seat struct {
	ReaderID uuid.UUID
	Display  string
	Active   bool
	Taken    bool // somebody signs in as this reader
}

// Seats are the readers of a tenant, by name.
func (k Keeper) Seats(ctx context.Context, tenant uuid.UUID) (all []Seat, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT r.reader_id, r.display, r.active,
			       EXISTS (SELECT FROM person p WHERE p.reader_id = r.reader_id AND p.ended_at IS NULL) AS taken
			FROM reader r
			WHERE r.tenant_id = $1
			ORDER BY r.display, r.reader_id`, tenant)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Seat])
		return err
	})
	return all, wrapped("readers", err)
}
