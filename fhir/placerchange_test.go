package fhir

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// What the placer does to an order or to what it names, in every state of its case:
// docs/placer-changes.md has the table, which this test makes of what the server
// does and compares.

const placerDoc = "../docs/placer-changes.md"

// placerChange is a column: a request of the placer, about the case of an order.
type placerChange struct {
	name string
	ask  func(o *placedOrder) []errand
}

// placedOrder is an order whose case stands somewhere, as it is kept.
type placedOrder struct {
	task, order, patient, study *Node
	other                       map[string]string // of another patient: Patient, ImagingStudy
}

func put(n *Node, change func(n *Node)) errand {
	n = n.Clone()
	change(n)
	return errand{method: http.MethodPut, url: &url.URL{Path: "/fhir/" + n.Type() + "/" + n.Text("id")}, header: http.Header{"Content-Type": {fhirTypes[0]}}, body: n.Bytes()}
}

func asks(method, path string, body *Node) errand {
	e := errand{method: method, url: &url.URL{Path: "/fhir/" + path}, header: http.Header{"Content-Type": {fhirTypes[0]}}}
	if body != nil {
		e.body = body.Bytes()
	}
	return e
}

func (o *placedOrder) status(status string) []errand {
	return []errand{put(o.order, func(n *Node) { n.Set("status", status) })}
}

func (o *placedOrder) taskStatus(status string) []errand {
	return []errand{put(o.task, func(n *Node) { n.Set("status", status) })}
}

func (o *placedOrder) operation(name string) []errand {
	return []errand{asks(http.MethodPost, "Task/"+o.task.Text("id")+"/$"+name, nil)}
}

func (o *placedOrder) remove(n *Node) []errand {
	return []errand{asks(http.MethodDelete, n.Type()+"/"+n.Text("id"), nil)}
}

// merge: the record of the patient is replaced by that of another.
func (o *placedOrder) merge() errand {
	return put(o.patient, func(n *Node) {
		n.Set("active", false)
		n.Set("link", []*Node{Object("other", Object("reference", o.other["Patient"]), "type", "replaced-by")})
	})
}

var placerChanges = []placerChange{
	{"order: revoked", func(o *placedOrder) []errand { return o.status("revoked") }},
	{"order: entered-in-error", func(o *placedOrder) []errand { return o.status("entered-in-error") }},
	{"order: on-hold", func(o *placedOrder) []errand { return o.status("on-hold") }},
	{"order: on-hold, then active", func(o *placedOrder) []errand { return append(o.status("on-hold"), o.status("active")...) }},
	{"order: completed", func(o *placedOrder) []errand { return o.status("completed") }},
	{"order: draft", func(o *placedOrder) []errand { return o.status("draft") }},
	{"order: priority stat", func(o *placedOrder) []errand {
		return []errand{put(o.order, func(n *Node) { n.Set("priority", "stat") })}
	}},
	{"order: another patient, and so its study", func(o *placedOrder) []errand {
		return []errand{put(o.study, func(n *Node) { n.Set("subject", Object("reference", o.other["Patient"])) }),
			put(o.order, func(n *Node) { n.Set("subject", Object("reference", o.other["Patient"])) })}
	}},
	{"order: another study", func(o *placedOrder) []errand {
		return []errand{put(o.order, func(n *Node) {
			n.Set("supportingInfo", []*Node{Object("reference", o.other["ImagingStudy"])})
		})}
	}},
	{"order: another side of the body", func(o *placedOrder) []errand {
		return []errand{put(o.order, func(n *Node) {
			n.Set("bodySite", []*Node{Object("coding", []*Node{coding("http://snomed.info/sct", "7771000", "Left")}, "text", "left hand")})
		})}
	}},
	{"order: another exam", func(o *placedOrder) []errand {
		return []errand{put(o.order, func(n *Node) { n.Append("orderDetail", Object("text", "MR of the brain")) })}
	}},
	{"order: another question", func(o *placedOrder) []errand {
		return []errand{put(o.order, func(n *Node) {
			n.Set("reasonCode", append(n.Each("reasonCode"), Object("text", "And a fracture?")))
		})}
	}},
	{"order: another number", func(o *placedOrder) []errand {
		return []errand{put(o.order, func(n *Node) { n.Each("identifier")[0].Set("value", "changed") })}
	}},
	{"order: intent proposal", func(o *placedOrder) []errand {
		return []errand{put(o.order, func(n *Node) { n.Set("intent", "proposal") })}
	}},
	{"patient: merged into another", func(o *placedOrder) []errand { return []errand{o.merge()} }},
	{"patient: merged, then parted", func(o *placedOrder) []errand {
		return []errand{o.merge(), put(o.patient, func(*Node) {})}
	}},
	{"Task: cancelled", func(o *placedOrder) []errand { return o.taskStatus("cancelled") }},
	{"Task: on-hold", func(o *placedOrder) []errand { return o.taskStatus("on-hold") }},
	{"Task: requested", func(o *placedOrder) []errand { return o.taskStatus("requested") }},
	{"Task: entered-in-error", func(o *placedOrder) []errand { return o.taskStatus("entered-in-error") }},
	{"Task: completed", func(o *placedOrder) []errand { return o.taskStatus("completed") }},
	{"abort Task", func(o *placedOrder) []errand {
		return []errand{asks(http.MethodPost, "Task", Object("resourceType", "Task", "status", "requested", "intent", "order",
			"code", concept(taskCode, "abort", ""), "focus", Object("reference", "Task/"+o.task.Text("id"))))}
	}},
	{"$cancel", func(o *placedOrder) []errand { return o.operation("cancel") }},
	{"$hold", func(o *placedOrder) []errand { return o.operation("hold") }},
	{"$resume", func(o *placedOrder) []errand { return o.operation("resume") }},
	{"delete order", func(o *placedOrder) []errand { return o.remove(o.order) }},
	{"delete Task", func(o *placedOrder) []errand { return o.remove(o.task) }},
	{"delete patient", func(o *placedOrder) []errand { return o.remove(o.patient) }},
	{"delete study", func(o *placedOrder) []errand { return o.remove(o.study) }},
}

// errUndo undoes what a change has done, so that the next one finds the same.
var errUndo = errors.New("undo")

// outcomeOf does a change and undoes it: what the server answered, and where the
// case stood then, "" where it did not move.
func (c *clinic) outcomeOf(o *placedOrder, change placerChange) string {
	c.t.Helper()
	actor := access.Actor{Tenant: c.tenant, Role: access.Placer, Display: "the placer"}
	var told string
	err := c.db.Tenant(c.t.Context(), c.tenant, func(tx pgx.Tx) error {
		d := c.server.within(tx).desk(actor)
		for _, e := range change.ask(o) {
			if _, err := d.ask(c.t.Context(), e); err != nil {
				status, _ := Outcome(err, "")
				if status == http.StatusInternalServerError {
					c.t.Errorf("%s: %v", change.name, err)
				}
				told = "refused: " + fmt.Sprint(status)
				return errUndo
			}
		}
		after, err := workflow.CaseByTaskTx(c.t.Context(), tx, o.task.Text("id"))
		if err != nil {
			return err
		}
		told = "taken"
		if string(after.State) != o.task.Text("businessStatus", "coding", "code") {
			told = string(after.State)
		}
		switch patient := "Patient/" + *after.PatientID; {
		case after.Correction != nil:
			told += " for the coordinator"
		case c.verifies(tx, after):
			told += ", the report is verified"
		case change.name == "abort Task": // a refusal is an answer on the placer's own Task
			stored, err := collect(tx.Query(c.t.Context(), `SELECT type, id, version, last_updated, deleted, body FROM resource_search WHERE type = 'Task' AND convert_from(body, 'UTF8') LIKE '%"abort"%'`))
			if err != nil || len(stored) != 1 {
				return fmt.Errorf("%d abort Tasks: %w", len(stored), err)
			}
			told = parsed(c.t, string(stored[0].Body)).Text("status") + strings.TrimPrefix(" "+told, " taken")
		case patient != o.patient.Type()+"/"+o.patient.Text("id"):
			told += ", of the other patient"
		case after.Priority != o.task.Text("priority"):
			told += ", clocks anew"
		}
		return errUndo
	})
	if err != nil && !errors.Is(err, errUndo) {
		c.t.Fatalf("%s: %v", change.name, err)
	}
	return told
}

// verifies tells whether who signed is asked to look at the report again.
func (c *clinic) verifies(tx pgx.Tx, of workflow.Case) bool {
	c.t.Helper()
	all, err := workflow.MattersTx(c.t.Context(), tx, of.CaseID)
	if err != nil {
		c.t.Fatal(err)
	}
	_, open := openStudyChange(all)
	return open
}

// readyOfTwo is no state of its own: the case is ready for its second reader, and the
// first has sealed an opinion.
const readyOfTwo workflow.State = "ready-after-one-of-two"

// placedStates are those in which the changes are tried.
func placedStates() (all []workflow.State) {
	for _, info := range workflow.States {
		all = append(all, info.State)
		if info.State == workflow.Ready {
			all = append(all, readyOfTwo)
		}
	}
	return all
}

// placedRoads lead to the states; what is not here is reached in stand.
var placedRoads = map[workflow.State][]string{
	readyOfTwo:              {"claim", "lock"},
	workflow.Accepted:       {"claim"},
	workflow.Reading:        {"claim", "start"},
	workflow.Locked:         {"claim", "lock"},
	workflow.Conferring:     {"claim", "lock", "second reads"},
	workflow.Arbitration:    {"claim", "lock", "second reads", "refer"},
	workflow.Comparing:      {"claim", "lock", "reveal"},
	workflow.Adjudication:   {"claim", "lock", "reveal", "grade major"},
	workflow.AwaitingCosign: {"trainee", "claim", "lock", "reveal", "grade", "sign"},
	workflow.Final:          {"claim", "lock", "reveal", "grade", "sign"},
	workflow.Closed:         {"claim", "lock", "reveal", "grade", "sign", "acknowledge"},
	workflow.Amending:       {"claim", "lock", "reveal", "grade", "sign", "amend"},
}

// stand brings an order of its own to a state.
func (c *clinic) stand(state workflow.State) *placedOrder {
	c.t.Helper()
	o := orderToSpoil(c.t, string(state))
	for _, e := range o.entries { // nothing of it is another state's
		if id := e.Get("resource").Text("id"); id != "" {
			e.Set("resource", parsed(c.t, strings.ReplaceAll(e.Get("resource").jsonText(), `"Patient/example"`, `"Patient/`+string(state)+`"`)))
		}
	}
	for _, e := range o.entries {
		switch n := e.Get("resource"); n.Type() {
		case "Patient":
			n.Set("id", string(state))
			n.Remove("identifier")
			e.Set("fullUrl", ehrBase+"/Patient/"+string(state))
		case "ImagingStudy":
			o.study = n
		case "ServiceRequest":
			o.order = n
		}
	}
	switch state {
	case workflow.IntakeReview:
		o.order.Set("orderDetail", []*Node{concept(dicom, "MR", "")})
	case workflow.AwaitingInformation:
		o.order.Set("reasonCode", []*Node{concept(v2Referral, "S", "")})
		o.order.Remove("note")
		o.order.Remove("reasonReference")
	case workflow.AwaitingImages:
		o.study.Set("status", "registered")
	}
	if state == workflow.Offered {
		c.sql(`UPDATE tenant SET policy = '{"assignment": "offer"}'`)
		defer c.sql(`UPDATE tenant SET policy = '{}'`)
	}
	if state == readyOfTwo || state == workflow.Conferring || state == workflow.Arbitration {
		c.sql(`UPDATE tenant SET policy = '{"reading": "mixed"}'`)
		defer c.sql(`UPDATE tenant SET policy = '{}'`)
	}
	o.send(c)
	if state != workflow.Received {
		c.tick()
	}
	c.walk(o.taskID, state)
	if stands := state; stands == readyOfTwo {
		c.wantState(o.taskID, string(workflow.Ready))
	} else {
		c.wantState(o.taskID, string(stands))
	}
	kept := func(typ, id string) *Node { return c.get("/fhir/" + typ + "/" + id).node }
	p := &placedOrder{task: c.task(o.taskID), order: kept("ServiceRequest", o.orderID)}
	p.patient = kept("Patient", parseReference(p.task.Text("for", "reference")).id)
	p.study = kept("ImagingStudy", parseReference(p.order.Each("supportingInfo")[0].Text("reference")).id)
	return p
}

func (c *clinic) walk(task string, state workflow.State) {
	c.t.Helper()
	reason := []any{"reason", "because"}
	switch state {
	case workflow.Unassignable:
		c.sql(`UPDATE case_file SET state = 'unassignable' WHERE task_id = '` + task + `'`)
		c.sql(`UPDATE resource SET body = convert_to(replace(convert_from(body, 'UTF8'), '"code":"ready","display":"Ready"', '"code":"unassignable","display":"Unassignable"'), 'UTF8') WHERE type = 'Task' AND id = '` + task + `'`)
	case workflow.OnHold:
		c.mustAct(access.Placer, task, "$hold")
	case workflow.Rejected:
		c.mustAct(access.Coordinator, task, "$reject", reason...)
	case workflow.Cancelled:
		c.mustAct(access.Placer, task, "$cancel")
	case workflow.Failed:
		c.sql(`UPDATE case_file SET state = 'unassignable' WHERE task_id = '` + task + `'`)
		c.mustAct(access.Coordinator, task, "$give-up", reason...)
	case workflow.EnteredInError:
		c.mustAct(access.Director, task, "$declare-error", reason...)
	}
	token, reader := c.tokens[access.Reader], c.readers[access.Reader]
	for _, step := range placedRoads[state] {
		switch step {
		case "second reads":
			c.addColleague(access.Reader, "Dr Other "+string(state), everything)
			c.mustAct(access.Reader, task, "$claim", "independent", true)
			c.mustAct(access.Reader, task, "$lock", "findings", "f2", "impression", "i2")
			c.tokens[access.Reader], c.readers[access.Reader] = token, reader
		case "refer":
			c.mustAct(access.Reader, task, "$refer", reason...)
		case "claim":
			c.mustAct(access.Reader, task, "$claim", "independent", true)
		case "lock":
			c.mustAct(access.Reader, task, "$lock", "findings", "f", "impression", "i")
		case "grade":
			c.mustAct(access.Reader, task, "$grade", "agreement", true)
		case "grade major":
			c.mustAct(access.Reader, task, "$grade", "discrepancy", missed("important"), "difference", "d")
		case "amend":
			c.mustAct(access.Reader, task, "$amend", reason...)
		case "acknowledge":
			c.mustAct(access.Placer, task, "$acknowledge", "clinician", "Dr Jones")
		case "trainee":
			c.sql(`UPDATE reader SET credential = credential || '{"trainee": true}' WHERE reader_id = '` + c.readers[access.Reader].ID.String() + `'`)
		default:
			c.mustAct(access.Reader, task, "$"+step)
		}
	}
	c.sql(`UPDATE reader SET credential = credential - 'trainee'`)
}

func TestEveryChangeOfThePlacerHasItsAnswerInEveryState(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	another := map[string]string{"Patient": "Patient/" + c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Other"}]}`)}
	another["ImagingStudy"] = "ImagingStudy/" + c.mustCreate("ImagingStudy", `{"resourceType":"ImagingStudy","status":"available","subject":{"reference":"`+another["Patient"]+`"},
		"identifier":[{"system":"urn:dicom:uid","value":"urn:oid:2.25.4242"}],"numberOfInstances":1,"series":[{"uid":"2.25.4243","modality":{"code":"DX"},"numberOfInstances":1}]}`)
	var states []string
	outcomes := map[string][]string{}
	for _, state := range placedStates() {
		o := c.stand(state)
		o.other = another
		states = append(states, string(state))
		for _, change := range placerChanges {
			told := c.outcomeOf(o, change)
			if told == "" {
				t.Errorf("%s when the case is %s: no outcome", change.name, state)
			}
			outcomes[change.name] = append(outcomes[change.name], told)
		}
	}
	want := placerTable(states, outcomes)
	doc, err := os.ReadFile(placerDoc)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- the table: go test ./fhir -run TestEveryChangeOfThePlacer -update -->\n", "<!-- end of the table -->\n"
	before, rest, _ := strings.Cut(string(doc), begin)
	got, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatal("docs/placer-changes.md has no place for the table")
	}
	if *update {
		if err := os.WriteFile(placerDoc, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("the server does otherwise than docs/placer-changes.md says: %s", diff)
	}
}

// placerTable has a section for each change, and in it a line for each outcome.
func placerTable(states []string, outcomes map[string][]string) string {
	var b strings.Builder
	b.WriteString("| change | outcome | when the case is |\n|---|---|---|\n")
	for _, change := range placerChanges {
		var order []string
		when := map[string][]string{}
		for i, told := range outcomes[change.name] {
			if when[told] == nil {
				order = append(order, told)
			}
			when[told] = append(when[told], states[i])
		}
		for i, told := range order {
			name := ""
			if i == 0 {
				name = change.name
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, told, strings.Join(when[told], ", "))
		}
	}
	return b.String()
}
