package administration

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Hospital is a tenant as its administrator sees it.
type Hospital struct {
	Name        string
	Display     string
	Since       time.Time // here
	State       string    // active; of others nothing is shown at a page
	StateSince  time.Time
	EHRBase     string `db:"ehr_base"` // of its own FHIR server; "" where none was said
	CreatesByID bool   // a PUT to an id that is not here yet creates it
	Policy      int    // version in force; 0: the defaults
	PolicySetAt *time.Time
	PolicySetBy string
	Zone        string // IANA name of the time zone of its calendar
	Schema      int64  // version of the database's schema
}

// Hospital is the tenant of an id.
func (k Keeper) Hospital(ctx context.Context, tenant uuid.UUID) (h Hospital, err error) {
	err = k.DB.Tenant(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.name, t.display, t.created_at AS since, t.state, t.state_since, coalesce(t.ehr_base, '') AS ehr_base, t.update_create AS creates_by_id,
			       coalesce(p.version, 0) AS policy, p.set_at AS policy_set_at, coalesce(p.set_by, '') AS policy_set_by,
			       coalesce(coalesce(p.document, t.policy) #>> '{calendar,zone}', 'UTC') AS zone, overread_schema_version() AS schema
			FROM tenant t
			LEFT JOIN tenant_policy p ON p.tenant_id = t.tenant_id
			WHERE t.tenant_id = overread_tenant()
			ORDER BY p.version DESC
			LIMIT 1`)
		if err != nil {
			return err
		}
		h, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Hospital])
		return err
	})
	if err != nil {
		return Hospital{}, fmt.Errorf("tenant: %w", err)
	}
	return h, nil
}
