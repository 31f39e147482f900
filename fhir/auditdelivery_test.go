package fhir

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// A report that leaves the house is a disclosure: which version, whose and to whom is
// recorded with what the destination made of it.
func TestAReportThatLeavesTheHouseIsRecorded(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("7")
	report, patient := c.report(id).Text("id"), c.task(id).Text("for", "reference")
	verdicts := []workflow.Receipt{
		{Verdict: workflow.Retry, Status: 503, Reason: "busy", Wait: time.Nanosecond},
		{Verdict: workflow.Delivered, Status: 200, Reason: "taken"},
		{Verdict: workflow.Parked, Status: 422, Reason: "refused"},
	}
	courier := workflow.NewCourier(c.db.DB, func(context.Context, workflow.Parcel) workflow.Receipt {
		r := verdicts[0]
		verdicts = verdicts[1:]
		return r
	}, time.Now, slog.New(slog.DiscardHandler))
	courier.Use(c.server.RecordDelivery)
	carry := func(left int) {
		t.Helper()
		for len(verdicts) > left {
			if _, err := courier.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	carry(1)
	c.mustAct(access.Reader, id, "$amend", "reason", "prior CT became available")
	c.mustAct(access.Reader, id, "$sign", "kind", "addition", "reason", "prior CT became available", "text", "Unchanged since 2020.")
	carry(0)
	c.events(c.tenant)

	page := c.do(access.Director, "GET", "/fhir/AuditEvent?type=http://dicom.nema.org/resources/ontology/DCM|110106&entity=DiagnosticReport/"+report+"&_sort=date", "")
	if page.status != http.StatusOK {
		t.Fatal(page.body)
	}
	var told []string
	for _, e := range page.node.Each("entry", "resource") {
		parts := []string{e.Text("outcome"), e.Text("outcomeDesc")}
		for _, x := range e.Get("entity").Items() {
			parts = append(parts, x.Text("what", "reference")+x.Text("what", "identifier", "value")+x.Text("detail", "valueString"))
		}
		told = append(told, strings.TrimSpace(strings.Join(parts, " ")))
	}
	want := []string{
		"0  ehr DiagnosticReport/" + report + "1 Task/" + id + " " + patient,
		"4 refused for good: refused ehr DiagnosticReport/" + report + "2 Task/" + id + " " + patient,
	}
	if len(told) != 2 || told[0] != want[0] || told[1] != want[1] {
		t.Errorf("%q, want %q", told, want)
	}
	// And by the name of who did it.
	if got := c.do(access.Director, "GET", "/fhir/AuditEvent?agent-name=overread&type=110106", ""); len(got.ids()) != 2 {
		t.Errorf("by the agent's name: %s", got.body)
	}
	// An auditor would count by it how many reports were signed (decision 18).
	if got := c.do(access.Auditor, "GET", "/fhir/AuditEvent?type=110106", ""); got.status != http.StatusOK || len(got.ids()) != 0 {
		t.Errorf("to an auditor: %s", got.body)
	}
}
