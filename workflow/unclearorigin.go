package workflow

import (
	"context"
	"slices"
)

// A report of the study that comes after the signature names a reader of ours, and
// nothing says whether it was made before the second opinion. It may be the original,
// or our own report as the EHR keeps it. Nobody is told that there is no independent
// opinion, and no report is compared with itself: the coordinator is told, and asks the
// hospital. With a date, or named by the order, the report is looked at again, and the
// question ends by itself: it was ours, or somebody else's, or else a verification is open.

// ClockOrigin is what the coordinator is told by. It never runs: there is a question, and
// no time by which it is answered.
const ClockOrigin ClockName = "first-reader"

// noticeUnclear tells whether what may be of after the signed opinion may be of
// somebody who had a part in it, or of anybody. The coordinator is told once, and no more
// asked when nothing is in doubt.
func (e *Engine) noticeUnclear(ctx context.Context, j job, f Facts) (doubtful bool, err error) {
	doubtful, err = j.originUnclear(ctx, f)
	noted := j.c.Exam.OriginalUnclear
	switch {
	case err != nil:
	case !doubtful && len(noted) > 0:
		err = e.fireSystem(ctx, j, "first-reader-clear", Input{})
	case doubtful && slices.ContainsFunc(f.unclear(), func(name string) bool { return !slices.Contains(noted, name) }):
		err = e.fireSystem(ctx, j, "first-reader-unclear", Input{Facts: &f})
	}
	return doubtful, err
}

// originUnclear: what nobody can say of it would be of weight.
func (j job) originUnclear(ctx context.Context, f Facts) (doubtful bool, err error) {
	nameless := f.Original != nil && f.Original.Unclear && len(f.Unclear.all()) == 0
	if !nameless && len(f.Unclear.all()) == 0 {
		return false, nil
	}
	report, err := j.ledger.lastReport(ctx, j.c.CaseID)
	if err != nil {
		return false, err
	}
	t := &turn{ledger: j.ledger, c: j.c}
	doubtful = nameless
	for _, who := range report.hadPart() {
		known, err := t.readFirstOf(ctx, who, j.c.Exam.of(f.First))
		if err != nil {
			return false, err
		}
		may, err := t.readFirstOf(ctx, who, j.c.Exam.of(f.Unclear))
		if err != nil {
			return false, err
		}
		doubtful = doubtful || known == "" && may != ""
	}
	return doubtful, nil
}

// unclear is by what a doubt is known again: who is named, or the report of which
// nobody says whose it is.
func (f Facts) unclear() []string {
	names := f.Unclear.all()
	if len(names) == 0 && f.Original != nil {
		names = []string{"DiagnosticReport/" + f.Original.ID}
	}
	return names
}

func (f FirstReaders) all() []string { return slices.Concat(f.Readers, f.Groups, f.Names) }

// of is the exam as if these had read it first.
func (exam Exam) of(first FirstReaders) Exam {
	exam.OriginalReaders, exam.OriginalGroups, exam.OriginalNames = first.Readers, first.Groups, first.Names
	return exam
}

var noteUnclear = Effect{"noteUnclear", "who may have read first, or since, is noted, so that nobody is told of it twice",
	func(_ context.Context, t *turn) error {
		for _, name := range t.in.Facts.unclear() {
			if !slices.Contains(t.c.Exam.OriginalUnclear, name) {
				t.c.Exam.OriginalUnclear = append(t.c.Exam.OriginalUnclear, name)
			}
		}
		return nil
	}}

var tellUnclear = Effect{"tellUnclear", "the coordinator is told that the report may not be independent: nothing says whether another one by who had a part in it was made before; the EHR hears nothing",
	func(ctx context.Context, t *turn) error { return t.tellCoordinator(ctx, ClockOrigin) }}

var forgetUnclear = Effect{"forgetUnclear", "nothing is in doubt any more: what the coordinator was told of it has ended, and the next doubt is told again",
	func(ctx context.Context, t *turn) error {
		t.c.Exam.OriginalUnclear = nil
		if err := t.ledger.endEscalations(ctx, t.c.CaseID, ClockOrigin, t.now); err != nil {
			return err
		}
		return t.planEscalation(ctx)
	}}
