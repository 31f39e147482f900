package workflow

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// AdoptOrderTx makes our copy of an order the order of its case, which has
// known of it only by its address or its number. It returns the case as it is
// then; adopted is false when the case has a copy already.
func AdoptOrderTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, serviceRequestID string) (c Case, adopted bool, err error) {
	tag, err := tx.Exec(ctx, `
		UPDATE case_file
		SET service_request_id = @order, service_request_ref = 'ServiceRequest/' || @order
		WHERE case_id = @case AND service_request_id IS NULL`,
		pgx.NamedArgs{"case": caseID, "order": serviceRequestID})
	if err != nil {
		return Case{}, false, fmt.Errorf("adopt order: %w", err)
	}
	c, err = CaseByIDTx(ctx, tx, caseID)
	return c, tag.RowsAffected() == 1, err
}
