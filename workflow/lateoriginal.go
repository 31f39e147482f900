package workflow

import "context"

// The first report of a study may come when its second opinion is being signed, or
// is. It is compared all the same: before the signature by a grade, which the
// signature waits for; after it by an amendment with a grade, for which a verification
// is open. Nobody says that a report stands as it is without having compared the two.

// originalCame is what everybody is told.
var originalCame = Phrase("the first report of the study has come, and this second opinion was not compared with it")

// firstReportCame: there is a report to compare a signed one with, and there was none.
// One that is not signed yet, or is of another patient, is none, and neither is one
// that may be our own (unclearorigin.go).
func (c *Case) firstReportCame(f Facts) bool {
	return c.Comparable != nil && !*c.Comparable && f.Original != nil && f.Original.Final && !strandedPatient(f)
}

var noteLateOriginal = Effect{"noteLateOriginal", "there is an original report now, and which version of it is compared is kept with the case; who read first is noted again",
	func(ctx context.Context, t *turn) error {
		f, c, there := t.in.Facts, t.c, true
		c.Comparable = &there
		c.OriginalReportID, c.OriginalReportVersion = &f.Original.ID, &f.Original.Version
		c.noteWhatItSays(*f.Original)
		c.Exam.OriginalCame = &t.now
		t.detail["comparable"] = true
		return t.noteFirstReaders(ctx, f.First)
	}}

var compareLate = Effect{"compareLate", "who signed must compare the report with the original: a verification is open, and its clock runs",
	func(ctx context.Context, t *turn) error {
		read := t.c.Exam.imagesRead()
		return t.openVerification(ctx, StudyChange{Images: read, ImagesThen: read, FirstReport: true})
	}}

// olderThanOriginal: the grade was given when there was no original to compare with.
func (c *Case) olderThanOriginal(g GivenGrade) bool {
	return c.Exam.OriginalCame != nil && g.GradedAt.Before(*c.Exam.OriginalCame)
}

// ofFormerOriginal: what the original says now was not yet said when the grade was given. A
// report that agrees, or differs, names the original as it is, and so that is what is compared.
func (c *Case) ofFormerOriginal(g GivenGrade) bool {
	return c.Exam.OriginalRevised != nil && g.GradedAt.Before(*c.Exam.OriginalRevised)
}

// toCompare refuses who would settle a verification for which the first report is to
// be compared, without a grade.
func (t *turn) toCompare(ctx context.Context) error {
	m, err := t.chosen(ctx, VerificationMatter)
	switch {
	case err != nil || t.in.Grade != nil:
		return err
	case m.Content.FirstReport:
		return refuse("the first report of the study is to be compared with this one: open an amendment ($amend), and sign it ($sign) with verifies and the grade, also where both agree")
	case m.Content.Retracted:
		return refuse("the hospital has taken its report of the study back, with which this one was compared: open an amendment ($amend), and sign it ($sign) with verifies and the grade, such as that no comparison is possible (noComparison)")
	case m.Content.Rewritten && t.event == "sign" && !t.in.GradeStands:
		return refuse("the first report of the study says something else now than when it was compared: say how the two compare (the grade), or that the grade in force stands (gradeStands)")
	}
	return nil
}

var nothingToCompare = Guard{"nothingToCompare", "no first report has come that the report is to be compared with, and none was taken back with which it was compared",
	func(ctx context.Context, t *turn) error { return t.toCompare(ctx) }}

var comparesFirstReport = Guard{"comparesFirstReport", "an amendment that takes a first report into account which has come, or was changed, has the grade; of one that was changed it may say that the grade in force stands",
	func(ctx context.Context, t *turn) error {
		if !t.in.Amendment.Verifies {
			return nil
		}
		return t.toCompare(ctx)
	}}
