package workflow

import . "github.com/overread/overread/internal/access" //nolint:revive // the roles are words of this table

// Event is something that happens to a case.
type Event string

// Transition is one row: in any of the states From, when Event is fired by one
// of the roles By and every guard agrees, the case goes To the next state and
// the effects happen, all in one transaction. Rows of the same state and event
// are tried in order; the first whose When holds is taken. A guard refuses
// with a reason; a When only chooses.
type Transition struct {
	From    []State
	Event   Event
	To      State // Same: the state does not change; Resumed: the state before the hold
	By      []Role
	When    Choice   // nil: always
	Guards  []Guard  // each may refuse
	Effects []Effect // in this order
}

// Pseudo-states of the To column.
const (
	Same    State = "="
	Resumed State = "resumed"
)

// The states that share rows.
var (
	beforeAcceptance = []State{Received, IntakeReview, AwaitingInformation, AwaitingImages, Ready, Unassignable}
	beforeReading    = []State{Received, IntakeReview, AwaitingInformation, AwaitingImages, Ready, Unassignable, Offered, Accepted}
	atWork           = []State{Accepted, Reading, Locked, Comparing, Adjudication, AwaitingCosign}
	unsigned         = []State{Received, IntakeReview, AwaitingInformation, AwaitingImages, Ready, Unassignable, Offered, Accepted, Reading, Locked, Comparing, Adjudication, AwaitingCosign}
	signed           = []State{Final, Closed}
)

// Transitions is the life of a case. docs/states.md is generated from it.
var Transitions = []Transition{
	// Intake: the checks of intake.go run on arrival and again whenever something changes.
	{From: in(Received), Event: "pass-checks", To: Ready, By: by(System), Effects: do(markComplete, startAssignment)},
	{From: in(Received), Event: "doubt", To: IntakeReview, By: by(System), Effects: do(noteFindings)},
	{From: in(Received), Event: "miss-information", To: AwaitingInformation, By: by(System), Effects: do(noteFindings, waitForInformation)},
	{From: in(Received), Event: "miss-images", To: AwaitingImages, By: by(System), Effects: do(noteFindings, waitForImages)},
	{From: in(IntakeReview, AwaitingInformation, AwaitingImages), Event: "recheck", To: Received, By: by(System), Effects: do(scheduleChecks)},
	{From: in(IntakeReview), Event: "resolve", To: Received, By: by(Coordinator), Guards: check(reasonGiven), Effects: do(waiveFindings, scheduleChecks)},
	{From: in(AwaitingInformation, AwaitingImages), Event: "proceed", To: Received, By: by(Coordinator, System), Guards: check(canProceed), Effects: do(waiveFindings, scheduleChecks)},
	{From: in(AwaitingImages), Event: "give-up", To: Failed, By: by(System, Coordinator), Guards: check(reasonGiven), Effects: do(stopClocks)},
	{From: beforeAcceptance, Event: "reject", To: Rejected, By: by(Coordinator), Guards: check(reasonGiven), Effects: do(stopClocks)},

	// Matching: offered to one reader, or claimed from the pool.
	{From: in(Ready, Unassignable), Event: "offer", To: Offered, By: by(System, Coordinator), Guards: check(candidateEligible), Effects: do(makeOffer)},
	{From: in(Ready), Event: "find-nobody", To: Unassignable, By: by(System), Effects: do(noteFindings)},
	{From: in(Unassignable), Event: "rematch", To: Ready, By: by(System, Coordinator), Effects: do(startAssignment)},
	{From: in(Unassignable), Event: "give-up", To: Failed, By: by(Coordinator), Guards: check(reasonGiven), Effects: do(stopClocks)},
	{From: in(Ready), Event: "claim", To: Accepted, By: by(Reader), Guards: check(independenceAttested, actorEligible), Effects: do(assignReader)},
	{From: in(Offered), Event: "claim", To: Accepted, By: by(Reader), Guards: check(offeredToActor, independenceAttested, actorEligible), Effects: do(assignReader)},
	{From: in(Offered), Event: "decline", To: Ready, By: by(Reader), Guards: check(offeredToActor), Effects: do(noteDecline, startAssignment)},
	{From: in(Offered), Event: "expire-offer", To: Ready, By: by(System), Effects: do(noteDecline, startAssignment)},
	{From: in(Offered), Event: "withdraw-offer", To: Ready, By: by(Coordinator), Effects: do(clearOffer, startAssignment)},

	// The read: independent until locked, then compared and graded.
	{From: in(Accepted), Event: "start", To: Reading, By: by(Reader), Guards: check(isReader), Effects: do(openDraft)},
	{From: in(Reading), Event: "draft", To: Same, By: by(Reader), Guards: check(isReader), Effects: do(saveDraft)},
	{From: in(Accepted, Reading), Event: "lock", To: Locked, By: by(Reader), Guards: check(isReader, opinionComplete), Effects: do(saveDraft, sealOpinion)},
	{From: in(Accepted, Reading), Event: "release", To: Ready, By: by(Reader, Coordinator), Guards: check(isReaderOrCoordinator, reasonGiven), Effects: do(sealPartialRead, unassignReader, startAssignment)},
	{From: in(Locked), Event: "reveal", To: Comparing, By: by(Reader), Guards: check(isReader), Effects: do(revealOriginal)},
	{From: in(Comparing), Event: "grade", To: Adjudication, By: by(Reader), When: policyDemandsThirdReader, Guards: check(isReader, gradeComplete), Effects: do(recordGrade, startAdjudication)},
	{From: in(Comparing), Event: "grade", To: Same, By: by(Reader), Guards: check(isReader, gradeComplete), Effects: do(recordGrade)},
	{From: in(Adjudication), Event: "adjudicate", To: Same, By: by(Adjudicator), Guards: check(isThirdReader, gradeComplete), Effects: do(recordAdjudication)},

	// The signature: the report is written down, rendered and queued here, once.
	{From: in(Comparing), Event: "sign", To: AwaitingCosign, By: by(Reader), When: readerNeedsCosign, Guards: check(isReader, graded)},
	{From: in(Comparing), Event: "sign", To: Final, By: by(Reader), Guards: check(isReader, graded), Effects: do(signReport, startAcknowledgement)},
	{From: in(Adjudication), Event: "sign", To: Final, By: by(Adjudicator), Guards: check(isAdjudicator, adjudicated), Effects: do(signReport, startAcknowledgement)},
	{From: in(AwaitingCosign), Event: "sign", To: Final, By: by(Supervisor), Guards: check(isNotReader), Effects: do(noteSupervisor, signReport, startAcknowledgement)},
	{From: in(AwaitingCosign), Event: "return", To: Comparing, By: by(Supervisor), Guards: check(isNotReader, reasonGiven)},

	// After the signature.
	{From: in(Final), Event: "acknowledge", To: Closed, By: by(Placer), Effects: do(stopClocks)},
	{From: signed, Event: "amend", To: Amending, By: by(Reader, Adjudicator), Guards: check(isSignatory, reasonGiven)},
	{From: in(Amending), Event: "sign", To: Final, By: by(Reader, Adjudicator), Guards: check(isSignatory, amendmentComplete), Effects: do(signAmendment, startAcknowledgement)},
	{From: in(Amending), Event: "withdraw-amendment", To: Final, By: by(Reader, Adjudicator), Guards: check(isSignatory), Effects: do(startAcknowledgement)},

	// The placer's own decisions.
	{From: unsigned, Event: "hold", To: OnHold, By: by(Placer), Effects: do(pauseClocks)},
	{From: in(OnHold), Event: "resume", To: Resumed, By: by(Placer), Effects: do(resumeClocks)},
	{From: append(in(OnHold), unsigned...), Event: "cancel", To: Cancelled, By: by(Placer), Effects: do(sealPartialRead, stopClocks)},

	// An error is declared, never deleted; once signed it takes two directors.
	{From: append(in(OnHold), unsigned...), Event: "declare-error", To: EnteredInError, By: by(Director), Guards: check(reasonGiven), Effects: do(sealPartialRead, stopClocks)},
	{From: append(in(Amending), signed...), Event: "declare-error", To: EnteredInError, By: by(Director), When: proposedByAnother, Guards: check(reasonGiven), Effects: do(signError, stopClocks)},
	{From: append(in(Amending), signed...), Event: "declare-error", To: Same, By: by(Director), Guards: check(reasonGiven), Effects: do(proposeError)},

	// The clock: a breach is an event, not a state.
	{From: append(append(in(OnHold, Final), unsigned...), Amending), Event: "warn", To: Same, By: by(System)},
	{From: append(append(in(OnHold, Final), unsigned...), Amending), Event: "breach", To: Same, By: by(System)},
}
