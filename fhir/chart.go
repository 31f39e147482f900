package fhir

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/bedside"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// What a clinician sees who opens Overread from the EHR. Everything is asked for
// as the clinician would over the API, so that roles, scopes, the compartment of
// the patient and the audit are those of the API. What was found that way, and
// nothing else, is then told in words.

// mostOpinions is how many second opinions of one patient are shown.
const mostOpinions = 100

// Chart is the actor's patient with all second opinions about them: that of the
// Task inContext ("" for none) first, then the newest. It refuses (Forbidden) an
// actor who is not bound to a patient.
func (s *Server) Chart(ctx context.Context, actor access.Actor, inContext string) (bedside.Chart, error) {
	id, ok := strings.CutPrefix(actor.Patient, "Patient/")
	if !ok || !idPattern.MatchString(id) {
		return bedside.Chart{}, fault.New(fault.Forbidden, "there is no patient in context")
	}
	d := s.desk(actor)
	patient, err := d.get(ctx, "Patient/"+id, nil)
	if err != nil {
		return bedside.Chart{}, err
	}
	tasks, err := d.found(ctx, "Task", url.Values{"patient": {actor.Patient}, "_sort": {"-authored-on"}, "_count": {strconv.Itoa(mostOpinions)}})
	if err != nil {
		return bedside.Chart{}, err
	}
	reports, err := d.found(ctx, "DiagnosticReport", url.Values{"patient": {actor.Patient}, "identifier": {sidReport + "|"}, "_count": {strconv.Itoa(mostOpinions)}, "_elements": {"identifier,status"}})
	if err != nil {
		return bedside.Chart{}, err
	}
	readable := map[string]bool{}
	for _, r := range reports {
		readable[r.Text("id")] = true
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (bedside.Chart, error) {
		c := bedside.Chart{Patient: patientAtBedside(patient)}
		var err error
		if c.Opinions, err = s.opinionsOn(ctx, tx, actor, tasks, readable); err != nil {
			return c, err
		}
		for i, o := range c.Opinions {
			c.Opinions[i].InContext = inContext != "" && o.Task == inContext
		}
		slices.SortStableFunc(c.Opinions, func(a, b bedside.Opinion) int {
			switch {
			case a.InContext != b.InContext && a.InContext:
				return -1
			case a.InContext != b.InContext:
				return 1
			}
			return b.Ordered.Compare(a.Ordered)
		})
		return c, nil
	})
}

// opinionsOn are the second opinions that run on Tasks, of those where any does.
func (s *Server) opinionsOn(ctx context.Context, tx pgx.Tx, actor access.Actor, tasks []*Node, readable map[string]bool) (all []bedside.Opinion, err error) {
	k, err := s.chartRecords(ctx, tx, actor, tasks)
	if err != nil {
		return nil, err
	}
	for _, task := range tasks {
		if c, ok := k.cases[task.Text("id")]; ok {
			all = append(all, k.opinionOn(c, task, readable))
		}
	}
	return all, nil
}

// opinionOn is the second opinion of a case.
func (k *chartRecords) opinionOn(c workflow.Case, task *Node, readable map[string]bool) bedside.Opinion {
	o := bedside.Opinion{
		Task: c.TaskID, Exam: examName(c.Exam), Order: c.PlacerValue, Question: k.questions[c.CaseID], Ordered: c.OpenedAt,
		Priority: c.Priority,
		State:    bedside.StateWords(c.State), Next: nextWords(task), Steps: bedside.StepsOf(c), Zone: zoneOf(c.Policy),
		Ended: slices.Contains([]workflow.State{workflow.Rejected, workflow.Cancelled, workflow.Failed, workflow.EnteredInError}, c.State),
	}
	tellMatters(c, k.matters[c.CaseID], &o)
	switch {
	case c.ReportNo > 0 && c.ReportID != nil && readable[*c.ReportID]:
		k.tellReport(c, &o)
	case !o.Ended:
		o.Due = k.due[c.CaseID]
	}
	return o
}

// tellReport adds what the signed report says, and its versions.
func (k *chartRecords) tellReport(c workflow.Case, o *bedside.Opinion) {
	src, signed := k.sources(c)
	if !signed {
		return
	}
	o.Signed, o.Report, o.Steps = true, *c.ReportID, nil
	o.Amending = c.State == workflow.Amending // of that version nobody has read anything yet
	o.CanTell, o.CanAsk = c.State == workflow.Final || o.Amending && c.ClosedAt == nil, o.Amending || slices.Contains([]workflow.State{workflow.Final, workflow.Closed}, c.State)
	if c.State == workflow.Closed || o.Amending {
		o.SeenAt = c.ClosedAt
	}
	r, history := src.Report, letterHistory(src)
	o.Glance = bedside.Glance{
		Number: r.No, Status: r.Status, Agreement: agreementCodes[r.Level].Code, Difference: r.Difference, Management: r.Management,
		Recommendation: r.Opinion.Recommendation, Actionable: r.Actionable, Impression: r.Opinion.Impression, Signatures: signatures(src),
	}
	if last := len(history) - 1; last > 0 {
		made, was := history[last], history[last-1]
		o.Glance.Change = &bedside.Change{Status: made.Status, No: was.Number, At: was.At, Text: made.Text, Reason: made.Reason}
	}
	o.ForThem = c.Policy.PatientSummary != nil && !o.Glance.Withdrawn()
	read := map[int][]bedside.Reading{}
	for _, a := range k.read[c.CaseID] {
		read[a.ReportNo] = append(read[a.ReportNo], bedside.Reading{At: a.AcknowledgedAt, By: a.Content.Person})
	}
	for _, v := range slices.Backward(history) {
		id, ok := k.releases[*c.ReportID][instant(v.At)]
		if !ok {
			continue
		}
		shown := bedside.Version{ID: id, Number: v.Number, Status: v.Status, At: v.At, By: v.By, Change: v.Reason, Read: read[v.Number]}
		if v.Status != "entered-in-error" {
			shown.Forms = []string{"html", "pdf"}
		}
		o.Versions = append(o.Versions, shown)
	}
}

// Form is a form (html or pdf) of one version of a report, as it was signed: in the
// language, where it was written in that one too, else in the hospital's own.
func (s *Server) Form(ctx context.Context, actor access.Actor, report, version, form, language string) (bedside.Form, error) {
	contentType, ok := map[string]string{"html": "text/html", "pdf": "application/pdf"}[form]
	if !ok || !idPattern.MatchString(report) || !idPattern.MatchString(version) {
		return bedside.Form{}, notFound()
	}
	n, err := s.desk(actor).get(ctx, "DiagnosticReport/"+report+"/_history/"+version, nil)
	if err != nil {
		return bedside.Form{}, err
	}
	// Others' reports are not letters of ours; and whose it is does not rest on the
	// compartment alone.
	ours := n.Text("subject", "reference") == actor.Patient &&
		slices.ContainsFunc(n.Each("identifier", "system"), func(system *Node) bool { return system.Text() == sidReport })
	var best *Node
	for _, f := range n.Each("presentedForm") {
		if ours && f.Text("contentType") == contentType && (best == nil || f.Text("language") == language && best.Text("language") != language) {
			best = f
		}
	}
	if best == nil {
		return bedside.Form{}, notFound()
	}
	content, err := binaryContent(best)
	return bedside.Form{ContentType: contentType, Content: content}, err
}

// Acknowledge is Task/{id}/$acknowledge by the actor of a page, who has read the
// version of the report that the page has shown them. newer tells that another has
// taken its place meanwhile, which nobody has read.
func (s *Server) Acknowledge(ctx context.Context, actor access.Actor, task, version, name string) (newer bool, err error) {
	if !idPattern.MatchString(version) {
		return false, notFound()
	}
	d := s.desk(actor)
	c, _, err := s.opinionSeen(ctx, d, actor, task)
	if err != nil {
		return false, err
	}
	if c.ReportID == nil {
		return false, notFound()
	}
	given := []*Node{Object("name", "report", "valueReference", Object("reference", "DiagnosticReport/"+*c.ReportID+"/_history/"+version))}
	if name != "" {
		given = append(given, Object("name", "clinician", "valueString", name))
	}
	after, err := d.operation(ctx, task, "acknowledge", given)
	return slices.ContainsFunc(after.Each("output"), func(out *Node) bool { return hasCode(out.Get("type"), csOutput, "unread-version") }), err
}

// Carry does an operation of a case of the actor's patient, as POST
// Task/{id}/$operation does it, with the fields of a page's form as its parameters.
func (s *Server) Carry(ctx context.Context, actor access.Actor, e screen.Errand) error {
	op, err := operationCalled("$" + e.Operation)
	if err != nil {
		return err
	}
	given, err := fieldsOf(op.Takes, e.Fields)
	if err != nil {
		return err
	}
	d := s.desk(actor)
	if _, _, err := s.opinionSeen(ctx, d, actor, e.Task); err != nil {
		return err
	}
	_, err = d.operation(ctx, e.Task, e.Operation, given)
	return err
}

// opinionSeen is the case of a Task with the Task, where the actor sees it and it is
// of their patient: what cannot be seen cannot be acknowledged, nor asked about.
func (s *Server) opinionSeen(ctx context.Context, d *desk, actor access.Actor, task string) (c workflow.Case, seen *Node, err error) {
	if !idPattern.MatchString(task) || actor.Patient == "" {
		return c, nil, notFound()
	}
	if seen, err = d.get(ctx, "Task/"+task, nil); err != nil {
		return c, nil, err
	}
	c, err = inTenant(ctx, s, actor, func(tx pgx.Tx) (workflow.Case, error) { return workflow.CaseByTaskTx(ctx, tx, task) })
	if err == nil && casePatient(c) != actor.Patient {
		err = notFound()
	}
	return c, seen, err
}

// operation is POST Task/{id}/$name.
func (d *desk) operation(ctx context.Context, task, name string, given []*Node) (*Node, error) {
	answer, err := d.ask(ctx, errand{method: http.MethodPost, url: &url.URL{Path: "/fhir/Task/" + task + "/$" + name},
		header: http.Header{"Accept": {fhirTypes[0]}, "Content-Type": {fhirTypes[0]}}, body: Object("resourceType", "Parameters", "parameter", given).Bytes()})
	if err != nil {
		return nil, err
	}
	return Parse(answer.resource, Limits{Values: 10 * documentLimits.Values})
}

// get asks for one resource, or a search.
func (d *desk) get(ctx context.Context, path string, asked url.Values) (*Node, error) {
	answer, err := d.ask(ctx, errand{method: http.MethodGet, url: &url.URL{Path: "/fhir/" + path, RawQuery: asked.Encode()}, header: http.Header{"Accept": {fhirTypes[0]}}})
	if err != nil {
		return nil, err
	}
	return Parse(answer.resource, Limits{Values: 10 * documentLimits.Values})
}

// found are the resources of the first page of a search.
func (d *desk) found(ctx context.Context, typ string, asked url.Values) ([]*Node, error) {
	bundle, err := d.get(ctx, typ, asked)
	if err != nil {
		return nil, err
	}
	return bundle.Each("entry", "resource"), nil
}

// nextWords says what the placer has to do, or why the case ended or rests: what
// the Task says, which is written for them.
func nextWords(task *Node) string { return task.Text("statusReason", "text") }
