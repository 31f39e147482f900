package workflow

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// pagesOf are the cases of a board, page by page.
func (h *house) pagesOf(f BoardFilter) (all []BoardCase) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		for {
			b, err := BoardTx(ctx, tx, f)
			if err != nil {
				return err
			}
			all = append(all, b.Cases...)
			if f.After = b.Next; f.After == "" {
				return nil
			}
		}
	})
	return all
}

func tasksOf(cases []BoardCase) (tasks []string) {
	for _, c := range cases {
		tasks = append(tasks, c.TaskID)
	}
	return tasks
}

func TestThePagesOfABoardAreAllOfItOnceInEachOrder(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "{}")
	for i := range 7 {
		c := h.open()
		h.exec(`UPDATE case_file SET priority = (ARRAY['routine', 'stat', 'urgent', 'asap'])[1 + $2 % 4] WHERE case_id = $1`, c.CaseID, i)
		h.skip(time.Minute)
	}
	for range 3 {
		h.tick()
	}
	for _, sort := range BoardSorts {
		whole := tasksOf(h.pagesOf(BoardFilter{Sort: sort, Most: 100}))
		if len(whole) != 7 {
			t.Fatalf("%s: %d cases", sort, len(whole))
		}
		if diff := cmp.Diff(whole, tasksOf(h.pagesOf(BoardFilter{Sort: sort, Most: 2}))); diff != "" {
			t.Errorf("%s, by pages of two: %s", sort, diff)
		}
	}
	rank := map[string]int{"stat": 0, "asap": 1, "urgent": 2, "routine": 3}
	pressing := h.pagesOf(BoardFilter{Most: 3})
	if !slices.IsSortedFunc(pressing, func(a, b BoardCase) int { return rank[a.Priority] - rank[b.Priority] }) {
		t.Errorf("the most pressing first: %v", pressing)
	}
	for _, place := range []string{"x", "1~2", "0~5~x", "9~99999999999999999999~" + newUID()} {
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			if _, err := BoardTx(ctx, tx, BoardFilter{After: place, Most: 2}); !fault.Is(err, fault.Value) {
				t.Errorf("after %q: %v", place, err)
			}
			return nil
		})
	}
}

func TestABoardSaysForWhomACaseWaitsAndSinceWhen(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "{}")
	ready := h.ready()
	missing := h.open(func(f *Facts) { f.Study = nil })
	h.tick()
	missing = h.find(missing)
	h.skip(90 * time.Minute)
	for _, want := range []struct {
		c     Case
		party string
	}{{ready, "reader"}, {missing, "placer"}} {
		found := h.pagesOf(BoardFilter{Party: want.party, Most: 5})
		if len(found) != 1 || found[0].TaskID != want.c.TaskID || found[0].WaitsFor != want.party {
			t.Fatalf("waits for %s: %+v", want.party, found)
		}
		if want.party == "placer" && found[0].Reason != missing.Findings[0].Code {
			t.Errorf("why: %+v", found[0])
		}
	}
	h.exec(`UPDATE case_file SET state = 'cancelled', closed_at = now() WHERE case_id = $1`, ready.CaseID)
	if open := h.pagesOf(BoardFilter{Most: 5}); len(open) != 1 {
		t.Errorf("open ones: %+v", open)
	}
	for _, f := range []BoardFilter{{Ended: true, Most: 5}, {States: in(Cancelled, missing.State), Most: 5}} {
		if all := h.pagesOf(f); len(all) != 2 {
			t.Errorf("%+v: %+v", f, all)
		}
	}
}

// What is late is due still: the clock has spoken for the last time, and its row stays.
func TestABoardAndAWorklistShowADeadlineThatHasPassed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "{}")
	h.ready()
	h.skip(30 * 24 * time.Hour)
	for h.tick() > 0 {
	}
	b := h.pagesOf(BoardFilter{Most: 5})
	if len(b) != 1 || b[0].Due == nil {
		t.Fatalf("%+v", b)
	}
	if due := h.pagesOf(BoardFilter{Sort: ByDue, Most: 5}); len(due) != 1 {
		t.Errorf("by deadline: %+v", due)
	}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		items, err := WorklistTx(ctx, tx, h.anna, 5)
		if len(items) != 1 || items[0].Due == nil {
			t.Errorf("a worklist: %+v", items)
		}
		return err
	})
}

// What presses stands before what does not, whose ever it is: a reader with routine cases of
// their own sees the stat one that waits for anybody.
func TestAStatCaseOfThePoolStandsBeforeARoutineOneOfOnesOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	own, pressing := h.ready(), h.ready()
	h.fire(h.anna, own, "claim", Input{Independent: true})
	h.exec(`UPDATE case_file SET priority = 'stat' WHERE case_id = $1`, pressing.CaseID)
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		items, err := WorklistTx(ctx, tx, h.anna, 5)
		if len(items) != 2 || items[0].CaseID != pressing.CaseID || !items[0].Pool || items[1].CaseID != own.CaseID {
			t.Errorf("%+v", items)
		}
		return err
	})
}

// BenchmarkBoard is a page of a board of 100,000 cases, of which one in ten is open,
// or all are.
//
//	go test ./workflow -run xxx -bench Board -benchtime 20x
func BenchmarkBoard(b *testing.B) {
	for _, open := range []int{10, 100} {
		h := newHouse(b, "{}")
		h.ready()
		h.exec(`ALTER TABLE case_file DROP CONSTRAINT offered_to_somebody, DROP CONSTRAINT read_by_somebody, DROP CONSTRAINT held_from_somewhere, DROP CONSTRAINT final_has_report`)
		h.exec(`
			INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, protocol, policy, exam, opened_at, closed_at)
			SELECT c.tenant_id, x.id, 1, CASE WHEN n % 100 >= $1 THEN 'closed' ELSE (ARRAY['intake-review', 'awaiting-information', 'ready', 'offered', 'accepted', 'reading', 'locked', 'comparing', 'final', 'final'])[1 + n % 10] END,
			       (ARRAY['routine', 'routine', 'routine', 'urgent', 'stat'])[1 + n % 5], 'p', n::text, 'ServiceRequest/' || n, 't' || n, 'blinded', c.policy, c.exam, now() - n * interval '1 minute', CASE WHEN n % 100 >= $1 THEN now() END
			FROM case_file c, generate_series(1, 100000) n, LATERAL (SELECT gen_random_uuid() AS id WHERE n > 0) x`, open)
		h.exec(`INSERT INTO agenda (tenant_id, case_id, kind, due_at, started_at, deadline_at) SELECT tenant_id, case_id, 'clock-final', now(), now(), opened_at + interval '2 days' FROM case_file WHERE state <> 'closed' ON CONFLICT DO NOTHING`)
		h.exec(`INSERT INTO case_wait (tenant_id, case_id, wait_no, party, reason, stops, began_at) SELECT tenant_id, case_id, 1, CASE state WHEN 'intake-review' THEN 'filler' ELSE 'placer' END, 'x', true, opened_at FROM case_file WHERE state IN ('intake-review', 'awaiting-information')`)
		h.exec(`INSERT INTO case_event (tenant_id, case_id, seq, occurred_at, event, to_state, actor_role) SELECT tenant_id, case_id, 1, opened_at, 'open', state, 'system' FROM case_file ON CONFLICT DO NOTHING`)
		h.exec(`ANALYZE`)
		for name, f := range map[string]BoardFilter{
			"open": {}, "stat": {Priority: "stat"}, "one state": {States: in(AwaitingInformation)}, "none like it": {States: in(Unassignable)}, "placer": {Party: "placer"}, "adjudicator": {Party: "adjudicator"},
			"due": {Sort: ByDue}, "due, one state": {Sort: ByDue, States: in(IntakeReview)}, "newest of all": {Sort: ByNewest, Ended: true}, "newest closed": {Sort: ByNewest, States: in(Closed)},
		} {
			f.Most = 50
			b.Run(fmt.Sprintf("open=%d%%/%s", open, name), func(b *testing.B) {
				for b.Loop() {
					h.in(func(ctx context.Context, tx pgx.Tx) error {
						if _, err := BoardTx(ctx, tx, f); err != nil {
							return err
						}
						_, err := DeskCountsTx(ctx, tx)
						return err
					})
				}
			})
		}
	}
}

// What is open on a case outlives its end: it is on the board with what it waits for
// until that is settled, and so is what was told of it on the desk.
func TestWhatIsOpenOnACaseThatHasEndedIsOnTheBoard(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "{}")
	cancelled := h.bleeds()
	h.fire(h.placer, cancelled, "cancel", Input{})
	closed := h.ready()
	h.signed(closed)
	h.fire(h.placer, closed, "acknowledge", Input{})
	h.ready() // an open one besides
	if got := h.pagesOf(BoardFilter{Most: 5}); len(got) != 2 {
		t.Fatalf("what ended with nothing open is on the board: %+v", got)
	}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return h.engine.StudyChangedTx(ctx, tx, h.tenant, "", *h.find(closed).StudyUID, 900, false)
	})
	h.stands(closed, Closed)
	want := map[string][]BoardFilter{
		cancelled.TaskID: {{}, {Party: "clinician"}, {Party: "clinician", Sort: ByNewest}, {Party: "clinician", Sort: ByDue}, {Sort: ByDue}, {Sort: ByNewest}, {States: in(Cancelled)}, {States: in(Cancelled), Party: "clinician"}},
		closed.TaskID:    {{}, {Party: "reader"}, {Party: "reader", Sort: ByNewest}, {Sort: ByDue}, {Sort: ByNewest}, {States: in(Closed)}},
	}
	says := map[string]string{cancelled.TaskID: "clinician finding-emergent", closed.TaskID: "reader reverify"}
	for task, filters := range want {
		for _, f := range filters {
			f.Most = 1 // page by page
			found := 0
			for _, b := range h.pagesOf(f) {
				if b.TaskID != task {
					continue
				}
				found++
				if got := b.WaitsFor + " " + b.Reason; got != says[task] || b.Due == nil {
					t.Errorf("%+v: waits for %q, due %v", f, got, b.Due)
				}
			}
			if found != 1 {
				t.Errorf("%+v: %s is %d times on the board", f, says[task], found)
			}
		}
	}
	lines := h.late(EscalationFilter{Which: NobodyHeeded, Most: 5})
	if len(lines) != 1 || lines[0].TaskID != cancelled.TaskID || lines[0].NextAt() == nil || lines[0].Told[len(lines[0].Told)-1].NextTell != TellDirector {
		t.Errorf("the desk of escalations: %+v", lines)
	}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		n, err := DeskCountsTx(ctx, tx)
		if n.Escalated != 1 {
			t.Errorf("one clock of one case is escalated, and the board counts %d", n.Escalated)
		}
		return err
	})

	h.fire(h.placer, cancelled, "acknowledge-finding", Input{Acknowledged: Acknowledged{Person: "Dr W"}})
	h.fire(h.coordinator, closed, "dismiss-verification", Input{Reason: "a screenshot"})
	if got := h.pagesOf(BoardFilter{Most: 5}); len(got) != 1 {
		t.Errorf("settled, and still on the board: %+v", got)
	}
	if got := h.late(EscalationFilter{Most: 5}); len(got) != 0 {
		t.Errorf("settled, and still on the desk: %+v", got)
	}
}
