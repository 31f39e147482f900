package workflow_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

var (
	delivered   = workflow.Receipt{Verdict: workflow.Delivered, Status: 200, Reason: "acknowledged", Location: "DiagnosticReport/1"}
	unreachable = workflow.Receipt{Verdict: workflow.Retry, Reason: "unreachable", Sick: true}
)

// The outbox against real PostgreSQL; what it sends to is a function here. The
// same over real HTTP, to a stand-in EHR, is in integrations/ehr.

func TestTwoCouriersSendEachReportOnceInTheOrderOfItsCase(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "one", "two", "three")
	want := map[string][]int{}
	for range 15 {
		c := o.newCase()
		for no := 1; no <= 3; no++ {
			for _, destination := range []string{"one", "two", "three"} {
				o.queue(c, no, destination)
				lane := destination + " " + c.String()
				want[lane] = append(want[lane], no)
			}
		}
	}

	var mu sync.Mutex
	got, busy, peak := map[string][]int{}, map[string]int{}, 0
	send := func(_ context.Context, p workflow.Parcel) workflow.Receipt {
		lane := p.Destination + " " + p.CaseID.String()
		mu.Lock()
		got[lane] = append(got[lane], p.ReportNo)
		busy[p.Destination]++
		busy[lane]++
		peak = max(peak, busy[p.Destination])
		if busy[lane] > 1 {
			t.Errorf("two of one lane are under way at once")
		}
		mu.Unlock()
		defer func() {
			mu.Lock()
			busy[p.Destination]--
			busy[lane]--
			mu.Unlock()
		}()
		return delivered
	}
	var couriers sync.WaitGroup
	for range 2 {
		couriers.Go(func() { o.until(o.courier(send), func() bool { return o.open() == 0 }) })
	}
	couriers.Wait()

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was sent in each lane (-want +got):\n%s", diff)
	}
	if peak > 2 {
		t.Errorf("%d were under way to one destination, which bears 2", peak)
	}
	o.checkAttempts()
}

func TestARefusedReportHoldsUpOnlyItsOwnLaneUntilAPersonReleasesIt(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr", "archive")
	poison, healthy := o.newCase(), o.newCase()
	for _, destination := range []string{"ehr", "archive"} {
		o.queue(poison, 1, destination)
		o.queue(poison, 2, destination)
		o.queue(healthy, 1, destination)
	}
	refusing := true
	send := func(_ context.Context, p workflow.Parcel) workflow.Receipt {
		if refusing && p.CaseID == poison && p.Destination == "ehr" {
			return workflow.Receipt{Verdict: workflow.Parked, Status: 422, Reason: "refused-by-rule"}
		}
		return delivered
	}
	courier := o.courier(send)
	o.tick(courier, 5)
	o.want("after the refusal", map[string]int{"ehr queued": 1, "ehr parked": 1, "ehr done": 1, "archive done": 3})

	refusing = false
	o.tenantTx(func(tx pgx.Tx) error {
		n, err := workflow.UnparkTx(t.Context(), tx, poison)
		if n != 1 {
			t.Errorf("%d deliveries were released", n)
		}
		return err
	})
	o.tick(courier, 2)
	o.want("after the release", map[string]int{"ehr done": 3, "archive done": 3})
	o.checkAttempts()
}

func TestAWithdrawalOvertakesWhatHasNotArrived(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	refused := o.newCase()
	o.queue(refused, 1, "ehr")
	o.queue(refused, 2, "ehr")
	o.tick(o.courier(always(workflow.Receipt{Verdict: workflow.Parked, Status: 422, Reason: "refused-by-rule"})), 1)
	o.withdraw(refused, 3, "ehr")
	o.want("after the withdrawal", map[string]int{"ehr withdrawn": 2, "ehr queued": 1})
	o.tick(o.courier(always(delivered)), 1)
	o.want("at the end", map[string]int{"ehr withdrawn": 2, "ehr done": 1})
}

func TestAWithdrawalWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	c := o.newCase()
	o.queue(c, 1, "ehr")
	sending, proceed, finished := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		o.tick(o.courier(func(context.Context, workflow.Parcel) workflow.Receipt {
			close(sending)
			<-proceed
			return workflow.Receipt{Verdict: workflow.Retry, Reason: "no-answer", Wait: time.Hour}
		}), 1)
	}()
	<-sending
	o.withdraw(c, 2, "ehr")
	o.tick(o.courier(always(delivered)), 0)
	close(proceed)
	<-finished
	o.exec(`UPDATE destination SET breaker_until = NULL`)
	o.tick(o.courier(always(delivered)), 1)
	o.want("at the end", map[string]int{"ehr withdrawn": 1, "ehr done": 1})
}

func TestACourierWhoseLeaseRanOutCannotRecord(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	o.queue(o.newCase(), 1, "ehr")

	sending, proceed, finished := make(chan struct{}), make(chan struct{}), make(chan struct{})
	late := o.courier(func(context.Context, workflow.Parcel) workflow.Receipt {
		close(sending)
		<-proceed
		return workflow.Receipt{Verdict: workflow.Parked, Status: 400, Reason: "refused-invalid"}
	})
	go func() { defer close(finished); o.tick(late, 1) }()
	<-sending
	next := o.courier(always(delivered))
	o.tick(next, 0) // it is leased
	o.runOutLeases()
	o.tick(next, 1)
	close(proceed)
	<-finished

	o.want("the second courier's outcome counts", map[string]int{"ehr done": 1})
	o.wantAttempts("1 released lease-expired", "2 delivered acknowledged")
}

func TestACourierThatDiesAfterSendingLeavesTheReportToAnother(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	o.queue(o.newCase(), 1, "ehr")

	own, err := pg.Open(t.Context(), o.URL)
	if err != nil {
		t.Fatal(err)
	}
	dying := workflow.NewCourier(own, func(context.Context, workflow.Parcel) workflow.Receipt {
		own.Close() // between sending and recording nothing of it is left
		return delivered
	}, time.Now, slog.New(slog.DiscardHandler))
	if _, err := dying.Tick(t.Context()); err == nil {
		t.Error("the courier recorded without a database")
	}
	o.want("nobody knows yet", map[string]int{"ehr queued": 1})

	next := o.courier(always(delivered))
	o.runOutLeases()
	o.tick(next, 1)
	o.want("the next courier sent it again", map[string]int{"ehr done": 1})
	o.wantAttempts("1 released lease-expired", "2 delivered acknowledged")
}

func TestACourierThatIsStoppedGivesBackWhatItCouldNotFinish(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	o.queue(o.newCase(), 1, "ehr")

	ctx, stop := context.WithCancel(t.Context())
	stopped := o.courier(func(ctx context.Context, _ workflow.Parcel) workflow.Receipt {
		stop()
		<-ctx.Done()
		return workflow.Receipt{Verdict: workflow.Retry, Reason: "connection-cut", Sick: true}
	})
	if _, err := stopped.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	o.tick(o.courier(always(delivered)), 1) // at once, without waiting for a lease
	o.wantAttempts("1 released shutdown", "2 delivered acknowledged")
}

func TestADestinationThatFailsIsClosedThenProbedThenOpened(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	o.exec(`UPDATE destination SET in_flight_max = 1`)
	for range 12 {
		o.queue(o.newCase(), 1, "ehr")
	}
	ill := true
	courier := o.courier(func(context.Context, workflow.Parcel) workflow.Receipt {
		if ill {
			return unreachable
		}
		return delivered
	})
	o.tick(courier, 5) // five different cases; the other seven are spared
	first := o.closedFor()
	if first <= 0 {
		t.Fatal("the destination is not closed")
	}
	o.tick(courier, 0)

	last := first
	for range 3 {
		o.exec(`UPDATE destination SET breaker_until = now(), in_flight_max = 4`)
		o.tick(courier, 1) // one probe, whatever the destination bears
		last = o.closedFor()
	}
	if last < 2*first {
		t.Errorf("closed for %v at first and for %v after three failed probes", first, last)
	}

	ill = false
	o.exec(`UPDATE destination SET breaker_until = now()`)
	o.exec(`UPDATE delivery SET next_attempt_at = now()`)
	o.tick(courier, 12)
	o.want("the probe opened it", map[string]int{"ehr done": 12})
	o.checkAttempts()
}

func TestOneCaseThatFailsForEverDoesNotCloseItsDestination(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	ill := o.newCase()
	o.queue(ill, 1, "ehr")
	courier := o.courier(func(_ context.Context, p workflow.Parcel) workflow.Receipt {
		if p.CaseID == ill {
			return workflow.Receipt{Verdict: workflow.Retry, Status: 500, Reason: "server-error", Sick: true}
		}
		return delivered
	})
	for range 20 {
		o.exec(`UPDATE delivery SET next_attempt_at = now()`)
		o.tick(courier, 1)
	}
	o.exec(`UPDATE delivery SET next_attempt_at = now() + interval '1 hour'`)
	o.queue(o.newCase(), 1, "ehr")
	o.tick(courier, 1)
	o.want("the other case went through", map[string]int{"ehr queued": 1, "ehr done": 1})
}

func TestADestinationThatAsksForAPauseGetsItForEverything(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr", "other")
	o.exec(`UPDATE destination SET in_flight_max = 1`)
	for range 3 {
		c := o.newCase()
		o.queue(c, 1, "ehr")
		o.queue(c, 1, "other")
	}
	courier := o.courier(func(_ context.Context, p workflow.Parcel) workflow.Receipt {
		if p.Destination == "ehr" {
			return workflow.Receipt{Verdict: workflow.Retry, Status: 429, Reason: "rate-limited", Wait: time.Minute}
		}
		return delivered
	})
	o.tick(courier, 4)
	o.want("only the one is paused", map[string]int{"ehr queued": 3, "other done": 3})
	if got := o.closedFor(); got < 50*time.Second || got > time.Minute {
		t.Errorf("paused for %v", got)
	}
}

func TestASmallTenantIsNotDelayedByALargeOne(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "a", "b", "c", "d")
	o.exec(`UPDATE destination SET in_flight_max = 1`)
	for range 50 {
		c := o.newCase()
		for _, destination := range []string{"a", "b", "c", "d"} {
			o.queue(c, 1, destination)
		}
	}
	small := *o
	small.tenant = pgtest.AddTenant(t, o.Database, "small")
	pgtest.AddDestination(t, o.Database, small.tenant, "ehr", "http://127.0.0.1:9/fhir")
	o.exec(`UPDATE destination SET in_flight_max = 1`)
	for range 5 {
		small.queue(small.newCase(), 1, "ehr")
	}

	var mu sync.Mutex
	sent, last := 0, 0
	o.tick(o.courier(func(_ context.Context, p workflow.Parcel) workflow.Receipt {
		mu.Lock()
		defer mu.Unlock()
		if sent++; p.TenantID == small.tenant {
			last = sent
		}
		return delivered
	}), 205)
	if last > 100 {
		t.Errorf("the small tenant's fifth report was number %d of 205", last)
	}
}

func TestTheCouriersChoiceCannotReadReports(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	err := o.System(t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `SELECT body FROM delivery`)
		return err
	})
	var denied *pgconn.PgError
	if !errors.As(err, &denied) || denied.Code != "42501" {
		t.Errorf("the system role read the reports: %v", err)
	}
}

func TestTheBacklogTellsWhatWaitsAndSinceWhen(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr", "idle")
	for range 3 {
		o.queue(o.newCase(), 1, "ehr")
	}
	o.exec(`UPDATE delivery SET state = 'parked' WHERE case_id = (SELECT min(case_id::text)::uuid FROM delivery)`)
	var got []workflow.Backlog
	err := o.System(t.Context(), func(tx pgx.Tx) (err error) {
		got, err = workflow.BacklogTx(t.Context(), tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Queued != 2 || got[0].Parked != 1 || time.Since(got[0].Oldest) > time.Minute {
		t.Errorf("backlog: %+v", got)
	}
}

// What fails again and again is seen before it is refused for good: by whoever keeps the
// service from the third try on, by the coordinators after ten minutes.
func TestADeliveryThatFailsForLongIsShown(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	failing := o.newCase()
	o.queue(failing, 1, "ehr")
	sees := func(when string, onBoard, vain int, want administration.Verdict) {
		t.Helper()
		o.tenantTx(func(tx pgx.Tx) error {
			n, err := workflow.DeskCountsTx(t.Context(), tx)
			if err != nil {
				return err
			}
			listed, err := workflow.DeliveriesTx(t.Context(), tx, workflow.DeliveryFilter{Stuck: true, Most: 10})
			if n.Undelivered != onBoard || len(listed) != onBoard {
				t.Errorf("%s: the board counts %d and lists %d, want %d", when, n.Undelivered, len(listed), onBoard)
			}
			return err
		})
		err := o.System(t.Context(), func(tx pgx.Tx) error {
			lag, v, err := administration.OutboxLag(t.Context(), tx, uuid.Nil, "")
			if lag.Failing != vain || v != want {
				t.Errorf("%s: the doctor says %s and counts %d, want %s and %d", when, v, lag.Failing, want, vain)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	sees("new", 0, 0, administration.OK)
	for range 3 {
		o.tick(o.courier(always(workflow.Receipt{Verdict: workflow.Retry, Status: 409, Reason: "conflict"})), 1)
		o.exec(`UPDATE delivery SET next_attempt_at = now()`)
	}
	sees("tried three times", 0, 1, administration.Warn)
	o.exec(`UPDATE delivery SET queued_at = now() - interval '11 minutes'`)
	o.queue(o.newCase(), 1, "ehr")
	sees("after ten minutes", 1, 1, administration.Warn)
	o.tick(o.courier(always(delivered)), 2)
	sees("at the end", 0, 0, administration.OK)
}

func TestTheTenantsDestinationsAreListed(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr")
	pgtest.AddDestination(t, o.Database, pgtest.AddTenant(t, o.Database, "other"), "theirs", "http://127.0.0.1:9/fhir")
	o.tenantTx(func(tx pgx.Tx) error {
		got, err := workflow.DestinationsTx(t.Context(), tx)
		want := []workflow.Destination{{
			Name: "ehr", BaseURL: "http://127.0.0.1:9/fhir", Packaging: workflow.PackTransaction, Timeout: 10 * time.Second,
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		return err
	})
}

func TestNothingIsSentToADestinationThatIsPaused(t *testing.T) {
	t.Parallel()
	o := newOutbox(t, "ehr", "archive")
	c := o.newCase()
	o.queue(c, 1, "ehr")
	o.queue(c, 1, "archive")
	o.exec(`UPDATE destination SET paused_at = now(), paused_by = 'Sam', pause_reason = 'an upgrade' WHERE destination = 'ehr'`)
	courier := o.courier(func(context.Context, workflow.Parcel) workflow.Receipt { return delivered })
	o.tick(courier, 1)
	o.want("while it is paused", map[string]int{"ehr queued": 1, "archive done": 1})
	o.exec(`UPDATE destination SET paused_at = NULL, paused_by = NULL, pause_reason = NULL WHERE destination = 'ehr'`)
	o.tick(courier, 1)
	o.want("after it was resumed", map[string]int{"ehr done": 1, "archive done": 1})
}
