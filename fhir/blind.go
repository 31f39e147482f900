package fhir

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// Under a blinded protocol these do not exist for readers before the reveal:
// the original report, every other report of the same study, what belongs to
// them (Observations, key images, Provenance), what the order names that is a
// report of imaging, and the order itself where it contains one; its question
// then stands in the Task. The store leaves them out (table case_original).

// withhold notes what is withheld for a case, as far as it is here by now.
func (s *Server) withhold(ctx context.Context, tx pgx.Tx, d *dossier) error {
	w := withheld{}
	w.report(d.original)
	for _, o := range d.originalResults {
		w.add("Observation", o.id())
	}
	for _, doc := range d.documents {
		w.add("DocumentReference", doc.id())
	}
	for _, m := range d.mentions() {
		w.refer("DiagnosticReport", m.ref)
	}
	if d.c.ServiceRequestID != nil && containsReport(d.order) {
		w.add("ServiceRequest", *d.c.ServiceRequestID)
	}
	if d.c.Protocol == workflow.Blinded && d.c.RevealedAt == nil {
		if err := s.withholdSiblings(ctx, tx, d, &w); err != nil {
			return err
		}
	}
	return w.note(ctx, tx, d.c)
}

// withholdSiblings adds the other reports of the study, such as a preliminary
// one or a second opinion of before, and who is said to have made any of them.
func (s *Server) withholdSiblings(ctx context.Context, tx pgx.Tx, d *dossier, w *withheld) error {
	r := resolver{store: s.store, tx: tx, tenant: d.c.TenantID}
	if study := d.study.id(); study != "" {
		reports, err := r.referringTo(ctx, "DiagnosticReport", "imaging-study", "ImagingStudy/"+study)
		if err != nil {
			return err
		}
		for _, f := range reports {
			if f.id() != reportID(d.c) {
				w.report(f)
			}
		}
	}
	for i, typ := range w.types {
		if typ != "DiagnosticReport" {
			continue
		}
		origins, err := r.referringTo(ctx, "Provenance", "target", typ+"/"+w.ids[i])
		if err != nil {
			return err
		}
		for _, f := range origins {
			w.add("Provenance", f.id())
		}
	}
	return nil
}

// provenanceCreated is the hook of the table of resources: what tells of a
// withheld report is withheld with it.
func (s *Server) provenanceCreated(ctx context.Context, tx pgx.Tx, _ access.Actor, n *Node) (*Stored, error) {
	_, err := tx.Exec(ctx, `
		INSERT INTO case_original (tenant_id, case_id, type, id)
		SELECT DISTINCT o.tenant_id, o.case_id, 'Provenance', @id
		FROM case_original o
		WHERE o.type = 'DiagnosticReport' AND o.id = ANY (@reports)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"id": n.Text("id"), "reports": localIDs(n.Each("target"), "DiagnosticReport")})
	if err != nil {
		return nil, fmt.Errorf("withhold a Provenance: %w", err)
	}
	return nil, nil
}

func (s *Server) provenanceUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, _, after *Node) error {
	_, err := s.provenanceCreated(ctx, tx, actor, after)
	return err
}

// containsReport tells whether a resource has a report of imaging within it.
func containsReport(n *Node) bool {
	return slices.ContainsFunc(n.Each("contained"), func(c *Node) bool {
		switch c.Type() {
		case "DiagnosticReport", "Composition", "Media":
			return true
		case "DocumentReference":
			return imagingDocuments.Has(c.Get("type")) || imagingDocuments.Has(c.Get("category"))
		}
		return false
	})
}

// withheld collects resources that are kept here.
type withheld struct{ types, ids []string }

func (w *withheld) add(typ, id string) {
	if id != "" {
		w.types, w.ids = append(w.types, typ), append(w.ids, id)
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

// localIDs are the ids of what these References name of a type that is kept here.
func localIDs(refs []*Node, typ string) []string {
	ids := []string{}
	for _, ref := range refs {
		if id := localID(ref.Text("reference"), typ); id != nil {
			ids = append(ids, *id)
		}
	}
	return ids
}
