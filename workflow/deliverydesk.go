package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// SentItem is a delivery as whoever coordinates sees it: where it is, never what is in it.
type SentItem struct {
	CaseID        uuid.UUID
	TaskID        string
	Order         string
	Exam          string
	ReportNo      int
	Lane          Lane
	Destination   string
	State         string // queued, parked, done, withdrawn
	UnderWay      bool
	QueuedAt      time.Time
	NextAttemptAt time.Time
	DoneAt        *time.Time
	SettledAt     *time.Time // by hand
	SettledRole   *string
	SettledHow    *string
	SettledReason *string
	Attempts      []SentAttempt `db:"-"` // the last first
}

// SentAttempt is a try to deliver, and the answer: a row of delivery_attempt.
type SentAttempt struct {
	Attempt    int
	At         time.Time
	Outcome    Verdict
	Status     *int // of HTTP; nil without an answer
	Reason     string
	DurationMS int
}

// Uncertain tells whether the destination may have what nobody knows it to have: an
// attempt ended without an answer.
func (d SentItem) Uncertain() bool {
	if d.State != "queued" && d.State != "parked" {
		return false
	}
	for _, a := range d.Attempts {
		if a.Outcome == Released || a.Outcome == Retry && slices.Contains(mayHaveArrived, a.Reason) {
			return true
		}
	}
	return false
}

// mayHaveArrived are the reasons of attempts after which the destination may have
// what was sent all the same (integrations/ehr/verdict.go).
var mayHaveArrived = []string{"timeout", "connection-cut", "answer-not-understood", "server-error"}

// DeliveryFilter says which deliveries are wanted.
type DeliveryFilter struct {
	Case        uuid.UUID // uuid.Nil: of every case
	States      []string  // none: every one
	Stuck       bool      // only what is stopped, or was tried in vain for ten minutes
	Destination string
	Before      time.Time // queued before; zero: from the last on
	After       string    // the place of the last delivery of the page before; "": from the beginning
	Most        int
}

// queuedLong is the condition that d is on its way for as long as the doctor warns of
// (administration.OutboxLag).
const queuedLong = `d.queued_at < now() - interval '10 minutes'`

// stuckDelivery is the condition that d needs somebody's eye: it was refused for good, or
// has been tried in vain for long.
const stuckDelivery = `(d.state = 'parked' OR d.state = 'queued' AND d.attempts > 0 AND d.lease_until IS NULL AND ` + queuedLong + `)`

// Place is where a delivery stands in the order of the desk.
func (d SentItem) Place() string {
	return fmt.Sprintf("%d~%s~%d~%s", d.QueuedAt.UnixMicro(), d.CaseID, d.ReportNo, d.Destination)
}

// placeOf is a place again; it refuses (Value) one that is none.
func placeOf(place string) (pgx.NamedArgs, error) {
	parts := strings.SplitN(place, "~", 4)
	if len(parts) == 4 {
		micros, wrong1 := strconv.ParseInt(parts[0], 10, 64)
		id, wrong2 := uuid.Parse(parts[1])
		no, wrong3 := strconv.ParseInt(parts[2], 10, 32)
		if wrong1 == nil && wrong2 == nil && wrong3 == nil && micros >= 0 && micros < 1<<53 {
			return pgx.NamedArgs{"at": micros, "id": id, "no": no, "at_destination": parts[3]}, nil
		}
	}
	return nil, noDeskPlace()
}

// DeliveriesTx are deliveries of the transaction's tenant, the last queued first.
func DeliveriesTx(ctx context.Context, tx pgx.Tx, f DeliveryFilter) ([]SentItem, error) {
	where, args := []string{"d.tenant_id = overread_tenant()"}, pgx.NamedArgs{"most": f.Most}
	and := func(condition, name string, value any) {
		where = append(where, condition)
		args[name] = value
	}
	if f.Case != uuid.Nil {
		and("d.case_id = @case", "case", f.Case)
	}
	if len(f.States) > 0 {
		and("d.state = ANY (@states)", "states", f.States)
	}
	if f.Stuck {
		where = append(where, stuckDelivery)
	}
	if f.Destination != "" {
		and("d.destination = @destination", "destination", f.Destination)
	}
	if !f.Before.IsZero() {
		and("d.queued_at < @before", "before", f.Before)
	}
	if f.After != "" {
		at, err := placeOf(f.After)
		if err != nil {
			return nil, err
		}
		maps.Copy(args, at)
		where = append(where, `d.queued_at <= `+placedAt+` AND (d.queued_at < `+placedAt+` OR (d.case_id, -d.report_no, d.destination) > (@id::uuid, -@no::int, @at_destination))`)
	}
	rows, err := tx.Query(ctx, `
		SELECT d.case_id, c.task_id, c.placer_value AS "order", coalesce(c.exam->>'display', '') AS exam, d.report_no, d.lane, d.destination, d.state,
		       coalesce(d.lease_until > now(), false) AS under_way, d.queued_at, d.next_attempt_at, d.done_at,
		       d.settled_at, d.settled_role, d.settled_how, d.settled_reason
		FROM delivery d
		JOIN case_file c ON c.tenant_id = d.tenant_id AND c.case_id = d.case_id
		WHERE `+strings.Join(where, " AND ")+`
		ORDER BY d.queued_at DESC, d.case_id, d.report_no DESC, d.destination
		LIMIT @most`, args)
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	items, err := pgx.CollectRows(rows, pgx.RowToStructByName[SentItem])
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	return items, attemptsTx(ctx, tx, items)
}

// mostAttempts is how many tries of a delivery are told, the last ones.
const mostAttempts = 30

// attemptsTx adds what was tried for each.
func attemptsTx(ctx context.Context, tx pgx.Tx, items []SentItem) error {
	type key struct {
		id   uuid.UUID
		no   int
		name string
	}
	var cases []uuid.UUID
	var numbers []int
	var names []string
	at := map[key]int{}
	for i, d := range items {
		cases, numbers, names = append(cases, d.CaseID), append(numbers, d.ReportNo), append(names, d.Destination)
		at[key{d.CaseID, d.ReportNo, d.Destination}] = i
	}
	rows, err := tx.Query(ctx, `
		SELECT w.case_id, w.report_no, w.destination, a.attempt, a.at, a.outcome, a.status, a.reason, a.duration_ms
		FROM unnest(@cases::uuid[], @numbers::int[], @names::text[]) AS w (case_id, report_no, destination)
		CROSS JOIN LATERAL (
			SELECT a.attempt, a.at, a.outcome, a.status, a.reason, a.duration_ms
			FROM delivery_attempt a
			WHERE a.tenant_id = overread_tenant() AND a.case_id = w.case_id AND a.report_no = w.report_no AND a.destination = w.destination
			ORDER BY a.attempt DESC
			LIMIT @most) a`,
		pgx.NamedArgs{"cases": cases, "numbers": numbers, "names": names, "most": mostAttempts})
	if err != nil {
		return fmt.Errorf("attempts to deliver: %w", err)
	}
	var k key
	var a SentAttempt
	_, err = pgx.ForEachRow(rows, []any{&k.id, &k.no, &k.name, &a.Attempt, &a.At, &a.Outcome, &a.Status, &a.Reason, &a.DurationMS}, func() error {
		i := at[k]
		items[i].Attempts = append(items[i].Attempts, a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("attempts to deliver: %w", err)
	}
	return nil
}

// How a person may settle a delivery.
const (
	SettledArrived = "arrived"  // the destination has it: somebody has looked, or told them by another way
	SettledGivenUp = "given-up" // it is not to be sent any more
)

// Settlement is what a person decides of a delivery.
type Settlement struct {
	ReportNo    int
	Destination string
	How         string
	Reason      string
	By          uuid.UUID
	Role        string
}

// SettleDeliveryTx ends a delivery by the word of a person. It refuses (BusinessRule)
// one that has ended, that is under way in this moment, and to give up what tells a
// destination that a report was an error; NotFound where there is none. It returns
// what was sent, for the record.
func SettleDeliveryTx(ctx context.Context, tx pgx.Tx, c Case, s Settlement) error {
	var state string
	var underWay, withdraws bool
	err := tx.QueryRow(ctx, `
		SELECT state, coalesce(lease_until > now(), false), withdraws
		FROM delivery
		WHERE tenant_id = overread_tenant() AND case_id = @case AND report_no = @no AND destination = @destination
		FOR UPDATE`,
		pgx.NamedArgs{"case": c.CaseID, "no": s.ReportNo, "destination": s.Destination}).Scan(&state, &underWay, &withdraws)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fault.New(fault.NotFound, "this case has no such delivery")
	case err != nil:
		return fmt.Errorf("the delivery that is settled: %w", err)
	case strings.TrimSpace(s.Reason) == "":
		return fault.New(fault.BusinessRule, "say why: how it is known that it is there, or why it need not be sent")
	case s.How != SettledArrived && s.How != SettledGivenUp:
		return fault.New(fault.Value, "how must be one of arrived, given-up")
	case state != "queued" && state != "parked":
		return fault.New(fault.BusinessRule, "this delivery has ended: it is %s", state)
	case underWay:
		return fault.New(fault.BusinessRule, "it is being sent in this moment: look again in a minute what came of it")
	case withdraws && s.How == SettledGivenUp:
		return fault.New(fault.BusinessRule, "it tells the destination that the report was an error: tell them by another way, and settle it as arrived")
	}
	_, err = tx.Exec(ctx, `
		UPDATE delivery
		SET state = CASE @how::text WHEN 'arrived' THEN 'done' ELSE 'withdrawn' END,
		    done_at = CASE @how::text WHEN 'arrived' THEN now() END, lease_until = NULL, epoch = epoch + 1,
		    settled_at = now(), settled_by = @by, settled_role = @role, settled_how = @how, settled_reason = @reason
		WHERE tenant_id = overread_tenant() AND case_id = @case AND report_no = @no AND destination = @destination`,
		pgx.NamedArgs{"case": c.CaseID, "no": s.ReportNo, "destination": s.Destination, "how": s.How, "by": s.By, "role": s.Role, "reason": s.Reason})
	if err != nil {
		return fmt.Errorf("settle a delivery: %w", err)
	}
	return nil
}
