package fhir

import (
	"context"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// operation is one thing that somebody may do with a case: POST
// /fhir/Task/{id}/${name} with a Parameters resource. It fires the event of
// the same name (workflow/transitions.go, which also says who may and when)
// and answers with the Task.
type operation struct {
	Name  string
	Does  string
	Takes []parameter
	reads bool                                                                                                  // it says that a clinician has read: whom it names is completed (readby.go)
	run   func(s *Server, ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, r request) error // nil: fires the event
}

// parameter is one row of an operation's input. Parts are read after the
// parameter itself.
type parameter struct {
	Name  string
	Type  string // FHIR type: the value is in value{Type}; "" for one that has parts
	Min   int
	Many  bool
	Doc   string
	Codes []string // of a code: those allowed; nil for any
	Parts []parameter
	Set   func(r *request, v *Node)
}

// request is what an operation asks for, as far as it is read.
type request struct {
	workflow.Input
	reader string          // offer, reassign: the Practitioner's reference
	saved  *workflow.Draft // draft: what was saved, for the answer
	agrees *bool           // grade, adjudicate, sign: what the parameter agreement says, nil where it is not given
	form   *Node           // the QuestionnaireResponse that answers the template's form
	readBy *Node           // acknowledge: the Reference to who has read it
	read   *Node           // acknowledge: the Reference to the version that was read
}

// operations is the table of operations. The OperationDefinitions, the rows of
// the CapabilityStatement and the routes are made from it.
var operations = []operation{
	// The coordinator: what the intake checks cannot decide.
	{Name: "resolve", Does: "Settles a doubt of the intake checks (identity, laterality, possible duplicate) and runs them again without it.", Takes: list(reason(1))},
	{Name: "proceed", Does: "Goes on without what is missing: without original report the case is read as \"no comparison possible\".", Takes: list(reason(0))},
	{Name: "give-up", Does: "Ends a case that cannot be done: the images never came, or nobody is eligible.", Takes: list(reason(1))},
	{Name: "reject", Does: "Refuses the order: wrong patient, duplicate, out of scope, no consent, jurisdiction.", Takes: list(reason(1))},
	{Name: "offer", Does: "Offers the case to one eligible reader, until the offer expires.", Takes: list(offeredTo)},
	{Name: "reassign", Does: "Takes the case from whoever has it, or its offer, and offers it to another eligible reader. What the former reader has written is sealed and kept, and the next one never sees it before sealing their own. Of a report that is being amended: gives the amendment to a supervisor or an adjudicator who stands in for who signed.", Takes: list(offeredTo, reason(1))},
	{Name: "broaden", Does: "Lets more read the case than should: readers of related subspecialties, or every reader of the modality and the patient's age. Of a case that waits for a third reader, who may be that. The Task says so, and the report if one of them reads it, with the reason as it is given here.", Takes: list(breadth, reason(1))},
	{Name: "withdraw-offer", Does: "Takes an offer back; the case returns to the pool."},
	{Name: "rematch", Does: "Looks again for an eligible reader."},
	{Name: "heed", Does: "Takes note of what was escalated; nobody further is told, but of an emergent or urgent finding, of which somebody is told until it is acknowledged. Readers of what they were told, coordinators and directors of everything."},
	{Name: "redeliver", Does: "Sends parked deliveries of the report again, after the EHR has been mended.", run: (*Server).redeliver},

	// The reader: an independent reading first, the comparison after it.
	{Name: "claim", Does: "Takes the case, from the pool or an offer; or, as the third reader, one that waits for a decision between two.", Takes: list(independent)},
	{Name: "decline", Does: "Declines an offer; the case goes to somebody else.", Takes: list(declineCode, reason(0))},
	{Name: "start", Does: "Begins the first pass."},
	{Name: "draft", Does: "Saves the opinion as it stands, as the next version of the draft; what is the same as the version before makes none. It is no event of the case, and may be called every few seconds.", Takes: slices.Concat(list(follows), opinion)},
	{Name: "lock", Does: "Seals the independent opinion, with its hash and time. Without parameters it is the draft as it stands. Where two are to read, the case then goes to the second.", Takes: slices.Concat(list(follows), opinion)},
	{Name: "release", Does: "Gives the case back to the pool; what was written is sealed and kept.", Takes: list(reason(1))},
	{Name: "reveal", Does: "Shows the original report. Audited."},
	{Name: "grade", Does: "Grades what differs between the two readings. Quality work product: of it the report has only the difference in words, its level (agreement, minor or major difference), the change of management and the urgency.", Takes: grade},
	{Name: "adjudicate", Does: "A third reader decides between the reader and the original report: the grade, and whose opinion stands (decision: first is the reader's, own the one that is locked or given here).", Takes: slices.Concat(list(decision(0)), grade, opinion)},

	// Two readers, who have both locked: they come to one text, or a third decides.
	{Name: "propose", Does: "Puts a text on the table that both readers may stand by. Every proposal is kept; the last of each reader counts.", Takes: opinion},
	{Name: "concur", Does: "Stands by the other reader's text: what they proposed last, or their own opinion. Then it is the opinion of both, and its author goes on to the comparison.", Takes: list(textAgreed)},
	{Name: "refer", Does: "The two readers differ: a third decides.", Takes: list(reason(1))},
	{Name: "arbitrate", Does: "A third reader decides between two: first, second (in the order in which they were locked), or an opinion of their own.", Takes: slices.Concat(list(decision(1)), opinion)},
	{Name: "forgo-second", Does: "The coordinator does without the second reading; the record says so.", Takes: list(reason(1))},

	{Name: "forgo-third", Does: "A director does without a third reader, whom there is not: the reader goes on to the signature (of two, the more pressing opinion stands), and the report says so with the reason as it is given here.", Takes: list(reason(1))},

	{Name: "sign", Does: "Signs the report; then it takes no parameters, save that a supervisor may change sections of the opinion, which is recorded, and the grade: where findings, impression or actionable change, the grade must be given too, or gradeStands. Or signs an amendment of it: kind, reason and text, with the sections of the opinion that change or are removed (the others stay) and a new grade where the comparison changes. Of each finding that came from another text, and of which the one that is signed does not say the same, finding says whether it stands. The report is rendered, stored and queued for the EHR in this moment.", Takes: slices.Concat(amendment, list(amendmentOf, amendmentRemoves, amendmentVerifies), opinion, grade, gradeAtSigning, list(outcomeOfFinding)), run: (*Server).sign},
	{Name: "return", Does: "A supervisor returns a report to its reader without signing it; the reader may revise the text.", Takes: list(reason(1))},
	{Name: "revise", Does: "The reader changes the text that a supervisor has returned: the sections that are given, the others stay. What was sealed before is kept. Where findings, impression or actionable change, it is graded again ($grade) before it is signed.", Takes: opinion},
	{Name: "amend", Does: "Opens an amendment of a signed report; the signed version stays in force until the amendment is signed. A supervisor or an adjudicator so takes over the amendment of somebody who cannot sign it (no longer a reader here, without a licence, absent).", Takes: list(reason(1))},
	{Name: "withdraw-amendment", Does: "Drops the amendment; the signed version stays. Where a finding or a changed study is the reason for it, only a physician may: who signed, who stands in, or a director.", Takes: list(reason(1))},

	// Findings that cannot wait, questions, and a study that changed after the signature (docs/after-signing.md).
	{Name: "raise-finding", Does: "Puts an actionable finding on record, before the signature too; somebody must be told of it in time. After the signature it is also an addendum, signed in this moment. The same again is the same finding.", Takes: raised, run: (*Server).raiseFinding},
	{Name: "communicate", Does: "Records whom somebody told, or tried to tell, of a finding. Where the signatory says so of a signed report, it becomes an addendum. The same again within two minutes, or with the same at, is the same attempt.", Takes: spokenOf, run: (*Server).communicate},
	{Name: "withdraw-finding", Does: "Takes a finding back, also one that was told and acknowledged: whoever was told is told of it.", Takes: list(numbered("finding"), reason(1))},
	{Name: "answer", Does: "Answers a question about the report: the answer is signed as an addendum and sent.", Takes: answered, run: (*Server).answerQuestion},
	{Name: "verify", Does: "The study has changed since the signature, and the report holds: signed as an addendum.", Takes: list(parameter{Name: "note", Type: "string", Doc: "What else is to be said of it.", Set: func(r *request, v *Node) { r.Reason = v.Text() }}), run: (*Server).verify},
	{Name: "dismiss-verification", Does: "The report need not be looked at again, for what the verification is open for. A coordinator says so of more images; whether the report is independent, of the right side, or to be compared with a first report that came later, a director says who had no part in it. That it is independent is dismissed by itself: what else is open stays open. The same again within two minutes is the same.", Takes: list(reason(1)), run: (*Server).dismissVerification},

	// The placer.
	{Name: "acknowledge", reads: true, Does: "The clinician has read a version of the report, and the findings that it tells of but for emergent ones. Of an older version than the one in force that is kept, and the one in force waits to be read as before: the Task (output unread-version) and a Communication say so.", Takes: slices.Concat(list(versionRead), readBy), run: (*Server).acknowledge},
	{Name: "acknowledge-finding", reads: true, Does: "A clinician has taken note of an actionable finding.", Takes: slices.Concat(list(numbered("finding")), readBy)},
	{Name: "ask", Does: "Asks who signed the report a question. The same again is the same question.", Takes: questionAsked, run: (*Server).askQuestion},
	{Name: "correct-question", Does: "Words an open question anew. Its clock runs on, and what was asked before is kept with it. The EHR that asked by a Communication updates that.", Takes: append(list(numbered("number")), questionAsked[0])},
	{Name: "withdraw-question", Does: "Takes a question back.", Takes: list(numbered("number"), reason(1))},
	{Name: "hold", Does: "Suspends the case; its clocks stop.", Takes: list(reason(0))},
	{Name: "resume", Does: "Goes on after a hold."},
	{Name: "cancel", Does: "Withdraws the order; refused once the report is signed.", Takes: list(reason(0))},

	// What became of it, and what is to be learnt: quality work product, none of it in the chart.
	{Name: "judge-management", Does: "The clinician says what the second opinion changed for the patient. Kept beside what the reader said it may change; the last word counts. Quality work product.", Takes: judgement},
	{Name: "outcome", Does: "What showed later who was right: pathology, surgery, follow-up. The last word counts; statistics as of a day before stay as they were. Quality work product.", Takes: truth},
	{Name: "add-learning-point", Does: "What others may learn from a signed case, without naming anybody. For who had a part in it, and the quality role. Quality work product.", Takes: learningPoint},
	{Name: "withdraw-learning-point", Does: "Takes a learning point back: it is in no feedback and no pack any more.", Takes: list(pointNumber)},
	{Name: "open-review", Does: "The quality role looks into a case. A reader of the original who disagrees with what they were told opens one too.", Takes: list(reason(1))},
	{Name: "close-review", Does: "Concludes a review. It changes neither grade nor report: who signed may amend them.", Takes: reviewConclusion},

	{Name: "reprioritise", Does: "Gives the case another priority, where its order is not kept here (else write ServiceRequest.priority). The clocks are what they would be had it been so from the beginning.", Takes: list(newPriority), run: (*Server).reprioritise},

	// The coordinator: the placer has corrected patient or study of an order that is being read.
	{Name: "continue-reading", Does: "Lets the reading go on after a correction of the order: the images are those that were read, and the patient is theirs.", Takes: list(reason(1)), run: (*Server).continueReading},
	{Name: "restart-reading", Does: "Has the reading begin anew after a correction of the order: the intake checks run, and what was written is sealed and kept.", Takes: list(reason(1))},

	// The medical director.
	{Name: "declare-error", Does: "Declares the case entered in error. Once the report is signed it takes two directors: the first proposes, another confirms.", Takes: list(reason(1))},
}

var independent = parameter{Name: "independent", Type: "boolean", Min: 1,
	Doc: "The reader attests: I was not part of the first reading and have not seen its report.",
	Set: func(r *request, v *Node) { r.Independent = v.Text() == "true" }}

var offeredTo = parameter{Name: "reader", Type: "Reference", Min: 1,
	Doc: "Practitioner/{id} of the reader.",
	Set: func(r *request, v *Node) { r.reader = v.Text("reference") }}

var declineCode = parameter{Name: "code", Type: "code", Codes: workflow.DeclineCodes,
	Doc: "Why. Who declines for a conflict can have no part in the case any more.",
	Set: func(r *request, v *Node) { r.Code = v.Text() }}

var breadth = parameter{Name: "to", Type: "code", Min: 1, Codes: []string{string(workflow.ToRelated), string(workflow.ToGeneral)},
	Doc: "How far.",
	Set: func(r *request, v *Node) { r.Breadth = workflow.Breadth(v.Text()) }}

var newPriority = parameter{Name: "priority", Type: "code", Min: 1, Codes: workflow.Priorities, Doc: "FHIR request-priority.",
	Set: func(r *request, v *Node) { r.Priority = v.Text() }}

func reason(least int) parameter {
	return parameter{Name: "reason", Type: "string", Min: least,
		Doc: "Why, for whoever asks later. The reason of an end or a hold is shown to the placer.",
		Set: func(r *request, v *Node) { r.Reason = v.Text() }}
}

// follows names the version of the draft on which the text was written.
var follows = parameter{Name: "follows", Type: "integer",
	Doc: "The number of the draft that this follows, as the last $draft answered it (0: none). Where there is a draft already it is needed: another window may have saved since, and is not overwritten (409).",
	Set: func(r *request, v *Node) {
		if no, err := strconv.Atoi(v.Text()); err == nil {
			r.DraftNo = &no
		}
	}}

var textAgreed = parameter{Name: "sha256", Type: "string", Min: 1,
	Doc: "Of the text, as GET Task/{id}/$readings tells it: so that nobody agrees to what they have not seen.",
	Set: func(r *request, v *Node) { r.SHA256 = v.Text() }}

func decision(least int) parameter {
	return parameter{Name: "decision", Type: "code", Min: least, Codes: []string{"first", "second", "own"},
		Doc: "Whose opinion stands.",
		Set: func(r *request, v *Node) { r.Decision = v.Text() }}
}

func list(rows ...parameter) []parameter { return rows }

// opinion is what the reader makes of the images, in plain text.
var opinion = []parameter{
	said("technique", "How the images were made, as far as it matters.", func(o *workflow.Opinion) *string { return &o.Technique }),
	said("comparison", "Prior examinations looked at.", func(o *workflow.Opinion) *string { return &o.Comparison }),
	said("findings", "What is seen. Needed to lock.", func(o *workflow.Opinion) *string { return &o.Findings }),
	said("impression", "What it means. Needed to lock.", func(o *workflow.Opinion) *string { return &o.Impression }),
	said("recommendation", "What to do next.", func(o *workflow.Opinion) *string { return &o.Recommendation }),
	{Name: "actionable", Type: "code", Codes: workflow.Words("actionable"),
		Doc: "How soon somebody must act on what is seen (ACR categories), whether or not the first reading saw it too.",
		Set: func(r *request, v *Node) { r.opinion().Actionable = v.Text() }},
	{Name: "answers", Type: "QuestionnaireResponse", Doc: "Findings by the sections of the template: the answers to the Questionnaire of GET Task/{id}/$template. The findings in words come after them.",
		Set: func(r *request, v *Node) { r.opinion(); r.form = v }},
	{Name: "conclusion", Type: "Coding", Many: true, Doc: "A coded conclusion; DiagnosticReport.conclusionCode.",
		Set: func(r *request, v *Node) {
			o := r.opinion()
			o.Conclusions = append(o.Conclusions, workflow.Coding{System: v.Text("system"), Code: v.Text("code"), Display: v.Text("display")})
		}},
}

func said(name, doc string, field func(*workflow.Opinion) *string) parameter {
	return parameter{Name: name, Type: "string", Doc: doc,
		Set: func(r *request, v *Node) { *field(r.opinion()) = v.Text() }}
}

func (r *request) opinion() *workflow.Opinion {
	if r.Opinion == nil {
		r.Opinion = new(workflow.Opinion)
	}
	return r.Opinion
}

// amendment is what a signature on an amendment needs, and no other.
var amendment = []parameter{
	{Name: "kind", Type: "code", Codes: []string{"addition", "correction", "amendment"},
		Doc: "addition: new content, the earlier text stands (appended). correction: an error is mended (corrected). amendment: any other change (amended).",
		Set: func(r *request, v *Node) { r.amendment().Kind = v.Text() }},
	{Name: "reason", Type: "string", Doc: "Why the report is changed.",
		Set: func(r *request, v *Node) { r.amendment().Reason = v.Text(); r.Reason = v.Text() }},
	{Name: "text", Type: "string", Doc: "The addendum itself, or what was changed.",
		Set: func(r *request, v *Node) { r.amendment().Text = v.Text() }},
}

// amendmentRemoves takes sections back: those that are not named stay.
var amendmentRemoves = parameter{Name: "remove", Type: "code", Many: true, Codes: workflow.Removable(),
	Doc: "A section of the opinion that is taken back.",
	Set: func(r *request, v *Node) { a := r.amendment(); a.Remove = append(a.Remove, v.Text()) }}

func (r *request) amendment() *workflow.Amendment {
	if r.Amendment == nil {
		r.Amendment = new(workflow.Amendment)
	}
	return r.Amendment
}

// grade is how far the two readings differ (workflow.Grade). No difference at all is
// said by agreement: a call or a form with nothing in it is no grade (unsaid).
var grade = []parameter{
	{Name: "agreement", Type: "boolean", Doc: "true: the two readings agree. It is needed where nothing is said of how they differ: an empty call is refused, and is no agreement. false says that they differ, or that no comparison is possible, and then one of these is given.",
		Set: func(r *request, v *Node) {
			agrees := v.Text() == "true"
			if r.agrees = &agrees; agrees {
				r.grade()
			}
		}},
	{Name: "discrepancy", Many: true, Doc: "One point in which the readings differ.",
		Parts: discrepancy,
		Set: func(r *request, _ *Node) {
			g := r.grade()
			g.Discrepancies = append(g.Discrepancies, workflow.Discrepancy{})
		}},
	{Name: "difference", Type: "string", Doc: "For the chart: what differs and why it matters, in plain words and without blame. Needed where there is a discrepancy of any significance.",
		Set: func(r *request, v *Node) { r.grade().Difference = v.Text() }},
	{Name: "noComparisonReason", Type: "code", Codes: workflow.Words("noComparisonReason"), Doc: "Why no comparison is possible; then there are no discrepancies, and the case is in no denominator. Never in the report.",
		Set: func(r *request, v *Node) { r.grade().NoComparisonReason = v.Text() }},
	{Name: "noComparison", Type: "string", Doc: "The same in words; needed where the reason is other. Never in the report.",
		Set: func(r *request, v *Node) { r.grade().NoComparison = v.Text() }},
	{Name: "goodCall", Type: "boolean", Doc: "The original saw what is easily missed. Never in the report.",
		Set: func(r *request, v *Node) { r.grade().GoodCall = v.Text() == "true" }},
	{Name: "comment", Type: "string", Doc: "For quality work. Never in the report.",
		Set: func(r *request, v *Node) { r.grade().Comment = v.Text() }},
}

// gradeAtSigning is how a signature says that the grade is as it was.
var gradeAtSigning = []parameter{
	{Name: "gradeStands", Type: "boolean", Doc: "The grade in force holds for the text as the supervisor, or an amendment, has changed it.",
		Set: func(r *request, v *Node) { r.GradeStands = v.Text() == "true" }},
}

// discrepancy is one point of a grade, part by part.
var discrepancy = []parameter{
	{Name: "description", Type: "string", Min: 1, Doc: "What it is about, in a few words.",
		Set: func(r *request, v *Node) { r.lastDiscrepancy().Finding = v.Text() }},
	rated("significance", 1, "How much it matters for the patient.", func(d *workflow.Discrepancy) *string { return &d.Significance }),
	rated("nature", 1, "What kind of difference it is.", func(d *workflow.Discrepancy) *string { return &d.Nature }),
	rated("direction", 0, "Which way it goes.", func(d *workflow.Discrepancy) *string { return &d.Direction }),
	rated("expectedness", 0, "Whether the diagnosis should ordinarily be made. Never in the report.", func(d *workflow.Discrepancy) *string { return &d.Expectedness }),
	rated("management", 0, "What it may change for the patient.", func(d *workflow.Discrepancy) *string { return &d.Management }),
	rated("actionable", 0, "How soon somebody must act (ACR categories).", func(d *workflow.Discrepancy) *string { return &d.Actionable }),
	{Name: "asymmetry", Type: "code", Many: true, Codes: workflow.Words("asymmetry"),
		Doc: "What the second reader had and the first lacked. Never in the report.",
		Set: func(r *request, v *Node) {
			d := r.lastDiscrepancy()
			d.Asymmetry = append(d.Asymmetry, v.Text())
		}},
}

func rated(name string, least int, doc string, field func(*workflow.Discrepancy) *string) parameter {
	return parameter{Name: name, Type: "code", Min: least, Doc: doc, Codes: workflow.Words(name),
		Set: func(r *request, v *Node) { *field(r.lastDiscrepancy()) = v.Text() }}
}

func (r *request) grade() *workflow.Grade {
	if r.Grade == nil {
		r.Grade = new(workflow.Grade)
	}
	return r.Grade
}

func (r *request) lastDiscrepancy() *workflow.Discrepancy {
	g := r.grade()
	return &g.Discrepancies[len(g.Discrepancies)-1]
}
