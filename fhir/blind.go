package fhir

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// Under a blinded protocol these do not exist for readers before the reveal:
// the original report, every other report of the same study, what belongs to
// them or points at them, of whatever type (Observations, key images, documents,
// Conditions, Provenance, further orders), what else tells of the study, what the
// order names that is a report of imaging, and the order itself where it contains
// one or gives a reason that tells of it; its question then stands in the Task. The store leaves them out
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
	if d.c.ServiceRequestID != nil && (containsReport(d.order) || tellsOfOriginal(d.order)) {
		w.add("ServiceRequest", *d.c.ServiceRequestID)
	}
	if d.c.Concealed() { // whatever the protocol: a rule may yet make it blinded
		if err := s.withholdOthers(ctx, tx, d.c, d.study, &w); err != nil {
			return err
		}
		if err := s.withholdSiblings(ctx, tx, d, &w); err != nil {
			return err
		}
	}
	return w.note(ctx, tx, d.c)
}

// withholdOthers adds the orders and Tasks of the other cases of the study, and
// withholds this one from theirs: how far another reading is, and who has it, tells
// of the original. To whom they are there nevertheless, notHidden says.
func (s *Server) withholdOthers(ctx context.Context, tx pgx.Tx, c workflow.Case, study found, w *withheld) error {
	others, err := workflow.CasesOfStudyTx(ctx, tx, c, study.id(), studyUID(study.Node))
	if err != nil {
		return err
	}
	for _, other := range others {
		w.runsOn(other, c)
		if !other.Concealed() {
			continue
		}
		theirs := withheld{}
		theirs.runsOn(c, other)
		if err := s.withholdPointers(ctx, tx, other, &theirs); err != nil {
			return err
		}
		if err := theirs.note(ctx, tx, other); err != nil {
			return err
		}
	}
	return nil
}

// withholdSiblings adds the other reports of the study, such as a preliminary
// one or a second opinion of before, what else was found in it, and all that
// points at any of them.
func (s *Server) withholdSiblings(ctx context.Context, tx pgx.Tx, d *dossier, w *withheld) error {
	if d.study.Node != nil {
		about, err := s.aboutStudy(ctx, tx, d)
		if err != nil {
			return err
		}
		w.take(about)
	}
	return s.withholdPointers(ctx, tx, d.c, w)
}

var (
	// surroundings are never withheld: who and where, and the studies themselves,
	// which readers get without who read them (redact.go).
	surroundings = []string{"Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Endpoint", "ImagingStudy"}
	// leadOn may be withheld, but what points at them is not for that: an Encounter
	// of which one diagnosis tells of the original has many other things to it.
	leadOn = append([]string{"Encounter", "Group"}, surroundings...)
	// aside point at a study without telling what was found in it.
	aside = append([]string{"ServiceRequest", "Task", "Consent"}, leadOn...)
)

// casesOwn are the orders and Tasks that cases run on: their readers need them.
const casesOwn = `(r.type = 'ServiceRequest' AND EXISTS (SELECT FROM case_file own WHERE own.service_request_id = r.id)
		    OR r.type = 'Task' AND EXISTS (SELECT FROM case_file own WHERE own.task_id = r.id))`

// aboutStudy finds what points at the study of a case, or names it by its Study
// Instance UID or accession number, but for the case's own report.
func (s *Server) aboutStudy(ctx context.Context, tx pgx.Tx, d *dossier) ([]found, error) {
	var keys []uuid.UUID
	for typ := range s.resources {
		if !slices.Contains(aside, typ) {
			keys = append(keys, studyKeys(keySpace{d.c.TenantID, typ, namesStudy}, d.study.Each("identifier"))...)
		}
	}
	about, err := collect(tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource_search r
		WHERE NOT deleted AND type <> ALL (@aside) AND NOT (type = 'DiagnosticReport' AND id = @own)
		  AND (type, id) IN (
			SELECT named.type, named.id FROM resource_search named WHERE named.keys && @keys::uuid[]
			UNION
			SELECT f.type, f.id FROM reference_search f WHERE f.target_type = 'ImagingStudy' AND f.target_id = @study)`,
		pgx.NamedArgs{"aside": aside, "own": reportID(d.c), "keys": keys, "study": d.study.id()}))
	if err != nil {
		return nil, fmt.Errorf("what tells of the study of case %s: %w", d.c.CaseID, err)
	}
	return allFound(about)
}

// withholdPointers adds what points at what w has, by any element or extension,
// and what points at that: it tells of it too. Of every type, but for the
// surroundings and what the case itself works by.
func (s *Server) withholdPointers(ctx context.Context, tx pgx.Tx, c workflow.Case, w *withheld) error {
	for done := 0; done < len(w.ids); {
		from := done
		done = len(w.ids)
		named, err := identitiesOf(ctx, tx, c.TenantID, w.types[from:done], w.ids[from:done])
		if err != nil {
			return err
		}
		pointers, err := collect(tx.Query(ctx, `
			SELECT type, id, version, last_updated, deleted, body
			FROM resource_search r
			WHERE NOT deleted AND type <> ALL (@surroundings) AND NOT (type = 'DiagnosticReport' AND id = @own) AND NOT `+casesOwn+`
			  AND (type, id) IN (
				SELECT f.type, f.id
				FROM unnest(@types::text[], @ids::text[]) AS at (type, id)
				JOIN reference_search f ON f.target_type = at.type COLLATE "C" AND f.target_id = at.id COLLATE "C"
				WHERE at.type <> ALL (@leadOn)
				UNION
				SELECT n.type, n.id FROM resource_search n WHERE n.keys && @named::uuid[])`,
			pgx.NamedArgs{"surroundings": surroundings, "leadOn": leadOn, "own": reportID(c), "types": w.types[from:done], "ids": w.ids[from:done], "named": named}))
		if err != nil {
			return fmt.Errorf("what points at the original of case %s: %w", c.CaseID, err)
		}
		found, err := allFound(pointers)
		if err != nil {
			return err
		}
		w.take(found)
	}
	return nil
}

func allFound(stored []Stored) ([]found, error) {
	all := make([]found, len(stored))
	for i, r := range stored {
		var err error
		if all[i], err = r.found(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// withholdTeller looks at every resource that is written, whatever its type: what
// points at something that is withheld, or tells of the study of a blinded case,
// is withheld with it from the moment it comes, and with it what came before and
// points at it or belongs to it, such as a further Observation of the original.
func (s *Server) withholdTeller(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, n *Node) error {
	if slices.Contains(surroundings, n.Type()) {
		return nil
	}
	at := &withheld{}
	at.add(n.Type(), n.Text("id"))
	var studies []string
	for _, k := range linksOf(n, n.Type()) {
		switch to := k.target; {
		case !to.local() || k.isURI && to.typ != "Binary":
		case to.typ == "ImagingStudy":
			studies = append(studies, to.id)
		case !slices.Contains(leadOn, to.typ):
			at.add(to.typ, to.id)
		}
	}
	if err := s.namedBy(ctx, tx, tenant, n, at); err != nil {
		return err
	}
	cases, err := casesWithholding(ctx, tx, at)
	if err != nil {
		return err
	}
	if !slices.Contains(aside, n.Type()) {
		of, err := s.casesOfStudies(ctx, tx, tenant, n, studies)
		if err != nil {
			return err
		}
		cases = append(cases, of...)
	}
	slices.SortFunc(cases, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range slices.Compact(cases) {
		c, err := workflow.CaseByIDTx(ctx, tx, id)
		if err != nil {
			return err
		}
		if n.Type() == "DiagnosticReport" && n.Text("id") == reportID(c) {
			continue
		}
		own := &withheld{}
		own.take([]found{{Node: n, version: 1}})
		if err := s.withholdPointers(ctx, tx, c, own); err != nil {
			return err
		}
		if err := own.note(ctx, tx, c); err != nil {
			return err
		}
	}
	return nil
}

// casesWithholding are the cases for which any of these is withheld, but for
// what cases run on.
func casesWithholding(ctx context.Context, tx pgx.Tx, at *withheld) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT o.case_id
		FROM unnest(@types::text[], @ids::text[]) AS at (type, id)
		JOIN case_original o ON o.type = at.type COLLATE "C" AND o.id = at.id COLLATE "C"
		WHERE NOT EXISTS (
			SELECT FROM (VALUES (@type::text COLLATE "C", @id::text COLLATE "C")) AS r (type, id) WHERE `+casesOwn+`)`,
		pgx.NamedArgs{"types": at.types, "ids": at.ids, "type": at.types[0], "id": at.ids[0]})
	if err != nil {
		return nil, fmt.Errorf("which cases withhold a %s: %w", at.types[0], err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// casesOfStudies are the blinded cases of the studies that n points at, or names
// by an identifier.
func (s *Server) casesOfStudies(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, n *Node, studies []string) ([]uuid.UUID, error) {
	named := studyNames(n)
	var uids []string
	for _, id := range named {
		uids = append(uids, bareUID(id.Text("value")))
	}
	if named != nil {
		here, err := collect(tx.Query(ctx, `
			SELECT type, id, version, last_updated, deleted, NULL::bytea AS body
			FROM resource_search
			WHERE type = 'ImagingStudy' AND keys && @keys::uuid[]`,
			pgx.NamedArgs{"keys": studyKeys(keySpace{tenant, "ImagingStudy", namesStudy}, named)}))
		if err != nil {
			return nil, fmt.Errorf("which study a %s names: %w", n.Type(), err)
		}
		for _, r := range here {
			studies = append(studies, r.ID)
		}
	}
	if studies == nil && uids == nil {
		return nil, nil
	}
	return workflow.CasesReadingTx(ctx, tx, studies, uids)
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
