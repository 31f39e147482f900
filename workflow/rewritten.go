package workflow

import (
	"context"
	"slices"
)

// The hospital may change its report of the study, or take it back, when the second
// opinion is signed that was compared with it. The comparison then is of a text that is
// no more: whoever ordered it is told, and who signed says whether the report stands for
// what the first one says now, or compares the two again. Until then, and where that is
// dismissed, the report is compared with the version of before, and says so by its number.

var (
	originalRewritten   = Phrase("the first report of the study was changed after this second opinion was signed, which was compared with what it said before")
	originalRetracted   = Phrase("the hospital has taken the first report of the study back, with which this second opinion was compared")
	originalCameAndWent = Phrase("the first report of the study has come, and the hospital has taken it back before this second opinion was compared with it")
)

// retracted are the statuses of a report that does not hold (FHIR R4 diagnostic-report-status).
var retracted = []string{"entered-in-error", "cancelled"}

// says tells whether the original says what a case has noted of it.
func (o OriginalFacts) says(noted string) bool {
	return noted == o.Said || noted == o.SaidOld && noted != ""
}

// noteWhatItSays notes which version of the original is here, and what it says.
func (c *Case) noteWhatItSays(o OriginalFacts) {
	c.Exam.OriginalNow, c.Exam.OriginalSaid, c.Exam.OriginalStatus = o.Version, o.Said, o.Status
}

// rewrittenSince tells what became of the original with which a signed report was
// compared, since somebody last looked. That it is final now, and was preliminary, is no change.
func (c *Case) rewrittenSince(f Facts) (rewritten, gone bool) {
	o := f.Original
	if o == nil || !c.comparable() || c.OriginalReportID == nil || *c.OriginalReportID != o.ID {
		return false, false
	}
	was := c.Exam.OriginalStatus
	gone = slices.Contains(retracted, o.Status) && !slices.Contains(retracted, was)
	rewritten = c.Exam.OriginalSaid != "" && !o.says(c.Exam.OriginalSaid) ||
		was != "" && was != o.Status && (slices.Contains(unlikeFinal, o.Status) || slices.Contains(retracted, was))
	return rewritten && !gone, gone
}

// unlikeFinal are the statuses by which a hospital says that it has changed its report.
var unlikeFinal = []string{"amended", "corrected", "appended"}

// originalRevised fires original-changes where the original of a signed report says
// something else than what it was compared with.
func (e *Engine) originalRevised(ctx context.Context, j job, facts Facts) error {
	rewritten, gone := j.c.rewrittenSince(facts)
	if !rewritten && !gone {
		return nil
	}
	read := j.c.Exam.imagesRead()
	return e.fireSystem(ctx, j, "original-changes", Input{Facts: &facts, Study: &StudyChange{Images: read, ImagesThen: read, Rewritten: rewritten, Retracted: gone}})
}

var noteRewritten = Effect{"noteRewritten", "what the original says now is noted, so that nobody is told of it twice; the report is compared with the version of before until somebody has looked",
	func(ctx context.Context, t *turn) error {
		t.c.noteWhatItSays(*t.in.Facts.Original)
		return t.noteFirstReaders(ctx, t.in.Facts.First)
	}}

// comparedAsItIs: the report was compared with what the original says now.
func (c *Case) comparedAsItIs(m MatterContent) {
	if now := c.Exam.OriginalNow; now > 0 && (m.FirstReport || m.Rewritten || m.Retracted) {
		c.OriginalReportVersion = &now
	}
}

// ToCompare tells whether it is settled by an amendment with a grade alone.
func (m MatterContent) ToCompare() bool { return m.FirstReport || m.Retracted }
