package simulation

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// order is one order with its fate, drawn when it comes, so that each strategy
// meets the same orders.
type order struct {
	id    uuid.UUID
	no    int
	facts workflow.Facts // as they are known to the server
	c     chance         // of this order alone

	original   *workflow.OriginalFacts // as it is, whether it has come or not
	madeBy     workflow.FirstReaders   // the original
	originalBy uuid.UUID               // the reader of the service who made it; uuid.Nil: somebody else
	cameAt     *time.Time              // the original report

	minutes, compare float64
	level            workflow.Level
	pressing         string // its priority
	amends           int    // times that it will yet be amended
	error            bool   // it will be declared an error
	twice            *time.Time
	again            bool // it is the second order of a study
	first, second    *order
	pending          int // deeds that need the case though it may be over

	talks    int  // of two readers, and then they begin anew
	asks     bool // the report will be asked about
	signedBy access.Actor
}

// ofStudy are the orders of the same study.
func (o *order) ofStudy() []*order {
	first := o
	if o.first != nil {
		first = o.first
	}
	if first.second == nil {
		return []*order{first}
	}
	return []*order{first, first.second}
}

// arrivals draws when orders come.
type arrivals struct {
	c            chance
	there        *time.Location
	left, sent   int
	rate, pushed float64 // orders an hour in a mean hour, of those that can wait and of those that press
}

func newArrivals(cfg Config) arrivals {
	a := arrivals{c: draws(cfg.Seed, 3), left: cfg.Cases}
	a.there, _ = time.LoadLocation(zone)
	var waits, presses float64
	for h := range cfg.Days * 24 {
		w, p := a.weights(cfg.Start.Add(time.Duration(h) * time.Hour))
		waits, presses = waits+w, presses+p
	}
	press := float64(cfg.Cases) * (priorityStat + priorityAsap)
	a.rate, a.pushed = (float64(cfg.Cases)-press)/waits, press/presses
	return a
}

func (a *arrivals) weights(at time.Time) (waits, presses float64) {
	local := at.In(a.there)
	waits, presses = byHour[local.Hour()], byHourPressed[local.Hour()]
	if d := local.Weekday(); d == time.Saturday || d == time.Sunday {
		waits, presses = waits*atWeekend, presses*atWeekendPressed
	}
	return waits, presses
}

// nextArrival plans the next order. Within each hour orders come at random.
func (s *service) nextArrival() {
	a := &s.arrivals
	if a.left == 0 {
		return
	}
	at := s.now
	for {
		waits, presses := a.weights(at)
		rate := waits*a.rate + presses*a.pushed
		next := at.Add(time.Duration(a.c.ExpFloat64() / rate * float64(time.Hour)))
		end := at.Truncate(time.Hour).Add(time.Hour)
		if next.Before(end) {
			at = next
			break
		}
		at = end
	}
	a.left--
	waits, presses := a.weights(at)
	pressed := a.c.happens(presses * a.pushed / (waits*a.rate + presses*a.pushed))
	s.at(at, func() {
		s.arrive(pressed)
		s.nextArrival()
	})
}

func (s *service) arrive(pressed bool) {
	s.arrivals.sent++
	o := s.draw(s.arrivals.sent, pressed)
	s.open(o)
	if o.twice != nil {
		o.pending++
		first := *o
		s.at(*o.twice, func() {
			again := first
			again.no, again.twice, again.again, again.amends, again.error, again.pending = -first.no, nil, true, 0, false, 0
			again.c = draws(s.cfg.Seed, uint64(first.no)<<8|7) //nolint:gosec // counted from 0
			again.first, o.second = o, &again
			o.pending--
			s.open(&again)
		})
	}
}

// done: one deed less needs the case.
func (s *service) done(o *order) {
	s.after(0, func() { // once all have heard what was done
		o.pending--
		s.over(o)
	})
}

func over(state workflow.State) bool {
	switch state {
	case workflow.Closed, workflow.Rejected, workflow.Cancelled, workflow.Failed, workflow.EnteredInError:
		return true
	}
	return false
}

// draw makes an order with its fate.
func (s *service) draw(no int, pressed bool) *order {
	c := draws(s.cfg.Seed, uint64(no)<<8) //nolint:gosec // counted from 0
	o := &order{no: no, c: c, level: workflow.LevelNone}
	kind := exams[c.weighted(len(exams), func(i int) float64 { return exams[i].share })]
	h := s.hospitals[c.weighted(len(s.hospitals), func(i int) float64 { return s.hospitals[i].weight })]
	age := 16 + c.IntN(75)
	if c.happens(children) {
		age = c.IntN(16)
	}
	patient := fmt.Sprint("patient", no)
	o.facts = workflow.Facts{
		Exam:         workflow.Exam{Display: kind.display, Modality: kind.modality, BodySite: kind.site, Jurisdiction: h.state, PatientAge: age, CodeSystem: "http://loinc.org", Code: kind.display},
		OrderPatient: patient, OrderModality: kind.modality, OrderBodySite: kind.site,
		Question: !c.happens(questionMissing), History: !c.happens(historyMissing), Requester: true,
		StudyReferenced: true, OriginalReferenced: !c.happens(noOriginal),
		Study: &workflow.StudyFacts{ID: fmt.Sprint("study", no), UID: fmt.Sprintf("2.25.%d", no), Patient: patient, Modalities: []string{kind.modality}, BodySite: kind.site, Available: true, Instances: 100, InstancesSaid: 100},
	}
	o.minutes, o.compare = c.around(kind.minutes), c.around(compareMinutes)
	switch at := c.Float64(); {
	case at < majorShare:
		o.level = workflow.LevelMajor
	case at < majorShare+minorShare:
		o.level = workflow.LevelMinor
	}
	s.drawOriginal(o, h)
	if c.happens(imagesMissing) {
		o.facts.Study.Instances = c.IntN(100)
		if !c.happens(imagesNever) {
			o.later(s, func() { o.facts.Study = withImages(*o.facts.Study) })
		}
	}
	if c.happens(sideDoubtful) {
		o.facts.OrderLaterality, o.facts.Study.Laterality = "left", "right"
	}
	if !o.facts.History {
		o.later(s, func() { o.facts.History = true })
	}
	if !o.facts.Question && c.happens(.7) {
		o.later(s, func() { o.facts.Question = true })
	}
	if c.happens(amends) {
		o.amends = 1
	}
	o.error = c.happens(inError)
	o.asks = c.happens(asks)
	at := c.Float64()
	for _, two := range doubleReading {
		if at >= 0 && at < two.share {
			o.facts.Exam.Asked = &workflow.ProtocolWish{Reading: two.reading}
		}
		at -= two.share
	}
	if c.happens(ordersTwice) {
		at := s.now.Add(c.lognormal(12*time.Hour, 1))
		o.twice = &at
	}
	o.priority(pressed)
	if s.cfg.spoil.facts != nil {
		s.cfg.spoil.facts(&o.facts)
	}
	return o
}

// drawOriginal draws who read the study first, and whether the report is here.
func (s *service) drawOriginal(o *order, h hospital) {
	c := o.c
	o.original = &workflow.OriginalFacts{ID: fmt.Sprint("report", o.no), Version: 1, Patient: o.facts.OrderPatient, Final: true}
	o.madeBy = workflow.FirstReaders{Groups: []string{h.group}, Readers: []string{"Practitioner/somebody"}}
	if i := c.IntN(len(s.agents)); c.happens(ownColleague) {
		for range s.agents { // the next who works there
			if a := s.agents[i%len(s.agents)]; a.home == h.group {
				o.madeBy.Readers, o.originalBy = []string{a.practitioner}, a.id
				break
			}
			i++
		}
	}
	switch {
	case !o.facts.OriginalReferenced:
	case !c.happens(originalLate):
		came := s.now
		o.facts.Original, o.facts.First, o.cameAt = o.original, o.madeBy, &came
	case !c.happens(originalNever):
		o.later(s, func() {
			came := s.now
			o.facts.Original, o.facts.First, o.cameAt = o.original, o.madeBy, &came
			if s.cfg.spoil.facts != nil {
				s.cfg.spoil.facts(&o.facts)
			}
		})
	}
}

// later makes something come that was missing, and tells the server.
func (o *order) later(s *service, arrives func()) {
	s.after(time.Minute+o.c.lognormal(medianArrival, 1), func() {
		arrives()
		if s.orders[o.id] == nil {
			return
		}
		if err := s.model.Recheck(o.id); err != nil && s.failed == nil {
			s.failed = fmt.Errorf("recheck: %w", err)
		}
	})
}

func withImages(f workflow.StudyFacts) *workflow.StudyFacts {
	f.Instances = f.InstancesSaid
	return &f
}

func (o *order) priority(pressed bool) {
	at := o.c.Float64()
	switch {
	case pressed && at < priorityStat/(priorityStat+priorityAsap):
		o.pressing = "stat"
	case pressed:
		o.pressing = "asap"
	case at < priorityUrgent/(1-priorityStat-priorityAsap):
		o.pressing = "urgent"
	default:
		o.pressing = "routine"
	}
}

// open sends the order, and what its placer will yet do with it.
func (s *service) open(o *order) {
	placer := s.offices[access.Placer]
	var asked workflow.ProtocolWish
	if wish := o.facts.Exam.Asked; wish != nil {
		asked = *wish
	}
	c, err := s.model.Open(placer, workflow.Order{PlacerSystem: "urn:simulation", PlacerValue: fmt.Sprint(o.no), ServiceRequestRef: "ServiceRequest/s", TaskID: fmt.Sprint("task", o.no), Priority: o.pressing,
		Asked: asked})
	if err != nil {
		s.failed = err
		return
	}
	o.id = c.CaseID
	s.orders[o.id] = o
	if o.c.happens(cancels) {
		s.after(o.c.lognormal(8*time.Hour, 1.2), func() { s.fire(placer, o.id, "cancel", workflow.Input{Reason: "not needed any more"}) })
	}
	if o.c.happens(holds) {
		s.after(o.c.lognormal(4*time.Hour, 1), func() {
			if s.fire(placer, o.id, "hold", workflow.Input{Reason: "the patient is being moved"}) {
				s.after(o.c.lognormal(10*time.Hour, 1), func() { s.fire(placer, o.id, "resume", workflow.Input{}) })
			}
		})
	}
}

// review: a coordinator looks at a doubt.
func (s *service) review(o *order) {
	s.at(s.office(s.now.Add(o.c.lognormal(40*time.Minute, .7))), func() {
		desk := s.offices[access.Coordinator]
		if o.again || o.c.happens(reviewRejects) {
			s.fire(desk, o.id, "reject", workflow.Input{Reason: "duplicate, or the wrong study"})
			return
		}
		s.fire(desk, o.id, "resolve", workflow.Input{Reason: "asked by telephone"})
	})
}

// inquire: a coordinator telephones for what has not come in two days.
func (s *service) inquire(o *order) {
	s.at(s.office(s.now.Add(48*time.Hour)), func() {
		s.fire(s.offices[access.Coordinator], o.id, "proceed", workflow.Input{Reason: "asked by telephone"})
	})
}

// despair: nobody has become eligible in five days.
func (s *service) despair(o *order, c workflow.Case) {
	version := c.Version
	s.at(s.office(s.now.Add(5*24*time.Hour)), func() {
		c, ok := s.model.Case(o.id)
		switch desk := s.offices[access.Coordinator]; {
		case !ok || c.Version != version:
		case c.OtherReaderID != nil:
			s.fire(desk, o.id, "forgo-second", workflow.Input{Reason: "there is no second reader"})
		default:
			s.fire(desk, o.id, "give-up", workflow.Input{Reason: "nobody can be found"})
		}
	})
}

// heed: who was told takes note, soon or late; some never.
func (s *service) heed(ch workflow.Change) {
	o, clock := s.orders[ch.Case.CaseID], ch.Input.Clock
	for _, told := range ch.Told {
		if o == nil || !o.c.happens(.8) {
			continue
		}
		actor := s.offices[access.Coordinator]
		switch told.Tell {
		case workflow.TellDirector:
			actor = s.offices[access.Director]
		case workflow.TellReader:
			actor = s.actor(access.Reader, *told.PersonID)
		}
		s.after(o.c.lognormal(15*time.Minute, 1), func() {
			s.fire(actor, o.id, "heed", workflow.Input{})
			switch {
			case clock == workflow.ClockAcknowledge: // the clinician is called
				s.acknowledge(o)
			case clock.OfMatter():
				s.seeTo(o, clock)
			}
		})
	}
}

// deliver: the clinician reads the report, or does not until somebody calls; and
// what happens to it later.
func (s *service) deliver(o *order, ch workflow.Change) {
	if !o.c.happens(neverOpens) || ch.Before == workflow.Amending {
		s.after(o.c.lognormal(medianAcknowledge[ch.Case.Priority], 1.2), func() { s.acknowledge(o) })
	} else {
		s.after(30*24*time.Hour, func() { s.acknowledge(o) })
	}
	if o.asks {
		s.ask(o)
	}
	if o.error {
		s.declareError(o)
	}
	if o.amends == 0 || ch.Report == nil {
		return
	}
	by := o.signedBy
	o.amends--
	o.pending++
	s.after(o.c.lognormal(20*time.Hour, 1), func() {
		defer s.done(o)
		if !s.fire(by, o.id, "amend", workflow.Input{Reason: "a prior came to light"}) {
			return
		}
		s.after(o.c.lognormal(30*time.Minute, .7), func() {
			if o.c.happens(.1) || !s.sign(by, o, workflow.Input{Amendment: &workflow.Amendment{Kind: "addition", Reason: "a prior came to light", Text: "Unchanged since 2019."}}) {
				s.fire(s.offices[access.Coordinator], o.id, "withdraw-amendment", workflow.Input{Reason: "nothing is to be changed"})
			}
		})
	})
}

func (s *service) declareError(o *order) {
	o.error = false
	o.pending += 2
	why := workflow.Input{Reason: "reported to the wrong patient"}
	s.after(o.c.lognormal(2*time.Hour, 1), func() {
		s.fire(s.offices[access.Director], o.id, "declare-error", why)
		s.done(o)
	})
	second := s.actor(access.Director, o.id)
	s.after(6*time.Hour, func() {
		s.fire(second, o.id, "declare-error", why)
		s.done(o)
	})
}
