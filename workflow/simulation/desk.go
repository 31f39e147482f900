package simulation

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// agent is a reader at work: one thing at a time, the most pressing first.
type agent struct {
	id           uuid.UUID
	practitioner string
	home         string
	fields       []string
	shift        workflow.Shift
	absences     []workflow.Absence
	senior       bool // adjudicates or supervises
	queue        []entry
	busy         bool
	idleSince    time.Time
	calling      bool // will come at the next shift

	worked time.Duration // all that was done
	read   int
	onDuty time.Duration // shifts in the period
}

func (s *service) hire(r workflow.Reader) {
	a := &agent{id: r.ID, practitioner: "Practitioner/" + r.PractitionerID, home: r.Groups[0], fields: r.Subspecialties, shift: r.Shifts[0], absences: r.Absences,
		senior: r.MayAdjudicate || r.MaySupervise, idleSince: s.now}
	s.agents = append(s.agents, a)
	s.byID[a.id] = a
	for _, f := range a.fields {
		s.byField[f] = append(s.byField[f], a)
	}
	for at := s.cfg.Start; at.Before(s.cfg.Start.AddDate(0, 0, s.cfg.Days)); at = at.Add(15 * time.Minute) {
		if a.atWork(at, s) {
			a.onDuty += 15 * time.Minute
		}
	}
	s.call(a)
}

// atWork tells whether the agent is on shift. It is the agent's own reading of their
// shifts, not that of the rules.
func (a *agent) atWork(at time.Time, s *service) bool {
	local := at.In(s.there())
	date := workflow.DateOf(local)
	for _, l := range a.absences {
		if l.From <= date && date <= l.To {
			return false
		}
	}
	minute := func(clock string) int {
		t, _ := time.Parse("15:04", clock)
		return t.Hour()*60 + t.Minute()
	}
	now, from, to := local.Hour()*60+local.Minute(), minute(a.shift.From), minute(a.shift.To)
	on := func(d time.Weekday) bool { return slices.Contains(a.shift.Days, strings.ToLower(d.String())) }
	if from < to {
		return on(local.Weekday()) && from <= now && now < to
	}
	return on(local.Weekday()) && from <= now || on((local.Weekday()+6)%7) && now < to
}

func (s *service) there() *time.Location {
	if s.arrivals.there == nil {
		s.arrivals.there, _ = time.LoadLocation(zone)
	}
	return s.arrivals.there
}

// call has the agent look for work when their next shift begins.
func (s *service) call(a *agent) {
	if a.calling {
		return
	}
	a.calling = true
	at := s.now.Truncate(time.Hour)
	for on := a.atWork(s.now, s); ; {
		at = at.Add(time.Hour)
		was := on
		if on = a.atWork(at, s); on && !was {
			break
		}
		if at.Sub(s.now) > 30*24*time.Hour {
			return
		}
	}
	s.at(at, func() {
		a.calling = false
		s.work(a)
	})
}

// wake lets somebody who is idle look for what has come: who has waited longest and
// may have it.
func (s *service) wake(c workflow.Case, p *pool, duty workflow.Duty) {
	agents := s.byField[c.Exam.Subspecialty]
	if c.Exam.Subspecialty == workflow.General {
		agents = s.agents
	}
	var longest *agent
	for _, a := range agents {
		if !a.busy && (longest == nil || a.idleSince.Before(longest.idleSince)) && (p == s.ready || a.senior) && a.atWork(s.now, s) && s.model.MayHave(c.CaseID, a.id, duty) {
			longest = a
		}
	}
	if longest != nil {
		s.after(0, func() { s.work(longest) })
	}
}

// work takes up the most pressing thing that there is for the agent.
func (s *service) work(a *agent) {
	if a.busy {
		return
	}
	if !a.atWork(s.now, s) {
		s.call(a)
		return
	}
	if a.senior && (s.decide(a) || s.cosign(a)) {
		return
	}
	for len(a.queue) > 0 {
		e := a.queue[0]
		a.queue = a.queue[1:]
		if s.takeUp(a, e.id) {
			return
		}
	}
	if s.cfg.Strategy == Pool {
		reader := s.actor(access.Reader, a.id)
		if e, ok := s.ready.take(s, a, workflow.ToRead); ok {
			s.fire(reader, e.id, "claim", workflow.Input{Independent: true})
			a.idleSince = s.now
			s.after(0, func() { s.work(a) })
			return
		}
	}
	a.idleSince = s.now
	s.call(a)
}

// spend keeps the agent busy.
func (s *service) spend(a *agent, minutes float64, then func()) {
	a.busy = true
	d := time.Duration(minutes * float64(time.Minute))
	a.worked += d
	s.after(d, func() {
		a.busy = false
		then()
		s.work(a)
	})
}

// wait: a case waits in the pool.
func (s *service) wait(o *order, c workflow.Case) {
	if s.cfg.Strategy == Pool {
		s.ready.add(s.entryOf(c))
		s.wake(c, s.ready, workflow.ToRead)
	}
}

// offered: the reader answers, or lets it expire.
func (s *service) offered(o *order, c workflow.Case) {
	a, version := s.byID[*c.OfferedTo], c.Version
	reader := s.actor(access.Reader, a.id)
	at := o.c.Float64()
	if at < ignores {
		return
	}
	s.after(time.Duration(o.c.ExpFloat64()*answerMinutes[c.Priority]*float64(time.Minute)), func() {
		if c, ok := s.model.Case(o.id); !ok || c.Version < version || c.OfferedTo == nil || *c.OfferedTo != a.id || !a.atWork(s.now, s) {
			return
		}
		if at < ignores+declines {
			s.fire(reader, o.id, "decline", workflow.Input{Reason: "busy"})
			return
		}
		s.fire(reader, o.id, "claim", workflow.Input{Independent: true})
	})
}

// taken: a case is in a reader's hands, also after a hold.
func (s *service) taken(c workflow.Case, ch workflow.Change) {
	goesOn := []workflow.Event{"claim", "resume", "return"}
	if c.Reading != workflow.SingleReading { // whose it is now need not be who has locked
		goesOn = append(goesOn, "lock", "concur", "forgo-second")
	}
	if !slices.Contains(goesOn, ch.Event) || c.ReaderID == nil {
		return
	}
	a, _ := s.lead(c)
	e := s.entryOf(c)
	i, _ := slices.BinarySearchFunc(a.queue, e, func(x, y entry) int {
		if x.rank != y.rank {
			return x.rank - y.rank
		}
		return x.due.Compare(y.due)
	})
	a.queue = slices.Insert(a.queue, i, e)
	if !a.busy {
		s.after(0, func() { s.work(a) })
	}
}

// takeUp goes on with a case where it stands.
func (s *service) takeUp(a *agent, id uuid.UUID) bool {
	c, ok := s.model.Case(id)
	if !ok || c.ReaderID == nil {
		return false
	}
	lead, reader := s.lead(c)
	if lead != a {
		return false
	}
	o := s.orders[id]
	switch c.State {
	case workflow.Accepted:
		if !s.fire(reader, id, "start", workflow.Input{}) {
			s.giveBack(a, o)
			return false
		}
		fallthrough
	case workflow.Reading:
		s.spend(a, o.minutes, func() { s.lock(a, o) })
	case workflow.Locked, workflow.Comparing:
		s.compare(a, o)
	default:
		return false
	}
	return true
}

func (s *service) lock(a *agent, o *order) {
	if s.orders[o.id] == nil {
		return
	}
	reader := s.actor(access.Reader, a.id)
	if o.c.happens(gaveBack) {
		s.fire(reader, o.id, "release", workflow.Input{Reason: "beyond my field"})
		return
	}
	opinion := o.opinion()
	if !s.fire(reader, o.id, "lock", workflow.Input{Opinion: &opinion}) {
		s.giveBack(a, o)
		return
	}
	if c, _ := s.model.Case(o.id); c.Reading == workflow.SingleReading {
		s.compare(a, o)
	}
}

func (s *service) compare(a *agent, o *order) {
	c, ok := s.model.Case(o.id)
	if !ok {
		return
	}
	if _, reader := s.lead(c); c.State == workflow.Locked && !s.fire(reader, o.id, "reveal", workflow.Input{}) {
		s.giveBack(a, o)
		return
	}
	s.spend(a, o.compare, func() { s.finish(a, o) })
}

func (s *service) finish(a *agent, o *order) {
	c, ok := s.model.Case(o.id)
	if !ok || c.State != workflow.Comparing || c.ReaderID == nil {
		return
	}
	_, reader := s.lead(c)
	if reader.Role == access.Adjudicator && o.c.happens(decidesNot) { // who decided has seen the original: somebody else decides anew
		s.fire(reader, o.id, "release", workflow.Input{Reason: "beyond my field"})
		return
	}
	grade := gradeOf(o.level)
	if c.Comparable == nil || !*c.Comparable {
		grade = incomparable
	}
	if !s.fire(reader, o.id, "grade", workflow.Input{Grade: &grade}) {
		s.giveBack(a, o)
		return
	}
	if c, _ := s.model.Case(o.id); c.State != workflow.Comparing {
		return // a third reader decides
	}
	if !s.sign(reader, o, workflow.Input{}) {
		s.giveBack(a, o)
		return
	}
	a.read++
}

// giveBack: something keeps the reader from going on; the coordinator takes the
// case back when the reader does not.
func (s *service) giveBack(a *agent, o *order) {
	c, ok := s.model.Case(o.id)
	if !ok || c.ReaderID == nil {
		return
	}
	lead, reader := s.lead(c)
	if lead != a {
		return
	}
	why := workflow.Input{Reason: "may not go on with it"}
	if !s.fire(reader, o.id, "release", why) {
		s.fire(s.offices[access.Coordinator], o.id, "release", why)
	}
}

func (s *service) cosign(a *agent) bool {
	e, ok := s.cosigns.take(s, a, workflow.ToSupervise)
	if !ok {
		return false
	}
	o, who := s.orders[e.id], s.actor(access.Supervisor, a.id)
	s.spend(a, o.minutes/2, func() {
		if o.c.happens(.03) {
			s.fire(who, e.id, "return", workflow.Input{Reason: "look at the bones again"})
			return
		}
		s.sign(who, o, workflow.Input{})
	})
	return true
}

var incomparable = workflow.Grade{NoComparison: "there is no original report", NoComparisonReason: "no-original"}

func gradeOf(l workflow.Level) workflow.Grade {
	d := workflow.Discrepancy{Finding: "nodule", Nature: "detection", Significance: "unimportant"}
	switch l {
	case workflow.LevelNone:
		return workflow.Grade{}
	case workflow.LevelMajor:
		d.Significance = "important"
	}
	return workflow.Grade{Difference: "A nodule is not mentioned.", Discrepancies: []workflow.Discrepancy{d}}
}
