package fhir

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// mendable is an order with one fault, and what the placer sends to mend it: nil
// where the coordinator decides.
type mendable struct {
	policy string
	spoil  func(c *clinic, o *spoiltOrder)
	mend   func(c *clinic, o *spoiltOrder)
}

// spoiltOrder is the order of chestXray and what it is made of.
type spoiltOrder struct {
	t                             testing.TB
	entries                       []*Node
	patient, study, report, order *Node
	taskID                        string
	orderID                       string
}

func orderToSpoil(t testing.TB, placer string) *spoiltOrder {
	o := &spoiltOrder{t: t, entries: chestXray(t, placer)}
	for _, e := range o.entries {
		switch n := e.Get("resource"); n.Type() {
		case "Patient":
			o.patient = n
		case "ImagingStudy":
			o.study = n
		case "DiagnosticReport":
			o.report = n
		case "ServiceRequest":
			o.order = n
		}
	}
	return o
}

// without leaves an entry out.
func (o *spoiltOrder) without(n *Node) {
	o.entries = slices.DeleteFunc(o.entries, func(e *Node) bool { return e.Get("resource") == n })
}

func (o *spoiltOrder) send(c *clinic) {
	o.taskID = c.order(o.entries...)
	o.orderID = parseReference(c.task(o.taskID).Text("focus", "reference")).id
}

// change sends a new version of what is kept.
func (c *clinic) change(typ, id string, change func(n *Node)) response {
	c.t.Helper()
	n := c.get("/fhir/" + typ + "/" + id).node
	change(n)
	return c.put("/fhir/"+typ+"/"+id, n.jsonText())
}

func (c *clinic) mustChange(typ, id string, change func(n *Node)) {
	c.t.Helper()
	if got := c.change(typ, id, change); got.status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", typ, got.status, got.body)
	}
}

func (c *clinic) changeOrder(change func(n *Node)) func(*clinic, *spoiltOrder) {
	return func(c *clinic, o *spoiltOrder) { c.mustChange("ServiceRequest", o.orderID, change) }
}

func consented(c *clinic, o *spoiltOrder, says string) string {
	return "Consent/" + c.mustCreate("Consent", Object("resourceType", "Consent", "status", "active", "scope", Object("text", "second opinion"),
		"category", []*Node{Object("text", "second opinion")}, "policyRule", Object("text", "house"),
		"patient", Object("reference", c.task(o.taskID).Text("for", "reference")), "provision", Object("type", says)).jsonText())
}

// spoiltOrders has a row for each intake check that asks no PACS; those that do are
// in workflow/pacs_test.go and cmd/overread/pacs_test.go.
func spoiltOrders(c *clinic) map[string]mendable {
	order := c.changeOrder
	return map[string]mendable{
		"patient-mismatch": {spoil: func(_ *clinic, o *spoiltOrder) {
			o.study.Set("subject", Object("identifier", Object("system", "urn:mrn", "value", "somebody else")))
		}, mend: func(c *clinic, o *spoiltOrder) {
			c.mustChange("ImagingStudy", c.get("/fhir/ImagingStudy").ids()[0], func(n *Node) { n.Set("subject", c.task(o.taskID).Get("for")) })
		}},
		"modality-mismatch": {spoil: func(_ *clinic, o *spoiltOrder) { o.order.Set("orderDetail", []*Node{concept(dicom, "MR", "")}) },
			mend: order(func(n *Node) { n.Remove("orderDetail") })},
		"body-site-mismatch": {spoil: func(_ *clinic, o *spoiltOrder) { o.order.Set("bodySite", []*Node{Object("text", "Knee")}) },
			mend: order(func(n *Node) { n.Remove("bodySite") })},
		"laterality-mismatch": {spoil: func(_ *clinic, o *spoiltOrder) {
			o.order.Set("bodySite", []*Node{Object("text", "Chest, left")})
			o.study.Each("series")[0].Set("laterality", coding(snomed, "24028007", "Right"))
		}, mend: order(func(n *Node) { n.Set("bodySite", []*Node{Object("text", "Chest, right")}) })},
		"duplicate-case": {spoil: func(c *clinic, o *spoiltOrder) {
			first := orderToSpoil(o.t, "first-of-two")
			first.study.Set("identifier", o.study.Get("identifier"))
			first.send(c)
		}, mend: func(c *clinic, o *spoiltOrder) {
			for _, task := range c.get("/fhir/Task").ids() {
				if task != o.taskID {
					c.mustAct(access.Placer, task, "$cancel")
				}
			}
			c.mustChange("ServiceRequest", o.orderID, func(n *Node) { n.Append("note", Object("text", "the other order is cancelled")) })
		}},
		"priors-doubtful": {spoil: func(c *clinic, o *spoiltOrder) {
			later := o.study.Clone()
			later.Set("id", "xr2")
			later.Set("identifier", []*Node{Object("system", studyUIDSystem, "value", "urn:oid:2.25.77")})
			later.Set("started", "2025-01-01T00:00:00Z")
			o.entries = append(o.entries, entryOf(later, ehrBase+"/ImagingStudy/xr2"))
			o.order.Append("supportingInfo", Object("reference", "ImagingStudy/xr2"))
		}, mend: order(func(n *Node) { n.Set("supportingInfo", n.Each("supportingInfo")[:2]) })},
		"out-of-scope": {policy: `{"outOfScope": [{"modality": ["DX"], "reason": ["S"]}]}`, spoil: func(*clinic, *spoiltOrder) {}},
		"requester-not-authorised": {policy: `{"requesters": ["urn:staff|1"]}`, spoil: func(_ *clinic, o *spoiltOrder) {
			o.order.Set("requester", Object("type", "Practitioner", "identifier", Object("system", "urn:staff", "value", "2")))
		},
			mend: order(func(n *Node) {
				n.Set("requester", Object("type", "Practitioner", "identifier", Object("system", "urn:staff", "value", "1")))
			})},
		"consent-denied": {spoil: func(c *clinic, o *spoiltOrder) {
			o.order.Append("supportingInfo", Object("reference", "#c"))
			o.order.Set("contained", []*Node{Object("resourceType", "Consent", "id", "c", "status", "active", "scope", Object("text", "x"), "category", []*Node{Object("text", "x")}, "policyRule", Object("text", "x"), "provision", Object("type", "deny"))})
		}, mend: order(func(n *Node) { n.Remove("contained"); n.Set("supportingInfo", n.Each("supportingInfo")[:2]) })},
		workflow.ConsentDoubtful: {spoil: func(c *clinic, o *spoiltOrder) {
			o.entries = append(o.entries, entryOf(Object("resourceType", "Consent", "id", "limited", "status", "active", "scope", Object("text", "x"), "category", []*Node{Object("text", "x")}, "policyRule", Object("text", "x"),
				"patient", Object("reference", "Patient/example"), "provision", Object("type", "deny", "purpose", []*Node{coding("urn:p", "x", "")})), ehrBase+"/Consent/limited"))
		}, mend: func(c *clinic, _ *spoiltOrder) {
			c.mustChange("Consent", c.get("/fhir/Consent").ids()[0], func(n *Node) { n.Set("status", "inactive") })
		}},
		"consent-missing": {policy: `{"consentRequired": true}`, spoil: func(*clinic, *spoiltOrder) {}, mend: func(c *clinic, o *spoiltOrder) {
			permit := consented(c, o, "permit")
			c.mustChange("ServiceRequest", o.orderID, func(n *Node) { n.Append("supportingInfo", Object("reference", permit)) })
		}},
		"study-not-named": {spoil: func(_ *clinic, o *spoiltOrder) {
			o.order.Set("supportingInfo", []*Node{})
			o.without(o.report)
		}, mend: func(c *clinic, o *spoiltOrder) {
			study := c.get("/fhir/ImagingStudy").ids()[0]
			c.mustChange("ServiceRequest", o.orderID, func(n *Node) { n.Set("supportingInfo", []*Node{Object("reference", "ImagingStudy/"+study)}) })
		}},
		"question-missing": {policy: `{"historyRequired": false}`, spoil: func(_ *clinic, o *spoiltOrder) {
			o.order.Set("reasonCode", []*Node{concept(v2Referral, "S", "")})
			o.order.Remove("note")
		}, mend: order(func(n *Node) {
			n.Set("reasonCode", []*Node{Object("coding", []*Node{coding(v2Referral, "S", "")}, "text", "A nodule?")})
		})},
		"history-missing": {spoil: func(_ *clinic, o *spoiltOrder) {
			o.order.Set("reasonCode", []*Node{Object("coding", []*Node{coding(v2Referral, "S", "")}, "text", "A nodule?")})
			o.order.Remove("note")
			o.order.Remove("reasonReference")
		}, mend: order(func(n *Node) { n.Set("note", []*Node{Object("text", "Coughs since spring.")}) })},
		"requester-missing": {policy: `{"requesterRequired": true}`, spoil: func(_ *clinic, o *spoiltOrder) { o.order.Remove("requester") },
			mend: order(func(n *Node) { n.Set("requester", Object("display", "Dr Placer")) })},
		"original-report-missing": {spoil: func(_ *clinic, o *spoiltOrder) {
			o.without(o.report)
			o.order.Set("supportingInfo", []*Node{Object("reference", "ImagingStudy/xr1"), Object("type", "DiagnosticReport", "identifier", Object("system", "urn:reports", "value", "R1"))})
		},
			mend: func(c *clinic, o *spoiltOrder) {
				c.mustCreate("DiagnosticReport", Object("resourceType", "DiagnosticReport", "status", "final", "code", Object("text", "Chest X-ray"), "identifier", []*Node{Object("system", "urn:reports", "value", "R1")}, "performer", []*Node{Object("display", "Dr First")}, "subject", c.task(o.taskID).Get("for")).jsonText())
			}},
		workflow.OriginalReaderUnnamed: {spoil: func(_ *clinic, o *spoiltOrder) {
			o.report.Remove("performer")
			o.report.Remove("resultsInterpreter")
			o.report.Remove("result")
		}, mend: func(c *clinic, _ *spoiltOrder) {
			c.mustChange("DiagnosticReport", c.get("/fhir/DiagnosticReport").ids()[0], func(n *Node) { n.Set("performer", []*Node{Object("display", "Dr First")}) })
		}},
		"original-report-not-final": {spoil: func(_ *clinic, o *spoiltOrder) { o.report.Set("status", "preliminary") }, mend: func(c *clinic, o *spoiltOrder) {
			c.mustChange("DiagnosticReport", c.get("/fhir/DiagnosticReport").ids()[0], func(n *Node) { n.Set("status", "final") })
		}},
		"study-missing": {spoil: func(_ *clinic, o *spoiltOrder) {
			o.without(o.study)
			o.report.Remove("imagingStudy")
			o.order.Set("supportingInfo", []*Node{Object("type", "ImagingStudy", "identifier", Object("system", studyUIDSystem, "value", "urn:oid:2.25.99")), Object("reference", "DiagnosticReport/chest-xray-report")})
		}, mend: func(c *clinic, o *spoiltOrder) {
			late := o.study.Clone()
			late.Remove("id")
			late.Set("identifier", []*Node{Object("system", studyUIDSystem, "value", "urn:oid:2.25.99")})
			late.Set("subject", c.task(o.taskID).Get("for"))
			c.mustCreate("ImagingStudy", late.jsonText())
		}},
		"study-unavailable": {spoil: func(_ *clinic, o *spoiltOrder) { o.study.Set("status", "registered") }, mend: func(c *clinic, _ *spoiltOrder) {
			c.mustChange("ImagingStudy", c.get("/fhir/ImagingStudy").ids()[0], func(n *Node) { n.Set("status", "available") })
		}},
		"study-incomplete": {spoil: func(_ *clinic, o *spoiltOrder) { o.study.Set("numberOfInstances", 3) }, mend: func(c *clinic, _ *spoiltOrder) {
			c.mustChange("ImagingStudy", c.get("/fhir/ImagingStudy").ids()[0], func(n *Node) { n.Set("numberOfInstances", 2) })
		}},
	}
}

func TestEveryCheckIsToldInThreeWaysThatAgreeAndGoesOnWhenMended(t *testing.T) {
	t.Parallel()
	rows := spoiltOrders(nil)
	for _, code := range workflow.IntakeCodes() {
		if _, has := rows[code.Code]; !has && !strings.HasPrefix(code.Code, "pacs-") && code.Code != workflow.OrderCorrected {
			t.Errorf("%s has no row", code.Code)
		}
	}
	for code, row := range rows {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			if row.policy != "" {
				c.sql(`UPDATE tenant SET policy = '` + row.policy + `'`)
			}
			o := orderToSpoil(t, "order")
			row.spoil(c, o)
			o.send(c)
			c.tick()
			state := c.wantsInThreeWays(o.taskID, code)
			if row.mend == nil {
				c.mustAct(access.Coordinator, o.taskID, "$resolve", "reason", "an exception")
			} else {
				row.mend(c, o)
				c.wantState(o.taskID, "received")
			}
			c.tick()
			c.wantState(o.taskID, "ready")
			want := []string{"completed"}
			if row.mend == nil {
				want = []string{"revoked"}
			}
			if diff := cmp.Diff(want, c.asked(o.taskID, code)); diff != "" {
				t.Errorf("after %s: %s", state, diff)
			}
			if got := c.do(access.Placer, "GET", "/fhir/Task/"+o.taskID+"/$check", ""); strings.Contains(got.body, `"error"`) {
				t.Error(got.body)
			}
		})
	}
}

// wantsInThreeWays: Task, OperationOutcome and CommunicationRequest say the same.
func (c *clinic) wantsInThreeWays(task, code string) (state string) {
	c.t.Helper()
	n := c.task(task)
	if got := n.Text("statusReason", "coding", "code"); got != code {
		c.t.Fatalf("the case is %s for %q, want %s: %s", n.Text("businessStatus", "coding", "code"), got, code, n.Get("output").Bytes())
	}
	told := map[string]map[string]string{"Task": {}, "OperationOutcome": {}, "CommunicationRequest": {}}
	for _, out := range n.Each("output", "valueCodeableConcept") {
		told["Task"][out.Text("coding", "code")] = out.Text("text")
	}
	for _, issue := range c.do(access.Placer, "GET", "/fhir/Task/"+task+"/$check", "").node.Each("issue") {
		if issue.Text("severity") == "error" {
			told["OperationOutcome"][issue.Text("details", "coding", "code")] = issue.Each("expression")[0].Text() + ": " + issue.Text("details", "text")
		}
	}
	for _, cr := range c.get("/fhir/CommunicationRequest?status=active&group-identifier="+sidCase+"|"+identifierOf(n, sidCase)).node.Each("entry", "resource") {
		told["CommunicationRequest"][cr.Text("reasonCode", "coding", "code")] = cr.Text("payload", "contentString")
		if _, err := Decode(cr.Bytes(), "CommunicationRequest"); err != nil {
			c.t.Error(err)
		}
		if cr.Text("about", "reference") != "Task/"+task || cr.Text("basedOn", "reference") != n.Text("focus", "reference") || cr.Text("subject", "reference") != n.Text("for", "reference") {
			c.t.Errorf("it is about something else: %s", cr.Bytes())
		}
	}
	if diff := cmp.Diff(told["Task"], told["OperationOutcome"]); diff != "" || told["Task"][code] == "" {
		c.t.Errorf("Task and OperationOutcome: %s", diff)
	}
	if diff := cmp.Diff(told["Task"], told["CommunicationRequest"]); diff != "" {
		c.t.Errorf("Task and CommunicationRequest: %s", diff)
	}
	return n.Text("businessStatus", "coding", "code")
}

// asked are the states of the requests for one thing, the first one first.
func (c *clinic) asked(task, code string) (states []string) {
	c.t.Helper()
	for no := '1'; no < '9'; no++ {
		for _, n := range c.get("/fhir/CommunicationRequest?identifier="+sidAsked+"|"+identifierOf(c.task(task), sidCase)+"/"+code+"/"+string(no)).node.Each("entry", "resource") {
			states = append(states, n.Text("status"))
		}
	}
	return states
}

func TestARequestIsMadeOnceFollowsTheCaseAndIsMadeAnewWhenTheThingIsMissingAgain(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	o := orderToSpoil(t, "order")
	o.study.Set("numberOfInstances", 4)
	o.send(c)
	c.tick()
	const code = "study-incomplete"
	study := c.get("/fhir/ImagingStudy").ids()[0]
	images := func(n int) {
		c.mustChange("ImagingStudy", study, func(s *Node) { s.Each("series")[0].Set("numberOfInstances", n) })
		c.tick()
	}
	want := func(when string, states ...string) {
		t.Helper()
		if diff := cmp.Diff(states, c.asked(o.taskID, code)); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	want("missing", "active")
	images(3)
	want("fewer are missing", "active")
	request := c.get("/fhir/CommunicationRequest").node.Get("entry").Items()[0].Get("resource")
	if got := request.Text("payload", "contentString"); !strings.Contains(got, "3 of the 4 instances") {
		t.Error(got)
	}
	c.mustAct(access.Placer, o.taskID, "$hold")
	want("on hold", "on-hold")
	c.mustAct(access.Placer, o.taskID, "$resume")
	c.tick()
	want("resumed", "active")
	images(4)
	want("here", "completed")
	c.wantState(o.taskID, "ready")
	images(2)
	want("missing again", "completed", "active")
	c.mustAct(access.Placer, o.taskID, "$cancel")
	want("cancelled", "completed", "revoked")

	request.Set("status", "entered-in-error")
	if got := c.do(access.Placer, "PUT", "/fhir/CommunicationRequest/"+request.Text("id"), request.jsonText()); got.status != http.StatusForbidden {
		t.Errorf("a client overwrites it: %d", got.status)
	}
}

// Whether an original is asked for, and whether it came, would tell a blinded
// reader that there is one.
func TestABlindedReaderLearnsNothingOfWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	row := spoiltOrders(c)["original-report-missing"]
	o := orderToSpoil(t, "order")
	row.spoil(c, o)
	o.send(c)
	c.tick()
	c.mustAct(access.Coordinator, o.taskID, "$proceed", "reason", "it will not come")
	c.tick()
	c.wantState(o.taskID, "ready")
	if diff := cmp.Diff([]string{"active"}, c.asked(o.taskID, workflow.OriginalMissing)); diff != "" {
		t.Errorf("the case goes on, and would still use it: %s", diff)
	}
	c.mustAct(access.Reader, o.taskID, "$claim", "independent", true)
	id := c.get("/fhir/CommunicationRequest").ids()[0]
	hidden := func(when string) {
		t.Helper()
		for _, path := range []string{"/fhir/CommunicationRequest/" + id, "/fhir/CommunicationRequest/" + id + "/_history", "/fhir/CommunicationRequest?status=active,completed",
			"/fhir/" + c.task(o.taskID).Text("for", "reference") + "/$everything", "/fhir/Task/" + o.taskID + "/$everything", "/fhir/ServiceRequest/" + o.orderID + "/_history",
			"/fhir/ServiceRequest?_id=" + o.orderID + "&_revinclude=CommunicationRequest:based-on", "/fhir/Task/" + o.taskID} {
			if got := c.do(access.Reader, "GET", path, ""); strings.Contains(got.body, workflow.OriginalMissing) || strings.Contains(got.body, id) && got.status == http.StatusOK {
				t.Errorf("%s: %s tells: %s", when, path, got.body)
			}
		}
		if got := c.do(access.Reader, "GET", "/fhir/Task/"+o.taskID+"/$check", ""); got.status != http.StatusForbidden {
			t.Errorf("%s: the reader asks $check: %d", when, got.status)
		}
	}
	hidden("missing")
	row.mend(c, o)
	if diff := cmp.Diff([]string{"completed"}, c.asked(o.taskID, workflow.OriginalMissing)); diff != "" {
		t.Error(diff)
	}
	hidden("it came")
	c.mustAct(access.Reader, o.taskID, "$lock", "findings", "f", "impression", "i")
	hidden("locked")
	c.mustAct(access.Reader, o.taskID, "$reveal")
	if got := c.do(access.Reader, "GET", "/fhir/CommunicationRequest/"+id, ""); got.status != http.StatusOK {
		t.Errorf("revealed, and still hidden: %d", got.status)
	}
}
