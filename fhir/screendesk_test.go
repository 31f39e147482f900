package fhir

import (
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

// A delivery of which nobody knows whether it arrived is ended by a person's word,
// once, with a reason, and not by who reads.
func TestADeliveryIsSettledByHand(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.signed("1")
	c.behind(`UPDATE delivery SET state = 'parked'`)
	c.behind(`INSERT INTO delivery_attempt (tenant_id, case_id, report_no, destination, attempt, outcome, reason, duration_ms) SELECT tenant_id, case_id, report_no, destination, 1, 'retry', 'timeout', 5 FROM delivery`)
	_, desk := pgtest.AddToken(t, c.db, c.tenant, access.Coordinator)
	all, err := c.server.Deliveries(t.Context(), desk, workflow.DeliveryFilter{States: []string{"parked"}, Most: 10}, Asked{})
	if err != nil || len(all) == 0 || !all[0].Uncertain || len(all[0].Attempts) != 1 {
		t.Fatalf("%+v (%v)", all, err)
	}
	settle := func(actor access.Actor, how, reason string) error {
		return c.server.SettleDelivery(t.Context(), actor, task, workflow.Settlement{ReportNo: all[0].No, Destination: all[0].Destination, How: how, Reason: reason}, Asked{})
	}
	for _, refused := range []struct {
		err  error
		kind fault.Kind
	}{
		{settle(c.readers[access.Reader], "arrived", "I saw it"), fault.Forbidden},
		{settle(desk, "arrived", " "), fault.BusinessRule},
		{settle(desk, "perhaps", "The ward has it"), fault.Value},
	} {
		if !fault.Is(refused.err, refused.kind) {
			t.Errorf("want %v: %v", refused.kind, refused.err)
		}
	}
	if err := settle(desk, "arrived", "The ward has it before them"); err != nil {
		t.Fatal(err)
	}
	if err := settle(desk, "given-up", "again"); !fault.Is(err, fault.BusinessRule) {
		t.Errorf("a second time: %v", err)
	}
	done, err := c.server.Deliveries(t.Context(), desk, workflow.DeliveryFilter{States: []string{"done"}, Most: 10}, Asked{})
	if err != nil || len(done) != 1 || done[0].Settled == nil || done[0].Settled.How != "arrived" || done[0].Done == nil || done[0].Uncertain {
		t.Errorf("%+v (%v)", done, err)
	}
}
