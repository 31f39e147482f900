package workflow

import (
	"context"
	"errors"
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

// LastGradeTx is the grade in force, nil before the first. What it says is for the role
// of quality, for who gave it, and for the third reader who decides after it.
func LastGradeTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (*GivenGrade, error) {
	g, err := lastGradeTx(ctx, tx, caseID)
	if errors.Is(err, errNoGrade) {
		return nil, nil
	}
	return &g, err
}
