package workflow

import (
	"slices"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// Who reads blindly knows of nobody's findings but their own, and so can choose no
// other, nor learn by a number that there are any: everybody has numbers of their own
// for what they know of a case. They are those of the case, but where something was
// hidden from them when they opened a matter themselves.

// KnownMatter is a matter by the number under which somebody knows it.
type KnownMatter struct {
	Number int
	Matter
}

// Known are the matters of the case of which the actor may know, by their numbers.
func (c Case) Known(all []Matter, actor access.Actor) []KnownMatter {
	return numberedFor(all, actor, func(m Matter) bool { return c.MayKnow(m, actor) })
}

// Choosable are those that the actor may name: what they may know, and at the desk and
// for who may stand in after the signature what they were told of.
func (c Case) Choosable(all []Matter, actor access.Actor) []KnownMatter {
	return numberedFor(all, actor, func(m Matter) bool { return c.mayChoose(m, actor) })
}

// numberedFor: what somebody has opened keeps the number that they were told; the rest
// that they know fills the numbers between, in the order of the case.
func numberedFor(all []Matter, actor access.Actor, knows func(Matter) bool) (known []KnownMatter) {
	if !actor.HidesOriginals() {
		for _, m := range all {
			if knows(m) {
				known = append(known, KnownMatter{m.No, m})
			}
		}
		return known
	}
	me, taken := actor.Viewer(), map[int]bool{}
	own := func(m Matter) bool { return m.OpenedBy != nil && *m.OpenedBy == me }
	for _, m := range all {
		if own(m) && knows(m) {
			known = append(known, KnownMatter{m.ownNumber(), m})
			taken[m.ownNumber()] = true
		}
	}
	next := 1
	for _, m := range all {
		if own(m) || !knows(m) {
			continue
		}
		for taken[next] {
			next++
		}
		known = append(known, KnownMatter{next, m})
		taken[next] = true
	}
	slices.SortFunc(known, func(a, b KnownMatter) int { return a.Number - b.Number })
	return known
}

// ownNumber is by which who opened it knows it.
func (m Matter) ownNumber() int {
	if m.Content.OwnNo > 0 {
		return m.Content.OwnNo
	}
	return m.No
}

// nextNumber is by which the actor will know what they open now.
func (c Case) nextNumber(all []Matter, actor access.Actor) int {
	if !actor.HidesOriginals() {
		return len(all) + 1
	}
	known := c.Choosable(all, actor)
	if len(known) == 0 {
		return 1
	}
	return known[len(known)-1].Number + 1
}

// MayKnow tells whether an actor may know of a matter: before the reveal of a blinded
// reading whoever reads knows of their own, and after it who took part, or is to sign.
func (c Case) MayKnow(m Matter, actor access.Actor) bool {
	if !actor.HidesOriginals() {
		return actor.Role != access.Placer || !c.WaitsForSignature(m)
	}
	me := actor.Viewer()
	own := m.OpenedBy != nil && *m.OpenedBy == me
	signs := c.State == AwaitingCosign && actor.Role == access.Supervisor
	return own || !c.veiledFor(me) && (signs || c.isHand(me))
}

func (c Case) mayChoose(m Matter, actor access.Actor) bool {
	me := actor.Viewer()
	switch actor.Role {
	case access.Coordinator, access.Director: // whom the chain tells, unless they read it themselves
		return c.State.Ended() || !c.isHand(me) || c.MayKnow(m, actor)
	case access.Supervisor, access.Adjudicator: // who may stand in; the guards say whether they do
		return c.ReportNo > 0 && !c.veiledFor(me) || c.MayKnow(m, actor)
	}
	return c.MayKnow(m, actor)
}

// veiledFor: who reads the case is not to know what others have found.
func (c Case) veiledFor(who uuid.UUID) bool {
	return c.Protocol == Blinded && (c.RevealedAt == nil || c.Veiled && !c.IsOneOfTwo(who))
}

// isHand tells whether somebody is one of those who read, decide or sign the case.
func (c Case) isHand(who uuid.UUID) bool {
	return slices.ContainsFunc([]*uuid.UUID{c.ReaderID, c.OtherReaderID, c.AdjudicatorID, c.SupervisorID}, func(id *uuid.UUID) bool { return id != nil && *id == who })
}
