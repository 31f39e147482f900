package workflow_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

// outbox is a database with one tenant and its destinations.
type outbox struct {
	*pgtest.Database
	t      *testing.T
	tenant uuid.UUID
	owner  *pgx.Conn // for the test's own goroutine
}

func always(r workflow.Receipt) func(context.Context, workflow.Parcel) workflow.Receipt {
	return func(context.Context, workflow.Parcel) workflow.Receipt { return r }
}

func newOutbox(t *testing.T, destinations ...string) *outbox {
	t.Helper()
	db := pgtest.New(t)
	o := &outbox{Database: db, t: t, tenant: pgtest.AddTenant(t, db, "north"), owner: db.Owner(t)}
	for _, name := range destinations {
		pgtest.AddDestination(t, db, o.tenant, name, "http://127.0.0.1:9/fhir")
	}
	return o
}

func (o *outbox) exec(sql string, args ...any) {
	o.t.Helper()
	if _, err := o.owner.Exec(context.Background(), sql, args...); err != nil {
		o.t.Fatal(err)
	}
}

// query is for one of the collecting functions of pgx, which report the error.
func (o *outbox) query(sql string) pgx.Rows {
	rows, _ := o.owner.Query(context.Background(), sql)
	return rows
}

func (o *outbox) tenantTx(fn func(tx pgx.Tx) error) {
	o.t.Helper()
	if err := o.Tenant(o.t.Context(), o.tenant, fn); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outbox) newCase() uuid.UUID {
	o.t.Helper()
	id := uuid.Must(uuid.NewV7())
	o.exec(`
		INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value,
		                       service_request_ref, task_id, protocol, policy, opened_at)
		VALUES ($1, $2, 1, 'ready', 'routine', 'urn:placer', $2::uuid::text,
		        'ServiceRequest/1', $2::uuid::text, 'blinded', '{}', now())`, o.tenant, id)
	return id
}

func (o *outbox) queue(c uuid.UUID, no int, destination string) {
	o.t.Helper()
	o.queueDelivery(workflow.Delivery{CaseID: c, ReportNo: no, Destination: destination})
}

func (o *outbox) withdraw(c uuid.UUID, no int, destination string) {
	o.t.Helper()
	o.queueDelivery(workflow.Delivery{CaseID: c, ReportNo: no, Destination: destination, Withdraws: true})
}

func (o *outbox) queueDelivery(d workflow.Delivery) {
	o.t.Helper()
	d.TenantID, d.Method, d.Body = o.tenant, "POST", []byte(`{"resourceType":"Bundle"}`)
	o.exec(`
		INSERT INTO signed_report (tenant_id, case_id, report_no, status, signed_by, signed_at, content, content_sha256)
		VALUES ($1, $2, $3, 'final', $2, now(), '{}', sha256(''))
		ON CONFLICT DO NOTHING`, o.tenant, d.CaseID, d.ReportNo)
	o.tenantTx(func(tx pgx.Tx) error { return workflow.QueueDeliveryTx(o.t.Context(), tx, d) })
}

func (o *outbox) courier(send func(context.Context, workflow.Parcel) workflow.Receipt) *workflow.Courier {
	return workflow.NewCourier(o.DB, send, time.Now, slog.New(slog.DiscardHandler))
}

func (o *outbox) tick(c *workflow.Courier, want int) {
	o.t.Helper()
	sent, err := c.Tick(context.Background())
	if err != nil {
		o.t.Error(err)
	}
	if sent != want {
		o.t.Errorf("%d attempts, want %d", sent, want)
	}
}

// until ticks until done says so.
func (o *outbox) until(c *workflow.Courier, done func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if _, err := c.Tick(context.Background()); err != nil {
			o.t.Error(err)
			return
		}
		if time.Now().After(deadline) {
			o.t.Error("not done in 30 s")
			return
		}
	}
}

// runOutLeases is the time that passes until every lease has run out.
func (o *outbox) runOutLeases() {
	o.t.Helper()
	o.exec(`UPDATE delivery SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL`)
}

func (o *outbox) closedFor() (d time.Duration) {
	o.t.Helper()
	d, err := pgx.CollectOneRow(o.query(`
		SELECT coalesce(max(breaker_until - now()), interval '0') FROM destination`), pgx.RowTo[time.Duration])
	if err != nil {
		o.t.Fatal(err)
	}
	return d
}

// open is how many deliveries are not done.
func (o *outbox) open() (n int) {
	err := o.System(context.Background(), func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT count(*) FROM delivery WHERE state <> 'done'`).Scan(&n)
	})
	if err != nil {
		o.t.Error(err)
	}
	return n
}

// want compares the number of deliveries by destination and state.
func (o *outbox) want(when string, want map[string]int) {
	o.t.Helper()
	got := map[string]int{}
	var name string
	var n int
	_, err := pgx.ForEachRow(o.query(`SELECT destination || ' ' || state, count(*) FROM delivery GROUP BY 1`),
		[]any{&name, &n}, func() error { got[name] = n; return nil })
	if err != nil {
		o.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		o.t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// wantAttempts compares the history of the only delivery.
func (o *outbox) wantAttempts(want ...string) {
	o.t.Helper()
	got, err := pgx.CollectRows(o.query(`
		SELECT attempt || ' ' || outcome || ' ' || reason FROM delivery_attempt ORDER BY attempt`), pgx.RowTo[string])
	if err != nil {
		o.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		o.t.Errorf("attempts (-want +got):\n%s", diff)
	}
	o.checkAttempts()
}

// checkAttempts: each attempt that was counted has its row, and no lease is left.
func (o *outbox) checkAttempts() {
	o.t.Helper()
	wrong, err := pgx.CollectRows(o.query(`
		SELECT format('%s %s %s: %s attempts counted, %s recorded, leased %s', d.destination, d.case_id, d.report_no,
		              d.attempts, count(a.attempt), d.lease_until IS NOT NULL)
		FROM delivery d
		LEFT JOIN delivery_attempt a USING (tenant_id, case_id, report_no, destination)
		GROUP BY d.tenant_id, d.case_id, d.report_no, d.destination
		HAVING d.attempts <> count(a.attempt) OR d.lease_until IS NOT NULL`), pgx.RowTo[string])
	if err != nil {
		o.t.Fatal(err)
	}
	for _, text := range wrong {
		o.t.Error(fmt.Sprint("history: ", text))
	}
}
