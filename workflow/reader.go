package workflow

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Reader is a radiologist as a tenant has credentialed them: a row of reader.
// The fields with JSON names are its credential column.
type Reader struct {
	ID             uuid.UUID  `json:"-"`
	PractitionerID string     `json:"-"` // Practitioner resource here
	Display        string     `json:"-"`
	LastOffered    *time.Time `json:"-"`
	OpenCases      int        `json:"-"` // accepted and not signed yet, or offered: what capacity counts
	Queue          float64    `json:"-"` // relative value (value.go) of the open cases
	Done           float64    `json:"-"` // relative value signed in the days that fairness looks back
	Hours          float64    `json:"-"` // at work in those days

	Identifiers    []string  `json:"identifiers,omitempty"` // system|value, e.g. http://hl7.org/fhir/sid/us-npi|1234567893
	Groups         []string  `json:"groups,omitempty"`      // Organization/{id} here, or system|value
	Subspecialties []string  `json:"subspecialties"`        // of matching.go; the first is the main one. They are without dates: those with are Privileges
	Modalities     []string  `json:"modalities,omitempty"`  // DICOM codes; none: every modality
	Ages           *Ages     `json:"ages,omitempty"`        // nil: every age
	Privileges     []Scope   `json:"privileges,omitempty"`  // what else they may read, and from when to when
	Licences       []Licence `json:"licences"`
	ReadsFrom      string    `json:"readsFrom,omitempty"` // jurisdiction where the reader sits, e.g. US-NY
	ValidFrom      Date      `json:"validFrom,omitempty"` // credentialed here from
	ValidTo        Date      `json:"validTo,omitempty"`   // and to, both days included
	Capacity       int       `json:"capacity,omitempty"`  // open cases at once; 0: no limit
	Conflicts      []string  `json:"conflicts,omitempty"` // declared: Organization/{id}, Practitioner/{id} or system|value
	Zone           string    `json:"zone,omitempty"`      // of shifts and absences; "" is UTC
	Shifts         []Shift   `json:"shifts,omitempty"`    // none: always
	Absences       []Absence `json:"absences,omitempty"`
	Trainee        bool      `json:"trainee,omitempty"` // a supervisor must sign
	Locum          bool      `json:"locum,omitempty"`   // a supervisor must sign
	MayAdjudicate  bool      `json:"mayAdjudicate,omitempty"`
	MaySupervise   bool      `json:"maySupervise,omitempty"`
	Mail           Address   `json:"mail,omitempty"`     // where escalations go
	Inactive       bool      `json:"inactive,omitempty"` // of a statement: the Practitioner is not active
}

// Ages is a range of years, both included; To 0 is without end.
type Ages struct {
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
}

// Licence lets a reader read for a jurisdiction, on both days included; ValidTo
// "" is without end.
type Licence struct {
	Jurisdiction string `json:"jurisdiction"`
	ValidFrom    Date   `json:"validFrom,omitempty"`
	ValidTo      Date   `json:"validTo,omitempty"`
	Number       string `json:"number,omitempty"`
	Issuer       string `json:"issuer,omitempty"` // who gave it, in words or as Organization/{id}
}

// names are all the ways in which a report may call this reader.
func (r Reader) names() []string {
	return append([]string{"Practitioner/" + r.PractitionerID}, r.Identifiers...)
}

// licence says what is wrong with the reader's licence for a jurisdiction on a
// day, "" when it is valid.
func (r Reader) licence(jurisdiction string, on Date) string {
	state := Phrase("no licence for %s", jurisdiction)
	for _, l := range r.Licences {
		switch {
		case !strings.EqualFold(l.Jurisdiction, jurisdiction):
		case l.ValidFrom != "" && on < l.ValidFrom:
			state = Phrase("licence for %s begins %s", jurisdiction, l.ValidFrom)
		case l.ValidTo != "" && on > l.ValidTo:
			state = Phrase("licence for %s expired %s", jurisdiction, l.ValidTo)
		default:
			return ""
		}
	}
	return state
}

// ReadersTx returns the active readers of the transaction's tenant with their
// load, and what they have done in the days before that a policy's fairness looks
// back over. All of it is counted at this tenant alone (docs/matching.md).
func ReadersTx(ctx context.Context, tx pgx.Tx, fairDays int) ([]Reader, error) {
	readers, err := queryReaders(ctx, tx, nil)
	if err != nil {
		return nil, err
	}
	return readers, countWork(ctx, tx, readers, fairDays)
}

// ReaderByIDTx returns one active reader; pgx.ErrNoRows when there is none.
func ReaderByIDTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Reader, error) {
	readers, err := queryReaders(ctx, tx, &id)
	if err == nil && len(readers) == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return Reader{}, fmt.Errorf("reader: %w", err)
	}
	return readers[0], nil
}

func queryReaders(ctx context.Context, tx pgx.Tx, id *uuid.UUID) ([]Reader, error) {
	rows, err := tx.Query(ctx, `
		SELECT r.reader_id, r.practitioner_id, r.display, r.last_offered_at, r.credential
		FROM reader r
		WHERE r.active AND (@id::uuid IS NULL OR r.reader_id = @id)
		ORDER BY r.reader_id`,
		pgx.NamedArgs{"id": id})
	if err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Reader, error) {
		var r Reader
		var id uuid.UUID
		var practitioner, display string
		var offered *time.Time
		if err := row.Scan(&id, &practitioner, &display, &offered, &r); err != nil {
			return Reader{}, fmt.Errorf("readers: %w", err)
		}
		r.ID, r.PractitionerID, r.Display, r.LastOffered = id, practitioner, display, offered
		return r, nil
	})
}

// countWork fills in what waits for the readers, and what they have done since.
func countWork(ctx context.Context, tx pgx.Tx, readers []Reader, fairDays int) error {
	rows, err := tx.Query(ctx, `
		SELECT who, modality, sum(open)::int AS open, sum(done)::int AS done
		FROM (
			SELECT reader_id AS who, coalesce(exam->>'modality', '') AS modality, 1 AS open, 0 AS done
			FROM case_file
			WHERE state NOT IN ('closed', 'cancelled', 'rejected', 'failed') -- the index case_by_reader has no more
			  AND state = ANY (@at_work) AND reader_id IS NOT NULL
			UNION ALL
			SELECT offered_to, coalesce(exam->>'modality', ''), 1, 0
			FROM case_file
			WHERE state = 'offered'
			UNION ALL
			SELECT reader_id, coalesce(exam->>'modality', ''), 0, 1
			FROM case_file
			WHERE final_at > now() - make_interval(days => @days) AND reader_id IS NOT NULL) AS work
		GROUP BY who, modality`,
		pgx.NamedArgs{"at_work": atWork, "days": fairDays})
	if err != nil {
		return fmt.Errorf("readers' work: %w", err)
	}
	at := map[uuid.UUID]*Reader{}
	for i := range readers {
		at[readers[i].ID] = &readers[i]
	}
	var who uuid.UUID
	var modality string
	var open, done int
	_, err = pgx.ForEachRow(rows, []any{&who, &modality, &open, &done}, func() error {
		if r := at[who]; r != nil {
			value := Exam{Modality: modality}.RelativeValue()
			r.OpenCases += open
			r.Queue += float64(open) * value
			r.Done += float64(done) * value
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("readers' work: %w", err)
	}
	var now time.Time
	if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return fmt.Errorf("readers' work: %w", err)
	}
	for i := range readers {
		readers[i].Hours = readers[i].hoursAtWork(now.AddDate(0, 0, -fairDays), now)
	}
	return nil
}
