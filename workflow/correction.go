package workflow

import (
	"context"
	"slices"
	"strings"
)

// The placer may find that an order names the wrong patient, the wrong study or the
// wrong part or side of the body, or the patient may deny what they had permitted.
// Before a reader has the case the intake checks run again. While it is read, and
// between the first of two readers and the second, the case is held for the
// coordinator, and the reader is told: the coordinator lets the reading go on, where
// the images are those that were read and the patient is theirs, or has it begin
// anew. What is signed is not corrected by its order.

// Correction is what the placer has corrected of an order that is being read.
type Correction struct {
	Of   []string `json:"of"`             // patient, study, body site, exam, consent
	Held bool     `json:"held,omitempty"` // the placer holds the case besides
}

// bodySite is what is corrected where the order names another part or side of the body.
const bodySite = "body site"

// orderedExam is what is corrected where the order names another exam.
const orderedExam = "exam"

// OrderCorrected is the code of the finding that the coordinator decides.
const OrderCorrected = "order-corrected"

// corrections are in what the order means something else than what is read.
func (c *Case) corrections(f Facts) (of []string) {
	if c.PatientID != nil && differ(*c.PatientID, f.OrderPatient) || strandedPatient(f) && !c.SetAside("patient-mismatch") {
		of = append(of, "patient")
	}
	if f.Study != nil && (c.otherStudy(*f.Study) || f.Study.Void) {
		of = append(of, "study")
	}
	if c.otherSite(f) {
		of = append(of, bodySite)
	}
	if c.otherExam(f) {
		of = append(of, orderedExam)
	}
	if f.Consent == "deny" || f.ConsentDoubtful && !c.SetAside(ConsentDoubtful) {
		of = append(of, "consent")
	}
	return of
}

// strandedPatient: the study or the original turns out to be of somebody else.
func strandedPatient(f Facts) bool {
	return f.Study != nil && differ(f.OrderPatient, f.Study.Patient) || f.Original != nil && differ(f.OrderPatient, f.Original.Patient)
}

// otherStudy: its UID decides, so that a study which is sent anew is the same.
func (c *Case) otherStudy(s StudyFacts) bool {
	if c.StudyUID != nil && s.UID != "" {
		return *c.StudyUID != s.UID
	}
	return c.StudyID != nil && differ(*c.StudyID, s.ID)
}

// beingRead tells that a reader has the case, or that of two the first has sealed an
// opinion which the second is yet to join, on hold too.
func (c *Case) beingRead() bool {
	state := c.State
	if state == OnHold {
		state = *c.ResumeState
	}
	return slices.Contains(atWork, state) || c.OtherReaderID != nil && slices.Contains(betweenTwo, state)
}

var firstHasSealed = Guard{"firstHasSealed", "the first of two readers has sealed an opinion: what it is of must not change under it",
	func(_ context.Context, t *turn) error {
		if t.c.OtherReaderID == nil {
			return refuse("nobody has read anything of this case yet: the intake checks look at its order")
		}
		return nil
	}}

// noticeCorrection fires what follows when the order of a case that is being read
// means something else now.
func (e *Engine) noticeCorrection(ctx context.Context, j job, f Facts) error {
	of := j.c.corrections(f)
	if len(of) == 0 || j.c.Correction != nil && slices.Equal(of, j.c.Correction.Of) {
		return nil
	}
	return e.fireSystem(ctx, j, "correct", Input{Facts: &f})
}

var noteCorrection = Effect{"noteCorrection", "what the placer has corrected waits for the coordinator; of patient or study, and open findings say that the images may be of another patient",
	func(ctx context.Context, t *turn) error {
		of := t.c.corrections(*t.in.Facts)
		held := t.c.State == OnHold
		if t.c.Correction != nil {
			held = t.c.Correction.Held
		}
		t.c.Correction = &Correction{Of: of, Held: held}
		t.c.Findings = []Finding{{Code: OrderCorrected, Kind: Doubtful, Element: correctedElement[of[0]],
			Text: Phrase("the %s of the order was corrected while it was read; the reading service looks whether the reading can go on", strings.Join(of, " and the "))}}
		if of[0] == "patient" && len(of) == 1 && (t.c.PatientID == nil || !differ(*t.c.PatientID, t.in.Facts.OrderPatient)) { // the order is as it was
			t.c.Findings[0].Element = correctedElement["study"]
			t.c.Findings[0].Text = Phrase("the study, or its first report, was filed under another patient than the order's while it was read; the reading service looks whether the reading can go on")
		}
		t.detail["corrected"] = of
		if !ofOthers(of) {
			return nil
		}
		return t.doubtFindings(ctx, true)
	}}

var correctedElement = map[string]string{"patient": "ServiceRequest.subject", "study": "ServiceRequest.supportingInfo", bodySite: "ServiceRequest.bodySite", orderedExam: "ServiceRequest.code", "consent": "ServiceRequest.supportingInfo"}

var holdBesides = Effect{"holdBesides", "the placer holds the case besides",
	func(_ context.Context, t *turn) error {
		t.c.Correction.Held = true
		return nil
	}}

var releaseHold = Effect{"releaseHold", "the placer no longer holds the case; the coordinator still has to decide",
	func(_ context.Context, t *turn) error {
		t.c.Correction.Held = false
		return nil
	}}

var correctionPending = &Choice{"correctionPending", "the coordinator has a correction to decide",
	func(_ context.Context, t *turn) (bool, error) { return t.c.Correction != nil, nil }}

var heldBesides = &Choice{"heldBesides", "the placer holds the case besides the correction",
	func(_ context.Context, t *turn) (bool, error) {
		return t.c.Correction != nil && t.c.Correction.Held, nil
	}}

var notHeldYet = Guard{"notHeldYet", "it is on hold for the coordinator alone, because of a correction",
	func(_ context.Context, t *turn) error {
		if t.c.Correction == nil {
			return refuse("the case is on hold already")
		}
		return nil
	}}

var correctionIsPending = Guard{"correctionIsPending", "there is a correction of the order to decide",
	func(_ context.Context, t *turn) error {
		if t.c.Correction == nil {
			return refuse("the placer holds the case, and has corrected nothing: it goes on when the placer resumes it")
		}
		return nil
	}}

var sameImages = Guard{"sameImages", "the images are those that were read, and nothing says that they are of another patient than the order's",
	func(ctx context.Context, t *turn) error {
		f := t.in.Facts
		switch {
		case f == nil || f.Study == nil:
			return refuse("%s", Phrase("the study of the order is not here; begin the reading anew ($restart-reading)"))
		case f.Study.Void:
			return refuse("%s", Phrase("the study that was read is declared an error; begin the reading anew ($restart-reading), which waits for the right one"))
		case t.c.otherStudy(*f.Study):
			return refuse("%s", Phrase("the order means another study than was read; begin the reading anew ($restart-reading)"))
		case f.Consent == "deny":
			return refuse("%s", Phrase("the patient's Consent denies the second opinion; the reading cannot go on unless the placer sends one that permits it: begin it anew ($restart-reading), which then waits for that, or have the placer cancel the order"))
		case strandedPatient(*f):
			return refuse("%s", Phrase("the order is of another patient than its study or its original report; begin the reading anew ($restart-reading), or have the placer mend it"))
		}
		seen := *f
		var err error
		if seen.PACS, err = t.ledger.pacs(ctx, t.c, seen); err != nil {
			return err
		}
		for _, found := range EvalIntake(seen, t.c.Policy, nil) {
			if found.Code == "pacs-patient-mismatch" || slices.Contains(siteChecks, found.Code) && slices.Contains(t.c.Correction.Of, bodySite) || slices.Contains(examChecks, found.Code) && slices.Contains(t.c.Correction.Of, orderedExam) {
				return refuse("%s; begin the reading anew ($restart-reading), or have the placer mend it", found.Text)
			}
		}
		return nil
	}}

var takeCorrection = Effect{"takeCorrection", "the case is of the patient whom the order names now, and so are its findings",
	func(ctx context.Context, t *turn) error {
		f, c := t.in.Facts, t.c
		c.Correction, c.Findings = nil, nil
		if f.ConsentDoubtful && !c.SetAside(ConsentDoubtful) {
			c.Waived = append(c.Waived, ConsentDoubtful) // the coordinator has looked at it
		}
		if f.OrderPatient != "" && !strings.Contains(f.OrderPatient, "|") {
			c.PatientID = &f.OrderPatient
		}
		c.StudyID, c.Exam.PatientAge = optional(f.Study.ID), f.Exam.PatientAge
		if c.otherExam(*f) {
			c.Exam.Display, c.Exam.CodeSystem, c.Exam.Code = f.Exam.Display, f.Exam.CodeSystem, f.Exam.Code
		}
		c.Exam.Question = f.Exam.Question
		c.Exam.BodySite, c.Exam.Laterality, c.Exam.Ordered = f.Exam.BodySite, f.Exam.Laterality, f.Exam.Ordered
		return t.doubtFindings(ctx, false)
	}}

var startOver = Effect{"startOver", "the reading begins anew: nobody has the case, what was written is sealed and kept, and who may read it, or was done without, is decided anew",
	func(ctx context.Context, t *turn) error {
		c := t.c
		t.detail["reader"] = c.ReaderID
		c.ReaderID, c.OtherReaderID, c.AdjudicatorID, c.SupervisorID = nil, nil, nil, nil
		c.OpinionNo, c.Settled, c.ReturnedAt, c.Veiled = nil, nil, nil, false
		c.AcceptedAt, c.LockedAt, c.RevealedAt = nil, nil, nil
		c.Correction, c.Findings, c.Waived, c.Comparable = nil, nil, nil, nil
		c.OriginalReportID, c.OriginalReportVersion = nil, nil
		e := &c.Exam // what was decided of who reads was decided for that reading
		e.ThirdForgone, e.ThirdDowngrade, e.Downgrade, e.Broadened = "", "", "", nil
		return t.plan(ctx, intakeChecks, t.now, restart)
	}}

var resumeAtIntake = Effect{"resumeAtIntake", "when the placer resumes it, the intake checks run",
	func(_ context.Context, t *turn) error {
		back := Received
		t.c.ResumeState = &back
		return nil
	}}

var followPatient = Effect{"followPatient", "the case is of the patient into whom the record of its patient was merged, or again of that patient; what was told of findings and questions that are open, or of an unsigned case, is told again, of that patient",
	func(ctx context.Context, t *turn) error {
		t.c.PatientID = t.in.PatientID
		all, err := t.ledger.matters(ctx, t.c.CaseID)
		for _, m := range all {
			if m.Open() || t.c.ReportNo == 0 {
				t.matters = append(t.matters, m.No)
			}
		}
		return err
	}}
