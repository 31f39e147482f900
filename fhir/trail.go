package fhir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/puddle/v2"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// How AuditEvents of reads wait for the database. Whoever reads has a place in
// the queue before they are answered; what is in it is written in batches.
const (
	trailDelay = 250 * time.Millisecond // the longest that an event waits, when the database works
	trailBatch = 200                    // so many are written at once
	trailRoom  = 5000                   // events that may wait, or are being written
)

// trail is the queue of AuditEvents of accesses that change nothing, and so have
// no transaction to be written in. It has no goroutine of its own while it is
// empty. When the process is killed, what it holds is lost: at most what was read
// in the last moments. When the database refuses, it fills, and then nothing more
// is read: an access that cannot be recorded is refused.
type trail struct {
	write func(ctx context.Context, tenant uuid.UUID, events []recordedEvent) error
	delay time.Duration
	batch int
	room  int

	writing sync.Mutex // held by who writes

	mu      sync.Mutex // holds what follows
	waiting []recordedEvent
	places  int // taken: reserved, waiting, or being written
	timer   *time.Timer
	closed  bool
}

func newTrail(s *Server) *trail {
	return &trail{write: s.writeTrail, delay: trailDelay, batch: trailBatch, room: trailRoom}
}

// writeTrail writes events of one tenant.
func (s *Server) writeTrail(ctx context.Context, tenant uuid.UUID, events []recordedEvent) error {
	return s.db.Finish(ctx, tenant, func(tx pgx.Tx) error { return putEvents(ctx, tx, events) })
}

// reserve takes a place for one event. When all are taken it writes what waits
// itself; it returns a fault of kind Unavailable when the database refuses that.
// Whoever has a place gives it to put or to release.
func (t *trail) reserve(ctx context.Context) error {
	for !t.takePlace() {
		err := t.flush(ctx)
		if err == nil && !t.full() {
			continue
		}
		if err == nil { // all places are those of accesses that still run
			err = pause(ctx)
		}
		if err != nil {
			return &fault.Error{Issues: []fault.Issue{{Kind: fault.Unavailable,
				Text: "what is read is recorded, and the records cannot be kept at the moment: try again"}}, Cause: err}
		}
	}
	return nil
}

// takePlace takes a place, if one is free.
func (t *trail) takePlace() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.places >= t.room {
		return false
	}
	t.places++
	return true
}

func (t *trail) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.places >= t.room
}

// pause lets others give their places back.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Millisecond):
		return nil
	}
}

// release gives a place back that was not needed.
func (t *trail) release() {
	t.mu.Lock()
	t.places--
	t.mu.Unlock()
}

// put adds an event at a reserved place, and sees that it is written in time.
func (t *trail) put(e recordedEvent) {
	t.mu.Lock()
	t.waiting = append(t.waiting, e)
	full := len(t.waiting)%t.batch == 0
	t.schedule()
	t.mu.Unlock()
	if full {
		go func() { _ = t.flush(context.Background()) }() // what fails stays, and the timer tries again
	}
}

// schedule starts the timer unless it runs. t.mu is held.
func (t *trail) schedule() {
	if t.timer == nil && !t.closed {
		t.timer = time.AfterFunc(t.delay, func() {
			t.mu.Lock()
			t.timer = nil
			t.mu.Unlock()
			_ = t.flush(context.Background())
		})
	}
}

// flush writes all that waits. What cannot be written waits on.
func (t *trail) flush(ctx context.Context) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.mu.Lock()
	events := t.waiting
	t.waiting = nil
	t.mu.Unlock()

	var failed error
	var kept []recordedEvent
	for len(events) > 0 {
		tenant := events[0].tenant
		var own, others []recordedEvent
		for _, e := range events {
			if e.tenant == tenant {
				own = append(own, e)
			} else {
				others = append(others, e)
			}
		}
		events = others
		for batch := range slices.Chunk(own, t.batch) {
			if err := t.write(ctx, tenant, batch); err != nil {
				failed, kept = err, append(kept, batch...)
				continue
			}
			t.mu.Lock()
			t.places -= len(batch)
			t.mu.Unlock()
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(kept, t.waiting...)
	if errors.Is(failed, puddle.ErrClosedPool) {
		t.closed = true
	}
	if len(t.waiting) > 0 {
		t.schedule()
	}
	return failed
}

// Flush writes the AuditEvents that still wait. It is called when no more
// requests are served and before the database is closed. An error says how many
// are lost if the process ends now.
func (s *Server) Flush(ctx context.Context) error {
	err := s.trail.flush(ctx)
	if err != nil {
		s.trail.mu.Lock()
		defer s.trail.mu.Unlock()
		return fmt.Errorf("%d AuditEvents of reads could not be written: %s", len(s.trail.waiting), pg.Describe(err))
	}
	return nil
}
