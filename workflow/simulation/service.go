package simulation

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// service is one run.
type service struct {
	cfg       Config
	model     *workflow.Model
	now       time.Time
	todo      todo
	steps     int
	hospitals []hospital
	agents    []*agent
	byID      map[uuid.UUID]*agent
	byField   map[string][]*agent
	orders    map[uuid.UUID]*order
	arrivals  arrivals
	offices   map[access.Role]access.Actor

	ready, adjudications, cosigns *pool
	touched                       []uuid.UUID       // cases that two read, in the step that runs
	ended                         []*order          // that may be over
	heard, spare                  []workflow.Change // in the step that runs, and room for them

	tally   *tally
	checker *checker
	failed  error
}

// mostAfter is how many days are lived after the last order.
const mostAfter = 14

// Run lives through the period and then on until the last case is over, two weeks at
// most.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	s := newService(cfg)
	s.nextArrival()
	if cfg.Strategy == Batch {
		s.batch()
	}
	last := cfg.Start.AddDate(0, 0, cfg.Days+mostAfter)
	for s.failed == nil {
		if s.steps++; s.steps%4096 == 0 && ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		at, ok := s.next()
		if !ok || at.After(last) || s.checker.Violations[cfg.spoil.until] > 0 {
			break
		}
		s.now = at
		s.model.SetNow(at)
		if err := s.model.Tick(); err != nil {
			return Result{}, err
		}
		s.listen()
		for len(s.todo) > 0 && !s.todo[0].at.After(s.now) {
			heap.Pop(&s.todo).(deed).do()
			s.listen()
		}
	}
	return s.result(), s.failed
}

func newService(cfg Config) *service {
	s := &service{cfg: cfg, now: cfg.Start, orders: map[uuid.UUID]*order{}, byID: map[uuid.UUID]*agent{}, byField: map[string][]*agent{},
		ready: newPool(), adjudications: newPool(), cosigns: newPool(), offices: map[access.Role]access.Actor{}}
	cfg.Policy.Assignment = cfg.Strategy.assignment()
	told := cfg.Policy
	if cfg.spoil.policy != nil {
		cfg.spoil.policy(&told)
	}
	c := draws(cfg.Seed, 1)
	s.hospitals = someHospitals(cfg.Hospitals, c)
	readers, truths := someReaders(cfg, s.hospitals, c)
	ids := draws(cfg.Seed, 2)
	s.model = workflow.NewModel(told, readers, cfg.Start, workflow.ModelHooks{
		Facts: func(c *workflow.Case, _ time.Time) workflow.Facts { return s.orders[c.CaseID].facts },
		Heard: func(ch workflow.Change) { s.heard = append(s.heard, ch) },
		NewID: ids.id,
	})
	for _, r := range readers {
		s.hire(r)
	}
	for _, role := range []access.Role{access.Placer, access.Coordinator, access.Director} {
		s.offices[role] = s.actor(role, ids.id())
	}
	s.tally = newTally()
	s.checker = newChecker(cfg.Policy, truths)
	s.arrivals = newArrivals(cfg)
	return s
}

// batch assigns the pool as often as the policy says, while there are orders.
func (s *service) batch() {
	if err := s.model.AssignBatch(); err != nil && s.failed == nil {
		s.failed = err
	}
	if s.arrivals.left > 0 || s.model.Size() > 0 {
		s.after(s.cfg.Policy.Matching.BatchEvery.Length, s.batch)
	}
}

// next is when something happens next.
func (s *service) next() (time.Time, bool) {
	at, ok := s.model.Due()
	if len(s.todo) > 0 && (!ok || s.todo[0].at.Before(at)) {
		return s.todo[0].at, true
	}
	return at, ok
}

// listen tells everybody what has happened.
func (s *service) listen() {
	for len(s.heard) > 0 {
		changes := s.heard
		s.heard = s.spare[:0]
		for i := range changes {
			s.touch(&changes[i])
			ch, told := &changes[i], changes[i:i+1]
			if s.cfg.spoil.heard != nil {
				told = s.cfg.spoil.heard(ch)
			}
			for k := range told {
				s.checker.hear(&told[k], s.orders[ch.Case.CaseID])
			}
			s.tally.hear(ch)
			if ch.Event == "sign" && ch.Case.State == workflow.Final && ch.Case.ReportNo == 1 {
				s.tally.signed(ch.Case, s.model.Waits(ch.Case.CaseID), s.now)
			}
			s.tally.open = max(s.tally.open, s.model.Size())
			s.react(*ch)
		}
		s.spare = changes
	}
	s.look()
	for _, o := range s.ended {
		s.forget(o)
	}
	s.ended = s.ended[:0]
}

// react makes people do what follows from an event.
func (s *service) react(ch workflow.Change) {
	c := ch.Case
	o := s.orders[c.CaseID]
	if o == nil {
		return // over and forgotten in the same moment
	}
	if ch.Event == "warn" || ch.Event == "breach" || ch.Event == "escalate" {
		s.heed(ch)
		return
	}
	if ch.Report != nil && ch.Event != "declare-error" {
		o.signedBy = s.actor(ch.Actor.Role, ch.Actor.ID)
	}
	s.talk(o, ch)
	if c.State == ch.Before {
		if over(c.State) {
			s.over(o)
		}
		return
	}
	switch c.State {
	case workflow.IntakeReview:
		s.review(o)
	case workflow.AwaitingInformation:
		s.inquire(o)
	case workflow.Ready:
		s.wait(o, c)
	case workflow.Unassignable:
		s.despair(o, c)
	case workflow.Offered:
		s.offered(o, c)
	case workflow.Accepted, workflow.Reading, workflow.Locked, workflow.Comparing:
		s.taken(c, ch)
	case workflow.Conferring:
		s.confer(o, c)
	case workflow.Arbitration, workflow.Adjudication:
		s.wantThird(o, c)
	case workflow.AwaitingCosign:
		s.cosigns.add(s.entryOf(c))
		s.wake(c, s.cosigns, workflow.ToSupervise)
		s.at(s.office(s.now.Add(48*time.Hour)), func() { // nobody has signed
			s.fire(s.offices[access.Coordinator], o.id, "release", workflow.Input{Reason: "no supervisor"})
		})
	case workflow.Final:
		s.deliver(o, ch)
	default:
		if over(c.State) {
			s.over(o)
		}
	}
}

// over: the case may be over, and is forgotten when all is heard.
func (s *service) over(o *order) { s.ended = append(s.ended, o) }

// forget drops the cases of a study that are over, and that nobody needs any more,
// all at once: who has read one must not read the other.
func (s *service) forget(o *order) {
	study := o.ofStudy()
	for _, one := range study {
		c, ok := s.model.Case(one.id)
		if !ok || !over(c.State) || one.pending > 0 || len(s.model.OpenMatters(one.id)) > 0 {
			return
		}
	}
	for _, one := range study {
		s.model.Forget(one.id)
		s.checker.forget(one.id)
		delete(s.orders, one.id)
	}
	delete(s.checker.seenBy, o.facts.Study.UID)
}

// fire makes somebody do something, and says whether it was done. That it was
// refused is no fault: things happen at the same time.
func (s *service) fire(actor access.Actor, id uuid.UUID, ev workflow.Event, in workflow.Input) bool {
	if s.orders[id] == nil {
		return false
	}
	_, err := s.model.Fire(actor, id, ev, in)
	switch {
	case err == nil:
		return true
	case fault.Is(err, fault.Conflict), fault.Is(err, fault.BusinessRule), fault.Is(err, fault.Forbidden):
		s.tally.refused[ev]++
	case s.failed == nil:
		s.failed = fmt.Errorf("%s: %w", ev, err)
	}
	return false
}

// deed is what somebody will do.
type deed struct {
	at time.Time
	no int
	do func()
}

type todo []deed

func (t todo) Len() int      { return len(t) }
func (t todo) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t todo) Less(i, j int) bool {
	if !t[i].at.Equal(t[j].at) {
		return t[i].at.Before(t[j].at)
	}
	return t[i].no < t[j].no
}
func (t *todo) Push(x any) { *t = append(*t, x.(deed)) }
func (t *todo) Pop() any {
	last := (*t)[len(*t)-1]
	(*t)[len(*t)-1] = deed{}
	*t = (*t)[:len(*t)-1]
	return last
}

func (s *service) after(d time.Duration, do func()) { s.at(s.now.Add(d), do) }

func (s *service) at(at time.Time, do func()) {
	s.steps++
	if at = at.UTC().Truncate(time.Microsecond); at.Before(s.now) {
		at = s.now
	}
	heap.Push(&s.todo, deed{at, s.steps, do})
}

// office is the next moment from then on at which the coordinators are there:
// every day from 7 to 22.
func (s *service) office(at time.Time) time.Time {
	local := at.In(s.arrivals.there)
	switch h := local.Hour(); {
	case h < 7:
		return time.Date(local.Year(), local.Month(), local.Day(), 7, 0, 0, 0, local.Location())
	case h >= 22:
		return time.Date(local.Year(), local.Month(), local.Day()+1, 7, 0, 0, 0, local.Location())
	}
	return at
}

// entry is a case that waits for somebody, where it stands among others.
type entry struct {
	id    uuid.UUID
	due   time.Time
	rank  int // of its priority
	field string
	state workflow.State
	not   map[*agent]bool // who has seen that they may not have it
}

func (s *service) entryOf(c workflow.Case) entry {
	e := entry{id: c.CaseID, rank: slices.Index(workflow.Priorities, c.Priority), field: c.Exam.Subspecialty, state: c.State, not: map[*agent]bool{}}
	if due := s.model.DueOf(c.CaseID); due != nil {
		e.due = *due
	}
	return e
}

// pool is what waits, by subspecialty and priority, the first to be due first.
type pool struct{ lists map[string]*[4][]entry }

func newPool() *pool { return &pool{map[string]*[4][]entry{}} }

func (p *pool) add(e entry) {
	lists := p.lists[e.field]
	if lists == nil {
		lists = &[4][]entry{}
		p.lists[e.field] = lists
	}
	list := lists[e.rank]
	i, _ := slices.BinarySearchFunc(list, e, func(a, b entry) int { return a.due.Compare(b.due) })
	lists[e.rank] = slices.Insert(list, i, e)
}

// mostLooked is how far somebody looks down a list, as in the server's worklist.
const mostLooked = 50

// take is the most pressing that somebody with these subspecialties may have, and
// takes it out. What has gone meanwhile is dropped.
func (p *pool) take(s *service, a *agent, duty workflow.Duty) (entry, bool) {
	for rank := range 4 {
		var best entry
		from, at := "", -1
		for _, field := range append([]string{workflow.General}, a.fields...) {
			lists := p.lists[field]
			if lists == nil {
				continue
			}
			lists[rank] = slices.DeleteFunc(lists[rank], func(e entry) bool { return !s.stands(e) })
			for i, e := range lists[rank] {
				if i == mostLooked || at >= 0 && !e.due.Before(best.due) {
					break
				}
				if e.not[a] {
					continue
				}
				if e.not[a] = !s.model.MayHave(e.id, a.id, duty); !e.not[a] {
					best, from, at = e, field, i
					break
				}
			}
		}
		if at >= 0 {
			p.lists[from][rank] = slices.Delete(p.lists[from][rank], at, at+1)
			return best, true
		}
	}
	return entry{}, false
}

// stands: the case is still where the entry says.
func (s *service) stands(e entry) bool {
	c, ok := s.model.Case(e.id)
	return ok && c.State == e.state
}
