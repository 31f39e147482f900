package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// item is one kind of row of the agenda: what the clock or the system has to
// do for a case, and in which states. A row is written by an effect, is taken
// away when the case leaves While, stands still in PausedIn and on hold, and
// goes on after it with the time that was left.
type item struct {
	Kind     string
	Clock    ClockName // of a clock; "" for a chore
	While    []State
	PausedIn []State
	Always   bool // also on hold, and never stands still
	Doc      string
	do       func(e *Engine, ctx context.Context, j job) (again time.Time, err error) // nil for a clock; zero: done
}

// The kinds that effects write.
const (
	intakeChecks       = "intake-checks"
	lookAgain          = "look-again"
	informationTimeout = "information-timeout"
	imagesGiveUp       = "images-give-up"
	match              = "match"
	matchAgain         = "match-again"
	awaitBatch         = "await-batch"
	broadenNext        = "broaden"
	offerExpiry        = "offer-expiry"
	escalateNext       = "escalate"
	openSample         = "open-sample"
	closeSample        = "close-sample"
	sampleFinding      = "sample-finding"
	sampleAlert        = "sample-alert"
	sampleTold         = "sample-told"
	conferTimeout      = "confer-timeout"
	findThird          = "find-third"
	whoRead            = "who-read-first"
)

// agenda is the table of them all. It is a function because its rows fire
// events, whose effects write its rows.
func agenda() []item {
	waiting := in(AwaitingInformation, AwaitingImages)
	intake := in(Received, IntakeReview, AwaitingInformation, AwaitingImages)
	return []item{
		{Kind: intakeChecks, While: in(Received), do: (*Engine).runChecks,
			Doc: "runs the intake checks and fires what they say; where the PACS has yet to say something, once it has"},
		{Kind: lookAgain, While: join(waiting, beforeReveal, in(Comparing, AwaitingCosign)), do: (*Engine).lookAgain,
			Doc: "runs the checks without a word, after 1 to 60 minutes and once after a hold, and fires what follows when they say something new"},
		{Kind: informationTimeout, While: in(Received, AwaitingInformation), do: (*Engine).timeOutInformation,
			Doc: "the wait of the policy is over: the case proceeds without what it may go on without"},
		{Kind: imagesGiveUp, While: intake, do: (*Engine).giveUpImages,
			Doc: "the images have not come within the policy's days: the case fails"},
		{Kind: match, While: in(Ready), do: (*Engine).match,
			Doc: "leaves the case in the pool, offers it to the best reader, or finds that nobody is eligible"},
		{Kind: matchAgain, While: in(Unassignable), do: (*Engine).matchAgain,
			Doc: "looks whether somebody has become eligible"},
		{Kind: awaitBatch, While: in(Ready), do: (*Engine).match,
			Doc: "is never due: the case waits for the next batch, which looks at the whole pool (batch.go)"},
		{Kind: broadenNext, While: join(in(Ready, Unassignable), third), do: (*Engine).broadenNext,
			Doc: "nobody could be found for so long: the next step of the policy's ladder"},
		{Kind: offerExpiry, While: in(Offered), do: (*Engine).expireOffer,
			Doc: "the reader has not answered: the next one is asked"},
		{Kind: conferTimeout, While: in(Conferring), do: (*Engine).timeOutConferring,
			Doc: "the two readers have not come to one text within the policy's time: a third decides"},
		{Kind: findThird, While: third, do: (*Engine).findThird,
			Doc: "looks whether anybody may be the third reader, while nobody has the case"},
		{Kind: escalateNext, While: anyTime, do: (*Engine).escalate,
			Doc: "nobody has taken note of what was told: the next one in the chain is told"},
		{Kind: openSample, While: join(signed, in(Amending)), do: (*Engine).openSample,
			Doc: "the final was drawn for a second read for quality, which begins now"},
		{Kind: closeSample, While: in(Final), do: (*Engine).closeSample,
			Doc: "a second read for quality is signed: it ends"},
		{Kind: sampleFinding, While: join(signed, in(Amending)), do: (*Engine).tellSampleFinding,
			Doc: "a second read for quality found something major: the report is opened for an amendment"},
		{Kind: sampleAlert, While: join(signed, in(Amending)), do: (*Engine).alertOfSample,
			Doc: "a second read for quality found something urgent or emergent: it is a finding of the case that was sampled"},
		{Kind: sampleTold, While: anyTime, do: (*Engine).settleTold,
			Doc: "looks whether a clinician has acknowledged, of the case that was sampled, what this second read for quality found"},
		{Kind: whoRead, While: join(signed, in(Amending)), do: (*Engine).lookWhoRead,
			Doc: "more is known of somebody who may have read the study first: looks whether it is one of those who had a part in the report"},
		clock(ClockIntake, intake, nil, "from the order to its completeness"),
		clock(ClockAssign, in(Ready, Unassignable, Offered), nil, "from completeness to a reader's acceptance"),
		clock(ClockFinal, unsigned, waiting, "from completeness to the signature, less the pauses"),
		{Kind: kindOf(ClockGross), Clock: ClockGross, While: join(unsigned, in(OnHold)), Always: true,
			Doc: "from the order to the signature, whatever it waits for, on hold too; only where the policy has a limit; fires as the others"},
		clock(ClockAdjudicate, in(Conferring, Arbitration, Adjudication), nil, "from the grade to the adjudicator's signature; where two read, from the second lock until they are one"),
		clock(ClockAcknowledge, in(Final, Amending), nil, "from the signature until the clinician has read it"),
		matterClock(ClockEmergent, "from an emergent finding until it is acknowledged"),
		matterClock(ClockUrgent, "from an urgent finding until it is acknowledged"),
		matterClock(ClockNonCritical, "from a non-critical finding until it is acknowledged"),
		matterClock(ClockQuestion, "from a question about the report until it is answered"),
		matterClock(ClockReverify, "from a change of the study after the signature until who signed has looked at it"),
	}
}

// matterClock is the clock of each matter of a family; the row of the agenda has
// the matter's number behind it (ClockName.family).
func matterClock(family ClockName, doc string) item {
	it := clock(family, anyTime, nil, doc+", one each, on hold too")
	it.Always = true
	return it
}

func clock(name ClockName, while, pausedIn []State, doc string) item {
	return item{Kind: kindOf(name), Clock: name, While: while, PausedIn: pausedIn, Doc: doc + "; fires warn at 50, 75 and 90 %, breach at 100 %"}
}

func kindOf(clock ClockName) string { return "clock-" + string(clock) }

// clock is the clock of the row.
func (r entry) clock() ClockName { return ClockName(strings.TrimPrefix(r.Kind, "clock-")) }

// entry is a row of the agenda.
type entry struct {
	TenantID   uuid.UUID
	CaseID     uuid.UUID
	Kind       string
	StartedAt  time.Time
	DueAt      *time.Time // nil: never, until something changes
	DeadlineAt *time.Time // clocks only: when 100 % is reached
	Stage      int        // clocks: percent that spoke last; chores: attempts
	RemainingS *float64   // seconds left when paused
}

// rowOf is the row of a kind among those of a case, nil where there is none.
func rowOf(rows []entry, kind string) *entry {
	if i := slices.IndexFunc(rows, func(row entry) bool { return row.Kind == kind }); i >= 0 {
		return &rows[i]
	}
	return nil
}

const entryColumns = `tenant_id, case_id, kind, started_at, nullif(due_at, 'infinity') AS due_at, deadline_at, stage, remaining_s`

// Whether a row that is already there stays as it is.
const (
	keepRunning = false
	restart     = true
)

// plan puts a chore on the agenda.
func (t *turn) plan(ctx context.Context, kind string, due time.Time, anew bool) error {
	return t.ledger.write(ctx, entry{TenantID: t.c.TenantID, CaseID: t.c.CaseID, Kind: kind, StartedAt: t.now, DueAt: &due}, anew)
}

// startClock puts a clock on the agenda, with its limit for the case.
func (t *turn) startClock(ctx context.Context, clock ClockName, anew bool) error {
	return t.startClockFrom(ctx, clock, t.now, anew)
}

func (t *turn) startClockFrom(ctx context.Context, clock ClockName, from time.Time, anew bool) error {
	cal, limit := t.c.Policy.Calendar, t.c.limit(clock)
	if limit.Length == 0 {
		return nil
	}
	deadline := cal.Add(from, limit)
	if anew {
		if err := t.ledger.endEscalations(ctx, t.c.CaseID, clock, t.now); err != nil {
			return err
		}
	}
	due := stageAt(cal, deadline, limit, stages[0])
	return t.ledger.write(ctx, entry{TenantID: t.c.TenantID, CaseID: t.c.CaseID, Kind: kindOf(clock), StartedAt: from, DueAt: &due, DeadlineAt: &deadline}, anew)
}

// startOf is when a clock of the case began, so that what is told of it ends with it;
// nil, where it does not run.
func (t *turn) startOf(ctx context.Context, clock ClockName) (*time.Time, error) {
	rows, err := t.ledger.entries(ctx, t.c.CaseID)
	if err != nil {
		return nil, err
	}
	row := rowOf(rows, kindOf(clock))
	if row == nil {
		return nil, nil
	}
	return &row.StartedAt, nil
}

func writeEntry(ctx context.Context, tx pgx.Tx, row entry, anew bool) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO agenda (tenant_id, case_id, kind, due_at, started_at, deadline_at)
		VALUES (@tenant_id, @case_id, @kind, coalesce(@due::timestamptz, 'infinity'), @now, @deadline)
		ON CONFLICT (tenant_id, case_id, kind) DO UPDATE
		SET due_at = EXCLUDED.due_at, started_at = EXCLUDED.started_at, deadline_at = EXCLUDED.deadline_at,
		    stage = 0, remaining_s = NULL
		WHERE @anew`,
		pgx.NamedArgs{"tenant_id": row.TenantID, "case_id": row.CaseID, "kind": row.Kind, "due": row.DueAt, "now": row.StartedAt, "deadline": row.DeadlineAt, "anew": anew})
	if err != nil {
		return fmt.Errorf("plan %s: %w", row.Kind, err)
	}
	return nil
}

// settle makes the agenda of a case fit its new state: rows that have no place
// in it go, those that stand still in it pause, the others run. The caller
// holds the case.
func (e *Engine) settle(ctx context.Context, l ledger, c *Case, now time.Time) error {
	entries, err := l.entries(ctx, c.CaseID)
	if err != nil {
		return err
	}
	rests := true // nobody is told further on hold, unless a matter is open
	if c.State == OnHold {
		open, err := hasOpen(ctx, l, c.CaseID, func(Matter) bool { return true })
		if err != nil {
			return err
		}
		rests = !open
	}
	for _, row := range entries {
		it, known := e.item(row.Kind)
		state, paused := c.State, false
		if state == OnHold {
			state, paused = *c.ResumeState, rests || row.Kind != escalateNext
		}
		paused = !it.Always && (paused || slices.Contains(it.PausedIn, state))
		switch {
		case !known || !slices.Contains(it.While, state):
			err = l.deleteEntry(ctx, row)
			if err == nil && it.Clock != "" {
				err = l.endEscalations(ctx, c.CaseID, row.clock(), now)
			}
		case paused && row.RemainingS == nil && row.DueAt != nil:
			err = l.updateEntry(ctx, it.pause(c, row, now))
		case !paused && row.RemainingS != nil:
			after := it.resume(c, row, now)
			err = l.updateEntry(ctx, after)
			if err == nil && row.Kind == escalateNext {
				err = l.putOffEscalations(ctx, c.CaseID, *after.DueAt)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pause takes the row off the clock and keeps how much time was left.
func (it item) pause(c *Case, row entry, now time.Time) entry {
	until := *row.DueAt
	if it.Clock != "" {
		until = *row.DeadlineAt
	}
	left := c.Policy.Calendar.Between(now, until, it.business(c)).Length.Seconds()
	row.DueAt, row.RemainingS = nil, &left
	return row
}

// resume puts the row back with the time that was left.
func (it item) resume(c *Case, row entry, now time.Time) entry {
	cal := c.Policy.Calendar
	left := Span{Length: time.Duration(*row.RemainingS * float64(time.Second)), Business: it.business(c)}
	until := cal.Add(now, left)
	row.DueAt, row.RemainingS = &until, nil
	if it.Clock != "" {
		row.DeadlineAt = &until
		next, _ := nextStage(row.Stage)
		due := stageAt(cal, until, c.limit(it.Clock), next)
		row.DueAt = &due
	}
	return row
}

func (it item) business(c *Case) bool { return it.Clock != "" && c.limit(it.Clock).Business }

// item finds a row of the table.
func (e *Engine) item(kind string) (item, bool) {
	kind, _, _ = strings.Cut(kind, "/")
	i := slices.IndexFunc(e.agenda, func(it item) bool { return it.Kind == kind })
	if i < 0 {
		return item{}, false
	}
	return e.agenda[i], true
}

func entriesTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]entry, error) {
	rows, err := tx.Query(ctx, `SELECT `+entryColumns+` FROM agenda WHERE case_id = $1`, caseID)
	if err != nil {
		return nil, fmt.Errorf("agenda: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByName[entry])
	if err != nil {
		return nil, fmt.Errorf("agenda: %w", err)
	}
	return entries, nil
}

func updateEntry(ctx context.Context, tx pgx.Tx, row entry) error {
	_, err := tx.Exec(ctx, `
		UPDATE agenda
		SET due_at = coalesce(@due, 'infinity'::timestamptz), deadline_at = @deadline, stage = @stage, remaining_s = @remaining
		WHERE case_id = @case_id AND kind = @kind`,
		pgx.NamedArgs{"case_id": row.CaseID, "kind": row.Kind, "due": row.DueAt, "deadline": row.DeadlineAt, "stage": row.Stage, "remaining": row.RemainingS})
	if err != nil {
		return fmt.Errorf("agenda %s: %w", row.Kind, err)
	}
	return nil
}

func deleteEntry(ctx context.Context, tx pgx.Tx, row entry) error {
	_, err := tx.Exec(ctx, `
		DELETE FROM agenda
		WHERE case_id = $1 AND kind = $2`, row.CaseID, row.Kind)
	if err != nil {
		return fmt.Errorf("agenda %s: %w", row.Kind, err)
	}
	return nil
}
