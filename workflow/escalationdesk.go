package workflow

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// LateClock is a clock of a case whose time is over, or of which somebody was told:
// a line of the desk of escalations. It names no patient.
type LateClock struct {
	CaseID     uuid.UUID
	TaskID     string
	OpenedAt   time.Time
	State      State
	Priority   string
	Order      string // the placer's number
	Exam       string
	Reader     *string // who has the case now, or is offered it
	Concealed  bool    // who reads is not to know the original yet
	Clock      ClockName
	DeadlineAt *time.Time // nil: the clock stands still, or is one of a reader's credential
	Paused     bool
	Told       []ToldLink `db:"-"` // the first first

	place string // in the order of the desk
}

// Number is the case's number, as people say it.
func (l LateClock) Number() string { return (Case{CaseID: l.CaseID, OpenedAt: l.OpenedAt}).Number() }

// Family is the kind of clock, without the number of its finding or question.
func (l LateClock) Family() string { return string(l.Clock.family()) }

// Open tells whether somebody was told, and nobody has taken note.
func (l LateClock) Open() bool {
	return slices.ContainsFunc(l.Told, func(t ToldLink) bool { return t.HeededAt == nil })
}

// NextAt is when the next one is told, nil where nobody comes next.
func (l LateClock) NextAt() (next *time.Time) {
	for _, t := range l.Told {
		if t.NextAt != nil && (next == nil || t.NextAt.Before(*next)) {
			next = t.NextAt
		}
	}
	return next
}

// ToldLink is one link of a chain that was told: whom, when, by which ways, and what
// came of it.
type ToldLink struct {
	Stage      int
	Rule       int // of Policy.rules, from 0
	Link       int // of its chain, from 0
	Reminder   int // which one it is, of the last in the chain of a pressing finding; 0 for none
	Tell       Addressee
	Person     *string // the reader, by name
	Ways       []Way
	ToldAt     time.Time
	NextAt     *time.Time
	NextTell   Addressee // who comes then; "" for nobody
	HeededAt   *time.Time
	HeededRole string
	HeededBy   *string // by name, where it was a reader
	Mails      MailCount
}

// MailCount is what became of the mails of a link.
type MailCount struct{ Sent, Waiting, Failed int }

// EscalationFilter says which lines of the desk are wanted.
type EscalationFilter struct {
	Priority string // "": every one
	Clock    string // a family of clocks; "": every one
	Which    EscalationWhich
	After    string // the place of the last line of the page before; "": from the beginning
	Most     int
}

// EscalationWhich tells lines apart by what was done.
type EscalationWhich string

// The kinds.
const (
	EverythingLate EscalationWhich = ""     // late, or told of
	NobodyHeeded   EscalationWhich = "open" // told of, and nobody has taken note
	OnlyLate       EscalationWhich = "late" // the deadline has passed
)

// LateClocks is a page of the desk.
type LateClocks struct {
	Lines []LateClock
	Next  string // the place after which the next page begins; "" at the end
}

// LateClocksTx are the clocks of the transaction's tenant that are late, or of which
// somebody was told and that have not ended: the most pressing case first, then the
// longest overdue. It refuses (Value) a place that is none.
func LateClocksTx(ctx context.Context, tx pgx.Tx, f EscalationFilter) (page LateClocks, err error) {
	args := pgx.NamedArgs{"most": f.Most + 1, "priority": f.Priority, "clock": f.Clock, "open": f.Which == NobodyHeeded, "late": f.Which == OnlyLate, "matters": matterClocks}
	after := ""
	if f.After != "" {
		parts := strings.SplitN(f.After, "~", 4)
		if len(parts) != 4 {
			return page, noDeskPlace()
		}
		rank, wrong1 := strconv.Atoi(parts[0])
		micros, wrong2 := strconv.ParseInt(parts[1], 10, 64)
		id, wrong3 := uuid.Parse(parts[2])
		if wrong1 != nil || wrong2 != nil || wrong3 != nil || micros < 0 || micros > 1<<53 {
			return page, noDeskPlace()
		}
		args["rank"], args["at"], args["id"], args["name"] = rank, micros, id, parts[3]
		after = `WHERE (rank, micros, case_id, clock) > (@rank, @at::bigint, @id::uuid, @name)`
	}
	//nolint:unqueryvet // of lines, which names its columns here
	rows, err := tx.Query(ctx, `
		WITH wanted AS (
			SELECT e.case_id, e.clock, a.deadline_at
			FROM escalation e
			LEFT JOIN agenda a ON a.tenant_id = e.tenant_id AND a.case_id = e.case_id AND a.kind = 'clock-' || e.clock
			WHERE e.tenant_id = overread_tenant() AND e.heeded_at IS NULL AND e.ended_at IS NULL AND NOT @late
			UNION -- a clock that is late and was told of is one line: its deadline is the same
			SELECT d.case_id, substr(d.kind, 7), d.deadline_at
			FROM agenda d
			WHERE d.tenant_id = overread_tenant() AND d.deadline_at <= now() AND d.remaining_s IS NULL AND NOT @open -- clocks alone have a deadline
		), places AS ( -- thousands: of each its place alone, from the index case_open; what has ended and is open is little
			SELECT w.case_id, w.clock, w.deadline_at, c.priority FROM wanted w JOIN case_file c ON c.tenant_id = overread_tenant() AND c.case_id = w.case_id
			WHERE `+notEnded+`
			UNION ALL
			SELECT w.case_id, w.clock, w.deadline_at, c.priority FROM wanted w JOIN case_file c ON c.tenant_id = overread_tenant() AND c.case_id = w.case_id
			WHERE NOT (`+notEnded+`) AND split_part(w.clock, '/', 1) = ANY (@matters)
		), lines AS MATERIALIZED (
			SELECT c.case_id, c.clock, `+rankOf+` AS rank,
			       coalesce((extract(epoch FROM c.deadline_at) * 1000000)::bigint, 9007199254740991) AS micros
			FROM places c
			WHERE (@priority = '' OR c.priority = @priority) AND (@clock = '' OR split_part(c.clock, '/', 1) = @clock)
		)
		SELECT c.case_id, c.task_id, c.opened_at, c.state, c.priority, c.placer_value, coalesce(c.exam->>'display', ''), r.display, c.revealed_at IS NULL OR c.veiled,
		       l.clock, a.deadline_at, coalesce(a.remaining_s IS NOT NULL, false), l.rank || '~' || l.micros || '~' || l.case_id || '~' || l.clock
		FROM (SELECT * FROM lines `+after+` ORDER BY rank, micros, case_id, clock LIMIT @most) l
		JOIN case_file c ON c.tenant_id = overread_tenant() AND c.case_id = l.case_id
		LEFT JOIN agenda a ON a.tenant_id = c.tenant_id AND a.case_id = c.case_id AND a.kind = 'clock-' || l.clock
		LEFT JOIN reader r ON r.tenant_id = overread_tenant() AND r.reader_id = CASE WHEN c.state = 'offered' THEN c.offered_to WHEN c.state IN ('arbitration', 'adjudication') THEN c.adjudicator_id
			WHEN c.state = 'awaiting-cosign' THEN coalesce(c.supervisor_id, c.reader_id) ELSE c.reader_id END
		ORDER BY l.rank, l.micros, l.case_id, l.clock`, args)
	if err != nil {
		return page, fmt.Errorf("desk of escalations: %w", err)
	}
	page.Lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l LateClock, err error) {
		return l, row.Scan(&l.CaseID, &l.TaskID, &l.OpenedAt, &l.State, &l.Priority, &l.Order, &l.Exam, &l.Reader, &l.Concealed, &l.Clock, &l.DeadlineAt, &l.Paused, &l.place)
	})
	if err != nil {
		return page, fmt.Errorf("desk of escalations: %w", err)
	}
	if len(page.Lines) > f.Most {
		page.Lines = page.Lines[:f.Most]
		page.Next = page.Lines[f.Most-1].place
	}
	return page, toldTx(ctx, tx, page.Lines)
}

// onDesk: the case has not ended, or the clock is of a matter, which outlives it.
func onDesk(of string) string {
	return `(` + notEnded + ` OR split_part(` + of + `.clock, '/', 1) = ANY (@matters))`
}

func noDeskPlace() error {
	return fault.New(fault.Value, "There is no such page of the desk. Please begin at its first page.")
}

// toldTx adds who was told of each line since its clock runs, and who is next by the
// policy that the case keeps.
func toldTx(ctx context.Context, tx pgx.Tx, lines []LateClock) error {
	at := map[string]int{}
	var cases []uuid.UUID
	for i, l := range lines {
		at[l.CaseID.String()+string(l.Clock)] = i
		if !slices.Contains(cases, l.CaseID) {
			cases = append(cases, l.CaseID)
		}
	}
	policies, err := policiesTx(ctx, tx, cases)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT e.case_id, e.clock, e.stage, e.rule, e.link, e.tell, r.display, e.ways, e.told_at, e.next_at, e.heeded_at, coalesce(v.actor_role, ''), h.display,
		       m.sent, m.waiting, m.failed
		FROM escalation e
		LEFT JOIN reader r ON r.tenant_id = e.tenant_id AND r.reader_id = e.person_id
		LEFT JOIN reader h ON h.tenant_id = e.tenant_id AND h.reader_id = e.heeded_by
		LEFT JOIN LATERAL (
			SELECT v.actor_role FROM case_event v
			WHERE v.tenant_id = e.tenant_id AND v.case_id = e.case_id AND v.event = 'heed' AND v.actor_id = e.heeded_by AND v.occurred_at <= e.heeded_at
			ORDER BY v.seq DESC LIMIT 1) v ON true
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE m.state = 'done') AS sent, count(*) FILTER (WHERE m.state = 'queued') AS waiting, count(*) FILTER (WHERE m.state = 'parked') AS failed
			FROM mail m
			WHERE m.tenant_id = e.tenant_id AND m.escalation_id = e.escalation_id) m
		WHERE e.tenant_id = overread_tenant() AND e.case_id = ANY (@cases) AND e.ended_at IS NULL
		ORDER BY e.told_at, e.stage, e.rule, e.link`, pgx.NamedArgs{"cases": cases})
	if err != nil {
		return fmt.Errorf("who was told: %w", err)
	}
	var id uuid.UUID
	var clock ClockName
	var t ToldLink
	_, err = pgx.ForEachRow(rows, []any{&id, &clock, &t.Stage, &t.Rule, &t.Link, &t.Tell, &t.Person, &t.Ways, &t.ToldAt, &t.NextAt, &t.HeededAt, &t.HeededRole, &t.HeededBy,
		&t.Mails.Sent, &t.Mails.Waiting, &t.Mails.Failed}, func() error {
		if i, wanted := at[id.String()+string(clock)]; wanted {
			one := t
			if p := policies[id]; p != nil {
				chain := p.chain(one.Rule, clock)
				one.Reminder = reminderNo(clock, one.Link, chain)
				if one.NextAt != nil && len(chain) > 0 { // beyond the end the last one is told again
					one.NextTell = chain[min(one.Link+1, len(chain)-1)].Tell
				}
			}
			lines[i].Told = append(lines[i].Told, one)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("who was told: %w", err)
	}
	return nil
}

// policiesTx are the policies that cases keep.
func policiesTx(ctx context.Context, tx pgx.Tx, cases []uuid.UUID) (map[uuid.UUID]*Policy, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id, policy
		FROM case_file
		WHERE tenant_id = overread_tenant() AND case_id = ANY ($1)`, cases)
	if err != nil {
		return nil, fmt.Errorf("policies of cases: %w", err)
	}
	all := map[uuid.UUID]*Policy{}
	var id uuid.UUID
	var p Policy
	_, err = pgx.ForEachRow(rows, []any{&id, &p}, func() error {
		kept := p
		all[id], p = &kept, Policy{}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("policies of cases: %w", err)
	}
	return all, nil
}
