package workflow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const batchPolicy = `{"assignment": "batch"}`

func (h *house) batch() int {
	h.Helper()
	n, err := h.engine.BatchTick(context.Background())
	if err != nil {
		h.Fatal(err)
	}
	return n
}

// pool opens cases that are ready.
func (h *house) pool(n int, spoil ...func(*Facts)) (all []Case) {
	h.Helper()
	for range n {
		all = append(all, h.open(spoil...))
	}
	h.tick()
	return all
}

// nextBatch makes the next batch due.
func (h *house) nextBatch() { h.exec(`UPDATE batch_run SET due_at = now()`) }

func TestABatchOffersAsMuchOfThePoolAsReadersCanTake(t *testing.T) {
	t.Parallel()
	h := newHouse(t, batchPolicy)
	h.exec(`UPDATE reader SET credential = credential || '{"capacity": 2}'`)
	cases := h.pool(5)
	if n := h.batch(); n != 4 {
		t.Fatalf("%d offers", n)
	}
	has := map[uuid.UUID]int{}
	for _, c := range cases {
		switch c = h.find(c); c.State {
		case Offered:
			has[*c.OfferedTo]++
		case Ready:
			has[uuid.Nil]++
		default:
			t.Error(c.State)
		}
	}
	if has[h.anna.ID] != 2 || has[h.ben.ID] != 2 || has[uuid.Nil] != 1 {
		t.Errorf("offered: %v", has)
	}
	if n := h.batch(); n != 0 {
		t.Errorf("%d offers before the next batch is due", n)
	}
	h.nextBatch()
	if n := h.batch(); n != 0 {
		t.Errorf("%d offers to readers who have no room", n)
	}
	first := h.find(cases[0])
	who := h.anna
	if first.State == Ready {
		first = h.find(cases[1])
	}
	if *first.OfferedTo == h.ben.ID {
		who = h.ben
	}
	h.fire(who, first, "decline", Input{Code: "workload"})
	h.tick()
	h.nextBatch()
	if n := h.batch(); n != 1 {
		t.Errorf("%d offers for one that has room again", n)
	}
	for _, c := range cases {
		h.replays(c)
	}
}

func TestABatchGivesACaseBackAndAsksTheOtherReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, batchPolicy)
	h.exec(`UPDATE reader SET credential = credential || '{"subspecialties": ["breast"]}' WHERE display IN ('Carl', 'Tina')`)
	c := h.pool(1)[0]
	var asked []uuid.UUID
	for range 4 { // two readers, two rounds
		h.nextBatch()
		if h.batch() != 1 {
			t.Fatalf("asked %d times: %s", len(asked), h.find(c).State)
		}
		asked = append(asked, *h.stands(c, Offered).OfferedTo)
		h.exec(`UPDATE agenda SET due_at = now() WHERE kind = 'offer-expiry'`)
		h.tick()
	}
	if asked[0] == asked[1] || asked[2] == asked[3] {
		t.Errorf("asked: %v", asked)
	}
	h.stands(c, Unassignable) // everybody has had their turns: the coordinator sees it
	h.replays(c)
}

func TestTwoReplicasNeverOfferACaseTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t, batchPolicy)
	cases := h.pool(6)
	for range 3 {
		var replicas sync.WaitGroup
		for range 4 {
			replicas.Go(func() {
				e := NewEngine(h.db.DB, h.engine.now, h.engine.log)
				e.Use(Hooks{Facts: h.engine.hooks.Facts, Publish: func(context.Context, pgx.Tx, Change) error { return nil }})
				if _, err := e.BatchTick(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		replicas.Wait()
		h.nextBatch()
	}
	if n := h.number(`SELECT count(*) FROM case_event WHERE event = 'offer'`); n != len(cases) {
		t.Errorf("%d offers of %d cases", n, len(cases))
	}
	if n := h.number(`SELECT count(*) FROM agenda WHERE kind = 'offer-expiry'`); n != len(cases) {
		t.Errorf("%d offers expire", n)
	}
}

func TestABatchThatIsKilledInTheMiddleHasAssignedNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, batchPolicy)
	cases := h.pool(4)
	e := h.newEngine()
	offers := 0
	e.Use(Hooks{Facts: h.engine.hooks.Facts, Publish: func(ctx context.Context, tx pgx.Tx, ch Change) error {
		if offers++; offers == 3 {
			var pid int
			if err := tx.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
				return err
			}
			h.exec(`SELECT pg_terminate_backend($1)`, pid)
		}
		return nil
	}})
	if n, err := e.BatchTick(context.Background()); err == nil || n != 0 || offers < 3 {
		t.Fatalf("%d offered, of %d made: %v", n, offers, err)
	}
	for _, c := range cases {
		h.stands(c, Ready)
	}
	if n := h.number(`SELECT count(*) FROM case_event WHERE event = 'offer'`); n != 0 {
		t.Errorf("%d offers stay", n)
	}
	if n := h.batch(); n != len(cases) { // and another replica does all of it
		t.Errorf("%d offers afterwards", n)
	}
}

func TestACaseThatCannotBeOfferedDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, batchPolicy)
	cases := h.pool(3)
	h.engine.Use(Hooks{Facts: h.engine.hooks.Facts, Publish: func(_ context.Context, _ pgx.Tx, ch Change) error {
		if ch.Case.CaseID == cases[1].CaseID {
			return errors.New("its Task cannot be written")
		}
		return nil
	}})
	if n := h.batch(); n != 2 {
		t.Errorf("%d offers", n)
	}
	h.stands(cases[0], Offered)
	h.stands(cases[1], Ready)
	h.stands(cases[2], Offered)
}

func TestABatchLooksAtShiftsAndGivesTheScarceReaderToWhoNeedsThem(t *testing.T) {
	t.Parallel()
	h := newHouse(t, batchPolicy)
	h.exec(`UPDATE reader SET credential = credential || '{"capacity": 1}'`)
	neuro := h.pool(1)[0] // both may read it
	chest := h.pool(1, asking("chest"))[0]
	h.nextBatch()
	if n := h.batch(); n != 2 {
		t.Fatalf("%d offers: one at a time might have given Ben to the wrong case", n)
	}
	if got := h.stands(chest, Offered); *got.OfferedTo != h.ben.ID {
		t.Error(got.OfferedTo)
	}
	if got := h.stands(neuro, Offered); *got.OfferedTo != h.anna.ID {
		t.Error(got.OfferedTo)
	}
	away := h.pool(1)[0]
	h.exec(`UPDATE reader SET credential = credential || '{"capacity": 9, "absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}'`)
	h.nextBatch()
	if n := h.batch(); n != 0 {
		t.Errorf("%d offers to readers who are away", n)
	}
	h.stands(away, Ready)
}

func (h *house) number(sql string) (n int) {
	h.Helper()
	if err := h.db.Owner(h).QueryRow(context.Background(), sql).Scan(&n); err != nil {
		h.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
	return n
}

func TestTheWeightsOfAPolicyWeighABatchToo(t *testing.T) {
	a, standard := DefaultWeights().assign(), DefaultAssignWeights()
	for what, pair := range map[string][2]int64{"fit": {a.Fit, standard.Fit}, "load": {a.Load, standard.Load}, "fair": {a.Fair, standard.Fair}, "late": {a.Late["stat"], standard.Late["stat"]}, "wait": {a.Wait["routine"], standard.Wait["routine"]}} {
		if pair[0] != 10*pair[1] {
			t.Errorf("%s: %d, want ten times %d", what, pair[0], pair[1])
		}
	}
}

func TestThosePastTheMostPressingAreLookedAtInTurn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, batchPolicy)
	h.pool(7, func(f *Facts) { f.Exam = Exam{Modality: "MG", PatientAge: 50} }) // nobody reads breasts
	h.exec(`UPDATE case_file SET state = 'ready'`)
	h.exec(`INSERT INTO agenda (tenant_id, case_id, kind, due_at, started_at) SELECT tenant_id, case_id, 'await-batch', 'infinity', now() FROM case_file ON CONFLICT DO NOTHING`)
	last := h.pool(1)[0]
	h.engine.mostPooled = 2
	looks := 0
	for ; looks < 5 && h.find(last).State == Ready; looks++ {
		h.nextBatch()
		h.batch()
	}
	if looks != 3 { // two of each look's are the first, two those behind: 3 and 4, 5 and 6, 7 and 8
		t.Errorf("%d looks: %s", looks, h.find(last).State)
	}
	next := h.pool(1)[0] // from the top again
	for looks = 0; looks < 5 && h.find(next).State == Ready; looks++ {
		h.nextBatch()
		h.batch()
	}
	if h.find(next).State != Offered {
		t.Errorf("after %d more looks: %s", looks, h.find(next).State)
	}
}
