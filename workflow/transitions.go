package workflow

import (
	"slices"

	role "github.com/overread/overread/internal/access"
)

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
	To      State // Same: the state does not change; Quietly: and nothing of it is told; Resumed: the state before the hold
	By      []role.Role
	When    *Choice  // nil: always
	Guards  []Guard  // each may refuse
	Effects []Effect // in this order
}

// Pseudo-states of the To column.
const (
	Same    State = "="
	Quietly State = "quietly" // no event in the history, and the Task stays as it is: saving a draft
	Resumed State = "resumed"
)

// The states that share rows.
var (
	beforeAcceptance = in(Received, IntakeReview, AwaitingInformation, AwaitingImages, Ready, Unassignable)
	beforeReveal     = in(Ready, Unassignable, Offered, Accepted, Reading, Conferring, Arbitration, Locked)
	atWork           = in(Accepted, Reading, Conferring, Arbitration, Locked, Comparing, Adjudication, AwaitingCosign)
	third            = in(Arbitration, Adjudication)
	betweenTwo       = join(beforeAcceptance, in(Offered)) // where of two readers the first has sealed
	unsigned         = join(beforeAcceptance, in(Offered), atWork)
	signed           = in(Final, Closed)
	unreported       = in(Rejected, Cancelled, Failed)
	notSigned        = join(unsigned, in(OnHold, Rejected, Cancelled, Failed))
	everyState       = join(unsigned, signed, in(Amending, OnHold, Rejected, Cancelled, Failed, EnteredInError))
)

// readers are the roles in which somebody answers for a report.
var readers = by(role.Reader, role.Adjudicator, role.Supervisor)

// Transitions is the life of a case. docs/states.md is generated from it. What
// waits for the clock in each state is the table of agenda.go.
var Transitions = []Transition{
	// Intake: the checks of intake.go run on arrival and again whenever something changes.
	{From: in(Received), Event: "pass-checks", To: Ready, By: by(role.System), Effects: do(noteFacts, markComplete, startAssignment)},
	{From: in(Received), Event: "doubt", To: IntakeReview, By: by(role.System), Effects: do(noteFacts, noteFindings)},
	{From: in(Received), Event: "miss-information", To: AwaitingInformation, By: by(role.System), Effects: do(noteFacts, noteFindings, waitForInformation)},
	{From: in(Received), Event: "miss-images", To: AwaitingImages, By: by(role.System), Effects: do(noteFacts, noteFindings, waitForImages)},
	{From: join(beforeAcceptance, in(Offered)), Event: "recheck", To: Received, By: by(role.System), Effects: do(scheduleChecks)},
	{From: in(IntakeReview), Event: "resolve", To: Received, By: by(role.Coordinator), Guards: check(reasonGiven, canResolve), Effects: do(waiveFindings, scheduleChecks)},
	{From: in(AwaitingInformation, AwaitingImages), Event: "proceed", To: Received, By: by(role.Coordinator, role.System), Guards: check(reasonGiven, canProceed), Effects: do(waiveFindings, scheduleChecks)},
	{From: in(AwaitingImages), Event: "give-up", To: Failed, By: by(role.System, role.Coordinator), Guards: check(reasonGiven), Effects: do(endCase)},
	{From: beforeAcceptance, Event: "reject", To: Rejected, By: by(role.Coordinator), Guards: check(reasonGiven), Effects: do(endCase)},

	// Matching: offered to one reader, or claimed from the pool.
	{From: in(Ready, Unassignable), Event: "offer", To: Offered, By: by(role.System, role.Coordinator), Guards: check(candidateEligible), Effects: do(makeOffer)},
	{From: in(Ready), Event: "find-nobody", To: Unassignable, By: by(role.System), Effects: do(noteFindings, waitForReaders)},
	{From: in(Unassignable), Event: "rematch", To: Ready, By: by(role.System, role.Coordinator), Effects: do(startAssignment)},
	{From: in(Unassignable), Event: "give-up", To: Failed, By: by(role.Coordinator), Guards: check(reasonGiven), Effects: do(endCase)},
	{From: in(Ready), Event: "claim", To: Accepted, By: by(role.Reader), Guards: check(independenceAttested, actorEligible), Effects: do(assignReader)},
	{From: in(Offered), Event: "claim", To: Accepted, By: by(role.Reader), Guards: check(offeredToActor, independenceAttested, actorEligible), Effects: do(assignReader)},
	{From: in(Offered), Event: "decline", To: Ready, By: by(role.Reader), Guards: check(offeredToActor, declineCodeKnown), Effects: do(noteDecline, startAssignment)},
	{From: in(Offered), Event: "expire-offer", To: Ready, By: by(role.System), Effects: do(noteLapse, startAssignment)},
	{From: in(Offered, Accepted, Reading, Locked, Comparing), Event: "reassign", To: Offered, By: by(role.Coordinator), Guards: check(reasonGiven, notDecidedByThird, candidateEligible), Effects: do(sealPartialRead, takeAway, makeOffer, startAssignClock)},
	{From: in(Ready, Unassignable), Event: "broaden", To: Ready, By: by(role.System, role.Coordinator), Guards: check(reasonGiven, broadens), Effects: do(broadenCase, startAssignment)},
	{From: in(Offered), Event: "withdraw-offer", To: Ready, By: by(role.Coordinator), Effects: do(startAssignment)},

	// The read: independent until locked, then compared and graded.
	{From: in(Accepted), Event: "start", To: Reading, By: by(role.Reader), Guards: check(isReader, stillIndependent, mayPractise), Effects: do(openDraft)},
	{From: in(Reading), Event: "draft", To: Quietly, By: by(role.Reader), Guards: check(isReader, opinionGiven, draftFollows), Effects: do(saveDraft)},
	{From: in(OnHold), Event: "draft", To: Quietly, By: by(role.Reader), Guards: check(isReader, heldWhileWritten, opinionGiven, draftFollows), Effects: do(saveDraft)},
	{From: in(Accepted, Reading), Event: "lock", To: Ready, By: by(role.Reader), When: secondIsToRead, Guards: check(isReader, stillIndependent, mayPractise, draftFollows, opinionComplete), Effects: do(saveDraft, sealOpinion, passOn, startAssignment)},
	{From: in(Accepted, Reading), Event: "lock", To: Conferring, By: by(role.Reader), When: twoAreToConfer, Guards: check(isReader, stillIndependent, mayPractise, draftFollows, opinionComplete), Effects: do(saveDraft, sealOpinion, startConferring)},
	{From: in(Accepted, Reading), Event: "lock", To: Locked, By: by(role.Reader), When: morePressingStands, Guards: check(isReader, stillIndependent, mayPractise, draftFollows, opinionComplete), Effects: do(saveDraft, sealOpinion, takeMorePressing)},
	{From: in(Accepted, Reading), Event: "lock", To: Locked, By: by(role.Reader), Guards: check(isReader, stillIndependent, mayPractise, draftFollows, opinionComplete), Effects: do(saveDraft, sealOpinion)},
	{From: in(Locked, Comparing), Event: "release", To: Arbitration, By: by(role.Adjudicator, role.Coordinator), When: decidedByThird, Guards: check(isReaderOrCoordinator, reasonGiven), Effects: do(unassignAdjudicator, startArbitration, lookForThird)},
	{From: in(Accepted, Reading, Locked, Comparing), Event: "release", To: Ready, By: by(role.Reader, role.Coordinator), Guards: check(isReaderOrCoordinator, reasonGiven), Effects: do(sealPartialRead, keepIndependent, unassignReader, startAssignment)},
	{From: beforeReveal, Event: "original-arrives", To: Same, By: by(role.System), Effects: do(noteFacts)},
	{From: in(Comparing, AwaitingCosign), Event: "original-arrives", To: Same, By: by(role.System), Effects: do(noteLateOriginal)},
	{From: join(signed, in(Amending)), Event: "original-arrives", To: Same, By: by(role.System), Effects: do(noteLateOriginal, compareLate)},
	{From: join(betweenTwo, in(OnHold), atWork), Event: "original-changes", To: Same, By: by(role.System), Effects: do(noteOriginal)},
	{From: join(signed, in(Amending)), Event: "original-changes", To: Same, By: by(role.System), Effects: do(noteRewritten, openVerification)},
	{From: join(betweenTwo, in(OnHold), atWork), Event: "question-changes", To: Same, By: by(role.System), Effects: do(noteQuestion)},
	{From: in(Locked), Event: "reveal", To: Comparing, By: by(role.Reader, role.Adjudicator), Guards: check(isReader, stillIndependent, mayPractise), Effects: do(revealOriginal)},
	{From: in(Comparing), Event: "grade", To: Adjudication, By: by(role.Reader, role.Adjudicator), When: policyDemandsThirdReader, Guards: check(isReader, stillIndependent, mayPractise, gradeComplete), Effects: do(recordGrade, startAdjudication, lookForThird)},
	{From: in(Comparing), Event: "grade", To: Same, By: by(role.Reader, role.Adjudicator), Guards: check(isReader, stillIndependent, mayPractise, gradeComplete), Effects: do(recordGrade)},

	// Two readers: both have locked, and come to one text, or a third decides.
	{From: in(Ready, Unassignable, Offered), Event: "forgo-second", To: Locked, By: by(role.Coordinator), Guards: check(secondIsMissing, reasonGiven), Effects: do(forgoSecond)},
	{From: in(Conferring), Event: "propose", To: Same, By: by(role.Reader), Guards: check(isOneOfTwo, stillIndependent, mayPractise, consensusIsSought, proposalComplete), Effects: do(sealProposal)},
	{From: in(Conferring), Event: "concur", To: Locked, By: by(role.Reader), Guards: check(isOneOfTwo, stillIndependent, mayPractise, knowsTheText), Effects: do(agree)},
	{From: in(Conferring), Event: "refer", To: Arbitration, By: by(role.Reader, role.Coordinator, role.System), Guards: check(isOneOfTwoOrOffice, mayRefer, reasonGiven), Effects: do(startArbitration, lookForThird)},
	{From: in(Conferring), Event: "release", To: Ready, By: by(role.Coordinator), Guards: check(reasonGiven), Effects: do(keepIndependent, unassignReader, startAssignment)},

	// The third reader: between two readers, or between the reader and the original.
	{From: third, Event: "claim", To: Same, By: by(role.Adjudicator), Guards: check(independenceAttested, isThirdReader), Effects: do(assignAdjudicator)},
	{From: third, Event: "draft", To: Quietly, By: by(role.Adjudicator), Guards: check(isAdjudicator, notLockedYet, opinionGiven, draftFollows), Effects: do(saveDraft)},
	{From: in(OnHold), Event: "draft", To: Quietly, By: by(role.Adjudicator), Guards: check(isAdjudicator, heldWhileWritten, notLockedYet, opinionGiven, draftFollows), Effects: do(saveDraft)},
	{From: third, Event: "lock", To: Same, By: by(role.Adjudicator), Guards: check(isAdjudicator, notLockedYet, stillIndependent, mayPractise, draftFollows, opinionComplete), Effects: do(saveDraft, sealThirdOpinion)},
	{From: in(Arbitration), Event: "arbitrate", To: Locked, By: by(role.Adjudicator), Guards: check(isAdjudicator, stillIndependent, mayPractise, mayDecide, ownOpinionFirst, decisionGiven, decidesForIndependent), Effects: do(sealPartialRead, takeDecision)},
	{From: in(Adjudication), Event: "adjudicate", To: Same, By: by(role.Adjudicator), Guards: check(isAdjudicator, stillIndependent, mayPractise, mayDecide, ownOpinionFirst, gradeComplete, decisionGiven, decidesForIndependent), Effects: do(sealPartialRead, recordAdjudication)},
	{From: third, Event: "release", To: Same, By: by(role.Adjudicator, role.Coordinator), Guards: check(isAdjudicatorOrCoordinator, reasonGiven), Effects: do(sealPartialRead, unassignAdjudicator, lookForThird)},

	// No third reader: told at once, then broader, in the end without.
	{From: third, Event: "find-no-third", To: Same, By: by(role.System), Effects: do(noteFindings, tellOffice)},
	{From: third, Event: "find-third", To: Same, By: by(role.System), Effects: do(forgetFindings)},
	{From: third, Event: "broaden", To: Same, By: by(role.System, role.Coordinator), Guards: check(reasonGiven, thirdIsMissing, broadens), Effects: do(broadenCase, lookForThird)},
	{From: in(Adjudication), Event: "forgo-third", To: Comparing, By: by(role.Director), Guards: check(reasonGiven, thirdIsMissing, mayForgoThird), Effects: do(forgoThird)},
	{From: in(Arbitration), Event: "forgo-third", To: Locked, By: by(role.Director), Guards: check(reasonGiven, thirdIsMissing, mayForgoThird), Effects: do(forgoThird, takeMorePressing)},

	// The signature: the report is written down, rendered and queued here, once.
	{From: in(Comparing), Event: "sign", To: AwaitingCosign, By: by(role.Reader, role.Adjudicator), When: textNeedsCosign, Guards: check(isReader, graded, mayPractise, readersIndependent)},
	{From: in(Comparing), Event: "sign", To: Final, By: by(role.Reader, role.Adjudicator), Guards: check(isReader, graded, mayPractise, readersIndependent, findingsJudged), Effects: do(judgeFindings, signReport, verifyGrowth, startAcknowledgement, lookAfterSigning)},
	{From: in(Adjudication), Event: "sign", To: AwaitingCosign, By: by(role.Adjudicator), When: textNeedsCosign, Guards: check(isAdjudicator, hasDecided, mayPractise, mayDecide, readersIndependent)},
	{From: in(Adjudication), Event: "sign", To: Final, By: by(role.Adjudicator), Guards: check(isAdjudicator, hasDecided, mayPractise, mayDecide, readersIndependent, findingsJudged), Effects: do(judgeFindings, signReport, verifyGrowth, startAcknowledgement, lookAfterSigning)},
	{From: in(AwaitingCosign), Event: "sign", To: Final, By: by(role.Supervisor), Guards: check(maySupervise, readersIndependent, editComplete, editGraded, findingsJudged), Effects: do(noteSupervisor, sealEdit, recordEditGrade, judgeFindings, signReport, verifyGrowth, startAcknowledgement, lookAfterSigning)},
	{From: in(AwaitingCosign), Event: "release", To: Arbitration, By: by(role.Coordinator), When: decidedByThird, Guards: check(reasonGiven), Effects: do(unassignAdjudicator, startArbitration, lookForThird)},
	{From: in(AwaitingCosign), Event: "release", To: Adjudication, By: by(role.Coordinator), When: isAdjudicated, Guards: check(reasonGiven), Effects: do(unassignAdjudicator, startAdjudication, lookForThird)},
	{From: in(AwaitingCosign), Event: "release", To: Ready, By: by(role.Coordinator), Guards: check(reasonGiven), Effects: do(keepIndependent, unassignReader, startAssignment)},
	{From: in(AwaitingCosign), Event: "return", To: Adjudication, By: by(role.Supervisor), When: isAdjudicated, Guards: check(maySupervise, reasonGiven), Effects: do(askThirdAnew)},
	{From: in(AwaitingCosign), Event: "return", To: Comparing, By: by(role.Supervisor), Guards: check(maySupervise, reasonGiven), Effects: do(noteReturn)},
	{From: in(Comparing), Event: "revise", To: Same, By: by(role.Reader, role.Adjudicator), Guards: check(isReader, stillIndependent, mayPractise, wasReturned, opinionGiven, editComplete), Effects: do(sealEdit)},

	// After the signature.
	{From: join(signed, in(Amending)), Event: "acknowledge", To: Same, By: by(role.Placer), When: ofOlderVersion, Effects: do(noteAcknowledgement)},
	{From: in(Amending), Event: "acknowledge", To: Same, By: by(role.Placer), Effects: do(noteAcknowledgement, stopWaiting)},
	{From: in(Final), Event: "acknowledge", To: Closed, By: by(role.Placer), Guards: check(noOpenEmergency), Effects: do(noteAcknowledgement, endCase)},
	{From: signed, Event: "amend", To: Amending, By: by(role.Reader, role.Adjudicator, role.Supervisor), Guards: check(isSignatory, reasonGiven), Effects: do(noteStandIn, startAmendmentClock)},
	{From: in(Amending), Event: "amend", To: Same, By: by(role.Adjudicator, role.Supervisor), Guards: check(isSignatory, reasonGiven), Effects: do(noteStandIn)},
	{From: in(Amending), Event: "reassign", To: Same, By: by(role.Coordinator, role.Director), Guards: check(reasonGiven, standInEligible), Effects: do(nameStandIn)},
	{From: in(Amending), Event: "sign", To: Final, By: by(role.Reader, role.Adjudicator, role.Supervisor), Guards: check(isSignatory, mayPractise, amendsInForce, amendmentComplete, amendmentGraded, verifiesWhatIsOpen, comparesFirstReport, findingsJudged), Effects: do(noteStandIn, judgeFindings, signAmendment, reviewAmendedGrade, settleVerified, startAcknowledgement)},
	{From: in(Amending), Event: "withdraw-amendment", To: Closed, By: by(role.Reader, role.Adjudicator, role.Supervisor, role.Coordinator, role.Director), When: acknowledgedBefore, Guards: check(reasonGiven, mayDropAmendment, findingsReported), Effects: do(dropStandIn, reviewUntold)},
	{From: in(Amending), Event: "withdraw-amendment", To: Final, By: by(role.Reader, role.Adjudicator, role.Supervisor, role.Coordinator, role.Director), Guards: check(reasonGiven, mayDropAmendment, findingsReported), Effects: do(dropStandIn, reviewUntold, keepAcknowledgement)},

	// Quality work on what is signed; none of it is in the chart (docs/grading.md).
	{From: join(signed, in(Amending)), Event: "judge-management", To: Same, By: by(role.Placer), Guards: check(judgementGiven), Effects: do(recordJudgement)},
	{From: join(signed, in(Amending)), Event: "outcome", To: Same, By: by(role.Placer, role.Quality), Guards: check(truthGiven), Effects: do(recordTruth)},
	{From: join(signed, in(Amending)), Event: "add-learning-point", To: Same, By: by(role.Reader, role.Adjudicator, role.Supervisor, role.Quality), Guards: check(hadPart, pointGiven), Effects: do(addPoint)},
	{From: join(signed, in(Amending)), Event: "withdraw-learning-point", To: Same, By: by(role.Quality), Effects: do(withdrawPoint)},
	{From: join(signed, in(Amending)), Event: "open-review", To: Same, By: by(role.Quality, role.System), Guards: check(reasonGiven, noReviewOpen), Effects: do(openReview)},
	{From: join(signed, in(Amending)), Event: "close-review", To: Same, By: by(role.Quality), Guards: check(concluded), Effects: do(closeReview)},
	{From: in(Final), Event: "conclude-sample", To: Closed, By: by(role.System), Effects: do(concludeSample, endCase)},
	{From: signed, Event: "sample-alert", To: Final, By: by(role.System), Guards: check(findingComplete), Effects: do(raiseFinding, keepAcknowledgement)},
	{From: in(Amending), Event: "sample-alert", To: Same, By: by(role.System), Guards: check(findingComplete), Effects: do(raiseFinding)},
	{From: signed, Event: "sample-finding", To: Amending, By: by(role.System), Effects: do(openForFinding)},

	// Actionable findings: of what cannot wait for the report, somebody is told at
	// once. After the signature, what the signatory says becomes an addendum.
	{From: join(notSigned, in(Amending)), Event: "raise-finding", To: Same, By: readers, Guards: check(mayRaise, findingComplete), Effects: do(raiseFinding)},
	{From: signed, Event: "raise-finding", To: Final, By: readers, When: bySignatory, Guards: check(findingComplete), Effects: do(noteStandIn, raiseFinding, signAddendum, startAcknowledgement)},
	{From: signed, Event: "raise-finding", To: Final, By: readers, Guards: check(mayRaise, findingComplete), Effects: do(raiseFinding, keepAcknowledgement)},
	{From: signed, Event: "communicate", To: Final, By: readers, When: toldBySignatory, Guards: check(callComplete), Effects: do(noteStandIn, recordCall, signAddendum, startAcknowledgement)},
	{From: anyTime, Event: "communicate", To: Same, By: and(readers, role.Coordinator, role.Director), Guards: check(mayCall, callComplete), Effects: do(recordCall)},
	{From: anyTime, Event: "acknowledge-finding", To: Same, By: by(role.Placer, role.System), Guards: check(isOpen(FindingMatter)), Effects: do(acknowledgeFinding)},
	{From: signed, Event: "withdraw-finding", To: Final, By: readers, When: withdrawnBySignatory, Guards: check(reasonGiven, notTakenBack), Effects: do(noteStandIn, withdraw(FindingMatter), signAddendum, startAcknowledgement)},
	{From: anyTime, Event: "withdraw-finding", To: Same, By: and(readers, role.Director), Guards: check(reasonGiven, notTakenBack, mayWithdraw), Effects: do(withdraw(FindingMatter))},

	// Questions about a signed report are answered by an addendum.
	{From: join(signed, in(Amending)), Event: "ask", To: Same, By: by(role.Placer), Guards: check(questionGiven), Effects: do(openQuestion)},
	{From: join(signed, in(Amending)), Event: "correct-question", To: Same, By: by(role.Placer), Guards: check(questionGiven, isOpen(QuestionMatter)), Effects: do(correctQuestion)},
	{From: signed, Event: "answer", To: Final, By: readers, Guards: check(isSignatory, mayPractise, answerGiven, isOpen(QuestionMatter)), Effects: do(noteStandIn, answerQuestion, signAddendum, startAcknowledgement)},
	{From: join(signed, in(Amending)), Event: "withdraw-question", To: Same, By: by(role.Placer, role.Coordinator), Guards: check(reasonGiven, isOpen(QuestionMatter)), Effects: do(withdraw(QuestionMatter))},

	// The study is another than was read: who signed looks at it, and the report
	// says that it holds, or is amended.
	{From: join(atWork, betweenTwo, in(OnHold)), Event: "study-grows", To: Same, By: by(role.System), Effects: do(noteGrowth)},
	{From: join(signed, in(Amending)), Event: "study-changed", To: Same, By: by(role.System), Effects: do(openVerification)},
	{From: join(signed, in(Amending)), Event: "first-reader-named", To: Same, By: by(role.System), When: restsOnFirstReader, Effects: do(noteFirstNamed, doubtIndependence)},
	{From: join(signed, in(Amending)), Event: "first-reader-named", To: Same, By: by(role.System), Effects: do(noteFirstNamed)},
	{From: join(signed, in(Amending)), Event: "first-reader-unclear", To: Same, By: by(role.System), Effects: do(noteUnclear, tellUnclear)},
	{From: join(signed, in(Amending)), Event: "first-reader-clear", To: Same, By: by(role.System), Effects: do(forgetUnclear)},
	{From: signed, Event: "verify", To: Final, By: readers, Guards: check(isSignatory, mayPractise, isOpen(VerificationMatter), nothingToCompare), Effects: do(noteStandIn, confirmReport, signAddendum, startAcknowledgement)},
	{From: join(signed, in(Amending)), Event: "dismiss-verification", To: Same, By: by(role.Coordinator, role.Director), Guards: check(reasonGiven, isOpen(VerificationMatter), mayDismiss), Effects: do(dismissVerification)},

	// The placer's own decisions.
	{From: unsigned, Event: "hold", To: OnHold, By: by(role.Placer), Effects: do(rememberState)},
	{From: in(OnHold), Event: "hold", To: Same, By: by(role.Placer), Guards: check(notHeldYet), Effects: do(holdBesides)},
	{From: in(OnHold), Event: "resume", To: Same, By: by(role.Placer), When: correctionPending, Effects: do(releaseHold)},
	{From: in(OnHold), Event: "resume", To: Resumed, By: by(role.Placer), Effects: do(lookAtOnce)},
	{From: join(unsigned, in(OnHold)), Event: "cancel", To: Cancelled, By: by(role.Placer), Effects: do(sealPartialRead, endCase)},

	{From: join(unsigned, in(OnHold, Final, Amending)), Event: "reprioritise", To: Same, By: by(role.Placer), Guards: check(priorityGiven), Effects: do(changePriority)},

	// The order means another patient or study than is read: the coordinator decides.
	{From: atWork, Event: "correct", To: OnHold, By: by(role.System), Effects: do(rememberState, noteCorrection)},
	{From: betweenTwo, Event: "correct", To: OnHold, By: by(role.System), Guards: check(firstHasSealed), Effects: do(rememberState, noteCorrection)},
	{From: in(OnHold), Event: "correct", To: Same, By: by(role.System), Effects: do(noteCorrection)},
	{From: join(betweenTwo, in(OnHold), unreported), Event: "doubt-findings", To: Same, By: by(role.System), Effects: do(doubtOpenFindings)},
	{From: in(OnHold), Event: "continue-reading", To: Same, By: by(role.Coordinator), When: heldBesides, Guards: check(reasonGiven, sameImages), Effects: do(takeCorrection)},
	{From: in(OnHold), Event: "continue-reading", To: Resumed, By: by(role.Coordinator), Guards: check(correctionIsPending, reasonGiven, sameImages), Effects: do(takeCorrection, lookAtOnce)},
	{From: in(OnHold), Event: "restart-reading", To: Same, By: by(role.Coordinator), When: heldBesides, Guards: check(reasonGiven), Effects: do(sealPartialRead, startOver, resumeAtIntake)},
	{From: in(OnHold), Event: "restart-reading", To: Received, By: by(role.Coordinator), Guards: check(correctionIsPending, reasonGiven), Effects: do(sealPartialRead, startOver)},

	// The records of two patients were merged, or parted again: the case follows.
	{From: everyState, Event: "follow-patient", To: Same, By: by(role.System), Effects: do(followPatient)},

	// An error is declared, never deleted; once signed it takes two directors.
	{From: join(unsigned, in(OnHold)), Event: "declare-error", To: EnteredInError, By: by(role.Director), Guards: check(reasonGiven, noPressingFinding), Effects: do(sealPartialRead, withdrawMatters, endCase)},
	{From: join(signed, in(Amending)), Event: "declare-error", To: EnteredInError, By: by(role.Director), When: proposedByAnother, Guards: check(reasonGiven, noPressingFinding), Effects: do(signError, withdrawMatters, endCase)},
	{From: join(signed, in(Amending)), Event: "declare-error", To: Same, By: by(role.Director), Guards: check(reasonGiven, notProposedYet), Effects: do(proposeError)},

	// The clock: a breach is an event, not a state.
	{From: anyTime, Event: "warn", To: Same, By: by(role.System), Effects: do(tellFirst)},
	{From: anyTime, Event: "breach", To: Same, By: by(role.System), Effects: do(tellFirst)},
	{From: anyTime, Event: "escalate", To: Same, By: by(role.System), Effects: do(tellNext)},
	{From: anyTime, Event: "heed", To: Same, By: by(role.Reader, role.Adjudicator, role.Supervisor, role.Coordinator, role.Director), Guards: check(escalationToHeed), Effects: do(heedEscalation)},
}

// The words of the table.
func in(states ...State) []State    { return states }
func join(lists ...[]State) []State { return slices.Concat(lists...) }
func and(roles []role.Role, more ...role.Role) []role.Role {
	return slices.Concat(roles, more)
}
func by(roles ...role.Role) []role.Role { return roles }
func check(guards ...Guard) []Guard     { return guards }
func do(effects ...Effect) []Effect     { return effects }
