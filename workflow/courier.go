package workflow

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// Courier carries the queued deliveries to their destinations. Any number of
// couriers, in any number of processes, may work on one database.
//
// Each attempt is three steps: claim (a short transaction), send (no
// transaction is open while the network is slow), record (a second short
// transaction, fenced by the epoch of the lease). A courier that dies in
// between leaves a lease that runs out; the next one sends the same bytes
// again, which the destination applies to the same effect.
type Courier struct {
	db    *pg.DB
	send  func(context.Context, Parcel) Receipt
	ended func(context.Context, pgx.Tx, Parcel, Receipt) error
	now   func() time.Time
	log   *slog.Logger
}

// How a courier works.
const (
	courierSlots = 64                     // parcels under way at once, to all destinations together
	courierPoll  = 250 * time.Millisecond // how often it looks for more while some are under way
	courierGrace = 3 * time.Second        // what is under way when it is stopped may finish within
	recordWithin = 5 * time.Second
)

// NewCourier makes a courier that sends with the given function. The function
// is called without a transaction, from many goroutines, with a context that
// ends at the destination's timeout.
func NewCourier(db *pg.DB, send func(context.Context, Parcel) Receipt, now func() time.Time, log *slog.Logger) *Courier {
	return &Courier{db: db, send: send, now: now, log: log,
		ended: func(context.Context, pgx.Tx, Parcel, Receipt) error { return nil }}
}

// Use has a function called in the transaction that records that a delivery was
// taken or refused for good, as the tenant. Once, before anything is sent.
func (c *Courier) Use(ended func(context.Context, pgx.Tx, Parcel, Receipt) error) { c.ended = ended }

// Run delivers until the context ends, looking for new deliveries all the time.
func (c *Courier) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := c.Tick(ctx); err != nil && ctx.Err() == nil {
			c.log.ErrorContext(ctx, "courier", "error", pg.Describe(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(courierPoll):
		}
	}
}

// Tick sends all that is due, and what becomes due meanwhile, and returns when
// nothing is due or under way any more, with the number of attempts made. When
// the context ends, it claims no more and gives back what does not finish
// within courierGrace.
func (c *Courier) Tick(ctx context.Context) (sent int, err error) {
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(courierGrace, giveUp) })()

	arrived := make(chan error, courierSlots)
	underway := 0
	for {
		if err == nil && ctx.Err() == nil && underway < courierSlots {
			var parcels []Parcel
			if parcels, err = claim(ctx, c.db, courierSlots-underway); ctx.Err() != nil {
				err = nil // stopped, not failed; what was leased nonetheless runs out
			}
			for _, p := range parcels {
				underway++
				go func() { arrived <- c.carry(sending, p) }()
			}
		}
		if underway == 0 {
			return sent, err
		}
		select {
		case failed := <-arrived:
			underway, sent, err = underway-1, sent+1, errors.Join(err, failed)
		case <-time.After(courierPoll):
		}
		for len(arrived) > 0 {
			underway, sent, err = underway-1, sent+1, errors.Join(err, <-arrived)
		}
	}
}

// carry makes one attempt and records what came of it.
func (c *Courier) carry(ctx context.Context, p Parcel) error {
	started := c.now()
	attempt, cancel := context.WithTimeout(ctx, p.To.Timeout)
	r := c.send(attempt, p)
	cancel()
	took := c.now().Sub(started)
	if ctx.Err() != nil && r.Verdict == Retry {
		r = Receipt{Verdict: Released, Reason: "shutdown"}
	}
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	err := c.record(recording, p, r, took)
	if fault.Is(err, fault.Conflict) {
		r.Reason, err = "fenced: "+r.Reason, nil // the other courier's outcome counts
	}
	c.note(ctx, p, r, took)
	return err
}

// note logs an attempt: ids and codes, nothing that the destination wrote.
func (c *Courier) note(ctx context.Context, p Parcel, r Receipt, took time.Duration) {
	level := slog.LevelInfo
	if r.Verdict != Delivered {
		level = slog.LevelWarn
	}
	c.log.Log(ctx, level, "delivery", "tenant", p.TenantID, "case", p.CaseID, "report_no", p.ReportNo,
		"destination", p.Destination, "attempt", p.Attempt, "outcome", r.Verdict, "status", r.Status,
		"reason", r.Reason, "ms", took.Milliseconds())
}
