package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// Of an emergent or urgent finding whoever is last in a chain is reminded until it is
// acknowledged: by links beyond the chain's end, each of which takes the place of the one
// before it. The pause begins with the limit of the finding and doubles each time, since
// who is told too often listens no more.
const (
	leastReminder = 15 * time.Minute
	mostReminder  = 24 * time.Hour
)

// pressingClocks are those of findings of which somebody is told until they are
// acknowledged.
var pressingClocks = []ClockName{ClockEmergent, ClockUrgent}

// Pressing tells whether it is one of them.
func (c ClockName) Pressing() bool { return slices.Contains(pressingClocks, c.family()) }

// chain is the chain of a rule by its number. Where a release of before has counted the
// default rules otherwise, it is the first chain about the clock.
func (p Policy) chain(rule int, clock ClockName) []Link {
	rules := p.rules()
	if rule < 0 || rule >= len(rules) {
		rule = slices.IndexFunc(rules, func(r Escalation) bool { return r.Clock == clock.family() })
	}
	if rule < 0 {
		return nil
	}
	return rules[rule].Chain
}

// reminderNo is which reminder a link of a chain is: 0 for none.
func reminderNo(clock ClockName, link int, chain []Link) int {
	if !clock.Pressing() {
		return 0
	}
	return max(link-(len(chain)-1), 0)
}

// nextLink is when the next link is told, or reminded, after one that was told then; nil
// for never.
func (c *Case) nextLink(clock ClockName, link int, chain []Link, told time.Time) *time.Time {
	last := len(chain) - 1
	switch {
	case last < 0 || link >= last && !clock.Pressing():
		return nil
	case link < last && chain[link].Wait == nil:
		return nil
	case link < last:
		next := c.Policy.Calendar.Add(told, *chain[link].Wait)
		return &next
	}
	pause := max(c.Policy.Calendar.Add(told, c.limit(clock)).Sub(told), leastReminder)
	for range reminderNo(clock, link, chain) {
		if pause *= 2; pause >= mostReminder {
			break
		}
	}
	next := told.Add(min(pause, mostReminder))
	return &next
}

// goesOn tells whether the same rule has another chain about the same clock that goes on:
// of a finding whose images may be another patient's the office is told at once, and again
// by its clock. Both lead to the same people, and one of them reminds.
func goesOn(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, told Told) (other bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM escalation
			WHERE case_id = @case AND clock = @clock AND clock_started_at = @started AND rule = @rule AND stage <> @stage
			  AND ended_at IS NULL AND next_at IS NOT NULL)`,
		pgx.NamedArgs{"case": caseID, "clock": told.Clock, "started": told.Started, "rule": told.Rule, "stage": told.Stage}).Scan(&other)
	if err != nil {
		return false, fmt.Errorf("does another chain go on: %w", err)
	}
	return other, nil
}

// endReminders ends what the last of a chain was told before they are told anew, and
// gives up the mails of it that have not gone.
func endReminders(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, told Told, last int) error {
	_, err := tx.Exec(ctx, `
		WITH ended AS (
			UPDATE escalation
			SET ended_at = @now, next_at = NULL
			WHERE case_id = @case AND clock = @clock AND clock_started_at = @started AND stage = @stage AND rule = @rule
			  AND link >= @last AND link < @link AND ended_at IS NULL
			RETURNING tenant_id, escalation_id
		)
		UPDATE mail m
		SET state = 'parked', reason = 'overtaken'
		FROM ended e
		WHERE m.tenant_id = e.tenant_id AND m.escalation_id = e.escalation_id AND m.state = 'queued' AND (m.lease_until IS NULL OR m.lease_until <= now())`,
		pgx.NamedArgs{"case": caseID, "clock": told.Clock, "started": told.Started, "stage": told.Stage, "rule": told.Rule, "last": last, "link": told.Link, "now": told.At})
	if err != nil {
		return fmt.Errorf("end reminders: %w", err)
	}
	return nil
}

// lostChain is a chain of an open emergent or urgent finding that nobody goes on with: a
// release without reminders has told its last link, or took the next one from the agenda
// and knew no link beyond the end, while both ran.
type lostChain struct {
	CaseID  uuid.UUID
	Clock   ClockName
	Started time.Time
	Stage   int
	Rule    int
	Link    int // the last that was told
	ToldAt  time.Time
	NextAt  *time.Time // it is the agenda that has forgotten it
}

// ReminderTick takes up the chains of emergent and urgent findings that were lost, and
// returns how many. It may run in any number of replicas, and be stopped at any time:
// each case is locked, and what goes on is lost no more. A tenant that fails does not
// keep the others.
func (e *Engine) ReminderTick(ctx context.Context) (taken int, err error) {
	var tenants []uuid.UUID
	err = e.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT DISTINCT tenant_id FROM agenda WHERE split_part(substr(kind, 7), '/', 1) = ANY ($1) AND `+pg.AtWork+` ORDER BY tenant_id`, pressingClocks)
		if err != nil {
			return fmt.Errorf("tenants with emergencies: %w", err)
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	failures := []error{err}
	for _, tenant := range tenants {
		var lost []lostChain
		err := e.db.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
			lost, err = lostChainsTx(ctx, tx, nil)
			return err
		})
		for i, one := range lost {
			if i > 0 && one.CaseID == lost[i-1].CaseID { // with the one before
				continue
			}
			n := 0
			err = errors.Join(err, e.db.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
				n, err = takeUp(ctx, tx, tenant, one.CaseID)
				return err
			}))
			taken += n
		}
		if err != nil && !errors.Is(err, pg.ErrSuspended) {
			failures = append(failures, fmt.Errorf("reminders of tenant %s: %w", tenant, err))
		}
	}
	return taken, errors.Join(failures...)
}

// lostChainsTx are those of the transaction's tenant, or of one case.
func lostChainsTx(ctx context.Context, tx pgx.Tx, caseID *uuid.UUID) ([]lostChain, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id, clock, started, stage, rule, link, told_at, next_at
		FROM (
			SELECT DISTINCT ON (e.case_id, e.clock, e.clock_started_at, e.stage, e.rule)
			       e.case_id, e.clock, e.clock_started_at AS started, e.stage, e.rule, e.link, e.told_at, e.next_at, e.ended_at
			FROM matter m
			JOIN escalation e ON e.tenant_id = m.tenant_id AND e.case_id = m.case_id AND e.clock = 'finding-' || m.category || '/' || m.matter_no
			WHERE m.tenant_id = overread_tenant() AND m.settled_at IS NULL AND split_part(e.clock, '/', 1) = ANY (@pressing)
			  AND (@case::uuid IS NULL OR m.case_id = @case)
			ORDER BY e.case_id, e.clock, e.clock_started_at, e.stage, e.rule, e.link DESC
		) last
		WHERE ended_at IS NULL
		  AND (next_at IS NULL OR NOT EXISTS (
			SELECT FROM agenda a WHERE a.tenant_id = overread_tenant() AND a.case_id = last.case_id AND a.kind = @kind))
		  AND NOT EXISTS (
			SELECT FROM escalation o
			WHERE o.tenant_id = overread_tenant() AND o.case_id = last.case_id AND o.clock = last.clock AND o.clock_started_at = last.started
			  AND o.rule = last.rule AND o.stage <> last.stage AND last.next_at IS NULL AND o.ended_at IS NULL AND o.next_at IS NOT NULL)
		ORDER BY case_id, clock, started, rule, stage DESC`,
		pgx.NamedArgs{"pressing": pressingClocks, "case": caseID, "kind": escalateNext})
	if err != nil {
		return nil, fmt.Errorf("lost chains: %w", err)
	}
	lost, err := pgx.CollectRows(rows, pgx.RowToStructByName[lostChain])
	if err != nil {
		return nil, fmt.Errorf("lost chains: %w", err)
	}
	return lost, nil
}

// takeUp has the lost chains of a case go on as if they had never stopped: at once, where
// the time of the next link has passed. A case that somebody has is left to the next tick.
func takeUp(ctx context.Context, tx pgx.Tx, tenant, caseID uuid.UUID) (taken int, err error) {
	c, err := tryLockCase(ctx, tx, caseID)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil || !slices.Contains(anyTime, c.State) {
		return 0, err
	}
	lost, err := lostChainsTx(ctx, tx, &caseID)
	if err != nil {
		return 0, err
	}
	for i, one := range lost {
		if i > 0 && one.Clock == lost[i-1].Clock && one.Started.Equal(lost[i-1].Started) && one.Rule == lost[i-1].Rule {
			continue // both chains of the rule were lost: one goes on
		}
		next := one.NextAt
		if next == nil {
			next = c.nextLink(one.Clock, one.Link, c.Policy.chain(one.Rule, one.Clock), one.ToldAt)
		}
		if next == nil {
			continue
		}
		_, err := tx.Exec(ctx, `
			UPDATE escalation
			SET next_at = @next
			WHERE case_id = @case AND clock = @clock AND clock_started_at = @started AND stage = @stage AND rule = @rule AND link = @link AND ended_at IS NULL`,
			pgx.NamedArgs{"case": caseID, "clock": one.Clock, "started": one.Started, "stage": one.Stage, "rule": one.Rule, "link": one.Link, "next": next})
		if err != nil {
			return 0, fmt.Errorf("take up a chain: %w", err)
		}
		taken++
	}
	if taken == 0 {
		return 0, nil
	}
	due, err := nextEscalation(ctx, tx, caseID)
	if err != nil || due == nil {
		return 0, err
	}
	return taken, writeEntry(ctx, tx, entry{TenantID: tenant, CaseID: caseID, Kind: escalateNext, StartedAt: lost[0].ToldAt, DueAt: due}, restart)
}
