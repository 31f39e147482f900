package simulation

import (
	"fmt"
	"time"

	"github.com/overread/overread/workflow"
)

// Strategy is how cases find their readers.
type Strategy string

// The strategies.
const (
	Pool   Strategy = "pool"   // readers take from the pool what is most pressing
	Greedy Strategy = "greedy" // each case is offered to its best reader at once
	Batch  Strategy = "batch"  // the whole pool is assigned every few minutes
)

// Strategies are all of them.
var Strategies = []Strategy{Pool, Greedy, Batch}

// assignment is the policy's word for a strategy.
func (s Strategy) assignment() workflow.Assignment {
	return map[Strategy]workflow.Assignment{Pool: workflow.FromPool, Greedy: workflow.ByOffer, Batch: workflow.ByBatch}[s]
}

// Config is what is simulated. The same config gives the same result.
type Config struct {
	Seed      uint64          `json:"seed"`
	Cases     int             `json:"cases"`
	Readers   int             `json:"readers"`
	Hospitals int             `json:"hospitals"`
	Days      int             `json:"days"` // in which the cases arrive
	Start     time.Time       `json:"start"`
	Strategy  Strategy        `json:"strategy"`
	Policy    workflow.Policy `json:"-"`

	spoil spoiling
}

// spoiling plants faults, for the tests of the checker: the model is told something
// else than what is so.
type spoiling struct {
	reader func(*workflow.Reader)
	facts  func(*workflow.Facts)
	policy func(*workflow.Policy)
	heard  func(*workflow.Change) []workflow.Change
	shown  bool   // everybody sees every opinion at once
	until  string // the run ends when the checker has found this
}

// Default is a national service over 30 days.
func Default() Config {
	policy := workflow.DefaultPolicy()
	policy.Calendar.Zone = zone
	policy.OrderMayAskProtocol = true // some orders want two readers
	policy.Matching.BatchEvery = workflow.Span{Length: 5 * time.Minute}
	return Config{Seed: 1, Cases: 100_000, Readers: 300, Hospitals: 40, Days: 30, Strategy: Greedy,
		Start: time.Date(2026, 9, 7, 4, 0, 0, 0, time.UTC), Policy: policy} // a Monday, midnight in New York
}

func (c Config) check() error {
	switch {
	case c.Cases < 1 || c.Cases > 10_000_000:
		return fmt.Errorf("cases must be from 1 to 10,000,000")
	case c.Readers < 1 || c.Readers > 10_000:
		return fmt.Errorf("readers must be from 1 to 10,000")
	case c.Hospitals < 1 || c.Hospitals > 10_000:
		return fmt.Errorf("hospitals must be from 1 to 10,000")
	case c.Days < 1 || c.Days > 3660:
		return fmt.Errorf("days must be from 1 to 3660")
	case c.Strategy.assignment() == "":
		return fmt.Errorf("there is no strategy %q: pool, greedy or batch", c.Strategy)
	}
	return nil
}
