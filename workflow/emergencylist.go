package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// mostAnHour is how many records one person opens at a tenant within an hour, so
// that no row of harmless ones hides the one that matters.
const mostAnHour = 10

// notTooManyTx refuses (Throttled) a person who has opened too many of late.
func notTooManyTx(ctx context.Context, tx pgx.Tx, person uuid.UUID) error {
	var had int
	err := tx.QueryRow(ctx, `
		SELECT count(*)
		FROM break_glass
		WHERE person_id = $1 AND opened_at > now() - interval '1 hour'`, person).Scan(&had)
	if err != nil {
		return fmt.Errorf("count who opened records: %w", err)
	}
	if had >= mostAnHour {
		return fault.New(fault.Throttled, "you have opened %d records here within an hour, which is the most: call the coordinator on duty at this hospital, from whom nothing is withheld, or a colleague who can open this one", had)
	}
	return nil
}

// EmergencyWindow says which of the records that were opened are wanted.
type EmergencyWindow struct {
	Within time.Duration // the last so long; 0: all
	Before uuid.UUID     // those before this one; uuid.Nil: from the last on
	Most   int           // at most so many; 0: all
}

// EmergencyList is some of the records that were opened, and how many more there
// are of those that were wanted.
type EmergencyList struct {
	Emergencies []Emergency
	More        int
}

// EmergenciesTx are the records that were opened at the tenant, the last first.
func EmergenciesTx(ctx context.Context, tx pgx.Tx, w EmergencyWindow) (list EmergencyList, err error) {
	rows, err := tx.Query(ctx, `
		SELECT break_id, person_id, actor_id, role, display, patient_id, reason, opened_at, till, count(*) OVER () AS total
		FROM break_glass
		WHERE (@within::float8 = 0 OR opened_at > now() - @within * interval '1 second')
		  AND (@before::uuid IS NULL OR (opened_at, break_id) < (SELECT b.opened_at, b.break_id FROM break_glass b WHERE b.break_id = @before))
		ORDER BY opened_at DESC, break_id DESC
		LIMIT nullif(greatest(@most::int, 0), 0)`,
		pgx.NamedArgs{"within": w.Within.Seconds(), "before": uuid.NullUUID{UUID: w.Before, Valid: w.Before != uuid.Nil}, "most": w.Most})
	if err != nil {
		return list, fmt.Errorf("records opened in an emergency: %w", err)
	}
	type counted struct {
		Emergency
		Total int
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[counted])
	if err != nil {
		return list, fmt.Errorf("records opened in an emergency: %w", err)
	}
	for _, c := range found {
		list.Emergencies = append(list.Emergencies, c.Emergency)
		list.More = c.Total - len(found)
	}
	return list, nil
}
