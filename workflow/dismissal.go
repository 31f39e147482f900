package workflow

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// A verification is dismissed where nobody has to look at the report again: the
// coordinator says so of images that are none of the examination. Whether a report is
// independent, is of the right side, or says all that the first one does, is a
// physician's question: a director answers it who had no part in the report and cannot
// have made the first one. That the first reader is somebody else they find of a name,
// never of an identifier; it says nothing of what the two reports differ in: what else a
// verification is open for stays open.

// leftElsewhere: nothing is dismissed that leaves a report in the record of another patient.
var leftElsewhere = Phrase("the report stands in the record of another patient, and would stay there: who signed it, or an eligible supervisor or adjudicator who stands in, verifies it ($verify) or amends it ($amend, $sign with verifies), which brings it into the record of its patient and tells the EHR. Is it of neither, two directors declare it an error ($declare-error)")

// physicians: whether nothing is to be done about it a physician must say.
func (m MatterContent) physicians() bool {
	return m.SameReader || m.FirstReport || m.Ordered || m.Parted || m.Rewritten || m.Retracted || m.Astray()
}

// ForDirector tells whether a director alone may dismiss what is open.
func (m Matter) ForDirector() bool { return m.isVerification() && m.Content.physicians() }

var mayDismiss = Guard{"mayDismiss", "a coordinator dismisses what is no image of the examination; nobody dismisses what would leave the report in the record of another patient; whether a report is independent, of the right side or to be compared is for a director to judge who had no part in it and cannot have made the original",
	func(ctx context.Context, t *turn) error {
		m, err := t.chosen(ctx, VerificationMatter)
		if err != nil || !m.Content.physicians() {
			return err
		}
		if t.actor.Role != access.Director {
			return forbid("whether the report is independent, of the right patient and side, or has to be compared with the first one is for a physician to say: who signed, or an independent supervisor or adjudicator who stands in, verifies or amends it, or a director dismisses this")
		}
		if !m.Content.SameReader && t.c.standsElsewhere(m.Content) {
			return refuse("%s", leftElsewhere)
		}
		report, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		if m.Content.SameReader {
			identified, err := t.anyIdentified(ctx, report.hadPart())
			if err != nil {
				return err
			}
			if identified {
				return refuse("the first report names one of those who had a part in this one by an identifier, so it is not for anybody to find that they are somebody else: an independent supervisor or adjudicator verifies or amends the report; if the identifier is wrong, the hospital corrects its report, or the administrator the reader's Practitioner, and then this can be dismissed")
			}
		}
		return t.uninvolved(ctx, "another director dismisses this; who signed verifies or amends it", func(me uuid.UUID) (bool, error) {
			return slices.Contains(report.hadPart(), me) || t.c.IsOneOfTwo(me), nil
		})
	}}

// uninvolved refuses a director who judges what is their own work, and says who judges it.
// A director may read as well, and is the same person under both names.
func (t *turn) uninvolved(ctx context.Context, other string, hadPart func(me uuid.UUID) (bool, error)) error {
	for _, me := range []uuid.UUID{t.actor.ID, t.actor.Reader} {
		if had, err := hadPart(me); err != nil {
			return err
		} else if had {
			return forbid("you had a part in this report yourself: %s", other)
		}
		why, err := t.readFirstOf(ctx, me, t.c.Exam)
		if err != nil {
			return err
		}
		if why != "" {
			return forbid("the original report may be your own (the reader %s): %s", why, other)
		}
	}
	return nil
}

var dismissVerification = Effect{"dismissVerification", "that the report is not independent is dismissed by itself: who signed may change it again, and what else the verification is open for stays open, with its clock; else it is taken back with the reason, and its clock ends",
	func(ctx context.Context, t *turn) error {
		m, err := t.chosen(ctx, VerificationMatter)
		if err != nil {
			return err
		}
		if m.Content.SameReader {
			if !t.c.SetAside(sameReader) {
				t.c.Waived = append(t.c.Waived, sameReader)
				t.detail["waived"] = t.c.Waived
			}
			if rest := m.Content; rest.foundIndependent() {
				rest.Independent = &Found{Reason: t.in.Reason, By: t.actor.ID, At: t.now}
				m.Content = rest
				t.touch(m)
				return t.ledger.updateMatter(ctx, t.c.CaseID, m)
			}
		}
		return t.settleMatter(ctx, m, "withdrawn", Closing{Text: t.in.Reason}, 0)
	}}

// foundIndependent takes the doubt of independence away, and tells whether anything is
// left to be looked at.
func (m *MatterContent) foundIndependent() bool {
	m.SameReader = false
	return m.asksAnything()
}

// asksAnything tells whether a verification is open for anything.
func (m MatterContent) asksAnything() bool {
	return m.physicians() || m.Replaced || m.Images > m.ImagesThen
}

// namedAnew are those of the first readers whom the exam does not name. An organisation
// counts where nothing else is known.
func (exam Exam) namedAnew(first FirstReaders) Exam {
	beyond := func(known, now []string) []string {
		return slices.DeleteFunc(slices.Clone(now), func(name string) bool { return slices.Contains(known, name) })
	}
	anew := Exam{OriginalReaders: beyond(exam.OriginalReaders, first.Readers), OriginalNames: beyond(exam.OriginalNames, first.Names)}
	if len(first.Readers)+len(first.Names) == 0 {
		anew.OriginalGroups = beyond(exam.OriginalGroups, first.Groups)
	}
	return anew
}
