package workflow

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/migrations"
)

// bleeds is a case with an emergency whose whole chain was told: the director last, half
// an hour after the finding.
func (h *house) bleeds() Case {
	h.Helper()
	c := h.readingCase()
	h.fire(h.anna, c, "raise-finding", bleeding)
	for _, pause := range []int{16, 6, 11} {
		h.pass(time.Duration(pause) * time.Minute)
	}
	h.wasTold(c, "reader", "coordinator", "director")
	return c
}

// remindedAfter are the minutes of the day between one telling of the director and the next.
func (h *house) remindedAfter(c Case) (minutes []int) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT round(extract(epoch FROM told_at - lag) / 60)::int
			FROM (SELECT told_at, lag(told_at) OVER (ORDER BY link) AS lag FROM escalation WHERE case_id = $1 AND tell = 'director' AND clock LIKE 'finding-%') x
			WHERE lag IS NOT NULL
			ORDER BY told_at`, c.CaseID)
		if err != nil {
			return err
		}
		minutes, err = pgx.CollectRows(rows, pgx.RowTo[int])
		return err
	})
	return minutes
}

// Who is last is told for ever, but less and less often, and has one page of it.
func TestRemindersOfAnEmergencyComeLessAndLessOftenAndDoNotPileUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"contacts": {"director": ["chief@north.example"]}}`)
	c := h.bleeds()
	for range 4 * 24 * 4 {
		h.pass(15 * time.Minute)
		pages := slices.DeleteFunc(h.pages(h.director), func(p string) bool { return !strings.Contains(p, "finding") })
		if len(pages) != 1 {
			t.Fatalf("the director has the pages %v", pages)
		}
	}
	got := h.remindedAfter(c)
	want := []int{30, 60, 120, 240, 480, 960, 1440}
	if len(got) < len(want)+1 {
		t.Fatalf("reminders after %v minutes", got)
	}
	for i, minutes := range got {
		least := want[min(i, len(want)-1)]
		if minutes < least || minutes > least+16 { // the steps of this test
			t.Errorf("reminder %d came after %d minutes, want %d", i+1, minutes, least)
		}
	}
	var queued int
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT count(*) FROM mail m JOIN escalation e USING (tenant_id, escalation_id) WHERE m.state = 'queued' AND e.tell = 'director' AND e.clock LIKE 'finding-%'`).Scan(&queued)
	})
	if queued != 1 {
		t.Errorf("without a mail server %d mails of the same wait for it", queued)
	}
	h.fire(h.placer, c, "acknowledge-finding", Input{Acknowledged: Acknowledged{Person: "Dr W"}})
	for range 20 {
		h.pass(6 * time.Hour)
	}
	if after := h.remindedAfter(c); !cmp.Equal(got, after) {
		t.Errorf("acknowledged, and told again: %v", after)
	}
	h.replays(c)
}

// That a director has taken note is no clinician's knowledge.
func TestOnlyTheAcknowledgementEndsTheRemindersOfAnEmergency(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.bleeds()
	h.fire(h.director, c, "heed", Input{})
	if pages := h.pages(h.director); len(pages) != 0 {
		t.Errorf("note is taken: %v", pages)
	}
	h.pass(29 * time.Minute)
	if got := h.remindedAfter(c); len(got) != 0 {
		t.Errorf("early: %v", got)
	}
	h.pass(2 * time.Minute)
	if got := h.remindedAfter(c); len(got) != 1 || len(h.pages(h.director)) != 1 {
		t.Errorf("reminders after %v, pages %v", got, h.pages(h.director))
	}
	h.replays(c)
}

// Where the chain ends with the reader, and nobody is that any more, it is the coordinator.
func TestOfAnEmergencyThatIsNobodysTheCoordinatorIsTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	h.setPolicy("escalations: [{clock: finding-emergent, at: 50, chain: [{tell: reader, by: [page]}]}]\n")
	c := h.ready()
	h.signed(c)
	h.fire(h.anna, c, "raise-finding", bleeding)
	h.exec(`UPDATE matter SET content = content || '{"sameReader": true}'`) // whom it is about may do nothing of it
	h.pass(16 * time.Minute)
	h.pass(31 * time.Minute)
	h.wasTold(c, "coordinator", "coordinator")
	if pages := h.pages(h.coordinator); len(pages) != 1 {
		t.Errorf("%v", pages)
	}
}

// A release of before knows no reminders: what it has told last, and what it took from the
// agenda while both ran, is taken up, once, by however many replicas.
func TestChainsThatAReleaseOfBeforeHasLostAreTakenUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	before, lost, answered := h.bleeds(), h.bleeds(), h.bleeds()
	h.pass(31 * time.Minute)
	h.pass(61 * time.Minute) // two reminders, so that the stored link is beyond the chain's end
	h.exec(`DELETE FROM escalation WHERE case_id = $1 AND link > 2`, before.CaseID)
	h.exec(`UPDATE escalation SET ended_at = NULL WHERE case_id = $1`, before.CaseID)
	h.exec(`UPDATE escalation SET next_at = NULL`)
	h.exec(`DELETE FROM agenda WHERE kind = 'escalate'`)
	h.fire(h.placer, answered, "acknowledge-finding", Input{Acknowledged: Acknowledged{Person: "Dr W"}})
	h.pass(72 * time.Hour)
	counts := func() (all []int) {
		for _, c := range []Case{before, lost, answered} {
			all = append(all, h.toldTo(c, TellDirector))
		}
		return all
	}
	if got := counts(); !cmp.Equal(got, []int{1, 3, 3}) {
		t.Fatalf("before: %v", got)
	}
	var replicas sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 3 {
		e := h.newEngine()
		replicas.Go(func() {
			for range 2 { // and started anew
				n, err := e.ReminderTick(context.Background())
				mu.Lock()
				if taken += n; err != nil {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	replicas.Wait()
	if taken != 2 {
		t.Errorf("%d chains were taken up, want 2", taken)
	}
	for range 3 {
		h.tick()
	}
	if got := counts(); !cmp.Equal(got, []int{2, 4, 3}) {
		t.Errorf("afterwards the directors were told %v times", got)
	}
	h.pass(71 * time.Hour) // and on from there
	if got := counts(); got[0] < 3 || got[1] < 5 || got[2] != 3 {
		t.Errorf("further: %v", got)
	}
}

// Words are true of what they are said of.
func TestWhatAClockSaysIsTrue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		clock           ClockName
		stage, reminder int
		want            string
	}{
		{"final", 75, 0, "Case N: 75 % of the time for the report have passed."},
		{"final", 100, 0, "Case N: the time limit of the report has passed."},
		{"adjudicate", 0, 0, "Case N: it needs a third reader, and nobody may be that now."},
		{"reverify/2", 0, 0, "Case N: its report needs another look: who has a part in it may have read the original."},
		{"finding-emergent/1", 0, 0, "Case N: an emergent finding waits for its acknowledgement."},
		{"finding-emergent/1", 50, 0, "Case N: an emergent finding is not acknowledged, and 50 % of the time for that have passed."},
		{"finding-urgent/1", 100, 0, "Case N: an urgent finding is not acknowledged, and the time limit of that has passed."},
		{"finding-urgent/1", 50, 3, "Case N: an urgent finding is still not acknowledged. This is reminder 3."},
	} {
		if got := Spoken("N", test.clock, test.stage, test.reminder); got != test.want {
			t.Errorf("%s at %d, reminder %d: %s", test.clock, test.stage, test.reminder, got)
		}
		if got := Spoken("N", test.clock, 0, 0); strings.Contains(got, "%") {
			t.Error(got)
		}
	}
}

// What piled up before reminders took the place of one another is one page after the migration.
func TestRemindersThatPiledUpAreOnePageAfterTheMigration(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.bleeds()
	h.pass(31 * time.Minute)
	h.pass(61 * time.Minute)
	h.exec(`UPDATE escalation SET ended_at = NULL WHERE case_id = $1`, c.CaseID)
	text, err := migrations.Files.ReadFile("00063_open_after_the_end.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, statement, _ := strings.Cut(string(text), "UPDATE escalation e")
	statement, _, _ = strings.Cut(statement, ";")
	for range 2 { // it finds nothing the second time
		h.exec("UPDATE escalation e" + statement)
		var open []string
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `SELECT tell || ' ' || link || ' ' || (next_at IS NOT NULL) FROM escalation WHERE case_id = $1 AND ended_at IS NULL ORDER BY link`, c.CaseID)
			if err != nil {
				return err
			}
			open, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		if diff := cmp.Diff([]string{"reader 0 false", "coordinator 1 false", "director 4 true"}, open); diff != "" {
			t.Error(diff)
		}
	}
	h.pass(121 * time.Minute)
	if n := h.toldTo(c, TellDirector); n != 4 {
		t.Errorf("the chain does not go on: %d", n)
	}
}

// Of a finding whose images may be another patient's the office is told at once, and by its
// clock as of any other. Both lead to the director, who is reminded by one of them.
func TestADoubtfulEmergencyHasOneChainOfReminders(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.readingCase()
	doubtful := *bleeding.Finding
	doubtful.Doubtful = true
	h.fire(h.anna, c, "raise-finding", Input{Finding: &doubtful})
	for range 8 { // two hours
		h.pass(15 * time.Minute)
	}
	chains := func() (going, last int) {
		h.in(func(ctx context.Context, tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				SELECT count(*) FILTER (WHERE next_at IS NOT NULL AND ended_at IS NULL), count(DISTINCT stage) FILTER (WHERE tell = 'director')
				FROM escalation WHERE case_id = $1 AND clock LIKE 'finding-%'`, c.CaseID).Scan(&going, &last)
		})
		return going, last
	}
	if going, last := chains(); going != 1 || last != 2 {
		t.Errorf("%d chains go on, of %d in which the director was told", going, last)
	}
	before := h.toldTo(c, TellDirector)
	if taken, err := h.engine.ReminderTick(t.Context()); err != nil || taken != 0 {
		t.Errorf("%d chains were taken for lost, %v", taken, err)
	}
	for range 24 * 4 {
		h.pass(15 * time.Minute)
	}
	if n := h.toldTo(c, TellDirector) - before; n < 2 || n > 5 { // 120, 240, 480, 960 minutes
		t.Errorf("in a day the director was reminded %d times", n)
	}
	h.exec(`UPDATE escalation SET next_at = NULL`) // a release of before loses both
	if taken, err := h.engine.ReminderTick(t.Context()); err != nil || taken != 1 {
		t.Errorf("%d chains were taken up, want 1: %v", taken, err)
	}
	h.fire(h.placer, c, "acknowledge-finding", Input{Acknowledged: Acknowledged{Person: "Dr W"}})
	if going, _ := chains(); going != 0 {
		t.Errorf("acknowledged, and %d go on", going)
	}
	h.replays(c)
}
