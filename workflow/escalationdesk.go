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
	from, after, err := placeOnDesk(f.After)
	if err != nil {
		return page, err
	}
	// Thousands may be late. Of one priority an index has them in order, so a page is filled
	// priority by priority.
	var lines []linePlace
	for rank, priority := range Priorities {
		if rank < from || f.Priority != "" && f.Priority != priority {
			continue
		}
		if rank > from {
			after = nil
		}
		of, err := linePlacesTx(ctx, tx, f, priority, after, f.Most+1-len(lines))
		if err != nil {
			return page, err
		}
		if lines = append(lines, of...); len(lines) > f.Most {
			break
		}
	}
	if page.Lines, err = linesTx(ctx, tx, lines); err != nil {
		return page, err
	}
	if len(page.Lines) > f.Most {
		page.Lines = page.Lines[:f.Most]
		page.Next = page.Lines[f.Most-1].place
	}
	return page, toldTx(ctx, tx, page.Lines)
}

// linePlace is where a line stands among those of its priority.
type linePlace struct {
	CaseID     uuid.UUID
	Clock      string
	DeadlineAt *time.Time // nil: behind all others
}

// noDeadline says in the place of a line that it has no deadline.
const noDeadline = 1<<53 - 1

// placeOnDesk is the place of a line again, and the rank of its priority.
func placeOnDesk(text string) (rank int, at *linePlace, err error) {
	if text == "" {
		return 0, nil, nil
	}
	parts := strings.SplitN(text, "~", 4)
	if len(parts) != 4 {
		return 0, nil, noDeskPlace()
	}
	rank, wrong1 := strconv.Atoi(parts[0])
	micros, wrong2 := strconv.ParseInt(parts[1], 10, 64)
	id, wrong3 := uuid.Parse(parts[2])
	if wrong1 != nil || wrong2 != nil || wrong3 != nil || micros < 0 || micros > noDeadline {
		return 0, nil, noDeskPlace()
	}
	at = &linePlace{CaseID: id, Clock: parts[3]}
	if micros < noDeadline {
		due := time.UnixMicro(micros)
		at.DeadlineAt = &due
	}
	return rank, at, nil
}

// linePlacesTx are the places of the first lines of a priority, after one of them. What is late is
// found by the index agenda_by_deadline; what was told of, and what is open on cases that have ended, is little.
func linePlacesTx(ctx context.Context, tx pgx.Tx, f EscalationFilter, priority string, after *linePlace, most int) ([]linePlace, error) {
	args := pgx.NamedArgs{"priority": priority, "clock": f.Clock, "matters": matterClocks, "most": most}
	ofClock, behind, behindLate := "", "", ""
	if f.Clock != "" {
		ofClock = ` AND split_part(substr(d.kind, 7), '/', 1) = @clock`
	}
	if after != nil {
		args["due"], args["id"], args["name"] = after.DeadlineAt, after.CaseID, after.Clock
		behind = ` AND (coalesce(due, 'infinity'), case_id, clock) > (coalesce(@due::timestamptz, 'infinity'), @id::uuid, @name)`
		behindLate = ` AND (d.deadline_at, d.case_id, d.kind) > (coalesce(@due::timestamptz, 'infinity'), @id::uuid, 'clock-' || @name)`
	}
	late := `d.tenant_id = overread_tenant() AND d.deadline_at <= now() AND d.remaining_s IS NULL AND c.priority = @priority` + ofClock // clocks alone have a deadline
	var arms []string
	if f.Which != OnlyLate {
		arms = append(arms, `
			SELECT DISTINCT e.case_id, e.clock, a.deadline_at AS due
			FROM escalation e
			JOIN case_file c ON c.tenant_id = e.tenant_id AND c.case_id = e.case_id
			LEFT JOIN agenda a ON a.tenant_id = e.tenant_id AND a.case_id = e.case_id AND a.kind = 'clock-' || e.clock
			WHERE e.tenant_id = overread_tenant() AND e.heeded_at IS NULL AND e.ended_at IS NULL AND c.priority = @priority
			  AND (@clock = '' OR split_part(e.clock, '/', 1) = @clock) AND `+onDesk("e"))
	}
	if f.Which != NobodyHeeded {
		arms = append(arms, `(
			SELECT d.case_id, substr(d.kind, 7) AS clock, d.deadline_at AS due
			FROM agenda d
			JOIN case_file c ON c.tenant_id = d.tenant_id AND c.case_id = d.case_id
			WHERE `+late+` AND `+notEnded+behindLate+`
			ORDER BY d.deadline_at, d.case_id, d.kind
			LIMIT @most)`, `
			SELECT d.case_id, substr(d.kind, 7), d.deadline_at
			FROM (SELECT DISTINCT tenant_id, case_id FROM matter WHERE tenant_id = overread_tenant() AND settled_at IS NULL) m
			JOIN case_file c ON c.tenant_id = m.tenant_id AND c.case_id = m.case_id
			JOIN agenda d ON d.tenant_id = m.tenant_id AND d.case_id = m.case_id
			WHERE `+late+` AND NOT (`+notEnded+`) AND split_part(substr(d.kind, 7), '/', 1) = ANY (@matters)`)
	}
	rows, err := tx.Query(ctx, `
		SELECT case_id, clock, due
		FROM (`+strings.Join(arms, ` UNION `)+`) l -- a clock that is late and was told of is one line: its deadline is the same
		WHERE true`+behind+`
		ORDER BY due NULLS LAST, case_id, clock
		LIMIT @most`, args)
	if err != nil {
		return nil, fmt.Errorf("desk of escalations: %w", err)
	}
	places, err := pgx.CollectRows(rows, pgx.RowToStructByPos[linePlace])
	if err != nil {
		return nil, fmt.Errorf("desk of escalations: %w", err)
	}
	return places, nil
}

// linesTx are the lines at these places, in their order.
func linesTx(ctx context.Context, tx pgx.Tx, places []linePlace) ([]LateClock, error) {
	var cases []uuid.UUID
	var clocks []string
	for _, p := range places {
		cases, clocks = append(cases, p.CaseID), append(clocks, p.Clock)
	}
	rows, err := tx.Query(ctx, `
		SELECT c.case_id, c.task_id, c.opened_at, c.state, c.priority, c.placer_value, coalesce(c.exam->>'display', ''), r.display, c.revealed_at IS NULL OR c.veiled,
		       l.clock, a.deadline_at, coalesce(a.remaining_s IS NOT NULL, false),
		       `+rankOf+` || '~' || coalesce((extract(epoch FROM a.deadline_at) * 1000000)::bigint, @none) || '~' || c.case_id || '~' || l.clock
		FROM unnest(@cases::uuid[], @clocks::text[]) WITH ORDINALITY AS l (case_id, clock, nth)
		JOIN case_file c ON c.tenant_id = overread_tenant() AND c.case_id = l.case_id
		LEFT JOIN agenda a ON a.tenant_id = c.tenant_id AND a.case_id = c.case_id AND a.kind = 'clock-' || l.clock
		LEFT JOIN reader r ON r.tenant_id = overread_tenant() AND r.reader_id = CASE WHEN c.state = 'offered' THEN c.offered_to WHEN c.state IN ('arbitration', 'adjudication') THEN c.adjudicator_id
			WHEN c.state = 'awaiting-cosign' THEN coalesce(c.supervisor_id, c.reader_id) ELSE c.reader_id END
		ORDER BY l.nth`, pgx.NamedArgs{"cases": cases, "clocks": clocks, "none": int64(noDeadline)})
	if err != nil {
		return nil, fmt.Errorf("desk of escalations: %w", err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l LateClock, err error) {
		return l, row.Scan(&l.CaseID, &l.TaskID, &l.OpenedAt, &l.State, &l.Priority, &l.Order, &l.Exam, &l.Reader, &l.Concealed, &l.Clock, &l.DeadlineAt, &l.Paused, &l.place)
	})
	if err != nil {
		return nil, fmt.Errorf("desk of escalations: %w", err)
	}
	return lines, nil
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
