package administration

import (
	"context"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

var (
	// ShortName is what tenants, endpoints and providers are called in addresses and commands.
	ShortName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	// BaseURL is the base of a server, as it is kept.
	BaseURL = regexp.MustCompile(`^https?://[^/]+(/.*)?[^/]$`)
)

// checkShortName refuses a name that is none.
func checkShortName(name string) error {
	if !ShortName.MatchString(name) {
		return fault.At(fault.Value, "name", "Use small letters, digits and hyphens for the short name, at most 63.")
	}
	return nil
}

// NewTenant is a tenant that is added, as `overread tenant create --json` prints it, too.
type NewTenant struct {
	TenantID uuid.UUID               `json:"tenantId"`
	Name     string                  `json:"name"`
	Display  string                  `json:"display"`
	EHRBase  string                  `json:"ehrBase,omitempty"`
	Policy   workflow.PolicyDocument `json:"-"`                // the defaults where it has no text
	OwnIDs   bool                    `json:"ownIds,omitempty"` // a PUT to an unknown id is refused
}

// Check refuses a name that is none, and a base that is no http(s) URL; it fills in what
// was left out.
func (row *NewTenant) Check() (err error) {
	row.Name, row.Display, row.EHRBase = strings.TrimSpace(row.Name), strings.TrimSpace(row.Display), strings.TrimRight(strings.TrimSpace(row.EHRBase), "/")
	if err := checkShortName(row.Name); err != nil {
		return err
	}
	if row.EHRBase != "" && !BaseURL.MatchString(row.EHRBase) {
		return fault.At(fault.Value, "ehr-base", "This is no http or https URL.")
	}
	if row.Display == "" {
		row.Display = row.Name
	}
	if len(row.Display) > longestText {
		return errDisplay()
	}
	if row.Policy.Text == nil {
		row.Policy, err = workflow.ReadPolicy([]byte("{}"))
	}
	return err
}

func errDisplay() error {
	return fault.At(fault.Value, "display", "Give a name for people, in at most 300 letters.")
}

// AddTenant adds a tenant and fills in its id. It refuses a name that is taken.
func (k Keeper) AddTenant(ctx context.Context, by By, row *NewTenant) error {
	err := row.Check()
	if err != nil {
		return err
	}
	if row.TenantID, err = uuid.NewV7(); err != nil {
		return err
	}
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		if err := MustOperateTx(ctx, tx, by); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO tenant (tenant_id, name, display, ehr_base, update_create)
			VALUES (@tenant_id, @name, @display, nullif(@ehr_base, ''), @update_create)`,
			pgx.NamedArgs{"update_create": !row.OwnIDs,
				"tenant_id": row.TenantID, "name": row.Name, "display": row.Display, "ehr_base": row.EHRBase})
		if err != nil {
			return err
		}
		if _, _, err := workflow.SetPolicyTx(ctx, tx, row.TenantID, row.Policy, by.Actor.Display, "with the tenant"); err != nil {
			return err
		}
		return k.Record(ctx, tx, by.For(row.TenantID).event(access.TenantAdded, row.Name))
	})
	if pg.Constraint(err) == "tenant_name_key" {
		return fault.At(fault.Conflict, "name", "A hospital of this short name exists already.")
	}
	return wrapped("add a tenant", err)
}

// TenantSettings are what is changed of a tenant; what is nil stays as it is.
type TenantSettings struct {
	Display     *string
	CreatesByID *bool // a PUT to an id that is not here yet creates it
}

// SetTenant changes settings of the tenant of by, for its administrator or the operator.
func (k Keeper) SetTenant(ctx context.Context, by By, to TenantSettings) error {
	if to.Display != nil {
		text := strings.TrimSpace(*to.Display)
		if to.Display = &text; text == "" || len(text) > longestText {
			return errDisplay()
		}
	}
	err := k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		var name string
		err := tx.QueryRow(ctx, `
			UPDATE tenant
			SET display = coalesce(@display, display), update_create = coalesce(@update_create, update_create)
			WHERE tenant_id = @tenant
			RETURNING name`, pgx.NamedArgs{"tenant": by.Actor.Tenant, "display": to.Display, "update_create": to.CreatesByID}).Scan(&name)
		return by.event(access.TenantChanged, name), err
	})
	return wrapped("change a tenant", err)
}

// CreatesByID tells whether a PUT to an id that is not here yet creates it at a tenant.
func (k Keeper) CreatesByID(ctx context.Context, tenant uuid.UUID) (is bool, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT update_create FROM tenant WHERE tenant_id = $1`, tenant).Scan(&is)
	})
	return is, wrapped("tenant", err)
}
