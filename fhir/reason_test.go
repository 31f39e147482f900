package fhir

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// because gives an order a reason, and the words beside it.
func because(o *spoiltOrder, code, text string) {
	o.order.Append("reasonCode", Object("coding", []*Node{coding(workflow.ReasonSystem, code, "")}, "text", text))
}

func TestAReasonDecidesTriageIsOnTheDesksWorklistAndIsQuestionEnough(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"historyRequired": false, "triage": [{"when": {"reason": ["staging"]}, "then": {"subspecialty": "chest", "needs": ["neuro"]}}]}'`)
	o := orderToSpoil(t, "order")
	o.order.Set("reasonCode", []*Node{concept(v2Referral, "S", ""), concept(workflow.ReasonSystem, "staging", "")})
	o.order.Remove("note")
	o.send(c)
	c.tick()
	c.wantState(o.taskID, "ready")
	if got := c.do(access.Coordinator, "GET", "/fhir/Task/"+o.taskID+"/$triage", ""); !strings.Contains(got.body, "reason staging") {
		t.Error(got.body)
	}
	c.mustAct(access.Placer, o.taskID, "$hold")
	for role, want := range map[access.Role][]string{access.Coordinator: {"Staging of a tumour"}, access.Reader: nil} {
		if err := c.db.Tenant(t.Context(), c.tenant, func(tx pgx.Tx) error {
			items, err := workflow.WorklistTx(t.Context(), tx, access.Actor{Tenant: c.tenant, Role: role}, 10)
			for _, item := range items {
				if diff := cmp.Diff(want, item.Reasons); diff != "" {
					t.Errorf("%s: %s", role, diff)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// What a code says of the first report, a blinded reader does not read in the
// order, nor in the Task, nor find by searching, until they compare.
func TestAReasonThatTellsOfTheOriginalIsWithheldFromABlindedReader(t *testing.T) {
	t.Parallel()
	for _, r := range workflow.Reasons {
		t.Run(r.Code, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			o := orderToSpoil(t, "order")
			o.order.Append("note", Object("text", "Coughs since spring."))
			because(o, r.Code, "words beside the code")
			o.send(c)
			c.tick()
			c.mustAct(access.Reader, o.taskID, "$claim", "independent", true)
			seen := func() (found []string) {
				for _, path := range []string{"/fhir/ServiceRequest/" + o.orderID, "/fhir/ServiceRequest", "/fhir/Task/" + o.taskID, "/fhir/Task/" + o.taskID + "/$everything", "/fhir/Task?_include=Task:focus"} {
					if got := c.do(access.Reader, "GET", path, ""); strings.Contains(got.body, r.Code) || strings.Contains(got.body, "words beside") {
						found = append(found, path)
					}
				}
				return found
			}
			if got := seen(); (got == nil) != r.Tells {
				t.Errorf("before the lock: %v", got)
			}
			if got := c.task(o.taskID).Text("description"); !strings.Contains(got, "Coughs since spring.") || strings.Contains(got, "words beside") == r.Tells {
				t.Errorf("the Task asks %q", got)
			}
			c.mustAct(access.Reader, o.taskID, "$lock", "findings", "f", "impression", "i")
			c.mustAct(access.Reader, o.taskID, "$reveal")
			if !slices.Contains(seen(), "/fhir/ServiceRequest/"+o.orderID) {
				t.Error("not seen after the reveal")
			}
		})
	}
}

func TestATaskOfABlindedCaseMayNotGiveAReasonThatTells(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := coordinationTask(Object("reference", ehrBase+"/ServiceRequest/9"), "input", withStudy(ehrBase+"/ImagingStudy/xr1"))
	task.Set("reasonCode", concept(workflow.ReasonSystem, "inconclusive-report", ""))
	c.post("/fhir/Task", task.jsonText()).want(t, http.StatusUnprocessableEntity, "business-rule")
}

func TestStudiesThatAreOnlyComparedStandInTheTask(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	o := orderToSpoil(t, "order")
	prior := o.study.Clone()
	prior.Set("id", "xr0")
	prior.Set("identifier", []*Node{Object("system", studyUIDSystem, "value", "urn:oid:2.25.76")})
	prior.Set("started", "2023-01-01T00:00:00Z")
	o.entries = append(o.entries, entryOf(prior, ehrBase+"/ImagingStudy/xr0"))
	o.order.Append("supportingInfo", Object("reference", "ImagingStudy/xr0"))
	o.send(c)
	c.tick()
	c.wantState(o.taskID, "ready")
	got := map[string]string{}
	for _, out := range c.task(o.taskID).Each("output") {
		got[out.Text("type", "coding", "code")] = c.get("/fhir/" + out.Text("valueReference", "reference")).node.Text("started")[:4]
	}
	if diff := cmp.Diff(map[string]string{"study-to-read": "2024", "prior": "2023"}, got); diff != "" {
		t.Error(diff)
	}
}
