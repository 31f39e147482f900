package fhir

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Two records of one patient are merged by a link of the one that is no longer used
// (FHIR R4 patient.html#links: replaced-by, active false). From then on all that
// refers to it is found under the other one as well: by search, in compartments, by
// $everything and in exports, because the index has both. Cases follow, and what is
// written anew is of the other one. What is signed stays as it was signed. When the
// link goes, all of this goes back.

// mostMerges bounds how far links are followed.
const mostMerges = 16

// replacedBy is the Reference to the Patient that took the place of this one, or nil.
func replacedBy(patient *Node) *Node {
	for _, link := range patient.Each("link") {
		if link.Text("type") == "replaced-by" {
			return link.Get("other")
		}
	}
	return nil
}

// survivor is the Patient in whose record this one's is now: itself, as a rule. A
// link to what is not here leads nowhere.
func (r resolver) survivor(ctx context.Context, patient found) (found, error) {
	at := patient
	for range mostMerges {
		ref := replacedBy(at.Node)
		if at.Node == nil || at.id() == "" || ref == nil {
			return at, nil
		}
		next, err := r.follow(ctx, ref, at.Node)
		if err != nil {
			return found{}, err
		}
		if next.id() == "" || next.Type() != "Patient" {
			return at, nil
		}
		at = next
	}
	return patient, nil // a circle
}

// patientCreated is the hook of the table of resources.
func (s *Server) patientCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	if err := s.merge(ctx, tx, actor, n); err != nil {
		return nil, err
	}
	return s.factCreated(ctx, tx, actor, n)
}

// patientUpdated is the hook of the table of resources.
func (s *Server) patientUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	if replacedBy(before) != nil || replacedBy(after) != nil {
		if err := s.merge(ctx, tx, actor, after); err != nil {
			return err
		}
	}
	return s.factUpdated(ctx, tx, actor, before, after)
}

// merge makes all follow what the links say now. The patients concerned are this
// one, and those whose records were merged into it, or with it into another's.
func (s *Server) merge(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) error {
	id := n.Text("id")
	known, err := mergedTx(ctx, tx, []string{id})
	if err != nil || replacedBy(n) == nil && known[id] == "" {
		return err // it was never merged
	}
	concerned, err := mergedInto(ctx, tx, id, known[id])
	if err != nil {
		return err
	}
	touched := append(slices.Clone(concerned), id)
	concerned = append(slices.DeleteFunc(concerned, func(other string) bool { return other == id }), id)
	for _, patient := range concerned {
		into, err := s.mergedNow(ctx, tx, actor.Tenant, patient)
		if err != nil {
			return err
		}
		was, err := noteMerge(ctx, tx, actor.Tenant, patient, into)
		if err != nil {
			return err
		}
		for _, other := range []string{was, into} {
			if other != "" {
				touched = append(touched, other)
			}
		}
	}
	slices.Sort(touched)
	touched = slices.Compact(touched)
	if err := s.indexReferring(ctx, tx, actor.Tenant, concerned); err != nil {
		return err
	}
	return s.followPatients(ctx, tx, actor.Tenant, touched)
}

// mergedNow is the id of the patient into whose record this one's is merged, "" for
// none. It refuses a circle.
func (s *Server) mergedNow(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, id string) (string, error) {
	r, err := s.resolver(ctx, tx, tenant)
	if err != nil {
		return "", err
	}
	patient, err := r.get(ctx, "Patient", id)
	if err != nil {
		return "", err
	}
	into, err := r.survivor(ctx, patient)
	if err != nil {
		return "", err
	}
	if into.id() != id {
		return into.id(), nil
	}
	ref := replacedBy(patient.Node)
	if next, err := r.follow(ctx, ref, patient.Node); ref != nil && (err != nil || next.id() != "") {
		if err == nil {
			err = fault.At(fault.BusinessRule, "Patient.link", "the links go in a circle: of two records of one patient one must stay in use")
		}
		return "", err
	}
	return "", nil
}

// noteMerge keeps into whose record a patient's is merged, and tells what was kept
// before.
func noteMerge(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, id, into string) (was string, err error) {
	known, err := mergedTx(ctx, tx, []string{id})
	if err != nil {
		return "", err
	}
	if was = known[id]; was == into {
		return was, nil
	}
	args := pgx.NamedArgs{"tenant": tenant, "id": id, "into": into}
	if into == "" {
		_, err = tx.Exec(ctx, `DELETE FROM patient_merge WHERE tenant_id = @tenant AND patient_id = @id`, args)
	} else {
		_, err = tx.Exec(ctx, `
			INSERT INTO patient_merge (tenant_id, patient_id, into_id)
			VALUES (@tenant, @id, @into)
			ON CONFLICT (tenant_id, patient_id) DO UPDATE SET into_id = EXCLUDED.into_id`, args)
	}
	if err != nil {
		return was, fmt.Errorf("note a merge: %w", err)
	}
	return was, nil
}

// mergedTx says of each of these patients into whose record it was merged.
func mergedTx(ctx context.Context, tx pgx.Tx, patients []string) (map[string]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT patient_id, into_id
		FROM patient_merge
		WHERE patient_id = ANY (@patients)`, pgx.NamedArgs{"patients": patients})
	if err != nil {
		return nil, fmt.Errorf("merged patients: %w", err)
	}
	into := map[string]string{}
	var from, to string
	_, err = pgx.ForEachRow(rows, []any{&from, &to}, func() error {
		into[from] = to
		return nil
	})
	return into, err
}

// mergedInto are the patients whose records were merged into those of these.
func mergedInto(ctx context.Context, tx pgx.Tx, ids ...string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT patient_id
		FROM patient_merge
		WHERE into_id = ANY ($1)
		ORDER BY patient_id`, ids)
	if err != nil {
		return nil, fmt.Errorf("merged patients: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// follow lets a resource that refers to a patient be found under the one into whose
// record that patient's was merged.
func (x *index) follow(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, typ string) error {
	var patients []string
	for _, r := range x.references {
		if r.typ == "Patient" {
			patients = append(patients, r.id)
		}
	}
	if patients == nil || typ == "Patient" { // one record is not the other's
		return nil
	}
	into, err := mergedTx(ctx, tx, patients)
	if err != nil {
		return err
	}
	for _, r := range slices.Clone(x.references) {
		other := into[r.id]
		if r.typ != "Patient" || other == "" {
			continue
		}
		if row := (referenceRow{r.param, "Patient", other}); !slices.Contains(x.references, row) {
			x.references = append(x.references, row)
		}
		if r.param != refersTo {
			space := keySpace{tenant, typ, r.param}
			x.addKeys(space.key(formReference, "Patient/"+other), space.key(formID, other))
		}
	}
	return nil
}

// indexReferring indexes again what refers to these patients.
func (s *Server) indexReferring(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, patients []string) error {
	rows, err := collect(tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource
		WHERE NOT deleted AND (type, id) IN (
			SELECT type, id
			FROM reference_search
			WHERE target_type = 'Patient' AND target_id = ANY (@patients) AND type <> 'AuditEvent')
		ORDER BY type, id
		FOR UPDATE`, pgx.NamedArgs{"patients": patients}))
	if err != nil {
		return fmt.Errorf("what refers to a patient who was merged: %w", err)
	}
	return s.indexAgain(ctx, tx, tenant, reindexTables[0], rows)
}

// followPatients makes the cases of these patients those of whoever their orders
// mean now.
func (s *Server) followPatients(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, patients []string) error {
	rows, err := tx.Query(ctx, `
		SELECT case_id
		FROM case_file
		WHERE patient_id = ANY (@patients)
		ORDER BY case_id`, pgx.NamedArgs{"patients": patients})
	if err != nil {
		return fmt.Errorf("cases of patients who were merged: %w", err)
	}
	cases, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("cases of patients who were merged: %w", err)
	}
	for _, id := range cases {
		c, err := workflow.CaseByIDTx(ctx, tx, id)
		if err != nil {
			return err
		}
		r, err := s.resolver(ctx, tx, tenant)
		if err != nil {
			return err
		}
		named, err := r.get(ctx, "Patient", *c.PatientID)
		if err != nil {
			return err
		}
		d := &dossier{c: c}
		if err := d.findOrder(ctx, r); err != nil {
			return err
		}
		now, err := r.patientKey(ctx, d.subject(), d.order)
		if err != nil {
			return err
		}
		survivor, err := r.survivor(ctx, named)
		if err != nil {
			return err
		}
		// An order that was corrected meanwhile is for the coordinator: only who was
		// merged, or parted again, is followed.
		if !slices.Contains(patients, now) {
			now = survivor.id()
		}
		if now == "" || now == *c.PatientID {
			continue
		}
		if _, err := s.engine.FireTx(ctx, tx, access.SystemActor(tenant), id, "follow-patient", workflow.Input{PatientID: &now}); err != nil {
			return err
		}
		if err := s.reportOfAnother(ctx, tx, r, c, now); err != nil {
			return err
		}
		if err := s.tellsOfAnother(ctx, tx, tenant, id); err != nil {
			return err
		}
	}
	return nil
}

// reportOfAnother has a signed report looked at that is of another patient than its
// case is of now: it was signed while the records were merged.
func (s *Server) reportOfAnother(ctx context.Context, tx pgx.Tx, r resolver, c workflow.Case, patient string) error {
	if c.ReportID == nil {
		return nil
	}
	report, err := r.get(ctx, "DiagnosticReport", *c.ReportID)
	if err != nil || report.id() == "" {
		return err
	}
	of, err := r.follow(ctx, report.Get("subject"), report.Node)
	if err != nil || of.id() == "" {
		return err
	}
	if of, err = r.survivor(ctx, of); err != nil || of.id() == patient {
		return err
	}
	return s.engine.PartedTx(ctx, tx, c.TenantID, c.CaseID, of.id())
}
