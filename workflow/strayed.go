package workflow

import (
	"context"
	"strings"
)

// The hospital may find after the signature that the study was filed under the wrong
// patient, or that its first report was, and move it, or declare the study an error. Our
// report then may be of another patient, in whose record it does not stand. Its order does
// not move it (correction.go), so whoever ordered is told, the coordinator too, and who
// signed looks at it: is it of another patient, two directors declare the error, and the
// right order is sent. Moved back, it is looked at no more for that.

var (
	strayedWords         = Phrase("the hospital has filed the study under another patient, or declared it an error, after this second opinion was signed")
	strayedOriginalWords = Phrase("the hospital has filed the first report of the study under another patient after this second opinion was signed, which was compared with it")
)

// strayedNow says what of a signed case is another patient's, or void, now; "" where all is
// its own. What the coordinator has set aside at intake was judged.
func (c *Case) strayedNow(f Facts) (study, original bool, key string) {
	var all []string
	if s := f.Study; s != nil && !c.otherStudy(*s) {
		if s.Void {
			study, all = true, append(all, "void study")
		}
		if differ(f.OrderPatient, s.Patient) && !c.SetAside("patient-mismatch") {
			study, all = true, append(all, "study of "+s.Patient)
		}
	}
	if o := f.Original; o != nil && c.comparable() && c.OriginalReportID != nil && *c.OriginalReportID == o.ID &&
		differ(f.OrderPatient, o.Patient) && !c.SetAside("patient-mismatch") {
		original, all = true, append(all, "report of "+o.Patient)
	}
	return study, original, strings.Join(all, ", ")
}

// strayed fires study-changed where the study or the original of a signed report is
// another patient's since somebody last looked, and where it is its own again.
func (e *Engine) strayed(ctx context.Context, j job, facts Facts) error {
	study, original, key := j.c.strayedNow(facts)
	if key == j.c.Exam.Strayed {
		return nil
	}
	read := j.c.Exam.imagesRead()
	return e.fireSystem(ctx, j, "study-changed", Input{Facts: &facts, Study: &StudyChange{
		Images: read, ImagesThen: read, Strayed: study, StrayedOriginal: original, Returned: key == ""}})
}

// noteStrayed notes what is another patient's, so that nobody is told of it twice.
func (t *turn) noteStrayed(s StudyChange) {
	if s.Astray() || s.Returned {
		_, _, t.c.Exam.Strayed = t.c.strayedNow(*t.in.Facts)
	}
}

// returned takes it back that the study is another patient's; what else a verification is
// open for stays open.
func (t *turn) returned(ctx context.Context) error {
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	for _, m := range all {
		if !m.isVerification() || !m.Open() || !m.Content.Astray() {
			continue
		}
		rest := m.Content
		rest.Strayed, rest.StrayedOriginal = false, false
		if !rest.asksAnything() {
			return t.settleMatter(ctx, m, "withdrawn", Closing{Text: Phrase("the hospital has filed the study and its first report under their patient again")}, 0)
		}
		m.Content = rest
		t.touch(m)
		if err := t.ledger.updateMatter(ctx, t.c.CaseID, m); err != nil {
			return err
		}
	}
	return nil
}

// tellStrayed: the hospital is called, and nobody waits for who signed. What was found in
// the images says that they may be of another patient, and goes on saying so (doubtful.go).
func (t *turn) tellStrayed(ctx context.Context, study bool) error {
	if study {
		if err := t.doubtFindings(ctx, true); err != nil {
			return err
		}
	}
	m, err := t.chosen(ctx, VerificationMatter) // the open one
	if err != nil {
		return err
	}
	return t.tellCoordinator(ctx, m.clock())
}

// Astray tells whether the study, or the original, is another patient's.
func (s StudyChange) Astray() bool { return s.Strayed || s.StrayedOriginal }
