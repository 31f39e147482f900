package simulation

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// What people tell and ask each other: findings that cannot wait, and questions about
// a report.

// talk follows up a finding or a question when it comes.
func (s *service) talk(o *order, ch workflow.Change) {
	for _, m := range ch.Matters {
		switch {
		case !m.Open() || !m.OpenedAt.Equal(ch.At):
		case m.Kind == workflow.FindingMatter:
			s.tell(o, m)
		case m.Kind == workflow.VerificationMatter && m.Content.SameReader:
			s.after(o.c.lognormal(2*time.Hour, 1), func() { s.verify(o, m.No, 5) })
		case m.Kind == workflow.QuestionMatter && !o.c.happens(neverReply):
			s.after(o.c.lognormal(2*time.Hour, 1.2), func() { s.reply(o, m.No, 5) })
		case m.Kind == workflow.VerificationMatter && !o.c.happens(neverReply):
			s.after(o.c.lognormal(6*time.Hour, 1.2), func() { s.compareLate(o, m.No, 5) })
		}
	}
}

// tell: who found it telephones, or does not.
func (s *service) tell(o *order, m workflow.Matter) {
	if m.OpenedBy == nil || !o.c.happens(calls) {
		return
	}
	reader := s.actor(access.Role(m.OpenedRole), *m.OpenedBy)
	s.after(o.c.lognormal(medianCall[m.Category], .8), func() {
		if !s.telephone(o, reader, m.No) {
			s.telephone(o, s.offices[access.Coordinator], m.No)
		}
	})
}

// telephone tells somebody of a finding; who does not say it again acknowledges it in
// the EHR, later.
func (s *service) telephone(o *order, by access.Actor, no int) bool {
	if !s.isOpen(o, no) {
		return true
	}
	reached := o.c.happens(reaches)
	call := workflow.Call{Reached: reached, Content: workflow.CallContent{Recipient: "Dr Ward", Medium: "phone", ReadBack: reached && o.c.happens(readsBack)}}
	if !s.fire(by, o.id, "communicate", workflow.Input{Matter: no, Call: &call}) {
		return false
	}
	if !call.Content.ReadBack {
		s.after(o.c.lognormal(time.Hour, 1), func() {
			if s.isOpen(o, no) {
				s.fire(s.offices[access.Placer], o.id, "acknowledge-finding", workflow.Input{Matter: no})
			}
		})
	}
	return true
}

func (s *service) isOpen(o *order, no int) bool {
	for _, m := range s.model.OpenMatters(o.id) {
		if m.No == no {
			return true
		}
	}
	return false
}

// seeTo: whoever was told that a finding or a question waits does something about it.
func (s *service) seeTo(o *order, clock workflow.ClockName) {
	_, number, _ := strings.Cut(string(clock), "/")
	no, _ := strconv.Atoi(number)
	for _, m := range s.model.OpenMatters(o.id) {
		switch {
		case m.No != no:
		case m.Kind == workflow.FindingMatter:
			s.telephone(o, s.offices[access.Coordinator], no)
		case m.Kind == workflow.VerificationMatter && m.Content.SameReader:
			s.verify(o, no, 2)
		case m.Kind == workflow.VerificationMatter:
			s.compareLate(o, no, 2)
		default:
			s.reply(o, no, 2)
		}
	}
}

// ask: the clinician asks about the report.
func (s *service) ask(o *order) {
	o.asks = false
	o.pending++
	s.after(o.c.lognormal(5*time.Hour, 1), func() {
		s.fire(s.offices[access.Placer], o.id, "ask", workflow.Input{Question: &workflow.Asked{Text: "Is it new?", Person: "Dr Ward"}})
		s.done(o)
	})
}

// reply: who signed answers, when the report is not being amended; after so many
// times the question is taken back.
func (s *service) reply(o *order, no, times int) {
	switch {
	case !s.isOpen(o, no) || o.signedBy.ID == uuid.Nil:
	case times == 0:
		s.fire(s.offices[access.Placer], o.id, "withdraw-question", workflow.Input{Matter: no, Reason: "asked by telephone"})
	case !s.fire(o.signedBy, o.id, "answer", workflow.Input{Matter: no, Answer: "It is not."}):
		s.after(4*time.Hour, func() { s.reply(o, no, times-1) })
	}
}

// compareLate: who signed compares a first report that came after the signature, by an
// amendment; after so many times a director does without.
func (s *service) compareLate(o *order, no, times int) {
	if !s.isOpen(o, no) || o.signedBy.ID == uuid.Nil {
		return
	}
	if times == 0 {
		s.fire(s.offices[access.Director], o.id, "dismiss-verification", workflow.Input{Matter: no, Reason: "who signed is no longer here"})
		s.fire(s.offices[access.Coordinator], o.id, "withdraw-amendment", workflow.Input{Reason: "nothing is to be changed"})
		return
	}
	grade := gradeOf(o.level)
	s.fire(o.signedBy, o.id, "amend", workflow.Input{Reason: "the first report came"})
	if !s.sign(o.signedBy, o, workflow.Input{Matter: no, Grade: &grade,
		Amendment: &workflow.Amendment{Kind: "amendment", Reason: "the first report came", Text: "The two were compared.", Verifies: true}}) {
		s.after(4*time.Hour, func() { s.compareLate(o, no, times-1) })
	}
}

// verify: a supervisor who is independent looks at a report that turns out not to be;
// where there is none the director says that it is somebody else: of who did make the
// original that is refused, and a supervisor is looked for again, so many times. What
// else is open of it is compared.
func (s *service) verify(o *order, no, times int) {
	if !s.isOpen(o, no) {
		return
	}
	for _, a := range s.agents {
		by := s.actor(access.Supervisor, a.id)
		if a.senior && s.fire(by, o.id, "verify", workflow.Input{Matter: no, Reason: "Read anew."}) {
			o.signedBy = by
			return
		}
	}
	if s.madeByOne(o) {
		if s.fire(s.offices[access.Director], o.id, "dismiss-verification", workflow.Input{Matter: no, Reason: "a director who does not tell the truth"}) {
			s.checker.wrong("first reader dismissed", "case %s: who made the original is found to be somebody else", o.id)
		}
		if times > 0 {
			s.after(4*time.Hour, func() { s.verify(o, no, times-1) })
		}
		return
	}
	s.fire(s.offices[access.Director], o.id, "dismiss-verification", workflow.Input{Matter: no, Reason: "it was somebody else of that name"})
	s.compareLate(o, no, 5)
}

// madeByOne: the original is by one of those who had a part in the case.
func (s *service) madeByOne(o *order) bool {
	c, ok := s.model.Case(o.id)
	if !ok || o.originalBy == uuid.Nil {
		return false
	}
	return o.signedBy.ID == o.originalBy || slices.ContainsFunc([]*uuid.UUID{c.ReaderID, c.OtherReaderID, c.AdjudicatorID, c.SupervisorID},
		func(id *uuid.UUID) bool { return id != nil && *id == o.originalBy })
}

// sign: who signs says of each finding that came from another text whether it stands.
func (s *service) sign(who access.Actor, o *order, in workflow.Input) bool {
	undecided, err := s.model.Undecided(who, o.id, in)
	if err != nil {
		return s.fire(who, o.id, "sign", in) // which is refused for the same reason
	}
	for _, m := range undecided {
		outcome := "withdrawn"
		if o.c.happens(letsStand) {
			outcome = "stands"
		}
		in.Outcomes = append(in.Outcomes, workflow.FindingOutcome{Number: m.Number, Outcome: outcome})
	}
	return s.fire(who, o.id, "sign", in)
}

// acknowledge: the clinician takes note of the report, and first of what cannot wait.
func (s *service) acknowledge(o *order) {
	placer := s.offices[access.Placer]
	for _, m := range s.model.OpenMatters(o.id) {
		if m.Kind == workflow.FindingMatter && m.Category == "emergent" {
			s.fire(placer, o.id, "acknowledge-finding", workflow.Input{Matter: m.No})
		}
	}
	s.fire(placer, o.id, "acknowledge", workflow.Input{})
}
