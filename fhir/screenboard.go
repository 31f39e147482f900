package fhir

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// The rooms of coordinators and medical directors (web/board.go).

// coordinates refuses who does not lead cases here, and whose token is bound to less
// than all of them.
func coordinates(actor access.Actor) error {
	if actor.Role != access.Coordinator && actor.Role != access.Director || actor.Limited() || actor.Patient != "" {
		return fault.New(fault.Forbidden, "the role %s does not coordinate cases", actor.Role)
	}
	return nil
}

// Board is a page of the board of a coordinator's or director's hospital. It names
// no patient, and who looks at it is recorded with the patients of its cases.
func (s *Server) Board(ctx context.Context, actor access.Actor, f workflow.BoardFilter, asked Asked) (workflow.BoardPage, error) {
	if err := coordinates(actor); err != nil {
		return workflow.BoardPage{}, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (p workflow.BoardPage, err error) {
		if p.Board, err = workflow.BoardTx(ctx, tx, f); err != nil {
			return p, err
		}
		if p.Counts, err = workflow.DeskCountsTx(ctx, tx); err != nil {
			return p, err
		}
		if p.Zone, err = workflow.ZoneTx(ctx, tx); err != nil {
			return p, err
		}
		seen, err := inside(ctx, tx, actor, column(p.Cases, func(b workflow.BoardCase) string { return "Task/" + b.TaskID }), access.Search)
		if err != nil {
			return p, err
		}
		p.Cases = slices.DeleteFunc(p.Cases, func(b workflow.BoardCase) bool { return !seen["Task/"+b.TaskID] })
		return p, s.auditDesk(ctx, tx, actor, "board of cases", column(p.Cases, func(b workflow.BoardCase) string { return b.TaskID }), asked)
	})
}

// auditDesk records that somebody has seen a list of cases.
func (s *Server) auditDesk(ctx context.Context, tx pgx.Tx, actor access.Actor, what string, tasks []string, asked Asked) error {
	if len(tasks) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT 'Patient/' || patient_id
		FROM case_file
		WHERE tenant_id = overread_tenant() AND task_id = ANY (@tasks) AND patient_id IS NOT NULL
		ORDER BY 1
		LIMIT @most`, pgx.NamedArgs{"tasks": tasks, "most": mostPatients})
	if err != nil {
		return err
	}
	patients, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return s.audit(ctx, tx, actor, auditEntry{Interaction: "search-type", Query: what + " of the role " + string(actor.Role), Patients: patients,
		RequestID: asked.RequestID, Client: asked.Client})
}
