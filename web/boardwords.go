package web

import (
	"maps"
	"slices"
	"time"

	"github.com/overread/overread/workflow"
)

// The words of what a board and a case file tell by codes. Each is a text of the
// catalogues (textsOfTables).

// boardWords are the tables, by what a template asks for: {{words "party" .WaitsFor}}.
var boardWords = map[string]map[string]string{
	"in phrases": wordsInPhrases,
	"trail":      trailWords, "thing": thingWords, // trail.go
	"reader part": {"reader": "reader", "trainee": "trainee (a supervisor signs)", "locum": "locum (a supervisor signs)", "adjudicator": "adjudicator", "supervisor": "supervisor"},
	"short day":   {"monday": "Mon", "tuesday": "Tue", "wednesday": "Wed", "thursday": "Thu", "friday": "Fri", "saturday": "Sat", "sunday": "Sun"},
	"weekday":     {"monday": "Monday", "tuesday": "Tuesday", "wednesday": "Wednesday", "thursday": "Thursday", "friday": "Friday", "saturday": "Saturday", "sunday": "Sunday"},
	"party": {
		"placer": "the ordering hospital", "coordinator": "a coordinator", "reader": "a reader", "adjudicator": "a third reader",
		"supervisor": "a supervisor", "clinician": "the clinician", "system": "a system", "filler": "a coordinator",
	},
	"sort": {string(workflow.ByPressing): "Most pressing first", string(workflow.ByDue): "Next deadline first", string(workflow.ByNewest): "Newest first"},
	"reason": {
		"doubt": "doubtful", "information-missing": "information is missing", "images-missing": "images are missing", "nobody-eligible": "nobody is eligible",
		"held": "held by the ordering hospital", workflow.OrderCorrected: "the order was corrected while it was read", workflow.StudyLarger: "more images than announced",
		"patient-mismatch": "different patients", "modality-mismatch": "different modality", "body-site-mismatch": "different body part", "laterality-mismatch": "different side",
		"duplicate-case": "possible duplicate", "priors-doubtful": "priors are doubtful", "out-of-scope": "out of scope", "requester-not-authorised": "requester may not order",
		"consent-denied": "consent is denied", workflow.ConsentDoubtful: "consent is doubtful", "consent-missing": "consent is missing", "study-not-named": "no study is named",
		"question-missing": "clinical question is missing", "history-missing": "clinical history is missing", "requester-missing": "requester is missing",
		workflow.OriginalMissing: "original report is missing", "original-report-not-final": "original report is not final", workflow.OriginalReaderUnnamed: "first reader is not named",
		"study-missing": "study is missing", "study-unavailable": "images cannot be had", "study-incomplete": "study is incomplete",
		"pacs-patient-mismatch": "images of a different patient", "pacs-modality-mismatch": "images of a different modality", "pacs-body-part-mismatch": "images of a different body part",
		"pacs-laterality-mismatch": "images of a different side", "pacs-study-ambiguous": "several studies of this accession number", "pacs-unreachable": "PACS does not answer",
		"pacs-refused": "PACS refuses us", "pacs-unreadable": "PACS answers wrongly", "pacs-study-missing": "study is not in the PACS", "pacs-study-incomplete": "images are still missing in the PACS",
		"pacs-study-growing": "images are still arriving",
		"finding-emergent":   "an emergent finding is not acknowledged", "finding-urgent": "an urgent finding is not acknowledged", "finding-non-critical": "a non-critical finding is not acknowledged",
		"question": "a question is not answered", "reverify": "the report needs another look",
	},
	"clock": { //nolint:gosec // a reader's credential is no secret
		"intake": "Intake", "offer": "Offer", "assign": "Assignment", "final": "Report", "gross": "Whole order", "acknowledge": "Acknowledgement", "adjudicate": "Decision of a third reader",
		"finding-emergent": "Emergent finding acknowledged", "finding-urgent": "Urgent finding acknowledged", "finding-non-critical": "Non-critical finding acknowledged",
		"question": "Question answered", "reverify": "Changed study looked at", "first-reader": "Who read first is in doubt: ask the hospital when the other report was made",
		"credential": "The reader's credential",
	},
	"page": { //nolint:gosec // what somebody is told of; a reader's credential is no secret
		"intake": "The intake is not finished.", "offer": "The offer was not answered.", "assign": "Nobody has taken the case.", "final": "The report is not signed.", "gross": "The order is not finished.",
		"acknowledge": "The clinician has not read the report.", "adjudicate": "The third reader has not decided.", "finding-emergent": "An emergent finding is not acknowledged.",
		"finding-urgent": "An urgent finding is not acknowledged.", "finding-non-critical": "A non-critical finding is not acknowledged.", "question": "A question about the report is not answered.",
		"reverify": "The report needs another look.", "credential": "A licence, privilege or credentialing of who has the case ends.",
	},
	"way":      {string(workflow.ByPage): "on the worklist", string(workflow.ByNotification): "notification to the EHR", string(workflow.ByMail): "by mail"},
	"part":     {"offered to": "Offered to", "reader": "Reader", "second reader": "Second reader", "third reader": "Third reader", "supervisor": "Supervisor"},
	"matter":   {"finding": "Finding", "question": "Question", "verification": "Changed since the signature"},
	"category": {"emergent": "emergent", "urgent": "urgent", "non-critical": "non-critical"},
	"settled":  {"acknowledged": "acknowledged", "answered": "answered", "valid": "the report holds", "amended": "the report was amended", "withdrawn": "withdrawn"},
	"request":  {"active": "asked for, open", "on-hold": "on hold", "completed": "it came", "revoked": "no longer needed"},
	"protocol": {"blinded": "blinded", "unblinded": "not blinded"},
	"sex":      {"female": "female", "male": "male", "other": "other", "unknown": "unknown"},
	"delivery": {"queued": "waits to be sent", "parked": "stopped: refused for good", "done": "arrived", "withdrawn": "not to be sent any more"},
	"parcel":   {"report": "Report, version %d", "preliminary": "Preliminary report", "message": "Message"},
	"outcome":  {"delivered": "arrived", "retry": "again later", "parked": "refused for good", "released": "not known"},
	"how":      {"arrived": "It is there", "given-up": "It is not to be sent any more"},
	"answer": { //nolint:gosec // answers of an EHR in words, no credentials
		"acknowledged": "taken", "acknowledged-people-named": "taken; its people are named, and not linked there", "refused-ambiguous": "refused: it has several of what is to be one", "timeout": "no answer in time", "connection-cut": "connection was cut", "unreachable": "not reachable", "name-not-found": "name not found",
		"tls-failed": "no secure connection", "address-not-allowed": "address is not allowed here", "token-refused": "our token is refused", "forbidden": "forbidden to us",
		"not-found": "address does not exist there", "proxy-refused": "a proxy refuses", "misdirected": "wrong server", "conflict": "conflict there", "precondition-failed": "changed there meanwhile",
		"locked": "locked there", "too-early": "too early", "rate-limited": "too many at once", "unavailable": "out of order there", "refused-invalid": "refused as invalid",
		"refused-method": "method not allowed there", "refused-media-type": "format not accepted there", "refused-gone": "gone there", "refused-too-large": "too large for it",
		"refused-by-rule": "refused by a rule there", "refused": "refused", "answer-not-understood": "answer not understood", "redirected": "sent elsewhere", "server-error": "error there",
		"lease-expired": "our sender stopped before it knew", "shutdown": "our sender stopped before it knew", "destination-misconfigured": "the destination is set up wrongly",
	},
	"element": {
		"record": "Record", "identifier": "Identifiers", "name": "Name", "birthDate": "Born", "sex": "Sex", "modality": "Modality", "bodySite": "Body part", "laterality": "Side",
		"exam": "Exam", "description": "Description", "started": "Made on", "studyInstanceUid": "Study UID", "accessionNumber": "Accession number", "reportedStudy": "Study of the report",
		"requester": "Requester", "requesterName": "Requester's name", "consent": "Consent", "consentDate": "Date of the consent", "consentStatus": "State of the consent", "scope": "Scope",
		"firstReader": "First reader", "firstReaderName": "First reader's name", "firstReaderOrganization": "First reader's house", "case": "Case", "state": "State", "order": "Order", "question": "Question",
		"ordered": "Ordered on", "reason": "Reason, coded", "code": "Exam, coded",
	},
	"source": {
		"order": "Order", "patient": "Patient record", "study": "Study", "original": "Original report", "pacs": "PACS", "prior": "Prior", "consent": "Consent",
		"other-case": "Other case", "policy": "Policy", "read": "Was read",
	},
	"agreement": {"equal": "agree", "differs": "differ", "unknown": "not comparable"},
	"role": {
		"placer": "ordering hospital", "reader": "reader", "adjudicator": "adjudicator", "supervisor": "supervisor", "coordinator": "coordinator", "auditor": "auditor",
		"director": "medical director", "quality": "quality", "admin": "admin", "system": "by the program",
	},
	"level":      {"none": "agreement", "minor": "minor difference", "major": "major difference", "no-comparison": "no comparison"},
	"told":       {"difference": "the difference", "peer-learning": "the difference, and what is to be learnt", "finding": "the finding of a second read for quality"},
	"conclusion": {"stands": "The grade stands", "to-be-amended": "The report is to be amended", "learning": "Something to learn, nothing to change"},
	"right":      {"first": "the first reading", "second": "the second reading", "both": "both", "neither": "neither of the two", "undetermined": "cannot be told"},
	"truth": {
		"pathology": "by pathology", "surgery": "by surgery", "follow-up-imaging": "by a later examination", "laboratory": "by the laboratory",
		"clinical-course": "by the clinical course", "other": "by something else",
	},
	"tell":    {"reader": "the reader", "coordinator": "coordinators", "director": "medical directors"},
	"duty":    {"read": "to read", "adjudicate": "to decide as third reader", "supervise": "to countersign"},
	"breadth": {string(workflow.ToRelated): "readers of related subspecialties", string(workflow.ToGeneral): "every reader of the modality and age"},
	"medium":  {"phone": "by phone", "in-person": "in person", "secure-message": "by secure message"},
	"field": {
		"reason": "Reason", "note": "Note", "to": "How far", "finding": "Which finding", "number": "Which one", "recipient": "Whom (name)", "role": "Function", "medium": "How",
		"reached": "Somebody was reached", "readBack": "Read back, and it was right", "reader": "Reader",
	},
}

// deedWords are the operations that coordinators and directors have, each with what
// its button says and what it does.
var deedWords = map[string]struct {
	Button, Does string
	Danger       bool // it ends something
}{
	"resolve":              {"Settle the doubt", "The intake checks run again without it.", false},
	"proceed":              {"Go on without it", "The case goes on without what is missing.", false},
	"give-up":              {"Give up", "The case ends: it cannot be done. The ordering hospital is told why.", true},
	"reject":               {"Reject the order", "The order is refused. The ordering hospital is told why.", true},
	"offer":                {"Offer", "The reader is asked, until the offer expires.", false},
	"reassign":             {"Give to another", "The case is taken from whoever has it. What was written is sealed and kept.", false},
	"broaden":              {"Let more readers read it", "The report says so, with the reason.", false},
	"withdraw-offer":       {"Take the offer back", "The case returns to the pool.", false},
	"rematch":              {"Look for readers again", "The rules of matching are asked anew.", false},
	"heed":                 {"Take note of the escalation", "Nobody further is told, but of an emergent or urgent finding: of that somebody is told until it is acknowledged.", false},
	"redeliver":            {"Send again now", "What waits or was refused is sent at once.", false},
	"settle-delivery":      {"Settle by hand", "A person says what became of a delivery. It is recorded.", false},
	"release":              {"Back to the pool", "The case is taken from its reader. What was written is sealed and kept.", false},
	"refer":                {"Let a third reader decide", "The two readers have not come to one text.", false},
	"forgo-second":         {"Do without the second reading", "The record says so.", true},
	"forgo-third":          {"Do without a third reader", "The report says so, with the reason.", true},
	"communicate":          {"Record that somebody was told", "What was read back by word of mouth is acknowledged, and nobody further is told of it.", false},
	"withdraw-finding":     {"Take the finding back", "Whoever was told is told of it.", true},
	"withdraw-question":    {"Take the question back", "It is not answered any more.", true},
	"dismiss-verification": {"Nobody need look at it again", "The report stays as it is. A doubt of its independence is dismissed by itself: what else is open stays open.", false},
	"withdraw-amendment":   {"Drop the amendment", "The signed version stays in force.", true},
	"continue-reading":     {"Let the reading go on", "The images are those that were read, and the patient is theirs.", false},
	"restart-reading":      {"Begin the reading anew", "The intake checks run again. What was written is sealed and kept.", true},
	"declare-error":        {"Declare an error", "The case was entered in error. Once the report is signed, another director must confirm.", true},
}

// eventWords tell the history of a case.
var eventWords = map[string]string{
	"open": "The order came in", "pass-checks": "The intake checks found nothing", "doubt": "The intake checks are in doubt", "miss-information": "Information is missing and was asked for",
	"miss-images": "Images are missing and were asked for", "recheck": "Something changed: the intake checks run again", "resolve": "The doubt was settled", "proceed": "It goes on without what is missing",
	"give-up": "It was given up", "reject": "The order was rejected", "offer": "Offered", "find-nobody": "Nobody is eligible", "rematch": "Readers are looked for again", "claim": "Claimed",
	"decline": "The offer was declined", "expire-offer": "The offer expired", "reassign": "Given to another reader", "broaden": "More readers may read it", "withdraw-offer": "The offer was taken back",
	"start": "The reading began", "draft": "A draft was saved", "lock": "The opinion was sealed", "release": "Given back to the pool", "original-arrives": "The original report arrived",
	"original-changes": "The original report changed", "question-changes": "The question of the order changed", "reveal": "The original report was shown", "grade": "Compared and graded", "forgo-second": "The second reading was forgone", "propose": "A common text was proposed",
	"concur": "Both readers agree on a text", "refer": "A third reader is to decide", "arbitrate": "A third reader has decided", "adjudicate": "A third reader has decided", "find-no-third": "No third reader was found",
	"find-third": "A third reader may be had again", "forgo-third": "It goes on without a third reader", "sign": "Signed", "return": "Returned by the supervisor", "revise": "Revised after the supervisor returned it",
	"acknowledge": "The clinician has read the report", "amend": "An amendment was opened", "withdraw-amendment": "The amendment was dropped", "conclude-sample": "The second read for quality was concluded",
	"sample-alert": "A second read for quality found something urgent", "sample-finding": "A second read for quality opened an amendment", "raise-finding": "An actionable finding was raised",
	"communicate": "Somebody was told of a finding, or tried", "acknowledge-finding": "The finding was acknowledged", "withdraw-finding": "The finding was taken back", "ask": "A question was asked",
	"correct-question": "The question was worded anew", "answer": "The question was answered", "withdraw-question": "The question was taken back", "study-grows": "More images arrived while it was read",
	"first-reader-named": "Who read first was named after the signature", "first-reader-unclear": "A report may be of who read the case, and does not say when it was made", "first-reader-clear": "It is clear who read first", "study-changed": "The study changed after the signature", "verify": "The report holds for the changed study", "dismiss-verification": "It was found that it needs no look", "hold": "Put on hold", "resume": "Resumed",
	"cancel": "Cancelled by the ordering hospital", "reprioritise": "The priority was changed", "correct": "The order was corrected while it was read", "doubt-findings": "The order was corrected: what was found may be another patient's", "continue-reading": "The reading goes on after the correction",
	"restart-reading": "The reading begins anew after the correction", "follow-patient": "The records of the patient were merged or parted", "declare-error": "Declared an error, or proposed to be one",
	"warn": "Time is running out", "breach": "The time limit has passed", "escalate": "The next one was told", "heed": "Note was taken of the escalation",
}

// textsOfBoard are all of them.
func textsOfBoard() (all []string) {
	for _, table := range boardWords {
		all = append(all, slices.Collect(maps.Values(table))...)
	}
	all = append(all, slices.Collect(maps.Values(eventWords))...)
	for _, choice := range deliveryChoices {
		all = append(all, choice.Words)
	}
	for _, choice := range escalationChoices {
		all = append(all, choice.Words)
	}
	for _, g := range groupsOfStates {
		all = append(all, g.Words)
	}
	for _, d := range deedWords {
		all = append(all, d.Button, d.Does)
	}
	return all
}

// words are those of a code in a table; a code that no table has is said as it is.
func (c *catalogue) words(table, code string) string {
	if text, ok := boardWords[table][code]; ok {
		return c.say(text)
	}
	if text, ok := adminWords[table][code]; ok {
		return c.say(text)
	}
	return code
}

// span is a length of time in two of its largest units: "2 d 4 h".
func (c *catalogue) span(a any, until ...time.Time) string {
	var d time.Duration
	switch v := a.(type) {
	case time.Duration:
		d = v
	case *time.Duration:
		d = v.Round(time.Minute)
	case time.Time:
		d = until[0].Sub(v).Abs()
	case *time.Time:
		d = until[0].Sub(*v).Abs()
	}
	d = max(d, 0)
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0:
		return c.say("%d d %d h", days, hours)
	case hours > 0:
		return c.say("%d h %d min", hours, minutes)
	}
	return c.say("%d min", minutes)
}
