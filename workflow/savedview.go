package workflow

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// SavedView is a way of looking at a worklist that a person has kept in one of their
// roles: the filters as the page writes them, under a name of their own.
type SavedView struct {
	Name    string
	Filters string // a query, such as "modality=CT&whose=pool"
}

// mostViews bounds what one person keeps in one role.
const mostViews = 12

// SavedViewsTx are the actor's own, by their names.
func SavedViewsTx(ctx context.Context, tx pgx.Tx, actor access.Actor) ([]SavedView, error) {
	rows, err := tx.Query(ctx, `
		SELECT name, filters
		FROM saved_view
		WHERE actor_id = @me AND role = @role
		ORDER BY name
		LIMIT @most`, pgx.NamedArgs{"me": actor.ID, "role": string(actor.Role), "most": mostViews})
	if err != nil {
		return nil, fmt.Errorf("saved views: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[SavedView])
}

// SaveViewTx keeps a view; one of the same name takes the place of the one before.
// It refuses (Value) one without a name or with a long one, and more than twelve.
func SaveViewTx(ctx context.Context, tx pgx.Tx, actor access.Actor, v SavedView) error {
	v.Name = strings.TrimSpace(v.Name)
	if n := len([]rune(v.Name)); n == 0 || n > 40 || len(v.Filters) > 200 {
		return fault.At(fault.Value, "name", "A view has a name of at most 40 characters.")
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO saved_view (tenant_id, actor_id, role, name, filters)
		SELECT overread_tenant(), @me, @role, @name, @filters
		WHERE EXISTS (SELECT FROM saved_view WHERE actor_id = @me AND role = @role AND name = @name)
		   OR (SELECT count(*) FROM saved_view WHERE actor_id = @me AND role = @role) < @most
		ON CONFLICT (tenant_id, actor_id, role, name) DO UPDATE SET filters = excluded.filters, saved_at = now()`,
		pgx.NamedArgs{"me": actor.ID, "role": string(actor.Role), "name": v.Name, "filters": v.Filters, "most": mostViews})
	if err != nil {
		return fmt.Errorf("save view: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.Value, "You keep twelve views already. Throw one away first.")
	}
	return nil
}

// DropViewTx throws one of the actor's own away.
func DropViewTx(ctx context.Context, tx pgx.Tx, actor access.Actor, name string) error {
	_, err := tx.Exec(ctx, `DELETE FROM saved_view WHERE actor_id = @me AND role = @role AND name = @name`,
		pgx.NamedArgs{"me": actor.ID, "role": string(actor.Role), "name": name})
	if err != nil {
		return fmt.Errorf("drop view: %w", err)
	}
	return nil
}
