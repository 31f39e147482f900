package workflow

import (
	"fmt"
	"time"
)

// ClockName names one of the clocks of a case: a row of its agenda, and a
// column of the policy's limits.
type ClockName string

// The clocks. The offer has no stages: it just ends (agenda.go, offer-expiry).
const (
	ClockIntake      ClockName = "intake"
	ClockOffer       ClockName = "offer"
	ClockAssign      ClockName = "assign"
	ClockFinal       ClockName = "final"
	ClockGross       ClockName = "gross"
	ClockAcknowledge ClockName = "acknowledge"
	ClockAdjudicate  ClockName = "adjudicate"
	ClockCredential  ClockName = "credential" // no clock of the agenda: credentials of who has the case end (expiry.go)
)

// named returns the limit of a clock; one of no length is not set, and the
// clock does not run.
func (l Limits) named(clock ClockName) Span {
	switch clock.family() {
	case ClockQuestion:
		return l.Question
	case ClockReverify:
		return l.Reverify
	case ClockIntake:
		return l.Intake
	case ClockOffer:
		return l.Offer
	case ClockAssign:
		return l.Assign
	case ClockFinal:
		return l.Final
	case ClockGross:
		if l.Gross == nil {
			return Span{}
		}
		return *l.Gross
	case ClockAcknowledge:
		return l.Acknowledge
	}
	return l.Adjudicate
}

// stages are the percents of a limit at which a clock speaks: the first three
// warn, the last is the breach. Each speaks once.
var stages = []int{50, 75, 90, 100}

// nextStage is the stage after the one that spoke last (0: none yet); ok is
// false when all have.
func nextStage(spoke int) (next int, ok bool) {
	for _, s := range stages {
		if s > spoke {
			return s, true
		}
	}
	return 0, false
}

// stageAt is the moment of a stage, counted back from the deadline, so that it
// holds also after the clock was paused and the deadline moved.
func stageAt(cal Calendar, deadline time.Time, limit Span, stage int) time.Time {
	return cal.Add(deadline, limit.Percent(stage-100))
}

// limit is the time limit of a clock for this case.
func (c *Case) limit(clock ClockName) Span {
	switch clock.family() {
	case ClockEmergent:
		return c.Policy.Findings.Emergent
	case ClockUrgent:
		return c.Policy.Findings.Urgent
	case ClockNonCritical:
		return c.Policy.Findings.NonCritical
	}
	return c.Policy.Clocks.For(c.Priority).named(clock)
}

// clockWords is what a clock is of, for people.
var clockWords = map[ClockName]string{
	ClockIntake: "the intake", ClockOffer: "the offer", ClockAssign: "the assignment", ClockFinal: "the report",
	ClockGross: "the whole order", ClockAcknowledge: "the acknowledgement", ClockAdjudicate: "the adjudication",
	ClockEmergent: "the acknowledgement of an emergent finding", ClockUrgent: "the acknowledgement of an urgent finding",
	ClockNonCritical: "the acknowledgement of a non-critical finding", ClockQuestion: "the answer to a question", ClockReverify: "the re-verification",
	ClockOrigin: "the question who read first",
}

// toldAtOnce is what is said where somebody is told at once, at no stage of the clock.
var toldAtOnce = map[ClockName]string{
	ClockAdjudicate: "it needs a third reader, and nobody may be that now",
	ClockReverify:   "its report needs another look: who has a part in it may have read the original",
	ClockOrigin:     "a report of its study has come, and nothing says whether it was made before the second opinion. Ask the hospital: if it was, have it sent again with the time when it was made (issued), or named by the order",
}

// pressingWords are the findings of which somebody is told until they are acknowledged.
var pressingWords = map[ClockName]string{ClockEmergent: "an emergent finding", ClockUrgent: "an urgent finding"}

// Spoken says in a sentence what a clock says at a stage, or by a reminder (0 for none):
// nothing of the patient.
func Spoken(caseNumber string, clock ClockName, stage, reminder int) string {
	family := clock.family()
	said := func(format string, args ...any) string {
		return "Case " + caseNumber + ": " + fmt.Sprintf(format, args...) + "."
	}
	finding, pressing := pressingWords[family]
	switch {
	case clock == ClockCredential:
		when := "ends soon"
		if stage >= endsToday {
			when = "ends today, or has ended"
		}
		return "Case " + caseNumber + ": a licence, privilege or credentialing of who has it " + when + ". Give the case to somebody else in time: $reassign, or $release. " +
			"Whose it is and which other cases they have: Practitioner/$expiring-credentials."
	case pressing && reminder > 0:
		return said("%s is still not acknowledged. This is reminder %d", finding, reminder)
	case pressing && stage == 0:
		return said("%s waits for its acknowledgement", finding)
	case pressing && stage >= 100:
		return said("%s is not acknowledged, and the time limit of that has passed", finding)
	case pressing:
		return said("%s is not acknowledged, and %d %% of the time for that have passed", finding, stage)
	case stage == 0 && toldAtOnce[family] != "":
		return said("%s", toldAtOnce[family])
	case stage == 0:
		return said("it waits for %s", clockWords[family])
	case stage >= 100:
		return said("the time limit of %s has passed", clockWords[family])
	}
	return said("%d %% of the time for %s have passed", stage, clockWords[family])
}
