package administration

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// PolicyShelf is the policy of a hospital: every version, and which of them open cases keep.
type PolicyShelf struct {
	Versions []workflow.PolicyVersion // the newest, which is in force, first
	Open     map[int]int              // open cases by the version that they began with; 0: the defaults
}

// InForce is the version in force, 0 for the defaults.
func (s PolicyShelf) InForce() int {
	if len(s.Versions) == 0 {
		return 0
	}
	return s.Versions[0].Version
}

// Policies are the versions of a tenant's policy.
func (k Keeper) Policies(ctx context.Context, tenant uuid.UUID) (shelf PolicyShelf, err error) {
	err = k.DB.Tenant(ctx, tenant, func(tx pgx.Tx) error {
		shelf = PolicyShelf{Open: map[int]int{}}
		versions, err := workflow.PolicyVersionsTx(ctx, tx, tenant)
		if err != nil {
			return err
		}
		for i := range versions {
			shelf.Versions = append(shelf.Versions, versions[len(versions)-1-i])
		}
		rows, err := tx.Query(ctx, `
			SELECT policy_version, count(*)
			FROM case_file
			WHERE tenant_id = overread_tenant() AND state NOT IN ('closed', 'rejected', 'cancelled', 'failed', 'entered-in-error')
			GROUP BY policy_version`)
		if err != nil {
			return err
		}
		var version, open int
		_, err = pgx.ForEachRow(rows, []any{&version, &open}, func() error { shelf.Open[version] = open; return nil })
		return err
	})
	if err != nil {
		return PolicyShelf{}, fmt.Errorf("policies: %w", err)
	}
	return shelf, nil
}

// Policy is one version as its author wrote it, 0 for the defaults.
func (k Keeper) Policy(ctx context.Context, tenant uuid.UUID, version int) (v workflow.PolicyVersion, err error) {
	if version == 0 {
		return workflow.PolicyVersion{Text: "{}\n", Document: json.RawMessage("{}")}, nil
	}
	err = k.DB.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
		v, err = workflow.PolicyVersionTx(ctx, tx, tenant, version)
		return err
	})
	return v, err
}

// PolicyOf is what a version says, with this release's defaults.
func PolicyOf(v workflow.PolicyVersion) (p workflow.Policy, err error) {
	if err = json.Unmarshal(v.Document, &p); err != nil {
		err = fmt.Errorf("version %d of the policy cannot be read by this release: %w", v.Version, err)
	}
	return p, err
}

// reasoned refuses a change that nobody gave a reason for.
func reasoned(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fault.At(fault.Required, "reason", "A new version needs the reason why it is put in force.")
	}
	return nil
}

// active locks the tenant and refuses one that is not at work, of which nothing is changed
// at a page.
func active(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	var state string
	if err := tx.QueryRow(ctx, `SELECT state FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE`, tenant).Scan(&state); err != nil {
		return err
	}
	if state != "active" {
		return fault.New(fault.Forbidden, "This hospital is suspended: nothing is shown or done for it until its operator resumes it.")
	}
	return nil
}

// SetPolicy puts a document in force as the next version, as overread policy set does.
// follows is the version that its author has looked at: if another is in force meanwhile, it
// is a Conflict.
func (k Keeper) SetPolicy(ctx context.Context, by By, d workflow.PolicyDocument, reason string, follows int) (v workflow.PolicyVersion, set bool, err error) {
	if err := reasoned(reason); err != nil {
		return v, false, err
	}
	tenant := by.Actor.Tenant
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		if err := active(ctx, tx, tenant); err != nil {
			return err
		}
		now, err := workflow.PolicyVersionTx(ctx, tx, tenant, 0)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if now.Version != follows {
			return fault.New(fault.Conflict, "Somebody else has put another version in force meanwhile. Please look at it, and bring your changes into it.")
		}
		if v, set, err = workflow.SetPolicyTx(ctx, tx, tenant, d, by.name(), reason); err != nil || !set {
			return err
		}
		e := by.event(access.PolicySet, strconv.Itoa(v.Version))
		e.Reason = reason
		return k.Record(ctx, tx, e)
	})
	return v, set, err
}

// name is who does it, as versions say it.
func (b By) name() string { return b.Actor.Display + ", " + string(b.Actor.Role) }

// Templates are the report templates in force at a tenant, in the order in which they are tried.
func (k Keeper) Templates(ctx context.Context, tenant uuid.UUID) (all []workflow.TemplateVersion, err error) {
	err = k.DB.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
		all, err = workflow.TemplatesTx(ctx, tx, tenant)
		return err
	})
	return all, err
}

// TemplateShelf is a template with its versions, the newest first; that of the program, of
// number 0, comes last.
type TemplateShelf struct {
	Shown    workflow.TemplateVersion
	Versions []workflow.TemplateVersion
}

// InForce is the version in force.
func (s TemplateShelf) InForce() int { return s.Versions[0].Version }

// Template is one of a name: the version, or with -1 that in force.
func (k Keeper) Template(ctx context.Context, tenant uuid.UUID, name string, version int) (shelf TemplateShelf, err error) {
	err = k.DB.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
		if shelf.Versions, err = workflow.TemplateVersionsTx(ctx, tx, tenant, name); err != nil {
			return err
		}
		shelf.Shown, err = workflow.TemplateVersionTx(ctx, tx, tenant, name, version)
		return err
	})
	return shelf, err
}

// SetTemplate puts a document in force as the next version of a template, as overread
// template set does. follows is the version that its author has looked at, 0 for none.
func (k Keeper) SetTemplate(ctx context.Context, by By, name string, d workflow.TemplateDocument, reason string, follows int) (v workflow.TemplateVersion, set bool, err error) {
	if err := workflow.CheckTemplateName(name); err != nil {
		return v, false, fault.New(fault.Value, "%s", err.Error())
	}
	if err := reasoned(reason); err != nil {
		return v, false, err
	}
	tenant := by.Actor.Tenant
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		if err := active(ctx, tx, tenant); err != nil {
			return err
		}
		now, err := workflow.TemplateVersionTx(ctx, tx, tenant, name, -1)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if now.Version != follows {
			return fault.New(fault.Conflict, "Somebody else has put another version in force meanwhile. Please look at it, and bring your changes into it.")
		}
		if v, set, err = workflow.SetTemplateTx(ctx, tx, tenant, name, d, by.name(), reason); err != nil || !set {
			return err
		}
		e := by.event(access.TemplateSet, name+" "+strconv.Itoa(v.Version))
		e.Reason = reason
		return k.Record(ctx, tx, e)
	})
	return v, set, err
}
