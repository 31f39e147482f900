package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// In an emergency a clinician may open the record of one patient (break-glass):
// for a while nothing of it is withheld from them by blinding. It is never quiet:
// the act is a row that nobody can change, with its reason; each case that they
// thereby see through is noted as unveiled (table case_unveiling), so that no
// statistic takes it for an independent reading; and the coordinators see it.

// EmergencyLasts is how long a record stays open.
const EmergencyLasts = 30 * time.Minute

// A reason has at least so many letters, and not more than a short text has.
const (
	leastReason = 10
	mostReason  = 1000
)

// Clinical are the roles that may open a record in an emergency; as the first of
// those that somebody has they do.
var Clinical = []access.Role{access.Reader, access.Adjudicator, access.Supervisor, access.Coordinator, access.Director}

// Emergency is a record that was opened.
type Emergency struct {
	BreakID   uuid.UUID
	PersonID  uuid.UUID
	ActorID   uuid.UUID
	Role      access.Role
	Display   string
	PatientID string
	Reason    string
	OpenedAt  time.Time
	Till      time.Time
	Unveiled  []Unveiled `db:"-"`
	Running   bool       `db:"-"` // it was open already, and is not opened again
}

// Unveiled is a case of which somebody has seen what blinding withholds.
type Unveiled struct {
	CaseID     uuid.UUID
	TaskID     string
	BeforeLock bool // its opinion was still open
	Own        bool // whoever saw it is the case's reader, or has its offer
}

// MayOpen tells whether the actor's role opens records in an emergency.
func MayOpen(actor access.Actor) bool {
	return slices.Contains(Clinical, actor.Role) && !actor.Limited() && actor.Patient == ""
}

// CheckEmergency says whether an actor may open a record for this reason: a
// fault of kind Forbidden or Value where not. The reason comes back trimmed.
func CheckEmergency(actor access.Actor, reason string) (string, error) {
	if !MayOpen(actor) {
		return "", fault.New(fault.Forbidden, "the role %s opens no record in an emergency", actor.Role)
	}
	reason = strings.Join(strings.Fields(reason), " ")
	letters := 0 // dots say nothing
	for _, r := range reason {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	if letters < leastReason || utf8.RuneCountInString(reason) > mostReason {
		return "", fault.New(fault.Value, "say in %d to %d letters why the record is needed now", leastReason, mostReason)
	}
	return reason, nil
}

// EmergencyTx opens the record of a patient who is known here, and notes what
// that unveils: of the blinded cases of the patient that are not revealed yet,
// all are withheld until now and none afterwards, whoever reads them. A record that
// the person has open is not opened again, and its time does not grow. It refuses
// (Throttled) a person who has opened many within the hour.
func EmergencyTx(ctx context.Context, tx pgx.Tx, actor access.Actor, person uuid.UUID, patient, reason string) (Emergency, error) {
	reason, err := CheckEmergency(actor, reason)
	if err != nil {
		return Emergency{}, err
	}
	// One after the other: two at once would each not see the other's.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('break-glass ' || $1::text, 0))`, person); err != nil {
		return Emergency{}, fmt.Errorf("hold who opens a record: %w", err)
	}
	who := actor.ID // a reader is one in every role: it is their own cases that they see through
	if actor.Reader != uuid.Nil {
		who = actor.Reader
	}
	e, err := runningTx(ctx, tx, person, who, patient)
	if errors.Is(err, pgx.ErrNoRows) {
		e, err = openTx(ctx, tx, Emergency{PersonID: person, ActorID: who, Role: actor.Role, Display: actor.Display, PatientID: patient, Reason: reason})
	}
	if err != nil {
		return Emergency{}, err
	}
	e.Unveiled, err = unveilTx(ctx, tx, e)
	return e, err
}

// runningTx is what the person has open of the patient, pgx.ErrNoRows for nothing.
func runningTx(ctx context.Context, tx pgx.Tx, person, who uuid.UUID, patient string) (Emergency, error) {
	rows, err := tx.Query(ctx, `
		SELECT break_id, person_id, actor_id, role, display, patient_id, reason, opened_at, till
		FROM break_glass
		WHERE person_id = @person AND actor_id = @who AND patient_id = @patient AND till > now()
		ORDER BY till DESC
		LIMIT 1`, pgx.NamedArgs{"person": person, "who": who, "patient": patient})
	if err != nil {
		return Emergency{}, fmt.Errorf("what is open: %w", err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Emergency])
	if err != nil {
		return Emergency{}, fmt.Errorf("what is open: %w", err)
	}
	e.Running = true
	return e, nil
}

func openTx(ctx context.Context, tx pgx.Tx, e Emergency) (Emergency, error) {
	if err := notTooManyTx(ctx, tx, e.PersonID); err != nil {
		return e, err
	}
	var err error
	if e.BreakID, err = uuid.NewV7(); err != nil {
		return e, err
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO break_glass (tenant_id, break_id, person_id, actor_id, role, display, patient_id, reason, till)
		VALUES (overread_tenant(), @id, @person, @actor, @role, @display, @patient, @reason, now() + @lasts * interval '1 second')
		RETURNING opened_at, till`,
		pgx.NamedArgs{"id": e.BreakID, "person": e.PersonID, "actor": e.ActorID, "role": e.Role, "display": e.Display,
			"patient": e.PatientID, "reason": e.Reason, "lasts": EmergencyLasts.Seconds()}).
		Scan(&e.OpenedAt, &e.Till)
	if err != nil {
		return e, fmt.Errorf("open a record: %w", err)
	}
	return e, nil
}

// unveilTx notes the cases that are seen through by it, once each.
func unveilTx(ctx context.Context, tx pgx.Tx, e Emergency) ([]Unveiled, error) {
	rows, err := tx.Query(ctx, `
		WITH seen AS (
			INSERT INTO case_unveiling (tenant_id, case_id, actor_id, break_id, before_lock)
			SELECT tenant_id, case_id, @actor, @id, locked_at IS NULL AND other_reader_id IS DISTINCT FROM @actor -- of two, the first has locked
			FROM case_file
			WHERE patient_id = @patient AND protocol = 'blinded' AND (revealed_at IS NULL AND state = ANY (@open) OR veiled)
			ON CONFLICT DO NOTHING
			RETURNING tenant_id, case_id, before_lock)
		SELECT s.case_id, c.task_id, s.before_lock, @actor IN (c.reader_id, c.other_reader_id, c.offered_to) IS TRUE AS own
		FROM seen s
		JOIN case_file c ON c.tenant_id = s.tenant_id AND c.case_id = s.case_id
		ORDER BY s.case_id`,
		pgx.NamedArgs{"actor": e.ActorID, "id": e.BreakID, "patient": e.PatientID, "open": join(beforeAcceptance, beforeReveal, in(OnHold))})
	if err != nil {
		return nil, fmt.Errorf("note what a record unveils: %w", err)
	}
	unveiled, err := pgx.CollectRows(rows, pgx.RowToStructByName[Unveiled])
	if err != nil {
		return nil, fmt.Errorf("note what a record unveils: %w", err)
	}
	return unveiled, nil
}

// UnveiledTx tells whether the case's reader had seen what blinding withholds, in an
// emergency, before their opinion was sealed: then it is no independent reading.
func UnveiledTx(ctx context.Context, tx pgx.Tx, c Case) (seen bool, err error) {
	if c.Protocol != Blinded || c.lead() == nil {
		return false, nil
	}
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM case_unveiling
			WHERE case_id = @case AND actor_id = @reader AND before_lock)`,
		pgx.NamedArgs{"case": c.CaseID, "reader": *c.lead()}).Scan(&seen)
	if err != nil {
		return false, fmt.Errorf("whether a case was unveiled: %w", err)
	}
	return seen, nil
}

// openedByTx are those who had the record of the case's patient open while the
// case was here: they may have seen what it withholds, and do not read it
// independently.
func openedByTx(ctx context.Context, tx pgx.Tx, cases []*Case) (map[uuid.UUID][]uuid.UUID, error) {
	var ids []uuid.UUID
	var patients []string
	var opened []time.Time
	for _, c := range cases {
		if c.Protocol == Blinded && c.PatientID != nil {
			ids, patients, opened = append(ids, c.CaseID), append(patients, *c.PatientID), append(opened, c.OpenedAt)
		}
	}
	if ids == nil {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT w.of, g.actor_id
		FROM unnest(@ids::uuid[], @patients::text[], @opened::timestamptz[]) AS w (of, patient, opened)
		JOIN break_glass g ON g.patient_id = w.patient AND g.till > w.opened`,
		pgx.NamedArgs{"ids": ids, "patients": patients, "opened": opened})
	if err != nil {
		return nil, fmt.Errorf("who opened the record: %w", err)
	}
	return byCase(rows)
}
