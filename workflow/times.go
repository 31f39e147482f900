package workflow

import "time"

// Times is how long a case has taken, until its signature or, before that,
// until now. Each is a length of time of one kind: by the clock, or of business
// days in the tenant's calendar.
type Times struct {
	Gross  time.Duration           // from the order to the signature
	Net    time.Duration           // from completeness to the signature, less what stops the final clock
	Waited map[Party]time.Duration // from the order on, by whom it waited for
}

// TimesOf counts the times of a case, in business time or by the clock.
func TimesOf(c Case, waits []Wait, now time.Time, business bool) Times {
	end := now
	for _, at := range []*time.Time{c.FinalAt, c.ClosedAt} { // a case that ended unsigned has no FinalAt
		if at != nil && at.Before(end) {
			end = *at
		}
	}
	between := func(a, b time.Time) time.Duration { return c.Policy.Calendar.elapsed(a, b, business) }
	t := Times{Gross: between(c.OpenedAt, end), Waited: map[Party]time.Duration{}}
	if c.CompleteAt != nil {
		t.Net = between(*c.CompleteAt, end)
	}
	for _, w := range waits {
		until := end
		if w.EndedAt != nil {
			until = earliest(end, *w.EndedAt)
		}
		t.Waited[w.Party] += between(w.BeganAt, until)
		if w.Stops && c.CompleteAt != nil {
			t.Net -= between(latest(w.BeganAt, *c.CompleteAt), until)
		}
	}
	return t
}
