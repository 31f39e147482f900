package disclosure

// Rule says which counts are small, and how much whoever computes must be left
// in doubt about them.
type Rule struct {
	Limit int // counts of 1 to Limit are hidden
	Width int // the largest possible value less the least, at the least; at most Limit
}

// Standard hides counts of 1 to 10, as the Centers for Medicare & Medicaid
// Services do (CMS cell size suppression policy), and leaves eleven values
// possible for each.
var Standard = Rule{Limit: 10, Width: 10}

// Version is that of Protect, kept with all that is published by it. It is raised by whoever
// makes Protect hide what it would have shown before. 1 counted on cells that are empty for
// room to move cases to (grid), so its tables by two dimensions may give away small cells to
// who knows that nothing can be there.
const Version = 2

func (r Rule) small(n int) bool { return n > 0 && n <= r.Limit }

// tight says whether what is hidden of several values together leaves too little
// room. A zero is shown, so who sees that a value is hidden may think that it has
// one case at the least: the rest must have Limit more than that, and be of two.
func (r Rule) tight(rest, values int) bool {
	return rest > 0 && (rest < r.Limit+values || values == 1)
}

// The thresholds for a reader's figures: too few cases make a rate that says
// more of chance than of the reader.
const (
	ReaderShown  = 30  // comparable cases from which on a reader's figures are shown
	ReaderJudged = 200 // from which on they are compared with funnel limits
)

// Standing is what may be done with the figures of one reader.
type Standing string

// What may be done with the figures of a reader.
const (
	Withheld Standing = "withheld" // too few cases
	Shown    Standing = "shown"    // but not judged
	Judged   Standing = "judged"   // and compared with funnel limits
)

// StandingOf says what may be done with the figures of a reader who has so many
// comparable cases.
func StandingOf(comparable int) Standing {
	switch {
	case comparable < ReaderShown:
		return Withheld
	case comparable < ReaderJudged:
		return Shown
	}
	return Judged
}
