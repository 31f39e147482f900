package workflow

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// late are the lines of the desk, page by page.
func (h *house) late(f EscalationFilter) (all []LateClock) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		for {
			page, err := LateClocksTx(ctx, tx, f)
			if err != nil {
				return err
			}
			all = append(all, page.Lines...)
			if f.After = page.Next; f.After == "" {
				return nil
			}
		}
	})
	return all
}

func TestTheDeskOfEscalationsTellsWhomWasToldAndWhoIsNext(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	if got := h.late(EscalationFilter{Most: 5}); len(got) != 0 {
		t.Fatalf("nothing is late: %+v", got)
	}
	h.pass(51 * time.Hour)
	lines := h.late(EscalationFilter{Most: 5})
	if len(lines) != 1 || lines[0].TaskID != c.TaskID || lines[0].Clock != "final" || !lines[0].Open() || lines[0].NextAt() == nil || len(lines[0].Told) != 1 {
		t.Fatalf("%+v", lines)
	}
	told := lines[0].Told[0]
	if told.Tell != TellReader || told.Person == nil || told.NextTell != TellCoordinator || told.Stage != 50 || told.Mails.Waiting != 1 || len(told.Ways) != 3 {
		t.Errorf("%+v", told)
	}
	for _, none := range []EscalationFilter{{Which: OnlyLate}, {Clock: "assign"}, {Priority: "stat"}} {
		none.Most = 5
		if got := h.late(none); len(got) != 0 {
			t.Errorf("%+v: %+v", none, got)
		}
	}
	h.pass(11 * time.Minute)
	h.fire(h.coordinator, c, "heed", Input{})
	if got := h.late(EscalationFilter{Most: 5}); len(got) != 0 {
		t.Errorf("note is taken, and it is not late yet: %+v", got)
	}
	h.pass(60 * time.Hour)
	lines = h.late(EscalationFilter{Which: OnlyLate, Clock: "final", Priority: h.find(c).Priority, Most: 5})
	if len(lines) != 1 || lines[0].Open() || len(lines[0].Told) != 2 || lines[0].Told[1].HeededAt == nil || lines[0].Told[1].HeededRole != "coordinator" || lines[0].NextAt() != nil {
		t.Errorf("late, and note is taken: %+v", lines)
	}
	if got := h.late(EscalationFilter{Which: NobodyHeeded, Most: 5}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestThePagesOfTheDeskOfEscalationsAreAllOfItOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	var cases []Case
	for range 9 {
		cases = append(cases, h.ready())
		h.skip(time.Minute)
	}
	h.skip(30 * 24 * time.Hour)
	for h.tick() > 0 {
	}
	for i, c := range cases { // some priorities have several cases, one has none
		h.exec(`UPDATE case_file SET priority = $2 WHERE case_id = $1`, c.CaseID, []string{"routine", "stat", "urgent", "routine"}[i%4])
	}
	h.exec(`UPDATE agenda SET deadline_at = NULL, remaining_s = 60 WHERE case_id = $1`, cases[1].CaseID) // told of, and standing still
	names := func(lines []LateClock) (all []string) {
		for _, l := range lines {
			all = append(all, l.TaskID+" "+string(l.Clock))
		}
		return all
	}
	whole := names(h.late(EscalationFilter{Most: 100}))
	if len(whole) < 10 { // assignment and report, at least
		t.Fatalf("%d lines", len(whole))
	}
	for most := 1; most < 6; most++ {
		if diff := cmp.Diff(whole, names(h.late(EscalationFilter{Most: most}))); diff != "" {
			t.Errorf("pages of %d: %s", most, diff)
		}
	}
	var each []string
	for _, priority := range Priorities {
		each = append(each, names(h.late(EscalationFilter{Most: 2, Priority: priority}))...)
	}
	if diff := cmp.Diff(whole, each); diff != "" {
		t.Errorf("by priority: %s", diff)
	}
	for _, place := range []string{"x", "1~2~3", "0~5~x~final", "0~-1~" + newUID() + "~final"} {
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			if _, err := LateClocksTx(ctx, tx, EscalationFilter{After: place, Most: 2}); !fault.Is(err, fault.Value) {
				t.Errorf("after %q: %v", place, err)
			}
			return nil
		})
	}
}

// A case is found by any of its numbers, however they are written, and only by the
// whole of one.
func TestACaseIsFoundAtTheBoardByItsNumbers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "{}")
	c, other := h.open(), h.open()
	h.exec(`UPDATE case_file SET accession = 'Acc-77' WHERE case_id = $1`, c.CaseID)
	c = h.find(c)
	for _, number := range []string{c.PlacerValue, " " + strings.ToLower(c.PlacerValue), "acc-77", c.Number(), strings.ReplaceAll(strings.ToLower(c.Number()), "-", "")} {
		if got := tasksOf(h.pagesOf(BoardFilter{Number: number, Most: 5})); len(got) != 1 || got[0] != c.TaskID {
			t.Errorf("%q: %v", number, got)
		}
	}
	for _, number := range []string{"acc-7", "%", "OR260101-AAAA-AAAA", "OR269901-AAAA-AAAA", other.PlacerValue + "x"} {
		if got := h.pagesOf(BoardFilter{Number: number, Most: 5}); len(got) != 0 {
			t.Errorf("%q: %+v", number, got)
		}
	}
}

// Whether few wait for somebody or many, the board has the same of them.
func TestABoardOfThoseWhoWaitIsTheSameForFewAndForMany(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "{}")
	h.open(func(f *Facts) { f.Study = nil })
	h.tick()
	h.ready()
	all := map[string]int{}
	count := func() {
		for _, party := range BoardParties {
			got := h.pagesOf(BoardFilter{Party: party, Most: 500})
			again := h.pagesOf(BoardFilter{Party: party, Sort: ByNewest, Most: 500})
			if len(got) != len(again) {
				t.Errorf("%s: %d, and by the newest %d", party, len(got), len(again))
			}
			all[party] = len(got)
		}
	}
	count()
	h.exec(fmt.Sprintf(`
		INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, protocol, policy, exam, opened_at)
		SELECT c.tenant_id, gen_random_uuid(), 1, (ARRAY['awaiting-information', 'awaiting-images'])[1 + n %% 2], 'routine', 'p', 'many' || n, 'ServiceRequest/' || n, 'many' || n, 'blinded', c.policy, c.exam, now()
		FROM (SELECT * FROM case_file LIMIT 1) c, generate_series(1, %d) n`, fewWaiting+100))
	h.exec(`INSERT INTO case_wait (tenant_id, case_id, wait_no, party, reason, stops, began_at) SELECT tenant_id, case_id, 1, CASE WHEN placer_value LIKE '%7' THEN 'system' ELSE 'placer' END, 'x', true, opened_at FROM case_file WHERE placer_value LIKE 'many%'`)
	h.exec(`INSERT INTO case_wait (tenant_id, case_id, wait_no, party, reason, stops, began_at, ended_at) SELECT tenant_id, case_id, 2, 'filler', 'x', true, opened_at, opened_at FROM case_file WHERE placer_value LIKE 'many%'`)
	before := all["placer"]
	count()
	if all["placer"] != before+1890 || all["system"] != 210 {
		t.Errorf("%d before, %v", before, all)
	}
}
