package fhir

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// Under a blinded protocol these do not exist for readers before the reveal:
// the original report, every other report of the same study, what belongs to
// them or points at them (Observations, key images, documents, Provenance), what
// the order names that is a report of imaging, and the order itself where it
// contains one; its question then stands in the Task. The store leaves them out
// (table case_original). Of a study they never learn who read it (redact.go).

// withhold notes what is withheld for a case, as far as it is here by now.
func (s *Server) withhold(ctx context.Context, tx pgx.Tx, d *dossier) error {
	w := withheld{}
	w.report(d.original)
	for _, o := range d.originalResults {
		w.add("Observation", o.id())
	}
	for _, doc := range d.documents {
		w.add("DocumentReference", doc.id())
		w.attached(doc.Node)
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
// one or a second opinion of before, and all that points at any of them.
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
	for done := 0; done < len(w.ids); { // what points at something that points at the original tells of it too
		from := done
		done = len(w.ids)
		if err := s.withholdPointers(ctx, tx, d.c, w, from); err != nil {
			return err
		}
	}
	return nil
}

// tellers are the types that are withheld when they point at what is withheld.
var tellers = []string{
	"Basic", "Binary", "Communication", "CommunicationRequest", "DiagnosticReport", "DocumentReference",
	"MeasureReport", "Media", "Observation", "Provenance",
}

// withholdPointers adds what points, by any of its search parameters, at what w
// has from this place on.
func (s *Server) withholdPointers(ctx context.Context, tx pgx.Tx, c workflow.Case, w *withheld, from int) error {
	var keys []uuid.UUID
	for _, typ := range tellers {
		for _, p := range s.resources[typ].search {
			if p.kind != "reference" {
				continue
			}
			for i := from; i < len(w.ids); i++ {
				keys = append(keys, keySpace{c.TenantID, typ, p.key}.key(formReference, w.types[i]+"/"+w.ids[i]))
			}
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource_search
		WHERE type = ANY (@types) AND keys && @keys::uuid[] AND NOT deleted AND id <> @own`,
		pgx.NamedArgs{"types": tellers, "keys": keys, "own": reportID(c)})
	if err != nil {
		return fmt.Errorf("what points at the original of case %s: %w", c.CaseID, err)
	}
	pointers, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stored])
	if err != nil {
		return fmt.Errorf("what points at the original of case %s: %w", c.CaseID, err)
	}
	for _, r := range pointers {
		f, err := r.found()
		if err != nil {
			return err
		}
		w.add(r.Type, r.ID)
		w.attached(f.Node)
	}
	return nil
}

// withholdTeller is part of the hooks of the tellers: what points at something
// that is withheld is withheld with it from the moment it comes, and what comes
// to something that is withheld, such as a further Observation of the original.
func withholdTeller(ctx context.Context, tx pgx.Tx, n *Node) error {
	own := &withheld{}
	own.add(n.Type(), n.Text("id"))
	own.attached(n)
	if n.Type() == "DiagnosticReport" {
		own.report(found{Node: n})
	}
	at := &withheld{}
	for _, k := range linksOf(n, n.Type()) {
		if k.target.local() && !k.isURI && slices.Contains(tellers, k.target.typ) {
			at.add(k.target.typ, k.target.id)
		}
	}
	if len(own.ids) > 1 {
		at.add(n.Type(), n.Text("id"))
	}
	if at.ids == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO case_original (tenant_id, case_id, type, id)
		SELECT DISTINCT o.tenant_id, o.case_id, own.type, own.id
		FROM unnest(@types::text[], @ids::text[]) AS at (type, id)
		JOIN case_original o ON o.type = at.type COLLATE "C" AND o.id = at.id COLLATE "C"
		CROSS JOIN unnest(@own_types::text[], @own_ids::text[]) AS own (type, id)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"own_types": own.types, "own_ids": own.ids, "types": at.types, "ids": at.ids})
	if err != nil {
		return fmt.Errorf("withhold a %s: %w", n.Type(), err)
	}
	return nil
}

// tellerCreated is the hook of the table of resources.
func (s *Server) tellerCreated(ctx context.Context, tx pgx.Tx, _ access.Actor, n *Node) (*Stored, error) {
	return nil, withholdTeller(ctx, tx, n)
}

func (s *Server) tellerUpdated(ctx context.Context, tx pgx.Tx, _ access.Actor, _, after *Node) error {
	return withholdTeller(ctx, tx, after)
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
	for i := range w.ids {
		if w.ids[i] == id && w.types[i] == typ {
			return
		}
	}
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
