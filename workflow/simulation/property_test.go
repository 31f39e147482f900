package simulation

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// propertyCases is how many cases the property is judged on, as many of each strategy:
// some thousands in each `make test`, 100,000 in `make property`.
func propertyCases(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("OVERREAD_PROPERTY_CASES"))
	if err != nil {
		return 3000
	}
	return n
}

// small is a service of the same proportions with fewer cases, in a region of its own.
func small(cases int, strategy Strategy) Config {
	cfg := Default()
	cfg.Cases, cfg.Strategy = cases, strategy
	cfg.Readers, cfg.Hospitals, cfg.Days = 60, 10, max(2, cases/600)
	return cfg
}

// mostInOne is how many cases one service of the property has. Among 60 readers of a
// region some fields have one reader, or none, so that what nobody can read piles up
// from week to week: that is well for a fortnight, and for longer it is no service.
const mostInOne = 5000

// services are as many cases in services of their own, each from another seed: every
// other one is small, and the others are as dense as the national one.
func services(cases int, strategy Strategy) (all []Config) {
	for i := range uint64((cases + mostInOne - 1) / mostInOne) {
		n := min(cases, mostInOne)
		cfg := small(n, strategy)
		if i%2 == 1 {
			whole := Default()
			cfg.Readers, cfg.Hospitals, cfg.Days = whole.Readers, whole.Hospitals, max(2, n*whole.Days/whole.Cases)
		}
		cfg.Seed = 1 + i + 1000*uint64(slices.Index(Strategies, strategy))
		cases -= n
		all = append(all, cfg)
	}
	return all
}

func TestNoReaderReadsTheirOwnUnlicensedOrUnveiledAndNoDeadlineIsEarlyLateOrTwice(t *testing.T) {
	t.Parallel()
	n := propertyCases(t)
	for _, strategy := range Strategies {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			var mutex sync.Mutex
			cases, events, signed, looks, violations := 0, 0, 0, 0, 0
			two, ran, late := map[string]int{}, map[string]int{}, map[string]int{}
			t.Run("services", func(t *testing.T) {
				for _, cfg := range services(n/len(Strategies)+1, strategy) {
					t.Run(fmt.Sprintf("seed=%d/readers=%d", cfg.Seed, cfg.Readers), func(t *testing.T) {
						t.Parallel()
						r, err := Run(context.Background(), cfg)
						if err != nil {
							t.Fatal(err)
						}
						for _, v := range r.Examples {
							t.Error(v)
						}
						if r.Cases < cfg.Cases || r.Finals < r.Cases*8/10 {
							t.Errorf("of %d cases %d came and %d were signed: the run shows little", cfg.Cases, r.Cases, r.Finals)
						}
						mutex.Lock()
						defer mutex.Unlock()
						cases, events, signed, looks = cases+r.Cases, events+r.Events, signed+r.Finals, looks+r.Looks
						for _, times := range r.Violations {
							violations += times
						}
						for how, times := range r.Two {
							two[how] += times
						}
						for _, c := range r.Clocks {
							ran[c.Clock], late[c.Clock] = ran[c.Clock]+c.Ran, late[c.Clock]+c.Breached
						}
					})
				}
			})
			t.Logf("%s: %d cases, %d events, %d signed; read by two: %v; looked at others' opinions %d times; %d violations", strategy, cases, events, signed, two, looks, violations)
			for _, how := range []string{"agreed", "consensus", "more-pressing", "arbitrated"} {
				if n >= 30_000 && two[how] == 0 {
					t.Errorf("no case that two have read was settled as %s", how)
				}
			}
			for _, clock := range []string{string(workflow.ClockEmergent), string(workflow.ClockUrgent), string(workflow.ClockQuestion)} {
				if ran[clock] == 0 || n >= 60_000 && late[clock] == 0 {
					t.Errorf("the clock of %s ran %d times, and was late %d times", clock, ran[clock], late[clock])
				}
			}
		})
	}
}

// The checker is worth nothing if it finds nothing: here the engine is told something
// else than what is so, or what it did is changed before the checker hears it.
func TestTheCheckerFindsEachFaultThatIsPlanted(t *testing.T) {
	t.Parallel()
	twice := map[workflow.Event]bool{}
	var one uuid.UUID // who has read for the first time where two are to read
	instead := func(event workflow.Event, role access.Role) spoiling {
		return spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			switch {
			case ch.Event == "lock" && ch.Case.State == workflow.Ready:
				one = ch.Actor.ID
			case ch.Event == event && ch.Actor.Role == role && ch.Case.OtherReaderID != nil && *ch.Case.OtherReaderID == one:
				again := *ch
				again.Actor.ID = one
				return []workflow.Change{again}
			}
			return []workflow.Change{*ch}
		}}
	}
	matterTwice := false
	for _, test := range []struct {
		fault string
		want  string
		plant spoiling
	}{
		{"the original's author is not told", "own original", spoiling{facts: func(f *workflow.Facts) {
			f.First.Readers = []string{"Practitioner/somebody"}
		}}},
		{"licences have no end", "not licensed", spoiling{reader: func(r *workflow.Reader) {
			for i := range r.Licences {
				r.Licences[i].ValidTo = ""
			}
		}}},
		{"everybody has every licence", "not licensed", spoiling{reader: func(r *workflow.Reader) {
			r.Licences, r.ReadsFrom = nil, ""
			for _, s := range states {
				r.Licences = append(r.Licences, workflow.Licence{Jurisdiction: s})
			}
		}}},
		{"time limits are shorter than they should be", "deadline early", spoiling{policy: func(p *workflow.Policy) {
			p.Clocks.Routine.Final = workflow.Span{Length: time.Hour}
			p.Clocks.Urgent.Acknowledge = workflow.Span{Length: time.Minute}
		}}},
		{"time limits are longer than they should be", "deadline missed", spoiling{policy: func(p *workflow.Policy) {
			p.Clocks.Routine.Acknowledge = workflow.Span{Length: 5000 * time.Hour}
			p.Clocks.Urgent.Acknowledge = workflow.Span{Length: 5000 * time.Hour}
		}}},
		{"a warning is given twice", "deadline twice", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Event == "warn" && !twice[ch.Event] {
				twice[ch.Event] = true
				again := *ch
				again.Case.Version++
				return []workflow.Change{*ch, again}
			}
			return []workflow.Change{*ch}
		}}},
		{"the second reader is the first", "second is the first", instead("claim", access.Reader)},
		{"the third reader is the first", "third is one of two", instead("claim", access.Adjudicator)},
		{"who has seen the original decides between two", "not independent", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Event == "claim" && ch.Case.State == workflow.Arbitration {
				before := *ch
				before.Event = "reveal"
				return []workflow.Change{before, *ch}
			}
			return []workflow.Change{*ch}
		}}},
		{"who had the original to decide on decides between two", "not independent", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Event == "claim" && ch.Case.State == workflow.Arbitration {
				before := *ch
				before.Case.State = workflow.Adjudication
				return []workflow.Change{before, *ch}
			}
			return []workflow.Change{*ch}
		}}},
		{"who confers has not read", "confers unread", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Event == "concur" {
				ch.Actor.ID = uuid.New()
			}
			return []workflow.Change{*ch}
		}}},
		{"one opinion is taken for two", "one has read for two", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Event == "lock" && ch.Case.State == workflow.Ready {
				ch.Event = "draft"
			}
			return []workflow.Change{*ch}
		}}},
		{"everybody sees every opinion", "seen before sealing", spoiling{shown: true}},
		{"findings have less time than they should", "deadline early", spoiling{policy: func(p *workflow.Policy) { p.Findings.Urgent = workflow.Span{Length: time.Minute} }}},
		{"findings have more time than they should", "deadline missed", spoiling{policy: func(p *workflow.Policy) { p.Findings.Urgent = workflow.Span{Length: 5000 * time.Hour} }}},
		{"questions have less time than they should", "deadline early", spoiling{policy: func(p *workflow.Policy) { p.Clocks.Routine.Question = workflow.Span{Length: time.Minute} }}},
		{"two readers have less time to confer than they should", "deadline early", spoiling{policy: func(p *workflow.Policy) { p.ConferWithin = &workflow.Span{Length: 10 * time.Minute} }}},
		{"an offer has more time than it should", "deadline missed", spoiling{policy: func(p *workflow.Policy) { p.Clocks.Urgent.Offer = workflow.Span{Length: 100 * time.Hour} }}},
		{"a finding's warning is given twice", "deadline twice", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Event == "warn" && ch.Input.Clock.OfMatter() && !matterTwice {
				matterTwice = true
				again := *ch
				again.Case.Version++
				return []workflow.Change{*ch, again}
			}
			return []workflow.Change{*ch}
		}}},
		{"a pressing opinion is no finding", "finding without a clock", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			ch.Matters = nil
			return []workflow.Change{*ch}
		}}},
		{"nobody is told of a finding", "no acknowledgement path", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Input.Clock.OfMatter() {
				ch.Told = nil
			}
			return []workflow.Change{*ch}
		}}},
		{"an opinion is revealed that was not locked", "revealed before the lock", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Event == "lock" {
				ch.Event = "draft"
			}
			return []workflow.Change{*ch}
		}}},
		{"nobody is told of what is unread", "no acknowledgement path", spoiling{policy: func(p *workflow.Policy) { p.Escalations = nil }}},
		{"an event is lost", "history", spoiling{heard: func(ch *workflow.Change) []workflow.Change {
			if ch.Event == "start" {
				return nil
			}
			return []workflow.Change{*ch}
		}}},
	} {
		t.Run(test.fault, func(t *testing.T) {
			cfg := small(600, Greedy)
			cfg.spoil = test.plant
			cfg.spoil.until = test.want
			r, err := Run(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Violations[test.want] == 0 {
				t.Errorf("the checker has not found %q: %v", test.want, r.Violations)
			}
		})
	}
}
