package fhir

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// What was told of a patient while the records of two were merged stands in the record of
// the one who stayed. When they are parted it would tell of somebody else there: a finding
// that was acknowledged no less than one that is open. So all of it follows the patient of
// its case, here and at the EHR, in the words in which it was told. Earlier versions keep
// in whose record it stood; the EHR's own Communications are the EHR's to move.

// tellsOfAnother moves what the service has told about a case, and what it has asked for,
// to the patient whose case it is now, where it stands in the record of another.
func (s *Server) tellsOfAnother(ctx context.Context, tx pgx.Tx, tenant, caseID uuid.UUID) error {
	c, err := workflow.CaseByIDTx(ctx, tx, caseID)
	if err != nil || c.PatientID == nil {
		return err
	}
	told, err := s.toldOf(ctx, tx, c)
	if err != nil {
		return err
	}
	r, err := s.resolver(ctx, tx, tenant)
	if err != nil {
		return err
	}
	asked, err := r.asked(ctx, c)
	if err != nil {
		return err
	}
	for _, a := range asked {
		told = append(told, a.n)
	}
	var astray []*Node
	for _, n := range told {
		of, err := r.follow(ctx, n.Get("subject"), n)
		if err == nil && of.id() != "" {
			of, err = r.survivor(ctx, of)
		}
		if err != nil {
			return err
		}
		if of.id() != "" && of.id() != *c.PatientID {
			astray = append(astray, n)
		}
	}
	if astray == nil {
		return nil
	}
	src, err := s.reportSources(ctx, tx, c)
	if err != nil {
		return err
	}
	var moved []*Node
	for _, n := range astray {
		n = n.Clone()
		n.Set("subject", src.Subject.Clone())
		if _, err := s.putOf(ctx, tx, c, access.SystemActor(tenant), n); err != nil {
			return err
		}
		if n.Type() != "CommunicationRequest" { // which stay here
			moved = append(moved, n)
		}
	}
	if moved == nil || c.SampleOf != nil {
		return nil
	}
	return s.deliverMessage(ctx, tx, src, moved)
}

// toldOf are the Communications of the service about a case, and the Observations of its findings.
func (s *Server) toldOf(ctx context.Context, tx pgx.Tx, c workflow.Case) (all []*Node, err error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT type, id
		FROM reference_search
		WHERE target_type = 'Task' AND target_id = @task AND type = 'Communication'
		ORDER BY type, id`, pgx.NamedArgs{"task": c.TaskID})
	if err != nil {
		return nil, fmt.Errorf("what was told of a case: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Type, ID string }])
	if err != nil {
		return nil, fmt.Errorf("what was told of a case: %w", err)
	}
	matters, err := workflow.MattersTx(ctx, tx, c.CaseID)
	if err != nil {
		return nil, err
	}
	for _, m := range matters {
		if m.Kind == workflow.FindingMatter {
			found = append(found, struct{ Type, ID string }{"Observation", derivedID(c, matterSlot(m.Kind, m.No))})
		}
	}
	r, err := s.resolver(ctx, tx, c.TenantID)
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		n, err := r.get(ctx, f.Type, f.ID)
		if err != nil {
			return nil, err
		}
		own := n.Node != nil && (f.Type != "Communication" || strings.HasPrefix(identifierOf(n.Node, sidCommunication), c.CaseID.String()+"/"))
		if own {
			all = append(all, n.Node)
		}
	}
	return all, nil
}
