package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// chainOfThree tells the reader, ten minutes later the coordinator, and twenty
// after that the director, when half of the final clock is over.
const chainOfThree = `
clocks: {routine: {final: 100h, assign: 10000h, intake: 10000h}}
contacts: {coordinator: [desk@north.example, night@north.example], director: [chief@north.example]}
escalations:
  - clock: final
    at: 50
    chain:
      - {tell: reader, by: [page, notification, mail], wait: 10m}
      - {tell: coordinator, by: [page, mail], wait: 20m}
      - {tell: director, by: [mail]}
`

func escalating(t *testing.T) (*house, Case) {
	t.Helper()
	h := newHouse(t, `{}`)
	h.setPolicy(chainOfThree)
	h.exec(`UPDATE reader SET credential = credential || '{"mail": "anna@north.example"}' WHERE reader_id = $1`, h.anna.ID)
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	return h, c
}

func TestAChainIsToldUntilSomebodyTakesNote(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	h.pass(49 * time.Hour)
	h.wasTold(c)
	h.pass(2 * time.Hour)
	h.wasTold(c, "reader")
	h.pass(9 * time.Minute)
	h.wasTold(c, "reader")
	h.pass(2 * time.Minute)
	h.wasTold(c, "reader", "coordinator")
	h.pass(19 * time.Minute)
	h.refused(fault.Forbidden, h.ben, c, "heed", Input{}) // was told nothing
	h.fire(h.coordinator, c, "heed", Input{})
	h.pass(40 * time.Hour)
	h.wasTold(c, "reader", "coordinator")
	h.refused(fault.BusinessRule, h.coordinator, c, "heed", Input{})
	if got := h.mailed(); !cmp.Equal(got, []string{"anna@north.example", "desk@north.example", "night@north.example"}) {
		t.Error(got)
	}
	h.replays(c)
}

func TestAChainThatNobodyHeedsEnds(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	for range 60 { // in small steps, and in one of days
		h.pass(time.Hour)
	}
	h.pass(1000 * time.Hour)
	h.wasTold(c, "reader", "coordinator", "director")
	if got := h.mailed(); len(got) != 4 || got[3] != "chief@north.example" {
		t.Error(got)
	}
	h.replays(c)
}

func TestAReaderTakesNoteOfWhatTheyWereTold(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	h.pass(51 * time.Hour)
	h.pass(11 * time.Minute)
	h.fire(h.anna, c, "heed", Input{}) // late, and it counts for the coordinator too
	h.pass(time.Hour)
	h.wasTold(c, "reader", "coordinator")
	if got := h.pages(h.coordinator); len(got) != 0 {
		t.Error(got)
	}
}

func TestWhereNobodyHasTheCaseTheNextIsToldAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	h.setPolicy(chainOfThree)
	c := h.ready()
	h.pass(51 * time.Hour)
	h.wasTold(c, "coordinator")
}

func TestTheSignatureEndsTheChain(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	h.pass(51 * time.Hour)
	if got := h.pages(h.anna); len(got) != 1 {
		t.Error(got)
	}
	h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
	h.fire(h.anna, c, "reveal", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "sign", Input{})
	h.pass(time.Hour)
	h.wasTold(c, "reader")
	if got := h.pages(h.anna); len(got) != 0 {
		t.Error("a page of a clock that has ended:", got)
	}
	h.refused(fault.BusinessRule, h.anna, c, "heed", Input{})
}

func TestOnHoldNobodyFurtherIsTold(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	h.pass(51 * time.Hour)
	h.skip(4 * time.Minute)
	h.fire(h.placer, c, "hold", Input{})
	h.pass(100 * time.Hour)
	h.wasTold(c, "reader")
	h.fire(h.placer, c, "resume", Input{})
	h.pass(5 * time.Minute)
	h.wasTold(c, "reader") // nine of the ten minutes
	h.pass(2 * time.Minute)
	h.wasTold(c, "reader", "coordinator")
	h.pass(19 * time.Minute)
	h.wasTold(c, "reader", "coordinator")
	h.replays(c)
}

func TestEachSeesTheirOwnPages(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	h.pass(51 * time.Hour)
	h.pass(11 * time.Minute)
	number := h.find(c).Number()
	for _, test := range []struct {
		actor access.Actor
		want  []string
	}{
		{h.anna, []string{number + " final 50"}}, {as(h.anna, access.Supervisor), []string{number + " final 50"}}, {h.ben, nil},
		{h.coordinator, []string{number + " final 50"}}, {h.director, nil}, {h.placer, nil}, {as(h.anna, access.Auditor), nil},
	} {
		if diff := cmp.Diff(test.want, h.pages(test.actor)); diff != "" {
			t.Errorf("%s %s: %s", test.actor.Role, test.actor.Display, diff)
		}
	}
}

func TestAddressesAreThoseOfThePolicyInForce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	h.setPolicy(chainOfThree)
	h.ready()
	h.setPolicy("contacts: {coordinator: [new@north.example]}\n")
	h.pass(51 * time.Hour)
	if got := h.mailed(); !cmp.Equal(got, []string{"new@north.example"}) {
		t.Error(got)
	}
}

func TestAClockSpeaksThoughTheReadersAddressIsNone(t *testing.T) {
	t.Parallel()
	h, c := escalating(t)
	h.exec(`UPDATE reader SET credential = credential || '{"mail": "anna"}' WHERE reader_id = $1`, h.anna.ID)
	h.pass(51 * time.Hour)
	h.wasTold(c, "reader")
	if got := h.mailed(); len(got) != 0 || len(h.pages(h.anna)) != 1 {
		t.Error(got, h.pages(h.anna))
	}
}

// A release that comes after this one may have more settings, and both may run.
func TestAPolicyOfALaterReleaseIsReadAndNotSet(t *testing.T) {
	t.Parallel()
	const later = `{"assignment": "offer", "telepathy": true}`
	if _, err := ReadPolicy([]byte(later)); err == nil {
		t.Error("a setting that nobody knows is taken")
	}
	h := newHouse(t, later)
	h.stands(h.ready(), Offered)
}

// A breach is told once, whoever dies in the middle and however many tick.
func TestEscalationsAreToldOnceByManyReplicasThatFail(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	h.setPolicy(chainOfThree + "  - {clock: final, at: 100, chain: [{tell: director, by: [page, mail]}]}\n")
	var cases []Case
	for range 12 {
		cases = append(cases, h.ready())
	}
	h.skip(101 * time.Hour) // all four stages are due, and the chain
	var flaky sync.Mutex
	failures := 0
	hooks := Hooks{
		Facts: func(_ context.Context, _ pgx.Tx, c *Case) (Facts, error) { return *h.facts[c.PlacerValue], nil },
		Publish: func(_ context.Context, _ pgx.Tx, ch Change) error {
			flaky.Lock()
			defer flaky.Unlock()
			if failures++; failures%3 == 0 && failures < 60 {
				return errors.New("the power fails just before the commit")
			}
			return nil
		},
	}
	for range 12 { // who has failed is put off; time passes until it is its turn again
		var replicas sync.WaitGroup
		for range 3 {
			e := h.newEngine()
			e.Use(hooks)
			replicas.Go(func() { _, _ = e.Tick(context.Background()) })
		}
		replicas.Wait()
		h.skip(45 * time.Minute)
	}
	for _, c := range cases {
		if diff := cmp.Diff([]string{"warn 50", "warn 75", "warn 90", "breach 100"}, h.spoken(c, "final")); diff != "" {
			t.Error(diff)
		}
		h.wasTold(c, "coordinator", "director", "director")
		h.replays(c)
	}
	if failures < 60 {
		t.Errorf("only %d events were tried", failures)
	}
	if got := len(h.mailed()); got != len(cases)*4 {
		t.Errorf("%d mails, want %d", got, len(cases)*4)
	}
}

func TestPoliciesWithChainsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"escalations: [{clock: final, at: 50, chain: []}]":                                                                                             "escalations[0].chain must have at least 1",
		"escalations: [{clock: offer, at: 50, chain: [{tell: reader, by: [page]}]}]":                                                                   "escalations[0].clock must be one of intake",
		"escalations: [{clock: final, at: 60, chain: [{tell: reader, by: [page]}]}]":                                                                   "escalations[0].at must be one of 50, 75, 90, 100",
		"escalations: [{clock: final, at: 50, chain: [{tell: nobody, by: [page]}]}]":                                                                   "escalations[0].chain[0].tell must be one of reader, coordinator, director",
		"escalations: [{clock: final, at: 50, chain: [{tell: reader, by: []}]}]":                                                                       "escalations[0].chain[0].by must have at least 1",
		"escalations: [{clock: final, at: 50, chain: [{tell: reader}]}]":                                                                               "escalations[0].chain[0] must have by",
		"escalations: [{clock: final, at: 50, chain: [{tell: reader, by: [page]}, {tell: director, by: [page]}]}]":                                     "escalations[0].chain[0] must have wait",
		"escalations: [{clock: final, at: 50, chain: [{tell: director, by: [page], wait: 5m}]}]":                                                       "escalations[0].chain[0].wait is at the end of the chain",
		"escalations: [{clock: final, at: 50, chain: [{tell: director, by: [page], wait: 5m}, {tell: director, by: [page]}]}]":                         "is the same as the one before",
		"contacts: {director: [\"the chief\"]}":                                                                                                        "contacts.director[0] must be an address of mail",
		"contacts: {director: [\"a@b.example\\r\\nBcc: x@y.example\"]}":                                                                                "contacts.director[0] must be an address of mail",
		"escalations: [{clock: final, at: 50, priorities: [soon], chain: [{tell: reader, by: [page]}]}]":                                               "priorities[0] must be one of stat",
		"escalations:\n  - clock: final\n    at: 50\n    chain:\n      - tell: reader\n        by: [page]\n      - tell: reader\n        by: [page]\n": "line 5: escalations[0].chain[0] must have wait",
	} {
		if _, err := ParsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
}

// The items of a list are not laid over those of the default.
func TestAListOfAPolicyIsItsOwn(t *testing.T) {
	p, err := ParsePolicy([]byte(`escalations: [{clock: gross, at: 100, chain: [{tell: coordinator, by: [mail]}]}, {clock: final, at: 100, chain: [{tell: director, by: [page]}]}, {clock: intake, at: 50, chain: [{tell: coordinator, by: [page]}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range p.Escalations {
		if rule.Priorities != nil || len(rule.Chain) != 1 || rule.Chain[0].Wait != nil {
			t.Errorf("%+v", rule)
		}
	}
	none, err := ParsePolicy([]byte(`{"escalations": []}`))
	if err != nil || len(none.Escalations) != 0 {
		t.Errorf("%v %+v", err, none.Escalations)
	}
}

// wasTold must be who was told of a case, in order.
func (h *house) wasTold(c Case, want ...string) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT tell FROM escalation WHERE case_id = $1 ORDER BY told_at, link`, c.CaseID)
		if err != nil {
			return err
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if diff := cmp.Diff(want, append([]string(nil), got...)); diff != "" {
			h.Error(diff)
		}
		return err
	})
}

func (h *house) pages(actor access.Actor) (list []string) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		pages, err := PagesTx(ctx, tx, actor)
		for _, p := range pages {
			list = append(list, fmt.Sprintf("%s %s %d", p.Number(), p.Clock, p.Stage))
		}
		return err
	})
	return list
}
