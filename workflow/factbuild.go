package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// point is what was known of a case since an event.
type point struct {
	at    time.Time
	known knowledge
}

// timelineTx tells from the history of a case, from its grades and from what was said of
// it later what was known of it after each event. How cases of before there were facts
// were to be told apart at the time nobody has written down: they are told apart as
// they are now.
func timelineTx(ctx context.Context, tx pgx.Tx, c *Case) ([]point, error) {
	p, err := pastTx(ctx, tx, c.CaseID)
	if err != nil {
		return nil, err
	}
	k := c.known()
	k.complete, k.study = nil, c.study()
	line := make([]point, 0, len(p.events))
	for _, e := range p.events {
		if err := k.learn(c, p, e); err != nil {
			return nil, fmt.Errorf("event at %s of case %s: %w", e.OccurredAt, c.CaseID, err)
		}
		line = append(line, point{e.OccurredAt, k})
	}
	if len(line) == 0 {
		return nil, errors.New("the case has no history: " + c.CaseID.String())
	}
	return line, nil
}

// past is what has happened to a case, as far as statistics count it.
type past struct {
	events     []pastEvent
	grades     []GivenGrade
	rights     []string // by the numbers of the truths
	clinicians []string // by the numbers of the judgements
}

type pastEvent struct {
	OccurredAt time.Time
	Event      Event
	ToState    State
	Counts     json.RawMessage
	GradeNo    int
	TruthNo    int
	Judgement  int
	Unveiled   bool
}

// pastTx reads it on one way to PostgreSQL: it is read for every signature.
func pastTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (p past, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`
		SELECT occurred_at, event, to_state, detail->'counts' AS counts, coalesce((detail->>'gradeNo')::int, 0) AS grade_no,
		       coalesce((detail->>'truthNo')::int, 0) AS truth_no, coalesce((detail->>'judgementNo')::int, 0) AS judgement, coalesce((detail->>'unveiled')::boolean, false) AS unveiled
		FROM case_event
		WHERE case_id = $1
		ORDER BY seq`, id).Query(func(rows pgx.Rows) (err error) {
		p.events, err = pgx.CollectRows(rows, pgx.RowToStructByName[pastEvent])
		return err
	})
	batch.Queue(`
		SELECT grade_no, graded_by, role, graded_at, level, content
		FROM grade
		WHERE case_id = $1
		ORDER BY grade_no`, id).Query(func(rows pgx.Rows) (err error) {
		p.grades, err = pgx.CollectRows(rows, pgx.RowToStructByName[GivenGrade])
		return err
	})
	batch.Queue(`SELECT who_right FROM ground_truth WHERE case_id = $1 ORDER BY truth_no`, id).Query(func(rows pgx.Rows) (err error) {
		p.rights, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	batch.Queue(`SELECT management FROM clinician_judgement WHERE case_id = $1 ORDER BY judgement_no`, id).Query(func(rows pgx.Rows) (err error) {
		p.clinicians, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return p, fmt.Errorf("what has happened to a case: %w", err)
	}
	return p, nil
}

// learn is what an event makes known. The times of a case are those of its events.
func (k *knowledge) learn(c *Case, p past, e pastEvent) error {
	k.state = e.ToState
	if e.Counts != nil {
		k.description = Description{}
		if err := json.Unmarshal(e.Counts, &k.description); err != nil {
			return err
		}
	}
	if k.complete == nil && c.CompleteAt != nil && !c.CompleteAt.After(e.OccurredAt) {
		k.complete = c.CompleteAt
	}
	if k.signed == nil && c.FinalAt != nil && !c.FinalAt.After(e.OccurredAt) {
		k.signed = c.FinalAt
	}
	if k.acknowledged == nil && e.Event == "acknowledge" {
		k.acknowledged = &e.OccurredAt
	}
	if e.Event == "lock" && !slices.Contains(third, e.ToState) { // what a third reader has seen says nothing of the reading before
		k.unveiled = e.Unveiled
	}
	for _, g := range p.grades {
		if g.GradeNo == e.GradeNo {
			k.grades = append(slices.Clone(k.grades), g)
		}
	}
	if e.TruthNo > 0 {
		k.right = p.rights[e.TruthNo-1]
	}
	if e.Judgement > 0 {
		k.clinician = p.clinicians[e.Judgement-1]
	}
	return nil
}

// factsOver is how the facts of cases of one study came to be: of each case one row for
// each time at which it changed. One case alone is a study too.
func factsOver(lines [][]point) map[uuid.UUID][]Fact {
	type step struct {
		at   time.Time
		fact Fact
	}
	var steps []step
	for _, line := range lines {
		for _, p := range line {
			steps = append(steps, step{p.at, p.known.fact(p.at)})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	now, rows := map[uuid.UUID]*Fact{}, map[uuid.UUID][]Fact{}
	for i, s := range steps {
		now[s.fact.CaseID] = &s.fact
		if i+1 < len(steps) && steps[i+1].at.Equal(s.at) {
			continue // of several at once the last counts
		}
		var all []*Fact
		for _, f := range now {
			all = append(all, f)
		}
		settleStudy(all)
		for _, f := range all {
			was := rows[f.CaseID]
			if len(was) > 0 && was[len(was)-1].same(*f) {
				continue
			}
			row := *f
			row.KnownFrom = s.at
			rows[f.CaseID] = append(was, row)
		}
	}
	return rows
}

// same tells whether two facts say the same, whenever that became known.
func (f Fact) same(g Fact) bool {
	at := func(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }
	if !f.OpenedAt.Equal(g.OpenedAt) || !at(f.CompleteAt, g.CompleteAt) || !at(f.SignedAt, g.SignedAt) || !at(f.AcknowledgedAt, g.AcknowledgedAt) || !at(f.CountsAt, g.CountsAt) {
		return false
	}
	for _, x := range []*Fact{&f, &g} {
		x.KnownFrom, x.OpenedAt, x.CompleteAt, x.SignedAt, x.AcknowledgedAt, x.CountsAt = time.Time{}, time.Time{}, nil, nil, nil, nil
	}
	return f == g
}

// rebuildFactTx makes the facts of a case, and of the others of its study, anew from
// what has happened. It changes nothing where they are as they should be.
func rebuildFactTx(ctx context.Context, tx pgx.Tx, words wordbook, caseID uuid.UUID) error {
	c, err := lockCase(ctx, tx, caseID)
	if err != nil {
		return err
	}
	cases := []Case{c}
	if study := c.study(); study != "" && c.FinalAt != nil {
		if cases, err = signedOfStudy(ctx, tx, study, caseID); err != nil {
			return err
		}
	}
	var lines [][]point
	for i := range cases {
		line, err := timelineTx(ctx, tx, &cases[i])
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	for id, rows := range factsOver(lines) {
		if err := replaceFactsTx(ctx, tx, words, id, rows); err != nil {
			return err
		}
	}
	return nil
}

// signedOfStudy are a case and the other signed ones of its study that have facts, held
// until the transaction ends. They are found by their facts, whatever names the study;
// of one that has none yet, the facts are made later, and then it finds this one.
func signedOfStudy(ctx context.Context, tx pgx.Tx, study string, caseID uuid.UUID) ([]Case, error) {
	if err := lockStudy(ctx, tx, study); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT `+caseColumns+`
		FROM case_file
		WHERE case_id IN (SELECT case_id FROM measure_fact WHERE study_key = @key UNION SELECT @case)
			AND coalesce(study_uid, study_id, accession) = @study AND final_at IS NOT NULL
		ORDER BY case_id
		FOR UPDATE`, pgx.NamedArgs{"study": study, "key": studyKey(study), "case": caseID})
	if err != nil {
		return nil, fmt.Errorf("signed cases of a study: %w", err)
	}
	cases, err := pgx.CollectRows(rows, pgx.RowToStructByName[Case])
	if err != nil {
		return nil, fmt.Errorf("signed cases of a study: %w", err)
	}
	return cases, nil
}

// replaceFactsTx puts rows in the place of all that there are of a case. Nothing is
// before the first: it overwrites what is in force.
func replaceFactsTx(ctx context.Context, tx pgx.Tx, words wordbook, caseID uuid.UUID, rows []Fact) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM measure_fact_past WHERE case_id = $1`, caseID)
	batch.Queue(`UPDATE measure_fact SET known_from = $2 WHERE case_id = $1`, caseID, rows[0].KnownFrom)
	for _, f := range rows {
		args, err := factArgs(ctx, tx, words, f)
		if err != nil {
			return err
		}
		queueFact(batch, args)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("facts made anew: %w", err)
	}
	return nil
}

// factsBatch is of how many cases one transaction makes the facts.
const factsBatch = 50

// BuildFacts is the job that makes the facts of cases of before there were facts, tenant
// by tenant, some cases in a transaction. It returns of how many cases it has; two
// replicas take turns.
func (e *Engine) BuildFacts(ctx context.Context) (worked int, err error) {
	var tenants []uuid.UUID
	err = e.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.tenant_id
			FROM tenant t
			WHERE t.state = 'active' AND NOT EXISTS (SELECT FROM measure_build b WHERE b.tenant_id = t.tenant_id AND b.done_at IS NOT NULL)`)
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("whose facts are to be made: %w", err)
	}
	for _, tenant := range tenants {
		n := 0
		err := e.db.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
			n, err = e.buildSomeTx(ctx, tx)
			return err
		})
		if err != nil {
			return worked, fmt.Errorf("make facts: %w", err)
		}
		worked += n
	}
	return worked, nil
}

// buildSomeTx goes on where the last batch has ended.
func (e *Engine) buildSomeTx(ctx context.Context, tx pgx.Tx) (int, error) {
	_, err := tx.Exec(ctx, `INSERT INTO measure_build (tenant_id) VALUES (overread_tenant()) ON CONFLICT DO NOTHING`)
	if err != nil {
		return 0, err
	}
	var upTo *uuid.UUID
	err = tx.QueryRow(ctx, `SELECT up_to FROM measure_build WHERE done_at IS NULL FOR UPDATE SKIP LOCKED`).Scan(&upTo)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil // another replica is at it, or has done it
	}
	if err != nil {
		return 0, err
	}
	rows, err := tx.Query(ctx, `
		SELECT case_id
		FROM case_file
		WHERE case_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
		ORDER BY case_id
		LIMIT $2`, upTo, factsBatch)
	if err != nil {
		return 0, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return 0, err
	}
	words := wordbook{}
	for _, id := range ids {
		if err := rebuildFactTx(ctx, tx, words, id); err != nil {
			return 0, err
		}
	}
	if len(ids) < factsBatch {
		_, err = tx.Exec(ctx, `UPDATE measure_build SET done_at = $1`, e.moment())
		return len(ids), err
	}
	_, err = tx.Exec(ctx, `UPDATE measure_build SET up_to = $1`, ids[len(ids)-1])
	return len(ids), err
}

// RebuildFacts makes all facts of a tenant anew; tell is called after each batch. What
// they say stays as it was, unless a fault or an older release that still ran has left
// something out.
func (e *Engine) RebuildFacts(ctx context.Context, tenant uuid.UUID, tell func(cases int)) error {
	err := e.db.Tenant(ctx, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO measure_build (tenant_id) VALUES (overread_tenant())
			ON CONFLICT (tenant_id) DO UPDATE SET up_to = NULL, done_at = NULL`)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin to make facts anew: %w", err)
	}
	for {
		n := 0
		err := e.db.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
			n, err = e.buildSomeTx(ctx, tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("make facts anew: %w", err)
		}
		if tell != nil {
			tell(n)
		}
		if n < factsBatch {
			return FactsReady(ctx, e, tenant)
		}
	}
}

// FactsReady returns a fault of kind Unavailable while the facts of a tenant are made.
func FactsReady(ctx context.Context, e *Engine, tenant uuid.UUID) error {
	return e.db.Tenant(ctx, tenant, func(tx pgx.Tx) error { return FactsReadyTx(ctx, tx) })
}

// FactsReadyTx is FactsReady in a transaction of the tenant.
func FactsReadyTx(ctx context.Context, tx pgx.Tx) error {
	var ready bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM measure_build WHERE done_at IS NOT NULL)`).Scan(&ready)
	if err == nil && !ready {
		err = fault.New(fault.Unavailable, "what is counted of the cases of before an upgrade is still being made; try again in some minutes")
	}
	return err
}
