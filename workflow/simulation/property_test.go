package simulation

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/overread/overread/workflow"
)

// propertyCases is how many cases the property is judged on: some thousands in each
// `make test`, 100,000 in `make property`.
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
	if cases < 50_000 {
		cfg.Readers, cfg.Hospitals, cfg.Days = 60, 10, max(2, cases/600)
	}
	return cfg
}

func TestNoReaderReadsTheirOwnUnlicensedOrUnveiledAndNoDeadlineIsEarlyLateOrTwice(t *testing.T) {
	t.Parallel()
	n := propertyCases(t)
	for i, strategy := range Strategies {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			cfg := small(n/len(Strategies)+1, strategy)
			cfg.Seed = uint64(i + 1)
			r, err := Run(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d cases, %d events, %d signed", r.Cases, r.Events, r.Finals)
			for _, v := range r.Examples {
				t.Error(v)
			}
			if r.Cases < cfg.Cases || r.Finals < r.Cases*8/10 {
				t.Errorf("of %d cases %d came and %d were signed: the run shows little", cfg.Cases, r.Cases, r.Finals)
			}
		})
	}
}

// The checker is worth nothing if it finds nothing: here the engine is told something
// else than what is so, or what it did is changed before the checker hears it.
func TestTheCheckerFindsEachFaultThatIsPlanted(t *testing.T) {
	t.Parallel()
	twice := map[workflow.Event]bool{}
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
		cfg := small(600, Greedy)
		cfg.spoil = test.plant
		r, err := Run(context.Background(), cfg)
		if err != nil {
			t.Fatalf("%s: %v", test.fault, err)
		}
		if r.Violations[test.want] == 0 {
			t.Errorf("%s, and the checker has not found %q: %v", test.fault, test.want, r.Violations)
		}
	}
}
