package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// A licence, privilege or credentialing that ends while its reader has open cases is
// told the coordinator, of each case that its reader may not go on with: so many days
// before as the policy says, and on its last day. It is looked for among the readers,
// since credentials change by many ways; what is told goes the way of what clocks say.

// The stages of ClockCredential.
const (
	endsSoon  = 50
	endsToday = 100 // and has ended, where that is seen later
)

// mostNotice is how many days before at most a policy has it told.
const mostNotice = 92

// inHand are the states in which somebody has a case whom it can be taken from.
var inHand = join(atWork, in(OnHold, Amending))

// ending is a day after which somebody may not go on with a case.
type ending struct {
	caseID uuid.UUID
	day    time.Time // when the last day begins for the reader
	stage  int
}

// holders are who has the case.
func (c *Case) holders() []uuid.UUID {
	if c.State == Amending {
		if id := c.responsible(ClockReverify); id != nil {
			return []uuid.UUID{*id}
		}
		return nil
	}
	return c.hands()
}

// lacking says which credentials for the case the reader does not have on a day.
func (c *Case) lacking(r Reader, on Date) []string {
	reasons := append(unlicensed(c.Exam, r, on), r.unprivileged(c.Exam, on)...)
	if c.AdjudicatorID != nil && *c.AdjudicatorID == r.ID && !r.is(IsAdjudicator, on) {
		reasons = append(reasons, Phrase("not credentialed to adjudicate"))
	}
	return reasons
}

// lastDays are the days on which something of the reader's credentials ends.
func (r Reader) lastDays() (days []Date) {
	note := func(to Date) {
		if to != "" && !slices.Contains(days, to) {
			days = append(days, to)
		}
	}
	note(r.ValidTo)
	for _, l := range r.Licences {
		note(l.ValidTo)
	}
	for _, s := range r.Privileges {
		note(s.ValidTo)
	}
	return days
}

// endings are what is to be told now of one who has the case.
func (c *Case) endings(r Reader, now time.Time) (due []ending) {
	for _, last := range r.lastDays() {
		day, err := time.ParseInLocation(time.DateOnly, string(last), zone(r.Zone))
		if err != nil || now.Before(day.AddDate(0, 0, -c.Policy.CredentialNoticeDays)) {
			continue
		}
		before := c.lacking(r, last)
		if !slices.ContainsFunc(c.lacking(r, DateOf(day.AddDate(0, 0, 1))), func(why string) bool { return !slices.Contains(before, why) }) {
			continue
		}
		stage := endsSoon
		if !now.Before(day) {
			stage = endsToday
		}
		due = append(due, ending{c.CaseID, day, stage})
	}
	return due
}

// CredentialTick tells of the credentials that end of those who have cases, and
// returns of how many cases it told. A tenant that fails does not keep the others.
func (e *Engine) CredentialTick(ctx context.Context) (told int, err error) {
	var tenants []uuid.UUID
	err = e.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT DISTINCT tenant_id FROM agenda WHERE `+pg.AtWork+` ORDER BY tenant_id`)
		if err != nil {
			return fmt.Errorf("tenants with cases: %w", err)
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	failures := []error{err}
	for _, tenant := range tenants {
		n := 0
		err := e.db.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
			n, err = e.tellOfCredentials(ctx, tx)
			return err
		})
		switch {
		case errors.Is(err, pg.ErrSuspended):
		case err != nil:
			failures = append(failures, fmt.Errorf("credentials of tenant %s: %w", tenant, err))
		default:
			told += n
		}
	}
	return told, errors.Join(failures...)
}

// tellOfCredentials tells what is due at the transaction's tenant. What was told and
// holds no more (the case has another reader, the licence was renewed) ends.
func (e *Engine) tellOfCredentials(ctx context.Context, tx pgx.Tx) (told int, err error) {
	due, err := endingsTx(ctx, tx, e.moment())
	if err != nil {
		return 0, err
	}
	for _, x := range due {
		done, err := e.tellOfCredential(ctx, tx, x)
		if err != nil {
			return 0, err
		}
		if done {
			told++
		}
	}
	cases, days := make([]uuid.UUID, len(due)), make([]time.Time, len(due))
	for i, x := range due {
		cases[i], days[i] = x.caseID, x.day
	}
	_, err = tx.Exec(ctx, `
		UPDATE escalation e
		SET ended_at = @now, next_at = NULL
		WHERE e.clock = @clock AND e.heeded_at IS NULL AND e.ended_at IS NULL
		  AND NOT EXISTS (
			SELECT FROM unnest(@cases::uuid[], @days::timestamptz[]) AS due (case_id, day)
			WHERE due.case_id = e.case_id AND due.day = e.clock_started_at)`,
		pgx.NamedArgs{"now": e.moment(), "clock": ClockCredential, "cases": cases, "days": days})
	if err != nil {
		return 0, fmt.Errorf("end what was told of credentials: %w", err)
	}
	return told, nil
}

// endingsTx are all that are due at the transaction's tenant.
func endingsTx(ctx context.Context, tx pgx.Tx, now time.Time) (due []ending, err error) {
	readers, err := queryReaders(ctx, tx, nil)
	if err != nil {
		return nil, err
	}
	known := map[uuid.UUID]Reader{}
	lasting := []uuid.UUID{} // of whom nothing ends so soon
	for _, r := range readers {
		known[r.ID] = r
		soon := DateOf(now.AddDate(0, 0, mostNotice+1))
		if !slices.ContainsFunc(r.lastDays(), func(day Date) bool { return day <= soon }) {
			lasting = append(lasting, r.ID)
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT `+caseColumns+`
		FROM case_file
		WHERE state = ANY (@states) AND EXISTS (
			SELECT FROM unnest(ARRAY[reader_id, other_reader_id, adjudicator_id, supervisor_id]) AS who
			WHERE who <> ALL (@lasting))
		ORDER BY case_id`, pgx.NamedArgs{"states": inHand, "lasting": lasting})
	if err != nil {
		return nil, fmt.Errorf("cases of readers whose credentials end: %w", err)
	}
	cases, err := pgx.CollectRows(rows, pgx.RowToStructByName[Case])
	if err != nil {
		return nil, fmt.Errorf("cases of readers whose credentials end: %w", err)
	}
	for _, c := range cases {
		for _, id := range c.holders() {
			if r, ok := known[id]; ok {
				due = append(due, c.endings(r, now)...)
			} else { // no reader any more: nobody knows since when
				due = append(due, ending{c.CaseID, c.OpenedAt, endsToday})
			}
		}
	}
	return due, nil
}

// tellOfCredential tells it, once: not while somebody else has the case, and not when
// it was told, or its last day was, before.
func (e *Engine) tellOfCredential(ctx context.Context, tx pgx.Tx, x ending) (done bool, err error) {
	c, err := tryLockCase(ctx, tx, x.caseID)
	if fault.Is(err, fault.NotFound) {
		return false, nil // the next tick comes
	}
	if err != nil || !slices.Contains(inHand, c.State) {
		return false, err
	}
	var before bool
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM case_event WHERE case_id = @case AND event IN ('warn', 'breach')
			AND detail->>'clock' = @clock AND (detail->>'percent')::integer >= @stage AND detail->>'ends' = @ends)`,
		pgx.NamedArgs{"case": c.CaseID, "clock": ClockCredential, "stage": x.stage, "ends": x.day.UTC().Format(time.RFC3339)}).Scan(&before)
	if err != nil {
		return false, fmt.Errorf("what was told of credentials: %w", err)
	}
	if before {
		return false, nil
	}
	event := Event("warn")
	if x.stage == endsToday {
		event = "breach"
	}
	_, err = e.fire(ctx, &turn{
		ledger: sqlLedger{tx}, tx: tx, actor: access.SystemActor(c.TenantID), c: &c, event: event, now: e.moment(),
		in:     Input{Clock: ClockCredential, Percent: x.stage, ClockStarted: &x.day},
		detail: map[string]any{"ends": x.day.UTC().Format(time.RFC3339)},
	})
	return err == nil, err
}

// InHandTx are the Tasks of the open cases of each reader, the oldest first.
func InHandTx(ctx context.Context, tx pgx.Tx) (map[uuid.UUID][]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT who, task_id, opened_at
		FROM case_file, unnest(ARRAY[reader_id, other_reader_id, offered_to, adjudicator_id]) AS who
		WHERE state = ANY ($1) AND who IS NOT NULL
		ORDER BY opened_at, task_id`, join(inHand, in(Offered)))
	if err != nil {
		return nil, fmt.Errorf("open cases by reader: %w", err)
	}
	all := map[uuid.UUID][]string{}
	var who uuid.UUID
	var task string
	var opened time.Time
	_, err = pgx.ForEachRow(rows, []any{&who, &task, &opened}, func() error {
		all[who] = append(all[who], task)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open cases by reader: %w", err)
	}
	return all, nil
}
