package fhir

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// RecordDelivery records that a report has left the house, or that the destination
// has refused it for good, in the transaction in which the courier writes that down.
// It is a disclosure: DICOM PS3.15 has Export (110106) for it, and BALP no profile.
func (s *Server) RecordDelivery(ctx context.Context, tx pgx.Tx, p workflow.Parcel, r workflow.Receipt) error {
	e := access.Event{
		Kind:     access.ReportDelivered,
		Tenant:   p.TenantID,
		Actor:    access.SystemActor(p.TenantID),
		Object:   p.Destination,
		ReportNo: p.ReportNo,
	}
	err := tx.QueryRow(ctx, `
		SELECT 'Task/' || task_id, coalesce('DiagnosticReport/' || report_id, ''), coalesce('Patient/' || patient_id, '')
		FROM case_file
		WHERE tenant_id = @tenant AND case_id = @case`,
		pgx.NamedArgs{"tenant": p.TenantID, "case": p.CaseID}).Scan(&e.Case, &e.Report, &e.Patient)
	if err != nil {
		return fmt.Errorf("whose report was delivered: %w", err)
	}
	switch {
	case p.ReportNo >= workflow.FirstMessage: // what was told besides, and not the report
		e.Report, e.ReportNo = "", 0
	case p.ReportNo < 0: // preliminary: no version of it is signed
		e.ReportNo = 0
	}
	if r.Verdict != workflow.Delivered {
		e.Why = "refused for good: " + r.Reason
	}
	return s.RecordEvent(ctx, tx, e)
}
