package workflow

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

// Parcel is a claimed delivery: what to send, where, and the lease's number.
type Parcel struct {
	Delivery
	To      Destination
	Attempt int   // counts from 1, over all couriers
	Epoch   int64 // of the lease; the outcome is recorded under this one only
}

// leaseSlack is how long a lease outlives the attempt's timeout: time enough
// to record what came of it.
const leaseSlack = 10 * time.Second

// dueHead holds for a delivery d that is due and the head of its lane: nothing
// of the case that is older still has to go to the destination.
const dueHead = `d.state = 'queued' AND d.next_attempt_at <= now()
				  AND (d.lease_until IS NULL OR d.lease_until <= now())
				  AND NOT EXISTS (
					SELECT FROM delivery earlier
					WHERE earlier.tenant_id = d.tenant_id AND earlier.case_id = d.case_id
					  AND earlier.report_no < d.report_no AND earlier.destination = d.destination AND earlier.lane = d.lane
					  AND earlier.state IN ('queued', 'parked'))`

// claim leases up to room deliveries. Couriers everywhere may claim at once:
// the destination's row is locked while its deliveries are taken, so that the
// count of what is under way to it is exact.
//
// The choice is made as the system role, which cannot read reports; the
// reports are then read under their tenant's role.
func claim(ctx context.Context, db *pg.DB, room int) ([]Parcel, error) {
	var parcels []Parcel
	err := db.System(ctx, func(tx pgx.Tx) error {
		parcels = nil // fn may run twice
		tenants, names, err := lockDestinationsTx(ctx, tx, room)
		if err != nil || len(names) == 0 {
			return err
		}
		leases, err := leaseHeadsTx(ctx, tx, tenants, names, room)
		if err != nil {
			return err
		}
		parcels, err = readParcelsTx(ctx, tx, leases)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	return parcels, nil
}

// lockDestinationsTx locks up to limit destinations that have something due
// and may be sent to now. Tenants take turns, and so do the destinations of a
// tenant: first those with the least under way, then those whose turn was
// longest ago. A destination that another courier has locked is left to it.
func lockDestinationsTx(ctx context.Context, tx pgx.Tx, limit int) (tenants []uuid.UUID, names []string, err error) {
	rows, err := tx.Query(ctx, `
		WITH busy AS (
			SELECT tenant_id, destination, count(*) AS in_flight
			FROM delivery
			WHERE lease_until > now()
			GROUP BY tenant_id, destination
		), candidate AS (
			SELECT dest.tenant_id, dest.destination, dest.claimed_at,
			       coalesce(busy.in_flight, 0) AS in_flight,
			       max(dest.claimed_at) OVER (PARTITION BY dest.tenant_id) AS tenant_claimed_at,
			       sum(busy.in_flight) OVER (PARTITION BY dest.tenant_id) AS tenant_in_flight
			FROM destination dest
			LEFT JOIN busy ON busy.tenant_id = dest.tenant_id AND busy.destination = dest.destination
			CROSS JOIN LATERAL (
				SELECT
				FROM delivery d
				WHERE d.tenant_id = dest.tenant_id AND d.destination = dest.destination
				  AND `+dueHead+`
				LIMIT 1
			) something_due
			WHERE dest.`+pg.AtWork+`
			  AND dest.paused_at IS NULL
			  AND (dest.breaker_until IS NULL OR dest.breaker_until <= now())
			  AND coalesce(busy.in_flight, 0) < CASE WHEN dest.failures >= @trip THEN 1 ELSE dest.in_flight_max END
		), turn AS (
			SELECT tenant_id, destination, tenant_claimed_at,
			       coalesce(tenant_in_flight, 0)
			       + row_number() OVER (PARTITION BY tenant_id ORDER BY in_flight, claimed_at NULLS FIRST) AS nth
			FROM candidate
		)
		SELECT dest.tenant_id, dest.destination
		FROM turn
		JOIN destination dest ON dest.tenant_id = turn.tenant_id AND dest.destination = turn.destination
		ORDER BY turn.nth, turn.tenant_claimed_at NULLS FIRST
		LIMIT @limit
		FOR NO KEY UPDATE OF dest SKIP LOCKED`,
		pgx.NamedArgs{"trip": breakerTrip, "limit": limit})
	if err != nil {
		return nil, nil, fmt.Errorf("choose destinations: %w", err)
	}
	var tenant uuid.UUID
	var name string
	_, err = pgx.ForEachRow(rows, []any{&tenant, &name}, func() error {
		tenants, names = append(tenants, tenant), append(names, name)
		return nil
	})
	return tenants, names, err
}

// lease is what the system role may know of a claimed delivery.
type lease struct {
	TenantID    uuid.UUID
	CaseID      uuid.UUID
	ReportNo    int
	Destination string
	Epoch       int64
	Attempt     int
	Lost        bool // an earlier courier's lease ran out: nobody knows what became of its attempt
}

// leaseHeadsTx leases the heads of lanes at the locked destinations, each
// destination at most up to what it bears, the longest due first. It is a
// statement of its own so that it sees what others committed before the lock.
func leaseHeadsTx(ctx context.Context, tx pgx.Tx, tenants []uuid.UUID, names []string, room int) ([]lease, error) {
	rows, err := tx.Query(ctx, `
		WITH mine AS (
			UPDATE destination dest
			SET claimed_at = clock_timestamp()
			FROM unnest(@tenants::uuid[], @names::text[]) AS locked (tenant_id, destination)
			WHERE dest.tenant_id = locked.tenant_id AND dest.destination = locked.destination
			  AND (dest.breaker_until IS NULL OR dest.breaker_until <= now())
			RETURNING dest.tenant_id, dest.destination, dest.timeout_ms,
			          CASE WHEN dest.failures >= @trip THEN 1 ELSE dest.in_flight_max END AS bears
		), head AS (
			SELECT mine.tenant_id, mine.destination, mine.timeout_ms, due.case_id, due.report_no, due.lost, due.nth
			FROM mine
			CROSS JOIN LATERAL (
				SELECT count(*) AS in_flight
				FROM delivery d
				WHERE d.tenant_id = mine.tenant_id AND d.destination = mine.destination AND d.lease_until > now()
			) busy
			CROSS JOIN LATERAL (
				SELECT d.case_id, d.report_no, d.lease_until IS NOT NULL AS lost,
				       row_number() OVER (ORDER BY d.next_attempt_at) AS nth
				FROM delivery d
				WHERE d.tenant_id = mine.tenant_id AND d.destination = mine.destination
				  AND `+dueHead+`
				ORDER BY d.next_attempt_at
				LIMIT greatest(mine.bears - busy.in_flight, 0)
			) due
			ORDER BY due.nth
			LIMIT @room
		)
		UPDATE delivery d
		SET lease_until = now() + head.timeout_ms * interval '1 millisecond' + @slack::interval,
		    epoch = d.epoch + 1,
		    attempts = d.attempts + 1
		FROM head
		WHERE d.tenant_id = head.tenant_id AND d.case_id = head.case_id
		  AND d.report_no = head.report_no AND d.destination = head.destination
		  AND d.state = 'queued' AND (d.lease_until IS NULL OR d.lease_until <= now())
		RETURNING d.tenant_id, d.case_id, d.report_no, d.destination, d.epoch, d.attempts AS attempt, head.lost`,
		pgx.NamedArgs{"tenants": tenants, "names": names, "trip": breakerTrip, "room": room, "slack": leaseSlack})
	if err != nil {
		return nil, fmt.Errorf("lease heads: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[lease])
}

// readParcelsTx reads what the leases are about, tenant by tenant.
func readParcelsTx(ctx context.Context, tx pgx.Tx, leases []lease) ([]Parcel, error) {
	slices.SortFunc(leases, func(a, b lease) int { return cmp.Compare(a.TenantID.String(), b.TenantID.String()) })
	parcels := make([]Parcel, 0, len(leases))
	var within uuid.UUID
	for _, l := range leases {
		if l.TenantID != within {
			if err := pg.EnterTenant(ctx, tx, l.TenantID); err != nil {
				return nil, err
			}
			within = l.TenantID
		}
		if l.Lost {
			if err := noteLostTx(ctx, tx, l); err != nil {
				return nil, err
			}
		}
		p, err := readParcelTx(ctx, tx, l)
		if err != nil {
			return nil, err
		}
		parcels = append(parcels, p)
	}
	return parcels, nil
}

func readParcelTx(ctx context.Context, tx pgx.Tx, l lease) (Parcel, error) {
	p := Parcel{
		Delivery: Delivery{TenantID: l.TenantID, CaseID: l.CaseID, ReportNo: l.ReportNo, Destination: l.Destination},
		To:       Destination{Name: l.Destination},
		Attempt:  l.Attempt,
		Epoch:    l.Epoch,
	}
	err := tx.QueryRow(ctx, `
		SELECT d.method, d.path, d.body,
		       dest.base_url, dest.packaging, dest.token_file, dest.timeout_ms * interval '1 millisecond'
		FROM delivery d
		JOIN destination dest ON dest.tenant_id = d.tenant_id AND dest.destination = d.destination
		WHERE d.tenant_id = @tenant AND d.case_id = @case AND d.report_no = @report_no AND d.destination = @destination`,
		pgx.NamedArgs{"tenant": l.TenantID, "case": l.CaseID, "report_no": l.ReportNo, "destination": l.Destination}).
		Scan(&p.Method, &p.Path, &p.Body, &p.To.BaseURL, &p.To.Packaging, &p.To.TokenFile, &p.To.Timeout)
	if err != nil {
		return Parcel{}, fmt.Errorf("read report %d of case %s: %w", l.ReportNo, l.CaseID, err)
	}
	return p, nil
}

// noteLostTx records the attempt before this one, whose courier never told.
func noteLostTx(ctx context.Context, tx pgx.Tx, l lease) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO delivery_attempt (tenant_id, case_id, report_no, destination, attempt, outcome, reason, duration_ms)
		VALUES (@tenant, @case, @report_no, @destination, @attempt, 'released', 'lease-expired', 0)`,
		pgx.NamedArgs{
			"tenant": l.TenantID, "case": l.CaseID, "report_no": l.ReportNo, "destination": l.Destination,
			"attempt": l.Attempt - 1,
		})
	if err != nil {
		return fmt.Errorf("note the lost attempt: %w", err)
	}
	return nil
}
