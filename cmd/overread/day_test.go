package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

// scene is one case of the department's day.
type scene struct {
	hour, story string
	hospital    string // "" is mercy, where readers claim from the pool; at lakeside cases are offered
	sample      string
	quirk       string
	priority    string // "" is routine
	steps       []step
}

// step is what somebody does, and where the case is then.
type step struct {
	who  string // a token's name; "whoever" has the case or its offer; "time" lets what is due next come due
	does string // an operation; of time, the kind of the agenda's row
	with []*fhir.Node
	then workflow.State
}

const whoever, passes = "whoever", "time"

func because(why string) []*fhir.Node { return []*fhir.Node{param("reason", "valueString", why)} }

// read are the steps from the pool to the moment at which the readings are compared.
func read(who, sample string) []step {
	second := samples[sample].Second
	if second.Findings == "" {
		second = workflow.Opinion{Findings: "Uptake in one node.", Impression: "One node, to be followed."}
	}
	return []step{
		{who, "claim", []*fhir.Node{param("independent", "valueBoolean", true)}, workflow.Accepted},
		{who, "start", nil, workflow.Reading},
		{who, "draft", []*fhir.Node{param("findings", "valueString", second.Findings)}, workflow.Reading},
		{who, "lock", append(opinionParameters(second), param("follows", "valueInteger", 1)), workflow.Locked},
		{who, "reveal", nil, workflow.Comparing},
	}
}

func agreed(who string) []step {
	return []step{{who, "grade", nil, workflow.Comparing}, {who, "sign", nil, workflow.Final}}
}

func steps(parts ...[]step) (all []step) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func then(s workflow.State) []step { return []step{{then: s}} }

// theDay is a day of the department: what every day brings, and what goes wrong.
var theDay = []scene{
	{"07:30", "The first case of the day is as it should be: read, compared, signed, and read by the clinician.", "", "abdomen", asItShouldBe, "urgent",
		steps(then(workflow.Ready), read("haddad", "abdomen"), agreed("haddad"), []step{{"placer", "acknowledge", nil, workflow.Closed}})},

	{"07:45", "An order says neither what is asked nor what is known. The coordinator telephones, and the case goes on.", "", "thyroid", noQuestion, "",
		steps(then(workflow.AwaitingInformation), []step{{"coordinator", "proceed", because("The ward told it by telephone."), workflow.Ready}}, read("okafor", "thyroid"), agreed("okafor"))},

	{"08:00", "The study is of the other side. The coordinator has asked: the order was mistyped.", "", "knee", otherSide, "",
		steps(then(workflow.IntakeReview), []step{{"coordinator", "resolve", because("Mistyped; the study is right."), workflow.Ready}}, read("tanaka", "knee"))},

	{"08:05", "The next one is of the other side too, and nobody can say which is right: refused.", "", "knee", otherSide, "",
		steps(then(workflow.IntakeReview), []step{{"coordinator", "reject", because("The ward orders it again."), workflow.Rejected}})},

	{"08:20", "There are no images. The ward sends them, and the case goes on by itself.", "", "liver", noStudy, "",
		steps(then(workflow.AwaitingImages), []step{{"placer", "send study", nil, workflow.Ready}}, read("haddad", "liver"), agreed("haddad"))},

	{"08:30", "The images of another never come.", "", "prostate", noStudy, "",
		steps(then(workflow.AwaitingImages), []step{{passes, "images-give-up", nil, workflow.Failed}})},

	{"08:40", "Half of a study has come. It grows until it is whole.", "", "chest-ct", halfStudy, "urgent",
		steps(then(workflow.AwaitingImages), []step{{"placer", "send study", nil, workflow.Ready}}, read("lindqvist", "chest-ct"))},

	{"09:00", "The original report is late. When the policy's wait is over the case is read without it.", "lakeside", "mammogram", noOriginal, "urgent",
		steps(then(workflow.AwaitingInformation), []step{{passes, "information-timeout", nil, workflow.Offered}}, read(whoever, "mammogram"),
			[]step{{whoever, "grade", []*fhir.Node{param("noComparisonReason", "valueCode", "no-original")}, workflow.Comparing}, {whoever, "sign", nil, workflow.Final}})},

	{"09:15", "A reader declines: too much to do. The next one is asked.", "lakeside", "elbow", asItShouldBe, "",
		steps(then(workflow.Offered), []step{{whoever, "decline", because("Theatre all morning."), workflow.Offered}}, read(whoever, "elbow"))},

	{"09:30", "A reader does not answer. The offer lapses, and all are asked a second time.", "lakeside", "mammogram", asItShouldBe, "",
		steps(then(workflow.Offered), []step{{passes, "offer-expiry", nil, workflow.Offered}}, read(whoever, "mammogram"))},

	{"10:00", "Nobody reads this kind of exam here. The coordinator lets others read it, and the case says so.", "lakeside", "pet", asItShouldBe, "",
		steps(then(workflow.Unassignable), []step{{"coordinator", "broaden", append(because("The only reader of it has left."), param("to", "valueCode", "general")), workflow.Offered}}, read(whoever, "pet"))},

	{"10:20", "A reader is called away in the middle. What was written is sealed; another begins anew.", "", "brain", asItShouldBe, "",
		steps(then(workflow.Ready), read("okafor", "brain")[:3], []step{{"okafor", "release", because("Called away."), workflow.Ready}}, read("petrov", "brain"), agreed("petrov"))},

	{"10:40", "The patient wishes to think about it, and then does not.", "", "spine", asItShouldBe, "",
		steps(then(workflow.Ready), []step{{"placer", "hold", because("The patient thinks about it."), workflow.OnHold}, {"placer", "resume", nil, workflow.Ready}}, read("okafor", "spine"))},

	{"11:00", "The order is cancelled while it is being read.", "", "chest-xray", asItShouldBe, "",
		steps(then(workflow.Ready), read("lindqvist", "chest-xray")[:3], []step{{"placer", "cancel", because("Read elsewhere."), workflow.Cancelled}})},

	{"11:30", "The two readings differ in what matters. A third reader decides, and signs.", "", "head-ct", asItShouldBe, "stat",
		steps(then(workflow.Ready), read("okafor", "head-ct"), []step{
			{"okafor", "grade", gradeParameters(samples["chest-ct"].Diff), workflow.Adjudication},
			{"petrov-adjudicator", "adjudicate", gradeParameters(samples["chest-ct"].Diff), workflow.Adjudication},
			{"petrov-adjudicator", "sign", nil, workflow.Final}})},

	{"12:00", "A trainee's report goes back once before the supervisor signs it.", "", "spine", asItShouldBe, "",
		steps(then(workflow.Ready), read("ruiz", "spine"), []step{
			{"ruiz", "grade", nil, workflow.Comparing}, {"ruiz", "sign", nil, workflow.AwaitingCosign},
			{"petrov-supervisor", "return", because("Look at the sacrum again."), workflow.Comparing},
			{"ruiz", "sign", nil, workflow.AwaitingCosign}, {"petrov-supervisor", "sign", nil, workflow.Final}})},

	{"13:30", "A word was dictated wrongly. The report is corrected, and read again.", "", "knee", asItShouldBe, "",
		steps(then(workflow.Ready), read("tanaka", "knee"), agreed("tanaka"), []step{
			{"placer", "acknowledge", nil, workflow.Closed},
			{"tanaka", "amend", because("The side was dictated wrongly."), workflow.Amending},
			{"tanaka", "sign", append(because("The side was dictated wrongly."), param("kind", "valueCode", "correction"), param("text", "valueString", "It is the right knee throughout.")), workflow.Final},
			{"placer", "acknowledge", nil, workflow.Closed}})},

	{"14:00", "Another correction turns out to be none, and is withdrawn: the report stands.", "", "abdomen", asItShouldBe, "",
		steps(then(workflow.Ready), read("haddad", "abdomen"), agreed("haddad"), []step{
			{"haddad", "amend", because("A prior has come."), workflow.Amending}, {"haddad", "withdraw-amendment", because("It is of another patient."), workflow.Final}})},

	{"15:00", "An order was made for the wrong patient, and found before it was signed.", "", "prostate", asItShouldBe, "",
		steps(then(workflow.Ready), read("haddad", "prostate")[:2], []step{{"director", "declare-error", because("The wrong patient."), workflow.EnteredInError}})},

	{"15:30", "And one that was found after: it takes two directors.", "", "thyroid", asItShouldBe, "",
		steps(then(workflow.Ready), read("okafor", "thyroid"), agreed("okafor"), []step{
			{"director", "declare-error", because("The wrong patient."), workflow.Final},
			{"second-director", "declare-error", because("The wrong patient."), workflow.EnteredInError}})},

	{"16:00", "A case has waited for three quarters of its time. The coordinator is told, takes note, and sees to it.", "", "pulmonary-angio", asItShouldBe, "stat",
		steps(then(workflow.Ready), []step{
			{passes, "clock-assign", nil, workflow.Ready}, {passes, "clock-assign", nil, workflow.Ready},
			{"coordinator", "heed", nil, workflow.Ready}}, read("lindqvist", "pulmonary-angio"), agreed("lindqvist"))},
}

// TestADayOfTheDepartment lives through the day, one case beside the other, with
// the jobs of the server at work. What takes hours is made to be due at once.
func TestADayOfTheDepartment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "mercy", "lakeside")
	for i, s := range theDay {
		t.Run(s.hour+" "+s.sample, func(t *testing.T) {
			t.Parallel()
			w.livesOn(t, s, 700+i)
		})
	}
}

func (w *world) livesOn(t *testing.T, s scene, number int) {
	t.Helper()
	hospital, priority := s.hospital, s.priority
	if hospital == "" {
		hospital = "mercy"
	}
	if priority == "" {
		priority = "routine"
	}
	o := order{ehr: w.chart.base, number: fmt.Sprint("DAY-", number), hospital: hospital, priority: priority,
		patient: person{fmt.Sprint(300000 + number), "Day", "Person", "female", birth(s.sample)}, sample: samples[s.sample], quirk: s.quirk, at: time.Now()}
	task, err := w.order(t.Context(), o, w.clients[hospital+"-placer"])
	if err != nil {
		t.Fatalf("%s: %v", s.story, err)
	}
	for i, step := range s.steps {
		if err := w.takes(t, o, task, step); err != nil {
			t.Fatalf("%s\nstep %d: %s, %s: %v", s.story, i, step.who, step.does, err)
		}
		eventually(t, fmt.Sprintf("%s\nstep %d: after %s, %s the case is to be %s", s.story, i, step.who, step.does, step.then), func() error {
			state, err := w.state(t.Context(), hospital, task)
			if err == nil && state != step.then {
				err = fmt.Errorf("it is %s", state)
			}
			return err
		})
	}
}

// birth is when the patient of a sample was born: children's exams are of children.
func birth(sample string) string {
	if samples[sample].Who == "child" {
		return time.Now().AddDate(-7, 0, 0).Format(time.DateOnly)
	}
	return "1960-01-31"
}

// takes does one step.
func (w *world) takes(t *testing.T, o order, task string, s step) error {
	t.Helper()
	who := s.who
	switch {
	case s.does == "":
		return nil
	case who == passes:
		return w.comesDue(t.Context(), o.hospital, task, s.does)
	case who == whoever:
		name, err := w.offeredTo(t.Context(), o.hospital, task)
		if err != nil {
			return err
		}
		who = name
	}
	actor := w.clients[o.hospital+"-"+who]
	if s.does == "send study" { // anew, or over the half that is there
		o.quirk = asItShouldBe
		name := "urn:dicom:uid|urn:oid:" + o.studyUID()
		study := o.entry(o.study(), name)
		study.Get("resource").Remove("id") // the server has given it one of its own
		study.Set("request", fhir.Object("method", "PUT", "url", "ImagingStudy?identifier="+url.QueryEscape(name)))
		_, err := actor.send(t.Context(), http.MethodPost, "", fhir.Object("resourceType", "Bundle", "type", "transaction",
			"entry", []*fhir.Node{o.entry(o.patientResource(), mrnSystem+"|"+o.patient.mrn), study}))
		return err
	}
	if s.does == "heed" { // once the clock has spoken
		eventually(t, "somebody is to be told", func() error {
			_, err := actor.op(t.Context(), task, s.does, s.with...)
			return err
		})
		return nil
	}
	_, err := actor.op(t.Context(), task, s.does, s.with...)
	return err
}

// comesDue lets the time of a row of the agenda come, as the hours would.
func (w *world) comesDue(ctx context.Context, hospital, task, kind string) error {
	conn, err := pgx.Connect(ctx, w.database.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var id uuid.UUID
	err = conn.QueryRow(ctx, `
		UPDATE agenda
		SET due_at = now()
		FROM case_file c
		WHERE agenda.tenant_id = c.tenant_id AND agenda.case_id = c.case_id
		  AND c.tenant_id = $1 AND c.task_id = $2 AND agenda.kind = $3
		RETURNING agenda.case_id`, w.tenants[hospital], task, kind).Scan(&id)
	if err != nil {
		return fmt.Errorf("%s is not on the agenda: %w", kind, err)
	}
	for due := true; due; { // until it is worked, here or by the server's own jobs
		if err := w.settle(ctx); err != nil {
			return err
		}
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM agenda WHERE case_id = $1 AND kind = $2 AND due_at <= now() + interval '2 s')`, id, kind).Scan(&due)
		if err != nil {
			return err
		}
	}
	return nil
}
