package workflow

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// Effect is what an event brings about besides the new state: it changes the
// case, and writes opinions, grades, reports and agenda rows.
type Effect struct {
	Name string
	Doc  string
	Do   func(ctx context.Context, t *turn) error
}

var noteFacts = Effect{"noteFacts", "what the order refers to is kept with the case: study, exam, original report and its readers",
	func(ctx context.Context, t *turn) error {
		f, c := t.in.Facts, t.c
		if f == nil {
			return nil
		}
		if c.movedFrom(*f) {
			t.detail["moved"] = true
		}
		before := c.Exam
		c.Exam = f.Exam
		triage := DecideTriage(c.Policy.Triage, c.Exam, c.Priority)
		if c.AcceptedAt == nil { // whoever has begun goes on as they began
			c.decideProtocol(&triage)
			t.detail["protocol"], t.detail["reading"], t.detail["protocolWhy"] = c.Protocol, c.Reading, c.ProtocolWhy
		}
		if s := f.seen(); s != nil {
			c.Exam.Images, c.Exam.ImagesSaid = s.Instances, f.Study.promised()
			t.detail["images"] = map[string]int{"inPACS": s.Instances, "said": f.Study.promised()}
		}
		if c.Exam.Subspecialty == "" {
			c.Exam.Subspecialty, c.Exam.Needs, c.Exam.Triage = triage.Subspecialty, triage.Needs, &triage
			t.detail["triage"] = triage
		}
		if before.Broadened != nil && before.Subspecialty == c.Exam.Subspecialty {
			c.Exam.Broadened, c.Exam.Downgrade = before.Broadened, before.Downgrade
		}
		c.Exam.QuestionRead = before.QuestionRead
		c.Exam.ThirdDowngrade, c.Exam.ThirdForgone = before.ThirdDowngrade, before.ThirdForgone
		if f.OrderPatient != "" && !strings.Contains(f.OrderPatient, "|") { // an id here, not an identifier of somebody to come
			c.PatientID = &f.OrderPatient
		}
		if s := f.Study; s != nil {
			c.Exam.ImagesSeen = s.promised()
			if c.isSealed() { // who has sealed has seen what was there then (verification.go)
				c.Exam.keepRead(before)
			}
			c.StudyID, c.StudyUID, c.Accession = optional(s.ID), optional(s.UID), optional(s.Accession)
		}
		there := f.Original != nil
		c.Comparable = &there
		if there {
			c.OriginalReportID, c.OriginalReportVersion = &f.Original.ID, &f.Original.Version
			c.noteWhatItSays(*f.Original)
		}
		if err := t.noteFirstReaders(ctx, f.First); err != nil {
			return err
		}
		t.detail["comparable"] = there
		return nil
	}}

var noteFindings = Effect{"noteFindings", "what stands in the way is kept with the case and told to the placer",
	func(_ context.Context, t *turn) error {
		t.c.Findings = t.in.Findings
		t.detail["findings"] = t.in.Findings
		if t.in.Candidates != nil {
			t.detail["candidates"] = t.in.Candidates
		}
		return nil
	}}

var markComplete = Effect{"markComplete", "the order is complete; the final clock starts, the first time",
	func(ctx context.Context, t *turn) error {
		t.c.Findings = nil
		if t.c.CompleteAt == nil {
			t.c.CompleteAt = &t.now
		}
		return t.startClock(ctx, ClockFinal, keepRunning)
	}}

var scheduleChecks = Effect{"scheduleChecks", "the intake checks run at once",
	func(ctx context.Context, t *turn) error { return t.plan(ctx, intakeChecks, t.now, restart) }}

var waitForInformation = Effect{"waitForInformation", "the case goes on by itself after the policy's wait, where it may; the checks look again meanwhile",
	func(ctx context.Context, t *turn) error {
		until := t.c.Policy.Calendar.Add(t.now, t.c.Policy.informationWait(t.c.Priority))
		if err := t.plan(ctx, informationTimeout, until, keepRunning); err != nil {
			return err
		}
		return t.plan(ctx, lookAgain, t.now.Add(lookPause(0)), keepRunning)
	}}

var waitForImages = Effect{"waitForImages", "the checks look again, and give up after the policy's imagesGiveUpDays",
	func(ctx context.Context, t *turn) error {
		if err := t.plan(ctx, imagesGiveUp, t.now.AddDate(0, 0, t.c.Policy.ImagesGiveUpDays), keepRunning); err != nil {
			return err
		}
		return t.plan(ctx, lookAgain, t.now.Add(lookPause(0)), keepRunning)
	}}

var waiveFindings = Effect{"waiveFindings", "the checks that said so are set aside for this case",
	func(_ context.Context, t *turn) error {
		for _, f := range t.c.Findings {
			resolves := t.event == "resolve"
			if ((f.Kind == Doubtful) == resolves || t.c.SampleOf != nil) && !slices.Contains(t.c.Waived, f.Code) {
				t.c.Waived = append(t.c.Waived, f.Code)
			}
		}
		t.detail["waived"] = t.c.Waived
		return nil
	}}

var startAssignment = Effect{"startAssignment", "matching runs at once; the assign clock starts, unless it runs",
	func(ctx context.Context, t *turn) error {
		t.c.Findings = nil
		if err := t.plan(ctx, match, t.now, restart); err != nil {
			return err
		}
		return t.startClock(ctx, ClockAssign, keepRunning)
	}}

var waitForReaders = Effect{"waitForReaders", "matching is tried again now and then; the next step of the policy's ladder comes when its time is over",
	func(ctx context.Context, t *turn) error {
		if rung, ok := t.c.nextRung(); ok {
			if err := t.plan(ctx, broadenNext, t.c.Policy.Calendar.Add(t.now, rung.After), keepRunning); err != nil {
				return err
			}
		}
		return t.plan(ctx, matchAgain, t.now.Add(matchPause), restart)
	}}

var startAssignClock = Effect{"startAssignClock", "the assign clock starts, unless it runs",
	func(ctx context.Context, t *turn) error { return t.startClock(ctx, ClockAssign, keepRunning) }}

var broadenCase = Effect{"broadenCase", "more may read the case than should: recorded with the reason, which the report will say if it is one of them who reads it",
	func(_ context.Context, t *turn) error {
		b, _ := t.c.broaden(t.in.Breadth, t.in.Reason, t.now)
		t.c.Exam.Broadened = &b
		t.detail["broadened"] = b
		return nil
	}}

var takeAway = Effect{"takeAway", "the case is no longer its reader's, or the one's to whom it was offered; what was locked stays on record, and the next reader begins anew",
	func(ctx context.Context, t *turn) error {
		if t.c.ReaderID == nil {
			t.detail["from"] = t.c.OfferedTo
			return nil
		}
		t.detail["from"] = t.c.ReaderID
		return unassignReader.Do(ctx, t)
	}}

var makeOffer = Effect{"makeOffer", "the case is offered to the reader until the offer expires",
	func(ctx context.Context, t *turn) error {
		t.c.OfferedTo, t.c.Findings = t.in.ReaderID, nil
		if t.actor.Role == access.System && slices.Contains(t.c.Lapsed, *t.in.ReaderID) {
			t.c.OfferRound, t.c.Lapsed = t.c.OfferRound+1, nil
			t.detail["round"] = t.c.OfferRound
		}
		t.detail["reader"] = t.in.ReaderID
		if err := t.ledger.noteOffer(ctx, *t.in.ReaderID, t.now); err != nil {
			return err
		}
		return t.plan(ctx, offerExpiry, t.c.Policy.Calendar.Add(t.now, t.c.limit(ClockOffer)), restart)
	}}

var noteDecline = Effect{"noteDecline", "the server does not offer it to that reader again; the reader may still claim it, unless it was declined for a conflict: then they have no part in it any more",
	func(_ context.Context, t *turn) error {
		t.detail["reader"] = t.c.OfferedTo
		t.c.Declined = append(t.c.Declined, *t.c.OfferedTo)
		if t.in.Code != "" {
			t.detail["code"] = t.in.Code
		}
		if t.in.Code == DeclinedForConflict && !slices.Contains(t.c.Conflicted, *t.c.OfferedTo) {
			t.c.Conflicted = append(t.c.Conflicted, *t.c.OfferedTo)
		}
		return nil
	}}

var noteLapse = Effect{"noteLapse", "the server asks the others first, and then, in the next of the policy's offerRounds, that reader again",
	func(_ context.Context, t *turn) error {
		t.detail["reader"] = t.c.OfferedTo
		if !slices.Contains(t.c.Lapsed, *t.c.OfferedTo) {
			t.c.Lapsed = append(t.c.Lapsed, *t.c.OfferedTo)
		}
		return nil
	}}

var assignReader = Effect{"assignReader", "the actor has the case; the report gets its id; that they are none of those who should read it is recorded with the reason",
	func(ctx context.Context, t *turn) error {
		t.c.ReaderID = &t.actor.ID
		if e := &t.c.Exam; t.c.OtherReaderID == nil { // who begins sees the study as it is
			e.ImagesSeen, e.ImagesSince = max(e.ImagesSeen, e.ImagesSince), 0
		}
		if t.c.AcceptedAt == nil || t.c.OtherReaderID == nil {
			t.c.AcceptedAt = &t.now
		}
		if t.c.Exam.Broadened != nil {
			r, err := t.ledger.reader(ctx, t.actor.ID)
			if err != nil {
				return err
			}
			if down := t.c.Exam.downgrade(r.fields(DateOf(r.local(t.now)))); down != "" || t.c.OtherReaderID == nil { // of two, it is told of either
				t.c.Exam.Downgrade = down
			}
			t.detail["downgrade"] = t.c.Exam.Downgrade
		}
		if t.c.ReportID == nil {
			id := newID().String()
			t.c.ReportID = &id
		}
		t.detail["independent"] = true
		return nil
	}}

var unassignReader = Effect{"unassignReader", "the case is nobody's; what was locked stays on record, and the next reader begins anew",
	func(_ context.Context, t *turn) error {
		c := t.c
		t.detail["reader"] = c.ReaderID
		c.Declined = append(c.Declined, *c.ReaderID)
		c.ReaderID, c.LockedAt, c.RevealedAt, c.OpinionNo, c.Settled, c.ReturnedAt = nil, nil, nil, nil, nil, nil
		c.Exam.ThirdForgone = ""
		if c.OtherReaderID == nil {
			c.AcceptedAt, c.Exam.Downgrade = nil, ""
		}
		return nil
	}}

var openDraft = Effect{"openDraft", "an empty draft",
	func(ctx context.Context, t *turn) error {
		_, err := t.openDraft(ctx, t.c.partOf())
		return err
	}}

var saveDraft = Effect{"saveDraft", "the draft is saved as its next version; one that says the same makes none",
	func(ctx context.Context, t *turn) error {
		if t.in.Opinion == nil {
			return nil
		}
		return t.saveDraft(ctx, t.c.partOf(), *t.in.Opinion)
	}}

var sealOpinion = Effect{"sealOpinion", "the opinion is sealed: its SHA-256 and the time are recorded, and it never changes again. One that is urgent or emergent is a finding of which somebody must be told now, unless its reader has raised one",
	func(ctx context.Context, t *turn) error {
		t.c.LockedAt = &t.now
		seen, err := t.ledger.unveiled(ctx, t.c)
		if err != nil {
			return err
		}
		if seen { // for whoever counts independent readings
			t.detail["unveiled"] = true
		}
		opinion, err := t.seal(ctx, "locked")
		if err != nil {
			return err
		}
		if !t.c.double() {
			t.c.OpinionNo = &opinion.OpinionNo
		}
		return t.raiseFromOpinion(ctx, opinion, t.waits)
	}}

var sealPartialRead = Effect{"sealPartialRead", "a draft, if there is one, is sealed as an unfinished reading",
	func(ctx context.Context, t *turn) error {
		_, err := t.seal(ctx, "released")
		if errors.Is(err, errNoDraft) {
			return nil
		}
		return err
	}}

var revealOriginal = Effect{"revealOriginal", "the original report is shown from now on",
	func(_ context.Context, t *turn) error {
		t.c.RevealedAt = &t.now
		return nil
	}}

var recordGrade = Effect{"recordGrade", "the grade is recorded; the latest is in force",
	func(ctx context.Context, t *turn) error {
		_, err := t.recordGrade(ctx)
		return err
	}}

var startAdjudication = Effect{"startAdjudication", "the adjudicate clock starts; where the policy wants it, the original is withheld from third readers until one has locked an opinion of their own",
	func(ctx context.Context, t *turn) error {
		t.c.Veiled = t.c.Policy.BlindAdjudication
		return t.startClock(ctx, ClockAdjudicate, restart)
	}}

var noteSupervisor = Effect{"noteSupervisor", "the actor is the supervisor",
	func(_ context.Context, t *turn) error {
		t.c.SupervisorID = &t.actor.ID
		return nil
	}}

var startAcknowledgement = Effect{"startAcknowledgement", "the acknowledge clock starts anew",
	func(ctx context.Context, t *turn) error {
		t.c.ClosedAt = nil
		return t.startClock(ctx, ClockAcknowledge, restart)
	}}

var keepAcknowledgement = Effect{"keepAcknowledgement", "the acknowledge clock runs, or goes on",
	func(ctx context.Context, t *turn) error {
		t.c.ClosedAt = nil
		return t.startClock(ctx, ClockAcknowledge, keepRunning)
	}}

var rememberState = Effect{"rememberState", "where to resume: an offer is withdrawn, and a waiting case is checked again, since things may arrive during the hold",
	func(ctx context.Context, t *turn) error {
		back := t.c.State
		switch back {
		case Offered:
			back = Ready
			if err := t.plan(ctx, match, t.now, restart); err != nil {
				return err
			}
		case IntakeReview, AwaitingInformation, AwaitingImages:
			back = Received
			if err := t.plan(ctx, intakeChecks, t.now, restart); err != nil {
				return err
			}
		}
		t.c.ResumeState = &back
		t.detail["resume"] = back
		return nil
	}}

var lookAtOnce = Effect{"lookAtOnce", "what came during the hold is looked at; where the intake checks were not through they run",
	func(ctx context.Context, t *turn) error {
		if *t.c.ResumeState == Received {
			return t.plan(ctx, intakeChecks, t.now, restart)
		}
		return t.plan(ctx, lookAgain, t.now, restart)
	}}

var endCase = Effect{"endCase", "the case is over; nothing stays on its agenda but what is open besides, such as a finding that nobody has acknowledged",
	func(ctx context.Context, t *turn) error {
		t.c.ClosedAt = &t.now
		return t.tellUnsigned(ctx)
	}}

var proposeError = Effect{"proposeError", "the actor is the first of the two directors",
	func(_ context.Context, t *turn) error {
		t.c.ErrorProposedBy = &t.actor.ID
		return nil
	}}

// seal closes the draft.
func (t *turn) seal(ctx context.Context, status string) (Sealed, error) {
	opinion, err := t.ledger.sealDraft(ctx, t.c.CaseID, status, t.now)
	if err == nil {
		if status == "locked" && t.c.ReportNo == 0 {
			t.c.Exam.QuestionRead = t.c.Exam.Question
		}
		t.detail["sha256"], t.detail["opinionNo"] = opinion.SHA256, opinion.OpinionNo
	}
	return opinion, err
}

// sealNew writes and seals an opinion of the actor in one go.
func (t *turn) sealNew(ctx context.Context, part ReadingPart, o Opinion) (Sealed, error) {
	if err := t.saveDraft(ctx, part, o); err != nil {
		return Sealed{}, err
	}
	return t.seal(ctx, "locked")
}

// sealInForce is sealNew of the opinion that is in force from now on.
func (t *turn) sealInForce(ctx context.Context, part ReadingPart, o Opinion) (Sealed, error) {
	opinion, err := t.sealNew(ctx, part, o)
	t.c.OpinionNo = &opinion.OpinionNo
	return opinion, err
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// newID returns a UUIDv7.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }
