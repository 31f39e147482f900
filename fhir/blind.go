package fhir

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// withhold notes the resources that a blinded reader may not see before the
// reveal: the original report with its Observations, and what else the order
// names that is a report of imaging. The store leaves them out for readers (table case_original).
func withhold(ctx context.Context, tx pgx.Tx, d *dossier) error {
	var types, ids []string
	add := func(typ, id string) {
		if id != "" {
			types, ids = append(types, typ), append(ids, id)
		}
	}
	if d.original.Node != nil {
		add("DiagnosticReport", d.original.id())
	}
	for _, o := range d.originalResults {
		add("Observation", o.id())
	}
	for _, doc := range d.documents {
		add("DocumentReference", doc.id())
	}
	for _, m := range d.mentions() {
		if id := localID(m.ref.Text("reference"), "DiagnosticReport"); id != nil {
			add("DiagnosticReport", *id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO case_original (tenant_id, case_id, type, id)
		SELECT DISTINCT @tenant::uuid, @case::uuid, type, id
		FROM unnest(@types::text[], @ids::text[]) AS o (type, id)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"tenant": d.c.TenantID, "case": d.c.CaseID, "types": types, "ids": ids})
	if err != nil {
		return fmt.Errorf("withhold the original of case %s: %w", d.c.CaseID, err)
	}
	return nil
}
