package workflow

import (
	"time"

	"github.com/google/uuid"
)

// Whoever lost the answer asks again. A finding and a question are recognised by
// their words for good; what is said of them, by the same words of the same person
// within a while: later the same may be meant anew, such as a further call.
const repeatedWithin = 2 * time.Minute

// Repeats tells whether somebody has just said of the matter what in says: who was
// told of a finding, the answer to a question, that the report holds.
func (m KnownMatter) Repeats(who uuid.UUID, in Input, now time.Time) bool {
	if in.Matter > 0 && in.Matter != m.Number || m.Withdrawn() {
		return false
	}
	if m.Kind == FindingMatter {
		for _, call := range m.Calls {
			if in.Call != nil && call.repeats(*in.Call, who, now) {
				return true
			}
		}
		return false
	}
	if m.SettledAt == nil || m.SettledBy == nil || *m.SettledBy != who || now.Sub(*m.SettledAt) > repeatedWithin {
		return false
	}
	if m.Kind == QuestionMatter {
		return m.Closing.Text == in.Answer
	}
	return *m.Settlement == "valid" && m.Closing.Text == in.Reason
}

// RepeatsDismissal tells whether somebody has just found by these words that the report
// is independent: said again, they do not dismiss what the matter is open for besides.
func (m KnownMatter) RepeatsDismissal(who uuid.UUID, in Input, now time.Time) bool {
	f := m.Content.Independent
	return f != nil && m.Open() && (in.Matter == 0 || in.Matter == m.Number) && f.By == who && f.Reason == in.Reason && now.Sub(f.At) <= repeatedWithin
}

func (c Call) repeats(again Call, who uuid.UUID, now time.Time) bool {
	same := c.RecordedBy == who && c.Reached == again.Reached && c.Content == again.Content
	if !again.MadeAt.IsZero() {
		return same && again.MadeAt.Equal(c.MadeAt)
	}
	return same && now.Sub(c.RecordedAt) <= repeatedWithin
}
