package workflow

import (
	"context"
	"fmt"
	"slices"
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
	OpenCases      int        `json:"-"` // accepted and not signed yet

	Identifiers    []string  `json:"identifiers,omitempty"` // system|value, e.g. http://hl7.org/fhir/sid/us-npi|1234567893
	Groups         []string  `json:"groups,omitempty"`      // Organization/{id} here, or system|value
	Subspecialties []string  `json:"subspecialties"`        // of matching.go; the first is the main one
	Modalities     []string  `json:"modalities,omitempty"`  // DICOM codes; none: every modality
	Ages           *Ages     `json:"ages,omitempty"`        // nil: every age
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
	Mail           Address   `json:"mail,omitempty"` // where escalations go
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
}

// Shift is when a reader works, by the clock of the reader's zone; one that
// ends before it begins goes on to the next day.
type Shift struct {
	Days []string `json:"days"` // English names in lower case
	From string   `json:"from"` // 15:04
	To   string   `json:"to"`
}

// Absence is from one day to another, both included.
type Absence struct {
	From Date `json:"from"`
	To   Date `json:"to"`
}

// needsCosign: a supervisor must sign what this reader has written.
func (r Reader) needsCosign() bool { return r.Trainee || r.Locum }

// names are all the ways in which a report may call this reader.
func (r Reader) names() []string {
	return append([]string{"Practitioner/" + r.PractitionerID}, r.Identifiers...)
}

// licence says what is wrong with the reader's licence for a jurisdiction on a
// day, "" when it is valid.
func (r Reader) licence(jurisdiction string, on Date) string {
	state := "no licence for " + jurisdiction
	for _, l := range r.Licences {
		switch {
		case !strings.EqualFold(l.Jurisdiction, jurisdiction):
		case l.ValidFrom != "" && on < l.ValidFrom:
			state = fmt.Sprintf("licence for %s begins %s", jurisdiction, l.ValidFrom)
		case l.ValidTo != "" && on > l.ValidTo:
			state = fmt.Sprintf("licence for %s expired %s", jurisdiction, l.ValidTo)
		default:
			return ""
		}
	}
	return state
}

// local is a moment in the reader's time zone.
func (r Reader) local(at time.Time) time.Time { return at.In(zone(r.Zone)) }

// away says why the reader is not at work, "" when at work.
func (r Reader) away(at time.Time) string {
	at = r.local(at)
	today := DateOf(at)
	for _, a := range r.Absences {
		if a.From <= today && today <= a.To {
			return "absent until " + string(a.To)
		}
	}
	if len(r.Shifts) > 0 && !slices.ContainsFunc(r.Shifts, func(s Shift) bool { return s.covers(at) }) {
		return "not on shift"
	}
	return ""
}

func (s Shift) covers(at time.Time) bool {
	clock := at.Format("15:04")
	on := func(t time.Time) bool { return slices.Contains(s.Days, strings.ToLower(t.Weekday().String())) }
	if s.From <= s.To {
		return on(at) && s.From <= clock && clock < s.To
	}
	return on(at) && s.From <= clock || on(at.AddDate(0, 0, -1)) && clock < s.To
}

// ReadersTx returns the active readers of the transaction's tenant with their
// load.
func ReadersTx(ctx context.Context, tx pgx.Tx) ([]Reader, error) {
	return queryReaders(ctx, tx, nil)
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
		SELECT r.reader_id, r.practitioner_id, r.display, r.last_offered_at, r.credential,
		       (SELECT count(*)
		        FROM case_file c
		        WHERE c.tenant_id = r.tenant_id AND c.reader_id = r.reader_id AND c.state = ANY(@at_work)) AS open_cases
		FROM reader r
		WHERE r.active AND (@id::uuid IS NULL OR r.reader_id = @id)
		ORDER BY r.reader_id`,
		pgx.NamedArgs{"id": id, "at_work": atWork})
	if err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Reader, error) {
		var r Reader
		var id uuid.UUID
		var practitioner, display string
		var offered *time.Time
		var open int
		if err := row.Scan(&id, &practitioner, &display, &offered, &r, &open); err != nil {
			return Reader{}, fmt.Errorf("readers: %w", err)
		}
		r.ID, r.PractitionerID, r.Display, r.LastOffered, r.OpenCases = id, practitioner, display, offered, open
		return r, nil
	})
}
