package simulation

import (
	"slices"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// watchedTwo is what the checker remembers of the readers of a case: who has sealed
// an opinion of their own, and who is the third.
type watchedTwo struct {
	sealed      []uuid.UUID
	third       uuid.UUID
	thirdLocked bool
	forgone     bool // the office has done without the second
}

// twoReaders: the second is not the first, the third is neither; who confers has
// sealed an opinion, and where two are to read the original is revealed after two.
func (k *checker) twoReaders(ch *workflow.Change, w *watched) {
	two, who := &w.two, ch.Actor.ID
	third, one := ch.Actor.Role == access.Adjudicator, slices.Contains(two.sealed, who)
	switch ch.Event {
	case "claim":
		switch {
		case third && one:
			k.wrong("third is one of two", "claimed at %s by who has read the case", ch.At)
		case one:
			k.wrong("second is the first", "claimed at %s by who has read the case", ch.At)
		}
		if third {
			two.third, two.thirdLocked = who, false
		}
	case "lock":
		if third {
			two.thirdLocked = true
		} else if !one {
			two.sealed = append(two.sealed, who)
		}
	case "arbitrate", "adjudicate":
		if one {
			k.wrong("third is one of two", "%s at %s by who has read the case", ch.Event, ch.At)
		}
	case "propose", "concur":
		if !one || len(two.sealed) < 2 {
			k.wrong("confers unread", "%s at %s", ch.Event, ch.At)
		}
	case "forgo-second":
		two.forgone = true
	case "release":
		if third || ch.Case.AdjudicatorID == nil {
			two.third, two.thirdLocked = uuid.Nil, false
		}
	case "reveal":
		if ch.Case.Reading != workflow.SingleReading && !two.forgone && len(two.sealed) < 2 {
			k.wrong("one has read for two", "revealed at %s under %s", ch.At, ch.Case.Reading)
		}
	}
}

// look judges what somebody with a part in a case is shown of the others' opinions:
// nothing before they have sealed their own, and of two nothing before both have.
func (k *checker) look(id uuid.UUID, role access.Role, who uuid.UUID, shown []workflow.Sealed) {
	w := k.cases[id]
	if w == nil || !slices.ContainsFunc(shown, func(o workflow.Sealed) bool { return o.ReaderID != who }) {
		return
	}
	k.Looks++
	two := &w.two
	switch {
	case role == access.Adjudicator && two.third != who:
		k.wrong("seen before sealing", "by who is not the third reader of case %s", id)
	case role == access.Adjudicator && k.policy.BlindAdjudication && !two.thirdLocked:
		k.wrong("seen before sealing", "by the third reader of case %s", id)
	case role != access.Adjudicator && (!slices.Contains(two.sealed, who) || len(two.sealed) < 2):
		k.wrong("seen before sealing", "by a reader of case %s, which is %s", id, w.state)
	}
}
