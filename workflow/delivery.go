package workflow

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Delivery is one version of a case's report on its way to one destination:
// the request as it will go out, byte for byte, as often as it takes.
type Delivery struct {
	TenantID    uuid.UUID
	CaseID      uuid.UUID
	ReportNo    int
	Destination string
	Method      string // POST or PUT
	Path        string // below the destination's base, with its query; "" is the base itself
	Body        []byte
	Withdraws   bool // the report was entered in error: older versions need not arrive any more
	Lane        Lane // "" is LaneReport
}

// Lane is the order in which a destination gets what is sent of a case: one thing
// after the other within a lane, and independent of the other lane.
type Lane string

// The lanes. In that of reports ReportNo is the signed version's, or below 0 for
// a preliminary report; in that of messages it counts from FirstMessage.
const (
	LaneReport  Lane = "report"
	LaneMessage Lane = "message" // of findings, answers and what else is told besides

	FirstMessage     = 1_000_001
	firstPreliminary = -1_000_000
)

// Destination is where reports go: a row of the table destination.
type Destination struct {
	Name      string
	BaseURL   string // without a slash at the end
	Packaging string // transaction, report
	TokenFile *string
	Timeout   time.Duration // of one attempt
}

// The packagings of a destination.
const (
	PackTransaction = "transaction" // one transaction Bundle, POSTed to the base
	PackReport      = "report"      // the DiagnosticReport alone, PUT by its identifier
)

// QueueDeliveryTx writes the delivery down within the transaction that signs
// the report. From here on it is sent until the destination has it, or has
// refused it for good.
//
// One that withdraws the report takes the place of what has not been sent yet:
// an erroneous report is not delivered first. What is under way just now is
// waited for (recordOutcomeTx). So does a signed report that of a preliminary one.
func QueueDeliveryTx(ctx context.Context, tx pgx.Tx, d Delivery) error {
	_, err := tx.Exec(ctx, `
		WITH superseded AS (
			UPDATE delivery
			SET state = 'withdrawn'
			WHERE (@withdraws OR report_no < 0 AND @report_no > 0) AND tenant_id = @tenant AND case_id = @case AND destination = @destination
			  AND lane = 'report' AND @lane = 'report' AND state IN ('queued', 'parked') AND lease_until IS NULL
		)
		INSERT INTO delivery (tenant_id, case_id, report_no, destination, method, path, body, body_sha256, withdraws, lane)
		VALUES (@tenant, @case, @report_no, @destination, @method, @path, @body, sha256(@body), @withdraws, @lane)`,
		pgx.NamedArgs{
			"tenant": d.TenantID, "case": d.CaseID, "report_no": d.ReportNo, "destination": d.Destination,
			"method": d.Method, "path": d.Path, "body": d.Body, "withdraws": d.Withdraws, "lane": cmp.Or(d.Lane, LaneReport),
		})
	if err != nil {
		return fmt.Errorf("queue report %d of case %s for %s: %w", d.ReportNo, d.CaseID, d.Destination, err)
	}
	return nil
}

// NextDeliveryNoTx is the number of the next message of a case, or of its next
// preliminary report. The caller holds the case.
func NextDeliveryNoTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, lane Lane) (no int, err error) {
	err = tx.QueryRow(ctx, `
		SELECT CASE WHEN @lane = 'message' THEN coalesce(max(report_no) + 1, @message)
		            ELSE coalesce(max(report_no) FILTER (WHERE report_no < 0) + 1, @preliminary) END
		FROM delivery
		WHERE case_id = @case AND lane = @lane`,
		pgx.NamedArgs{"case": caseID, "lane": lane, "message": FirstMessage, "preliminary": firstPreliminary}).Scan(&no)
	if err != nil {
		return 0, fmt.Errorf("number of the next delivery: %w", err)
	}
	return no, nil
}

// DestinationsTx lists the destinations of the transaction's tenant, by name.
func DestinationsTx(ctx context.Context, tx pgx.Tx) ([]Destination, error) {
	rows, err := tx.Query(ctx, `
		SELECT destination AS name, base_url, packaging, token_file, timeout_ms * interval '1 millisecond' AS timeout
		FROM destination
		WHERE tenant_id = overread_tenant()
		ORDER BY destination`)
	if err != nil {
		return nil, fmt.Errorf("destinations: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Destination])
}

// UnparkTx makes everything of a case that waits due at once: what a
// destination had refused, and what waits for its next try. It returns how
// many deliveries that were. What is under way already is left alone.
func UnparkTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (int, error) {
	tag, err := tx.Exec(ctx, `
		UPDATE delivery
		SET state = 'queued', next_attempt_at = now()
		WHERE tenant_id = overread_tenant() AND case_id = @case
		  AND (state = 'parked' OR (state = 'queued' AND next_attempt_at > now() AND lease_until IS NULL))`,
		pgx.NamedArgs{"case": caseID})
	if err != nil {
		return 0, fmt.Errorf("unpark deliveries: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// Backlog is what has not reached a destination yet. An old Oldest or any
// Parked wants a person's eye.
type Backlog struct {
	TenantID    uuid.UUID
	Destination string
	Queued      int
	Parked      int
	Oldest      time.Time  // when the oldest of them was queued
	ClosedUntil *time.Time // the breaker is open until then
}

// BacklogTx lists the destinations, of every tenant that the transaction
// sees, that have a backlog: the oldest first.
func BacklogTx(ctx context.Context, tx pgx.Tx) ([]Backlog, error) {
	rows, err := tx.Query(ctx, `
		SELECT d.tenant_id, d.destination,
		       count(*) FILTER (WHERE d.state = 'queued') AS queued,
		       count(*) FILTER (WHERE d.state = 'parked') AS parked,
		       min(d.queued_at) AS oldest,
		       CASE WHEN dest.breaker_until > now() THEN dest.breaker_until END AS closed_until
		FROM delivery d
		JOIN destination dest ON dest.tenant_id = d.tenant_id AND dest.destination = d.destination
		WHERE d.state IN ('queued', 'parked')
		GROUP BY d.tenant_id, d.destination, dest.breaker_until
		ORDER BY oldest`)
	if err != nil {
		return nil, fmt.Errorf("backlog: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Backlog])
}
