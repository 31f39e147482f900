package fhir

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// withheld collects resources that are kept here.
type withheld struct{ types, ids []string }

func (w *withheld) add(typ, id string) {
	for i := range w.ids {
		if w.ids[i] == id && w.types[i] == typ {
			return
		}
	}
	if id != "" {
		w.types, w.ids = append(w.types, typ), append(w.ids, id)
	}
}

// runsOn adds the order and the Task that a case runs on, for another one that
// does not run on them too.
func (w *withheld) runsOn(c, of workflow.Case) {
	if c.TaskID != of.TaskID {
		w.add("Task", c.TaskID)
	}
	if c.ServiceRequestID != nil && (of.ServiceRequestID == nil || *c.ServiceRequestID != *of.ServiceRequestID) {
		w.add("ServiceRequest", *c.ServiceRequestID)
	}
}

// take adds these with what belongs to them.
func (w *withheld) take(all []found) {
	for _, f := range all {
		if f.Type() == "DiagnosticReport" {
			w.report(f)
		}
		w.add(f.Type(), f.id())
		w.attached(f.Node)
	}
}

func (w *withheld) refer(typ string, refs ...*Node) {
	for _, id := range localIDs(refs, typ) {
		w.add(typ, id)
	}
}

// report adds a DiagnosticReport with its Observations and key images.
func (w *withheld) report(f found) {
	if f.Node == nil {
		return
	}
	w.add("DiagnosticReport", f.id())
	w.refer("Observation", f.Each("result")...)
	w.refer("Media", f.Each("media", "link")...)
	w.attached(f.Node)
}

// attached adds the Binaries that a resource has as its attachments, which are
// urls and no References: the report as a PDF. They may still be to come.
func (w *withheld) attached(n *Node) {
	if n == nil {
		return
	}
	for _, k := range linksOf(n, n.Type()) {
		if k.isURI && k.target.typ == "Binary" {
			w.add("Binary", k.target.id)
		}
	}
}

func (w *withheld) note(ctx context.Context, tx pgx.Tx, c workflow.Case) error {
	if len(w.ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO case_original (tenant_id, case_id, type, id)
		SELECT DISTINCT @tenant::uuid, @case::uuid, type, id
		FROM unnest(@types::text[], @ids::text[]) AS o (type, id)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"tenant": c.TenantID, "case": c.CaseID, "types": w.types, "ids": w.ids})
	if err != nil {
		return fmt.Errorf("withhold the original of case %s: %w", c.CaseID, err)
	}
	return nil
}
