package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// checker watches every event and says what must never be: a reader at their own
// original, with an expired licence, or with the original before the lock; a deadline
// that speaks early, late or twice; a report that nobody has to acknowledge. It knows
// what is so (truth, order) and the limits of the policy. It counts time itself, and
// calls nothing of the engine, so that a fault of the engine is not its own.
type checker struct {
	policy workflow.Policy
	there  *time.Location
	off    map[string]bool // holidays, as 2006-01-02
	truths map[uuid.UUID]truth
	cases  map[uuid.UUID]*watched
	seenBy map[string][]seen // by study: who has sealed an opinion on it, or seen the original

	Events     int
	Looks      int // at what readers are shown of others' opinions
	Violations map[string]int
	Examples   []string // the first of each kind
}

// watched is what the checker remembers of a case.
type watched struct {
	state, resume workflow.State
	version       int64
	clocks        map[workflow.ClockName]*watchedClock
	reader        uuid.UUID
	locked        bool // by that reader
	two           watchedTwo
	matters       map[int]*watchedMatter // by number; those that are open
	findings      int                    // ever
	takenBack     []int                  // findings that were withdrawn
}

// seen is that somebody knows a study, from a case.
type seen struct {
	who    uuid.UUID
	caseID uuid.UUID
	third  bool // as its third reader, who may have the third reading again, unless
	aware  bool // they decided there with the original in view, and now may not know it
}

// watchedClock counts the time that a clock has run.
type watchedClock struct {
	ran     time.Duration
	since   *time.Time // nil: it stands still
	started time.Time
	spoken  []int
}

// clockRules say in which states each clock is there, and in which it stands still.
// They are written down again here on purpose (workflow/agenda.go has them too).
var clockRules = []clockRule{
	{workflow.ClockIntake, oneOf("received", "intake-review", "awaiting-information", "awaiting-images"), oneOf(), true, []workflow.Event{"open"}, nil, fourStages},
	{workflow.ClockAssign, oneOf("ready", "unassignable", "offered"), oneOf(), true, nil, nil, fourStages},
	{workflow.ClockFinal, unsigned, oneOf("awaiting-information", "awaiting-images"), true, []workflow.Event{"pass-checks"}, nil, fourStages},
	{workflow.ClockGross, unsigned, oneOf(), false, []workflow.Event{"open"}, nil, fourStages},
	{workflow.ClockAdjudicate, oneOf("conferring", "arbitration", "adjudication"), oneOf(), true, nil, []workflow.Event{"grade", "lock"}, fourStages},
	{workflow.ClockAcknowledge, oneOf("final", "amending"), oneOf(), true, nil, nil, fourStages}, // anew with each version
	{workflow.ClockOffer, oneOf("offered"), oneOf(), true, nil, []workflow.Event{"offer"}, []int{100}},
	{clockConfer, oneOf("conferring"), oneOf(), true, nil, nil, []int{100}},
}

// clockConfer is the time that two readers have to come to one text, before a third
// decides. It has no warnings, and neither has an offer.
const clockConfer workflow.ClockName = "confer"

var fourStages = []int{50, 75, 90, 100}

type clockRule struct {
	clock        workflow.ClockName
	there        func(workflow.State) bool
	stands       func(workflow.State) bool
	holdStops    bool
	beginsOnlyBy []workflow.Event // none: whenever a case comes where the clock is
	startsAnewBy []workflow.Event
	stages       []int
}

func oneOf(states ...workflow.State) func(workflow.State) bool {
	return func(s workflow.State) bool { return slices.Contains(states, s) }
}

func unsigned(s workflow.State) bool {
	return !oneOf("final", "closed", "amending", "rejected", "cancelled", "failed", "entered-in-error")(s)
}

func newChecker(p workflow.Policy, truths map[uuid.UUID]truth) *checker {
	there, err := time.LoadLocation(p.Calendar.Zone)
	if err != nil {
		there = time.UTC
	}
	k := &checker{policy: p, there: there, truths: truths, off: map[string]bool{}, cases: map[uuid.UUID]*watched{}, seenBy: map[string][]seen{}, Violations: map[string]int{}}
	for _, h := range p.Calendar.Holidays {
		k.off[string(h)] = true // others than plain dates are not known here
	}
	return k
}

func (k *checker) wrong(kind, format string, args ...any) {
	if k.Violations[kind]++; k.Violations[kind] == 1 {
		k.Examples = append(k.Examples, kind+": "+fmt.Sprintf(format, args...))
	}
}

// hear judges one event.
func (k *checker) hear(ch *workflow.Change, o *order) {
	k.Events++
	c := ch.Case
	w := k.cases[c.CaseID]
	if w == nil {
		w = &watched{clocks: map[workflow.ClockName]*watchedClock{}}
		k.cases[c.CaseID] = w
	}
	if ch.Before != w.state || c.Version != w.version+1 {
		k.wrong("history", "%s leads from %s (%d) to %s (%d), but the case was %s (%d)", ch.Event, ch.Before, c.Version-1, c.State, c.Version, w.state, w.version)
	}
	k.people(ch, w, o)
	k.twoReaders(ch, w)
	k.blinding(ch, w)
	k.spoken(ch, w)
	k.turn(ch, w)
	k.listed(ch, w)
	w.state, w.version = c.State, c.Version
	if c.State == "on-hold" && c.ResumeState != nil {
		w.resume = *c.ResumeState
	}
	if c.State == "final" && w.clocks[workflow.ClockAcknowledge] == nil && ch.Event == "sign" {
		k.wrong("no acknowledgement path", "a report was signed, and no clock waits for its reader")
	}
}

// people: whoever takes, reads, decides or signs is not the original reader, and is
// licensed then where the images were made and where they are read.
func (k *checker) people(ch *workflow.Change, w *watched, o *order) {
	reading := oneOf2(ch.Event, "claim", "start", "draft", "lock", "reveal", "grade", "propose", "concur", "arbitrate", "adjudicate", "sign")
	person := ch.Actor.Role == access.Reader || ch.Actor.Role == access.Adjudicator || ch.Actor.Role == access.Supervisor
	if !reading || !person || o == nil {
		return
	}
	if o.originalBy == ch.Actor.ID && o.cameAt != nil && !o.cameAt.After(ch.At) {
		k.wrong("own original", "%s at %s by who made the original, which came %s", ch.Event, ch.At, o.cameAt)
	}
	t := k.truths[ch.Actor.ID]
	for _, where := range []string{o.facts.Exam.Jurisdiction, t.readsFrom} {
		if until, has := t.licences[where]; !has || !until.IsZero() && !ch.At.Before(until) {
			k.wrong("not licensed", "%s at %s by a reader whose licence for %s ended %s", ch.Event, ch.At, where, until)
		}
	}
	study := o.facts.Study.UID
	third := ch.Actor.Role == access.Adjudicator
	if ch.Event == "claim" && slices.ContainsFunc(k.seenBy[study], func(s seen) bool {
		return s.who == ch.Actor.ID && (!s.third || !third || s.caseID != ch.Case.CaseID || s.aware && ch.Case.State == workflow.Arbitration)
	}) {
		k.wrong("not independent", "case %s claimed at %s as %s by %s, who has read study %s before", ch.Case.CaseID, ch.At, ch.Actor.Role, ch.Actor.ID, study)
	}
	if oneOf2(ch.Event, "lock", "reveal") || ch.Event == "claim" && third && !ch.Case.Policy.BlindAdjudication || ch.Event == "sign" && ch.Actor.Role == access.Supervisor {
		k.seenBy[study] = append(k.seenBy[study], seen{ch.Actor.ID, ch.Case.CaseID, ch.Event == "claim", ch.Case.State == workflow.Adjudication})
	}
}

func oneOf2(e workflow.Event, events ...workflow.Event) bool { return slices.Contains(events, e) }

// blinding: under a blinded protocol the original is revealed only to who has locked
// an opinion since they took the case.
func (k *checker) blinding(ch *workflow.Change, w *watched) {
	c := ch.Case
	switch ch.Event {
	case "claim":
		if ch.Actor.Role == access.Reader {
			w.reader, w.locked = ch.Actor.ID, false
		}
	case "lock", "concur", "forgo-second": // of two, whose text stands goes on
		w.reader, w.locked = uuid.Nil, false
		if c.ReaderID != nil {
			w.reader, w.locked = *c.ReaderID, slices.Contains(w.two.sealed, *c.ReaderID)
		}
	case "arbitrate": // who decides between two has what both have locked
		w.reader, w.locked = ch.Actor.ID, len(w.two.sealed) >= 2
	case "reveal":
		if c.Protocol == workflow.Blinded && (!w.locked || ch.Actor.ID != w.reader) {
			k.wrong("revealed before the lock", "by %s at %s", ch.Actor.Role, ch.At)
		}
	case "release":
		if c.ReaderID == nil {
			w.reader, w.locked = uuid.Nil, false
		}
	}
	if c.Protocol == workflow.Blinded && c.RevealedAt != nil && !w.locked {
		k.wrong("revealed before the lock", "the case says so after %s at %s", ch.Event, ch.At)
	}
}

// spoken: a clock speaks when its time has come, once at each stage.
func (k *checker) spoken(ch *workflow.Change, w *watched) {
	clock, stage := ch.Input.Clock, ch.Input.Percent
	switch {
	case ch.Event == "warn" || ch.Event == "breach":
	case ch.Event == "expire-offer":
		clock, stage = workflow.ClockOffer, 100
	case ch.Event == "refer" && ch.Actor.Role == access.System:
		clock, stage = clockConfer, 100
	default:
		return
	}
	if family, number, of := strings.Cut(string(clock), "/"); of {
		k.spokenOf(ch, w, family, number, stage)
		return
	}
	run := w.clocks[clock]
	if run == nil {
		k.wrong("deadline without a clock", "%s of %s", ch.Event, clock)
		return
	}
	if slices.Contains(run.spoken, stage) {
		k.wrong("deadline twice", "%s at %d %%", clock, stage)
	}
	run.spoken = append(run.spoken, stage)
	limit := k.limit(&ch.Case, clock)
	if ran, due := k.ran(run, limit.Business, ch.At), stageOf(limit, stage); ran < due-early {
		k.wrong("deadline early", "%s at %d %% after %s of %s", clock, stage, ran, limit)
	}
	if ch.Event == "breach" && clock == workflow.ClockAcknowledge && len(ch.Told) == 0 && k.escalates(clock) {
		k.wrong("no acknowledgement path", "a report is unread beyond its limit, and nobody is told")
	}
}

// early is by how much a clock may be ahead of the checker's, which counts in
// another way.
const early = time.Second

func stageOf(limit workflow.Span, stage int) time.Duration {
	return limit.Length / 100 * time.Duration(stage)
}

func (k *checker) escalates(clock workflow.ClockName) bool {
	return slices.ContainsFunc(k.policy.Escalations, func(e workflow.Escalation) bool { return e.Clock == clock && e.At == 100 && e.Priorities == nil })
}

// turn lets the clocks begin, stand still, go on and end as the state has it.
func (k *checker) turn(ch *workflow.Change, w *watched) {
	state, held := ch.Case.State, false
	if state == "on-hold" {
		held = true
		state = w.state
		if ch.Case.ResumeState != nil {
			state = *ch.Case.ResumeState
		}
	}
	for _, rule := range clockRules {
		limit := k.limit(&ch.Case, rule.clock)
		run := w.clocks[rule.clock]
		if run != nil {
			k.late(rule.clock, run, limit, rule.stages, ch.At)
		}
		if !rule.there(state) || limit.Length == 0 {
			delete(w.clocks, rule.clock)
			continue
		}
		begins := run == nil && (rule.beginsOnlyBy == nil || slices.Contains(rule.beginsOnlyBy, ch.Event))
		anew := ch.Case.State != ch.Before && slices.Contains(rule.startsAnewBy, ch.Event) || rule.clock == workflow.ClockAcknowledge && ch.Report != nil
		if begins || anew {
			run = &watchedClock{started: ch.At}
			w.clocks[rule.clock] = run
		}
		if run == nil {
			continue
		}
		stands := rule.stands(state) || held && rule.holdStops
		switch {
		case stands && run.since != nil:
			run.ran, run.since = k.ran(run, limit.Business, ch.At), nil
		case !stands && run.since == nil:
			at := ch.At
			run.since = &at
		}
	}
}

// late: a stage whose time has long come must have spoken.
func (k *checker) late(clock workflow.ClockName, run *watchedClock, limit workflow.Span, stages []int, now time.Time) {
	if len(run.spoken) == len(stages) {
		return
	}
	ran := k.ran(run, limit.Business, now)
	for _, stage := range stages {
		if ran > stageOf(limit, stage)+2*time.Minute && !slices.Contains(run.spoken, stage) {
			k.wrong("deadline missed", "%s at %d %% has not spoken after %s of %s", clock, stage, ran, limit)
			run.spoken = append(run.spoken, stage)
		}
	}
}

// end judges what is still open when nobody does anything any more.
func (k *checker) end(now time.Time) {
	for _, w := range k.cases {
		for no, m := range w.matters {
			k.late(m.clock(no), &m.run, m.limit, fourStages, now)
		}
		for _, rule := range clockRules {
			if run := w.clocks[rule.clock]; run != nil && w.state == "final" && !slices.Contains(run.spoken, 100) && run.since != nil && now.Sub(*run.since) > 60*24*time.Hour {
				k.wrong("deadline missed", "%s of a case that is %s at the end", rule.clock, w.state)
			}
		}
	}
}

func (k *checker) forget(id uuid.UUID) { delete(k.cases, id) }

func (k *checker) limit(c *workflow.Case, clock workflow.ClockName) workflow.Span {
	limits := k.policy.Clocks.Routine
	switch c.Priority {
	case "stat":
		limits = k.policy.Clocks.Stat
	case "asap":
		limits = k.policy.Clocks.Asap
	case "urgent":
		limits = k.policy.Clocks.Urgent
	}
	switch clock {
	case workflow.ClockIntake:
		return limits.Intake
	case workflow.ClockAssign:
		return limits.Assign
	case workflow.ClockFinal:
		return limits.Final
	case workflow.ClockAdjudicate:
		return limits.Adjudicate
	case workflow.ClockAcknowledge:
		return limits.Acknowledge
	case workflow.ClockOffer:
		return limits.Offer
	case workflow.ClockQuestion:
		return limits.Question
	case workflow.ClockReverify:
		return limits.Reverify
	case clockConfer:
		switch {
		case c.Reading == workflow.ByConsensus: // they have as long as they need
			return workflow.Span{}
		case k.policy.ConferWithin != nil:
			return *k.policy.ConferWithin
		}
		return workflow.Span{Length: limits.Adjudicate.Length / 2, Business: limits.Adjudicate.Business}
	case workflow.ClockGross:
		if limits.Gross != nil {
			return *limits.Gross
		}
	}
	return workflow.Span{}
}

// ran is how long a clock has run until now, in time of its kind.
func (k *checker) ran(run *watchedClock, business bool, now time.Time) time.Duration {
	if run.since == nil {
		return run.ran
	}
	if !business {
		return run.ran + now.Sub(*run.since)
	}
	return run.ran + k.business(*run.since, now)
}

// business counts the hours of working days between two moments, by the clock on
// the wall.
func (k *checker) business(from, to time.Time) (sum time.Duration) {
	wall := func(t time.Time) time.Time {
		l := t.In(k.there)
		return time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), l.Second(), l.Nanosecond(), time.UTC)
	}
	at, end := wall(from), wall(to)
	for at.Before(end) {
		next := time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, time.UTC)
		if next.After(end) {
			next = end
		}
		if !k.free(at) {
			sum += next.Sub(at)
		}
		at = next
	}
	return sum
}

func (k *checker) free(day time.Time) bool {
	for _, name := range k.policy.Calendar.Weekend {
		if weekdayNames[day.Weekday()] == name {
			return true
		}
	}
	return k.off[day.Format("2006-01-02")] || k.off[day.Format("01-02")]
}

var weekdayNames = [7]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
