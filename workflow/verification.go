package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// StudyChange is what has become of a study that was reported.
type StudyChange struct {
	Images      int    `json:"images,omitempty"`      // instances that the study has now
	ImagesThen  int    `json:"imagesThen,omitempty"`  // and had when it was read; 0: nobody said
	Replaced    bool   `json:"replaced,omitempty"`    // other images have come in the place of those that were read
	Ordered     bool   `json:"ordered,omitempty"`     // the order names another part of the body, or another side, than when the report was signed
	SameReader  bool   `json:"sameReader,omitempty"`  // who read it turns out to have read it first (samereader.go)
	FirstReport bool   `json:"firstReport,omitempty"` // its first report has come, which nobody has compared (lateoriginal.go)
	Parted      bool   `json:"parted,omitempty"`      // it was signed into the record of another patient, from whose the records were parted since (parted.go)
	PartedIn    string `json:"partedIn,omitempty"`    // whose record that is
	PartedNo    int    `json:"partedNo,omitempty"`    // the version that stands there

	Rewritten bool `json:"rewritten,omitempty"` // the original says something else now than what it was compared with (rewritten.go)
	Retracted bool `json:"retracted,omitempty"` // the hospital has taken the original back

	Strayed         bool `json:"strayed,omitempty"`         // the study is filed under another patient now, or is an error (strayed.go)
	StrayedOriginal bool `json:"strayedOriginal,omitempty"` // the original is filed under another patient now
	Returned        bool `json:"-"`                         // both are their patient's again
}

// since adds what changed before, and nobody has looked at yet.
func (s StudyChange) since(before StudyChange) StudyChange {
	all := s
	all.ImagesThen = before.ImagesThen
	all.Replaced, all.Ordered = before.Replaced || s.Replaced, before.Ordered || s.Ordered
	all.SameReader, all.FirstReport = before.SameReader || s.SameReader, before.FirstReport || s.FirstReport
	if !s.Parted {
		all.Parted, all.PartedIn, all.PartedNo = before.Parted, before.PartedIn, before.PartedNo
	}
	all.Retracted = (before.Retracted || s.Retracted) && !s.Rewritten
	all.Rewritten = (before.Rewritten || s.Rewritten) && !all.FirstReport // which nobody has compared as it was before
	if !s.Astray() {
		all.Strayed, all.StrayedOriginal = before.Strayed, before.StrayedOriginal
	}
	return all
}

// key tells changes apart, so that each is looked at once.
func (s StudyChange) key() string {
	key := fmt.Sprintf("images %d replaced %t", s.Images, s.Replaced)
	if s.Ordered {
		key += " ordered"
	}
	if s.SameReader {
		key += " same reader"
	}
	if s.FirstReport {
		key += " first report"
	}
	if s.Parted {
		key += " parted"
	}
	if s.Rewritten || s.Retracted {
		key += " rewritten"
	}
	if s.Astray() {
		key += " strayed"
	}
	return key
}

// orderedWords come first: a wrong side weighs more than one more image.
var orderedWords = Phrase("the order was corrected, and names another exam, or another part or side of the body now")

// Words say what has become of the study.
func (s StudyChange) Words() string {
	var all []string
	for _, of := range []struct {
		so    bool
		words string
	}{{s.Strayed, strayedWords}, {s.StrayedOriginal, strayedOriginalWords}, {s.Parted, partedWords}, {s.SameReader, notIndependent}, {s.Ordered, orderedWords}, {s.FirstReport && !s.Retracted, originalCame},
		{s.FirstReport && s.Retracted, originalCameAndWent}, {s.Retracted && !s.FirstReport, originalRetracted}, {s.Rewritten && !s.Retracted, originalRewritten}, {s.Replaced, Phrase("images of the study were replaced")}} {
		if of.so {
			all = append(all, of.words)
		}
	}
	if !s.Replaced && (all == nil || s.Images > s.ImagesThen) {
		if s.ImagesThen > 0 {
			all = append(all, Phrase("the study has %d images now, and had %d", s.Images, s.ImagesThen))
		} else {
			all = append(all, Phrase("the study has %d images now", s.Images))
		}
	}
	return strings.Join(all, "; ")
}

var openVerification = Effect{"openVerification", "the study is another than was read, or the order names another part of the body: who signed must say whether the report holds; the clock runs. What changes until then is the same verification",
	func(ctx context.Context, t *turn) error {
		s := *t.in.Study
		t.noteStrayed(s)
		if s.Returned {
			return t.returned(ctx)
		}
		if err := t.openVerification(ctx, s); err != nil || !s.Astray() {
			return err
		}
		return t.tellStrayed(ctx, s.Strayed)
	}}

// openVerification has a change of the study looked at, with what changed before it
// and nobody has looked at yet.
func (t *turn) openVerification(ctx context.Context, s StudyChange) error {
	t.c.Exam.ImagesSeen = s.Images
	if s.Ordered {
		t.c.Exam.Ordered = t.in.Facts.Exam.Ordered
		t.detail["corrected"] = []string{bodySite}
	}
	content := MatterContent{StudyChange: s}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.isVerification() && m.Open() {
			content.StudyChange = s.since(m.Content.StudyChange)
			if !s.SameReader {
				content.Independent = m.Content.Independent
			}
			m.Content = content
			t.touch(m)
			return t.ledger.updateMatter(ctx, t.c.CaseID, m)
		}
	}
	return t.openMatter(ctx, Matter{Kind: VerificationMatter, Content: content}, fmt.Sprintf("%s after %d", s.key(), len(all)))
}

// What comes before the opinion is sealed is read with the rest; who reads is told
// (notice.go). What comes later nobody who sealed has seen.
var noteGrowth = Effect{"noteGrowth", "more images have come: the reader is told, and where an opinion is sealed the report is verified at its signature",
	func(_ context.Context, t *turn) error {
		e := &t.c.Exam
		t.detail["images"], t.detail["then"] = t.in.Study.Images, t.in.Study.ImagesThen
		if !t.c.isSealed() {
			e.ImagesSeen = t.in.Study.Images
			return nil
		}
		e.ImagesSince = t.in.Study.Images
		return nil
	}}

var verifyGrowth = Effect{"verifyGrowth", "images that came after the opinion was sealed have to be looked at: a verification is open",
	func(ctx context.Context, t *turn) error {
		since, read := t.c.Exam.ImagesSince, t.c.Exam.imagesRead()
		if since <= read {
			return nil
		}
		return t.openVerification(ctx, StudyChange{Images: since, ImagesThen: read})
	}}

var confirmReport = Effect{"confirmReport", "the report holds for the study as it is now; the report says so",
	func(ctx context.Context, t *turn) error {
		m, err := t.chosen(ctx, VerificationMatter)
		if err != nil {
			return err
		}
		text := capital(m.Content.Words()) + ". This was looked at, and the report stands as it is."
		if note := t.in.Reason; note != "" {
			text += " " + note
		}
		reason := "the study changed after the signature"
		switch {
		case m.Content.SameReader:
			reason = notIndependent
		case m.Content.Strayed:
			reason = strayedWords
		case m.Content.StrayedOriginal:
			reason = strayedOriginalWords
		case m.Content.Parted:
			reason = partedWords
		case m.Content.Ordered:
			reason = "the order was corrected after the signature"
		case m.Content.Rewritten:
			reason = originalRewritten
		}
		t.addendum = &Amendment{Kind: "addition", Reason: reason, Text: text}
		t.c.comparedAsItIs(m.Content)
		t.afterSigning = append(t.afterSigning, func(ctx context.Context) error {
			return t.settleMatter(ctx, m, "valid", Closing{Text: t.in.Reason}, t.report.No)
		})
		return nil
	}}

var settleVerified = Effect{"settleVerified", "an amendment that takes the changed study into account settles its verification",
	func(ctx context.Context, t *turn) error {
		if !t.in.Amendment.Verifies {
			return nil
		}
		m, err := t.chosen(ctx, VerificationMatter)
		if err != nil {
			return err
		}
		t.c.comparedAsItIs(m.Content)
		return t.settleMatter(ctx, m, "amended", Closing{Text: t.in.Amendment.Text}, t.report.No)
	}}

var verifiesWhatIsOpen = Guard{"verifiesWhatIsOpen", "an amendment that takes a changed study into account is of a study that has changed",
	func(ctx context.Context, t *turn) error {
		if !t.in.Amendment.Verifies {
			return nil
		}
		return isOpen(VerificationMatter).Check(ctx, t)
	}}

// StudyChangedTx tells the cases of a study that are read or signed what it is now:
// who reads is told, and a report that is of fewer images, or of others, is verified
// again. study is the id
// here, uid the Study Instance UID; either may be "".
func (e *Engine) StudyChangedTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, study, uid string, images int, replaced bool) error {
	rows, err := tx.Query(ctx, `
		SELECT case_id
		FROM case_file
		WHERE state = ANY (@signed) AND sample_of IS NULL AND (study_id = nullif(@study, '') OR study_uid = nullif(@uid, ''))
		ORDER BY case_id`,
		pgx.NamedArgs{"signed": join(signed, in(Amending), unsigned, in(OnHold)), "study": study, "uid": uid})
	if err != nil {
		return fmt.Errorf("cases of a study: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return err
	}
	for _, id := range ids {
		c, err := lockCase(ctx, tx, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := e.studyChanged(ctx, job{ledger: sqlLedger{tx}, tx: tx, c: &c, now: e.moment()}, images, replaced); err != nil {
			return err
		}
	}
	return nil
}

// studyChanged fires study-changed where the study is another than the report
// has seen, and study-grows while it is read. The caller holds the case.
func (e *Engine) studyChanged(ctx context.Context, j job, images int, replaced bool) error {
	read := j.c.Exam.imagesRead()
	if !replaced && (images <= read || read == 0) {
		return nil
	}
	if !slices.Contains(join(signed, in(Amending)), j.c.State) {
		if images <= max(read, j.c.Exam.ImagesSince) || !j.c.beingRead() {
			return nil
		}
		return e.fireSystem(ctx, j, "study-grows", Input{Study: &StudyChange{Images: images, ImagesThen: read}})
	}
	return e.fireSystem(ctx, j, "study-changed", Input{Study: &StudyChange{Images: max(images, read), ImagesThen: read, Replaced: replaced}})
}

// isSealed tells that somebody has sealed an opinion on the case that may stand.
func (c *Case) isSealed() bool {
	return c.LockedAt != nil || c.OpinionNo != nil || c.OtherReaderID != nil
}

// keepRead keeps how many images the opinion is of that was sealed before, and that
// there are more now: what an order and its study say later nobody who sealed has seen.
func (e *Exam) keepRead(before Exam) {
	now := e.imagesRead()
	e.Images, e.ImagesSaid, e.ImagesSeen, e.ImagesSince = before.Images, before.ImagesSaid, before.ImagesSeen, before.ImagesSince
	if now > max(e.imagesRead(), e.ImagesSince) {
		e.ImagesSince = now
	}
}

// imagesRead are as many as the report is known to be of: those that the PACS had,
// or the ImagingStudy said, and those of a change that was told since.
func (e Exam) imagesRead() int { return max(e.Images, e.ImagesSaid, e.ImagesSeen) }
