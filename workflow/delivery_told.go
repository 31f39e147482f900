package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

// What does not reach its destination is told by the Task of its case: the EHR that is
// down cannot be told, but whoever else reads the Task can, and the EHR once it asks
// again. It is told once when it begins, and once when it ends: neither the attempts
// between, nor a parked delivery that is tried again, change it.

// Undelivered is a delivery that has not arrived, as the Task tells it.
type Undelivered struct {
	ReportNo    int
	Lane        Lane
	Destination string
	QueuedAt    time.Time
	Told        string // late, refused
}

// Refused tells whether the destination will not take it, until somebody has mended something.
func (u Undelivered) Refused() bool { return u.Told == "refused" }

// toldNow is what is to be told of a delivery d: that it was refused for good; that it is on
// its way for long, tried or not, since behind a breaker it is not; nothing once it has ended.
// In between it stays as it was told.
const toldNow = `CASE
	WHEN d.state = 'parked' THEN 'refused'
	WHEN d.state = 'queued' AND d.told IS NULL AND ` + queuedLong + ` THEN 'late'
	WHEN d.state = 'queued' THEN d.told
END`

// UndeliveredTx is what the Task of a case tells of its deliveries, the oldest first.
func UndeliveredTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Undelivered, error) {
	rows, err := tx.Query(ctx, `
		SELECT report_no, lane, destination, queued_at, told
		FROM delivery
		WHERE tenant_id = overread_tenant() AND case_id = @case AND told IS NOT NULL
		ORDER BY queued_at, lane, report_no, destination`, pgx.NamedArgs{"case": caseID})
	if err != nil {
		return nil, fmt.Errorf("what has not arrived: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Undelivered])
}

// ToTell is a case of which the Task does not tell yet what has become of its deliveries.
type ToTell struct {
	TenantID uuid.UUID
	CaseID   uuid.UUID
}

// UntoldTx are such cases of every tenant at work.
func UntoldTx(ctx context.Context, tx pgx.Tx, most int) ([]ToTell, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT d.tenant_id, d.case_id
		FROM (
			SELECT tenant_id, case_id, state, told, queued_at FROM delivery WHERE state IN ('queued', 'parked')
			UNION ALL
			SELECT tenant_id, case_id, state, told, queued_at FROM delivery WHERE told IS NOT NULL AND state NOT IN ('queued', 'parked')
		) d
		WHERE d.told IS DISTINCT FROM `+toldNow+` AND d.`+pg.AtWork+`
		LIMIT @most`, pgx.NamedArgs{"most": most})
	if err != nil {
		return nil, fmt.Errorf("what the Tasks do not tell yet: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[ToTell])
}

// TellTx takes a case that nobody else works on, and notes what its Task is to tell of its
// deliveries. It returns false where another has told it already, or holds the case: then
// it is looked at again later.
func TellTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (told bool, err error) {
	tag, err := tx.Exec(ctx, `SELECT FROM case_file WHERE tenant_id = overread_tenant() AND case_id = $1 FOR UPDATE SKIP LOCKED`, caseID)
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	tag, err = tx.Exec(ctx, `
		UPDATE delivery d
		SET told = `+toldNow+`
		WHERE d.tenant_id = overread_tenant() AND d.case_id = $1 AND d.told IS DISTINCT FROM `+toldNow, caseID)
	if err != nil {
		return false, fmt.Errorf("tell what has not arrived: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}
