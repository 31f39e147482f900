package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Who was told of something takes note of it: then nobody further is told, but of an
// emergent or urgent finding. Of that the next one is told until it is acknowledged.

var escalationToHeed = Guard{"escalationToHeed", "somebody was told and nobody has taken note yet: a reader only of what they were told themselves",
	func(ctx context.Context, t *turn) error {
		open, mine, err := t.ledger.openEscalations(ctx, t.c.CaseID, t.actor.ID)
		switch {
		case err != nil:
			return err
		case open == 0:
			return refuse("nothing is escalated of which note could be taken")
		case reads(t.actor.Role) && mine == 0:
			return forbid("what is escalated was told to somebody else")
		}
		return nil
	}}

var heedEscalation = Effect{"heedEscalation", "note is taken of what was told: nobody further is told, but of an emergent or urgent finding, of which the next one is told until it is acknowledged. A reader takes note of the chains in which they were told; coordinators and directors take note of all",
	func(ctx context.Context, t *turn) error {
		return t.ledger.heedEscalations(ctx, t.c.CaseID, t.actor.ID, reads(t.actor.Role), t.now)
	}}

// openEscalations is how many links nobody has taken note of, and how many of them
// were told to this person.
func openEscalations(ctx context.Context, tx pgx.Tx, caseID, person uuid.UUID) (open, mine int, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE tell = 'reader' AND person_id = $2)
		FROM escalation
		WHERE case_id = $1 AND heeded_at IS NULL AND ended_at IS NULL`, caseID, person).Scan(&open, &mine)
	if err != nil {
		return 0, 0, fmt.Errorf("open escalations: %w", err)
	}
	return open, mine, nil
}

// heedEscalations notes that a person has taken note of every chain, or only of
// those in which they were told as the reader. Of a pressing finding a note ends nothing:
// the next one is told, until the clinician has acknowledged it; and that of a coordinator
// or director is none of it where only the reader was told.
func heedEscalations(ctx context.Context, tx pgx.Tx, caseID, person uuid.UUID, onlyOwn bool, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE escalation e
		SET heeded_at = coalesce(heeded_at, @now), heeded_by = coalesce(heeded_by, @actor),
		    next_at = CASE WHEN split_part(clock, '/', 1) = ANY (@pressing) THEN next_at END
		WHERE e.case_id = @case AND e.ended_at IS NULL AND (e.heeded_at IS NULL OR e.next_at IS NOT NULL AND NOT @own)
		  AND (NOT @own OR EXISTS (
			SELECT FROM escalation mine
			WHERE mine.tenant_id = e.tenant_id AND mine.case_id = e.case_id AND mine.clock = e.clock
			  AND mine.clock_started_at = e.clock_started_at AND mine.stage = e.stage AND mine.rule = e.rule
			  AND mine.tell = 'reader' AND mine.person_id = @actor))
		  AND (@own OR split_part(clock, '/', 1) <> ALL (@pressing) OR EXISTS (
			SELECT FROM escalation office
			WHERE office.tenant_id = e.tenant_id AND office.case_id = e.case_id AND office.clock = e.clock
			  AND office.clock_started_at = e.clock_started_at AND office.tell <> 'reader'))`,
		pgx.NamedArgs{"case": caseID, "now": now, "actor": person, "own": onlyOwn, "pressing": pressingClocks})
	if err != nil {
		return fmt.Errorf("heed escalations: %w", err)
	}
	return nil
}
