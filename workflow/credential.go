package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Operator is the source of what the operator's command says of a reader.
const Operator = "operator"

// Statement is what one source says of a reader's credentials: the operator's
// command says all, a Practitioner who they are and what licences they have, a
// PractitionerRole what they may read, when they work, and what they may be.
type Statement struct {
	Source string  // Operator, Practitioner/{id} or PractitionerRole/{id}
	Says   *Reader // nil: the source says nothing any more
	By     string  // who said it, for whoever asks later
}

// Said is a statement as it was recorded.
type Said struct {
	Seq      int
	Source   string
	SaidAt   time.Time
	SaidBy   string
	Document *Reader
}

// StateTx records a statement about the reader who is a Practitioner, and makes
// their credentials what all statements in force say together: eligibility follows
// from then on. Where the Practitioner is no reader yet, a statement of a
// PractitionerRole makes them one of this name; known is false for every other,
// and nothing is written.
//
// The caller's transaction is the tenant's own (not the system's).
func StateTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, practitionerID, display string, s Statement, now time.Time) (reader uuid.UUID, known bool, err error) {
	// Two roles of a new reader that come at once make one reader.
	if _, err := tx.Exec(ctx, `SELECT 1 FROM resource WHERE type = 'Practitioner' AND id = $1 FOR UPDATE`, practitionerID); err != nil {
		return reader, false, fmt.Errorf("practitioner of a reader: %w", err)
	}
	var before Reader
	err = tx.QueryRow(ctx, `
		SELECT reader_id, credential
		FROM reader
		WHERE practitioner_id = $1
		ORDER BY active DESC, reader_id
		LIMIT 1
		FOR UPDATE`, practitionerID).Scan(&reader, &before)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		if s.Says == nil || !strings.HasPrefix(s.Source, "PractitionerRole/") {
			return reader, false, nil
		}
		reader = newID()
		_, err = tx.Exec(ctx, `
			INSERT INTO reader (tenant_id, reader_id, practitioner_id, display, credential)
			VALUES (@tenant, @reader, @practitioner, @display, '{}')`,
			pgx.NamedArgs{"tenant": tenant, "reader": reader, "practitioner": practitionerID, "display": display})
		if err != nil {
			return reader, false, fmt.Errorf("insert reader: %w", err)
		}
	case err != nil:
		return reader, false, fmt.Errorf("reader: %w", err)
	default:
		if err := adoptCredential(ctx, tx, tenant, reader, before, now); err != nil {
			return reader, false, err
		}
	}
	if err := SayTx(ctx, tx, tenant, reader, s, now); err != nil {
		return reader, false, err
	}
	return reader, true, unite(ctx, tx, reader, display)
}

// adoptCredential records what a reader's credentials were before there were
// statements, as the operator's.
func adoptCredential(ctx context.Context, tx pgx.Tx, tenant, reader uuid.UUID, before Reader, now time.Time) error {
	all, err := StatementsTx(ctx, tx, reader)
	if err != nil || len(all) > 0 {
		return err
	}
	return SayTx(ctx, tx, tenant, reader, Statement{Operator, &before, "as it was before statements were kept"}, now)
}

// SayTx records a statement, and changes nothing else: for StateTx, and for the
// operator's command, whose word is the whole credential.
func SayTx(ctx context.Context, tx pgx.Tx, tenant, reader uuid.UUID, s Statement, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO reader_credential (tenant_id, reader_id, seq, source, said_at, said_by, document)
		SELECT @tenant, @reader, coalesce(max(seq), 0) + 1, @source, @now, @by, @document
		FROM reader_credential
		WHERE tenant_id = @tenant AND reader_id = @reader`,
		pgx.NamedArgs{"tenant": tenant, "reader": reader, "source": s.Source, "now": now, "by": s.By, "document": s.Says})
	if err != nil {
		return fmt.Errorf("state a credential: %w", err)
	}
	return nil
}

// StatementsTx is all that was said of a reader, the oldest first.
func StatementsTx(ctx context.Context, tx pgx.Tx, reader uuid.UUID) ([]Said, error) {
	rows, err := tx.Query(ctx, `
		SELECT seq, source, said_at, said_by, document
		FROM reader_credential
		WHERE reader_id = $1
		ORDER BY seq`, reader)
	if err != nil {
		return nil, fmt.Errorf("statements of a credential: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Said])
}

// unite writes what the statements in force say together, and has the cases looked
// at again that nobody could read.
func unite(ctx context.Context, tx pgx.Tx, reader uuid.UUID, display string) error {
	said, err := StatementsTx(ctx, tx, reader)
	if err != nil {
		return err
	}
	together, active := together(said)
	_, err = tx.Exec(ctx, `
		UPDATE reader
		SET credential = @credential, active = @active, display = coalesce(nullif(@display, ''), display)
		WHERE reader_id = @reader`,
		pgx.NamedArgs{"reader": reader, "credential": together, "active": active, "display": display})
	if err != nil {
		return fmt.Errorf("credential: %w", err)
	}
	_, err = tx.Exec(ctx, `
		UPDATE agenda
		SET due_at = now()
		WHERE kind = @kind AND (tenant_id, case_id) IN (
			SELECT tenant_id, case_id
			FROM agenda
			WHERE kind = @kind AND due_at < 'infinity'
			FOR UPDATE SKIP LOCKED)`, pgx.NamedArgs{"kind": matchAgain})
	if err != nil {
		return fmt.Errorf("look at the pool again: %w", err)
	}
	return nil
}

// together is what statements say, the oldest first. The last of each source is
// in force. The operator's says everything anew: what was said before it is void.
// A Practitioner replaces the licences, where it names any, and adds identifiers.
// PractitionerRoles replace what may be read and when; what forbids (conflicts,
// absences, groups) adds up. active is false once every role of a reader who had
// some has ended, and while the Practitioner is not active.
func together(said []Said) (r Reader, active bool) {
	var roles []Said // in force, in the order of their sources' first words
	hadRole := false
	var practitioner *Reader
	for _, s := range said {
		switch source, _, _ := strings.Cut(s.Source, "/"); source {
		case Operator:
			r, roles, practitioner, hadRole = Reader{}, nil, nil, false
			if s.Document != nil {
				r = *s.Document
			}
		case "Practitioner":
			practitioner = s.Document
		default:
			hadRole = true
			i := slices.IndexFunc(roles, func(have Said) bool { return have.Source == s.Source })
			switch {
			case i < 0 && s.Document != nil:
				roles = append(roles, s)
			case i >= 0 && s.Document != nil:
				roles[i] = s
			case i >= 0:
				roles = slices.Delete(roles, i, i+1)
			}
		}
	}
	if practitioner != nil {
		r.Identifiers = united(r.Identifiers, practitioner.Identifiers)
		if len(practitioner.Licences) > 0 {
			r.Licences = practitioner.Licences
		}
	}
	if hadRole {
		r.Subspecialties, r.Modalities, r.Ages, r.Privileges = nil, nil, nil, nil
		r.Shifts, r.Capacity, r.ValidFrom, r.ValidTo = nil, 0, "", ""
		r.Trainee, r.Locum, r.MayAdjudicate, r.MaySupervise = false, false, false, false
	}
	for _, role := range roles {
		r.take(*role.Document)
	}
	return r, (!hadRole || len(roles) > 0) && (practitioner == nil || !practitioner.Inactive)
}

// take adds what one PractitionerRole says.
func (r *Reader) take(role Reader) {
	r.Privileges = append(r.Privileges, role.Privileges...)
	r.Shifts = append(r.Shifts, role.Shifts...)
	for _, a := range role.Absences {
		if !slices.Contains(r.Absences, a) {
			r.Absences = append(r.Absences, a)
		}
	}
	r.Conflicts, r.Groups = united(r.Conflicts, role.Conflicts), united(r.Groups, role.Groups)
	if role.Capacity > 0 && (r.Capacity == 0 || role.Capacity < r.Capacity) {
		r.Capacity = role.Capacity
	}
	for _, said := range []struct {
		to   *string
		text string
	}{{&r.Zone, role.Zone}, {&r.ReadsFrom, role.ReadsFrom}} {
		if said.text != "" {
			*said.to = said.text
		}
	}
	if role.Mail != "" {
		r.Mail = role.Mail
	}
}

func united(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
