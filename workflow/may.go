package workflow

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// EventsFor are the events that the table of transitions has for a role in a state.
// Guards are not asked: what is here may still be refused, what is not never happens.
func EventsFor(state State, role access.Role) map[string]bool {
	may := map[string]bool{}
	for _, row := range Transitions {
		if slices.Contains(row.From, state) && slices.Contains(row.By, role) {
			may[string(row.Event)] = true
		}
	}
	return may
}

// LedBy tells whether somebody takes the case through to its signature: its reader, or
// the third reader who has decided between two.
func (c *Case) LedBy(who uuid.UUID) bool { return c.lead() != nil && *c.lead() == who }

// DecidedBy tells whether somebody is the third reader of the case.
func (c *Case) DecidedBy(who uuid.UUID) bool {
	return c.AdjudicatorID != nil && *c.AdjudicatorID == who
}

// GradedByTx tells whether the last grade of a case is somebody's. What it says is for
// the role of quality alone.
func GradedByTx(ctx context.Context, tx pgx.Tx, caseID, who uuid.UUID) (bool, error) {
	var is bool
	err := tx.QueryRow(ctx, `
		SELECT coalesce((SELECT graded_by = @who
		                 FROM grade
		                 WHERE case_id = @case
		                 ORDER BY grade_no DESC
		                 LIMIT 1), false)`, pgx.NamedArgs{"case": caseID, "who": who}).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("graded: %w", err)
	}
	return is, nil
}
