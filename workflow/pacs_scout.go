package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// Scout looks the studies of cases up in their tenants' PACS. Any number of
// scouts, in any number of processes, may work on one database.
//
// Each look is three steps, as a delivery is (courier.go): claim (a short
// transaction), ask (no transaction is open while the network is slow), record
// (a second transaction, fenced by the epoch of the lease), in which the case is
// checked again.
type Scout struct {
	db     *pg.DB
	engine *Engine
	ask    func(context.Context, Archive, Inquiry) Sighting
	log    *slog.Logger
}

const scoutSlots = 16 // looks under way at once, in all PACS together

// NewScout makes a scout that asks with the given function. The function is
// called without a transaction, from many goroutines, with a context that ends
// at the PACS's timeout.
func NewScout(db *pg.DB, engine *Engine, ask func(context.Context, Archive, Inquiry) Sighting, log *slog.Logger) *Scout {
	return &Scout{db: db, engine: engine, ask: ask, log: log}
}

// Tick looks up what is due, and what becomes due meanwhile, and returns when
// nothing is due or under way any more, with the number of looks: one slow PACS
// does not keep the other tenants.
func (s *Scout) Tick(ctx context.Context) (looked int, err error) {
	arrived := make(chan error, scoutSlots)
	underway := 0
	for {
		if err == nil && ctx.Err() == nil && underway < scoutSlots {
			var errands []errand
			if errands, err = claimLooks(ctx, s.db, scoutSlots-underway); ctx.Err() != nil {
				err = nil // stopped, not failed; what was leased nonetheless runs out
			}
			for _, e := range errands {
				underway++
				go func() { arrived <- s.run(ctx, e) }()
			}
		}
		if underway == 0 {
			return looked, err
		}
		select {
		case failed := <-arrived:
			underway, looked, err = underway-1, looked+1, errors.Join(err, failed)
		case <-time.After(courierPoll):
		}
	}
}

// run asks every PACS of the tenant, and records the answer that says most.
func (s *Scout) run(ctx context.Context, e errand) error {
	all := make([]Sighting, len(e.Archives))
	var best Sighting
	for i, archive := range e.Archives {
		all[i] = s.look(ctx, archive, e)
		if ctx.Err() != nil {
			return nil // we are stopped: the lease runs out, and it is looked again
		}
		if best.Answer == "" || all[i].outweighs(best) {
			best = all[i]
		}
	}
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	err := s.record(recording, e, best, all)
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) || errors.Is(err, pg.ErrSuspended) {
		return nil // the case wants something else by now, or nothing for a while
	}
	return err
}

// look asks one PACS, unless it rests.
func (s *Scout) look(ctx context.Context, a Archive, e errand) Sighting {
	if a.Resting {
		return Sighting{Answer: PACSUnreachable, Reason: "resting"}
	}
	started := s.engine.now()
	asking, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	one := s.ask(asking, a, e.Inquiry)
	s.note(ctx, a, e, one, s.engine.now().Sub(started))
	return one
}

// outweighs: a study that was found counts most, the one with more instances
// more; then several studies; then that a PACS could not be asked, since it may
// have the study.
func (s Sighting) outweighs(other Sighting) bool {
	rank := []PACSAnswer{PACSAbsent, PACSUnreadable, PACSRefused, PACSUnreachable, PACSAmbiguous, PACSFound}
	mine, its := slices.Index(rank, s.Answer), slices.Index(rank, other.Answer)
	return mine > its || mine == its && s.Study.Instances > other.Study.Instances
}

// note logs a look: ids and codes, nothing that the PACS wrote.
func (s *Scout) note(ctx context.Context, a Archive, e errand, one Sighting, took time.Duration) {
	level := slog.LevelInfo
	if one.sick() {
		level = slog.LevelWarn
	}
	s.log.Log(ctx, level, "PACS asked", "tenant", e.TenantID, "case", e.CaseID, "pacs", a.Name,
		"answer", one.Answer, "status", one.Status, "reason", one.Reason, "ms", took.Milliseconds())
}

// record writes the answer down and lets the checks look at it. It returns a
// fault of kind Conflict when the lease has gone to another scout, or the order
// means another study by now.
func (s *Scout) record(ctx context.Context, e errand, best Sighting, all []Sighting) error {
	return s.db.Tenant(ctx, e.TenantID, func(tx pgx.Tx) error {
		c, err := lockCase(ctx, tx, e.CaseID) // before the look: the order in which the checks lock them
		if err != nil {
			return err
		}
		tries, growing, err := recordLookTx(ctx, tx, e, best, c.Policy.imagesSteady())
		if err != nil {
			return err
		}
		for i, one := range all {
			if e.Archives[i].Resting {
				continue
			}
			if err := recordPACSHealthTx(ctx, tx, e.Archives[i], one); err != nil {
				return err
			}
		}
		switch {
		case c.State == Received:
			err = wakeChecksTx(ctx, tx, c)
		case slices.Contains(lookedAtAfter, c.State):
			if best.Answer == PACSFound {
				err = s.engine.studyChanged(ctx, job{ledger: sqlLedger{tx}, tx: tx, c: &c, now: s.engine.moment()}, best.Study.Instances, false)
			}
		default:
			err = s.engine.reconsider(ctx, job{ledger: sqlLedger{tx}, tx: tx, c: &c, now: s.engine.moment()})
		}
		if err != nil {
			return err
		}
		pause := pacsPause(best, tries, growing, c.Priority)
		if slices.Contains(lookedAtAfter, c.State) && !best.sick() {
			pause = pauseAfterSigning(c, s.engine.moment())
		}
		return planLookTx(ctx, tx, c, pause)
	})
}

func recordLookTx(ctx context.Context, tx pgx.Tx, e errand, s Sighting, steadyMinutes int) (tries int, growing bool, err error) {
	var seen *StudyInPACS
	if s.Answer == PACSFound {
		seen = &s.Study
	}
	err = tx.QueryRow(ctx, `
		UPDATE pacs_look
		SET tries = CASE WHEN answer = @answer AND instances IS NOT DISTINCT FROM @instances THEN tries + 1 ELSE 0 END,
		    counted_since = CASE WHEN answer = 'found' AND @answer = 'found' AND instances = @instances THEN counted_since ELSE now() END,
		    answer = @answer, instances = @instances, seen = @seen, looked_at = now(), lease_until = NULL
		WHERE case_id = @case AND epoch = @epoch
		RETURNING tries, answer = 'found' AND now() - counted_since < make_interval(mins => @steady)`,
		pgx.NamedArgs{"case": e.CaseID, "epoch": e.Epoch, "answer": s.Answer, "instances": s.Study.Instances, "seen": seen, "steady": steadyMinutes}).
		Scan(&tries, &growing)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, fault.New(fault.Conflict, "the lease of this look has gone to another scout")
	}
	if err != nil {
		return 0, false, fmt.Errorf("record the look: %w", err)
	}
	return tries, growing, nil
}

// wakeChecksTx makes checks that waited for the PACS run now.
func wakeChecksTx(ctx context.Context, tx pgx.Tx, c Case) error {
	_, err := tx.Exec(ctx, `
		UPDATE agenda
		SET due_at = now()
		WHERE case_id = $1 AND kind = $2 AND due_at > now() AND remaining_s IS NULL`, c.CaseID, intakeChecks)
	if err != nil {
		return fmt.Errorf("wake the checks: %w", err)
	}
	return nil
}

// planLookTx says when the PACS is asked again: never, once the case has gone on.
func planLookTx(ctx context.Context, tx pgx.Tx, c Case, pause time.Duration) error {
	_, err := tx.Exec(ctx, `
		UPDATE pacs_look
		SET due_at = CASE WHEN @waits THEN now() + @pause::interval END
		WHERE case_id = @case`,
		pgx.NamedArgs{"case": c.CaseID, "waits": pause > 0 && slices.Contains(lookedAt, c.State), "pause": pause})
	if err != nil {
		return fmt.Errorf("plan the next look: %w", err)
	}
	return nil
}

// recordPACSHealthTx keeps the PACS's circuit breaker: after breakerTrip failures
// with no answer in between it rests, then one look probes it, and each failed
// probe lets it rest for longer. One that asks for a pause (Retry-After) gets it.
func recordPACSHealthTx(ctx context.Context, tx pgx.Tx, a Archive, s Sighting) error {
	_, err := tx.Exec(ctx, `
		UPDATE pacs
		SET failures = CASE WHEN @sick THEN failures + 1 ELSE 0 END,
		    breaker_until = CASE
		        WHEN @wait::interval > interval '0' THEN now() + @wait::interval
		        WHEN @sick AND failures + 1 >= @trip
		        THEN now() + make_interval(secs => (0.5 + random() / 2) * least(@max, @first * 2 ^ least(failures + 1 - @trip, 20)))
		        WHEN @sick THEN breaker_until
		    END
		WHERE pacs = @pacs AND (@sick OR failures > 0 OR breaker_until IS NOT NULL)`,
		pgx.NamedArgs{"pacs": a.Name, "sick": s.sick(), "wait": s.Wait, "trip": breakerTrip, "first": breakerFirst.Seconds(), "max": breakerMax.Seconds()})
	if err != nil {
		return fmt.Errorf("record the PACS's health: %w", err)
	}
	return nil
}
