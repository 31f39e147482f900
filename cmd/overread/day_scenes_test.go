package main

import (
	"slices"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

// theDay is a day of the department: what every day brings, and what goes wrong.
var theDay = slices.Concat(beforeNoon, afterNoon)

// What the EHR has of a case at the end: the versions of its report, by their status.
var (
	nothing    []string
	signedOnce = []string{"final"}
)

var beforeNoon = []scene{
	{"07:30", "The first case of the day is as it should be: read, compared, signed, and read by the clinician.", "", "abdomen", asItShouldBe, "urgent",
		chapters(then(workflow.Ready), read("haddad", "abdomen"), agreed("haddad"), []chapter{{"placer", "acknowledge", readByWeiss(), workflow.Closed}}), signedOnce},

	{"07:45", "An order says neither what is asked nor what is known. The coordinator telephones, and the case goes on.", "", "thyroid", noQuestion, "",
		chapters(then(workflow.AwaitingInformation), []chapter{{"coordinator", "proceed", because("The ward told it by telephone."), workflow.Ready}}, read("okafor", "thyroid"), agreed("okafor")), signedOnce},

	{"08:00", "The study is of the other side. The coordinator has asked: the order was mistyped.", "", "knee", otherSide, "",
		chapters(then(workflow.IntakeReview), []chapter{{"coordinator", "resolve", because("Mistyped; the study is right."), workflow.Ready}}, read("tanaka", "knee")), nothing},

	{"08:05", "The next one is of the other side too, and nobody can say which is right: refused.", "", "knee", otherSide, "",
		chapters(then(workflow.IntakeReview), []chapter{{"coordinator", "reject", because("The ward orders it again."), workflow.Rejected}}), nothing},

	{"08:20", "There are no images. The ward sends them, and the case goes on by itself.", "", "liver", noStudy, "",
		chapters(then(workflow.AwaitingImages), []chapter{{"placer", "send study", nil, workflow.Ready}}, read("haddad", "liver"), agreed("haddad")), signedOnce},

	{"08:30", "The images of another never come.", "", "prostate", noStudy, "",
		chapters(then(workflow.AwaitingImages), []chapter{{passes, "images-give-up", nil, workflow.Failed}}), nothing},

	{"08:40", "Half of a study has come. It grows until it is whole.", "", "chest-ct", halfStudy, "urgent",
		chapters(then(workflow.AwaitingImages), []chapter{{"placer", "send study", nil, workflow.Ready}}, read("lindqvist", "chest-ct")), nothing},

	{"09:00", "The original report is late. When the policy's wait is over the case is read without it.", "lakeside", "mammogram", noOriginal, "urgent",
		chapters(then(workflow.AwaitingInformation), []chapter{{passes, "information-timeout", nil, workflow.Offered}}, read(whoever, "mammogram"),
			[]chapter{{whoever, "grade", []*fhir.Node{param("noComparisonReason", "valueCode", "no-original")}, workflow.Comparing}, {whoever, "sign", nil, workflow.Final}}), signedOnce},

	{"09:15", "A reader declines: too much to do. The next one is asked.", "lakeside", "elbow", asItShouldBe, "",
		chapters(then(workflow.Offered), []chapter{{whoever, "decline", because("Theatre all morning."), workflow.Offered}}, read(whoever, "elbow")), nothing},

	{"09:30", "A reader does not answer. The offer lapses, and all are asked a second time.", "lakeside", "mammogram", asItShouldBe, "",
		chapters(then(workflow.Offered), []chapter{{passes, "offer-expiry", nil, workflow.Offered}}, read(whoever, "mammogram")), nothing},

	{"09:45", "An active bleeding. The ward does not answer, and one after the other is told, until somebody goes there. Only then may the report be closed.", "", "abdomen", asItShouldBe, "urgent",
		chapters(then(workflow.Ready), read("haddad", "abdomen")[:2], []chapter{
			{"haddad", "raise-finding", []*fhir.Node{param("category", "valueCode", "emergent"), param("text", "valueString", "Active bleeding into the retroperitoneum.")}, workflow.Reading},
			{"ehr", "is alerted", nil, workflow.Reading},
			{"haddad", "communicate", called(false), workflow.Reading},
			{passes, "clock-finding-emergent/1", nil, workflow.Reading}, {"reader", "is told", nil, workflow.Reading},
			{passes, "escalate", nil, workflow.Reading}, {"coordinator", "is told", nil, workflow.Reading},
			{passes, "escalate", nil, workflow.Reading}, {"director", "is told", nil, workflow.Reading},
			{"director", "heed", nil, workflow.Reading}},
			read("haddad", "abdomen")[2:], agreed("haddad"), []chapter{
				{"placer", "may not acknowledge", nil, workflow.Final},
				{"coordinator", "communicate", called(true), workflow.Final},
				{"ehr", "sees it answered", nil, workflow.Final},
				{"placer", "acknowledge", readByWeiss(), workflow.Closed}}), signedOnce},

	{"10:00", "Nobody reads this kind of exam here. The coordinator lets others read it, and the case says so.", "lakeside", "pet", asItShouldBe, "",
		chapters(then(workflow.Unassignable), []chapter{{"coordinator", "broaden", append(because("The only reader of it has left."), param("to", "valueCode", "general")), workflow.Offered}}, read(whoever, "pet")), nothing},

	{"10:10", "The patient has become worse: the ward makes the order a pressing one.", "", "chest-xray", asItShouldBe, "",
		chapters(then(workflow.Ready), []chapter{{"placer", "makes it stat", nil, workflow.Ready}}, read("lindqvist", "chest-xray"), agreed("lindqvist")), signedOnce},

	{"10:20", "A reader is called away in the middle. What was written is sealed; another begins anew.", "", "brain", asItShouldBe, "",
		chapters(then(workflow.Ready), read("okafor", "brain")[:3], []chapter{{"okafor", "release", because("Called away."), workflow.Ready}}, read("petrov", "brain"), agreed("petrov")), signedOnce},

	{"10:30", "A reader falls ill over a case. The coordinator gives it to another, who finds nothing of what was written; it is kept.", "", "brain", asItShouldBe, "",
		chapters(then(workflow.Ready), read("okafor", "brain")[:3], []chapter{
			{"coordinator", "reassigns to petrov", because("Dr. Okafor has gone home ill."), workflow.Offered},
			{"okafor", "may not claim", independent(), workflow.Offered},
			{"petrov", "claim", independent(), workflow.Accepted}, {"petrov", "sees 0 readings", nil, workflow.Accepted}},
			read("petrov", "brain")[1:], agreed("petrov"), []chapter{{"quality", "sees 2 readings", nil, workflow.Final}}), signedOnce},

	{"10:40", "The patient wishes to think about it, and then does not.", "", "spine", asItShouldBe, "",
		chapters(then(workflow.Ready), []chapter{{"placer", "hold", because("The patient thinks about it."), workflow.OnHold}, {"placer", "resume", nil, workflow.Ready}}, read("okafor", "spine")), nothing},

	{"11:00", "The order is cancelled while it is being read.", "", "chest-xray", asItShouldBe, "",
		chapters(then(workflow.Ready), read("lindqvist", "chest-xray")[:3], []chapter{{"placer", "cancel", because("Read elsewhere."), workflow.Cancelled}}), nothing},

	{"11:30", "The two readings differ in what matters. A third reader decides, signs, and telephones.", "", "head-ct", asItShouldBe, "stat",
		chapters(then(workflow.Ready), read("okafor", "head-ct"), []chapter{
			{"okafor", "grade", gradeParameters(samples["head-ct"].Diff), workflow.Adjudication},
			{"petrov-adjudicator", "claim", []*fhir.Node{param("independent", "valueBoolean", true)}, workflow.Adjudication},
			{"petrov-adjudicator", "adjudicate", gradeParameters(samples["head-ct"].Diff), workflow.Adjudication},
			{"petrov-adjudicator", "sign", nil, workflow.Final},
			{"placer", "may not acknowledge", nil, workflow.Final}, // the bleeding has been told to nobody
			{"petrov-adjudicator", "communicate", called(true), workflow.Final},
			{"placer", "acknowledge", readByWeiss(), workflow.Closed}}), []string{"final", "appended"}},
}

var afterNoon = []scene{
	{"12:00", "A trainee's report goes back once before the supervisor signs it.", "", "spine", asItShouldBe, "",
		chapters(then(workflow.Ready), read("ruiz", "spine"), []chapter{
			{"ruiz", "grade", agreement(), workflow.Comparing}, {"ruiz", "sign", nil, workflow.AwaitingCosign},
			{"petrov-supervisor", "return", because("Look at the sacrum again."), workflow.Comparing},
			{"ruiz", "sign", nil, workflow.AwaitingCosign}, {"petrov-supervisor", "sign", nil, workflow.Final}}), signedOnce},

	{"12:30", "The EHR is down. The report waits for hours; when the EHR is back it has the report, once.", "", "liver", asItShouldBe, "",
		chapters(then(workflow.Ready), []chapter{{"ehr", "goes down", nil, workflow.Ready}}, read("haddad", "liver"), agreed("haddad"), []chapter{
			{"ehr", "is tried for hours", nil, workflow.Final}, {"ehr", "has no report", nil, workflow.Final},
			{"ehr", "comes back", nil, workflow.Final}}), signedOnce},

	{"12:40", "The order asks for two readers. They differ, neither knowing of the other before; a third decides between them, compares and signs.", "", "head-ct", twoRead, "urgent",
		chapters(then(workflow.Ready), opinion("okafor", "head-ct", workflow.Ready), opinion("sato", "head-ct", workflow.Conferring)[:2], []chapter{
			{"okafor", "sees 1 readings", nil, workflow.Reading}, {"sato", "sees 0 readings", nil, workflow.Reading}},
			opinion("sato", "head-ct", workflow.Conferring)[2:], []chapter{
				{"okafor", "sees 2 readings", nil, workflow.Conferring}, {"sato", "sees 2 readings", nil, workflow.Conferring},
				{"sato", "refer", because("We do not see the same."), workflow.Arbitration},
				{"sato", "may not reveal", nil, workflow.Arbitration},
				{"petrov-adjudicator", "claim", independent(), workflow.Arbitration}, {"petrov-adjudicator", "sees 2 readings", nil, workflow.Arbitration},
				{"petrov-adjudicator", "arbitrate", append(opinionParameters(samples["head-ct"].Second), param("decision", "valueCode", "own")), workflow.Locked},
				{"petrov-adjudicator", "reveal", nil, workflow.Comparing}},
			agreed("petrov-adjudicator")), signedOnce},

	{"12:50", "Another one that two read: one stands by the text of the other, who goes on with it.", "", "brain", twoRead, "",
		chapters(then(workflow.Ready), opinion("okafor", "brain", workflow.Ready), opinion("sato", "brain", workflow.Conferring), []chapter{
			{"sato", "concurs", nil, workflow.Locked}, {"okafor", "reveal", nil, workflow.Comparing}}, agreed("okafor")), signedOnce},

	{"13:30", "A word was dictated wrongly. The report is corrected, and read again.", "", "knee", asItShouldBe, "",
		chapters(then(workflow.Ready), read("tanaka", "knee"), agreed("tanaka"), []chapter{
			{"placer", "acknowledge", readByWeiss(), workflow.Closed},
			{"tanaka", "amend", because("The side was dictated wrongly."), workflow.Amending},
			{"tanaka", "sign", append(because("The side was dictated wrongly."), param("kind", "valueCode", "correction"), param("text", "valueString", "It is the right knee throughout.")), workflow.Final},
			{"placer", "acknowledge", readByWeiss(), workflow.Closed}}), []string{"final", "corrected"}},

	{"13:45", "An earlier study has come. With it the report says something else, and the clinician reads it anew.", "", "prostate", asItShouldBe, "",
		chapters(then(workflow.Ready), read("haddad", "prostate"), agreed("haddad"), []chapter{
			{"placer", "acknowledge", readByWeiss(), workflow.Closed},
			{"haddad", "amend", because("The study of last year has come."), workflow.Amending},
			{"haddad", "sign", append(because("The study of last year has come."), param("kind", "valueCode", "amendment"), param("text", "valueString", "Compared with last year."),
				param("comparison", "valueString", "MRI of last year."), param("impression", "valueString", samples["prostate"].Second.Impression+" Unchanged for a year."), param("gradeStands", "valueBoolean", true)), workflow.Final},
			{"placer", "sees what changed", nil, workflow.Final},
			{"placer", "acknowledge", readByWeiss(), workflow.Closed}}), []string{"final", "amended"}},

	{"14:00", "Another correction turns out to be none, and is withdrawn: the report stands.", "", "abdomen", asItShouldBe, "",
		chapters(then(workflow.Ready), read("haddad", "abdomen"), agreed("haddad"), []chapter{
			{"haddad", "amend", because("A prior has come."), workflow.Amending}, {"haddad", "withdraw-amendment", because("It is of another patient."), workflow.Final}}), signedOnce},

	{"14:15", "The clinician asks which vessel it is. The answer is an addendum, and read as well.", "", "pulmonary-angio", asItShouldBe, "",
		chapters(then(workflow.Ready), read("lindqvist", "pulmonary-angio"), agreed("lindqvist"), []chapter{
			{"placer", "acknowledge", readByWeiss(), workflow.Closed},
			{"placer", "ask", []*fhir.Node{param("question", "valueString", "Which vessel is it?"), param("clinician", "valueString", "Dr. Weiss")}, workflow.Closed},
			{"lindqvist", "answer", []*fhir.Node{param("answer", "valueString", "The segmental artery of the left lower lobe.")}, workflow.Final},
			{"placer", "acknowledge", readByWeiss(), workflow.Closed}}), []string{"final", "appended"}},

	{"15:00", "An order was made for the wrong patient, and found before it was signed.", "", "prostate", asItShouldBe, "",
		chapters(then(workflow.Ready), read("haddad", "prostate")[:2], []chapter{{"director", "declare-error", because("The wrong patient."), workflow.EnteredInError}}), nothing},

	{"15:30", "And one that was found after: it takes two directors.", "", "thyroid", asItShouldBe, "",
		chapters(then(workflow.Ready), read("okafor", "thyroid"), agreed("okafor"), []chapter{
			{"director", "declare-error", because("The wrong patient."), workflow.Final},
			{"second-director", "declare-error", because("The wrong patient."), workflow.EnteredInError}}), []string{"final", "entered-in-error"}},

	{"16:00", "A case has waited for three quarters of its time. The coordinator is told, takes note, and sees to it.", "", "pulmonary-angio", asItShouldBe, "stat",
		chapters(then(workflow.Ready), []chapter{
			{passes, "clock-assign", nil, workflow.Ready}, {passes, "clock-assign", nil, workflow.Ready},
			{"coordinator", "heed", nil, workflow.Ready}}, read("lindqvist", "pulmonary-angio"), agreed("lindqvist")), signedOnce},
}

func because(why string) []*fhir.Node { return []*fhir.Node{param("reason", "valueString", why)} }

func agreement() []*fhir.Node { return []*fhir.Node{param("agreement", "valueBoolean", true)} }

func independent() []*fhir.Node { return []*fhir.Node{param("independent", "valueBoolean", true)} }

// called is an attempt to tell the ward of a finding by telephone.
func called(reached bool) []*fhir.Node {
	return []*fhir.Node{param("recipient", "valueString", "Dr. Berger"), param("medium", "valueCode", "phone"),
		param("reached", "valueBoolean", reached), param("readBack", "valueBoolean", reached)}
}

// opinion are the chapters from the pool to the lock, after which the case is as given.
func opinion(who, sample string, then workflow.State) []chapter {
	second := samples[sample].Second
	if second.Findings == "" {
		second = workflow.Opinion{Findings: "Uptake in one node.", Impression: "One node, to be followed."}
	}
	return []chapter{
		{who, "claim", independent(), workflow.Accepted},
		{who, "start", nil, workflow.Reading},
		{who, "draft", []*fhir.Node{param("findings", "valueString", second.Findings)}, workflow.Reading},
		{who, "lock", append(opinionParameters(second), param("follows", "valueInteger", 1)), then},
	}
}

// read are the chapters from the pool to the moment at which the readings are compared.
func read(who, sample string) []chapter {
	return append(opinion(who, sample, workflow.Locked), chapter{who, "reveal", nil, workflow.Comparing})
}

func agreed(who string) []chapter {
	return []chapter{{who, "grade", agreement(), workflow.Comparing}, {who, "sign", nil, workflow.Final}}
}

func chapters(parts ...[]chapter) []chapter { return slices.Concat(parts...) }

func then(s workflow.State) []chapter { return []chapter{{then: s}} }
