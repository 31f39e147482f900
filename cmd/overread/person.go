package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/pg"
)

type personCmd struct {
	Add  personAddCmd  `cmd:"" help:"Say which reader somebody is who signs in by an identity provider."`
	List personListCmd `cmd:"" help:"List the persons who have signed in, or may as readers."`
	End  personEndCmd  `cmd:"" help:"End a person's access: their sessions and, where they are a reader, all tokens of that reader end at once, and they do not come in again. A token of another role is nobody's by name: end it with overread token revoke."`
}

type personAddCmd struct {
	Database databaseFlags `embed:""`
	Provider string        `arg:"" help:"Short name of the identity provider."`
	Subject  string        `arg:"" help:"What the provider calls the person: the sub of its ID tokens."`
	Reader   string        `name:"reader" required:"" placeholder:"UUID" help:"The reader's id, as overread reader add prints it. It is the same at every tenant."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// personRow is a person as --json prints it.
type personRow struct {
	PersonID  uuid.UUID   `json:"personId"`
	Issuer    string      `json:"issuer"`
	Subject   string      `json:"subject"`
	ReaderID  *uuid.UUID  `json:"readerId,omitempty"`
	Display   string      `json:"display"`
	LastLogin *time.Time  `json:"lastLogin,omitempty"`
	EndedAt   *time.Time  `json:"endedAt,omitempty"`
	Others    []uuid.UUID `json:"alsoThisReader,omitempty" db:"-"` // of one who was added: who else is that reader
}

func (c personAddCmd) Run(ctx context.Context, t terminal) error {
	reader, err := uuid.Parse(c.Reader)
	if err != nil {
		return fmt.Errorf("--reader: %q is no UUID", c.Reader)
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	row := personRow{Subject: c.Subject, ReaderID: &reader}
	if err := addPerson(ctx, db, c.Provider, &row); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, row)
	}
	t.printf("person %s is reader %s (%s)\n", row.Display, reader, row.PersonID)
	for _, other := range row.Others {
		t.printf("that reader is also person %s: unless it is the same human with another account, end one of them (overread person end)\n", other)
	}
	return nil
}

// addPerson links a provider's subject to a reader, or changes to whom, and lets
// in again who was ended. It refuses a reader whom no tenant has credentialed.
func addPerson(ctx context.Context, db *pg.DB, provider string, row *personRow) error {
	who, err := office(db).LinkReader(ctx, operatorOfAll(), provider, row.Subject, *row.ReaderID)
	if err != nil {
		return byFlag(err, map[string]string{"provider": "PROVIDER", "subject": "SUBJECT", "reader": "--reader"})
	}
	row.PersonID, row.Issuer, row.Subject, row.Display, row.Others = who.PersonID, who.Issuer, who.Subject, who.Display, who.Others
	return nil
}

type personListCmd struct {
	Database databaseFlags `embed:""`
	JSON     bool          `name:"json" help:"Print JSON."`
}

func (c personListCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var found []personRow
	err = db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT person_id, issuer, subject, reader_id, display, last_login_at AS last_login, ended_at
			FROM person
			ORDER BY display, person_id`)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByName[personRow])
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, append([]personRow{}, found...))
	}
	for _, row := range found {
		who, seen := "no reader", "never signed in"
		if row.ReaderID != nil {
			who = "reader " + row.ReaderID.String()
		}
		if row.LastLogin != nil {
			seen = "last signed in " + row.LastLogin.UTC().Format(time.RFC3339)
		}
		if row.EndedAt != nil {
			seen = "ended " + row.EndedAt.UTC().Format(time.RFC3339)
		}
		t.printf("%s  %s  %s at %s  %s  %s\n", row.PersonID, row.Display, row.Subject, row.Issuer, who, seen)
	}
	return nil
}

type personEndCmd struct {
	Database databaseFlags `embed:""`
	Person   string        `arg:"" placeholder:"UUID" help:"The person's id, as overread person list prints it."`
}

// Run ends at once: the next request of one of their sessions leads to the
// sign-in page.
func (c personEndCmd) Run(ctx context.Context, t terminal) error {
	id, err := personID(c.Person)
	if err != nil {
		return err
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var over ending
	err = db.System(ctx, func(tx pgx.Tx) error {
		over, err = endPerson(ctx, db, tx, id)
		return err
	})
	if err != nil {
		return err
	}
	t.printf("ended: %s, sessions: %d, tokens: %d\n", id, over.sessions, over.tokens)
	for _, other := range over.others {
		t.printf("the same reader still signs in as %s; to end that too: overread person end %s\n", other, other)
	}
	return nil
}

// ending is what ended with a person.
type ending struct {
	sessions, tokens int64
	others           []uuid.UUID // persons who are the same reader by another provider, and go on
}

// endPerson ends somebody, with their sessions and the tokens of the reader who
// they are.
func endPerson(ctx context.Context, db *pg.DB, tx pgx.Tx, id uuid.UUID) (over ending, err error) {
	var reader *uuid.UUID
	err = tx.QueryRow(ctx, `
		UPDATE person
		SET ended_at = now()
		WHERE person_id = $1 AND ended_at IS NULL
		RETURNING reader_id`, id).Scan(&reader)
	if errors.Is(err, pgx.ErrNoRows) {
		return over, fmt.Errorf("PERSON: %s is nobody whose access is in force (overread person list)", id)
	}
	if err != nil {
		return over, err
	}
	tag, err := tx.Exec(ctx, `
		UPDATE session
		SET ended_at = now(), end_reason = 'operator'
		WHERE person_id = $1 AND ended_at IS NULL`, id)
	if err != nil {
		return over, err
	}
	over.sessions = tag.RowsAffected()
	if err := tellPersonEnded(ctx, db, tx, id); err != nil || reader == nil {
		return over, err
	}
	if over.tokens, err = revokeEverywhere(ctx, db, tx, *reader); err != nil {
		return over, err
	}
	over.others, err = administration.AlsoReader(ctx, tx, *reader, id)
	return over, err
}

// revokeEverywhere revokes the tokens of a reader at every tenant, and tells each
// of these. It counts a token that is good at two of them twice.
func revokeEverywhere(ctx context.Context, db *pg.DB, tx pgx.Tx, reader uuid.UUID) (revoked int64, err error) {
	rows, err := tx.Query(ctx, `
		UPDATE token
		SET revoked_at = now()
		WHERE actor_id = $1 AND revoked_at IS NULL
		RETURNING tenant_id`, reader)
	if err != nil {
		return 0, err
	}
	at, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return 0, err
	}
	return int64(len(at)), recordAtEach(ctx, db, tx, at, access.Event{Kind: access.KeysRevoked, Object: reader.String()})
}

// tellPersonEnded records it at each tenant where the person had a session, or is
// a reader.
func tellPersonEnded(ctx context.Context, db *pg.DB, tx pgx.Tx, id uuid.UUID) error {
	rows, err := tx.Query(ctx, `
		SELECT a.tenant_id
		FROM session_actor a
		JOIN session s ON s.session_id = a.session_id
		WHERE s.person_id = @id
		UNION
		SELECT r.tenant_id
		FROM reader r
		JOIN person p ON p.reader_id = r.reader_id
		WHERE p.person_id = @id`, pgx.NamedArgs{"id": id})
	if err != nil {
		return err
	}
	tenants, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return err
	}
	return recordAtEach(ctx, db, tx, tenants, access.Event{Kind: access.PersonEnded, Object: id.String()})
}
