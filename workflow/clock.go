package workflow

import "time"

// ClockName names one of the clocks of a case: a row of its agenda, and a
// column of the policy's limits.
type ClockName string

// The clocks. The offer has no stages: it just ends (agenda.go, offer-expiry).
const (
	ClockIntake      ClockName = "intake"
	ClockOffer       ClockName = "offer"
	ClockAssign      ClockName = "assign"
	ClockFinal       ClockName = "final"
	ClockAcknowledge ClockName = "acknowledge"
	ClockAdjudicate  ClockName = "adjudicate"
)

var clockNames = []ClockName{ClockIntake, ClockOffer, ClockAssign, ClockFinal, ClockAcknowledge, ClockAdjudicate}

// named returns the limit of a clock.
func (l Limits) named(clock ClockName) Span {
	switch clock {
	case ClockIntake:
		return l.Intake
	case ClockOffer:
		return l.Offer
	case ClockAssign:
		return l.Assign
	case ClockFinal:
		return l.Final
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
	return c.Policy.Clocks.For(c.Priority).named(clock)
}
