package simulation

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// Two who read one case, and the third who decides between them or between a reader
// and the original.

// opinion is what a reader makes of the study.
func (o *order) opinion() workflow.Opinion {
	opinion := workflow.Opinion{Findings: "As described.", Impression: "See findings."}
	switch at := o.c.Float64(); {
	case at < emergent:
		opinion.Impression, opinion.Actionable = "Bleeding.", "emergent"
	case at < emergent+urgent:
		opinion.Impression, opinion.Actionable = "Pneumothorax.", "urgent"
	}
	return opinion
}

// lead is who has the case, and in which role.
func (s *service) lead(c workflow.Case) (*agent, access.Actor) {
	id, role := *c.ReaderID, access.Reader
	if c.Settled != nil && *c.Settled == "arbitrated" && c.AdjudicatorID != nil {
		id, role = *c.AdjudicatorID, access.Adjudicator
	}
	return s.byID[id], s.actor(role, id)
}

// confer: both have locked, and talk with each other.
func (s *service) confer(o *order, c workflow.Case) {
	first, second := s.actor(access.Reader, *c.OtherReaderID), s.actor(access.Reader, *c.ReaderID)
	o.talks++
	talk := o.talks
	stands := func() bool {
		c, ok := s.model.Case(o.id)
		return ok && c.State == workflow.Conferring && o.talks == talk
	}
	differ := o.c.happens(twoDiffer)
	refer := c.Reading != workflow.ByConsensus && differ && o.c.happens(refers)
	seek := !refer && (c.Reading == workflow.ByConsensus || c.Reading == workflow.MixedReading)
	s.after(o.c.lognormal(40*time.Minute, .9), func() {
		switch {
		case !stands():
		case !differ:
			s.concur(o, second, first.ID)
		case refer:
			s.fire(second, o.id, "refer", workflow.Input{Reason: "we differ"})
		case seek:
			both := workflow.Opinion{Findings: "As both describe.", Impression: "See findings, of both."}
			s.fire(second, o.id, "propose", workflow.Input{Opinion: &both})
			if o.c.happens(comeToOne) {
				s.after(o.c.lognormal(30*time.Minute, .9), func() {
					if stands() {
						s.concur(o, first, second.ID)
					}
				})
			}
		}
	})
	s.at(s.office(s.now.Add(3*24*time.Hour)), func() { // the office does not wait for ever
		if stands() {
			s.fire(s.offices[access.Coordinator], o.id, "refer", workflow.Input{Reason: "they do not come to one text"})
		}
	})
}

// concur agrees to what the other one stands by.
func (s *service) concur(o *order, who access.Actor, other uuid.UUID) {
	text := ""
	for _, shown := range s.model.Readings(who, o.id) {
		if shown.ReaderID == other && shown.Status == "locked" {
			text = shown.SHA256
		}
	}
	if !s.fire(who, o.id, "concur", workflow.Input{SHA256: text}) { // may not practise any more
		s.fire(s.offices[access.Coordinator], o.id, "release", workflow.Input{Reason: "one of the two may not go on"})
	}
}

// wantThird: a case waits for a third reader. Who had it before a hold begins anew.
func (s *service) wantThird(o *order, c workflow.Case) {
	if c.AdjudicatorID != nil && !s.fire(s.offices[access.Coordinator], o.id, "release", workflow.Input{Reason: "begins anew"}) {
		return
	}
	s.adjudications.add(s.entryOf(c))
	s.wake(c, s.adjudications, workflow.ToAdjudicate)
}

// decide: a third reader takes a case and decides.
func (s *service) decide(a *agent) bool {
	e, ok := s.adjudications.take(s, a, workflow.ToAdjudicate)
	if !ok {
		return false
	}
	o, who := s.orders[e.id], s.actor(access.Adjudicator, a.id)
	if !s.fire(who, e.id, "claim", workflow.Input{Independent: true}) {
		e.not[a] = true
		s.adjudications.add(e)
		return false
	}
	s.spend(a, o.minutes/2+o.compare, func() {
		c, ok := s.model.Case(e.id)
		if !ok || c.AdjudicatorID == nil || *c.AdjudicatorID != a.id || c.State != workflow.Adjudication && c.State != workflow.Arbitration {
			return
		}
		if s.third(a, o, c, who) {
			return
		}
		s.fire(s.offices[access.Coordinator], e.id, "release", workflow.Input{Reason: "the third reader may not go on"})
		if now, ok := s.model.Case(e.id); ok && now.State == c.State {
			s.adjudications.add(e)
		}
	})
	return true
}

// third decides, and goes on to the signature.
func (s *service) third(a *agent, o *order, c workflow.Case, who access.Actor) bool {
	own := o.opinion()
	if c.Policy.BlindAdjudication && !s.fire(who, o.id, "lock", workflow.Input{Opinion: &own}) {
		return false
	}
	if c.State == workflow.Adjudication {
		grade := gradeOf(o.level)
		if !s.fire(who, o.id, "adjudicate", workflow.Input{Grade: &grade}) || !s.sign(who, o, workflow.Input{}) {
			return false
		}
		a.read++
		return true
	}
	in := workflow.Input{Decision: []string{"first", "second"}[o.c.IntN(2)]}
	if o.c.happens(ownDecision) {
		in = workflow.Input{Decision: "own", Opinion: &own}
	}
	if !s.fire(who, o.id, "arbitrate", in) {
		return false
	}
	s.compare(a, o)
	return true
}

// touch notes a case that two read, or a third, to look at it when all is heard.
func (s *service) touch(ch *workflow.Change) {
	c := &ch.Case
	if (c.Reading != workflow.SingleReading || c.AdjudicatorID != nil) && !slices.Contains(s.touched, c.CaseID) {
		s.touched = append(s.touched, c.CaseID)
	}
}

// look shows the checker what each of those who have a part in a case is shown.
func (s *service) look() {
	for _, id := range s.touched {
		c, ok := s.model.Case(id)
		if !ok {
			continue
		}
		for _, who := range []*uuid.UUID{c.ReaderID, c.OtherReaderID, c.OfferedTo} {
			s.lookAs(access.Reader, who, c)
		}
		s.lookAs(access.Adjudicator, c.AdjudicatorID, c)
	}
	s.touched = s.touched[:0]
}

func (s *service) lookAs(role access.Role, who *uuid.UUID, c workflow.Case) {
	if who == nil {
		return
	}
	shown := s.model.Readings(s.actor(role, *who), c.CaseID)
	if s.cfg.spoil.shown {
		shown = s.model.Readings(access.Actor{Role: access.Quality}, c.CaseID)
	}
	s.checker.look(c.CaseID, role, *who, shown)
}
