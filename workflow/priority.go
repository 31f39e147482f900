package workflow

import (
	"context"
	"slices"
	"time"
)

// The placer may give an order another priority at any time. The clocks are then
// what they would be had the case had it from the beginning: what has passed
// counts, pauses do not. Of the warnings that are past under the new limit only the
// last one is told, at once; what a clock has said before it does not say again, and
// a breach stays one.

var priorityGiven = Guard{"priorityGiven", "the priority is one of FHIR request-priority",
	func(_ context.Context, t *turn) error {
		if !slices.Contains(Priorities, t.in.Priority) {
			return refuse("%s needs a priority: stat, asap, urgent or routine", t.event)
		}
		return nil
	}}

var changePriority = Effect{"changePriority", "the case has the new priority, and its clocks the limits of it, from the beginning",
	func(ctx context.Context, t *turn) error {
		t.detail["priority"], t.detail["was"] = t.in.Priority, t.c.Priority
		t.c.Priority = t.in.Priority
		entries, err := t.ledger.entries(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		waits, err := t.ledger.waits(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		for _, row := range entries {
			it, known := t.item(row.Kind)
			limit, timed := it.limitOf(t.c)
			if !known || !timed {
				continue
			}
			if limit.Length == 0 { // the new priority has no such clock
				err = t.ledger.deleteEntry(ctx, row)
			} else {
				err = t.ledger.updateEntry(ctx, it.renew(t.c, row, limit, waits, t.now))
			}
			if err != nil {
				return err
			}
		}
		return t.startGross(ctx)
	}}

// limitOf is the limit of an item that depends on the priority.
func (it item) limitOf(c *Case) (limit Span, timed bool) {
	switch {
	case it.Clock != "":
		return c.limit(it.Clock), true
	case it.Kind == informationTimeout:
		return c.Policy.informationWait(c.Priority), true
	}
	return Span{}, false
}

// renew is the row under another limit. A clock that has been breached stays as it is.
func (it item) renew(c *Case, row entry, limit Span, waits []Wait, now time.Time) entry {
	if it.Clock != "" && row.Stage == 100 {
		return row
	}
	left := limit
	left.Length -= it.passed(c, row, waits, now, limit.Business)
	deadline := c.Policy.Calendar.Add(now, left)
	if row.RemainingS != nil { // it stands still: resume reckons from what is left
		seconds := left.Length.Seconds()
		row.RemainingS = &seconds
		if it.Clock != "" {
			row.DeadlineAt = &deadline
		}
		return row
	}
	row.DueAt = &deadline
	if it.Clock == "" {
		return row
	}
	row.DeadlineAt = &deadline
	for _, stage := range stages {
		if before := stageBefore(stage); before > row.Stage && !stageAt(c.Policy.Calendar, deadline, limit, stage).After(now) {
			row.Stage = before // what lies between is not told: the later one says more
		}
	}
	next, _ := nextStage(row.Stage)
	due := stageAt(c.Policy.Calendar, deadline, limit, next)
	row.DueAt = &due
	return row
}

// passed is how long a row has been running: since it began, less what it stood
// still in.
func (it item) passed(c *Case, row entry, waits []Wait, now time.Time, business bool) time.Duration {
	between := func(a, b time.Time) time.Duration { return c.Policy.Calendar.elapsed(a, b, business) }
	sum := between(row.StartedAt, now)
	if it.Always {
		return sum
	}
	for _, w := range waits {
		stood := w.Reason == heldReason || w.Stops && it.PausedIn != nil
		if !stood {
			continue
		}
		until := now
		if w.EndedAt != nil {
			until = *w.EndedAt
		}
		sum -= between(latest(w.BeganAt, row.StartedAt), until)
	}
	return sum
}

// stageBefore is the stage after which the next one is this.
func stageBefore(stage int) int {
	before := 0
	for _, s := range stages {
		if s < stage {
			before = s
		}
	}
	return before
}

// startGross begins the gross clock where only the new priority has one: from the
// order on.
func (t *turn) startGross(ctx context.Context) error {
	if slices.Contains(join(signed, in(Amending)), t.c.State) {
		return nil
	}
	return t.startClockFrom(ctx, ClockGross, t.c.OpenedAt, keepRunning)
}
