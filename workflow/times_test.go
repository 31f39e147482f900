package workflow

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

func TestTheTableOfWaitsAgreesWithWhereTheFinalClockStandsStill(t *testing.T) {
	final, _ := (&Engine{agenda: agenda()}).item(kindOf(ClockFinal))
	for _, w := range waits {
		stops := w.State == OnHold || slices.Contains(final.PausedIn, w.State)
		if stops != w.Stops {
			t.Errorf("%s: the final clock stands still: %t", w.State, stops)
		}
	}
	for _, s := range final.PausedIn {
		if w, ok := (&Case{State: s}).waitOf(); !ok || !w.Stops {
			t.Errorf("%s stops the final clock, and nobody is waited for", s)
		}
	}
}

func TestTimesAreGrossNetAndByWhomTheCaseWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"clocks": {"routine": {"final": "100h"}}}`)
	var study *StudyFacts
	c := h.open(func(f *Facts) { study, f.Study = f.Study, nil })
	h.skip(time.Hour)
	h.tick() // an hour of the checks, then the images are waited for
	h.skip(10 * time.Hour)
	h.facts[c.PlacerValue].Study = study
	h.recheck(c)
	h.tick()
	h.stands(c, Ready)
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.skip(3 * time.Hour)
	h.fire(h.placer, c, "hold", Input{Reason: "patient moved"})
	h.skip(20 * time.Hour)
	h.fire(h.placer, c, "resume", Input{})
	h.skip(2 * time.Hour)
	h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
	h.fire(h.anna, c, "reveal", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "sign", Input{})
	h.skip(500 * time.Hour) // after the signature nothing counts
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		times, err := timesTx(ctx, tx, c.CaseID, time.Now(), false)
		got := map[string]time.Duration{"gross": times.Gross.Round(time.Minute), "net": times.Net.Round(time.Minute)}
		for party, waited := range times.Waited {
			got[string(party)] = waited.Round(time.Minute)
		}
		want := map[string]time.Duration{"gross": 36 * time.Hour, "net": 5 * time.Hour, "placer": 30 * time.Hour}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		waits, err2 := WaitsTx(ctx, tx, c.CaseID)
		var told []string
		for _, w := range waits {
			told = append(told, string(w.Party)+" "+w.Reason)
		}
		if diff := cmp.Diff([]string{"placer study-missing", "placer held"}, told); diff != "" || err2 != nil {
			t.Error(diff, err2)
		}
		return err
	})
	h.replays(c)
}

func TestBusinessTimesLeaveOutTheWeekend(t *testing.T) {
	friday, monday := at(t, "2026-06-05 12:00"), at(t, "2026-06-08 12:00")
	c := Case{Policy: Policy{Calendar: newYork}, OpenedAt: friday, CompleteAt: &friday}
	held := Wait{Party: WaitsForPlacer, Reason: "held", Stops: true, BeganAt: monday.Add(-6 * time.Hour), EndedAt: &monday}
	got := TimesOf(c, []Wait{held}, monday, true)
	want := Times{Gross: 24 * time.Hour, Net: 18 * time.Hour, Waited: map[Party]time.Duration{WaitsForPlacer: 6 * time.Hour}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnArchiveThatDoesNotAnswerIsNotThePlacersTime(t *testing.T) {
	c := Case{State: AwaitingImages, Findings: []Finding{{Code: "pacs-unreachable", Kind: MissingImages}}}
	if w, ok := c.waitOf(); !ok || w.Party != WaitsForSystem || !w.Stops {
		t.Errorf("%+v", w)
	}
}

func TestTheGrossClockRunsOnHoldToo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"clocks": {"routine": {"gross": "100h", "final": "50h", "assign": "1000h", "intake": "1000h"}}}`)
	c := h.ready()
	h.fire(h.placer, c, "hold", Input{})
	h.pass(60 * time.Hour)
	h.stands(c, OnHold)
	if diff := cmp.Diff([]string{"warn 50"}, h.spoken(c, "gross")); diff != "" || len(h.spoken(c, "final")) > 0 {
		t.Error(diff, h.spoken(c, "final"))
	}
	h.fire(h.placer, c, "resume", Input{})
	h.pass(41 * time.Hour)
	if diff := cmp.Diff([]string{"warn 50", "warn 75", "warn 90", "breach 100"}, h.spoken(c, "gross")); diff != "" {
		t.Error(diff)
	}
	without := newHouse(t, `{}`)
	other := without.ready()
	without.skip(10000 * time.Hour)
	without.tick()
	if got := without.spoken(other, "gross"); len(got) > 0 {
		t.Error("a clock without a limit speaks:", got)
	}
	h.replays(c)
}

// timesTx is TimesOf for a case as it is kept.
func timesTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, now time.Time, business bool) (Times, error) {
	c, err := CaseByIDTx(ctx, tx, caseID)
	if err != nil {
		return Times{}, err
	}
	waits, err := WaitsTx(ctx, tx, caseID)
	if err != nil {
		return Times{}, err
	}
	return TimesOf(c, waits, now, business), nil
}
