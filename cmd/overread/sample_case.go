package main

import (
	"slices"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// hospital is a tenant of the demo.
type hospital struct {
	display string
	policy  string // tenant.policy
}

var hospitals = map[string]hospital{
	"mercy":    {"Mercy General Hospital", `{"assignment": "pool", "protocol": "blinded", "feedback": "peer-learning", "sampling": {"rates": [{"modality": ["US"], "perThousand": 1000}, {"perThousand": 0}]}, "orderMayAskProtocol": true, "letterLanguages": ["en", "de"], "patientSummary": {"contact": "The outpatient desk of Mercy General Hospital, telephone 555-0100"}}`},
	"lakeside": {"Lakeside Children's and Women's Hospital", `{"assignment": "offer", "protocol": "blinded"}`},
}

// radiologist is a reader of the demo; both hospitals have credentialed all. What
// they may read and when has its dates: osei's licence has expired, brandt is on
// leave, and sato reads at night, as a PractitionerRole says.
type radiologist struct {
	name, given, family, npi string
	credential               workflow.Reader
}

var radiologists = []radiologist{
	{"okafor", "Adaeze", "Okafor", "1000000012", workflow.Reader{Subspecialties: []string{"neuro", "head-neck"}, Licences: newYork(), MayAdjudicate: true}},
	{"lindqvist", "Erik", "Lindqvist", "1000000020", workflow.Reader{Subspecialties: []string{"chest", "cardiac"}, Licences: newYork(), Capacity: 12}},
	{"moreau", "Claire", "Moreau", "1000000038", workflow.Reader{Subspecialties: []string{"breast"}, Licences: newYork(), MayAdjudicate: true}},
	{"tanaka", "Kenji", "Tanaka", "1000000046", workflow.Reader{Subspecialties: []string{"musculoskeletal"}, Licences: newYork()}},
	{"haddad", "Leila", "Haddad", "1000000053", workflow.Reader{Subspecialties: []string{"abdominal", "genitourinary"}, Licences: newYork(), MaySupervise: true}},
	{"petrov", "Nikolai", "Petrov", "1000000061", workflow.Reader{Subspecialties: []string{"chest", "neuro", "musculoskeletal"}, Licences: newYork(), MayAdjudicate: true, MaySupervise: true}},
	{"ruiz", "Sofia", "Ruiz", "1000000079", workflow.Reader{Subspecialties: []string{"neuro"}, Licences: newYork(), Trainee: true}},
	{"chen", "Wei", "Chen", "1000000087", workflow.Reader{Subspecialties: []string{"chest", "musculoskeletal"}, Licences: newYork(), Ages: &workflow.Ages{From: 0, To: 17}}},
	{"osei", "Kwame", "Osei", "1000000095", workflow.Reader{Subspecialties: []string{"abdominal", "chest"}, Licences: []workflow.Licence{{Jurisdiction: "US-NY", ValidFrom: "2015-01-01", ValidTo: "2026-03-01"}}}},
	{"brandt", "Lena", "Brandt", "1000000103", workflow.Reader{Subspecialties: []string{"musculoskeletal"}, Licences: newYork()}},
	{"sato", "Yui", "Sato", "1000000111", workflow.Reader{Subspecialties: []string{"neuro"}, Licences: newYork()}},
}

// renewsSoon is whose licence ends within days, while they have cases: the coordinator is told.
const renewsSoon = "lindqvist"

// onLeave is who is absent these days.
const onLeave = "brandt"

// atNight is whose credential comes as a PractitionerRole.
const atNight = "sato"

func newYork() []workflow.Licence {
	return []workflow.Licence{{Jurisdiction: "US-NY", ValidFrom: "2015-01-01"}, {Jurisdiction: "US-NJ", ValidFrom: "2018-01-01"}}
}

// desks are the tokens of each hospital that belong to no reader.
var desks = map[string]access.Role{
	"placer": access.Placer, "coordinator": access.Coordinator, "auditor": access.Auditor,
	"director": access.Director, "second-director": access.Director, "quality": access.Quality,
}

// What is odd about an order of the demo.
const (
	asItShouldBe = ""
	noQuestion   = "no question and no history"
	noOriginal   = "the original report is not sent"
	noStudy      = "the study is not sent"
	halfStudy    = "half of the images are missing"
	otherSide    = "the study is of the other side"
	noUID        = "the study is known by its accession number alone"
	readHere     = "the original report was made by Dr. Petrov, who is told of the second opinion"
	otherPatient = "the study is of another patient"
	orderedTwice = "the same was ordered before, and its case is open"
	twoRead      = "the order asks that two read it, and a third decides where they differ"
)

// sampleCase is one case of the demo and how far it goes.
type sampleCase struct {
	hospital string
	sample   string
	priority string
	until    workflow.State
	reader   string // who reads it, where it gets that far; at lakeside the one whom it is offered to
	quirk    string
}

// sampleCases is the demo's worklist; every state is there.
var sampleCases = []sampleCase{
	{"mercy", "knee", "routine", workflow.IntakeReview, "", otherSide},
	{"mercy", "abdomen", "routine", workflow.AwaitingInformation, "", noQuestion},
	{"lakeside", "mammogram", "urgent", workflow.AwaitingInformation, "", noOriginal},
	{"mercy", "chest-ct", "urgent", workflow.AwaitingImages, "", halfStudy},
	{"lakeside", "child-chest", "asap", workflow.AwaitingImages, "", noStudy},
	{"mercy", "brain", "routine", workflow.Ready, "", asItShouldBe},
	{"mercy", "chest-xray", "routine", workflow.Ready, "", asItShouldBe},
	{"mercy", "prostate", "routine", workflow.Ready, "", asItShouldBe},
	{"mercy", "head-ct", "stat", workflow.Ready, "", asItShouldBe},
	{"lakeside", "pet", "routine", workflow.Unassignable, "", asItShouldBe},
	{"lakeside", "elbow", "urgent", workflow.Offered, "", asItShouldBe},
	{"lakeside", "mammogram", "routine", workflow.Offered, "", asItShouldBe},
	{"mercy", "spine", "routine", workflow.Accepted, "okafor", asItShouldBe},
	{"lakeside", "child-chest", "asap", workflow.Accepted, "", asItShouldBe},
	{"mercy", "knee", "routine", workflow.Reading, "tanaka", asItShouldBe},
	{"mercy", "pulmonary-angio", "stat", workflow.Reading, "lindqvist", asItShouldBe},
	{"mercy", "liver", "urgent", workflow.Locked, "haddad", asItShouldBe},
	{"lakeside", "mammogram", "urgent", workflow.Locked, "", asItShouldBe},
	{"mercy", "abdomen", "urgent", workflow.Comparing, "haddad", asItShouldBe},
	{"mercy", "thyroid", "routine", workflow.Comparing, "okafor", asItShouldBe},
	{"mercy", "chest-ct", "urgent", workflow.Adjudication, "lindqvist", asItShouldBe},
	{"mercy", "head-ct", "stat", workflow.Adjudication, "okafor", asItShouldBe},
	{"mercy", "spine", "routine", workflow.AwaitingCosign, "ruiz", asItShouldBe},
	{"mercy", "chest-xray", "routine", workflow.Final, "petrov", asItShouldBe},
	{"mercy", "knee", "routine", workflow.Final, "tanaka", asItShouldBe},
	{"mercy", "liver", "routine", workflow.Final, "haddad", asItShouldBe},
	{"lakeside", "elbow", "urgent", workflow.Final, "", asItShouldBe},
	{"mercy", "prostate", "routine", workflow.Final, "haddad", asItShouldBe},
	{"mercy", "chest-xray", "routine", workflow.Closed, "lindqvist", asItShouldBe},
	{"mercy", "spine", "routine", workflow.Closed, "okafor", asItShouldBe},
	{"mercy", "abdomen", "urgent", workflow.Closed, "haddad", asItShouldBe},
	{"mercy", "thyroid", "routine", workflow.Closed, "okafor", asItShouldBe},
	{"mercy", "chest-ct", "urgent", workflow.Closed, "lindqvist", asItShouldBe},
	{"mercy", "knee", "routine", workflow.Closed, "tanaka", asItShouldBe},
	{"mercy", "liver", "routine", workflow.Amending, "haddad", asItShouldBe},
	{"mercy", "brain", "routine", workflow.OnHold, "", asItShouldBe},
	{"mercy", "prostate", "routine", workflow.OnHold, "haddad", asItShouldBe},
	{"mercy", "chest-ct", "routine", workflow.Rejected, "", asItShouldBe},
	{"lakeside", "mammogram", "routine", workflow.Cancelled, "", asItShouldBe},
	{"mercy", "abdomen", "routine", workflow.Failed, "", noStudy},
	{"mercy", "knee", "routine", workflow.EnteredInError, "tanaka", asItShouldBe},
	{"mercy", "chest-xray", "routine", workflow.Received, "", asItShouldBe},
	{"mercy", "head-ct", "urgent", workflow.Conferring, "okafor", twoRead},
	{"mercy", "brain", "urgent", workflow.Arbitration, "okafor", twoRead},
	{"mercy", "head-ct", "asap", workflow.Final, "okafor", twoRead},
	{"mercy", "liver", "asap", workflow.Final, "haddad", asItShouldBe},
	{"mercy", "knee", "urgent", workflow.Closed, "tanaka", readHere},
	{"mercy", "knee", "routine", workflow.Final, "tanaka", readHere},
	{"mercy", "thyroid", "urgent", workflow.IntakeReview, "", otherPatient},
	{"mercy", "chest-xray", "routine", workflow.IntakeReview, "", orderedTwice},
}

// roads say what happens to a case, after its order came in and the intake
// checks ran, until it is where the demo wants it.
var roads = map[workflow.State][]string{
	workflow.Accepted:       {"claim"},
	workflow.Reading:        {"claim", "start", "draft"},
	workflow.Locked:         {"claim", "start", "lock"},
	workflow.Comparing:      {"claim", "start", "lock", "reveal"},
	workflow.Adjudication:   {"claim", "start", "lock", "reveal", "grade"},
	workflow.AwaitingCosign: {"claim", "start", "lock", "reveal", "grade", "sign"},
	workflow.Final:          {"claim", "start", "lock", "reveal", "grade", "sign"},
	workflow.Closed:         {"claim", "start", "lock", "reveal", "grade", "sign", "acknowledge", "judge-management", "outcome", "add-learning-point"},
	workflow.Amending:       {"claim", "start", "lock", "reveal", "grade", "sign", "amend"},
	workflow.OnHold:         {"hold"},
	workflow.Rejected:       {"reject"},
	workflow.Cancelled:      {"cancel"},
	workflow.Failed:         {"give-up"},
	workflow.EnteredInError: {"claim", "start", "declare-error"},
}

// roadsOfTwo are the roads of cases that two read.
var roadsOfTwo = map[workflow.State][]string{
	workflow.Conferring:  twoOpinions,
	workflow.Arbitration: append(slices.Clip(twoOpinions), "refer"),
	workflow.Final:       append(slices.Clip(twoOpinions), "refer", "claim third", "arbitrate", "reveal third", "grade third", "sign third"),
}

var twoOpinions = []string{"claim", "start", "lock", "claim second", "start second", "lock second"}

// road is what happens to the case of a row.
func (row sampleCase) road() []string {
	if row.quirk == twoRead {
		return roadsOfTwo[row.until]
	}
	return slices.Concat(roads[row.until], encores[row])
}

// encores are what else happens to the sample cases of a hospital that have come so
// far: what is told besides the report, and after it (docs/after-signing.md).
var encores = map[sampleCase][]string{
	{"mercy", "pulmonary-angio", "stat", workflow.Reading, "lindqvist", asItShouldBe}: {"raise-finding", "communicate in vain", "communicate"},
	{"mercy", "thyroid", "routine", workflow.Closed, "okafor", asItShouldBe}:          {"ask"},
	{"mercy", "spine", "routine", workflow.Closed, "okafor", asItShouldBe}:            {"amend", "sign a correction", "acknowledge", "amend", "sign an addendum", "acknowledge"},
	{"mercy", "liver", "asap", workflow.Final, "haddad", asItShouldBe}:                {"acknowledge", "amend", "sign an amendment"},
	{"mercy", "abdomen", "urgent", workflow.Closed, "haddad", asItShouldBe}:           {"open-review", "close-review"},
	{"mercy", "knee", "urgent", workflow.Closed, "tanaka", readHere}:                  {"respond"}, // and a review opens
}

// deed is what somebody does with a case: who, by the name of a token ("" is
// its reader), and with what.
type deed struct {
	by   string
	with func(s sample) []*fhir.Node
}

// deeds by the name of the operation, which words may follow.
var deeds = map[string]deed{
	"claim":        {"", said(param("independent", "valueBoolean", true))},
	"start":        {"", nil},
	"draft":        {"", func(s sample) []*fhir.Node { return []*fhir.Node{param("findings", "valueString", s.Second.Findings)} }},
	"lock":         {"", func(s sample) []*fhir.Node { return opinionParameters(s.Second) }},
	"claim second": {"sato", said(param("independent", "valueBoolean", true))},
	"start second": {"sato", nil},
	"lock second": {"sato", func(s sample) []*fhir.Node {
		return opinionParameters(workflow.Opinion{Findings: s.Findings, Impression: s.Impression})
	}},
	"refer":       {"", said(param("reason", "valueString", "We do not see the same."))},
	"claim third": {"petrov-adjudicator", said(param("independent", "valueBoolean", true))},
	"arbitrate": {"petrov-adjudicator", func(s sample) []*fhir.Node {
		return append(opinionParameters(s.Second), param("decision", "valueCode", "own"))
	}},
	"reveal third":       {"petrov-adjudicator", nil},
	"grade third":        {"petrov-adjudicator", func(s sample) []*fhir.Node { return gradeParameters(s.Diff) }},
	"sign third":         {"petrov-adjudicator", nil},
	"reveal":             {"", nil},
	"grade":              {"", func(s sample) []*fhir.Node { return gradeParameters(s.Diff) }},
	"adjudicate":         {"", func(s sample) []*fhir.Node { return gradeParameters(s.Diff) }},
	"sign":               {"", nil},
	"amend":              {"", said(param("reason", "valueString", "An earlier examination has come in and is to be compared."))},
	"acknowledge":        {"placer", said(param("clinician", "valueString", "Dr. Hannah Weiss"))},
	"hold":               {"placer", said(param("reason", "valueString", "The patient wishes to think about it."))},
	"cancel":             {"placer", said(param("reason", "valueString", "The patient has moved; the hospital there reads it again."))},
	"reject":             {"coordinator", said(param("reason", "valueString", "Out of scope: a read for a legal dispute."))},
	"give-up":            {"coordinator", said(param("reason", "valueString", "The images could not be found in the archive."))},
	"judge-management":   {"placer", said(param("management", "valueCode", "work-up"), param("note", "valueString", "A further examination was ordered."))},
	"outcome":            {"placer", said(param("right", "valueCode", "second"), param("source", "valueCode", "follow-up-imaging"), param("date", "valueDate", "2026-03-02"))},
	"add-learning-point": {"", said(param("text", "valueString", "Look at the edges of the images, and at the examination before, ere the impression is written."), param("tag", "valueCode", "search-pattern"))},
	"open-review":        {"quality", said(param("reason", "valueString", "Two of this kind within a month: is it the protocol of the examination?"))},
	"close-review":       {"quality", said(param("conclusion", "valueCode", "learning"), param("note", "valueString", "The late phase is made as a rule from now on."))},
	"declare-error":      {"director", said(param("reason", "valueString", "Ordered under the wrong patient."))},
	"raise-finding": {"", said(param("category", "valueCode", "emergent"),
		param("text", "valueString", "Acute pulmonary embolism in both main arteries, with signs of strain on the right heart."))},
	"communicate in vain": {"", said(param("recipient", "valueString", "Dr. Amara Nwosu"), param("role", "valueString", "emergency physician"),
		param("medium", "valueCode", "phone"), param("reached", "valueBoolean", false), param("note", "valueString", "in the shock room"))},
	"communicate": {"", said(param("recipient", "valueString", "Dr. Paul Berger"), param("role", "valueString", "senior emergency physician"),
		param("medium", "valueCode", "phone"), param("reached", "valueBoolean", true), param("readBack", "valueBoolean", true))},
	"ask": {"placer", said(param("question", "valueString", "Does the lesion reach the capsule?"), param("clinician", "valueString", "Dr. Hannah Weiss"))},
	"sign a correction": {"", func(s sample) []*fhir.Node {
		return []*fhir.Node{param("kind", "valueCode", "correction"), param("reason", "valueString", "A slip of the tongue in the dictation."),
			param("text", "valueString", "The last sentence was missing."), param("impression", "valueString", s.Second.Impression+" No instability."), param("gradeStands", "valueBoolean", true)}
	}},
	"sign an amendment": {"", func(s sample) []*fhir.Node {
		return []*fhir.Node{param("kind", "valueCode", "amendment"), param("reason", "valueString", "The study of last year has come from another hospital."),
			param("text", "valueString", "Compared with the study of last year."), param("comparison", "valueString", "MRI of the liver, a year before."),
			param("impression", "valueString", s.Second.Impression+" It has not grown within a year."), param("gradeStands", "valueBoolean", true)}
	}},
	"sign an addendum": {"", said(param("kind", "valueCode", "addition"), param("reason", "valueString", "An earlier examination has come in."),
		param("text", "valueString", "Compared with the examination of two years ago: unchanged."))},
}

func said(parameters ...*fhir.Node) func(sample) []*fhir.Node {
	return func(sample) []*fhir.Node { return parameters }
}

// opinionParameters are the parameters of $lock and others that take an opinion.
func opinionParameters(o workflow.Opinion) []*fhir.Node {
	var list []*fhir.Node
	for _, p := range []struct{ name, text string }{
		{"technique", o.Technique}, {"comparison", o.Comparison}, {"findings", o.Findings},
		{"impression", o.Impression}, {"recommendation", o.Recommendation},
	} {
		if p.text != "" {
			list = append(list, param(p.name, "valueString", p.text))
		}
	}
	for _, c := range o.Conclusions {
		list = append(list, param("conclusion", "valueCoding", coding(c)))
	}
	return list
}

// gradeParameters are the parameters of $grade.
func gradeParameters(d difference) []*fhir.Node {
	if d.Significance == "" {
		return []*fhir.Node{param("agreement", "valueBoolean", true)}
	}
	return []*fhir.Node{
		fhir.Object("name", "discrepancy", "part", []*fhir.Node{
			param("description", "valueString", d.Text),
			param("significance", "valueCode", d.Significance),
			param("nature", "valueCode", d.Nature),
			param("direction", "valueCode", d.Direction),
			param("management", "valueCode", d.Management),
			param("actionable", "valueCode", d.Actionable),
		}),
		param("difference", "valueString", d.Text),
	}
}
