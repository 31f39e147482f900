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

// BoardCase is a case on the board of whoever coordinates. It names no patient.
type BoardCase struct {
	CaseID    uuid.UUID
	TaskID    string
	OpenedAt  time.Time
	State     State
	Priority  string
	Order     string // the placer's number
	Exam      string
	Modality  string
	WaitsFor  string     // one of BoardParties; "" once it has ended, and nothing is open on it
	Reason    string     // why it waits: the code of an intake finding, "nobody-eligible", "held" ..., of what has ended the clock of what is open; "" where the state says it all
	Since     time.Time  // it waits so
	Due       *time.Time // the nearest of its deadlines that runs, or has passed
	Reader    *string    // who has it or is offered it now, or signed it
	Escalated bool       // somebody was told of a clock of it, and nobody has taken note
	Sample    bool       // a second read for quality

	place string // in the order of the board
}

// Number is the case's number, as people say it.
func (b BoardCase) Number() string { return (Case{CaseID: b.CaseID, OpenedAt: b.OpenedAt}).Number() }

// BoardParties are for whom or what a case may wait, as the board tells it.
var BoardParties = []string{"placer", "coordinator", "reader", "adjudicator", "supervisor", "clinician", "system"}

// boardParty says for whom a case waits in a state in which no time of waiting is
// counted (wait.go), or by whom it is counted there.
var boardParty = map[State]string{
	Received: "system", Ready: "reader", Offered: "reader", Accepted: "reader", Reading: "reader", Conferring: "reader",
	Locked: "reader", Comparing: "reader", Amending: "reader", Arbitration: "adjudicator", Adjudication: "adjudicator",
	AwaitingCosign: "supervisor", Final: "clinician",
}

// partyWords are the parties of wait.go as the board calls them.
var partyWords = map[Party]string{WaitsForPlacer: "placer", WaitsForFiller: "coordinator", WaitsForSystem: "system"}

// BoardSort is in which order a board is.
type BoardSort string

// The orders.
const (
	ByPressing BoardSort = "pressing" // the priority, then the oldest
	ByDue      BoardSort = "due"      // the nearest deadline; without those that have none
	ByNewest   BoardSort = "newest"
)

// BoardSorts are all of them.
var BoardSorts = []BoardSort{ByPressing, ByDue, ByNewest}

// BoardFilter says which cases of a board are wanted.
type BoardFilter struct {
	States   []State // none: all that have not ended, and those on which something is open
	Ended    bool    // without States: those that have ended too
	Priority string  // "": every one
	Party    string  // of BoardParties; "": every one
	Sort     BoardSort
	Cases    []uuid.UUID // these alone; nil: every one
	Number   string      // those of this order, accession or case; "": every one
	After    string      // the place of the last case of the page before; "": from the beginning
	Most     int
}

// Board is a page of the board.
type Board struct {
	Cases []BoardCase
	Next  string // the place after which the next page begins; "" at the end
}

// BoardPage is a page of the board with what waits besides.
type BoardPage struct {
	Board
	Counts DeskCounts
	Zone   *time.Location // of the tenant
}

// rankOf is the rank of a priority; the indexes case_board and case_by_state are by it.
const rankOf = `(CASE c.priority WHEN 'stat' THEN 0 WHEN 'asap' THEN 1 WHEN 'urgent' THEN 2 ELSE 3 END)`

// notEnded is word for word the condition of the index case_board.
const notEnded = `c.state NOT IN ('closed', 'rejected', 'cancelled', 'failed', 'entered-in-error')`

// Ended tells whether a case is over in the state, but for what is open on it besides.
func (s State) Ended() bool {
	return slices.Contains(in(Closed, Rejected, Cancelled, Failed, EnteredInError), s)
}

// openAtTheEnd: the case has ended, and something is open on it all the same: somebody
// bleeds though the order was cancelled, or a closed report is of fewer images than there
// are. Such cases are few, and found by what is open (index matter_open).
const openAtTheEnd = `NOT (` + notEnded + `) AND c.case_id IN (SELECT m.case_id FROM matter m WHERE m.tenant_id = overread_tenant() AND m.settled_at IS NULL)`

// openMatter is the most pressing matter that is open on case c: for whom it waits, and
// by which kind of clock.
const openMatter = `
	SELECT CASE WHEN m.kind = 'finding' THEN 'clinician' WHEN m.content->>'sameReader' = 'true' THEN 'supervisor' ELSE 'reader' END AS party,
	       CASE m.kind WHEN 'finding' THEN 'finding-' || m.category WHEN 'verification' THEN 'reverify' ELSE m.kind END AS reason, m.opened_at
	FROM matter m
	WHERE m.tenant_id = c.tenant_id AND m.case_id = c.case_id AND m.settled_at IS NULL
	ORDER BY CASE WHEN m.category = 'emergent' THEN 0 WHEN m.category = 'urgent' THEN 1 WHEN m.kind = 'verification' THEN 2 WHEN m.kind = 'question' THEN 3 ELSE 4 END, m.matter_no
	LIMIT 1`

// BoardTx is a page of the cases of the transaction's tenant. It refuses (Value) a
// place that is none.
func BoardTx(ctx context.Context, tx pgx.Tx, f BoardFilter) (Board, error) {
	if f.Number != "" {
		var err error
		if f.Cases, err = numberedTx(ctx, tx, f.Number, f.Most); err != nil {
			return Board{}, err
		}
	}
	q := boardQuery{args: pgx.NamedArgs{"most": f.Most + 1}}
	if f.Party != "" && f.Sort != ByDue && f.Sort != ByNewest {
		if err := q.countWaiting(ctx, tx, f.Party); err != nil {
			return Board{}, err
		}
	}
	if err := q.build(f); err != nil {
		return Board{}, err
	}
	rows, err := tx.Query(ctx, `
		WITH page AS MATERIALIZED (
			SELECT c.tenant_id, c.case_id, c.task_id, c.opened_at, c.state, c.priority, c.placer_value, c.exam, c.sample_of, c.closed_at,
			       CASE WHEN c.state = 'offered' THEN c.offered_to WHEN c.state IN ('arbitration', 'adjudication') THEN c.adjudicator_id
			            WHEN c.state = 'awaiting-cosign' THEN coalesce(c.supervisor_id, c.reader_id) ELSE c.reader_id END AS has_it,
			       `+q.place+` AS place, row_number() OVER (ORDER BY `+q.order+`) AS nth
			FROM `+q.source()+`
			ORDER BY `+q.order+`
			LIMIT @most
		)
		SELECT c.case_id, c.task_id, c.opened_at, c.state, c.priority, c.placer_value AS "order", c.place,
		       coalesce(c.exam->>'display', '') AS exam, coalesce(c.exam->>'modality', '') AS modality, c.sample_of IS NOT NULL AS sample,
		       coalesce(w.party, o.party, '') AS waits_for, coalesce(w.reason, o.reason, '') AS reason,
		       coalesce(w.began_at, o.opened_at, c.closed_at, came.at, c.opened_at) AS since,
		       (SELECT min(a.deadline_at) FROM agenda a
		        WHERE a.tenant_id = c.tenant_id AND a.case_id = c.case_id AND a.remaining_s IS NULL) AS due,
		       r.display AS reader,
		       EXISTS (SELECT FROM escalation e
		               WHERE e.tenant_id = c.tenant_id AND e.case_id = c.case_id AND e.heeded_at IS NULL AND e.ended_at IS NULL) AS escalated
		FROM page c
		LEFT JOIN case_wait w ON w.tenant_id = c.tenant_id AND w.case_id = c.case_id AND w.ended_at IS NULL
		LEFT JOIN LATERAL (`+openMatter+`) o ON NOT (`+notEnded+`)
		LEFT JOIN reader r ON r.tenant_id = c.tenant_id AND r.reader_id = c.has_it
		LEFT JOIN LATERAL (
			SELECT e.occurred_at AS at
			FROM case_event e
			WHERE e.tenant_id = c.tenant_id AND e.case_id = c.case_id AND e.from_state IS DISTINCT FROM e.to_state
			ORDER BY e.seq DESC
			LIMIT 1) came ON true
		ORDER BY c.nth`, q.args)
	if err != nil {
		return Board{}, fmt.Errorf("board: %w", err)
	}
	var b Board
	b.Cases, err = pgx.CollectRows(rows, scanBoardCase)
	if err != nil {
		return Board{}, fmt.Errorf("board: %w", err)
	}
	if len(b.Cases) > f.Most {
		b.Cases = b.Cases[:f.Most]
		b.Next = b.Cases[f.Most-1].place
	}
	return b, nil
}

func scanBoardCase(row pgx.CollectableRow) (b BoardCase, err error) {
	err = row.Scan(&b.CaseID, &b.TaskID, &b.OpenedAt, &b.State, &b.Priority, &b.Order, &b.place, &b.Exam, &b.Modality, &b.Sample,
		&b.WaitsFor, &b.Reason, &b.Since, &b.Due, &b.Reader, &b.Escalated)
	if words, waits := partyWords[Party(b.WaitsFor)]; waits {
		b.WaitsFor = words
	} else if b.WaitsFor == "" {
		b.WaitsFor = boardParty[b.State]
	}
	return b, err
}

// boardQuery is what a filter comes to in SQL.
type boardQuery struct {
	from, order, place string
	where              []string
	args               pgx.NamedArgs
	arms               []string // conditions of which one holds; none: no such condition
	few                bool     // cases wait for the party that is asked for
}

func (q *boardQuery) build(f BoardFilter) error {
	q.from, q.where = "case_file c", []string{"c.tenant_id = overread_tenant()"}
	switch {
	case f.Cases != nil:
		q.and("c.case_id = ANY (@cases)", "cases", f.Cases)
	case len(f.States) == 1: // then an index has its order too
		q.and("c.state = @state", "state", f.States[0])
	case len(f.States) > 0 && (f.Sort == ByDue || f.Sort == ByNewest || f.Party != ""):
		q.and("c.state = ANY (@states)", "states", f.States)
	case len(f.States) > 0:
		q.arms = q.byState(f.States)
	case f.Ended || f.Party != "": // what waits for somebody has not ended, or something is open on it
	case f.Sort == ByDue || f.Sort == ByNewest:
		q.where = append(q.where, "("+notEnded+" OR "+openAtTheEnd+")")
	default: // each of the two by its index
		q.arms = []string{"case_file c WHERE " + notEnded, "case_file c WHERE " + openAtTheEnd}
	}
	if f.Priority != "" {
		q.and(rankOf+" = @rank", "rank", slices.Index([]string{"stat", "asap", "urgent", "routine"}, f.Priority))
	}
	switch {
	case f.Party == "":
	case f.Sort == ByDue, f.Sort == ByNewest:
		q.waitsFor(f.Party)
	default:
		q.armsOf(f.Party)
	}
	switch f.Sort {
	case ByDue:
		q.from = `agenda d JOIN case_file c ON c.tenant_id = d.tenant_id AND c.case_id = d.case_id`
		q.where = append(q.where, `d.tenant_id = overread_tenant() AND d.deadline_at IS NOT NULL AND d.remaining_s IS NULL`,
			`NOT EXISTS (SELECT FROM agenda n WHERE n.tenant_id = d.tenant_id AND n.case_id = d.case_id AND n.remaining_s IS NULL AND (n.deadline_at, n.kind) < (d.deadline_at, d.kind))`)
		q.order, q.place = `d.deadline_at, d.case_id`, microsOf(`d.deadline_at`)+` || '~' || d.case_id`
		return q.after(f.After, `(d.deadline_at, d.case_id) > (`+placedAt+`, @id::uuid)`)
	case ByNewest:
		q.order, q.place = `c.opened_at DESC, c.case_id DESC`, microsOf(`c.opened_at`)+` || '~' || c.case_id`
		return q.after(f.After, `(c.opened_at, c.case_id) < (`+placedAt+`, @id::uuid)`)
	}
	q.order, q.place = rankOf+`, c.opened_at, c.case_id`, rankOf+`::text || '~' || `+microsOf(`c.opened_at`)+` || '~' || c.case_id`
	rank, rest, _ := strings.Cut(f.After, "~")
	if f.After == "" {
		return nil
	}
	no, err := strconv.Atoi(rank)
	if err != nil {
		return noPlace()
	}
	q.args["after"] = no
	return q.after(rest, `(`+rankOf+`, c.opened_at, c.case_id) > (@after, `+placedAt+`, @id::uuid)`)
}

// microsOf is a time in a place: microseconds since 1970. placedAt is it again.
func microsOf(column string) string { return `(extract(epoch FROM ` + column + `) * 1000000)::bigint` }

const placedAt = `timestamptz 'epoch' + @at::bigint * interval '1 microsecond'`

// after has the page begin behind a place, which is a moment and a case.
func (q *boardQuery) after(place, condition string) error {
	if place == "" {
		return nil
	}
	at, id, _ := strings.Cut(place, "~")
	micros, err := strconv.ParseInt(at, 10, 64)
	if err != nil || micros < 0 || micros > 1<<53 {
		return noPlace()
	}
	if _, err := uuid.Parse(id); err != nil {
		return noPlace()
	}
	q.args["at"], q.args["id"] = micros, id
	q.where = append(q.where, condition)
	return nil
}

func noPlace() error {
	return fault.New(fault.Value, "There is no such page of the board. Please begin at its first page.")
}

// BoardCaseTx is one case as the board tells it.
func BoardCaseTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (BoardCase, error) {
	b, err := BoardTx(ctx, tx, BoardFilter{Cases: []uuid.UUID{id}, Most: 1})
	if err == nil && len(b.Cases) == 0 {
		err = fault.New(fault.NotFound, "there is no such case")
	}
	if err != nil {
		return BoardCase{}, err
	}
	return b.Cases[0], nil
}

// CaseClock is a clock of a case that runs, stands still, or has passed.
type CaseClock struct {
	Clock    ClockName
	Started  time.Time
	Deadline *time.Time // moves while it stands still
	Stage    int        // the percent that spoke last
	Paused   bool
}

// ClocksTx are the clocks of a case, the nearest deadline first.
func ClocksTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]CaseClock, error) {
	rows, err := tx.Query(ctx, `
		SELECT substr(kind, 7) AS clock, started_at AS started, deadline_at AS deadline, stage, remaining_s IS NOT NULL AS paused
		FROM agenda
		WHERE case_id = $1 AND kind LIKE 'clock-%'
		ORDER BY paused, deadline_at, kind`, caseID)
	if err != nil {
		return nil, fmt.Errorf("clocks: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[CaseClock])
}

// ReaderName is how a reader is called.
type ReaderName struct {
	ID             uuid.UUID
	PractitionerID string
	Display        string
	Active         bool
}

// ReaderNamesTx are the readers of the transaction's tenant, those too who are none any more.
func ReaderNamesTx(ctx context.Context, tx pgx.Tx) (map[uuid.UUID]ReaderName, error) {
	rows, err := tx.Query(ctx, `
		SELECT reader_id AS id, practitioner_id, display, active
		FROM reader
		WHERE tenant_id = overread_tenant()`)
	if err != nil {
		return nil, fmt.Errorf("names of readers: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[ReaderName])
	names := map[uuid.UUID]ReaderName{}
	for _, r := range all {
		names[r.ID] = r
	}
	return names, err
}

// DeskCounts is how much waits for whoever coordinates: each up to mostCounted.
type DeskCounts struct {
	Missing, Unassignable, Held, Undelivered, Escalated int
}

// mostCounted is as far as is counted: beyond it the number tells nobody more.
const mostCounted = 999

// DeskCountsTx counts what waits for the coordinators of the transaction's tenant.
func DeskCountsTx(ctx context.Context, tx pgx.Tx) (n DeskCounts, err error) {
	err = tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM (SELECT FROM case_file WHERE tenant_id = overread_tenant() AND state IN ('intake-review', 'awaiting-information', 'awaiting-images') LIMIT @most) x),
		       (SELECT count(*) FROM (SELECT FROM case_file WHERE tenant_id = overread_tenant() AND state = 'unassignable' LIMIT @most) x),
		       (SELECT count(*) FROM (SELECT FROM case_file WHERE tenant_id = overread_tenant() AND state = 'on-hold' LIMIT @most) x),
		       (SELECT count(*) FROM (SELECT FROM delivery d WHERE d.tenant_id = overread_tenant() AND `+stuckDelivery+` LIMIT @most) x),
		       (SELECT count(*) FROM (
			SELECT DISTINCT e.case_id, e.clock
			FROM escalation e
			JOIN case_file c ON c.tenant_id = e.tenant_id AND c.case_id = e.case_id
			WHERE e.tenant_id = overread_tenant() AND e.heeded_at IS NULL AND e.ended_at IS NULL AND `+onDesk("e")+`
			LIMIT @most) x)`,
		pgx.NamedArgs{"most": mostCounted, "matters": matterClocks}).Scan(&n.Missing, &n.Unassignable, &n.Held, &n.Undelivered, &n.Escalated)
	if err != nil {
		return n, fmt.Errorf("what waits at the desk: %w", err)
	}
	return n, nil
}
