package simulation

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/workflow"
)

// Result is what a run has shown. Times are in minutes.
type Result struct {
	Config   Config         `json:"config"`
	Cases    int            `json:"cases"`
	Events   int            `json:"events"`
	Outcomes map[string]int `json:"outcomes"` // cases by the state in which they ended, or are
	Finals   int            `json:"finals"`

	Clocks      []ClockResult  `json:"clocks"`
	Turnaround  []Turnaround   `json:"turnaround"`
	Utilisation Spread         `json:"utilisation"` // share of the shift that was spent reading, by reader
	Gini        float64        `json:"gini"`        // of the work for each hour on shift
	Two         map[string]int `json:"readByTwo"`   // signed cases that two have read, by how two opinions became one
	Looks       int            `json:"looks"`       // at opinions of others that the checker has judged
	Offers      float64        `json:"offersPerCase"`
	Declined    int            `json:"declined"`
	Lapsed      int            `json:"lapsed"`
	Unassigned  int            `json:"casesEverUnassignable"`
	Nobody      []Reason       `json:"whyUnassignable"`
	Waiting     []int          `json:"waitingByHour"` // cases that waited for a reader, each hour of the period
	Work        []float64      `json:"utilisationByReader"`
	Refused     map[string]int `json:"refused"` // events that a guard refused
	Violations  map[string]int `json:"violations"`
	Examples    []string       `json:"violationExamples,omitempty"`
	MostOpen    int            `json:"mostOpen"` // cases in memory at once
}

// ClockResult is how a clock fared for a priority.
type ClockResult struct {
	Clock    string  `json:"clock"`
	Priority string  `json:"priority"`
	Ran      int     `json:"ran"` // how often it was started
	Breached int     `json:"breached"`
	Share    float64 `json:"share"`
}

// Turnaround is from complete to signed less the pauses (net), and from the order to
// signed (gross).
type Turnaround struct {
	Priority string `json:"priority"`
	Signed   int    `json:"signed"`
	Net      Spread `json:"net"`
	Gross    Spread `json:"gross"`
}

// Spread are percentiles.
type Spread struct {
	P10    float64 `json:"p10"`
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Mean   float64 `json:"mean"`
}

// Reason is why readers could not have cases for which there was nobody.
type Reason struct {
	Why     string `json:"why"`
	Readers int    `json:"readers"`
}

// tally counts while the run goes on.
type tally struct {
	cases, events, finals    int
	outcomes                 map[string]int
	ran, breached            map[[2]string]int
	net, gross               map[string][]float32
	offers, declined, lapsed int
	two                      map[string]int
	unassigned               map[uuid.UUID]bool
	nobody                   map[string]int
	refused                  map[workflow.Event]int
	waitingNow, open         int
	byHour                   []int
	hour                     time.Time
}

func newTally() *tally {
	return &tally{outcomes: map[string]int{}, ran: map[[2]string]int{}, breached: map[[2]string]int{}, net: map[string][]float32{}, gross: map[string][]float32{},
		two: map[string]int{}, unassigned: map[uuid.UUID]bool{}, nobody: map[string]int{}, refused: map[workflow.Event]int{}}
}

func waits(s workflow.State) bool {
	return s == workflow.Ready || s == workflow.Unassignable || s == workflow.Offered
}

func (t *tally) hear(ch *workflow.Change) {
	t.events++
	c := ch.Case
	count := func(m map[[2]string]int, clock workflow.ClockName) {
		family, _, _ := strings.Cut(string(clock), "/") // of findings and questions each has its own
		m[[2]string{family, c.Priority}]++
	}
	for _, m := range ch.Matters {
		switch {
		case !m.Open() || !m.OpenedAt.Equal(ch.At):
		case m.Kind == workflow.QuestionMatter:
			count(t.ran, workflow.ClockQuestion)
		case m.Kind == workflow.FindingMatter:
			count(t.ran, workflow.ClockName("finding-"+m.Category))
		}
	}
	t.strike(ch.At)
	if c.State != ch.Before {
		t.outcomes[string(c.State)]++
		if ch.Before != "" {
			t.outcomes[string(ch.Before)]--
		}
		switch {
		case waits(c.State) && !waits(ch.Before):
			t.waitingNow++
			if ch.Event != "resume" {
				count(t.ran, workflow.ClockAssign)
			}
		case !waits(c.State) && waits(ch.Before):
			t.waitingNow--
		}
	}
	switch ch.Event {
	case "open":
		t.cases++
		count(t.ran, workflow.ClockIntake)
		count(t.ran, workflow.ClockGross)
	case "pass-checks":
		if c.CompleteAt != nil && c.CompleteAt.Equal(ch.At) {
			count(t.ran, workflow.ClockFinal)
		}
	case "grade", "lock":
		if c.State != ch.Before && (c.State == workflow.Adjudication || c.State == workflow.Conferring) {
			count(t.ran, workflow.ClockAdjudicate)
		}
	case "breach":
		count(t.breached, ch.Input.Clock)
	case "offer":
		t.offers++
	case "decline":
		t.declined++
	case "expire-offer":
		t.lapsed++
	case "find-nobody":
		t.findNobody(ch)
	case "sign":
		if c.State == workflow.Final {
			count(t.ran, workflow.ClockAcknowledge)
		}
	}
}

// strike notes at each full hour how many cases wait.
func (t *tally) strike(at time.Time) {
	if t.hour.IsZero() {
		t.hour = at.Truncate(time.Hour)
		return
	}
	for ; !at.Before(t.hour.Add(time.Hour)); t.hour = t.hour.Add(time.Hour) {
		t.byHour = append(t.byHour, t.waitingNow)
	}
}

var figures = regexp.MustCompile(`[0-9][0-9-]*`)

func (t *tally) findNobody(ch *workflow.Change) {
	t.unassigned[ch.Case.CaseID] = true
	for _, why := range ch.Input.Candidates {
		for _, one := range why {
			t.nobody[strings.TrimSpace(figures.ReplaceAllString(one, "n"))]++
		}
	}
}

// signed notes how long a case took.
func (t *tally) signed(c workflow.Case, waits []workflow.Wait, now time.Time) {
	t.finals++
	if c.Settled != nil {
		t.two[*c.Settled]++
	}
	times := workflow.TimesOf(c, waits, now, false)
	t.net[c.Priority] = append(t.net[c.Priority], float32(times.Net.Minutes()))
	t.gross[c.Priority] = append(t.gross[c.Priority], float32(times.Gross.Minutes()))
}

// shownClocks are those of which a result tells, in this order.
var shownClocks = []workflow.ClockName{workflow.ClockIntake, workflow.ClockAssign, workflow.ClockFinal, workflow.ClockGross, workflow.ClockAdjudicate, workflow.ClockAcknowledge,
	workflow.ClockEmergent, workflow.ClockUrgent, workflow.ClockQuestion}

func (s *service) result() Result {
	t := s.tally
	s.checker.end(s.now)
	r := Result{Config: s.cfg, Cases: t.cases, Events: t.events, Outcomes: t.outcomes, Finals: t.finals,
		Declined: t.declined, Lapsed: t.lapsed, Unassigned: len(t.unassigned), Refused: map[string]int{}, MostOpen: t.open, Two: t.two, Looks: s.checker.Looks,
		Violations: s.checker.Violations, Examples: s.checker.Examples, Waiting: t.byHour[:min(len(t.byHour), s.cfg.Days*24)]}
	maps.DeleteFunc(r.Outcomes, func(_ string, n int) bool { return n == 0 })
	for ev, n := range t.refused {
		r.Refused[string(ev)] = n
	}
	for _, clock := range shownClocks {
		for _, p := range workflow.Priorities {
			key := [2]string{string(clock), p}
			if clock == workflow.ClockGross && s.cfg.Policy.Clocks.For(p).Gross == nil || t.ran[key] == 0 {
				continue
			}
			r.Clocks = append(r.Clocks, ClockResult{key[0], p, t.ran[key], t.breached[key], float64(t.breached[key]) / float64(t.ran[key])})
		}
	}
	for _, p := range workflow.Priorities {
		if len(t.net[p]) > 0 {
			r.Turnaround = append(r.Turnaround, Turnaround{p, len(t.net[p]), spreadOf(t.net[p]), spreadOf(t.gross[p])})
		}
	}
	var shares []float32
	for _, a := range s.agents {
		if a.onDuty > 0 {
			shares = append(shares, float32(a.worked.Minutes()/a.onDuty.Minutes()))
		}
	}
	r.Utilisation, r.Gini = spreadOf(shares), gini(shares)
	slices.Sort(shares)
	for _, share := range shares {
		r.Work = append(r.Work, float64(share))
	}
	if t.finals > 0 {
		r.Offers = float64(t.offers) / float64(t.finals)
	}
	for _, why := range slices.SortedFunc(maps.Keys(t.nobody), func(a, b string) int { return cmp.Or(t.nobody[b]-t.nobody[a], strings.Compare(a, b)) }) {
		r.Nobody = append(r.Nobody, Reason{why, t.nobody[why]})
	}
	return r
}

func spreadOf(list []float32) (s Spread) {
	if len(list) == 0 {
		return s
	}
	list = slices.Clone(list)
	slices.Sort(list)
	at := func(q float64) float64 { return float64(list[int(q*float64(len(list)-1))]) }
	s = Spread{P10: at(.10), Median: at(.50), P90: at(.90), P99: at(.99)}
	for _, v := range list {
		s.Mean += float64(v) / float64(len(list))
	}
	return s
}

// gini is the coefficient of Gini (1912): 0 where all have the same, near 1 where one
// has all.
func gini(list []float32) float64 {
	list = slices.Clone(list)
	slices.Sort(list)
	var sum, weighted float64
	for i, v := range list {
		sum += float64(v)
		weighted += float64(v) * float64(2*(i+1)-len(list)-1)
	}
	if sum == 0 {
		return 0
	}
	return weighted / (float64(len(list)) * sum)
}
