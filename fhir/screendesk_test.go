package fhir

import (
	"context"
	"sync"
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
	page, err := c.server.Deliveries(t.Context(), desk, workflow.DeliveryFilter{States: []string{"parked"}, Most: 10}, Asked{})
	all := page.All
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
	delivered, err := c.server.Deliveries(t.Context(), desk, workflow.DeliveryFilter{States: []string{"done"}, Most: 10}, Asked{})
	done := delivered.All
	if err != nil || len(done) != 1 || done[0].Settled == nil || done[0].Settled.How != "arrived" || done[0].Done == nil || done[0].Uncertain {
		t.Errorf("%+v (%v)", done, err)
	}
	// Page by page there is each once, however many were queued at one moment.
	c.behind(`INSERT INTO destination SELECT (jsonb_populate_record(NULL::destination, to_jsonb(d) || jsonb_build_object('destination', 'copy-' || n))).* FROM (SELECT * FROM destination LIMIT 1) d, generate_series(1, 7) n`)
	c.behind(`INSERT INTO delivery
		SELECT (jsonb_populate_record(NULL::delivery, to_jsonb(d) || jsonb_build_object('destination', 'copy-' || n, 'state', 'withdrawn', 'done_at', NULL, 'queued_at', d.queued_at - (n / 3) * interval '1 second'))).*
		FROM delivery d, generate_series(1, 7) n WHERE d.state = 'done'`)
	seen := map[string]int{}
	for f := (workflow.DeliveryFilter{States: []string{"withdrawn"}, Most: 2}); ; {
		page, err := c.server.Deliveries(t.Context(), desk, f, Asked{})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.All {
			seen[d.Destination]++
		}
		if f.After = page.Next; f.After == "" {
			break
		}
	}
	if len(seen) != 7 || seen["copy-1"] != 1 || seen["copy-7"] != 1 {
		t.Errorf("page by page: %v", seen)
	}
	for _, place := range []string{"x", "1~2~3~x", "-1~" + all[0].Task + "~1~x"} {
		if _, err := c.server.Deliveries(t.Context(), desk, workflow.DeliveryFilter{After: place, Most: 2}, Asked{}); !fault.Is(err, fault.Value) {
			t.Errorf("after %q: %v", place, err)
		}
	}
}

// What does not arrive is told by the Task once, though two replicas look; not before a
// blinded report is signed; and no more once it is settled.
func TestWhatDoesNotArriveIsToldOnceByTwo(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.signed("1")
	versions := func() int { return len(c.get("/fhir/Task/" + task + "/_history").node.Each("entry")) }
	before := versions()
	look := func() {
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if _, err := c.server.UndeliveredTick(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	for _, step := range []struct {
		then     string
		late     int
		refused  int
		versions int
	}{
		{"SELECT 1", 0, 0, 0},
		{"UPDATE delivery SET queued_at = now() - interval '11 minutes'", 1, 0, 1},
		{"UPDATE delivery SET attempts = attempts + 1, next_attempt_at = now() + interval '1 minute'", 1, 0, 1},
		{"UPDATE delivery SET state = 'parked'", 0, 1, 2},
		{"UPDATE delivery SET state = 'queued'", 0, 1, 2}, // tried again: it has not arrived by that
		{"UPDATE delivery SET state = 'parked'", 0, 1, 2},
		{"UPDATE delivery SET state = 'done', done_at = now()", 0, 0, 3},
	} {
		c.behind(step.then)
		look()
		if late, refused, made := len(c.outputs(task, "delivery-late")), len(c.outputs(task, "delivery-refused")), versions()-before; late != step.late || refused != step.refused || made != step.versions {
			t.Errorf("after %s: %d late, %d refused, %d versions of the Task more", step.then, late, refused, made)
		}
	}
}
