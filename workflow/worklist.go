package workflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// WorkItem is a case in a person's worklist. It names nobody.
type WorkItem struct {
	CaseID    uuid.UUID
	TaskID    string
	PatientID *string
	State     State
	Priority  string
	Exam      string     // "CT Head W contrast IV"
	Modality  string     // "CT"
	Order     string     // the placer's number
	Reasons   []string   // of the request: codes of Reasons in words; none for readers, some tell of the original
	OpenedAt  time.Time  // when the order came
	Due       *time.Time // the nearest of its deadlines
	Pool      bool       `db:"-"` // it is nobody's, and the actor may claim it
	Owed      Owed       `db:"-"` // what is to be done about it though it is signed, "" where it is not
	StandIn   WhyStandIn `db:"-"` // why it is theirs, where another signed
}

// worklists say what is a role's to do. @me is the actor.
var worklists = map[access.Role]struct {
	states []State
	whose  string
}{
	access.Reader: {in(Offered, Accepted, Reading, Conferring, Locked, Comparing, AwaitingCosign, Amending, OnHold),
		`(offered_to = @me OR reader_id = @me AND settled IS DISTINCT FROM 'arbitrated' OR other_reader_id = @me AND state = 'conferring')`},
	access.Adjudicator: {in(Arbitration, Adjudication, Locked, Comparing), `adjudicator_id = @me`},
	access.Coordinator: {in(IntakeReview, AwaitingInformation, AwaitingImages, Unassignable, OnHold), `true`},
	access.Director:    {in(Adjudication, AwaitingCosign, Unassignable), `true`},
}

// pools say what is nobody's, and who of a role may take it: those whom the rules of
// matching find eligible for the duty.
var pools = map[access.Role]struct {
	states []State
	whose  string
	duty   Duty
}{
	access.Reader:      {in(Ready), `true`, ToRead},
	access.Adjudicator: {in(Arbitration, Adjudication), `adjudicator_id IS NULL`, ToAdjudicate},
	access.Supervisor:  {in(AwaitingCosign), `reader_id <> @me`, ToSupervise},
}

// mostLooked is how many cases of the pool are looked at, the most pressing first.
const mostLooked = 50

// WorklistTx is what an actor has to do at the transaction's tenant, the most
// pressing first; nothing for roles that have no part in the life of a case. Who
// reads, adjudicates or supervises gets the cases in their pool among their own:
// those that they may take; and those that they signed where something is open since. A stat case of the pool stands before a routine one of theirs.
func WorklistTx(ctx context.Context, tx pgx.Tx, actor access.Actor, most int) ([]WorkItem, error) {
	var items []WorkItem
	if list, ok := worklists[actor.Role]; ok {
		var err error
		if items, err = workItems(ctx, tx, list.states, list.whose, actor, most); err != nil {
			return nil, err
		}
	}
	owed, err := owedTx(ctx, tx, actor)
	if err != nil {
		return nil, err
	}
	instead, err := standInsTx(ctx, tx, actor)
	if err != nil {
		return nil, err
	}
	if owed = append(owed, instead...); owed != nil {
		items = append(items, owed...)
		slices.SortStableFunc(items, morePressing)
		items = items[:min(len(items), most)]
	}
	if _, ok := pools[actor.Role]; !ok || len(items) >= most {
		return items, nil
	}
	pool, err := takeable(ctx, tx, actor, most-len(items))
	items = append(items, pool...)
	slices.SortStableFunc(items, morePressing)
	return items, err
}

// morePressing is the order of workItems.
func morePressing(a, b WorkItem) int {
	due := func(w WorkItem) time.Time {
		if w.Due == nil {
			return w.OpenedAt.AddDate(100, 0, 0) // last
		}
		return *w.Due
	}
	return cmp.Or(
		cmp.Compare(slices.Index(Priorities, a.Priority), slices.Index(Priorities, b.Priority)),
		due(a).Compare(due(b)),
		a.OpenedAt.Compare(b.OpenedAt),
	)
}

// nowTx is the one now of a transaction.
func nowTx(ctx context.Context, tx pgx.Tx) (now time.Time, err error) {
	if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return now, fmt.Errorf("now: %w", err)
	}
	return now, nil
}

// takeable are the cases in the pool of the actor's role for which they are eligible.
func takeable(ctx context.Context, tx pgx.Tx, actor access.Actor, most int) (pool []WorkItem, err error) {
	reader, err := ReaderByIDTx(ctx, tx, actor.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now, err := nowTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	of := pools[actor.Role]
	var waiting []WorkItem // priority by priority, which the index case_by_state has apart: thousands may wait
	for rank := 0; rank < len(Priorities) && len(waiting) < mostLooked; rank++ {
		next, err := workItems(ctx, tx, of.states, fmt.Sprintf(`%s AND %s = %d`, of.whose, rankOf, rank), actor, mostLooked-len(waiting))
		if err != nil {
			return nil, err
		}
		waiting = append(waiting, next...)
	}
	var ids []uuid.UUID
	for _, item := range waiting {
		ids = append(ids, item.CaseID)
	}
	byID, err := casesByIDTx(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var cases []*Case
	waiting = slices.DeleteFunc(waiting, func(item WorkItem) bool {
		c := byID[item.CaseID]
		if c == nil || len(Eligible(c.need(of.duty), reader, now)) > 0 {
			return true // whatever else there is of it
		}
		cases = append(cases, c)
		return false
	})
	needs, err := needsTx(ctx, tx, cases, of.duty)
	if err != nil {
		return nil, err
	}
	for i, item := range waiting {
		if len(Eligible(needs[i], reader, now)) > 0 {
			continue
		}
		item.Pool = true
		if pool = append(pool, item); len(pool) == most {
			break
		}
	}
	return pool, nil
}

func workItems(ctx context.Context, tx pgx.Tx, states []State, whose string, actor access.Actor, most int) ([]WorkItem, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.case_id, c.task_id, c.patient_id, c.state, c.priority, c.opened_at, c.placer_value AS "order",
		       coalesce(c.exam->>'display', '') AS exam, coalesce(c.exam->>'modality', '') AS modality,
		       CASE WHEN @desk THEN coalesce(c.exam->'reasons', '[]') ELSE '[]' END AS reasons,
		       (SELECT min(a.deadline_at)
		        FROM agenda a
		        WHERE a.tenant_id = c.tenant_id AND a.case_id = c.case_id AND a.remaining_s IS NULL) AS due
		FROM case_file c
		WHERE c.state = ANY (@states) AND `+whose+`
		ORDER BY `+rankOf+`, due NULLS LAST, c.opened_at
		LIMIT @most`,
		pgx.NamedArgs{"states": states, "me": actor.ID, "most": most, "desk": actor.Role == access.Coordinator || actor.Role == access.Director})
	if err != nil {
		return nil, fmt.Errorf("worklist: %w", err)
	}
	items, err := pgx.CollectRows(rows, pgx.RowToStructByName[WorkItem])
	for i := range items {
		items[i].Reasons = Exam{Reasons: items[i].Reasons}.reasonWords()
	}
	return items, err
}
